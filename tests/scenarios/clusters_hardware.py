"""Broken devices, links and file systems, with the kernel's own log beside the training logs."""

# ruff: noqa: E501  (a line of a log stays one line)
from __future__ import annotations

from pathlib import Path

from scenarios import Expected
from scenarios.clusters_book import (
    EXCLUDE,
    FAILED,
    FINISHED,
    NOBODY,
    Book,
    c10d,
    comma,
    elastic,
    healthy,
    megatron,
    syslog,
    torchrun_down,
    when,
)

HOSTS = ("dgx-011", "dgx-012", "dgx-013", "dgx-014")
IB = {host: f"10.20.0.{11 + i}" for i, host in enumerate(HOSTS)}


def _console(host: str) -> str:
    return f"logs/{host}/console.log"


def _start(book: Book) -> None:
    for n, host in enumerate(HOSTS):
        out = _console(host)
        book.at(
            0,
            out,
            f"{elastic(0, 'W')} torch/distributed/run.py:792] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default, to avoid your system being overloaded",
        )
        for dev in range(4):
            rank = 4 * n + dev
            book.at(
                12,
                out,
                f"{host}:{700 + dev}:{700 + dev} [{dev}] NCCL INFO Bootstrap : Using bond0:{IB[host]}<0>\n{host}:{700 + dev}:{790 + dev} [{dev}] NCCL INFO NET/IB : Using [0]mlx5_0:1/IB [1]mlx5_1:1/IB [RO]; OOB bond0:{IB[host]}<0>",
            )
            book.at(
                14,
                out,
                f"{host}:{700 + dev}:{790 + dev} [{dev}] NCCL INFO comm 0x7f31{rank:04x} rank {rank} nranks 16 cudaDev {dev} nvmlDev {dev} busId {(0x1B, 0x43, 0x9D, 0xDF)[dev]:x}000 commId 0x8812 - Init COMPLETE",
            )


def _iterate(
    book: Book, first: int, last: int, t: float, total: int = 4000, every: float = 6.1, save: int = 50
) -> float:
    """Megatron: rank 15 reports, rank 0 saves."""
    for step in range(first, last + 1):
        t += every
        book.at(t, _console(HOSTS[3]), megatron(t, step, total, every))
        if step % save == 0:
            book.at(
                t + 0.1,
                _console(HOSTS[0]),
                f"saving checkpoint at iteration {step:7d} to /mnt/ckpt/llama in torch_dist format",
            )
            t += 11
            book.at(
                t,
                _console(HOSTS[0]),
                f"  successfully saved checkpoint from iteration {step:7d} to /mnt/ckpt/llama [ t 1/4, p 1/1 ]",
            )
    return t


def _kernel(book: Book, t: float, host: str, text: str, kind: str = "say") -> None:
    for line in text.split("\n"):
        book.at(t, f"syslog/{host}.messages", f"{syslog(t)} {host} kernel: {line}", kind)


