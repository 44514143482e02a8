"""What a diagnosis keeps of the lines that it lets go: sums, references, the progress series.

State is O(speakers x shapes + iterations), never O(lines). See DESIGN section 3, "Fold".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l4fast.arrays import grown
from l4fast.columns import Columns
from l4fast.durations import Duration, DurationTable
from l4fast.kept import Kept
from l4fast.pairtable import COUNTED, PairTable
from l4fast.progress import Counter, Place, Progress
from l4fast.streamsums import StreamSums
from l4fast_kernels import sums
from l4fast_kernels.keeps import keep_rows
from l4fast_kernels.times import NO_TIME

# First rows of a shape that are kept one by one; of those, how many with their text.
ROWS_OF_ORDINARY, ROWS_OF_SUSPECT = 4096, 65536
TEXTS_OF_ORDINARY, TEXTS_OF_SUSPECT = 2, 16384
TEXTS_OF_NAMING = ROWS_OF_SUSPECT  # each rank may name another, in more than one process group
TEXT_BYTES = 4096
_ALL = np.int64(1 << 62)


class Fold:
    """The sums of some streams of a job."""

    def __init__(self) -> None:
        self.streams: dict[int, StreamSums] = {}
        self.pairs = PairTable(COUNTED)  # of each (speaker, shape)
        self.progress = Progress()
        self.durations = DurationTable()
        self.rows = Kept()
        # Lines that tell a longer duration than all before of their speaker and shape: not in `rows`.
        self.longer = Kept()
        # Of each of these, where it stands in its stream, in bytes, and the classes of its durations.
        self.classes: list[tuple[np.ndarray, np.ndarray]] = []
        # Per shape: how many of its rows are kept, and how many of those with their text.
        self.caps = np.zeros(256, np.int64)
        self._taken = np.zeros(256, np.int64)
        self.text_caps = np.zeros(256, np.int64)
        self._texts_taken = np.zeros(256, np.int64)
        self._content_at = np.full((256, 3), -1, np.int16)
        self._clock: dict[int, np.ndarray] = {}

    def know_raw(
        self,
        raw: int,
        shape: int,
        *,
        suspect: bool,
        names: bool = False,
        content_at: Place,
        counter: Counter | None = None,
        durations: Sequence[Duration | None] = (),
    ) -> None:
        """Say of a new raw shape whether its lines may tell of a failure, and where it counts.

        ``names`` says that each of its lines may name somebody else, ``durations`` where they tell how long
        steps took.
        """
        self.durations.know_raw(raw, durations)
        self.progress.know_raw(raw, counter)
        while len(self.caps) <= max(raw, shape):
            room = 2 * len(self.caps)
            for name in ("caps", "_taken", "text_caps", "_texts_taken", "_content_at"):
                setattr(self, name, grown(getattr(self, name), room))
        self._content_at[raw] = content_at
        rows = ROWS_OF_SUSPECT if suspect else ROWS_OF_ORDINARY
        texts = TEXTS_OF_NAMING if names else TEXTS_OF_SUSPECT if suspect else TEXTS_OF_ORDINARY
        self.caps[shape] = max(self.caps[shape], rows)
        self.text_caps[shape] = max(self.text_caps[shape], texts)

    def open(self, stream: int, name: str) -> StreamSums:
        """Return the sums of a stream, new or known."""
        if stream not in self.streams:
            self.streams[stream] = StreamSums(name)
            self._clock[stream] = np.array([NO_TIME, 0], np.int64)
        return self.streams[stream]

    def clock(self, stream: int) -> np.ndarray:
        """Return the last time in a stream, and how many of its lines have one: int64[2]."""
        return self._clock[stream]

    def add(self, cols: Columns) -> None:
        """Add the lines of one chunk; the stream must be open."""
        info = self.streams[cols.stream]
        info.bytes += cols.size
        info.lines += cols.n_lines
        if cols.n == 0:
            return
        info.see(cols.time)
        info.zoned = info.zoned or bool(cols.zoned.any())
        time = cols.time.copy()
        sums.fill_time(time, cols.n, self._clock[cols.stream])
        info.timed = int(self._clock[cols.stream][1])
        self.pairs.add(cols.n, cols.speaker, cols.shape, time, cols.line, cols.offset, cols.skip)
        marked, position, classes = self.durations.add(cols)
        skip = cols.skip
        if marked.size:
            self.classes.append((position, classes))
            skip = skip.copy()
            skip[marked] = 1
            others = np.ones(cols.n, np.uint8)
            others[marked] = 0
            all_of_each, none = np.full(len(self.caps), _ALL), np.zeros_like(self._taken)
            self._keep_rows(self.longer, cols, time, others, (all_of_each, none, all_of_each, none.copy()))
        few_of_each = (self.caps, self._taken, self.text_caps, self._texts_taken)
        self._keep_rows(self.rows, cols, time, skip, few_of_each)
        self.progress.add(cols, time)

    def _keep_rows(
        self,
        kept: Kept,
        cols: Columns,
        time: np.ndarray,
        skip: np.ndarray,
        most: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    ) -> None:
        """Keep the lines that are not to ``skip`` (uint8[n]), at most what the caps of `keep_rows` say."""

        def keep(at: int, state: np.ndarray, ints: np.ndarray, longs: np.ndarray, texts: np.ndarray) -> int:
            done: int = keep_rows(
                cols.n,
                at,
                cols.stream,
                cols.buf,
                cols.start,
                cols.stop,
                cols.origin,
                cols.raw,
                cols.shape,
                cols.speaker,
                cols.line,
                cols.offset,
                time,
                cols.time,
                NO_TIME,
                cols.level,
                skip,
                *most,
                self._content_at,
                TEXT_BYTES,
                state,
                ints,
                longs,
                texts,
            )
            return done

        kept.fill(cols.n, keep)
