"""Faults of machines and links: what the kernel, the killed and the waiting say."""

from __future__ import annotations

from l4fast.simulate_book import Said, Voice
from l4fast.simulate_cascade import Scene, die_together, wait_in_vain
from l4fast.simulate_launch import abort, crash, stop_nodes
from l4fast.simulate_victims import SITE, behind, cuda_error, remote_exited, retry_exceeded


def gpu_lost(voice: Voice, scene: Scene) -> None:
    job, rank = voice.job, scene.rank
    node, bus = job.node_of(rank), job.bus_of(rank)
    up = job.uptime(node, scene.t)
    xid = f"NVRM: Xid (PCI:0000:{bus}): 79, pid={job.pids[rank]}, name=python3, GPU has fallen off the bus."
    said: list[Said] = [
        ("root", f"{up} {xid}"),
        ("root", f"{up} NVRM: GPU 0000:{bus}.0: GPU has fallen off the bus."),
        (
            "consequence",
            f"{up} NVRM: Xid (PCI:0000:{bus}): 154, GPU recovery action changed from 0x0 (None) "
            "to 0x2 (Node Reboot Required)",
        ),
    ]
    voice.kernel(node, scene.t, said)
    _lose_gpu(voice, scene, "unspecified launch failure" if job.old_torch else "unknown error")


def memory_error(voice: Voice, scene: Scene) -> None:
    job, rank = voice.job, scene.rank
    head = f"{job.uptime(job.node_of(rank), scene.t)} NVRM: Xid (PCI:0000:{job.bus_of(rank)})"
    owner = f"pid={job.pids[rank]}, name=python3"
    said: list[Said] = [
        (
            "root",
            f"{head}: 48, {owner}, DBE (double bit error) ECC error detected on HBM3, partition 5 "
            "subpartition 1",
        ),
        (
            "consequence",
            f"{head}: 63, {owner}, Row Remapper: New row marked for remapping, reset gpu to activate.",
        ),
        (
            "consequence",
            f"{head}: 45, {owner}, Ch 00000008, errorString PREEMPTIVE REMOVAL, caused by previous Xid 48",
        ),
    ]
    voice.kernel(job.node_of(rank), scene.t, said)
    _lose_gpu(voice, scene, "uncorrectable ECC error encountered")


def _lose_gpu(voice: Voice, scene: Scene, text: str) -> None:
    """The rank's next CUDA call fails and it exits; the other nodes wait for the watchdog."""
    job, rank = voice.job, scene.rank
    voice.rank(rank, scene.t + 0.8, cuda_error(rank, job, text, "root"))
    crash(voice, job.node_of(rank), scene.t + 2.0, {rank: 1})
    gone = set(job.ranks_of(job.node_of(rank))) if voice.layout.has_torchrun else {rank}
    wait_in_vain(voice, scene.t, _work(voice, scene), gone, scene.rng)


def _work(voice: Voice, scene: Scene) -> int:
    """The collective that the ranks were in."""
    return voice.job.seqnum + 4 * scene.last + 6


def hang(voice: Voice, scene: Scene) -> None:
    """Half of the jobs: the rank answers the dump signal, a collective behind; else it is stuck for good."""
    job, rank = voice.job, scene.rank
    work = _work(voice, scene)
    answers = job.seed % 4 < 2 or job.ranks_per_node == 1
    wait_in_vain(voice, scene.t, work, {rank}, scene.rng, stuck=() if answers else (rank,))
    if answers:
        voice.rank(rank, scene.t + 601.5, behind(job, rank, scene.t + 601.5, work))
        if job.ranks_per_node == 1 and voice.layout.has_torchrun:
            stop_nodes(voice, scene.t + 670.0, [job.node_of(rank)], "teardown")


def killed(voice: Voice, scene: Scene) -> None:
    die_together(voice, scene.t, {scene.rank: -9}, "root", scene.rng)


