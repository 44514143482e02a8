"""Jobs of other clusters and launchers than those the program was written on, with the right answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenarios import faults
from scenarios.clusters import SCENARIOS

from l4fast.stream import diagnose

# What is answered wrongly today, and why; an entry that passes fails the test.
KNOWN: dict[str, str] = {}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(strict=True, reason=KNOWN[name])) if name in KNOWN else name
        for name in SCENARIOS
    ],
)
def test_tells_what_happened(name: str, tmp_path: Path) -> None:
    right = SCENARIOS[name](tmp_path)

    found = diagnose([str(tmp_path)])

    assert faults(found, right, tmp_path) == []
