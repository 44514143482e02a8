"""Words with a digit that are names: what stays, and that no order and no cut of the lines matters."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from l4fast.canonical import MASK, mask
from l4fast.lines import LineReader
from l4fast.names import Names, filled

import naive
from l4fast_kernels import names as kn
from padded import padded


def chunks_of(lines: list[bytes], cuts: tuple[int, ...] = ()):
    bounds = sorted({0, len(lines), *(cut for cut in cuts if cut < len(lines))})
    for low, high in itertools.pairwise(bounds):
        chunk = b"".join(line + b"\n" for line in lines[low:high])
        yield padded(chunk), len(chunk)


def wordings(lines: list[bytes], cuts: tuple[int, ...] = ()) -> list[str]:
    reader, names, masked = LineReader(), Names(), []
    for buf, size in chunks_of(lines, cuts):
        found = reader.read(buf, size)
        for row in found.fresh:
            masked.append(mask(buf[found.start[row] : found.stop[row]].tobytes())[0])
            names.add(masked[-1].count(MASK))
        names.feed(found)
    made = names.wordings()
    told: list[str] = []
    for buf, size in chunks_of(lines):
        for wording in made.of(reader.read(buf, size)):
            text = filled(masked[made.raw[wording]], made.names[wording])
            told.append(text.replace(MASK, "\0"))
    return told


@pytest.mark.parametrize(
    "word", ["ssh2", "jk2_init", "eth0", "IPv6", "L1", "HttpServer2", "fp8_e4", "flush2DB"]
)
def test_a_name(word):
    assert wordings([f"a {word} b".encode()] * 3) == [f"a {word} b"] * 3


@pytest.mark.parametrize("word", ["12", "a1", "0x1f", "deed12", "FACE01", "blk_123", "3a", "x1y2z3", "R123"])
def test_a_value(word):
    assert wordings([f"a {word} b".encode()] * 3) == ["a \0 b"] * 3


def test_few_names_at_one_place_are_as_many_wordings():
    lines = [f"interface {name} is up {k}".encode() for k, name in enumerate(["ee0", "alt0", "ee0", "scip0"])]
    assert wordings(lines) == [f"interface {name} is up \0" for name in ("ee0", "alt0", "ee0", "scip0")]


def test_many_names_at_one_place_are_values():
    lines = [f"interface eth{k} is up".encode() for k in range(kn.MOST_NAMES + 1)]
    assert wordings(lines) == ["interface \0 is up"] * len(lines)


def test_the_name_of_a_key_stays():
    assert wordings([b"r24=0x1f a0=7"]) == ["r24=\0 a0=\0"]


WORDS = st.sampled_from([b"ee0", b"alt0", b"L1", b"x", b"12", b"a1", b"a1=", b"fd12", b" ", b" ", b", "])
LINES = st.lists(st.lists(WORDS, min_size=1, max_size=7).map(b"".join), max_size=14)


@given(LINES, st.lists(st.integers(0, 13), max_size=3))
@example([b"ee0 x L1", b"alt0 x L2"], [1])
@example([b"ee0 L1", b"ee1 L2", b"ee2 L1"], [])
def test_wordings_are_those_of_the_naive_reader(lines, cuts):
    lines = [line for line in lines if line.strip()]
    assert wordings(lines, tuple(cuts)) == [w.decode() for w in naive.wordings(lines, kn.MOST_NAMES)]


@given(st.text("aF_19zA=", min_size=1, max_size=8).map(str.encode), st.booleans())
def test_a_name_is_one_for_the_naive_reader_too(word, key):
    word = word.replace(b"=", b"")
    if not any(48 <= byte <= 57 for byte in word):
        return
    buf = padded(word)
    assert kn.is_name(buf, 0, len(word), key) == naive.is_name(word, key)
