"""l4fast beside the method of the L4 paper, as far as it is public, on the same simulated jobs.

    python bench/beside_paper.py [--nodes N] [--seeds N] [--first-seed N] [--half tune|report|all] [--per-run]
    python bench/beside_paper.py --tune

The same logs are given to both, and a healthy job of the same style and size as history: the method
needs one, l4fast is scored with and without. Runs are those of `grid` with one faulty node and kernel
logs, cut in two halves by its rule: guesses of the method are compared on ``tune`` (``--tune``), what is
reported is of ``report``, at which nobody looks who changes either.

Marks are those of `grid`: neutral lines (tracebacks, boxes) are neither right nor wrong. A node is wrongly
blamed where the first one named is innocent or nobody is to blame; beside it stands in how many jobs any
innocent node is named, however late. The stage may be any that the truth accepts; the abnormal iteration is
right if it is the first one told and the exact one.

Seconds are one process's from the logs to the answer; history is read before. Those of reading tell how
long l4fast read and parsed, and how long it took to make `paper_lines.Lines` for the method, which says
nothing of the method's own speed. Drain is asked once about lines that are the same but for their numbers.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

from l4fast import stream
from l4fast.library import load
from l4fast.simulate import STYLES

import paper
from grid import HALVES, KINDS, accepts, below, f1, grid, lines_right, nodes_right, simulate_history
from paper_lines import PARSER, Healthy, Lines, Settings, lines_of

PER_NODE = 8
COLUMNS = ("l4fast", "l4fast with baseline", "the paper's method, re-implemented")


@dataclass(frozen=True)
class Answer:
    """What a method tells of a job; ``lines`` as (file below the logs, line), most suspect node first."""

    lines: set[tuple[str, int]]
    nodes: tuple[str, ...]
    stage: str | None
    abnormal: int | None
    seconds: float
    reading: float


def marked(truth: Any, told: Answer) -> dict[str, Any]:
    """Compare an answer with the truth; what is not asked is absent."""
    lines = lines_right(truth, told.lines)
    right, _, missed = lines
    marks: dict[str, Any] = {
        **nodes_right(truth, told.nodes),
        "lines": lines,
        "stage": accepts(truth, "stage", told.stage, truth.stage),
        "seconds": told.seconds,
        "reading": told.reading,
    }
    if right + missed:
        marks["f1"] = f1(*lines)
    if truth.first_abnormal_iteration:
        marks["abnormal"] = told.abnormal == truth.first_abnormal_iteration
    return marks


def ask_l4fast(logs: Path, known: Any) -> Answer:
    begin = perf_counter()
    found = stream.diagnose([str(logs)], known, library=load())
    rows = {(below(row["file"], logs), row["line"]) for row in found.failure_rows}
    seconds = perf_counter() - begin
    nodes = tuple(node["node"] for node in found.nodes)
    abnormal, reading = found.iterations["first_abnormal"], found.timing["read_s"]
    return Answer(rows, nodes, found.stage["name"], abnormal, seconds, reading)


def ask_paper(logs: Path, lines: Lines, reading: float, healthy: Healthy, guesses: paper.Guesses) -> Answer:
    """``reading`` is how many seconds it took to read ``lines``."""
    begin = perf_counter()
    found = paper.diagnose(lines, healthy, guesses)
    files = [below(name, logs) for name in lines.files]
    file, line = lines.file[found.failure].tolist(), lines.line[found.failure].tolist()
    rows = {(files[i], n) for i, n in zip(file, line, strict=True)}
    seconds = perf_counter() - begin + reading
    abnormal = found.abnormal[0] if found.abnormal else None
    return Answer(rows, found.nodes, found.stage, abnormal, seconds, reading)


def _timed_lines(logs: Path) -> tuple[Lines, float]:
    begin = perf_counter()
    return lines_of(logs), perf_counter() - begin


@dataclass(frozen=True)
class Job:
    """A simulated job of the grid, and what a healthy job of its style says."""

    name: str
    logs: Path
    truth: Any
    baseline: Any
    history: Lines

    def healthy(self, parsing: Settings) -> Healthy:
        return Healthy(self.history.contents, parsing)


def jobs(folder: Path, options: argparse.Namespace) -> Iterator[Job]:
    """Simulate the runs that ``options`` choose, one at a time."""
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for style in options.styles.split(","):
        healthy = folder / f"{style}-healthy"
        simulate_history(healthy, style, options.nodes, PER_NODE)
        baseline = stream.learn([str(healthy / "logs")], load())
        history = lines_of(healthy / "logs")
        shutil.rmtree(healthy)
        for run in grid(options.faults.split(","), [style], seeds, (1,), "yes", options.half):
            out = folder / "job"
            truth = run.simulate(out, nodes=options.nodes, ranks_per_node=PER_NODE)
            yield Job(run.name, out / "logs", truth, baseline, history)
            shutil.rmtree(out)


def compare(folder: Path, options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Ask all about each run."""
    marks: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    guesses = paper.Guesses()
    for job in jobs(folder, options):
        healthy = job.healthy(guesses.parsing)
        told = (
            ask_l4fast(job.logs, None),
            ask_l4fast(job.logs, job.baseline),
            ask_paper(job.logs, *_timed_lines(job.logs), healthy, guesses),
        )
        for name, answer in zip(COLUMNS, told, strict=True):
            marks[name].append(marked(job.truth, answer))
            if options.per_run:
                print(job.name, name, marks[name][-1], answer.nodes[:3], answer.stage, answer.abnormal)
    return marks


