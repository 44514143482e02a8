"""Which lines are the last attempt's, and what the attempts before it reached.

A job that is started again goes on in the same files, or in files named after the attempt.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from l4fast import temporal
from l4fast.diagnosis import iso_time
from l4fast.job import NONE, Job
from l4fast.library import Library
from l4fast.marks import Mark
from l4fast.paths import PathFacts
from l4fast.temporal import Progress
from l4fast.topology import Topology
from l4fast.verdict import Verdict

MOST_SKEW_US = 30_000_000  # of the clocks of nodes that announce one attempt
_ATTEMPT = re.compile(r"(?:attempt|cycle|restart)[-_]?\d+")


def last_attempt(
    job: Job, facts: Sequence[PathFacts], marks: Sequence[Mark]
) -> tuple[int, frozenset[int] | None, np.ndarray]:
    """Return when the last attempt began, its streams (None: all), and its rows (bool)."""
    rows = job.rows
    known = {i: f.attempt for i, f in enumerate(facts) if f.attempt is not None}
    inside = np.ones(len(rows), bool)
    streams: frozenset[int] | None = None
    # Each agent counts its own attempts: an agent that joined late has fewer.
    folder = {i: _ATTEMPT.split(job.streams[i].name, maxsplit=1)[0] for i in known}
    newest: dict[str, int] = {}
    for i, attempt in known.items():
        newest[folder[i]] = max(attempt, newest.get(folder[i], -1))
    old = [i for i, attempt in known.items() if attempt < newest[folder[i]]]
    if old:
        streams = frozenset(range(len(job.streams))) - set(old)
        inside &= ~np.isin(rows.stream, old)
    begins = [m for m in marks if m.kind == "attempt" and inside[m.row]]
    begins = [m for m in begins if _goes_on(job, m)]
    if not begins:
        return NONE, streams, inside
    latest = _of_latest(begins)
    start = min(m.time for m in latest)
    line = np.full(len(job.streams), -1, np.int64)
    for mark in latest:
        line[mark.stream] = mark.line if line[mark.stream] < 0 else min(line[mark.stream], mark.line)
    line = line[rows.stream]
    inside &= np.where(line >= 0, rows.line >= line, (rows.time >= start) | (rows.time == NONE))
    return start, streams, inside


def _of_latest(begins: Sequence[Mark]) -> list[Mark]:
    """Return the marks of the latest attempt, one of each who announces it: their clocks may differ.

    Who has announced fewer attempts has joined late or is gone.
    """
    said: dict[int, list[Mark]] = defaultdict(list)
    for mark in begins:
        said[mark.speaker].append(mark)
    ends = [max(marks, key=lambda m: (m.time, m.line)) for marks in said.values()]
    last = max(ends, key=lambda m: (m.time, m.stream, m.line))
    n = len(said[last.speaker])
    return [m for m in ends if len(said[m.speaker]) == n and m.time >= last.time - MOST_SKEW_US]


def _goes_on(job: Job, mark: Mark) -> bool:
    """An announced restart is an attempt only if something follows it."""
    info = job.streams[mark.stream]
    return info.lines - mark.line > 3 or (mark.time != NONE and job.last_time > mark.time + 1_000_000)


def attempts_of(
    job: Job,
    library: Library,
    top: Topology,
    marks: Sequence[Mark],
    start: int,
    outcome: str,
    progress: Progress,
    verdict: Verdict,
) -> list[dict[str, Any]]:
    """Return each attempt as the answer lists it, oldest first; the last has the outcome and its cause."""
    zoned = any(s.zoned for s in job.streams)
    numbers = sorted({f.attempt for f in top.facts if f.attempt is not None})
    begins = [m.time for m in marks if m.kind == "attempt" and m.time != NONE and _goes_on(job, m)]
    borders = sorted({b for b in begins if start == NONE or b <= start})
    title = verdict.roots[0].title if verdict.roots else None
    found: list[dict[str, Any]] = []
    if len(numbers) > 1:
        for number in numbers[:-1]:
            mine = [job.streams[i] for i, f in enumerate(top.facts) if f.attempt == number]
            low = min((s.first_time for s in mine if s.first_time != NONE), default=NONE)
            high = max((s.last_time for s in mine), default=NONE)
            streams = frozenset(i for i, f in enumerate(top.facts) if f.attempt == number)
            reached = temporal.follow(job, library.signatures, streams=streams).last_completed
            found.append(_attempt(number, "failed", low, high, None, reached, zoned))
    elif borders:
        begin = job.first_time
        for k, border in enumerate(borders):
            found.append(
                _attempt(k, "failed", begin, border, None, _reached(job, begin, border, progress), zoned)
            )
            begin = border
    number = (numbers[-1] if numbers else 0) if len(numbers) > 1 or not borders else len(borders)
    begin = start
    if begin == NONE:
        last = [s for s, f in zip(job.streams, top.facts, strict=False) if f.attempt == number or not found]
        begin = min((s.first_time for s in last if s.first_time != NONE), default=NONE)
    found.append(_attempt(number, outcome, begin, job.last_time, title, progress.last_completed, zoned))
    return found


def _reached(job: Job, begin: int, end: int, progress: Progress) -> int | None:
    it = job.iterations
    mine = (it.series == progress.series) if progress.series is not None else np.zeros(len(it.series), bool)
    mine &= (it.first_time >= begin) & (it.first_time < end) & (it.first_time != NONE)
    return int(it.iteration[mine].max()) // progress.unit + progress.offset if mine.any() else None


def _attempt(
    number: int, outcome: str, first: int, last: int, cause: str | None, reached: int | None, zoned: bool
) -> dict[str, Any]:
    return {
        "attempt": number,
        "outcome": outcome,
        "first_time": iso_time(first, zoned),
        "last_time": iso_time(last, zoned),
        "cause": cause,
        "last_iteration": reached,
    }
