"""The failure that no signature knows: found by what nobody said before."""

from __future__ import annotations

from pathlib import Path

import pytest
from l4fast.diagnosis import Diagnosis
from l4fast.library import Library, load
from l4fast.simulate import simulate
from l4fast.stream import diagnose


@pytest.fixture(scope="module")
def unknowing() -> Library:
    """All that is known of progress, stages and harmless lines; no failure."""
    keep = ("marker", "benign", "context")
    return Library([s for s in load().signatures.values() if s.role in keep])


def _rank(name: int, last: int, *words: str) -> str:
    lines = [f"2026-05-07 12:{i // 60:02}:{i % 60:02},100 INFO step {i} done" for i in range(1, last + 1)]
    at = f"2026-05-07 12:{last // 60:02}:{last % 60:02}"
    return "\n".join([*lines, *(f"{at},{500 + i} {word}" for i, word in enumerate(words))]) + "\n"


def _job(folder: Path, words: dict[int, tuple[str, ...]], ranks: int = 8, last: int = 40) -> Diagnosis:
    for rank in range(ranks):
        (folder / f"rank{rank}.log").write_text(_rank(rank, last, *words.get(rank, ())))
    return diagnose([str(folder)])


def test_an_unknown_error_on_one_rank_while_others_lose_it(tmp_path: Path) -> None:
    victims = {r: ("ERROR connection closed by peer",) for r in range(8) if r != 5}

    found = _job(tmp_path, {5: ("ERROR the flux capacitor is discharged",), **victims})

    assert found.outcome == "failed"
    roots = [e for e in found.events if e["role"] == "root"]
    assert ["flux capacitor" in e["template"] for e in roots] == [True]
    assert [r["rank"] for r in found.ranks] == [5]


def test_a_lone_error_at_the_end_may_be_of_a_job_that_goes_on(tmp_path: Path) -> None:
    found = _job(tmp_path, {5: ("ERROR the flux capacitor is discharged",)})

    assert (found.outcome, found.action["verdict"]) == ("unknown", "unknown")
    assert any("flux capacitor" in e["template"] for e in found.events)


def test_what_was_said_while_all_was_well_is_no_news(tmp_path: Path) -> None:
    for rank in range(8):
        text = _rank(rank, 40).splitlines()
        text.insert(10, "2026-05-07 12:00:10,500 ERROR the flux capacitor is discharged")
        (tmp_path / f"rank{rank}.log").write_text("\n".join(text) + "\n")

    assert diagnose([str(tmp_path)]).outcome == "running"


def test_an_error_of_unknown_time_amid_a_start_is_no_failure(tmp_path: Path) -> None:
    lines = [f"{r}: loading plug-in {r}\n{r}: gizmo open failed\n{r}: ready\n" for r in range(8)]
    (tmp_path / "job.log").write_text("".join(lines))

    assert diagnose([str(tmp_path / "job.log")]).outcome in ("running", "unknown")
    assert diagnose([str(tmp_path / "job.log")]).events == []


@pytest.mark.parametrize(
    ("style", "fault"),
    [
        ("nemo", "gpu-xid79"),
        ("megatron", "cuda-oom"),
        ("hf", "oom-kill"),
        ("titan", "ecc"),
        ("k8s", "disk-full"),
    ],
)
def test_without_any_failure_signature_events_and_node_are_found(
    tmp_path: Path, unknowing: Library, style: str, fault: str
) -> None:
    truth = simulate(tmp_path / "job", style=style, nodes=4, iterations=120, fault=fault, seed=3)

    found = diagnose([str(tmp_path / "job" / "logs")], library=unknowing)

    assert found.outcome == "failed" and found.stage["name"] == truth.stage
    assert found.nodes[0]["node"] in truth.faulty_nodes
    prefix = str(tmp_path / "job" / "logs") + "/"
    told = {(line["file"].removeprefix(prefix), line["line"]) for line in found.failure_rows}
    wanted = {(line.file, line.line) for line in truth.failure_lines}
    hit = len(told & wanted)
    assert 2 * hit / (len(told) + len(wanted)) > 0.9
