"""Who began it, or that nobody can tell.

Divergence is not guilt: a victim that timed out diverges too. The rules of DESIGN section 6 are
asked in order, and the first that answers wins: a line that names the culprit; the silent ones
among many that timed out; the earliest error that is no timeout; the end of the wait-for chain.
A fault that is the same on nearly all ranks has no culprit.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from l4fast import spatial
from l4fast.events import Event, Evidence, split
from l4fast.job import NONE, Job
from l4fast.subjects import LATE, Clock, Subjects, node_at, tells
from l4fast.temporal import Progress
from l4fast.topology import Topology

MOST = 0.8  # a fault on at least this share of the ranks that speak is everybody's
FEW = 0.34  # at most this share of the ranks may be the silent or hung ones
SKEW_S = 2.0  # clocks of nodes may differ so much: a smaller gap tells no order
NEAR_LINES = 200  # a stack may stand between an error and the launcher's word of it
STILL_MEDIANS, STILL_S = 30.0, 10.0  # medians and seconds without progress: it hung before the stop
CHAIN_S = 5.0  # errors of the culprit's own ranks within this time belong to one story


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
    about: Subjects | None = None


def judge(job: Job, top: Topology, evidence: Evidence, progress: Progress, *, hung: bool = False) -> Verdict:
    """Order the events by what they tell, assign their roles, and name the culprit."""
    events = evidence.events
    if not events:
        verdict = Verdict([], [])
        if hung:
            verdict.kind = "hang"
            _blame_outlier(job, top, verdict)
        return verdict
    about = Subjects(job, top, evidence)
    _settle_deaths(events, about)
    verdict = Verdict(events, [], about=about)
    clock = Clock(job, events, about, progress)
    nan = [e for e in events if e.category == "numeric" and e.role == "root"]
    reactions = ("hang", "stop", "timeout", "lost-peer")
    own = [e for e in events if e.role == "root" and tells(e) not in reactions and e not in nan]
    hangs = [e for e in events if tells(e) == "hang"]
    stops = [e for e in events if tells(e) == "stop"]
    timeouts = [e for e in events if tells(e) == "timeout"]
    lost = [e for e in events if tells(e) == "lost-peer"]
    unexplained = _unexplained(events, about, clock) if not own else []
    first_own = min((clock.of(e) for e in own), default=LATE)
    first_nan = min((clock.of(e) for e in nan), default=LATE)
    device = [e for e in own if e.names_culprit and (e.category or "").startswith("hardware")]
    if nan and first_nan <= first_own and not any(clock.of(e) <= first_nan + 60_000_000 for e in device):
        _blame_numeric(job, nan, verdict, about)
    elif own and not _only_after_stop(own, stops, clock):
        _blame_errors(own, verdict, about, clock)
        _supplement(events, verdict, about)
    elif hangs and about.share(hangs) <= FEW:
        verdict.kind = "hang"
        verdict.roots = hangs
        _name(verdict, about, hangs, "did not react when it was asked to end")
        _also_deaths(events, verdict, about)
    elif unexplained and about.share(unexplained) <= FEW:
        verdict.kind = "error"
        verdict.roots = unexplained
        _name(verdict, about, unexplained, "ended without a word while the others went on")
    elif _accused(events, verdict, about):
        verdict.kind = "peer"
    elif timeouts and _laggard(job, about, timeouts, events, verdict):
        verdict.kind = "hang"
    elif timeouts and _silent(top, about, timeouts, events, verdict):
        verdict.kind = "hang"
        verdict.roots = timeouts
    elif lost and _silent(top, about, lost, events, verdict):
        verdict.kind = "hang"
        verdict.roots = lost
    elif stops and _stood_still(stops, progress, clock):
        verdict.kind = "stall"
        verdict.roots = stops
        _blame_outlier(job, top, verdict)
    elif stops:
        verdict.kind = "stop"
        verdict.roots = stops
    elif own:
        _blame_errors(own, verdict, about, clock)
    else:
        _blame_victims(events, timeouts, verdict, about, clock)
    for event in events:
        if event in verdict.roots:
            event.role = "root"
        elif event.role == "root":
            event.role = "consequence"
    times = [t for t in (clock.of(e) for e in verdict.roots) if t != LATE]
    verdict.root_time = min(times, default=NONE)
    _order(verdict, clock)
    return verdict


def _processes(events: Iterable[Event], about: Subjects, *kinds: str) -> set[tuple[str, str | None]]:
    """Return (process id, node) of the processes that events of these kinds speak of."""
    found: set[tuple[str, str | None]] = set()
    for event in events:
        if tells(event) in kinds:
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


def _settle_deaths(events: list[Event], about: Subjects) -> None:
    """A process that was asked to end, or that told an error of its own, did not begin it by dying."""
    ended_by_others = _processes(events, about, "asked-to-end", "hang")
    spoke = about.ranks(
        e
        for e in events
        if tells(e) in (None, "timeout", "lost-peer", "abort") and e.role in ("root", "consequence")
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
            late = int(rows.line[row]) > ended.get(int(rows.stream[row]), 1 << 62)
            spoken = any(rank in spoke for rank in about.row(event, row).ranks)
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


def _unexplained(events: list[Event], about: Subjects, clock: Clock) -> list[Event]:
    """Deaths of processes that said nothing before, and that nobody had asked to end."""
    asked = _processes(events, about, "asked-to-end", "hang")
    spoke = about.ranks(e for e in events if tells(e) in (None, "timeout", "lost-peer", "abort"))
    if not spoke:
        return []  # nobody said anything: there is no silence to tell apart
    found: list[Event] = []
    for event in list(events):
        code = dict(event.values).get("exit_code")
        if tells(event) != "death" or code in (None, "0", "143"):
            continue
        if code == "-15" and (event.signature is None or event.signature.file != "torchelastic.toml"):
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


def _stood_still(stops: list[Event], progress: Progress, clock: Clock) -> bool:
    """Whether the counter had stopped long before the job was told to end."""
    stop = min(clock.of(e) for e in stops)
    if not progress.timed or progress.median_s is None or stop == LATE or progress.last_time == NONE:
        return False
    return (stop - progress.last_time) / 1e6 > max(STILL_MEDIANS * progress.median_s, STILL_S)


def _only_after_stop(own: list[Event], stops: list[Event], clock: Clock) -> bool:
    """Whether every error came after the job was told to stop: then it was the stop."""
    if not stops:
        return False
    stop = min(clock.of(e) for e in stops)
    return stop != LATE and all(stop <= clock.of(e) < LATE for e in own)


def _blame_errors(own: list[Event], verdict: Verdict, about: Subjects, clock: Clock) -> None:
    """The earliest error that is no timeout; within the skew of clocks, the one that says most."""
    verdict.kind = "error"
    begun = min(clock.of(e) for e in own)
    near = [e for e in own if clock.of(e) <= begun + SKEW_S * 1e6]
    first = min(
        near,
        key=lambda e: (
            not (about.ranks([e]) or about.nodes([e])),
            e.weight <= -10,
            tells(e) == "death",
            not (e.category or "").startswith("hardware"),
            clock.of(e),
            int(e.rows[0]),
            -e.weight,
        ),
    )
    ranks, nodes = set(about.ranks([first])), set(about.nodes([first]))
    roots = [first]
    for event in own:
        if event is first or (
            clock.of(event) > max(clock.of(first), begun) + CHAIN_S * 1e6 and clock.of(event) != LATE
        ):
            continue
        mine, hosts = set(about.ranks([event])), set(about.nodes([event]))
        same_kind = event.signature is not None and event.signature == first.signature
        # A process of the blamed node that was killed, where only the node is known so far.
        victim = tells(event) == "death" and not ranks and bool(hosts) and hosts <= nodes
        if same_kind or victim or (mine and mine <= ranks) or (not mine and hosts <= nodes):
            roots.append(event)
            ranks |= mine
            nodes |= hosts
    # That a process died is less than why: an oom-killer's line, say.
    roots.sort(key=lambda e: tells(e) == "death")
    verdict.roots = roots
    _name(verdict, about, roots, "told the earliest error that is no reaction to another")


def _supplement(events: list[Event], verdict: Verdict, about: Subjects) -> None:
    """Where a scheduler says that a node failed but not which, those who lost it may know."""
    if verdict.nodes or verdict.everybody or about.ranks(verdict.roots):
        return
    if _first_death(events, verdict, about):
        return
    if not any((e.category or "").startswith(("hardware", "network")) for e in verdict.roots):
        return
    heard = Verdict(events, [])
    if _accused(events, heard, about):
        verdict.nodes, verdict.ranks = heard.nodes, heard.ranks
        verdict.notes = [note for note in verdict.notes if not note.startswith("cannot tell which node")]


def _first_death(events: list[Event], verdict: Verdict, about: Subjects) -> bool:
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
        if tells(event) == "death" and event not in verdict.roots
        for row in event.rows.tolist()
        if belongs(event, row)
    ]
    if not deaths:
        return False
    row, event = min(deaths, key=lambda item: item[0])
    who = about.row(event, row)
    if not who.nodes or len(about.top.nodes) < 2 or len(who.ranks) > FEW * about.n_ranks:
        return False
    reason = "its processes were the first to be reported dead"
    verdict.nodes = [(node, 0.7, [reason], [root, row]) for node in who.nodes]
    verdict.ranks = [(rank, 0.6, [reason], [row]) for rank in who.ranks]
    verdict.notes = [note for note in verdict.notes if not note.startswith("cannot tell which node")]
    return True


def _name(verdict: Verdict, about: Subjects, events: list[Event], reason: str) -> None:
    """Blame whom ``events`` speak of, unless that is nearly everybody."""
    ranks, nodes = about.ranks(events), about.nodes(events)
    n_nodes = len(about.top.nodes)
    seen = max(about.all_ranks, default=-1) + 1
    speaking = max(
        about.n_ranks, seen if seen <= 2 * about.n_ranks else 0, n_nodes * (about.top.ranks_per_node or 0)
    )
    if not n_nodes or not about.top.ranks_per_node:
        speaking = max(speaking, about.top.expected or 0)
    told = max((len(e.rows) for e in events), default=0)
    if speaking > 1 and (len(ranks) >= MOST * speaking or (not ranks and told >= MOST * speaking)):
        verdict.everybody = True
        verdict.notes.append("the same fault on nearly all ranks: no node to blame")
        return
    if not ranks and n_nodes > 1 and len(nodes) >= MOST * n_nodes:
        verdict.everybody = True
        verdict.notes.append("the same fault on nearly all nodes: no node to blame")
        return
    rows_of: dict[int | str, list[int]] = defaultdict(list)
    first_of: dict[int | str, int] = {}
    for event in events:
        for row in event.rows.tolist():
            who = about.row(event, row)
            names: list[int | str] = [*who.ranks, *who.nodes]
            for name in names:
                rows_of[name].append(row)
                first_of[name] = min(first_of.get(name, row), row)
    for rank, count in sorted(ranks.items(), key=lambda rc: (first_of[rc[0]], rc[0])):
        verdict.ranks.append((rank, 1.0 if count else 0.0, [reason], rows_of[rank][:8]))
    for node, count in sorted(nodes.items(), key=lambda nc: (-nc[1], first_of[nc[0]], nc[0])):
        verdict.nodes.append((node, 1.0 if count else 0.0, [reason], rows_of[node][:8]))
    if not ranks and len(nodes) == 1:
        _ranks_on(verdict, about, next(iter(nodes)), reason)
    if not nodes:
        verdict.notes.append("cannot tell which node: no line names one, and no rank can be mapped to one")


def _ranks_on(verdict: Verdict, about: Subjects, node: str, reason: str) -> None:
    """Of a node that is to blame, name the ranks that cried out; all of them if none did."""
    mine = about.top.ranks_of(node)
    cried = about.ranks(e for e in verdict.events if tells(e) in (None, "timeout", "lost-peer", "abort"))
    loud = [rank for rank in mine if rank in cried]
    rows = verdict.nodes[0][3] if verdict.nodes else []
    for rank in loud or mine:
        verdict.ranks.append((rank, 0.6, [f"on {node}, which {reason}"], rows))


def _blame_numeric(job: Job, nan: list[Event], verdict: Verdict, about: Subjects) -> None:
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
    if not alone and 0 < len(firsts) <= max(1, int(FEW * about.n_ranks)):
        # An error that a rank raises is its own; a progress line may be the only one printed.
        alone = not any(_is_progress(job, row) for row in firsts)
        alone = alone or all(event_of[row].names_culprit for row in firsts)
        guilty = firsts if alone else guilty
    root_rows = guilty if alone else firsts or [int(rows[0])]
    chosen = set(root_rows)
    for event in list(nan):
        mine = [row for row in event.rows.tolist() if row in chosen]
        if not mine:
            event.role = "consequence"
            continue
        if len(mine) < len(event.rows):
            rest = np.setdiff1d(event.rows, mine)
            verdict.events.append(split(event, rest, "the value stays no number"))
        event.why.append("the first value that is no number")
        verdict.roots.append(event)
    if alone:
        _name(
            verdict,
            about,
            verdict.roots,
            "alone had more values that are no numbers, in the first bad iteration",
        )
    else:
        verdict.notes.append("cannot tell which rank had the first bad value: all report it alike")


def _is_progress(job: Job, row: int) -> bool:
    markers = job.notes[int(job.rows.raw[row])].markers
    return any(s.marker == "progress" and s.weight > -3 for s in markers)


def _bad_fields(job: Job, rows: np.ndarray) -> dict[int, int]:
    bad = re.compile(r"(?i)(?<![A-Za-z])(?:nan|[+-]?inf(?:inity)?)(?![A-Za-z])")
    return {row: len(bad.findall(job.content(row))) for row in rows.tolist()}


def _also_deaths(events: list[Event], verdict: Verdict, about: Subjects) -> None:
    """The death of the very process that hung is part of the root's story."""
    hung = _processes(verdict.roots, about, "hang")
    for event in list(events):
        if tells(event) != "death":
            continue
        mine = [row for row in event.rows.tolist() if _is_among(event, row, about, hung)]
        if not mine:
            continue
        if len(mine) < len(event.rows):
            events.append(split(event, np.setdiff1d(event.rows, mine), ""))
        event.why = ["the process that did not react was killed"]
        verdict.roots.append(event)