def host_memory(voice: Voice, scene: Scene) -> None:
    job, rank = voice.job, scene.rank
    node, up, pid = job.node_of(rank), job.uptime(job.node_of(rank), scene.t), job.pids[rank]
    group = f"/system.slice/slurmstepd.scope/job_{job.job_id}/step_0"
    said: list[Said] = [
        ("root", f"{up} python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"),
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
    die_together(voice, scene.t, {rank: -9}, "consequence", scene.rng)
    if voice.layout.kind == "pods":
        text = (
            f"Warning  OOMKilling  node/{job.hosts[node]}  Memory cgroup out of memory: Killed process "
            f"{pid} (python3)"
        )
    else:
        text = (
            f"slurmstepd: error: Detected 1 oom_kill event in StepId={job.job_id}.0. "
            "Some of the step tasks have been OOM Killed."
        )
    voice.scheduler(scene.t + 0.4, [("root", text)])


def segfault(voice: Voice, scene: Scene) -> None:
    job, rank = voice.job, scene.rank
    thread = (
        "\nCurrent thread 0x00007f1c2a7fc640 (most recent call first):\n  File "
        f'"{SITE}/torch/autograd/graph.py", line 824 '
        f'in _engine_run_backward\n  File "{SITE}/torch/_tensor.py", line 648 in backward\n'
    )
    voice.rank(rank, scene.t, [("root", "Fatal Python error: Segmentation fault"), ("context", thread)])
    text = (
        f"{job.uptime(job.node_of(rank), scene.t)} python3[{job.pids[rank]}]: segfault at 18 ip "
        "00007f1c6d2a41f0 sp 00007f1c2a7f9a20 error 4 in libtorch_cuda.so[7f1c5e000000+39d2c000]"
    )
    voice.kernel(job.node_of(rank), scene.t, [("root", text)])
    die_together(voice, scene.t + 0.2, {rank: -11}, "root", scene.rng)


def host_gone(voice: Voice, scene: Scene) -> None:
    """A host falls silent. Its neighbours' adapters give up first; only some schedulers say who it was."""
    job = voice.job
    home = job.node_of(scene.rank)
    named = voice.layout.kind in ("label", "pods")
    gone = set(job.ranks_of(home))
    for node in sorted({(home - 1) % job.nodes, (home + 1) % job.nodes} - {home}):
        victims = [node * job.ranks_per_node + job.local_of(rank) for rank in sorted(gone)]
        for victim, peer in zip(victims, sorted(gone), strict=True):
            at = scene.t + 21 + 3 * float(scene.rng.random())
            voice.rank(
                victim, at, retry_exceeded(job, victim, peer, "consequence" if named else "root"), "stdout"
            )
            voice.rank(victim, at + 1, remote_exited(job, victim, "NET/IB: Got completion with status=12"))
        if not named:
            crash(voice, node, scene.t + 26, dict.fromkeys(victims, 1))
            gone |= set(victims)
    host = job.hosts[home]
    if voice.layout.kind == "label":
        now = f"{job.clock(0, scene.t + 60):%Y-%m-%dT%H:%M:%S}"
        why = f"ON {host} CANCELLED AT {now} DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS"
        voice.scheduler(
            scene.t + 60,
            [
                ("root", f"srun: error: Node failure on {host}"),
                ("root", f"slurmstepd: error: *** STEP {job.job_id}.0 {why} ***"),
            ],
        )
        abort(voice, scene.t + 61, [home])
    elif voice.layout.kind == "pods":
        voice.scheduler(scene.t + 50, [("root", f"Warning  NodeNotReady  pod/{host}  Node is not ready")])
        stop_nodes(voice, scene.t + 70, [n for n in range(job.nodes) if n != home], "teardown")
    else:
        wait_in_vain(voice, scene.t, _work(voice, scene), gone, scene.rng)


def link_down(voice: Voice, scene: Scene) -> None:
    job, rank = voice.job, scene.rank
    home, local = job.node_of(rank), job.local_of(rank)
    link = f"mlx5_core 0000:{job.bus_of(rank)}.0 mlx5_{local}: Port: 1"
    voice.kernel(home, scene.t, [("root", f"{job.uptime(home, scene.t)} {link} Link DOWN")])
    voice.kernel(home, scene.t + 34, [("context", f"{job.uptime(home, scene.t + 34)} {link} Link ACTIVE")])
    others = sorted({(home - 1) % job.nodes, (home + 1) % job.nodes} - {home})
    t = scene.t + 22.0
    for node in others:
        victim = node * job.ranks_per_node + local
        at = t + 0.5 * float(scene.rng.random())
        voice.rank(victim, at, retry_exceeded(job, victim, rank, "root"), "stdout")
        voice.rank(victim, at + 0.4, remote_exited(job, victim, "NET/IB: Got completion with status=12"))
        crash(voice, node, at + 1.2, {victim: 1})
    peer = others[0] * job.ranks_per_node + local if others else rank
    voice.rank(rank, t + 0.1, retry_exceeded(job, rank, peer, "consequence"), "stdout")
    voice.rank(rank, t + 0.5, remote_exited(job, rank, "NET/IB: Got completion with status=12"))
    crash(voice, home, t + 1.4, {rank: 1})
    abort(voice, t + 8.0, [home, *others])
