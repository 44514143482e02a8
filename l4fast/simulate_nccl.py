"""How ranks complain about each other: NCCL's watchdog, dump signals, lost connections.

Each function returns what one rank says, a kind with each line; who says it, and when, is
decided elsewhere. The wording is that of four releases of torch, 2.2 to 2.8.
"""

from __future__ import annotations

from l4fast.simulate_book import Said
from l4fast.simulate_groups import WORLD, Place, begun, data_kind, place
from l4fast.simulate_job import Job
from l4fast.simulate_python import SITE, step_frames, traceback

COMMUNICATORS = 0x55D0_0000_0000
"""The address of rank 0's communicator; the others follow, a page each."""

_CPP = "/opt/pytorch/pytorch/torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp"
# Where in ProcessGroupNCCL.cpp each message stands: caught, detected, stack, first, observed,
# received, failed, inconsistent, terminated, preparing, fatal.
_SOURCES = {
    "2.2": (523, 0, 0, 0, 0, 1262, 537, 543, 1182, 0, 1262),
    "2.4": (607, 1664, 0, 0, 1383, 1395, 621, 627, 1515, 1282, 1306),
    "2.6": (629, 2168, 667, 2103, 1682, 1687, 681, 695, 1895, 1537, 1554),
    "2.8": (685, 2252, 729, 2573, 1682, 1751, 744, 758, 2057, 1597, 1653),
}
_CAUGHT, _DETECTED, _STACK, _FIRST, _SEEN, _GOT, _FAILED, _DOWN, _ENDED, _DUMP, _FATAL = range(11)
_PARTIAL = (
    "This is most likely caused by incorrect usages of collectives, e.g., wrong sizes used "
    "across ranks, the order "
    "of collectives is not same for all ranks or the scheduled collective, for some reason, "
    "didn't run. Additionally, "
    "this can be caused by GIL deadlock or other reasons such as network errors or bugs in "
    "the communications library (e.g. NCCL), etc. "
)


def _head(job: Job, rank: int, t: float, message: int, letter: str = "E") -> str:
    """``[rank3]:[E507 15:49:31.123456789 ProcessGroupNCCL.cpp:607]``; 2.2 knows no time."""
    source = f"ProcessGroupNCCL.cpp:{_SOURCES[job.habits.torch][message]}"
    if job.habits.torch == "2.2":
        return f"[rank{rank}]:[{letter} {source}]"
    return f"[rank{rank}]:[{job.glog(letter, job.node_of(rank), t)} {source}]"


def _group(job: Job, at: Place) -> str:
    """How a release names a rank's process group; the rank is the one within that group."""
    if job.habits.torch == "2.4":
        return f"[PG {at.guid} ({at.name}) Rank {at.rank}]"
    return f"[PG ID {at.local_id} PG GUID {at.guid}({at.name}) Rank {at.rank}]"


def work_of(job: Job, kind: int, last: int) -> int:
    """The number of the collective that never ended, in a group of ``kind``."""
    return begun(job, kind, last) + 1


def _status(job: Job, rank: int, kind: int, last: int, *, waiting: bool) -> tuple[int, int]:
    """The last collective that a rank has enqueued in its group of ``kind``, and completed.

    Who waits has put at least the one it waits for into the stream, and the program runs ahead.
    """
    if not waiting:
        return begun(job, kind, last), begun(job, kind, last)
    work = work_of(job, kind, last)
    return work + rank % 3 * (kind != WORLD), work - 1


def caught(job: Job, rank: int, kind: int, ran_ms: int, last: int) -> str:
    """The sentence with which a watchdog gives up, and which later messages repeat."""
    at = place(job, kind, rank)
    limit = int(1000 * job.habits.timeout_s)
    return (
        f"[Rank {at.rank}] Watchdog caught collective operation timeout: WorkNCCL("
        f"SeqNum={work_of(job, kind, last)}, OpType={at.op}, NumelIn={at.size}, NumelOut={at.size}, "
        f"Timeout(ms)={limit}) ran for {ran_ms} milliseconds before timing out."
    )


