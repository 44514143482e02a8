"""Bytes -> segments, and for each its raw shape code.

A *segment* is what stands between two line ends; a line ends at ``\\n``, and a ``\\r``
ends a segment inside it (a progress bar redraws itself so). Empty segments are dropped
unless the line has no other.

The work per byte is one vector pass: the *layout hash* is a hash of the line with the bytes
of its masked words replaced, at their positions. Lines of one layout have one shape, so a
small table layout -> shape answers nearly always; only a layout never seen pays for the
canonical hash, which does not depend on the lengths of masked words.

Two hashes of 64 bits with a random key per process are trusted without comparing bytes: for
n distinct layouts the chance of any false merge is at most n**2 / 2**64 if the mixing is
ideal (5e-8 for a million).
"""

import numpy as np

from l4fast_kernels.blocks import (
    eight_bytes,
    escape_bits,
    kept_hash,
    layout_hash,
    leading_zeros,
    line_ends,
    trailing_zeros,
    word_bits,
)
from l4fast_kernels.colours import hush_codes
from l4fast_kernels.jit import inline, kernel
from l4fast_kernels.outlines import CLASS, OUTLINE_BYTES, WIDTHS, bucket_code

WINDOW = 1 << 16  # bytes per round: line ends, hashes and probes of a window stay in L2
LAYOUT_SLOTS = 1 << 18  # 4 MB: a larger table costs more in cache misses than it saves
SHAPE_SLOTS = 1 << 18
FRESH_AT_ONCE = 128  # so many new shapes, and the caller is asked whether a bucket collapses


_P1 = np.uint64(0x9E3779B97F4A7C15)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_S29 = np.uint64(29)
_S32 = np.uint64(32)
_S63 = np.uint64(63)


@inline
def whole_words(buf, at, end):
    """Return how many bytes from ``at`` on hold whole words, and which of them are masked.

    ``at`` begins a word or is a delimiter, and ``at < end``. At most 64 bytes, but for one word
    that is longer: then all bits tell whether it is masked.
    """
    n = min(end - at, 64)
    word, masked = word_bits(buf, at, n)
    if at + 64 >= end or word >> _S63 == _ZERO:
        return n, masked
    # The last word may go on behind the block: it is left to the next.
    n = 64 - leading_zeros(~word)
    if n > 0:
        return n, masked & (_ALL >> np.uint64(64 - n))
    n = 64
    has_digit = masked != _ZERO
    while at + n < end and CLASS[buf[at + n]] != 0:
        has_digit = has_digit or CLASS[buf[at + n]] == 2
        n += 1
    return n, _ALL if has_digit else _ZERO


@inline
def next_word(masked, n):
    """Return where the first of the masked words begins and ends, and the others.

    ``masked`` is not zero; it and ``n`` are as `whole_words` returned them.
    """
    first = trailing_zeros(masked)
    length = trailing_zeros(~(masked >> np.uint64(first)))
    rest = masked & (masked + (_ONE << np.uint64(first)))
    return first, n if length == 64 else first + length, rest


@inline
def first_bytes(eight, n):
    """Return a uint64 of 8 bytes with all but the first ``n`` zero."""
    half = np.uint64(4 * n)  # a shift by 64 would be none
    return eight & ~((_ALL << half) << half)


@inline
def run_hash(buf, begin, end, key):
    """Return a hash of ``buf[begin:end]``, all bytes kept."""
    n = end - begin
    h = np.uint64(n) * _P3 ^ key
    if n <= 16:  # most are: what stands between two numbers
        low = first_bytes(eight_bytes(buf, begin), min(n, 8))
        high = first_bytes(eight_bytes(buf, begin + 8), max(n - 8, 0))
        h = (h ^ low) * _P1
        h ^= h >> _S29
        h = (h ^ high) * _P2
        return h ^ (h >> _S32)
    h = (h ^ kept_hash(buf, begin, end, key)) * _P2
    return h ^ (h >> _S29)


@kernel
def shape_hash(buf, begin, end, key):
    """Return the canonical hash of ``buf[begin:end]``: masked words count as one symbol.

    A fold over the runs of bytes between masked words.
    """
    h = key ^ _P1
    at = run = begin
    while at < end:
        n, masked = whole_words(buf, at, end)
        while masked != _ZERO:
            first, last, masked = next_word(masked, n)
            h = (h ^ run_hash(buf, run, at + first, key)) * _P1
            h ^= h >> _S32
            run = at + last
        at += n
    h = (h ^ run_hash(buf, run, end, key)) * _P1
    h ^= h >> _S32
    return h if h != _ZERO else _ONE


@inline
def _slot(table_key, mask):
    return np.int64((table_key * _P1) >> _S32) & mask


