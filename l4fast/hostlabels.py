"""Words in front of lines that may be hosts, and the hosts of tasks: `node07: x`, `EJ0001: x`, `11: x`.

A word in front of `: ` is a host where the job knows it as one, or where it stands in front of lines as a
launcher's label does. Else it is a word of the message: an error's code, a device. An address, or
`localhost`, is the host that its own lines name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from l4fast.hostlists import hosts_in
from l4fast.identities import LOCAL, Said, address_or_local
from l4fast.job import Job
from l4fast.paths import PathFacts
from l4fast.regexes import regex
from l4fast.topology import Topology

_DIGITS = regex(r"\d+")
_DEVICE = regex(r"(?i)(?:gpu|npu|tpu|xpu|hpu|gcd|device|dev|cuda|hip|card|chip|core|cpu|rank)[-_]?\d{1,2}")
_IN_FRONT = ("label", "host")
MIN_NUMBERED = 3  # lines with a number each, all of them large, are numbered
FAR = 64  # times as large as they are many: the numbers are no tasks
MANY_SHAPES = 4  # an error's code stands in front of its own message, a host in front of whatever is said


def believe_labels(job: Job, top: Topology, names: Sequence[str | None], known: Iterable[str]) -> None:
    """Make the words that stand in front of speakers' lines their nodes, or note that they are none.

    ``names`` holds one per speaker (None: it has no such word); ``known`` the hosts that the job tells
    elsewhere.
    """
    wanted = [i for i, name in enumerate(names) if name is not None]
    if not wanted:
        return
    hosts = {name for name in names if name is not None} & set(known)
    hosts |= _labels(job, {i: str(names[i]) for i in wanted if names[i] not in hosts}, top.facts)
    if hosts == {LOCAL} and not any(top.node):
        hosts = set()  # the one node that there is, whatever its name
    behind = _named_behind(names, top.node)
    for i in wanted:
        if names[i] in hosts:
            name = str(names[i])
            top.node[i] = behind.get(name, name)
    top.mistaken = frozenset(i for i in wanted if names[i] not in hosts)


def believe_tasks(
    job: Job, top: Topology, task: Sequence[int | None], expected: int | None
) -> list[int | None]:
    """Return ``task`` (the number in front of each speaker's lines) without those that number a list.

    A launcher labels every line of its tasks, whatever they say. A program that numbers what it prints,
    as layers of a model, writes more lines without a number; each has few forms, or there are more
    numbers than the ``expected`` ranks. Lines that are numbered themselves have each number once, and
    processes have large ones. Such speakers are noted as mistaken.
    """
    if not any(t is not None for t in task):
        return list(task)
    lines = np.bincount(job.pairs.speaker, job.pairs.count, len(job.speakers)).tolist()
    bounds = np.searchsorted(job.pairs.speaker, np.arange(len(job.speakers) + 1)).tolist()
    in_stream: Counter[int] = Counter()
    numbered: Counter[int] = Counter()
    shapes: dict[int, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))  # stream -> task -> them
    for i, (speaker, t) in enumerate(zip(job.speakers, task, strict=True)):
        in_stream[speaker.stream] += lines[i]
        if t is not None:
            numbered[speaker.stream] += lines[i]
            shapes[speaker.stream][t].update(job.pairs.shape[bounds[i] : bounds[i + 1]].tolist())
    lists = set()
    for stream, said in shapes.items():
        n, smallest = len(said), min(said)
        too_many = expected is not None and max(said) >= expected
        few_forms = all(len(forms) < MANY_SHAPES for forms in said.values())
        among_others = 2 * numbered[stream] < in_stream[stream] and (few_forms or too_many)
        of_lines = numbered[stream] == n >= MIN_NUMBERED and smallest >= n
        of_processes = smallest > FAR * n and (too_many or expected is None)
        if among_others or of_lines or of_processes:
            lists.add(stream)
    wrong = {i for i, t in enumerate(task) if t is not None and job.speakers[i].stream in lists}
    top.mistaken |= wrong
    return [None if i in wrong else t for i, t in enumerate(task)]


def _named_behind(names: Sequence[str | None], node: Sequence[str | None]) -> dict[str, str]:
    """Return the host of each address, and of `localhost`: the only one that prefixes behind it tell.

    ``names`` are the words in front of speakers' lines, ``node`` the hosts further in.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for name, host in zip(names, node, strict=True):
        if name is not None and host is not None and address_or_local(name):
            found[name].add(host)
    behind = {name: hosts.pop() for name, hosts in found.items() if len(hosts) == 1}
    tenants = Counter(behind.values())
    return {name: host for name, host in behind.items() if tenants[host] == 1}


def _labels(job: Job, names: Mapping[int, str], facts: Sequence[PathFacts]) -> set[str]:
    """Return which of ``names`` (of speakers) behave as a launcher's labels do.

    Those that differ in their digits are looked at together: each of them is in front of many kinds of
    lines, or most lines of a file have one. For a word without digits, or an address, both must hold.
    """
    names = {i: name for i, name in names.items() if not _DEVICE.fullmatch(name)}
    lines = np.bincount(job.pairs.speaker, job.pairs.count, len(job.speakers))
    in_stream: Counter[int] = Counter()
    in_front: Counter[int] = Counter()  # lines of a stream that have any host or label
    for speaker, n in zip(job.speakers, lines.tolist(), strict=True):
        in_stream[speaker.stream] += n
        in_front[speaker.stream] += n * (speaker.labels[:1] != () and speaker.labels[0][0] in _IN_FRONT)
    shapes: dict[str, set[int]] = defaultdict(set)
    labelled: Counter[tuple[str, int]] = Counter()
    labelled_shapes: dict[tuple[str, int], set[int]] = defaultdict(set)
    alike: dict[str, set[str]] = defaultdict(set)
    bounds = np.searchsorted(job.pairs.speaker, np.arange(len(job.speakers) + 1)).tolist()
    for i, name in names.items():
        group, stream = _DIGITS.sub("0", name), job.speakers[i].stream
        said = set(job.pairs.shape[bounds[i] : bounds[i + 1]].tolist())
        alike[group].add(name)
        shapes[name] |= said
        labelled[group, stream] += lines[i]
        labelled_shapes[group, stream] |= said
    # A word without digits, or a version or an address, may be the message's.
    loose = {group for group in alike if "0" not in group or address_or_local(group)}
    found = {
        group
        for group, several in alike.items()
        if len(several) > 1 and 2 * sum(len(shapes[name]) >= MANY_SHAPES for name in several) >= len(several)
    }
    found |= {
        group
        for (group, stream), n in labelled.items()
        if 2 * n > in_stream[stream]
        and group not in loose
        and (not _told(facts, stream) or len(labelled_shapes[group, stream]) >= MANY_SHAPES)
    }
    found |= {
        group
        for group, stream in labelled
        if group in loose
        and 2 * in_front[stream] > in_stream[stream]
        and all(len(shapes[name]) >= MANY_SHAPES for name in alike[group])
    }
    return {name for group in found for name in alike[group]}


def _told(facts: Sequence[PathFacts], stream: int) -> bool:
    """Whether the name of a stream tells whose it is."""
    fact = facts[stream]
    return any(part is not None for part in (fact.host, fact.pod, fact.node_index, fact.rank))


def hosts_of_tasks(top: Topology, task: Sequence[int | None], said: Iterable[Said]) -> dict[int, str]:
    """Return the host of each task of which lines tell one: the host in front of what the task says, a
    scheduler's words about it, a host that it names as its own.

    Of several hosts the one that most lines name; none where two tasks would be on the same, for such
    labels are no nodes.
    """
    sure: dict[int, Counter[str]] = defaultdict(Counter)
    named: dict[int, Counter[str]] = defaultdict(Counter)
    lists: dict[int, list[Said]] = defaultdict(list)
    for t, node in zip(task, top.node, strict=True):
        if t is not None and node is not None:
            sure[t][node] += 1
    for s in said:
        t = task[s.speaker]
        if s.is_task and s.rank is not None and s.hosts is not None:
            lists[s.row].append(s)
        elif s.is_task and s.rank is not None and s.host is not None:
            sure[s.rank][s.host] += 1
        elif t is not None and s.host is not None and not s.is_task:
            named[t][s.host] += 1
    for found in lists.values():
        hosts = hosts_in(found[0].hosts or "")
        if len(hosts) == len(found):
            for s, host in zip(found, hosts, strict=True):
                sure[s.rank or 0][host] += 1
    home = {}
    for t in named.keys() | sure.keys():
        votes = sure[t] or named[t]
        host, n = votes.most_common(1)[0]
        if 2 * n > votes.total():
            home[t] = host
    tenants = Counter(home.values())
    return {t: host for t, host in home.items() if tenants[host] == 1}
