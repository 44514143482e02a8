"""What torchrun and srun say when they start ranks and when ranks die.

The wording is that of torch 2.4-2.8's elastic agent and of Slurm 23; each torchrun agent
speaks for its own node only, and so does its table of failures.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence

from l4fast.simulate_book import Said, Voice

_SITE = "/usr/local/lib/python3.12/dist-packages/torch/distributed"
_HELP = "To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html"

SCRIPTS = {
    "megatron": "pretrain_gpt.py",
    "hf": "finetune.py",
    "nemo": "pretrain_nemo.py",
    "titan": "train.py",
    "k8s": "train.py",
}


def start(voice: Voice) -> None:
    """The launchers start all ranks."""
    job = voice.job
    if voice.layout.kind != "pods":
        voice.scheduler(
            0.0,
            [
                (None, f"+ srun --nodes={job.nodes} bash run.sh"),
                (
                    None,
                    "srun: warning: can't honor --ntasks-per-node set to 8, it is only a maximum. Ignoring.",
                ),
            ],
        )
    if not voice.layout.has_torchrun:
        return
    for node in range(job.nodes):
        t = 1.0 + 0.01 * (node % 50)
        head = job.agent_head("W", node, t, "run.py:793")
        stars = "*" * 41
        voice.agent(
            node,
            t,
            [
                (None, f"{head} "),
                (None, f"{head} {stars}"),
                (
                    None,
                    f"{head} Setting OMP_NUM_THREADS environment variable for each process to be 1 in "
                    "default, to avoid your system being overloaded, please further tune the variable for "
                    "optimal "
                    "performance in your application as needed. ",
                ),
                (None, f"{head} {stars}"),
            ],
        )


def end(voice: Voice, t: float) -> None:
    """All ranks have ended well."""
    job = voice.job
    if voice.layout.has_torchrun:
        for node in range(job.nodes):
            head = job.agent_head("I", node, t, "elastic/agent/server/api.py:879")
            text = (
                "[default] worker group successfully finished. Waiting 300 seconds for other agents to "
                "finish."
            )
            voice.agent(node, t, [(None, f"{head} {text}")])
            head = job.agent_head("I", node, t + 1, "elastic/agent/server/api.py:922")
            voice.agent(
                node, t + 1, [(None, f"{head} Done waiting for other agents. Elapsed: 0.4182 seconds")]
            )
    if voice.layout.kind != "pods":
        voice.scheduler(t + 3, [(None, f"job {job.job_id}: training script ended with exit code 0")])
    else:
        voice.scheduler(t + 3, [(None, "Normal  Completed  job/llm  Job completed")])


def crash(
    voice: Voice,
    node: int,
    t: float,
    dead: Mapping[int, int],
    *,
    kind: str = "consequence",
    stuck: Sequence[int] = (),
) -> float:
    """The launcher of one node finds ranks dead, and ends the others there. Returns when it is done.

    ``dead`` maps a rank to its exit code, or to minus the signal that ended it, the first to
    die first. ``kind`` is the kind of the lines that tell of that one; ranks in ``stuck`` do
    not react to SIGTERM and are killed 30 s later.
    """
    voice.dead.update(dead, stuck)
    if voice.layout.has_torchrun:
        return _torchrun_crash(voice, node, t, dead, kind, stuck)
    _srun_crash(voice, node, t, dead, kind, stuck)
    return t


def _torchrun_crash(
    voice: Voice, node: int, t: float, dead: Mapping[int, int], kind: str, stuck: Sequence[int]
) -> float:
    job = voice.job
    first = next(iter(dead))
    alive = [rank for rank in job.ranks_of(node) if rank not in dead]
    head = job.agent_head("W", node, t, "elastic/multiprocessing/api.py:900")
    said: list[Said] = [
        ("teardown", f"{head} Sending process {job.pids[rank]} closing signal SIGTERM") for rank in alive
    ]
    voice.agent(node, t, said)
    t += 0.4
    if stuck:
        t += 30.0
        head = job.agent_head("W", node, t, "elastic/multiprocessing/api.py:919")
        text = "Unable to shutdown process {} via 15, forcefully exiting via 9"
        voice.agent(node, t, [("root", f"{head} {text.format(job.pids[rank])}") for rank in stuck])
        t += 0.5
    head = job.agent_head("E", node, t, "elastic/multiprocessing/api.py:874")
    failed = (
        f"{head} failed (exitcode: {dead[first]}) local_rank: {job.local_of(first)} "
        f"(pid: {job.pids[first]}) of binary: /usr/bin/python3"
    )
    frames = _agent_frames(
        f'  File "{_SITE}/launcher/api.py", line 269, in launch_agent\n    raise ChildFailedError('
    )
    name = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "
    table = _table(voice, node, t, dead, alive, kind, stuck)
    voice.agent(node, t, [(kind, failed), *frames, ("consequence", name), *table])
    return t + 0.1


def _agent_frames(depth: str) -> list[Said]:
    """The agent's own stack down to the launcher, and then ``depth``."""
    frames = (
        f'  File "/usr/local/bin/torchrun", line 8, in <module>\n    sys.exit(main())\n'
        f'  File "{_SITE}/elastic/multiprocessing/errors/__init__.py", line 355, in wrapper\n'
        f"    return f(*args, **kwargs)\n"
        f'  File "{_SITE}/run.py", line 918, in main\n    run(args)\n'
        f'  File "{_SITE}/run.py", line 909, in run\n    elastic_launch(\n'
        f'  File "{_SITE}/launcher/api.py", line 138, in __call__\n'
        f"    return launch_agent(self._config, self._entrypoint, list(args))\n{depth}"
    )
    return [("context", "Traceback (most recent call last):"), ("context", frames)]


