"""A program whose file begins again behind the exception that ended it: a launch that no known line tells of.

What a program says first is its own: its arguments, the state of its sources. Behind an exception that
nobody caught the same lines in the same order are another process, if as many have ended as began.
"""

from __future__ import annotations

import numpy as np

from l4fast.job import NONE, Job
from l4fast.words import EXCEPTION, is_frame

HEAD = 16  # shapes that a file begins with
LEAST = 2  # of these that must come again
LATE_US = 60_000_000  # processes of one launch begin within so long


def begun_again(job: Job) -> tuple[int, int, dict[int, int]] | None:
    """Return when the last launch of such programs began, until when those before were heard, and its lines.

    Times are microseconds or `NONE`, the lines the first ones of that launch by stream. None if there is
    no such launch.
    """
    rows, pairs = job.rows, job.pairs
    uncaught = np.array([_is_last_word(job, raw) for raw in range(len(job.raws))], bool)
    nameless = np.array([not speaker.labels for speaker in job.speakers], bool)
    ends = uncaught[rows.raw] & nameless[rows.speaker] & ~rows.own_time
    ordinary = np.ones(len(job.shapes), bool)
    for raw, note in zip(job.raws, job.notes, strict=True):
        if note.failures or raw.indent or is_frame(raw.content):
            ordinary[raw.shape] = False
    times, ended, lines = [], [], {}
    at = np.flatnonzero(ends)
    at = at[np.argsort(rows.speaker[at], kind="stable")]
    speakers, first = np.unique(rows.speaker[at], return_index=True)
    lows, highs = (np.searchsorted(pairs.speaker, speakers, side).tolist() for side in ("left", "right"))
    ends_of = np.split(rows.line[at], first[1:])
    for speaker, low, high, its_ends in zip(speakers.tolist(), lows, highs, ends_of, strict=False):
        order = low + np.argsort(pairs.first_line[low:high], kind="stable")
        order = order[ordinary[pairs.shape[order]]]
        place = _again(job, order[:HEAD], its_ends)
        if place < 0:
            continue
        heard = int(pairs.last_time[place])
        line = int(pairs.last_line[place])
        later = pairs.last_time[low:high][pairs.last_line[low:high] >= line]
        later = later[later > heard]
        times.append(int(later.min()) if later.size else heard)
        ended.append(heard)
        lines[job.speakers[speaker].stream] = line
    return (min(times), min(ended), lines) if lines else None


def _is_last_word(job: Job, raw: int) -> bool:
    """Whether a line is the end of what Python writes of an exception that nobody caught."""
    shape, note = job.raws[raw], job.notes[raw]
    told = shape.indent == 0 and shape.header.level is None and EXCEPTION.match(shape.content) is not None
    return told and any(s.role in ("root", "consequence") for s in note.failures)


def _again(job: Job, head: np.ndarray, ends: np.ndarray) -> int:
    """Return the pair that begins the last launch, -1 if there is none.

    ``head`` (int64[n]) are the pairs of a file's first shapes by their first lines, ``ends`` the lines at
    which a process ended.
    """
    pairs = job.pairs
    head = head[pairs.first_line[head] < ends[0]]
    counts = np.bincount(pairs.count[head].astype(np.int64).clip(0, ends.size + 2))
    counts[: min(2, counts.size)] = 0
    if not counts.any():
        return -1
    often = int(counts.argmax())  # as many processes have said what most of these lines say
    same = head[pairs.count[head] == often]
    if same.size < LEAST or often > ends.size + 1:
        return -1
    last = pairs.last_line[same]
    begin, first = int(same[0]), int(pairs.first_line[same].max())
    between = ends[(ends > first) & (ends < last[0])]
    # An undated line has the time of one above it, if there is one: the same says nothing.
    passed = int(pairs.last_time[begin] - pairs.first_time[begin]) if pairs.first_time[begin] != NONE else 0
    if not between.size or (np.diff(last) <= 0).any() or 0 < passed < LATE_US:
        return -1
    return begin
