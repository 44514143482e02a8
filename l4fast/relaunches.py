"""Launches that nothing announces: a program or its launcher says again what it says at its start.

That is a launch of its own behind the end of the one before: the scheduler ended the job, the program told
that its work was done, its launcher has gone, or the counter goes back behind it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from l4fast.job import Job
from l4fast.marks import Mark
from l4fast.reported import Reports

LATE_US = 60_000_000  # agents of one launch begin within so long
_LOADS = ("checkpoint.load", "checkpoint.loaded")


def begun_anew(job: Job, marks: Sequence[Mark], begins: Sequence[Mark], told: Reports) -> list[Mark]:
    """Return a mark for each launch that nothing announces: the first line that tells of it.

    A scheduler that ends a job may be obeyed later: only what a program says at its start, or a counter
    that goes back, shows that the job was started again.
    """
    found = []
    counted = set(np.unique(told.stream).tolist())
    ends, done, gone = (defaultdict[int, list[int]](list) for _ in range(3))
    for mark in marks:
        if mark.kind == "attempt" and mark.stage == "shutdown":
            ends[mark.stream].append(mark.line)
        if mark.kind == "finish":
            done[mark.stream].append(mark.line)
        if mark.kind == "gone":
            gone[mark.stream].append(mark.line)
    announced: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for mark in begins:
        announced[mark.stream].add(told.around(mark.stream, mark.line))
    for stream, its in _starts(job, marks).items():
        if stream not in counted | ends.keys() | gone.keys():
            continue
        ended, known = np.array(sorted(ends[stream]), np.int64), announced[stream]
        gaps: dict[tuple[int, int], list[Mark]] = defaultdict(list)
        for mark in its:
            gaps[told.around(stream, mark.line)].append(mark)
        for gap, said in gaps.items():
            before, after = gap
            above = int(told.line[before]) if before >= 0 else 0
            its_end = ended[(ended > above) & (ended < said[-1].line)]
            if gap in known:
                continue
            if its_end.size:
                first = next(m for m in said if m.line > its_end[-1])
                found.append(_first_line(job, first, int(its_end[-1])))
            elif before >= 0 and after >= 0 and _is_resumed(told, said, before, after):
                found.append(_first_line(job, said[0], above))
            elif before >= 0 and (anew := _after_its_end(said, above, done[stream])) is not None:
                found.append(_first_line(job, *anew))
            else:
                again = _launched_again(job, its, said, above, gone[stream], goes_on=after >= 0)
                found += [_first_line(job, *each) for each in again]
    return found


def _launched_again(
    job: Job, its: Sequence[Mark], said: Sequence[Mark], above: int, gone: Sequence[int], *, goes_on: bool
) -> list[tuple[Mark, int]]:
    """Return what launchers say once more between two reports of iterations, and where those before ended.

    ``its`` is all that is said at starts in a stream, ``said`` that part of it that stands behind the line
    ``above`` of a report (0: nothing was reported before); ``gone`` are the lines with which launchers end;
    ``goes_on`` whether iterations are reported later. Several agents may speak in one stream: where none has
    run yet, as many must speak after an end as before, and not at once, or some have come late. Where
    several have spoken, any complaint may be the end of them all.
    """
    found: list[tuple[Mark, int]] = []
    shape, dated = job.rows.shape, job.rows.own_time
    begun = 0
    for mark in said:
        alike = [m for m in its if m.stage == "launch" == mark.stage and shape[m.row] == shape[mark.row]]
        before = [m for m in alike if begun <= m.line < mark.line]
        end = max((line for line in gone if max(begun, above) < line < mark.line), default=-1)
        if not before:
            continue
        if before[0].line < above and begun < above:
            again = end >= 0 or not goes_on
        else:
            least = before[-1].time + LATE_US
            late = bool(dated[mark.row] and dated[before[-1].row]) and mark.time < least
            if end < 0 and len(before) > 1:
                end = max(_complaints(job, mark.stream, before[-1].line, mark.line), default=-1)
            again = end >= 0 and not late
            again &= sum(m.line > end for m in alike) >= sum(m.line < end for m in before) > 0
        if again:
            found.append((mark, max(end, above)))
            begun = mark.line
    return found


def _after_its_end(said: Sequence[Mark], above: int, done: Sequence[int]) -> tuple[Mark, int] | None:
    """Return what a launcher says first after a program told that its work was done, and where that was."""
    for mark in said:
        ended = max((line for line in done if above < line < mark.line), default=-1)
        if mark.stage == "launch" and ended >= 0:
            return mark, ended
    return None


def _starts(job: Job, marks: Sequence[Mark]) -> dict[int, list[Mark]]:
    """Return what programs say at their start, by stream and in the order of lines."""
    found: dict[int, list[Mark]] = defaultdict(list)
    for mark in marks:
        if (mark.kind == "stage" and mark.stage in ("launch", "init", "load")) or mark.kind in _LOADS:
            found[mark.stream].append(mark)
    return {stream: sorted(its, key=lambda m: m.line) for stream, its in found.items()}


def _is_resumed(told: Reports, said: Sequence[Mark], before: int, after: int) -> bool:
    """Whether the counter goes back to where a checkpoint was loaded, or a launcher speaks there.

    A counter that begins again in each epoch goes back to its lowest number, and loads nothing.
    """
    last, following = int(told.number[before]), int(told.number[after])
    if following > last:
        return False
    if any(m.stage == "launch" for m in said):
        return True
    loads = [m for m in said if m.kind in _LOADS]
    named = [m.iteration for m in loads if m.iteration is not None]
    return bool(loads) and (following > int(told.number.min()) if not named else following >= named[-1])


def _first_line(job: Job, start: Mark, above: int) -> Mark:
    """Return a mark at the first line of the launch that ``start`` tells of, behind the line ``above``.

    Its banner may stand above that; the complaints of the launch before do not belong to it.
    """
    complaints = _complaints(job, start.stream, above, start.line)
    line = max([above, *complaints]) + 1
    return start._replace(kind="attempt", line=line, signature="")


def _complaints(job: Job, stream: int, above: int, below: int) -> list[int]:
    """Return the lines between two lines of a stream that may tell of a failure."""
    rows = job.rows
    low, high = np.searchsorted(rows.stream, (stream, stream + 1)).tolist()
    low, high = (low + np.searchsorted(rows.line[low:high], (above, below))).tolist()
    return [int(rows.line[row]) for row in range(low, high) if job.notes[int(rows.raw[row])].suspect]
