"""How tests look into a simulated job's folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from l4fast.simulate import STYLES


def lines_of(folder: Path, file: str) -> list[str]:
    return (folder / "logs" / file).read_bytes().decode().split("\n")


def files_of(folder: Path) -> list[str]:
    logs = folder / "logs"
    return sorted(str(path.relative_to(logs)) for path in logs.rglob("*") if path.is_file())


def text_of(folder: Path) -> str:
    """All lines of all logs."""
    return "\n".join("\n".join(lines_of(folder, file)) for file in files_of(folder))


def found(folder: Path, pattern: str) -> list[int]:
    """The numbers that ``pattern`` finds in all lines of all logs."""
    return [int(number) for number in re.findall(pattern, text_of(folder))]


def two_styles_each(faults: Iterable[str]) -> list[tuple[str, str]]:
    """Pair each fault with two styles, in turn: all styles meet all kinds of faults, in less time."""
    n = len(STYLES)
    return [(fault, STYLES[(i + k) % n]) for i, fault in enumerate(faults) for k in (0, 2)]
