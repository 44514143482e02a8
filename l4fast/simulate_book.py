"""Where each sentence of a simulated job lands: which file, behind which prefix, on which line.

`Voice` is what programs and faults speak through. It knows the layout and who still lives, and
nothing of what is said: what a rank would say after its death, or while it waits, is never
written. It notes a kind with each failing line; only when a file is written do the notes become
line numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from l4fast.simulate_job import Job
from l4fast.simulate_physics import Course
from l4fast.simulate_truth import ContextLines, FailureLine, LineRef

Said = tuple[str | None, str]
"""A kind (None: benign, or root, consequence, teardown, context) and a text of one or more lines."""

Item = tuple[float, bytes, str | dict[int, str] | None]
"""When, what (with its line ends, or without the last one: a progress bar), its kind, or the kinds of some
of its lines, numbered from 0."""

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
    def launcher(self) -> str:
        """Who starts and ends the ranks: srun (a task a rank), torchrun under srun, or under an operator."""
        return {"label": "srun", "pods": "operator"}.get(self.kind, "torchrun")

    @property
    def has_torchrun(self) -> bool:
        return self.kind != "label"


@dataclass
class Voice:
    """Takes what a job says, and drops what could not be said any more.

    Attributes
    ----------
    stop_s : benign lines later than that were never written (logs copied while the job ran)
    suspects, named : the nodes to blame, and those of them that a root line names
    crowd : whether innocent nodes cry as loud, naming nobody
    naming : whether what is being said names anybody at all
    told : what the lines that were kept report: of iterations, and of checkpoints begun, promised
        and committed
    """

    job: Job
    layout: Layout
    course: Course
    stop_s: float = float("inf")
    suspects: tuple[int, ...] = ()
    named: set[int] = field(default_factory=set)
    crowd: bool = False
    naming: bool = True
    told: dict[str, set[int]] = field(default_factory=dict)
    pages: dict[str, list[Item]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        quiet = np.repeat(self.course.quiet_s, self.job.ranks_per_node)
        self.busy_s: NDArray[np.float64] = np.minimum(
            np.minimum(self.course.blocked_s, self.course.death_s), np.minimum(quiet, self.stop_s)
        )
        """float64[n_ranks]: until when a rank goes on as if nothing had happened, and is heard."""
        self._busy = self.busy_s.tolist()
        self._alive = np.minimum(self.course.death_s, quiet).tolist()
        self._quiet = self.course.quiet_s.tolist()

    def rank(self, rank: int, t: float, said: Iterable[Said], stream: str = "stderr") -> bool:
        """One process writes, on ``stderr`` or ``stdout``. Returns whether all of it was written."""
        node = self.job.node_of(rank)
        file = self.layout.rank_file(self.job, rank, stream)
        prefix = self.layout.rank_prefix(self.job, rank)
        return self._put(file, node, t, said, prefix, stream, self._busy[rank], self._alive[rank])

    def report(self, what: str, number: int, rank: int, t: float, said: Iterable[Said], stream: str) -> None:
        """One process writes a line that tells of iteration or checkpoint ``number``."""
        if self.rank(rank, t, said, stream):
            self.note(what, number)

    def note(self, what: str, number: int) -> None:
        self.told.setdefault(what, set()).add(number)

    def agent(self, node: int, t: float, said: Iterable[Said]) -> None:
        """The node's torchrun writes."""
        file, until = self.layout.node_file(self.job, node), self._quiet[node]
        self._put(file, node, t, said, "", "stderr", min(until, self.stop_s), until)

    def kernel(self, node: int, t: float, said: Iterable[Said], *, console: bool = False) -> None:
        """The node's kernel writes; a panic still gets through to a serial ``console``."""
        if not self.job.kernel_logs:
            return
        now = self.job.clock(node, t)
        head = f"{now:%b} {now.day:>2} {now:%H:%M:%S} {self.job.hosts[node]} kernel: "
        until = float("inf") if console else self._quiet[node]
        file = self.layout.kernel_file(self.job, node)
        self._put(file, node, t, said, head, None, min(until, self.stop_s), until)

    def scheduler(self, t: float, said: Iterable[Said]) -> None:
        """Slurm or Kubernetes writes; it outlives every node."""
        never = float("inf")
        self._put(self.layout.scheduler_file(self.job), -1, t, said, "", None, self.stop_s, never)

    def bar(self, rank: int, t: float, text: str) -> bool:
        """A progress bar that leaves its line open: what comes next is glued onto it."""
        if t > self._busy[rank]:
            return False
        data = f"{self.layout.rank_prefix(self.job, rank)}{text}".encode()
        self._page(self.layout.rank_file(self.job, rank, "stderr")).append((t, data, None))
        return True

    @property
    def latest_s(self) -> float:
        """When the last sentence so far was said."""
        return max(item[0] for items in self.pages.values() for item in items)

    def _page(self, file: str) -> list[Item]:
        return self.pages.setdefault(file, [])

    def _put(
        self,
        file: str,
        node: int,
        t: float,
        said: Iterable[Said],
        prefix: str,
        stream: str | None,
        busy_s: float,
        alive_s: float,
    ) -> bool:
        merged = self.layout.kind != "tree"
        page = self._page(file)
        for kind, text in said:
            if t > (busy_s if kind is None else alive_s):
                return False
            head = prefix
            if self.layout.kind == "pods" and stream is not None:
                now = self.job.clock(node, t)
                head = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond:06d}{node % 1000:03d}Z {stream} F {prefix}"
            if head and "\n" in text:
                text = text.replace("\n", "\n" + head)
            if kind == "root" and self.naming:
                self._name(file, node, head, text)
            page.append((t, f"{head}{text}\n".encode(), kind))
            # Ranks that share a file write line by line, so what they say mingles.
            t += 0.0003 if merged else 1e-6
        return True

    def _name(self, file: str, node: int, head: str, text: str) -> None:
        """Note which suspects a root line names: by its place or label, by host, rank or address."""
        job = self.job
        if (
            node >= 0
            and node not in self.suspects
            and not any(job.hosts[x] in text or f"{job.ips[x]}<" in text for x in self.suspects)
        ):
            self.crowd = True
        for suspect in self.suspects:
            if suspect in self.named:
                continue
            host = job.hosts[suspect]
            where = suspect == node and (
                host in file or self.layout.kind == "label" or "local_rank:" in text or "exitcode" in text
            )
            if (
                where
                or host in head + text
                or f"{job.ips[suspect]}<" in text
                or (
                    suspect == node
                    and any(f"[rank{rank}]" in text or f"ank {rank}" in text for rank in job.ranks_of(node))
                )
            ):
                self.named.add(suspect)


