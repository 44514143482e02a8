"""Ranks and nodes of a job: which rank runs where, and how that is known.

Each mapping keeps its source.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

from l4fast.paths import PathFacts


@dataclass
class Topology:
    """Ranks and nodes of a job.

    Attributes
    ----------
    rank, local_rank : list of int or None
        Per speaker.
    node : list of str or None
        Per speaker.
    node_of_rank : dict
        Rank -> node; ``source`` tells how each is known.
    ranks_by_pid, nodes_by_pid : dict
        Process id -> who has it; ask `rank_of_pid` and `node_of_pid`.
    expected : int or None
        The world size that the job itself names.
    """

    rank: list[int | None]
    local_rank: list[int | None]
    node: list[str | None]
    pid: list[int | None]
    facts: list[PathFacts]
    node_of_rank: dict[int, str] = field(default_factory=dict)
    source: dict[int, str] = field(default_factory=dict)
    # Two hosts may give the same process id, so each has a list of (node, rank).
    ranks_by_pid: dict[int, list[tuple[str | None, int]]] = field(default_factory=dict)
    nodes_by_pid: dict[int, list[str]] = field(default_factory=dict)
    node_of_stream: dict[int, str] = field(default_factory=dict)
    node_of_address: dict[str, str] = field(default_factory=dict)
    exit_of_rank: dict[int, str] = field(default_factory=dict)
    subject_of_row: dict[int, tuple[int | None, str | None]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    shared: frozenset[int] = frozenset()
    expected: int | None = None
    ranks_per_node: int | None = None
    silent: frozenset[str] = frozenset()  # nodes of which there are logs, without a line
    tasks_are_agents: bool = False  # a scheduler's task is a node's launcher, no rank
    agents: frozenset[str] = frozenset()  # nodes on which such a task ran
    pod_on: dict[str, str] = field(default_factory=dict)  # machine -> its pod, which is the node's name
    mistaken: frozenset[int] = frozenset()  # speakers whose label is a word of the message

    @cached_property
    def ranks(self) -> list[int]:
        return sorted({r for r in self.rank if r is not None} | set(self.node_of_rank))

    @cached_property
    def nodes(self) -> list[str]:
        return sorted({n for n in self.node if n is not None} | set(self.node_of_rank.values()) | self.agents)

    @cached_property
    def _ranks_of_node(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for rank, node in sorted(self.node_of_rank.items()):
            found[node].append(rank)
        return found

    def forget(self) -> None:
        """Drop what was derived: ranks or nodes have changed."""
        for name in ("ranks", "nodes", "_ranks_of_node"):
            self.__dict__.pop(name, None)

    def rank_of_pid(self, pid: int, node: str | None) -> int | None:
        """The rank with this process id on ``node``; without a node, the only one with it."""
        found = self.ranks_by_pid.get(pid, [])
        here = {rank for host, rank in found if node is not None and host == node}
        if not here:
            here = {rank for host, rank in found if node is None or host is None}
        return next(iter(here)) if len(here) == 1 else None

    def node_of_pid(self, pid: int) -> str | None:
        found = set(self.nodes_by_pid.get(pid, ()))
        return next(iter(found)) if len(found) == 1 else None

    def know_pid(self, pid: int, node: str | None, rank: int | None) -> None:
        """Note on which node, and as which rank, a process runs."""
        if rank is not None and (node, rank) not in self.ranks_by_pid.setdefault(pid, []):
            self.ranks_by_pid[pid].append((node, rank))
        if node is not None and node not in self.nodes_by_pid.setdefault(pid, []):
            self.nodes_by_pid[pid].append(node)

    def home(self, speaker: int) -> str | None:
        """The node of a speaker; None if neither it nor its rank's is known."""
        rank, node = self.rank[speaker], self.node[speaker]
        return node or (self.node_of_rank.get(rank) if rank is not None else None)

    def ranks_of(self, node: str) -> list[int]:
        return self._ranks_of_node.get(node, [])


def set_node(top: Topology, rank: int | None, host: str | None, source: str) -> None:
    """Note where a rank runs and how that is known; what was known first stands."""
    if rank is not None and host is not None and rank not in top.node_of_rank:
        top.node_of_rank[rank] = host
        top.source[rank] = source
