"""Words that hold a digit and yet are names: `eth0`, `ssh2`, `IPv6`, `r24=`.

Every word with a digit is masked, since most are values. One that is the same in all lines of its
shape, or one of very few, and that looks like a name, is a name. Which words stand at a place of a
shape is a set, so it does not matter in which order lines are read.
"""

import numpy as np

from l4fast_kernels.jit import inline, kernel
from l4fast_kernels.outlines import CLASS

# More different words than this at one place are values.
MOST_NAMES = 3
# Words of a line that are looked at.
MOST_PLACES = 64
KEY_LETTERS = 16

EQUALS = 61
_P = np.uint64(0x9E3779B97F4A7C15)
_S = np.uint64(32)


@inline
def _is_lower(byte):
    return 97 <= byte <= 122


@inline
def _is_letter(byte):
    return 65 <= byte <= 90 or _is_lower(byte) or byte == 95


@inline
def _is_digit(byte):
    return 48 <= byte <= 57


@kernel
def is_name(buf, begin, end, key):
    """Whether the word ``buf[begin:end]`` looks like a name; ``key``: whether `=` follows it.

    A name has two letters or one capital (a key: any letter), one or two digits (one after a single
    capital), then letters and one more digit if need be; and is no hex number.
    """
    at = begin
    while at < end and _is_letter(buf[at]):
        at += 1
    letters = at - begin
    while at < end and _is_digit(buf[at]):
        at += 1
    digits = at - begin - letters
    if letters == 0 or digits == 0 or digits > 2:
        return False
    if key:
        if letters > KEY_LETTERS:
            return False
    elif letters == 1 and (digits > 1 or _is_lower(buf[begin]) or buf[begin] == 95):
        return False
    tail = at
    while at < end and _is_letter(buf[at]):
        at += 1
    if at > tail and at < end and _is_digit(buf[at]):
        at += 1
    if at < end:
        return False
    if end - begin <= 3:
        return True
    lower, upper = True, True
    for i in range(begin, end):
        byte = buf[i]
        lower = lower and (_is_digit(byte) or 97 <= byte <= 102)
        upper = upper and (_is_digit(byte) or 65 <= byte <= 70)
    return not (lower or upper)


@kernel
def collect(buf, n, start, stop, raw, first, count, alive, dead, n_seen, seen, fresh, n_fresh):
    """Note which words stand at the places of each raw shape, as long as all are names and few.

    Parameters
    ----------
    buf : uint8[>= size + 64]
    n : int64
    start, stop, raw : int32[>= n]
    first, count, alive : int32[n_raws], ``alive`` written
        The first place of a raw shape, how many it has, and how many may still hold names.
    dead : uint8[n_places], written
        1 where a word is no name, or names are too many.
    n_seen : int32[n_places], written
    seen : uint64[n_places, MOST_NAMES], written
        Hashes of the names.
    fresh : int32[n_places * MOST_NAMES, 3], written
        Place, begin and end of each name that was not seen before.
    n_fresh : int64[1], written
    """
    n_fresh[0] = 0
    for i in range(n):
        r = raw[i]
        if alive[r] == 0:
            continue
        at = start[i]
        end = stop[i]
        k = 0
        while at < end and k < count[r]:
            if CLASS[buf[at]] == 0:
                at += 1
                continue
            begin = at
            has_digit = False
            word = _P
            while at < end and CLASS[buf[at]] != 0:
                has_digit = has_digit or CLASS[buf[at]] == 2
                word = (word ^ np.uint64(buf[at])) * _P
                word ^= word >> _S
                at += 1
            if not has_digit:
                continue
            place = first[r] + k
            k += 1
            if dead[place]:
                continue
            known = False
            if is_name(buf, begin, at, at < end and buf[at] == EQUALS):
                for j in range(n_seen[place]):
                    known = known or seen[place, j] == word
                if known:
                    continue
                if n_seen[place] < MOST_NAMES:
                    seen[place, n_seen[place]] = word
                    n_seen[place] += 1
                    fresh[n_fresh[0], 0] = place
                    fresh[n_fresh[0], 1] = begin
                    fresh[n_fresh[0], 2] = at
                    n_fresh[0] += 1
                    continue
            dead[place] = 1
            alive[r] -= 1


@kernel
def choose(buf, n, start, stop, raw, word_of, hashes, base, out):
    """Write the wording of each line: that of its raw shape, or of the name at one of its places.

    Parameters
    ----------
    buf, n, start, stop, raw
        As for `collect`.
    word_of : int32[n_raws]
        Which masked word tells; -1 where a raw shape has one wording.
    hashes : uint64[n_raws, MOST_NAMES]
        Hashes of the names that may stand there, 0 behind the last.
    base : int32[n_raws]
        The first wording of a raw shape; that of its j-th name is ``base + j``.
    out : int32[>= n], written
    """
    for i in range(n):
        r = raw[i]
        out[i] = base[r]
        if word_of[r] < 0:
            continue
        at = start[i]
        end = stop[i]
        k = -1
        while at < end:
            if CLASS[buf[at]] == 0:
                at += 1
                continue
            has_digit = False
            word = _P
            while at < end and CLASS[buf[at]] != 0:
                has_digit = has_digit or CLASS[buf[at]] == 2
                word = (word ^ np.uint64(buf[at])) * _P
                word ^= word >> _S
                at += 1
            if has_digit:
                k += 1
                if k == word_of[r]:
                    for j in range(MOST_NAMES):
                        if hashes[r, j] == word:
                            out[i] = base[r] + j
                    break
