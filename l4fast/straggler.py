"""Who makes a job slow: the ranks whose own steps became longer, the host that told of it then.

Ranks wait for each other, so the job's iterations do not tell. Three things may: a rank's own
durations that grew while its peers' did not; a wait that grew for all but a rank, for which
they wait; a line of a host (heat, a link, a disk) at the time of the change. Where none
does, nobody is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from l4fast.canonical import plain, shape_id
from l4fast.durations import MOST_TOLD, find_durations, told_of
from l4fast.events import Event, Evidence
from l4fast.job import NONE, Job
from l4fast.readings import Reading, Values
from l4fast.regexes import regex
from l4fast.slow import Slow
from l4fast.subjects import Subjects
from l4fast.templates import Template
from l4fast.topology import Topology
from l4fast.verdict import FEW, Verdict, blame
from l4fast_kernels.counts import modified_z

MIN_PEERS = 6  # fewer ranks tell no usual behaviour
MIN_TOLD = 6  # durations of a rank; fewer do not tell before from after
WINDOW = 3  # the fewest of them whose median is taken
MIN_ODDNESS = 3.5  # Iglewicz and Hoaglin's cut
GREW = 1.5  # times as long as before
ALONE = 1.25  # the least of the odd ones' growth over the most of the others'
SHARE = 0.1  # of what an iteration lost; what grew by less cannot be the cause
NEAR_S, NEAR_STEPS = 60.0, 10.0  # a line of a host this long before or after the change may tell why
REPORTS = 3  # of a detector that name the same rank: more than chance
LINES = 4  # shown of each rank
_TELLING = ("hardware", "network", "storage", "resource")
# Detectors that compare the ranks while the job runs, every few minutes, and name the slow ones.
_DETECTORS = frozenset(["nvrx-slow-score", "nvrx-straggler"])
_NAMED = ("rank", "node", "code")
CANNOT_TELL = "cannot tell which node: no rank's own durations and no line of a host stand out since then"


# Durations that are long where others are late.
_WAIT = regex(
    r"(?i)(?:all[-_ ]?(?:reduce|gather|to[-_ ]?all)|reduce[-_ ]?scatter|broadcast|barrier|collective|\bcomm"
    r"|sync|\brecv|\breceiv|\bwait|\bidle)"
)


@dataclass(frozen=True)
class Odd:
    """The ranks that stand alone in the ``nth`` durations of one shape's lines.

    ``text`` are the words that tell what these are of, ``gap`` is how far they stand off, as a factor,
    ``waits`` says that the others wait for them.
    """

    shape: int
    nth: int
    text: str
    ranks: tuple[int, ...]
    gap: float
    seconds: float
    peers_s: float
    waits: bool


def judge(job: Job, top: Topology, templates: Mapping[str, Template], heard: Evidence, slow: Slow) -> Verdict:
    """Name who makes the job slow, with the lines that show it.

    ``heard`` holds all that known lines tell, also what the job went on after.
    """
    about = Subjects(job, top, heard)
    effects: list[Event] = []
    odd = odd_ones(job, top, slow)
    hosts = _of_hosts(job, about, heard, slow)
    verdict = Verdict([], [], kind="slow", root_time=slow.time, about=about)
    if odd is not None:
        nodes = {top.node_of_rank.get(rank) for rank in odd.ranks} - {None}
        hosts = [e for e in hosts if nodes & set(about.nodes([e]))]
        own = _own_lines(job, top, templates, odd, slow)
        verdict.roots = hosts or own  # a host's line tells why; what is slow there is its effect
        effects = [replace(e, role="consequence") for e in own] if hosts else []
        _name(job, top, verdict, odd, own)
    elif hosts:
        verdict.roots = hosts
        if about.share(hosts) <= FEW:
            blame(verdict, about, hosts, "told of what slows a host when the job became slow")
        else:
            verdict.notes.append("cannot tell which node: the lines that tell why are many nodes'")
    else:
        verdict.notes.append(CANNOT_TELL)
    verdict.events = [*verdict.roots, *effects]
    for i, event in enumerate(verdict.events):
        event.score = round(1.0 / (1 + 0.05 * i), 4)
    return verdict


def named_often(job: Job, rows_in: np.ndarray) -> bool:
    """Whether a detector of the job's own names the same rank again and again in ``rows_in`` (bool[n])."""
    for raw, note in enumerate(job.notes):
        for signature in note.failures:
            if signature.id not in _DETECTORS:
                continue
            mine = job.rows_of_raw(raw)
            different, code = Reading(job, mine[rows_in[mine]], signature.regex).distinct(_NAMED)
            named: Counter[Values] = Counter()
            for values, count in zip(different, np.bincount(code, minlength=len(different)), strict=True):
                if not signature.when or any(case.fits(dict(values)) for case in signature.when):
                    named[tuple(value for value in values if value[0] != "code")] += int(count)
            if any(whom and count >= REPORTS for whom, count in named.items()):
                return True
    return False


def _ranks(top: Topology) -> np.ndarray:
    """Return the rank of each speaker, int64[n], -1 where it is not known."""
    return np.array([-1 if rank is None else rank for rank in top.rank], np.int64)


