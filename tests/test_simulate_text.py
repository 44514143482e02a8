"""The simulator's bulk text and its sheets: what Python would have written, on the line that is noted."""

from __future__ import annotations

import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from l4fast.simulate_book import Notes, Sheet, write_file
from l4fast.simulate_text import blank_padded, compile_line, fill, hex_text, put_number, stamps


def test_a_line_glued_onto_a_progress_bar_is_one_line(tmp_path):
    notes = Notes()
    items = [
        (3.0, b"frame\n  frame\n", "context"),
        (1.0, b" 5%|bar", None),
        (2.0, b"it failed\n", "root"),
        (0.0, b"all is well\nand so on\n", None),
        (4.0, b"killed\n", "teardown"),
    ]

    write_file(tmp_path, "x/y.log", items, notes)

    text = (tmp_path / "x/y.log").read_text()
    assert text == "all is well\nand so on\n 5%|barit failed\nframe\n  frame\nkilled\n"
    assert [(x.line, x.kind) for x in notes.failures] == [(3, "root"), (6, "teardown")]
    assert notes.context[0].ranges == ((4, 5),)


@given(st.lists(st.integers(0, 10**7 - 1), min_size=1), st.integers(7, 9))
def test_numbers_are_written_as_python_writes_them(numbers, width):
    values = np.array(numbers)
    rows = np.zeros((values.size, width), np.uint8)

    put_number(rows, values)

    assert [bytes(row).decode() for row in rows] == [f"{n:0{width}d}" for n in numbers]
    assert [bytes(row).decode() for row in blank_padded(values, width)] == [f"{n:{width}d}" for n in numbers]
    assert [bytes(row).decode() for row in hex_text(values, width)] == [f"{n:0{width}x}" for n in numbers]


@given(st.lists(st.integers(0, 4 * 10**15), min_size=1, max_size=20))
def test_stamps_are_what_datetime_says(micros):
    micros = [min(micros) + m % (50 * 86_400 * 10**6) for m in micros]
    rows = stamps(np.array(micros) * 1000, digits=6, point=".")

    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    expected = [f"{epoch + timedelta(microseconds=m):%Y-%m-%d %H:%M:%S.%f}" for m in micros]
    assert [bytes(row).decode() for row in rows] == expected


def test_holes_are_filled_and_random_ones_keep_their_range():
    line = compile_line("rank {rank} took {r:10-19} ms at 0x{hex:4}\n", {"rank": 2})

    rows = fill(line, 3, {"rank": np.array([7, 10, 99])}, np.random.default_rng(0))

    texts = [bytes(row).decode() for row in rows]
    assert [text[5:7] for text in texts] == ["07", "10", "99"]
    assert all(re.fullmatch(r"rank \d\d took 1\d ms at 0x[0-9a-f]{4}\n", text) for text in texts)


@given(st.lists(st.sampled_from([b"a\n", b"a\nb\n", b"bar", b"\n"]), max_size=12), st.integers(0, 12))
def test_a_sheet_in_parts_is_the_sheet_in_one(parts, cut):
    kinds = [None, "root", "context", "consequence"]
    items = [(float(i), data, kinds[i % 4]) for i, data in enumerate(parts)]
    with tempfile.TemporaryDirectory() as folder:
        one, two = Notes(), Notes()
        write_file(Path(folder), "one.log", items, one)
        with Sheet(Path(folder), "two.log") as sheet:
            sheet.write(items[:cut])
            sheet.write(items[cut:])
            sheet.tell(two)
        assert (Path(folder) / "one.log").read_bytes() == (Path(folder) / "two.log").read_bytes()
    assert [(x.line, x.kind) for x in one.failures] == [(x.line, x.kind) for x in two.failures]
    assert [x.ranges for x in one.context] == [x.ranges for x in two.context]
