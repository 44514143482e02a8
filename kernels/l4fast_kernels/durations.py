"""Durations that lines tell -> the first and the last of each (speaker, text)."""

import numpy as np

from l4fast_kernels.jit import kernel

_K1 = np.uint64(0x9E3779B97F4A7C15)
_ZERO = np.uint64(0)
_S32 = np.uint64(32)


@kernel
def fold_durations(
    n,
    at,
    speaker,
    text,
    value,
    factor,
    settled,
    quota,
    most,
    keys,
    slots,
    state,
    ints,
    head,
    tail,
    lefts,
    rights,
    keep,
):
    """Keep the first and the last durations of each (speaker, text), and mark those that stand out.

    A duration stands out if it is more than ``factor`` times the longest of the first ones, of
    which there must be ``settled`` at least.

    Parameters
    ----------
    n, at : int64
        Lines; where to begin.
    speaker, text : int32[n]
    value : float64[n]
        Seconds; NaN and what is below 0 are passed over.
    factor : float64
    settled, quota, most : int64
        See above; how many lines of a pair are marked; how many pairs are held, later ones are
        passed over.
    keys, slots, state, lefts, rights
        As in `sums.count_pairs`.
    ints : int64[room, 2], written
        Durations seen, lines marked.
    head, tail : float64[room, width], written
        The first durations in order; the last ones, the k-th (from 0) at ``k % width``.
    keep : uint8[n], written
        1 where a line is marked; zeros are not written.

    Returns
    -------
    int64
        How far it came, as in `sums.count_pairs`.
    """
    mask = keys.size - 1
    room = ints.shape[0]
    width = head.shape[1]
    for i in range(at, n):
        if not value[i] >= 0.0:
            continue
        key = ((np.uint64(speaker[i]) << _S32) | np.uint64(text[i])) + np.uint64(1)
        probe = np.int64((key * _K1) >> _S32) & mask
        while keys[probe] != key and keys[probe] != _ZERO:
            probe = (probe + 1) & mask
        if keys[probe] == _ZERO:
            if state[0] >= most:
                continue
            if state[0] >= room or state[0] * 2 > mask:
                return i
            slot = state[0]
            keys[probe] = key
            slots[probe] = np.int32(slot)
            lefts[slot] = speaker[i]
            rights[slot] = text[i]
            state[0] += 1
        slot = np.int64(slots[probe])
        count = ints[slot, 0]
        if count >= settled and ints[slot, 1] < quota:
            longest = 0.0
            for k in range(min(count, width)):
                longest = max(longest, head[slot, k])
            if value[i] > factor * longest:
                ints[slot, 1] += 1
                keep[i] = 1
        if count < width:
            head[slot, count] = value[i]
        tail[slot, count % width] = value[i]
        ints[slot, 0] = count + 1
    return n
