"""How ranks complain: Python tracebacks, NCCL's watchdog, lost connections.

Each function returns what one rank says, a kind with each line; who says it, and when, is
decided in `simulate_faults`.
"""

from __future__ import annotations

from l4fast.simulate_book import Said
from l4fast.simulate_job import Job

SITE = "/usr/local/lib/python3.12/dist-packages"
"""Where Python packages are installed on the simulated nodes."""

COMMUNICATORS = 0x55D0_0000_0000
"""The address of rank 0's communicator; the others follow, a page each."""

_CPP = "/opt/pytorch/pytorch/torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp"
_PARTIAL = (
    "This is most likely caused by incorrect usages of collectives, e.g., wrong sizes used "
    "across ranks, the order "
    "of collectives is not same for all ranks or the scheduled collective, for some reason, "
    "didn't run. Additionally, "
    "this can be caused by GIL deadlock or other reasons such as network errors or bugs in "
    "the communications library (e.g. NCCL), etc. "
)


def traceback(rank: int | None, frames: str, errors: list[Said]) -> list[Said]:
    """A Python traceback: ``frames`` as printed, then the lines that say what was raised.

    From the moment that the process group exists torch heads each line with the rank; before
    that (``rank`` None) there is nothing.
    """
    head = "" if rank is None else f"[rank{rank}]: "
    body = "\n".join(head + line for line in frames.splitlines())
    said: list[Said] = [("context", f"{head}Traceback (most recent call last):"), ("context", body)]
    return said + [(kind, "\n".join(head + line for line in text.split("\n"))) for kind, text in errors]


def step_frames(style: str, inner: str = "") -> str:
    """The call stack of a training step in a framework's main loop, ``inner`` at its end."""
    stacks = {
        "megatron": (
            '  File "/opt/megatron/pretrain_gpt.py", line 271, in <module>\n    pretrain(\n'
            '  File "/opt/megatron/megatron/training/training.py", line 431, in pretrain\n'
            "    iteration, num_floating_point_operations_so_far = train(\n"
            '  File "/opt/megatron/megatron/training/training.py", line 1532, in train\n    '
            "train_step(forward_step_func,"
        ),
        "hf": (
            '  File "/workspace/finetune.py", line 188, in <module>\n    trainer.train()\n'
            '  File "/usr/local/lib/python3.12/dist-packages/transformers/trainer.py", line 2241, in '
            "train\n"
            "    return inner_training_loop("
        ),
        "nemo": (
            '  File "/opt/NeMo/scripts/pretrain_nemo.py", line 57, in main\n    trainer.fit(model)\n'
            '  File "/usr/local/lib/python3.12/dist-packages/lightning/pytorch/loops/fit_loop.py", '
            "line 455, in advance\n"
            "    self.epoch_loop.run(self._data_fetcher)"
        ),
    }
    titan = (
        '  File "/opt/titan/train.py", line 602, in <module>\n    trainer.train()\n'
        '  File "/opt/titan/train.py", line 531, in train\n    self.train_step(data_iterator)'
    )
    return stacks.get(style, titan) + ("\n" + inner if inner else "")


def cuda_error(rank: int, job: Job, text: str, kind: str) -> list[Said]:
    """A CUDA call failed on this rank; the advice below the error is context."""
    inner = (
        '  File "/usr/local/lib/python3.12/dist-packages/torch/_tensor.py", line 648, in backward\n'
        "    torch.autograd.backward("
    )
    advice = (
        "CUDA kernel errors might be asynchronously reported at some other API call, so the "
        "stacktrace below might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
        "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
    )
    name = "RuntimeError" if job.old_torch else "torch.AcceleratorError"
    return traceback(
        rank, step_frames(job.style, inner), [(kind, f"{name}: CUDA error: {text}"), ("context", advice)]
    )


