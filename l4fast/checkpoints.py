"""Which checkpoint can be resumed from: begun, accepted, durable, loaded.

A save that a framework only *scheduled* is accepted; it is durable when the framework says that
it was committed. Where a framework saves synchronously and has no such line, a later progress
line or a later save of the same saver proves it, for the call has returned. A load proves a
checkpoint too; a load or a write of it that failed proves that it is none. See DESIGN section 6
and messages of each framework in ``signatures``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from l4fast.job import NONE, Job
from l4fast.marks import Mark
from l4fast.readings import Reading
from l4fast.regexes import regex
from l4fast.temporal import Progress, iteration_in, iterations_before, untold_shapes

# How frameworks name what they save in an iteration: `checkpoint-7`, `global_step7`, `iter_0000007`,
# `ep0-ba7-rank0.pt`, `step7-unsharded`, `val_loss=2.10-step=7-last.ckpt`, `checkpoint_1_7.pt`, `ckpts/7`.
# Something else may follow in the last two names of the path; behind the bare name, files of up to three.
_STEP_IN_PATH = regex(
    r"(?i)(?:checkpoint_\d+_|checkpoint_e\d+_s|(?:checkpoint|ckpt)s?/|(?:checkpoint|ckpt|step)[-_=/]*"
    r"|(?<![a-z])(?:iter(?:ation)?|ba)[-_=/]*)"
    r"0*(\d+)(?=(?:/[^/]*){0,3}$|[-_.][^/]*(?:/[^/]*)?$)"
)
# A file within the folder of one iteration, as an error of the operating system quotes it.
_FILE_OF_STEP = regex(
    r"['\"][^'\"\s]*(?:checkpoint|ckpt|step|iter|-ba|checkpoints/|ckpt/)[-_=]?0*(?P<iteration>\d+)(?:-[a-z]+)?/[^'\"\s]*['\"]"
)
_SAVES = ("checkpoint.begin", "checkpoint.accepted", "checkpoint.durable")
# Savers that wait for their last save before they begin another: this line proves the one before it.
_WAITS = frozenset(["ckpt-titan-accepted"])
# Said of a bad value before its step changes the weights: the program goes back to the state before it.
_UNDONE = frozenset(["spiky-loss"])


@dataclass(frozen=True)
class Checkpoints:
    """The newest accepted and durable checkpoint, as iterations; ``open_save`` is a save that
    began and did not end, ``open_load`` whether a load began and did not end."""

    last_durable: int | None
    last_accepted: int | None
    path: str | None
    open_save: int | None
    open_load: bool


def trace(job: Job, marks: Iterable[Mark], progress: Progress, *, bad: int | None = None) -> Checkpoints:
    """Follow the checkpoints of the last attempt through its marker lines.

    ``bad`` is the row with the first value that is no number: what was saved since holds it too, unless
    the program took that step back and ended.
    """
    by_kind: dict[str, dict[int, list[Mark]]] = defaultdict(lambda: defaultdict(list))
    kept = _beside_the_counter(job, list(marks), progress)
    finishes = [mark for mark in kept if mark.kind == "finish"]
    kinds = {mark.kind for mark in kept}
    placed = _placed(job, kept, progress)
    sound = placed
    if bad is not None and not _is_undone(job, bad, progress):
        sound = _sound(job, placed, progress, bad)
    for mark, iteration in sound:
        by_kind[mark.kind][iteration].append(mark)
    begun, accepted, durable = (by_kind[f"checkpoint.{k}"] for k in ("begin", "accepted", "durable"))
    saved = [m for said in (begun, accepted, durable) for its in said.values() for m in its]
    folders = {_home(m.path) for m in saved if m.path}
    loaded = {
        i: its
        for i, its in by_kind["checkpoint.loaded"].items()
        if not _of_another_run(job, i, its, folders, progress)
    }
    usual = max((len({m.speaker for m in said}) for said in durable.values()), default=0)
    if usual == 1 and len(durable) == 1 and progress.last_completed in durable:
        usual = 2  # nothing yet shows that one rank speaks for all
    committed = {i for i, said in durable.items() if _complete(job, said, begun.get(i, []), usual)}
    committed |= set(loaded)
    waited = sorted(i for i, said in accepted.items() if any(m.signature in _WAITS for m in said))
    committed |= set(waited[:-1])
    has_commit_line = bool(durable) or bool(accepted)
    for iteration, said in begun.items():
        if iteration in committed or iteration in accepted or has_commit_line:
            continue
        if _returned(job, iteration, said, begun, progress, finishes):
            committed.add(iteration)
    broken = _broken(job, kept, placed)
    committed -= broken
    every = {*begun, *accepted, *committed} - broken
    last_durable = max(committed, default=None)
    open_saves = [i for i in begun if i not in committed and i not in accepted]
    done = progress.last_completed
    open_save = max(open_saves, default=None)
    if open_save is not None and done is not None and open_save < done and progress.n_seen:
        open_save = None  # the counter went on: the save returned, its commit is just not said
    newest = max(committed, default=None)
    path = next((m.path for m in sorted(saved, key=_order, reverse=True) if m.path), None)
    if newest is not None:
        said = durable.get(newest) or begun.get(newest) or loaded.get(newest) or []
        path = next((m.path for m in reversed(said) if m.path), path)
    return Checkpoints(
        last_durable=last_durable,
        last_accepted=max(every, default=None),
        path=path,
        open_save=open_save,
        open_load="checkpoint.load" in kinds
        and "checkpoint.loaded" not in kinds
        and progress.last_completed is None,
    )


def reached(progress: Progress, found: Checkpoints) -> Progress:
    """Return the progress with what was saved between the last report and the one that was still to come."""
    done, saved = progress.last_completed, found.last_durable
    if done is None or saved is None or not done < saved < done + progress.every:
        return progress
    return replace(progress, last_completed=saved)


def _beside_the_counter(job: Job, marks: list[Mark], progress: Progress) -> list[Mark]:
    """Drop saves that name no iteration and stand in other files than the counter, where some stand in its.

    Which iteration they belong to is told by clocks there, and those of nodes differ by more than one.
    """
    counted = set(job.iterations.first_stream[job.iterations.series == progress.series].tolist())
    beside = {m.signature for m in marks if m.stream in counted and _named(m) is None}
    return [
        m
        for m in marks
        if not m.kind.startswith("checkpoint.")
        or m.stream in counted
        or m.signature not in beside
        or _named(m) is not None
    ]


def _named(mark: Mark) -> int | None:
    """The iteration that a mark names itself, in its text or its path."""
    if mark.iteration is not None:
        return mark.iteration
    found = _STEP_IN_PATH.findall(mark.path or "")
    return int(found[-1]) if found else None


def _placed(job: Job, marks: list[Mark], progress: Progress) -> list[tuple[Mark, int]]:
    """Return the marks of saves and loads that belong to an iteration, in their order, each with it."""
    begun: dict[int, Mark] = {}  # the last load that a stream's line began and named
    found: list[Mark] = []
    for mark in marks:
        if mark.kind == "checkpoint.load" and _named(mark) is not None:
            begun[mark.stream] = mark
        elif mark.kind == "checkpoint.loaded" and _named(mark) is None and mark.stream in begun:
            load = begun[mark.stream]
            found.append(mark._replace(iteration=_named(load), path=mark.path or load.path))
        elif mark.kind == "checkpoint.loaded" or mark.kind in _SAVES:
            found.append(mark)
    places = np.array([(m.stream, m.line, m.time) for m in found], np.int64)
    before = iterations_before(job, progress, *places.reshape(-1, 3).T).tolist()
    placed = []
    for mark, number in zip(found, before, strict=True):
        named = _named(mark)
        if named is not None or (number >= 0 and mark.kind in _SAVES):
            placed.append((mark, named if named is not None else number))
    return placed


def names_a_file_of_one(text: str) -> bool:
    """Whether an error of the operating system quotes a file within the checkpoint of one iteration."""
    return _FILE_OF_STEP.search(text) is not None


def first_bad(job: Job, row: int, progress: Progress) -> int | None:
    """Return the iteration of a line with a bad value: the one it names, or that was reported before it.

    None where nothing was reported after it, for then it may belong to the next one.
    """
    named = iteration_in(job, row, progress)
    if named is not None:
        return named
    before = _done_before(job, row, progress)
    return before if 0 <= before < (progress.last_completed or 0) else None


def _done_before(job: Job, row: int, progress: Progress) -> int:
    """Return the iteration that was reported last before a row, -1 where that is not known."""
    rows, only = job.rows, slice(row, row + 1)
    return int(iterations_before(job, progress, rows.stream[only], rows.line[only], rows.time[only])[0])


def _is_undone(job: Job, row: int, progress: Progress) -> bool:
    """Whether the step of the bad value in ``row`` was taken back, and no other was done after it."""
    failures = job.notes[int(job.rows.raw[row])].failures
    if not failures or failures[0].id not in _UNDONE or progress.last_completed is None:
        return False
    return _done_before(job, row, progress) >= progress.last_completed


def _sound(job: Job, placed: list[tuple[Mark, int]], progress: Progress, row: int) -> list[tuple[Mark, int]]:
    """Leave out what was saved in the iteration of ``row`` or later, or below it in its file."""
    first = first_bad(job, row, progress)
    stream, line = int(job.rows.stream[row]), int(job.rows.line[row])
    return [
        (mark, iteration)
        for mark, iteration in placed
        if (first is None or iteration < first) and not (mark.stream == stream and mark.line > line)
    ]


def _broken(job: Job, marks: list[Mark], placed: list[tuple[Mark, int]]) -> set[int]:
    """Return the iterations whose checkpoint could not be read or written when it was last tried."""
    failed: list[tuple[tuple[int, int, int], int]] = []  # when and where, and which
    torn: list[tuple[int, int, int]] = []
    for raw, note in enumerate(job.notes):
        if not note.failures or note.failures[0].category != "storage":
            continue
        signature, mine = note.failures[0], job.rows_of_raw(raw)
        columns = (job.rows.time, job.rows.stream, job.rows.line)
        places = list(zip(*(column[mine].tolist() for column in columns), strict=True))
        if signature.stage == "checkpoint" and signature.action == "resume_older_checkpoint":
            torn += places
        different, code = Reading(job, mine, _FILE_OF_STEP).distinct(("iteration",))
        for place, k in zip(places, code.tolist(), strict=True):
            number = dict(different[k]).get("iteration")
            if number is not None:
                failed.append((place, int(number)))
    if torn:
        failed += _load_that_failed(marks, min(torn))
    return {
        iteration
        for place, iteration in failed
        if not any(i == iteration and _is_before(place, _order(mark)) for mark, i in placed)
    }


def _load_that_failed(
    marks: list[Mark], place: tuple[int, int, int]
) -> list[tuple[tuple[int, int, int], int]]:
    """Return the load that was under way when a torn file was met at ``place``, if its line names it."""
    tried = [m for m in marks if m.kind.startswith("checkpoint.load") and _is_before(_order(m), place)]
    if not tried or tried[-1].kind != "checkpoint.load":
        return []
    number = _named(tried[-1])
    return [] if number is None else [(place, number)]


def _is_before(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    """Compare places (time, stream, line): by their file's order, else by clocks where both have one."""
    if one[1] == other[1]:
        return one[2] < other[2]
    return NONE not in (one[0], other[0]) and one[0] < other[0]


