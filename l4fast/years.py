"""What year dates without a year are of, in a job that is still being written.

What was fed so far decides, whatever came first: when more becomes known, the times of streams that
have told no year of their own are moved. (Files are looked at before they are read: `l4fast.days`.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import numpy as np

from l4fast.columns import Columns
from l4fast.days import PEEK, dates_in, latest_told
from l4fast.fold import Fold
from l4fast.kept import Kept
from l4fast.parse import Parser
from l4fast.progress import STREAM_SHIFT
from l4fast_kernels import keeps
from l4fast_kernels.times import DAYS_AFTER, NO_TIME, YEARLESS

_DAY_US = 86_400_000_000
_MOST_VOTES = 1000  # of a stream, about as many lines as a look at a file's end holds


class Years:
    """Which day dates without a year are not long after, by all that a parser was fed.

    ``today`` (seconds since 1970), if it is given, is what it is for files their own date.
    """

    def __init__(self, parser: Parser, fold: Fold, today: float | None) -> None:
        self._parser, self._fold, self._today = parser, fold, today
        self._seen: Counter[int] = Counter()
        self._told: dict[int, tuple[int, int]] = {}  # of each stream: the day told last, and how many lines
        self._without: set[int] = set()  # streams with times, but none that tells its year
        parser.reference_day = latest_told(self._seen, today)

    def look(self, offset: int, data: bytes) -> None:
        """Note the dates in the next bytes of a stream, which begin at ``offset``; before they are parsed."""
        if offset < PEEK:
            self._seen.update(dates_in(data[: PEEK - offset]))
            self._decide()

    def see(self, cols: Columns) -> None:
        """Note which lines tell their year, and date those that do not; before they are folded."""
        own = cols.time != NO_TIME
        form = self._parser.time_forms(cols.raw)
        without = own & np.isin(form, YEARLESS)
        telling = np.flatnonzero(own & ~without)
        if telling.size:
            day, n = self._told.get(cols.stream, (0, 0))
            self._seen[day] -= min(n, _MOST_VOTES)
            day, n = int(cols.time[telling[-1]] // _DAY_US), n + telling.size
            self._seen[day] += min(n, _MOST_VOTES)
            self._told[cols.stream] = day, n
            self._decide()
            self._without.discard(cols.stream)
            if without.any():
                cols.time[without] = dated(cols.time[without], self._parser.reference_day)
        elif without.any() and cols.stream not in self._told:
            self._without.add(cols.stream)

    def _decide(self) -> None:
        day = latest_told(+self._seen, self._today)
        if day != self._parser.reference_day:
            self._parser.reference_day = day
            _move(self._fold, self._parser, self._without, day)


def dated(time: np.ndarray, day: int) -> np.ndarray:
    """Return times (int64[n], microseconds) in the latest year in which each is not long after ``day``.

    The naive meaning of `l4fast_kernels.times.parse_time` for a date without a year; `NO_TIME` stays.
    """
    limit = day + DAYS_AFTER
    days = np.floor_divide(time, _DAY_US)
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    in_month = days - months.astype("datetime64[D]").astype(np.int64)
    month = np.mod(months.astype(np.int64), 12)
    last = int(np.int64(limit).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64))

    def of_year(year: int) -> np.ndarray:
        begins = (12 * year + month).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        return np.asarray(begins + in_month)

    moved = of_year(last)
    moved = np.where(moved > limit, of_year(last - 1), moved)
    return np.where(time == NO_TIME, time, time + (moved - days) * _DAY_US)


def _move(fold: Fold, parser: Parser, streams: Collection[int], day: int) -> None:
    """Date all times of ``streams`` anew."""
    ends = {s: np.array([fold.streams[s].first_time, fold.streams[s].last_time]) for s in streams}
    moving = sorted(s for s, time in ends.items() if (dated(time, day) != time).any())
    if not moving:
        return
    for s in moving:
        info, clock = fold.streams[s], fold.clock(s)
        known = np.array([info.first_time, info.last_time, info.opening, info.closing])
        first, last, info.opening, info.closing = dated(known, day).tolist()
        info.first_time, info.last_time = min(first, last), max(first, last)
        clock[:1] = dated(clock[:1], day)
    is_moving = np.zeros(max(fold.streams) + 1, bool)
    is_moving[moving] = True
    of_speaker = is_moving[np.array([s.stream for s in parser.speakers], np.int64)]
    pairs, reached, iterations = fold.pairs, fold.progress.reached, fold.progress.iterations
    _move_columns(pairs.ints[: pairs.n], of_speaker[pairs.left[: pairs.n]], (1, 2), day)
    _move_columns(reached.ints[: reached.n], of_speaker[reached.right[: reached.n]], (5, 6, 11), day)
    table = iterations.ints[: iterations.n]
    for column in (1, 2):
        _move_columns(table, is_moving[table[:, column * 2 + 1] >> STREAM_SHIFT], (column,), day)
    turned = np.flatnonzero(table[:, 1] > table[:, 2])
    table[turned[:, None], [1, 3, 4, 2, 5, 6]] = table[turned[:, None], [2, 5, 6, 1, 3, 4]]
    for kept in (fold.rows, fold.longer):
        _move_rows(kept, is_moving, day)


def _move_columns(table: np.ndarray, which: np.ndarray, columns: tuple[int, ...], day: int) -> None:
    for column in columns:
        table[which, column] = dated(table[which, column], day)


def _move_rows(kept: Kept, is_moving: np.ndarray, day: int) -> None:
    time, which = kept.long(keeps.TIME), is_moving[kept.column(keeps.STREAM)]
    time[which] = dated(time[which], day)
