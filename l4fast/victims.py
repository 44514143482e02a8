"""Whom the waiting ones mean: the peer they lost, the rank behind them, the ones that kept silent.

Divergence is not guilt: a victim that timed out diverges too, and names nobody outright.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from l4fast import spatial
from l4fast.events import Event
from l4fast.explain import SKEW_S, unexplained
from l4fast.job import Job
from l4fast.quarrels import heard
from l4fast.subjects import LATE, Clock, Subjects
from l4fast.topology import Topology
from l4fast.verdict import FEW, Verdict, blame, ranks_on

MIN_NODES = 4  # fewer: that one says nothing is no sign
ABORTED = ("-6", "134")
AFTERWARDS = ("137", "-9", "143", "-15")  # killed, asked to end: mostly by what ends the rest


def silent_ones(
    top: Topology,
    about: Subjects,
    timeouts: list[Event],
    events: list[Event],
    verdict: Verdict,
) -> bool:
    """Some ranks timed out and some did not: blame the silent ones, if they are few."""
    waiting = set(about.ranks(timeouts))
    known = set(about.all_ranks)
    if top.expected is not None:
        known |= set(range(min(top.expected, 100_000)))
    elif known and max(known) + 1 - len(known) <= FEW * len(known):
        known |= set(range(max(known) + 1))  # a rank that never said a word leaves a gap
    elif known:
        return False  # most ranks never say a word
    own_words = [e for e in events if e.tells in (None, "timeout", "lost-peer")]
    silent = known - set(about.ranks(own_words))
    silent = silent - _aborted(events, about) or silent
    silent = silent - _told_to_end(events, about) or silent
    if not waiting or not silent or len(silent) > FEW * len(known):
        return False
    if all(rank in top.node_of_rank for rank in silent):
        silent = set(_blocked_first(sorted(silent), about, timeouts)) or silent
    if len(waiting) < 0.5 * (len(known) - len(silent)):
        return False
    verdict.roots = timeouts
    first = int(min(int(e.rows[0]) for e in timeouts))
    reason = "all others timed out waiting, it never said a word"
    for rank in sorted(silent):
        verdict.ranks.append((rank, 1.0, [reason], [first]))
    nodes = Counter(top.node_of_rank[r] for r in silent if r in top.node_of_rank)
    for node, _ in sorted(nodes.items(), key=lambda nc: (-nc[1], nc[0])):
        verdict.nodes.append((node, 1.0, [reason], [first]))
    if not nodes:
        verdict.notes.append("cannot tell which node: the silent ranks cannot be mapped to nodes")
    return True


def silent_beside(about: Subjects, timeouts: list[Event], events: list[Event], verdict: Verdict) -> bool:
    """Where only part of the job waits, blame the silent ranks on nodes whose other ranks all wait."""
    top, waiting = about.top, set(about.ranks(timeouts))
    spoken = set(about.ranks(e for e in events if e.tells in (None, "timeout", "lost-peer")))
    silent: list[int] = []
    for node in top.nodes:
        mine = set(top.ranks_of(node))
        quiet = mine - spoken
        if quiet and 2 * len(quiet) < len(mine) and mine - quiet <= waiting:
            silent += sorted(quiet)
    aborted = _aborted(events, about)
    silent = [rank for rank in silent if rank not in aborted] or silent
    silent = _blocked_first(silent, about, timeouts)
    if not silent or len(silent) > FEW * len(waiting):
        return False
    verdict.roots = timeouts
    first = int(min(int(e.rows[0]) for e in timeouts))
    reason = "all others on its node timed out waiting, it never said a word"
    for rank in silent:
        verdict.ranks.append((rank, 0.8, [reason], [first]))
    for node in dict.fromkeys(top.node_of_rank[rank] for rank in silent):
        verdict.nodes.append((node, 0.8, [reason], [first]))
    return True


def _aborted(events: list[Event], about: Subjects) -> set[int]:
    """The ranks whose processes aborted themselves: a victim does, though its words may be lost."""
    return set(
        about.ranks(e for e in events if e.tells == "death" and dict(e.values).get("exit_code") in ABORTED)
    )


def _told_to_end(events: list[Event], about: Subjects) -> set[int]:
    """The ranks of nodes whose launcher was told to end: they may have had no time to say a word."""
    told = about.nodes(e for e in events if e.tells == "stop")
    return {rank for node in told for rank in about.top.ranks_of(node)}


def _blocked_first(silent: list[int], about: Subjects, timeouts: list[Event]) -> list[int]:
    """Keep the silent ranks of nodes that waited first: one that is missing blocks its own groups first."""
    rows, top = about.job.rows, about.top
    first: dict[str, int] = {}
    for event in timeouts:
        for row in event.rows[rows.own_time[event.rows]].tolist():
            home = top.home(int(rows.speaker[row]))
            if home is not None:
                first[home] = min(int(rows.time[row]), first.get(home, int(rows.time[row])))
    if not first:  # without times the order of one file tells
        row = min(int(event.rows[0]) for event in timeouts)
        return [rank for rank in silent if top.node_of_rank[rank] == top.home(int(rows.speaker[row]))]
    limit = min(first.values()) + int(SKEW_S * 1e6)
    return [rank for rank in silent if first.get(top.node_of_rank[rank], limit) <= limit]


def blame_victims(
    events: list[Event], timeouts: list[Event], verdict: Verdict, about: Subjects, clock: Clock
) -> None:
    """Only victims speak: the timeouts (or else the earliest cry) are all that is known."""
    verdict.kind = "victims"
    speaking = [e for e in events if e.role == "consequence" or e.tells is not None]
    after = ("death", "asked-to-end", "abort", "ending", "heard")
    own = [e for e in speaking if e.by in (None, "program")]
    # What a launcher sums up is less than what the processes themselves said.
    pool = timeouts or [e for e in own if e.tells not in after]
    pool = pool or [e for e in speaking if e.tells not in after] or speaking or events
    pool = unexplained(pool, about, clock) or pool
    first = min(pool, key=lambda e: (clock.of(e), -e.weight, int(e.rows[0])))
    ended = [e for e in pool if dict(e.values).get("exit_code") in AFTERWARDS]
    same = [
        e
        for e in pool
        if e is first or (e.signature is not None and e.signature == first.signature and e not in ended)
    ]
    verdict.roots = timeouts or same
    own_words = [
        e for e in verdict.roots if e.signature is not None and e.tells != "hang"
    ]  # of too many, then
    named = [e for e in own_words if e.names in ("self", "other")]
    if named and not timeouts:
        blame(verdict, about, named, "told the earliest error")
    if not verdict.nodes and not verdict.everybody:
        blame_absent(events, verdict, about)
    if not verdict.nodes and not verdict.everybody:
        blame_outlier(about.job, about.top, verdict)
    if not verdict.nodes and not verdict.everybody:
        verdict.notes.append("cannot tell which node: every line is the word of a victim or a launcher")


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
    launchers = all(event.by == "launcher" for event in events)
    return launchers and not about.nodes(events) and n_nodes > 0 and sum(map(len, rows)) == n_nodes


def blame_outlier(job: Job, top: Topology, verdict: Verdict) -> None:
    """Where no line tells, the ranks that fell silent long before the others."""
    outlier = spatial.silent_first(job, top)
    if outlier is None:
        return
    rows = job.rows
    near = np.flatnonzero((rows.stream == outlier.stream) & (rows.line <= outlier.line))
    evidence = [int(near[-1])] if near.size else []
    for rank in outlier.ranks:
        verdict.ranks.append((rank, 0.5, [outlier.reason], evidence))
    for node in sorted({top.node_of_rank[r] for r in outlier.ranks if r in top.node_of_rank}):
        verdict.nodes.append((node, 0.5, [outlier.reason], evidence))
