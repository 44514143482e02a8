"""Slow: since which iteration, by how much, at what, and whose own steps became longer."""

import itertools
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from l4fast import pieces
from l4fast.durations import CLASS_STEP, WIDTH, find_durations, told_of
from l4fast.durations_joined import CLASSES, SETTLED
from l4fast.slow import MIN_LOST_S, Pace, lasting, stalls
from l4fast.straggler import before_and_after, stands_alone
from l4fast.stream import read

import naive
from jobs import at, diagnosis, job, library, steps, story, text
from l4fast_kernels.durations import fold_durations

RANKS, PER_NODE = 16, 4


def pace(each, every: int = 1) -> Pace:
    """A job that reports every ``every`` iterations, the first time after the first of them."""
    each = np.asarray(each, float)
    number = every * np.arange(1, each.size + 1)
    begin = np.concatenate([[0.0], np.cumsum(each * every)[:-1]])
    return Pace(number, np.full(each.size, every), each, (begin * 1e6).astype(np.int64))


def found(each, every: int = 1):
    return lasting(pace(each, every), np.arange(len(each)))


noise = st.integers(0, 2**32 - 1).map(np.random.default_rng)


# ------------------------------------------------------------------ since when, by how much


@given(noise, st.integers(20, 120), st.integers(20, 120), st.floats(1.7, 8.0), st.floats(2.0, 30.0))
def test_a_planted_slowdown_is_found_where_it_begins(rng, before, after, factor, seconds):
    each = seconds * rng.normal(1.0, 0.03, before + after).clip(0.8, 1.2)
    each[before:] *= factor
    assume((factor - 1) * seconds * after > 1.2 * MIN_LOST_S)
    slow = found(each)
    assert slow is not None
    assert slow.iteration == before + 2  # interval k is that of iteration k + 2
    assert slow.factor == pytest.approx(factor, rel=0.1)
    assert slow.share == pytest.approx(after / (before + after))


@given(noise, st.integers(4, 12), st.integers(4, 12), st.sampled_from([8, 10, 50]), st.floats(0.0, 1.0))
def test_with_few_reports_it_is_found_to_a_log_interval(rng, before, after, every, into):
    each = 4.0 * rng.normal(1.0, 0.02, before + after).clip(0.95, 1.05)
    each[before:] *= 2.0
    each[before] *= 0.5 + 0.5 * into  # it began somewhere within this interval
    slow = found(each, every)
    assert slow is not None
    assert abs(slow.iteration - (every * (before + 1) + 1)) <= every


@given(noise, st.integers(8, 300), st.floats(0.01, 0.5))
def test_noise_is_not_slow(rng, n, spread):
    assert found(10.0 * rng.lognormal(0.0, spread, n)) is None


@given(noise, st.integers(1, 12), st.integers(40, 200))
def test_slow_first_iterations_are_not_slow(rng, warm, n):
    each = 3.0 * rng.normal(1.0, 0.03, n)
    each[:warm] *= 6.0
    assert found(each) is None


@given(noise, st.integers(40, 120), st.integers(5, 20), st.integers(20, 60))
def test_a_job_that_recovered_is_not_slow(rng, before, slow, after):
    each = 3.0 * rng.normal(1.0, 0.03, before + slow + after)
    each[before : before + slow] *= 4.0
    assert found(each) is None


@given(noise, st.integers(40, 200), st.integers(5, 20), st.floats(10.0, 600.0))
def test_pauses_as_long_all_along_are_no_slowdown_and_no_stall(rng, n, period, seconds):
    each = 3.0 * rng.normal(1.0, 0.03, n)
    each[period - 1 :: period] += seconds
    assert found(each) is None
    assert stalls(pace(each), {}) is None


def test_what_costs_less_than_a_minute_is_not_slow():
    each = [0.07] * 60 + [0.14] * 60
    assert found(each) is None
    assert found(each, every=100).iteration == 6101


