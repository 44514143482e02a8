"""Bytes of a value -> its type, by its form alone: the first type that fits, in the order of `TYPES`.

- ``integer``, ``decimal``: with or without a sign; a decimal has a point or an exponent.
- ``percent``, ``duration``, ``size``: a number and its unit, with at most one blank between them
  (`12ms`, `1.5 GiB`, `40%`); a duration may have several parts (`1h2m3.5s`).
- ``date``: year, month and day, or day/month/year, with or without a time behind it.
- ``time``: `10:15`, `1:02:03`, `10:15:30.123`, with or without a zone.
- ``hex``: behind `0x`, or four hex digits or more, among them a digit and a letter.
- ``boolean``: true or false, in any case.
- ``ip``: IPv4 with or without a port or a prefix length, also behind the `/` of Java; IPv6 that
  holds a digit, also in brackets with a port.
- ``mac``, ``uuid``.
- ``url``: a scheme, `://` and more.
- ``path``: from `/`, `~/` or a drive; or what begins like a name, holds a slash, and a dot or a digit.
- ``word``: anything else without blanks. ``text``: anything with them, and nothing at all.
"""

import numpy as np

from l4fast_kernels.jit import kernel

TYPES = (
    "integer", "decimal", "percent", "duration", "size", "date", "time", "hex", "boolean", "ip", "mac",
    "uuid", "url", "path", "word", "text",
)  # fmt: skip
(
    INTEGER, DECIMAL, PERCENT, DURATION, SIZE, DATE, TIME, HEX, BOOLEAN, IP, MAC, UUID, URL, PATH, WORD,
    TEXT,
) = range(16)  # fmt: skip
# What a template's text says of a value is a type too; most say nothing.
NO_HINT = -1

PERCENT_UNITS = ("%",)
PART_UNITS = ("ns", "us", "µs", "μs", "ms", "s", "m", "h", "d")
DURATION_UNITS = (
    *PART_UNITS, "sec", "secs", "second", "seconds", "min", "mins", "minute", "minutes", "hr", "hrs",
    "hour", "hours", "day", "days",
)  # fmt: skip
SIZE_UNITS = (
    "B", "kB", "KB", "MB", "GB", "TB", "PB", "EB", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "byte",
    "bytes", "Byte", "Bytes",
)  # fmt: skip


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

# What a byte is: these bits. Bytes >= 0x80 are parts of names.
_BLANK, _DIGIT, _HEXLETTER, _NAME, _SLASH, _DOT, _IN_PATH, _SCHEME, _COLONS = (1 << k for k in range(9))
_KIND = np.zeros(256, np.uint16)
_KIND[[9, 10, 11, 12, 13, 32]] = _BLANK
_KIND[48:58] |= _DIGIT | _IN_PATH | _SCHEME
_KIND[65:91] |= _NAME | _IN_PATH | _SCHEME
_KIND[97:123] |= _NAME | _IN_PATH | _SCHEME
_KIND[65:71] |= _HEXLETTER
_KIND[97:103] |= _HEXLETTER
_KIND[95] |= _NAME | _IN_PATH
_KIND[128:] |= _NAME | _IN_PATH
_KIND[47] |= _SLASH | _IN_PATH
_KIND[46] |= _DOT | _IN_PATH | _SCHEME
_KIND[[43, 45]] |= _IN_PATH | _SCHEME
_KIND[[64, 126]] |= _IN_PATH
_KIND[58] |= _COLONS

