"""What a line's prefix and its file's name tell of who wrote it.

A number in front of a line may be a rank or a node: the lines in which processes say their rank
decide.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from l4fast.identities import Said, address_or_local, clean_host, small
from l4fast.pathnames import ENDING
from l4fast.paths import PathFacts
from l4fast.regexes import regex
from l4fast.topology import Topology
from l4fast.voices import Speaker

_NUMBER_AT_END = regex(r"^(?P<name>[A-Za-z_\-. ]*?)[-_ ]?(?P<number>\d+)$")
_RANK_FILE = regex(r"(?i)(?:^|[^a-z])rank[-_.]?\d+")
_NAME_AND_NUMBER = regex(r"[A-Za-z]+[-_.]?([0-9]+)")
_HYPHENED = regex(r"([a-z][a-z0-9]*(?:-[a-z0-9]+)+)-([0-9]+)")
_FILE_WORDS = frozenset(
    ("log", "logs", "out", "err", "train", "training", "slurm", "job", "run", "console", "output")
)
_RANK_IN = regex(r"(?i)\brank[ =:_]?(\d+)")
_HOST_COLON_LOCAL = regex(r"^(?P<host>[A-Za-z][\w.\-]*[A-Za-z0-9]):(?P<local>\d+)$")


def read_labels(speakers: Sequence[Speaker], top: Topology) -> tuple[list[int | None], list[str | None]]:
    """Fill what a prefix tells outright; return the task numbers and the words that may be hosts."""
    task: list[int | None] = [None] * len(speakers)
    name: list[str | None] = [None] * len(speakers)
    matched: dict[str, re.Match[str] | None] = {}  # a rank has several prefixes, and says the same in each
    for i, speaker in enumerate(speakers):
        for kind, text in speaker.labels:
            if text not in matched:
                matched[text] = _NUMBER_AT_END.match(text)
            number = matched[text]
            if kind in ("mpi_rank", "rank"):
                # The outer prefix stands: a rank further in may count within a process group.
                top.rank[i] = small(number["number"]) if number and top.rank[i] is None else top.rank[i]
            elif kind == "local_rank" or kind == "device":
                top.local_rank[i] = small(number["number"]) if number else None
            elif kind == "task":
                task[i] = small(number["number"]) if number else None
            elif kind == "pid":
                top.pid[i] = small(text)
            elif kind in ("host", "node", "pod"):
                top.node[i] = clean_host(text) or top.node[i]
            elif kind == "ip":
                top.node[i] = top.node[i] or text
            elif kind == "label":
                if text.isdigit():
                    task[i] = small(text)
                elif number is not None and "rank" in number["name"].lower():
                    top.rank[i] = small(number["number"])
                else:
                    name[i] = address_or_local(text) or clean_host(text)
            elif kind == "bracket":
                _read_bracket(text, number, i, top)
    return task, name


def _read_bracket(text: str, number: re.Match[str] | None, i: int, top: Topology) -> None:
    in_rank = _RANK_IN.search(text)
    if in_rank:
        top.rank[i] = small(in_rank[1])
    elif number is not None and number["name"]:
        top.local_rank[i] = small(number["number"])
    else:
        both = _HOST_COLON_LOCAL.match(text)
        if both:
            top.node[i] = clean_host(both["host"])
            top.local_rank[i] = small(both["local"])


def tasks_are_ranks(
    top: Topology, task: Sequence[int | None], said: Iterable[Said], *, agents: bool
) -> bool | None:
    """Decide whether the numbers of `  12: ` are ranks; None where there are none.

    ``agents`` tells that a scheduler's words make its tasks launchers, each of a node.
    """
    tasks = {t for t in task if t is not None}
    if not tasks:
        return None
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for i, t in enumerate(task):
        rank = top.rank[i]
        if t is not None and rank is not None:
            votes[t][rank] += 1
    for s in said:
        t = task[s.speaker]
        if t is not None and s.rank is not None and not s.is_failure:
            votes[t][s.rank] += 1
    votes = {t: v for t, v in votes.items() if t > 0 or set(v) != {0}}  # either way, 0 is the first
    agree = sum(v[t] * 2 > v.total() for t, v in votes.items())
    if votes:
        return agree * 2 >= len(votes)
    if agents:
        return False
    if top.expected:
        return 2 * (max(tasks) + 1) > top.expected  # some may say nothing; a node has two at least
    locals_of: dict[int, set[int]] = defaultdict(set)
    for i, t in enumerate(task):
        local = top.local_rank[i]
        if t is not None and local is not None:
            locals_of[t].add(local)
    # One task a node shows the local ranks of several processes.
    return not any(len(found) > 1 for found in locals_of.values())


def use_tasks(top: Topology, task: Sequence[int | None], home: Mapping[int, str], *, are_ranks: bool) -> None:
    """Give each speaker with the number of a task its rank or its node; ``home`` tells where tasks run."""
    for i, t in enumerate(task):
        if t is None:
            continue
        if are_ranks:
            top.rank[i] = t if top.rank[i] is None else top.rank[i]
        elif top.node[i] is None:
            top.node[i] = home.get(t, f"task {t}")


def from_paths(speakers: Sequence[Speaker], top: Topology) -> None:
    """Give each speaker what its stream's name tells, and what its stream agrees on."""
    # stdout and stderr of a process lie side by side in its own folder.
    folder = [
        name.rpartition("/")[0] if facts.local_rank is not None else name
        for name, facts in zip(top.names, top.facts, strict=False)
    ] or [str(i) for i in range(len(top.facts))]
    ranks_in: dict[str, set[int]] = defaultdict(set)
    for i, speaker in enumerate(speakers):
        rank = top.rank[i]
        if rank is not None:
            ranks_in[folder[speaker.stream]].add(rank)
    label: dict[int, str] = {}  # of each stream: it has many speakers
    for i, speaker in enumerate(speakers):
        facts = top.facts[speaker.stream]
        if top.rank[i] is None:
            if facts.rank is not None and speaker.stream not in top.shared:
                top.rank[i] = facts.rank
            elif facts.local_rank is not None and len(ranks_in[folder[speaker.stream]]) == 1:
                top.rank[i] = next(iter(ranks_in[folder[speaker.stream]]))
        if top.local_rank[i] is None and facts.local_rank is not None:
            top.local_rank[i] = facts.local_rank
        if top.node[i] is None:
            if facts.host is not None:
                top.node[i] = clean_host(facts.host) or facts.host
            elif facts.pod is not None:
                top.node[i] = facts.pod
            elif (index := _node_index(top, speaker.stream)) is not None:
                if speaker.stream not in label:
                    label[speaker.stream] = label_of_node(folder[speaker.stream], index)
                top.node[i] = label[speaker.stream]
                top.node_of_stream.setdefault(speaker.stream, label[speaker.stream])
        if facts.host is not None:
            top.node_of_stream.setdefault(speaker.stream, top.node[i] or facts.host)


