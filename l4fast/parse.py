"""Chunks of bytes -> columns: line bounds, header fields, speaker and shape of each line.

The kernels answer per line; everything that needs thought is decided once per *raw shape*
(the exact masked text) on its first line: which prefixes to peel, where the fields stand,
what the canonical shape is. See DESIGN sections 1 and 3.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from l4fast.canonical import MASK, MASKED_WORD, canonical, mask, shape_id
from l4fast.columns import Columns
from l4fast.layouts import Field, Header, peel
from l4fast_kernels import fields as kf
from l4fast_kernels import shapes as ks

LEVELS = (None, "debug", "info", "warning", "error", "critical")
# A longer line is looked at only so far when its shape is worded; its hash covers all of it.
EXEMPLAR_BYTES = 1 << 18
MASKED_CHARS = 4096
_TIME_FORMS = {
    "time.iso": kf.ISO,
    "time.us": kf.US,
    "time.glog": kf.GLOG,
    "time.syslog": kf.SYSLOG,
    "time.ctime": kf.CTIME,
    "time.epoch": kf.EPOCH,
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
    """

    masked: str
    header: Header
    content: str
    begin: int
    lead: str
    words: tuple[tuple[int, int], ...]
    shape: int

    @property
    def indent(self) -> int:
        return len(self.content) - len(self.content.lstrip(" \t"))

    @property
    def text(self) -> str:
        """The content as UTF-8; broken bytes become U+FFFD."""
        return self.content.encode("latin-1").decode("utf-8", "replace")


@dataclass(frozen=True)
class Shape:
    """A canonical shape and its final id."""

    id: str
    text: str


@dataclass(frozen=True)
class Speaker:
    """Who wrote a line: a stream, and the labels of its prefix as (kind, text)."""

    stream: int
    labels: tuple[tuple[str, str], ...]


