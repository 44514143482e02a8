"""How one breakage becomes everybody's end: a small discrete model of a training job.

A rank that stops is missed first by its own tensor group, then along its pipeline, then by the data
parallel peers when gradients meet. Whoever waits is given up by its watchdog one timeout later; a
process that died is noticed by the launcher of its node, which ends the others there; then the
scheduler ends the rest, or does not. Nothing here is text: `simulate_cascade` and
`simulate_launch` say what each did, as long as it lives.

References
----------
torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp: the watchdog, its dump signal and its sleeps;
torch/distributed/elastic/agent: a monitor per node; slurm's srun: --kill-on-bad-exit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from l4fast.simulate_groups import PIPE, TENSOR, WORLD, coordinates, data_kind
from l4fast.simulate_job import Job

HEARTBEAT_S = 480.0
"""How long a rank that only saw the dump signal waits before it ends itself."""

STUCK_S = 30.0
"""How long a launcher waits between SIGTERM and SIGKILL."""

RETRY_S = 21.0
"""How long an InfiniBand adapter retries before it gives a peer up."""

ALIVE, SELF, AGENT, STEP, GONE = 0, 1, 2, 3, 4
"""What ended a rank: nothing, itself, its node's launcher, the scheduler, its machine's end."""


@dataclass(frozen=True)
class Incident:
    """What broke, before anybody else noticed.

    Attributes
    ----------
    t : when, seconds
    where : step, save or start; where the others then wait
    absent : ranks that join no collective after ``t``, whether dead, stuck or cut off
    deaths : when a rank ends by itself, and its exit code (or minus the signal)
    stuck : ranks that do not react to SIGTERM
    gone : nodes from which nothing comes any more, and since when
    cut : ranks whose links are dead; their peers' adapters give up, and theirs
    agents : launchers that end by themselves, and when; they have started no rank yet
    mute : nodes that never wrote anything
    killed_s : when somebody outside ends the whole job
    kind, accuse : the kind of the launchers' lines about the culprits, and of the neighbours' lines
        that name them: root where nothing better is said
    """

    t: float
    where: str = "step"
    absent: tuple[int, ...] = ()
    deaths: dict[int, tuple[float, int]] = field(default_factory=dict)
    stuck: tuple[int, ...] = ()
    gone: dict[int, float] = field(default_factory=dict)
    cut: tuple[int, ...] = ()
    agents: dict[int, float] = field(default_factory=dict)
    mute: tuple[int, ...] = ()
    killed_s: float = np.inf
    kind: str = "consequence"
    accuse: str = "consequence"


@dataclass(frozen=True)
class Course:
    """What became of each rank and node; times in seconds, inf for never.

    Attributes
    ----------
    blocked_s, waits : float64, int64[n_ranks]; since when a rank waits, and in which kind of group
    cry_s : float64[n_ranks]; when its own watchdog gives up
    signal_s : float64[n_ranks]; when it sees another rank's dump signal
    first : the rank whose watchdog is the first
    lost : what a rank says of a peer: when, the peer, and how (retry or closed)
    store_s : float64[n_ranks]; when it gives up waiting for the others to join
    death_s, code, by : float64, int64, int64[n_ranks]
    agent_s : float64[n_nodes]; when the launcher of a node notices a death there
    agent_end_s : float64[n_nodes]; when that launcher has ended for that reason
    step_s : when the scheduler ends what still lives
    quiet_s : float64[n_nodes]; what a node writes later never reaches a file
    """

    blocked_s: NDArray[np.float64]
    waits: NDArray[np.int64]
    cry_s: NDArray[np.float64]
    signal_s: NDArray[np.float64]
    first: int
    lost: dict[int, tuple[float, int, str]]
    store_s: NDArray[np.float64]
    death_s: NDArray[np.float64]
    code: NDArray[np.int64]
    by: NDArray[np.int64]
    agent_s: NDArray[np.float64]
    agent_end_s: NDArray[np.float64]
    step_s: float
    quiet_s: NDArray[np.float64]


def healthy(job: Job) -> Course:
    """The course of a job in which nobody dies."""
    n, never = job.n_ranks, np.inf
    return Course(
        blocked_s=np.full(n, never),
        waits=np.full(n, WORLD),
        cry_s=np.full(n, never),
        signal_s=np.full(n, never),
        first=0,
        lost={},
        store_s=np.full(n, never),
        death_s=np.full(n, never),
        code=np.zeros(n, np.int64),
        by=np.full(n, ALIVE),
        agent_s=np.full(job.nodes, never),
        agent_end_s=np.full(job.nodes, never),
        step_s=never,
        quiet_s=np.full(job.nodes, never),
    )


def unfold(job: Job, incident: Incident, launcher: str, rng: np.random.Generator) -> Course:
    """Let the breakage take its course. ``launcher`` is torchrun, srun or operator (of pods)."""
    n = job.n_ranks
    blocked, waits = _blocked(job, incident, rng)
    gone = np.full(job.nodes, np.inf)
    for node, t in incident.gone.items():
        gone[node] = t
    own, code = np.full(n, np.inf), np.zeros(n, np.int64)
    for rank, (t, how) in incident.deaths.items():
        own[rank], code[rank] = t, how
    lost = _lost(job, incident, rng)
    for rank, (t, _, _) in lost.items():
        if t + 1.0 < own[rank]:
            own[rank], code[rank] = t + 1.0, 1
    silent = np.minimum(own, np.repeat(gone, job.ranks_per_node))
    absent = _mask(n, incident.absent)
    cry = blocked + job.habits.timeout_s + 0.1 * rng.random(n)
    cry[absent | (cry > silent) | (incident.where == "start")] = np.inf
    signal = _signal(job, cry, rng)
    signal[(signal > silent) | (absent & (not job.habits.answers))] = np.inf
    store = np.full(n, np.inf)
    if incident.where == "start" and launcher == "srun":
        # Whoever came waits until the store of rank 0 gives the others up, and breaks with it.
        store = np.where(np.isinf(own), incident.t + 600.5 + rng.random(n), np.inf)
        store[0] = min(store[0], incident.t + 600.0) if np.isfinite(store[0]) else np.inf
    abort = np.minimum(cry + sleep_s(job) + 0.05 * rng.random(n), signal + HEARTBEAT_S)
    for end, how in ((store, 1), (abort, -6)):
        code = np.where(end < own, how, code)
        own = np.minimum(own, end)
    held = _mask(n, incident.stuck) & ~_mask(n, tuple(incident.deaths))
    own[held] = np.inf
    course = replace(
        healthy(job), blocked_s=blocked, waits=waits, cry_s=cry, signal_s=signal,
        first=int(np.argmin(cry)), lost=lost, store_s=store,
    )  # fmt: skip
    return _launched(job, incident, launcher, course, own, code, gone, rng)


def _mask(n: int, ranks: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(n, bool)
    mask[list(ranks)] = True
    return mask


def sleep_s(job: Job) -> float:
    """How long a watchdog sleeps between its complaint and the throw: for its own debug dump."""
    return {"2.2": 0.01, "2.4": 0.01, "2.6": 0.9, "2.8": 60.0}[job.habits.torch]


def _blocked(
    job: Job, incident: Incident, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Since when each rank waits, and in which kind of group."""
    n = job.n_ranks
    since, kinds = np.full(n, np.inf), np.full(n, WORLD)
    if not incident.absent:
        return since, kinds
    absent = _mask(n, incident.absent)
    if incident.where != "step":
        since[:] = incident.t + 0.05 * rng.random(n)
        since[absent] = incident.t
        return since, kinds
    _, data, pipe = coordinates(job)
    meet = {"hf": 0.1, "titan": 0.02, "k8s": 0.02}.get(job.style, 0.35 * job.step_s)
    since[:] = incident.t + meet * (1 + 0.3 * rng.random(n))
    kinds[:] = data_kind(job) if job.data > 1 else WORLD
    replicas = np.zeros(job.data, bool)
    replicas[data[absent]] = True
    if job.pipe > 1:
        stages = np.unique(pipe[absent])
        far = np.abs(pipe[:, None] - stages[None, :]).min(axis=1)
        here = replicas[data]
        since[here] = incident.t + 0.03 + 0.12 * far[here] + 0.01 * rng.random(int(here.sum()))
        kinds[here] = PIPE
    if job.tensor > 1:
        cells = np.zeros((job.pipe, job.data), bool)
        cells[pipe[absent], data[absent]] = True
        here = cells[pipe, data]
        since[here] = incident.t + 0.002 + 0.01 * rng.random(int(here.sum()))
        kinds[here] = TENSOR
    since[absent] = incident.t
    return since, kinds


