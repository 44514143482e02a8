"""The failure library: what is known about single lines, as data.

A *signature* is a table of ``signatures/*.toml``: a pattern, what it means, and lines
that must and must not match it. All patterns become one Hyperscan database that tells
which signatures *may* hit a text; Python's `re` confirms, so the answer is `re`'s.

Parsing and checking the files and compiling the database costs a second; the outcome
is kept in the user's cache directory, under a name that states everything that it
depends on, and costs milliseconds from then on.

Weights, by convention: 0 for a message that one program prints, 10 where it has to win
over such a one (a benign line with an error in it), -10 for what any program may
print, -20 for a guess.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Any

from l4fast.errors import SignatureError

try:
    import hyperscan
except ImportError:  # no wheel for this platform: `re` alone gives the same answer, slower
    hyperscan = None  # type: ignore[assignment]

PACKAGED = Path(__file__).parent / "signatures"
FORMAT = 2  # of the cache file; raise it when the checks or the stored form change
MAX_CHARS = 2000  # of a text; the rest of a longer one is not looked at

ROLES = ("root", "consequence", "teardown", "benign", "context", "marker")
STAGES = ("launch", "init", "load", "iterate", "checkpoint", "evaluate", "shutdown")
CATEGORIES = (
    "hardware.gpu",
    "hardware.memory",
    "hardware.host",
    "network",
    "storage",
    "data",
    "resource",
    "platform",
    "framework",
    "user.config",
    "user.code",
    "numeric",
    "preemption",
    "unknown",
)
ACTIONS = ("restart", "restart_excluding", "resume_older_checkpoint", "stop")
NAMES = ("none", "self", "victim", "other")
# What kind of word a line is in the cascade of a failure: it decides who may be the culprit.
TELLS = ("hang", "stop", "timeout", "lost-peer", "death", "asked-to-end", "abort", "ending", "heard")
MARKERS = (
    "progress",
    "stage",
    "checkpoint.begin",
    "checkpoint.accepted",
    "checkpoint.durable",
    "checkpoint.load",
    "checkpoint.loaded",
    "checkpoint.none",
    "finish",
    "attempt",
    "identity",
)
# The groups whose value may change what a line means.
DECIDING = ("exit_code", "signal", "errno", "xid", "sxid", "status", "code")

_ONE_OF = {
    "role": ROLES,
    "stage": STAGES,
    "category": CATEGORIES,
    "action": ACTIONS,
    "names": NAMES,
    "tells": TELLS,
    "marker": MARKERS,
}
_TEXTS = ("title", "pattern", "advice", "source", *_ONE_OF)
_KEYS = {*_TEXTS, "weight", "when", "matches", "spares"}
_CASE_KEYS = {"values", "role", "category", "title", "advice", "action"}
_UNSUPPORTED = re.compile(r"(?<!\\)\((?:\?(?:[=!]|<[=!]|P=|\()|\*)|(?<!\\)(?:\\\\)*\\[1-9]")


@dataclass(frozen=True)
class Case:
    """What a signature means when its deciding groups have certain values.

    ``values`` holds (group, values) pairs; all groups must have one of their values.
    A value may hold ``*``: ``-*`` is any negative exit code.
    """

    values: tuple[tuple[str, tuple[str, ...]], ...]
    role: str | None = None
    category: str | None = None
    title: str | None = None
    advice: str | None = None
    action: str | None = None

    def fits(self, values: Mapping[str, str | None]) -> bool:
        """Tell whether ``values`` (group -> text) are the ones of this case."""
        return all(
            any(fnmatchcase(values.get(group) or "", wanted) for wanted in choices)
            for group, choices in self.values
        )


@dataclass(frozen=True)
class Signature:
    """A known line: its pattern and what it tells; see DESIGN, "the failure library"."""

    id: str
    title: str
    role: str
    pattern: str
    category: str | None
    stage: str | None
    marker: str | None
    names: str
    tells: str | None
    weight: int
    advice: str
    action: str | None
    source: str
    when: tuple[Case, ...]
    matches: tuple[str, ...]
    spares: tuple[str, ...]
    file: str

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The compiled pattern; compiled when first asked for, which for most is never."""
        return re.compile(self.pattern, re.ASCII)

    def read(self, text: str) -> dict[str, str]:
        """Return what the groups hold in ``text``, without those that hold nothing.

        Python allows a group name once, alternatives need it twice: the digits at the
        end of a name do not count, so ``rank2`` is read as ``rank``.
        """
        found = self.regex.search(text[:MAX_CHARS])
        values: dict[str, str] = {}
        for name, value in (found.groupdict() if found else {}).items():
            if value:
                values.setdefault(name.rstrip("0123456789"), value)
        return values


@dataclass(frozen=True)
class Resolved:
    """What a signature means for one line, its deciding values looked at."""

    role: str
    category: str | None
    title: str
    advice: str
    action: str | None


