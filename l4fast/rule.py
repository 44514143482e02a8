"""What a rule for one prefix is: what it looks like, and what may come after it.

A rule sees masked text (``M`` is a masked word), so it tells only where a field stands and what it
may be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from l4fast.canonical import MASK
from l4fast.regexes import regex

# What may come next depends on what was peeled before.
OUTER = 1  # only a transport so far: a bare label such as `12: ` may follow
BOOT = 2  # a kernel line may follow
LOG = 4  # a time or level was read: level, logger name, location and rank may follow
GLOG = 8  # a C++ header was read: `[c10d]` after it is a component, not a rank
TRANSPORT = OUTER | BOOT

_GROUP = regex(r"\(\?P<(\w+)>")


@dataclass(frozen=True, slots=True)
class Rule:
    """One prefix: where it may stand, its pattern, what it leaves possible."""

    name: str
    pattern: re.Pattern[str]
    kinds: tuple[tuple[str, str], ...]  # its groups, and the kinds of field that they are
    tells_level: bool
    first: str  # its first characters; "" for any
    needs: int
    forbids: int
    keeps: int
    sets: int
    indented: bool  # may stand after blanks: only what cannot be mistaken


def rule(
    name: str,
    pattern: str,
    first: str,
    *,
    needs: int = 0,
    forbids: int = 0,
    keeps: int = 0,
    sets: int = 0,
    indented: bool = False,
) -> Rule:
    """Make a rule; a named group is a field (`time_iso` -> "time.iso", `rank2` -> "rank")."""
    groups = _GROUP.findall(pattern)
    kinds = tuple(
        (group, group.rstrip("23").replace("time_", "time.")) for group in groups if group != "level"
    )
    return Rule(name, regex(pattern), kinds, "level" in groups, first, needs, forbids, keeps, sets, indented)


M = MASK
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ALPHA = UPPER + UPPER.lower() + "_"
WORDS = "DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|ERR|CRITICAL|CRIT|FATAL|SEVERE|TRACE|EVENT|DIAG|ALERT|EMERG"
HOST = rf"[\w{M}][\w.{M}-]{{0,252}}"
SOURCE = rf"[\w./{M}+-]{{1,160}}\.(?:py|cc|cpp|cxx|cu|cuh|c|h|hpp|go|rs|ts|java):{M}"
SEPARATOR = r"(?:[ \t]*(?:[|,;-]|: )[ \t]*|:(?=[A-Z]{4,8}:)|[ \t]+)(?=\S)"
