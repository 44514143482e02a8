"""Pairs of codes and the sums of each: a growing table that a kernel fills."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from l4fast.arrays import grow_pairs
from l4fast_kernels import sums

# Integers of a pair that `PairTable.add` fills: count, first time, last time, first line, first offset, last
# line, last offset, line of the first time.
COUNTED = 8


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

    def add(
        self,
        n: int,
        left: np.ndarray,
        right: np.ndarray,
        time: np.ndarray,
        line: np.ndarray,
        offset: np.ndarray,
        skip: np.ndarray,
        by_time: bool = False,
    ) -> None:
        """Add ``n`` lines, but those to ``skip`` (uint8[n]), to the sums of their pairs.

        The first and the last line are told by their place, or with ``by_time`` by their time.
        """
        at = 0
        state = np.array([self.n], np.int64)
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
                self.keys,
                self.slots,
                state,
                self.ints,
                self.left,
                self.right,
            )
            if at < n:
                self.grow()
        self.n = int(state[0])