def _table(
    voice: Voice,
    node: int,
    t: float,
    dead: Mapping[int, int],
    alive: Sequence[int],
    kind: str,
    stuck: Sequence[int],
) -> list[Said]:
    """The agent's report box: all failures but the first, then the first as root cause."""
    first = next(iter(dead))
    others = {rank: code for rank, code in dead.items() if rank != first}
    others |= {rank: -9 if rank in stuck else -15 for rank in alive}
    said: list[Said] = [
        ("context", "=" * 60),
        ("consequence", f"{SCRIPTS[voice.job.style]} FAILED"),
        ("context", "-" * 60 + "\nFailures:"),
    ]
    for i, rank in enumerate(sorted(others), 1):
        line_kind = "root" if rank in stuck else "consequence" if rank in dead else "teardown"
        said += _entry(voice, node, t, i, rank, others[rank], line_kind)
    if not others:
        said.append(("context", "  <NO_OTHER_FAILURES>"))
    said.append(("context", "-" * 60 + "\nRoot Cause (first observed failure):"))
    said += _entry(voice, node, t, 0, first, dead[first], kind)
    said.append(("context", "=" * 60))
    return said


def _entry(voice: Voice, node: int, t: float, i: int, rank: int, code: int, kind: str) -> list[Said]:
    job = voice.job
    name = f" ({signal.Signals(-code).name})" if code < 0 else ""
    head = (
        f"[{i}]:\n  time      : {job.clock(node, t):%Y-%m-%d_%H:%M:%S}\n  host      : {job.hosts[node]}\n"
        f"  rank      : {rank} (local_rank: {job.local_of(rank)})"
    )
    said: list[Said] = [
        ("context", head),
        (kind, f"  exitcode  : {code} (pid: {job.pids[rank]}) {name}"),
        ("context", "  error_file: <N/A>"),
    ]
    if code < 0:
        text = f"Signal {-code}{name} received by PID {job.pids[rank]}"
        return [*said, (kind, f"  traceback : {text}")]
    return [*said, ("context", f"  traceback : {_HELP}")]


_SIGNAL_WORDS = {
    -6: "Aborted (core dumped)",
    -9: "Killed",
    -11: "Segmentation fault (core dumped)",
    -15: "Terminated",
}


