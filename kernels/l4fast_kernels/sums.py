"""Columns -> sums: what a diagnosis keeps of the lines that it lets go."""

import numpy as np

from l4fast_kernels.jit import kernel
from l4fast_kernels.times import NO_TIME

_K1 = np.uint64(0x9E3779B97F4A7C15)
_ZERO = np.uint64(0)
_S32 = np.uint64(32)


@kernel
def fill_time(time, n, state):
    """Replace `NO_TIME` by the time of the line before.

    Parameters
    ----------
    time : int64[>= n], read and written
    state : int64[2], read and written
        The last time seen in the stream; how many lines had their own.
    """
    seen = state[0]
    own = state[1]
    for i in range(n):
        if time[i] == NO_TIME:
            time[i] = seen
        else:
            seen = time[i]
            own += 1
    state[0] = seen
    state[1] = own


@kernel
def see_times(time, n, seen):
    """Note in which order the times of a stream come.

    Parameters
    ----------
    time : int64[>= n]
        Microseconds; `NO_TIME` is passed over.
    seen : int64[7], read and written
        The earliest and the latest time, the first and the last in the order of lines (each `NO_TIME`: none
        yet), how many were later, and how many earlier, than the one before, and how much later than one
        before it a time was at most.
    """
    low, high, opening, closing, rose, fell, climbed = seen
    for i in range(n):
        now = time[i]
        if now == NO_TIME:
            continue
        if closing == NO_TIME:
            low, high, opening, closing = now, now, now, now
        rose += now > closing
        fell += now < closing
        low, high, closing = min(low, now), max(high, now), now
        climbed = max(climbed, now - low)
    seen[0], seen[1], seen[2], seen[3] = low, high, opening, closing
    seen[4], seen[5], seen[6] = rose, fell, climbed


@kernel
def count_pairs(
    n, at, left, right, time, line, offset, skip, by_time, keys, slots, state, ints, lefts, rights
):
    """Add ``n`` lines to the sums of each (left, right) pair.

    Parameters
    ----------
    n, at : int64
        Lines; where to begin.
    left, right : int32[n]
        A speaker and a shape.
    time, line, offset : int64[n]
    skip : uint8[n]
        Rows that are not counted (earlier segments of a line).
    by_time : bool
        Whether first and last go by time; else by the order of the lines.
    keys, slots : uint64[n_slots], int32[n_slots]
        Hash table of the pairs; the key is left and right in one word, plus one.
    state : int64[1], read and written
        Pairs held.
    ints : int64[n_pairs_room, 8], written
        Count, first time, last time, first line, first offset, last line, last offset, line of the first
        time.
    lefts, rights : int32[n_pairs_room], written

    Returns
    -------
    int64
        How far it came: ``n``, or less if the room or half the table is used up.
    """
    mask = keys.size - 1
    room = ints.shape[0]
    for i in range(at, n):
        if skip[i]:
            continue
        key = ((np.uint64(left[i]) << _S32) | np.uint64(right[i])) + np.uint64(1)
        probe = np.int64((key * _K1) >> _S32) & mask
        while keys[probe] != key and keys[probe] != _ZERO:
            probe = (probe + 1) & mask
        if keys[probe] == _ZERO:
            if state[0] >= room or state[0] * 2 > mask:
                return i
            slot = state[0]
            keys[probe] = key
            slots[probe] = np.int32(slot)
            lefts[slot] = left[i]
            rights[slot] = right[i]
            ints[slot, 0] = 0
            ints[slot, 1] = time[i]
            ints[slot, 3] = line[i]
            ints[slot, 4] = offset[i]
            ints[slot, 7] = line[i]
            state[0] += 1
        slot = np.int64(slots[probe])
        ints[slot, 0] += 1
        if by_time:
            # A known time beats none, and of equal times the lower line is first, the higher
            # last: so the order of reading does not matter.
            first = ints[slot, 1]
            if time[i] == first:
                sooner = line[i] < ints[slot, 3]
            else:
                sooner = first == NO_TIME or (time[i] != NO_TIME and time[i] < first)
            if sooner:
                ints[slot, 1] = time[i]
                ints[slot, 3] = line[i]
                ints[slot, 4] = offset[i]
        elif ints[slot, 1] == NO_TIME and time[i] != NO_TIME:
            ints[slot, 1] = time[i]
            ints[slot, 7] = line[i]
        if (
            not by_time
            or ints[slot, 0] == 1
            or time[i] > ints[slot, 2]
            or (time[i] == ints[slot, 2] and line[i] >= ints[slot, 5])
        ):
            ints[slot, 2] = time[i]
            ints[slot, 5] = line[i]
            ints[slot, 6] = offset[i]
    return n


