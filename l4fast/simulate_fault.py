"""What a fault of a simulated job is: its lines, what breaks, and what is true about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from l4fast.simulate_book import Voice
from l4fast.simulate_scene import Happen, Scene

ANY_CAUSE = ("hardware.host", "hardware.gpu", "network", "platform", "user.code", "framework", "unknown")
"""What may be told of a job in which nobody says why."""


@dataclass(frozen=True)
class Slow:
    """How a job is slow that does not die: iterations take ``factor`` times as long, saves ``pause_s`` more.

    ``drag``: the batches of the faulty nodes' ranks take that many times as long.
    """

    factor: float = 1.0
    pause_s: float = 0.0
    drag: int = 1


@dataclass(frozen=True)
class Fault:
    """One kind of failure.

    Attributes
    ----------
    say : the lines of those who are struck, and of their machines
    happen : what breaks; None for a job that is slow and does not die
    blames : whom the truth names: rank, node (all its ranks), or nobody
    starts_s : when it strikes, seconds, if before training
    many : whether several nodes can have it at once, each by itself
    evidence : the best that logs can tell of the node; ``otherwise`` where no root line names it
    accepted : what else can be defended, field by field; ``blind``: instead, without kernel logs
    """

    say: Callable[[Voice, Scene], None]
    happen: Happen | None
    category: str
    verdict: str
    stage: str = "iterate"
    blames: str = "rank"
    starts_s: float | None = None
    many: bool = True
    evidence: str = "explicit"
    otherwise: str = "inferable"
    slow: Slow | None = None
    accepted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    blind: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def dragged(fault: Fault, scene: Scene) -> NDArray[np.bool_]:
    """Which ranks of the job are slow to fetch their batches."""
    mask = np.zeros(scene.job.n_ranks, bool)
    if fault.slow is not None and fault.slow.drag > 1:
        mask[list(scene.all_ranks())] = True
    return mask
