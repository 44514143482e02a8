"""What a job went on after: it survived that.

A line is no failure of a job that did further iterations after it. What it says at its end, or shortly
before, is another matter.
"""

from __future__ import annotations

import numpy as np

from l4fast.job import NONE, Job
from l4fast.jobscript import before_the_training
from l4fast.novelty import not_later_than
from l4fast.temporal import Progress

SURVIVED_ITERATIONS = 3  # further iterations after a line that show that the job survived it
NOTICE_US = 600_000_000  # between the word that a machine is taken away and the end


def what_it_survived(job: Job, progress: Progress) -> np.ndarray:
    """Return per row whether the job did three more iterations after it, or began only then."""
    rows = job.rows
    out = before_the_training(job, progress)
    if progress.series is None or progress.n_seen < SURVIVED_ITERATIONS + 1:
        return out
    it = job.iterations
    mine = np.flatnonzero(it.series == progress.series)
    mine = mine[np.argsort(it.iteration[mine], kind="stable")]
    again = _done_again(job, mine)
    stream = np.where(again, it.last_stream[mine], it.first_stream[mine])
    line = np.where(again, it.last_line[mine], it.first_line[mine])
    time = np.where(again, it.last_time[mine], it.first_time[mine])
    # In the file of the counter, lines tell the order without a clock.
    counted = np.unique(stream)
    for each in counted.tolist():
        lines = np.sort(line[stream == each])
        if lines.size < SURVIVED_ITERATIONS:
            continue
        limit = lines[-SURVIVED_ITERATIONS]
        out |= (rows.stream == each) & (rows.line < limit)
    times = np.sort(time[time != NONE])
    if times.size >= SURVIVED_ITERATIONS + 1:
        interval = float(np.median(np.diff(times)))
        slack = 3 * interval + min(2e6, 10 * interval)
        limit_time = int(times[-SURVIVED_ITERATIONS] - slack)
        latest = not_later_than(job)
        out |= (latest != NONE) & (latest < limit_time) & ~np.isin(rows.stream, counted)
    return out


def before_it_trained(job: Job, progress: Progress) -> np.ndarray:
    """Return per row whether its speaker told of an iteration in the same file only later, bool[n].

    One iteration does: who could not begin, for want of a model or for a wrong setting, does none at all.
    """
    rows, it = job.rows, job.iterations
    out = np.zeros(len(rows), bool)
    if progress.series is None:
        return out
    reached = job.reached
    mine = it.series == progress.series
    counting = reached.speaker[(reached.series == progress.series) & (reached.highest > 0)]
    for stream in np.unique(it.first_stream[mine]).tolist():
        first = it.first_line[mine & (it.first_stream == stream)].min()
        out |= (rows.stream == stream) & (rows.line < first) & np.isin(rows.speaker, counting)
    return out


def _done_again(job: Job, mine: np.ndarray) -> np.ndarray:
    """Return which iterations (indices into `Iterations`, in their order) were done again at last, bool[n].

    A process that lags behind the others in one file is an iteration late or two: a counter that goes
    back by three was started again.
    """
    it = job.iterations
    first, last = it.first_line[mine], it.last_line[mine]
    again = np.zeros(len(mine), bool)
    for stream in np.unique(it.last_stream[mine]).tolist():
        reported = np.flatnonzero(it.first_stream[mine] == stream)
        reported = reported[np.argsort(first[reported], kind="stable")]
        highest = np.concatenate([[-1], np.maximum.accumulate(reported)])
        ends = np.flatnonzero(it.last_stream[mine] == stream)
        above = highest[np.searchsorted(first[reported], last[ends])]
        back = last[ends][above - ends >= SURVIVED_ITERATIONS]
        if back.size:
            fresh = (it.first_stream[mine][ends] == stream) & (first[ends] >= back.min())
            again[ends] = (last[ends] >= back.min()) & ~fresh
    return again


def shortly_before(time: np.ndarray, ended: list[int]) -> np.ndarray:
    """Return which times (int64[n]) lie at most `NOTICE_US` before what tells of the end."""
    last = max(ended, default=NONE)
    if last == NONE:
        return np.zeros(len(time), bool)
    found: np.ndarray = (time != NONE) & (time <= last) & (time >= last - NOTICE_US)
    return found


def passed(job: Job, survived: np.ndarray, numeric: list[np.ndarray]) -> bool:
    """Whether numbers were numbers again in the end: a loss that stays bad is told to the last line.

    Of more lines than were kept, the last ones are not known.
    """
    for rows in numeric:
        shape = job.rows.shape[rows[0]] if rows.size else 0
        kept = np.count_nonzero(job.rows.shape == shape)
        if not survived[rows].all() or kept < job.shape_count[shape]:
            return False
    return True
