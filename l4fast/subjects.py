"""Whom a line speaks of, and when an event was first told."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from l4fast.addresses import ADDRESS, node_at
from l4fast.events import Event, Evidence
from l4fast.hostlists import hosts_in
from l4fast.identities import clean_host, numbers
from l4fast.job import NONE, Job
from l4fast.regexes import regex
from l4fast.telling import is_exception
from l4fast.temporal import Progress
from l4fast.topology import Topology

LATE = 1 << 62  # nothing is known of the time: later than all that is known
# Which words of a line tell whom it is about. A process id in a line about oneself is one's child.
_NAMING = ("pid", "local_rank", "task", "rank", "node")
_NAMING_OF = {"victim": ("pid", "local_rank", "task"), "self": ("rank", "node")}
_TIME_INSIDE = regex(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d\b")


class Subject(NamedTuple):
    """Whom a row speaks of: ranks and nodes; empty where it cannot be told."""

    ranks: tuple[int, ...]
    nodes: tuple[str, ...]


def subject(
    job: Job, top: Topology, evidence: Evidence, event: Event, row: int, lone: frozenset[int]
) -> Subject:
    """Return whom a row is about: the one it names, else who says it; ``lone`` speakers say it once."""
    speaker = int(job.rows.speaker[row])
    groups = evidence.groups.get(row, {})
    names = event.names
    node = top.node[speaker]
    if row in top.subject_of_row:
        rank, host = top.subject_of_row[row]
        host = (
            top.node_of_rank.get(rank, host)
            if rank is not None
            else top.node_of_address.get(host or "", host)
        )
        return Subject((rank,) if rank is not None else (), (host,) if host else ())
    naming = _NAMING_OF.get(names, _NAMING)
    if names == "self" and top.rank[speaker] is not None:
        naming = ()  # the rank in its words may count within a group
    if names == "other" or any(k in groups for k in naming):
        pid = groups.get("pid")
        several = _hosts(top, event, groups.get("host") or groups.get("node"))
        named = several[0] if len(several) == 1 else None
        if pid is not None and pid.isdigit():
            host = named or node or top.node_of_pid(int(pid))
            rank = top.rank_of_pid(int(pid), host)
            if rank is not None:
                host = top.node_of_rank.get(rank) or host
                return Subject((rank,), (host,) if host else ())
        ranks = numbers(groups.get("rank") or (None if top.tasks_are_agents else groups.get("task")))
        host = named
        if ranks:
            hosts = {top.node_of_rank[r] for r in ranks if r in top.node_of_rank}
            if not host and not hosts and node and len(ranks) == 1:
                host = node  # the launcher's line carries the host in its prefix
            return Subject(tuple(ranks), (host,) if host else tuple(sorted(hosts)))
        if host:
            rank = _local(top, host, groups.get("local_rank"))
            return Subject(() if rank is None else (rank,), (host,))
        if several:
            return Subject((), tuple(several))
        if pid is not None and pid.isdigit():
            host = node or top.node_of_pid(int(pid))
            rank = _local(top, host, groups.get("local_rank")) if host else None
            return Subject(() if rank is None else (rank,), (host,) if host else ())
        if names == "other" and event.tells is None and "peer" in groups:
            target = node_at(top, groups["peer"])
            return Subject((), (target,) if target is not None else ())
        if names == "other" and (event.tells is not None or event.role != "root"):
            return Subject((), ())
    who = _speaker(top, speaker)
    if who is not None and not who.ranks and len(who.nodes) == 1:
        rank = _local(top, who.nodes[0], groups.get("local_rank"))
        return who if rank is None else Subject((rank,), who.nodes)
    if who is not None:
        return who
    local = top.local_rank[speaker]
    rank = _by_exit(top, local) if local is not None and speaker in lone else None
    if rank is None:
        return Subject((), ())
    host = top.node_of_rank.get(rank)
    return Subject((rank,), (host,) if host else ())


def _hosts(top: Topology, event: Event, text: str | None) -> list[str]:
    """Return the nodes that a line names: one host, its address, or a scheduler's list of hosts."""
    names = hosts_in(text) if text and "[" in text else [text]
    known = [name if name is not None and ADDRESS.fullmatch(name) else clean_host(name) for name in names]
    hosts = [top.node_of_address.get(host, host) for host in known if host is not None]
    hosts = [top.pod_on.get(host, host) for host in hosts]
    if _may_be_a_server(event):
        hosts = [host for host in hosts if host in top.nodes]  # no file server, no store
    return hosts


