"""The command line as a user and a script meet it."""

import gc
import gzip
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
from l4fast.cli import main
from l4fast.diagnosis import EXIT_CODES, Diagnosis
from l4fast.simulate import simulate
from l4fast.terminal import escaped

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
    """A small job that failed, its healthy sister, and a big one."""
    folder = tmp_path_factory.mktemp("jobs")
    small = {"nodes": 2, "ranks_per_node": 4, "iterations": 40}
    simulate(folder / "failed", fault="gpu-xid79", seed=1, **small)
    simulate(folder / "healthy", seed=2, **small)
    simulate(folder / "big", nodes=64, iterations=200, fault="hang", seed=3)
    return SimpleNamespace(
        failed=str(folder / "failed" / "logs"),
        healthy=str(folder / "healthy" / "logs"),
        big=str(folder / "big" / "logs"),
    )


def start(*arguments: str, **settings) -> subprocess.Popen[bytes]:
    """Start l4fast as a program of its own, which Ctrl-C reaches."""
    return subprocess.Popen(
        [sys.executable, "-m", "l4fast", *arguments],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings},
    )


def run(*arguments: str, **settings) -> tuple[int, bytes, bytes]:
    process = start(*arguments, **settings)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


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
    for code in (*EXIT_CODES.values(), 64, 65, 70, 130):
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


# ------------------------------------------------------------------------- --lines


def test_lines_are_written_one_object_each(jobs, tmp_path, capsys):
    path = tmp_path / "lines.jsonl"
    path.write_text("old")
    assert main(["diagnose", jobs.failed, "--lines", str(path), "--json"]) == 11
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    assert rows
    keys = {"file", "line", "offset", "role", "event_id", "template_id", "signature"}
    assert all(set(row) == keys for row in rows)
    assert {row["role"] for row in rows} <= {"root", "consequence", "teardown"}
    events = {e["event_id"] for e in json.loads(capsys.readouterr().out)["events"]}
    assert {row["event_id"] for row in rows} == events
    assert os.listdir(tmp_path) == ["lines.jsonl"]


def test_a_healthy_job_has_no_such_lines(jobs, tmp_path, capsys):
    assert main(["diagnose", jobs.healthy, "--lines", str(tmp_path / "lines.jsonl")]) == 0
    assert (tmp_path / "lines.jsonl").read_bytes() == b""


def test_lines_that_cannot_be_written_leave_the_old_file(jobs, tmp_path, capsys, monkeypatch):
    path = tmp_path / "lines.jsonl"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("l4fast.targets._share", full)
    assert main(["diagnose", jobs.failed, "--lines", str(path)]) == 70
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["lines.jsonl"]


def test_lines_keep_a_link_a_device_and_the_umask(jobs, tmp_path, capsys):
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    before = os.umask(0o027)
    try:
        assert main(["diagnose", jobs.failed, "--lines", str(tmp_path / "link.jsonl")]) == 11
    finally:
        os.umask(before)
    assert (tmp_path / "link.jsonl").is_symlink()
    assert (tmp_path / "real.jsonl").stat().st_mode & 0o777 == 0o640
    assert main(["diagnose", jobs.failed, "--lines", "/dev/null"]) == 11
    assert Path("/dev/null").is_char_device()


# ------------------------------------------------------------- interrupted, cut off


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("after_s", [0.4, 1.2])
def test_ctrl_c_ends_it_quietly(jobs, tmp_path, workers, after_s):
    path = tmp_path / "lines.jsonl"
    process = start("diagnose", jobs.big, "--json", "--lines", str(path), "--workers", workers)
    time.sleep(after_s)
    if process.poll() is not None:
        pytest.skip("this machine is too fast: the job was read before the signal")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    if process.returncode == 11 and json.loads(out):
        assert err == b""
        pytest.skip("this machine is too fast: the answer came before the signal")
    assert (process.returncode, out, err) == (130, b"", b"l4fast: interrupted\n")
    assert os.listdir(tmp_path) == []


