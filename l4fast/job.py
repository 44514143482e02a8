"""A job as the analysis sees it: the parts that were read side by side, joined.

Shapes are sorted by id, speakers by stream and labels, rows by stream and line: nothing here
depends on which part read what, or in which order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from l4fast.buckets import Buckets
from l4fast.canonical import MASK, mask, plain, shape_id
from l4fast.durations import WIDTH
from l4fast.fold import ROWS_OF_SUSPECT, STREAM_SHIFT, StreamSums, longest
from l4fast.layouts import peel
from l4fast.parse import Shape, Speaker
from l4fast.rawshapes import LEVELS, RawShape, peel_bar
from l4fast.reader import Part, RawNote, look
from l4fast.vocabularies import Vocabulary, together
from l4fast_kernels.times import NO_TIME

NONE = int(NO_TIME)


@dataclass(frozen=True)
class Pairs:
    """Sums per (speaker, shape): ``n`` rows, ordered by speaker, then shape."""

    speaker: np.ndarray
    shape: np.ndarray
    count: np.ndarray
    first_time: np.ndarray
    last_time: np.ndarray
    first_line: np.ndarray
    first_offset: np.ndarray
    last_line: np.ndarray
    last_offset: np.ndarray


@dataclass(frozen=True)
class Series:
    """A progress counter.

    Attributes
    ----------
    signature, lead : str
        The signature of its lines, and the canonical text before the number.
    total : int
        The total that the lines name (-1: none).
    own_times : int
        How many of its lines have a time of their own.
    spans : float64[n]
        Seconds of an iteration as its first lines tell them.
    """

    signature: str
    lead: str
    total: int
    own_times: int
    spans: np.ndarray


@dataclass(frozen=True)
class Iterations:
    """One row per (series, iteration), ordered so: when it was first and last reported, and where."""

    series: np.ndarray
    iteration: np.ndarray
    count: np.ndarray
    first_time: np.ndarray
    last_time: np.ndarray
    first_stream: np.ndarray
    first_line: np.ndarray
    first_offset: np.ndarray
    last_stream: np.ndarray
    last_line: np.ndarray
    last_offset: np.ndarray


@dataclass(frozen=True)
class Reached:
    """One row per (series, speaker): where its counter has come to."""

    series: np.ndarray
    speaker: np.ndarray
    lines: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    last: np.ndarray
    went_back: np.ndarray
    first_time: np.ndarray
    time: np.ndarray
    line: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True)
class Told:
    """The longest span, in seconds, that lines tell of each (series, iteration), ordered so."""

    series: np.ndarray
    iteration: np.ndarray
    seconds: np.ndarray


@dataclass(frozen=True)
class Durations:
    """What lines of one shape tell that a step took: one row per (speaker, shape), ordered so.

    Attributes
    ----------
    count : int64[n]
        How many were told.
    head, tail : float64[n, WIDTH]
        The first and the last of them, in seconds; the k-th (from 0) of the last at ``k % WIDTH``.
    """

    speaker: np.ndarray
    shape: np.ndarray
    count: np.ndarray
    head: np.ndarray
    tail: np.ndarray


@dataclass(frozen=True)
class Rows:
    """Lines that were kept one by one, ordered by stream and line.

    ``striking`` are those that tell a duration far longer than their speaker's first ones.
    """

    shape: np.ndarray
    raw: np.ndarray
    speaker: np.ndarray
    stream: np.ndarray
    line: np.ndarray
    offset: np.ndarray
    time: np.ndarray
    own_time: np.ndarray
    level: np.ndarray
    striking: np.ndarray

    def __len__(self) -> int:
        return len(self.shape)


@dataclass(frozen=True)
class Job:
    """All that is known of a job's lines.

    Attributes
    ----------
    buckets : Buckets
        Those of ``raws``; where some have collapsed, a raw shape stands for each.
    """

    streams: tuple[StreamSums, ...]
    shapes: tuple[Shape, ...]
    raws: tuple[RawShape, ...]
    notes: tuple[RawNote, ...]
    speakers: tuple[Speaker, ...]
    pairs: Pairs
    iterations: Iterations
    reached: Reached
    told: Told
    durations: Durations
    series: tuple[Series, ...]
    rows: Rows
    texts: dict[tuple[int, int], tuple[bytes, int]] = field(repr=False)
    buckets: Buckets = field(repr=False)

    @property
    def collapsed_lines(self) -> int:
        """Lines of shapes that stand for a collapsed bucket."""
        return int(self.shape_count[sorted({raw.shape for raw in self.raws if raw.is_collapsed})].sum())

    def told_of_collapse(self) -> str | None:
        """Say which kinds of lines have more forms than are told apart, or None."""
        n = len(self.buckets.collapsed)
        if n == 0:
            return None
        kinds, each = ("1 kind of lines has", "") if n == 1 else (f"{n:,} kinds of lines have", " each")
        return (
            f"{kinds} more than {self.buckets.most:,} forms{each}, counted as one{each} "
            f"({self.collapsed_lines:,} lines)"
        )

    @cached_property
    def shape_count(self) -> np.ndarray:
        """Lines per shape, int64[n_shapes]."""
        return np.bincount(self.pairs.shape, self.pairs.count, len(self.shapes)).astype(np.int64)

    @cached_property
    def raws_of_shape(self) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in self.shapes]
        for i, raw in enumerate(self.raws):
            found[raw.shape].append(i)
        return found

    @property
    def first_time(self) -> int:
        known = [s.first_time for s in self.streams if s.first_time != NONE]
        return min(known) if known else NONE

    @property
    def last_time(self) -> int:
        return max((s.last_time for s in self.streams), default=NONE)

    def line_text(self, stream: int, line: int) -> str | None:
        """The text of a kept line, as UTF-8 with broken bytes as U+FFFD."""
        kept = self.texts.get((stream, line))
        return None if kept is None else kept[0].decode("utf-8", "replace")

    def content(self, row: int) -> str:
        """The content of a row: its line without the prefixes that its shape peels."""
        raw = self.raws[self.rows.raw[row]]
        kept = self.texts.get((int(self.rows.stream[row]), int(self.rows.line[row])))
        if kept is None:
            return plain(raw.text)
        text, begin = kept
        header = raw.header
        if begin >= 0 and header.end >= len(raw.masked) and not raw.is_collapsed:
            return plain(text[begin:].decode("utf-8", "replace"))
        masked, words = mask(text)
        if raw.is_collapsed:  # what it has in common with others is not where its content begins
            header, _ = peel_bar(masked, peel(masked))
        begin = _byte_of(header.start, masked, words)
        end = _byte_of(header.end, masked, words) if header.end < len(raw.masked) else len(text)
        return plain(text[begin:end].decode("utf-8", "replace"))

    def level(self, row: int) -> str | None:
        return LEVELS[int(self.rows.level[row])]


def _byte_of(position: int, masked: str, words: list[tuple[int, int]]) -> int:
    n = masked.count(MASK, 0, position)
    return position + sum(end - begin - 1 for begin, end in words[:n])


def join(parts: Sequence[Part], n_streams: int, *, number: Sequence[int] | None = None) -> Job:
    """Join what the parts have read; a stream belongs to exactly one part.

    ``number`` gives streams other numbers: ties are broken by them, so they must not depend on
    the order in which streams came.
    """
    new = np.arange(n_streams) if number is None else np.asarray(number, np.int64)
    vocabulary = together([part.parser for part in parts])
    named = [_finally(part, vocabulary) for part in parts]
    shapes = [Shape(shape_id(text), text) for text in {text for texts in named for _, text in texts}]
    shapes.sort(key=lambda s: s.id)
    shape_of = {s.text: i for i, s in enumerate(shapes)}
    said_by = [[Speaker(int(new[s.stream]), s.labels) for s in part.parser.speakers] for part in parts]
    speakers = sorted({s for said in said_by for s in said}, key=lambda s: (s.stream, s.labels))
    speaker_of = {s: i for i, s in enumerate(speakers)}
    raws: dict[str, tuple[RawShape, RawNote]] = {}
    masked_of: list[list[str]] = [[] for _ in parts]
    for part, finals, masked in zip(parts, named, masked_of, strict=True):
        for raw, note in zip(part.parser.raws, part.notes, strict=True):
            other, text = finals[raw.shape]
            masked.append(raw.masked if other is None else other.masked)
            held = raws.get(masked[-1])
            if other is None and (held is None or raw.content < held[0].content):
                raws[raw.masked] = replace(raw, shape=shape_of[text]), note
            elif held is None and other is not None:
                stands = replace(other, shape=shape_of[text])
                raws[other.masked] = stands, look(part.library, stands)[0]
    raw_of = {masked: i for i, masked in enumerate(sorted(raws))}
    ordered = [raws[masked] for masked in sorted(raws)]
    shape_maps = [np.array([shape_of[text] for _, text in finals], np.int32) for finals in named]
    series = sorted(
        {(*part.fold.counters[counter], total) for part in parts for counter, total in part.fold.series}
    )
    series_of = {name: i for i, name in enumerate(series)}
    maps = [
        _Maps(
            shape=to_shape,
            speaker=np.array([speaker_of[s] for s in said], np.int32),
            stream=new,
            raw=np.array([raw_of[text] for text in masked], np.int32),
            series=np.array([series_of[(*part.fold.counters[a], b)] for a, b in part.fold.series], np.int32),
        )
        for part, to_shape, said, masked in zip(parts, shape_maps, said_by, masked_of, strict=True)
    ]
    streams = {int(new[i]): s for part in parts for i, s in part.fold.streams.items()}
    texts: dict[tuple[int, int], tuple[bytes, int]] = {}
    for part in parts:
        texts.update({(int(new[i]), line): kept for (i, line), kept in part.fold.texts.items()})
    return Job(
        streams=tuple(streams.get(i) or StreamSums("") for i in range(n_streams)),
        shapes=tuple(shapes),
        raws=tuple(raw for raw, _ in ordered),
        notes=tuple(note for _, note in ordered),
        speakers=tuple(speakers),
        pairs=_join_pairs(parts, maps),
        iterations=_join_iterations(parts, maps),
        reached=_join_reached(parts, maps),
        told=_join_told(parts, maps),
        durations=_join_durations(parts, maps),
        series=_join_series(parts, maps, series),
        rows=_join_rows(parts, maps),
        texts=texts,
        buckets=vocabulary.buckets,
    )


def _finally(part: Part, vocabulary: Vocabulary) -> list[tuple[RawShape | None, str]]:
    """Return what each shape of a part is in the whole job: the bucket it fell into, if any, and its text."""
    return [
        vocabulary.collapsed(outline) or (None, shape.text)
        for shape, outline in zip(part.parser.shapes, part.parser.outlines, strict=True)
    ]


@dataclass(frozen=True)
class _Maps:
    """What a part's codes are in the whole job."""

    shape: np.ndarray
    speaker: np.ndarray
    raw: np.ndarray
    series: np.ndarray
    stream: np.ndarray


