"""Places -> bytes: where what was decided once per raw shape stands in each of its lines.

A place is (word, edge, delta) as in `l4fast_kernels.fields`, and may also be told from the line's
begin or its end; see `l4fast.logformat`, which finds them.
"""

import numpy as np

from l4fast_kernels.fields import find_words
from l4fast_kernels.jit import inline, kernel

# What a place may be relative to, besides a masked word.
LINE, END, ABSENT = -1, -2, -3


@inline
def edge(place, at, begin, end, edges, least):
    """Return where an edge stands in the line ``[begin, end)``; ``place[at:at + 3]`` is (word, edge, delta).

    Always inside the line, at ``least`` or behind it: edges come in order, and where they do not (two
    raw shapes whose hashes agree) a field is wrong, but it takes no more room than it may.
    """
    word = place[at]
    if word == END:
        found = end + place[at + 2]
    elif word == LINE:
        found = begin + place[at + 2]
    else:
        found = edges[2 * word + place[at + 1]] + place[at + 2]
    return min(max(found, least), end)


@kernel
def find_values(
    buf, n, start, stop, code, n_words, first_param, params, hints, edges, first, begin, end, hint
):
    """Write the bounds of the values of each segment; they come in order and do not overlap.

    Parameters
    ----------
    buf : uint8[size]
    n : int64
    start, stop, code : int32[n]
    n_words : int32[n_codes]
        How many masked words the places of a raw shape refer to.
    first_param : int64[n_codes + 1]
        The values of raw shape ``c`` stand at ``params[first_param[c]:first_param[c + 1]]``.
    params : int32[n_params, 6]
        Begin and end of each, each as (word, edge, delta).
    hints : int8[n_params]
    edges : int64[2 * max(n_words)], scratch
    first : int32[n + 1], written
        Segment ``i`` has the values ``first[i]`` to ``first[i + 1] - 1``.
    begin, end : int32[n_values], written
    hint : int8[n_values], written
    """
    found = 0
    for i in range(n):
        first[i] = found
        c = code[i]
        if first_param[c] == first_param[c + 1]:
            continue
        line_begin = np.int64(start[i])
        line_end = np.int64(stop[i])
        find_words(buf, line_begin, line_end, n_words[c], edges)
        last = line_begin
        for p in range(first_param[c], first_param[c + 1]):
            at = edge(params[p], 0, line_begin, line_end, edges, last)
            last = edge(params[p], 3, line_begin, line_end, edges, at)
            begin[found] = at
            end[found] = last
            hint[found] = hints[p]
            found += 1
    first[n] = found
