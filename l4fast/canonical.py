"""The canonical form of a line: its shape, and the shape's final id.

A *word* is a run of ASCII letters, digits, underscores and bytes >= 0x80. A word
that holds a digit is *masked*. The shape of a line is its masked text in canonical
form; it depends on that line alone, so its id is final at once, the same in every
job and for ever (as long as `CANONICAL_VERSION` does not change).

Everything here runs once per distinct masked text, never once per line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from l4fast.colours import HUSHED_CODE, hushed
from l4fast.regexes import regex
from l4fast.typed import MASK, typed

__all__ = [
    "CANONICAL_VERSION",
    "MASK",
    "MASKED_WORD",
    "VARIABLE",
    "canonical",
    "drawn",
    "mask",
    "mask_all",
    "plain",
    "plain_offsets",
    "shape_id",
]

CANONICAL_VERSION = 3

VARIABLE = "<*>"

# The look back and the possessive `*+` keep it linear: else a long word without a digit is tried
# from each of its letters anew.
MASKED_WORD = regex(rb"(?<![A-Za-z_\x80-\xff])[A-Za-z_\x80-\xff]*+[0-9][0-9A-Za-z_\x80-\xff]*+")


def mask(line: bytes) -> tuple[str, list[tuple[int, int]]]:
    """Return the masked text of ``line`` and the byte bounds of each masked word; colour codes are hushed.

    >>> text, words = mask(b"step 12 of run7")
    >>> text.replace(MASK, "<*>"), words
    ('step <*> of <*>', [(5, 7), (11, 15)])
    """
    return mask_all(hushed(line))


def mask_all(line: bytes) -> tuple[str, list[tuple[int, int]]]:
    """Return what `mask` does, but colour codes are words as others are."""
    words = [match.span() for match in MASKED_WORD.finditer(line)]
    return MASKED_WORD.sub(b"\x00", line.replace(b"\x00", b"?")).decode("latin-1").replace(
        "\x00", MASK
    ), words


# Of a code that was not hushed, the letter that ends it is a part of its last masked word.
_ANSI = regex(rf"(?:\x1b|\\\ue000)\[{HUSHED_CODE}|\x1b\[(?:(?:[:-?]*\ue000)+(?:;+[@-~])?|[0-?]*[ -/]*[@-~]?)")
_M = MASK
# Bar glyphs are bytes >= 0x80 (UTF-8 block elements) or runs of the ASCII fillers that
# progress bars draw with: their length tells the time, not the event.
_BAR = regex(rf"\|[ #=>.\-\x80-\xff{_M}]*\|(?= *{_M}/)")
# A rule or a bar is as long as its table or its progress; dots also fill up to a column.
_RULE = regex(r"([-=*#_~^+])\1{5,}|(\.)\2{39,}")
_LIST = regex(rf"{_M}(?:(?:, ?|; ?| ){_M}){{9,}}")
_BLANKS = regex(r"[ \t\x00]+")


_ESCAPES = regex(rf"(?:\x1b|\\u001[bB])\[{HUSHED_CODE}|\x1b\[[0-?]*[ -/]*[@-~]?")


def plain(text: str) -> str:
    """Return a text without its colour codes.

    >>> plain("\\x1b[31mstep:\\x1b[0m 5")
    'step: 5'
    """
    return _ESCAPES.sub("", text) if "\x1b" in text or "\\u001" in text else text


def plain_offsets(text: str) -> list[int]:
    """Return where each character of ``plain(text)`` (and its end) stands in ``text``."""
    kept: list[int] = []
    at = 0
    for match in _ESCAPES.finditer(text):
        kept.extend(range(at, match.start()))
        at = match.end()
    kept.extend(range(at, len(text) + 1))
    return kept


def canonical(masked: str) -> str:
    """Return the canonical form of a masked text; ``<*>`` stands for what varies.

    The result is a pure function of the masked text: it never looks at the digits.

    >>> canonical(mask(b"iteration   12/ 500 | loss: 1.2E-05")[0])
    'iteration <*>/ <*> | loss: <*>'
    """
    text = _ANSI.sub("", masked)
    text = _BAR.sub(f"|{_M}|", text)
    text = _RULE.sub(r"\1\1\1\2\2\2", text)
    text = _BLANKS.sub(" ", text).strip(" ")
    text = _LIST.sub(_M, typed(text))
    return _utf8(text.replace(_M, VARIABLE))


def drawn(masked: str) -> list[int]:
    """Return which characters of a masked text its canonical form shows: colours go, rules are cut short.

    >>> "".join("\\x1b[1mloss\\x1b[m --------".__getitem__(i) for i in drawn("\\x1b[1mloss\\x1b[m --------"))
    'loss ---'
    """
    kept = _outside(range(len(masked)), (found.span() for found in _ANSI.finditer(masked)))
    text = "".join(masked[i] for i in kept)
    return _outside(kept, ((found.start() + 3, found.end()) for found in _RULE.finditer(text)))


def _outside(items: Sequence[int], spans: Iterable[tuple[int, int]]) -> list[int]:
    kept: list[int] = []
    at = 0
    for begin, end in spans:
        kept.extend(items[at:begin])
        at = end
    return [*kept, *items[at:]]


def _utf8(latin: str) -> str:
    """Undo the Latin-1 decoding: show UTF-8 as itself, broken bytes as U+FFFD."""
    if latin.isascii():
        return latin
    return latin.encode("latin-1", "replace").decode("utf-8", "replace")


def shape_id(canonical_text: str) -> str:
    """Return the final id of a shape (or a template): 16 hex digits of BLAKE2b."""
    return blake2b(canonical_text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
