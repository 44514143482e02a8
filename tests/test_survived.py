"""What a job survived: an error before iterations that were done again."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.job import NONE
from l4fast.survived import NOTICE_US, SURVIVED_ITERATIONS, _done_again, shortly_before

from jobs import cry, steps, story

BEGIN = steps(range(1, 31)) + "SLURM_RESTART_COUNT=1\n"
BOOM = cry(607, 0, "RuntimeError: boom")


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        (steps(range(21, 23), begin=600) + BOOM + steps(range(23, 29), begin=608), "running"),
        (steps(range(21, 28), begin=600) + BOOM, "failed"),
        (steps(range(21, 28), begin=600) + BOOM + steps(range(28, 30), begin=608), "failed"),
    ],
)
def test_iterations_that_are_done_again_show_that_the_job_survived(after, outcome):
    assert story({"a.out": BEGIN + after}).outcome == outcome


def test_ranks_that_lag_in_one_file_do_not_show_that_the_job_survived():
    lines = steps(range(1, 12)) + cry(11, 3, "RuntimeError: boom") + steps([10, 11], begin=11)
    assert story({"a.out": lines}).outcome == "failed"


def naive_again(said: list[tuple[int, int]]) -> set[int]:
    """Iterations by number: done again if their last report comes when the counter went back by three."""
    first: dict[int, tuple[int, int]] = {}
    last: dict[int, tuple[int, int]] = {}
    for line, (stream, number) in enumerate(said):
        first.setdefault(number, (stream, line))
        last[number] = (stream, line)
    order = {number: i for i, number in enumerate(sorted(first))}
    begun: dict[int, int] = {}
    for number, (stream, line) in sorted(last.items(), key=lambda item: item[1][1]):
        above = [order[n] for n, (s, at_line) in first.items() if s == stream and at_line < line]
        if above and max(above) - order[number] >= SURVIVED_ITERATIONS:
            begun.setdefault(stream, line)
    return {
        n
        for n, (stream, line) in last.items()
        if stream in begun
        and line >= begun[stream]
        and not (first[n][0] == stream and first[n][1] >= begun[stream])
    }


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 9)), max_size=40))
def test_the_iterations_done_again_are_those_of_the_naive_search(said):
    numbers = sorted({number for _, number in said})
    at = {n: [i for i, (_, number) in enumerate(said) if number == n] for n in numbers}
    columns = {
        "first_stream": [said[at[n][0]][0] for n in numbers],
        "first_line": [at[n][0] for n in numbers],
        "last_stream": [said[at[n][-1]][0] for n in numbers],
        "last_line": [at[n][-1] for n in numbers],
    }
    its = SimpleNamespace(**{name: np.array(values, np.int64) for name, values in columns.items()})
    found = _done_again(SimpleNamespace(iterations=its), np.arange(len(numbers)))
    assert {n for n, again in zip(numbers, found, strict=True) if again} == naive_again(said)


@pytest.mark.filterwarnings("error")
def test_where_nothing_tells_of_the_end_nothing_is_shortly_before_it():
    times = np.array([NONE, 0, 5], np.int64)
    assert shortly_before(times, []).tolist() == [False] * 3
    assert shortly_before(times, [np.int64(NONE)]).tolist() == [False] * 3
    assert shortly_before(times, [NOTICE_US + 1, NONE]).tolist() == [False, False, True]
