"""GA, FGA, PA, FTA against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.accuracy import accuracy

import naive


def of(true: list[str], found: list[str]):
    """Compare two lists of templates, one a line."""
    texts = [list(dict.fromkeys(side)) for side in (true, found)]
    codes = [
        np.array([names.index(t) for t in side], np.int32)
        for names, side in zip(texts, (true, found), strict=True)
    ]
    return accuracy(*codes, *texts)


TEMPLATES = st.sampled_from(["a", "b <*>", "c", "<*>", "d e"])


@given(st.lists(st.tuples(TEMPLATES, TEMPLATES), min_size=1, max_size=12))
def test_is_what_the_definitions_say(lines):
    true, found = [t for t, _ in lines], [f for _, f in lines]
    got = of(true, found)
    assert (got.ga, got.fga, got.pa, got.fta) == pytest.approx(naive.accuracy(true, found), abs=1e-15)
    assert (got.found, got.true) == (len(set(found)), len(set(true)))


def test_one_line_in_the_wrong_group_spoils_two_groups():
    got = of(["a", "a", "a", "b", "c"], ["a", "a", "b", "b", "c"])
    assert got.ga == 1 / 5  # only the group of c is whole
    assert got.fga == 1 / 3
    assert got.pa == 4 / 5
    assert got.fta == 2 / 3  # what was found as a is all a, what was found as c is all c


def test_grouping_does_not_look_at_the_text():
    got = of(["a", "a", "b"], ["x", "x", "y"])
    assert (got.ga, got.fga, got.pa, got.fta) == (1, 1, 0, 0)


def test_two_templates_with_one_text_are_one():
    got = accuracy(np.array([0, 0]), np.array([0, 1]), ["a"], ["a", "a"])
    assert (got.ga, got.pa, got.found) == (1, 1, 1)


def test_lines_without_a_label_take_no_part_but_count_as_wrong():
    # pandas, and so the evaluator, reads these labels as no value, on both sides.
    got = of(["a", "", "null", "b"], ["a", "c", "null", "NA"])
    assert (got.ga, got.fga, got.pa, got.fta) == (1, 1, 0.25, 0.5)


def test_a_line_without_a_row_is_wrong():
    got = accuracy(np.array([0, 0, 1]), np.array([0, 0, -1]), ["a", "b"], ["a"])
    assert (got.ga, got.pa, got.found) == (1, 2 / 3, 2)


def test_no_lines_are_no_accuracy():
    got = accuracy(np.zeros(0, np.int32), np.zeros(0, np.int32), [], [])
    assert (got.ga, got.fga, got.pa, got.fta) == (0, 0, 0, 0)
