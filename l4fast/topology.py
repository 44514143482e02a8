"""Who is who: rank and node of each speaker, and how that is known.

Sources, strongest first (``layouts``): a host in the line's prefix, NCCL's own lines, a
launcher's failure table, the scheduler's `host: task N`, lines in which a process says who it
is, folder and file names, and the regular order of ranks over nodes where nothing speaks
against it. Each mapping keeps its source.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from l4fast.job import Job
from l4fast.library import Signature
from l4fast.parse import Speaker
from l4fast.paths import PathFacts

_NUMBER_AT_END = re.compile(r"^(?P<name>[A-Za-z_\-. ]*?)[-_ ]?(?P<number>\d+)$")
_RANK_IN = re.compile(r"(?i)\brank[ =:_]?(\d+)")
_HOST_COLON_LOCAL = re.compile(r"^(?P<host>[A-Za-z][\w.\-]*[A-Za-z0-9]):(?P<local>\d+)$")
_HOSTLIKE = re.compile(r"^(?=.*[A-Za-z])[A-Za-z0-9][\w.\-]*$")
_NOT_HOSTS = frozenset(
    [
        "localhost",
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
_NAMING = frozenset(("host", "rank", "pid", "task", "node"))
_AGENT_NAME = re.compile(r"[`'\"](?P<host>[A-Za-z0-9][\w.\-]*?)_(?P<pid>\d+)_\d+[`'\"]")


@dataclass
class Topology:
    """Ranks and nodes of a job.

    Attributes
    ----------
    rank, local_rank : list of int or None
        Per speaker.
    node : list of str or None
        Per speaker.
    node_of_rank : dict
        Rank -> node; ``source`` tells how each is known.
    ranks_by_pid, nodes_by_pid : dict
        Process id -> who has it; ask `rank_of_pid` and `node_of_pid`.
    expected : int or None
        The world size that the job itself names.
    """

    rank: list[int | None]
    local_rank: list[int | None]
    node: list[str | None]
    pid: list[int | None]
    facts: list[PathFacts]
    node_of_rank: dict[int, str] = field(default_factory=dict)
    source: dict[int, str] = field(default_factory=dict)
    # Two hosts may give the same process id, so each has a list of (node, rank).
    ranks_by_pid: dict[int, list[tuple[str | None, int]]] = field(default_factory=dict)
    nodes_by_pid: dict[int, list[str]] = field(default_factory=dict)
    node_of_stream: dict[int, str] = field(default_factory=dict)
    node_of_address: dict[str, str] = field(default_factory=dict)
    exit_of_rank: dict[int, str] = field(default_factory=dict)
    subject_of_row: dict[int, tuple[int | None, str | None]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    shared: frozenset[int] = frozenset()
    expected: int | None = None
    ranks_per_node: int | None = None

    @cached_property
    def ranks(self) -> list[int]:
        return sorted({r for r in self.rank if r is not None} | set(self.node_of_rank))

    @cached_property
    def nodes(self) -> list[str]:
        return sorted({n for n in self.node if n is not None} | set(self.node_of_rank.values()))

    @cached_property
    def _ranks_of_node(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for rank, node in sorted(self.node_of_rank.items()):
            found[node].append(rank)
        return found

    def forget(self) -> None:
        """Drop what was derived: ranks or nodes have changed."""
        for name in ("ranks", "nodes", "_ranks_of_node"):
            self.__dict__.pop(name, None)

    def rank_of_pid(self, pid: int, node: str | None) -> int | None:
        """The rank with this process id on ``node``; without a node, the only one with it."""
        found = self.ranks_by_pid.get(pid, [])
        here = {rank for host, rank in found if node is not None and host == node}
        if not here:
            here = {rank for host, rank in found if node is None or host is None}
        return next(iter(here)) if len(here) == 1 else None

    def node_of_pid(self, pid: int) -> str | None:
        found = set(self.nodes_by_pid.get(pid, ()))
        return next(iter(found)) if len(found) == 1 else None

    def know_pid(self, pid: int, node: str | None, rank: int | None) -> None:
        """Note on which node, and as which rank, a process runs."""
        if rank is not None and (node, rank) not in self.ranks_by_pid.setdefault(pid, []):
            self.ranks_by_pid[pid].append((node, rank))
        if node is not None and node not in self.nodes_by_pid.setdefault(pid, []):
            self.nodes_by_pid[pid].append(node)

    def ranks_of(self, node: str) -> list[int]:
        return self._ranks_of_node.get(node, [])


def resolve(job: Job, facts: list[PathFacts], rows_in: np.ndarray | None = None) -> Topology:
    """Work out rank and node of each speaker of ``job``.

    ``facts`` is what `path_facts` tells of the job's streams; ``rows_in`` (bool per row) leaves out
    what earlier attempts said, whose ranks may have run elsewhere.
    """
    n = len(job.speakers)
    top = Topology([None] * n, [None] * n, [None] * n, [None] * n, facts)
    top.names = [s.name for s in job.streams]
    task = _read_labels(job.speakers, top)
    said = _identities(job, top, rows_in)
    _task_is_rank(job, top, task, said)
    _ranks_said(job, top, said)
    top.shared = _shared_streams(job, top, said)
    _from_paths(job.speakers, top)
    _learn_pids(job, top, said)
    _learn_hosts(job, top, said, rows_in)
    _use_hosts_of_tables(top, said)
    _complete(job, top)
    top.forget()
    return top


def told(facts: list[PathFacts], speakers: Sequence[Speaker]) -> Topology:
    """Return what prefix and path alone tell of each of ``speakers``, before the job is whole.

    ``facts`` are those of all streams. What needs other lines (is `12:` a rank or a node?) is None.
    """
    n = len(speakers)
    top = Topology([None] * n, [None] * n, [None] * n, [None] * n, facts)
    _read_labels(speakers, top)
    _from_paths(speakers, top)
    return top


def clean_host(name: str | None) -> str | None:
    if not name:
        return None
    name = name.strip().strip("'\"`,;()[]<>").rstrip(":.")
    short = name.split(".")[0] if not name.replace(".", "").isdigit() else name
    if not short or short.lower() in _NOT_HOSTS or not _HOSTLIKE.match(short):
        return None
    return short


def _read_labels(speakers: Sequence[Speaker], top: Topology) -> list[int | None]:
    """Fill what a prefix tells outright; return the ambiguous task numbers."""
    task: list[int | None] = [None] * len(speakers)
    for i, speaker in enumerate(speakers):
        for kind, text in speaker.labels:
            number = _NUMBER_AT_END.match(text)
            if kind in ("mpi_rank", "rank"):
                top.rank[i] = small(number["number"]) if number else top.rank[i]
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
                    top.node[i] = clean_host(text) or top.node[i]
            elif kind == "bracket":
                _read_bracket(text, number, i, top)
    return task


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


@dataclass(frozen=True)
class Said:
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


def _identities(job: Job, top: Topology, rows_in: np.ndarray | None) -> list[Said]:
    """Read the lines of shapes that an identity marker or a naming failure matches."""
    found: list[Said] = []
    wanted: dict[int, list[tuple[Signature, bool]]] = {}
    for i, note in enumerate(job.notes):
        patterns = [(s, False) for s in note.markers if s.marker == "identity"]
        patterns += [
            (s, True)
            for s in note.failures[:1]
            if any(name.rstrip("0123456789") in _NAMING for name in s.regex.groupindex)
        ]
        if patterns:
            wanted[i] = patterns
    if not wanted:
        return found
    rows = job.rows
    worlds: Counter[int] = Counter()
    for row, raw in enumerate(rows.raw.tolist()):
        if raw not in wanted or (rows_in is not None and not rows_in[row]):
            continue
        where = (int(rows.stream[row]), int(rows.line[row]))
        if where not in job.texts:
            continue
        text = job.content(row)
        for signature, is_failure in wanted[raw]:
            groups = signature.read(text)
            if not groups:
                continue
            world = _int(groups.get("world") or groups.get("world_size"))
            if world is not None and 0 < world < 10_000_000:
                worlds[world] += 1
            ranks = numbers(groups.get("rank") or groups.get("task"))
            each: list[int | None] = [*ranks] if ranks else [None]
            for rank in each:
                found.append(
                    Said(
                        row=row,
                        speaker=int(rows.speaker[row]),
                        stream=where[0],
                        line=where[1],
                        rank=rank,
                        local_rank=_int(groups.get("local_rank")),
                        host=clean_host(groups.get("host") or groups.get("node")),
                        pid=_int(groups.get("pid")),
                        world=world,
                        is_failure=is_failure,
                        address=groups.get("address"),
                        exit_code=groups.get("exit_code"),
                    )
                )
    if worlds:
        # Sub-communicators have a world of their own; the job's is the largest.
        top.expected = max(worlds)
        sub = {s.row for s in found if s.world is not None and s.world < top.expected}
        found = [s if s.row not in sub else _without_rank(s) for s in found]
    return found


def _without_rank(said: Said) -> Said:
    return Said(
        said.row, said.speaker, said.stream, said.line, None, said.local_rank, said.host, said.pid,
        said.world, said.is_failure, said.address, said.exit_code,
    )  # fmt: skip


def small(text: str | None) -> int | None:
    """Read a number of at most 15 digits: a longer one is no rank and no process."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 15 else None