def _lost(job: Job, incident: Incident, rng: np.random.Generator) -> dict[int, tuple[float, int, str]]:
    """Which ranks lose their connection to a peer on another node, hop by hop along the ring of nodes."""
    if job.nodes < 2 or incident.where == "start":
        return {}
    lost: dict[int, tuple[float, int, str]] = {}
    bad = dict.fromkeys(incident.cut, incident.t)
    bad |= {rank: t for rank, (t, _) in incident.deaths.items() if len(incident.deaths) < job.n_ranks}
    for node, t in incident.gone.items():
        bad |= dict.fromkeys(job.ranks_of(node), t)
    lanes: dict[int, list[int]] = {}
    for rank in bad:
        lanes.setdefault(job.local_of(rank), []).append(job.node_of(rank))
    for lane, homes in lanes.items():
        # Where links are gone the adapters retry; where a process died, sockets tell at once.
        ranks = [node * job.ranks_per_node + lane for node in homes]
        slow = job.habits.transport == "ib" or any(
            r in incident.cut or job.node_of(r) in incident.gone for r in ranks
        )
        start = min(bad[rank] for rank in ranks)
        away, peer = _ring_distance(job.nodes, np.array(sorted(homes)))
        hop = RETRY_S if slow else min(0.4, 20.0 / job.nodes)
        late = rng.random(job.nodes)
        for node in range(job.nodes):
            rank = node * job.ranks_per_node + lane
            t = start + hop * max(1, int(away[node])) + (3.0 if slow else 0.3) * float(late[node])
            if rank in bad:
                if rank not in incident.cut or node in incident.gone:
                    continue
                outside = node + 1 if node + 1 < job.nodes else node - 1
                lost[rank] = (t, outside * job.ranks_per_node + lane, "retry")
            elif t < start + job.habits.timeout_s:
                lost[rank] = (t, int(peer[node]) * job.ranks_per_node + lane, "retry" if slow else "closed")
    return lost


