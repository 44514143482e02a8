"""Numbers in the names of a job's streams that run from 0 over siblings: of ranks, of nodes, of pods.

A number alone says nothing. Where it takes the values 0, 1, 2 and so on in names that are otherwise
alike, it counts; the word before it says what.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from l4fast.pathnames import ENDING, JOBSET_POD, PathFacts
from l4fast.regexes import regex

RANK_WORDS = frozenset(
    ("rank", "r", "task", "t", "proc", "process", "worker", "trainer", "gpu", "npu", "device")
)
LOG_WORDS = frozenset(
    ("", "log", "logs", "out", "output", "stdout", "stderr", "err", "error", "train", "slurm")
)
NODE_WORDS = frozenset(("node", "nodes", "host", "hosts", "machine", "server", "instance", "vm"))
HOST_WORDS = NODE_WORDS | {
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
OTHER_WORDS = frozenset(
    {"job", "jobid", "step", "steps", "epoch", "iter", "iteration", "shard", "part", "seed", "version", "v"}
    | {"trial", "fold", "chunk", "stage", "phase", "run", "port", "tp", "pp", "dp", "cp", "ep", "mp", "day"}
    | {"date", "cycle", "attempt", "restart", "retry", "requeue", "exp", "experiment", "config", "cfg"}
    | {"ckpt", "checkpoint", "layer", "split", "batch", "file", "x", "s", "e", "llama", "gpt", "qwen"}
    | {"result", "results", "test", "report", "sample"}
)
_PER_NODE = regex(r"(?:^|[/._-])(?:console|agent|kernel|kern|kmsg|dmesg|syslog|messages)[/._-]")
_SURE = 4  # so many siblings count ranks even after a word that says nothing
NUMBER = regex(r"\d+")
_BEFORE = regex(r"([A-Za-z]*)([._=\-/]*)$")
_NO_POD = RANK_WORDS - {"worker", "trainer"} | LOG_WORDS | NODE_WORDS


def find_pods(stems: Sequence[str], facts: list[PathFacts]) -> list[str]:
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
        if count_from_zero(indices[words]) and (jobs[words] == {0} or count_from_zero(jobs[words])):
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


def count_ranks(stems: Sequence[str], facts: list[PathFacts]) -> None:
    """Fill rank or node_index from numbers that run from 0 over siblings."""
    by_path = _groups(
        (i for i, fact in enumerate(facts) if _is_open(fact)), lambda i: NUMBER.sub("#", stems[i])
    )
    alone = []
    for pattern, members in by_path.items():
        if len(members) > 1:
            _count(pattern, members, [NUMBER.findall(stems[i]) for i in members], facts)
        else:
            alone += members
    # One file in each of many folders: only their own names can be compared.
    bases = {i: stems[i].rsplit("/", 1)[-1] for i in alone}
    for pattern, members in _groups(alone, lambda i: NUMBER.sub("#", bases[i])).items():
        if len(members) > 1:
            _count(pattern, members, [NUMBER.findall(bases[i]) for i in members], facts)


_FOLDER = regex(r"(?:^|/)((?:node|worker|host|machine)[-_]?)(\d+)/")


def count_folders(stems: Sequence[str], facts: list[PathFacts]) -> None:
    """Fill node_index from folders `node_0/`, `node_1/` whatever files are in them."""
    found = {i: match for i, stem in enumerate(stems) if (match := _FOLDER.search(stem))}
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for match in found.values():
        numbers[match[1]].add(int(match[2]))
    for i, match in found.items():
        if count_from_zero(numbers[match[1]]) and facts[i].node_index is None and facts[i].pod is None:
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
        if not count_from_zero(values) or word in OTHER_WORDS:
            continue
        is_folder = any("/" in piece for piece in pieces[slot + 1 :])
        if _PER_NODE.search("#".join(pieces[: slot + 1])) or (
            word == "gpu" and all(len(row[slot]) > 2 for row in numbers)
        ):
            continue  # a console or kernel log is a node's; gpu-000 is a host, gpu0 a device
        if word in NODE_WORDS or (word == "worker" and is_folder):
            node_slot = slot
        elif word in RANK_WORDS:
            rank_slot = slot
        elif word in LOG_WORDS or (gap and word not in HOST_WORDS and len(values) >= _SURE):
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
    counted = word in RANK_WORDS or word in NODE_WORDS
    return (word if counted or "/" not in match[2] else ""), bool(match[2])


def count_from_zero(values: set[int]) -> bool:
    """True for 0..n-1, a quarter of which may be missing: a dead rank may leave no file."""
    return len(values) > 1 and min(values) == 0 and max(values) < 4 * len(values) / 3
