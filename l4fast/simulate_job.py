"""The job that is simulated: its machines, its clocks, its timetable; and the truth about it.

Times are seconds since the launch, float, on one true clock. What a node writes is that time
plus the node's own skew, so that order across nodes is as doubtful as in real logs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

_BUS = ("1b:00", "43:00", "52:00", "61:00", "9d:00", "c3:00", "d1:00", "df:00")


@dataclass(frozen=True)
class LineRef:
    """One line: ``file`` relative to the logs, ``line`` numbered from 1, ended by LF only."""

    file: str
    line: int


@dataclass(frozen=True)
class FailureLine:
    """A failure-indicating line; ``kind`` is root, consequence or teardown."""

    file: str
    line: int
    kind: str


@dataclass(frozen=True)
class ContextLines:
    """Neutral lines (traceback frames, report boxes): closed ranges of one file."""

    file: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Truth:
    """What happened in a simulated job: the content of ``truth.json``.

    ``accepted`` holds, for a field whose answer can be defended in more than one way, all
    the answers that count as right. Iterations and checkpoints are those of this attempt;
    None where there is none.
    """

    style: str
    fault: str | None
    outcome: str
    category: str | None
    faulty_nodes: tuple[str, ...]
    faulty_ranks: tuple[int, ...]
    node_evidence: str
    stage: str
    last_iteration: int | None
    first_abnormal_iteration: int | None
    last_durable_checkpoint: int | None
    last_accepted_checkpoint: int | None
    verdict: str
    nodes: int
    ranks: int
    root_lines: tuple[LineRef, ...]
    failure_lines: tuple[FailureLine, ...]
    context_lines: tuple[ContextLines, ...]
    accepted: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Job:
    """Everything about a job but its fault; a pure function of the arguments of `plan`.

    ``ends[i]`` is when iteration ``i + 1`` is complete on all ranks, before the evaluation
    or the save that follows it. ``pids`` and ``agent_pids`` are per rank and per node.
    """

    style: str
    nodes: int
    ranks_per_node: int
    iterations: int
    seed: int
    hosts: tuple[str, ...]
    ips: tuple[str, ...]
    skew_s: NDArray[np.float64]
    pids: NDArray[np.int64]
    agent_pids: NDArray[np.int64]
    start: datetime
    ends: NDArray[np.float64]
    train_s: float
    step_s: float
    save_every: int
    eval_every: int
    save_s: float
    eval_s: float
    job_id: int
    seqnum: int
    old_torch: bool

    @property
    def n_ranks(self) -> int:
        return self.nodes * self.ranks_per_node

    def node_of(self, rank: int) -> int:
        return rank // self.ranks_per_node

    def host_of(self, rank: int) -> str:
        return self.hosts[rank // self.ranks_per_node]

    def local_of(self, rank: int) -> int:
        return rank % self.ranks_per_node

    def ranks_of(self, node: int) -> range:
        return range(node * self.ranks_per_node, (node + 1) * self.ranks_per_node)

    def bus_of(self, rank: int) -> str:
        """The PCI address of the rank's GPU, as ``9d:00``; eight differ, then they repeat."""
        return _BUS[self.local_of(rank) % len(_BUS)]

    def end_of(self, iteration: int) -> float:
        """When ``iteration`` (1-based; 0 is the start of training) was complete."""
        return self.train_s if iteration == 0 else float(self.ends[iteration - 1])

    def saves_until(self, iteration: int) -> range:
        return range(self.save_every, iteration + 1, self.save_every)

    def save_begin(self, iteration: int) -> float:
        evaluated = self.eval_s if iteration % self.eval_every == 0 else 0.0
        return self.end_of(iteration) + evaluated + 0.05

    @property
    def finish_s(self) -> float:
        """When training is over, the last evaluation and save included."""
        return self.save_begin(self.iterations) + self.save_s + 1.0

    def clock(self, node: int, t: float) -> datetime:
        """What the node's clock shows at true time ``t``."""
        return self.start + timedelta(seconds=t + float(self.skew_s[node]))

    def iso(self, node: int, t: float) -> str:
        """``2026-05-07 15:49:31,123`` on that node."""
        now = self.clock(node, t)
        return f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}"

    def uptime(self, node: int, t: float) -> str:
        """``[81234.567890]``, the seconds since the node's boot as its kernel heads a line."""
        return f"[{81_000 + 977 * node % 9000 + t:.6f}]"

    def glog(self, letter: str, node: int, t: float) -> str:
        """``E507 15:49:31.123456789``, as C++ code in torch heads a line: no year, month unpadded."""
        now = self.clock(node, t)
        nanos = (now.microsecond * 7 + node) % 1000
        return f"{letter}{now.month}{now:%d %H:%M:%S}.{now.microsecond:06d}{nanos:03d}"

    def agent_head(self, letter: str, node: int, t: float, source: str) -> str:
        """``W0507 15:49:31.123000 81234 torch/distributed/run.py:779]`` as torchrun heads a line."""
        now = self.clock(node, t)
        millis = f"{now.microsecond // 1000:03d}000"
        return f"{letter}{now:%m%d %H:%M:%S}.{millis} {self.agent_pids[node]} torch/distributed/{source}]"


