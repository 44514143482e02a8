"""Which rank had the first value that is no number.

All ranks share their sums, so all report it soon: only the first lines, and how many of their
fields are bad, can tell the ranks apart.
"""

from __future__ import annotations

import re

import numpy as np

from l4fast import temporal
from l4fast.checkpoints import first_bad
from l4fast.events import Event, split
from l4fast.job import NONE, Job
from l4fast.regexes import regex
from l4fast.subjects import Subjects
from l4fast.temporal import Progress
from l4fast.verdict import FEW, Verdict, blame

OUTLIVED = 100  # iterations with a value that is no number: it is not what ended the job
_LOSS = regex(r"(?i)\bloss\b['\"]?\s*[:=|]?\s*[-+]?\d")
_BAD_LOSS = regex(r"(?i)\bloss\b['\"]?\s*[:=|]?\s*[-+]?(?:nan|inf)")


def blame_numeric(job: Job, nan: list[Event], verdict: Verdict, about: Subjects, progress: Progress) -> None:
    """The first line with a value that is no number; its rank if it alone says more than the rest."""
    verdict.kind = "numeric"
    nan = _not_before_known(job, nan, progress)
    rows = np.sort(np.concatenate([e.rows for e in nan]))
    first_time = job.rows.time[rows].min()
    head = rows[: max(2 * about.n_ranks, 8)]
    if first_time != NONE and len(rows) > 1:
        spread = np.diff(np.unique(job.rows.time[rows]))
        window = float(np.median(spread)) * about.n_ranks if spread.size else 0.0
        head = rows[job.rows.time[rows] <= first_time + max(window, 1000.0)][: 2 * about.n_ranks]
    head, others = _first_iteration(job, rows, head, progress, about)
    worst = _bad_fields(job, head)
    first_of_rank: dict[int, int] = {}
    event_of = {row: e for e in nan for row in e.rows.tolist()}
    for row in head.tolist():
        ranks = about.row(event_of[row], row).ranks
        if len(ranks) == 1:
            first_of_rank.setdefault(ranks[0], row)
    firsts = list(first_of_rank.values())
    peak = max((worst[row] for row in firsts), default=0)
    guilty = [row for row in firsts if worst[row] == peak]
    alone = 0 < len(guilty) <= max(1, int(FEW * len(firsts))) and len(firsts) > 1
    if not alone and 0 < len(firsts) <= max(1, int(FEW * about.n_ranks)):
        # An error that a rank raises is its own; a progress line may be the only one printed.
        alone = others or not any(_is_progress(job, row) for row in firsts)
        alone = alone or all(event_of[row].names_culprit for row in firsts)
        guilty = firsts if alone else guilty
    root_rows = guilty if alone else firsts or [int(rows[0])]
    chosen = set(root_rows)
    for event in list(nan):
        mine = [row for row in event.rows.tolist() if row in chosen]
        if not mine:
            event.role = "consequence"
            continue
        if len(mine) < len(event.rows):
            rest = np.setdiff1d(event.rows, mine)
            verdict.events.append(split(event, rest, "the value stays no number"))
        event.why.append("the first value that is no number")
        verdict.roots.append(event)
    if alone:
        blame(
            verdict,
            about,
            verdict.roots,
            "alone had more values that are no numbers, in the first bad iteration",
        )
    else:
        verdict.notes.append("cannot tell which rank had the first bad value: all report it alike")


def _not_before_known(job: Job, nan: list[Event], progress: Progress) -> list[Event]:
    """Return the events without those that only noticed what progress lines had shown iterations before.

    Who raises an error for a loss that all share, and showed since iteration 412, began nothing at 460.
    """
    last = progress.last_completed if progress.last_completed is not None else -1
    number = {e.id: first_bad(job, int(e.rows[0]), progress) for e in nan}
    shown = [e for e in nan if number[e.id] is not None and _is_progress(job, int(e.rows[0]))]
    if not shown:
        return nan
    first = min(number[e.id] or 0 for e in shown)
    late = [e for e in nan if e not in shown and (number[e.id] or last + 1) > first]
    for event in late:
        event.role = "consequence"
        event.why.append(f"iteration {first} had shown it before")
    return [e for e in nan if e not in late]


def outlived(job: Job, nan: list[Event], progress: Progress) -> bool:
    """Whether the job went on for long with values that are no numbers, or only its gradients had them.

    An overflow of the gradients alone is skipped, and the scale of the loss is lowered: what ends a job
    later is an error of its own. Who says that a value stops the job leaves no such choice.
    """
    if any(not _is_progress(job, row) for e in nan for row in e.rows[:1].tolist()):
        return False
    rows = np.sort(np.concatenate([e.rows for e in nan]))
    told = [job.content(row) for row in rows.tolist() if job.rows.text_size[row] >= 0]
    if told and all(_LOSS.search(text) and not _BAD_LOSS.search(text) for text in told):
        return True
    numbers = [temporal.iteration_in(job, row, progress) for row in rows[:8].tolist()]
    first = min((n for n in numbers if n is not None), default=None)
    last = progress.last_completed
    return first is not None and last is not None and last - first >= OUTLIVED


def _first_iteration(
    job: Job, rows: np.ndarray, head: np.ndarray, progress: Progress, about: Subjects
) -> tuple[np.ndarray, bool]:
    """Return the rows of the first bad iteration, and whether other ranks told a later one.

    What clocks say is less than the number that a line names. Where a line names none, ``head``.
    """
    early = rows[np.argsort(job.rows.time[rows], kind="stable")][: 4 * about.n_ranks].tolist()
    number = {row: temporal.iteration_in(job, row, progress) for row in early}
    known = [n for n in number.values() if n is not None]
    if not known or len(known) < len(early):
        return head, False
    first = min(known)
    mine = [row for row in early if number[row] == first]
    speakers = job.rows.speaker
    told = {int(speakers[row]) for row in mine}
    later = {int(speakers[row]) for row in early if number[row] == first + 1} - told
    return np.array(sorted(mine), np.int64), len(later) * FEW >= len(told)


def _is_progress(job: Job, row: int) -> bool:
    markers = job.notes[int(job.rows.raw[row])].markers
    return any(s.marker == "progress" and s.weight > -3 for s in markers)


def _bad_fields(job: Job, rows: np.ndarray) -> dict[int, int]:
    bad = re.compile(r"(?i)(?<![A-Za-z])(?:nan|[+-]?inf(?:inity)?)(?![A-Za-z])")
    return {row: len(bad.findall(job.content(row))) for row in rows.tolist()}
