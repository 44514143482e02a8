"""bench/faults.py: the held-out half is fixed, and a score means what its column says."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from l4fast.simulate import FAULTS, MANY, STYLES

_PATH = Path(__file__).resolve().parents[1] / "bench" / "faults.py"


@pytest.fixture(scope="module")
def faults():
    spec = importlib.util.spec_from_file_location("bench_faults", _PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_faults"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bench_faults"]


def test_the_halves_are_fixed_and_about_equal(faults):
    runs = list(faults.grid(FAULTS, STYLES, range(3), (1, 2, 8), "both"))
    halves = Counter(run.half for run in runs)
    assert set(halves) == {"tune", "report"} and abs(halves["tune"] / len(runs) - 0.5) < 0.05
    # Whoever changes the rule moves held-out runs into the half that is tuned on.
    named = [faults.Run("hang", "hf", seed, 1, True).half for seed in range(8)]
    assert named == ["report", "report", "report", "report", "report", "report", "report", "tune"]
    assert len(set(runs)) == len(runs) == 3 * len(STYLES) * 2 * (len(FAULTS) + 2 * len(MANY))


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


def test_a_right_answer_is_right_in_every_column(faults):
    marks = faults.score(truth(), answer(), Path("/logs"))

    assert marks.pop("lines") == (1, 0, 1)
    assert not marks.pop("wrong") and not marks.pop("silent")
    assert all(marks.values()) and "nobody" not in marks


@pytest.mark.parametrize(
    ("changes", "column", "value"),
    [
        ({"nodes": [{"node": "n2"}, {"node": "n1"}]}, "wrong", True),
        ({"nodes": [{"node": "n2"}, {"node": "n1"}]}, "node_first", False),
        ({"nodes": [{"node": "n2"}, {"node": "n1"}]}, "node_in_five", True),
        ({"action": {"verdict": "restart_excluding", "exclude_nodes": ["n1", "n7"]}}, "wrong", True),
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
def test_a_wrong_answer_is_wrong_in_its_column(faults, changes, column, value):
    assert faults.score(truth(), answer(**changes), Path("/logs"))[column] is value


def test_where_nobody_is_to_blame_nobody_is_right(faults):
    innocent = truth(faulty_nodes=[], to_blame=False, node_evidence="none")
    quiet = answer(nodes=[], action={"verdict": "restart", "exclude_nodes": []})
    assert faults.score(innocent, quiet, Path("/logs"))["nobody"] is True
    assert faults.score(innocent, answer(), Path("/logs"))["nobody"] is False
    unknown = truth(node_evidence="none")
    assert faults.score(unknown, quiet, Path("/logs"))["nobody"] is True


def test_the_table_sums_what_was_asked(faults):
    marks = faults.score(truth(), answer(), Path("/logs"))
    results = [{"fault": name, "marks": marks} for name in ("ecc", "ecc", "hang")]
    rows = faults.table(results, "fault")
    assert [row.split()[0] for row in rows[1:]] == ["ecc", "hang", "all"]
    assert rows[1].split()[1:3] == ["2", "2/2"] and rows[-1].split()[-1] == "0.667"
