"""What brings what about: the failure library as a directed graph.

A failure is a cascade: a GPU falls off the bus, its process gets a CUDA error, its peers lose their
connection or time out, launchers end the rest. An edge leads from a signature to one that it
explains, with the place (process, node, job) and the delay. Most edges follow from the kind of word
that a signature is (``cascade.toml``); a signature adds its own under ``explains``. The graph has no
cycle (a test holds it): of two lines that could explain each other, none explains the other.

References
----------
L4 (FSE 2025), section 2: one failure, many failed ranks; DESIGN, section 6, rule 3 (known delays).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from l4fast.errors import SignatureError
from l4fast.signature import KINDS, Effect, Signature, fits
from l4fast.signature_file import effects, fault

KINDS_FILE = Path(__file__).parent / "cascade.toml"


@dataclass(frozen=True)
class Kind:
    """A kind of word and what it explains; see `Signature.kind`."""

    name: str
    title: str
    explains: tuple[Effect, ...]


@dataclass(frozen=True)
class Edge:
    """That ``cause`` explains ``effect`` (ids of signatures), where, and seconds later [least, most]."""

    cause: str
    effect: str
    where: str
    after_s: tuple[float, float]


@cache
def kinds() -> Mapping[str, Kind]:
    """Return the kinds of ``cascade.toml``, causes before effects."""
    tables = tomllib.loads(KINDS_FILE.read_text("utf-8"))
    if set(tables) != set(KINDS) - {"asked-to-end"}:  # which brings nothing about
        raise SignatureError(f"{KINDS_FILE}: not the kinds {', '.join(KINDS)}", str(KINDS_FILE))
    found = {
        name: Kind(name, t["title"], effects(name, t["explains"], KINDS_FILE)) for name, t in tables.items()
    }
    order = list(found)
    for kind in found.values():
        for one in (what for effect in kind.explains for what in effect.what):
            later = one.removeprefix("tells:")
            if later in order and order.index(later) <= order.index(kind.name):
                raise fault(KINDS_FILE, kind.name, "explains.what", f"{one!r} does not stand after it")
    return found


def between(cause: Signature, effect: Signature) -> Edge | None:
    """Return the edge from one signature to another, or None; what it says itself comes first."""
    if cause.id == effect.id or effect.kind is None:
        return None
    kind = kinds().get(cause.kind or "")
    for one in (*cause.explains, *(kind.explains if kind else ())):
        if any(_means(what, effect) for what in one.what):
            return Edge(cause.id, effect.id, one.where, one.after_s)
    return None


def _means(what: str, signature: Signature) -> bool:
    if what.startswith("tells:"):
        return signature.kind == what.removeprefix("tells:")
    return fits(signature.id, what)


def named_by(cause: Signature, signatures: Iterable[Signature]) -> list[Edge]:
    """Return the edges that a signature states itself, in its own order."""
    known = list(signatures)
    found: dict[str, Edge] = {}
    for one in cause.explains:
        for what in one.what:
            for effect in known:
                if effect.id != cause.id and effect.kind is not None and _means(what, effect):
                    found.setdefault(effect.id, Edge(cause.id, effect.id, one.where, one.after_s))
    return list(found.values())


def unknown_targets(cause: Signature, signatures: Mapping[str, Signature]) -> list[str]:
    """Return what a signature explains but no signature is: a slip of the pen."""
    return [
        what
        for one in cause.explains
        for what in one.what
        if not any(s.kind is not None and _means(what, s) for s in signatures.values())
    ]


def cycle(signatures: Mapping[str, Signature]) -> list[str]:
    """Return the ids along a cycle of the whole graph, or an empty list where it has none."""
    mine = [s for s in signatures.values() if s.kind is not None]
    follows = {s.id: [e.id for e in mine if between(s, e) is not None] for s in mine}
    state: dict[str, int] = {}
    for begin in follows:
        path: list[tuple[str, int]] = [(begin, 0)] if begin not in state else []
        while path:
            here, at = path.pop()
            state[here] = 1
            if at == len(follows[here]):
                state[here] = 2
                continue
            path.append((here, at + 1))
            there = follows[here][at]
            if state.get(there) == 1:
                names = [name for name, _ in path]
                return [*names[names.index(there) :], there]
            if there not in state:
                path.append((there, 0))
    return []
