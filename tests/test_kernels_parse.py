"""Each parsing kernel against its naive twin."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import naive
from l4fast_kernels import fields, shapes, sums, times
from padded import padded

TEXT = st.lists(
    st.sampled_from(
        [b"a", b"bc", b"_", b" ", b": ", b"1", b"23", b"x9", b"\xc3\xa9", b"[", b"]", b".", b"-", b"\x00",
         b"\x1b[", b"m", b"\x1b[32m", b"\\u001b[0m", b"\\"]
    ),
    max_size=60,
).map(b"".join)  # fmt: skip
LINES = st.lists(st.one_of(TEXT, st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n"])), max_size=40).map(
    b"".join
)


def scan(data: bytes, *, layouts: np.ndarray | None = None):
    buf = padded(data)
    n_max = len(data) + shapes.WINDOW + 2
    start, stop, origin, line, code, layout, fresh = (np.zeros(n_max, np.int32) for _ in range(7))
    state = np.zeros(6, np.int64)
    layouts = np.zeros(1 << 10, np.uint64) if layouts is None else layouts
    keys, codes = np.zeros(1 << 18, np.uint64), np.zeros(1 << 18, np.int32)
    words = np.zeros(2, np.uint64)
    words.setflags(write=False)  # as those of the package are: another type
    carry, new, done = np.zeros(4, np.int64), [], False
    while not done:
        done = shapes.scan(
            buf, len(data), int(state[4]), carry, True, np.uint64(77), layouts, keys, codes,
            words, -1, np.zeros(1, np.uint64), np.zeros(1, np.int32), state,
            start, stop, origin, line, code, layout, fresh,
        )  # fmt: skip
        new += fresh[: int(state[2])].tolist()
        state[2] = 0
    n = int(state[3])
    return start[:n], stop[:n], origin[:n], line[:n], code[:n], new


@given(LINES)
@example(b"")
@example(b"\n")
@example(b"\r\n\r\n")
@example(b"no newline at the end")
@example(b"a\rb\r\nc")
@example(b"\r")
@example(b"x" * 63 + b"\n" + b"y" * 64 + b"\n" + b"z1" * 65)
@example(b"a\n" * 40000)
def test_scan_finds_the_segments_of_the_naive_reader(data):
    start, stop, origin, line, *_ = scan(data)
    assert list(zip(start, stop, origin, line, strict=True)) == naive.segments(data)


@given(LINES)
@example(b"abc 12\nabc \nabc 123\nabc\n")
@example(b"a" * 60 + b"bcd12e\n" + b"a" * 60 + b"bcd1234567\n" + b"a" * 60 + b"bcd\n")
@example(b"x\x00\nx\nx\x00\x00\n")
@example(b"1" * 200 + b" a\n" + b"2" * 30 + b" a\n")
@example(b"\x1b[31mfailed 1\n\x1b[31mjoined 2\n\x1b[31mfailed 33\n\x1b[1;31mfailed 1\n")
@example(b"a" * 61 + b"\x1b[31mb\n" + b"a" * 61 + b"\x1b[31mc\n" + b"a" * 65470 + b"\x1b[31mb 1\n")
def test_two_segments_share_a_code_exactly_if_their_masked_texts_are_equal(data):
    start, stop, _, _, code, fresh = scan(data)
    texts = [naive.masked(naive.hushed(data)[a:b]) for a, b in zip(start, stop, strict=True)]
    assert code.tolist() == naive.codes(texts)
    assert [texts[i] for i in fresh] == list(dict.fromkeys(texts))


@given(
    st.lists(
        st.tuples(st.sampled_from([b"a", b"1", b" ", b"-", b"\xe9"]), st.integers(1, 140)).map(
            lambda run: run[0] * run[1]
        ),
        max_size=6,
    ).map(b"".join),
    st.integers(1, 4),
)
@example(b"a" * 64 + b" " + b"b" * 63 + b"1", 1)
@example(b"a" * 63 + b"1" + b"b" * 64, 1)
@example(b"1" * 64 + b"a" * 64 + b" ", 2)
def test_words_longer_than_a_block_are_masked_whole(line, longer):
    """The same line with longer numbers, at another place in its block, has the same shape."""
    other = line.replace(b"1", b"22" * longer)
    _, _, _, _, code, _ = scan(line + b"\n" + other + b"\n" + line[:-1] + b"\n")
    texts = [naive.masked(text) for text in (line, other, line[:-1])]
    assert code.tolist() == naive.codes(texts)
    buf, edges = padded(line), np.zeros(2 * fields.MAX_WORDS, np.int64)
    found = _find_words(buf, 0, len(line), 8, edges)
    want = naive.words_with_digits(line)[:8]
    assert edges[: 2 * found].tolist() == [edge for word in want for edge in word]


def test_a_full_layout_table_costs_speed_not_answers():
    data = b"".join(b"a" * i + b" 1\n" for i in range(300)) * 2
    small = scan(data, layouts=np.zeros(16, np.uint64))
    assert small[4].tolist() == scan(data)[4].tolist()


@given(TEXT, st.integers(1, 8))
def test_word_edges_are_those_of_the_naive_reader(data, n):
    edges = np.zeros(2 * fields.MAX_WORDS, np.int64)
    buf = padded(data)
    found = _find_words(buf, 0, len(data), n, edges)
    want = naive.words_with_digits(data)[:n]
    assert found == len(want)
    assert edges[: 2 * found].tolist() == [edge for word in want for edge in word]


def _find_words(*args):
    return fields.find_words(*args)


def read_time(text: str, form: int, reference: str = "2026-11-22"):
    data = text.encode()
    buf = padded(data)
    day = (dt.date.fromisoformat(reference) - dt.date(1970, 1, 1)).days
    micros, zoned = times.parse_time(buf, 0, len(data), form, day, np.zeros((times.FORMS, 6), np.uint64))
    if micros == times.NO_TIME:
        return None, bool(zoned)
    return dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=int(micros)), bool(zoned)


@given(
    st.datetimes(min_value=dt.datetime(1970, 1, 2), max_value=dt.datetime(2200, 1, 1)),
    st.sampled_from("T _-"),
)
def test_iso_times_read_back(when, between):
    text = f"{when:%Y-%m-%d}{between}{when:%H:%M:%S},{when.microsecond:06d} rest"
    assert read_time(text, times.ISO) == (when, False)


@pytest.mark.parametrize(
    ("text", "form", "want", "zoned"),
    [
        ("2019-01-01T01:00:00.000000001Z stderr", times.ISO, "2019-01-01 01:00:00", True),
        ("2024-05-08T08:47:31+02:00 x", times.ISO, "2024-05-08 06:47:31", True),
        ("2024/05/08 08:47:31 x", times.ISO, "2024-05-08 08:47:31", False),
        ("2021-10-17-05:54:07.599.074 [file", times.ISO, "2021-10-17 05:54:07.599074", False),
        ("11/22/2026 08:52:16 - WARNING", times.US, "2026-11-22 08:52:16", False),
        ("22/11/2026 08:52:16", times.US, "2026-11-22 08:52:16", False),
        ("08/01/24 10:00:00] INFO", times.US, "2024-08-01 10:00:00", False),
        ("E1122 08:45:33.217000 445747", times.GLOG, "2026-11-22 08:45:33.217", False),
        ("E429 13:55:49.384372190 P", times.GLOG, "2026-04-29 13:55:49.384372", False),
        ("W1231 23:59:59 x", times.GLOG, "2026-12-31 23:59:59", False),
        ("Oct 10 03:06:53 node07", times.SYSLOG, "2026-10-10 03:06:53", False),
        ("Oct  3 03:06:53 node07", times.SYSLOG, "2026-10-03 03:06:53", False),
        ("12-31 23:59:59,125 x", times.DASHED, "2026-12-31 23:59:59.125", False),
        ("07-04 12:00:01 [train.py", times.DASHED, "2026-07-04 12:00:01", False),
        ("31-12 23:59:59 x", times.DASHED, None, False),
        ("1-12 23:59:59 x", times.DASHED, None, False),
        ("12/31 23:59:59 x", times.DASHED, None, False),
        ("12-00 23:59:59 x", times.DASHED, None, False),
        ("Thu Oct 10 03:06:53 2024] pt", times.CTIME, "2024-10-10 03:06:53", False),
        ("1714684090748, ", times.EPOCH, "2024-05-02 21:08:10.748", True),
        ("1715963741.264028] [", times.EPOCH, "2024-05-17 16:35:41.264028", True),
        ("2026-13-01 08:00:00", times.ISO, None, False),
        ("12 text", times.EPOCH, None, False),
        ("2026-11-22", times.ISO, None, False),
        ("E9999 08:45:33 x", times.GLOG, None, False),
    ],
)
def test_times_of_the_field(text, form, want, zoned):
    when, has_zone = read_time(text, form)
    assert when == (dt.datetime.fromisoformat(want) if want else None)
    assert has_zone == zoned


def test_a_date_without_a_year_is_the_latest_not_long_after_the_reference():
    assert read_time("W0102 00:00:00 x", times.GLOG, "2026-12-30")[0] == dt.datetime(2027, 1, 2)
    assert read_time("01-02 00:00:00 x", times.DASHED, "2026-12-30")[0] == dt.datetime(2027, 1, 2)
    assert read_time("W1230 00:00:00 x", times.GLOG, "2027-01-02")[0] == dt.datetime(2026, 12, 30)


@given(st.floats(-1e9, 1e9, allow_nan=False), st.sampled_from([" ", ",", "]", "GiB", ""]))
def test_numbers_read_back(value, behind):
    for text in (f"{value:.6f}", f"{value:.6e}", f"{int(value)}"):
        data = (text + behind).encode()
        got = times.parse_number(padded(data), 0, len(data))
        assert got == pytest.approx(float(text), rel=1e-12, abs=1e-12)


def test_thousands_commas_and_lists():
    for text, want in (
        ("1,234,567 x", 1234567),
        ("12,34", 12),
        ("1,2345", 1),
        ("abc", None),
        ("7,890", 7890),
    ):
        got = times.parse_number(padded(text.encode()), 0, len(text))
        assert (np.isnan(got) and want is None) or got == want


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 9), st.booleans()), max_size=120),
    st.booleans(),
    st.permutations(range(120)),
)
@example([(0, 0, 9, False)] * 2, False, range(120))  # nothing tells a time
def test_pair_sums_are_those_of_a_dictionary(rows, by_time, order):
    order = order if by_time else sorted(order)  # of one stream, lines come as they are
    n = len(rows)
    left = np.array([r[0] for r in rows], np.int32)
    right = np.array([r[1] for r in rows], np.int32)
    time = np.array([r[2] for r in rows], np.int64)
    time[time == 9] = times.NO_TIME
    line = np.array(order[:n], np.int64)
    skip = np.array([r[3] for r in rows], np.uint8)
    keys, slots = np.zeros(256, np.uint64), np.zeros(256, np.int32)
    state, ints = np.zeros(1, np.int64), np.zeros((64, 8), np.int64)
    lefts, rights = np.zeros(64, np.int32), np.zeros(64, np.int32)
    done = sums.count_pairs(
        n, 0, left, right, time, line, line * 10, skip, by_time, keys, slots, state, ints, lefts, rights
    )
    assert done == n
    want: dict[tuple[int, int], list[int]] = {}
    told: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (a, b, _, skipped), t, at in zip(rows, time.tolist(), line.tolist(), strict=True):
        if not skipped:
            told.setdefault((a, b), []).append((t, at))
    for pair, said in told.items():
        if by_time:  # a known time before none; of equal times, the order of the lines
            t, at = min(said, key=lambda s: (s[0] == times.NO_TIME, s))
            end, last = max(said)
        else:
            t, timed = next((s for s in said if s[0] != times.NO_TIME), (times.NO_TIME, None))
            at, (end, last) = said[0][1], said[-1]
            (k,) = (k for k in range(int(state[0])) if (lefts[k], rights[k]) == pair)
            assert timed in (None, ints[k, 7])  # where no time is known, it has no line
        want[pair] = [len(said), t, end, at, at * 10, last, last * 10]
    got = {(int(lefts[k]), int(rights[k])): ints[k, :7].tolist() for k in range(int(state[0]))}
    assert got == want


@given(LINES)
@example(b"1")
@example(b"x" * 100 + b"1 2\n3\n\r4a5")
def test_word_bounds_are_those_of_the_naive_reader(data):
    segments = naive.segments(data)
    n, buf = len(segments), padded(data)
    start = np.array([s[0] for s in segments], np.int32)
    stop = np.array([s[1] for s in segments], np.int32)
    room = (int((stop - start).sum()) + n) // 2  # as much as the kernel says it needs, and no more
    first, begin, end = np.zeros(n + 1, np.int32), np.zeros(room, np.int32), np.zeros(room, np.int32)

    n_words = fields.word_bounds(buf, n, start, stop, first, begin, end)

    spans = list(zip(begin[:n_words].tolist(), end[:n_words].tolist(), strict=True))
    got = [spans[first[i] : first[i + 1]] for i in range(n)]
    assert got == [[(a + s, b + s) for a, b in naive.words_with_digits(data[s:e])] for s, e, *_ in segments]