def _int(text: str | None) -> int | None:
    return small(text)


def numbers(text: str | None) -> list[int]:
    """Read `3`, `0-3` or `0,2-4` (Slurm's lists); at most 65,536 numbers."""
    if not text or not re.fullmatch(r"[\d,\- ]+", text):
        return []
    found: list[int] = []
    for piece in text.replace(" ", "").split(","):
        low, _, high = piece.partition("-")
        if low.isdigit():
            last = int(high) if high.isdigit() else int(low)
            found.extend(range(int(low), min(last, int(low) + 65536) + 1))
    return found[:65536]


def _task_is_rank(job: Job, top: Topology, task: Sequence[int | None], said: Iterable[Said]) -> None:
    """Decide whether the numbers of `  12: ` are ranks or nodes, and apply it."""
    tasks = {t for t in task if t is not None}
    if not tasks:
        return
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for i, t in enumerate(task):
        rank = top.rank[i]
        if t is not None and rank is not None:
            votes[t][rank] += 1
    for s in said:
        t = task[s.speaker]
        if t is not None and s.rank is not None and not s.is_failure:
            votes[t][s.rank] += 1
    agree = sum(v[t] * 2 > v.total() for t, v in votes.items())
    if votes:
        is_rank = agree * 2 >= len(votes)
    elif top.expected:
        is_rank = max(tasks) + 1 == top.expected
    else:
        locals_of: dict[int, set[int]] = defaultdict(set)
        for i, t in enumerate(task):
            local = top.local_rank[i]
            if t is not None and local is not None:
                locals_of[t].add(local)
        # One task a node shows the local ranks of several processes.
        is_rank = not any(len(found) > 1 for found in locals_of.values())
    for i, t in enumerate(task):
        if t is None:
            continue
        if is_rank:
            top.rank[i] = t if top.rank[i] is None else top.rank[i]
        elif top.node[i] is None:
            top.node[i] = f"task {t}"


