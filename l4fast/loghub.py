"""Labelled logs of the public benchmark (Loghub) -> accuracy and speed of each set.

A set is a log with its labels beside it (``BGL_2k.log`` and ``BGL_2k.log_structured_corrected.csv``
or ``BGL_2k.log_structured.csv``). The parser is shown the raw log and its log format, nothing else,
with one setting for all sets; then its templates are compared with the labels, line by line.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from l4fast.accuracy import Accuracy, accuracy
from l4fast.errors import DataError, NothingToRead, UsageError
from l4fast.logformat import log_format
from l4fast.logparser import parse_file, tell
from l4fast.notation import FULL, SAMPLE
from l4fast.regexes import regex
from l4fast.source import Unreadable, printable
from l4fast.structured import LEFT_OUT, Parsed
from l4fast.terminal import warn

# The benchmark's own log format of each system.
LOG_FORMATS = {
    "Android": r"<Date> <Time>  <Pid>  <Tid> <Level> <Component>: <Content>",
    "Apache": r"\[<Time>\] \[<Level>\] <Content>",
    "BGL": r"<Label> <Timestamp> <Date> <Node> <Time> <NodeRepeat> <Type> <Component> <Level> <Content>",
    "HDFS": r"<Date> <Time> <Pid> <Level> <Component>: <Content>",
    "HPC": r"<LogId> <Node> <Component> <State> <Time> <Flag> <Content>",
    "Hadoop": r"<Date> <Time> <Level> \[<Process>\] <Component>: <Content>",
    "HealthApp": r"<Time>\|<Component>\|<Pid>\|<Content>",
    "Linux": r"<Month> <Date> <Time> <Level> <Component>(\[<PID>\])?: <Content>",
    "Mac": r"<Month>  <Date> <Time> <User> <Component>\[<PID>\]( \(<Address>\))?: <Content>",
    "OpenSSH": r"<Date> <Day> <Time> <Component> sshd\[<Pid>\]: <Content>",
    "OpenStack": r"<Logrecord> <Date> <Time> <Pid> <Level> <Component> \[<ADDR>\] <Content>",
    "Proxifier": r"\[<Time>\] <Program> - <Content>",
    "Spark": r"<Date> <Time> <Level> <Component>: <Content>",
    "Thunderbird": r"<Label> <Timestamp> <Date> <User> <Month> <Day> <Time> <Location> "
    r"<Component>(\[<PID>\])?: <Content>",
    "Windows": r"<Date> <Time>, <Level>                  <Component>    <Content>",
    "Zookeeper": r"<Date> <Time> - <Level>  \[<Node>:<Component>@<Id>\] - <Content>",
}
AUTO = "auto"
MEASURES = ("ga", "fga", "pa", "fta")
# Best first: what the benchmark corrected stands beside what it corrected.
_LABELS = ("_structured_corrected.csv", "_structured.csv")
_STEM = regex(r"(?P<name>.+?)(?:_(?P<size>2k|full))?\.log")
# A row must fit into a block.
_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class DataSet:
    """A log, its labels, and the notation that they are written in (`l4fast.notation`)."""

    name: str
    log: str
    labels: str
    style: str


@dataclass(frozen=True)
class Result:
    """How a set was parsed; ``seconds`` is from the raw log to the last row of CSV."""

    name: str
    log: str
    labels: str
    style: str
    accuracy: Accuracy
    lines: int
    unmatched: int
    labelled: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        own: dict[str, Any] = asdict(self)
        measures: dict[str, Any] = own.pop("accuracy")
        return own | measures | {"lines_per_s": self.lines / self.seconds}


def average(results: Sequence[Result]) -> dict[str, float]:
    """Return the mean of each measure over the sets."""
    return {name: fmean(getattr(r.accuracy, name) for r in results) for name in MEASURES}


def table(results: Sequence[Result]) -> list[str]:
    """Return the lines of a table for people: a line for each set, and the average."""
    head = (
        f"{'':<12} {'labels':<6} {'GA':>6} {'FGA':>6} {'PA':>6} {'FTA':>6} {'found/true':>11} {'lines':>10} "
    )
    rows = [f"{head}{'seconds':>8} {'lines/s':>10}"]
    for r in results:
        told = f"{r.accuracy.found}/{r.accuracy.true}"
        rows.append(
            f"{r.name:<12} {r.style:<6} {_numbers(vars(r.accuracy))} {told:>11} {r.lines:>10,} "
            f"{r.seconds:>8.2f} {r.lines / r.seconds:>10,.0f}"
        )
    return [*rows, f"{'average':<12} {'':<6} {_numbers(average(results))}"]


def _numbers(measures: Mapping[str, float]) -> str:
    return " ".join(f"{measures[name]:6.3f}" for name in MEASURES)


def find(folder: str, *, labels: str = AUTO) -> tuple[list[DataSet], list[Unreadable]]:
    """Return the sets below a folder, by name, and those whose log format is not known.

    Raises
    ------
    NothingToRead
        There is none.
    """
    if not os.path.isdir(folder):
        raise NothingToRead(f"{printable(folder)}: it is no folder: check the path", printable(folder))
    sets, unknown = [], []
    for log, truth in _labelled(folder):
        name, size = _told(log)
        if name not in LOG_FORMATS:
            unknown.append(Unreadable(printable(log), "no log format is known for it: it is skipped"))
            continue
        style = (FULL if size == FULL else SAMPLE) if labels == AUTO else labels
        sets.append(DataSet(name, log, truth, style))
    if not sets:
        raise NothingToRead(
            f"{printable(folder)}: no data set: name a folder that holds logs of Loghub "
            "(BGL/BGL_2k.log) with their labels beside them (BGL_2k.log_structured_corrected.csv)",
            printable(folder),
        )
    return sorted(sets, key=lambda each: (each.name, each.log)), unknown


def _labelled(folder: str) -> Iterator[tuple[str, str]]:
    for here, _, names in os.walk(folder):
        for name in names:
            beside = [name + ending for ending in _LABELS if name + ending in names]
            if name.endswith(".log") and beside:
                yield os.path.join(here, name), os.path.join(here, beside[0])


def _told(log: str) -> tuple[str, str]:
    """Return the system of a log and ``2k`` or ``full``, if its name tells."""
    match = _STEM.fullmatch(os.path.basename(log))
    name, size = (match["name"], match["size"] or "") if match else ("", "")
    return (name if name in LOG_FORMATS else os.path.basename(os.path.dirname(os.path.abspath(log)))), size


def run(
    each: DataSet, *, out: str | None = None, tick: Callable[[int], None] | None = None
) -> Result | Unreadable:
    """Parse a set and compare it with its labels; ``out`` is the folder that keeps the rows.

    Raises
    ------
    UsageError
        ``out`` cannot be written, or is where the labels are: they would be overwritten.
    """
    if out is not None and os.path.realpath(out) == os.path.realpath(os.path.dirname(each.labels)):
        raise UsageError(f"{out} holds the labels: name another folder for what is parsed", out)
    form = log_format(LOG_FORMATS[each.name])
    begun = time.perf_counter()
    try:
        parsed = parse_file(each.log, form, out, labels=each.style, keep_templates=True, tick=tick)
        seconds = time.perf_counter() - begun
        true, texts = read_labels(each.labels)
    except DataError as error:
        said = str(error).removeprefix(f"{printable(each.log)}: ")
        return Unreadable(printable(each.log), f"it is left out: {said}")
    tell(each.log, parsed)
    if len(true) != parsed.lines:
        warn(
            each.log,
            f"it has {parsed.lines} rows and {len(true)} labels: rows and labels may not be of one line",
        )
    return Result(
        name=each.name,
        log=printable(each.log),
        labels=printable(each.labels),
        style=each.style,
        accuracy=accuracy(true, _beside(true, parsed), texts, [t.text for t in parsed.templates]),
        lines=parsed.lines,
        unmatched=parsed.unmatched,
        labelled=len(true),
        seconds=seconds,
    )


def _beside(true: np.ndarray, parsed: Parsed) -> np.ndarray:
    """Return the found template of each labelled line: rows and labels go side by side."""
    found = np.full(len(true), LEFT_OUT, np.int32)
    n = min(len(true), parsed.lines)
    found[:n] = parsed.template[:n]
    return found


def read_labels(path: str) -> tuple[np.ndarray, list[str]]:
    """Return the label of each line, as a place in the list of templates (int32[n]), and that list.

    Raises
    ------
    DataError
        It is no CSV file with a column ``EventTemplate``.
    """
    column = "EventTemplate"
    places: dict[bytes, int] = {}
    parts = [np.zeros(0, np.int32)]
    try:
        batches = pc.open_csv(
            path,
            read_options=pc.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=pc.ParseOptions(newlines_in_values=True),
            convert_options=pc.ConvertOptions(
                include_columns=[column],
                column_types={column: pa.dictionary(pa.int32(), pa.binary())},
                strings_can_be_null=False,
            ),
        )
        for batch in batches:
            codes = batch.column(0)
            of = np.array([places.setdefault(t, len(places)) for t in codes.dictionary.to_pylist()], np.int32)
            parts.append(of[codes.indices.to_numpy()])
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise DataError(f"{printable(path)}: its labels cannot be read ({error})", printable(path)) from error
    return np.concatenate(parts), [text.decode("utf-8", "replace") for text in places]
