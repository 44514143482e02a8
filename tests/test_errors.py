"""Every way to fail: its exit code, its one sentence, and the same as JSON."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from types import SimpleNamespace

import pytest
from l4fast import errors
from l4fast.cli import main
from l4fast.crossjob import Baseline
from l4fast.discovery import discover
from l4fast.errors import L4Error
from l4fast.stream import Session, diagnose

LINES = b"".join(b"2026-05-07 10:00:%02d INFO step %d loss 2.5\n" % (i % 60, i) for i in range(40))


def every_error(base: type[L4Error] = L4Error) -> list[type[L4Error]]:
    return [base, *(deeper for child in base.__subclasses__() for deeper in every_error(child))]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_an_error_has_an_exit_code_a_path_and_a_meaning(kind):
    error = kind("no such thing: name another", "/logs/x")
    assert str(error) == "no such thing: name another"
    assert error.path == "/logs/x"
    assert kind("a").path is None
    assert error.exit_code in (64, 65, 70)
    assert kind.__doc__


def test_the_exit_codes_of_the_errors():
    codes = {kind.__name__: kind.exit_code for kind in every_error()}
    assert codes == {
        "L4Error": 70,
        "UsageError": 64,
        "DataError": 65,
        "NothingToRead": 65,
        "BaselineError": 65,
        "SignatureError": 65,
    }
    assert all(name in vars(errors) for name in codes)


# ------------------------------------------------- what the command line makes of them


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> bytes:
    """A baseline file's bytes."""
    folder = tmp_path_factory.mktemp("healthy")
    (folder / "good.log").write_bytes(LINES)
    assert main(["baseline", "learn", str(folder / "good.log"), "-o", str(folder / "good.l4b")]) == 0
    return (folder / "good.l4b").read_bytes()


@pytest.fixture
def place(tmp_path, monkeypatch, healthy):
    """A folder with one of everything that can go wrong; the tests run in it."""
    monkeypatch.chdir(tmp_path)
    packed = gzip.compress(LINES)
    for name, data in {
        "good.log": LINES,
        "empty.log": b"",
        "binary.log": bytes(range(256)) * 64,
        "header-only.log.gz": packed[:10],
        "no-deflate.log.gz": packed[:10] + b"\xff" * 40,
        "plain.l4b": b"this is no baseline\n",
        "good.l4b": healthy,
    }.items():
        Path(name).write_bytes(data)
    os.mkdir("no-logs")
    Path("no-logs/model.pt").write_bytes(b"x")
    os.mkdir("empty")
    os.symlink("circle", "circle")
    head, _, body = healthy.partition(b"\n")
    Path("cut.l4b").write_bytes(healthy[:-7])
    Path("head-only.l4b").write_bytes(head + b"\n")
    Path("flipped.l4b").write_bytes(head + b"\n" + body.replace(b"loss", b"lost"))
    Path("format.l4b").write_bytes(re.sub(rb'"format":\d+', b'"format":99', head) + b"\n" + body)
    Path("canonical.l4b").write_bytes(re.sub(rb'"canonical":\d+', b'"canonical":99', head) + b"\n" + body)
    huge = b'{"shapes":{"a":[1,%d,1]},"values":{}}' % 10**30
    sums = {"checksum": blake2b(huge, digest_size=16).hexdigest()}
    Path("huge.l4b").write_bytes(
        b"L4FAST-BASELINE "
        + json.dumps({**json.loads(head.split(b" ", 1)[1]), **sums}).encode()
        + b"\n"
        + huge
    )
    Path("no-head.l4b").write_bytes(b"L4FAST-BASELINE {]\n" + body)
    return tmp_path


