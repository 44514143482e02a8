"""The failure library as pages to read: a table of contents, and a page for each signature."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

from l4fast.cascade import between, kinds, named_by
from l4fast.errors import UsageError
from l4fast.signature import CATEGORIES, ROLES, Case, Effect, Signature, fits

MOST_NAMED = 12  # signatures in a line of a page; the rest are counted
_HEADING = 16  # characters before the text of a page
# These are copied by those who read them: they stay on one line, however long.
_WHOLE = ("pattern", "matches", "spares")
_ROW = ("id", "title", "role", "category", "stage", "marker", "tells", "by", "names", "weight", "action")

_ROLE = {
    "root": "began a failure by itself",
    "consequence": "a victim's cry, or a launcher's reaction",
    "teardown": "noise of the clean-up",
    "benign": "harmless, though it may sound bad",
    "context": "neutral: a frame, a box, advice",
    "marker": "marks where the job stands",
}
_NAMES = {
    "self": "who writes the line",
    "other": "whom the line names (rank, host, peer, bus id)",
    "victim": "the line names a victim, the culprit is another",
    "none": "nobody",
}
_PLACE = {"process": "in the same process", "node": "on the same node", "job": "anywhere in the job"}


def chosen(
    signatures: Iterable[Signature], *, category: str | None, role: str | None, words: Sequence[str]
) -> list[Signature]:
    """Return the signatures of a category (or of all below it) and role that hold all ``words``.

    A word with ``*`` in it is a form of the id; any other is looked for in the id, the title, the
    source and the lines that the signature must match.

    Raises
    ------
    UsageError
        There is no such category or role.
    """
    if category is not None and not any(c == category or c.startswith(f"{category}.") for c in CATEGORIES):
        raise UsageError(f"no category {category!r}: choose one of {', '.join(CATEGORIES)}")
    if role is not None and role not in ROLES:
        raise UsageError(f"no role {role!r}: choose one of {', '.join(ROLES)}")
    return [
        s
        for s in signatures
        if (category is None or _is_of(s, category))
        and (role is None or s.role == role)
        and all(_holds(s, word) for word in words)
    ]


def _holds(signature: Signature, word: str) -> bool:
    if "*" in word:
        return _is_called(signature, word)
    about = (signature.id, signature.title, signature.source, *signature.matches)
    return any(word.lower() in text.lower() for text in about)


def _is_called(signature: Signature, name: str) -> bool:
    return fits(signature.id.lower(), name.lower())


def _is_of(signature: Signature, category: str) -> bool:
    mine = {signature.category, *(case.category for case in signature.when)}
    return any(one is not None and (one == category or one.startswith(f"{category}.")) for one in mine)


def contents(signatures: Sequence[Signature], headings: Mapping[str, str]) -> list[str]:
    """Return a table of contents: a chapter a file, under its heading; roots first, marks last."""
    if not signatures:
        return ["no signature is like that (`l4fast signatures list` names all)"]
    chapters: dict[str, list[Signature]] = {}
    for signature in signatures:
        chapters.setdefault(signature.file, []).append(signature)
    width = max(len(s.id) for s in signatures)
    lines: list[str] = []
    for file in sorted(chapters):
        mine = sorted(chapters[file], key=lambda s: (ROLES.index(s.role), s.id))
        heading = headings.get(file)
        lines += ["", f"{file.removesuffix('.toml')} ({len(mine)}){f': {heading}' if heading else ''}"]
        lines += [f"  {s.id:<{width}}  {s.marker or s.role:<19}  {s.title}" for s in mine]
    n = len(signatures)
    lines += ["", f"{n} signature{'' if n == 1 else 's'} (`l4fast signatures show ID` tells all of one)"]
    return lines[1:]


def find(signatures: Mapping[str, Signature], names: Iterable[str]) -> list[Signature]:
    """Return the signatures that have one of the names, each once; ``*`` stands for any characters.

    Raises
    ------
    UsageError
        A name names none; the sentence tells some that are called alike.
    """
    found: dict[str, Signature] = {}
    for name in names:
        mine = {s.id: s for s in signatures.values() if _is_called(s, name)}
        if not mine:
            raise UsageError(f"no signature is called {name!r}: {_alike(signatures, name)}")
        found |= {one: mine[one] for one in sorted(mine) if one not in found}
    return list(found.values())


def _alike(signatures: Mapping[str, Signature], name: str) -> str:
    close = get_close_matches(name.lower(), signatures, n=3, cutoff=0.6)
    close += [one for one in sorted(signatures) if name.lower() in one and one not in close][: 5 - len(close)]
    return f"did you mean {', '.join(close)}?" if close else "`l4fast signatures list` names all"


def laid_out(pairs: Iterable[tuple[str, str]], width: int | None) -> list[str]:
    """Return the lines of a page, its texts no wider than ``width`` (None: as long as they are)."""
    lines = []
    heading = ""
    for name, text in pairs:
        heading = name or heading
        room = None if width is None or heading in _WHOLE else max(40, width - _HEADING)
        rows = textwrap.wrap(text, room, break_on_hyphens=False) if room else [text]
        for i, row in enumerate(rows or [""]):
            lines.append(f"  {name if i == 0 else '':<{_HEADING - 4}}  {row}".rstrip())
    return lines


def as_row(signature: Signature) -> dict[str, Any]:
    """Return what a list tells of a signature as JSON."""
    keys = (*_ROW, "advice", "source", "file")
    return {**{key: getattr(signature, key) for key in keys}, "kind": signature.kind}


def page(signature: Signature, signatures: Mapping[str, Signature]) -> list[tuple[str, str]]:
    """Return what is known of a signature as (heading, line) pairs; a heading may be empty."""
    about = [("title", signature.title), ("role", f"{signature.role}: {_ROLE[signature.role]}")]
    if signature.marker is not None:
        about.append(("marks", f"{signature.marker}{f' ({signature.stage})' if signature.stage else ''}"))
    if signature.category is not None:
        about.append(("category", signature.category))
    if signature.kind is not None:
        about.append(("word of", _kind_title(signature)))
    if signature.marker is None and signature.kind is not None:
        about.append(("culprit", _NAMES[signature.names]))
    about += _advice(signature)
    about += [(("depends on" if i == 0 else ""), _case(case)) for i, case in enumerate(signature.when)]
    about += _causes(signature, signatures) + _effects(signature, signatures)
    about += [("source", signature.source), ("file", signature.file), ("pattern", signature.pattern)]
    about += [(("matches" if i == 0 else ""), line) for i, line in enumerate(signature.matches)]
    about += [(("spares" if i == 0 else ""), line) for i, line in enumerate(signature.spares)]
    return about


def _kind_title(signature: Signature) -> str:
    known = kinds().get(signature.kind or "")
    title = known.title if known else "a process that was asked to end"
    return f"{title}{'; only victims say it' if signature.is_victims else ''}"


def _advice(signature: Signature) -> list[tuple[str, str]]:
    found = []
    if signature.action is not None:
        found.append(("action", signature.action))
    if signature.lasting is not None:
        found.append(("lasting", signature.lasting))
    if signature.advice:
        found.append(("advice", signature.advice))
    return found


def _case(case: Case) -> str:
    values = " and ".join(f"{group} {' '.join(wanted)}" for group, wanted in case.values)
    told = [case.title, case.role, case.category, case.action, case.advice]
    return f"{values}: {'; '.join(one for one in told if one)}"


def _causes(signature: Signature, signatures: Mapping[str, Signature]) -> list[tuple[str, str]]:
    if signature.kind is None:
        return []
    own = [
        cause.id
        for cause in signatures.values()
        if cause.explains and any(edge.effect == signature.id for edge in named_by(cause, [signature]))
    ]
    lines = [_some(own)] if own else []
    for kind in kinds().values():
        if any(f"tells:{signature.kind}" in effect.what for effect in kind.explains):
            lines.append(f"any {_count(kind.name, signatures)}")
    return [(("explained by" if i == 0 else ""), line) for i, line in enumerate(lines)]


def _effects(signature: Signature, signatures: Mapping[str, Signature]) -> list[tuple[str, str]]:
    lines = []
    for effect in signature.explains:
        ids = [
            s.id
            for s in signatures.values()
            if (e := between(signature, s)) and _is_from(e.after_s, effect, s)
        ]
        lines.append(f"{_some(ids)}, {_PLACE[effect.where]}, {_delay(effect.after_s)}")
    known = kinds().get(signature.kind or "")
    for effect in known.explains if known else ():
        named = [what.removeprefix("tells:") for what in effect.what]
        told = ", ".join(_count(name, signatures) for name in named)
        lines.append(f"{told}, {_PLACE[effect.where]}, {_delay(effect.after_s)}")
    return [(("explains" if i == 0 else ""), line) for i, line in enumerate(lines)]


def _is_from(after_s: tuple[float, float], effect: Effect, target: Signature) -> bool:
    named = any(fits(target.id, what) or what == f"tells:{target.kind}" for what in effect.what)
    return named and after_s == effect.after_s


def _count(kind: str, signatures: Mapping[str, Signature]) -> str:
    n = sum(s.kind == kind for s in signatures.values())
    known = kinds().get(kind)
    return f"{known.title if known else 'a process that was asked to end'} ({kind}, {n})"


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    return (", ".join(ids[:MOST_NAMED]) or "nothing known") + more


def _delay(after_s: tuple[float, float]) -> str:
    least, most = (f"{s:g} s" if s < 120 else f"{s / 60:g} min" for s in after_s)
    return f"within {most}" if after_s[0] == 0 else f"{least} to {most} later"


def as_object(signature: Signature, signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """Return a signature as JSON tells it, with the ids that explain it and that it explains."""
    told = asdict(signature)
    told["when"] = [
        {**asdict(case), "values": {k: list(v) for k, v in case.values}} for case in signature.when
    ]
    told["kind"], told["victims_only"] = signature.kind, signature.is_victims
    told["explains"] = [asdict(edge) for s in signatures.values() if (edge := between(signature, s))]
    told["explained_by"] = [asdict(edge) for s in signatures.values() if (edge := between(s, signature))]
    return told
