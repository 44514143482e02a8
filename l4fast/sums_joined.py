"""Sums that were made side by side, joined: see `l4fast.joining`.

Codes become those of the whole job, and what stands for one pair of them is added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l4fast.arrays import begins, stack
from l4fast.job import NONE, Iterations, Pairs, Reached, Series, Told
from l4fast.progress import SPANS_KEPT, STREAM_SHIFT, longest
from l4fast.reader import Part

_LOW = (1 << STREAM_SHIFT) - 1


@dataclass(frozen=True)
class Maps:
    """What a part's codes are in the whole job.

    ``stream`` and ``line`` are of all pieces: the stream, and how many of its lines come before.
    """

    shape: np.ndarray
    speaker: np.ndarray
    piece_of_speaker: np.ndarray
    raw: np.ndarray
    series: np.ndarray
    stream: np.ndarray
    line: np.ndarray


def join_series(
    parts: Sequence[Part], maps: Sequence[Maps], names: Sequence[tuple[str, str, int]]
) -> tuple[Series, ...]:
    """Return the series of these names, each with the spans that its first iterations tell."""
    spans: list[list[tuple[int, int, np.ndarray]]] = [[] for _ in names]
    own = [0] * len(names)
    for part, to in zip(parts, maps, strict=True):
        for k, found in part.fold.progress.spans.items():
            spans[to.series[k]].extend((int(to.stream[piece]), piece, values) for piece, values in found)
        for k, n in part.fold.progress.own_times.items():
            own[to.series[k]] += n
    return tuple(
        Series(*name, own_times=own[i], spans=np.sort(_first_spans(spans[i]))) for i, name in enumerate(names)
    )


def _first_spans(found: list[tuple[int, int, np.ndarray]]) -> np.ndarray:
    found.sort(key=lambda item: item[:2])
    return stack([np.zeros(0), *(values for _, _, values in found)])[:SPANS_KEPT]


def join_pairs(parts: Sequence[Part], maps: Sequence[Maps]) -> Pairs:
    """Return the sums of each (speaker, shape)."""
    left, right, ints = [], [], []
    for part, to in zip(parts, maps, strict=True):
        table = part.fold.pairs
        speaker = table.left[: table.n]
        left.append(to.speaker[speaker])
        right.append(to.shape[table.right[: table.n]])
        values = table.ints[: table.n].copy()
        values[:, 3:8:2] += to.line[to.piece_of_speaker[speaker]][:, None]
        ints.append(values)
    speaker, shape, values = stack(left), stack(right), stack(ints, 8)
    order = np.lexsort((shape, speaker))
    speaker, shape, values = speaker[order], shape[order], values[order]
    fresh = begins(speaker, shape)
    if not fresh.all():
        values = _sums(values, fresh)
        speaker, shape = speaker[fresh], shape[fresh]
    return Pairs(speaker, shape, *(values[:, k] for k in range(7)))


def _sums(values: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Add up the rows of `Pairs` from each ``fresh`` one to the next: all of a speaker are of one stream."""
    begin, group = np.flatnonzero(fresh), np.cumsum(fresh) - 1
    end = np.append(begin[1:], len(values)) - 1
    first = np.lexsort((values[:, 7], values[:, 1] == NONE, group))[begin]
    last = np.lexsort((values[:, 5], group))[end]
    columns = (
        np.add.reduceat(values[:, 0], begin),
        values[first, 1],
        values[last, 2],
        np.minimum.reduceat(values[:, 3], begin),
        np.minimum.reduceat(values[:, 4], begin),
        values[last, 5],
        values[last, 6],
    )
    return np.stack(columns, axis=1)


