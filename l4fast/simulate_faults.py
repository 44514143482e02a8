"""The faults that a job can be given, and what is true about each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from l4fast import simulate_machine as machine
from l4fast import simulate_program as program
from l4fast.simulate_book import Voice
from l4fast.simulate_cascade import Scene
from l4fast.simulate_start import LOAD_S


@dataclass(frozen=True)
class Fault:
    """One kind of failure. ``blames`` is whom the truth names: rank, node (all its ranks), or nobody."""

    tell: Callable[[Voice, Scene], None]
    category: str
    verdict: str
    stage: str = "iterate"
    blames: str = "rank"
    evidence: str = "explicit"
    accepted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_SHARED = {"stage": ("launch", "init")}

FAULTS: dict[str, Fault] = {
    "gpu-xid79": Fault(machine.gpu_lost, "hardware.gpu", "restart_excluding"),
    "ecc": Fault(
        machine.memory_error,
        "hardware.gpu",
        "restart_excluding",
        accepted={"category": ("hardware.gpu", "hardware.memory")},
    ),
    "hang": Fault(
        machine.hang,
        "hardware.host",
        "restart_excluding",
        evidence="inferable",
        accepted={
            "category": (
                "hardware.host",
                "hardware.gpu",
                "network",
                "platform",
                "user.code",
                "framework",
                "unknown",
            ),
            "verdict": ("restart_excluding", "restart"),
        },
    ),
    "sigkill": Fault(
        machine.killed,
        "platform",
        "restart",
        accepted={
            "category": ("platform", "hardware.host", "resource"),
            "verdict": ("restart", "restart_excluding"),
        },
    ),
    "oom-kill": Fault(
        machine.host_memory,
        "resource",
        "stop",
        accepted={"verdict": ("stop", "restart", "restart_excluding")},
    ),
    "cuda-oom": Fault(
        program.device_memory,
        "resource",
        "stop",
        accepted={"category": ("resource", "user.config"), "verdict": ("stop", "restart")},
    ),
    "segfault": Fault(
        machine.segfault,
        "framework",
        "restart",
        accepted={
            "category": ("framework", "user.code", "platform", "hardware.memory", "hardware.gpu"),
            "verdict": ("restart", "restart_excluding", "stop"),
        },
    ),
    "host-crash": Fault(
        machine.host_gone,
        "hardware.host",
        "restart_excluding",
        blames="node",
        accepted={"category": ("hardware.host", "network")},
    ),
    "disk-full": Fault(
        program.disk_full,
        "storage",
        "restart_excluding",
        stage="checkpoint",
        accepted={"verdict": ("restart_excluding", "stop")},
    ),
    "nan": Fault(
        program.not_a_number,
        "numeric",
        "resume_older_checkpoint",
        accepted={"verdict": ("resume_older_checkpoint", "restart_excluding", "stop")},
    ),
    "import-error": Fault(
        program.missing_module,
        "platform",
        "restart_excluding",
        stage="launch",
        blames="node",
        accepted={
            **_SHARED,
            "category": ("platform", "user.config", "user.code"),
            "verdict": ("restart_excluding", "stop"),
        },
    ),
    "config-error": Fault(
        program.bad_config,
        "user.config",
        "stop",
        stage="init",
        blames="nobody",
        evidence="none",
        accepted=_SHARED,
    ),
    "user-exception": Fault(
        program.user_code, "user.code", "stop", accepted={"category": ("user.code", "data")}
    ),
    "preemption": Fault(program.preempted, "preemption", "restart", blames="nobody", evidence="none"),
    "time-limit": Fault(program.out_of_time, "preemption", "restart", blames="nobody", evidence="none"),
    "corrupt-checkpoint": Fault(
        program.torn_checkpoint,
        "storage",
        "resume_older_checkpoint",
        stage="checkpoint",
        blames="nobody",
        evidence="none",
        accepted={"category": ("storage", "data")},
    ),
    "port-in-use": Fault(
        program.port_taken,
        "network",
        "restart",
        stage="launch",
        blames="node",
        accepted={
            **_SHARED,
            "category": ("network", "platform"),
            "verdict": ("restart", "restart_excluding", "stop"),
        },
    ),
    "nic-flap": Fault(
        machine.link_down,
        "network",
        "restart_excluding",
        accepted={"category": ("network", "hardware.host"), "verdict": ("restart_excluding", "restart")},
    ),
}

STARTS = {"import-error": 3.0, "config-error": 21.0, "corrupt-checkpoint": LOAD_S + 2.0, "port-in-use": 1.5}
"""When a fault strikes that strikes before training, seconds."""
