"""Logs -> Parquet or Arrow files with final templates, nodes and ranks.

A template depends on all shapes, and a rank's node may be told at the end of the last log, so the
logs are read twice: the first pass finds the names, the second writes the rows. What is written
stands beside its target until all of it is complete: an interrupted run leaves nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from l4fast.batches import columns, places_of, ranks_of, templates_of
from l4fast.days import day_of
from l4fast.discovery import Found, discover, kept
from l4fast.errors import DataError, UsageError
from l4fast.job import Job
from l4fast.library import load
from l4fast.overwriting import overwritten
from l4fast.parameters import Parameters, Plan
from l4fast.parse import Parser
from l4fast.paths import path_facts
from l4fast.sheets import beside, write_sheets
from l4fast.source import STDIN, Paths, Unreadable
from l4fast.speakers import resolve
from l4fast.stream import CHUNK_BYTES, read
from l4fast.table import Codes, batch, schema
from l4fast.targets import staged

SUFFIXES = (".parquet", ".arrow")
# Who reads a folder of Parquet files as one table leaves out those that begin with `_`.
FOLDER_TEMPLATES = "_templates"


@dataclass(frozen=True)
class Report:
    """What was written: to ``out``, how many lines and templates, and what could not be read.

    ``collapsed`` is what `l4fast.job.Job.told_of_collapse` says.
    """

    out: str
    lines: int
    templates: int
    unreadable: tuple[Unreadable, ...]
    collapsed: str | None = None


def write(
    paths: Paths,
    out: str | os.PathLike[str],
    *,
    text: bool = False,
    params: bool = False,
    tick: Callable[[int], None] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Report:
    """Write one row per line to ``out``, and the templates beside it.

    ``FILE.parquet`` and ``FILE.arrow`` hold the lines of all logs; the templates (see
    `Batches.templates`) go to ``FILE.templates.parquet`` or ``.arrow``. Any other name without a
    suffix, or an existing folder, is a folder: one Parquet file per log, under the log's name
    below the path that led to it, and ``_templates.parquet``. ``params`` adds, besides the column that
    `l4fast.parse` has too, what each variable of a line's template stands for and its type.

    Raises
    ------
    UsageError
        ``out`` cannot be written, or has a suffix that says nothing.
    NothingToRead
        No path could be read.
    DataError
        A log changed between the two passes.
    """
    folder, name = _target(out)
    found = kept(discover(paths))
    stem, suffix = os.path.splitext(name)
    names = [name] * len(found.streams) if name else [f"{each}.parquet" for each in _names_below(found)]
    tables = f"{stem}.templates{suffix}" if name else f"{FOLDER_TEMPLATES}.parquet"
    _check([folder / each for each in sorted({*names, tables})], found)
    half = None if tick is None else _half(tick)
    with staged(folder, out) as staging:
        got = read([], load(), tick=half, found=found)
        n_shapes = len(got.job.shapes)
        templates = templates_of(got.job.shapes, got.job.shape_count.tolist(), range(n_shapes))
        final = _Final(got.job, templates)
        form = schema(template=True, text=text, params=params)
        parser = Parser(reference_day=day_of(found.streams), buckets=got.job.buckets)
        lines = 0
        first = staging / name if name else None
        with beside(partial(write_sheets, form=form, first=first)) as put:
            for cols in columns(found.streams, parser, chunk_bytes=chunk_bytes, tick=half):
                rows = batch(cols, final.codes(parser), form, final.values(parser) if params else None)
                lines += rows.num_rows
                put((staging / names[cols.stream], rows))
        if lines != sum(stream.lines for stream in got.job.streams):
            raise changed()
        write_sheets(
            [(staging / tables, each) for each in templates.to_batches()],
            form=templates.schema,
            first=staging / tables,
        )
    n_templates = len(templates["template_id"].unique())
    unreadable = (*found.unreadable, *got.problems)
    return Report(os.fspath(out), lines, n_templates, unreadable, got.job.told_of_collapse())


def _half(tick: Callable[[int], None]) -> Callable[[int], None]:
    """Each pass is half of the way."""
    return lambda n: tick(n // 2)


def changed() -> DataError:
    return DataError("a log changed while it was read: run again when nobody writes to it")


# ------------------------------------------------------------------------ where it goes


def _target(out: str | os.PathLike[str]) -> tuple[Path, str]:
    """Return the folder to write to, and the file's name in it ("": a folder was asked for)."""
    given = os.fspath(out)
    path = Path(given)
    if not given:
        raise UsageError("the name to write to is empty: name a .parquet or .arrow file, or a folder")
    if path.is_dir():
        return path, ""
    if not path.parent.is_dir():
        raise UsageError(f"{given} cannot be written: there is no folder {path.parent}", given)
    if given.endswith(os.sep) or not path.suffix:
        if path.exists():
            raise UsageError(f"{given} is no folder: name a new one, or a .parquet or .arrow file", given)
        return path, ""
    if path.suffix.lower() not in SUFFIXES:
        advice = "end the name in .parquet or .arrow, or in / for a folder"
        raise UsageError(f"{given} cannot be written: {path.suffix} is no known format; {advice}", given)
    return path.parent, path.name


