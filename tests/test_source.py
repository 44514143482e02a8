"""Reading: what is found, what is left out and said, and that no byte is lost or moved."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import random
import resource
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from l4fast import chunks as cutting
from l4fast import codecs, source
from l4fast.chunks import chunks
from l4fast.discovery import discover
from l4fast.errors import NothingToRead
from l4fast.source import Stream, Unreadable, spool


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(data)


PACK = {"": bytes, "gz": gzip.compress, "zst": zst, "xz": lzma.compress, "bz2": bz2.compress}
TEXT = b"".join(b"step %d of the run, loss %f\n" % (i, 1 / (i + 1)) for i in range(20_000))


def stream_of(path: Path) -> Stream:
    data = path.read_bytes()
    return Stream(str(path), str(path), codecs.codec_of(data), len(data), None, str(path))


def read(path: Path, **options) -> tuple[bytes, list[str]]:
    """Return the chunks' bytes joined, and the problems; check on the way what every chunk promises."""
    problems: list[Unreadable] = []
    parts: list[bytes] = []
    last = False
    for chunk in chunks(stream_of(path), problems=problems, **options):
        assert not last, "a chunk after the last"
        assert chunk.data.dtype == np.uint8
        assert chunk.data.ctypes.data % 64 == 0
        assert chunk.data.size >= chunk.size + 128
        assert not chunk.data[chunk.size :].any()
        assert chunk.size > 0
        part = chunk.data[: chunk.size].tobytes()
        last = chunk.last
        assert last or part.endswith(b"\n")
        assert chunk.offset == sum(map(len, parts))
        parts.append(part)
    assert last or not parts
    return b"".join(parts), [problem.reason for problem in problems]


# ------------------------------------------------------------------------- chunks

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


# ------------------------------------------------------------------------- damage


@pytest.mark.parametrize("codec", ["gz", "zst", "xz", "bz2"])
@pytest.mark.parametrize("cut", [0.999, 0.5, 0.2])
def test_truncated_data_gives_its_good_part(tmp_path, codec, cut):
    # Incompressible enough that each codec has several blocks.
    rng = random.Random(3)
    data = b"".join(b"%x\n" % rng.getrandbits(400) for _ in range(20_000 if codec != "xz" else 4_000))
    packed = PACK[codec](data)
    path = tmp_path / "x"
    path.write_bytes(packed[: int(len(packed) * cut)])

    good, (problem,) = read(path)

    assert data.startswith(good)
    # bz2 and zst unpack whole blocks of up to 900 kB and 128 KiB.
    assert len(good) >= len(data) * cut - 950_000 * (codec == "bz2") - 140_000
    assert f"cut off at byte {int(len(packed) * cut)}" in problem


def test_a_gzip_cut_by_a_crash_gives_its_last_words(tmp_path):
    packed = gzip.compress(TEXT)
    path = tmp_path / "x"
    path.write_bytes(packed[:-8])

    good, (problem,) = read(path)

    assert good == TEXT
    assert problem.startswith(f"its gz data is cut off at byte {len(packed) - 8}")


@pytest.mark.parametrize("codec", ["gz", "zst", "xz", "bz2"])
def test_a_wrong_checksum_loses_no_data(tmp_path, codec):
    packed = bytearray(PACK[codec](TEXT))
    where = {"gz": -6, "zst": -2, "xz": -1, "bz2": -3}[codec]
    packed[where] ^= 0x55
    path = tmp_path / "x"
    path.write_bytes(packed)

    good, problems = read(path)

    assert good == TEXT
    assert len(problems) == 1 and "damaged at byte" in problems[0]


@settings(max_examples=80)
@given(st.data(), st.sampled_from(["gz", "zst", "xz", "bz2"]))
def test_a_flipped_byte_never_raises(tmp_path_factory, data, codec):
    packed = bytearray(PACK[codec](TEXT[:5000]))
    where = data.draw(st.integers(12, len(packed) - 1))
    packed[where] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("flip") / "x"
    path.write_bytes(packed)

    _, problems = read(path)

    assert all("byte" in problem for problem in problems)


def test_a_member_before_a_damaged_one_is_whole(tmp_path):
    first = gzip.compress(TEXT)
    path = tmp_path / "x"
    path.write_bytes(first + b"\x1f\x8b\x08\xff" + bytes(4) + b"garbage that is no deflate data at all" * 9)

    good, (problem,) = read(path)

    assert good == TEXT
    assert problem.startswith("its gz data is")


def test_what_a_failed_call_had_decoded_is_kept_to_the_byte(tmp_path):
    # Stored blocks (RFC 1951, 3.2.4): a final bit, LEN, its complement, LEN bytes.
    block = b"good line\n" * 100
    stored = b"\x00" + len(block).to_bytes(2, "little") + (len(block) ^ 0xFFFF).to_bytes(2, "little") + block
    head = gzip.compress(b"")[:10]
    for n_blocks in (1, 3, 300):  # 300: more than one input block and more than one piece
        path = tmp_path / "x"
        path.write_bytes(head + stored * n_blocks + b"\x00\xff\xff\xff\xff" + block)

        good, (problem,) = read(path)

        assert good == block * n_blocks
        at = int(problem.split("damaged at byte ")[1].split()[0])
        assert 0 <= at - (10 + len(stored) * n_blocks) <= 8


def test_garbage_after_a_member_is_told_and_padding_is_not(tmp_path):
    packed = gzip.compress(TEXT)
    path = tmp_path / "x"
    path.write_bytes(packed + b"not gzip")
    good, (problem,) = read(path)
    assert good == TEXT
    assert f"at byte {len(packed)}" in problem

    path.write_bytes(packed + bytes(1000))
    assert read(path) == (TEXT, [])


def test_skippable_frames_are_skipped(tmp_path):
    skip = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"abcd"
    path = tmp_path / "x"
    path.write_bytes(skip + zst(TEXT) + skip + zst(b"end"))
    assert read(path) == (TEXT + b"end", [])

    path.write_bytes(zst(TEXT) + skip[:-2])
    good, (problem,) = read(path)
    assert good == TEXT and "cut off" in problem


def test_a_bomb_is_unpacked_in_small_pieces(tmp_path):
    for codec in ("gz", "zst", "xz", "bz2"):
        path = tmp_path / codec
        path.write_bytes(PACK[codec](bytes(5 << 20)))
        with path.open("rb") as file:
            assert max(map(len, codecs.decode(file.fileno(), codec))) <= 256 << 10


