"""Whether a line tells of a failure: by its words, its level, what it counts, and what stands above it."""

from __future__ import annotations

import numpy as np

from l4fast.events import Event
from l4fast.job import Job
from l4fast.rawshapes import LEVELS, RawShape
from l4fast.regexes import regex
from l4fast.signature import DECIDING, Signature
from l4fast.words import EXCEPTION, HARMLESS, STRONG, groups_of

# A count or a code in a line decides for that line alone, not for all lines of its shape.
NUMBERED = regex(
    r"(?i)(?<![\w.])(?:(?P<n>\d+(?:\.\d+)?)"
    r" (?:errors?|failures?|failed|exceptions|warnings?|timeouts|retries)"
    r"|(?:errors?|failures?|failed|exceptions|timeouts|num_errors|error_count|nan_count|num_nans?)"
    r"(?:_count|_total)?['\"]?[:= ]+['\"]?(?P<m>\d+(?:\.\d+)?)"
    r"|(?:error code:|exit(?:ed)?|exit code|status) (?P<code>\d+))\b"
)
# What Python itself writes of an exception that nobody caught, before the exception or instead of it.
_UNCAUGHT = regex(r"^\s*(?:Error in sys\.excepthook|Original exception was):")
_HEAD = regex(r"^\s*Traceback \(most recent call")
_REMARKS = (LEVELS.index("debug"), LEVELS.index("info"))
# Frames of a stack, source lines under them and other continuation lines are indented.
_INDENTED = 2


def is_exception(job: Job, event: Event) -> bool:
    """Whether an event's first line is what an exception ends with, or tells of one that nobody caught."""
    text = job.content(int(event.rows[0]))
    return EXCEPTION.search(text) is not None or _UNCAUGHT.search(text) is not None


def breaks_off(job: Job, event: Event) -> bool:
    """Whether an event is a traceback of which only the head and some frames are known."""
    return event.signature is None and _HEAD.search(job.content(int(event.rows[0]))) is not None


def tells_plainly(job: Job, event: Event) -> bool:
    """Whether an event that no signature knows tells of a failure by its level or in plain words."""
    row = int(event.rows[0])
    level = job.level(row)
    if level in ("error", "critical") or is_exception(job, event):
        return True
    if level in ("info", "debug"):
        return False
    return event.tells is not None or STRONG.search(job.content(row)) is not None


def speaks_of_failure(job: Job, raw_idx: int, has_baseline: bool) -> bool:
    raw = job.raws[raw_idx]
    text = raw.text
    level = raw.header.level
    if raw.indent >= _INDENTED:
        return False
    if HARMLESS.search(text):
        return level in ("error", "critical") and has_baseline
    if level in ("error", "critical"):
        return True
    if level in ("debug", "info"):
        return False
    return STRONG.search(text) is not None and (has_baseline or level is None or level == "warning")


def is_remark(job: Job, rows: np.ndarray) -> np.ndarray:
    """Return which ``rows`` of one raw shape are no more than information by a letter that the shape hides.

    glog writes its level into the time: lines of all levels have one shape.
    """
    found: np.ndarray = np.isin(job.rows.level[rows], _REMARKS)
    return found


def is_heard(signature: Signature) -> bool:
    """Whether a signature tells of a failure, and of more than that something waited or ended."""
    return signature.kind in ("error", "echo") or (signature.kind is not None and signature.weight > -10)


def is_said(raw: RawShape) -> bool:
    """Whether a line is no quotation: source code under a frame is indented; so are ends in a table."""
    told = raw.text.lstrip().startswith("what():") or groups_of(raw.text).keys() & set(DECIDING)
    return raw.indent < _INDENTED or bool(told)


def counts_none(text: str) -> bool:
    """Whether all that a line counts is nothing: `0 errors`, `exit code 0`."""
    found = [float(number) for match in NUMBERED.finditer(text) for number in match.groups() if number]
    return bool(found) and not any(found)


def is_ignored(job: Job, row: int, heads: set[int]) -> bool:
    """Whether Python itself says above an exception that it is ignored."""
    rows = job.rows
    for above in range(row - 1, max(row - 40, -1), -1):
        if rows.stream[above] != rows.stream[row]:
            return False
        if rows.speaker[above] != rows.speaker[row]:
            continue
        raw = int(rows.raw[above])
        if raw in heads:
            return True
        text = job.raws[raw].content
        if not text[:1].isspace() and not text.startswith("Traceback"):
            return False
    return False


_RETRY = regex(
    r"(?i)\b(?:retry(?:ing)?|will retry|re-?try|attempt)\b[^/]{0,40}?\b\d+ ?(?:/|of) ?\d+"
    r"|\bretrying\b|\bwill retry\b"
)


def is_retry(text: str, level: str | None, signature: Signature) -> bool:
    """A failed try that is going to be repeated is no failure yet."""
    if level in ("error", "critical") or signature.tells not in ("timeout", "lost-peer"):
        return False
    return _RETRY.search(text) is not None
