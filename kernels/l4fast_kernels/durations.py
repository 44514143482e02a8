"""Durations that lines tell -> the first and the last of each (speaker, shape)."""

import numpy as np

from l4fast_kernels.jit import kernel

_LEAST = 1e-9
_K1 = np.uint64(0x9E3779B97F4A7C15)
_ZERO = np.uint64(0)
_S32 = np.uint64(32)


@kernel
def fold_durations(
    n,
    at,
    speaker,
    shape,
    value,
    position,
    step,
    most,
    keys,
    slots,
    state,
    ints,
    head,
    tail,
    head_at,
    tail_at,
    lefts,
    rights,
    classes,
):
    """Keep the first and the last durations of each (speaker, shape), and mark the longest so far.

    Durations are of classes, each ``step`` times as long as the one before: those of a speaker that
    reach a class above all before are few, however long the log, and whoever joins the marks of two
    parts of a log finds among them all that would be marked in the whole.

    Parameters
    ----------
    n, at : int64
        Lines; where to begin.
    speaker, shape : int32[n]
    value : float64[n]
        Seconds; NaN and what is below 0 are passed over.
    position : int64[n]
        Where each line stands in its stream, in bytes.
    step : float64
    most : int64
        How many pairs are held; later ones are passed over.
    keys, slots, state, lefts, rights
        As in `sums.count_pairs`.
    ints : int64[room, 2], written
        Durations seen, the highest class of them.
    head, tail : float64[room, width], written
        The first durations in order; the last ones, the k-th (from 0) at ``k % width``.
    head_at, tail_at : int64[room, width], written
        Their positions.
    classes : int64[n], written
        The class where a line is marked, from 1; zeros are not written.

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
        key = ((np.uint64(speaker[i]) << _S32) | np.uint64(shape[i])) + np.uint64(1)
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
            rights[slot] = shape[i]
            state[0] += 1
        slot = np.int64(slots[probe])
        count = ints[slot, 0]
        found = np.int64(np.log(max(value[i], _LEAST) / _LEAST) / np.log(step))
        if found > ints[slot, 1]:
            ints[slot, 1] = found
            classes[i] = found
        if count < width:
            head[slot, count] = value[i]
            head_at[slot, count] = position[i]
        tail[slot, count % width] = value[i]
        tail_at[slot, count % width] = position[i]
        ints[slot, 0] = count + 1
    return n
