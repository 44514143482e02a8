"""How fast lines are read, as ratios measured in one run: to `wc -l`, and to the naive way.

    python bench/speed.py [--mb N] [FILE]

FILE is one uncompressed log; without it, a simulated job of 128 ranks is written, file after file,
until N megabytes (256 unless told) are there. All counts of lines and, over the first 4 MB, the
lines of each shape are first held equal to those of a reader in plain Python. Then `wc -l`, the
parser (lines to columns), the whole first pass (parser and sums) and the plain reader take turns,
warm, best of five.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
from l4fast.canonical import mask
from l4fast.chunks import chunks
from l4fast.discovery import discover
from l4fast.library import load
from l4fast.parse import Parser
from l4fast.simulate import simulate
from l4fast.stream import read

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import naive

DAY = 20_500  # days since 1970, for dates without a year: any will do
SAMPLE = 4 << 20


def written(path: Path, size: int) -> Path:
    """Write the files of a simulated job one after the other, again and again."""
    with tempfile.TemporaryDirectory() as place:
        simulate(place, style="nemo", nodes=16, fault="hang")
        files = [f.read_bytes() for f in sorted(Path(place, "logs").rglob("*")) if f.is_file()]
    with path.open("wb") as out:
        while out.tell() < size:
            for data in files:
                out.write(data if data.endswith(b"\n") else data + b"\n")
    return path


def parse(path: Path, limit: int = 1 << 62) -> tuple[int, Counter[str]]:
    """Return how many lines there are, and the lines of each raw shape."""
    parser, lines, seen = Parser(reference_day=DAY), 0, np.zeros(0, np.int64)
    for chunk in chunks(discover([path]).streams[0]):
        if chunk.offset >= limit:
            break
        cols = parser.feed(
            chunk.data, chunk.size, stream=0, offset=chunk.offset, first_line=lines + 1, last=chunk.last
        )
        lines += cols.n_lines
        if limit < 1 << 62:
            found = np.bincount(cols.raw[: cols.n], minlength=len(parser.raws))
            seen = found + np.pad(seen, (0, len(found) - len(seen)))
    return lines, Counter({r.masked: int(n) for r, n in zip(parser.raws, seen, strict=False) if n})


def plainly(data: bytes) -> tuple[int, Counter[str]]:
    """Do the first steps of the parser, line by line: split (at redraws too), mask, count."""
    shapes = Counter(mask(data[start:stop])[0] for start, stop, _, _ in naive.segments(data))
    return data.count(b"\n"), shapes


def _took(run: Callable[[], object]) -> float:
    begin = perf_counter()
    run()
    return perf_counter() - begin


def main() -> None:
    """Check, race, print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("file", nargs="?", type=Path)
    options.add_argument("--mb", type=int, default=256)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        path = given.file or written(Path(place, "job.log"), given.mb * 1_000_000)
        race(path, Path(place, "head.log"))


def race(path: Path, head: Path) -> None:
    library, size = load(), path.stat().st_size
    with path.open("rb") as file:
        sample = file.read(SAMPLE)
    sample = sample[: sample.rfind(b"\n") + 1]
    head.write_bytes(sample)
    counted = int(subprocess.run(["wc", "-l", path], capture_output=True, check=True).stdout.split()[0])
    lines, _ = parse(path)
    job = read([str(path)], library)
    assert counted <= lines <= counted + 1, (counted, lines)
    assert sum(s.lines for s in job.job.streams) == lines
    want, got = plainly(sample), parse(head, len(sample) + 1)
    assert want[0] == got[0], (want[0], got[0])
    assert want[1] == got[1], list((want[1] - got[1]).items())[:3] + list((got[1] - want[1]).items())[:3]
    runs = {
        "wc -l": lambda: subprocess.run(["wc", "-l", path], capture_output=True, check=True),
        "parser": lambda: parse(path),
        "first pass": lambda: read([str(path)], library),
        "plain Python, 4 MB": lambda: plainly(sample),
    }
    spent = dict.fromkeys(runs, float("inf"))
    for _ in range(5):
        for name, run in runs.items():
            spent[name] = min(spent[name], _took(run))
    print(f"{size / 1e6:.0f} MB, {lines:,} lines; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    per_line = {name: seconds / lines for name, seconds in spent.items()}
    per_line["plain Python, 4 MB"] = spent["plain Python, 4 MB"] / want[0]
    for name, seconds in per_line.items():
        print(
            f"{name:20} {1e-6 / seconds:8.2f} M lines/s {size / lines / seconds / 1e9:7.3f} GB/s"
            f"   {per_line['wc -l'] / seconds:6.3f} of wc -l"
            f"   {per_line['plain Python, 4 MB'] / seconds:6.1f} x plain Python"
        )


if __name__ == "__main__":
    main()
