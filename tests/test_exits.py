"""A job whose processes all ended by themselves: torch says at the exit that nobody took its group down."""

from types import SimpleNamespace

import numpy as np
import pytest
from l4fast import outcome
from l4fast.job import NONE

from jobs import at, steps, story, text

EACH = (
    "Warning: WARNING: process group has NOT been destroyed before we destruct ProcessGroupNCCL. On normal "
    "program exit, the application should call destroy_process_group (function operator())"
)
FIRST = (
    "Warning: WARNING: destroy_process_group() was not called before program exit, which can leak resources. "
    "(function operator())"
)


def console(
    said: str, *, ranks: int = 4, silent: tuple[int, ...] = (), after: int = 0, words: str = ""
) -> str:
    """One file of all ranks: ten iterations, what they say at their exit, and ``after`` iterations more."""
    begun = [f"[rank{rank}]: {at(0)} INFO building the model" for rank in range(ranks)]
    gone = [
        f"[rank{rank}]:[W302 10:00:{15 + rank}.343570992 ProcessGroupNCCL.cpp:1250] {said}"
        for rank in range(ranks)
        if rank not in silent
    ]
    return (
        text(begun)
        + steps(range(1, 11), begin=1)
        + words
        + text(gone)
        + steps(range(11, 11 + after), begin=30)
    )


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        (console(EACH), "finished"),
        (console(EACH, silent=(2,)), "running"),
        (console(EACH, after=5), "running"),
        (console(EACH, words="RuntimeError: shape '[4, 7]' is invalid for input of size 30\n"), "failed"),
        (console(FIRST, silent=(1, 2, 3)), "finished"),
        (console(FIRST, silent=(0, 1, 2, 3)), "running"),
    ],
)
def test_a_job_is_over_when_all_its_processes_tell_of_their_exit(lines, outcome):
    assert story({"a.log": lines}).outcome == outcome


def test_an_error_that_no_signature_knows_keeps_an_exit_from_being_a_good_end():
    lines = console(EACH, words=f"{at(12)} ERROR the ledger does not add up, giving up\n")
    assert story({"a.log": lines}).outcome != "finished"


def test_of_each_node_the_first_process_tells():
    files = {
        f"node-{node}.log": text(
            [
                f"[rank{rank}]: {at(0)} INFO initialized host=node-{node} rank={rank} local_rank={rank % 2}"
                for rank in (2 * node, 2 * node + 1)
            ]
        )
        + (steps(range(1, 11), begin=1) if node == 0 else "")
        + text([f"[rank{2 * node}]:[W302 10:00:15.343570992 ProcessGroupNCCL.cpp:1496] {FIRST}"])
        for node in range(2)
    }
    assert story(files).outcome == "finished"
    files["node-1.log"] = files["node-1.log"].rpartition("[rank2]:[W302")[0]
    assert story(files).outcome == "running"


@pytest.mark.parametrize(("lines", "after"), [([5, 9], True), ([3, 9], False)])
def test_what_stands_below_a_finish_without_a_time_came_after_it(lines, after):
    rows = SimpleNamespace(
        stream=np.zeros(2, np.int64), line=np.array(lines), time=np.array([NONE, 7_000_000])
    )
    event = SimpleNamespace(rows=np.arange(2))
    mark = SimpleNamespace(stream=0, line=4, time=NONE)
    assert outcome._after(SimpleNamespace(rows=rows), event, mark) is after
