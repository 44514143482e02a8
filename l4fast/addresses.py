"""Which node, or which machine that wrote no log, is at an address that a line names."""

from __future__ import annotations

import re

from l4fast.identities import clean_host
from l4fast.regexes import regex
from l4fast.topology import Topology

_DIGITS = regex(r"\d+")
ADDRESS = regex(r"\d{1,3}(?:\.\d{1,3}){3}", re.ASCII)
MOSTLY = 0.8  # so many of the nodes' addresses are known: one of nobody's is a machine without a log


def node_at(top: Topology, address: str | None) -> str | None:
    """Return the node that an address or a name stands for, if it is one of the job's."""
    if not address:
        return None
    bare = address.strip("[]").removeprefix("::ffff:")
    if bare in top.node_of_address:
        return top.node_of_address[bare]
    if bare in top.nodes:
        return bare
    name = clean_host(bare)
    name = top.pod_on.get(name, name) if name is not None else None
    return name if name in top.nodes else None


def stranger_at(top: Topology, address: str | None) -> str | None:
    """Return the machine at an address that is no known node's, if it must be one of the job; else None.

    A host is one if its name differs from those of all nodes in digits only. An address is one of the net
    of the others': its host where theirs count up with their addresses, else itself, if nearly every
    node's address is known.
    """
    bare = (address or "").strip("[]").removeprefix("::ffff:")
    if not bare or node_at(top, bare) is not None:
        return None
    outlines = {_DIGITS.sub("0", node) for node in top.nodes}
    if not ADDRESS.fullmatch(bare):
        name = clean_host(bare)
        alike = len(top.nodes) > 1 and name is not None and outlines == {_DIGITS.sub("0", name)}
        return name if alike and "0" in _DIGITS.sub("0", name or "") else None
    net = bare.rsplit(".", 1)[0]
    placed = {a: node for a, node in top.node_of_address.items() if a.rsplit(".", 1)[0] == net}
    names = {
        _counted(node, int(bare.rsplit(".", 1)[1]) - int(a.rsplit(".", 1)[1])) for a, node in placed.items()
    }
    if len(names) == 1 and len(set(placed.values())) > 1 and len(outlines) == 1:
        return names.pop()
    known = set(top.node_of_address.values())
    return bare if placed and len(known) >= MOSTLY * len(top.nodes) and len(known) > 1 else None


def _counted(node: str, steps: int) -> str | None:
    """Return the name so many steps further: `nid0018`, three steps after `nid0015`."""
    found = list(_DIGITS.finditer(node))
    if not found:
        return None
    last = found[-1]
    return f"{node[: last.start()]}{int(last[0]) + steps:0{len(last[0])}}{node[last.end() :]}"
