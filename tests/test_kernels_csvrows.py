"""The kernel that writes rows, against the csv module, Python's decoder and Python's lists."""

from __future__ import annotations

import ast
import csv
import io

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

import naive
from l4fast_kernels import csvrows as kr
from l4fast_kernels import places as kp
from padded import padded

PIECES = [b" ", b"ab", b"a1", b"22", b"-", b",", b'"', b"'", b"\\", b"\t", b"\x00", b"\x1b", b"\x7f"]
PIECES += [
    b"\xff",
    b"\xc3\xa9",
    b"\xe2\x82",
    b"\xe2\x82\xac",
    b"\xf0\x9f\x98\x80",
    b"\xed\xa0\x80",
    b"\xe0\x80\x80",
]
PIECES += [b"\xf4\x90", b"\xf0\x80\x80\x80"]
LINES = st.lists(st.lists(st.sampled_from(PIECES), max_size=9).map(b"".join), min_size=1, max_size=9)
WHOLE = [kp.LINE, 0, 0, kp.END, 0, 0]
MOST_WORDS = 3
TAILS = [b",id,text", b',id,"a, b"', b"", b",x"]


def written(lines: list[bytes], *, with_params: bool, room: int) -> bytes:
    """Write rows of three fields: what stands before the first masked word, nothing, and what begins with it.

    The parameters are the first three masked words; of a line without any, the line itself.
    """
    buf = padded(b"\n".join(lines))
    start = np.cumsum([0, *(len(line) + 1 for line in lines)])[:-1].astype(np.int32)
    stop = start + np.array([len(line) for line in lines], np.int32)
    code = np.array([n_words(line) for line in lines], np.int32)
    absent = [kp.ABSENT] + [0] * 5
    halves = [kp.LINE, 0, 0, 0, 0, 0, *absent, 0, 0, 0, kp.END, 0, 0]
    fields = [[*WHOLE, *absent, *absent], *[halves] * MOST_WORDS]
    params = [[WHOLE], *([[k, 0, 0, k, 1, 0] for k in range(n + 1)] for n in range(MOST_WORDS))]
    state = np.zeros(3, np.int64)
    out = np.empty(room, np.uint8)
    parts = []
    while state[kr.S_SEGMENT] < len(lines):
        before, state[kr.S_USED] = state[kr.S_SEGMENT], 0
        kr.write_rows(
            buf,
            len(lines),
            start,
            stop,
            code,
            np.arange(MOST_WORDS + 1, dtype=np.int32),
            np.array(fields, np.int32),
            np.cumsum([0, *map(len, params)], dtype=np.int64),
            np.array([place for each in params for place in each], np.int32),
            with_params,
            np.arange(MOST_WORDS + 1, dtype=np.int32),
            np.cumsum([0, *map(len, TAILS)], dtype=np.int64),
            np.frombuffer(b"".join(TAILS), np.uint8),
            np.zeros(2 * MOST_WORDS, np.int64),
            state,
            out,
        )
        assert state[kr.S_SEGMENT] > before
        parts.append(out[: state[kr.S_USED]].tobytes())
    return b"".join(parts)


def n_words(line: bytes) -> int:
    return min(len(naive.words_with_digits(line)), MOST_WORDS)


def row_bytes(line: bytes) -> int:
    """Return what the kernel wants to have free before it writes the row of a line."""
    n_pieces = 3 + max(n_words(line), 1)
    tail = len(TAILS[n_words(line)])
    return kr.BYTES_PER_BYTE * len(line) + kr.BYTES_PER_PIECE * n_pieces + kr.BYTES_PER_ROW + tail


def fields_of(line: bytes) -> list[str]:
    words = naive.words_with_digits(line)
    parts = [line[: words[0][0]], b"", line[words[0][0] :]] if words else [line, b"", b""]
    return [part.decode("utf-8", "replace") for part in parts]


def values_of(line: bytes) -> list[str]:
    words = naive.words_with_digits(line)[:MOST_WORDS] or [(0, len(line))]
    return [line[a:b].decode("utf-8", "replace") for a, b in words]


@given(LINES)
@example(
    [b"x" * 300 + b"1", b'"' * 200 + b"1", b"\xff" * 200 + b"1", b"\x01" * 200 + b" 1 ", b"'\"" * 90 + b"1"]
)
def test_rows_are_what_the_csv_module_writes(lines):
    expected = io.StringIO()
    writer = csv.writer(expected, lineterminator="")
    for i, line in enumerate(lines):
        writer.writerow([i + 1, *fields_of(line)])
        expected.write(TAILS[n_words(line)].decode() + "\n")
    for room in (1 << 14, max(map(row_bytes, lines))):
        assert written(lines, with_params=False, room=room).decode() == expected.getvalue()


@given(LINES)
@example([byte * 200 for byte in (b"x", b'"', b"\xff", b"\x01", b"'\"", b"\\")])
@example([b"it's 1", b'"q" 1', b"'\"\\ 1", b"\x01\x7f 1", b"\xe2\x82 1"])
def test_parameters_are_a_list_as_python_writes_it(lines):
    for room in (1 << 14, max(map(row_bytes, lines))):
        rows = written(lines, with_params=True, room=room).decode()
        lists = [row[-1] for row in csv.reader(io.StringIO(rows, newline=""))]
        wanted = [values_of(line) for line in lines]
        assert [ast.literal_eval(text.replace("\x00", "\\x00")) for text in lists] == wanted
        # Where nothing but quotes asks for an escape, it is Python's own text.
        plain = [(t, w) for t, w in zip(lists, wanted, strict=True) if all(v.isprintable() for v in w)]
        assert [text for text, _ in plain] == [repr(w) for _, w in plain]


@given(st.integers(0, 2**62))
def test_numbers_are_written_in_full(number):
    out = np.zeros(24, np.uint8)
    used = kr.put_number(number, out, 0)
    assert out[:used].tobytes() == str(number).encode()
