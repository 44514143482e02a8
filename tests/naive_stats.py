"""What the kernels of `counts`, `distances` and `segments` mean, written to be read."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def modified_z(counts: npt.NDArray[np.int64]) -> Floats:
    """Iglewicz and Hoaglin's modified z-score, column by column."""
    score = np.zeros(counts.shape)
    for j in range(counts.shape[1]):
        column = [int(x) for x in counts[:, j]]
        if not column:
            continue
        middle = median(column)
        deviations = [abs(x - middle) for x in column]
        if median(deviations) > 0:
            score[:, j] = [0.6745 * (x - middle) / median(deviations) for x in column]
        elif max(deviations) > 0:
            score[:, j] = [(x - middle) / (1.253314 * fmean(deviations)) for x in column]
    return score


def modified_z_of_numpy(counts: npt.NDArray[np.int64]) -> Floats:
    """The same for large matrices, as one would write it with numpy."""
    middle = np.median(counts, axis=0)
    deviation = np.abs(counts - middle)
    spread = np.median(deviation, axis=0) / 0.6745
    flat = spread == 0
    spread[flat] = deviation[:, flat].mean(axis=0) * 1.253314
    spread[spread == 0] = 1.0
    score: Floats = (counts - middle) / spread
    return score


def dtw(a: Sequence[float], b: Sequence[float], band: int) -> float:
    """The textbook's table: a cell is its cost and the cheapest of three neighbours."""
    n, m = len(a), len(b)
    band = max(band, abs(n - m))
    table = np.full((n + 1, m + 1), np.inf)
    table[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            if abs(i - j) <= band:
                cheapest = min(table[i - 1, j - 1], table[i - 1, j], table[i, j - 1])
                table[i, j] = abs(a[i - 1] - b[j - 1]) + cheapest
    return float(table[n, m])


def dtw_codes(a: Sequence[int], b: Sequence[int], band: int) -> int:
    """The same with cost 0 for equal codes, 1 for others; -1 for no alignment."""
    n, m = len(a), len(b)
    band = max(band, abs(n - m))
    table = np.full((n + 1, m + 1), np.inf)
    table[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            if abs(i - j) <= band:
                cheapest = min(table[i - 1, j - 1], table[i - 1, j], table[i, j - 1])
                table[i, j] = (a[i - 1] != b[j - 1]) + cheapest
    return -1 if np.isinf(table[n, m]) else int(table[n, m])


def l1_distances(x: npt.NDArray[np.float32], center: npt.NDArray[np.float32]) -> Floats:
    distances: Floats = np.abs(x - center).sum(axis=1, dtype=np.float64)
    return distances


def cosine_distances(x: npt.NDArray[np.float32], center: npt.NDArray[np.float32]) -> Floats:
    c = center.astype(np.float64)
    out = np.zeros(len(x))
    for i, v in enumerate(x.astype(np.float64)):
        if v.any() and c.any():
            out[i] = 1.0 - (v @ c) / (np.linalg.norm(v) * np.linalg.norm(c))
        else:
            out[i] = 0.0 if v.any() == c.any() else 1.0
    return out


def best_cut(prefix: Floats, begin: int, end: int, min_size: int) -> tuple[float, int]:
    """What the best cut of a part gains, and where it is; (-1, begin) where none is allowed."""
    n = end - begin
    left = np.arange(min_size, n - min_size + 1)
    if left.size == 0:
        return -1.0, begin
    mean = (prefix[end] - prefix[begin]) / n
    d = prefix[begin + left] - prefix[begin] - left * mean
    gains = d * d * n / (left * (n - left))
    at = int(gains.argmax())
    return float(gains[at]), begin + int(left[at])


def change_points(series: Floats, min_size: int, penalty: float, most: int, deepest: int) -> list[int]:
    """Binary segmentation, the best cut first; then each cut again between its neighbours."""
    n = len(series)
    min_size = max(min_size, 1)
    if n == 0:
        return []
    # `cumsum` adds from left to right, as the kernel does; `sum` does not.
    centred = series - series.cumsum()[-1] / n
    prefix = np.concatenate([[0.0], centred.cumsum()])
    parts = [(0, n, 0)]
    cuts: list[int] = []
    while len(cuts) < most:
        cuttable = [p for p in parts if p[2] < deepest]
        gains = [(*best_cut(prefix, begin, end, min_size), begin, end, d) for begin, end, d in cuttable]
        worth = [g for g in gains if g[0] > penalty]
        if not worth:
            break
        _, cut, begin, end, depth = min(worth, key=lambda g: (-g[0], g[2]))
        parts.remove((begin, end, depth))
        parts += [(begin, cut, depth + 1), (cut, end, depth + 1)]
        cuts.append(cut)
    cuts.sort()
    kept: list[int] = []
    for i in range(len(cuts)):
        begin = kept[-1] if kept else 0
        end = cuts[i + 1] if i + 1 < len(cuts) else n
        gain, cut = best_cut(prefix, begin, end, min_size)
        if gain > penalty:
            kept.append(cut)
    return kept


def sum_of_squares(values: Floats) -> float:
    return float(((values - values.mean()) ** 2).sum())
