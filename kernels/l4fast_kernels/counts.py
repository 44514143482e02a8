"""Counts per row and column -> how odd each count is for its column.

A row is a rank or a node, a column a template. The score is the modified z-score: how far a
count lies from its column's median, in robust standard deviations. The median, unlike the
mean, does not move when a few rows go wrong, and it is they that we look for.

Sorting 500 columns of 10,000 counts costs about half a second. Counts are integers, and the
healthy ones lie close together, so we count them: a window of bins around a guess of the
median, taken from a sample, holds nearly every column's middle. Its order statistics, and
those of the distances from the median, are then a walk over the bins. A column whose middle
is not in the window is selected by narrowing a range of values, in linear time.

References
----------
Iglewicz and Hoaglin (1993), How to Detect and Handle Outliers: the modified z-score, and the
mean absolute deviation in the place of a median absolute deviation of 0.
"""

# A kernel's types stand in its docstring, since `njit` erases them.
# mypy: allow-untyped-defs

import numpy as np
import numpy.typing as npt

from l4fast_kernels.jit import kernel

# A normal distribution's standard deviation is its MAD / 0.6745, or 1.253314 times its mean
# absolute deviation.
MAD_OF_NORMAL = 0.6745
SD_PER_MEAN_DEVIATION = 1.253314

# Columns counted in one pass over the rows. Taking 64 at a time, so that all bins fit the L1
# cache, was 5 times slower: each row is then on a memory page of its own, and only few bins
# near each median are ever touched.
GROUP = 512
# An odd number of cache lines, or the middles of all columns, where nearly all increments go,
# would compete for the same few lines of the cache.
BINS = 1040
WINDOW = BINS - 2  # the first and the last bin count what lies below and above

SAMPLE = 31  # rows that guess where a column's median is


@kernel
def robust_scores(counts, score, middle, spread, bins, column):
    """Write the modified z-score of each count within its column.

    ``score = (count - middle) / spread``: ``middle`` is the column's median (the mean of the
    middle two for an even number of rows), ``spread`` its median absolute deviation / 0.6745,
    or, where that is 0, its mean absolute deviation * 1.253314. Where both are 0 all counts
    are equal, and all scores 0.

    Parameters
    ----------
    counts : int64[n_rows, n_cols]
        Less than ``2**60 / n_rows`` in magnitude.
    score : float64[n_rows, n_cols], written
    middle, spread : float64[n_cols], written
        0 where there are no rows.
    bins : int32[GROUP, BINS], scratch
    column : int64[n_rows], scratch

    Allocates 12 KiB.
    """
    n_rows, n_cols = counts.shape
    if n_rows == 0:
        for j in range(n_cols):
            middle[j] = 0.0
            spread[j] = 0.0
        return
    low = np.empty(GROUP, np.int64)
    twice = np.empty(GROUP, np.int64)
    total = np.empty(GROUP, np.int64)
    for first in range(0, n_cols, GROUP):
        width = min(GROUP, n_cols - first)
        for j in range(width):
            low[j] = _sampled_median(counts, first + j, column) - WINDOW // 2
        _count(counts, first, width, low, bins)
        flat = False
        for j in range(width):
            twice[j], mad4 = _middle_and_mad(bins[j], n_rows)
            twice[j] += 2 * low[j]
            if mad4 < 0:
                for i in range(n_rows):
                    column[i] = counts[i, first + j]
                twice[j], mad4 = _select_middle_and_mad(column, bins[j])
            middle[first + j] = twice[j] / 2.0
            spread[first + j] = mad4 / 4.0 / MAD_OF_NORMAL
            flat = flat or mad4 == 0
        if flat:
            _sum_deviations(counts, first, width, twice, total)
            for j in range(width):
                if spread[first + j] == 0.0:
                    spread[first + j] = total[j] / 2.0 / n_rows * SD_PER_MEAN_DEVIATION
    _write_scores(counts, middle, spread, score)


