# ruff: noqa: E501 - lines of logs are quoted as they are
"""Jobs that are well, recovered or ended well, with words of trouble all over."""

from __future__ import annotations

from pathlib import Path

from scenarios import Expected, Log
from scenarios.clock import Clock
from scenarios.megatron_nemo import megatron_line, save
from scenarios.torch_parts import agent_ends, opening, traceback
from scenarios.user_faults import PIDS, SITE, TRAIN, batches

NONE = frozenset({"none"})


def _well(outcome: str, last: int | None, durable: int | None) -> Expected:
    return Expected(
        frozenset({outcome}),
        nodes=frozenset(),
        ranks=frozenset(),
        last_iteration=last,
        last_durable=durable,
        verdict=NONE,
        lines=frozenset(),
    )


def words_of_trouble(base: Path) -> Expected:
    """Warnings, retries that succeed, and names with "error" in them; the last step of 1000 is done."""
    log, clock = Log(base, "train.log"), Clock()
    opening(log, clock)
    log.say(
        "[rank0]:[W302 10:00:14.120000000 socket.cpp:759] [c10d] The client socket cannot be initialized to connect to"
        " [node-0]:29500 (errno: 97 - Address family not supported by protocol).",
        "WARNING: Failed to import apex, fused kernels are off",
        "ERROR: ld.so: object '/usr/lib/libjemalloc.so' from LD_PRELOAD cannot be preloaded: ignored.",
        "fatal: not a git repository (or any of the parent directories): .git",
        "Error in sys.excepthook will be ignored",
        "fault tolerance: on, max_failures=3, abort_on_nan=True, error_budget=0.01",
    )
    for first in range(10, 1001, 100):
        batches(log, clock, first, first + 90)
        log.say(
            f"[{clock.iso}] WARNING s3: read of shard 17 failed (Connection reset by peer), retry 1/5 in 0.5 s"
        )
        log.say(f"[{clock.iso}] s3: retry succeeded")
        log.say(f"[{clock.iso}] WARNING wandb: Network error (ConnectionError), entering retry loop.")
        log.say(f"[{clock.iso}] validation error 0.31, error rate 4.1%, 0 failed requests")
    log.say("Done.")
    log.save()
    return _well("finished", 1000, None)


def second_epoch_runs(base: Path) -> Expected:
    """The counter of batches starts again in each epoch: the end of the first one is not the end."""
    log, clock = Log(base, "train.log"), Clock()
    for epoch in (1, 2):
        log.say(f"[{clock.iso}] ---- epoch {epoch}/4 ----")
        for step in range(10, 1001 if epoch == 1 else 641, 10):
            clock.tick(4)
            log.say(f"[{clock.iso}] Epoch {epoch} Batch {step}/1000 loss {3.1 - epoch / 10:.4f}")
    log.save()
    return Expected(
        frozenset({"running"}), nodes=frozenset(), ranks=frozenset(), verdict=NONE, lines=frozenset()
    )


def counts_from_zero(base: Path) -> Expected:
    """Steps 0, 50, 100, ...: the one called 950 is the 951st."""
    log, clock = Log(base, "run.log"), Clock()
    for step in range(0, 951, 50):
        clock.tick(25)
        log.say(f"{clock.zulu} INFO step={step} loss={3 - step / 4000:.3f} grad_norm=0.81 lr=0.0003")
    log.save()
    return _well("running", 951, None)


def resumed_in_the_middle(base: Path) -> Expected:
    """JSON metrics from 4001 on, a checkpoint every 500; no end marker."""
    log, clock = Log(base, "metrics.jsonl"), Clock()
    log.say(f'{{"ts": "{clock.zulu}", "level": "info", "msg": "resuming from checkpoint /ck/step_4000"}}')
    clock.tick(30)
    for step in range(4001, 5181):
        clock.tick(1.5)
        spike = 9.0 if step == 4700 else 0
        log.say(
            f'{{"ts": "{clock.zulu}", "level": "info", "step": {step}, "loss": {2.3 + spike:.3f}, "errors": 0}}'
        )
        if step % 500 == 0:
            log.say(f'{{"ts": "{clock.zulu}", "level": "info", "msg": "saved checkpoint /ck/step_{step}"}}')
    log.save()
    return _well("running", 5180, 5000)


