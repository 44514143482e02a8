"""The chain of `speed` on a small input, for pytest-benchmark: `pytest bench`.

Raw bytes in the page cache -> record batches: with warm tables, with cold ones, and the automaton.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import inputs
import rivals
import speed

pytest.importorskip("pytest_benchmark")
SIZE = 20_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speed") / "job.log"
    inputs.simulated(path, SIZE, nodes=16)
    return path


def test_warm(benchmark, log):
    chain = speed.Chain()
    lines, rows = chain.run(log)
    assert lines == rows == rivals.wc(log)
    benchmark(chain.run, log)


def test_cold(benchmark, log):
    benchmark(lambda: speed.Chain().run(log))


def test_automaton(benchmark, log):
    automaton = rivals.Automaton(log.stat().st_size, rivals.wc(log))
    automaton(log)
    benchmark(automaton, log)