USAGE = {
    "no command": [],
    "unknown command": ["explain", "good.log"],
    "unknown option": ["diagnose", "good.log", "--verbose"],
    "abbreviated option": ["diagnose", "good.log", "--work", "2"],
    "no path": ["diagnose"],
    "no workers": ["diagnose", "good.log", "--workers", "0"],
    "less than no workers": ["diagnose", "good.log", "--workers", "-1"],
    "half a worker": ["diagnose", "good.log", "--workers", "0.5"],
    "workers without a number": ["diagnose", "good.log", "--workers"],
    "lines into no folder": ["diagnose", "good.log", "--lines", "nowhere/lines.jsonl"],
    "lines onto a folder": ["diagnose", "good.log", "--lines", "empty"],
    "no baseline command": ["baseline"],
    "unknown baseline command": ["baseline", "forget"],
    "learn without -o": ["baseline", "learn", "good.log"],
    "learn into no folder": ["baseline", "learn", "good.log", "-o", "nowhere/x.l4b"],
    "merge onto a folder": ["baseline", "merge", "good.l4b", "-o", "empty"],
    "parse without -o": ["parse", "good.log"],
    "parse into an unknown format": ["parse", "good.log", "-o", "lines.csv"],
    "parse into no folder": ["parse", "good.log", "-o", "nowhere/lines.parquet"],
    "simulate without -o": ["simulate"],
    "simulate into a full folder": ["simulate", "-o", "no-logs"],
    "unknown fault": ["simulate", "-o", "new", "--fault", "gremlins"],
    "unknown style": ["simulate", "-o", "new", "--style", "gremlins"],
    "no nodes": ["simulate", "-o", "new", "--nodes", "0"],
    "more faulty nodes than nodes": ["simulate", "-o", "new", "--fault", "ecc", "--culprits", "16"],
    "too few iterations": ["simulate", "-o", "new", "--iterations", "2"],
    "simulate with a seed below zero": ["simulate", "-o", "new", "--seed", "-1"],
    "simulate below a file": ["simulate", "-o", "good.log/new"],
    "demo with a seed below zero": ["demo", "--ranks", "8", "--seed", "-1"],
    "lines into nothing": ["diagnose", "good.log", "--lines", ""],
    "lines to stdout": ["diagnose", "good.log", "--lines", "-"],
    "lines over a log": ["diagnose", "good.log", "--lines", "good.log"],
    "learn over a log": ["baseline", "learn", "good.log", "-o", "good.log"],
    "demo with odd ranks": ["demo", "--ranks", "13"],
    "demo with an unknown fault": ["demo", "--ranks", "8", "--fault", "gremlins"],
}

DATA = {
    "missing": (["diagnose", "missing.log"], "missing.log"),
    "two missing": (["diagnose", "missing.log", "gone.log"], "missing.log"),
    "empty file": (["diagnose", "empty.log"], "empty.log"),
    "empty folder": (["diagnose", "empty"], "empty"),
    "folder without logs": (["diagnose", "no-logs"], "no-logs"),
    "binary": (["diagnose", "binary.log"], "binary.log"),
    "circle of links": (["diagnose", "circle"], "circle"),
    "glob of nothing": (["diagnose", "*.nothing"], "*.nothing"),
    "packed, only a header": (["diagnose", "header-only.log.gz"], "header-only.log.gz"),
    "packed, damaged at once": (["diagnose", "no-deflate.log.gz"], "no-deflate.log.gz"),
    "reading fails": (["diagnose", "/proc/self/mem"], "/proc/self/mem"),
    "missing for templates": (["templates", "missing.log"], "missing.log"),
    "missing for parse": (["parse", "missing.log", "-o", "lines.parquet"], "missing.log"),
    "missing for learn": (["baseline", "learn", "missing.log", "-o", "new.l4b"], "missing.log"),
    "learn, one of two missing": (
        ["baseline", "learn", "good.log", "missing.log", "-o", "new.l4b"],
        "missing.log",
    ),
    "baseline missing": (["diagnose", "good.log", "--baseline", "missing.l4b"], "missing.l4b"),
    "baseline empty": (["diagnose", "good.log", "--baseline", "empty.log"], "empty.log"),
    "baseline binary": (["diagnose", "good.log", "--baseline", "binary.log"], "binary.log"),
    "baseline cut": (["diagnose", "good.log", "--baseline", "cut.l4b"], "cut.l4b"),
    "baseline without body": (["diagnose", "good.log", "--baseline", "head-only.l4b"], "head-only.l4b"),
    "baseline changed": (["diagnose", "good.log", "--baseline", "flipped.l4b"], "flipped.l4b"),
    "baseline of another format": (["diagnose", "good.log", "--baseline", "format.l4b"], "format.l4b"),
    "baseline of another form": (["diagnose", "good.log", "--baseline", "canonical.l4b"], "canonical.l4b"),
    "baseline with a broken head": (["diagnose", "good.log", "--baseline", "no-head.l4b"], "no-head.l4b"),
    "baseline with an absurd sum": (["baseline", "show", "huge.l4b"], "huge.l4b"),
    "second baseline cut": (
        ["diagnose", "good.log", "--baseline", "good.l4b", "--baseline", "cut.l4b"],
        "cut.l4b",
    ),
    "show no baseline": (["baseline", "show", "plain.l4b"], "plain.l4b"),
    "show a missing one": (["baseline", "show", "missing.l4b"], "missing.l4b"),
    "show a folder": (["baseline", "show", "empty"], "empty"),
    "merge no baseline": (["baseline", "merge", "good.l4b", "plain.l4b", "-o", "new.l4b"], "plain.l4b"),
}