def evaluates_between(base: Path) -> Expected:
    """Hugging Face: evaluation bars between training bars, still running."""
    log = Log(base, "sft.log")
    log.say("***** Running training *****", "  Total optimization steps = 3,750")
    bar = ""
    for step in range(1, 901):
        bar += f"\r {step * 100 // 3750:>2}%|{'█' * (step // 400):<10}| {step}/3750 [12:0{step % 10}<1:20:11,  1.48s/it]"
        if step % 50 == 0:
            log.say(
                bar
                + f" {{'loss': {2 - step / 1000:.4f}, 'grad_norm': 0.7, 'learning_rate': 1e-05, 'epoch': {step / 3750:.2f}}}"
            )
            bar = ""
        if step % 300 == 0 and step < 900:
            log.say("***** Running Evaluation *****", "  Num examples = 16000", "  Batch size = 8")
            log.say(
                "".join(
                    f"\r{k // 20:>3}%|{'█' * (k // 200):<10}| {k}/2000 [01:10<00:20, 28.1it/s]"
                    for k in range(1, 2001)
                )
            )
            log.say(f"{{'eval_loss': 1.91, 'eval_runtime': 71.2, 'epoch': {step / 3750:.2f}}}")
    log.save(end="")
    return _well("running", 900, None)


def restarted_and_runs(base: Path) -> Expected:
    """torchrun restarted the workers after an error at 350: loaded 300, now at 420, all is well."""
    log, clock = Log(base, "gpt.log"), Clock()
    opening(log, clock)
    for step in range(1, 351):
        log.say(megatron_line(clock.tick(1.2), step))
        if step % 100 == 0:
            save(log, clock, step)
    traceback(log, ((TRAIN, 3, "<module>", "main()"),), "RuntimeError: CUDA error: uncorrectable ECC error encountered",
              prefix="[rank5]: ")  # fmt: skip
    for pid in PIDS[:5]:
        log.cry(f"W{clock.tick(0.1).glog[:-3]}000 140217 torch/distributed/elastic/multiprocessing/api.py:900] Sending"
                f" process {pid} closing signal SIGTERM")  # fmt: skip
    log.cry(f"E{clock.glog[:-3]}000 140217 torch/distributed/elastic/multiprocessing/api.py:874] failed (exitcode: 1)"
            f" local_rank: 5 (pid: {PIDS[5]}) of binary: /opt/venv/bin/python3")  # fmt: skip
    log.say(f"I{clock.glog[:-3]}000 140217 torch/distributed/elastic/agent/server/api.py:914] [default] Worker group FAILED. 3/3"
            " attempts left; will restart worker group")  # fmt: skip
    clock.tick(40)
    log.say(" loading distributed checkpoint from /ckpt/gpt at iteration 300",
            "  successfully loaded checkpoint from /ckpt/gpt [ t 1/8, p 1/4 ] at iteration 300")  # fmt: skip
    for step in range(301, 421):
        log.say(megatron_line(clock.tick(1.2), step))
        if step % 100 == 0:
            save(log, clock, step)
    log.save()
    return _well("running", 420, 400)


def crashes_after_the_end(base: Path) -> Expected:
    """Training completed; then the interpreter crashes in a destructor, as it does every week."""
    log, clock = Log(base, "slurm-31.out"), Clock()
    for step in range(10, 501, 10):
        clock.tick(3)
        log.say(f"0: [{clock.iso}] step: {step}/500 loss: {3 - step / 400:.3f}")
    log.say(
        f"0: [{clock.iso}] Saved final checkpoint to /out/step_500",
        f"0: [{clock.iso}] Training completed in 151.2 s",
        f"0: [rank0]:[W{clock.c10d} ProcessGroupNCCL.cpp:1496] Warning: WARNING: destroy_process_group() was not called"
        " before program exit, which can leak resources. For more info, please see"
        " https://pytorch.org/docs/stable/distributed.html#shutdown (function operator())",
        "0: Exception ignored in: <function _MultiProcessingDataLoaderIter.__del__ at 0x7f31>",
        "0: Traceback (most recent call last):",
        f'0:   File "{SITE}/torch/utils/data/dataloader.py", line 1604, in __del__',
        "0: AttributeError: 'NoneType' object has no attribute 'python_exit_status'",
        "0: /usr/lib/python3.11/multiprocessing/resource_tracker.py:254: UserWarning: resource_tracker: There appear to be"
        " 1 leaked semaphore objects to clean up at shutdown",
        "srun: error: node12: task 0: Segmentation fault (core dumped)",
    )
    log.save()
    return _well("finished", 500, 500)


