# ruff: noqa: E501 - lines of logs are quoted as they are
"""Faults of the program itself, seen through home-made training loops and torchrun."""

from __future__ import annotations

from pathlib import Path

from scenarios import Expected, Log, told
from scenarios.clock import Clock
from scenarios.torch_parts import advice, agent_ends, opening, traceback, watchdog_timeout

FAILED = frozenset({"failed"})
STOP = frozenset({"stop"})
PIDS = tuple(range(4021, 4029))
TRAIN = "/workspace/llm/pretrain.py"
SITE = "/opt/venv/lib/python3.11/site-packages"


def batches(
    log: Log, clock: Clock, first: int, last: int, *, epoch: int = 1, total: int = 1000, every: int = 10
) -> None:
    """Write the lines of a home-made loop."""
    for step in range(first, last + 1, every):
        clock.tick(4.1)
        log.say(f"[{clock.iso}] Epoch {epoch} Batch {step}/{total} loss {3.9 - step * 0.0007:.4f} lr 3.0e-04")


def loader_worker_raises(base: Path) -> Expected:
    """A record lacks a field: one rank's loader worker raises, torchrun ends the rest."""
    log, clock = Log(base, "train.log"), Clock()
    opening(log, clock)
    batches(log, clock, 10, 470)
    clock.tick(2)
    p = "[rank5]: "
    worker = (
        (f"{SITE}/torch/utils/data/_utils/worker.py", 351, "_worker_loop", "data = fetcher.fetch(index)"),
        (
            f"{SITE}/torch/utils/data/_utils/fetch.py",
            52,
            "fetch",
            "data = [self.dataset[idx] for idx in possibly]",
        ),
        ("/workspace/llm/data.py", 88, "__getitem__", "return self.encode(row['input_ids'])"),
    )
    frames = (
        (TRAIN, 311, "<module>", "main()"),
        (f"{SITE}/torch/utils/data/dataloader.py", 1465, "_next_data", "return self._process_data(data)"),
        (f"{SITE}/torch/_utils.py", 733, "reraise", "raise exception"),
    )
    traceback(log, frames, "KeyError: Caught KeyError in DataLoader worker process 3.", prefix=p)
    log.say(p + "Original Traceback (most recent call last):")
    for file, line, function, source in worker:
        log.say(f'{p}  File "{file}", line {line}, in {function}', f"{p}    {source}")
    log.cry(p + "KeyError: 'input_ids'")
    agent_ends(log, clock, host="gpu-a1.cluster", first_rank=0, pids=PIDS, dead=[5])
    lines, either = told([log])
    return Expected(
        FAILED,
        root="KeyError",
        ranks=frozenset({5}),
        stage=frozenset({"iterate"}),
        last_iteration=470,
        last_durable=None,
        category=frozenset({"user.code", "data"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def out_of_memory_everywhere(base: Path) -> Expected:
    """The batch is too big: all ranks of both nodes run out of GPU memory in the first step."""
    logs = []
    for node in range(2):
        for local in range(8):
            rank, clock = node * 8 + local, Clock()
            log = Log(base, f"gpu-b{node}/attempt_0/{local}/stderr.log")
            clock.tick(40 + 0.01 * rank)
            if rank == 0:
                log.say(f"[{clock.iso}] Starting training: 1000 steps, micro batch 16")
            clock.tick(6)
            traceback(
                log,
                (
                    (TRAIN, 311, "<module>", "main()"),
                    (TRAIN, 240, "train_step", "loss.backward()"),
                    (
                        f"{SITE}/torch/autograd/graph.py",
                        823,
                        "_engine_run_backward",
                        "return Variable.run(t)",
                    ),
                ),
                f"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 15.66 GiB. GPU {local} has a total"
                f" capacity of 79.11 GiB of which {3.1 + local / 10:.2f} GiB is free. Process {9000 + rank} has"
                " 75.40 GiB memory in use. Of the allocated memory 71.21 GiB is allocated by PyTorch, and 2.03 GiB is"
                " reserved by PyTorch but unallocated. If reserved but unallocated memory is large try setting"
                " PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.  See documentation for"
                " Memory Management  (https://pytorch.org/docs/stable/notes/cuda.html#environment-variables)",
                prefix=f"[rank{rank}]: ",
            )
            logs.append(log)
    lines, either = told(logs)
    return Expected(
        FAILED,
        root="CUDA out of memory",
        nodes=frozenset(),
        ranks=frozenset(),
        stage=frozenset({"iterate"}),
        last_iteration=None,
        last_durable=None,
        category=frozenset({"resource", "user.config"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def out_of_memory_on_one_rank(base: Path) -> Expected:
    """After hours one rank gets an unlucky batch; its peers wait ten minutes and time out."""
    log, clock = Log(base, "slurm-88123.out"), Clock()
    opening(log, clock)
    for step in range(100, 3001, 100):
        clock.tick(82)
        log.say(f"[{clock.iso}] step={step} loss={4 - step / 2000:.3f} tok/s=51200 mem=71.2G")
        if step % 1000 == 0:
            log.say(f"[{clock.iso}] Saving checkpoint to /ckpt/run7/step_{step}")
            clock.tick(9)
            log.say(f"[{clock.iso}] Saved checkpoint to /ckpt/run7/step_{step} in 9.02 s")
    clock.tick(31)
    traceback(
        log,
        ((TRAIN, 311, "<module>", "main()"), (TRAIN, 238, "train_step", "logits = model(batch)")),
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.25 GiB. GPU 6 has a total capacity of"
        " 79.11 GiB of which 1.10 GiB is free. Including non-PyTorch memory, this process has 78.00 GiB memory in use.",
        prefix="[rank6]: ",
    )
    agent_ends(log, clock, host="dgx-07", first_rank=0, pids=PIDS, dead=[6])
    lines, either = told([log])
    return Expected(
        FAILED,
        root="CUDA out of memory",
        ranks=frozenset({6}),
        stage=frozenset({"iterate"}),
        last_iteration=3000,
        last_durable=3000,
        category=frozenset({"resource"}),
        verdict=frozenset({"restart", "stop"}),
        lines=lines,
        either=either,
    )


def device_side_assert(base: Path) -> Expected:
    """A token id is outside the vocabulary on rank 2: many assertion lines, then an abort."""
    log, clock = Log(base, "train.log"), Clock()
    opening(log, clock)
    batches(log, clock, 10, 230)
    for thread in range(64):
        log.cry(
            "../aten/src/ATen/native/cuda/Indexing.cu:1422: indexSelectLargeIndex: block: "
            f"[143,0,0], thread: [{thread},0,0] Assertion `srcIndex < srcSelectDimSize` failed."
        )
    clock.tick(0.2)
    p = "[rank2]: "
    traceback(
        log,
        ((TRAIN, 311, "<module>", "main()"), (TRAIN, 238, "train_step", "hidden = self.embed(tokens)")),
        "RuntimeError: CUDA error: device-side assert triggered",
        prefix=p,
    )
    advice(log, p)
    log.cry(
        f"[rank2]:[E{clock.tick(0.1).c10d} ProcessGroupNCCL.cpp:1746] [PG ID 0 PG GUID 0(default_pg) Rank 2] Process"
        " group watchdog thread terminated with exception: CUDA error: device-side assert triggered"
    )
    advice(log)
    log.say(
        "",
        "Exception raised from c10_cuda_check_implementation at ../c10/cuda/CUDAException.cpp:43 (most recent call first):",
    )
    log.say(
        "frame #0: c10::Error::Error(c10::SourceLocation, std::string) + 0x96 (0x7f12ab in /opt/venv/libc10.so)"
    )
    log.cry("terminate called after throwing an instance of 'c10::DistBackendError'")
    log.cry("  what():  [PG ID 0 PG GUID 0(default_pg) Rank 2] Process group watchdog thread terminated with exception:"
            " CUDA error: device-side assert triggered")  # fmt: skip
    agent_ends(log, clock, host="gpu-a1", first_rank=0, pids=PIDS, dead=[2], exitcode=-6)
    lines, either = told([log])
    return Expected(
        FAILED,
        root="",
        ranks=frozenset({2}),
        stage=frozenset({"iterate"}),
        last_iteration=230,
        category=frozenset({"user.code", "data"}),
        verdict=STOP,
        lines=lines,
        either=either,
        min_f1=0.9,
    )


def illegal_access_and_late_victims(base: Path) -> Expected:
    """Rank 11 hits an illegal memory access; ten minutes later the watchdogs of the others cry."""
    logs = [Log(base, f"hgx-{n:02}.log") for n in range(2)]
    clock = Clock()
    for node, log in enumerate(logs):
        log.say(
            *(
                f"hgx-{node:02}:{7000 + node * 100 + r}:{7500 + r} [{r}] NCCL INFO comm 0x55d{r} rank {node * 8 + r} nranks"
                f" 16 cudaDev {r} busId {r}b000 - Init COMPLETE"
                for r in range(8)
            )
        )
    for step in range(1, 180):
        clock.tick(2.2)
        logs[0].say(f"{clock.millis} INFO trainer: step {step}/5000 | loss {5 - step / 100:.3f} | 2.20 s/it")
        if step % 60 == 0:
            logs[1].say(f"{clock.millis} INFO trainer: rank 8 heartbeat ok, data queue 12")
    clock.tick(1)
    frames = (
        (TRAIN, 311, "<module>", "main()"),
        (TRAIN, 239, "train_step", "loss = self.head(hidden).float()"),
    )
    traceback(
        logs[1],
        frames,
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        prefix="[rank11]: ",
    )
    advice(logs[1], "[rank11]: ")
    logs[1].cry(
        f"[rank11]:[E{clock.tick(0.2).c10d} ProcessGroupNCCL.cpp:1746] [PG ID 0 PG GUID 0(default_pg) Rank 11] Process"
        " group watchdog thread terminated with exception: CUDA error: an illegal memory access was encountered"
    )
    clock.tick(600)
    for rank in range(8):
        watchdog_timeout(logs[0], clock, rank, seq=5310)
    agent_ends(logs[0], clock, host="hgx-00", first_rank=0, pids=range(7000, 7008), dead=[4], exitcode=-6)
    agent_ends(logs[1], clock, host="hgx-01", first_rank=8, pids=range(7100, 7108), dead=[3], exitcode=-6)
    lines, either = told(logs)
    return Expected(
        FAILED,
        root="an illegal memory access was encountered",
        nodes=frozenset({"hgx-01"}),
        ranks=frozenset({11}),
        stage=frozenset({"iterate"}),
        last_iteration=179,
        last_durable=None,
        category=frozenset({"framework", "hardware.gpu", "user.code"}),
        lines=lines,
        either=either,
    )


def assertion_during_handling(base: Path) -> Expected:
    """An assertion of the user in an except block: the chain's last error is the outcome, its first the cause."""
    log, clock = Log(base, "run.log"), Clock()
    for step in range(50, 2001, 50):
        clock.tick(30)
        log.say(f"{clock.zulu} INFO step={step} loss={3 - step / 4000:.3f} grad_norm=0.81")
    clock.tick(11)
    log.say("Traceback (most recent call last):")
    log.say('  File "/workspace/llm/pretrain.py", line 130, in next_batch', "    shard = self.index[cursor]")
    log.cry("IndexError: list index out of range")
    log.say("", "During handling of the above exception, another exception occurred:", "")
    frames = (
        (TRAIN, 311, "<module>", "main()"),
        (TRAIN, 134, "next_batch", "assert self.loop, self.describe()"),
    )
    traceback(log, frames, "AssertionError: shard cursor 2048 is past the last shard (2047)")
    log.mutter(
        "shards seen:", "  - train-02046.tar", "  - train-02047.tar", "and the list is not set to loop"
    )
    log.cry("srun: error: node031: task 0: Exited with exit code 1")
    lines, either = told([log])
    return Expected(
        FAILED,
        root="Error",
        stage=frozenset({"iterate"}),
        last_iteration=2000,
        category=frozenset({"user.code", "data"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


ALL = (
    loader_worker_raises,
    out_of_memory_everywhere,
    out_of_memory_on_one_rank,
    device_side_assert,
    illegal_access_and_late_victims,
    assertion_during_handling,
)
