"""Chunks -> columns: lines, times, levels, speakers, and shapes; however the bytes are cut."""

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.canonical import MASK, canonical, mask
from l4fast.job import NONE
from l4fast.layouts import peel
from l4fast.parse import Parser
from l4fast.rawshapes import LEVELS, content_place, number_place

from jobs import DAY, at, micros
from padded import padded


def parse(data: bytes, cuts: tuple[int, ...] = (), *, day: int = DAY) -> list[dict[str, object]]:
    """Parse one stream, cut at the line ends in ``cuts`` (numbers of lines); one mapping a row."""
    parser = Parser(reference_day=day)
    lines = data.split(b"\n")
    whole = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    bounds = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    rows: list[dict[str, object]] = []
    offset, first = 0, 1
    for low, high in itertools.pairwise(bounds):
        chunk = b"".join(whole[low:high])
        cols = parser.feed(
            padded(chunk), len(chunk), stream=0, offset=offset, first_line=first, last=high == len(whole)
        )
        for i in range(cols.n):
            rows.append(
                {
                    "text": chunk[cols.start[i] : cols.stop[i]],
                    "line": int(cols.line[i]),
                    "offset": int(cols.offset[i]),
                    "time": int(cols.time[i]),
                    "level": LEVELS[cols.level[i]],
                    "shape": parser.shapes[cols.shape[i]].text,
                    "labels": parser.speakers[cols.speaker[i]].labels,
                    "skip": bool(cols.skip[i]),
                }
            )
        offset += len(chunk)
        first += cols.n_lines
    return rows


def one(line: str) -> dict[str, object]:
    (row,) = parse(line.encode() + b"\n")
    return row


def test_a_row_tells_its_line_and_where_it_stands():
    rows = parse(f"[rank3]: {at(0)} INFO step 1 done\nno header here\n".encode())
    assert [(r["line"], r["offset"], r["shape"]) for r in rows] == [
        (1, 0, "step <*> done"),
        (2, 50, "no header here"),
    ]
    assert rows[0]["time"] == micros(0)
    assert rows[0]["level"] == "info"
    assert rows[0]["labels"] == (("bracket", "rank3"),)
    assert (rows[1]["time"], rows[1]["level"], rows[1]["labels"]) == (NONE, None, ())


@pytest.mark.parametrize(
    ("line", "when"),
    [
        ("2026-03-02 10:00:00,123 INFO x", "2026-03-02 10:00:00.123"),
        ("2026-03-02T10:00:00.123456Z x", "2026-03-02 10:00:00.123456"),
        ("[2026-03-02 10:00:00] x", "2026-03-02 10:00:00"),
        ("03/02/2026 10:00:00 - INFO - x", "2026-03-02 10:00:00"),
        ("I0302 10:00:00.123456 4711 a.cc:1] x", "2026-03-02 10:00:00.123456"),
        ("Mar  2 10:00:00 gpu-1 kernel: x", "2026-03-02 10:00:00"),
        ("2026-03-02 10:00:00.5 x", "2026-03-02 10:00:00.5"),
    ],
)
def test_the_time_of_a_line(line, when):
    expected = dt.datetime.fromisoformat(when) - dt.datetime(1970, 1, 1)
    assert one(line)["time"] == expected // dt.timedelta(microseconds=1)


def test_a_missing_year_is_not_long_after_the_reference_day():
    new_year = (dt.date(2026, 1, 1) - dt.date(1970, 1, 1)).days
    (row,) = parse(b"E1231 23:59:00.000000 1 a.cc:1] x\n", day=new_year)
    assert row["time"] == (dt.datetime(2025, 12, 31, 23, 59) - dt.datetime(1970, 1, 1)).total_seconds() * 1e6


@pytest.mark.parametrize(
    ("letter", "level"), [("I", "info"), ("W", "warning"), ("E", "error"), ("F", "critical")]
)
def test_the_level_that_a_masked_word_holds_is_read_on_each_line(letter, level):
    rows = parse(f"I0302 10:00:00.000000 1 a.cc:1] x\n{letter}0302 10:00:01.000000 1 a.cc:1] x\n".encode())
    assert [r["level"] for r in rows] == ["info", level]
    assert rows[0]["shape"] == rows[1]["shape"]


