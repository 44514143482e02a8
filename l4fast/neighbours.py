"""Which messages differ in few places only: the groups in which a variable can show.

A message is a row of words. Rows form a group if they are equal once some of their columns are
masked: one column, two, all that hold values, or all places of one repeated word. Each word at
each column has a random 64-bit number and a row the sum of them, so masking a column is one
addition, and rows of one group have one sum; of all candidates only those that meet are looked at.
n candidates meet by chance at most with probability n**2 / 2**64.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from l4fast.typed import MASK

Words = tuple[str, ...]
Columns = tuple[int, ...]

# Pairs of columns cost the square of a message's words: the longest messages go without, and the
# more there are in all, the more of those.
MOST_PAIRED = 24
MOST_PAIRS = 3_000_000

_P1 = np.uint64(0x9E3779B97F4A7C15)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_SHIFT = np.uint64(29)


def groups(
    rows: Sequence[Words],
    may_vary: Callable[[str], bool],
    values: Callable[[Words], Columns],
) -> Iterator[tuple[Columns, Words, list[Words]]]:
    """Yield (columns, a row with these columns masked, all rows that are then equal to it).

    A group of one row is given where the masked row is one of ``rows``.

    Parameters
    ----------
    rows : sequence of tuple of str
        Different from each other.
    may_vary : callable
        Whether a word can be a variable.
    values : callable
        The columns of a row that hold values; more than one are masked together.
    """
    word_id: dict[str, int] = {MASK: 0}
    ids = [np.array([word_id.setdefault(word, len(word_id)) for word in row], np.uint64) for row in rows]
    varies = np.array([word != MASK and may_vary(word) for word in word_id], bool)
    totals = np.zeros(len(rows), np.uint64)
    change: list[np.ndarray] = []
    for i, row in enumerate(ids):
        column = np.arange(len(row), dtype=np.uint64)
        own = _mixed(row, column)
        change.append(_mixed(np.zeros_like(row), column) - own)
        totals[i : i + 1] = own.sum(dtype=np.uint64)
    totals += np.array([len(row) for row in ids], np.uint64) * _P1
    open_ = [np.flatnonzero(varies[row]) for row in ids]
    found: list[tuple[Columns, list[int]]] = []
    found += _met(*_singles(totals, change, open_), totals)
    found += _met(*_pairs(totals, change, open_), totals)
    found += _met_tuples(rows, totals, change, open_, values)
    for columns, members in found:
        yield columns, masked(rows[members[0]], columns), [rows[i] for i in members]


def masked(row: Words, columns: Columns) -> Words:
    """Return a row with MASK at ``columns``."""
    changed = list(row)
    for column in columns:
        changed[column] = MASK
    return tuple(changed)


def _mixed(word: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return one number of 64 bits for each (word, column), uint64[n]."""
    h = (word + np.uint64(1)) * _P1 ^ (column + np.uint64(1)) * _P2
    for factor in (_P3, _P1):
        h = (h ^ (h >> _SHIFT)) * factor
    return np.asarray(h ^ (h >> _SHIFT), np.uint64)


def _singles(
    totals: np.ndarray, change: Sequence[np.ndarray], open_: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sums (uint64[n]), rows (int64[n]) and columns (int64[n, 1]) of one masked column."""
    row = np.repeat(np.arange(len(open_)), [len(columns) for columns in open_])
    column = np.concatenate([*open_, np.zeros(0, np.int64)]).astype(np.int64)
    deltas = [c[columns] for c, columns in zip(change, open_, strict=True)]
    return totals[row] + np.concatenate([*deltas, np.zeros(0, np.uint64)]), row, column[:, None]


def _pairs(
    totals: np.ndarray, change: Sequence[np.ndarray], open_: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same for two masked columns; the first word of a row is never one of two."""
    sums, rows, columns = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], [np.zeros((0, 2), np.int64)]
    at: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    rows_of = np.bincount([len(held) for held in open_], minlength=MOST_PAIRED + 1)[: MOST_PAIRED + 1]
    words = np.arange(MOST_PAIRED + 1)
    most = int(np.searchsorted(np.cumsum(rows_of * (words * (words - 1) // 2)), MOST_PAIRS, "right")) - 1
    for i, held in enumerate(open_):
        if not 2 <= len(held) <= most:
            continue
        n = len(held)
        first, second = at.setdefault(n, np.triu_indices(n, 1))
        sums.append(totals[i] + change[i][held[first]] + change[i][held[second]])
        rows.append(np.full(len(first), i))
        columns.append(np.stack([held[first], held[second]], 1))
    return np.concatenate(sums), np.concatenate(rows), np.concatenate(columns)


def _met(
    sums: np.ndarray, rows: np.ndarray, columns: np.ndarray, totals: np.ndarray
) -> Iterator[tuple[Columns, list[int]]]:
    """Yield (columns, rows) of the candidates that meet each other, or a row of the table."""
    key = sums
    for k in range(columns.shape[1]):
        key = key ^ _mixed(np.full(len(sums), k + 1, np.uint64), columns[:, k].astype(np.uint64) + _P3)
    if len(key) == 0:
        return
    order = np.argsort(key, kind="stable")
    begins = np.flatnonzero(np.concatenate([[True], key[order][1:] != key[order][:-1]]))
    counts = np.diff(np.append(begins, len(key)))
    known = np.isin(sums[order][begins], totals)
    for i in np.flatnonzero((counts > 1) | known):
        members = order[begins[i] : begins[i] + counts[i]]
        yield tuple(columns[members[0]].tolist()), rows[members].tolist()


def _met_tuples(
    rows: Sequence[Words],
    totals: np.ndarray,
    change: Sequence[np.ndarray],
    open_: Sequence[np.ndarray],
    values: Callable[[Words], Columns],
) -> Iterator[tuple[Columns, list[int]]]:
    """Yield the groups of more columns: all values of a row, all places of a repeated word."""
    met: dict[tuple[Columns, int], list[int]] = defaultdict(list)
    known = set(totals.tolist())
    for i, row in enumerate(rows):
        candidates = [values(row)]
        held = open_[i].tolist()
        if len({row[column] for column in held}) < len(held):
            places: dict[str, list[int]] = defaultdict(list)
            for column in held:
                places[row[column]].append(column)
            candidates += [tuple(same) for word, same in places.items() if len(word) > 2]
        for columns in candidates:
            if len(columns) > 1:
                total = totals[i : i + 1] + change[i][list(columns)].sum(dtype=np.uint64)
                met[(columns, int(total[0]))].append(i)
    for (columns, total), members in met.items():
        if len(members) > 1 or total in known:
            yield columns, members
