"""Line -> time, level and speaker, by the positions that were decided once per shape.

A position is told by masked words, which every line of a shape has in the same number and
order: ``(word, edge, delta)`` is ``delta`` bytes after the start (edge 0) or the end (edge 1)
of the word-th masked word; word -1 is the line itself. One walk over a line finds the edges
of its first words; every field is then an addition.
"""

import numpy as np

from l4fast_kernels.hashes import next_word, run_hash, whole_words
from l4fast_kernels.jit import inline, kernel
from l4fast_kernels.outlines import CLASS
from l4fast_kernels.times import FORMS, NO_TIME, parse_number, parse_time

MAX_WORDS = 64  # a field behind more masked words than this is not read

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
_K2 = np.uint64(0xC2B2AE3D27D4EB4F)
_S29 = np.uint64(29)


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
        NaN where no number stands there. A number of thousands (``2.50k``), millions (``M``) or
        billions (``G``) is rounded to a whole one.
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
        at = place(begin, edges, word, where[1], where[2])
        number = parse_number(buf, at, end)
        times = _times(buf, at, end)
        # 2.01 * 1000 lies below 2010.
        value[r] = np.floor(number * times + 0.5) if times > 1.0 else number


@kernel
def _times(buf, at, end):
    """Return what a suffix multiplies the number at ``at`` by: ``2.50k``, ``12.3kit``, ``262M``; else 1."""
    while at < end and (CLASS[buf[at]] == 2 or 43 <= buf[at] <= 46):
        at += 1
    if at >= end:
        return 1.0
    letter = buf[at]
    times = 1e3 if letter | 32 == 107 else 1e6 if letter == 77 else 1e9 if letter == 71 else 1.0
    at += 1
    if at + 1 < end and buf[at] == 105 and buf[at + 1] == 116:
        at += 2
    return times if at >= end or CLASS[buf[at]] == 0 else 1.0


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
