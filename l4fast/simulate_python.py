"""Python tracebacks: what a rank prints that ends with an exception."""

from __future__ import annotations

from l4fast.simulate_book import Said
from l4fast.simulate_job import Job

SITE = "/usr/local/lib/python3.12/dist-packages"
"""Where Python packages are installed on the simulated nodes."""


def traceback(job: Job, rank: int | None, frames: str, errors: list[Said]) -> list[Said]:
    """A Python traceback: ``frames`` as printed, then the lines that say what was raised.

    From the moment that the process group exists torch (2.3 and later) heads each line with the
    rank; before that (``rank`` None) there is nothing.
    """
    head = "" if rank is None or job.habits.torch == "2.2" else f"[rank{rank}]: "
    body = "\n".join(head + line for line in frames.splitlines())
    said: list[Said] = [("context", f"{head}Traceback (most recent call last):"), ("context", body)]
    return said + [(kind, "\n".join(head + line for line in text.split("\n"))) for kind, text in errors]


def step_frames(job: Job, inner: str = "") -> str:
    """The call stack of a training step in a framework's main loop, ``inner`` at its end."""
    stacks = {
        "megatron": (
            '  File "/opt/megatron/pretrain_gpt.py", line 271, in <module>\n    pretrain(\n'
            '  File "/opt/megatron/megatron/training/training.py", line 431, in pretrain\n'
            "    iteration, num_floating_point_operations_so_far = train(\n"
            '  File "/opt/megatron/megatron/training/training.py", line 1532, in train\n    '
            "train_step(forward_step_func,"
        ),
        "hf": (
            '  File "/workspace/finetune.py", line 188, in <module>\n    trainer.train()\n'
            f'  File "{SITE}/transformers/trainer.py", line 2241, in '
            "train\n"
            "    return inner_training_loop("
        ),
        "nemo": (
            '  File "/opt/NeMo/scripts/pretrain_nemo.py", line 57, in main\n    trainer.fit(model)\n'
            f'  File "{SITE}/lightning/pytorch/loops/fit_loop.py", '
            "line 455, in advance\n"
            "    self.epoch_loop.run(self._data_fetcher)"
        ),
    }
    titan = (
        '  File "/opt/titan/train.py", line 602, in <module>\n    trainer.train()\n'
        '  File "/opt/titan/train.py", line 531, in train\n    self.train_step(data_iterator)'
    )
    return stacks.get(job.style, titan) + ("\n" + inner if inner else "")


def cuda_error(job: Job, rank: int, text: str, kind: str) -> list[Said]:
    """A CUDA call failed on this rank; the advice below the error is context."""
    inner = f'  File "{SITE}/torch/_tensor.py", line 648, in backward\n    torch.autograd.backward('
    old = job.habits.torch in ("2.2", "2.4")
    advice = (
        f"CUDA kernel errors might be asynchronously reported at some other API call, so the "
        "stacktrace below might be incorrect.\n"
        f"For debugging consider passing CUDA_LAUNCH_BLOCKING=1{'.' * old}\n"
        "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
    )
    name = "torch.AcceleratorError" if job.habits.torch == "2.8" else "RuntimeError"
    return traceback(
        job, rank, step_frames(job, inner), [(kind, f"{name}: CUDA error: {text}"), ("context", advice)]
    )
