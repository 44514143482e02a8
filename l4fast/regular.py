"""The regular order of ranks over nodes: what it tells of ranks of which no line says where they run.

Launchers give each node as many processes, and number them node by node. How many there are on a node
is seldom told: it follows from which ranks share a node and which do not, from local ranks, and from how
many nodes and ranks there are in all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from l4fast.identities import Said
from l4fast.job import Job
from l4fast.topology import Topology, set_node

MOST = 512  # processes on one node


def complete(job: Job, top: Topology, said: Iterable[Said]) -> None:
    """Fill gaps by the regular order of ranks over nodes, if what is known fits it."""
    ranks_on: dict[str, set[int]] = defaultdict(set)
    for rank, node in top.node_of_rank.items():
        ranks_on[node].add(rank)
    firsts = _firsts(top, said)
    locals_seen = [r for r in top.local_rank if r is not None]
    least = max([len(ranks) for ranks in ranks_on.values()] + [r + 1 for r in locals_seen], default=0)
    ranks = {*top.node_of_rank, *(r for r in top.rank if r is not None)}
    last = max(max(ranks, default=-1), (top.expected or 0) - 1)
    width, n_nodes = width_of(ranks_on, firsts, least, last + 1, (len(top.nodes), len(ranks_on)))
    top.ranks_per_node = width or least or None
    if width:
        last = max(last, n_nodes * width - 1)
        block_of = {node: min(ranks) // width for node, ranks in ranks_on.items()}
        for node, block in sorted(block_of.items(), key=lambda item: item[1]):
            for rank in range(block * width, min((block + 1) * width, last + 1)):
                set_node(top, rank, node, "regular order of ranks")
        _ranks_of_locals(top, width, block_of)
    for i, known in enumerate(top.rank):
        if known is not None and top.node[i] is None:
            top.node[i] = top.node_of_rank.get(known)
    for i, pid in enumerate(top.pid):
        if pid is not None and top.node[i] is None:
            top.node[i] = top.node_of_pid(pid)
    for pid, found in list(top.ranks_by_pid.items()):
        for host, rank in list(found):
            if host is None and rank in top.node_of_rank:
                top.know_pid(pid, top.node_of_rank[rank], None)
    for i, speaker in enumerate(job.speakers):
        if top.node[i] is None:
            top.node[i] = top.node_of_stream.get(speaker.stream)


def width_of(
    ranks_on: Mapping[str, set[int]],
    firsts: Mapping[str, set[int]],
    least: int,
    n_ranks: int,
    n_nodes: tuple[int, ...],
) -> tuple[int, int]:
    """Return how many ranks a node has, 0 if no number fits; and how many nodes, 0 if that is not sure.

    ``ranks_on`` and ``firsts`` hold the ranks known on each node and what their local ranks make its first;
    ``least`` is the fewest that a node may have, ``n_ranks`` how many ranks there are at least, ``n_nodes``
    the numbers of nodes that come into question.

    >>> width_of({"a": {0, 1, 2}, "b": {5, 6, 7}}, {}, 3, 8, (2,))
    (4, 2)
    """
    span = max((max(ranks) - min(ranks) + 1 for ranks in ranks_on.values()), default=0)
    least = max(least, span, 1)
    if not ranks_on:
        return 0, 0

    def fits(width: int) -> bool:
        blocks = [{rank // width for rank in ranks} for ranks in ranks_on.values()]
        apart = len({next(iter(block)) for block in blocks}) == len(blocks)
        begun = all({min(ranks_on[node]) // width * width} == found for node, found in firsts.items())
        return apart and begun and all(len(block) == 1 for block in blocks)

    if sum(len(ranks) == least for ranks in ranks_on.values()) > 1 and least > 1 and fits(least):
        return least, 0
    choices = sorted(range(least, min(max(n_ranks, least), MOST) + 1), key=_how_unusual)
    for n in n_nodes if len(ranks_on) > 1 else ():
        for width in choices:
            if n > 1 and -(-n_ranks // width) == n and fits(width):
                return width, n
    powers = [width for width in choices if _how_unusual(width)[0] == 0]
    return next((width for width in (least, *powers) if fits(width)), 0), 0


def _how_unusual(width: int) -> tuple[int, int]:
    """Sort powers of two first."""
    return (int(width & (width - 1) != 0), width)


def _firsts(top: Topology, said: Iterable[Said]) -> dict[str, set[int]]:
    """Return node -> its first ranks, as the lines that tell a rank and its local rank have it."""
    pairs = {(s.rank, s.local_rank) for s in said} | set(zip(top.rank, top.local_rank, strict=True))
    found: dict[str, set[int]] = defaultdict(set)
    for rank, local in pairs:
        if rank is not None and local is not None and rank in top.node_of_rank:
            found[top.node_of_rank[rank]].add(rank - local)
    # A rank within a group beside a local rank tells nothing.
    sound = all(len(ranks) == 1 and min(ranks) >= 0 for ranks in found.values())
    return found if sound and len(set().union(*found.values())) == len(found) else {}


def _ranks_of_locals(top: Topology, width: int, block_of: Mapping[str, int]) -> None:
    for i, local in enumerate(top.local_rank):
        node = top.node[i]
        if top.rank[i] is None and local is not None and node is not None and node in block_of:
            top.rank[i] = block_of[node] * width + local
            set_node(top, top.rank[i], node, "regular order of ranks")