def test_a_batch_that_grows_in_small_steps_is_not_slow():
    assert found(np.repeat([2.0, 2.6, 3.3, 4.2, 5.3, 6.6], 40)) is None


# ------------------------------------------------------------------ stalls


def saves(pauses, *, every: int = 10, mark: str = "saving checkpoint at iteration {}") -> str:
    """A job that saves every ``every`` iterations; each save takes as long as ``pauses`` says."""
    lines, clock = [], 0.0
    for k, pause in enumerate(pauses):
        for n in range(k * every + 1, (k + 1) * every + 1):
            clock += 2.0
            lines.append(f"{at(clock)} INFO iteration {n}/ 1000 | loss: 2.5 |")
        lines.append(f"{at(clock + 0.1)} INFO {mark.format(n)}")
        clock += pause
    return text(lines)


SAVE = "saving checkpoint at iteration {:>7} to /ckpt in torch_dist format"


def test_saves_that_began_to_stall():
    told = diagnosis({"a.log": saves([3, 3, 3, 90, 90, 90, 90], mark=SAVE)})
    assert (told.outcome, told.cause["category"]) == ("slow", "storage")
    assert told.iterations["first_abnormal"] == 40
    assert "stands still for 90 s at each checkpoint (every 10 iterations)" in told.cause["title"]
    assert told.action["verdict"] == "unknown"
    assert told.nodes == []


@pytest.mark.parametrize(
    "pauses",
    [
        [60] * 8,  # all as long
        [3, 3, 3, 90, 3, 3, 3],  # once
        [3, 3, 3, 3, 3, 90, 90],  # the last one ends the log: one is seen
        [60, 3, 60, 3, 60, 3, 60],  # in turns
        [30, 40, 50, 60, 55, 45, 35],
        [1, 2, 1, 8, 9, 8, 9],  # longer, but short
    ],
    ids=str,
)
@pytest.mark.parametrize("mark", [SAVE, "evaluating after iteration {}", "note {}"])
def test_healthy_pauses(pauses, mark):
    assert diagnosis({"a.log": saves(pauses, mark=mark)}).outcome == "running"


@given(st.integers(3, 30), st.integers(4, 8), st.integers(4, 8))
def test_stalls_from_nowhere_in_a_rhythm(period, quiet, n):
    each = np.full(period * (quiet + n), 1.0)
    each[period * quiet :: period] += 40.0
    slow = stalls(pace(each), {})
    assert slow is not None
    assert (slow.iteration, slow.period, slow.stage) == (period * quiet + 1, period, None)
    assert slow.after_s == pytest.approx(40.0)
    assert slow.share == pytest.approx(n / (quiet + n), abs=1 / period)


# ------------------------------------------------------------------ durations in lines


@pytest.mark.parametrize(
    ("line", "number", "unit"),
    [
        ("loader: prefetched 14 batches in   25 ms, 0 errors", "25", 1e-3),
        ("forward took 1.25s, backward 2.5s", "1.25", 1.0),
        ("batch of 4072 tokens in 71.208 ms", "71.208", 1e-3),
        ("step_time: 1.25 loss: 2.5", "1.25", 1.0),
        ("elapsed time per iteration (ms): 2531.2 | lr", "2531.2", 1e-3),
        ("data_time=0.031, model_time=1.2", "0.031", 1.0),
        ("all-reduce of 12 buckets: 350 us", "350", 1e-6),
    ],
)
def test_where_a_duration_stands(line, number, unit):
    begin, found_unit = find_durations(line)[0]
    assert line[begin:].startswith(number)
    assert found_unit == unit


@pytest.mark.parametrize(
    "line",
    [
        "timeout of 600 s",
        "time left: 25 s",
        "retrying in 5 s",
        "loss 2.5 at 10:15:30",
        "speed 12.5 ms/token",
        "uptime 8000 s",
        "tokens_per_sec=8120.5 timeout_s=600 timestamp_ms: 1700000000000",
        "iteration 12 of 100",
    ],
)
def test_no_duration_of_a_step(line):
    assert find_durations(line) == []


