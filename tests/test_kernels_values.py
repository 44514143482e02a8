"""Values: their types against regular expressions, and where they stand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import naive
from l4fast_kernels import places as kp
from l4fast_kernels import valuetypes as kv
from l4fast_kernels.fields import read_numbers
from l4fast_kernels.forms import classify
from padded import padded

EXAMPLES = {
    "integer": "0 -12 +7 00123",
    "decimal": "3.5 -.5 1. 1e-05 1E5 2.5e+10 +1.0",
    "percent": "40% -1.5%",
    "duration": "12ms 1.5s 3us 7ns 2µs 10sec 5min 1h 3d 1h2m3.5s 1m30s 90seconds 1e-3s",
    "size": "512B 4KB 1.5GiB 80GB 7bytes 10kB",
    "date": "2024-05-08 2024/5/8 2024.05.08 31/12/2024 2024-05-08T10:15:30.123Z 2024-05-08T10:15:30+08:00",
    "time": "10:15 1:02:03 10:15:30.123 10:15:30,5 123:00:01 10:15:30Z",
    "hex": "0xff 0XDEAD12 1a2b deadbee1 0x0",
    "boolean": "true FALSE True",
    "ip": "10.0.0.1 /10.0.0.1:50010 10.0.0.1:29500 10.0.0.0/8"
    " fe80::1 ::1 2001:db8::a:1%eth0 [::ffff:10.0.0.4]:29500"
    " 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:: 1:2:3:4:5:6:1.2.3.4 [fe80::1]",
    "mac": "00:1a:2B:3c:4d:5e 00-11-22-33-44-55",
    "uuid": "550e8400-e29b-41d4-a716-446655440000",
    "url": "http://a s3://bucket/key git+ssh://h/p",
    "path": "/ /var/log/x ./a ../b ~/x C:\\x D:/y ckpt/iter_0100 src/a.cpp .cache/x",
    "word": "eth0 a=b node-1 read/write N/A 1.2.3 256.0.0.1 01.2.3.4 :: abc::def 1:2 12x 0x c10 +h 5\0s true1"
    " 1.5.s 1m2 1:2:3:4:5:6:7:8:9 1::2::3 12345::1 fe80::1% 10.0.0.1: 10.0.0.1:123456 13/13/202 2024-13-01"
    " 10:60 1:2:3:4:5:6:7 - . + =/a.b a: [1] [::1]x 2024-05-08T",
}
ALL = [(kind, text) for kind, texts in EXAMPLES.items() for text in texts.split(" ")]
ALL += [("text", ""), ("text", " "), ("text", "1 2"), ("text", "12  ms"), ("text", "x 5"), ("text", "5 ")]
ALL += [("duration", "12 ms"), ("size", "1.5 GiB"), ("percent", "5 %"), ("date", "2024-05-08 10:15:30,123")]


def types_of(values: list[bytes], hint: int = kv.NO_HINT) -> list[str]:
    end = np.cumsum([len(value) for value in values], dtype=np.int32)
    begin = (end - [len(value) for value in values]).astype(np.int32)
    kind = np.empty(len(values), np.int8)
    hints = np.full(len(values), hint, np.int8)
    classify(padded(b"".join(values)), len(values), begin, end, hints, kind)
    return [kv.TYPES[k] for k in kind]


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_a_type_shows_by_its_form(kind, text):
    assert naive.form(text.encode()) == kind
    assert types_of([text.encode()]) == [kind]


PIECES = [
    *"0123456789",
    *"abcdefxstrueBKMGZT",
    *"+-.:,/%[] ~=\\_",
    "::",
    "://",
    "ms",
    "µs",
    "min",
    "iB",
    "10",
    "05",
]
PIECES += [
    "2024",
    "255",
    "true",
    "http",
    "fe80",
    "\t",
    "é",
    "\0",
    "\udcff",
    "1a2b3c4d",
    "10:15:30",
    "10.0.0.1",
]
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    *(
        # All bytes of letters from U+0080 on are one kind; a set of a million letters costs ten seconds.
        st.from_regex(rule.replace(r"\U0010ffff", r"\u07ff"), fullmatch=True)
        for kind, rule in naive.FORMS.items()
        if kind not in ("word", "text")
    ),
    st.sampled_from(ALL).flatmap(
        lambda one: st.tuples(st.integers(0, len(one[1])), st.sampled_from(PIECES)).map(
            lambda cut: one[1][: cut[0]] + cut[1] + one[1][cut[0] :]
        )
    ),
)


@given(st.lists(TEXTS.map(lambda text: text.encode("utf-8", "surrogateescape")), max_size=20))
@example([text.encode()[:k] for _, text in ALL for k in range(len(text.encode()))])
def test_types_are_what_regular_expressions_say(values):
    assert types_of(values) == [naive.form(value) for value in values]


def test_what_stands_around_a_value_may_tell_its_type():
    values = [b"5", b"1.5", b"x", b"/x", b"10.0.0.1:80", b"", b"7ms"]
    said = {
        kv.SIZE: ["size", "size", "word", "path", "ip", "text", "duration"],
        kv.PERCENT: ["percent", "percent", "word", "path", "ip", "text", "duration"],
        kv.URL: ["integer", "decimal", "url", "url", "ip", "text", "duration"],
    }
    assert {hint: types_of(values, hint) for hint in said} == said


LINES = st.lists(st.text("a1 -\u00e9", max_size=12).map(str.encode), max_size=9)


@given(LINES)
def test_values_stand_where_their_words_stand(lines):
    """The values of a line are its first two masked words, and what is behind the last of them."""
    words = [naive.words_with_digits(line)[:2] for line in lines]
    code = np.array([len(found) for found in words], np.int32)
    tail = [[kp.LINE, 0, 0, kp.END, 0, 0], [0, 1, 0, kp.END, 0, 0], [1, 1, 0, kp.END, 0, 0]]
    params = [[*([k, 0, 0, k, 1, 0] for k in range(n)), tail[n]] for n in range(3)]
    stop = np.cumsum([len(line) + 1 for line in lines], dtype=np.int32) - np.int32(1)
    start = (stop - [len(line) for line in lines]).astype(np.int32)
    n_values = int((code + 1).sum())
    first, begin, end = (np.empty(n, np.int32) for n in (len(lines) + 1, n_values, n_values))
    hint = np.empty(n_values, np.int8)
    kp.find_values(
        padded(b"\n".join(lines)), len(lines), start, stop, code, np.arange(3, dtype=np.int32),
        np.array([0, 1, 3, 6]), np.array([p for each in params for p in each], np.int32),
        np.array([0, 1, 2, 3, 4, 5], np.int8), np.zeros(4, np.int64), first, begin, end, hint,
    )  # fmt: skip

    want = [
        [*found, (found[-1][1] if found else 0, len(line))] for line, found in zip(lines, words, strict=True)
    ]
    bounds = list(zip(begin.tolist(), end.tolist(), strict=True))
    got = [
        [(a - at, b - at) for a, b in bounds[i:j]]
        for at, i, j in zip(start.tolist(), first[:-1], first[1:], strict=True)
    ]
    assert got == want
    assert hint.tolist() == [h for n in code for h in ([0], [1, 2], [3, 4, 5])[n]]


# ------------------------------------------------------------------ numbers with suffixes


@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.integers(0, 999_999).map(str), st.integers(0, 99_999).map(lambda n: f"{n / 100:.2f}")
            ),
            st.sampled_from(
                ["", "k", "K", "M", "G", "it", "kit", "Mit", "ms", "kB", "s/it", "m", "k5", "k_", "T"]
            ),
            st.sampled_from(["", " ", "/", ",", "]"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_numbers_are_multiplied_as_their_suffix_says(numbers):
    lines = [f"n {number}{suffix}{behind}" for number, suffix, behind in numbers]
    data = "\n".join(lines).encode()
    begins = np.cumsum([0] + [len(line) + 1 for line in lines[:-1]]).astype(np.int32)
    ends = begins + np.array([len(line) for line in lines], np.int32)
    value, n = np.empty(len(lines)), len(lines)
    places = np.array([[0, 0, 0]], np.int16)
    read_numbers(padded(data), np.arange(n), begins, ends, np.zeros(n, np.int32), places, value)
    assert value.tolist() == pytest.approx([naive.number_at(line, 2) for line in lines], rel=1e-12)
