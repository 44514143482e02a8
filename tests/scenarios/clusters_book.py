"""How the scenarios of clusters, launchers and storage are written: by time, then sorted into files."""

# ruff: noqa: E501  (a line of a log stays one line)
from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scenarios import Expected, Log, told

BEGUN = dt.datetime(2026, 3, 14, 2, 0, 0)
FAILED = frozenset({"failed"})
FINISHED = frozenset({"finished"})
NONE = frozenset({"none"})
RESTART = frozenset({"restart"})
EXCLUDE = frozenset({"restart_excluding"})
NOBODY: frozenset[Any] = frozenset()


def when(t: float) -> dt.datetime:
    return BEGUN + dt.timedelta(seconds=t)


def comma(t: float) -> str:
    """`2026-03-14 02:00:00,000`, Python logging."""
    now = when(t)
    return f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03}"


def dotted(t: float) -> str:
    return f"{when(t):%Y-%m-%d %H:%M:%S.%f}"


def plain(t: float) -> str:
    return f"{when(t):%Y-%m-%dT%H:%M:%S}"


def cri(t: float) -> str:
    return f"{when(t):%Y-%m-%dT%H:%M:%S.%f}123Z"


def elastic(t: float, level: str = "E") -> str:
    """The head of a line of torchrun's agent."""
    return f"{level}{when(t):%m%d %H:%M:%S.%f} 140233"


def c10d(t: float, level: str = "E") -> str:
    now = when(t)
    return f"{level}{now.month}{now:%d %H:%M:%S.%f}417"


def syslog(t: float) -> str:
    return f"{when(t):%b %d %H:%M:%S}"


@dataclass
class Book:
    """Lines with their times; ``kind`` is say, cry (wanted) or mutter (either way)."""

    base: Path
    lines: dict[str, list[tuple[float, str, str]]] = field(default_factory=dict)

    def at(self, t: float, file: str, text: str, kind: str = "say") -> None:
        rows = self.lines.setdefault(file, [])
        rows += [(t, kind, line) for line in text.split("\n")]

    def cry(self, t: float, file: str, text: str) -> None:
        self.at(t, file, text, "cry")

    def mutter(self, t: float, file: str, text: str) -> None:
        self.at(t, file, text, "mutter")

    def end(self, **answer: Any) -> Expected:
        """Write the files; return the answer, with the lines counted."""
        logs = []
        for name, rows in self.lines.items():
            log = Log(self.base, name)
            for _, kind, line in sorted(rows, key=lambda row: row[0]):
                getattr(log, kind)(line)
            logs.append(log)
        bad, either = told(logs)
        return Expected(lines=bad, either=either, **answer)


def healthy(**answer: Any) -> dict[str, Any]:
    """The answer about a job in which nothing failed."""
    return {
        "root": None, "nodes": NOBODY, "ranks": NOBODY, "verdict": NONE, **answer,
    }  # fmt: skip


def megatron(t: float, step: int, total: int, seconds: float = 4.2, loss: float | None = None) -> str:
    """The progress line of Megatron's last rank."""
    value = 9.0 / (1 + 0.01 * step) if loss is None else loss
    return (
        f" [{dotted(t)}] iteration {step:8d}/{total:8d} | consumed samples: {step * 512:12d} | "
        f"elapsed time per iteration (ms): {seconds * 1000 + step % 7:.1f} | throughput per GPU (TFLOP/s/GPU): 41{step % 10}.2 | "
        f"learning rate: 3.0E-04 | global batch size:   512 | lm loss: {value:.6E} | loss scale: 1.0 | "
        f"grad norm: 0.{300 + step % 50} | number of skipped iterations:   0 | number of nan iterations:   0 |"
    )


def titan(t: float, step: int, loss: float = 5.0) -> str:
    return (
        f"[titan] {comma(t)} - root - INFO - step: {step:2}  loss: {loss - step * 0.004:8.4f}  grad_norm:  0.{2000 + step * 7 % 999}  "
        f"memory: 61.{step % 90 + 10}GiB(77.1{step % 10}%)  tps: 7,{step * 13 % 900 + 100}  tflops: 391.{step % 10}4  mfu: 39.6{step % 10}%"
    )


