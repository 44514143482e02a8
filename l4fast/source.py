"""One file, pipe or stdin as a stream of lines, or the sentence that says why it is none.

Only the first bytes are looked at, and nothing here looks at what a line says.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from l4fast import codecs
from l4fast.errors import NothingToRead

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
STDIN = "-"
_HEAD_BYTES = 8 << 10


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
    """Something that could not be read, or not all of it; ``reason`` is a sentence.

    ``goes_on`` says that what comes after it was read: only a part within is missing.
    """

    file: str
    reason: str
    goes_on: bool = False


def listed(paths: Paths) -> list[str]:
    """Return one path or several as a list of strings."""
    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    return [os.fspath(path) for path in several]


def printable(path: str | os.PathLike[str]) -> str:
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


def look(path: str, status: os.stat_result, name: str, root: str) -> Stream | str:
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


def sentence(reason: str) -> str:
    """Return what `look` found wrong with a file as a sentence, with what to do."""
    if reason == "empty":
        return "it is empty: nothing was written to it"
    if reason == "not a regular file":
        return "it is a pipe, socket or device: send its content to l4fast with `-`"
    return codecs.ADVICE.get(reason, reason)


class _Held:
    """Closes a descriptor when its last stream is gone. A copy in another process holds nothing."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.path = f"/proc/{os.getpid()}/fd/{fd}"

    def __del__(self) -> None:
        os.close(self.fd)

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return object, ()


def standard_input() -> BinaryIO:
    """Return what is sent to the program.

    Raises
    ------
    NothingToRead
        It was started without.
    """
    if sys.stdin is None:
        raise NothingToRead(f"{STDIN}: it is closed: send something to it, or name a file", STDIN)
    return sys.stdin.buffer


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
    found = spooled(stdin, name)
    if isinstance(found, str):
        raise NothingToRead(f"{name}: {found}", name)
    return found


def spooled(stdin: BinaryIO, name: str) -> Stream | str:
    """Return the spooled stream, or the sentence that says why there is none."""
    try:
        held = _whole_file(stdin) or _copied(stdin)
    except IsADirectoryError:
        return "it is a folder: name it in place of `-`"
    except OSError as error:
        cause = os.strerror(error.errno or 0)
        return f"it cannot be kept in {tempfile.gettempdir()} ({cause}): point TMPDIR to a disk with room"
    found = look(held.path, os.stat(held.path), name, name)
    return sentence(found) if isinstance(found, str) else replace(found, mtime=None, held=held)
