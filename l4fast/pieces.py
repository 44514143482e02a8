"""Who reads what: streams, and ranges of large ones, dealt out to workers that read side by side.

A range begins with a line that has a time of its own: lines without one take that of the line above,
so no such line may be the first. A compressed file can only be read from its begin.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from l4fast.chunks import chunks
from l4fast.parse import Parser
from l4fast.source import Stream
from l4fast_kernels.times import NO_TIME

LEAST_BYTES = 32 << 20  # of a range: cutting costs milliseconds, and each range has speakers of its own
SEARCHED_BYTES = 4 << 20  # behind the wanted cut, for a line with a time
_WINDOW = 1 << 18


class Piece(NamedTuple):
    """Bytes ``begin`` to ``end`` (None: all that are left) of a stream; pieces of a job are numbered."""

    number: int
    stream: int
    begin: int = 0
    end: int | None = None
    size: int = 0


def pieces(streams: Sequence[Stream], workers: int, *, reference_day: int) -> list[Piece]:
    """Return the pieces of all streams, in the order of streams and bytes."""
    found: list[Piece] = []
    for index, stream in enumerate(streams):
        cuts = [0, *_cuts(stream, workers, reference_day)]
        ends = [*cuts[1:], None]
        for begin, end in zip(cuts, ends, strict=True):
            size = (stream.size if end is None else end) - begin
            found.append(Piece(len(found), index, begin, end, size))
    return found


def processors() -> int:
    """Return on how many processors this process may run."""
    return len(os.sched_getaffinity(0))


def deal(all_pieces: Sequence[Piece], workers: int) -> list[list[Piece]]:
    """Deal the pieces out by size, biggest first, so that the workers end together."""
    n = min(workers, max(len(all_pieces), 1))
    shares: list[list[Piece]] = [[] for _ in range(n)]
    load_of = [0] * n
    for piece in sorted(all_pieces, key=lambda p: (-p.size, p.number)):
        k = load_of.index(min(load_of))
        shares[k].append(piece)
        load_of[k] += piece.size + 1
    return [sorted(share, key=lambda p: p.number) for share in shares]


def _cuts(stream: Stream, workers: int, reference_day: int) -> list[int]:
    """Return where to cut a stream so that each of ``workers`` reads about as much; none if it is small."""
    n = min(workers, stream.size // LEAST_BYTES)
    if n < 2 or stream.codec or stream.path is None:
        return []
    wanted = [stream.size * k // n for k in range(1, n)]
    found = {_timed_line(stream, at, min(at + SEARCHED_BYTES, stream.size), reference_day) for at in wanted}
    return sorted(cut for cut in found if cut is not None)


def _timed_line(stream: Stream, at: int, end: int, reference_day: int) -> int | None:
    """Return where the first line behind ``at`` begins that has its own time; None: not before ``end``."""
    parser = Parser(reference_day=reference_day)
    is_first = True  # what stands at ``at`` is the rest of a line
    for chunk in chunks(stream, chunk_bytes=_WINDOW, begin=at, end=end):
        # Not "last": what is open at the end of the range goes on behind it.
        cols = parser.feed(chunk.data, chunk.size, stream=0, offset=chunk.offset, first_line=1, last=False)
        opens = np.ones(cols.n, bool)
        opens[1:] = cols.line[1:] != cols.line[:-1]
        opens &= cols.line > is_first
        timed = np.flatnonzero(opens & (cols.time != NO_TIME))
        if timed.size:
            return int(cols.offset[timed[0]])
        is_first = False
    return None
