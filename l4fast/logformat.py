"""A log format (``<Date> <Time> <Level> <Component>: <Content>``) -> where each field of a line stands.

The format and its rules are logparser's: blanks stand for one blank or more, ``<Name>`` takes as
little as it can, what else stands between the fields is a regular expression, and the whole line
must fit, blanks around it aside.

One match per raw shape replaces one match per line. What separates the fields is blanks and
punctuation, a masked word holds neither, and a field that takes as little as it can never ends
inside a word where it may end before it: so the masked text splits exactly where each of its lines
does. A format for which this does not hold (a digit between two fields) is refused.

Lazy fields tried in turn take time that grows with a power of their number where a line does not
fit. But the earlier a field ends, the more is left for the others: once its end is found, no later
end need be tried, so the pattern never goes back behind a field (atomic groups).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

from l4fast.errors import UsageError
from l4fast.regexes import regex

# A header that does not end within so many characters of the masked text is none.
HEADER_CHARS = 4096
# Bytes >= 0x80 are never blanks: they belong to words, whatever character they are a part of.
BLANKS = " \t\n\r\f\v"

# Where an edge stands in a line: `word` is a masked word (see `l4fast_kernels.fields`), or one of these.
LINE, END, ABSENT = -1, -2, -3
Place = tuple[int, int, int]  # word, edge, delta
Span = tuple[int, int]

_TOKENS = regex(
    r"""<(?P<field>[^<>]+)>
      | (?P<blank>[ ]+|\\s\+?)
      | (?P<open>\((?:\?:)?)
      | (?P<close>\)\??)
      | (?P<mark>\\[!-/:-@\[-^`{-~]|[\t!"\#%&',\-/:;<=>@\]`}~])
      | (?P<repeat>[?*+]\??)
      | (?P<word>[A-Za-z_\x80-\U0010ffff]+)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    depth: int


@dataclass(frozen=True)
class LogFormat:
    """A log format that can be split; made by `log_format`.

    Attributes
    ----------
    fields : tuple of str
        The names, in order; ``Content`` is one of them.
    """

    text: str
    fields: tuple[str, ...]
    _fits: re.Pattern[str]
    _split: re.Pattern[str]

    @property
    def content(self) -> int:
        """The place of ``Content`` among the fields."""
        return self.fields.index("Content")

    def spans(self, masked: str) -> tuple[Span | None, ...] | None:
        """Return the span of each field in a masked text, None for an optional one that is not there.

        None if the line does not fit the format.

        >>> form = log_format(r"<Time> <Component>(\\[<PID>\\])?: <Content>")
        >>> form.spans("noon  sshd: closed ")
        ((0, 4), (6, 10), None, (12, 18))
        """
        head = masked[:HEADER_CHARS]
        text = head.strip(BLANKS)
        match = self._split.match(text) if self._fits.match(text) else None
        if match is None:
            return None
        lead = len(head) - len(head.lstrip(BLANKS)) if text else 0
        found = [match.span(f"f{i}") for i in range(len(self.fields))]
        return tuple(None if begin < 0 else (begin + lead, end + lead) for begin, end in found)


def log_format(text: str) -> LogFormat:
    """Return the split that a log format describes.

    Raises
    ------
    UsageError
        It has no ``<Content>``, a field twice, or something between fields that may stand inside
        a masked word.
    """
    tokens = list(_tokens(text))
    fields = tuple(token.text for token in tokens if token.kind == "field")
    if "Content" not in fields:
        raise UsageError(f"the log format has no <Content>: {text}")
    twice = [name for name in fields if fields.count(name) > 1]
    if twice:
        raise UsageError(f"the log format names <{twice[0]}> twice: {text}")
    for i, token in enumerate(tokens):
        if token.kind == "word" and not (_parts(tokens, i - 1, -1) and _parts(tokens, i + 1, 1)):
            raise _refused(text, token.text)
        if token.kind == "repeat" and (i == 0 or tokens[i - 1].kind != "mark"):
            raise _refused(text, token.text)
    try:
        return LogFormat(text, fields, _pattern(tokens, least=True), _pattern(tokens, least=False))
    except re.error as error:
        raise UsageError(f"the log format is no regular expression ({error}): {text}") from error


def _tokens(text: str) -> Iterator[_Token]:
    at = depth = 0
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None:
            raise _refused(text, text[at : at + 1 + (text[at] == "\\")])
        kind = match.lastgroup or ""
        depth -= kind == "close"
        yield _Token(kind, match["field"] if kind == "field" else match[0], depth)
        depth += kind == "open"
        at = match.end()


