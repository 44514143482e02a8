"""Logs -> Parquet or Arrow files with final templates, nodes and ranks.

A template depends on all shapes, and a rank's node may be told at the end of the last log, so the
logs are read twice: the first pass finds the names, the second writes the rows. What is written
stands beside its target until all of it is complete: an interrupted run leaves nothing.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from l4fast.batches import Paths, columns, kept, places_of, ranks_of, templates_of
from l4fast.errors import DataError, UsageError
from l4fast.job import Job
from l4fast.library import load
from l4fast.parse import Parser
from l4fast.source import Found, Stream, Unreadable, discover
from l4fast.stream import CHUNK_BYTES, day_of, read
from l4fast.table import DICTIONARIES, Codes, batch, schema
from l4fast.topology import resolve

SUFFIXES = (".parquet", ".arrow")
# Rows wait for their row group in memory: large enough to pack well, small enough to hold.
ROW_GROUP_BYTES = 64 << 20
# Of a folder's files, `pyarrow.dataset`, Spark and DuckDB leave out those that begin so.
FOLDER_TEMPLATES = "_templates.parquet"


@dataclass(frozen=True)
class Report:
    """What was written: to ``out``, how many lines and templates, and what could not be read."""

    out: str
    lines: int
    templates: int
    unreadable: tuple[Unreadable, ...]


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
    below the path that led to it, and ``_templates.parquet``.

    Raises
    ------
    UsageError
        ``out`` cannot be written, or has a suffix that says nothing.
    NothingToRead
        No path could be read.
    DataError
        A log changed between the two passes.
    """
    target = _target(out)
    found = kept(discover(paths))
    half = _halved(tick)
    got = read([], load(), tick=half, found=found)
    names = _Names(got.job)
    table = templates_of(got.job.shapes, got.job.shape_count.tolist())
    with _staged(target) as staging:
        files = [staging / name for name in target.files(found)]
        parser = Parser(reference_day=day_of(found.streams))
        form = schema(template=True, text=text, params=params)
        with _Writing(form, files, one=target.is_file) as writing:
            for cols in columns(found.streams, parser, chunk_bytes=chunk_bytes, tick=half):
                writing.put(cols.stream, batch(cols, names.codes(parser), form))
    ...
