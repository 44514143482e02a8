"""l4fast tells from the logs alone why a large LLM training job died.

>>> import l4fast
>>> l4fast.diagnose("/logs/job-123").action["verdict"]  # doctest: +SKIP
'restart_excluding'
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from l4fast.batches import parse
    from l4fast.crossjob import Baseline
    from l4fast.diagnosis import Diagnosis
    from l4fast.errors import BaselineError, DataError, L4Error, NothingToRead, SignatureError, UsageError
    from l4fast.library import Library, load_library
    from l4fast.logparser import LogParser
    from l4fast.simulate import simulate
    from l4fast.stream import Session, diagnose

__all__ = [
    "Baseline",
    "BaselineError",
    "DataError",
    "Diagnosis",
    "L4Error",
    "Library",
    "LogParser",
    "NothingToRead",
    "Session",
    "SignatureError",
    "UsageError",
    "diagnose",
    "load_library",
    "parse",
    "simulate",
]

# Each is imported when it is first asked for: `l4fast --help` must not wait for a compiler.
_HOME = {
    "Baseline": "crossjob",
    "Diagnosis": "diagnosis",
    "Library": "library",
    "LogParser": "logparser",
    "Session": "stream",
    "diagnose": "stream",
    "load_library": "library",
    "parse": "batches",
    "simulate": "simulate",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("importlib.metadata").version(__name__)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME.get(name, "errors")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """A package whose public names stay what they are.

    Python sets a package's attribute to each file that is imported from it. `diagnose`, `parse`
    and `simulate` are files too: without this, ``l4fast.parse`` would be a function or a module,
    depending on what was imported before.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
