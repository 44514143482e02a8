"""Jobs of which a tool names the culprit outright: watchers, reports on a hang, health checks, schedulers."""

# ruff: noqa: E501  (a line of a log stays one line)
from __future__ import annotations

from pathlib import Path

from scenarios import Expected
from scenarios.clusters_book import (
    EXCLUDE,
    FAILED,
    NOBODY,
    Book,
    c10d,
    comma,
    elastic,
    megatron,
    syslog,
    watchdog,
    when,
)

ITERATE = frozenset({"iterate"})
PER = 8


def _begin(book: Book, hosts: list[str], files: list[str], steps: int) -> float:
    """NCCL tells which rank runs where; the last rank reports steps. Returns the time of the last one."""
    world = len(hosts) * PER
    for rank in range(world):
        node, dev = divmod(rank, PER)
        book.at(
            2 + 0.001 * rank,
            files[node],
            f"{hosts[node]}:{41000 + rank}:{42000 + rank} [{dev}] NCCL INFO Bootstrap : Using ib0:10.0.0.{node + 1}<0>\n"
            f"{hosts[node]}:{41000 + rank}:{42000 + rank} [{dev}] NCCL INFO comm 0x55d0{rank:04x} rank {rank} nranks {world} cudaDev {dev} nvmlDev {dev} busId {0x1B + dev:x}000 commId 0x9e1d2 - Init COMPLETE",
        )
    t = 10.0
    for step in range(1, steps + 1):
        t += 4.2
        book.at(t, files[-1], megatron(t, step, 5000))
    return t


def flight_recorder(base: Path) -> Expected:
    """Ranks 8 to 15 are one group that waits for rank 13; only the analyser's report tells."""
    book, hosts = Book(base), [f"gpu-{i:02}" for i in range(1, 5)]
    files = [f"{host}.log" for host in hosts]
    t = _begin(book, hosts, files, 40) + 600
    for rank in (8, 9, 10, 11):
        for line in watchdog(t, rank, 4411, 4411, 4410, op="ALLTOALL_BASE"):
            book.cry(t, files[1], line)
    book.at(0, "fr_trace.txt", "loaded 32 files in 4.1s\nbuilt groups, memberships")
    book.mutter(0, "fr_trace.txt", "Not all ranks joining collective, sequence number: 4411")
    book.at(
        0,
        "fr_trace.txt",
        "internal record id: 1998\ngroup info: 15:EXPERT_MODEL_PARALLEL_GROUP\ncollective: nccl:all_to_all",
    )
    book.cry(0, "fr_trace.txt", "missing ranks: {13}")
    book.at(
        0,
        "fr_trace.txt",
        "input sizes: [[131072]]\noutput sizes: [[131072]]\nexpected ranks: {8, 9, 10, 11, 12, 13, 14, 15}\ncollective state: scheduled",
    )
    return book.end(
        outcome=FAILED, root="missing ranks: {13}", nodes=frozenset({"gpu-02"}), ranks=frozenset({13}), stage=ITERATE, last_iteration=40, min_f1=0.9,
    )  # fmt: skip


def watcher_of_one(base: Path) -> Expected:
    """NVRx's monitor of rank 18 gets no heartbeat; its logger's name holds host and rank."""
    book, hosts = Book(base), [f"eos{i:04}" for i in range(1, 5)]
    t = _begin(book, hosts, ["console.log"] * 4, 55) + 300
    book.cry(
        t,
        "console.log",
        f"[{comma(t)}] [WARNING] [RankMonServer40118@eos0003:18] [Cycle 0] Section 'step' has been open for 300.31 seconds. Timeout is 300.00 seconds.",
    )
    for pid in (41016, 41017, 41019):
        book.cry(
            t + 1,
            "console.log",
            f"{elastic(t + 1, 'W')} nvidia_resiliency_ext/fault_tolerance/launcher.py:612] Sending process {pid} closing signal SIGTERM",
        )
    book.cry(
        t + 2,
        "console.log",
        f"{elastic(t + 2)} nvidia_resiliency_ext/fault_tolerance/launcher.py:874] failed (exitcode: -9) local_rank: 2 (pid: 41018) of binary: /usr/bin/python3",
    )
    return book.end(
        outcome=FAILED, root="RankMonServer40118@eos0003:18", nodes=frozenset({"eos0003"}), ranks=frozenset({18}), stage=ITERATE, last_iteration=55,
    )  # fmt: skip


