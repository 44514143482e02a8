"""Who may know whom: a file imports only from floors below its own, and siblings never import each other."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "l4fast"
KERNELS = ROOT / "kernels" / "l4fast_kernels"

# Lowest first. Files of one floor do not know each other.
HOUSE = (
    "regexes",
    "arrays colours failure_rows hostforms hostlists",
    "accuracy codecs collecting columns errors kept lines notation pairtable pathnames signals streamsums"
    " terminal typed words",
    "align arguments canonical names neighbours pathcounts targets",
    "durations pathhosts progress variables",
    "pathjoined",
    "paths",
    "buckets crossjob envelopes fold logformat signature source templates",
    "chunks database days discovery rule signature_file",
    "carriers loggers",
    "cascade layouts openlines overwriting signature_cache signature_learn",
    "library signature_pages",
    "rawshapes signature_check",
    "exemplars parameters voices",
    "parse table",
    "sheets",
    "pieces reader vocabularies",
    "job years",
    "bars durations_joined newest_first readings sums_joined",
    "heads rows_joined runs",
    "guessed joining samples",
    "diagnosis identities temporal topology",
    "addresses contested hostlabels labels machines marks namesakes novelty processes regular tasks",
    "jobscript reported",
    "relaunches",
    "answer caught checkpoints clocks exits launches retries slow spatial speakers survived unended",
    "events usual",
    "telling",
    "recovered stacks subjects",
    "candidates explain outcome verdict",
    "attempts collectives deaths numeric outlasted quarrels resume stages stops straggler",
    "absent",
    "victims",
    "culprit",
    "earlier",
    "diagnose",
    "advice",
    "wording",
    "stream",
    "batches",
    "write",
    "structured",
    "logparser",
    "loghub __init__",
    "commands signature_commands",
    "cli",
    "__main__",
)
# A tower beside the house: the diagnosis must not know how the simulator plants a fault.
SIMULATOR = (
    "simulate_job simulate_text simulate_truth",
    "simulate_groups",
    "simulate_physics",
    "simulate_book simulate_scene",
    "simulate_fault simulate_launch simulate_python simulate_scheduler",
    "simulate_nccl",
    "simulate_bulk simulate_cascade simulate_start",
    "simulate_hf simulate_machine simulate_megatron simulate_nemo simulate_network simulate_program"
    " simulate_storage simulate_titan",
    "simulate_faults_node",
    "simulate_faults",
    "simulate",
)
# Where somebody outside comes in, and so may know both.
DOORS = {"answer", "commands", "__init__"}

KERNEL_FLOORS = (
    "blocks cache native valuetypes",
    "vectors wrapper",
    "compiler",
    "jit",
    "alike codes counts distances order outlines quantities rows",
    "colours forms hashes segments",
    "lines names shapes times",
    "fields",
    "keeps places",
    "csvrows durations sums",
    "__init__",
)
KERNELS_MAY_IMPORT = {"numpy", "l4fast_kernels", "__future__", "collections", "typing"}
# What compiles kernels, keeps them on disk and loads them: each knows what its work takes.
MACHINERY_MAY_IMPORT = {
    "cache": {
        *("contextlib", "functools", "hashlib", "importlib", "llvmlite", "numpy", "os", "stat", "sys"),
        *("tempfile", "time", "warnings", "zlib"),
    },
    "native": {
        *("contextlib", "ctypes", "functools", "llvmlite", "numpy", "pickle", "struct", "sys", "threading"),
    },
    "vectors": {"inspect", "l4fast_kernels", "llvmlite", "numba"},
    "wrapper": {"l4fast_kernels", "llvmlite", "numba", "numpy"},
    "compiler": {"ctypes", "l4fast_kernels", "llvmlite", "numba", "pickle"},
    "jit": {"contextlib", "functools", "l4fast_kernels", "os", "threading"},
}


def floors(tower: tuple[str, ...]) -> dict[str, int]:
    return {name: number for number, names in enumerate(tower) for name in names.split()}


def imports(path: Path) -> set[str]:
    """Return the dotted names that a file imports anywhere in it, each as far as it names a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: a relative import hides what it imports"
            assert node.module is not None
            inside = node.module in ("l4fast", "l4fast_kernels")
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if inside else {node.module}
    return found


def neighbours(path: Path, package: str) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith(f"{package}.")}


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.py"))


def test_every_file_has_a_floor_and_every_floor_its_files():
    placed = [name for floor in (*HOUSE, *SIMULATOR) for name in floor.split()]
    assert sorted(placed) == [path.stem for path in files(PACKAGE)], (
        "put a new file on the floor where it belongs"
    )
    placed = [name for floor in KERNEL_FLOORS for name in floor.split()]
    assert sorted(placed) == [path.stem for path in files(KERNELS)], (
        "put a new file on the floor where it belongs"
    )


@pytest.mark.parametrize("path", files(PACKAGE), ids=lambda path: path.stem)
def test_a_file_imports_from_floors_below_its_own(path):
    house, simulator = floors(HOUSE), floors(SIMULATOR)
    name = path.stem
    for other in sorted(neighbours(path, "l4fast")):
        assert other in house or other in simulator, f"{name} imports l4fast.{other}, which does not exist"
        if name in simulator:
            below = other in ("errors", "regexes", "targets") or (
                other in simulator and simulator[other] < simulator[name]
            )
        elif other in simulator:
            below = name in DOORS
        else:
            below = house[other] < house[name]
        assert below, f"{name} imports {other}, which is not on a floor below it"


@pytest.mark.parametrize("path", files(KERNELS), ids=lambda path: path.stem)
def test_a_kernel_knows_arrays_only(path):
    kernels = floors(KERNEL_FLOORS)
    known = MACHINERY_MAY_IMPORT.get(path.stem, KERNELS_MAY_IMPORT)
    assert {name.split(".")[0] for name in imports(path)} <= known
    for other in neighbours(path, "l4fast_kernels"):
        assert kernels[other] < kernels[path.stem], f"{path.stem} imports {other}"


def test_colours_stand_at_the_doors_only():
    users = {path.stem for path in files(PACKAGE) if any(n.split(".")[0] == "rich" for n in imports(path))}
    assert users <= {"answer", "terminal"}


def test_tests_and_benchmarks_are_not_imported():
    for path in (*files(PACKAGE), *files(KERNELS)):
        roots = {name.split(".")[0] for name in imports(path)}
        assert not roots & {"pytest", "hypothesis", "tests", "naive", "bench", "tools"}, path.name


@pytest.mark.parametrize("arguments", [["--help"], ["diagnose", "--help"], ["--version"], ["diagnose"], []])
def test_help_and_usage_errors_wait_for_no_compiler(arguments):
    script = (
        "import sys; from l4fast.cli import main; main(sys.argv[1:]);"
        "heavy = {'numba', 'numpy', 'pyarrow', 'hyperscan', 'llvmlite', 'rich'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr
