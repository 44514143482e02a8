"""What lines say in plain words."""

from __future__ import annotations

import pytest
from l4fast.words import groups_of, is_frame, kind_of, tells_of_failure


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("srun: error: n3: task 7: Exited with exit code 9", "death"),
        ("process 4711 was killed by signal 11", "death"),
        ("worker 3: Segmentation fault (core dumped)", "death"),
        ("Sending process 4711 closing signal SIGTERM", "asked-to-end"),
        ("slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT 2026-01-01 ***", "asked-to-end"),
        ("SignalException: Process 1990892 got signal: 15", "asked-to-end"),
        ("JOB 5 CANCELLED DUE TO TIME LIMIT", "stop"),
        ("spot vm lm-7 will be reclaimed: preemption", "stop"),
        ("the job was preempted by a larger one", "stop"),
        ("Queue preemption failed for queue 7", None),
        ("unsuccessful preemption of a compute context", None),
        ("recv from 10.0.0.4: timed out", "timeout"),
        ("waited 600 seconds for the others", "timeout"),
        ("connection reset by peer", "lost-peer"),
        ("the store at 10.0.0.4 is unreachable", "lost-peer"),
        ("terminate called after throwing an instance of 'X'", "abort"),
        ("KeyError: 'input_ids'", None),
        ("the frobnicator lost its marbles", None),
    ],
)
def test_the_kind_of_word_that_a_line_is(text: str, kind: str | None) -> None:
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        (
            "failed (exitcode: -9) local_rank: 5 (pid: 2630)",
            {"exit_code": "-9", "local_rank": "5", "pid": "2630"},
        ),
        # A scheduler's task may be a rank or a node's launcher.
        ("srun: error: n3: tasks 8-15: Exited with exit code 1", {"exit_code": "1"}),
        ("Rank 17 got signal 6", {"rank": "17", "signal": "6"}),
        ("exit status 2", {"exit_code": "2"}),
        ("ranking of 5 processes", {}),
    ],
)
def test_whom_and_which_codes_a_line_names(text: str, groups: dict[str, str]) -> None:
    assert groups_of(text) == groups


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ValueError: bad shape", True),
        ("torch.OutOfMemoryError: CUDA out of memory", True),
        ("could not open the shard", True),
        ("3 workers failed", True),
        ("no errors found", False),
        ("falling back to TCP: RDMA failed", False),
        ('  File "train.py", line 7, in main', False),
        ("=" * 60, False),
        ("iteration 5 done", False),
    ],
)
def test_whether_a_line_tells_of_a_failure(text: str, told: bool) -> None:
    assert tells_of_failure(text) is told


def test_frames_and_rules_are_told_from_statements() -> None:
    assert all(
        map(is_frame, ["", "   ", "#3 0x7f in foo()", "frame #1: c10::Error", "----------", "Traceback (x"])
    )
    assert not any(map(is_frame, ["step 1", "- item", "File not found"]))