def _ranks_said(job: Job, top: Topology, said: Iterable[Said]) -> None:
    """A process that says its rank is that rank in all of its lines."""
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for s in said:
        # Without a label, only a file of one process is one speaker.
        single = top.facts[s.stream].local_rank is not None
        if s.rank is not None and not s.is_failure and (single or job.speakers[s.speaker].labels):
            votes[s.speaker][s.rank] += 1
    for speaker, found in votes.items():
        rank, n = found.most_common(1)[0]
        if top.rank[speaker] is None and 2 * n > found.total():
            top.rank[speaker] = rank


def _shared_streams(job: Job, top: Topology, said: Sequence[Said]) -> frozenset[int]:
    """Return the streams that several processes or an agent write, whatever their names say."""
    ranks: dict[int, set[int]] = defaultdict(set)
    for i, speaker in enumerate(job.speakers):
        rank = top.rank[i]
        if rank is not None:
            ranks[speaker.stream].add(rank)
    for s in said:
        if s.is_failure and s.pid is not None and top.facts[s.stream].local_rank is None:
            ranks[s.stream].update((-1, -2))  # a launcher's words about its workers
        elif s.rank is not None:
            ranks[s.stream].add(s.rank)
    return frozenset(stream for stream, found in ranks.items() if len(found) > 1)


def _from_paths(speakers: Sequence[Speaker], top: Topology) -> None:
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
                top.node[i] = _label_of_node(folder[speaker.stream], index)
                top.node_of_stream.setdefault(speaker.stream, str(top.node[i]))
        if facts.host is not None:
            top.node_of_stream.setdefault(speaker.stream, top.node[i] or facts.host)


def _node_index(top: Topology, stream: int) -> int | None:
    facts = top.facts[stream]
    if facts.node_index is not None:
        return facts.node_index
    return facts.rank if stream in top.shared else None


def _label_of_node(name: str, index: int) -> str:
    """The folder or file name that stands for a node whose host is not told."""
    for part in reversed(name.split("/")):
        match = re.search(rf"[A-Za-z]+[-_.]?0*{index}(?!\d)", part)
        if match:
            return match[0]
    return f"node {index}"