_PLUS, _COMMA, _DASH, _POINT, _SLASH_BYTE, _COLON = 43, 44, 45, 46, 47, 58
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
    if _KIND[buf[at]] & _DIGIT or buf[at] in (_PLUS, _DASH, _POINT):
        kind = _number(buf, at, end)
        if kind >= 0:
            return kind
        if _date_end(buf, at, end) == end:
            return DATE
        if _time_end(buf, at, end) == end:
            return TIME
    every = ~np.uint16(0)
    some = np.uint16(0)
    hex_only = True
    for i in range(at, end):
        k = _KIND[buf[i]]
        every &= k
        some |= k
        hex_only &= k & (_DIGIT | _HEXLETTER) != 0
    if some & _BLANK:
        return TEXT
    if hex_only and end - at >= 4 and some & _DIGIT and some & _HEXLETTER:
        return HEX
    if _is_0x(buf, at, end):
        return HEX
    if _is_truth(buf, at, end):
        return BOOLEAN
    if some & _DIGIT and some & (_COLONS | _DOT) and _is_ip(buf, at, end):
        return IP
    if _is_mac(buf, at, end):
        return MAC
    if _is_uuid(buf, at, end):
        return UUID
    if some & _COLONS and _is_url(buf, at, end):
        return URL
    named = every & _IN_PATH != 0 and _KIND[buf[at]] & (_NAME | _DOT) != 0
    if named and some & _SLASH and some & (_DOT | _DIGIT):
        return PATH
    return PATH if _is_rooted(buf, at, end) else WORD


# ------------------------------------------------------------------ numbers and units


@kernel
def _digits_end(buf, at, end):
    while at < end and 48 <= buf[at] < 58:
        at += 1
    return at


@kernel
def _number(buf, at, end):
    """Return the type of a number with or without a unit, or -1."""
    begin = at
    decimal = False
    if buf[at] in (_PLUS, _DASH):
        at += 1
    first = at
    at = _digits_end(buf, at, end)
    whole = at > first
    if at < end and buf[at] == _POINT:
        behind = _digits_end(buf, at + 1, end)
        if not whole and behind == at + 1:
            return -1
        at = behind
        decimal = True
    elif not whole:
        return -1
    if at < end and buf[at] | 32 == 101:  # e
        p = at + 1
        if p < end and buf[p] in (_PLUS, _DASH):
            p += 1
        behind = _digits_end(buf, p, end)
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
    if buf[at] in (_PLUS, _DASH):
        at += 1
    while at < end:
        behind = _digits_end(buf, at, end)
        if behind == at:
            return False
        if behind < end and buf[behind] == _POINT:
            at = behind + 1
            behind = _digits_end(buf, at, end)
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


# ---------------------------------------------------------------------- dates and times


@kernel
def _date_end(buf, at, end):
    """Return where a date (and the time behind it) ends, or -1."""
    p, a, n_a = _few_digits(buf, at, end)
    if p >= end or n_a == 0:
        return -1
    separator = buf[p]
    q, b, n_b = _few_digits(buf, p + 1, end)
    if q >= end or buf[q] != separator or n_b == 0 or n_b > 2:
        return -1
    r, c, n_c = _few_digits(buf, q + 1, end)
    if n_a == 4:
        fits = separator in (_DASH, _SLASH_BYTE, _POINT) and n_c in (1, 2)
        fits = fits and 1 <= b <= 12 and 1 <= c <= 31
    else:
        fits = separator == _SLASH_BYTE and n_a <= 2 and n_c == 4 and 1 <= a <= 31 and 1 <= b <= 31
    if not fits:
        return -1
    if r < end and buf[r] in (32, 84):  # a blank or T
        return _time_end(buf, r + 1, end)
    return r


@kernel
def _few_digits(buf, at, end):
    """Return where the digits at ``at`` end, their value if they are few, and how many they are."""
    behind = _digits_end(buf, at, end)
    value = 0
    for i in range(at, min(behind, at + 5)):
        value = value * 10 + (np.int64(buf[i]) - 48)
    return behind, value, behind - at


@kernel
def _sixtieths_end(buf, at, end):
    """Return where `:MM` ends, or -1."""
    if at + 3 > end or buf[at] != _COLON or not 48 <= buf[at + 1] < 54:
        return -1
    behind = _digits_end(buf, at + 1, end)
    return behind if behind == at + 3 else -1


