"""Lines that are kept one by one, with their texts side by side in one block of bytes.

A Python object for each text would cost five times its bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from l4fast.arrays import grown
from l4fast_kernels import keeps

_ROWS, _BYTES = 1 << 10, 1 << 16


class Kept:
    """A growing table of rows, filled by a kernel.

    Attributes
    ----------
    ints, longs : int32[room, INTS], int64[room, LONGS]
        See `l4fast_kernels.keeps`; the first ``n`` rows count.
    texts : uint8[room]
        One text behind the other; what is behind the last does not count.
    """

    def __init__(self) -> None:
        self.ints = np.empty((_ROWS, keeps.INTS), np.int32)
        self.longs = np.empty((_ROWS, keeps.LONGS), np.int64)
        self.texts = np.empty(_BYTES, np.uint8)
        self._state = np.zeros(2, np.int64)

    @property
    def n(self) -> int:
        return int(self._state[0])

    def fill(
        self, n: int, keep: Callable[[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray], int]
    ) -> None:
        """Call ``keep(at, state, ints, longs, texts)`` until it has come to ``n``; room is made as needed."""
        at = keep(0, self._state, self.ints, self.longs, self.texts)
        while at < n:
            if self.n == len(self.ints):
                self.ints, self.longs = grown(self.ints, 2 * self.n), grown(self.longs, 2 * self.n)
            else:
                self.texts = grown(self.texts, 2 * len(self.texts))
            at = keep(at, self._state, self.ints, self.longs, self.texts)

    def column(self, which: int) -> np.ndarray:
        return self.ints[: self.n, which]

    def long(self, which: int) -> np.ndarray:
        return self.longs[: self.n, which]
