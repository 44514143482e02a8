"""Distances between series, event sequences, and count vectors.

Dynamic time warping compares two windows of a job that did the same things at another pace.
The table of costs is filled along its anti-diagonals: row by row each cell waits for the one
before it, but the cells of an anti-diagonal depend on the two diagonals before it only, and
are computed several at a time.

References
----------
Sakoe and Chiba (1978), Dynamic programming algorithm optimization for spoken word
recognition: the band.
"""

# A kernel's types stand in its docstring, since `njit` erases them.
# mypy: allow-untyped-defs

import numpy as np
import numpy.typing as npt

from l4fast_kernels.jit import inline, kernel

FAR = np.int32(2**30)  # beyond any path of 0/1 costs


@kernel
def dtw(a, b, band, scratch):
    """Return the cost of the cheapest alignment of two series, with cost ``abs(a[i] - b[j])``.

    Only cells with ``abs(i - j) <= band`` are visited. A band narrower than the difference of
    the lengths, which would leave no path, is widened to it. Two empty series cost 0; one
    empty series cannot be aligned: infinity. Costs O((n + m) * band).

    Parameters
    ----------
    a : float64[n]
    b : float64[m]
        No NaN.
    band : int64
    scratch : float64[4, >= max(n + 2, m)]

    Returns
    -------
    float64
    """
    n, m = a.size, b.size
    if n == 0 or m == 0:
        return 0.0 if n == m else np.inf
    band = min(max(band, abs(n - m)), n + m)
    backwards = scratch[3]
    for j in range(m):
        backwards[j] = b[m - 1 - j]
    # Cell i of a diagonal stands at 1 + i. The cells beside a diagonal are out of reach: those
    # behind it for good, those before it have never been written.
    before, last, now = scratch[0], scratch[1], scratch[2]
    before[: n + 2] = np.inf
    last[: n + 2] = np.inf
    now[: n + 2] = np.inf
    before[0] = 0.0
    for s in range(n + m - 1):
        first, stop = _cells(s, n, m, band)
        x = a[first:stop]
        y = backwards[m - 1 - s + first :]
        diagonal = before[first:]
        up = last[first:]
        left = last[first + 1 :]
        out = now[first + 1 :]
        for k in range(x.size):
            best = up[k] if up[k] < left[k] else left[k]
            best = diagonal[k] if diagonal[k] < best else best
            out[k] = abs(x[k] - y[k]) + best
        now[first] = np.inf
        before, last, now = last, now, before
    return last[n]


@kernel
def dtw_codes(a, b, band, scratch):
    """Return the fewest mismatches over all alignments of two event sequences.

    `dtw` with cost 0 for equal codes and 1 for others. One empty sequence cannot be
    aligned: -1.

    Parameters
    ----------
    a : int32[n]
    b : int32[m]
    band : int64
    scratch : int32[4, >= max(n + 2, m)]

    Returns
    -------
    int64
    """
    n, m = a.size, b.size
    if n == 0 or m == 0:
        return 0 if n == m else -1
    band = min(max(band, abs(n - m)), n + m)
    backwards = scratch[3]
    for j in range(m):
        backwards[j] = b[m - 1 - j]
    before, last, now = scratch[0], scratch[1], scratch[2]
    before[: n + 2] = FAR
    last[: n + 2] = FAR
    now[: n + 2] = FAR
    before[0] = 0
    for s in range(n + m - 1):
        first, stop = _cells(s, n, m, band)
        x = a[first:stop]
        y = backwards[m - 1 - s + first :]
        diagonal = before[first:]
        up = last[first:]
        left = last[first + 1 :]
        out = now[first + 1 :]
        for k in range(x.size):
            best = up[k] if up[k] < left[k] else left[k]
            best = diagonal[k] if diagonal[k] < best else best
            # A path through FAR grows by 1 a step: it stays far, and far below overflow.
            out[k] = best + np.int32(x[k] != y[k])
        now[first] = FAR
        before, last, now = last, now, before
    return np.int64(last[n])


@inline
def _cells(s, n, m, band):
    """Return the bounds of ``i`` on the anti-diagonal ``i + j == s``, within table and band."""
    first = max(0, s - m + 1, (s - band + 1) >> 1)
    stop = min(n, s + 1, ((s + band) >> 1) + 1)
    return first, stop


