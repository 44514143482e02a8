"""Where each sentence of a simulated job lands: which file, behind which prefix, on which line.

`Voice` is what programs and faults speak through. It knows the layout and nothing of what is
said; it notes a kind with each failing line, and only when a file is written do the notes
become line numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from l4fast.simulate_job import ContextLines, FailureLine, Job, LineRef

Said = tuple[str | None, str]
"""A kind (None: benign, or root, consequence, teardown, context) and a text of one or more lines."""

Item = tuple[float, bytes, str | None]
"""When, what (with its line ends, or without the last one: a progress bar), its kind."""

_WEIGHT = {"context": 0, "teardown": 1, "consequence": 2, "root": 3}


@dataclass(frozen=True)
class Layout:
    """A way to keep logs: one of ``tree`` (a file a rank), ``tee``, ``label`` (one file), ``pods``.

    ``run`` is the random part of a torchrun log directory.
    """

    kind: str
    run: str

    def rank_file(self, job: Job, rank: int, stream: str) -> str:
        if self.kind == "tree":
            return f"{job.host_of(rank)}/{self.run}/attempt_0/{job.local_of(rank)}/{stream}.log"
        return self.node_file(job, job.node_of(rank))

    def node_file(self, job: Job, node: int) -> str:
        """Where the node's launcher writes."""
        if self.kind == "tree":
            return f"console.{job.hosts[node]}.log"
        if self.kind == "pods":
            pod = job.hosts[node]
            return f"pods/train_{pod}_5f0c{job.job_id:06d}-{node:04d}/pytorch/0.log"
        return f"slurm-{job.job_id}.out" if self.kind == "label" else "train.log"

    def kernel_file(self, job: Job, node: int) -> str:
        return f"kernel/{job.hosts[node]}.log" if self.kind in ("tree", "pods") else "messages"

    def scheduler_file(self, job: Job) -> str:
        if self.kind == "pods":
            return "events.txt"
        return self.node_file(job, 0) if self.kind == "label" else f"slurm-{job.job_id}.out"

    def rank_prefix(self, job: Job, rank: int) -> str:
        if self.kind == "label":
            return f"{rank:>{len(str(job.n_ranks - 1))}}: "
        return "" if self.kind == "tree" else f"[default{job.local_of(rank)}]:"

    def bulk_prefix(self) -> str:
        """`rank_prefix` with holes, for `simulate_text.compile_line`."""
        return {
            "tree": "",
            "label": "{task}: ",
            "tee": "[default{local}]:",
            "pods": "{cri} stdout F [default{local}]:",
        }[self.kind]

    @property
    def has_torchrun(self) -> bool:
        """Whether torchrun starts the ranks; else srun does, one task a rank."""
        return self.kind != "label"


@dataclass
class Voice:
    """Takes what a job says. ``stop_s``: benign lines later than that were never written.

    ``gone`` maps a node to the time after which nothing at all comes from it; ``dead`` are the
    ranks whose end a launcher has told.
    """

    job: Job
    layout: Layout
    stop_s: float = float("inf")
    gone: dict[int, float] = field(default_factory=dict)
    dead: set[int] = field(default_factory=set)
    pages: dict[str, list[Item]] = field(default_factory=dict)

    def rank(self, rank: int, t: float, said: Iterable[Said], stream: str = "stderr") -> None:
        """One process writes, on ``stderr`` or ``stdout``."""
        node = self.job.node_of(rank)
        file = self.layout.rank_file(self.job, rank, stream)
        self._put(file, node, t, said, self.layout.rank_prefix(self.job, rank), stream)

    def agent(self, node: int, t: float, said: Iterable[Said]) -> None:
        """The node's torchrun writes."""
        self._put(self.layout.node_file(self.job, node), node, t, said, "", "stderr")

    def kernel(self, node: int, t: float, said: Iterable[Said]) -> None:
        now = self.job.clock(node, t)
        head = f"{now:%b} {now.day:>2} {now:%H:%M:%S} {self.job.hosts[node]} kernel: "
        self._put(self.layout.kernel_file(self.job, node), node, t, said, head, None)

    def scheduler(self, t: float, said: Iterable[Said]) -> None:
        """Slurm or Kubernetes writes; it outlives every node."""
        self._put(self.layout.scheduler_file(self.job), -1, t, said, "", None)

    def bar(self, rank: int, t: float, text: str) -> None:
        """A progress bar that leaves its line open: what comes next is glued onto it."""
        if t <= self.stop_s:
            data = f"{self.layout.rank_prefix(self.job, rank)}{text}".encode()
            self._page(self.layout.rank_file(self.job, rank, "stderr")).append((t, data, None))

    @property
    def latest_s(self) -> float:
        """When the last sentence so far was said."""
        return max(item[0] for items in self.pages.values() for item in items)

    def _page(self, file: str) -> list[Item]:
        return self.pages.setdefault(file, [])

    def _put(
        self, file: str, node: int, t: float, said: Iterable[Said], prefix: str, stream: str | None
    ) -> None:
        merged = self.layout.kind != "tree"
        for kind, text in said:
            if t > self.gone.get(node, t) or (kind is None and t > self.stop_s):
                return
            head = prefix
            if self.layout.kind == "pods" and stream is not None:
                now = self.job.clock(node, t)
                head = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond:06d}{node % 1000:03d}Z {stream} F {prefix}"
            if head and "\n" in text:
                text = text.replace("\n", "\n" + head)
            self._page(file).append((t, f"{head}{text}\n".encode(), kind))
            # Ranks that share a file write line by line, so what they say mingles.
            t += 0.0003 if merged else 1e-6


@dataclass
class Notes:
    """The failing and the neutral lines of all files, in the order of writing."""

    failures: list[FailureLine] = field(default_factory=list)
    context: list[ContextLines] = field(default_factory=list)

    @property
    def roots(self) -> tuple[LineRef, ...]:
        return tuple(LineRef(x.file, x.line) for x in self.failures if x.kind == "root")


def write_file(root: Path, file: str, items: list[Item], notes: Notes) -> None:
    """Write one file in the order of time and note its failing lines."""
    items.sort(key=lambda item: item[0])
    path = os.path.join(root, file)
    # Thousands of small files: what pathlib and a second look at the folder cost is seen here.
    try:
        stream = open(path, "wb")  # noqa: SIM115
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        stream = open(path, "wb")  # noqa: SIM115
    with stream:
        stream.writelines([item[1] for item in items])
    kinds = _kinds(items) if any(item[2] for item in items) else {}
    for line, kind in kinds.items():
        if kind != "context":
            notes.failures.append(FailureLine(file, line, kind))
    ranges = _ranges([line for line, kind in kinds.items() if kind == "context"])
    if ranges:
        notes.context.append(ContextLines(file, ranges))


def _kinds(items: Sequence[Item]) -> dict[int, str]:
    """Map the number of each line that has a kind to it, in order; glued lines keep the gravest."""
    kinds: dict[int, str] = {}
    line = 1  # the line on which the next byte lands
    for _, data, kind in items:
        n_ends = data.count(b"\n")
        if kind is not None:
            for number in range(line, line + max(n_ends, 1)):
                if _WEIGHT[kind] >= _WEIGHT.get(kinds.get(number, ""), 0):
                    kinds[number] = kind
        line += n_ends
    return kinds


def _ranges(lines: list[int]) -> tuple[tuple[int, int], ...]:
    """Return the closed ranges that cover ascending ``lines``."""
    found: list[tuple[int, int]] = []
    for line in lines:
        if found and line == found[-1][1] + 1:
            found[-1] = (found[-1][0], line)
        else:
            found.append((line, line))
    return tuple(found)
