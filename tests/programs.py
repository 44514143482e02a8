"""The command line as a program of its own, and jobs for it to read."""

import signal
import subprocess
import sys
import time
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


def heeds_ctrl_c() -> None:
    """In a new process: what a shell starts in the background ignores Ctrl-C, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*arguments: str, **settings) -> subprocess.Popen[bytes]:
    """Start l4fast as a program of its own, which Ctrl-C reaches."""

    def usual() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-m", "l4fast", *arguments],
        preexec_fn=usual,
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings},
    )


def run(*arguments: str, **settings) -> tuple[int, bytes, bytes]:
    process = start(*arguments, **settings)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def interrupt(process: subprocess.Popen[bytes], after_s: float, number: int = signal.SIGINT) -> bool:
    """Press Ctrl-C (or send another signal) so long after the program began to heed it; False if it ended."""
    heeds = 1 << (
        signal.SIGALRM - 1
    )  # its handler is set beside the one of Ctrl-C, whose bit Python sets early
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        caught = next((x for x in status.read_text().splitlines() if x.startswith("SigCgt:")), "SigCgt: 0")
        if int(caught.split()[1], 16) & heeds:
            break
        time.sleep(0.01)
    time.sleep(after_s)
    if process.poll() is not None:
        return False
    process.send_signal(number)
    return True
