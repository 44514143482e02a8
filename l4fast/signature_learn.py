"""A confirmed event of a diagnosis -> a signature with its samples: how the library grows.

References
----------
L4 (FSE 2025), section 4: confirmed failure patterns are kept and matched in later jobs.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from l4fast.canonical import VARIABLE, plain
from l4fast.errors import DataError, UsageError
from l4fast.signature import MAX_CHARS
from l4fast.signature_file import Page, parse

_LEAST_LETTERS = 8  # letters a pattern must hold: fewer would hit everywhere
_LONGEST_TITLE = 80  # characters


def event_of(diagnosis: Mapping[str, Any], event_id: str | None) -> Mapping[str, Any]:
    """Return the event to learn: the one with ``event_id``, or that text in a line; else the first root.

    Raises
    ------
    DataError
        The object is no diagnosis, is damaged, or has no event.
    UsageError
        Not one event is of that id or holds that text, or none is a root.
    """
    if diagnosis.get("schema") != "l4fast.diagnosis/1":
        raise DataError("no diagnosis in it: write one with `l4fast diagnose PATH --json`")
    given = diagnosis.get("events")
    if not isinstance(given, list) or not all(_is_event(event) for event in given):
        raise DataError(
            "a diagnosis whose events are damaged: write it again with `l4fast diagnose PATH --json`"
        )
    events: list[Mapping[str, Any]] = given
    if not events:
        raise DataError("the diagnosis holds no event: there is nothing to learn from it")
    if event_id is None:
        root = next((event for event in events if event["role"] == "root"), None)
        if root is None:
            raise UsageError(f"no root in the diagnosis: choose an --event, as {_some(events)}")
        return root
    exact = [event for event in events if event["event_id"] == event_id]
    found = exact or [e for e in events if event_id in e["template"] or event_id in e["first"]["text"]]
    if not found:
        raise UsageError(f"no event {event_id!r} in the diagnosis; there are {_some(events)}")
    if len(found) > 1:
        raise UsageError(f"{len(found)} events hold {event_id!r}: {_some(found)}")
    return found[0]


def _is_event(event: Any) -> bool:
    """Whether all is there that a signature is made of."""
    try:
        words = (
            event["event_id"],
            event["role"],
            event["template"],
            event["first"]["text"],
            event["last"]["text"],
        )
        return (
            all(isinstance(word, str) for word in words)
            and isinstance(event["values"], dict)
            and "category" in event
        )
    except (KeyError, TypeError):
        return False


def _some(events: Sequence[Mapping[str, Any]]) -> str:
    told = ", ".join(f"{event['event_id']} ({event['template'][:60]})" for event in events[:5])
    return f"{told}, and {len(events) - 5} more" if len(events) > 5 else told


def pattern_of(template: str, samples: Sequence[str], values: Sequence[str] = ()) -> str:
    """Return the pattern that stands for a template: its words as they are, blanks and variables free.

    Where a variable is one of ``values`` in all samples (an exit code that decides what the line
    means), it is a word of its own.

    >>> pattern_of("link <*> is down (code=<*>)", ["x: link eth0 is down (code=7)"], ["7"])
    'link\\\\s+\\\\S+\\\\s+is\\\\s+down\\\\s+\\\\(code=7\\\\)'

    Raises
    ------
    DataError
        The template holds too few words of its own, or its samples are none of it.
    """
    words = template.split()
    while words and words[-1] == VARIABLE:
        words.pop()
    while words and words[0] == VARIABLE:
        words.pop(0)
    if _letters(words) < _LEAST_LETTERS:
        raise DataError(f"the template {template!r} has too few words of its own to be a signature")
    for anything in (r"\S+", r".{1,200}?"):
        pattern = _joined(words, [anything] * sum(word.count(VARIABLE) for word in words))
        found = [re.search(_joined(words, _captured(words, anything)), line, re.ASCII) for line in samples]
        if all(found):
            told = [match.groups() for match in found if match]
            fixed = [set(column).pop() if len(set(column)) == 1 else "" for column in zip(*told, strict=True)]
            return (
                _joined(words, [re.escape(v) if v in values else anything for v in fixed])
                if fixed
                else pattern
            )
    # Its canonical form is not how the line is written: the longest run of plain words is.
    runs = [run.split() for run in " ".join(words).split(VARIABLE)]
    longest = max(runs, key=_letters)
    pattern = _joined(longest, [])
    if _letters(longest) < _LEAST_LETTERS or not all(re.search(pattern, line, re.ASCII) for line in samples):
        raise DataError(f"no pattern fits both the template {template!r} and its lines: write one by hand")
    return pattern


def titled(template: str) -> str:
    """Return a template as a title: its words, what varies as dots.

    >>> titled("  frobnicator <*> lost (code=<*>)")
    'frobnicator … lost (code=…)'
    """
    return textwrap.shorten(template.replace(VARIABLE, "…"), _LONGEST_TITLE, placeholder=" …")


def _letters(words: Sequence[str]) -> int:
    return sum(c.isalpha() for word in words for c in word.replace(VARIABLE, ""))


def _captured(words: Sequence[str], anything: str) -> list[str]:
    return [f"({anything})"] * sum(word.count(VARIABLE) for word in words)


def _joined(words: Sequence[str], variables: Sequence[str]) -> str:
    left = iter(variables)
    made = []
    for word in words:
        first, *rest = (_literal(part) for part in word.split(VARIABLE))
        made.append(first + "".join(next(left) + part for part in rest))
    return r"\s+".join(made)


def _literal(text: str) -> str:
    return re.escape(text).replace("\\-", "-")


def learned(
    diagnosis: Mapping[str, Any],
    name: str,
    *,
    event_id: str | None,
    title: str | None,
    category: str | None,
    role: str | None,
    advice: str,
    origin: str,
) -> str:
    """Return a signature file's text for an event of a diagnosis, checked.

    What is not given is taken from the event. Its samples are the event's first and last line;
    what it must spare are lines of the diagnosis's other events.

    Raises
    ------
    DataError, UsageError
        See `event_of` and `pattern_of`.
    SignatureError
        What was given breaks a rule of signatures.
    """
    event = event_of(diagnosis, event_id)
    matches = _distinct([event["first"]["text"], event["last"]["text"]])
    pattern = pattern_of(event["template"], matches, list(event["values"].values()))
    others = [line for e in diagnosis["events"] for line in (e["first"]["text"], e["last"]["text"])]
    spares = [line for line in _distinct(others) if not re.search(pattern, line, re.ASCII)][:2]
    text = toml(
        name,
        {
            "title": title or titled(event["template"]),
            "category": category or event["category"] or "unknown",
            "role": role or ("root" if event["role"] == "root" else "consequence"),
            "names": "self",
            "pattern": pattern,
            "weight": 5,
            "advice": advice,
            "source": origin,
            "matches": matches,
            # A line that no pattern of eight letters hits.
            "spares": spares or ["0"],
        },
    )
    check(text, name)
    return text


def check(text: str, name: str) -> Page:
    """Return what ``text`` holds; raise `SignatureError` where it breaks a rule."""
    return parse(text.encode("utf-8"), Path(f"{name}.toml"))


def _distinct(lines: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(plain(line)[:MAX_CHARS].replace("\n", " ") for line in lines))


def toml(name: str, keys: Mapping[str, str | int | Sequence[str]]) -> str:
    """Write one signature as TOML; empty texts are left out."""
    # A dot in a bare key would open a table in a table.
    lines = [f'["{name}"]' if "." in name else f"[{name}]"]
    for key, value in keys.items():
        if isinstance(value, str):
            if value:
                lines.append(f"{key:<8} = {_quoted(value)}")
        elif isinstance(value, int):
            lines.append(f"{key:<8} = {value}")
        else:
            lines.append(f"{key:<8} = [")
            lines += [f"    {_quoted(one)}," for one in value]
            lines.append("]")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # A literal string shows a pattern as it is; what it cannot hold goes into a basic one.
    if "'" not in text and text.isprintable():
        return f"'{text}'"
    escapes = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(escapes.get(c) or (c if c.isprintable() else _escape(c)) for c in text) + '"'


def _escape(c: str) -> str:
    return f"\\u{ord(c):04X}" if ord(c) < 0x10000 else f"\\U{ord(c):08X}"
