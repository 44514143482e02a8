"""Faults of programs, settings and numbers, and orders to stop."""

from __future__ import annotations

from l4fast.simulate_book import Said, Voice
from l4fast.simulate_nccl import nccl_head, watchdog_stuck
from l4fast.simulate_physics import HEARTBEAT_S
from l4fast.simulate_python import SITE, step_frames, traceback
from l4fast.simulate_scene import Scene
from l4fast.simulate_scheduler import cancel


def not_a_number(voice: Voice, scene: Scene) -> None:
    """Each rank checks its own gradients; frameworks differ in the sentence."""
    job = voice.job
    inner = '  File "/opt/model/grad_buffer.py", line 119, in check_grads\n    raise RuntimeError('
    for rank in scene.ranks:
        where = f"Device: {job.local_of(rank)}, node: {job.host_of(rank)}"
        found = "found NaN in local grad norm"
        before = "in backward pass before data-parallel communication collective"
        text = job.choose(
            "nan",
            f"RuntimeError: Rank {rank}: {found} for bucket #3 {before}. {where}",
            f"AssertionError: Rank {rank}: {found} {before}. {where}",
            f"RuntimeError: Rank {rank}, node {job.host_of(rank)}, device {job.local_of(rank)}, iteration "
            f"{scene.last + 1}: Unexpected result nan (message='{found} for bucket #0 {before}')",
        )
        voice.rank(rank, scene.t + 0.2, traceback(job, rank, step_frames(job, inner), [("root", text)]))


def silent_corruption(voice: Voice, scene: Scene) -> None:
    """Megatron runs the step again, on another GPU too, and knows whose result was wrong; others do not."""
    job = voice.job
    at = scene.last + 1
    if job.style in ("megatron", "nemo"):
        for rank in scene.ranks:
            who = f"Rank {rank}, node {job.host_of(rank)}, device {job.local_of(rank)}, iteration #{at}"
            said: list[Said] = [
                (
                    "root",
                    f"Unexpected result 48.3125 on rank {rank} at iteration #{at} invocation #1 "
                    "(message='Spiky loss')",
                ),
                (
                    "root",
                    "Second rerun: unexpected result is not reproducible on a different GPU, therefore was "
                    "likely incorrect (48.3125 != 2.84375)",
                ),
                ("root", f"{who}: Possible persistent error!"),
            ]
            voice.rank(rank, scene.t + 0.2, said)
        return
    frames = step_frames(job, '  File "/opt/model/guard.py", line 33, in check_loss\n    raise RuntimeError(')
    text = job.choose(
        "loss",
        f"RuntimeError: training loss is nan at step {at}",
        f"FloatingPointError: loss diverged at step {at}: nan",
    )
    late = scene.rng.random(job.n_ranks)
    for rank in range(job.n_ranks):
        when = scene.t + 0.3 * float(late[rank])
        voice.rank(rank, when, traceback(job, rank, frames, [("root", text)]))


def missing_module(voice: Voice, scene: Scene) -> None:
    job = voice.job
    text = job.choose(
        "module",
        "ModuleNotFoundError: No module named 'transformer_engine'",
        f"ImportError: {SITE}/flash_attn_2_cuda.cpython-312-x86_64-linux-gnu.so: undefined symbol: "
        "_ZN3c105ErrorC2ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
        "ImportError: libcudnn.so.9: cannot open shared object file: No such file or directory",
    )
    frames = '  File "/opt/model/layers.py", line 14, in <module>\n    import_extensions()'
    for rank in scene.all_ranks():
        at = scene.t + 0.2 * float(scene.rng.random())
        voice.rank(rank, at, traceback(job, None, frames, [("root", text)]))


def version_skew(voice: Voice, scene: Scene) -> None:
    """One node has another driver, or another NCCL: the latter is complained about by all who compare."""
    job = voice.job
    frames = (
        '  File "/opt/model/initialize.py", line 77, in init_distributed\n    torch.distributed.barrier()'
    )
    if skewed_driver(scene):
        text = (
            "RuntimeError: The NVIDIA driver on your system is too old (found version 12020). Please update "
            "your GPU driver by downloading and installing a new version from the URL: "
            "http://www.nvidia.com/Download/index.aspx"
        )
        for rank in scene.all_ranks():
            at = scene.t + 0.2 * float(scene.rng.random())
            voice.rank(rank, at, traceback(job, None, frames, [("root", text)]))
        return
    bad = set(scene.all_ranks())
    first = min(bad)
    other = next((rank for rank in range(job.n_ranks) if rank not in bad), first)
    text = (
        "torch.distributed.DistBackendError: NCCL error in: /opt/pytorch/pytorch/torch/csrc/distributed/c10d/"
        "NCCLUtils.hpp:268, invalid usage (run with NCCL_DEBUG=WARN for details), NCCL version "
        f"{job.habits.nccl}"
    )
    for rank in range(job.n_ranks):
        there, theirs, mine = (other, 22703, 22602) if rank in bad else (first, 22602, 22703)
        at = scene.t + 0.3 * float(scene.rng.random())
        warn = nccl_head(job, rank, "init.cc:1041 NCCL WARN")
        seen = f"rank {there} version {theirs} rank {rank} version {mine}"
        voice.rank(rank, at, [("root", f"{warn} Mismatched NCCL version detected : {seen}")], "stdout")
        voice.rank(rank, at, traceback(job, rank, frames, [("consequence", text)]))


def skewed_driver(scene: Scene) -> bool:
    """Whether it is the driver that differs: then only the ranks of that node fail."""
    return scene.job.choose("skew", True, False) or not scene.job.habits.nccl_lines


