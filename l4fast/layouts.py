"""Line prefixes: where time, level, host, rank and the message itself stand in a line.

Launchers, shippers and loggers each put something before a line, and they nest: CRI, then
srun's label, then torchrun's tee, then `[rank3]:`, then glog or Python logging. `peel`
takes them off one by one until none is left.

It is called once per shape, with the *masked* text: every word that holds a digit is one
MASK character. So ``12: x``, ``E12: x`` and ``node07: x`` are peeled alike, and a `Field`
says only *where* something stands and what it may be; the reader of the line decides:

- ``label`` and ``bracket`` may be a task, a rank, a local rank, a host or (Open MPI's
  ``[host:pid]``) a process; only the whole column can tell.
- ``time.us`` is ``M/M/M M:M:M``: the year stands last or, with four digits, first.
- ``time.boot`` is seconds.micros since boot, or microseconds where it has no dot (kmsg);
  a value above 1e9 s is an epoch, since the two are masked alike.
- ``time.dashed`` is ``M-M M:M:M``, month and day without a year;
- ``time.glog`` starts with the level letter, so `Header.level` is None there.

Where several prefixes tell a level, the innermost wins: container platforms stamp all of
stderr as an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from l4fast.canonical import MASK
from l4fast.carriers import CARRIERS
from l4fast.colours import HUSHED_CODE
from l4fast.envelopes import LEVELS, Field, open_json
from l4fast.loggers import LOGGERS
from l4fast.regexes import regex
from l4fast.rule import GLOG, OUTER, TRANSPORT, WORDS, M, Rule

__all__ = ["Field", "Header", "peel"]


@dataclass(frozen=True, slots=True)
class Header:
    """What stands around the content of a line.

    Attributes
    ----------
    fields : tuple of Field
        Ordered, disjoint spans of the masked text.
    level : str or None
        debug, info, warning, error or critical, as far as the masked text shows it.
    layouts : tuple of str
        The prefixes peeled, outermost first.
    start, end : int
        The content is ``masked[start:end]``; what follows ``end`` belongs to an envelope.
    """

    fields: tuple[Field, ...]
    level: str | None
    layouts: tuple[str, ...]
    start: int
    end: int


_MLLOG = regex(rf' *:::MLLOG \{{.{{0,400}}?\\?"time_ms\\?": *(?P<epoch>{M}(?:\.{M})?)')
_HINT = regex(rf"(?:(?:srun|slurmstepd|sbatch|salloc)(?:-[\w{M}.-]+)?: )?(?P<level>(?i:{WORDS})): ")
_REPEATED = regex(
    rf"(?:\x1b\[{HUSHED_CODE})? *\[repeated (?P<repeat>{M}) across cluster\](?: \(Ray deduplicates logs .*)?"
    rf"(?:\x1b\[{HUSHED_CODE})?\s*$"
)
_LOKI_LABEL = regex(r'\b(?P<key>pod|pod_name|node|node_name|host|hostname|container)="(?P<value>[^"]+)"')
_LOKI_KIND = {"pod_name": "pod", "node": "host", "node_name": "host", "hostname": "host"}
_MAX_DEPTH = 16  # prefixes on one line; more would be an attack, not a log


def _dispatch(indented: bool) -> dict[str, tuple[Rule, ...]]:
    """Return first character -> the rules to try there; the first that matches wins."""
    rules = [rule for rule in (*CARRIERS, *LOGGERS) if rule.indented or not indented]
    chars = {char for rule in rules for char in rule.first} | {""}
    return {char: tuple(rule for rule in rules if not rule.first or char in rule.first) for char in chars}


_BY_FIRST = _dispatch(indented=False)
_BY_FIRST_INDENTED = _dispatch(indented=True)


def peel(masked: str) -> Header:
    """Return what stands around the content of a line, from its masked text alone.

    Never raises; linear in the length of the line.

    >>> from l4fast.canonical import mask
    >>> text = mask(b" 12: [rank12]:[E1016 03:06:53.12 ProcessGroupNCCL.cpp:632] timed out")[0]
    >>> header = peel(text)
    >>> header.layouts, text[header.start:]
    (('srun-label', 'torchrun-tee', 'glog'), 'timed out')
    >>> [(field.kind, field.start, field.end) for field in header.fields]
    [('label', 1, 2), ('bracket', 5, 6), ('time.glog', 9, 18)]
    """
    head = masked[:_COLOURED_HEAD]
    if "\x1b" in head or _ESCAPED in head:
        return _peel_coloured(masked)
    return _peel(masked)


def _peel(text: str) -> Header:
    fields: list[Field] = []
    layouts: list[str] = []
    level: str | None = None
    loose = False  # the level was stamped by a shipper, which knows only the stream
    start, end, state = 0, len(text), TRANSPORT
    while start < end and len(layouts) < _MAX_DEPTH:
        char = text[start]
        if char == "{" and state & OUTER and (envelope := open_json(text, start, end)):
            fields += envelope.fields
            layouts.append(envelope.name)
            level, loose = envelope.level or level, True
            start, end, state = envelope.start, envelope.end, TRANSPORT
            continue
        found = _next(text, start, end, state)
        if found is None:
            break
        rule, match = found
        fields += [
            Field(kind, *match.span(group)) for group, kind in rule.kinds if _to_be_read(match, group, kind)
        ]
        if rule.tells_level:
            if word := match["level"]:
                level, loose = LEVELS.get(word.upper(), level), False
        elif rule.sets & GLOG:
            level, loose = None, False
        name = rule.name
        if name == "torchrun-tee" and (text[match.end() - 1] == " " or name in layouts):
            name = "rank"
        elif name == "loki-labels":
            fields += _loki_fields(match)
        elif name == "ray" and (repeated := _repeated(text, match.end(), end)):
            fields.append(Field("repeat", *repeated.span("repeat")))
            end = repeated.start()
        layouts.append(name)
        start, state = match.end(), (state & rule.keeps) | rule.sets
    if mllog := _MLLOG.match(text, start, end):
        fields.append(Field("time.epoch", *mllog.span("epoch")))
        layouts.append("mllog")
        start = text.index(":", start)
    elif (level is None or loose) and not state & GLOG and (hint := _HINT.match(text, start, end)):
        level = LEVELS.get(hint["level"].upper(), level)
    fields.sort(key=lambda field: field.start)
    return Header(tuple(fields), level, tuple(layouts), start, end)


def _next(text: str, start: int, end: int, state: int) -> tuple[Rule, re.Match[str]] | None:
    """Return the first rule that matches at ``start``, or after the blanks there."""
    char = text[start]
    rules = _BY_FIRST.get(char) or _BY_FIRST[""]
    for rule in rules:
        if (
            state & rule.needs == rule.needs
            and not state & rule.forbids
            and (m := rule.pattern.match(text, start, end))
        ):
            return rule, m
    if char != " ":
        return None
    while start < end and text[start] == " ":
        start += 1
    if start == end:
        return None
    for rule in _BY_FIRST_INDENTED.get(text[start], ()):
        if (
            state & rule.needs == rule.needs
            and not state & rule.forbids
            and (m := rule.pattern.match(text, start, end))
        ):
            return rule, m
    return None


def _to_be_read(match: re.Match[str], group: str, kind: str) -> bool:
    """A group that took part; a stream that stands there literally need not be read."""
    begin, stop = match.span(group)
    return stop > begin >= 0 and (kind != "stream" or MASK in match[group])


def _loki_fields(match: re.Match[str]) -> list[Field]:
    """Return the pod, host and container among the labels of `logcli`'s default output."""
    labels = _LOKI_LABEL.finditer(match.string, *match.span())
    return [Field(_LOKI_KIND.get(label["key"], label["key"]), *label.span("value")) for label in labels]


