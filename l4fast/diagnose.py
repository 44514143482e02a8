"""Job -> Diagnosis: how the steps join; the whole story on one page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from l4fast import checkpoints, culprit, events, temporal, topology
from l4fast import marks as marking
from l4fast.checkpoints import Checkpoints
from l4fast.crossjob import Baseline
from l4fast.culprit import Verdict
from l4fast.diagnosis import MOST_NAMES, Diagnosis, iso_time, quoted
from l4fast.events import Event, Evidence
from l4fast.fold import ROWS_OF_SUSPECT
from l4fast.job import NONE, Job
from l4fast.library import Library
from l4fast.marks import Mark
from l4fast.paths import PathFacts, path_facts
from l4fast.source import Unreadable
from l4fast.stages import stage_of_failure
from l4fast.subjects import Subjects, tells
from l4fast.templates import Template, derive
from l4fast.temporal import Progress
from l4fast.topology import Topology

# Signatures of what is there on one host and not on another.
_MISSING = ("py-import", "py-module-not-found", "py-shared-object", "py-file-not-found", "os-errno")


_ATTEMPT = re.compile(r"(?:attempt|cycle|restart)[-_]?\d+")


@dataclass(frozen=True)
class Story:
    """All answers about the last attempt of a job."""

    job: Job
    top: Topology
    templates: dict[str, Template]
    progress: Progress
    marks: list[Mark]
    checkpoint: Checkpoints
    evidence: Evidence
    verdict: Verdict
    outcome: str
    attempt_start: int
    attempts: list[dict[str, Any]]

    @property
    def cause_is_storage(self) -> bool:
        return bool(self.verdict.roots) and self.verdict.roots[0].category == "storage"


def tell(job: Job, library: Library, baseline: Baseline | None) -> Story:
    """Ask each step its one question."""
    facts = path_facts([s.name for s in job.streams])
    texts = [s.text for s in job.shapes]
    templates = dict(derive([*texts, *(baseline.shapes if baseline else ())]))
    every_mark = marking.marks(job)
    start, streams, in_attempt = _last_attempt(job, facts, every_mark)
    top = topology.resolve(job, facts, in_attempt)
    marks = [m for m in every_mark if in_attempt[m.row]]
    progress = temporal.follow(job, library.signatures, since=start, streams=streams)
    checkpoint = checkpoints.trace(job, marks, progress)
    evidence = events.find(job, library, templates, progress, baseline, rows_in=in_attempt)
    outcome, evidence = _outcome(job, top, marks, progress, evidence)
    verdict = culprit.judge(job, top, evidence, progress, hung=outcome == "hung")
    if verdict.kind == "stall":
        outcome = "hung"
    attempts = _attempts(job, library, top, every_mark, start, outcome, progress, verdict)
    return Story(
        job, top, templates, progress, marks, checkpoint, evidence, verdict, outcome, start, attempts
    )


def _last_attempt(
    job: Job, facts: Sequence[PathFacts], marks: Sequence[Mark]
) -> tuple[int, frozenset[int] | None, np.ndarray]:
    """Return when the last attempt began, its streams (None: all), and its rows (bool)."""
    rows = job.rows
    known = {i: f.attempt for i, f in enumerate(facts) if f.attempt is not None}
    inside = np.ones(len(rows), bool)
    streams: frozenset[int] | None = None
    # Each agent counts its own attempts: an agent that joined late has fewer.
    folder = {i: _ATTEMPT.split(job.streams[i].name, maxsplit=1)[0] for i in known}
    newest: dict[str, int] = {}
    for i, attempt in known.items():
        newest[folder[i]] = max(attempt, newest.get(folder[i], -1))
    old = [i for i, attempt in known.items() if attempt < newest[folder[i]]]
    if old:
        streams = frozenset(i for i in range(len(job.streams)) if i not in set(old))
        inside &= ~np.isin(rows.stream, old)
    begins = [m for m in marks if m.kind == "attempt" and inside[m.row]]
    begins = [m for m in begins if _goes_on(job, m)]
    if not begins:
        return NONE, streams, inside
    last = max(begins, key=lambda m: (m.time, m.stream, m.line))
    if last.time != NONE:
        inside &= (rows.time >= last.time) | (rows.time == NONE)
    same = rows.stream == last.stream
    inside[same] &= rows.line[same] >= last.line
    return last.time, streams, inside


def _goes_on(job: Job, mark: Mark) -> bool:
    """An announced restart is an attempt only if something follows it."""
    info = job.streams[mark.stream]
    return info.lines - mark.line > 3 or (mark.time != NONE and job.last_time > mark.time + 1_000_000)


def _outcome(
    job: Job, top: Topology, marks: Sequence[Mark], progress: Progress, evidence: Evidence
) -> tuple[str, Evidence]:
    """Tell what became of the job; in a job that finished nothing is failure-indicating."""
    nothing = Evidence([], evidence.groups, evidence.survived, evidence.known)
    finishes = [m for m in marks if m.kind == "finish"]
    fatal = [e for e in evidence.events if e.grave]
    complete = (
        progress.total is not None
        and (progress.last_completed or 0) >= progress.total
        and progress.went_back == 0
    )
    if finishes and (not fatal or all(_before(job, e, finishes[-1]) for e in fatal)):
        return "finished", nothing
    if (finishes or complete) and all(_is_farewell(job, e) for e in fatal):
        began = finishes[0] if finishes else None
        if complete or (began is not None and all(_after(job, e, began) for e in fatal)):
            return "finished", nothing
    if fatal:
        return "failed", evidence
    if _stalled(job, progress):
        return "hung", evidence
    if temporal.slowdown(job, progress) is not None:
        return "slow", nothing
    if progress.series is None and not marks and not evidence.events:
        return "unknown", nothing
    return "running", nothing


def _is_farewell(job: Job, event: Event) -> bool:
    """Whether an event may belong to processes that end after their work is done."""
    if events.is_exception(job, event) and tells(event) not in ("lost-peer", "timeout", "abort"):
        return False
    if tells(event) == "death":
        return dict(event.values).get("exit_code") not in ("1", "2")
    return tells(event) not in ("hang", "stop") and event.category != "numeric"


def _after(job: Job, event: Event, mark: Mark) -> bool:
    """Whether all lines of an event came after a mark: by line in its file, else by time."""
    rows = job.rows
    mine = event.rows
    same = rows.stream[mine] == mark.stream
    if (rows.line[mine][same] < mark.line).any():
        return False
    other = rows.time[mine][~same]
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


def _stalled(job: Job, progress: Progress) -> bool:
    if not progress.timed or progress.median_s is None or progress.last_time == NONE or job.last_time == NONE:
        return False
    silence = job.last_time - progress.last_time
    limit = max(temporal.STALL_FACTOR * progress.median_s * 1e6 * 10, temporal.MIN_STALL_US)
    return silence > limit


def _attempts(
    job: Job,
    library: Library,
    top: Topology,
    marks: Sequence[Mark],
    start: int,
    outcome: str,
    progress: Progress,
    verdict: Verdict,
) -> list[dict[str, Any]]:
    zoned = any(s.zoned for s in job.streams)
    numbers = sorted({f.attempt for f in top.facts if f.attempt is not None})
    begins = [m.time for m in marks if m.kind == "attempt" and m.time != NONE and _goes_on(job, m)]
    borders = sorted({b for b in begins if start == NONE or b <= start})
    title = verdict.roots[0].title if verdict.roots else None
    found: list[dict[str, Any]] = []
    if len(numbers) > 1:
        for number in numbers[:-1]:
            mine = [job.streams[i] for i, f in enumerate(top.facts) if f.attempt == number]
            low = min((s.first_time for s in mine if s.first_time != NONE), default=NONE)
            high = max((s.last_time for s in mine), default=NONE)
            streams = frozenset(i for i, f in enumerate(top.facts) if f.attempt == number)
            reached = temporal.follow(job, library.signatures, streams=streams).last_completed
            found.append(_attempt(number, "failed", low, high, None, reached, zoned))
    elif borders:
        begin = job.first_time
        for k, border in enumerate(borders):
            found.append(
                _attempt(k, "failed", begin, border, None, _reached(job, begin, border, progress), zoned)
            )
            begin = border
    number = (numbers[-1] if numbers else 0) if len(numbers) > 1 or not borders else len(borders)
    begin = start if start != NONE else (job.first_time if not found else NONE)
    found.append(_attempt(number, outcome, begin, job.last_time, title, progress.last_completed, zoned))
    return found


def _reached(job: Job, begin: int, end: int, progress: Progress) -> int | None:
    it = job.iterations
    mine = (it.series == progress.series) if progress.series is not None else np.zeros(len(it.series), bool)
    mine &= (it.first_time >= begin) & (it.first_time < end) & (it.first_time != NONE)
    return int(it.iteration[mine].max()) // progress.unit + progress.offset if mine.any() else None


def _attempt(
    number: int, outcome: str, first: int, last: int, cause: str | None, reached: int | None, zoned: bool
) -> dict[str, Any]:
    return {
        "attempt": number,
        "outcome": outcome,
        "first_time": iso_time(first, zoned),
        "last_time": iso_time(last, zoned),
        "cause": cause,
        "last_iteration": reached,
    }


def diagnosis(
    story: Story,
    *,
    paths: Sequence[str],
    unreadable: Sequence[Unreadable],
    skipped: dict[str, int],
    baseline: Baseline | None,
    notes: Sequence[str],
    timing: dict[str, Any],
) -> Diagnosis:
    """Write the story down as the contract wants it."""
    job, verdict, progress, top = story.job, story.verdict, story.progress, story.top
    zoned = any(s.zoned for s in job.streams)
    stage = stage_of_failure(
        story.job, story.verdict, story.progress, story.checkpoint, story.marks, story.outcome
    )
    cut = marking.segments(job, list(story.marks), progress)
    cause = _cause(story)
    action = _action(story, cause)
    failed = story.outcome not in ("finished", "running")
    rows_of_events = _failure_rows(story) if failed else []
    quotes = _Quotes(job, top)
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
            for node, score, reasons, rows in verdict.nodes[:MOST_NAMES]
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
        failure_rows=rows_of_events,
    )


def _cause(story: Story) -> dict[str, Any]:
    if story.outcome in ("finished", "running"):
        return {
            "category": "unknown",
            "signature": None,
            "title": "No failure",
            "advice": "",
            "confidence": 1.0,
        }
    verdict = story.verdict
    if story.outcome == "slow":
        slow = temporal.slowdown(story.job, story.progress)
        title = (
            f"Iterations take {slow.factor:.1f} times as long since iteration {slow.iteration}"
            if slow
            else "Slow"
        )
        advice = "Compare the ranks' step times; look for a throttled device, a slow link or file system."
        return {"category": "unknown", "signature": None, "title": title, "advice": advice, "confidence": 0.6}
    if not verdict.roots:
        title = "The job stopped making progress without a word" if story.outcome == "hung" else "Unknown"
        return {"category": "unknown", "signature": None, "title": title, "advice": "", "confidence": 0.2}
    top = verdict.roots[0]
    category = top.category or "unknown"
    title, advice = top.title, top.advice
    if verdict.kind == "stall":
        category, title = "unknown", "The job stood still before it was told to stop"
        advice = "Nothing in the logs tells why: look at the processes' stacks next time before ending it."
    elif verdict.kind == "hang":
        category, title = "hardware.host", "A process hung and the others waited for it"
        advice = advice or "Look at the silent process and its host: a stuck device, driver or file system."
    elif verdict.kind == "peer" and _all_silent(story):
        category, title = "hardware.host", "A node went silent; the others lost their connection to it"
        advice = "Look at the host itself: power, kernel, network card."
    elif verdict.kind == "stop" and category not in ("preemption", "platform"):
        category = "preemption"
    elif verdict.kind == "victims" and category in ("unknown", "platform"):
        category = "network" if tells(top) in ("timeout", "lost-peer") else category
    elif verdict.kind == "error" and category in ("user.config", "user.code") and _is_environment(story):
        category = "platform"
    confidence = {"error": 0.85, "numeric": 0.85, "hang": 0.7, "stop": 0.75, "victims": 0.4, "peer": 0.7}.get(
        verdict.kind, 0.3
    )
    if top.weight <= -10:
        confidence -= 0.2
    return {
        "category": category,
        "signature": top.signature.id if top.signature else None,
        "title": title,
        "advice": advice,
        "confidence": round(confidence, 2),
    }


def _is_environment(story: Story) -> bool:
    """Whether what the program could not do before training fails on few nodes alone.

    The same code runs everywhere, so what fails on one node only is that node's environment;
    one rank alone may do what the others do not, unless a file or module is missing there.
    """
    verdict = story.verdict
    if story.progress.last_completed is not None or verdict.everybody or not verdict.nodes:
        return False
    if len(story.top.nodes) < 2 or len(verdict.nodes) * 3 > len(story.top.nodes) + 1:
        return False
    missing = any(e.signature is not None and e.signature.id in _MISSING for e in verdict.roots)
    return missing or len(verdict.ranks) > 1


def _all_silent(story: Story) -> bool:
    """Whether no rank of the blamed node said anything of the failure."""
    if not story.verdict.nodes:
        return False
    mine = set(story.top.ranks_of(story.verdict.nodes[0][0]))
    rows = story.job.rows
    for event in story.verdict.events:
        for row in event.rows.tolist():
            if story.top.rank[int(rows.speaker[row])] in mine:
                return False
    return bool(mine)


def _action(story: Story, cause: dict[str, Any]) -> dict[str, Any]:
    resume = story.checkpoint.last_durable
    if story.outcome in ("finished", "running"):
        reason = "the job finished" if story.outcome == "finished" else "no failure in the logs"
        return {"verdict": "none", "exclude_nodes": [], "resume_from": None, "reason": reason}
    category = cause["category"]
    verdict = story.verdict
    nodes = [n for n, _, _, _ in verdict.nodes]
    explicit = verdict.roots[0].action if verdict.roots else None
    few = 0 < len(nodes) <= max(1, len(story.top.nodes) // 3)
    if category == "preemption":
        decided = "restart"
    elif explicit == "stop" or (category in ("user.code", "user.config") and explicit is None):
        decided = "stop"
    elif explicit == "resume_older_checkpoint" or category == "numeric":
        decided = "resume_older_checkpoint"
    elif category == "data" or (verdict.everybody and _is_certain(story, category)):
        decided = "stop"
    elif (
        few and (explicit == "restart_excluding" or category.startswith("hardware") or verdict.kind == "hang")
    ) or (few and category in ("storage", "network", "platform") and _is_local(story)):
        decided = "restart_excluding"
    elif not verdict.roots and (story.outcome != "hung" or not nodes):
        decided = "restart" if story.outcome == "hung" else "unknown"
    else:
        decided = "restart"
    exclude = nodes[:MOST_NAMES] if decided == "restart_excluding" else []
    return {
        "verdict": decided,
        "exclude_nodes": exclude,
        "resume_from": resume
        if decided in ("restart", "restart_excluding", "resume_older_checkpoint")
        else None,
        "reason": cause["title"] + (f" on {', '.join(exclude[:4])}" if exclude else ""),
    }


def _is_certain(story: Story, category: str) -> bool:
    """Whether a fault that is everybody's, before the first iteration, will come again."""
    again = ("user.code", "user.config", "resource", "platform", "framework", "data")
    return story.progress.last_completed is None and category in again


