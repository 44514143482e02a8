"""How well templates agree with labels: GA, FGA, PA and FTA in the definitions of Loghub-2.0's evaluator.

Each line has a label (its true template) and a found template. Lines of one template text are a
group; a line without a label takes no part, but counts as one whose template is wrong.

- GA: the part of the lines whose found group holds exactly the lines of their true group.
- FGA: the harmonic mean of the part of the found groups and of the true groups that agree so.
- PA: the part of the lines whose found template is the label, character by character.
- FTA: as FGA, of the found groups whose lines all have the found template as their label.

References
----------
Jiang et al. (2024), A Large-Scale Evaluation for Log Parsing Techniques: How Far Are We?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# What pandas reads as no value: the evaluator reads both sides with it.
NO_VALUE = {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"} | {
    "<NA>",
    "N/A",
    "NA",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
}


@dataclass(frozen=True)
class Accuracy:
    """The four measures, between 0 and 1, and how many templates were found and are true."""

    ga: float
    fga: float
    pa: float
    fta: float
    found: int
    true: int


def accuracy(
    true: np.ndarray, found: np.ndarray, true_texts: Sequence[str], found_texts: Sequence[str]
) -> Accuracy:
    """Compare found templates with labels.

    Parameters
    ----------
    true, found : int32[n]
        The template of each line, as a place in its texts; -1 in ``found`` for a line that has none.

    Examples
    --------
    >>> texts = ["a <*>", "b"]
    >>> accuracy(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]), texts, ["a <*>", "b", "c"])
    Accuracy(ga=0.5, fga=0.4, pa=0.75, fta=0.8, found=3, true=2)
    """
    places: dict[str, int] = {"": 0}
    of_true = np.array(
        [-1 if t in NO_VALUE else places.setdefault(t, len(places)) for t in true_texts], np.int64
    )
    of_found = np.array(
        [*(0 if t in NO_VALUE else places.setdefault(t, len(places)) for t in found_texts), 0], np.int64
    )
    labels = of_true[true]
    rows = labels >= 0
    both = labels[rows] * len(places) + of_found[found[rows]]
    pairs, size = np.unique(both, return_counts=True)
    label, guess = pairs // len(places), pairs % len(places)
    n_labels, n_guesses = len(np.unique(label)), len(np.unique(guess))
    # A pair is alone where no other shares its label or its guess: both groups are then its lines.
    is_alone = (np.bincount(label)[label] == 1) & (np.bincount(guess)[guess] == 1)
    is_pure = (np.bincount(guess)[guess] == 1) & (label == guess)
    return Accuracy(
        ga=_part(int(size[is_alone].sum()), int(rows.sum())),
        fga=_harmonic(int(is_alone.sum()), n_guesses, n_labels),
        pa=_part(int(size[label == guess].sum()), len(true)),
        fta=_harmonic(int(is_pure.sum()), n_guesses, n_labels),
        found=n_guesses,
        true=n_labels,
    )


def _part(n: int, of: int) -> float:
    return n / of if of else 0.0


def _harmonic(right: int, found: int, true: int) -> float:
    """Return the harmonic mean of precision and recall."""
    return 2 * right / (found + true) if right else 0.0
