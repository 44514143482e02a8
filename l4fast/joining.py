"""The parts that were read side by side, joined to one `Job`.

Each part has read some *pieces*: whole streams, or ranges of one, cut where a line with a time of its
own begins. Pieces are numbered in the order of their streams, and in a stream in the order of its
bytes; a part reads its pieces in that order. What is kept of the first lines only (rows, texts,
durations) is then cut to the first of all, so that nothing tells how the pieces were dealt out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from l4fast.arrays import begins, stack
from l4fast.canonical import shape_id
from l4fast.durations_joined import Found, join_durations, strike
from l4fast.fold import SPANS_KEPT, STREAM_SHIFT, StreamSums, longest
from l4fast.job import NONE, Durations, Iterations, Job, Pairs, Reached, Rows, Series, Told
from l4fast.kept import Kept
from l4fast.newest_first import turned
from l4fast.parse import Shape, Speaker, lasting
from l4fast.rawshapes import RawShape
from l4fast.reader import Part, RawNote, look
from l4fast.vocabularies import Vocabulary, together
from l4fast_kernels import keeps

_LOW = (1 << STREAM_SHIFT) - 1


@dataclass(frozen=True)
class _Maps:
    """What a part's codes are in the whole job.

    ``stream`` and ``line`` are of all pieces: the stream, and how many of its lines come before.
    """

    shape: np.ndarray
    speaker: np.ndarray
    piece_of_speaker: np.ndarray
    raw: np.ndarray
    series: np.ndarray
    stream: np.ndarray
    line: np.ndarray


def join(parts: Sequence[Part], n_streams: int, *, number: Sequence[int] | None = None) -> Job:
    """Join what the parts have read; a piece belongs to exactly one part.

    ``number`` gives the stream of each piece. Ties are broken by it, so it must not depend on the
    order in which streams came. Without it, each piece is a stream.
    """
    stream_of = np.arange(n_streams) if number is None else np.asarray(number, np.int64)
    streams, lines_before = _streams(parts, stream_of, n_streams)
    vocabulary = together([part.parser for part in parts])
    named = [_finally(part, vocabulary) for part in parts]
    shapes = [Shape(shape_id(text), text) for text in {text for texts in named for _, text in texts}]
    shapes.sort(key=lambda s: s.id)
    shape_of = {s.text: i for i, s in enumerate(shapes)}
    said_by = _said_by(parts, stream_of)
    speakers = sorted(set().union(*said_by))
    speaker_of = {s: i for i, s in enumerate(speakers)}
    raws, masked_of = _raws(parts, named, shape_of, stream_of)
    raw_of = {masked: i for i, masked in enumerate(sorted(raws))}
    ordered = [raws[masked] for masked in sorted(raws)]
    series = sorted(
        {(*part.fold.counters[counter], total) for part in parts for counter, total in part.fold.series}
    )
    series_of = {name: i for i, name in enumerate(series)}
    maps = [
        _Maps(
            shape=np.array([shape_of[text] for _, text in finals], np.int32),
            speaker=np.array([speaker_of[s] for s in said], np.int32),
            piece_of_speaker=np.array([s.stream for s in part.parser.speakers], np.int64),
            stream=stream_of,
            line=lines_before,
            raw=np.array([raw_of[text] for text in masked], np.int32),
            series=np.array([series_of[(*part.fold.counters[a], b)] for a, b in part.fold.series], np.int32),
        )
        for part, finals, said, masked in zip(parts, named, said_by, masked_of, strict=True)
    ]
    durations, settled = join_durations(
        [Found(part.fold.durations, to.speaker, to.shape) for part, to in zip(parts, maps, strict=True)]
    )
    rows, texts = _join_rows(parts, maps, len(shapes), durations, settled)
    job = Job(
        streams=streams,
        shapes=tuple(shapes),
        raws=tuple(raw for raw, _ in ordered),
        notes=tuple(note for _, note in ordered),
        speakers=tuple(speakers),
        pairs=_join_pairs(parts, maps),
        iterations=_join_iterations(parts, maps),
        reached=_join_reached(parts, maps),
        told=_join_told(parts, maps),
        durations=durations,
        series=_join_series(parts, maps, series),
        rows=rows,
        texts=texts,
        buckets=vocabulary.buckets,
    )
    return turned(job)


def _streams(
    parts: Sequence[Part], stream_of: np.ndarray, n_streams: int
) -> tuple[tuple[StreamSums, ...], np.ndarray]:
    """Return the sums of each stream, and how many lines of its stream come before each piece."""
    pieces = {piece: sums for part in parts for piece, sums in part.fold.streams.items()}
    streams: list[StreamSums | None] = [None] * n_streams
    lines_before = np.zeros(len(stream_of), np.int64)
    for piece in sorted(pieces):
        stream, more = int(stream_of[piece]), pieces[piece]
        known = streams[stream]
        lines_before[piece] = known.lines if known is not None else 0
        streams[stream] = more if known is None else known.followed_by(more)
    return tuple(each or StreamSums("") for each in streams), lines_before


def _said_by(parts: Sequence[Part], stream_of: np.ndarray) -> list[list[Speaker]]:
    """Return the speakers of each part, those of a stream that was cut told by the same labels everywhere."""
    pieces: dict[int, list[int]] = defaultdict(list)
    for piece, stream in enumerate(stream_of.tolist()):
        pieces[stream].append(piece)
    told: dict[int, int] = {}
    for stream, its in pieces.items():
        if len(its) == 1:
            continue
        each = [part.parser.told(its) for part in parts]
        how = max(level for level, _ in each)
        heard = {lasting(labels, how) for _, found in each for labels in found}
        while len(heard) > parts[0].parser.most_speakers[how]:
            how += 1
            heard = {lasting(labels, how) for labels in heard}
        told[stream] = how
    numbers = stream_of.tolist()
    said_by = []
    for part in parts:
        said = [Speaker(numbers[s.stream], s.labels) for s in part.parser.speakers]
        if told:
            said = [
                Speaker(s.stream, lasting(s.labels, told[s.stream])) if s.stream in told else s for s in said
            ]
        said_by.append(said)
    return said_by


def _finally(part: Part, vocabulary: Vocabulary) -> list[tuple[RawShape | None, str]]:
    """Return what each shape of a part is in the whole job: the bucket it fell into, if any, and its text."""
    return [
        vocabulary.collapsed(outline) or (None, shape.text)
        for shape, outline in zip(part.parser.shapes, part.parser.outlines, strict=True)
    ]


def _raws(
    parts: Sequence[Part],
    named: Sequence[Sequence[tuple[RawShape | None, str]]],
    shape_of: dict[str, int],
    stream_of: np.ndarray,
) -> tuple[dict[str, tuple[RawShape, RawNote]], list[list[str]]]:
    """Return the raw shapes by their masked text, and that text for each raw shape of each part.

    A raw shape that several parts saw is told by the line of the first piece.
    """
    raws: dict[str, tuple[RawShape, RawNote]] = {}
    seen: dict[str, tuple[int, int, str]] = {}
    masked_of: list[list[str]] = [[] for _ in parts]
    for part, finals, masked in zip(parts, named, masked_of, strict=True):
        parser = part.parser
        for raw, note, piece in zip(parser.raws, part.notes, parser.first_streams, strict=True):
            other, text = finals[raw.shape]
            masked.append(raw.masked if other is None else other.masked)
            if other is not None:
                if other.masked not in raws:
                    stands = replace(other, shape=shape_of[text])
                    raws[other.masked] = stands, look(part.library, stands)[0]
                continue
            where = (int(stream_of[piece]), piece, raw.content)
            if raw.masked not in seen or where < seen[raw.masked]:
                seen[raw.masked] = where
                raws[raw.masked] = replace(raw, shape=shape_of[text]), note
    return raws, masked_of


def _join_series(
    parts: Sequence[Part], maps: Sequence[_Maps], names: Sequence[tuple[str, str, int]]
) -> tuple[Series, ...]:
    spans: list[list[tuple[int, int, np.ndarray]]] = [[] for _ in names]
    own = [0] * len(names)
    for part, to in zip(parts, maps, strict=True):
        for k, found in part.fold.spans.items():
            spans[to.series[k]].extend((int(to.stream[piece]), piece, values) for piece, values in found)
        for k, n in part.fold.own_times.items():
            own[to.series[k]] += n
    return tuple(
        Series(*name, own_times=own[i], spans=np.sort(_first_spans(spans[i]))) for i, name in enumerate(names)
    )


def _first_spans(found: list[tuple[int, int, np.ndarray]]) -> np.ndarray:
    found.sort(key=lambda item: item[:2])
    return stack([np.zeros(0), *(values for _, _, values in found)])[:SPANS_KEPT]


def _join_pairs(parts: Sequence[Part], maps: Sequence[_Maps]) -> Pairs:
    left, right, ints = [], [], []
    for part, to in zip(parts, maps, strict=True):
        table = part.fold.pairs
        speaker = table.left[: table.n]
        left.append(to.speaker[speaker])
        right.append(to.shape[table.right[: table.n]])
        values = table.ints[: table.n].copy()
        values[:, 3:8:2] += to.line[to.piece_of_speaker[speaker]][:, None]
        ints.append(values)
    speaker, shape, values = stack(left), stack(right), stack(ints, 8)
    order = np.lexsort((shape, speaker))
    speaker, shape, values = speaker[order], shape[order], values[order]
    fresh = begins(speaker, shape)
    if not fresh.all():
        values = _sums(values, fresh)
        speaker, shape = speaker[fresh], shape[fresh]
    return Pairs(speaker, shape, *(values[:, k] for k in range(7)))


def _sums(values: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Add up the rows of `Pairs` from each ``fresh`` one to the next: all of a speaker are of one stream."""
    begin, group = np.flatnonzero(fresh), np.cumsum(fresh) - 1
    end = np.append(begin[1:], len(values)) - 1
    first = np.lexsort((values[:, 7], values[:, 1] == NONE, group))[begin]
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
        for column in (3, 5):  # a line and its piece share one integer
            piece = found[:, column] >> STREAM_SHIFT
            line = (found[:, column] & _LOW) + to.line[piece]
            found[:, column] = (to.stream[piece] << STREAM_SHIFT) | line
        ints.append(found)
    series, iteration, values = stack(left), stack(right), stack(ints, 8)
    untimed = values[:, 1] == NONE  # the least integer: a known time comes first all the same
    order = np.lexsort((values[:, 3], values[:, 1], untimed, iteration, series))
    series, iteration, values = series[order], iteration[order], values[order]
    if len(series) == 0:
        return Iterations(series, iteration, *(values[:, 0] for _ in range(9)))
    fresh = begins(series, iteration)
    begin = np.flatnonzero(fresh)
    group = np.cumsum(fresh) - 1
    by_last = np.lexsort((values[:, 5], values[:, 2], group))
    end = by_last[np.append(begin[1:], len(series)) - 1]
    return Iterations(
        series=series[begin],
        iteration=iteration[begin],
        count=np.add.reduceat(values[:, 0], begin),
        first_time=values[begin, 1],
        last_time=values[end, 2],
        first_stream=values[begin, 3] >> STREAM_SHIFT,
        first_line=values[begin, 3] & _LOW,
        first_offset=values[begin, 4],
        last_stream=values[end, 5] >> STREAM_SHIFT,
        last_line=values[end, 5] & _LOW,
        last_offset=values[end, 6],
    )


