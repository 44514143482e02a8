"""Jobs under torchrun and accelerate: restarts, rendezvous, and hosts that are not like the others."""

# ruff: noqa: E501  (a line of a log stays one line)
from __future__ import annotations

from pathlib import Path

from scenarios import Expected
from scenarios.clusters_book import (
    EXCLUDE,
    FAILED,
    FINISHED,
    RESTART,
    Book,
    c10d,
    comma,
    elastic,
    healthy,
    titan,
    torchrun_down,
    when,
)


def _rendezvous(book: Book, t: float, file: str, attempt: int, lead: str = "") -> None:
    book.at(
        t,
        file,
        f"{lead}{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525] [default] Rendezvous complete for workers. Result:\n{lead}{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525]   restart_count={attempt}\n{lead}{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525]   master_addr=h1\n{lead}{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525]   master_port=41171\n{lead}{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525]   global_ranks=[0, 1, 2, 3]\n{lead}{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525]   global_world_sizes=[4, 4, 4, 4]",
    )


def _saves(book: Book, t: float, file: str, lead: str, step: int) -> None:
    book.at(
        t + 0.1,
        file,
        f"{lead}{comma(t)} INFO trainer: saving checkpoint step {step} -> /ckpt/run7/step_{step}",
    )
    book.at(t + 2.9, file, f"{lead}{comma(t + 2.9)} INFO trainer: checkpoint saved at step {step} in 2.8 s")


def restarts_console(base: Path) -> Expected:
    """One console, --max-restarts=3: killed, restarted from step 40, then a data error on rank 2 in the new attempt and no attempts left."""
    book, out = Book(base), "train.log"
    book.at(
        0,
        out,
        f"{elastic(0, 'W')} torch/distributed/run.py:779] \n{elastic(0, 'W')} torch/distributed/run.py:779] *****************************************\n{elastic(0, 'W')} torch/distributed/run.py:779] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default, to avoid your system being overloaded, please further tune the variable for optimal performance in your application as needed.",
    )
    t, reached = 5.0, 0
    for attempt, (begin, last, dead) in enumerate(
        ((0, 57, (1, 1, -9, 3302)), (40, 71, (3, 3, -9, 4404)), (60, 88, (2, 2, 1, 5503)))
    ):
        _rendezvous(book, t, out, attempt)
        if begin:
            book.at(
                t + 9, out, f"[default0]:{comma(t + 9)} INFO trainer: resuming from /ckpt/run7/step_{begin}"
            )
        t += 20
        for reached in range(begin + 1, last + 1):
            t += 1.5
            book.at(
                t,
                out,
                f"[default0]:{comma(t)} INFO trainer: step {reached}/2000 loss 2.{900 - reached} lr 3.0e-04 tok/s 41{reached % 9}00",
            )
            if reached % 20 == 0:
                _saves(book, t, out, "[default0]:", reached)
                t += 3
        _, local, code, pid = dead
        others = [3000 + 1100 * attempt + i for i in range(1, 5) if i != local + 1]
        if attempt < 2:
            for other in others:
                book.at(
                    t + 0.9,
                    out,
                    f"{elastic(t + 0.9, 'W')} torch/distributed/elastic/multiprocessing/api.py:900] Sending process {other} closing signal SIGTERM",
                )
            book.at(
                t + 1.5,
                out,
                f"{elastic(t + 1.5)} torch/distributed/elastic/multiprocessing/api.py:874] failed (exitcode: {code}) local_rank: {local} (pid: {pid}) of binary: /opt/conda/bin/python",
            )
            book.at(
                t + 2,
                out,
                f"{elastic(t + 2, 'I')} torch/distributed/elastic/agent/server/api.py:879] [default] Worker group FAILED. {2 - attempt}/2 attempts left; will restart worker group\n{elastic(t + 2, 'I')} torch/distributed/elastic/agent/server/api.py:704] [default] Stopping worker group\n{elastic(t + 2, 'I')} torch/distributed/elastic/agent/server/api.py:692] [default] Rendezvous'ing worker group",
            )
            t += 5
            continue
        for line in (
            "Traceback (most recent call last):",
            '  File "/app/train.py", line 288, in <module>',
            "    main()",
            '  File "/app/train.py", line 201, in main',
            "    batch = next(loader)",
            '  File "/app/data.py", line 77, in __next__',
            "    tokens = np.frombuffer(self.mm[a:b], dtype=np.uint16)",
        ):
            book.mutter(t + 0.3, out, f"[default2]:[rank2]: {line}")
        book.cry(
            t + 0.3, out, "[default2]:[rank2]: ValueError: buffer size must be a multiple of element size"
        )
        torchrun_down(book, t + 1, out, "h1", dead, others, script="train.py")
    return book.end(
        outcome=FAILED, root="ValueError: buffer size", ranks=frozenset({2}), stage=frozenset({"iterate"}),
        last_iteration=88, last_durable=80, category=frozenset({"data", "user.code"}),
    )  # fmt: skip


