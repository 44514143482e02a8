"""One known line: its pattern, and the words in which it says what the line means.

Weights, by convention: 0 for a message that one program prints, 10 where it has to win
over such a one (a benign line with an error in it), -10 for what any program may
print, -20 for a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

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
# How long a restart on the same machines meets a cause again: until an iteration was done, or ever.
LASTING = ("start", "always")
# What kind of word a line is in the cascade of a failure: it decides who may be the culprit.
TELLS = ("hang", "stop", "timeout", "lost-peer", "death", "asked-to-end", "abort", "ending", "heard")
# A signature that tells none of these is an error of its own, or the echo of another's.
KINDS = ("error", *TELLS, "echo")
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
    "exit",
    "exit.node",
    "attempt",
    "gone",
    "identity",
)
# Who prints a line: the training program, what starts and ends its processes, the cluster, the kernel.
SPEAKERS = ("program", "launcher", "scheduler", "kernel")
# Who says what a line brings about: the same process, any on its node, any in the job.
PLACES = ("process", "node", "job")
_WILD = frozenset("*?[")
# The groups whose value may change what a line means.
DECIDING = ("exit_code", "signal", "errno", "xid", "sxid", "status", "code")


def fits(text: str, wanted: str) -> bool:
    """Tell whether ``text`` is ``wanted``, in which ``*`` stands for any characters.

    >>> fits("-9", "-*"), fits("-9", "9"), fits("9", "9")
    (True, False, True)
    """
    # Each new pattern costs `fnmatch` a compilation, and most hold no wildcard.
    return text == wanted if _WILD.isdisjoint(wanted) else fnmatchcase(text, wanted)


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
            any(fits(values.get(group) or "", wanted) for wanted in choices) for group, choices in self.values
        )


@dataclass(frozen=True)
class Effect:
    """What a line brings about: which other lines, told where, and how much later.

    ``what`` holds ids of signatures, with ``*`` for any characters, or ``tells:KIND``.
    ``after_s`` is the least and the most time between the two, in seconds, clocks set aside.
    """

    what: tuple[str, ...]
    where: str
    after_s: tuple[float, float]


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
    by: str
    weight: int
    advice: str
    action: str | None
    lasting: str | None
    source: str
    when: tuple[Case, ...]
    explains: tuple[Effect, ...]
    matches: tuple[str, ...]
    spares: tuple[str, ...]
    file: str

    @property
    def kind(self) -> str | None:
        """Which of `KINDS` its lines are in a cascade; None where they have no part in one."""
        if self.role not in ("root", "consequence", "teardown"):
            return None
        return self.tells or ("error" if self.role == "root" else "echo")

    @property
    def is_harmless(self) -> bool:
        """Whether its lines tell of no failure, whatever their values are."""
        quiet = ("benign", "context")
        return self.role in quiet and all(case.role in (None, *quiet) for case in self.when)

    @property
    def is_victims(self) -> bool:
        """Whether only a victim says it: whatever its values are, it never began a failure."""
        return self.role in ("consequence", "teardown") and all(case.role != "root" for case in self.when)

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
