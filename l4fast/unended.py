"""Tracebacks that break off: their head and some frames are the last words of a file.

The exception itself would come last. Who died while it was written, or whose text was cut, left none.
"""

from __future__ import annotations

import numpy as np

from l4fast.job import Job
from l4fast.words import is_frame

_HEAD, _FRAME = "context-traceback", "context-frame"


def unended_tracebacks(job: Job) -> np.ndarray:
    """Return the rows of the heads of tracebacks that end a file without an exception, int64[n], ascending.

    Below the head its speaker says nothing but frames, and nobody else says anything in that file.
    """
    heads, frames, inside = _kinds(job)
    pairs = job.pairs
    stream = np.array([speaker.stream for speaker in job.speakers], np.int64)[pairs.speaker]
    found: list[int] = []
    for k in np.flatnonzero(heads[pairs.shape]).tolist():
        line = int(pairs.last_line[k])
        below = (stream == stream[k]) & (pairs.last_line > line)
        if not below.any() or not frames[pairs.shape[below]].any():
            continue
        if (pairs.speaker[below] != pairs.speaker[k]).any() or not inside[pairs.shape[below]].all():
            continue
        rows = np.flatnonzero((job.rows.stream == stream[k]) & (job.rows.line == line))
        found += rows[:1].tolist()
    return np.array(sorted(found), np.int64)


def _kinds(job: Job) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which shapes are heads of tracebacks, frames, and what may stand in one: bool[n_shapes] each."""
    heads, frames = np.zeros(len(job.shapes), bool), np.zeros(len(job.shapes), bool)
    inside = np.ones(len(job.shapes), bool)
    for raw, note in zip(job.raws, job.notes, strict=True):
        names = {signature.id for signature in note.failures}
        heads[raw.shape] |= _HEAD in names
        frames[raw.shape] |= _FRAME in names
        inside[raw.shape] &= raw.indent > 0 or is_frame(raw.content)
    return heads, frames, inside