def _accused(events: list[Event], verdict: Verdict, about: Subjects) -> bool:
    """Many that lost their connection to one address: the node at that address."""
    accusers: dict[str, set[int | str]] = defaultdict(set)
    rows_of: dict[str, list[int]] = defaultdict(list)
    accusing: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if tells(event) not in ("lost-peer", "timeout"):
            continue
        for row in event.rows.tolist():
            peer = about.evidence.groups.get(row, {}).get("peer")
            target = node_at(about.top, peer)
            if target is None:
                continue
            speaker = int(about.job.rows.speaker[row])
            rank, home = about.top.rank[speaker], about.top.node[speaker]
            if home == target:
                continue
            accusers[target].add(rank if rank is not None else home or speaker)
            rows_of[target].append(row)
            if event not in accusing[target]:
                accusing[target].append(event)
    if not accusers:
        return False
    ranked = sorted(accusers, key=lambda n: (-len(accusers[n]), n))
    first = ranked[0]
    if len(ranked) > 1 and len(accusers[ranked[1]]) * 2 > len(accusers[first]):
        return False
    if about.top.nodes and len(about.top.nodes) < 3 and len(ranked) > 1:
        return False  # of two nodes, each accuses the other
    verdict.roots = accusing[first]
    reason = f"{len(accusers[first])} others lost their connection to it"
    verdict.nodes.append((first, 1.0, [reason], rows_of[first][:8]))
    _ranks_on(verdict, about, first, "lost its connections")
    return True


