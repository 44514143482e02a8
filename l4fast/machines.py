"""The machines on which pods run: a job knows a node by its pod, and the cluster by its machine.

A pod that is alone on its machine is one node with it, and goes by the pod's name, as its log does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from l4fast.identities import Said
from l4fast.topology import Topology

HEAD_LINES = 12  # of a pod's description, in which its name and its machine stand


def name_described(top: Topology, said: Sequence[Said]) -> None:
    """Give a stream that is the description of one pod this pod, whatever the file is called."""
    top.facts = list(top.facts)
    for stream, pairs in _described(said).items():
        if len({pod for pod, _ in pairs}) == 1:
            ((pod, _), *_rest) = pairs
            top.facts[stream] = top.facts[stream]._replace(pod=pod, host=None)


def learn_machines(top: Topology, said: Sequence[Said]) -> None:
    """Note which machine is which pod of the job, and call what was known by the machine by the pod."""
    machine_of = {s.pod: s.machine for s in said if s.pod is not None and s.machine is not None}
    for pairs in _described(said).values():
        machine_of |= dict(pairs)
    nodes = set(top.nodes)
    pods_on: dict[str, list[str]] = defaultdict(list)
    for pod, machine in machine_of.items():
        if pod in nodes and machine is not None and pod != machine:
            pods_on[machine].append(pod)
    top.pod_on = {machine: pods[0] for machine, pods in pods_on.items() if len(pods) == 1}
    if nodes.isdisjoint(top.pod_on):
        return
    top.node = [top.pod_on.get(node, node) if node is not None else None for node in top.node]
    for known in (top.node_of_rank, top.node_of_stream, top.node_of_address):
        for key, node in known.items():
            known[key] = top.pod_on.get(node, node)  # type: ignore[index]
    top.forget()


def _described(said: Sequence[Said]) -> dict[int, list[tuple[str, str]]]:
    """Return stream -> the pods described in it, each with its machine."""
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    name: dict[int, Said] = {}
    for s in sorted(said, key=lambda s: (s.stream, s.line)):
        if s.pod is not None and s.machine is None:
            name[s.stream] = s
        elif s.machine is not None and s.pod is None and s.stream in name:
            head = name[s.stream]
            if head.pod is not None and s.line - head.line <= HEAD_LINES:
                found[s.stream].append((head.pod, s.machine))
    return found
