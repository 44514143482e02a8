"""A NeMo job on Lightning: rank 0 reports, checkpoints are written in the background."""

from __future__ import annotations

import numpy as np

from l4fast.simulate_book import Said, Voice
from l4fast.simulate_bulk import Chatter
from l4fast.simulate_job import Job
from l4fast.simulate_start import DATA_S, INIT_S, LOAD_S

ASYNC_S = 9.0
"""From the promise of a checkpoint to its being on disk; longer than the pause of a save."""

_CHATTER = (
    Chatter(
        1,
        "[NeMo D {second} data_sampler:88] micro batches {r:10-15}, tokens {r:8000-8192}, padding "
        "{r:100-199}, errors 0, fetched in {fetch}.{r:10-99} ms",
    ),
    Chatter(
        10,
        "[NeMo I {second} memory:41] allocated {r:41-49}.{r:10-99} GB, peak {r:61-69}.{r:10-99} "
        "GB, retries: 0",
    ),
)


def chatter(job: Job) -> tuple[Chatter, ...]:
    """What each rank writes."""
    return _CHATTER


def speak(voice: Voice, last: int, resume: int | None, rng: np.random.Generator) -> None:
    """Write what rank 0 says, from the launch to iteration ``last`` and its end."""
    job = voice.job

    def nemo(letter: str, t: float, source: str, text: str) -> Said:
        return None, f"[NeMo {letter} {job.clock(0, t):%Y-%m-%d %H:%M:%S} {source}] {text}"

    for rank in range(job.n_ranks):
        t = INIT_S - 1
        text = f"Initializing distributed: GLOBAL_RANK: {rank}, MEMBER: {rank + 1}/{job.n_ranks}"
        voice.rank(rank, t, [(None, text)])
    rule = "-" * 100
    text = (
        f"{rule}\ndistributed_backend=nccl\nAll distributed processes registered. Starting with "
        f"{job.n_ranks} processes\n{rule}\n"
    )
    voice.rank(0, 22.0, [(None, text)])
    quantized = "comm config: overlap_grad_reduce=True, error_feedback=False, check_for_nan_in_grad=True"
    voice.rank(
        0,
        26.0,
        [
            nemo("I", 26.0, "megatron_init:416", "Rank 0 has data parallel group : [0, 8, 16, 24]"),
            nemo(
                "W",
                26.0,
                "megatron_strategy:1147",
                "The `batch_size` of the sampler is ignored, the global batch size is used",
            ),
            nemo("I", 26.0, "megatron_parallel:588", quantized),
        ],
    )
    if resume is not None:
        path = f"/checkpoints/llama/step={resume}-last"
        voice.rank(0, LOAD_S, [(None, f"Restoring states from the checkpoint path at {path}")])
    voice.rank(
        0, DATA_S, [nemo("I", DATA_S, "gpt_dataset:511", "> finished creating GPT datasets, 0 errors")]
    )
    _progress(voice, last, rng)
    for save in job.saves_until(last):
        begin, path = job.save_begin(save), f"/checkpoints/llama/step={save}-last.ckpt"
        text = f"Scheduled async checkpoint save for {path}"
        said = [nemo("I", begin, "model_checkpoint:497", text)]
        voice.report("promised", save, 0, begin, said, "stderr")
        text = f"Async checkpoint save for step {save} ({path}) finalized successfully."
        done = begin + ASYNC_S + job.save_length(save) - job.save_s
        if done < job.finish_s:
            said = [nemo("I", done, "model_checkpoint:522", text)]
            voice.report("durable", save, 0, done, said, "stderr")
    for at in range(job.eval_every, last + 1, job.eval_every):
        for k in range(1, 5):
            t = job.end_of(at) + 0.2 * k * job.eval_s
            voice.rank(0, t, [(None, f"Validation: iteration {k}/4")], "stdout")
    if last == job.iterations:
        t = job.finish_s + ASYNC_S
        if job.iterations % job.save_every == 0:
            path = f"/checkpoints/llama/step={job.iterations}-last.ckpt"
            text = f"Async checkpoint save for step {job.iterations} ({path}) finalized successfully."
            said = [nemo("I", t - 1, "model_checkpoint:522", text)]
            voice.report("durable", job.iterations, 0, t - 1, said, "stderr")
        voice.rank(0, t, [(None, f"`Trainer.fit` stopped: `max_steps={job.iterations}` reached.")])


def _progress(voice: Voice, last: int, rng: np.random.Generator) -> None:
    job = voice.job
    noise = 0.02 * rng.standard_normal(job.iterations)
    for i in range(job.log_every, last + 1, job.log_every):
        t = job.end_of(i)
        loss = 2.2 + 8.0 * np.exp(-i / (0.3 * job.iterations)) + noise[i - 1]
        text = (
            f"Training epoch 0, iteration {i - 1}/{job.iterations - 1} | lr: "
            f"{min(3e-4, 1.5e-6 * i):.4g} | global_batch_size: "
            f"1024 | global_step: {i - 1} | reduced_train_loss: {loss:.4g} | train_step_timing in s: "
            f"{t - job.begin_of(i):.4g} | consumed_samples: {1024 * i}"
        )
        voice.report("iteration", i, 0, t, [(None, text)], "stdout")