def _ring_distance(n: int, homes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many hops each of ``n`` nodes is from the nearest of ``homes``, and the node one hop nearer."""
    node = np.arange(n)
    at = np.searchsorted(homes, node)
    left, right = homes[(at - 1) % homes.size], homes[at % homes.size]
    down, up = (node - left) % n, (right - node) % n
    return np.minimum(down, up), np.where(down <= up, (node - 1) % n, (node + 1) % n)


def _signal(job: Job, cry: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """When each rank sees the dump signal that the first watchdog puts into the store."""
    if job.habits.torch == "2.2" or not np.isfinite(cry).any():
        return np.full(job.n_ranks, np.inf)
    seen: NDArray[np.float64] = float(cry.min()) + 0.05 + rng.random(job.n_ranks)
    seen[seen >= cry] = np.inf  # its own watchdog was faster
    return seen


def _launched(
    job: Job,
    incident: Incident,
    launcher: str,
    course: Course,
    own: NDArray[np.float64],
    code: NDArray[np.int64],
    gone: NDArray[np.float64],
    rng: np.random.Generator,
) -> Course:
    """Let launchers and scheduler end what the breakage left; ``own`` is when ranks end by themselves."""
    gone_of = np.repeat(gone, job.ranks_per_node)
    own = np.where(gone_of < own, np.inf, own)
    first_own = own.reshape(job.nodes, -1).min(axis=1)
    stuck = np.zeros(job.nodes, bool)
    stuck[[job.node_of(rank) for rank in incident.stuck]] = True
    agent = np.full(job.nodes, np.inf)
    agent_end = first_own + 0.05 + 0.3 * rng.random(job.nodes)
    if launcher != "srun":
        agent = first_own + 0.02 + job.habits.monitor_s * rng.random(job.nodes)
        agent_end = agent + 0.5 + np.where(stuck, STUCK_S + 0.5, 0.0)
    for node, t in incident.agents.items():
        agent_end[node] = t + 0.2
    step = incident.killed_s
    ended = float(agent_end.min())
    if launcher == "operator":
        step = min(step, ended + 4.0 + 6 * float(rng.random()))
    elif job.habits.kill_on_exit:
        step = min(step, ended + 0.3 + 1.2 * float(rng.random()))
    if incident.gone:
        step = min(step, min(incident.gone.values()) + job.habits.node_watch_s)
    finite = agent_end[np.isfinite(agent_end)]
    waiting = not np.isfinite(own).all() if launcher == "srun" else finite.size < job.nodes
    if np.isinf(step) and waiting:
        # Somebody waits for ever: a person looks after a while and cancels the job.
        step = (float(finite.max()) if finite.size else incident.t) + 900.0 + 600 * float(rng.random())

    death, by = own, np.where(np.isfinite(own), SELF, ALIVE)
    held = _mask(job.n_ranks, incident.stuck)
    ends = (
        (np.repeat(agent, job.ranks_per_node) + np.where(held, STUCK_S, 0.05), AGENT),
        (np.where(held, step + STUCK_S + 2.0, step + 0.1), STEP),
        (gone_of, GONE),
    )
    for end, who in ends:
        earlier = end < death
        code = np.where(earlier, np.where(held, -9, -15), code)
        by = np.where(earlier, who, by)
        death = np.where(earlier, end, death)
    quiet = gone.copy()
    for node in incident.gone:
        # What the node had in its buffers never got out; streams to a login node lose less.
        quiet[node] -= (4.5 if launcher != "srun" else 0.4) * float(rng.random())
    quiet[list(incident.mute)] = 0.0
    return replace(
        course, death_s=death, code=code, by=by, agent_s=agent, agent_end_s=agent_end,
        step_s=step, quiet_s=quiet,
    )  # fmt: skip
