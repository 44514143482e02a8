"""Which rank behaves unlike its peers.

A job runs one program on every rank, so ranks write the same shapes about equally often, and
fall silent together. Rank 0, the last pipeline stage and each node's first rank say more than the
others: a rank is compared with its *peers*, those that write mostly the same shapes. Divergence
is not guilt, so an outlier counts only if it stands alone.

References
----------
L4 (FSE 2025), section 4.2: the spatial pattern.
Iglewicz and Hoaglin (1993): the modified z-score and its cut at 3.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l4fast.job import NONE, Job
from l4fast.topology import Topology
from l4fast_kernels.counts import modified_z, oddest

MIN_PEERS = 6  # fewer ranks tell no usual behaviour
MIN_ODDNESS = 3.5
ALONE = 2.0  # the oddest must be twice as odd as the next
MIN_SILENCE_S = 30.0


@dataclass(frozen=True)
class Outlier:
    """A rank that stands alone: by what, how far (robust standard deviations or seconds)."""

    ranks: tuple[int, ...]
    score: float
    reason: str
    stream: int
    line: int
    offset: int


def counts_by_rank(job: Job, top: Topology) -> tuple[np.ndarray, list[int]]:
    """Return lines per (rank, shape), int64[n_ranks, n_shapes], and the ranks of the rows."""
    pairs = job.pairs
    said = np.unique(pairs.speaker)
    rank = _rank_of(top)[said]
    ranks, row = np.unique(rank[rank >= 0], return_inverse=True)
    row_of = np.full(len(job.speakers), -1, np.int64)
    row_of[said[rank >= 0]] = row
    cell = row_of[pairs.speaker] * len(job.shapes) + pairs.shape
    counts = pairs.count
    if (rank < 0).any():
        known = row_of[pairs.speaker] >= 0
        cell, counts = cell[known], counts[known]
    # Sums of floats are exact up to 2**53 lines.
    table = np.bincount(cell, counts, len(ranks) * len(job.shapes)).astype(np.int64)
    return table.reshape(len(ranks), len(job.shapes)), ranks.tolist()


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


def odd_one_out(job: Job, top: Topology) -> Outlier | None:
    """Return the rank whose counts lie far from those of its peers, if it stands alone."""
    table, ranks = counts_by_rank(job, top)
    if len(ranks) < MIN_PEERS:
        return None
    kinds = np.packbits(table > 0, axis=1)
    _, kind = np.unique(kinds.view(np.dtype((np.void, kinds.shape[1]))).ravel(), return_inverse=True)
    order = np.argsort(kind, kind="stable")
    best: list[tuple[float, int, int]] = []
    for rows in np.split(order, np.flatnonzero(np.diff(kind[order])) + 1):
        if len(rows) < MIN_PEERS:
            continue
        score, where = oddest(modified_z(table if len(rows) == len(table) else table[rows]))
        best += zip(np.abs(score).tolist(), rows.tolist(), where.tolist(), strict=True)
    best.sort(reverse=True)
    if not best or best[0][0] < MIN_ODDNESS or (len(best) > 1 and best[0][0] < ALONE * best[1][0]):
        return None
    oddness, row, shape = best[0]
    rank = ranks[row]
    here = np.flatnonzero((job.pairs.shape == shape) & (_rank_of(top)[job.pairs.speaker] == rank)).tolist()
    if not here:
        return None
    at = here[0]
    stream = job.speakers[int(job.pairs.speaker[at])].stream
    reason = f"says {job.shapes[shape].text[:80]!r} unlike its peers"
    line, offset = int(job.pairs.first_line[at]), int(job.pairs.first_offset[at])
    return Outlier((rank,), oddness, reason, stream, line, offset)