def _repeated(text: str, start: int, end: int) -> re.Match[str] | None:
    """Return Ray's `[repeated 6x across cluster]` at the end of the line, if it is there."""
    at = text.rfind("[repeated ", start, end)
    if at < 0:
        return None
    while at > start and text[at - 1] == " ":
        at -= 1
    return _REPEATED.match(text, at, end)


_COLOURED_HEAD = 600
_ESCAPED = rf"\{M}["  # `\u001b[` inside a JSON string
_COLOUR = regex(rf"(?:\x1b|\\{M})\[{HUSHED_CODE}")


def _peel_coloured(masked: str) -> Header:
    """Peel a line whose head holds colour codes: without them, then map the spans back."""
    head = masked[:_COLOURED_HEAD]
    kept: list[int] = []  # position in the plain text -> position in the masked text
    at = 0
    for colour in _COLOUR.finditer(head):
        kept.extend(range(at, colour.start()))
        at = colour.end()
    kept.extend(range(at, len(head)))
    plain = "".join(head[i] for i in kept) + masked[_COLOURED_HEAD:]
    shift = len(masked) - len(plain)

    def back(position: int) -> int:
        return kept[position] if position < len(kept) else position + shift

    def back_end(position: int) -> int:
        return back(position - 1) + 1 if position else 0

    header = _peel(plain)
    fields = tuple(Field(field.kind, back(field.start), back_end(field.end)) for field in header.fields)
    end = max(back_end(header.end), back_end(header.start)) if header.end < len(plain) else len(masked)
    return Header(fields, header.level, header.layouts, back_end(header.start), end)
