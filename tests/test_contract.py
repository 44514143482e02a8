"""The answer keeps its contract: `l4fast.diagnosis/1`, field by field, on simulated jobs."""

import datetime as dt
import json
import math
import random
import re
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

OUTCOMES = {"failed", "finished", "hung", "slow", "running", "unknown"}
CATEGORIES = {
    *("hardware.gpu", "hardware.memory", "hardware.host", "network", "storage", "data", "resource"),
    *("platform", "framework", "user.config", "user.code", "numeric", "preemption", "unknown"),
}
ROLES = {"root", "consequence", "teardown", "context"}
STAGES = {"launch", "init", "load", "iterate", "checkpoint", "evaluate", "shutdown"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z?")
ID = re.compile(r"[0-9a-f]{16}")

# ---------------------------------------------------------- what a value may look like


def is_text(x: object) -> bool:
    return isinstance(x, str)


def is_quote(x: object) -> bool:
    return isinstance(x, str) and len(x) <= 2000


def is_count(x: object) -> bool:
    return type(x) is int and x >= 0


def is_score(x: object) -> bool:
    return type(x) in (int, float) and 0 <= x <= 1


def is_seconds(x: object) -> bool:
    return type(x) in (int, float) and math.isfinite(x) and x >= 0


def is_time(x: object) -> bool:
    return isinstance(x, str) and TIME.fullmatch(x) is not None


def is_id(x: object) -> bool:
    return isinstance(x, str) and ID.fullmatch(x) is not None


def is_values(x: object) -> bool:
    return isinstance(x, dict) and all(
        isinstance(k, str) and (v is None or type(v) in (str, int, float, bool)) for k, v in x.items()
    )


def is_span(x: object) -> bool:
    return isinstance(x, list) and len(x) == 2 and all(map(is_count, x)) and x[0] <= x[1]


def one_of(*allowed: object):
    return lambda x: x in allowed


def null_or(check):
    return lambda x: x is None or matches(x, check)


def each(check, most: int | None = None):
    return lambda x: (
        isinstance(x, list) and (most is None or len(x) <= most) and all(matches(v, check) for v in x)
    )


EVIDENCE = {"file": is_text, "line": lambda n: is_count(n) and n >= 1, "offset": is_count, "text": is_quote}
REFERENCE = EVIDENCE | {"time": null_or(is_time), "rank": null_or(is_count), "node": null_or(is_text)}
SPEC = {
    "schema": one_of("l4fast.diagnosis/1"),
    "job": {
        "paths": each(is_text),
        "files": is_count,
        "bytes": is_count,
        "lines": is_count,
        "nodes": is_count,
        "ranks": is_count,
        "first_time": null_or(is_time),
        "last_time": null_or(is_time),
    },
    "outcome": one_of(*OUTCOMES),
    "action": {
        "verdict": one_of(*EXIT_CODES),
        "exclude_nodes": each(is_text, 256),
        "resume_from": null_or(is_count),
        "reason": is_text,
    },
    "cause": {
        "category": one_of(*CATEGORIES),
        "signature": null_or(is_text),
        "title": is_text,
        "advice": is_text,
        "confidence": is_score,
    },
    "events": each(
        {
            "event_id": is_id,
            "template_id": is_id,
            "template": is_text,
            "values": is_values,
            "role": one_of(*ROLES),
            "category": null_or(one_of(*CATEGORIES)),
            "signature": null_or(is_text),
            "count": lambda n: is_count(n) and n >= 1,
            "ranks": each(is_count, 256),
            "n_ranks": is_count,
            "nodes": each(is_text, 256),
            "n_nodes": is_count,
            "score": is_score,
            "first": REFERENCE,
            "last": REFERENCE,
            "why": each(is_text),
        }
    ),
    "nodes": each(
        {
            "node": is_text,
            "ranks": each(is_count, 256),
            "score": is_score,
            "reasons": each(is_text),
            "evidence": each(EVIDENCE),
        },
        256,
    ),
    "ranks": each({"rank": is_count, "node": null_or(is_text), "score": is_score}, 256),
    "stage": {
        "name": one_of(*STAGES),
        "segments": each(
            {
                "stage": one_of(*STAGES),
                "start": null_or(is_time),
                "end": null_or(is_time),
                "first_iteration": null_or(is_count),
                "last_iteration": null_or(is_count),
            }
        ),
    },
    "iterations": {
        "last_completed": null_or(is_count),
        "first_abnormal": null_or(is_count),
        "total": null_or(is_count),
        "median_seconds": null_or(is_seconds),
    },
    "checkpoint": {
        "last_durable": null_or(is_count),
        "last_accepted": null_or(is_count),
        "lost_iterations": null_or(is_span),
        "path": null_or(is_text),
    },
    "attempts": each(
        {
            "attempt": is_count,
            "outcome": one_of(*OUTCOMES),
            "first_time": null_or(is_time),
            "last_time": null_or(is_time),
            "cause": null_or(is_text),
            "last_iteration": null_or(is_count),
        }
    ),
    "coverage": {
        "layout": is_text,
        "baseline": one_of("given", "self", "none"),
        "ranks_expected": null_or(is_count),
        "ranks_seen": is_count,
        "unreadable": each({"file": is_text, "reason": is_text}),
        "notes": each(is_text),
    },
    "timing": {
        "read_s": is_seconds,
        "parse_s": is_seconds,
        "analyse_s": is_seconds,
        "total_s": is_seconds,
        "bytes_per_s": is_seconds,
        "lines_per_s": is_seconds,
    },
}


def matches(value: object, check: Any, where: str = "answer") -> bool:
    """Whether a value is as the contract says: names the field that is missing or wrong; more are fine."""
    if not isinstance(check, dict):
        assert check(value), f"{where}: {str(value)[:300]!r}"
        return True
    assert isinstance(value, dict), f"{where} is no object"
    for key, inner in check.items():
        assert key in value, f"{where} lacks {key!r}"
        matches(value[key], inner, f"{where}.{key}")
    return True


def check_contract(found: dict[str, Any]) -> None:
    matches(found, SPEC)
    json.dumps(found, allow_nan=False).encode("utf-8")
    verdict, failed = found["action"]["verdict"], found["outcome"] not in ("finished", "running")
    assert (verdict == "none") == (not failed)
    assert bool(found["action"]["exclude_nodes"]) == (verdict == "restart_excluding")
    assert set(found["action"]["exclude_nodes"]) <= {n["node"] for n in found["nodes"]}
    if not failed:
        assert (found["events"], found["nodes"], found["ranks"]) == ([], [], [])
        assert found["iterations"]["first_abnormal"] is None
    events = found["events"]
    for event in events:
        for names, n in ((event["ranks"], event["n_ranks"]), (event["nodes"], event["n_nodes"])):
            assert len(names) == min(n, 256)
            assert names == sorted(set(names))
        assert event["why"]
        if event["first"]["time"] and event["last"]["time"]:
            assert event["first"]["time"] <= event["last"]["time"]
        if event["count"] == 1:
            assert event["first"] == event["last"]
    assert len({e["event_id"] for e in events}) == len(events)
    roles = [e["role"] for e in events]
    assert "root" not in roles[roles.count("root") :], "roots come first"
    for suspects in (found["nodes"], found["ranks"]):
        scores = [s["score"] for s in suspects]
        assert scores == sorted(scores, reverse=True)
    times = [t for t in (found["job"]["first_time"], found["job"]["last_time"]) if t]
    assert times == sorted(times)
    numbers = [a["attempt"] for a in found["attempts"]]
    assert numbers == sorted(set(numbers)) and numbers
    durable, accepted = found["checkpoint"]["last_durable"], found["checkpoint"]["last_accepted"]
    assert durable is None or (accepted is not None and durable <= accepted)


class Lines:
    """Lines of the files that an answer points into."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def at(self, reference: dict[str, Any]) -> str:
        path = reference["file"]
        data = self.files.setdefault(path, Path(path).read_bytes())
        offset, line = reference["offset"], reference["line"]
        assert offset == 0 or data[offset - 1 : offset] == b"\n", f"{path}: byte {offset} begins no line"
        assert data.count(b"\n", 0, offset) + 1 == line, f"{path}: byte {offset} is not in line {line}"
        end = data.find(b"\n", offset)
        line_bytes = data[offset : end if end >= 0 else len(data)]
        # Of a line that redraws itself, the last segment that is not empty is quoted.
        drawn = [piece for piece in line_bytes.split(b"\r") if piece]
        return (drawn[-1] if drawn else line_bytes).decode("utf-8", "replace")


def check_evidence(found: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Every quoted line stands where the answer says, and so does every line that is only pointed at."""
    lines = Lines()
    for event in found["events"]:
        for reference in (event["first"], event["last"]):
            assert lines.at(reference).rstrip("\r")[:2000] == reference["text"].rstrip("\r")
    for node in found["nodes"]:
        assert node["evidence"] or not node["reasons"]
        for reference in node["evidence"]:
            assert lines.at(reference).rstrip("\r")[:2000] == reference["text"].rstrip("\r")
    counted = {e["event_id"]: e for e in found["events"]}
    told: dict[str, int] = {}
    for row in rows:
        lines.at(row)
        event = counted[row["event_id"]]
        assert (row["role"], row["template_id"], row["signature"]) == (
            event["role"],
            event["template_id"],
            event["signature"],
        )
        assert row["role"] in ("root", "consequence", "teardown")
        told[row["event_id"]] = told.get(row["event_id"], 0) + 1
    places = [(row["file"], row["line"]) for row in rows]
    assert len(set(places)) == len(places)
    assert all(n <= counted[event_id]["count"] for event_id, n in told.items())


# ------------------------------------------------------------------ on simulated jobs

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
    assert all(e["first"]["file"].startswith("logs/") for e in found["events"])
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
