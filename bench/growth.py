"""Whether speed and memory hold where the vocabulary of a log grows without end.

    python bench/growth.py [--mb N] [--share S] [--seed N]

Two logs of N megabytes (512 unless told) are written, line for line of the same kinds. Most are
the ordinary ones of a simulated job. A share of them (0.1 unless told) are of twelve kinds that
tell names: users, hosts, paths, tensors, UUIDs, pods, keys of a configuration, JSON records,
frames and ends of tracebacks, a sentence of a data set. In the one log the names are ever new; in the
other each kind says the same twenty things again and again. Each log is read by a process of its own,
warm, in turns, best of four: the parser alone, and the whole first pass of a diagnosis. No line may be lost:
the lines of all shapes are as many as were written.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
from l4fast.chunks import chunks
from l4fast.discovery import discover
from l4fast.library import load
from l4fast.parse import Parser
from l4fast.simulate import simulate
from l4fast.stream import read

DAY = 20_500  # days since 1970, for dates without a year: any will do
FEW = 20
GOAL = 0.5
LETTERS = np.frombuffer(string.ascii_lowercase.encode(), np.uint8)


class Names:
    """Words without a digit."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def __call__(self) -> str:
        return LETTERS[self.rng.integers(0, 26, 10)].tobytes().decode()

    def uuid(self) -> str:
        text = self.rng.bytes(16).hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


KINDS: tuple[Callable[[Names, str], str], ...] = (
    lambda n, t: f"{t} INFO auth: session opened for user {n()} by root",
    lambda n, t: f"{t} INFO rendezvous: host {n()}.cluster.local joined the job",
    lambda n, t: f"{t} WARNING data: sample /data/{n()}/{n()}.bin is short, skipped",
    lambda n, t: f"{t} INFO checkpoint: loading tensor model.{n()}.{n()}.weight of shape [512, 1024]",
    lambda n, t: f"{t} INFO request {n.uuid()} from {n()} done in 12 ms",
    lambda n, t: f"{t} INFO kubelet: pod trainer-{n()[:5]} of {n()} is ready",
    lambda n, t: f"{t} INFO config: {n()}.{n()} = {n()}",
    lambda n, t: (
        f'{{"time": "2026-03-02T10:00:00Z", "user": "{n()}", "run": "{n()}", '
        f'"tags": ["{n()}", "{n()}"], "n": 12}}'
    ),
    lambda n, t: f'  File "/opt/{n()}/{n()}.py", line 12, in {n()}',
    lambda n, t: f"{n().capitalize()}Error: cannot find {n()} in {n()}",
    lambda n, t: f"{t} INFO data: text of sample 12: {n()} {n()} the {n()} of {n()} and {n()}",
    lambda n, t: f"{t} DEBUG cache: {n()}={n()} {n()}={n()}",
)


def ordinary() -> list[bytes]:
    """Return the lines of a simulated job."""
    with tempfile.TemporaryDirectory() as place:
        simulate(place, style="nemo", nodes=4, fault=None)
        files = [f.read_bytes() for f in sorted(Path(place, "logs").rglob("*")) if f.is_file()]
    return [line for data in files for line in data.split(b"\n") if line]


def blocks(lines: list[bytes], size: int, share: float, seed: int, *, grow: bool) -> Iterator[bytes]:
    """Yield ``size`` bytes or a little more, a thousand lines at a time."""
    rng = np.random.default_rng(seed)
    names = Names(np.random.default_rng(seed))
    few = [[kind(names, "{}") for _ in range(FEW)] for kind in KINDS]
    done, at = 0, 0
    while done < size:
        mine = rng.random(1000) < share
        kinds, which = rng.integers(0, len(KINDS), 1000), rng.integers(0, FEW, 1000)
        made = []
        for k in range(1000):
            if mine[k]:
                stamp = f"2026-03-02 10:{at // 1000 % 60:02}:{k % 60:02},{k:03}"
                text = KINDS[kinds[k]](names, stamp) if grow else few[kinds[k]][which[k]]
                made.append(text.replace("{}", stamp, 1).encode())
            else:
                made.append(lines[at % len(lines)])
            at += 1
        block = b"\n".join(made) + b"\n"
        done += len(block)
        yield block


