"""How long a step of a rank took, as its own lines tell it: where that stands, and what is kept of it.

Ranks of one job wait for each other, so their iterations take equally long. What each does alone
does not: reading a batch, computing forward. Lines tell such times with a unit; of each speaker's
lines of one shape the first and the last are kept, so that a rank can be compared with its
peers and with itself before, however long the log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from l4fast.arrays import grow_pairs
from l4fast.columns import Columns
from l4fast_kernels import sums
from l4fast_kernels.durations import fold_durations
from l4fast_kernels.fields import read_numbers

WIDTH = 8  # first and last durations kept: their medians bear with three odd ones
CLASS_STEP = 1.25  # durations of one class differ by less: see `fold_durations`
MOST_PAIRS = 1 << 18  # 75 MB: later (speaker, shape) pairs are left out

_SECONDS = {"us": 1e-6, "usec": 1e-6, "microseconds": 1e-6, "ms": 1e-3, "msec": 1e-3, "msecs": 1e-3}
_SECONDS |= {"millis": 1e-3, "milliseconds": 1e-3, "s": 1.0, "sec": 1.0, "secs": 1.0, "seconds": 1.0}
_UNIT = r"us|usec|microseconds|ms|msecs?|millis|milliseconds|s|secs?|seconds"
_WITH_UNIT = re.compile(rf"(?<![\w.:+-])(?P<n>\d+(?:\.\d+)?) ?(?P<unit>{_UNIT})\b(?![/:])")
# `step_time: 1.25`, `elapsed time (ms): 2531.2`, `forward=0.31s` is found above.
_NAMED = re.compile(
    rf"(?i)\b(?:\w*(?:time|duration|elapsed|latency)|took)(?: \w+){{0,3}} ?(?:[(\[](?P<unit>{_UNIT})[)\]])?"
    r" ?[:=]+ ?(?P<n>\d+(?:\.\d+)?)(?![\w:/-])"
)
# Durations that say nothing of a step: limits, what is left, and ages, which grow for all.
_NO_STEP = re.compile(
    r"(?i)\b(?:time[- ]?out|time[- ]?limit|limit|within|remaining|eta|left|uptime|since|retry|retrying|every"
    r"|sleep\w*)\b"
)


def find_duration(text: str) -> tuple[int, float] | None:
    """Return where the first duration of a step stands in a line, and its unit in seconds.

    Examples
    --------
    >>> find_duration("loader: prefetched 14 batches in   25 ms, 0 errors")
    (34, 0.001)
    >>> find_duration("timeout of 600 s")
    """
    if _NO_STEP.search(text):
        return None
    match = _WITH_UNIT.search(text) or _NAMED.search(text)
    if match is None:
        return None
    return match.start("n"), _SECONDS[(match["unit"] or "s").lower()]


@dataclass(frozen=True)
class Duration:
    """Where lines of a raw shape tell a duration: its place as `read_numbers` wants it, and the unit."""

    at: tuple[int, int, int]
    unit_s: float


class DurationTable:
    """The first and the last durations per (speaker, shape) of some streams.

    Attributes
    ----------
    n : int
        Pairs held: the rows in use of the columns below.
    speaker, shape : int32[room]
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
        self._told = np.zeros(256, np.uint8)
        self._at = np.full((256, 3), -1, np.int16)
        self._unit = np.zeros(256)

    def know_raw(self, raw: int, found: Duration | None) -> None:
        """Say of a new raw shape where its lines tell a duration, if they do."""
        while len(self._told) <= raw:
            self._told = np.concatenate([self._told, np.zeros_like(self._told)])
            self._at = np.concatenate([self._at, np.full_like(self._at, -1)])
            self._unit = np.concatenate([self._unit, np.zeros_like(self._unit)])
        if found is not None:
            self._told[raw], self._at[raw], self._unit[raw] = 1, found.at, found.unit_s

    def add(self, cols: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Add the lines of a chunk; return those in a higher class than all before of their speaker.

        Which they are, where they stand in the stream, in bytes, and their classes: int64[n] each.
        """
        chosen = np.empty(cols.n, np.int64)
        n = sums.choose(cols.n, cols.raw, self._told, chosen)
        chosen = chosen[:n]
        classes = np.zeros(n, np.int64)
        if n == 0:
            return chosen, chosen, chosen
        value = np.empty(n)
        read_numbers(cols.buf, chosen, cols.start, cols.stop, cols.raw, self._at, value)
        value *= self._unit[cols.raw[chosen]]
        value[cols.skip[chosen] != 0] = np.nan
        # Segments of one line differ in where they start in it.
        position = cols.offset[chosen] + (cols.start[chosen] - cols.origin[chosen])
        speaker, shape = cols.speaker[chosen], cols.shape[chosen]
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
        return chosen[marked], position[marked], classes[marked]
