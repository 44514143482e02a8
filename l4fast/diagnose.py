"""Job -> Story: how the steps join, each asked its one question about the last attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from l4fast import (
    candidates,
    checkpoints,
    clocks,
    culprit,
    earlier,
    resume,
    slow,
    speakers,
    straggler,
    temporal,
)
from l4fast import marks as marking
from l4fast.attempts import attempts_of, earlier_attempts, last_attempt
from l4fast.checkpoints import Checkpoints
from l4fast.crossjob import Baseline
from l4fast.events import Event, Evidence
from l4fast.job import Job
from l4fast.labels import nodes_of
from l4fast.library import Library
from l4fast.marks import Mark
from l4fast.outcome import outcome_of
from l4fast.paths import PathFacts, path_facts
from l4fast.slow import Slow
from l4fast.templates import Template, derive
from l4fast.temporal import Progress
from l4fast.topology import Topology
from l4fast.verdict import Verdict

GUESS = -10  # signatures of so small a weight are words that any program may use


@dataclass(frozen=True)
class Story:
    """All answers about the last attempt of a job."""

    job: Job
    top: Topology
    templates: Mapping[str, Template]
    progress: Progress
    marks: list[Mark]
    checkpoint: Checkpoints
    evidence: Evidence
    verdict: Verdict
    outcome: str
    attempts: list[dict[str, Any]]
    slow: Slow | None = None
    ended: bool = False  # it finished, slow or not

    @property
    def cause_is_storage(self) -> bool:
        return bool(self.verdict.roots) and self.verdict.roots[0].category == "storage"


@lru_cache(maxsize=1)  # a session is asked again and again
def _paths(names: tuple[str, ...]) -> tuple[PathFacts, ...]:
    return tuple(path_facts(names))


def tell(
    job: Job,
    library: Library,
    baseline: Baseline | None,
    *,
    end_is_missing: bool = False,
    empty: Sequence[str] = (),
) -> Story:
    """Ask each step its one question.

    A job of which no failure is seen runs well only if its logs were read to their end. ``empty`` names
    logs of the job to which nothing was written.
    """
    facts = list(_paths((*(s.name for s in job.streams), *empty)))
    facts, of_empty = facts[: len(job.streams)], facts[len(job.streams) :]
    texts = [s.text for s in job.shapes]
    templates = _derived((*texts, *(baseline.shapes if baseline else ())))
    every_mark = marking.marks(job)
    last = last_attempt(job, library, facts, every_mark)
    in_attempt = last.rows.copy()
    top = speakers.resolve(job, facts, in_attempt)
    top.silent = nodes_of(of_empty) - set(top.nodes)
    marks = [m for m in every_mark if in_attempt[m.row]]
    within = last.launch.holds if last.launch is not None else None
    progress = temporal.follow(job, library.signatures, within=within, streams=last.streams)
    checkpoint = checkpoints.trace(job, marks, progress)
    progress = checkpoints.reached(progress, checkpoint)
    told, said = job, clocks.heard(job, facts, progress)
    in_attempt &= said[0]
    job = replace(job, rows=replace(job.rows, time=said[1]))
    evidence = candidates.find(job, library, templates, progress, baseline, rows_in=in_attempt)
    outcome, evidence = outcome_of(job, top, marks, progress, evidence)
    if outcome != "finished" and not any(_is_cause(e) for e in evidence.events):
        # No known line tells of a cause: the failure that nobody has met matters most.
        found = candidates.find(job, library, templates, progress, baseline, rows_in=in_attempt, unknown=True)
        outcome, evidence = outcome_of(job, top, marks, progress, found)
    verdict = culprit.judge(job, top, evidence, progress, hung=outcome == "hung")
    if verdict.kind == "stall":
        outcome = "hung"
    if verdict.kind == "numeric":
        checkpoint = checkpoints.trace(job, marks, progress, bad=int(verdict.roots[0].rows[0]))
    before = [m for m in every_mark if not last.rows[m.row]]
    checkpoint = resume.with_earlier(told, checkpoint, marks, before, progress, last.whole, verdict)
    ended = outcome == "finished"
    slowness = None
    if outcome in ("finished", "running"):
        least = slow.TOLD_FACTOR if straggler.named_often(job, in_attempt) else slow.SLOW_FACTOR
        slowness = slow.find(job, progress, marks, factor=least)
    if slowness is not None:
        # What the job went on after does not tell of an end, but it may tell of why it is slow.
        untold = replace(progress, series=None)
        heard = candidates.find(job, library, templates, untold, baseline, rows_in=in_attempt)
        outcome, verdict = "slow", straggler.judge(job, top, templates, heard, slowness)
    if end_is_missing and outcome == "running":
        outcome = "unknown"
    before_it = earlier_attempts(last, top.facts)
    ends = earlier.ends(job, library, templates, baseline, top, every_mark, before_it)
    attempts = attempts_of(job, library, top, last, outcome, progress, verdict, ends)
    return Story(
        told,  # times as they were written
        top,
        templates,
        progress,
        marks,
        checkpoint,
        evidence,
        verdict,
        outcome,
        attempts,
        slowness,
        ended,
    )


@lru_cache(maxsize=2)
def _derived(texts: tuple[str, ...]) -> Mapping[str, Template]:
    """Return the template of each shape: a `Session` asks again of the same shapes, mostly."""
    return derive(texts)


def _is_cause(event: Event) -> bool:
    """Whether a signature knows an event as an error of its own, and not as a guess."""
    return event.grave and event.weight > GUESS and event.role == "root" and event.tells is None
