"""The faults that a job can be given, and what is true about each.

Those of one node have a file of their own; here are those of what nodes share (the network, storage), of
the program, and of whoever ends or slows the job.
"""

from __future__ import annotations

from l4fast import simulate_machine as machine
from l4fast import simulate_network as network
from l4fast import simulate_program as program
from l4fast import simulate_storage as storage
from l4fast.simulate_fault import ANY_CAUSE, Fault, Slow
from l4fast.simulate_faults_node import NODE_FAULTS
from l4fast.simulate_physics import Incident
from l4fast.simulate_scene import Scene, all_exit, disconnects, exits, ordered

_START = {"stage": ("launch", "init")}
_LOAD = {"stage": ("load", "init", "checkpoint")}
_SLOW = {
    "stage": ("iterate", "checkpoint", "evaluate", "shutdown"),
    "outcome": ("slow", "finished", "running"),
    "verdict": ("none", "restart", "restart_excluding", "unknown"),
}


def _skew(scene: Scene) -> Incident:
    if program.skewed_driver(scene):
        return exits(1, whole=True, where="start")(scene)
    return all_exit(1, where="start")(scene)


def _port(scene: Scene) -> Incident:
    """The master ends at once, the others when they have tried for a minute."""
    job = scene.job
    everybody = tuple(range(job.n_ranks))
    if scene.torchrun:
        late = 61.4 + scene.rng.random(job.nodes)
        agents = {node: scene.t + (0.4 if node == 0 else float(late[node])) for node in range(job.nodes)}
        return Incident(scene.t, "start", everybody, agents=agents)
    late = 61.4 + scene.rng.random(job.n_ranks)
    deaths = {rank: (scene.t + (0.4 if rank == 0 else float(late[rank])), 1) for rank in everybody}
    return Incident(scene.t, "start", everybody, deaths)


def _apart(scene: Scene) -> Incident:
    """The faulty nodes do not reach the others, or do not even start; the others wait for ten minutes."""
    job = scene.job
    everybody = tuple(range(job.n_ranks))
    absent = everybody if scene.torchrun else scene.all_ranks()
    if not network.starts(job):
        agents = {
            n: scene.t + 601.0 + float(scene.rng.random()) for n in range(job.nodes) if n not in scene.nodes
        }
        return Incident(scene.t, "start", absent, agents=agents if scene.torchrun else {}, mute=scene.nodes)
    if scene.torchrun:
        agents = {
            n: scene.t + (61.0 if n in scene.nodes else 601.0) + float(scene.rng.random())
            for n in range(job.nodes)
        }
        return Incident(scene.t, "start", absent, agents=agents)
    deaths = {r: (scene.t + 61.0 + float(scene.rng.random()), 1) for r in scene.all_ranks()}
    return Incident(scene.t, "start", absent, deaths)


def _stalled(scene: Scene) -> Incident:
    """All ranks wait in the driver of the file system, in no collective, until somebody looks."""
    return Incident(scene.t, "save", tuple(range(scene.job.n_ranks)))


def _corrupted(scene: Scene) -> Incident:
    if scene.job.style in ("megatron", "nemo"):
        return exits(17)(scene)
    return all_exit(1)(scene)


