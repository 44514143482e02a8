"""Faults of links, switches and the meeting of ranks at the start."""

from __future__ import annotations

from l4fast.simulate_book import Said, Voice
from l4fast.simulate_job import Job
from l4fast.simulate_launch import agent_traceback
from l4fast.simulate_python import SITE, traceback
from l4fast.simulate_scene import Scene


def flap(voice: Voice, scene: Scene) -> None:
    """A port goes down, and comes back when it is too late."""
    job = voice.job
    for rank in scene.ranks:
        node = job.node_of(rank)
        link = f"mlx5_core 0000:{job.bus_of(rank)}.0 mlx5_{job.local_of(rank)}: Port: 1"
        if job.choose("cable", True, False):
            event = "Port module event[error]: module 0, Cable error, Bad or shorted cable"
            head = f"{job.uptime(node, scene.t)} mlx5_core 0000:{job.bus_of(rank)}.0"
            voice.kernel(node, scene.t - 0.01, [("root", f"{head}: {event}")])
        voice.kernel(node, scene.t, [("root", f"{job.uptime(node, scene.t)} {link} Link DOWN")])
        back = scene.t + 34
        voice.kernel(node, back, [("context", f"{job.uptime(node, back)} {link} Link ACTIVE")])


def lossy(voice: Voice, scene: Scene) -> None:
    """The port stays up, and nothing comes through: only the peers' adapters tell."""


def switch_down(voice: Voice, scene: Scene) -> None:
    """All nodes on one switch lose their links in the same second."""
    job = voice.job
    for node in scene.nodes:
        t = scene.t + 0.4 * float(scene.rng.random())
        for local in range(min(job.ranks_per_node, 4)):
            rank = node * job.ranks_per_node + local
            link = f"mlx5_core 0000:{job.bus_of(rank)}.0 mlx5_{local}: Port: 1 Link DOWN"
            voice.kernel(node, t, [("root", f"{job.uptime(node, t)} {link}")])


def port_taken(voice: Voice, scene: Scene) -> None:
    """The master's port belongs to somebody else; the others wait for it in vain."""
    job = voice.job
    frames = f'  File "{SITE}/torch/distributed/rendezvous.py", line 189, in _create_c10d_store\n    '
    frames += "return TCPStore("
    port = 29500 + job.seed % 7
    errno = "(errno: 98 - Address already in use)."
    head = job.glog("W", 0, scene.t)
    listen = "The server socket has failed to listen on any local network address."
    error = (
        f"torch.distributed.DistNetworkError: {listen} port: {port}, useIpv6: false, code: -98, "
        "name: EADDRINUSE, message: address already in use"
    )
    if job.habits.torch in ("2.2", "2.4"):
        error = (
            f"torch.distributed.DistNetworkError: {listen} The server socket has failed to bind to "
            f"[::]:{port} {errno}"
        )
    refused: list[Said] = [
        (
            "root",
            f"[{head} socket.cpp:464] [c10d] The server socket has failed to bind to [::]:{port} {errno}",
        ),
        ("root", f"[{job.glog('E', 0, scene.t)} socket.cpp:500] [c10d] {listen}"),
        *traceback(job, None, frames, [("root", error)]),
    ]
    waited = (
        "torch.distributed.DistNetworkError: The client socket has timed out after 60000ms while "
        f"trying to connect to ({job.hosts[0]}, {port})."
    )
    if voice.layout.has_torchrun:
        voice.agent(0, scene.t, refused)
        for node in range(1, job.nodes):
            if scene.t + 61 < voice.course.step_s:
                voice.agent(node, scene.t + 61, traceback(job, None, frames, [("consequence", waited)]))
    else:
        voice.rank(0, scene.t, refused)
        for rank in range(1, job.n_ranks):
            voice.rank(rank, scene.t + 61, traceback(job, None, frames, [("consequence", waited)]))


def starts(job: Job) -> bool:
    """Whether the nodes that miss the rendezvous run at all, and only cannot reach the master."""
    return job.choose("rendezvous", True, False)


def not_all_came(voice: Voice, scene: Scene) -> None:
    """Some nodes never join: they say why, or nothing. The agents of the others give up after ten minutes.

    Without torchrun the store of rank 0 counts who came (`simulate_cascade`).
    """
    job, course = voice.job, voice.course
    frames = f'  File "{SITE}/torch/distributed/rendezvous.py", line 189, in _create_c10d_store\n    '
    frames += "return TCPStore("
    port = 29500 + job.seed % 7
    for node in scene.nodes if starts(job) else ():
        for k in (1, 2, 3):
            t = scene.t + 15.0 * k
            text = (
                f"[{job.glog('W', node, t)} socket.cpp:697] [c10d] The client socket has failed to connect "
                f"to [{job.hosts[0]}]:{port} (errno: 113 - No route to host)."
            )
            _from(voice, node, t, [("root", text)])
        error = (
            "torch.distributed.DistNetworkError: The client socket has timed out after 60000ms while trying "
            f"to connect to ({job.hosts[0]}, {port})."
        )
        _from(voice, node, scene.t + 60.9, traceback(job, None, frames, [("root", error)]))
    if not voice.layout.has_torchrun:
        return
    depth = (
        f'  File "{SITE}/torch/distributed/elastic/rendezvous/dynamic_rendezvous.py", line 1157, in '
        "next_rendezvous\n    raise RendezvousTimeoutError()"
    )
    error = "torch.distributed.elastic.rendezvous.api.RendezvousTimeoutError"
    for node in range(job.nodes):
        t = float(course.agent_end_s[node]) - 0.25
        if node not in scene.nodes and t < course.step_s:
            voice.agent(node, t, agent_traceback(depth, "consequence", error))


def _from(voice: Voice, node: int, t: float, said: list[Said]) -> None:
    """A node's launcher says it; without torchrun each of its ranks does."""
    if voice.layout.has_torchrun:
        voice.agent(node, t, said)
        return
    for rank in voice.job.ranks_of(node):
        voice.rank(rank, t, said)
