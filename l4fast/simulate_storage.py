"""Faults of disks, file systems and checkpoints."""

from __future__ import annotations

from l4fast.simulate_book import Said, Voice
from l4fast.simulate_python import SITE, step_frames, traceback
from l4fast.simulate_scene import Scene
from l4fast.simulate_start import LOAD_S


def disk_full(voice: Voice, scene: Scene) -> None:
    """torch.save reports a full disk with or without its errno; both are common."""
    job = voice.job
    inner = (
        f'  File "{SITE}/torch/distributed/checkpoint/filesystem.py", line 412, in _write_item\n   '
        " torch.save(tensor, stream)"
    )
    error = job.choose(
        "disk full",
        "RuntimeError: [enforce fail at inline_container.cc:664] . unexpected pos 893184 vs 893072",
        "OSError: [Errno 28] No space left on device: '/local/checkpoints/.tmp'",
        "OSError: [Errno 122] Disk quota exceeded: '/local/checkpoints/.tmp'",
    )
    if error.startswith("RuntimeError"):
        inner = f'  File "{SITE}/torch/serialization.py", line 850, in save\n    _save(\n{inner}'
    for rank in scene.ranks:
        voice.rank(rank, scene.t, traceback(job, rank, step_frames(job, inner), [("root", error)]))


def stall(voice: Voice, scene: Scene) -> None:
    """The shared file system stops answering during a save: every client waits, nobody's node is to blame."""
    job = voice.job
    late = scene.rng.random(job.nodes)
    nfs = job.choose("file system", True, False)
    for node in range(job.nodes):
        t = scene.t + 20.0 + 15 * float(late[node])
        up = job.uptime(node, t)
        if nfs:
            text = f"{up} nfs: server storage-3 not responding, still trying"
        else:
            text = (
                f"{up} Lustre: scratch-OST003a-osc-ffff3000ef06c000: Connection to scratch-OST003a (at "
                "10.9.1.43@o2ib) was lost; in progress operations using this service will wait for recovery "
                "to complete"
            )
        voice.kernel(node, t, [("root", text)])


def _load_frames() -> str:
    return (
        f'  File "{SITE}/torch/distributed/checkpoint/filesystem.py", line 758, in read_data\n'
        f'    tensor = torch.load(\n  File "{SITE}/torch/serialization.py", line 749, in __init__\n'
        "    super().__init__(torch._C.PyTorchFileReader(name_or_buffer))"
    )


def torn_everywhere(voice: Voice, scene: Scene) -> None:
    job = voice.job
    text = "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory"
    late = scene.rng.random(job.n_ranks)
    for rank in range(job.n_ranks):
        at = scene.t + 0.3 * float(late[rank])
        voice.rank(rank, at, traceback(job, rank, _load_frames(), [("root", text)]))


def torn_here(voice: Voice, scene: Scene) -> None:
    """One node's copy of the checkpoint is torn, its ranks cannot load theirs."""
    job = voice.job
    text = job.choose(
        "torn",
        "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory",
        "EOFError: Ran out of input",
        "OSError: [Errno 5] Input/output error: '/local/checkpoints/shard.distcp'",
    )
    for rank in scene.all_ranks():
        at = scene.t + 0.3 * float(scene.rng.random())
        voice.rank(rank, at, traceback(job, rank, _load_frames(), [("root", text)]))
    for node in scene.nodes:
        if text.startswith("OSError"):
            up = job.uptime(node, scene.t)
            line = "blk_update_request: I/O error, dev nvme1n1, sector 918273645 op 0x0:(READ) flags 0x80700"
            voice.kernel(node, scene.t - 0.05, [("root", f"{up} {line}")])


def file_missing(voice: Voice, scene: Scene) -> None:
    job = voice.job
    frames = '  File "/workspace/dataset.py", line 41, in open_shards\n    index = np.memmap(path, mode="r")'
    path = job.choose("missing", "/local/data/shard_00.bin", "/local/tokenizer/vocab.json")
    for rank in scene.all_ranks():
        at = scene.t + 0.2 * float(scene.rng.random())
        said: list[Said] = [("root", f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'")]
        voice.rank(rank, at, traceback(job, rank, frames, said))


def slow_saves(voice: Voice, scene: Scene) -> None:
    """The file server is slow at each save from now on; its clients notice."""
    job = voice.job
    if not job.choose("slow server", True, False):
        return
    for save in job.saves_until(job.iterations):
        t = job.save_begin(save) + 15.0
        if t < scene.t or save == 0:
            continue
        for node in range(job.nodes):
            at = t + 3 * float(scene.rng.random())
            said: list[Said] = [
                ("root", f"{job.uptime(node, at)} nfs: server storage-3 not responding, still trying")
            ]
            if at <= voice.stop_s:
                voice.kernel(node, at, said)
                voice.kernel(
                    node, at + 20, [("context", f"{job.uptime(node, at + 20)} nfs: server storage-3 OK")]
                )


TORN_S = LOAD_S + 2.0
"""When a torn checkpoint is found, seconds."""
