"""Whom the waiting ones mean: the peer they lost, the rank behind them, the ones that kept silent.

Divergence is not guilt: a victim that timed out diverges too, and names nobody outright.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from l4fast import spatial
from l4fast.events import Event, split
from l4fast.explain import SKEW_S, unexplained
from l4fast.job import Job
from l4fast.readings import Reading
from l4fast.subjects import Clock, Subjects, node_at, tells
from l4fast.topology import Topology
from l4fast.verdict import FEW, Verdict, blame, ranks_on

MIN_NODES = 4  # fewer: that one says nothing is no sign
AFTERWARDS = ("137", "-9", "143", "-15")  # killed, asked to end: mostly by what ends the rest


def accused(events: list[Event], verdict: Verdict, about: Subjects, *, begun: bool) -> bool:
    """Who lost whom: the nodes that all quarrels have in common, or that are accused and say nothing.

    A node that is gone is accused by its neighbours and says nothing; a victim accuses too. Where a
    link is bad both of its ends speak, and the node with several bad links is the one to look at.
    Before the job has ``begun`` to iterate, all meet at one node: few that do not reach it are cut off.
    """
    rows, top = about.job.rows, about.top
    quarrels: list[tuple[int, str, str, Event]] = []
    for event in events:
        if tells(event) not in ("lost-peer", "timeout"):
            continue
        for row in event.rows.tolist():
            target = node_at(top, about.evidence.groups.get(row, {}).get("peer"))
            home = _home(top, int(rows.speaker[row]))
            if target is not None and home is not None and home != target:
                quarrels.append((row, home, target, event))
    quarrels.sort(key=lambda q: (int(rows.time[q[0]]) if rows.own_time[q[0]] else 0, q[0]))
    pairs = [(home, target) for _, home, target, _ in quarrels]
    guilty = _guilty(pairs, _heard(events, about), len(top.nodes), begun=begun)
    if not guilty:
        return False
    mine = [q for q in quarrels if q[2] in guilty] or [q for q in quarrels if q[1] in guilty]
    verdict.roots = list({id(event): event for _, _, _, event in mine}.values())
    for name in guilty:
        theirs = [q for q in mine if name in (q[1], q[2])]
        by = {other for q in theirs for other in (q[1], q[2])} - {name}
        count = len({int(rows.speaker[q[0]]) for q in theirs if q[2] == name})
        reason = (
            f"{count} others lost their connection to it" if count else f"it alone cannot reach {min(by)}"
        )
        verdict.nodes.append((name, 1.0, [reason], [q[0] for q in theirs][:8]))
    for name in guilty:
        ranks_on(verdict, about, name, "lost its connections")
    return True


def _home(top: Topology, speaker: int) -> str | None:
    rank, node = top.rank[speaker], top.node[speaker]
    return node or (top.node_of_rank.get(rank) if rank is not None else None)


def _heard(events: Iterable[Event], about: Subjects) -> set[str]:
    """Return the nodes that say anything of the failure."""
    speakers = {s for e in events for s in np.unique(about.job.rows.speaker[e.rows]).tolist()}
    return {home for s in speakers if (home := _home(about.top, s)) is not None}


def _guilty(quarrels: Sequence[tuple[str, str]], heard: set[str], n_nodes: int, *, begun: bool) -> list[str]:
    """Return the nodes that quarrels (who lost whom, in their order) speak against; empty if unclear.

    A failure spreads from neighbour to neighbour: where most nodes quarrel, only the first to have
    two quarrels is sure to be where it began.
    """
    near: dict[str, set[str]] = defaultdict(set)
    silent: list[str] = []
    first: str | None = None
    for home, target in quarrels:
        near[home].add(target)
        near[target].add(home)
        if target not in heard and target not in silent:
            silent.append(target)
        if first is None:
            first = next((name for name in (target, home) if len(near[name]) > 1), None)
    few = max(1, int(FEW * n_nodes))
    sources, targets = {home for home, _ in quarrels}, {target for _, target in quarrels}
    cut_off = len(targets) == 1 and len(sources) <= few and not sources & targets and n_nodes > 2
    if cut_off and (not begun or (len(sources) == 1 and not silent)):
        return sorted(sources)
    if silent and len(silent) <= few:
        return silent
    if len(near) > max(3, n_nodes // 2):
        return [first] if first is not None else []
    found = [name for name in near if len(near[name]) > 1]
    return found if len(found) <= few else []


_GROUP = re.compile(r"\bPG (?:ID )?(?P<group>\d+)\b")
_ENQUEUED = re.compile(r"(?i)last enqueued (?:nccl )?work: ?(?P<number>-?\d+)")


def _enqueued(job: Job, rows: np.ndarray) -> Iterator[tuple[int, str, int]]:
    """Yield the rows that tell a last enqueued collective, its process group ("" if none) and its number."""
    for raw in np.unique(job.rows.raw[rows]).tolist():
        mine = rows[job.rows.raw[rows] == raw]
        numbers, number = Reading(job, mine, _ENQUEUED).distinct(("number",))
        groups, group = Reading(job, mine, _GROUP, in_lines=True).distinct(("group",))
        for row, k, g in zip(mine.tolist(), number.tolist(), group.tolist(), strict=True):
            if numbers[k]:
                yield row, groups[g][0][1] if groups[g] else "", int(numbers[k][0][1])


def laggard(job: Job, about: Subjects, timeouts: list[Event], events: list[Event], verdict: Verdict) -> bool:
    """The rank whose last enqueued collective is behind all others (equal numbers prove nothing)."""
    groups: dict[str, dict[int, tuple[int, int, Event]]] = defaultdict(dict)
    for event in events:
        if event.signature is None or tells(event) not in ("timeout", "heard"):
            continue
        for row, group, number in _enqueued(job, event.rows):
            rank = about.top.rank[int(job.rows.speaker[row])]
            if rank is None:
                continue
            behind = groups[group]  # each process group counts its own collectives
            # -1 and numbers of 17 digits are memory that was never set.
            if 0 <= number < 10**15 and (rank not in behind or number > behind[rank][0]):
                behind[rank] = (number, row, event)
    behind = max(groups.values(), key=len, default={})
    if len(behind) < 3:
        return False
    least = min(number for number, _, _ in behind.values())
    low = sorted(rank for rank, (number, _, _) in behind.items() if number == least)
    if len(low) > FEW * len(behind):
        return False
    usual = min(number for number, _, _ in behind.values() if number > least)
    reason = f"its last collective is behind that of the others ({usual})"
    rows = {rank: behind[rank][1] for rank in low}
    for rank in low:
        verdict.ranks.append((rank, 1.0, [reason], [rows[rank]]))
    nodes = Counter(about.top.node_of_rank[r] for r in low if r in about.top.node_of_rank)
    for node, _ in sorted(nodes.items(), key=lambda nc: (-nc[1], nc[0])):
        mine = [rows[r] for r in low if about.top.node_of_rank.get(r) == node]
        verdict.nodes.append((node, 1.0, [reason], mine[:8]))
    told = {id(behind[rank][2]): behind[rank][2] for rank in low}
    for event in told.values():
        mine = [rows[r] for r in low if behind[r][2] is event]
        verdict.roots.append(_part(event, np.array(sorted(mine), np.int64), verdict))
    return True


def _part(event: Event, rows: np.ndarray, verdict: Verdict) -> Event:
    """Split some rows off an event: they are its root, the rest is a consequence."""
    if len(rows) < len(event.rows):
        verdict.events.append(split(event, np.setdiff1d(event.rows, rows), ""))
    return event


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
    own_words = [e for e in events if tells(e) in (None, "timeout", "lost-peer")]
    silent = known - set(about.ranks(own_words))
    if not waiting or not silent or len(silent) > FEW * len(known):
        return False
    if len(waiting) < 0.5 * (len(known) - len(silent)):
        return False
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
    spoken = set(about.ranks(e for e in events if tells(e) in (None, "timeout", "lost-peer")))
    silent: list[int] = []
    for node in top.nodes:
        mine = set(top.ranks_of(node))
        quiet = mine - spoken
        if quiet and 2 * len(quiet) < len(mine) and mine - quiet <= waiting:
            silent += sorted(quiet)
    silent = _blocked_first(silent, about, timeouts)
    if not silent or len(silent) > FEW * len(waiting):
        return False
    first = int(min(int(e.rows[0]) for e in timeouts))
    reason = "all others on its node timed out waiting, it never said a word"
    for rank in silent:
        verdict.ranks.append((rank, 0.8, [reason], [first]))
    for node in dict.fromkeys(top.node_of_rank[rank] for rank in silent):
        verdict.nodes.append((node, 0.8, [reason], [first]))
    return True


def _blocked_first(silent: list[int], about: Subjects, timeouts: list[Event]) -> list[int]:
    """Keep the silent ranks of nodes that waited first: one that is missing blocks its own groups first."""
    rows, top = about.job.rows, about.top
    first: dict[str, int] = {}
    for event in timeouts:
        for row in event.rows[rows.own_time[event.rows]].tolist():
            home = _home(top, int(rows.speaker[row]))
            if home is not None:
                first[home] = min(int(rows.time[row]), first.get(home, int(rows.time[row])))
    if not first:  # without times the order of one file tells
        row = min(int(event.rows[0]) for event in timeouts)
        return [rank for rank in silent if top.node_of_rank[rank] == _home(top, int(rows.speaker[row]))]
    limit = min(first.values()) + int(SKEW_S * 1e6)
    return [rank for rank in silent if first.get(top.node_of_rank[rank], limit) <= limit]


def blame_victims(
    events: list[Event], timeouts: list[Event], verdict: Verdict, about: Subjects, clock: Clock
) -> None:
    """Only victims speak: the timeouts (or else the earliest cry) are all that is known."""
    verdict.kind = "victims"
    speaking = [e for e in events if e.role == "consequence"]
    after = ("death", "asked-to-end", "abort", "ending", "heard")
    pool = timeouts or [e for e in speaking if tells(e) not in after] or speaking or events
    pool = unexplained(pool, about, clock) or pool
    first = min(pool, key=lambda e: (clock.of(e), -e.weight, int(e.rows[0])))
    ended = [e for e in pool if dict(e.values).get("exit_code") in AFTERWARDS]
    same = [
        e
        for e in pool
        if e is first or (e.signature is not None and e.signature == first.signature and e not in ended)
    ]
    verdict.roots = timeouts or same
    named = [e for e in verdict.roots if e.signature is not None and e.signature.names in ("self", "other")]
    if named and not timeouts:
        blame(verdict, about, named, "told the earliest error")
    if not verdict.nodes and not verdict.everybody:
        blame_absent(events, verdict, about)
    if not verdict.nodes and not verdict.everybody:
        blame_outlier(about.job, about.top, verdict)
    if not verdict.nodes and not verdict.everybody:
        verdict.notes.append("cannot tell which node: every line is the word of a victim or a launcher")


def blame_absent(events: list[Event], verdict: Verdict, about: Subjects) -> None:
    """The nodes that say nothing at all of a failure of which all others speak: they could not any more."""
    top = about.top
    if len(top.nodes) < MIN_NODES:
        return
    absent = sorted(set(top.nodes) - _heard(events, about))
    if not absent or len(absent) > FEW * len(top.nodes):
        return
    row = int(min(int(event.rows[0]) for event in verdict.roots))
    verdict.kind = "peer"
    for node in absent:
        verdict.nodes.append((node, 0.6, ["all other nodes speak of the failure, it says nothing"], [row]))
    for node in absent:
        ranks_on(verdict, about, node, "says nothing")


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
