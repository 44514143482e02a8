"""Who began it, or that nobody can tell.

Divergence is not guilt: a victim that timed out diverges too. The rules of DESIGN section 6 are
asked in order, and the first that answers wins: a line that names the culprit; the silent ones
among many that timed out; the earliest error that is no timeout; the end of the wait-for chain.
A fault that is the same on nearly all ranks has no culprit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from l4fast.events import Event, Evidence
from l4fast.job import NONE, Job
from l4fast.temporal import Progress
from l4fast.topology import Topology, _clean_host, _numbers

MOST = 0.8  # a fault on at least this share of the ranks that speak is everybody's
FEW = 0.34  # at most this share of the ranks may be the silent or hung ones
CHAIN_S = 5.0  # errors of the culprit's own ranks within this time belong to one story
_EXTERNAL_STOP = ("preemption",)


@dataclass
class Verdict:
    """The events in order of telling, and whom they blame.

    ``ranks`` and ``nodes`` hold (name, score, reasons, rows of evidence), most suspect first.
    """

    events: list[Event]
    roots: list[Event]
    ranks: list[tuple[int, float, list[str], list[int]]] = field(default_factory=list)
    nodes: list[tuple[str, float, list[str], list[int]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kind: str = "none"
    root_time: int = NONE
    everybody: bool = False


@dataclass(frozen=True)
class Subject:
    """Whom a row speaks of: ranks and nodes; empty where it cannot be told."""

    ranks: tuple[int, ...]
    nodes: tuple[str, ...]


def tells(event: Event) -> str | None:
    """What kind of word an event is: hang, stop, timeout, lost-peer, death, asked-to-end, abort."""
    return event.signature.tells if event.signature is not None else None


def subject(job: Job, top: Topology, evidence: Evidence, event: Event, row: int) -> Subject:
    """Return whom a row is about: the one it names, else who says it."""
    speaker = int(job.rows.speaker[row])
    groups = evidence.groups.get(row, {})
    names = event.signature.names if event.signature is not None else "self"
    node = top.node[speaker]
    if names == "other" or any(k in groups for k in ("pid", "local_rank", "task")):
        pid = groups.get("pid")
        if pid is not None and pid.isdigit() and int(pid) in top.rank_of_pid:
            rank = top.rank_of_pid[int(pid)]
            host = top.node_of_rank.get(rank) or top.node_of_pid.get(int(pid)) or node
            return Subject((rank,), (host,) if host else ())
        ranks = _numbers(groups.get("rank") or groups.get("task"))
        host = _clean_host(groups.get("host") or groups.get("node"))
        if ranks:
            hosts = {top.node_of_rank[r] for r in ranks if r in top.node_of_rank}
            return Subject(tuple(ranks), (host,) if host else tuple(sorted(hosts)))
        if host:
            local = groups.get("local_rank")
            if local and local.isdigit():
                mine = [r for r in top.ranks_of(host)]
                if int(local) < len(mine):
                    return Subject((mine[int(local)],), (host,))
            return Subject((), (host,))
        if pid is not None and pid.isdigit():
            host = top.node_of_pid.get(int(pid)) or node
            local = groups.get("local_rank")
            if host and local and local.isdigit():
                mine = top.ranks_of(host)
                if int(local) < len(mine):
                    return Subject((mine[int(local)],), (host,))
            return Subject((), (host,) if host else ())
        if names == "other":
            return Subject((), ())
    rank = top.rank[speaker]
    if rank is not None:
        host = top.node_of_rank.get(rank) or node
        return Subject((rank,), (host,) if host else ())
    return Subject((), (node,) if node else ())


def judge(job: Job, top: Topology, evidence: Evidence, progress: Progress) -> Verdict:
    """Order the events by what they tell, assign their roles, and name the culprit."""
    events = evidence.events
    if not events:
        return Verdict([], [])
    about = _Subjects(job, top, evidence)
    _settle_deaths(events, evidence, about)
    verdict = Verdict(events, [])
    nan = [e for e in events if e.category == "numeric" and e.role == "root"]
    own = [e for e in events if e.role == "root" and tells(e) not in ("hang", "stop") and e not in nan]
    hangs = [e for e in events if tells(e) == "hang"]
    stops = [e for e in events if tells(e) == "stop"]
    timeouts = [e for e in events if tells(e) == "timeout"]
    first_own = min((_time(job, e, progress) for e in own), default=None)
    first_nan = min((_time(job, e, progress) for e in nan), default=None)
    if nan and (first_own is None or first_nan is None or first_nan <= first_own):
        _blame_numeric(job, nan, own, verdict, about)
    elif own and not _only_after_stop(job, own, stops, progress):
        _blame_errors(job, own, verdict, about, progress)
        for event in hangs:
            _demote(event, verdict)
    elif hangs and about.share(hangs) <= FEW:
        verdict.kind = "hang"
        verdict.roots = hangs
        _name(verdict, about, hangs, "did not react when it was asked to end")
        _also_deaths(events, verdict, about)
    elif timeouts and _silent(job, top, about, timeouts, events, verdict):
        verdict.kind = "hang"
        verdict.roots = timeouts
    elif stops:
        verdict.kind = "stop"
        verdict.roots = stops
    elif own:
        _blame_errors(job, own, verdict, about, progress)
    else:
        _blame_victims(job, events, timeouts, verdict, about, progress)
    for event in events:
        if event in verdict.roots:
            event.role = "root"
        elif event.role == "root":
            event.role = "consequence"
    times = [_time(job, e, progress) for e in verdict.roots]
    verdict.root_time = min((t for t in times if t != NONE), default=NONE)
    _order(job, verdict, progress)
    return verdict


class _Subjects:
    """Whom each row and event speaks of, looked up once."""

    def __init__(self, job: Job, top: Topology, evidence: Evidence) -> None:
        self.job, self.top, self.evidence = job, top, evidence
        self._rows: dict[int, Subject] = {}
        self.all_ranks = frozenset(top.ranks)
        self.n_ranks = max(len(self.all_ranks), 1)

    def row(self, event: Event, row: int) -> Subject:
        if row not in self._rows:
            self._rows[row] = subject(self.job, self.top, self.evidence, event, row)
        return self._rows[row]

    def ranks(self, events: Iterable[Event]) -> Counter[int]:
        found: Counter[int] = Counter()
        for event in events:
            for row in event.rows.tolist():
                found.update(self.row(event, row).ranks)
        return found

    def nodes(self, events: Iterable[Event]) -> Counter[str]:
        found: Counter[str] = Counter()
        for event in events:
            for row in event.rows.tolist():
                found.update(self.row(event, row).nodes)
        return found

    def share(self, events: list[Event]) -> float:
        """The share of the job's ranks (or nodes) that the events speak of."""
        ranks = self.ranks(events)
        if ranks:
            return len(ranks) / max(self.n_ranks, self.top.expected or 0)
        nodes = self.nodes(events)
        n_nodes = max(len(self.top.nodes), 1)
        pids = {
            self.evidence.groups.get(row, {}).get("pid") for e in events for row in e.rows.tolist()
        }
        if nodes and n_nodes > 1:
            return min(len(nodes) / n_nodes, len(pids) / self.n_ranks)
        return len(pids) / self.n_ranks


