"""What the machines and NCCL say before training, in every framework; all of it is harmless."""

from __future__ import annotations

import numpy as np

from l4fast.simulate_book import Said, Voice
from l4fast.simulate_nccl import communicator, nccl_head

INIT_S = 12.0
"""When the communicators begin to form."""

LOAD_S = 40.0
"""When a checkpoint is read, if one is."""

DATA_S = 52.0
"""When the training data is opened."""


def kernels(voice: Voice, rng: np.random.Generator) -> None:
    """A few lines of each node's kernel log, among them the alarming ones of healthy machines."""
    job = voice.job
    pick = rng.random((job.nodes, 2))
    for node in range(job.nodes):
        voice.kernel(
            node,
            2.0,
            [(None, f"{job.uptime(node, 2.0)} nvidia-uvm: Loaded the UVM driver, major device number 503.")],
        )
        voice.kernel(
            node, 5.0, [(None, f"{job.uptime(node, 5.0)} mlx5_core 0000:5e:00.0 mlx5_0: Port: 1 Link ACTIVE")]
        )
        if pick[node, 0] < 0.3:
            text = (
                "nvidia-peermem nv_get_p2p_free_callback:127 ERROR detected invalid context, skipping "
                "further processing"
            )
            voice.kernel(node, 8.0, [(None, f"{job.uptime(node, 8.0)} {text}")])
        if pick[node, 1] < 0.2:
            text = "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1 slot:0)"
            voice.kernel(node, 95.0, [(None, f"{job.uptime(node, 95.0)} {text}")])


def communicators(voice: Voice, rng: np.random.Generator) -> None:
    """NCCL's own account of itself, a dozen lines a rank, on stdout, if it was asked for."""
    job = voice.job
    if not job.habits.nccl_lines:
        return
    # One draw for all ranks: a scalar draw costs more than the line that it varies.
    wait = rng.random((job.n_ranks, 2))
    world = int(rng.integers(1 << 40, 1 << 44))
    for rank in range(job.n_ranks):
        node = job.node_of(rank)
        info = nccl_head(job, rank, "NCCL INFO")
        t = INIT_S + 2 * float(wait[rank, 0])
        comm = f"comm 0x{communicator(rank)} rank {rank} nranks {job.n_ranks} cudaDev {job.local_of(rank)}"
        ids = f"nvmlDev {job.local_of(rank)} busId {job.bus_of(rank).replace(':', '')}0 commId 0x{world:x}"
        said: list[Said] = [
            (None, f"{info} cudaDriverVersion 12080"),
            (None, f"{info} NCCL_SOCKET_IFNAME set by environment to eth0"),
            (None, f"{info} Bootstrap: Using eth0:{job.ips[node]}<0>"),
            (
                None,
                f"{info} NET/IB : Using [0]mlx5_0:1/IB [1]mlx5_1:1/IB [2]mlx5_2:1/IB [3]mlx5_3:1/IB [RO]; "
                f"OOB eth0:{job.ips[node]}<0>",
            ),
            (None, f"{info} Using network IB"),
            (None, f"{info} ncclCommInitRankConfig {comm} {ids} - Init START"),
        ]
        voice.rank(rank, t, said, "stdout")
        if wait[rank, 1] < 0.05:
            warn = nccl_head(job, rank, "graph/topo.cc:142 NCCL WARN")
            voice.rank(
                rank,
                t + 1,
                [(None, f"{warn} Could not find NUMA node of NIC 2, using node 0 instead (no error)")],
                "stdout",
            )
        voice.rank(
            rank,
            INIT_S + 5 + float(wait[rank, 1]),
            [
                (
                    None,
                    f"{info} 16 coll channels, 16 collnet channels, 0 nvls channels, 16 p2p channels, 2 p2p "
                    "channels per peer",
                ),
                (None, f"{info} Connected all rings"),
                (None, f"{info} Connected all trees"),
                (None, f"{info} ncclCommInitRankConfig {comm} {ids} - Init COMPLETE"),
            ],
            "stdout",
        )


def warnings(voice: Voice, rng: np.random.Generator) -> None:
    """Warnings, retries that succeed, and words like "error" in sentences that mean no harm."""
    job = voice.job
    draw = rng.random((job.n_ranks, 2))
    site = "/usr/local/lib/python3.12/dist-packages"
    for rank in range(job.n_ranks):
        node, t = job.node_of(rank), 4.0 + float(draw[rank, 0])
        said: list[Said] = [
            (
                None,
                f"[rank{rank}]:[{job.glog('W', node, t)} ProcessGroupNCCL.cpp:4715] [PG ID 0 PG GUID 0 "
                f"Rank {rank}]  "
                f"using GPU {job.local_of(rank)} as device used by this process is currently unknown. This "
                "can potentially cause a hang if this rank to GPU mapping is incorrect.",
            ),
            (
                None,
                f"{site}/torch/utils/cpp_extension.py:2059: UserWarning: TORCH_CUDA_ARCH_LIST is not set, "
                "all archs for visible cards are included for compilation.\n  warnings.warn(",
            ),
        ]
        voice.rank(rank, t, said)
        if draw[rank, 1] < 0.04:
            text = (
                "data index: shared lock is busy (Resource temporarily unavailable), attempt 1 of 5 "
                "failed, trying again"
            )
            voice.rank(rank, DATA_S - 2, [(None, f"{job.iso(node, DATA_S - 2)} WARNING {text}")])
            voice.rank(
                rank,
                DATA_S - 1,
                [(None, f"{job.iso(node, DATA_S - 1)} INFO data index: lock taken at attempt 2")],
            )
        if draw[rank, 1] > 0.97:
            text = "UCC WARN  tl_cuda: failed to initialise team, falling back to tl_nccl"
            stamp = f"[{1778130000 + t:.6f}] [{job.hosts[node]}:{job.pids[rank]}:0]"
            voice.rank(rank, INIT_S, [(None, f"{stamp} cl_basic_team.c:175  {text}")])
