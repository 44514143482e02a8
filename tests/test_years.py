"""The year of dates that tell none: by all that a session was fed, in any order; by compressed files too."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import itertools
import json
import lzma
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from l4fast import Session, diagnose
from l4fast import simulate as simulate_job
from l4fast.days import dates_in
from l4fast.years import dated

import naive
from jobs import library
from l4fast_kernels import times
from padded import padded

XID = b"May  7 10:00:05 gpu-1 kernel: NVRM: Xid (PCI:0000:1b:00): 79, pid=1, GPU has fallen off the bus.\n"
TRAIN = (
    "".join(f"2024-05-07 10:00:0{i} [rank{i % 4}] INFO iteration {i + 1}/ 100\n" for i in range(5))
    + "2024-05-07 10:00:06 [rank3] ERROR RuntimeError: CUDA error: unspecified launch failure\n"
).encode()


def told(found) -> dict:
    everything = json.loads(found.to_json())
    del everything["timing"], everything["job"]["paths"]
    return everything


def fed(pieces) -> dict:
    session = Session(library=library())
    for name, data in pieces:
        session.feed(name, data)
    session.end()
    return told(session.diagnose())


def of_folder(folder: Path) -> dict:
    text = diagnose(str(folder), library=library()).to_json()
    everything = json.loads(text.replace(f"{folder}/", ""))
    del everything["timing"], everything["job"]["paths"]
    return everything


@pytest.mark.parametrize("order", list(itertools.permutations([("messages", XID), ("train.log", TRAIN)])))
def test_the_order_of_streams_makes_no_difference(order, tmp_path):
    for name, data in order:
        (tmp_path / name).write_bytes(data)
    found = fed(order)
    assert found == of_folder(tmp_path)
    assert found["action"]["exclude_nodes"] == ["gpu-1"]
    assert found["job"]["first_time"].startswith("2024-05-07T10:00:00")


def test_a_new_year_passes_between_dates_without_one(tmp_path):
    begin = dt.datetime(2026, 12, 31, 23, 59, 30)
    for rank in range(2):
        lines = (
            f"{begin + dt.timedelta(seconds=4 * k):%m-%d %H:%M:%S} rank={rank} step={k} loss=2.5 step_s=4.0\n"
            for k in range(1, 16)
        )
        (tmp_path / f"node{rank}.log").write_text("".join(lines))
    for path in tmp_path.iterdir():
        os.utime(path, (dt.datetime(2027, 1, 2, tzinfo=dt.UTC).timestamp(),) * 2)
    found = of_folder(tmp_path)
    assert (found["job"]["first_time"][:19], found["job"]["last_time"][:19]) == (
        "2026-12-31T23:59:34",
        "2027-01-01T00:00:30",
    )
    assert found["coverage"]["ranks_seen"] == 2
    assert found["iterations"]["last_completed"] == 15


@pytest.mark.parametrize(
    ("suffix", "pack"), [("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress)]
)
def test_a_compressed_log_tells_the_year(tmp_path, suffix, pack):
    (tmp_path / "messages").write_bytes(XID)
    (tmp_path / f"train.log.{suffix}").write_bytes(pack(TRAIN))
    found = of_folder(tmp_path)
    assert found["action"]["exclude_nodes"] == ["gpu-1"]
    assert found["job"]["last_time"].startswith("2024-05-07T10:00:06")


def test_a_damaged_compressed_log_is_no_trouble(tmp_path):
    (tmp_path / "messages").write_bytes(XID)
    packed = gzip.compress(np.random.default_rng(1).bytes(1000).hex().encode() * 50)
    (tmp_path / "torn.log.gz").write_bytes(gzip.compress(TRAIN) + packed[: len(packed) // 2])
    assert of_folder(tmp_path)["coverage"]["unreadable"]


def _jobs() -> list[tuple[str, str | None, int]]:
    return [("k8s", "gpu-xid79", 3), ("megatron", "disk-full", 5), ("nemo", None, 7)]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> list[tuple[dict[str, bytes], dict]]:
    found = []
    for style, fault, seed in _jobs():
        folder = tmp_path_factory.mktemp("job") / "out"
        simulate_job(
            str(folder), nodes=2, ranks_per_node=2, iterations=16, style=style, fault=fault, seed=seed
        )
        logs = folder / "logs"
        old = dt.datetime(2032, 1, 1, tzinfo=dt.UTC).timestamp()
        for path in logs.rglob("*"):
            os.utime(path, (old, old))  # so late that the dates in the logs decide
        files = {str(p.relative_to(logs)): p.read_bytes() for p in logs.rglob("*") if p.is_file()}
        found.append(({name: data for name, data in files.items() if data}, of_folder(logs)))
    return found


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_session_says_what_the_files_say_in_any_order_and_pieces(simulated, data):
    files, want = data.draw(st.sampled_from(simulated))
    random = data.draw(st.randoms(use_true_random=False))
    pieces = {name: cut(content, random) for name, content in files.items()}
    order = []
    while pieces:
        name = random.choice(sorted(pieces))
        for _ in range(random.choice([1, 2, 50])):
            if pieces[name]:
                order.append((name, pieces[name].pop(0)))
        if not pieces[name]:
            del pieces[name]
    found = fed(order)
    # What a folder tells besides its logs.
    for each in (found, want):
        each["coverage"] = {k: v for k, v in each["coverage"].items() if k not in ("layout", "unreadable")}
        each["coverage"]["notes"] = [n for n in each["coverage"]["notes"] if not n.startswith("skipped")]
    assert found == want


def cut(content: bytes, random) -> list[bytes]:
    bounds = sorted(
        {0, len(content), *(random.randrange(len(content)) for _ in range(random.choice([0, 3, 20])))}
    )
    return [content[low:high] for low, high in itertools.pairwise(bounds)]


@given(
    st.lists(st.datetimes(dt.datetime(1999, 1, 1), dt.datetime(2035, 1, 1)), min_size=1, max_size=9),
    st.integers(10_000, 25_000),
    st.sampled_from([("I%m%d %H:%M:%S.%f 1 a.cc:1] x", times.GLOG), ("%m-%d %H:%M:%S,%f x", times.DASHED)]),
)
def test_times_are_dated_as_the_kernel_does(whens, day, written):
    """A time that is dated anew is what its text, read with that day, comes to."""
    whens = [when for when in whens if (when.month, when.day) != (2, 29)]
    form, kind = written
    texts = [when.strftime(form).encode() for when in whens]
    time = np.array(
        [round((w - dt.datetime(1970, 1, 1)) / dt.timedelta(microseconds=1)) for w in whens], np.int64
    )
    want = []
    for text in texts:
        buf = padded(text)
        dates = np.zeros((times.FORMS, 6), np.uint64)
        want.append(times.parse_time(buf, 0, len(text), kind, day, dates)[0])
    assert dated(time, day).tolist() == want
    assert dated(np.array([times.NO_TIME]), day).tolist() == [times.NO_TIME]


PIECES = [b"2024", b"20", b"2", b"/", b"-", b"0", b"01", b"12", b"31", b" ", b"x", b"/2031", b"07/09/2019"]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join))
def test_dates_told_in_full_are_those_that_a_plain_search_finds(text):
    assert dates_in(text) == naive.dates_in(text)


def test_dates_are_found_in_both_notations():
    text = b"[2024-05-07 10:00] a 12/31/2023 b, 2024/05/07: 112/31/2023 2024-13-01 x2024-05-07 2024-02-30"
    found = {str(dt.date(1970, 1, 1) + dt.timedelta(day)): n for day, n in dates_in(text).items()}
    assert found == {"2024-05-07": 2, "2023-12-31": 1}