_GROUP = re.compile(r"\bPG (?:ID )?(\d+)\b")
_ENQUEUED = re.compile(r"(?i)last enqueued (?:nccl )?work: ?(-?\d+)")


def _laggard(job: Job, about: Subjects, timeouts: list[Event], events: list[Event], verdict: Verdict) -> bool:
    """The rank whose last enqueued collective is behind all others (equal numbers prove nothing)."""
    groups: dict[str, dict[int, tuple[int, int, Event]]] = defaultdict(dict)
    for event in events:
        if event.signature is None or tells(event) not in ("timeout", "heard"):
            continue
        for row in event.rows.tolist():
            rank = about.top.rank[int(job.rows.speaker[row])]
            match = _ENQUEUED.search(job.content(row))
            if rank is None or match is None:
                continue
            # Each process group counts its own collectives.
            group = _GROUP.search(job.line_text(int(job.rows.stream[row]), int(job.rows.line[row])) or "")
            behind = groups[group[1] if group else ""]
            number = int(match[1])
            # -1 and numbers of 17 digits are memory that was never set.
            if 0 <= number < 10**15 and (rank not in behind or number > behind[rank][0]):
                behind[rank] = (number, row, event)
    behind = max(groups.values(), key=len, default={})
    if len(behind) < 3:
        return False
    least = min(number for number, _, _ in behind.values())
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
    told = {id(behind[rank][2]): behind[rank][2] for rank in low}
    for event in told.values():
        mine = [rows[r] for r in low if behind[r][2] is event]
        verdict.roots.append(_part(event, np.array(sorted(mine), np.int64), verdict))
    return True


