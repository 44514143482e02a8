"""What Slurm and Kubernetes say when tasks end, nodes vanish and jobs are ended.

The wording is Slurm 23's and that of the Kubernetes events of a PyTorchJob. srun names the tasks
that ended, host by host, until the step is ended; what follows is its own doing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l4fast.simulate_book import Said, Voice
from l4fast.simulate_physics import SELF, STEP, STUCK_S, Incident

_WORDS = {
    -6: "Aborted (core dumped)",
    -9: "Killed",
    -11: "Segmentation fault (core dumped)",
    -7: "Bus error (core dumped)",
    -15: "Terminated",
}


def tell(voice: Voice, incident: Incident) -> None:
    """The scheduler's part of the end; ``incident`` tells which ends were not its doing."""
    if voice.layout.kind == "pods":
        _pods(voice, incident)
        return
    _node_failures(voice, incident)
    if voice.layout.kind == "label":
        _tasks_of_ranks(voice, incident)
    else:
        _tasks_of_agents(voice, incident)
    if np.isfinite(voice.course.step_s) and not np.isfinite(incident.killed_s):
        cancel(voice, voice.course.step_s, "", "teardown")


def cancel(voice: Voice, t: float, why: str, kind: str) -> None:
    """The whole step is ended; ``why`` is DUE TO something, or nothing."""
    job = voice.job
    now = f"{job.clock(0, t):%Y-%m-%dT%H:%M:%S}"
    step = f"*** STEP {job.job_id}.0 ON {job.hosts[0]} CANCELLED AT {now}{why} ***"
    waiting = "srun: Job step aborted: Waiting up to 32 seconds for job step to finish."
    lines: list[Said] = [("teardown", waiting), (kind, f"slurmstepd: error: {step}")]
    voice.scheduler(t, lines if kind == "teardown" else lines[::-1])


def _node_failures(voice: Voice, incident: Incident) -> None:
    """slurmctld misses the nodes that are gone, if the step lives long enough for it."""
    job, course = voice.job, voice.course
    lost = [n for n, t in incident.gone.items() if t + job.habits.node_watch_s <= course.step_s + 0.01]
    if not lost:
        return
    t = course.step_s
    now = f"{job.clock(0, t):%Y-%m-%dT%H:%M:%S}"
    said: list[Said] = [("root", f"srun: error: Node failure on {job.hosts[node]}") for node in lost]
    why = f"CANCELLED AT {now} DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS"
    said.append(("root", f"slurmstepd: error: *** STEP {job.job_id}.0 ON {job.hosts[lost[0]]} {why} ***"))
    voice.scheduler(t - 0.1, said)


def _tasks_of_ranks(voice: Voice, incident: Incident) -> None:
    """srun names the ranks that ended, those of one node and code in one line."""
    job, course = voice.job, voice.course
    for node in range(job.nodes):
        ranks = np.array(job.ranks_of(node))
        for by in (SELF, STEP):
            mine = ranks[course.by[ranks] == by]
            for code in dict.fromkeys(course.code[mine].tolist()):
                same = mine[course.code[mine] == code]
                # Ends within a second of each other share a line.
                begins = np.floor(course.death_s[same] - course.death_s[same].min())
                for second in np.unique(begins):
                    told = same[begins == second].tolist()
                    at = float(course.death_s[told].max()) + (0.05 if by == SELF else 1.0)
                    voice.scheduler(at, [(_kind(incident, told, by, code), _ended(voice, node, told, code))])
        stuck = [r for r in incident.stuck if job.node_of(r) == node and course.by[r] == STEP]
        if stuck:
            t = course.step_s + STUCK_S + 2.0
            now = f"{job.clock(node, t):%Y-%m-%dT%H:%M:%S}"
            why = f"STEPD TERMINATED ON {job.hosts[node]} AT {now} DUE TO JOB NOT ENDING WITH SIGNALS"
            voice.scheduler(t, [("root", f"slurmstepd: error: *** STEP {job.job_id}.0 {why} ***")])


def _kind(incident: Incident, ranks: Sequence[int], by: int, code: int) -> str:
    if by == STEP:
        return "root" if code == -9 else "teardown"
    return incident.kind if ranks[0] in incident.deaths else "consequence"


def _ended(voice: Voice, node: int, tasks: Sequence[int], code: int) -> str:
    what = _WORDS.get(code, f"Exited with exit code {code}")
    return f"srun: error: {voice.job.hosts[node]}: {_names(tasks)}: {what}"


def _names(tasks: Sequence[int]) -> str:
    """``task 7`` or ``tasks 0-3,5``."""
    parts: list[list[int]] = []
    for task in sorted(tasks):
        if parts and task == parts[-1][1] + 1:
            parts[-1][1] = task
        else:
            parts.append([task, task])
    names = [str(a) if a == b else f"{a}-{b}" for a, b in parts]
    return f"task{'s' if len(tasks) > 1 else ''} {','.join(names)}"


def _tasks_of_agents(voice: Voice, incident: Incident) -> None:
    """Under torchrun a node is one task, which ends with its agent."""
    job, course = voice.job, voice.course
    for node in range(job.nodes):
        if node in incident.gone:
            continue
        if course.agent_end_s[node] <= course.step_s:
            text = f"srun: error: {job.hosts[node]}: task {node}: Exited with exit code 1"
            voice.scheduler(float(course.agent_end_s[node]) + 0.1, [("consequence", text)])
        elif np.isfinite(course.step_s):
            text = f"srun: error: {job.hosts[node]}: task {node}: Exited with exit code 1"
            voice.scheduler(course.step_s + 1.5 + 0.01 * node, [("teardown", text)])


def _pods(voice: Voice, incident: Incident) -> None:
    """Kubernetes' events: a node that is gone, the first pod that failed, the end of the job."""
    job, course = voice.job, voice.course
    for node, t in incident.gone.items():
        if t + job.habits.node_watch_s <= course.step_s + 0.01:
            text = f"Warning  NodeNotReady  pod/{job.hosts[node]}  Node is not ready"
            voice.scheduler(t + job.habits.node_watch_s, [("root", text)])
    ended = [n for n in range(job.nodes) if course.agent_end_s[n] <= course.step_s and n not in incident.gone]
    for node in ended:
        t = float(course.agent_end_s[node])
        text = f"Normal  ExitedWithCode  pytorchjob/llm  Pod: train.{job.hosts[node]} exited with code 1"
        voice.scheduler(t + 1.0, [("consequence", text)])
    if np.isfinite(course.step_s) and not np.isfinite(incident.killed_s) and ended:
        why = f"PyTorchJob llm is failed because {len(ended)} Worker replica(s) failed."
        voice.scheduler(course.step_s, [("teardown", f"Warning  PyTorchJobFailed  pytorchjob/llm  {why}")])
