"""How long a command waits before it works: from the interpreter to the answer of a small job.

    python bench/startup.py [--rounds 11] [--json FILE]

A small job (4 nodes of 8 ranks, one of whose GPUs falls off the bus) is simulated, and diagnosed once so that
kernels, failure library and byte code are cached. Then each stage is a process of its own, which begins
where the one above it does and goes further; all take turns. CPU seconds, user and system: median and
least of all rounds. Last, what a diagnosis costs
a process that has diagnosed before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from l4fast.simulate import simulate

GOAL, STRETCH = 1.0, 0.4
AGAIN = """
import io, contextlib, time
from l4fast.cli import main
def ask():
    with contextlib.redirect_stdout(io.StringIO()):
        main(["diagnose", {logs!r}])
ask()
begun = time.process_time()
ask()
print(time.process_time() - begun)
"""


def cpu_seconds(command: list[str]) -> float:
    """Run a command and return the CPU seconds that it took."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONHASHSEED": "0"})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 11):  # 11: leave the named node out
        raise SystemExit(f"{command} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def main() -> None:
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reader.add_argument("--rounds", type=int, default=11)
    reader.add_argument("--json", metavar="FILE")
    given = reader.parse_args()
    with tempfile.TemporaryDirectory() as place:
        simulate(place, nodes=4, ranks_per_node=8, iterations=100, fault="gpu-xid79", seed=0)
        logs = str(Path(place, "logs"))
        whole = [sys.executable, "-m", "l4fast", "diagnose", logs]
        stages = {
            "bare python": [sys.executable, "-c", "pass"],
            "and numpy, pyarrow": [sys.executable, "-c", "import numpy, pyarrow"],
            "and all of l4fast": [sys.executable, "-c", "import l4fast.commands, l4fast.stream, hyperscan"],
            "l4fast diagnose": whole,
        }
        cpu_seconds(whole)
        took: dict[str, list[float]] = {stage: [] for stage in stages}
        for _ in range(given.rounds):
            for stage, command in stages.items():
                took[stage].append(cpu_seconds(command))
        again = [sys.executable, "-c", AGAIN.format(logs=logs)]
        warm = float(subprocess.run(again, check=True, capture_output=True, text=True).stdout)
    print(f"{'CPU seconds':22} {'median':>8} {'least':>8} {'more':>8}")
    before = 0.0
    for stage, seconds in took.items():
        median = statistics.median(seconds)
        print(f"{stage:22} {median:8.3f} {min(seconds):8.3f} {median - before:8.3f}")
        before = median
    print(f"{'a second diagnosis':22} {warm:8.3f}")
    verdict = "reached" if before <= GOAL else "not reached"
    print(
        f"to reach {GOAL}: {verdict}; stretch {STRETCH}: {'reached' if before <= STRETCH else 'not reached'}"
    )
    if given.json:
        Path(given.json).write_text(
            json.dumps({"rounds": given.rounds, "cpu_s": took, "second": warm}, indent=1)
        )


if __name__ == "__main__":
    main()
