"""Who works with whom: the process groups of a simulated job and the numbers of their collectives.

Ranks are laid out as Megatron does it: tensor parallel ranks are neighbours, data parallel ones
follow, pipeline stages are the slowest to change. Torch's messages hold a rank's place *within its
group*; only the prefix in front of them holds the rank in the job.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l4fast.simulate_job import Job

WORLD, TENSOR, PIPE, DATA = 0, 1, 2, 3
"""Kinds of groups. Where one group holds all ranks it is the world, whatever it is for."""

_NAMES = {
    "megatron": (
        "default_pg",
        "TENSOR_MODEL_PARALLEL_GROUP",
        "PIPELINE_MODEL_PARALLEL_GROUP",
        "DATA_PARALLEL_GROUP_WITH_CP",
    ),
    "titan": ("default_pg", "mesh_tp", "mesh_pp", "mesh_dp_shard"),
}
_OPS = {
    "megatron": ("ALLREDUCE", "ALLREDUCE", "COALESCED", "_REDUCE_SCATTER_BASE"),
    "titan": ("ALLREDUCE", "ALLREDUCE", "SEND", "_ALLGATHER_BASE"),
    "hf": ("ALLREDUCE", "ALLREDUCE", "SEND", "ALLREDUCE"),
}
_PER_ITERATION = {"megatron": (1, 64, 16, 4), "titan": (1, 64, 16, 66), "hf": (4, 64, 16, 4)}
_SIZES = (1, 25165824, 25165824, 41943040)


@dataclass(frozen=True)
class Place:
    """A rank's place in one of its groups, as torch's messages tell it."""

    local_id: int
    guid: int
    name: str
    rank: int
    op: str
    size: int


def family(job: Job) -> str:
    """Which program's groups these are."""
    return {"nemo": "megatron", "k8s": "titan"}.get(job.style, job.style)


def coordinates(job: Job) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return each rank's tensor, data and pipeline index, int64[n_ranks] each."""
    rest, tensor = np.divmod(np.arange(job.n_ranks), job.tensor)
    pipe, data = np.divmod(rest, job.data)
    return tensor, data, pipe


def data_kind(job: Job) -> int:
    """The kind of the group in which gradients meet: plain data parallelism has one group only."""
    return WORLD if job.style == "hf" else DATA


def place(job: Job, kind: int, rank: int) -> Place:
    """Return the place of ``rank`` in its group of ``kind``."""
    rest, tensor = divmod(rank, job.tensor)
    pipe, data = divmod(rest, job.data)
    number, within = {
        WORLD: (0, rank),
        TENSOR: (rest, tensor),
        PIPE: (tensor + job.tensor * data, pipe),
        DATA: (tensor + job.tensor * pipe, data),
    }[kind]
    who = family(job)
    name = _NAMES.get(who, _NAMES["titan"])[kind]
    guid = 0 if kind == WORLD else 1 + 3 * number + kind
    return Place(kind, guid, name, within, _OPS[who][kind], _SIZES[kind])


def begun(job: Job, kind: int, last: int) -> int:
    """How many collectives a group of ``kind`` had begun half-way through iteration ``last + 1``."""
    per = _PER_ITERATION[family(job)][kind]
    return job.seqnum + per * last + (per + 1) // 2


def under_switch(job: Job, node: int) -> range:
    """The nodes that hang on the same switch as ``node``; the last switch may have fewer."""
    first = node // job.switch * job.switch
    return range(first, min(first + job.switch, job.nodes))
