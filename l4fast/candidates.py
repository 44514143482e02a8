"""Which lines indicate the failure: rows -> events.

An event is a template with its deciding values (exit code, signal, errno, Xid, status). A line
is a candidate if the failure library names it, or if its words or its level speak of a failure;
it stays one unless healthy jobs say it too (with the same values), the job survived it: three
more iterations were done after it, or it is said through all of the training. In the study of L4
45 % of the wanted lines are not at error level and 42 % are not rare, so neither decides alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from l4fast.canonical import shape_id
from l4fast.caught import caught_again
from l4fast.crossjob import Baseline
from l4fast.events import Event, Evidence
from l4fast.job import Job
from l4fast.library import Library
from l4fast.novelty import new_shapes, strange_shapes, went_on
from l4fast.readings import Groups, Reading, Values
from l4fast.regexes import regex
from l4fast.retries import in_vain
from l4fast.signature import DECIDING, Signature
from l4fast.stacks import settle_waits
from l4fast.survived import before_it_trained, passed, shortly_before, what_it_survived
from l4fast.telling import (
    NUMBERED,
    counts_none,
    is_exception,
    is_heard,
    is_ignored,
    is_remark,
    is_retry,
    is_said,
    speaks_of_failure,
    tells_plainly,
)
from l4fast.templates import Template
from l4fast.temporal import Progress
from l4fast.unended import unended_tracebacks
from l4fast.usual import usual_shapes
from l4fast.words import EXCEPTION, NAMED, kind_of, tells_of_failure

LAST_LINES = 50  # of a file: what stands there is told at its end
# Who puts an error of the operating system into a warning has caught it.
_ERRNO = regex(r"\[Errno -?\d+\]")
# Python says itself that the program goes on after the exception below; dashes may be read as a separator.
IGNORED = ("Exception ignored in", "--- Logging error ---", "Logging error ---")
FAILURE_ROLES = ("root", "consequence", "teardown")


def find(
    job: Job,
    library: Library,
    templates: Mapping[str, Template],
    progress: Progress,
    baseline: Baseline | None,
    *,
    rows_in: np.ndarray,
    unknown: bool = False,
) -> Evidence:
    """Return the candidate events among ``rows_in`` (bool per row: the attempt's).

    ``unknown`` says that no known event tells of a failure: what was never said before the rhythm
    broke, in whatever words, is a candidate then, and may be the root.
    """
    rows = job.rows
    nothing = np.zeros(len(job.shapes), bool)
    fresh, certain = new_shapes(job, progress, baseline) if unknown else (nothing, nothing)
    heard = any(is_heard(s) for note in job.notes for s in note.failures[:1])
    strange = strange_shapes(job, nothing if heard else certain)
    healthy = _healthy_templates(baseline, templates)
    caught, likely = caught_again(job, progress, rows_in)
    survived = what_it_survived(job, progress) | caught
    begun = before_it_trained(job, progress)
    vain = in_vain(job, progress, rows_in) if unknown else np.zeros(len(rows), bool)
    tried = np.zeros(len(rows), bool)
    usual = usual_shapes(job, progress)
    buckets: dict[tuple[str, Values, str | None], list[np.ndarray]] = defaultdict(list)
    meaning: dict[tuple[str, Values, str | None], tuple[Signature | None, str]] = {}
    readings: list[Reading] = []
    n_survived = n_known = 0
    numeric: list[tuple[tuple[str, Values, str | None], np.ndarray]] = []
    announced: list[tuple[tuple[str, Values, str | None], np.ndarray]] = []
    ignored = {i for i, raw in enumerate(job.raws) if raw.content.startswith(IGNORED)}
    for raw_idx, note in enumerate(job.notes):
        mine = job.rows_of_raw(raw_idx)
        mine = mine[rows_in[mine]]
        if mine.size == 0 or not (note.suspect or strange[raw_idx]):
            continue
        raw = job.raws[raw_idx]
        signature = note.failures[0] if note.failures else None
        if signature is not None and signature.is_harmless:
            continue
        if signature is None and usual[raw.shape] and not EXCEPTION.search(raw.text):
            n_survived += mine.size
            continue
        text = job.shapes[raw.shape].text
        template = templates[text]
        is_known = template.id in healthy
        told = (
            not is_retry(raw.text, raw.header.level, signature)
            if signature is not None
            else speaks_of_failure(job, raw_idx, baseline is not None)
            or strange[raw_idx]
            or (
                fresh[raw.shape]
                and raw.header.level not in ("info", "debug")
                and tells_of_failure(raw.text)
                and is_said(raw)
            )
        )
        if not told:
            mine = mine[vain[mine]]
            tried[mine] = True
            if mine.size == 0:
                continue
        if ignored and signature is not None and EXCEPTION.search(raw.text):
            mine = mine[[not is_ignored(job, row, ignored) for row in mine.tolist()]]
        if signature is None and raw.header.level is None:
            mine = mine[~is_remark(job, mine)]
        weak = signature is None or signature.weight <= -1
        if weak and NUMBERED.search(raw.text) is not None:
            mine = mine[[not counts_none(job.content(row)) for row in mine.tolist()]]
        each: list[tuple[Values, np.ndarray]] = [((), mine)]
        if signature is None or signature.regex.groupindex:
            readings.append(Reading(job, mine, NAMED if signature is None else signature.regex))
            different, code = readings[-1].distinct(DECIDING)
            each = [(values, mine[code == k]) for k, values in enumerate(different)]
        for values, its in each:
            role = library.resolve(signature, dict(values)).role if signature is not None else "consequence"
            if role not in FAILURE_ROLES:
                continue
            if is_known and _same_values(baseline, text, values):
                n_known += its.size
                continue
            key = (template.id, values, signature.id if signature else None)
            meaning[key] = (signature, text)
            if signature is not None and signature.category == "numeric":
                numeric.append((key, its))
                continue
            over = survived[its] | (begun[its] & _hinders_the_start(signature))
            if signature is not None and signature.tells == "stop" and over.any():
                announced.append((key, its[over]))
            n_survived += int(over.sum())
            if not over.all():
                buckets[key].append(its[~over])
    ended = [rows.time[mine].max() for found in buckets.values() for mine in found]
    for key, its in announced:
        # A machine that will be taken away says so minutes before.
        buckets[key] += [mine] if (mine := its[shortly_before(rows.time[its], ended)]).size else []
    if not passed(job, survived, [its for _, its in numeric]):
        for key, its in numeric:
            buckets[key].append(its)
    events = [
        _event(library, templates[meaning[key][1]], key[1], meaning[key][0], np.concatenate(found))
        for key, found in buckets.items()
        if found
    ]
    moved = went_on(job) if unknown else np.zeros(len(rows), bool)
    settle_waits(job, events)
    for event in events:
        shape = int(rows.shape[event.rows[0]])
        is_new = bool(fresh[shape]) and (bool(certain[shape]) or _are_last_words(job, event, moved))
        if event.signature is None and is_new and event.tells in (None, "death"):
            event.role = "root"
        event.grave = _is_grave(job, event, is_new)
    if all(likely[e.rows].all() for e in events if e.grave):
        events = [e for e in events if not likely[e.rows].all()]
    _settle_remarks(job, events)
    events = _with_tries(events, vain, tried)
    if not any(event.grave for event in events):
        # A line that is only new tells nothing where nothing else does.
        events = [e for e in events if not strange[rows.raw[e.rows]].all() or tells_plainly(job, e)]
        events += _cut_short(job, library, templates, rows_in)
    events.sort(key=lambda e: (int(e.rows[0]), e.id))
    return Evidence(events, Groups(len(rows), readings), n_survived, n_known)


def _cut_short(
    job: Job, library: Library, templates: Mapping[str, Template], rows_in: np.ndarray
) -> list[Event]:
    """Return the tracebacks that break off, as events of one shape each."""
    found = unended_tracebacks(job)
    found = found[rows_in[found]]
    events = []
    for shape in np.unique(job.rows.shape[found]).tolist():
        template = templates[job.shapes[shape].text]
        event = _event(library, template, (), None, found[job.rows.shape[found] == shape])
        event.role, event.title = "root", "A traceback that breaks off before it names the exception"
        events.append(event)
    return events


def _hinders_the_start(signature: Signature | None) -> bool:
    """Whether a signature knows what a program cannot begin to train with."""
    return signature is not None and signature.stage == "init" and signature.role == "root"


def _settle_remarks(job: Job, events: list[Event]) -> None:
    """What a program tells at level info of its code, input or settings is a remark beside what ended it."""
    ends = {"stop", None}
    plain = [e for e in events if e.role == "root" and e.grave and e.tells in ends]
    remarks = [e for e in plain if _is_remark(job, e)]
    if len(remarks) < len(plain):
        for event in remarks:
            event.role, event.grave = "consequence", False


def _is_remark(job: Job, event: Event) -> bool:
    levels = {job.level(row) for row in event.rows.tolist()}
    own = event.tells is None and (event.category or "").startswith(("user", "data"))
    return own and event.by == "program" and levels <= {"info", "debug"} and not is_exception(job, event)


def _with_tries(events: list[Event], vain: np.ndarray, tried: np.ndarray) -> list[Event]:
    """Return the events: tries in vain (bool per row) show that a job failed where nothing else does.

    Those ``tried`` are told as things of no moment, and are no events beside others.
    """
    others = [e for e in events if not tried[e.rows].all()]
    if any(e.grave for e in others):
        return others
    for event in events:
        if vain[event.rows].any():
            event.grave = True
            event.role = "root" if event.signature is None and event.tells is None else event.role
    return events


def _are_last_words(job: Job, event: Event, moved: np.ndarray) -> bool:
    """Whether an event of unknown time is the end of who says it, and not just of their part in a file."""
    rows = event.rows[~moved[event.rows]]
    if rows.size == 0:
        return False
    lines = np.array([s.lines for s in job.streams], np.int64)[job.rows.stream[rows]]
    at_end = bool((job.rows.line[rows] > lines - LAST_LINES).any())
    return at_end or event.tells is not None or is_exception(job, event)


def _is_grave(job: Job, event: Event, is_new: bool) -> bool:
    """Whether an event by itself shows that the job failed: a warning of a lost peer does not."""
    signature = event.signature
    if signature is None:
        return is_new and tells_plainly(job, event)
    if event.category == "numeric":
        return signature.weight >= -10
    level = job.level(int(event.rows[0]))
    if signature.tells in ("death", "hang", "stop", "abort", "asked-to-end", "ending"):
        return True
    if level in ("error", "critical") or (level != "warning" and is_exception(job, event)):
        return True
    if level in ("warning", "info", "debug"):
        caught = _ERRNO.search(job.content(int(event.rows[0]))) is not None
        return event.role == "root" and signature.weight > -10 and not caught
    return event.role == "root" or signature.weight > -5


def _event(
    library: Library,
    template: Template,
    values: Values,
    signature: Signature | None,
    rows: np.ndarray,
) -> Event:
    event_id = shape_id(template.text + "".join(f"\x00{k}={v}" for k, v in values))
    if signature is None:
        return Event(
            event_id,
            template,
            values,
            "consequence",
            None,
            None,
            "A line that speaks of a failure",
            "",
            None,
            rows,
            kind_of(template.text),
        )
    told = library.resolve(signature, dict(values))
    return Event(
        id=event_id,
        template=template,
        values=values,
        role=told.role,
        signature=signature,
        category=told.category,
        title=told.title,
        advice=told.advice,
        action=told.action,
        rows=rows,
        tells=signature.tells,
    )


def _healthy_templates(baseline: Baseline | None, templates: Mapping[str, Template]) -> frozenset[str]:
    if baseline is None:
        return frozenset()
    return frozenset(templates[text].id for text in baseline.shapes if text in templates)


def _same_values(baseline: Baseline | None, text: str, values: Values) -> bool:
    """Whether healthy jobs say this shape with these values too (an unseen value is news)."""
    if baseline is None or not values:
        return True
    known = baseline.values.get(text, frozenset())
    return all("=".join(value) in known for value in values)
