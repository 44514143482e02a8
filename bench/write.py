"""How much of `l4fast parse -o FILE.parquet` is writing: the same run with and without the writer's work.

    python bench/write.py [FILE]

The writer has a thread of its own beside the parser; its share is what a run gets longer by it. FILE
is one log; without it a simulated job is written to a temporary file. Runs take turns, best of five.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

import pyarrow.parquet as pq
from l4fast.write import write

import inputs


def main() -> None:
    """Check that all lines are written, race, print."""
    with tempfile.TemporaryDirectory() as place:
        log, out = Path(place, "job.log"), Path(place, "out.parquet")
        if len(sys.argv) > 1:
            log = Path(sys.argv[1])
        else:
            inputs.simulated(log, 200_000_000)
        report = write([str(log)], out)
        assert pq.ParquetFile(out).metadata.num_rows == report.lines
        size = out.stat().st_size
        with_it, without = 1e9, 1e9
        for _ in range(5):
            with_it = min(with_it, took(log, out))
            with idle_writer():
                without = min(without, took(log, out))
    print(f"{log.name}: {report.lines:,} lines, Parquet {size / 1e6:.0f} MB")
    print(
        f"with the writer {with_it:.2f} s, without {without:.2f} s: its share is {1 - without / with_it:.2f}"
    )


def took(log: Path, out: Path) -> float:
    begin = perf_counter()
    write([str(log)], out)
    return perf_counter() - begin


@contextmanager
def idle_writer() -> Any:
    """Let the writer take the batches, and write nothing."""

    def drop(items: Iterable[Any], *, form: Any, first: Path | None) -> None:
        for _ in items:
            pass
        if first is not None:
            first.touch()

    with patch("l4fast.write.write_sheets", drop):
        yield


if __name__ == "__main__":
    main()
