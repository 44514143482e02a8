"""Faults of programs, settings, storage and schedulers: who raises what, and who ends it."""

from __future__ import annotations

from l4fast.simulate_book import Said, Voice
from l4fast.simulate_cascade import Scene, die_together
from l4fast.simulate_launch import abort, crash, stop_nodes
from l4fast.simulate_victims import SITE, step_frames, traceback


def device_memory(voice: Voice, scene: Scene) -> None:
    job, rank = voice.job, scene.rank
    inner = (
        '  File "/opt/model/attention.py", line 312, in forward\n    scores = torch.matmul(query, '
        "key.transpose(-1, -2))"
    )
    text = (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU "
        f"{job.local_of(rank)} has a total "
        "capacity of 79.11 GiB of which 1.33 GiB is free. Including non-PyTorch memory, this "
        "process has 77.76 GiB memory "
        "in use. Of the allocated memory 70.21 GiB is allocated by PyTorch, and 5.11 GiB is "
        "reserved by PyTorch but unallocated. If reserved but unallocated memory is large try setting "
        "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation."
    )
    voice.rank(rank, scene.t, traceback(rank, step_frames(job.style, inner), [("root", text)]))
    die_together(voice, scene.t + 0.5, {rank: 1}, "consequence", scene.rng)


def disk_full(voice: Voice, scene: Scene) -> None:
    """torch.save reports a full disk with or without its errno; both are common."""
    job, rank = voice.job, scene.rank
    inner = (
        f'  File "{SITE}/torch/distributed/checkpoint/filesystem.py", line 412, in _write_item\n   '
        " torch.save(tensor, stream)"
    )
    if job.seed % 2:
        errors: list[Said] = [
            (
                "root",
                "RuntimeError: [enforce fail at inline_container.cc:664] . unexpected pos 893184 vs 893072",
            ),
        ]
        inner = f'  File "{SITE}/torch/serialization.py", line 850, in save\n    _save(\n{inner}'
    else:
        errors = [("root", "OSError: [Errno 28] No space left on device: '/local/checkpoints/.tmp'")]
    voice.rank(rank, scene.t, traceback(rank, step_frames(job.style, inner), errors))
    die_together(voice, scene.t + 0.6, {rank: 1}, "consequence", scene.rng)


def not_a_number(voice: Voice, scene: Scene) -> None:
    job, rank = voice.job, scene.rank
    inner = '  File "/opt/model/grad_buffer.py", line 119, in check_grads\n    raise RuntimeError('
    text = (
        f"RuntimeError: Rank {rank}: found NaN in local grad norm for bucket #3 in backward pass "
        "before data-parallel "
        f"communication collective. Device: {job.local_of(rank)}, node: {job.host_of(rank)}"
    )
    voice.rank(rank, scene.t, traceback(rank, step_frames(job.style, inner), [("root", text)]))
    die_together(voice, scene.t + 0.5, {rank: 1}, "consequence", scene.rng)


def missing_module(voice: Voice, scene: Scene) -> None:
    job = voice.job
    node = job.node_of(scene.rank)
    if job.seed % 2:
        text = "ModuleNotFoundError: No module named 'transformer_engine'"
    else:
        text = (
            f"ImportError: {SITE}/flash_attn_2_cuda.cpython-312-x86_64-linux-gnu.so: undefined symbol: "
            "_ZN3c105ErrorC2ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
        )
    frames = '  File "/opt/model/layers.py", line 14, in <module>\n    import_extensions()'
    for rank in job.ranks_of(node):
        at = scene.t + 0.2 * float(scene.rng.random())
        voice.rank(rank, at, traceback(None, frames, [("root", text)]))
    crash(voice, node, scene.t + 0.6, dict.fromkeys(job.ranks_of(node), 1))
    abort(voice, scene.t + 6.0, [node])


def _everywhere(voice: Voice, scene: Scene, frames: str, text: str, *, grouped: bool) -> None:
    """All ranks raise the same error within a second and exit with 1."""
    job = voice.job
    late = scene.rng.random(job.n_ranks)
    for rank in range(job.n_ranks):
        at = scene.t + float(late[rank])
        voice.rank(rank, at, traceback(rank if grouped else None, frames, [("root", text)]))
    for node in range(job.nodes):
        first = sorted(job.ranks_of(node), key=lambda rank: late[rank])
        crash(voice, node, scene.t + 2.0, dict.fromkeys(first, 1))


