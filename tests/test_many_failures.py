"""A failure that is told very often: its last line is shown as it was written, and lines cost little."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from l4fast import diagnose, fold, stream
from l4fast.failure_rows import FailureRows

from jobs import at, library, steps


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(fold, "TEXTS_OF_SUSPECT", 50)
    lines = "".join(f"{at(60 + k / 10)} [rank3]: RuntimeError: boom number {k}\n" for k in range(300))
    log = tmp_path / "a.log"
    log.write_text(steps(range(1, 20)) + lines)
    return log


def test_the_last_line_is_the_line(job):
    event = diagnose(job, library=library()).events[0]
    assert event["count"] == 300
    assert event["last"]["text"] == f"{at(60 + 29.9)} [rank3]: RuntimeError: boom number 299"
    assert event["first"]["text"] == f"{at(60)} [rank3]: RuntimeError: boom number 0"


def test_a_line_that_cannot_be_read_again_is_told_by_its_words(job, monkeypatch):
    monkeypatch.setattr(stream, "line_at", lambda *_: None)
    assert diagnose(job, library=library()).events[0]["last"]["text"].endswith("boom number <*>")


def test_failure_rows_cost_their_columns(job):
    n = 100_000
    events = ({"role": "root", "event_id": "e", "template_id": "t", "signature": None},)
    tracemalloc.start()
    rows = FailureRows(
        ("a.log",), events, np.zeros(n, np.int32), np.arange(n), np.arange(n), np.zeros(n, np.int32)
    )
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 40 * n
    assert rows.as_list()[7] == {"file": "a.log", "line": 7, "offset": 7, **events[0]}
    found = diagnose(job, library=library())
    assert [row["line"] for row in found.failure_rows] == list(range(20, 320))


def test_there_are_no_more_workers_than_processors(tmp_path, monkeypatch):
    for k in range(9):
        (tmp_path / f"{k}.log").write_text(steps(range(1, 9)))
    parts = []
    monkeypatch.setattr(stream, "processors", lambda: 3)
    monkeypatch.setattr(stream, "join", lambda read, *a, **k: parts.append(len(read)) or join(read, *a, **k))
    for workers in (1, 2, 3000):
        diagnose(tmp_path, workers=workers, library=library())
    assert parts == [1, 2, 3]


join = stream.join
