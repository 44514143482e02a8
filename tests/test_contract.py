"""The answer keeps its contract: `l4fast.diagnosis/1`, field by field, on simulated jobs."""

import datetime as dt
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from l4fast.cli import main
from l4fast.crossjob import Baseline
from l4fast.diagnosis import EXIT_CODES, Diagnosis
from l4fast.library import load
from l4fast.simulate import FAULTS, STYLES, simulate
from l4fast.stream import Session, diagnose, learn

from contract import SPEC, check_contract, check_evidence

# Each style and each fault at least once.
GRID = [
    *((STYLES[i % len(STYLES)], fault) for i, fault in enumerate(FAULTS)),
    *((style, None) for style in STYLES),
]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> dict[tuple[str, str | None], Path]:
    folder = tmp_path_factory.mktemp("jobs")
    made = {}
    for style, fault in GRID:
        out = folder / f"{style}-{fault}"
        simulate(out, style=style, nodes=2, ranks_per_node=4, iterations=24, fault=fault, seed=8)
        made[style, fault] = out / "logs"
    return made


def ask(*arguments: str, stdin: Path | None = None) -> dict[str, Any]:
    """Ask the command line in a process of its own, so that nothing of an earlier answer is left."""
    with open(stdin or "/dev/null", "rb") as given:
        done = subprocess.run(
            [sys.executable, "-m", "l4fast", "diagnose", *arguments, "--json"],
            stdin=given,
            capture_output=True,
            check=False,
        )
    assert done.returncode < 64, done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == EXIT_CODES[found["action"]["verdict"]]
    return found


def without_timing(found: dict[str, Any] | Diagnosis) -> dict[str, Any]:
    as_json = json.loads(found.to_json()) if isinstance(found, Diagnosis) else dict(found)
    del as_json["timing"]
    return as_json


@pytest.mark.parametrize("style_and_fault", GRID, ids=lambda x: f"{x[0]}-{x[1]}")
def test_every_answer_keeps_the_contract(jobs, style_and_fault, tmp_path, capsys):
    logs = jobs[style_and_fault]
    code = main(["diagnose", str(logs), "--json", "--lines", str(tmp_path / "lines.jsonl")])
    found = json.loads(capsys.readouterr().out)
    rows = [json.loads(row) for row in (tmp_path / "lines.jsonl").read_text().splitlines()]
    check_contract(found)
    assert code == EXIT_CODES[found["action"]["verdict"]]
    assert found["job"]["paths"] == [str(logs)]
    files = {str(path) for path in logs.rglob("*") if path.is_file() and path.stat().st_size}
    assert found["job"]["files"] == len(files)
    assert found["job"]["bytes"] == sum(Path(path).stat().st_size for path in files)
    assert found["job"]["lines"] == sum(Path(path).read_bytes().count(b"\n") for path in files)
    assert {e["first"]["file"] for e in found["events"]} <= files, (
        "file names are the given path and the path inside"
    )
    check_evidence(found, rows)


@pytest.mark.parametrize(
    "style_and_fault", [GRID[0], GRID[8], GRID[12], GRID[14], GRID[-4]], ids=lambda x: f"{x[0]}-{x[1]}"
)
def test_only_timing_differs_between_runs_and_with_workers(jobs, style_and_fault):
    logs = str(jobs[style_and_fault])
    once = without_timing(diagnose([logs]))
    assert without_timing(ask(logs)) == once
    assert without_timing(ask(logs, "--workers", "2")) == once
    for workers in (1, 2, 5):
        assert without_timing(diagnose([logs], workers=workers)) == once


def test_a_file_and_the_same_file_as_stdin(jobs):
    logs = jobs["nemo", None].parent.parent / f"nemo-{FAULTS[2]}" / "logs"
    (file,) = logs.glob("slurm-*")

    def renamed(found: dict[str, Any]) -> dict[str, Any]:
        return json.loads(json.dumps(without_timing(found)).replace(json.dumps(str(file)), '"-"'))

    from_file, from_stdin = ask(str(file)), ask("-", stdin=file)
    assert from_file["events"]
    assert renamed(from_file) == renamed(from_stdin)
    with file.open("rb") as stdin:  # a pipe, that cannot be opened again, is no worse than a file
        cat = subprocess.Popen(["cat"], stdin=stdin, stdout=subprocess.PIPE)
        command = [sys.executable, "-m", "l4fast", "diagnose", "-", "--json"]
        piped = subprocess.run(command, stdin=cat.stdout, capture_output=True, check=False)
        cat.communicate()
    assert renamed(json.loads(piped.stdout)) == renamed(from_stdin)


