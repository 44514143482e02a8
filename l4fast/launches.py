"""Where each launch of a job begins that is started again in the same files.

A launch is announced by marker lines, one or more of each agent. Where nothing announces it, it is
told by what a program says at its start: after the scheduler ended the job before, after the program
told that its work was done, or where the counter goes back behind it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from l4fast.heads import begun_again
from l4fast.job import NONE, Job
from l4fast.marks import Mark
from l4fast.novelty import not_later_than
from l4fast.relaunches import begun_anew
from l4fast.reported import Reports, reports
from l4fast.temporal import Progress

MOST_SKEW_US = 30_000_000  # of the clocks of nodes that announce one launch
LONGEST_START_US = 600_000_000  # agents wait so long for each other, as torchrun does by default
_NUMBERS = ("attempt", "attempt2", "attempt3", "attempt4")
_OF_EACH = "attempt-numbered"  # said of the first attempt too


@dataclass(frozen=True)
class Launch:
    """A launch after the first of a job.

    Attributes
    ----------
    time, ended : int
        When it began, and until when the launch before it was heard: microseconds, or `NONE`.
    lines : mapping of int to int
        The first of its lines in each stream that tells of it.
    """

    time: int
    ended: int
    lines: Mapping[int, int]

    def holds(self, stream: np.ndarray, line: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Return which lines (int64[n] each) come after its begin: by line in its streams, else by time."""
        out: np.ndarray = (time == NONE) | (time >= self.time)
        if self.lines and stream.size:
            first = np.full(max(int(stream.max()), *self.lines) + 1, -1, np.int64)
            first[list(self.lines)] = list(self.lines.values())
            mine = first[stream] >= 0
            out = np.where(mine, line >= first[stream], out)
        return out


def launches(job: Job, marks: Sequence[Mark], progress: Progress) -> list[Launch]:
    """Return the launches after the first, oldest first; ``progress`` is that of all of them.

    The k-th launch that one agent tells of is the k-th of each that tells of as many; another has
    joined late or is gone, and what it tells belongs to the launch that is near.
    """
    told = reports(job, progress)
    begins = [m for m in marks if m.kind == "attempt" and m.stage != "shutdown" and _goes_on(job, m)]
    begins = _without_first(job, begins)
    begins += begun_anew(job, marks, begins, told)
    if not begins:
        again = begun_again(job)
        return [Launch(*again)] if again is not None else []
    said: dict[int, list[Mark]] = defaultdict(list)
    for mark in sorted(begins, key=lambda m: (m.stream, m.line)):
        said[mark.speaker].append(mark)
    groups = {speaker: _of_each_launch(job, its, told) for speaker, its in said.items()}
    leader = max(groups.values(), key=lambda its: (its[-1][-1].time, its[-1][0].stream, its[-1][0].line))
    found = [list(group) for group in leader]
    left: list[list[Mark]] = []
    for its in groups.values():
        if its is leader:
            continue
        for k, group in enumerate(its):
            own = leader[k] if len(its) == len(leader) else None
            undated = own is not None and not job.rows.own_time[[group[0].row, own[0].row]].all()
            if own is not None and group[0].stream == own[0].stream:
                undated = undated and not told.between(group[0], own[0])
            if own is not None and (undated or _is_near(group[0], own[0], LONGEST_START_US, told)):
                found[k] += group
            else:
                left.append(group)
    for group in sorted(left, key=lambda g: (g[0].time, g[0].stream, g[0].line)):
        near = next((f for f in found if _is_near(group[0], f[0], MOST_SKEW_US, told)), None)
        if near is None:
            found.append(list(group))
        elif near is not found[len(leader) - 1]:
            near += group
    dated = not_later_than(job)
    return sorted(
        (_launch(job, group, told, dated) for group in found), key=lambda n: (n.time, *n.lines.items())
    )


def _without_first(job: Job, begins: Sequence[Mark]) -> list[Mark]:
    """Leave out what tells of the first attempt: the first number that each speaker counts from."""
    kept, counting = [], set()
    for mark in sorted(begins, key=lambda m: (m.stream, m.line)):
        first = mark.signature == _OF_EACH and mark.speaker not in counting
        counting.add(mark.speaker)
        if not (first and _number(job, mark) in ("0", "1")):
            kept.append(mark)
    return kept


def _goes_on(job: Job, mark: Mark) -> bool:
    """An announced restart is an attempt only if something follows it."""
    info = job.streams[mark.stream]
    return info.lines - mark.line > 3 or (mark.time != NONE and job.last_time > mark.time + 1_000_000)


def _is_near(one: Mark, other: Mark, most: int, told: Reports) -> bool:
    known = one.time != NONE and other.time != NONE
    return not told.between(one, other) and (not known or abs(one.time - other.time) <= most)


def _of_each_launch(job: Job, its: Iterable[Mark], told: Reports) -> list[list[Mark]]:
    """Group what one speaker says, in its order, by the launch that it tells of."""
    groups: list[list[Mark]] = []
    numbers: list[str | None] = []
    for mark in its:
        number = _number(job, mark)
        if groups and _is_same(job, groups[-1], numbers[-1], mark, number, told):
            groups[-1].append(mark)
            numbers[-1] = number or numbers[-1]
        else:
            groups.append([mark])
            numbers.append(number)
    return groups


def _number(job: Job, mark: Mark) -> str | None:
    """The number of the restart that a mark names: empty if its text was not kept, None if it names none."""
    for signature in job.notes[int(job.rows.raw[mark.row])].markers:
        if signature.id == mark.signature and signature.regex.groupindex:
            if job.row_text(mark.row) is None:
                return ""
            values = signature.read(job.content(mark.row))
            return next((values[name] for name in _NUMBERS if values.get(name)), None)
    return None


def _is_same(
    job: Job, group: list[Mark], known: str | None, mark: Mark, number: str | None, told: Reports
) -> bool:
    """Whether a speaker goes on telling of the launch that it told of last.

    A restart is announced before it is numbered, and many agents may speak through one stream; a
    program that failed in between was another launch.
    """
    if not _is_near(mark, group[-1], LONGEST_START_US, told):
        return False
    if number is None and known is not None:
        return False
    if number:
        return not known or known == number
    rows = job.rows
    low, high = np.searchsorted(rows.stream, (mark.stream, mark.stream + 1)).tolist()
    low, high = (low + np.searchsorted(rows.line[low:high], (group[-1].line + 1, mark.line))).tolist()
    return not any(job.notes[int(raw)].suspect for raw in rows.raw[low:high])


def _launch(job: Job, group: Sequence[Mark], told: Reports, dated: np.ndarray) -> Launch:
    """Join the marks of one launch; an undated one has the time of the last line above it."""
    lines: dict[int, int] = {}
    begins, ends = [], []
    for mark in group:
        lines[mark.stream] = min(mark.line, lines.get(mark.stream, mark.line))
        before, after = told.around(mark.stream, mark.line)
        time = mark.time
        if before >= 0 and told.time[before] == mark.time and not job.rows.own_time[mark.row]:
            later = [int(dated[mark.row])] + ([int(told.time[after])] if after >= 0 else [])
            time = min((t for t in later if t > mark.time), default=mark.time)
        begins.append(time)
        ends.append(mark.time)
    return Launch(min(begins), min(ends), dict(sorted(lines.items())))
