"""Streams whose names hold the name of a host that lines of the job name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from l4fast.hostforms import is_dashed_address
from l4fast.identities import Said, clean_host
from l4fast.job import Job
from l4fast.pathnames import ENDING, stem_of
from l4fast.paths import PathFacts
from l4fast.regexes import regex
from l4fast.topology import Topology

_WORD = regex(r"[A-Za-z0-9]+")
_HOST = regex(r"(?=.*[A-Za-z])(?=.*\d)[A-Za-z0-9-]+")  # a word such as `console` may be a label, too
_DIGITS = regex(r"\d+")
MIN_KIN = 2  # streams that bear the name of the host that their lines name: more than chance
MOST_WORDS = 6  # of a host's name
_MACHINES = ("kernel", "agent")


def name_streams(job: Job, top: Topology, said: Iterable[Said]) -> None:
    """Give each stream that is no process's the host in its name, where lines of the job name that host.

    Not where the stream's own lines name another: a console is called after the host that it was written
    on, and holds what all of them say. A process's too, where its own lines name what looks like a host in
    its name. Of a host in a name that goes on, and that no line names, the lines tell where it ends.
    """
    named: dict[int, set[str]] = defaultdict(set)
    for speaker, node in zip(job.speakers, top.node, strict=True):
        if node is not None:
            named[speaker.stream].add(node)
    for s in said:
        if s.host is not None:
            named[s.stream].add(s.host)
    hosts = {host for found in named.values() for host in found if _is_host(host)}
    if not hosts:
        return
    processes = {s.stream for s, rank in zip(job.speakers, top.rank, strict=True) if rank is not None}
    processes |= set(np.unique(job.iterations.first_stream).tolist())
    parts = [stem_of(name).split("/") for name in top.names]
    common = _common([folders[:-1] for folders in parts])
    facts = list(top.facts)
    for i, fact in enumerate(facts):
        if fact.maybe_host is not None and named[i] == {fact.maybe_host}:
            facts[i] = fact = _on(fact, fact.maybe_host)
        is_machine = fact.kind in _MACHINES or i not in processes
        if fact.host is None and fact.pod is None and is_machine:
            host = _namesake([*parts[i][common:-1], ENDING.sub("", parts[i][-1])], hosts)
            if host is not None and named[i] <= {host}:
                facts[i] = _on(fact, host)
        elif fact.host is not None and fact.host not in hosts:
            host = _namesake([*parts[i][common:-1], ENDING.sub("", parts[i][-1])], hosts)
            if host is not None and named[i] <= {host} and _is_piece(*sorted((fact.host, host), key=len)):
                facts[i] = _on(_without_numbers(fact, parts[i], host), host)
    for i, host in _kin(parts, named):
        if facts[i].host is None and facts[i].pod is None and i not in processes:
            facts[i] = _on(facts[i], host)
    top.facts = facts


def _kin(parts: Sequence[Sequence[str]], named: Mapping[int, set[str]]) -> Iterator[tuple[int, str]]:
    """Yield the streams that are called like others, at least two, whose own lines name their names as hosts.

    Such a stream's own lines name no host, as those of a node that is dead or hangs often do not.
    """
    alike: dict[tuple[str, ...], list[tuple[int, str]]] = defaultdict(list)
    for i, (*folders, base) in enumerate(parts):
        host = clean_host(ENDING.sub("", base))
        if host is not None and _is_host(host):
            alike[*folders, _DIGITS.sub("#", base)].append((i, host))
    for found in alike.values():
        told = [(named[i], host) for i, host in found if named.get(i)]
        if len(told) >= MIN_KIN and all(hosts == {host} for hosts, host in told):
            yield from ((i, host) for i, host in found if not named.get(i))


def _on(fact: PathFacts, host: str) -> PathFacts:
    return fact._replace(host=host, layout=fact.layout or "per-host", kind=fact.kind or "node")


def _is_host(name: str) -> bool:
    return _HOST.fullmatch(name) is not None or is_dashed_address(name)


def _is_piece(short: str, long: str) -> bool:
    """Whether one name is some of the joined words of another: the lines know which is the host."""
    return f"-{short}-" in f"-{long}-"


def _without_numbers(fact: PathFacts, parts: Sequence[str], host: str) -> PathFacts:
    """Return what a name tells without a rank that stands in the name of its host alone."""
    rest = {int(digits) for digits in _DIGITS.findall("/".join(parts).replace(host, ""))}
    return fact._replace(
        rank=fact.rank if fact.rank in rest else None,
        local_rank=fact.local_rank if fact.local_rank in rest else None,
    )


def _common(folders: list[list[str]]) -> int:
    """Return how many first folders all names share: of several names, these tell none from another."""
    if len(folders) < 2:
        return 0
    low, high = min(folders), max(folders)
    same = [a == b for a, b in zip(low, high, strict=False)]
    return same.index(False) if False in same else len(same)


def _namesake(parts: Sequence[str], hosts: set[str]) -> str | None:
    """Return the host that the last part which names any names, if it is one only; the longest name wins."""
    for part in reversed(parts):
        words = [match.span() for match in _WORD.finditer(part)]
        for n in range(min(MOST_WORDS, len(words)), 0, -1):
            found = {part[words[k][0] : words[k + n - 1][1]] for k in range(len(words) - n + 1)}
            known = {host for text in found if (host := clean_host(text)) in hosts and host is not None}
            if known:
                return known.pop() if len(known) == 1 else None
    return None