def test_the_rank_of_a_masked_word_is_read_on_each_line():
    rows = parse(b"".join(b"[rank%d]: step %d\n" % (r, r) for r in (0, 11, 4095)))
    assert [r["labels"] for r in rows] == [(("bracket", f"rank{r}"),) for r in (0, 11, 4095)]
    assert {r["shape"] for r in rows} == {"step <*>"}


def test_segments_of_a_line_share_its_number_and_the_last_stands_for_it():
    rows = parse(b" 1%| | 1/100 [00:01]\r 2%| | 2/100 [00:02]\r 3%| | 3/100 [00:03]\nnext\n")
    assert [(r["line"], r["skip"]) for r in rows] == [(1, True), (1, True), (1, False), (2, False)]
    assert len({r["shape"] for r in rows[:3]}) == 1
    assert (
        rows[3]["offset"]
        == rows[2]["offset"] + rows[3]["offset"]
        == len(b" 1%| | 1/100 [00:01]\r 2%| | 2/100 [00:02]\r 3%| | 3/100 [00:03]\n")
    )


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_however_a_line_ends_it_is_one_line(end):
    rows = parse(b"step 1\r\nstep 2" + end)
    assert [(r["line"], r["text"]) for r in rows if not r["skip"]] == [(1, b"step 1"), (2, b"step 2")]


def test_a_coloured_level_is_a_level():
    assert one("2026-03-02 10:00:00,000 \x1b[31mERROR\x1b[0m boom of 3")["level"] == "error"
    assert one("2026-03-02 10:00:00,000 \x1b[32mINFO\x1b[0m boom of 3")["level"] == "info"


def test_a_message_that_is_glued_to_a_bar_is_a_message():
    (row,) = parse(b" 12%|#         | 12/100 [00:01<00:09,  9.5it/s]RuntimeError: boom 5\n")
    assert row["shape"] == "RuntimeError: boom <*>"


pieces = st.sampled_from(
    [b"", b"[rank3]: ", b"12: ", b"2026-03-02 10:00:00,123 ", b"ERROR ", b"step 5", b" loss: 1.5", b"x",
     b"\t", b"\xc3\xa9", b"\xff", b"\x00", b" 5%|##  | 5/100 [00:01]", b"\x1b[31m", b"|", b"a" * 70, b"\r"]
)  # fmt: skip
logs = st.lists(st.lists(pieces, max_size=5).map(b"".join), max_size=12).map(b"\n".join)


@given(logs)
def test_each_shape_is_that_of_the_line_read_alone(data):
    for row in parse(data):
        assert isinstance(row["text"], bytes)
        masked, _ = mask(row["text"])
        header = peel(masked)
        if "%|" not in masked:  # a bar may be peeled off what is glued to it
            assert row["shape"] == canonical(masked[header.start : header.end])


@given(logs, st.lists(st.integers(1, 11), max_size=4))
def test_where_a_stream_is_cut_makes_no_difference(data, cuts):
    assert parse(data, tuple(cuts)) == parse(data)


@given(logs)
def test_rows_are_the_lines(data):
    rows = parse(data)
    n_lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    assert [r["line"] for r in rows if not r["skip"]] == list(range(1, n_lines + 1))
    for row in rows:
        assert isinstance(row["offset"], int)
        assert data[: row["offset"]].count(b"\n") == row["line"] - 1
        assert row["offset"] == 0 or data[row["offset"] - 1 : row["offset"]] in (b"\n", b"\r")


def test_places_in_a_raw_shape_point_at_numbers():
    parser = Parser(reference_day=DAY)
    line = b"[rank3]: step 12/100\n"
    parser.feed(padded(line), len(line), stream=0, offset=0, first_line=1, last=True)
    (raw,) = parser.raws
    assert raw.content == "step 12/100"
    assert raw.masked == f"[{MASK}]: step {MASK}/{MASK}"
    assert number_place(raw, raw.content.index("12")) == (1, 0, 0)
    assert number_place(raw, raw.content.index("100")) == (2, 0, 0)
    assert number_place(raw, 0) is None
    assert content_place(raw) == (0, 1, 3)  # three bytes behind the first masked word
