"""The diagnosis of jobs of many frameworks, healthy ones among them, against the right answer.

A scenario that is marked tells what is wrong today; the mark is strict, so that it goes when the
fault goes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from l4fast.library import Library, load
from l4fast.stream import diagnose

from scenarios import (
    Expected,
    faults,
    healthy_jobs,
    megatron_nemo,
    odd_jobs,
    other_stacks,
    start_faults,
    user_faults,
)

Scenario = Callable[[Path], Expected]

WRONG_TODAY = {
    "titan_async_staging": "colours hide the step; a later async begin does not prove the one before",
    "evaluates_between": "the evaluation's bar has more values than the training's and wins the counter",
    "second_epoch_runs": "reaching the total is taken for the end, though the counter began again after it",
    "retries_at_the_end": "a warning of a read that is tried again is fatal in the last three iterations",
    "words_of_trouble": "a warning of a read that is tried again is fatal near the end",
    "crashes_after_the_end": "an ignored exception and a crash after the end at full count make it failed",
    "jax_task_vanishes": "the unhealthy tasks stand on lines of their own: unread, and an abort is blamed",
    "hccl_heartbeat": "the number after the address of the criminal rank is its device, not its rank",
    "device_side_assert": "the watchdog's echo of a CUDA error outranks it; 64 lines look like everybody",
    "nan_on_a_named_rank": "the rank and node that the line itself names are not blamed",
    "data_missing_on_one_node": "a missing file is the user's even if only one node of four misses it",
    "sizes_do_not_divide": "everybody is measured by the expected ranks, not by those whose logs are there",
    "out_of_memory_everywhere": "no memory on all ranks in the first step is advised to be restarted",
    "jax_compiles_too_big": "no memory on all hosts while compiling is advised to be restarted",
    "missing_module_everywhere": "a module that all nodes lack is advised to be restarted",
    "disk_full_while_saving": "of chained errors the last and weaker one is told first",
    "wrong_option": "words of trouble in the options of a usage text count as failure lines",
    "one_rank_crawls": "no step times are compared between ranks: there is no outcome `slow`",
}


MODULES = (user_faults, start_faults, megatron_nemo, other_stacks, odd_jobs, healthy_jobs)
SCENARIOS: list[Scenario] = [scenario for module in MODULES for scenario in module.ALL]


def _case(scenario: Scenario) -> object:
    reason = WRONG_TODAY.get(scenario.__name__)
    marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
    return pytest.param(scenario, id=scenario.__name__, marks=marks)


@pytest.fixture(scope="module")
def library() -> Library:
    return load()


@pytest.mark.parametrize("scenario", [_case(s) for s in SCENARIOS])
def test_diagnosis_is_right(scenario: Scenario, tmp_path: Path, library: Library) -> None:
    right = scenario(tmp_path)

    found = diagnose(str(tmp_path), library=library)

    assert faults(found, right, tmp_path) == []


def test_every_mark_belongs_to_a_scenario() -> None:
    assert WRONG_TODAY.keys() <= {scenario.__name__ for scenario in SCENARIOS}
