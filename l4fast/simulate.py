"""The logs of a training job with a planted fault, and the truth about it: for docs, tests, benchmarks.

A simulated job is as large as wanted (8 to 10,000 ranks) and the same for the same seed. It
knows five ways to write logs (`STYLES`) and eighteen ways to fail (`FAULTS`); what the
machines, launchers and libraries say follows the real wording, with the real delays between
a cause and its victims.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import orjson

from l4fast import (
    simulate_hf,
    simulate_launch,
    simulate_megatron,
    simulate_nemo,
    simulate_start,
    simulate_titan,
)
from l4fast.errors import UsageError
from l4fast.simulate_book import Layout, Notes, Voice, write_file
from l4fast.simulate_bulk import chatter
from l4fast.simulate_cascade import Scene
from l4fast.simulate_faults import FAULTS as _FAULTS
from l4fast.simulate_faults import STARTS, Fault
from l4fast.simulate_job import Job, Truth, plan

_PROGRAMS: dict[str, tuple[ModuleType, str]] = {
    "megatron": (simulate_megatron, "tree"),
    "hf": (simulate_hf, "tee"),
    "nemo": (simulate_nemo, "label"),
    "titan": (simulate_titan, "label"),
    "k8s": (simulate_titan, "pods"),
}

STYLES: tuple[str, ...] = tuple(_PROGRAMS)
FAULTS: tuple[str, ...] = tuple(_FAULTS)

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
        Standard deviation of the nodes' clocks, seconds.

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
    _check(style, nodes, ranks_per_node, iterations, fault, clock_skew_s)
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} exists and is not an empty folder: name another one", str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and renamed, so that whoever sees the folder sees all of it.
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        truth = _write(aside, style, nodes, ranks_per_node, iterations, fault, seed, clock_skew_s)
        (aside / "truth.json").write_bytes(orjson.dumps(truth, option=orjson.OPT_INDENT_2))
        aside.chmod(0o755)  # mkdtemp makes folders that only their owner can read
        aside.replace(target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return truth


def _check(
    style: str, nodes: int, ranks_per_node: int, iterations: int, fault: str | None, clock_skew_s: float
) -> None:
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


def _write(
    root: Path,
    style: str,
    nodes: int,
    ranks_per_node: int,
    iterations: int,
    fault: str | None,
    seed: int,
    clock_skew_s: float,
) -> Truth:
    rng = np.random.default_rng([seed, STYLES.index(style)])
    job = plan(style, nodes, ranks_per_node, iterations, seed, clock_skew_s, rng)
    program, kind = _PROGRAMS[style]
    run = f"{job.job_id}_" + "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz0123456789_"), 8))
    voice = Voice(job, Layout(kind, run))
    if fault is None:
        last, resume = iterations, None
    else:
        scene = _scene(job, fault, rng)
        last = scene.last
        resume = 20 * job.save_every if fault == "corrupt-checkpoint" else None
        voice.stop_s = scene.t
        if fault == "host-crash":
            voice.gone[job.node_of(scene.rank)] = scene.t
    simulate_start.kernels(voice, rng)
    simulate_launch.start(voice)
    simulate_start.warnings(voice, rng)
    simulate_start.communicators(voice, rng)
    program.speak(voice, last, resume, rng)
    if fault is None:
        simulate_launch.end(voice, job.finish_s + 12.0)
    else:
        _FAULTS[fault].tell(voice, scene)
        if kind != "pods" and _FAULTS[fault].category != "preemption":
            text = f"job {job.job_id}: training script ended with exit code 1"
            voice.scheduler(voice.latest_s + 3.0, [("consequence", text)])
    notes = Notes()
    # A job that never iterated has no chatter, and perhaps not even the files for it.
    for pages in chatter(voice, last, program.CHATTER, rng) if last else ():
        for file, items in pages.items():
            write_file(root / "logs", file, items + voice.pages.pop(file, []), notes)
    for file, items in voice.pages.items():
        write_file(root / "logs", file, items, notes)
    notes.failures.sort(key=lambda x: (x.file, x.line))
    notes.context.sort(key=lambda x: x.file)
    if fault is None:
        return _truth(job, voice, None, None, None, notes)
    return _truth(job, voice, fault, _FAULTS[fault], scene, notes)


def _scene(job: Job, name: str, rng: np.random.Generator) -> Scene:
    """Draw when and where ``name`` strikes: late in the job, not beside a checkpoint unless at one."""
    node = int(rng.integers(min(1, job.nodes - 1), job.nodes))
    rank = node * job.ranks_per_node + int(rng.integers(job.ranks_per_node))
    share = 0.55 + 0.35 * float(rng.random())
    if name in STARTS:
        return Scene(STARTS[name], 0 if name == "port-in-use" else rank, 0, rng)
    last = int(share * job.iterations)
    if name == "disk-full":
        last = max(job.save_every, last // job.save_every * job.save_every)
        return Scene(job.save_begin(last) + 1.5, rank, last, rng)
    while last % job.save_every < min(2, job.save_every - 1):
        last += 1
    return Scene(job.end_of(last) + 0.5 * job.step_s, rank, last, rng)


def _truth(
    job: Job, voice: Voice, name: str | None, fault: Fault | None, scene: Scene | None, notes: Notes
) -> Truth:
    last = scene.last if scene else job.iterations
    saves = job.saves_until(last)
    accepted = [s for s in saves if job.save_begin(s) + _promise_s(job) <= voice.stop_s]
    durable = [s for s in saves if _commit_s(job, s) <= voice.stop_s]
    nodes: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()
    evidence = "none"
    if fault is not None and scene is not None and fault.blames != "nobody":
        node = job.node_of(scene.rank)
        nodes = (job.hosts[node],)
        ranks = (scene.rank,) if fault.blames == "rank" else tuple(job.ranks_of(node))
        evidence = fault.evidence
        if name == "host-crash" and voice.layout.kind in ("tree", "tee"):
            evidence = "inferable" if job.nodes > 1 else "none"
        if name == "port-in-use":
            ranks = () if voice.layout.has_torchrun else (0,)
    return Truth(
        style=job.style,
        fault=name,
        outcome="failure" if fault else "success",
        category=fault.category if fault else None,
        faulty_nodes=nodes,
        faulty_ranks=ranks,
        node_evidence=evidence,
        stage=fault.stage if fault else "iterate",
        last_iteration=last or None,
        first_abnormal_iteration=last + 1 if fault and last else None,
        last_durable_checkpoint=durable[-1] if durable else None,
        last_accepted_checkpoint=max([*accepted, *durable], default=None),
        verdict=fault.verdict if fault else "none",
        nodes=job.nodes,
        ranks=job.n_ranks,
        root_lines=notes.roots,
        failure_lines=tuple(notes.failures),
        context_lines=tuple(notes.context),
        accepted=dict(fault.accepted) if fault else {"stage": _LAST_STAGES},
    )


def _promise_s(job: Job) -> float:
    """From the begin of a save to the line that promises it; a saver that waits promises nothing early."""
    return 0.0 if job.style == "nemo" else job.save_s


def _commit_s(job: Job, save: int) -> float:
    """When the logs prove that checkpoint ``save`` is on disk."""
    begin = job.save_begin(save)
    if job.style == "nemo":
        return begin + simulate_nemo.ASYNC_S
    if job.style == "hf" and save < job.iterations:
        return job.end_of(save + 1)  # no commit line: the next progress line shows that the call returned
    return begin + job.save_s
