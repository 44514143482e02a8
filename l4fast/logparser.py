"""logparser's own interface, so that a harness of the public benchmark runs l4fast as one more parser."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from l4fast.discovery import discover
from l4fast.errors import UsageError
from l4fast.logformat import LogFormat
from l4fast.logformat import log_format as read_format
from l4fast.notation import SAMPLE, STYLES
from l4fast.structured import Parsed, write_structured, write_templates
from l4fast.targets import staged
from l4fast.terminal import warn


class LogParser:
    """Parses logs into the benchmark's two files; nothing is tuned to a log, and no label is seen.

    Parameters
    ----------
    log_format : str
        The fields of a line, such as ``<Date> <Time> <Level> <Component>: <Content>``.
    indir, outdir : str
        Where logs are read, and where the files are written.
    rex : ignored
        Regular expressions for one log: none is needed.
    labels : ``"2k"`` or ``"full"``
        The notation of templates: that of the corrected labels of the 2k samples, or that of the
        labels of the full logs, which join variables that only a delimiter parts.
    keep_para : bool
        Whether to write what each ``<*>`` stands for, in the column ``ParameterList``.
    *tuning, **ignored
        What other parsers are tuned with.

    Raises
    ------
    UsageError
        The log format cannot be used, or ``labels`` names no notation.

    Examples
    --------
    >>> parser = LogParser("<Date> <Time> <Level> <Content>", indir="logs", outdir="result", st=0.5)
    >>> parser.parse("app.log")  # doctest: +SKIP
    """

    def __init__(
        self,
        log_format: str,
        indir: str | os.PathLike[str] = "./",
        outdir: str | os.PathLike[str] = "./result/",
        *tuning: object,
        rex: object = None,
        labels: str = SAMPLE,
        keep_para: bool = True,
        **ignored: object,
    ) -> None:
        if labels not in STYLES:
            raise UsageError(f"labels is one of {', '.join(STYLES)}, not {labels!r}")
        self.log_format = read_format(log_format)
        self.indir, self.outdir = os.fspath(indir), os.fspath(outdir)
        self.labels, self.keep_para = labels, keep_para

    def parse(self, logname: str) -> Parsed:
        """Write ``<logname>_structured.csv`` and ``<logname>_templates.csv`` to ``outdir``.

        They appear when both are complete. Lines that do not fit the log format have no row;
        a warning on stderr tells how many.

        Raises
        ------
        NothingToRead
            The log cannot be read.
        UsageError
            ``outdir`` cannot be written.
        DataError
            The log changed while it was read.
        """
        path = os.path.join(self.indir, logname)
        parsed = parse_file(path, self.log_format, self.outdir, labels=self.labels, keep_para=self.keep_para)
        tell(path, parsed)
        return parsed


def parse_file(
    path: str,
    form: LogFormat,
    outdir: str | None,
    *,
    labels: str,
    keep_para: bool = True,
    keep_templates: bool = False,
    tick: Callable[[int], None] | None = None,
) -> Parsed:
    """Write a log's two files to ``outdir``; None: make the rows, and keep none.

    Raises what `LogParser.parse` raises.
    """
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder: name one log", path)
    stream = discover([path]).streams[0]
    options: dict[str, Any] = {
        "labels": labels,
        "keep_para": keep_para,
        "keep_templates": keep_templates,
        "tick": tick,
    }
    if outdir is None:
        with open(os.devnull, "wb") as nowhere:
            return write_structured(stream, form, nowhere, **options)
    try:
        os.makedirs(outdir, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{outdir} cannot be written: {error.strerror}", outdir) from error
    name = os.path.basename(path)
    with staged(Path(outdir), outdir) as aside:
        with open(aside / f"{name}_structured.csv", "wb") as out:
            parsed = write_structured(stream, form, out, **options)
        with open(aside / f"{name}_templates.csv", "wb") as out:
            write_templates(out, parsed)
    return parsed


def tell(path: str, parsed: Parsed) -> None:
    """Warn on stderr of what a log has that has no row."""
    for problem in parsed.problems:
        warn(problem.file, problem.reason)
    if parsed.unmatched:
        total = parsed.lines + parsed.unmatched
        warn(path, f"{parsed.unmatched} of {total} lines do not fit the log format and have no row")


def warm() -> None:
    """Compile what parsing needs, so that no log is timed with the compiler."""
    with tempfile.NamedTemporaryFile(prefix="l4fast-", suffix=".log") as log:
        log.write(b"noon: step 1\n")
        log.flush()
        parse_file(log.name, read_format("<Time>: <Content>"), None, labels=SAMPLE)
