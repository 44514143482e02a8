# ruff: noqa: E501 - lines of logs are quoted as they are
"""Megatron-LM, NeMo, Lightning, DeepSpeed and Accelerate: their progress, checkpoints and numerics."""

from __future__ import annotations

from pathlib import Path

from scenarios import Expected, Log, told
from scenarios.clock import Clock
from scenarios.start_faults import EMPTY, NOBODY
from scenarios.torch_parts import agent_ends, traceback
from scenarios.user_faults import FAILED, PIDS, SITE, STOP, TRAIN

OLDER = frozenset({"resume_older_checkpoint"})


def megatron_line(clock: Clock, step: int, *, loss: bool = True, nan: int = 0, scale: float = 1.0) -> str:
    told_loss = f" lm loss: {11 - step / 200:.6E} |" if loss else ""
    norm = "nan" if nan else "0.812"
    return (
        f" [{clock.micros}] iteration {step:8}/  500000 | consumed samples: {step * 1024:12} | elapsed time per iteration"
        f" (ms): 1200.3 | throughput per GPU (TFLOP/s/GPU): 410.2 | learning rate: 1.5E-04 | global batch size:  1024 |"
        f"{told_loss} loss scale: {scale:.1f} | grad norm: {norm} | number of skipped iterations:   0 |"
        f" number of nan iterations:   {nan} |"
    )


def save(log: Log, clock: Clock, step: int) -> None:
    log.say(f"saving checkpoint at iteration {step:7} to /ckpt/gpt in torch_dist format")
    log.say(f"  successfully saved checkpoint from iteration {step:7} to /ckpt/gpt [ t 1/8, p 1/4 ]")
    clock.tick(6)


def nan_goes_on(base: Path) -> Expected:
    """From 812 on the loss is missing and each iteration is counted as nan; then somebody cancels the job."""
    log, clock = Log(base, "gpt.log"), Clock()
    for step in range(1, 841):
        clock.tick(1.2)
        line = megatron_line(clock, step, loss=step < 812, nan=int(step >= 812))
        (log.cry if step >= 812 else log.say)(line)
        if step % 400 == 0:
            save(log, clock, step)
    clock.tick(2)
    log.cry(
        f"slurmstepd: error: *** STEP 99.0 ON nid01 CANCELLED AT {clock.iso.replace(' ', 'T')} DUE to SIGNAL Terminated ***"
    )
    lines, either = told([log])
    return Expected(
        FAILED,
        root="iteration      812/",
        nodes=EMPTY,
        ranks=NOBODY,
        stage=frozenset({"iterate"}),
        last_iteration=840,
        last_durable=800,
        category=frozenset({"numeric"}),
        verdict=OLDER,
        lines=lines,
        either=either,
    )


def nan_on_a_named_rank(base: Path) -> Expected:
    """--check-for-nan-in-loss: the one rank that had it names itself and its node."""
    log, clock = Log(base, "gpt.log"), Clock()
    for step in range(10, 811, 10):
        clock.tick(12)
        log.say(megatron_line(clock, step))
        if step % 400 == 0:
            save(log, clock, step)
    clock.tick(3)
    traceback(
        log,
        (
            (
                "/opt/megatron/core/distributed/param_and_grad_buffer.py",
                150,
                "check_grads",
                "rerun.validate_result(",
            ),
        ),
        "RuntimeError: Rank 17, node pool0-0042, device 1, iteration 813: Unexpected result nan (message='found NaN in"
        " local grad norm for bucket #0 in backward pass before data-parallel communication collective')",
        prefix="[rank17]: ",
    )
    agent_ends(log, clock, host="pool0-0042", first_rank=16, pids=PIDS, dead=[1])
    lines, either = told([log])
    return Expected(
        FAILED,
        root="Unexpected result nan",
        nodes=frozenset({"pool0-0042"}),
        ranks=frozenset({17}),
        stage=frozenset({"iterate"}),
        last_iteration=810,
        last_durable=800,
        category=frozenset({"numeric"}),
        lines=lines,
        either=either,
    )


