"""A file of ``signatures/*.toml`` -> its signatures, all rules and samples checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l4fast.errors import SignatureError
from l4fast.regexes import regex
from l4fast.signature import (
    ACTIONS,
    CATEGORIES,
    DECIDING,
    KINDS,
    LASTING,
    MARKERS,
    MAX_CHARS,
    NAMES,
    PLACES,
    ROLES,
    SPEAKERS,
    STAGES,
    TELLS,
    Case,
    Effect,
    Signature,
)
from l4fast.source import standard_input

# All packaged signatures are 1 MB; what is larger was given by mistake, and may have no end.
MOST_BYTES = 16 << 20
_ONE_OF = {
    "role": ROLES,
    "stage": STAGES,
    "category": CATEGORIES,
    "action": ACTIONS,
    "lasting": LASTING,
    "names": NAMES,
    "tells": TELLS,
    "marker": MARKERS,
    "by": SPEAKERS,
}
_TEXTS = ("title", "pattern", "advice", "source", *_ONE_OF)
_KEYS = {*_TEXTS, "weight", "when", "explains", "matches", "spares"}
ID = regex(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_EFFECT_KEYS = {"what", "where", "after_s"}
_CASE_KEYS = {"values", "role", "category", "title", "advice", "action"}
_UNSUPPORTED = regex(r"(?<!\\)\((?:\?(?:[=!]|<[=!]|P=|\()|\*)|(?<!\\)(?:\\\\)*\\[1-9]")


@dataclass(frozen=True)
class Page:
    """What a file holds: signatures, and the ids (``*`` for any characters) that it mutes."""

    signatures: tuple[Signature, ...]
    mute: tuple[str, ...]


def content_of(path: Path) -> bytes:
    """Return the bytes of a signature file; ``-`` is stdin.

    Raises
    ------
    OSError
        It cannot be read.
    SignatureError
        It is so large that it is something else.
    """
    if str(path) == "-":
        content = standard_input().read(MOST_BYTES + 1)
    else:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise SignatureError(f"{path}: more than {MOST_BYTES >> 20} MiB: is it a log?", str(path))
    return content


def parse(content: bytes, path: Path) -> Page:
    """Return what a file holds, all rules and samples checked.

    Raises
    ------
    SignatureError
        The first rule that it breaks: file, signature, key and reason.
    """
    page, errors = read(content, path)
    if errors:
        raise errors[0]
    return page


def read(content: bytes, path: Path) -> tuple[Page, list[SignatureError]]:
    """Return what is right in a file, and an error for each signature that is not."""
    try:
        tables = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is no UTF-8"
        return Page((), ()), [SignatureError(f"{path}: not a TOML file: {reason}", str(path))]
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return Page((), ()), [SignatureError(f"{path}: not a TOML file: {error}", str(path))]
    errors: list[SignatureError] = []
    mute = tables.pop("mute", [])
    if not isinstance(mute, list) or not all(isinstance(name, str) for name in mute):
        errors.append(SignatureError(f"{path}: mute: {mute!r} is no list of signature ids", str(path)))
        mute = []
    by = tables.pop("by", "program")
    if by not in SPEAKERS:
        errors.append(
            SignatureError(f"{path}: by: {by!r} is unknown (known: {', '.join(SPEAKERS)})", str(path))
        )
        by = "program"
    signatures = []
    for name, table in tables.items():
        try:
            signature = _signature(name, table, by, path)
            _check_samples(signature, path)
            signatures.append(signature)
        except SignatureError as error:
            errors.append(error)
    return Page(tuple(signatures), tuple(mute)), errors


def fault(path: Path, name: str, key: str, reason: str) -> SignatureError:
    """Return the error that names file, signature, key and reason."""
    return SignatureError(f"{path}: {name}: {key}: {reason}", str(path))


def _signature(name: str, table: object, by: str, path: Path) -> Signature:
    if not ID.fullmatch(name):
        raise fault(path, name, name, "an id is made of letters, digits, `-`, `_` and `.`")
    if not isinstance(table, dict):
        raise fault(path, name, name, "is no table; a signature is written [name], then its keys")
    for key in table:
        if key not in _KEYS:
            raise fault(path, name, key, f"unknown key (known: {', '.join(sorted(_KEYS))})")
    for key in _TEXTS:
        _check_text(name, table, key, path, _ONE_OF.get(key))
    for key in ("title", "role", "pattern", "source"):
        if not table.get(key):
            raise fault(path, name, key, "is missing")
    for key in ("matches", "spares"):
        _check_samples_given(name, table.get(key), key, path)
    if type(table.get("weight", 0)) is not int:
        raise fault(path, name, "weight", f"{table['weight']!r} is no integer")
    role = table["role"]
    if role in ("root", "consequence", "teardown") and "category" not in table:
        raise fault(path, name, "category", f"is missing (role {role!r} needs one)")
    if (role == "marker") != ("marker" in table):
        raise fault(path, name, "marker", 'a signature has one if, and only if, its role is "marker"')
    if table.get("marker") == "stage" and "stage" not in table:
        raise fault(path, name, "stage", "is missing: which stage does it mark?")
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
        lasting=table.get("lasting"),
        source=table["source"],
        names=table.get("names", "none"),
        tells=table.get("tells"),
        by=table.get("by", by),
        weight=table.get("weight", 0),
        advice=table.get("advice", ""),
        when=_cases(name, table.get("when", []), groups, path),
        explains=effects(name, table.get("explains", []), path),
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
        raise fault(path, name, key, f"{value!r} is no text")
    if known and value not in known:
        raise fault(path, name, key, f"{value!r} is unknown (known: {', '.join(known)})")


def _check_samples_given(name: str, samples: object, key: str, path: Path) -> None:
    if not isinstance(samples, list) or not samples:
        raise fault(path, name, key, "is missing or empty: a signature carries lines of both kinds")
    for sample in samples:
        if not isinstance(sample, str) or "\n" in sample or len(sample) > MAX_CHARS:
            raise fault(path, name, key, f"{sample!r} is not one line of at most {MAX_CHARS} characters")


def _check_pattern(name: str, pattern: str, path: Path) -> Mapping[str, int]:
    """Refuse what `re` cannot compile and what Hyperscan cannot or should not; return the groups."""
    try:
        compiled = re.compile(pattern, re.ASCII)
    except re.error as error:
        raise fault(path, name, "pattern", f"no regular expression: {error}") from error
    if _UNSUPPORTED.search(pattern):
        raise fault(path, name, "pattern", "Hyperscan knows no lookaround, condition or back-reference")
    if pattern.endswith((".*", ".*?", ".+")):
        raise fault(path, name, "pattern", "ends in a repeated dot, which costs a match for every byte")
    if compiled.search(""):
        raise fault(path, name, "pattern", "matches the empty line, and so every line")
    return compiled.groupindex


def _cases(name: str, cases: object, groups: Mapping[str, int], path: Path) -> tuple[Case, ...]:
    if not isinstance(cases, list):
        raise fault(path, name, "when", "is no array of tables")
    return tuple(_case(name, case, groups, path) for case in cases)


def _case(name: str, case: object, groups: Mapping[str, int], path: Path) -> Case:
    if not isinstance(case, dict) or not isinstance(case.get("values"), dict) or not case["values"]:
        raise fault(path, name, "when", "each case is a table that holds a table `values`")
    for key in case:
        if key not in _CASE_KEYS:
            raise fault(path, name, f"when.{key}", f"unknown key (known: {', '.join(sorted(_CASE_KEYS))})")
        if key != "values":
            _check_text(name, case, key, path, _ONE_OF.get(key))
    for group, wanted in case["values"].items():
        if group not in groups or group not in DECIDING:
            raise fault(
                path, name, f"when.values.{group}", f"no group of the pattern among {', '.join(DECIDING)}"
            )
        if not isinstance(wanted, list) or not wanted or not all(isinstance(value, str) for value in wanted):
            raise fault(path, name, f"when.values.{group}", "is no list of texts")
    values = tuple((group, tuple(wanted)) for group, wanted in case["values"].items())
    return Case(values, **{key: value for key, value in case.items() if key != "values"})


def effects(name: str, tables: object, path: Path) -> tuple[Effect, ...]:
    """Return what ``explains`` of the signature (or kind) ``name`` holds.

    Raises
    ------
    SignatureError
        A table lacks a key, or has one that is unknown or holds the wrong thing.
    """
    if not isinstance(tables, list):
        raise fault(path, name, "explains", "is no array of tables")
    return tuple(_effect(name, table, path) for table in tables)


def _effect(name: str, table: object, path: Path) -> Effect:
    if not isinstance(table, dict) or not _EFFECT_KEYS & table.keys():
        raise fault(path, name, "explains", "each is a table with what, where and after_s")
    for key in table.keys() ^ _EFFECT_KEYS:
        known = ", ".join(sorted(_EFFECT_KEYS))
        reason = "is missing" if key in _EFFECT_KEYS else f"unknown key (known: {known})"
        raise fault(path, name, f"explains.{key}", reason)
    what, after = table["what"], table["after_s"]
    if not isinstance(what, list) or not what or not all(isinstance(one, str) for one in what):
        raise fault(path, name, "explains.what", 'is no list of ids or "tells:KIND"')
    for one in what:
        if one.startswith("tells:") and one.removeprefix("tells:") not in KINDS:
            raise fault(path, name, "explains.what", f"{one!r} is unknown (known: {', '.join(KINDS)})")
    if table["where"] not in PLACES:
        raise fault(
            path, name, "explains.where", f"{table['where']!r} is unknown (known: {', '.join(PLACES)})"
        )
    if (
        not isinstance(after, list)
        or len(after) != 2
        or not all(type(one) in (int, float) for one in after)
        or not 0 <= after[0] <= after[1]
    ):
        raise fault(path, name, "explains.after_s", f"{after!r} is no pair [least, most] of seconds")
    return Effect(tuple(what), table["where"], (float(after[0]), float(after[1])))


def _check_samples(signature: Signature, path: Path) -> None:
    for sample in signature.matches:
        if not signature.regex.search(sample):
            raise fault(path, signature.id, "matches", f"the pattern does not match {sample!r}")
    for sample in signature.spares:
        if signature.regex.search(sample):
            raise fault(path, signature.id, "spares", f"the pattern matches {sample!r}")
