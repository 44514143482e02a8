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
import numpy as np
from l4fast_kernels.jit import kernel

@kernel
def add_up_in_order(values):
    values[:].sort()  # of numba's runtime
    return values[0] + values[-1]

LARGE = np.full(2_000_000, 7, np.uint8)  # numba takes it from where it lies in this process

@kernel
def look_up(values):
    return LARGE[values[3]]

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
assert getattr(mine, sys.argv[3])(np.arange(5)) == int(sys.argv[4])
print(*cache.folders(), "numba" in sys.modules)
"""


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with a module of one kernel, one for caches, one for temporary files, and a file."""
    for name in ("source", "cache", "temporary"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "source" / "mine.py").write_text(KERNEL)
    return tmp_path


def call(
    place: Path,
    *,
    keep: str = "cache",
    temporary: str = "temporary",
    kernel: tuple[str, int] = ("add_up", 10),
    **settings: str,
) -> tuple[list[str], str, bool]:
    """Use a kernel in a program of its own.

    Return where it was kept, what was said on stderr, and whether numba was imported.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, place / "source", place / temporary, *map(str, kernel)],
        env={**os.environ, **settings, "NUMBA_CACHE_DIR": str(place / keep)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *folders, with_numba = done.stdout.split()
    return folders, done.stderr, with_numba == "True"


def kept(place: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_ino, path.read_bytes()) for path in place.rglob("mine.*-*")}


def test_what_was_compiled_once_is_loaded_without_the_compiler(place):
    (folder,), err, with_numba = call(place)
    assert (Path(folder).parent, err, with_numba) == (place / "cache", "", True)
    first = kept(place)
    assert len(first) == 1
    assert call(place) == ([folder], "", False)
    assert kept(place) == first, "it was compiled again"


def test_what_needs_numba_is_loaded_by_numba(place):
    kernel = ("add_up_in_order", 4)
    (folder,), err, _ = call(place, kernel=kernel)
    assert err == ""
    first = kept(place)
    assert sorted(path.suffix for path in first) == [".l4k", ".nbc"]
    assert call(place, kernel=kernel) == ([folder], "", True)
    assert kept(place) == first, "it was compiled again"


def test_what_holds_addresses_of_its_process_is_compiled_by_each(place):
    for _ in range(2):
        *_, with_numba = call(place, kernel=("look_up", 7))
        assert with_numba
        assert [len(data) < 100 for _, data in kept(place).values()] == [True], "that numba must call it"


@pytest.mark.parametrize(
    "setting", [("NUMBA_OPT", "1"), ("NUMBA_CPU_NAME", "generic"), ("NUMBA_BOUNDSCHECK", "1")]
)
def test_other_settings_of_numba_compile_another_form(place, setting):
    call(place)
    first = kept(place)
    assert call(place, **dict([setting]))[2]
    assert kept(place).items() > first.items()
    assert call(place)[2] is False


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
    assert call(place) == ([str(path.parent)], "", True)
    assert list(kept(place)) == [path]
    assert len(path.read_bytes()) > len(whole) // 2 and path.read_bytes() != damage(whole)


def test_a_change_of_a_file_beside_it_is_noticed(place):
    """A kernel holds the compiled form of what it calls in other files."""
    call(place)
    first = kept(place)
    (place / "source" / "other.py").write_text("LIMIT = 3\n")
    call(place)
    assert kept(place).keys() == first.keys() and kept(place) != first


@pytest.mark.parametrize("changed", ["numba", "llvmlite", "numpy", "python"])
def test_another_version_of_what_it_was_made_with_is_noticed(place, monkeypatch, changed):
    def function() -> None: ...

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(place / "cache"))
    for cached in (cache._places, cache._stamp):
        cached.cache_clear()
    cache.keep(function, "x", b"machine code")
    assert bytes(cache.find(function, "x")) == b"machine code"
    where, name = {
        "numba": (cache, "_numbas_version"),
        "llvmlite": (cache.llvmlite, "__version__"),
        "numpy": (cache.numpy, "__version__"),
        "python": (cache.sys, "version"),
    }[changed]
    with monkeypatch.context() as patch:
        patch.setattr(where, name, (lambda: b"another") if changed == "numba" else "another")
        cache._stamp.cache_clear()
        assert cache.find(function, "x") is None
    for cached in (cache._places, cache._stamp):
        cached.cache_clear()


def test_numbas_version_is_told_without_importing_it():
    script = (
        "import sys; from l4fast_kernels import cache; told = cache._numbas_version();"
        "assert 'numba' not in sys.modules; import numba; assert numba.__version__.encode() in told"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_without_a_place_to_write_to_it_is_kept_among_temporary_files(place):
    (folder,), err, _ = call(place, keep="file/x")
    assert Path(folder).parent == place / "temporary"
    assert Path(folder).stat().st_mode & 0o777 == 0o700
    assert err.count("CacheWarning") == 1
    assert f"cannot be kept in {place}/file/x" in err and "(Not a directory)" in err and folder in err
    assert call(place, keep="file/x") == ([folder], "", False)


def test_a_temporary_folder_that_others_can_write_to_is_not_trusted(place):
    (folder,), *_ = call(place, keep="file/x")
    Path(folder).chmod(0o777)
    folders, err, _ = call(place, keep="file/x")
    assert folders == []
    assert "each run compiles them anew" in err


def test_with_no_place_at_all_it_works_too(place):
    folders, err, _ = call(place, keep="file/x", temporary="file/y")
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
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
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
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
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
