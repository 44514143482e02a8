"""The command line as a user and a script meet it: help, exit codes, and what is written where."""

import gc
import gzip
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from l4fast.cli import main
from l4fast.diagnosis import EXIT_CODES, Diagnosis
from l4fast.simulate import simulate
from l4fast.terminal import escaped

from programs import make_jobs, run, start

COMMANDS = [
    ["demo"],
    ["diagnose"],
    ["parse"],
    ["templates"],
    ["baseline"],
    ["baseline", "learn"],
    ["baseline", "merge"],
    ["baseline", "show"],
    ["simulate"],
    ["bench"],
    ["bench", "loghub"],
    ["warmup"],
]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> SimpleNamespace:
    return make_jobs(tmp_path_factory.mktemp("jobs"))


# ------------------------------------------------------------------------- asking


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_explains_itself(command, capsys):
    assert main([*command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: l4fast {' '.join(command)} ")
    assert err == ""


def test_help_names_every_command_and_every_exit_code(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"\b{command[0]}\b", out)
    for code in (*EXIT_CODES.values(), 64, 65, 70, 129, 130, 143):
        assert re.search(rf"\b{code}\b", out)


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"l4fast \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


def test_it_runs_as_a_module_and_as_a_program(jobs):
    assert run("--version")[0] == 0
    program = Path(sys.executable).with_name("l4fast")
    if not program.exists():
        pytest.skip("l4fast is not installed beside this Python")
    assert subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0


# --------------------------------------------------------------------- exit codes


def made(verdict: str, outcome: str) -> Diagnosis:
    return Diagnosis(
        job={"paths": ["x"], "files": 1, "bytes": 9, "lines": 1, "nodes": 0, "ranks": 0}
        | {"first_time": None, "last_time": None},
        outcome=outcome,
        action={"verdict": verdict, "exclude_nodes": [], "resume_from": None, "reason": ""},
        cause={"category": "unknown", "signature": None, "title": "x", "advice": "", "confidence": 0.5},
        events=[],
        nodes=[],
        ranks=[],
        stage={"name": "iterate", "segments": []},
        iterations={"last_completed": 3, "first_abnormal": None, "total": None, "median_seconds": None},
        checkpoint={"last_durable": None, "last_accepted": None, "lost_iterations": None, "path": None},
        attempts=[],
        coverage={"layout": "plain", "baseline": "none", "ranks_expected": None, "ranks_seen": 0}
        | {"unreadable": [], "notes": []},
        timing={"total_s": 0.1},
    )


@pytest.mark.parametrize("outcome", ["failed", "finished", "hung", "slow", "running", "unknown"])
@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        ("none", 0),
        ("restart", 10),
        ("restart_excluding", 11),
        ("resume_older_checkpoint", 12),
        ("stop", 20),
        ("unknown", 30),
    ],
)
def test_the_exit_code_is_the_verdict(monkeypatch, capsys, verdict, code, outcome):
    monkeypatch.setattr("l4fast.stream.diagnose", lambda *_, **__: made(verdict, outcome))
    assert main(["diagnose", "x"]) == code
    assert main(["diagnose", "x", "--json"]) == code
    answer = capsys.readouterr().out
    assert outcome.upper() in answer
    assert json.loads(answer[answer.index("{") :])["action"]["verdict"] == verdict


@pytest.mark.parametrize(
    ("fault", "code"), [(None, 0), ("preemption", 10), ("gpu-xid79", 11), ("nan", 12), ("user-exception", 20)]
)
def test_the_exit_codes_of_real_failures(tmp_path, capsys, fault, code):
    simulate(tmp_path / "job", nodes=2, ranks_per_node=4, iterations=40, fault=fault, seed=4)
    assert main(["diagnose", str(tmp_path / "job" / "logs")]) == code


def test_what_tells_nothing_is_unknown(tmp_path, capsys):
    (tmp_path / "a.log").write_text("hello\nworld\n")
    assert main(["diagnose", str(tmp_path / "a.log")]) == 30


