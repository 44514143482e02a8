"""Which storage troubles are no end of a job: those that passed, and a machine's alone while it went on.

A file server that does not answer stops whoever touches its mount until it answers, which its host's
kernel tells too. Where no line tells of a process that failed, such a stall is why a job is slow, and
not why it died.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l4fast.events import Event
from l4fast.job import NONE, Job
from l4fast.readings import Reading, Values
from l4fast.signature import Signature
from l4fast.temporal import STALL_FACTOR, Progress

# What tells of a stall -> what the same host says when it is over, and the group that both name.
OVER = {"nfs-not-responding": ("nfs-ok", "host")}
LEAST_US = 60_000_000  # a program that hangs may still speak for some seconds


def no_end(job: Job, fatal: Sequence[Event], progress: Progress) -> bool:
    """Whether all that tells of an end are troubles of storage that passed, or that the job outlived."""
    return bool(fatal) and all(passed(job, e) or outlived(job, e, progress) for e in fatal)


def passed(job: Job, event: Event) -> bool:
    """Whether each host that told of an event's stall told later that it is over."""
    if event.signature is None or event.signature.id not in OVER:
        return False
    shapes = np.unique(job.rows.shape[event.rows])
    if any(np.count_nonzero(job.rows.shape == s) < job.shape_count[s] for s in shapes.tolist()):
        return False  # the last lines of a shape are not known
    over, group = OVER[event.signature.id]
    ends: dict[tuple[int, int, Values], int] = {}
    for raw_idx, note in enumerate(job.notes):
        if any(signature.id == over for signature in note.failures):
            signature = next(s for s in note.failures if s.id == over)
            _latest(job, job.rows_of_raw(raw_idx), signature, group, ends)
    begins: dict[tuple[int, int, Values], int] = {}
    for raw in np.unique(job.rows.raw[event.rows]).tolist():
        _latest(job, event.rows[job.rows.raw[event.rows] == raw], event.signature, group, begins)
    return all(ends.get(key, -1) > line for key, line in begins.items())


def _latest(
    job: Job, rows: np.ndarray, signature: Signature, group: str, found: dict[tuple[int, int, Values], int]
) -> None:
    """Note the last line of each (stream, speaker, what the group holds) among rows of one raw shape."""
    different, code = Reading(job, rows, signature.regex).distinct([group])
    stream, speaker, line = job.rows.stream[rows], job.rows.speaker[rows], job.rows.line[rows]
    order = np.argsort(line, kind="stable")
    for a, b, c, at in np.stack([stream, speaker, code, line], axis=1)[order].tolist():
        found[a, b, different[c]] = max(at, found.get((a, b, different[c]), -1))


def outlived(job: Job, event: Event, progress: Progress) -> bool:
    """Whether only kernels told of an event of storage, and who counts the iterations spoke on for long."""
    rows, signature = job.rows, event.signature
    if signature is None or signature.by != "kernel" or event.category != "storage":
        return False
    it = job.iterations
    counting = np.unique(it.first_stream[it.series == progress.series])
    time = rows.time[event.rows]
    if not counting.size or np.isin(rows.stream[event.rows], counting).any() or (time == NONE).any():
        return False
    last = max(job.streams[stream].last_time for stream in counting.tolist())
    least = max(LEAST_US, int(STALL_FACTOR * (progress.median_s or 0.0) * 1e6))
    return bool(last != NONE and last - int(time.max()) > least)