def thread_dies_quietly(base: Path) -> Expected:
    """The uploader's thread dies with a traceback; training does not care and goes on."""
    log, clock = Log(base, "train.log"), Clock()
    batches(log, clock, 10, 300)
    log.say("Exception in thread uploader:", "Traceback (most recent call last):")
    log.say('  File "/usr/lib/python3.11/threading.py", line 1045, in _bootstrap_inner', "    self.run()")
    log.say(
        'botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL: "https://s3.corp/logs"'
    )
    batches(log, clock, 310, 620)
    log.save()
    return _well("running", 620, None)


def retries_at_the_end(base: Path) -> Expected:
    """The last lines of a running job: a read that is tried again."""
    log, clock = Log(base, "train.log"), Clock()
    batches(log, clock, 10, 400)
    log.say(f"[{clock.iso}] WARNING reader: shard train-0071 failed: timed out, retrying (attempt 1/5)")
    batches(log, clock, 410, 410)
    log.save()
    return _well("running", 410, None)


def lightning_two_epochs(base: Path) -> Expected:
    """Two epochs with validation bars between, then max_epochs is reached."""
    log = Log(base, "pl.log")
    bar = ""
    for epoch in range(2):
        for step in range(1, 401):
            bar += f"\rEpoch {epoch}: {step // 4:>3}%|{'█' * (step // 40):<10}| {step}/400 [02:1{step % 10}<02:20,  3.01it/s, v_num=0]"
        for k in range(1, 51):
            bar += f"\n\rValidation DataLoader 0: {k * 2:>3}%|{'█' * (k // 5):<10}| {k}/50 [00:0{k % 10}<00:04, 11.0it/s]\x1b[A"
        log.say(bar)
        log.say(f"Epoch {epoch}, global step {(epoch + 1) * 400}: 'val_loss' reached 2.{9 - epoch}0 (best 2.{9 - epoch}0),"
                f" saving model to '/out/epoch={epoch}-step={(epoch + 1) * 400}.ckpt' as top 1")  # fmt: skip
        bar = ""
    log.say("`Trainer.fit` stopped: `max_epochs=2` reached.")
    log.save()
    return Expected(
        frozenset({"finished"}), nodes=frozenset(), verdict=NONE, lines=frozenset(), last_durable=800
    )


def overflows_at_the_start(base: Path) -> Expected:
    """fp16 looks for its loss scale, then trains; the log ends."""
    log, clock = Log(base, "ds.log"), Clock()
    scale = 2**16
    for k in range(5):
        log.say(f"[{clock.tick(1).millis}] [INFO] [loss_scaler.py:190:update_scale] [deepspeed] OVERFLOW! Rank 0 Skipping"
                f" step. Attempted loss scale: {scale >> k}, reducing to {scale >> (k + 1)}")  # fmt: skip
    log.say("rank 3 detected overflow inf in tensor 7:3 shape (3,)")
    for step in range(10, 131, 10):
        log.say(f"[{clock.tick(10).millis}] [INFO] [logging.py:107:log_dist] [Rank 0] step={step}, skipped=5, lr=[0.0003],"
                " mom=[(0.9, 0.95)]")  # fmt: skip
    log.save()
    return _well("running", 130, None)


def recovered_by_the_second_attempt(base: Path) -> Expected:
    """attempt_0 died of a lost node, attempt_1 trained to the end."""
    clock = Clock()
    first = Log(base, "job/attempt_0/0/stderr.log")
    batches(first, clock, 10, 300)
    traceback(first, ((TRAIN, 3, "<module>", "main()"),), "torch.distributed.DistBackendError: NCCL error in: a.cpp:1,"
              " remote process exited or there was a network error, NCCL version 2.21.5")  # fmt: skip
    agent_ends(first, clock, host="n1", first_rank=0, pids=PIDS, dead=[0])
    second = Log(base, "job/attempt_1/0/stderr.log")
    clock.tick(60)
    batches(second, clock, 210, 1000)
    second.say(f"[{clock.iso}] Training finished successfully")
    for log in (first, second):
        log.save()
    return _well("finished", 1000, None)


ALL = (
    words_of_trouble,
    second_epoch_runs,
    counts_from_zero,
    resumed_in_the_middle,
    evaluates_between,
    restarted_and_runs,
    crashes_after_the_end,
    thread_dies_quietly,
    retries_at_the_end,
    lightning_two_epochs,
    overflows_at_the_start,
    recovered_by_the_second_attempt,
)
