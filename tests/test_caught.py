"""Exceptions that a process catches again and again are no end of the job."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from l4fast.caught import LEAST_REPORTS, caught_again
from l4fast.temporal import follow

from jobs import at, diagnosis, job, library, text


def worker(pid: int, *words: str) -> list[str]:
    return [f"(Judge pid={pid}) {line}" for line in words]


def raised(pid: int, error: str = "TypeError: cannot unpack a NoneType") -> list[str]:
    return worker(pid, "Traceback (most recent call last):", '  File "/opt/judge.py", line 7, in read', error)


def again(pid: int, k: int) -> list[str]:
    return [*raised(pid), *worker(pid, f"took answer {k}")]


def step(k: int) -> list[str]:
    return [f"(Driver pid=9) {at(60 * k)} INFO iteration {k}/ 100 | loss: 2.5 |"]


HABIT = [*again(71, 1), *again(72, 1), *step(1), *again(71, 2), *step(2), *again(71, 3), *again(72, 4)]


def outcome(*lines: str) -> str:
    return diagnosis({"driver.log": text(lines)}).outcome


@pytest.mark.parametrize("last", [[], raised(71), [*raised(72), *again(71, 9)]])
def test_what_is_caught_at_each_step_is_no_end(last):
    assert outcome(*HABIT, *last) == "running"


@pytest.mark.parametrize(
    "others",
    [
        [*step(1), *again(71, 2), *step(2), *again(72, 3)],  # each once: nobody is known to have caught it
        [*again(71, 1), *step(1), *again(71, 2)],  # one report is too little
        [*again(71, 1), *step(1), *step(2), *raised(72)],  # another process
        [*HABIT, *raised(73)],  # one that has not caught any
        [*HABIT, *raised(9)],
    ],
)
def test_what_nobody_is_known_to_have_caught_ends_the_job(others):
    assert outcome(*others) == "failed"


def test_beside_another_error_the_last_of_a_habit_may_be_the_cause():
    last = [*raised(71), *raised(9, "RuntimeError: the judge failed")]
    found = diagnosis({"driver.log": text([*HABIT, *last])})
    assert found.outcome == "failed"
    assert (found.events[0]["role"], found.events[0]["first"]["line"]) == ("root", len(HABIT) + 3)


def test_without_process_ids_who_speaks_on_may_be_another():
    lines = [line.replace("(Judge pid=71) ", "").replace("(Judge pid=72) ", "") for line in HABIT]
    assert outcome(*lines, "TypeError: cannot unpack a NoneType") == "failed"


def naive(said: list[tuple[int, str]]) -> tuple[set[int], set[int]]:
    """The lines of exceptions that were caught, and of those that likely were."""
    errors = [(i, pid, words) for i, (pid, words) in enumerate(said) if words.endswith("Error")]
    habits = set()
    for _, pid, kind in errors:
        its = [i for i, p, k in errors if (p, k) == (pid, kind)]
        if sum(said[i][1] == "step" for i in range(its[0], its[-1])) >= LEAST_REPORTS:
            habits.add(kind)
    its = {pid: [i for i, p, k in errors if p == pid and k in habits] for pid in (71, 72)}
    between = {
        pid: [i for i in range(min(mine, default=0), max(mine, default=0)) if said[i] == (pid, "other")]
        for pid, mine in its.items()
    }
    caught, likely = set(), set()
    if any(between.values()):
        for pid, mine in its.items():
            last = max((i for i, who in enumerate(said) if who == (pid, "other")), default=-1)
            if between[pid]:
                caught |= {i for i in mine if i < last}
                likely |= {i for i in mine if i > last}
    return caught, likely


WORDS = st.sampled_from(["TypeError", "KeyError", "other", "step"])


@given(st.lists(st.tuples(st.sampled_from([71, 72]), WORDS), max_size=16))
@example([(pid, w) for w in ("TypeError", "other", "step", "step", "TypeError", "other") for pid in (71, 72)])
@example([(71, w) for w in ("TypeError", "step", "other", "step", "KeyError", "TypeError")])
def test_the_caught_ones_are_those_of_the_naive_reader(said):
    lines = []
    for i, (pid, words) in enumerate(said):
        told = {"other": "took an answer", "step": ""}.get(words, f"{words}: no")
        lines += worker(pid, told) if words != "step" else step(i + 1)
    read = job({"driver.log": text(lines)})
    progress = follow(read, library().signatures)
    caught, likely = caught_again(read, progress, np.ones(len(read.rows), bool))
    found = tuple({int(n) - 1 for n in read.rows.line[mine]} for mine in (caught, likely))
    assert found == naive(said)
