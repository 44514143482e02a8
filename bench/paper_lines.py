"""The logs of a job as the paper's method takes them: lines in order, each with node, iteration and event.

Which part of a line is prefix, who wrote it, when, and which lines count iterations or mark a stage
is l4fast's own reading: the paper had one log per node in a format that it knew, and says little of
it. So both are given the same, and what is compared is what each makes of it.

Events are Drain's (drain3), as in the paper; where drain3 is not installed, l4fast's templates.
"""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from l4fast import marks, temporal
from l4fast.attempts import last_attempt
from l4fast.canonical import MASK, canonical, mask
from l4fast.job import NONE, Job
from l4fast.layouts import peel
from l4fast.library import load
from l4fast.paths import path_facts
from l4fast.stream import read
from l4fast.templates import derive
from l4fast.write import write

try:
    from drain3.drain import Drain
except ImportError:
    Drain = None

PARSER = "l4fast's templates" if Drain is None else "Drain (drain3)"


@dataclass(frozen=True)
class Lines:
    """The lines of a job, ordered by time; what has no time stands behind the line above it in its file.

    Attributes
    ----------
    files, nodes, stages : tuple of str
        ``files`` as they were given; ``stages`` in the order of the job, a name once for each time.
    file, line, node, stage, iteration : int64[n]
        ``file``, ``node`` and ``stage`` are places in the tuples, the last two -1 where not known.
        ``iteration`` is the one under way: 0 before the first, one more than the last completed
        behind the last.
    contents : list of str
        The lines without their prefixes.
    """

    files: tuple[str, ...]
    nodes: tuple[str, ...]
    stages: tuple[str, ...]
    file: np.ndarray
    line: np.ndarray
    node: np.ndarray
    stage: np.ndarray
    iteration: np.ndarray
    contents: list[str]


def lines_of(logs: Path) -> Lines:
    """Read the logs of one job."""
    job = read([str(logs)], load()).job
    with tempfile.TemporaryDirectory(prefix="l4fast-paper-") as folder:
        write([logs], f"{folder}/lines.parquet", text=True)
        table = pq.read_table(f"{folder}/lines.parquet")
    # Dictionaries of their own names: a row group may have another order.
    files, file = _coded(table["file"])
    nodes, node = _coded(table["node"])
    line = table["line"].to_numpy()
    time = table["time"].cast("int64").fill_null(NONE).to_numpy()
    time = _carried(time, file)
    stages, stage, iteration = _progress(job, files, file, line, time)
    order = np.lexsort((line, file, time))
    texts = table["text"].to_pylist()
    contents = [content(texts[i]) for i in order.tolist()]
    columns = (column[order] for column in (file, line, node, stage, iteration))
    return Lines(files, nodes, stages, *columns, contents)


def _coded(column) -> tuple[tuple[str, ...], np.ndarray]:
    coded = pc.dictionary_encode(column.cast("string").combine_chunks())
    return tuple(coded.dictionary.to_pylist()), coded.indices.fill_null(-1).to_numpy().astype(np.int64)


def _carried(time: np.ndarray, file: np.ndarray) -> np.ndarray:
    """Give each line without a time (`NONE`) that of the line above in its file, else of the one below.

    The lines of a file stand together, in their order.
    """
    place = np.arange(len(time))
    known = np.flatnonzero(time != NONE)
    if known.size == 0:
        return time
    above = known[np.maximum(np.searchsorted(known, place, side="right") - 1, 0)]
    below = known[np.minimum(np.searchsorted(known, place), known.size - 1)]
    use = np.where((file[above] == file) & (above <= place), above, below)
    # A file without any time stands before all others, in its own order.
    return np.where(file[use] == file, time[use], NONE)


