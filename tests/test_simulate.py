"""The simulator: what it claims is in its logs is there, on that line, and nothing else fails."""

from __future__ import annotations

import hashlib
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.errors import UsageError
from l4fast.simulate import FAULTS, STYLES, simulate
from l4fast.simulate_book import Notes, write_file
from l4fast.simulate_text import blank_padded, compile_line, fill, hex_text, put_number, stamps

# Words one of which each root line must hold.
ROOT_WORDS = {
    "gpu-xid79": r"Xid .*: 79,|fallen off the bus|CUDA error",
    "ecc": r"Xid .*: 48,|uncorrectable ECC error",
    "hang": r"Unable to shutdown|-9 |SIGKILL|DUE TO JOB NOT ENDING|Killed|Last enqueued NCCL work",
    "sigkill": r"exitcode\s*: -9|SIGKILL|: Killed",
    "oom-kill": r"oom-killer|oom-kill:|Killed process|oom_kill event",
    "cuda-oom": r"CUDA out of memory",
    "segfault": r"Segmentation fault|segfault at|exitcode\s*: -11|SIGSEGV",
    "host-crash": r"status=12|Node failure|NODE FAILURE|NodeNotReady",
    "disk-full": r"No space left|unexpected pos",
    "nan": r"found NaN",
    "import-error": r"ModuleNotFoundError|ImportError",
    "config-error": r"AssertionError: world size",
    "user-exception": r"KeyError",
    "preemption": r"PREEMPTION|Preempted",
    "time-limit": r"TIME LIMIT|DeadlineExceeded",
    "corrupt-checkpoint": r"failed finding central directory",
    "port-in-use": r"Address already in use|EADDRINUSE|failed to listen",
    "nic-flap": r"Link DOWN|status=12",
}
# What only a failing job says: each such line must be in the truth.
CRIES = re.compile(
    r"^Traceback|: Traceback|exitcode\s*:|Watchdog caught|CANCELLED|closing signal|ChildFailedError|FAILED$"
    r"|status=12|NVRM: Xid|oom-kill|srun: error|Segmentation fault|terminate called|Link DOWN|death signal"
    r"|exit code 1$"
)
PROGRESS = {
    "megatron": r"\] iteration +(\d+)/",
    "hf": r"\| (\d+)/\d+ \[",
    "nemo": r"global_step: (\d+)",
    "titan": r" - step: (\d+)  loss",
    "k8s": r" - step: (\d+)  loss",
}
COMMIT = {
    "megatron": r"successfully saved checkpoint from iteration +(\d+)",
    "nemo": r"Async checkpoint save for step (\d+) .*finalized",
    "hf": r"Model weights saved in .*checkpoint-(\d+)/",
}


def lines_of(folder: Path, file: str) -> list[str]:
    return (folder / "logs" / file).read_bytes().decode().split("\n")


def files_of(folder: Path) -> list[str]:
    logs = folder / "logs"
    return sorted(str(path.relative_to(logs)) for path in logs.rglob("*") if path.is_file())


def found(folder: Path, pattern: str) -> list[int]:
    """The numbers that ``pattern`` finds in all lines of all logs."""
    text = "\n".join("\n".join(lines_of(folder, file)) for file in files_of(folder))
    return [int(number) for number in re.findall(pattern, text)]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", [0, 3])
