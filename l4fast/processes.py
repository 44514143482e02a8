"""Which process runs as which rank on which host, by lines that tell it together.

A launcher's failure table tells host, rank and exit code on lines of their own; an agent tells
the process ids of its own workers.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from l4fast.identities import Said
from l4fast.job import Job
from l4fast.regexes import regex
from l4fast.topology import Topology, set_node

_AGENT_NAME = regex(r"[`'\"](?P<host>[A-Za-z0-9][\w.\-]*?)_(?P<pid>\d+)_\d+[`'\"]")
NEAR = 3  # lines between the line of a table that names a host, a rank, and the next


def learn_pids(job: Job, top: Topology, said: Sequence[Said]) -> None:
    """Join lines about one process: launcher tables (host, rank, exit code are lines apart)."""
    table: dict[int, list[Said]] = defaultdict(list)
    one_by_one: dict[tuple[int, int], list[Said]] = defaultdict(list)
    for s in said:
        table[s.stream].append(s)
        # Behind labels, lines of several tables may stand mixed.
        one_by_one[s.stream, s.speaker if job.speakers[s.speaker].labels else -1].append(s)
    mixed = Counter(stream for stream, speaker in one_by_one if speaker >= 0)
    for entries in table.values():
        entries.sort(key=lambda s: s.line)
    for (stream, speaker), entries in one_by_one.items():
        entries.sort(key=lambda s: s.line)
        near = NEAR if speaker < 0 else NEAR * mixed[stream]
        host: Said | None = None
        rank: Said | None = None
        for s in entries:
            # A failure table prints host, rank, exit code, each on a line of its own.
            if s.host and s.rank is None and s.pid is None:
                host = s
            elif s.rank is not None and s.host is None and s.pid is None and s.local_rank is not None:
                rank = s
                if host is not None and 0 < s.line - host.line <= near:
                    set_node(top, s.rank, host.host, "failure table")
            elif s.pid is not None and s.rank is None and s.host is None:
                _join_process(top, s, host, rank, near)
            elif s.is_failure and s.rank is None and host is not None and s.line - host.line <= near // NEAR:
                # Of a record that names the machine just above, and why in one line or two.
                top.subject_of_row[s.row] = (None, host.host)
                host = s._replace(host=host.host)
    for s in said:
        if s.pid is not None and (s.rank is not None or s.host is not None):
            top.know_pid(s.pid, s.host or top.node[s.speaker], s.rank)
    for i, pid in enumerate(top.pid):
        if pid is not None and top.rank[i] is not None:
            top.know_pid(pid, top.node[i], top.rank[i])
    for text in _lines_with(job, b"endezvous"):
        match = _AGENT_NAME.search(text.decode("utf-8", "replace"))
        if match:
            top.know_pid(int(match["pid"]), match["host"], None)
    _announced(table, top)
    _spread_over_agents(top, said)


def _lines_with(job: Job, word: bytes) -> Iterator[bytes]:
    """Yield the kept texts that hold ``word``, in their order."""
    known = np.flatnonzero(job.rows.text_size > 0)
    begins, last = job.rows.text_at[known], -1
    for match in re.finditer(re.escape(word), job.texts):
        row = int(known[np.searchsorted(begins, match.start(), side="right") - 1])
        text = job.row_text(row) if row != last else None
        last = row
        if text is not None and word in text:  # else it stands across the seam of two texts
            yield text


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


def _join_process(top: Topology, process: Said, host: Said | None, rank: Said | None, near: int) -> None:
    """Join the line with the pid to the lines just above it that name rank and host."""
    if process.pid is None or rank is None or rank.rank is None or not 0 < process.line - rank.line <= near:
        return
    home = host.host if host is not None and 0 < process.line - host.line <= 2 * near else None
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


def use_hosts_of_tables(top: Topology, said: Sequence[Said]) -> None:
    """Where all failure tables of a node's file name one host, that is its name, not the label."""
    hosts: dict[int, set[str]] = defaultdict(set)
    for s in said:
        rank, host = top.subject_of_row.get(s.row, (None, None))
        if rank is not None and host is not None:
            hosts[s.stream].add(host)
    alias = {
        top.node_of_stream[stream]: next(iter(found))
        for stream, found in hosts.items()
        if len(found) == 1 and stream in top.node_of_stream
    }
    alias = {label: host for label, host in alias.items() if label != host}
    if not alias or len(set(alias.values())) < len(alias):
        return
    _rename(top, alias)


def use_hosts_of_addresses(top: Topology) -> None:
    """Give what is called after an address, as a kernel's log may be, to the host at that address."""
    alias = {address: host for address, host in top.node_of_address.items() if address != host}
    _rename(top, alias)


def _rename(top: Topology, alias: Mapping[str, str]) -> None:
    top.node = [alias.get(node, node) if node is not None else None for node in top.node]
    top.node_of_rank = {rank: alias.get(node, node) for rank, node in top.node_of_rank.items()}
    top.node_of_stream = {i: alias.get(node, node) for i, node in top.node_of_stream.items()}


def learn_hosts(job: Job, top: Topology, said: Sequence[Said], rows_in: np.ndarray | None) -> None:
    active = np.zeros(len(job.speakers), bool)
    active[job.rows.speaker if rows_in is None else job.rows.speaker[rows_in]] = True
    for i in np.flatnonzero(active).tolist():
        pid, rank = top.pid[i], top.rank[i]
        if top.node[i] is not None and rank is not None and _has_host(job, i):
            set_node(top, rank, top.node[i], "host in the prefix")
        if rank is None and pid is not None:
            top.rank[i] = top.rank_of_pid(pid, top.node[i])
    _by_votes(top, [s for s in said if not s.is_guess])
    homes: dict[str, Counter[str]] = defaultdict(Counter)
    for s in said:
        home = top.node[s.speaker]
        if s.address is not None and home is not None:
            homes[s.address][home] += 1
    top.node_of_address.update({address: found.most_common(1)[0][0] for address, found in homes.items()})
    # A rank that speaks in a file of a node is on that node.
    for rank, node in zip(top.rank, top.node, strict=True):
        set_node(top, rank, node, "file name")
    _by_votes(top, [s for s in said if s.is_guess])
    for i, speaker in enumerate(job.speakers):
        alone = speaker.labels == () or i in top.mistaken
        if top.node[i] is None and alone and speaker.stream in top.node_of_stream:
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


def _by_votes(top: Topology, said: Sequence[Said]) -> None:
    """Note on which host most of the lines that name one say that a rank is."""
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    source: dict[tuple[int, str], str] = {}
    for s in said:
        rank = s.rank if s.rank is not None or s.is_failure else top.rank[s.speaker]
        if rank is not None and s.host is not None:
            votes[rank][s.host] += 1
            told = "scheduler or launcher" if s.is_failure else "said by the process"
            source.setdefault((rank, s.host), told)
    for rank, found in votes.items():
        host, _ = found.most_common(1)[0]
        set_node(top, rank, host, source[rank, host])


def _has_host(job: Job, i: int) -> bool:
    return any(kind in ("host", "node", "pod", "ip") for kind, _ in job.speakers[i].labels)
