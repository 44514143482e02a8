"""Which lines tell of one exception that came at each try, until nothing more was told.

A program that catches an exception and tries again tells it as a thing of no moment. Tried three times in
vain, with no iteration since and nothing new said afterwards, it does not get further. A launcher that
cannot reach the others tells of each try so, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l4fast.job import NONE, Job
from l4fast.regexes import regex
from l4fast.signature import Signature
from l4fast.temporal import Progress
from l4fast.words import is_frame, tells_of_failure

LEAST_TRIES = 3
_RETRY = regex(r"(?i)\bretr(?:y|ies|ied|ying)\b|\b(?:try|trying) again\b|\bre-?attempt\w*|\battempt \d+")
_EXCEPTION = regex(r"(?<![a-z])[A-Z]\w*(?:Error|Exception)\b|\bexception\b")


def in_vain(job: Job, progress: Progress, rows_in: np.ndarray) -> np.ndarray:
    """Return which of ``rows_in`` (bool per row) tell of an exception that each further try met."""
    rows = job.rows
    says = [bool(_RETRY.search(raw.text) and _EXCEPTION.search(raw.text)) for raw in job.raws]
    cut_off = np.array([_is_cut_off(note.failures) for note in job.notes], bool)
    found: np.ndarray = (np.array(says, bool) | cut_off)[rows.raw] & rows_in
    found &= ~_before_an_iteration(job, progress)
    found &= ~(cut_off[rows.raw] & _beside_iterations(job, progress))
    if not found.any():
        return found
    told, which = np.unique(np.stack([rows.speaker[found], rows.shape[found]]), axis=1, return_inverse=True)
    often = np.bincount(which.ravel(), minlength=told.shape[1]) >= LEAST_TRIES
    found[np.flatnonzero(found)[~often[which.ravel()]]] = False
    newest = _last_new_words(job)
    for stream in np.unique(rows.stream[found]).tolist():
        mine = found & (rows.stream == stream)
        if newest[stream] > rows.line[mine].max():
            found[mine] = False
    return found


def _is_cut_off(failures: Sequence[Signature]) -> bool:
    """Whether a line tells that its launcher cannot reach the others."""
    first = failures[0] if failures else None
    return first is not None and (first.by, first.tells, first.role) == (
        "launcher",
        "lost-peer",
        "consequence",
    )


def _beside_iterations(job: Job, progress: Progress) -> np.ndarray:
    """Return per row whether iterations are told in other files only, and nobody knows which came first."""
    rows, it = job.rows, job.iterations
    streams = np.unique(it.last_stream[it.series == (progress.series if progress.series is not None else -1)])
    unknown = (rows.time == NONE) | (progress.last_time == NONE)
    found: np.ndarray = unknown & ~np.isin(rows.stream, streams) & (streams.size > 0)
    return found


def _before_an_iteration(job: Job, progress: Progress) -> np.ndarray:
    """Return per row whether an iteration was reported after it: by line in its file, else by time."""
    rows, it = job.rows, job.iterations
    last = np.full(len(job.streams), -1, np.int64)
    mine = it.series == (progress.series if progress.series is not None else -1)
    np.maximum.at(last, it.last_stream[mine], it.last_line[mine])
    early = (rows.time != NONE) & (progress.last_time != NONE) & (rows.time < progress.last_time)
    found: np.ndarray = np.where(last[rows.stream] >= 0, rows.line < last[rows.stream], early)
    return found


def _last_new_words(job: Job) -> np.ndarray:
    """Return per stream the last line (-1: none) of ordinary words that nobody had said in it before."""
    ordinary = np.ones(len(job.shapes), bool)
    for raw, note in zip(job.raws, job.notes, strict=True):
        if note.failures or raw.indent > 0 or is_frame(raw.content) or tells_of_failure(raw.text):
            ordinary[raw.shape] = False
    pairs = job.pairs
    stream = np.array([speaker.stream for speaker in job.speakers], np.int64)[pairs.speaker]
    mine = np.flatnonzero(ordinary[pairs.shape])
    mine = mine[np.lexsort((pairs.first_line[mine], pairs.shape[mine], stream[mine]))]
    new = np.ones(len(mine), bool)
    new[1:] = (np.diff(stream[mine]) != 0) | (np.diff(pairs.shape[mine]) != 0)
    last = np.full(len(job.streams), -1, np.int64)
    np.maximum.at(last, stream[mine[new]], pairs.first_line[mine[new]])
    return last
