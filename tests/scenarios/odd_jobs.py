# ruff: noqa: E501 - lines of logs are quoted as they are
"""Jobs that hang, crawl or end in ways that no exception tells."""

from __future__ import annotations

from pathlib import Path

from scenarios import Expected, Log, told
from scenarios.clock import Clock
from scenarios.start_faults import EMPTY
from scenarios.torch_parts import agent_ends, opening, traceback
from scenarios.user_faults import FAILED, PIDS, SITE, STOP, TRAIN, batches


def one_rank_crawls(base: Path) -> Expected:
    """From step 200 on rank 13 needs nine times as long to compute; all the others wait for it in the all-reduce."""
    clock = Clock()
    logs = [Log(base, f"node{n}.log") for n in range(2)]
    for step in range(1, 301):
        slow = step > 200
        clock.tick(9.3 if slow else 1.1)
        for rank in range(16):
            compute = 9.1 if slow and rank == 13 else 0.92
            logs[rank // 8].say(
                f"[rank{rank}]: {clock.millis} INFO step={step} loss={4 - step / 200:.3f} compute_s={compute:.2f}"
                f" comm_s={0.11 if rank == 13 or not slow else 8.31:.2f}"
            )
    told(logs)
    return Expected(
        frozenset({"slow"}),
        root="step=201 ",
        nodes=frozenset({"node1"}),
        ranks=frozenset({13}),
        stage=frozenset({"iterate"}),
        last_iteration=300,
        verdict=frozenset({"restart_excluding"}),
    )


def silent_stop(base: Path) -> Expected:
    """The counter stops at 400; only a monitor writes on for an hour."""
    log, clock = Log(base, "train.log"), Clock()
    opening(log, clock)
    batches(log, clock, 10, 400)
    for minute in range(60):
        clock.tick(60)
        log.say(f"[{clock.iso}] monitor: gpu util 100 % 100 % 100 % 100 %, mem 71 GiB, {minute} requests")
    log.save()
    return Expected(
        frozenset({"hung"}),
        nodes=EMPTY,
        stage=frozenset({"iterate"}),
        last_iteration=400,
        verdict=frozenset({"restart", "unknown"}),
        lines=frozenset(),
    )