def _progress(
    job: Job, files: Sequence[str], file: np.ndarray, line: np.ndarray, time: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return the stages of a job, and for each line its stage and the iteration that was under way."""
    every = marks.marks(job)
    last = last_attempt(job, load(), path_facts([s.name for s in job.streams]), every)
    within = last.launch.holds if last.launch is not None else None
    progress = temporal.follow(job, load().signatures, within=within, streams=last.streams)
    segments = marks.segments(job, [m for m in every if last.rows[m.row]], progress)
    stages = tuple(segment.stage for segment in segments)
    stage = np.searchsorted([segment.start for segment in segments], time, side="right") - 1
    if progress.series is None:
        return stages, stage, np.zeros(len(line), np.int64)
    its = job.iterations
    mine = np.flatnonzero(its.series == progress.series)
    number = its.iteration[mine].astype(np.int64) // progress.unit + progress.offset
    timed = its.first_time[mine] != NONE
    done = _reached(its.first_time[mine][timed], number[timed], time)
    counting = np.unique(its.first_stream[mine])
    if counting.size == 1:  # in the counter's own file, lines tell the order without a clock
        here = file == files.index(job.streams[int(counting[0])].name)
        done[here] = _reached(its.first_line[mine], number, line[here])
    return stages, stage, done + (done > 0)


def _reached(reported: np.ndarray, number: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the highest ``number`` that was ``reported`` until each of ``at``, 0 if none was."""
    order = np.argsort(reported, kind="stable")
    highest = np.maximum.accumulate(np.concatenate([[0], number[order]]))
    return highest[np.searchsorted(reported[order], at, side="right")]


# ---------------------------------------------------------------------------------- events


def content(text: bytes) -> str:
    """Return what a terminal shows of a line, without the prefixes that l4fast knows.

    >>> content(b"[rank3]: 2026-03-02 10:00:00,000 ERROR lost 7 of 8")
    'lost 7 of 8'
    """
    shown = text[text.rfind(b"\r", 0, len(text) - 1) + 1 :]
    masked, words = mask(shown)
    begin, end = _peeled(masked)
    cut = shown[_byte(begin, masked, words) : _byte(end, masked, words)]
    return cut.decode("utf-8", "replace")


@cache
def _peeled(masked: str) -> tuple[int, int]:
    header = peel(masked)
    return header.start, header.end


def _byte(position: int, masked: str, words: Sequence[tuple[int, int]]) -> int:
    n = masked.count(MASK, 0, position)
    return position - n + sum(end - begin for begin, end in words[:n])


# Guessed too: numbers and addresses are masked before Drain, as its authors do for most logs.
_MASKED = re.compile(
    r"(?<![\w.])(?:0x[0-9a-fA-F]+|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?|[-+]?\d+(?:[.:]\d+)*(?:e[-+]?\d+)?)(?![\w])"
)


@dataclass(frozen=True)
class Settings:
    """Drain's similarity threshold, 0 to 1, and the depth of its tree; see `paper.Guesses`."""

    similarity: float = 0.7
    depth: int = 4


class Healthy:
    """The events of healthy jobs: `events` names those of a job, which come to be known beside them."""

    def __init__(self, contents: Sequence[str], settings: Settings) -> None:
        self.settings = settings
        self._miner = None if Drain is None else Drain(settings.depth, settings.similarity)
        self._masked = [self._mask(text) for text in dict.fromkeys(contents)]
        if self._miner is not None:
            self._names = _mined(self._miner, self._masked, {})

    def _mask(self, text: str) -> str:
        if Drain is None:
            return canonical(mask(text.encode("utf-8", "replace"))[0])
        return _MASKED.sub("<*>", text)

    def events(self, contents: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the event of each line, int64[n], and of each event whether healthy jobs say it, bool[m]."""
        masked = [self._mask(text) for text in contents]
        if self._miner is None:
            template_of = derive([*masked, *self._masked])
            names = {text: template.id for text, template in template_of.items()}
        else:
            names = _mined(copy.deepcopy(self._miner), masked, dict(self._names))
        known = {names[text] for text in self._masked}
        place: dict[object, int] = {}
        found = np.array([place.setdefault(names[text], len(place)) for text in masked], np.int64)
        return found, np.array([name in known for name in place], bool)


def _mined(miner, masked: Sequence[str], names: dict[str, object]) -> dict[str, object]:
    """Add Drain's event of each text to ``names``; a text that it has seen is not asked about again."""
    for text in masked:
        if text not in names:
            names[text] = miner.add_log_message(text)[0].cluster_id
    return names