def odd_ones(job: Job, top: Topology, slow: Slow) -> Odd | None:
    """Return the ranks that stand alone in how their own durations grew, if some do."""
    lost = slow.after_s - slow.before_s
    told = job.durations
    rank_of = _ranks(top)
    known = (
        (rank_of[told.speaker] >= 0) & (told.count >= MIN_TOLD) if told.speaker.size else np.zeros(0, bool)
    )
    best: Odd | None = None
    which = told.shape.astype(np.int64) * MOST_TOLD + told.nth
    for key in np.unique(which[known]).tolist():
        shape, nth = divmod(key, MOST_TOLD)
        mine = np.flatnonzero(known & (which == key))
        mine = mine[np.argsort(told.count[mine], kind="stable")]
        mine = mine[::-1]  # of a rank with several speakers, the one that told most
        ranks, first = np.unique(rank_of[told.speaker[mine]], return_index=True)
        if len(ranks) < MIN_PEERS:
            continue
        at = mine[first]
        before, after = before_and_after(told.head[at], told.tail[at], told.count[at], slow.share)
        found = stands_alone(before, after, lost)
        if found is None:
            continue
        alone, gap, waits = found
        text = _words_of(job, shape, nth)
        if waits and _WAIT.search(text) is None:
            continue  # what all but a few do more slowly, such as reading files, is not their fault
        odd = Odd(
            shape,
            nth,
            text,
            tuple(ranks[alone].tolist()),
            gap,
            float(np.median(after[alone])),
            float(np.median(after[~alone])),
            waits,
        )
        if best is None or _worth(odd) > _worth(best):
            best = odd
    return best


def _worth(odd: Odd) -> tuple[int, float]:
    """A rank's own work tells more than the wait of the others for it, and that more than its own wait."""
    return (1 if odd.waits else 0 if _WAIT.search(odd.text) else 2, odd.gap)


def _words_of(job: Job, shape: int, nth: int) -> str:
    """Return what the ``nth`` durations of a shape's lines are of, in the words of the first of them."""
    raw = next(raw for raw in job.raws if raw.shape == shape)
    both = plain(raw.lead + raw.content)[:2000]
    return told_of(both, nth) if len(find_durations(both)) > 1 else job.shapes[shape].text


