"""What a process waits for in the kernel: the stack that stands below the kernel's complaint tells."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from l4fast.events import Event
from l4fast.job import Job

# What complains of a process that waits -> the frames that tell of which category the wait is.
FRAMES = {"kernel-hung-task": "kernel-stack-storage", "kernel-lockup": "kernel-stack-storage"}
BELOW = 60  # lines: the longest stack that a kernel prints, with its registers


def settle_waits(job: Job, events: Iterable[Event]) -> None:
    """Give each event that is a wait in the kernel the category of the frames below its lines."""
    for event in events:
        if event.signature is None or event.signature.id not in FRAMES:
            continue
        category, frames = _frames(job, FRAMES[event.signature.id])
        if category is not None and _stand_below(job, event.rows, frames):
            event.category = category
            event.why.append(f"the stack below it lies in {category}")


def _frames(job: Job, name: str) -> tuple[str | None, np.ndarray]:
    """Return the category of the signature ``name``, None if no line has it, and its rows, int64[n]."""
    category, rows = None, [np.zeros(0, np.int64)]
    for raw_idx, note in enumerate(job.notes):
        if note.failures and note.failures[0].id == name:
            category = note.failures[0].category
            rows.append(job.rows_of_raw(raw_idx))
    return category, np.concatenate(rows)


def _stand_below(job: Job, rows: np.ndarray, frames: np.ndarray) -> bool:
    """Whether any of ``frames`` stands within `BELOW` lines below one of ``rows``, in the same file."""
    # One number for a place, so that the next frame is found by bisection across all files.
    stride = int(job.rows.line.max(initial=0)) + BELOW + 1
    places = np.sort(job.rows.stream[frames].astype(np.int64) * stride + job.rows.line[frames])
    mine = job.rows.stream[rows].astype(np.int64) * stride + job.rows.line[rows]
    following = np.searchsorted(places, mine, side="right")
    found = following < len(places)
    return bool((places[following[found]] - mine[found] <= BELOW).any())
