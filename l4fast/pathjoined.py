"""Hosts of several words joined by hyphens in the names of a job's streams: where such a name ends.

`gb-r01-05` is place 5 of rack 1, while `gpu-a01-5` may be what process 5 of `gpu-a01` wrote. What stands
behind a host's name belongs to it where it is written as numbers of machines are, and parts files that
would else be one host's. Where a number may be either, only lines of the job can tell.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from l4fast.hostforms import address_in, host_of_form, host_with_domain
from l4fast.pathcounts import HOST_WORDS, NODE_WORDS, NUMBER, RANK_WORDS, count_from_zero
from l4fast.pathhosts import NO_HOST, judged, shape_of
from l4fast.pathnames import PathFacts
from l4fast.regexes import regex

_JOINED = regex(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")
# What sites call their machines after: `dgx-b200-013`, `h100-23-01`.
_MODEL = regex(
    r"(?:[abhlv]\d{2,3}s?|g[bh]\d{3}|mi\d{3}[ax]?|p\d[a-z]{0,2}|trn\d|hls\d|dgx\w*|hgx\w*)", re.IGNORECASE
)
_PADDED = regex(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*-\d{2,6}")
_PLACE = regex(r"(?:gpu)?\d{1,6}|\d{1,3}n\d{1,3}", re.IGNORECASE)
_COUNTED = regex(r"(?:rank|task|proc|process|device|[rt])[-_]?\d+", re.IGNORECASE)
_LAST = regex(r"(?:([A-Za-z]+)-?)?(\d+)$")
MOST_PROCESSES = 16  # on one node, each with a file of its own
MOST_PLACES = 1000  # larger numbers behind a host are those of jobs and processes
WHOLE = 3  # so many digits number all machines of a site; racks have fewer


@dataclass(frozen=True, slots=True)
class Joined:
    """What names of joined words tell.

    Attributes
    ----------
    stems : list of str
        Without the hosts that are found: none of their numbers counts files.
    hosts : dict
        Index of a stem -> its host.
    contested : dict
        Index of a stem -> a name that ends with a number of a process, or is the host as a whole.
    """

    stems: list[str]
    hosts: dict[int, str]
    contested: dict[int, str]

    def take(self, i: int, part: str, host: str) -> None:
        """Note the host in a part of a stem."""
        self.hosts[i] = host
        parts = self.stems[i].split("/")
        self.stems[i] = "/".join(
            each.replace(host, "@", 1) if each.startswith(part) else each for each in parts
        )


def find_joined(stems: Sequence[str], facts: Sequence[PathFacts]) -> Joined:
    """Return the hosts whose names hold several numbers or tell their domain."""
    joined = Joined(list(stems), {}, {})
    parts_of, host_of = judged(stems, facts)
    alike: defaultdict[tuple[str, int], list[tuple[int, str, str]]] = defaultdict(list)
    for i, parts in parts_of.items():
        for part in reversed(parts):
            host = _host_of_form(part)
            if host is not None:
                joined.take(i, part, host)
                break
            found = host_of[part]
            if found is not None and found[1]:
                alike[shape_of(part), found[0].count("-")].append((i, part, found[0]))
                break
            name = next(filter(_PADDED.fullmatch, _names_in(part)), None)
            if name is not None:
                alike[shape_of(part), -1].append((i, part, name))
    for (_, hyphens), rows in alike.items():
        if hyphens < 0:
            _padded(joined, rows)
        else:
            _extend(joined, rows)
    return joined


def _names_in(part: str) -> list[str]:
    """Return the joined words of a part, without those at their ends that tell what the file is."""
    names = []
    for match in _JOINED.finditer(part):
        words = match[0].split("-")
        while words and words[0].lower() in NO_HOST:
            del words[0]
        while words and words[-1].lower() in NO_HOST:
            del words[-1]
        names.append("-".join(words))
    return [name for name in names if name]


def _host_of_form(part: str) -> str | None:
    """Return the host in a part of a path that is known by its form alone."""
    host = address_in(part)
    if host is None and (before := host_with_domain(part)) is not None:
        named = _names_in(before)
        host = named[0] if named and not _COUNTED.fullmatch(named[0]) else None
    return host or next(filter(None, map(host_of_form, _names_in(part))), None)


# -- names that end with a padded number ---------------------------------------------


def _padded(joined: Joined, rows: Sequence[tuple[int, str, str]]) -> None:
    """Take such names where they begin with the kind of a machine: others may count what processes wrote."""
    numbers = {name.rsplit("-", 1)[1] for _, _, name in rows}
    if len(numbers) == 1 or not any(map(_is_padded, numbers)):
        return
    for i, part, name in rows:
        first, *rest = name.split("-")
        is_kind = first.lower() in HOST_WORDS or _MODEL.fullmatch(first)
        if is_kind and all(map(NUMBER.search, rest)):
            joined.take(i, part, name)
        else:
            joined.contested[i] = name


# -- a host, and what stands behind it -----------------------------------------------


def _extend(joined: Joined, rows: Sequence[tuple[int, str, str]]) -> None:
    """Take names that go on behind the host in them, where that is surely a part of it."""
    rows = _with_racks(rows)
    heads = [host for _, _, host in rows]
    tails = [_words_behind(part, host) for _, part, host in rows]
    surely = longest = 0
    for k, words in enumerate(zip(*tails, strict=False)):
        goes_on = _goes_on(heads, words)
        heads = ["-".join((head, word)) for head, word in zip(heads, words, strict=True)]
        if goes_on is None:
            longest = k + 1
        elif goes_on:
            surely = k + 1
            continue
        break
    for (i, part, host), tail in zip(rows, tails, strict=True):
        name = "-".join((host, *tail[:surely]))
        if surely or _holds_places(name):
            joined.take(i, part, name)
        if longest > surely:
            joined.contested[i] = "-".join((host, *tail[:longest]))


def _with_racks(rows: Sequence[tuple[int, str, str]]) -> Sequence[tuple[int, str, str]]:
    """Return rows with what stands in front of their hosts, where the same places are in several racks."""
    whole = [(i, part, _joined_before(part, host)) for i, part, host in rows]
    racks: defaultdict[str, set[str]] = defaultdict(set)
    for (_, _, place), (_, _, name) in zip(rows, whole, strict=True):
        racks[place].add(name)
    return whole if any(len(names) > 1 for names in racks.values()) else rows


def _joined_before(part: str, host: str) -> str:
    """Return a host with the words in front of it, from the first on that tells no kind of file."""
    end = part.rindex(host) + len(host)
    found = [
        name for match in _JOINED.finditer(part[:end]) if match.end() == end for name in _names_in(match[0])
    ]
    return found[-1] if found else host


def _words_behind(part: str, host: str) -> list[str]:
    """Return the words that are joined to a host in a part of a path, up to the first that is no place."""
    match = _JOINED.match(part, part.rindex(host))
    words = match[0].removeprefix(host).split("-")[1:] if match else []
    return list(takewhile(_PLACE.fullmatch, words))


def _holds_places(host: str) -> bool:
    """Whether a host's name holds several numbers, and the last of them is none of a process."""
    letters = NUMBER.split(host.rsplit("-", 1)[-1])[0].lower()
    return len(NUMBER.findall(host)) > 1 and letters not in RANK_WORDS


