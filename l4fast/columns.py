"""The columns of one parsed chunk, as arrays; Arrow meets them in `l4fast.table`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Columns:
    """One row per segment of a chunk.

    All arrays are views that the next chunk overwrites, but for line, offset, length and time:
    a record batch holds them as they are.

    Attributes
    ----------
    buf : uint8[size]
    start, stop, origin, raw, shape, speaker : int32[n]
    line, offset : int64[n]
        Line number from 1; byte offset of the line in its stream.
    length : int32[n]
        Bytes of the line up to the end of the segment.
    time : int64[n]
        Microseconds since 1970, or `NO_TIME`.
    zoned, skip : uint8[n]
        Whether the time told its zone; whether a later segment stands for the line.
    level : int8[n]
        Index into `LEVELS`.
    coloured : bool
        Whether the chunk held colour codes: in ``buf`` they are hushed (see `l4fast.colours`).
    """

    stream: int
    buf: np.ndarray
    size: int
    n: int
    n_lines: int
    start: np.ndarray
    stop: np.ndarray
    origin: np.ndarray
    raw: np.ndarray
    shape: np.ndarray
    speaker: np.ndarray
    line: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    time: np.ndarray
    zoned: np.ndarray
    skip: np.ndarray
    level: np.ndarray
    coloured: bool
