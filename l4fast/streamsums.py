"""What is known of one stream of a job: its size, its times, and whether its newest line comes first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l4fast_kernels.sums import see_times
from l4fast_kernels.times import NO_TIME

# A stream is newest first if nearly all lines have times, these fall through nearly all of the time that
# they span, rise by little of it, and fall about as often as clocks of several nodes let them, or more.
NEARLY_ALL, LITTLE, MANY, LEAST_FALLS = 0.9, 0.1, 0.4, 8
_SEEN = (
    "first_time",
    "last_time",
    "opening",
    "closing",
    "rose",
    "fell",
    "climbed",
)  # as `see_times` has them


@dataclass
class StreamSums:
    """What is known of one stream: its size, and the first and last time in it.

    ``opening`` and ``closing`` are the times that come first and last in the file; ``rose`` and ``fell``
    count the times that are later, or earlier, than the one before; ``climbed`` is how much later than one
    before it a time was at most, in microseconds.
    """

    name: str
    bytes: int = 0
    lines: int = 0
    first_time: int = int(NO_TIME)
    last_time: int = int(NO_TIME)
    timed: int = 0
    zoned: bool = False
    opening: int = int(NO_TIME)
    closing: int = int(NO_TIME)
    rose: int = 0
    fell: int = 0
    climbed: int = 0

    @property
    def newest_first(self) -> bool:
        """Whether the file goes back in time, as exports of log stores do."""
        if self.fell < LEAST_FALLS or self.timed < NEARLY_ALL * self.lines:
            return False
        span = self.last_time - self.first_time
        falls = self.opening - self.closing >= NEARLY_ALL * span and self.climbed <= LITTLE * span
        return falls and self.fell >= MANY * (self.rose + self.fell)

    def line_in_file(self, line: int) -> int:
        """Return the number in the file of a line as `Job` numbers it."""
        return self.lines + 1 - line if self.newest_first else line

    def see(self, time: np.ndarray) -> None:
        """Note the times of the next lines, int64[n], `NO_TIME` where one has none."""
        seen = np.array([getattr(self, name) for name in _SEEN], np.int64)
        see_times(time, len(time), seen)
        for name, value in zip(_SEEN, seen.tolist(), strict=True):
            setattr(self, name, value)

    def followed_by(self, more: StreamSums) -> StreamSums:
        """Return the sums of this piece of a stream and of the next."""
        known = [t for t in (self.first_time, more.first_time) if t != NO_TIME]
        both = NO_TIME not in (self.closing, more.opening)
        step = more.opening - self.closing if both else 0
        climbed = more.last_time - self.first_time if both else 0
        return StreamSums(
            name=self.name,
            bytes=self.bytes + more.bytes,
            lines=self.lines + more.lines,
            first_time=min(known, default=int(NO_TIME)),
            last_time=max(self.last_time, more.last_time),
            timed=self.timed + more.timed,
            zoned=self.zoned or more.zoned,
            opening=self.opening if self.opening != NO_TIME else more.opening,
            closing=more.closing if more.closing != NO_TIME else self.closing,
            rose=self.rose + more.rose + (step > 0),
            fell=self.fell + more.fell + (step < 0),
            climbed=max(self.climbed, more.climbed, climbed),
        )
