"""What a job says again and again while it goes on well: words of failure that mean no harm.

A program that warns of each picture it cannot read says so through all of its training, and at its end.
Such lines may stand below the last iteration, where workers write what they kept when they end: the time in
a line tells more than its place.
"""

from __future__ import annotations

import numpy as np

from l4fast.job import NONE, Job
from l4fast.survived import SURVIVED_ITERATIONS
from l4fast.temporal import Progress

LEAST_MOMENTS = 3  # between different iterations that words come in: once is what happened then


def usual_shapes(job: Job, progress: Progress) -> np.ndarray:
    """Return which shapes (bool[n_shapes]) were mostly said while the job went on, and at several moments."""
    found = np.zeros(len(job.shapes), bool)
    if progress.series is None:
        return found
    it, rows = job.iterations, job.rows
    mine = it.series == progress.series
    at = np.zeros(len(rows), np.int64)  # how many iterations were reported before each row
    total = np.zeros(len(rows), np.int64)
    known = mine & (it.first_time != NONE)
    dated = rows.own_time & (rows.time != NONE)
    at[dated] = np.searchsorted(np.sort(it.first_time[known]), rows.time[dated], side="right")
    total[dated] = np.count_nonzero(known)
    # Without a time of its own a line is told by its place, where the counter stands in its file.
    for stream in np.unique(it.first_stream[mine]).tolist():
        here = (rows.stream == stream) & ~dated
        lines = np.sort(it.first_line[mine & (it.first_stream == stream)])
        at[here] = np.searchsorted(lines, rows.line[here])
        total[here] = len(lines)
    well = np.flatnonzero((at > 0) & (at <= total - SURVIVED_ITERATIONS))
    width = int(at.max(initial=0)) + 1
    moments = np.unique(rows.shape[well].astype(np.int64) * width + at[well])
    n_moments = np.bincount(moments // width, minlength=len(found))
    n_well = np.bincount(rows.shape[well], minlength=len(found))
    return np.asarray((n_moments >= LEAST_MOMENTS) & (2 * n_well >= np.asarray(job.shape_count)))
