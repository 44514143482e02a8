"""The simulator: what it claims is in its logs is there, on that line, and nothing else fails."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

import orjson
import pytest
from l4fast.discovery import discover
from l4fast.errors import NothingToRead, UsageError
from l4fast.simulate import FAULTS, MANY, STYLES, simulate
from l4fast.simulate_book import Sheet

from simulated import files_of, lines_of, two_styles_each

# What only a process that does not end leaves behind.
STUCK = r"Unable to shutdown|-9 |SIGKILL|JOB NOT ENDING|Killed|Last enqueued NCCL work"
LOST = r"status=12|error 12|Node failure|NODE FAILURE|NodeNotReady"
# Words one of which each root line must hold.
ROOT_WORDS = {
    "gpu-xid79": r"Xid .*: 79,|fallen off the bus|CUDA error",
    "ecc": r"Xid .*: (48|94),|uncorrectable ECC error",
    "nvlink": r"Xid .*: 74,|SXid|CUDA error",
    "gsp-timeout": rf"Xid .*: 119,|blocked for more than|{STUCK}",
    "illegal-access": r"illegal memory access|Xid .*: 31,",
    "hang": rf"{STUCK}|blocked for more",
    "loader-hang": rf"no batch for|{STUCK}",
    "gil-hang": r"watchdog got stuck|GIL",
    "sigkill": r"exitcode\s*: -9|SIGKILL|: Killed",
    "oom-kill": r"oom-killer|oom-kill:|Killed process|oom_kill event",
    "cuda-oom": r"CUDA out of memory",
    "segfault": r"Segmentation fault|segfault at|exitcode\s*: -11|SIGSEGV",
    "host-crash": LOST,
    "kernel-panic": rf"Kernel panic|Machine Check|hard LOCKUP|{LOST}",
    "nic-flap": r"Link DOWN|Cable error|status=12|error 12",
    "ib-retry": r"status=12|error 12",
    "switch-down": r"Link DOWN|status=12|error 12",
    "disk-full": r"No space left|unexpected pos|quota exceeded",
    "storage-stall": r"nfs: server|Lustre",
    "corrupt-checkpoint": r"failed finding central directory",
    "corrupt-shard": r"failed finding central directory|Ran out of input|Input/output error|I/O error",
    "missing-file": r"No such file or directory",
    "import-error": r"ModuleNotFoundError|ImportError",
    "version-skew": r"driver on your system is too old|Mismatched NCCL version",
    "rendezvous": r"No route to host|client socket has timed out",
    "port-in-use": r"Address already in use|EADDRINUSE|failed to listen",
    "config-error": r"AssertionError: world size|ValueError: global batch|size mismatch",
    "code-error": r"TypeError|AttributeError|IndexError",
    "user-exception": r"KeyError|UnicodeDecodeError|ValueError",
    "loader-killed": r"DataLoader worker",
    "nan": r"found NaN",
    "sdc": r"Unexpected result|unexpected result|persistent error|loss is nan|loss diverged",
    "preemption": r"PREEMPTION|Preempted",
    "time-limit": r"TIME LIMIT|DeadlineExceeded",
    "straggler": r"temperature is above threshold|(?:tokens|fetched|batches) in +\d{3,}\.?\d* ms",
    "slowdown": r"^never$",
    "checkpoint-stall": r"nfs: server",
}
# What only a failing job says: each such line must be in the truth.
CRIES = re.compile(
    r"^Traceback|: Traceback|exitcode\s*:|Watchdog caught|CANCELLED|closing signal|ChildFailedError|FAILED$"
    r"|status=12|error 12|NVRM: Xid|oom-kill|srun: error|Segmentation fault|terminate called|Link DOWN"
    r"|death signal|exit code 1$|not responding|Kernel panic|No route to host"
)


def test_every_fault_has_its_words():
    assert set(ROOT_WORDS) == set(FAULTS) and len(FAULTS) >= 25


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_where_the_truth_says(tmp_path, style, fault):
    for seed in (0, 1, 3):
        out = tmp_path / f"job{seed}"
        truth = simulate(
            out,
            style=style,
            nodes=4,
            ranks_per_node=2,
            iterations=16,
            fault=fault,
            seed=seed,
            culprits=2 if fault in MANY and seed == 1 else 1,
            kernel_logs=seed != 3,
        )

        assert truth.outcome == (
            "slow" if fault in ("straggler", "slowdown", "checkpoint-stall") else "failure"
        )
        assert truth.root_lines or truth.node_evidence != "explicit"
        for ref in truth.root_lines:
            assert re.search(ROOT_WORDS[fault], lines_of(out, ref.file)[ref.line - 1]), ref
        kinds = {(x.file, x.line): x.kind for x in truth.failure_lines}
        roots = [place for place, kind in kinds.items() if kind == "root"]
        assert [(x.file, x.line) for x in truth.root_lines] == roots
        assert set(kinds.values()) <= {"root", "consequence", "teardown"}
        assert len(kinds) == len(truth.failure_lines)
        context = {
            (part.file, line)
            for part in truth.context_lines
            for a, b in part.ranges
            for line in range(a, b + 1)
        }
        assert not context & set(kinds)
        for file in files_of(out):
            for number, line in enumerate(lines_of(out, file), 1):
                if CRIES.search(line):
                    assert (file, number) in kinds or (file, number) in context, (file, number, line)


@pytest.mark.parametrize("style", STYLES)
def test_a_healthy_job_fails_nowhere_and_ends(tmp_path, style):
    out = tmp_path / "job"
    truth = simulate(out, style=style, nodes=2, ranks_per_node=4, iterations=20)

    assert truth.outcome == "success" and truth.verdict == "none" and truth.last_durable_checkpoint == 20
    assert not (truth.failure_lines or truth.root_lines or truth.context_lines or truth.faulty_nodes)
    assert not truth.to_blame and truth.node_evidence == "none"
    text = "\n".join("\n".join(lines_of(out, file)) for file in files_of(out))
    assert not [line for line in text.split("\n") if CRIES.search(line)]
    assert re.search(r"successfully finished|exit code 0|Job completed", text)
    assert "0 errors" in text or "errors 0" in text


def test_every_rank_speaks_in_every_iteration(tmp_path):
    simulate(tmp_path / "job", style="megatron", nodes=13, ranks_per_node=8, iterations=12)

    for rank in (0, 9, 10, 99, 100, 103):
        (file,) = (tmp_path / "job/logs" / f"gpu-{rank // 8:03d}").glob(f"*/attempt_0/{rank % 8}/stdout.log")
        numbers = re.findall(rf"rank {rank} iteration (\d+) batch", file.read_text())
        assert [int(n) for n in numbers] == list(range(1, 13))


def test_a_label_is_padded_as_srun_pads_it(tmp_path):
    simulate(tmp_path / "job", style="titan", nodes=2, ranks_per_node=8, iterations=8)

    (file,) = files_of(tmp_path / "job")[1:]
    steps = [x for x in lines_of(tmp_path / "job", file) if " step: 5  loss" in x]
    assert sorted(line[:4] for line in steps) == sorted(f"{rank:>2}: " for rank in range(16))


@pytest.mark.parametrize("fault", ["sigkill", "cuda-oom", "hang", "import-error", "nic-flap", "time-limit"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_srun_tells_the_end_of_a_task_at_most_once(tmp_path, fault, seed):
    truth = simulate(
        tmp_path / "job", style="nemo", nodes=4, ranks_per_node=4, iterations=12, fault=fault, seed=seed
    )

    text = (tmp_path / "job/logs" / truth.failure_lines[-1].file).read_text()
    ended = []
    for tasks in re.findall(r"^srun: error: cn\d+: tasks? ([\d,-]+): ", text, re.MULTILINE):
        for part in tasks.split(","):
            first, _, last = part.partition("-")
            ended += range(int(first), int(last or first) + 1)
    assert sorted(ended) == list(range(16))


def test_a_truth_file_says_what_is_returned(tmp_path):
    truth = simulate(tmp_path / "job", style="hf", nodes=2, iterations=12, fault="sigkill")

    written = orjson.loads((tmp_path / "job/truth.json").read_bytes())
    assert written == orjson.loads(orjson.dumps(truth))
    assert written["node_evidence"] == "explicit" and written["ranks"] == 16


def digest(folder: Path) -> str:
    state = hashlib.sha256()
    for file in files_of(folder):
        state.update(file.encode() + (folder / "logs" / file).read_bytes())
    return state.hexdigest() + (folder / "truth.json").read_text()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fault", ["gpu-xid79", "switch-down", "straggler"])
def test_a_seed_determines_every_byte(tmp_path, style, fault):
    jobs = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        simulate(tmp_path / name, style=style, nodes=3, iterations=12, fault=fault, seed=seed)
        jobs.append(digest(tmp_path / name))

    assert jobs[0] == jobs[1] != jobs[2]


def test_seeds_differ_in_words(tmp_path):
    told = set()
    for seed in range(12):
        truth = simulate(
            tmp_path / str(seed), style="hf", nodes=3, ranks_per_node=2, iterations=8, fault="hang", seed=seed
        )
        text = "\n".join(lines_of(tmp_path / str(seed), "train.log"))
        words = r"detected by watchdog at work:|watchdog at work sequence id|\[E ProcessGroupNCCL"
        told |= set(re.findall(words, text))
        assert truth.to_blame
    assert len(told) == 3


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(UsageError, match="not an empty folder"):
        simulate(tmp_path, nodes=2, iterations=8)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_taken(tmp_path):
    simulate(tmp_path, nodes=2, iterations=8)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "truth.json"]


@pytest.mark.parametrize("way", ["a link", "where one stands"])
def test_an_empty_folder_stays_what_it_is(tmp_path, monkeypatch, way):
    folder = tmp_path / "empty"
    folder.mkdir(mode=0o711)
    (tmp_path / "link").symlink_to("empty")
    before = folder.stat()
    monkeypatch.chdir(folder)

    simulate(tmp_path / "link" if way == "a link" else ".", nodes=2, iterations=8)

    assert sorted(path.name for path in Path(".").iterdir()) == ["logs", "truth.json"]
    after = folder.stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert (tmp_path / "link").is_symlink()


def test_where_nothing_can_be_written_is_told_by_its_name(tmp_path):
    for out in ("/proc/job", f"{tmp_path}/file/job"):
        (tmp_path / "file").touch()
        with pytest.raises(
            UsageError, match=rf"^{out} cannot be written \([^)]+\): name another folder$"
        ) as told:
            simulate(out, nodes=2, iterations=8)
        assert told.value.path == out


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    calls = []
    write = Sheet.write

    def write_then_stop(sheet, items):
        write(sheet, items)
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["l4fast.simulate_book"].Sheet, "write", write_then_stop)
    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "job", nodes=2, iterations=8)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong",
    [
        {"style": "no"},
        {"fault": "no"},
        {"nodes": 0},
        {"nodes": 1, "ranks_per_node": 1},
        {"ranks_per_node": 11},
        {"iterations": 7},
        {"clock_skew_s": -1.0},
        {"culprits": 2},
        {"culprits": 2, "fault": "preemption"},
        {"culprits": 16, "fault": "ecc"},
        {"culprits": 0, "fault": "ecc"},
        {"seed": -1},
    ],
)
def test_what_cannot_be_asked_is_refused(tmp_path, wrong):
    with pytest.raises(UsageError):
        simulate(tmp_path / "job", **wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("fault", "style"), two_styles_each(FAULTS))
def test_the_smallest_jobs_can_fail_too(tmp_path, style, fault):
    for name, nodes, per_node in (("one", 1, 2), ("two", 2, 1)):
        truth = simulate(
            tmp_path / name, style=style, nodes=nodes, ranks_per_node=per_node, iterations=8, fault=fault
        )
        assert truth.outcome in ("failure", "slow") and truth.ranks == 2


def test_the_truth_is_no_log(tmp_path: Path) -> None:
    simulate(str(tmp_path / "job"), nodes=2, iterations=8, fault="sigkill", seed=3)
    found = discover(str(tmp_path / "job"))
    assert found.skipped == {"simulator's truth": 1}
    assert not any(s.name.endswith("truth.json") for s in found.streams)
    with pytest.raises(NothingToRead, match="give the folder `logs`"):
        discover(str(tmp_path / "job" / "truth.json"))
