"""Score l4fast on simulated failures: every fault in every style, with and without kernel logs.

usage: python bench/faults.py [--styles a,b] [--faults x,y] [--seeds N] [--first-seed N] [--culprits 1,2,8]
                              [--kernel-logs both|yes|no] [--nodes N] [--ranks-per-node N] [--baseline]
                              [--half tune|report|all] [--sample N] [--workers N] [--json FILE] [--per-run]

**The held-out half.** A run is (fault, style, seed, culprits, kernel logs). The first byte of BLAKE2b
over ``fault/style/seed/culprits/kernel_logs`` (``yes`` or ``no``; ``healthy`` for no fault) tells its
half: even is ``tune``, odd is ``report``. Whoever changes the analysis looks at runs of ``tune`` only,
at their logs as at their figures; ``report`` is run once for a release, on all faults, and what it
shows is published as it is. Clocks are off by a standard deviation of 0.05, 0.5 or 1 s, told by the
second byte. A job has ``--nodes`` nodes, and three times as many as are faulty at least.

Columns: node 1st, in 5 (a faulty node is named first, among the first five; of the runs whose logs
tell), wrong (an innocent node is excluded or named first), nobody (nobody is named where nobody is to
blame, or logs cannot tell), silent (nobody is named where logs do tell), root 1st (the first event of
role root begins with a root line), first (the first abnormal iteration, within a log interval).
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
from l4fast.library import load
from l4fast.simulate import FAULTS, MANY, STYLES, simulate
from l4fast.stream import diagnose, learn

ITERATIONS = 120
COLUMNS = (
    ("node_first", "node 1st"),
    ("node_in_five", "in 5"),
    ("wrong", "wrong"),
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


@dataclass(frozen=True)
class Run:
    """One simulated job of the grid."""

    fault: str
    style: str
    seed: int
    culprits: int
    kernel_logs: bool

    @property
    def digest(self) -> bytes:
        kernel = "yes" if self.kernel_logs else "no"
        name = f"{self.fault}/{self.style}/{self.seed}/{self.culprits}/{kernel}"
        return blake2b(name.encode(), digest_size=8).digest()

    @property
    def half(self) -> str:
        """Which half of the grid it belongs to, told by a hash of its name."""
        return ("tune", "report")[self.digest[0] % 2]

    @property
    def clock_skew_s(self) -> float:
        return (0.05, 0.5, 1.0)[self.digest[1] % 3]


def grid(
    faults: Iterable[str], styles: Iterable[str], seeds: Iterable[int], culprits: Iterable[int], kernel: str
) -> Iterator[Run]:
    """Yield all runs; a healthy job and a fault that one node has alone come with one culprit only."""
    logs = {"both": (True, False), "yes": (True,), "no": (False,)}[kernel]
    for fault in faults:
        for style in styles:
            for seed in seeds:
                for n in culprits if fault in MANY else (1,):
                    for kernel_logs in logs:
                        yield Run(fault, style, seed, n, kernel_logs)


def score(truth: Any, found: Any, root: Path) -> dict[str, Any]:
    """Return what is right (True), wrong (False) or not asked (absent) about one diagnosis."""
    prefix = str(root) + "/"
    accepted = truth.accepted or {}

    def ok(key: str, value: object, want: object) -> bool:
        return value == want or value in accepted.get(key, ())

    def place(reference: dict[str, Any]) -> tuple[str, int]:
        return reference["file"].removeprefix(prefix), reference["line"]

    wanted = {(x["file"], x["line"]) for x in truth.failure_lines}
    neutral = {(c["file"], n) for c in truth.context_lines for a, b in c["ranges"] for n in range(a, b + 1)}
    told = {place(x) for x in found.failure_rows} - neutral
    roots = {(x["file"], x["line"]) for x in truth.root_lines}
    named = [x["node"] for x in found.nodes]
    first_root = next((place(e["first"]) for e in found.events if e["role"] == "root"), None)
    outcome = {"success": "finished", "failure": "failed", "slow": "slow"}[truth.outcome]
    innocent = set(found.action["exclude_nodes"]) | set(named[:1])
    marks: dict[str, Any] = {
        "wrong": bool(innocent - set(truth.faulty_nodes)),
        "stage": ok("stage", found.stage["name"], truth.stage),
        "last": found.iterations["last_completed"] == truth.last_iteration,
        "durable": found.checkpoint["last_durable"] == truth.last_durable_checkpoint,
        "verdict": ok("verdict", found.action["verdict"], truth.verdict),
        "outcome": ok("outcome", found.outcome, outcome),
        "lines": (len(told & wanted), len(told - wanted), len(wanted - told)),
    }
    if truth.fault:
        marks["category"] = ok("category", found.cause["category"], truth.category)
        began = found.iterations["first_abnormal"]
        if truth.first_abnormal_iteration is None:
            marks["first_abnormal"] = began in (None, 0, 1)
        else:
            away = None if began is None else abs(began - truth.first_abnormal_iteration)
            marks["first_abnormal"] = away is not None and away <= truth.log_every
    if roots:
        marks["root_first"] = first_root in roots
    if truth.to_blame and truth.node_evidence != "none":
        marks["node_first"] = named[:1] != [] and named[0] in truth.faulty_nodes
        marks["node_in_five"] = bool(set(named[:5]) & set(truth.faulty_nodes))
        marks["silent"] = not named
    elif truth.to_blame:
        marks["nobody"] = not marks["wrong"]
    else:
        marks["nobody"] = not named
    return marks


@cache
def _library() -> Any:
    return load()


@cache
def _known(style: str, nodes: int, ranks_per_node: int) -> Any:
    """Learn what a healthy job of the style says."""
    with tempfile.TemporaryDirectory(prefix="l4fast-faults-") as folder:
        simulate(
            f"{folder}/job",
            style=style,
            nodes=nodes,
            ranks_per_node=ranks_per_node,
            iterations=ITERATIONS,
            seed=999,
        )
        return learn([f"{folder}/job/logs"], _library())


def try_one(run: Run, nodes: int, ranks_per_node: int, baseline: bool, keep: str | None) -> dict[str, Any]:
    """Simulate one run, diagnose it and score the diagnosis. Most nodes are healthy in each."""
    nodes = max(nodes, 3 * run.culprits)
    folder = tempfile.mkdtemp(prefix="l4fast-faults-", dir=keep)
    out = Path(folder) / "job"
    try:
        truth = simulate(
            out,
            style=run.style,
            nodes=nodes,
            ranks_per_node=ranks_per_node,
            iterations=ITERATIONS,
            fault=None if run.fault == "healthy" else run.fault,
            seed=run.seed,
            clock_skew_s=run.clock_skew_s,
            culprits=run.culprits,
            kernel_logs=run.kernel_logs,
        )
        truth = SimpleNamespace(**orjson.loads(orjson.dumps(truth)))
        known = _known(run.style, nodes, ranks_per_node) if baseline else None
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
        tp, fp, fn = lines[row]
        f1 = f"{2 * tp / (2 * tp + fp + fn):.3f}" if tp + fp + fn else "-"
        told.append(f"{row:19}{counts[row]:>5}" + "".join(f"{cell:>10}" for cell in cells) + f"{f1:>9}")
    return told


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--styles", default=",".join(STYLES))
    parser.add_argument("--faults", default=",".join(("healthy", *FAULTS)))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--culprits", default="1,2,8")
    parser.add_argument("--kernel-logs", choices=("both", "yes", "no"), default="both")
    parser.add_argument("--nodes", type=int, default=12)
    parser.add_argument("--ranks-per-node", type=int, default=4)
    parser.add_argument("--baseline", action="store_true", help="learn a healthy job of the style first")
    parser.add_argument("--half", choices=("tune", "report", "all"), default="tune")
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
    runs = [
        run
        for run in grid(
            options.faults.split(","), options.styles.split(","), seeds, culprits, options.kernel_logs
        )
        if options.half in ("all", run.half)
    ]
    if options.sample:
        picked = set(sorted(runs, key=lambda run: run.digest[2:])[: options.sample])
        runs = [run for run in runs if run in picked]
    begun = time.perf_counter()
    size = len(runs)
    arguments = (
        runs,
        [options.nodes] * size,
        [options.ranks_per_node] * size,
        [options.baseline] * size,
        [options.keep] * size,
    )
    if options.workers > 1:
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(options.workers, mp_context=context) as pool:
            results = list(pool.map(try_one, *arguments, chunksize=4))
    else:
        results = list(map(try_one, *arguments))
    for result in results if options.per_run else ():
        marks = result["marks"]
        bad = [key for key, _ in COLUMNS if marks.get(key) is (key in ("wrong", "silent"))]
        if bad:
            name = f"{result['fault']:18} {result['style']:9} {result['seed']} {result['culprits']}"
            print(f"{name} {'kernel' if result['kernel_logs'] else '-':6} {', '.join(bad)}")
    print("\n".join([*table(results, "fault"), "", *table(results, "style")]))
    print(f"{size} runs of the half {options.half!r} in {time.perf_counter() - begun:.0f} s")
    if options.json:
        Path(options.json).write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