def test_a_log_that_just_ends_while_healthy_is_running(tmp_path, capsys):
    lines = [
        f"2026-05-07 10:{i // 60:02d}:{i % 60:02d} INFO iteration {i}/ 500 | loss 2.5\n"
        for i in range(1, 200)
    ]
    (tmp_path / "a.log").write_text("".join(lines))
    assert main(["diagnose", str(tmp_path / "a.log"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "running"


# -------------------------------------------------------------- what is written where


def test_the_answer_names_cause_place_and_evidence(jobs, capsys):
    assert main(["diagnose", jobs.failed]) == 11
    out, err = capsys.readouterr()
    assert err == ""
    assert "FAILED" in out
    assert "restart without the named nodes" in out
    assert re.search(r"root .*\n +\S+:\d+ \(byte \d+\)", out)


@pytest.mark.parametrize("path", ["good", "no such file"])
def test_the_collector_of_garbage_is_on_again_after_a_diagnosis(jobs, tmp_path, path):
    main(["diagnose", str(jobs.failed) if path == "good" else str(tmp_path / path), "--json"])
    assert gc.isenabled()


def test_json_is_one_object_on_one_line_and_nothing_else(jobs, capsys):
    assert main(["diagnose", jobs.failed, "--json"]) == 11
    out, err = capsys.readouterr()
    assert err == ""
    assert out.endswith("}\n") and out.count("\n") == 1
    assert json.loads(out)["schema"] == "l4fast.diagnosis/1"


def test_progress_is_shown_on_stderr_if_that_is_a_terminal(jobs, capsys, monkeypatch):
    monkeypatch.setattr("l4fast.terminal._SHORT_BYTES", 0)
    assert main(["diagnose", jobs.failed, "--json"]) == 11
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    for arguments in (
        ["diagnose", jobs.failed, "--json"],
        ["templates", jobs.failed, "--json", "--workers", "2"],
    ):
        main(arguments)
        out, err = capsys.readouterr()
        json.loads(out)
        assert "reading" in err


def test_warnings_go_to_stderr_and_the_rest_is_diagnosed(jobs, tmp_path, capsys):
    (tmp_path / "empty.log").touch()
    bad = [str(tmp_path / "empty.log"), str(tmp_path / "missing.log")]
    assert main(["diagnose", bad[0], jobs.failed, bad[1], "--json"]) == 11
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert sorted(u["file"] for u in found["coverage"]["unreadable"]) == bad
    assert all(u["reason"] for u in found["coverage"]["unreadable"])
    assert len(re.findall(r"^l4fast: warning: [^\n]+$", err, re.M)) == err.count("\n") == 2
    assert found["job"]["paths"] == [bad[0], jobs.failed, bad[1]]


def test_a_truncated_gz_is_read_as_far_as_it_goes_and_said_to_be(tmp_path, capsys):
    rows = [
        f"2026-05-07 10:{i // 60 % 60:02d}:{i % 60:02d} INFO step {i} seen {i * i % 9973}\n"
        for i in range(9000)
    ]
    packed = gzip.compress("".join(rows).encode())
    path = tmp_path / "a.log.gz"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    main(["diagnose", str(path), "--json"])
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert 100 < found["job"]["lines"] < 9000
    (told,) = found["coverage"]["unreadable"]
    assert told["file"] == str(path)
    assert err == f"l4fast: warning: {path}: {told['reason']}\n"


def test_a_log_cannot_drive_the_terminal(tmp_path, capsys):
    nasty = "\x1b]0;owned\x07\x1b[31m\u202e\x9b"
    lines = [f"2026-05-07 10:00:{i:02d} step {i}/90 loss 2.5" for i in range(1, 40)]
    lines += [
        "[rank0]: Traceback (most recent call last):",
        f"[rank0]: RuntimeError: CUDA out of memory {nasty}",
    ]
    folder = tmp_path / "a\x1b[2J"
    folder.mkdir()
    (folder / "x.log").write_text("\n".join(lines) + "\n")
    main(["diagnose", str(folder)])
    out, err = capsys.readouterr()
    assert "\\x1b]0;owned\\x07" in out
    assert not set(out + err) & set("\x1b\x07\x9b\u202e")
    for command in (
        ["templates", str(folder)],
        ["baseline", "learn", str(folder), "-o", str(folder / "x.l4b")],
    ):
        assert main(command) == 0
    assert main(["baseline", "show", str(folder / "x.l4b")]) == 0
    out, err = capsys.readouterr()
    assert not set(out + err) & set("\x1b\x07\x9b\u202e")


def test_escapes_can_be_read_and_plain_text_stays():
    assert escaped("tab\tgrün 日本 \U0001f525") == "tab\tgrün 日本 \U0001f525"
    assert escaped("a\x00\x7f\u2028\n") == "a\\x00\\x7f\\u2028\\x0a"
    assert escaped(escaped("\x1b[0m")) == escaped("\x1b[0m")


def on_terminal(*arguments: str, **environment: str) -> bytes:
    """Run l4fast with stdout on a terminal; return what the terminal got."""
    leader, follower = pty.openpty()
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM")}
    process = start(*arguments, stdout=follower, env={**clean, "TERM": "xterm-256color", **environment})
    os.close(follower)
    parts = []
    try:
        while part := os.read(leader, 65536):
            parts.append(part)
    except OSError:  # how Linux ends a terminal whose last writer is gone
        pass
    os.close(leader)
    process.communicate(timeout=60)
    return b"".join(parts)


def test_colours_on_a_terminal_unless_no_color(jobs):
    assert b"\x1b[" in on_terminal("diagnose", jobs.failed)
    plain = on_terminal("diagnose", jobs.failed, NO_COLOR="1")
    assert b"FAILED" in plain
    assert not re.search(rb"\x1b\[[0-9;]*3[0-9]", plain)


def test_no_colours_into_a_pipe(jobs):
    code, out, err = run("diagnose", jobs.failed)
    assert (code, err) == (11, b"")
    assert b"\x1b" not in out


def test_a_narrow_locale_breaks_nothing(tmp_path):
    (tmp_path / "a.log").write_text("RuntimeError: größer als erlaubt 日本\n")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    code, out, _ = run("diagnose", str(tmp_path / "a.log"), env=environment)
    assert code < 64
    assert out.isascii()
    code, out, _ = run("diagnose", str(tmp_path / "a.log"), "--json", env=environment)
    assert code < 64
    assert json.loads(out.decode("utf-8"))
