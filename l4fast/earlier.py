"""What the attempts before the last died of: the same questions, asked of each attempt's lines alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from l4fast import candidates, culprit, temporal
from l4fast.attempts import Earlier
from l4fast.crossjob import Baseline
from l4fast.job import Iterations, Job
from l4fast.library import Library
from l4fast.marks import Mark
from l4fast.outcome import outcome_of
from l4fast.templates import Template
from l4fast.topology import Topology

MOST_ASKED = 16  # attempts, the latest: a job that was restarted hundreds of times is asked no longer


def ends(
    job: Job,
    library: Library,
    templates: Mapping[str, Template],
    baseline: Baseline | None,
    top: Topology,
    marks: Sequence[Mark],
    attempts: Sequence[Earlier],
) -> list[tuple[str, str | None]]:
    """Return for each attempt ``finished`` or ``failed``, and its first root's title where a line tells."""
    skipped = max(len(attempts) - MOST_ASKED, 0)
    return [("failed", None)] * skipped + [
        _end(job, library, templates, baseline, top, marks, attempt) for attempt in attempts[skipped:]
    ]


def _end(
    job: Job,
    library: Library,
    templates: Mapping[str, Template],
    baseline: Baseline | None,
    top: Topology,
    marks: Sequence[Mark],
    attempt: Earlier,
) -> tuple[str, str | None]:
    rows = job.rows
    mine = attempt.holds(rows.stream, rows.line, rows.time)
    job = replace(job, iterations=_within(job.iterations, attempt))
    progress = temporal.follow(job, library.signatures, within=attempt.holds, streams=attempt.streams)
    evidence = candidates.find(job, library, templates, progress, baseline, rows_in=mine)
    its = [mark for mark in marks if mine[mark.row]]
    outcome, evidence = outcome_of(job, top, its, progress, evidence)
    if outcome != "failed":
        return "finished" if outcome == "finished" else "failed", None
    roots = culprit.judge(job, top, evidence, progress).roots
    return "failed", roots[0].title if roots else None


def _within(its: Iterations, attempt: Earlier) -> Iterations:
    """Return the iterations that were reported in an attempt, and where it did so first and last.

    Of one that was reported in several attempts, the first and the last of all reports are known.
    """
    first = attempt.holds(its.first_stream, its.first_line, its.first_time)
    last = attempt.holds(its.last_stream, its.last_line, its.last_time)
    columns = {name: getattr(its, name) for name in ("series", "iteration", "count")}
    for name in ("time", "stream", "line", "offset"):
        begin, end = getattr(its, f"first_{name}"), getattr(its, f"last_{name}")
        columns[f"first_{name}"] = np.where(first, begin, end)
        columns[f"last_{name}"] = np.where(last, end, begin)
    return Iterations(**{name: column[first | last] for name, column in columns.items()})
