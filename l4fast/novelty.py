"""What nobody said while the job was well.

A failure that no signature knows is told by lines that first come when the rhythm breaks: after the
last iterations, and nowhere in a healthy job. Whether one of them is the cause is decided as for known
ones, by their order and by whom they speak of.

References
----------
L4 (FSE 2025), sections 4.1 and 4.3: the cross-job and the temporal pattern, the job itself as its
healthy history.
"""

from __future__ import annotations

import numpy as np

from l4fast.crossjob import Baseline
from l4fast.job import NONE, Job
from l4fast.temporal import Progress
from l4fast.words import is_frame, tells_of_failure

RARE = 0.34  # a shape that more of the speakers say is the program's, not one node's
SLACK_US = 2_000_000  # clocks may differ so much
LATE_INTERVALS = 2.0  # a fault strikes before the next iteration is told, and an interval may be two


def new_shapes(job: Job, progress: Progress, baseline: Baseline | None) -> tuple[np.ndarray, np.ndarray]:
    """Return which shapes nobody said before the rhythm broke, and of which that is certain.

    A shape without any time may have been said at any time; of a job that never iterated, nothing is
    certain without healthy jobs (``baseline``) to compare with.

    Returns
    -------
    new, certain : bool[n_shapes]
    """
    n = len(job.shapes)
    new, certain = np.ones(n, bool), np.zeros(n, bool)
    if progress.series is not None and progress.last_time != NONE:
        when = np.where(job.rows.own_time, job.rows.time, not_later_than(job))
        known = when != NONE
        first = np.full(n, np.iinfo(np.int64).max, np.int64)
        np.minimum.at(first, job.rows.shape[known], when[known])
        timed = first != np.iinfo(np.int64).max
        interval = (progress.median_s or 0.0) * 1e6
        late = first >= progress.last_time - LATE_INTERVALS * interval - SLACK_US
        new = (~timed | late) & ~_told_before(job, progress)
        certain = new & timed
    if baseline is not None:
        unheard = np.array([shape.text not in baseline.shapes for shape in job.shapes], bool)
        new &= unheard
        certain = new & (certain | unheard)
    return new, certain


def not_later_than(job: Job) -> np.ndarray:
    """Return per row the time of the next line of its stream that has one, or its own (else NONE)."""
    rows = job.rows
    n = len(rows)
    out = np.full(n, NONE, np.int64)
    timed = np.flatnonzero(rows.own_time)
    if timed.size == 0:
        return out
    following = np.searchsorted(timed, np.arange(n))
    inside = following < timed.size
    at = timed[np.minimum(following, timed.size - 1)]
    same = inside & (rows.stream[at] == rows.stream)
    out[same] = rows.time[at[same]]
    return out


def _told_before(job: Job, progress: Progress) -> np.ndarray:
    """Return which shapes stand above the last counts of the counter, in the files that hold it."""
    it = job.iterations
    mine = np.flatnonzero(it.series == progress.series)
    told = np.zeros(len(job.shapes), bool)
    stream_of = np.array([s.stream for s in job.speakers], np.int64)[job.pairs.speaker]
    for stream in np.unique(it.last_stream[mine]).tolist():
        lines = np.sort(it.last_line[mine][it.last_stream[mine] == stream])
        if lines.size:
            limit = lines[max(0, lines.size - 1 - int(LATE_INTERVALS))]
            told[job.pairs.shape[(stream_of == stream) & (job.pairs.first_line < limit)]] = True
    return told


def went_on(job: Job) -> np.ndarray:
    """Return per row whether who said it said ordinary things afterwards: no last words, then."""
    ordinary = np.ones(len(job.shapes), bool)
    for i, raw in enumerate(job.raws):
        if job.notes[i].failures or raw.indent >= 2 or is_frame(raw.content) or tells_of_failure(raw.text):
            ordinary[raw.shape] = False
    last = np.full(len(job.speakers), -1, np.int64)
    plain = ordinary[job.pairs.shape]
    np.maximum.at(last, job.pairs.speaker[plain], job.pairs.last_line[plain])
    return np.asarray(last[job.rows.speaker] > job.rows.line)


def strange_shapes(job: Job, certain: np.ndarray) -> np.ndarray:
    """Return which raw shapes (bool[n_raws]) are statements of few that surely nobody made before.

    Such a line needs no word of failure: that only few say it, and only now, is enough.
    """
    n_speakers = np.bincount(job.pairs.shape, minlength=len(job.shapes))
    total = len(np.unique(job.pairs.speaker))
    rare = n_speakers <= max(1, int(RARE * total))
    out = np.zeros(len(job.raws), bool)
    for i, raw in enumerate(job.raws):
        if certain[raw.shape] and rare[raw.shape] and total > 1 and raw.indent < 2:
            told = raw.header.level not in ("info", "debug") and not is_frame(raw.content)
            out[i] = told and not job.notes[i].markers
    return out
