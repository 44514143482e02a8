"""A Megatron-LM job: bare lines, progress from the last rank, stages from rank 0."""

from __future__ import annotations

import numpy as np

from l4fast.simulate_book import Said, Voice
from l4fast.simulate_bulk import Chatter
from l4fast.simulate_groups import coordinates
from l4fast.simulate_job import Job
from l4fast.simulate_start import DATA_S, LOAD_S

# A collective is traced when it begins, a batch when the iteration that used it is over.
_CHATTER = (
    Chatter(
        1,
        "{host}:{pid}:{pid} [{local}] NCCL INFO AllReduce: opCount {op} sendbuff 0x7f{hex:7}000 "
        "recvbuff 0x7f{hex:7}000 "
        "count 8388608 datatype 9 op 0 root 0 comm 0x{comm} [nranks=8] stream 0x55d{hex:6}000",
        phase=0.2,
    ),
    Chatter(
        1,
        "{when} INFO gpt_dataset: rank {rank} iteration {it} batch of {r:4000-4096} tokens in "
        "{fetch}.{r:100-999} ms, 0 errors",
        phase=0.93,
        tells=True,
    ),
    Chatter(
        10,
        "[Rank {rank}] (after {it} iterations) memory (MB) | allocated: "
        "{r:23000-23999}.{r:100-999} | max allocated: "
        "{r:61000-61999}.{r:100-999} | reserved: 64210.0 | max reserved: 64210.0",
        phase=0.96,
    ),
)

_ARGUMENTS = (
    ("accumulate_allreduce_grads_in_fp32", "True"),
    ("adam_beta1", "0.9"),
    ("bf16", "True"),
    ("check_for_nan_in_loss_and_grad", "True"),
    ("error_injection_rate", "0"),
    ("exit_on_missing_checkpoint", "False"),
    ("lr", "0.00015"),
    ("micro_batch_size", "1"),
    ("num_layers", "40"),
    ("seq_length", "4096"),
)


def chatter(job: Job) -> tuple[Chatter, ...]:
    """What each rank writes."""
    return _CHATTER if job.habits.nccl_lines else _CHATTER[1:]


def speak(voice: Voice, last: int, resume: int | None, rng: np.random.Generator) -> None:
    """Write what rank 0 and the last rank say, from the launch to iteration ``last`` and its end."""
    _begin(voice, resume)
    _progress(voice, last, rng)
    job = voice.job
    _saves(voice, last)
    for at in range(job.eval_every, last + 1, job.eval_every):
        t = job.end_of(at) + job.eval_s - 0.2
        rule = "-" * 98
        loss = 3.1 + 0.5 * np.exp(-at / job.iterations)
        text = (
            f" validation loss at iteration {at} | lm loss value: {loss:.6E} | lm loss PPL: "
            f"{np.exp(loss):.6E} | "
        )
        voice.rank(job.n_ranks - 1, t, [(None, f"{rule}\n{text}\n{rule}")], "stdout")
    if last == job.iterations:
        text = f"[after training is done] datetime: {job.clock(0, job.finish_s):%Y-%m-%d %H:%M:%S} "
        voice.rank(0, job.finish_s, [(None, text)], "stdout")


def _saves(voice: Voice, last: int) -> None:
    """Half of the jobs save in the background: the commit is then printed between later iterations."""
    job = voice.job
    late = job.choose("asynchronous", True, False)
    for save in job.saves_until(last):
        begin = job.save_begin(save)
        place = f"iteration {save:>7} to /checkpoints/gpt"
        text = f"saving checkpoint at {place} in torch_dist format"
        voice.report("begun", save, 0, begin, [(None, text)], "stdout")
        done = begin + job.save_length(save) - 0.5
        if late:
            text = f"  scheduled an async checkpoint save at {place}"
            voice.report("promised", save, 0, begin + 1.0, [(None, text)], "stdout")
            done += 5.0 if save < job.iterations else 0.0
        text = f"  successfully saved checkpoint from {place} [ t 1/{job.tensor}, p 1/{job.pipe} ]"
        voice.report("durable", save, 0, done, [(None, text)], "stdout")


