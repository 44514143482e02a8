"""Launches that nothing announces: a program or its launcher says again what it says at its start.

That is a launch of its own behind the end of the one before: the scheduler ended the job, the program told
that its work was done, its launcher has gone, or the counter goes back behind it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from l4fast.job import Job
from l4fast.marks import Mark
from l4fast.rawshapes import PASSING
from l4fast.reader import RawNote
from l4fast.reported import Reports
from l4fast.voices import Labels

GUESS = -10  # signatures of so small a weight are words that any program may use
LATE_US = 60_000_000  # agents of one launch begin within so long
_STARTS = ("launch", "init", "load", "iterate")
_LOADS = ("checkpoint.load", "checkpoint.loaded")


def begun_anew(job: Job, marks: Sequence[Mark], begins: Sequence[Mark], told: Reports) -> list[Mark]:
    """Return a mark for each launch that nothing announces: the first line that tells of it.

    A scheduler that ends a job may be obeyed later: only what a program says at its start, or a counter
    that goes back, shows that the job was started again.
    """
    found = []
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
    roots = np.array([_begins_one(note) for note in job.notes], bool)
    for stream, its in _starts(job, marks).items():
        ended, known = np.array(sorted(ends[stream]), np.int64), announced[stream]
        words = Words(job, stream, its, gone[stream], roots)
        gaps: dict[tuple[int, int], list[Mark]] = defaultdict(list)
        for mark in its:
            gaps[told.around(stream, mark.line)].append(mark)
        for gap, said in gaps.items():
            before, after = gap
            above = int(told.line[before]) if before >= 0 else 0
            its_end = ended[(ended > above) & (ended < said[-1].line)]
            starts = [m for m in said if m.stage != "iterate"]
            if gap in known:
                continue
            if its_end.size and starts and starts[-1].line > its_end[-1]:
                first = next(m for m in starts if m.line > its_end[-1])
                found.append(_first_line(job, first, int(its_end[-1])))
            elif before >= 0 and after >= 0 and starts and _is_resumed(told, starts, before, after):
                found.append(_first_line(job, starts[0], above))
            elif before >= 0 and (anew := _after_its_end(said, above, done[stream])) is not None:
                found.append(_first_line(job, *anew))
            else:
                back = before >= 0 and after >= 0 and bool(told.number[after] <= told.number[before])
                again = words.said_again(said, above, goes_on=after >= 0 and not back, back=back)
                found += [_first_line(job, *each) for each in again]
    return found


class Words:
    """What is said at starts in a stream, by speaker and shape, and where processes may have ended.

    ``its`` are the marks of starts in the order of lines, ``gone`` the lines with which launchers end;
    ``roots`` (bool per raw shape) tells which lines may begin a failure.
    """

    def __init__(
        self, job: Job, stream: int, its: Sequence[Mark], gone: Sequence[int], roots: np.ndarray
    ) -> None:
        self.job, self.stream, self.roots = job, stream, roots
        self.dated, self.shape = job.rows.own_time, job.rows.shape
        self.gone = sorted(gone)
        self._of: dict[Labels, dict[int, list[Mark]]] = defaultdict(lambda: defaultdict(list))
        for mark in its:
            self._said_by(mark)[int(self.shape[mark.row])].append(mark)

    def _said_by(self, mark: Mark) -> dict[int, list[Mark]]:
        """Return by shape what is said by the speaker of a mark, whose next process has an id of its own."""
        labels = self.job.speakers[mark.speaker].labels
        return self._of[tuple(label for label in labels if label[0] not in PASSING)]

    @cached_property
    def errors(self) -> list[int]:
        """The lines of the stream that may begin a failure, ascending."""
        rows = self.job.rows
        low, high = np.searchsorted(rows.stream, (self.stream, self.stream + 1)).tolist()
        mine: list[int] = rows.line[low:high][self.roots[rows.raw[low:high]]].tolist()
        return mine

    def said_again(
        self, said: Sequence[Mark], above: int, *, goes_on: bool, back: bool
    ) -> list[tuple[Mark, int]]:
        """Return what is said once more between two reports of iterations, and where those before ended.

        ``said`` stands behind the line ``above`` of a report (0: none before); ``goes_on`` tells that the
        counter is higher after it, ``back`` that it is not. Several processes may speak in one stream: as
        many must speak after an end as before, and not at once, or some have come late.
        """
        found: list[tuple[Mark, int]] = []
        begun = 0
        for mark in said:
            alike = self._said_by(mark)[int(self.shape[mark.row])]
            at = bisect_left(alike, mark.line, key=_line)
            before = alike[bisect_left(alike, begun, key=_line) : at]
            if not before:
                continue
            ran = before[0].line < above and begun < above
            is_late = bool(self.dated[mark.row] and self.dated[before[-1].row])
            is_late = is_late and mark.time < before[-1].time + LATE_US and not ran
            since = max(before[-1].line, above)
            end = _last(self.gone, since, mark.line)
            if end < 0 and (mark.stage != "launch" or ran or len(before) > 1):
                end = _last(self.errors, since, mark.line)
            if is_late or (end >= 0 and not self._are_as_many(alike, begun, end)):
                continue
            if mark.stage == "launch":
                again = (end >= 0 or not goes_on) if ran else end >= 0 or self._was_ready(before, mark)
            else:
                again = end >= 0 and not goes_on and (back or self._is_a_start(mark, begun, end))
            if again:
                found.append((mark, max(end, above)))
                begun = mark.line
        return found

    def _are_as_many(self, alike: Sequence[Mark], begun: int, end: int) -> bool:
        low, at = bisect_left(alike, begun, key=_line), bisect_left(alike, end, key=_line)
        return len(alike) - at >= at - low > 0

    def _was_ready(self, before: Sequence[Mark], mark: Mark) -> bool:
        """Whether the one launcher that spoke before had started a program, which then said nothing more."""
        several = len(before) > 1
        return not several and any(
            before[0].line < m.line < mark.line and m.stage == "init"
            for marks in self._said_by(mark).values()
            for m in marks
        )

    def _is_a_start(self, mark: Mark, begun: int, end: int) -> bool:
        """Whether a speaker says at least two things again that it said before the line ``end``."""
        n = 0
        for marks in self._said_by(mark).values():
            at = bisect_left(marks, end, key=_line)
            n += bisect_left(marks, begun, key=_line) < at < len(marks)
        return n > 1


def _line(mark: Mark) -> int:
    return mark.line


def _last(lines: Sequence[int], above: int, below: int) -> int:
    """Return the last of sorted ``lines`` between two others, or -1."""
    at = bisect_left(lines, below)
    return lines[at - 1] if at and lines[at - 1] > above else -1


def _after_its_end(said: Sequence[Mark], above: int, done: Sequence[int]) -> tuple[Mark, int] | None:
    """Return what a launcher says first after a program told that its work was done, and where that was."""
    for mark in said:
        ended = max((line for line in done if above < line < mark.line), default=-1)
        if mark.stage == "launch" and ended >= 0:
            return mark, ended
    return None


def _starts(job: Job, marks: Sequence[Mark]) -> dict[int, list[Mark]]:
    """Return what programs say at their start, by stream and in the order of lines.

    That iterations begin is said at a start too, but may be said again in each epoch.
    """
    found: dict[int, list[Mark]] = defaultdict(list)
    for mark in marks:
        if (mark.kind == "stage" and mark.stage in _STARTS) or mark.kind in _LOADS:
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


def _begins_one(note: RawNote) -> bool:
    return any(s.role == "root" and s.weight > GUESS for s in note.failures[:1])