def _srun_crash(
    voice: Voice, node: int, t: float, dead: Mapping[int, int], kind: str, stuck: Sequence[int]
) -> None:
    job = voice.job
    for code in dict.fromkeys(dead.values()):
        ranks = [rank for rank, its in dead.items() if its == code]
        line_kind = kind if code == next(iter(dead.values())) else "consequence"
        what = _SIGNAL_WORDS.get(code, f"Exited with exit code {code}")
        voice.scheduler(t + 0.05, [(line_kind, f"srun: error: {job.hosts[node]}: {_tasks(ranks)}: {what}")])
    if stuck:
        now = job.clock(node, t + 32)
        why = (
            f"STEPD TERMINATED ON {job.hosts[node]} AT {now:%Y-%m-%dT%H:%M:%S} DUE TO JOB NOT ENDING "
            "WITH SIGNALS"
        )
        voice.scheduler(t + 32, [("root", f"slurmstepd: error: *** STEP {job.job_id}.0 {why} ***")])
        voice.scheduler(t + 32.2, [("root", f"srun: error: {job.hosts[node]}: {_tasks(stuck)}: Killed")])


def _tasks(ranks: Sequence[int]) -> str:
    """``task 7`` or ``tasks 0-3,5``."""
    parts: list[list[int]] = []
    for rank in sorted(ranks):
        if parts and rank == parts[-1][1] + 1:
            parts[-1][1] = rank
        else:
            parts.append([rank, rank])
    names = [str(a) if a == b else f"{a}-{b}" for a, b in parts]
    return f"task{'s' if len(ranks) > 1 else ''} {','.join(names)}"


def abort(voice: Voice, t: float, spared: Sequence[int]) -> None:
    """After a crash, the scheduler ends what still lives.

    torchrun's agents say what signal they got, but for the nodes in ``spared``, whose agents
    have ended; under Kubernetes the operator does the same. srun names the tasks it ended.
    """
    job = voice.job
    now = job.clock(0, t)
    if voice.layout.kind != "pods":
        voice.scheduler(
            t,
            [
                ("teardown", "srun: Job step aborted: Waiting up to 32 seconds for job step to finish."),
                (
                    "teardown",
                    f"slurmstepd: error: *** STEP {job.job_id}.0 ON {job.hosts[0]} "
                    f"CANCELLED AT {now:%Y-%m-%dT%H:%M:%S} ***",
                ),
            ],
        )
    silent = set(spared) if voice.layout.has_torchrun else set(voice.gone)
    stop_nodes(voice, t + 0.3, [node for node in range(job.nodes) if node not in silent], "teardown")


def stop_nodes(voice: Voice, t: float, nodes: Sequence[int], kind: str) -> None:
    """The launchers of ``nodes`` get SIGTERM; ``kind`` is the kind of the lines that say so."""
    job = voice.job
    for node in nodes:
        if not voice.layout.has_torchrun:
            alive = [rank for rank in job.ranks_of(node) if rank not in voice.dead]
            if alive:
                text = f"srun: error: {job.hosts[node]}: {_tasks(alive)}: Terminated"
                voice.scheduler(t + 1, [("teardown", text)])
            continue
        at = t + 0.02 * (node % 20)
        head = job.agent_head("W", node, at, "elastic/agent/server/api.py:704")
        sending = job.agent_head("W", node, at, "elastic/multiprocessing/api.py:900")
        said: list[Said] = [(kind, f"{head} Received 15 death signal, shutting down workers")]
        said += [
            ("teardown", f"{sending} Sending process {job.pids[rank]} closing signal SIGTERM")
            for rank in job.ranks_of(node)
        ]
        frames = _agent_frames(
            f'  File "{_SITE}/elastic/agent/server/api.py", line 835, in _invoke_run\n    '
            "time.sleep(monitor_interval)\n"
            f'  File "{_SITE}/elastic/multiprocessing/api.py", line 84, in _terminate_process_handler\n'
            '    raise SignalException(f"Process {os.getpid()} got signal: {sigval}", sigval=sigval)'
        )
        name = f"Process {job.agent_pids[node]} got signal: 15"
        said += [*frames, (kind, f"torch.distributed.elastic.multiprocessing.api.SignalException: {name}")]
        voice.agent(node, at, said)