def _part(event: Event, rows: np.ndarray, verdict: Verdict) -> Event:
    """Split some rows off an event: they are its root, the rest is a consequence."""
    if len(rows) < len(event.rows):
        verdict.events.append(split(event, np.setdiff1d(event.rows, rows), ""))
    return event


def _silent(
    top: Topology,
    about: Subjects,
    timeouts: list[Event],
    events: list[Event],
    verdict: Verdict,
) -> bool:
    """Some ranks timed out and some did not: blame the silent ones, if they are few."""
    waiting = set(about.ranks(timeouts))
    known = set(about.all_ranks)
    if top.expected is not None:
        known |= set(range(min(top.expected, 100_000)))
    elif known and max(known) + 1 - len(known) <= FEW * len(known):
        known |= set(range(max(known) + 1))  # a rank that never said a word leaves a gap
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
    events: list[Event], timeouts: list[Event], verdict: Verdict, about: Subjects, clock: Clock
) -> None:
    """Only victims speak: the timeouts (or else the earliest cry) are all that is known."""
    verdict.kind = "victims"
    speaking = [e for e in events if e.role == "consequence"]
    after = ("death", "asked-to-end", "abort", "ending", "heard")
    pool = timeouts or [e for e in speaking if tells(e) not in after] or speaking or events
    first = min(pool, key=lambda e: (clock.of(e), -e.weight, int(e.rows[0])))
    same = [e for e in pool if e is first or (e.signature is not None and e.signature == first.signature)]
    verdict.roots = timeouts or same
    named = [e for e in verdict.roots if e.signature is not None and e.signature.names in ("self", "other")]
    if named and not timeouts:
        _name(verdict, about, named, "told the earliest error")
    if not verdict.nodes and not verdict.everybody:
        _blame_outlier(about.job, about.top, verdict)
    if not verdict.nodes and not verdict.everybody:
        verdict.notes.append("cannot tell which node: every line is the word of a victim or a launcher")


