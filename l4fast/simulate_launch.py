"""What torchrun says when it starts ranks and when ranks die.

The wording is that of torch 2.2-2.8's elastic agent; each agent speaks for its own node only, and
so does its table of failures.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

import numpy as np

from l4fast.simulate_book import Said, Voice
from l4fast.simulate_physics import SELF, STUCK_S, Incident

_SITE = "/usr/local/lib/python3.12/dist-packages/torch/distributed"
_HELP = "To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html"
_MULTI = "elastic/multiprocessing/api.py"
_AGENT = "elastic/agent/server/api.py"

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
        limit = "srun: warning: can't honor --ntasks-per-node set to 8, it is only a maximum. Ignoring."
        voice.scheduler(0.0, [(None, f"+ srun --nodes={job.nodes} bash run.sh"), (None, limit)])
    if not voice.layout.has_torchrun:
        return
    advice = (
        "Setting OMP_NUM_THREADS environment variable for each process to be 1 in "
        "default, to avoid your system being overloaded, please further tune the variable for optimal "
        "performance in your application as needed. "
    )
    for node in range(job.nodes):
        t = 1.0 + 0.01 * (node % 50)
        head = job.agent_head("W", node, t, "run.py:793")
        stars = "*" * 41
        texts = (f"{head} ", f"{head} {stars}", f"{head} {advice}", f"{head} {stars}")
        voice.agent(node, t, [(None, text) for text in texts])


def end(voice: Voice, t: float) -> None:
    """All ranks have ended well."""
    job = voice.job
    if voice.layout.has_torchrun:
        for node in range(job.nodes):
            head = job.agent_head("I", node, t, f"{_AGENT}:879")
            text = (
                "[default] worker group successfully finished. Waiting 300 seconds for other agents to "
                "finish."
            )
            voice.agent(node, t, [(None, f"{head} {text}")])
            head = job.agent_head("I", node, t + 1, f"{_AGENT}:922")
            done = f"{head} Done waiting for other agents. Elapsed: 0.4182 seconds"
            voice.agent(node, t + 1, [(None, done)])
    if voice.layout.kind != "pods":
        voice.scheduler(t + 3, [(None, f"job {job.job_id}: training script ended with exit code 0")])
    else:
        voice.scheduler(t + 3, [(None, "Normal  Completed  job/llm  Job completed")])


def agents(voice: Voice, incident: Incident) -> None:
    """Each torchrun tells what it saw: ranks that died by themselves, or the order to stop."""
    job, course = voice.job, voice.course
    if not voice.layout.has_torchrun:
        return
    for node in range(job.nodes):
        if course.agent_s[node] < course.step_s:
            _crash(voice, incident, node)
        if np.isfinite(course.step_s) and course.agent_end_s[node] > course.step_s:
            _stopped(voice, incident, node)


def _crash(voice: Voice, incident: Incident, node: int) -> None:
    """The agent of ``node`` finds ranks dead, ends the others there, and gives up."""
    job, course = voice.job, voice.course
    t, until = float(course.agent_s[node]), course.step_s
    ranks = list(job.ranks_of(node))
    dead = [r for r in ranks if course.by[r] == SELF and course.death_s[r] <= t]
    dead.sort(key=lambda rank: course.death_s[rank])
    alive = [r for r in ranks if r not in dead]
    stuck = [r for r in alive if r in incident.stuck]
    first = dead[0]
    head = job.agent_head("W", node, t, f"{_MULTI}:900")
    verb = "Sending process {} closing signal SIGTERM"
    voice.agent(node, t, [("teardown", f"{head} {verb.format(job.pids[rank])}") for rank in alive])
    t += 0.4
    if stuck:
        t += STUCK_S
        if t > until:
            return
        head = job.agent_head("W", node, t, f"{_MULTI}:919")
        text = "Unable to shutdown process {} via 15, forcefully exiting via 9"
        voice.agent(node, t, [("root", f"{head} {text.format(job.pids[rank])}") for rank in stuck])
        t += 0.5
    if t > until:
        return
    kind = incident.kind if first in incident.absent or first in incident.deaths else "consequence"
    head = job.agent_head("E", node, t, f"{_MULTI}:874")
    failed = (
        f"{head} failed (exitcode: {course.code[first]}) local_rank: {job.local_of(first)} "
        f"(pid: {job.pids[first]}) of binary: /usr/bin/python3"
    )
    frames = _frames(
        f'  File "{_SITE}/launcher/api.py", line 269, in launch_agent\n    raise ChildFailedError('
    )
    name = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "
    table = _table(voice, node, t, dead, alive, kind, stuck)
    voice.agent(node, t, [(kind, failed), *frames, ("consequence", name), *table])


def _stopped(voice: Voice, incident: Incident, node: int) -> None:
    """The agent of ``node`` is told to end by whoever started it."""
    job, course = voice.job, voice.course
    at = course.step_s + 0.3 + 0.02 * (node % 20)
    kind = "consequence" if np.isfinite(incident.killed_s) else "teardown"
    head = job.agent_head("W", node, at, f"{_AGENT}:704")
    sending = job.agent_head("W", node, at, f"{_MULTI}:900")
    said: list[Said] = [(kind, f"{head} Received 15 death signal, shutting down workers")]
    said += [
        ("teardown", f"{sending} Sending process {job.pids[rank]} closing signal SIGTERM")
        for rank in job.ranks_of(node)
        if course.death_s[rank] >= course.step_s and not incident.agents
    ]
    frames = _frames(
        f'  File "{_SITE}/elastic/agent/server/api.py", line 835, in _invoke_run\n    '
        "time.sleep(monitor_interval)\n"
        f'  File "{_SITE}/{_MULTI}", line 84, in _terminate_process_handler\n'
        '    raise SignalException(f"Process {os.getpid()} got signal: {sigval}", sigval=sigval)'
    )
    name = f"Process {job.agent_pids[node]} got signal: 15"
    said += [*frames, (kind, f"torch.distributed.elastic.multiprocessing.api.SignalException: {name}")]
    voice.agent(node, at, said)
    stuck = [r for r in incident.stuck if job.node_of(r) == node]
    if stuck:
        head = job.agent_head("W", node, at + STUCK_S, f"{_MULTI}:919")
        text = "Unable to shutdown process {} via 15, forcefully exiting via 9"
        voice.agent(node, at + STUCK_S, [("root", f"{head} {text.format(job.pids[r])}") for r in stuck])


def _frames(depth: str) -> list[Said]:
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


def agent_traceback(depth: str, kind: str, error: str) -> list[Said]:
    """An exception that ends an agent before it has started any rank."""
    return [*_frames(depth), (kind, error)]


def _table(
    voice: Voice,
    node: int,
    t: float,
    dead: Sequence[int],
    alive: Sequence[int],
    kind: str,
    stuck: Sequence[int],
) -> list[Said]:
    """The failures of one node: ``dead[0]`` is the root cause that the agent names."""
    course = voice.course
    first = dead[0]
    codes = {rank: int(course.code[rank]) for rank in dead[1:]}
    codes |= {rank: -9 if rank in stuck else -15 for rank in alive}
    said: list[Said] = [
        ("context", "=" * 60),
        ("consequence", f"{SCRIPTS[voice.job.style]} FAILED"),
        ("context", "-" * 60 + "\nFailures:"),
    ]
    for i, rank in enumerate(sorted(codes), 1):
        line_kind = "root" if rank in stuck else "consequence" if rank in dead else "teardown"
        said += _entry(voice, node, t, i, rank, codes[rank], line_kind)
    if not codes:
        said.append(("context", "  <NO_OTHER_FAILURES>"))
    said.append(("context", "-" * 60 + "\nRoot Cause (first observed failure):"))
    said += _entry(voice, node, t, 0, first, int(course.code[first]), kind)
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
