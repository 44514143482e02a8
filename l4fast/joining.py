"""The parts that were read side by side, joined to one `Job`.

Each part has read some *pieces*: whole streams, or ranges of one, cut where a line with a time of its
own begins. Pieces are numbered in the order of their streams, and in a stream in the order of its
bytes; a part reads its pieces in that order. What is kept of the first lines only (rows, texts,
durations) is then cut to the first of all, so that nothing tells how the pieces were dealt out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from l4fast.canonical import shape_id
from l4fast.durations_joined import Found, join_durations
from l4fast.job import Job
from l4fast.newest_first import turned
from l4fast.parse import Shape
from l4fast.rawshapes import RawShape
from l4fast.reader import Part, RawNote, look
from l4fast.rows_joined import join_rows
from l4fast.streamsums import StreamSums
from l4fast.sums_joined import Maps, join_iterations, join_pairs, join_reached, join_series, join_told
from l4fast.vocabularies import Vocabulary, together
from l4fast.voices import Speaker, lasting


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
    series = sorted({name for part in parts for name in part.fold.progress.names})
    series_of = {name: i for i, name in enumerate(series)}
    maps = [
        Maps(
            shape=np.array([shape_of[text] for _, text in finals], np.int32),
            speaker=np.array([speaker_of[s] for s in said], np.int32),
            piece_of_speaker=np.array([s.stream for s in part.parser.speakers], np.int64),
            stream=stream_of,
            line=lines_before,
            raw=np.array([raw_of[text] for text in masked], np.int32),
            series=np.array([series_of[name] for name in part.fold.progress.names], np.int32),
        )
        for part, finals, said, masked in zip(parts, named, said_by, masked_of, strict=True)
    ]
    durations, settled = join_durations(
        [Found(part.fold.durations, to.speaker, to.shape) for part, to in zip(parts, maps, strict=True)]
    )
    rows, texts = join_rows(parts, maps, len(shapes), durations, settled)
    job = Job(
        streams=streams,
        shapes=tuple(shapes),
        raws=tuple(raw for raw, _ in ordered),
        notes=tuple(note for _, note in ordered),
        speakers=tuple(speakers),
        pairs=join_pairs(parts, maps),
        iterations=join_iterations(parts, maps),
        reached=join_reached(parts, maps),
        told=join_told(parts, maps),
        durations=durations,
        series=join_series(parts, maps, series),
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
        each = [part.parser.voices.told(its) for part in parts]
        how = max(level for level, _ in each)
        heard = {lasting(labels, how) for _, found in each for labels in found}
        while len(heard) > parts[0].parser.voices.most[how]:
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