def watchdog(
    t: float, rank: int, seq: int, enqueued: int, completed: int, *, op: str = "ALLREDUCE"
) -> list[str]:
    """What a rank says that waited ten minutes in vain (PyTorch 2.6 and later)."""
    head = f"[rank{rank}]:[{c10d(t)} ProcessGroupNCCL.cpp"
    who = f"[PG ID 0 PG GUID 0(default_pg) Rank {rank}]"
    work = f"WorkNCCL(SeqNum={seq}, OpType={op}, NumelIn=131072, NumelOut=131072, Timeout(ms)=600000)"
    return [
        f"{head}:633] [Rank {rank}] Watchdog caught collective operation timeout: {work} ran for {600000 + rank * 3} milliseconds before timing out.",
        f"{head}:2271] {who}  failure detected by watchdog at work sequence id: {seq} PG status: last enqueued work: {enqueued}, last completed work: {completed}",
        f"{head}:684] [Rank {rank}] Some NCCL operations have failed or timed out. Due to the asynchronous nature of CUDA kernels, subsequent GPU operations might run on corrupted/incomplete data.",
        f"{head}:698] [Rank {rank}] To avoid data inconsistency, we are taking the entire process down.",
        f"{head}:1899] {who} Process group watchdog thread terminated with exception: [Rank {rank}] Watchdog caught collective operation timeout: {work} ran for {600000 + rank * 3} milliseconds before timing out.",
    ]


def docker(t: float, text: str, stream: str = "stderr") -> str:
    return json.dumps({"log": text + "\n", "stream": stream, "time": cri(t)})


def child_failed(t: float, script: str, host: str, rank: int, local: int, code: int, pid: int) -> str:
    """torchrun's box about the first failure of its node."""
    told_by = (
        f"Signal {-code} ({ {9: 'SIGKILL', 6: 'SIGABRT', 11: 'SIGSEGV'}[-code] }) received by PID {pid}"
        if code < 0
        else ("To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html")
    )
    return "\n".join(
        [
            "=" * 60,
            f"{script} FAILED",
            "-" * 60,
            "Failures:",
            "  <NO_OTHER_FAILURES>",
            "-" * 60,
            "Root Cause (first observed failure):",
            "[0]:",
            f"  time      : {when(t):%Y-%m-%d_%H:%M:%S}",
            f"  host      : {host}",
            f"  rank      : {rank} (local_rank: {local})",
            f"  exitcode  : {code} (pid: {pid})",
            "  error_file: <N/A>",
            f"  traceback : {told_by}",
            "=" * 60,
        ]
    )


def launcher_stack(script: str) -> list[tuple[str, str]]:
    """The stack under which torchrun raises ChildFailedError, as (kind, line)."""
    return [
        ("mutter", "Traceback (most recent call last):"),
        ("mutter", '  File "/opt/conda/bin/torchrun", line 8, in <module>'),
        ("mutter", "    sys.exit(main())"),
        (
            "mutter",
            '  File "/opt/conda/lib/python3.11/site-packages/torch/distributed/run.py", line 892, in main',
        ),
        ("mutter", "    run(args)"),
        (
            "mutter",
            '  File "/opt/conda/lib/python3.11/site-packages/torch/distributed/launcher/api.py", line 270, in launch_agent',
        ),
        ("mutter", "    raise ChildFailedError("),
        ("cry", "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "),
    ]


def torchrun_down(
    book: Book,
    t: float,
    file: str,
    host: str,
    dead: tuple[int, int, int, int],
    others: list[int],
    *,
    script: str = "pretrain.py",
    lead: str = "",
) -> None:
    """torchrun's agent finds a dead worker: ``dead`` is (rank, local rank, exit code, pid)."""
    rank, local, code, pid = dead
    for i, other in enumerate(others):
        book.cry(
            t + 0.001 * i,
            file,
            f"{lead}{elastic(t + 0.001 * i, 'W')} torch/distributed/elastic/multiprocessing/api.py:900] Sending process {other} closing signal SIGTERM",
        )
    book.cry(
        t + 1.2,
        file,
        f"{lead}{elastic(t + 1.2)} torch/distributed/elastic/multiprocessing/api.py:874] failed (exitcode: {code}) local_rank: {local} (pid: {pid}) of binary: /opt/conda/bin/python",
    )
    for kind, line in launcher_stack(script):
        book.at(t + 1.3, file, lead + line, kind)
    for line in child_failed(t, script, host, rank, local, code, pid).split("\n"):
        book.mutter(t + 1.3, file, lead + line)