def restarts_tree_recovers(base: Path) -> Expected:
    """A torchrun tree: attempt 0 fails on one rank, attempt 1 finishes."""
    book = Book(base)
    for node in range(2):
        host = f"h{node + 1}"
        for local in range(4):
            rank = node * 4 + local
            err = f"{host}/r7_x81k/attempt_0/{local}/stderr.log"
            out0 = f"{host}/r7_x81k/attempt_0/{local}/stdout.log"
            out1 = f"{host}/r7_x81k/attempt_1/{local}/stdout.log"
            for step in range(1, 41):
                book.at(
                    20 + step * 2, out0, f"{comma(20 + step * 2)} step={step} loss={4 / step:.4f} rank={rank}"
                )
            if rank == 6:
                book.at(
                    101,
                    err,
                    '[rank6]: Traceback (most recent call last):\n[rank6]:   File "/app/t.py", line 9, in step\n[rank6]: RuntimeError: CUDA error: an illegal memory access was encountered',
                )
            else:
                book.at(
                    102,
                    err,
                    f"[rank{rank}]: torch.distributed.DistBackendError: NCCL error in: /pytorch/torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:2251, remote process exited or there was a network error, NCCL version 2.21.5",
                )
            for step in range(31, 121):
                book.at(
                    150 + step * 2,
                    out1,
                    f"{comma(150 + step * 2)} step={step} loss={4 / step:.4f} rank={rank}",
                )
            if rank == 0:
                book.at(140, out1, f"{comma(140)} loaded checkpoint /ckpt/step_30.pt")
            book.at(395, out1, f"{comma(395)} training completed, exiting")
    return book.end(outcome=FINISHED, last_iteration=120, **healthy())


