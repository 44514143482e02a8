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


@dataclass(frozen=True)
class Earlier:
    """An attempt before the last: between two launches of the same files, or in files of its own."""

    number: int
    began: Launch | None
    ended: Launch | None
    streams: frozenset[int] | None

    def holds(self, stream: np.ndarray, line: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Return which lines (int64[n] each) are this attempt's, bool[n]."""
        mine = np.ones(len(stream), bool) if self.streams is None else np.isin(stream, list(self.streams))
        if self.began is not None:
            mine &= self.began.holds(stream, line, time)
        if self.ended is not None:
            mine &= ~self.ended.holds(stream, line, time)
        return mine


def earlier_attempts(last: Last, facts: Sequence[PathFacts]) -> list[Earlier]:
    """Return the attempts before the last, oldest first."""
    numbers = sorted({f.attempt for f in facts if f.attempt is not None})
    if len(numbers) > 1:
        return [
            Earlier(number, None, None, frozenset(i for i, f in enumerate(facts) if f.attempt == number))
            for number in numbers[:-1]
        ]
    begins: list[Launch | None] = [None, *last.launches[:-1]]
    pairs = zip(begins, last.launches, strict=True) if last.launches else ()
    return [Earlier(k, began, ended, None) for k, (began, ended) in enumerate(pairs)]


def attempts_of(
    job: Job,
    library: Library,
    top: Topology,
    last: Last,
    outcome: str,
    progress: Progress,
    verdict: Verdict,
    ends: Sequence[tuple[str, str | None]],
) -> list[dict[str, Any]]:
    """Return each attempt as the answer lists it, oldest first; the last has the outcome and its cause.

    ``ends`` says of each of the earlier ones whether it finished or failed, and of what.
    """
    zoned = any(s.zoned for s in job.streams)
    title = verdict.roots[0].title if verdict.roots else None
    found: list[dict[str, Any]] = []
    earlier = earlier_attempts(last, top.facts)
    for attempt, (became, cause) in zip(earlier, ends, strict=True):
        if attempt.streams is not None:
            mine = [job.streams[i] for i in sorted(attempt.streams)]
            low = min((s.first_time for s in mine if s.first_time != NONE), default=NONE)
            high = max((s.last_time for s in mine), default=NONE)
            reached = temporal.follow(job, library.signatures, streams=attempt.streams).last_completed
        else:
            low = job.first_time if attempt.began is None else attempt.began.time
            high = attempt.ended.ended if attempt.ended is not None else NONE
            reached = _reached(job, attempt, last.whole)
        found.append(_attempt(attempt.number, became, low, high, cause, reached, zoned))
    numbers = sorted({f.attempt for f in top.facts if f.attempt is not None})
    number = numbers[-1] if len(numbers) > 1 else len(found) or (numbers[0] if numbers else 0)
    begin = last.start
    if begin == NONE:
        its = [s for s, f in zip(job.streams, top.facts, strict=False) if f.attempt == number or not found]
        begin = min((s.first_time for s in its if s.first_time != NONE), default=NONE)
    found.append(_attempt(number, outcome, begin, job.last_time, title, progress.last_completed, zoned))
    return found


def _reached(job: Job, attempt: Earlier, whole: Progress) -> int | None:
    """Return the last iteration of an attempt; one that was also done before and after it is not known."""
    it = job.iterations
    if whole.series is None:
        return None
    mine = attempt.holds(it.first_stream, it.first_line, it.first_time)
    mine |= attempt.holds(it.last_stream, it.last_line, it.last_time)
    mine &= np.isin(it.series, whole.runs)
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
