"""What a person's terminal, or the program behind a pipe, is sent: safe text, JSON, progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

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


@contextmanager
def answering() -> Iterator[None]:
    """Write to stdout. Whoever reads it may stop reading (head, less): that changes nothing, no exit code."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)


def print_json(value: object) -> None:
    """Write one JSON object and a newline to stdout: always UTF-8, whatever the locale."""
    with answering():
        sys.stdout.flush()
        sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()


def print_text(lines: Iterable[str]) -> None:
    """Write lines to stdout, control characters as escapes."""
    with answering():
        sys.stdout.write("".join(f"{escaped(line)}\n" for line in lines))


def say(sentence: str) -> None:
    """Write a line to stderr. Where it cannot be written, nobody reads it, and nothing else changes."""
    try:
        print(sentence, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Send what is still to be flushed to nowhere: the reader went away, or the disk is full."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def warn(subject: str, reason: str) -> None:
    """Say on stderr that a file was not read, or not all of it; or what else the answer lacks."""
    say(f"l4fast: warning: {escaped(subject)}: {escaped(reason)}")


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
