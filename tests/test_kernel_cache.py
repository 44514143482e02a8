"""Compiled kernels on disk: what is kept, where, and that nothing that goes wrong there ends a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from l4fast.cli import main
from l4fast.library import load

from l4fast_kernels import cache

pytestmark = pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")

KERNEL = """
from l4fast_kernels.jit import kernel

@kernel
def add_up(values):
    total = 0
    for value in values:
        total += value
    return total
"""
PROGRAM = """
import sys, tempfile
sys.path.insert(0, sys.argv[1])
tempfile.tempdir = sys.argv[2]
import numpy as np
import mine
from l4fast_kernels import cache
assert mine.add_up(np.arange(5)) == 10
print(*cache.folders())
"""


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with a module of one kernel, one for caches, one for temporary files, and a file."""
    for name in ("source", "cache", "temporary"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "source" / "mine.py").write_text(KERNEL)
    return tmp_path


def call(place: Path, *, keep: str = "cache", temporary: str = "temporary") -> tuple[list[str], str]:
    """Use the kernel in a program of its own; return where it was kept, and what was said on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, place / "source", place / temporary],
        env={**os.environ, "NUMBA_CACHE_DIR": str(place / keep)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def kept(place: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_ino, path.read_bytes()) for path in place.rglob("*.nbc")}


def test_what_was_compiled_once_is_loaded(place):
    (folder,), err = call(place)
    assert (Path(folder).parent, err) == (place / "cache", "")
    first = kept(place)
    assert len(first) == 1
    assert call(place) == ([folder], "")
    assert kept(place) == first, "it was compiled again"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:30],
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
        lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
        lambda data: b"something else\n" * 9,
    ],
    ids=["empty", "a piece of its head", "cut", "zeros from a crash", "one bit", "another file"],
)
def test_a_damaged_file_is_made_anew(place, damage):
    call(place)
    ((path, (_, whole)),) = kept(place).items()
    path.write_bytes(damage(whole))
    assert call(place) == ([str(path.parent)], "")
    assert list(kept(place)) == [path]
    assert len(path.read_bytes()) > len(whole) // 2 and path.read_bytes() != damage(whole)


def test_a_change_of_a_file_beside_it_is_noticed(place):
    """A kernel holds the compiled form of what it calls in other files."""
    call(place)
    first = kept(place)
    (place / "source" / "other.py").write_text("LIMIT = 3\n")
    call(place)
    assert kept(place).keys() == first.keys() and kept(place) != first


def test_without_a_place_to_write_to_it_is_kept_among_temporary_files(place):
    (folder,), err = call(place, keep="file/x")
    assert Path(folder).parent == place / "temporary"
    assert Path(folder).stat().st_mode & 0o777 == 0o700
    assert err.count("CacheWarning") == 1
    assert f"cannot be kept in {place}/file/x" in err and "(Not a directory)" in err and folder in err
    assert call(place, keep="file/x") == ([folder], "")


def test_a_temporary_folder_that_others_can_write_to_is_not_trusted(place):
    (folder,), _ = call(place, keep="file/x")
    Path(folder).chmod(0o777)
    folders, err = call(place, keep="file/x")
    assert folders == []
    assert "each run compiles them anew" in err


def test_with_no_place_at_all_it_works_too(place):
    folders, err = call(place, keep="file/x", temporary="file/y")
    assert folders == []
    assert err.count("CacheWarning") == 1 and "each run compiles them anew" in err


def test_a_full_disk_leaves_nothing_behind(place, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        cache._write(str(place / "cache" / "x.nbc"), b"content")
    assert os.listdir(place / "cache") == []


def test_it_is_kept_beside_the_source_or_in_the_users_cache(monkeypatch):
    cache._places.cache_clear()
    monkeypatch.setattr(cache.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/a/.cache")
    beside, users = cache._places("/opt/kernels/x.py")
    assert (beside, os.path.dirname(users)) == ("/opt/kernels/__pycache__", "/home/a/.cache/l4fast")
    cache._places.cache_clear()


@pytest.mark.usefixtures("few_signatures")
def test_who_has_no_home_gets_no_folder_called_tilde(place, monkeypatch):
    cache._places.cache_clear()
    monkeypatch.chdir(place / "cache")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(cache.config, "CACHE_DIR", "")
    assert cache._places("/opt/kernels/x.py") == ["/opt/kernels/__pycache__"]
    assert load().signatures
    assert os.listdir() == []
    cache._places.cache_clear()


@pytest.mark.filterwarnings("default")
def test_the_command_line_says_it_in_one_sentence(monkeypatch, capsys):
    def run(_: object) -> int:
        monkeypatch.setattr(cache, "_told", False)
        for _ in range(2):
            cache._tell("compiled kernels cannot be kept in /x (No space left on device)")
        return 11

    monkeypatch.setattr("l4fast.commands.warmup", run)
    assert main(["warmup"]) == 11
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "l4fast: warning: compiled kernels cannot be kept in /x (No space left on device): "
        "set NUMBA_CACHE_DIR to a folder that can be written, and run `l4fast warmup`\n"
    )
