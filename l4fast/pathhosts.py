"""Words in the names of a job's streams that are names of hosts.

They look like one and differ between siblings, or are all that the name of a machine's own log tells.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from l4fast.pathcounts import (
    HOST_WORDS,
    LOG_WORDS,
    NODE_WORDS,
    NUMBER,
    OTHER_WORDS,
    RANK_WORDS,
    count_from_zero,
)
from l4fast.pathnames import ENDING, KERNEL_FILES, PathFacts
from l4fast.regexes import regex

WORD = regex(r"[A-Za-z0-9]+")
_LETTERS_DIGITS = regex(r"([A-Za-z]+)(\d{1,6})(?:[a-z]\d{0,3})?")
NO_HOST = (
    (RANK_WORDS - {"gpu"})
    | LOG_WORDS
    | OTHER_WORDS
    | {"p", "b", "h", "console", "training", "nccl", "journalctl"}
    | KERNEL_FILES
)
MOST_LEFT = 4  # words in front of the last one of a host's name
_INSIDE = {"torchrun": 4, "open-mpi": 3, "mindformers": 2, "ascend-plog": 1, "ascend-device": 2}


def find_hosts(stems: Sequence[str], facts: list[PathFacts]) -> None:
    """Fill host from the parts of the names that differ and look like host names.

    Where a part looks like one and does not differ, it fills maybe_host.
    """
    parts_of, host_of = judged(stems, facts)
    for i, parts in parts_of.items():
        fact = facts[i]
        for part in reversed(parts):
            found = host_of[part]
            if found is None:
                continue
            host, differs = found
            # A file that is called as a host and nothing else is that host's; a folder may hold a run.
            if differs or (host == part and part == parts[-1] and fact.layout not in _INSIDE):
                facts[i] = fact._replace(host=host, layout=fact.layout or "per-host", maybe_host=None)
                break
            fact = facts[i] = fact._replace(maybe_host=fact.maybe_host or host)


def judged(
    stems: Sequence[str], facts: Sequence[PathFacts]
) -> tuple[dict[int, list[str]], dict[str, tuple[str, bool] | None]]:
    """Return the parts of each stem whose host is not known, and the host that each part names, if any.

    With a host whether that is sure: it is an address, or like parts have another word in its place.
    """
    parts_of: dict[int, list[str]] = {}
    siblings: defaultdict[str, set[str]] = defaultdict(set)
    shape: dict[str, str] = {}
    for i, fact in enumerate(facts):
        if fact.host is None and fact.pod is None:
            parts = stems[i].split("/")
            parts = parts[: len(parts) - _INSIDE.get(fact.layout, 0)]
            if fact.layout.startswith("ray-"):
                parts = [part for part in parts[:-1] if not part.startswith("session_")]
            elif fact.layout not in _INSIDE and parts:
                parts[-1] = ENDING.sub("", parts[-1])
            parts_of[i] = parts
            for part in parts:
                if part not in shape:
                    shape[part] = shape_of(part)
                siblings[shape[part]].add(part)
    host_of: dict[str, tuple[str, bool] | None] = {}
    for group in siblings.values():
        columns = [_Column.of(set(column)) for column in zip(*map(WORD.findall, group), strict=True)]
        host_of |= {part: _host_in(part, columns) for part in group}
    return parts_of, host_of


def shape_of(part: str) -> str:
    """Return a part with each word that holds a digit as `#`."""
    return WORD.sub(lambda word: "#" if NUMBER.search(word[0]) else word[0], part)


@dataclass(frozen=True, slots=True)
class _Column:
    """One word of like names: does it differ, and are its numbers 0..n-1?"""

    varies: bool
    counts: bool
    from_zero: bool

    @classmethod
    def of(cls, values: set[str]) -> _Column:
        numbers = {int(number) for value in values for number in NUMBER.findall(value)}
        return cls(len(values) > 1, count_from_zero(numbers), 0 in numbers)


def _host_in(part: str, columns: Sequence[_Column]) -> tuple[str, bool] | None:
    """Return the host named in one part of a path, judged beside the like parts of others."""
    words = list(WORD.finditer(part))
    for k in reversed(range(len(words))):
        if NUMBER.search(words[k][0]) and (host := _host_at(part, words, k, columns[k])):
            return host, columns[k].varies
    return None


def _host_at(part: str, words: list[re.Match[str]], k: int, column: _Column) -> str | None:
    """Return the host that ends with word ``k`` of ``part``, if that is one."""
    word = words[k][0]
    joined = k > 0 and part[words[k - 1].end() : words[k].start()] == "-"
    left = words[k - 1][0].lower() if joined else ""
    left_is_host = left in HOST_WORDS or left == "gpu"
    whole = part[_left_end(part, words, k) : words[k].end()]
    if word.isdigit():
        if left == "worker" or left == "gpu":
            named = column.varies and (not column.from_zero or (left == "gpu" and len(word) > 2))
        else:
            named = left in HOST_WORDS and not (left in NODE_WORDS and column.counts)
        return whole if named and len(word) <= 6 else None
    match = _LETTERS_DIGITS.fullmatch(word)
    if match is None:
        return None
    letters = match[1].lower()
    is_counter = word[len(letters) :].isdigit()  # `r9` may be rank 9, `r9z5` is a place in a rack
    if len(letters) < 3 and left and left not in NO_HOST:
        return whole if left_is_host or column.varies else None
    if (letters in NO_HOST and is_counter) or (letters == "gpu" and column.counts):
        return None  # gpu0..gpu7 are devices
    if not column.varies and letters not in HOST_WORDS:
        return None
    return whole if left_is_host else word


def _left_end(part: str, words: list[re.Match[str]], k: int) -> int:
    """Return where the host name that ends with word ``k`` begins: its words are joined by `-`."""
    first = k
    while first and part[words[first - 1].end() : words[first].start()] == "-":
        left = words[first - 1][0].lower()
        if left.isdigit() or left in NO_HOST - {"worker"} or k - first == MOST_LEFT:
            break
        first -= 1
    return words[first].start()


_MACHINE = r"(?:dmesg|kern|kmsg|kernel|messages|syslog|journal(?:ctl)?|slurmd|kubelet|fabricmanager)"
_CONSOLES = r"(?:sol|bmc|ipmi|serial)"
_WHOLE_MACHINE = regex(rf"{_MACHINE}(?:[._-]{_MACHINE})*")
_MACHINE_FOLDER = regex(rf"(?:{_MACHINE}|{_CONSOLES})s?")
_OF_MACHINE = regex(
    rf"(?:(?:{_MACHINE}|{_CONSOLES})[._-])+(?P<behind>[^._]+)|(?P<before>[^._]+?)(?:[._-](?:{_MACHINE}|{_CONSOLES}))+"
)
_LONE_HOST = regex(r"(?P<letters>[A-Za-z]+)(?P<rest>[A-Za-z0-9-]*\d[a-z]?)")
_NO_LONE_HOST = (NO_HOST | OTHER_WORDS | {"boot", "before", "after", "old", "new", "prev"}) - HOST_WORDS


def find_lone_hosts(stems: Sequence[str], facts: list[PathFacts]) -> None:
    """Fill host where nothing but a known word for a machine's log stands beside what looks like one."""
    for i, (stem, fact) in enumerate(zip(stems, facts, strict=True)):
        if fact.host is None and fact.pod is None and fact.node_index is None:
            host = _lone_host(stem)
            if host is not None:
                facts[i] = fact._replace(host=host, layout=fact.layout or "per-host", maybe_host=None)


def _lone_host(stem: str) -> str | None:
    *_, folder, base = ("", *stem.split("/"))
    base = ENDING.sub("", base)
    if _WHOLE_MACHINE.fullmatch(base.lower()):
        found = folder
    elif match := _OF_MACHINE.fullmatch(base):
        found = match["behind"] or match["before"]
    elif _MACHINE_FOLDER.fullmatch(folder.lower()):
        found = re.sub(r"[._-]console$", "", base)
    else:
        return None
    host = _LONE_HOST.fullmatch(found)
    if host is None:
        return None
    is_counter = host["rest"].lstrip("-").isdigit()
    if is_counter and (host["letters"].lower() in _NO_LONE_HOST or host["letters"].lower() == "gpu"):
        return None  # `gpu0` is a device
    return found
