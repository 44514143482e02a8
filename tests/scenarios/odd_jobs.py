"""Jobs that hang, crawl or end in ways that no exception tells."""

from __future__ import annotations

from pathlib import Path

from scenarios import Expected, Log, told
from scenarios.clock import Clock
from scenarios.start_faults import EMPTY
from scenarios.torch_parts import agent_ends, opening, traceback
from scenarios.user_faults import FAILED, PIDS, STOP, TRAIN, batches


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


ALL = (one_rank_crawls, silent_stop, raises_in_the_second_epoch, interrupted_by_hand, grad_norm_explodes)
