"""Lines that mark stages, checkpoints, attempts and ends; and the stages that they cut.

A stage lasts until the next marker, a checkpoint until its commit, an evaluation until the next
iteration is reported.

References
----------
L4 (FSE 2025), section 4.3: the stage of a failure from the temporal pattern.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from l4fast.job import NONE, Job
from l4fast.readings import Reading, Values
from l4fast.regexes import regex
from l4fast.signature import Signature
from l4fast.temporal import Progress, untold_shapes

# A rehearsal of training or evaluation before the real one begins.
_SOURCE = 4  # columns by which Python indents the source code below a frame
_REHEARSAL = regex(r"(?i)\bwarm(?:ing)?[- ]?ups?\b")
# Packages that are installed may be named after anything: "datasets" is one.
_PACKAGE = regex(
    r"^\s*Downloading (?:\S*/)?[\w.]+-\d[\w.!+]*(?:-\S+)?\.(?:whl|tar\.gz|zip)\b"
    r"|^\s*Building wheels? for "
)


class Mark(NamedTuple):
    """A marker line: what it marks, when and where."""

    kind: str
    stage: str | None
    time: int
    stream: int
    line: int
    offset: int
    row: int
    signature: str
    iteration: int | None = None
    path: str | None = None
    speaker: int = -1


@dataclass(frozen=True)
class Segment:
    """A stage from one time to another, with the iterations in it where it has any."""

    stage: str
    start: int
    end: int
    first_iteration: int | None = None
    last_iteration: int | None = None


def marks(job: Job) -> list[Mark]:
    """Return the lines that mark stages, checkpoints, attempts and ends, in order of time."""
    found: list[Mark] = []
    wanted = {
        i: [s for s in note.markers if s.marker not in ("progress", "identity")]
        for i, note in enumerate(job.notes)
    }
    wanted = {i: signatures for i, signatures in wanted.items() if signatures}
    if not wanted:
        return found
    quoted = _below_frames(job, [raw for raw in wanted if job.raws[raw].indent >= _SOURCE])
    for raw, signatures in wanted.items():
        if raw in quoted:
            continue
        content = job.raws[raw].content
        rehearsal = _REHEARSAL.search(content) is not None or _PACKAGE.search(content) is not None
        for signature in signatures:
            if not (rehearsal and signature.marker == "stage"):
                found += _marks_of(job, job.rows_of_raw(raw), signature)
    # Stable: what one line marks stays in the order of the signatures.
    return sorted(found, key=lambda m: (m.time, m.stream, m.line))


def _below_frames(job: Job, raws: list[int]) -> set[int]:
    """Return which raw shapes stand below a frame of a stack anywhere: source code, that marks nothing.

    Where the stacks of many ranks are written at once, not each of them stands below its own frame.
    """
    rows = job.rows
    frames = np.array([raw.content.lstrip().startswith('File "') for raw in job.raws], bool)
    found = set()
    for raw in raws:
        mine = job.rows_of_raw(raw)
        mine = mine[mine > 0]
        above = mine - 1
        next_to = (rows.stream[above] == rows.stream[mine]) & (rows.line[above] + 1 == rows.line[mine])
        if (next_to & frames[rows.raw[above]]).any():
            found.add(raw)
    return found


_SAID = ("iteration", "path", "exit_code")


def _marks_of(job: Job, mine: np.ndarray, signature: Signature) -> Iterator[Mark]:
    """Yield what a signature marks in the rows of a raw shape."""
    rows = job.rows
    different: list[Values] = [()]
    code = np.zeros(len(mine), np.int64)
    if signature.regex.groupindex:
        different, code = Reading(job, mine, signature.regex).distinct(_SAID)
    columns = (rows.time, rows.stream, rows.line, rows.offset, rows.speaker)
    each = zip(mine.tolist(), code.tolist(), *(column[mine].tolist() for column in columns), strict=True)
    said = [_said(dict(values)) for values in different]
    for row, k, time, stream, line, offset, speaker in each:
        if said[k] is not None:
            iteration, path = said[k]
            yield Mark(
                signature.marker or "",
                signature.stage,
                time,
                stream,
                line,
                offset,
                row,
                signature.id,
                iteration,
                path,
                speaker,
            )


def _said(values: dict[str, str]) -> tuple[int | None, str | None] | None:
    """Return the iteration and the path that a marker names, or None: a process that failed marks nothing."""
    if values.get("exit_code", "0") != "0":
        return None
    number = values.get("iteration", "").replace(",", "")
    path = values.get("path", "").rstrip(".,;")  # the end of the sentence
    return int(number) if number.isdigit() else None, path or None


def segments(job: Job, found: list[Mark], progress: Progress) -> list[Segment]:
    """Cut the job's time into stages."""
    points: list[tuple[int, str]] = []
    began = progress.first_time
    reports = _report_times(job, progress)
    for mark in found:
        stage = _stage_of(mark, progress)
        if mark.time == NONE or stage is None:
            continue
        training = began != NONE and mark.time >= began
        if training and stage in ("launch", "init", "load"):
            continue  # a communicator that is made late does not end the training
        points.append((mark.time, stage))
        if stage in ("evaluate", "checkpoint", "shutdown") and reports.size:
            after = int(np.searchsorted(reports, mark.time, side="right"))
            if after < reports.size:
                points.append((int(reports[after]), "iterate"))
    if began != NONE and not any(time <= began and stage == "iterate" for time, stage in points):
        points.append((began, "iterate"))
    points.sort(key=lambda p: p[0])
    points = _forward(points)
    cut: list[Segment] = []
    begin = job.first_time
    for time, stage in points:
        if cut and cut[-1].stage == stage:
            continue
        if cut:
            cut[-1] = Segment(cut[-1].stage, cut[-1].start, time)
        elif begin != NONE and begin < time and stage not in ("launch", "init"):
            cut.append(Segment("launch", begin, time))
        cut.append(Segment(stage, time, time))
    if cut:
        cut[-1] = Segment(cut[-1].stage, cut[-1].start, max(job.last_time, cut[-1].start))
    return [_with_iterations(job, s, progress) for s in cut]


