"""The failure library: what is known about single lines, as data.

A *signature* is a table of ``signatures/*.toml``: a pattern, what it means, and lines
that must and must not match it. All patterns become one Hyperscan database that tells
which signatures *may* hit a text; Python's `re` confirms, so the answer is `re`'s.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from l4fast.database import compiled, dumped, is_there, restored
from l4fast.errors import SignatureError, UsageError
from l4fast.signature import MAX_CHARS, Case, Resolved, Signature, fits
from l4fast.signature_cache import Shelf, cache_path, read_cache, write_cache
from l4fast.signature_file import content_of, fault, parse
from l4fast.source import Unreadable, printable

PACKAGED = Path(__file__).parent / "signatures"


class Library:
    """A set of signatures and the database that finds them in texts.

    Attributes
    ----------
    signatures : mapping of str to Signature
        By id, in order of preference: failures before markers, the weightiest first.
    problems : tuple of Unreadable
        Files that were asked for and are not in it, and why.
    """

    def __init__(
        self,
        signatures: Iterable[Signature] | Shelf,
        serialised: bytes | None = None,
        problems: Iterable[Unreadable] = (),
    ) -> None:
        if isinstance(signatures, Shelf):
            self._shelf = signatures
        else:
            # In order of preference, so that sorting the hits of a text is sorting integers.
            ranked = sorted(signatures, key=_preference)
            self._shelf = Shelf([s.id for s in ranked], ranked.__getitem__)
        self.signatures: Mapping[str, Signature] = self._shelf
        self.problems = tuple(problems)
        self._database = None
        if is_there() and self._shelf:
            everything = list(self._shelf.values()) if serialised is None else []
            self._database = compiled(everything) if serialised is None else restored(serialised)
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
            every = list(self._shelf.values())
            for _ in texts:
                yield every
            return
        hits: list[int] = []

        def note(index: int, *_: object) -> None:
            hits.append(index)

        for text in texts:
            with self._lock:
                self._database.scan(text.encode("utf-8", "replace"), match_event_handler=note)
                found, hits[:] = sorted(hits), []
            yield [self._shelf.at(index) for index in found]

    def _serialised(self) -> bytes:
        return b"" if self._database is None else dumped(self._database)


def told(hits: Sequence[Signature]) -> tuple[Signature | None, list[Signature]]:
    """Split the hits of one text: what it means, and the best marker of each kind.

    What it means is the best hit that is no marker, or None. Words of a harmless kind may stand in
    what a line quotes, a command say: what the line begins with says more, at the same weight.
    Several markers of a kind (all of ``checkpoint.*`` are one) tell the same thing twice, so the
    best one stands.
    """
    meaning = next((hit for hit in hits if hit.marker is None), None)
    if meaning is not None and meaning.is_harmless and not _is_anchored(meaning):
        whole = (hit for hit in hits if not hit.is_harmless and hit.kind is not None and _is_anchored(hit))
        meaning = next((hit for hit in whole if hit.weight >= meaning.weight), meaning)
    best: dict[str, Signature] = {}
    for hit in hits:
        if hit.marker is not None:
            best.setdefault(hit.marker.partition(".")[0], hit)
    return meaning, list(best.values())


def _is_anchored(signature: Signature) -> bool:
    return signature.pattern.startswith(("^", "(?i)^"))


def load(paths: Sequence[str | Path] | None = None, *, mute: Sequence[str] = ()) -> Library:
    """Return the packaged signatures with those of ``paths`` (files or folders) on top.

    A signature of ``paths`` replaces a packaged one, or one of an earlier path, that has the same
    id. A file that cannot be read or breaks a rule is left out whole, and told in `Library.problems`:
    a slip of the pen must not stop a diagnosis.

    Parameters
    ----------
    mute : ids of signatures, ``*`` for any characters
        Whose lines are taken for harmless; files may mute others too.
    """
    packaged = [(path, path.read_bytes()) for path in sorted(PACKAGED.glob("*.toml"))]
    extra, unread = _gathered(paths or ())
    cache = cache_path([*packaged, *extra], mute)
    cached = None if cache is None else read_cache(cache)
    if cached is not None:
        # Whatever is wrong with a cache, making it anew is right.
        with suppress(Exception):
            shelf, known, serialised = cached
            return Library(shelf, serialised, [*unread, *known])
    signatures: dict[str, Signature] = {}
    for path, content in packaged:
        for signature in parse(content, path).signatures:
            if signature.id in signatures:
                other = signatures[signature.id].file
                raise fault(path, signature.id, signature.id, f"{other} has a signature of that name")
            signatures[signature.id] = signature
    silent = [("mute", name) for name in mute]
    problems = []
    for path, content in extra:
        try:
            page = parse(content, path)
            _check_gates(page.signatures, path)
        except SignatureError as error:
            problems.append(_left_out(path, error))
            continue
        signatures.update((signature.id, signature) for signature in page.signatures)
        silent += [(printable(path), name) for name in page.mute]
    problems += _muted(signatures, silent)
    library = Library(signatures.values(), problems=[*unread, *problems])
    if cache is not None:
        write_cache(cache, library.signatures.values(), problems, library._serialised())
    return library


def load_library(paths: Sequence[str | Path] | None = None, *, mute: Sequence[str] = ()) -> Library:
    """Return what `load` does; a program hears what a command line would print.

    What was left out of a file, and why, is a warning (`warnings.warn`) and in `Library.problems`.

    Raises
    ------
    UsageError
        A path is not there, or a folder holds no signature file.
    """
    for one in paths or ():
        path = Path(one)
        if not path.exists():
            raise UsageError(f"{path}: there is no such file or folder of signatures", str(path))
        if path.is_dir() and not any(path.glob("*.toml")):
            raise UsageError(f"{path}: no signature file in it: they end in .toml", str(path))
    library = load(paths, mute=mute)
    for problem in library.problems:
        warnings.warn(f"{problem.file}: {problem.reason}", stacklevel=2)
    return library


def headings() -> dict[str, str]:
    """Return what each packaged file says in its first sentence that it is about."""
    found = {}
    for path in sorted(PACKAGED.glob("*.toml")):
        with path.open(encoding="utf-8") as file:
            remark = " ".join(line.strip("# \n") for line in takewhile(lambda line: line[0] == "#", file))
        found[path.name] = re.split(r"\. |\.$|  ", remark)[0]
    return found


def _gathered(paths: Iterable[str | Path]) -> tuple[list[tuple[Path, bytes]], list[Unreadable]]:
    """Read the signature files of a user; return also those that cannot be read."""
    files: list[tuple[Path, bytes]] = []
    problems: list[Unreadable] = []
    for one in paths:
        path = Path(one)
        found = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not found:
            problems.append(Unreadable(printable(path), "no signature file in it: they end in .toml", True))
        for file in found:
            try:
                files.append((file, content_of(file)))
            except OSError as error:
                problems.append(Unreadable(printable(file), f"signatures left out: {error.strerror}", True))
            except SignatureError as error:
                problems.append(_left_out(file, error))
    return files, problems


def _left_out(path: Path, error: SignatureError) -> Unreadable:
    reason = str(error).removeprefix(f"{path}: ")
    return Unreadable(
        printable(path), f"signatures left out: {reason} (`l4fast signatures check` tells all)", True
    )


def _check_gates(signatures: Sequence[Signature], path: Path) -> None:
    """Raise `SignatureError` where Hyperscan refuses a pattern that Python takes."""
    if is_there() and signatures:
        try:
            compiled(signatures)
        except SignatureError as error:
            # It knows the file's name only.
            raise SignatureError(f"{path}: {str(error).partition(': ')[2]}", str(path)) from error


def _muted(signatures: dict[str, Signature], silent: Iterable[tuple[str, str]]) -> list[Unreadable]:
    """Make the lines of muted signatures harmless; return the names that name nothing."""
    problems = []
    for where, name in silent:
        hits = [signature for signature in signatures.values() if fits(signature.id, name)]
        if not hits:
            problems.append(Unreadable(where, f"mute: no signature is called {name!r}", True))
        for signature in hits:
            if signature.marker is not None:
                del signatures[signature.id]
            else:
                signatures[signature.id] = replace(
                    signature, role="benign", tells=None, when=(), explains=(), action=None
                )
    return problems


def _preference(signature: Signature) -> tuple[bool, int, int, str]:
    return (signature.role == "marker", -signature.weight, -len(signature.pattern), signature.id)
