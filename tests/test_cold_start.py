"""What a command waits for before it works: never the compiler, where kernels were compiled before."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from l4fast.simulate import simulate

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1" or os.environ.get("NUMBA_BOUNDSCHECK") == "1",
    reason="kernels are not compiled, or called by numba",
)

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import sys
from l4fast.cli import main
code = main(sys.argv[1:])
print(code, "numba" in sys.modules, file=sys.stderr)
"""
WARMED = """
import sys
from importlib import import_module
from l4fast.cli import main
from l4fast_kernels.jit import Kernel
assert main(["warmup"]) == 0
for name in sys.argv[1:]:
    module, _, function = name.rpartition(".")
    found = getattr(import_module(module), function)
    if isinstance(found, Kernel) and not found._forms:
        sys.exit(f"{name} is not compiled by `l4fast warmup`")
print("numba" in sys.modules)
"""


def run(*arguments: str | Path) -> tuple[int, bool]:
    """Return the exit code of a command in a program of its own, and whether it imported numba."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    code, with_numba = done.stderr.split()[-2:]
    return int(code), with_numba == "True"


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("job")
    simulate(folder, nodes=4, ranks_per_node=8, iterations=100, fault="gpu-xid79", seed=0)
    return folder / "logs"


def test_a_second_diagnosis_needs_no_compiler(logs):
    run("diagnose", logs)
    assert run("diagnose", logs) == (11, False)
    assert run("diagnose", "--workers", "2", logs) == (11, False)


def test_a_second_table_needs_no_compiler(logs, tmp_path):
    for expected in (None, (0, False)):
        done = run("parse", logs, "--params", "-o", tmp_path / f"{expected is None}.parquet")
        assert expected in (None, done)


def used() -> set[str]:
    """Return the dotted names of all that l4fast takes from the kernels, found without running it."""
    names = set()
    for path in (ROOT / "l4fast").glob("*.py"):
        tree = ast.parse(path.read_text())
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "l4fast_kernels":
                modules |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("l4fast_kernels."):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in modules
            ):
                names.add(f"{modules[node.value.id]}.{node.attr}")
    return names


def test_warmup_compiles_every_kernel_that_is_called():
    names = used()
    assert {"l4fast_kernels.shapes.scan", "l4fast_kernels.fields.read_numbers"} <= names
    # Called by a function of theirs, not by l4fast.
    names |= {
        "l4fast_kernels.counts.robust_scores",
        "l4fast_kernels.segments.change_points",
        "l4fast_kernels.segments.median_of",
    }
    command = [sys.executable, "-c", WARMED, *sorted(names)]
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.split()[-1] == "False"
