"""The first line of each raw shape: what is looked at, so that no other line of it has to be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from l4fast.buckets import Key, cut, vocabulary
from l4fast.canonical import MASK, canonical
from l4fast.layouts import peel
from l4fast.rawshapes import RawShape, byte_of, peel_bar
from l4fast_kernels import outlines as ko
from l4fast_kernels.shapes import FRESH_AT_ONCE

# A longer line is looked at only so far when its shape is worded; its hash covers all of it.
EXEMPLAR_BYTES = 1 << 18
MASKED_CHARS = 4096


class Exemplar(NamedTuple):
    """The first line that had some masked text.

    ``whole`` is that text, ``words`` where each masked word stands in the line, in bytes, and ``outline``
    by what it falls into a bucket.
    """

    line: bytes
    whole: str
    words: list[tuple[int, int]]
    outline: Key

    @property
    def masked(self) -> str:
        """The text as far as it is looked at."""
        return self.whole[:MASKED_CHARS]


def exemplars(buf: np.ndarray, fresh: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Iterator[Exemplar]:
    """Return the lines of the segments ``fresh`` (int32[n]) of a chunk; a kernel describes some at once."""
    for low in range(0, len(fresh), FRESH_AT_ONCE):
        chosen = fresh[low : low + FRESH_AT_ONCE]
        n = len(chosen)
        room = int(np.minimum(stop[chosen] - start[chosen], EXEMPLAR_BYTES).sum())
        masked, bounds = np.empty(room, np.uint8), np.empty(room + n + 1, np.int32)
        masked_end, bounds_end = np.empty(n, np.int64), np.empty(n, np.int64)
        out = np.empty((n, ko.OUTLINE_BYTES), np.uint8)
        cuts = np.empty((n, len(ko.WIDTHS)), np.int64)
        ko.describe(
            buf,
            chosen,
            n,
            start,
            stop,
            EXEMPLAR_BYTES,
            vocabulary(),
            masked,
            masked_end,
            bounds,
            bounds_end,
            out,
            cuts,
        )
        at = held = 0
        for k, segment in enumerate(chosen.tolist()):
            begin, edges = int(start[segment]), cuts[k].tolist()
            flat = bounds[held : bounds_end[k]].tolist()
            yield Exemplar(
                line=buf[begin : min(int(stop[segment]), begin + EXEMPLAR_BYTES)].tobytes(),
                whole=masked[at : masked_end[k]].tobytes().decode("latin-1").replace("\x00", MASK),
                words=list(zip(flat[::2], flat[1::2], strict=True)),
                outline=cut(out[k, : edges[-1]].tobytes(), edges),
            )
            at, held = int(masked_end[k]), int(bounds_end[k])


def raw_shape(one: Exemplar) -> tuple[RawShape, str]:
    """Return the raw shape of a line, without the code of its shape, and the text of that shape."""
    line, masked, words = one.line, one.masked, one.words
    header, lead = peel_bar(masked, peel(masked))
    begin = byte_of(header.start, masked, words)
    end = len(line) if header.end == len(one.whole) else byte_of(header.end, masked, words)
    glued = begin if lead == header.start else byte_of(lead, masked, words)
    raw = RawShape(
        masked=masked,
        header=header,
        content=line[begin:end].decode("latin-1"),
        begin=begin,
        lead=line[glued:begin].decode("latin-1"),
        words=tuple(words),
        shape=-1,
    )
    return raw, canonical(masked[header.start : header.end])
