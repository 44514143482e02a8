"""Which event explains which, in jobs whose story is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from l4fast.cascade import between
from l4fast.library import load
from l4fast.simulate import simulate
from l4fast.stream import diagnose


@pytest.mark.parametrize(("style", "fault"), [("megatron", "gpu-xid79"), ("nemo", "ecc"), ("hf", "oom-kill")])
def test_victims_are_explained_by_the_root(tmp_path: Path, style: str, fault: str) -> None:
    simulate(tmp_path / "job", style=style, nodes=4, iterations=40, fault=fault, seed=3)

    found = diagnose([str(tmp_path / "job" / "logs")])

    signatures = load().signatures
    by_id = {e["event_id"]: e for e in found.events}
    explained = [e for e in found.events if e["explained_by"] is not None]
    assert explained and all(e["role"] != "root" for e in explained)
    for event in explained:
        cause = by_id[event["explained_by"]]
        assert cause["role"] == "root"
        assert between(signatures[cause["signature"]], signatures[event["signature"]]) is not None
        assert any(why.startswith(f"explained by {cause['signature']}") for why in event["why"])


def test_what_came_long_before_is_not_explained(tmp_path: Path) -> None:
    lines = [f"2026-05-07 12:{i // 60:02}:{i % 60:02},100 INFO step {i} done" for i in range(1, 41)]
    gone = "2026-05-07 12:00:41,000 WARNING [rank1] connection to rank 0: Connection closed by remote peer"
    late = "2026-05-07 13:30:00,000 ERROR torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"
    (tmp_path / "a.log").write_text("\n".join([*lines, gone, late]) + "\n")

    found = diagnose([str(tmp_path / "a.log")])

    roots = [e["signature"] for e in found.events if e["role"] == "root"]
    assert roots == ["cuda-oom"]
    assert len(found.events) == 2
    assert [e["explained_by"] for e in found.events if e["role"] != "root"] == [None]


TIMEOUT = (
    "[E ProcessGroupNCCL.cpp:523] [Rank {rank}] Watchdog caught collective operation timeout: "
    "WorkNCCL(SeqNum=71, OpType=ALLREDUCE, NumelIn=64, NumelOut=64, Timeout(ms)=600000) ran for 600103 "
    "milliseconds before timing out."
)


@pytest.mark.parametrize("first", [True, False])
def test_what_stands_above_in_the_same_file_is_no_reaction(tmp_path: Path, first: bool) -> None:
    lines = [f"2026-05-07 12:00:{i:02},100 INFO step {i} done" for i in range(1, 41)]
    late = [TIMEOUT.format(rank=rank) for rank in range(3)]
    words = ["Terminated", *late] if first else [*late, "Terminated"]
    (tmp_path / "a.log").write_text("\n".join([*lines, *words]) + "\n")

    found = diagnose([str(tmp_path / "a.log")])

    (asked,) = (e for e in found.events if e["signature"] == "shell-terminated")
    assert (asked["explained_by"] is None) is first
