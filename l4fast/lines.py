"""Chunks -> lines and their raw shapes, and nothing else: what a table of plain rows needs.

Unlike `l4fast.parse`, this knows no prefixes and no speakers, and a raw shape is always one exact
masked text, however many there are: what is found in its first line holds for all of them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np

from l4fast_kernels import lines as kl
from l4fast_kernels.codes import intern, rehash


@dataclass(frozen=True)
class Lines:
    """The lines of a chunk.

    Attributes
    ----------
    buf : uint8[size]
    start, stop, code : int32[n]
        Line ``i`` is ``buf[start[i]:stop[i]]``, of raw shape ``code[i]``.
    fresh : int32[n_fresh]
        The first line of each raw shape that was never seen before, in the order of their codes.
    """

    buf: np.ndarray
    n: int
    start: np.ndarray
    stop: np.ndarray
    code: np.ndarray
    fresh: np.ndarray


class LineReader:
    """The raw shapes seen so far; codes count from 0, in the order of appearance."""

    def __init__(self) -> None:
        # The hashes never leave the process, so a hostile log cannot aim at them.
        self._key = np.uint64(secrets.randbits(64))
        self._keys = np.zeros(1 << 12, np.uint64)
        self._codes = np.zeros(1 << 12, np.int32)
        self.n_shapes = 0

    def read(self, buf: np.ndarray, size: int) -> Lines:
        """Return the lines of ``buf[:size]`` (uint8, at least 64 bytes behind ``size``)."""
        n_max = int(kl.count_ends(buf, size)) + 1
        start, stop, code, fresh = (np.empty(n_max, np.int32) for _ in range(4))
        hashes = np.empty(n_max, np.uint64)
        n = int(kl.hash_lines(buf, size, self._key, start, stop, hashes))
        state = np.array([self.n_shapes, 0, 0], np.int64)
        while not intern(hashes, n, self._keys, self._codes, state, code, fresh):
            keys, codes = np.zeros(self._keys.size * 4, np.uint64), np.zeros(self._keys.size * 4, np.int32)
            rehash(self._keys, self._codes, keys, codes)
            self._keys, self._codes = keys, codes
        self.n_shapes = int(state[0])
        return Lines(buf, n, start[:n], stop[:n], code[:n], fresh[: int(state[1])])
