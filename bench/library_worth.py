"""What the failure library is worth: the same jobs diagnosed with three libraries.

``all`` has all packaged signatures; ``no failures`` those of no failure (markers of progress and
stages, what is harmless, frames and boxes); ``none`` has none at all. With the second the analysis
stands before failures that nobody has described yet: these are the ones that matter.

The simulated jobs are a sample of `grid`; the real ones are those of the folder
``faultlab``, diagnosed with the healthy runs that each truth names as baselines (learned with the same
library). Columns, each right/asked: `found` and `named`: the kinds of root lines (digits masked) that the
diagnosis lists, and that a signature names; `root 1st` the first event of role root begins with a root
line; `wrong` an innocent node is excluded or named first, `innocent` excluded or named at all; the rest as
in `faults`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
from l4fast.library import Library, load
from l4fast.signature import CATEGORIES, STAGES
from l4fast.stream import diagnose, learn

from grid import Run, below, f1, grid, mapped, sample, score

LIBRARIES = ("all", "no failures", "none")
COLUMNS = (
    ("found", "found"),
    ("named", "named"),
    ("category", "category"),
    ("root_first", "root 1st"),
    ("node_first", "node 1st"),
    ("wrong", "wrong"),
    ("innocent", "innocent"),
    ("nobody", "nobody"),
    ("stage", "stage"),
    ("outcome", "outcome"),
)
# What the truth of the real runs calls by other names.
_STAGE = {
    "launch/init": ("launch", "init"),
    "data loading": ("load",),
    "iterative training": ("iterate",),
    "evaluation": ("evaluate",),
}


@cache
def _library(name: str) -> Library:
    if name == "none":
        return Library([])
    everything = load()
    if name == "all":
        return everything
    return Library(s for s in everything.signatures.values() if s.role in ("marker", "benign", "context"))


def root_kinds(truth: Any, found: Any, root: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (found, all) and (named, all) of the kinds of a job's root lines."""
    told = {(below(row["file"], root), row["line"]): row["signature"] for row in found.failure_rows}
    kinds: dict[bytes, list[tuple[str, int]]] = {}
    for line in truth.root_lines:
        text = (root / line["file"]).read_bytes().split(b"\n")[line["line"] - 1]
        kinds.setdefault(re.sub(rb"\d+", b"0", text), []).append((line["file"], line["line"]))
    n_found = sum(any(place in told for place in places) for places in kinds.values())
    n_named = sum(any(told.get(place) for place in places) for places in kinds.values())
    return (n_found, len(kinds)), (n_named, len(kinds))


def marks_of(truth: Any, found: Any, root: Path) -> dict[str, Any]:
    """Return what is right about a diagnosis, as (right, asked) of each column, and of the lines."""
    scored = score(truth, found, root)
    marks: dict[str, Any] = {
        key: (int(scored[key]), 1) for key, _ in COLUMNS if key in scored and (key != "stage" or truth.stage)
    }
    marks["found"], marks["named"] = root_kinds(truth, found, root)
    return {**marks, "lines": scored["lines"]}


def try_simulated(run: Run) -> dict[str, dict[str, Any]]:
    """Simulate one run; return the marks of each library."""
    with tempfile.TemporaryDirectory(prefix="l4fast-library-") as place:
        out = Path(place, "job")
        truth = run.simulate(out, nodes=12, ranks_per_node=4)
        logs = out / "logs"
        return {
            name: marks_of(truth, diagnose([str(logs)], library=_library(name)), logs) for name in LIBRARIES
        }


def real_truth(content: bytes) -> Any:
    """Return the truth of a real run with the fields and words of a simulated one's."""
    told = orjson.loads(content)
    stages = [told["first_bad_stage"], *told.get("stage_accepted", [])]
    categories = [told["category"], *(told.get("category_accepted") or [])]
    return SimpleNamespace(
        accepted={
            "stage": tuple(s for name in stages for s in _STAGE.get(name, (name,)) if s in STAGES),
            "category": tuple(c for c in CATEGORIES for name in categories if _is(c, name)),
        },
        style=told["style"],
        fault=told["fault"],
        outcome=told["outcome"],
        baselines=told["baseline_runs"],
        category=None,
        stage=told["first_bad_stage"],
        verdict=None,
        last_iteration=told["last_iteration"],
        last_durable_checkpoint=told["last_complete_checkpoint"],
        first_abnormal_iteration=None,
        faulty_nodes=told["faulty_nodes"],
        to_blame=bool(told["faulty_nodes"]),
        node_evidence=told.get("node_evidence", "none"),
        root_lines=told["root_cause_lines"],
        failure_lines=told["failure_lines"],
        context_lines=told["context_lines"],
    )


def _is(category: str, name: str | None) -> bool:
    """Whether our ``category`` is what the real runs call ``name``: they tell fewer apart."""
    return name in (category.replace(".", "-"), category.partition(".")[0]) or (
        (category, name) == ("framework", "platform")
    )


def real_runs(data: Path) -> dict[str, Any]:
    """Return the truth of each real run; empty if they are not there."""
    return {
        path.stem: real_truth(path.read_bytes()) for path in sorted((data / "faultlab" / "truth").glob("*"))
    }


@cache
def _healthy(logs: Path, runs: tuple[str, ...], name: str) -> Any:
    return learn([str(logs / run) for run in runs], _library(name))


def try_real(data: Path, run: str) -> dict[str, dict[str, Any]]:
    """Diagnose one real run, a failed one with its baselines; return the marks of each library."""
    truths, logs = real_runs(data), data / "faultlab" / "logs"
    truth = truths[run]
    alike = [r for r, t in truths.items() if t.style == truth.style and t.outcome == "success"]
    healthy = tuple(r for r in truth.baselines or alike if r != run)
    return {
        name: marks_of(
            truth,
            diagnose([str(logs / run)], _healthy(logs, healthy, name), library=_library(name)),
            logs / run,
        )
        for name in LIBRARIES
    }


def table(title: str, results: Iterable[dict[str, dict[str, Any]]]) -> list[str]:
    """Return the lines of a table: a row for each library."""
    results = list(results)
    rows = [f"{title:26}" + "".join(f"{name:>10}" for _, name in COLUMNS) + f"{'line F1':>9}"]
    for library in LIBRARIES:
        marks = [result[library] for result in results]
        cells = []
        for key, _ in COLUMNS:
            pairs = [mark[key] for mark in marks if key in mark]
            cells.append(f"{sum(a for a, _ in pairs)}/{sum(b for _, b in pairs)}" if pairs else "-")
        lines = [sum(mark["lines"][i] for mark in marks) for i in range(3)]
        rows.append(f"  {library:24}" + "".join(f"{cell:>10}" for cell in cells) + f"{f1(*lines):>9.3f}")
    return rows


def report(data: Path, half: str, size: int, workers: int) -> None:
    """Diagnose all, and print a table for the simulated jobs and one for the real ones."""
    runs = sample(grid(half=half), size)
    simulated = mapped(try_simulated, [(run,) for run in runs], workers)
    print("\n".join(table(f"{len(runs)} simulated, {half}", simulated)), flush=True)
    real = [(data, run) for run in real_runs(data)]
    if real:
        print("\n".join(table(f"{len(real)} real runs", mapped(try_real, real, workers))))
