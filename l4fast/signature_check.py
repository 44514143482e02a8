"""What is wrong with signature files, all of it, before a job depends on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from l4fast.cascade import cycle, unknown_targets
from l4fast.database import compiled, is_there
from l4fast.errors import SignatureError
from l4fast.library import PACKAGED, Library, told
from l4fast.signature import Signature, fits
from l4fast.signature_file import Page, content_of, read


@dataclass(frozen=True)
class Report:
    """A file: how many signatures are right, what is wrong, and what is not but may not be meant."""

    file: str
    signatures: int
    errors: tuple[str, ...]
    notes: tuple[str, ...]


def reports(paths: Sequence[Path], packaged: Library) -> list[Report]:
    """Check files as they are loaded together: a signature may explain one of another file."""
    pages = [(path, *_read(path)) for path in paths]
    together: dict[str, Signature] = dict(packaged.signatures)
    for _, page, _ in pages:
        together |= {s.id: s for s in page.signatures}
    found = []
    owners: dict[str, Path] = {}
    for path, page, errors in pages:
        wrong = [*errors, *_faults(path, page, together)]
        notes = [*_replaced(path, page, packaged, owners), *_outdone(path, page, packaged)]
        notes += [
            f"{path}: mute: no signature is called {name!r}"
            for name in page.mute
            if not any(fits(one, name) for one in together)
        ]
        if not (page.signatures or page.mute or wrong):
            notes.append(f"{path}: no signature in it; one is written [its-id], then its keys")
        found.append(Report(str(path), len(page.signatures), tuple(wrong), tuple(notes)))
    return found


def _read(path: Path) -> tuple[Page, list[str]]:
    try:
        page, errors = read(content_of(path), path)
    except OSError as error:
        return Page((), ()), [f"{path}: cannot be read: {error.strerror}"]
    except SignatureError as error:
        return Page((), ()), [str(error)]
    return page, [str(error) for error in errors]


def _faults(path: Path, page: Page, together: Mapping[str, Signature]) -> Iterator[str]:
    """Yield what only Hyperscan and the other signatures can tell to be wrong."""
    for signature in page.signatures:
        try:
            if is_there():
                compiled([signature])
        except SignatureError as error:
            yield f"{path}: {str(error).partition(': ')[2]}"
        for target in unknown_targets(signature, together):
            yield f"{path}: {signature.id}: explains.what: no signature is called {target!r}"
    if any(s.explains for s in page.signatures) and (loop := cycle(together)):
        yield f"{path}: explains: they explain each other in a circle: {' -> '.join(loop)}"


def _replaced(path: Path, page: Page, packaged: Library, owners: dict[str, Path]) -> Iterator[str]:
    """Yield whose place a signature takes; ``owners``, written, tells who had a name before."""
    for signature in page.signatures:
        known = packaged.signatures.get(signature.id)
        if signature.id in owners:
            yield f"{path}: {signature.id}: replaces the signature of that name in {owners[signature.id]}"
        elif known is not None and (PACKAGED / known.file).resolve() != path.resolve():
            yield f"{path}: {signature.id}: replaces the packaged signature of that name"
        owners[signature.id] = path


def _outdone(path: Path, page: Page, packaged: Library) -> Iterator[str]:
    """Yield which packaged signature wins over one on its own samples."""
    for signature in page.signatures:
        for sample, hits in zip(signature.matches, packaged.match(signature.matches), strict=True):
            meaning, _ = told(hits)
            if meaning is None or meaning.id == signature.id or signature.marker is not None:
                continue
            if (-meaning.weight, -len(meaning.pattern)) < (-signature.weight, -len(signature.pattern)):
                yield (
                    f"{path}: {signature.id}: weight: {meaning.id} (weight {meaning.weight}) wins over it "
                    f"on {sample[:60]!r}"
                )