def _settle_deaths(events: list[Event], evidence: Evidence, about: _Subjects) -> None:
    """A process that was asked to end, or that told an error of its own, did not begin it by dying."""
    asked: set[str] = set()
    forced: set[str] = set()
    for event in events:
        if tells(event) == "asked-to-end":
            for row in event.rows.tolist():
                asked |= {evidence.groups.get(row, {}).get("pid", "")}
        if tells(event) == "hang":
            forced |= {
                groups["pid"] for row in event.rows.tolist() if "pid" in (groups := evidence.groups.get(row, {}))
            }
    spoke = about.ranks(
        e for e in events if tells(e) in (None, "timeout", "lost-peer", "abort") and e.role in ("root", "consequence")
    )
    rows = about.job.rows
    ended: dict[int, int] = {}  # stream -> line at which the launcher began to end the rest
    for event in events:
        if tells(event) == "ending":
            for row in event.rows.tolist():
                stream, line = int(rows.stream[row]), int(rows.line[row])
                ended[stream] = min(line, ended.get(stream, line))
    fresh: list[Event] = []
    for event in events:
        if tells(event) != "death" or event.role != "root":
            continue
        innocent = []
        for row in event.rows.tolist():
            pid = evidence.groups.get(row, {}).get("pid")
            ranks = about.row(event, row).ranks
            late = int(rows.line[row]) > ended.get(int(rows.stream[row]), 1 << 62)
            if late or pid in asked or pid in forced or any(r in spoke for r in ranks):
                innocent.append(row)
        if not innocent:
            continue
        if len(innocent) == len(event.rows):
            event.role = "consequence"
            event.why.append("the process was asked to end, or had told an error of its own before")
            continue
        guilty = np.setdiff1d(event.rows, innocent)
        other = Event(
            event.id, event.template, event.values, "consequence", event.signature, event.category,
            event.title, event.advice, event.action, np.array(innocent, np.int64),
            ["the process was asked to end, or had told an error of its own before"],
        )  # fmt: skip
        event.rows = guilty
        fresh.append(other)
    events.extend(fresh)


