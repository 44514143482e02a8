"""The simulator's physics: nobody speaks after its death, nobody gives up early, who waits is ahead."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from l4fast.simulate import FAULTS, STYLES, simulate
from l4fast.simulate_groups import (
    DATA,
    PIPE,
    TENSOR,
    WORLD,
    begun,
    coordinates,
    place,
    under_switch,
)
from l4fast.simulate_job import plan
from l4fast.simulate_nccl import work_of
from l4fast.simulate_physics import AGENT, GONE, SELF, STEP, unfold
from l4fast.simulate_scene import Scene, disconnects, exits, freezes, vanishes

from simulated import files_of, lines_of, text_of, two_styles_each

JOBS = st.builds(
    lambda style, nodes, per_node, seed: plan(
        style, "hang", nodes, per_node, 40, seed, 0.5, True, 1, np.random.default_rng(seed)
    ),
    st.sampled_from(STYLES),
    st.integers(2, 12),
    st.sampled_from([1, 2, 4, 8]),
    st.integers(0, 10_000),
)
LAUNCHERS = {"nemo": "srun", "titan": "srun", "k8s": "operator"}
HAPPENINGS = st.sampled_from([exits(1), exits(-9), freezes, vanishes, disconnects(), disconnects(whole=True)])


def strike(job, happen, seed):
    """Let ``happen`` strike one node of ``job`` in iteration 21."""
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(job.ranks_per_node, job.n_ranks))
    scene = Scene(job, job.begin_of(21) + 0.5 * job.step_s, (rank,), 20, rng)
    incident = happen(scene)
    return scene, incident, unfold(job, incident, LAUNCHERS.get(job.style, "torchrun"), rng)


def same_group(job, kind, rank):
    """All ranks of the group of ``kind`` that holds ``rank``, ascending."""
    if kind == WORLD:
        return np.arange(job.n_ranks)
    mine = (rank % job.tensor, rank // job.tensor % job.data, rank // (job.tensor * job.data))
    keep = np.ones(job.n_ranks, bool)
    for index, (column, value) in enumerate(zip(coordinates(job), mine, strict=True)):
        if index != {TENSOR: 0, DATA: 1, PIPE: 2}[kind]:
            keep &= column == value
    return np.flatnonzero(keep)


@given(JOBS, HAPPENINGS, st.integers(0, 100))
def test_everybody_ends_and_for_a_reason(job, happen, seed):
    scene, incident, course = strike(job, happen, seed)

    assert np.isfinite(course.death_s).all()
    assert (course.death_s >= scene.t).all()
    agent, step = np.repeat(course.agent_s, job.ranks_per_node), course.step_s
    assert (course.death_s[course.by == AGENT] > agent[course.by == AGENT]).all()
    assert (course.death_s[course.by == STEP] > step).all()
    assert set(np.unique(course.by)) <= {SELF, AGENT, STEP, GONE}
    gone = np.isin(np.arange(job.n_ranks) // job.ranks_per_node, list(incident.gone))
    assert (course.by[gone] == GONE).all() and not (course.by[~gone] == GONE).any()
    # A launcher reacts to a death on its own node, and not before it.
    first = course.death_s.reshape(job.nodes, -1).min(axis=1)
    heard = np.isfinite(course.agent_s) & (course.agent_s < step)
    assert (course.agent_s[heard] > first[heard]).all()
    if job.habits.kill_on_exit and not incident.gone and LAUNCHERS.get(job.style, "torchrun") != "operator":
        assert step > course.agent_end_s.min()


@given(JOBS, HAPPENINGS, st.integers(0, 100))
def test_nobody_gives_up_before_the_timeout_and_the_absent_never(job, happen, seed):
    scene, incident, course = strike(job, happen, seed)

    cried = np.isfinite(course.cry_s)
    assert (course.cry_s[cried] >= course.blocked_s[cried] + job.habits.timeout_s).all()
    assert (course.cry_s[cried] <= course.blocked_s[cried] + job.habits.timeout_s + 0.1).all()
    assert (course.blocked_s >= scene.t).all()
    assert not cried[list(incident.absent)].any()
    signalled = np.isfinite(course.signal_s)
    if signalled.any():
        assert course.cry_s.argmin() == course.first
        assert (course.signal_s[signalled] > course.cry_s[course.first]).all()


@given(JOBS, st.integers(0, 100))
def test_the_culprit_s_own_groups_block_first(job, seed):
    _, incident, course = strike(job, freezes, seed)

    rank = incident.absent[0]
    others = np.delete(np.arange(job.n_ranks), rank)
    kinds = course.waits[others]
    latest = [course.blocked_s[others][kinds == kind].max(initial=-np.inf) for kind in (TENSOR, PIPE)]
    rest = course.blocked_s[others][(kinds == DATA) | (kinds == WORLD)].min(initial=np.inf)
    assert max(latest) < rest
    if job.tensor > 1:
        mates = np.setdiff1d(same_group(job, TENSOR, rank), [rank])
        assert (course.waits[mates] == TENSOR).all()
        assert set(np.flatnonzero(course.waits == TENSOR)) <= {*mates.tolist(), rank}


@given(JOBS)
def test_groups_are_what_megatron_makes_of_them(job):
    tensor, data, pipe = coordinates(job)
    assert job.tensor * job.data * job.pipe == job.n_ranks
    ranks = tensor + job.tensor * (data + job.data * pipe)
    assert ranks.tolist() == list(range(job.n_ranks))
    for kind, size in ((TENSOR, job.tensor), (PIPE, job.pipe), (DATA, job.data), (WORLD, job.n_ranks)):
        for rank in (0, job.n_ranks - 1):
            mates = same_group(job, kind, rank)
            assert mates.size == size and rank in mates
            places = [place(job, kind, int(mate)) for mate in mates]
            assert [x.rank for x in places] == list(range(size))
            assert len({x.guid for x in places}) == 1
    assert sorted(n for first in range(0, job.nodes, job.switch) for n in under_switch(job, first)) == list(
        range(job.nodes)
    )


@given(JOBS, st.integers(0, 39))
def test_who_waits_is_one_collective_ahead(job, last):
    for kind in (WORLD, TENSOR, PIPE, DATA):
        assert work_of(job, kind, last) == begun(job, kind, last) + 1
        assert begun(job, kind, last + 1) > begun(job, kind, last)


@given(JOBS)
@settings(max_examples=20)
def test_clocks_are_bounded(job):
    assert np.abs(job.skew_s).max() <= 2 * 0.5


def stamped(line: str) -> float | None:
    """The time in seconds of a line that torch or a rank's program has stamped."""
    match = re.search(r"(?:\[[EWF]507 |2026-05-07 )(\d\d):(\d\d):(\d\d)[.,](\d{3})", line)
    if match is None:
        return None
    hour, minute, second, ms = map(int, match.groups())
    return 3600 * hour + 60 * minute + second + ms / 1000


