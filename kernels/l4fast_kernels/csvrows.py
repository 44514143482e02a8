"""Lines -> rows of a CSV file: number, fields, and what their template says.

A row is written as Python's csv module writes it (quotes only where they are needed, doubled
inside), and is valid UTF-8 whatever the line is: broken bytes become U+FFFD, as Python's decoder
with errors="replace" has it.
"""

import numpy as np

from l4fast_kernels.fields import find_words
from l4fast_kernels.jit import inline, kernel
from l4fast_kernels.places import ABSENT, edge

QUOTE, APOSTROPHE, COMMA, BACKSLASH, NEWLINE = 34, 39, 44, 92, 10

# What a byte asks for: 1 quotes around the field, 2 a look at the bytes behind it, 4 an escape in a
# list of strings.
ASKS = np.zeros(256, np.uint8)
ASKS[:32] = ASKS[127] = 4
ASKS[13] = ASKS[NEWLINE] = 1 | 4
ASKS[COMMA] = 1
ASKS[QUOTE] = 1 | 2 | 4
ASKS[APOSTROPHE] = ASKS[BACKSLASH] = 4
ASKS[128:] = 2

HEX = np.frombuffer(b"0123456789abcdef", np.uint8)

# A byte of a field takes three at most (U+FFFD), in a list of strings four more (`\x1b`); what
# stands around a field or a list's string, and the number of the row, take the rest.
BYTES_PER_BYTE = 7
BYTES_PER_PIECE = 6
BYTES_PER_ROW = 32

# Columns of `state`.
S_SEGMENT, S_ROW, S_USED = 0, 1, 2


@inline
def utf8_length(buf, at, end):
    """Return the length of the character that begins at ``at``, or minus that of the broken start of one."""
    lead = buf[at]
    low, high = 128, 191
    if lead < 128:
        return 1
    if 194 <= lead < 224:
        more = 1
    elif 224 <= lead < 240:
        more = 2
        if lead == 224:
            low = 160
        elif lead == 237:
            high = 159
    elif 240 <= lead < 245:
        more = 3
        if lead == 240:
            low = 144
        elif lead == 244:
            high = 143
    else:
        return -1
    for k in range(1, more + 1):
        if at + k >= end or buf[at + k] < low or buf[at + k] > high:
            return -k
        low, high = 128, 191
    return more + 1


@inline
def put_character(buf, at, end, out, used):
    """Copy the character at ``at``, or U+FFFD for a broken one; return both positions behind it."""
    length = utf8_length(buf, at, end)
    if length < 0:
        out[used] = 239
        out[used + 1] = 191
        out[used + 2] = 189
        return at - length, used + 3
    for k in range(length):
        out[used + k] = buf[at + k]
    return at + length, used + length


@inline
def put_field(buf, begin, end, out, used):
    """Write ``buf[begin:end]`` as a field of a CSV file."""
    asks = 0
    for i in range(begin, end):
        asks |= ASKS[buf[i]]
    if asks & 3 == 0:
        for i in range(begin, end):
            out[used + i - begin] = buf[i]
        return used + end - begin
    if asks & 1:
        out[used] = QUOTE
        used += 1
    i = begin
    while i < end:
        if buf[i] == QUOTE:
            out[used] = QUOTE
            used += 1
        i, used = put_character(buf, i, end, out, used)
    if asks & 1:
        out[used] = QUOTE
        used += 1
    return used


@inline
def _put_quote(quote, out, used):
    """Write a quote of a string in a list; the list is itself inside the quotes of a CSV field."""
    out[used] = quote
    if quote == QUOTE:
        out[used + 1] = QUOTE
        return used + 2
    return used + 1


@inline
def put_string(buf, begin, end, out, used):
    """Write ``buf[begin:end]`` as Python writes a string in a list."""
    has_apostrophe = False
    has_quote = False
    for i in range(begin, end):
        has_apostrophe |= buf[i] == APOSTROPHE
        has_quote |= buf[i] == QUOTE
    quote = QUOTE if has_apostrophe and not has_quote else APOSTROPHE
    used = _put_quote(quote, out, used)
    i = begin
    while i < end:
        c = buf[i]
        if ASKS[c] & 4 == 0:
            i, used = put_character(buf, i, end, out, used)
            continue
        if c in (BACKSLASH, quote):
            out[used] = BACKSLASH
            out[used + 1] = c
            used += 2
        elif c == QUOTE:
            used = _put_quote(QUOTE, out, used)
        elif c == APOSTROPHE:
            out[used] = c
            used += 1
        else:
            out[used] = BACKSLASH
            out[used + 1] = 120  # x
            out[used + 2] = HEX[c >> 4]
            out[used + 3] = HEX[c & 15]
            used += 4
        i += 1
    return _put_quote(quote, out, used)


