"""What the groups of a signature hold in many lines of one raw shape, read by columns.

A pattern that names no digit by itself sees the same in two texts that differ in digits alone. So it
is tried on one line of each set of lines that are alike; in the others, its groups stand at the same
places. A pattern that does name a digit (`Errno 104`) is tried on each line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise

import numpy as np

from l4fast.job import Job
from l4fast.regexes import regex
from l4fast.signature import MAX_CHARS

Values = tuple[tuple[str, str], ...]
Spans = dict[str, tuple[int, int]]

# What names a digit in a pattern without asking for one: counts, names of groups, classes; the 0 of
# `0x`, which lines that are alike have in common.
_NO_DIGITS = regex(r"\{\d+(?:,\d*)?\}|\(\?P<\w+>|\\x[0-9a-fA-F]{2}|0-9|0[xX](?![?*+{])")


@cache
def is_blind(pattern: str) -> bool:
    r"""Whether a pattern takes all digits for each other.

    >>> is_blind(r"rank (?P<rank>\d+) of [0-9]{1,4}"), is_blind(r"Errno 104"), is_blind(r"(a)\1")
    (True, False, False)
    """
    left = _NO_DIGITS.sub("", pattern)
    return re.search(r"\d|\(\?P=", left) is None


class Reading:
    """The groups of a pattern in ``rows`` (int64[n], ascending) of one raw shape.

    Lines that are alike lie together in ``sets``: their places in ``rows``, and where the groups stand
    in their texts. ``single`` holds the other lines, each by itself. The pattern is tried on the content
    of the lines, or with ``in_lines`` on all of them. Of a line whose text was not kept nobody knows whom
    it names: it holds what all others do, and no more.
    """

    def __init__(
        self, job: Job, rows: np.ndarray, pattern: re.Pattern[str], *, in_lines: bool = False
    ) -> None:
        self.rows = rows
        self.sets: list[tuple[np.ndarray, Spans]] = []
        self.single: dict[int, dict[str, str]] = {}
        self._texts = job.texts
        self._bytes = np.frombuffer(job.texts, np.uint8)
        self._set_of = np.full(len(rows), -1, np.int32)
        self._begins = job.rows.text_at[rows] + (0 if in_lines else job.rows.content_at[rows])
        self._begin_list: list[int] = self._begins.tolist()
        blind = is_blind(pattern.pattern)
        forms = job.alike(rows, in_lines=in_lines) if blind else np.zeros(len(rows), np.uint64)
        kept = job.rows.text_size[rows] >= 0
        order = np.argsort(forms, kind="stable")
        order = order[kept[order]]
        bounds = np.flatnonzero(np.diff(forms[order])) + 1
        for places in np.split(order, bounds) if len(order) else ():
            if forms[places[0]] == 0 or len(places) == 1:
                for place in places.tolist():
                    text = _text(job, int(rows[place]), in_lines)
                    self.single[place] = {
                        k: text[low:high] for k, (low, high) in _spans(pattern, text).items()
                    }
                continue
            self._set_of[places] = len(self.sets)
            self.sets.append((places, _spans(pattern, _text(job, int(rows[places[0]]), in_lines))))
        untold = np.flatnonzero(~kept)
        if untold.size:
            self.single.update(dict.fromkeys(untold.tolist(), self._in_all(int(kept.sum()))))

    def _in_all(self, n_kept: int) -> dict[str, str]:
        """Return what the groups hold in each line with a text: the others may be taken to hold it too."""
        if n_kept < 2:
            return {}
        held = [set(groups.items()) for groups in self.single.values()]
        for places, spans in self.sets:
            columns = {name: self._column(places, span) for name, span in spans.items()}
            same = {name for name, column in columns.items() if (column == column[0]).all()}
            held.append({(name, text) for name, text in self.at(int(places[0])).items() if name in same})
        return dict(set.intersection(*held))

    def at(self, place: int) -> dict[str, str]:
        """Return what the groups hold in a row, by its place, without those that hold nothing."""
        k = int(self._set_of[place])
        if k < 0:
            return self.single[place]
        begin, data = self._begin_list[place], self._texts
        return {
            name: data[begin + low : begin + high].decode() for name, (low, high) in self.sets[k][1].items()
        }

    def distinct(self, names: Sequence[str]) -> tuple[list[Values], np.ndarray]:
        """Return the different values that groups ``names`` have together, and which each row has."""
        code_of: dict[Values, int] = {}
        codes = np.empty(len(self.rows), np.int64)
        for place, groups in self.single.items():
            values = tuple((name, groups[name]) for name in names if name in groups)
            codes[place] = code_of.setdefault(values, len(code_of))
        for places, spans in self.sets:
            shown = [name for name in names if name in spans]
            columns = [self._column(places, spans[name]) for name in shown]
            texts, inverse = _different(columns, len(places))
            here = [code_of.setdefault(tuple(zip(shown, each, strict=True)), len(code_of)) for each in texts]
            codes[places] = np.array(here, np.int64)[inverse]
        return list(code_of), codes

    def parts(self) -> Iterator[tuple[np.ndarray, Collection[str]]]:
        """Yield places in ``rows`` and the groups that hold something in all of them."""
        yield from self.sets
        for place, groups in self.single.items():
            yield np.array([place]), groups

    def texts(self, name: str, places: np.ndarray) -> list[str]:
        """Return what a group holds in each of the places that `parts` yielded together."""
        k = int(self._set_of[places[0]])
        if k < 0:
            return [self.single[int(places[0])][name]]
        low, high = self.sets[k][1][name]
        data = self._texts
        return [data[begin + low : begin + high].decode() for begin in self._begins[places].tolist()]

    def _column(self, places: np.ndarray, span: tuple[int, int]) -> np.ndarray:
        column: np.ndarray = self._bytes[self._begins[places][:, None] + np.arange(*span)]
        return column


def _text(job: Job, row: int, in_lines: bool) -> str:
    if not in_lines:
        return job.content(row)
    return (job.row_text(row) or b"").decode("utf-8", "replace")


def _different(columns: Sequence[np.ndarray], n: int) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Return the different rows of columns of bytes (uint8[n, width] each) as texts, and which is where."""
    if not columns:
        return [()], np.zeros(n, np.int64)
    wide = np.ascontiguousarray(np.concatenate(columns, axis=1))
    cuts = np.cumsum([0, *(column.shape[1] for column in columns)]).tolist()
    _, first, inverse = np.unique(
        wide.view(np.dtype((np.void, wide.shape[1]))).ravel(), return_index=True, return_inverse=True
    )
    texts = [wide[at].tobytes().decode() for at in first.tolist()]
    return [tuple(text[low:high] for low, high in pairwise(cuts)) for text in texts], inverse