@pytest.mark.parametrize(
    ("line", "numbers", "unit"),
    [
        ("step_time=2.001s fwd=0.622s bwd=1.206s wait=0.172s", ["2.001", "0.622", "1.206", "0.172"], 1.0),
        ("step=7 forward_ms=605.4 backward_ms=1209.8 comm_ms=184.8", ["605.4", "1209.8", "184.8"], 1e-3),
        ("time (ms) | fwd_microstep: 503.5 | bwd_microstep: 908.0", ["503.5", "908.0"], 1e-3),
        ("time (ms) | forward: 503.5 | loss_scale: none | step: 43.2", ["503.5", "43.2"], 1e-3),
        ('{"step": 7, "fwd_us": 610, "data_us": 12}', ["610", "12"], 1e-6),
        ("a 1 s b 2 s c 3 s d 4 s e 5 s", ["1", "2", "3", "4"], 1.0),
        ("data_time: 0.031 | tokens_per_s: 8120 | start_ms=17000 | batch_time: 1.2", ["0.031", "1.2"], 1.0),
    ],
)
def test_where_several_durations_stand(line, numbers, unit):
    found = find_durations(line)
    assert [line[begin:].startswith(number) for (begin, _), number in zip(found, numbers, strict=True)] == [
        True
    ] * len(numbers)
    assert {u for _, u in found} == {unit}


def test_what_a_duration_is_of():
    line = "step 5 step_time=2.001s fwd=0.622s all_reduce=1.206s"
    assert [told_of(line, nth) for nth in range(3)] == ["step 5 step_time=", "fwd=", "all_reduce="]
    assert told_of("all-reduced in 5 ms, bucket 3", 0) == "all-reduced in 5 ms, bucket 3"


told_durations = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 1), st.sampled_from([0.0, 1.0, 1.4, 1.6, 3.0, 9.0, np.nan, -1.0])
    ),
    max_size=120,
)


@given(told_durations, st.integers(1, 6), st.integers(0, 119))
@example([(0, 0, 1.0)] * 30 + [(0, 0, 9.0)] * 30, 6, 7)
def test_the_durations_kept_are_those_of_the_naive_fold(told, most, cut):
    n = len(told)
    speaker = np.array([t[0] for t in told], np.int32)
    words = np.array([t[1] for t in told], np.int32)
    value = np.array([t[2] for t in told])
    keys, slots = np.zeros(256, np.uint64), np.zeros(256, np.int32)
    state, ints = np.zeros(1, np.int64), np.zeros((64, 2), np.int64)
    head, tail = np.zeros((64, WIDTH)), np.zeros((64, WIDTH))
    lefts, rights = np.zeros(64, np.int32), np.zeros(64, np.int32)
    head_at, tail_at = np.zeros((64, WIDTH), np.int64), np.zeros((64, WIDTH), np.int64)
    classes, position = np.zeros(n, np.int64), np.arange(n)
    for a, b in itertools.pairwise(sorted({0, min(cut, n), n})):  # in two chunks
        done = fold_durations(
            b - a, 0, speaker[a:b], words[a:b], value[a:b], position[a:b], 1.25, most,
            keys, slots, state, ints, head, tail, head_at, tail_at, lefts, rights, classes[a:b],
        )  # fmt: skip
        assert done == b - a
    want, marked = naive.fold_durations(told, step=1.25, most=most, width=WIDTH)
    got = {}
    for k in range(int(state[0])):
        count = int(ints[k, 0])
        held = min(count, WIDTH)
        first = list(zip(head[k, :held].tolist(), head_at[k, :held].tolist(), strict=True))
        at_end = [(count - 1 - j) % WIDTH for j in range(held)][::-1]
        last = list(zip(tail[k, at_end].tolist(), tail_at[k, at_end].tolist(), strict=True))
        got[int(lefts[k]), int(rights[k])] = (count, first, last)
    assert got == want
    assert classes.tolist() == marked


