"""All scenarios of clusters, launchers, storage and hardware."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scenarios import (
    Expected,
    clusters_hardware,
    clusters_kube,
    clusters_launchers,
    clusters_slurm,
    clusters_tools,
    clusters_torchrun,
    clusters_traps,
)

SCENARIOS: dict[str, Callable[[Path], Expected]] = {
    story.__name__: story
    for part in (
        clusters_slurm,
        clusters_torchrun,
        clusters_launchers,
        clusters_kube,
        clusters_hardware,
        clusters_traps,
        clusters_tools,
    )
    for story in part.ALL
}
