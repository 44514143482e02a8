"""Colour codes are hushed in place, and shown as they were."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from l4fast.canonical import plain
from l4fast.colours import hushed, shown

import naive
from l4fast_kernels import colours
from padded import padded

PIECES = [
    b"\x1b[", b"\x1b[31m", b"\x1b[1;38;5;7m", b"\x1b[0K", b"\x1b[m", b"\x1b[3", b"\x1b[6n", b"\x1b", b"[31m",
    b"\\u001b[32m", b"\\u001B[", b"\\u001", b"\\n", b"\\", b"m", b"3", b";", b"ERROR", b" ", b"\n", b"\xff",
]  # fmt: skip
TEXT = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)


def by_kernel(data: bytes) -> tuple[bytes, int]:
    buf = padded(data)
    n = colours.hush_codes(buf, 0, len(data), len(data))
    assert not buf[len(data) :].any()
    return buf[: len(data)].tobytes(), n


@given(TEXT)
@example(b"\\u001b[3")
@example(b"\\u001b")
def test_the_codes_that_are_hushed(data):
    quiet, n = by_kernel(data)
    assert quiet == naive.hushed(data) == hushed(data)
    assert (n > 0) == (quiet != data)
    assert by_kernel(quiet) == (quiet, 0), "hushed once, hushed for ever"
    assert plain(quiet.decode("latin-1")) == plain(hushed(quiet).decode("latin-1"))


@given(TEXT)
def test_what_was_hushed_is_shown_as_it_was(data):
    quiet = naive.hushed(data)
    out = np.empty(len(data), np.uint8)
    buf = padded(quiet)
    colours.show(buf, len(data), out)
    assert out.tobytes() == shown(quiet) == data


def test_no_byte_of_a_hushed_code_is_a_word_a_blank_or_a_line_end():
    stand_ins = (colours.DIGITS_HUSHED + colours.FINALS_HUSHED).decode()
    assert len(set(stand_ins)) == 10 + len(colours.FINALS)
    assert not any(char.isalnum() or char.isspace() or char in "_\x00\x01\x02\x1b" for char in stand_ins)
