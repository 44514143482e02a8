"""What the groups of a signature hold in many lines of one raw shape, read by columns.

A pattern that names no digit by itself sees the same in two texts that differ in digits alone. So it
is tried on one line of each set of lines that are alike; in the others, its groups stand at the same
places. A pattern that does name a digit (`Errno 104`) is tried on each line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache

import numpy as np

from l4fast.job import Job
from l4fast.signature import MAX_CHARS, Signature

Values = tuple[tuple[str, str], ...]
Spans = dict[str, tuple[int, int]]

# What names a digit in a pattern without asking for one: counts, names of groups, classes; the 0 of
# `0x`, which lines that are alike have in common.
_NO_DIGITS = re.compile(r"\{\d+(?:,\d*)?\}|\(\?P<\w+>|\\x[0-9a-fA-F]{2}|0-9|0[xX](?![?*+{])")


@cache
def is_blind(pattern: str) -> bool:
    r"""Whether a pattern takes all digits for each other.

    >>> is_blind(r"rank (?P<rank>\d+) of [0-9]{1,4}"), is_blind(r"Errno 104"), is_blind(r"(a)\1")
    (True, False, False)
    """
    left = _NO_DIGITS.sub("", pattern)
    return re.search(r"\d|\(\?P=", left) is None


class Reading:
    """The groups of one signature in ``rows`` (int64[n], ascending) of one raw shape.

    Lines that are alike lie together in ``sets``: their places in ``rows``, where the groups stand in
    their texts, and where their contents begin. ``single`` holds the other lines, each by itself.
    """

    def __init__(self, job: Job, rows: np.ndarray, signature: Signature) -> None:
        self.rows = rows
        self.sets: list[tuple[np.ndarray, Spans, np.ndarray]] = []
        self.single: dict[int, dict[str, str]] = {}
        self._texts = job.texts
        self._bytes = np.frombuffer(job.texts, np.uint8)
        self._set_of = np.full(len(rows), -1, np.int32)
        forms = job.forms[rows] if is_blind(signature.pattern) else np.zeros(len(rows), np.uint64)
        known, first, form = np.unique(forms, return_index=True, return_inverse=True)
        order = np.argsort(form, kind="stable")
        bounds = np.searchsorted(form[order], np.arange(len(known) + 1))
        self._begins = (job.rows.text_at[rows] + job.rows.content_at[rows]).astype(np.int64)
        for k, name in enumerate(known.tolist()):
            places = order[bounds[k] : bounds[k + 1]]
            if name == 0 or len(places) == 1:
                for place in places.tolist():
                    self.single[place] = signature.read(job.content(int(rows[place])))
                continue
            spans = _spans(signature, job.content(int(rows[first[k]])))
            self._set_of[places] = len(self.sets)
            self.sets.append((places, spans, self._begins[places]))

    def groups(self, row: int) -> dict[str, str]:
        """Return what the groups hold in a row, without those that hold nothing."""
        place = int(np.searchsorted(self.rows, row))
        k = int(self._set_of[place])
        if k < 0:
            return self.single[place]
        begin, data = int(self._begins[place]), self._texts
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
        for places, spans, begins in self.sets:
            shown = [name for name in names if name in spans]
            columns = [self._column(begins, spans[name]) for name in shown]
            texts, inverse = _different(columns, len(places))
            here = [
                code_of.setdefault(tuple(zip(shown, each, strict=True)), len(code_of)) for each in texts
            ]
            codes[places] = np.array(here, np.int64)[inverse]
        return list(code_of), codes

    def parts(self) -> Iterator[tuple[np.ndarray, Collection[str]]]:
        """Yield places in ``rows`` and the groups that hold something in all of them."""
        for places, spans, _ in self.sets:
            yield places, spans
        for place, groups in self.single.items():
            yield np.array([place]), groups

    def texts(self, name: str, places: np.ndarray) -> list[str]:
        """Return what a group holds in each of the places that `parts` yielded together."""
        k = int(self._set_of[places[0]])
        if k < 0:
            return [self.single[int(places[0])][name]]
        low, high = self.sets[k][1][name]
        data = self._texts
        return [data[begin + low : begin + high].decode() for begin in self.sets[k][2].tolist()]

    def _column(self, begins: np.ndarray, span: tuple[int, int]) -> np.ndarray:
        return self._bytes[begins[:, None] + np.arange(*span)]


def _different(columns: Sequence[np.ndarray], n: int) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Return the different rows of some columns of bytes (uint8[n, width] each) as texts, and which is where."""
    if not columns:
        return [()], np.zeros(n, np.int64)
    wide = np.ascontiguousarray(np.concatenate(columns, axis=1))
    cuts = np.cumsum([0, *(column.shape[1] for column in columns)]).tolist()
    _, first, inverse = np.unique(
        wide.view(np.dtype((np.void, wide.shape[1]))).ravel(), return_index=True, return_inverse=True
    )
    texts = [wide[at].tobytes().decode() for at in first.tolist()]
    return [tuple(text[low:high] for low, high in zip(cuts, cuts[1:], strict=False)) for text in texts], inverse


def _spans(signature: Signature, text: str) -> Spans:
    """Return where the groups stand that hold something: as `Signature.read`, but places."""
    found = signature.regex.search(text[:MAX_CHARS])
    spans: Spans = {}
    for name in signature.regex.groupindex if found else ():
        assert found is not None
        low, high = found.span(name)
        if high > low:
            spans.setdefault(name.rstrip("0123456789"), (low, high))
    return spans


class Groups(Mapping[int, Mapping[str, str]]):
    """What the groups of their signatures hold in rows: read when asked for."""

    def __init__(self, n_rows: int, readings: Iterable[Reading] = ()) -> None:
        self._readings = list(readings)
        self._which = np.full(n_rows, -1, np.int32)
        self._held: dict[int, dict[str, str]] = {}
        for k, reading in enumerate(self._readings):
            self._which[reading.rows] = k

    def __getitem__(self, row: int) -> Mapping[str, str]:
        if row not in self._held:
            k = int(self._which[row])
            if k < 0:
                raise KeyError(row)
            self._held[row] = self._readings[k].groups(row)
        return self._held[row]

    def get(self, row: int, default: Mapping[str, str] | None = None) -> Mapping[str, str]:  # type: ignore[override]
        return self[row] if self._which[row] >= 0 else (default or {})

    def __iter__(self) -> Iterator[int]:
        return iter(np.flatnonzero(self._which >= 0).tolist())

    def __len__(self) -> int:
        return int((self._which >= 0).sum())
