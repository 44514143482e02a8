"""What an order to stop brought about, and what brought the order about.

Who is told to end breaks its connections, and its peers cry: a time limit looks like a failing node to
them. An order that came because processes had failed, or because the job hung, is itself an answer.
"""

from __future__ import annotations

import numpy as np

from l4fast.events import Event
from l4fast.explain import SKEW_S
from l4fast.job import NONE
from l4fast.subjects import LATE, Clock, Subjects
from l4fast.temporal import STALL_FACTOR, Progress
from l4fast.verdict import ENDED

HEARD_S = 600.0  # at most so long before a scheduler ends a job does it send the signal that says so
STILL_MEDIANS, STILL_S = 30.0, 10.0  # medians and seconds without progress: it hung before the stop


def stood_still(stops: list[Event], progress: Progress, clock: Clock) -> bool:
    """Whether the counter had stopped long before the job was told to end."""
    stop = min(clock.of(e) for e in stops)
    if not progress.timed or progress.rhythm_s is None or stop == LATE or progress.last_time == NONE:
        return False
    one = progress.rhythm_s if progress.median_s is None else progress.median_s
    limit = max(STILL_MEDIANS * one, STALL_FACTOR * progress.rhythm_s, STILL_S)
    return (stop - progress.last_time) / 1e6 > limit


def is_answer(stop: Event, events: list[Event], about: Subjects, clock: Clock) -> bool:
    """Whether launchers were told to stop because processes of others had failed.

    An order from outside reaches all of them; the one whose process failed first is not told.
    """
    if stop.by != "launcher":
        return False
    failed = [e for e in events if e.tells == "death" and dict(e.values).get("exit_code") not in ENDED]
    cries = [
        e for e in events if e.tells in ("timeout", "lost-peer") or (e.tells is None and e.role == "root")
    ]
    if clock.of(stop) + SKEW_S * 1e6 < min((clock.of(e) for e in (*failed, *cries)), default=LATE):
        return False  # nothing had failed yet
    return bool(set(about.nodes(failed)) - set(about.nodes([stop])))


def only_before_stop(victims: list[Event], stops: list[Event], clock: Clock) -> bool:
    """Whether victims cried before the job was told to stop: then the order was an answer to that."""
    if not victims:
        return False
    first = min(clock.of(e) for e in victims)
    return first != LATE and first + SKEW_S * 1e6 < min(clock.of(e) for e in stops)


def only_after(
    events: list[Event], stops: list[Event], about: Subjects, clock: Clock, gap_s: float = 0.0
) -> bool:
    """Whether every event came after the job was told to stop: then it was the stop.

    In one file the order of lines tells, on one node its clock; elsewhere a time must be ``gap_s`` later.
    What became of a node that was told to stop, as a scheduler notes without a time, was because of that;
    a reason that it gives was before.
    """
    if not stops:
        return False
    rows, begun = about.job.rows, min(clock.of(s) for s in stops)
    lines: dict[int, int] = {}
    times: dict[str | None, int] = {}
    for row in np.concatenate([s.rows for s in stops]).tolist():
        stream, line = int(rows.stream[row]), int(rows.line[row])
        lines[stream] = min(line, lines.get(stream, line))
        home = about.top.home(int(rows.speaker[row]))
        if home is not None and rows.own_time[row]:
            times[home] = min(int(rows.time[row]), times.get(home, LATE))
    told = set(about.nodes(stops))

    def is_after(event: Event) -> bool | None:
        nodes = set(about.nodes([event]))
        noted = event.by == "scheduler" and event.tells is not None and clock.of(event) == LATE
        if noted and nodes and nodes <= told:
            return True
        first: dict[tuple[int, int], int] = {}  # of each speaker in each stream
        for row in event.rows.tolist():
            first.setdefault((int(rows.stream[row]), int(rows.speaker[row])), row)
        surely = None if event.tells is not None else False
        for (stream, speaker), row in first.items():
            if stream in lines:
                after = bool(rows.line[row] > lines[stream])
                if not after and event.tells is not None and rows.own_time[row] and rows.time[row] >= begun:
                    continue  # others had been told before
            elif rows.own_time[row] and begun != LATE:
                limit = times.get(about.top.home(speaker), begun + int(gap_s * 1e6))
                after = bool(rows.time[row] >= limit)
            elif event.tells is not None:
                continue  # nobody knows when; others of the victims may tell
            else:
                after = False
            if not after:
                return False
            surely = True
        return surely

    found = [is_after(event) for event in events]
    return False not in found and (True in found or not events)


def orders(events: list[Event], stops: list[Event], clock: Clock) -> list[Event]:
    """Return the orders to stop, with the scheduler's word, if any, that it ended the job before them.

    Where a scheduler gave one, launchers and programs only heard of it, a signal's notice before it or
    after. Where nothing had failed, what it tells of the job's end is the order that all others heard.
    Who says why the job had to end comes before who only says, or heard, that it had to.
    """
    begun = min(clock.of(s) for s in stops)
    told = [s for s in stops if s.by == "scheduler"]
    if told and min(clock.of(s) for s in told) <= begun + HEARD_S * 1e6:
        return sorted(told, key=lambda e: -e.weight)
    ended = [e for e in events if e.tells == "ending" and e.by == "scheduler"]
    said = [*(e for e in ended if clock.of(e) <= begun + SKEW_S * 1e6), *stops]
    return sorted(said, key=lambda e: -e.weight)