@pytest.mark.parametrize("shares", [1, 3])
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4000)), min_size=1, max_size=60))
def test_lines_that_strike_are_those_far_longer_than_all_before(shares, told):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "LEAST_BYTES", 100)
        lines = [f"[rank{r}]: {at(k)} INFO fetched in {took}.0 ms" for k, (r, took) in enumerate(told)]
        Path(folder, "a.log").write_text(text(lines))
        joined = read([folder], library(), workers=shares).job
    seen, want = {}, []
    for k, (r, took) in enumerate(told):
        before = seen.setdefault(r, [])
        level = int(math.log(took * 1e-3 / 1e-9) / math.log(CLASS_STEP))
        if len(before) >= SETTLED and level >= max(before) + CLASSES:
            want.append(k + 1)
        before.append(level)
    rows = joined.rows
    assert rows.line[rows.striking != 0].tolist() == want
    shown = [joined.content(row) for row in np.flatnonzero(rows.striking).tolist()]
    assert shown == [f"fetched in {told[k - 1][1]}.0 ms" for k in want]
    assert len(rows) == len(told)


def test_more_speakers_than_the_first_table_holds():
    lines = [f"[rank{r}]: {at(k)} INFO fetched in {10 + r % 7}.5 ms" for k in range(3) for r in range(1500)]
    kept = job({"a.log": text(lines)}).durations
    assert kept.speaker.size == 1500
    assert set(kept.count.tolist()) == {3}
    assert sorted(set(np.round(kept.head[:, 0] * 1e3, 6).tolist())) == [10.5 + k for k in range(7)]


def test_lines_that_differ_in_blanks_are_one_series():
    lines = [
        f"[rank1]: {at(k)} INFO fetched in {took:>6} ms" for k, took in enumerate([20] * 10 + [1700] * 6)
    ]
    joined = job({"a.log": text(lines)})
    assert joined.durations.count.tolist() == [16]
    assert np.count_nonzero(joined.rows.striking) == 1
    shown = [joined.content(row) for row in np.flatnonzero(joined.rows.striking).tolist()]
    assert shown == ["fetched in   1700 ms"]


@given(st.integers(3, 60), st.floats(0.05, 0.95))
def test_before_and_after_of_few_and_of_many(count, share):
    values = np.where(np.arange(count) < round(count * (1 - share)), 1.0, 9.0)
    head = np.zeros((1, WIDTH))
    head[0, : min(count, WIDTH)] = values[:WIDTH]
    tail = np.zeros((1, WIDTH))
    for k, value in enumerate(values):
        tail[0, k % WIDTH] = value
    before, after = before_and_after(head, tail, np.array([count]), share)
    n_before, n_after = (max(3, min(WIDTH, int(count * part))) for part in (1 - share, share))
    assert before[0] == np.median(values[:n_before])
    assert after[0] == np.median(values[-n_after:])


# ------------------------------------------------------------------ who


@given(noise, st.integers(8, 64), st.integers(1, 2), st.floats(3.0, 30.0))
def test_ranks_that_grew_alone(rng, n, odd, factor):
    before = rng.normal(1.0, 0.05, n).clip(0.8, 1.2)
    after = before * rng.normal(1.0, 0.05, n).clip(0.8, 1.2)
    after[:odd] *= factor
    alone, gap, waits = stands_alone(before, after, lost=factor - 1)
    assert np.flatnonzero(alone).tolist() == list(range(odd))
    assert gap > 1.25
    assert not waits


@given(noise, st.integers(8, 64), st.floats(3.0, 30.0))
def test_the_rank_that_waits_for_nobody(rng, n, factor):
    before = rng.normal(1.0, 0.05, n).clip(0.8, 1.2)
    after = before * rng.normal(1.0, 0.05, n).clip(0.8, 1.2)
    after[1:] *= factor
    alone, _, waits = stands_alone(before, after, lost=factor - 1)
    assert np.flatnonzero(alone).tolist() == [0]
    assert waits


