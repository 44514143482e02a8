"""The faults of one node: its devices, its memory, its processes, the host itself."""

from __future__ import annotations

from l4fast import simulate_machine as machine
from l4fast import simulate_program as program
from l4fast.simulate_fault import ANY_CAUSE, Fault
from l4fast.simulate_physics import HEARTBEAT_S
from l4fast.simulate_scene import exits, freezes, vanishes

_BLIND = {
    "category": ("hardware.gpu", "hardware.memory", "framework", "user.code", "unknown"),
    "verdict": ("restart_excluding", "restart"),
}
_GPU = {"category": ("hardware.gpu", "hardware.memory")}

NODE_FAULTS: dict[str, Fault] = {
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
        blind={"category": ANY_CAUSE, "verdict": ("restart_excluding", "restart")},
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
            "category": ANY_CAUSE,
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
            "category": ("data", "storage", *ANY_CAUSE),
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
            "category": ANY_CAUSE,
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
}
