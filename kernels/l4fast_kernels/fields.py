"""Line -> time, level and speaker, by the positions that were decided once per shape.

A position is told by masked words, which every line of a shape has in the same number and
order: ``(word, edge, delta)`` is ``delta`` bytes after the start (edge 0) or the end (edge 1)
of the word-th masked word; word -1 is the line itself. One walk over a line finds the edges
of its first words; every field is then an addition.
"""

import numpy as np

from l4fast_kernels.blocks import eight_bytes
from l4fast_kernels.jit import inline, kernel
from l4fast_kernels.shapes import CLASS, first_bytes, next_word, run_hash, whole_words

MAX_WORDS = 64  # a field behind more masked words than this is not read
NO_TIME = np.int64(-(2**63))

ISO, US, GLOG, SYSLOG, CTIME, EPOCH = 1, 2, 3, 4, 5, 6
FORMS = 7

# Columns of a plan: the last word that is needed; time (format, word, edge, delta);
# level (0 unknown, 1..5 told by the shape, -1 the first letter at the time's position);
# number of labels; then per label begin (word, edge, delta) and end (word, edge, delta).
P_WORDS, P_TIME, P_LEVEL, P_LABELS, P_PASSING, P_FIRST = 0, 1, 5, 6, 7, 8
LABEL_WIDTH = 6
MAX_LABELS = 6
# Which labels tell a speaker; a process id or an address passes, a rank or a host lasts.
ALL_LABELS, LASTING_LABELS, NO_LABELS = 0, 1, 2
PLAN_WIDTH = P_FIRST + LABEL_WIDTH * MAX_LABELS
# Columns of a spot, what a plan comes to in the lines of one layout: whether it is known; then, in
# bytes from the line's begin, the time, and begin and end of each label. A row fills a cache line.
S_KNOWN, S_TIME, S_FIRST = 0, 1, 2
SPOT_WIDTH = 16

_ZERO = np.uint64(0)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_K2 = np.uint64(0xC2B2AE3D27D4EB4F)
_S8 = np.uint64(8)
_S29 = np.uint64(29)
_TEN = np.uint64(10)
_ASCII_ZERO = np.uint64(0x30)
_CLOCK = np.uint64(0x30303A30303A3030)  # "00:00:00"
_TO_HIGH_BIT = np.uint64(0x76767F76767F7676)
_HIGH_BITS = np.uint64(0x8080808080808080)
_DAY = np.int64(86_400_000_000)


@inline
def find_words(buf, begin, end, n_words, edges):
    """Write start and end of the first ``n_words`` masked words; return how many there are."""
    found = 0
    at = begin
    while at < end and found < n_words:
        n, masked = whole_words(buf, at, end)
        while masked != _ZERO and found < n_words:
            first, last, masked = next_word(masked, n)
            edges[2 * found] = at + first
            edges[2 * found + 1] = at + last
            found += 1
        at += n
    return found


