"""The commands beside `diagnose`, and diagnosing stdin."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
from l4fast.answer import show_truth
from l4fast.cli import main

from programs import heeds_ctrl_c, make_jobs, run


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> SimpleNamespace:
    return make_jobs(tmp_path_factory.mktemp("jobs"))


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


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color_means_no_escapes_at_all(jobs, no_color):
    env = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": no_color}
    _, out, _ = run("diagnose", jobs.failed, env=env)
    assert (b"\x1b[" in out) == (not no_color)


def test_an_answer_that_is_as_good_as_the_truth_is_marked_so(capsys):
    truth = SimpleNamespace(
        outcome="failure",
        category="storage",
        faulty_nodes=["n1"],
        faulty_ranks=[],
        stage="load",
        last_iteration=7,
        last_durable_checkpoint=None,
        verdict="stop",
        accepted={"verdict": ("stop", "restart")},
        node_evidence="node",
    )
    found = SimpleNamespace(
        outcome="failed",
        cause={"category": "network"},
        nodes=[{"node": "n1"}],
        ranks=[],
        stage={"name": "load"},
        iterations={"last_completed": 7},
        checkpoint={"last_durable": None},
        action={"verdict": "restart"},
    )
    show_truth(truth, found)
    marks = {line.split()[1]: line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]}
    assert (marks.pop("verdict"), marks.pop("category")) == ("~", "!")
    assert set(marks.values()) == {"="}


def test_of_a_failed_job_no_baseline_is_learned_without_a_word(jobs, tmp_path, capsys):
    for path, warned in ((jobs.healthy, False), (jobs.failed, True)):
        assert main(["baseline", "learn", path, "-o", str(tmp_path / "x.l4b")]) == 0
        assert ("a failure is seen in it (" in capsys.readouterr().err) == warned


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
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, preexec_fn=heeds_ctrl_c
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"l4fast: interrupted\n")
