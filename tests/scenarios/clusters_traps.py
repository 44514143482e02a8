"""Jobs whose first impression misleads: a later attempt, a last save, victims that look guilty."""

# ruff: noqa: E501  (a line of a log stays one line)
from __future__ import annotations

from pathlib import Path

from scenarios import Expected
from scenarios.clusters_book import (
    EXCLUDE,
    FAILED,
    NOBODY,
    RESTART,
    Book,
    comma,
    elastic,
    healthy,
    megatron,
    plain,
    titan,
    torchrun_down,
    watchdog,
    when,
)


def _agent_restarts(book: Book, t: float, out: str, code: int, local: int, left: int) -> None:
    book.at(
        t,
        out,
        f"{elastic(t)} torch/distributed/elastic/multiprocessing/api.py:874] failed (exitcode: {code}) local_rank: {local} (pid: 77) of binary: /opt/conda/bin/python\n{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:879] [default] Worker group FAILED. {left}/3 attempts left; will restart worker group",
    )


def attempts_tree(base: Path) -> Expected:
    """Three attempts of a torchrun tree: 0 lost rank 1 (h1), 1 lost rank 6 (h2), 2 lost rank 2 (h1) to a bus error."""
    book = Book(base)
    begun = {0: (0, 0, 33), 1: (400, 20, 51), 2: (800, 40, 67)}
    guilty = {0: 1, 1: 6, 2: 2}
    for attempt, (t0, first, last) in begun.items():
        for rank in range(8):
            host, local = f"h{rank // 4 + 1}", rank % 4
            out = f"{host}/none_k2x9/attempt_{attempt}/{local}/stdout.log"
            err = f"{host}/none_k2x9/attempt_{attempt}/{local}/stderr.log"
            book.at(t0 + 5, out, f"{comma(t0 + 5)} | INFO | rank {rank}/8 on {host} started")
            if first and rank == 0:
                book.at(t0 + 9, out, f"{comma(t0 + 9)} | INFO | Loaded checkpoint /ckpt/step_{first}")
            t = t0 + 10.0
            for step in range(first + 1, last + 1):
                t += 3
                book.at(t, out, f"{comma(t)} | INFO | step: {step} loss: {4 - step / 30:.3f} rank: {rank}")
                if step % 20 == 0 and rank == 0:
                    book.at(
                        t + 0.1,
                        out,
                        f"{comma(t)} | INFO | Saving checkpoint /ckpt/step_{step}\n{comma(t + 1)} | INFO | Checkpoint saved: /ckpt/step_{step}",
                    )
            kind = "cry" if attempt == 2 else "say"
            if rank != guilty[attempt]:
                book.at(
                    t + 6,
                    err,
                    f"[rank{rank}]: torch.distributed.DistBackendError: NCCL error in: /pytorch/torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:3384, remote process exited or there was a network error, NCCL version 2.21.5",
                    kind,
                )
            elif attempt == 1:
                book.at(
                    t + 2,
                    err,
                    f"[rank{rank}]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.00 GiB. GPU 2 has a total capacity of 79.11 GiB of which 3.00 MiB is free.",
                )
            elif attempt == 2:
                book.cry(t + 2, err, "Fatal Python error: Bus error")
                book.mutter(
                    t + 2,
                    err,
                    'Thread 0x00007f2c (most recent call first):\n  File "/app/data.py", line 40 in __getitem__\n  File "/app/train.py", line 90 in train',
                )
    return book.end(
        outcome=FAILED, root="Bus error", nodes=frozenset({"h1"}), ranks=frozenset({2}), last_iteration=67, last_durable=60,
        stage=frozenset({"iterate"}),
    )  # fmt: skip


def restarted_and_running(base: Path) -> Expected:
    """The job was restarted by its agent; after two iterations of the new attempt the log is taken: it runs."""
    book, out = Book(base), "console.log"
    t = 0.0
    for step in range(1, 58):
        t += 2
        book.at(t, out, f"[default0]:{titan(t, step)}")
    book.at(
        t + 1, out, "[default3]:[rank3]: RuntimeError: CUDA error: an illegal memory access was encountered"
    )
    _agent_restarts(book, t + 2, out, 1, 3, 2)
    t += 30
    book.at(
        t,
        out,
        f"{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525] [default] Rendezvous complete for workers. Result:\n{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525]   restart_count=1\n[default0]:[titan] {comma(t)} - root - INFO - Loading the checkpoint from /ckpt/step-50.\n[default0]:[titan] {comma(t)} - root - INFO - Finished loading the checkpoint in 4.10 seconds.",
    )
    for step in (51, 52):
        t += 2
        book.at(t, out, f"[default0]:{titan(t, step)}")
    return book.end(outcome=frozenset({"running"}), last_iteration=52, last_durable=50, **healthy())


