"""A log -> rows: each line's fields, template and parameters, as a plain reader of each line has them."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from l4fast import structured
from l4fast.canonical import MASK, canonical, shape_id
from l4fast.errors import DataError
from l4fast.logformat import log_format
from l4fast.notation import full_style, styled
from l4fast.source import Stream
from l4fast.structured import Parsed, write_structured, write_templates
from l4fast.templates import derive

import naive
from l4fast_kernels.names import MOST_NAMES

FORMATS = ["<Content>", "<A> <Content>", r"<A>(\[<PID>\])?: <Content>", r"\[<A>\] <B>-<Content>"]


def rows_of(data: bytes, text: str, folder, **options) -> tuple[bytes, Parsed]:
    log = folder / "some.log"
    log.write_bytes(data)
    out = io.BytesIO()
    stream = Stream(str(log), str(log), "", len(data), None, str(log))
    parsed = write_structured(stream, log_format(text), out, keep_templates=True, **options)
    return out.getvalue(), parsed


def naive_rows(data: bytes, text: str, labels: str) -> bytes:
    """Return the CSV file, made line by line."""
    names = re.findall("<([^<>]+)>", text)
    lines = [line.replace(b"\x00", b"\x01") for line in naive.text_lines(data)]
    worded = naive.wordings(lines, MOST_NAMES)
    fits = [i for i, line in enumerate(lines) if naive.split_line(text, line)]
    split = [naive.split_line(text, naive.text_lines(data)[i]) for i in fits]
    contents = [fields[names.index("Content")] for fields in split]
    said = [naive.split_line(text, worded[i])[names.index("Content")] for i in fits]
    said = [canonical(content.decode("latin-1").replace("\0", MASK)) for content in said]
    template_of = derive(said)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["LineId", *names, "EventId", "EventTemplate", "ParameterList"])
    for i, (fields, content) in enumerate(zip(split, contents, strict=True)):
        template = styled(template_of[said[i]].text, labels)
        shown = [(field or b"").decode("utf-8", "replace") for field in fields]
        values = [value.decode("utf-8", "replace") for value in naive.parameters(template, content)]
        writer.writerow([i + 1, *shown, shape_id(template), template, repr(values)])
    return out.getvalue().encode()


def as_values(rows: bytes) -> list[list[object]]:
    """Return the rows with their lists of parameters read: escapes may be written in several ways."""
    read = list(csv.reader(io.StringIO(rows.decode(), newline="")))
    return [read[0], *([*row[:-1], eval(row[-1], {})] for row in read[1:])]


PIECES = [b" ", b"  ", b": ", b"[", b"]", b"ab", b"a1", b"12", b"-", b",", b'"', b"'", b"\\", b"\t", b"\x00"]
PIECES += [
    b"\x1b",
    b"\xff",
    b"\xc3\xa9",
    b"\xe2\x82",
    b"\xf0\x9f\x98\x80",
    b"\xed\xa0\x80",
    b"\x7f",
    b"x=3",
    b"\r",
]
LINES = st.lists(st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join), max_size=12)


@given(LINES, st.sampled_from(FORMATS), st.sampled_from(["2k", "full"]), st.sampled_from([1, 50, 1 << 20]))
@example([b"a, b: c 1", b'"q": "7"'], FORMATS[2], "2k", 50)
def test_each_row_is_what_a_plain_reader_makes_of_the_line(
    tmp_path_factory, lines, text, labels, chunk_bytes
):
    data = b"first: line 1 says 'it''s' 22\n" + b"\n".join(lines)
    folder = tmp_path_factory.mktemp("rows")
    rows, _ = rows_of(data, text, folder, labels=labels, chunk_bytes=chunk_bytes)
    assert as_values(rows) == as_values(naive_rows(data, text, labels))
    plain, _ = rows_of(data, text, folder, labels=labels, chunk_bytes=chunk_bytes, keep_para=False)
    assert plain.splitlines(keepends=True)[1:] == without_lists(naive_rows(data, text, labels))


def without_lists(rows: bytes) -> list[bytes]:
    """Return the bytes of the rows without their last column."""
    out = io.StringIO()
    read = list(csv.reader(io.StringIO(rows.decode(), newline="")))[1:]
    csv.writer(out, lineterminator="\n").writerows(row[:-1] for row in read)
    return out.getvalue().encode().splitlines(keepends=True)


def test_rows_that_fill_the_room_again_and_again_are_the_same(tmp_path, monkeypatch):
    data = b"".join(b"step %d: loss %d.5 of run%d\n" % (i, i * i, i % 7) for i in range(500))
    whole, _ = rows_of(data, FORMATS[2], tmp_path)
    monkeypatch.setattr(structured, "OUT_BYTES", 1)
    assert rows_of(data, FORMATS[2], tmp_path)[0] == whole
    assert whole.count(b"\n") == 501


def test_a_row_of_the_worst_bytes_fits_into_its_room(tmp_path, monkeypatch):
    monkeypatch.setattr(structured, "OUT_BYTES", 1)
    for byte in (b"\xff", b'"', b"\x01", b"'", b"\\"):
        data = b"a 1" + byte * 300 + b"2 b\n"
        assert as_values(rows_of(data, "<A> <Content>", tmp_path)[0]) == as_values(
            naive_rows(data, "<A> <Content>", "2k")
        )


def test_lines_that_do_not_fit_have_no_row_and_are_counted(tmp_path):
    rows, parsed = rows_of(b"a: b 1\nno colon\n\nc: d\r\ne: f 2\n", FORMATS[2], tmp_path)
    assert [row[0] for row in as_values(rows)[1:]] == ["1", "2", "3"]
    assert (parsed.lines, parsed.unmatched) == (3, 2)
    assert [parsed.templates[k].text for k in parsed.template] == ["b <*>", "d", "f <*>"]
    assert parsed.count.tolist() == [1, 1, 1]


def test_a_log_of_which_no_line_fits_has_a_header_only(tmp_path):
    rows, parsed = rows_of(b"no colon\n" * 3, FORMATS[2], tmp_path)
    assert rows == b"LineId,A,PID,Content,EventId,EventTemplate,ParameterList\n"
    assert (parsed.lines, parsed.unmatched, parsed.templates) == (0, 3, ())


def test_templates_are_listed_with_their_lines(tmp_path):
    _, parsed = rows_of(b'x: say "a, b" 1\nx: done\nx: say "a, b" 2\n', FORMATS[2], tmp_path)
    out = io.BytesIO()
    write_templates(out, parsed)
    head, first, second = csv.reader(io.StringIO(out.getvalue().decode()))
    assert head == ["EventId", "EventTemplate", "Occurrences"]
    assert first == [shape_id('say "a, b" <*>'), 'say "a, b" <*>', "2"]
    assert second == [shape_id("done"), "done", "1"]


def test_a_log_that_changes_between_the_passes_is_refused(tmp_path, monkeypatch):
    def derive_late(texts):
        (tmp_path / "some.log").write_bytes(b"z: b 1\n")
        return derive(texts)

    monkeypatch.setattr(structured, "derive", derive_late)
    with pytest.raises(DataError, match="changed while it was read"):
        rows_of(b"a: b 1\n", FORMATS[2], tmp_path)


@pytest.mark.parametrize(
    ("template", "joined"),
    [
        ("from <*>:<*> to <*>", "from <*> to <*>"),
        ("<*>.<*>.<*>:<*>/<*>", "<*>"),
        ("<*>@<*>#<*><*>", "<*>"),
        ("user \"<*>\" in '<*>' is #<*># or #<*> now", "user <*> in <*> is <*> or <*> now"),
        ('"<*>" at the begin and the end #<*>', '"<*>" at the begin and the end #<*>'),
        ("<*>-<*> <*> , <*>", "<*>-<*> <*> , <*>"),
    ],
)
def test_the_notation_of_the_full_logs_joins_variables(template, joined):
    assert full_style(template) == joined
    assert full_style(joined) == joined
    assert styled(template, "2k") == template
