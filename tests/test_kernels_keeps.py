"""Rows that are kept: the first of each shape, and their texts, as a naive list keeps them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from l4fast.kept import Kept

from jobs import text_of
from l4fast_kernels import keeps, times
from padded import padded

rows = st.lists(
    st.tuples(
        st.integers(0, 2),  # shape
        st.booleans(),  # skipped
        st.text("ab1 ", max_size=9).map(str.encode),
        st.integers(-1, 3),  # time; -1: none of its own
    ),
    max_size=50,
)


def naive_rows(lines, caps, text_caps, most_bytes):
    """(shape, place, time, whether it is its own, text) of each kept line."""
    taken, texts, found = [0] * 3, [0] * 3, []
    for at, (shape, skipped, text, time) in enumerate(lines):
        if skipped or taken[shape] >= caps[shape]:
            continue
        taken[shape] += 1
        kept = text[:most_bytes] if texts[shape] < text_caps[shape] else None
        texts[shape] += kept is not None
        found.append((shape, at + 1, time, time >= 0, kept))
    return found


@given(
    rows,
    st.lists(st.integers(0, 4), min_size=3, max_size=3),
    st.lists(st.integers(0, 4), min_size=3, max_size=3),
    st.integers(1, 9),
)
def test_rows_kept_are_those_of_a_naive_list(lines, caps, text_caps, most_bytes):
    n = len(lines)
    data = b"".join(line[2] for line in lines)
    buf = padded(data)
    stop = np.cumsum([len(line[2]) for line in lines], dtype=np.int32)
    start = stop - np.array([len(line[2]) for line in lines], np.int32)
    shape = np.array([line[0] for line in lines], np.int32)
    time = np.array([line[3] for line in lines], np.int64)
    own = np.where(time < 0, times.NO_TIME, time)
    place = np.arange(1, n + 1)
    code, level = np.zeros(n, np.int32), np.zeros(n, np.int8)
    kept, taken, texts_taken = Kept(), np.zeros(3, np.int64), np.zeros(3, np.int64)
    kept.ints, kept.longs, kept.texts = kept.ints[:1], kept.longs[:1], kept.texts[:1]  # so that they grow

    def keep(at, state, ints, longs, texts):
        return keeps.keep_rows(
            n, at, 7, buf, start, stop, start // 2, code, shape, code, place, place * 10, time, own,
            times.NO_TIME, level,
            np.array([line[1] for line in lines], np.uint8), np.array(caps), taken, np.array(text_caps),
            texts_taken, np.array([[0, 0, 0]], np.int16), most_bytes, state, ints, longs, texts,
        )  # fmt: skip

    kept.fill(n, keep)

    got = [
        (
            int(kept.column(keeps.SHAPE)[row]),
            int(kept.long(keeps.LINE)[row]),
            int(kept.long(keeps.TIME)[row]),
            bool(kept.column(keeps.OWN_TIME)[row]),
            text_of(kept, row),
        )
        for row in range(kept.n)
    ]
    assert got == naive_rows(lines, caps, text_caps, most_bytes)
    assert (kept.long(keeps.OFFSET) == 10 * kept.long(keeps.LINE)).all()
    assert set(kept.column(keeps.STREAM).tolist()) <= {7}
    places = kept.long(keeps.LINE) - 1
    assert (kept.column(keeps.BEGIN) == start[places] - start[places] // 2).all()
    for row in range(kept.n):
        text = text_of(kept, row)
        first = None if text is None else next((i for i, byte in enumerate(text) if byte == ord("1")), None)
        content = int(kept.column(keeps.CONTENT)[row])
        if text is None or b"1" not in text:
            assert content == -1 or text is not None
        elif first is not None and most_bytes == 9:
            assert text[content : first + 1].strip(b"ab1") == b""  # where its first masked word begins


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(0, 3))
def test_the_first_of_each_shape(shapes, cap):
    chosen, taken = np.zeros(len(shapes), bool), np.zeros(3, np.int64)
    keeps.first_of_each(np.array(shapes, np.int32), np.full(3, cap, np.int64), taken, chosen)
    assert chosen.tolist() == [shapes[:i].count(s) < cap for i, s in enumerate(shapes)]


@given(st.lists(st.binary(max_size=8), max_size=12), st.randoms(use_true_random=False))
def test_texts_are_moved(texts, random):
    source = padded(b"".join(texts), 0)
    size = np.array([len(text) for text in texts], np.int32)
    begin = np.cumsum(size, dtype=np.int64) - size
    order = list(range(len(texts)))
    random.shuffle(order)
    target = np.zeros(len(source), np.uint8)
    ends = np.cumsum(size[order], dtype=np.int64)
    keeps.move_texts(source, begin[order], size[order], target, ends - size[order])
    assert target.tobytes() == b"".join(texts[i] for i in order)
