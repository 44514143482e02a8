"""Files, folders, globs and pipes become streams; a stream becomes chunks of whole lines.

Nothing here looks at what a line says. `discover` finds the streams and says what it left
out and why; `chunks` reads one. Trouble with one file never stops the others: it becomes an
`Unreadable`, a sentence for the reader of the answer.
"""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from l4fast import codecs
from l4fast.errors import NothingToRead

STDIN = "-"
MAX_LINE_BYTES = 64 << 20
# Kernels work on blocks of 64 bytes and may look one block ahead.
PADDING_BYTES = 128

_PAGE = 4096
_HEAD_BYTES = 8 << 10
# A compressed file at least this large is unpacked by a thread of its own.
_AHEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Stream:
    """One file of lines.

    ``name`` and ``root`` are valid UTF-8 whatever the file system says (odd bytes appear as
    ``\\xNN``); ``path`` is what to open. ``path`` is None for a stdin that nobody has spooled.
    """

    name: str
    path: str | None
    codec: str  # "" gz zst xz bz2
    size: int  # bytes on disk
    mtime: float | None  # seconds since 1970
    root: str  # the given path that led here
    held: object = field(default=None, repr=False, compare=False)  # keeps a spooled file alive


@dataclass(frozen=True)
class Unreadable:
    """Something that could not be read, or not all of it; ``reason`` is a sentence."""

    file: str
    reason: str


@dataclass(frozen=True)
class Found:
    """What the given paths hold.

    ``skipped`` counts what was left out on purpose. ``layout_roots`` maps each given path
    (a `Stream.root`) to the folder below which names may tell node, attempt and rank: the
    given folder, the folder of a given file, the fixed part of a glob.
    """

    streams: tuple[Stream, ...]
    unreadable: tuple[Unreadable, ...]
    skipped: dict[str, int]
    layout_roots: dict[str, str]


@dataclass
class Chunk:
    """Whole lines of a stream; only the last chunk may end without a newline.

    ``data`` is uint8, starts at a multiple of 64 bytes, holds ``size`` valid bytes and then
    `PADDING_BYTES` zeros. ``offset`` is the (decompressed) byte offset of ``data[0]``.
    """

    data: NDArray[np.uint8]
    size: int
    offset: int
    last: bool


# ---------------------------------------------------------------- what there is to read

# Told by name, without opening them: a run's folder may hold thousands of shards.
_LEFT_OUT = {
    "checkpoint or event file": """
        .pt .pth .bin .safetensors .distcp .npy .npz .ckpt .index .idx .pkl .pickle .h5 .hdf5 .onnx .gguf
        .tfevents .wandb .safetensors.index.json .bin.index.json
    """,
    "binary": """
        .whl .so .a .pyc .png .jpg .jpeg .gif .svg .pdf .parquet .arrow .tfrecord .tfrecords .mp4 .wav
        .nsys-rep .qdrep .ncu-rep .nbi .nbc
    """,
    "source or settings": """
        .py .pyi .ipynb .c .cc .cpp .cu .cuh .h .hpp .js .css .html .md .rst .yaml .yml .toml .ini
        .sh .sbatch .slurm
    """,
}
_REASON_OF = {suffix: reason for reason, suffixes in _LEFT_OUT.items() for suffix in suffixes.split()}
_CHECKPOINT_NAMES = """
    config.json generation_config.json tokenizer.json tokenizer_config.json vocab.json merges.txt
    special_tokens_map.json added_tokens.json latest_checkpointed_iteration.txt
"""
_OPEN_PIPES = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")  # a shell's <(command); others may block
# Why a file is no stream, where a count says enough. Asked for by name, it deserves a sentence.
_COUNTED = ("same file",)
_COUNTED_IN_FOLDERS = ("binary", "archive", "empty", "not a regular file")


def _left_out(name: str) -> str:
    """Return why a file of this name in a folder is not even opened; "" if it is."""
    lower = name.lower()
    if lower in _CHECKPOINT_NAMES.split() or "tfevents" in lower:
        return "checkpoint or event file"
    return next((reason for suffix, reason in _REASON_OF.items() if lower.endswith(suffix)), "")


