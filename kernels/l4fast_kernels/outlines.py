"""Bytes of a line -> its *outline*: what is left of it where words that nobody knows are wild.

A line with ever new names has ever new shapes; its outline stays. Words of a fixed vocabulary stand
in it as they are, a masked word is `MASKED`, any other word `WILD` (with the end of its name if that
is an error's), and names that one of ``-./:@`` joins are one. An outline is cut off behind so many
words; that it depends on the masked text alone, never on the digits, holds for the limits too.
"""

import numpy as np

from l4fast_kernels.jit import inline, kernel

MASKED, WILD, END = 0, 1, 2
# An outline may be cut behind so many constant words, or where it grows too long without them:
# behind 4 masked words or 16 delimiters for each.
WIDTHS = np.array([1, 2, 4, 8, 16], np.int64)
MASKED_PER_WORD, DELIMITERS_PER_WORD = 4, 16
WORD_BYTES = 40  # a longer word is in no vocabulary
OUTLINE_BYTES = 1024  # 16 words, 64 masked words, 256 delimiters, and what ends them

# 0 delimiter, 1 word byte, 2 digit
CLASS = np.zeros(256, np.uint8)
CLASS[48:58] = 2
CLASS[65:91] = CLASS[97:123] = 1
CLASS[95] = 1
CLASS[128:] = 1

_JOINS = np.zeros(256, np.uint8)
_JOINS[[45, 46, 47, 58, 64]] = 1  # - . / : @
_ERROR = np.frombuffer(b"error", np.uint8)
_EXCEPTION = np.frombuffer(b"exception", np.uint8)
_CASE = np.uint8(32)
_P1 = np.uint64(0x9E3779B97F4A7C15)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_S29 = np.uint64(29)
_S32 = np.uint64(32)


@inline
def _fold(h, byte):
    return (h ^ np.uint64(byte | _CASE)) * _P1


@inline
def _home(h, mask):
    return np.int64(((h ^ (h >> _S29)) * _P2) >> _S32) & mask


@kernel
def learn_words(text, words):
    """Put the hash of each line of ``text`` into a set.

    Parameters
    ----------
    text : uint8[n]
        Words, each ended by a newline.
    words : uint64[n_slots], written
        All zero; a power of two, more than twice as many as words.
    """
    h = _P2
    for i in range(text.size):
        if text[i] != 10:
            h = _fold(h, text[i])
            continue
        slot = _home(h, words.size - 1)
        while words[slot] != _ZERO and words[slot] != h:
            slot = (slot + 1) & (words.size - 1)
        words[slot] = h
        h = _P2


@inline
def _ends_in(buf, end, tail):
    same = True
    for i in range(tail.size):
        same &= (buf[end - tail.size + i] | _CASE) == tail[i]
    return same


@inline
def _is_known(buf, begin, end, h, words):
    """Whether a word is in the vocabulary."""
    if end - begin > WORD_BYTES:
        return False
    slot = _home(h, words.size - 1)
    while words[slot] != _ZERO:
        if words[slot] == h:
            return True
        slot = (slot + 1) & (words.size - 1)
    return False


@inline
def _tail(buf, begin, end):
    """Return how many bytes at the end of a word say that it names an error."""
    if end - begin > 5 and _ends_in(buf, end, _ERROR):
        return 5
    if end - begin > 9 and _ends_in(buf, end, _EXCEPTION):
        return 9
    return 0


@kernel
def outline(buf, begin, end, words, level, out, cuts):
    """Write the outline of ``buf[begin:end]``, cut at ``WIDTHS[level - 1]``.

    Parameters
    ----------
    buf : uint8[>= end]
    words : uint64[n_slots]
        The vocabulary (`learn_words`).
    level : int64
        At least 1; at most ``len(WIDTHS)``.
    out : uint8[OUTLINE_BYTES], written
    cuts : int64[len(WIDTHS)], written
        For each width up to ``level`` how many bytes of ``out`` it keeps.

    Returns
    -------
    int64
        Bytes written; the last is `END` if the line ended before it was cut.
    """
    n = 0
    n_words = n_masked = n_delimiters = 0
    reached = 0
    waiting = np.uint8(0)  # a joiner behind a wild word: dropped if another follows
    i = begin
    while i < end:
        if CLASS[buf[i]] == 0:
            if waiting != 0:
                out[n] = waiting
                n += 1
                n_delimiters += 1
                waiting = np.uint8(0)
            if _JOINS[buf[i]] != 0 and n > 0 and out[n - 1] == WILD:
                waiting = buf[i]
            else:
                out[n] = buf[i] if buf[i] > END else np.uint8(63)
                n += 1
                n_delimiters += 1
            i += 1
        else:
            first = i
            h = _P2
            has_digit = False
            while i < end and CLASS[buf[i]] != 0:
                if CLASS[buf[i]] == 2:
                    has_digit = True
                h = _fold(h, buf[i])
                i += 1
            known = (not has_digit) and _is_known(buf, first, i, h, words)
            if waiting != 0 and (has_digit or known):
                out[n] = waiting
                n += 1
                n_delimiters += 1
            if has_digit:
                out[n] = MASKED
                n += 1
                n_masked += 1
            elif known:
                for k in range(first, i):
                    out[n] = buf[k]
                    n += 1
                n_words += 1
            elif waiting == 0:
                out[n] = WILD
                n += 1
                for k in range(i - _tail(buf, first, i), i):
                    out[n] = buf[k]
                    n += 1
                n_words += 1
            waiting = np.uint8(0)
        while (
            n_words >= WIDTHS[reached]
            or n_masked >= WIDTHS[reached] * MASKED_PER_WORD
            or n_delimiters >= WIDTHS[reached] * DELIMITERS_PER_WORD
        ):
            cuts[reached] = n
            reached += 1
            if reached == level:
                return n
    if waiting != 0:
        out[n] = waiting
        n += 1
    out[n] = END
    n += 1
    for k in range(reached, level):
        cuts[k] = n
    return n


