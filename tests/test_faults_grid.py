"""bench/grid.py and faults.py: the held-out half is fixed, and a score means what its column says."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from l4fast.simulate import FAULTS, MANY, STYLES

BENCH = str(Path(__file__).resolve().parents[1] / "bench")


@pytest.fixture(scope="module")
def bench():
    """The modules of bench/ under test, imported as its scripts import each other."""
    sys.path.insert(0, BENCH)
    try:
        import faults
        import grid

        yield SimpleNamespace(grid=grid, faults=faults)
    finally:
        sys.path.remove(BENCH)


def test_the_halves_are_fixed_and_about_equal(bench):
    runs = list(bench.grid.grid(FAULTS, STYLES, range(3), (1, 2, 8), "both"))
    halves = Counter(run.half for run in runs)
    assert set(halves) == {"tune", "report"} and abs(halves["tune"] / len(runs) - 0.5) < 0.05
    # Whoever changes the rule moves held-out runs into the half that is tuned on.
    named = [bench.grid.Run("hang", "hf", seed, 1, True).half for seed in range(8)]
    assert named == ["report", "report", "report", "report", "report", "report", "report", "tune"]
    assert len(set(runs)) == len(runs) == 3 * len(STYLES) * 2 * (len(FAULTS) + 2 * len(MANY))


def test_a_half_of_the_grid_holds_no_run_of_the_other(bench):
    tune, report = (set(bench.grid.grid(half=half)) for half in ("tune", "report"))
    assert tune and report and not tune & report and tune | report == set(bench.grid.grid())
    assert bench.grid.sample(tune, 5) == bench.grid.sample(sorted(tune, key=lambda r: r.name), 5)


def test_kept_jobs_lie_below_a_folder_that_is_made(bench, tmp_path):
    run = bench.grid.Run("sigkill", "hf", 0, 1, True)
    row = bench.faults.try_one(run, 3, 2, False, str(tmp_path / "new" / "folder"))
    (kept,) = (tmp_path / "new" / "folder").iterdir()
    assert (kept / "job" / "truth.json").is_file()
    assert row["half"] == run.half and row["marks"]["wrong"] is False


def answer(**changes):
    """A diagnosis that names n1 and is right about everything in `truth`."""
    found = {
        "failure_rows": [{"file": "/logs/a.log", "line": 3}, {"file": "/logs/a.log", "line": 9}],
        "nodes": [{"node": "n1"}],
        "events": [
            {"role": "consequence", "first": {"file": "/logs/a.log", "line": 9}},
            {"role": "root", "first": {"file": "/logs/a.log", "line": 3}},
        ],
        "action": {"verdict": "restart_excluding", "exclude_nodes": ["n1"]},
        "cause": {"category": "hardware.gpu"},
        "stage": {"name": "iterate"},
        "iterations": {"last_completed": 40, "first_abnormal": 41},
        "checkpoint": {"last_durable": 30},
        "outcome": "failed",
    }
    return SimpleNamespace(**{**found, **changes})


def truth(**changes):
    said = {
        "fault": "ecc",
        "accepted": {"category": ("hardware.memory",)},
        "failure_lines": [
            {"file": "a.log", "line": 3, "kind": "root"},
            {"file": "a.log", "line": 7, "kind": "x"},
        ],
        "context_lines": [{"file": "a.log", "ranges": [[8, 9]]}],
        "root_lines": [{"file": "a.log", "line": 3}],
        "faulty_nodes": ["n1"],
        "to_blame": True,
        "node_evidence": "explicit",
        "outcome": "failure",
        "stage": "iterate",
        "category": "hardware.gpu",
        "verdict": "restart_excluding",
        "last_iteration": 40,
        "first_abnormal_iteration": 44,
        "last_durable_checkpoint": 30,
        "log_every": 5,
    }
    return SimpleNamespace(**{**said, **changes})


def test_a_right_answer_is_right_in_every_column(bench):
    marks = bench.grid.score(truth(), answer(), Path("/logs"))

    assert marks.pop("lines") == (1, 0, 1)
    assert not marks.pop("wrong") and not marks.pop("innocent") and not marks.pop("silent")
    assert all(marks.values()) and "nobody" not in marks


@pytest.mark.parametrize(
    ("changes", "column", "value"),
    [
        ({"nodes": [{"node": "n2"}, {"node": "n1"}]}, "wrong", True),
        ({"nodes": [{"node": "n2"}, {"node": "n1"}]}, "node_first", False),
        ({"nodes": [{"node": "n2"}, {"node": "n1"}]}, "node_in_five", True),
        ({"nodes": [{"node": "n1"}, {"node": "n2"}]}, "wrong", False),
        ({"nodes": [{"node": "n1"}, {"node": "n2"}]}, "innocent", True),
        ({"action": {"verdict": "restart_excluding", "exclude_nodes": ["n1", "n7"]}}, "wrong", True),
        ({"action": {"verdict": "restart_excluding", "exclude_nodes": ["n1", "n7"]}}, "innocent", True),
        ({"nodes": []}, "silent", True),
        ({"events": []}, "root_first", False),
        ({"iterations": {"last_completed": 41, "first_abnormal": 50}}, "last", False),
        ({"iterations": {"last_completed": 40, "first_abnormal": 50}}, "first_abnormal", False),
        ({"cause": {"category": "hardware.memory"}}, "category", True),
        ({"cause": {"category": "storage"}}, "category", False),
        ({"outcome": "finished"}, "outcome", False),
        ({"checkpoint": {"last_durable": 40}}, "durable", False),
    ],
)
def test_a_wrong_answer_is_wrong_in_its_column(bench, changes, column, value):
    assert bench.grid.score(truth(), answer(**changes), Path("/logs"))[column] is value


def test_where_nobody_is_to_blame_nobody_is_right(bench):
    innocent = truth(faulty_nodes=[], to_blame=False, node_evidence="none")
    quiet = answer(nodes=[], action={"verdict": "restart", "exclude_nodes": []})
    assert bench.grid.score(innocent, quiet, Path("/logs"))["nobody"] is True
    assert bench.grid.score(innocent, answer(), Path("/logs"))["nobody"] is False
    unknown = truth(node_evidence="none")
    assert bench.grid.score(unknown, quiet, Path("/logs"))["nobody"] is True


def test_the_table_sums_what_was_asked(bench):
    marks = bench.grid.score(truth(), answer(), Path("/logs"))
    results = [{"fault": name, "marks": marks} for name in ("ecc", "ecc", "hang")]
    rows = bench.faults.table(results, "fault")
    assert [row.split()[0] for row in rows[1:]] == ["ecc", "hang", "all"]
    assert rows[1].split()[1:3] == ["2", "2/2"] and rows[-1].split()[-1] == "0.667"


def test_an_answer_that_is_as_good_is_not_the_same(bench):
    asked = {"marks": {"verdict": True, "stage": True}, "truth": {"verdict": "stop", "stage": "save"}}
    told = [{**asked, "found": {"verdict": verdict, "stage": "save"}} for verdict in ("stop", "restart")]
    assert bench.faults.exact(told).endswith(": category 0/0, stage 2/2, verdict 1/2")
