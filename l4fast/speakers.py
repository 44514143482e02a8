"""Who is who: rank and node of each speaker.

Sources, strongest first (``layouts``): a host in the line's prefix, NCCL's own lines, a
launcher's failure table, the scheduler's `host: task N`, lines in which a process says who it
is, folder and file names, lines that may say so, and the regular order of ranks over nodes where
nothing speaks against it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from l4fast.contested import settle
from l4fast.hostlabels import believe_labels, believe_tasks, hosts_of_tasks
from l4fast.identities import Said, are_agents, believed, clean_host, identities
from l4fast.job import Job
from l4fast.labels import from_paths, read_labels, tasks_are_ranks, use_tasks
from l4fast.machines import learn_machines, name_described
from l4fast.namesakes import name_streams
from l4fast.paths import PathFacts
from l4fast.processes import learn_hosts, learn_pids, use_hosts_of_addresses, use_hosts_of_tables
from l4fast.regular import complete
from l4fast.tasks import learn_started, learn_tasks
from l4fast.topology import Topology
from l4fast.voices import Speaker


def resolve(job: Job, facts: list[PathFacts], rows_in: np.ndarray | None = None) -> Topology:
    """Work out rank and node of each speaker of ``job``.

    ``facts`` is what `path_facts` tells of the job's streams; ``rows_in`` (bool per row) leaves out
    what earlier attempts said, whose ranks may have run elsewhere.
    """
    n = len(job.speakers)
    top = Topology([None] * n, [None] * n, [None] * n, [None] * n, facts)
    top.names = [s.name for s in job.streams]
    task, front = read_labels(job.speakers, top)
    said, top.expected = identities(job, rows_in, top.rank)
    known = {clean_host(host) for f in facts for host in (f.host, f.pod)} | {*top.node}
    told_of = known | {s.host for s in said if not s.is_guess}
    believe_labels(job, top, front, [host for host in told_of if host is not None])
    task = believe_tasks(job, top, task, top.expected)
    said = believed(job, said, known | {*top.node})
    tasks = [s for s in said if s.is_task and s.rank is not None]
    launched = any(s.by == "launcher" for note in job.notes for s in note.failures)
    homes = _homes(job, top)
    agents = are_agents(said, top.local_rank, top.expected, launched=launched, homes=homes)
    are_ranks = tasks_are_ranks(top, task, said, agents=agents)
    use_tasks(top, task, hosts_of_tasks(top, task, said), are_ranks=bool(are_ranks))
    if agents or (tasks and are_ranks is False):
        top.tasks_are_agents = True
        top.agents = frozenset(s.host for s in tasks if s.host is not None)
        said = [s._replace(rank=None) if s.is_task else s for s in said]
    _ranks_said(job, top, said)
    settle(job, top, said)
    name_streams(job, top, said)
    name_described(top, said)
    top.shared = _shared_streams(job, top, said)
    from_paths(job.speakers, top)
    learn_pids(job, top, said)
    learn_hosts(job, top, said, rows_in)
    learn_tasks(top, tasks)
    learn_started(top, said)
    use_hosts_of_tables(top, said)
    use_hosts_of_addresses(top)
    complete(job, top, said)
    top.forget()
    learn_machines(top, said)
    return top


def told(facts: list[PathFacts], speakers: Sequence[Speaker]) -> Topology:
    """Return what prefix and path alone tell of each of ``speakers``, before the job is whole.

    ``facts`` are those of all streams. What needs other lines (is `12:` a rank or a node?) is None.
    """
    n = len(speakers)
    top = Topology([None] * n, [None] * n, [None] * n, [None] * n, facts)
    read_labels(speakers, top)  # whether a word in front is a host, all lines of a job tell
    from_paths(speakers, top)
    return top


def _homes(job: Job, top: Topology) -> dict[str, set[int]]:
    """Return the hosts that prefixes or the names of files tell by themselves, with the ranks on each."""
    found: dict[str, set[int]] = {host: set() for f in top.facts if (host := clean_host(f.host))}
    for speaker, rank, node in zip(job.speakers, top.rank, top.node, strict=True):
        host = node or clean_host(top.facts[speaker.stream].host)
        if host is not None and rank is not None:
            found.setdefault(host, set()).add(rank)
    return found


def _ranks_said(job: Job, top: Topology, said: Iterable[Said]) -> None:
    """A process that says its rank is that rank in all of its lines.

    Who tells of processes by their ids is a launcher: the ranks in its tables are those of others.
    """
    votes: dict[int, dict[int, int]] = defaultdict(dict)
    said = list(said)
    launchers = {s.speaker for s in said if s.is_failure and s.pid is not None}
    for s in said:
        # Without a label, only a file of one process is one speaker.
        single = top.facts[s.stream].local_rank is not None
        labelled = bool(job.speakers[s.speaker].labels) and s.speaker not in top.mistaken | launchers
        if s.rank is not None and not s.is_failure and (single or labelled):
            found = votes[s.speaker]
            found[s.rank] = found.get(s.rank, 0) + 1
    for speaker, found in votes.items():
        rank = max(found, key=found.__getitem__)
        if top.rank[speaker] is None and 2 * found[rank] > sum(found.values()):
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
