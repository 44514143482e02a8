"""A vocabulary that explodes: what collapses is decided by the set of lines, never by their order."""

from __future__ import annotations

import sys
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.buckets import LADDER, WILD, Buckets, text_of, vocabulary
from l4fast.canonical import MASK, mask
from l4fast.joining import join
from l4fast.parse import Parser
from l4fast.reader import Part
from l4fast.vocabularies import together

import naive
from jobs import DAY, at, feed, library, micros
from l4fast_kernels import outlines as ko
from padded import padded

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import itertools

from vocabulary import sample_words

# Small enough that a handful of lines walks down all of it.
SMALL = ((5, 3), (5, 2), (3, 2), (1, 1), (0, 1))
CAP = 12
NAMES = ("kowalski", "nowak", "wisnia", "zielik", "lewand", "dabrow", "kozlow", "mazure")
lines = st.lists(
    st.builds(
        str.format,
        st.sampled_from(
            [
                f"{at(0)} INFO session opened for user {{0}} by root",
                f"[rank3]: {at(0)} WARNING host {{0}}.cluster joined",
                "{0} {1} {2}",
                "step {3} of {0}",
                "RuntimeError: {0} failed",
                "{0}-{3}: {1}",
                "done",
            ]
        ),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.integers(0, 99),
    ),
    max_size=40,
)


def small() -> Buckets:
    return Buckets(SMALL, CAP)


def parsed(chunks: list[list[str]]) -> tuple[Parser, np.ndarray]:
    """Read one stream; return the parser and the lines of each of its shapes."""
    parser, counts, offset, first = Parser(reference_day=DAY, buckets=small()), Counter(), 0, 1
    for number, chunk in enumerate(chunks):
        data = "".join(f"{line}\n" for line in chunk).encode()
        last = number == len(chunks) - 1
        cols = parser.feed(padded(data), len(data), stream=0, offset=offset, first_line=first, last=last)
        counts.update(cols.shape.tolist())
        offset, first = offset + len(data), first + cols.n_lines
    return parser, counts


def told(*read: tuple[Parser, Counter]) -> dict[str, int]:
    """The lines of each shape id, after all parsers are put together."""
    whole = together([parser for parser, _ in read])
    found: Counter[str] = Counter()
    for parser, counts in read:
        for code, n in counts.items():
            stands = whole.collapsed(parser.outlines[code])
            found[parser.shapes[code].text if stands is None else stands[1]] += n
    return dict(found)


def outlines(said: list[str]) -> dict[str, tuple[bytes, ...]]:
    """The outline of each raw shape, as the naive reader sees it."""
    words = known_words()
    return {
        mask(line.encode())[0]: tuple(naive.outline(line.encode(), words, len(ko.WIDTHS))) for line in said
    }


def known_words() -> set[bytes]:
    text = resources.files("l4fast").joinpath("vocabulary.txt").read_bytes()
    return {naive.folded(word) for word in text.split()}


@given(lines, st.randoms(use_true_random=False), st.lists(st.integers(0, 40), max_size=3), st.integers(0, 40))
def test_order_chunks_and_parts_make_no_difference(said, random, cuts, part):
    want = told(parsed([said]))
    assert sum(want.values()) == len(said)
    shuffled = random.sample(said, len(said))
    edges = [0, *sorted(cuts), len(said)]
    pieces = [shuffled[a:b] for a, b in itertools.pairwise(edges)]
    assert told(parsed(pieces)) == want
    assert told(parsed([shuffled[part:]]), parsed([shuffled[:part]])) == want


@given(lines)
def test_what_collapses_is_what_the_naive_reader_finds(said):
    parser, _ = parsed([said])
    step, collapsed = naive.collapsed(outlines(said), SMALL, CAP)
    assert parser.buckets.step == step
    assert parser.buckets.collapsed == collapsed
    assert parser.buckets.weight <= CAP