def _join_reached(parts: Sequence[Part], maps: Sequence[_Maps]) -> Reached:
    left, right, pieces, ints = [], [], [], []
    for part, to in zip(parts, maps, strict=True):
        table = part.fold.reached
        speaker = table.right[: table.n]
        left.append(to.series[table.left[: table.n]])
        right.append(to.speaker[speaker])
        pieces.append(to.piece_of_speaker[speaker])
        values = table.ints[: table.n].copy()
        values[:, 7] += to.line[pieces[-1]]
        ints.append(values)
    series, speaker, piece, values = stack(left), stack(right), stack(pieces), stack(ints, 12)
    order = np.lexsort((piece, speaker, series))  # stable: in a piece, in the order of the lines
    series, speaker, values = series[order], speaker[order], values[order]
    fresh = begins(series, speaker)
    if not fresh.all():
        values = _counted_on(values, fresh)
        series, speaker = series[fresh], speaker[fresh]
    return Reached(series, speaker, *(values[:, k] for k in range(12)))


def _counted_on(values: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Add up the rows of `Reached` from each ``fresh`` one to the next: they follow each other."""
    begin, group = np.flatnonzero(fresh), np.cumsum(fresh) - 1
    back = values[:, 4].copy()
    back[1:] += ~fresh[1:] & (values[1:, 9] < values[:-1, 3])
    forth = values[:, 10].copy()
    forth[1:] += ~fresh[1:] & (values[1:, 9] > values[:-1, 3])
    end = np.append(begin[1:], len(values)) - 1
    top = np.lexsort((np.arange(len(values)), -values[:, 2], group))[begin]
    columns = (
        np.add.reduceat(values[:, 0], begin),
        np.minimum.reduceat(values[:, 1], begin),
        values[top, 2],
        values[end, 3],
        np.add.reduceat(back, begin),
        values[begin, 5],
        values[top, 6],
        values[top, 7],
        values[top, 8],
        values[begin, 9],
        np.add.reduceat(forth, begin),
        values[end, 11],
    )
    return np.stack(columns, axis=1)


def _join_told(parts: Sequence[Part], maps: Sequence[_Maps]) -> Told:
    found = [(to.series[a], b, c) for part, to in zip(parts, maps, strict=True) for a, b, c in part.fold.told]
    series, iteration, seconds = (stack([columns[k] for columns in found]) for k in range(3))
    return Told(*longest(series, iteration, seconds.astype(np.float64)))


def _join_rows(
    parts: Sequence[Part], maps: Sequence[_Maps], n_shapes: int, durations: Durations, settled: np.ndarray
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


def _all_rows(tables: Sequence[tuple[Kept, _Maps]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
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
