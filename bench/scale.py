"""A job of full size: how long a diagnosis takes beside `cat FILES | wc -l`, and how cost grows.

    python bench/scale.py [--gb 1 2 5] [--ranks 64 ... 10000] [--rounds N] [--workers N] [--out D] [--keep D]

A hang of 10,000 ranks is simulated for each size (NeMo under srun: each line has the label of its
rank), once as the merged console that srun writes and once as a file a rank, the same lines without
the label. `l4fast diagnose --json` runs in a process of its own that may hold 256 files open. The answer
comes first: it must name the planted node and rank, and count the lines that `wc` counts. Then both are
timed in turn, best of N rounds (3), on warm files; peak memory is what the kernel says of the process
(``ru_maxrss``). Growth is told by jobs of 64 to 10,000 ranks with as many lines each.

The table is printed; with ``--out`` it is written there too, below the command, and a plot (with matplotlib).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import orjson
from l4fast.simulate import simulate

from l4fast_kernels.jit import kernel

PER_NODE = 8
MOST_OPEN = 256
GOAL_RATIO, GOAL_FROM_MB, GOAL_MB = 5.0, 5000, 1024
SPLIT_BYTES = 256 << 20
ITERATIONS = 200  # of the jobs that tell how cost grows with ranks


@dataclass(frozen=True)
class Run:
    """One command: wall and processor seconds, peak memory in MB, and what it wrote."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    out: bytes


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    layout: str
    ranks: int
    files: int
    mb: float
    lines: int
    wc_s: float
    run: Run
    read_s: float
    analyse_s: float

    @property
    def ratio(self) -> float:
        return self.run.wall_s / self.wc_s


def run(command: list[str], *, most_open: int | None = None) -> Run:
    """Run a command to its end; ``most_open`` limits the files that it may hold open."""

    def limit() -> None:
        if most_open is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most_open, most_open))

    with tempfile.TemporaryFile() as out:
        begin = perf_counter()
        child = subprocess.Popen(command, stdout=out, preexec_fn=limit)
        _, _, used = os.wait4(child.pid, 0)
        wall_s = perf_counter() - begin
        out.seek(0)
        return Run(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, out.read())


def simulated(folder: Path, nodes: int, size: int | None) -> Path:
    """Simulate a hang: of at least ``size`` bytes, or of `ITERATIONS` iterations."""
    iterations = ITERATIONS
    while True:
        simulate(
            folder, style="nemo", nodes=nodes, ranks_per_node=PER_NODE, iterations=iterations, fault="hang"
        )
        written = sum(path.stat().st_size for path in (folder / "logs").iterdir())
        if size is None or written >= size:
            return folder
        shutil.rmtree(folder)
        iterations = int(iterations * max(1.02 * size / written, 1.02)) + 1


@kernel
def labels(buf, size, width, begin, end, rank):
    """Write the bounds of each line (its end behind its newline) and its label; return how many lines.

    Parameters
    ----------
    buf : uint8[>= size]
        Whole lines.
    width : int64
        Of a label, which is a number padded with blanks, a colon and a blank.
    begin, end : int64[n], written
    rank : int32[n], written
        -1 for a line without a label.
    """
    n = 0
    at = 0
    while at < size:
        stop = at
        while buf[stop] != 10:
            stop += 1
        number = np.int64(-1)
        if stop - at >= width + 2 and buf[at + width] == 58:
            number = 0
            for i in range(at, at + width):
                if 48 <= buf[i] < 58:
                    number = 10 * number + buf[i] - 48
                elif buf[i] != 32:
                    number = -1
                    break
        begin[n] = at if number < 0 else at + width + 2
        end[n] = stop + 1
        rank[n] = number
        n += 1
        at = stop + 1
    return n


@kernel
def gather(buf, begin, end, order, out):
    """Write the lines one behind the other in the given order."""
    at = 0
    for i in order:
        for k in range(begin[i], end[i]):
            out[at] = buf[k]
            at += 1


