"""Where iterations were reported: what lies between two reports is told by the lines between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l4fast.job import NONE, Job
from l4fast.marks import Mark
from l4fast.temporal import Progress


@dataclass(frozen=True)
class Reports:
    """Where iterations were reported, int64[n] each, ordered by stream and line."""

    stream: np.ndarray
    line: np.ndarray
    time: np.ndarray
    number: np.ndarray

    def around(self, stream: int, line: int) -> tuple[int, int]:
        """Return the indices of the last report before a line of a stream and the first after it, or -1."""
        low, high = np.searchsorted(self.stream, (stream, stream + 1)).tolist()
        at = low + int(np.searchsorted(self.line[low:high], line))
        return (at - 1 if at > low else -1, at if at < high else -1)

    def between(self, one: Mark, other: Mark) -> bool:
        """Whether an iteration was reported between two marks: by line in one stream, else by time."""
        if one.stream == other.stream:
            low, high = sorted((one.line, other.line))
            after = self.around(one.stream, low)[1]
            return after >= 0 and int(self.line[after]) < high
        low, high = sorted((one.time, other.time))
        return low != NONE and bool(((self.time > low) & (self.time < high)).any())


def reports(job: Job, progress: Progress) -> Reports:
    """Return where each iteration of the counter was reported first and last, by all runs that count so."""
    it = job.iterations
    mine = np.flatnonzero(np.isin(it.series, progress.runs))
    stream = np.concatenate([it.first_stream[mine], it.last_stream[mine]]).astype(np.int64)
    line = np.concatenate([it.first_line[mine], it.last_line[mine]]).astype(np.int64)
    time = np.concatenate([it.first_time[mine], it.last_time[mine]])
    number = np.concatenate([it.iteration[mine], it.iteration[mine]]).astype(np.int64)
    order = np.lexsort((line, stream))
    return Reports(stream[order], line[order], time[order], number[order])
