"""Settings that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("contract", "packed")

# The first example of a kernel's test pays for compiling it.
settings.register_profile(
    "l4fast",
    deadline=None,
    derandomize=True,
    max_examples=int(os.environ.get("L4FAST_EXAMPLES", "60")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("l4fast")


@pytest.fixture(scope="session", autouse=True)
def many_processors():
    """Let several workers read, however small the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("l4fast.stream.processors", lambda: 64)
        yield


SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Real logs that are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip(f"real logs are not here: {SHARED}")
    return SHARED