def plan(
    style: str,
    nodes: int,
    ranks_per_node: int,
    iterations: int,
    seed: int,
    clock_skew_s: float,
    rng: np.random.Generator,
) -> Job:
    """Draw a job. ``clock_skew_s`` is the standard deviation of the nodes' clocks, seconds."""
    n_ranks = nodes * ranks_per_node
    digits = max(3, len(str(nodes - 1)))
    prefix = {"megatron": "gpu-", "hf": "node-", "nemo": "cn", "titan": "hgx-", "k8s": "llm-worker-"}[style]
    step_s = 2.4 + 0.2 * float(rng.random())
    save_every = max(2, iterations // 4)
    eval_every = max(3, iterations // 2)
    save_s = 6.0 + float(rng.random())
    eval_s = 4.0 + float(rng.random())
    lengths = step_s * (1 + 0.02 * rng.standard_normal(iterations)).clip(0.9, 1.2)
    lengths[0] *= 5  # kernels are compiled and buffers are allocated
    numbers = np.arange(1, iterations + 1)
    pauses = np.where(numbers % save_every == 0, save_s, 0.0)
    pauses += np.where(numbers % eval_every == 0, eval_s, 0.0)
    train_s = 70.0 + 0.01 * n_ranks**0.5
    ends = train_s + np.cumsum(lengths) + np.concatenate([[0.0], np.cumsum(pauses)[:-1]])
    return Job(
        style=style,
        nodes=nodes,
        ranks_per_node=ranks_per_node,
        iterations=iterations,
        seed=seed,
        hosts=tuple(f"{prefix}{i:0{digits}d}" for i in range(nodes)),
        ips=tuple(f"10.{20 + i // 62500}.{i // 250 % 250}.{i % 250 + 2}" for i in range(nodes)),
        skew_s=clock_skew_s * rng.standard_normal(nodes).clip(-2, 2),
        pids=2_000_000 + 131 * (np.arange(n_ranks) % ranks_per_node) + rng.integers(0, 97, n_ranks),
        agent_pids=1_990_000 + rng.integers(0, 9_000, nodes),
        start=datetime(2026, 5, 7, 6, 10, 0, tzinfo=UTC) + timedelta(seconds=int(rng.integers(0, 36_000))),
        ends=ends,
        train_s=train_s,
        step_s=step_s,
        save_every=save_every,
        eval_every=eval_every,
        save_s=save_s,
        eval_s=eval_s,
        job_id=int(rng.integers(200_000, 899_999)),
        seqnum=int(rng.integers(120, 140)),
        old_torch=bool(seed % 2),
    )
