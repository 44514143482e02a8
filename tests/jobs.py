"""Tiny jobs for the tests of the analysis: texts in, a `Job` or the whole story out."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from l4fast import stream
from l4fast.crossjob import Baseline
from l4fast.diagnose import Story, tell
from l4fast.diagnosis import Diagnosis
from l4fast.job import Job
from l4fast.joining import join
from l4fast.kept import Kept
from l4fast.library import Library, load
from l4fast.paths import path_facts
from l4fast.reader import Part
from l4fast.speakers import resolve
from l4fast.topology import Topology

from l4fast_kernels import keeps
from padded import padded

BEGIN = dt.datetime(2026, 3, 2, 10, 0, 0)
DAY = (BEGIN.date() - dt.date(1970, 1, 1)).days

Files = Mapping[str, str | bytes]


@functools.cache
def library() -> Library:
    """The packaged failure library, loaded once."""
    return load()


def at(seconds: float) -> str:
    """The time ``seconds`` after the job began, as Python's logging writes it."""
    when = BEGIN + dt.timedelta(seconds=seconds)
    return f"{when:%Y-%m-%d %H:%M:%S},{when.microsecond // 1000:03}"


def micros(seconds: float) -> int:
    """The same time as `Job` holds it: microseconds since 1970."""
    return int((BEGIN - dt.datetime(1970, 1, 1)).total_seconds() * 1e6) + round(seconds * 1e6)


def text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def steps(numbers: Iterable[int], *, begin: float = 0.0, every: float = 1.0, total: int = 100) -> str:
    """Iteration lines, the k-th of them ``every`` seconds after the one before."""
    return text(
        f"{at(begin + k * every)} INFO iteration {n}/ {total} | loss: 2.5 |" for k, n in enumerate(numbers)
    )


def cry(seconds: float, rank: int, words: str) -> str:
    """One line of a rank, at error level."""
    return f"[rank{rank}]: {at(seconds)} ERROR {words}\n"


def read(
    files: Files, shares: Sequence[Sequence[str]] | None = None, *, cuts: Mapping[str, Sequence[int]] = {}
) -> list[Part]:
    """Read each share of the files into a `Part` of its own; the files' own order numbers them.

    ``cuts`` holds line numbers of a file after which a new chunk begins.
    """
    index = {name: i for i, name in enumerate(files)}
    parts = []
    for share in shares if shares is not None else [list(files)]:
        part = Part(library(), reference_day=DAY)
        for name in share:
            feed(part, index[name], name, files[name], cuts.get(name, ()))
        parts.append(part)
    return parts


def feed(part: Part, index: int, name: str, content: str | bytes, cuts: Sequence[int] = ()) -> None:
    data = content.encode() if isinstance(content, str) else content
    part.fold.open(index, name)
    lines = data.split(b"\n")
    whole = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    bounds = sorted({0, len(whole), *(cut for cut in cuts if 0 < cut < len(whole))})
    offset = 0
    for low, high in itertools.pairwise(bounds):
        chunk = b"".join(whole[low:high])
        last = high == len(whole)
        part.feed(padded(chunk), len(chunk), stream=index, name=name, offset=offset, last=last)
        offset += len(chunk)


def job(files: Files, shares: Sequence[Sequence[str]] | None = None) -> Job:
    """Read files as one job; ``shares`` deals them out to parts that are joined."""
    return join(read(files, shares), len(files))


def topology(files: Files) -> Topology:
    """Who is who in a job."""
    return resolve(job(files), path_facts(list(files)))


def story(files: Files, baseline: Baseline | None = None) -> Story:
    """All answers about a job."""
    return tell(job(files), library(), baseline)


def answer(joined: Job, baseline: Baseline | None = None, *, paths: Sequence[str] = ("job",)) -> Diagnosis:
    """The diagnosis of a job, as `l4fast.diagnose` gives it."""
    return stream.answer(
        joined,
        library(),
        baseline,
        paths=paths,
        unreadable=(),
        skipped={},
        begun=time.perf_counter(),
        read_s=0.0,
    )


def diagnosis(files: Files, baseline: Baseline | None = None) -> Diagnosis:
    return answer(job(files), baseline)


def told(found: Diagnosis) -> dict[str, Any]:
    """What a diagnosis tells, without what may differ between two runs and how the job was named."""
    everything = found.to_dict()
    del everything["timing"]
    everything["job"] = {k: v for k, v in everything["job"].items() if k != "paths"}
    return {**everything, "failure_rows": found.failure_rows}


def templates(joined: Job) -> list[tuple[str, str, int]]:
    """Shape id, shape text and lines: what templates are derived from."""
    counts = joined.shape_count.tolist()
    return [(s.id, s.text, n) for s, n in zip(joined.shapes, counts, strict=True)]


def text_of(kept: Kept, row: int) -> bytes | None:
    """The text of a row, or None where only its place is kept."""
    size, begin = int(kept.column(keeps.SIZE)[row]), int(kept.long(keeps.TEXT)[row])
    return None if size < 0 else kept.texts[begin : begin + size].tobytes()
