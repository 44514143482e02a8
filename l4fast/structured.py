"""A log and its format -> one row per line, with fields and template, as CSV.

The log is read twice. In the first pass the first line of each raw shape is split into its fields
(`l4fast.logformat`), and their contents, with names that hold a digit in place (`l4fast.names`), give
the templates. In the second a kernel writes the rows: where the fields of a line stand is known for
its raw shape.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from l4fast.canonical import MASK, VARIABLE, canonical, mask_all, shape_id
from l4fast.chunks import chunks
from l4fast.lines import LineReader, Lines
from l4fast.logformat import LogFormat, Span, byte_spans, places
from l4fast.names import Names, Wordings, filled
from l4fast.notation import SAMPLE, styled
from l4fast.parameters import variables
from l4fast.source import Stream, Unreadable
from l4fast.stream import CHUNK_BYTES
from l4fast.templates import Template, derive
from l4fast.write import changed
from l4fast_kernels import csvrows as kr

OUT_BYTES = 4 << 20
LEFT_OUT = -1
# A longer line is looked at only so far when it is the first of its raw shape.
FIRST_LINE_BYTES = 1 << 18


@dataclass(frozen=True)
class Parsed:
    """What a log was parsed into.

    Attributes
    ----------
    lines, unmatched : int
        Rows written; lines that do not fit the log format, which have no row.
    templates : tuple of Template
        Most lines first.
    count : int64[n_templates]
        Lines of each template.
    template : int32[lines]
        The place in ``templates`` of each row's.
    problems : tuple of Unreadable
        What of the log could not be read.
    """

    lines: int
    unmatched: int
    templates: tuple[Template, ...]
    count: np.ndarray
    template: np.ndarray
    problems: tuple[Unreadable, ...]


def write_structured(
    stream: Stream,
    form: LogFormat,
    out: BinaryIO,
    *,
    labels: str = SAMPLE,
    keep_para: bool = True,
    keep_templates: bool = False,
    tick: Callable[[int], None] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Parsed:
    """Write a row per line of ``stream`` that fits ``form``; memory does not grow with the lines.

    ``keep_templates`` fills `Parsed.template`: four bytes a line.

    Raises
    ------
    DataError
        The log changed between the two passes.
    """
    reader, problems = LineReader(), list[Unreadable]()

    def all_lines(problems: list[Unreadable] | None) -> Iterator[Lines]:
        for chunk in chunks(stream, chunk_bytes=chunk_bytes, problems=problems):
            yield reader.read(chunk.data, chunk.size)
            if tick is not None:
                tick(chunk.size // 2)

    shapes = _Shapes(form, keep_lines=keep_para)
    for lines in all_lines(problems):
        shapes.add(lines)
    wordings = shapes.names.wordings()
    named = shapes.named(wordings, labels)
    plan = shapes.plan(wordings, named)
    out.write(_csv_row("LineId", *form.fields, "EventId", "EventTemplate", *["ParameterList"] * keep_para))
    state = np.zeros(3, np.int64)
    kept, count = [np.zeros(0, np.int32)], np.zeros(len(named.templates), np.int64)
    for lines in all_lines(None):
        if len(lines.fresh):
            raise changed()
        wording = wordings.of(lines)
        _write_chunk(lines, wording, plan, keep_para, state, out)
        codes = plan.template[wording]
        codes = codes[codes != LEFT_OUT]
        count += np.bincount(codes, minlength=len(count))
        if keep_templates:
            kept.append(codes)
    n_rows = int(shapes.count[plan.template[wordings.base] != LEFT_OUT].sum())
    if state[kr.S_ROW] != n_rows:
        raise changed()
    order = sorted(range(len(count)), key=lambda i: (-count[i], named.templates[i].id))
    place = np.empty(len(count), np.int32)
    place[order] = np.arange(len(count))
    return Parsed(
        lines=n_rows,
        unmatched=int(shapes.count.sum()) - n_rows,
        templates=tuple(named.templates[i] for i in order),
        count=count[order],
        template=place[np.concatenate(kept)],
        problems=tuple(problems),
    )


def write_templates(out: BinaryIO, parsed: Parsed) -> None:
    """Write id, text and number of lines of each template."""
    out.write(_csv_row("EventId", "EventTemplate", "Occurrences"))
    for template, n in zip(parsed.templates, parsed.count.tolist(), strict=True):
        out.write(_csv_row(template.id, template.text, str(n)))


def _csv_row(*values: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode("utf-8", "replace")


# ------------------------------------------------------------------- raw shapes -> templates


@dataclass(frozen=True)
class _Named:
    """The templates of a log, and which one each wording has.

    Attributes
    ----------
    templates : tuple of Template
    template : int32[n_wordings]
        `LEFT_OUT` for one that does not fit the log format.
    """

    templates: tuple[Template, ...]
    template: np.ndarray


@dataclass(frozen=True)
class _Plan:
    """What `write_rows` is told; see there."""

    n_words: np.ndarray
    fields: np.ndarray
    first_param: np.ndarray
    params: np.ndarray
    template: np.ndarray
    first_tail: np.ndarray
    tails: np.ndarray
    most_bytes: int  # a row takes no more, besides `BYTES_PER_BYTE` for each byte of its line


class _Shapes:
    """The raw shapes of a log, in the order of their codes: their lines, fields and contents."""

    def __init__(self, form: LogFormat, *, keep_lines: bool) -> None:
        self.count = np.zeros(0, np.int64)
        self.names = Names()
        self._form = form
        self._keep_lines = keep_lines
        self._fields = array("i")
        self._contents: list[tuple[str, int] | None] = []  # masked, and the number of its first word
        self._lines: list[tuple[bytes, Span]] = []  # the first line, and where its content stands

    def add(self, lines: Lines) -> None:
        """Count the lines of a chunk, and look at the first line of each raw shape that is new."""
        for row in lines.fresh:
            stop = min(lines.stop[row], lines.start[row] + FIRST_LINE_BYTES)
            self._add_raw(lines.buf[lines.start[row] : stop].tobytes())
        self.names.feed(lines)
        counts = np.bincount(lines.code, minlength=len(self._contents))
        counts[: len(self.count)] += self.count
        self.count = counts

    def _add_raw(self, line: bytes) -> None:
        masked, words = mask_all(line.replace(b"\x00", b"\x01"))
        found = self._form.spans(masked)
        self.names.add(len(words))
        if found is None:
            self._contents.append(None)
            self._fields.extend([0] * (6 * len(self._form.fields)))
            self._lines.append((b"", (0, 0)))
            return
        spans = byte_spans(found, words)
        for span in spans:
            begin, end = places(span, words, line)
            self._fields.extend(begin + end)
        content = spans[self._form.content] or (0, 0)
        where = found[self._form.content] or (0, 0)
        self._contents.append((masked[slice(*where)], masked.count(MASK, 0, where[0])))
        self._lines.append((line, content) if self._keep_lines else (b"", (0, 0)))

    def named(self, wordings: Wordings, labels: str) -> _Named:
        """Return the templates of the contents, in the notation of ``labels``."""
        contents = [self._contents[raw] for raw in wordings.raw]
        texts = [
            None if content is None else canonical(filled(content[0], names, content[1]))
            for content, names in zip(contents, wordings.names, strict=True)
        ]
        template_of = derive(text for text in texts if text is not None)
        place: dict[str, int] = {}
        template = [
            LEFT_OUT if text is None else place.setdefault(styled(template_of[text].text, labels), len(place))
            for text in texts
        ]
        return _Named(tuple(Template(shape_id(text), text) for text in place), np.array(template, np.int32))

    def plan(self, wordings: Wordings, named: _Named) -> _Plan:
        """Return what the kernel needs to write the rows."""
        first_param, params = self._params(wordings, named)
        fields = np.array(self._fields, np.int32).reshape(len(self._contents), -1)[wordings.raw]
        tails = [b"," + _csv_row(t.id, t.text)[:-1] for t in named.templates]
        first_tail = np.cumsum([0, *map(len, tails)], dtype=np.int64)
        words = np.zeros(len(fields) + 1, np.int32)
        words[:-1] = fields[:, ::3].max(axis=1, initial=-1) + 1
        np.maximum.at(
            words, np.repeat(np.arange(len(fields)), np.diff(first_param)), params[:, ::3].max(axis=1) + 1
        )
        n_pieces = len(self._form.fields) + int(np.diff(first_param).max(initial=0))
        return _Plan(
            n_words=words[:-1],
            fields=fields,
            first_param=first_param,
            params=params,
            template=named.template,
            first_tail=first_tail,
            tails=np.frombuffer(b"".join(tails) + b"\x00", np.uint8),
            most_bytes=kr.BYTES_PER_ROW + kr.BYTES_PER_PIECE * n_pieces + max(map(len, tails), default=0),
        )

    def _params(self, wordings: Wordings, named: _Named) -> tuple[np.ndarray, np.ndarray]:
        """Return where the parameters of each wording stand: see `write_rows`."""
        found, first = array("i"), [0]
        for i, code in enumerate(named.template.tolist()):
            line, content = self._lines[wordings.raw[i]]
            told = int(wordings.word_of[wordings.raw[i]])
            if line and told >= 0:
                line, content = _renamed(line, content, told, wordings.names[i][told].encode("latin-1"))
            if line and VARIABLE in named.templates[code].text:
                words = mask_all(line)[1]
                for span in variables(named.templates[code].text, line, content):
                    begin, end = places(span, words, line)
                    found.extend(begin + end)
            first.append(len(found) // 6)
        return np.array(first, np.int64), np.array(found, np.int32).reshape(-1, 6)


def _renamed(line: bytes, content: Span, word: int, name: bytes) -> tuple[bytes, Span]:
    """Return a line with another name for one of its masked words, and where its content stands then."""
    begin, end = mask_all(line)[1][word]
    longer = len(name) - (end - begin)
    moved = tuple(at + longer if at >= end else at for at in content)
    return line[:begin] + name + line[end:], (moved[0], moved[1])


# ------------------------------------------------------------------------------- rows


def _write_chunk(
    lines: Lines, wording: np.ndarray, plan: _Plan, with_params: bool, state: np.ndarray, out: BinaryIO
) -> None:
    longest = int((lines.stop - lines.start).max(initial=0))
    room = np.empty(max(OUT_BYTES, plan.most_bytes + kr.BYTES_PER_BYTE * longest), np.uint8)
    edges = np.zeros(2 * int(plan.n_words.max(initial=0)) + 2, np.int64)
    state[kr.S_SEGMENT] = 0
    while state[kr.S_SEGMENT] < lines.n:
        state[kr.S_USED] = 0
        kr.write_rows(
            lines.buf,
            lines.n,
            lines.start,
            lines.stop,
            wording,
            plan.n_words,
            plan.fields,
            plan.first_param,
            plan.params,
            with_params,
            plan.template,
            plan.first_tail,
            plan.tails,
            edges,
            state,
            room,
        )
        out.write(room[: state[kr.S_USED]].data)
