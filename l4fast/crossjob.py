"""What healthy jobs say too is not the failure: the baseline.

A baseline holds shapes with sums, never templates: template ids depend on the set they were
derived from, so a diagnosis derives the templates of job and baseline together (DESIGN section
1, "Two names"). Baselines add up: merging is commutative and associative.

References
----------
L4 (FSE 2025), section 4.1: cross-job filtering.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from l4fast.canonical import CANONICAL_VERSION
from l4fast.errors import BaselineError
from l4fast.targets import replaced

MAGIC = b"L4FAST-BASELINE "
FORMAT = 1
_MOST = 2**62  # what sums can be added up, and written as JSON


@dataclass(frozen=True)
class Known:
    """Sums of one shape over healthy jobs: jobs that said it, lines, most lines in one job."""

    jobs: int
    lines: int
    most: int

    def __add__(self, other: Known) -> Known:
        return Known(self.jobs + other.jobs, self.lines + other.lines, max(self.most, other.most))


@dataclass(frozen=True)
class Baseline:
    """What healthy jobs say.

    Attributes
    ----------
    jobs : int
    shapes : mapping of canonical shape text to `Known`
    values : mapping of shape text to the deciding values seen with it, as ``exit_code=0`` texts
    """

    jobs: int = 0
    shapes: Mapping[str, Known] = field(default_factory=dict)
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @staticmethod
    def learn(counts: Mapping[str, int], values: Mapping[str, Iterable[str]]) -> Baseline:
        """Make the baseline of one healthy job from its lines per shape and deciding values."""
        return Baseline(
            1,
            {text: Known(1, n, n) for text, n in counts.items()},
            {text: frozenset(found) for text, found in values.items()},
        )

    def merge(self, other: Baseline) -> Baseline:
        """Return the baseline of both; the order does not matter."""
        shapes = dict(self.shapes)
        for text, known in other.shapes.items():
            shapes[text] = shapes[text] + known if text in shapes else known
        values = dict(self.values)
        for text, found in other.values.items():
            values[text] = values.get(text, frozenset()) | found
        return Baseline(self.jobs + other.jobs, shapes, values)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file aside, then rename: a reader sees the old one or the new one."""
        body = orjson.dumps(
            {
                "shapes": {t: [k.jobs, k.lines, k.most] for t, k in sorted(self.shapes.items())},
                "values": {t: sorted(v) for t, v in sorted(self.values.items())},
            }
        )
        head = {
            "format": FORMAT,
            "canonical": CANONICAL_VERSION,
            "jobs": self.jobs,
            "checksum": blake2b(body, digest_size=16).hexdigest(),
        }
        with replaced(os.fspath(path)) as out:
            out.write(MAGIC + orjson.dumps(head) + b"\n" + body)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Baseline:
        """Read a baseline file.

        Raises
        ------
        BaselineError
            It is no baseline, is damaged, or of another version.
        """
        name = os.fspath(path)
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise BaselineError(f"{name} cannot be read: {error.strerror}", name) from error
        head_line, _, body = data.partition(b"\n")
        if not head_line.startswith(MAGIC):
            raise BaselineError(f"{name} is not a baseline file: make one with `l4fast baseline learn`", name)
        try:
            head = orjson.loads(head_line[len(MAGIC) :])
            version, canonical = head["format"], head["canonical"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise BaselineError(f"{name} is damaged in its first line: learn it again", name) from error
        if version != FORMAT or canonical != CANONICAL_VERSION:
            raise BaselineError(
                f"{name} has format {version} and canonical form {canonical}, this l4fast reads "
                f"{FORMAT} and {CANONICAL_VERSION}: learn it again from the logs",
                name,
            )
        if blake2b(body, digest_size=16).hexdigest() != head.get("checksum"):
            raise BaselineError(f"{name} is damaged: its checksum does not fit, learn it again", name)
        try:
            content = orjson.loads(body)
            return Baseline(
                _sum(head["jobs"]),
                {text: Known(*map(_sum, sums)) for text, sums in content["shapes"].items()},
                {text: frozenset(found) for text, found in content["values"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BaselineError(f"{name} does not hold what a baseline does: learn it again", name) from error


def _sum(number: Any) -> int:
    """Return a sum as it stands in a file; ValueError where no healthy jobs add up to it."""
    if not isinstance(number, int) or not 0 <= number <= _MOST:
        raise ValueError(number)
    return number


def is_baseline_file(path: str | os.PathLike[str]) -> bool:
    """Tell a baseline file by its magic."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False
