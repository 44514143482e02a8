"""Files of record batches that are being written, in a thread of their own.

A Parquet file packs rows by groups, for which its batches wait; an Arrow file takes them as they come.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from l4fast.table import CODE

# Rows wait for their row group in memory: enough to pack well, and little to write when all is read.
ROW_GROUP_BYTES = 32 << 20
# Batches that may wait for the writer.
WAITING = 2
# Differences are small where values grow from line to line; packed, they need no compression.
_DELTA = dict.fromkeys(("line", "offset", "length", "time"), "DELTA_BINARY_PACKED")
# What Parquet calls the strings in the lists of `types`.
_TYPES = "types.list.element"
T = TypeVar("T")


@contextmanager
def beside(work: Callable[[Iterator[T]], None]) -> Iterator[Callable[[T], None]]:
    """Yield a function that hands an item to ``work``, which runs in a thread of its own.

    At most `WAITING` items wait; then the caller does. An error of ``work`` is raised to the caller.
    """
    queue: Queue[T | None] = Queue(WAITING)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work(iter(queue.get, None))
        except BaseException as error:
            failed.append(error)
            while queue.get() is not None:  # or the caller would wait for ever
                pass

    def put(item: T) -> None:
        if failed:
            raise failed[0]
        queue.put(item)

    thread = threading.Thread(target=run, name="l4fast-write", daemon=True)
    thread.start()
    try:
        yield put
    finally:
        queue.put(None)
        thread.join()
    if failed:
        raise failed[0]


def write_sheets(items: Iterable[tuple[Path, Any]], *, form: pa.Schema, first: Path | None) -> None:
    """Write batches to their files; the batches of a file come together. ``first`` is made in any case."""
    sheet = None if first is None else Sheet(first, form)
    for path, rows in items:
        if sheet is None or sheet.path != path:
            if sheet is not None:
                sheet.close()
            sheet = Sheet(path, form)
        sheet.add(rows)
    if sheet is not None:
        sheet.close()


class Sheet:
    """A file that is being written."""

    def __init__(self, path: Path, form: pa.Schema) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._form = form
        self._held: list[Any] = []
        self._held_bytes = 0
        self._is_parquet = path.suffix.lower() == ".parquet"
        if self._is_parquet:
            self._file = pq.ParquetWriter(
                path,
                form,
                compression="zstd",
                compression_level=1,
                use_dictionary=[*(name for name in form.names if name not in _DELTA), _TYPES],
                column_encoding={name: way for name, way in _DELTA.items() if name in form.names},
            )
        else:
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            self._file = pa.ipc.new_file(os.fspath(path), form, options=options)

    def add(self, rows: Any) -> None:
        if not self._is_parquet:
            self._file.write(rows)
            return
        self._held.append(rows)
        self._held_bytes += sum(
            4 * len(column) if column.type == CODE else column.nbytes for column in rows.columns
        )
        if self._held_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        if self._held:
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._held, self._form)
        for i, field in enumerate(self._form):
            if field.type == CODE:
                table = table.set_column(i, field, fitting(table.column(i)))
        self._file.write_table(table, max(table.num_rows, 1))
        self._held, self._held_bytes = [], 0


def fitting(column: Any) -> Any:
    """Return a dictionary column with the values that it uses, if it is short for its dictionary.

    Parquet keeps a dictionary in each row group: the names of 10,000 logs in 10,000 files.
    """
    if len(column.chunk(0).dictionary) * 8 < len(column):
        return column
    return column.cast(pa.string()).dictionary_encode()
