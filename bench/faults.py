"""Score l4fast on simulated failures: every fault in every style, with and without kernel logs.

usage: python bench/faults.py [--styles a,b] [--faults x,y] [--seeds N] [--first-seed N] [--culprits 1,2,8]
                              [--kernel-logs both|yes|no] [--nodes N] [--ranks-per-node N] [--baseline]
                              [--half tune|report|all] [--sample N] [--workers N] [--json FILE] [--per-run]

Runs, their two halves and the marks are those of `grid`: whoever changes the analysis looks at ``tune``
only. A job has ``--nodes`` nodes, and three times as many as are faulty at least.

Columns: node 1st, in 5 (a faulty node is named first, among the first five; of the runs whose logs
tell), wrong (an innocent node is excluded or named first), innocent (one is excluded or named at all),
nobody (nobody is named where nobody is to blame, or logs cannot tell), silent (nobody is named where logs
do tell), root 1st (the first event of role root begins with a root line), first (the first abnormal
iteration, within a log interval). Stage, category and verdict count where the answer can be defended, by
the simulator's truth; the line below the tables counts those that are exactly what was planted.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from l4fast.library import load
from l4fast.simulate import STYLES
from l4fast.stream import diagnose, learn

from grid import CULPRITS, HALVES, KINDS, Run, f1, grid, mapped, sample, score, simulate_history

COLUMNS = (
    ("node_first", "node 1st"),
    ("node_in_five", "in 5"),
    ("wrong", "wrong"),
    ("innocent", "innocent"),
    ("nobody", "nobody"),
    ("silent", "silent"),
    ("root_first", "root 1st"),
    ("stage", "stage"),
    ("last", "last"),
    ("first_abnormal", "first"),
    ("durable", "durable"),
    ("category", "category"),
    ("verdict", "verdict"),
    ("outcome", "outcome"),
)
FAULTY = ("wrong", "innocent", "silent")  # the columns in which True is a mistake


@cache
def _library() -> Any:
    return load()


@cache
def _known(style: str, nodes: int, ranks_per_node: int) -> Any:
    """Learn what a healthy job of the style says."""
    with tempfile.TemporaryDirectory(prefix="l4fast-faults-") as folder:
        simulate_history(Path(folder, "job"), style, nodes, ranks_per_node)
        return learn([f"{folder}/job/logs"], _library())


def try_one(run: Run, nodes: int, ranks_per_node: int, baseline: bool, keep: str | None) -> dict[str, Any]:
    """Simulate one run, diagnose it and score the diagnosis."""
    if keep is not None:
        Path(keep).mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="l4fast-faults-", dir=keep)
    out = Path(folder) / "job"
    try:
        truth = run.simulate(out, nodes=nodes, ranks_per_node=ranks_per_node)
        known = _known(run.style, max(nodes, 3 * run.culprits), ranks_per_node) if baseline else None
        found = diagnose([str(out / "logs")], known, library=_library())
        marks = score(truth, found, out / "logs")
        answer = {
            "nodes": [x["node"] for x in found.nodes[:5]],
            "excluded": found.action["exclude_nodes"][:5],
            "verdict": found.action["verdict"],
            "category": found.cause["category"],
            "signature": found.cause["signature"],
            "outcome": found.outcome,
            "stage": found.stage["name"],
            "last": found.iterations["last_completed"],
            "first_abnormal": found.iterations["first_abnormal"],
            "durable": found.checkpoint["last_durable"],
        }
        wanted = {
            "nodes": truth.faulty_nodes,
            "evidence": truth.node_evidence,
            "last": truth.last_iteration,
            "first_abnormal": truth.first_abnormal_iteration,
            "durable": truth.last_durable_checkpoint,
            "category": truth.category,
            "stage": truth.stage,
            "verdict": truth.verdict,
        }
        return {**asdict(run), "half": run.half, "marks": marks, "found": answer, "truth": wanted}
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def table(results: Iterable[dict[str, Any]], by: str) -> list[str]:
    """Return the lines of a table: a row for each value of ``by``, and the totals."""
    sums: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    lines: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    counts: dict[str, int] = defaultdict(int)
    for result in results:
        for row in (result[by], "all"):
            counts[row] += 1
            for key, value in result["marks"].items():
                if key == "lines":
                    lines[row] = [a + b for a, b in zip(lines[row], value, strict=True)]
                else:
                    sums[row][key][0] += value
                    sums[row][key][1] += 1
    head = f"{by:19}{'n':>5}" + "".join(f"{name:>10}" for _, name in COLUMNS) + f"{'line F1':>9}"
    told = [head]
    for row in (*(x for x in counts if x != "all"), "all"):
        cells = []
        for key, _ in COLUMNS:
            right, asked = sums[row][key]
            cells.append(f"{right}/{asked}" if asked else "-")
        of_lines = f"{f1(*lines[row]):.3f}" if any(lines[row]) else "-"
        told.append(f"{row:19}{counts[row]:>5}" + "".join(f"{cell:>10}" for cell in cells) + f"{of_lines:>9}")
    return told


def exact(results: Iterable[dict[str, Any]]) -> str:
    """Return how often an answer is the very one that was planted, where others can be defended too."""
    parts = []
    for key in ("category", "stage", "verdict"):
        asked = [r for r in results if key in r["marks"]]
        same = sum(r["found"][key] == r["truth"][key] for r in asked)
        parts.append(f"{key} {same}/{len(asked)}")
    return f"the same as planted, none that is as good: {', '.join(parts)}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--styles", default=",".join(STYLES))
    parser.add_argument("--faults", default=",".join(KINDS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--culprits", default=",".join(map(str, CULPRITS)))
    parser.add_argument("--kernel-logs", choices=("both", "yes", "no"), default="both")
    parser.add_argument("--nodes", type=int, default=12)
    parser.add_argument("--ranks-per-node", type=int, default=4)
    parser.add_argument("--baseline", action="store_true", help="learn a healthy job of the style first")
    parser.add_argument("--half", choices=HALVES, default="tune")
    parser.add_argument("--sample", type=int, help="only that many of the runs, picked by their hash")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", help="write each run's result there")
    parser.add_argument("--per-run", action="store_true", help="print each run in which something is wrong")
    parser.add_argument("--keep", metavar="DIR", help="keep the simulated jobs under this folder")
    return parser.parse_args()


def main() -> None:
    options = _options()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    culprits = [int(n) for n in options.culprits.split(",")]
    faults, styles = options.faults.split(","), options.styles.split(",")
    runs = list(grid(faults, styles, seeds, culprits, options.kernel_logs, options.half))
    if options.sample:
        picked = set(sample(runs, options.sample))
        runs = [run for run in runs if run in picked]
    begun = time.perf_counter()
    given = (options.nodes, options.ranks_per_node, options.baseline, options.keep)
    results = mapped(try_one, [(run, *given) for run in runs], options.workers)
    for result in results if options.per_run else ():
        marks = result["marks"]
        bad = [key for key, _ in COLUMNS if marks.get(key) is (key in FAULTY)]
        if bad:
            name = f"{result['fault']:18} {result['style']:9} {result['seed']} {result['culprits']}"
            print(f"{name} {'kernel' if result['kernel_logs'] else '-':6} {', '.join(bad)}")
    print("\n".join([*table(results, "fault"), "", *table(results, "style"), exact(results)]))
    print(f"{len(runs)} runs of the half {options.half!r} in {time.perf_counter() - begun:.0f} s")
    if options.json:
        Path(options.json).write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