def parse(path: Path) -> Parser:
    parser, lines = Parser(reference_day=DAY), 0
    for chunk in chunks(discover([path]).streams[0]):
        cols = parser.feed(
            chunk.data, chunk.size, stream=0, offset=chunk.offset, first_line=lines + 1, last=chunk.last
        )
        lines += cols.n_lines
    return parser


def took(run: Callable[[], object]) -> float:
    begin = perf_counter()
    run()
    return perf_counter() - begin


def measure(path: Path) -> dict[str, float]:
    """Read one log in this process: seconds, memory, and what was found."""
    library = load()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    parser_s = min(took(lambda: parse(path)) for _ in range(2))
    first_pass_s = min(took(lambda: read([str(path)], library)) for _ in range(2))
    parser, job = parse(path), read([str(path)], library).job
    return {
        "parser_s": parser_s,
        "first_pass_s": first_pass_s,
        "lines": sum(s.lines for s in job.streams),
        "counted": int(job.shape_count.sum()),
        "raw_shapes": len(parser.raws),
        "shapes": len(job.shapes),
        "collapsed": len(job.buckets.collapsed),
        "collapsed_lines": job.collapsed_lines,
        "step": job.buckets.step,
        "kept": job.buckets.weight,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rss_before_mb": before / 1024,
    }


def main() -> None:
    """Write, measure in child processes, check, print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--mb", type=int, default=512)
    options.add_argument("--share", type=float, default=0.1)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure)))
        return
    with tempfile.TemporaryDirectory() as place:
        tell(race(Path(place), given.mb * 1_000_000, given.share, given.seed), given.share)


def race(place: Path, size: int, share: float, seed: int) -> dict[str, dict[str, float]]:
    """Write both logs; let processes of their own read them in turns, twice."""
    lines, written = ordinary(), {}
    for name in ("same", "growing"):
        written[name] = 0
        with Path(place, name).open("wb") as out:
            for block in blocks(lines, size, share, seed, grow=name == "growing"):
                out.write(block)
                written[name] += block.count(b"\n")
    found: dict[str, dict[str, float]] = {}
    for name in ("same", "growing") * 2:
        command = [sys.executable, __file__, "--measure", Path(place, name)]
        one = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        assert one["lines"] == one["counted"] == written[name], (name, written[name], one)
        for what in ("parser_s", "first_pass_s") if name in found else ():
            one[what] = min(one[what], found[name][what])
        found[name] = one | {"mb": Path(place, name).stat().st_size / 1e6}
    return found


def tell(found: dict[str, dict[str, float]], share: float) -> None:
    print(f"{share:.0%} of the lines tell names; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for name, f in found.items():
        speed = [f["lines"] / f[what] / 1e6 for what in ("parser_s", "first_pass_s")]
        print(
            f"{name:8} {f['mb']:.0f} MB, {f['lines']:,} lines, none lost; "
            f"{f['raw_shapes']:,} raw shapes met, {f['shapes']:,} shapes in the end\n"
            f"         {f['collapsed']} buckets collapsed ({f['collapsed_lines']:,} lines); "
            f"step {f['step']} of the ladder, weight {f['kept']:,}\n"
            f"         parser {speed[0]:.2f}, first pass {speed[1]:.2f} M lines/s; "
            f"peak memory {f['rss_mb']:.0f} MB, {f['rss_before_mb']:.0f} MB before the first byte"
        )
    same, growing = found["same"], found["growing"]
    for what in ("parser", "first_pass"):
        ratio = (growing["lines"] / growing[f"{what}_s"]) / (same["lines"] / same[f"{what}_s"])
        verdict = "holds" if ratio >= GOAL else "MISSED"
        print(f"{what.replace('_', ' '):10} growing / same: {ratio:.2f} (goal {GOAL}: {verdict})")


if __name__ == "__main__":
    main()