def raises_in_the_second_epoch(base: Path) -> Expected:
    """A division by zero in epoch 2, after the first epoch went to its end."""
    log, clock = Log(base, "train.log"), Clock()
    opening(log, clock)
    batches(log, clock, 10, 1000)
    log.say(f"[{clock.iso}] Epoch 1 done, val loss 2.81, saved /ckpt/epoch_1.pt")
    batches(log, clock, 10, 520, epoch=2)
    traceback(
        log,
        ((TRAIN, 311, "<module>", "main()"), ("/workspace/llm/mix.py", 40, "weights", "return n / total")),
        "ZeroDivisionError: division by zero",
        prefix="[rank1]: ",
    )
    agent_ends(log, clock, host="gpu-a1", first_rank=0, pids=PIDS, dead=[1])
    lines, either = told([log])
    return Expected(
        FAILED,
        root="ZeroDivisionError",
        ranks=frozenset({1}),
        stage=frozenset({"iterate"}),
        category=frozenset({"user.code"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def interrupted_by_hand(base: Path) -> Expected:
    """Ctrl-C in the terminal: all ranks raise KeyboardInterrupt; nobody is to blame."""
    log, clock = Log(base, "train.log"), Clock()
    opening(log, clock)
    batches(log, clock, 10, 310)
    log.cry(f"W{clock.glog[:-3]}000 140217 torch/distributed/elastic/agent/server/api.py:704] Received 2 death signal,"
            " shutting down workers")  # fmt: skip
    for pid in PIDS:
        log.cry(f"W{clock.glog[:-3]}000 140217 torch/distributed/elastic/multiprocessing/api.py:900] Sending process"
                f" {pid} closing signal SIGINT")  # fmt: skip
    for rank in range(8):
        traceback(
            log,
            ((TRAIN, 238, "train_step", "logits = model(batch)"),),
            "KeyboardInterrupt",
            prefix=f"[rank{rank}]: ",
        )
    log.say("Traceback (most recent call last):", '  File "/opt/venv/bin/torchrun", line 8, in <module>')
    log.cry("torch.distributed.elastic.multiprocessing.api.SignalException: Process 4000 got signal: 2")
    lines, either = told([log])
    return Expected(
        FAILED,
        root="",
        nodes=EMPTY,
        ranks=frozenset(),
        stage=frozenset({"iterate"}),
        last_iteration=310,
        category=frozenset({"preemption"}),
        verdict=frozenset({"restart"}),
        lines=lines,
        either=either,
    )


def grad_norm_explodes(base: Path) -> Expected:
    """The loss becomes nan at step 640 and stays so; the user's guard stops the run at 645."""
    log, clock = Log(base, "train.log"), Clock()
    for step in range(1, 646):
        clock.tick(2)
        bad = step >= 640
        norm, loss = ("inf" if step == 640 else "nan", "nan") if bad else ("0.7", f"{4 - step / 300:.3f}")
        (log.cry if bad else log.say)(
            f"{clock.millis} | INFO | step {step}/2000 | loss {loss} | grad_norm {norm}"
        )
        if step % 200 == 0:
            log.say(f"{clock.millis} | INFO | saved checkpoint /ck/step_{step}")
    log.cry(f"{clock.millis} | ERROR | 6 steps in a row without a finite loss, stopping")
    lines, either = told([log])
    return Expected(
        FAILED,
        root="step 640/2000",
        nodes=EMPTY,
        stage=frozenset({"iterate"}),
        last_iteration=645,
        last_durable=600,
        category=frozenset({"numeric"}),
        verdict=frozenset({"resume_older_checkpoint"}),
        lines=lines,
        either=either,
    )


def loguru_caught(base: Path) -> Expected:
    """Metrics as JSON, the counter resumed at 4001; loguru draws the traceback."""
    log, clock = Log(base, "train.jsonl"), Clock()
    log.say(
        f"{clock.iso}.120 | INFO     | __main__:main:61 - resuming from /ckpt/x/step_4000.pt at step 4000"
    )
    log.say(
        f"{clock.tick(20).iso}.410 | SUCCESS  | __main__:main:66 - checkpoint loaded from /ckpt/x/step_4000.pt"
    )
    for step in range(4001, 4200):
        clock.tick(1.5)
        log.say(
            f'{{"ts": "{clock.zulu}", "level": "info", "step": {step}, "loss": {2.3 - step / 90000:.4f},'
            f' "grad_norm": 0.71, "tokens": {step * 4096}, "errors": 0}}'
        )
    clock.tick(0.7)
    log.cry(
        f"{clock.iso}.903 | ERROR    | __main__:<module>:90 - An error has been caught in function '<module>', process"
        " 'MainProcess' (4021), thread 'MainThread' (140217):"
    )
    log.say("Traceback (most recent call last):", "")
    log.say(
        '> File "/workspace/llm/pretrain.py", line 90, in <module>',
        "    main()",
        "    └ <function main at 0x7f1>",
        "",
    )
    log.say(
        '  File "/workspace/llm/model.py", line 44, in forward',
        "    return x @ self.w",
        "           │   │    └ Parameter",
    )
    log.cry("", "RuntimeError: mat1 and mat2 shapes cannot be multiplied (4096x5120 and 4096x4096)")
    log.bad.discard((log.name, len(log.text) - 1))
    lines, either = told([log])
    return Expected(
        FAILED,
        root="",
        stage=frozenset({"iterate"}),
        last_iteration=4199,
        last_durable=4000,
        category=frozenset({"user.code"}),
        verdict=STOP,
        lines=lines,
        either=either,
        min_f1=0.6,
    )


def long_message(base: Path) -> Expected:
    """An exception whose message is a page: only its head is an exception line."""
    log, clock = Log(base, "train.log"), Clock()
    opening(log, clock)
    log.say(f"[{clock.iso}] Building dataset from /data/mix.yaml")
    clock.tick(3)
    traceback(
        log,
        (
            (TRAIN, 311, "<module>", "main()"),
            ("/workspace/llm/config.py", 71, "check", "raise ValueError(report)"),
        ),
        "ValueError: 2 problems in /data/mix.yaml:",
        prefix="[rank0]: ",
    )
    log.mutter(
        "[rank0]: - weights sum to 1.25, must be 1.0",
        "[rank0]: - source 'code' has no path",
        "[rank0]: Fix the file and start again.",
    )
    agent_ends(log, clock, host="gpu-a1", first_rank=0, pids=PIDS, dead=[0])
    lines, either = told([log])
    return Expected(
        FAILED,
        root="ValueError: 2 problems",
        stage=frozenset({"load", "init"}),
        last_iteration=None,
        last_durable=None,
        category=frozenset({"user.code", "user.config"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def disk_full_while_saving(base: Path) -> Expected:
    """torch.save meets a full disk at step 1500; 1000 is safe."""
    log, clock = Log(base, "train.log"), Clock()
    opening(log, clock)
    for step in range(10, 1501, 10):
        clock.tick(4)
        log.say(f"[{clock.iso}] step {step} | loss {4 - step / 800:.3f} | 0.41 s/step")
        if step == 500 or step == 1000:
            log.say(f"[{clock.iso}] Saving checkpoint to /scratch/ck/step_{step}.pt")
            log.say(f"[{clock.tick(20).iso}] Checkpoint saved: /scratch/ck/step_{step}.pt")
    log.say(f"[{clock.iso}] Saving checkpoint to /scratch/ck/step_1500.pt")
    clock.tick(9)
    p = "[rank0]: "
    frames = (
        (f"{SITE}/torch/serialization.py", 967, "save", "_save(obj, opened_zipfile)"),
        (f"{SITE}/torch/serialization.py", 1268, "_save", "zip_file.write_record(name, storage, num_bytes)"),
    )
    traceback(log, frames, "OSError: [Errno 28] No space left on device", prefix=p)
    log.say(p, p + "During handling of the above exception, another exception occurred:", p)
    frames = (
        (TRAIN, 311, "<module>", "main()"),
        (TRAIN, 201, "save_checkpoint", "torch.save(state, path)"),
        (f"{SITE}/torch/serialization.py", 798, "__exit__", "self.file_like.write_end_of_file()"),
    )
    traceback(
        log,
        frames,
        "RuntimeError: [enforce fail at inline_container.cc:659] . unexpected pos 5120 vs 5014",
        prefix=p,
    )
    agent_ends(log, clock, host="gpu-a1", first_rank=0, pids=PIDS, dead=[0])
    lines, either = told([log])
    return Expected(
        FAILED,
        root="No space left",
        stage=frozenset({"checkpoint"}),
        last_iteration=1500,
        last_durable=1000,
        category=frozenset({"storage"}),
        lines=lines,
        either=either,
    )


ALL = (
    one_rank_crawls,
    silent_stop,
    raises_in_the_second_epoch,
    interrupted_by_hand,
    grad_norm_explodes,
    loguru_caught,
    long_message,
    disk_full_while_saving,
)
