"""Files that are written: refused early where they cannot be, and never left half written."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from l4fast.errors import UsageError


def check_target(path: str) -> None:
    """Refuse a file that cannot be written before gigabytes of logs are read, not after."""
    if not path:
        raise UsageError("the name to write to is empty: name a file", path)
    if path == "-":
        raise UsageError("- stands for stdout, which is for the answer: name a file (./- is one)", path)
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
        share(Path(aside), target)
        os.replace(aside, target)
    except BaseException:
        os.unlink(aside)
        raise


def share(aside: Path, target: Path) -> None:
    """Give a file that is to replace ``target`` the mode of the old one, or of any new file."""
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    aside.chmod(mode)


@contextmanager
def scratch(prefix: str, folder: str | os.PathLike[str] | None = None) -> Iterator[Path]:
    """Make a folder that is gone afterwards, inside ``folder`` or where temporary files are."""
    made = tempfile.mkdtemp(prefix=prefix, dir=folder)
    try:
        yield Path(made)
    finally:
        remove(made)


def remove(folder: str | os.PathLike[str]) -> None:
    """Remove a folder and all in it, also where Ctrl-C comes while that is done; then it is raised."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def publish(staging: Path, folder: Path) -> None:
    """Move all files below ``staging`` to ``folder``, or none: then those that were there stay."""
    files = sorted(path for path in staging.rglob("*") if path.is_file())
    kept = staging / ".kept"
    kept.mkdir()
    begun: list[tuple[Path, Path | None]] = []
    try:
        for i, file in enumerate(files):
            target = folder / file.relative_to(staging)
            target.parent.mkdir(parents=True, exist_ok=True)
            share(file, target)
            old = kept / str(i) if target.exists() else None
            begun.append((target, old))
            if old is not None:
                os.replace(target, old)
            os.replace(file, target)
    except BaseException:
        for target, old in begun:
            with suppress(OSError):
                if old is None:
                    target.unlink()
                elif old.exists():
                    os.replace(old, target)
        raise


@contextmanager
def staged(folder: Path, out: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a hidden folder inside ``folder``; at the end all that is in it moves out, or nothing does."""
    made = not folder.exists()
    try:
        if made:
            folder.mkdir()
        hidden = tempfile.mkdtemp(dir=folder, prefix=".l4fast-")
    except OSError as error:
        raise UsageError(f"{os.fspath(out)} cannot be written: {os.strerror(error.errno or 0)}") from error
    try:
        try:
            yield Path(hidden)
            publish(Path(hidden), folder)
        finally:
            remove(hidden)
    except BaseException:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise
