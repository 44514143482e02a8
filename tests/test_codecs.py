"""Damaged files: what is good is read, and what is not is told."""

import gzip
import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from l4fast import codecs
from l4fast.chunks import chunks
from l4fast.source import Unreadable

from packed import PACK, TEXT, read, stream_of, zst


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
