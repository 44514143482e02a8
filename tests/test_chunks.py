"""Chunks: no byte is lost or moved, in however small pieces."""

import gzip
import os
import random
import subprocess
import sys
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from l4fast import chunks as cutting
from l4fast.chunks import chunks
from l4fast.discovery import discover
from l4fast.source import Unreadable

from packed import PACK, TEXT, read, stream_of

ODD = st.lists(
    st.sampled_from(
        [b"\n", b"\r\n", b"a", b"\x00", b"\xff\xfe", "é".encode()[:1], b"x" * 70, b"\xef\xbb\xbf"]
    ),
    max_size=60,
).map(b"".join)


@settings(max_examples=150)
@given(ODD, st.integers(1, 300), st.sampled_from(sorted(PACK)), st.booleans())
@example(b"", 1, "", True)
@example(b"\n", 1, "zst", True)
@example(b"no end", 6, "", False)
@example(b"a\n" * 64, 128, "", True)
def test_the_chunks_are_the_bytes(tmp_path_factory, data, chunk_bytes, codec, reuse):
    path = tmp_path_factory.mktemp("chunks") / "x"
    path.write_bytes(PACK[codec](data))

    assert read(path, chunk_bytes=chunk_bytes, reuse=reuse) == (data, [])


@settings(max_examples=100)
@given(
    st.lists(ODD, min_size=1, max_size=6), st.integers(1, 100), st.sampled_from(["gz", "zst", "xz", "bz2"])
)
def test_all_members_and_frames_are_read(tmp_path_factory, parts, chunk_bytes, codec):
    path = tmp_path_factory.mktemp("members") / "x"
    path.write_bytes(b"".join(map(PACK[codec], parts)))

    assert read(path, chunk_bytes=chunk_bytes) == (b"".join(parts), [])


@settings(max_examples=100)
@given(ODD, st.integers(1, 40), st.integers(1, 100), st.sampled_from(["", "gz"]))
@example(b"x" * 70 + b"\n", 10, 4, "")
@example(b"\n" + b"x" * 70, 69, 4, "")
@example(b"x" * 70 + b"\nabc\nab", 5, 100, "gz")
def test_a_long_line_is_cut_and_nothing_else(tmp_path_factory, data, limit, chunk_bytes, codec):
    path = tmp_path_factory.mktemp("long") / "x"
    path.write_bytes(PACK[codec](data))
    problems: list[Unreadable] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "MAX_LINE_BYTES", limit)
        found = [
            (chunk.offset, chunk.data[: chunk.size].tobytes(), chunk.last)
            for chunk in chunks(stream_of(path), chunk_bytes=chunk_bytes, problems=problems)
        ]

    wanted, expected_problems, offset = [], [], 0
    for line in _lines(data):
        text = line.removesuffix(b"\n")
        wanted.append((offset, text[:limit] + line[len(text) :]))
        if len(text) > limit:
            expected_problems.append(f"a line of {len(text)} bytes at byte {offset} was cut to {limit} bytes")
        offset += len(line)
    lines = []
    for at, part, _ in found:
        for line in _lines(part):
            lines.append((at, line))
            at += len(line)
    # Offsets run on inside a chunk, so a cut line must be its chunk's last.
    assert lines == wanted
    assert [problem.reason for problem in problems] == expected_problems
    assert [last for _, _, last in found] == [False] * (len(found) - 1) + [True] * bool(found)


def _lines(data: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def test_a_line_of_a_gigabyte_needs_little_memory(tmp_path):
    path = tmp_path / "x.log"
    with path.open("wb") as file:
        file.write(b"first\n" + b"y" * 8192)
        file.seek(1 << 30)
        file.write(b"\nlast\n")
    code = (
        "import resource, sys; from l4fast.chunks import chunks; from l4fast.discovery import discover\n"
        "found = discover([sys.argv[1]])\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); told = []\n"
        "sizes = [chunk.size for chunk in chunks(found.streams[0], problems=told)]\n"
        "print(peak() - before, sizes, told[0].reason, sep='|')"
    )
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)

    grown_kib, sizes, reason = result.stdout.strip().split("|")
    assert sizes == str([6, (64 << 20) + 1, 5])
    assert reason == f"a line of {(1 << 30) - 6} bytes at byte 6 was cut to 64 MiB"
    assert int(grown_kib) < 3 * 64 << 10


def test_a_chunk_that_is_not_reused_stays(tmp_path):
    path = tmp_path / "x"
    for codec in ("", "gz"):
        path.write_bytes(PACK[codec](TEXT))
        kept = list(chunks(stream_of(path), chunk_bytes=1000, reuse=False))

        assert b"".join(chunk.data[: chunk.size].tobytes() for chunk in kept) == TEXT


@pytest.mark.parametrize("codec", ["gz", "zst", "xz", "bz2"])
def test_a_thread_that_unpacks_ahead_changes_nothing_and_ends(tmp_path, monkeypatch, codec):
    monkeypatch.setattr(cutting, "_AHEAD_BYTES", 1)
    path = tmp_path / "x"
    path.write_bytes(PACK[codec](TEXT))

    assert read(path, chunk_bytes=10_000) == (TEXT, [])

    before = threading.active_count()
    half_read = chunks(stream_of(path), chunk_bytes=10_000)
    next(half_read)
    next(half_read)
    assert threading.active_count() == before + 1
    half_read.close()
    assert threading.active_count() == before


def test_the_buffer_ring_never_overwrites_a_chunk_in_use(tmp_path, monkeypatch):
    monkeypatch.setattr(cutting, "_AHEAD_BYTES", 1)
    rng = random.Random(5)
    data = b"".join(bytes([97 + i % 26]) * rng.choice([1, 5, 400, 3000]) + b"\n" for i in range(3000))
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(data))
    parts = []
    for chunk in chunks(stream_of(path), chunk_bytes=1000):
        first = chunk.data[: chunk.size].tobytes()
        threading.Event().wait(0.0005)  # the thread runs on as far as it may
        assert chunk.data[: chunk.size].tobytes() == first
        parts.append(first)

    assert b"".join(parts) == data


def test_no_descriptor_is_left_open(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(TEXT))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        half_read = chunks(stream_of(path), chunk_bytes=100)
        next(half_read)
        half_read.close()
        discover([str(path)])

    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("data", "offset", "line"),
    [
        (b"one\ntwo\n", 4, b"two"),
        (b"one\ntwo", 4, b"two"),
        (b"one\r\n\n", 0, b"one"),
        (b" 1%\r 2%\r 3%\n", 0, b" 3%"),
        (b"\n\n", 0, b""),
        (b"x" * 99, 0, b"x" * 20),
    ],
)
def test_a_line_is_read_again(tmp_path, data, offset, line):
    log = tmp_path / "a.log"
    log.write_bytes(data)
    (found,) = discover([str(log)]).streams
    assert cutting.line_at(found, offset, most=20) == line
    log.unlink()
    assert cutting.line_at(found, offset) is None
