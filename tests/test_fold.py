"""The sums of a job: those of a naive dictionary, whoever reads which part in which order."""

import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast import fold
from l4fast.job import NONE
from l4fast.joining import join

import jobs
from jobs import at, cry, job, micros, read, steps, text

# What a rank may say, and the shape of it.
SAYINGS = {
    "part {} done": "part <*> done",
    "iteration {}/ 100 | loss: 2.5 |": "iteration <*>/ <*> | loss: <*> |",
    "loading shard": "loading shard",
    "RuntimeError: lost peer {}": "RuntimeError: lost peer <*>",
}
said = st.lists(
    st.tuples(
        st.sampled_from(["a.log", "b.log", "c.log"]),
        st.integers(0, 3),  # rank
        st.sampled_from(sorted(SAYINGS)),
        st.integers(0, 40),
        st.booleans(),  # with a time of its own
    ),
    max_size=40,
)


def written(lines) -> dict[str, str]:
    """The files that hold ``lines``: one second passes from one line to the next."""
    files = dict.fromkeys(["a.log", "b.log", "c.log"], "")
    for k, (name, rank, saying, number, timed) in enumerate(lines):
        stamp = f"{at(k)} INFO " if timed else ""
        files[name] += f"[rank{rank}]: {stamp}{saying.format(number)}\n"
    return files


def naive_pairs(lines):
    """(file, rank, shape) -> count, first and last time, first and last line with its offset."""
    sums = {}
    n_lines, offset, clock = Counter(), Counter(), {}
    for k, (name, rank, saying, number, timed) in enumerate(lines):
        stamp = f"{at(k)} INFO " if timed else ""
        n_lines[name] += 1
        place = (n_lines[name], offset[name])
        offset[name] += len(f"[rank{rank}]: {stamp}{saying.format(number)}\n")
        if timed:
            clock[name] = micros(k)
        time = clock.get(name, NONE)
        held = sums.setdefault((name, f"rank{rank}", SAYINGS[saying]), [0, time, time, place, place])
        held[0] += 1
        held[2], held[4] = time, place
        if held[1] == NONE:
            held[1] = time
    return sums


@given(said)
def test_pairs_are_the_sums_of_a_dictionary(lines):
    files = written(lines)
    read_job = job(files)
    pairs, names = read_job.pairs, list(files)
    found = {}
    for i in range(len(pairs.count)):
        speaker = read_job.speakers[pairs.speaker[i]]
        key = (names[speaker.stream], speaker.labels[0][1], read_job.shapes[pairs.shape[i]].text)
        found[key] = [
            int(pairs.count[i]),
            int(pairs.first_time[i]),
            int(pairs.last_time[i]),
            (int(pairs.first_line[i]), int(pairs.first_offset[i])),
            (int(pairs.last_line[i]), int(pairs.last_offset[i])),
        ]
    assert found == naive_pairs(lines)


@given(said)
def test_iterations_are_the_sums_of_a_dictionary(lines):
    read_job = job(written(lines))
    count, times, speakers = Counter(), defaultdict(list), defaultdict(list)
    clock = {}
    for k, (name, rank, saying, number, timed) in enumerate(lines):
        clock[name] = micros(k) if timed else clock.get(name, NONE)
        if saying.startswith("iteration"):
            count[number] += 1
            times[number].append(clock[name])
            speakers[(name, rank)].append(number)
    it = read_job.iterations
    assert dict(zip(it.iteration.tolist(), it.count.tolist(), strict=True)) == dict(count)
    for number, last in zip(it.iteration.tolist(), it.last_time.tolist(), strict=True):
        assert last == max(times[number])
    reached = read_job.reached
    found = {}
    for i in range(len(reached.lines)):
        speaker = read_job.speakers[reached.speaker[i]]
        key = (["a.log", "b.log", "c.log"][speaker.stream], int(speaker.labels[0][1].removeprefix("rank")))
        found[key] = [
            int(column[i])
            for column in (
                reached.lines,
                reached.lowest,
                reached.highest,
                reached.last,
                reached.went_back,
                reached.first,
                reached.went_on,
            )
        ]
    assert found == {
        who: [
            len(told),
            min(told),
            max(told),
            told[-1],
            sum(b < a for a, b in itertools.pairwise(told)),
            told[0],
            sum(b > a for a, b in itertools.pairwise(told)),
        ]
        for who, told in speakers.items()
    }


@given(said)
def test_streams_know_their_size_and_times(lines):
    files = written(lines)
    for stream, (name, content) in zip(job(files).streams, files.items(), strict=True):
        own = [micros(k) for k, (where, *_, timed) in enumerate(lines) if where == name and timed]
        assert (stream.name, stream.bytes, stream.lines) == (name, len(content), content.count("\n"))
        assert (stream.first_time, stream.last_time) == ((min(own), max(own)) if own else (NONE, NONE))