def _local(top: Topology, host: str, local: str | None) -> int | None:
    """Return the rank with this local rank on ``host``, if all of its ranks are known."""
    mine = top.ranks_of(host)
    if not local or not local.isdigit() or int(local) >= len(mine):
        return None
    return mine[int(local)] if len(mine) == (top.ranks_per_node or len(mine)) else None


def _is_about_itself(event: Event) -> bool:
    """Whether each line of an event is about who says it, whatever its words are."""
    if event.signature is None:
        return False
    names, words = event.signature.names, event.signature.regex.groupindex
    naming = (*_NAMING_OF.get(names, _NAMING), "local_rank")
    return names != "other" and not any(word.rstrip("0123456789") in naming for word in words)


def _speaker(top: Topology, speaker: int) -> Subject | None:
    """Return who a speaker is; None if only its local rank is known."""
    rank, node = top.rank[speaker], top.node[speaker]
    if rank is not None:
        host = top.node_of_rank.get(rank) or node
        return Subject((rank,), (host,) if host else ())
    if node is None and top.local_rank[speaker] is not None:
        return None
    return Subject((), (node,) if node else ())


def _may_be_a_server(event: Event) -> bool:
    """Whether the host that a line names may be a file server, a store or a switch."""
    return (event.category or "").startswith(("storage", "network"))


def _by_exit(top: Topology, local: int) -> int | None:
    """The one rank with this local rank that ended by itself: in a merged console only it can speak so."""
    width = top.ranks_per_node
    if not width:
        return None
    ended = [
        r for r, code in top.exit_of_rank.items() if r % width == local and code not in ("0", "-15", "-9")
    ]
    return ended[0] if len(ended) == 1 else None


class Subjects:
    """Whom each row and event speaks of, looked up once.

    Most lines are about who says them: those are counted by speaker, never one by one.
    """

    def __init__(self, job: Job, top: Topology, evidence: Evidence) -> None:
        self.job, self.top, self.evidence = job, top, evidence
        self._rows: dict[int, Subject] = {}
        self._lone_of: dict[int, tuple[np.ndarray, frozenset[int]]] = {}
        self._counted: dict[int, tuple[np.ndarray, Counter[int], Counter[str]]] = {}
        self.all_ranks = frozenset(top.ranks)
        self.n_ranks = max(len(self.all_ranks), 1)
        self._is_named = np.zeros(len(job.rows), bool)
        self._is_named[list(top.subject_of_row)] = True

    def row(self, event: Event, row: int) -> Subject:
        if row not in self._rows:
            self._rows[row] = subject(self.job, self.top, self.evidence, event, row, self._lone(event))
        return self._rows[row]

    def _lone(self, event: Event) -> frozenset[int]:
        """Return the speakers that say one line of an event."""
        known = self._lone_of.get(id(event))
        if known is None or known[0] is not event.rows:
            said, count = np.unique(self.job.rows.speaker[event.rows], return_counts=True)
            known = self._lone_of[id(event)] = event.rows, frozenset(said[count == 1].tolist())
        return known[1]

    def ranks(self, events: Iterable[Event]) -> Counter[int]:
        found: Counter[int] = Counter()
        for event in events:
            found.update(self._count(event)[0])
        return found

    def nodes(self, events: Iterable[Event]) -> Counter[str]:
        found: Counter[str] = Counter()
        for event in events:
            found.update(self._count(event)[1])
        return found

    def _count(self, event: Event) -> tuple[Counter[int], Counter[str]]:
        """Return how many lines of an event speak of each rank and of each node."""
        known = self._counted.get(id(event))
        if known is not None and known[0] is event.rows:
            return known[1:]
        ranks: Counter[int] = Counter()
        nodes: Counter[str] = Counter()
        apart = np.ones(len(event.rows), bool)
        if _is_about_itself(event):
            apart = self._is_named[event.rows]
            said, count = np.unique(self.job.rows.speaker[event.rows[~apart]], return_counts=True)
            for speaker, n in zip(said.tolist(), count.tolist(), strict=True):
                who = _speaker(self.top, speaker)
                if who is None:
                    apart |= self.job.rows.speaker[event.rows] == speaker
                    continue
                for rank in who.ranks:
                    ranks[rank] += n
                for node in who.nodes:
                    nodes[node] += n
        for row in event.rows[apart].tolist():
            who = self.row(event, row)
            ranks.update(who.ranks)
            nodes.update(who.nodes)
        self._counted[id(event)] = event.rows, ranks, nodes
        return ranks, nodes

    def share(self, events: list[Event]) -> float:
        """The share of the job's ranks (or nodes) that the events speak of."""
        ranks = self.ranks(events)
        if ranks:
            return len(ranks) / max(self.n_ranks, self.top.expected or 0)
        nodes = self.nodes(events)
        if nodes and not self.top.nodes and not self.all_ranks:
            return 0.0  # named by others, and nobody else is known
        n_nodes = max(len(self.top.nodes), 1)
        pids = {self.evidence.groups.get(row, {}).get("pid") for e in events for row in e.rows.tolist()}
        pids -= {None}
        if nodes and n_nodes > 1:
            of_nodes = len(nodes) / n_nodes
            return min(of_nodes, len(pids) / self.n_ranks) if pids else of_nodes
        return max(len(pids), 1) / self.n_ranks