def _jax(base: Path, listed: str) -> Expected:
    book = Book(base)
    for task in range(8):
        book.at(1, f"tpu-{task}.log", f"hostname: v5p-node{task:02}, rank: {task}")
        for step in range(30):
            book.at(
                10 + 8 * step,
                f"tpu-{task}.log",
                f"completed step: {step}, seconds: 7.9{step % 10}0, TFLOP/s/device: 391.200, Tokens/s/device: 4411.114, total_weights: 4194304, loss: 2.{900 - step}",
            )
    t = 10 + 8 * 30 + 100
    for task in range(8):
        if task != 5:
            head = f"F{when(t):%m%d %H:%M:%S.%f}    {700 + task} client.h:77] Terminating process because the JAX distributed service detected fatal errors. This most likely indicates that another task died; see the other task logs for more details. absl::Status: UNAVAILABLE: "
            for line in (head + listed).split("\n"):
                book.cry(t, f"tpu-{task}.log", line)
            book.mutter(
                t,
                f"tpu-{task}.log",
                "The tasks have crashed. Check the task logs for an earlier error, or scheduler events (e.g. preemption, eviction) to debug further.",
            )
    return book.end(
        outcome=FAILED, root="stopped sending heartbeats", nodes=frozenset({"v5p-node05"}), ranks=frozenset({5}), stage=ITERATE, last_iteration=30,
    )  # fmt: skip


def jax_lists_a_task(base: Path) -> Expected:
    """The coordination service lists the task that is gone on a line of its own."""
    return _jax(
        base,
        "The following tasks are unhealthy (stopped sending heartbeats):\n/job:jax_worker/replica:0/task:5",
    )


def jax_names_a_task(base: Path) -> Expected:
    """The same behind the colon."""
    return _jax(
        base,
        "The following tasks are unhealthy (stopped sending heartbeats): /job:jax_worker/replica:0/task:5",
    )


def straggler_scores(base: Path) -> Expected:
    """A console without times: iterations take twice as long since 61, and one rank has a low score since."""
    book, out = Book(base), "console.log"
    for step in range(150):
        slow = step >= 60
        book.at(
            step,
            out,
            f"Training epoch 0, iteration {step}/4999 | lr: 0.00015 | global_batch_size: 2048 | global_step: {step} | reduced_train_loss: 2.{900 - step} | train_step_timing in s: {13.2 if slow else 6.5}{step % 9}",
        )
        if step % 30 == 14:
            book.at(step, out, "GPU relative performance:\n Worst performing 3/64 ranks:")
            low = f"0.4{step % 7}" if slow else "0.98"
            book.at(step, out, f"  Rank=37 Node=h100-005 Score={low}", "cry" if slow else "say")
            book.at(
                step,
                out,
                "  Rank=12 Node=h100-002 Score=0.97\n  Rank=50 Node=h100-007 Score=0.97\n Best performing 3/64 ranks:\n  Rank=3 Node=h100-001 Score=1.00",
            )
    return book.end(
        outcome=frozenset({"slow"}), root="Rank=37 Node=h100-005 Score=0.4", nodes=frozenset({"h100-005"}), ranks=frozenset({37}), stage=ITERATE,
        last_iteration=150, category=frozenset({"hardware.gpu"}), verdict=EXCLUDE,
    )  # fmt: skip


def scores_of_a_healthy_job(base: Path) -> Expected:
    """The same reports where nothing is slow: no rank is to blame, though one always comes last."""
    book, out = Book(base), "console.log"
    for step in range(150):
        book.at(
            step,
            out,
            f"Training epoch 0, iteration {step}/149 | lr: 0.00015 | global_batch_size: 2048 | global_step: {step} | reduced_train_loss: 2.{900 - step} | train_step_timing in s: 6.5{step % 9}",
        )
        if step % 30 == 14:
            book.at(
                step,
                out,
                "GPU relative performance:\n Worst performing 1/64 ranks:\n  Rank=37 Node=h100-005 Score=0.96\n Best performing 1/64 ranks:\n  Rank=3 Node=h100-001 Score=1.00",
            )
    book.at(150, out, "`Trainer.fit` stopped: `max_steps=150` reached.")
    return book.end(outcome=frozenset({"finished"}), nodes=NOBODY, ranks=NOBODY, last_iteration=150)