@pytest.mark.parametrize("fault", ["host-crash", "kernel-panic"])
@pytest.mark.parametrize("seed", range(4))
def test_a_dead_host_writes_nothing_after_its_end(tmp_path, fault, seed):
    out = tmp_path / "job"
    truth = simulate(
        out,
        style="megatron",
        nodes=4,
        ranks_per_node=2,
        iterations=24,
        fault=fault,
        seed=seed,
        clock_skew_s=0,
    )

    (host,) = truth.faulty_nodes
    own = [file for file in files_of(out) if host in file and not file.startswith("kernel/")]
    assert own and not [x for x in truth.failure_lines if x.file in own]
    other = [file for file in files_of(out) if file.endswith("stdout.log") and host not in file]
    last_own = max(t for file in own for line in lines_of(out, file) if (t := stamped(line)) is not None)
    lines = [line for file in other for line in lines_of(out, file) if " batch of " in line]
    last_batch = max(t for line in lines if (t := stamped(line)) is not None)
    # Its peers were in the same iteration; they end with it, but for the tail that it lost.
    assert last_own <= last_batch + 3.0
    batches = [
        max(map(int, re.findall(r"iteration (\d+) batch", "\n".join(lines_of(out, file)))))
        for files in (own, other)
        for file in files
        if file.endswith("stdout.log")
    ]
    assert max(batches) - 2 <= min(batches)


