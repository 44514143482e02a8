"""Which troubles are no end of a job: those that passed, and a machine's storage alone while it went on.

A file server that does not answer stops whoever touches its mount until it answers, which its host's
kernel tells too. Where no line tells of a process that failed, such a stall is why a job is slow, and
not why it died.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from l4fast.events import Event, split
from l4fast.job import NONE, Job
from l4fast.readings import Reading
from l4fast.signature import Signature
from l4fast.temporal import STALL_FACTOR, Progress


class Over(NamedTuple):
    """What the same host says when a trouble is over, and the group by which both name the thing.

    Of a signature that knows several troubles, only those with ``text`` as their own may be over.
    """

    signature: str
    group: str
    text: str | None = None


OVER = {
    "nfs-not-responding": Over("nfs-ok", "host"),
    "nccl-ib-fatal-event": Over("nccl-ib-port-active", "device", "port error"),
    "link-down": Over("link-up", "device"),
}
LEAST_US = 60_000_000  # a program that hangs may still speak for some seconds


def no_end(job: Job, fatal: Sequence[Event], progress: Progress) -> bool:
    """Whether all that tells of an end are troubles of storage that passed, or that the job outlived."""
    return bool(fatal) and all(passed(job, e) or outlived(job, e, progress) for e in fatal)


def passed(job: Job, event: Event) -> bool:
    """Whether each host that told of a stall of storage told later that it is over."""
    return event.category == "storage" and bool(is_over(job, event).all())


def settle_passed(job: Job, events: list[Event]) -> None:
    """Of a trouble that lasted on some hosts, take off the lines of those that said that it was over."""
    fresh = []
    for event in events:
        over = is_over(job, event)
        if event.role == "root" and over.any() and not over.all():
            fresh.append(split(event, event.rows[over], "what told it said later that it was over"))
    events.extend(fresh)


def is_over(job: Job, event: Event) -> np.ndarray:
    """Return of which rows of an event the same host said at last that it is over, bool[n]."""
    found = np.zeros(len(event.rows), bool)
    if event.signature is None or event.signature.id not in OVER:
        return found
    shapes = np.unique(job.rows.shape[event.rows])
    if any(np.count_nonzero(job.rows.shape == s) < job.shape_count[s] for s in shapes.tolist()):
        return found  # the last lines of a shape are not known
    over, names = OVER[event.signature.id], dict[str, int]()
    ends = [
        _things(job, job.rows_of_raw(raw), signature, over.group, None, names)
        for raw, note in enumerate(job.notes)
        for signature in note.failures
        if signature.id == over.signature
    ]
    raws = job.rows.raw[event.rows]
    places = [np.flatnonzero(raws == raw) for raw in np.unique(raws).tolist()]
    begins = [
        _things(job, event.rows[mine], event.signature, over.group, over.text, names) for mine in places
    ]
    if not ends:
        return found
    begin, end = np.concatenate(begins, axis=1), np.concatenate(ends, axis=1)
    things, which = np.unique(np.concatenate([begin, end], axis=1)[:3], axis=1, return_inverse=True)
    last = np.full((2, things.shape[1]), -1, np.int64)
    np.maximum.at(last[0], which.ravel()[: begin.shape[1]], begin[3])
    np.maximum.at(last[1], which.ravel()[begin.shape[1] :], end[3])
    over_now = (last[1] > last[0]) & (things[2] >= 0)
    found[np.concatenate(places)] = over_now[which.ravel()[: begin.shape[1]]]
    return found


def _things(
    job: Job, rows: np.ndarray, signature: Signature, group: str, text: str | None, names: dict[str, int]
) -> np.ndarray:
    """Return stream, speaker, what ``group`` holds and line of each row of one raw shape, int64[4, n].

    ``names`` numbers what it holds; -1 stands for nothing, and for a line with another ``text`` than asked.
    """
    different, code = Reading(job, rows, signature.regex).distinct([group, "text"])
    held = [dict(values) for values in different]
    number = [
        names.setdefault(v[group], len(names)) if group in v and text in (None, v.get("text")) else -1
        for v in held
    ]
    thing = np.array(number, np.int64)[code]
    return np.stack([job.rows.stream[rows], job.rows.speaker[rows], thing, job.rows.line[rows]]).astype(
        np.int64
    )


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
