"""In which stage the failure began."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l4fast.checkpoints import Checkpoints, names_a_file_of_one
from l4fast.job import NONE, Job
from l4fast.marks import Mark
from l4fast.regexes import regex
from l4fast.temporal import Progress
from l4fast.verdict import Verdict

# Function names in the culprit's stack that tell what it was doing; innermost calls decide last.
_FRAMES = (
    ("launch", regex(r"torch/distributed/(?:elastic|launcher|run\.py)|bin/torchrun")),
    (
        "checkpoint",
        regex(
            r"(?i)\b\w*(?:save|load|restore|write|read)_?\w*(?:checkpoint|ckpt|state_?dict)\w*"
            r"|\bcheckpoint\w*\.(?:save|load)|torch\.save|dcp\.(?:save|load)|_?save_checkpoint"
            r"|serialization\.py"
        ),
    ),
    (
        "evaluate",
        regex(r"(?i)\b(?:evaluate|evaluation_loop|validate|validation_step|run_validation|eval_step)\b"),
    ),
    (
        "load",
        regex(
            r"(?i)\b(?:_next_data|_MultiProcessingDataLoaderIter|DataLoader|__getitem__|fetch\.py|dataloader\.py)\b"
        ),
    ),
    (
        "init",
        regex(
            r"(?i)\b(?:init_process_group|_initialize_distributed|initialize_megatron"
            r"|initialize_model_parallel|rendezvous|setup_model|build_model|from_pretrained|parse_args)\b"
        ),
    ),
)
# A step of the training calls these, and so does an evaluation: they tell only where no other frame does.
_STEP = regex(
    r"in (?:forward|backward|training_step|train_step|training_step_and_backward|forward_backward\w*)\b"
)
# A module that is imported may be named after anything.
_IMPORT = regex(r"^\s+(?:from \S+ import\b|import \S)")
_MODULE = regex(r"^\s+File .*, in <module>")
_BEFORE = ("launch", "init")
# A data loader that has nothing more to give has given before.
_NO_MORE = regex(r"^\s*StopIteration\b")
_SEQUENCE = regex(r"\bSeqNum=(?P<n>\d+)")
MANY_CALLS = 1_000_000  # collectives of one group: far more than set-up and loading take
_FRAME_LINES = 200

_WITHIN = ("init", "load")  # stages that the program tells, once it was launched


def stage_of_failure(
    job: Job,
    verdict: Verdict,
    progress: Progress,
    checkpoint: Checkpoints,
    marks: Sequence[Mark],
    outcome: str,
) -> str:
    """Return the stage in which the failure began (in a healthy job: the last one)."""
    begun = progress.last_completed is not None or progress.n_untold > 0 or _was_at_work(job, verdict)
    if outcome == "finished":
        return "shutdown" if any(m.kind == "finish" for m in marks) else ("iterate" if begun else "launch")
    if outcome == "running":
        last = _last_mark(marks, NONE)
        if last == "evaluate" and not _open_evaluation(job, marks, progress, NONE):
            last = "iterate"
        if checkpoint.open_save is not None and last != "evaluate":
            return "checkpoint"
        if last is None or (begun and last in ("launch", "init", "load")):
            return "iterate" if begun else "launch"
        return last
    if outcome == "slow":
        return "iterate"
    stack = _stack_stage(job, verdict)
    hint = verdict.roots[0].signature.stage if verdict.roots and verdict.roots[0].signature else None
    if verdict.kind == "numeric":
        return "iterate"
    if not begun:
        if stack is None and _was_done(job, verdict, marks):
            return "shutdown"
        if checkpoint.open_load or "checkpoint" in (stack, hint) or _reads_a_checkpoint(job, verdict):
            return "checkpoint"
        if stack == "launch":
            return "launch"
        if stack == "evaluate" or (
            stack is None and _open_evaluation(job, marks, progress, verdict.root_time)
        ):
            return "evaluate"
        if stack in ("load", "init"):
            return "load" if stack == "load" and hint != "init" else "init"
        if hint in ("launch", "init", "load"):
            return hint
        if stack == "iterate":
            return "iterate"
        if verdict.roots and _is_launcher(verdict) and not any(m.stage in _WITHIN for m in marks):
            return "launch"
        # The launchers of other nodes may speak later, by their clocks.
        said = _last_mark(marks, verdict.root_time, (*_WITHIN, "iterate"))
        return said or _last_mark(marks, verdict.root_time, ("launch",)) or "init"
    if stack == "checkpoint" and hint != "iterate":
        return "checkpoint"
    if stack in ("launch", "iterate"):
        stack = None
    if stack == "evaluate":
        return "evaluate"
    done = progress.last_completed
    open_save = checkpoint.open_save
    if open_save is not None and done is not None and open_save >= done and stack is None:
        return "checkpoint"
    if hint == "checkpoint":
        return "checkpoint"
    if _open_evaluation(job, marks, progress, verdict.root_time) and stack is None:
        return "evaluate"
    return "shutdown" if stack is None and _was_done(job, verdict, marks) else "iterate"


def _was_done(job: Job, verdict: Verdict, marks: Sequence[Mark]) -> bool:
    """Whether the training told of its good end before all roots: by line in its file, else by time."""
    rows = job.rows
    begins = [int(event.rows[0]) for event in verdict.roots]
    for mark in marks:
        if mark.kind != "finish" or not begins:
            continue
        after = [
            rows.line[k] > mark.line
            if rows.stream[k] == mark.stream
            else NONE not in (mark.time, rows.time[k]) and rows.time[k] > mark.time
            for k in begins
        ]
        if all(after):
            return True
    return False


def _was_at_work(job: Job, verdict: Verdict) -> bool:
    """Whether who waited in vain for a collective counts so many that the training must have begun."""
    for event in verdict.events:
        if event.tells == "timeout":
            match = _SEQUENCE.search(job.content(int(event.rows[0])))
            if match is not None and int(match["n"]) >= MANY_CALLS:
                return True
    return False


def _reads_a_checkpoint(job: Job, verdict: Verdict) -> bool:
    """Whether the first root's line is about a file within a checkpoint."""
    return bool(verdict.roots) and names_a_file_of_one(job.content(int(verdict.roots[0].rows[0])))