@given(noise, st.integers(6, 64), st.floats(0.5, 3.0), st.floats(0.02, 0.3))
def test_peers_that_grew_alike_have_no_straggler(rng, n, factor, spread):
    before = rng.lognormal(0.0, spread, n)
    assert stands_alone(before, before * factor * rng.normal(1.0, 0.05, n).clip(0.85, 1.15), lost=5.0) is None


def test_what_grew_by_too_little_is_not_why():
    before = np.full(16, 0.01)
    after = before.copy()
    after[3] = 0.2  # of five seconds lost
    assert stands_alone(before, after, lost=5.0) is None
    assert stands_alone(before, after, lost=0.5) is not None


def ranked(
    dragged=(),
    *,
    since: int = 40,
    n: int = 80,
    host_line: tuple[float, str] | None = None,
    total: int = 200,
    form: str = "loader: {} documents read in {:7.2f} ms",
):
    """A job of 4 nodes that takes 2 s an iteration, and 5 s since ``since``.

    Steps of the ranks ``dragged`` take 50 times as long then; ``form`` is the line that tells.
    """
    rng = np.random.default_rng(5)
    ends = np.cumsum(np.where(np.arange(1, n + 1) < since, 2.0, 5.0))
    files = {}
    for rank in range(RANKS):
        lines = []
        for k, end in enumerate(ends.tolist()):
            slow = rank in dragged and k + 1 >= since
            took = float(rng.uniform(20, 80)) * (50 if slow else 1)
            lines.append(f"{at(end - 0.1)} INFO {form.format(rng.integers(9, 30), took)}")
            if rank == 0:
                lines.append(f"{at(end)} INFO iteration {k + 1}/ {total} | loss: 2.5 |")
        files[f"node{rank // PER_NODE}/rank_{rank}.log"] = text(lines)
    if host_line is not None:
        when, words = host_line
        files["kernel/node2.log"] = f"{at(float(ends[since - 1]) + when)} node2 kernel: [8000.1] {words}\n"
    return files


HOT = "CPU12: Package temperature is above threshold, cpu clock is throttled (total events = 91)"


def test_a_rank_whose_own_step_became_longer():
    told = diagnosis(ranked(dragged=[5]))
    assert (told.outcome, told.iterations["first_abnormal"]) == ("slow", 40)
    assert [n["node"] for n in told.nodes] == ["node1"]
    assert [r["rank"] for r in told.ranks] == [5]
    assert told.action["verdict"] == "restart_excluding"
    assert told.action["exclude_nodes"] == ["node1"]
    assert told.nodes[0]["evidence"][0]["file"] == "node1/rank_5.log"
    row = told.failure_rows[0]
    assert (row["file"], row["role"]) == ("node1/rank_5.log", "root")
    assert row["line"] == 40
    assert "since iteration 40" in told.events[0]["why"][0]


def test_a_whole_node():
    told = diagnosis(ranked(dragged=[8, 9, 10, 11]))
    assert [(n["node"], n["ranks"]) for n in told.nodes] == [("node2", [8, 9, 10, 11])]


def test_nobody_stands_out():
    told = diagnosis(ranked())
    assert (told.outcome, told.nodes, told.ranks) == ("slow", [], [])
    assert told.action["verdict"] == "unknown"
    assert any("cannot tell which node" in note for note in told.coverage["notes"])


def test_nearly_all_ranks_are_no_culprit():
    told = diagnosis(ranked(dragged=range(2, RANKS)))
    assert (told.outcome, told.nodes) == ("slow", [])


def test_the_one_that_all_the_others_wait_for():
    others = [rank for rank in range(RANKS) if rank != 6]
    told = diagnosis(
        ranked(dragged=others, form="step done, {} buckets all-reduced in {:.2f} ms, all-reduce")
    )
    assert [(n["node"]) for n in told.nodes] == ["node1"]
    assert [r["rank"] for r in told.ranks] == [6]
    assert "is waited for" in told.nodes[0]["reasons"][0]


