"""A stream becomes chunks of whole lines.

Nothing here looks at what a line says. Trouble with a file ends it and becomes an `Unreadable`,
a sentence for the reader of the answer.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from l4fast import codecs
from l4fast.source import Stream, Unreadable, spooled, standard_input, why

MAX_LINE_BYTES = 64 << 20
# Kernels work on blocks of 64 bytes and may look one block ahead.
PADDING_BYTES = 128
_PAGE = 4096
# A compressed file at least this large is unpacked by a thread of its own.
_AHEAD_BYTES = 1 << 20


@dataclass
class Chunk:
    """Whole lines of a stream; only the last chunk may end without a newline.

    ``data`` is uint8, starts at a multiple of 64 bytes, holds ``size`` valid bytes and then
    `PADDING_BYTES` zeros. ``offset`` is the (decompressed) byte offset of ``data[0]``, ``skipped`` how many
    bytes of a line that was cut came behind ``data`` and are not in it.
    """

    data: NDArray[np.uint8]
    size: int
    offset: int
    last: bool
    skipped: int = 0


class _Reader:
    """The unpacked bytes of a stream, or of a range of it; trouble ends them and is told in ``problem``."""

    def __init__(self, stream: Stream, begin: int = 0, end: int | None = None) -> None:
        self.problem = ""
        self._fd = os.open(stream.path or "", os.O_RDONLY | os.O_CLOEXEC)
        if stream.size > _AHEAD_BYTES:
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        # A live file may grow: every pass reads the same bytes.
        self._limit = stream.size if end is None else end
        self._size = stream.size
        self._pos = begin
        self._pieces = codecs.decode(self._fd, stream.codec) if stream.codec else None
        self._piece = memoryview(b"")
        self._peeked = b""
        self._ended = False

    def close(self) -> None:
        os.close(self._fd)

    def more(self) -> bool:
        """Whether at least one byte is left."""
        if self._pieces is None and self._limit and self._pos >= self._limit:
            return bool(self._peeked)
        if not self._peeked:
            one = np.empty(1, np.uint8)
            self._peeked = one[: self._some(one)].tobytes()
        return bool(self._peeked)

    def fill(self, room: NDArray[np.uint8]) -> int:
        """Fill ``room`` as far as there are bytes; return how many."""
        filled = len(self._peeked) if room.size else 0
        if filled:
            room[0] = self._peeked[0]
            self._peeked = b""
        while filled < room.size and (n := self._some(room[filled:])):
            filled += n
        return filled

    def _some(self, room: NDArray[np.uint8]) -> int:
        if self._ended:
            return 0
        try:
            n = self._plain(room) if self._pieces is None else self._unpacked(room)
        except codecs.Damaged as damage:
            self.problem = str(damage)
            n = 0
        except OSError as error:
            self.problem = f"at byte {self._pos} {why(error)}; what came before was read"
            n = 0
        self._ended = n == 0
        return n

    def _plain(self, room: NDArray[np.uint8]) -> int:
        left = self._limit - self._pos if self._limit else room.size
        n = os.preadv(self._fd, [room[:left].data], self._pos) if left else 0
        self._pos += n
        if n == 0 and self._pos < self._limit:
            now = os.fstat(self._fd).st_size
            self.problem = f"it shrank from {self._size} to {now} bytes while it was read: run again"
        return n

    def _unpacked(self, room: NDArray[np.uint8]) -> int:
        assert self._pieces is not None
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
        n = min(len(self._piece), room.size)
        room[:n] = np.frombuffer(self._piece[:n], np.uint8)
        self._piece = self._piece[n:]
        self._pos += n
        return n


def _room(size: int) -> NDArray[np.uint8]:
    """Return a buffer that can hold ``size`` bytes and the padding from any place in its first page on."""
    buffer = np.empty(size + PADDING_BYTES + 2 * _PAGE, np.uint8)
    return buffer[-buffer.ctypes.data % _PAGE :]


def _placed(buffer: NDArray[np.uint8], offset: int) -> NDArray[np.uint8]:
    """Return the part of ``buffer`` where the bytes from ``offset`` on belong.

    Place in the page as in the file, rounded down to 64: a copy whose destination lies 1 to
    63 bytes after its source, modulo the page, runs at 3 GB/s instead of 14 (the processor
    takes the loads for the stores just made).
    """
    return buffer[offset % _PAGE // 64 * 64 :]


def _line_end(data: NDArray[np.uint8], size: int) -> int:
    """Return the offset after the last newline in ``data[:size]``, 0 if there is none."""
    stop, window = size, 4096
    while stop > 0:
        start = max(stop - window, 0)
        found = data[start:stop].tobytes().rfind(b"\n")
        if found >= 0:
            return start + found + 1
        stop, window = start, min(window * 4, 1 << 20)
    return 0


def chunks(
    stream: Stream,
    *,
    chunk_bytes: int = 16 << 20,
    reuse: bool = True,
    problems: list[Unreadable] | None = None,
    stdin: BinaryIO | None = None,
    begin: int = 0,
    end: int | None = None,
    buffers: deque[NDArray[np.uint8]] | None = None,
) -> Iterator[Chunk]:
    """Yield a stream's bytes, unpacked, as chunks of whole lines in their order.

    Parameters
    ----------
    chunk_bytes : int
        About how large a chunk is; longer where one line is longer.
    reuse : bool
        A chunk is overwritten when the next one is asked for. False: each owns its memory.
    problems : list of Unreadable, appended to
        What could not be read, and lines that were cut. No error of the file is raised.
    stdin : file, optional
        What ``-`` stands for, if nobody has called `spool`; else the process's own.
    begin, end : int
        The bytes of a stream that is not compressed, if not all of it; each line is whole in them.
    buffers : deque, read and written
        What chunks of this size were read into before: thousands of small files need not touch new memory.
    """
    told = [] if problems is None else problems
    if stream.path is None:
        found = spooled(stdin or standard_input(), stream.name)
        if isinstance(found, str):
            told.append(Unreadable(stream.name, found))
            return
        stream = found
    ahead = bool(stream.codec) and stream.size >= _AHEAD_BYTES
    # One chunk with the consumer, one that waits, one that is being filled.
    n_buffers = (3 if ahead else 1) if reuse else 0
    size = min(max(chunk_bytes, 1), MAX_LINE_BYTES + 1)
    held: deque[NDArray[np.uint8]] = deque() if buffers is None else buffers
    made = _cut(stream, begin, end, size, n_buffers, held, told)
    yield from _in_thread(made) if ahead else made


def _cut(
    stream: Stream,
    begin: int,
    end: int | None,
    chunk_bytes: int,
    n_buffers: int,
    buffers: deque[NDArray[np.uint8]],
    told: list[Unreadable],
) -> Generator[Chunk]:
    """Yield the chunks of a stream, in turns on ``n_buffers`` buffers; 0: each on its own."""
    try:
        reader = _Reader(stream, begin, end)
    except OSError as error:
        told.append(Unreadable(stream.name, why(error)))
        return
    try:
        tail = b""
        offset = begin
        is_last = False
        while not is_last:
            capacity = min(max(chunk_bytes, 2 * len(tail)), MAX_LINE_BYTES + 1)
            if capacity > chunk_bytes or len(buffers) < n_buffers or not n_buffers:
                buffer = _room(capacity)
            else:
                buffer = buffers.popleft()  # the one given longest ago
            if capacity == chunk_bytes and n_buffers:
                buffers.append(buffer)
            data = _placed(buffer, offset)
            data[: len(tail)] = np.frombuffer(tail, np.uint8)
            filled = len(tail) + reader.fill(data[len(tail) : capacity])
            line_end = _line_end(data, filled)
            while not line_end and filled == capacity <= MAX_LINE_BYTES:
                capacity = min(2 * capacity, MAX_LINE_BYTES + 1)
                old, data = data, _placed(_room(capacity), offset)
                data[:filled] = old[:filled]
                filled += reader.fill(data[filled:capacity])
                line_end = _line_end(data, filled)
            if not line_end and filled > MAX_LINE_BYTES:
                size, line_bytes, tail = _skip_line(reader, data)
                told.append(cut_line(stream.name, line_bytes, offset))
                consumed = line_bytes + (size > MAX_LINE_BYTES)
                is_last = not tail and not reader.more()
            else:
                is_last = not reader.more()
                size = consumed = filled if is_last else line_end
                tail = data[size:filled].tobytes()
            if size:
                data[size : size + PADDING_BYTES] = 0
                yield Chunk(data[: size + PADDING_BYTES], size, offset, is_last, consumed - size)
            offset += consumed
        if reader.problem:
            told.append(Unreadable(stream.name, reader.problem))
    finally:
        reader.close()


def _skip_line(reader: _Reader, data: NDArray[np.uint8]) -> tuple[int, int, bytes]:
    """Cut a line of which ``data`` holds the first ``MAX_LINE_BYTES + 1`` bytes, and read past its end.

    Returns the bytes kept, its newline included if it has one, how long the line was
    without it, and the first bytes of what follows.
    """
    line_bytes = MAX_LINE_BYTES + 1
    scratch = np.empty(min(1 << 20, MAX_LINE_BYTES + 1), np.uint8)
    while n := reader.fill(scratch):
        rest = scratch[:n].tobytes()
        end = rest.find(b"\n")
        if end >= 0:
            data[MAX_LINE_BYTES] = ord("\n")
            return MAX_LINE_BYTES + 1, line_bytes + end, rest[end + 1 :]
        line_bytes += n
    return MAX_LINE_BYTES, line_bytes, b""


def cut_line(name: str, line_bytes: int, offset: int) -> Unreadable:
    """Say that a line of a stream was cut: how long it is, and where it begins."""
    limit = f"{MAX_LINE_BYTES >> 20} MiB" if MAX_LINE_BYTES >> 20 else f"{MAX_LINE_BYTES} bytes"
    reason = f"a line of {line_bytes} bytes at byte {offset} was cut to {limit}"
    return Unreadable(name, reason, goes_on=True)


def _in_thread(made: Generator[Chunk]) -> Iterator[Chunk]:
    """Yield what ``made`` yields, made in a thread one chunk ahead of the one that waits.

    Closing this generator stops the thread and waits for it.
    """
    ready: SimpleQueue[Chunk | BaseException | None] = SimpleQueue()
    free = threading.Semaphore(1)  # how many more may be made before the next is taken
    stopped = threading.Event()

    def work() -> None:
        try:
            for chunk in made:
                ready.put(chunk)
                free.acquire()
                if stopped.is_set():
                    break
            made.close()
            ready.put(None)
        except BaseException as error:
            ready.put(error)

    thread = threading.Thread(target=work, name="l4fast-unpack", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
            free.release()
    finally:
        stopped.set()
        free.release()
        thread.join()


def line_at(stream: Stream, offset: int, *, most: int = 1 << 14) -> bytes | None:
    """Return what a terminal shows of the line that begins at ``offset``: its last segment.

    Only its first ``most`` bytes are looked at. None where it cannot be read any more, or only by unpacking
    all that comes before it.
    """
    if stream.codec or stream.path is None:
        return None
    try:
        fd = os.open(stream.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        line = os.pread(fd, most, offset).split(b"\n", 1)[0]
    except OSError:
        return None
    finally:
        os.close(fd)
    return next((segment for segment in reversed(line.split(b"\r")) if segment), b"")