@inline
def put_number(value, out, used):
    n = 1
    power = 10
    while value >= power:
        power *= 10
        n += 1
    for k in range(n):
        out[used + n - 1 - k] = 48 + value % 10
        value //= 10
    return used + n


@kernel
def write_rows(
    buf,
    n,
    start,
    stop,
    code,
    n_words,
    fields,
    first_param,
    params,
    with_params,
    template,
    first_tail,
    tails,
    edges,
    state,
    out,
):
    """Write a row for each segment whose raw shape has a template, as far as ``out`` has room.

    Parameters
    ----------
    buf : uint8[size]
    n : int64
    start, stop, code : int32[n]
    n_words : int32[n_codes]
        How many masked words the places of a raw shape refer to.
    fields : int32[n_codes, 6 * n_fields]
        Begin and end of each field, each as (word, edge, delta). Fields come in the order
        of the line and do not overlap, nor do parameters.
    first_param : int64[n_codes + 1]
        The parameters of raw shape ``c`` are ``params[first_param[c]:first_param[c + 1]]``.
    params : int32[n_params, 6]
    with_params : bool
        Whether a row ends with the list of its parameters.
    template : int32[n_codes]
        -1 for a raw shape that is left out.
    first_tail : int64[n_templates + 1]
    tails : uint8[n_tail_bytes]
        What follows the fields of a row, as it is to be written.
    edges : int64[2 * max(n_words)], scratch
    state : int64[3], read and written
        The next segment, rows written so far (by all calls), bytes of ``out`` that are used.
    out : uint8[n_out], written
    """
    row = state[S_ROW]
    used = state[S_USED]
    i = state[S_SEGMENT]
    n_fields = fields.shape[1] // 6
    while i < n:
        c = code[i]
        t = template[c]
        if t < 0:
            i += 1
            continue
        begin = np.int64(start[i])
        end = np.int64(stop[i])
        tail_begin = first_tail[t]
        tail_end = first_tail[t + 1]
        n_params = first_param[c + 1] - first_param[c]
        need = (
            BYTES_PER_BYTE * (end - begin)
            + BYTES_PER_PIECE * (n_fields + n_params)
            + BYTES_PER_ROW
            + tail_end
            - tail_begin
        )
        if used + need > out.size:
            break
        find_words(buf, begin, end, n_words[c], edges)
        row += 1
        used = put_number(row, out, used)
        plan = fields[c]
        last = begin
        for f in range(n_fields):
            out[used] = COMMA
            used += 1
            if plan[6 * f] != ABSENT:
                first = edge(plan, 6 * f, begin, end, edges, last)
                last = edge(plan, 6 * f + 3, begin, end, edges, first)
                used = put_field(buf, first, last, out, used)
        for k in range(tail_begin, tail_end):
            out[used + k - tail_begin] = tails[k]
        used += tail_end - tail_begin
        if with_params:
            out[used] = COMMA
            used += 1
            used = _put_list(buf, begin, end, first_param[c], first_param[c + 1], params, edges, out, used)
        out[used] = NEWLINE
        used += 1
        i += 1
    state[S_SEGMENT] = i
    state[S_ROW] = row
    state[S_USED] = used


@inline
def _put_list(buf, begin, end, first, last, params, edges, out, used):
    if last > first:
        out[used] = QUOTE
        used += 1
    out[used] = 91  # [
    used += 1
    stop = begin
    for k in range(first, last):
        if k > first:
            out[used] = COMMA
            out[used + 1] = 32
            used += 2
        at = edge(params[k], 0, begin, end, edges, stop)
        stop = edge(params[k], 3, begin, end, edges, at)
        used = put_string(buf, at, stop, out, used)
    out[used] = 93  # ]
    used += 1
    if last > first:
        out[used] = QUOTE
        used += 1
    return used