@kernel
def _sampled_median(counts, j, sample):
    """Return a count that is probably near the median of column ``j``.

    Parameters
    ----------
    counts : int64[n_rows, n_cols]
    sample : int64[n_rows], scratch
    """
    n_rows = counts.shape[0]
    n = min(SAMPLE, n_rows)
    # An odd step: ranks stand in rows by nodes of 8 or 16, and the first of each node is unlike the others.
    step = (n_rows // n) | 1
    for k in range(n):
        value = counts[k * step % n_rows, j]
        at = k
        while at > 0 and sample[at - 1] > value:
            sample[at] = sample[at - 1]
            at -= 1
        sample[at] = value
    return sample[n // 2]


@kernel
def _count(counts, first, width, low, bins):
    """Count the values of ``width`` columns: bin ``1 + value - low`` of the column's row of bins.

    Parameters
    ----------
    counts : int64[n_rows, n_cols]
    first, width : int64
        The columns ``first`` to ``first + width - 1``.
    low : int64[GROUP]
    bins : int32[GROUP, BINS], written
    """
    bins[:width] = 0
    for i in range(counts.shape[0]):
        row = counts[i, first : first + width]
        for j in range(width):
            at = row[j] - low[j]
            at = at if at > -1 else -1
            at = at if at < WINDOW else WINDOW
            bins[j, at + 1] += 1


@kernel
def _middle_and_mad(bins, n):
    """Return twice the median, from the window's start, and four times the MAD.

    All in integers, exact. The MAD is -1 where the window does not hold what it takes.

    Parameters
    ----------
    bins : int32[BINS]
    n : int64
        The sum of ``bins``, at least 1.
    """
    seen = np.int64(bins[0])
    lower = np.int64(0)
    while lower < WINDOW and seen + bins[lower + 1] <= (n - 1) // 2:
        seen += bins[lower + 1]
        lower += 1
    upper = lower
    while upper < WINDOW and seen + bins[upper + 1] <= n // 2:
        seen += bins[upper + 1]
        upper += 1
    twice = lower + upper
    odd = twice & 1
    # The values at equal distance, a half + k or k, left and right of the median. Where the median
    # is out of the window, so is half of the values, and the walk meets an edge before it has enough.
    left = twice >> 1
    right = left + odd
    seen = np.int64(0)
    near = np.int64(-1)
    distance = odd  # in halves
    while True:
        if left >= 0:
            seen += bins[left + 1]
        elif bins[0] > 0:
            return twice, np.int64(-1)
        if right < WINDOW:
            if right != left:
                seen += bins[right + 1]
        elif bins[WINDOW + 1] > 0:
            return twice, np.int64(-1)
        if near < 0 and seen > (n - 1) // 2:
            near = distance
        if seen > n // 2:
            return twice, near + distance
        left -= 1
        right += 1
        distance += 2


@kernel
def _select_middle_and_mad(column, bins):
    """Return twice the median and four times the MAD; ``column`` is spoilt.

    Parameters
    ----------
    column : int64[n], n >= 1, written
    bins : int32[BINS], scratch
    """
    n = column.size
    twice = _select(column, (n - 1) // 2, bins) + _select(column, n // 2, bins)
    for i in range(n):
        column[i] = abs(2 * column[i] - twice)
    return twice, _select(column, (n - 1) // 2, bins) + _select(column, n // 2, bins)


@kernel
def _select(values, k, bins):
    """Return the ``k``-th smallest value, in linear time whatever the values.

    Counts the values in 1,024 equal parts of their range, and looks again into the part that
    holds the answer: at most 7 rounds.

    Parameters
    ----------
    values : int64[n], n > k
        Their range is below ``2**63``.
    bins : int32[BINS], scratch
    """
    low = values[0]
    high = values[0]
    for i in range(values.size):
        low = min(low, values[i])
        high = max(high, values[i])
    while low < high:
        shift = np.int64(0)
        while (high - low) >> shift >= 1024:
            shift += 1
        bins[:1024] = 0
        for i in range(values.size):
            if low <= values[i] <= high:
                bins[(values[i] - low) >> shift] += 1
        part = np.int64(0)
        while k >= bins[part]:
            k -= bins[part]
            part += 1
        low += part << shift
        high = min(high, low + (np.int64(1) << shift) - 1)
    return low


@kernel
def _sum_deviations(counts, first, width, twice, total):
    """Write the sum of ``abs(2 * value - twice)`` of ``width`` columns: exact, in integers.

    Parameters
    ----------
    counts : int64[n_rows, n_cols]
    first, width : int64
        The columns ``first`` to ``first + width - 1``.
    twice : int64[GROUP]
    total : int64[GROUP], written
    """
    total[:] = 0
    for i in range(counts.shape[0]):
        row = counts[i, first : first + width]
        for j in range(width):
            total[j] += abs(2 * row[j] - twice[j])


@kernel
def _write_scores(counts, middle, spread, score):
    """Write ``(counts - middle) / spread``, 0 where the spread is 0.

    Parameters
    ----------
    counts : int64[n_rows, n_cols]
    middle, spread : float64[n_cols]
    score : float64[n_rows, n_cols], written
    """
    n_rows, n_cols = counts.shape
    for i in range(n_rows):
        row = counts[i]
        out = score[i]
        for j in range(n_cols):
            divisor = spread[j] if spread[j] > 0.0 else 1.0
            out[j] = (row[j] - middle[j]) / divisor


def modified_z(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the modified z-score of each count within its column.

    Parameters
    ----------
    counts : integers [n_rows, n_cols]
        Less than ``2**60 / n_rows`` in magnitude.

    Returns
    -------
    float64[n_rows, n_cols]
        Of healthy, roughly normal counts 1 in 2,000 exceeds 3.5, the usual cut.

    Raises
    ------
    TypeError
        Where ``counts`` are not integers that fit 64 signed bits.

    Examples
    --------
    >>> modified_z([[100], [101], [99], [140]]).ravel().round(2)
    array([-0.34,  0.34, -1.01, 26.64])
    """
    array = _as_counts(counts)
    n_rows, n_cols = array.shape
    score = np.empty((n_rows, n_cols))
    middle, spread = np.empty(n_cols), np.empty(n_cols)
    robust_scores(array, score, middle, spread, np.empty((GROUP, BINS), np.int32), np.empty(n_rows, np.int64))
    return score


def _as_counts(counts: npt.ArrayLike) -> npt.NDArray[np.int64]:
    # One layout and one dtype: another would be compiled anew, for seconds.
    return np.ascontiguousarray(np.asarray(counts).astype(np.int64, casting="safe", copy=False))
