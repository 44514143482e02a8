"""What the names of a job's streams tell: host, rank, attempt, pod.

What a number in a name means is told by its siblings. ``slurm-4711.out`` alone says
nothing, for 4711 is a job; beside ``slurm-4711_1.out`` the ``_0`` is a task. So all names
are looked at together, in four steps:

1. trees and names that launchers and shippers are known to write, each a pattern;
2. numbers that run from 0 over siblings whose names are otherwise alike: a rank, or a
   node where the word before it says so;
3. words that look like host names and differ between siblings, or are all that the name of a
   machine's own log tells (`dmesg.gpu-a07`, `kern/gpu-a07.log`); those that hold several numbers are
   found before anything is counted;
4. a second look: a "rank" that begins anew on each host is a local rank.

What is not sure is None.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from l4fast.pathcounts import NUMBER, count_folders, count_ranks, find_pods
from l4fast.pathhosts import find_hosts, find_lone_hosts
from l4fast.pathjoined import find_joined
from l4fast.pathnames import MASTER, MAX_CHARS, PathFacts, Stream, known, stem_of
from l4fast.regexes import regex

__all__ = ["PathFacts", "path_facts"]


def path_facts(names: Sequence[str]) -> list[PathFacts]:
    """Return what each of ``names``, all stream names of one job, tells.

    >>> [f.rank for f in path_facts(["log_0000.out", "log_0001.out", "slurm-4711.out"])]
    [0, 1, None]
    >>> [f.host for f in path_facts(["gpu-a01/train.log", "gpu-a02/train.log"])]
    ['gpu-a01', 'gpu-a02']
    """
    stems = [stem_of(name[-MAX_CHARS:]) for name in names]
    facts = [known(stem) for stem in stems]
    joined = find_joined(find_pods(stems, facts), facts)
    count_ranks(joined.stems, facts)
    count_folders(stems, facts)
    for i, host in joined.hosts.items():
        facts[i] = facts[i]._replace(host=host, layout=facts[i].layout or "per-host")
    find_hosts(stems, facts)
    find_lone_hosts(stems, facts)
    _second_look(joined.stems, facts)
    for i, host in joined.contested.items():
        facts[i] = facts[i]._replace(longer_host=host)
    _find_streams(stems, facts)
    return [_with_kind(fact, stem) for fact, stem in zip(facts, stems, strict=True)]


# -- 4: what the answers say together ------------------------------------------------


def _second_look(stems: Sequence[str], facts: list[PathFacts]) -> None:
    """Turn ranks that begin anew on each host into local ranks; count pods as nodes."""
    groups: defaultdict[tuple[str, int | None, str], list[int]] = defaultdict(list)
    jobs: defaultdict[str, list[int]] = defaultdict(list)
    for i, fact in enumerate(facts):
        if fact.rank is not None and fact.local_rank is None and _node(fact) is not None:
            base = NUMBER.sub("#", stems[i].rsplit("/", 1)[-1])
            groups[fact.layout, fact.attempt, base].append(i)
        if fact.pod is not None and fact.replica is not None:
            jobs[re.split(r"-(?:master|chief|head|worker|launcher|ps|trainer|node)-", fact.pod)[0]].append(i)
    for members in groups.values():
        nodes_of: defaultdict[int, set[str]] = defaultdict(set)
        for i in members:
            nodes_of[facts[i].rank or 0].add(_node(facts[i]) or "")
        if 2 * sum(len(nodes) > 1 for nodes in nodes_of.values()) > len(nodes_of):
            for i in members:
                facts[i] = facts[i]._replace(rank=None, local_rank=facts[i].rank)
    for members in jobs.values():
        first = any(MASTER.search(facts[i].pod or "") for i in members)
        for i in members:
            pod, replica = facts[i].pod or "", facts[i].replica or 0
            if facts[i].node_index is None and not re.search(r"-(?:launcher|ps)-\d+", pod):
                index = replica if MASTER.search(pod) or not first else replica + 1
                facts[i] = facts[i]._replace(node_index=index)


def _node(fact: PathFacts) -> str | None:
    """Return whatever tells this stream's node from the others."""
    if fact.host is not None or fact.pod is not None:
        return fact.host or fact.pod
    return None if fact.node_index is None else str(fact.node_index)


_STREAM = regex(r"(?:^|[/._-])(stdout|stderr)(?=$|[._-])")
_CONSOLE = regex(r"(?:slurm|console|output|train|training|run|job|nohup|main|log)(?:[._-]|$)")


def _find_streams(stems: Sequence[str], facts: list[PathFacts]) -> None:
    """Fill stream; `.out` is stdout only beside an `.err`, for Slurm puts both into it."""
    present = set(stems)
    for i, stem in enumerate(stems):
        stream: Stream | None = None
        if match := _STREAM.search(stem.lower()):
            stream = "stdout" if match[1] == "stdout" else "stderr"
        elif stem.endswith(".err"):
            stream = "stderr"
        elif stem.endswith(".out") and (stem[:-4] + ".err" in present or facts[i].layout == "ray-worker"):
            stream = "stdout"
        if stream is not None:
            facts[i] = facts[i]._replace(stream=stream)


def _with_kind(fact: PathFacts, stem: str) -> PathFacts:
    """Return ``fact`` with the kind that the rest of it implies."""
    if fact.pod is not None and not fact.layout:
        fact = fact._replace(layout="pod")
    if fact.kind is not None:
        return fact
    if fact.rank is not None or fact.local_rank is not None:
        return fact._replace(kind="rank")
    if _node(fact) is not None:
        return fact._replace(kind="node")
    if _CONSOLE.match(stem.rsplit("/", 1)[-1].lower()):
        return fact._replace(kind="console")
    return fact