def check(capsys, arguments: list[str], code: int) -> dict[str, object] | None:
    """Run a command that must fail; return its JSON error, if it was asked for."""
    capsys.readouterr()
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert re.fullmatch(r"l4fast: [^\n]+\n", err), "one sentence on stderr"
    assert "Traceback" not in err and "internal error" not in err
    if "--json" not in arguments:
        assert out == ""
        return None
    assert out.count("\n") == 1
    found = json.loads(out)
    assert set(found) == {"schema", "exit", "error", "path"}
    assert found["schema"] == "l4fast.error/1"
    assert found["exit"] == code
    assert err == f"l4fast: {found['error']}\n"
    return found


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE.keys())
def test_wrong_usage_is_64(place, capsys, arguments):
    before = sorted(place.rglob("*"))
    check(capsys, arguments, 64)
    check(capsys, [*arguments, "--json"], 64)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(("arguments", "path"), DATA.values(), ids=DATA.keys())
def test_what_cannot_be_read_is_65_and_named(place, capsys, arguments, path):
    before = sorted(place.rglob("*"))
    check(capsys, arguments, 65)
    if "-o" not in arguments:  # what writes a file has no --json
        found = check(capsys, [*arguments, "--json"], 65)
        assert found is not None
        assert found["path"] == path
        assert path in str(found["error"])
    assert sorted(place.rglob("*")) == before


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up what only root may do."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_file_in_a_folder_that_nobody_may_enter_exists_all_the_same(place):
    os.mkdir("closed")
    Path("closed/good.log").write_bytes(LINES)
    Path("closed").chmod(0)
    for path in ("closed/good.log", "closed/*.log"):
        with as_nobody(), pytest.raises(errors.NothingToRead) as refused:
            discover([path])
        assert str(refused.value).startswith(
            f"{path}: it cannot be read (Permission denied): read it as its owner"
        )
    Path("closed").chmod(0o700)


def test_a_name_that_is_too_long_is_told():
    with pytest.raises(errors.NothingToRead, match=r"it cannot be read \(File name too long\)"):
        discover(["x" * 300])
    with pytest.raises(errors.NothingToRead, match="it does not exist: check the path"):
        discover(["x\0y"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["diagnose", "-", "--json"],
        ["templates", "-", "--json"],
        ["signatures", "test", "-", "--json"],
        ["signatures", "check", "-", "--json"],
        ["parse", "-", "-o", "x.parquet"],
        ["signatures", "learn", "-", "--id", "x"],
    ],
    ids=" ".join,
)
def test_a_closed_stdin_is_65(place, capsys, monkeypatch, arguments):
    monkeypatch.setattr("sys.stdin", None)
    found = check(capsys, arguments, 65)
    assert found is None or (found["path"], str(found["error"])[:15]) == ("-", "-: it is closed")


