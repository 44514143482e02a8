"""A series -> the points where its level changes, and its median.

Change points are found by binary segmentation: cut the series where that explains most of
its variance, then cut the parts, as long as a cut explains more than the penalty. To find a
part's best cut is one pass over prefix sums. The exact search (PELT) is quadratic on just
the series that healthy jobs write, those in which nothing changes: 26 s for 1e5 points.

A rise that soon falls back explains little variance in a long series, and can be missed: give
a window around it.

References
----------
Scott and Knott (1974), A cluster analysis method for grouping means in the analysis of
variance: binary segmentation.
"""

# A kernel's types stand in its docstring, since `njit` erases them.
# mypy: allow-untyped-defs

import numpy as np
import numpy.typing as npt

from l4fast_kernels.jit import inline, kernel
from l4fast_kernels.order import sort

# Cuts inside a cut. Balanced cuts of a billion points need 30; a series that is peeled from one
# end needs one for each change, and would cost as many passes.
DEEPEST = 64

# A normal distribution's standard deviation is its MAD / 0.6745, or 1.253314 times its mean
# absolute deviation.
MAD_OF_NORMAL = 0.6745
SD_PER_MEAN_DEVIATION = 1.253314

TOP_BIT = np.int64(-(2**63))


@kernel
def change_points(series, min_size, penalty, deepest, out, prefix, gain, part):
    """Write the points where the mean of a series changes, in ascending order.

    Binary segmentation with the sum of squares as cost, the best cut first. A cut of
    ``lo:hi`` at ``c`` gains ``d * d * n / ((c - lo) * (hi - c))``, with ``n = hi - lo`` and
    ``d`` the sum of ``series[lo:c]`` less ``c - lo`` times the part's mean; the first of
    equal cuts wins, and of equal parts the left one. In the end, from left to right, each
    point moves to the best cut between its neighbours, or goes where that is not worth the
    penalty.

    Parameters
    ----------
    series : float64[n]
        Finite.
    min_size : int64
        The fewest points in a part; less than 1 counts as 1.
    penalty : float64
        A cut must gain more than this: squared units of the series.
    deepest : int64
        Parts of so many cuts, one inside the other, are not cut again: no series costs more
        than ``2 + min(k, deepest)`` passes.
    out : int64[k], written
        A change point is the index of the first point of the new part. The first ``k``, by
        gain, where there are more.
    prefix : float64[n + 1], scratch
    gain : float64[k + 1], scratch
    part : int64[k + 1, 4], scratch

    Returns
    -------
    int64
        How many there are in ``out``.
    """
    n = series.size
    min_size = max(min_size, 1)
    if n < 2 * min_size or out.size == 0:
        return 0
    # Times in microseconds are near 2e15: only what is left without their mean can be
    # summed a million times over and still be told apart.
    mean = 0.0
    for i in range(n):
        mean += series[i]
    mean /= n
    prefix[0] = 0.0
    for i in range(n):
        prefix[i + 1] = prefix[i] + (series[i] - mean)

    # A heap of parts that are worth cutting: (gain), (begin, cut, end, depth).
    size = _push(0, n, 0, 0, min_size, penalty, prefix, gain, part)
    found = 0
    while size > 0 and found < out.size:
        begin, cut, end, depth = part[0, 0], part[0, 1], part[0, 2], part[0, 3]
        size = _pop(size, gain, part)
        out[found] = cut
        found += 1
        if depth + 1 < deepest and found < out.size:
            size = _push(begin, cut, depth + 1, size, min_size, penalty, prefix, gain, part)
            size = _push(cut, end, depth + 1, size, min_size, penalty, prefix, gain, part)
    sort(out, found)

    # The first cuts were made before the others were known: look at each again.
    kept = 0
    for i in range(found):
        begin = out[kept - 1] if kept > 0 else 0
        end = out[i + 1] if i + 1 < found else n
        cut, best = _best_cut(begin, end, min_size, prefix)
        if best > penalty:
            out[kept] = cut
            kept += 1
    return kept


