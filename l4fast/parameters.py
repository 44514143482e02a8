"""What each ``<*>`` of a template stands for: template and text -> spans -> places.

A template is fitted to one line of a raw shape; where its variables stand there, they stand in
every line of the raw shape (`l4fast.logformat.places`), so kernels find them without a pattern.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from l4fast.canonical import MASK, VARIABLE, drawn
from l4fast.logformat import BLANKS, Span, byte_spans, places
from l4fast.rawshapes import RawShape
from l4fast.regexes import regex
from l4fast_kernels import valuetypes as kv


def variables(template: str, text: bytes, span: Span) -> Sequence[Span]:
    """Return where each ``<*>`` of a template stands in a part of a text; nothing if it does not fit."""
    match = _matcher(template, True).fullmatch(text, *span) or _matcher(template, False).fullmatch(
        text, *span
    )
    return [] if match is None else [match.span(k + 1) for k in range(len(match.groups()))]


@cache
def _matcher(template: str, filled: bool) -> re.Pattern[bytes]:
    r"""Return the pattern of a template's lines; a variable takes as little as it can.

    ``filled``: no variable is empty. Else it may be a part that some lines lack, and its blank with it.

    >>> _matcher("read <*> of <*>", True).fullmatch(b"read 1  of  2").groups()
    (b'1', b'2')
    >>> _matcher("read <*> of <*>", False).fullmatch(b"read of 2").groups()
    (b'', b'2')
    """
    pieces = [
        re.sub(rb"(?:\\ )+", rb"\\s+", re.escape(piece.encode("utf-8", "replace")))
        for piece in template.split(VARIABLE)
    ]
    # U+FFFD may stand for up to three bytes of a broken character; its own UTF-8 has three too.
    pieces = [piece.replace("\ufffd".encode(), rb"[\x80-\xff]{1,3}") for piece in pieces]
    value = b"(.+?)" if filled else b"(.*?)"
    if not filled:
        pieces = [re.sub(rb"^\\s\+|\\s\+$", rb"\\s*", piece) for piece in pieces]
    # What stands between two variables is found as early as it can be, for good: see `logformat`.
    inner = b"".join(b"(?>" + value + piece + b")" for piece in pieces[1:-1])
    last = value + pieces[-1] if len(pieces) > 1 else b""
    return re.compile(pieces[0] + inner + last, re.DOTALL)


# --------------------------------------------------------------------- values of raw shapes


@dataclass(frozen=True)
class Plan:
    """Where the values of each raw shape's lines stand: what `find_values` is told; see there."""

    n_words: np.ndarray
    first_param: np.ndarray
    params: np.ndarray
    hints: np.ndarray


class Parameters:
    """The values of raw shapes, which are added in the order of their codes."""

    def __init__(self) -> None:
        self._n_words, self._first = array("i"), array("q", [0])
        self._places, self._hints = array("i"), array("b")
        self._plan = self._planned()

    def __len__(self) -> int:
        return len(self._n_words)

    def add(self, raw: RawShape, template: str | None) -> None:
        """Add a raw shape; without a template, or where it does not fit, its lines have no values."""
        n_words = 0
        # The lines of a collapsed kind have no place in common.
        spans = [] if template is None or raw.is_collapsed else value_spans(raw, template)
        for begin, end in (places(span, raw.words) for span in spans):
            self._places.extend(begin + end)
            n_words = max(n_words, begin[0] + 1, end[0] + 1)
        if template is not None and spans:
            self._hints.extend(_hints(template))
        self._n_words.append(n_words)
        self._first.append(len(self._hints))

    @property
    def plan(self) -> Plan:
        """The plan for all raw shapes added so far; the same object until the next is added."""
        if len(self._plan.n_words) != len(self):
            self._plan = self._planned()
        return self._plan

    def _planned(self) -> Plan:
        return Plan(
            n_words=np.array(self._n_words, np.int32),
            first_param=np.array(self._first, np.int64),
            params=np.array(self._places, np.int32).reshape(-1, 6),
            hints=np.array(self._hints, np.int8),
        )


def value_spans(raw: RawShape, template: str) -> Sequence[Span]:
    """Return where each ``<*>`` of a template stands in the first line of a raw shape, in bytes.

    The template is fitted to the text that the shape was made from (masked, without colours), so a
    value begins and ends with a word, never inside one.
    """
    if VARIABLE not in template:
        return []
    begin, end = raw.header.start, raw.header.end
    kept = [begin + i for i in drawn(raw.masked[begin:end])]
    # No digit stands in a masked text: here one stands for a masked word.
    text = "".join(raw.masked[i] for i in kept).replace(MASK, "0")
    inner = len(text) - len(text.lstrip(BLANKS)), len(text.rstrip(BLANKS))
    found = [
        (kept[a], kept[b - 1] + 1) if a < b else (kept[a] if a < len(kept) else end,) * 2
        for a, b in variables(template, text.encode("latin-1"), inner)
    ]
    return [span for span in byte_spans(found, raw.words) if span is not None]


_UNIT = regex(r" ?([A-Za-z%]+)(?![\w<])")
_UNIT_TYPE = {
    **dict.fromkeys(kv.DURATION_UNITS, kv.DURATION),
    **dict.fromkeys(kv.SIZE_UNITS, kv.SIZE),
    **dict.fromkeys(kv.PERCENT_UNITS, kv.PERCENT),
}


@cache
def _hints(template: str) -> tuple[int, ...]:
    """Return what a template says of the type of each value.

    >>> [None if k < 0 else kv.TYPES[k] for k in _hints("took <*> ms, <*>% of http://<*>, <*> left")]
    ['duration', 'percent', 'url', None]
    """
    pieces = template.split(VARIABLE)
    found = []
    for before, behind in pairwise(pieces):
        unit = _UNIT.match(behind)
        hint = kv.NO_HINT if unit is None else _UNIT_TYPE.get(unit[1], kv.NO_HINT)
        found.append(kv.URL if before.endswith("://") else hint)
    return tuple(found)
