"""A Hugging Face Trainer job: everything that a person sees comes from rank 0, bars included."""

from __future__ import annotations

import numpy as np

from l4fast.simulate_book import Voice
from l4fast.simulate_bulk import Chatter
from l4fast.simulate_job import Job
from l4fast.simulate_start import DATA_S, LOAD_S

_CHATTER = (
    Chatter(
        1,
        "{when} - INFO - collator - packed {r:10-29} documents into {r:8000-8192} tokens in "
        "{fetch}.{r:10-99} ms (0 errors, 0 dropped), queue depth {r:3-9}, worker {r:0-7}",
    ),
    Chatter(
        10, "{when} - INFO - memory - allocated {r:41-49}.{r:10-99} GiB, reserved {r:61-69}.{r:10-99} GiB"
    ),
)


def chatter(job: Job) -> tuple[Chatter, ...]:
    """What each rank writes."""
    return _CHATTER


def speak(voice: Voice, last: int, resume: int | None, rng: np.random.Generator) -> None:
    """Write what rank 0 says, from the launch to iteration ``last`` and its end."""
    job = voice.job
    for rank in range(0, job.n_ranks, job.ranks_per_node):
        text = f"Process rank: {rank}, device: cuda:0, n_gpu: 1, distributed training: True, bf16: True"
        stamp = f"{job.clock(job.node_of(rank), 20.0):%m/%d/%Y %H:%M:%S}"
        voice.rank(rank, 20.0, [(None, f"{stamp} - WARNING - __main__ - {text}")])
    voice.rank(
        0,
        30.0,
        [
            (
                None,
                "loading weights file model.safetensors from cache at "
                "/models/base/model.safetensors.index.json",
            )
        ],
    )
    if resume is not None:
        voice.rank(0, LOAD_S, [(None, f"Loading model from /checkpoints/run/checkpoint-{resume}.")])
    voice.rank(
        0, DATA_S, [(None, "max_steps is given, it will override any value given in num_train_epochs")]
    )
    voice.rank(
        0,
        DATA_S + 10,
        [
            (None, "***** Running training *****\n  Num examples = 1,204,880\n  Num Epochs = 1"),
            (None, "  Instantaneous batch size per device = 2"),
            (None, f"  Total train batch size (w. parallel, distributed & accumulation) = {2 * job.n_ranks}"),
            (None, f"  Gradient Accumulation steps = 1\n  Total optimization steps = {job.iterations:,}"),
            (None, "  Number of trainable parameters = 8,030,261,248"),
        ],
    )
    _progress(voice, last, rng)
    for save in job.saves_until(last):
        begin, path = job.save_begin(save), f"/checkpoints/run/checkpoint-{save}"
        text = f"Saving model checkpoint to {path}"
        voice.report("begun", save, 0, begin, [(None, text)], "stderr")
        voice.rank(0, begin + 0.001, [(None, f"Configuration saved in {path}/config.json")])
        saved = [f"Model weights saved in {path}/model.safetensors"]
        saved.append(f"tokenizer config file saved in {path}/tokenizer_config.json")
        voice.report(
            "written", save, 0, begin + job.save_length(save) - 0.5, [(None, x) for x in saved], "stderr"
        )
    for at in range(job.eval_every, last + 1, job.eval_every):
        t = job.end_of(at) + 0.01
        voice.rank(0, t, [(None, "***** Running Evaluation *****\n  Num examples = 4096\n  Batch size = 2")])
        loss = (
            f"{{'eval_loss': {2.1 - 0.2 * at / job.iterations:.4f}, 'eval_runtime': {job.eval_s:.2f}, "
            f"'epoch': {at / 50000:.2f}}}"
        )
        voice.rank(0, t + job.eval_s - 0.2, [(None, loss)], "stdout")
    if last == job.iterations:
        t = job.finish_s - 1
        voice.rank(
            0,
            t,
            [
                (
                    None,
                    "\n\nTraining completed. Do not forget to share your model on huggingface.co/models"
                    " =)\n\n",
                )
            ],
        )
        text = (
            f"{{'train_runtime': {t - job.train_s:.4f}, 'train_samples_per_second': "
            f"{40 + job.save_s:.3f}, 'train_loss': 2.0417, 'epoch': 1.0}}"
        )
        voice.rank(0, t + 0.1, [(None, text)], "stdout")


def _progress(voice: Voice, last: int, rng: np.random.Generator) -> None:
    """Loss lines and the bar. The bar's line stays open, and the next sentence is glued onto it."""
    job = voice.job
    noise = 0.02 * rng.standard_normal((job.iterations, 2))
    total = job.iterations
    for i in range(1, last + 1):
        t = job.end_of(i)
        spent, left = int(t - job.train_s), int((total - i) * job.step_s)
        whole, eighths = divmod(i * 80 // total, 8)
        drawn = ("█" * whole + ("▏▎▍▌▋▊▉"[eighths - 1] if eighths else "")).ljust(10)
        times = (
            f"{spent // 60:02d}:{spent % 60:02d}<{left // 60:02d}:{left % 60:02d}, "
            f"{t - job.end_of(i - 1):5.2f}s/it"
        )
        voice.rank(0, t, [(None, "")])
        if voice.bar(0, t + 0.001, f"{100 * i // total:3d}%|{drawn}| {i}/{total} [{times}]"):
            voice.note("iteration", i)
        if i % 5:
            continue
        loss = 1.8 + 0.9 * np.exp(-i / (0.3 * total)) + noise[i - 1, 0]
        text = (
            f"{{'loss': {loss:.4f}, 'grad_norm': {0.8 + noise[i - 1, 1]:.4f}, 'learning_rate': "
            f"{2e-5 * (1 - i / total):.6e}, 'epoch': {i / 50000:.4f}}}"
        )
        voice.rank(0, t + 0.002, [(None, text)], "stdout")
