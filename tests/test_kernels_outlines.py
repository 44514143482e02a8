"""The outline of a line against its naive twin: what it keeps, where it is cut, what it never looks at."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

import naive
from l4fast_kernels import outlines as ko
from padded import padded

WORDS = (b"loading", b"of", b"error", b"step", b"x_y")
NAMES = (b"Loading", b"kowalski", b"gpu", b"FooError", b"KeyException", b"\xc3\xa9", b"q" * 50, b"a1", b"77")
DELIMITERS = (b" ", b" ", b"-", b".", b"/", b": ", b"@", b"[", b'"', b"\x00", b"\x02", b"," * 17)
TEXT = st.lists(st.sampled_from([*WORDS, *NAMES, *DELIMITERS]), max_size=80).map(b"".join)
KEY = np.uint64(77)


def vocabulary() -> np.ndarray:
    words = np.zeros(64, np.uint64)
    ko.learn_words(np.frombuffer(b"".join(w + b"\n" for w in WORDS), np.uint8), words)
    words.setflags(write=False)  # as that of the package is: another type
    return words


def outline(line: bytes, level: int = 5) -> list[bytes]:
    out, cuts = np.zeros(ko.OUTLINE_BYTES, np.uint8), np.zeros(len(ko.WIDTHS), np.int64)
    n = ko.outline(padded(line), 0, len(line), vocabulary(), level, out, cuts)
    edges = [0, *cuts[:level].tolist()]
    assert edges[-1] == n
    pieces = [out[a:b].tobytes() for a, b in itertools.pairwise(edges)]
    while len(pieces) > 1 and not pieces[-1]:
        pieces.pop()
    return pieces


@given(TEXT, st.integers(1, 5))
@example(b"", 5)
@example(b"kowalski-gpu.gpu/77", 5)
@example(b"gpu-", 5)
@example(b"1 " * 80, 5)
@example(b"step " * 20, 5)
@example(b"loading kowalski", 1)
def test_an_outline_is_that_of_the_naive_reader(line, level):
    assert outline(line, level) == naive.outline(line, {naive.folded(word) for word in WORDS}, level)


@given(TEXT)
def test_a_lower_level_is_the_begin_of_a_higher_one(line):
    whole = outline(line)
    for level in range(1, 5):
        assert outline(line, level) == whole[:level]


@given(TEXT)
def test_an_outline_depends_on_the_masked_text_alone(line):
    masked = naive.masked(line).replace(b"\x00", b"0").replace(b"\x01", b"?")
    assert outline(masked) == outline(line)


@given(st.lists(TEXT, max_size=12))
def test_segments_are_described_as_the_naive_reader_does(lines):
    data, n = b"\n".join(lines), len(lines)
    stop = np.cumsum([len(line) + 1 for line in lines]) - 1 if lines else np.zeros(0, np.int64)
    start = stop - [len(line) for line in lines] if lines else stop
    masked, bounds = np.zeros(len(data) + 1, np.uint8), np.zeros(len(data) + n + 1, np.int32)
    masked_end, bounds_end = np.zeros(n, np.int64), np.zeros(n, np.int64)
    out, cuts = np.zeros((n, ko.OUTLINE_BYTES), np.uint8), np.zeros((n, len(ko.WIDTHS)), np.int64)
    ko.describe(
        padded(data), np.arange(n, dtype=np.int32), n, start.astype(np.int32), stop.astype(np.int32), 1 << 18,
        vocabulary(), masked, masked_end, bounds, bounds_end, out, cuts,
    )  # fmt: skip
    at = held = 0
    for k, line in enumerate(lines):
        # The naive reader keeps a NUL apart from a masked word by another byte.
        assert masked[at : masked_end[k]].tobytes() == naive.masked(line.replace(b"\x00", b"?"))
        found = bounds[held : bounds_end[k]].reshape(-1, 2).tolist()
        assert [tuple(pair) for pair in found] == naive.words_with_digits(line)
        assert out[k, : cuts[k, -1]].tobytes() == b"".join(outline(line))
        at, held = masked_end[k], bounds_end[k]


@given(st.lists(TEXT, min_size=1, max_size=8, unique=True), st.integers(1, 5))
def test_a_line_finds_the_bucket_of_its_outline(lines, level):
    buckets = list(dict.fromkeys(b"".join(outline(line, level)) for line in lines))
    hashes = [ko.outline_hash(padded(b), len(b), KEY) for b in buckets]
    keys, codes = np.zeros(32, np.uint64), np.zeros(32, np.int32)
    ko.learn_buckets(np.array(hashes, np.uint64), np.arange(len(buckets), dtype=np.int32), keys, codes)
    out, cuts = np.zeros(ko.OUTLINE_BYTES, np.uint8), np.zeros(len(ko.WIDTHS), np.int64)
    for line in [*lines, b"a line of none of them"]:
        want = b"".join(outline(line, level))
        found = ko.bucket_code(padded(line), 0, len(line), KEY, vocabulary(), level, keys, codes, out, cuts)
        assert found == (buckets.index(want) if want in buckets else -1)


def test_at_level_0_all_lines_are_one_bucket():
    keys, codes = np.zeros(4, np.uint64), np.zeros(4, np.int32)
    hashes = np.array([ko.outline_hash(padded(b""), 0, KEY)], np.uint64)
    ko.learn_buckets(hashes, np.array([7], np.int32), keys, codes)
    out, cuts = np.zeros(ko.OUTLINE_BYTES, np.uint8), np.zeros(len(ko.WIDTHS), np.int64)
    line = b"anything at all"
    assert ko.bucket_code(padded(line), 0, len(line), KEY, vocabulary(), 0, keys, codes, out, cuts) == 7