@given(said)
def test_the_kept_rows_are_the_lines(lines):
    files = written(lines)
    read_job = job(files)
    rows = read_job.rows
    names = list(files)
    shapes = [read_job.shapes[s].text for s in rows.shape]
    found = [(names[s], int(n), t) for s, n, t in zip(rows.stream, rows.line, shapes, strict=True)]
    expected, n_lines = [], Counter()
    for name, _, saying, _, _ in lines:
        n_lines[name] += 1
        expected.append((name, n_lines[name], SAYINGS[saying]))
    assert found == sorted(expected)


def dealt(random, names, n_parts: int) -> list[list[str]]:
    """The names in random order, dealt out to parts at random."""
    names = list(names)
    random.shuffle(names)
    shares: list[list[str]] = [[] for _ in range(n_parts)]
    for name in names:
        shares[random.randrange(n_parts)].append(name)
    return shares


# Which ordinary lines are kept with their text goes by the order in which streams are fed.
FED = ("text_at", "text_size", "content_at")


def state(joined) -> dict[str, object]:
    """Everything of a `Job` that the analysis sees, as plain Python."""
    columns = {
        name: {k: v.tolist() for k, v in vars(getattr(joined, name)).items() if k not in FED}
        for name in ("pairs", "iterations", "reached", "rows", "told", "durations")
    }
    return {
        **columns,
        "shapes": joined.shapes,
        "speakers": joined.speakers,
        "streams": joined.streams,
        "series": [(s.signature, s.lead, s.total, s.own_times, s.spans.tolist()) for s in joined.series],
        "raws": [(r.masked, r.shape) for r in joined.raws],
        "notes": joined.notes,
    }


@given(said, st.randoms(use_true_random=False), st.integers(1, 3))
def test_any_split_over_parts_joins_to_the_same_job(lines, random, n_parts):
    # Of iterations without a time, or told twice at one time, see the tests below.
    lines = [(*line[:4], line[4] or line[2].startswith("iteration")) for line in lines]
    files = written(lines)
    whole = state(job(files))
    assert state(job(files, dealt(random, files, n_parts))) == whole


@given(said, st.lists(st.integers(1, 20), max_size=4))
def test_any_cut_into_chunks_gives_the_same_job(lines, cuts):
    files = written(lines)
    cut = join(read(files, cuts=dict.fromkeys(files, cuts)), len(files))
    assert state(cut) == state(job(files))
    assert cut.texts == job(files).texts


WATCHDOG = "Watchdog caught collective operation timeout: WorkNCCL(SeqNum=71)"
ILLEGAL = "RuntimeError: CUDA error: an illegal memory access was encountered"
CASCADE = {
    "node0.log": steps(range(1, 21)) + cry(30, 0, WATCHDOG)
    + text([f"{at(31)} INFO  saving checkpoint at iteration 20 to /ckpt"]),
    "node1.log": cry(21, 1, ILLEGAL) + "\n  at 0x7f\n",
    "node2.log": cry(30, 2, WATCHDOG),
    "node3.log": cry(30, 3, WATCHDOG)
    + " 5%|# | 5/100 [00:01]\r 6%|# | 6/100 [00:02]\n",
}  # fmt: skip


@given(st.randoms(use_true_random=False), st.integers(1, 4), st.lists(st.integers(1, 22), max_size=3))
def test_any_split_and_cut_gives_the_same_templates_and_diagnosis(random, n_parts, cuts):
    shares = dealt(random, CASCADE, n_parts)
    joined = join(read(CASCADE, shares, cuts=dict.fromkeys(CASCADE, cuts)), len(CASCADE))
    whole = job(CASCADE)
    assert jobs.templates(joined) == jobs.templates(whole)
    assert jobs.told(jobs.answer(joined)) == jobs.told(jobs.answer(whole))


POOL = [
    "iteration {n}/ 100 | loss: 2.5 |",
    "iteration {n}/ 100 | loss: nan |",
    "saving checkpoint at iteration {n} to /ckpt",
    "successfully saved checkpoint from iteration {n} to /ckpt",
    "RuntimeError: CUDA error: an illegal memory access was encountered",
    "ValueError: shard {n} is wrong",
    WATCHDOG,
    "Timeout at NCCL work: {n}, last enqueued NCCL work: {n}, last completed NCCL work: {n}.",
    "process {n} exits with return code = -9",
    "slurmstepd: error: *** JOB 77 ON node1 CANCELLED AT 2026-03-02T10:00:15 DUE TO TIME LIMIT ***",
    "rank {n} of 8 ready on node{n}",
    "Traceback (most recent call last):",
    "Training completed",
    "connection to node{n} was lost",
    "all is well {n}",
]
anything = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(POOL),
        st.integers(0, 7),
        st.sampled_from([0, 0, 1, 30]),
        st.booleans(),
    ),
    max_size=40,
)