def silent_data_corruption(base: Path) -> Expected:
    """The rerun state machine computes the step again, gets another result, and names node and device."""
    log, clock = Log(base, "gpt.log"), Clock()
    log.say("WARNING:megatron.core.rerun_state_machine:Result validation enabled")
    for step in range(1, 1201):
        clock.tick(1.2)
        log.say(megatron_line(clock, step))
        if step % 400 == 0:
            save(log, clock, step)
    e, w = "ERROR:megatron.core.rerun_state_machine:", "WARNING:megatron.core.rerun_state_machine:"
    log.cry(f"{e}Unexpected result nan on rank 17 at iteration #1200 invocation #1 (message='loss is NaN')")
    log.mutter(f"{w}Need to rerun step to check reproducibility of initial result")
    clock.tick(1.3)
    who = "Rank 17, node pool0-0042, device 1, iteration #1200: "
    log.cry(
        f"{e}{who}First rerun: unexpected result is not reproducible within the tolerance (2.31 != nan)!",
        f"{e}{who}Possible transient error!!",
    )
    log.mutter(
        f"{w}Exiting now. A checkpoint at the last iteration is being saved if further examination is needed"
    )
    log.say("saving checkpoint at iteration    1200 to /ckpt/gpt in torch_dist format")
    log.say("  successfully saved checkpoint from iteration    1200 to /ckpt/gpt [ t 1/8, p 1/4 ]")
    log.cry("srun: error: pool0-0042: task 17: Exited with exit code 17")
    lines, either = told([log])
    return Expected(
        FAILED,
        root="iteration #1200",
        nodes=frozenset({"pool0-0042"}),
        ranks=frozenset({17}),
        stage=frozenset({"iterate"}),
        last_iteration=1200,
        last_durable=1200,
        category=frozenset({"hardware.gpu"}),
        verdict=frozenset({"restart_excluding"}),
        lines=lines,
        either=either,
        min_f1=0.85,
    )


