"""Which checkpoint of the attempts before can be resumed from, where the last one made none of its own."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from l4fast.checkpoints import Checkpoints, trace
from l4fast.job import Job
from l4fast.marks import Mark
from l4fast.temporal import Progress
from l4fast.verdict import Verdict

_EARLIER = ("checkpoint.begin", "checkpoint.accepted", "checkpoint.durable", "checkpoint.loaded")


def with_earlier(
    job: Job,
    own: Checkpoints,
    marks: Sequence[Mark],
    before: Sequence[Mark],
    progress: Progress,
    whole: Progress,
    verdict: Verdict,
) -> Checkpoints:
    """Return the last attempt's checkpoints, with the newest that the attempts ``before`` it left to it.

    A checkpoint that the attempt saved or loaded is newer than all that it could have gone on from. What
    lies behind its first iteration was given up, and so is the one that it could not read.
    ``whole`` is the progress of all attempts.
    """
    saved = [m for m in before if m.kind in _EARLIER]
    if own.last_durable is not None or whole.last_completed is None or not saved:
        return own
    highest = whole.last_completed
    if progress.first is not None:
        highest = min(highest, progress.first - 1)
    tried = [m.iteration for m in marks if m.kind == "checkpoint.load" and m.iteration is not None]
    if tried:
        highest = min(highest, tried[-1])
    found = _newest_until(job, saved, highest, whole)
    torn = bool(verdict.roots) and verdict.roots[0].action == "resume_older_checkpoint"
    if torn and found is not None and found.last_durable is not None:
        # Where it does not say which one it reads, it reads the newest.
        unread = tried[-1] if tried else found.last_durable
        found = _newest_until(job, saved, unread - 1, whole)
    if found is None or found.last_durable is None:
        return own
    return replace(own, last_durable=found.last_durable, last_accepted=found.last_durable, path=found.path)


def _newest_until(job: Job, saved: Sequence[Mark], highest: int, whole: Progress) -> Checkpoints | None:
    """Return what the longest part of the marks tells that ends before a checkpoint after ``highest``."""

    def newest(n: int) -> int:
        return trace(job, saved[:n], whole).last_durable or 0

    n = bisect_right(range(len(saved) + 1), highest, key=newest) - 1
    return trace(job, saved[:n], whole) if n > 0 else None
