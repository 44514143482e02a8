"""Which task runs on which host, by a scheduler's lists; which process of a launcher is which rank."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from l4fast.hostlists import hosts_in, in_order
from l4fast.identities import Said
from l4fast.topology import Topology, set_node

_SOURCE = "scheduler or launcher"


def learn_tasks(top: Topology, tasks: Sequence[Said]) -> None:
    """Place the tasks that lists of hosts and tasks name: the same number of them, in order, on each host.

    Only where every task is named, each line agrees, one of them would not agree with another order, and
    nothing that is known of ranks speaks against it. An agent's node has the ranks of its processes.
    """
    said: dict[int, list[Said]] = defaultdict(list)
    for s in tasks:
        said[s.row].append(s)
    lines = []
    for found in said.values():
        hosts = hosts_in(found[0].hosts) if found[0].hosts is not None else [s.host for s in found if s.host]
        lines.append((set(hosts), {s.rank for s in found if s.rank is not None}))
    hosts_of_step = in_order(set().union(*(hosts for hosts, _ in lines)))
    numbers = set().union(*(numbers for _, numbers in lines))
    n, m = len(numbers), len(hosts_of_step)
    if m < 2 or n % m or numbers != set(range(n)) or not any(s.hosts is not None for s in tasks):
        return
    home = [hosts_of_step[task * m // n] for task in range(n)]
    if any({home[task] for task in mine} != hosts for hosts, mine in lines):
        return
    if not any(len(hosts) < m and max(mine) > 0 for hosts, mine in lines):
        return
    width = 1
    if top.tasks_are_agents:
        width, rest = divmod(top.expected or 0, n)
        if width < 2 or rest:
            return
    if all(home[rank // width] == node for rank, node in top.node_of_rank.items() if rank < n * width):
        for rank in range(n * width):
            set_node(top, rank, home[rank // width], _SOURCE)


def learn_started(top: Topology, said: Sequence[Said]) -> None:
    """Give the processes that a node's launcher started their ranks, where it tells the first of them."""
    firsts: dict[str, set[int]] = defaultdict(set)
    for s in said:
        node = top.node[s.speaker]
        if s.first_rank is not None and node is not None:
            firsts[node].add(s.first_rank)
    for s in said:
        node = top.node[s.speaker]
        if node is None or s.pid is None or s.local_rank is None or s.rank is not None or s.is_failure:
            continue
        if len(firsts[node]) == 1:
            rank = next(iter(firsts[node])) + s.local_rank
            set_node(top, rank, node, _SOURCE)
            top.know_pid(s.pid, node, rank)
