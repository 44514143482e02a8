"""bench/paper.py finds what is planted in a tiny job; and its parts do what they are there for."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="bench/paper.py needs scikit-learn: pip install '.[bench]'")
BENCH = str(Path(__file__).parent.parent / "bench")
NODES, ITERATIONS, CULPRIT = 8, 40, 5


@pytest.fixture(scope="module")
def bench():
    """The modules of bench/ under test, imported as its scripts import each other."""
    sys.path.insert(0, BENCH)
    try:
        import paper
        import paper_lines

        yield paper, paper_lines
    finally:
        sys.path.remove(BENCH)


def write_job(folder: Path, *, last: int, fails: bool) -> Path:
    """Write a log for each of eight nodes: iterations to ``last``, then perhaps what a broken NIC brings."""
    begin = dt.datetime(2026, 3, 2, 10)
    folder.mkdir()
    for node in range(NODES):

        def say(seconds: float, text: str, node: int = node) -> str:
            return (
                f"{begin + dt.timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S},000 INFO [rank{node}]: {text}\n"
            )

        lines = [say(0, "joined the process group")]
        for i in range(1, last + 1):
            lines.append(say(10 * i, f"iteration {i}/ {ITERATIONS} | loss: 2.5 |"))
            lines.append(say(10 * i + 1, f"gathered {i * 7} gradients"))
        if fails:
            end = 10 * last + 5
            if node == CULPRIT:
                lines += [say(end, f"mlx5_{k}: port went down, waiting for it") for k in range(3)]
            lines.append(say(end + 2, f"watchdog gave up on sequence {900 + node}"))
        else:
            lines.append(say(10 * last + 5, "training is complete"))
        (folder / f"node-{node:03}.log").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def lines(bench, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    _, paper_lines = bench
    healthy = paper_lines.lines_of(write_job(folder / "healthy", last=ITERATIONS, fails=False))
    failed = paper_lines.lines_of(write_job(folder / "failed", last=30, fails=True))
    return healthy, failed


def test_the_planted_node_is_first_and_its_lines_are_found(bench, lines):
    paper, paper_lines = bench
    healthy, failed = lines
    found = paper.diagnose(failed, paper_lines.Healthy(healthy.contents, paper_lines.Settings()))
    assert found.nodes[0] == f"node-{CULPRIT:03}"
    told = sorted(failed.contents[i] for i in np.flatnonzero(found.failure))
    assert [text[:4] for text in told] == ["mlx5"] * 3 + ["watc"] * NODES
    assert found.abnormal == (31,)
    assert found.stage == "iterate"


def test_nobody_is_named_in_a_job_that_is_like_the_healthy_one(bench, lines):
    paper, paper_lines = bench
    healthy, _ = lines
    found = paper.diagnose(healthy, paper_lines.Healthy(healthy.contents, paper_lines.Settings()))
    assert (found.nodes, found.abnormal, found.failure.any()) == ((), (), False)


def test_without_drain_events_are_templates(bench, lines, monkeypatch):
    paper, paper_lines = bench
    healthy, failed = lines
    monkeypatch.setattr(paper_lines, "Drain", None)
    found = paper.diagnose(failed, paper_lines.Healthy(healthy.contents, paper_lines.Settings()))
    assert found.nodes[0] == f"node-{CULPRIT:03}"
    assert found.failure.sum() == NODES + 3


def test_lines_know_their_node_and_iteration(lines):
    healthy, _ = lines
    assert set(healthy.nodes) == {f"node-{node:03}" for node in range(NODES)}
    assert (healthy.node >= 0).all()
    gathered = [i for i, text in enumerate(healthy.contents) if text.startswith("gathered 49 ")]
    # Behind the report of iteration 7, the eighth is under way.
    assert len(gathered) == NODES and set(healthy.iteration[gathered].tolist()) == {8}


def test_warping_forgives_delay_and_not_difference(bench):
    paper, _ = bench
    a, b, c = np.array([1.0, 2, 2, 3]), np.array([1.0, 1, 2, 3]), np.array([1.0, 1, 2, 8])
    assert paper.warped(abs(a[:, None] - b)) == 0.0
    assert paper.warped(abs(a[:, None] - c)) == 5.0


def test_a_line_without_a_time_has_that_of_its_neighbours(bench):
    _, paper_lines = bench
    none = paper_lines.NONE
    time = np.array([none, 5, none, none, 7, none, none])
    file = np.array([0, 0, 0, 1, 1, 2, 2])
    assert paper_lines._carried(time, file).tolist() == [5, 5, 5, 7, 7, none, none]
