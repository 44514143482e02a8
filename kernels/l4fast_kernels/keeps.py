"""Columns -> rows that are kept one by one, some with their text."""

import numpy as np

from l4fast_kernels.fields import MAX_WORDS, find_words, place
from l4fast_kernels.jit import inline, kernel

# Columns of ``ints`` and ``longs`` of a table of rows.
SHAPE, RAW, SPEAKER, STREAM, SIZE, CONTENT, LEVEL, OWN_TIME, BEGIN = range(9)
LINE, OFFSET, TIME, TEXT = range(4)
INTS, LONGS = 9, 4


@inline
def _content(buf, begin, end, places, c, edges):
    """Return how many bytes of a segment stand before its content, -1 where that cannot be told."""
    word = places[c, 0]
    if word < 0:
        return np.int64(places[c, 2])
    if word < MAX_WORDS and find_words(buf, begin, end, word + 1, edges) == word + 1:
        return place(begin, edges, word, places[c, 1], places[c, 2]) - begin
    return np.int64(-1)


@kernel
def keep_rows(
    n,
    at,
    stream,
    buf,
    start,
    stop,
    origin,
    raw,
    shape,
    speaker,
    line,
    offset,
    time,
    own_time,
    no_time,
    level,
    skip,
    caps,
    taken,
    text_caps,
    texts_taken,
    places,
    text_bytes,
    state,
    ints,
    longs,
    texts,
):
    """Keep the first ``caps[shape]`` lines of each shape as rows, the first ``text_caps`` with their text.

    Parameters
    ----------
    n, at, stream : int64
        Segments; where to begin; the stream they are of.
    buf : uint8[size]
    start, stop, origin, raw, shape, speaker : int32[n]
    line, offset, time, own_time : int64[n]
        ``own_time`` is ``no_time`` where the line has no time of its own.
    level : int8[n]
    skip : uint8[n]
        Segments that are no line.
    caps, text_caps : int64[n_shapes]
    taken, texts_taken : int64[n_shapes], read and written
    places : int16[n_codes, 3]
        Where the content of a raw shape's lines begins, as (word, edge, delta).
    text_bytes : int64
        Most bytes of a text.
    state : int64[2], read and written
        Rows and bytes of text held.
    ints, longs : int32[room, INTS], int64[room, LONGS], written
    texts : uint8[room], written

    Returns
    -------
    int64
        How far it came: ``n``, or less if rows or texts have no room left.
    """
    edges = np.empty(2 * MAX_WORDS, np.int64)
    row = state[0]
    free = state[1]
    for i in range(at, n):
        if skip[i]:
            continue
        s = shape[i]
        if taken[s] >= caps[s]:
            continue
        begin = np.int64(start[i])
        end = np.int64(stop[i])
        has_text = texts_taken[s] < text_caps[s]
        size = min(end - begin, text_bytes) if has_text else np.int64(-1)
        if row >= ints.shape[0] or free + size > texts.size:
            state[0] = row
            state[1] = free
            return i
        taken[s] += 1
        ints[row, SHAPE] = s
        ints[row, RAW] = raw[i]
        ints[row, SPEAKER] = speaker[i]
        ints[row, STREAM] = stream
        ints[row, SIZE] = size
        ints[row, CONTENT] = -1
        ints[row, LEVEL] = level[i]
        ints[row, OWN_TIME] = own_time[i] != no_time
        ints[row, BEGIN] = begin - origin[i]
        longs[row, LINE] = line[i]
        longs[row, OFFSET] = offset[i]
        longs[row, TIME] = time[i]
        longs[row, TEXT] = free
        if has_text:
            texts_taken[s] += 1
            ints[row, CONTENT] = _content(buf, begin, end, places, raw[i], edges)
            for k in range(size):
                texts[free + k] = buf[begin + k]
            free += size
        row += 1
    state[0] = row
    state[1] = free
    return n


@kernel
def first_of_each(shape, caps, taken, out):
    """Write whether each row is one of the first ``caps[shape]`` rows of its shape.

    Parameters
    ----------
    shape : int32[n]
    caps : int64[n_shapes]
    taken : int64[n_shapes], read and written
        Rows so far.
    out : bool[n], written
    """
    for i in range(shape.size):
        taken[shape[i]] += 1
        out[i] = taken[shape[i]] <= caps[shape[i]]


@kernel
def move_texts(source, source_at, size, target, target_at):
    """Copy ``source[source_at[i] : source_at[i] + size[i]]`` (uint8) to ``target[target_at[i] : ...]``."""
    for i in range(size.size):
        a = source_at[i]
        b = target_at[i]
        for k in range(size[i]):
            target[b + k] = source[a + k]
