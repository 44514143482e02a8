"""Lines in which a process, or a launcher about one, says who it is: rank, host, process id."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple, TypeVar

import numpy as np

from l4fast.hostforms import is_dashed_address
from l4fast.hostlists import hosts_in, in_order
from l4fast.job import Job
from l4fast.readings import Reading
from l4fast.regexes import regex
from l4fast.signature import Signature

_T = TypeVar("_T")

_HOSTLIKE = regex(r"^(?=.*[A-Za-z])[A-Za-z0-9][\w.\-]*$")
LOCAL = "localhost"
_ADDRESS = regex(r"\d{1,3}(?:\.\d{1,3}){3}")
_NOT_HOSTS = frozenset(
    [
        LOCAL,
        "none",
        "null",
        "true",
        "false",
        "cpu",
        "cuda",
        "gpu",
        "rank",
        "node",
        "host",
        "all",
        "any",
        "unknown",
        "training",
        "error",
    ]
)
MOST = 10_000_000  # of ranks, tasks and processes; Linux numbers these up to 4,194,304
GUESS = -20  # signatures of so small a weight are guesses
_DIGITS = regex(r"\d+")
MIN_AGENTS = 3  # tasks, each on a host of its own, before they are taken for nodes
_NAMING = frozenset(("host", "ip", "rank", "pid", "task", "node"))


@lru_cache(maxsize=65_536)
def clean_host(name: str | None) -> str | None:
    """Return a host's short name, or None if the text is no name of a host."""
    if not name:
        return None
    name = name.strip().strip("'\"`,;()[]<>").rstrip(":.")
    short = name.split(".")[0] if not name.replace(".", "").isdigit() else name
    if not short or short.lower() in _NOT_HOSTS:
        return None
    return short if _HOSTLIKE.match(short) or is_dashed_address(short) else None


def address_or_local(label: str) -> str | None:
    """Return a launcher's label that is no name of a host, but stands for one: an address, `localhost`."""
    if label.partition(".")[0] == LOCAL:
        return LOCAL
    return label if _ADDRESS.fullmatch(label) else None


class Said(NamedTuple):
    """One line in which a process (or a launcher about one) says who it is."""

    row: int
    speaker: int
    stream: int
    line: int
    rank: int | None
    local_rank: int | None
    host: str | None
    pid: int | None
    world: int | None
    is_failure: bool
    address: str | None = None
    exit_code: str | None = None
    is_task: bool = False
    is_guess: bool = False  # its host may be none: any program may say such a line
    hosts: str | None = None  # a list of several, and the task is on one of them
    first_rank: int | None = None  # of its node, as the node's launcher tells
    pod: str | None = None
    machine: str | None = None  # on which a pod runs


def identities(
    job: Job, rows_in: np.ndarray | None, ranks: Iterable[int | None]
) -> tuple[list[Said], int | None]:
    """Read the lines of shapes that an identity marker or a naming failure matches.

    ``ranks`` are those that prefixes tell: a world that is too small for one of them, or for a process
    that says its rank, is a group's. Returns what the lines say and the world size that the job itself
    names, if it does.
    """
    found: list[Said] = []
    for i, note in enumerate(job.notes):
        patterns = [(s, False) for s in note.markers if s.marker == "identity"]
        patterns += [
            (s, True)
            for s in note.failures[:1]
            if any(name.rstrip("0123456789") in _NAMING for name in s.regex.groupindex)
        ]
        mine = job.rows_of_raw(i) if patterns else _NO_ROWS
        mine = mine[job.rows.text_size[mine] >= 0]
        if rows_in is not None:
            mine = mine[rows_in[mine]]
        for signature, is_failure in patterns if mine.size else ():
            found += _read(job, mine, signature, is_failure)
    found.sort(key=itemgetter(0))  # stable: what one line says stays in the order of the signatures
    expected: int | None = None
    worlds = {s.world for s in found if s.world is not None and 0 < s.world < MOST}
    if worlds:
        # Sub-communicators have a world of their own; the job's is the largest.
        alone = (s.rank for s in found if s.world is None and not (s.is_failure or s.is_task or s.is_guess))
        least = 1 + max((rank for rank in (*ranks, *alone) if rank is not None), default=-1)
        largest = max(*worlds, least)
        expected = largest if largest in worlds else None
        sub = {s.row for s in found if s.world is not None and s.world < largest}
        found = [s if s.row not in sub else s._replace(rank=None) for s in found]
    return found, expected