def _check(targets: Collection[Path], found: Found) -> None:
    """Refuse what is a folder, or one of the logs, before anything is read."""
    for target in targets:
        if target.is_dir():
            raise UsageError(f"{target} is a folder: a file has to go there", str(target))
    if log := overwritten(targets, found.streams):
        raise UsageError(f"{log} is one of the logs: name another file", log)


def _names_below(found: Found) -> list[str]:
    """Return the name of each stream below the path that led to it, or below all, if that is not one each."""
    own = [os.path.relpath(s.name, found.layout_roots.get(s.root) or os.curdir) for s in found.streams]
    if len(set(own)) < len(own):
        full = [os.path.abspath(s.name) for s in found.streams]
        top = os.path.commonpath([os.path.dirname(name) for name in full])
        own = [os.path.relpath(name, top) for name in full]
    own = ["stdin" if s.name == STDIN else name for s, name in zip(found.streams, own, strict=True)]
    taken = {FOLDER_TEMPLATES}
    for i in range(len(own)):
        while own[i] in taken:
            own[i] += "_"
        taken.add(own[i])
    return own


# --------------------------------------------------------------------- names that are final


class _Final:
    """The names of the whole job for the codes of a parser that reads it again."""

    def __init__(self, job: Job, templates: pa.Table) -> None:
        top = resolve(job, path_facts([stream.name for stream in job.streams]))
        node_place: dict[str, int] = {name: i for i, name in enumerate(top.nodes)}
        self._node_of = places_of(top.node, node_place)
        self._rank_of = ranks_of(top.rank)
        self._shape_place = {shape.text: i for i, shape in enumerate(job.shapes)}
        self._speaker_place = {speaker: i for i, speaker in enumerate(job.speakers)}
        template_of = dict(
            zip(templates["shape"].to_pylist(), templates["template_id"].to_pylist(), strict=True)
        )
        self._text_of = dict(
            zip(templates["shape"].to_pylist(), templates["template"].to_pylist(), strict=True)
        )
        self._parameters = Parameters()
        template_place = {name: i for i, name in enumerate(sorted(set(template_of.values())))}
        # A shape without a line of its own (a bar that was drawn over) has no template.
        self._template_of = places_of((template_of.get(shape.id) for shape in job.shapes), template_place)
        none = np.zeros(0, np.int32)
        self._codes = Codes(
            file=_strings(stream.name for stream in job.streams),
            node=_strings(node_place),
            shape=_strings(shape.id for shape in job.shapes),
            template=_strings(template_place),
            shape_of=none,
            template_of=none,
            node_of=none,
            rank_of=none,
        )

    def codes(self, parser: Parser) -> Codes:
        """Return what the parser's codes stand for; the dictionaries are the same objects at every call.

        Raises
        ------
        DataError
            The parser knows a shape or a speaker that the job does not.
        """
        held = self._codes
        n_shapes, n_speakers = len(held.shape_of), len(held.node_of)
        if n_shapes == len(parser.shapes) and n_speakers == len(parser.speakers):
            return held
        try:
            shapes = np.array([self._shape_place[s.text] for s in parser.shapes[n_shapes:]], np.int32)
            speakers = np.array([self._speaker_place[s] for s in parser.speakers[n_speakers:]], np.int32)
        except KeyError:
            raise changed() from None
        self._codes = replace(
            held,
            shape_of=np.concatenate([held.shape_of, shapes]),
            template_of=np.concatenate([held.template_of, self._template_of[shapes]]),
            node_of=np.concatenate([held.node_of, self._node_of[speakers]]),
            rank_of=np.concatenate([held.rank_of, self._rank_of[speakers]]),
        )
        return self._codes

    def values(self, parser: Parser) -> Plan:
        """Return where the values of each raw shape's lines stand; call it behind `codes`."""
        for raw in parser.raws[len(self._parameters) :]:
            self._parameters.add(raw, self._text_of.get(parser.shapes[raw.shape].id))
        return self._parameters.plan


def _strings(values: Iterable[str]) -> Any:
    return pa.array(list(values), pa.string())
