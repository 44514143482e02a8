"""Lines that are kept one by one, with their texts side by side in one block of bytes.

A Python object for each text would cost five times its bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from l4fast_kernels import keeps

_ROWS, _BYTES = 1 << 10, 1 << 16


class Kept:
    """A growing table of rows, filled by a kernel.

    Attributes
    ----------
    ints, longs : int32[room, INTS], int64[room, LONGS]
        See `l4fast_kernels.keeps`; the first ``n`` rows count.
    texts : uint8[room]
        The first ``n_bytes`` count.
    """

    def __init__(self) -> None:
        self.ints = np.empty((_ROWS, keeps.INTS), np.int32)
        self.longs = np.empty((_ROWS, keeps.LONGS), np.int64)
        self.texts = np.empty(_BYTES, np.uint8)
        self._state = np.zeros(2, np.int64)

    @property
    def n(self) -> int:
        return int(self._state[0])

    @property
    def n_bytes(self) -> int:
        return int(self._state[1])

    def fill(
        self, n: int, keep: Callable[[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray], int]
    ) -> None:
        """Call ``keep(at, state, ints, longs, texts)`` until it has come to ``n``; room is made as needed."""
        at = keep(0, self._state, self.ints, self.longs, self.texts)
        while at < n:
            if self.n == len(self.ints):
                self.ints, self.longs = _longer(self.ints), _longer(self.longs)
            else:
                self.texts = _longer(self.texts)
            at = keep(at, self._state, self.ints, self.longs, self.texts)

    def column(self, which: int) -> np.ndarray:
        return self.ints[: self.n, which]

    def long(self, which: int) -> np.ndarray:
        return self.longs[: self.n, which]

    def text(self, row: int) -> bytes | None:
        """The text of a row, or None where only its place is kept."""
        size = int(self.ints[row, keeps.SIZE])
        begin = int(self.longs[row, keeps.TEXT])
        return None if size < 0 else self.texts[begin : begin + size].tobytes()


def _longer(old: np.ndarray) -> np.ndarray:
    new = np.empty((2 * len(old), *old.shape[1:]), old.dtype)
    new[: len(old)] = old
    return new
