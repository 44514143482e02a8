"""What every rank says in every iteration: nearly all bytes of a job's logs.

A matrix holds, a row each, what some ranks say in some iterations; files are then slices of
it. Rows are grouped so that their numbers have the same count of digits (see
`simulate_text`), and a group is small enough to stay in the cache: a job of any length is written
in bounded memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l4fast.simulate_book import Item, Notes, Sheet, Voice
from l4fast.simulate_job import Job
from l4fast.simulate_nccl import COMMUNICATORS
from l4fast.simulate_text import Ints, Line, blank_padded, compile_line, fill, hex_text, stamps, text_table

_ROWS = 65_536
"""How many rows are rendered at once."""

_BLOCK = 10
"""How often the rare lines come, in iterations."""


@dataclass(frozen=True)
class Chatter:
    """Lines (without prefix) that each rank writes to stdout every ``every`` iterations.

    ``phase`` is where in the iteration it is said, 0 to 1; ``tells`` that the line reports the
    iteration as done. A ``text`` with ``fetch`` is one line. Holes: it, rank, local, pid, host, bus,
    when (with ms), second, fetch (ms, what fetching a batch took) and the random ones. A layout that
    puts ranks with different counts of digits in one file allows no ``rank``.
    """

    every: int
    text: str
    phase: float = 0.75
    tells: bool = False


@dataclass(frozen=True)
class Drag:
    """Ranks (bool[n_ranks]) whose batches take ``factor`` times as long from iteration ``first`` on."""

    ranks: NDArray[np.bool_]
    first: int
    factor: int


@dataclass(frozen=True)
class _Files:
    """Ranks int64[n_files, ranks_per_file] whose numbers have ``digits`` digits each."""

    names: list[str]
    ranks: Ints
    digits: int


def write_chatter(
    voice: Voice,
    root: Path,
    last: int,
    lines: tuple[Chatter, ...],
    drag: Drag | None,
    notes: Notes,
    rng: np.random.Generator,
) -> None:
    """Write all files that ranks chatter into, with what else stands in them.

    Iterations 1 to ``last`` are told of, and whatever of the next was said before it broke.
    """
    for files in _groups(voice):
        with ExitStack() as stack:
            sheets = [stack.enter_context(Sheet(root, name)) for name in files.names]
            _write_group(voice, sheets, files, last, lines, drag, rng)
            for sheet in sheets:
                sheet.tell(notes)


def _write_group(
    voice: Voice,
    sheets: list[Sheet],
    files: _Files,
    last: int,
    lines: tuple[Chatter, ...],
    drag: Drag | None,
    rng: np.random.Generator,
) -> None:
    """Write the sheets of one group of files, some iterations at a time."""
    sparse = [sorted(voice.pages.pop(name, ()), key=lambda item: item[0]) for name in files.names]
    for items in sparse:
        items.reverse()  # so that the earliest are taken from the end
    for first, end in _segments(last + 1, files.ranks.size):
        until = float("inf") if end > last else voice.job.end_of(end)
        bulk: list[list[Item]] = [[] for _ in files.names]
        alone = [not items or items[-1][0] > until for items in sparse]
        for line in lines:
            upto = min(end, last if line.phase > 0.5 else last + 1, voice.job.iterations)
            at = np.arange(first, upto + 1)
            at = at[(at % line.every == 0) | ((at == 1) & line.tells)]
            if at.size:
                _say(voice, files, line, at, bulk, alone, drag, rng)
        for sheet, items, new in zip(sheets, sparse, bulk, strict=True):
            while items and items[-1][0] <= until:
                new.append(items.pop())
            new.sort(key=lambda item: item[0])
            sheet.write(new)


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


def _segments(last: int, n_ranks: int) -> Iterator[tuple[int, int]]:
    """Cut 1..last into parts that are small, and end where a digit is gained."""
    size = max(1, _ROWS // n_ranks)
    first = 1
    while first <= last:
        end = min(last, first + size - 1, 10 ** len(str(first)) - 1)
        yield first, end
        first = end + 1


def _say(
    voice: Voice,
    files: _Files,
    line: Chatter,
    at: Ints,
    bulk: list[list[Item]],
    alone: list[bool],
    drag: Drag | None,
    rng: np.random.Generator,
) -> None:
    """Render one line for the iterations ``at`` of all ranks of ``files`` into ``bulk``.

    An item is what a file gets in one iteration, since other sentences stand between iterations;
    where there are none (``alone``) it is ten iterations, for millions of items cost minutes.
    """
    job = voice.job
    n_files, per_file = files.ranks.shape
    prefix = voice.layout.bulk_prefix()
    widths = {
        "it": len(str(at[-1])),
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
        "fetch": 4,
        "tps": 5,
    }
    compiled = compile_line("".join(f"{prefix}{part}\n" for part in line.text.split("\n")), widths)
    # Which rank is how early in its iteration: another order each time, as in a merged log.
    shape = (n_files, at.size, per_file)
    order = rng.random(shape).argsort(axis=2) if per_file > 1 else np.zeros(shape, np.int64)
    ranks = np.take_along_axis(np.broadcast_to(files.ranks[:, None, :], shape), order, axis=2).ravel()
    iterations = np.broadcast_to(at[None, :, None], shape).ravel()
    lag = np.broadcast_to(np.arange(per_file) / per_file, shape).ravel() + rng.random(ranks.size) * 0.1
    begins = np.array([job.begin_of(int(i)) for i in at])
    lengths = job.ends[at - 1] - begins
    starts = begins + lengths * (line.phase - 0.05)
    index = np.broadcast_to(np.arange(at.size)[None, :, None], shape).ravel()
    t = starts[index] + 0.1 * lengths[index] * lag
    rows = fill(compiled, ranks.size, _values(voice, compiled, ranks, iterations, t, drag), rng)
    keep = t <= voice.busy_s[ranks]
    marks = None
    if drag is not None and "{fetch}" in line.text:
        marks = _slow_lines(line, ranks, iterations, drag).reshape(n_files, at.size, per_file)
    kinds = _slow_kinds(voice)
    if line.tells:
        for number in at[np.unique(index[keep])]:
            voice.note("iteration", int(number))
    keep = keep.reshape(shape)
    lines = rows.reshape(n_files, at.size, per_file, -1)
    single, blocks = list(range(at.size + 1)), list(range(at.size + 1))
    if line.every == 1:
        blocks = [0, *(np.flatnonzero(np.diff((at - 1) // _BLOCK)) + 1).tolist(), at.size]
    times = starts.tolist()
    for file, its in enumerate(lines):
        kept = keep[file]

        def kinds_of(
            i: int, after: int, file: int = file, kept: NDArray[np.bool_] = kept
        ) -> dict[int, str] | None:
            if marks is None:
                return None
            said = marks[file, i:after][kept[i:after]]
            return {n: kinds[said[n]] for n in np.flatnonzero(said).tolist()}

        if kept.all():
            data, width = its.tobytes(), its[0].nbytes
            for i, after in pairwise(blocks if alone[file] else single):
                bulk[file].append((times[i], data[i * width : after * width], kinds_of(i, after)))
        else:
            bulk[file] += [(times[i], its[i][kept[i]].tobytes(), kinds_of(i, i + 1)) for i in range(at.size)]


def _values(
    voice: Voice, line: Line, ranks: Ints, iterations: Ints, t: NDArray[np.float64], drag: Drag | None
) -> dict[str, NDArray[Any]]:
    """Return the columns that ``line`` names, a value a row."""
    job = voice.job
    names = {hole.name for hole in line.holes}
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
        "tps": lambda: _thousands(_tokens(job, ranks, iterations)),
        "fetch": lambda: blank_padded(_fetch_ms(ranks, iterations, drag), 4),
    }
    return {name: makers[name]() for name in names if name in makers}


def _cri(now: Ints) -> NDArray[np.uint8]:
    """``2026-05-07T15:49:31.123456789Z``, 30 columns."""
    rows = np.full((now.size, 30), ord("Z"), np.uint8)
    rows[:, :29] = stamps(now, separator="T", point=".", digits=9)
    return rows


def _fetch_ms(ranks: Ints, iterations: Ints, drag: Drag | None) -> Ints:
    """What fetching a batch took each rank in each iteration, ms: a hash of both, and the drag."""
    took: Ints = 20 + (ranks * 7919 + iterations * 104_729) % 61
    if drag is not None:
        took = np.where(drag.ranks[ranks] & (iterations >= drag.first), took * drag.factor, took)
    return took


def _slow_lines(line: Chatter, ranks: Ints, iterations: Ints, drag: Drag) -> Ints:
    """Which lines tell of a slow batch: 1 for the first of a rank, 2 for the later ones, 0 for all others."""
    first = -(-drag.first // line.every) * line.every
    slow: Ints = np.where(iterations == first, 1, 2) * (drag.ranks[ranks] & (iterations >= first))
    return slow


def _slow_kinds(voice: Voice) -> tuple[str, str, str]:
    """The kinds of these lines: the first of a rank shows that it is slow, the later ones go without saying.

    It is all that is known of it, or what comes of the heat that the kernel tells of. Where a line does
    not tell which rank speaks, it shows nobody.
    """
    if voice.layout.kind == "tee":
        return "", "context", "context"
    return "", "consequence" if voice.job.kernel_logs else "root", "context"


def _tokens(job: Job, ranks: Ints, iterations: Ints) -> Ints:
    """Tokens per second: all ranks are as fast as the slowest, but for a little noise."""
    before = np.concatenate([[job.train_s], (job.ends + job.pauses)[:-1]])
    lengths = job.ends - before
    noise = (ranks * 31 + iterations * 17) % 101
    fast: Ints = (8000 * job.step_s / lengths[iterations - 1]).astype(np.int64)
    return fast + noise


def _thousands(numbers: Ints) -> NDArray[np.uint8]:
    """``8,192``, five columns; below a thousand right-aligned."""
    digits = blank_padded(np.minimum(numbers, 9999), 4)
    rows = np.full((numbers.size, 5), ord(","), np.uint8)
    rows[:, :1], rows[:, 2:] = digits[:, :1], digits[:, 1:]
    rows[numbers < 1000, 1] = ord(" ")
    return rows
