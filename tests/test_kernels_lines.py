"""Lines and their raw shapes, against Python's own line ends and the naive mask."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from l4fast.lines import LineReader

import naive
from padded import padded

PIECES = [b"a", b"1", b"b2", b" ", b"-", b"\n", b"\r", b"\r\n", b"\xff", b"\x00"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)


def read(reader: LineReader, data: bytes) -> tuple[list[bytes], list[int], list[int]]:
    found = reader.read(padded(data), len(data))
    bounds = zip(found.start, found.stop, strict=True)
    return [data[a:b] for a, b in bounds], found.code.tolist(), found.fresh.tolist()


@given(st.lists(TEXT, min_size=1, max_size=3))
@example([b""])
@example([b"\n\r\r\n\n\r"])
@example([b"no end"])
def test_lines_and_codes_are_those_of_a_plain_reader(chunks):
    reader = LineReader()
    all_lines, all_codes, all_fresh = [], [], []
    for chunk in chunks:
        lines, codes, fresh = read(reader, chunk)
        assert lines == naive.text_lines(chunk)
        all_fresh += [len(all_lines) + row for row in fresh]
        all_lines += lines
        all_codes += codes
    wanted = naive.codes([naive.masked(line) for line in all_lines])
    assert all_codes == wanted
    assert all_fresh == [wanted.index(code) for code in range(len(set(wanted)))]
    assert reader.n_shapes == len(set(wanted))


def test_more_raw_shapes_than_the_first_table_holds_keep_their_codes():
    names = [bytes([97 + i // 676, 97 + i // 26 % 26, 97 + i % 26]) for i in range(9000)]
    names = list(dict.fromkeys(names))
    data = b"".join(b"%s 1\n" % name for name in names)
    reader = LineReader()
    _, first, fresh = read(reader, data)
    assert first == fresh == list(range(len(names)))
    _, again, none = read(reader, data)
    assert (again, none) == (first, [])
