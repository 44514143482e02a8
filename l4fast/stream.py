"""`Session`: feed the logs of a job, ask for the diagnosis at any time.

A file on disk is a stream that ends, so reading paths is feeding a session: batch and stream
cannot disagree.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from l4fast.chunks import chunks, line_at
from l4fast.collecting import collecting_later
from l4fast.crossjob import Baseline, is_baseline_file
from l4fast.days import day_of
from l4fast.diagnose import tell
from l4fast.diagnosis import Diagnosis
from l4fast.discovery import Found, discover, kept
from l4fast.errors import UsageError
from l4fast.events import deciding_values
from l4fast.job import Job
from l4fast.joining import join
from l4fast.library import Library, load
from l4fast.openlines import OpenLines
from l4fast.pieces import Piece, deal, pieces, processors
from l4fast.reader import Part
from l4fast.source import Paths, Stream, Unreadable, listed, printable
from l4fast.wording import LineAt, diagnosis
from l4fast.years import Years

PADDING = 192
CHUNK_BYTES = 4 << 20  # stays in the last-level cache between reading and parsing
Progress = Callable[[int], None]


def _read_pieces(
    part: Part,
    streams: Sequence[Stream],
    share: Sequence[Piece],
    problems: list[Unreadable],
    tick: Progress | None,
    stop: threading.Event | None = None,
) -> None:
    buffers: deque[np.ndarray] = deque()
    for piece in share:
        stream = streams[piece.stream]
        part.fold.open(piece.number, stream.name)
        for chunk in chunks(
            stream,
            chunk_bytes=CHUNK_BYTES,
            problems=problems,
            begin=piece.begin,
            end=piece.end,
            buffers=buffers,
        ):
            part.feed(
                chunk.data,
                chunk.size,
                stream=piece.number,
                name=stream.name,
                offset=chunk.offset,
                last=chunk.last,
            )
            part.fold.streams[piece.number].bytes += chunk.skipped
            if tick is not None:
                tick(chunk.size + chunk.skipped)
            if stop is not None and stop.is_set():
                return


@dataclass
class Read:
    """A job that was read, and what could not be."""

    job: Job
    found: Found
    problems: list[Unreadable] = field(default_factory=list)
    seconds: float = 0.0


def read(
    paths: Sequence[str],
    library: Library,
    *,
    workers: int = 1,
    tick: Progress | None = None,
    found: Found | None = None,
) -> Read:
    """Read all logs of one job; ``found``: what ``paths`` hold, where that is known already.

    Raises
    ------
    NothingToRead
        No path could be read.
    """
    begun = time.perf_counter()
    workers = min(workers, processors())  # more would cost memory, and gain nothing
    found = _numbered(found or discover(paths))
    day = day_of(found.streams)
    problems: list[Unreadable] = []
    cut = pieces(found.streams, workers, reference_day=day)
    shares = deal(cut, workers)
    parts = [Part(library, reference_day=day) for _ in shares]
    if len(parts) == 1:
        _read_pieces(parts[0], found.streams, shares[0], problems, tick)
    else:
        from concurrent.futures import ThreadPoolExecutor  # 8 ms that one worker need not wait for

        stop = threading.Event()
        with ThreadPoolExecutor(len(parts)) as pool:
            done = [
                pool.submit(_read_pieces, part, found.streams, share, problems, tick, stop)
                for part, share in zip(parts, shares, strict=True)
            ]
            try:
                for future in done:
                    future.result()
            except BaseException:
                stop.set()  # an interrupt must not wait for terabytes
                raise
    job = join(parts, len(found.streams), number=[piece.stream for piece in cut])
    order = {s.name: i for i, s in enumerate(found.streams)}
    # What is wrong with a file is told once, also where several workers read it.
    problems = sorted(set(problems), key=lambda p: (order.get(p.file, -1), p.reason))
    return Read(job, found, problems, time.perf_counter() - begun)


def _numbered(found: Found) -> Found:
    """Spool stdin, which can be read but once, and number the streams by their names."""
    found = kept(found)
    return replace(found, streams=tuple(sorted(found.streams, key=lambda s: s.name)))


def learn(paths: Sequence[str], library: Library | None = None, *, tick: Progress | None = None) -> Baseline:
    """Return the baseline of one healthy job.

    Raises
    ------
    NothingToRead
        No path could be read.
    """
    return baseline_of(read(paths, library or load(), tick=tick).job)


def baseline_of(job: Job) -> Baseline:
    counts = {shape.text: int(n) for shape, n in zip(job.shapes, job.shape_count, strict=True)}
    return Baseline.learn(counts, deciding_values(job))


def gather_baseline(paths: Sequence[str], library: Library) -> Baseline | None:
    """Load baseline files and learn from logs of healthy jobs; merge them all."""
    merged: Baseline | None = None
    for path in paths:
        one = (
            Baseline.load(path) if Path(path).is_file() and is_baseline_file(path) else learn([path], library)
        )
        merged = one if merged is None else merged.merge(one)
    return merged


@collecting_later()
def diagnose(
    paths: Paths,
    baseline: Baseline | Paths | None = None,
    *,
    workers: int = 1,
    library: Library | None = None,
    tick: Progress | None = None,
) -> Diagnosis:
    """Diagnose one job from all of its logs.

    Parameters
    ----------
    paths : files, directories, globs or ``"-"``; all of them are one job
    baseline : a `Baseline`, or paths of baseline files and logs of healthy jobs
    workers : threads that read side by side; not more than the processors that may be used

    Raises
    ------
    NothingToRead
        No path could be read.
    BaselineError
        A baseline cannot be used.
    """
    if workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}")
    begun = time.perf_counter()
    library = library or load()
    given = listed(paths)
    known = (
        baseline
        if isinstance(baseline, Baseline) or baseline is None
        else gather_baseline(listed(baseline), library)
    )
    got = read(given, library, workers=workers, tick=tick)
    return answer(
        got.job,
        library,
        known,
        paths=[printable(p) for p in given],
        unreadable=(*got.found.unreadable, *got.problems, *library.problems),
        end_is_missing=any(not p.goes_on for p in got.problems),
        skipped=got.found.skipped,
        empty=got.found.empty,
        begun=begun,
        read_s=got.seconds,
        line_at=lambda stream, offset: line_at(got.found.streams[stream], offset),
    )


@collecting_later()
def answer(
    job: Job,
    library: Library,
    baseline: Baseline | None,
    *,
    paths: Sequence[str],
    unreadable: Sequence[Unreadable],
    skipped: dict[str, int],
    begun: float,
    read_s: float,
    end_is_missing: bool = False,
    empty: Sequence[str] = (),
    notes: Sequence[str] = (),
    line_at: LineAt | None = None,
) -> Diagnosis:
    """Analyse a job that was read, and write the answer.

    ``end_is_missing``: the end of a log could not be read, and no failure before it proves nothing;
    ``empty``: names of logs to which nothing was written; ``line_at`` reads a line again.
    """
    analysed = time.perf_counter()
    story = tell(job, library, baseline, end_is_missing=end_is_missing, empty=empty)
    now = time.perf_counter()
    n_bytes, n_lines = sum(s.bytes for s in job.streams), sum(s.lines for s in job.streams)
    timing = {
        "read_s": round(read_s, 6),
        "parse_s": round(read_s, 6),
        "analyse_s": round(now - analysed, 6),
        "total_s": round(now - begun, 6),
        "bytes_per_s": round(n_bytes / max(read_s, 1e-9)),
        "lines_per_s": round(n_lines / max(read_s, 1e-9)),
    }
    return diagnosis(
        story,
        paths=paths,
        unreadable=unreadable,
        skipped=skipped,
        baseline=baseline,
        notes=notes,
        timing=timing,
        line_at=line_at,
    )


class Session:
    """A job that is still being written.

    >>> session = Session()
    >>> session.feed("node0.log", b"step 1 done\\nstep 2 do")
    >>> session.feed("node0.log", b"ne\\n")
    >>> session.diagnose().job["lines"]
    2
    """

    def __init__(
        self,
        baseline: Baseline | None = None,
        *,
        library: Library | None = None,
        today: dt.date | None = None,
    ) -> None:
        # Dates without a year are not long after ``today``, where nothing that was fed tells a date
        # in full: no answer depends on the clock of the machine that asks.
        now = None if today is None else (today - dt.date(1970, 1, 1)).days * 86400.0
        self._library = library or load()
        self._baseline = baseline
        self._part = Part(self._library)
        self._years = Years(self._part.parser, self._part.fold, now)
        self._streams: dict[str, OpenLines] = {}
        self._numbers: dict[str, int] = {}
        self._ended: set[str] = set()
        self._begun = time.perf_counter()
        self._read_s = 0.0

    def feed(self, name: str, data: bytes) -> None:
        """Add bytes to the stream ``name``; a line that is not ended waits for its rest.

        Raises
        ------
        UsageError
            The stream has ended, or ``data`` is no bytes.
        """
        begun = time.perf_counter()
        if not isinstance(data, bytes | bytearray | memoryview):
            raise UsageError(
                f"stream {name!r} was fed {type(data).__name__}: feed bytes, as text.encode() gives"
            )
        if name in self._ended:
            raise UsageError(f"stream {name!r} has ended: feed it under another name")
        if name not in self._streams:
            self._numbers[name] = len(self._streams)
            self._streams[name] = OpenLines(name)
        for lines in self._streams[name].add(data):
            self._parse(name, *lines, last=False)
        self._read_s += time.perf_counter() - begun

    def end(self, name: str | None = None) -> None:
        """Say that a stream (or every stream) has ended: its open line is a line."""
        for each in list(self._streams) if name is None else [name]:
            if each not in self._streams:
                raise UsageError(f"no stream {each!r} was fed")
            if each not in self._ended:
                for lines in self._streams[each].rest():
                    self._parse(each, *lines, last=True)
                self._ended.add(each)

    def diagnose(self) -> Diagnosis:
        """Return the diagnosis of what was fed so far; open lines do not count yet."""
        names = sorted(self._streams, key=lambda name: (self._streams[name].name, name))
        ordered = {name: i for i, name in enumerate(names)}
        job = join([self._part], len(names), number=[ordered[name] for name in self._streams])
        return answer(
            job,
            self._library,
            self._baseline,
            paths=[self._streams[name].name for name in names],
            unreadable=(
                *(p for name in names for p in self._streams[name].problems),
                *self._library.problems,
            ),
            skipped={},
            begun=self._begun,
            read_s=self._read_s,
        )

    def _parse(self, name: str, data: bytes, offset: int, cut_out: int, *, last: bool) -> None:
        index, shown = self._numbers[name], self._streams[name].name
        buf = np.zeros(len(data) + PADDING, np.uint8)
        buf[: len(data)] = np.frombuffer(data, np.uint8)
        self._years.look(offset, data)
        self._part.feed(
            buf, len(data), stream=index, name=shown, offset=offset, last=last, see=self._years.see
        )
        self._part.fold.streams[index].bytes += cut_out
