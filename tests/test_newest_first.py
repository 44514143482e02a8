"""A stream whose newest line comes first tells what the same stream tells with its oldest line first."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.job import NONE
from l4fast.stream import diagnose
from l4fast.streamsums import StreamSums

import naive
from jobs import at, cry, diagnosis, job, library, steps, text, told

SAYINGS = (
    "iteration {n}/ 100 | loss: 2.5 | elapsed time per iteration (ms): {n}.5",
    "loading shard {n}",
    "fetched in {n}.5 ms",
    "RuntimeError: lost peer {n}",
    "saving checkpoint at iteration {n} to /ckpt",
)
said = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(SAYINGS), st.integers(0, 40)), min_size=9, max_size=60
)
PLACES = {"offset", "first_offset", "last_offset", "text_at", "text_size", "content_at"}


def turned_round(content: str) -> str:
    return text(reversed(content.splitlines()))


def state(read) -> dict[str, object]:
    """What the analysis sees of a job, but for bytes' places and which texts of ordinary lines are kept."""
    return {
        name: {k: v.tolist() for k, v in vars(getattr(read, name)).items() if k not in PLACES}
        for name in ("pairs", "iterations", "reached", "rows", "told", "durations")
    }


@given(said)
def test_a_job_is_the_same_from_either_end(lines):
    content = text(
        f"[rank{rank}]: {at(k)} INFO {saying.format(n=n)}" for k, (rank, saying, n) in enumerate(lines)
    )
    other = text(f"[rank0]: {at(k)} INFO hello" for k in range(5))
    forward = job({"a.log": content, "b.log": other})
    back = job({"a.log": turned_round(content), "b.log": other})
    assert [s.newest_first for s in forward.streams] == [False, False]
    assert [s.newest_first for s in back.streams] == [True, False]
    seen, expected = state(back), state(forward)
    for found in (seen, expected):  # what is the first of its kind goes by the order of reading
        del found["reached"]["time"], found["reached"]["line"], found["rows"]["striking"]
    assert seen == expected
    for row in range(len(back.rows)):
        here = turned_round(content).encode()[int(back.rows.offset[row]) :].split(b"\n", 1)[0]
        if back.rows.stream[row] == 0:
            assert back.row_text(row) in (None, here)
            assert content.encode().split(b"\n")[int(back.rows.line[row]) - 1] == here


JOB = (
    f"{at(0)} INFO > initializing torch distributed ...\n"
    + steps(range(1, 41), begin=1)
    + f"{at(22.5)} INFO saving checkpoint at iteration 20 to /ckpt\n"
    + f"{at(24.5)} INFO successfully saved checkpoint at iteration 20 to /ckpt\n"
    + cry(41.2, 5, "RuntimeError: CUDA error: an illegal memory access was encountered")
    + "".join(
        cry(640 + r / 10, r, "Watchdog caught collective operation timeout: WorkNCCL(SeqNum=71)")
        for r in range(4)
    )
)
JOB = text(sorted(JOB.splitlines(), key=lambda line: line.split("2026-", 1)[1]))


def test_a_failed_job_is_told_the_same_from_either_end():
    forward, back = diagnosis({"a.log": JOB}), diagnosis({"a.log": turned_round(JOB)})
    assert forward.outcome == "failed"
    one, other = told(forward), told(back)
    lines = {"forward": JOB.splitlines(), "back": turned_round(JOB).splitlines()}

    def without_places(found, name):
        if isinstance(found, list):
            return [without_places(each, name) for each in found]
        if not isinstance(found, dict):
            return found
        rest = {k: without_places(v, name) for k, v in found.items() if k not in ("line", "offset")}
        if "offset" in found:
            text_there = lines[name][found["line"] - 1]
            begin = found["offset"]
            assert text(lines[name])[begin : begin + len(text_there)] == text_there
            rest["there"] = text_there
            assert found.get("text", text_there) == text_there
        return rest

    one, other = without_places(one, "forward"), without_places(other, "back")
    rows = [sorted(map(repr, each.pop("failure_rows"))) for each in (one, other)]
    assert rows[0] == rows[1] != []
    assert one == other


def test_a_json_export_is_read_from_its_end(tmp_path):
    lines = JOB.splitlines()
    stamps = [line.split("2026-", 1)[1][:18].replace(" ", "T").replace(",", ".") for line in lines]
    rows = [
        f'{{"timestamp": "2026-{stamp}Z", "severity": "INFO", "textPayload": "{line}"}}'
        for stamp, line in zip(stamps, lines, strict=True)
    ]
    answers = []
    for name, content in (("old", rows), ("new", rows[::-1])):
        (tmp_path / name).write_text(text(content))
        answers.append(diagnose([str(tmp_path / name)], library=library()))
    first, second = (
        (a.outcome, a.cause["signature"], a.iterations, a.checkpoint, a.action["verdict"], a.exit_code)
        for a in answers
    )
    assert first == second
    assert first[0] == "failed"


times = st.lists(st.integers(-1, 9), max_size=40)


@given(times, st.integers(0, 40))
def test_what_pieces_saw_is_what_the_whole_saw(seconds, cut):
    def sums(part):
        found = StreamSums("a", lines=len(part), timed=sum(s >= 0 for s in part))
        found.see(np.array([s if s >= 0 else NONE for s in part], np.int64))
        return found

    joined = sums(seconds[:cut]).followed_by(sums(seconds[cut:]))
    assert joined == sums(seconds)
    seen = naive.see_times([s if s >= 0 else NONE for s in seconds], NONE)
    assert [joined.first_time, joined.last_time, joined.opening, joined.closing] == seen[:4]
    assert [joined.rose, joined.fell, joined.climbed] == seen[4:]
    again = sums(seconds[:cut])
    again.see(np.array([s if s >= 0 else NONE for s in seconds[cut:]], np.int64))
    assert (again.rose, again.fell, again.climbed, again.closing) == (*seen[4:], seen[3])


@pytest.mark.parametrize(
    ("seconds", "newest"),
    [
        (range(20, 0, -1), True),
        ([9, 9, 9, 8, 8, 7, 6, 5, 5, 4, 3, 2, 1], True),
        (range(20), False),
        ([3, 2, 1], False),
        ([*range(20, 0, -1), *range(20)], False),
        ([k // 8 * 10 + k * 3 % 8 for k in range(400, 0, -1)], True),  # the clocks of 8 nodes differ
        ([100 - k // 10 * 10 + k % 10 for k in range(100)], False),  # ten pieces, the newest first
        ([s if s % 4 else -1 for s in range(40, 0, -1)], False),
    ],
)
def test_which_streams_are_newest_first(seconds, newest):
    lines = [f"{at(s)} INFO hello" if s >= 0 else "hello" for s in seconds]
    assert job({"a.log": text(lines)}).streams[0].newest_first == newest


def test_clocks_that_differ_a_little_turn_nothing():
    order = random.Random(1)
    lines = [f"[rank{k % 8}]: {at(k / 10 + order.random())} INFO hello" for k in range(400)]
    assert not job({"a.log": text(lines)}).streams[0].newest_first
