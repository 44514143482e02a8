"""Durations of steps that were read side by side, joined: see `l4fast.joining`.

All is ordered by where it stands in its stream, so that nothing tells how a stream was cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from l4fast.arrays import begins, stack
from l4fast.durations import MOST_TOLD, WIDTH, DurationTable
from l4fast.job import Durations

SETTLED = 4  # durations of a speaker and a shape before one can strike
CLASSES = 2  # above the highest before: more than `CLASS_STEP` times as long, and up to its square


class Found(NamedTuple):
    """The durations of one part, and what its codes are in the whole job."""

    table: DurationTable
    speaker: np.ndarray
    shape: np.ndarray


def join_durations(parts: Sequence[Found]) -> tuple[Durations, np.ndarray]:
    """Return the first and last durations of each (speaker, shape, nth), and where these settled.

    That is the position of the `SETTLED`-th in its stream, in bytes: int64[n].
    """
    speakers, shapes, counts, tables = [], [], [], []
    for part in parts:
        table, n = part.table, part.table.n
        speakers.append(part.speaker[table.speaker[:n]])
        which = table.shape[:n]
        shapes.append(part.shape[which // MOST_TOLD] * np.int32(MOST_TOLD) + which % MOST_TOLD)
        counts.append(table.ints[:n, 0])
        tables.append((table.head[:n], table.head_at[:n], table.tail[:n], table.tail_at[:n]))
    speaker, shape = stack(speakers), stack(shapes)
    count = stack(counts)
    order = np.lexsort((shape, speaker))
    fresh = begins(speaker[order], shape[order])
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(fresh) - 1
    first = order[fresh]
    total = np.zeros(len(first), np.int64)
    np.add.at(total, group, count)
    columns = [stack([each[k] for each in tables]).reshape(-1, WIDTH) for k in (0, 2)]
    places = [stack([each[k] for each in tables]).reshape(-1, WIDTH) for k in (1, 3)]
    held = np.arange(WIDTH) < count[:, None]
    head, settled = np.zeros((len(first), WIDTH)), np.full(len(first), np.iinfo(np.int64).max)
    of, rank, _, at = _ranked(group, held, places[0])
    good = rank < WIDTH
    head[of[good], rank[good]] = columns[0][held][at[good]]
    then = rank == SETTLED - 1
    settled[of[then]] = places[0][held][at[then]]
    tail = np.zeros((len(first), WIDTH))
    of, _, back, at = _ranked(group, held, places[1])
    good = back < WIDTH
    tail[of[good], (total[of[good]] - 1 - back[good]) % WIDTH] = columns[1][held][at[good]]
    shape = shape[first]
    return Durations(speaker[first], shape // MOST_TOLD, shape % MOST_TOLD, total, head, tail), settled


def _ranked(
    group: np.ndarray, held: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return, of the entries ``held`` of tables (bool[n, WIDTH]), by group and place: int64[m] each.

    The group, the ranks from the front and from the back in it, and which entry it is.
    """
    of = np.broadcast_to(group[:, None], held.shape)[held]
    at = np.lexsort((place[held], of))
    of = of[at]
    size = np.bincount(of, minlength=1)
    rank = np.arange(len(of)) - (np.cumsum(size) - size)[of]
    return of, rank, size[of] - 1 - rank, at


def strike(
    durations: Durations,
    settled: np.ndarray,
    speaker: np.ndarray,
    shape: np.ndarray,
    position: np.ndarray,
    classes: np.ndarray,
) -> np.ndarray:
    """Return which durations of lines are far longer than all before of their speaker and shape.

    That is uint8[n], where bit ``k`` stands for the k-th duration of a line.

    Parameters
    ----------
    durations, settled
        As `join_durations` returns them.
    speaker, shape : int32[n]
    position : int64[n]
        Of all lines in a higher class than those before in their part of the log: where they stand
        in their stream.
    classes : int64[n, MOST_TOLD]
        The classes of their durations; 0 where one is not in a higher class.
    """
    out = np.zeros(len(speaker), np.uint8)
    if not len(speaker):
        return out
    row, nth = np.nonzero(classes)
    classes, position = classes[row, nth], position[row]
    width = (int(max(durations.shape.max(), shape.max())) + 1) * MOST_TOLD
    known = durations.speaker.astype(np.int64) * width + durations.shape * MOST_TOLD + durations.nth
    group = np.searchsorted(known, speaker[row].astype(np.int64) * width + shape[row] * MOST_TOLD + nth)
    order = np.lexsort((position, group))
    far = int(classes.max()) + 1  # a group begins above all classes of the one before
    level = group[order] * far
    highest = np.maximum.accumulate(level + classes[order])
    before = np.concatenate([[0], np.maximum(highest[:-1] - level[1:], 0)])
    struck = (classes[order] >= before + CLASSES) & (position[order] > settled[group[order]])
    np.bitwise_or.at(out, row[order[struck]], (1 << nth[order[struck]]).astype(np.uint8))
    return out