def before_and_after(
    head: np.ndarray, tail: np.ndarray, count: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the medians of each rank's durations before and since the change, float64[n] each.

    Parameters
    ----------
    head, tail, count
        As in `Durations`; at least `WINDOW` were told.
    share : float
        Of the iterations, those since the change: few durations fall on either side of it.
    """
    width = head.shape[1]
    k = np.arange(width)[None, :]
    n_before = (count * (1.0 - share)).astype(np.int64).clip(WINDOW, width)[:, None]
    n_after = (count * share).astype(np.int64).clip(WINDOW, width)[:, None]
    latest = np.take_along_axis(tail, (count[:, None] - 1 - k) % width, axis=1)
    before = np.nanmedian(np.where(k < n_before, head, np.nan), axis=1)
    after = np.nanmedian(np.where(k < n_after, latest, np.nan), axis=1)
    return before, after


def stands_alone(before: np.ndarray, after: np.ndarray, lost: float) -> tuple[np.ndarray, float, bool] | None:
    """Return which ranks stand alone (bool[n]), by what factor, and whether it is the others that wait.

    Parameters
    ----------
    before, after : float64[n]
        Seconds of a rank's step, in the first and in the last iterations.
    lost : float
        Seconds that an iteration of the job lost.
    """
    least = max(SHARE * lost, 1e-6)
    growth = np.log((after + least / 10) / (before + least / 10))
    score = modified_z(np.rint(1000 * growth).astype(np.int64)[:, None])[:, 0]
    grew = (growth >= np.log(GREW)) & (after - before >= least)
    for alone, sign in ((grew & (score > MIN_ODDNESS), 1.0), (~grew & (score < -MIN_ODDNESS), -1.0)):
        if not alone.any() or alone.mean() > FEW:
            continue
        if sign < 0 and not grew[~alone].all():
            continue
        gap = float((sign * growth[alone]).min() - (sign * growth[~alone]).max())
        if gap >= np.log(ALONE):
            return alone, float(np.exp(gap)), sign < 0
    return None


def _of_hosts(job: Job, about: Subjects, heard: Evidence, slow: Slow) -> list[Event]:
    """Return the known lines of hosts, links and disks that began when the job became slow."""
    rows = job.rows
    near = int(max(NEAR_S, NEAR_STEPS * (slow.before_s if slow.period is None else 0.0)) * 1e6)
    first: dict[tuple[str, tuple[str, ...]], int] = {}
    often: Counter[tuple[str, tuple[str, ...]]] = Counter()
    told: list[tuple[Event, np.ndarray, list[tuple[str, tuple[str, ...]]]]] = []
    for event in heard.events:
        if event.signature is None or not (event.category or "").startswith(_TELLING):
            continue
        mine = event.rows
        if event.signature.id not in _DETECTORS:  # of a report's lines the first alone has a time
            mine = mine[rows.own_time[mine] & (rows.time[mine] != NONE)]
        whom = [(event.signature.id, about.row(event, row).nodes) for row in mine.tolist()]
        for key, time in zip(whom, rows.time[mine].tolist(), strict=True):
            first[key] = min(time, first.get(key, time))
        often.update(whom)
        told.append((event, mine, whom))
    found = []
    for event, mine, whom in told:
        # What a host said long before is not why; what it began to say long after is not either.
        good = [slow.time != NONE and abs(first[key] - slow.time) <= near for key in whom]
        late = event.signature is not None and event.signature.id in _DETECTORS
        if late:  # it reports every few minutes: the first after the change may be far from it
            since_then = [NONE in (first[key], slow.time) or first[key] >= slow.time - near for key in whom]
            good = [began and often[key] >= REPORTS for began, key in zip(since_then, whom, strict=True)]
        if any(good):
            since = f"iteration {slow.iteration}, the first slow one"
            how = "told again and again since" if late else f"began within {near / 1e6:.0f} s of"
            why = [f"{how} {since}"]
            found.append(replace(event, rows=mine[np.array(good)], role="root", why=why))
    return sorted(found, key=lambda e: (-e.weight, int(rows.time[e.rows].min()), int(e.rows[0])))


def _own_lines(
    job: Job, top: Topology, templates: Mapping[str, Template], odd: Odd, slow: Slow
) -> list[Event]:
    """Return the first line of each odd rank that stands out since the change, as one event."""
    rows = job.rows
    if odd.waits:
        return []
    rank_of = np.array([-1 if r is None else r for r in top.rank], np.int64)
    mine = (rows.striking >> odd.nth) & 1 != 0
    mine &= (rows.shape == odd.shape) & np.isin(rank_of[rows.speaker], np.array(odd.ranks))
    if slow.time != NONE:
        margin = int(NEAR_S * 1e6)
        mine &= (rows.time == NONE) | (rows.time >= slow.time - margin)
    found = np.flatnonzero(mine)
    # The first of each rank shows it; that the later ones are slow too goes without saying.
    found = np.sort(found[np.unique(rank_of[rows.speaker[found]], return_index=True)[1]])
    if found.size == 0:
        return []
    template = templates[job.shapes[odd.shape].text]
    why = f"takes {odd.seconds:.3g} s since iteration {slow.iteration}, on other ranks {odd.peers_s:.3g} s"
    return [
        Event(
            id=shape_id(f"{template.text}\x00slow"),
            template=template,
            values=(),
            role="root",
            signature=None,
            category=None,
            title="A rank's own step became longer than its peers'",
            advice="Compare that host with others: heat, clocks, PCIe width, its disk, other programs.",
            action=None,
            rows=found,
            tells=None,
            why=[why],
        )
    ]


def _name(job: Job, top: Topology, verdict: Verdict, odd: Odd, own: list[Event]) -> None:
    """Put the odd ranks and their nodes into the verdict, each with the lines that show it."""
    rows = job.rows
    text = odd.text.strip()
    text = text[:80] if text == job.shapes[odd.shape].text else text[-40:]  # what is told ends it
    if odd.waits:
        reason = f"is waited for: {text!r} takes the others {odd.peers_s:.3g} s, and it {odd.seconds:.3g} s"
    else:
        reason = f"takes {odd.seconds:.3g} s for {text!r}, its peers {odd.peers_s:.3g} s"
    shown = np.concatenate([e.rows for e in own]) if own else np.flatnonzero(rows.shape == odd.shape)
    rank_of = _ranks(top)[rows.speaker[shown]]
    shown = shown[np.argsort(rank_of, kind="stable")]
    low, high = (np.searchsorted(np.sort(rank_of), odd.ranks, side=side) for side in ("left", "right"))
    score = round(1.0 - 0.5 / odd.gap, 4)
    lines = {r: shown[a:b][-LINES:].tolist() for r, a, b in zip(odd.ranks, low, high, strict=True)}
    verdict.ranks = [(rank, score, [reason], lines[rank]) for rank in odd.ranks]
    of_node: dict[str, list[int]] = {}
    for rank in odd.ranks:
        node = top.node_of_rank.get(rank)
        if node is not None:
            of_node.setdefault(node, []).append(rank)
    for node, mine in sorted(of_node.items(), key=lambda item: (-len(item[1]), item[1][0])):
        who = f"rank {mine[0]}" if len(mine) == 1 else f"{len(mine)} of its {len(top.ranks_of(node))} ranks"
        heard = [r for e in verdict.roots if e.signature is not None for r in e.rows.tolist()]
        there = [r for r in heard if verdict.about and node in verdict.about.row(verdict.roots[0], r).nodes]
        evidence = [*there[:LINES], *(r for rank in mine for r in lines[rank][:1])][:8]
        verdict.nodes.append((node, score, [f"{who}: {reason}"], evidence))
    if not of_node:
        verdict.notes.append("cannot tell which node: no line says on which node the slow ranks run")
