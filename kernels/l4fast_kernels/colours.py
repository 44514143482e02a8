"""Colour codes that hide no word: their digits and their last letter become bytes that no word has.

A code (``ESC [ 3 1 m``) ends in a letter, so with the text that is glued to it (``31mERROR``) it would
be one word with a digit, and masked. `hush_codes` writes control bytes over the code's digits and its last
letter, in place: nothing moves, and `show` turns them back.
In JSON the escape is written ``\\u001b``.
"""

import numpy as np

from l4fast_kernels.blocks import escape_bits, trailing_zeros
from l4fast_kernels.jit import inline, kernel

ESCAPE, BACKSLASH, BRACKET = 27, 92, 91
# The letters that end the codes which colour, clear and move up; the bytes that stand for them are no
# blank, no line end, and none of those that outlines and masked texts use.
FINALS = b"mKJHABGhl"
FINALS_HUSHED = bytes([3, 4, 5, 6, 7, 8, 14, 15, 26])
DIGITS_HUSHED = bytes(range(16, 26))

HUSHED = np.arange(256, dtype=np.uint8)
HUSHED[48:58] = np.frombuffer(DIGITS_HUSHED, np.uint8)
_ENDS = np.zeros(256, np.uint8)
_ENDS[np.frombuffer(FINALS, np.uint8)] = np.frombuffer(FINALS_HUSHED, np.uint8)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_BEGINS = np.zeros(256, np.uint8)
_BEGINS[np.frombuffer(FINALS_HUSHED, np.uint8)] = np.frombuffer(FINALS, np.uint8)


@inline
def _after_bracket(buf, at, end):
    """Return where a code's digits begin whose escape, or the backslash of it, stands at ``at``; or -1."""
    p = at + 1
    if buf[at] == BACKSLASH:
        if (
            buf[p] != 117
            or at + 6 > end
            or buf[p + 1] != 48
            or buf[p + 2] != 48
            or buf[p + 3] != 49
            or buf[p + 4] | 32 != 98
        ):
            return np.int64(-1)
        p += 5
    return p + 1 if p < end and buf[p] == BRACKET else np.int64(-1)


@inline
def _hush(buf, at, end):
    """Hush the code that begins at ``at``, an escape or a backslash; return how many there are, 0 or 1."""
    first = _after_bracket(buf, at, end)
    if first < 0:
        return 0
    last = first
    while last < end and 48 <= buf[last] < 64:
        last += 1
    if last >= end or _ENDS[buf[last]] == 0:
        return 0
    for k in range(first, last):
        buf[k] = HUSHED[buf[k]]
    buf[last] = _ENDS[buf[last]]
    return 1


@kernel
def hush_codes(buf, begin, end, size):
    """Hush the codes that begin in ``buf[begin:end]`` (uint8[>= size + 64]); return how many there are.

    They may reach behind ``end``, but not behind ``size``.
    """
    n = 0
    for block in range(begin, end, 64):
        escapes = escape_bits(buf, block)
        while escapes != _ZERO:
            at = block + trailing_zeros(escapes)
            if at < end:
                n += _hush(buf, at, size)
            escapes &= escapes - _ONE
    return n


@kernel
def show(buf, size, out):
    """Write ``buf[:size]`` to ``out`` (uint8[size]), the codes that `hush_codes` has hushed as they were."""
    at = 0
    while at < size:
        out[at] = buf[at]
        at += 1
        if out[at - 1] != ESCAPE and out[at - 1] != BACKSLASH:
            continue
        first = _after_bracket(buf, at - 1, size)
        last = first
        while 0 <= last < size and (16 <= buf[last] < 26 or 58 <= buf[last] < 64):
            last += 1
        if 0 <= last < size and _BEGINS[buf[last]] != 0:
            for k in range(at, first):
                out[k] = buf[k]
            for k in range(first, last):
                out[k] = buf[k] + 32 if buf[k] < 26 else buf[k]
            out[last] = _BEGINS[buf[last]]
            at = last + 1
