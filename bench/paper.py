"""The method of L4 (FSE 2025, arXiv 2503.20263), re-implemented from what is public about it.

1. *Preprocessing.* Drain turns lines into events (`paper_lines`).
2. *Cross-job filtering.* The events that healthy jobs say too are deleted.
3. *Spatial comparison.* A node is the vector of its events' counts. An Isolation Forest scores the
   nodes; the events by which it splits are those that tell them apart.
4. *Temporal comparison.* Windows of ten iterations slide over the job; dynamic time warping tells how
   far each is from the one before, and beyond the mean by three standard deviations is abnormal.

Stated in public: Drain, the pool of healthy events, counts per node, Isolation Forest, splits as the
events' importance, windows of ten, dynamic time warping, three sigma. The rest is guessed. Where a
guess was open, the one was chosen that scored better on the tuning half of the grid
(``beside_paper.py --tune``), so that the method has the benefit of the doubt; `Guesses` gives the
figures. Guessed without a choice between scores:

- the history is one healthy job, which l4fast is given as its baseline too;
- lines whose node is not known take no part in the spatial comparison;
- windows slide by one iteration: with steps of 2, 5 or 10 the first iteration told was never the exact one;
- iterations are compared by their counts of events (see `odd_iterations`); sequences were not tried.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.ensemble import IsolationForest

from paper_lines import Healthy, Lines, Settings

WINDOW = 10  # iterations
SIGMAS = 3.0


@dataclass(frozen=True)
class Guesses:
    """What is not public, and what was chosen.

    Attributes
    ----------
    parsing : Settings
        Drain's parameters. A similarity of 0.7: with 0.4, its authors' default, 29 faulty nodes of 36 were
        first instead of 32; 0.6 and 0.8 made no difference. A depth of 4, the default; 6 made none either.
    trees : int
        Of the forest, whose other parameters are scikit-learn's defaults too; 300 made no difference.
    spatial_on_left, temporal_on_left : bool
        Whether a comparison is of the events that the filter left, or of all. Left: on all, 17 nodes of 36
        were first instead of 32, and 11 abnormal iterations of 34 were found instead of all.
    blame_above : float
        The forest's anomaly score above which a node is named at all, 0 to 1. Nodes that all say the
        same have 0.5. With 0.6 one innocent fewer was blamed, and no faulty node lost; as with 0.7.
    every_line_left : bool
        Whether each line that the filter left indicates the failure, or only those whose event tells
        nodes apart or which stand in an abnormal iteration. The latter, as the comparisons are said to
        find the lines: F1 0.987 and 38 stages of 49, instead of 0.988 and 34. A job that has not done a
        window of iterations has no temporal pattern: there, all that is left counts.
    stage_of_last_line : bool
        Whether the failure's stage is that of the last line or of the first failure-indicating one. The
        latter: 38 stages of 49 instead of 33.
    """

    parsing: Settings = field(default_factory=Settings)
    trees: int = 100
    spatial_on_left: bool = True
    temporal_on_left: bool = True
    blame_above: float = 0.6
    every_line_left: bool = False
    stage_of_last_line: bool = False


@dataclass(frozen=True)
class Found:
    """What the method tells of a job.

    Attributes
    ----------
    failure : bool[n_lines]
        Whether a line indicates the failure.
    nodes : tuple of str
        Those named, most anomalous first.
    stage : str or None
    abnormal : tuple of int
        Iterations, ascending.
    """

    failure: np.ndarray
    nodes: tuple[str, ...]
    stage: str | None
    abnormal: tuple[int, ...]


def diagnose(lines: Lines, healthy: Healthy, guesses: Guesses | None = None) -> Found:
    """Filter the events of a job by those of ``healthy`` ones, then compare its nodes and iterations."""
    guesses = guesses or Guesses()
    event, is_known = healthy.events(lines.contents)
    left = ~is_known[event]
    nodes, is_telling = odd_nodes(lines, event, left if guesses.spatial_on_left else None, guesses)
    abnormal = odd_iterations(lines, event, left if guesses.temporal_on_left else None)
    failure = left
    if not guesses.every_line_left and lines.iteration.max(initial=0) > WINDOW:
        failure = left & (is_telling[event] | np.isin(lines.iteration, abnormal))
    return Found(failure, nodes, _stage(lines, failure, guesses), abnormal)


def _stage(lines: Lines, failure: np.ndarray, guesses: Guesses) -> str | None:
    if not lines.stages:
        return None
    if guesses.stage_of_last_line or not failure.any():
        return lines.stages[-1]
    return lines.stages[max(int(lines.stage[np.argmax(failure)]), 0)]


def odd_nodes(
    lines: Lines, event: np.ndarray, among: np.ndarray | None, guesses: Guesses
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the anomalous nodes, most anomalous first, and which events tell nodes apart.

    ``event`` is int64[n_lines], ``among`` bool[n_lines] (None: all); the second answer is bool[n_events].
    """
    is_telling = np.zeros(int(event.max(initial=-1)) + 1, bool)
    use = lines.node >= 0 if among is None else (lines.node >= 0) & among
    if len(lines.nodes) < 2 or not use.any():
        return (), is_telling
    counts, events = _counts(lines.node[use], len(lines.nodes), event[use])
    forest = IsolationForest(n_estimators=guesses.trees, random_state=0).fit(counts)
    splits = np.concatenate([tree.tree_.feature for tree in forest.estimators_])
    is_telling[events[np.unique(splits[splits >= 0])]] = True
    score = -forest.score_samples(counts)
    order = np.argsort(-score, kind="stable")
    return tuple(lines.nodes[i] for i in order if score[i] > guesses.blame_above), is_telling


def odd_iterations(lines: Lines, event: np.ndarray, among: np.ndarray | None) -> tuple[int, ...]:
    """Return the iterations that make their window of ten unlike the one before.

    An iteration is a point, the vector of its events' counts, and a window a series of ten: in which
    order hundreds of ranks come to write is chance, so the order within an iteration tells nothing.
    """
    last = int(lines.iteration.max(initial=0))
    use = lines.iteration > 0 if among is None else (lines.iteration > 0) & among
    if last <= WINDOW or not use.any():
        return ()
    counts, _ = _counts(lines.iteration[use] - 1, last, event[use])
    apart = cdist(counts, counts)
    far = np.array(
        [warped(apart[i : i + WINDOW, i + 1 : i + 1 + WINDOW]) for i in range(last - WINDOW)], np.float64
    )
    odd = np.flatnonzero(far > far.mean() + SIGMAS * far.std())
    # The window that begins one later has one iteration that the one before has not: its last.
    return tuple((odd + WINDOW + 1).tolist())


def _counts(group: np.ndarray, n_groups: int, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each group says each event, float64[n_groups, m], and the m events."""
    events, column = np.unique(event, return_inverse=True)
    counts = np.zeros((n_groups, len(events)))
    np.add.at(counts, (group, column), 1.0)
    return counts, events


def warped(apart: np.ndarray) -> float:
    """Return the dynamic time warping distance of two series whose points are ``apart``, float64[n, m]."""
    n, m = apart.shape
    best = np.full((n + 1, m + 1), np.inf)
    best[0, 0] = 0.0
    for i in range(n):
        for j in range(m):
            best[i + 1, j + 1] = apart[i, j] + min(best[i, j], best[i, j + 1], best[i + 1, j])
    return float(best[n, m])
