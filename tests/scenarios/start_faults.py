# ruff: noqa: E501 - lines of logs are quoted as they are
"""Faults before the first iteration, and while evaluating, saving or loading."""

from __future__ import annotations

from pathlib import Path

from scenarios import Expected, Log, told
from scenarios.clock import Clock
from scenarios.torch_parts import agent_ends, opening, traceback
from scenarios.user_faults import FAILED, PIDS, SITE, STOP, TRAIN

EMPTY: frozenset[str] = frozenset()
NOBODY: frozenset[int] = frozenset()


def mismatch_on_load(base: Path) -> Expected:
    """The vocabulary was padded differently: every rank fails to load the weights."""
    log, clock = Log(base, "train.log"), Clock()
    opening(log, clock)
    log.say(
        "> initializing torch distributed ...", f"[{clock.iso}] Loading checkpoint from /ckpt/base/step_12000"
    )
    clock.tick(25)
    for rank in range(8):
        p = f"[rank{rank}]: "
        traceback(
            log,
            (
                (TRAIN, 311, "<module>", "main()"),
                ("/workspace/llm/io.py", 55, "load_checkpoint", "model.load_state_dict(state['model'])"),
            ),
            "RuntimeError: Error(s) in loading state_dict for LlamaForCausalLM:",
            prefix=p,
        )
        for name in ("lm_head.weight", "model.embed_tokens.weight"):
            log.cry(
                f"{p}\tsize mismatch for {name}: copying a param with shape torch.Size([32000, 4096]) from checkpoint,"
                " the shape in current model is torch.Size([32064, 4096])."
            )
    agent_ends(log, clock, host="gpu-a1", first_rank=0, pids=PIDS, dead=[3, 0, 1, 2, 4, 5, 6, 7])
    lines, either = told([log])
    return Expected(
        FAILED,
        root="state_dict",
        nodes=EMPTY,
        ranks=NOBODY,
        stage=frozenset({"checkpoint"}),
        last_iteration=None,
        last_durable=None,
        category=frozenset({"user.config"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def broken_library_on_one_node(base: Path) -> Expected:
    """One node of four has another CUDA library; the others wait for it in the rendezvous of the store."""
    logs = []
    for node in range(4):
        clock = Clock()
        log = Log(base, f"worker-{node}.log")
        opening(log, clock, world=32)
        if node == 2:
            for local in range(8):
                clock.tick(0.2)
                traceback(
                    log,
                    ((TRAIN, 3, "<module>", "import transformer_engine.pytorch as te"),),
                    "ImportError: /opt/venv/lib/python3.11/site-packages/transformer_engine_torch.so: undefined symbol:"
                    " _ZN3c104cuda9SetDeviceEab",
                    prefix=f"[rank{16 + local}]: ",
                )
            agent_ends(log, clock, host="worker-2", first_rank=16, pids=PIDS, dead=[0, 1, 2, 3, 4, 5, 6, 7])
        else:
            clock.tick(601)
            for local in range(8):
                traceback(
                    log,
                    (
                        (
                            f"{SITE}/torch/distributed/rendezvous.py",
                            198,
                            "_create_c10d_store",
                            "return TCPStore(",
                        ),
                    ),
                    "torch.distributed.DistStoreError: Timed out after 601 seconds waiting for clients. 24/32 clients"
                    " joined.",
                    prefix=f"[rank{node * 8 + local}]: ",
                )
            agent_ends(log, clock, host=f"worker-{node}", first_rank=node * 8, pids=PIDS, dead=[0, 3])
        logs.append(log)
    lines, either = told(logs)
    return Expected(
        FAILED,
        root="undefined symbol",
        nodes=frozenset({"worker-2"}),
        stage=frozenset({"launch", "init"}),
        last_iteration=None,
        last_durable=None,
        category=frozenset({"platform"}),
        verdict=frozenset({"restart_excluding"}),
        lines=lines,
        either=either,
    )


def missing_module_everywhere(base: Path) -> Expected:
    """The image lacks a module: all ranks of all nodes end at once."""
    logs = []
    for node in range(3):
        clock = Clock()
        log = Log(base, f"job-0-{node}.log")
        opening(log, clock, world=24)
        for local in range(8):
            traceback(
                log,
                ((TRAIN, 9, "<module>", "import flashattn_hopper"),),
                "ModuleNotFoundError: No module named 'flashattn_hopper'",
                prefix=f"[rank{node * 8 + local}]: ",
            )
        agent_ends(log, clock, host=f"job-0-{node}", first_rank=node * 8, pids=PIDS, dead=list(range(8)))
        logs.append(log)
    lines, either = told(logs)
    return Expected(
        FAILED,
        root="No module named",
        nodes=EMPTY,
        ranks=NOBODY,
        stage=frozenset({"launch"}),
        last_iteration=None,
        category=frozenset({"platform", "user.code", "user.config"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def wrong_option(base: Path) -> Expected:
    """A misspelt option; the help text that argparse prints is full of other options."""
    log = Log(base, "slurm-5120.out")
    log.say("+ srun --ntasks-per-node=8 python pretrain_gpt.py --use-flash-atn")
    for rank in range(16):
        p = f"{rank:>2}: "
        log.say(
            f"{p}usage: pretrain_gpt.py [-h] [--num-layers NUM_LAYERS] [--exit-on-error] [--check-for-nan-in-loss]",
            f"{p}                       [--timeout-minutes N] [--error-injection-rate R]",
        )
        log.cry(f"{p}pretrain_gpt.py: error: unrecognized arguments: --use-flash-atn")
    log.cry("srun: error: node[003-004]: tasks 0-15: Exited with exit code 2")
    lines, either = told([log])
    return Expected(
        FAILED,
        root="unrecognized arguments",
        nodes=EMPTY,
        ranks=NOBODY,
        stage=frozenset({"launch"}),
        last_iteration=None,
        category=frozenset({"user.config"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def sizes_do_not_divide(base: Path) -> Expected:
    """24 GPUs, tensor 8 x pipeline 2."""
    log, clock = Log(base, "train.log"), Clock()
    opening(log, clock, world=24)
    for rank in range(8):
        traceback(
            log,
            (
                (
                    "/opt/megatron/training/arguments.py",
                    310,
                    "validate_args",
                    "assert args.world_size % total == 0, (",
                ),
            ),
            "AssertionError: world size (24) is not divisible by total_model_size (encoder_model_size=0 +"
            " decoder_model_size=16)",
            prefix=f"[rank{rank}]: ",
        )
    agent_ends(log, clock, host="n1", first_rank=0, pids=PIDS, dead=list(range(8)))
    lines, either = told([log])
    return Expected(
        FAILED,
        root="not divisible",
        nodes=EMPTY,
        ranks=NOBODY,
        stage=frozenset({"init", "launch"}),
        last_iteration=None,
        category=frozenset({"user.config"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def data_missing(
    base: Path, *, on: tuple[int, ...]
) -> tuple[frozenset[tuple[str, int]], frozenset[tuple[str, int]]]:
    log, clock = Log(base, "slurm-777.out"), Clock()
    for rank in range(32):
        log.say(
            f"{rank:>2}: nid{100 + rank // 8:04}:{900 + rank}:{900 + rank} [{rank % 8}] NCCL INFO comm 0x5 rank {rank}"
            f" nranks 32 cudaDev {rank % 8} busId {rank % 8}b000 - Init COMPLETE"
        )
    log.say(" 0: > building train, validation, and test datasets for GPT ...")
    clock.tick(5)
    for rank in range(32):
        if rank // 8 in on:
            traceback(
                log,
                (
                    (
                        "/opt/megatron/core/datasets/indexed_dataset.py",
                        360,
                        "__init__",
                        "self.initialize(path)",
                    ),
                    (
                        "/opt/numpy/_core/memmap.py",
                        284,
                        "__new__",
                        "fid = ctx.enter_context(open(filename, mode))",
                    ),
                ),
                "FileNotFoundError: [Errno 2] No such file or directory: '/data/tok/books_text_document.idx'",
                prefix=f"{rank:>2}: [rank{rank}]: ",
            )
    hosts = ",".join(f"nid{100 + n:04}" for n in on)
    tasks = f"{on[0] * 8}-{on[-1] * 8 + 7}"
    log.cry(f"srun: error: {hosts}: tasks {tasks}: Exited with exit code 1")
    log.cry("srun: Terminating StepId=777.0")
    if len(on) < 4:
        log.cry("slurmstepd: error: *** STEP 777.0 ON nid0100 CANCELLED AT 2026-03-02T10:00:30 ***")
        log.cry("srun: error: nid0100: tasks 0-7: Terminated")
    return told([log])


def data_missing_on_one_node(base: Path) -> Expected:
    """The data disk of one node is not mounted."""
    lines, either = data_missing(base, on=(2,))
    return Expected(
        FAILED,
        root="No such file or directory",
        nodes=frozenset({"nid0102"}),
        stage=frozenset({"load"}),
        last_iteration=None,
        category=frozenset({"platform", "storage"}),
        verdict=frozenset({"restart_excluding"}),
        lines=lines,
        either=either,
    )


def data_missing_everywhere(base: Path) -> Expected:
    """The path of the data is wrong."""
    lines, either = data_missing(base, on=(0, 1, 2, 3))
    return Expected(
        FAILED,
        root="No such file or directory",
        nodes=EMPTY,
        ranks=NOBODY,
        stage=frozenset({"load"}),
        last_iteration=None,
        category=frozenset({"user.config", "storage"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


def raises_in_evaluation(base: Path) -> Expected:
    """Hugging Face: the user's compute_metrics raises after the evaluation's bar."""
    log = Log(base, "sft.log")
    log.say("***** Running training *****", "  Num examples = 120,000", "  Total optimization steps = 3,750")
    bar = ""
    for step in range(1, 501):
        bar += f"\r {step * 100 // 3750:>2}%|{'█' * (step // 400):<10}| {step}/3750 [12:0{step % 10}<1:20:11,  1.48s/it]"
        if step % 50 == 0:
            log.say(bar + f"                 {{'loss': {2 - step / 1000:.4f}, 'grad_norm': 0.7, 'learning_rate': 1e-05,"
                    f" 'epoch': {step / 3750:.2f}}}")  # fmt: skip
            bar = ""
    log.say("***** Running Evaluation *****", "  Num examples = 2000", "  Batch size = 8")
    log.say(
        "".join(
            f"\r{k * 100 // 250:>3}%|{'█' * (k // 25):<10}| {k}/250 [00:10<00:20, 10.1it/s]"
            for k in range(1, 251)
        )
    )
    traceback(
        log,
        (
            (TRAIN, 88, "<module>", "trainer.train()"),
            (
                f"{SITE}/transformers/trainer.py",
                3230,
                "_evaluate",
                "metrics = self.evaluate(ignore_keys=keys)",
            ),
            (
                f"{SITE}/transformers/trainer.py",
                4470,
                "evaluation_loop",
                "metrics = self.compute_metrics(pred)",
            ),
            ("/workspace/sft/metrics.py", 21, "rouge", "refs = decode(pred.label_ids)"),
        ),
        "OverflowError: out of range integral type conversion attempted",
    )
    log.mutter(" 13%|█▎        | 500/3750 [13:10<1:25:38,  1.58s/it]")
    lines, either = told([log])
    return Expected(
        FAILED,
        root="OverflowError",
        stage=frozenset({"evaluate"}),
        last_iteration=500,
        last_durable=None,
        category=frozenset({"user.code"}),
        verdict=STOP,
        lines=lines,
        either=either,
    )


ALL = (
    mismatch_on_load,
    broken_library_on_one_node,
    missing_module_everywhere,
    wrong_option,
    sizes_do_not_divide,
    data_missing_on_one_node,
    data_missing_everywhere,
    raises_in_evaluation,
)
