"""Colour codes as the kernels leave them: hushed, so that they are no part of a word.

Whatever is read from a line is read from its hushed bytes; what is shown of it is shown as it was.
See `l4fast_kernels.colours`.
"""

from __future__ import annotations

from l4fast.regexes import regex
from l4fast_kernels.colours import DIGITS_HUSHED, FINALS, FINALS_HUSHED

_ESCAPE = rb"(?:\x1b|\\u001[bB])\["
_LOUD = regex(_ESCAPE + rb"[0-?]*[" + FINALS + rb"]")
_HUSHED = regex(_ESCAPE + rb"[" + DIGITS_HUSHED + rb":-?]*[" + FINALS_HUSHED + rb"]")
_TO_HUSH = bytes.maketrans(b"0123456789" + FINALS, DIGITS_HUSHED + FINALS_HUSHED)
_TO_SHOW = bytes.maketrans(DIGITS_HUSHED + FINALS_HUSHED, b"0123456789" + FINALS)

# A code behind its `[`, as a pattern of text.
HUSHED_CODE = rf"[{DIGITS_HUSHED.decode()}:-?]*[{FINALS_HUSHED.decode()}]"


def hushed(line: bytes) -> bytes:
    """Return ``line`` with its colour codes hushed, as `l4fast_kernels.colours` does it.

    >>> len(hushed(b"\\x1b[31mERROR\\x1b[0m")), hushed(b"a[31m")
    (14, b'a[31m')
    """
    if b"\x1b[" not in line and b"\\u001" not in line:
        return line
    return _LOUD.sub(lambda code: _behind_bracket(code[0], _TO_HUSH), line)


def shown(line: bytes) -> bytes:
    """Return a hushed ``line`` as it was.

    >>> shown(hushed(b"\\x1b[31mERROR\\x1b[0m"))
    b'\\x1b[31mERROR\\x1b[0m'
    """
    if b"\x1b[" not in line and b"\\u001" not in line:
        return line
    return _HUSHED.sub(lambda code: _behind_bracket(code[0], _TO_SHOW), line)


def _behind_bracket(code: bytes, table: bytes) -> bytes:
    at = code.index(b"[") + 1
    return code[:at] + code[at:].translate(table)
