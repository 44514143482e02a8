"""Whether what is to be written would take the place of what is to be read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from l4fast.discovery import discover, layout_root
from l4fast.errors import NothingToRead
from l4fast.source import STDIN, Stream


def overwritten(targets: Iterable[str | os.PathLike[str]], streams: Iterable[Stream]) -> str | None:
    """Return one of ``targets`` that is one of the streams, which are kept; what does not exist is none."""
    there = {}
    for target in targets:
        with suppress(OSError):
            there[_identity(target)] = os.fspath(target)
    for stream in streams if there else ():
        with suppress(OSError):
            if stream.path is not None and (found := there.get(_identity(stream.path))):
                return found
    return None


def _identity(path: str | os.PathLike[str]) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def led_to(target: str, paths: Iterable[str]) -> str | None:
    """Return the one of ``paths`` that leads to the file ``target``; None where it is new, or left out.

    A folder or a pattern is looked through only where the file is below it.
    """
    for path in paths if os.path.isfile(target) else ():
        if os.path.isfile(own := "/dev/stdin" if path == STDIN else path):
            if os.path.samefile(own, target):
                return path
        elif os.path.realpath(target).startswith(os.path.join(os.path.realpath(layout_root(path)), "")):
            with suppress(NothingToRead):
                if overwritten([target], discover(path).streams):
                    return path
    return None
