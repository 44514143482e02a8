"""Bytes of a value -> its type, by its form alone: see `valuetypes`."""

import numpy as np

from l4fast_kernels.jit import kernel
from l4fast_kernels.quantities import date_end, digits_end, few_digits, number_of, time_end
from l4fast_kernels.valuetypes import (
    BLANK,
    BOOLEAN,
    BYTE_KINDS,
    COLON,
    COLONS,
    DASH,
    DATE,
    DECIMAL,
    DIGIT,
    DOT,
    HEX,
    HEXLETTER,
    IN_PATH,
    INTEGER,
    IP,
    MAC,
    NAME,
    NO_HINT,
    PATH,
    PLUS,
    POINT,
    SCHEME,
    SLASH,
    SLASH_BYTE,
    TEXT,
    TIME,
    URL,
    UUID,
    WORD,
)

_TRUE = np.frombuffer(b"true", np.uint8)
_FALSE = np.frombuffer(b"false", np.uint8)


@kernel
def classify(buf, n, begin, end, hint, kind):
    """Write the type of each value.

    Parameters
    ----------
    buf : uint8[size]
    n : int64
    begin, end : int32[n]
    hint : int8[n]
        What the text around a value says: a unit's type makes a number a percentage, a duration or
        a size, and `URL` a word or a path the rest of a URL; or `NO_HINT`.
    kind : int8[n], written
        Index into `TYPES`.
    """
    for i in range(n):
        found = form_of(buf, np.int64(begin[i]), np.int64(end[i]))
        said = hint[i]
        if said != NO_HINT and (found in (WORD, PATH) if said == URL else found in (INTEGER, DECIMAL)):
            found = np.int64(said)
        kind[i] = found


@kernel
def form_of(buf, at, end):
    """Return the type of ``buf[at:end]``."""
    if at == end:
        return TEXT
    if BYTE_KINDS[buf[at]] & DIGIT or buf[at] in (PLUS, DASH, POINT):
        kind = number_of(buf, at, end)
        if kind >= 0:
            return kind
        if date_end(buf, at, end) == end:
            return DATE
        if time_end(buf, at, end) == end:
            return TIME
    every = ~np.uint16(0)
    some = np.uint16(0)
    hex_only = True
    for i in range(at, end):
        k = BYTE_KINDS[buf[i]]
        every &= k
        some |= k
        hex_only &= k & (DIGIT | HEXLETTER) != 0
    if some & BLANK:
        return TEXT
    if hex_only and end - at >= 4 and some & DIGIT and some & HEXLETTER:
        return HEX
    if _is_0x(buf, at, end):
        return HEX
    if _is_truth(buf, at, end):
        return BOOLEAN
    if some & DIGIT and some & (COLONS | DOT) and _is_ip(buf, at, end):
        return IP
    if _is_mac(buf, at, end):
        return MAC
    if _is_uuid(buf, at, end):
        return UUID
    if some & COLONS and _is_url(buf, at, end):
        return URL
    named = every & IN_PATH != 0 and BYTE_KINDS[buf[at]] & (NAME | DOT) != 0
    if named and some & SLASH and some & (DOT | DIGIT):
        return PATH
    return PATH if _is_rooted(buf, at, end) else WORD


# --------------------------------------------------------------------- words of one form


@kernel
def _is_hex_byte(byte):
    return BYTE_KINDS[byte] & (DIGIT | HEXLETTER) != 0


@kernel
def _is_0x(buf, at, end):
    if end - at < 3 or buf[at] != 48 or buf[at + 1] | 32 != 120:
        return False
    fits = True
    for i in range(at + 2, end):
        fits &= _is_hex_byte(buf[i])
    return fits


@kernel
def _says(buf, at, word):
    fits = True
    for i in range(word.size):
        fits &= buf[at + i] | 32 == word[i]
    return fits


@kernel
def _is_truth(buf, at, end):
    if end - at == _TRUE.size:
        return _says(buf, at, _TRUE)
    return end - at == _FALSE.size and _says(buf, at, _FALSE)