def _goes_on(heads: Sequence[str], words: Sequence[str]) -> bool | None:
    """Whether the ``words`` behind the ``heads`` belong to the names of hosts; None where both may be."""
    if all("n" in word.lower() for word in words):
        return len(set(words)) > 1  # `10n05`: the node in a place
    texts = [NUMBER.findall(word)[0] for word in words]
    numbers = [int(text) for text in texts]
    padded = any(map(_is_padded, texts))
    files: defaultdict[str, set[int]] = defaultdict(set)
    for head, number in zip(heads, numbers, strict=True):
        files[head].add(number)
    parts_files = any(len(found) > 1 for found in files.values())
    if len(set(numbers)) == 1 or max(numbers) >= MOST_PLACES or _is_narrower(heads, texts):
        return False
    counts = count_from_zero(set(numbers))
    if counts and sum(map(len, files.values())) == len(set(numbers)):
        return None if padded and parts_files else False  # each once over all hosts: of tasks, most likely
    if padded:
        return True
    if not parts_files or any(map(_numbers_machines, heads)):
        return False
    if max(numbers) >= MOST_PROCESSES or not counts:
        return not words[0][0].isalpha() or None  # `gpu13` may be a place, `gpu3` is a device
    return False if words[0][0].isalpha() else None


def _is_padded(text: str) -> bool:
    return len(text) > 1 and text[0] == "0"


def _is_narrower(heads: Sequence[str], texts: Sequence[str]) -> bool:
    """Whether the numbers behind padded ones are not: a site writes both alike."""
    ends = [match[2] for head in heads if (match := _LAST.search(head))]
    return any(map(_is_padded, ends)) and min(map(len, texts)) < min(map(len, ends))


def _numbers_machines(head: str) -> bool:
    """Whether a name ends with the number of a machine, so that what follows is something on it."""
    match = _LAST.search(head)
    return match is not None and ((match[1] or "").lower() in NODE_WORDS or len(match[2]) >= WHOLE)