def _blame_outlier(job: Job, top: Topology, verdict: Verdict) -> None:
    """Where no line tells, the rank that fell silent first, or alone behaved unlike its peers."""
    outlier = spatial.silent_first(job, top)
    if outlier is None:
        return
    rows = job.rows
    near = np.flatnonzero((rows.stream == outlier.stream) & (rows.line <= outlier.line))
    evidence = [int(near[-1])] if near.size else []
    for rank in outlier.ranks:
        verdict.ranks.append((rank, 0.5, [outlier.reason], evidence))
    for node in sorted({top.node_of_rank[r] for r in outlier.ranks if r in top.node_of_rank}):
        verdict.nodes.append((node, 0.5, [outlier.reason], evidence))


def _order(verdict: Verdict, clock: Clock) -> None:
    rank = {"root": 0, "consequence": 1, "teardown": 2}
    lead = verdict.roots[0] if verdict.roots else None
    verdict.events.sort(
        key=lambda e: (rank.get(e.role, 3), e is not lead, clock.of(e), int(e.rows[0]), -e.weight, e.id)
    )
    if verdict.kind == "stop":
        # Who said why the job had to end, before who only heard that it had to.
        verdict.events.sort(key=lambda e: (rank.get(e.role, 3), -e.weight if e.role == "root" else 0))
    for i, event in enumerate(verdict.events):
        base = {"root": 1.0, "consequence": 0.5, "teardown": 0.2}.get(event.role, 0.1)
        event.score = round(base / (1 + 0.05 * i), 4)
