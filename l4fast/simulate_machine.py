"""Faults of accelerators and hosts: what the kernel and the struck process say."""

from __future__ import annotations

from l4fast.simulate_book import Said, Voice
from l4fast.simulate_python import SITE, cuda_error, step_frames, traceback
from l4fast.simulate_scene import Scene


def _xid(voice: Voice, rank: int, t: float, number: int, text: str, kind: str = "root") -> None:
    """One Xid of a rank's GPU; drivers differ in whether they name the process."""
    job = voice.job
    owner = job.choose(
        "xid owner", f"pid={job.pids[rank]}, name=python3, ", "pid='<unknown>', name=<unknown>, ", ""
    )
    node = job.node_of(rank)
    line = f"{job.uptime(node, t)} NVRM: Xid (PCI:0000:{job.bus_of(rank)}): {number}, {owner}{text}"
    voice.kernel(node, t, [(kind, line)])


def _cuda_fails(voice: Voice, scene: Scene, text: str) -> None:
    for rank in scene.ranks:
        voice.rank(rank, scene.t + 0.3, cuda_error(voice.job, rank, text, "root"))


def gpu_lost(voice: Voice, scene: Scene) -> None:
    job = voice.job
    for rank in scene.ranks:
        node, bus = job.node_of(rank), job.bus_of(rank)
        _xid(voice, rank, scene.t, 79, "GPU has fallen off the bus.")
        said: list[Said] = [
            ("root", f"{job.uptime(node, scene.t)} NVRM: GPU 0000:{bus}.0: GPU has fallen off the bus.")
        ]
        voice.kernel(node, scene.t + 0.001, said)
        action = "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"
        _xid(voice, rank, scene.t + 0.01, 154, action, "consequence")
    _cuda_fails(voice, scene, job.choose("lost", "unspecified launch failure", "unknown error"))


def memory_error(voice: Voice, scene: Scene) -> None:
    job = voice.job
    for rank in scene.ranks:
        contained = job.choose("ecc", False, True)
        if contained:
            _xid(voice, rank, scene.t, 94, "Contained: SM (0x1). RST: No, D-RST: No")
        else:
            text = "DBE (double bit error) ECC error detected on HBM3, partition 5 subpartition 1"
            _xid(voice, rank, scene.t, 48, text)
            remap = "Row Remapper: New row marked for remapping, reset gpu to activate."
            _xid(voice, rank, scene.t + 0.01, 63, remap, "consequence")
        removed = (
            f"Ch 00000008, errorString PREEMPTIVE REMOVAL, caused by previous Xid {94 if contained else 48}"
        )
        _xid(voice, rank, scene.t + 0.02, 45, removed, "consequence")
    _cuda_fails(voice, scene, "uncorrectable ECC error encountered")


def link_error(voice: Voice, scene: Scene) -> None:
    """NVLink: the GPU's own complaint, and on machines with a switch the switch's."""
    job = voice.job
    for rank in scene.ranks:
        node = job.node_of(rank)
        if job.choose("nvswitch", True, False):
            line = (
                f"{job.uptime(node, scene.t)} nvidia-nvswitch2: SXid (PCI:0000:07:00.0): 20034, Fatal, "
                f"Link {28 + job.local_of(rank)} LTSSM Fault Up"
            )
            voice.kernel(node, scene.t - 0.004, [("root", line)])
        text = "NVLink: fatal error detected on link 3(0x10000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)"
        _xid(voice, rank, scene.t, 74, text)
    _cuda_fails(voice, scene, job.choose("nvlink", "unspecified launch failure", "unknown error"))


def controller_hung(voice: Voice, scene: Scene) -> None:
    """The GPU's system processor no longer answers; the process waits in the driver and does not die."""
    job = voice.job
    for rank in scene.ranks:
        gpu = f"GPU{job.local_of(rank)} GSP! Expected function 76 (GSP_RM_CONTROL)"
        _xid(voice, rank, scene.t, 119, f"Timeout after 6s of waiting for RPC response from {gpu}")
    _blocked_task(voice, scene, scene.t + 123.0)


def _blocked_task(voice: Voice, scene: Scene, t: float) -> None:
    """The kernel notices a task that has waited too long in the driver."""
    job = voice.job
    for rank in scene.ranks:
        node = job.node_of(rank)
        text = f"{job.uptime(node, t)} INFO: task python3:{job.pids[rank]} blocked for more than 120 seconds."
        voice.kernel(node, t, [("root", text)])


def illegal_access(voice: Voice, scene: Scene) -> None:
    for rank in scene.ranks:
        text = (
            "Ch 00000010, intr 00000000. MMU Fault: ENGINE GRAPHICS GPC3 GPCCLIENT_T1_4 faulted @ "
            "0x7f4c_d2000000."
        )
        _xid(
            voice,
            rank,
            scene.t,
            31,
            f"{text} Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ",
            "root",  # the driver's word for what CUDA tells the process
        )
    _cuda_fails(voice, scene, "an illegal memory access was encountered")


def hang(voice: Voice, scene: Scene) -> None:
    """Nobody says anything; on some kernels the stuck task is noticed."""
    if not voice.job.habits.answers:
        _blocked_task(voice, scene, scene.t + 125.0)


