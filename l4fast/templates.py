"""Set of shapes -> templates; a pure function.

A shape has its digits masked and its typed values too (`l4fast.typed`). Three steps make templates:

1. each shape gets a *key*, in which what differs without meaning is equal: how many values a list
   has, a unit beside a number, an empty pair of brackets where others hold a value;
2. words that vary from key to key become variables (`l4fast.variables`);
3. shapes with equal keys are one template; its text is what all of them have in common.

The answer depends on the set of shapes alone, never on the order of lines, on how they were split,
or on who read them: batch, stream, and merge give the same ids. See DESIGN section 4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from l4fast.align import common
from l4fast.canonical import VARIABLE, shape_id
from l4fast.regexes import regex
from l4fast.typed import MASK, WORD_ENDS, joined
from l4fast.variables import TRUTH, free, words_of

MIN_VALUES = 4  # fewer than four different words may well be four different events

_M = MASK
_UNIT = (
    r"(?:[KMGTPE]i?B|[kKMGT]?[Bb]|bytes?|[kKMGT]?bps|[KMGT]?[Bb]/s|[KMGT]?Hz|ns|us|ms|s|secs?|seconds?"
    r"|mins?|minutes?|h|hrs?|hours?|days?|%)"
)
_WITH_UNIT = regex(rf"{_M} ?{_UNIT}(?!\w)")
_NUMBERED = r"[A-Za-z_]*\d\w*"
_NUMBERED_LIST = regex(rf"(?<![\w.-]){_NUMBERED}(?:[ ,]+{_NUMBERED})+(?![\w.-])")
_PARTS = regex(rf"(?<![\w.]){_M}(?:[-+.@/#$%&~]+(?:{_M}|[a-fA-F]{{1,4}}(?!\w)))+")
_SIGNED = regex(rf"(?<![\w.])-{_M}|#{_M}#?|{_M}#")
_EMPTY = regex(r"(?<!\w)\(\)|(?<!\w)\[ ?\]|=(?=[\s,;]|$)")
_FILLED = {"(": f"({_M})", "[": f"[{_M}]", "=": f"={_M}"}
_ANGLED = regex(rf"<{_M}>?|{_M}>")
_LIST = regex(rf"{_M}(?:[ ,:;/|]+{_M}(?!=))+")
_IN_OTHER_WORDS = regex(rf"{_M} [(\[]{_M}[)\]]")
_QUOTED = rf"(?:'[^']*'|\"[^\"]*\"|{_M})"
_QUOTED_LIST = regex(rf"(?<=\[){_QUOTED}(?:, ?{_QUOTED})*(?=\])")
_NESTED_LIST = regex(rf"[(\[]{_M}[)\]](?:, ?[(\[]?{_M}[)\]]?)+")
_CALL = regex(rf"(?<![\w.])[A-Za-z_]\w*\({_M}\)")

_ACCOUNTS = {"root", "admin"}


@dataclass(frozen=True)
class Template:
    """A template: its text with ``<*>`` for what varies, and its id (of that text)."""

    id: str
    text: str


def derive(shapes: Iterable[str], *, min_values: int = MIN_VALUES) -> Mapping[str, Template]:
    """Return the template of each canonical shape text.

    >>> found = derive(f"user {name} logged in" for name in ("ann", "bob", "eve", "joe"))
    >>> {t.text for t in found.values()}
    {'user <*> logged in'}
    """
    texts = sorted(set(shapes))
    key_of = {text: _key(text.replace(VARIABLE, _M)) for text in texts}
    called = _calls(set(key_of.values()))
    freed = free(set(called.values()), min_values)
    alike: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        alike[_key(freed[called[key_of[text]]])].append(text)
    found: dict[str, Template] = {}
    for members in alike.values():
        text = _finished(common([words_of(member.replace(VARIABLE, _M)) for member in members]))
        template = Template(shape_id(text), text)
        found.update(dict.fromkeys(members, template))
    return found


def _key(text: str) -> str:
    """Return what shapes of one template have in common; MASK stands for a variable."""
    text = _QUOTED_LIST.sub(_M, text)
    text = _NUMBERED_LIST.sub(_M, text)
    text = _WITH_UNIT.sub(_M, text)
    text = _PARTS.sub(_M, text)
    text = _SIGNED.sub(_M, text)
    text = _EMPTY.sub(lambda found: _FILLED[found[0][0]], text)
    while True:
        text = _NESTED_LIST.sub(f"[{_M}]", text)
        shorter = _IN_OTHER_WORDS.sub(_M, _LIST.sub(_M, _ANGLED.sub(_M, text)))
        if shorter == text:
            return text
        text = shorter


def _calls(keys: set[str]) -> dict[str, str]:
    """Return each key, or the one that differs only by a value where it has `name(value)`."""
    same: dict[str, str] = {}
    for key in keys:
        plain = (key[: found.start()] + _M + key[found.end() :] for found in _CALL.finditer(key))
        same[key] = next((text for text in plain if text in keys), key)
    return same


def _finished(text: str) -> str:
    """Return the text of a template: names of truth values and of accounts are values too."""
    parts = WORD_ENDS.split(text)
    for i in range(0, len(parts), 2):
        word = parts[i].lower()
        if (word in TRUTH and parts[i] != "none") or (word in _ACCOUNTS and _names_an_account(parts, i)):
            parts[i] = _M
    return joined("".join(parts)).replace(_M, VARIABLE)


def _names_an_account(parts: list[str], i: int) -> bool:
    """`user root` and `(root)` name one; `root cause` does not."""
    before = parts[i - 1] if i else ""
    return before in tuple("=:'\"([") or (before == " " and parts[i - 2] in ("user", "for", "by"))


def count(shapes: Mapping[str, int]) -> list[tuple[Template, int, int]]:
    """Return (template, lines, shapes) of each template, most lines first, then by id."""
    template_of = derive(shapes)
    lines: dict[Template, list[int]] = {}
    for text, n in shapes.items():
        held = lines.setdefault(template_of[text], [0, 0])
        held[0] += n
        held[1] += 1
    return sorted(((t, n, k) for t, (n, k) in lines.items()), key=lambda item: (-item[1], item[0].id))
