"""Who is missing from what the others tell: the node that does not speak, is not told of, ends otherwise.

Where every line is the word of a victim, what is not said may still tell: all but one node speak, the
neighbours of one lose their connections, one ends before all others.
"""

from __future__ import annotations

import itertools

import numpy as np

from l4fast.events import Event
from l4fast.quarrels import WAVE_US, heard
from l4fast.subjects import LATE, Subjects
from l4fast.verdict import FEW, Verdict, ranks_on

MIN_NODES = 4  # fewer: that one says nothing is no sign
MIN_RING = 6  # nodes, or else a node and its neighbours are half of all
UNHEARD = 0.1  # of the nodes: more whose processes do not speak were ended before they could


def blame_absent(events: list[Event], verdict: Verdict, about: Subjects) -> None:
    """The nodes that say nothing at all of a failure of which all others speak: they could not any more.

    Where lines do not tell who says them, a scheduler may tell whose end was unlike the others'.
    """
    top = about.top
    known = {*top.nodes, *top.silent}
    if len(known) < MIN_NODES:
        return
    ended, late = _ended(events, about)
    speaking = heard(events, about)
    absent = sorted(known - speaking - ended)
    why = "all other nodes speak of the failure, it says nothing"
    untold = _of_no_end(events, about, known)
    if untold and len(absent) > len(untold) and not untold & speaking:
        absent = sorted(untold)
        why = "of all other nodes a scheduler tells how their processes ended, it says nothing"
    elif not absent and _speak_once(verdict.roots, about, len(known) - len(late)):
        absent, why = sorted(late), "the others gave up by themselves, it had to be ended"
    elif not absent and late and _speak_alone(verdict.roots, events, about):
        absent, why = sorted(ended), "it ended by itself, the others had to be ended"
    elif not absent and (unheard := _unheard(events, about)):
        absent, why = sorted(unheard), "a process of every other node lost its peers, none of its own says so"
    if not absent or len(absent) > FEW * len(known):
        return
    row = int(min(int(event.rows[0]) for event in verdict.roots))
    verdict.kind = "peer"
    for node in absent:
        verdict.nodes.append((node, 0.6, [why], [row]))
    for node in absent:
        ranks_on(verdict, about, node, "says nothing")


def _ended(events: list[Event], about: Subjects) -> tuple[set[str], set[str]]:
    """Return the nodes whose processes ended by themselves, and those where they first had to be ended.

    A scheduler tells ends as they come: what it tells after it began to end the rest, it brought about.
    """
    rows = about.job.rows
    begun: dict[int, int] = {}  # stream -> line
    for event in events:
        if event.tells == "ending" and event.by == "scheduler":
            for row in event.rows.tolist():
                stream, line = int(rows.stream[row]), int(rows.line[row])
                begun[stream] = min(line, begun.get(stream, line))
    itself: set[str] = set()
    all_told: set[str] = set()
    for event in events:
        if event.tells in ("death", "asked-to-end"):
            for row in event.rows.tolist():
                nodes = about.row(event, row).nodes
                all_told.update(nodes)
                if event.by != "scheduler" or rows.line[row] < begun.get(int(rows.stream[row]), LATE):
                    itself.update(nodes)
    return itself, all_told - itself


def _of_no_end(events: list[Event], about: Subjects, known: set[str]) -> set[str]:
    """Return the nodes of whose processes a scheduler tells no end, where it does of most; else none."""
    ends = [e for e in events if e.tells in ("death", "asked-to-end") and e.by == "scheduler"]
    untold = known - set(about.nodes(ends))
    return untold if len(untold) <= FEW * len(known) else set()


def _speak_alone(roots: list[Event], events: list[Event], about: Subjects) -> bool:
    """Whether nobody but who says the roots, and nobody knows where that is, speaks of more than the end."""
    other = [
        e for e in events if e not in roots and e.tells in (None, "timeout", "lost-peer", "hang", "abort")
    ]
    return not about.nodes(roots) and all(e.role == "teardown" for e in other)


def _speak_once(events: list[Event], about: Subjects, n_nodes: int) -> bool:
    """Whether launchers, of whom nobody tells on which node they are, speak as often as there are nodes."""
    rows = [event.rows for event in events]
    launchers = all(event.signature is not None and event.signature.by == "launcher" for event in events)
    return launchers and not about.nodes(events) and n_nodes > 0 and sum(map(len, rows)) == n_nodes


