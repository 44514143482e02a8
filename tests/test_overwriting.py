"""What is written takes the place neither of what is read nor of what was there before a run that failed."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from l4fast import write as writing
from l4fast.cli import main
from l4fast.overwriting import led_to
from l4fast.write import write

from programs import run

TEXT = b"".join(b"2026-05-07 10:00:%02d INFO step %d loss 2.5\n" % (i % 60, i) for i in range(40))


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder of logs, one of them with other names, and something else; the tests run above it."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("logs")
    for name in ("logs/a.log", "logs/b.log", "c.log"):
        Path(name).write_bytes(TEXT)
    Path("logs/model.pt").write_bytes(TEXT)
    os.symlink("logs/a.log", "link.log")
    os.link("c.log", "hard.log")
    return tmp_path


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("c.log", "c.log"),
        ("hard.log", "c.log"),
        ("c.log", "./logs/../c.log"),
        ("logs/a.log", "link.log"),
        ("link.log", "logs/a.log"),
        ("logs/a.log", "logs"),
        ("link.log", "logs"),
        ("logs/a.log", "logs/*.log"),
        ("logs/a.log", "**/a.log"),
    ],
)
def test_a_path_leads_to_the_file(place, target, path):
    assert led_to(target, ["missing.log", path]) == path


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("new.jsonl", "logs"),
        ("logs/new.jsonl", "logs"),
        ("c.log", "logs"),
        ("logs/model.pt", "logs"),
        ("logs/a.log", "logs/b*"),
        ("c.log", "missing.log"),
        ("/dev/null", "logs"),
        ("c.log", "-"),
    ],
)
def test_no_path_leads_to_the_file(place, target, path):
    assert led_to(target, [path]) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["diagnose", "c.log", "--lines", "c.log"],
        ["diagnose", "logs", "--lines", "logs/b.log"],
        ["diagnose", "c.log", "--baseline", "logs/a.log", "--lines", "link.log"],
        ["baseline", "learn", "c.log", "-o", "c.log"],
        ["baseline", "learn", "logs", "-o", "logs/a.log"],
    ],
    ids=" ".join,
)
def test_a_log_is_not_overwritten(place, capsys, arguments):
    assert main(arguments) == 64
    assert "is to be read" in capsys.readouterr().err
    assert all(path.read_bytes() == TEXT for path in place.rglob("*.log"))


def test_a_log_on_stdin_is_not_overwritten(place):
    with open("c.log", "rb") as stdin:
        assert run("diagnose", "-", "--lines", "c.log", stdin=stdin)[0] == 64
    assert Path("c.log").read_bytes() == TEXT


def test_parse_overwrites_no_log(place, capsys):
    Path("rows.parquet").write_bytes(TEXT)
    os.link("rows.parquet", "rows.templates.arrow")
    for out in ("rows.parquet", "rows.arrow"):
        assert main(["parse", "rows.parquet", "-o", out]) == 64
        assert "is one of the logs" in capsys.readouterr().err
    assert Path("rows.parquet").read_bytes() == TEXT


def test_a_baseline_may_be_merged_into_itself(place, capsys):
    assert main(["baseline", "learn", "c.log", "-o", "x.l4b"]) == 0
    assert main(["baseline", "merge", "x.l4b", "x.l4b", "-o", "x.l4b"]) == 0
    assert "2 healthy jobs" in capsys.readouterr().err


# --------------------------------------------------------------- files that were there


@pytest.mark.parametrize(
    ("out", "folder"), [("out.parquet", "out.templates.parquet"), ("out", "out/_templates.parquet")]
)
def test_a_folder_where_a_file_has_to_go_is_told_before_anything_is_read(
    place, capsys, monkeypatch, out, folder
):
    os.makedirs(folder)
    monkeypatch.setattr(writing, "read", lambda *_, **__: pytest.fail("it was read"))
    assert main(["parse", "c.log", "-o", out]) == 64
    assert f"{folder} is a folder" in capsys.readouterr().err


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("were_there", [[], ["out.parquet"], ["out.parquet", "out.templates.parquet"]])
def test_a_parse_that_fails_at_the_end_leaves_the_old_files(place, monkeypatch, were_there, at):
    for name in were_there:
        Path(name).write_text(f"precious {name}")
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    moves = []
    move = os.replace

    def failing(old: Path, new: Path) -> None:
        moves.extend([] if str(new).endswith(".nbc") else [new])
        if len(moves) == at:
            raise OSError(28, "No space left on device")
        move(old, new)

    monkeypatch.setattr(os, "replace", failing)
    if at <= 2 + len(were_there):
        with pytest.raises(OSError, match="No space"):
            write("c.log", "out.parquet")
        assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    else:
        write("c.log", "out.parquet")
        assert pq.read_table("out.parquet").num_rows == 40


def test_parsed_files_keep_the_mode_of_those_they_replace(place):
    Path("out.parquet").touch(mode=0o600)
    write("c.log", "out.parquet")
    assert Path("out.parquet").stat().st_mode & 0o777 == 0o600
    assert Path("out.templates.parquet").stat().st_mode & 0o777 == 0o666 & ~os.umask(os.umask(0o022))
    assert sorted(path.name for path in place.glob(".*")) == []
