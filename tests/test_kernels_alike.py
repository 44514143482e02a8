"""Texts that are alike have one hash, and no others."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from l4fast_kernels import alike
from padded import padded


def naive_form(text: bytes) -> bytes | None:
    """The text with each digit as 1, but for the 0 of 0x; None where it is no plain ASCII."""
    if any(byte >= 128 or (byte < 32 and byte != 9) for byte in text):
        return None
    return re.sub(rb"[0-9]", lambda d: b"0" if d[0] == b"0" and text[d.end() : d.end() + 1] in b"xX" and
                  d.end() < len(text) else b"1", text)  # fmt: skip


texts = st.lists(st.text("059xXa .\x1bé", max_size=6).map(str.encode), max_size=12)


@given(texts)
def test_texts_have_one_hash_if_they_are_alike(found):
    data = padded(b"".join(found), 0)
    size = np.array([len(text) for text in found], np.int64)
    begin = np.cumsum(size) - size
    out = np.empty(len(found), np.uint64)
    alike.hash_alike(data, begin, size, np.uint64(5), out)
    forms = [naive_form(text) for text in found]
    assert [h == 0 for h in out.tolist()] == [form is None for form in forms]
    for i, form in enumerate(forms):
        for j in range(i):
            if form is not None and forms[j] is not None:
                assert (out[i] == out[j]) == (form == forms[j])


def test_a_text_that_was_not_kept_has_none():
    out = np.ones(1, np.uint64)
    alike.hash_alike(np.zeros(1, np.uint8), np.zeros(1, np.int64), np.full(1, -1), np.uint64(5), out)
    assert out.tolist() == [0]