def _order(mark: Mark) -> tuple[int, int, int]:
    return mark.time, mark.stream, mark.line


def _home(path: str) -> str:
    """Return where a checkpoint lies beside the others of its run."""
    step = _STEP_IN_PATH.search(path)
    return (path[: path.rfind("/", 0, step.start() + 1) + 1] if step else path).rstrip("/")


def _of_another_run(
    job: Job, iteration: int, loaded: list[Mark], saved_in: set[str], progress: Progress
) -> bool:
    """Whether the iterations after a load do not go on from it: it gave the weights to begin with.

    ``saved_in`` is where the job's own checkpoints lie. A counter that begins
    again in each epoch tells nothing.
    """
    if progress.went_back or any(m.path and _home(m.path) in saved_in for m in loaded):
        return False
    it = job.iterations
    mine = it.series == progress.series
    counted = set(it.first_stream[mine].tolist())
    last = next((m for m in reversed(loaded) if m.stream in counted), loaded[-1])
    after = mine & (it.first_stream == last.stream) & (it.first_line > last.line)
    if last.stream not in counted:
        after = mine & (it.first_time > last.time) & (last.time != NONE)
    if not after.any():
        return False
    return int(it.iteration[after].min()) // progress.unit + progress.offset < iteration


def _complete(job: Job, durable: list[Mark], begun: list[Mark], usual: int) -> bool:
    """Each rank that began a save must have ended it, where each of them says so.

    Where one rank speaks for all, ``usual`` (most ranks that ended a save) is 1.
    """
    ended = {m.speaker for m in durable}
    if usual <= 1:
        return True
    beginners = _unlike({m.speaker for m in begun}, ended, job)
    return len(beginners) <= 1 or len(ended) >= len(beginners)


def _unlike(begun: set[int], ended: set[int], job: Job) -> set[int]:
    """Leave out who began a save and is one of those who ended it, under a longer label.

    `[Rank 0] ... is about to be saved` of a node's file is said by one of the processes that end
    theirs without such a label.
    """
    whole = {(job.speakers[k].stream, job.speakers[k].labels) for k in ended}
    return {
        k
        for k in begun
        if not any(
            (job.speakers[k].stream, job.speakers[k].labels[:n]) in whole
            for n in range(len(job.speakers[k].labels))
        )
    }


def _returned(
    job: Job,
    iteration: int,
    said: list[Mark],
    begun: dict[int, list[Mark]],
    progress: Progress,
    finishes: list[Mark],
) -> bool:
    """Whether a synchronous save without a commit line has returned."""
    if any(other > iteration for other in begun):
        return True
    last = said[-1]
    if any(m.stream == last.stream and m.line > last.line for m in finishes):
        return True
    if progress.n_untold:
        rows = job.rows
        after = (rows.stream == last.stream) & (rows.line > last.line)
        return bool(untold_shapes(job)[rows.shape[after]].any())
    return progress.last_completed is not None and progress.last_completed > iteration
