"""Lines that come in pieces: whole ones at once, long ones cut as those of files, at linear cost."""

from __future__ import annotations

import itertools
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from l4fast import Baseline, Session, chunks, diagnose, openlines
from l4fast.openlines import OpenLines

from jobs import library, steps

MOST = 16


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(chunks, "MAX_LINE_BYTES", MOST)
    monkeypatch.setattr(openlines, "PIECE_BYTES", 8)


def naive(data: bytes) -> tuple[bytes, list[int]]:
    """Return the data with lines cut, and how long each line was that was cut."""
    ended = data.endswith(b"\n")
    lines = data.split(b"\n")[: -1 if ended else None]
    long = [len(line) for line in lines if len(line) > MOST]
    return b"\n".join(line[:MOST] for line in lines) + b"\n" * ended, long


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from([b"\n", b"ab", b"x" * 7, b"y" * 16, b"z" * 40]), max_size=12).map(b"".join),
    st.lists(st.integers(0, 99), max_size=6),
)
def test_lines_are_whole_and_long_ones_cut(data, cuts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "MAX_LINE_BYTES", MOST)
        patch.setattr(openlines, "PIECE_BYTES", 8)
        lines, found = OpenLines("a"), []
        for low, high in itertools.pairwise(sorted({0, len(data), *(c for c in cuts if c < len(data))})):
            found += list(lines.add(data[low:high]))
            assert len(lines._held) <= MOST, "no more is held than is needed"
        assert all(text.endswith(b"\n") for text, _, _ in found)
        found += list(lines.rest())
    want, long = naive(data)
    assert b"".join(text for text, _, _ in found) == want
    assert [p.reason.split()[3] for p in lines.problems] == [str(n) for n in long]
    assert sum(len(text) + cut for text, _, cut in found) == lines.offset == len(data)
    for (text, begin, cut), (_, following, _) in itertools.pairwise(found):
        assert begin + len(text) + cut == following


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_long_line_is_told_as_in_a_file(short, tmp_path, end, monkeypatch):
    data = b"INFO step 1\n" + b"x" * 50 + end
    (tmp_path / "a.log").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    session = Session(library=library())
    for k in range(0, len(data), 5):
        session.feed("a.log", data[k : k + 5])
    session.end()
    fed, read = session.diagnose(), diagnose("a.log", library=library())
    assert fed.job == read.job and fed.job["bytes"] == len(data)
    assert fed.coverage["unreadable"] == read.coverage["unreadable"]
    assert "a line of 50 bytes at byte 12 was cut to 16 bytes" in fed.coverage["unreadable"][0]["reason"]


def test_an_open_line_costs_as_much_as_its_bytes():
    lines, piece = OpenLines("a"), b"x" * 4096
    begun = time.process_time()
    for _ in range(1 << 13):  # 32 MiB
        assert not list(lines.add(piece))
    assert time.process_time() - begun < 2, "it took 15 s when all that is held was searched for each piece"


def test_paths_may_be_paths(tmp_path):
    log, base = tmp_path / "a.log", tmp_path / "b.l4b"
    log.write_text(steps(range(1, 9)))
    Baseline.learn({"x": 1}, {}).save(str(base))
    for paths, baseline in ((log, base), ([log], [base]), (str(log), log)):
        assert diagnose(paths, baseline, library=library()).coverage["baseline"] == "given"


@pytest.mark.parametrize(
    ("name", "shown"), [("a\udcff.log", "a\\xff.log"), ("a\ud800", "a\\ud800"), ("größe", "größe")]
)
def test_a_stream_may_have_any_name(name, shown):
    session = Session(library=library())
    session.feed(name, steps(range(1, 9)).encode())
    found = json.loads(session.diagnose().to_json())
    assert found["job"]["paths"] == [shown]