@given(lines, st.integers(0, 40))
def test_a_job_counts_alike_however_it_is_split(said, cut):
    def job(shares):
        parts = [Part(library(), reference_day=DAY, buckets=small()) for _ in shares]
        for part, share in zip(parts, shares, strict=True):
            for index in share:
                feed(part, index, f"{index}.log", "".join(f"{line}\n" for line in halves[index]))
        return join(parts, 2)

    halves = [said[:cut], said[cut:]]
    one, two = job([[0, 1]]), job([[1], [0]])
    assert one.shapes == two.shapes
    assert one.shape_count.tolist() == two.shape_count.tolist()
    assert one.shape_count.sum() == len(said)
    assert [raw.masked for raw in one.raws] == [raw.masked for raw in two.raws]
    assert one.notes == two.notes
    for name in ("speaker", "shape", "count", "first_line", "last_line", "last_time"):
        assert getattr(one.pairs, name).tolist() == getattr(two.pairs, name).tolist(), name
    assert one.told_of_collapse() == two.told_of_collapse()


def letters(number: int) -> str:
    """A word without a digit for each number, none of them known."""
    return "zq" + "".join(chr(ord("a") + int(digit)) for digit in f"{number:05}")


def grown(n: int) -> str:
    return "".join(f"{at(k)} WARNING user {letters(k)} cannot log in from host{k}\n" for k in range(n))


def grown_job(n: int, **options):
    part = Part(library(), reference_day=DAY, **options)
    feed(part, 0, "a.log", grown(n) + f"{at(n)} INFO training done\n")
    return part, join([part], 1)


def test_up_to_the_most_forms_nothing_collapses():
    most = LADDER[0][1]
    _, job = grown_job(most)
    assert len(job.shapes) == most + 1
    assert job.told_of_collapse() is None


def test_one_form_more_and_all_of_them_are_one_shape():
    n = LADDER[0][1] + 1
    _, job = grown_job(n)
    counts = {s.text: int(k) for s, k in zip(job.shapes, job.shape_count, strict=True)}
    assert counts == {"user <*> cannot log in from <*>": n, "training done": 1}
    assert job.told_of_collapse() == f"1 kind of lines has more than 128 forms, counted as one ({n} lines)"


def test_a_line_of_a_collapsed_bucket_keeps_its_time_level_and_content():
    _, job = grown_job(3000)
    (stands,) = [i for i, raw in enumerate(job.raws) if raw.is_collapsed]
    rows = np.flatnonzero(job.rows.raw == stands)
    assert job.notes[stands].suspect
    assert job.raws[stands].content == "user x cannot log in from 0"
    for row in (rows[0], rows[500], rows[-1]):
        k = int(job.rows.line[row]) - 1
        assert job.content(row) == f"user {letters(k)} cannot log in from host{k}"
        assert job.rows.time[row] == micros(k)
        assert job.level(row) == "warning"


def test_what_came_past_the_cap_costs_no_python():
    part, _ = grown_job(20_000)
    assert len(part.parser.raws) < 1200  # 128 and what one window of the kernel holds


def test_a_second_reading_knows_from_the_begin_what_collapses():
    _, job = grown_job(3000)
    again, _ = grown_job(3000, buckets=job.buckets)
    assert sorted(raw.masked for raw in again.parser.raws) == sorted(raw.masked for raw in job.raws)


@pytest.mark.parametrize(
    ("bucket", "text"),
    [
        ((), "*"),
        ((b"user", b" \x01"), "user *"),
        ((b"user", b" logged"), "user logged *"),
        ((b"user", b" \x01\x02"), "user *"),
        ((b"\x00: done\x02",), "#: done"),
    ],
)
def test_what_a_bucket_says(bucket, text):
    assert text_of(bucket).replace(WILD, "*").replace(MASK, "#") == text


def test_the_words_of_the_failure_library_survive_a_collapse():
    known = known_words()
    missing = {word for word in sample_words() if naive.folded(word.encode()) not in known}
    assert not missing, "run python tools/vocabulary.py"
    assert np.count_nonzero(vocabulary()) == len(known)