def believed(job: Job, said: Sequence[Said], known: Iterable[str | None]) -> list[Said]:
    """Return ``said`` without the hosts that nothing confirms.

    A guess is confirmed by the hosts ``known`` from elsewhere, by a line that is no guess, or by others
    of its wording: these name several hosts that differ in their numbers, and one for each rank.
    """
    hosts = {*known, *(s.host for s in said if not s.is_guess)}
    alike: dict[tuple[int, str], set[tuple[int | None, int, str]]] = defaultdict(set)
    shape = job.rows.shape
    for s in said:
        if s.is_guess and s.host is not None:
            who = (s.rank, -1) if s.rank is not None else (None, s.speaker)
            alike[int(shape[s.row]), _DIGITS.sub("0", s.host)].add((*who, s.host))
    for found in alike.values():
        several = {host for _, _, host in found}
        if len(several) > 1 and len({who[:2] for who in found}) == len(found):
            hosts |= several
    return [s._replace(host=None) if s.is_guess and s.host not in hosts else s for s in said]


def are_agents(
    said: Sequence[Said],
    local_ranks: Iterable[int | None],
    expected: int | None,
    *,
    launched: bool,
    homes: Mapping[str, set[int]],
) -> bool:
    """Whether the tasks of which a scheduler tells are the agents of nodes.

    A scheduler then starts one task a node, and that starts the node's processes. ``expected`` is the
    world size, if the job names it; ``launched`` whether a launcher of processes says anything; ``homes``
    holds each host's ranks, as prefixes and files tell them.
    """
    task_of: dict[str, set[int]] = defaultdict(set)
    rank_of: dict[str, set[int]] = defaultdict(set)
    local = {s.local_rank for s in said} | set(local_ranks)
    for s in said:
        if s.host is not None and s.rank is not None:
            (task_of if s.is_task else rank_of)[s.host].add(s.rank)
    for host, ranks in homes.items():
        rank_of[host] |= ranks
    several = launched or any(n is not None and n > 0 for n in local)
    if _one_task_a_node(said, several, expected):
        return True
    pairs = [(host, task) for host, found in task_of.items() for task in found]
    placed = _told_by_ranks(pairs, rank_of)
    if placed is not None:
        return placed
    tasks = {task for _, task in pairs}
    if len(task_of) < 2 or len(pairs) != len(task_of) or len(tasks) != len(pairs) or not several:
        return False
    # Processes count within their node, and most tasks up to the last are alone on theirs.
    if len(task_of) >= MIN_AGENTS and 2 * len(task_of) > max(tasks) + 1:
        return True
    # Each is as many as its host among all that are known, and these have more ranks than one.
    hosts = in_order({*task_of, *rank_of})
    n_ranks = len(set().union(*rank_of.values()))
    return n_ranks > len(hosts) and all(hosts.index(host) == task for host, task in pairs)


def _told_by_ranks(pairs: Sequence[tuple[str, int]], rank_of: Mapping[str, set[int]]) -> bool | None:
    """Whether tasks on hosts cannot be ranks, by where the ranks are; None where these do not tell.

    A rank is where that rank is known to be, or where the next one to it is.
    """
    host_of = {rank: host for host, found in rank_of.items() for rank in found}
    votes = []
    for host, task in pairs:
        if task == 0 or not host_of:
            continue  # task 0 and rank 0 are on the first node, either way
        if task in rank_of.get(host, ()):
            return False
        if task in host_of:
            return True
        if rank_of.get(host):
            near = min(abs(rank - task) for rank in host_of)
            votes.append(not any(abs(rank - task) == near for rank in rank_of[host]))
    return 2 * sum(votes) > len(votes) if votes else None


