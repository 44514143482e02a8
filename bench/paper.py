"""The method of L4 (FSE 2025, arXiv 2503.20263), re-implemented from what is public about it.

1. *Preprocessing.* Drain turns lines into events (`paper_lines`).
2. *Cross-job filtering.* Events that healthy jobs say too are deleted.
3. *Spatial comparison.* Each node is the vector of its events' counts; an Isolation Forest scores
   the nodes, and the events by which it splits are the failure-indicating ones.
4. *Temporal comparison.* Each iteration is the sequence of its events; windows of ten iterations
   slide over the job, dynamic time warping tells how far each is from the one before, and what lies
   beyond the mean by three standard deviations is abnormal. The stage is the last one marked.

What the paper states: Drain, the healthy event pool, counts per node, Isolation Forest, splits as
importance, ten iterations a window, dynamic time warping, three sigma. The rest is guessed; where the
choice was open, it is the one that scored better on the tuning half of `beside_paper`'s grid.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from paper_lines import Healthy, Lines, Settings
from scipy.spatial.distance import cdist
from sklearn.ensemble import IsolationForest

WINDOW = 10  # iterations; stated
SIGMAS = 3.0  # stated


@dataclass(frozen=True)
class Guesses:
    parsing: Settings = field(default_factory=Settings)
    trees: int = 100
    spatial_on_left: bool = True
    blame_above: float = 0.5
    importance: float = 0.0
    rule: str = "either"
    step: int = 1
    temporal_on_left: bool = False


@dataclass(frozen=True)
class Found:
    failure: np.ndarray
    nodes: tuple[tuple[str, float], ...]
    stage: str | None
    abnormal: tuple[int, ...]


def diagnose(lines: Lines, healthy: Healthy, guesses: Guesses) -> Found:
    event, known = healthy.events(lines.contents)
    return compare(lines, event, known, guesses)


def compare(lines, event, known, guesses):
    left = ~known[event]
    nodes, telling = spatial(lines, event, left, guesses)
    abnormal = temporal(lines, event, left, guesses)
    unusual = telling[event]
    late = np.isin(lines.iteration, abnormal) if abnormal else np.zeros(len(event), bool)
    if guesses.rule == "left":
        failure = left
    elif guesses.rule == "either":
        failure = left & (unusual | late)
    elif guesses.rule == "either+":
        # a job that never iterated has no temporal pattern
        failure = left & (unusual | late | (lines.iteration.max(initial=0) == 0))
    elif guesses.rule == "spatial":
        failure = left & unusual
    return Found(failure, nodes, lines.stage, tuple(abnormal))


def spatial(lines, event, left, guesses):
    """Return nodes with scores above, most anomalous first, and which events tell them apart."""
    n_events = int(event.max(initial=-1)) + 1
    told = np.zeros(n_events, bool)
    use = lines.node >= 0
    if guesses.spatial_on_left:
        use = use & left
    names, column = np.unique(event[use], return_inverse=True)
    if names.size == 0 or len(lines.nodes) < 2:
        return (), told
    counts = np.zeros((len(lines.nodes), names.size))
    np.add.at(counts, (lines.node[use], column), 1)
    forest = IsolationForest(n_estimators=guesses.trees, random_state=0).fit(counts)
    score = -forest.score_samples(counts)
    splits = np.zeros(names.size)
    for tree, columns in zip(forest.estimators_, forest.estimators_features_, strict=True):
        inner = tree.tree_.feature[tree.tree_.feature >= 0]
        np.add.at(splits, columns[inner], 1)
    told[names[splits > guesses.importance * splits.mean()]] = True
    order = np.argsort(-score, kind="stable")
    return tuple((lines.nodes[i], float(score[i])) for i in order.tolist() if score[i] > guesses.blame_above), told


def temporal(lines, event, left, guesses):
    use = lines.iteration > 0
    if guesses.temporal_on_left:
        use = use & left
    last = int(lines.iteration.max(initial=0))
    if last < WINDOW + guesses.step or not use.any():
        return []
    names, column = np.unique(event[use], return_inverse=True)
    counts = np.zeros((last, names.size))
    np.add.at(counts, (lines.iteration[use] - 1, column), 1)
    apart = cdist(counts, counts)
    first = np.arange(0, last - WINDOW - guesses.step + 1)
    far = np.array([warped(apart[i : i + WINDOW, i + guesses.step : i + guesses.step + WINDOW]) for i in first.tolist()])
    cut = far.mean() + SIGMAS * far.std()
    found = set()
    for i in first[far > cut].tolist():
        found.update(range(max(i + WINDOW, i + guesses.step) + 1, i + guesses.step + WINDOW + 1))
    return sorted(found)


def warped(apart):
    n, m = apart.shape
    best = np.full((n + 1, m + 1), np.inf)
    best[0, 0] = 0
    for i in range(n):
        for j in range(m):
            best[i + 1, j + 1] = apart[i, j] + min(best[i, j], best[i, j + 1], best[i + 1, j])
    return float(best[n, m])
