"""What loading the signatures took a second for, kept in the user's cache directory.

It is kept under a name that states everything that it depends on, and costs milliseconds from
then on: most of what it holds is not looked at before a line asks for it.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from isal import isal_zlib

from l4fast.database import engine
from l4fast.signature import Case, Effect, Signature
from l4fast.source import Unreadable

FORMAT = 6  # of the cache file; raise it when the checks or the stored form change
_MAGIC = b"l4fast signatures\n"
_CHECK = len(_MAGIC) + 4


class Shelf(Mapping[str, Signature]):
    """Signatures by id, in order of preference; each is made when it is first asked for."""

    def __init__(self, names: Sequence[str], make: Callable[[int], Signature]) -> None:
        self._place = {name: i for i, name in enumerate(names)}
        self._make = make
        self._made: list[Signature | None] = [None] * len(names)

    def at(self, place: int) -> Signature:
        """Return the signature at a place in the order of preference."""
        found = self._made[place]
        if found is None:
            found = self._made[place] = self._make(place)
        return found

    def __getitem__(self, name: str) -> Signature:
        return self.at(self._place[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)


def cache_folder() -> Path | None:
    """Return where outcomes are kept; None for a user who has no home."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    # Without a home "~" stays as it is, which would be a folder below the current one.
    return root / "l4fast" if root.is_absolute() else None


def cache_path(files: Sequence[tuple[Path, bytes]], mute: Sequence[str]) -> Path | None:
    """Return where the outcome for these files, on this machine, by these versions is kept."""
    key = sha256()  # processors have instructions for it: half the time of BLAKE2b
    for part in (str(FORMAT), sys.version, engine(), platform.machine(), _cpu_flags(), *mute):
        key.update(f"{len(part)}:{part}".encode(errors="surrogateescape"))
    for path, content in files:
        key.update(f"{path}:{len(content)}:".encode(errors="surrogateescape"))
        key.update(content)
    folder = cache_folder()
    return None if folder is None else folder / f"signatures-{key.hexdigest()[:32]}.bin"


def _cpu_flags() -> str:
    """Return what the processor can do: a database is compiled for it. Empty where not told."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            return next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    except OSError:
        return ""


def read_cache(path: Path) -> tuple[Shelf, list[Unreadable], bytes | None] | None:
    """Return the signatures, problems and database kept at ``path``; None where missing or damaged."""
    try:
        content = path.read_bytes()
        check = int.from_bytes(content[len(_MAGIC) : _CHECK], "little")
        if not content.startswith(_MAGIC) or isal_zlib.crc32(memoryview(content)[_CHECK:]) != check:
            return None
        begin = _CHECK + 8
        end = begin + int.from_bytes(content[_CHECK:begin], "little")
        index = json.loads(content[begin:end])
        bounds = [end, *(end + bound for bound in index["bounds"])]
        problems = [Unreadable(*problem) for problem in index["problems"]]
    except Exception:
        # Whatever is wrong with a cache, making it anew is right.
        return None

    def make(place: int) -> Signature:
        return _revived(json.loads(content[bounds[place] : bounds[place + 1]]))

    return Shelf(index["names"], make), problems, content[bounds[-1] :] or None


def _revived(table: dict[str, Any]) -> Signature:
    table["when"] = tuple(
        Case(**{**case, "values": tuple((group, tuple(wanted)) for group, wanted in case["values"])})
        for case in table["when"]
    )
    table["explains"] = tuple(
        Effect(tuple(one["what"]), one["where"], tuple(one["after_s"])) for one in table["explains"]
    )
    table["matches"], table["spares"] = tuple(table["matches"]), tuple(table["spares"])
    return Signature(**table)


def write_cache(
    path: Path, signatures: Iterable[Signature], problems: Iterable[Unreadable], serialised: bytes
) -> None:
    """Keep signatures and their database: written aside and renamed, for many processes may start at once."""
    names, bounds, tables = [], [], bytearray()
    for signature in signatures:
        tables += json.dumps(asdict(signature)).encode()
        names.append(signature.id)
        bounds.append(len(tables))
    told = [(problem.file, problem.reason, problem.goes_on) for problem in problems]
    index = json.dumps({"names": names, "bounds": bounds, "problems": told}).encode()
    body = len(index).to_bytes(8, "little") + index + tables + serialised
    aside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
            aside = file.name
            file.write(_MAGIC + isal_zlib.crc32(body).to_bytes(4, "little") + body)
        os.replace(aside, path)
    except OSError:
        # A read-only home or a full disk costs time, never the answer.
        if aside is not None:
            with suppress(OSError):
                os.unlink(aside)
