"""Who began it, or that nobody can tell.

The rules of DESIGN section 6 are asked in order, and the first that answers wins: a line that
names the culprit; the silent ones among many that timed out; the earliest error that is no
timeout; the end of the wait-for chain.
"""

from __future__ import annotations

from collections.abc import Mapping

from l4fast.absent import blame_absent
from l4fast.collectives import busy, laggard, mismatch
from l4fast.deaths import also_deaths, first_death, settle_deaths, settle_echoes, unexplained_deaths
from l4fast.events import Event, Evidence
from l4fast.explain import SKEW_S, edge, explain
from l4fast.job import NONE, Job
from l4fast.numeric import blame_numeric, outlived
from l4fast.outlasted import without_habits, without_last_words
from l4fast.quarrels import accused, all_lost_one
from l4fast.recovered import settle_passed
from l4fast.stops import is_answer, only_after, only_before_stop, orders, stood_still, told_to_end
from l4fast.subjects import LATE, Clock, Subjects
from l4fast.temporal import Progress
from l4fast.topology import Topology
from l4fast.verdict import ENDED, FEW, Verdict, blame, is_everybodys
from l4fast.victims import blame_outlier, blame_victims, silent_beside, silent_ones

GUESS = -10  # signatures of so small a weight are words that any program may use
ABORTED = ("-6", "134")
CHAIN_S = 5.0  # errors of the culprit's own ranks within this time belong to one story


def judge(job: Job, top: Topology, evidence: Evidence, progress: Progress, *, hung: bool = False) -> Verdict:
    """Order the events by what they tell, assign their roles, and name the culprit."""
    events = evidence.events
    if not events:
        verdict = Verdict([], [])
        if hung:
            verdict.kind = "hang"
            blame_outlier(job, top, verdict)
        return verdict
    about = Subjects(job, top, evidence)
    settle_deaths(events, about)
    settle_passed(job, events)
    verdict = Verdict(events, [], about=about)
    clock = Clock(job, events, about, progress)
    settle_echoes(events, about, clock)
    nan = [e for e in events if e.category == "numeric" and e.role == "root"]
    reactions = ("hang", "stop", "timeout", "lost-peer")
    known = any(e.grave and e.weight > GUESS for e in events)
    # Beside known words of victims, an error that no signature knows is asked after what they tell.
    odd = [e for e in events if e.signature is None and e.role == "root" and e.tells is None and known]
    own = [
        e for e in events if e.role == "root" and e.tells not in reactions and e not in nan and e not in odd
    ]
    if known:
        own = [e for e in own if e.grave]  # a warning of an error is none beside one that came
    if progress.last_completed is not None:
        own = [e for e in own if not _is_of_launch(e, clock)] or own
    hangs = [e for e in events if e.tells == "hang"]
    stops = [e for e in events if e.tells == "stop" and not is_answer(e, events, about, clock)]
    timeouts = [e for e in events if e.tells == "timeout"]
    own = without_last_words(without_habits(own, about, clock), timeouts, about)
    lost = [e for e in events if e.tells == "lost-peer"]
    silent = unexplained_deaths(events, about, clock) if not own else []
    silent = _without_victims(silent, events, about, clock)
    first_own = min((clock.of(e) for e in own), default=LATE)
    first_nan = min((clock.of(e) for e in nan), default=LATE)
    device = [e for e in own if e.names_culprit and (e.category or "").startswith("hardware")]
    still = bool(stops) and stood_still(stops, progress, clock)
    # Who ended the job may have done so because it hung: only a scheduler has reasons of its own.
    told = told_to_end(stops, about, clock)
    asked = bool(hangs) and all(e.by == "launcher" for e in stops)
    cries = [*hangs, *silent, *timeouts, *lost]
    broken = any(clock.of(e) <= first_nan + 60_000_000 for e in device)
    if nan and first_nan <= first_own and not broken and not (own and outlived(job, nan, progress)):
        blame_numeric(job, nan, verdict, about, progress)
    elif own and not only_after(own, stops, about, clock):
        _blame_errors(own, verdict, about, clock)
        _supplement(events, verdict, about, clock, told)
    elif cries and not (still or asked) and only_after(cries, stops, about, clock, SKEW_S):
        verdict.kind = "stop"
        verdict.roots = orders(events, stops, clock)
    elif hangs and about.share(hangs) <= FEW:
        verdict.kind = "hang"
        verdict.roots = hangs
        blame(verdict, about, hangs, "stands still, as those say who watch it or tried to end it")
        also_deaths(events, verdict, about)
    elif silent and about.share(silent) <= FEW:
        verdict.kind = "error"
        verdict.roots = silent
        blame(verdict, about, silent, "ended without a word while the others went on")
    elif began := _began(
        [e for e in odd if not only_after([e], stops, about, clock)], [*timeouts, *lost], about, clock
    ):
        _blame_errors(began, verdict, about, clock)
    elif accused(events, verdict, about, clock, begun=progress.last_completed is not None, told=told):
        verdict.kind = "peer"
    elif timeouts and mismatch(job, about, timeouts, verdict):
        verdict.kind = "mismatch"
    elif timeouts and (
        laggard(job, about, timeouts, events, verdict)
        or silent_ones(top, about, timeouts, events, verdict)
        or silent_beside(about, timeouts, events, verdict)
    ):
        verdict.kind = "hang"
        _excuse_busy(verdict, about, timeouts, progress)
    elif lost and silent_ones(top, about, lost, events, verdict):
        verdict.kind = "hang"
    elif still:
        verdict.kind = "stall"
        verdict.roots = stops
        blame_outlier(job, top, verdict)
    elif stops and not only_before_stop([*timeouts, *lost], stops, about, clock):
        verdict.kind = "stop"
        verdict.roots = orders(events, stops, clock)
    elif own:
        _blame_errors(own, verdict, about, clock)
    else:
        blame_victims(events, timeouts, verdict, about, clock)
    for event in events:
        if event in verdict.roots:
            event.role = "root"
        elif event.role == "root":
            event.role = "consequence"
    times = [t for t in (clock.of(e) for e in verdict.roots) if t != LATE]
    verdict.root_time = min(times, default=NONE)
    _order(verdict, clock)
    explain(verdict.roots, verdict.events, about, clock)
    return verdict


