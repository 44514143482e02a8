"""The logs of a training job with a planted fault, and the truth about it: for docs, tests, benchmarks.

A simulated job is as large as wanted (8 to 10,000 ranks) and the same for the same seed. A fault is
an incident, which `simulate_physics` unfolds: whose collective blocks first, whose watchdog barks
when, who is ended by whom, and what never reaches a file. Then everybody speaks, in one of five
ways to write logs (`STYLES`), as long as it lives. The truth is told of what is left.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import ModuleType
from zlib import crc32

import numpy as np
import orjson

from l4fast import (
    simulate_cascade,
    simulate_hf,
    simulate_launch,
    simulate_megatron,
    simulate_nemo,
    simulate_scheduler,
    simulate_start,
    simulate_titan,
)
from l4fast.errors import UsageError
from l4fast.simulate_book import Layout, Notes, Voice, write_file
from l4fast.simulate_bulk import Drag, write_chatter
from l4fast.simulate_fault import Fault, dragged
from l4fast.simulate_faults import FAULTS as _FAULTS
from l4fast.simulate_groups import under_switch
from l4fast.simulate_job import Job, plan, slowed
from l4fast.simulate_physics import Incident, healthy, unfold
from l4fast.simulate_scene import Scene
from l4fast.simulate_truth import Truth
from l4fast.targets import remove

_PROGRAMS: dict[str, tuple[ModuleType, str]] = {
    "megatron": (simulate_megatron, "tree"),
    "hf": (simulate_hf, "tee"),
    "nemo": (simulate_nemo, "label"),
    "titan": (simulate_titan, "label"),
    "k8s": (simulate_titan, "pods"),
}

STYLES: tuple[str, ...] = tuple(_PROGRAMS)
FAULTS: tuple[str, ...] = tuple(_FAULTS)
MANY: tuple[str, ...] = tuple(name for name, fault in _FAULTS.items() if fault.many or name == "switch-down")
"""The faults that several nodes can have at once."""

_LAST_STAGES = ("iterate", "checkpoint", "evaluate", "shutdown")


def simulate(
    out: str | os.PathLike[str],
    *,
    style: str = "megatron",
    nodes: int = 16,
    ranks_per_node: int = 8,
    iterations: int = 200,
    fault: str | None = None,
    seed: int = 0,
    clock_skew_s: float = 0.05,
    culprits: int = 1,
    kernel_logs: bool = True,
) -> Truth:
    """Write a job's logs to ``out/logs`` and the truth about it to ``out/truth.json``.

    Parameters
    ----------
    out
        A folder that does not exist yet, or is empty. It appears when all is written.
    style, fault
        Of `STYLES` and `FAULTS`; no fault is a healthy job that finishes.
    nodes, ranks_per_node
        At least two ranks in all, at most 10 on a node (one digit for the local rank).
    iterations
        At least 8. Checkpoints are due every quarter, an evaluation every half.
    clock_skew_s
        Standard deviation of the nodes' clocks, seconds; none is more than two of them off.
    culprits
        On how many nodes it strikes, for the faults in `MANY`; of a switch, how many hang on it.
    kernel_logs
        Whether the nodes' kernel logs are among the logs.

    Raises
    ------
    UsageError
        An argument is out of range, or ``out`` holds something already.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     truth = simulate(folder + "/job", nodes=2, iterations=8, fault="sigkill")
    >>> truth.category, len(truth.root_lines)
    ('platform', 3)
    """
    _check(style, nodes, ranks_per_node, iterations, fault, clock_skew_s, culprits, seed)
    target = Path(os.path.realpath(out))
    is_there = target.exists()
    if is_there and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{out} exists and is not an empty folder: name another one", os.fspath(out))
    # Written aside and renamed, so that whoever sees the folder sees all of it. One that is there may be
    # where somebody stands, or where a disk is mounted: it stays, and gets its contents at the end.
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target if is_there else target.parent))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise UsageError(
            f"{out} cannot be written ({reason}): name another folder", os.fspath(out)
        ) from error
    try:
        # Another cluster for each fault too, lest all that strikes with one seed strikes the same node.
        rng = np.random.default_rng([seed, STYLES.index(style), crc32((fault or "").encode())])
        job = plan(
            style, fault, nodes, ranks_per_node, iterations, seed, clock_skew_s, kernel_logs, culprits, rng
        )
        truth = _write(aside, job, fault, culprits, rng)
        (aside / "truth.json").write_bytes(orjson.dumps(truth, option=orjson.OPT_INDENT_2))
        if is_there:
            for part in ("logs", "truth.json"):
                (aside / part).replace(target / part)
        else:
            aside.chmod(0o755)  # mkdtemp makes folders that only their owner can read
            aside.replace(target)
    finally:
        remove(aside)
    return truth


def _check(
    style: str,
    nodes: int,
    ranks_per_node: int,
    iterations: int,
    fault: str | None,
    clock_skew_s: float,
    culprits: int,
    seed: int,
) -> None:
    if seed < 0:
        raise UsageError(f"seed {seed}: 0 or more")
    if style not in STYLES:
        raise UsageError(f"no style {style!r}: choose one of {', '.join(STYLES)}")
    if fault is not None and fault not in FAULTS:
        raise UsageError(f"no fault {fault!r}: choose one of {', '.join(FAULTS)}")
    if nodes < 1 or not 1 <= ranks_per_node <= 10 or nodes * ranks_per_node < 2:
        raise UsageError(f"{nodes} nodes of {ranks_per_node} ranks: 1 to 10 ranks a node, 2 ranks at least")
    if iterations < 8:
        raise UsageError(f"{iterations} iterations: 8 at least, or no checkpoint is ever due")
    if not 0 <= clock_skew_s < 60:
        raise UsageError(f"clock skew of {clock_skew_s} s: 0 to 60")
    if culprits != 1 and (fault not in MANY or not 1 <= culprits < nodes):
        raise UsageError(f"{culprits} faulty nodes of {nodes}: 1, or fewer than all for {', '.join(MANY)}")


def _write(root: Path, job: Job, name: str | None, culprits: int, rng: np.random.Generator) -> Truth:
    """Draw the scene, let it unfold, let everybody speak, and write it all down."""
    program, kind = _PROGRAMS[job.style]
    layout = Layout(
        kind, f"{job.job_id}_" + "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz0123456789_"), 8))
    )
    fault = _FAULTS[name] if name is not None else None
    if fault is None or name is None:
        scene, incident = None, None
    else:
        job, scene = _scene(job, name, fault, culprits, rng)
        incident = fault.happen(scene) if fault.happen else None
    course = unfold(job, incident, layout.launcher, rng) if incident else healthy(job)
    voice = Voice(job, layout, course)
    last = scene.last if scene else job.iterations
    drag = None
    if fault and scene:
        voice.suspects = () if fault.blames == "nobody" else scene.nodes
        if fault.slow:
            last = _still_running(job, scene)
            if last < job.iterations:
                voice.stop_s = job.begin_of(last + 1) + 0.1
            drag = Drag(dragged(fault, scene), scene.last + 1, fault.slow.drag)
    resume = 20 * job.save_every if fault and fault.stage == "load" else None
    simulate_start.kernels(voice, rng)
    simulate_launch.start(voice)
    simulate_start.warnings(voice, rng)
    simulate_start.communicators(voice, rng)
    program.speak(voice, last, resume, rng)
    if fault and scene:
        fault.say(voice, scene)
    if incident:
        _fall(voice, incident, last)
    elif last == job.iterations:
        simulate_launch.end(voice, job.finish_s + 12.0)
    notes = Notes()
    if last:
        write_chatter(voice, root / "logs", last, program.chatter(job), drag, notes, rng)
    for file, items in voice.pages.items():
        write_file(root / "logs", file, items, notes)
    notes.failures.sort(key=lambda x: (x.file, x.line))
    notes.context.sort(key=lambda x: x.file)
    return _truth(voice, name, fault, scene, notes, finished=last == job.iterations)


def _fall(voice: Voice, incident: Incident, last: int) -> None:
    """Victims, launchers and scheduler say how the job went down."""
    simulate_cascade.tell(voice, incident, last)
    simulate_launch.agents(voice, incident)
    simulate_scheduler.tell(voice, incident)
    if voice.layout.kind != "pods" and not np.isfinite(incident.killed_s):
        text = f"job {voice.job.job_id}: training script ended with exit code 1"
        voice.scheduler(voice.latest_s + 3.0, [("consequence", text)])


def _still_running(job: Job, scene: Scene) -> int:
    """How far a slow job got: to its end, or its logs are a copy made while it ran."""
    if job.choose("finished", True, False, False):
        return job.iterations
    more = max(3, (job.iterations - scene.last) * 2 // 3)
    if job.pause_s:
        more = max(more, 1 + job.save_every + job.log_every)  # it went on after the second slow save
    return min(job.iterations, scene.last + more)


def _scene(job: Job, name: str, fault: Fault, culprits: int, rng: np.random.Generator) -> tuple[Job, Scene]:
    """Draw when and where ``name`` strikes: late in the job, not beside a checkpoint unless at one."""
    low = min(1, job.nodes - 1)
    nodes = np.sort(rng.choice(np.arange(low, job.nodes), min(culprits, job.nodes - low), replace=False))
    if name == "switch-down":
        nodes = np.array(under_switch(job, int(nodes[0])))
    ranks = tuple(int(n) * job.ranks_per_node + int(rng.integers(job.ranks_per_node)) for n in nodes)
    if name == "port-in-use":
        ranks = (0,)
    share = 0.55 + 0.35 * float(rng.random())
    if fault.starts_s is not None:
        return job, Scene(job, fault.starts_s, ranks, 0, rng)
    if fault.slow is not None:
        first = max(2, int(share * 0.7 * job.iterations))
        if fault.stage == "checkpoint":
            # One long save happens to everybody: that they are slow is told by the second.
            latest = max(1, job.iterations // job.save_every - 2)
            first = min(-(-first // job.save_every), latest) * job.save_every
        job = slowed(job, first, fault.slow.factor, fault.slow.pause_s)
        return job, Scene(job, job.begin_of(first), ranks, first - 1, rng)
    last = int(share * job.iterations)
    if fault.stage == "checkpoint":
        last = max(job.save_every, last // job.save_every * job.save_every)
        return job, Scene(job, job.save_begin(last) + 1.5, ranks, last, rng)
    while last % job.save_every < min(2, job.save_every - 1):
        last += 1
    t = job.begin_of(last + 1) + (0.4 + 0.3 * float(rng.random())) * job.step_s
    return job, Scene(job, t, ranks, last, rng)


def _truth(
    voice: Voice, name: str | None, fault: Fault | None, scene: Scene | None, notes: Notes, *, finished: bool
) -> Truth:
    job, told = voice.job, voice.told
    last = max(told.get("iteration", ()), default=None)
    durable = _durable(voice, last or 0, finished=finished)
    nodes: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()
    evidence = "none"
    if fault and scene and fault.blames != "nobody":
        nodes = tuple(job.hosts[node] for node in scene.nodes)
        ranks = scene.ranks if fault.blames == "rank" else scene.all_ranks()
        if name == "port-in-use":
            ranks = () if voice.layout.has_torchrun else (0,)
        clear = voice.named >= set(scene.nodes) and not voice.crowd
        evidence = fault.evidence if clear else fault.otherwise
        if fault.slow and voice.layout.kind == "tee" and evidence != "explicit":
            evidence = "none"  # no batch tells whose it is: each node has a [default0]
        if job.nodes == len(scene.nodes):
            evidence = "none" if evidence != "explicit" else evidence
    slow = fault is not None and fault.slow is not None
    first = None
    if fault and scene and fault.starts_s is None:
        first = scene.last + (0 if fault.stage == "checkpoint" and not slow else 1)
    return Truth(
        style=job.style,
        fault=name,
        outcome="slow" if slow else "failure" if fault else "success",
        category=fault.category if fault else None,
        to_blame=bool(nodes),
        faulty_nodes=nodes,
        faulty_ranks=ranks,
        node_evidence=evidence,
        stage=fault.stage if fault else "iterate",
        last_iteration=last,
        first_abnormal_iteration=first,
        last_durable_checkpoint=durable,
        last_accepted_checkpoint=max(
            [*told.get("promised", ()), *([durable] if durable else [])], default=None
        ),
        verdict=fault.verdict if fault else "none",
        nodes=job.nodes,
        ranks=job.n_ranks,
        log_every=job.log_every,
        kernel_logs=job.kernel_logs,
        root_lines=notes.roots,
        failure_lines=tuple(notes.failures),
        context_lines=tuple(notes.context),
        accepted=_accepted(fault, job) if fault else {"stage": _LAST_STAGES},
    )


def _accepted(fault: Fault, job: Job) -> dict[str, tuple[str, ...]]:
    """What else can be defended: more where the kernel's lines are missing."""
    return {**fault.accepted, **({} if job.kernel_logs else fault.blind)}


def _durable(voice: Voice, last: int, *, finished: bool) -> int | None:
    """The newest checkpoint that the logs prove to be on disk.

    Hugging Face's trainer has no commit line: a later step shows that the call returned.
    """
    saves = voice.told.get("durable", set())
    if voice.job.style == "hf":
        saves = {save for save in voice.told.get("begun", ()) if save < last or finished}
    return max(saves, default=None)
