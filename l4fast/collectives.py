"""What the ranks' own numbers tell of a collective that did not finish: who is behind, who is elsewhere.

All ranks of a process group call the same collectives in the same order, each with the next number. So
one that has not come as far as the others is the one that they wait for; and two that call different
ones under one number run different code, which no hardware does.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from l4fast.events import Event, split
from l4fast.job import NONE, Job
from l4fast.readings import Reading
from l4fast.regexes import regex
from l4fast.subjects import Subjects
from l4fast.temporal import Progress
from l4fast.verdict import FEW, Verdict

# The id of a group counts within its process; its GUID is the same for all of its ranks.
_GROUP = regex(r"\bPG (?:ID \d+ PG GUID |GUID |ID )?(?P<group>\d+)\b")
_ENQUEUED = regex(r"(?i)last enqueued (?:nccl )?work: ?(?P<number>-?\d+)")
_STUCK = regex(r"(?i)(?:timeout at|by watchdog at) (?:nccl )?work: ?(?P<number>\d+)")


def _told(
    job: Job, rows: np.ndarray, pattern: re.Pattern[str], names: Sequence[str]
) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the rows that ``pattern`` matches, their process group ("" if none) and what ``names`` hold."""
    for raw in np.unique(job.rows.raw[rows]).tolist():
        mine = rows[job.rows.raw[rows] == raw]
        values, value = Reading(job, mine, pattern).distinct(names)
        groups, group = Reading(job, mine, _GROUP, in_lines=True).distinct(("group",))
        for row, k, g in zip(mine.tolist(), value.tolist(), group.tolist(), strict=True):
            if values[k]:
                yield row, groups[g][0][1] if groups[g] else "", [text for _, text in values[k]]


def laggard(job: Job, about: Subjects, timeouts: list[Event], events: list[Event], verdict: Verdict) -> bool:
    """The rank whose last enqueued collective is behind all others (equal numbers prove nothing).

    How far ranks ran ahead of the collective that did not finish differs: who called that one waits too.
    """
    groups: dict[str, dict[int, tuple[int, int, Event]]] = defaultdict(dict)
    stuck: dict[str, Counter[int]] = defaultdict(Counter)
    for event in events:
        if event.signature is None or event.tells not in ("timeout", "heard"):
            continue
        for _, group, (told,) in _told(job, event.rows, _STUCK, ("number",)):
            stuck[group][int(told)] += 1
        for row, group, (told,) in _told(job, event.rows, _ENQUEUED, ("number",)):
            number = int(told)
            rank = about.top.rank[int(job.rows.speaker[row])]
            if rank is None:
                continue
            behind = groups[group]  # each process group counts its own collectives
            # -1 and numbers of 17 digits are memory that was never set.
            if 0 <= number < 10**15 and (rank not in behind or number > behind[rank][0]):
                behind[rank] = (number, row, event)
    group = max(groups, key=lambda group: len(groups[group]), default="")
    behind = groups[group]
    if len(behind) < 3:
        return False
    least = min(number for number, _, _ in behind.values())
    if stuck[group] and least >= stuck[group].most_common(1)[0][0]:
        return False
    low = sorted(rank for rank, (number, _, _) in behind.items() if number == least)
    if len(low) > FEW * len(behind):
        return False
    usual = min(number for number, _, _ in behind.values() if number > least)
    reason = f"its last collective is behind that of the others ({usual})"
    rows = {rank: behind[rank][1] for rank in low}
    for rank in low:
        verdict.ranks.append((rank, 1.0, [reason], [rows[rank]]))
    nodes = Counter(about.top.node_of_rank[r] for r in low if r in about.top.node_of_rank)
    for node, _ in sorted(nodes.items(), key=lambda nc: (-nc[1], nc[0])):
        mine = [rows[r] for r in low if about.top.node_of_rank.get(r) == node]
        verdict.nodes.append((node, 1.0, [reason], mine[:8]))
    parts = {id(behind[rank][2]): behind[rank][2] for rank in low}
    for event in parts.values():
        mine = [rows[r] for r in low if behind[r][2] is event]
        verdict.roots.append(_part(event, np.array(sorted(mine), np.int64), verdict))
    return True