def _is_of_launch(event: Event, clock: Clock) -> bool:
    """Whether a scheduler told, nobody knows when, what keeps a job from its start."""
    begins = event.signature is not None and event.signature.stage == "launch"
    return begins and event.by == "scheduler" and clock.of(event) == LATE


def _without_victims(deaths: list[Event], events: list[Event], about: Subjects, clock: Clock) -> list[Event]:
    """Return the silent deaths that are no further victim's, whose last words may be lost.

    A watchdog aborts its own process; who raises an error because of others ends with 1. A launcher
    ends the rest of a node of which one process ended.
    """
    first = min((clock.of(e) for e in events if e.tells in ("timeout", "lost-peer")), default=LATE)
    if first == LATE:
        return deaths

    def code(event: Event) -> str | None:
        return dict(event.values).get("exit_code")

    def is_victim(death: Event) -> bool:
        if code(death) == "-15":
            return told or set(about.nodes([death])) <= ended
        return code(death) in ABORTED or (code(death) == "1" and clock.of(death) + SKEW_S * 1e6 > first)

    told = any(e.tells in ("stop", "ending", "asked-to-end") for e in events)
    ended = set(about.nodes(e for e in events if e.tells == "death" and code(e) not in ENDED))
    return [death for death in deaths if not is_victim(death)]


def _began(odd: list[Event], victims: list[Event], about: Subjects, clock: Clock) -> list[Event]:
    """Return the errors that no signature knows, said by few and not after the first victim's word."""
    dated = [e for e in victims if about.job.rows.own_time[e.rows].any()]
    first = min((clock.of(e) for e in dated or victims), default=LATE)
    early = [e for e in odd if clock.of(e) <= first + SKEW_S * 1e6 and clock.of(e) != LATE]
    return [
        e for e in early if e.grave and (about.ranks([e]) or about.nodes([e])) and about.share([e]) <= FEW
    ]


def _excuse_busy(verdict: Verdict, about: Subjects, timeouts: list[Event], progress: Progress) -> None:
    """A rank that did its own work while the others waited for it is not stuck, nor is its node.

    Before the first iteration rank 0 downloads, converts and builds indices while all others wait.
    """
    ranks = [rank for rank, _, _, _ in verdict.ranks]
    alone = ranks == [0] and progress.last_completed is None
    if alone or (ranks and busy(about.job, about, timeouts, progress).issuperset(ranks)):
        reason = "prepares alone what all wait for" if alone else "went on with its own work meanwhile"
        verdict.kind = "busy"
        verdict.nodes = []
        verdict.ranks = [(rank, 0.6, [reason], rows) for rank, _, _, rows in verdict.ranks]
        verdict.notes.append("the rank that all waited for may have been at work: no node to blame")