@kernel
def scan(
    buf,
    size,
    at,
    carry,
    last,
    key,
    layouts,
    shape_keys,
    shape_codes,
    words,
    level,
    bucket_keys,
    bucket_codes,
    state,
    start,
    stop,
    origin,
    line,
    code,
    layout,
    fresh,
):
    """Split ``buf[at:size]`` and write the raw shape code of each segment.

    Parameters
    ----------
    buf : uint8[>= size + 128], colour codes are hushed
    size, at : int64
        Bytes that count; where to begin (0, or what `state[4]` said).
    carry : int64[4], read and written
        Begin of the open segment, index of the open line, whether it has a segment, its begin.
    last : bool
        Whether the stream ends here: an open segment is then a segment.
    key : uint64
    layouts : uint64[2 * LAYOUT_SLOTS]
        Interleaved layout hash and code; emptied when half of it is filled, so that lines which
        come once do not keep out for ever those that come often.
    shape_keys, shape_codes : uint64[SHAPE_SLOTS], int32[SHAPE_SLOTS]
    words, level, bucket_keys, bucket_codes
        Collapsed buckets, as `bucket_code` takes them; ``level`` is -1 where there are none.
    state : int64[6], read and written
        Layouts held, shapes held, shapes found fresh in this call, segments written,
        where to go on, colour codes hushed.
    start, stop, origin, line, code : int32[n], written
        ``origin`` is where the line of the segment begins.
    layout : int32[n], written
        Where the layout of the segment stands in ``layouts``; -1 if it found no place.
    fresh : int32[n], written
        The segment in which each new shape was first seen, in order of its code.

    Returns
    -------
    bool
        False if the caller must look at the fresh shapes first; if there is no room for the segments
        of another window (``WINDOW + 1``); or if the shape table is half full: grow what is full and
        call again.
    """
    layout_mask = layouts.size // 2 - 1
    shape_mask = shape_keys.size - 1
    hashes = np.empty(WINDOW + 1, np.uint64)
    outlined, cuts = np.empty(OUTLINE_BYTES, np.uint8), np.empty(WIDTHS.size, np.int64)
    n = state[3]
    seg_begin = carry[0]
    line_idx = carry[1]
    has_segment = carry[2]
    line_begin = carry[3]
    while at < size:
        if state[1] * 2 > shape_mask or state[2] >= FRESH_AT_ONCE or n + WINDOW + 1 > start.size:
            break
        window_end = min(at + WINDOW, size)
        first = n
        escapes = _ZERO
        for block in range(at, window_end, 64):
            newline, carriage = line_ends(buf, block)
            escapes |= escape_bits(buf, block)
            ends = newline | carriage
            while ends != _ZERO:
                bit = trailing_zeros(ends)
                end = block + bit
                if end >= window_end:
                    break
                is_newline = (newline >> np.uint64(bit)) & _ONE
                if end > seg_begin or (is_newline != _ZERO and has_segment == 0):
                    start[n] = seg_begin
                    stop[n] = end
                    origin[n] = line_begin
                    line[n] = line_idx
                    n += 1
                    has_segment = 1
                if is_newline != _ZERO:
                    line_idx += 1
                    has_segment = 0
                    line_begin = end + 1
                seg_begin = end + 1
                ends &= ends - _ONE
        if window_end == size and last and seg_begin < size:
            start[n] = seg_begin
            stop[n] = size
            origin[n] = line_begin
            line[n] = line_idx
            n += 1
            has_segment = 1
            seg_begin = size
        if escapes != _ZERO:
            state[5] += hush_codes(buf, at, window_end, size)
        for i in range(first, n):
            # Behind a fold of lanes, the length: marks behind the end are no masked bytes.
            h = (layout_hash(buf, start[i], stop[i], key) ^ np.uint64(stop[i] - start[i]) * _P3) * _P2
            hashes[i - first] = max(h ^ (h >> _S29), _ONE)
        for i in range(first, n):
            h = hashes[i - first]
            slot = _slot(h, layout_mask)
            while True:
                held = layouts[2 * slot]
                layout[i] = slot
                if held == h:
                    code[i] = np.int32(layouts[2 * slot + 1])
                    break
                if held == _ZERO:
                    found = np.int64(-1)
                    if level >= 0:
                        found = bucket_code(
                            buf,
                            start[i],
                            stop[i],
                            key,
                            words,
                            level,
                            bucket_keys,
                            bucket_codes,
                            outlined,
                            cuts,
                        )
                    if found < 0:
                        canonical = shape_hash(buf, start[i], stop[i], key)
                        probe = _slot(canonical, shape_mask)
                        while shape_keys[probe] != canonical and shape_keys[probe] != _ZERO:
                            probe = (probe + 1) & shape_mask
                        if shape_keys[probe] == _ZERO:
                            shape_keys[probe] = canonical
                            shape_codes[probe] = np.int32(state[1])
                            fresh[state[2]] = np.int32(i)
                            state[1] += 1
                            state[2] += 1
                        found = np.int64(shape_codes[probe])
                    code[i] = np.int32(found)
                    if state[0] * 2 <= layout_mask:
                        layouts[2 * slot] = h
                        layouts[2 * slot + 1] = np.uint64(code[i])
                        state[0] += 1
                    else:
                        layout[i] = -1
                    break
                slot = (slot + 1) & layout_mask
        at = window_end
    carry[0] = seg_begin
    carry[1] = line_idx
    carry[2] = has_segment
    carry[3] = line_begin
    state[3] = n
    state[4] = at
    return at >= size


@kernel
def rehash(old_keys, old_codes, keys, codes):
    """Move a shape table into a larger, empty one (uint64[n], int32[n])."""
    mask = keys.size - 1
    for i in range(old_keys.size):
        if old_keys[i] != _ZERO:
            probe = _slot(old_keys[i], mask)
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
            probe = _slot(h, mask)
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
