"""`l4fast signatures ...`: read, check, try and extend the failure library."""

from __future__ import annotations

import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from l4fast import signature_check, signature_learn, signature_pages
from l4fast.errors import DataError, SignatureError, UsageError
from l4fast.job import Job
from l4fast.library import Library, headings, load, told
from l4fast.marks import marks
from l4fast.signature import CATEGORIES, ROLES, Signature
from l4fast.signature_file import ID, content_of, parse
from l4fast.source import standard_input
from l4fast.targets import check_target, replaced
from l4fast.terminal import escaped, print_json, print_text, say, ticking, warn

SCHEMA = "l4fast.signatures/1"
_DOUBTS = 20  # kinds of lines that no signature names, in a list for people


def _library(options: Namespace) -> Library:
    library = load(options.signatures, mute=options.mute)
    for problem in library.problems:
        warn(problem.file, problem.reason)
    return library


def contents(options: Namespace) -> int:
    library = _library(options)
    found = signature_pages.chosen(
        library.signatures.values(), category=options.category, role=options.role, words=options.words
    )
    if options.json:
        print_json({"schema": SCHEMA, "signatures": [signature_pages.as_row(s) for s in found]})
    else:
        print_text(signature_pages.contents(found, headings()))
    return 0


def show(options: Namespace) -> int:
    library = _library(options)
    found = signature_pages.find(library.signatures, options.ids)
    if options.json:
        objects = [signature_pages.as_object(s, library.signatures) for s in found]
        print_json({"schema": SCHEMA, "signatures": objects})
        return 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines: list[str] = []
    for signature in found:
        page = signature_pages.page(signature, library.signatures)
        lines += [signature.id, *signature_pages.laid_out(page, width), ""]
    print_text(lines[:-1])
    return 0


def check(options: Namespace) -> int:
    """Check signature files; every error is a line on stdout, 65 where there is one."""
    reports = signature_check.reports([name for path in options.files for name in _files(path)], load())
    if options.json:
        print_json({"schema": SCHEMA, "files": [asdict(report) for report in reports]})
    else:
        for report in reports:
            print_text([*report.errors, *report.notes])
            if not report.errors and report.signatures:
                n = report.signatures
                print_text(
                    [f"{report.file}: {n} signature{'' if n == 1 else 's'}, all rules and samples hold"]
                )
    return DataError.exit_code if any(report.errors for report in reports) else 0


def _files(path: str) -> list[Path]:
    if not os.path.isdir(path):
        return [Path(path)]
    found = sorted(Path(path).glob("*.toml"))
    if not found:
        raise UsageError(f"{path}: no signature file in it: they end in .toml", path)
    return found


@dataclass(frozen=True)
class Hit:
    """The lines of a job that a signature, or none (doubtful lines), names: how many, and the first."""

    signature: Signature | None
    lines: int
    file: str
    line: int
    text: str


def trial(options: Namespace) -> int:
    """Say which signatures hit the lines of logs, and which doubtful lines none does."""
    from l4fast.stream import read as read_logs

    library = _library(options)
    with ticking(options.paths, "reading") as tick:
        got = read_logs(options.paths, library, workers=options.workers, tick=tick)
    for problem in (*got.found.unreadable, *got.problems):
        warn(problem.file, problem.reason)
    hits, doubts = hits_of(got.job)
    if options.json:
        print_json({"schema": SCHEMA, "hits": [_hit(h) for h in hits], "unnamed": [_hit(h) for h in doubts]})
        return 0
    width = max((len(h.signature.id) for h in hits if h.signature), default=0)
    lines = [
        f"{h.lines:>10}  {h.signature.id:<{width}}  {h.signature.marker or h.signature.role:<11}  "
        f"{h.file}:{h.line}  {h.text[:100]}"
        for h in hits
        if h.signature
    ]
    if doubts:
        lines += [*([""] if lines else []), "warnings and errors that no signature names:"]
        lines += [f"{h.lines:>10}  {h.file}:{h.line}  {h.text[:140]}" for h in doubts[:_DOUBTS]]
        if len(doubts) > _DOUBTS:
            lines.append(f"... and {len(doubts) - _DOUBTS} more kinds of lines (--json lists all)")
    print_text(lines or ["no signature hits a line of it"])
    return 0


def _hit(hit: Hit) -> dict[str, Any]:
    told = {"lines": hit.lines, "file": hit.file, "line": hit.line, "text": hit.text}
    if hit.signature is not None:
        return {
            "id": hit.signature.id,
            "role": hit.signature.role,
            "category": hit.signature.category,
            **told,
        }
    return told


