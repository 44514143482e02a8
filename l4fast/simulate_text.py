"""The text of many ranks at once: lines of one width, their numbers filled in by NumPy.

A job of 1,024 ranks writes the same sentence 200,000 times with other numbers. Formatting
each in Python costs 600 ns a line and more; filling the digit columns of one byte matrix
costs about 30. The price is that all rows of a matrix are equally wide, so a caller groups
rows whose numbers have the same count of digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l4fast.regexes import regex

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

_HOLE = regex(r"\{(\w+)(?::(\d+)(?:-(\d+))?)?\}")
_PAIRS = np.frombuffer("".join(f"{i:02d}" for i in range(100)).encode(), np.uint8).reshape(100, 2)
_TRIPLES = np.frombuffer("".join(f"{i:03d}" for i in range(1000)).encode(), np.uint8).reshape(1000, 3)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True)
class Hole:
    """Where a value stands in a `Line`: columns ``column .. column + width``."""

    name: str
    column: int
    width: int
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class Line:
    """A text with holes, compiled for one set of widths.

    Holes are ``{name}`` (its width is in ``widths``), ``{r:100-999}`` (a random number, both
    ends of one width) and ``{hex:8}`` (that many random hexadecimal digits).
    """

    base: Bytes
    holes: tuple[Hole, ...]


def compile_line(text: str, widths: Mapping[str, int]) -> Line:
    """Return the `Line` of ``text``; ``widths`` holds the columns of each named hole.

    >>> line = compile_line("step {it} done", {"it": 3})
    >>> fill(line, 2, {"it": np.array([7, 8])}, np.random.default_rng(0)).tobytes()
    b'step 007 donestep 008 done'
    """
    parts: list[bytes] = []
    holes: list[Hole] = []
    column = position = 0
    for match in _HOLE.finditer(text):
        literal = text[position : match.start()].encode()
        name, first, second = match.groups()
        if name == "hex":
            hole = Hole(name, column + len(literal), int(first))
        elif name == "r":
            hole = Hole(name, column + len(literal), len(second), int(first), int(second))
        else:
            hole = Hole(name, column + len(literal), widths[name])
        parts += [literal, b"0" * hole.width]
        holes.append(hole)
        column += len(literal) + hole.width
        position = match.end()
    parts.append(text[position:].encode())
    return Line(np.frombuffer(b"".join(parts), np.uint8), tuple(holes))


def fill(line: Line, n_rows: int, values: Mapping[str, NDArray[Any]], rng: np.random.Generator) -> Bytes:
    """Return uint8[n_rows, width]: the line once a row.

    ``values`` holds int64[n_rows] for a number, uint8[n_rows, width] for text.
    """
    rows = np.empty((n_rows, line.base.size), np.uint8)
    rows[:] = line.base
    for hole in line.holes:
        target = rows[:, hole.column : hole.column + hole.width]
        if hole.name == "hex":
            target[:] = _HEX[rng.integers(0, 16, target.shape, np.uint8)]
        elif hole.name == "r":
            put_number(target, rng.integers(hole.low, hole.high + 1, n_rows))
        elif values[hole.name].ndim == 2:
            target[:] = values[hole.name]
        else:
            put_number(target, values[hole.name])
    return rows


def put_number(target: Bytes, numbers: Ints) -> None:
    """Write ``numbers`` in decimal, with leading zeros, into uint8[n_rows, width]."""
    column = target.shape[1]
    rest = numbers
    while column > 0:
        size = min(3, column)
        if size == column:
            head = rest
        else:
            rest, head = np.divmod(rest, 1000)
        if size == 3:
            target[:, column - 3 : column] = _TRIPLES[head]
        elif size == 2:
            target[:, column - 2 : column] = _PAIRS[head]
        else:
            target[:, 0] = head + 48
        column -= size


def stamps(nanoseconds: Ints, *, separator: str = " ", point: str = ",", digits: int = 3) -> Bytes:
    """Return ``2026-05-07 15:49:31,123`` a row, of times in ns since 1970.

    ``digits`` of the second's fraction are written; 0 leaves the point out too.
    """
    seconds, fraction = np.divmod(nanoseconds, 1_000_000_000)
    days, second = np.divmod(seconds, 86_400)
    first = int(days.min())
    names = np.datetime_as_string(np.arange(first, int(days.max()) + 1).astype("datetime64[D]"))
    table = np.frombuffer("".join(names.tolist()).encode(), np.uint8).reshape(-1, 10)
    rows = np.empty((nanoseconds.size, 19 + (1 + digits if digits else 0)), np.uint8)
    rows[:, :10] = table[days - first]
    rows[:, 10] = ord(separator)
    rows[:, 13] = rows[:, 16] = ord(":")
    rows[:, 11:13] = _PAIRS[second // 3600]
    rows[:, 14:16] = _PAIRS[second // 60 % 60]
    rows[:, 17:19] = _PAIRS[second % 60]
    if digits:
        rows[:, 19] = ord(point)
        put_number(rows[:, 20:], fraction // 10 ** (9 - digits))
    return rows


def text_table(words: list[str]) -> Bytes:
    """Return uint8[n_words, width] of equally long words, to be indexed by row."""
    return np.frombuffer("".join(words).encode(), np.uint8).reshape(len(words), -1)


def blank_padded(numbers: Ints, width: int) -> Bytes:
    """Return uint8[n, width]: decimal, right-aligned with blanks, as srun writes its labels."""
    rows = np.empty((numbers.size, width), np.uint8)
    put_number(rows, numbers)
    for column in range(width - 1):
        rows[numbers < 10 ** (width - 1 - column), column] = ord(" ")
    return rows


def hex_text(numbers: Ints, width: int) -> Bytes:
    """Return uint8[n, width]: the last ``width`` hexadecimal digits of each number."""
    shifts = 4 * np.arange(width - 1, -1, -1)
    digits: Bytes = _HEX[(numbers[:, None] >> shifts) & 15]
    return digits