def bad_config(voice: Voice, scene: Scene) -> None:
    n_ranks = voice.job.n_ranks
    text = (
        f"AssertionError: world size ({n_ranks}) is not divisible by tensor parallel size (3) x "
        "pipeline parallel size (5)"
    )
    frames = (
        '  File "/opt/model/arguments.py", line 402, in validate_args\n    assert args.world_size '
        "% total_model_size == 0, ("
    )
    _everywhere(voice, scene, frames, text, grouped=False)


def torn_checkpoint(voice: Voice, scene: Scene) -> None:
    frames = (
        f'  File "{SITE}/torch/distributed/checkpoint/filesystem.py", line 758, in read_data\n'
        f'    tensor = torch.load(\n  File "{SITE}/torch/serialization.py", line 749, in __init__\n'
        "    super().__init__(torch._C.PyTorchFileReader(name_or_buffer))"
    )
    text = "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory"
    _everywhere(voice, scene, frames, text, grouped=True)


def user_code(voice: Voice, scene: Scene) -> None:
    job, rank = voice.job, scene.rank
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
    errors: list[Said] = [
        ("root", "KeyError: Caught KeyError in DataLoader worker process 2."),
        ("context", original),
        ("root", "KeyError: 'input_ids'"),
    ]
    voice.rank(rank, scene.t, traceback(rank, step_frames(job.style, inner), errors))
    die_together(voice, scene.t + 0.5, {rank: 1}, "consequence", scene.rng)


def preempted(voice: Voice, scene: Scene) -> None:
    event = "Normal  Preempted  job/llm  Preempted by workload train/high-priority-41 in the cohort"
    _asked_to_stop(voice, scene, "PREEMPTION", event)


def out_of_time(voice: Voice, scene: Scene) -> None:
    event = "Warning  DeadlineExceeded  job/llm  Job was active longer than specified deadline"
    _asked_to_stop(voice, scene, "TIME LIMIT", event)


def _asked_to_stop(voice: Voice, scene: Scene, reason: str, event: str) -> None:
    job = voice.job
    now = f"{job.clock(0, scene.t):%Y-%m-%dT%H:%M:%S}"
    if voice.layout.kind == "pods":
        voice.scheduler(scene.t, [("root", event)])
    else:
        step = f"*** STEP {job.job_id}.0 ON {job.hosts[0]} CANCELLED AT {now} DUE TO {reason} ***"
        voice.scheduler(scene.t, [("root", f"slurmstepd: error: {step}")])
        text = "srun: Job step aborted: Waiting up to 32 seconds for job step to finish."
        voice.scheduler(scene.t + 0.1, [("teardown", text)])
    if job.style == "nemo":
        for rank in range(job.n_ranks):
            voice.rank(rank, scene.t + 0.2, [("consequence", f"[rank: {rank}] Received SIGTERM: 15")])
    stop_nodes(voice, scene.t + 0.3, range(job.nodes), "consequence")


def port_taken(voice: Voice, scene: Scene) -> None:
    job = voice.job
    frames = (
        f'  File "{SITE}/torch/distributed/rendezvous.py", line 189, in _create_c10d_store\n    '
        "return TCPStore("
    )
    port = 29500 + job.seed % 7
    bind = job.glog("W", 0, scene.t)
    errno = "(errno: 98 - Address already in use)."
    refused: list[Said] = [
        (
            "root",
            f"[{bind} socket.cpp:464] [c10d] The server socket has failed to bind to [::]:{port} {errno}",
        ),
        (
            "root",
            f"[{job.glog('E', 0, scene.t)} socket.cpp:500] [c10d] The server socket has failed to "
            "listen on any local network address.",
        ),
        *traceback(
            None,
            frames,
            [
                (
                    "root",
                    "torch.distributed.DistNetworkError: The server socket has failed to listen on "
                    f"any local network address. port: {port}, useIpv6: false, code: -98, name: EADDRINUSE, "
                    "message: address already in use",
                )
            ],
        ),
    ]
    waited = (
        "torch.distributed.DistNetworkError: The client socket has timed out after 60000ms while "
        f"trying to connect to ({job.hosts[0]}, {port})."
    )
    if voice.layout.has_torchrun:
        voice.agent(0, scene.t, refused)
        for node in range(1, job.nodes):
            voice.agent(node, scene.t + 61, traceback(None, frames, [("consequence", waited)]))
    else:
        voice.rank(0, scene.t, refused)
        for rank in range(1, job.n_ranks):
            voice.rank(rank, scene.t + 61, traceback(None, frames, [("consequence", waited)]))
        crash(voice, 0, scene.t + 0.5, {0: 1})
        for node in range(job.nodes):
            alive = [rank for rank in job.ranks_of(node) if rank != 0]
            if alive:
                crash(voice, node, scene.t + 62, dict.fromkeys(alive, 1))
