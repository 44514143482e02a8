"""The bytes of a time or a number -> its value.

The form of a time is decided once per shape; what stands in a line may still be none.
"""

import numpy as np

from l4fast_kernels.blocks import eight_bytes
from l4fast_kernels.colours import ESCAPE
from l4fast_kernels.hashes import first_bytes
from l4fast_kernels.jit import inline
from l4fast_kernels.outlines import CLASS

NO_TIME = np.int64(-(2**63))

ISO, US, GLOG, SYSLOG, CTIME, EPOCH, DASHED = 1, 2, 3, 4, 5, 6, 7
FORMS = 8
YEARLESS = (GLOG, SYSLOG, DASHED)
DAYS_AFTER = 60  # so far behind the reference day, a date without a year is of the year before

_ZERO = np.uint64(0)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_S8 = np.uint64(8)
_TEN = np.uint64(10)
_ASCII_ZERO = np.uint64(0x30)
_CLOCK = np.uint64(0x30303A30303A3030)  # "00:00:00"
_TO_HIGH_BIT = np.uint64(0x76767F76767F7676)
_HIGH_BITS = np.uint64(0x8080808080808080)
_DAY = np.int64(86_400_000_000)


@inline
def _digits(buf, at, end, most):
    """Return the value and the number of the digits at ``at``, at most ``most``."""
    value = np.int64(0)
    n = 0
    while at + n < end and n < most and CLASS[buf[at + n]] == 2:
        value = value * 10 + np.int64(buf[at + n] - 48)
        n += 1
    return value, n


@inline
def _micros(buf, at, end):
    """Return the microseconds of a fraction's digits at ``at``, and how many digits there are."""
    micros, n = _digits(buf, at, end, 6)
    for _ in range(n, 6):
        micros *= 10
    while at + n < end and CLASS[buf[at + n]] == 2:
        n += 1
    return micros, n


@inline
def days_from_civil(year, month, day):
    """Days since 1970-01-01 (Hinnant, chrono-compatible low-level date algorithms)."""
    if month <= 2:
        year -= 1
    era = year // 400
    yoe = year - era * 400
    doy = (153 * (month + (9 if month <= 2 else -3)) + 2) // 5 + day - 1
    doe = yoe * 365 + yoe // 4 - yoe // 100 + doy
    return era * 146097 + doe - 719468


@inline
def _clock(buf, at, end):
    """Read ``H:MM:SS[.,fraction]``; return microseconds of the day and where it ended, or -1."""
    if at + 7 > end:
        return np.int64(-1), at
    eight = eight_bytes(buf, at)
    if buf[at + 1] == 58:  # one digit: as if a zero stood before it
        eight = (eight << _S8) | _ASCII_ZERO
        at -= 1
    elif at + 8 > end:
        return np.int64(-1), at
    # All six digits and two colons at once, the first byte lowest: what is left of a digit is 0 to
    # 9, of a colon 0; a byte that is larger reaches its highest bit.
    digits = eight ^ _CLOCK
    if (digits | (digits + _TO_HIGH_BIT)) & _HIGH_BITS != _ZERO:
        return np.int64(-1), at
    pairs = np.int64(digits * _TEN + (digits >> _S8))
    hour, minute, second = pairs & 255, (pairs >> 24) & 255, (pairs >> 48) & 255
    if hour > 24 or minute > 59 or second > 60:
        return np.int64(-1), at
    at += 8
    micros = np.int64(0)
    if at + 1 < end and (buf[at] == 46 or buf[at] == 44) and CLASS[buf[at + 1]] == 2:
        micros, n = _micros(buf, at + 1, end)
        at += n + 1
        # Ascend writes milliseconds and microseconds apart: `.074.123`.
        if at + 3 < end and buf[at] == 46 and micros % 1000 == 0 and CLASS[buf[at + 1]] == 2:
            extra, n = _digits(buf, at + 1, end, 3)
            if n == 3:
                micros += extra
                at += 4
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros, at


