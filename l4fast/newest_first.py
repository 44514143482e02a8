"""Streams whose newest line comes first, as exports of log stores have it, told from their end.

Their lines are counted from the end of the stream, so that whatever goes by the order of lines goes by
the order in which they were written. Offsets stay those of the file, and `StreamSums.line_in_file` tells
where a line stands there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from l4fast.job import Durations, Iterations, Job, Pairs, Reached, Rows
from l4fast_kernels import keeps


def turned(job: Job) -> Job:
    """Return ``job`` with the lines of each stream that is newest first in the order they were written in."""
    newest = np.array([s.newest_first for s in job.streams], bool)
    if not newest.any():
        return job
    after = np.array([s.lines + 1 for s in job.streams], np.int64)
    stream_of = np.array([s.stream for s in job.speakers], np.int64)
    rows, texts = _rows(job, newest, after)
    return replace(
        job,
        pairs=_pairs(job.pairs, newest[stream_of[job.pairs.speaker]], after[stream_of[job.pairs.speaker]]),
        iterations=_iterations(job.iterations, newest, after),
        reached=_reached(
            job.reached, newest[stream_of[job.reached.speaker]], after[stream_of[job.reached.speaker]]
        ),
        durations=_durations(job.durations, newest[stream_of[job.durations.speaker]]),
        rows=rows,
        texts=texts,
    )


def _pairs(pairs: Pairs, newest: np.ndarray, after: np.ndarray) -> Pairs:
    """Swap first and last; ``newest`` (bool[n]) and ``after`` (int64[n]), lines and one, are each pair's."""
    return replace(
        pairs,
        first_time=np.where(newest, pairs.last_time, pairs.first_time),
        last_time=np.where(newest, pairs.first_time, pairs.last_time),
        first_line=np.where(newest, after - pairs.last_line, pairs.first_line),
        last_line=np.where(newest, after - pairs.first_line, pairs.last_line),
        first_offset=np.where(newest, pairs.last_offset, pairs.first_offset),
        last_offset=np.where(newest, pairs.first_offset, pairs.last_offset),
    )


def _iterations(it: Iterations, newest: np.ndarray, after: np.ndarray) -> Iterations:
    """Count the lines from the end; first and last go by time, and swap where this is one time."""
    first = np.where(newest[it.first_stream], after[it.first_stream] - it.first_line, it.first_line)
    last = np.where(newest[it.last_stream], after[it.last_stream] - it.last_line, it.last_line)
    swap = (it.first_stream == it.last_stream) & (it.first_time == it.last_time) & (first > last)
    return replace(
        it,
        first_line=np.where(swap, last, first),
        last_line=np.where(swap, first, last),
        first_offset=np.where(swap, it.last_offset, it.first_offset),
        last_offset=np.where(swap, it.first_offset, it.last_offset),
    )


def _reached(reached: Reached, newest: np.ndarray, after: np.ndarray) -> Reached:
    """Swap first and last, and what the counter went back and forward."""
    return replace(
        reached,
        first=np.where(newest, reached.last, reached.first),
        last=np.where(newest, reached.first, reached.last),
        went_back=np.where(newest, reached.went_on, reached.went_back),
        went_on=np.where(newest, reached.went_back, reached.went_on),
        first_time=np.where(newest, reached.last_time, reached.first_time),
        last_time=np.where(newest, reached.first_time, reached.last_time),
        line=np.where(newest, after - reached.line, reached.line),
    )


def _durations(durations: Durations, newest: np.ndarray) -> Durations:
    """Swap the first and the last ones; the k-th of the last stands at ``k % width``."""
    width = durations.head.shape[1]
    back = (durations.count[:, None] - 1 - np.arange(width)) % max(width, 1)
    head = np.take_along_axis(durations.tail, back, 1)
    tail = np.empty_like(durations.tail)
    np.put_along_axis(tail, back, durations.head, 1)
    return replace(
        durations,
        head=np.where(newest[:, None], head, durations.head),
        tail=np.where(newest[:, None], tail, durations.tail),
    )


def _rows(job: Job, newest: np.ndarray, after: np.ndarray) -> tuple[Rows, bytearray]:
    """Return the rows in their new order, and their texts in that of the rows."""
    old = job.rows
    line = np.where(newest[old.stream], after[old.stream] - old.line, old.line)
    order = np.lexsort((line, old.stream))  # stable: the segments of a line stay in their order
    columns = {name: getattr(old, name)[order] for name in Rows.__dataclass_fields__}
    columns["line"] = line[order]
    source, sizes = columns["text_at"], np.maximum(columns["text_size"], 0).astype(np.int64)
    ends = np.cumsum(sizes, dtype=np.int64)
    columns["text_at"] = ends - sizes
    texts = bytearray(len(job.texts))
    keeps.move_texts(
        np.frombuffer(job.texts, np.uint8),
        source,
        sizes,
        np.frombuffer(texts, np.uint8),
        columns["text_at"],
    )
    return Rows(**columns), texts
