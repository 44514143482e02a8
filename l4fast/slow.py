"""Since when a job is slow, and by how much: a lasting slowdown, or a stall that comes again and again.

A job is compared with itself before. That iterations differ, that the first ones are slow, that
evaluations and saves take their time is healthy: only what has changed, stays so to the end of the
log and has cost more than a minute is called slow.

References
----------
L4 (FSE 2025), section 4.3: the iteration of a failure from the temporal pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l4fast.job import NONE, Job
from l4fast.marks import Mark
from l4fast.temporal import Progress
from l4fast_kernels.segments import find_change_points

SLOW_FACTOR = 1.5  # a lasting change of the median by so much is a failure of its own
TOLD_FACTOR = 1.2  # where the job's own detector names slow ranks again and again
MIN_STRETCH = 8  # reports; fewer may be an evaluation or a checkpoint
FEW_REPORTS = 32  # with fewer, no report of the slow part may look like those before
MIN_BEFORE, MIN_AFTER = 3, 4  # reports on both sides then; one less where those before are alike
CLEARLY = 1.3  # and the gap between both, as a factor
MIN_LOST_S = 60.0  # what has cost less is a passing neighbour, and nobody's concern
MIN_PAUSE_S, MIN_PAUSE_MEDIANS = 20.0, 10.0  # seconds and iterations that make a pause a stall
LONGER, LONGER_THAN_ONE = 3.0, 5.0  # times the longest pause before; where only one is known
ODD = 1.1  # times the slowest report before: the change may lie in this one
OTHERS_SPEAK = 0.9  # of the reports without a time, those before which the clock went on
RHYTHM = 3  # stalls at equal distance, and as many such distances without one before
Times = dict[str, np.ndarray]  # of "checkpoint" and of "evaluate"
_KINDS = {
    "checkpoint.begin": "checkpoint",
    "checkpoint.accepted": "checkpoint",
    "checkpoint.durable": "checkpoint",
}


@dataclass(frozen=True)
class Slow:
    """Since when a job is slow, and by how much.

    Attributes
    ----------
    iteration, time : int
        The first slow iteration (of a stall: the one after which it stood); microseconds or `NONE`.
    before_s, after_s : float
        Seconds of an iteration (of a stall: of the pause) before and since.
    period : int or None
        Iterations from stall to stall; None for a lasting slowdown.
    stage : str or None
        What the stalls coincide with: ``checkpoint`` or ``evaluate``.
    share : float
        Of the reports, those since: 0 to 1; of stalls at saves or evaluations, of these.
    """

    iteration: int
    time: int
    before_s: float
    after_s: float
    period: int | None = None
    stage: str | None = None
    share: float = 0.5

    @property
    def factor(self) -> float:
        return self.after_s / self.before_s if self.before_s > 0 else float("inf")

    @property
    def title(self) -> str:
        """What happened, since when and by how much, in one sentence."""
        since = f"since iteration {self.iteration}"
        if self.period is None:
            return (
                f"Iterations take {self.factor:.1f} times as long {since}:"
                f" {_seconds(self.after_s)} instead of {_seconds(self.before_s)}"
            )
        where = {"checkpoint": "checkpoint", "evaluate": "evaluation"}.get(self.stage or "")
        each = f"at each {where}" if where else f"every {self.period} iterations"
        more = f" (every {self.period} iterations)" if where and self.period else ""
        return (
            f"The job stands still for {_seconds(self.after_s)} {each}{more} {since};"
            f" before it was {_seconds(self.before_s)}"
        )


@dataclass(frozen=True)
class Pace:
    """How long iterations took, one row per report after the first.

    Attributes
    ----------
    number : int64[n]
        The last iteration done before the interval, as a number completed.
    steps : int64[n]
        Iterations in it.
    each : float64[n]
        Seconds of one of them.
    begin : int64[n]
        Microseconds, or `NONE`.
    """

    number: np.ndarray
    steps: np.ndarray
    each: np.ndarray
    begin: np.ndarray


def find(job: Job, progress: Progress, marks: Sequence[Mark], *, factor: float = SLOW_FACTOR) -> Slow | None:
    """Tell since when the job is slow, if it is; ``factor`` is the least lasting change that counts."""
    if progress.series is None:
        return None
    clock, when = clocked(job, progress), _times(marks)
    said = told(job, progress)
    pace = said if said is not None else clock  # what a line tells leaves most pauses out
    found = _lasting(pace, _marked(pace, when), factor) if pace is not None else None
    if found is None and clock is not None:
        found = stalls(clock, when)
    return found


def clocked(job: Job, progress: Progress) -> Pace | None:
    """Return the pace by the times of the reports, or None where these do not tell.

    A report without a time of its own has that of the line before it: good enough where others
    speak in each iteration.
    """
    it = job.iterations
    mine = np.flatnonzero((it.series == progress.series) & (it.first_time != NONE))
    mine = mine[np.argsort(it.iteration[mine], kind="stable")]
    number = it.iteration[mine].astype(np.int64) // progress.unit
    time = it.first_time[mine]
    steps, spans = np.diff(number), np.diff(time) / 1e6
    good = (steps > 0) & (spans > 0)
    if not good.any() or (not progress.timed and good.mean() < OTHERS_SPEAK):
        return None
    return Pace(number[:-1][good] + progress.offset, steps[good], spans[good] / steps[good], time[:-1][good])


def told(job: Job, progress: Progress) -> Pace | None:
    """Return the pace by the durations in the lines, or None where fewer than half of them tell one."""
    it = job.iterations
    mine = job.told.series == progress.series
    n_reports = int((it.series == progress.series).sum())
    if 2 * int(mine.sum()) <= n_reports:
        return None
    iteration, seconds = job.told.iteration[mine], job.told.seconds[mine]
    number = iteration.astype(np.int64) // progress.unit + progress.offset
    usual = int(np.median(np.diff(number))) if number.size > 1 else 1
    before = np.concatenate([[max(number[0] - usual, 0)], number[:-1]]) if number.size else number
    reports = it.iteration[it.series == progress.series]
    times = it.first_time[it.series == progress.series]
    time = times[np.searchsorted(reports, iteration).clip(0, max(times.size - 1, 0))]
    begin = np.where(time == NONE, NONE, time - (seconds * 1e6).astype(np.int64))
    return Pace(before, np.maximum(number - before, 1), seconds, begin)


def _lasting(pace: Pace, marked: np.ndarray, factor: float) -> Slow | None:
    """Look for a lasting slowdown beside the intervals with a save or an evaluation, else in all."""
    found = lasting(pace, np.flatnonzero(~marked), factor)
    if found is None and marked.any():
        found = lasting(pace, np.arange(marked.size), factor)
        if found is not None and marked[pace.number + 1 >= found.iteration].mean() > 0.5:
            found = None  # nothing but saves and evaluations
    return found


def lasting(pace: Pace, kept: np.ndarray, factor: float = SLOW_FACTOR) -> Slow | None:
    """Return the change after which all iterations are slower, to the end.

    Only the intervals ``kept`` (int64[n], ascending) are looked at; ``factor`` is the least change.
    """
    each = np.ascontiguousarray(pace.each[kept])
    n = each.size
    if n < MIN_BEFORE + MIN_AFTER - 1:
        return None
    many = n >= FEW_REPORTS
    points = find_change_points(each, min_size=MIN_STRETCH if many else MIN_BEFORE).tolist()
    for k, cut in enumerate(points):
        before, after = float(np.median(each[:cut])), float(np.median(each[cut:]))
        if after < factor * before or before <= 0:
            continue
        parts = np.split(each[cut:], np.array(points[k + 1 :], np.int64) - cut)
        just_before = each[points[k - 1] if k else 0 : cut]
        # A job that comes down in small steps, as a growing batch makes it, has no such iteration.
        if float(np.median(parts[0])) < factor * float(np.median(just_before)):
            continue
        if min(float(np.median(part)) for part in parts) < factor * before:
            continue
        cut = _first_slow(each, cut, before, after)
        if not many and cut > MIN_BEFORE and each[cut - 1] > ODD * float(each[: cut - 1].max()):
            cut -= 1  # it began towards the end of that interval
        if not _apart(each, cut, many=many):
            continue
        at = int(kept[cut])
        while (
            at > kept[cut - 1] + 1 and pace.steps[at - 1] > 1 and pace.each[at - 1] > (before * after) ** 0.5
        ):
            at -= 1  # a save fell into the first slow interval
        if (after - before) * int(pace.steps[at:].sum()) < MIN_LOST_S:
            continue
        return Slow(int(pace.number[at]) + 1, int(pace.begin[at]), before, after, share=(n - cut) / n)
    return None


def _first_slow(each: np.ndarray, cut: int, before: float, after: float) -> int:
    """Move a cut to where the durations pass half way between both levels (as factors)."""
    middle = (before * after) ** 0.5
    while cut > 1 and each[cut - 1] > middle:
        cut -= 1
    while cut < each.size - 1 and each[cut] <= middle:
        cut += 1
    return cut


def _apart(each: np.ndarray, cut: int, *, many: bool) -> bool:
    """Whether the durations on both sides of a cut are hardly ever alike."""
    before, after = each[:cut], each[cut:]
    if many:
        enough = before.size >= MIN_STRETCH and after.size >= MIN_STRETCH
        return enough and float(np.percentile(after, 20)) > float(np.percentile(before, 80))
    alike = before.max() < CLEARLY * before.min()
    if before.size < MIN_BEFORE or after.size < MIN_AFTER - int(alike):
        return False
    # The change lies within the first slow report, which may be as quick as those before.
    return float(after[1:].min()) > CLEARLY * float(before.max())


def stalls(pace: Pace, when: Times) -> Slow | None:
    """Return the pauses that became far longer, at saves, at evaluations, or from nowhere.

    ``when`` tells when those were, in microseconds.
    """
    usual = float(np.median(pace.each))
    pause = (pace.each - usual) * pace.steps
    least = max(MIN_PAUSE_S, MIN_PAUSE_MEDIANS * usual)
    for stage, times in when.items():
        found = _grown(pace, pause, _intervals(pace, times), least, stage)
        if found is not None:
            return found
    return _rhythm(pace, np.where(_marked(pace, when), 0.0, pause), least)


def _marked(pace: Pace, when: Times) -> np.ndarray:
    """Return in which intervals a save or an evaluation is marked, bool[n]."""
    found = np.zeros(pace.each.size, bool)
    for times in when.values():
        found[_intervals(pace, times)] = True
    return found


def _times(marks: Sequence[Mark]) -> Times:
    """Return when saves and evaluations are marked, int64[n] of each, in microseconds."""
    found: dict[str, set[int]] = {"checkpoint": set(), "evaluate": set()}
    for mark in marks:
        stage = mark.stage if mark.kind == "stage" else _KINDS.get(mark.kind)
        if stage in found and mark.time != NONE:
            found[stage].add(mark.time)
    return {stage: np.array(sorted(times), np.int64) for stage, times in found.items()}


def _intervals(pace: Pace, times: np.ndarray) -> np.ndarray:
    """Return the intervals in which the ``times`` lie, int64[n], in order.

    What came with or after the last report lies in none: how long it took is not known.
    """
    at = np.searchsorted(pace.begin, times, side="right") - 1
    end = pace.begin + (pace.each * pace.steps * 1e6).astype(np.int64)
    return np.unique(at[(at >= 0) & (times < end[at])])


def _grown(pace: Pace, pause: np.ndarray, where: np.ndarray, least: float, stage: str) -> Slow | None:
    """Return the stalls at marks of one kind, where such pauses were short before."""
    if where.size < 3:
        return None
    groups = np.split(where, np.flatnonzero(np.diff(where) > 1) + 1)
    first = np.array([g[0] for g in groups], np.int64)
    longest = np.array([pause[g].max() for g in groups]).clip(0.0)
    for cut in range(1, len(groups) - 1):
        before, after = longest[:cut], longest[cut:]
        times = LONGER if cut > 1 else LONGER_THAN_ONE
        if after.min() < max(least, times * before.max()) or after.sum() < MIN_LOST_S:
            continue
        period = int(np.median(np.diff(pace.number[first[cut:]])))
        at = groups[cut][int(pause[groups[cut]].argmax())]
        return Slow(
            int(pace.number[at]),
            int(pace.begin[at]),
            float(np.median(before)),
            float(np.median(after)),
            period,
            stage,
            after.size / longest.size,
        )
    return None


def _rhythm(pace: Pace, pause: np.ndarray, least: float) -> Slow | None:
    """Return stalls at equal distance that nothing marks, where there were none for long before."""
    long = np.flatnonzero(pause >= least)
    if long.size < RHYTHM or pause[long].sum() < MIN_LOST_S:
        return None
    number = pace.number[long]
    period = int(number[1] - number[0])
    if (np.diff(number) != period).any() or period < 2:
        return None
    # Each `period` iterations before nothing happened, and the last stall is not long ago.
    if number[0] - RHYTHM * period < pace.number[0] or number[-1] + 2 * period < pace.number[-1]:
        return None
    quiet = float(np.median(pause[: long[0]].clip(0.0)))
    return Slow(
        int(number[0]),
        int(pace.begin[long[0]]),
        quiet,
        float(np.median(pause[long])),
        period,
        None,
        1 - int(long[0]) / pause.size,
    )


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"
