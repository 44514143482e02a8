"""The kernels that make rows, each against its naive twin."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

import naive
from l4fast_kernels import rows

LINES = st.lists(st.sampled_from([b"a", b"bc 1", b"\n", b"\r", b"\r\n", b"\n\n"]), max_size=60).map(b"".join)


@given(LINES, st.integers(1, 9), st.integers(0, 10**12))
@example(b"", 1, 0)
@example(b"a\rb\r\n\n\rc", 5, 1 << 40)
def test_lines_stand_where_the_naive_reader_finds_them(data, first_line, first_byte):
    segments = naive.segments(data)
    n = len(segments)
    start, stop, origin, line = np.array(segments, np.int32).reshape(-1, 4).T.copy()
    code = np.arange(n, dtype=np.int32) % 3
    shape_of = np.array([7, 5, 7], np.int32)
    number, offset = np.zeros(n, np.int64), np.zeros(n, np.int64)
    length, shape, skip = np.zeros(n, np.int32), np.zeros(n, np.int32), np.ones(n, np.uint8)

    found = (start, stop, origin, line, code)
    rows.place_lines(n, *found, shape_of, first_line, first_byte, number, offset, length, shape, skip)

    assert number.tolist() == [first_line + s[3] for s in segments]
    assert offset.tolist() == [first_byte + s[2] for s in segments]
    assert length.tolist() == [b - at if b > a else 0 for a, b, at, _ in segments]
    assert shape.tolist() == [int(shape_of[i % 3]) for i in range(n)]
    lines = [s[3] for s in segments]
    assert skip.tolist() == [at in lines[i + 1 :] for i, at in enumerate(lines)]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 3)), max_size=40))
def test_codes_are_looked_up_row_by_row(items):
    n = len(items)
    level = np.array([i[0] for i in items], np.int8)
    shape = np.array([i[1] for i in items], np.int32)
    speaker = np.array([i[2] for i in items], np.int32)
    shape_of, node_of, rank_of = (np.array(v, np.int32) for v in ([4, 9, -1], [0, -1, 2, 1], [-1, 8, 3, -1]))
    out = np.zeros((4, n), np.int32)

    rows.fill_codes(n, level, shape, speaker, shape_of, node_of, rank_of, *out)

    want = [(a - 1, int(shape_of[b]), int(node_of[c]), int(rank_of[c])) for a, b, c in items]
    assert out.T.tolist() == [list(row) for row in want]


@given(st.lists(st.integers(-3, 3), max_size=70), st.integers(-2, 2), st.sampled_from([np.int32, np.int64]))
def test_known_bits_are_those_of_a_list(items, least, kind):
    values, bits = np.array(items, kind), np.full((len(items) + 7) // 8, 170, np.uint8)

    unknown = rows.known_bits(len(items), values, least, bits)

    known = [v >= least for v in items]
    assert unknown == known.count(False)
    assert np.unpackbits(bits, bitorder="little")[: len(items)].tolist() == known