@inline
def _near_year(month, day, reference):
    """Return the day number of month and day, in the latest year that is not long after ``reference``.

    The reference is the latest date that the job tells in full, so later than `DAYS_AFTER` days behind it
    means the year before.
    """
    year = 1970 + np.int64((reference + DAYS_AFTER + 0.5) // 365.2425)
    days = days_from_civil(year + 1, month, day)
    while days > reference + DAYS_AFTER:
        year -= 1
        days = days_from_civil(year + 1, month, day)
    return days


@inline
def _month(buf, at):
    """Return 1..12 for `Jan` .. `Dec` at ``at``, else 0."""
    a, b, c = buf[at] | 32, buf[at + 1] | 32, buf[at + 2] | 32
    if a == 106:  # jan jun jul
        if b == 97:
            return 1
        return 6 if c == 110 else 7
    if a == 102:
        return 2
    if a == 109:
        return 3 if c == 114 else 5
    if a == 97:
        return 4 if b == 112 else 8
    if a == 115:
        return 9
    if a == 111:
        return 10
    if a == 110:
        return 11
    if a == 100:
        return 12
    return 0


@inline
def _zone(buf, at, end):
    """Return the offset in microseconds of `Z` or `+hh:mm` at ``at``, and whether it is there."""
    if at < end and buf[at] == 90:
        return np.int64(0), True
    if at + 2 < end and (buf[at] == 43 or buf[at] == 45):
        hour, n = _digits(buf, at + 1, end, 2)
        if n == 2:
            skip = 1 if at + 3 < end and buf[at + 3] == 58 else 0
            minute, m = _digits(buf, at + 3 + skip, end, 2)
            if m == 2:
                offset = (hour * 60 + minute) * 60_000_000
                return (offset if buf[at] == 43 else -offset), True
    return np.int64(0), False


@inline
def _epoch(buf, at, end):
    whole, n = _digits(buf, at, end, 19)
    if n < 9:
        return NO_TIME, False
    if n >= 18:
        return whole // 1000, True
    if n >= 15:
        return whole, True
    if n >= 12:
        return whole * 1000, True
    micros = np.int64(0)
    if at + n < end and buf[at + n] == 46:
        micros, n = _micros(buf, at + n + 1, end)
    return whole * 1_000_000 + micros, True


@inline
def _full_date(buf, at, end):
    """Return the day number of three numbers with a byte between each two, and where the last ended."""
    a, n_a = _digits(buf, at, end, 4)
    at += n_a + 1
    b, n_b = _digits(buf, at, end, 2)
    at += n_b + 1
    c, n_c = _digits(buf, at, end, 4)
    at += n_c
    if n_a == 4:
        year, month, day = a, b, c
    else:
        year, month, day = c, a, b
        if n_c == 2:
            year += 2000
        if month > 12:  # day first
            month, day = day, month
    if n_a == 0 or n_b == 0 or n_c == 0 or month < 1 or month > 12 or day < 1 or day > 31:
        return NO_TIME, at
    return days_from_civil(year, month, day), at


@inline
def _month_and_day(buf, at, end, form):
    """Return month and day (month 0 if there is none) of a form without a year, and where the day ended."""
    if form == GLOG:
        if at < end and CLASS[buf[at]] == 1:
            at += 1
        value, n = _digits(buf, at, end, 4)
        month = value // 100 if n >= 3 else np.int64(0)
        day = value % 100
    elif form == DASHED:
        month, n = _digits(buf, at, end, 2)
        at += n + 1
        if n != 2 or at > end or buf[at - 1] != 45:
            month = np.int64(0)
        day, n = _digits(buf, at, end, 2)
    else:
        if at + 4 >= end:
            return np.int64(0), np.int64(0), at
        month = np.int64(_month(buf, at))
        at += 3
        while at < end and buf[at] == 32:
            at += 1
        day, n = _digits(buf, at, end, 2)
    if month > 12 or day < 1 or day > 31:
        month = np.int64(0)
    return month, day, at + n


@inline
def _behind_colours(buf, at, end):
    """Return what comes behind the blanks and hushed colour codes at ``at``."""
    while at < end and (buf[at] == 32 or buf[at] == ESCAPE):
        if buf[at] == ESCAPE:
            at += 2  # its bracket too
            while at < end and (16 <= buf[at] < 26 or 58 <= buf[at] < 64):
                at += 1
        at += 1
    return at


@inline
def parse_time(buf, at, end, form, reference, dates):
    """Return microseconds since 1970 (NO_TIME if it is none) and whether its zone is told.

    ``dates`` (uint64[FORMS, 6], zeros at first) holds the last date of each form: its bytes (16),
    how many they are, its day number, a mask for its bytes. Most lines are of the day of the line
    before.
    """
    if form == EPOCH:
        return _epoch(buf, at, end)
    begin = at
    month = day = np.int64(0)
    known = np.int64(dates[form, 2])
    if (
        known > 0
        and at + known < end
        and CLASS[buf[at + known]] != 2
        and eight_bytes(buf, at) & dates[form, 4] == dates[form, 0]
        and eight_bytes(buf, at + 8) & dates[form, 5] == dates[form, 1]
    ):
        days = np.int64(dates[form, 3])
        length = known
        at += known
    else:
        if form in (ISO, US):
            days, at = _full_date(buf, at, end)
        else:
            month, day, at = _month_and_day(buf, at + 4 if form == CTIME else at, end, form)
            days = _near_year(month, day, reference) if month > 0 else NO_TIME
        if days == NO_TIME:
            return NO_TIME, False
        length = at - begin
        # A year may stand behind a ctime's clock.
        if form != CTIME and length <= 16 and at < end and CLASS[buf[at]] != 2:
            dates[form, 4] = first_bytes(_ALL, min(length, 8))
            dates[form, 5] = first_bytes(_ALL, max(length - 8, 0))
            dates[form, 0] = eight_bytes(buf, begin) & dates[form, 4]
            dates[form, 1] = eight_bytes(buf, begin + 8) & dates[form, 5]
            dates[form, 2] = np.uint64(length)
            dates[form, 3] = np.uint64(days)
    at += 1
    while at < end and buf[at] == 32:
        at += 1
    clock, at = _clock(buf, at, end)
    if clock < 0:
        clock, at = _clock(buf, _behind_colours(buf, begin + length, end), end)
    if clock < 0:
        return NO_TIME, False
    if form in (ISO, US):
        offset, zoned = _zone(buf, at, end)
        return days * _DAY + clock - offset, zoned
    if form == CTIME and at + 4 < end:
        year, n = _digits(buf, at + 1, end, 4)
        if n == 4:
            days = days_from_civil(year, month, day)
    return days * _DAY + clock, False


@inline
def parse_number(buf, at, end):
    """Return the decimal number at ``at`` (sign, thousands commas, fraction, exponent) or NaN."""
    negative = False
    if at < end and (buf[at] == 45 or buf[at] == 43):
        negative = buf[at] == 45
        at += 1
    if at >= end or CLASS[buf[at]] != 2:
        return np.nan
    total = 0.0
    n_digits = 0
    while at < end:
        if CLASS[buf[at]] == 2:
            total = total * 10.0 + (buf[at] - 48)
            n_digits += 1
        elif not (
            buf[at] == 44
            and n_digits <= 3
            and at + 3 < end
            and CLASS[buf[at + 1]] == 2
            and CLASS[buf[at + 2]] == 2
            and CLASS[buf[at + 3]] == 2
            and (at + 4 >= end or CLASS[buf[at + 4]] != 2)
        ):
            break
        else:
            n_digits = 0
        at += 1
    if at + 1 < end and buf[at] == 46 and CLASS[buf[at + 1]] == 2:
        at += 1
        scale = 0.1
        while at < end and CLASS[buf[at]] == 2:
            total += scale * (buf[at] - 48)
            scale *= 0.1
            at += 1
    if at + 1 < end and (buf[at] | 32) == 101:
        sign = 1
        p = at + 1
        if buf[p] == 45 or buf[p] == 43:
            sign = -1 if buf[p] == 45 else 1
            p += 1
        exponent, n = _digits(buf, p, end, 3)
        if n > 0:
            total *= 10.0 ** (sign * exponent)
    return -total if negative else total