def _is_local(story: Story) -> bool:
    """Whether the root is told on one node only, by lines that a bad node would write."""
    if story.cause_is_storage and [rank for rank, _, _, _ in story.verdict.ranks] == [0]:
        return False  # rank 0 saves for all: what it cannot write may be everybody's file system
    return len(story.verdict.nodes) == 1 and story.verdict.kind in ("error", "peer")


def _first_abnormal(story: Story, stage: str) -> int | None:
    if story.outcome in ("finished", "running"):
        return None
    progress = story.progress
    if story.outcome == "slow":
        slow = temporal.slowdown(story.job, progress)
        return slow.iteration if slow else None
    if story.verdict.kind == "numeric":
        row = int(story.verdict.roots[0].rows[0])
        number = _iteration_in(story.job, row, progress)
        if number is not None:
            return number
    if progress.last_completed is None or stage not in ("iterate", "load", "evaluate", "checkpoint"):
        return None
    return progress.last_completed + 1 if stage != "checkpoint" else progress.last_completed


def _iteration_in(job: Job, row: int, progress: Progress) -> int | None:
    """The iteration that a line itself names."""
    for signature in job.notes[int(job.rows.raw[row])].markers:
        if signature.marker == "progress" and "iteration" in signature.regex.groupindex:
            number = signature.read(job.content(row)).get("iteration", "").replace(",", "")
            if number.isdigit():
                return int(number) // progress.unit + progress.offset
    return None


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
            f"{len(full)} shapes have more than {ROWS_OF_SUSPECT} lines; later ones are counted, not listed"
        )
    if job.streams and not any(s.timed for s in job.streams):
        told.append("no line has a time: order is known within each file only")
    sources = sorted(set(top.source.values()))
    if sources:
        told.append("rank to node by: " + ", ".join(sources))
    kind = (
        "given"
        if baseline is not None
        else "self"
        if story.progress.n_seen > events.SURVIVED_ITERATIONS
        else "none"
    )
    return {
        "layout": " + ".join(sorted(layouts)) or "plain",
        "baseline": kind,
        "ranks_expected": top.expected,
        "ranks_seen": len(top.ranks),
        "unreadable": [{"file": u.file, "reason": u.reason} for u in unreadable],
        "notes": told,
    }