def _learn_pids(job: Job, top: Topology, said: Sequence[Said]) -> None:
    """Join lines about one process: launcher tables (host, rank, exit code are lines apart)."""
    table: dict[int, list[Said]] = defaultdict(list)
    for s in said:
        table[s.stream].append(s)
    for entries in table.values():
        entries.sort(key=lambda s: s.line)
        host: Said | None = None
        rank: Said | None = None
        for s in entries:
            # A failure table prints host, rank, exit code, each on a line of its own.
            if s.host and s.rank is None and s.pid is None:
                host = s
            elif s.rank is not None and s.host is None and s.pid is None and s.local_rank is not None:
                rank = s
                if host is not None and 0 < s.line - host.line <= 3:
                    _set_node(top, s.rank, host.host, "failure table")
            elif s.pid is not None and s.rank is None and s.host is None:
                _join_process(top, s, host, rank)
    for s in said:
        if s.pid is not None and (s.rank is not None or s.host is not None):
            top.know_pid(s.pid, s.host or top.node[s.speaker], s.rank)
    for i, pid in enumerate(top.pid):
        if pid is not None and top.rank[i] is not None:
            top.know_pid(pid, top.node[i], top.rank[i])
    for text, _ in job.texts.values():
        if b"_" in text and b"endezvous" in text:
            match = _AGENT_NAME.search(text.decode("utf-8", "replace"))
            if match:
                top.know_pid(int(match["pid"]), match["host"], None)
    _announced(table, top)
    _spread_over_agents(top, said)


def _announced(table: dict[int, list[Said]], top: Topology) -> None:
    """An agent's `failed (exitcode ..) local_rank: .. (pid: ..)` is told again in the next table."""
    for entries in table.values():
        later: dict[int, tuple[int | None, str | None]] = {}
        for s in reversed(entries):
            if s.pid is None:
                continue
            if s.row in top.subject_of_row:
                later[s.pid] = top.subject_of_row[s.row]
            elif s.is_failure and s.local_rank is not None and s.pid in later:
                top.subject_of_row[s.row] = later[s.pid]


def _join_process(top: Topology, process: Said, host: Said | None, rank: Said | None) -> None:
    """Join the line with the pid to the lines just above it that name rank and host."""
    if process.pid is None or rank is None or rank.rank is None or not 0 < process.line - rank.line <= 3:
        return
    home = host.host if host is not None and 0 < process.line - host.line <= 5 else None
    top.know_pid(process.pid, home, rank.rank)
    top.subject_of_row[process.row] = (rank.rank, home)
    if process.exit_code is not None:
        top.exit_of_rank.setdefault(rank.rank, process.exit_code)


def _spread_over_agents(top: Topology, said: Sequence[Said]) -> None:
    """An agent names its own workers by pid: one known host is the host of all of them."""
    workers: dict[int, set[int]] = defaultdict(set)
    for s in said:
        agent = top.pid[s.speaker]
        if agent is not None and s.pid is not None and s.is_failure:
            workers[agent].add(s.pid)
    for agent, pids in workers.items():
        hosts = Counter(host for p in (agent, *pids) if (host := top.node_of_pid(p)) is not None)
        if len(hosts) == 1:
            (host,) = hosts
            for p in (agent, *pids):
                top.know_pid(p, host, None)


def _set_node(top: Topology, rank: int | None, host: str | None, source: str) -> None:
    if rank is not None and host is not None and rank not in top.node_of_rank:
        top.node_of_rank[rank] = host
        top.source[rank] = source


def _use_hosts_of_tables(top: Topology, said: Sequence[Said]) -> None:
    """Where all failure tables of a node's file name one host, that is its name, not the label."""
    hosts: dict[int, set[str]] = defaultdict(set)
    for s in said:
        if s.row in top.subject_of_row and top.subject_of_row[s.row][1] is not None:
            hosts[s.stream].add(str(top.subject_of_row[s.row][1]))
    alias = {
        top.node_of_stream[stream]: next(iter(found))
        for stream, found in hosts.items()
        if len(found) == 1 and stream in top.node_of_stream
    }
    alias = {label: host for label, host in alias.items() if label != host}
    if not alias or len(set(alias.values())) < len(alias):
        return
    top.node = [alias.get(node, node) if node is not None else None for node in top.node]
    top.node_of_rank = {rank: alias.get(node, node) for rank, node in top.node_of_rank.items()}
    top.node_of_stream = {i: alias.get(node, node) for i, node in top.node_of_stream.items()}


