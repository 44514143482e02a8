"""The faults that a job can be given, and what is true about each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from l4fast import simulate_machine as machine
from l4fast import simulate_network as network
from l4fast import simulate_program as program
from l4fast import simulate_storage as storage
from l4fast.simulate_book import Voice
from l4fast.simulate_physics import HEARTBEAT_S, Incident
from l4fast.simulate_scene import (
    Happen,
    Scene,
    all_exit,
    disconnects,
    exits,
    freezes,
    ordered,
    vanishes,
)


@dataclass(frozen=True)
class Slow:
    """How a job is slow that does not die: iterations take ``factor`` times as long, saves ``pause_s`` more.

    ``drag``: the batches of the faulty nodes' ranks take that many times as long.
    """

    factor: float = 1.0
    pause_s: float = 0.0
    drag: int = 1


@dataclass(frozen=True)
class Fault:
    """One kind of failure.

    Attributes
    ----------
    say : the lines of those who are struck, and of their machines
    happen : what breaks; None for a job that is slow and does not die
    blames : whom the truth names: rank, node (all its ranks), or nobody
    starts_s : when it strikes, seconds, if before training
    many : whether several nodes can have it at once, each by itself
    evidence : the best that logs can tell of the node; ``otherwise`` where no root line names it
    accepted : what else can be defended, field by field; ``blind``: instead, without kernel logs
    """

    say: Callable[[Voice, Scene], None]
    happen: Happen | None
    category: str
    verdict: str
    stage: str = "iterate"
    blames: str = "rank"
    starts_s: float | None = None
    many: bool = True
    evidence: str = "explicit"
    otherwise: str = "inferable"
    slow: Slow | None = None
    accepted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    blind: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_START = {"stage": ("launch", "init")}
_LOAD = {"stage": ("load", "init", "checkpoint")}
_ANY = ("hardware.host", "hardware.gpu", "network", "platform", "user.code", "framework", "unknown")
_BLIND = {
    "category": ("hardware.gpu", "hardware.memory", "framework", "user.code", "unknown"),
    "verdict": ("restart_excluding", "restart"),
}
_GPU = {"category": ("hardware.gpu", "hardware.memory")}
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
    "gpu-xid79": Fault(machine.gpu_lost, exits(1, 0.8), "hardware.gpu", "restart_excluding", blind=_BLIND),
    "ecc": Fault(machine.memory_error, exits(1, 0.8), "hardware.gpu", "restart_excluding", accepted=_GPU),
    "nvlink": Fault(
        machine.link_error,
        exits(1, 0.8),
        "hardware.gpu",
        "restart_excluding",
        accepted={"category": ("hardware.gpu", "network")},
        blind=_BLIND,
    ),
    "gsp-timeout": Fault(
        machine.controller_hung,
        freezes,
        "hardware.gpu",
        "restart_excluding",
        blind={"category": _ANY, "verdict": ("restart_excluding", "restart")},
    ),
    "illegal-access": Fault(
        machine.illegal_access,
        exits(1, 0.8),
        "framework",
        "restart",
        accepted={
            "category": ("framework", "user.code", "hardware.gpu", "hardware.memory"),
            "verdict": ("restart", "restart_excluding", "stop"),
        },
    ),
    "hang": Fault(
        machine.hang,
        freezes,
        "hardware.host",
        "restart_excluding",
        evidence="inferable",
        accepted={
            "category": _ANY,
            "verdict": ("restart_excluding", "restart"),
            "outcome": ("failed", "hung"),
        },
    ),
    "loader-hang": Fault(
        machine.loader_hang,
        freezes,
        "data",
        "restart",
        accepted={
            "category": ("data", "storage", *_ANY),
            "verdict": ("restart", "restart_excluding"),
            "outcome": ("failed", "hung"),
        },
    ),
    "gil-hang": Fault(
        program.locked,
        exits(-6, HEARTBEAT_S + 0.2),
        "framework",
        "restart",
        accepted={
            "category": _ANY,
            "verdict": ("restart", "restart_excluding", "stop"),
            "outcome": ("failed", "hung"),
        },
    ),
    "sigkill": Fault(
        machine.nothing,
        exits(-9, kind="root"),
        "platform",
        "restart",
        accepted={
            "category": ("platform", "hardware.host", "resource"),
            "verdict": ("restart", "restart_excluding"),
        },
    ),
    "oom-kill": Fault(
        machine.host_memory,
        exits(-9),
        "resource",
        "stop",
        accepted={"verdict": ("stop", "restart", "restart_excluding")},
    ),
    "cuda-oom": Fault(
        machine.device_memory,
        exits(1),
        "resource",
        "stop",
        accepted={"category": ("resource", "user.config"), "verdict": ("stop", "restart")},
    ),
    "segfault": Fault(
        machine.segfault,
        exits(-11, kind="root"),
        "framework",
        "restart",
        accepted={
            "category": ("framework", "user.code", "platform", "hardware.memory", "hardware.gpu"),
            "verdict": ("restart", "restart_excluding", "stop"),
        },
    ),
    "host-crash": Fault(
        machine.nothing,
        vanishes,
        "hardware.host",
        "restart_excluding",
        blames="node",
        accepted={"category": ("hardware.host", "network")},
    ),
    "kernel-panic": Fault(
        machine.panic,
        vanishes,
        "hardware.host",
        "restart_excluding",
        blames="node",
        accepted={"category": ("hardware.host", "hardware.memory", "network")},
    ),
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
        accepted={**_SLOW, "category": ("hardware.gpu", "network", "storage", "data", *_ANY)},
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


def dragged(fault: Fault, scene: Scene) -> NDArray[np.bool_]:
    """Which ranks of the job are slow to fetch their batches."""
    mask = np.zeros(scene.job.n_ranks, bool)
    if fault.slow is not None and fault.slow.drag > 1:
        mask[list(scene.all_ranks())] = True
    return mask