def _quiet_kernel(book: Book, end: float) -> None:
    for host in HOSTS:
        for k in range(int(end) // 90):
            book.at(
                k * 90.0,
                f"syslog/{host}.messages",
                f"{syslog(k * 90.0)} {host} systemd[1]: Started Session {900 + k} of User root.\n{syslog(k * 90.0)} {host} dhclient[{1200 + k % 2}]: bound to 10.1.0.5 -- renewal in 43 seconds.",
            )


def _victims(book: Book, t: float, guilty: int, *, last_error: str) -> None:
    for n, host in enumerate(HOSTS):
        if n == guilty:
            continue
        out = _console(host)
        for dev in range(4):
            rank = 4 * n + dev
            d = t + 0.2 * rank
            book.cry(
                d,
                out,
                f"[rank{rank}]:[{c10d(d)} ProcessGroupNCCL.cpp:1899] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Process group watchdog thread terminated with exception: NCCL error: remote process exited or there was a network error, NCCL version 2.21.5",
            )
            book.mutter(
                d,
                out,
                "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.\nLast error:",
            )
            book.cry(d, out, last_error)
        torchrun_down(book, t + 5, out, host, (4 * n, 0, -6, 700), [701, 702, 703])


def xid79(base: Path) -> Expected:
    """A GPU falls off the bus of dgx-013; its syslog says so, its rank dies of a CUDA error."""
    book = Book(base)
    _start(book)
    t = _iterate(book, 1001, 1121, 30)
    _quiet_kernel(book, t)
    _kernel(
        book,
        t + 1,
        HOSTS[2],
        "NVRM: Xid (PCI:0000:9d:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\nNVRM: GPU 0000:9d:00.0: GPU has fallen off the bus.",
        "cry",
    )
    _kernel(
        book,
        t + 1.1,
        HOSTS[2],
        "NVRM: A GPU crash dump has been created. If possible, please run\nNVRM: nvidia-bug-report.sh as root to collect this data before\nNVRM: the NVIDIA kernel module is unloaded.",
        "mutter",
    )
    _kernel(
        book,
        t + 1.2,
        HOSTS[2],
        "NVRM: Xid (PCI:0000:9d:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)",
        "cry",
    )
    out = _console(HOSTS[2])
    book.mutter(
        t + 3,
        out,
        '[rank10]: Traceback (most recent call last):\n[rank10]:   File "/workspace/pretrain.py", line 88, in <module>\n[rank10]:   File "/workspace/megatron/core/optimizer/clip_grads.py", line 55, in get_grad_norm_fp32',
    )
    book.cry(t + 3, out, "[rank10]: RuntimeError: CUDA error: unspecified launch failure")
    book.mutter(
        t + 3,
        out,
        "[rank10]: CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.\n[rank10]: For debugging consider passing CUDA_LAUNCH_BLOCKING=1\n[rank10]: Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.",
    )
    torchrun_down(book, t + 5, out, HOSTS[2], (10, 2, 1, 702), [700, 701, 703])
    _victims(book, t + 9, 2, last_error=f"socketProgress: Connection closed by remote peer dgx-013<{40122}>")
    return book.end(
        outcome=FAILED, root="Xid (PCI:0000:9d:00): 79", nodes=frozenset({"dgx-013"}), ranks=frozenset({10}), stage=frozenset({"iterate"}), last_iteration=1121,
        last_durable=1100, category=frozenset({"hardware.gpu"}), verdict=EXCLUDE, min_f1=0.9,
    )  # fmt: skip


def ecc(base: Path) -> Expected:
    """An uncorrectable ECC error on dgx-012's GPU 1 (rank 5), told by CUDA and by the kernel."""
    book = Book(base)
    _start(book)
    t = _iterate(book, 1, 77, 30)
    _quiet_kernel(book, t)
    _kernel(
        book,
        200,
        HOSTS[0],
        "NVRM: Xid (PCI:0000:1b:00): 63, pid=1180, name=python, Row Remapper: New row marked for remapping, reset gpu to activate.",
    )
    _kernel(
        book,
        t + 1,
        HOSTS[1],
        "NVRM: Xid (PCI:0000:43:00): 48, pid=701, name=python, DBE (Double Bit Error) ECC Error at (rank 0x2, subpartition 0x1)\nNVRM: Xid (PCI:0000:43:00): 63, pid=701, name=python, Row Remapper: New row marked for remapping, reset gpu to activate.\nNVRM: Xid (PCI:0000:43:00): 94, pid=701, name=python, Contained: SM (0x1). RST: No, D-RST: No",
        "cry",
    )
    out = _console(HOSTS[1])
    book.mutter(t + 2, out, "[rank5]: Traceback (most recent call last):")
    book.cry(t + 2, out, "[rank5]: torch.AcceleratorError: CUDA error: uncorrectable ECC error encountered")
    torchrun_down(book, t + 4, out, HOSTS[1], (5, 1, 1, 701), [700, 702, 703])
    _victims(book, t + 8, 1, last_error="socketProgress: Connection closed by remote peer dgx-012<40122>")
    return book.end(
        outcome=FAILED, root="ECC", nodes=frozenset({"dgx-012"}), ranks=frozenset({5}), stage=frozenset({"iterate"}), last_iteration=77, last_durable=50,
        category=frozenset({"hardware.gpu", "hardware.memory"}), verdict=EXCLUDE, min_f1=0.9,
    )  # fmt: skip


def ib_retry_exceeded(base: Path) -> Expected:
    """dgx-014's adapter is dead: all who talk to it report status 12 and its address."""
    book = Book(base)
    _start(book)
    t = _iterate(book, 1, 38, 30)
    for n in (0, 1, 2):
        out = _console(HOSTS[n])
        for dev in range(4):
            rank = 4 * n + dev
            book.cry(
                t + 20 + rank * 0.1,
                out,
                f"{HOSTS[n]}:{700 + dev}:{850 + dev} [{dev}] transport/net_ib.cc:2054 NCCL WARN NET/IB : Got completion from peer {IB[HOSTS[3]]}<{38000 + rank}> with status=12 opcode=0 len=0 vendor err 129 (Send) localGid fe80::bace:f603:{n}:1 remoteGidsfe80::bace:f603:3:1 hca mlx5_0",
            )
            book.mutter(
                t + 20 + rank * 0.1,
                out,
                f"{HOSTS[n]}:{700 + dev}:{850 + dev} [{dev}] NCCL INFO transport/net.cc:1302 -> 6\n{HOSTS[n]}:{700 + dev}:{850 + dev} [{dev}] NCCL INFO proxy.cc:698 -> 6\n{HOSTS[n]}:{700 + dev}:{850 + dev} [{dev}] NCCL INFO proxy.cc:878 -> 6 [Progress Thread]",
            )
            d = t + 22 + rank * 0.1
            book.cry(
                d,
                out,
                f"[rank{rank}]:[{c10d(d)} ProcessGroupNCCL.cpp:1899] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Process group watchdog thread terminated with exception: NCCL error: remote process exited or there was a network error, NCCL version 2.21.5",
            )
        torchrun_down(book, t + 26, out, HOSTS[n], (4 * n, 0, -6, 700), [701, 702, 703])
    return book.end(
        outcome=FAILED, root="status=12", nodes=frozenset({"dgx-014"}), stage=frozenset({"iterate"}), last_iteration=38, last_durable=None,
        category=frozenset({"network", "hardware.host"}), verdict=EXCLUDE, min_f1=0.9,
    )  # fmt: skip


def nic_flap_recovers(base: Path) -> Expected:
    """A link goes down and up; ranks retry, one iteration is slow, the job finishes."""
    book = Book(base)
    _start(book)
    t = _iterate(book, 1, 60, 30, total=120)
    _kernel(
        book,
        t + 1,
        HOSTS[1],
        "mlx5_core 0000:9f:00.0 ibp159s0: Link down\nmlx5_core 0000:9f:00.0: Port module event: module 0, Cable unplugged",
    )
    book.at(
        t + 2,
        _console(HOSTS[1]),
        "dgx-012:701:851 [1] transport/net_ib.cc:213 NCCL WARN NET/IB : mlx5_1:1 Got async event : port error",
    )
    _kernel(
        book,
        t + 14,
        HOSTS[1],
        "mlx5_core 0000:9f:00.0: Port module event: module 0, Cable plugged\nmlx5_core 0000:9f:00.0 ibp159s0: Link up\nIPv6: ADDRCONF(NETDEV_CHANGE): ibp159s0: link becomes ready",
    )
    book.at(
        t + 14,
        _console(HOSTS[1]),
        "dgx-012:701:851 [1] transport/net_ib.cc:213 NCCL WARN NET/IB : mlx5_1:1 Got async event : port active",
    )
    t = _iterate(book, 61, 120, t + 20, total=120)
    _quiet_kernel(book, t)
    book.at(t + 3, _console(HOSTS[0]), f"[after training is done] datetime: {when(t + 3):%Y-%m-%d %H:%M:%S} ")
    return book.end(outcome=FINISHED, last_iteration=120, last_durable=100, **healthy())


def nfs_pauses(base: Path) -> Expected:
    """The file server does not answer for three minutes, then does; training goes on, the log ends while it runs."""
    book = Book(base)
    _start(book)
    t = _iterate(book, 1, 52, 30)
    for host in HOSTS:
        _kernel(book, t + 10, host, "nfs: server nas-3.cluster not responding, still trying")
        _kernel(book, t + 190, host, "nfs: server nas-3.cluster OK")
    _kernel(
        book,
        t + 150,
        HOSTS[0],
        'INFO: task python:11802 blocked for more than 122 seconds.\n      Tainted: P           OE      6.8.0-52-generic #53-Ubuntu\n"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.',
    )
    t = _iterate(book, 53, 110, t + 195)
    _quiet_kernel(book, t)
    return book.end(
        outcome=frozenset({"running"}),
        last_iteration=110,
        last_durable=100,
        stage=frozenset({"iterate"}),
        **healthy(),
    )


def nfs_stays_away(base: Path) -> Expected:
    """dgx-011's mount hangs during a save and never answers again; nothing else is said."""
    book = Book(base)
    _start(book)
    t = _iterate(book, 1, 99, 30)
    t += 6.1
    book.at(t, _console(HOSTS[3]), megatron(t, 100, 4000, 6.1))
    book.at(
        t + 0.1,
        _console(HOSTS[0]),
        "saving checkpoint at iteration     100 to /mnt/ckpt/llama in torch_dist format",
    )
    _quiet_kernel(book, t + 1800)
    _kernel(book, t + 60, HOSTS[0], "nfs: server nas-3.cluster not responding, still trying", "cry")
    for k in range(1, 6):
        _kernel(
            book,
            t + 122 * k,
            HOSTS[0],
            f"INFO: task python:11802 blocked for more than {122 * k} seconds.",
            "cry",
        )
        _kernel(
            book,
            t + 122 * k,
            HOSTS[0],
            '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.',
            "mutter",
        )
    return book.end(
        outcome=frozenset({"hung", "failed"}), root="not responding", nodes=frozenset({"dgx-011"}), stage=frozenset({"checkpoint"}), last_iteration=100, last_durable=50,
        category=frozenset({"storage"}),
    )  # fmt: skip


def stale_handle(base: Path) -> Expected:
    """One node's mount is stale: its loader fails while the others go on until the next collective."""
    book = Book(base)
    _start(book)
    t = _iterate(book, 1, 141, 30)
    out = _console(HOSTS[1])
    for line in (
        "Traceback (most recent call last):",
        '  File "/workspace/pretrain.py", line 204, in <module>',
        '  File "/workspace/megatron/training/training.py", line 1410, in train_step',
        '  File "/workspace/megatron/core/datasets/indexed_dataset.py", line 712, in get',
        "    sequence = self.bin_reader.read(",
    ):
        book.mutter(t + 2, out, f"[rank7]: {line}")
    book.cry(t + 2, out, "[rank7]: OSError: [Errno 116] Stale file handle: '/mnt/data/pile/shard_0031.bin'")
    torchrun_down(book, t + 4, out, HOSTS[1], (7, 3, 1, 703), [700, 701, 702])
    _victims(book, t + 9, 1, last_error="socketProgress: Connection closed by remote peer dgx-012<40122>")
    return book.end(
        outcome=FAILED, root="Stale file handle", nodes=frozenset({"dgx-012"}), ranks=frozenset({7}), stage=frozenset({"iterate"}), last_iteration=141, last_durable=100,
        category=frozenset({"storage"}), verdict=EXCLUDE, min_f1=0.9,
    )  # fmt: skip


def corrupt_checkpoint(base: Path) -> Expected:
    """Resume from a torn checkpoint: all ranks of the node that reads the bad shard fail before the first iteration."""
    book = Book(base)
    _start(book)
    book.at(40, _console(HOSTS[0]), " loading checkpoint from /mnt/ckpt/llama at iteration 1500")
    for n, host in enumerate(HOSTS):
        out = _console(host)
        for dev in range(4):
            rank = 4 * n + dev
            for line in (
                "Traceback (most recent call last):",
                '  File "/workspace/megatron/training/checkpointing.py", line 1284, in load_checkpoint',
                "    state_dict, checkpoint_name, release, ckpt_type = _load_base_checkpoint(",
                '  File "/opt/conda/lib/python3.11/site-packages/torch/serialization.py", line 1326, in load',
                "    with _open_zipfile_reader(opened_file) as opened_zipfile:",
            ):
                book.mutter(44, out, f"[rank{rank}]: {line}")
            book.cry(
                44,
                out,
                f"[rank{rank}]: RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory",
            )
        torchrun_down(book, 48, out, host, (4 * n, 0, 1, 700), [701, 702, 703])
    return book.end(
        outcome=FAILED, root="failed finding central directory", nodes=NOBODY, ranks=NOBODY, stage=frozenset({"checkpoint"}), last_iteration=None,
        category=frozenset({"storage"}), verdict=frozenset({"resume_older_checkpoint"}), min_f1=0.9,
    )  # fmt: skip


def machine_check(base: Path) -> Expected:
    """A host dies of a machine check; its console ends, only its serial console tells why."""
    book = Book(base)
    _start(book)
    t = _iterate(book, 1, 66, 30)
    _quiet_kernel(book, t)
    _kernel(
        book,
        t + 0.5,
        HOSTS[1],
        "mce: [Hardware Error]: CPU 47: Machine Check Exception: 5 Bank 7: be00000000800400\nmce: [Hardware Error]: TSC 0 ADDR 3f1a2c40 MISC 86\nmce: [Hardware Error]: Some CPUs didn't answer in synchronization\nKernel panic - not syncing: Fatal machine check",
        "cry",
    )
    _victims(book, t + 120, 1, last_error="socketProgress: Connection closed by remote peer dgx-012<40122>")
    return book.end(
        outcome=FAILED, root="Hardware Error", nodes=frozenset({"dgx-012"}), stage=frozenset({"iterate"}), last_iteration=66, last_durable=50,
        category=frozenset({"hardware.host", "hardware.memory"}), verdict=EXCLUDE, min_f1=0.9,
    )  # fmt: skip


def straggler(base: Path) -> Expected:
    """After iteration 80 all iterations take six times as long and the log ends: slow, still running."""
    book = Book(base)
    _start(book)
    t = _iterate(book, 1, 80, 30)
    t = _iterate(book, 81, 120, t, every=38.0)
    _kernel(
        book, 520, HOSTS[1], "nvidia 0000:43:00.0: HW Slowdown: power brake; GPU clocks limited", "mutter"
    )
    book.at(t + 1, _console(HOSTS[2]), f"{comma(t + 1)} INFO dataloader queue 16/16")
    return book.end(
        outcome=frozenset({"slow"}),
        root=None,
        last_iteration=120,
        last_durable=100,
        stage=frozenset({"iterate"}),
    )


ALL = (
    xid79, ecc, ib_retry_exceeded, nic_flap_recovers, nfs_pauses, nfs_stays_away, stale_handle, corrupt_checkpoint,
    machine_check, straggler,
)  # fmt: skip
