"""What the names of a job's streams tell: host, rank, attempt, pod.

What a number in a name means is told by its siblings. ``slurm-4711.out`` alone says
nothing, for 4711 is a job; beside ``slurm-4711_1.out`` the ``_0`` is a task. So all names
are looked at together, in four steps:

1. trees and names that launchers and shippers are known to write, each a pattern;
2. numbers that run from 0 over siblings whose names are otherwise alike: a rank, or a
   node where the word before it says so;
3. words that look like host names and differ between siblings, or are all that the name of a
   machine's own log tells (`dmesg.gpu-a07`, `kern/gpu-a07.log`);
4. a second look: a "rank" that begins anew on each host is a local rank.

What is not sure is None.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from l4fast.pathnames import (
    ENDING,
    JOBSET_POD,
    KERNEL_FILES,
    MASTER,
    MAX_CHARS,
    PathFacts,
    Stream,
    known,
    stem_of,
)
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
    _count_ranks(_find_pods(stems, facts), facts)
    _count_folders(stems, facts)
    _find_hosts(stems, facts)
    _find_lone_hosts(stems, facts)
    _second_look(stems, facts)
    _find_streams(stems, facts)
    return [_with_kind(fact, stem) for fact, stem in zip(facts, stems, strict=True)]


# -- 2: pods of a set, numbers that count siblings --------------------------------------------------

_RANK_WORDS = frozenset(
    ("rank", "r", "task", "t", "proc", "process", "worker", "trainer", "gpu", "npu", "device")
)
_LOG_WORDS = frozenset(
    ("", "log", "logs", "out", "output", "stdout", "stderr", "err", "error", "train", "slurm")
)
_NODE_WORDS = frozenset(("node", "nodes", "host", "hosts", "machine", "server", "instance", "vm"))
_HOST_WORDS = _NODE_WORDS | {
    "dgx",
    "hgx",
    "cn",
    "gn",
    "gcn",
    "nid",
    "compute",
    "ip",
    "rack",
    "blade",
    "ln",
    "hpc",
}
_OTHER_WORDS = frozenset(
    {"job", "jobid", "step", "steps", "epoch", "iter", "iteration", "shard", "part", "seed", "version", "v"}
    | {"trial", "fold", "chunk", "stage", "phase", "run", "port", "tp", "pp", "dp", "cp", "ep", "mp", "day"}
    | {"date", "cycle", "attempt", "restart", "retry", "requeue", "exp", "experiment", "config", "cfg"}
    | {"ckpt", "checkpoint", "layer", "split", "batch", "file", "x", "s", "e", "llama", "gpt", "qwen"}
    | {"result", "results", "test", "report", "sample"}
)
_PER_NODE = regex(r"(?:^|[/._-])(?:console|agent|kernel|kern|kmsg|dmesg|syslog|messages)[/._-]")
_SURE = 4  # so many siblings count ranks even after a word that says nothing
_NUMBER = regex(r"\d+")
_BEFORE = regex(r"([A-Za-z]*)([._=\-/]*)$")


_NO_POD = _RANK_WORDS - {"worker", "trainer"} | _LOG_WORDS | _NODE_WORDS


def _find_pods(stems: Sequence[str], facts: list[PathFacts]) -> list[str]:
    """Fill pod and replica where the names of a set's pods count them; return stems without these names.

    The index of a pod is no rank: whatever its containers write is that pod's.
    """
    found: dict[int, tuple[str, re.Match[str]]] = {}
    indices: defaultdict[str, set[int]] = defaultdict(set)
    jobs: defaultdict[str, set[int]] = defaultdict(set)
    for i, stem in enumerate(stems):
        *folders, base = stem.split("/")
        for part in (ENDING.sub("", base), *reversed(folders)):
            match = JOBSET_POD.fullmatch(part)
            if match and match["words"].rsplit("-", 1)[1] not in _NO_POD and facts[i].pod is None:
                found[i] = part, match
                indices[match["words"]].add(int(match["index"]))
                jobs[match["words"]].add(int(match["job"]))
                break
    without = list(stems)
    for i, (part, match) in found.items():
        words = match["words"]
        if _counts(indices[words]) and (jobs[words] == {0} or _counts(jobs[words])):
            fact = facts[i]
            is_file = (
                ENDING.sub("", stems[i].rsplit("/", 1)[-1]) == part
            )  # in a folder, files may count ranks
            layout = fact.layout or ("pod" if is_file else "")
            facts[i] = fact._replace(pod=part, replica=int(match["index"]), layout=layout)
            without[i] = stems[i].replace(part, "pod")
    return without


def _is_open(fact: PathFacts) -> bool:
    """True while nothing says which process or node writes it."""
    return not fact.layout or (fact.layout == "named" and fact.rank is None and fact.local_rank is None)


def _count_ranks(stems: Sequence[str], facts: list[PathFacts]) -> None:
    """Fill rank or node_index from numbers that run from 0 over siblings."""
    by_path = _groups(
        (i for i, fact in enumerate(facts) if _is_open(fact)), lambda i: _NUMBER.sub("#", stems[i])
    )
    alone = []
    for pattern, members in by_path.items():
        if len(members) > 1:
            _count(pattern, members, [_NUMBER.findall(stems[i]) for i in members], facts)
        else:
            alone += members
    # One file in each of many folders: only their own names can be compared.
    bases = {i: stems[i].rsplit("/", 1)[-1] for i in alone}
    for pattern, members in _groups(alone, lambda i: _NUMBER.sub("#", bases[i])).items():
        if len(members) > 1:
            _count(pattern, members, [_NUMBER.findall(bases[i]) for i in members], facts)


_FOLDER = regex(r"(?:^|/)((?:node|worker|host|machine)[-_]?)(\d+)/")


def _count_folders(stems: Sequence[str], facts: list[PathFacts]) -> None:
    """Fill node_index from folders `node_0/`, `node_1/` whatever files are in them."""
    found = {i: match for i, stem in enumerate(stems) if (match := _FOLDER.search(stem))}
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for match in found.values():
        numbers[match[1]].add(int(match[2]))
    for i, match in found.items():
        if _counts(numbers[match[1]]) and facts[i].node_index is None and facts[i].pod is None:
            facts[i] = facts[i]._replace(node_index=int(match[2]), layout=facts[i].layout or "per-node")


def _groups(members: Iterable[int], key: Callable[[int], str]) -> dict[str, list[int]]:
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for i in members:
        groups[key(i)].append(i)
    return groups


def _count(pattern: str, members: list[int], numbers: list[list[str]], facts: list[PathFacts]) -> None:
    """Give the members of one group the numbers that count them."""
    pieces = pattern.split("#")
    node_slot = rank_slot = None
    unsure: list[tuple[int, int]] = []  # (how many values, slot)
    for slot in range(len(pieces) - 1):
        values = {int(row[slot]) for row in numbers}
        word, gap = _word_before("#".join(pieces[: slot + 1]))
        if not _counts(values) or word in _OTHER_WORDS:
            continue
        is_folder = any("/" in piece for piece in pieces[slot + 1 :])
        if _PER_NODE.search("#".join(pieces[: slot + 1])) or (
            word == "gpu" and all(len(row[slot]) > 2 for row in numbers)
        ):
            continue  # a console or kernel log is a node's; gpu-000 is a host, gpu0 a device
        if word in _NODE_WORDS or (word == "worker" and is_folder):
            node_slot = slot
        elif word in _RANK_WORDS:
            rank_slot = slot
        elif word in _LOG_WORDS or (gap and word not in _HOST_WORDS and len(values) >= _SURE):
            unsure.append((len(values), slot))
    if rank_slot is None:
        # Of two counters, only one that differs in every file can be the rank.
        sure = [slot for n_values, slot in unsure if n_values == len(members) or len(unsure) == 1]
        rank_slot = sure[-1] if sure else None
    for i, row in zip(members, numbers, strict=True):
        fact = facts[i]
        if node_slot is not None and fact.node_index is None:
            fact = fact._replace(node_index=int(row[node_slot]), layout=fact.layout or "per-node")
        if rank_slot is not None and fact.rank is None:
            fact = fact._replace(rank=int(row[rank_slot]), layout="per-rank")
        facts[i] = fact


def _word_before(text: str) -> tuple[str, bool]:
    """Return the word before a number, in small letters, and whether anything parts them.

    >>> _word_before("train_log_"), _word_before("node"), _word_before("job.#.")
    (('log', True), ('node', False), ('', True))
    """
    match = _BEFORE.search(text)
    assert match is not None  # the pattern matches the empty string
    word = match[1].lower()
    counted = word in _RANK_WORDS or word in _NODE_WORDS
    return (word if counted or "/" not in match[2] else ""), bool(match[2])


def _counts(values: set[int]) -> bool:
    """True for 0..n-1, a quarter of which may be missing: a dead rank may leave no file."""
    return len(values) > 1 and min(values) == 0 and max(values) < 4 * len(values) / 3


# -- 3: words that look like host names ----------------------------------------------

_WORD = regex(r"[A-Za-z0-9]+")
_IP_HOST = regex(r"(?<![A-Za-z0-9])ip-\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3}(?!\d)")
_LETTERS_DIGITS = regex(r"([A-Za-z]+)(\d{1,6})(?:[a-z]\d{0,3})?")
_NO_HOST = (
    (_RANK_WORDS - {"gpu"})
    | _LOG_WORDS
    | _OTHER_WORDS
    | {"p", "b", "h", "console", "training", "nccl", "journalctl"}
    | KERNEL_FILES
)
_INSIDE = {"torchrun": 4, "open-mpi": 3, "mindformers": 2, "ascend-plog": 1, "ascend-device": 2}


def _find_hosts(stems: Sequence[str], facts: list[PathFacts]) -> None:
    """Fill host from the parts of the names that differ and look like host names."""
    parts_of: dict[int, list[str]] = {}
    siblings: defaultdict[str, set[str]] = defaultdict(set)
    shape_of: dict[str, str] = {}
    for i, fact in enumerate(facts):
        if fact.host is None and fact.pod is None:
            parts = stems[i].split("/")
            parts = parts[: len(parts) - _INSIDE.get(fact.layout, 0)]
            if fact.layout.startswith("ray-"):
                parts = [part for part in parts[:-1] if not part.startswith("session_")]
            elif fact.layout not in _INSIDE and parts:
                parts[-1] = ENDING.sub("", parts[-1])
            parts_of[i] = parts
            for part in parts:
                if part not in shape_of:
                    shape_of[part] = _shape(part)
                siblings[shape_of[part]].add(part)
    host_of: dict[str, str | None] = {}
    for group in siblings.values():
        columns = [_Column.of(set(column)) for column in zip(*map(_WORD.findall, group), strict=True)]
        host_of |= {part: _host_in(part, columns) for part in group}
    for i, parts in parts_of.items():
        host = next((host_of[part] for part in reversed(parts) if host_of[part]), None)
        if host is not None:
            facts[i] = facts[i]._replace(host=host, layout=facts[i].layout or "per-host")


def _shape(part: str) -> str:
    """Return a part with each word that holds a digit as `#`."""
    return _WORD.sub(lambda word: "#" if _NUMBER.search(word[0]) else word[0], part)


@dataclass(frozen=True, slots=True)
class _Column:
    """One word of like names: does it differ, and are its numbers 0..n-1?"""

    varies: bool
    counts: bool
    from_zero: bool

    @classmethod
    def of(cls, values: set[str]) -> _Column:
        numbers = {int(number) for value in values for number in _NUMBER.findall(value)}
        return cls(len(values) > 1, _counts(numbers), 0 in numbers)


def _host_in(part: str, columns: Sequence[_Column]) -> str | None:
    """Return the host named in one part of a path, judged beside the like parts of others."""
    if match := _IP_HOST.search(part):
        return match[0]
    words = list(_WORD.finditer(part))
    for k in reversed(range(len(words))):
        if _NUMBER.search(words[k][0]) and (host := _host_at(part, words, k, columns[k])):
            return host
    return None


def _host_at(part: str, words: list[re.Match[str]], k: int, column: _Column) -> str | None:
    """Return the host that ends with word ``k`` of ``part``, if that is one."""
    word = words[k][0]
    joined = k > 0 and part[words[k - 1].end() : words[k].start()] == "-"
    left = words[k - 1][0].lower() if joined else ""
    left_is_host = left in _HOST_WORDS or left == "gpu"
    whole = part[_left_end(part, words, k) : words[k].end()]
    if word.isdigit():
        if left == "worker" or left == "gpu":
            named = column.varies and (not column.from_zero or (left == "gpu" and len(word) > 2))
        else:
            named = left in _HOST_WORDS and not (left in _NODE_WORDS and column.counts)
        return whole if named and len(word) <= 6 else None
    match = _LETTERS_DIGITS.fullmatch(word)
    if match is None:
        return None
    letters = match[1].lower()
    is_counter = word[len(letters) :].isdigit()  # `r9` may be rank 9, `r9z5` is a place in a rack
    if len(letters) < 3 and left and left not in _NO_HOST:
        return whole if left_is_host or column.varies else None
    if (letters in _NO_HOST and is_counter) or (letters == "gpu" and column.counts):
        return None  # gpu0..gpu7 are devices
    if not column.varies and letters not in _HOST_WORDS:
        return None
    return whole if left_is_host else word


def _left_end(part: str, words: list[re.Match[str]], k: int) -> int:
    """Return where the host name that ends with word ``k`` begins: its words are joined by `-`."""
    first = k
    while first and part[words[first - 1].end() : words[first].start()] == "-":
        left = words[first - 1][0].lower()
        if left.isdigit() or left in _NO_HOST - {"worker"} or k - first == 3:
            break
        first -= 1
    return words[first].start()


_MACHINE = r"(?:dmesg|kern|kmsg|kernel|messages|syslog|journal(?:ctl)?|slurmd|kubelet|fabricmanager)"
_CONSOLES = r"(?:sol|bmc|ipmi|serial)"
_WHOLE_MACHINE = regex(rf"{_MACHINE}(?:[._-]{_MACHINE})*")
_MACHINE_FOLDER = regex(rf"(?:{_MACHINE}|{_CONSOLES})s?")
_OF_MACHINE = regex(
    rf"(?:(?:{_MACHINE}|{_CONSOLES})[._-])+(?P<behind>[^._]+)|(?P<before>[^._]+?)(?:[._-](?:{_MACHINE}|{_CONSOLES}))+"
)
_LONE_HOST = regex(r"(?P<letters>[A-Za-z]+)(?P<rest>[A-Za-z0-9-]*\d[a-z]?)")
_NO_LONE_HOST = (_NO_HOST | _OTHER_WORDS | {"boot", "before", "after", "old", "new", "prev"}) - _HOST_WORDS


def _find_lone_hosts(stems: Sequence[str], facts: list[PathFacts]) -> None:
    """Fill host where nothing but a known word for a machine's log stands beside what looks like one."""
    for i, (stem, fact) in enumerate(zip(stems, facts, strict=True)):
        if fact.host is None and fact.pod is None and fact.node_index is None:
            host = _lone_host(stem)
            if host is not None:
                facts[i] = fact._replace(host=host, layout=fact.layout or "per-host")


