"""A job as the analysis sees it.

Shapes are sorted by id, speakers by stream and labels, rows by stream and line: nothing here
depends on which part read what, or in which order (see `l4fast.joining`).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from l4fast.buckets import Buckets
from l4fast.canonical import MASK, mask, plain
from l4fast.colours import shown
from l4fast.layouts import peel
from l4fast.parse import Shape
from l4fast.rawshapes import LEVELS, RawShape, peel_bar
from l4fast.reader import RawNote
from l4fast.streamsums import StreamSums
from l4fast.voices import Speaker
from l4fast_kernels.alike import hash_alike
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
    """One row per (series, speaker): where its counter has come to.

    ``time``, ``line`` and ``offset`` are those of the line that told the highest; ``went_back`` and
    ``went_on`` count the lines that told less, or more, than the one before.
    """

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
    first: np.ndarray
    went_on: np.ndarray
    last_time: np.ndarray


@dataclass(frozen=True)
class Told:
    """The longest span, in seconds, that lines tell of each (series, iteration), ordered so."""

    series: np.ndarray
    iteration: np.ndarray
    seconds: np.ndarray


@dataclass(frozen=True)
class Durations:
    """What lines of one shape tell that a step took: one row per (speaker, shape, nth), ordered so.

    Attributes
    ----------
    nth : int32[n]
        Which of the durations of a line it is, from 0.
    count : int64[n]
        How many were told.
    head, tail : float64[n, WIDTH]
        The first and the last of them, in seconds; the k-th (from 0) of the last at ``k % WIDTH``.
    """

    speaker: np.ndarray
    shape: np.ndarray
    nth: np.ndarray
    count: np.ndarray
    head: np.ndarray
    tail: np.ndarray


@dataclass(frozen=True)
class Rows:
    """Lines that were kept one by one, ordered by stream and line.

    ``striking`` (uint8[n]) is not 0 for those that tell a duration far longer than all before of their
    speaker and shape: bit ``k`` stands for the k-th of the line. They are kept with their texts,
    however many lines of the shape came before.
    The text of row ``i`` is ``text_size[i]`` bytes of `Job.texts` from ``text_at[i]`` on (-1: it was not
    kept); its content begins ``content_at[i]`` bytes behind (-1: ask its header).
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
    text_at: np.ndarray
    text_size: np.ndarray
    content_at: np.ndarray

    def __len__(self) -> int:
        return len(self.shape)


@dataclass(frozen=True)
class Job:
    """All that is known of a job's lines.

    Attributes
    ----------
    buckets : Buckets
        Those of ``raws``; where some have collapsed, a raw shape stands for each.
    texts : bytearray
        The texts of rows, one behind the other.
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
    texts: bytearray = field(repr=False)
    buckets: Buckets = field(repr=False)

    @property
    def collapsed_lines(self) -> int:
        """Lines of shapes that stand for a collapsed bucket."""
        return int(self.shape_count[sorted({raw.shape for raw in self.raws if raw.is_collapsed})].sum())

    def told_of_texts(self) -> str | None:
        """Say how many lines that may name a rank or a node were counted, but not kept, or None."""
        naming = {
            raw.shape for raw, note in zip(self.raws, self.notes, strict=True) if note.names and note.failures
        }
        if not naming:
            return None
        with_text = np.bincount(self.rows.shape[self.rows.text_size >= 0], minlength=len(self.shapes))
        left = np.maximum(self.shape_count - with_text, 0)[sorted(naming)]
        if not left.any():
            return None
        return (
            f"lines that name somebody: {int(left.sum()):,} of {np.count_nonzero(left)} kinds were counted,"
            " but whom they name was not kept"
        )

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

    def alike(self, rows: np.ndarray, *, in_lines: bool = False) -> np.ndarray:
        """Number rows of one raw shape: equal where their contents differ in digits alone; 0: not known.

        ``in_lines`` compares all of their lines. Returns uint64[n].
        """
        table = self.rows
        size, begin = table.text_size[rows].astype(np.int64), table.text_at[rows].astype(np.int64)
        if not in_lines:
            content = table.content_at[rows]
            whole = len(rows) > 0 and self.raws[int(table.raw[rows[0]])].content_is_rest
            size = np.where((size >= 0) & (content >= 0) & whole, size - content, -1)
            begin += content
        out = np.empty(len(rows), np.uint64)
        hash_alike(np.frombuffer(self.texts, np.uint8), begin, size, self._key, out)
        return out

    @cached_property
    def _key(self) -> np.uint64:
        return np.uint64(secrets.randbits(64))

    @cached_property
    def _by_raw(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.rows.raw, kind="stable")
        return order, np.searchsorted(self.rows.raw[order], np.arange(len(self.raws) + 1))

    def rows_of_raw(self, raw: int) -> np.ndarray:
        """Return the rows of a raw shape, int64[n], ascending."""
        order, bounds = self._by_raw
        return order[bounds[raw] : bounds[raw + 1]]

    @property
    def first_time(self) -> int:
        known = [s.first_time for s in self.streams if s.first_time != NONE]
        return min(known) if known else NONE

    @property
    def last_time(self) -> int:
        return max((s.last_time for s in self.streams), default=NONE)

    def row_text(self, row: int) -> bytes | None:
        """The bytes of a row's line, colours hushed, or None if only its place was kept."""
        begin, size = int(self.rows.text_at[row]), int(self.rows.text_size[row])
        return None if size < 0 else bytes(self.texts[begin : begin + size])

    def line_text(self, stream: int, line: int) -> str | None:
        """The text of a kept line, as UTF-8 with broken bytes as U+FFFD."""
        rows = self.rows
        low, high = np.searchsorted(rows.stream, (stream, stream + 1)).tolist()
        row = low + int(np.searchsorted(rows.line[low:high], line))
        kept = self.row_text(row) if row < high and rows.line[row] == line else None
        return None if kept is None else shown(kept).decode("utf-8", "replace")

    def content(self, row: int) -> str:
        """The content of a row: its line without the prefixes that its shape peels.

        Where its text was not kept, that of the first line like it: the numbers in it are another's.
        """
        raw = self.raws[int(self.rows.raw[row])]
        text = self.row_text(row)
        if text is None:
            return plain(raw.text)
        begin = int(self.rows.content_at[row])
        if begin >= 0 and raw.content_is_rest:
            return plain(text[begin:].decode("utf-8", "replace"))
        header = raw.header
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
