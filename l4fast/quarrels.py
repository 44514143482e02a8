"""Who lost whom: the fewest nodes that explain all quarrels.

A quarrel is the word of one node that it lost another. Where a link is bad, both of its ends speak,
and either may be at fault; a node that is at fault quarrels with each of its neighbours. Those give
up, and are then lost by their own neighbours: a failure spreads in waves, and only the first tells.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from l4fast.addresses import node_at, stranger_at
from l4fast.events import Event
from l4fast.explain import SKEW_S
from l4fast.job import NONE
from l4fast.subjects import LATE, Clock, Subjects
from l4fast.verdict import FEW, Verdict, ranks_on

MUCH = 3  # a tangle with so many times fewer words than another is an after-effect, if it came later
MOST_GUILTY = 6  # of one tangle of quarrels: more would explain anything
WAVE_US = int(2 * SKEW_S * 1e6)  # clocks apart, no wave follows another so soon


class Quarrel(NamedTuple):
    """The word of ``home`` that it lost ``target``: when (`LATE`: not known), where, as part of what.

    Not ``own`` is the time at which its process was found dead.
    """

    home: str
    target: str
    time: int
    own: bool
    row: int
    event: Event


def accused(
    events: list[Event],
    verdict: Verdict,
    about: Subjects,
    clock: Clock,
    *,
    begun: bool,
    told: Mapping[str, int],
) -> bool:
    """Blame the nodes that explain who lost whom; return whether there are such.

    Before the job has ``begun`` to iterate, all meet at one node: few that do not reach it are cut off.
    Nodes that were ``told`` to end, and when, are lost because of that.
    """
    top = about.top
    quarrels = first_wave(_unasked(list(_quarrels(events, about, clock)), told, len(top.nodes)))
    quarrels.sort(key=lambda q: (q.time, q.row))
    streams = np.unique(about.job.rows.stream[[q.row for q in quarrels]])
    ordered = len(streams) == 1 or all(q.own for q in quarrels)
    guilty = _guilty(quarrels, heard(events, about), len(top.nodes), begun=begun, ordered=ordered)
    if not guilty:
        return False
    mine = [q for q in quarrels if q.target in guilty] or [q for q in quarrels if q.home in guilty]
    verdict.roots = list({id(q.event): q.event for q in mine}.values())
    for name in guilty:
        theirs = [q for q in mine if name in (q.home, q.target)]
        by = {other for q in theirs for other in (q.home, q.target)} - {name}
        count = len({int(about.job.rows.speaker[q.row]) for q in theirs if q.target == name})
        reason = (
            f"{count} others lost their connection to it" if count else f"it alone cannot reach {min(by)}"
        )
        verdict.nodes.append((name, 1.0, [reason], [q.row for q in theirs][:8]))
    for name in guilty:
        ranks_on(verdict, about, name, "lost its connections")
    return True


def all_lost_one(victims: Iterable[Event], verdict: Verdict, about: Subjects) -> bool:
    """Blame the one node that several victims of an error lost, all of them, wherever they are themselves."""
    groups = about.evidence.groups
    lost: dict[str, list[int]] = defaultdict(list)
    for row in (row for event in victims for row in event.rows.tolist()):
        node = node_at(about.top, groups.get(row, {}).get("peer"))
        if node is not None:
            lost[node].append(row)
    if len(lost) != 1:
        return False
    ((node, rows),) = lost.items()
    if len(rows) > 1:
        verdict.nodes = [(node, 0.8, ["all others lost their connection to it"], rows[:8])]
    return len(rows) > 1


def heard(events: Iterable[Event], about: Subjects) -> set[str]:
    """Return the nodes that say anything of the failure; all, where most lines do not tell who says them.

    A scheduler speaks for no node.
    """
    theirs = [e.rows for e in events if e.by != "scheduler"]
    rows = np.concatenate([np.empty(0, np.int64), *theirs])
    speakers, lines = np.unique(about.job.rows.speaker[rows], return_counts=True)
    homes = [about.top.home(speaker) for speaker in speakers.tolist()]
    known = np.array([home is not None for home in homes], bool)
    if 2 * lines[known].sum() < lines.sum():
        return set(about.top.nodes)
    return {home for home in homes if home is not None}


def _quarrels(events: Iterable[Event], about: Subjects, clock: Clock) -> Iterable[Quarrel]:
    """Yield who lost whom, but for who was lost when others had already waited in vain."""
    rows, top = about.job.rows, about.top
    events = list(events)
    waited = _first_wait(events, about)
    for event in events:
        if event.tells not in ("lost-peer", "timeout") or event.role == "teardown":
            continue
        for row in event.rows.tolist():
            speaker = int(rows.speaker[row])
            peer = about.evidence.groups.get(row, {}).get("peer")
            target = node_at(top, peer) or stranger_at(top, peer)
            home = top.home(speaker)
            if target is None or home is None or home == target:
                continue
            own = int(rows.time[row]) if rows.own_time[row] and rows.time[row] != NONE else None
            if own is None or own <= waited:
                died = clock.died(top.rank[speaker])  # it was still there when it said so
                yield Quarrel(home, target, died if own is None else own, own is not None, row, event)


def _unasked(quarrels: list[Quarrel], told: Mapping[str, int], n_nodes: int) -> list[Quarrel]:
    """Leave out who lost a node that had been told to end, as far as clocks can tell.

    An order that all heard at once may also be the answer to the failure of a node that most had lost.
    """
    skew = int(SKEW_S * 1e6)
    at_once = bool(told) and max(told.values()) - min(told.values()) <= skew
    lost_by: dict[str, set[str]] = defaultdict(set)
    for q in quarrels:
        if at_once and q.time < told.get(q.home, LATE) and q.time < told.get(q.target, LATE):
            lost_by[q.target].add(q.home)
    return [
        q
        for q in quarrels
        if not q.own or told.get(q.target, LATE) > q.time + skew or 2 * len(lost_by[q.target]) >= n_nodes
    ]


def _first_wait(events: Iterable[Event], about: Subjects) -> int:
    """Return when somebody first said that it had waited in vain, for nobody in particular; or `LATE`."""
    rows = about.job.rows
    plain = [e.rows for e in events if e.tells == "timeout" and not _names_peer(e)]
    told = np.concatenate([np.empty(0, np.int64), *plain])
    timed = rows.time[told[rows.own_time[told]]]
    return int(timed.min()) + int(SKEW_S * 1e6) if timed.size else LATE


def _names_peer(event: Event) -> bool:
    return event.signature is not None and "peer" in event.signature.regex.groupindex


def first_wave(quarrels: Sequence[Quarrel]) -> list[Quarrel]:
    """Return the quarrels of the nodes that spoke before the first pause; all where times are unknown."""
    spoke: dict[str, int] = {}
    for q in quarrels:
        spoke[q.home] = min(q.time, spoke.get(q.home, LATE))
    times = sorted(spoke.values())
    if not times or times[-1] == LATE:
        return list(quarrels)
    last = next((a for a, b in itertools.pairwise(times) if b - a > WAVE_US), times[-1])
    return [q for q in quarrels if spoke[q.home] <= last]


def _guilty(
    quarrels: Sequence[Quarrel], heard: set[str], n_nodes: int, *, begun: bool, ordered: bool
) -> list[str]:
    """Return the nodes that quarrels speak against, in their order if ``ordered``; empty if unclear."""
    few = max(1, int(FEW * n_nodes))
    sources, targets = {q.home for q in quarrels}, {q.target for q in quarrels}
    cut_off = len(targets) == 1 and len(sources) <= few and not sources & targets and n_nodes > 2
    if cut_off and (not begun or (len(sources) == 1 and not targets - heard)):
        return sorted(sources)
    near: dict[str, set[str]] = defaultdict(set)
    for q in quarrels:
        near[q.home].add(q.target)
        near[q.target].add(q.home)
    timed = all(q.time != LATE for q in quarrels)
    found: list[str] = []
    for mine in _main(quarrels, near):
        tangle = {name: near[name] for q in mine for name in (q.home, q.target)}
        spans = len(tangle) > max(3, n_nodes // 2)  # all waves are one
        found += _cover(tangle, heard, 1) or (
            _cover(tangle, heard, MOST_GUILTY)
            if not spans and (timed or not ordered)
            else _first_of(mine)
            if ordered
            else []
        )
    return found if len(found) <= few else []


def _main(quarrels: Sequence[Quarrel], near: dict[str, set[str]]) -> list[list[Quarrel]]:
    """Return the quarrels of each tangle, but of those that came later and are much smaller than another."""
    tangles = [[q for q in quarrels if q.home in tangle] for tangle in _tangles(near)]
    begun = [min(q.time for q in mine) for mine in tangles]
    words = [len({(q.home, q.target, q.row) for q in mine}) for mine in tangles]
    most = max(range(len(tangles)), key=words.__getitem__, default=0)
    return [
        mine
        for mine, time, n in zip(tangles, begun, words, strict=True)
        if time <= begun[most] or n * MUCH >= words[most]
    ]


def _first_of(quarrels: Iterable[Quarrel]) -> list[str]:
    """Return the first node that has two quarrels."""
    near: dict[str, set[str]] = defaultdict(set)
    for q in quarrels:
        near[q.home].add(q.target)
        near[q.target].add(q.home)
        for name in (q.target, q.home):
            if len(near[name]) > 1:
                return [name]
    return []


def _tangles(near: dict[str, set[str]]) -> Iterable[dict[str, set[str]]]:
    """Yield the connected parts of who quarrels with whom."""
    left = dict.fromkeys(near)
    while left:
        part, edge = {}, [next(iter(left))]
        while edge:
            name = edge.pop()
            if name in left:
                del left[name]
                part[name] = near[name]
                edge += near[name]
        yield part


def _cover(near: dict[str, set[str]], heard: set[str], most: int) -> list[str]:
    """Return the nodes, at most ``most``, of the one smallest set that has a part in each quarrel.

    Of several such sets, the one whose nodes say nothing: who is gone does not speak. Else the nodes
    with several quarrels of whom some other lost nobody else: those are sure to have a part.
    """
    found: set[frozenset[str]] = set()
    for size in range(1, most + 1):
        found = found or set(_covers(near, frozenset(), size))
    # One that lost it may as well be the one that is cut off; two are not.
    silent = [cover for cover in found if not cover & heard and all(len(near[name]) > 1 for name in cover)]
    for best in (list(found), silent):
        if len(best) == 1:
            return [name for name in near if name in best[0]]
    sure = {next(iter(others)) for others in near.values() if len(others) == 1}
    return [name for name in near if name in sure and len(near[name]) > 1] if most > 1 else []


def _covers(near: dict[str, set[str]], taken: frozenset[str], size: int) -> Iterable[frozenset[str]]:
    """Yield the sets of ``taken`` and others, at most ``size`` in all, that have a part in each quarrel."""
    for name, others in near.items():
        if name in taken:
            continue
        rest = others - taken
        if rest:
            if len(taken) < size:
                yield from _covers(near, taken | {name}, size)
            if len(taken) + len(rest) <= size:
                yield from _covers(near, taken | rest, size)
            return
    yield taken
