"""The exact masked text of a line: what is decided on its first line, and holds for all of them.

Which prefixes to peel, where time, level and labels stand (in masked words, so that the kernels
find them in every line of the shape), and what the canonical shape is. See DESIGN sections 1 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from l4fast.buckets import WILD, Key, text_of
from l4fast.canonical import MASK, MASKED_WORD, canonical
from l4fast.layouts import Field, Header, peel
from l4fast.regexes import regex
from l4fast_kernels import fields as kf
from l4fast_kernels import times as kt

LEVELS = (None, "debug", "info", "warning", "error", "critical")
_TIME_FORMS = {
    "time.iso": kt.ISO,
    "time.us": kt.US,
    "time.glog": kt.GLOG,
    "time.syslog": kt.SYSLOG,
    "time.ctime": kt.CTIME,
    "time.epoch": kt.EPOCH,
    "time.dashed": kt.DASHED,
}
# What a speaker is told by. A thread id changes too often to be one.
_LABELS = (
    "label",
    "bracket",
    "mpi_rank",
    "host",
    "pid",
    "device",
    "ip",
    "pod",
    "container",
    "task",
    "rank",
    "local_rank",
    "node",
    "replica",
)


@dataclass(frozen=True)
class RawShape:
    """One exact masked text: its first line, its header and its canonical shape.

    Attributes
    ----------
    content : str
        The content of the first line that had it, as Latin-1: one character a byte.
    begin : int
        Where the content begins in that line, in bytes.
    lead : str
        A progress bar that the content was glued to, with what stands between; or empty.
    words : tuple of (int, int)
        Byte bounds of the masked words of that line.
    shape : int
        Index into `Parser.shapes`.
    is_collapsed : bool
        Whether it stands for a collapsed bucket: its masked text holds `WILD`, and its first line
        was never written; each word stands there as ``x`` or ``0``.
    """

    masked: str
    header: Header
    content: str
    begin: int
    lead: str
    words: tuple[tuple[int, int], ...]
    shape: int
    is_collapsed: bool = False

    @property
    def content_is_rest(self) -> bool:
        """Whether the content of its lines goes on to their end."""
        return self.header.end >= len(self.masked) and not self.is_collapsed

    @property
    def indent(self) -> int:
        return len(self.content) - len(self.content.lstrip(" \t"))

    @property
    def text(self) -> str:
        """The content as UTF-8; broken bytes become U+FFFD."""
        return self.content.encode("latin-1").decode("utf-8", "replace")


# A progress bar has no line end of its own, so the next line is glued onto it by a tee.
_BAR = regex(rf"\s*(?:[^|\n]{{0,40}}: *)?{MASK}%\|[^|]*\| *{MASK}/{MASK} \[[^\]\n]*\](?=\S)")


def peel_bar(masked: str, header: Header) -> tuple[Header, int]:
    """Peel a bar that a message is glued to, and the prefixes behind it.

    Returns the header and where the bar begins (the content's begin if there is none).
    """
    bar = _BAR.match(masked, header.start, header.end)
    if bar is None:
        return header, header.start
    inner = peel(masked[bar.end() : header.end])
    shifted = tuple(
        Field(field.kind, field.start + bar.end(), field.end + bar.end()) for field in inner.fields
    )
    glued = Header(
        fields=header.fields + shifted,
        level=inner.level or header.level,
        layouts=header.layouts + inner.layouts,
        start=inner.start + bar.end(),
        end=inner.end + bar.end(),
    )
    return glued, header.start


# Labels of which a cluster has far more than speakers.
PASSING = frozenset({"pid", "ip"})

# A label: its kind, and where it begins and ends in the masked text, each with the number of
# masked words before.
Spot = tuple[str, int, int, int, int]


def label_spots(masked: str, header: Header) -> tuple[Spot, ...]:
    """Return where the labels stand in every line whose masked text is ``masked``."""
    return tuple(
        (f.kind, f.start, masked.count(MASK, 0, f.start), f.end, masked.count(MASK, 0, f.end))
        for f in _label_fields(header)
    )


def read_labels(line: bytes, spots: tuple[Spot, ...]) -> tuple[tuple[str, str], ...]:
    """Return the labels of one line as (kind, text); it is looked at as far as they reach."""
    if not spots:
        return ()
    longer = [0]  # the bytes that masking saves, up to each masked word
    saved = 0
    for word in islice(MASKED_WORD.finditer(line), spots[-1][4]):
        begin, end = word.span()
        saved += end - begin - 1
        longer.append(saved)
    return tuple(
        (kind, line[begin + longer[a] : end + longer[b]].decode("utf-8", "replace").strip())
        for kind, begin, a, end, b in spots
    )


def _label_fields(header: Header) -> list:  # type: ignore[type-arg]
    return [field for field in header.fields if field.kind in _LABELS][: kf.MAX_LABELS]


def stand_in(bucket: Key) -> tuple[RawShape, str]:
    """Return a raw shape that stands for all of a collapsed bucket, and its canonical text.

    It depends on the bucket alone; its ``shape`` is for the caller to set.
    """
    masked = text_of(bucket)
    named = masked.replace(WILD, "x")  # a prefix may hold a name
    header, lead = peel_bar(named, peel(named))
    kept = tuple(field for field in header.fields if _is_fixed(field, masked))
    header = replace(header, fields=kept)
    line = named.replace(MASK, "0")
    raw = RawShape(
        masked=masked,
        header=header,
        content=line[header.start : header.end],
        begin=header.start,
        lead=line[lead : header.start],
        words=tuple((i, i + 1) for i, char in enumerate(masked) if char == MASK),
        shape=-1,
        is_collapsed=True,
    )
    return raw, canonical(masked[header.start : header.end].replace(WILD, MASK))


def _is_fixed(field: Field, masked: str) -> bool:
    """Whether a field can be found in every line, though words before it vary in length."""
    if field.kind in _TIME_FORMS and masked[field.start] == MASK:
        return True
    return WILD not in masked[: field.end]


def byte_of(position: int, masked: str, words: list[tuple[int, int]]) -> int:
    """Return where a position of the masked text stands in the line, in bytes."""
    n = masked.count(MASK, 0, position)
    return position - n + sum([end - begin for begin, end in words[:n]])


def _edge(position: int, masked: str, *, is_end: bool) -> tuple[int, int, int]:
    """Return a position of the masked text as (word, edge, delta)."""
    n = masked.count(MASK, 0, position)
    if not is_end and position < len(masked) and masked[position] == MASK:
        return n, 0, 0
    if n == 0:
        return -1, 0, position
    return n - 1, 1, position - (masked.rfind(MASK, 0, position) + 1)


def plan_of(masked: str, header: Header) -> np.ndarray:
    """Return where the kernels find time, level and labels: int16[PLAN_WIDTH]."""
    plan = [0] * kf.PLAN_WIDTH
    plan[kf.P_LEVEL] = LEVELS.index(header.level) if header.level in LEVELS else 0
    needed = 0
    for field in header.fields:
        form = _TIME_FORMS.get(field.kind)
        if form is None:
            continue
        word, edge, delta = _edge(field.start, masked, is_end=False)
        if word < kf.MAX_WORDS - 8:
            plan[kf.P_TIME : kf.P_TIME + 4] = (form, word, edge, delta)
            needed = max(needed, word + 1)
            if form == kt.GLOG and header.level is None:
                plan[kf.P_LEVEL] = -1
            break
    k = 0
    for field in _label_fields(header):
        begin = _edge(field.start, masked, is_end=False)
        end = _edge(field.end, masked, is_end=True)
        if max(begin[0], end[0]) >= kf.MAX_WORDS:
            continue
        at = kf.P_FIRST + kf.LABEL_WIDTH * k
        plan[at : at + 6] = (*begin, *end)
        needed = max(needed, begin[0] + 1, end[0] + 1)
        k += 1
        plan[kf.P_PASSING] |= (field.kind in PASSING) << (k - 1)
    plan[kf.P_LABELS] = k
    plan[kf.P_WORDS] = needed
    return np.array(plan, np.int16)


def content_place(raw: RawShape) -> tuple[int, int, int]:
    """Return where the content of a raw shape's lines begins, as (word, edge, delta)."""
    position = raw.header.start
    if WILD in raw.masked[:position]:
        return kf.MAX_WORDS, 0, 0  # it stands elsewhere in each line
    return _edge(position, raw.masked, is_end=False)


def number_place(raw: RawShape, begin: int) -> tuple[int, int, int] | None:
    """Return the (word, edge, delta) of the number at ``begin`` of lead and content, if a word holds it."""
    at = raw.begin - len(raw.lead) + begin
    first_char = (raw.lead + raw.content)[begin : begin + 1]
    signed = first_char in ("+", "-")
    target = at + 1 if signed else at
    for k, (first, stop) in enumerate(raw.words):
        if first <= target < stop:
            return (k, 0, at - first) if k < kf.MAX_WORDS else None
    return None
