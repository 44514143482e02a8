"""What the parts of a job have become where its vocabulary explodes: buckets, joined.

Parts are read side by side; each knows which of its own buckets have collapsed. In the whole job
more may: every shape and raw shape of theirs is looked up here before it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from l4fast.buckets import Buckets, Key
from l4fast.parse import Parser
from l4fast.rawshapes import RawShape, stand_in


@dataclass(frozen=True)
class Vocabulary:
    """The buckets of a whole job, and what stands for each that has collapsed.

    Attributes
    ----------
    stand_ins : mapping of bucket to its raw shape (whose ``shape`` is not set) and its canonical text
    """

    buckets: Buckets
    stand_ins: dict[Key, tuple[RawShape, str]]

    def collapsed(self, outline: Key) -> tuple[RawShape, str] | None:
        """Return what stands for a shape with this outline, or None: it stands for itself."""
        return self.stand_ins.get(self.buckets.bucket(outline))


def together(parsers: Sequence[Parser]) -> Vocabulary:
    """Return the vocabulary of all that ``parsers`` have read."""
    each = [parser.buckets for parser in parsers] or [Buckets()]
    buckets = each[0] if len(each) == 1 else Buckets(each[0].ladder, each[0].cap)
    for other in each if len(each) > 1 else ():
        buckets.merge(other)
    return Vocabulary(buckets, {bucket: stand_in(bucket) for bucket in sorted(buckets.collapsed)})
