"""Numbers with and without a unit, dates and times: where they end, and of which type they are."""

import numpy as np

from l4fast_kernels.jit import kernel
from l4fast_kernels.valuetypes import (
    COLON,
    COMMA,
    DASH,
    DECIMAL,
    DURATION,
    DURATION_UNITS,
    INTEGER,
    PART_UNITS,
    PERCENT,
    PERCENT_UNITS,
    PLUS,
    POINT,
    SIZE,
    SIZE_UNITS,
    SLASH_BYTE,
)


def _packed(units):
    return np.array([int.from_bytes(b"\x01" + unit.encode(), "big") for unit in units], np.uint64)


_PARTS = _packed(PART_UNITS)
_N_PARTS = len(PART_UNITS)
# Parts of a duration first: they alone may be followed by another part.
_UNITS = _packed((*DURATION_UNITS, *SIZE_UNITS, *PERCENT_UNITS))
_UNIT_TYPES = np.repeat(
    np.array([DURATION, SIZE, PERCENT], np.int64),
    [len(DURATION_UNITS), len(SIZE_UNITS), len(PERCENT_UNITS)],
)
_LONGEST_UNIT = 7


@kernel
def digits_end(buf, at, end):
    while at < end and 48 <= buf[at] < 58:
        at += 1
    return at


@kernel
def number_of(buf, at, end):
    """Return the type of a number with or without a unit, or -1."""
    begin = at
    decimal = False
    if buf[at] in (PLUS, DASH):
        at += 1
    first = at
    at = digits_end(buf, at, end)
    whole = at > first
    if at < end and buf[at] == POINT:
        behind = digits_end(buf, at + 1, end)
        if not whole and behind == at + 1:
            return -1
        at = behind
        decimal = True
    elif not whole:
        return -1
    if at < end and buf[at] | 32 == 101:  # e
        p = at + 1
        if p < end and buf[p] in (PLUS, DASH):
            p += 1
        behind = digits_end(buf, p, end)
        if behind > p:
            at = behind
            decimal = True
    if at == end:
        return DECIMAL if decimal else INTEGER
    unit = _packed_unit(buf, at + 1 if buf[at] == 32 else at, end)
    for k in range(_UNITS.size):
        if _UNITS[k] == unit:
            return _UNIT_TYPES[k]
    return DURATION if _has_parts(buf, begin, end) else -1


@kernel
def _packed_unit(buf, at, end):
    """Return ``buf[at:end]`` as a number, as units are held; 0 for what is too long."""
    if end - at > _LONGEST_UNIT:
        return np.uint64(0)
    packed = np.uint64(1)
    for i in range(at, end):
        packed = (packed << np.uint64(8)) | np.uint64(buf[i])
    return packed


@kernel
def _has_parts(buf, at, end):
    """Whether a number and a unit of time stand there again and again, as in `1h2m3.5s`."""
    if buf[at] in (PLUS, DASH):
        at += 1
    while at < end:
        behind = digits_end(buf, at, end)
        if behind == at:
            return False
        if behind < end and buf[behind] == POINT:
            at = behind + 1
            behind = digits_end(buf, at, end)
            if behind == at:
                return False
        at = behind
        while behind < end and not 48 <= buf[behind] < 58:
            behind += 1
        unit = _packed_unit(buf, at, behind)
        known = False
        for k in range(_N_PARTS):
            known |= _PARTS[k] == unit
        if not known:
            return False
        at = behind
    return True


@kernel
def date_end(buf, at, end):
    """Return where a date (and the time behind it) ends, or -1."""
    p, a, n_a = few_digits(buf, at, end)
    if p >= end or n_a == 0:
        return -1
    separator = buf[p]
    q, b, n_b = few_digits(buf, p + 1, end)
    if q >= end or buf[q] != separator or n_b == 0 or n_b > 2:
        return -1
    r, c, n_c = few_digits(buf, q + 1, end)
    if n_a == 4:
        fits = separator in (DASH, SLASH_BYTE, POINT) and n_c in (1, 2)
        fits = fits and 1 <= b <= 12 and 1 <= c <= 31
    else:
        fits = separator == SLASH_BYTE and n_a <= 2 and n_c == 4 and 1 <= a <= 31 and 1 <= b <= 31
    if not fits:
        return -1
    if r < end and buf[r] in (32, 84):  # a blank or T
        return time_end(buf, r + 1, end)
    return r


@kernel
def few_digits(buf, at, end):
    """Return where the digits at ``at`` end, their value if they are few, and how many they are."""
    behind = digits_end(buf, at, end)
    value = 0
    for i in range(at, min(behind, at + 5)):
        value = value * 10 + (np.int64(buf[i]) - 48)
    return behind, value, behind - at


@kernel
def _sixtieths_end(buf, at, end):
    """Return where `:MM` ends, or -1."""
    if at + 3 > end or buf[at] != COLON or not 48 <= buf[at + 1] < 54:
        return -1
    behind = digits_end(buf, at + 1, end)
    return behind if behind == at + 3 else -1


@kernel
def time_end(buf, at, end):
    """Return where a time ends, or -1."""
    p = digits_end(buf, at, end)
    n_hours = p - at
    p = _sixtieths_end(buf, p, end)
    if p < 0 or n_hours == 0 or n_hours > 3:
        return -1
    if p < end and buf[p] == COLON:
        p = _sixtieths_end(buf, p, end)
        if p < 0:
            return -1
        if p + 1 < end and buf[p] in (POINT, COMMA):
            p = digits_end(buf, p + 1, end)
            if not 48 <= buf[p - 1] < 58:
                return -1
    elif n_hours != 2:
        return -1
    if p < end and buf[p] == 90:  # Z
        return p + 1
    if p < end and buf[p] in (PLUS, DASH):
        behind = digits_end(buf, p + 1, end)
        if behind == p + 3 and behind < end and buf[behind] == COLON:
            behind = digits_end(buf, behind + 1, end)
            return behind if behind == p + 6 else -1
        return behind if behind == p + 5 else -1
    return p
