"""How the labels of the public benchmark write what varies: a notation, decided by their version.

The corrected labels of the 2k samples keep what parts two variables (``<*>:<*>``). The labels of
the full logs (Loghub-2.0) join them, and drop quotes and signs around a variable that stands alone.
"""

from __future__ import annotations

SAMPLE, FULL = "2k", "full"
STYLES = (SAMPLE, FULL)

_JOINED = ("<*>:<*>", "<*>#<*>", "<*>/<*>", "<*>@<*>", "<*>.<*>", "<*><*>")
_ALONE = (' "<*>" ', " '<*>' ", " #<*># ", " #<*> ")


def full_style(template: str) -> str:
    """Return a template as the labels of the full logs write it.

    >>> full_style('<*>:<*> took <*>.<*> of "<*>" now')
    '<*> took <*> of <*> now'
    """
    before = ""
    while before != template:
        before = template
        for pair in _JOINED:
            template = template.replace(pair, "<*>")
        for quoted in _ALONE:
            template = template.replace(quoted, " <*> ")
    return template


def styled(template: str, style: str) -> str:
    """Return a template in one of `STYLES`."""
    return full_style(template) if style == FULL else template