def _join_series(
    parts: Sequence[Part], maps: Sequence[_Maps], names: Sequence[tuple[str, str, int]]
) -> tuple[Series, ...]:
    spans: list[list[float]] = [[] for _ in names]
    own = [0] * len(names)
    for part, to in zip(parts, maps, strict=True):
        for k, found in part.fold.spans.items():
            spans[to.series[k]].extend(found)
        for k, n in part.fold.own_times.items():
            own[to.series[k]] += n
    return tuple(
        Series(*name, own_times=own[i], spans=np.sort(np.array(spans[i], np.float64)))
        for i, name in enumerate(names)
    )


def _join_pairs(parts: Sequence[Part], maps: Sequence[_Maps]) -> Pairs:
    left, right, ints = [], [], []
    for part, to in zip(parts, maps, strict=True):
        table = part.fold.pairs
        left.append(to.speaker[table.left[: table.n]])
        right.append(to.shape[table.right[: table.n]])
        ints.append(table.ints[: table.n])
    speaker, shape, values = _stack(left), _stack(right), _stack(ints, 7)
    order = np.lexsort((shape, speaker))
    speaker, shape, values = speaker[order], shape[order], values[order]
    fresh = np.ones(len(speaker), bool)
    fresh[1:] = (speaker[1:] != speaker[:-1]) | (shape[1:] != shape[:-1])
    if not fresh.all():
        values = _sums(values, fresh)
        speaker, shape = speaker[fresh], shape[fresh]
    return Pairs(speaker, shape, *(values[:, k] for k in range(7)))


