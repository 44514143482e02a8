"""Arrays that grow, are stacked, and are cut into groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from l4fast_kernels import sums


def grown(old: np.ndarray, room: int) -> np.ndarray:
    """Return the array with ``room`` rows, those behind its own filled with zeros."""
    new = np.zeros((room, *old.shape[1:]), old.dtype)
    new[: len(old)] = old
    return new


def grow_pairs(table: Any, names: Sequence[str]) -> None:
    """Give a table of pairs (``keys`` uint64[n], ``slots`` int32[n]) four times as many slots.

    ``names`` are its columns; they get a row for every second slot.
    """
    keys = np.zeros(table.keys.size * 4, np.uint64)
    slots = np.zeros(keys.size, np.int32)
    sums.rehash_pairs(table.keys, table.slots, keys, slots)
    table.keys, table.slots = keys, slots
    for name in names:
        setattr(table, name, grown(getattr(table, name), keys.size // 2))


def stack(arrays: Sequence[np.ndarray], width: int | None = None) -> np.ndarray:
    """Return the arrays one behind the other; of none, an empty one of int64."""
    if not arrays:
        return np.zeros((0, width) if width else 0, np.int64)
    return np.concatenate(arrays)


def begins(*keys: np.ndarray) -> np.ndarray:
    """Return which rows differ from the one before in one of ``keys``, bool[n]."""
    fresh = np.ones(len(keys[0]), bool)
    fresh[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return fresh
