"""Logs of jobs as an engineer finds them, written line by line, each with the answer that is right.

A scenario is a function that writes the logs of one job into a directory and returns what a good
diagnosis says. It writes with `Log`, which keeps count of the lines that tell of the failure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from l4fast.diagnosis import EXIT_CODES, Diagnosis

UNCHECKED = -1  # an iteration or checkpoint that the logs leave open
Place = tuple[str, int]  # file under the job's directory, line


@dataclass(frozen=True)
class Expected:
    """The right answer; ``None`` in nodes, ranks, stage, category or verdict: not checked.

    Attributes
    ----------
    outcome : the accepted outcomes
    root : a part of the first line of the first root event; None: there is no event
    nodes, ranks : the culprits; empty: nobody may be blamed
    last_iteration, last_durable : numbers as the contract counts; `UNCHECKED`
    lines : the failure-indicating lines; None: not checked
    either : lines that may be told or not (drawn boxes, advice, repetitions)
    min_f1 : what the lines told must reach against ``lines``
    """

    outcome: frozenset[str]
    root: str | None = None
    nodes: frozenset[str] | None = None
    ranks: frozenset[int] | None = None
    stage: frozenset[str] | None = None
    last_iteration: int | None = UNCHECKED
    last_durable: int | None = UNCHECKED
    category: frozenset[str] | None = None
    verdict: frozenset[str] | None = None
    lines: frozenset[Place] | None = None
    either: frozenset[Place] = field(default_factory=frozenset)
    min_f1: float = 0.95


class Log:
    """A log file that is being written, and its lines that tell of the failure."""

    def __init__(self, base: Path, name: str) -> None:
        self.base, self.name = base, name
        self.text: list[str] = []
        self.bad: set[Place] = set()
        self.open: set[Place] = set()

    def say(self, *lines: str) -> None:
        """Write ordinary lines."""
        self.text += lines

    def cry(self, *lines: str) -> None:
        """Write lines that tell of the failure (root, consequence or teardown)."""
        for line in lines:
            self.text.append(line)
            self.bad.add((self.name, len(self.text)))

    def mutter(self, *lines: str) -> None:
        """Write lines that may be told as failure-indicating or not."""
        for line in lines:
            self.text.append(line)
            self.open.add((self.name, len(self.text)))

    def save(self, *, end: str = "\n") -> None:
        path = self.base / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(("\n".join(self.text) + end).encode())


def told(logs: Iterable[Log]) -> tuple[frozenset[Place], frozenset[Place]]:
    """Save the logs; return their failure-indicating lines, and those that may be or not."""
    bad: set[Place] = set()
    either: set[Place] = set()
    for log in logs:
        log.save()
        bad |= log.bad
        either |= log.open
    return frozenset(bad), frozenset(either)


def faults(found: Diagnosis, right: Expected, base: Path) -> list[str]:
    """Return what is wrong with a diagnosis, one sentence each."""
    wrong: list[str] = []

    def compare(name: str, got: object, accepted: frozenset[str] | None) -> None:
        if accepted is not None and got not in accepted:
            wrong.append(f"{name} {got!r}, not {' or '.join(sorted(accepted))}")

    compare("outcome", found.outcome, right.outcome)
    first = found.events[0]["first"]["text"] if found.events else None
    if (right.root is None) != (first is None) or (
        right.root is not None and right.root not in (first or "")
    ):
        wrong.append(f"root {first!r}, not {right.root!r}")
    nodes, ranks = {n["node"] for n in found.nodes}, {r["rank"] for r in found.ranks}
    if right.nodes is not None and nodes != right.nodes:
        wrong.append(f"nodes {sorted(nodes)}, not {sorted(right.nodes)}")
    if right.ranks is not None and ranks != right.ranks:
        wrong.append(f"ranks {sorted(ranks)}, not {sorted(right.ranks)}")
    compare("stage", found.stage["name"], right.stage)
    numbers = (
        ("last_completed", found.iterations["last_completed"], right.last_iteration),
        ("last_durable", found.checkpoint["last_durable"], right.last_durable),
    )
    wrong += [f"{name} {got}, not {want}" for name, got, want in numbers if want != UNCHECKED and got != want]
    if right.root is not None:
        compare("category", found.cause["category"], right.category)
    compare("verdict", found.action["verdict"], right.verdict)
    if found.exit_code != EXIT_CODES[found.action["verdict"]]:
        wrong.append(f"exit code {found.exit_code} for verdict {found.action['verdict']}")
    if right.lines is not None:
        wrong += _line_faults(found, right.lines, right.either, right.min_f1, base)
    return wrong


def _line_faults(
    found: Diagnosis, lines: frozenset[Place], either: frozenset[Place], min_f1: float, base: Path
) -> list[str]:
    got = {(str(Path(row["file"]).relative_to(base)), row["line"]) for row in found.failure_rows} - either
    hits = len(got & lines)
    f1 = 2 * hits / (len(got) + len(lines)) if got or lines else 1.0
    if f1 >= min_f1:
        return []
    missed = ", ".join(f"{f}:{n}" for f, n in sorted(lines - got)[:8])
    false = ", ".join(f"{f}:{n}" for f, n in sorted(got - lines)[:8])
    return [f"lines F1 {f1:.2f} (missed {len(lines - got)}: {missed}; false {len(got - lines)}: {false})"]
