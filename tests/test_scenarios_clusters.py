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
    "node_failure": "`Timed out waiting for job step to complete`: srun-node-failure takes the word `to` for a host",
    "requeue_fails_again": "ranks are mapped to nodes over all attempts: the host that was lost in the first is blamed for the second",
    "lightning_requeue": "a stop without a time of its own is ordered after the later line that has one in its text",
    "container_start": "the lines before `srun: error: HOST: tasks ..` name no host, and srun's line that names it becomes a consequence",
    "still_running": "a warning about a retry in the last three iterations alone makes a running job a failed one",
    "ray_node_died": "the address that ray-node-died captures is not looked at; Ray's checkpoint line is unknown",
    "ray_host_memory": "names = other without a captured host does not fall back on the host in the prefix; Ray's checkpoint line is unknown",
    "pals_killed": "a named rank without a known node does not fall back on the host in the prefix",
    "port_in_use": "a file per node whose name has a node's number but no host gives no node at all",
    "dns_one_node": "a rendezvous that never came about is told as init, not launch",
    "oom_killed_pod": "an event that names only the Kubernetes host hides the worker that the launcher saw die of SIGKILL at the same time",
    "evicted_pod": "the pod in `pod/NAME` of an event is not read",
    "node_not_ready": "a pod and the host it ran on count as two culprits, and two of four are not excluded",
    "docker_disk_full": "folders named after hosts with a letter (host-a) are not hosts; of two errors of one time the later, general one leads",
    "image_pull": "the pod in `pod/NAME` of an event is not read",
    "kubectl_prefix_finished": "telemetry's connection error after the last step outweighs `training finished in 203 s; ..` and all steps done",
    "nic_flap_recovers": "a NCCL warning without a time, in a file without the counter, never counts as survived, though the job finished",
    "nfs_pauses": "the stage of a running job is the last marker (init), not the iterations after it",
    "nfs_stays_away": "the file server is blamed and excluded as if it were a node of the job",
    "straggler": "the outcome slow is never given",
    "attempts_tree": "stderr.log does not share the rank and host that stdout.log beside it tells",
    "restarted_and_running": "`Loading the checkpoint from .../step-50.` and its end are not joined to iteration 50",
    "last_save_fails": "an error while serializing, with the quota's errno in the same line, is told as a torn checkpoint",
    "loader_killed_by_shm": "one `rank 4 of 8` line makes all unlabelled lines of a shared console rank 4's",
    "finished_then_cluster_noise": "torchrun's rendezvous warnings after the end of training make a finished job a failed one, and name a rendezvous id as the node",
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
