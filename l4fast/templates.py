"""Set of shapes -> templates; a pure function.

Shapes are compared within one number of words. A column of words is a variable where at least
``min_values`` shapes agree in all other words and differ in that one; `(retry <*>` and `node-a`
against `node-b` are then one template. The answer depends on the set of shapes alone, never
on the order of lines, on how they were split, or on who read them: batch, stream, and merge
give the same ids. See DESIGN section 4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from l4fast.canonical import VARIABLE, shape_id

MIN_VALUES = 4  # fewer than four different words may well be four different events
ROUNDS = 3  # a template with more than three free words loses its meaning


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
    words_of = {text: tuple(text.split(" ")) for text in sorted(set(shapes))}
    for _ in range(ROUNDS):
        change = _generalise(set(words_of.values()), min_values)
        if not change:
            break
        words_of = {text: change.get(words, words) for text, words in words_of.items()}
    made: dict[tuple[str, ...], Template] = {}
    for words in set(words_of.values()):
        text = _tidy(" ".join(words))
        made[words] = Template(shape_id(text), text)
    return {text: made[words] for text, words in words_of.items()}


def _generalise(lines: set[tuple[str, ...]], min_values: int) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Free one column of each line where enough lines differ in it alone."""
    groups: dict[tuple[int, tuple[str, ...]], set[tuple[str, ...]]] = defaultdict(set)
    for words in lines:
        fixed = sum(VARIABLE not in word for word in words)
        for column, word in enumerate(words):
            # What is left must still say something: two constant words, and half of the line.
            left = fixed - (VARIABLE not in word)
            if word != VARIABLE and left >= 2 and _may_vary(word):
                groups[(column, (*words[:column], VARIABLE, *words[column + 1 :]))].add(words)
    best: dict[tuple[str, ...], tuple[int, int, tuple[str, ...]]] = {}
    for (column, merged), members in groups.items():
        if len(members) + (merged in lines) < min_values:
            continue
        for words in members:
            rank = (-len(members), column, merged)
            if words not in best or rank < best[words]:
                best[words] = rank
    return {words: merged for words, (_, _, merged) in best.items()}


def _may_vary(word: str) -> bool:
    """A name may vary; a bracketed tag or bare punctuation is part of the event."""
    return any(c.isalnum() for c in word) or VARIABLE in word


def _tidy(text: str) -> str:
    while f"{VARIABLE} {VARIABLE}" in text:
        text = text.replace(f"{VARIABLE} {VARIABLE}", VARIABLE)
    return text


def count(shapes: Mapping[str, int]) -> list[tuple[Template, int, int]]:
    """Return (template, lines, shapes) of each template, most lines first, then by id."""
    template_of = derive(shapes)
    lines: dict[Template, list[int]] = {}
    for text, n in shapes.items():
        held = lines.setdefault(template_of[text], [0, 0])
        held[0] += n
        held[1] += 1
    return sorted(((t, n, k) for t, (n, k) in lines.items()), key=lambda item: (-item[1], item[0].id))