def _time(job: Job, event: Event, progress: Progress) -> int:
    """The time at which an event is first told, in microseconds; late where nothing is known.

    A line without a time of its own is not earlier than the last line before it that has one.
    """
    rows = job.rows
    times = rows.time[event.rows]
    own = rows.own_time[event.rows]
    known = times[own & (times != NONE)]
    bound = progress.last_time
    if known.size:
        return int(known.min())
    known = times[times != NONE]
    if known.size:
        return max(int(known.min()), bound)
    return bound


def _only_after_stop(job: Job, own: list[Event], stops: list[Event], progress: Progress) -> bool:
    """Whether every error came after the job was told to stop: then it was the stop."""
    if not stops:
        return False
    stop = min(_time(job, e, progress) for e in stops)
    if stop == NONE:
        return False
    return all(_time(job, e, progress) >= stop for e in own)


def _blame_errors(
    job: Job, own: list[Event], verdict: Verdict, about: _Subjects, progress: Progress
) -> None:
    """The earliest error that is no timeout; a specific message before a general one."""
    verdict.kind = "error"
    specific = [e for e in own if e.weight > -10 or tells(e) == "death"]
    if specific:
        first_specific = min(_time(job, e, progress) for e in specific)
        general = [e for e in own if e not in specific and _time(job, e, progress) < first_specific - 1_000_000]
        candidates = general or specific
    else:
        candidates = own
    first = min(candidates, key=lambda e: (_time(job, e, progress), -e.weight, int(e.rows[0])))
    begun = _time(job, first, progress)
    ranks, nodes = set(about.ranks([first])), set(about.nodes([first]))
    roots = [first]
    for event in own:
        if event is first:
            continue
        mine = set(about.ranks([event]))
        same_kind = event.signature is not None and event.signature == first.signature
        near = _time(job, event, progress) <= begun + CHAIN_S * 1e6 or _time(job, event, progress) == NONE
        if near and (same_kind or (mine and mine <= ranks) or (not mine and set(about.nodes([event])) <= nodes)):
            roots.append(event)
            ranks |= mine
            nodes |= set(about.nodes([event]))
    verdict.roots = roots
    _name(verdict, about, roots, "told the earliest error that is no reaction to another")