def printable(path: str) -> str:
    """Return ``path`` as valid UTF-8, bytes that are none as ``\\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def why(error: OSError) -> str:
    """Return a sentence for an error of the operating system, with what to do where that is known."""
    cause = os.strerror(error.errno) if error.errno else str(error)
    advice = {
        errno.EACCES: ": read it as its owner, or ask for read permission",
        errno.EPERM: ": read it as its owner, or ask for read permission",
        errno.ENOENT: ": it vanished, perhaps rotated away; run again",
        errno.ESTALE: ": the network file system lost it; list its folder and run again",
        errno.EIO: ": the storage below it fails",
        errno.ELOOP: ": its symbolic links lead in a circle",
        errno.EMFILE: ": raise `ulimit -n`",
    }
    return f"it cannot be read ({cause}){advice.get(error.errno or 0, '')}"


_DATED = re.compile(r"(.+?)[.-](20\d{6}(?:[-_T]?\d{4,6})?|20\d\d-\d\d-\d\d(?:[-_T.]\d\d[-:]?\d\d[-:]?\d\d)?)")
_NUMBERED = re.compile(r"(.+\.(?:log|out|err|txt))\.(\d{1,3})")
_PACKED = re.compile(r"\.(?:gz|zst|xz|bz2)$")


def _age(name: str) -> tuple[str, int, int, str, str]:
    """Return a sort key that puts rotated files oldest first, right before their newest.

    >>> sorted(["x.log", "x.log.1", "x.log.10.gz", "x.log-20260801", "y"], key=_age)
    ['x.log-20260801', 'x.log.10.gz', 'x.log.1', 'x.log', 'y']
    """
    plain = _PACKED.sub("", name)
    if match := _DATED.fullmatch(plain):
        return match[1], 0, 0, match[2], name
    if match := _NUMBERED.fullmatch(plain):
        return match[1], 1, -int(match[2]), "", name
    return plain, 2, 0, "", name


def _order(path: str) -> list[tuple[str, int, int, str, str]]:
    folder, name = os.path.split(path)
    return [(part, 2, 0, "", part) for part in folder.split(os.sep)] + [_age(name)]


class _Search:
    """What one `discover` has seen so far."""

    def __init__(self) -> None:
        self.files: set[tuple[int, int]] = set()  # (device, inode)
        self.streams: list[Stream] = []
        self.unreadable: list[Unreadable] = []
        self.skipped: Counter[str] = Counter()

    def refuse(self, path: str, reason: str) -> None:
        self.unreadable.append(Unreadable(printable(path), reason))

    def file(self, path: str, root: str, *, given: bool) -> None:
        """Take one file, refuse it, or count it as skipped; ``given``: somebody asked for this very file."""
        reason = "" if given else _left_out(os.path.basename(path))
        if reason:
            self.skipped[reason] += 1
            return
        try:
            status = os.stat(path)
            if given and stat.S_ISFIFO(status.st_mode) and path.startswith(_OPEN_PIPES):
                with open(path, "rb") as pipe:
                    found = _spooled(pipe, printable(path))
            elif not stat.S_ISREG(status.st_mode):
                found = "not a regular file"
            elif (status.st_dev, status.st_ino) in self.files:
                found = "same file"
            else:
                self.files.add((status.st_dev, status.st_ino))
                found = _look(path, status, printable(path), printable(root))
        except OSError as error:
            if not given and os.path.islink(path) and not os.path.exists(path):
                self.skipped["dangling link"] += 1
            else:
                self.refuse(path, why(error))
        else:
            if isinstance(found, Stream):
                self.streams.append(found)
            elif found in _COUNTED or (found in _COUNTED_IN_FOLDERS and not given):
                self.skipped[found] += 1
            else:
                self.refuse(path, _sentence(found))

    def folder(self, top: str) -> None:
        with self._expecting(top, "it is a folder without a log", "give the folder of the logs"):
            self._tree(top, top)

    def glob(self, pattern: str) -> None:
        """Take what a pattern matches; ``**`` stands for any number of folders."""
        with self._expecting(pattern, "it matches no log", "check the path, and quote the pattern"):
            if "**" not in pattern:
                for path in sorted(glob.glob(pattern), key=_order):
                    if os.path.isdir(path):
                        self._tree(path, pattern)
                    else:
                        self.file(path, pattern, given=False)
                return
            # glob's own ** enters a circle of links again and again; the walk does not.
            top = _fixed_part(pattern) or os.curdir
            n_fixed = len(_parts(top))
            inside = _parts(pattern)[n_fixed:]
            if os.path.isdir(top):
                self._tree(top, pattern, lambda path: _matches(_parts(path)[n_fixed:], inside))

    @contextmanager
    def _expecting(self, path: str, what: str, advice: str) -> Iterator[None]:
        """Refuse ``path`` if what is done meanwhile finds nothing, tells nothing, and nothing was known."""
        skipped = self.skipped.copy()
        told = len(self.streams), len(self.unreadable)
        yield
        left = self.skipped - skipped
        if told == (len(self.streams), len(self.unreadable)) and not left["same file"]:
            listed = ", ".join(f"{left[reason]} {reason}" for reason in sorted(left)) or "nothing"
            self.refuse(path, f"{what} (found: {listed}): {advice}")

    def _tree(self, top: str, root: str, keep: Callable[[str], bool] = lambda path: True) -> None:
        """Take the files below ``top``, sorted; real ones before those that a symbolic link leads to."""
        first = len(self.streams)
        real, linked = self._walk(top)
        for path in sorted(filter(keep, real), key=_order) + sorted(filter(keep, linked), key=_order):
            self.file(path, root, given=False)
        self.streams[first:] = sorted(self.streams[first:], key=lambda stream: _order(stream.path or ""))

    def _walk(self, top: str) -> tuple[list[str], list[str]]:
        """Return the paths of all files below ``top``: real ones, and those behind a symbolic link.

        Each folder is entered once, under its real name where it has one here, so circles end.
        """
        files: tuple[list[str], list[str]] = [], []
        entered: set[tuple[int, int]] = set()
        todo = [(top, False)]
        later: list[tuple[str, bool]] = []
        while todo or later:
            folder, via_link = todo.pop() if todo else later.pop(0)
            try:
                status = os.stat(folder)
                if (status.st_dev, status.st_ino) in entered:
                    continue
                entered.add((status.st_dev, status.st_ino))
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
                for entry in entries:
                    is_link = entry.is_symlink()
                    if entry.name.startswith("."):
                        self.skipped["hidden"] += 1
                    # entry.is_dir() raises for a link that leads to itself.
                    elif os.path.isdir(entry.path) if is_link else entry.is_dir():
                        (later if is_link else todo).append((entry.path, via_link or is_link))
                    else:
                        files[via_link or is_link].append(entry.path)
            except OSError as error:
                self.refuse(folder, why(error))
        return files


def _parts(path: str) -> list[str]:
    return [part for part in path.split(os.sep) if part not in ("", os.curdir)]


def _fixed_part(pattern: str) -> str:
    """Return the folder above the first part of a pattern that has a wildcard; "" is the current one.

    >>> _fixed_part("/logs/a*/**/x"), _fixed_part("*.log")
    ('/logs', '')
    """
    found = re.search(r"[*?[]", pattern)
    head = pattern[: found.start()] if found else pattern
    return os.path.dirname(head)


def _matches(parts: list[str], pattern: list[str]) -> bool:
    """Whether a path, or a folder above it, matches; ``**`` takes any number of parts."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_matches(parts[i:], pattern[1:]) for i in range(len(parts) + 1 if pattern[1:] else 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _look(path: str, status: os.stat_result, name: str, root: str) -> Stream | str:
    """Return the stream that a regular file is, or why it is none: a key of `ADVICE`, or a sentence."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        head = os.pread(fd, _HEAD_BYTES, 0)
        codec = codecs.codec_of(head)
        if codec:
            try:
                head = next(codecs.decode(fd, codec), b"")[:_HEAD_BYTES]
            except codecs.Damaged as damage:
                return str(damage)
        elif head.count(0) == len(head):
            head = _beyond_hole(fd)
    finally:
        os.close(fd)
    if not head:
        return "empty"
    return codecs.objection(head) or Stream(name, path, codec, status.st_size, status.st_mtime, root)


def _beyond_hole(fd: int) -> bytes:
    """Return the first bytes after leading NULs: a log truncated under its writer begins with a hole."""
    try:
        pos = os.lseek(fd, 0, os.SEEK_DATA)
    except OSError:
        return os.pread(fd, _HEAD_BYTES, 0)  # all hole
    for start in range(pos, pos + (16 << 20), 1 << 20):
        block = os.pread(fd, 1 << 20, start)
        if rest := block.lstrip(b"\x00"):
            return rest[:_HEAD_BYTES]
    return os.pread(fd, _HEAD_BYTES, 0)


def _sentence(reason: str) -> str:
    if reason == "empty":
        return "it is empty: nothing was written to it"
    if reason == "not a regular file":
        return "it is a pipe, socket or device: send its content to l4fast with `-`"
    return codecs.ADVICE.get(reason, reason)


def discover(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Found:
    """Find the streams that files, folders, globs and ``-`` (stdin) stand for.

    The order depends on names alone: given paths in their order, a folder's files sorted,
    rotated files oldest first. Each file is read once, whatever leads to it.

    Raises
    ------
    NothingToRead
        Not one stream was found.
    """
    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    given = list(dict.fromkeys([os.fspath(path) for path in several]))
    search = _Search()
    for path in given:
        if path == STDIN:
            search.streams.append(Stream(STDIN, None, "", 0, None, STDIN))
        elif os.path.isdir(path):
            search.folder(path)
        elif os.path.lexists(path):
            search.file(path, path, given=True)
        elif glob.has_magic(path):
            search.glob(path)
        else:
            search.refuse(path, "it does not exist: check the path")
    if not search.streams:
        first = printable(given[0]) if given else None
        told = "; ".join(f"{each.file}: {each.reason}" for each in search.unreadable[:3])
        more = len(search.unreadable) - 3
        text = (
            told + (f"; and {more} more" if more > 0 else "")
        ) or "no path was given: name a file or a folder"
        raise NothingToRead(text, first)
    return Found(
        tuple(search.streams),
        tuple(search.unreadable),
        dict(sorted(search.skipped.items())),
        {printable(path): printable(_layout_root(path)) for path in given},
    )


def _layout_root(path: str) -> str:
    if os.path.isdir(path):
        return path
    if not os.path.lexists(path) and glob.has_magic(path):
        return _fixed_part(path)
    return os.path.dirname(path)


class _Held:
    """Closes a descriptor when its last stream is gone. A copy in another process holds nothing."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.path = f"/proc/{os.getpid()}/fd/{fd}"

    def __del__(self) -> None:
        os.close(self.fd)

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return object, ()