def _sums(values: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Add up the rows of `Pairs` from each ``fresh`` one to the next: all of a speaker are of one stream."""
    begin, group = np.flatnonzero(fresh), np.cumsum(fresh) - 1
    end = np.append(begin[1:], len(values)) - 1
    first = np.lexsort((values[:, 1], values[:, 1] == NONE, group))[begin]
    last = np.lexsort((values[:, 5], group))[end]
    columns = (
        np.add.reduceat(values[:, 0], begin),
        values[first, 1],
        values[last, 2],
        np.minimum.reduceat(values[:, 3], begin),
        np.minimum.reduceat(values[:, 4], begin),
        values[last, 5],
        values[last, 6],
    )
    return np.stack(columns, axis=1)


def _join_iterations(parts: Sequence[Part], maps: Sequence[_Maps]) -> Iterations:
    left, right, ints = [], [], []
    for part, to in zip(parts, maps, strict=True):
        table = part.fold.iterations
        left.append(to.series[table.left[: table.n]])
        right.append(table.right[: table.n])
        found = table.ints[: table.n].copy()
        for column in (3, 5):  # a line and its stream share one integer
            stream = to.stream[found[:, column] >> STREAM_SHIFT]
            found[:, column] = (stream << STREAM_SHIFT) | (found[:, column] & ((1 << STREAM_SHIFT) - 1))
        ints.append(found)
    series, iteration, values = _stack(left), _stack(right), _stack(ints, 7)
    untimed = values[:, 1] == NONE  # the least integer: a known time comes first all the same
    order = np.lexsort((values[:, 3], values[:, 1], untimed, iteration, series))
    series, iteration, values = series[order], iteration[order], values[order]
    if len(series) == 0:
        return Iterations(series, iteration, *(values[:, 0] for _ in range(9)))
    fresh = np.ones(len(series), bool)
    fresh[1:] = (series[1:] != series[:-1]) | (iteration[1:] != iteration[:-1])
    begin = np.flatnonzero(fresh)
    group = np.cumsum(fresh) - 1
    by_last = np.lexsort((values[:, 5], values[:, 2], group))
    end = by_last[np.append(begin[1:], len(series)) - 1]
    low = (1 << STREAM_SHIFT) - 1
    return Iterations(
        series=series[begin],
        iteration=iteration[begin],
        count=np.add.reduceat(values[:, 0], begin),
        first_time=values[begin, 1],
        last_time=values[end, 2],
        first_stream=values[begin, 3] >> STREAM_SHIFT,
        first_line=values[begin, 3] & low,
        first_offset=values[begin, 4],
        last_stream=values[end, 5] >> STREAM_SHIFT,
        last_line=values[end, 5] & low,
        last_offset=values[end, 6],
    )


def _join_reached(parts: Sequence[Part], maps: Sequence[_Maps]) -> Reached:
    left, right, ints = [], [], []
    for part, to in zip(parts, maps, strict=True):
        table = part.fold.reached
        left.append(to.series[table.left[: table.n]])
        right.append(to.speaker[table.right[: table.n]])
        ints.append(table.ints[: table.n])
    series, speaker, values = _stack(left), _stack(right), _stack(ints, 9)
    order = np.lexsort((speaker, series))
    return Reached(series[order], speaker[order], *(values[order, k] for k in range(9)))


def _join_told(parts: Sequence[Part], maps: Sequence[_Maps]) -> Told:
    found = [(to.series[a], b, c) for part, to in zip(parts, maps, strict=True) for a, b, c in part.fold.told]
    series, iteration, seconds = (_stack([columns[k] for columns in found]) for k in range(3))
    return Told(*longest(series, iteration, seconds.astype(np.float64)))


def _join_durations(parts: Sequence[Part], maps: Sequence[_Maps]) -> Durations:
    """Join the durations; where texts fell into one bucket, the one told most often stands."""
    columns: list[list[np.ndarray]] = [[], [], [], [], []]
    for part, to in zip(parts, maps, strict=True):
        table, n = part.fold.durations, part.fold.durations.n
        shape = to.shape[np.array(table.shapes, np.int64)[table.text[:n]]] if n else to.shape[:0]
        mine = (to.speaker[table.speaker[:n]], shape, table.ints[:n, 0])
        for column, found in zip(columns, (*mine, table.head[:n], table.tail[:n]), strict=True):
            column.append(found)
    speaker, shape, count = (_stack(column) for column in columns[:3])
    head, tail = (_stack(column, WIDTH) for column in columns[3:])
    order = np.lexsort((head[:, 0], count, shape, speaker))
    last = np.ones(len(order), bool)
    last[:-1] = (np.diff(speaker[order]) != 0) | (np.diff(shape[order]) != 0)
    order = order[last]
    return Durations(*(column[order] for column in (speaker, shape, count, head, tail)))


def _join_rows(parts: Sequence[Part], maps: Sequence[_Maps]) -> Rows:
    columns: dict[str, list[np.ndarray]] = {name: [] for name in Rows.__dataclass_fields__}
    for part, to in zip(parts, maps, strict=True):
        for kept in part.fold.rows:
            columns["shape"].append(to.shape[kept["shape"]])
            columns["speaker"].append(to.speaker[kept["speaker"]])
            columns["raw"].append(to.raw[kept["raw"]])
            columns["stream"].append(to.stream[kept["stream"]])
            for name in ("line", "offset", "time", "own_time", "level", "striking"):
                columns[name].append(kept[name])
    joined = {name: _stack(parts_of) for name, parts_of in columns.items()}
    order = np.lexsort((joined["line"], joined["stream"]))
    return Rows(**{name: column[order] for name, column in joined.items()})


def _stack(arrays: list[np.ndarray], width: int | None = None) -> np.ndarray:
    if not arrays:
        return np.zeros((0, width) if width else 0, np.int64)
    return np.concatenate(arrays)


__all__ = ["LEVELS", "NONE", "ROWS_OF_SUSPECT", "Iterations", "Job", "Pairs", "Reached", "Rows", "join"]
