"""l4fast beside the method of the L4 paper, as far as it is public, on the same simulated jobs.

    python bench/beside_paper.py [--nodes N] [--seeds N] [--first-seed N] [--half odd|even|all] [--per-run]
    python bench/beside_paper.py --tune

The same logs are given to both, and a healthy job of the same style and size as history: the method
needs one, l4fast is scored with and without. The grid of (fault, style, seed) is cut in two by a hash:
the method's guesses were chosen on the even half (``--tune``), what is reported is the odd one.

Lines count as in `faults.py`: neutral ones (tracebacks, boxes) are neither right nor wrong. A node is
wrongly blamed where the first one named is innocent or nobody is to blame. The stage may be any that the
truth accepts; the abnormal iteration is right if it is the first one told and the exact one.

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
from hashlib import blake2b
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

import orjson
from l4fast import stream
from l4fast.library import load
from l4fast.simulate import FAULTS, STYLES, simulate

import paper
from paper_lines import PARSER, Healthy, Lines, Settings, lines_of

ITERATIONS = 120
HISTORY_SEED = 999
COLUMNS = ("l4fast", "l4fast with baseline", "the paper's method, re-implemented")


@dataclass(frozen=True)
class Answer:
    """What a method tells of a job; ``lines`` as (file below the logs, line)."""

    lines: set[tuple[str, int]]
    nodes: tuple[str, ...]
    stage: str | None
    abnormal: int | None
    seconds: float
    reading: float


@dataclass(frozen=True)
class Marks:
    """How good an answer is; None where a question does not arise."""

    right: int
    wrong: int
    missed: int
    first: bool | None
    five: bool | None
    blamed: bool
    stage: bool
    abnormal: bool | None
    seconds: float
    reading: float

    @property
    def f1(self) -> float | None:
        return _f1(self.right, self.wrong, self.missed) if self.right + self.missed else None


def _f1(right: int, wrong: int, missed: int) -> float:
    return 2 * right / max(2 * right + wrong + missed, 1)


def half(fault: str | None, style: str, seed: int) -> str:
    """Return which half of the grid a run belongs to, told by a hash of its name."""
    return ("even", "odd")[blake2b(f"{fault}/{style}/{seed}".encode(), digest_size=1).digest()[0] % 2]


def marked(truth: Mapping[str, Any], told: Answer) -> Marks:
    """Compare an answer with the truth."""
    wanted = {(x["file"], x["line"]) for x in truth["failure_lines"]}
    neutral = {
        (c["file"], n) for c in truth["context_lines"] for a, b in c["ranges"] for n in range(a, b + 1)
    }
    lines, faulty = told.lines - neutral, set(truth["faulty_nodes"])
    asked = bool(faulty) and truth["node_evidence"] != "none"
    iteration = truth["first_abnormal_iteration"]
    stages = (truth["stage"], *(truth["accepted"] or {}).get("stage", ()))
    return Marks(
        right=len(lines & wanted),
        wrong=len(lines - wanted),
        missed=len(wanted - lines),
        first=bool(faulty.intersection(told.nodes[:1])) if asked else None,
        five=bool(faulty.intersection(told.nodes[:5])) if asked else None,
        blamed=bool(told.nodes) and told.nodes[0] not in faulty,
        stage=told.stage in stages,
        abnormal=told.abnormal == iteration if iteration else None,
        seconds=told.seconds,
        reading=told.reading,
    )


def ask_l4fast(logs: Path, known: Any) -> Answer:
    begin = perf_counter()
    found = stream.diagnose([str(logs)], known, library=load())
    rows = {(_below(row["file"], logs), row["line"]) for row in found.failure_rows}
    seconds = perf_counter() - begin
    nodes = tuple(node["node"] for node in found.nodes)
    abnormal, reading = found.iterations["first_abnormal"], found.timing["read_s"]
    return Answer(rows, nodes, found.stage["name"], abnormal, seconds, reading)


def ask_paper(logs: Path, lines: Lines, reading: float, healthy: Healthy, guesses: paper.Guesses) -> Answer:
    """``reading`` is how many seconds it took to read ``lines``."""
    begin = perf_counter()
    found = paper.diagnose(lines, healthy, guesses)
    files = [_below(name, logs) for name in lines.files]
    file, line = lines.file[found.failure].tolist(), lines.line[found.failure].tolist()
    rows = {(files[i], n) for i, n in zip(file, line, strict=True)}
    seconds = perf_counter() - begin + reading
    abnormal = found.abnormal[0] if found.abnormal else None
    return Answer(rows, found.nodes, found.stage, abnormal, seconds, reading)


def _timed_lines(logs: Path) -> tuple[Lines, float]:
    begin = perf_counter()
    return lines_of(logs), perf_counter() - begin


def _below(file: str, logs: Path) -> str:
    return file.removeprefix(f"{logs}/")


@dataclass(frozen=True)
class Run:
    """A simulated job of the grid, and what a healthy job of its style says."""

    name: str
    logs: Path
    truth: Mapping[str, Any]
    baseline: Any
    history: Lines

    def healthy(self, parsing: Settings) -> Healthy:
        return Healthy(self.history.contents, parsing)


def runs(folder: Path, options: argparse.Namespace) -> Iterator[Run]:
    """Simulate the jobs that ``options`` choose, one at a time."""
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for style in options.styles.split(","):
        healthy = folder / f"{style}-healthy"
        simulate(healthy, style=style, nodes=options.nodes, iterations=ITERATIONS, seed=HISTORY_SEED)
        baseline = stream.learn([str(healthy / "logs")], load())
        history = lines_of(healthy / "logs")
        shutil.rmtree(healthy)
        for fault in (None, *options.faults.split(",")):
            for seed in seeds:
                if options.half not in ("all", half(fault, style, seed)):
                    continue
                out = folder / f"{style}-{fault}-{seed}"
                simulate(out, style=style, nodes=options.nodes, iterations=ITERATIONS, fault=fault, seed=seed)
                truth = orjson.loads((out / "truth.json").read_bytes())
                yield Run(out.name, out / "logs", truth, baseline, history)
                shutil.rmtree(out)


def compare(folder: Path, options: argparse.Namespace) -> dict[str, list[Marks]]:
    """Ask all about each run."""
    marks: dict[str, list[Marks]] = {name: [] for name in COLUMNS}
    guesses = paper.Guesses()
    for run in runs(folder, options):
        healthy = run.healthy(guesses.parsing)
        told = (
            ask_l4fast(run.logs, None),
            ask_l4fast(run.logs, run.baseline),
            ask_paper(run.logs, *_timed_lines(run.logs), healthy, guesses),
        )
        for name, answer in zip(COLUMNS, told, strict=True):
            marks[name].append(marked(run.truth, answer))
            if options.per_run:
                print(run.name, name, marks[name][-1], answer.nodes[:3], answer.stage, answer.abnormal)
    return marks


def tune(folder: Path, options: argparse.Namespace) -> dict[str, list[Marks]]:
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
    marks: dict[str, list[Marks]] = {name: [] for name in variants}
    for run in runs(folder, options):
        lines, reading = _timed_lines(run.logs)
        healthy = {g.parsing: run.healthy(g.parsing) for g in variants.values()}
        for name, guesses in variants.items():
            told = ask_paper(run.logs, lines, reading, healthy[guesses.parsing], guesses)
            marks[name].append(marked(run.truth, told))
    return marks


def table(marks: Mapping[str, list[Marks]]) -> list[str]:
    """Return a Markdown table with a column for each method."""
    rows = {
        "line F1, all lines": [_f1_of_all(each) for each in marks.values()],
        "line F1, mean of failed jobs": [_mean(each, "f1", ".3f") for each in marks.values()],
        "faulty node first": [_share(each, "first") for each in marks.values()],
        "faulty node in first five": [_share(each, "five") for each in marks.values()],
        "wrongly blamed": [_share(each, "blamed") for each in marks.values()],
        "stage": [_share(each, "stage") for each in marks.values()],
        "first abnormal iteration": [_share(each, "abnormal") for each in marks.values()],
        "seconds per job": [_mean(each, "seconds", ".2f") for each in marks.values()],
        "of these reading": [_mean(each, "reading", ".2f") for each in marks.values()],
    }
    head = [f"| | {' | '.join(marks)} |", "|---" * (len(marks) + 1) + "|"]
    return head + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]


def _f1_of_all(marks: list[Marks]) -> str:
    return (
        f"{_f1(sum(m.right for m in marks), sum(m.wrong for m in marks), sum(m.missed for m in marks)):.3f}"
    )


def _asked(marks: list[Marks], key: str) -> list[Any]:
    return [value for m in marks if (value := getattr(m, key)) is not None]


def _share(marks: list[Marks], key: str) -> str:
    found = _asked(marks, key)
    return f"{sum(found)}/{len(found)}"


def _mean(marks: list[Marks], key: str, form: str) -> str:
    found = _asked(marks, key)
    return format(fmean(found), form) if found else "-"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--styles", default=",".join(STYLES))
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--nodes", type=int, default=16, help="of 8 ranks each")
    parser.add_argument("--half", choices=("even", "odd", "all"))
    parser.add_argument("--tune", action="store_true", help="vary the method's guesses on the even half")
    parser.add_argument("--per-run", action="store_true")
    options = parser.parse_args()
    options.half = options.half or ("even" if options.tune else "odd")
    folder = Path(tempfile.mkdtemp(prefix="l4fast-paper-"))
    try:
        marks = (tune if options.tune else compare)(folder, options)
    finally:
        shutil.rmtree(folder)
    print(f"$ python bench/beside_paper.py {' '.join(sys.argv[1:])}".rstrip(), end="\n\n")
    jobs = len(next(iter(marks.values())))
    print(f"{jobs} jobs of {options.nodes} nodes x 8 ranks, {options.half} half of the grid; Python")
    print(f"{platform.python_version()}, {platform.machine()}; the method's events: {PARSER}.", end="\n\n")
    print("\n".join(table(marks)))


if __name__ == "__main__":
    main()
