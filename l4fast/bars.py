"""Which counters are progress bars, which of these are drawn within another one's, and which count nothing.

The trainer of Hugging Face draws the same bar, without a name, for an evaluation as for the training
around it; and many a loop over data does, which runs much faster than any training. A program may write
a table of the steps that it is going to do.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from l4fast.job import NONE, Job
from l4fast.regexes import regex

_BAR = regex(r"%\s?\|")
_UNNAMED_BAR = regex(r"^\W*<\*>%\s?\|$")
_TRAINS = regex(r"(?i)train|epoch|step|iter|updat|tun(?:e|ing)|progress|loss|episode")
_TOTAL = regex(r"%\s?(?:Completed )?\|[^|]*\|?\s*\d+/(\d+)\b")
_LOADS = ("load", "init")  # stages before a training

MIN_TABLE = 10  # steps
TABLE_US = 1000  # a step; no iteration is so short
SHORTEST_S = 0.005  # of an iteration of a training that is worth a log


def is_bar(lead: str) -> bool:
    """Whether a counter is a progress bar, which shows 0 before anything is done."""
    return _BAR.search(lead) is not None


def is_rushed(job: Job, series: int) -> bool:
    """Whether a counter is a bar that ran faster than any training, and is not named so: a loop over data."""
    counter = job.series[series]
    rushed = counter.spans.size > 0 and float(np.median(counter.spans)) < SHORTEST_S
    return rushed and is_bar(counter.lead) and _TRAINS.search(counter.lead) is None


def is_torn(job: Job, series: int, chosen: np.ndarray) -> bool:
    """Whether ``chosen`` iterations (bool[n]) of a bar are pieces of another, whose name stands elsewhere.

    Processes that write to one pipe tear each other's lines. The other is one of loading, counts to the same
    total and is drawn before and behind them.
    """
    it, pairs, total = job.iterations, job.pairs, job.series[series].total
    if not _is_unnamed(job, series):
        return False
    shapes = [
        raw.shape
        for raw, note in zip(job.raws, job.notes, strict=True)
        if any(m.marker == "stage" and m.stage in _LOADS for m in note.markers)
        and str(total) in _TOTAL.findall(raw.text)
    ]
    mine = np.isin(pairs.shape, shapes)
    stream = np.array([speaker.stream for speaker in job.speakers], np.int64)[pairs.speaker[mine]]
    if not stream.size:
        return False
    first = np.full(len(job.streams), np.iinfo(np.int64).max)
    last = np.full(len(job.streams), -1, np.int64)
    np.minimum.at(first, stream, pairs.first_line[mine])
    np.maximum.at(last, stream, pairs.last_line[mine])
    inside = it.first_line[chosen] >= first[it.first_stream[chosen]]
    return bool((inside & (it.last_line[chosen] <= last[it.last_stream[chosen]])).all())


def is_table(job: Job, series: int, chosen: np.ndarray) -> bool:
    """Whether ``chosen`` iterations (bool[n]) of a counter, many, were written at once, by their times."""
    it = job.iterations
    n = int(chosen.sum())
    timed = it.first_time[chosen]
    timed = timed[timed != NONE]
    of_lines = 2 * job.series[series].own_times > int(it.count[chosen].sum())
    if n < MIN_TABLE or timed.size < n or not of_lines:
        return False
    resolution = 1_000_000 if not (timed % 1_000_000).any() else 1000
    return int(timed.max() - timed.min()) + resolution < n * TABLE_US


def inner_bars(job: Job, mine: np.ndarray) -> set[int]:
    """Return the series of bars without a name that began while another of their file was between its ends.

    The other has no name either, or is longer and named as one of the training. Only the iterations
    ``mine`` (bool[n], of `Job.iterations`) are looked at.
    """
    it = job.iterations
    found: set[int] = set()
    bars: dict[tuple[str, int], list[int]] = defaultdict(list)
    for k in np.unique(it.series[mine]).tolist():
        lead = job.series[k].lead
        if job.series[k].total > 0 and is_bar(lead) and (_is_unnamed(job, k) or _TRAINS.search(lead)):
            at = np.flatnonzero(mine & (it.series == k))
            bars[job.series[k].signature, int(it.first_stream[at[0]])].append(k)
    for (_, stream), its in bars.items():
        places = {k: _places(job, mine & (it.first_stream == stream), k) for k in its}
        for k in (k for k in its if _is_unnamed(job, k)):
            for other, (lines, numbers) in places.items():
                reached = numbers[lines < places[k][0][0]]
                around = _is_unnamed(job, other) or job.series[other].total > job.series[k].total
                if other != k and around and reached.size and 0 < reached.max() < job.series[other].total:
                    found.add(k)
    return found


def _is_unnamed(job: Job, series: int) -> bool:
    return _UNNAMED_BAR.search(job.series[series].lead) is not None


def _places(job: Job, mine: np.ndarray, series: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where a counter's iterations stand first (bytes of the file, ascending), and their numbers."""
    it = job.iterations
    at = np.flatnonzero(mine & (it.series == series))
    at = at[np.argsort(it.first_offset[at], kind="stable")]
    return it.first_offset[at], it.iteration[at]
