"""What loading the signatures took a second for, kept in the user's cache directory.

It is kept under a name that states everything that it depends on, and costs milliseconds from
then on.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from l4fast.database import engine
from l4fast.signature import Case, Effect, Signature

FORMAT = 3  # of the cache file; raise it when the checks or the stored form change


def cache_path(files: Sequence[tuple[Path, bytes]]) -> Path:
    """Return where the outcome for these files, on this machine, by these versions is kept."""
    key = blake2b(digest_size=16)
    for part in (str(FORMAT), sys.version, engine(), platform.machine(), _cpu_flags()):
        key.update(f"{len(part)}:{part}".encode())
    for path, content in files:
        key.update(f"{path.name}:{len(content)}:".encode())
        key.update(content)
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) / "l4fast" / f"signatures-{key.hexdigest()}.bin"


def _cpu_flags() -> str:
    """Return what the processor can do: a database is compiled for it. Empty where not told."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            return next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    except OSError:
        return ""


def read_cache(path: Path) -> tuple[list[Signature], bytes | None] | None:
    """Return the signatures and the database kept at ``path``, or None where they are missing or damaged."""
    try:
        content = path.read_bytes()
        digest, body = content[:16], content[16:]
        if blake2b(body, digest_size=16).digest() != digest:
            return None
        size = int.from_bytes(body[:8], "little")
        tables, serialised = json.loads(body[8 : 8 + size]), body[8 + size :]
        return [_revived(table) for table in tables], serialised or None
    except Exception:
        # Whatever is wrong with a cache, making it anew is right.
        return None


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


def write_cache(path: Path, signatures: Iterable[Signature], serialised: bytes) -> None:
    """Keep signatures and their database: written aside and renamed, for many processes may start at once."""
    tables = json.dumps([asdict(signature) for signature in signatures]).encode()
    body = len(tables).to_bytes(8, "little") + tables + serialised
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as aside:
            aside.write(blake2b(body, digest_size=16).digest() + body)
        os.replace(aside.name, path)
    except OSError:
        pass  # a read-only home costs time, never the answer
