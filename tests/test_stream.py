"""Session and batch are one: pieces, chunks, workers and order do not change the answer."""

import datetime as dt
import gzip
import os

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from l4fast import stream
from l4fast.days import reference_day
from l4fast.errors import NothingToRead, UsageError
from l4fast.stream import Session, diagnose

from jobs import BEGIN, DAY, at, cry, library, steps, text, told

WATCHDOG = "Watchdog caught collective operation timeout: WorkNCCL(SeqNum=71)"
JOB = {
    "node0.log": f"{at(0)} INFO > initializing torch distributed ...\n"
    + steps(range(1, 21), begin=1)
    + f"{at(22)} INFO saving checkpoint at iteration 20 to /ckpt\n"
    + cry(640, 0, WATCHDOG),
    "node1.log": cry(24, 1, "RuntimeError: CUDA error: an illegal memory access was encountered")
    + text(f"[rank1]: frame #{k}: c10::x" for k in range(5)),
    "node2.log": " 5%|# | 5/100 [00:01]\r 6%|# | 6/100 [00:02]\n" + cry(640.1, 2, WATCHDOG) + "größer\n",
    "node3.log": cry(640.2, 3, WATCHDOG) + "an open line",
}


def fed(pieces, names=()) -> Session:
    session = Session(library=library())
    for name in names:
        session.feed(name, b"")
    for name, data in pieces:
        session.feed(name, data)
    return session


def whole() -> dict:
    session = fed((name, content.encode()) for name, content in JOB.items())
    session.end()
    return told(session.diagnose())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("job")
    for name, content in JOB.items():
        (path / name).write_bytes(content.encode())
    return path


def of_files(folder, **options) -> dict:
    """The diagnosis of the files in ``folder``, with their names as a session has them."""
    found = diagnose(str(folder), library=library(), **options).to_json()
    assert str(folder) in found
    everything = orjson.loads(found.replace(f"{folder}/", ""))
    del everything["timing"], everything["job"]["paths"], everything["schema"]
    return everything


def answer_of(session: Session) -> dict:
    return {k: v for k, v in told(session.diagnose()).items() if k not in ("failure_rows", "schema")}


# ------------------------------------------------------------------ the same answer


def test_a_session_and_its_files_tell_the_same(folder):
    session = fed((name, content.encode()) for name, content in JOB.items())
    session.end()
    assert answer_of(session) == of_files(folder)


pieces = st.lists(st.tuples(st.sampled_from(sorted(JOB)), st.integers(1, 400)), max_size=60)


@given(pieces)
def test_odd_pieces_make_no_difference(plan):
    rest = {name: content.encode() for name, content in JOB.items()}
    session = fed([], names=JOB)
    for name, size in plan:
        session.feed(name, rest[name][:size])
        rest[name] = rest[name][size:]
    for name, data in rest.items():
        session.feed(name, data)
    session.end()
    assert told(session.diagnose()) == whole()


@settings(max_examples=20)
@given(st.permutations(sorted(JOB)))
def test_the_order_in_which_streams_appear_makes_no_difference(order):
    session = fed((name, JOB[name].encode()) for name in order)
    session.end()
    found, expected = told(session.diagnose()), whole()
    for rows in (found, expected):
        rows["failure_rows"].sort(key=lambda row: (row["file"], row["line"]))
    assert found == expected


TIED = {f"node{r}.log": f"[rank{r}]: hello\n" for r in range(6)}
TIED["node2.log"] += cry(24, 2, "ValueError: wrong")
TIED["node4.log"] += cry(24, 4, "ValueError: too many")


def test_the_order_of_streams_makes_no_difference_where_times_are_equal():
    answers = []
    for order in (sorted(TIED), sorted(TIED, reverse=True)):
        session = fed((name, TIED[name].encode()) for name in order)
        session.end()
        answers.append(session.diagnose().nodes)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("chunk_bytes", [64, 333, 4096])
def test_the_size_of_chunks_makes_no_difference(folder, monkeypatch, chunk_bytes):
    expected = of_files(folder)
    monkeypatch.setattr(stream, "CHUNK_BYTES", chunk_bytes)
    assert of_files(folder) == expected


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_workers_make_no_difference(folder, workers):
    assert of_files(folder, workers=workers) == of_files(folder)


def test_workers_make_no_difference_to_what_a_line_means(tmp_path):
    (tmp_path / "a.log").write_text("check of the shards: 7 failed\n" + steps(range(1, 4)))
    (tmp_path / "b.log").write_text("check of the shards: 0 failed\n" + cry(10, 0, "ValueError: no"))
    assert of_files(tmp_path, workers=2) == of_files(tmp_path)


def test_the_order_of_paths_makes_no_difference(folder):
    paths = [str(folder / name) for name in JOB]
    answers = []
    for order in (paths, paths[::-1]):
        found = diagnose(order, library=library()).to_dict()
        del found["timing"], found["job"]["paths"]
        answers.append(found)
    assert answers[0] == answers[1]


def test_asking_in_between_makes_no_difference():
    session = Session(library=library())
    for name, content in JOB.items():
        half = len(content) // 2
        for piece in (content.encode()[:half], content.encode()[half:]):
            session.feed(name, piece)
            session.diagnose()
    session.end()
    assert told(session.diagnose()) == whole()


def test_two_runs_tell_the_same(folder):
    assert of_files(folder) == of_files(folder)


# ------------------------------------------------------------------ a session's life


def test_an_open_line_waits_for_its_rest():
    session = fed([("a.log", b"step 1\nstep 2")])
    assert session.diagnose().job["lines"] == 1
    session.feed("a.log", b"\nstep 3\n")
    assert session.diagnose().job["lines"] == 3