def accelerate_gpu_oom(base: Path) -> Expected:
    """accelerate launch on two hosts, a console each: rank 11 is out of GPU memory at a long batch."""
    book = Book(base)
    for node, host in enumerate(("trn-a", "trn-b")):
        out = f"{host}.log"
        book.at(
            0,
            out,
            "The following values were not passed to `accelerate launch` and had defaults used instead:\n\t`--dynamo_backend` was set to a value of `'no'`\nTo avoid this warning pass in values for each of the problematic parameters or run `accelerate config`.",
        )
        for local in range(8):
            book.at(
                8,
                out,
                f"{when(8):%m/%d/%Y %H:%M:%S} - INFO - __main__ - Distributed environment: DistributedType.MULTI_GPU  Backend: nccl\nNum processes: 16\nProcess index: {node * 8 + local}\nLocal process index: {local}\nDevice: cuda:{local}\n",
            )
    t = 30.0
    for step in range(1, 214):
        t += 1.1
        book.at(
            t,
            "trn-a.log",
            f"\r  {step * 100 // 3000}%|▍         | {step}/3000 [{int(t) // 60:02}:{int(t) % 60:02}<51:06,  1.10s/it, loss={3 - step / 200:.3f}]",
        )
    out = "trn-b.log"
    for line in (
        "Traceback (most recent call last):",
        '  File "/workspace/run_clm.py", line 712, in <module>',
        "    main()",
        '  File "/workspace/run_clm.py", line 640, in main',
        "    accelerator.backward(loss)",
        '  File "/opt/conda/lib/python3.10/site-packages/accelerate/accelerator.py", line 2196, in backward',
        "    loss.backward(**kwargs)",
    ):
        book.mutter(t + 1, out, f"[rank11]: {line}")
    book.cry(
        t + 1,
        out,
        "[rank11]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 7.83 GiB. GPU 3 has a total capacity of 79.15 GiB of which 5.11 GiB is free. Process 88121 has 74.03 GiB memory in use.",
    )
    torchrun_down(
        book,
        t + 3,
        out,
        "trn-b",
        (11, 3, 1, 20103),
        [20100 + i for i in range(8) if i != 3],
        script="run_clm.py",
    )
    book.cry(
        t + 12,
        "trn-a.log",
        f"[rank2]:[{c10d(t + 12)} ProcessGroupNCCL.cpp:1899] [PG ID 0 PG GUID 0(default_pg) Rank 2] Process group watchdog thread terminated with exception: NCCL error: remote process exited or there was a network error, NCCL version 2.21.5",
    )
    book.mutter(t + 12, "trn-a.log", "[rank2]: Last error:")
    book.cry(
        t + 12,
        "trn-a.log",
        "[rank2]: socketProgress: Connection closed by remote peer trn-b.cluster.local<40122>",
    )
    torchrun_down(
        book,
        t + 14,
        "trn-a.log",
        "trn-a",
        (2, 2, -6, 10102),
        [10100 + i for i in range(8) if i != 2],
        script="run_clm.py",
    )
    return book.end(
        outcome=FAILED, root="CUDA out of memory", nodes=frozenset({"trn-b"}), ranks=frozenset({11}), stage=frozenset({"iterate"}),
        last_iteration=213, last_durable=None, category=frozenset({"resource", "user.config"}), min_f1=0.9,
    )  # fmt: skip


def port_in_use(base: Path) -> Expected:
    """The master's port is taken: the job never starts."""
    book = Book(base)
    out = "node-0.log"
    book.at(
        0,
        out,
        f"{elastic(0, 'W')} torch/distributed/run.py:779] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default, to avoid your system being overloaded",
    )
    book.cry(
        2,
        out,
        f"[{c10d(2, 'E')} socket.cpp:1011] [c10d] The server socket has failed to listen on any local network address. port: 29500, useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use",
    )
    book.mutter(
        2.1,
        out,
        'Traceback (most recent call last):\n  File "/opt/conda/bin/torchrun", line 8, in <module>\n    sys.exit(main())\n  File "/opt/conda/lib/python3.11/site-packages/torch/distributed/elastic/rendezvous/static_tcp_rendezvous.py", line 66, in next_rendezvous\n    self._store = TCPStore(  # type: ignore[call-arg]',
    )
    book.cry(
        2.1,
        out,
        "torch.distributed.DistNetworkError: The server socket has failed to listen on any local network address. port: 29500, useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use",
    )
    for n in (1, 2, 3):
        other = f"node-{n}.log"
        book.at(
            0,
            other,
            f"{elastic(0, 'W')} torch/distributed/run.py:779] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default, to avoid your system being overloaded",
        )
        book.cry(
            60,
            other,
            f"[{c10d(60, 'E')} socket.cpp:1019] [c10d] The client socket has timed out after 60000ms while trying to connect to (node-0, 29500).",
        )
        book.mutter(
            60,
            other,
            'Traceback (most recent call last):\n  File "/opt/conda/bin/torchrun", line 8, in <module>',
        )
        book.cry(
            60,
            other,
            "torch.distributed.DistNetworkError: The client socket has timed out after 60000ms while trying to connect to (node-0, 29500).",
        )
    return book.end(
        outcome=FAILED, root="address already in use", nodes=frozenset({"node-0"}), stage=frozenset({"launch", "init"}), last_iteration=None,
        last_durable=None, category=frozenset({"network"}),
    )  # fmt: skip


