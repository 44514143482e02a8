"""Lines in which a process, or a launcher about one, says who it is: rank, host, process id."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from l4fast.job import Job
from l4fast.signature import Signature

_HOSTLIKE = re.compile(r"^(?=.*[A-Za-z])[A-Za-z0-9][\w.\-]*$")
_NOT_HOSTS = frozenset(
    [
        "localhost",
        "none",
        "null",
        "true",
        "false",
        "cpu",
        "cuda",
        "gpu",
        "rank",
        "node",
        "host",
        "all",
        "any",
        "unknown",
        "training",
        "error",
    ]
)
_NAMING = frozenset(("host", "rank", "pid", "task", "node"))


def clean_host(name: str | None) -> str | None:
    """Return a host's short name, or None if the text is no name of a host."""
    if not name:
        return None
    name = name.strip().strip("'\"`,;()[]<>").rstrip(":.")
    short = name.split(".")[0] if not name.replace(".", "").isdigit() else name
    if not short or short.lower() in _NOT_HOSTS or not _HOSTLIKE.match(short):
        return None
    return short


@dataclass(frozen=True)
class Said:
    """One line in which a process (or a launcher about one) says who it is."""

    row: int
    speaker: int
    stream: int
    line: int
    rank: int | None
    local_rank: int | None
    host: str | None
    pid: int | None
    world: int | None
    is_failure: bool
    address: str | None = None
    exit_code: str | None = None
    is_task: bool = False


def identities(job: Job, rows_in: np.ndarray | None) -> tuple[list[Said], int | None]:
    """Read the lines of shapes that an identity marker or a naming failure matches.

    Returns what they say and the world size that the job itself names, if it does.
    """
    found: list[Said] = []
    wanted: dict[int, list[tuple[Signature, bool]]] = {}
    for i, note in enumerate(job.notes):
        patterns = [(s, False) for s in note.markers if s.marker == "identity"]
        patterns += [
            (s, True)
            for s in note.failures[:1]
            if any(name.rstrip("0123456789") in _NAMING for name in s.regex.groupindex)
        ]
        if patterns:
            wanted[i] = patterns
    if not wanted:
        return found, None
    rows = job.rows
    worlds: Counter[int] = Counter()
    for row, raw in enumerate(rows.raw.tolist()):
        if raw not in wanted or (rows_in is not None and not rows_in[row]):
            continue
        where = (int(rows.stream[row]), int(rows.line[row]))
        if where not in job.texts:
            continue
        text = job.content(row)
        for signature, is_failure in wanted[raw]:
            groups = signature.read(text)
            if not groups:
                continue
            world = _int(groups.get("world") or groups.get("world_size"))
            if world is not None and 0 < world < 10_000_000:
                worlds[world] += 1
            ranks = numbers(groups.get("rank") or groups.get("task"))
            each: list[int | None] = [*ranks] if ranks else [None]
            for rank in each:
                found.append(
                    Said(
                        row=row,
                        speaker=int(rows.speaker[row]),
                        stream=where[0],
                        line=where[1],
                        rank=rank,
                        local_rank=_int(groups.get("local_rank")),
                        host=clean_host(groups.get("host") or groups.get("node")),
                        pid=_int(groups.get("pid")),
                        world=world,
                        is_failure=is_failure,
                        address=groups.get("address"),
                        exit_code=groups.get("exit_code"),
                        is_task="rank" not in groups and "task" in groups,
                    )
                )
    expected: int | None = None
    if worlds:
        # Sub-communicators have a world of their own; the job's is the largest.
        expected = max(worlds)
        sub = {s.row for s in found if s.world is not None and s.world < expected}
        found = [s if s.row not in sub else _without_rank(s) for s in found]
    return found, expected


def _without_rank(said: Said) -> Said:
    return replace(said, rank=None)


def agents_of(said: Sequence[Said], local_ranks: Iterable[int | None]) -> list[Said] | None:
    """Return ``said`` without the ranks of tasks where a task is a node's agent, else None.

    A scheduler then starts one task a node, and that starts the node's processes.
    """
    task_of: dict[str, set[int]] = defaultdict(set)
    rank_of: dict[str, set[int]] = defaultdict(set)
    local = {s.local_rank for s in said} | set(local_ranks)
    for s in said:
        if s.host is not None and s.rank is not None:
            (task_of if s.is_task else rank_of)[s.host].add(s.rank)
    tasks = [task for found in task_of.values() for task in found]
    if len(task_of) < 2 or len(tasks) != len(task_of) or len(set(tasks)) != len(tasks):
        return None
    several = any(n is not None and n > 0 for n in local)
    several |= any(ranks - task_of.get(host, set()) for host, ranks in rank_of.items())
    return [_without_rank(s) if s.is_task else s for s in said] if several else None


def small(text: str | None) -> int | None:
    """Read a number of at most 15 digits: a longer one is no rank and no process."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 15 else None


def _int(text: str | None) -> int | None:
    return small(text)


def numbers(text: str | None) -> list[int]:
    """Read `3`, `0-3`, `0,2-4` (Slurm's lists) or `3 17` (numpy's); at most 65,536 numbers."""
    if not text or not re.fullmatch(r"[\d,\- ]+", text):
        return []
    found: list[int] = []
    for piece in re.split(r"[, ]+", re.sub(r" ?- ?", "-", text.strip())):
        low, _, high = piece.partition("-")
        if low.isdigit():
            last = int(high) if high.isdigit() else int(low)
            found.extend(range(int(low), min(last, int(low) + 65536) + 1))
    return found[:65536]
