"""Who wrote each line: a stream, and the labels of the line's prefix.

Very many process ids or addresses tell nothing of ranks and nodes: a stream with more speakers than a
person could mean is told by fewer labels, its earlier lines too. How many labels of a kind a stream has is
a property of its lines, whatever their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from l4fast.rawshapes import PASSING
from l4fast_kernels.codes import intern, rehash
from l4fast_kernels.fields import ALL_LABELS, LASTING_LABELS

Labels = tuple[tuple[str, str], ...]
# A stream with more speakers is told by its lasting labels, with more of those by none. A console of 10,000
# ranks must not lose their labels.
MOST_SPEAKERS = (1 << 13, 1 << 16)


class Speaker(NamedTuple):
    """Who wrote a line: a stream, and the labels of its prefix as (kind, text)."""

    stream: int
    labels: Labels


class Voices:
    """The speakers heard so far.

    Attributes
    ----------
    speakers : list of Speaker
        By their codes.
    most : tuple of int
        More speakers than this, and a stream is told by fewer labels.
    """

    def __init__(self, most: tuple[int, int] = MOST_SPEAKERS) -> None:
        self.speakers: list[Speaker] = []
        self.most = (*most, 1 << 62)
        self._keys = np.zeros(1 << 12, np.uint64)
        self._codes = np.zeros(1 << 12, np.int32)
        # For each stream: which labels tell its speakers, and the labels that were heard.
        self._level: dict[int, int] = {}
        self._heard: dict[int, set[Labels]] = {}

    def level(self, stream: int) -> int:
        """Return which labels tell the speakers of a stream."""
        return self._level.get(stream, ALL_LABELS)

    def of(
        self,
        stream: int,
        who: np.ndarray,
        labels: Callable[[np.ndarray], Iterator[Labels]],
        read_headers: Callable[[int], None],
    ) -> np.ndarray:
        """Return the speaker of each of a chunk's segments: int32[n].

        Parameters
        ----------
        who : uint64[n]
            The hash of each segment's labels, as the kernel read them.
        labels : tells the labels of some segments, int32[k]
        read_headers : writes ``who`` anew, told by fewer labels
        """
        n = len(who)
        out = np.empty(n, np.int32)
        fresh = np.empty(n, np.int32)
        while True:
            n_held = len(self.speakers)
            state = np.array([n_held, 0, 0], np.int64)
            while not intern(who, n, self._keys, self._codes, state, out, fresh):
                self._move(self._keys.size * 4)
            level = self.level(stream)
            heard = self._heard.setdefault(stream, set())
            for found in labels(fresh[: int(state[1])]):
                lasts = lasting(found, level)
                self.speakers.append(Speaker(stream, lasts))
                heard.add(lasts)
                if len(heard) > self.most[level]:
                    break
            else:
                return out
            del self.speakers[n_held:]
            self._tell_by_less(stream, level + 1)
            read_headers(level + 1)

    def told(self, streams: Sequence[int]) -> tuple[int, set[Labels]]:
        """Return by which labels the speakers of ``streams``, parts of one, are told, and these labels."""
        level = max(map(self.level, streams), default=ALL_LABELS)
        heard = (labels for stream in streams for labels in self._heard.get(stream, ()))
        return level, {lasting(labels, level) for labels in heard}

    def _tell_by_less(self, stream: int, level: int) -> None:
        """Tell the speakers of a stream by fewer labels, those that were heard before too."""
        self._level[stream] = level
        self._keys[self._codes >= len(self.speakers)] = 0
        self._move(self._keys.size)
        for i, speaker in enumerate(self.speakers):
            if speaker.stream == stream:
                self.speakers[i] = Speaker(stream, lasting(speaker.labels, level))
        self._heard[stream] = {lasting(labels, level) for labels in self._heard[stream]}

    def _move(self, slots: int) -> None:
        keys, codes = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
        rehash(self._keys, self._codes, keys, codes)
        self._keys, self._codes = keys, codes


def lasting(labels: Labels, level: int) -> Labels:
    """Return those of a speaker's labels by which it is told: see `Voices.told`."""
    if level == ALL_LABELS:
        return labels
    return tuple(label for label in labels if level == LASTING_LABELS and label[0] not in PASSING)