def dns_one_node(base: Path) -> Expected:
    """One node cannot resolve the master's name; the others wait for it in vain."""
    book = Book(base)
    for n in range(4):
        out = f"logs/gpu-w{n}.console"
        book.at(
            0,
            out,
            "+ torchrun --nnodes=4 --nproc-per-node=8 --rdzv-backend=c10d --rdzv-endpoint=gpu-w0.train.svc:29400 pretrain.py",
        )
        if n == 2:
            for i in range(3):
                book.mutter(
                    3 + i * 20,
                    out,
                    f"[{c10d(3 + i * 20, 'W')} socket.cpp:767] [c10d] The IPv6 network addresses of (gpu-w0.train.svc, 29400) cannot be retrieved (gai error: -3 - Temporary failure in name resolution).",
                )
            book.mutter(
                63,
                out,
                'Traceback (most recent call last):\n  File "/opt/conda/lib/python3.11/site-packages/torch/distributed/elastic/rendezvous/c10d_rendezvous_backend.py", line 160, in _create_tcp_store\n    store = TCPStore(  # type: ignore[call-arg]',
            )
            book.cry(
                63,
                out,
                "torch.distributed.DistNetworkError: The client socket has failed to connect to any network address of (gpu-w0.train.svc, 29400). The IPv4 network addresses of (gpu-w0.train.svc, 29400) cannot be retrieved (gai error: -3 - Temporary failure in name resolution).",
            )
            book.mutter(
                63,
                out,
                "The above exception was the direct cause of the following exception:\nTraceback (most recent call last):",
            )
            book.cry(
                63,
                out,
                "torch.distributed.elastic.rendezvous.api.RendezvousConnectionError: The connection to the C10d store has failed. See inner exception for details.",
            )
        else:
            book.mutter(
                605,
                out,
                'Traceback (most recent call last):\n  File "/opt/conda/lib/python3.11/site-packages/torch/distributed/elastic/rendezvous/dynamic_rendezvous.py", line 684, in run\n    raise RendezvousTimeoutError',
            )
            book.cry(605, out, "torch.distributed.elastic.rendezvous.api.RendezvousTimeoutError")
    return book.end(
        outcome=FAILED, root="cannot be retrieved", nodes=frozenset({"gpu-w2"}), stage=frozenset({"launch"}), last_iteration=None,
        last_durable=None, category=frozenset({"network", "platform"}), verdict=EXCLUDE | RESTART,
    )  # fmt: skip


