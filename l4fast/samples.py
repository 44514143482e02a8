"""How much one iteration adds to a counter: some programs count the samples or tokens that they have seen."""

from __future__ import annotations

import numpy as np

from l4fast.job import Job
from l4fast.regexes import regex

_COUNTS_SAMPLES = frozenset(["progress-openclip"])


def unit_of(job: Job, series: int, numbers: np.ndarray, first_time: np.ndarray) -> int:
    """Return how much one iteration adds to the counter: 1, or a global batch of samples or tokens.

    MLPerf logs name the batch size and the sequence length. A counter of samples is a multiple of
    the batch all along; where the lines tell how long an iteration took, the clock must agree.
    """
    if job.series[series].signature in _COUNTS_SAMPLES:
        return _first_batch(numbers)
    if not job.series[series].signature.startswith("progress-mllog"):
        return 1
    batch = _mllog_value(job, "global_batch_size")
    length = _mllog_value(job, "max_sequence_length")
    told = numbers[numbers > 0].astype(np.int64)
    if batch is None or batch <= 1 or told.size == 0:
        return 1
    spans = job.series[series].spans
    for unit in (batch * (length or 0), batch):
        if unit <= 1 or (told % unit).any():
            continue
        steps, seconds = np.diff(numbers) / unit, np.diff(first_time) / 1e6
        if spans.size and steps.size and (seconds > 0).any():
            clock = float(np.median(seconds[seconds > 0] / steps[seconds > 0])) / float(np.median(spans))
            if not 0.3 < clock < 3.0:
                continue
        return unit
    return 1


def _first_batch(numbers: np.ndarray) -> int:
    """Return how many samples were done when they were first told, if all that were told are multiples of it.

    The first line of an epoch is written after its first batch; of one that begins at 0 no batch is known.
    """
    unit = int(np.gcd.reduce(numbers))
    return unit if unit == int(numbers.min()) else 1


_MLLOG_VALUE = regex(r'"key": "(\w+)", "value": (\d+)')


def _mllog_value(job: Job, key: str) -> int | None:
    for raw in job.raws:
        if raw.content.startswith(":::MLLOG") and f'"key": "{key}"' in raw.content:
            match = _MLLOG_VALUE.search(raw.content)
            if match and match[1] == key:
                return int(match[2])
    return None
