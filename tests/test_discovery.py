"""Discovery: which files are found, in which order, and which are left out and said; stdin."""

import gzip
import io
import os
import pickle
import random
import resource
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from l4fast import codecs, source
from l4fast.chunks import chunks
from l4fast.discovery import discover
from l4fast.errors import NothingToRead
from l4fast.source import Unreadable, spool

from packed import PACK, TEXT, read


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


def parquet(table: dict[str, list[str]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(table), out, compression="none", use_dictionary=False)
    return out.getvalue()


TEXTS = {
    "hosts of Paris": b"PAR1-gpu-001: step 1\nPAR1-gpu-002: step 1\n",
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
    "parquet": parquet({"text": ["a line that can be read\n" * 900]}),
    "parquet without a row": parquet({}),
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
