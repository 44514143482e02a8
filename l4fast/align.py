"""What several wordings of one message have in common: the text of their template."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from l4fast.typed import MASK

Words = tuple[str, ...]

# The table of the longest common part costs the product of the lengths.
MOST_CELLS = 40_000


def common(wordings: Iterable[Words]) -> str:
    """Return the words that all wordings share, in order, with MASK where they differ.

    Wordings with the same punctuation in the same places are compared column by column; then the
    results, shortest first, by their longest common subsequence. Their order does not matter.

    >>> common([("sent", " ", "5"), ("sent", " ", "7")]) == f"sent {MASK}"
    True
    """
    alike: dict[Words, list[Words]] = defaultdict(list)
    for words in wordings:
        alike[tuple("" if _holds_text(word) else word for word in words)].append(words)
    merged = [_by_column(alike[places]) for places in sorted(alike, key=lambda p: (len(p), p))]
    held = merged[0]
    for words in merged[1:]:
        held = _by_sequence(held, words)
    return "".join(held)


def _holds_text(word: str) -> bool:
    return word == MASK or any(c.isalnum() for c in word)


def _by_column(wordings: Sequence[Words]) -> Words:
    if len(wordings) == 1:
        return wordings[0]
    return tuple(column[0] if len(set(column)) == 1 else MASK for column in zip(*wordings, strict=True))


def _by_sequence(first: Words, second: Words) -> Words:
    """Return the longest common subsequence, with one MASK in each gap."""
    head = 0
    while head < min(len(first), len(second)) and first[head] == second[head]:
        head += 1
    tail = 0
    while tail < min(len(first), len(second)) - head and first[-1 - tail] == second[-1 - tail]:
        tail += 1
    a, b = first[head : len(first) - tail], second[head : len(second) - tail]
    middle = _middle(a, b) if len(a) * len(b) <= MOST_CELLS else _gap([*a], [*b])
    return tuple(_tidy([*first[:head], *middle, *first[len(first) - tail :]]))


def _middle(a: Words, b: Words) -> list[str]:
    # weight[i][j]: the best common part of a[i:] and b[j:]; a word weighs more than a blank.
    weight = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            if a[i] == b[j]:
                weight[i][j] = weight[i + 1][j + 1] + (1 if a[i].isspace() else 2)
            else:
                weight[i][j] = max(weight[i + 1][j], weight[i][j + 1])
    found: list[str] = []
    i = j = 0
    left: list[str] = []  # what one of the two has more, since the last common word
    right: list[str] = []
    while i < len(a) or j < len(b):
        if i < len(a) and j < len(b) and a[i] == b[j]:
            found += [*_gap(left, right), a[i]]
            left, right = [], []
            i, j = i + 1, j + 1
        elif j == len(b) or (i < len(a) and weight[i + 1][j] >= weight[i][j + 1]):
            left.append(a[i])
            i += 1
        else:
            right.append(b[j])
            j += 1
    return [*found, *_gap(left, right)]


def _gap(left: Sequence[str], right: Sequence[str]) -> list[str]:
    """Return what stands for two different parts: MASK, and the blanks that they begin and end with."""
    parts = [part for part in (left, right) if part]
    if not parts:
        return []
    before = [" "] if all(part[0] == " " for part in parts) else []
    after = [" "] if all(part[-1] == " " for part in parts) else []
    return [*before, MASK, *after]


def _tidy(words: Sequence[str]) -> list[str]:
    """Return the words with one MASK for several that only blanks part."""
    tidy: list[str] = []
    for word in words:
        if word == MASK and tidy[-1:] == [MASK]:
            continue
        if word == MASK and tidy[-1:] == [" "] and tidy[-2:-1] == [MASK]:
            tidy.pop()
            continue
        tidy.append(word)
    return tidy
