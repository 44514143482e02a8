"""The diagnosis of jobs of many frameworks, healthy ones among them, against the right answer.

A scenario that is marked tells what is wrong today; the mark is strict, so that it goes when the
fault goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    "titan_async_staging": "colour codes are not removed before progress lines are matched: no iteration is seen",
    "evaluates_between": "the evaluation's bar has more distinct values than the training's and wins the counter",
    "second_epoch_runs": "reaching the total once is taken for the end, though the counter began again after it",
    "retries_at_the_end": "a warning of a read that is tried again counts as fatal in the last three iterations",
    "words_of_trouble": "a warning of a read that is tried again counts as fatal near the end",
    "crashes_after_the_end": "an ignored exception and a crash after the end marker at full count make the job failed",
    "jax_task_vanishes": "the list of unhealthy tasks is on lines of its own: the task is not read, an abort is blamed",
    "hccl_heartbeat": "the number after the address of the criminal rank is its device, not its rank",
    "device_side_assert": "the watchdog's echo of a CUDA error outranks the error; a repeated line looks like everybody",
    "nan_on_a_named_rank": "a line that names rank and node of the first bad value is not read for them",
    "data_missing_on_one_node": "a missing file is the user's even when only one node of four misses it",
    "sizes_do_not_divide": "everybody is measured against the expected ranks, not against those whose logs are there",
    "out_of_memory_everywhere": "the same lack of memory on all ranks in the first step is advised to be restarted",
    "jax_compiles_too_big": "the same lack of memory on all hosts while compiling is advised to be restarted",
    "missing_module_everywhere": "a module that all nodes lack is advised to be restarted",
    "disk_full_while_saving": "of chained errors the last and weaker one is told first",
    "wrong_option": "words of trouble in the names of options of a usage text count as failure lines",
    "one_rank_crawls": "no step times are compared between ranks: there is no outcome `slow`",
}


def _cases() -> Iterable[object]:
    for module in (user_faults, start_faults, megatron_nemo, other_stacks, odd_jobs, healthy_jobs):
        for scenario in module.ALL:
            name = scenario.__name__
            reason = WRONG_TODAY.get(name)
            marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
            yield pytest.param(scenario, id=name, marks=marks)


@pytest.fixture(scope="module")
def library() -> Library:
    return load()


@pytest.mark.parametrize("scenario", _cases())
def test_diagnosis_is_right(scenario: Scenario, tmp_path: Path, library: Library) -> None:
    right = scenario(tmp_path)

    found = diagnose(str(tmp_path), library=library)

    assert faults(found, right, tmp_path) == []


def test_every_mark_belongs_to_a_scenario() -> None:
    modules = (user_faults, start_faults, megatron_nemo, other_stacks, odd_jobs, healthy_jobs)
    assert WRONG_TODAY.keys() <= {s.__name__ for m in modules for s in m.ALL}
