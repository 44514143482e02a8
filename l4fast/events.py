"""Events: what the lines that indicate a failure say, and how often, each with its deciding values.

An event is a template with its deciding values (exit code, signal, errno, Xid, status); a line belongs to
one event. See `candidates` for which lines these are.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np

from l4fast.canonical import shape_id
from l4fast.job import Job
from l4fast.readings import Groups, Reading, Values
from l4fast.signature import DECIDING, Signature
from l4fast.templates import Template


@dataclass
class Event:
    """A failure-indicating event.

    Attributes
    ----------
    rows : int64[n]
        Indices into ``job.rows``, ordered by stream and line.
    values : tuple of (str, str)
        The deciding values.
    tells : str or None
        Which kind of word it is in a cascade (`signature.TELLS`); None for an error of its own.
    grave : bool
        Whether it shows by itself that the job failed.
    """

    id: str
    template: Template
    values: Values
    role: str
    signature: Signature | None
    category: str | None
    title: str
    advice: str
    action: str | None
    rows: np.ndarray
    tells: str | None
    why: list[str] = field(default_factory=list)
    score: float = 0.0
    grave: bool = True
    explained_by: str | None = None

    @property
    def names(self) -> str:
        """Whom its lines name; see `Signature.names`. In plain words the dead are named by others."""
        if self.signature is None:
            return "other" if self.tells in ("death", "asked-to-end") else "self"
        return self.signature.names

    @property
    def names_culprit(self) -> bool:
        """Whether its lines name another process or host than the one that writes them."""
        return self.signature is not None and self.signature.names == "other"

    @property
    def by(self) -> str | None:
        """Who prints its lines (see `signature.SPEAKERS`); None where no signature knows them."""
        return self.signature.by if self.signature is not None else None

    @property
    def weight(self) -> int:
        return self.signature.weight if self.signature is not None else -30


def split(event: Event, rows: np.ndarray, why: str) -> Event:
    """Take ``rows`` off an event; return what they are now: a consequence, with an id of its own."""
    event.rows = np.setdiff1d(event.rows, rows)
    return replace(
        event,
        id=shape_id(f"{event.id}\x00consequence"),
        role="consequence",
        rows=np.sort(rows),
        why=[why] if why else list(event.why),
    )


@dataclass
class Evidence:
    """The candidate events of a job, and what was read from their lines."""

    events: list[Event]
    groups: Groups
    survived: int
    known: int


def deciding_values(job: Job) -> dict[str, set[str]]:
    """Return the deciding values of each shape, as ``exit_code=0`` texts: for a baseline."""
    found: dict[str, set[str]] = defaultdict(set)
    for raw_idx, note in enumerate(job.notes):
        if not any(_decides(s) for s in note.failures):
            continue
        reading = Reading(job, job.rows_of_raw(raw_idx), note.failures[0].regex)
        for values in reading.distinct(DECIDING)[0]:
            found[job.shapes[job.raws[raw_idx].shape].text].update("=".join(value) for value in values)
    return found


def _decides(signature: Signature) -> bool:
    return bool(set(DECIDING) & signature.regex.groupindex.keys())