FAULTS: dict[str, Fault] = {
    **NODE_FAULTS,
    "nic-flap": Fault(
        network.flap,
        disconnects(),
        "network",
        "restart_excluding",
        accepted={"category": ("network", "hardware.host"), "verdict": ("restart_excluding", "restart")},
    ),
    "ib-retry": Fault(
        network.lossy,
        disconnects(whole=True),
        "network",
        "restart_excluding",
        blames="node",
        evidence="inferable",
        accepted={"category": ("network", "hardware.host"), "verdict": ("restart_excluding", "restart")},
    ),
    "switch-down": Fault(
        network.switch_down,
        disconnects(whole=True),
        "network",
        "restart_excluding",
        blames="node",
        many=False,
        accepted={"verdict": ("restart_excluding", "restart")},
    ),
    "disk-full": Fault(
        storage.disk_full,
        exits(1, where="save"),
        "storage",
        "restart_excluding",
        stage="checkpoint",
        accepted={"category": ("storage", "resource"), "verdict": ("restart_excluding", "stop")},
    ),
    "storage-stall": Fault(
        storage.stall,
        _stalled,
        "storage",
        "restart",
        stage="checkpoint",
        blames="nobody",
        many=False,
        accepted={"outcome": ("failed", "hung"), "category": ("storage", "preemption", "network", "unknown")},
    ),
    "corrupt-checkpoint": Fault(
        storage.torn_everywhere,
        all_exit(1, where="start"),
        "storage",
        "resume_older_checkpoint",
        stage="load",
        blames="nobody",
        starts_s=storage.TORN_S,
        many=False,
        accepted={"category": ("storage", "data"), **_LOAD},
    ),
    "corrupt-shard": Fault(
        storage.torn_here,
        exits(1, whole=True, where="start"),
        "storage",
        "restart_excluding",
        stage="load",
        blames="node",
        starts_s=storage.TORN_S,
        accepted={
            "category": ("storage", "data", "hardware.host"),
            "verdict": ("restart_excluding", "resume_older_checkpoint"),
            **_LOAD,
        },
    ),
    "missing-file": Fault(
        storage.file_missing,
        exits(1, whole=True, where="start"),
        "storage",
        "restart_excluding",
        stage="init",
        blames="node",
        starts_s=15.0,
        accepted={
            "category": ("storage", "data", "platform", "user.config", "user.code"),
            "verdict": ("restart_excluding", "stop"),
            "stage": ("launch", "init", "load"),
        },
    ),
    "import-error": Fault(
        program.missing_module,
        exits(1, whole=True, where="start"),
        "platform",
        "restart_excluding",
        stage="launch",
        blames="node",
        starts_s=3.0,
        accepted={
            **_START,
            "category": ("platform", "user.config", "user.code"),
            "verdict": ("restart_excluding", "stop"),
        },
    ),
    "version-skew": Fault(
        program.version_skew,
        _skew,
        "platform",
        "restart_excluding",
        stage="init",
        blames="node",
        starts_s=14.0,
        accepted={
            **_START,
            "category": ("platform", "user.config", "framework"),
            "verdict": ("restart_excluding", "stop"),
        },
    ),
    "rendezvous": Fault(
        network.not_all_came,
        _apart,
        "network",
        "restart_excluding",
        stage="launch",
        blames="node",
        starts_s=1.5,
        accepted={
            **_START,
            "category": ("network", "platform", "hardware.host"),
            "verdict": ("restart", "restart_excluding"),
        },
    ),
    "port-in-use": Fault(
        network.port_taken,
        _port,
        "network",
        "restart",
        stage="launch",
        blames="node",
        starts_s=1.5,
        many=False,
        accepted={
            **_START,
            "category": ("network", "platform"),
            "verdict": ("restart", "restart_excluding", "stop"),
        },
    ),
    "config-error": Fault(
        program.bad_config,
        all_exit(1, where="start"),
        "user.config",
        "stop",
        stage="init",
        blames="nobody",
        starts_s=21.0,
        many=False,
        accepted={
            "stage": ("launch", "init", "load", "checkpoint"),
            "category": ("user.config", "user.code"),
        },
    ),
    "code-error": Fault(program.code_error, all_exit(1), "user.code", "stop", blames="nobody", many=False),
    "user-exception": Fault(
        program.bad_record, exits(1), "user.code", "stop", accepted={"category": ("user.code", "data")}
    ),
    "loader-killed": Fault(
        program.worker_killed,
        exits(1),
        "resource",
        "restart",
        accepted={
            "category": ("resource", "platform", "data", "hardware.host"),
            "verdict": ("restart", "restart_excluding", "stop"),
        },
    ),
    "nan": Fault(
        program.not_a_number,
        exits(1),
        "numeric",
        "resume_older_checkpoint",
        accepted={"verdict": ("resume_older_checkpoint", "restart_excluding", "stop")},
    ),
    "sdc": Fault(
        program.silent_corruption,
        _corrupted,
        "numeric",
        "restart_excluding",
        otherwise="none",
        accepted={
            "category": ("numeric", "hardware.gpu"),
            "verdict": ("restart_excluding", "resume_older_checkpoint", "stop"),
        },
    ),
    "preemption": Fault(program.preempted, ordered, "preemption", "restart", blames="nobody", many=False),
    "time-limit": Fault(program.out_of_time, ordered, "preemption", "restart", blames="nobody", many=False),
    "straggler": Fault(
        program.hot,
        None,
        "hardware.host",
        "restart_excluding",
        blames="node",
        slow=Slow(factor=1.9, drag=25),
        accepted={**_SLOW, "category": ("hardware.host", "hardware.gpu", "data", "unknown")},
    ),
    "slowdown": Fault(
        machine.nothing,
        None,
        "unknown",
        "none",
        blames="nobody",
        many=False,
        slow=Slow(factor=2.2),
        accepted={**_SLOW, "category": ("hardware.gpu", "network", "storage", "data", *ANY_CAUSE)},
    ),
    "checkpoint-stall": Fault(
        storage.slow_saves,
        None,
        "storage",
        "none",
        stage="checkpoint",
        blames="nobody",
        many=False,
        slow=Slow(pause_s=90.0),
        accepted={**_SLOW, "category": ("storage", "network", "unknown")},
    ),
}
