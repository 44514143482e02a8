"""Lines in which a process, or a launcher about one, says who it is: rank, host, process id."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import NamedTuple, TypeVar

import numpy as np

from l4fast.job import Job
from l4fast.readings import Reading
from l4fast.signature import Signature

_T = TypeVar("_T")

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


class Said(NamedTuple):
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
    for i, note in enumerate(job.notes):
        patterns = [(s, False) for s in note.markers if s.marker == "identity"]
        patterns += [
            (s, True)
            for s in note.failures[:1]
            if any(name.rstrip("0123456789") in _NAMING for name in s.regex.groupindex)
        ]
        mine = job.rows_of_raw(i) if patterns else _NO_ROWS
        mine = mine[job.rows.text_size[mine] >= 0]
        if rows_in is not None:
            mine = mine[rows_in[mine]]
        for signature, is_failure in patterns if mine.size else ():
            found += _read(job, mine, signature, is_failure)
    found.sort(key=itemgetter(0))  # stable: what one line says stays in the order of the signatures
    expected: int | None = None
    worlds = {s.world for s in found if s.world is not None and 0 < s.world < 10_000_000}
    if worlds:
        # Sub-communicators have a world of their own; the job's is the largest.
        expected = max(worlds)
        sub = {s.row for s in found if s.world is not None and s.world < expected}
        found = [s if s.row not in sub else s._replace(rank=None) for s in found]
    return found, expected


_NO_ROWS = np.zeros(0, np.int64)


def _read(job: Job, mine: np.ndarray, signature: Signature, is_failure: bool) -> Iterator[Said]:
    """Yield what a signature reads from rows (int64[n]) of one raw shape."""
    rows, reading = job.rows, Reading(job, mine, signature.regex)
    whole = (mine, rows.speaker[mine], rows.stream[mine], rows.line[mine])
    for places, spans in reading.parts():
        if not spans:
            continue
        who = [column[places].tolist() for column in whole]
        n = len(places)
        text = {name: reading.texts(name, places) for name in spans}
        nothing: list[None] = [None] * n
        ranks = _each(text.get("rank") or text.get("task"), _ranks) or [[None]] * n
        rest = (
            _each(text.get("local_rank"), small) or nothing,
            _each(text.get("host") or text.get("node"), clean_host) or nothing,
            _each(text.get("pid"), small) or nothing,
            _each(text.get("world") or text.get("world_size"), small) or nothing,
            [is_failure] * n,
            text.get("address") or nothing,
            text.get("exit_code") or nothing,
        )
        for row, speaker, stream, line, several, *others in zip(*who, ranks, *rest, strict=True):
            for rank in several:
                yield Said(row, speaker, stream, line, rank, *others)


def _each(texts: list[str] | None, read: Callable[[str], _T]) -> list[_T]:
    """Return what ``read`` makes of each text; each different one is read once."""
    known = {text: read(text) for text in set(texts or ())}
    return [known[text] for text in texts or ()]


def _ranks(text: str) -> list[int] | list[None]:
    return numbers(text) or [None]


def small(text: str | None) -> int | None:
    """Read a number of at most 15 digits: a longer one is no rank and no process."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 15 else None


def numbers(text: str | None) -> list[int]:
    """Read `3`, `0-3` or `0,2-4` (Slurm's lists); at most 65,536 numbers."""
    if not text:
        return []
    if text.isdecimal():
        return [int(text)]
    if not re.fullmatch(r"[\d,\- ]+", text):
        return []
    found: list[int] = []
    for piece in text.replace(" ", "").split(","):
        low, _, high = piece.partition("-")
        if low.isdigit():
            last = int(high) if high.isdigit() else int(low)
            found.extend(range(int(low), min(last, int(low) + 65536) + 1))
    return found[:65536]
