# ruff: noqa: E501 - lines of logs are quoted as they are
"""What torchrun, Python and PyTorch write around a failure, in their own words."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios import Log
from scenarios.clock import Clock

AGENT = "140217 torch/distributed/elastic"
SCRIPT = "pretrain.py"


def traceback(log: Log, frames: Sequence[tuple[str, int, str, str]], *errors: str, prefix: str = "") -> None:
    """Write a traceback; ``frames`` are (file, line, function, source), ``errors`` its last lines."""
    log.say(f"{prefix}Traceback (most recent call last):")
    for file, line, function, source in frames:
        log.say(f'{prefix}  File "{file}", line {line}, in {function}', f"{prefix}    {source}")
    log.cry(*(prefix + error for error in errors))


def agent_ends(
    log: Log,
    clock: Clock,
    *,
    host: str,
    first_rank: int,
    pids: Sequence[int],
    dead: Sequence[int],
    exitcode: int = 1,
    prefix: str = "",
) -> None:
    """Let a node's torchrun notice dead local ranks, end the others, and print its table.

    ``dead`` are local ranks, the first of them the one that it reports as the root cause.
    """
    signal = {-6: "Signal 6 (SIGABRT)", -9: "Signal 9 (SIGKILL)", -11: "Signal 11 (SIGSEGV)"}.get(exitcode)
    clock.tick(0.4)
    for local, pid in enumerate(pids):
        if local not in dead:
            log.cry(
                f"{prefix}W{clock.glog[:-3]}000 {AGENT}/multiprocessing/api.py:900] "
                f"Sending process {pid} closing signal SIGTERM"
            )
    clock.tick(1.2)
    log.cry(
        f"{prefix}E{clock.glog[:-3]}000 {AGENT}/multiprocessing/api.py:874] failed (exitcode: {exitcode}) "
        f"local_rank: {dead[0]} (pid: {pids[dead[0]]}) of binary: /opt/venv/bin/python3"
    )
    log.say(f"{prefix}Traceback (most recent call last):")
    log.say(f'{prefix}  File "/opt/venv/bin/torchrun", line 8, in <module>', f"{prefix}    sys.exit(main())")
    log.say(
        f'{prefix}  File "/opt/venv/lib/python3.11/site-packages/torch/distributed/launcher/api.py", line 264,'
        " in launch_agent",
        f"{prefix}    raise ChildFailedError(",
    )
    log.cry(f"{prefix}torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ")
    log.mutter(f"{prefix}{'=' * 60}", f"{prefix}{SCRIPT} FAILED", f"{prefix}{'-' * 60}", f"{prefix}Failures:")
    if len(dead) == 1:
        log.mutter(f"{prefix}  <NO_OTHER_FAILURES>")
    for k, local in enumerate(dead[1:], 1):
        _entry(log, clock, f"[{k}]:", host, first_rank + local, local, pids[local], exitcode, signal, prefix)
    log.mutter(f"{prefix}{'-' * 60}", f"{prefix}Root Cause (first observed failure):")
    _entry(log, clock, "[0]:", host, first_rank + dead[0], dead[0], pids[dead[0]], exitcode, signal, prefix)
    log.mutter(f"{prefix}{'=' * 60}")


def _entry(
    log: Log,
    clock: Clock,
    head: str,
    host: str,
    rank: int,
    local: int,
    pid: int,
    exitcode: int,
    signal: str | None,
    prefix: str,
) -> None:
    said = f"{signal} received by PID {pid}" if signal else (
        "To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html"
    )  # fmt: skip
    log.mutter(
        f"{prefix}{head}",
        f"{prefix}  time      : {clock.iso.replace(' ', '_')}",
        f"{prefix}  host      : {host}",
        f"{prefix}  rank      : {rank} (local_rank: {local})",
        f"{prefix}  exitcode  : {exitcode} (pid: {pid})",
        f"{prefix}  error_file: <N/A>",
        f"{prefix}  traceback : {said}",
    )


def opening(log: Log, clock: Clock, *, world: int = 8) -> None:
    """Write what a torchrun log begins with, words of trouble included."""
    log.say(
        f"W{clock.glog[:-3]}000 140217 torch/distributed/run.py:792] ",
        f"W{clock.glog[:-3]}000 140217 torch/distributed/run.py:792] *****************************************",
        f"W{clock.glog[:-3]}000 140217 torch/distributed/run.py:792] Setting OMP_NUM_THREADS environment variable for"
        " each process to be 1 in default, to avoid your system being overloaded, please further tune the variable"
        " for optimal performance in your application as needed. ",
        f"W{clock.glog[:-3]}000 140217 torch/distributed/run.py:792] *****************************************",
        "/opt/venv/lib/python3.11/site-packages/apex/__init__.py:68: DeprecatedFeatureWarning: apex.amp is deprecated",
        "Failed to import Triton kernels; falling back to the eager path.",
        f"world_size={world} TORCH_NCCL_ASYNC_ERROR_HANDLING=1 on_error=raise ignore_errors=False",
    )
    clock.tick(14)


def advice(log: Log, prefix: str = "") -> None:
    """Write the advice that follows a CUDA error."""
    log.mutter(
        f"{prefix}CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below"
        " might be incorrect.",
        f"{prefix}For debugging consider passing CUDA_LAUNCH_BLOCKING=1",
        f"{prefix}Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.",
    )


def watchdog_timeout(log: Log, clock: Clock, rank: int, *, seq: int, prefix: str | None = None) -> None:
    """Write what a rank says whose collective was not joined by a peer."""
    clock.tick(0.003)
    head = f"[rank{rank}]:" if prefix is None else prefix
    place = f"ProcessGroupNCCL.cpp:629] [Rank {rank}]"
    body = (
        f"Watchdog caught collective operation timeout: WorkNCCL(SeqNum={seq}, OpType=ALLREDUCE, NumelIn=524288,"
        " NumelOut=524288, Timeout(ms)=600000) ran for 600042 milliseconds before timing out."
    )
    log.cry(f"{head}[E{clock.c10d} {place} {body}")
    log.cry(
        f"{head}[E{clock.c10d} ProcessGroupNCCL.cpp:2168] [PG ID 0 PG GUID 0(default_pg) Rank {rank}]  failure "
        f"detected by watchdog at work sequence id: {seq} PG status: last enqueued work: {seq + 3}, last completed "
        f"work: {seq - 1}"
    )
    log.cry(
        f"{head}[E{clock.c10d} ProcessGroupNCCL.cpp:681] [Rank {rank}] Some NCCL operations have failed or timed out."
        " Due to the asynchronous nature of CUDA kernels, subsequent GPU operations might run on corrupted/incomplete"
        " data."
    )
    log.cry(
        f"{head}[E{clock.c10d} ProcessGroupNCCL.cpp:695] [Rank {rank}] To avoid data inconsistency, we are taking the"
        " entire process down."
    )
