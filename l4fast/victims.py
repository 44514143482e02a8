"""Whom the waiting ones mean: the peer they lost, the rank behind them, the ones that kept silent.

Divergence is not guilt: a victim that timed out diverges too, and names nobody outright.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from l4fast import spatial
from l4fast.absent import blame_absent, blame_between, blame_first_exits, first_to_end
from l4fast.events import Event
from l4fast.explain import SKEW_S, unexplained
from l4fast.job import Job
from l4fast.subjects import Clock, Subjects
from l4fast.topology import Topology
from l4fast.verdict import FEW, Verdict, blame

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
    silent = silent - _came(silent, about, timeouts) or silent
    if not waiting or not silent or len(silent) > FEW * len(known):
        return False
    if all(e.tells == "lost-peer" for e in timeouts):
        begun = first_to_end(events, about)  # who was lost was gone before those that lost it
        if begun and not begun.issuperset(top.node_of_rank.get(rank, "") for rank in silent):
            return False
    if all(rank in top.node_of_rank for rank in silent):
        silent = set(_blocked_first(sorted(silent), about, timeouts, events)) or silent
    if len(waiting) < 0.5 * (len(known) - len(silent)):
        return False
    silent = _quietest(silent, about, events)
    verdict.roots = timeouts
    first = int(min(int(e.rows[0]) for e in timeouts))
    reason = "all others timed out waiting, it did not"
    for rank in sorted(silent):
        verdict.ranks.append((rank, 1.0, [reason], [first]))
    nodes = Counter(top.node_of_rank[r] for r in silent if r in top.node_of_rank)
    if 2 * nodes.total() < len(silent):
        nodes.clear()  # most of them are elsewhere
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
    silent = _blocked_first(silent, about, timeouts, events)
    if not silent or len(silent) > FEW * len(waiting):
        return False
    silent = sorted(_quietest(set(silent), about, events))
    verdict.roots = timeouts
    first = int(min(int(e.rows[0]) for e in timeouts))
    reason = "all others on its node timed out waiting, it did not"
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


def _came(silent: set[int], about: Subjects, timeouts: list[Event]) -> set[int]:
    """Return rank 0, which keeps the count of a barrier, if one fewer is missing from it than is silent."""
    groups = about.evidence.groups
    for row in (int(event.rows[0]) for event in timeouts):
        counted = groups.get(row, {})
        if counted.get("joined") and counted.get("expected"):
            missing = int(counted["expected"]) - int(counted["joined"])
            return {0} if len(silent) == missing + 1 and 0 in silent else set()
    return set()


def _blocked_first(
    silent: list[int], about: Subjects, timeouts: list[Event], events: list[Event]
) -> list[int]:
    """Keep the silent ranks of nodes that waited first: one that is missing blocks its own groups first."""
    rows, top = about.job.rows, about.top
    named = _gave_up_first(events, about)
    beside = [rank for rank in silent if top.node_of_rank[rank] in named]
    if beside:
        return beside
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


def _quietest(silent: set[int], about: Subjects, events: list[Event]) -> set[int]:
    """Of silent ranks on several nodes, keep those whose silence tells most: on each, one is enough.

    Who still heard that others gave up is alive; who was ended together with others of its node had
    hardly the time to say a word.
    """
    top = about.top
    heard = set(about.ranks(e for e in events if e.tells == "heard"))
    asked = set(about.ranks(e for e in events if e.tells == "asked-to-end")) | set(
        about.ranks(e for e in events if e.tells == "death" and dict(e.values).get("exit_code") == "-15")
    )

    def beside(rank: int) -> int:
        return len(asked.intersection(top.ranks_of(top.node_of_rank[rank])) - {rank})

    for noise in (lambda rank: int(rank in heard), beside):
        nodes = {top.node_of_rank.get(rank) for rank in silent}
        if len(nodes) < 2 or None in nodes:
            break
        least = min(map(noise, silent))
        silent = {rank for rank in silent if noise(rank) == least}
    return silent


def _gave_up_first(events: list[Event], about: Subjects) -> set[str]:
    """Return the nodes of the ranks that others name as the first to give up waiting: no clock is needed."""
    groups, top = about.evidence.groups, about.top
    told = (groups.get(row, {}).get("peer") for e in events if e.tells == "heard" for row in e.rows.tolist())
    ranks = {int(peer) for peer in told if peer is not None and peer.isdigit()}
    return {top.node_of_rank[rank] for rank in ranks if rank in top.node_of_rank}


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
        blame_between(verdict, about)
    if not verdict.nodes and not verdict.everybody:
        blame_absent(events, verdict, about)
    if not verdict.nodes and not verdict.everybody:
        blame_first_exits(events, verdict, about)
    if not verdict.nodes and not verdict.everybody:
        blame_outlier(about.job, about.top, verdict)
    if not verdict.nodes and not verdict.everybody:
        verdict.notes.append("cannot tell which node: every line is the word of a victim or a launcher")


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
