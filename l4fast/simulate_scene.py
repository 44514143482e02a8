"""Where and when a fault strikes, and the few ways in which things break.

Each of the functions below makes a function that turns a `Scene` into the `Incident` that
`simulate_physics` unfolds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from l4fast.simulate_job import Job
from l4fast.simulate_physics import Incident


@dataclass(frozen=True)
class Scene:
    """When and where: the fault strikes ``ranks`` (one on each faulty node) at ``t`` (seconds).

    ``last`` is the last iteration that was complete before it.
    """

    job: Job
    t: float
    ranks: tuple[int, ...]
    last: int
    rng: np.random.Generator

    @property
    def nodes(self) -> tuple[int, ...]:
        return tuple(self.job.node_of(rank) for rank in self.ranks)

    @property
    def torchrun(self) -> bool:
        """Whether torchrun starts the ranks; else srun does, one task a rank."""
        return self.job.style not in ("nemo", "titan")

    def all_ranks(self) -> tuple[int, ...]:
        """All ranks of the faulty nodes."""
        return tuple(rank for node in self.nodes for rank in self.job.ranks_of(node))


Happen = Callable[[Scene], Incident]


def exits(
    code: int, after: float = 0.4, *, whole: bool = False, where: str = "step", kind: str = "consequence"
) -> Happen:
    """Processes end by themselves, ``after`` s later: one on each faulty node, or the ``whole`` node's."""

    def happen(scene: Scene) -> Incident:
        ranks = scene.all_ranks() if whole else scene.ranks
        late = scene.rng.random(len(ranks))
        deaths = {r: (scene.t + after + 0.3 * float(x), code) for r, x in zip(ranks, late, strict=True)}
        return Incident(scene.t, where, ranks, deaths, kind=kind)

    return happen


def freezes(scene: Scene) -> Incident:
    """Processes stop where they are: alive, but in no collective any more."""
    stuck = () if scene.job.habits.answers else scene.ranks
    return Incident(scene.t, absent=scene.ranks, stuck=stuck)


def vanishes(scene: Scene) -> Incident:
    """Machines stop at once."""
    return Incident(
        scene.t, absent=scene.all_ranks(), gone=dict.fromkeys(scene.nodes, scene.t), accuse="root"
    )


def disconnects(*, whole: bool = False) -> Happen:
    """Links go dead: of one rank's adapter, or of the ``whole`` node."""

    def happen(scene: Scene) -> Incident:
        ranks = scene.all_ranks() if whole else scene.ranks
        return Incident(scene.t, absent=ranks, cut=ranks, accuse="root")

    return happen


def all_exit(code: int, *, where: str = "step", spread: float = 1.0) -> Happen:
    """Every rank ends by itself, for the same reason, within ``spread`` s."""

    def happen(scene: Scene) -> Incident:
        late = scene.rng.random(scene.job.n_ranks)
        deaths = {rank: (scene.t + 0.4 + spread * float(x), code) for rank, x in enumerate(late)}
        return Incident(scene.t, where, tuple(deaths), deaths)

    return happen


def ordered(scene: Scene) -> Incident:
    """Somebody outside ends the job."""
    return Incident(scene.t, killed_s=scene.t + 0.1)