def split(console: Path, folder: Path, ranks: int) -> None:
    """Write a file a rank, without labels, and one of all other lines."""
    folder.mkdir()
    width = len(str(ranks - 1))
    names = [folder / f"log_{rank:0{width}}.out" for rank in range(ranks)] + [folder / console.name]
    left = b""
    with console.open("rb") as source:
        while data := left + source.read(SPLIT_BYTES):
            size = data.rfind(b"\n") + 1
            left, buf = data[size:], np.frombuffer(data, np.uint8)
            room = data.count(b"\n")
            begin, end = np.empty(room, np.int64), np.empty(room, np.int64)
            rank = np.empty(room, np.int32)
            labels(buf, size, width, begin, end, rank)
            rank[rank < 0] = ranks
            order = np.argsort(rank, kind="stable")
            out = np.empty(int((end - begin).sum()), np.uint8)
            gather(buf, begin, end, order, out)
            ends = np.concatenate(
                [[0], np.cumsum(np.bincount(rank, end - begin, ranks + 1).astype(np.int64))]
            )
            for k in np.flatnonzero(np.diff(ends)).tolist():
                with names[k].open("ab") as file:
                    file.write(out[ends[k] : ends[k + 1]])


def count(folder: Path) -> list[str]:
    return ["sh", "-c", f"find '{folder}' -type f -print0 | xargs -0 cat | wc -l"]


def diagnose(folder: Path, workers: int) -> list[str]:
    return [sys.executable, "-m", "l4fast", "diagnose", "--json", "--workers", str(workers), str(folder)]


def checked(out: bytes, truth: dict[str, object], lines: int) -> dict[str, object]:
    """Return the answer; it must name the planted node and rank, and count all lines."""
    found = json.loads(out)
    nodes, ranks = [n["node"] for n in found["nodes"]], [r["rank"] for r in found["ranks"]]
    assert (nodes[:1], ranks[:1]) == (truth["faulty_nodes"], truth["faulty_ranks"]), (nodes, ranks)
    assert found["outcome"] in ("failed", "hung"), found["outcome"]
    assert found["job"]["lines"] == lines, (found["job"]["lines"], lines)
    assert not found["coverage"]["unreadable"], found["coverage"]["unreadable"]
    return found


def measure(layout: str, logs: Path, truth: dict[str, object], workers: int, rounds: int) -> Row:
    """Check the answer, then time both in turn."""
    lines = int(run(count(logs)).out)
    found = checked(run(diagnose(logs, workers), most_open=MOST_OPEN).out, truth, lines)
    counts, answers = [], []
    for _ in range(rounds):
        counts.append(run(count(logs)).wall_s)
        answers.append(run(diagnose(logs, workers), most_open=MOST_OPEN))
    best = min(answers, key=lambda each: each.wall_s)
    timing = json.loads(best.out)["timing"]
    job = found["job"]
    assert isinstance(job, dict)
    return Row(
        layout,
        job["ranks"],
        job["files"],
        job["bytes"] / 1e6,
        lines,
        min(counts),
        best,
        timing["read_s"],
        timing["analyse_s"],
    )


def build(folder: Path, nodes: int, size: int) -> None:
    """Simulate a job, ``size`` 0 for `ITERATIONS`; split its console; tell what was planted."""
    job = simulated(folder / "job", nodes, size or None)
    (console,) = (job / "logs").glob("slurm-*.out")
    split(console, folder / "files", nodes * PER_NODE)
    shutil.copy(job / "logs" / "messages", folder / "files")
    truth = orjson.loads((job / "truth.json").read_bytes())
    print(json.dumps({name: truth[name] for name in ("faulty_nodes", "faulty_ranks")}))


def jobs_of(place: Path, nodes: int, size: int, workers: int, rounds: int) -> list[Row]:
    """Simulate one job and measure both of its layouts; clean up.

    A process of its own builds it: what a child uses at most counts the memory of whom it was forked from.
    """
    built = run([sys.executable, __file__, "--build", str(place), str(nodes), str(size)])
    truth = json.loads(built.out)
    rows = [
        measure("one console", place / "job" / "logs", truth, workers, rounds),
        measure("a file a rank", place / "files", truth, workers, rounds),
    ]
    for folder in ("job", "files"):
        shutil.rmtree(place / folder)
    return rows


HEAD = (
    f"{'layout':14} {'ranks':>6} {'files':>6} {'MB':>8} {'M lines':>8} {'cat|wc s':>9} {'diagnose s':>10} "
    f"{'ratio':>6} {'cpu s':>6} {'read s':>7} {'analyse s':>9} {'peak MB':>8}"
)


def line_of(row: Row) -> str:
    size = f"{row.layout:14} {row.ranks:6} {row.files:6} {row.mb:8.1f} {row.lines / 1e6:8.2f}"
    cost = f"{row.wc_s:9.2f} {row.run.wall_s:10.2f} {row.ratio:6.2f} {row.run.cpu_s:6.2f}"
    return f"{size} {cost} {row.read_s:7.2f} {row.analyse_s:9.2f} {row.run.peak_mb:8.0f}"


