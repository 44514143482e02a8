"""What a diagnosis keeps of the lines that it lets go: sums, references, the progress series.

State is O(speakers x shapes + iterations), never O(lines). See DESIGN section 3, "Fold".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from l4fast.arrays import grow_pairs
from l4fast.columns import Columns
from l4fast.durations import Duration, DurationTable
from l4fast.kept import Kept
from l4fast_kernels import sums
from l4fast_kernels.fields import read_numbers
from l4fast_kernels.keeps import keep_rows
from l4fast_kernels.times import NO_TIME

# First rows of a shape that are kept one by one; of those, how many with their text.
ROWS_OF_ORDINARY, ROWS_OF_SUSPECT = 4096, 65536
TEXTS_OF_ORDINARY, TEXTS_OF_SUSPECT = 2, 16384
TEXTS_OF_NAMING = ROWS_OF_SUSPECT  # each rank may name another, in more than one process group
TEXT_BYTES = 4096
SPANS_KEPT = 4096
_ALL = np.int64(1 << 62)
TOLD_TOGETHER = 1 << 18  # spans told of iterations before those of the same iteration become one
# A line number and the stream share one integer where a pair spans streams.
STREAM_SHIFT = 40
# A stream is newest first if nearly all lines have times, these fall through nearly all of the time that
# they span, rise by little of it, and fall about as often as clocks of several nodes let them, or more.
NEARLY_ALL, LITTLE, MANY, LEAST_FALLS = 0.9, 0.1, 0.4, 8


Place = tuple[int, int, int]


@dataclass(frozen=True)
class Counter:
    """Where a progress line tells its iteration: positions by masked word, as `read_numbers` wants.

    ``name`` is the signature and the canonical text before the number: lines that differ behind it
    (a loss that is no number, a bar that a message is glued to) count one thing. ``span_at`` is
    where the seconds of an iteration stand, in units of ``span_s``. Where ``epoch_at`` is given, the
    counter begins again in each epoch, which has ``total`` iterations.
    """

    name: tuple[str, str]
    iteration_at: Place
    total_at: Place | None = None
    span_at: Place | None = None
    span_s: float = 0.0
    epoch_at: Place | None = None


@dataclass
class PairTable:
    """A growing table of (left, right) -> integers, filled by a kernel."""

    width: int
    n: int = 0
    keys: np.ndarray = field(default_factory=lambda: np.zeros(1 << 12, np.uint64))
    slots: np.ndarray = field(default_factory=lambda: np.zeros(1 << 12, np.int32))
    ints: np.ndarray = field(init=False)
    left: np.ndarray = field(init=False)
    right: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.ints = np.zeros((1 << 11, self.width), np.int64)
        self.left = np.zeros(1 << 11, np.int32)
        self.right = np.zeros(1 << 11, np.int32)

    def grow(self) -> None:
        """Make room for more pairs."""
        grow_pairs(self, ("ints", "left", "right"))


@dataclass
class StreamSums:
    """What is known of one stream: its size, and the first and last time in it.

    ``opening`` and ``closing`` are the times that come first and last in the file; ``rose`` and ``fell``
    count the times that are later, or earlier, than the one before; ``climbed`` is how much later than one
    before it a time was at most, in microseconds.
    """

    name: str
    bytes: int = 0
    lines: int = 0
    first_time: int = int(NO_TIME)
    last_time: int = int(NO_TIME)
    timed: int = 0
    zoned: bool = False
    opening: int = int(NO_TIME)
    closing: int = int(NO_TIME)
    rose: int = 0
    fell: int = 0
    climbed: int = 0

    @property
    def newest_first(self) -> bool:
        """Whether the file goes back in time, as exports of log stores do."""
        if self.fell < LEAST_FALLS or self.timed < NEARLY_ALL * self.lines:
            return False
        span = self.last_time - self.first_time
        falls = self.opening - self.closing >= NEARLY_ALL * span and self.climbed <= LITTLE * span
        return falls and self.fell >= MANY * (self.rose + self.fell)

    def line_in_file(self, line: int) -> int:
        """Return the number in the file of a line as `Job` numbers it."""
        return self.lines + 1 - line if self.newest_first else line

    def see(self, own: np.ndarray) -> None:
        """Note the times of the next lines that have their own, int64[n], n > 0."""
        low, high = int(own.min()), int(own.max())
        climbed = int((own - np.minimum.accumulate(own)).max())
        if self.first_time != NO_TIME:
            climbed = max(climbed, high - self.first_time)
        self.climbed = max(self.climbed, climbed)
        self.first_time = low if self.first_time == NO_TIME else min(low, self.first_time)
        self.last_time = max(high, self.last_time)
        before = self.closing if self.closing != NO_TIME else int(own[0])
        steps = np.diff(own, prepend=np.int64(before))
        self.rose += int(np.count_nonzero(steps > 0))
        self.fell += int(np.count_nonzero(steps < 0))
        self.opening = self.opening if self.opening != NO_TIME else int(own[0])
        self.closing = int(own[-1])

    def followed_by(self, more: StreamSums) -> StreamSums:
        """Return the sums of this piece of a stream and of the next."""
        known = [t for t in (self.first_time, more.first_time) if t != NO_TIME]
        both = NO_TIME not in (self.closing, more.opening)
        step = more.opening - self.closing if both else 0
        climbed = more.last_time - self.first_time if both else 0
        return StreamSums(
            name=self.name,
            bytes=self.bytes + more.bytes,
            lines=self.lines + more.lines,
            first_time=min(known, default=int(NO_TIME)),
            last_time=max(self.last_time, more.last_time),
            timed=self.timed + more.timed,
            zoned=self.zoned or more.zoned,
            opening=self.opening if self.opening != NO_TIME else more.opening,
            closing=more.closing if more.closing != NO_TIME else self.closing,
            rose=self.rose + more.rose + (step > 0),
            fell=self.fell + more.fell + (step < 0),
            climbed=max(self.climbed, more.climbed, climbed),
        )


class Fold:
    """The sums of some streams of a job."""

    def __init__(self) -> None:
        self.streams: dict[int, StreamSums] = {}
        # Count, first time, last time, first line, first offset, last line, last offset, line of the first
        # time.
        self.pairs = PairTable(8)
        self.iterations = PairTable(8)
        # Lines, lowest, highest, last, times gone back, first time, time/line/offset of the highest, first,
        # times gone on, last time.
        self.reached = PairTable(12)
        self.counters: list[tuple[str, str]] = []
        self.series: list[tuple[int, int]] = []  # (counter, total) of each series
        # The first seconds an iteration that each series tells, by the streams that tell them.
        self.spans: dict[int, list[tuple[int, np.ndarray]]] = {}
        self._n_spans: dict[int, int] = {}
        self.own_times: dict[int, int] = {}  # lines with a time of their own, per series
        self._counter_of: dict[tuple[str, str], int] = {}
        self._series_of: dict[tuple[int, int], int] = {}
        self.durations = DurationTable()
        # Of each (series, iteration), the longest span that a line tells of it, in seconds.
        self.told: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._n_told = 0
        self.rows = Kept()
        # Lines that tell a longer duration than all before of their speaker and shape: not in `rows`.
        self.longer = Kept()
        # Of each of these, where it stands in its stream, in bytes, and the classes of its durations.
        self.classes: list[tuple[np.ndarray, np.ndarray]] = []
        # Per shape: how many of its rows are kept, and how many of those with their text.
        self.caps = np.zeros(256, np.int64)
        self._taken = np.zeros(256, np.int64)
        self.text_caps = np.zeros(256, np.int64)
        self._texts_taken = np.zeros(256, np.int64)
        self._counts_iteration = np.zeros(256, np.uint8)
        self._iteration_at = np.zeros((256, 3), np.int16)
        self._content_at = np.full((256, 3), -1, np.int16)
        self._counter = np.zeros(256, np.int32)
        self._total_at = np.full((256, 3), -1, np.int16)
        self._span_at = np.full((256, 3), -1, np.int16)
        self._epoch_at = np.full((256, 3), -1, np.int16)
        self._span_s = np.zeros(256, np.float64)
        self._clock: dict[int, np.ndarray] = {}

    def know_raw(
        self,
        raw: int,
        shape: int,
        *,
        suspect: bool,
        names: bool = False,
        content_at: Place,
        counter: Counter | None = None,
        durations: Sequence[Duration | None] = (),
    ) -> None:
        """Say of a new raw shape whether its lines may tell of a failure, and where it counts.

        ``names`` says that each of its lines may name somebody else, ``durations`` where they tell how long
        steps took.
        """
        self.durations.know_raw(raw, durations)
        size = max(raw, shape) + 1
        while len(self.caps) < size:
            for name in (
                "caps",
                "_taken",
                "text_caps",
                "_texts_taken",
                "_counts_iteration",
                "_counter",
                "_span_s",
            ):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
            for name in ("_iteration_at", "_total_at", "_span_at", "_epoch_at", "_content_at"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.full_like(old, -1)]))
        self._content_at[raw] = content_at
        rows = ROWS_OF_SUSPECT if suspect else ROWS_OF_ORDINARY
        texts = TEXTS_OF_NAMING if names else TEXTS_OF_SUSPECT if suspect else TEXTS_OF_ORDINARY
        self.caps[shape] = max(self.caps[shape], rows)
        self.text_caps[shape] = max(self.text_caps[shape], texts)
        if counter is not None:
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

    def open(self, stream: int, name: str) -> StreamSums:
        """Return the sums of a stream, new or known."""
        if stream not in self.streams:
            self.streams[stream] = StreamSums(name)
            self._clock[stream] = np.array([NO_TIME, 0], np.int64)
        return self.streams[stream]

    def clock(self, stream: int) -> np.ndarray:
        """Return the last time in a stream, and how many of its lines have one: int64[2]."""
        return self._clock[stream]

    def add(self, cols: Columns) -> None:
        """Add the lines of one chunk; the stream must be open."""
        info = self.streams[cols.stream]
        info.bytes += cols.size
        info.lines += cols.n_lines
        if cols.n == 0:
            return
        own = cols.time[cols.time != NO_TIME]
        if own.size:
            info.zoned |= bool(cols.zoned.any())
            info.see(own)
        time = cols.time.copy()
        sums.fill_time(time, cols.n, self._clock[cols.stream])
        info.timed = int(self._clock[cols.stream][1])
        self._pairs(self.pairs, cols.n, cols.speaker, cols.shape, time, cols.line, cols.offset, cols.skip)
        marked, position, classes = self.durations.add(cols)
        skip = cols.skip
        if marked.size:
            self.classes.append((position, classes))
            skip = skip.copy()
            skip[marked] = 1
            others = np.ones(cols.n, np.uint8)
            others[marked] = 0
            all_of_each, none = np.full(len(self.caps), _ALL), np.zeros_like(self._taken)
            self._keep_rows(self.longer, cols, time, others, (all_of_each, none, all_of_each, none.copy()))
        few_of_each = (self.caps, self._taken, self.text_caps, self._texts_taken)
        self._keep_rows(self.rows, cols, time, skip, few_of_each)
        self._progress(cols, time)

    def _pairs(
        self,
        table: PairTable,
        n: int,
        left: np.ndarray,
        right: np.ndarray,
        time: np.ndarray,
        line: np.ndarray,
        offset: np.ndarray,
        skip: np.ndarray,
        by_time: bool = False,
    ) -> None:
        at = 0
        state = np.array([table.n], np.int64)
        while at < n:
            at = sums.count_pairs(
                n,
                at,
                left,
                right,
                time,
                line,
                offset,
                skip,
                by_time,
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

    def _keep_rows(
        self,
        kept: Kept,
        cols: Columns,
        time: np.ndarray,
        skip: np.ndarray,
        most: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    ) -> None:
        """Keep the lines that are not to ``skip`` (uint8[n]), at most what the caps of `keep_rows` say."""

        def keep(at: int, state: np.ndarray, ints: np.ndarray, longs: np.ndarray, texts: np.ndarray) -> int:
            done: int = keep_rows(
                cols.n,
                at,
                cols.stream,
                cols.buf,
                cols.start,
                cols.stop,
                cols.origin,
                cols.raw,
                cols.shape,
                cols.speaker,
                cols.line,
                cols.offset,
                time,
                cols.time,
                NO_TIME,
                cols.level,
                skip,
                *most,
                self._content_at,
                TEXT_BYTES,
                state,
                ints,
                longs,
                texts,
            )
            return done

        kept.fill(cols.n, keep)

    def _progress(self, cols: Columns, time: np.ndarray) -> None:
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
        self._pairs(self.iterations, n, series, iteration, time, packed, offset, skip, by_time=True)

    def _add_epochs(self, cols: Columns, chosen: np.ndarray, value: np.ndarray) -> None:
        """Add the iterations of the epochs before to a counter that begins again in each; in place."""
        again = np.flatnonzero(self._epoch_at[cols.raw[chosen], 0] >= 0)
        if again.size == 0:
            return
        rows, epoch, total = chosen[again], np.empty(again.size), np.empty(again.size)
        read_numbers(cols.buf, rows, cols.start, cols.stop, cols.raw, self._epoch_at, epoch)
        read_numbers(cols.buf, rows, cols.start, cols.stop, cols.raw, self._total_at, total)
        value[again] += epoch * total

    def _series(self, cols: Columns, chosen: np.ndarray) -> np.ndarray:
        """Return the series of each progress line: its counter together with its total.

        An evaluation's bar and the training's bar are one shape; their totals differ.
        """
        total = np.full(chosen.size, -1.0)
        has_total = np.flatnonzero(self._total_at[cols.raw[chosen], 0] >= 0)
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
        told = np.flatnonzero(self._span_at[cols.raw[chosen], 0] >= 0)
        for k in np.unique(series[told]).tolist():
            left = SPANS_KEPT - self._n_spans.setdefault(k, 0)
            if left <= 0:
                continue
            mine = chosen[told][series[told] == k]
            value = np.empty(mine.size, np.float64)
            read_numbers(cols.buf, mine, cols.start, cols.stop, cols.raw, self._span_at, value)
            value *= self._span_s[cols.raw[mine]]
            value = value[value > 0][:left]
            self._n_spans[k] += value.size
            self.spans.setdefault(k, []).append((cols.stream, value))
        if told.size:
            value = np.empty(told.size, np.float64)
            rows = chosen[told]
            read_numbers(cols.buf, rows, cols.start, cols.stop, cols.raw, self._span_at, value)
            value *= self._span_s[cols.raw[rows]]
            good = (value > 0) & (iteration[told] >= 0) & (iteration[told] < 2**31)
            found = (series[told][good], iteration[told][good].astype(np.int64), value[good])
            self.told.append(longest(*found))
            self._n_told += len(self.told[-1][0])
            if self._n_told > TOLD_TOGETHER:
                self.told = [longest(*map(np.concatenate, zip(*self.told, strict=True)))]
                self._n_told = 0


def longest(
    series: np.ndarray, iteration: np.ndarray, seconds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each (series, iteration) once, ordered so, with its longest span."""
    order = np.lexsort((seconds, iteration, series))
    series, iteration, seconds = series[order], iteration[order], seconds[order]
    last = np.ones(len(series), bool)
    last[:-1] = (series[1:] != series[:-1]) | (iteration[1:] != iteration[:-1])
    return series[last], iteration[last], seconds[last]
