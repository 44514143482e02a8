"""Files that are written: refused early where they cannot be, and never left half written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from l4fast.errors import UsageError


def check_target(path: str) -> None:
    """Refuse a file that cannot be written before gigabytes of logs are read, not after."""
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it", path)
    if not target.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {target.parent}", path)
    if not os.access(target if _is_special(target) else target.parent, os.W_OK):
        raise UsageError(f"{path} cannot be written: ask for write permission, or name another folder", path)


def _is_special(target: Path) -> bool:
    """Whether this is a device or a pipe, which is written to and never replaced."""
    return target.exists() and not target.is_file()


@contextmanager
def replaced(path: str) -> Iterator[BinaryIO]:
    """Open a file to write, aside first: an interrupted run leaves the old one, never half a new one."""
    target = Path(os.path.realpath(path))
    if _is_special(Path(path)):
        with open(path, "wb") as pipe:
            yield pipe
        return
    descriptor, aside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
        _share(aside)
        os.replace(aside, target)
    except BaseException:
        os.unlink(aside)
        raise


def _share(path: str) -> None:
    """Give a temporary file, which only its owner can read, the mode of any new file."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)