def _whole_file(stdin: BinaryIO) -> _Held | None:
    """Return the file that stdin is (``< FILE``), if it can be opened again; else None."""
    try:
        fd = stdin.fileno()
        if not stat.S_ISREG(os.fstat(fd).st_mode) or stdin.tell():
            return None
    except (OSError, ValueError):  # no descriptor, or a pipe, which has no position
        return None
    held = _Held(os.dup(fd))
    return held if os.access(held.path, os.R_OK) else None


def _copied(stdin: BinaryIO) -> _Held:
    with tempfile.TemporaryFile(prefix="l4fast-") as copy:
        shutil.copyfileobj(stdin, copy, 1 << 20)
        copy.flush()
        return _Held(os.dup(copy.fileno()))


def spool(stdin: BinaryIO, *, name: str = STDIN) -> Stream:
    """Copy a pipe to a nameless temporary file, so that it can be read twice; return it as a stream.

    The file lives as long as the stream; other processes may open the stream's path meanwhile.

    Raises
    ------
    NothingToRead
        It brought nothing, or no text, or there is no room to keep it.
    """
    found = _spooled(stdin, name)
    if isinstance(found, str):
        raise NothingToRead(f"{name}: {found}", name)
    return found


def _spooled(stdin: BinaryIO, name: str) -> Stream | str:
    """Return the spooled stream, or the sentence that says why there is none."""
    try:
        held = _whole_file(stdin) or _copied(stdin)
    except OSError as error:
        cause = os.strerror(error.errno or 0)
        return f"it cannot be kept in {tempfile.gettempdir()} ({cause}): point TMPDIR to a disk with room"
    found = _look(held.path, os.stat(held.path), name, name)
    return _sentence(found) if isinstance(found, str) else replace(found, mtime=None, held=held)