@kernel
def choose(n, code, wanted, out):
    """Write the positions whose ``wanted[code]`` is true (uint8); return how many."""
    kept = 0
    for i in range(n):
        if wanted[code[i]]:
            out[kept] = i
            kept += 1
    return kept


@kernel
def fold_iterations(
    n, at, series, speaker, value, time, line, offset, keys, slots, state, ints, lefts, rights
):
    """Keep for each (series, speaker) where its iteration counter has come to.

    Parameters
    ----------
    series, speaker : int32[n]
    value : float64[n]
        The iteration that a line reports; NaN is passed over.
    time, line, offset : int64[n]
    keys, slots, state, lefts, rights
        As in `count_pairs`.
    ints : int64[room, 12], written
        Lines, lowest, highest and last iteration, how often it went back, first time,
        then time, line and offset of the highest, then the first iteration, how often it went on,
        last time.

    Returns
    -------
    int64
        How far it came, as in `count_pairs`.
    """
    mask = keys.size - 1
    room = ints.shape[0]
    for i in range(at, n):
        if not (value[i] >= 0.0 and value[i] < 9.0e15):
            continue
        key = ((np.uint64(series[i]) << _S32) | np.uint64(speaker[i])) + np.uint64(1)
        probe = np.int64((key * _K1) >> _S32) & mask
        while keys[probe] != key and keys[probe] != _ZERO:
            probe = (probe + 1) & mask
        iteration = np.int64(value[i])
        if keys[probe] == _ZERO:
            if state[0] >= room or state[0] * 2 > mask:
                return i
            slot = state[0]
            keys[probe] = key
            slots[probe] = np.int32(slot)
            lefts[slot] = series[i]
            rights[slot] = speaker[i]
            ints[slot, 0] = 0
            ints[slot, 1] = iteration
            ints[slot, 2] = np.int64(-1)
            ints[slot, 3] = np.int64(-1)
            ints[slot, 4] = 0
            ints[slot, 5] = time[i]
            ints[slot, 9] = iteration
            ints[slot, 10] = 0
            state[0] += 1
        slot = np.int64(slots[probe])
        ints[slot, 0] += 1
        ints[slot, 1] = min(ints[slot, 1], iteration)
        if iteration < ints[slot, 3]:
            ints[slot, 4] += 1
        elif iteration > ints[slot, 3] and ints[slot, 0] > 1:
            ints[slot, 10] += 1
        ints[slot, 3] = iteration
        ints[slot, 11] = time[i]
        if iteration > ints[slot, 2]:
            ints[slot, 2] = iteration
            ints[slot, 6] = time[i]
            ints[slot, 7] = line[i]
            ints[slot, 8] = offset[i]
    return n


@kernel
def rehash_pairs(old_keys, old_slots, keys, slots):
    """Move a pair table into a larger, empty one (uint64[n], int32[n])."""
    mask = keys.size - 1
    for i in range(old_keys.size):
        if old_keys[i] != _ZERO:
            probe = np.int64((old_keys[i] * _K1) >> _S32) & mask
            while keys[probe] != _ZERO:
                probe = (probe + 1) & mask
            keys[probe] = old_keys[i]
            slots[probe] = old_slots[i]