def gives_up(job: Job, rank: int, t: float, kind: int, text: str, last: int, *, first: bool) -> list[Said]:
    """A rank's own watchdog gives up on a collective of ``kind`` at ``t``.

    ``first``: no other rank's signal had come before.
    """
    torch = job.habits.torch
    group = _group(job, place(job, kind, rank))
    enqueued, done = _status(job, rank, kind, last, waiting=True)
    work = work_of(job, kind, last)
    said: list[Said] = [("consequence", f"{_head(job, rank, t, _CAUGHT)} {text}")]
    if torch == "2.4":
        told = f"last enqueued NCCL work: {enqueued}, last completed NCCL work: {done}."
        head = f"{_head(job, rank, t, _DETECTED)} {group}"
        found = f"Exception (either an error or timeout) detected by watchdog at work: {work}, {told}"
        said += [
            ("consequence", f"{head} {found}"),
            ("consequence", f"{head} Timeout at NCCL work: {work}, {told}"),
        ]
    elif torch != "2.2":
        found = (
            f"{_head(job, rank, t, _DETECTED)} {group}  failure detected by watchdog at work sequence id: "
            f"{work} PG status: last enqueued work: {enqueued}, last completed work: {done}"
        )
        said.append(("consequence", found))
        if job.choose("recorder", True, False):
            stack = (
                f"{_head(job, rank, t, _STACK)} Stack trace of the failed collective not found, potentially "
                "because FlightRecorder is disabled. You can enable it by setting "
                "TORCH_NCCL_TRACE_BUFFER_SIZE to a non-zero value."
            )
            said.append(("context", stack))
        if first:
            signal = f"{_head(job, rank, t, _FIRST)} {group} First PG on this rank to signal dumping."
            said.append(("consequence", signal))
    if first and torch != "2.2":
        said += dump(job, rank, t, None, last, waiting=kind)
    return said


def dump(
    job: Job, rank: int, t: float, signaller: int | None, last: int, *, waiting: int | None
) -> list[Said]:
    """The monitor of the default group answers a dump signal: ``signaller``'s, or its own rank's.

    It tells of the default group's collectives only. ``waiting`` is the kind of group in which
    this rank waits, None if it waits in none: then nothing is out of step but its own silence.
    """
    group = _group(job, place(job, WORLD, rank))
    enqueued, done = _status(job, rank, WORLD, last, waiting=waiting == WORLD)
    source = "this local rank" if signaller is None else f" rank {signaller}"
    said: list[Said] = []
    if signaller is not None:
        text = "Observed flight recorder dump signal from another rank via TCPStore."
        said.append(("consequence", f"{_head(job, rank, t, _SEEN)} {group} {text}"))
    told = (
        f"Received a dump signal due to a collective timeout from {source} and we will try our best to "
        f"dump the debug info. Last enqueued NCCL work: {enqueued}, last completed NCCL work: {done}."
    )
    behind = waiting is None and data_kind(job) == WORLD
    said.append(
        ("root" if behind else "consequence", f"{_head(job, rank, t, _GOT)} {group} {told}{_PARTIAL}")
    )
    text = "ProcessGroupNCCL preparing to dump debug info. Include stack trace: 1"
    return [*said, ("context", f"{_head(job, rank, t, _DUMP)} {group} {text}")]


def throws(job: Job, rank: int, t: float, text: str) -> list[Said]:
    """The watchdog, its sleep over, takes the process down."""
    at = place(job, WORLD, rank)
    short = text.partition("] ")[0] + "]"
    why = "NCCL" if job.habits.torch == "2.2" else "Process group"
    group = short if job.habits.torch == "2.2" else _group(job, at)
    died = f"{group} {why} watchdog thread terminated with exception: {text}"
    lost = (
        "Some NCCL operations have failed or timed out. Due to the asynchronous nature of CUDA kernels, "
        "subsequent GPU operations might run on corrupted/incomplete data."
    )
    down = "To avoid data inconsistency, we are taking the entire process down."
    prefix = "" if job.habits.torch == "2.2" else f"{short} "
    return [
        ("consequence", f"{_head(job, rank, t, _FAILED)} {prefix}{lost}"),
        ("consequence", f"{_head(job, rank, t, _DOWN)} {prefix}{down}"),
        ("consequence", f"{_head(job, rank, t, _ENDED)} {died}"),
        ("context", _frames("checkTimeout", _SOURCES[job.habits.torch][_CAUGHT] - 13)),
        ("consequence", "terminate called after throwing an instance of 'c10::DistBackendError'"),
        ("consequence", f"  what():  {died}"),
        ("context", _frames("checkTimeout", _SOURCES[job.habits.torch][_CAUGHT] - 13)),
    ]


def dies_of_silence(job: Job, rank: int, t: float) -> list[Said]:
    """A rank that only saw the signal ends itself when its heartbeat monitor has waited long enough."""
    group = _group(job, place(job, WORLD, rank))
    text = (
        "Terminating the process after attempting to dump debug info, due to collective timeout or exception."
    )
    return [("consequence", f"{_head(job, rank, t, _FATAL, 'F')} {group} {group} {text}")]