def _begin(voice: Voice, resume: int | None) -> None:
    job = voice.job
    said: list[Said] = [
        (
            None,
            f"using world size: {job.n_ranks}, data-parallel size: {job.data}, "
            "context-parallel size: 1, tensor-model-parallel "
            f"size: {job.tensor}, pipeline-model-parallel size: {job.pipe}",
        ),
        (None, "------------------------ arguments ------------------------"),
    ]
    said += [(None, f"  {name} {'.' * (48 - len(name))} {value}") for name, value in _ARGUMENTS]
    said += [
        (None, f"  train_iters {'.' * 37} {job.iterations}"),
        (None, f"  world_size {'.' * 38} {job.n_ranks}"),
        (None, "-------------------- end of arguments ---------------------"),
        (None, "> initializing torch distributed ..."),
    ]
    voice.rank(0, 6.0, said, "stdout")
    voice.rank(
        0,
        20.0,
        [
            (None, f"> initialized tensor model parallel with size {job.tensor}"),
            (None, f"> initialized pipeline model parallel with size {job.pipe}"),
            (None, "> setting random seeds to 1234 ..."),
            (None, "> compiling dataset index builder ...\nmake: Nothing to be done for 'default'."),
            (None, f"time to initialize megatron (seconds): {14.2 + job.save_s:.3f}"),
            (None, f"[after megatron is initialized] datetime: {job.clock(0, 20.0):%Y-%m-%d %H:%M:%S} "),
            (None, "building GPT model ..."),
        ],
        "stdout",
    )
    # One line for each slice of the model, from the rank that holds its first copy.
    for rank in np.flatnonzero(coordinates(job)[1] == 0).tolist():
        at = f"({rank % job.tensor}, {rank // (job.tensor * job.data)})"
        text = f" > number of parameters on (tensor, pipeline) model parallel rank {at}: 1652948992"
        voice.rank(rank, 20.5, [(None, text)], "stdout")
    if resume is None:
        text = "WARNING: could not find the metadata file /checkpoints/gpt/latest_checkpointed_iteration.txt"
        said = [(None, f"{text}\n    will not load any checkpoints and will start from random")]
    else:
        said = [(None, f" loading distributed checkpoint from /checkpoints/gpt at iteration {resume}")]
    voice.rank(0, LOAD_S, said, "stdout")
    clock = f"{job.clock(0, DATA_S):%Y-%m-%d %H:%M:%S}"
    voice.rank(
        0,
        DATA_S - 8,
        [(None, f"[after model, optimizer, and learning rate scheduler are built] datetime: {clock} ")],
        "stdout",
    )
    voice.rank(
        0,
        DATA_S,
        [
            (None, "> building train, validation, and test datasets ..."),
            (None, f" > datasets target sizes (minimum size):\n    train:      {job.iterations * 1024}"),
            (None, "> finished creating GPT datasets ..."),
            (None, f"[after dataloaders are built] datetime: {clock} "),
            (None, "done with setup ...\ntraining ..."),
            (None, f"[before the start of training step] datetime: {clock} "),
        ],
        "stdout",
    )


def _progress(voice: Voice, last: int, rng: np.random.Generator) -> None:
    job = voice.job
    noise = 0.02 * rng.standard_normal((job.iterations, 2))
    stamped = job.choose("stamped", True, False)
    for i in range(job.log_every, last + 1, job.log_every):
        t = job.end_of(i) + 0.005
        took = (t - job.begin_of(i - job.log_every + 1)) / job.log_every
        loss = 3.0 + 7.0 * np.exp(-i / (0.3 * job.iterations)) + noise[i - 1, 0]
        text = (
            f" {f'[{job.clock(job.nodes - 1, t):%Y-%m-%d %H:%M:%S.%f}] ' if stamped else ''}iteration "
            f"{i:8d}/{job.iterations:8d} | consumed "
            f"samples: {i * 1024:12d} | elapsed time per iteration (ms): {1000 * took:.1f} | "
            f"throughput per GPU (TFLOP/s/GPU): {410 + 100 * noise[i - 1, 1]:.1f} | learning rate: "
            f"{1.5e-4 * min(1.0, i / 20):.6E} | global "
            f"batch size:  1024 | lm loss: {loss:.6E} | loss scale: 1.0 | grad norm: "
            f"{0.9 + noise[i - 1, 1]:.3f} | number "
            "of skipped iterations:   0 | number of nan iterations:   0 |"
        )
        voice.report("iteration", i, job.n_ranks - 1, t, [(None, text)], "stdout")