@kernel
def _time_end(buf, at, end):
    """Return where a time ends, or -1."""
    p = _digits_end(buf, at, end)
    n_hours = p - at
    p = _sixtieths_end(buf, p, end)
    if p < 0 or n_hours == 0 or n_hours > 3:
        return -1
    if p < end and buf[p] == _COLON:
        p = _sixtieths_end(buf, p, end)
        if p < 0:
            return -1
        if p + 1 < end and buf[p] in (_POINT, _COMMA):
            p = _digits_end(buf, p + 1, end)
            if not 48 <= buf[p - 1] < 58:
                return -1
    elif n_hours != 2:
        return -1
    if p < end and buf[p] == 90:  # Z
        return p + 1
    if p < end and buf[p] in (_PLUS, _DASH):
        behind = _digits_end(buf, p + 1, end)
        if behind == p + 3 and behind < end and buf[behind] == _COLON:
            behind = _digits_end(buf, behind + 1, end)
            return behind if behind == p + 6 else -1
        return behind if behind == p + 5 else -1
    return p


# --------------------------------------------------------------------- words of one form


@kernel
def _is_hex_byte(byte):
    return _KIND[byte] & (_DIGIT | _HEXLETTER) != 0


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
        behind, value, n = _few_digits(buf, at, end)
        if n == 0 or n > 3 or value > 255 or (n > 1 and buf[at] == 48):
            return -1
        at = behind
        if k < 3:
            if at >= end or buf[at] != _POINT:
                return -1
            at += 1
    return at


@kernel
def _is_tail(buf, at, end, mark, most):
    """Whether ``mark`` and at most so many digits are all that is left."""
    if at + 2 > end or at + 1 + most < end or buf[at] != mark:
        return False
    return _digits_end(buf, at + 1, end) == end


@kernel
def _is_ip(buf, at, end):
    p = _ipv4_end(buf, at + 1 if buf[at] == _SLASH_BYTE else at, end)
    if p >= 0:
        return p == end or _is_tail(buf, p, end, _COLON, 5) or _is_tail(buf, p, end, _SLASH_BYTE, 2)
    if buf[at] != 91:  # [
        return _is_ipv6(buf, at, end)
    p = at
    while p < end and buf[p] != 93:
        p += 1
    if p >= end or not _is_ipv6(buf, at + 1, p):
        return False
    return p + 1 == end or _is_tail(buf, p + 1, end, _COLON, 5)


@kernel
def _is_ipv6(buf, at, end):
    """Whether groups of hex digits stand there that make an address, with or without `%zone`."""
    zone = at
    while zone < end and buf[zone] != 37:
        zone += 1
    if zone + 1 == end:
        return False
    for i in range(zone + 1, end):
        if not _KIND[buf[i]] & (_DIGIT | _NAME | _DOT):
            return False
    end = zone
    groups = 0
    short = has_digit = False
    if at + 1 < end and buf[at] == _COLON and buf[at + 1] == _COLON:
        short = True
        at += 2
    while at < end:
        p = at
        while p < end and _is_hex_byte(buf[p]):
            has_digit |= buf[p] < 58
            p += 1
        if p < end and buf[p] == _POINT:
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
        if buf[at] != _COLON or at + 1 == end:
            return False
        at += 1
        if buf[at] == _COLON:
            if short:
                return False
            short = True
            at += 1
    return has_digit and (groups <= 7 if short else groups == 8)


@kernel
def _is_mac(buf, at, end):
    if end - at != 17 or buf[at + 2] not in (_COLON, _DASH):
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
        fits &= buf[at + i] == _DASH if i in (8, 13, 18, 23) else _is_hex_byte(buf[at + i])
    return fits


@kernel
def _is_letter(byte):
    return 97 <= byte | 32 < 123


@kernel
def _is_url(buf, at, end):
    if not _is_letter(buf[at]):
        return False
    while at < end and _KIND[buf[at]] & _SCHEME:
        at += 1
    return at + 3 < end and buf[at] == _COLON and buf[at + 1] == _SLASH_BYTE and buf[at + 2] == _SLASH_BYTE


@kernel
def _is_rooted(buf, at, end):
    if buf[at] == _SLASH_BYTE:
        return True
    if end - at < 2:
        return False
    if buf[at] == 126:  # ~
        return buf[at + 1] == _SLASH_BYTE
    return end - at > 2 and _is_letter(buf[at]) and buf[at + 1] == _COLON and buf[at + 2] in (_SLASH_BYTE, 92)