def join_iterations(parts: Sequence[Part], maps: Sequence[Maps]) -> Iterations:
    """Return the sums of each (series, iteration)."""
    left, right, ints = [], [], []
    for part, to in zip(parts, maps, strict=True):
        table = part.fold.progress.iterations
        left.append(to.series[table.left[: table.n]])
        right.append(table.right[: table.n])
        found = table.ints[: table.n].copy()
        for column in (3, 5):  # a line and its piece share one integer
            piece = found[:, column] >> STREAM_SHIFT
            line = (found[:, column] & _LOW) + to.line[piece]
            found[:, column] = (to.stream[piece] << STREAM_SHIFT) | line
        ints.append(found)
    series, iteration, values = stack(left), stack(right), stack(ints, 8)
    untimed = values[:, 1] == NONE  # the least integer: a known time comes first all the same
    order = np.lexsort((values[:, 3], values[:, 1], untimed, iteration, series))
    series, iteration, values = series[order], iteration[order], values[order]
    if len(series) == 0:
        return Iterations(series, iteration, *(values[:, 0] for _ in range(9)))
    fresh = begins(series, iteration)
    begin = np.flatnonzero(fresh)
    group = np.cumsum(fresh) - 1
    by_last = np.lexsort((values[:, 5], values[:, 2], group))
    end = by_last[np.append(begin[1:], len(series)) - 1]
    return Iterations(
        series=series[begin],
        iteration=iteration[begin],
        count=np.add.reduceat(values[:, 0], begin),
        first_time=values[begin, 1],
        last_time=values[end, 2],
        first_stream=values[begin, 3] >> STREAM_SHIFT,
        first_line=values[begin, 3] & _LOW,
        first_offset=values[begin, 4],
        last_stream=values[end, 5] >> STREAM_SHIFT,
        last_line=values[end, 5] & _LOW,
        last_offset=values[end, 6],
    )


def join_reached(parts: Sequence[Part], maps: Sequence[Maps]) -> Reached:
    """Return how far each (series, speaker) came."""
    left, right, pieces, ints = [], [], [], []
    for part, to in zip(parts, maps, strict=True):
        table = part.fold.progress.reached
        speaker = table.right[: table.n]
        left.append(to.series[table.left[: table.n]])
        right.append(to.speaker[speaker])
        pieces.append(to.piece_of_speaker[speaker])
        values = table.ints[: table.n].copy()
        values[:, 7] += to.line[pieces[-1]]
        ints.append(values)
    series, speaker, piece, values = stack(left), stack(right), stack(pieces), stack(ints, 12)
    order = np.lexsort((piece, speaker, series))  # stable: in a piece, in the order of the lines
    series, speaker, values = series[order], speaker[order], values[order]
    fresh = begins(series, speaker)
    if not fresh.all():
        values = _counted_on(values, fresh)
        series, speaker = series[fresh], speaker[fresh]
    return Reached(series, speaker, *(values[:, k] for k in range(12)))


def _counted_on(values: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Add up the rows of `Reached` from each ``fresh`` one to the next: they follow each other."""
    begin, group = np.flatnonzero(fresh), np.cumsum(fresh) - 1
    back = values[:, 4].copy()
    back[1:] += ~fresh[1:] & (values[1:, 9] < values[:-1, 3])
    forth = values[:, 10].copy()
    forth[1:] += ~fresh[1:] & (values[1:, 9] > values[:-1, 3])
    end = np.append(begin[1:], len(values)) - 1
    top = np.lexsort((np.arange(len(values)), -values[:, 2], group))[begin]
    columns = (
        np.add.reduceat(values[:, 0], begin),
        np.minimum.reduceat(values[:, 1], begin),
        values[top, 2],
        values[end, 3],
        np.add.reduceat(back, begin),
        values[begin, 5],
        values[top, 6],
        values[top, 7],
        values[top, 8],
        values[begin, 9],
        np.add.reduceat(forth, begin),
        values[end, 11],
    )
    return np.stack(columns, axis=1)


def join_told(parts: Sequence[Part], maps: Sequence[Maps]) -> Told:
    """Return the longest span that is told of each (series, iteration)."""
    each = zip((part.fold.progress.told for part in parts), maps, strict=True)
    found = [(to.series[a], b, c) for told, to in each for a, b, c in told]
    series, iteration, seconds = (stack([columns[k] for columns in found]) for k in range(3))
    return Told(*longest(series, iteration, seconds.astype(np.float64)))
