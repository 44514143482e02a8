"""Compiled kernels on disk: found where they were kept, kept where that can be done.

It never fails: what cannot be read, or was made of or with something else, is compiled anew, and
what cannot be kept is told once, as a `CacheWarning`. Each file states what it was compiled from
and with, and its checksum. Nothing here waits for the compiler: numba is known by its files.
"""

import contextlib
import functools
import hashlib
import os
import stat
import sys
import tempfile
import time
import warnings
import zlib
from importlib.util import find_spec

import llvmlite
import numpy

_MAGIC = b"l4fast kernel 2\n"
_STAMP_BYTES = 32
_HEAD_BYTES = len(_MAGIC) + _STAMP_BYTES + 4
_WHERE_ONLY = ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS")  # of numba's settings, those that change no code

_folders: set[str] = set()  # where kernels of this process came from or went to
_told = False


class CacheWarning(UserWarning):
    """Compiled kernels cannot be kept where they should be: the next run waits for the compiler too."""


def folders() -> list[str]:
    """Return the folders where kernels that this process has used are kept, sorted."""
    return sorted(_folders)


def file_name(function, *kind):
    """Return the file name of one compiled form of a function, told by ``kind``: strings, numbers, tuples."""
    code = function.__code__
    module = os.path.splitext(os.path.basename(code.co_filename))[0]
    what = hashlib.sha256(repr((kind, settings())).encode()).hexdigest()[:16]
    return f"{module}.{function.__qualname__}-{code.co_firstlineno}-{what}"


def settings():
    """Return numba's settings that change what it compiles, as they stand in the environment."""
    return tuple(
        sorted(
            item for item in os.environ.items() if item[0].startswith("NUMBA_") and item[0] not in _WHERE_ONLY
        )
    )


def find(function, name):
    """Return what was kept of a function under a name; None where nothing fits."""
    file = function.__code__.co_filename
    try:
        stamp = _stamp(os.path.dirname(file))
    except (OSError, ImportError):
        return None
    for folder in [*_places(file), *_own_temporary()]:
        with contextlib.suppress(OSError):
            with open(os.path.join(folder, name), "rb") as found:
                data = found.read()
            content = memoryview(data)[_HEAD_BYTES:]
            # Whatever is damaged, or was made of something else, is compiled anew and kept again.
            if data[:_HEAD_BYTES] == _head(stamp, content):
                _folders.add(folder)
                return content
    return None


def keep(function, name, content):
    """Keep the compiled form of a function in the first folder that takes it."""
    file = function.__code__.co_filename
    trouble = None
    try:
        content = _head(_stamp(os.path.dirname(file)), content) + content
    except (OSError, ImportError) as error:
        _tell(f"compiled kernels cannot be kept ({type(error).__name__}: {error})")
        return
    for folder in _places(file):
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


def _head(stamp, content):
    return b"".join((_MAGIC, stamp, zlib.crc32(content).to_bytes(4, "little")))


@functools.cache
def _stamp(folder):
    """Return 32 bytes that say what the kernels of a folder are made of, and with.

    A kernel is compiled together with those that it calls, which stand in other files: all count, and
    so do the files here, which say how.
    """
    made_of = hashlib.sha256(f"{sys.version} {llvmlite.__version__} {numpy.__version__}".encode())
    made_of.update(_numbas_version())
    for place in dict.fromkeys((folder, os.path.dirname(__file__))):
        for name in sorted(os.listdir(place)):
            if name.endswith(".py"):
                with open(os.path.join(place, name), "rb") as file:
                    made_of.update(hashlib.sha256(file.read()).digest())
    return made_of.digest()


def _numbas_version():
    """Return bytes that differ from one version of numba to the next, without importing it."""
    spec = find_spec("numba")
    if spec is not None and spec.origin is not None:
        with (
            contextlib.suppress(OSError),
            open(os.path.join(os.path.dirname(spec.origin), "_version.py"), "rb") as file,
        ):
            return file.read()
    from importlib.metadata import version  # 40 ms

    return version("numba").encode()


@functools.cache
def _places(file):
    """Return the folders to look in and to write to, in this order."""
    folder = os.path.dirname(os.path.abspath(file))
    name = f"{os.path.basename(folder)}_{hashlib.sha256(folder.encode(errors='replace')).hexdigest()[:16]}"
    if os.environ.get("NUMBA_CACHE_DIR"):
        return [os.path.join(os.environ["NUMBA_CACHE_DIR"], name)]
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