def test_a_file_that_vanishes_or_fails_is_a_problem(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(TEXT)
    stream = stream_of(path)
    path.unlink()
    problems: list[Unreadable] = []
    assert list(chunks(stream, problems=problems)) == []
    assert "vanished" in problems[0].reason

    path.write_bytes(TEXT)
    real = os.preadv

    def fails_midway(fd, buffers, pos):
        if pos >= 5000:
            raise OSError(116, "Stale file handle")
        return real(fd, buffers, pos)

    monkeypatch.setattr(os, "preadv", fails_midway)
    good, (problem,) = read(path, chunk_bytes=1000)
    assert TEXT.startswith(good) and len(good) >= 5000
    assert "Stale" in problem and f"byte {len(good)}" in problem


def test_a_file_that_shrinks_is_told_and_one_that_grows_is_read_to_its_first_size(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(TEXT)
    stream = stream_of(path)
    path.write_bytes(TEXT[:100])
    problems: list[Unreadable] = []
    assert sum(chunk.size for chunk in chunks(stream, problems=problems)) == 100
    assert "shrank" in problems[0].reason

    path.write_bytes(TEXT + b"more\n")
    assert sum(chunk.size for chunk in chunks(stream)) == len(TEXT)


# ------------------------------------------------------------------------- discover


def names(found, top: Path) -> list[str]:
    return [os.path.relpath(stream.name, top) for stream in found.streams]


def tree(top: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
    return top


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    tree(tmp_path, {"b/1.log": b"x\n", "a/2.log": b"x\n", "a/1.log": b"x\n", "c.log": b"x\n", ".h": b"x\n"})

    found = discover([str(tmp_path)])

    assert names(found, tmp_path) == ["a/1.log", "a/2.log", "b/1.log", "c.log"]
    assert found.skipped == {"hidden": 1}
    assert {stream.root for stream in found.streams} == {str(tmp_path)}
    assert found.layout_roots == {str(tmp_path): str(tmp_path)}


def test_names_are_given_paths_joined_with_what_is_inside(tmp_path, monkeypatch):
    tree(tmp_path, {"logs/n0/a.log": b"x\n"})
    monkeypatch.chdir(tmp_path)

    for path in ("logs", "logs/", "./logs", "logs/n0/a.log", "logs/*/a.log", "logs/**", "**/a.log", "."):
        (stream,) = discover([path]).streams
        wanted = {"logs": "logs/n0/a.log", "./logs": "./logs/n0/a.log", ".": "./logs/n0/a.log"}
        assert stream.name == wanted.get(path, "logs/n0/a.log" if "**" not in path else stream.name)
        assert os.path.normpath(stream.name) == "logs/n0/a.log"
        assert stream.root == path


def test_rotated_files_come_oldest_first(tmp_path):
    wanted = [
        "0.log.20260731-101112.gz", "0.log.20260801-101112", "0.log", "1.log",
        "x.log-20260701", "x.log.11", "x.log.2.gz", "x.log.1", "x.log", "y.out",
    ]  # fmt: skip
    tree(tmp_path, dict.fromkeys(wanted, b"x\n"))

    assert names(discover([str(tmp_path)]), tmp_path) == wanted


def test_the_codec_is_told_by_the_bytes(tmp_path):
    tree(tmp_path, {f"{codec or 'plain'}.log": PACK[codec](TEXT) for codec in PACK})
    tree(tmp_path, {"lies.gz": TEXT})

    found = {os.path.basename(stream.name): stream.codec for stream in discover([str(tmp_path)]).streams}

    assert found == {
        "plain.log": "", "gz.log": "gz", "zst.log": "zst", "xz.log": "xz", "bz2.log": "bz2", "lies.gz": ""
    }  # fmt: skip


TEXTS = {
    "nul run": b"step 1\n" + bytes(3000) + b"step 2\n",
    "hole": bytes(40_000) + b"step 1\n",
    "colours": b"\x1b[31mERROR\x1b[0m\r\x1b[2K done\n" * 9,
    "bad utf-8": b"caf\xe9 \xff\xfe\n" * 30,
    "gbk": "训练失败：内存不足\n".encode("gbk") * 30,
    "half a character": "loss é".encode()[:-1],
    "bom": b"\xef\xbb\xbfstep\r\n",
    "bar": "\r 10%|█▏        | 1/10 [00:01<00:09]".encode() * 20,
    "one nul": b"a message \x00 from C\n",
    "half a nul page": (b"x" * 100 + b"\n" + bytes(923)) * 8,
}
BINARIES = {
    "floats": np.random.default_rng(1).normal(size=4000).astype(np.float32).tobytes(),
    "integers": np.arange(3000, dtype=np.int32).tobytes(),
    "random": random.Random(2).randbytes(9000),
    "pickle": pickle.dumps({"a": list(range(100)), "name": "x" * 50}),
    "elf": Path(sys.executable).resolve().read_bytes()[:9000],
    "safetensors": (300).to_bytes(8, "little")
    + b'{"w":{"dtype":"F32","shape":[2,2]}}'
    + b" " * 265
    + bytes(16),
    "record": b'\x18\0\0\0\0\0\0\0\xa3\x7fK"\x09\0\0\xc0\x80\x1c\xb5\xd9A\x1a\rbrain.Event:2'
    + b"\x90\x01\x02" * 9,
    "nothing but nul": bytes(9000),
    "gzip of floats": gzip.compress(np.random.default_rng(1).normal(size=4000).tobytes()),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_odd_text_is_a_log(tmp_path, kind):
    tree(tmp_path, {"given": TEXTS[kind], "in/tree": TEXTS[kind]})

    assert len(discover([str(tmp_path / "given"), str(tmp_path / "in")]).streams) == 2
    assert read(tmp_path / "given") == (TEXTS[kind], [])


@pytest.mark.parametrize("kind", BINARIES)
def test_a_binary_is_skipped_in_a_folder_and_refused_when_given(tmp_path, kind):
    tree(tmp_path, {"in/bin": BINARIES[kind], "in/ok": b"text\n", "given": BINARIES[kind]})

    found = discover([str(tmp_path / "in"), str(tmp_path / "given")])

    assert names(found, tmp_path) == ["in/ok"]
    assert found.skipped == {"binary": 1}
    assert found.unreadable == (Unreadable(str(tmp_path / "given"), codecs.ADVICE["binary"]),)


def test_checkpoints_and_event_files_are_not_even_opened(tmp_path, monkeypatch):
    left_out = ["m.pt", "a/__0_0.distcp", "events.out.tfevents.17.n0", "model-00001-of-00002.safetensors",
                "c/tokenizer.json", "d.npz"]  # fmt: skip
    tree(tmp_path, dict.fromkeys(left_out, b"it could be text\n") | {"x.log": b"x\n", "train.py": b"x\n"})
    opened = []
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *rest, **more: opened.append(path) or real(path, *rest, **more)
    )

    found = discover([str(tmp_path)])

    assert names(found, tmp_path) == ["x.log"]
    assert found.skipped == {"checkpoint or event file": 6, "source or settings": 1}
    assert opened == [str(tmp_path / "x.log")]
    assert len(discover([str(tmp_path / "m.pt")]).streams) == 1, "given by name, its bytes decide"


def test_utf_16_and_unknown_compression_are_told_even_in_a_folder(tmp_path):
    lz4 = b"\x04\x22\x4d\x18" + b"\x64\x40\xa7" + b"abc" * 50
    tree(tmp_path, {"a.log": b"x\n", "u.log": "step\n".encode("utf-16"), "x.lz4": lz4, "x.tar": _tar()})

    found = discover([str(tmp_path)])

    assert names(found, tmp_path) == ["a.log"]
    assert {os.path.basename(each.file): each.reason for each in found.unreadable} == {
        "u.log": codecs.ADVICE["UTF-16"],
        "x.lz4": codecs.ADVICE["other compression"],
    }
    assert found.skipped == {"archive": 1}


def _tar() -> bytes:
    return b"job.log".ljust(257, b"\x00") + b"ustar\x00" + b"00".ljust(249, b"\x00") + TEXT[:4096]


def test_links_end_and_one_inode_is_read_once(tmp_path):
    tree(tmp_path, {"run1/a.log": b"x\n", "run1/b.log": b"y\n"})
    os.link(tmp_path / "run1/a.log", tmp_path / "run1/c.log")
    (tmp_path / "latest").symlink_to("run1")
    (tmp_path / "run1/up").symlink_to("..")
    (tmp_path / "0first.log").symlink_to("run1/b.log")
    (tmp_path / "gone.log").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")

    found = discover([str(tmp_path), str(tmp_path / "run1/a.log")])

    assert names(found, tmp_path) == ["run1/a.log", "run1/b.log"], "the real names, not the links' names"
    assert found.skipped == {"dangling link": 2, "same file": 3}
    assert names(discover([str(tmp_path / "**")]), tmp_path) == ["run1/a.log", "run1/b.log"]


def test_a_linked_folder_elsewhere_is_entered(tmp_path):
    tree(tmp_path, {"far/n0/a.log": b"x\n", "job/own.log": b"x\n"})
    (tmp_path / "job/n0").symlink_to(tmp_path / "far/n0")

    assert names(discover([str(tmp_path / "job")]), tmp_path) == ["job/n0/a.log", "job/own.log"]


def test_pipes_in_a_folder_are_not_opened(tmp_path):
    tree(tmp_path, {"a.log": b"x\n"})
    os.mkfifo(tmp_path / "pipe")

    found = discover([str(tmp_path), str(tmp_path / "pipe"), "/dev/null"])

    assert names(found, tmp_path) == ["a.log"]
    assert found.skipped == {"not a regular file": 1}
    assert all("pipe, socket or device" in each.reason for each in found.unreadable)
    assert len(found.unreadable) == 2


def test_a_process_substitution_is_read(tmp_path):
    ours, theirs = os.pipe()
    os.write(theirs, gzip.compress(b"from a command\n"))
    os.close(theirs)
    path = f"/dev/fd/{ours}"

    (stream,) = discover([path]).streams
    os.close(ours)

    assert (stream.name, stream.codec) == (path, "gz")
    assert [chunk.data[: chunk.size].tobytes() for chunk in chunks(stream)] == [b"from a command\n"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing.log", "it does not exist: check the path"),
        ("no/*.log", "it matches no log (found: nothing): check the path, and quote the pattern"),
        ("no/**/x", "it matches no log (found: nothing): check the path, and quote the pattern"),
        ("full/**/*.log", "it matches no log (found: nothing): check the path, and quote the pattern"),
        ("full/*", "it matches no log (found: 1 checkpoint or event file, 1 empty): "
                   "check the path, and quote the pattern"),
        ("empty.log", "it is empty: nothing was written to it"),
        ("empty.gz", "it is empty: nothing was written to it"),
        ("cut.gz", "its gz data is cut off at byte 5: what came before was read, the rest is missing"),
        ("full", "it is a folder without a log (found: 1 checkpoint or event file, 1 empty): "
                 "give the folder of the logs"),
        ("nothing", "it is a folder without a log (found: nothing): give the folder of the logs"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_what_was_found_and_what_to_do(tmp_path, monkeypatch, path, reason):
    monkeypatch.chdir(tmp_path)
    tree(tmp_path, {"empty.log": b"", "full/empty": b"", "full/x.pt": b"x", "ok.log": b"x\n"})
    tree(tmp_path, {"empty.gz": gzip.compress(b""), "cut.gz": gzip.compress(TEXT)[:5]})
    (tmp_path / "nothing").mkdir()

    found = discover([path, "ok.log"])
    assert found.unreadable == (Unreadable(path, reason),)
    assert len(found.streams) == 1

    with pytest.raises(NothingToRead) as raised:
        discover([path])
    assert str(raised.value) == f"{path}: {reason}"
    assert raised.value.path == path


def test_nothing_given_is_nothing_to_read():
    with pytest.raises(NothingToRead):
        discover([])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_is_told(tmp_path):
    tree(tmp_path, {"a.log": b"x\n", "b.log": b"x\n", "closed/c.log": b"x\n"})
    (tmp_path / "b.log").chmod(0)
    (tmp_path / "closed").chmod(0)
    try:
        found = discover([str(tmp_path)])
    finally:
        (tmp_path / "closed").chmod(0o700)

    assert names(found, tmp_path) == ["a.log"]
    assert all("ermission" in each.reason for each in found.unreadable) and len(found.unreadable) == 2


def test_an_error_of_the_file_system_is_told(tmp_path, monkeypatch):
    tree(tmp_path, {"a.log": b"x\n", "b.log": b"x\n", "closed/c.log": b"x\n"})
    real_open, real_scan = os.open, os.scandir

    def refuse(path, *rest):
        if os.path.basename(path) in ("b.log", "closed"):
            raise PermissionError(13, "Permission denied")
        return (real_scan if not rest else real_open)(path, *rest)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "scandir", refuse)

    found = discover([str(tmp_path)])

    assert names(found, tmp_path) == ["a.log"]
    assert [each.reason for each in found.unreadable] == [
        "it cannot be read (Permission denied): read it as its owner, or ask for read permission"
    ] * 2


def test_a_name_with_odd_bytes_is_opened_and_told_in_utf_8(tmp_path):
    odd = os.fsencode(tmp_path) + b"/r\xff\xe9 x.log"
    with open(odd, "wb") as file:
        file.write(b"x\n")

    for path in (str(tmp_path), os.fsdecode(odd)):
        (stream,) = discover([path]).streams
        assert stream.name == f"{tmp_path}/r\\xff\\xe9 x.log"
        assert sum(chunk.size for chunk in chunks(stream)) == 2

    with pytest.raises(NothingToRead) as raised:
        discover([os.fsdecode(odd + b"?")])
    str(raised.value).encode("utf-8")


def test_a_pattern_in_a_name_is_a_name_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree(tmp_path, {"a[1].log": b"x\n", "a1.log": b"x\n"})

    assert names(discover(["a[1].log"]), Path()) == ["a[1].log"]
    (tmp_path / "a[1].log").unlink()
    found = discover(["a[1].log"])
    assert names(found, Path()) == ["a1.log"]


def test_a_glob_takes_folders_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree(tmp_path, {"n0/r/a.log": b"x\n", "n1/r/a.log": b"x\n", "n1/r/b.txt": b"x\n", "n2.log": b"x\n"})

    assert names(discover(["n*"]), Path()) == ["n0/r/a.log", "n1/r/a.log", "n1/r/b.txt", "n2.log"]
    assert names(discover(["**/*.log"]), Path()) == ["n0/r/a.log", "n1/r/a.log", "n2.log"]
    assert names(discover(["n1/**/b.*"]), Path()) == ["n1/r/b.txt"]
    assert names(discover(["**/r"]), Path()) == ["n0/r/a.log", "n1/r/a.log", "n1/r/b.txt"]
    assert discover(["n*"]).layout_roots == {"n*": ""}
    assert discover(["n1/**/b.*"]).layout_roots == {"n1/**/b.*": "n1"}


# ------------------------------------------------------------------------- stdin


@pytest.mark.parametrize("codec", sorted(PACK))
def test_stdin_can_be_read_twice(codec):
    stream = spool(io.BytesIO(PACK[codec](TEXT)))

    assert (stream.name, stream.codec, stream.mtime) == ("-", codec, None)
    for _ in range(2):
        assert b"".join(chunk.data[: chunk.size].tobytes() for chunk in chunks(stream)) == TEXT
    assert pickle.loads(pickle.dumps(stream)).path == stream.path


def test_chunks_spools_a_dash():
    (stream,) = discover(["-"]).streams

    parts = [
        chunk.data[: chunk.size].tobytes() for chunk in chunks(stream, stdin=io.BytesIO(gzip.compress(TEXT)))
    ]

    assert b"".join(parts) == TEXT


def test_stdin_from_a_file_is_not_copied(tmp_path):
    (tmp_path / "x").write_bytes(TEXT)
    with (tmp_path / "x").open("rb") as file:
        stream = spool(file)
    assert os.path.samefile(stream.path, tmp_path / "x")
    assert sum(chunk.size for chunk in chunks(stream)) == len(TEXT)

    with (tmp_path / "x").open("rb") as file:
        file.readline()
        assert sum(chunk.size for chunk in chunks(spool(file))) == len(TEXT) - len(TEXT.split(b"\n")[0]) - 1


def test_an_empty_or_binary_stdin_is_told():
    for data in (b"", BINARIES["floats"]):
        with pytest.raises(NothingToRead) as raised:
            spool(io.BytesIO(data))
        assert raised.value.path == "-"

    problems: list[Unreadable] = []
    assert list(chunks(discover(["-"]).streams[0], stdin=io.BytesIO(b""), problems=problems)) == []
    assert problems == [Unreadable("-", "it is empty: nothing was written to it")]


def test_no_room_for_stdin_is_told(monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(source.shutil, "copyfileobj", full)
    with pytest.raises(NothingToRead, match=r"No space left on device.*TMPDIR"):
        spool(io.BytesIO(TEXT))


def test_the_limits_of_descriptors_hold_for_many_files(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    tree(tmp_path, {f"{i}.log": b"x\n" for i in range(200)})
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 100), hard))
    try:
        found = discover([str(tmp_path)])
        assert sum(chunk.size for stream in found.streams for chunk in chunks(stream)) == 400
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_was_read_already_is_not_unreadable(tmp_path):
    tree(tmp_path, {"n0/a.log": b"x\n"})
    top = str(tmp_path)

    found = discover([top, f"{top}/n0", f"{top}/", f"{top}/n0/a.log", f"{top}/*"])

    assert names(found, tmp_path) == ["n0/a.log"]
    assert found.unreadable == ()
    assert found.skipped == {"same file": 4}
    assert discover(tmp_path).streams == discover(top).streams == discover([top]).streams
