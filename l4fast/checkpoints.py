"""Which checkpoint can be resumed from: begun, accepted, durable, loaded.

A save that a framework only *scheduled* is accepted; it is durable when the framework says that
it was committed. Where a framework saves synchronously and has no such line, a later progress
line or a later save of the same saver proves it, for the call has returned. A load proves a
checkpoint too. See DESIGN section 6 and messages of each framework in ``signatures``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from l4fast.job import Job
from l4fast.marks import Mark
from l4fast.temporal import Progress, iteration_before

_STEP_IN_PATH = re.compile(
    r"(?i)(?:checkpoint|ckpt|global[_-]?step|step|iter(?:ation)?|iter_|epoch)[-_=/]*0*(\d+)(?!.*\d)"
)


@dataclass(frozen=True)
class Checkpoints:
    """The newest accepted and durable checkpoint, as iterations; ``open_save`` is a save that
    began and did not end, ``open_load`` whether a load began and did not end."""

    last_durable: int | None
    last_accepted: int | None
    path: str | None
    open_save: int | None
    open_load: bool
    loaded: int | None
    evidence: tuple[Mark, ...] = ()


def trace(job: Job, marks: Iterable[Mark], progress: Progress) -> Checkpoints:
    """Follow the checkpoints of the last attempt through its marker lines."""
    by_kind: dict[str, dict[int, list[Mark]]] = defaultdict(lambda: defaultdict(list))
    loads: list[Mark] = []
    loaded_marks: list[Mark] = []
    finishes: list[Mark] = []
    path: str | None = None
    for mark in _beside_the_counter(job, list(marks), progress):
        if mark.kind == "finish":
            finishes.append(mark)
        if not mark.kind.startswith("checkpoint."):
            continue
        if mark.kind == "checkpoint.load":
            loads.append(mark)
            continue
        iteration = _iteration(job, mark, progress)
        if mark.kind == "checkpoint.loaded" and iteration is None:
            # The line that began the load names the checkpoint.
            begun_by = [m for m in loads if m.stream == mark.stream and m.line < mark.line]
            iteration = next((n for m in reversed(begun_by) if (n := _named(m)) is not None), None)
        if mark.kind == "checkpoint.loaded":
            loaded_marks.append(mark)
        if iteration is None:
            continue
        by_kind[mark.kind][iteration].append(mark)
        path = mark.path or path
    begun, accepted, durable = (by_kind[f"checkpoint.{k}"] for k in ("begin", "accepted", "durable"))
    loaded = by_kind["checkpoint.loaded"]
    usual = max((len({m.speaker for m in said}) for said in durable.values()), default=0)
    if usual == 1 and len(durable) == 1 and progress.last_completed in durable:
        usual = 2  # nothing yet shows that one rank speaks for all
    committed = {i for i, said in durable.items() if _complete(said, begun.get(i, []), usual)}
    committed |= set(loaded)
    has_commit_line = bool(durable) or bool(accepted)
    for iteration, said in begun.items():
        if iteration in committed or iteration in accepted or has_commit_line:
            continue
        if _returned(iteration, said, begun, progress, finishes):
            committed.add(iteration)
    every = {*begun, *accepted, *committed}
    last_durable = max(committed, default=None)
    open_saves = [i for i in begun if i not in committed and i not in accepted]
    done = progress.last_completed
    open_save = max(open_saves, default=None)
    if open_save is not None and done is not None and open_save < done and progress.n_seen:
        open_save = None  # the counter went on: the save returned, its commit is just not said
    newest = max(committed, default=None)
    evidence = (
        tuple((durable.get(newest) or begun.get(newest) or loaded.get(newest) or [])[-1:])
        if newest is not None
        else ()
    )
    if newest is not None:
        said = durable.get(newest) or begun.get(newest) or loaded.get(newest) or []
        path = next((m.path for m in reversed(said) if m.path), path)
    return Checkpoints(
        last_durable=last_durable,
        last_accepted=max(every, default=None),
        path=path,
        open_save=open_save,
        open_load=bool(loads) and not loaded_marks and progress.last_completed is None,
        loaded=max(loaded, default=None),
        evidence=evidence,
    )


def _beside_the_counter(job: Job, marks: list[Mark], progress: Progress) -> list[Mark]:
    """Drop saves that name no iteration and stand in other files than the counter, where some stand in its.

    Which iteration they belong to is told by clocks there, and those of nodes differ by more than one.
    """
    counted = set(job.iterations.first_stream[job.iterations.series == progress.series].tolist())
    beside = {m.signature for m in marks if m.stream in counted and _named(m) is None}
    return [
        m
        for m in marks
        if not m.kind.startswith("checkpoint.")
        or m.stream in counted
        or m.signature not in beside
        or _named(m) is not None
    ]


def _named(mark: Mark) -> int | None:
    """The iteration that a mark names itself, in its text or its path."""
    if mark.iteration is not None:
        return mark.iteration
    match = _STEP_IN_PATH.search(mark.path or "")
    return int(match[1]) if match else None


def _iteration(job: Job, mark: Mark, progress: Progress) -> int | None:
    named = _named(mark)
    if named is not None:
        return named
    if mark.kind in ("checkpoint.loaded", "checkpoint.load"):
        return None
    return iteration_before(job, progress, mark.stream, mark.line, mark.time)


def _complete(durable: list[Mark], begun: list[Mark], usual: int) -> bool:
    """Each rank that began a save must have ended it, where each of them says so.

    Where one rank speaks for all, ``usual`` (most ranks that ended a save) is 1.
    """
    if usual <= 1 or len({m.speaker for m in begun}) <= 1:
        return True
    return len({m.speaker for m in durable}) >= len({m.speaker for m in begun})


def _returned(
    iteration: int,
    said: list[Mark],
    begun: dict[int, list[Mark]],
    progress: Progress,
    finishes: list[Mark],
) -> bool:
    """Whether a synchronous save without a commit line has returned."""
    if any(other > iteration for other in begun):
        return True
    last = said[-1]
    if any(m.stream == last.stream and m.line > last.line for m in finishes):
        return True
    return progress.last_completed is not None and progress.last_completed > iteration