_BEFORE = ("launch", "init", "load")


def _forward(points: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Before training, a job goes from launch to init to load and not back."""
    kept: list[tuple[int, str]] = []
    reached = 0
    for time, stage in points:
        if stage in _BEFORE:
            if _BEFORE.index(stage) < reached:
                continue
            reached = _BEFORE.index(stage)
        elif stage == "iterate":
            reached = len(_BEFORE)
        kept.append((time, stage))
    return kept


def _report_times(job: Job, progress: Progress) -> np.ndarray:
    it = job.iterations
    if progress.series is None:  # what names no iteration tells at least when it was
        rows = job.rows
        mine = untold_shapes(job)[rows.shape] & (rows.time != NONE) & (rows.time >= progress.first_time)
        return np.unique(rows.time[mine])
    times = it.first_time[(it.series == progress.series) & (it.first_time != NONE)]
    return np.sort(times)


def _with_iterations(job: Job, segment: Segment, progress: Progress) -> Segment:
    if progress.series is None or segment.stage != "iterate":
        return segment
    it = job.iterations
    inside = (
        (it.series == progress.series)
        & (it.first_time >= segment.start)
        & (it.first_time <= segment.end)
        & (it.first_time != NONE)
    )
    if not inside.any():
        return segment
    numbers = it.iteration[inside] // progress.unit + progress.offset
    return Segment(segment.stage, segment.start, segment.end, int(numbers.min()), int(numbers.max()))


def _stage_of(mark: Mark, progress: Progress) -> str | None:
    if mark.kind == "stage":
        return mark.stage
    if mark.kind in ("checkpoint.begin", "checkpoint.load"):
        return "checkpoint"
    if mark.kind in ("checkpoint.durable", "checkpoint.loaded", "checkpoint.accepted"):
        began = progress.first_time != NONE and mark.time >= progress.first_time
        return "iterate" if began else "init"
    if mark.kind == "finish":
        return "shutdown"
    if mark.kind == "attempt":
        return mark.stage or "launch"
    return None