@given(
    anything, st.randoms(use_true_random=False), st.integers(1, 4), st.lists(st.integers(1, 20), max_size=3)
)
def test_whatever_is_said_any_split_and_cut_gives_the_same_diagnosis(lines, random, n_parts, cuts):
    files = {f"node{r}.log": "" for r in range(4)}
    now = 0
    for rank, words, n, passed, timed in lines:
        now += passed
        # Of iterations with and without a time, see the test below.
        stamp = f"{at(now)} ERROR " if timed or words.startswith("iteration") else ""
        files[f"node{rank}.log"] += f"[rank{rank}]: {stamp}{words.format(n=n)}\n"
    joined = join(read(files, dealt(random, files, n_parts), cuts=dict.fromkeys(files, cuts)), 4)
    whole = job(files)
    assert jobs.templates(joined) == jobs.templates(whole)
    assert jobs.told(jobs.answer(joined)) == jobs.told(jobs.answer(whole))


def test_an_iteration_that_one_file_has_no_time_for():
    files = {"a.log": steps([1, 2, 3]), "b.log": "iteration 2/ 100 | loss: 2.5 |\n"}
    assert state(job(files, [["a.log"], ["b.log"]])) == state(job(files))


@pytest.mark.parametrize("stamp", ["", f"{at(1)} INFO "])
def test_an_iteration_that_two_files_tell_at_one_time(stamp):
    files = dict.fromkeys(["a.log", "b.log"], f"{stamp}iteration 2/ 100 | loss: 2.5 |\n")
    assert state(job(files, [["b.log", "a.log"]])) == state(job(files))


def test_no_lines_are_a_job_too():
    for files in ({}, {"a.log": ""}, {"a.log": "", "b.log": "\n"}):
        assert job(files, [[], list(files)]).shape_count.sum() == (1 if "b.log" in files else 0)
        assert job(files).last_time == NONE


# Two files say the same, with numbers that make one of them look harmless.
COUNTS = {
    "a.log": "check of the shards: 7 failed\n",
    "b.log": "check of the shards: 0 failed\n",
    "c.log": cry(1, 0, "ValueError: wrong shape"),
}


def test_what_a_shape_means_does_not_depend_on_the_split():
    alone = jobs.told(jobs.diagnosis(COUNTS))
    apart = jobs.told(jobs.answer(job(COUNTS, [["a.log"], ["b.log"], ["c.log"]])))
    assert apart == alone


def test_how_many_rows_are_kept_does_not_depend_on_the_split(monkeypatch):
    monkeypatch.setattr(fold, "ROWS_OF_SUSPECT", 4)
    files = {name: "".join(cry(k, 0, "ValueError: no") for k in range(3)) for name in ("a.log", "b.log")}
    assert len(job(files, [["a.log"], ["b.log"]]).rows) == len(job(files).rows)


@pytest.mark.xfail(strict=True, reason="an event counts the kept rows")
def test_an_event_counts_all_of_its_lines_even_those_that_are_not_kept(monkeypatch):
    monkeypatch.setattr(fold, "ROWS_OF_SUSPECT", 4)
    (event,) = jobs.diagnosis({"a.log": "".join(cry(k, 0, "ValueError: no") for k in range(9))}).events
    assert event["count"] == 9


@pytest.mark.parametrize("n", [1, 3000, 70_000])
def test_tables_grow_as_the_job_does(n):
    files = {"a.log": "".join(f"iteration {k}/ 100000 | loss: 1.0 |\n" for k in range(n))}
    read_job = job(files)
    assert read_job.shape_count.tolist() == [n]
    assert read_job.iterations.iteration.tolist() == list(range(n))
    assert (read_job.reached.highest.tolist(), read_job.reached.lines.tolist()) == ([n - 1], [n])


def test_many_speakers_and_shapes():
    letters = "abcdefghij"
    lines = [f"[rank{r}]: say {letters[s // 10]}{letters[s % 10]}" for r in range(100) for s in range(100)]
    read_job = job({"a.log": text(lines)})
    assert len(read_job.speakers) == 100
    assert len(read_job.shapes) == 100
    assert np.array_equal(read_job.pairs.count, np.ones(10_000))
