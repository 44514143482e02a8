"""The job that is simulated: its machines, clocks, timetable, versions and habits.

Times are seconds since the launch, float, on one true clock. What a node writes is that time
plus the node's own skew, so that order across nodes is as doubtful as in real logs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_BUS = ("1b:00", "43:00", "52:00", "61:00", "9d:00", "c3:00", "d1:00", "df:00")
_Choice = TypeVar("_Choice")


@dataclass(frozen=True)
class Habits:
    """What differs between clusters and releases, and decides what a failure looks like.

    Attributes
    ----------
    nccl_lines : whether NCCL's own lines are in the logs (NCCL_DEBUG)
    torch, nccl : releases; a watchdog's wording and its sleep before the throw depend on them
    timeout_s : how long a collective may take
    kill_on_exit : whether the first task that ends badly ends all (``srun --kill-on-bad-exit``)
    transport : ib (a dead peer is noticed after 20 s of retries) or socket (at once)
    monitor_s : how often a node's launcher looks after its ranks
    node_watch_s : when the scheduler notices that a node is gone
    answers : whether a stuck process still runs the threads that answer a dump signal
    """

    torch: str
    nccl: str
    nccl_lines: bool
    timeout_s: float
    kill_on_exit: bool
    transport: str
    monitor_s: float
    node_watch_s: float
    answers: bool


@dataclass(frozen=True)
class Job:
    """Everything about a job but what breaks; a pure function of the arguments of `plan`.

    ``ends[i]`` is when iteration ``i + 1`` is complete on all ranks, before the evaluation
    or the save that follows it; ``pauses[i]`` is what follows it. ``pids`` and ``agent_pids``
    are per rank and per node. ``tensor`` x ``data`` x ``pipe`` ranks work together, tensor
    parallel ones being neighbours; ``switch`` nodes hang on one switch.
    """

    style: str
    fault: str | None
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
    pauses: NDArray[np.float64]
    train_s: float
    step_s: float
    save_every: int
    eval_every: int
    log_every: int
    save_s: float
    eval_s: float
    pause_from: int
    pause_s: float
    job_id: int
    seqnum: int
    tensor: int
    pipe: int
    switch: int
    kernel_logs: bool
    habits: Habits

    @property
    def n_ranks(self) -> int:
        return self.nodes * self.ranks_per_node

    @property
    def data(self) -> int:
        return self.n_ranks // (self.tensor * self.pipe)

    def choose(self, about: str, *options: _Choice) -> _Choice:
        """Pick one of ``options`` by the seed: other programs and releases say other words."""
        return options[crc32(f"{about}/{self.seed}/{self.style}/{self.fault}".encode()) % len(options)]

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

    def begin_of(self, iteration: int) -> float:
        """When ``iteration`` began, the pause after the one before being over."""
        if iteration == 1:
            return self.train_s
        return float(self.ends[iteration - 2] + self.pauses[iteration - 2])

    def saves_until(self, iteration: int) -> range:
        return range(self.save_every, iteration + 1, self.save_every)

    def reported(self, iteration: int) -> int:
        """The last iteration up to ``iteration`` whose end is printed."""
        return iteration // self.log_every * self.log_every

    def save_begin(self, iteration: int) -> float:
        evaluated = self.eval_s if iteration % self.eval_every == 0 else 0.0
        return self.end_of(iteration) + evaluated + 0.05

    def save_length(self, iteration: int) -> float:
        """How long the save after ``iteration`` takes."""
        return self.save_s + (self.pause_s if iteration >= self.pause_from else 0.0)

    @property
    def finish_s(self) -> float:
        """When training is over, the last evaluation and save included."""
        return self.end_of(self.iterations) + float(self.pauses[-1]) + 1.0

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
        if self.habits.torch == "2.2":
            level = {"W": "WARNING", "E": "ERROR", "I": "INFO"}[letter]
            stamp = f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}"
            return f"[{stamp}] torch.distributed.{source.partition(':')[0][:-3].replace('/', '.')}: [{level}]"
        millis = f"{now.microsecond // 1000:03d}000"
        return f"{letter}{now:%m%d %H:%M:%S}.{millis} {self.agent_pids[node]} torch/distributed/{source}]"


def plan(
    style: str,
    fault: str | None,
    nodes: int,
    ranks_per_node: int,
    iterations: int,
    seed: int,
    clock_skew_s: float,
    kernel_logs: bool,
    group: int,
    rng: np.random.Generator,
) -> Job:
    """Draw a job. ``clock_skew_s`` is the standard deviation of the nodes' clocks, seconds.

    ``group`` is how many nodes one switch must serve at least.
    """
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
    tensor = ranks_per_node if style in ("megatron", "nemo") else 1
    pipes = [p for p in (1, 2, 4) if nodes % p == 0 and nodes >= 2 * p]
    pipe = int(rng.choice(pipes)) if pipes and style in ("megatron", "nemo") else 1
    log_every = [1, 1, 5, 10][int(rng.integers(4))]
    if iterations < 80 or style == "hf":
        log_every = 1  # a small job would hardly report; a progress bar shows each iteration
    return Job(
        style=style,
        fault=fault,
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
        pauses=pauses,
        train_s=train_s,
        step_s=step_s,
        save_every=save_every,
        eval_every=eval_every,
        log_every=log_every,
        save_s=save_s,
        eval_s=eval_s,
        pause_from=iterations + 1,
        pause_s=0.0,
        job_id=int(rng.integers(200_000, 899_999)),
        seqnum=int(rng.integers(120, 140)),
        tensor=tensor,
        pipe=pipe,
        switch=max(group, min(16, max(2, nodes // 4))),
        kernel_logs=kernel_logs,
        habits=_habits(style, rng),
    )


def _habits(style: str, rng: np.random.Generator) -> Habits:
    """Draw a cluster's settings and a set of releases that went together."""
    torch, nccl = [("2.2", "2.19.3"), ("2.4", "2.20.5"), ("2.6", "2.21.5"), ("2.8", "2.27.3")][
        int(rng.integers(4))
    ]
    draw = rng.random(6)
    return Habits(
        torch=torch,
        nccl=nccl,
        # Where files are not named after hosts, NCCL's lines may be all that maps ranks to them.
        nccl_lines=bool(draw[5] < 0.6) or style not in ("megatron", "k8s"),
        # Hugging Face's default is half an hour, torch's ten minutes.
        timeout_s=1800.0 if draw[0] < (0.6 if style == "hf" else 0.25) else 600.0,
        kill_on_exit=bool(draw[1] < 0.6),
        transport="ib" if draw[2] < 0.7 else "socket",
        monitor_s=5.0 if torch == "2.2" else 0.1,
        node_watch_s=(45.0 if style == "k8s" else 300.0) + 8 * float(draw[3]),
        answers=bool(draw[4] < 0.6),
    )


def slowed(job: Job, first: int, factor: float, pause_s: float) -> Job:
    """Return the job with iterations from ``first`` on ``factor`` times as long, saves ``pause_s`` longer."""
    numbers = np.arange(1, job.iterations + 1)
    before = np.concatenate([[job.train_s], (job.ends + job.pauses)[:-1]])
    lengths = (job.ends - before) * np.where(numbers >= first, factor, 1.0)
    pauses = job.pauses + np.where((numbers % job.save_every == 0) & (numbers >= first), pause_s, 0.0)
    ends = job.train_s + np.cumsum(lengths) + np.concatenate([[0.0], np.cumsum(pauses)[:-1]])
    return replace(job, ends=ends, pauses=pauses, pause_from=first, pause_s=pause_s)
