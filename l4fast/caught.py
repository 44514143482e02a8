"""Exceptions that a process catches again and again while the job trains on: a habit, and no end.

A worker that judges what a model wrote raises an error at much of it, tells it with its stack, and takes
the next piece. Who is told by a process id is one process: what it says after an exception, it lived to say.
"""

from __future__ import annotations

import numpy as np

from l4fast.job import Job
from l4fast.temporal import Progress
from l4fast.words import EXCEPTION, is_frame

_HEAD = "context-traceback"
LEAST_REPORTS = 2  # of the training between two exceptions of one kind show that the first was caught


def caught_again(job: Job, progress: Progress, rows_in: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which of ``rows_in`` (bool per row) are exceptions that their process caught.

    A kind of exception is a habit if one process raised it twice with two reports of the training between.
    A process that raises such ones again and again, with other words between, catches them: the last one
    too, if words follow that were said between others. Of the last one before it falls silent, that is
    likely only.

    Returns
    -------
    caught, likely : bool[n]
    """
    rows = job.rows
    caught, likely = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    kinds, other = _kinds(job)
    is_process = np.array([any(kind == "pid" for kind, _ in s.labels) for s in job.speakers], bool)
    raised = np.flatnonzero((kinds >= 0)[rows.raw] & is_process[rows.speaker] & rows_in)
    raised = raised[_are_habits(job, progress, raised, kinds[rows.raw[raised]])]
    if not raised.size:
        return caught, likely
    # Rows are ordered by stream and line, and a speaker is of one stream: their order is that of its lines.
    speaker = rows.speaker[raised]
    first, last = np.full(len(job.speakers), len(rows)), np.full(len(job.speakers), -1)
    np.minimum.at(first, speaker, raised)
    np.maximum.at(last, speaker, raised)
    said = np.flatnonzero(other[rows.shape] & (last >= 0)[rows.speaker] & rows_in)
    between = said[(said > first[rows.speaker[said]]) & (said < last[rows.speaker[said]])]
    catches, familiar = np.zeros(len(job.speakers), bool), np.zeros(len(job.shapes), bool)
    catches[rows.speaker[between]] = True
    familiar[rows.shape[between]] = True
    went_on = np.full(len(job.speakers), -1)
    said = said[familiar[rows.shape[said]]]
    np.maximum.at(went_on, rows.speaker[said], said)
    caught[raised] = catches[speaker] & (raised < went_on[speaker])
    likely[raised] = catches[speaker] & (raised > went_on[speaker])
    return caught, likely


def _are_habits(job: Job, progress: Progress, raised: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Return which of the rows ``raised`` are of a kind (int64[n] each) that is a habit in their file."""
    rows, it = job.rows, job.iterations
    if progress.series is None or not raised.size:
        return np.zeros(len(raised), bool)
    # One number for a place, and for a kind of exception in a file.
    stride = int(max(rows.line.max(), it.first_line.max(initial=0))) + 1
    mine = it.series == progress.series
    reports = np.sort(it.first_stream[mine].astype(np.int64) * stride + it.first_line[mine])
    stream = rows.stream[raised].astype(np.int64)
    told = np.searchsorted(reports, stream * stride + rows.line[raised])
    habit = stream * (int(kind.max()) + 1) + kind
    who, of_whom = np.unique(np.stack([rows.speaker[raised], kind]), axis=1, return_inverse=True)
    low, high = np.full(who.shape[1], len(reports)), np.zeros(who.shape[1], np.int64)
    np.minimum.at(low, of_whom.ravel(), told)
    np.maximum.at(high, of_whom.ravel(), told)
    proven = (high - low >= LEAST_REPORTS)[of_whom.ravel()]
    found: np.ndarray = np.isin(habit, habit[proven])
    return found


def _kinds(job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Return the kind of exception that each raw shape is (-1: none), and which shapes are in no traceback.

    Returns
    -------
    kinds : int64[n_raws]
    other : bool[n_shapes]
    """
    names: dict[str, int] = {}
    kinds = np.full(len(job.raws), -1, np.int64)
    other = np.ones(len(job.shapes), bool)
    for i, (raw, note) in enumerate(zip(job.raws, job.notes, strict=True)):
        match = EXCEPTION.search(raw.content)
        if match is not None:
            kinds[i] = names.setdefault(match[0].rstrip(":("), len(names))
        if match or raw.indent > 0 or is_frame(raw.content) or any(s.id == _HEAD for s in note.failures):
            other[raw.shape] = False
    return kinds, other
