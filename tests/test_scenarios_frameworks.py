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
    "hccl_heartbeat": "the number after the address of the criminal rank is its device, not its rank",
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
