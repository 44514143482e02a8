"""Which lines of the machines around a job are of its time, and what their clocks say differently.

A kernel's or a scheduler's log covers days and other jobs; hosts often write local time where
containers write UTC. So what such a log tells is heard only within the job's own time, or where a
difference of whole hours brings it to the moment at which the job failed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l4fast.job import NONE, Job
from l4fast.paths import PathFacts
from l4fast.temporal import Progress

BEFORE_US, AFTER_US = 600_000_000, 7_200_000_000  # the first and the last line of the program: it may hang
HOUR_US = 3_600_000_000
FARTHEST_US = 14 * HOUR_US  # no two zones are farther apart
NEAR_US = 30_000_000  # before the rhythm broke, and after the last line
_MACHINES = ("kernel", "agent", "scheduler")


def of_machines(job: Job, facts: Sequence[PathFacts]) -> np.ndarray:
    """Return which streams (bool[n]) kernels, agents and schedulers write, and no process of the job."""
    found = np.array([fact.kind in _MACHINES for fact in facts], bool)
    if len(job.iterations.first_stream):
        found[np.unique(job.iterations.first_stream)] = False  # a journal may hold the program's lines
    return found


def span(job: Job, facts: Sequence[PathFacts]) -> tuple[int, int]:
    """Return the first and last time (microseconds) of the program's own lines; `NONE` if there are none.

    Where all that there is comes from machines, theirs.
    """
    machines = of_machines(job, facts)
    own = [s for s, is_machine in zip(job.streams, machines.tolist(), strict=True) if not is_machine]
    begin = [s.first_time for s in own if s.first_time != NONE]
    if not begin:
        return job.first_time, job.last_time
    return min(begin), max(s.last_time for s in own)


def heard(job: Job, facts: Sequence[PathFacts], progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows (bool[n]) are of the job's time, and all rows' times by the program's clock.

    Times are int64[n], microseconds; only those of machines whose zone is another one are changed.
    """
    rows = job.rows
    time = rows.time.copy()
    first, last = span(job, facts)
    of_machine = of_machines(job, facts)[rows.stream] & (time != NONE)
    outside = of_machine & ((time < first - BEFORE_US) | (time > last + BEFORE_US))
    if first == NONE or not outside.any():
        return np.ones(len(rows), bool), time
    broke = progress.last_time if progress.series is not None and progress.last_time != NONE else first
    hours = -np.floor_divide(time - (broke - NEAR_US), HOUR_US)
    moved = time + hours * HOUR_US
    zoned = outside & (hours != 0) & (np.abs(hours) * HOUR_US <= FARTHEST_US) & (moved <= last + NEAR_US)
    time[zoned] = moved[zoned]
    return ~outside | zoned | ((time > last) & (time <= last + AFTER_US)), time
