"""What each variable of a template stands for, as files have it: what a plain reader makes of each line."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from l4fast.canonical import mask
from l4fast.exemplars import MASKED_CHARS
from l4fast.layouts import peel
from l4fast.parameters import Parameters, value_spans
from l4fast.parse import Parser
from l4fast.rawshapes import byte_of, peel_bar
from l4fast.table import COLUMNS
from l4fast.write import write

import naive

Row = tuple[str | None, list[str], list[str]]


def rows_of(data: bytes, folder: Path, suffix: str = ".parquet", **options) -> list[Row]:
    """Write a log, read what was written, and return (template, values, types) of each row."""
    log, out = folder / "some.log", folder / f"out{suffix}"
    log.write_bytes(data)
    write(log, out, params=True, **options)
    lines, templates = read_back(out), read_back(out.with_suffix(f".templates{suffix}"))
    assert [lines.schema.field(name).type for name in ("values", "types")] == [
        COLUMNS[name].type for name in ("values", "types")
    ]
    text = dict(zip(templates["template_id"].to_pylist(), templates["template"].to_pylist(), strict=True))
    columns = (lines[name].to_pylist() for name in ("template", "values", "types"))
    return [(text[t], values, types) for t, values, types in zip(*columns, strict=True)]


def read_back(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    with pa.ipc.open_file(path) as file:
        return file.read_all()


def content_of(line: bytes) -> bytes:
    masked, words = mask(line)
    header, _ = peel_bar(masked, peel(masked))
    begin, end = (byte_of(at, masked, words) for at in (header.start, header.end))
    return line[begin:end].strip(b" \t\n\r\f\v")


PIECES = [
    b" ",
    b"  ",
    b": ",
    b"[",
    b"]",
    b"ab",
    b"a1",
    b"12",
    b"3.5",
    b"-",
    b",",
    b'"',
    b"\t",
    b"/a/b",
    b"x=3",
]
PIECES += [b"\xff", b"\xff1", b"\xc3\xa9", b"\xe2\x82", b"\xed\xa0\x80", b"10.0.0.1", b"5 ms", b"true", b"\r"]
LINES = st.lists(st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join), max_size=12)


@given(LINES, st.sampled_from([".parquet", ".arrow"]), st.sampled_from([1, 50, 1 << 20]))
@example([b"step 1 took 5 ms", b"10%\r20%\rdone 3", b"", b"\xff open 7"], ".arrow", 50)
def test_values_are_what_a_plain_reader_finds_in_the_line(lines, suffix, chunk_bytes):
    data = b"2024-05-08 08:47:31 INFO first 1 of 2\n" + b"\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(data, Path(folder), suffix, chunk_bytes=chunk_bytes)

    segments = [segment for *_, segment in naive.lines(data)]
    for (template, values, types), line in zip(rows, segments, strict=True):
        want = naive.values(template, content_of(line))
        assert values == [value.decode("utf-8", "replace") for value in want]
        assert len(types) == len(values) in (0, template.count("<*>"))
    assert rows[0] == ("first <*> of <*>", ["1", "2"], ["integer", "integer"])


@pytest.mark.parametrize(
    ("line", "template", "values", "types"),
    [
        ("step 5 took 12 ms", "step <*> took <*> ms", "5|12", "integer duration"),
        ("took 12.5ms, 40% of 80GiB", "took <*>, <*>% of <*>", "12.5ms|40|80GiB", "duration percent size"),
        ("held 3.5 GB of 7 things", "held <*> GB of <*> things", "3.5|7", "size integer"),
        ("peer 10.0.0.4:29500 lost", "peer <*>:<*> lost", "10.0.0.4|29500", "ip integer"),
        ("GET http://a.b/c?d=1 done", "GET http://<*> done", "a.b/c?d=1", "url"),
        ("saved /ckpt/iter_01/m.pt now", "saved <*> now", "/ckpt/iter_01/m.pt", "path"),
        ("at 0x7f2c lr 1e-05 of node7", "at <*> lr <*> of <*>", "0x7f2c|1e-05|node7", "hex decimal word"),
        ("moved a1 7", "moved <*> <*>", "a1|7", "word integer"),
        ("no value", "no value", "", ""),
    ],
)  # fmt: skip
def test_values_have_types(tmp_path, line, template, values, types):
    want = (template, values.split("|") if values else [], types.split())
    assert rows_of(b"2024-05-08 08:47:31,123 INFO [rank3]: %s\n" % line.encode(), tmp_path) == [want]


@pytest.mark.parametrize(
    ("line", "template", "values"),
    [
        (b"10%\r20%\rdone 3", "done <*>", ["3"]),
        (b"caf\xff open 7", "caf\ufffd open <*>", ["7"]),
        (b"name \xff7 open", "name <*> open", ["\ufffd7"]),
        (b"na\x00me 7 open", "na?me <*> open", ["7"]),
        (b"\x1b[32mloss 7 of\x1b[0m 8", "loss <*> of <*>", ["7", "8"]),
        (b"-------- 7 --------", "--- <*> ---", ["7"]),
        (b" 10%|##   | 1/10 [00:01<00:09, 1it/s]step 7 done", "step <*> done", ["7"]),
        (b"   \t  value 7  \t ", "value <*>", ["7"]),
        (b"", "", []),
        (b"x 1 " + b"-a " * MASKED_CHARS + b"9", None, ["1"]),
    ],
)
def test_odd_lines_have_values_too(tmp_path, line, template, values):
    for data in (line + b"\n", line):
        rows = rows_of(data or b"\n", tmp_path)
        assert [got for _, got, _ in rows] == [values]
        assert template is None or rows[0][0] == template


def test_a_template_that_does_not_fit_has_no_values():
    parser = Parser()
    log = pa.py_buffer(b"step 1 of 2\n" + bytes(192))
    parser.feed(np.frombuffer(log, np.uint8).copy(), 12, stream=0, offset=0, first_line=1, last=True)
    (raw,) = parser.raws
    held = Parameters()
    for template in ("step <*> of <*>", "stop <*> of <*>", None, "step <*>"):
        held.add(raw, template)

    assert value_spans(raw, "stop <*> of <*>") == []
    assert held.plan.first_param.tolist() == [0, 2, 2, 2, 3]
    assert held.plan.n_words.tolist() == [2, 0, 0, 2]
    assert held.plan is held.plan
    assert len(held) == 4