def test_a_line_of_a_host_at_the_time_of_the_change():
    told = diagnosis(ranked(host_line=(3.0, HOT)))
    assert [n["node"] for n in told.nodes] == ["node2"]
    assert told.cause["signature"] == "thermal-throttle"
    assert [(r["file"], r["role"]) for r in told.failure_rows] == [("kernel/node2.log", "root")]


@pytest.mark.parametrize("when", [-75.0, 190.0])
def test_a_line_of_a_host_long_before_or_after(when):
    told = diagnosis(ranked(host_line=(when, HOT)))
    assert (told.outcome, told.nodes) == ("slow", [])


def test_a_host_that_is_hot_beside_one_whose_steps_are_longer():
    told = diagnosis(ranked(dragged=[5], host_line=(3.0, HOT)))
    assert [n["node"] for n in told.nodes] == ["node1"]


def test_the_slow_steps_are_the_effect_of_what_their_host_tells():
    told = diagnosis(ranked(dragged=[9], host_line=(3.0, HOT)))
    assert [n["node"] for n in told.nodes] == ["node2"]
    assert sorted((r["file"], r["role"]) for r in told.failure_rows) == [
        ("kernel/node2.log", "root"),
        ("node2/rank_9.log", "consequence"),
    ]


def detected(words: str, *, n: int = 8, factor: float = 1.4, first: int = 45) -> str:
    """A job whose iterations take ``factor`` times as long from 41 on, and the reports of its detector."""
    ends = np.cumsum(np.where(np.arange(1, 121) < 41, 10.0, 10.0 * factor)).tolist()
    lines = [(end, f"iteration {k + 1}/ 200 | loss: 2.5 |") for k, end in enumerate(ends)]
    lines += [(ends[first - 1 + 9 * k] + 1.0, words) for k in range(n)]
    hosts = [f"{at(-1)} INFO rank {rank} runs on node{rank // 4}" for rank in range(8)]
    return text([*hosts, *(f"{at(when)} INFO {line}" for when, line in sorted(lines))])


FOUND = "STRAGGLER DETECTION WARNING: Some GPUs have worse relative performance. Affected ranks: "


@pytest.mark.parametrize("whom", ["{StragglerId(rank=5, node='node1')}", "[5]", "{5}"])
def test_a_detector_that_names_a_rank_again_and_again(whom):
    told = diagnosis({"a.log": detected(FOUND + whom)})
    assert (told.outcome, told.iterations["first_abnormal"]) == ("slow", 41)
    assert [r["rank"] for r in told.ranks] == [5]
    assert told.cause["signature"] == "nvrx-straggler"


def test_a_detector_that_names_a_rank_once_or_in_a_job_as_quick_as_before():
    assert diagnosis({"a.log": detected(FOUND + "{5}", n=1)}).outcome == "running"
    assert diagnosis({"a.log": detected(FOUND + "{5}", factor=1.1)}).outcome == "running"


def test_a_detector_that_named_the_rank_before_the_change_does_not_tell_why():
    told = diagnosis({"a.log": detected(FOUND + "{5}", first=10)})
    assert (told.outcome, told.ranks) == ("slow", [])


def test_a_save_with_or_after_the_last_report_lies_in_no_interval():
    each = [10.0] * 16
    for k in (7, 11):
        each[k] = 200.0
    last = pace(each)
    end = int(last.begin[-1] + each[-1] * 1e6)
    when = {"checkpoint": np.array([*(last.begin[[3, 7, 11]] + 1).tolist(), end, end + 10**6], np.int64)}
    found = stalls(last, when)
    assert found is not None and (found.stage, found.period) == ("checkpoint", 4)


def test_a_slow_job_that_ended_needs_no_restart():
    told = diagnosis(ranked(dragged=[5], total=80))
    assert (told.outcome, told.action["verdict"], told.action["exclude_nodes"]) == ("slow", "none", [])
    assert "next time do without node1" in told.action["reason"]