def _failure_rows(story: Story) -> list[dict[str, Any]]:
    job = story.job
    found = []
    for event in story.verdict.events:
        for row in event.rows.tolist():
            found.append(
                (
                    int(job.rows.stream[row]),
                    int(job.rows.line[row]),
                    {
                        "file": job.streams[int(job.rows.stream[row])].name,
                        "line": int(job.rows.line[row]),
                        "offset": int(job.rows.offset[row]),
                        "role": event.role,
                        "event_id": event.id,
                        "template_id": event.template.id,
                        "signature": event.signature.id if event.signature else None,
                    },
                )
            )
    return [line for _, _, line in sorted(found, key=lambda item: item[:2])]


class _Quotes:
    """Lines as evidence: file, line, offset and text."""

    def __init__(self, job: Job, top: Topology) -> None:
        self.job, self.top = job, top

    def evidence(self, row: int) -> dict[str, Any]:
        rows = self.job.rows
        stream, line = int(rows.stream[row]), int(rows.line[row])
        text = self.job.line_text(stream, line)
        return {
            "file": self.job.streams[stream].name,
            "line": line,
            "offset": int(rows.offset[row]),
            "text": quoted(text if text is not None else self.job.raws[int(rows.raw[row])].text),
        }

    def reference(self, row: int) -> dict[str, Any]:
        rows, top = self.job.rows, self.top
        speaker = int(rows.speaker[row])
        found = self.evidence(row)
        text = found.pop("text")
        zoned = self.job.streams[int(rows.stream[row])].zoned
        rank = top.rank[speaker]
        return {
            **found,
            "time": iso_time(int(rows.time[row]), zoned),
            "rank": rank,
            "node": top.node[speaker] or (top.node_of_rank.get(rank) if rank is not None else None),
            "text": text,
        }

    def event(self, story: Story, event: Event) -> dict[str, Any]:
        ranks: set[int] = set()
        nodes: set[str] = set()
        about = story.verdict.about or Subjects(self.job, self.top, story.evidence)
        for row in event.rows.tolist():
            who = about.row(event, row)
            ranks.update(who.ranks)
            nodes.update(who.nodes)
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
        }
