"""Settings that all tests share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from l4fast.library import PACKAGED

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


# Families in which the tests of user's files find what they replace, mute or stand beside.
FEW = ("generic", "kernel_host", "progress", "slurm", "torch_distributed", "xid")


@pytest.fixture(scope="session")
def _few_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    for name in FEW:
        shutil.copy(PACKAGED / f"{name}.toml", folder)
    return folder


@pytest.fixture
def few_signatures(_few_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few of the packaged families stand for all, with a cache of their own.

    For tests of what a user adds: each new file means a new database, and to compile one of more than
    a thousand patterns takes five seconds.
    """
    monkeypatch.setattr("l4fast.library.PACKAGED", _few_folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(_few_folder))


SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Real logs that are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip(f"real logs are not here: {SHARED}")
    return SHARED
