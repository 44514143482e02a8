"""Which lines are the last attempt's, and what the attempts before it reached.

A job that is started again goes on in the same files, or in files named after the attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from l4fast import temporal
from l4fast.diagnosis import iso_time
from l4fast.job import NONE, Job
from l4fast.launches import Launch, launches
from l4fast.library import Library
from l4fast.marks import Mark
from l4fast.paths import PathFacts
from l4fast.regexes import regex
from l4fast.temporal import Progress
from l4fast.topology import Topology
from l4fast.verdict import Verdict

_ATTEMPT = regex(r"(?:attempt|cycle|restart)[-_]?\d+")


@dataclass(frozen=True)
class Last:
    """Which lines are the last attempt's.

    Attributes
    ----------
    launches : tuple of Launch
        Where those began that are told of in the files, after the first; the last attempt is the last.
    streams : frozenset of int or None
        The streams of the last attempt (None: all).
    rows : bool[n]
        Which of the job's rows it has.
    whole : Progress
        How far all attempts came.
    """

    launches: tuple[Launch, ...]
    streams: frozenset[int] | None
    rows: np.ndarray
    whole: Progress

    @property
    def launch(self) -> Launch | None:
        return self.launches[-1] if self.launches else None

    @property
    def start(self) -> int:
        return self.launches[-1].time if self.launches else NONE


def last_attempt(job: Job, library: Library, facts: Sequence[PathFacts], marks: Sequence[Mark]) -> Last:
    """Tell the last attempt's lines from those of the attempts before it."""
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
    whole = temporal.follow(job, library.signatures)
    found = tuple(launches(job, [m for m in marks if inside[m.row]], whole))
    if found:
        inside &= found[-1].holds(rows.stream, rows.line, rows.time)
    return Last(found, streams, inside, whole)


def attempts_of(
    job: Job,
    library: Library,
    top: Topology,
    last: Last,
    outcome: str,
    progress: Progress,
    verdict: Verdict,
    marks: Sequence[Mark],
) -> list[dict[str, Any]]:
    """Return each attempt as the answer lists it, oldest first; the last has the outcome and its cause."""
    zoned = any(s.zoned for s in job.streams)
    numbers = sorted({f.attempt for f in top.facts if f.attempt is not None})
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
    elif last.launches:
        began: Launch | None = None
        for k, launch in enumerate(last.launches):
            begin = job.first_time if began is None else began.time
            reached = _reached(job, began, launch, last.whole)
            became = "finished" if _has_finished(began, launch, marks) else "failed"
            found.append(_attempt(k, became, begin, launch.ended, None, reached, zoned))
            began = launch
    number = numbers[-1] if len(numbers) > 1 else len(found) or (numbers[0] if numbers else 0)
    begin = last.start
    if begin == NONE:
        its = [s for s, f in zip(job.streams, top.facts, strict=False) if f.attempt == number or not found]
        begin = min((s.first_time for s in its if s.first_time != NONE), default=NONE)
    found.append(_attempt(number, outcome, begin, job.last_time, title, progress.last_completed, zoned))
    return found


def _has_finished(began: Launch | None, ended: Launch, marks: Sequence[Mark]) -> bool:
    """Whether the program told between two launches that its work was done."""
    its = [m for m in marks if m.kind == "finish"]
    places = tuple(
        np.array(column, np.int64) for column in zip(*((m.stream, m.line, m.time) for m in its), strict=True)
    )
    if not places:
        return False
    mine = ~ended.holds(*places) & (True if began is None else began.holds(*places))
    return bool(mine.any())


def _reached(job: Job, began: Launch | None, ended: Launch, whole: Progress) -> int | None:
    """Return the last iteration of the attempt between two launches; one that was also done before and after
    it is not known."""
    it = job.iterations
    if whole.series is None:
        return None
    mine = np.zeros(len(it.series), bool)
    for places in (
        (it.first_stream, it.first_line, it.first_time),
        (it.last_stream, it.last_line, it.last_time),
    ):
        mine |= ~ended.holds(*places) & (True if began is None else began.holds(*places))
    mine &= it.series == whole.series
    return int(it.iteration[mine].max()) // whole.unit + whole.offset if mine.any() else None


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