def host_goes_silent(base: Path) -> Expected:
    """A host loses power: its console just ends; all others lose their connection to it, ten minutes later the rest times out."""
    book = Book(base)
    for n in range(6):
        out = f"console-h10{n}.log"
        book.at(
            0,
            out,
            f"{elastic(0, 'W')} torch/distributed/run.py:779] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default",
        )
        for local in range(4):
            rank = 4 * n + local
            book.at(
                10,
                out,
                f"[default{local}]:h10{n}:{500 + local}:{500 + local} [{local}] NCCL INFO comm 0x7f{rank:04x} rank {rank} nranks 24 cudaDev {local} nvmlDev {local} busId {local + 1}b000 commId 0xab - Init COMPLETE",
            )
        t = 30.0
        for step in range(1, 64 if n == 3 else 65):
            t += 5
            for local in range(4):
                book.at(t + 0.01 * local, out, f"[default{local}]:{titan(t, step)}")
        if n == 3:
            continue
        for local in range(4):
            rank = 4 * n + local
            d = t + 602 + 0.1 * rank
            work = "WorkNCCL(SeqNum=1201, OpType=_REDUCE_SCATTER_BASE, NumelIn=55574528, NumelOut=2315605, Timeout(ms)=600000)"
            book.cry(
                d,
                out,
                f"[default{local}]:[rank{rank}]:[{c10d(d)} ProcessGroupNCCL.cpp:629] [Rank {rank}] Watchdog caught collective operation timeout: {work} ran for 600031 milliseconds before timing out.",
            )
            book.cry(
                d + 60,
                out,
                f"[default{local}]:[rank{rank}]:[{c10d(d + 60)} ProcessGroupNCCL.cpp:1788] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Process group watchdog thread terminated with exception: [Rank {rank}] Watchdog caught collective operation timeout: {work} ran for 600031 milliseconds before timing out.",
            )
        torchrun_down(
            book, t + 665 + n, out, f"h10{n}", (4 * n, 0, -6, 500), [501, 502, 503], script="train.py"
        )
    return book.end(
        outcome=frozenset({"failed", "hung"}), root="Watchdog caught collective operation timeout", nodes=frozenset({"h103"}), ranks=frozenset({12, 13, 14, 15}),
        stage=frozenset({"iterate"}), last_iteration=64, last_durable=None, category=frozenset({"hardware.host"}), verdict=EXCLUDE, min_f1=0.9,
    )  # fmt: skip


def driver_on_one_node(base: Path) -> Expected:
    """One node came back from maintenance with an old driver: its ranks fail at once, the others wait."""
    book = Book(base)
    for n in range(4):
        out = f"torchrun_n{n}_gpu{n + 40}.log"
        book.at(
            0,
            out,
            f"{elastic(0, 'W')} torch/distributed/run.py:779] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default",
        )
        for local in range(4):
            rank = 4 * n + local
            book.at(
                4,
                out,
                f"[default{local}]:{comma(4)} INFO main: rank {rank} of 16, host gpu{n + 40}, torch 2.6.0+cu126",
            )
            if n == 1:
                for kind, line in (
                    ("mutter", "Traceback (most recent call last):"),
                    ("mutter", '  File "/app/train.py", line 31, in setup'),
                    ("mutter", "    torch.cuda.set_device(local_rank)"),
                    (
                        "cry",
                        "RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx",
                    ),
                ):
                    book.at(5, out, f"[default{local}]:[rank{rank}]: {line}", kind)
        if n == 1:
            torchrun_down(book, 7, out, "gpu41", (4, 0, 1, 900), [901, 902, 903], script="train.py")
        else:
            for local in range(4):
                rank = 4 * n + local
                book.mutter(9, out, f"[default{local}]:[rank{rank}]: Traceback (most recent call last):")
                book.cry(
                    9,
                    out,
                    f"[default{local}]:[rank{rank}]: torch.distributed.DistBackendError: [{rank}] is setting up NCCL communicator and retrieving ncclUniqueId from [0] via c10d key-value store by key '0', but store->get('0') got error: Connection reset by peer",
                )
            torchrun_down(
                book, 11, out, f"gpu{n + 40}", (4 * n, 0, 1, 700), [701, 702, 703], script="train.py"
            )
    return book.end(
        outcome=FAILED, root="driver on your system is too old", nodes=frozenset({"gpu41"}), ranks=frozenset({4, 5, 6, 7}), stage=frozenset({"launch", "init"}),
        last_iteration=None, last_durable=None, category=frozenset({"platform"}), verdict=EXCLUDE, min_f1=0.9,
    )  # fmt: skip


ALL = (
    restarts_console,
    restarts_tree_recovers,
    accelerate_gpu_oom,
    port_in_use,
    dns_one_node,
    host_goes_silent,
    driver_on_one_node,
)
