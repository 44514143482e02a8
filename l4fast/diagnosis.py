"""The answer as data: the frozen `Diagnosis`, as `l4fast.diagnosis/1` documents it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from l4fast.failure_rows import FailureRows
from l4fast.job import NONE

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = "l4fast.diagnosis/1"
EXIT_CODES: Mapping[str, int] = {
    "none": 0,
    "restart": 10,
    "restart_excluding": 11,
    "resume_older_checkpoint": 12,
    "stop": 20,
    "unknown": 30,
}
MOST_NAMES = 256  # ranks or nodes in a list
MOST_TEXT = 2000  # characters of a quoted line


@dataclass(frozen=True)
class Diagnosis:
    """What became of a job, why, who, when, and what to do.

    The fields are those of the JSON (see README, "The answer"); ``failures`` holds the
    failure-indicating lines by columns.
    """

    job: dict[str, Any]
    outcome: str
    action: dict[str, Any]
    cause: dict[str, Any]
    events: list[dict[str, Any]]
    nodes: list[dict[str, Any]]
    ranks: list[dict[str, Any]]
    stage: dict[str, Any]
    iterations: dict[str, Any]
    checkpoint: dict[str, Any]
    attempts: list[dict[str, Any]]
    coverage: dict[str, Any]
    timing: dict[str, Any]
    failures: FailureRows = field(repr=False, default_factory=FailureRows)

    @property
    def exit_code(self) -> int:
        """The exit code of ``l4fast diagnose``: a function of the verdict alone."""
        return EXIT_CODES[self.action["verdict"]]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object as plain Python."""
        fields = (
            "job", "outcome", "action", "cause", "events", "nodes", "ranks", "stage", "iterations",
            "checkpoint", "attempts", "coverage", "timing",
        )  # fmt: skip
        return {"schema": SCHEMA, **{name: getattr(self, name) for name in fields}}

    def to_json(self, *, indent: bool = False) -> str:
        """Return the diagnosis as one JSON object."""
        return orjson.dumps(self.to_dict(), option=orjson.OPT_INDENT_2 if indent else 0).decode()

    @property
    def failure_rows(self) -> list[dict[str, Any]]:
        """One mapping per failure-indicating line, made anew each time it is asked for."""
        return self.failures.as_list()

    @property
    def failure_lines(self) -> pa.Table:
        """The failure-indicating lines as a table, with the fields of ``--lines``."""
        import pyarrow as pa

        schema = pa.schema(
            [
                ("file", pa.string()),
                ("line", pa.int64()),
                ("offset", pa.int64()),
                ("role", pa.string()),
                ("event_id", pa.string()),
                ("template_id", pa.string()),
                ("signature", pa.string()),
            ]
        )
        return pa.Table.from_pylist(self.failure_rows, schema=schema)


def iso_time(micros: int, zoned: bool) -> str | None:
    """Return a time in microseconds as ISO 8601, with `Z` where the log told the zone."""
    if micros == NONE:
        return None
    try:
        when = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=micros)
    except OverflowError:
        return None
    return when.isoformat(timespec="microseconds") + ("Z" if zoned else "")


def quoted(text: str | None) -> str:
    """Return at most 2,000 characters of a line, valid UTF-8."""
    return (text or "")[:MOST_TEXT].encode("utf-8", "replace").decode("utf-8")
