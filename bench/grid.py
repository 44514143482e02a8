"""The grid of simulated failures, its held-out half, and how a diagnosis of one of them is scored.

**The held-out half.** A run is (fault, style, seed, culprits, kernel logs). The first byte of BLAKE2b
over ``fault/style/seed/culprits/kernel_logs`` (``yes`` or ``no``; ``healthy`` for no fault) tells its
half: even is ``tune``, odd is ``report``. Whoever changes the analysis, or guesses the parameters of
another method, looks at runs of ``tune`` only, at their logs as at their figures; ``report`` is run once
for a release, on all faults, and what it shows is published as it is. Clocks are off by a standard
deviation of 0.05, 0.5 or 1 s, told by the second byte.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from itertools import starmap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
from l4fast.simulate import FAULTS, MANY, STYLES, simulate

ITERATIONS = 120
HISTORY_SEED = 999  # of the healthy job of a style
HALVES = ("tune", "report", "all")
KINDS = ("healthy", *FAULTS)
CULPRITS = (1, 2, 8)


@dataclass(frozen=True)
class Run:
    """One simulated job of the grid."""

    fault: str
    style: str
    seed: int
    culprits: int
    kernel_logs: bool

    @property
    def name(self) -> str:
        kernel = "yes" if self.kernel_logs else "no"
        return f"{self.fault}/{self.style}/{self.seed}/{self.culprits}/{kernel}"

    @property
    def digest(self) -> bytes:
        return blake2b(self.name.encode(), digest_size=8).digest()

    @property
    def half(self) -> str:
        """Which half of the grid it belongs to, told by a hash of its name."""
        return ("tune", "report")[self.digest[0] % 2]

    @property
    def clock_skew_s(self) -> float:
        return (0.05, 0.5, 1.0)[self.digest[1] % 3]

    def simulate(self, out: Path, *, nodes: int, ranks_per_node: int) -> Any:
        """Write the job below ``out``; return the truth. Most nodes are healthy in each."""
        truth = simulate(
            out,
            style=self.style,
            nodes=max(nodes, 3 * self.culprits),
            ranks_per_node=ranks_per_node,
            iterations=ITERATIONS,
            fault=None if self.fault == "healthy" else self.fault,
            seed=self.seed,
            clock_skew_s=self.clock_skew_s,
            culprits=self.culprits,
            kernel_logs=self.kernel_logs,
        )
        return SimpleNamespace(**orjson.loads(orjson.dumps(truth)))


def simulate_history(out: Path, style: str, nodes: int, ranks_per_node: int) -> None:
    """Write a healthy job of the style, which no run of the grid is."""
    simulate(
        out, style=style, nodes=nodes, ranks_per_node=ranks_per_node, iterations=ITERATIONS, seed=HISTORY_SEED
    )


def grid(
    faults: Iterable[str] = KINDS,
    styles: Iterable[str] = STYLES,
    seeds: Iterable[int] = range(1),
    culprits: Sequence[int] = CULPRITS,
    kernel: str = "both",
    half: str = "all",
) -> Iterator[Run]:
    """Yield the runs of a half; a healthy job, and a fault that one node has alone, with one culprit only."""
    logs = {"both": (True, False), "yes": (True,), "no": (False,)}[kernel]
    for fault in faults:
        for style in styles:
            for seed in seeds:
                for n in culprits if fault in MANY else (1,):
                    for kernel_logs in logs:
                        run = Run(fault, style, seed, n, kernel_logs)
                        if half in ("all", run.half):
                            yield run


def sample(runs: Iterable[Run], size: int) -> list[Run]:
    """Return that many of the runs, picked by their hash."""
    return sorted(runs, key=lambda run: run.digest[2:])[:size]


def mapped(ask: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], workers: int) -> list[Any]:
    """Return what ``ask`` answers to each, in their order."""
    if workers == 1:
        return list(starmap(ask, arguments))
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return list(pool.map(ask, *zip(*arguments, strict=True), chunksize=4))


def below(file: str, root: Path) -> str:
    return file.removeprefix(f"{root}/")


def accepts(truth: Any, key: str, told: object, wanted: object) -> bool:
    """Whether an answer is the true one, or another that can be defended."""
    return told == wanted or told in (truth.accepted or {}).get(key, ())


def lines_right(truth: Any, told: Iterable[tuple[str, int]]) -> tuple[int, int, int]:
    """Return how many lines are right, wrong and missed; ``told`` as (file below the logs, line).

    Neutral ones (tracebacks, boxes) are neither.
    """
    wanted = {(x["file"], x["line"]) for x in truth.failure_lines}
    neutral = {(c["file"], n) for c in truth.context_lines for a, b in c["ranges"] for n in range(a, b + 1)}
    lines = set(told) - neutral
    return len(lines & wanted), len(lines - wanted), len(wanted - lines)


def f1(right: int, wrong: int, missed: int) -> float:
    return 2 * right / max(2 * right + wrong + missed, 1)


def nodes_right(truth: Any, named: Sequence[str], excluded: Iterable[str] = ()) -> dict[str, bool]:
    """Return the marks of the nodes named, most suspect first; what is not asked is absent."""
    faulty = set(truth.faulty_nodes)
    marks = {
        "wrong": bool({*excluded, *named[:1]} - faulty),
        "innocent": bool({*excluded, *named} - faulty),
    }
    if truth.to_blame and truth.node_evidence != "none":
        marks["node_first"] = bool(faulty.intersection(named[:1]))
        marks["node_in_five"] = bool(faulty.intersection(named[:5]))
        marks["silent"] = not named
    elif truth.to_blame:
        marks["nobody"] = not marks["wrong"]
    else:
        marks["nobody"] = not named
    return marks


def score(truth: Any, found: Any, root: Path) -> dict[str, Any]:
    """Return what is right (True), wrong (False) or not asked (absent) about one diagnosis."""

    def place(reference: dict[str, Any]) -> tuple[str, int]:
        return below(reference["file"], root), reference["line"]

    roots = {(x["file"], x["line"]) for x in truth.root_lines}
    first_root = next((place(e["first"]) for e in found.events if e["role"] == "root"), None)
    outcome = {"success": "finished", "failure": "failed", "slow": "slow"}[truth.outcome]
    marks: dict[str, Any] = {
        **nodes_right(truth, [x["node"] for x in found.nodes], found.action["exclude_nodes"]),
        "stage": accepts(truth, "stage", found.stage["name"], truth.stage),
        "last": found.iterations["last_completed"] == truth.last_iteration,
        "durable": found.checkpoint["last_durable"] == truth.last_durable_checkpoint,
        "verdict": accepts(truth, "verdict", found.action["verdict"], truth.verdict),
        "outcome": accepts(truth, "outcome", found.outcome, outcome),
        "lines": lines_right(truth, map(place, found.failure_rows)),
    }
    if truth.fault:
        marks["category"] = accepts(truth, "category", found.cause["category"], truth.category)
        began = found.iterations["first_abnormal"]
        if truth.first_abnormal_iteration is None:
            marks["first_abnormal"] = began in (None, 0, 1)
        else:
            away = None if began is None else abs(began - truth.first_abnormal_iteration)
            marks["first_abnormal"] = away is not None and away <= truth.log_every
    if roots:
        marks["root_first"] = first_root in roots
    return marks
