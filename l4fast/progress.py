"""How far the counters of a job's progress lines came, and how long they say that iterations took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l4fast.arrays import grown
from l4fast.columns import Columns
from l4fast.pairtable import COUNTED, PairTable
from l4fast_kernels import sums
from l4fast_kernels.fields import read_numbers
from l4fast_kernels.times import NO_TIME

SPANS_KEPT = 4096
TOLD_TOGETHER = 1 << 18  # spans told of iterations before those of the same iteration become one
# A line number and the stream share one integer where a pair spans streams.
STREAM_SHIFT = 40

Place = tuple[int, int, int]


@dataclass(frozen=True)
class Counter:
    """Where a progress line tells its iteration: positions by masked word, as `read_numbers` wants.

    ``name`` is the signature and the canonical text before the number: lines that differ behind it
    (a loss that is no number, a bar that a message is glued to) count one thing. ``span_at`` is
    where the seconds of an iteration stand, in units of ``span_s``; ``rate_at`` where iterations a second
    do. Where ``epoch_at`` is given, the counter begins again in each epoch, which has ``total`` iterations.
    """

    name: tuple[str, str]
    iteration_at: Place
    total_at: Place | None = None
    span_at: Place | None = None
    span_s: float = 0.0
    epoch_at: Place | None = None
    rate_at: Place | None = None


class Progress:
    """The sums of the progress lines of some streams of a job."""

    def __init__(self) -> None:
        self.counters: list[tuple[str, str]] = []
        self.series: list[tuple[int, int]] = []  # (counter, total) of each series
        self.iterations = PairTable(COUNTED)  # of each (series, iteration)
        # Of each (series, speaker): lines, lowest, highest, last, times gone back, first time,
        # time/line/offset of the highest, first, times gone on, last time.
        self.reached = PairTable(12)
        # The first seconds an iteration that each series tells, by the streams that tell them.
        self.spans: dict[int, list[tuple[int, np.ndarray]]] = {}
        # Of each (series, iteration), the longest span that a line tells of it, in seconds.
        self.told: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.own_times: dict[int, int] = {}  # lines with a time of their own, per series
        self._n_spans: dict[int, int] = {}
        self._n_told = 0
        self._counter_of: dict[tuple[str, str], int] = {}
        self._series_of: dict[tuple[int, int], int] = {}
        # Per raw shape: whether it counts iterations, its counter, and where the numbers stand.
        self._counts_iteration = np.zeros(256, np.uint8)
        self._counter = np.zeros(256, np.int32)
        self._span_s = np.zeros(256, np.float64)
        self._iteration_at = np.full((256, 3), -1, np.int16)
        self._total_at = np.full((256, 3), -1, np.int16)
        self._span_at = np.full((256, 3), -1, np.int16)
        self._epoch_at = np.full((256, 3), -1, np.int16)
        self._rate_at = np.full((256, 3), -1, np.int16)

    def know_raw(self, raw: int, counter: Counter | None) -> None:
        """Say of a new raw shape where its lines tell an iteration, if they do."""
        while len(self._counter) <= raw:
            for name in ("_counts_iteration", "_counter", "_span_s"):
                setattr(self, name, grown(getattr(self, name), 2 * len(getattr(self, name))))
            for name in ("_iteration_at", "_total_at", "_span_at", "_epoch_at", "_rate_at"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.full_like(old, -1)]))
        if counter is None:
            return
        if counter.name not in self._counter_of:
            self._counter_of[counter.name] = len(self.counters)
            self.counters.append(counter.name)
        self._counts_iteration[raw] = 1
        self._counter[raw] = self._counter_of[counter.name]
        self._iteration_at[raw] = counter.iteration_at
        if counter.total_at is not None:
            self._total_at[raw] = counter.total_at
        if counter.span_at is not None:
            self._span_at[raw] = counter.span_at
            self._span_s[raw] = counter.span_s
        if counter.epoch_at is not None:
            self._epoch_at[raw] = counter.epoch_at
        if counter.rate_at is not None:
            self._rate_at[raw] = counter.rate_at

    @property
    def names(self) -> list[tuple[str, str, int]]:
        """The series, each by the name of its counter and its total: the same in all parts of a job."""
        return [(*self.counters[counter], total) for counter, total in self.series]

    def add(self, cols: Columns, time: np.ndarray) -> None:
        """Add the progress lines of one chunk; ``time`` (int64[n]) is filled from the lines before."""
        chosen = np.empty(cols.n, np.int64)
        n = sums.choose(cols.n, cols.raw, self._counts_iteration, chosen)
        if n == 0:
            return
        chosen = chosen[:n]
        value = np.empty(n, np.float64)
        read_numbers(cols.buf, chosen, cols.start, cols.stop, cols.raw, self._iteration_at, value)
        self._add_epochs(cols, chosen, value)
        series, speaker = self._series(cols, chosen), cols.speaker[chosen]
        time, line, offset = time[chosen], cols.line[chosen], cols.offset[chosen]
        self._spans(cols, chosen, series, value)
        table = self.reached
        state = np.array([table.n], np.int64)
        at = 0
        while at < n:
            at = sums.fold_iterations(
                n,
                at,
                series,
                speaker,
                value,
                time,
                line,
                offset,
                table.keys,
                table.slots,
                state,
                table.ints,
                table.left,
                table.right,
            )
            if at < n:
                table.grow()
        table.n = int(state[0])
        good = (value >= 0) & (value < 2**31)
        iteration = np.where(good, value, 0).astype(np.int32)
        packed = line + (np.int64(cols.stream) << STREAM_SHIFT)
        skip = (~good).astype(np.uint8)
        self.iterations.add(n, series, iteration, time, packed, offset, skip, by_time=True)

    def _add_epochs(self, cols: Columns, chosen: np.ndarray, value: np.ndarray) -> None:
        """Add the iterations of the epochs before to a counter that begins again in each; in place."""
        again = self._tell(self._epoch_at, cols, chosen)
        if again.size == 0:
            return
        rows, epoch, total = chosen[again], np.empty(again.size), np.empty(again.size)
        read_numbers(cols.buf, rows, cols.start, cols.stop, cols.raw, self._epoch_at, epoch)
        read_numbers(cols.buf, rows, cols.start, cols.stop, cols.raw, self._total_at, total)
        value[again] += epoch * total

    def _tell(self, place: np.ndarray, cols: Columns, chosen: np.ndarray) -> np.ndarray:
        """Return which of the chosen lines tell the number that stands at ``place``, int64[k]."""
        return np.flatnonzero(place[cols.raw[chosen], 0] >= 0)

    def _series(self, cols: Columns, chosen: np.ndarray) -> np.ndarray:
        """Return the series of each progress line: its counter together with its total.

        An evaluation's bar and the training's bar are one shape; their totals differ.
        """
        total = np.full(chosen.size, -1.0)
        has_total = self._tell(self._total_at, cols, chosen)
        if has_total.size:
            value = np.empty(has_total.size, np.float64)
            rows = chosen[has_total]
            read_numbers(cols.buf, rows, cols.start, cols.stop, cols.raw, self._total_at, value)
            total[has_total] = np.where((value > 0) & (value < 2**40), value, -1.0)
        both = self._counter[cols.raw[chosen]].astype(np.int64) << 41 | (total.astype(np.int64) + 1)
        if (both == both[0]).all():  # nearly always, and seen at once
            known, inverse = both[:1], np.zeros(both.size, np.int64)
        else:
            known, inverse = np.unique(both, return_inverse=True)
        codes = np.empty(known.size, np.int32)
        for i, key in enumerate(known):
            name = (int(key >> 41), int(key & ((1 << 41) - 1)) - 1)
            if name not in self._series_of:
                self._series_of[name] = len(self.series)
                self.series.append(name)
            codes[i] = self._series_of[name]
        return codes[inverse]

    def _spans(self, cols: Columns, chosen: np.ndarray, series: np.ndarray, iteration: np.ndarray) -> None:
        """Keep the first durations that each series tells, and count lines with their own time."""
        own = np.bincount(series, cols.time[chosen] != NO_TIME, len(self.series))
        for k in np.flatnonzero(own).tolist():
            self.own_times[k] = self.own_times.get(k, 0) + int(own[k])
        seconds, is_rate = self._seconds(cols, chosen)
        told = np.flatnonzero(seconds > 0)
        for k in np.unique(series[told]).tolist():
            left = SPANS_KEPT - self._n_spans.setdefault(k, 0)
            if left > 0:
                value = seconds[told][series[told] == k][:left]
                self._n_spans[k] += value.size
                self.spans.setdefault(k, []).append((cols.stream, value))
        # A rate is rounded, and smoothed by most bars: it tells of no iteration of its own.
        told = told[(iteration[told] >= 0) & (iteration[told] < 2**31) & ~is_rate[told]]
        if told.size:
            self.told.append(longest(series[told], iteration[told].astype(np.int64), seconds[told]))
            self._n_told += len(self.told[-1][0])
            if self._n_told > TOLD_TOGETHER:
                self.told = [longest(*map(np.concatenate, zip(*self.told, strict=True)))]
                self._n_told = 0

    def _seconds(self, cols: Columns, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how long each progress line says that an iteration takes, 0 if it does not; is it a rate?"""
        seconds, is_rate = np.zeros(chosen.size), np.zeros(chosen.size, bool)
        for place in (self._span_at, self._rate_at):
            told = self._tell(place, cols, chosen)
            if told.size == 0:
                continue
            rows, value = chosen[told], np.empty(told.size, np.float64)
            read_numbers(cols.buf, rows, cols.start, cols.stop, cols.raw, place, value)
            if place is self._rate_at:
                value = np.divide(1.0, value, out=np.zeros(told.size), where=value > 0)
                is_rate[told] = True
            else:
                value *= self._span_s[cols.raw[rows]]
            seconds[told] = value
        return seconds, is_rate


def longest(
    series: np.ndarray, iteration: np.ndarray, seconds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each (series, iteration) once, ordered so, with its longest span."""
    order = np.lexsort((seconds, iteration, series))
    series, iteration, seconds = series[order], iteration[order], seconds[order]
    last = np.ones(len(series), bool)
    last[:-1] = (series[1:] != series[:-1]) | (iteration[1:] != iteration[:-1])
    return series[last], iteration[last], seconds[last]