@pytest.mark.parametrize("sent", [b"", bytes(range(256)) * 64], ids=["nothing", "binary"])
@pytest.mark.parametrize("command", ["diagnose", "templates"])
def test_a_useless_stdin_beside_a_log_is_a_warning(place, command, sent):
    done = subprocess.run(
        [sys.executable, "-m", "l4fast", command, "-", "good.log", "--json"],
        input=sent,
        capture_output=True,
        check=False,
    )
    assert done.returncode < 64
    assert re.fullmatch(rb"l4fast: warning: -: it is (empty|not text)[^\n]+\n", done.stderr)
    found = json.loads(done.stdout)
    if command == "diagnose":
        assert [problem["file"] for problem in found["coverage"]["unreadable"]] == ["-"]
        assert found["job"]["lines"] == 40


def test_a_folder_as_stdin_is_told(place, capsys, monkeypatch):
    folder = os.open("no-logs", os.O_RDONLY)
    with open("good.log", "rb") as stdin:  # Python opens no folder, so another takes its place
        os.dup2(folder, stdin.fileno())
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stdin))
        assert "it is a folder" in str(check(capsys, ["diagnose", "-", "--json"], 65)["error"])
    os.close(folder)


def test_signatures_whose_name_is_no_utf8_are_a_warning(place, capsys):
    name = os.fsdecode(b"b\xfe")
    os.mkdir(name)
    for given in (name, f"{name}.toml"):
        assert main(["diagnose", "good.log", "--signatures", given, "--json"]) < 64
        out, err = capsys.readouterr()
        (problem,) = json.loads(out)["coverage"]["unreadable"]
        assert problem["file"] == given.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        assert err.startswith(r"l4fast: warning: b\xfe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_65(place, capsys):
    Path("good.log").chmod(0)
    assert check(capsys, ["diagnose", "good.log", "--json"], 65)["path"] == "good.log"


def test_an_option_that_is_the_name_of_a_file_asks_for_no_json(place, capsys):
    capsys.readouterr()
    assert main(["diagnose", "--", "--json"]) == 65
    assert capsys.readouterr().out == ""


def test_a_path_that_is_no_utf8_and_drives_the_terminal_is_shown_safely(place, capsys):
    name = os.fsdecode(b"\xff\x1b[2J\n.log")
    found = check(capsys, ["diagnose", name, "--json"], 65)
    assert found["path"] == r"\xff\x1b[2J\x0a.log"
    assert r"\xff\x1b[2J\x0a.log" in found["error"]


def test_a_bug_is_70_a_sentence_and_no_traceback(place, capsys, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr("l4fast.stream.diagnose", broken)
    capsys.readouterr()
    assert main(["diagnose", "good.log", "--json"]) == 70
    out, err = capsys.readouterr()
    assert err.startswith(r"l4fast: internal error (ZeroDivisionError: a\x0ab)")
    assert err.count("\n") == 1
    assert json.loads(out) == {
        "schema": "l4fast.error/1",
        "exit": 70,
        "error": err.removeprefix("l4fast: ").rstrip("\n"),
        "path": None,
    }
    monkeypatch.setenv("L4FAST_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main(["diagnose", "good.log"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), 70),
        (OSError(28, "No space left on device", "/tmp/x"), 70),
        (RecursionError("too deep"), 70),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_the_system_throws_is_a_sentence_too(place, capsys, monkeypatch, error, code):
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("l4fast.stream.diagnose", broken)
    capsys.readouterr()
    assert main(["diagnose", "good.log"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"l4fast: [^\n]+\n", err)


# ------------------------------------------------------------------ what Python code gets


def test_the_same_errors_in_python(place):
    with pytest.raises(errors.NothingToRead) as nothing:
        diagnose(["missing.log"])
    assert nothing.value.path == "missing.log"
    with pytest.raises(errors.NothingToRead):
        diagnose([])
    with pytest.raises(errors.UsageError):
        diagnose(["good.log"], workers=0)
    with pytest.raises(errors.BaselineError) as damaged:
        diagnose(["good.log"], "cut.l4b")
    assert damaged.value.path == "cut.l4b"
    with pytest.raises(errors.BaselineError):
        Baseline.load("good.log")


def test_a_stream_that_ended_takes_no_more(place):
    session = Session()
    session.feed("a.log", LINES)
    session.end("a.log")
    with pytest.raises(errors.UsageError, match="ended"):
        session.feed("a.log", LINES)
    with pytest.raises(errors.UsageError, match=r"b\.log"):
        session.end("b.log")
