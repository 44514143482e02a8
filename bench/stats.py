"""How fast the analysis is: its kernels as ratios to others in the same run, and all of it at full size.

    python bench/stats.py

Each pair is timed turn and turn about on one core, warm, best of several, and only after
both gave the same answer (or found the same, where they answer differently). Median absolute
deviations are numpy's and scipy's; a warp's rival is the textbook's table in Python; those of the
change points are numpy over the same prefix sums, and ruptures; those of the distances are scipy's
and, as another way to find the odd rank, scikit-learn's Isolation Forest. Rivals that are not
installed are left out.

The last line is a job of 10,000 ranks, 500 templates and 5,000 iterations after parsing: who is who,
who fell silent, the iteration counter, since when it is slow, the stages.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
from l4fast import marks, slow, spatial, speakers, temporal
from l4fast.job import Iterations, Job, Pairs, Reached, Series
from l4fast.joining import join
from l4fast.library import load
from l4fast.parse import Shape
from l4fast.pathnames import PathFacts
from l4fast.streamsums import StreamSums
from l4fast.voices import Speaker

from l4fast_kernels import counts, distances, segments

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import naive_stats as naive

RANKS, TEMPLATES, ITERATIONS = 10_000, 500, 5_000
POINTS, CHANGES = 1_000_000, 20
FEWER_POINTS = 10_000  # ruptures takes a minute for 50,000
ODD, SLOW_FROM, SECOND = 4242, 4_000, 1_000_000


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
    if has("scipy"):
        from scipy.stats import median_abs_deviation

        np.testing.assert_array_equal(
            np.median(np.abs(matrix - np.median(matrix, axis=0)), axis=0),
            median_abs_deviation(matrix, axis=0),
        )
        race(
            "robust scores, scipy's MAD",
            ours,
            lambda: (np.median(matrix, axis=0), median_abs_deviation(matrix)),
        )
    if has("sklearn"):
        from sklearn.ensemble import IsolationForest

        forest = IsolationForest(random_state=0, n_jobs=1)
        race(
            "the odd rank, Isolation Forest", ours, lambda: forest.fit(matrix).score_samples(matrix), rounds=2
        )


def race_distances(rng: np.random.Generator) -> None:
    """Each rank's distance from the usual rank, beside scipy's cdist on the same float32."""
    if not has("scipy"):
        return
    from scipy.spatial.distance import cdist

    rows = rng.gamma(2, 50, (RANKS, TEMPLATES)).astype(np.float32)
    center = np.median(rows, axis=0).astype(np.float32)
    for name, metric, angle in (("L1", "cityblock", False), ("cosine", "cosine", True)):

        def ours(angle: bool = angle) -> np.ndarray:
            return distances.distances_from(center, rows, angle=angle)

        def theirs(metric: str = metric) -> np.ndarray:
            return cdist(rows, center[None, :], metric)[:, 0]

        np.testing.assert_allclose(ours(), theirs(), rtol=1e-4, atol=1e-6)
        race(f"{name} distances, 10,000 x 500", ours, theirs)


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
    if has("ruptures"):
        race_ruptures(rng)
    assert segments.median(series) == float(np.median(series))
    race("median, 1e6", lambda: segments.median(series), lambda: np.median(series))


def race_ruptures(rng: np.random.Generator) -> None:
    """Binary segmentation of ruptures, with the same penalty; both must find what was planted."""
    import ruptures

    planted = np.arange(1, 10) * (FEWER_POINTS // 10)
    series = rng.normal(0, 1, FEWER_POINTS) + 4 * (np.arange(FEWER_POINTS) // planted[0] % 2)

    def ours() -> list[int]:
        return [int(x) for x in segments.find_change_points(series, penalty=100.0, clip=np.inf)]

    def theirs() -> list[int]:
        found = ruptures.Binseg(model="l2", min_size=5, jump=1).fit(series).predict(pen=100.0)
        return [int(x) for x in found[:-1]]

    for found in (ours(), theirs()):
        assert len(found) == len(planted) and np.abs(planted - np.array(found)).max() <= 5, (planted, found)
    race(f"change points, {FEWER_POINTS:,}, ruptures", ours, theirs, rounds=2)


def has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def parsed(rng: np.random.Generator) -> Job:
    """Return a job as it is after parsing: one rank fell silent."""
    usual = rng.gamma(2, 40, TEMPLATES)
    count = rng.poisson(usual, (RANKS, TEMPLATES)).astype(np.int64) + 1
    end = ITERATIONS * SECOND
    last = np.full((RANKS, TEMPLATES), end) - rng.integers(0, 5 * SECOND, (RANKS, TEMPLATES))
    last[ODD] -= 1_000 * SECOND
    line = np.cumsum(np.ones(RANKS * TEMPLATES, np.int64))
    pairs = Pairs(
        np.repeat(np.arange(RANKS, dtype=np.int32), TEMPLATES),
        np.tile(np.arange(TEMPLATES, dtype=np.int32), RANKS),
        count.ravel(),
        np.zeros_like(line),
        last.ravel(),
        line,
        100 * line,
        line + RANKS * TEMPLATES,
        100 * (line + RANKS * TEMPLATES),
    )
    each = np.where(np.arange(ITERATIONS) < SLOW_FROM, 1.0, 2.5) + rng.normal(0, 0.02, ITERATIONS)
    time = (np.cumsum(each) * SECOND).astype(np.int64)
    number = np.arange(1, ITERATIONS + 1, dtype=np.int32)
    zero, one = np.zeros(ITERATIONS, np.int64), np.ones(ITERATIONS, np.int64)
    iterations = Iterations(
        zero, number, one, time, time, zero, number.astype(np.int64), 100 * zero, zero, number, 100 * zero
    )
    first, full = np.zeros(1, np.int64), np.full(1, ITERATIONS)
    progress = next(s.id for s in load().signatures.values() if s.marker == "progress" and s.weight > -3)
    return replace(
        join([], 0),
        streams=(StreamSums("slurm.out", 10**9, 10**7, 0, int(time[-1]), 10**7, False),),
        shapes=tuple(Shape(f"{k:016x}", f"template {k:04} <*>") for k in range(TEMPLATES)),
        speakers=tuple(Speaker(0, (("rank", f"rank{r}"),)) for r in range(RANKS)),
        pairs=pairs,
        iterations=iterations,
        reached=Reached(
            first, first, full, first + 1, full, full, first, first, full, full, full, first, full, full
        ),
        series=(Series(progress, "iteration", 2 * ITERATIONS, ITERATIONS, each),),
    )


def time_analysis(rng: np.random.Generator) -> None:
    """Localise and segment a job of full size, after parsing."""
    job, signatures = parsed(rng), load().signatures
    best: dict[str, float] = {}
    for _ in range(3):
        begin = perf_counter()
        top = speakers.resolve(job, [PathFacts()])
        who = perf_counter()
        silent = spatial.silent_first(job, top)
        localised = perf_counter()
        progress = temporal.follow(job, signatures)
        change = slow.find(job, progress, marks.marks(job))
        stages = marks.segments(job, marks.marks(job), progress)
        done = perf_counter()
        assert silent is not None and silent.ranks == (ODD,)
        assert change is not None and abs(change.iteration - SLOW_FROM) <= 2, change
        assert (progress.last_completed, [s.stage for s in stages]) == (ITERATIONS, ["launch", "iterate"])
        for name, s in (("who", who - begin), ("localise", localised - who), ("segment", done - localised)):
            best[name] = min(best.get(name, s), s)
    told = ", ".join(f"{name} {s:.3f} s" for name, s in best.items())
    print(f"10,000 ranks x 500 templates x 5,000 iterations: {told}; together {sum(best.values()):.3f} s")


def main() -> None:
    rng = np.random.default_rng(0)
    print(f"{'':36} {'ours':>12} {'theirs':>13}   ours / theirs")
    race_scores(rng)
    race_distances(rng)
    race_warps(rng)
    race_change_points(rng)
    time_analysis(rng)


if __name__ == "__main__":
    main()
