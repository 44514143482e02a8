"""Every error that l4fast raises on purpose: what was found, where, and what to do next."""

from __future__ import annotations


class L4Error(Exception):
    """The base of all errors that a user may see; its text is one sentence.

    Attributes
    ----------
    exit_code : int
        What the command line ends with: 64 wrong usage, 65 bad data, 70 internal.
    path : str or None
        The file that the sentence speaks of.
    """

    exit_code = 70

    def __init__(self, message: str, path: str | None = None) -> None:
        self.path = path
        super().__init__(message)


class UsageError(L4Error):
    """The caller asked for something that cannot be asked."""

    exit_code = 64


class DataError(L4Error):
    """What was to be read cannot be read."""

    exit_code = 65


class NothingToRead(DataError):
    """No path given could be read at all."""


class BaselineError(DataError):
    """A baseline file is damaged, of another version, or holds no job."""


class SignatureError(DataError):
    """A signature file breaks a rule; the text names file, key and reason."""