def tune(folder: Path, options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Vary each guess by itself."""
    chosen = paper.Guesses()
    variants = {
        "chosen": chosen,
        "similarity 0.4": replace(chosen, parsing=Settings(similarity=0.4)),
        "similarity 0.6": replace(chosen, parsing=Settings(similarity=0.6)),
        "similarity 0.8": replace(chosen, parsing=Settings(similarity=0.8)),
        "depth 6": replace(chosen, parsing=Settings(depth=6)),
        "300 trees": replace(chosen, trees=300),
        "spatial on all": replace(chosen, spatial_on_left=False),
        "temporal on all": replace(chosen, temporal_on_left=False),
        "blame above 0.5": replace(chosen, blame_above=0.5),
        "blame above 0.7": replace(chosen, blame_above=0.7),
        "every line left": replace(chosen, every_line_left=True),
        "stage of last line": replace(chosen, stage_of_last_line=True),
    }
    marks: dict[str, list[dict[str, Any]]] = {name: [] for name in variants}
    for job in jobs(folder, options):
        lines, reading = _timed_lines(job.logs)
        healthy = {g.parsing: job.healthy(g.parsing) for g in variants.values()}
        for name, guesses in variants.items():
            told = ask_paper(job.logs, lines, reading, healthy[guesses.parsing], guesses)
            marks[name].append(marked(job.truth, told))
    return marks


def table(marks: Mapping[str, list[dict[str, Any]]]) -> list[str]:
    """Return a Markdown table with a column for each method."""
    rows = {
        "line F1, all lines": [_f1_of_all(each) for each in marks.values()],
        "line F1, mean of failed jobs": [_mean(each, "f1", ".3f") for each in marks.values()],
        "faulty node first": [_share(each, "node_first") for each in marks.values()],
        "faulty node in first five": [_share(each, "node_in_five") for each in marks.values()],
        "wrongly blamed": [_share(each, "wrong") for each in marks.values()],
        "any innocent node named": [_share(each, "innocent") for each in marks.values()],
        "stage": [_share(each, "stage") for each in marks.values()],
        "first abnormal iteration": [_share(each, "abnormal") for each in marks.values()],
        "seconds per job": [_mean(each, "seconds", ".2f") for each in marks.values()],
        "of these reading": [_mean(each, "reading", ".2f") for each in marks.values()],
    }
    head = [f"| | {' | '.join(marks)} |", "|---" * (len(marks) + 1) + "|"]
    return head + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]


def _f1_of_all(marks: list[dict[str, Any]]) -> str:
    right, wrong, missed = (sum(m["lines"][i] for m in marks) for i in range(3))
    return f"{f1(right, wrong, missed):.3f}"


def _share(marks: list[dict[str, Any]], key: str) -> str:
    found = [m[key] for m in marks if key in m]
    return f"{sum(found)}/{len(found)}"


def _mean(marks: list[dict[str, Any]], key: str, form: str) -> str:
    found = [m[key] for m in marks if key in m]
    return format(fmean(found), form) if found else "-"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--styles", default=",".join(STYLES))
    parser.add_argument("--faults", default=",".join(KINDS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--nodes", type=int, default=16, help=f"of {PER_NODE} ranks each")
    parser.add_argument("--half", choices=HALVES)
    parser.add_argument("--tune", action="store_true", help="vary the method's guesses on the half tune")
    parser.add_argument("--per-run", action="store_true")
    options = parser.parse_args()
    options.half = options.half or ("tune" if options.tune else "report")
    folder = Path(tempfile.mkdtemp(prefix="l4fast-paper-"))
    try:
        marks = (tune if options.tune else compare)(folder, options)
    finally:
        shutil.rmtree(folder)
    print(f"$ python bench/beside_paper.py {' '.join(sys.argv[1:])}".rstrip(), end="\n\n")
    size = len(next(iter(marks.values())))
    print(
        f"{size} jobs of {options.nodes} nodes x {PER_NODE} ranks, half {options.half!r} of the grid; Python"
    )
    print(f"{platform.python_version()}, {platform.machine()}; the method's events: {PARSER}.", end="\n\n")
    print("\n".join(table(marks)))


if __name__ == "__main__":
    main()