def lightning_bar(base: Path) -> Expected:
    """One line of half a megabyte: the bar; the traceback begins where the bar stops."""
    log = Log(base, "lightning.log")
    log.say(
        "GPU available: True (cuda), used: True",
        "Initializing distributed: GLOBAL_RANK: 0, MEMBER: 1/4",
        "All distributed processes registered. Starting with 4 processes",
        "LOCAL_RANK: 0 - CUDA_VISIBLE_DEVICES: [0,1,2,3]",
        "The 'train_dataloader' does not have many workers which may be a bottleneck.",
    )
    bar = "\rSanity Checking DataLoader 0: 100%|██████████| 2/2 [00:01<00:00,  1.41it/s]\r" + " " * 70 + "\r"
    for step in range(1, 1235):
        bar += (
            f"\rEpoch 0:  {step // 100:>2}%|{'█' * (step // 1000):<10}| {step}/10000 [10:{step % 60:02}<1:12:20,  2.02it/s,"
            f" v_num=3, train_loss={3.1 - step / 4000:.3f}]"
        )
    log.say(bar + "Traceback (most recent call last):")
    log.say(f'  File "{TRAIN}", line 50, in <module>', "    trainer.fit(model, data)")
    log.say(f'  File "{SITE}/lightning/pytorch/loops/fit_loop.py", line 203, in run', "    self.advance()")
    log.cry("ValueError: Expected input batch_size (8) to match target batch_size (6).")
    log.mutter("Epoch 0:  12%|█▏        | 1234/10000 [10:34<1:15:06,  1.95it/s, v_num=3, train_loss=2.791]")
    lines, either = told([log])
    return Expected(
        FAILED,
        root="ValueError",
        stage=frozenset({"iterate"}),
        last_iteration=1234,
        category=frozenset({"user.code"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def nemo_async(base: Path) -> Expected:
    """NeMo 2: the save of step 600 was scheduled and never finalised when a rank met a bad sample."""
    log, clock = Log(base, "log-nemo_0.txt"), Clock()
    where = "/results/gpt/checkpoints/gpt--val_loss=2.31"
    for step in range(640):
        clock.tick(2.1)
        log.say(
            f"[NeMo I {clock.iso} nemo_logging:393] Training epoch 0, iteration {step}/9999 | lr: 1.5e-05 |"
            f" global_batch_size: 256 | global_step: {step} | reduced_train_loss: {9 - step / 100:.3f} |"
            " train_step_timing in s: 2.1 | consumed_samples: " + str((step + 1) * 256)
        )
        if step == 211:
            log.say(f"[NeMo I {clock.iso} nemo_logging:393] Async checkpoint save for step 200"
                    f" ({where}-step=199-consumed_samples=51200.0.ckpt) finalized successfully.")  # fmt: skip
        if step == 411:
            log.say(f"[NeMo I {clock.iso} nemo_logging:393] Async checkpoint save for step 400"
                    f" ({where}-step=399-consumed_samples=102400.0.ckpt) finalized successfully.")  # fmt: skip
        if step in (199, 399, 599):
            log.say(f"[NeMo I {clock.iso} nemo_logging:393] Scheduled async checkpoint save for"
                    f" {where}-step={step}-consumed_samples={(step + 1) * 256}.0.ckpt")  # fmt: skip
            log.say(f"Epoch 0, global step {step}: 'val_loss' reached 2.31 (best 2.31), saving model to"
                    f" '{where}-step={step}-consumed_samples={(step + 1) * 256}.0.ckpt' as top 10")  # fmt: skip
    clock.tick(1)
    traceback(
        log,
        ((f"{SITE}/nemo/collections/llm/gpt/data/core.py", 512, "__getitem__", "tokens = json.loads(line)"),),
        "json.decoder.JSONDecodeError: Expecting ',' delimiter: line 1 column 8120 (char 8119)",
        prefix="[rank3]: ",
    )
    log.cry("srun: error: eos0231: task 3: Exited with exit code 1")
    lines, either = told([log])
    return Expected(
        FAILED,
        root="JSONDecodeError",
        ranks=frozenset({3}),
        stage=frozenset({"iterate"}),
        last_iteration=640,
        last_durable=400,
        category=frozenset({"data"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def deepspeed_scale_exhausted(base: Path) -> Expected:
    """fp16: overflows at the start are usual; at step 900 every step overflows until the scale is at its minimum."""
    log, clock = Log(base, "ds.log"), Clock()
    head = "[INFO] [logging.py:107:log_dist] [Rank 0]"
    scale = 2**32
    for _ in range(16):
        clock.tick(1)
        log.say(
            f"[{clock.millis}] [INFO] [loss_scaler.py:190:update_scale] [deepspeed] OVERFLOW! Rank 0 Skipping step."
            f" Attempted loss scale: {scale}, reducing to {scale // 2}"
        )
        scale //= 2
    for step in range(20, 901, 10):
        clock.tick(10)
        log.say(f"[{clock.millis}] {head} step={step}, skipped=16, lr=[0.0003], mom=[(0.9, 0.95)]")
        if step % 300 == 0:
            log.say(f"[{clock.millis}] {head} [Torch] Checkpoint global_step{step} is about to be saved!")
            log.say(f"[{clock.tick(8).millis}] [INFO] [torch_checkpoint_engine.py:33:commit] [Torch] Checkpoint"
                    f" global_step{step} is ready now!")  # fmt: skip
    while scale > 1:
        clock.tick(1)
        log.mutter(
            f"[{clock.millis}] [INFO] [loss_scaler.py:190:update_scale] [deepspeed] OVERFLOW! Rank 0 Skipping step."
            f" Attempted loss scale: {scale}, reducing to {scale // 2}"
        )
        scale //= 2
    for rank in range(8):
        traceback(
            log,
            ((f"{SITE}/deepspeed/runtime/fp16/loss_scaler.py", 180, "update_scale", "raise Exception("),),
            "Exception: Current loss scale already at minimum - cannot decrease scale anymore. Exiting run.",
            prefix=f"[rank{rank}]: ",
        )
    for pid in PIDS:
        log.cry(f"[{clock.tick(0.1).millis}] [INFO] [launch.py:335:sigkill_handler] Killing subprocess {pid}")
    log.cry(
        f"[{clock.tick(1).millis}] [ERROR] [launch.py:341:sigkill_handler] ['/opt/venv/bin/python', '-u', 'sft.py',"
        " '--local_rank=7', '--deepspeed', 'ds.json'] exits with return code = 1"
    )
    lines, either = told([log])
    return Expected(
        FAILED,
        root="loss scale",
        nodes=EMPTY,
        ranks=NOBODY,
        stage=frozenset({"iterate"}),
        last_iteration=900,
        last_durable=900,
        category=frozenset({"numeric"}),
        verdict=OLDER,
        lines=lines,
        either=either,
    )


def deepspeed_killed_on_a_worker(base: Path) -> Expected:
    """pdsh: the kernel kills a rank of worker-1 for its memory; a minute later the others lose it."""
    log, clock = Log(base, "launch.log"), Clock()
    for worker in range(3):
        log.say(f"worker-{worker}: [{clock.millis}] [INFO] [launch.py:145:main] WORLD INFO DICT: {{'worker-0': [0, 1],"
                " 'worker-1': [0, 1], 'worker-2': [0, 1]}")  # fmt: skip
        log.say(f"worker-{worker}: [{clock.millis}] [INFO] [launch.py:151:main] nnodes=3, num_local_procs=2,"
                f" node_rank={worker}")  # fmt: skip
    for step in range(10, 1201, 10):
        clock.tick(21)
        log.say(f"worker-0: [{clock.millis}] [INFO] [logging.py:107:log_dist] [Rank 0] step={step}, skipped=0,"
                " lr=[2e-05], mom=[(0.9, 0.95)]")  # fmt: skip
    clock.tick(7)
    for pid in (512, 513):
        log.cry(f"worker-1: [{clock.millis}] [INFO] [launch.py:335:sigkill_handler] Killing subprocess {pid}")
    log.cry(
        f"worker-1: [{clock.tick(0.1).millis}] [ERROR] [launch.py:341:sigkill_handler] ['/usr/bin/python3', '-u',"
        " 'sft.py', '--local_rank=1'] exits with return code = -9"
    )
    clock.tick(40)
    for rank, worker in ((0, 0), (4, 2)):
        log.cry(
            f"worker-{worker}: [rank{rank}]:[E{clock.c10d} ProcessGroupNCCL.cpp:1895] [PG ID 0 PG GUID 0 Rank {rank}]"
            " Exception (either an error or timeout) detected by watchdog at work: 811, last enqueued NCCL work: 811,"
            " last completed NCCL work: 810."
        )
        log.cry(
            f"worker-{worker}: torch.distributed.DistBackendError: NCCL error in:"
            " ../torch/csrc/distributed/c10d/NCCLUtils.hpp:268, remote process exited or there was a network error, NCCL"
            " version 2.20.5"
        )
        log.cry(
            f"worker-{worker}: [{clock.tick(1).millis}] [ERROR] [launch.py:341:sigkill_handler] ['/usr/bin/python3',"
            " '-u', 'sft.py', '--local_rank=1'] exits with return code = -6"
        )
    log.cry("pdsh@login1: worker-1: ssh exited with exit code 247")
    lines, either = told([log])
    return Expected(
        FAILED,
        root="return code = -9",
        nodes=frozenset({"worker-1"}),
        stage=frozenset({"iterate"}),
        last_iteration=1200,
        last_durable=None,
        category=frozenset({"resource", "platform"}),
        lines=lines,
        either=either,
    )


ALL = (
    nan_goes_on,
    nan_on_a_named_rank,
    silent_data_corruption,
    lightning_bar,
    nemo_async,
    deepspeed_scale_exhausted,
    deepspeed_killed_on_a_worker,
)
