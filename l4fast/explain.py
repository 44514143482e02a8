"""Which event explains which: the cascade of signatures, met by what really happened.

An edge of the graph (`l4fast.cascade`) holds between two events if they are where it says (the same
process, the same node, anywhere in the job) and as far apart in time, clocks of nodes aside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l4fast.cascade import Edge, between
from l4fast.events import Event
from l4fast.subjects import LATE, Clock, Subjects

SKEW_S = 2.0  # clocks of nodes may differ so much: a smaller gap tells no order


def edge(cause: Event, effect: Event, about: Subjects, clock: Clock) -> Edge | None:
    """Return how ``cause`` explains ``effect``, or None where it does not."""
    if cause is effect or cause.signature is None or effect.signature is None:
        return None
    found = between(cause.signature, effect.signature)
    if found is None or not _meet(cause, effect, found.where, about):
        return None
    begin, end = clock.of(cause), clock.of(effect)
    if LATE in (begin, end):
        return found
    later = (end - begin) / 1e6
    return found if -SKEW_S <= later <= found.after_s[1] + SKEW_S else None


def _meet(cause: Event, effect: Event, where: str, about: Subjects) -> bool:
    """Whether two events speak of a process or node in common; what names nobody may be of any."""
    if where == "job":
        return True
    if where == "process":
        left, right = set(about.ranks([cause])), set(about.ranks([effect]))
        if left and right:
            return bool(left & right)
    nodes, others = set(about.nodes([cause])), set(about.nodes([effect]))
    return not nodes or not others or bool(nodes & others)


def unexplained(events: Sequence[Event], about: Subjects, clock: Clock) -> list[Event]:
    """Return the events that no other of them explains."""
    return [
        effect
        for effect in events
        if not any(edge(cause, effect, about, clock) is not None for cause in events)
    ]


def explain(roots: Sequence[Event], events: Sequence[Event], about: Subjects, clock: Clock) -> None:
    """Note in each event that is no root which root explains it: the first, in their order, that does."""
    for event in events:
        if event in roots:
            continue
        for root in roots:
            found = edge(root, event, about, clock)
            if found is not None and not _stands_above(event, root, about):
                event.explained_by = root.id
                event.why.append(f"explained by {found.cause}{_apart(root, event, clock)}")
                break


def _stands_above(effect: Event, cause: Event, about: Subjects) -> bool:
    """Whether an effect came first: it stands above its cause in the file of both, and neither has a time."""
    rows = about.job.rows
    both = np.concatenate([effect.rows, cause.rows])
    if rows.own_time[both].any() or (rows.stream[both] != rows.stream[both[0]]).any():
        return False
    return bool(rows.line[effect.rows].min() < rows.line[cause.rows].min())


def _apart(cause: Event, effect: Event, clock: Clock) -> str:
    begin, end = clock.of(cause), clock.of(effect)
    if LATE in (begin, end) or end <= begin:
        return ""
    return f", {(end - begin) / 1e6:.3g} s before"