def test_the_end_makes_the_open_line_a_line():
    session = fed([("a.log", b"step 1\nstep 2"), ("b.log", b"x")])
    session.end("a.log")
    assert session.diagnose().job["lines"] == 2
    session.end()
    session.end()  # once more does no harm
    assert session.diagnose().job["lines"] == 3


def test_a_stream_that_has_ended_takes_no_more():
    session = fed([("a.log", b"step 1\n"), ("b.log", b"step 1\n")])
    session.end("a.log")
    with pytest.raises(UsageError, match=r"'a\.log' has ended"):
        session.feed("a.log", b"step 2\n")
    session.feed("b.log", b"step 2\n")
    session.end()
    with pytest.raises(UsageError):
        session.feed("b.log", b"step 3\n")
    assert session.diagnose().job["lines"] == 3


def test_the_end_of_a_stream_that_was_never_fed():
    with pytest.raises(UsageError, match=r"no stream 'c\.log'"):
        fed([("a.log", b"x\n")]).end("c.log")


def test_a_session_without_a_word():
    found = Session(library=library()).diagnose()
    assert (found.outcome, found.job["lines"], found.action["verdict"]) == ("unknown", 0, "unknown")


def test_the_answer_comes_while_the_job_runs():
    session = fed([("a.log", steps(range(1, 11)).encode())])
    assert (session.diagnose().outcome, session.diagnose().iterations["last_completed"]) == ("running", 10)
    session.feed("a.log", cry(12, 0, "RuntimeError: boom").encode())
    assert session.diagnose().outcome == "failed"


# ------------------------------------------------------------------ paths


def test_no_worker_is_a_wrong_number(folder):
    with pytest.raises(UsageError):
        diagnose(str(folder), workers=0)


def test_nothing_to_read(tmp_path):
    with pytest.raises(NothingToRead):
        diagnose(str(tmp_path / "none"), library=library())


# ------------------------------------------------------------------ the day of dates without a year


@pytest.mark.parametrize(
    ("heads", "day"),
    [
        ([b"2026-03-02 10:00:00 x"], DAY),
        ([b"03/02/2026 x"], DAY),
        ([b"at 2026-03-02T10:00:00Z", b"/logs/run_2026-03-02_10-00/x"], DAY),
        ([b"2026-03-02 2026-03-02 " * 30, b"licence until 2099-12-31"], DAY),
        ([b"2026-03-01", b"2026-03-02"], DAY),
        ([b"2026-02-30 2026-03-02"], DAY),
    ],
)
def test_the_reference_day(heads, day):
    assert reference_day(heads, None) == day
    assert reference_day(heads, 0.0) == day, "a copy has set the file's date to zero"


@pytest.mark.parametrize(
    ("told", "written", "first"),
    [
        ("", (2026, 11, 22), "2026-01-04"),
        ("", (2026, 1, 4), "2026-01-04"),
        ("", (2026, 1, 3), "2026-01-04"),  # the clock of another zone
        ("", (2026, 1, 2), "2025-01-04"),
        ("DUE TO TIME LIMIT AT 2026-01-04T00:37:04", (2026, 11, 22), "2026-01-04"),
        ("started 2025-12-20", (2026, 2, 1), "2026-01-04"),
        ("started 2025-12-20", (2025, 12, 30), "2025-01-04"),
    ],
)
def test_no_line_is_dated_later_than_its_file(tmp_path, told, written, first):
    log = tmp_path / "a.log"
    log.write_text(f"I0104 10:00:00.000000 1 a.cc:1] step 1 of 9\n{told}\n")
    when = dt.datetime(*written, 12, tzinfo=dt.UTC).timestamp()
    os.utime(log, (when, when))
    assert diagnose([str(log)], library=library()).job["first_time"].startswith(first)


def test_no_answer_depends_on_the_clock_on_the_wall(monkeypatch):
    told_at = []
    for now in (1_600_000_000.0, 1_900_000_000.0):
        monkeypatch.setattr(stream.time, "time", lambda now=now: now)
        session = fed([("a.log", b"I0302 10:00:00.000000 1 a.cc:1] step 1 of 9\n")])
        session.end()
        told_at.append(session.diagnose().job["first_time"])
    assert told_at[0] == told_at[1]


def test_pieces_make_no_difference_to_the_year(tmp_path):
    data = f"I0302 10:00:00.000000 1 a.cc:1] step 1 of 9\n{BEGIN.replace(year=2021)} INFO now\n".encode()
    (tmp_path / "a.log").write_bytes(data)
    session = fed(("a.log", data[k : k + 50]) for k in range(0, len(data), 50))
    session.end()
    assert answer_of(session) == of_files(tmp_path)


def test_a_log_whose_end_is_missing_is_not_called_healthy(tmp_path):
    packed = gzip.compress(steps(range(1, 400), total=9000).encode())
    whole, torn = tmp_path / "whole.log.gz", tmp_path / "torn.log.gz"
    whole.write_bytes(packed)
    torn.write_bytes(packed[: len(packed) * 3 // 4])
    assert (diagnose([str(whole)]).outcome, diagnose([str(whole)]).exit_code) == ("running", 0)
    found = diagnose([str(torn)])
    assert (found.outcome, found.action["verdict"], found.exit_code) == ("unknown", "unknown", 30)
    assert "cut off" in found.coverage["unreadable"][0]["reason"]


def test_text_is_not_fed_for_bytes():
    with pytest.raises(UsageError, match=r"'a': feed bytes .* not str"):
        Session(library=library()).feed("a", "step 1\n")
