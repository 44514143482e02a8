"""Everything a change must pass, in one command.

    python tools/check.py                all of it
    python tools/check.py types tests    some parts, in the order below
    python tools/check.py --list         what the parts are

The kernels' tests run three times: compiled; compiled with every array access checked, with a
cache of their own (compiled code reads past an array's end in silence); and not compiled at all,
on few examples, where a debugger and a coverage tool see each line.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KERNEL_TESTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").glob("test_kernels_*.py"))


@dataclass(frozen=True)
class Part:
    """One check: what it is for, its command (after ``python -m``), and its environment."""

    meaning: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    own_cache: bool = False


PARTS = {
    "format": Part("every file is formatted", ("ruff", "format", "--check", ".")),
    "lint": Part("no lint rule is broken", ("ruff", "check", ".")),
    "types": Part("l4fast is typed throughout", ("mypy",)),
    "tests": Part("all tests, compiled", ("pytest",)),
    "bounds": Part(
        "the kernels' tests, array accesses checked",
        ("pytest", *KERNEL_TESTS),
        {"NUMBA_BOUNDSCHECK": "1"},
        own_cache=True,
    ),
    "plain": Part(
        "the kernels' tests, not compiled",
        # Hashes wrap around. Compiled they do so in silence; NumPy's scalars, which stand in, warn.
        ("pytest", "-W", "ignore:overflow encountered:RuntimeWarning", *KERNEL_TESTS),
        {"NUMBA_DISABLE_JIT": "1", "L4FAST_EXAMPLES": "10"},
    ),
}


def run(part: Part) -> int:
    """Run one part from the project's root and return its exit status."""
    with tempfile.TemporaryDirectory(prefix="l4fast-check-") as folder:
        cache = {"NUMBA_CACHE_DIR": folder} if part.own_cache else {}
        environment = {**os.environ, **part.environment, **cache}
        command = [sys.executable, "-m", *part.command]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--list", action="store_true", help="name the parts and end")
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)} (there are: {', '.join(PARTS)})")
    chosen = {name: part for name, part in PARTS.items() if not options.parts or name in options.parts}
    if options.list:
        for name, part in chosen.items():
            print(f"{name:8} {part.meaning}")
        return 0
    rows: list[tuple[str, str, float]] = []
    for name, part in chosen.items():
        print(f"\n=== {name}: {part.meaning}", flush=True)
        begun = time.perf_counter()
        status = run(part)
        rows.append((name, "ok" if status == 0 else f"FAILED ({status})", time.perf_counter() - begun))
    print()
    for name, verdict, seconds in rows:
        print(f"{name:8} {verdict:12} {seconds:7.1f} s")
    return int(any(verdict != "ok" for _, verdict, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
