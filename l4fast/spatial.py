"""Which ranks fell silent long before all others.

A job runs one program on every rank, so ranks fall silent together. Who does so alone, or with the
others of its node only, is where to look if no line tells more. How often ranks write which shapes tells
nothing: divergence is not guilt, for of those that fail, wait and complain, the victims stand out most.

References
----------
L4 (FSE 2025), section 4.2: the spatial pattern.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l4fast.job import NONE, Job
from l4fast.topology import Topology

MIN_PEERS = 6  # fewer ranks tell no usual behaviour
MIN_ODDNESS = 3.5  # Iglewicz and Hoaglin (1993): the cut of the modified z-score
MIN_SILENCE_S = 30.0


@dataclass(frozen=True)
class Outlier:
    """Ranks of one node that stand alone: by what, and by how many seconds."""

    ranks: tuple[int, ...]
    score: float
    reason: str
    stream: int
    line: int
    offset: int


def _rank_of(top: Topology) -> np.ndarray:
    """Return the rank of each speaker, -1 where unknown, int64[n_speakers]."""
    return np.array([-1 if r is None else r for r in top.rank], np.int64)


def _last_words(job: Job, top: Topology) -> dict[int, tuple[int, int, int, int]]:
    """Return time, stream, line and offset of the last timed line of each rank."""
    pairs = job.pairs
    if len(pairs.speaker) == 0:
        return {}
    begin = np.flatnonzero(np.diff(pairs.speaker, prepend=-1))  # pairs are ordered by speaker
    said, time = pairs.speaker[begin], np.maximum.reduceat(pairs.last_time, begin)
    known = (_rank_of(top)[said] >= 0) & (time != NONE)
    said, time = said[known], time[known]
    ranks, who = np.unique(_rank_of(top)[said], return_inverse=True)
    latest = np.full(len(ranks), NONE, np.int64)
    np.maximum.at(latest, who, time)
    # Few of a rank's lines are of its last moment: the others need no sorting.
    last_of = np.full(len(job.speakers), NONE, np.int64)
    last_of[said] = latest[who]
    last = last_of[pairs.speaker]
    told = np.flatnonzero((pairs.last_time == last) & (last != NONE))
    stream = np.array([s.stream for s in job.speakers], np.int64)
    speaker = pairs.speaker[told]
    columns = (
        _rank_of(top)[speaker],
        pairs.last_time[told],
        stream[speaker],
        pairs.last_line[told],
        pairs.last_offset[told],
    )
    order = np.lexsort(columns[::-1])
    each = zip(*(column[order].tolist() for column in columns), strict=True)
    return {rank: (time, stream, line, offset) for rank, time, stream, line, offset in each}


def silent_first(job: Job, top: Topology) -> Outlier | None:
    """Return the rank (or the ranks of one node) that fell silent long before all others."""
    last = _last_words(job, top)
    if len(last) < MIN_PEERS:
        return None
    times = np.array([w[0] for w in last.values()], np.int64)
    usual = float(np.median(times))
    spread = max(float(np.median(np.abs(times - usual))) / 1e6, MIN_SILENCE_S / 3.5)
    quiet = sorted(r for r, w in last.items() if (usual - w[0]) / 1e6 > MIN_ODDNESS * spread)
    if not quiet or len(quiet) > max(1, len(last) // 4):
        return None
    nodes = {top.node_of_rank.get(r) for r in quiet}
    if len(quiet) > 1 and (len(nodes) != 1 or None in nodes):
        return None
    time, stream, line, offset = last[quiet[0]]
    seconds = (usual - time) / 1e6
    return Outlier(
        tuple(quiet), seconds, f"fell silent {seconds:.0f} s before the others", stream, line, offset
    )