@kernel
def _push(begin, end, depth, size, min_size, penalty, prefix, gain, part):
    """Put a part on the heap with its best cut, if that is worth the penalty; return the new size."""
    if end - begin < 2 * min_size:
        return size
    cut, best = _best_cut(begin, end, min_size, prefix)
    if not best > penalty:
        return size
    at = size
    gain[at] = best
    part[at, 0], part[at, 1], part[at, 2], part[at, 3] = begin, cut, end, depth
    while at > 0 and _goes_first(gain, part, at, (at - 1) // 2):
        _swap(gain, part, at, (at - 1) // 2)
        at = (at - 1) // 2
    return size + 1


@kernel
def _pop(size, gain, part):
    """Take the first part off the heap; return the new size."""
    size -= 1
    _swap(gain, part, 0, size)
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            return size
        if child + 1 < size and _goes_first(gain, part, child + 1, child):
            child += 1
        if not _goes_first(gain, part, child, at):
            return size
        _swap(gain, part, at, child)
        at = child


@inline
def _goes_first(gain, part, a, b):
    return gain[a] > gain[b] or (gain[a] == gain[b] and part[a, 0] < part[b, 0])


@inline
def _swap(gain, part, a, b):
    gain[a], gain[b] = gain[b], gain[a]
    for c in range(4):
        part[a, c], part[b, c] = part[b, c], part[a, c]


@kernel
def _best_cut(begin, end, min_size, prefix):
    """Return the first best cut of ``begin:end`` and what it gains."""
    n = end - begin
    base = prefix[begin]
    slope = (prefix[end] - base) / n
    best = -1.0
    cut = begin
    for left in range(min_size, n - min_size + 1):
        d = prefix[begin + left] - base - left * slope
        gain = d * d * n / (np.float64(left) * (n - left))
        if gain > best:
            best = gain
            cut = begin + left
    return cut, best


@kernel
def median_of(values, keys, bins):
    """Return the median of ``values``, the mean of the middle two for an even number; 0 of none.

    Linear time whatever the values: the bits of a float keep its order, so that the median
    is selected by counting the leading 8 bits, then the next 8 of those that share them.

    Parameters
    ----------
    values : float64[n]
        No NaN.
    keys : int64[n], scratch
    bins : int64[256], scratch

    Returns
    -------
    float64
    """
    n = values.size
    if n == 0:
        return 0.0
    bits = values.view(np.int64)
    for i in range(n):
        # Negative floats grow downwards: turn them over, below the others.
        keys[i] = bits[i] ^ TOP_BIT if bits[i] >= 0 else ~bits[i]
    rank = (n - 1) // 2
    left = n
    for shift in range(56, -1, -8):
        bins[:] = 0
        for i in range(left):
            bins[(keys[i] >> shift) & 255] += 1
        digit = 0
        while rank >= bins[digit]:
            rank -= bins[digit]
            digit += 1
        kept = 0
        for i in range(left):
            if (keys[i] >> shift) & 255 == digit:
                keys[kept] = keys[i]
                kept += 1
        left = kept
    keys[0] = keys[0] ^ TOP_BIT if keys[0] < 0 else ~keys[0]
    lower = keys[:1].view(np.float64)[0]
    if n % 2 == 1:
        return lower
    not_above = 0
    upper = np.inf
    for i in range(n):
        if values[i] <= lower:
            not_above += 1
        elif values[i] < upper:
            upper = values[i]
    return lower if not_above > n // 2 else (lower + upper) / 2.0


def find_change_points(
    series: npt.ArrayLike,
    *,
    min_size: int = 5,
    penalty: float | None = None,
    clip: float = 5.0,
    most: int = 1000,
) -> npt.NDArray[np.int64]:
    """Return the points where the level of a series changes, in order; see `change_points`.

    Parameters
    ----------
    series : [n]
        Finite numbers.
    min_size : int
        The fewest points in a part.
    penalty : float, optional
        What a change must gain at least, in squared units of the series. By default three
        times ``variance * log(n)``, with the variance told from the steps between
        neighbours, which a change of level hardly touches.
    clip : float
        Values further from the median than this, in robust standard deviations, are moved
        there: one iteration that waited for a checkpoint is a spike, not a new level. With
        ``inf`` they stay.
    most : int
        The most change points, the telling ones first.

    Examples
    --------
    >>> find_change_points([5.0, 5.1, 4.9, 5.0, 5.1, 9.0, 9.1, 8.9, 9.0, 9.1])
    array([5])
    """
    values = np.ascontiguousarray(series, np.float64)
    n = values.size
    if n > 0 and clip < np.inf:
        middle = median(values)
        away = np.abs(values - middle)
        reach = clip * (median(away) / MAD_OF_NORMAL or float(away.mean()) * SD_PER_MEAN_DEVIATION)
        values = values.clip(middle - reach, middle + reach)
    if penalty is None:
        penalty = _usual_penalty(values)
    out = np.empty(max(0, min(most, n - 1)), np.int64)
    gain, part = np.empty(out.size + 1), np.empty((out.size + 1, 4), np.int64)
    found = change_points(values, min_size, float(penalty), DEEPEST, out, np.empty(n + 1), gain, part)
    return out[:found]


def _usual_penalty(values: npt.NDArray[np.float64]) -> float:
    if values.size < 2:
        return 0.0
    # A step between independent values has twice their variance.
    steps = np.abs(np.diff(values))
    variance = (median(steps) / MAD_OF_NORMAL) ** 2 / 2
    if variance == 0.0:
        # Coarse values, most neighbours equal: only the others tell how restless they are.
        variance = float(np.square(steps).mean()) / 2
    # What rounding leaves of a constant series is no change.
    rounding = values.size * (2 * np.finfo(np.float64).eps * float(np.abs(values).max())) ** 2
    return max(3.0 * variance * float(np.log(values.size)), rounding)


def median(values: npt.ArrayLike) -> float:
    """Return the median; 0 of none. See `median_of`.

    Examples
    --------
    >>> median([3, 1, 2, 10])
    2.5
    """
    array = np.ascontiguousarray(values, np.float64)
    return float(median_of(array, np.empty(array.size, np.int64), np.empty(256, np.int64)))