def loader_hang(voice: Voice, scene: Scene) -> None:
    """The main thread waits for its data for ever; some loaders complain now and then."""
    job = voice.job
    if job.choose("loader complains", True, False):
        for rank in scene.ranks:
            for k in (1, 2, 3):
                t = scene.t + 60.0 * k
                stamp = job.iso(job.node_of(rank), t)
                text = f"{stamp} WARNING data loader: no batch for {60 * k} s, worker 2 does not answer"
                voice.rank(rank, t, [("root", text)])


def nothing(voice: Voice, scene: Scene) -> None:
    """The launcher's lines say it all."""


def host_memory(voice: Voice, scene: Scene) -> None:
    job = voice.job
    group = f"/system.slice/slurmstepd.scope/job_{job.job_id}/step_0"
    for rank in scene.ranks:
        node, pid = job.node_of(rank), job.pids[rank]
        up = job.uptime(node, scene.t)
        said: list[Said] = [
            (
                "root",
                f"{up} python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
            ),
            ("context", f"{up} memory: usage 1056964608kB, limit 1056964608kB, failcnt 91273"),
            (
                "root",
                f"{up} oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=step_0,mems_allowed=0-1,"
                f"oom_memcg={group},task_memcg={group}/task_0,task=python3,pid={pid},uid=10001",
            ),
            (
                "root",
                f"{up} Memory cgroup out of memory: Killed process {pid} (python3) total-vm:412903112kB, "
                "anon-rss:131822904kB, file-rss:512220kB, shmem-rss:8450092kB, UID:10001 "
                "pgtables:301224kB oom_score_adj:0",
            ),
        ]
        voice.kernel(node, scene.t, said)
        if voice.layout.kind == "pods":
            text = (
                f"Warning  OOMKilling  node/{job.hosts[node]}  Memory cgroup out of memory: Killed process "
                f"{pid} (python3)"
            )
            voice.scheduler(scene.t + 0.4, [("root", text)])
    if voice.layout.kind != "pods":
        text = (
            f"slurmstepd: error: Detected 1 oom_kill event in StepId={job.job_id}.0. "
            "Some of the step tasks have been OOM Killed."
        )
        voice.scheduler(scene.t + 0.6, [("root", text)])


def segfault(voice: Voice, scene: Scene) -> None:
    job = voice.job
    thread = (
        "\nCurrent thread 0x00007f1c2a7fc640 (most recent call first):\n"
        f'  File "{SITE}/torch/autograd/graph.py", line 824 in _engine_run_backward\n'
        f'  File "{SITE}/torch/_tensor.py", line 648 in backward\n'
    )
    library = job.choose("segfault in", "libtorch_cuda.so", "libnccl.so.2", "libcuda.so.550.90.07")
    for rank in scene.ranks:
        node = job.node_of(rank)
        if job.choose("faulthandler", True, False):
            voice.rank(
                rank, scene.t, [("root", "Fatal Python error: Segmentation fault"), ("context", thread)]
            )
        text = (
            f"{job.uptime(node, scene.t)} python3[{job.pids[rank]}]: segfault at 18 ip "
            f"00007f1c6d2a41f0 sp 00007f1c2a7f9a20 error 4 in {library}[7f1c5e000000+39d2c000]"
        )
        voice.kernel(node, scene.t, [("root", text)])


def panic(voice: Voice, scene: Scene) -> None:
    """The kernel's last words reach a serial console."""
    job = voice.job
    for node in scene.nodes:
        up = job.uptime(node, scene.t - 0.02)
        first = job.choose(
            "panic",
            "mce: [Hardware Error]: CPU 12: Machine Check Exception: 5 Bank 7: be00000000800400",
            "watchdog: Watchdog detected hard LOCKUP on cpu 41",
        )
        why = job.choose("panic", "Fatal machine check", "Hard LOCKUP")
        said: list[Said] = [("root", f"{up} {first}"), ("root", f"{up} Kernel panic - not syncing: {why}")]
        voice.kernel(node, scene.t - 0.02, said, console=True)


def device_memory(voice: Voice, scene: Scene) -> None:
    job = voice.job
    inner = (
        '  File "/opt/model/attention.py", line 312, in forward\n    scores = torch.matmul(query, '
        "key.transpose(-1, -2))"
    )
    name = "torch.cuda.OutOfMemoryError" if job.habits.torch in ("2.2", "2.4") else "torch.OutOfMemoryError"
    for rank in scene.ranks:
        text = (
            f"{name}: CUDA out of memory. Tried to allocate 2.00 GiB. GPU {job.local_of(rank)} has a total "
            "capacity of 79.11 GiB of which 1.33 GiB is free. Including non-PyTorch memory, this "
            "process has 77.76 GiB memory in use. Of the allocated memory 70.21 GiB is allocated by PyTorch, "
            "and 5.11 GiB is reserved by PyTorch but unallocated. If reserved but unallocated memory is "
            "large try setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation."
        )
        voice.rank(rank, scene.t + 0.2, traceback(job, rank, step_frames(job, inner), [("root", text)]))
