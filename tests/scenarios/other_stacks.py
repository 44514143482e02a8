# ruff: noqa: E501 - lines of logs are quoted as they are
"""JAX, torchtitan, Ascend, ColossalAI and MLPerf."""

from __future__ import annotations

from pathlib import Path

from scenarios import Expected, Log, told
from scenarios.clock import Clock
from scenarios.start_faults import EMPTY, NOBODY
from scenarios.torch_parts import traceback, watchdog_timeout
from scenarios.user_faults import FAILED, SITE, STOP, TRAIN

MAXTEXT = "/deps/MaxText/train.py"


def _maxtext_steps(logs: list[Log], clock: Clock, last: int) -> None:
    for step in range(last + 1):
        clock.tick(5.67)
        for log in logs:
            log.say(
                f"completed step: {step}, seconds: 5.669, TFLOP/s/device: 134.884, Tokens/s/device: 8670.207,"
                f" total_weights: 196608, loss: {11.1 - step / 100:.3f}"
            )
        if step and step % 50 == 0:
            for k, log in enumerate(logs):
                log.say(
                    f"I{clock.glog} 131 checkpoint_manager.py:1512] [process={k}] Saving checkpoint at step {step}",
                    f"I{clock.glog} 131 event_tracking.py:70] [process={k}] [async] Started save checkpoint @"
                    f" gs://b/run/checkpoints/{step}.",
                    f"Started an asynchronous checkpoint save for step {step}",
                )
        if step > 50 and step % 50 == 3 and step < 150:
            for log in logs:
                log.say(
                    f"I{clock.glog} 388 async_checkpointer.py:238] Finished async_save (blocking + background). Time"
                    f" taken: 16.201461s. directory=gs://b/run/checkpoints/{step - 3}"
                )


def jax_task_vanishes(base: Path) -> Expected:
    """Host 3 falls silent; the coordination service tells the others that task 3 sent no heartbeats."""
    clock = Clock()
    logs = [Log(base, f"maxtext-slice-job-0-{k}.log") for k in range(4)]
    for k, log in enumerate(logs):
        log.say(
            f"I{clock.glog}   77 distributed.py:149] JAX distributed initialized: process_id={k} of 4",
            f"I{clock.glog}   77 max_utils.py:220] System Information: Jax Version: 0.5.2",
            "No existing checkpoints found, not restoring checkpoint.",
        )
    _maxtext_steps(logs, clock, 157)
    clock.tick(100)
    for k in (0, 1, 2):
        log = logs[k]
        if k == 0:
            log.cry(
                f"E{clock.glog}     201 coordination_service.cc:1450] The following tasks are unhealthy (stopped sending"
                " heartbeats):"
            )
            log.cry("/job:jax_worker/replica:0/task:3")
            log.mutter("The tasks have crashed. Check the task logs for an earlier error, or scheduler events (e.g."
                       " preemption, eviction) to debug further.")  # fmt: skip
        clock.tick(0.02)
        log.cry(
            f"E{clock.glog}     340 coordination_service_agent.cc:332] Polled an error from coordination service (this"
            " can be an error from this or another task)."
        )
        log.cry(
            f"F{clock.glog}     340 client.h:80] Terminating process because the JAX distributed service detected fatal"
            " errors. This most likely indicates that another task died; see the other task logs for more details."
            " Disable Python buffering, i.e. `python -u`, to be sure to see all the previous output. absl::Status:"
            " UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):"
        )
        log.cry("/job:jax_worker/replica:0/task:3")
        log.mutter("The tasks have crashed. Check the task logs for an earlier error, or scheduler events (e.g."
                   " preemption, eviction) to debug further.", "",
                   "RPC: /tensorflow.CoordinationService/PollForError"
                   " [type.googleapis.com/tensorflow.CoordinationServiceError='']")  # fmt: skip
        log.mutter("*** Check failure stack trace: ***")
        log.cry("Fatal Python error: Aborted")
    lines, either = told(logs)
    return Expected(
        FAILED,
        root="",
        nodes=frozenset({"maxtext-slice-job-0-3"}),
        stage=frozenset({"iterate"}),
        last_iteration=158,
        last_durable=100,
        category=frozenset({"hardware.host", "network", "platform"}),
        verdict=frozenset({"restart_excluding", "restart"}),
        lines=lines,
        either=either,
        min_f1=0.85,
    )