def _part(event: Event, rows: np.ndarray, verdict: Verdict) -> Event:
    """Split some rows off an event: they are its root, the rest is a consequence."""
    if len(rows) < len(event.rows):
        verdict.events.append(split(event, np.setdiff1d(event.rows, rows), ""))
    return event


_WORK = regex(r"WorkNCCL\(SeqNum=(?P<number>\d+), OpType=(?P<kind>\w+)")
_PAIRED = ("SEND", "RECV", "COALESCED", "UNKNOWN")  # the two sides of one number may differ


def mismatch(job: Job, about: Subjects, timeouts: list[Event], verdict: Verdict) -> bool:
    """Ranks that wait in different collectives under one number of one group: different code paths."""
    called: dict[tuple[str, str], dict[str, dict[int, tuple[int, Event]]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for event in timeouts:
        for row, group, (number, kind) in _told(job, event.rows, _WORK, ("number", "kind")):
            rank = about.top.rank[int(job.rows.speaker[row])]
            if group and rank is not None and kind not in _PAIRED:
                called[group, number][kind].setdefault(rank, (row, event))
    kinds = max(
        called.values(), key=lambda kinds: (len(kinds) > 1, sum(map(len, kinds.values()))), default={}
    )
    if len(kinds) < 2:
        return False
    usual = kinds[max(kinds, key=lambda kind: len(kinds[kind]))]
    others: dict[int, tuple[int, Event]] = {}
    for ranks in kinds.values():
        if ranks is not usual:
            others |= ranks
    if len(others) <= FEW * len(usual):
        for rank, (row, _) in sorted(others.items()):
            verdict.ranks.append((rank, 0.8, ["waits in another collective than the others"], [row]))
    told = {id(event): event for _, event in others.values()}
    for event in told.values():
        mine = [row for row, of in others.values() if of is event]
        verdict.roots.append(_part(event, np.array(sorted(mine), np.int64), verdict))
    verdict.notes.append("ranks wait in different collectives of the same number: no node to blame")
    return True


_SPAN = regex(r"ran for (\d{1,9}) milliseconds|Timeout\(ms\)=(\d{1,9})")
BUSY = 0.5  # of the others' wait: who still does its work then is not stuck


def busy(job: Job, about: Subjects, timeouts: list[Event], progress: Progress) -> frozenset[int]:
    """Return the few ranks that went on with ordinary lines while the others waited.

    What is said without a rank is taken for the word of the first on its node, where the counter stands
    for that of rank 0.
    """
    told = np.concatenate([event.rows for event in timeouts])
    told = told[job.rows.own_time[told] & (job.rows.time[told] != NONE)]
    if told.size == 0:
        return frozenset()
    first = int(told[np.argmin(job.rows.time[told])])
    end = int(job.rows.time[first])
    span = _SPAN.search(job.content(first))
    if span is not None:
        begin = end - 1000 * int(span[1] or span[2])
    elif progress.series is not None and progress.last_time != NONE:
        begin = progress.last_time
    else:
        return frozenset()
    ordinary = np.ones(len(job.shapes), bool)
    for raw, note in zip(job.raws, job.notes, strict=True):
        if note.suspect or note.failures:
            ordinary[raw.shape] = False
    pairs = job.pairs
    spoke = ordinary[pairs.shape] & (pairs.last_time > begin + BUSY * (end - begin)) & (pairs.last_time < end)
    counted = set(np.unique(job.iterations.first_stream).tolist())
    ranks: set[int] = set()
    for speaker in np.unique(pairs.speaker[spoke]).tolist():
        rank = about.top.rank[speaker]
        if rank is None and (node := about.top.home(speaker)) is not None:
            rank = min(about.top.ranks_of(node), default=None)
        if rank is None and job.speakers[speaker].stream in counted:
            rank = 0
        if rank is not None:
            ranks.add(rank)
    return frozenset(ranks) if len(ranks) <= FEW * about.n_ranks else frozenset()