def test_the_order_of_the_paths_changes_nothing_but_their_list(jobs):
    logs = jobs["megatron", "gpu-xid79"]
    parts = sorted(str(path) for path in logs.iterdir())
    there, back = without_timing(diagnose(parts)), without_timing(diagnose(parts[::-1]))
    assert there["job"].pop("paths") == back["job"].pop("paths")[::-1]
    assert there == back


def test_relative_paths_stay_relative(jobs, monkeypatch, capsys):
    logs = jobs["megatron", "gpu-xid79"]
    monkeypatch.chdir(logs.parent)
    main(["diagnose", "logs", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["job"]["paths"] == ["logs"]
    assert found["events"] and all(e["first"]["file"].startswith("logs/") for e in found["events"])
    check_evidence(found, [])


def test_lists_are_cut_and_counts_are_not(tmp_path):
    simulate(tmp_path / "job", nodes=300, ranks_per_node=1, iterations=8, fault="gpu-xid79", seed=5)
    found = without_timing(diagnose([str(tmp_path / "job" / "logs")]))
    check_contract({**found, "timing": dict.fromkeys(SPEC["timing"], 0)})  # type: ignore[call-overload]
    assert max(e["n_ranks"] for e in found["events"]) > 256
    assert max(len(e["ranks"]) for e in found["events"]) == 256
    assert found["job"]["ranks"] == 300


NASTY = [
    b"2026-05-07 10:00:41 ERROR \xff\xfe bad \xc3 bytes: RuntimeError: CUDA error: an assert \xe2\x82",
    b"RuntimeError: " + "é".encode() * 5000 + b" CUDA out of memory",
    b"[rank1]: ValueError: \x00\x01\x1b[31m nul and escape",
    b"loss: nan grad_norm: inf lr: -inf value: 1e999",
    b"[rank99999999999999999999]: RuntimeError: NCCL error",
    b"rank -1: exit code 18446744073709551617",
    b"99999-99-99 99:99:99 ERROR 0000-00-00T00:00:00Z failed",
    b"\r\r\rTraining:  50%|#####     | 50/100 [00:10<00:10]\rRuntimeError: after a bar\r",
    b"iteration 99999999999999999999999/ 100 | loss nan",
    b"\xed\xa0\x80 surrogate RuntimeError: failed",
    b"Traceback (most recent call last):",
    b'  File "x.py", line 3, in <module>',
    b"KeyError: '\xf0\x9f\x94\xa5'",
    b"",
    b" ",
]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_nasty_lines_keep_the_contract(tmp_path, capsys, end):
    head = [b"2026-05-07 10:00:%02d INFO iteration %d/ 100 | loss 2.5" % (i, i) for i in range(1, 40)]
    path = tmp_path / "a.log"
    path.write_bytes((end or b"\n").join(head + NASTY) + end)
    code = main(["diagnose", str(path), "--json", "--lines", str(tmp_path / "lines.jsonl")])
    found = json.loads(capsys.readouterr().out)
    check_contract(found)
    assert code == EXIT_CODES[found["action"]["verdict"]]
    check_evidence(found, [json.loads(row) for row in (tmp_path / "lines.jsonl").read_text().splitlines()])


def test_a_file_whose_name_is_no_utf8_keeps_the_contract(jobs, tmp_path, monkeypatch):
    (console,) = jobs["nemo", None].parent.parent.joinpath(f"nemo-{FAULTS[2]}", "logs").glob("slurm-*")
    folder = Path(tmp_path, b"\xff\x1b".decode("utf-8", "surrogateescape"))
    folder.mkdir()
    (folder / "slurm-1.out").write_bytes(console.read_bytes())
    found = ask(str(folder))
    check_contract(found)
    assert found["job"]["paths"] == [str(tmp_path) + "/\\xff\x1b"]
    assert {e["first"]["file"] for e in found["events"]} == {str(tmp_path) + "/\\xff\x1b/slurm-1.out"}


# ------------------------------------------------------------------------- in Python


def test_failure_lines_are_a_table_of_the_same_lines(jobs, tmp_path, capsys):
    logs = str(jobs["megatron", "gpu-xid79"])
    main(["diagnose", logs, "--lines", str(tmp_path / "lines.jsonl")])
    found = diagnose([logs])
    rows = [json.loads(row) for row in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert found.failure_lines.to_pylist() == rows
    assert found.failure_lines.schema.names == list(rows[0])
    assert json.loads(found.to_json(indent=True)) == json.loads(found.to_json())
    with pytest.raises(AttributeError):
        found.outcome = "finished"  # type: ignore[misc]


def fed(logs: Path, seed: int, baseline: Baseline | None = None) -> Session:
    """Feed a session the files of a folder: odd pieces, turn and turn about, as writers would."""
    draw = random.Random(seed)
    dates = [p.stat().st_mtime for p in logs.rglob("*") if p.is_file()]
    session = Session(baseline, library=load(), today=dt.date.fromtimestamp(max(dates)))
    left = {str(p): p.read_bytes() for p in sorted(logs.rglob("*")) if p.is_file() and p.stat().st_size}
    while left:
        name = draw.choice(list(left))
        n = draw.choice((1, 7, 100, 4096, 60_000))
        session.feed(name, left[name][:n])
        left[name] = left[name][n:]
        if not left[name]:
            del left[name]
    session.end()
    return session


@pytest.mark.parametrize(
    "style_and_fault", [GRID[0], GRID[1], GRID[7], GRID[13], GRID[14], GRID[-5]], ids=str
)
def test_a_session_fed_in_odd_pieces_gives_the_same_answer(jobs, style_and_fault):
    logs = jobs[style_and_fault]
    whole = without_timing(diagnose([str(logs)]))
    del whole["job"]["paths"]
    for seed in (1, 2):
        streamed = without_timing(fed(logs, seed).diagnose())
        assert len(streamed["job"].pop("paths")) == whole["job"]["files"]
        assert streamed == whole


def test_a_session_with_a_baseline_gives_the_same_answer(jobs):
    logs, healthy = jobs["megatron", "gpu-xid79"], learn([str(jobs["megatron", None])])
    whole, streamed = diagnose([str(logs)], healthy), fed(logs, 3, healthy).diagnose()
    assert streamed.coverage["baseline"] == "given"
    assert without_timing(streamed)["events"] == without_timing(whole)["events"]
    assert streamed.action == whole.action


def test_a_session_answers_at_any_time_and_asking_changes_nothing(jobs):
    logs = jobs["nemo", None].parent.parent / f"nemo-{FAULTS[2]}" / "logs"
    (file,) = logs.glob("slurm-*")
    data = file.read_bytes()
    asked, silent = Session(), Session()
    check_contract(json.loads(asked.diagnose().to_json()))
    step = len(data) // 7 + 1
    for at in range(0, len(data), step):
        for session in (asked, silent):
            session.feed(str(file), data[at : at + step])
        now = asked.diagnose()
        check_contract(json.loads(now.to_json()))
        assert now.job["lines"] == data[: at + step].count(b"\n")
    for session in (asked, silent):
        session.end(str(file))
        session.end()
    assert without_timing(asked.diagnose()) == without_timing(silent.diagnose())


def test_the_line_that_is_not_ended_waits(tmp_path):
    session = Session()
    session.feed("a", b"step 1 done\nstep 2 do")
    assert session.diagnose().job["lines"] == 1
    session.feed("a", b"ne\n")
    assert session.diagnose().job["lines"] == 2
    session.feed("a", b"the last, without an end")
    session.end("a")
    assert session.diagnose().job["lines"] == 3


def test_the_public_names():
    script = (
        "import l4fast, sys;"
        "assert not {'numba', 'numpy'} & set(sys.modules), 'importing l4fast must be quick';"
        "from l4fast import Baseline, Session, diagnose, parse, simulate;"
        "assert all(map(callable, (diagnose, parse, simulate, Session, Baseline.load)));"
        "assert callable(l4fast.diagnose) and callable(l4fast.parse) and callable(l4fast.simulate)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
