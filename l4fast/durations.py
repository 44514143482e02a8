"""How long a step of a rank took, as its own lines tell it: where that stands, and what is kept of it.

Ranks of one job wait for each other, so their iterations take equally long. What each does alone
does not: reading a batch, computing forward. Lines tell such times with a unit, often several of
them; of each speaker's lines of one shape the first and the last of each are kept, so that a rank
can be compared with its peers and with itself before, however long the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l4fast.arrays import grow_pairs
from l4fast.columns import Columns
from l4fast.regexes import regex
from l4fast_kernels import sums
from l4fast_kernels.durations import fold_durations
from l4fast_kernels.fields import read_numbers

WIDTH = 8  # first and last durations kept: their medians bear with three odd ones
MOST_TOLD = 4  # durations of a line that are read: each costs a row a speaker
CLASS_STEP = 1.25  # durations of one class differ by less: see `fold_durations`
MOST_PAIRS = 1 << 18  # 75 MB: later (speaker, shape) pairs are left out
_NO_LINES = np.empty(0, np.int64)

_SECONDS = {"us": 1e-6, "usec": 1e-6, "microseconds": 1e-6, "ms": 1e-3, "msec": 1e-3, "msecs": 1e-3}
_SECONDS |= {"millis": 1e-3, "milliseconds": 1e-3, "s": 1.0, "sec": 1.0, "secs": 1.0, "seconds": 1.0}
_UNIT = r"us|usec|microseconds|ms|msecs?|millis|milliseconds|s|secs?|seconds"
_WITH_UNIT = regex(rf"(?<![\w.:+-])(?P<n>\d+(?:\.\d+)?) ?(?P<unit>{_UNIT})\b(?![/:])")
# `step_time: 1.25`, `elapsed time (ms): 2531.2`, `forward=0.31s` is found above.
_NAMED = regex(
    rf"(?i)\b(?:\w*(?:time|duration|elapsed|latency)|took)(?: \w+){{0,3}} ?(?:[(\[](?P<unit>{_UNIT})[)\]])?"
    r" ?[:=]+ ?(?P<n>\d+(?:\.\d+)?)(?![\w:/-])"
)
# `forward_ms=624.1`, `"fwd_us": 610`: but no rate, no limit and no time of day.
_UNIT_IN_NAME = regex(
    rf"(?i)(?<![\w.-])(?!\w*(?:per_|stamp|epoch_|unix|start|begin|end_|time_?out|limit|interval|deadline|ttl))"
    rf"\w*[a-z]_(?P<unit>{_UNIT})['\"]? ?[:=] ?(?P<n>\d+(?:\.\d+)?)(?![\w:/-])"
)
# `time (ms) | fwd_microstep: 500.1 | bwd_microstep: 900.2`
_TABLE = regex(rf"(?i)\btimes? [(\[](?P<unit>{_UNIT})[)\]] ?[|:](?= ?[a-z])")
_ENTRY = regex(r"[A-Za-z][\w./-]* ?[:=] ?(?P<n>\d+(?:\.\d+)?)(?= ?(?:[|,]|$))")
_NUMBER = regex(rf"^[\d.]+ ?(?:(?:{_UNIT})\b)?[\s|,;]*")
# Durations that say nothing of a step: limits, what is left, and ages, which grow for all.
_NO_STEP = regex(
    r"(?i)\b(?:time[- ]?out|time[- ]?limit|limit|within|remaining|eta|left|uptime|since|retry|retrying|every"
    r"|sleep\w*)\b"
)


def find_durations(text: str) -> list[tuple[int, float]]:
    """Return where the first `MOST_TOLD` durations of a step stand in a line, and their units in seconds.

    Examples
    --------
    >>> find_durations("loader: prefetched 14 batches in   25 ms, 0 errors")
    [(35, 0.001)]
    >>> find_durations("fwd=0.61s bwd_ms=1210.5")
    [(4, 1.0), (17, 0.001)]
    >>> find_durations("timeout of 600 s")
    []
    """
    if _NO_STEP.search(text):
        return []
    found: dict[int, float] = {}
    head = _TABLE.search(text)
    if head is not None:
        unit = _SECONDS[head["unit"].lower()]
        found |= {match.start("n"): unit for match in _ENTRY.finditer(text, head.end())}
    for pattern in (_NAMED, _UNIT_IN_NAME, _WITH_UNIT):  # what stands behind the number tells best
        for match in pattern.finditer(text):
            found[match.start("n")] = _SECONDS[(match["unit"] or "s").lower()]
    return sorted(found.items())[:MOST_TOLD]


def told_of(text: str, nth: int) -> str:
    """Return the words of a line that tell what its ``nth`` duration is of.

    >>> told_of("step 3: fwd=0.61s bwd=1.21s", 1)
    'bwd='
    """
    ends = [begin for begin, _ in find_durations(text)]
    if len(ends) < 2 or nth >= len(ends):
        return text
    return _NUMBER.sub("", text[ends[nth - 1] if nth else 0 : ends[nth]])


@dataclass(frozen=True)
class Duration:
    """Where lines of a raw shape tell a duration: its place as `read_numbers` wants it, and the unit."""

    at: tuple[int, int, int]
    unit_s: float


class DurationTable:
    """The first and the last durations per speaker, shape and place in the line of some streams.

    Attributes
    ----------
    n : int
        Pairs held: the rows in use of the columns below.
    speaker, shape : int32[room]
        The second is ``shape * MOST_TOLD + nth``: which of the durations of a line it is.
    ints : int64[room, 2]
        Durations seen, the highest class of them.
    head, tail : float64[room, WIDTH]
        Seconds.
    head_at, tail_at : int64[room, WIDTH]
        Where they stand in their stream, in bytes.
    """

    def __init__(self) -> None:
        self.n = 0
        self.speaker = np.zeros(1 << 9, np.int32)
        self.shape = np.zeros(1 << 9, np.int32)
        self.ints = np.zeros((1 << 9, 2), np.int64)
        self.head = np.zeros((1 << 9, WIDTH))
        self.tail = np.zeros((1 << 9, WIDTH))
        self.head_at = np.zeros((1 << 9, WIDTH), np.int64)
        self.tail_at = np.zeros((1 << 9, WIDTH), np.int64)
        self.keys = np.zeros(1 << 10, np.uint64)
        self.slots = np.zeros(1 << 10, np.int32)
        # Of the durations of a line, the first of all raw shapes, the second of all, and so on.
        self._used = 0  # the most that any raw shape tells
        self._told = np.zeros((MOST_TOLD, 256), np.uint8)
        self._at = np.full((MOST_TOLD, 256, 3), -1, np.int16)
        self._unit = np.zeros((MOST_TOLD, 256))

    def know_raw(self, raw: int, found: Sequence[Duration | None]) -> None:
        """Say of a new raw shape where its lines tell durations, if they do."""
        while self._told.shape[1] <= raw:
            self._told = np.concatenate([self._told, np.zeros_like(self._told)], axis=1)
            self._at = np.concatenate([self._at, np.full_like(self._at, -1)], axis=1)
            self._unit = np.concatenate([self._unit, np.zeros_like(self._unit)], axis=1)
        for nth, one in enumerate(found):
            if one is not None:
                self._used = max(self._used, nth + 1)
                self._told[nth, raw], self._at[nth, raw], self._unit[nth, raw] = 1, one.at, one.unit_s

    def add(self, cols: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Add the lines of a chunk; return those in a higher class than all before of their speaker.

        Which they are and where they stand in the stream, in bytes: int64[n] each; and the classes of
        their durations: int64[n, MOST_TOLD], 0 where one is not higher.
        """
        each = [self._fold(cols, nth) for nth in range(self._used)]
        if not any(chosen.size for chosen, _ in each):  # nearly always
            return _NO_LINES, _NO_LINES, _NO_LINES.reshape(0, MOST_TOLD)
        lines = np.unique(np.concatenate([chosen for chosen, _ in each]))
        classes = np.zeros((lines.size, MOST_TOLD), np.int64)
        for nth, (chosen, found) in enumerate(each):
            classes[np.searchsorted(lines, chosen), nth] = found
        return lines, self._position(cols, lines), classes

    def _position(self, cols: Columns, chosen: np.ndarray) -> np.ndarray:
        """Return where the chosen lines stand in the stream: segments of one differ in where they start."""
        position: np.ndarray = cols.offset[chosen] + (cols.start[chosen] - cols.origin[chosen])
        return position

    def _fold(self, cols: Columns, nth: int) -> tuple[np.ndarray, np.ndarray]:
        """Add the ``nth`` durations of the lines; return the lines marked, and their classes."""
        chosen = np.empty(cols.n if self._told[nth].any() else 0, np.int64)
        n = sums.choose(cols.n, cols.raw, self._told[nth], chosen) if chosen.size else 0
        chosen = chosen[:n]
        if n == 0:
            return chosen, chosen
        classes = np.zeros(n, np.int64)
        value = np.empty(n)
        read_numbers(cols.buf, chosen, cols.start, cols.stop, cols.raw, self._at[nth], value)
        value *= self._unit[nth, cols.raw[chosen]]
        value[cols.skip[chosen] != 0] = np.nan
        position = self._position(cols, chosen)
        speaker, shape = cols.speaker[chosen], cols.shape[chosen] * np.int32(MOST_TOLD) + np.int32(nth)
        state = np.array([self.n], np.int64)
        at = 0
        while at < n:
            at = fold_durations(
                n,
                at,
                speaker,
                shape,
                value,
                position,
                CLASS_STEP,
                MOST_PAIRS,
                self.keys,
                self.slots,
                state,
                self.ints,
                self.head,
                self.tail,
                self.head_at,
                self.tail_at,
                self.speaker,
                self.shape,
                classes,
            )
            if at < n:
                grow_pairs(self, ("speaker", "shape", "ints", "head", "tail", "head_at", "tail_at"))
        self.n = int(state[0])
        marked = classes != 0
        return chosen[marked], classes[marked]