def _unheard(events: list[Event], about: Subjects) -> set[str]:
    """Return the few nodes of which no process lost a peer, where one of each other node did; else none."""
    top = about.top
    lost = [
        e for e in events if e.tells in ("lost-peer", "timeout") and e.by not in ("launcher", "scheduler")
    ]
    speakers = np.unique(
        about.job.rows.speaker[np.concatenate([np.empty(0, np.int64), *(e.rows for e in lost)])]
    )
    speaking = {top.home(speaker) for speaker in speakers.tolist()} - {None}
    unheard = set(top.nodes) - speaking
    return unheard if len(unheard) <= UNHEARD * len(top.nodes) else set()


def blame_between(verdict: Verdict, about: Subjects) -> None:
    """The nodes between two others, where these lost their peers and most do not say so.

    Nodes talk to their neighbours in a ring, in the order of their ranks (NCCL's rings between nodes). So
    of a run of nodes that lost peers, those at both ends lost the ones beside them. Where all have lost
    peers at last, those that ended first tell.
    """
    top, rows = about.top, about.job.rows
    if len(top.nodes) < MIN_RING or not all(e.tells == "lost-peer" for e in verdict.roots):
        return
    first: dict[str | None, int] = {}
    for row in np.sort(np.concatenate([e.rows for e in verdict.roots])).tolist():
        first.setdefault(top.home(int(rows.speaker[row])), row)
    ring = sorted(top.nodes, key=lambda node: min(top.ranks_of(node), default=LATE))
    if None in first or not all(top.ranks_of(node) for node in ring):
        return
    if 2 * len(first) > len(ring):
        begun = first_to_end(verdict.events, about)
        first = {node: row for node, row in first.items() if node in begun}
        if 2 * len(first) > len(ring):
            return
    between: list[str] = []
    for i, node in enumerate(ring):
        if node in first and ring[i - 1] not in first:
            run = list(itertools.takewhile(first.__contains__, ring[i:] + ring[:i]))
            if len(run) < 3:
                return
            between += dict.fromkeys((run[1], run[-2]))
    why = "it and its neighbours on both sides lost their peers, most others did not"
    verdict.nodes = [(node, 0.6, [why], [first[node]]) for node in between]
    verdict.kind = "peer" if between else verdict.kind
    for node in between:
        ranks_on(verdict, about, node, "lost its connections")


def first_to_end(events: list[Event], about: Subjects) -> set[str]:
    """Return the nodes whose processes ended before the first pause; none unless all nodes' times are known.

    Who lost a peer ends, and is then lost by its own neighbours: a failure spreads in waves.
    """
    rows = about.job.rows
    ended: dict[str, int] = {}
    for event in events:
        if event.tells in ("death", "asked-to-end") and event.by == "launcher":
            for row in event.rows[rows.own_time[event.rows]].tolist():
                for node in about.row(event, row).nodes:
                    ended[node] = min(int(rows.time[row]), ended.get(node, LATE))
    times = sorted(ended.values())
    if len(ended) < len(about.top.nodes):
        return set()
    last = next((a for a, b in itertools.pairwise(times) if b - a > WAVE_US), LATE)
    return {node for node, time in ended.items() if time <= last}


def blame_first_exits(events: list[Event], verdict: Verdict, about: Subjects) -> None:
    """The first whose end a scheduler tells, where few say before all others what nobody else says.

    Nobody tells who says it: but as many say something else as nodes are left.
    """
    rows, top = about.job.rows, about.top
    own = [e for e in verdict.roots if e.by != "scheduler"]
    if about.nodes(own) or about.ranks(own) or len(top.nodes) < MIN_NODES:
        return
    ends = [
        (row, event)
        for event in events
        if event.tells == "death" and event.by == "scheduler"
        for row in event.rows.tolist()
    ]
    ends.sort(key=lambda end: end[0])
    row_of: dict[str, int] = {}
    for row, event in ends:
        for node in about.row(event, row).nodes:
            row_of.setdefault(node, row)
    if len(row_of) != len(top.nodes) or len({int(rows.stream[row]) for row, _ in ends}) != 1:
        return

    def is_before(event: Event, others: Event) -> bool:
        together = np.union1d(rows.stream[event.rows], rows.stream[others.rows])
        rest = len(row_of) - len(event.rows)
        return len(together) == 1 and len(others.rows) == rest and bool(event.rows[-1] < others.rows[0])

    few = [e for e in own if len(e.rows) <= FEW * len(row_of) and any(is_before(e, other) for other in own)]
    if few:
        why = "the first whose end the scheduler tells, as one error was told before those of all others"
        first = list(row_of.items())[: len(few[0].rows)]
        verdict.nodes += [(node, 0.5, [why], [row]) for node, row in first]
