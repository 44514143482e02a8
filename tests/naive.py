"""What each parsing kernel means, written to be read."""

from __future__ import annotations

import re

_WORD = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")
_DIGIT = re.compile(rb"[0-9]")


def segments(data: bytes) -> list[tuple[int, int, int, int]]:
    """Return (start, stop, begin of the line, index of the line) of each segment."""
    found = []
    at = 0
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for index, line in enumerate(lines):
        start = at
        mine = []
        for piece in line.split(b"\r"):
            if piece:
                mine.append((start, start + len(piece), at, index))
            start += len(piece) + 1
        ended = at + len(line) < len(data)
        if not mine and (ended or line.strip(b"\r")):
            # An empty line is a line: its last (empty) piece stands for it.
            mine.append((at + len(line), at + len(line), at, index))
        found.extend(mine)
        at += len(line) + 1
    return found


def masked(line: bytes) -> bytes:
    """Return the line with each word that holds a digit replaced by a NUL."""
    return _WORD.sub(lambda m: b"\x00" if _DIGIT.search(m[0]) else m[0], line.replace(b"\x00", b"\x01"))


def words_with_digits(line: bytes) -> list[tuple[int, int]]:
    return [m.span() for m in _WORD.finditer(line) if _DIGIT.search(m[0])]


def codes(items: list[object]) -> list[int]:
    """Give each distinct item a code in order of appearance."""
    seen: dict[object, int] = {}
    return [seen.setdefault(item, len(seen)) for item in items]


def lines(data: bytes) -> list[tuple[int, int, bytes, bytes]]:
    """Return (number from 1, offset, bytes of the line, its last segment) of each line."""
    last = {index: (start, stop, begin) for start, stop, begin, index in segments(data)}
    found = []
    for index, (start, stop, begin) in last.items():
        line = data[begin:stop] if stop > start else b""
        found.append((index + 1, begin, line, data[start:stop]))
    return found
