"""Which raw shapes collapse: a vocabulary that explodes must not.

Raw shapes fall into buckets by the begin of their *outline* (`l4fast_kernels.outlines`): the line
with wild cards for the words that nobody knows, so that lines which differ in names alone share
one. A bucket of more raw shapes than ``most`` is collapsed, all of it, also what came before.

Which buckets collapse depends on the set of raw shapes alone, so any order, split and merge gives
the same ones. A step of `LADDER` is a width of outlines and a ``most``. The *weight* of a set at a
step is the sum over its buckets of min(raw shapes, most + 1); the step of a set is the first one at
which it weighs at most ``cap``. A larger set never weighs less, so while lines come the step only
goes on; and both width and ``most`` only shrink on the way, so a bucket that is collapsed at one
step is part of one that is collapsed at the next. What a collapsed bucket held is therefore never
asked for again, and what is kept is at most ``cap`` raw shapes.

References
----------
DESIGN section 1, last paragraph.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import numpy as np

from l4fast.canonical import MASK
from l4fast_kernels import outlines as ko

CAP = 1 << 16  # raw shapes that are kept: 5 KB each with all that is decided on them, 350 MB at most
# (level of the outline: 5 is 16 words, 4 is 8, 3 is 4, 2 is 2, 1 is 1, 0 is none; most raw shapes).
LADDER = ((5, 128), (5, 64), (4, 64), (4, 16), (3, 16), (2, 16), (2, 4), (1, 4), (0, 4))
WORD_SLOTS = 1 << 13
_END = chr(ko.END)
WILD = "\ue001"  # in a collapsed text: any words; no byte of a log can produce it

# An outline as the pieces between its cuts; a shorter one is a begin of it.
Key = tuple[bytes, ...]


@cache
def vocabulary() -> np.ndarray:
    """Return the set of words that an outline keeps: uint64[WORD_SLOTS], read only."""
    text = np.frombuffer(resources.files("l4fast").joinpath("vocabulary.txt").read_bytes(), np.uint8)
    words = np.zeros(WORD_SLOTS, np.uint64)
    ko.learn_words(text, words)
    words.setflags(write=False)
    return words


def cut(outline: bytes, cuts: Iterable[int]) -> Key:
    r"""Return an outline as the pieces between its cuts.

    >>> cut(b"user \x01 logged in\x02", (4, 6, 17, 17, 17))
    (b'user', b' \x01', b' logged in\x02')
    """
    pieces, begin = [], 0
    for end in cuts:
        if end > begin:
            pieces.append(outline[begin:end])
            begin = end
    return tuple(pieces)


def text_of(bucket: Key) -> str:
    r"""Return what the lines of a bucket have in common, with `MASK` and `WILD` for what varies.

    >>> text_of((b"user", b" \x01")).replace(WILD, "*")
    'user *'
    >>> text_of((b"user", b" logged")).replace(WILD, "*")
    'user logged *'
    """
    text = b"".join(bucket).decode("latin-1").replace("\x00", MASK).replace("\x01", WILD)
    if text.endswith(_END):
        return text[:-1]
    return text if text.endswith(WILD) else f"{text} {WILD}".lstrip()


@dataclass
class Buckets:
    """The buckets of the raw shapes seen so far.

    Attributes
    ----------
    step : int
        Index into ``ladder``.
    live : mapping of bucket to the masked texts in it
    collapsed : set of buckets
    weight : int
    """

    ladder: Sequence[tuple[int, int]] = LADDER
    cap: int = CAP
    step: int = 0
    live: dict[Key, set[str]] = field(default_factory=dict)
    collapsed: set[Key] = field(default_factory=set)
    weight: int = 0

    @property
    def level(self) -> int:
        return self.ladder[self.step][0]

    @property
    def most(self) -> int:
        return self.ladder[self.step][1]

    def bucket(self, key: Key) -> Key:
        """Return the bucket of a raw shape by its outline."""
        return key[: self.level]

    def add(self, masked: str, key: Key) -> None:
        """Add a raw shape."""
        self._put(self.bucket(key), (masked,))
        self._fit()

    def merge(self, other: Buckets) -> None:
        """Add all raw shapes of ``other``; the ladder and the cap must be the same."""
        while self.step < other.step:
            self._descend()
        for bucket in other.collapsed:
            self._collapse(self.bucket(bucket))
        for bucket, texts in other.live.items():
            self._put(self.bucket(bucket), texts)
        self._fit()

    def _put(self, bucket: Key, texts: Iterable[str]) -> None:
        if bucket in self.collapsed:
            return
        held = self.live.setdefault(bucket, set())
        self.weight -= len(held)
        held.update(texts)
        self.weight += len(held)
        if len(held) > self.most:
            self._collapse(bucket)

    def _collapse(self, bucket: Key) -> None:
        if bucket not in self.collapsed:
            self.collapsed.add(bucket)
            self.weight += self.most + 1 - len(self.live.pop(bucket, ()))

    def _fit(self) -> None:
        while self.weight > self.cap:
            self._descend()

    def _descend(self) -> None:
        """Go on to the next step of the ladder."""
        live, collapsed = self.live, self.collapsed
        self.step += 1
        self.live, self.collapsed, self.weight = {}, set(), 0
        for bucket in collapsed:
            self._collapse(self.bucket(bucket))
        for bucket, texts in live.items():
            self._put(self.bucket(bucket), texts)
