"""Pieces of a stream as they come -> whole lines; a line that is not ended waits for its rest.

The same rules as for files (`l4fast.chunks`): a line of more than `MAX_LINE_BYTES` is cut, and told.
"""

from __future__ import annotations

from collections.abc import Iterator

from l4fast import chunks
from l4fast.source import Unreadable, printable

PIECE_BYTES = 4 << 20  # a larger piece is taken in parts: only the first line of each may be long


class OpenLines:
    """The open line of one stream.

    Attributes
    ----------
    name : str
        The stream's name as valid UTF-8.
    offset : int
        Where the open line begins in the stream, in bytes.
    problems : list of Unreadable
        Lines that were cut.
    """

    def __init__(self, name: str) -> None:
        self.name = _readable(name)
        self.offset = 0
        self.problems: list[Unreadable] = []
        self._held = bytearray()
        self._dropped = 0  # bytes of the open line that are not held

    def add(self, data: bytes) -> Iterator[tuple[bytes, int, int]]:
        """Yield whole lines, where they begin in the stream, and how many bytes of them were cut out."""
        for begin in range(0, len(data), PIECE_BYTES):
            piece = data[begin : begin + PIECE_BYTES]
            end = piece.rfind(b"\n") + 1
            at = 0
            if end and len(self._held) + self._dropped + end > chunks.MAX_LINE_BYTES:
                at = piece.index(b"\n") + 1
                self._hold(piece[: at - 1])
                yield self._whole(b"\n")
            if end > at:
                yield self._whole(piece[at:end])
            self._hold(piece[end:])

    def rest(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield the open line, if there is one: the stream has ended."""
        if self._held:
            yield self._whole(b"")

    def _hold(self, data: bytes) -> None:
        room = chunks.MAX_LINE_BYTES - len(self._held)
        self._held += data[:room]
        self._dropped += max(len(data) - room, 0)

    def _whole(self, data: bytes) -> tuple[bytes, int, int]:
        lines, begin, dropped = bytes(self._held) + data, self.offset, self._dropped
        if dropped:
            self.problems.append(chunks.cut_line(self.name, len(self._held) + dropped, begin))
        self._held.clear()
        self._dropped = 0
        self.offset = begin + len(lines) + dropped
        return lines, begin, dropped


def _readable(name: str) -> str:
    try:
        return printable(name)
    except UnicodeEncodeError:  # half a character, which no file's name holds
        return name.encode("utf-8", "backslashreplace").decode()
