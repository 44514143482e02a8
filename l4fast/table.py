"""The columns of a batch: each one named, typed and explained once. Arrow meets NumPy here only.

A batch has one row per line. Names (file, node, shape ...) are dictionary columns, so that a code
and its name travel together and a row costs four bytes for each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from l4fast.canonical import CANONICAL_VERSION
from l4fast.columns import Columns
from l4fast.parameters import Plan
from l4fast.rawshapes import LEVELS
from l4fast_kernels.colours import show
from l4fast_kernels.fields import word_bounds
from l4fast_kernels.forms import classify
from l4fast_kernels.places import find_values
from l4fast_kernels.rows import fill_codes, known_bits
from l4fast_kernels.times import NO_TIME
from l4fast_kernels.valuetypes import TYPES

CODE = pa.dictionary(pa.int32(), pa.string())
TYPE = pa.dictionary(pa.int8(), pa.string())


@dataclass(frozen=True)
class Column:
    """The type of a column and what it tells; ``always``: it is there unasked."""

    type: pa.DataType
    told: str
    always: bool = True


COLUMNS = {
    "file": Column(CODE, "the log, as its path was given"),
    "line": Column(pa.int64(), "line number in the file, from 1"),
    "offset": Column(pa.int64(), "where the line begins in the file, in bytes, unpacked"),
    "length": Column(pa.int32(), "bytes of the line without its line end (and a carriage return before it)"),
    "time": Column(pa.timestamp("us"), "the line's own time; UTC where it tells its zone; or null"),
    "level": Column(CODE, "debug, info, warning, error, critical; or null"),
    "node": Column(CODE, "the host that wrote it; null where not known"),
    "rank": Column(pa.int32(), "the global rank that wrote it; null where not known"),
    "shape": Column(CODE, "id of its words, those with a digit masked: the same in every job"),
    "template": Column(CODE, "id of its template; the table of templates tells the text", always=False),
    "text": Column(pa.binary(), "the bytes of the line", always=False),
    "params": Column(pa.list_(pa.string()), "the words that hold a digit, in their order", always=False),
    "values": Column(
        pa.list_(pa.string()), "what each <*> of its template stands for, in order", always=False
    ),
    "types": Column(pa.list_(TYPE), "the type of each value, by its form", always=False),
}

TEMPLATE_SCHEMA = pa.schema(
    [
        ("shape", pa.string()),
        ("template_id", pa.string()),
        ("template", pa.string()),
        ("count", pa.int64()),
    ]
)


def schema(*, template: bool = False, text: bool = False, params: bool = False) -> pa.Schema:
    """Return the schema of a batch with the columns that were asked for."""
    values = template and params  # what they are is known when templates are
    asked = {"template": template, "text": text, "params": params, "values": values, "types": values}
    return pa.schema(
        [(name, column.type) for name, column in COLUMNS.items() if column.always or asked[name]],
        metadata={"l4fast.schema": "l4fast.lines/1", "l4fast.canonical": str(CANONICAL_VERSION)},
    )


@dataclass(frozen=True)
class Codes:
    """What the codes of a parser stand for: a dictionary, and each code's place in it (-1: null).

    Attributes
    ----------
    file, node, shape, template : string arrays
        The dictionaries; ``file`` is indexed by stream.
    shape_of, template_of : int32[n_shapes]
    node_of, rank_of : int32[n_speakers]
        ``rank_of`` holds ranks themselves.
    """

    file: Any
    node: Any
    shape: Any
    template: Any
    shape_of: np.ndarray
    template_of: np.ndarray
    node_of: np.ndarray
    rank_of: np.ndarray


_LEVEL_NAMES = pa.array(LEVELS[1:], pa.string())


def batch(cols: Columns, codes: Codes, form: pa.Schema, plan: Plan | None = None) -> pa.RecordBatch:
    """Return the lines of a chunk as a batch of schema ``form``; nothing in it refers to ``cols.buf``.

    ``plan`` tells where values stand, if they are asked for.
    """
    rows = np.flatnonzero(cols.skip == 0) if cols.skip.any() else slice(None)
    shape, time = cols.shape[rows], cols.time[rows]
    n = len(shape)
    level, place, node, rank = np.empty((4, n), np.int32)
    fill_codes(
        n,
        cols.level[rows],
        shape,
        cols.speaker[rows],
        codes.shape_of,
        codes.node_of,
        codes.rank_of,
        level,
        place,
        node,
        rank,
    )
    made = {
        "file": _named(pa.array(np.full(n, cols.stream, np.int32)), codes.file),
        "line": pa.array(cols.line[rows]),
        "offset": pa.array(cols.offset[rows]),
        "length": pa.array(cols.length[rows]),
        "time": _nullable(time, COLUMNS["time"].type, int(NO_TIME) + 1),
        "level": _named(_nullable(level), _LEVEL_NAMES),
        "node": _named(_nullable(node), codes.node),
        "rank": _nullable(rank),
        "shape": _named(_nullable(place), codes.shape),
    }
    if "template" in form.names:
        made["template"] = _named(_nullable(codes.template_of[shape]), codes.template)
    if "text" in form.names:
        begin = cols.origin[rows]
        made["text"] = pieces(_shown(cols), n, begin, begin + cols.length[rows])
    if "params" in form.names:
        made["params"] = params(cols.buf, cols.start[rows], cols.stop[rows])
    if plan is not None:
        made["values"], made["types"] = values(
            cols.buf, cols.start[rows], cols.stop[rows], cols.raw[rows], plan
        )
    return pa.RecordBatch.from_arrays([made[name] for name in form.names], schema=form)


def _shown(cols: Columns) -> np.ndarray:
    """Return the bytes of a chunk as they were read."""
    if not cols.coloured:
        return cols.buf
    out = np.empty_like(cols.buf)
    show(cols.buf, cols.size, out)
    return out


def _named(places: Any, dictionary: Any) -> Any:
    return pa.DictionaryArray.from_arrays(places, dictionary, safe=False)


def _nullable(values: np.ndarray, kind: pa.DataType = CODE.index_type, least: int = 0) -> Any:
    """Return the values as an array of the kind, those below ``least`` as null; nothing is copied."""
    bits = np.empty((len(values) + 7) // 8, np.uint8)
    unknown = int(known_bits(len(values), values, least, bits))
    buffers = [pa.py_buffer(bits) if unknown else None, pa.py_buffer(values)]
    return pa.Array.from_buffers(kind, len(values), buffers, unknown)


def pieces(buf: np.ndarray, n: int, begin: np.ndarray, end: np.ndarray) -> Any:
    """Return copies of the first ``n`` pieces ``buf[begin[i]:end[i]]``, in their order, as a binary array."""
    if n == 0:
        return pa.array([], pa.binary())
    # Pieces and the gaps between them lie in the buffer as an array lies in memory: Arrow copies
    # every other one out, at 11 GB/s where a loop over bytes reaches 0.6.
    edges = np.empty(2 * n, np.int32)
    edges[::2], edges[1::2] = begin[:n], end[:n]
    both = pa.Array.from_buffers(pa.binary(), 2 * n - 1, [None, pa.py_buffer(edges), pa.py_buffer(buf)])
    return both.take(pa.array(np.arange(0, 2 * n, 2, dtype=np.int32)))


def params(buf: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Any:
    """Return the masked words of each segment as lists of strings; broken UTF-8 becomes U+FFFD."""
    n = len(start)
    # A word takes a byte at least, and all but the last a delimiter behind it.
    room = int((stop - start).sum(dtype=np.int64) + n) // 2 + 1
    first, begin, end = np.empty(n + 1, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    n_words = int(word_bounds(buf, n, start, stop, first, begin, end))
    words = pieces(buf, n_words, begin, end)
    return pa.ListArray.from_arrays(pa.array(first), as_strings(words))


_TYPE_NAMES = pa.array(TYPES, pa.string())


def values(
    buf: np.ndarray, start: np.ndarray, stop: np.ndarray, raw: np.ndarray, plan: Plan
) -> tuple[Any, Any]:
    """Return what the variables of each segment's template stand for, and their types, as lists."""
    n = len(start)
    room = int(np.diff(plan.first_param)[raw].sum(dtype=np.int64))
    first, begin, end = np.empty(n + 1, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    hint, kind = np.empty(room, np.int8), np.empty(room, np.int8)
    edges = np.zeros(2 * int(plan.n_words.max(initial=0)) + 2, np.int64)
    find_values(
        buf, n, start, stop, raw, plan.n_words, plan.first_param, plan.params, plan.hints, edges,
        first, begin, end, hint,
    )  # fmt: skip
    classify(buf, room, begin, end, hint, kind)
    places = pa.array(first)
    named = pa.DictionaryArray.from_arrays(pa.array(kind), _TYPE_NAMES, safe=False)
    strings = as_strings(pieces(buf, room, begin, end))
    return pa.ListArray.from_arrays(places, strings), pa.ListArray.from_arrays(places, named)


def as_strings(words: Any) -> Any:
    """Return a binary array as strings; only words with broken UTF-8 are looked at one by one."""
    try:
        return words.cast(pa.string())
    except pa.ArrowInvalid:
        _, place_buffer, data = words.buffers()
    place = np.frombuffer(place_buffer, np.int32)[: len(words) + 1]
    high = np.flatnonzero(np.frombuffer(data, np.uint8)[: place[-1]] >= 0x80)
    odd = np.zeros(len(words), bool)
    odd[np.searchsorted(place, high, side="right") - 1] = True
    mended = [word.decode("utf-8", "replace").encode() for word in words.filter(odd).to_pylist()]
    return pc.replace_with_mask(words, odd, pa.array(mended, pa.binary())).cast(pa.string())


def templates_table(rows: Iterable[tuple[str, str, str, int]]) -> pa.Table:
    """Return the table of (shape id, template id, template, lines), ordered by shape id."""
    columns: list[Any] = list(zip(*sorted(rows), strict=True)) or [()] * len(TEMPLATE_SCHEMA)
    arrays = [pa.array(values, kind) for values, kind in zip(columns, TEMPLATE_SCHEMA.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=TEMPLATE_SCHEMA)