@dataclass
class Notes:
    """The failing and the neutral lines of all files, in the order of writing."""

    failures: list[FailureLine] = field(default_factory=list)
    context: list[ContextLines] = field(default_factory=list)

    @property
    def roots(self) -> tuple[LineRef, ...]:
        return tuple(LineRef(x.file, x.line) for x in self.failures if x.kind == "root")


class Sheet:
    """One file that is being written, part by part in the order of time."""

    def __init__(self, root: Path, file: str) -> None:
        self.file = file
        self._line = 1  # the line on which the next byte lands
        self._kinds: dict[int, str] = {}
        path = os.path.join(root, file)
        # Thousands of small files: what pathlib and a second look at the folder cost is seen here.
        try:
            self._stream = open(path, "wb")  # noqa: SIM115
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._stream = open(path, "wb")  # noqa: SIM115

    def write(self, items: list[Item]) -> None:
        """Write ``items``, which are in the order of time; glued lines keep the gravest kind."""
        self._stream.write(b"".join([item[1] for item in items]))
        line, kinds = self._line, self._kinds
        for _, data, kind in items:
            n_ends = data.count(b"\n")
            if isinstance(kind, dict):
                kinds.update((line + number, each) for number, each in kind.items())
            elif kind is not None:
                for number in range(line, line + max(n_ends, 1)):
                    if _WEIGHT[kind] >= _WEIGHT.get(kinds.get(number, ""), 0):
                        kinds[number] = kind
            line += n_ends
        self._line = line

    def __enter__(self) -> Sheet:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def tell(self, notes: Notes) -> None:
        """Add this file's failing and neutral lines to ``notes``."""
        for line, kind in self._kinds.items():
            if kind != "context":
                notes.failures.append(FailureLine(self.file, line, kind))
        ranges = _ranges([line for line, kind in self._kinds.items() if kind == "context"])
        if ranges:
            notes.context.append(ContextLines(self.file, ranges))


def write_file(root: Path, file: str, items: list[Item], notes: Notes) -> None:
    """Write one file in the order of time and note its failing lines."""
    with Sheet(root, file) as sheet:
        sheet.write(sorted(items, key=lambda item: item[0]))
        sheet.tell(notes)


def _ranges(lines: list[int]) -> tuple[tuple[int, int], ...]:
    """Return the closed ranges that cover ascending ``lines``."""
    found: list[tuple[int, int]] = []
    for line in lines:
        if found and line == found[-1][1] + 1:
            found[-1] = (found[-1][0], line)
        else:
            found.append((line, line))
    return tuple(found)
