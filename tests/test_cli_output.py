"""The command line's output: a file of lines, Ctrl-C, a reader that goes away, a full disk."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from l4fast.cli import main

from programs import interrupt, make_jobs, run, start


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> SimpleNamespace:
    return make_jobs(tmp_path_factory.mktemp("jobs"))


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


@pytest.mark.parametrize("as_json", [False, True])
def test_lines_that_cannot_be_written_leave_the_old_file_and_the_answer(
    jobs, tmp_path, capsys, monkeypatch, as_json
):
    path = tmp_path / "lines.jsonl"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("l4fast.targets.share", full)
    arguments = ["diagnose", jobs.failed, "--lines", str(path), *(["--json"] if as_json else [])]
    assert main(arguments) == 70
    out, err = capsys.readouterr()
    assert json.loads(out)["schema"] == "l4fast.diagnosis/1" if as_json else out.startswith("FAILED")
    assert err == f"l4fast: {path} cannot be written: No space left on device\n"
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["lines.jsonl"]


def test_lines_keep_the_mode_of_the_file_they_replace(jobs, tmp_path, capsys):
    path = tmp_path / "lines.jsonl"
    path.write_text("old")
    path.chmod(0o600)
    assert main(["diagnose", jobs.failed, "--lines", str(path)]) == 11
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size > 3


@pytest.mark.parametrize("name", ["", "-"])
def test_lines_need_a_name(jobs, tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert main(["diagnose", jobs.failed, "--lines", name]) == 64
    assert os.listdir() == []


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
@pytest.mark.parametrize("after_s", [0.0, 0.2, 1.0])
def test_ctrl_c_ends_it_quietly(jobs, tmp_path, workers, after_s):
    folder = tmp_path / "out"
    folder.mkdir()
    arguments = ("--json", "--lines", str(folder / "lines.jsonl"), "--workers", workers)
    # A file takes all of an answer at once; a pipe that nobody reads yet may hold a part of it.
    with open(tmp_path / "answer", "wb") as answer:
        process = start("diagnose", jobs.big, *arguments, stdout=answer)
        heard = interrupt(process, after_s)
        _, err = process.communicate(timeout=60)
    if not heard:
        pytest.skip("this machine is too fast: the job was read before the signal")
    out = (tmp_path / "answer").read_bytes()
    if process.returncode == 11 and json.loads(out):
        assert err == b""
        pytest.skip("this machine is too fast: the answer came before the signal")
    assert (process.returncode, out, err) == (130, b"", b"l4fast: interrupted\n")
    written = [path.read_text() for path in folder.iterdir()]
    assert all(json.loads(row) for text in written for row in text.splitlines())
    assert os.listdir(folder) in ([], ["lines.jsonl"])


def test_ctrl_c_leaves_no_half_baseline_and_no_half_job(jobs, tmp_path):
    for arguments in (
        ["baseline", "learn", jobs.big, "-o", str(tmp_path / "x.l4b")],
        ["simulate", "-o", str(tmp_path / "job"), "--nodes", "200", "--iterations", "400"],
    ):
        process = start(*arguments)
        assert interrupt(process, 0.3)
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


@pytest.mark.parametrize("ending", ["2>&1 >/dev/null | true", ">/dev/null 2>/dev/full"])
def test_warnings_that_cannot_be_written_change_nothing(jobs, ending):
    """The reader of stderr went away, or its disk is full: the exit code is the verdict all the same."""
    command = (
        f'"{sys.executable}" -m l4fast diagnose "{jobs.failed}" /missing {ending}; exit ${{PIPESTATUS[0]}}'
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (11, b"", b"")


def test_who_reads_the_lines_may_stop_reading(jobs):
    read_end, write_end = os.pipe()
    os.close(read_end)
    code, out, err = run("diagnose", jobs.failed, "--lines", f"/dev/fd/{write_end}", pass_fds=[write_end])
    os.close(write_end)
    assert (code, err) == (11, b"")
    assert out.startswith(b"FAILED")


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_what_is_wrong_with_signatures_is_65_whoever_reads_it(tmp_path, as_json):
    (tmp_path / "bad.toml").write_text("".join(f"[a{i}]\n" for i in range(9)))
    read_end, write_end = os.pipe()
    os.close(read_end)
    code, _, err = run("signatures", "check", str(tmp_path), *as_json, stdout=write_end)
    os.close(write_end)
    assert (code, err) == (65, b"")


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