SEVERAL = [
    # What all wait for stands first; then the ranks' own work.
    "docs={} step_time=2.5s fwd={:.3f}ms bwd=812.4ms",
    "docs={} forward_ms={:.1f} backward_ms=812.4 step_ms=2500.0",
    "rank done | docs: {} | time (ms) | fwd_microstep: {:.2f} | bwd_microstep: 812.40",
]


@pytest.mark.parametrize("form", SEVERAL)
def test_one_of_several_durations_of_a_line_became_longer(form):
    told = diagnosis(ranked(dragged=[5], form=form))
    assert [n["node"] for n in told.nodes] == ["node1"]
    assert [r["rank"] for r in told.ranks] == [5]
    assert (told.failure_rows[0]["file"], told.failure_rows[0]["line"]) == ("node1/rank_5.log", 40)


def test_own_work_tells_more_than_the_wait_beside_it():
    form = "docs={} step_time=2.5s bwd=812.4ms reading={:.3f}ms"
    files = ranked(dragged=[5], form=form + " recv_wait={:.3f}ms".replace("{:.3f}", "30.0"))
    # Another rank alone waits for the slow one, and by a larger factor.
    lines = files["node3/rank_13.log"].splitlines()
    files["node3/rank_13.log"] = text(
        [
            line if k < 39 else line.replace("recv_wait=30.0", "recv_wait=9000.0")
            for k, line in enumerate(lines)
        ]
    )
    assert [r["rank"] for r in diagnosis(files).ranks] == [5]


def test_which_of_the_durations_of_a_line_strikes():
    lines = [
        f"[rank1]: {at(k)} INFO fwd={1.0 if k != 8 else 30.0}s bwd={2.0 if k != 12 else 30.0}s"
        for k in range(20)
    ]
    joined = job({"a.log": text(lines)})
    assert list(zip(joined.durations.nth.tolist(), joined.durations.count.tolist(), strict=True)) == [
        (0, 20),
        (1, 20),
    ]
    struck = np.flatnonzero(joined.rows.striking)
    assert joined.rows.line[struck].tolist() == [9, 13]
    assert joined.rows.striking[struck].tolist() == [1, 2]


@pytest.mark.parametrize("shares", [1, 3])
def test_the_same_however_the_files_are_shared_out(shares):
    files = ranked(dragged=[5])
    names = list(files)
    one, many = job(files), job(files, [names[k::shares] for k in range(shares)])
    for column in ("speaker", "shape", "nth", "count", "head", "tail"):
        assert np.array_equal(getattr(one.durations, column), getattr(many.durations, column))
    assert np.array_equal(one.rows.striking, many.rows.striking)
    assert np.array_equal(one.told.seconds, many.told.seconds)


def test_what_the_lines_tell_of_an_iteration_needs_no_clock():
    form = (
        " iteration {:>8}/ 200 | consumed samples: {} | elapsed time per iteration (ms): {} | lm loss: 2.5 |"
    )
    lines = [form.format(n, 8 * n, 2000.0 + n if n < 40 else 5000.0 + n) for n in range(1, 81)]
    found = story({"a.log": text(lines)})
    assert found.slow is not None
    assert (found.slow.iteration, found.slow.period) == (40, None)
    assert found.slow.factor == pytest.approx(2.5, rel=0.05)


def test_a_job_that_becomes_five_times_slower():
    slow = story({"a.log": steps(range(1, 41)) + steps(range(41, 61), begin=40, every=5)}).slow
    assert (slow.iteration, slow.factor) == (
        42,
        pytest.approx(5.0),
    )  # 41 came on time, 42 was the first late one


@pytest.mark.parametrize("every", [0.5, 1.0, 1.2])
def test_a_job_that_hardly_becomes_slower(every):
    lines = steps(range(1, 41)) + steps(range(41, 361), begin=40, every=every, total=1000)
    assert story({"a.log": lines}).slow is None
