"""How one death becomes everybody's: the two ways in which a job goes down.

Either a process dies, its peers lose their connection and the scheduler ends the rest within
seconds; or nobody notices and the others wait for the watchdog, ten minutes by default.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from l4fast.simulate_book import Voice
from l4fast.simulate_launch import abort, crash
from l4fast.simulate_victims import peer_closed, remote_exited, watchdog

TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Scene:
    """When and where: the fault strikes ``rank`` at ``t`` (seconds), after ``last`` iterations."""

    t: float
    rank: int
    last: int
    rng: np.random.Generator


def die_together(
    voice: Voice, t: float, dead: Mapping[int, int], kind: str, rng: np.random.Generator
) -> None:
    """The ranks in ``dead`` (all of one node, with exit codes) are gone at ``t``; the rest follows soon.

    ``kind`` is the kind of the launcher's lines about the first of them.
    """
    job = voice.job
    rank = next(iter(dead))
    home = job.node_of(rank)
    crash(voice, home, t + 0.6, dead, kind=kind)
    fallen = {home}
    for node in sorted({(home - 1) % job.nodes, (home + 1) % job.nodes} - {home}):
        victim = node * job.ranks_per_node + job.local_of(rank)
        at = t + 1.5 + 2 * float(rng.random())
        voice.rank(victim, at, peer_closed(job, victim, rank), "stdout")
        voice.rank(victim, at + 0.3, remote_exited(job, victim))
        crash(voice, node, at + 0.9, {victim: 1})
        fallen.add(node)
    abort(voice, t + 6.0, sorted(fallen))


def wait_in_vain(
    voice: Voice,
    t: float,
    work: int,
    absent: Collection[int],
    rng: np.random.Generator,
    *,
    stuck: Collection[int] = (),
) -> None:
    """All ranks but ``absent`` wait for collective ``work`` since ``t``, time out and abort.

    Nodes all of whose ranks are absent are not heard of. A rank in ``stuck`` ignores SIGTERM.
    """
    job = voice.job
    late = rng.random(job.n_ranks)
    for node in range(job.nodes):
        waiting = [rank for rank in job.ranks_of(node) if rank not in absent]
        for rank in waiting:
            at = t + TIMEOUT_S + float(late[rank])
            ran_ms = int(1000 * TIMEOUT_S + 90 * late[rank])
            for when, said in watchdog(job, rank, at, work, ran_ms, first=bool(late[rank] < 0.4)):
                voice.rank(rank, when, said)
        if waiting:
            waiting.sort(key=lambda rank: late[rank])
            died = t + TIMEOUT_S + 60.0 + float(late[waiting[-1]]) + 0.5
            crash(
                voice,
                node,
                died,
                dict.fromkeys(waiting, -6),
                stuck=[r for r in stuck if job.node_of(r) == node],
            )
    if not voice.layout.has_torchrun:
        abort(voice, t + TIMEOUT_S + 63.0, range(job.nodes))