def _spans(pattern: re.Pattern[str], text: str) -> Spans:
    """Return where the groups stand that hold something: as `Signature.read`, but places."""
    found = pattern.search(text[:MAX_CHARS])
    spans: Spans = {}
    for name in pattern.groupindex if found else ():
        assert found is not None
        low, high = found.span(name)
        if high > low:
            spans.setdefault(name.rstrip("0123456789"), (low, high))
    return spans


class Groups(Mapping[int, dict[str, str]]):
    """What the groups of their signatures hold in rows: read when asked for."""

    def __init__(self, n_rows: int, readings: Iterable[Reading] = ()) -> None:
        self._readings = list(readings)
        self._which = np.full(n_rows, -1, np.int32)
        self._place = np.zeros(n_rows, np.int32)
        self._held: dict[int, dict[str, str]] = {}
        for k, reading in enumerate(self._readings):
            self._which[reading.rows] = k
            self._place[reading.rows] = np.arange(len(reading.rows))

    def __getitem__(self, row: int) -> dict[str, str]:
        if row not in self._held:
            k = int(self._which[row])
            if k < 0:
                raise KeyError(row)
            self._held[row] = self._readings[k].at(int(self._place[row]))
        return self._held[row]

    def __iter__(self) -> Iterator[int]:
        return iter(np.flatnonzero(self._which >= 0).tolist())

    def __len__(self) -> int:
        return int((self._which >= 0).sum())
