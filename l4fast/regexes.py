"""Regular expressions that wait: each is compiled when it is first used.

The package knows more than two hundred and a job needs some of them; one takes 0.1 to 1 ms.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import AnyStr, cast


def regex(source: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what behaves as ``re.compile(source, flags)`` and does its work at the first use.

    >>> digits = regex("[0-9]+")
    >>> digits.findall("rank 3 of 16")
    ['3', '16']
    """
    return cast("re.Pattern[AnyStr]", Waiting(source, flags))


class Waiting:
    """A pattern that nobody has used yet; what is asked of it once is its own from then on."""

    def __init__(self, source: str | bytes, flags: int) -> None:
        self._source = source
        self._flags = flags

    @cached_property
    def compiled(self) -> re.Pattern[str] | re.Pattern[bytes]:
        """The pattern itself."""
        return re.compile(self._source, self._flags)

    def __getattr__(self, name: str) -> object:
        # Only what is not there yet is asked for here: the second call costs no more than a pattern's.
        value = self.__dict__[name] = getattr(self.compiled, name)
        return value
