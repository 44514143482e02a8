"""Errors that began nothing, as their places tell: the program lived on, or its victims spoke before.

A compiler may report the same failed rewrite hour after hour; what a library says while its process is
taken down stands below the words of who waited in vain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l4fast.events import Event
from l4fast.job import NONE
from l4fast.subjects import LATE, Clock, Subjects
from l4fast.telling import is_exception

LIVED_S = 600.0  # between the first and the last telling of an error that its program goes on after


def without_habits(own: list[Event], about: Subjects, clock: Clock) -> list[Event]:
    """Return the errors less those that a program lived with, where others tell of its end.

    A program told such an error again and again for minutes. What the kernel or the scheduler says of the
    end, no earlier than the last of these, outweighs it.
    """
    ends = [e for e in own if e.by in ("kernel", "scheduler")]
    habits = [e for e in own if e.by == "program" and _is_lived_with(e, about)]
    habits = [e for e in habits if any(_follows(end, e, about, clock) for end in ends)]
    return [e for e in own if e not in habits]


def _is_lived_with(event: Event, about: Subjects) -> bool:
    """Whether one file tells an error again, at least `LIVED_S` after the first time."""
    rows = about.job.rows
    dated = event.rows[rows.own_time[event.rows] & (rows.time[event.rows] != NONE)]
    for stream in np.unique(rows.stream[dated]).tolist():
        times = rows.time[dated[rows.stream[dated] == stream]]
        if (times.max() - times.min()) / 1e6 >= LIVED_S:
            return True
    return False


def _follows(end: Event, habit: Event, about: Subjects, clock: Clock) -> bool:
    """Whether what tells of the end stands below the habit in its file, or has a later time, or none."""
    rows = about.job.rows
    last = int(habit.rows[np.argmax(rows.time[habit.rows])])
    same = end.rows[rows.stream[end.rows] == rows.stream[last]]
    if same.size:
        return bool(rows.line[same].max() > rows.line[last])
    return clock.of(end) == LATE or clock.of(end) >= int(rows.time[last])


def without_last_words(own: list[Event], waited: Sequence[Event], about: Subjects) -> list[Event]:
    """Return the errors less those told below the words of who had ``waited`` in vain, in the same files.

    Such a line has no time and is no exception: who raised one may have been the one waited for. Whoever
    says it is no process that had not waited.
    """
    rows = about.job.rows
    first: dict[int, int] = {}
    for event in waited:
        for row in event.rows.tolist():
            stream, line = int(rows.stream[row]), int(rows.line[row])
            first[stream] = min(line, first.get(stream, line))
    ranks = set(about.ranks(waited))

    def is_below(event: Event) -> bool:
        if event.by != "program" or rows.own_time[event.rows].any() or is_exception(about.job, event):
            return False
        places = zip(rows.stream[event.rows].tolist(), rows.line[event.rows].tolist(), strict=True)
        return set(about.ranks([event])) <= ranks and all(line > first.get(s, LATE) for s, line in places)

    return [e for e in own if not is_below(e)]
