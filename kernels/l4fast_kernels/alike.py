"""Texts -> which are alike: the same but for their digits."""

import numpy as np

from l4fast_kernels.jit import kernel

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xC2B2AE3D27D4EB4F)
_S29 = np.uint64(29)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@kernel
def hash_alike(data, begin, size, key, out):
    """Hash each text with its digits taken for each other; the 0 of ``0x`` is none.

    Texts of different lengths are never alike, so what stands at a place of one stands there in all.

    Parameters
    ----------
    data : uint8[n_bytes]
    begin, size : int64[n]
    key : uint64
        Of this process: nobody can aim at a collision.
    out : uint64[n], written
        0 for a text that is no plain ASCII (bytes above 127, or control bytes), or whose size is negative.
    """
    for i in range(begin.size):
        out[i] = _ZERO
        if size[i] < 0:
            continue
        first = begin[i]
        last = first + size[i]
        h = key ^ (np.uint64(size[i]) * _PRIME)
        is_plain = True
        for at in range(first, last):
            byte = data[at]
            if byte >= 128 or (byte < 32 and byte != 9):
                is_plain = False
                break
            if 48 <= byte < 58:
                follows_x = at + 1 < last and (data[at + 1] == 120 or data[at + 1] == 88)
                byte = np.uint8(48) if byte == 48 and follows_x else np.uint8(49)
            h = (h ^ np.uint64(byte)) * _MIX
            h ^= h >> _S29
        if is_plain:
            out[i] = h if h != _ZERO else _ONE