class Parser:
    """Shapes and speakers seen so far; `feed` turns a chunk into `Columns`."""

    def __init__(
        self, *, reference_day: int = 0, on_raw: Callable[[int, RawShape], None] | None = None
    ) -> None:
        self.reference_day = reference_day
        self.raws: list[RawShape] = []
        self.shapes: list[Shape] = []
        self.speakers: list[Speaker] = []
        self._shape_of: dict[str, int] = {}
        self._spots: list[tuple[_Spot, ...]] = []
        self._on_raw = on_raw
        # The hashes never leave the process, so a hostile log cannot aim at them.
        self._key = np.uint64(secrets.randbits(64))
        self._layouts = np.zeros(2 * ks.LAYOUT_SLOTS, np.uint64)
        self._shape_keys = np.zeros(ks.SHAPE_SLOTS, np.uint64)
        self._shape_codes = np.zeros(ks.SHAPE_SLOTS, np.int32)
        self._counts = np.zeros(2, np.int64)
        self._speaker_keys = np.zeros(1 << 12, np.uint64)
        self._speaker_codes = np.zeros(1 << 12, np.int32)
        self._n_speakers = 0
        self._plans = np.zeros((256, kf.PLAN_WIDTH), np.int16)
        self._raw_shape = np.zeros(256, np.int32)

    def feed(
        self, buf: np.ndarray, size: int, *, stream: int, offset: int, first_line: int, last: bool
    ) -> Columns:
        """Parse ``buf[:size]`` (uint8, at least 128 zero bytes behind ``size``).

        ``offset`` is where the chunk begins in its stream, ``first_line`` the number of its
        first line, ``last`` whether the stream ends with it. The chunk holds whole lines
        unless it is the last.
        """
        n_max = int(ks.count_ends(buf, size)) + 1
        start, stop, origin, line, raw, fresh = (np.empty(n_max, np.int32) for _ in range(6))
        n, n_lines = self._scan(buf, size, last, start, stop, origin, line, raw, fresh)
        time = np.empty(n, np.int64)
        zoned = np.empty(n, np.uint8)
        level = np.empty(n, np.int8)
        who = np.empty(n, np.uint64)
        salt = np.uint64(((stream + 1) * 0x9E3779B97F4A7C15) & (2**64 - 1))
        kf.read_headers(
            buf, n, start, stop, line, raw, self._plans, salt, self.reference_day, time, zoned, level, who
        )
        speaker = self._intern(buf, n, start, stop, line, raw, who, stream)
        skip = np.zeros(n, np.uint8)
        if n > 1:
            skip[:-1] = line[1:n] == line[: n - 1]
        return Columns(
            stream=stream,
            buf=buf,
            size=size,
            n=n,
            n_lines=n_lines,
            start=start[:n],
            stop=stop[:n],
            origin=origin[:n],
            raw=raw[:n],
            shape=self._raw_shape[raw[:n]],
            speaker=speaker,
            line=line[:n].astype(np.int64) + first_line,
            offset=origin[:n].astype(np.int64) + offset,
            time=time,
            zoned=zoned,
            skip=skip,
            level=level,
        )

    def _scan(
        self,
        buf: np.ndarray,
        size: int,
        last: bool,
        start: np.ndarray,
        stop: np.ndarray,
        origin: np.ndarray,
        line: np.ndarray,
        raw: np.ndarray,
        fresh: np.ndarray,
    ) -> tuple[int, int]:
        state = np.array([self._counts[0], self._counts[1], 0, 0, 0], np.int64)
        carry = np.zeros(4, np.int64)
        done = size == 0
        while not done:
            first_code, state[2] = int(state[1]), 0
            done = ks.scan(
                buf,
                size,
                int(state[4]),
                carry,
                last,
                self._key,
                self._layouts,
                self._shape_keys,
                self._shape_codes,
                state,
                start,
                stop,
                origin,
                line,
                raw,
                fresh,
            )
            for i in range(int(state[2])):
                at = fresh[i]
                self._add_raw(
                    first_code + i, buf[start[at] : min(stop[at], start[at] + EXEMPLAR_BYTES)].tobytes()
                )
            if not done:
                self._grow_shapes()
        self._counts[:] = state[:2]
        # An open line at the end of the stream is a line too.
        return int(state[3]), int(carry[1] + (last and carry[2]))

    def _grow_shapes(self) -> None:
        keys = np.zeros(self._shape_keys.size * 4, np.uint64)
        codes = np.zeros(keys.size, np.int32)
        ks.rehash(self._shape_keys, self._shape_codes, keys, codes)
        self._shape_keys, self._shape_codes = keys, codes

    def _add_raw(self, code: int, line: bytes) -> None:
        masked, words = mask(line)
        masked = masked[:MASKED_CHARS]
        header, lead = _peel_bar(masked, peel(masked))
        begin = _byte_of(header.start, masked, words)
        end = _byte_of(header.end, masked, words)
        body = masked[header.start : header.end]
        raw = RawShape(
            masked=masked,
            header=header,
            content=line[begin:end].decode("latin-1"),
            begin=begin,
            lead=line[_byte_of(lead, masked, words) : begin].decode("latin-1"),
            words=tuple(words),
            shape=self._add_shape(canonical(body)),
        )
        if code >= len(self._plans):
            self._plans = np.concatenate([self._plans, np.zeros_like(self._plans)])
            self._raw_shape = np.concatenate([self._raw_shape, np.zeros_like(self._raw_shape)])
        self._plans[code] = _plan(masked, header)
        self._raw_shape[code] = raw.shape
        self._spots.append(_label_spots(masked, header))
        self.raws.append(raw)
        if self._on_raw is not None:
            self._on_raw(code, raw)

    def _add_shape(self, text: str) -> int:
        found = self._shape_of.get(text)
        if found is None:
            found = self._shape_of[text] = len(self.shapes)
            self.shapes.append(Shape(shape_id(text), text))
        return found

    def _intern(
        self,
        buf: np.ndarray,
        n: int,
        start: np.ndarray,
        stop: np.ndarray,
        line: np.ndarray,
        raw: np.ndarray,
        who: np.ndarray,
        stream: int,
    ) -> np.ndarray:
        out = np.empty(n, np.int32)
        fresh = np.empty(n, np.int32)
        state = np.array([self._n_speakers, 0, 0], np.int64)
        while not ks.intern(who, n, self._speaker_keys, self._speaker_codes, state, out, fresh):
            keys = np.zeros(self._speaker_keys.size * 4, np.uint64)
            codes = np.zeros(keys.size, np.int32)
            ks.rehash(self._speaker_keys, self._speaker_codes, keys, codes)
            self._speaker_keys, self._speaker_codes = keys, codes
        self._n_speakers = int(state[0])
        for at in fresh[: int(state[1])]:
            first = at
            while first > 0 and line[first - 1] == line[at]:
                first -= 1
            text = buf[start[first] : min(stop[first], start[first] + EXEMPLAR_BYTES)].tobytes()
            self.speakers.append(Speaker(stream, _read_labels(text, self._spots[raw[first]])))
        return out