def _refused(text: str, piece: str) -> UsageError:
    return UsageError(
        f"the log format cannot be used, because of `{piece}` between its fields: separate fields by blanks, "
        f"punctuation (\\[ for a bracket, \\. for a dot) and whole words without digits: {text}"
    )


def _parts(tokens: Sequence[_Token], i: int, step: int) -> bool:
    """Whether the token beside a word always parts it from other words."""
    if not 0 <= i < len(tokens):
        return True
    then = tokens[i + 1].kind if step > 0 and i + 1 < len(tokens) else ""
    return tokens[i].kind in ("blank", "mark") and then != "repeat"


def _pattern(tokens: Sequence[_Token], *, least: bool) -> re.Pattern[str]:
    """Return the pattern of a line; ``least``: one that any line which fits does fit, in linear time.

    Blanks that end a separator may go to the field behind it: the least pattern takes one of them.
    """
    starts = [i for i, token in enumerate(tokens) if token.kind == "field" and token.depth == 0]
    bounds = [0, *starts, len(tokens)]
    number = {id(token): i for i, token in enumerate(t for t in tokens if t.kind == "field")}
    pieces = []
    for i, (begin, end) in enumerate(pairwise(bounds)):
        part = tokens[begin:end]
        tail = _elastic(part) if end < len(tokens) else len(part)
        head = "".join(_regex(token, number) for token in part[:tail])
        last = _tail(part[tail:], least=least)
        # Fields inside an optional group may move the end of what holds them to and fro.
        is_plain = i > 0 and sum(token.kind == "field" for token in part) == 1 and end < len(tokens)
        pieces.append(f"(?>{head}(?={last})){last}" if is_plain else head + last)
    return re.compile(f"^{''.join(pieces)}$", re.ASCII)


def _regex(token: _Token, number: dict[int, int]) -> str:
    if token.kind == "field":
        return f"(?P<f{number[id(token)]}>.*?)"
    return r"\s+" if token.kind == "blank" and token.text.startswith(" ") else token.text


def _elastic(part: Sequence[_Token]) -> int:
    """Return where the blanks and optional marks begin that end a separator: they can give way."""
    i = len(part)
    while i > 1:
        if part[i - 1].kind == "blank":
            i -= 1
        elif part[i - 1].kind == "repeat" and i > 2 and part[i - 2].kind == "mark":
            i -= 2
        else:
            break
    return i


def _tail(part: Sequence[_Token], *, least: bool) -> str:
    if not least:
        return "".join(_regex(token, {}) for token in part)
    kept = []
    for i, token in enumerate(part):
        then = part[i + 1].text if i + 1 < len(part) else ""
        if token.kind == "blank":
            kept.append(r"\s")
        elif token.kind == "mark" and not then.startswith(("?", "*")):
            kept.append(token.text)
    return "".join(kept)


# ----------------------------------------------------------------------- spans -> places


def byte_spans(spans: Sequence[Span | None], words: Sequence[Span]) -> list[Span | None]:
    """Return spans of a masked text as spans of a line; ``words`` are its masked words, in bytes."""
    extra = [0]
    for begin, end in words:
        extra.append(extra[-1] + end - begin - 1)
    marks = [begin - more for (begin, _), more in zip(words, extra, strict=False)]

    def byte(position: int) -> int:
        return position + extra[bisect_left(marks, position)]

    return [None if span is None else (byte(span[0]), byte(span[1])) for span in spans]


def places(span: Span | None, words: Sequence[Span], line: bytes | None = None) -> tuple[Place, Place]:
    """Return where a span of ``line`` begins and ends in every line of its raw shape.

    An edge inside a masked word keeps its distance from the nearer end of what the span leaves out:
    a span that begins there begins so many bytes after the word does, one that ends there ends so
    many before. With ``line``, what ends where its text does ends there in every line.

    >>> line = b"took 12ms in all"
    >>> places((5, 7), [(5, 9)], line), places((10, 16), [(5, 9)], line)
    (((0, 0, 0), (0, 1, -2)), ((0, 1, 1), (-2, 0, 0)))
    """
    if span is None:
        return (ABSENT, 0, 0), (ABSENT, 0, 0)
    begin, end = span
    last = _place(end, words, is_end=True)
    if line is not None and end == len(line.rstrip(BLANKS.encode())):
        last = END, 0, end - len(line)
    return _place(begin, words, is_end=False), last


def _place(at: int, words: Sequence[Span], *, is_end: bool) -> Place:
    k = bisect_right(words, at, key=itemgetter(0)) - 1
    if k < 0:
        return LINE, 0, at
    begin, end = words[k]
    inside = at < end
    if inside and not (is_end and at > begin):
        return k, 0, at - begin
    return k, 1, at - end