def all_time_out_alike(base: Path) -> Expected:
    """All ranks time out in the same collective with the same numbers: nobody can be told."""
    book, out = Book(base), "slurm-10.out"
    t = 0.0
    for step in range(1, 31):
        t += 5
        book.at(t, out, f"15: {megatron(t, step, 900)}")
    for rank in range(16):
        at = t + 605 + rank * 0.02
        for line in watchdog(at, rank, 4410, 4412, 4409):
            book.cry(at, out, f"{rank:2}: {line}")
    book.cry(
        t + 670,
        out,
        "srun: error: n1: tasks 0-7: Aborted (core dumped)\nsrun: error: n2: tasks 8-15: Aborted (core dumped)",
    )
    return book.end(
        outcome=frozenset({"failed", "hung"}), root="Watchdog caught collective operation timeout", nodes=NOBODY, ranks=NOBODY, stage=frozenset({"iterate"}),
        last_iteration=30, last_durable=None, category=frozenset({"network", "unknown", "hardware.host"}), verdict=RESTART | {"unknown"},
    )  # fmt: skip


def last_save_fails(base: Path) -> Expected:
    """All iterations are done, and the final save fails for lack of quota: this job has failed."""
    book, out = Book(base), "train.log"
    t = 0.0
    for step in range(1, 201):
        t += 1
        book.at(t, out, f"[{comma(t)}] INFO step {step}/200 loss {3 - step / 100:.3f} lr 1e-5")
        if step == 100:
            book.at(
                t + 0.5,
                out,
                f"[{comma(t + 0.5)}] INFO saving checkpoint to /home/eva/out/checkpoint-100\n[{comma(t + 0.9)}] INFO checkpoint saved to /home/eva/out/checkpoint-100",
            )
    book.at(t + 1, out, f"[{comma(t + 1)}] INFO saving checkpoint to /home/eva/out/checkpoint-200")
    book.mutter(
        t + 3,
        out,
        'Traceback (most recent call last):\n  File "/home/eva/train.py", line 210, in <module>\n    save_checkpoint(model, out)\n  File "/home/eva/lib/python3.11/site-packages/safetensors/torch.py", line 286, in save_file\n    serialize_file(_flatten(tensors), filename, metadata=metadata)',
    )
    book.cry(
        t + 3,
        out,
        'safetensors_rust.SafetensorError: Error while serializing: IoError(Os { code: 122, kind: QuotaExceeded, message: "Disk quota exceeded" })',
    )
    return book.end(
        outcome=FAILED, root="Disk quota exceeded", stage=frozenset({"checkpoint"}), last_iteration=200, last_durable=100, category=frozenset({"storage", "resource"}), verdict=RESTART | {"stop"},
    )  # fmt: skip


def scancelled(base: Path) -> Expected:
    """Somebody ended a healthy job with scancel: nobody's fault."""
    book, out = Book(base), "slurm-4402.out"
    t = 0.0
    for step in range(1, 91):
        t += 4
        book.at(t, out, f"7: {megatron(t, step, 5000)}")
    book.cry(
        t + 2,
        out,
        f"slurmstepd: error: *** STEP 4402.0 ON g1 CANCELLED AT {plain(t + 2)} ***\nslurmstepd: error: *** JOB 4402 ON g1 CANCELLED AT {plain(t + 2)} ***\nsrun: Job step aborted: Waiting up to 32 seconds for job step to finish.\nsrun: error: g1: tasks 0-3: Terminated\nsrun: error: g2: tasks 4-7: Terminated",
    )
    return book.end(
        outcome=FAILED, root="CANCELLED AT", nodes=NOBODY, ranks=NOBODY, last_iteration=90, last_durable=None, stage=frozenset({"iterate"}),
        category=frozenset({"preemption", "platform"}), verdict=frozenset({"restart", "unknown"}),
    )  # fmt: skip


