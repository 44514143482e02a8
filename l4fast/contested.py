"""Streams whose names do not tell where the name of a host ends: is `w1-5` a machine, or process 5 of `w1`?

The lines of all streams that are called alike decide together. Where they do not, nobody is to blame for
what such a stream says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from l4fast.identities import Said
from l4fast.job import Job
from l4fast.pathnames import PathFacts, stem_of
from l4fast.regexes import regex
from l4fast.topology import Topology

_DIGITS = regex(r"\d+")


def settle(job: Job, top: Topology, said: Iterable[Said]) -> None:
    """Decide what the names of contested streams tell.

    The longer name is the host's where lines name it, or where one such stream holds what several processes
    or their launcher say; the shorter one is where lines name it, or where each stream has a rank of its own.
    """
    alike: defaultdict[str, list[int]] = defaultdict(list)
    for i, fact in enumerate(top.facts):
        if fact.longer_host is not None:
            alike[_DIGITS.sub("#", stem_of(top.names[i]))].append(i)
    if not alike:
        return
    named: defaultdict[int, set[str]] = defaultdict(set)
    ranks: defaultdict[int, set[int]] = defaultdict(set)
    for speaker, node, rank in zip(job.speakers, top.node, top.rank, strict=True):
        if node is not None:
            named[speaker.stream].add(node)
        if rank is not None:
            ranks[speaker.stream].add(rank)
    for s in said:
        if s.host is not None:
            named[s.stream].add(s.host)
        if s.rank is not None:
            ranks[s.stream].add(s.rank)
        elif s.is_failure and s.pid is not None:
            ranks[s.stream].update((-1, -2))  # a launcher's words about its workers
    facts = list(top.facts)
    for streams in alike.values():
        longer = _is_longer([(facts[i], named[i], ranks[i]) for i in streams])
        for i in streams:
            facts[i] = _settled(facts[i], longer)
    top.facts = facts


def _is_longer(streams: Sequence[tuple[PathFacts, set[str], set[int]]]) -> bool | None:
    """Whether the longer name is the host's; None where no line tells. ``streams`` holds the hosts and the
    ranks that each one's lines name."""
    if any(fact.longer_host in hosts for fact, hosts, _ in streams):
        return True
    if any(fact.host in hosts for fact, hosts, _ in streams):
        return False
    most = max(len(ranks) for _, _, ranks in streams)
    return most > 1 if most else None


def _settled(fact: PathFacts, longer: bool | None) -> PathFacts:
    if longer:
        return fact._replace(host=fact.longer_host, longer_host=None, rank=None, local_rank=None, kind="node")
    if longer is None and fact.host is not None:
        return fact._replace(host=None, longer_host=None, rank=None, local_rank=None)
    return fact._replace(longer_host=None)
