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

from l4fast_kernels.blocks import escape_bits, layout_hash, line_ends, trailing_zeros
from l4fast_kernels.codes import slot
from l4fast_kernels.colours import hush_codes
from l4fast_kernels.hashes import shape_hash
from l4fast_kernels.jit import kernel
from l4fast_kernels.outlines import OUTLINE_BYTES, WIDTHS, bucket_code

WINDOW = 1 << 16  # bytes per round: line ends, hashes and probes of a window stay in L2
LAYOUT_SLOTS = 1 << 18  # 4 MB: a larger table costs more in cache misses than it saves
SHAPE_SLOTS = 1 << 18
FRESH_AT_ONCE = 128  # so many new shapes, and the caller is asked whether a bucket collapses


_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_S29 = np.uint64(29)


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
            place = slot(h, layout_mask)
            while True:
                held = layouts[2 * place]
                layout[i] = place
                if held == h:
                    code[i] = np.int32(layouts[2 * place + 1])
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
                        probe = slot(canonical, shape_mask)
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
                        layouts[2 * place] = h
                        layouts[2 * place + 1] = np.uint64(code[i])
                        state[0] += 1
                    else:
                        layout[i] = -1
                    break
                place = (place + 1) & layout_mask
        at = window_end
    carry[0] = seg_begin
    carry[1] = line_idx
    carry[2] = has_segment
    carry[3] = line_begin
    state[3] = n
    state[4] = at
    return at >= size