def _name(verdict: Verdict, about: _Subjects, events: list[Event], reason: str) -> None:
    """Blame whom ``events`` speak of, unless that is nearly everybody."""
    ranks, nodes = about.ranks(events), about.nodes(events)
    speaking = max(about.n_ranks, about.top.expected or 0)
    n_nodes = len(about.top.nodes)
    if speaking > 1 and len(ranks) >= MOST * speaking:
        verdict.everybody = True
        verdict.notes.append("the same fault on nearly all ranks: no node to blame")
        return
    if not ranks and n_nodes > 1 and len(nodes) >= MOST * n_nodes:
        verdict.everybody = True
        verdict.notes.append("the same fault on nearly all nodes: no node to blame")
        return
    rows_of: dict[str | int, list[int]] = defaultdict(list)
    first_of: dict[str | int, int] = {}
    for event in events:
        for row in event.rows.tolist():
            who = about.row(event, row)
            for name in (*who.ranks, *who.nodes):
                rows_of[name].append(row)
                first_of[name] = min(first_of.get(name, row), row)
    for rank, count in sorted(ranks.items(), key=lambda rc: (first_of[rc[0]], rc[0])):
        verdict.ranks.append((rank, 1.0 if count else 0.0, [reason], rows_of[rank][:8]))
    for node, count in sorted(nodes.items(), key=lambda nc: (-nc[1], first_of[nc[0]], nc[0])):
        verdict.nodes.append((node, 1.0 if count else 0.0, [reason], rows_of[node][:8]))
    if not nodes:
        verdict.notes.append("cannot tell which node: no line names one, and no rank can be mapped to one")


def _blame_numeric(
    job: Job, nan: list[Event], own: list[Event], verdict: Verdict, about: _Subjects
) -> None:
    """The first line with a value that is no number; its rank if it alone says more than the rest."""
    verdict.kind = "numeric"
    rows = np.sort(np.concatenate([e.rows for e in nan]))
    first_time = job.rows.time[rows].min()
    head = rows[: max(2 * about.n_ranks, 8)]
    if first_time != NONE and len(rows) > 1:
        spread = np.diff(np.unique(job.rows.time[rows]))
        window = float(np.median(spread)) * about.n_ranks if spread.size else 0.0
        head = rows[job.rows.time[rows] <= first_time + max(window, 1000.0)][: 2 * about.n_ranks]
    worst = _bad_fields(job, head)
    first_of_rank: dict[int, int] = {}
    event_of = {row: e for e in nan for row in e.rows.tolist()}
    for row in head.tolist():
        ranks = about.row(event_of[row], row).ranks
        if len(ranks) == 1:
            first_of_rank.setdefault(ranks[0], row)
    firsts = list(first_of_rank.values())
    peak = max((worst[row] for row in firsts), default=0)
    guilty = [row for row in firsts if worst[row] == peak]
    alone = 0 < len(guilty) <= max(1, int(FEW * len(firsts))) and len(firsts) > 1
    root_rows = guilty if alone else [int(rows[0])] if not firsts else _first_round(firsts, rows)
    chosen = set(root_rows)
    for event in list(nan):
        mine = [row for row in event.rows.tolist() if row in chosen]
        if not mine:
            event.role = "consequence"
            continue
        if len(mine) < len(event.rows):
            rest = np.setdiff1d(event.rows, mine)
            verdict.events.append(
                Event(
                    event.id, event.template, event.values, "consequence", event.signature, event.category,
                    event.title, event.advice, event.action, rest, ["the value stays no number"],
                )  # fmt: skip
            )
            event.rows = np.array(mine, np.int64)
        event.why.append("the first value that is no number")
        verdict.roots.append(event)
    if alone:
        _name(verdict, about, verdict.roots, "alone had more values that are no numbers, in the first bad iteration")
    else:
        verdict.notes.append("cannot tell which rank had the first bad value: all report it alike")


def _first_round(firsts: list[int], rows: np.ndarray) -> list[int]:
    return firsts or [int(rows[0])]


def _bad_fields(job: Job, rows: np.ndarray) -> dict[int, int]:
    import re

    bad = re.compile(r"(?i)(?<![A-Za-z])(?:nan|[+-]?inf(?:inity)?)(?![A-Za-z])")
    return {row: len(bad.findall(job.content(row))) for row in rows.tolist()}


