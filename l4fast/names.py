"""Names that hold a digit: which words of a raw shape stay, and the wordings that this makes.

`Names` is fed the lines of every chunk of a first reading. Afterwards each raw shape has one
wording, in which its names stand, or a few: one for each name at the one place where few different
ones stand (`interface ee0`, `interface alt0`). A second reading tells the wording of each line.
Both depend on the set of lines alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from l4fast.lines import Lines
from l4fast.typed import MASK
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

    def add(self, places: int) -> None:
        """Add the next raw shape: one with ``places`` masked words."""
        places = min(places, kn.MOST_PLACES)
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

    def feed(self, lines: Lines) -> None:
        """Note the names of a chunk; its raw shapes have been added."""
        most = int(self._alive[: self._n_raws].sum()) * kn.MOST_NAMES
        fresh, n_fresh = np.empty((max(most, 1), 3), np.int32), np.zeros(1, np.int64)
        kn.collect(
            lines.buf,
            lines.n,
            lines.start,
            lines.stop,
            lines.code,
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
            self._texts.setdefault(place, []).append(lines.buf[begin:end].tobytes().decode("latin-1"))

    def wordings(self) -> Wordings:
        """Return the wordings of all raw shapes; call it when every chunk was fed."""
        names: list[dict[int, str]] = []
        raw: list[int] = []
        base = np.zeros(self._n_raws, np.int32)
        word_of = np.full(self._n_raws, -1, np.int32)
        hashes = np.zeros((self._n_raws, kn.MOST_NAMES), np.uint64)
        for i in range(self._n_raws):
            base[i] = len(names)
            first, count = int(self._first[i]), int(self._count[i])
            held = {
                k: self._texts[first + k]
                for k in range(count)
                if not self._dead[first + k] and first + k in self._texts
            }
            few = [k for k in held if len(held[k]) > 1]
            told = min(few, key=lambda k: (len(held[k]), k), default=None)
            sure = {k: texts[0] for k, texts in held.items() if len(texts) == 1}
            if told is None:
                names.append(sure)
                raw.append(i)
                continue
            word_of[i] = told
            seen = dict(zip(held[told], self._seen[first + told], strict=False))
            for j, name in enumerate(sorted(held[told])):
                hashes[i, j] = seen[name]
                names.append({**sure, told: name})
                raw.append(i)
        return Wordings(tuple(names), np.array(raw, np.int32), word_of, hashes, base)


@dataclass(frozen=True)
class Wordings:
    """The wordings of all raw shapes.

    Attributes
    ----------
    names : tuple of dict of int to str
        Which masked words of a line are names, and what they are.
    raw : int32[n_wordings]
        The raw shape of each.
    word_of, hashes, base
        What `l4fast_kernels.names.choose` needs.
    """

    names: tuple[Mapping[int, str], ...]
    raw: np.ndarray
    word_of: np.ndarray
    hashes: np.ndarray
    base: np.ndarray

    def of(self, lines: Lines) -> np.ndarray:
        """Return the wording of each line of a chunk, int32[n]."""
        out = np.empty(lines.n, np.int32)
        kn.choose(
            lines.buf,
            lines.n,
            lines.start,
            lines.stop,
            lines.code,
            self.word_of,
            self.hashes,
            self.base,
            out,
        )
        return out


def filled(masked: str, names: Mapping[int, str], first: int = 0) -> str:
    """Return a masked text with names in place; ``first``: the number of its first masked word.

    >>> filled(f"interface {MASK} has {MASK}", {4: "ee0"}, 4) == f"interface ee0 has {MASK}"
    True
    """
    if not names:
        return masked
    parts = masked.split(MASK)
    words = [names.get(first + k, MASK) for k in range(len(parts) - 1)]
    return "".join(part + word for part, word in zip(parts, [*words, ""], strict=True))
