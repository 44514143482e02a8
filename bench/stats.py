"""How fast the analysis kernels are, as ratios to the naive way in the same run.

    python bench/stats.py

Each pair is timed turn and turn about on one core, warm, best of several, and only after
both gave the same answer. Median absolute deviations are numpy's; a warp's rival is the
textbook's table in Python; that of the change points is numpy over the same prefix sums.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from l4fast_kernels import counts, distances, segments

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import naive_stats as naive

RANKS, TEMPLATES = 10_000, 500
POINTS, CHANGES = 1_000_000, 20


def race(name: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 5) -> None:
    """Print the best time of both, taken in turn, and their ratio."""
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for i, run in enumerate((ours, theirs)):
            begin = perf_counter()
            run()
            best[i] = min(best[i], perf_counter() - begin)
    print(f"{name:36} {best[0] * 1e3:9.2f} ms {best[1] * 1e3:10.2f} ms   x {best[0] / best[1]:.4f}")


def race_scores(rng: np.random.Generator) -> None:
    usual = rng.gamma(0.5, 40, TEMPLATES)
    matrix = rng.poisson(usual, (RANKS, TEMPLATES)).astype(np.int64)
    matrix[17, rng.integers(0, TEMPLATES, 20)] += 60
    matrix[4242] //= 2
    matrix[9001, 3] += 500_000
    score, middle, spread = np.empty(matrix.shape), np.empty(TEMPLATES), np.empty(TEMPLATES)
    bins, column = np.empty((counts.GROUP, counts.BINS), np.int32), np.empty(RANKS, np.int64)

    def ours() -> None:
        counts.robust_scores(matrix, score, middle, spread, bins, column)

    def median_and_mad() -> None:
        deviation = np.abs(matrix - np.median(matrix, axis=0))
        np.median(deviation, axis=0)

    ours()
    np.testing.assert_allclose(score, naive.modified_z_of_numpy(matrix), rtol=1e-12, atol=0)
    race("robust scores, 10,000 x 500", ours, median_and_mad)

    best, where = np.empty(RANKS), np.empty(RANKS, np.int64)

    def oddest_of_numpy() -> None:
        np.take_along_axis(score, np.abs(score).argmax(axis=1)[:, None], axis=1)

    counts.row_max(score, best, where)
    assert where.tolist() == np.abs(score).argmax(axis=1).tolist()
    race("oddest score of each row", lambda: counts.row_max(score, best, where), oddest_of_numpy)


def race_warps(rng: np.random.Generator) -> None:
    for n, band in ((300, 30), (300, 300)):
        a, b = rng.normal(1, 0.1, n).tolist(), rng.normal(1, 0.1, n).tolist()
        assert distances.warped(a, b, band) == naive.dtw(a, b, band)
        c, d = rng.integers(0, 20, n).tolist(), rng.integers(0, 20, n).tolist()
        assert distances.warped_codes(c, d, band) == naive.dtw_codes(c, d, band)
        race(
            f"DTW of {n}, band {band}",
            lambda a=a, b=b, band=band: distances.warped(a, b, band),  # type: ignore[misc]
            lambda a=a, b=b, band=band: naive.dtw(a, b, band),  # type: ignore[misc]
            rounds=3,
        )
    left, right = rng.normal(1, 0.1, 5000), rng.normal(1, 0.1, 5000)
    distances.warped(left, right, 50)
    begin = perf_counter()
    distances.warped(left, right, 50)
    print(f"{'DTW of 5,000, band 50':36} {(perf_counter() - begin) * 1e3:9.2f} ms")


def race_change_points(rng: np.random.Generator) -> None:
    planted = np.sort(rng.choice(POINTS, CHANGES, replace=False))
    series = rng.normal(0, 1, POINTS)
    series += 2 * (np.searchsorted(planted, np.arange(POINTS), side="right") % 2)
    out, prefix = np.empty(100, np.int64), np.empty(POINTS + 1)
    gain, part = np.empty(101), np.empty((101, 4), np.int64)

    def ours() -> list[int]:
        found = segments.change_points(series, 5, 40.0, segments.DEEPEST, out, prefix, gain, part)
        return [int(x) for x in out[:found]]

    def theirs() -> list[int]:
        return naive.change_points(series, 5, 40.0, 100, segments.DEEPEST)

    assert ours() == theirs()
    near = sum(int(np.abs(planted - c).min() <= 5) for c in ours())
    print(f"change points: {CHANGES} planted, {len(ours())} found, {near} of them within 5 points")
    race("change points, 1e6", ours, theirs, rounds=2)
    assert segments.median(series) == float(np.median(series))
    race("median, 1e6", lambda: segments.median(series), lambda: np.median(series))


def main() -> None:
    rng = np.random.default_rng(0)
    print(f"{'':36} {'ours':>12} {'naive':>13}   ours / naive")
    race_scores(rng)
    race_warps(rng)
    race_change_points(rng)


if __name__ == "__main__":
    main()