@kernel
def outline_hash(out, n, key):
    """Return the hash of ``out[:n]`` (uint8, room for a multiple of 8), never 0."""
    for i in range(n, (n + 7) & ~7):
        out[i] = 0
    h = key ^ (np.uint64(n) * _P3)
    for word in out[: (n + 7) & ~7].view(np.uint64):
        h = (h ^ word) * _P2
        h ^= h >> _S29
    return h if h != _ZERO else _ONE


@kernel
def learn_buckets(hashes, codes, bucket_keys, bucket_codes):
    """Fill a table outline hash -> code: uint64[n], int32[n] into empty uint64, int32[n_slots]."""
    mask = bucket_keys.size - 1
    for i in range(hashes.size):
        slot = _home(hashes[i], mask)
        while bucket_keys[slot] != _ZERO:
            slot = (slot + 1) & mask
        bucket_keys[slot] = hashes[i]
        bucket_codes[slot] = codes[i]


@kernel
def bucket_code(buf, begin, end, key, words, level, bucket_keys, bucket_codes, out, cuts):
    """Return the code of the collapsed bucket that ``buf[begin:end]`` falls into, or -1.

    ``level`` is that of `outline`, or 0: all lines are one bucket. The table is `learn_buckets`'s.
    """
    n = 0 if level == 0 else outline(buf, begin, end, words, level, out, cuts)
    h = outline_hash(out, n, key)
    mask = bucket_keys.size - 1
    slot = _home(h, mask)
    while bucket_keys[slot] != _ZERO:
        if bucket_keys[slot] == h:
            return np.int64(bucket_codes[slot])
        slot = (slot + 1) & mask
    return np.int64(-1)


@kernel
def describe(buf, chosen, n, start, stop, most, words, masked, masked_end, bounds, bounds_end, out, cuts):
    """Write the masked text, the masked words and the outline of some segments.

    Parameters
    ----------
    buf : uint8[size]
    chosen : int32[>= n]
    n : int64
    start, stop : int32[n_segments]
    most : int64
        So many bytes of a segment are looked at.
    words : uint64[n_slots]
        The vocabulary (`learn_words`).
    masked : uint8[], written
        The segments one after the other, a `MASKED` for each word that holds a digit.
    masked_end, bounds_end : int64[n], written
        Where each one's masked text and masked words end.
    bounds : int32[], written
        Begin and end of each masked word, from the segment's begin.
    out : uint8[n, OUTLINE_BYTES], written
    cuts : int64[n, len(WIDTHS)], written
    """
    at = held = 0
    for k in range(n):
        begin = np.int64(start[chosen[k]])
        end = min(np.int64(stop[chosen[k]]), begin + most)
        i = begin
        while i < end:
            first = i
            has_digit = False
            while i < end and CLASS[buf[i]] != 0:
                if CLASS[buf[i]] == 2:
                    has_digit = True
                i += 1
            if has_digit:
                masked[at] = MASKED
                at += 1
                bounds[held] = first - begin
                bounds[held + 1] = i - begin
                held += 2
            else:
                for j in range(first, i):
                    masked[at] = buf[j]
                    at += 1
                if i < end and first == i:
                    masked[at] = buf[i] if buf[i] != MASKED else np.uint8(63)
                    at += 1
                    i += 1
        masked_end[k] = at
        bounds_end[k] = held
        outline(buf, begin, end, words, WIDTHS.size, out[k], cuts[k])