class Clock:
    """When each event was first told; an estimate where its lines have no time."""

    def __init__(self, job: Job, events: list[Event], about: Subjects, progress: Progress) -> None:
        self._job, self._about, self._progress = job, about, progress
        self._known: dict[int, tuple[np.ndarray, int]] = {}
        rows = job.rows
        self._died: dict[int, int] = {}
        for event in events:
            if event.tells != "death":
                continue
            for row in event.rows.tolist():
                if rows.own_time[row] and rows.time[row] != NONE:
                    for rank in about.row(event, row).ranks:
                        time = int(rows.time[row])
                        self._died[rank] = min(time, self._died.get(rank, time))

    def of(self, event: Event) -> int:
        """Microseconds, or `LATE` where nothing at all is known.

        A line without a time was written before its process was found dead, and not before the
        last iteration was done.
        """
        known = self._known.get(id(event))
        if known is None or known[0] is not event.rows:
            known = self._known[id(event)] = event.rows, self._estimate(event)
        return known[1]

    def died(self, rank: int | None) -> int:
        """When a rank's process was told to have ended: microseconds, or `LATE`."""
        return LATE if rank is None else self._died.get(rank, LATE)

    def _estimate(self, event: Event) -> int:
        rows = self._job.rows
        times = rows.time[event.rows]
        own = times[rows.own_time[event.rows] & (times != NONE)]
        bound = self._progress.last_time
        if own.size:
            return int(own.min())
        if event.by == "scheduler":
            inside = self._time_inside(event)
            # That a node was stopped, in a table without times, says nothing of when.
            if inside != LATE or (event.tells == "stop" and (times == NONE).all()):
                return inside
        ranks = self._about.ranks([event])
        died = [self._died[r] for r in ranks if r in self._died]
        if died:
            return max(min(died) - 1, bound)
        # An exception stands where it was raised, in the output of whom nothing names.
        raised = event.tells is None and event.role == "root" and is_exception(self._job, event)
        own_word = event.by == "program" and (raised or event.tells in ("timeout", "lost-peer"))
        if not ranks and not self._about.nodes([event]) and not own_word:
            known = times[times != NONE]
            if event.category == "numeric" and known.size:
                return int(known.min())  # a value that is no number is told where it came
            # A launcher's or scheduler's word: it comes after what it speaks of.
            return self._time_inside(event)
        known = times[times != NONE]
        if known.size:
            return max(int(known.min()), bound)
        return bound if bound != NONE else LATE

    def _time_inside(self, event: Event) -> int:
        """The time that a line names in its text, such as Slurm's `CANCELLED AT ...`."""
        times = []
        for row in event.rows[:64].tolist():
            match = _TIME_INSIDE.search(self._job.content(row))
            if match:
                with suppress(ValueError):
                    when = dt.datetime.fromisoformat(match[0].replace(" ", "T"))
                    times.append((when - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1))
        return min(times, default=LATE)