def _everywhere(voice: Voice, scene: Scene, frames: str, text: str, *, grouped: bool) -> None:
    """All ranks raise the same error within a second."""
    job = voice.job
    late = scene.rng.random(job.n_ranks)
    for rank in range(job.n_ranks):
        at = scene.t + 0.3 * float(late[rank])
        voice.rank(rank, at, traceback(job, rank if grouped else None, frames, [("root", text)]))


def bad_config(voice: Voice, scene: Scene) -> None:
    n_ranks = voice.job.n_ranks
    text = voice.job.choose(
        "config",
        f"AssertionError: world size ({n_ranks}) is not divisible by tensor parallel size (3) x "
        "pipeline parallel size (5)",
        f"ValueError: global batch size (1000) is not divisible by micro batch size (1) times data parallel "
        f"size ({n_ranks})",
        "RuntimeError: Error(s) in loading state_dict for GPTModel: size mismatch for embedding.weight: "
        "copying a param with shape torch.Size([50304, 4096]) from checkpoint, the shape in current model is "
        "torch.Size([50257, 4096]).",
    )
    frames = (
        '  File "/opt/model/arguments.py", line 402, in validate_args\n    assert args.world_size '
        "% total_model_size == 0, ("
    )
    _everywhere(voice, scene, frames, text, grouped=False)


def code_error(voice: Voice, scene: Scene) -> None:
    """A mistake in the program that every rank reaches in the same step."""
    text = voice.job.choose(
        "code",
        "TypeError: unsupported operand type(s) for +: 'Tensor' and 'NoneType'",
        "AttributeError: 'GPTModel' object has no attribute 'rope_scaling'",
        "IndexError: index 4096 is out of bounds for dimension 1 with size 4096",
    )
    inner = '  File "/opt/model/attention.py", line 98, in forward\n    return self.rotate(query, position)'
    _everywhere(voice, scene, step_frames(voice.job, inner), text, grouped=True)


def bad_record(voice: Voice, scene: Scene) -> None:
    """One record of the data that this rank happened to read."""
    job = voice.job
    inner = (
        f'  File "{SITE}/torch/utils/data/dataloader.py", line 733, in __next__\n    data = self._next_data()'
    )
    original = (
        "Original Traceback (most recent call last):\n  File "
        f'"{SITE}/torch/utils/data/_utils/worker.py", line 349, in '
        '_worker_loop\n    data = fetcher.fetch(index)\n  File "/workspace/dataset.py", line 88, '
        "in __getitem__\n"
        '    tokens = record["input_ids"]'
    )
    name, text = job.choose(
        "record",
        ("KeyError", "'input_ids'"),
        ("UnicodeDecodeError", "'utf-8' codec can't decode byte 0x80 in position 0: invalid start byte"),
        ("ValueError", "Expected 4096 tokens, got 0"),
    )
    for rank in scene.ranks:
        errors: list[Said] = [
            ("root", f"{name}: Caught {name} in DataLoader worker process 2."),
            ("context", original),
            ("root", f"{name}: {text}"),
        ]
        voice.rank(rank, scene.t + 0.2, traceback(job, rank, step_frames(job, inner), errors))


def worker_killed(voice: Voice, scene: Scene) -> None:
    """A data loader's worker runs out of shared memory."""
    job = voice.job
    inner = (
        f'  File "{SITE}/torch/utils/data/dataloader.py", line 1145, in _try_get_data\n'
        "    raise RuntimeError("
    )
    for rank in scene.ranks:
        worker = int(job.pids[rank]) + 40
        text = job.choose(
            "worker",
            f"RuntimeError: DataLoader worker (pid {worker}) is killed by signal: Bus error. It is "
            "possible that dataloader's workers are out of shared memory. Please try to raise your "
            "shared memory limit.",
            f"RuntimeError: DataLoader worker (pid(s) {worker}) exited unexpectedly",
        )
        voice.rank(rank, scene.t + 0.2, traceback(job, rank, step_frames(job, inner), [("root", text)]))


def locked(voice: Voice, scene: Scene) -> None:
    """A thread never gives the interpreter's lock back, and the watchdog waits for it too."""
    for rank in scene.ranks:
        voice.rank(rank, scene.t + HEARTBEAT_S, watchdog_stuck(voice.job, rank, scene.t + HEARTBEAT_S))


def preempted(voice: Voice, scene: Scene) -> None:
    event = "Normal  Preempted  job/llm  Preempted by workload train/high-priority-41 in the cohort"
    _asked_to_stop(voice, scene, "PREEMPTION", event)


def out_of_time(voice: Voice, scene: Scene) -> None:
    event = "Warning  DeadlineExceeded  job/llm  Job was active longer than specified deadline"
    _asked_to_stop(voice, scene, "TIME LIMIT", event)


def _asked_to_stop(voice: Voice, scene: Scene, reason: str, event: str) -> None:
    job = voice.job
    if voice.layout.kind == "pods":
        voice.scheduler(scene.t, [("root", event)])
    else:
        cancel(voice, scene.t, f" DUE TO {reason}", "root")
    if job.style == "nemo":
        for rank in range(job.n_ranks):
            voice.rank(rank, scene.t + 0.12, [("consequence", f"[rank: {rank}] Received SIGTERM: 15")])


def hot(voice: Voice, scene: Scene) -> None:
    """The processors of the straggler are too hot, and slow: its kernel says so."""
    job = voice.job
    for node in scene.nodes:
        for k in range(4):
            t = scene.t + 300.0 * k
            if t > voice.stop_s:
                break
            text = (
                f"CPU{12 + k}: Package temperature is above threshold, cpu clock is throttled (total events "
                f"= {91 + 412 * k})"
            )
            voice.kernel(node, t, [("root", f"{job.uptime(node, t)} mce: {text}")])
