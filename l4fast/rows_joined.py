"""Rows that were kept side by side, joined: see `l4fast.joining`.

Each part has kept the first rows of a shape that it saw, so the first of all are among them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l4fast.arrays import stack
from l4fast.durations_joined import strike
from l4fast.job import Durations, Rows
from l4fast.kept import Kept
from l4fast.reader import Part
from l4fast.sums_joined import Maps
from l4fast_kernels import keeps


def join_rows(
    parts: Sequence[Part], maps: Sequence[Maps], n_shapes: int, durations: Durations, settled: np.ndarray
) -> tuple[Rows, bytearray]:
    """Return the striking rows and the first others of each shape, by stream and line, and their texts."""
    tables = [(part.fold.rows, to) for part, to in zip(parts, maps, strict=True)]
    tables += [(part.fold.longer, to) for part, to in zip(parts, maps, strict=True)]
    joined, begin = _all_rows(tables)
    longer = np.arange(len(begin)) >= sum(part.fold.rows.n for part in parts)
    marks = [found for part in parts for found in part.fold.classes]
    position, classes = (stack([found[k] for found in marks]) for k in range(2))
    joined["striking"] = np.zeros(len(begin), np.uint8)
    joined["striking"][longer] = strike(
        durations, settled, joined["speaker"][longer], joined["shape"][longer], position, classes
    )
    caps, text_caps = np.zeros(n_shapes, np.int64), np.zeros(n_shapes, np.int64)
    for part, to in zip(parts, maps, strict=True):
        np.maximum.at(caps, to.shape, part.fold.caps[: len(to.shape)])
        np.maximum.at(text_caps, to.shape, part.fold.text_caps[: len(to.shape)])
    table_of = np.repeat(np.arange(len(tables)), [kept.n for kept, _ in tables])
    order = np.lexsort((begin, joined["line"], joined["stream"]))
    striking = joined["striking"][order] != 0
    order = order[striking | _first_of_each(joined["shape"][order], striking, caps)]
    joined = {name: column[order] for name, column in joined.items()}
    table_of, striking = table_of[order], joined["striking"] != 0
    without = ~striking & ~_first_of_each(joined["shape"], striking, text_caps)
    joined["text_size"][without] = -1
    joined["content_at"][without] = -1
    source_at = joined["text_at"]
    sizes = np.maximum(joined["text_size"], 0)
    ends = np.cumsum(sizes, dtype=np.int64)
    joined["text_at"] = ends - sizes
    texts = bytearray(int(ends[-1]) if len(ends) else 0)
    target = np.frombuffer(texts, np.uint8)
    for i, (kept, _) in enumerate(tables):
        mine = np.flatnonzero(table_of == i)
        keeps.move_texts(kept.texts, source_at[mine], sizes[mine], target, joined["text_at"][mine])
    return Rows(**joined), texts


def _all_rows(tables: Sequence[tuple[Kept, Maps]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the columns of `Rows` but ``striking``, and where each row begins in its line, in bytes."""
    columns: dict[str, list[np.ndarray]] = {n: [] for n in Rows.__dataclass_fields__ if n != "striking"}
    for kept, to in tables:
        piece = kept.column(keeps.STREAM)
        columns["shape"].append(to.shape[kept.column(keeps.SHAPE)])
        columns["speaker"].append(to.speaker[kept.column(keeps.SPEAKER)])
        columns["raw"].append(to.raw[kept.column(keeps.RAW)])
        columns["stream"].append(to.stream[piece])
        columns["line"].append(kept.long(keeps.LINE) + to.line[piece])
        columns["offset"].append(kept.long(keeps.OFFSET))
        columns["time"].append(kept.long(keeps.TIME))
        columns["own_time"].append(kept.column(keeps.OWN_TIME) != 0)
        columns["level"].append(kept.column(keeps.LEVEL).astype(np.int8))
        columns["text_at"].append(kept.long(keeps.TEXT))
        columns["text_size"].append(kept.column(keeps.SIZE))
        columns["content_at"].append(kept.column(keeps.CONTENT))
    begin = stack([kept.column(keeps.BEGIN) for kept, _ in tables])
    return {name: stack(found) for name, found in columns.items()}, begin


def _first_of_each(shape: np.ndarray, skip: np.ndarray, caps: np.ndarray) -> np.ndarray:
    """Return which rows are the first ``caps`` of their shape, those to ``skip`` not counted: bool[n]."""
    chosen = np.zeros(len(shape), bool)
    among = np.empty(int((~skip).sum()), bool)
    keeps.first_of_each(shape[~skip], caps, np.zeros_like(caps), among)
    chosen[~skip] = among
    return chosen