def watchdog_stuck(job: Job, rank: int, t: float) -> list[Said]:
    """A rank's heartbeat monitor finds its own watchdog stuck, as behind a lock, and ends the process."""
    group = _group(job, place(job, WORLD, rank))
    stuck = (
        "ProcessGroupNCCL's watchdog got stuck for 480 seconds without making progress in monitoring "
        "enqueued collectives. This typically indicates a NCCL/CUDA API (e.g., CudaEventDestroy) hang "
        "blocking the watchdog, and could be triggered by another thread holding the GIL inside a CUDA api"
    )
    end = (
        "Terminating the process after attempting to dump debug info, due to ProcessGroupNCCL watchdog hang."
    )
    said: list[Said] = [("root", f"{_head(job, rank, t, _GOT)} {group} {stuck}")]
    if job.choose("lock", True, False):
        text = "Could not acquire GIL within 300 ms on exit, possible GIL induced hang"
        said.append(("root", f"{_head(job, rank, t, _GOT)} {text}"))
    return [*said, ("consequence", f"{_head(job, rank, t, _FATAL, 'F')} {group} {group} {end}")]


def _frames(name: str, line: int) -> str:
    lib = f"{SITE}/torch/lib"
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


def peer_closed(job: Job, rank: int, peer: int, kind: str) -> list[Said]:
    """The connection to ``peer`` broke because its process is gone: this rank aborts as a victim."""
    warn = nccl_head(job, rank, "misc/socket.cc:73 NCCL WARN")
    info = nccl_head(job, rank, "NCCL INFO")
    address = f"{job.ips[job.node_of(peer)]}<{41000 + peer % 20000}>"
    what = (
        "socketProgress: Connection closed by remote peer"
        if job.habits.torch in ("2.6", "2.8")
        else "Net : Connection closed by remote peer"
    )
    return [
        ("context", ""),
        (kind, f"{warn} {what} {address}"),
        (
            "context",
            f"{info} misc/socket.cc:800 -> 6\n{info} transport/net_socket.cc:539 -> 6\n{info} "
            "proxy.cc:1521 -> 6 [Progress Thread]",
        ),
    ]


def retry_exceeded(job: Job, rank: int, peer: int, kind: str) -> list[Said]:
    """InfiniBand gave up on ``peer`` (status 12): the line names it by its address."""
    info = nccl_head(job, rank, "NCCL INFO")
    address = f"{job.ips[job.node_of(peer)]}<{36000 + peer % 20000}>"
    device = f"mlx5_{job.local_of(rank)}"
    gids = f"localGid ::ffff:{job.ips[job.node_of(rank)]} remoteGids ::ffff:{job.ips[job.node_of(peer)]}"
    if job.habits.torch in ("2.2", "2.4"):
        warn = nccl_head(job, rank, "transport/net_ib.cc:1295 NCCL WARN")
        text = (
            f"NET/IB : Got completion from peer {address} with error 12, opcode 0, len 0, vendor err 129 "
            f"(Recv) {gids.replace('remoteGids', 'remoteGid')}"
        )
    else:
        warn = nccl_head(job, rank, "transport/net_ib.cc:2098 NCCL WARN")
        text = (
            f"NET/IB: Got completion from peer {address} with status=12 opcode=0 len=0 vendor "
            f"err 129 (Recv) {gids} hca {device}"
        )
    return [
        ("context", ""),
        (kind, f"{warn} {text}"),
        (
            "context",
            f"{info} transport/net.cc:1302 -> 6\n{info} proxy.cc:744 -> 6\n{info} proxy.cc:925 -> 6 "
            "[Progress Thread]",
        ),
    ]


def remote_exited(job: Job, rank: int, why: str) -> list[Said]:
    """The exception in Python that follows NCCL's complaint about a peer; ``why`` repeats it."""
    inner = (
        f'  File "{SITE}/torch/distributed/distributed_c10d.py", line 2810, in all_reduce\n    work.wait()'
    )
    text = (
        f"torch.distributed.DistBackendError: NCCL error in: {_CPP}:3690, remote process exited or "
        f"there was a network error, NCCL version {job.habits.nccl}"
    )
    last = (
        "ncclRemoteError: A call failed possibly due to a network error or a remote process "
        "exiting prematurely.\n"
        "Last error:"
    )
    errors: list[Said] = [("consequence", text), ("context", last), ("consequence", why)]
    return traceback(job, rank, step_frames(job, inner), errors)
