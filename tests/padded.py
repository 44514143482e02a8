"""Bytes as the kernels are given them."""

from __future__ import annotations

import numpy as np


def padded(data: bytes, behind: int = 192) -> np.ndarray:
    """Return the bytes with as many zero bytes behind them as kernels may read.

    They can be written to, as those of a chunk can: for an array that cannot, which is another type,
    each kernel would be compiled a second time.
    """
    buf = np.zeros(len(data) + behind, np.uint8)
    buf[: len(data)] = np.frombuffer(data, np.uint8)
    return buf