def watchdog(
    job: Job, rank: int, t: float, work: int, ran_ms: int, *, first: bool
) -> list[tuple[float, list[Said]]]:
    """NCCL's watchdog gives up on ``work`` at ``t``; the process aborts a minute later.

    ``first`` tells whether this rank's own watchdog found it, or another rank's signal did.
    Returns what is said at which time.
    """
    node = job.node_of(rank)

    def line(at: float, source: str, text: str, letter: str = "E") -> str:
        return f"[rank{rank}]:[{job.glog(letter, node, at)} ProcessGroupNCCL.cpp:{source}] {text}"

    group = f"[PG ID 0 PG GUID 0(default_pg) Rank {rank}]"
    done, last = work - 1, work + rank % 2
    what = (
        f"[Rank {rank}] Watchdog caught collective operation timeout: WorkNCCL(SeqNum={work}, "
        "OpType=ALLREDUCE, "
        f"NumelIn=8388608, NumelOut=8388608, Timeout(ms)=600000) ran for {ran_ms} milliseconds "
        "before timing out."
    )
    if job.old_torch:
        told = (
            f"{group} Exception (either an error or timeout) detected by watchdog at work: {work}, "
            f"last enqueued NCCL work: {last}, last completed NCCL work: {done}."
        )
    else:
        told = (
            f"{group}  failure detected by watchdog at work sequence id: {work} PG status: "
            f"last enqueued work: {last}, last completed work: {done}"
        )
    dump = (
        "Received a dump signal due to a collective timeout from "
        f"{'this local rank' if first else 'rank 0'} and we "
        f"will try our best to dump the debug info. Last enqueued NCCL work: {last}, last "
        f"completed NCCL work: {done}."
    )
    early: list[Said] = []
    if first:
        early = [
            ("consequence", line(t, "685", what)),
            ("consequence", line(t, "2252", told)),
            ("consequence", line(t, "1682", f"{group} First PG on this rank to signal dumping.")),
        ]
    else:
        seen = "Observed flight recorder dump signal from another rank via TCPStore."
        early = [("consequence", line(t, "1683", f"{group} {seen}"))]
    early.append(("consequence", line(t, "1751", f"{group} {dump}{_PARTIAL}")))
    end = t + 60.0
    died = f"{group} Process group watchdog thread terminated with exception: {what}"
    late: list[Said] = [
        (
            "consequence",
            line(
                end,
                "744",
                f"{group} Some NCCL operations have failed or timed out. Due to the "
                "asynchronous nature of CUDA kernels, subsequent GPU operations might run on "
                "corrupted/incomplete data.",
            ),
        ),
        (
            "consequence",
            line(end, "758", f"{group} To avoid data inconsistency, we are taking the entire process down."),
        ),
        ("consequence", line(end, "2051", died)),
        ("context", _frames("checkTimeout", 653)),
        ("consequence", "terminate called after throwing an instance of 'c10::DistBackendError'"),
        ("consequence", f"  what():  {died}"),
        ("context", _frames("checkTimeout", 653)),
    ]
    return [(t, early), (end, late)]


def behind(job: Job, rank: int, t: float, work: int) -> list[Said]:
    """What the rank that never reached ``work`` says when the others signal a dump."""
    node = job.node_of(rank)
    group = f"[PG ID 0 PG GUID 0(default_pg) Rank {rank}]"
    head = f"[rank{rank}]:[{job.glog('E', node, t)} ProcessGroupNCCL.cpp"
    dump = (
        "Received a dump signal due to a collective timeout from rank 0 and we will try our best "
        "to dump the debug "
        f"info. Last enqueued NCCL work: {work - 1}, last completed NCCL work: {work - 1}."
    )
    return [
        (
            "consequence",
            f"{head}:1683] {group} Observed flight recorder dump signal from another rank via TCPStore.",
        ),
        ("root", f"{head}:1751] {group} {dump}{_PARTIAL}"),
    ]