def jax_compiles_too_big(base: Path) -> Expected:
    """The program needs more HBM than a chip has: every host says so while it compiles step 0."""
    clock = Clock()
    logs = [Log(base, f"host-{k}.log") for k in range(4)]
    for k, log in enumerate(logs):
        log.say(
            f"JAX distributed: process_id={k} of 4",
            "number parameters: 70.553 billion",
            f"W{clock.glog} 77 bfc_allocator.cc:501] slow_operation_alarm: constant folding an instruction is taking > 1s",
            f"E{clock.tick(60).glog} 77 slow_operation_alarm.cc:73] Very slow compile? If you want to file a bug, run with"
            " envvar XLA_FLAGS=--xla_dump_to=/tmp/foo",
        )
        traceback(
            log,
            (
                (MAXTEXT, 850, "train_loop", "state, metrics = p_train_step(state, batch, rng)"),
                (
                    "/deps/jax/_src/interpreters/pxla.py",
                    1297,
                    "__call__",
                    "results = self.xla_executable.execute()",
                ),
            ),
            "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory"
            " in memory space hbm. Used 41.22G of 31.25G hbm. Exceeded hbm capacity by 9.97G.",
        )
        log.mutter(
            "", "Total hbm usage >= 41.22G:", "    reserved        260.00M", "    program          40.97G"
        )
    lines, either = told(logs)
    return Expected(
        FAILED,
        root="RESOURCE_EXHAUSTED",
        nodes=EMPTY,
        ranks=NOBODY,
        stage=frozenset({"init", "iterate"}),
        last_iteration=None,
        last_durable=None,
        category=frozenset({"resource", "user.config"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def titan_async_staging(base: Path) -> Expected:
    """DCP async: "finished saving (or staging)" promises only; the next save has waited for the one before."""
    log, clock = Log(base, "titan.log"), Clock()
    p = "[rank0]:"
    log.say(f"{p}[titan] {clock.millis} - root - INFO - Training starts at step 1.")
    for step in range(1, 261):
        clock.tick(2)
        log.say(
            f"{p}[titan] {clock.millis} - root - INFO - \x1b[31mstep: {step:2}  \x1b[32mloss: {8 - step / 100:7.4f}  "
            f"\x1b[38;2;180;60;0mgrad_norm:  0.8123  \x1b[38;2;54;234;195mmemory: 47.50GiB(59.98%)  \x1b[34mtps: 7,321  "
            "\x1b[36mtflops: 380.10  \x1b[35mmfu: 38.43%\x1b[39m"
        )
        if step % 100 == 0:
            log.say(
                f"{p}[titan] {clock.millis} - root - INFO - Saving the checkpoint (or staging if async is enabled)."
            )
            clock.tick(2)
            log.say(f"{p}[titan] {clock.millis} - root - INFO - Finished saving the checkpoint (or staging if async is"
                    " enabled)in 2.31 seconds.")  # fmt: skip
    clock.tick(600)
    for rank in (0, 1, 2, 3, 4, 6, 7):
        watchdog_timeout(log, clock, rank, seq=1901)
    lines, either = told([log])
    return Expected(
        FAILED,
        root="Watchdog caught collective operation timeout",
        ranks=frozenset({5}),
        stage=frozenset({"iterate"}),
        last_iteration=260,
        last_durable=100,
        lines=lines,
        either=either,
    )


def hccl_heartbeat(base: Path) -> Expected:
    """MindFormers under msrun: rank 9's process is lost; HCCL names it as the criminal rank."""
    clock = Clock()
    logs = [Log(base, f"worker_{k}.log") for k in range(16)]
    for k, log in enumerate(logs):
        log.say(
            f"[INFO] HCCL({700 + k},python):{clock.plog} [op_base.cc:440][{700 + k}]Entry-HcclCommInitRootInfoInner:"
            f"ranks[16], rank[{k}], rootinfo: host ip[10.0.0.{1 + k // 8}] port[60000] nicDeploy[1] identifier[a],"
            f" deviceLogicId[{k % 8}]"
        )
        log.say(f"{clock.millis} - mindformers./output/log[mindformers/trainer/base_trainer.py:820] - INFO - .........Build"
                " Callbacks For Train..........")  # fmt: skip
    clock.tick(90)
    for step in range(2, 301, 2):
        clock.tick(1.1)
        line = (
            f"{clock.millis} - mindformers./output/log[mindformers/core/callback/callback.py:562] - INFO - {{ Epoch:[  1/"
            f"  2], step:[{step:5}/ 2000], loss: {9 - step / 100:.3f}, per_step_time: 548ms, lr: 1e-05, overflow cond:"
            " False, loss_scale: 1.0, global_norm: [1.1], train_throughput_per_npu: 181.2T"
        )
        for k, log in enumerate(logs):
            if k != 9 or step <= 296:
                log.say(line)
    clock.tick(31)
    for k, log in enumerate(logs):
        if k == 9:
            continue
        clock.tick(0.01)
        log.cry(
            f"[INFO] HCCL({700 + k},python):{clock.plog} [heartbeat.cc:951] [{700 + k}][TaskExecStage][HeartbeatAbnormal]"
            f"local rank [10.0.0.{1 + k // 8}/{k % 8}]: crimer rank [10.0.0.2/1] status[LOST] by informer rank [10.0.0.2/2]"
        )
    clock.tick(1800)
    for k, log in enumerate(logs):
        if k == 9:
            continue
        clock.tick(0.01)
        log.cry(
            f"[ERROR] HCCL({700 + k},python):{clock.plog} [task_exception_handler.cc:661][{700 + k}][TaskExecStage]"
            f"[Timeout][Host]Task run failed, base information is streamID:[12], taskID[4], tag[AllReduce_hccl_world_group]"
        )
        log.say("Traceback (most recent call last):")
        log.say('  File "/workspace/run_mindformer.py", line 264, in <module>', "    main(config_)")
        log.cry("RuntimeError: The pointer [result] is null. Run task for graph failed.")
        log.mutter("", "-" * 52, "- Ascend Error Message:", "-" * 52)
        log.cry(
            "EI0002: 2026-03-02-10:35:02.100.200 The wait execution of the Notify register times out. Reason: The Notify"
            " register has not received the Notify record from remote rank [9]."
        )
        log.mutter("        Solution: 1. Check whether an error occurs on the remote rank.")
    lines, either = told(logs)
    return Expected(
        FAILED,
        root="crimer rank",
        ranks=frozenset({9}),
        stage=frozenset({"iterate"}),
        last_iteration=300,
        last_durable=None,
        category=frozenset({"network", "hardware.host", "hardware.gpu"}),
        lines=lines,
        either=either,
        min_f1=0.9,
    )


def colossal_bar(base: Path) -> Expected:
    """ColossalAI: rich's logger and a bar; a name error in a hook that runs every 400 steps."""
    log = Log(base, "colossal.log")
    log.say(
        "[03/02/26 10:00:00] INFO     colossalai - colossalai - INFO:                    ",
        "                             /opt/venv/lib/python3.11/site-packages/colossalai",
        "                             /initialize.py:75 launch                           ",
        "                    INFO     colossalai - colossalai - INFO: Distributed        ",
        "                             environment is initialized, world size: 8          ",
    )
    bar = "".join(
        f"\rEpoch 0:  {s * 100 // 5000:>2}%|{'█' * (s // 500):<10}| {s}/5000 [09:{s % 60:02}<1:50:11,  1.44s/it, loss=2.{s:03}]"
        for s in range(401)
    )
    log.say(bar + "Traceback (most recent call last):")
    log.say(f'  File "{TRAIN}", line 377, in main', "    hook.after_step(step)")
    log.cry("NameError: name 'dist' is not defined. Did you mean: 'list'?")
    lines, either = told([log])
    return Expected(
        FAILED,
        root="NameError",
        stage=frozenset({"iterate"}),
        last_iteration=400,
        category=frozenset({"user.code"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def accelerate_save_without_rights(base: Path) -> Expected:
    """Accelerate with DeepSpeed behind `stderr:`: the second save may not write its folder."""
    log, clock = Log(base, "accelerate.log"), Clock()
    for step in range(25, 1001, 25):
        clock.tick(40)
        log.say(
            f"{clock.iso.replace('-', '/')} INFO __main__ | step {step:>5} | loss {3 - step / 900:.4f} | lr 2.0e-05"
        )
        if step == 500:
            log.say("INFO:accelerate.accelerator:Saving current state to /out/step_500")
            log.say("INFO:accelerate.checkpointing:Optimizer state saved in /out/step_500/optimizer.bin")
            clock.tick(12)
    log.say("INFO:accelerate.accelerator:Saving current state to /out/step_1000")
    p = "stderr: "
    traceback(
        log,
        (
            ("/workspace/sft/train.py", 402, "<module>", "main()"),
            (
                f"{SITE}/accelerate/accelerator.py",
                3311,
                "save_state",
                "os.makedirs(output_dir, exist_ok=True)",
            ),
        ),
        "PermissionError: [Errno 13] Permission denied: '/out/step_1000'",
        prefix=p,
    )
    lines, either = told([log])
    return Expected(
        FAILED,
        root="PermissionError",
        stage=frozenset({"checkpoint"}),
        last_iteration=1000,
        last_durable=500,
        category=frozenset({"storage", "user.config", "platform"}),
        lines=lines,
        either=either,
    )


def mllog_aborted(base: Path) -> Expected:
    """MLPerf: the run reached its last step without its target; the harness says aborted."""
    log, clock = Log(base, "mlperf.log"), Clock()

    def point(kind: str, key: str, value: str, meta: str) -> str:
        ms = int(clock.now.timestamp() * 1000)
        return (f':::MLLOG {{"namespace": "", "time_ms": {ms}, "event_type": "{kind}", "key": "{key}", "value": {value},'
                f' "metadata": {{"file": "cb.py", "lineno": 40, {meta}}}}}')  # fmt: skip

    log.say(point("POINT_IN_TIME", "global_batch_size", "1", '"x": 0'))
    log.say(point("INTERVAL_START", "run_start", "null", '"x": 0'))
    for step in range(10, 801, 10):
        clock.tick(3)
        log.say(
            point("POINT_IN_TIME", "tracked_stats", '{"train_loss": 1.31, "lr": 0.0004}', f'"step": {step}')
        )
        if step % 100 == 0:
            log.say(point("INTERVAL_START", "eval_start", "null", f'"step": {step}'))
            log.say(point("POINT_IN_TIME", "eval_accuracy", "0.99", f'"step": {step}'))
            log.say(point("INTERVAL_END", "eval_stop", "null", f'"step": {step}'))
    log.cry(point("INTERVAL_END", "run_stop", "null", '"step": 800, "status": "aborted"'))
    lines, either = told([log])
    return Expected(
        FAILED,
        root='"status": "aborted"',
        nodes=EMPTY,
        ranks=NOBODY,
        last_iteration=800,
        lines=lines,
        either=either,
    )


ALL = (
    jax_task_vanishes,
    jax_compiles_too_big,
    titan_async_staging,
    hccl_heartbeat,
    colossal_bar,
    accelerate_save_without_rights,
    mllog_aborted,
)
