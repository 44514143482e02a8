"""What the script of a job says before the training that it starts, and so is no end of it.

A script goes on after most of its commands failed: after a step of the scheduler that ended, and after a
command that its shell did not find. Where that command was the training, nothing runs afterwards.
"""

from __future__ import annotations

import numpy as np

from l4fast.job import NONE, Job
from l4fast.novelty import not_later_than
from l4fast.readings import Reading
from l4fast.regexes import regex
from l4fast.temporal import Progress
from l4fast.words import is_frame, tells_of_failure

# A shell says that it could not run a line of a script; it goes on with the next one.
_COMPLAINT = regex(
    r"^(?:\S+: (?:line )?\d+: |-?(?:ba|da|k|z)?sh: )"
    r".*(?:not found|No such file or directory|Permission denied|unbound variable|expression expected"
    r"|ambiguous redirect|bad substitution)\s*$"
)
# As schedulers name the script of a job, which one host runs, once; each task may run others.
_BATCH_SCRIPT = regex(r"^\S*(?:slurm_script|\.lsbatch/\S+|mom_priv/jobs/\S+|job_scripts/\S+): ")
NOT_FOUND = "127"  # the exit code of a shell that did not find a command
_TASKS = ("label", "mpi_rank")  # how a launcher labels the lines of its tasks: with a number


def before_the_training(job: Job, progress: Progress) -> np.ndarray:
    """Return per row whether a job's script says it, and then went on to start the training."""
    complains = np.array([_COMPLAINT.search(raw.text) is not None for raw in job.raws], bool)
    found: np.ndarray = _before_the_launch(job, complains) | _before_others_spoke(job, complains, progress)
    return found


def _before_the_launch(job: Job, complains: np.ndarray) -> np.ndarray:
    """Return per row whether a step of a job script ended, or its shell complained, before the launch.

    The script goes on after it: it launches another program, and that begins its work.
    """
    rows = job.rows
    out = np.zeros(len(rows), bool)
    ends, launches, begins = complains.copy(), np.zeros(len(job.raws), bool), _begins(job)
    for i, note in enumerate(job.notes):
        ends[i] |= any(s.by == "scheduler" and s.tells == "death" for s in note.failures[:1])
        launches[i] = any(s.marker == "stage" and s.stage == "launch" for s in note.markers)
    for stream in np.unique(rows.stream[ends[rows.raw]]).tolist():
        mine = rows.stream == stream
        begun = rows.line[mine & begins[rows.raw]]
        if begun.size == 0:
            continue
        for speaker in np.unique(rows.speaker[mine & ends[rows.raw]]).tolist():
            said = mine & (rows.speaker == speaker)
            launched = rows.line[said & launches[rows.raw]]
            launched = launched[launched < begun.min()]
            if launched.size:
                out |= said & ends[rows.raw] & (rows.line < launched.max())
    return out


def _begins(job: Job) -> np.ndarray:
    """Return which raw shapes tell that a training begins its work, or does it, bool[n_raws]."""
    found = np.zeros(len(job.raws), bool)
    for i, note in enumerate(job.notes):
        found[i] = any(
            s.marker == "progress" or (s.marker == "stage" and s.stage in ("init", "load"))
            for s in note.markers
        )
    return found


def _before_others_spoke(job: Job, complains: np.ndarray, progress: Progress) -> np.ndarray:
    """Return per row whether a shell complained before the training did its work.

    Whose shell that was is not known where a script runs on each host: one that lacks a command keeps
    the others waiting, however well they begin, and none of them iterates.
    """
    rows = job.rows
    unlabelled = np.array([not speaker.labels for speaker in job.speakers], bool)
    found: np.ndarray = complains[rows.raw] & unlabelled[rows.speaker]
    if not found.any():
        return found
    latest = not_later_than(job)
    batch = np.array([_BATCH_SCRIPT.search(raw.text) is not None for raw in job.raws], bool)[rows.raw]
    begun = np.flatnonzero(_begins(job)[rows.raw])
    last, end = _last_of(job, *_worked(job, progress))
    last_of_script, end_of_script = _last_of(job, rows.stream[begun], rows.line[begun], rows.time[begun])
    last_of_script = np.maximum(last, last_of_script)
    begins = batch | (not _is_missed(job))
    outrun = np.where(begins, last_of_script[rows.stream], last[rows.stream]) > rows.line
    later = np.where(batch, max(end, end_of_script), end) > latest
    # Of a file without times nobody knows when; a script's is no word of the training beside it.
    iterates = np.unique(job.iterations.last_stream[job.iterations.series == progress.series])
    beside = batch & (latest == NONE) & (iterates.size > 0) & ~np.isin(rows.stream, iterates)
    found &= outrun | ((latest != NONE) & later) | beside
    return found


def _is_missed(job: Job) -> bool:
    """Whether processes wait for others in vain, or one ended since its command was not found."""
    for i, note in enumerate(job.notes):
        signature = note.failures[0] if note.failures else None
        if signature is None:
            continue
        if signature.tells in ("timeout", "lost-peer", "hang"):
            return True
        if signature.tells == "death" and "exit_code" in signature.regex.groupindex:
            codes = Reading(job, job.rows_of_raw(i), signature.regex).distinct(["exit_code"])[0]
            if any(dict(values).get("exit_code") == NOT_FOUND for values in codes):
                return True
    return False


def _worked(job: Job, progress: Progress) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where and when iterations were told, and ordinary words of tasks that a launcher labels.

    Returns
    -------
    stream, line, time : int64[n] each
    """
    it, pairs = job.iterations, job.pairs
    mine = it.series == (progress.series if progress.series is not None else -1)
    ordinary = np.ones(len(job.shapes), bool)
    for raw, note in zip(job.raws, job.notes, strict=True):
        # Any indented line may belong to the traceback above it.
        if note.failures or raw.indent > 0 or is_frame(raw.content) or tells_of_failure(raw.text):
            ordinary[raw.shape] = False
    is_task = np.array([any(k in _TASKS and v.isdigit() for k, v in s.labels) for s in job.speakers], bool)
    stream_of = np.array([speaker.stream for speaker in job.speakers], np.int64)
    said = ordinary[pairs.shape] & is_task[pairs.speaker]
    return (
        np.concatenate([it.last_stream[mine], stream_of[pairs.speaker[said]]]).astype(np.int64),
        np.concatenate([it.last_line[mine], pairs.last_line[said]]).astype(np.int64),
        np.concatenate([it.last_time[mine], pairs.last_time[said]]).astype(np.int64),
    )


def _last_of(job: Job, stream: np.ndarray, line: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the last of some lines (int64[n] each) in each stream, -1: none, and the latest time."""
    last = np.full(len(job.streams), -1, np.int64)
    np.maximum.at(last, stream, line)
    return last, int(time.max(initial=NONE))
