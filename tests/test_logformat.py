"""A log format splits the masked text where logparser's regular expression splits each line of it."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from l4fast.canonical import mask
from l4fast.errors import UsageError
from l4fast.logformat import BLANKS, byte_spans, log_format, places
from l4fast.loghub import LOG_FORMATS

import naive

# What may stand between two fields, and a text that fits it.
SEPARATORS = {
    " ": "  ",
    ": ": ": ",
    r"\[": "[",
    r"\]: ": "]: ",
    "-": "-",
    " - ": " -  ",
    "-?": "-",
    ":+ ": ":: ",
    " ab ": " ab ",
    r" ab\[": " ab[",
    "@": "@",
    ",": ",",
    "": "",
    r"\|": "|",
    r"(\[<P>\])?: ": "[12]: ",
    r"( \(<Q>\))?: ": " (a): ",
    " -?": " -",
    "=? ": " ",
    r"\s": " ",
    r"\s+": " ",
}
PIECES = [*" []()-@,|=", "  ", ": ", "ab", "a1", "12", "7b", "\xe9", " - ", "]: "]
TEXT = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@st.composite
def formats_and_lines(draw):
    """A log format, and lines of which one was made to fit."""
    text = line = draw(st.sampled_from(["", "- ", "ab "]))
    for i in range(draw(st.integers(0, 4))):
        between = draw(st.sampled_from(sorted(SEPARATORS)))
        text += f"<F{i}>" + between
        line += draw(TEXT) + SEPARATORS[between]
    end = draw(st.sampled_from(["", "", " -"]))
    assume(all(text.count(name) < 2 for name in ("<P>", "<Q>")))
    return text + "<Content>" + end, [line + draw(TEXT) + end, *draw(st.lists(TEXT, max_size=10))]


def fields_by_shape(text: str, line: bytes) -> list[bytes | None] | None:
    masked, words = mask(line)
    found = log_format(text).spans(masked)
    return (
        None if found is None else [None if s is None else line[slice(*s)] for s in byte_spans(found, words)]
    )


@given(formats_and_lines())
def test_a_masked_text_splits_as_each_of_its_lines_does(both):
    text, lines = both
    for line in lines:
        assert fields_by_shape(text, line.encode()) == naive.split_line(text, line.encode())


@given(formats_and_lines(), st.integers(0, 10**9))
def test_the_places_found_in_one_line_hold_for_all_lines_of_its_raw_shape(both, number):
    text, lines = both
    for first in (line.encode() for line in lines):
        other = re.sub(rb"[0-9]+", str(number).encode(), first)
        masked, words = mask(first)
        found = log_format(text).spans(masked)
        if found is None:
            assert naive.split_line(text, other) is None
            continue
        where = [places(span, words, first) for span in byte_spans(found, words)]
        assert [read(other, *edges) for edges in where] == naive.split_line(text, other)


def read(line, begin, end):
    words = mask(line)[1]

    def at(place):
        word, side, delta = place
        return delta + (words[word][side] if word >= 0 else {-1: 0, -2: len(line)}[word])

    return None if begin[0] == -3 else line[at(begin) : at(end)]


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_each_line_of_the_samples_splits_as_by_the_regular_expression(name, shared_data):
    log = shared_data / "loghub-2k" / name / f"{name}_2k.log"
    if not log.is_file():
        pytest.skip(f"no sample of {name} here")
    lines = re.split(rb"\r\n|\r|\n", log.read_bytes())
    assert len(lines) >= 2000
    for line in lines:
        assert fields_by_shape(LOG_FORMATS[name], line) == naive.split_line(LOG_FORMATS[name], line)


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("<A>1<Content>", "1"),  # it may stand inside a masked word
        ("<A>x<Content>", "x"),
        ("<A> sshd<Content>", "sshd"),
        (r"<A>( sshd)?<Content>", "sshd"),
        ("[<A>] <Content>", "["),
        (r"<A>\d<Content>", r"\d"),
        ("<A>.<Content>", "."),
        ("<A>|<Content>", "|"),
        (r"<A>\s*<Content>", "*"),
        ("(<A> )+<Content>", "+"),
    ],
)
def test_a_format_that_cannot_be_split_by_shape_is_refused(text, piece):
    with pytest.raises(UsageError, match=re.escape(f"because of `{piece}` between its fields")):
        log_format(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<A> <B>", "no <Content>"),
        ("<A> <A> <Content>", "<A> twice"),
        ("(<A> <Content>", "no regular expression"),
    ],
)
def test_a_format_that_says_nothing_is_refused(text, why):
    with pytest.raises(UsageError, match=why):
        log_format(text)


@pytest.mark.parametrize(
    "line", ["word " * 800, "a    b" * 600, "x" + " " * 3000 + "y", "[" * 4000, "a: " * 1300]
)
@pytest.mark.parametrize("name", LOG_FORMATS)
def test_a_line_that_does_not_fit_costs_no_time(name, line):
    form = log_format(LOG_FORMATS[name])
    begun = time.perf_counter()
    form.spans(line.strip(BLANKS))
    assert time.perf_counter() - begun < 2