def nodes_of(facts: Iterable[PathFacts]) -> frozenset[str]:
    """Return the nodes that names of logs tell, by their hosts or pods."""
    named = ((clean_host(f.host) or f.host) if f.host else f.pod for f in facts)
    return frozenset(name for name in named if name)


def _node_index(top: Topology, stream: int) -> int | None:
    facts = top.facts[stream]
    if facts.node_index is not None:
        return facts.node_index
    return facts.rank if stream in top.shared else None


def label_of_node(name: str, index: int) -> str:
    """The folder or file name that stands for a node whose host is not told.

    Words joined by hyphens that end with the number are one name, unless they tell what the file is.

    >>> label_of_node("logs/llm-w-3.log", 3), label_of_node("train-node-3.log", 3)
    ('llm-w-3', 'node-3')
    """
    digits = str(index).lstrip("0")
    for part in reversed(name.split("/")):
        if _RANK_FILE.search(part):
            continue
        whole = _HYPHENED.fullmatch(ENDING.sub("", part))
        if whole and whole[2].lstrip("0") == digits and not _FILE_WORDS.intersection(whole[1].split("-")):
            return whole[0]
        for match in _NAME_AND_NUMBER.finditer(part):
            if match[1].lstrip("0") == digits:
                return match[0]
    return f"node {index}"
