"""Hashes -> codes, in order of appearance, however large the table."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import naive
from l4fast_kernels.codes import intern, rehash


@given(st.lists(st.integers(1, 40), max_size=200))
def test_intern_gives_codes_in_order_of_appearance(items):
    hashes = np.array(items, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    out, fresh = np.zeros(len(items), np.int32), np.zeros(len(items), np.int32)
    state = np.zeros(3, np.int64)
    keys, codes = np.zeros(128, np.uint64), np.zeros(128, np.int32)
    assert intern(hashes, len(items), keys, codes, state, out, fresh)
    assert out.tolist() == naive.codes(items)


def test_a_table_grows_without_losing_codes():
    items = np.arange(1, 1001, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    out, fresh = np.zeros(1000, np.int32), np.zeros(1000, np.int32)
    state = np.zeros(3, np.int64)
    keys, codes = np.zeros(16, np.uint64), np.zeros(16, np.int32)
    while not intern(items, 1000, keys, codes, state, out, fresh):
        bigger, bigger_codes = np.zeros(keys.size * 4, np.uint64), np.zeros(keys.size * 4, np.int32)
        rehash(keys, codes, bigger, bigger_codes)
        keys, codes = bigger, bigger_codes
    assert out.tolist() == list(range(1000))