class Library:
    """A set of signatures and the database that finds them in texts."""

    def __init__(self, signatures: Iterable[Signature], serialised: bytes | None = None) -> None:
        # In order of preference, so that sorting the hits of a text is sorting integers.
        self._ranked = sorted(signatures, key=_preference)
        self.signatures: Mapping[str, Signature] = MappingProxyType({s.id: s for s in self._ranked})
        self._database = None
        if hyperscan is not None and self._ranked:
            self._database = _restored(serialised) if serialised else _compiled(self._ranked)
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
        return b"" if self._database is None else bytes(hyperscan.dumpb(self._database))


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
    cache = _cache_path(files)
    cached = _read_cache(cache)
    if cached is not None:
        return cached
    signatures: dict[str, Signature] = {}
    for index, (path, content) in enumerate(files):
        for signature in parse(content, path):
            if index < len(packaged) and signature.id in signatures:
                other = signatures[signature.id].file
                raise _fault(path, signature.id, signature.id, f"{other} has a signature of that name")
            signatures[signature.id] = signature
    library = Library(signatures.values())
    _write_cache(cache, library)
    return library


def parse(content: bytes, path: Path) -> list[Signature]:
    """Return the signatures of a file's ``content``, all rules and samples checked."""
    try:
        tables = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SignatureError(f"{path}: not a TOML file: {error}", str(path)) from error
    signatures = [_signature(name, table, path) for name, table in tables.items()]
    for signature in signatures:
        _check_samples(signature, path)
    return signatures


def _preference(signature: Signature) -> tuple[bool, int, int, str]:
    return (signature.role == "marker", -signature.weight, -len(signature.pattern), signature.id)


# --- one table -> one signature --------------------------------------------------------


def _fault(path: Path, name: str, key: str, reason: str) -> SignatureError:
    return SignatureError(f"{path}: {name}: {key}: {reason}", str(path))


def _signature(name: str, table: object, path: Path) -> Signature:
    if not isinstance(table, dict):
        raise _fault(path, name, name, "is no table; a signature is written [name], then its keys")
    for key in table:
        if key not in _KEYS:
            raise _fault(path, name, key, f"unknown key (known: {', '.join(sorted(_KEYS))})")
    for key in _TEXTS:
        _check_text(name, table, key, path, _ONE_OF.get(key))
    for key in ("title", "role", "pattern", "source"):
        if not table.get(key):
            raise _fault(path, name, key, "is missing")
    for key in ("matches", "spares"):
        _check_samples_given(name, table.get(key), key, path)
    if type(table.get("weight", 0)) is not int:
        raise _fault(path, name, "weight", f"{table['weight']!r} is no integer")
    role = table["role"]
    if role in ("root", "consequence", "teardown") and "category" not in table:
        raise _fault(path, name, "category", f"is missing (role {role!r} needs one)")
    if (role == "marker") != ("marker" in table):
        raise _fault(path, name, "marker", 'a signature has one if, and only if, its role is "marker"')
    if table.get("marker") == "stage" and "stage" not in table:
        raise _fault(path, name, "stage", "is missing: which stage does it mark?")
    groups = _check_pattern(name, table["pattern"], path)
    return Signature(
        id=name,
        title=table["title"],
        role=role,
        pattern=table["pattern"],
        category=table.get("category"),
        stage=table.get("stage"),
        marker=table.get("marker"),
        action=table.get("action"),
        source=table["source"],
        names=table.get("names", "none"),
        tells=table.get("tells"),
        weight=table.get("weight", 0),
        advice=table.get("advice", ""),
        when=_cases(name, table.get("when", []), groups, path),
        matches=tuple(table["matches"]),
        spares=tuple(table["spares"]),
        file=path.name,
    )


def _check_text(
    name: str, table: Mapping[str, Any], key: str, path: Path, known: tuple[str, ...] | None
) -> None:
    value = table.get(key)
    if value is None:
        return
    if not isinstance(value, str):
        raise _fault(path, name, key, f"{value!r} is no text")
    if known and value not in known:
        raise _fault(path, name, key, f"{value!r} is unknown (known: {', '.join(known)})")


def _check_samples_given(name: str, samples: object, key: str, path: Path) -> None:
    if not isinstance(samples, list) or not samples:
        raise _fault(path, name, key, "is missing or empty: a signature carries lines of both kinds")
    for sample in samples:
        if not isinstance(sample, str) or "\n" in sample or len(sample) > MAX_CHARS:
            raise _fault(path, name, key, f"{sample!r} is not one line of at most {MAX_CHARS} characters")


def _check_pattern(name: str, pattern: str, path: Path) -> Mapping[str, int]:
    """Refuse what `re` cannot compile and what Hyperscan cannot or should not; return the groups."""
    try:
        regex = re.compile(pattern, re.ASCII)
    except re.error as error:
        raise _fault(path, name, "pattern", f"no regular expression: {error}") from error
    if _UNSUPPORTED.search(pattern):
        raise _fault(path, name, "pattern", "Hyperscan knows no lookaround, condition or back-reference")
    if pattern.endswith((".*", ".*?", ".+")):
        raise _fault(path, name, "pattern", "ends in a repeated dot, which costs a match for every byte")
    if regex.search(""):
        raise _fault(path, name, "pattern", "matches the empty line, and so every line")
    return regex.groupindex


