"""Hashes -> small codes: an open table of keys (uint64[n_slots], 0 is free) and codes (int32[n_slots])."""

import numpy as np

from l4fast_kernels.jit import inline, kernel

_P1 = np.uint64(0x9E3779B97F4A7C15)
_ZERO = np.uint64(0)
_S32 = np.uint64(32)


@inline
def slot(table_key, mask):
    """Return where a hash is looked for first in a table of ``mask + 1`` slots."""
    return np.int64((table_key * _P1) >> _S32) & mask


@kernel
def rehash(old_keys, old_codes, keys, codes):
    """Move a shape table into a larger, empty one (uint64[n], int32[n])."""
    mask = keys.size - 1
    for i in range(old_keys.size):
        if old_keys[i] != _ZERO:
            probe = slot(old_keys[i], mask)
            while keys[probe] != _ZERO:
                probe = (probe + 1) & mask
            keys[probe] = old_keys[i]
            codes[probe] = old_codes[i]


@kernel
def intern(hashes, n, keys, codes, state, out, fresh):
    """Give each distinct hash a small code, in order of appearance.

    Parameters
    ----------
    hashes : uint64[>= n]
        None is 0.
    n : int64
    keys, codes : uint64[n_slots], int32[n_slots]
    state : int64[3], read and written
        Codes given so far, hashes found fresh in this call, where to go on.
    out : int32[n], written
    fresh : int32[n], written
        The position of each new hash, in order of its code.

    Returns
    -------
    bool
        False if the table is half full: grow it, `rehash`, and call again.
    """
    mask = keys.size - 1
    last_hash = _ZERO
    last_code = np.int32(0)
    i = state[2]
    while i < n:
        h = hashes[i]
        if h != last_hash:
            probe = slot(h, mask)
            while keys[probe] != h and keys[probe] != _ZERO:
                probe = (probe + 1) & mask
            if keys[probe] == _ZERO:
                if state[0] * 2 > mask:
                    break
                keys[probe] = h
                codes[probe] = np.int32(state[0])
                fresh[state[1]] = np.int32(i)
                state[0] += 1
                state[1] += 1
            last_hash = h
            last_code = codes[probe]
        out[i] = last_code
        i += 1
    state[2] = i
    return i >= n