def _blame_errors(own: list[Event], verdict: Verdict, about: Subjects, clock: Clock) -> None:
    """The earliest error that is no timeout; within the skew of clocks, the one that says most."""
    verdict.kind = "error"
    # What has no time of its own is known to be no earlier than a bound: such may belong to it, not begin it.
    dated = [e for e in own if about.job.rows.own_time[e.rows].any()]
    begun = min(clock.of(e) for e in dated or own)
    near = [e for e in own if clock.of(e) <= begun + SKEW_S * 1e6]
    # Who brought one of them about did so earlier, though no clock tells when.
    undated = [c for c in own if clock.of(c) == LATE and (about.ranks([c]) or about.nodes([c]))]
    near += [c for c in undated if any(edge(c, e, about, clock) is not None for e in near)]
    # What another error brought about elsewhere is later, whatever clocks say.
    echoes = [
        e
        for e in near
        if any(
            edge(c, e, about, clock) is not None
            and (set(about.nodes([c])) != set(about.nodes([e])) or _is_below(e, c, about, clock))
            for c in near
        )
    ]
    near = [e for e in near if e not in echoes] or near
    first = min(
        near,
        key=lambda e: (
            not (about.ranks([e]) or about.nodes([e])),
            *_grade(e),
            e.signature is None and not about.ranks([e]),  # a launcher's summary
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
        victim = event.tells == "death" and not ranks and bool(hosts) and hosts <= nodes
        if same_kind or victim or (mine and mine <= ranks) or (not mine and hosts <= nodes):
            roots.append(event)
            ranks |= mine
            nodes |= hosts
    # That a process died is less than why: an oom-killer's line, say. So is what a program makes of an error
    # that it told itself.
    own_words = [e for e in roots if e.by == "program"]
    echoed = [e for e in own_words if any(edge(c, e, about, clock) is not None for c in own_words)]
    roots.sort(key=lambda e: (e.tells == "death", e in echoed))
    verdict.roots = roots
    if _has_rival(first, near, about, clock):
        verdict.notes.append(
            f"errors on several nodes within {SKEW_S:g} s, as far as clocks may differ: no order can be told"
        )
        return
    blame(verdict, about, roots, "told the earliest error that is no reaction to another")


def _has_rival(first: Event, near: list[Event], about: Subjects, clock: Clock) -> bool:
    """Whether another node told another error, as grave, so soon that clocks cannot tell who began.

    The same error on several nodes is one story: it names them all.
    """
    mine = set(about.nodes([first]))
    for event in near:
        same = event.signature is not None and event.signature == first.signature
        if same or _grade(event) != _grade(first):
            continue
        streams = about.job.rows.stream
        if clock.of(event) == LATE and not (
            clock.of(first) == LATE and streams[event.rows[0]] != streams[first.rows[0]]
        ):
            continue  # without times, the order of lines tells, in one file
        hosts = set(about.nodes([event]))
        if mine and hosts and not hosts & mine:
            return True
    return False


def _is_below(effect: Event, cause: Event, about: Subjects, clock: Clock) -> bool:
    """Whether a cause stands above what it brought about, in the file of both, and cannot be its effect."""
    rows, one, other = about.job.rows, int(cause.rows[0]), int(effect.rows[0])
    above = rows.stream[one] == rows.stream[other] and rows.line[one] < rows.line[other]
    return bool(above) and edge(effect, cause, about, clock) is None


def _grade(event: Event) -> tuple[bool, bool, bool]:
    """How much an error says: one that a signature knows, no mere death, of a device."""
    return (event.weight <= -10, event.tells == "death", not (event.category or "").startswith("hardware"))


def _supplement(
    events: list[Event], verdict: Verdict, about: Subjects, clock: Clock, told_to_end: Mapping[str, int]
) -> None:
    """Where a scheduler or a machine says that a node failed but not which, those who lost it may know."""
    if verdict.nodes or verdict.everybody or about.ranks(verdict.roots):
        return
    if first_death(events, verdict, about):
        return
    told = [
        (e.category or "").startswith(("hardware", "network", "resource")) and not is_everybodys(e)
        for e in verdict.roots
    ]
    if not any(told):
        return
    others = Verdict(events, verdict.roots)
    victims = [e for e in events if any(edge(r, e, about, clock) is not None for r in verdict.roots)]
    if not all_lost_one(victims, others, about) and not accused(
        events, others, about, clock, begun=True, told=told_to_end
    ):
        blame_absent(events, others, about)
    if others.nodes:
        verdict.nodes, verdict.ranks = others.nodes, others.ranks
        verdict.notes = [note for note in verdict.notes if not note.startswith("cannot tell which node")]


def _order(verdict: Verdict, clock: Clock) -> None:
    """Put the most telling first: the roots, then by time on one clock; the role where that is the same."""
    rank = {"root": 0, "consequence": 1, "teardown": 2}
    lead = verdict.roots[0] if verdict.roots else None
    verdict.events.sort(
        key=lambda e: (
            e.role != "root",
            e is not lead,
            clock.of(e),
            rank.get(e.role, 3),
            int(e.rows[0]),
            -e.weight,
            e.id,
        )
    )
    if verdict.kind == "stop":
        # Who said why the job had to end, before who only heard that it had to.
        verdict.events.sort(key=lambda e: -e.weight if e.role == "root" else float("inf"))
    for i, event in enumerate(verdict.events):
        base = {"root": 1.0, "consequence": 0.5, "teardown": 0.2}.get(event.role, 0.1)
        event.score = round(base / (1 + 0.05 * i), 4)
