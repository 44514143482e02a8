"""What groups hold, read by columns: as if each line had been read by itself."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast import fold
from l4fast.job import NONE
from l4fast.readings import Groups, Reading, is_blind
from l4fast.temporal import Progress, iteration_in

from jobs import answer, at, cry, diagnosis, job, library, text
from jobs import read as parts

PATTERNS = [
    r"rank (?P<rank>\d+)(?: of (?P<world>\d+))? failed with (?P<exit_code>-?\d+)",
    r"on (?P<host>[\w.-]+) failed|failed with -?(?P<exit_code2>\d{2,3})",
    r"(?P<code>0x[0-9a-f]+)",
    r"failed with (?P<exit_code>7)$",
    r"(?i)RANK (?P<rank>[1-9]\d*)\b",
    r"nothing (?P<rank>\d+)",
]
lines = st.lists(
    st.tuples(
        st.integers(0, 120),
        st.sampled_from(["", " of 64", " of 8"]),
        st.sampled_from(["", " on gpu-3", " on cn0017.x", " on é7"]),
        st.sampled_from(["7", "-9", "17", "137", "0x1f", "\x1b[1m5"]),
        st.booleans(),
    ),
    max_size=30,
)


def written(said) -> str:
    return text(
        f"{f'[rank{rank}]: {at(1)} ERROR ' if timed else ''}rank {rank}{world}{host} failed with {code}"
        for rank, world, host, code, timed in said
    )


def naive(pattern: re.Pattern[str], line: str) -> dict[str, str]:
    found = pattern.search(line[:2000])
    values: dict[str, str] = {}
    for name, value in (found.groupdict() if found else {}).items():
        if value:
            values.setdefault(name.rstrip("0123456789"), value)
    return values


@given(lines, st.sampled_from(PATTERNS), st.booleans())
def test_groups_are_those_of_each_line(said, pattern, in_lines):
    compiled = re.compile(pattern, re.ASCII)
    read = job({"a.log": written(said)})
    names = ("exit_code", "rank", "host", "code", "world")
    readings = []
    for raw in range(len(read.raws)):
        mine = read.rows_of_raw(raw)
        reading = Reading(read, mine, compiled, in_lines=in_lines)
        readings.append(reading)
        expected = [
            naive(
                compiled, str(read.line_text(0, int(read.rows.line[row]))) if in_lines else read.content(row)
            )
            for row in mine.tolist()
        ]
        assert [reading.at(k) for k in range(len(mine))] == expected
        different, code = reading.distinct(names)
        assert [dict(different[k]) for k in code.tolist()] == expected
        assert len(set(different)) == len(different)
        assert all(
            [name for name, _ in values] == [n for n in names if n in dict(values)] for values in different
        )
        by_part: dict[int, dict[str, str]] = {}
        for places, held in reading.parts():
            columns = {name: reading.texts(name, places) for name in held}
            for i, place in enumerate(places.tolist()):
                by_part[place] = {name: column[i] for name, column in columns.items()}
        assert [by_part[k] for k in range(len(mine))] == expected
    groups = Groups(len(read.rows), readings)
    assert sorted(groups) == list(range(len(read.rows))) and len(groups) == len(read.rows)
    for reading in readings:
        for k, row in enumerate(reading.rows.tolist()):
            assert groups[row] == reading.at(k)


def test_rows_that_nothing_was_read_from_hold_nothing():
    groups = Groups(3)
    assert (groups.get(1, {}), len(groups), 1 in groups) == ({}, 0, False)
    with pytest.raises(KeyError):
        groups[1]


@pytest.mark.parametrize(
    ("pattern", "kept", "held"),
    [
        (PATTERNS[0], 2, {"exit_code": "1"}),
        (r"rank (?P<rank>[1-9]\d*) failed with (?P<exit_code>1)", 2, {"exit_code": "1"}),  # line by line
        (PATTERNS[0], 1, {}),
        (PATTERNS[0], 0, {}),
    ],
)
def test_a_line_whose_text_was_not_kept_names_nobody_but_holds_what_all_others_do(
    monkeypatch, pattern, kept, held
):
    monkeypatch.setattr(fold, "TEXTS_OF_SUSPECT", kept)
    monkeypatch.setattr(fold, "TEXTS_OF_NAMING", kept)
    read = job({"a.log": text(f"rank {rank} failed with 1" for rank in (3, 4, 5))})
    reading = Reading(read, np.arange(3), re.compile(pattern))
    assert reading.at(2) == held
    different, code = reading.distinct(("rank", "exit_code"))
    assert dict(different[code[2]]) == held


def test_a_line_whose_text_was_not_kept_names_no_iteration_and_is_quoted_without_numbers(monkeypatch):
    def all_told():
        lines = "".join(
            cry(k, k, f"RuntimeError: iteration {k} loss is NaN on rank {k}") for k in range(1, 4)
        )
        return job({"a.log": lines})

    whole = all_told()
    rows = np.flatnonzero(whole.rows.text_size >= 0)
    monkeypatch.setattr(fold, "TEXTS_OF_SUSPECT", 1)
    monkeypatch.setattr(fold, "TEXTS_OF_NAMING", 1)
    read = all_told()
    counted = Progress(0, 1, 3, None, None, NONE, NONE, 0, 3)
    assert [iteration_in(whole, row, counted) for row in rows.tolist()] == [1, 2, 3]
    assert [iteration_in(read, row, counted) for row in rows.tolist()] == [1, None, None]
    (event,) = answer(read).events
    assert "iteration 1 " in event["first"]["text"]
    assert not any(char.isdigit() for char in event["last"]["text"])


def test_evidence_that_was_not_kept_is_told(monkeypatch):
    lines = "".join(
        f"gpu-1:77:99 [0] NCCL WARN socketPollConnect: Connect to 10.0.0.{k}<41> failed : refused\n"
        for k in range(40)
    )
    assert not any("not kept" in note for note in diagnosis({"a.log": lines}).coverage["notes"])
    monkeypatch.setattr(fold, "TEXTS_OF_NAMING", 16)
    monkeypatch.setattr(fold, "TEXTS_OF_SUSPECT", 16)
    notes = diagnosis({"a.log": lines}).coverage["notes"]
    assert any("24 of 1 kinds" in note for note in notes), notes


def test_more_lines_are_kept_with_their_text_where_each_may_name_somebody():
    assert fold.TEXTS_OF_NAMING == fold.ROWS_OF_SUSPECT
    lines = text(f"rank: {k}, host: gpu-12" for k in range(3))
    part = parts({"a.log": lines + text(["an error of nobody", "world size: 8"])})[0]
    caps = part.fold.text_caps[[raw.shape for raw in part.parser.raws]].tolist()
    assert [fold.TEXTS_OF_NAMING if note.names else fold.TEXTS_OF_SUSPECT for note in part.notes] == caps
    assert {note.names for note in part.notes} == {True, False}


@pytest.mark.parametrize(
    ("pattern", "blind"),
    [
        (r"rank (?P<rank2>\d{1,5}) of [0-9]+ at 0x[0-9a-f]+\x1b", True),
        (r"Errno 104", False),
        (r"[1-9]\d*", False),
        (r"(a)\1", False),
        (r"(?P<a>\d)(?P=a)", False),
        (r"0x?1", False),
        (r"0x?", False),
        (r"\{3\}", False),
    ],
)
def test_which_patterns_take_all_digits_for_each_other(pattern, blind):
    assert is_blind(pattern) == blind


@given(st.sampled_from(sorted(library().signatures)), st.randoms(use_true_random=False))
def test_a_blind_signature_sees_the_same_whatever_the_digits(name, random):
    signature = library().signatures[name]
    if not is_blind(signature.pattern):
        return
    for sample in (*signature.matches, *signature.spares):
        other = re.sub(
            r"(?a:\d)(?![xX])",
            lambda _: random.choice("123456789"),
            re.sub(r"(?a:[1-9])(?=[xX])", "_", sample),
        )
        sample = re.sub(r"(?a:[1-9])(?=[xX])", "_", sample)
        one, two = signature.regex.search(sample), signature.regex.search(other)
        assert (one is None) == (two is None)
        if one is not None and two is not None:
            assert one.regs == two.regs
