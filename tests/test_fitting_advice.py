"""Advice fits whom the verdict names: no victim's for a culprit, no host to leave out that nobody knows."""

from jobs import diagnosis
from test_comes_back import alone
from test_culprit import ALL, WATCHDOG, judge

ECC = "RuntimeError: CUDA error: uncorrectable ECC error encountered"


def test_who_is_waited_for_gets_no_advice_for_who_waited():
    found = judge(*[(620 + r / 10, r, WATCHDOG) for r in ALL if r != 5])
    assert "This rank waited" not in found.cause["advice"]
    assert found.cause["advice"].startswith("Look at the silent process")


def test_a_host_that_nobody_knows_is_found_before_it_is_left_out():
    found = diagnosis({"a.out": alone(ECC, trained=20)})
    assert found.nodes == []
    assert found.cause["advice"].startswith("No line tells which host: find it first")


def test_a_host_that_is_known_needs_no_search():
    found = judge((12, 5, ECC))
    assert [n["node"] for n in found.nodes] == ["gpu-2"]
    assert "find it first" not in found.cause["advice"]


TABLE = """\
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-03-02_10:00:40
  host      : fruit-box
  rank      : 1 (local_rank: 1)
  exitcode  : 1 (pid: 4711)
  error_file: <N/A>
============================================================
"""


def test_no_note_says_that_ranks_have_no_node_where_another_tells_how_they_have():
    crash = alone("ZeroDivisionError: integer division or modulo by zero", trained=0)
    notes = diagnosis({"a.out": crash + TABLE}).coverage["notes"]
    assert any("failure table" in note for note in notes)
    assert "cannot tell which node: the lines of the error name none" in notes