def _is_launcher(verdict: Verdict) -> bool:
    signature = verdict.roots[0].signature
    return signature is not None and signature.by in ("launcher", "scheduler")


def _last_mark(marks: Sequence[Mark], until: int, among: tuple[str, ...] | None = None) -> str | None:
    stage = None
    for mark in marks:
        if until != NONE and mark.time != NONE and mark.time > until:
            break
        if mark.kind == "stage" and (among is None or mark.stage in among):
            stage = mark.stage
    return stage


def _open_evaluation(job: Job, marks: Sequence[Mark], progress: Progress, until: int) -> bool:
    """Whether an evaluation began, and neither another stage nor an iteration came after it."""
    staged = [m for m in marks if m.kind in ("stage", "checkpoint.begin", "finish")]
    if until != NONE:
        staged = [m for m in staged if m.time == NONE or m.time <= until]
    if not staged or staged[-1].stage != "evaluate" or staged[-1].kind != "stage":
        return False
    last = staged[-1]
    if progress.series is None:
        return True
    it = job.iterations
    mine = it.series == progress.series
    later = mine & (it.first_stream == last.stream) & (it.first_line > last.line)
    if (mine & (it.first_stream == last.stream)).any():
        return not later.any()
    return last.time != NONE and progress.last_time != NONE and progress.last_time < last.time


def _stack_stage(job: Job, verdict: Verdict) -> str | None:
    """Read the stack above the root's first lines, of the same speaker."""
    rows = job.rows
    if not verdict.roots or verdict.kind in ("stop", "hang"):
        return None
    for event in verdict.roots[:4]:
        row = int(event.rows[0])
        stream, line, speaker = int(rows.stream[row]), int(rows.line[row]), int(rows.speaker[row])
        low = int(np.searchsorted(rows.stream, stream))
        above = np.arange(max(low, row - 4 * _FRAME_LINES), row)[::-1]
        mine = above[(rows.stream[above] == stream) & (rows.speaker[above] == speaker)][:_FRAME_LINES]
        frames: list[str] = []
        for other in mine.tolist():
            text = job.content(other)
            if not text[:1].isspace():
                break  # the head of the traceback, or what it was glued to
            frames.append(text)
        if not any('File "' in frame for frame in frames) or line - int(rows.line[mine[0]]) > 100:
            continue
        ended = _NO_MORE.search(job.content(row)) and any(_STEP.search(frame) for frame in frames)
        for i, frame in enumerate(frames):  # innermost first
            imported = _IMPORT.search(frame) or (
                i > 0 and _MODULE.search(frame) and _IMPORT.search(frames[i - 1])
            )
            for stage, pattern in _FRAMES:
                if pattern.search(frame) and not (imported and stage not in _BEFORE):
                    return "iterate" if ended and stage == "load" else stage
        if any(_STEP.search(frame) for frame in frames):
            return "iterate"
    return None
