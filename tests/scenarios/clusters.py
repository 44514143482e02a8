"""All scenarios of clusters, launchers, storage and hardware."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scenarios import Expected, clusters_launchers, clusters_slurm

SCENARIOS: dict[str, Callable[[Path], Expected]] = {
    story.__name__: story for story in (*clusters_slurm.ALL, *clusters_launchers.ALL)
}