@kernel
def l1_distances(x, center, out):
    """Write each row's L1 distance from ``center``.

    Parameters
    ----------
    x : float32[n, d]
    center : float32[d]
    out : float64[n], written
    """
    n, d = x.shape
    whole = d - d % 4
    for i in range(n):
        row = x[i]
        # Four sums: one would wait for its own last addition at each step.
        s0 = s1 = s2 = s3 = 0.0
        for j in range(0, whole, 4):
            s0 += np.float64(abs(row[j] - center[j]))
            s1 += np.float64(abs(row[j + 1] - center[j + 1]))
            s2 += np.float64(abs(row[j + 2] - center[j + 2]))
            s3 += np.float64(abs(row[j + 3] - center[j + 3]))
        for j in range(whole, d):
            s0 += np.float64(abs(row[j] - center[j]))
        out[i] = (s0 + s1) + (s2 + s3)


@kernel
def cosine_distances(x, center, out):
    """Write ``1 - cos`` of the angle between each row and ``center``: 0 alike, 1 nothing in common.

    A zero vector has no direction: it is at distance 0 from another zero vector, 1 from
    any other.

    Parameters
    ----------
    x : float32[n, d]
    center : float32[d]
    out : float64[n], written
        From 0 to 2.
    """
    n, d = x.shape
    whole = d - d % 4
    length2 = 0.0
    for j in range(d):
        length2 += np.float64(center[j]) * np.float64(center[j])
    for i in range(n):
        row = x[i]
        p0 = p1 = p2 = p3 = 0.0
        q0 = q1 = q2 = q3 = 0.0
        for j in range(0, whole, 4):
            v0, v1 = np.float64(row[j]), np.float64(row[j + 1])
            v2, v3 = np.float64(row[j + 2]), np.float64(row[j + 3])
            p0 += v0 * center[j]
            p1 += v1 * center[j + 1]
            p2 += v2 * center[j + 2]
            p3 += v3 * center[j + 3]
            q0 += v0 * v0
            q1 += v1 * v1
            q2 += v2 * v2
            q3 += v3 * v3
        for j in range(whole, d):
            v0 = np.float64(row[j])
            p0 += v0 * center[j]
            q0 += v0 * v0
        square = (q0 + q1) + (q2 + q3)
        if square == 0.0 or length2 == 0.0:
            out[i] = 0.0 if square == length2 else 1.0
        else:
            cosine = ((p0 + p1) + (p2 + p3)) / np.sqrt(square) / np.sqrt(length2)
            out[i] = 1.0 - min(1.0, max(-1.0, cosine))


def warped(a: npt.ArrayLike, b: npt.ArrayLike, band: int) -> float:
    """Return the dynamic time warping distance of two series; see `dtw`.

    Examples
    --------
    >>> warped([1, 2, 3, 3], [1, 1, 2, 3], band=2)
    0.0
    >>> warped([1, 2, 3, 3], [1, 1, 2, 3], band=0)
    2.0
    """
    left = np.ascontiguousarray(a, np.float64)
    right = np.ascontiguousarray(b, np.float64)
    return float(dtw(left, right, band, np.empty((4, max(left.size + 2, right.size)))))


def warped_codes(a: npt.ArrayLike, b: npt.ArrayLike, band: int) -> int:
    """Return the fewest mismatches of two aligned event sequences; see `dtw_codes`.

    Examples
    --------
    >>> warped_codes([7, 8, 8, 8, 9], [7, 8, 9, 9, 9], band=3)
    0
    >>> warped_codes([7, 8, 9], [7, 5, 9], band=3)
    1
    """
    left = np.ascontiguousarray(a, np.int32)
    right = np.ascontiguousarray(b, np.int32)
    scratch = np.empty((4, max(left.size + 2, right.size)), np.int32)
    return int(dtw_codes(left, right, band, scratch))


def distances_from(
    center: npt.ArrayLike, x: npt.ArrayLike, *, angle: bool = False
) -> npt.NDArray[np.float64]:
    """Return each row's L1 distance from ``center``, or its cosine distance.

    Parameters
    ----------
    center : [d]
    x : [n, d]
        Both are rounded to float32.

    Examples
    --------
    >>> distances_from([0, 2], [[0, 2], [3, 0]])
    array([0., 5.])
    >>> distances_from([0, 2], [[0, 4], [3, 0]], angle=True)
    array([0., 1.])
    """
    rows = np.ascontiguousarray(x, np.float32)
    middle = np.ascontiguousarray(center, np.float32)
    out = np.empty(rows.shape[0])
    if angle:
        cosine_distances(rows, middle, out)
    else:
        l1_distances(rows, middle, out)
    return out