def _one_task_a_node(said: Sequence[Said], several: bool, expected: int | None) -> bool:
    """Whether lists of tasks are as long as those of their hosts, and a node has more processes than one."""
    lists: dict[int, list[Said]] = defaultdict(list)
    tasks = {s.rank for s in said if s.is_task and s.rank is not None}
    for s in said:
        if s.is_task and s.hosts is not None and s.rank is not None:
            lists[s.row].append(s)
    alike = [len(hosts_in(found[0].hosts or "")) == len(found) for found in lists.values()]
    if not alike or not all(alike):
        return False
    return several or (expected is not None and expected >= 2 * (max(tasks) + 1))


_NO_ROWS = np.zeros(0, np.int64)


def _read(job: Job, mine: np.ndarray, signature: Signature, is_failure: bool) -> Iterator[Said]:
    """Yield what a signature reads from rows (int64[n]) of one raw shape."""
    rows, reading = job.rows, Reading(job, mine, signature.regex)
    whole = (mine, rows.speaker[mine], rows.stream[mine], rows.line[mine])
    for places, spans in reading.parts():
        if not spans:
            continue
        who = [column[places].tolist() for column in whole]
        n = len(places)
        text = {name: reading.texts(name, places) for name in spans}
        nothing: list[None] = [None] * n
        ranks = _each(text.get("rank") or text.get("task"), _ranks) or [[None]] * n
        rest = (
            _each(text.get("local_rank"), small) or nothing,
            _each(text.get("host") or text.get("node"), clean_host) or text.get("ip") or nothing,
            _each(text.get("pid"), small) or nothing,
            _each(text.get("world") or text.get("world_size"), small) or nothing,
            [is_failure] * n,
            text.get("address") or nothing,
            text.get("exit_code") or nothing,
            ["rank" not in text and "task" in text] * n,
            [signature.weight <= GUESS] * n,
            [host if "[" in host else None for host in text.get("host", ())] or nothing,
            _first_ranks(text) or nothing,
            text.get("pod") or nothing,
            _each(text.get("machine"), clean_host) or nothing,
        )
        for row, speaker, stream, line, several, *others in zip(*who, ranks, *rest, strict=True):
            for rank in several:
                yield Said(row, speaker, stream, line, rank, *others)


def _each(texts: list[str] | None, read: Callable[[str], _T]) -> list[_T]:
    """Return what ``read`` makes of each text; each different one is read once."""
    known = {text: read(text) for text in set(texts or ())}
    return [known[text] for text in texts or ()]


def _first_ranks(text: dict[str, list[str]]) -> list[int | None]:
    """Return the rank of a node's first process, where all nodes have as many."""
    both = zip(text.get("node_rank", ()), text.get("local_world", ()), strict=True)
    return [int(node) * int(each) if small(node) is not None and small(each) else None for node, each in both]


def _ranks(text: str) -> list[int] | list[None]:
    return numbers(text) or [None]


def small(text: str | None) -> int | None:
    """Read a number below `MOST`: a larger one is no rank and no process, but an unset -1 or an address."""
    if not text or not text.isascii() or not text.isdigit() or len(text) > 15:
        return None
    return number if (number := int(text)) < MOST else None


def numbers(text: str | None) -> list[int]:
    """Read `3`, `0-3`, `0,2-4` (Slurm's lists) or `3 17` (numpy's); at most 65,536 numbers."""
    if not text:
        return []
    if text.isdecimal():
        number = small(text)
        return [] if number is None else [number]
    if not re.fullmatch(r"[\d,\- ]+", text):
        return []
    found: list[int] = []
    for piece in re.split(r"[, ]+", re.sub(r" ?- ?", "-", text.strip())):
        low, _, high = piece.partition("-")
        if low.isdigit():
            last = int(high) if high.isdigit() else int(low)
            found.extend(range(int(low), min(last, int(low) + 65536) + 1))
    return [number for number in found[:65536] if number < MOST]
