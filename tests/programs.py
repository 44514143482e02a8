"""The command line as a program of its own, and jobs for it to read."""

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from l4fast.simulate import simulate


def make_jobs(folder: Path) -> SimpleNamespace:
    """A small job that failed, its healthy sister, and a big one."""
    small = {"nodes": 2, "ranks_per_node": 4, "iterations": 40}
    simulate(folder / "failed", fault="gpu-xid79", seed=1, **small)
    simulate(folder / "healthy", seed=2, **small)
    simulate(folder / "big", nodes=64, iterations=200, fault="hang", seed=3)
    return SimpleNamespace(
        failed=str(folder / "failed" / "logs"),
        healthy=str(folder / "healthy" / "logs"),
        big=str(folder / "big" / "logs"),
    )


def start(*arguments: str, **settings) -> subprocess.Popen[bytes]:
    """Start l4fast as a program of its own, which Ctrl-C reaches."""
    return subprocess.Popen(
        [sys.executable, "-m", "l4fast", *arguments],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings},
    )


def run(*arguments: str, **settings) -> tuple[int, bytes, bytes]:
    process = start(*arguments, **settings)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err
