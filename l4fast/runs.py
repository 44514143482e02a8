"""Runs of one program that count to different totals, one after another in the same files.

A program that is started again with other data, or another number of steps, goes on in the same counter
with another total: what it reports now is of the last of these runs, however long those before it were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from l4fast.bars import is_bar
from l4fast.job import NONE, Job

# Tells of lines (streams, lines, times: int64[n] each) whether they are the attempt's.
Within = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def runs_of(job: Job, longest: int, candidates: Iterable[int]) -> list[int]:
    """Return those of ``candidates`` that count as the series ``longest`` does, to another total.

    A bar has another total in an evaluation.
    """
    mine = job.series[longest]
    if mine.total <= 0 or is_bar(mine.lead):
        return []
    name, its = (mine.signature, mine.lead), ((k, job.series[k]) for k in candidates)
    return [k for k, c in its if k != longest and c.total > 0 and (c.signature, c.lead) == name]


def last_run(job: Job, mine: np.ndarray, within: Within | None, longest: int, runs: Sequence[int]) -> int:
    """Return the series of the last of the runs behind that which reported most, or its own.

    Only the iterations ``mine`` (bool[n]) are looked at; ``within`` tells of lines whether they are the
    attempt's. A program may evaluate in lines like these: between those of the training, or when it is done.
    """
    last = longest
    while not _is_complete(job, mine, last):
        behind = [k for k in runs if _is_behind(job, mine, within, last, k)]
        if not behind:
            break
        last = behind[0]
    return last


def _is_complete(job: Job, mine: np.ndarray, series: int) -> bool:
    it = job.iterations
    numbers = it.iteration[mine & (it.series == series)]
    return int(numbers.max()) + 1 >= job.series[series].total


def _is_behind(job: Job, mine: np.ndarray, within: Within | None, one: int, other: int) -> bool:
    """Whether all that the ``other`` counter reports comes after ``one``: by line in a file, else by time."""
    it = job.iterations
    old, new = mine & (it.series == one), mine & (it.series == other)
    stream, line, time = it.first_stream[new], it.first_line[new], it.first_time[new]
    if within is not None:  # what was done in an attempt before, too, is told by its last report
        own = within(stream, line, time)
        stream = np.where(own, stream, it.last_stream[new])
        line, time = np.where(own, line, it.last_line[new]), np.where(own, time, it.last_time[new])
    if np.unique(np.concatenate([stream, it.last_stream[old]])).size == 1:
        return bool(line.min() > it.last_line[old].max())
    return bool(
        time.min() != NONE and it.last_time[old].min() != NONE and time.min() > it.last_time[old].max()
    )


def total_beside(job: Job, mine: np.ndarray, last: int, candidates: Iterable[int]) -> int | None:
    """Return the total of a counter that goes along with one without a total and stands at ``last`` now.

    A program may tell each of its iterations in one kind of line, and each tenth, with the total, in another.
    """
    it = job.iterations
    for k in candidates:
        numbers, total = np.unique(it.iteration[mine & (it.series == k)]), job.series[k].total
        every = int(np.diff(numbers).max(initial=1))
        if total >= last and numbers[-1] <= last + 1 and last < numbers[-1] + 2 * every:
            return total
    return None
