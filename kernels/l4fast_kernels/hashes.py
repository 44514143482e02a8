"""Words of a line that hold a digit, and hashes that do not depend on them.

The canonical hash of a line is a fold over the runs of bytes between its masked words: lines whose
masked words differ, in length too, have the same.
"""

import numpy as np

from l4fast_kernels.blocks import eight_bytes, kept_hash, leading_zeros, trailing_zeros, word_bits
from l4fast_kernels.jit import inline, kernel
from l4fast_kernels.outlines import CLASS

_P1 = np.uint64(0x9E3779B97F4A7C15)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_S29 = np.uint64(29)
_S32 = np.uint64(32)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
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