def _learn_hosts(job: Job, top: Topology, said: Sequence[Said], rows_in: np.ndarray | None) -> None:
    active = np.zeros(len(job.speakers), bool)
    active[job.rows.speaker if rows_in is None else job.rows.speaker[rows_in]] = True
    for i in np.flatnonzero(active).tolist():
        pid, rank = top.pid[i], top.rank[i]
        if top.node[i] is not None and rank is not None and _has_host(job, i):
            _set_node(top, rank, top.node[i], "host in the prefix")
        if rank is None and pid is not None:
            top.rank[i] = top.rank_of_pid(pid, top.node[i])
    for s in said:
        if s.rank is not None and s.host is not None:
            _set_node(top, s.rank, s.host, "scheduler or launcher" if s.is_failure else "said by the process")
        elif s.host is not None and s.rank is None and not s.is_failure:
            _set_node(top, top.rank[s.speaker], s.host, "said by the process")
    homes: dict[str, Counter[str]] = defaultdict(Counter)
    for s in said:
        home = top.node[s.speaker]
        if s.address is not None and home is not None:
            homes[s.address][home] += 1
    top.node_of_address.update({address: found.most_common(1)[0][0] for address, found in homes.items()})
    # A rank that speaks in a file of a node is on that node.
    for i, speaker in enumerate(job.speakers):
        if top.node[i] is not None:
            _set_node(top, top.rank[i], top.node[i], "file name")
        if top.node[i] is None and speaker.labels == () and speaker.stream in top.node_of_stream:
            top.node[i] = top.node_of_stream[speaker.stream]
    # A console whose failure tables all name one host is that host's.
    hosts_in: dict[int, set[str]] = defaultdict(set)
    for s in said:
        if s.host is not None and s.is_failure is False and top.facts[s.stream].rank is None:
            hosts_in[s.stream].add(s.host)
    if len(job.streams) > 1:
        for stream, hosts in hosts_in.items():
            if len(hosts) == 1:
                top.node_of_stream.setdefault(stream, next(iter(hosts)))


def _has_host(job: Job, i: int) -> bool:
    return any(kind in ("host", "node", "pod", "ip") for kind, _ in job.speakers[i].labels)


def _complete(job: Job, top: Topology) -> None:
    """Fill gaps by the regular order of ranks over nodes, if what is known fits it."""
    per_node = Counter(top.node_of_rank.values())
    locals_seen = [r for r in top.local_rank if r is not None]
    width = max(max(per_node.values(), default=0), max(locals_seen, default=-1) + 1)
    if width > 0:
        top.ranks_per_node = width
        node_of_block: dict[int, set[str]] = defaultdict(set)
        for rank, node in top.node_of_rank.items():
            node_of_block[rank // width].add(node)
        regular = all(len(nodes) == 1 for nodes in node_of_block.values())
        distinct = len({next(iter(v)) for v in node_of_block.values()}) == len(node_of_block)
        if regular and distinct:
            last = max([*top.ranks, (top.expected or 0) - 1, -1])
            for rank in range(last + 1):
                if rank not in top.node_of_rank and rank // width in node_of_block:
                    home = next(iter(node_of_block[rank // width]))
                    _set_node(top, rank, home, "regular order of ranks")
            _ranks_of_locals(job, top, width, node_of_block)
    for i, known in enumerate(top.rank):
        if known is not None and top.node[i] is None:
            top.node[i] = top.node_of_rank.get(known)
    for i, pid in enumerate(top.pid):
        if pid is not None and top.node[i] is None:
            top.node[i] = top.node_of_pid(pid)
    for pid, found in list(top.ranks_by_pid.items()):
        for host, rank in list(found):
            if host is None and rank in top.node_of_rank:
                top.know_pid(pid, top.node_of_rank[rank], None)
    for i, speaker in enumerate(job.speakers):
        if top.node[i] is None:
            top.node[i] = top.node_of_stream.get(speaker.stream)


def _ranks_of_locals(job: Job, top: Topology, width: int, node_of_block: dict[int, set[str]]) -> None:
    block_of = {next(iter(nodes)): block for block, nodes in node_of_block.items()}
    for i, local in enumerate(top.local_rank):
        node = top.node[i]
        if top.rank[i] is None and local is not None and node in block_of:
            top.rank[i] = block_of[node] * width + local
            _set_node(top, top.rank[i], node, "regular order of ranks")
