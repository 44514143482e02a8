"""Batches: one row a line, each column what its naive reading says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from l4fast.batches import _Names
from l4fast.canonical import shape_id
from l4fast.parse import Parser
from l4fast.table import COLUMNS, as_strings, batch, pieces, schema, templates_table

import naive
from padded import padded

WORDS = [b"a", b"x9", b"12", b" ", b": ", b"3.5", b"\xc3\xa97", b"\xff1", b"[", b"-", b"\x00"]
DATA = st.lists(st.sampled_from([*WORDS, b"\n", b"\r", b"\r\n"]), max_size=80).map(b"".join)


def batch_of(data: bytes, *names: str, name: str = "train.log") -> pa.RecordBatch:
    parser = Parser(reference_day=20_000)
    cols = parser.feed(padded(data), len(data), stream=0, offset=0, first_line=1, last=True)
    return batch(cols, _Names([name]).codes(parser), schema(text="text" in names, params="params" in names))


@given(DATA)
@example(b"")
@example(b"\n\n")
@example(b"\r\r\n1")
@example(b"10%\r20%\rdone 3\r\n\r\nlast")
def test_a_row_is_a_line(data):
    got = batch_of(data, "text", "params")

    want = naive.lines(data)
    assert got["line"].to_pylist() == [number for number, *_ in want]
    assert got["offset"].to_pylist() == [offset for _, offset, *_ in want]
    assert got["length"].to_pylist() == [len(line) for _, _, line, _ in want]
    assert got["text"].to_pylist() == [line for _, _, line, _ in want]
    assert got["params"].to_pylist() == [
        [piece[a:b].decode("utf-8", "replace") for a, b in naive.words_with_digits(piece)]
        for *_, piece in want
    ]
    got.validate(full=True)


@given(DATA)
def test_pieces_are_cut_out(data):
    segments = naive.segments(data)
    start = np.array([s[0] for s in segments], np.int32)
    stop = np.array([s[1] for s in segments], np.int32)

    got = pieces(padded(data), len(segments), start, stop)

    assert got.to_pylist() == [data[a:b] for a, b, *_ in segments]
    got.validate(full=True)


def test_the_header_becomes_columns_and_the_rest_a_shape():
    data = (
        b"2024-05-08 08:47:31,123 ERROR [rank3]: lost peer 17\n"
        b"lost peer 18\n"
        b"2024-05-08T08:47:32Z WARNING odd\n"
    )

    got = batch_of(data)

    assert got["time"].cast(pa.string()).to_pylist() == [
        "2024-05-08 08:47:31.123000", None, "2024-05-08 08:47:32.000000",
    ]  # fmt: skip
    assert got["level"].to_pylist() == ["error", None, "warning"]
    assert got["rank"].to_pylist() == [3, None, None]
    assert got["shape"].to_pylist()[:2] == [shape_id("lost peer <*>")] * 2


def test_a_task_number_is_not_taken_for_a_rank_before_the_job_is_whole():
    got = batch_of(b"3: step 1\n4: step 1\n", name="logs/node-a7/train.log")

    assert got["rank"].null_count == 2
    assert (
        got["node"].to_pylist() == batch_of(b"step\n" * 2, name="logs/node-a7/train.log")["node"].to_pylist()
    )


@pytest.mark.parametrize("names", [(), ("text",), ("params",), ("text", "params")])
def test_a_batch_has_the_columns_that_were_asked_for(names):
    got = batch_of(b"step 1\n", *names)

    always = [name for name, column in COLUMNS.items() if column.always]
    assert got.schema.names == always + list(names)
    assert [field.type for field in got.schema] == [COLUMNS[name].type for name in got.schema.names]
    assert all(column.told for column in COLUMNS.values())


def test_a_batch_holds_nothing_of_the_chunk():
    parser = Parser()
    buf = padded(b"step 1 \xc3\xa92\n")
    cols = parser.feed(buf, 11, stream=0, offset=0, first_line=1, last=True)
    got = batch(cols, _Names(["a"]).codes(parser), schema(text=True, params=True))

    buf[:] = ord("#")

    assert got["text"].to_pylist() == [b"step 1 \xc3\xa92"]
    assert got["params"].to_pylist() == [["1", "é2"]]


@given(st.lists(st.one_of(st.binary(max_size=6), st.text(max_size=4).map(str.encode)), max_size=12))
@example([b"\xff", b"ok", b"", b"\xc3\xa9", b"\xe2\x82"])
def test_broken_utf8_is_replaced_and_the_rest_is_kept(words):
    got = as_strings(pa.array(words, pa.binary()))

    assert got.type == pa.string()
    assert got.to_pylist() == [word.decode("utf-8", "replace") for word in words]
    got.validate(full=True)


def test_the_template_table_is_ordered_by_shape():
    rows = [("b", "t", "x <*>", 2), ("a", "t", "x <*>", 1)]

    assert templates_table(rows).to_pydict() == {
        "shape": ["a", "b"], "template_id": ["t", "t"], "template": ["x <*>", "x <*>"], "count": [1, 2],
    }  # fmt: skip
    assert templates_table([]).num_rows == 0