def _also_deaths(events: list[Event], verdict: Verdict, about: _Subjects) -> None:
    """The death of the very process that hung is part of the root's story."""
    hung = {
        about.evidence.groups.get(row, {}).get("pid") for e in verdict.roots for row in e.rows.tolist()
    } - {None}
    for event in list(events):
        if tells(event) != "death":
            continue
        mine = [row for row in event.rows.tolist() if about.evidence.groups.get(row, {}).get("pid") in hung]
        if not mine:
            continue
        if len(mine) < len(event.rows):
            rest = Event(
                event.id, event.template, event.values, "consequence", event.signature, event.category,
                event.title, event.advice, event.action, np.setdiff1d(event.rows, mine), list(event.why),
            )  # fmt: skip
            events.append(rest)
            event.rows = np.array(mine, np.int64)
        event.why = ["the process that did not react was killed"]
        verdict.roots.append(event)


def _silent(
    job: Job,
    top: Topology,
    about: _Subjects,
    timeouts: list[Event],
    events: list[Event],
    verdict: Verdict,
) -> bool:
    """Some ranks timed out and some did not: blame the silent ones, if they are few."""
    waiting = set(about.ranks(timeouts))
    known = set(about.all_ranks)
    if top.expected is not None:
        known |= set(range(min(top.expected, 100_000)))
    own_words = [e for e in events if tells(e) in (None, "timeout", "lost-peer", "abort")]
    silent = known - set(about.ranks(own_words))
    if not waiting or not silent or len(silent) > FEW * len(known):
        return False
    if len(waiting) < 0.5 * (len(known) - len(silent)):
        return False
    first = int(min(int(e.rows[0]) for e in timeouts))
    reason = "all others timed out waiting, it never said a word"
    for rank in sorted(silent):
        verdict.ranks.append((rank, 1.0, [reason], [first]))
    nodes = Counter(top.node_of_rank[r] for r in silent if r in top.node_of_rank)
    for node, _ in sorted(nodes.items(), key=lambda nc: (-nc[1], nc[0])):
        verdict.nodes.append((node, 1.0, [reason], [first]))
    if not nodes:
        verdict.notes.append("cannot tell which node: the silent ranks cannot be mapped to nodes")
    return True


def _blame_victims(
    job: Job,
    events: list[Event],
    timeouts: list[Event],
    verdict: Verdict,
    about: _Subjects,
    progress: Progress,
) -> None:
    """Only victims speak: the timeouts (or else the earliest cry) are all that is known."""
    verdict.kind = "victims"
    speaking = [e for e in events if e.role == "consequence"]
    pool = timeouts or [e for e in speaking if tells(e) not in ("death", "asked-to-end", "abort")] or speaking
    if not pool:
        pool = events
    first = min(pool, key=lambda e: (_time(job, e, progress), -e.weight, int(e.rows[0])))
    verdict.roots = timeouts if timeouts else [
        e for e in pool if e is first or (e.signature is not None and e.signature == first.signature)
    ]
    named = [e for e in verdict.roots if e.signature is not None and e.signature.names in ("self", "other")]
    if named and not timeouts:
        _name(verdict, about, named, "told the earliest error")
    if not verdict.nodes and not verdict.everybody:
        verdict.notes.append("cannot tell which node: every line is the word of a victim or a launcher")


def _demote(event: Event, verdict: Verdict) -> None:
    if event not in verdict.roots:
        event.role = "consequence"


def _order(job: Job, verdict: Verdict, progress: Progress) -> None:
    rank = {"root": 0, "consequence": 1, "teardown": 2}
    verdict.events.sort(
        key=lambda e: (rank.get(e.role, 3), _time(job, e, progress), -e.weight, int(e.rows[0]), e.id)
    )
    for i, event in enumerate(verdict.events):
        base = {"root": 1.0, "consequence": 0.5, "teardown": 0.2}.get(event.role, 0.1)
        event.score = round(base / (1 + 0.05 * i), 4)
