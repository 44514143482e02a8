"""Jobs under Slurm: node failures, limits, requeues, memory, and collectives that time out."""

# ruff: noqa: E501  (a line of a log stays one line)
from __future__ import annotations

from pathlib import Path

from scenarios import Expected
from scenarios.clusters_book import (
    EXCLUDE,
    FAILED,
    FINISHED,
    NOBODY,
    RESTART,
    Book,
    c10d,
    comma,
    healthy,
    megatron,
    plain,
    titan,
    watchdog,
    when,
)


def _head(book: Book, out: str, t: float, job: int, nodes: list[str]) -> None:
    book.at(t, out, f"Job {job} started on {when(t):%a %b %d %H:%M:%S} UTC 2026")
    book.at(
        t,
        out,
        f"SLURM_JOB_NODELIST={','.join(nodes)}\nMASTER_ADDR={nodes[0]} MASTER_PORT=29500\n+ srun --label --kill-on-bad-exit=1 bash -c 'python pretrain_gpt.py'",
    )


def _nccl_map(book: Book, out: str, t: float, nodes: list[str], per: int, label: int) -> None:
    """NCCL's own lines tell which host has which rank."""
    for rank in range(len(nodes) * per):
        host, dev = nodes[rank // per], rank % per
        book.at(
            t + 0.01 * rank,
            out,
            f"{rank:{label}}: {host}:{41000 + dev}:{41900 + dev} [{dev}] NCCL INFO comm 0x55d0{rank:04x} rank {rank} nranks {len(nodes) * per} cudaDev {dev} nvmlDev {dev} busId {0x1B + dev:x}000 commId 0x9e1d2 - Init COMPLETE",
        )


def _steps(
    book: Book,
    out: str,
    t: float,
    first: int,
    last: int,
    total: int,
    label: int,
    rank: int,
    every: float = 4.2,
) -> float:
    for step in range(first, last + 1):
        t += every
        book.at(t, out, f"{rank:{label}}: {megatron(t, step, total, every)}")
        if step % 20 == 0:
            book.at(
                t + 0.1,
                out,
                f"{0:{label}}: saving checkpoint at iteration {step:7d} to /lustre/ckpt/gpt in torch_dist format",
            )
            t += 6
            book.at(
                t,
                out,
                f"{0:{label}}:   successfully saved checkpoint from iteration {step:7d} to /lustre/ckpt/gpt [ t 1/4, p 1/2 ]",
            )
    return t


def node_failure(base: Path) -> Expected:
    """A node is lost in the middle of training; Slurm itself names it."""
    book, out = Book(base), "slurm-81822.out"
    nodes = [f"node{n:02}" for n in range(1, 9)]
    _head(book, out, 0, 81822, nodes)
    _nccl_map(book, out, 20, nodes, 4, 2)
    t = _steps(book, out, 60, 1, 74, 5000, 2, 31)
    t += 130
    book.cry(t, out, "srun: error: Node failure on node07")
    book.cry(
        t + 0.2,
        out,
        f"slurmstepd: error: *** STEP 81822.0 ON node01 CANCELLED AT {plain(t)} DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***",
    )
    book.cry(t + 0.4, out, "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.")
    book.cry(t + 1.4, out, "srun: error: node01: tasks 0-3: Terminated")
    book.cry(t + 1.5, out, "srun: error: node02: tasks 4-7: Killed")
    book.cry(t + 33, out, "srun: error: Timed out waiting for job step to complete")
    return book.end(
        outcome=FAILED, root="Node failure on node07", nodes=frozenset({"node07"}), stage=frozenset({"iterate"}),
        last_iteration=74, last_durable=60, category=frozenset({"hardware.host"}), verdict=EXCLUDE,
    )  # fmt: skip


def time_limit(base: Path) -> Expected:
    """The wall time is over: nobody is to blame."""
    book, out = Book(base), "gpt-13b-90210.log"
    nodes = ["cn-0101", "cn-0102"]
    _head(book, out, 0, 90210, nodes)
    _nccl_map(book, out, 20, nodes, 8, 2)
    t = _steps(book, out, 60, 8001, 8077, 20000, 2, 15)
    book.cry(
        t + 2,
        out,
        f"slurmstepd: error: *** JOB 90210 ON cn-0101 CANCELLED AT {plain(t + 2)} DUE TO TIME LIMIT ***",
    )
    book.cry(
        t + 2,
        out,
        f"slurmstepd: error: *** STEP 90210.0 ON cn-0101 CANCELLED AT {plain(t + 2)} DUE TO TIME LIMIT ***",
    )
    book.cry(t + 2.1, out, "srun: Job step aborted: Waiting up to 92 seconds for job step to finish.")
    for rank in (0, 3, 9):
        book.cry(
            t + 2.3,
            out,
            f"{rank:2}: [rank{rank}]:[{c10d(t + 2.3, 'W')} TCPStore.cpp:115] [c10d] recvFrameLength failed on SocketImpl(fd=3, addr=[cn-0102]:51822, remote=[cn-0101]:29500): Connection reset by peer",
        )
    book.cry(t + 3, out, "srun: error: cn-0102: tasks 8-15: Terminated")
    book.cry(t + 4, out, "srun: error: cn-0101: tasks 0-7: Terminated")
    return book.end(
        outcome=FAILED, root="DUE TO TIME LIMIT", nodes=NOBODY, ranks=NOBODY, stage=frozenset({"iterate"}),
        last_iteration=8077, last_durable=8060, category=frozenset({"preemption"}), verdict=RESTART,
    )  # fmt: skip


def requeue_finished(base: Path) -> Expected:
    """Preempted, requeued into the same file (append mode), resumed and finished: all is well."""
    book, out = Book(base), "slurm-5511.out"
    nodes = ["gpu-11", "gpu-12"]
    _head(book, out, 0, 5511, nodes)
    _nccl_map(book, out, 20, nodes, 4, 1)
    t = _steps(book, out, 60, 1, 50, 100, 1, 7)
    book.at(
        t, out, f"slurmstepd: error: *** STEP 5511.0 ON gpu-11 CANCELLED AT {plain(t)} DUE TO PREEMPTION ***"
    )
    book.at(
        t + 0.1,
        out,
        f"slurmstepd: error: *** JOB 5511 ON gpu-11 CANCELLED AT {plain(t)} DUE TO PREEMPTION ***",
    )
    book.at(
        t + 0.5,
        out,
        "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.\nsrun: error: gpu-12: tasks 4-7: Terminated\nsrun: error: gpu-11: tasks 0-3: Terminated",
    )
    t += 1800
    _head(book, out, t, 5511, ["gpu-21", "gpu-22"])
    _nccl_map(book, out, t + 20, ["gpu-21", "gpu-22"], 4, 1)
    book.at(t + 40, out, "0:  loading distributed checkpoint from /lustre/ckpt/gpt at iteration 40")
    book.at(
        t + 52,
        out,
        "0:   successfully loaded checkpoint from /lustre/ckpt/gpt [ t 1/4, p 1/2 ] at iteration 40",
    )
    t = _steps(book, out, t + 60, 41, 100, 100, 1, 7)
    book.at(t + 5, out, f"0: [after training is done] datetime: {when(t + 5):%Y-%m-%d %H:%M:%S} ")
    return book.end(outcome=FINISHED, last_iteration=100, last_durable=100, **healthy())


def requeue_fails_again(base: Path) -> Expected:
    """The first attempt lost a node, the second (same file) ran out of GPU memory on one rank after resuming."""
    book, out = Book(base), "slurm-5512.out"
    nodes = ["gpu-11", "gpu-12"]
    _head(book, out, 0, 5512, nodes)
    _nccl_map(book, out, 20, nodes, 4, 1)
    t = _steps(book, out, 60, 1, 65, 400, 1, 7)
    book.at(t, out, "srun: error: Node failure on gpu-12")
    book.at(
        t + 0.1,
        out,
        f"slurmstepd: error: *** JOB 5512 ON gpu-11 CANCELLED AT {plain(t)} DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***",
    )
    t += 600
    nodes = ["gpu-11", "gpu-31"]
    _head(book, out, t, 5512, nodes)
    _nccl_map(book, out, t + 20, nodes, 4, 1)
    book.at(t + 40, out, "0:  loading distributed checkpoint from /lustre/ckpt/gpt at iteration 60")
    book.at(
        t + 52,
        out,
        "0:   successfully loaded checkpoint from /lustre/ckpt/gpt [ t 1/4, p 1/2 ] at iteration 60",
    )
    t = _steps(book, out, t + 60, 61, 93, 400, 1, 7)
    for line in (
        "Traceback (most recent call last):",
        '  File "/workspace/pretrain_gpt.py", line 312, in <module>',
        '  File "/workspace/megatron/training/training.py", line 1422, in train_step',
        "    losses_reduced = forward_backward_func(",
    ):
        book.mutter(t + 1, out, f"5: [rank5]: {line}")
    book.cry(
        t + 1,
        out,
        "5: [rank5]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB. GPU 1 has a total capacity of 79.11 GiB of which 1.02 GiB is free. Including non-PyTorch memory, this process has 78.06 GiB memory in use. Of the allocated memory 71.43 GiB is allocated by PyTorch, and 4.92 GiB is reserved by PyTorch but unallocated.",
    )
    book.cry(t + 3, out, "srun: error: gpu-31: task 5: Exited with exit code 1")
    book.cry(t + 3.1, out, "srun: Terminating StepId=5512.0")
    book.cry(t + 3.2, out, f"slurmstepd: error: *** STEP 5512.0 ON gpu-11 CANCELLED AT {plain(t + 3)} ***")
    book.cry(
        t + 5, out, "srun: error: gpu-11: tasks 0-3: Terminated\nsrun: error: gpu-31: tasks 4,6-7: Terminated"
    )
    return book.end(
        outcome=FAILED, root="CUDA out of memory", nodes=frozenset({"gpu-31"}), ranks=frozenset({5}), stage=frozenset({"iterate"}),
        last_iteration=93, last_durable=80, category=frozenset({"resource", "user.config"}),
    )  # fmt: skip


def oom_kill(base: Path) -> Expected:
    """The kernel killed a task for host memory; one task a node, torchrun below would say nothing."""
    book, out = Book(base), "slurm-70001.out"
    nodes = [f"a100-{n:03}" for n in (3, 4, 9, 17)]
    _head(book, out, 0, 70001, nodes)
    for n, host in enumerate(nodes):
        book.at(20 + n, out, f"{n}: [launcher] host {host} node_rank {n} starting 8 processes")
    t = 60.0
    for step in range(1, 120):
        t += 3.0
        book.at(t, out, f"3: {titan(t, step)}")
    book.cry(
        t + 1,
        out,
        "slurmstepd: error: Detected 1 oom_kill event in StepId=70001.0. Some of the step tasks have been OOM Killed.",
    )
    book.cry(t + 1.1, out, "srun: error: a100-009: task 2: Out Of Memory")
    book.cry(t + 1.2, out, "srun: Terminating StepId=70001.0")
    book.cry(t + 1.3, out, f"slurmstepd: error: *** STEP 70001.0 ON a100-003 CANCELLED AT {plain(t + 1)} ***")
    book.cry(
        t + 3,
        out,
        "srun: error: a100-003: task 0: Terminated\nsrun: error: a100-004: task 1: Terminated\nsrun: error: a100-017: task 3: Terminated",
    )
    book.cry(t + 3.5, out, "srun: Force Terminated StepId=70001.0")
    return book.end(
        outcome=FAILED, root="Out Of Memory", nodes=frozenset({"a100-009"}), stage=frozenset({"iterate"}), last_iteration=119,
        last_durable=None, category=frozenset({"resource"}),
    )  # fmt: skip


def _watchdog_job(book: Book, out: str, behind: int, *, silent: bool) -> float:
    nodes = [f"pod3-gpu{n:03}" for n in (1, 2, 3, 4, 5, 6, 7, 8)]
    _head(book, out, 0, 3344, nodes)
    _nccl_map(book, out, 20, nodes, 8, 2)
    t = _steps(book, out, 60, 1, 47, 2000, 2, 63)
    for rank in range(64):
        if rank == behind and silent:
            continue
        at = t + 604 + 0.01 * (rank * 37 % 64)
        enqueued = 88012 if rank == behind else 88015
        for line in watchdog(
            at, rank, 88013 if rank != behind else 88012, enqueued, 88012 if rank != behind else 88011
        ):
            book.cry(at, out, f"{rank:2}: {line}")
    for n, host in enumerate(nodes):
        book.cry(
            t + 666 + n * 0.1,
            out,
            f"srun: error: {host}: tasks {n * 8}-{n * 8 + 7}: Aborted (core dumped)"
            if n != behind // 8 or not silent
            else f"srun: error: {host}: tasks {', '.join(str(r) for r in range(n * 8, n * 8 + 8) if r != behind)}: Aborted (core dumped)".replace(
                ", ", ","
            ),
        )
        if n == 0:
            book.cry(t + 666.05, out, "srun: Terminating StepId=3344.0")
            book.cry(
                t + 666.06,
                out,
                f"slurmstepd: error: *** STEP 3344.0 ON {nodes[0]} CANCELLED AT {plain(t + 666)} ***",
            )
    if silent:
        book.cry(t + 699, out, f"srun: error: {nodes[behind // 8]}: task {behind}: Killed")
    return t


def nccl_one_silent(base: Path) -> Expected:
    """64 ranks; 63 time out, rank 37 never says a word and is killed at the end."""
    book = Book(base)
    _watchdog_job(book, "slurm-3344.out", 37, silent=True)
    return book.end(
        outcome=frozenset({"failed", "hung"}), root="Watchdog caught collective operation timeout", nodes=frozenset({"pod3-gpu005"}), ranks=frozenset({37}),
        stage=frozenset({"iterate"}), last_iteration=47, last_durable=40, category=frozenset({"hardware.host", "hardware.gpu"}), verdict=EXCLUDE,
    )  # fmt: skip


def nccl_one_behind(base: Path) -> Expected:
    """64 ranks time out; rank 21 has the lowest last enqueued number: it lagged behind."""
    book = Book(base)
    _watchdog_job(book, "slurm-3344.out", 21, silent=False)
    return book.end(
        outcome=frozenset({"failed", "hung"}), root="[rank21]", nodes=frozenset({"pod3-gpu003"}), ranks=frozenset({21}),
        stage=frozenset({"iterate"}), last_iteration=47, last_durable=40,
    )  # fmt: skip


def lightning_requeue(base: Path) -> Expected:
    """Lightning catches Slurm's signal, saves and requeues: asked to stop."""
    book, out = Book(base), "lightning_logs/slurm-2200_0_log.out"
    for rank in range(8):
        book.at(10 + rank * 0.1, out, f"Initializing distributed: GLOBAL_RANK: {rank}, MEMBER: {rank + 1}/8")
    book.at(
        15,
        out,
        "-" * 100
        + "\ndistributed_backend=nccl\nAll distributed processes registered. Starting with 8 processes\n"
        + "-" * 100,
    )
    t = 20.0
    for step in range(1, 61):
        t += 2
        book.at(
            t,
            out,
            f"\rEpoch 0:  {step // 5}%|█         | {step}/500 [{int(t) // 60:02}:{int(t) % 60:02}<14:20,  0.50it/s, v_num=2200, train_loss={8 / step:.3f}]",
        )
    book.cry(t + 1, out, "Handling auto-requeue signal: 10")
    book.mutter(t + 3, out, "Requeuing job 2200...")
    book.mutter(t + 3.1, out, "Requeued SLURM job: 2200")
    book.cry(
        t + 4,
        out,
        f"slurmstepd: error: *** JOB 2200 ON ml-04 CANCELLED AT {plain(t + 4)} DUE TO JOB REQUEUE ***",
    )
    return book.end(
        outcome=FAILED, root="Handling auto-requeue signal", nodes=NOBODY, ranks=NOBODY, stage=frozenset({"iterate"}),
        last_iteration=60, category=frozenset({"preemption"}), verdict=RESTART,
    )  # fmt: skip


def benign_epilog(base: Path) -> Expected:
    """A job that finished, with the noise that Slurm and NCCL make all the time."""
    book, out = Book(base), "slurm-777.out"
    nodes = ["gpu-1", "gpu-2"]
    book.at(
        0,
        out,
        "slurmstepd: error: couldn't chdir to `/home/anna/run': No such file or directory: going to /tmp instead",
    )
    _head(book, out, 0, 777, nodes)
    for rank in range(8):
        book.at(
            15,
            out,
            f"{rank}: /opt/conda/lib/python3.11/site-packages/torch/distributed/distributed_c10d.py:4631: UserWarning: No device id is provided via `init_process_group` or `barrier `. Using the current device set by the user.\n{rank}:   warnings.warn(  # warn only once",
        )
    book.at(
        16,
        out,
        "0: gpu-1:41000:41000 [0] NCCL WARN NET/OFI Failed to initialize rdma protocol\n0: gpu-1:41000:41000 [0] NCCL INFO NET/Plugin: Could not find: libnccl-net.so. Using internal network plugin.",
    )
    _nccl_map(book, out, 20, nodes, 4, 1)
    t = _steps(book, out, 60, 1, 100, 100, 1, 7)
    book.at(t + 5, out, f"0: [after training is done] datetime: {when(t + 5):%Y-%m-%d %H:%M:%S} ")
    book.at(
        t + 7,
        out,
        f"3: [rank3]:[{c10d(t + 7, 'W')} TCPStore.cpp:125] [c10d] recvValue failed on SocketImpl(fd=4, addr=[gpu-1]:40422, remote=[gpu-1]:29500): Failed to recv, got 0 bytes. Connection was likely closed. Did the remote server shutdown or crash?",
    )
    book.at(
        t + 7.1,
        out,
        f'3: [rank3]:[{c10d(t + 7, "W")} ProcessGroupNCCL.cpp:1783] [PG ID 0 PG GUID 0(default_pg) Rank 3] Failed to check the "should dump" flag on TCPStore, (maybe TCPStore server has shut down too early), with error: Failed to recv, got 0 bytes. Connection was likely closed. Did the remote server shutdown or crash?',
    )
    book.at(
        t + 8,
        out,
        "slurmstepd: error: Unable to unlink domain socket `/var/spool/slurmd/gpu-1_777.0`: No such file or directory\n+ rc=0\nJob 777 done",
    )
    return book.end(outcome=FINISHED, last_iteration=100, last_durable=100, **healthy())


def container_start(base: Path) -> Expected:
    """The container does not start on one node: nobody reaches training."""
    book, out = Book(base), "slurm-881.out"
    book.at(
        0,
        out,
        "+ srun --container-image=/images/nemo-25.04.sqsh --container-mounts=/lustre:/lustre --ntasks-per-node=8 python train.py",
    )
    book.cry(4, out, "slurmstepd: error: pyxis: container start failed with error code: 1")
    book.mutter(4, out, "slurmstepd: error: pyxis: printing enroot log file:")
    book.cry(
        4,
        out,
        "slurmstepd: error: pyxis:     enroot-mount: failed to mount: /lustre at /run/enroot/overlay/rootfs/lustre: No such file or directory\nslurmstepd: error: pyxis:     [ERROR] /etc/enroot/hooks.d/10-system.sh exited with return code 1",
    )
    book.cry(
        4.1,
        out,
        "slurmstepd: error: pyxis: couldn't start container\nslurmstepd: error: spank: required plugin spank_pyxis.so: task_init() failed with rc=-1\nslurmstepd: error: Failed to invoke spank plugin stack",
    )
    book.cry(
        4.5,
        out,
        "srun: error: dgx-h100-14: tasks 48-55: Exited with exit code 1\nsrun: Terminating StepId=881.0",
    )
    book.cry(4.6, out, f"slurmstepd: error: *** STEP 881.0 ON dgx-h100-02 CANCELLED AT {plain(4)} ***")
    for n in range(6):
        book.cry(6 + n * 0.1, out, f"srun: error: dgx-h100-{n + 2:02}: tasks {n * 8}-{n * 8 + 7}: Terminated")
    return book.end(
        outcome=FAILED, root="pyxis", nodes=frozenset({"dgx-h100-14"}), stage=frozenset({"launch"}), last_iteration=None,
        last_durable=None, category=frozenset({"platform", "storage"}), verdict=EXCLUDE,
    )  # fmt: skip


def still_running(base: Path) -> Expected:
    """The log simply ends while the job trains."""
    book, out = Book(base), "slurm-600.out"
    nodes = ["gpu-1", "gpu-2"]
    _head(book, out, 0, 600, nodes)
    _nccl_map(book, out, 20, nodes, 4, 1)
    t = _steps(book, out, 60, 1, 96, 5000, 1, 7)
    book.at(
        t + 2.0,
        out,
        f"2: {comma(t + 2)} [WARNING] dataset shard 00041 slow: 1.9 s, retry 1/5 after error: Read timed out",
    )
    return book.end(
        outcome=frozenset({"running"}),
        last_iteration=96,
        last_durable=80,
        stage=frozenset({"iterate"}),
        **healthy(),
    )


def hung_with_heartbeats(base: Path) -> Expected:
    """Training stopped; GPU monitor and heartbeats go on for half an hour."""
    book, out = Book(base), "slurm-601.out"
    nodes = ["gpu-1", "gpu-2"]
    _head(book, out, 0, 601, nodes)
    _nccl_map(book, out, 20, nodes, 4, 1)
    t = _steps(book, out, 60, 1, 67, 5000, 1, 7)
    for n in range(int(t + 1800) // 30):
        book.at(
            30.0 * n,
            out,
            f"0: {comma(30.0 * n)} [INFO] [gpu_monitor] util mean {97 if n * 30 < t else 100}% mem 71.2 GiB temp {61 + n % 4} C",
        )
        book.at(30.0 * n + 3, out, f"4: {comma(30.0 * n + 3)} [INFO] heartbeat ok (host gpu-2)")
    return book.end(
        outcome=frozenset({"hung"}),
        nodes=NOBODY,
        ranks=NOBODY,
        last_iteration=67,
        last_durable=60,
        stage=frozenset({"iterate"}),
    )


ALL = (
    node_failure, time_limit, requeue_finished, requeue_fails_again, oom_kill, nccl_one_silent, nccl_one_behind,
    lightning_requeue, benign_epilog, container_start, still_running, hung_with_heartbeats,
)  # fmt: skip
