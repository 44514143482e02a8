"""The failure library: what is known about single lines, as data.

A *signature* is a table of ``signatures/*.toml``: a pattern, what it means, and lines
that must and must not match it. All patterns become one Hyperscan database that tells
which signatures *may* hit a text; Python's `re` confirms, so the answer is `re`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from l4fast.database import compiled, dumped, is_there, restored
from l4fast.errors import SignatureError
from l4fast.signature import MAX_CHARS, Case, Resolved, Signature
from l4fast.signature_cache import cache_path, read_cache, write_cache
from l4fast.signature_file import fault, parse

PACKAGED = Path(__file__).parent / "signatures"


class Library:
    """A set of signatures and the database that finds them in texts."""

    def __init__(self, signatures: Iterable[Signature], serialised: bytes | None = None) -> None:
        # In order of preference, so that sorting the hits of a text is sorting integers.
        self._ranked = sorted(signatures, key=_preference)
        self.signatures: Mapping[str, Signature] = MappingProxyType({s.id: s for s in self._ranked})
        self._database = None
        if is_there() and self._ranked:
            self._database = restored(serialised) if serialised else compiled(self._ranked)
        # The database has one scratch space: two threads must not scan at once.
        self._lock = threading.Lock()

    def match(self, contents: Sequence[str]) -> list[list[Signature]]:
        """Return the signatures that hit each text: failures before markers, best first.

        Only the first 2,000 characters of a text count. A line may hit several: the
        first one that is no marker tells what the line means, each marker what it marks.
        """
        texts = [text[:MAX_CHARS] for text in contents]
        return [
            [s for s in candidates if s.regex.search(text)]
            for text, candidates in zip(texts, self._candidates(texts), strict=True)
        ]

    def resolve(self, signature: Signature, values: Mapping[str, str | None]) -> Resolved:
        """Return what ``signature`` means where its groups hold ``values`` (first case that fits)."""
        case = next((case for case in signature.when if case.fits(values)), Case(()))
        return Resolved(
            role=case.role or signature.role,
            category=case.category or signature.category,
            title=case.title or signature.title,
            advice=case.advice or signature.advice,
            action=case.action or signature.action,
        )

    def _candidates(self, texts: Sequence[str]) -> Iterator[list[Signature]]:
        if self._database is None:
            for _ in texts:
                yield self._ranked
            return
        hits: list[int] = []

        def note(index: int, *_: object) -> None:
            hits.append(index)

        for text in texts:
            with self._lock:
                self._database.scan(text.encode("utf-8", "replace"), match_event_handler=note)
                found, hits[:] = sorted(hits), []
            yield [self._ranked[index] for index in found]

    def _serialised(self) -> bytes:
        return b"" if self._database is None else dumped(self._database)


def told(hits: Sequence[Signature]) -> tuple[Signature | None, list[Signature]]:
    """Split the hits of one text: what it means, and the best marker of each kind.

    What it means is the best hit that is no marker, or None. Several markers of a kind
    (all of ``checkpoint.*`` are one) tell the same thing twice, so the best one stands.
    """
    meaning = next((hit for hit in hits if hit.marker is None), None)
    best: dict[str, Signature] = {}
    for hit in hits:
        if hit.marker is not None:
            best.setdefault(hit.marker.partition(".")[0], hit)
    return meaning, list(best.values())


def load(paths: Sequence[Path] | None = None) -> Library:
    """Return the packaged signatures with those of ``paths`` (files or folders) on top.

    A signature of ``paths`` replaces a packaged one, or one of an earlier path, that has
    the same id. Raises `SignatureError`, which names file, key and reason, for a file
    that breaks a rule.
    """
    packaged = sorted(PACKAGED.glob("*.toml"))
    extra = [file for path in paths or () for file in _toml_files(Path(path))]
    files = [(path, _read(path)) for path in (*packaged, *extra)]
    cache = cache_path(files)
    cached = read_cache(cache)
    if cached is not None:
        # Whatever is wrong with a cache, making it anew is right.
        with suppress(Exception):
            return Library(*cached)
    signatures: dict[str, Signature] = {}
    for index, (path, content) in enumerate(files):
        for signature in parse(content, path):
            if index < len(packaged) and signature.id in signatures:
                other = signatures[signature.id].file
                raise fault(path, signature.id, signature.id, f"{other} has a signature of that name")
            signatures[signature.id] = signature
    library = Library(signatures.values())
    write_cache(cache, library.signatures.values(), library._serialised())
    return library


def _preference(signature: Signature) -> tuple[bool, int, int, str]:
    return (signature.role == "marker", -signature.weight, -len(signature.pattern), signature.id)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SignatureError(f"{path}: cannot be read: {error.strerror}", str(path)) from error


def _toml_files(path: Path) -> list[Path]:
    return sorted(path.glob("*.toml")) if path.is_dir() else [path]