@pytest.mark.parametrize("style", ["hf", "titan", "k8s"])
@pytest.mark.parametrize("seed", range(6))
def test_a_watchdog_line_comes_a_timeout_after_the_last_step(tmp_path, style, seed):
    out = tmp_path / "job"
    truth = simulate(
        out, style=style, nodes=3, ranks_per_node=4, iterations=12, fault="hang", seed=seed, clock_skew_s=0
    )

    text = text_of(out)
    silent = truth.faulty_ranks[0]
    caught = re.findall(r"\[rank(\d+)\]:\[E.*Watchdog caught.*Timeout\(ms\)=(\d+)\) ran for (\d+) ", text)
    assert caught and silent not in {int(rank) for rank, _, _ in caught}
    assert all(int(limit) <= int(ran) <= int(limit) + 100 for _, limit, ran in caught)
    cries = [stamped(line) for line in text.split("\n") if "Watchdog caught" in line and ":[E507" in line]
    if not cries:
        return  # torch 2.2 stamps no line
    steps = [t for line in text.split("\n") if "[rank" not in line and (t := stamped(line)) is not None]
    limit = int(caught[0][1]) / 1000
    assert limit - 10 <= min(cries) - max(t for t in steps if t < min(cries) - 1) <= limit + 10


def test_the_sequence_numbers_of_the_waiting_are_ahead_of_the_culprit_s(tmp_path):
    seen = 0
    for seed in range(32):
        out = tmp_path / str(seed)
        truth = simulate(out, style="hf", nodes=3, ranks_per_node=2, iterations=8, fault="hang", seed=seed)
        pairs = re.findall(r"\[rank(\d+)\]:\[E.*Last enqueued NCCL work: (\d+), last completed", text_of(out))
        enqueued = {int(rank): int(work) for rank, work in pairs}
        silent = truth.faulty_ranks[0]
        if silent in enqueued and len(enqueued) > 1:
            seen += 1
            assert enqueued.pop(silent) < min(enqueued.values())
    assert seen >= 2


@pytest.mark.parametrize(("fault", "style"), two_styles_each(FAULTS))
def test_no_rank_speaks_twice_of_its_end_nor_goes_on_after_it(tmp_path, style, fault):
    out = tmp_path / "job"
    simulate(out, style=style, nodes=4, ranks_per_node=2, iterations=12, fault=fault, seed=9, clock_skew_s=0)

    text = text_of(out)
    for rank in range(8):
        ends = re.findall(rf"\[rank{rank}\]:\[E.*(?:Process group|NCCL) watchdog thread terminated", text)
        assert len(ends) <= 1
    steps = [t for line in text.split("\n") if "step: " in line and (t := stamped(line)) is not None]
    cries = [t for line in text.split("\n") if "Watchdog caught" in line and (t := stamped(line)) is not None]
    assert not steps or not cries or max(steps) < min(cries)


def test_a_switch_takes_all_its_nodes(tmp_path):
    truth = simulate(
        tmp_path / "job", nodes=16, ranks_per_node=2, iterations=12, fault="switch-down", culprits=4, seed=1
    )

    numbers = sorted(int(host[-3:]) for host in truth.faulty_nodes)
    assert len(numbers) == 4 and numbers == list(range(numbers[0], numbers[0] + 4)) and numbers[0] % 4 == 0
