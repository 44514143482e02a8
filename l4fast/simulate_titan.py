"""A torchtitan job: every rank reports every step."""

from __future__ import annotations

import numpy as np

from l4fast.simulate_book import Voice
from l4fast.simulate_bulk import Chatter
from l4fast.simulate_job import Job
from l4fast.simulate_start import DATA_S, LOAD_S

_STEP = (
    "[titan] {when} - root - INFO - step: {it}  loss:  {r:3-7}.{r:10000-99999}  grad_norm:  "
    "0.{r:1000-9999}  memory: "
    "{r:41-49}.{r:10-99}GiB(5{r:0-9}.{r:10-99}%)  tps: {tps}  tflops: "
    "4{r:10-99}.{r:10-99}  mfu: 4{r:1-9}.{r:10-99}%"
)
_LOADER = (
    "[titan] {when} - root - INFO - loader: prefetched {r:10-30} batches in "
    "{fetch} ms, 0 errors, {r:0-1} retries"
)


def chatter(job: Job) -> tuple[Chatter, ...]:
    """What each rank writes; steps are reported every ``log_every``."""
    return (Chatter(job.log_every, _STEP, tells=True), Chatter(10, _LOADER, phase=0.85))


def speak(voice: Voice, last: int, resume: int | None, rng: np.random.Generator) -> None:
    """Write what the ranks say beside their steps, from the launch to iteration ``last``."""
    job = voice.job

    def titan(rank: int, t: float, text: str) -> bool:
        stamp = job.iso(job.node_of(rank), t)
        return voice.rank(rank, t, [(None, f"[titan] {stamp} - root - INFO - {text}")])

    delay = rng.random(job.n_ranks)
    for rank in range(job.n_ranks):
        late = float(delay[rank])
        titan(rank, 5.0 + late, "Starting job: pre-train a Llama 3 model")
        titan(rank, 21.0 + late, f"Building 1-D device mesh with ['dp_shard'], [{job.n_ranks}]")
        titan(rank, 30.0 + late, "Model llama3 8B size: 8,030,261,248 total parameters")
        if resume is not None:
            titan(rank, LOAD_S + late, f"Loading the checkpoint from /checkpoints/llama/step-{resume}.")
        else:
            titan(rank, LOAD_S + late, "No checkpoint was provided, this is a fresh start.")
        titan(rank, DATA_S + late, "Preparing c4 dataset from allenai/c4")
        titan(rank, DATA_S + 10 + late, "Training starts at step 1")
        for save in job.saves_until(last):
            begin = job.save_begin(save) + 0.1 * late
            took = job.save_length(save) - 1
            if titan(rank, begin, "Saving the checkpoint."):
                voice.note("begun", save)
            if titan(rank, begin + took, f"Finished saving the checkpoint in {took:.2f} seconds."):
                voice.note("durable", save)
        for at in range(job.eval_every, last + 1, job.eval_every):
            titan(
                rank,
                job.end_of(at) + job.eval_s - 0.3 + 0.1 * late,
                f"validate step: {at:2}  loss:  {3.4 - at / job.iterations:.4f}",
            )
        if last == job.iterations:
            titan(rank, job.finish_s + late, "Training completed")
            titan(rank, job.finish_s + 1 + late, "Process group destroyed")
