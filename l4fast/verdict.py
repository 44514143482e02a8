"""Whom the events blame: the record, and how a name gets into it.

A fault that is the same on nearly all ranks has no culprit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from l4fast.events import Event
from l4fast.job import NONE
from l4fast.subjects import Subjects

MOST = 0.8  # a fault on at least this share of the ranks that speak is everybody's
SEVERAL, HALF = 4, 0.5  # a fault on half of several nodes is no node's either
BESIDE = 0.6  # named by less than this share of the lines that name another: by the wrong side
ENDED = (None, "0", "-15", "143", "-2", "130")  # exit codes of who did what it was asked
MANY = 1.25  # a line more than ranks on these nodes: one of them may not be known by its launcher
FEW = 0.34  # at most this share of the ranks may be the silent or hung ones


@dataclass
class Verdict:
    """The events in order of telling, and whom they blame.

    ``ranks`` and ``nodes`` hold (name, score, reasons, rows of evidence), most suspect first.
    """

    events: list[Event]
    roots: list[Event]
    ranks: list[tuple[int, float, list[str], list[int]]] = field(default_factory=list)
    nodes: list[tuple[str, float, list[str], list[int]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kind: str = "none"
    root_time: int = NONE
    everybody: bool = False
    about: Subjects | None = None


def blame(verdict: Verdict, about: Subjects, events: list[Event], reason: str) -> None:
    """Blame whom ``events`` speak of, unless that is nearly everybody, or what fails belongs to all."""
    if all(is_everybodys(event) for event in events):
        verdict.notes.append("what failed is no node's own: no node to blame")
        return
    ranks, nodes = about.ranks(events), about.nodes(events)
    told = max((len(e.rows) for e in events), default=0)
    n_nodes = len(about.top.nodes)
    seen = max(about.all_ranks, default=-1) + 1
    speaking = max(
        about.n_ranks, seen if seen <= 2 * about.n_ranks else 0, n_nodes * (about.top.ranks_per_node or 0)
    )
    if not n_nodes or not about.top.ranks_per_node:
        speaking = max(speaking, about.top.expected or 0)
    own = all(event.role == "root" and event.tells is None for event in events)
    if own and not ranks and not nodes and _blame_the_dead(verdict, about, told, reason):
        return
    # Lines that name few of the nodes tell of these, however many they are.
    most_nodes = len(nodes) >= (MOST if n_nodes < SEVERAL else HALF) * n_nodes
    anybody = not ranks and (not nodes or most_nodes) and told >= MOST * speaking
    if speaking > 1 and (len(ranks) >= MOST * speaking or anybody):
        verdict.everybody = True
        verdict.notes.append("the same fault on nearly all ranks: no node to blame")
        return
    if most_nodes and n_nodes >= (SEVERAL if ranks and len(nodes) < n_nodes else 2):
        verdict.everybody = True
        verdict.notes.append("the same fault on nearly all nodes: no node to blame")
        return
    if all(event.names_culprit for event in events):
        # Whom many name, and whom one or two name beside: the first is meant.
        told_by = _told_by_others(about, events)
        nodes = Counter({n: k for n, k in nodes.items() if told_by.get(n, BESIDE) >= BESIDE})
        ranks = Counter({r: k for r, k in ranks.items() if about.top.node_of_rank.get(r) in {*nodes, None}})
    rows_of: dict[int | str, list[int]] = defaultdict(list)
    first_of: dict[int | str, int] = {}
    for event in events:
        for row in event.rows.tolist():
            who = about.row(event, row)
            names: list[int | str] = [*who.ranks, *who.nodes]
            for name in names:
                rows_of[name].append(row)
                first_of[name] = min(first_of.get(name, row), row)
    for rank, count in sorted(ranks.items(), key=lambda rc: (first_of[rc[0]], rc[0])):
        verdict.ranks.append((rank, 1.0 if count else 0.0, [reason], rows_of[rank][:8]))
    for node, count in sorted(nodes.items(), key=lambda nc: (-nc[1], first_of[nc[0]], nc[0])):
        verdict.nodes.append((node, 1.0 if count else 0.0, [reason], rows_of[node][:8]))
    if not ranks and len(nodes) == 1:
        ranks_on(verdict, about, next(iter(nodes)), reason)
    if not nodes:
        known = bool(about.top.node_of_rank)
        why = (
            "the lines of the error name none"
            if known
            else "no line names one, and no rank can be mapped to one"
        )
        verdict.notes.append(f"cannot tell which node: {why}")


def is_everybodys(event: Event) -> bool:
    """Whether a signature says that its lines blame nobody: a missing shard, say. Code has a place."""
    nobody = event.signature is not None and event.signature.names == "none" and event.tells is None
    return nobody and not (event.category or "").startswith(("user", "data", "numeric"))


def _told_by_others(about: Subjects, events: list[Event]) -> dict[str, float]:
    """Return for nodes that only others name how often they are, as a share of the one named most."""
    rows, top = about.job.rows, about.top
    named: Counter[str] = Counter()
    by_itself: set[str] = set()
    for event in events:
        for row in event.rows.tolist():
            speaker = int(rows.speaker[row])
            home = top.home(speaker)
            for node in about.row(event, row).nodes:
                named[node] += 1
                if node == home:
                    by_itself.add(node)
    most = max(named.values(), default=1)
    return {node: n / most for node, n in named.items() if node not in by_itself}


def _blame_the_dead(verdict: Verdict, about: Subjects, told: int, reason: str) -> bool:
    """Where the errors name nobody, launchers may: whose processes ended by themselves, on few nodes."""
    dead = [
        e
        for e in verdict.events
        if e.tells == "death" and dict(e.values).get("exit_code") not in ENDED and about.ranks([e])
    ]
    nodes, ranks = about.nodes(dead), about.ranks(dead)
    locally = max((n or 0 for n in about.top.local_rank), default=0) + 1
    each = max(about.top.ranks_per_node or 0, locally)
    if not nodes or len(nodes) > FEW * len(about.top.nodes) or told > MANY * len(nodes) * each:
        return False
    row_of: dict[int | str, int] = {}
    for event in dead:
        for row in event.rows.tolist():
            who = about.row(event, row)
            names: list[int | str] = [*who.ranks, *who.nodes]
            for name in names:
                row_of.setdefault(name, row)
    why = f"{reason}; its launcher tells whose processes ended"
    for node, _ in sorted(nodes.items(), key=lambda nc: (-nc[1], nc[0])):
        verdict.nodes.append((node, 0.8, [why], [row_of[node]]))
    for rank in sorted(ranks):
        verdict.ranks.append((rank, 0.6, [why], [row_of[rank]]))
    return True


def is_broken(event: Event) -> bool:
    """Whether a process ended otherwise than it was asked to."""
    return dict(event.values).get("exit_code") not in ENDED


def ranks_on(verdict: Verdict, about: Subjects, node: str, reason: str) -> None:
    """Of a node that is to blame, name the ranks that cried out; all of them if none did.

    Where most ranks of the job wait for others, the ones that do not are the ones waited for.
    """
    mine = about.top.ranks_of(node)
    cried = about.ranks(e for e in verdict.events if e.tells in (None, "abort"))
    waiting = about.ranks(e for e in verdict.events if e.tells in ("timeout", "lost-peer"))
    chosen = [rank for rank in mine if rank in cried and rank not in waiting]
    here = [rank for rank in mine if rank in waiting]
    many_wait = 2 * len(waiting) > about.n_ranks
    if not chosen and (many_wait or 2 * len(here) > len(mine)):
        chosen = [rank for rank in mine if rank not in waiting]
    if not chosen:
        each = (about.top.expected or 0) // max(len(about.top.nodes), 1)
        # Where not all of them are known, the one to name may be another.
        whole = len(mine) >= max(about.top.ranks_per_node or 0, each)
        died = about.ranks(e for e in verdict.events if e.tells == "death" and is_broken(e))
        chosen = here if whole or not many_wait else []
        chosen = chosen or [rank for rank in mine if rank in died] or (mine if whole else [])
    rows = verdict.nodes[0][3] if verdict.nodes else []
    for rank in chosen:
        verdict.ranks.append((rank, 0.6, [f"on {node}, which {reason}"], rows))
