"""Files, folders, globs and pipes become streams, in an order that depends on names alone.

`discover` finds the streams and says what it left out and why. Trouble with one file never
stops the others: it becomes an `Unreadable`, a sentence for the reader of the answer.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache

from l4fast.errors import NothingToRead
from l4fast.regexes import regex
from l4fast.source import (
    STDIN,
    Stream,
    Unreadable,
    look,
    printable,
    sentence,
    spool,
    spooled,
    standard_input,
    why,
)


@dataclass(frozen=True)
class Found:
    """What the given paths hold.

    ``skipped`` counts what was left out on purpose; ``empty`` names the files of folders that hold nothing.
    ``layout_roots`` maps each given path
    (a `Stream.root`) to the folder below which names may tell node, attempt and rank: the
    given folder, the folder of a given file, the fixed part of a glob.
    """

    streams: tuple[Stream, ...]
    unreadable: tuple[Unreadable, ...]
    skipped: dict[str, int]
    layout_roots: dict[str, str]
    empty: tuple[str, ...] = ()


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
_SUFFIXES = tuple(_REASON_OF)
_CHECKPOINT_NAMES = """
    config.json generation_config.json tokenizer.json tokenizer_config.json vocab.json merges.txt
    special_tokens_map.json added_tokens.json latest_checkpointed_iteration.txt
"""
_OPEN_PIPES = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")  # a shell's <(command); others may block
# Why a file is no stream, where a count says enough. Asked for by name, it deserves a sentence.
_COUNTED = ("same file",)
_COUNTED_IN_FOLDERS = ("binary", "archive", "empty", "not a regular file", "simulator's truth")


@lru_cache(maxsize=1 << 12)
def _left_out(name: str) -> str:
    """Return why a file of this name in a folder is not even opened; "" if it is."""
    lower = name.lower()
    if lower in _CHECKPOINT_NAMES.split() or "tfevents" in lower:
        return "checkpoint or event file"
    if not lower.endswith(_SUFFIXES):
        return ""
    return next(reason for suffix, reason in _REASON_OF.items() if lower.endswith(suffix))


_DATED = regex(r"(.+?)[.-](20\d{6}(?:[-_T]?\d{4,6})?|20\d\d-\d\d-\d\d(?:[-_T.]\d\d[-:]?\d\d[-:]?\d\d)?)")
_NUMBERED = regex(r"(.+\.(?:log|out|err|txt))\.(\d{1,3})")
_PACKED = regex(r"\.(?:gz|zst|xz|bz2)$")


@lru_cache(maxsize=1 << 12)
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


def _order(path: str) -> tuple[tuple[str, int, int, str, str], ...]:
    folder, name = os.path.split(path)
    return (*_folder_order(folder), _age(name))


# Ten thousand ranks have as many files, of few names or in few folders.
@lru_cache(maxsize=1 << 12)
def _folder_order(folder: str) -> tuple[tuple[str, int, int, str, str], ...]:
    return tuple((part, 2, 0, "", part) for part in folder.split(os.sep))


class _Search:
    """What one `discover` has seen so far."""

    def __init__(self) -> None:
        self.files: set[tuple[int, int]] = set()  # (device, inode)
        self.streams: list[Stream] = []
        self.unreadable: list[Unreadable] = []
        self.skipped: Counter[str] = Counter()
        self.empty: list[str] = []

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
                    found = spooled(pipe, printable(path))
            elif not stat.S_ISREG(status.st_mode):
                found = "not a regular file"
            elif (status.st_dev, status.st_ino) in self.files:
                found = "same file"
            else:
                self.files.add((status.st_dev, status.st_ino))
                found = look(path, status, printable(path), printable(root))
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
                if found == "empty":
                    self.empty.append(printable(path))
            else:
                self.refuse(path, sentence(found))

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


def _is_missing(path: str) -> bool:
    """Whether nothing has this name; a folder on the way that nobody may look into tells nothing."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a NUL in it
        return True
    except OSError:
        pass
    return False


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
        elif not _is_missing(path):
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
        {printable(path): printable(layout_root(path)) for path in given},
        tuple(search.empty),
    )


def kept(found: Found) -> Found:
    """Return ``found`` with stdin, if it is part of it, kept in a file: it can be read twice.

    Raises
    ------
    NothingToRead
        Stdin was all there was, and it brought nothing.
    """
    streams, unreadable = [], list(found.unreadable)
    for stream in found.streams:
        try:
            streams.append(stream if stream.path is not None else spool(standard_input(), name=stream.name))
        except NothingToRead as nothing:
            if len(found.streams) == 1:
                raise
            unreadable.append(Unreadable(stream.name, str(nothing).removeprefix(f"{stream.name}: ")))
    return replace(found, streams=tuple(streams), unreadable=tuple(unreadable))


def layout_root(path: str) -> str:
    """Return the folder below which a given path leads to logs."""
    if os.path.isdir(path):
        return path
    if not os.path.lexists(path) and glob.has_magic(path):
        return _fixed_part(path)
    return os.path.dirname(path)