def ras_report(base: Path) -> Expected:
    """ncclras gets no data from a process, which it calls by the address of its host."""
    book, hosts = Book(base), [f"gb{i:03}" for i in range(56, 60)]
    t = _begin(book, hosts, [f"{host}.log" for host in hosts], 30) + 600
    for rank in (0, 1, 9, 17):
        for line in watchdog(t, rank, 900, 900, 899):
            book.cry(t, f"{hosts[rank // PER]}.log", line)
    book.at(0, "ncclras.txt", "NCCL version 2.27.5 compiled with CUDA 12.9\n\nErrors\n======\n\nINCOMPLETE")
    book.mutter(0, "ncclras.txt", "  Missing communicator data from 1 job process")
    book.cry(0, "ncclras.txt", "  Process 41020 on node 10.0.0.3 managing GPU 4")
    return book.end(
        outcome=FAILED, root="Process 41020 on node 10.0.0.3", nodes=frozenset({"gb058"}), ranks=frozenset({20}), stage=ITERATE, last_iteration=30,
    )  # fmt: skip


def nodes_set_down(base: Path) -> Expected:
    """slurmctld names two nodes of a rack in one list."""
    book, hosts = Book(base), [f"nid{i:04}" for i in range(1, 9)]
    t = _begin(book, hosts, ["slurm-77.out"] * 8, 30)
    book.cry(
        t + 60,
        "slurmctld.log",
        f"[{when(t + 60):%Y-%m-%dT%H:%M:%S.%f}] error: Nodes nid[0006-0007] not responding, setting DOWN",
    )
    for rank in (3, 20):
        book.cry(
            t + 90,
            "slurm-77.out",
            f"[rank{rank}]:[{c10d(t + 90)} ProcessGroupNCCL.cpp:1899] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Process group watchdog thread terminated with exception: NCCL error: remote process exited or there was a network error, NCCL version 2.21.5",
        )
    return book.end(
        outcome=FAILED, root="not responding, setting DOWN", nodes=frozenset({"nid0006", "nid0007"}), stage=ITERATE, last_iteration=30,
        category=frozenset({"hardware.host"}), verdict=EXCLUDE,
    )  # fmt: skip


def epilog_names_a_gpu(base: Path) -> Expected:
    """All epilogs check their GPUs; that of lt03 finds GPU 4 bad."""
    book, hosts = Book(base), [f"lt{i:02}" for i in range(1, 5)]
    out = "console.log"
    t = _begin(book, hosts, [out] * 4, 30) + 600
    for rank in (0, 9, 17, 25):
        for line in watchdog(t, rank, 900, 900, 899):
            book.cry(t, out, line)
    for host in hosts:
        if host == "lt03":
            book.cry(
                t + 60,
                out,
                f"epilog[{host}]: dcgmi health -c: Overall Health: Failure | GPU ID 4: Failure | Detected 1 volatile double-bit ECC error(s) in GPU 4.",
            )
        else:
            book.at(t + 60, out, f"epilog[{host}]: dcgmi health -c: Overall Health: Healthy")
    return book.end(
        outcome=FAILED, root="epilog[lt03]", nodes=frozenset({"lt03"}), ranks=frozenset({20}), stage=ITERATE, last_iteration=30,
        category=frozenset({"hardware.gpu"}), verdict=EXCLUDE,
    )  # fmt: skip


def node_health_check(base: Path) -> Expected:
    """LBNL's check takes a node out, by the syslog of that node and its own words."""
    book, hosts = Book(base), [f"n{i:03}" for i in range(101, 105)]
    t = _begin(book, hosts, ["slurm-9.out"] * 4, 30)
    for host in hosts:
        book.at(t, f"{host}/messages", f"{syslog(t)} {host} systemd[1]: Started Session 9 of user alice.")
    book.cry(
        t + 30,
        "n103/messages",
        f"{syslog(t + 30)} n103 nhc[3345]: Health check failed:  check_hw_ib:  No IB port mlx5_4:1 is ACTIVE (LinkUp 400 Gb/sec).",
    )
    for rank in (0, 9, 25):
        for line in watchdog(t + 600, rank, 900, 900, 899):
            book.cry(t + 600, "slurm-9.out", line)
    return book.end(
        outcome=FAILED, root="Health check failed", nodes=frozenset({"n103"}), stage=ITERATE, last_iteration=30,
        category=frozenset({"hardware.host"}), verdict=EXCLUDE,
    )  # fmt: skip


ALL = (
    flight_recorder,
    watcher_of_one,
    jax_lists_a_task,
    jax_names_a_task,
    straggler_scores,
    scores_of_a_healthy_job,
    ras_report,
    nodes_set_down,
    epilog_names_a_gpu,
    node_health_check,
)
