"""All patterns as one Hyperscan database, which tells the signatures that may hit a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from l4fast.errors import SignatureError
from l4fast.regexes import regex
from l4fast.signature import Signature

try:
    import hyperscan
except ImportError:  # no wheel for this platform: `re` alone gives the same answer, slower
    hyperscan = None  # type: ignore[assignment]


def engine() -> str:
    """Return the version of Hyperscan; "none" where there is none."""
    return "none" if hyperscan is None else str(getattr(hyperscan, "__version__", ""))


def is_there() -> bool:
    """Whether a database can be made at all."""
    return hyperscan is not None


def _flags() -> int:
    # UTF8: a `.` is a character, as it is to `re`. SINGLEMATCH: one report a text.
    return int(hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_UTF8)


# A bounded run of dots makes Hyperscan count: 45 patterns with some took 10.6 s to compile,
# with unbounded ones 0.15 s. The gate may let too much through, for `re` confirms.
_BOUNDED = regex(r"(?<!\\)(\.|\[\^[^\]\\]*\])\{\d*,\d+\}\??")


def _gate(pattern: str) -> bytes:
    return _BOUNDED.sub(r"\1*", pattern).encode()


def compiled(signatures: Sequence[Signature]) -> Any:
    """Return the database of all patterns; a hit is the index of its signature.

    Raises `SignatureError` where Hyperscan refuses a pattern.
    """
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(
            expressions=[_gate(s.pattern) for s in signatures],
            ids=list(range(len(signatures))),
            flags=[_flags()] * len(signatures),
        )
    except hyperscan.error as error:
        raise _blamed(signatures, error) from error
    return database


def _blamed(signatures: Sequence[Signature], error: Exception) -> SignatureError:
    """Find the pattern that Hyperscan refused: its own message does not tell."""
    for signature in signatures:
        try:
            hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK).compile(
                expressions=[_gate(signature.pattern)], ids=[0], flags=[_flags()]
            )
        except hyperscan.error as refused:
            text = f"{signature.file}: {signature.id}: pattern: Hyperscan cannot compile it: {refused}"
            return SignatureError(text, signature.file)
    return SignatureError(f"Hyperscan cannot compile the signatures together: {error}")


def restored(serialised: bytes) -> Any:
    """Return the database that `dumped` made bytes of."""
    database = hyperscan.loadb(serialised, hyperscan.HS_MODE_BLOCK)
    database.scratch = hyperscan.Scratch(database)
    return database


def dumped(database: Any) -> bytes:
    """Return a database as bytes, which this version on this kind of processor can read."""
    return bytes(hyperscan.dumpb(database))