def test_ctrl_c_leaves_no_half_baseline_and_no_half_job(jobs, tmp_path):
    for arguments in (
        ["baseline", "learn", jobs.big, "-o", str(tmp_path / "x.l4b")],
        ["simulate", "-o", str(tmp_path / "job"), "--nodes", "200", "--iterations", "400"],
    ):
        process = start(*arguments)
        time.sleep(0.8)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (130, b"l4fast: interrupted\n")
        assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["diagnose", "FAILED"], 11),
        (["diagnose", "FAILED", "--json"], 11),
        (["templates", "FAILED"], 0),
        (["--help"], 0),
    ],
    ids=lambda x: str(x),
)
def test_a_reader_that_goes_away_is_no_error(jobs, arguments, code):
    read_end, write_end = os.pipe()
    os.close(read_end)
    arguments = [jobs.failed if a == "FAILED" else a for a in arguments]
    returned, _, err = run(*arguments, stdout=write_end)
    os.close(write_end)
    assert (returned, err) == (code, b"")


@pytest.mark.parametrize(
    "arguments", [["diagnose", "FAILED"], ["diagnose", "FAILED", "--json"], ["--version"]]
)
def test_a_full_disk_behind_stdout_is_a_sentence(jobs, arguments):
    with open("/dev/full", "wb") as full:
        code, _, err = run(*[jobs.failed if a == "FAILED" else a for a in arguments], stdout=full)
    assert code == 70
    assert re.fullmatch(rb"l4fast: [^\n]+\n", err)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_outputs_change_nothing(jobs, closed):
    command = f'"{sys.executable}" -m l4fast diagnose "{jobs.failed}" /missing {closed}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert done.returncode == 11
    assert b"Traceback" not in done.stderr
    if closed == "2>&-":
        assert b"warning" not in done.stdout


# ------------------------------------------------------------------- other commands


def test_from_stdin(jobs, tmp_path):
    console = sorted(Path(jobs.failed).glob("console.*"))[-1]
    with console.open("rb") as stdin:
        code, out, err = run("diagnose", "-", "--json", stdin=stdin)
    assert (code >= 64, err) == (False, b"")
    found = json.loads(out)
    assert found["job"]["paths"] == ["-"]
    assert {e["first"]["file"] for e in found["events"]} == {"-"}


def test_empty_stdin_is_65():
    code, out, _ = run("diagnose", "-", "--json")
    assert code == 65
    assert json.loads(out)["path"] == "-"


