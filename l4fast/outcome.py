"""What became of a job: finished, failed, hung, running or unknown.

An error does not make a failure of a job that finished: it may lie before the end of the work, or
belong to processes that end after it.
"""

from __future__ import annotations

from collections.abc import Sequence

from l4fast import clocks, exits, recovered, temporal
from l4fast.events import Event, Evidence
from l4fast.job import NONE, Job
from l4fast.marks import Mark
from l4fast.telling import breaks_off, is_exception, tells_plainly
from l4fast.temporal import Progress
from l4fast.topology import Topology

_BESIDE = ("evaluate", "checkpoint")  # stages between iterations


def outcome_of(
    job: Job, top: Topology, marks: Sequence[Mark], progress: Progress, evidence: Evidence
) -> tuple[str, Evidence]:
    """Tell what became of the job; in a job that finished nothing is failure-indicating.

    That it was slow is another question, and asked of jobs that run or finished only.
    """
    nothing = Evidence([], evidence.groups, evidence.survived, evidence.known)
    fatal = [e for e in evidence.events if e.grave]
    if recovered.no_end(job, fatal, progress):
        mild = [e for e in evidence.events if not e.grave]
        fatal, evidence = [], Evidence(mild, evidence.groups, evidence.survived, evidence.known)
    # One process ended well is no end of the job where the same line tells of one that did not.
    failed = {int(raw) for e in fatal for raw in job.rows.raw[e.rows]}
    finishes = [m for m in marks if m.kind == "finish" and int(job.rows.raw[m.row]) not in failed]
    complete = (
        progress.total is not None
        and (progress.last_completed or 0) >= progress.total
        and progress.went_back == 0
        and not (fatal and _counts_an_epoch(job, progress))
    )
    if finishes and (not fatal or all(_before(job, e, finishes[-1]) for e in fatal)):
        return "finished", nothing
    if (finishes or complete) and all(_is_farewell(job, e) for e in fatal):
        began = finishes[0] if finishes else None
        if complete or (began is not None and all(_after(job, e, began) for e in fatal)):
            return "finished", nothing
    if exits.all_exited(job, top, marks, progress) and not any(_is_trouble(job, e) for e in evidence.events):
        return "finished", nothing
    lost = any(_has_lost_peer(e) for e in evidence.events)
    if lost or (fatal and not _may_go_on(job, top, marks, fatal, progress)):
        return "failed", evidence
    if fatal:
        return "unknown", evidence
    if _stalled(job, top, marks, progress):
        return "hung", evidence
    if progress.series is None and not progress.n_untold and not marks and not evidence.events:
        return "unknown", nothing
    return "running", nothing


def _counts_an_epoch(job: Job, progress: Progress) -> bool:
    """Whether the counter begins again in each epoch: its total is no end of the training."""
    if progress.series is None:
        return False
    name = job.series[progress.series].signature
    markers = (s for note in job.notes for s in note.markers if s.id == name)
    return "within" in next(markers).regex.groupindex


def _is_trouble(job: Job, event: Event) -> bool:
    """Whether an event may be why a program that ended by itself did not end well."""
    return event.grave or event.role == "root" or (event.signature is None and tells_plainly(job, event))


def _has_lost_peer(event: Event) -> bool:
    """Whether a library of collectives lost a peer: what it only warns of, its process seldom survives."""
    known = event.signature is not None and event.signature.by == "program" and event.signature.weight > 0
    return known and event.tells == "lost-peer" and event.role != "teardown" and event.category == "network"


def _may_go_on(
    job: Job, top: Topology, marks: Sequence[Mark], fatal: Sequence[Event], progress: Progress
) -> bool:
    """Whether the one error that no signature knows may be the last line of a job that still runs.

    A process that ended, an uncaught exception, a second voice or a long silence says that it does not.
    """
    if any(e.signature is not None or e.tells is not None or is_exception(job, e) for e in fatal):
        return False
    speakers = {int(speaker) for e in fatal for speaker in job.rows.speaker[e.rows]}
    return len(speakers) == 1 and not _stalled(job, top, marks, progress)


def _is_farewell(job: Job, event: Event) -> bool:
    """Whether an event may belong to processes that end after their work is done."""
    if is_exception(job, event) and event.tells not in ("lost-peer", "timeout", "abort"):
        return False
    if breaks_off(job, event):
        return False
    if event.tells == "death":
        return dict(event.values).get("exit_code") not in ("1", "2")
    return event.tells not in ("hang", "stop") and event.category != "numeric"


def _after(job: Job, event: Event, mark: Mark) -> bool:
    """Whether all lines of an event came after a mark: by line in its file, else by time."""
    rows = job.rows
    mine = event.rows
    same = rows.stream[mine] == mark.stream
    if (rows.line[mine][same] < mark.line).any():
        return False
    other = rows.time[mine][~same]
    if same.all():
        return True
    return mark.time != NONE and not ((other != NONE) & (other < mark.time)).any()


def _before(job: Job, event: Event, mark: Mark) -> bool:
    """Whether all lines of an event came before a mark: by line in its file, else by time."""
    rows = job.rows
    mine = event.rows
    same = rows.stream[mine] == mark.stream
    if (rows.line[mine][same] > mark.line).any():
        return False
    other = rows.time[mine][~same]
    if mark.time == NONE:
        return bool(same.all())
    return not ((other == NONE) | (other >= mark.time)).any()


def _stalled(job: Job, top: Topology, marks: Sequence[Mark], progress: Progress) -> bool:
    """Whether the program went on to speak, or only stood there, long after its last iteration.

    A save or an evaluation that it told of since is progress too.
    """
    _, last = clocks.span(job, top.facts)
    if not progress.timed or progress.rhythm_s is None or progress.last_time == NONE or last == NONE:
        return False
    told = (m.time for m in marks if m.kind.startswith("checkpoint.") or m.stage in _BESIDE)
    silence = last - max([progress.last_time, progress.spoke, *told])
    median = progress.rhythm_s * 1e6
    # An evaluation or a save takes some medians, though seldom more than minutes.
    limit = max(
        temporal.STALL_FACTOR * median, min(10 * temporal.STALL_FACTOR * median, temporal.LONG_STALL_US)
    )
    return silence > max(limit, temporal.MIN_STALL_US)
