"""When: the iteration counter, and how far it came.

The iteration counter is the series of progress lines with the most distinct values; an
evaluation's counter is shorter and says so, or runs while the training's stands still. Bars of
what is done to data and models count nothing here: see ``signatures/bars.toml``. Where the lines
of the training name no number, they tell at least when it was.

References
----------
L4 (FSE 2025), section 4.3: stage and iteration of a failure from the temporal pattern.
Unicron (2024), section 4: no progress for three mean iterations is a stall.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from l4fast.bars import inner_bars, is_bar, is_rushed, is_torn
from l4fast.canonical import plain
from l4fast.guessed import MIN_GUESSED, Guesses
from l4fast.job import NONE, Job
from l4fast.regexes import regex
from l4fast.runs import Within, last_run, runs_of, total_beside
from l4fast.samples import unit_of
from l4fast.signature import Signature

_NOT_TRAINING = regex(
    r"(?i)\b(?:eval\w*|valid\w*|test\w*|load\w*|download\w*|map|shard\w*|tokeniz\w*|generat\w*|predict\w*"
    r"|fetch\w*|filter\w*|extract\w*|compil\w*|convert\w*|warm\w*|captur\w*|sampl\w*|preprocess\w*)\b"
)
# These name the iteration that they have just done, the first of all 0; or how many updates were done.
_COUNTS_FROM_0 = frozenset(["progress-maxtext", "progress-nemo", "progress-detectron2"])
_COUNTS_DONE = frozenset(
    ["progress-litgpt", "progress-deepspeed", "progress-deepspeed-pipe", "progress-deepspeed-timer"]
)
_TOLD_UNTRAINED = frozenset(["progress-deepspeed"])  # its step 0 is told when the engine is made
STALL_FACTOR = 3.0  # medians without progress that make a stall (Unicron uses three means)
LONG_STALL_US = 600_000_000  # no evaluation or save is expected to take longer
MIN_STALL_US = 20_000_000  # shorter silence is normal at the end of a log


@dataclass(frozen=True)
class Progress:
    """What the job's iteration counter tells; iterations as numbers completed.

    ``first_time`` and ``last_time`` are times in microseconds (`NONE` if unknown), ``offset`` what
    was added to the printed numbers (1 for a counter that begins at 0). Where lines tell of the
    training, but name no iteration, ``series`` is None and ``n_untold`` counts them; ``every_s`` is
    from one of them to the next, in seconds. ``median_s`` is of an iteration, ``every`` how many of
    them mostly lie between two reports. ``runs`` are all series that count so, to any total, and
    ``spoke`` is when a counter that looks as much like training was reported last.
    """

    series: int | None
    first: int | None
    last_completed: int | None
    total: int | None
    median_s: float | None
    first_time: int
    last_time: int
    offset: int
    n_seen: int
    unit: int = 1
    went_back: int = 0
    timed: bool = False
    n_untold: int = 0
    every_s: float | None = None
    every: int = 1
    runs: tuple[int, ...] = ()
    spoke: int = NONE

    @property
    def rhythm_s(self) -> float | None:
        """Seconds from one report of the training to the next, as far as they are known."""
        return self.median_s * self.every if self.median_s is not None else self.every_s


def follow(
    job: Job,
    library: Mapping[str, Signature],
    *,
    within: Within | None = None,
    streams: frozenset[int] | None = None,
) -> Progress:
    """Find the iteration counter and how far it came.

    ``within`` tells of lines (streams, lines, times: int64[n] each) whether they are the attempt's:
    iterations last reported before it are left out; ``streams`` restricts to those of the attempt.
    """
    it = job.iterations
    untrained = [k for k, counter in enumerate(job.series) if counter.signature in _TOLD_UNTRAINED]
    mine = (it.iteration > 0) | ~np.isin(it.series, untrained)
    if within is not None:
        mine &= within(it.last_stream, it.last_line, it.last_time)
    if streams is not None:
        # What a later attempt did again was done in this one too.
        its = np.fromiter(streams, np.int64, len(streams))
        mine &= np.isin(it.first_stream, its) | np.isin(it.last_stream, its)
    ranks: dict[int, tuple[float, int, int, int]] = {}
    inner, guesses = inner_bars(job, mine), Guesses(job, library)
    for k in np.unique(it.series[mine]).tolist():
        chosen = mine & (it.series == k)
        numbers = it.iteration[chosen]
        if k in inner or is_rushed(job, k) or is_torn(job, k, chosen):
            continue
        if guesses.is_doubtful(k, chosen):
            continue
        # A bar of an evaluation begins again and again; the training's counter hardly ever does,
        # if it is none of those that begin again in each epoch.
        again = int(job.reached.went_back[job.reached.series == k].max(initial=0))
        again = 0 if _tells(job, library, k, "within") else again
        score = _weight(job, library, k) * len(numbers) / (1 + again) ** 2
        known = it.first_time[chosen] != NONE
        span = (
            int((it.last_time[chosen][known] - it.first_time[chosen][known].min()).max(initial=0))
            if known.any()
            else 0
        )
        ranks[k] = (score, span, int(numbers.max()), -k)
    if not ranks:
        return _without_numbers(job, within, streams)
    longest = max(ranks, key=lambda k: ranks[k])
    weight = {k: _weight(job, library, k) for k in ranks}
    runs = runs_of(job, longest, [k for k in ranks if weight[k] == weight[longest] == 1.0])
    series = last_run(job, mine, within, longest, runs)
    alike = np.isin(it.series, [k for k in ranks if weight[k] >= weight[series]])
    began = it.first_time
    if within is not None:  # what an earlier attempt did first was done again
        own = within(it.first_stream, it.first_line, it.first_time)
        began = np.where(own, it.first_time, it.last_time)
    found = _progress(job, library, series, mine & (it.series == series), began)
    if found.total is None and found.last_completed is not None and found.unit == 1:
        sure = [k for k in ranks if weight[k] == 1.0 and not _tells(job, library, k, "within", "epochs")]
        beside = total_beside(job, mine, found.last_completed, [k for k in sure if k != series])
        found = replace(found, total=beside)
    return replace(found, runs=(longest, *runs), spoke=int(it.last_time[mine & alike].max()))


_NO_PROGRESS = Progress(None, None, None, None, None, NONE, NONE, 0, 0)


def untold_shapes(job: Job) -> np.ndarray:
    """Return which shapes are lines of the training that name no iteration, bool[n_shapes]."""
    found = np.zeros(len(job.shapes), bool)
    for raw, note in zip(job.raws, job.notes, strict=True):
        markers = [s for s in note.markers if s.marker == "progress"]
        found[raw.shape] |= bool(markers) and "iteration" not in markers[0].regex.groupindex
    return found


def _without_numbers(job: Job, within: Within | None, streams: frozenset[int] | None) -> Progress:
    """Tell of the training by lines that name no iteration: since when, until when and how often."""
    pairs = job.pairs
    stream = np.array([speaker.stream for speaker in job.speakers], np.int64)[pairs.speaker]
    mine = untold_shapes(job)[pairs.shape]
    if within is not None:
        mine &= within(stream, pairs.last_line, pairs.last_time)
    if streams is not None:
        mine &= np.isin(stream, np.fromiter(streams, np.int64, len(streams)))
    if not mine.any():
        return _NO_PROGRESS
    first, last, count = pairs.first_time[mine], pairs.last_time[mine], pairs.count[mine]
    if within is not None:
        own = within(stream[mine], pairs.first_line[mine], first)
        first = np.where(own, first, NONE)  # when they began in this attempt is not known
    known = first[first != NONE]
    most = int(count.argmax())  # each of many ranks may tell the same
    span = (last[most] - first[most]) / 1e6 if NONE not in (first[most], last[most]) else 0.0
    return replace(
        _NO_PROGRESS,
        first_time=int(known.min()) if known.size else NONE,
        last_time=int(last.max()),
        n_untold=int(count.sum()),
        every_s=float(span / (count[most] - 1)) if span > 0 and count[most] >= MIN_GUESSED else None,
        timed=bool(span > 0),
    )


def iteration_in(job: Job, row: int, progress: Progress) -> int | None:
    """Return the iteration that a line itself names, as a number completed."""
    if job.rows.text_size[row] < 0:
        return None
    for signature in job.notes[int(job.rows.raw[row])].markers:
        if signature.marker == "progress" and "iteration" in signature.regex.groupindex:
            said = {k: v.replace(",", "") for k, v in signature.read(job.content(row)).items()}
            if said.get("iteration", "").isdigit():
                epochs, total = said.get("epochs", ""), said.get("total", "")
                before = int(epochs) * int(total) if epochs.isdigit() and total.isdigit() else 0
                return (before + int(said["iteration"])) // progress.unit + progress.offset
    return None


def _weight(job: Job, library: Mapping[str, Signature], series: int) -> float:
    """How much a series looks like training: 1 for a line that a framework prints for it."""
    counter = job.series[series]
    known = library[counter.signature].weight if counter.signature in library else -20
    weight = 1.0 if known > -5 else 0.5 if known > -10 else 0.4 if known > -20 else 0.3
    if _NOT_TRAINING.search(counter.lead):
        weight *= 0.05
    return weight


def _tells(job: Job, library: Mapping[str, Signature], series: int, *groups: str) -> bool:
    known = library.get(job.series[series].signature)
    return known is not None and not known.regex.groupindex.keys().isdisjoint(groups)


def _progress(
    job: Job, library: Mapping[str, Signature], series: int, chosen: np.ndarray, began: np.ndarray
) -> Progress:
    """Sum up a counter's ``chosen`` iterations, the attempt's; ``began`` is when it first reported each."""
    it = job.iterations
    order = np.argsort(it.iteration[chosen], kind="stable")
    numbers = it.iteration[chosen][order].astype(np.int64)
    first_time = began[chosen][order]
    last_time = it.last_time[chosen][order]
    counter = job.series[series]
    bar = is_bar(counter.lead)
    unit = unit_of(job, series, numbers, first_time)
    numbers = numbers // unit
    lowest = int(job.reached.lowest[job.reached.series == series].min()) // unit
    offset = _offset(numbers, lowest, bar, counter.signature)
    total = counter.total // unit if counter.total > 0 else -1
    by_epochs = _tells(job, library, series, "epochs") and total > 0
    if by_epochs and lowest // total == 1:
        offset -= total  # the first epoch is called 1
    done = numbers + offset
    done = done[done > 0]
    epochs_pass = by_epochs and done.size > 0 and int(done.max()) > total
    # What is told is the total of an epoch, then.
    total = -1 if epochs_pass else _total(job, series, total, int(done.max(initial=0)), offset)
    timed = first_time != NONE
    median = float(np.median(counter.spans)) if counter.spans.size else None
    if median is None and counter.own_times * 2 > int(it.count[chosen].sum()) and timed.sum() >= 3:
        steps = np.diff(numbers[timed])
        spans = np.diff(first_time[timed]) / 1e6
        good = (steps > 0) & (spans >= 0)
        if good.any():
            median = float(np.median(spans[good] / steps[good]))
    heard = last_time[last_time != NONE]
    return Progress(
        series=series,
        first=int(done.min()) if done.size else None,
        last_completed=int(done.max()) if done.size else None,
        total=total if total > 0 else None,
        median_s=median,
        first_time=int(first_time[timed].min()) if timed.any() else NONE,
        last_time=int(heard.max()) if heard.size else NONE,
        offset=offset,
        unit=unit,
        went_back=int(job.reached.went_back[job.reached.series == series].max(initial=0)),
        n_seen=int(done.size),
        timed=counter.own_times > 0,
        every=max(1, int(np.median(np.diff(np.unique(numbers))))) if numbers.size > 1 else 1,
    )


def _offset(numbers: np.ndarray, lowest: int, bar: bool, signature: str) -> int:
    """Return 1 for a counter that begins at 0: iteration 0 is the first one done.

    Of some programs that is known, wherever their lines begin. A counter that is reported every d
    iterations and begins at d - 1 begins at 0 too.
    """
    if bar or signature in _COUNTS_DONE:
        return 0
    if lowest == 0 or signature in _COUNTS_FROM_0:
        return 1
    steps = np.diff(numbers)
    if steps.size >= 3 and (steps == steps[0]).mean() > 0.9 and steps[0] > 1:
        return int(lowest == steps[0] - 1)
    return 0


def _total(job: Job, series: int, total: int, done: int, offset: int) -> int:
    """Return the total of a counter that begins at 0: some name the last number there, not how many.

    NeMo does, in the versions whose number in the epoch is that of the step; a counter that has come to
    its total shows it too.
    """
    counter = job.series[series]
    if total <= 0 or offset == 0:
        return total
    if done == total + 1:
        return done
    for raw, note in zip(job.raws, job.notes, strict=True):
        for signature in note.markers:
            if signature.id == counter.signature and "batch" in signature.regex.groupindex:
                read = signature.read(plain(raw.text))
                if read.get("total") == str(counter.total) and read.get("batch") == read.get("iteration"):
                    return total + 1
    return total


def iterations_before(
    job: Job, progress: Progress, stream: np.ndarray, line: np.ndarray, time: np.ndarray
) -> np.ndarray:
    """Return the last iteration reported before each line, by the order of its file, else by time; else -1.

    A file may have a clock of its own: it is compared with the others' by the highest iteration that it
    reports. Lines are told by their stream, number and time (int64[n] each). Returns int64[n], numbers
    completed.
    """
    found = np.full(len(stream), -1, np.int64)
    if progress.series is None:
        return found
    it = job.iterations
    mine = np.flatnonzero(it.series == progress.series)
    number = it.iteration[mine].astype(np.int64) // progress.unit + progress.offset
    known = it.first_time[mine] != NONE
    at, highest = _highest_until(it.first_time[mine][known], number[known])
    time = np.where(time != NONE, time + _ahead(job, progress, mine)[stream], NONE)
    place = np.searchsorted(at, time, side="right")
    found = np.where((time != NONE) & (place > 0), highest[place], found)
    for each in np.unique(stream).tolist():
        here = it.first_stream[mine] == each
        at, highest = _highest_until(it.first_line[mine][here], number[here])
        place = np.searchsorted(at, line)
        found = np.where((stream == each) & (place > 0), highest[place], found)
    return found


def _ahead(job: Job, progress: Progress, mine: np.ndarray) -> np.ndarray:
    """Return what to add to the times of each stream to have the clock of who reports first: int64[streams].

    Microseconds, at most 0. ``mine``, int64[n], are the progress' own among `Iterations`.
    """
    it, reached = job.iterations, job.reached
    found = np.zeros(len(job.streams), np.int64)
    told = np.flatnonzero((reached.series == progress.series) & (reached.time != NONE))
    told = told[np.argsort(reached.highest[told], kind="stable")]
    order = np.argsort(it.iteration[mine], kind="stable")
    number = it.iteration[mine][order]
    place = np.minimum(np.searchsorted(number, reached.highest[told]), len(order) - 1)
    first = it.first_time[mine][order][place]
    same = (number[place] == reached.highest[told]) & (first != NONE)
    home = np.array([job.speakers[k].stream for k in reached.speaker[told].tolist()], np.int64)
    found[home] = np.where(same, np.minimum(first - reached.time[told], 0), 0)
    return found


def _highest_until(at: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``at`` (int64[n]) in order, and the highest number of the first k, int64[n + 1] (none: -1)."""
    order = np.argsort(at, kind="stable")
    return at[order], np.concatenate([[-1], np.maximum.accumulate(number[order])])
