"""Jobs of other clusters and launchers than those the program was written on, with the right answers."""

# ruff: noqa: E501  (one reason, one line)
from __future__ import annotations

from pathlib import Path

import pytest
from l4fast.stream import diagnose

from scenarios import faults
from scenarios.clusters import SCENARIOS

# What is answered wrongly today, and why; an entry that passes fails the test.
KNOWN: dict[str, str] = {
    "lightning_requeue": "a stop without a time of its own is ordered after the later line that has one in its text",
    "ray_node_died": "the address that ray-node-died captures is not looked at; Ray's checkpoint line is unknown",
    "ray_host_memory": "names = other without a captured host does not fall back on the host in the prefix; Ray's checkpoint line is unknown",
    "node_not_ready": "a pod and the host it ran on count as two culprits, and two of four are not excluded",
    "docker_disk_full": "folders named after hosts with a letter (host-a) are not hosts; of two errors of one time the later, general one leads",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(strict=True, reason=KNOWN[name]))
        if name in KNOWN
        else name
        for name in SCENARIOS
    ],
)
def test_tells_what_happened(name: str, tmp_path: Path) -> None:
    right = SCENARIOS[name](tmp_path)

    found = diagnose([str(tmp_path)])

    assert faults(found, right, tmp_path) == []