def hits_of(job: Job) -> tuple[list[Hit], list[Hit]]:
    """Return what each signature hits, most lines first, and the doubtful lines that none names.

    Whether a line that tells an exit code marks a good end, its number decides: not what lines of its
    shape have in common.
    """
    named: dict[str, Hit] = {}
    doubts: list[Hit] = []
    numbered = {s.id: s for note in job.notes for s in note.markers if "exit_code" in s.regex.groupindex}
    for shape, raws in enumerate(job.raws_of_shape):
        note = job.notes[raws[0]]
        n = int(job.shape_count[shape])
        file, line = _first(job, shape)
        text = _shown(job.raws[raws[0]].content)
        for signature in (*note.failures[:1], *note.markers):
            if signature.id not in numbered:
                _add(named, signature.id, Hit(signature, n, file, line, text))
        meant = note.failures or note.markers
        if not meant and job.raws[raws[0]].header.level in ("warning", "error", "critical"):
            doubts.append(Hit(None, n, file, line, text))
    for mark in marks(job) if numbered else ():
        if mark.signature in numbered:
            stream = job.streams[mark.stream]
            place = stream.name, stream.line_in_file(mark.line)
            _add(
                named, mark.signature, Hit(numbered[mark.signature], 1, *place, _shown(job.content(mark.row)))
            )
    order = lambda hit: (-hit.lines, hit.file, hit.line)  # noqa: E731
    return sorted(named.values(), key=order), sorted(doubts, key=order)


def _add(named: dict[str, Hit], name: str, hit: Hit) -> None:
    """Add lines to what their signature hits: the first of all is shown."""
    held = named.get(name, hit)
    first = min(held, hit, key=lambda each: (each.file, each.line))
    named[name] = replace(first, lines=hit.lines + (held.lines if name in named else 0))


def _shown(content: str) -> str:
    return content.encode("latin-1").decode("utf-8", "replace")


def _first(job: Job, shape: int) -> tuple[str, int]:
    mine = (job.pairs.shape == shape).nonzero()[0]
    places = [(job.speakers[int(job.pairs.speaker[i])].stream, int(job.pairs.first_line[i])) for i in mine]
    stream, line = min(places)
    return job.streams[stream].name, job.streams[stream].line_in_file(line)


def learn(options: Namespace) -> int:
    """Write a signature for an event of a diagnosis; add it to the file where that holds others."""
    _check_words(options)
    if options.out is not None:
        check_target(options.out)
    try:
        text = signature_learn.learned(
            _diagnosis(options.diagnosis),
            options.id,
            event_id=options.event,
            title=options.title,
            category=options.category,
            role=options.role,
            advice=options.advice or "",
            origin=options.source or f"learned from {os.path.basename(options.diagnosis)}",
        )
    except SignatureError:
        raise
    except DataError as error:
        raise DataError(f"{options.diagnosis}: {error}", options.diagnosis) from error
    _remark(options, text)
    if options.out is None:
        sys.stdout.write(text)
        return 0
    target = Path(options.out)
    held = _held(target)
    if any(s.id == options.id for s in parse(held.encode("utf-8"), target).signatures):
        raise UsageError(f"{target} holds a signature {options.id!r}: take another --id", str(target))
    whole = f"{held.rstrip()}\n\n{text}" if held.strip() else text
    with replaced(str(target)) as out:
        out.write(whole.encode("utf-8"))
    say(f"{escaped(options.out)}: {escaped(options.id)} added; use it with --signatures")
    return 0


def _check_words(options: Namespace) -> None:
    if not ID.fullmatch(options.id):
        raise UsageError(f"--id {options.id!r}: an id is made of letters, digits, `-`, `_` and `.`")
    # A line of a diagnosis never marks where the job stands.
    roles = [role for role in ROLES if role != "marker"]
    for option, given, known in (("role", options.role, roles), ("category", options.category, CATEGORIES)):
        if given is not None and given not in known:
            raise UsageError(f"--{option} {given!r}: choose one of {', '.join(known)}")


def _held(target: Path) -> str:
    """Return what is in the file that is added to: nothing, or signatures that hold."""
    try:
        content = content_of(target) if target.exists() else b""
    except OSError as error:
        raise DataError(f"{target}: cannot be read: {error.strerror}", str(target)) from error
    parse(content, target)
    return content.decode("utf-8")


def _remark(options: Namespace, text: str) -> None:
    """Say on stderr what was learned that was known, or takes the place of what is."""
    packaged = load()
    (signature,) = signature_learn.check(text, options.id).signatures
    if options.id in packaged.signatures:
        warn(options.id, "replaces the packaged signature of that name")
    meanings = [told(hits)[0] for hits in packaged.match(signature.matches)]
    # What weighs less than nothing is a guess, which is there to be beaten.
    for name in sorted({m.id for m in meanings if m and m.weight >= 0} - {options.id}):
        warn(options.id, f"{name} names such lines already (`l4fast signatures show {name}`)")


def _diagnosis(path: str) -> Mapping[str, Any]:
    try:
        content = standard_input().read() if path == "-" else Path(path).read_bytes()
        found = orjson.loads(content)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise DataError("no JSON: give what `l4fast diagnose PATH --json` wrote") from error
    return found if isinstance(found, dict) else {}
