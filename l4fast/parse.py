"""Chunks of bytes -> columns: line bounds, header fields, speaker and shape of each line.

The kernels answer per line; everything that needs thought is decided once per *raw shape*
(the exact masked text) on its first line. See DESIGN sections 1 and 3.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from l4fast.buckets import Buckets, Key, vocabulary
from l4fast.canonical import shape_id
from l4fast.columns import Columns
from l4fast.exemplars import EXEMPLAR_BYTES, exemplars, raw_shape
from l4fast.rawshapes import RawShape, Spot, label_spots, plan_of, read_labels, stand_in
from l4fast.voices import MOST_SPEAKERS, Labels, Speaker, Voices
from l4fast_kernels import fields as kf
from l4fast_kernels import outlines as ko
from l4fast_kernels import shapes as ks
from l4fast_kernels.codes import rehash
from l4fast_kernels.rows import place_lines

_MARK = b"\xef\xbb\xbf"  # that a file of UTF-8 may begin with: no part of its first word


@dataclass(frozen=True)
class Shape:
    """A canonical shape and its final id."""

    id: str
    text: str


class Parser:
    """Shapes and speakers seen so far; `feed` turns a chunk into `Columns`.

    A line of a bucket that has collapsed (see `l4fast.buckets`) is given the shape of the bucket;
    lines that came before were given shapes of their own, of which `final` knows what they became.

    Attributes
    ----------
    raws : list of RawShape
        By the codes in `Columns.raw`.
    shapes : list of Shape
        By the codes in `Columns.shape`. Two have the same text where their raw shapes are of
        different buckets.
    outlines : list
        The outline of each shape, by which it falls into a bucket.
    """

    def __init__(
        self,
        *,
        reference_day: int = 0,
        on_raw: Callable[[int, RawShape], None] | None = None,
        most_speakers: tuple[int, int] = MOST_SPEAKERS,
        buckets: Buckets | None = None,
    ) -> None:
        self.voices = Voices(most_speakers)
        self.reference_day = reference_day
        self.raws: list[RawShape] = []
        self.first_streams: list[int] = []  # where each raw shape was seen first
        self.shapes: list[Shape] = []
        self.outlines: list[Key] = []
        self.buckets = Buckets() if buckets is None else buckets
        self._shape_of: dict[tuple[str, Key], int] = {}
        # Of each collapsed bucket, now or earlier: the hash of its outline, and its raw shape's code.
        self._stand_ins: dict[Key, tuple[int, int]] = {}
        self._swept = 0
        self._spots: list[tuple[Spot, ...]] = []
        self._on_raw = on_raw
        # The hashes never leave the process, so a hostile log cannot aim at them.
        self._key = np.uint64(secrets.randbits(64))
        self._layouts = np.zeros(2 * ks.LAYOUT_SLOTS, np.uint64)
        self._layout_spots = np.zeros((ks.LAYOUT_SLOTS + 1, kf.SPOT_WIDTH), np.int32)
        self._shape_keys = np.zeros(ks.SHAPE_SLOTS, np.uint64)
        self._shape_codes = np.zeros(ks.SHAPE_SLOTS, np.int32)
        self._counts = np.zeros(2, np.int64)
        # Start, stop, origin, line, raw, layout and fresh of the last chunk's segments: see `ks.scan`.
        self._found = [np.empty(4 * ks.WINDOW, np.int32) for _ in range(7)]
        self._fields: list[np.ndarray] = []
        self._stream = 0
        self._plans = np.zeros((256, kf.PLAN_WIDTH), np.int16)
        self._raw_shape = np.zeros(256, np.int32)
        self._level = -1
        self._bucket_keys = np.zeros(1, np.uint64)
        self._bucket_codes = np.zeros(1, np.int32)
        if self.buckets.collapsed:
            self._stand_in()
            self._counts[1] = len(self.raws)

    def feed(
        self, buf: np.ndarray, size: int, *, stream: int, offset: int, first_line: int, last: bool
    ) -> Columns:
        """Parse ``buf[:size]`` (uint8, at least 128 zero bytes behind ``size``).

        ``offset`` is where the chunk begins in its stream, ``first_line`` the number of its
        first line, ``last`` whether the stream ends with it. The chunk holds whole lines
        unless it is the last. Its colour codes are hushed (see `l4fast_kernels.colours`).
        """
        self._stream = stream
        begin = len(_MARK) if offset == 0 and buf[: len(_MARK)].tobytes() == _MARK else 0
        n, n_lines, coloured = self._scan(buf, size, last, begin)
        start, stop, origin, line, raw, layout, _ = (column[:n] for column in self._found)
        # One block of memory: the allocator keeps it for the next chunk, where it gives back many
        # small ones, and each new page of 4 KB costs as much as five lines.
        longs = np.empty((7, n), np.int32)
        time, number, at = longs[:6].reshape(3, 2 * n).view(np.int64)
        length = longs[6]
        who, zoned, skip, level, shape = self._field_room(n)
        salt = np.uint64(((stream + 1) * 0x9E3779B97F4A7C15) & (2**64 - 1))

        def read_headers(told: int) -> None:
            kf.read_headers(
                buf,
                n,
                start,
                stop,
                line,
                raw,
                layout,
                self._plans,
                self._layout_spots,
                salt,
                told,
                self.reference_day,
                time,
                zoned,
                level,
                who,
            )

        def labels(segments: np.ndarray) -> Iterator[Labels]:
            # The labels may stand behind a progress bar; what has none speaks as the segment before it.
            places = (column[segments].tolist() for column in (start, stop, raw, layout))
            for begin, end, code, place in zip(*places, strict=True):
                text = buf[begin : min(end, begin + EXEMPLAR_BYTES)].tobytes()
                yield self._labels(text, code, place)

        read_headers(self.voices.level(stream))
        place_lines(
            n,
            start,
            stop,
            origin,
            line,
            raw,
            self._raw_shape,
            first_line,
            offset,
            number,
            at,
            length,
            shape,
            skip,
        )
        return Columns(
            stream=stream,
            buf=buf,
            size=size,
            n=n,
            n_lines=n_lines,
            start=start,
            stop=stop,
            origin=origin,
            raw=raw,
            shape=shape,
            speaker=self.voices.of(stream, who, labels, read_headers),
            line=number,
            offset=at,
            length=length,
            time=time,
            zoned=zoned,
            skip=skip,
            level=level,
            coloured=coloured,
        )

    @property
    def speakers(self) -> list[Speaker]:
        """Who wrote the lines, by the codes in `Columns.speaker`."""
        return self.voices.speakers

    def time_forms(self, raw: np.ndarray) -> np.ndarray:
        """Return the forms of time that lines of these raw shapes (int32[n]) have, 0 for none: int16[n]."""
        forms: np.ndarray = self._plans[raw, kf.P_TIME]
        return forms

    def _scan(self, buf: np.ndarray, size: int, last: bool, begin: int) -> tuple[int, int, bool]:
        """Fill ``self._found``; return how many segments and lines there are, and whether any is coloured.

        The text of the first line begins at ``begin``.
        """
        if self._counts[0] * 2 > ks.LAYOUT_SLOTS:
            # Full: begin anew, or layouts that came once would keep out those that come often. Not
            # while a chunk is scanned, for its headers are read by the places of its layouts.
            self._layouts[:] = 0
            self._layout_spots[:, kf.S_KNOWN] = 0
            self._counts[0] = 0
        state = np.array([self._counts[0], self._counts[1], 0, 0, 0, 0], np.int64)
        carry = np.array([begin, 0, 0, 0], np.int64)
        done = size == 0
        while not done:
            first_code, state[2] = int(state[1]), 0
            n_collapsed, step = len(self.buckets.collapsed), self.buckets.step
            done = ks.scan(
                buf,
                size,
                int(state[4]),
                carry,
                last,
                self._key,
                self._layouts,
                self._shape_keys,
                self._shape_codes,
                vocabulary(),
                self._level,
                self._bucket_keys,
                self._bucket_codes,
                state,
                *self._found,
            )
            start, stop, *_, fresh = self._found
            self._add_raws(first_code, buf, fresh[: int(state[2])], start, stop)
            if len(self.buckets.collapsed) != n_collapsed or self.buckets.step != step:
                self._stand_in()
                state[1] = len(self.raws)
            if state[3] + ks.WINDOW + 1 > len(start):
                self._found = [np.concatenate([column, np.empty_like(column)]) for column in self._found]
            if state[1] * 2 >= self._shape_keys.size:
                self._grow_shapes()
        self._counts[:] = state[:2]
        # An open line at the end of the stream is a line too.
        return int(state[3]), int(carry[1] + (last and carry[2])), bool(state[5])

    def _field_room(self, n: int) -> list[np.ndarray]:
        if not self._fields or len(self._fields[0]) < n:
            kinds = (np.uint64, np.uint8, np.uint8, np.int8, np.int32)
            self._fields = [np.empty(n + n // 4, kind) for kind in kinds]
        return [column[:n] for column in self._fields]

    def _grow_shapes(self) -> None:
        keys = np.zeros(self._shape_keys.size * 4, np.uint64)
        codes = np.zeros(keys.size, np.int32)
        rehash(self._shape_keys, self._shape_codes, keys, codes)
        self._shape_keys, self._shape_codes = keys, codes

    def _add_raws(
        self, first_code: int, buf: np.ndarray, fresh: np.ndarray, start: np.ndarray, stop: np.ndarray
    ) -> None:
        for code, one in enumerate(exemplars(buf, fresh, start, stop), first_code):
            raw, text = raw_shape(one)
            self._keep(code, replace(raw, shape=self._add_shape(text, one.outline)))
            self.buckets.add(one.masked, one.outline)

    def _keep(self, code: int, raw: RawShape) -> None:
        if code >= len(self._plans):
            self._plans = np.concatenate([self._plans, np.zeros_like(self._plans)])
            self._raw_shape = np.concatenate([self._raw_shape, np.zeros_like(self._raw_shape)])
        self._plans[code] = plan_of(raw.masked, raw.header)
        self._raw_shape[code] = raw.shape
        self._spots.append(label_spots(raw.masked, raw.header))
        self.raws.append(raw)
        self.first_streams.append(self._stream)
        if self._on_raw is not None:
            self._on_raw(code, raw)

    def _add_shape(self, text: str, key: Key) -> int:
        found = self._shape_of.get((text, key))
        if found is None:
            found = self._shape_of[text, key] = len(self.shapes)
            self.shapes.append(Shape(shape_id(text), text))
            self.outlines.append(key)
        return found

    def _stand_in(self) -> None:
        """Give each bucket that has collapsed a raw shape of its own, and tell the kernel."""
        for bucket in sorted(self.buckets.collapsed - self._stand_ins.keys()):
            raw, text = stand_in(bucket)
            whole = b"".join(bucket)
            out = np.zeros(ko.OUTLINE_BYTES, np.uint8)
            out[: len(whole)] = np.frombuffer(whole, np.uint8)
            self._stand_ins[bucket] = int(ko.outline_hash(out, len(whole), self._key)), len(self.raws)
            self._keep(len(self.raws), replace(raw, shape=self._add_shape(text, bucket)))
        known = [self._stand_ins[bucket] for bucket in self.buckets.collapsed]
        slots = 1 << (4 * len(known)).bit_length()
        self._bucket_keys, self._bucket_codes = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
        hashes, codes = np.array([h for h, _ in known], np.uint64), np.array([c for _, c in known], np.int32)
        ko.learn_buckets(hashes, codes, self._bucket_keys, self._bucket_codes)
        self._level = self.buckets.level
        if len(self.raws) > 2 * self._swept:
            self._sweep()

    def _sweep(self) -> None:
        """Let go of the raw shapes of buckets that have collapsed."""
        for code, raw in enumerate(self.raws):
            bucket = self.buckets.bucket(self.outlines[raw.shape])
            if bucket in self.buckets.collapsed:
                self.raws[code] = self.raws[self._stand_ins[bucket][1]]
        self._swept = len(self.raws)

    def final(self) -> list[int]:
        """Return what each shape has become: itself, or the shape of its bucket."""
        buckets = self.buckets
        own = (buckets.bucket(key) for key in self.outlines)
        return [
            self.raws[self._stand_ins[bucket][1]].shape if bucket in buckets.collapsed else code
            for code, bucket in enumerate(own)
        ]

    def _labels(self, line: bytes, raw: int, layout: int) -> Labels:
        """Return the labels of a line; where they stand in lines of its layout has just been found."""
        spots = self._spots[raw]
        if not spots or layout < 0 or len(spots) != self._plans[raw, kf.P_LABELS]:
            return read_labels(line, spots)
        bounds = self._layout_spots[layout, kf.S_FIRST : kf.S_FIRST + 2 * len(spots)].tolist()
        texts = [line[low:high] for low, high in zip(bounds[::2], bounds[1::2], strict=True)]
        return tuple(
            (spot[0], text.decode("utf-8", "replace").strip())
            for spot, text in zip(spots, texts, strict=True)
        )