def _cases(name: str, cases: object, groups: Mapping[str, int], path: Path) -> tuple[Case, ...]:
    if not isinstance(cases, list):
        raise _fault(path, name, "when", "is no array of tables")
    return tuple(_case(name, case, groups, path) for case in cases)


def _case(name: str, case: object, groups: Mapping[str, int], path: Path) -> Case:
    if not isinstance(case, dict) or not isinstance(case.get("values"), dict) or not case["values"]:
        raise _fault(path, name, "when", "each case is a table that holds a table `values`")
    for key in case:
        if key not in _CASE_KEYS:
            raise _fault(path, name, f"when.{key}", f"unknown key (known: {', '.join(sorted(_CASE_KEYS))})")
        if key != "values":
            _check_text(name, case, key, path, _ONE_OF.get(key))
    for group, wanted in case["values"].items():
        if group not in groups or group not in DECIDING:
            raise _fault(
                path, name, f"when.values.{group}", f"no group of the pattern among {', '.join(DECIDING)}"
            )
        if not isinstance(wanted, list) or not wanted or not all(isinstance(value, str) for value in wanted):
            raise _fault(path, name, f"when.values.{group}", "is no list of texts")
    values = tuple((group, tuple(wanted)) for group, wanted in case["values"].items())
    return Case(values, **{key: value for key, value in case.items() if key != "values"})


def _check_samples(signature: Signature, path: Path) -> None:
    for sample in signature.matches:
        if not signature.regex.search(sample):
            raise _fault(path, signature.id, "matches", f"the pattern does not match {sample!r}")
    for sample in signature.spares:
        if signature.regex.search(sample):
            raise _fault(path, signature.id, "spares", f"the pattern matches {sample!r}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SignatureError(f"{path}: cannot be read: {error.strerror}", str(path)) from error


def _toml_files(path: Path) -> list[Path]:
    return sorted(path.glob("*.toml")) if path.is_dir() else [path]


# --- the database and its cache --------------------------------------------------------


def _flags() -> int:
    # UTF8: a `.` is a character, as it is to `re`. SINGLEMATCH: one report a text.
    return int(hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_UTF8)


# A bounded run of dots makes Hyperscan count: 45 patterns with some took 10.6 s to compile,
# with unbounded ones 0.15 s. The gate may let too much through, for `re` confirms.
_BOUNDED = re.compile(r"(?<!\\)(\.|\[\^[^\]\\]*\])\{\d*,\d+\}\??")


def _gate(pattern: str) -> bytes:
    return _BOUNDED.sub(r"\1*", pattern).encode()


def _compiled(signatures: Sequence[Signature]) -> Any:
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


def _restored(serialised: bytes) -> Any:
    database = hyperscan.loadb(serialised, hyperscan.HS_MODE_BLOCK)
    database.scratch = hyperscan.Scratch(database)
    return database


def _cache_path(files: Sequence[tuple[Path, bytes]]) -> Path:
    """Return where the outcome for these files, on this machine, by these versions is kept."""
    engine = "none" if hyperscan is None else str(getattr(hyperscan, "__version__", ""))
    key = blake2b(digest_size=16)
    for part in (str(FORMAT), sys.version, engine, platform.machine(), _cpu_flags()):
        key.update(f"{len(part)}:{part}".encode())
    for path, content in files:
        key.update(f"{path.name}:{len(content)}:".encode())
        key.update(content)
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) / "l4fast" / f"signatures-{key.hexdigest()}.bin"


def _cpu_flags() -> str:
    """Return what the processor can do: a database is compiled for it. Empty where not told."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            return next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    except OSError:
        return ""


def _read_cache(path: Path) -> Library | None:
    """Return the library kept at ``path``, or None where it is missing or damaged in any way."""
    try:
        content = path.read_bytes()
        digest, body = content[:16], content[16:]
        if blake2b(body, digest_size=16).digest() != digest:
            return None
        size = int.from_bytes(body[:8], "little")
        tables, serialised = json.loads(body[8 : 8 + size]), body[8 + size :]
        return Library([_revived(table) for table in tables], serialised or None)
    except Exception:
        # Whatever is wrong with a cache, making it anew is right.
        return None


def _revived(table: dict[str, Any]) -> Signature:
    table["when"] = tuple(
        Case(**{**case, "values": tuple((group, tuple(wanted)) for group, wanted in case["values"])})
        for case in table["when"]
    )
    table["matches"], table["spares"] = tuple(table["matches"]), tuple(table["spares"])
    return Signature(**table)


def _write_cache(path: Path, library: Library) -> None:
    """Keep the library: written aside and renamed, for many processes may start at once."""
    tables = json.dumps([asdict(signature) for signature in library.signatures.values()]).encode()
    body = len(tables).to_bytes(8, "little") + tables + library._serialised()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as aside:
            aside.write(blake2b(body, digest_size=16).digest() + body)
        os.replace(aside.name, path)
    except OSError:
        pass  # a read-only home costs time, never the answer
