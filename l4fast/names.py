"""Names that hold a digit: which words of a raw shape stay, and the wordings that this makes.

`Names` is fed the columns of every chunk of a first reading. Afterwards each raw shape has one
wording, its masked text with names filled in, or a few: one for each name at the one place where
few different ones stand (`interface ee0`, `interface alt0`). A second reading tells the wording of
each line. Both depend on the set of lines alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l4fast.canonical import MASK
from l4fast.columns import Columns
from l4fast.rawshapes import RawShape
from l4fast_kernels import names as kn


class Names:
    """The names seen at each place of each raw shape."""

    def __init__(self) -> None:
        self._n_raws = 0
        self._first = np.zeros(256, np.int32)
        self._count = np.zeros(256, np.int32)
        self._alive = np.zeros(256, np.int32)
        self._n_places = 0
        self._dead = np.zeros(1024, np.uint8)
        self._n_seen = np.zeros(1024, np.int32)
        self._seen = np.zeros((1024, kn.MOST_NAMES), np.uint64)
        self._texts: dict[int, list[str]] = {}

    def feed(self, cols: Columns, raws: list[RawShape]) -> None:
        """Note the names of a chunk; ``raws``: all raw shapes so far."""
        for raw in raws[self._n_raws :]:
            self._add(min(len(raw.words), raw.masked.count(MASK), kn.MOST_PLACES))
        most = int(self._alive[: self._n_raws].sum()) * kn.MOST_NAMES
        fresh, n_fresh = np.empty((max(most, 1), 3), np.int32), np.zeros(1, np.int64)
        kn.collect(
            cols.buf,
            cols.n,
            cols.start,
            cols.stop,
            cols.raw,
            self._first,
            self._count,
            self._alive,
            self._dead,
            self._n_seen,
            self._seen,
            fresh,
            n_fresh,
        )
        for place, begin, end in fresh[: n_fresh[0]].tolist():
            self._texts.setdefault(place, []).append(cols.buf[begin:end].tobytes().decode("latin-1"))

    def wordings(self, raws: list[RawShape]) -> Wordings:
        """Return the wordings of all raw shapes; call it when every chunk was fed."""
        texts: list[str] = []
        raw_of: list[int] = []
        base = np.zeros(len(raws), np.int32)
        word_of = np.full(len(raws), -1, np.int32)
        hashes = np.zeros((len(raws), kn.MOST_NAMES), np.uint64)
        for i, raw in enumerate(raws):
            base[i] = len(texts)
            first, count = int(self._first[i]), int(self._count[i])
            names = {
                k: self._texts[first + k]
                for k in range(count)
                if not self._dead[first + k] and first + k in self._texts
            }
            few = [k for k in names if len(names[k]) > 1]
            told = min(few, key=lambda k: (len(names[k]), k), default=None)
            filled = {k: name[0] for k, name in names.items() if len(name) == 1}
            if told is None:
                texts.append(_filled(raw.masked, filled))
                raw_of.append(i)
                continue
            word_of[i] = told
            seen = dict(zip(names[told], self._seen[first + told], strict=False))
            for j, name in enumerate(sorted(names[told])):
                hashes[i, j] = seen[name]
                texts.append(_filled(raw.masked, {**filled, told: name}))
                raw_of.append(i)
        return Wordings(tuple(texts), np.array(raw_of, np.int32), word_of, hashes, base)

    def _add(self, places: int) -> None:
        if self._n_raws == len(self._first):
            self._first, self._count, self._alive = (
                np.concatenate([a, np.zeros_like(a)]) for a in (self._first, self._count, self._alive)
            )
        while self._n_places + places > len(self._dead):
            self._dead, self._n_seen = (
                np.concatenate([a, np.zeros_like(a)]) for a in (self._dead, self._n_seen)
            )
            self._seen = np.concatenate([self._seen, np.zeros_like(self._seen)])
        self._first[self._n_raws] = self._n_places
        self._count[self._n_raws] = self._alive[self._n_raws] = places
        self._n_places += places
        self._n_raws += 1


@dataclass(frozen=True)
class Wordings:
    """The wordings of all raw shapes.

    Attributes
    ----------
    texts : tuple of str
        Masked texts, each name in its place.
    raw : int32[n_wordings]
        The raw shape of each.
    word_of, hashes, base
        What `l4fast_kernels.names.choose` needs.
    """

    texts: tuple[str, ...]
    raw: np.ndarray
    word_of: np.ndarray
    hashes: np.ndarray
    base: np.ndarray

    def of(self, cols: Columns) -> np.ndarray:
        """Return the wording of each segment of a chunk, int32[n]."""
        out = np.empty(cols.n, np.int32)
        kn.choose(
            cols.buf, cols.n, cols.start, cols.stop, cols.raw, self.word_of, self.hashes, self.base, out
        )
        return out


def _filled(masked: str, names: dict[int, str]) -> str:
    """Return a masked text with the words ``names`` (by their number) in place."""
    if not names:
        return masked
    parts = masked.split(MASK)
    held = [names.get(k, MASK) for k in range(len(parts) - 1)]
    return "".join(part + word for part, word in zip(parts, [*held, ""], strict=True))
