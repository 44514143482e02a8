"""Whether all processes of a job ended by themselves, as a library's last words at exit tell.

An interpreter that ends by itself takes the process group down with it, and the group says that nobody did
so before: torch 2.4 in each process, later releases in the first process of each node. A process that is
killed, hangs or aborts does not come so far.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l4fast.job import Job
from l4fast.marks import Mark
from l4fast.temporal import Progress, iterations_before
from l4fast.topology import Topology


def all_exited(job: Job, top: Topology, marks: Sequence[Mark], progress: Progress) -> bool:
    """Whether each rank that should tell of its exit did so after the last iteration."""
    last = [m for m in marks if m.kind in ("exit", "exit.node")]
    if not last or progress.last_completed is None:
        return False
    place = np.array([(m.stream, m.line, m.time) for m in last], np.int64).T
    done = iterations_before(job, progress, *place) >= progress.last_completed
    told = {top.rank[m.speaker] for m, late in zip(last, done.tolist(), strict=True) if late} - {None}
    ranks = top.ranks
    if len(ranks) < (top.expected or 1):
        return False
    if all(m.kind == "exit.node" for m in last):
        homes = {top.node_of_rank.get(rank) for rank in ranks}
        ranks = [min(r for r in ranks if top.node_of_rank.get(r) == home) for home in homes]
    return told.issuperset(ranks)