@kernel
def _ipv4_end(buf, at, end):
    """Return where four numbers up to 255, with dots between them, end, or -1."""
    for k in range(4):
        behind, value, n = few_digits(buf, at, end)
        if n == 0 or n > 3 or value > 255 or (n > 1 and buf[at] == 48):
            return -1
        at = behind
        if k < 3:
            if at >= end or buf[at] != POINT:
                return -1
            at += 1
    return at


@kernel
def _is_tail(buf, at, end, mark, most):
    """Whether ``mark`` and at most so many digits are all that is left."""
    if at + 2 > end or at + 1 + most < end or buf[at] != mark:
        return False
    return digits_end(buf, at + 1, end) == end


@kernel
def _is_ip(buf, at, end):
    p = _ipv4_end(buf, at + 1 if buf[at] == SLASH_BYTE else at, end)
    if p >= 0:
        return p == end or _is_tail(buf, p, end, COLON, 5) or _is_tail(buf, p, end, SLASH_BYTE, 2)
    if buf[at] != 91:  # [
        return _is_ipv6(buf, at, end)
    p = at
    while p < end and buf[p] != 93:
        p += 1
    if p >= end or not _is_ipv6(buf, at + 1, p):
        return False
    return p + 1 == end or _is_tail(buf, p + 1, end, COLON, 5)


@kernel
def _is_ipv6(buf, at, end):
    """Whether groups of hex digits stand there that make an address, with or without `%zone`."""
    zone = at
    while zone < end and buf[zone] != 37:
        zone += 1
    if zone + 1 == end:
        return False
    for i in range(zone + 1, end):
        if not BYTE_KINDS[buf[i]] & (DIGIT | NAME | DOT):
            return False
    end = zone
    groups = 0
    short = has_digit = False
    if at + 1 < end and buf[at] == COLON and buf[at + 1] == COLON:
        short = True
        at += 2
    while at < end:
        p = at
        while p < end and _is_hex_byte(buf[p]):
            has_digit |= buf[p] < 58
            p += 1
        if p < end and buf[p] == POINT:
            if _ipv4_end(buf, at, end) != end:
                return False
            groups += 2
            break
        if p == at or p - at > 4:
            return False
        groups += 1
        at = p
        if at == end:
            break
        if buf[at] != COLON or at + 1 == end:
            return False
        at += 1
        if buf[at] == COLON:
            if short:
                return False
            short = True
            at += 1
    return has_digit and (groups <= 7 if short else groups == 8)


@kernel
def _is_mac(buf, at, end):
    if end - at != 17 or buf[at + 2] not in (COLON, DASH):
        return False
    fits = True
    for i in range(17):
        fits &= buf[at + i] == buf[at + 2] if i % 3 == 2 else _is_hex_byte(buf[at + i])
    return fits


@kernel
def _is_uuid(buf, at, end):
    if end - at != 36:
        return False
    fits = True
    for i in range(36):
        fits &= buf[at + i] == DASH if i in (8, 13, 18, 23) else _is_hex_byte(buf[at + i])
    return fits


@kernel
def _is_letter(byte):
    return 97 <= byte | 32 < 123


@kernel
def _is_url(buf, at, end):
    if not _is_letter(buf[at]):
        return False
    while at < end and BYTE_KINDS[buf[at]] & SCHEME:
        at += 1
    return at + 3 < end and buf[at] == COLON and buf[at + 1] == SLASH_BYTE and buf[at + 2] == SLASH_BYTE


@kernel
def _is_rooted(buf, at, end):
    if buf[at] == SLASH_BYTE:
        return True
    if end - at < 2:
        return False
    if buf[at] == 126:  # ~
        return buf[at + 1] == SLASH_BYTE
    return end - at > 2 and _is_letter(buf[at]) and buf[at + 1] == COLON and buf[at + 2] in (SLASH_BYTE, 92)
