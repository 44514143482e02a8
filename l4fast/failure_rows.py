"""The failure-indicating lines of a diagnosis, by columns: an object for each costs ten times as much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class FailureRows:
    """Where failure-indicating lines stand, and of which event each is, ordered by file and line.

    Attributes
    ----------
    files : sequence of str
        The names that ``file`` (int32[n]) stands for.
    line, offset : int64[n]
    events : sequence of dict
        What a line has of its event, by the codes in ``event`` (int32[n]): role, ids, signature.
    """

    files: Sequence[str] = ()
    events: Sequence[dict[str, Any]] = ()
    file: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    line: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    offset: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    event: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))

    def as_list(self) -> list[dict[str, Any]]:
        """Return one mapping for each line, as ``--lines`` writes it."""
        columns = (column.tolist() for column in (self.file, self.line, self.offset, self.event))
        return [
            {"file": self.files[file], "line": line, "offset": offset, **self.events[event]}
            for file, line, offset, event in zip(*columns, strict=True)
        ]