# ------------------------------------------------------------------------ reading it


class _Reader:
    """The unpacked bytes of a stream in order; trouble ends them and is told in ``problem``."""

    def __init__(self, stream: Stream) -> None:
        self.problem = ""
        self._fd = os.open(stream.path or "", os.O_RDONLY | os.O_CLOEXEC)
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        self._limit = stream.size  # a live file may grow: every pass reads the same bytes
        self._pos = 0
        self._pieces = codecs.decode(self._fd, stream.codec) if stream.codec else None
        self._piece = memoryview(b"")
        self._peeked = b""
        self._ended = False

    def close(self) -> None:
        os.close(self._fd)

    def more(self) -> bool:
        """Whether at least one byte is left."""
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
            self.problem = f"it shrank from {self._limit} to {self._pos} bytes while it was read: run again"
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
    """
    told = [] if problems is None else problems
    if stream.path is None:
        spooled = _spooled(stdin or sys.stdin.buffer, stream.name)
        if isinstance(spooled, str):
            told.append(Unreadable(stream.name, spooled))
            return
        stream = spooled
    ahead = bool(stream.codec) and stream.size >= _AHEAD_BYTES
    # One chunk with the consumer, one that waits, one that is being filled.
    n_buffers = (3 if ahead else 1) if reuse else 0
    made = _cut(stream, min(max(chunk_bytes, 1), MAX_LINE_BYTES + 1), n_buffers, told)
    yield from _in_thread(made) if ahead else made


def _cut(stream: Stream, chunk_bytes: int, n_buffers: int, told: list[Unreadable]) -> Generator[Chunk]:
    """Yield the chunks of a stream, in turns on ``n_buffers`` buffers; 0: each on its own."""
    try:
        reader = _Reader(stream)
    except OSError as error:
        told.append(Unreadable(stream.name, why(error)))
        return
    try:
        buffers: deque[NDArray[np.uint8]] = deque()
        tail = b""
        offset = 0
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
            end = _line_end(data, filled)
            while not end and filled == capacity <= MAX_LINE_BYTES:
                capacity = min(2 * capacity, MAX_LINE_BYTES + 1)
                old, data = data, _placed(_room(capacity), offset)
                data[:filled] = old[:filled]
                filled += reader.fill(data[filled:capacity])
                end = _line_end(data, filled)
            if not end and filled > MAX_LINE_BYTES:
                size, line_bytes, tail = _skip_line(reader, data)
                told.append(_cut_line(stream, line_bytes, offset))
                consumed = line_bytes + (size > MAX_LINE_BYTES)
                is_last = not tail and not reader.more()
            else:
                is_last = not reader.more()
                size = consumed = filled if is_last else end
                tail = data[size:filled].tobytes()
            if size:
                data[size : size + PADDING_BYTES] = 0
                yield Chunk(data[: size + PADDING_BYTES], size, offset, is_last)
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


def _cut_line(stream: Stream, line_bytes: int, offset: int) -> Unreadable:
    limit = f"{MAX_LINE_BYTES >> 20} MiB" if MAX_LINE_BYTES >> 20 else f"{MAX_LINE_BYTES} bytes"
    return Unreadable(stream.name, f"a line of {line_bytes} bytes at byte {offset} was cut to {limit}")


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
