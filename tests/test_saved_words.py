"""Words about a checkpoint that sound like more than they say: what is a save, and of what it is one."""

from __future__ import annotations

import pytest
from l4fast.library import load, told


def _checkpoint(line: str) -> tuple[str, str | None] | None:
    """Return (marker, iteration) that the packaged library reads of a line's checkpoint, or None."""
    (hits,) = load().match([line])
    found = [m for m in told(hits)[1] if (m.marker or "").startswith("checkpoint.")]
    return (str(found[0].marker), found[0].read(line).get("iteration")) if found else None


@pytest.mark.parametrize(
    "line",
    [
        "Epoch 0, global step 100: 'val_loss' was not in top 3",
        "Commit checkpoint timeout for step 100, elapsed_time: 600.1. The done files are [0, 1].",
        "Start commit checkpoint tmp_path: /ckpt/._dlrover_ckpt_stage/100, path: /ckpt/100",
        "Succeed False in persisting the checkpoint of step 100.",
        "Renamed step 100 to gs://b/run/todelete/100",
        "This can happen if the checkpoint was not saved properly, was transferred incorrectly",
        "Checkpointing active. Checkpoints will be loaded from and saved to /out",
        "Saving a model only checkpoint in bfloat16 at last step, step 100.",
        "checkpoint loading finished",
        "checkpoint step_100 finished loading",
        "checkpoint conversion of step 100 done",
        "metadata written, shard 3 is complete",
        "writing shard 5/24 of the tokenised data to /data/tokens",
        "dcp.async_save finished staging step=300",
    ],
)
def test_what_is_no_save(line: str) -> None:
    assert _checkpoint(line) is None


@pytest.mark.parametrize(
    ("line", "marker", "iteration"),
    [
        ("[DataStates.llm] Checkpoint global_step100 is ready now!", "accepted", "100"),
        ("[Torch] Checkpoint global_step100 is ready now!", "durable", "100"),
        ("successfully saved local checkpoint from iteration 100", "accepted", "100"),
        ("Saving async checkpoint\tIteration: 100", "accepted", "100"),
        ("Finished staging the checkpoint in 1.2 seconds.", "accepted", None),
        ("Finish saving the checkpoint in the background process in 3.10 seconds.", "accepted", None),
        ("Finish saving the checkpoint shard 0 of rank 3.", "accepted", None),
        ("Saving checkpoint process is finished.", "accepted", None),
        (
            "[process=0] [async] Finished blocking save in 0.5 seconds. Continuing save @ gs://b/100.",
            "accepted",
            "100",
        ),
        (
            "[process=0] [async] Finished save (blocking + background) in 8.2 seconds @ gs://b/100",
            "durable",
            "100",
        ),
        ("Checkpoint locally saved to /tmp/run/ep0-ba100-rank0.pt", "begin", "100"),
        ("Scheduled async checkpoint save for /out/model--step=99-last.ckpt", "accepted", "99"),
        ("Saving model checkpoint: /c/global_step100/mp_rank_00_model_states.pt", "begin", "100"),
        ("checkpoint step_1873 complete", "durable", "1873"),
        ("Checkpoint for step 100 is done.", "durable", "100"),
        ("ckpt dcp.async_save finished step=300 path=/vast/ck/300 (69.6s)", "durable", "300"),
        ("metadata written, iteration 225 is complete", "durable", "225"),
        ("checkpoint completed", "durable", None),
        ("writing shard 5/24 of iteration 900 to /lfs/run5/it900", "begin", "900"),
        ("  Continuing training from checkpoint, will skip to saved global_step", "loaded", None),
    ],
)
def test_what_a_save_is(line: str, marker: str, iteration: str | None) -> None:
    assert _checkpoint(line) == (f"checkpoint.{marker}", iteration)


def test_an_epoch_is_no_iteration() -> None:
    assert _checkpoint("  Continuing training from epoch 3") is None
