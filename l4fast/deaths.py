"""What the death of a process tells: who was ended by others, who went without a word.

A process that was asked to end, or that told an error of its own before, did not begin it by dying.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from l4fast.events import Event, split
from l4fast.job import NONE
from l4fast.subjects import LATE, Clock, Subjects
from l4fast.verdict import FEW, MOST, Verdict, is_broken

KILLED = ("137", "143")  # by SIGKILL, by SIGTERM: mostly what ends the others
SHOT = ("-9", "137")  # by SIGKILL, which ends what hangs
LOOK_US = 5_000_000  # torchrun's agents looked every 5 s up to 2.2; since then, every 0.1 s
NEAR_LINES = 200  # a stack may stand between an error and the launcher's word of it


def _processes(events: Iterable[Event], about: Subjects, *kinds: str) -> set[tuple[str, str | None]]:
    """Return (process id, node) of the processes that events of these kinds speak of."""
    found: set[tuple[str, str | None]] = set()
    for event in events:
        if event.tells in kinds:
            for row in event.rows.tolist():
                pid = about.evidence.groups.get(row, {}).get("pid")
                if pid is not None:
                    found.update((pid, node) for node in about.row(event, row).nodes or (None,))
    return found


def _is_among(event: Event, row: int, about: Subjects, processes: set[tuple[str, str | None]]) -> bool:
    """Whether a row is about one of these processes; hosts may give the same process id."""
    pid = about.evidence.groups.get(row, {}).get("pid")
    if pid is None:
        return False
    nodes = about.row(event, row).nodes
    return (pid, None) in processes or any((pid, node) in processes for node in nodes)


def _first_to_break(events: Iterable[Event], about: Subjects) -> dict[int, int]:
    """Return per stream the line at which a scheduler told the first end that was no kill.

    A scheduler tells ends as they come; the table of a launcher has another order.
    """
    rows = about.job.rows
    found: dict[int, int] = {}
    for event in events:
        code = dict(event.values).get("exit_code")
        if event.tells == "death" and event.by == "scheduler" and code not in (None, "0", *KILLED):
            for row in event.rows.tolist():
                stream, line = int(rows.stream[row]), int(rows.line[row])
                found[stream] = min(line, found.get(stream, line))
    return found


def _hung_since(events: Iterable[Event], about: Subjects) -> dict[str, int]:
    """Return the nodes of which a watcher says that a process hangs, and since when it says so."""
    rows = about.job.rows
    found: dict[str, int] = {}
    for event in events:
        if event.tells == "hang" and event.role == "root":
            for row in event.rows[rows.own_time[event.rows]].tolist():
                for node in about.row(event, row).nodes:
                    found[node] = min(int(rows.time[row]), found.get(node, LATE))
    return found


def settle_deaths(events: list[Event], about: Subjects) -> None:
    """A process that was asked to end, or that told an error of its own, did not begin it by dying."""
    ended_by_others = _processes(events, about, "asked-to-end", "hang")
    spoke = about.ranks(
        e
        for e in events
        if e.tells in (None, "timeout", "lost-peer", "abort") and e.role in ("root", "consequence")
    )
    rows = about.job.rows
    ended: dict[int, int] = {}  # stream -> line at which the launcher began to end the rest
    for event in events:
        if event.tells == "ending":
            for row in event.rows.tolist():
                stream, line = int(rows.stream[row]), int(rows.line[row])
                ended[stream] = min(line, ended.get(stream, line))
    broke = _first_to_break(events, about)
    hung = _hung_since(events, about)
    fresh: list[Event] = []
    for event in events:
        if event.tells != "death" or event.role != "root":
            continue
        killed = dict(event.values).get("exit_code") in KILLED
        by_watcher = dict(event.values).get("exit_code") in SHOT
        innocent = []
        for row in event.rows.tolist():
            stream, line = int(rows.stream[row]), int(rows.line[row])
            late = line > ended.get(stream, LATE) or (killed and line > broke.get(stream, LATE))
            who = about.row(event, row)
            spoken = any(rank in spoke for rank in who.ranks)
            if by_watcher and rows.own_time[row]:
                spoken |= any(hung.get(node, LATE) <= rows.time[row] for node in who.nodes)
            if late or spoken or _is_among(event, row, about, ended_by_others):
                innocent.append(row)
        if not innocent:
            continue
        if len(innocent) == len(event.rows):
            event.role = "consequence"
            event.why.append("the process was asked to end, or had told an error of its own before")
            continue
        why = "the process was asked to end, or had told an error of its own before"
        fresh.append(split(event, np.array(innocent, np.int64), why))
    events.extend(fresh)


def settle_echoes(events: list[Event], about: Subjects, clock: Clock) -> None:
    """What no signature knows is no cause if ranks say it that wait for others, or who tells of deaths."""
    waiting = set(about.ranks(e for e in events if e.tells in ("timeout", "lost-peer")))
    died = min((clock.of(e) for e in events if e.tells == "death"), default=LATE)
    for event in events:
        if event.signature is not None or event.role != "root":
            continue
        ranks = about.ranks([event])
        if event.tells == "death":
            if ranks or about.nodes([event]):
                continue
            event.why.append("it does not say which process ended")
        elif ranks and waiting.issuperset(ranks):
            event.why.append("said by ranks that waited for others")
        elif not ranks and died <= clock.of(event) and died != LATE:
            event.why.append("no process says it, and one had ended before")
        else:
            continue
        event.role = "consequence"


def unexplained_deaths(events: list[Event], about: Subjects, clock: Clock) -> list[Event]:
    """Deaths of processes that said nothing before, and that nobody had asked to end."""
    asked = _processes(events, about, "asked-to-end", "hang")
    spoke = about.ranks(e for e in events if e.tells in (None, "timeout", "lost-peer", "abort"))
    if not spoke:
        return []  # nobody said anything: there is no silence to tell apart
    found: list[Event] = []
    for event in list(events):
        code = dict(event.values).get("exit_code")
        if event.tells != "death" or code in (None, "0", "143"):
            continue
        if code == "-15" and event.by != "launcher":
            continue
        mine = [
            row
            for row in event.rows.tolist()
            if (who := about.row(event, row)).ranks
            and not any(r in spoke for r in who.ranks)
            and not _is_among(event, row, about, asked)
        ]
        if mine:
            if len(mine) < len(event.rows):
                events.append(split(event, np.setdiff1d(event.rows, mine), ""))
            found.append(event)
    return found


def first_death(events: list[Event], verdict: Verdict, about: Subjects) -> bool:
    """The process whose death is told first after a root that names nobody, in the same file."""
    rows = about.job.rows
    root = min(int(e.rows[0]) for e in verdict.roots)
    memory = any(e.category == "resource" for e in verdict.roots)

    def belongs(event: Event, row: int) -> bool:
        if memory and dict(event.values).get("exit_code") in ("-9", "137"):
            return True
        near = 0 < rows.line[row] - rows.line[root] <= NEAR_LINES
        return bool(row > root and rows.stream[row] == rows.stream[root] and near)

    deaths = [
        (row, event)
        for event in events
        if event.tells == "death" and event not in verdict.roots
        for row in event.rows.tolist()
        if belongs(event, row)
    ]
    # Who had lost others before died because of them.
    cried = _lost_others(events, about)
    quiet = _uncomplaining(events, cried, about)
    begun = quiet or [(r, e) for r, e in deaths if not cried.issuperset(about.row(e, r).ranks or (-1,))]
    if not deaths or not begun:
        return False
    row, event = min(begun, key=lambda item: item[0])
    who = about.row(event, row)
    if not who.nodes or len(about.top.nodes) < 2 or len(who.ranks) > FEW * about.n_ranks:
        return False
    # Each agent looks at its own processes now and then: of many, their order tells only after a pause.
    dead = {node for r, e in deaths if is_broken(e) for node in about.row(e, r).nodes}
    many = len(dead) > FEW * len(about.top.nodes)
    others = [
        int(rows.time[r])
        for r, e in deaths
        if e.by == "launcher" and rows.time[r] != NONE and not set(about.row(e, r).nodes) & set(who.nodes)
    ]
    if (
        many
        and not quiet
        and event.by == "launcher"
        and rows.own_time[row]
        and min(others, default=LATE) < rows.time[row] + LOOK_US
    ):
        return False
    reason = (
        "it alone of those that ended had lost nobody before"
        if quiet
        else "its processes were the first to be reported dead"
    )
    verdict.nodes = [(node, 0.7, [reason], [root, row]) for node in who.nodes]
    verdict.ranks = [(rank, 0.6, [reason], [row]) for rank in who.ranks]
    verdict.notes = [note for note in verdict.notes if not note.startswith("cannot tell which node")]
    return True


def _lost_others(events: list[Event], about: Subjects) -> set[int]:
    """Return the ranks that say that they lost a peer, or waited in vain."""
    lost = [e.rows for e in events if e.tells in ("timeout", "lost-peer")]
    said = np.unique(about.job.rows.speaker[np.concatenate([np.empty(0, np.int64), *lost])])
    return {rank for speaker in said.tolist() if (rank := about.top.rank[speaker]) is not None}


def _uncomplaining(events: list[Event], cried: set[int], about: Subjects) -> list[tuple[int, Event]]:
    """Return the deaths of the few ranks that had lost nobody, where all others that died had; else none."""
    broken = [e for e in events if e.tells == "death" and is_broken(e)]
    dead = set(about.ranks(broken))
    alone = dead - cried
    if len(alone) > (1 - MOST) * len(dead):
        return []
    found = [(row, e) for e in broken for row in e.rows.tolist()]
    return [(row, e) for row, e in found if alone & set(about.row(e, row).ranks)]


def also_deaths(events: list[Event], verdict: Verdict, about: Subjects) -> None:
    """The death of the very process that hung is part of the root's story."""
    hung = _processes(verdict.roots, about, "hang")
    for event in list(events):
        if event.tells != "death":
            continue
        mine = [row for row in event.rows.tolist() if _is_among(event, row, about, hung)]
        if not mine:
            continue
        if len(mine) < len(event.rows):
            events.append(split(event, np.setdiff1d(event.rows, mine), ""))
        event.why = ["the process that did not react was killed"]
        verdict.roots.append(event)
