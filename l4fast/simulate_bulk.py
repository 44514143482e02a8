"""What every rank says in every iteration: nearly all bytes of a job's logs.

A matrix holds, a row each, what some ranks say in some iterations; files are then slices of
it. Rows are grouped so that their numbers have the same count of digits (see
`simulate_text`), and a group is small enough to stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l4fast.simulate_book import Item, Voice
from l4fast.simulate_text import Ints, Line, blank_padded, compile_line, fill, hex_text, stamps, text_table
from l4fast.simulate_victims import COMMUNICATORS


@dataclass(frozen=True)
class Chatter:
    """Lines (without prefix) that each rank writes to stdout every ``every`` iterations.

    Holes: it, rank, local, pid, host, bus, when (with ms), second, and the random ones. A
    layout that puts ranks with different counts of digits in one file allows no ``rank``.
    """

    every: int
    text: str


@dataclass(frozen=True)
class _Files:
    """Ranks int64[n_files, ranks_per_file] whose numbers have ``digits`` digits each."""

    names: list[str]
    ranks: Ints
    digits: int


def chatter(
    voice: Voice, last: int, lines: tuple[Chatter, ...], rng: np.random.Generator
) -> Iterator[dict[str, list[Item]]]:
    """Yield, group by group, what the ranks of some files say in iterations 1 to ``last``."""
    for files in _groups(voice):
        pages: dict[str, list[Item]] = {name: [] for name in files.names}
        for first, end in _segments(last, min(x.every for x in lines if x.every > 1)):
            for line in lines:
                if line.every == 1:
                    _say(voice, files, line.text, first, end, pages, rng)
                elif end % line.every == 0:
                    _say(voice, files, line.text, end, end, pages, rng)
        yield pages


def _groups(voice: Voice) -> Iterator[_Files]:
    """Yield the job's stdout files, ranks with equally many digits together."""
    job, layout = voice.job, voice.layout
    all_ranks = np.arange(job.n_ranks)
    if layout.kind == "tree":
        for digits in range(1, len(str(job.n_ranks - 1)) + 1):
            ranks = all_ranks[(all_ranks >= 10 ** (digits - 1) * (digits > 1)) & (all_ranks < 10**digits)]
            for part in np.array_split(ranks, max(1, ranks.size // 256)):
                names = [layout.rank_file(job, int(r), "stdout") for r in part]
                yield _Files(names, part[:, None], digits)
    elif layout.kind == "pods":
        nodes = np.arange(job.nodes)
        for part in np.array_split(nodes, max(1, job.n_ranks // 256)):
            if part.size:
                names = [layout.node_file(job, int(n)) for n in part]
                yield _Files(names, all_ranks.reshape(job.nodes, -1)[part], 0)
    else:
        yield _Files([layout.rank_file(job, 0, "stdout")], all_ranks[None, :], 0)


def _segments(last: int, every: int) -> Iterator[tuple[int, int]]:
    """Cut 1..last so that each part ends at a multiple of ``every`` or where a digit is gained."""
    first = 1
    while first <= last:
        end = min(last, (first // every + 1) * every if first % every else first, 10 ** len(str(first)) - 1)
        yield first, end
        first = end + 1


def _say(
    voice: Voice,
    files: _Files,
    text: str,
    first: int,
    end: int,
    pages: dict[str, list[Item]],
    rng: np.random.Generator,
) -> None:
    """Render one line for iterations ``first..end`` of all ranks of ``files`` onto their pages."""
    job = voice.job
    n_files, per_file = files.ranks.shape
    n_its = end - first + 1
    prefix = voice.layout.bulk_prefix()
    widths = {
        "it": len(str(end)),
        "rank": files.digits,
        "local": len(str(job.ranks_per_node - 1)),
        "task": len(str(job.n_ranks - 1)),
        "pid": 7,
        "host": len(job.hosts[0]),
        "bus": 5,
        "when": 23,
        "second": 19,
        "cri": 30,
        "comm": 12,
        "op": 4,
    }
    line = compile_line("".join(f"{prefix}{part}\n" for part in text.split("\n")), widths)
    # Which rank is how early in its iteration: another order each time, as in a merged log.
    order = rng.random((n_files, n_its, per_file)).argsort(axis=2)
    ranks = np.take_along_axis(np.broadcast_to(files.ranks[:, None, :], order.shape), order, axis=2).ravel()
    iterations = np.broadcast_to(np.arange(first, end + 1)[None, :, None], order.shape).ravel()
    lag = np.broadcast_to(np.arange(per_file) / per_file, order.shape).ravel() + rng.random(ranks.size) * 0.1
    t = job.ends[iterations - 1] - job.step_s * (0.3 - 0.25 * lag)
    rows = fill(line, ranks.size, _values(voice, _names(line), ranks, iterations, t), rng)
    width = rows.shape[1]
    by_file = rows.reshape(n_files, n_its * per_file * width)
    ends = job.ends[first - 1 : end] - 0.3 * job.step_s
    _share(by_file, files.names, ends, per_file * width, pages)


def _share(
    rows: NDArray[np.uint8],
    names: list[str],
    times: NDArray[np.float64],
    n_bytes: int,
    pages: dict[str, list[Item]],
) -> None:
    """Put each file's bytes on its page, an item an iteration (``n_bytes`` each).

    Other sentences stand between iterations, so a whole segment as one item would shift them.
    """
    starts = [(float(t), i * n_bytes) for i, t in enumerate(times)]
    for name, row in zip(names, rows, strict=True):
        data = row.tobytes()
        pages[name] += [(t, data[at : at + n_bytes], None) for t, at in starts]


def _names(line: Line) -> set[str]:
    """The names of a compiled line's holes."""
    return {hole.name for hole in line.holes}


def _values(
    voice: Voice, names: set[str], ranks: Ints, iterations: Ints, t: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Return the named columns, a value a row."""
    job = voice.job
    nodes = ranks // job.ranks_per_node
    now = int(job.start.timestamp()) * 1_000_000_000 + ((t + job.skew_s[nodes]) * 1e9).astype(np.int64)
    makers: dict[str, Callable[[], NDArray[Any]]] = {
        "it": lambda: iterations,
        "rank": lambda: ranks,
        "task": lambda: blank_padded(ranks, len(str(job.n_ranks - 1))),
        "local": lambda: ranks % job.ranks_per_node,
        "pid": lambda: job.pids[ranks],
        "host": lambda: text_table(list(job.hosts))[nodes],
        "bus": lambda: text_table([job.bus_of(r) for r in job.ranks_of(0)])[ranks % job.ranks_per_node],
        "when": lambda: stamps(now),
        "second": lambda: stamps(now, digits=0),
        "cri": lambda: _cri(now),
        "comm": lambda: hex_text(COMMUNICATORS + 4096 * ranks, 12),
        "op": lambda: hex_text(4 * iterations, 4),
    }
    return {name: makers[name]() for name in names if name in makers}


def _cri(now: Ints) -> NDArray[np.uint8]:
    """``2026-05-07T15:49:31.123456789Z``, 30 columns."""
    rows = np.full((now.size, 30), ord("Z"), np.uint8)
    rows[:, :29] = stamps(now, separator="T", point=".", digits=9)
    return rows