# A progress bar has no line end of its own, so the next line is glued onto it by a tee.
_BAR = re.compile(rf"\s*(?:[^|{MASK}]{{0,40}}: *)?{MASK}%\|[^|]*\| *{MASK}/{MASK} \[[^\]\n]*\](?=\S)")


def _peel_bar(masked: str, header: Header) -> tuple[Header, int]:
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


# A label: its kind, and where it begins and ends in the masked text, each with the number of
# masked words before.
_Spot = tuple[str, int, int, int, int]


def _label_spots(masked: str, header: Header) -> tuple[_Spot, ...]:
    """Return where the labels stand in every line whose masked text is ``masked``."""
    return tuple(
        (f.kind, f.start, masked.count(MASK, 0, f.start), f.end, masked.count(MASK, 0, f.end))
        for f in _label_fields(header)
    )


def _read_labels(line: bytes, spots: tuple[_Spot, ...]) -> tuple[tuple[str, str], ...]:
    """Return the labels of one line as (kind, text); it is looked at as far as they reach."""
    n_words = max((words for *_, words in spots), default=0)
    longer = [0]  # the bytes that masking saves, up to each masked word
    for word in islice(MASKED_WORD.finditer(line), n_words):
        longer.append(longer[-1] + word.end() - word.start() - 1)
    return tuple(
        (kind, line[begin + longer[a] : end + longer[b]].decode("utf-8", "replace").strip())
        for kind, begin, a, end, b in spots
    )


def _label_fields(header: Header) -> list:  # type: ignore[type-arg]
    return [field for field in header.fields if field.kind in _LABELS][: kf.MAX_LABELS]


def _byte_of(position: int, masked: str, words: list[tuple[int, int]]) -> int:
    """Return where a position of the masked text stands in the line, in bytes."""
    n = masked.count(MASK, 0, position)
    return position + sum(end - begin - 1 for begin, end in words[:n])


def _edge(position: int, masked: str, *, is_end: bool) -> tuple[int, int, int]:
    """Return a position of the masked text as (word, edge, delta)."""
    n = masked.count(MASK, 0, position)
    if not is_end and position < len(masked) and masked[position] == MASK:
        return n, 0, 0
    if n == 0:
        return -1, 0, position
    return n - 1, 1, position - (masked.rfind(MASK, 0, position) + 1)


def _plan(masked: str, header: Header) -> np.ndarray:
    plan = np.zeros(kf.PLAN_WIDTH, np.int16)
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
            if form == kf.GLOG and header.level is None:
                plan[kf.P_LEVEL] = -1
            break
    k = 0
    for field in _label_fields(header):
        begin = _edge(field.start, masked, is_end=False)
        end = _edge(field.end, masked, is_end=True)
        if max(begin[0], end[0]) >= kf.MAX_WORDS:
            continue
        at = kf.P_FIRST + kf.LABEL_WIDTH * k
        plan[at : at + 3] = begin
        plan[at + 3 : at + 6] = end
        needed = max(needed, begin[0] + 1, end[0] + 1)
        k += 1
    plan[kf.P_LABELS] = k
    plan[kf.P_WORDS] = needed
    return plan


def content_place(raw: RawShape) -> tuple[int, int, int]:
    """Return where the content of a raw shape's lines begins, as (word, edge, delta)."""
    position = raw.header.start
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
