"""Logs as record batches, one a chunk: a row per line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from l4fast.chunks import chunks
from l4fast.columns import Columns
from l4fast.days import day_of
from l4fast.discovery import Found, discover, kept
from l4fast.errors import UsageError
from l4fast.parse import Parser, Shape
from l4fast.paths import path_facts
from l4fast.source import Paths, Stream, Unreadable
from l4fast.speakers import told
from l4fast.stream import CHUNK_BYTES
from l4fast.table import Codes, batch, schema, templates_table
from l4fast.templates import derive
from l4fast.voices import Speaker

MOST_RANK = 2**31 - 1


def parse(
    paths: Paths, *, text: bool = False, params: bool = False, chunk_bytes: int = CHUNK_BYTES
) -> Batches:
    """Return an iterator over the lines of logs as `pyarrow.RecordBatch`, one a chunk.

    Parameters
    ----------
    paths : files, directories, globs or ``"-"``
    text : add the column ``text``, the bytes of each line
    params : add the column ``params``, the words of each line that hold a digit
    chunk_bytes : about how much is read at a time

    Raises
    ------
    NothingToRead
        No path could be read.

    Examples
    --------
    >>> lines = parse("job/logs")  # doctest: +SKIP
    >>> errors = sum((batch["level"] == "error").sum() for batch in lines)  # doctest: +SKIP
    >>> lines.templates()  # doctest: +SKIP
    """
    return Batches(kept(discover(paths)), text=text, params=params, chunk_bytes=chunk_bytes)


class Batches:
    """An iterator of record batches; `templates` tells the templates after the last one.

    A batch refers to nothing that the next one overwrites. ``node`` and ``rank`` are what the
    line's prefix and the file's path tell: what only other lines tell (``l4fast parse -o``
    waits for them) is null. A shape id is final; its template is known when all shapes are.

    Where a kind of lines has more forms than are told apart (`l4fast.buckets`), lines that came
    before that was known have shape ids of their own. These stay valid: `templates` tells the one
    template that all lines of the kind have.

    Attributes
    ----------
    schema : pyarrow.Schema
    unreadable : list of Unreadable
        What could not be read, and why; complete after the last batch.
    """

    def __init__(self, found: Found, *, text: bool, params: bool, chunk_bytes: int) -> None:
        self.schema = schema(text=text, params=params)
        self.unreadable = list(found.unreadable)
        self._parser = Parser(reference_day=day_of(found.streams))
        self._names = _Names([s.name for s in found.streams])
        self._counts = np.zeros(0, np.int64)
        self._ended = False
        self._batches = self._read(found.streams, chunk_bytes)

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> pa.RecordBatch:
        return next(self._batches)

    def _read(self, streams: Sequence[Stream], chunk_bytes: int) -> Iterator[pa.RecordBatch]:
        for cols in columns(streams, self._parser, chunk_bytes=chunk_bytes, problems=self.unreadable):
            counts = np.bincount(cols.shape[cols.skip == 0], minlength=len(self._parser.shapes))
            counts[: len(self._counts)] += self._counts
            self._counts = counts
            yield batch(cols, self._names.codes(self._parser), self.schema)
        self._ended = True

    def templates(self) -> pa.Table:
        """Return one row per shape: its id, its template's id and text, its lines; by shape id.

        Templates and their lines depend on the lines alone, never on the order of files or the size
        of chunks. So does each row, but that of the lines of a kind that was collapsed the first ones
        read may be told in rows of their own (see `Batches`).

        Raises
        ------
        UsageError
            The last batch has not been read yet.
        """
        if not self._ended:
            raise UsageError("templates are known after the last batch: read all batches first")
        counts = np.pad(self._counts, (0, len(self._parser.shapes) - len(self._counts)))
        return templates_of(self._parser.shapes, counts.tolist(), self._parser.final())

    @property
    def collapsed(self) -> int:
        """Kinds of lines so far that have more forms than are told apart: each is one shape."""
        return len(self._parser.buckets.collapsed)


def templates_of(shapes: Sequence[Shape], counts: Iterable[int], final: Sequence[int]) -> pa.Table:
    """Return the template table of shapes and their lines; see `Batches.templates`.

    ``final`` tells which of ``shapes`` each is in the end. A shape without a line (a progress bar
    that was drawn over) is no row, but takes part.
    """
    template_of = derive(shapes[i].text for i in set(final))
    kept = {shapes[i].text for i in set(final)}
    rows: Counter[tuple[str, str]] = Counter()
    for shape, i, n in zip(shapes, final, counts, strict=True):
        # A text that another bucket keeps has a template of its own already.
        own = shapes[i] if shape.text in kept else shape
        rows[own.id, shapes[i].text] += n
    return templates_table(
        (shape, template_of[text].id, template_of[text].text, n) for (shape, text), n in rows.items() if n
    )


def columns(
    streams: Sequence[Stream],
    parser: Parser,
    *,
    chunk_bytes: int = CHUNK_BYTES,
    problems: list[Unreadable] | None = None,
    tick: Callable[[int], None] | None = None,
) -> Iterator[Columns]:
    """Yield the columns of each chunk of ``streams``, valid until the next ones are asked for."""
    for index, stream in enumerate(streams):
        next_line = 1
        for chunk in chunks(stream, chunk_bytes=chunk_bytes, problems=problems):
            cols = parser.feed(
                chunk.data,
                chunk.size,
                stream=index,
                offset=chunk.offset,
                first_line=next_line,
                last=chunk.last,
            )
            next_line += cols.n_lines
            yield cols
            if tick is not None:
                tick(chunk.size)


class _Names:
    """The names of a parser's shapes and speakers so far; only new ones are worked out."""

    def __init__(self, names: Sequence[str]) -> None:
        self._facts = path_facts(names)
        self._node_place: dict[str, int] = {}
        self._shape_place: dict[str, int] = {}
        nothing, none = pa.array([], pa.string()), np.zeros(0, np.int32)
        self._codes = Codes(pa.array(names, pa.string()), nothing, nothing, nothing, none, none, none, none)

    def codes(self, parser: Parser) -> Codes:
        held = self._codes
        if shapes := parser.shapes[len(held.shape_of) :]:
            places = places_of((shape.id for shape in shapes), self._shape_place)
            held = replace(
                held,
                shape=pa.array(list(self._shape_place), pa.string()),
                shape_of=np.concatenate([held.shape_of, places]),
            )
        if speakers := parser.speakers[len(held.node_of) :]:
            held = self._speakers(held, speakers)
        self._codes = held
        return held

    def _speakers(self, held: Codes, speakers: Sequence[Speaker]) -> Codes:
        who = told(self._facts, speakers)
        places = places_of(who.node, self._node_place)
        return replace(
            held,
            node=pa.array(list(self._node_place), pa.string()),
            node_of=np.concatenate([held.node_of, places]),
            rank_of=np.concatenate([held.rank_of, ranks_of(who.rank)]),
        )


def places_of(names: Iterable[str | None], place: dict[str, int]) -> np.ndarray:
    """Return int32 places of ``names`` in ``place``, -1 for None; a new name is added behind."""
    return np.array([-1 if name is None else place.setdefault(name, len(place)) for name in names], np.int32)


def ranks_of(ranks: Iterable[int | None]) -> np.ndarray:
    """Return ranks as int32, -1 where unknown or absurd."""
    return np.array([-1 if rank is None or rank > MOST_RANK else rank for rank in ranks], np.int32)