def test_templates_count_every_line(jobs, capsys):
    assert main(["templates", jobs.failed, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "l4fast.templates/1"
    assert all({"template_id", "template", "count"} <= set(t) for t in found["templates"])
    ids = [t["template_id"] for t in found["templates"]]
    assert len(set(ids)) == len(ids)
    # Every line has a shape, an empty one too.
    lines = sum(path.read_bytes().count(b"\n") for path in Path(jobs.failed).rglob("*") if path.is_file())
    assert sum(t["count"] for t in found["templates"]) == lines
    assert main(["templates", jobs.failed, "--json", "--workers", "2"]) == 0
    assert json.loads(capsys.readouterr().out) == found


@pytest.mark.parametrize("name", ["lines.parquet", "lines.arrow"])
def test_parse_writes_a_row_for_each_line(jobs, tmp_path, capsys, name):
    assert main(["parse", jobs.failed, "-o", str(tmp_path / name), "--text"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    if name.endswith("parquet"):
        table = pq.read_table(tmp_path / name)
    else:
        table = ipc.open_file(pa.OSFile(str(tmp_path / name))).read_all()
    n_lines = sum(path.read_bytes().count(b"\n") for path in Path(jobs.failed).rglob("*") if path.is_file())
    assert table.num_rows == n_lines
    assert {"file", "line", "node", "rank", "shape", "template", "text"} <= set(table.column_names)
    assert re.fullmatch(rf"\S+{name}: {n_lines} lines, \d+ templates\n", err)


def test_a_baseline_is_learned_merged_shown_and_used(jobs, tmp_path, capsys):
    one, two = str(tmp_path / "one.l4b"), str(tmp_path / "two.l4b")
    assert main(["baseline", "learn", jobs.healthy, "-o", one]) == 0
    assert main(["baseline", "merge", one, one, "-o", two]) == 0
    capsys.readouterr()
    shown = []
    for path in (one, two):
        assert main(["baseline", "show", path, "--json"]) == 0
        shown.append(json.loads(capsys.readouterr().out))
    assert [s["jobs"] for s in shown] == [1, 2]
    assert [2 * s["lines"] for s in shown[0]["shapes"]] == [s["lines"] for s in shown[1]["shapes"]]
    assert Path(one).stat().st_mode & 0o077 == 0o077 & ~os.umask(os.umask(0o022)) & 0o066
    answers = []
    for baseline in (one, jobs.healthy):
        assert main(["diagnose", jobs.failed, "--baseline", baseline, "--json"]) == 11
        answers.append(json.loads(capsys.readouterr().out))
        del answers[-1]["timing"]
    assert answers[0] == answers[1]
    assert answers[0]["coverage"]["baseline"] == "given"


def test_learning_says_what_it_could_not_read(jobs, tmp_path, capsys):
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "a.log").write_text("step 1 of the run\n" * 9)
    packed = gzip.compress(os.urandom(5000).hex().encode() + b"\n")
    (folder / "b.log.gz").write_bytes(packed[:-900])
    assert main(["baseline", "learn", str(folder), "-o", str(tmp_path / "x.l4b")]) == 0
    assert f"warning: {folder / 'b.log.gz'}: " in capsys.readouterr().err


def test_simulate_writes_logs_and_truth(tmp_path, capsys):
    small = ["--nodes", "2", "--ranks-per-node", "2", "--iterations", "12"]
    assert (
        main(
            [
                "simulate",
                "-o",
                str(tmp_path / "a"),
                "--fault",
                "nan",
                "--style",
                "titan",
                "--seed",
                "5",
                *small,
            ]
        )
        == 0
    )
    assert (
        main(
            [
                "simulate",
                "-o",
                str(tmp_path / "b"),
                "--fault",
                "nan",
                "--style",
                "titan",
                "--seed",
                "5",
                *small,
            ]
        )
        == 0
    )
    out, err = capsys.readouterr()
    assert out == "" and "truth.json" in err
    truth = json.loads((tmp_path / "a" / "truth.json").read_text())
    assert (truth["fault"], truth["style"]) == ("nan", "titan")
    for path in sorted((tmp_path / "a" / "logs").rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_simulate_takes_faulty_nodes_and_leaves_kernel_logs_out(tmp_path):
    out = tmp_path / "job"
    asked = [
        "--fault",
        "ecc",
        "--nodes",
        "4",
        "--ranks-per-node",
        "2",
        "--iterations",
        "8",
        "--culprits",
        "2",
    ]
    assert main(["simulate", "-o", str(out), *asked, "--no-kernel-logs", "--clock-skew", "1.5"]) == 0
    truth = json.loads((out / "truth.json").read_text())
    assert len(truth["faulty_nodes"]) == 2 and not (out / "logs" / "kernel").exists()


def test_simulate_lists_what_it_can_do(capsys):
    assert main(["simulate", "--fault", "list"]) == 0
    out = capsys.readouterr().out
    assert "megatron" in out and "gpu-xid79" in out


@pytest.mark.parametrize(
    "arguments", [[], ["--fault", "none"], ["--fault", "nan", "--style", "nemo"]], ids=str
)
def test_the_demo_shows_answer_and_truth(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["demo", "--ranks", "16", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "planted -> found" in out
    assert "\n  ! " not in out, "the demo's own answer is wrong"
    assert os.listdir(tmp_path) == []


def test_warmup_says_what_it_did(capsys):
    assert main(["warmup"]) == 0
    assert "compiled and cached" in capsys.readouterr().out


def test_a_vocabulary_that_explodes_is_told(tmp_path, capsys):
    letters = "abcdefghij"
    users = ("zq" + "".join(letters[int(digit)] for digit in f"{k:05}") for k in range(1000))
    log = tmp_path / "a.log"
    log.write_text("".join(f"user {user} cannot log in\n" for user in users))
    told = "1 kind of lines has more than 128 forms, counted as one (1,000 lines)"

    assert main(["templates", str(log)]) == 0
    out, err = capsys.readouterr()
    assert out.split(None, 2)[::2] == ["1000", "user <*> cannot log in\n"]
    assert err == f"l4fast: warning: vocabulary: {told}\n"

    assert main(["parse", str(log), "-o", str(tmp_path / "out.parquet")]) == 0
    assert f"l4fast: warning: vocabulary: {told}\n" in capsys.readouterr().err

    main(["diagnose", str(log), "--json"])
    assert f"vocabulary: {told}" in json.loads(capsys.readouterr().out)["coverage"]["notes"]


def test_an_interrupt_that_a_finaliser_swallows_comes_again(tmp_path):
    code = (
        "import signal, sys, time\n"
        "from l4fast import cli, commands\n"
        "class Finalised:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        for _ in range(1000): pass\n"
        "def run(options):\n"
        "    Finalised()\n"
        "    time.sleep(5)\n"
        "    return 0\n"
        "commands.warmup = run\n"
        "sys.exit(cli.main(['warmup']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"l4fast: interrupted\n")