def growth(rows: list[Row]) -> list[str]:
    """Tell how processor time grows with ranks: least squares over the jobs of each layout."""
    told = []
    for layout in dict.fromkeys(row.layout for row in rows):
        mine = [row for row in rows if row.layout == layout]
        if len(mine) < 3:
            continue
        ranks = np.array([row.ranks for row in mine], float)
        cost = np.array([row.run.cpu_s for row in mine])
        slope, base = np.polyfit(ranks, cost, 1)
        fit = 1 - ((cost - base - slope * ranks) ** 2).sum() / ((cost - cost.mean()) ** 2).sum()
        power = np.polyfit(np.log(ranks[-3:]), np.log(np.maximum(cost[-3:] - base, 1e-3)), 1)[0]
        told.append(
            f"{layout}: {base:.2f} s + {slope * 1e3:.3f} ms a rank (r2 {fit:.4f}); "
            f"the last three grow with ranks to the power of {power:.2f}"
        )
    return told


def plot(by_size: list[Row], by_ranks: list[Row], path: Path) -> bool:
    """Draw processor seconds over bytes and over ranks; without matplotlib, nothing."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for layout in dict.fromkeys(row.layout for row in (*by_size, *by_ranks)):
        for axes, rows, key in ((left, by_size, "mb"), (right, by_ranks, "ranks")):
            mine = [row for row in rows if row.layout == layout]
            axes.plot([getattr(r, key) for r in mine], [r.run.wall_s for r in mine], "o-", label=layout)
            if mine:
                name = f"cat | wc -l, {layout}"
                axes.plot([getattr(r, key) for r in mine], [r.wc_s for r in mine], "x:", label=name)
    left.set(xlabel="MB, 10,000 ranks", ylabel="seconds", xlim=0, ylim=0)
    right.set(xlabel=f"ranks, {ITERATIONS} iterations", ylabel="seconds", xlim=0, ylim=0)
    left.legend()
    figure.tight_layout()
    figure.savefig(path)
    return True


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--gb", type=float, nargs="*", default=[1, 2, 5])
    options.add_argument("--ranks", type=int, nargs="*", default=[64, 256, 1024, 2048, 4096, 10_000])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--keep", type=Path, help="where to build the jobs, instead of a temporary folder")
    options.add_argument("--build", nargs=3, help=argparse.SUPPRESS)
    options.add_argument("--out", type=Path, help="a folder for scale.txt and scale.svg")
    return options.parse_args()


def main() -> None:
    """Build, check, measure, tell."""
    given = arguments()
    if given.build:
        build(Path(given.build[0]), int(given.build[1]), int(given.build[2]))
        return
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="l4fast-scale-", dir=given.keep))
    told = [f"load {os.getloadavg()[0]:.1f} before, {os.cpu_count()} cores, {given.workers} workers", HEAD]
    print("\n".join(told), flush=True)

    def tell(line: str) -> None:
        told.append(line)
        print(line, flush=True)

    by_size: list[Row] = []
    by_ranks: list[Row] = []
    try:
        for gb in given.gb:
            by_size += jobs_of(place, 1250, int(gb * 1e9), given.workers, given.rounds)
            for row in by_size[-2:]:
                tell(line_of(row))
        for ranks in given.ranks:
            by_ranks += jobs_of(place, ranks // PER_NODE, 0, given.workers, given.rounds)
            for row in by_ranks[-2:]:
                tell(line_of(row))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    for line in growth(by_ranks):
        tell(line)
    large = [row.ratio for row in by_size if row.mb >= GOAL_FROM_MB]
    peaks = [row.run.peak_mb for row in by_size]
    for name, found, goal in (
        ("diagnose / cat | wc -l, 5 GB and more", large, GOAL_RATIO),
        ("peak memory, MB", peaks, GOAL_MB),
    ):
        if found:
            verdict = "holds" if max(found) <= goal else "MISSED"
            tell(f"{name}: {max(found):.2f} at most (goal {goal:g}: {verdict})")
    tell(f"load {os.getloadavg()[0]:.1f} after; never more than {MOST_OPEN} files open at once")
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        command = shlex.join(["python", "bench/scale.py", *sys.argv[1:]])
        (given.out / "scale.txt").write_text("\n".join([f"$ {command}", *told]) + "\n")
        plot(by_size, by_ranks, given.out / "scale.svg")


if __name__ == "__main__":
    main()