def test_a_planted_fault_is_where_the_truth_says(tmp_path, style, fault, seed):
    out = tmp_path / "job"
    truth = simulate(out, style=style, nodes=3, ranks_per_node=2, iterations=12, fault=fault, seed=seed)

    assert truth.outcome == "failure" and truth.root_lines
    for ref in truth.root_lines:
        assert re.search(ROOT_WORDS[fault], lines_of(out, ref.file)[ref.line - 1]), ref
    kinds = {(x.file, x.line): x.kind for x in truth.failure_lines}
    assert [(x.file, x.line) for x in truth.root_lines] == [k for k, kind in kinds.items() if kind == "root"]
    assert set(kinds.values()) <= {"root", "consequence", "teardown"}
    assert len(kinds) == len(truth.failure_lines)
    context = {
        (part.file, line) for part in truth.context_lines for a, b in part.ranges for line in range(a, b + 1)
    }
    assert not context & set(kinds)
    for file in files_of(out):
        for number, line in enumerate(lines_of(out, file), 1):
            if CRIES.search(line):
                assert (file, number) in kinds or (file, number) in context, (file, number, line)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_the_last_iteration_and_checkpoint_are_those_in_the_logs(tmp_path, style, fault):
    out = tmp_path / "job"
    truth = simulate(out, style=style, nodes=2, ranks_per_node=2, iterations=40, fault=fault, seed=5)

    steps = found(out, PROGRESS[style])
    last = max(steps, default=-1 if style == "nemo" else 0) + (style == "nemo")
    assert (truth.last_iteration or 0) == last
    if style in COMMIT:
        saved = [at for at in found(out, COMMIT[style]) if style != "hf" or at < last or fault is None]
        assert truth.last_durable_checkpoint == max(saved, default=None)
    assert (truth.last_accepted_checkpoint or 0) >= (truth.last_durable_checkpoint or 0)
    if truth.faulty_nodes and truth.faulty_ranks:
        assert all(f"{r // 2:03d}" == truth.faulty_nodes[0][-3:] for r in truth.faulty_ranks)


def test_an_asynchronous_save_is_accepted_before_it_is_durable(tmp_path):
    truth = simulate(tmp_path / "job", style="nemo", nodes=2, iterations=40, fault="disk-full")

    assert truth.last_accepted_checkpoint == truth.last_iteration
    assert truth.last_durable_checkpoint == truth.last_iteration - 10


@pytest.mark.parametrize("style", STYLES)
def test_a_healthy_job_fails_nowhere_and_ends(tmp_path, style):
    out = tmp_path / "job"
    truth = simulate(out, style=style, nodes=2, ranks_per_node=4, iterations=20)

    assert truth.outcome == "success" and truth.verdict == "none" and truth.last_durable_checkpoint == 20
    assert not (truth.failure_lines or truth.root_lines or truth.context_lines or truth.faulty_nodes)
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


def test_the_dead_host_says_nothing_more(tmp_path):
    truth = simulate(tmp_path / "job", style="megatron", nodes=4, iterations=12, fault="host-crash")

    own = [x for x in truth.failure_lines if truth.faulty_nodes[0] in x.file]
    assert not own and truth.node_evidence == "inferable"
    assert len({x.file for x in truth.failure_lines if x.file.startswith("console.")}) == 3


def test_victims_wait_for_the_watchdog(tmp_path):
    truth = simulate(tmp_path / "job", style="titan", nodes=3, iterations=12, fault="hang", clock_skew_s=0)

    silent = truth.faulty_ranks[0]
    text = (tmp_path / "job/logs" / truth.failure_lines[0].file).read_text()
    seen = {int(x) for x in re.findall(r"\[rank(\d+)\]:\[E", text)}
    assert seen >= set(range(24)) - {silent}
    caught = {int(x) for x in re.findall(r"\] \[Rank (\d+)\] Watchdog caught", text)}
    assert caught and silent not in caught
    step = re.findall(r"\[titan\] 2026-05-07 (\d+):(\d+):(\d+),\d+ - root - INFO - step: ", text)[-1]
    cry = re.findall(r"\[E507 (\d+):(\d+):(\d+)", text)[0]
    a, b = (3600 * int(h) + 60 * int(m) + int(s) for h, m, s in (step, cry))
    assert 599 <= b - a <= 606