def _lone_host(stem: str) -> str | None:
    *_, folder, base = ("", *stem.split("/"))
    base = ENDING.sub("", base)
    if _WHOLE_MACHINE.fullmatch(base.lower()):
        found = folder
    elif match := _OF_MACHINE.fullmatch(base):
        found = match["behind"] or match["before"]
    elif _MACHINE_FOLDER.fullmatch(folder.lower()):
        found = re.sub(r"[._-]console$", "", base)
    else:
        return None
    host = _LONE_HOST.fullmatch(found)
    if host is None:
        return None
    is_counter = host["rest"].lstrip("-").isdigit()
    if is_counter and (host["letters"].lower() in _NO_LONE_HOST or host["letters"].lower() == "gpu"):
        return None  # `gpu0` is a device
    return found


# -- 4: what the answers say together ------------------------------------------------


def _second_look(stems: Sequence[str], facts: list[PathFacts]) -> None:
    """Turn ranks that begin anew on each host into local ranks; count pods as nodes."""
    groups: defaultdict[tuple[str, int | None, str], list[int]] = defaultdict(list)
    jobs: defaultdict[str, list[int]] = defaultdict(list)
    for i, fact in enumerate(facts):
        if fact.rank is not None and fact.local_rank is None and _node(fact) is not None:
            base = _NUMBER.sub("#", stems[i].rsplit("/", 1)[-1])
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