def package_missing_on_one_node(base: Path) -> Expected:
    """A package is missing on one of four nodes: the environment of that node, not the code."""
    book = Book(base)
    for n in range(4):
        host = f"lambda-{n + 3}"
        out = f"{host}/torchrun.log"
        book.at(
            0,
            out,
            f"{elastic(0, 'W')} torch/distributed/run.py:792] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default",
        )
        for local in range(8):
            rank = 8 * n + local
            if n == 2:
                book.mutter(
                    4,
                    out,
                    f'[default{local}]:Traceback (most recent call last):\n[default{local}]:  File "/shared/train.py", line 14, in <module>\n[default{local}]:    import flash_attn',
                )
                book.cry(
                    4,
                    out,
                    f"[default{local}]:ImportError: /usr/lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by /opt/venv/lib/python3.11/site-packages/flash_attn_2_cuda.so)",
                )
            else:
                book.at(4, out, f"[default{local}]:{comma(4)} INFO rank {rank}: waiting for 32 processes")
                book.cry(
                    304,
                    out,
                    f"[default{local}]:[rank{rank}]: torch.distributed.DistStoreError: Timed out after 301 seconds waiting for clients. 24/32 clients joined.",
                )
        if n == 2:
            torchrun_down(
                book, 6, out, host, (16, 0, 1, 4000), [4001 + i for i in range(7)], script="/shared/train.py"
            )
        else:
            torchrun_down(
                book,
                306,
                out,
                host,
                (8 * n, 0, 1, 4000),
                [4001 + i for i in range(7)],
                script="/shared/train.py",
            )
    return book.end(
        outcome=FAILED, root="GLIBCXX", nodes=frozenset({"lambda-5"}), stage=frozenset({"launch", "init"}), last_iteration=None, last_durable=None,
        category=frozenset({"platform"}), verdict=EXCLUDE, min_f1=0.9,
    )  # fmt: skip


def loader_killed_by_shm(base: Path) -> Expected:
    """A loader worker of rank 6 dies of a bus error: /dev/shm of that container is too small. Others are asked to end."""
    book = Book(base)
    t = 0.0
    for step in range(1, 41):
        t += 4
        book.at(t, "pod-a.log", megatron(t, step, 900))
    for line in (
        "Traceback (most recent call last):",
        '  File "/app/train.py", line 77, in <module>',
        '  File "/opt/conda/lib/python3.11/site-packages/torch/utils/data/dataloader.py", line 1284, in _try_get_data',
        "    success, data = self._try_get_data()",
    ):
        book.mutter(t + 2, "pod-b.log", f"[rank6]: {line}")
    book.at(1, "pod-a.log", f"{comma(1)} INFO rank 0 of 8 on pod-a")
    book.at(1, "pod-b.log", f"{comma(1)} INFO rank 4 of 8 on pod-b")
    book.cry(
        t + 1.9,
        "pod-b.log",
        "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).",
    )
    book.cry(
        t + 2.1,
        "pod-b.log",
        "[rank6]: RuntimeError: DataLoader worker (pid 31337) is killed by signal: Bus error. It is possible that dataloader's workers are out of shared memory. Please try to raise your shared memory limit.",
    )
    torchrun_down(book, t + 3, "pod-b.log", "pod-b", (6, 2, 1, 62), [60, 61, 63], script="/app/train.py")
    torchrun_down(book, t + 9, "pod-a.log", "pod-a", (1, 1, -6, 51), [50, 52, 53], script="/app/train.py")
    return book.end(
        outcome=FAILED, root="shared memory", nodes=frozenset({"pod-b"}), ranks=frozenset({6}), stage=frozenset({"iterate"}), last_iteration=40, last_durable=None,
        category=frozenset({"resource"}), min_f1=0.9,
    )  # fmt: skip


def finished_then_cluster_noise(base: Path) -> Expected:
    """The job finished; the launcher's log of one node has connection errors because node 0 left first."""
    book = Book(base)
    t = 0.0
    for step in range(1, 81):
        t += 3
        book.at(t, "n0.log", f"[default0]:{titan(t, step)}")
        book.at(t, "n1.log", f"[default0]:{titan(t, step)}")
    for n in (0, 1):
        for local in range(4):
            book.at(
                t + 2,
                f"n{n}.log",
                f"[default{local}]:[titan] {comma(t + 2)} - root - INFO - Training completed",
            )
    book.at(
        t + 9,
        "n1.log",
        f"[rank4]:[W314 {when(t + 9):%H:%M:%S}.104417233 TCPStore.cpp:122] [c10d] recvValue failed on SocketImpl(fd=3, addr=[n1]:45512, remote=[n0]:29500): Connection reset by peer\n{elastic(t + 10, 'W')} torch/distributed/elastic/rendezvous/dynamic_rendezvous.py:1267] The node 'n1_88_0' has failed to shutdown the rendezvous '101' due to an error of type RendezvousConnectionError.\n{elastic(t + 10, 'W')} torch/distributed/elastic/rendezvous/dynamic_rendezvous.py:1292] The node 'n1_88_0' has failed to send a keep-alive heartbeat to the rendezvous '101' due to an error of type RendezvousConnectionError.",
    )
    return book.end(outcome=frozenset({"finished"}), last_iteration=80, **healthy())


ALL = (
    attempts_tree, restarted_and_running, all_time_out_alike, last_save_fails, scancelled, package_missing_on_one_node,
    loader_killed_by_shm, finished_then_cluster_noise,
)  # fmt: skip