@pytest.mark.parametrize("fault", ["sigkill", "cuda-oom", "hang", "import-error", "nic-flap", "time-limit"])
def test_srun_tells_the_end_of_each_task_once(tmp_path, fault):
    truth = simulate(tmp_path / "job", style="nemo", nodes=4, ranks_per_node=4, iterations=12, fault=fault)

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
def test_a_seed_determines_every_byte(tmp_path, style):
    jobs = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        simulate(tmp_path / name, style=style, nodes=2, iterations=12, fault="gpu-xid79", seed=seed)
        jobs.append(digest(tmp_path / name))

    assert jobs[0] == jobs[1] != jobs[2]


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(UsageError, match="not an empty folder"):
        simulate(tmp_path, nodes=2, iterations=8)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_taken(tmp_path):
    simulate(tmp_path, nodes=2, iterations=8)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "truth.json"]


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    calls = []

    def write_then_stop(*arguments):
        write_file(*arguments)
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["l4fast.simulate"], "write_file", write_then_stop)
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
    ],
)
def test_what_cannot_be_asked_is_refused(tmp_path, wrong):
    with pytest.raises(UsageError):
        simulate(tmp_path / "job", **wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_smallest_jobs_can_fail_too(tmp_path, style, fault):
    for name, nodes, per_node in (("one", 1, 2), ("two", 2, 1)):
        truth = simulate(
            tmp_path / name, style=style, nodes=nodes, ranks_per_node=per_node, iterations=8, fault=fault
        )
        assert truth.outcome == "failure" and truth.ranks == 2


def test_a_line_glued_onto_a_progress_bar_is_one_line(tmp_path):
    notes = Notes()
    items = [
        (3.0, b"frame\n  frame\n", "context"),
        (1.0, b" 5%|bar", None),
        (2.0, b"it failed\n", "root"),
        (0.0, b"all is well\nand so on\n", None),
        (4.0, b"killed\n", "teardown"),
    ]

    write_file(tmp_path, "x/y.log", items, notes)

    text = (tmp_path / "x/y.log").read_text()
    assert text == "all is well\nand so on\n 5%|barit failed\nframe\n  frame\nkilled\n"
    assert [(x.line, x.kind) for x in notes.failures] == [(3, "root"), (6, "teardown")]
    assert notes.context[0].ranges == ((4, 5),)


@given(st.lists(st.integers(0, 10**7 - 1), min_size=1), st.integers(7, 9))
def test_numbers_are_written_as_python_writes_them(numbers, width):
    values = np.array(numbers)
    rows = np.zeros((values.size, width), np.uint8)

    put_number(rows, values)

    assert [bytes(row).decode() for row in rows] == [f"{n:0{width}d}" for n in numbers]
    assert [bytes(row).decode() for row in blank_padded(values, width)] == [f"{n:{width}d}" for n in numbers]
    assert [bytes(row).decode() for row in hex_text(values, width)] == [f"{n:0{width}x}" for n in numbers]


@given(st.lists(st.integers(0, 4 * 10**15), min_size=1, max_size=20))
def test_stamps_are_what_datetime_says(micros):
    micros = [min(micros) + m % (50 * 86_400 * 10**6) for m in micros]
    rows = stamps(np.array(micros) * 1000, digits=6, point=".")

    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    expected = [f"{epoch + timedelta(microseconds=m):%Y-%m-%d %H:%M:%S.%f}" for m in micros]
    assert [bytes(row).decode() for row in rows] == expected


def test_holes_are_filled_and_random_ones_keep_their_range():
    line = compile_line("rank {rank} took {r:10-19} ms at 0x{hex:4}\n", {"rank": 2})

    rows = fill(line, 3, {"rank": np.array([7, 10, 99])}, np.random.default_rng(0))

    texts = [bytes(row).decode() for row in rows]
    assert [text[5:7] for text in texts] == ["07", "10", "99"]
    assert all(re.fullmatch(r"rank \d\d took 1\d ms at 0x[0-9a-f]{4}\n", text) for text in texts)
