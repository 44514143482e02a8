"""Which words of a set of messages are variables: what differs where all else is equal.

Messages are rows of words; blanks and punctuation are words of their own. Where messages agree in
all columns but one (or two, or all values of a ``key=value`` list, or all places of one repeated
word), those columns hold a variable if enough different words stand there. How many are enough:

- 2, if a value that shows by its form stands there too (`user <*>` beside `user ann`); if all of
  them hold such a value (`QQ.<*>`, `Mail.<*>`), are one name with different numbers (`eth0`, `eth1`),
  or are identifiers in quotes or after `=`;
- ``min_values``, if they are words: fewer may well be as many events;
- twice as many, if most begin with a capital: those name states and classes;
- `FIRST_VALUES` for the first word of a message, which mostly names the event.

All is decided on the set of messages, so order and repetition cannot matter. The idea of columns
is Drain's and IPLoM's; that typed values vouch for their neighbours, and tied columns, are ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from l4fast.neighbours import Columns, Words, groups, masked
from l4fast.regexes import regex
from l4fast.typed import EVENT_KEYS, MASK, PATH_ENDS

FIRST_VALUES = 10
ONLY_WORD_VALUES = 8  # for a column without which one word is left to say what happened
ROUNDS = 4

# What a number must not be: these tell of a failure, so they stay.
_NO_NUMBERS = frozenset({"nan", "inf", "infinity"})
# A digit, an underscore, a dot, a dash inside a word, or a capital after a small letter.
_IDENTIFIER = regex(r"\w[._-]\w|\d|_|[a-z][A-Z]")
# Words that are values wherever they stand.
TRUTH = frozenset({"true", "false", "null", "none"})
_AROUND = frozenset({("[", "]"), ('"', '"'), ("'", "'"), ("`", "`")})
_DIGITS = regex(r"\d+")


def words_of(text: str) -> Words:
    """Split a message at blanks and punctuation; both stay, as words.

    >>> words_of("rank=3 lost")
    ('rank', '=', '3', ' ', 'lost')
    """
    return tuple(part for part in PATH_ENDS.split(text) if part)


def free(messages: Collection[str], min_values: int) -> dict[str, str]:
    """Return each message with MASK for the words that vary."""
    rows = {message: words_of(message) for message in messages}
    for _ in range(ROUNDS):
        change = _freed(set(rows.values()), min_values)
        if not change:
            break
        rows = {message: change.get(row, row) for message, row in rows.items()}
    return {message: "".join(row) for message, row in rows.items()}


def _freed(rows: set[Words], min_values: int) -> Mapping[Words, Words]:
    """Free the columns of each row that most rows share: one step."""
    best: dict[Words, tuple[bool, int, Columns, Words]] = {}
    for columns, merged, members in groups(sorted(rows), _may_vary, _values):
        if len(columns) == 2 and _is_first(merged, columns[0]):
            continue
        constant = sum(_says_something(word) for word in merged)
        typed = merged in rows
        if constant == 0 or (constant == 1 and len(members) < ONLY_WORD_VALUES and not typed):
            continue
        varying = _varying(columns, merged, members, typed, min_values)
        if not varying:
            continue
        for row in members:
            freed = masked(row, varying)
            rank = (len(columns) == 2, -len(members), columns, freed)
            if freed != row and (row not in best or rank < best[row]):
                best[row] = rank
    return {row: freed for row, (_, _, _, freed) in best.items()}


def _values(row: Words) -> Columns:
    """Return the columns of a row that hold values."""
    return tuple(c for c in range(1, len(row)) if _is_value(row, c) and row[c].lower() not in _NO_NUMBERS)


def _varying(
    columns: Columns, merged: Words, members: Sequence[Words], typed: bool, min_values: int
) -> Columns:
    """Return those of ``columns`` that hold a variable; none if one of a pair does not."""
    found: list[int] = []
    for column in columns:
        words = {row[column] for row in members}
        vouched = typed or MASK in words
        words.discard(MASK)
        if len(words) + vouched < 2:
            continue
        value = _is_value(merged, column)
        # Many different records of one list of keys: what varies in them is a value.
        record = value and len(columns) > 2 and len(members) >= 2 * min_values
        if any(_names_something(row, column, vouched) for row in members):
            return ()
        if (
            record
            or vouched
            or len(words)
            >= _enough(words, value, _is_quoted(merged, column), _is_first(merged, column), min_values)
        ):
            found.append(column)
        elif len(columns) == 2:
            return ()
    return tuple(found)


def _enough(words: set[str], value: bool, quoted: bool, first: bool, min_values: int) -> int:
    """Return how many different words make a variable; see the top of this file."""
    capital = sum(word[:1].isupper() for word in words) * 2 > len(words)
    if first and not all("." in word.strip(".") for word in words):
        return FIRST_VALUES * (2 if capital else 1)
    if not first and all(MASK in word for word in words):
        return 2
    if quoted and not first and all(_IDENTIFIER.search(word) for word in words):
        return 2
    numbered = all(any(c.isdigit() for c in word) for word in words)
    if numbered and len({_DIGITS.sub("", word) for word in words}) < len(words):
        return 2
    return min_values * (2 if capital and not value else 1)


def _is_value(row: Words, column: int) -> bool:
    """Whether a word stands where a value does: after `=` or `key:`, in quotes or alone in brackets."""
    word = row[column]
    if not (_is_word(word) or word == MASK):
        return False
    before = row[column - 1] if column else ""
    after = row[column + 1] if column + 1 < len(row) else ""
    if before == "=":
        return column > 1
    if before == ":":
        return column > 1 and _is_word(row[column - 2])
    return (before, after) in _AROUND


def _is_quoted(row: Words, column: int) -> bool:
    """Whether a word stands in quotes, or after `=`."""
    before = row[column - 1] if column else ""
    after = row[column + 1] if column + 1 < len(row) else ""
    return before == "=" or (before == after and before in ("'", '"', "`"))


def _names_something(row: Words, column: int, vouched: bool) -> bool:
    """Whether a word is the name of a value (`loss=`, `loss: <*>`), or that of an event in JSON."""
    after = row[column + 1 : column + 4]
    if (
        after[:1] == ("=",)
        or after[:2] in (('"', ":"), ("'", ":"))
        or (after == (":", " ", MASK) and not vouched)
    ):
        return True
    if after[:1] != ('"',):
        return False
    key = row[max(column - 6, 0) : column]
    return next((word.lower() for word in reversed(key) if _is_word(word)), "") in EVENT_KEYS


def _is_first(row: Words, column: int) -> bool:
    return not any(MASK in word or _is_word(word) for word in row[:column])


def _may_vary(word: str) -> bool:
    return word != MASK and _is_word(word) and word.lower().lstrip("+-") not in _NO_NUMBERS


def _is_word(word: str) -> bool:
    return any(c.isalnum() for c in word)


def _says_something(word: str) -> bool:
    return MASK not in word and any(c.isalpha() for c in word) and word.lower() not in TRUTH
