"""What a person's terminal, or the program behind a pipe, is sent: safe text, JSON, progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import orjson

_SHORT_BYTES = 64 << 20  # read in well under a second: no bar


def escaped(text: str) -> str:
    r"""Show control characters as escapes: a log must not drive the terminal.

    >>> escaped("\x1b[31mred\r\n"), escaped("caf\udce9"), escaped("\u202e")
    ('\\x1b[31mred\\x0d\\x0a', 'caf\\xe9', '\\u202e')
    """
    return "".join(c if c == "\t" or c.isprintable() else _escape(ord(c)) for c in text)


def _escape(number: int) -> str:
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that is no UTF-8, as Python keeps it
        return f"\\x{number - 0xDC00:02x}"
    return (
        f"\\x{number:02x}"
        if number < 0x100
        else f"\\u{number:04x}"
        if number < 0x10000
        else f"\\U{number:08x}"
    )


def print_json(value: object) -> None:
    """Write one JSON object and a newline to stdout: always UTF-8, whatever the locale."""
    sys.stdout.flush()
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def print_text(lines: Iterable[str]) -> None:
    """Write lines to stdout, control characters as escapes."""
    sys.stdout.write("".join(f"{escaped(line)}\n" for line in lines))


def warn(subject: str, reason: str) -> None:
    """Say on stderr that a file was not read, or not all of it; or what else the answer lacks."""
    print(f"l4fast: warning: {escaped(subject)}: {escaped(reason)}", file=sys.stderr)


@contextmanager
def ticking(paths: Sequence[str], what: str) -> Iterator[Callable[[int], None] | None]:
    """Show the progress of reading ``paths`` on a terminal; nothing where stderr is not one."""
    shown = sys.stderr.isatty()
    total = _total_bytes(paths) if shown else None
    if not shown or (total is not None and total < _SHORT_BYTES):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda n: bar.advance(task, n)


def _total_bytes(paths: Sequence[str]) -> int | None:
    """Return the bytes on disk, roughly; None where they cannot be told (stdin, a glob)."""
    total = 0
    for path in paths:
        if not os.path.exists(path):
            return None
        for folder, _, names in os.walk(path) if os.path.isdir(path) else [("", [], [path])]:
            for name in names:
                try:
                    total += os.path.getsize(os.path.join(folder, name))
                except OSError:
                    continue
    return total
