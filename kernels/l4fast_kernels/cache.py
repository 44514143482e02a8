"""Compiled kernels on disk: found where they were kept, kept where that can be done.

Numba's own cache ends the program where no folder can be written, the disk is full or a file of it
is damaged, and does not notice that a function which a kernel calls has changed. This one never
fails: what cannot be read is compiled anew, and what cannot be kept is told once, as a
`CacheWarning`. Each file states what it was compiled from and with, and its checksum.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import stat
import sys
import tempfile
import time
import warnings
import zlib

import numba
from numba.core import config
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

_MAGIC = b"l4fast kernel 1\n"
_STAMP_BYTES = 32
_HEAD_BYTES = len(_MAGIC) + _STAMP_BYTES + 4

_folders: set[str] = set()  # where kernels of this process came from or went to
_told = False


class CacheWarning(UserWarning):
    """Compiled kernels cannot be kept where they should be: the next run waits for the compiler too."""


def folders() -> list[str]:
    """Return the folders where kernels that this process has used are kept, sorted."""
    return sorted(_folders)


class Cache:
    """What numba's dispatcher asks for the compiled forms of one function; it stands in for numba's own."""

    def __init__(self, function):
        self._file = function.__code__.co_filename
        self._name = f"{function.__qualname__}-{function.__code__.co_firstlineno}"

    @property
    def cache_path(self):
        return _places(self._file)[0]

    def load_overload(self, sig, target_context):
        """Return what was compiled for the argument types ``sig``; None where that has to be done."""
        # A damaged object would be linked to what numba has not loaded yet.
        target_context.refresh()
        try:
            stamp = _stamp(os.path.dirname(self._file))
        except OSError:
            return None
        name = self._name_for(sig, target_context.codegen())
        for folder in [*_places(self._file), *_own_temporary()]:
            try:
                found = _unpacked(os.path.join(folder, name), stamp)
                compiled = CompileResult._rebuild(target_context, *found)
            except Exception:
                continue  # missing, damaged, or of another version: compiled anew and kept again
            _folders.add(folder)
            return compiled
        return None

    def save_overload(self, sig, compiled):
        """Keep what was compiled, in the first folder that takes it."""
        if compiled.lifted or compiled.library.has_dynamic_globals:
            return  # it holds addresses of this process
        trouble = None
        try:
            content = _packed(_stamp(os.path.dirname(self._file)), compiled._reduce())
        except Exception as error:
            _tell(f"compiled kernels cannot be packed ({type(error).__name__}: {error})")
            return
        name = self._name_for(sig, compiled.codegen)
        for folder in _places(self._file):
            try:
                os.makedirs(folder, exist_ok=True)
                _write(os.path.join(folder, name), content)
            except OSError as error:
                trouble = f"compiled kernels cannot be kept in {folder} ({os.strerror(error.errno or 0)})"
            else:
                _folders.add(folder)
                return
        try:
            folder = _made_temporary()
            _write(os.path.join(folder, name), content)
        except OSError:
            _tell(f"{trouble}: each run compiles them anew")
        else:
            _folders.add(folder)
            _tell(f"{trouble}: they are kept in {folder} for now")

    def _name_for(self, sig, codegen):
        what = repr((str(sig), codegen.magic_tuple(), config.BOUNDSCHECK))
        return f"{self._name}-{hashlib.sha256(what.encode()).hexdigest()[:16]}.nbc"


@functools.cache
def _stamp(folder):
    """Return 32 bytes that say what the kernels of a folder are made of.

    A kernel is compiled together with those that it calls, which stand in other files: all count.
    """
    made_of = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), "rb") as file:
                made_of.update(hashlib.sha256(file.read()).digest())
    return made_of.digest()


@functools.cache
def _places(file):
    """Return the folders to look in and to write to, in this order."""
    folder = os.path.dirname(os.path.abspath(file))
    name = f"{os.path.basename(folder)}_{hashlib.sha256(folder.encode(errors='replace')).hexdigest()[:16]}"
    if config.CACHE_DIR:
        return [os.path.join(config.CACHE_DIR, name)]
    places = [os.path.join(folder, "__pycache__")]
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    # Who has no home has a "~" as it stands, which would be a folder below the current one.
    if os.path.isabs(home):
        places.append(os.path.join(home, "l4fast", name))
    return places


def _own_temporary():
    """Return the user's folder for lack of a better one, if it is there and nobody else can write to it.

    Its name is known to all, and what is loaded from it is run.
    """
    try:
        folder = os.path.join(tempfile.gettempdir(), f"l4fast-kernels-{os.getuid()}")
        status = os.lstat(folder)
    except OSError:
        return []
    is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return [folder] if is_own and not status.st_mode & 0o077 else []


def _made_temporary():
    folder = os.path.join(tempfile.gettempdir(), f"l4fast-kernels-{os.getuid()}")
    if not _own_temporary():
        os.mkdir(folder, 0o700)
    return folder


def _packed(stamp, parts):
    content = dumps(parts)
    return b"".join((_MAGIC, stamp, zlib.crc32(content).to_bytes(4, "little"), content))


def _unpacked(path, stamp):
    """Return what is kept in a file; ValueError where it is damaged or was made of something else."""
    with open(path, "rb") as file:
        data = file.read()
    content = memoryview(data)[_HEAD_BYTES:]
    if data[:_HEAD_BYTES] != _MAGIC + stamp + zlib.crc32(content).to_bytes(4, "little"):
        raise ValueError(path)
    return pickle.loads(content)


def _write(path, content):
    """Write a file aside and rename it: many processes may start at once."""
    aside = f"{path}.{os.getpid()}-{time.monotonic_ns()}.tmp"
    try:
        with open(aside, "xb") as file:
            file.write(content)
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise


def _tell(what):
    global _told
    if not _told:
        _told = True
        advice = "set NUMBA_CACHE_DIR to a folder that can be written, and run `l4fast warmup`"
        warnings.warn(f"{what}: {advice}", CacheWarning, stacklevel=2)