@inline
def place(begin, edges, word, edge, delta):
    if word < 0:
        return begin + delta
    return edges[2 * word + edge] + delta


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
    """Return the day number of month and day in the latest year that is not after ``reference``.

    The reference is the latest date that the job tells in full (or its file's own date), so
    later than 60 days behind it means the year before.
    """
    year = 1970 + np.int64((reference + 60.5) // 365.2425)
    days = days_from_civil(year + 1, month, day)
    while days > reference + 60:
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
    """Return month and day (month 0 if there is none) of glog or syslog, and where the day ended."""
    if form == GLOG:
        if at < end and CLASS[buf[at]] == 1:
            at += 1
        value, n = _digits(buf, at, end, 4)
        month = value // 100 if n >= 3 else np.int64(0)
        day = value % 100
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
def _letter_level(byte):
    """glog's and NeMo's level letter -> 1 debug 2 info 3 warning 4 error 5 critical."""
    if byte == 73:
        return 2
    if byte == 87:
        return 3
    if byte == 69:
        return 4
    if byte == 70 or byte == 67:
        return 5
    if byte == 68 or byte == 86:
        return 1
    return 0


@inline
def _locate(buf, begin, end, plans, c, edges, spots, row):
    """Write where time and labels of a segment of raw shape ``c`` stand to a row of spots."""
    find_words(buf, begin, end, plans[c, P_WORDS], edges)
    at = place(begin, edges, plans[c, P_TIME + 1], plans[c, P_TIME + 2], plans[c, P_TIME + 3])
    spots[row, S_TIME] = at - begin
    for k in range(plans[c, P_LABELS]):
        p = P_FIRST + LABEL_WIDTH * k
        first = place(begin, edges, plans[c, p], plans[c, p + 1], plans[c, p + 2])
        last = min(place(begin, edges, plans[c, p + 3], plans[c, p + 4], plans[c, p + 5]), end)
        spots[row, S_FIRST + 2 * k] = first - begin
        spots[row, S_FIRST + 2 * k + 1] = max(first, last) - begin
    spots[row, S_KNOWN] = 1


@kernel
def read_headers(
    buf, n, start, stop, line, code, layout, plans, spots, salt, told, reference, time, zoned, level, speaker
):
    """Read time, level and a hash of the speaker's labels of each segment.

    Parameters
    ----------
    buf : uint8[size]
    n : int64
    start, stop, line, code, layout : int32[n]
    plans : int16[n_codes, PLAN_WIDTH]
    spots : int32[LAYOUT_SLOTS + 1, SPOT_WIDTH], read and written
        Where time and labels stand in the lines of a layout: found once. The last row is scratch.
    salt : uint64
        Stands for the stream, so that speakers of two files differ.
    told : int64
        Which labels tell a speaker: `ALL_LABELS`, `LASTING_LABELS` or `NO_LABELS`.
    reference : int64
        The day number that a date without a year lies near to.
    time : int64[n], written
        Microseconds since 1970, `NO_TIME` where there is none.
    zoned : uint8[n], written
    level : int8[n], written
    speaker : uint64[n], written
    """
    edges = np.empty(2 * MAX_WORDS, np.int64)
    dates = np.zeros((FORMS, 6), np.uint64)
    scratch = spots.shape[0] - 1
    for i in range(n):
        # Not `plan = plans[c]`: a view of its own costs two counts of references, 10 ns a line.
        c = code[i]
        begin = np.int64(start[i])
        end = np.int64(stop[i])
        h = salt
        when = NO_TIME
        has_zone = False
        rank = max(plans[c, P_LEVEL], 0)
        n_labels = plans[c, P_LABELS]
        if plans[c, P_TIME] != 0 or n_labels > 0:
            row = np.int64(layout[i])
            if row < 0:
                row = scratch
            if row == scratch or spots[row, S_KNOWN] == 0:
                _locate(buf, begin, end, plans, c, edges, spots, row)
            if plans[c, P_TIME] != 0:
                at = begin + spots[row, S_TIME]
                when, has_zone = parse_time(buf, at, end, plans[c, P_TIME], reference, dates)
                if plans[c, P_LEVEL] < 0:
                    rank = _letter_level(buf[at])
            for k in range(n_labels):
                if told != ALL_LABELS and (told == NO_LABELS or (plans[c, P_PASSING] >> k) & 1):
                    continue
                first = begin + spots[row, S_FIRST + 2 * k]
                last = begin + spots[row, S_FIRST + 2 * k + 1]
                h = (h ^ run_hash(buf, first, last, salt)) * _K2
                h ^= h >> _S29
            if n_labels > 0 and told == ALL_LABELS:
                # The same label words behind another prefix are another speaker.
                h = (h ^ np.uint64(n_labels + 1)) * _K2
                h ^= h >> _S29
        h = h if h != _ZERO else np.uint64(1)
        if i > 0 and line[i] == line[i - 1]:
            # A prefix is written once a line, before its first progress bar.
            if n_labels == 0:
                h = speaker[i - 1]
            if when == NO_TIME:
                when = time[i - 1]
        time[i] = when
        zoned[i] = has_zone
        level[i] = rank
        speaker[i] = h


@kernel
def read_numbers(buf, rows, start, stop, code, places, value):
    """Read one number of each chosen segment.

    Parameters
    ----------
    buf : uint8[size]
    rows : int64[n]
    start, stop, code : int32[n_segments]
    places : int16[n_codes, 3]
        Word, edge and delta of the number's first character (a sign may stand there).
    value : float64[n], written
        NaN where no number stands there.
    """
    edges = np.empty(2 * MAX_WORDS, np.int64)
    for r in range(rows.size):
        i = rows[r]
        where = places[code[i]]
        begin = np.int64(start[i])
        end = np.int64(stop[i])
        value[r] = np.nan
        word = where[0]
        if word >= MAX_WORDS:
            continue
        if find_words(buf, begin, end, word + 1, edges) < word + 1:
            continue
        value[r] = parse_number(buf, place(begin, edges, word, where[1], where[2]), end)


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


@kernel
def word_bounds(buf, n, start, stop, first, begin, end):
    """Write the bounds of all masked words of each segment.

    Parameters
    ----------
    buf : uint8[size]
    n : int64
    start, stop : int32[n]
    first : int32[n + 1], written
        Segment ``i`` has the words ``first[i]`` to ``first[i + 1] - 1``.
    begin, end : int32[>= (total bytes + n) / 2], written

    Returns
    -------
    int64
        How many words there are.
    """
    found = 0
    for k in range(n):
        first[k] = found
        i = np.int64(start[k])
        last = np.int64(stop[k])
        # From digit to digit, and back to where its word begins: five times faster than from
        # word to word, whose ends a processor cannot foresee.
        while i < last:
            if not 48 <= buf[i] < 58:
                i += 1
                continue
            word_begin = i
            while word_begin > start[k] and CLASS[buf[word_begin - 1]] != 0:
                word_begin -= 1
            while i < last and CLASS[buf[i]] != 0:
                i += 1
            begin[found] = word_begin
            end[found] = i
            found += 1
    first[n] = found
    return found


@kernel
def find_places(buf, rows, start, stop, code, places, found):
    """Find one position in each chosen segment.

    Parameters
    ----------
    buf : uint8[size]
    rows : int64[n]
    start, stop, code : int32[n_segments]
    places : int16[n_codes, 3]
        Word, edge and delta.
    found : int64[n], written
        Bytes from the segment's start, or -1 where the segment has too few masked words.
    """
    edges = np.empty(2 * MAX_WORDS, np.int64)
    for r in range(rows.size):
        i = rows[r]
        where = places[code[i]]
        begin = np.int64(start[i])
        end = np.int64(stop[i])
        word = where[0]
        found[r] = -1
        if word < 0:
            found[r] = where[2]
        elif word < MAX_WORDS and find_words(buf, begin, end, word + 1, edges) == word + 1:
            found[r] = place(begin, edges, word, where[1], where[2]) - begin