def _frames(name: str, line: int) -> str:
    lib = "/usr/local/lib/python3.12/dist-packages/torch/lib"
    return (
        f"Exception raised from {name} at {_CPP}:{line} (most recent call first):\n"
        "frame #0: c10::Error::Error(c10::SourceLocation, std::string) + 0x96 (0x7f2c3a16c1b6 in "
        f"{lib}/libc10.so)\n"
        f"frame #1: c10d::ProcessGroupNCCL::WorkNCCL::{name}(std::optional<std::chrono::duration<long, "
        f"std::ratio<1l, 1000l> > >) + 0x282 (0x7f2bec7d3772 in {lib}/libtorch_cuda.so)\n"
        "frame #2: c10d::ProcessGroupNCCL::watchdogHandler() + 0x233 (0x7f2bec7dabb3 in "
        f"{lib}/libtorch_cuda.so)\n"
        "frame #3: c10d::ProcessGroupNCCL::ncclCommWatchdog() + 0x14d (0x7f2bec7dc61d in "
        f"{lib}/libtorch_cuda.so)\n"
        "frame #4: <unknown function> + 0xecdb4 (0x7f2c3ab3ddb4 in "
        "/usr/lib/x86_64-linux-gnu/libstdc++.so.6)\n"
        "frame #5: clone + 0x44 (0x7f2c3bb29a04 in /usr/lib/x86_64-linux-gnu/libc.so.6)\n"
    )


def communicator(rank: int) -> str:
    """The address of a rank's communicator, 12 hexadecimal digits."""
    return f"{COMMUNICATORS + 4096 * rank:x}"


def nccl_head(job: Job, rank: int, level: str) -> str:
    """``gpu-003:2000131:2000977 [3] NCCL WARN``."""
    pid = int(job.pids[rank])
    return f"{job.host_of(rank)}:{pid}:{pid + 846} [{job.local_of(rank)}] {level}"


def peer_closed(job: Job, rank: int, peer: int) -> list[Said]:
    """The connection to ``peer`` broke because its process is gone: this rank aborts as a victim."""
    warn = nccl_head(job, rank, "misc/socket.cc:73 NCCL WARN")
    info = nccl_head(job, rank, "NCCL INFO")
    address = f"{job.ips[job.node_of(peer)]}<{41000 + peer % 20000}>"
    return [
        ("context", ""),
        ("consequence", f"{warn} socketProgress: Connection closed by remote peer {address}"),
        (
            "context",
            f"{info} misc/socket.cc:800 -> 6\n{info} transport/net_socket.cc:539 -> 6\n{info} "
            "proxy.cc:1521 -> 6 [Progress Thread]",
        ),
    ]


def remote_exited(
    job: Job, rank: int, why: str = "socketProgress: Connection closed by remote peer"
) -> list[Said]:
    """The exception in Python that follows NCCL's complaint about a peer; ``why`` repeats it."""
    inner = (
        '  File "/usr/local/lib/python3.12/dist-packages/torch/distributed/distributed_c10d.py", '
        "line 2810, in all_reduce\n"
        "    work.wait()"
    )
    text = (
        f"torch.distributed.DistBackendError: NCCL error in: {_CPP}:3690, remote process exited or "
        "there was a network error, NCCL version 2.26.2"
    )
    last = (
        "ncclRemoteError: A call failed possibly due to a network error or a remote process "
        "exiting prematurely.\n"
        "Last error:\n"
    )
    errors: list[Said] = [
        ("consequence", text),
        ("context", last.rstrip("\n")),
        ("consequence", why),
    ]
    return traceback(rank, step_frames(job.style, inner), errors)


def retry_exceeded(job: Job, rank: int, peer: int, kind: str) -> list[Said]:
    """InfiniBand gave up on ``peer`` (status 12): the line names it by its address."""
    warn = nccl_head(job, rank, "transport/net_ib.cc:2098 NCCL WARN")
    info = nccl_head(job, rank, "NCCL INFO")
    address = f"{job.ips[job.node_of(peer)]}<{36000 + peer % 20000}>"
    device = f"mlx5_{job.local_of(rank)}"
    return [
        ("context", ""),
        (
            kind,
            f"{warn} NET/IB: Got completion from peer {address} with status=12 opcode=0 len=0 vendor "
            f"err 129 (Recv) localGid ::ffff:{job.ips[job.node_of(rank)]} remoteGids "
            f"::ffff:{job.ips[job.node_of(peer)]} hca {device}",
        ),
        (
            "context",
            f"{info} transport/net.cc:1302 -> 6\n{info} proxy.cc:744 -> 6\n{info} proxy.cc:925 -> 6 "
            "[Progress Thread]",
        ),
    ]
