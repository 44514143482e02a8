"""The analysis kernels against their naive twins, and on jobs where one can see the answer."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import naive_stats as naive
from l4fast_kernels import counts, distances, segments

# The first example pays for compiling; and the same examples on each run.
steady = settings(deadline=None, derandomize=True)

Table = list[list[int]]


def tables(cells: st.SearchStrategy[int]) -> st.SearchStrategy[Table]:
    shapes = st.tuples(st.integers(0, 9), st.integers(0, 4))
    return shapes.flatmap(
        lambda s: st.lists(st.lists(cells, min_size=s[1], max_size=s[1]), min_size=s[0], max_size=s[0])
    )


def table(rows: Table) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.array(rows, np.int64).reshape(len(rows), len(rows[0]) if rows else 2)


# Ties and constant columns; both sides of the edges of the window of bins; values that no window holds.
CELLS = st.integers(0, 3) | st.integers(-1100, 1100) | st.integers(-(2**40), 2**40)


@steady
@given(tables(CELLS))
@example([])
@example([[7]])
@example([[7, 7], [7, 8]])
@example([[0], [0], [0], [0], [5]])
@example([[0], [519], [1038], [1557]])
@example([[0], [0], [-519], [519], [518], [-520]])
@example([[-(2**40)], [2**40], [0], [2**40 - 1]])
def test_scores_are_the_naive_modified_z(rows: Table) -> None:
    score = counts.modified_z(table(rows))
    np.testing.assert_allclose(score, naive.modified_z(table(rows)), rtol=1e-12, atol=0)


@pytest.mark.parametrize("n_rows", [2, 41, 64])
def test_scores_of_more_columns_than_are_counted_at_once(n_rows: int) -> None:
    rng = np.random.default_rng(5)
    usual = rng.choice([0, 1, 50, 100_000], 2 * counts.GROUP + 3)
    matrix = rng.poisson(usual, (n_rows, usual.size)).astype(np.int64)
    np.testing.assert_allclose(
        counts.modified_z(matrix), naive.modified_z_of_numpy(matrix), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("n_rows", [33, 64, 100, 101])
def test_scores_of_columns_whose_middle_is_not_where_the_sample_says(n_rows: int) -> None:
    rng = np.random.default_rng(9)
    columns = [rng.integers(-width, width, n_rows) for width in (300, 520, 600, 800, 1500, 10**9)]
    for far in (-(10**6), -900, -520, 520, 900, 10**6):
        for share in (0.2, 0.4, 0.5, 0.6):
            column = rng.integers(0, 40, n_rows)
            column[rng.permutation(n_rows)[: int(share * n_rows)]] += far
            columns.append(column)
        # The rows of the sample, and they alone, say something else.
        column = rng.integers(0, 40, n_rows)
        n = counts.SAMPLE
        column[np.arange(n) * ((n_rows // n) | 1) % n_rows] += far
        columns.append(column)
    matrix = np.array(columns).T
    np.testing.assert_allclose(
        counts.modified_z(matrix), naive.modified_z_of_numpy(matrix), rtol=1e-12, atol=0
    )


def test_middle_and_spread_are_told_and_zero_where_there_are_no_rows() -> None:
    matrix = np.array([[1, 0], [3, 0], [7, 0], [9, 4]])
    score, middle, spread = np.empty((4, 2)), np.empty(2), np.empty(2)
    bins = np.empty((counts.GROUP, counts.BINS), np.int32)

    counts.robust_scores(matrix, score, middle, spread, bins, np.empty(4, np.int64))
    assert middle.tolist() == [5.0, 0.0]
    assert spread.tolist() == pytest.approx([3 / 0.6745, 1.253314])

    counts.robust_scores(matrix[:0], score[:0], middle, spread, bins, np.empty(0, np.int64))
    assert middle.tolist() == [0.0, 0.0]
    assert spread.tolist() == [0.0, 0.0]


def test_a_row_that_retries_and_a_row_that_falls_silent_stand_out() -> None:
    matrix = np.random.default_rng(1).poisson(100, (200, 6)).astype(np.int64)
    matrix[17, 2] += 400
    matrix[91] //= 4

    score = counts.modified_z(matrix)

    assert set(np.argsort(-np.abs(score).max(axis=1))[:2].tolist()) == {17, 91}
    assert np.abs(score[17]).argmax() == 2
    assert score[17, 2] > 30
    assert score[91].min() < -6


def test_counts_must_be_whole_and_fit() -> None:
    with pytest.raises(TypeError):
        counts.modified_z([[1.5]])
    with pytest.raises(TypeError):
        counts.modified_z(np.zeros((2, 2), np.uint64))
    assert counts.modified_z(np.asfortranarray(np.ones((3, 2), np.int32))).tolist() == [[0.0, 0.0]] * 3


NUMBERS = st.integers(-3, 3).map(float) | st.floats(-1e6, 1e6)
SERIES = st.lists(NUMBERS, max_size=12)
BANDS = st.integers(-1, 14) | st.just(2**62)


@steady
@given(SERIES, SERIES, BANDS)
@example([], [], 0)
@example([], [1.0], 0)
@example([1.0], [], 0)
@example([1.0], [2.0], 0)
@example([1.0, 2.0, 3.0], [1.0], 0)
@example([0.0, 0.0, 5.0, 0.0], [0.0, 5.0, 0.0, 0.0], 1)
def test_warping_costs_what_the_naive_table_says(a: list[float], b: list[float], band: int) -> None:
    assert distances.warped(a, b, band) == naive.dtw(a, b, band)


CODES = st.lists(st.integers(0, 2) | st.just(-(2**31)), max_size=12)


@steady
@given(CODES, CODES, BANDS)
@example([], [], 0)
@example([], [1], 0)
@example([1, 2, 3, 4], [4], 0)
def test_warping_event_codes_costs_what_the_naive_table_says(a: list[int], b: list[int], band: int) -> None:
    assert distances.warped_codes(a, b, band) == naive.dtw_codes(a, b, band)


def test_a_long_warp_uses_every_lane_and_every_tail() -> None:
    rng = np.random.default_rng(2)
    for n, m, band in [(70, 70, 9), (97, 64, 40), (33, 99, 3)]:
        a, b = rng.normal(size=n), rng.normal(size=m)
        assert distances.warped(a, b, band) == naive.dtw(a.tolist(), b.tolist(), band)
        c, d = rng.integers(0, 4, n), rng.integers(0, 4, m)
        assert distances.warped_codes(c, d, band) == naive.dtw_codes(c.tolist(), d.tolist(), band)


def test_a_window_with_foreign_events_is_far_from_its_sisters() -> None:
    usual = [1, 2, 3, 4, 4, 5] * 10
    slower = [1, 2, 2, 3, 4, 5] * 10
    failing = [*usual[:40], 9, 9, 8, 9, 9, 8, 9]
    assert distances.warped_codes(usual, slower, 10) == 0
    assert distances.warped_codes(usual, failing, 30) >= 7


@steady
@given(tables(st.integers(-4, 4)), st.lists(st.integers(-4, 4), min_size=4, max_size=4))
@example([[0, 0], [1, 1]], [0, 0, 0, 0])
@example([[1, 2, 3, 4], [0, 0, 0, 0]], [1, 2, 3, 4])
def test_distances_from_a_center_are_the_naive_ones(rows: Table, center: list[int]) -> None:
    x = table(rows).astype(np.float32)
    c = np.array(center[: x.shape[1]], np.float32)
    np.testing.assert_allclose(distances.distances_from(c, x), naive.l1_distances(x, c), atol=1e-12)
    np.testing.assert_allclose(
        distances.distances_from(c, x, angle=True), naive.cosine_distances(x, c), atol=1e-12
    )


def test_distances_of_long_rows() -> None:
    rng = np.random.default_rng(3)
    for d in (1, 3, 4, 7, 130):
        x, c = rng.normal(size=(5, d)).astype(np.float32), rng.normal(size=d).astype(np.float32)
        np.testing.assert_allclose(distances.distances_from(c, x), naive.l1_distances(x, c), rtol=1e-12)
        np.testing.assert_allclose(
            distances.distances_from(c, x, angle=True), naive.cosine_distances(x, c), atol=1e-12
        )


LONG = st.lists(NUMBERS, max_size=40)
STEPS = st.lists(st.tuples(NUMBERS, st.integers(1, 9)), max_size=6).map(
    lambda runs: [level for level, length in runs for _ in range(length)]
)


@steady
@given(LONG | STEPS, st.integers(-1, 6), st.sampled_from([0.0, 1e-6, 1.0, 30.0]), st.integers(0, 8))
@example([], 1, 0.0, 4)
@example([1.0], 1, 0.0, 4)
@example([1.0, 2.0], 1, 0.0, 4)
@example([0.1] * 9, 1, 0.0, 8)
@example([0.0, 5.0, 0.0, 5.0, 0.0, 5.0], 1, 0.0, 3)
@example([2.0**i for i in range(80)], 1, 0.0, 78)
def test_change_points_are_the_naive_ones(
    series: list[float], min_size: int, penalty: float, most: int
) -> None:
    ours = segments.find_change_points(series, min_size=min_size, penalty=penalty, clip=np.inf, most=most)
    theirs = naive.change_points(np.array(series), min_size, penalty, most, segments.DEEPEST)
    assert ours.tolist() == theirs


def change_points(series: list[float], min_size: int, penalty: float, most: int, deepest: int) -> list[int]:
    out, n = np.empty(most, np.int64), len(series)
    prefix, gain, part = np.empty(n + 1), np.empty(most + 1), np.empty((most + 1, 4), np.int64)
    found = segments.change_points(
        np.array(series, np.float64), min_size, penalty, deepest, out, prefix, gain, part
    )
    return [int(x) for x in out[:found]]


@pytest.mark.parametrize("deepest", [1, 2, 3, 64])
@pytest.mark.parametrize("most", [1, 2, 5, 9, 17, 40])
def test_the_best_cuts_come_first_and_none_is_too_deep(most: int, deepest: int) -> None:
    rng = np.random.default_rng(7)
    for _ in range(8):
        series = np.repeat(rng.integers(0, 50, 40), rng.integers(1, 6, 40)).astype(float)
        theirs = naive.change_points(series, 1, 1.0, most, deepest)
        assert change_points(series.tolist(), 1, 1.0, most, deepest) == theirs


def test_of_equal_parts_the_left_one_is_cut_first() -> None:
    series = [0.0, 0.0, 4.0, 4.0, 64.0, 64.0, 68.0, 68.0]
    assert change_points(series, 1, 0.0, 2, 64) == [2, 4]
    assert change_points(series, 1, 0.0, 3, 64) == [2, 4, 6]
    assert change_points(series, 1, 0.0, 3, 1) == [4]


@steady
@given(st.lists(NUMBERS, min_size=2, max_size=20), st.data())
def test_a_cut_gains_what_the_sums_of_squares_lose(series: list[float], data: st.DataObject) -> None:
    values = np.array(series)
    prefix = np.concatenate([[0.0], (values - values.mean()).cumsum()])
    gain, cut = naive.best_cut(prefix, 0, len(series), 1)
    other = data.draw(st.integers(1, len(series) - 1))

    def lost(c: int) -> float:
        parts = naive.sum_of_squares(values[:c]) + naive.sum_of_squares(values[c:])
        return naive.sum_of_squares(values) - parts

    scale = 1e-9 * (1.0 + float(np.square(values).sum()))
    assert gain == pytest.approx(lost(cut), rel=1e-9, abs=scale)
    assert gain >= lost(other) - scale


def test_the_iterations_where_the_pace_changed() -> None:
    rng = np.random.default_rng(4)
    seconds = rng.normal(5.0, 0.1, 900)
    seconds[300:700] += 0.5
    seconds[700:] += 2.0
    assert segments.find_change_points(seconds).tolist() == [300, 700]


def test_a_spike_is_no_change_of_pace() -> None:
    rng = np.random.default_rng(8)
    seconds = rng.normal(5.0, 0.1, 900)
    seconds[99::100] += 30.0  # a checkpoint
    assert segments.find_change_points(seconds).tolist() == []
    seconds[880:] += 30.0
    assert segments.find_change_points(seconds).tolist() == [880]
    assert segments.find_change_points(seconds, clip=np.inf).size > 1


@pytest.mark.parametrize("offset", [0.0, 0.1, 1.7e15])
def test_a_level_far_from_zero_hides_no_change_and_makes_none(offset: float) -> None:
    flat = np.full(400, offset)
    assert segments.find_change_points(flat).tolist() == []
    flat[250:] += 4.0
    assert segments.find_change_points(flat).tolist() == [250]


def test_noise_alone_does_not_change() -> None:
    rng = np.random.default_rng(6)
    found = [segments.find_change_points(rng.normal(size=300)).size for _ in range(50)]
    assert sum(found) <= 1
    coarse = [segments.find_change_points(rng.integers(0, 20, 300) == 0).size for _ in range(50)]
    assert sum(coarse) <= 5


@steady
@given(st.lists(st.floats(-1e300, 1e300) | st.integers(-2, 2).map(float), max_size=30))
@example([])
@example([-0.0])
@example([1.0, 1.0])
@example([-1.0, 0.0, -0.0, 5e-324])
@example([-1e300, 1e300, 3.0, -3.0])
def test_the_median_is_the_naive_one(values: list[float]) -> None:
    assert segments.median(values) == (median(values) if values else 0.0)


def test_the_median_of_infinities_and_its_input_are_left_alone() -> None:
    values = np.array([np.inf, -np.inf, 2.0])
    assert segments.median(values) == 2.0
    assert values.tolist() == [np.inf, -np.inf, 2.0]
