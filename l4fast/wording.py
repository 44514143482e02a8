"""Story -> Diagnosis: the answer as the contract wants it, each claim with its file, line and offset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from l4fast import marks as marking
from l4fast.advice import action_for, blamed_nodes, cause_of
from l4fast.checkpoints import first_bad
from l4fast.crossjob import Baseline
from l4fast.diagnose import Story
from l4fast.diagnosis import MOST_NAMES, Diagnosis, iso_time, quoted
from l4fast.events import Event
from l4fast.failure_rows import FailureRows
from l4fast.fold import ROWS_OF_SUSPECT
from l4fast.job import NONE, Job
from l4fast.novelty import not_later_than
from l4fast.source import Unreadable
from l4fast.stages import stage_of_failure
from l4fast.subjects import Subjects
from l4fast.survived import SURVIVED_ITERATIONS
from l4fast.topology import Topology

LineAt = Callable[[int, int], bytes | None]
NEAR_US = 60_000_000  # a line without a time was written at that of the line above, if so soon after it


def diagnosis(
    story: Story,
    *,
    paths: Sequence[str],
    unreadable: Sequence[Unreadable],
    skipped: dict[str, int],
    baseline: Baseline | None,
    notes: Sequence[str],
    timing: dict[str, Any],
    line_at: LineAt | None = None,
) -> Diagnosis:
    """Write the story down as the contract wants it.

    ``line_at`` reads the line of a stream that begins at an offset again, where its text was not kept.
    """
    job, verdict, progress, top = story.job, story.verdict, story.progress, story.top
    zoned = any(s.zoned for s in job.streams)
    stage = stage_of_failure(
        story.job, story.verdict, story.progress, story.checkpoint, story.marks, story.outcome
    )
    cut = marking.segments(job, list(story.marks), progress)
    cause = cause_of(story)
    action = action_for(story, cause)
    failed = story.outcome not in ("finished", "running")
    quotes = _Quotes(job, top, line_at)
    return Diagnosis(
        job={
            "paths": list(paths),
            "files": len(job.streams),
            "bytes": sum(s.bytes for s in job.streams),
            "lines": sum(s.lines for s in job.streams),
            "nodes": len(top.nodes),
            "ranks": len(top.ranks),
            "first_time": iso_time(job.first_time, zoned),
            "last_time": iso_time(job.last_time, zoned),
        },
        outcome=story.outcome,
        action=action,
        cause=cause,
        events=[quotes.event(story, e) for e in verdict.events] if failed else [],
        nodes=[
            {
                "node": node,
                "ranks": top.ranks_of(node)[:MOST_NAMES],
                "score": round(score, 4),
                "reasons": reasons,
                "evidence": [quotes.evidence(row) for row in rows],
            }
            for node, score, reasons, rows in blamed_nodes(story, cause)[:MOST_NAMES]
        ],
        ranks=[
            {"rank": rank, "node": top.node_of_rank.get(rank), "score": round(score, 4)}
            for rank, score, _, _ in verdict.ranks[:MOST_NAMES]
        ],
        stage={
            "name": stage,
            "segments": [
                {
                    "stage": s.stage,
                    "start": iso_time(s.start, zoned),
                    "end": iso_time(s.end, zoned),
                    "first_iteration": s.first_iteration,
                    "last_iteration": s.last_iteration,
                }
                for s in cut
            ],
        },
        iterations={
            "last_completed": progress.last_completed,
            "first_abnormal": _first_abnormal(story, stage),
            "total": progress.total,
            "median_seconds": round(progress.median_s, 6) if progress.median_s is not None else None,
        },
        checkpoint=_checkpoint(story),
        attempts=story.attempts,
        coverage=_coverage(story, unreadable, skipped, baseline, notes),
        timing=timing,
        failures=_failure_rows(story) if failed else FailureRows(),
    )


def _first_abnormal(story: Story, stage: str) -> int | None:
    if story.outcome in ("finished", "running"):
        return None
    progress = story.progress
    if story.slow is not None:
        return story.slow.iteration
    if story.verdict.kind == "numeric":
        row = int(story.verdict.roots[0].rows[0])
        number = first_bad(story.job, row, progress)
        if number is not None:
            return number
    if progress.last_completed is None or stage not in ("iterate", "load", "evaluate", "checkpoint"):
        return None
    return progress.last_completed + 1 if stage != "checkpoint" else progress.last_completed


def _checkpoint(story: Story) -> dict[str, Any]:
    found, done = story.checkpoint, story.progress.last_completed
    lost: list[int] | None = None
    if done is not None and story.outcome not in ("finished", "running"):
        high = done - (found.last_durable or 0)
        low = done - max(found.last_durable or 0, min(found.last_accepted or 0, done))
        lost = [max(low, 0), max(high, 0)]
    return {
        "last_durable": found.last_durable,
        "last_accepted": found.last_accepted,
        "lost_iterations": lost,
        "path": found.path,
    }


def _coverage(
    story: Story,
    unreadable: Sequence[Unreadable],
    skipped: dict[str, int],
    baseline: Baseline | None,
    notes: Sequence[str],
) -> dict[str, Any]:
    job, top = story.job, story.top
    layouts = {name for raw in job.raws for name in raw.header.layouts}
    layouts |= {f.layout for f in top.facts if f.layout}
    told = [*notes, *story.verdict.notes] if story.outcome not in ("finished", "running") else list(notes)
    told += [f"skipped {n} ({reason})" for reason, n in sorted(skipped.items())]
    full = [
        s
        for s, n in enumerate(np.bincount(job.rows.shape, minlength=len(job.shapes)))
        if n >= ROWS_OF_SUSPECT
    ]
    if full:
        told.append(
            f"shapes with more than {ROWS_OF_SUSPECT} lines: {len(full)}; their later lines are left out"
        )
    if untold := job.told_of_texts():
        told.append(untold)
    if collapse := job.told_of_collapse():
        told.append(f"vocabulary: {collapse}")
    if job.streams and not any(s.timed for s in job.streams):
        told.append("no line has a time: order is known within each file only")
    sources = sorted(set(top.source.values()))
    if sources:
        told.append("rank to node by: " + ", ".join(sources))
    kind = (
        "given" if baseline is not None else "self" if story.progress.n_seen > SURVIVED_ITERATIONS else "none"
    )
    return {
        "layout": " + ".join(sorted(layouts)) or "plain",
        "baseline": kind,
        "ranks_expected": top.expected,
        "ranks_seen": len(top.ranks),
        "unreadable": [{"file": u.file, "reason": u.reason} for u in unreadable],
        "notes": told,
    }


def _failure_rows(story: Story) -> FailureRows:
    job, events = story.job, story.verdict.events
    rows = np.concatenate([np.zeros(0, np.int64), *(event.rows for event in events)])
    event = np.repeat(np.arange(len(events), dtype=np.int32), [len(e.rows) for e in events])
    stream, line = job.rows.stream[rows], job.rows.line[rows]
    for k, info in enumerate(job.streams):
        if info.newest_first:
            line = np.where(stream == k, info.line_in_file(line), line)
    order = np.lexsort((line, stream))  # stable: events of one line stay in their order
    return FailureRows(
        files=tuple(info.name for info in job.streams),
        events=tuple(
            {
                "role": e.role,
                "event_id": e.id,
                "template_id": e.template.id,
                "signature": e.signature.id if e.signature else None,
            }
            for e in events
        ),
        file=stream[order].astype(np.int32),
        line=line[order],
        offset=job.rows.offset[rows][order],
        event=event[order],
    )


def _told_times(job: Job) -> np.ndarray:
    """Return the time of each row, int64[n]: its own, or that of the last timed line above it.

    The latter only where the row is sure to be little later: the next line with a time, or the last one of
    the job, tells by when it was written. `NONE` elsewhere.
    """
    rows = job.rows
    ended = max((stream.last_time for stream in job.streams), default=NONE)
    latest = not_later_than(job)
    latest = np.where(latest == NONE, ended, latest)
    return np.where(rows.own_time | (latest - rows.time <= NEAR_US), rows.time, NONE)


class _Quotes:
    """Lines as evidence: file, line, offset and text."""

    def __init__(self, job: Job, top: Topology, line_at: LineAt | None) -> None:
        self.job, self.top, self._line_at = job, top, line_at
        self._time = _told_times(job)

    def evidence(self, row: int) -> dict[str, Any]:
        rows = self.job.rows
        stream, line = int(rows.stream[row]), int(rows.line[row])
        text = self.job.line_text(stream, line)
        if text is None and self._line_at is not None:
            read = self._line_at(stream, int(rows.offset[row]))
            text = None if read is None else read.decode("utf-8", "replace")
        return {
            "file": self.job.streams[stream].name,
            "line": self.job.streams[stream].line_in_file(line),
            "offset": int(rows.offset[row]),
            "text": quoted(text if text is not None else self.job.shapes[int(rows.shape[row])].text),
        }

    def reference(self, row: int) -> dict[str, Any]:
        rows, top = self.job.rows, self.top
        speaker = int(rows.speaker[row])
        found = self.evidence(row)
        text = found.pop("text")
        zoned = self.job.streams[int(rows.stream[row])].zoned
        return {
            **found,
            "time": iso_time(int(self._time[row]), zoned),
            "rank": top.rank[speaker],
            "node": top.home(speaker),
            "text": text,
        }

    def event(self, story: Story, event: Event) -> dict[str, Any]:
        about = story.verdict.about or Subjects(self.job, self.top, story.evidence)
        ranks, nodes = about.ranks([event]), about.nodes([event])
        times = self.job.rows.time[event.rows]
        order = np.lexsort((self.job.rows.line[event.rows], self.job.rows.stream[event.rows], times))
        why = [*event.why]
        if event.signature is not None:
            why.append(f"matches {event.signature.id}")
        if not why:
            why.append("its words speak of a failure, and no healthy part of the job says it")
        return {
            "event_id": event.id,
            "template_id": event.template.id,
            "template": event.template.text,
            "values": dict(event.values),
            "role": event.role,
            "category": event.category,
            "signature": event.signature.id if event.signature else None,
            "count": len(event.rows),
            "ranks": sorted(ranks)[:MOST_NAMES],
            "n_ranks": len(ranks),
            "nodes": sorted(nodes)[:MOST_NAMES],
            "n_nodes": len(nodes),
            "score": event.score,
            "first": self.reference(int(event.rows[order[0]])),
            "last": self.reference(int(event.rows[order[-1]])),
            "why": why,
            "explained_by": event.explained_by,
        }
