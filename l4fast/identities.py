"""Lines in which a process, or a launcher about one, says who it is: rank, host, process id."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

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
        if rows.text_size[row] < 0:
            continue
        where = (int(rows.stream[row]), int(rows.line[row]))
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
    return Said(
        said.row, said.speaker, said.stream, said.line, None, said.local_rank, said.host, said.pid,
        said.world, said.is_failure, said.address, said.exit_code,
    )  # fmt: skip


def small(text: str | None) -> int | None:
    """Read a number of at most 15 digits: a longer one is no rank and no process."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 15 else None


def _int(text: str | None) -> int | None:
    return small(text)


def numbers(text: str | None) -> list[int]:
    """Read `3`, `0-3` or `0,2-4` (Slurm's lists); at most 65,536 numbers."""
    if not text or not re.fullmatch(r"[\d,\- ]+", text):
        return []
    found: list[int] = []
    for piece in text.replace(" ", "").split(","):
        low, _, high = piece.partition("-")
        if low.isdigit():
            last = int(high) if high.isdigit() else int(low)
            found.extend(range(int(low), min(last, int(low) + 65536) + 1))
    return found[:65536]
