"""The simulator's truth is told of what is left in the logs: iterations, checkpoints, who can be told."""

from __future__ import annotations

import re

import pytest
from l4fast.simulate import FAULTS, MANY, STYLES, simulate

from simulated import files_of, found, lines_of, text_of, two_styles_each

PROGRESS = {
    "megatron": r"iteration +(\d+)/|rank \d+ iteration (\d+) batch",
    "hf": r"\| (\d+)/\d+ \[",
    "nemo": r"global_step: (\d+)",
    "titan": r" - step: (\d+)  loss",
    "k8s": r" - step: (\d+)  loss",
}
BATCH = re.compile(r"(?:tokens in|fetched in|batches in) +(\d+)")
COMMIT = {
    "megatron": r"successfully saved checkpoint from iteration +(\d+)",
    "nemo": r"Async checkpoint save for step (\d+) .*finalized",
    "hf": r"Saving model checkpoint to .*checkpoint-(\d+)",
}


def last_told(folder, style) -> int | None:
    """The highest iteration that any line reports as done."""
    pattern = PROGRESS[style]
    if style == "megatron":
        numbers = found(folder, pattern.split("|")[0]) + found(folder, pattern.split("|")[1])
    else:
        numbers = [number + (style == "nemo") for number in found(folder, pattern)]
    return max(numbers, default=None)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_the_last_iteration_and_checkpoint_are_those_in_the_logs(tmp_path, style, fault):
    for seed in (5, 6):
        out = tmp_path / str(seed)
        truth = simulate(out, style=style, nodes=3, ranks_per_node=2, iterations=100, fault=fault, seed=seed)

        last = last_told(out, style)
        assert truth.last_iteration == last
        if style in COMMIT:
            saved = found(out, COMMIT[style])
            if style == "hf" and "Training completed" not in text_of(out):
                saved = [at for at in saved if at < (last or 0)]
            assert truth.last_durable_checkpoint == max(saved, default=None)
        assert (truth.last_accepted_checkpoint or 0) >= (truth.last_durable_checkpoint or 0)
        if truth.outcome == "failure" and last:
            # The lost tail of the node that reports, and steps that were not due to be printed.
            assert 0 <= truth.first_abnormal_iteration - last <= truth.log_every + 2


def test_an_asynchronous_save_is_accepted_before_it_is_durable(tmp_path):
    truth = simulate(tmp_path / "job", style="nemo", nodes=3, iterations=40, fault="disk-full")

    assert truth.last_accepted_checkpoint == truth.last_iteration
    assert truth.last_durable_checkpoint == truth.last_iteration - 10


@pytest.mark.parametrize(("fault", "style"), two_styles_each([fault for fault in FAULTS if fault in MANY]))
def test_as_many_nodes_are_to_blame_as_are_asked_for(tmp_path, style, fault):
    truth = simulate(
        tmp_path / "job",
        style=style,
        nodes=9,
        ranks_per_node=2,
        iterations=8,
        fault=fault,
        culprits=3,
        seed=2,
    )

    assert truth.to_blame and len(set(truth.faulty_nodes)) == 3
    if fault not in ("port-in-use",):
        assert {f"{rank // 2:03d}" for rank in truth.faulty_ranks} == {x[-3:] for x in truth.faulty_nodes}


@pytest.mark.parametrize("fault", ["gsp-timeout", "switch-down", "straggler", "kernel-panic"])
def test_without_kernel_logs_less_can_be_told(tmp_path, fault):
    ranks = {"explicit": 2, "inferable": 1, "none": 0}
    told = []
    for kernel_logs in (True, False):
        out = tmp_path / str(kernel_logs)
        truth = simulate(
            out,
            style="megatron",
            nodes=8,
            ranks_per_node=4,
            iterations=100,
            fault=fault,
            kernel_logs=kernel_logs,
        )
        told.append(ranks[truth.node_evidence])
        assert any(file.startswith("kernel/") for file in files_of(out)) is kernel_logs
        assert truth.kernel_logs is kernel_logs
    assert told[0] == 2 and told[1] <= told[0]


@pytest.mark.parametrize(("fault", "style"), two_styles_each(FAULTS))
def test_explicit_means_that_a_root_line_names_each_faulty_node(tmp_path, style, fault):
    for seed in (1, 2):
        out = tmp_path / str(seed)
        truth = simulate(out, style=style, nodes=5, ranks_per_node=2, iterations=12, fault=fault, seed=seed)
        if truth.node_evidence != "explicit":
            continue
        text = "\n".join(f"{x.file}: {lines_of(out, x.file)[x.line - 1]}" for x in truth.root_lines)
        for host in truth.faulty_nodes:
            node = int(host[-3:])
            ranks = (2 * node, 2 * node + 1)
            signs = (host, f"10.20.0.{node + 2}<", *(f"ank{gap}{r}" for r in ranks for gap in ("", " ")))
            signs += (*(f".out: {r}: " for r in ranks), "(pid: ")
            assert any(sign in text for sign in signs), (host, text)


@pytest.mark.parametrize("style", ["megatron", "hf", "nemo"])
def test_a_straggler_s_batches_are_slow_from_the_iteration_of_the_truth(tmp_path, style):
    out = tmp_path / "job"
    truth = simulate(out, style=style, nodes=4, ranks_per_node=2, iterations=40, fault="straggler", seed=3)

    assert truth.outcome == "slow"
    took = found(out, r" (?:tokens|documents into \d+ tokens) in +(\d+)\.") + found(
        out, r"fetched in +(\d+)\."
    )
    slow = sum(1 for ms in took if ms >= 500)
    last = truth.last_iteration
    assert slow == 2 * (last - truth.first_abnormal_iteration + 1)


@pytest.mark.parametrize("kernel_logs", [True, False])
def test_the_first_slow_batch_of_each_slow_rank_shows_it_and_no_other_batch_does(tmp_path, kernel_logs):
    for style in STYLES:
        out = tmp_path / style
        truth = simulate(
            out,
            style=style,
            nodes=4,
            ranks_per_node=2,
            iterations=40,
            fault="straggler",
            seed=3,
            kernel_logs=kernel_logs,
        )
        slow = {
            (file, n)
            for file in files_of(out)
            for n, line in enumerate(lines_of(out, file), start=1)
            if (match := BATCH.search(line)) and int(match[1]) >= 500
        }
        shown = {(x.file, x.line): x.kind for x in truth.failure_lines if (x.file, x.line) in slow}
        later = {(c.file, n) for c in truth.context_lines for a, b in c.ranges for n in range(a, b + 1)}
        assert slow == shown.keys() | later and not shown.keys() & later
        # A Trainer's console does not tell who speaks: a slow batch there names nobody.
        assert len(shown) == (0 if style == "hf" else 2)
        assert set(shown.values()) <= {"consequence" if kernel_logs else "root"}
        assert truth.node_evidence == (
            "explicit" if kernel_logs else "none" if style == "hf" else "inferable"
        )


@pytest.mark.parametrize("style", STYLES)
def test_a_stall_at_saves_is_seen_twice(tmp_path, style):
    for seed in range(4):
        truth = simulate(
            tmp_path / str(seed), style=style, nodes=2, iterations=80, fault="checkpoint-stall", seed=seed
        )
        assert truth.first_abnormal_iteration == 40
        assert truth.first_abnormal_iteration + 20 < truth.last_iteration


def test_a_slow_job_s_steps_take_longer_from_the_iteration_of_the_truth(tmp_path):
    out = tmp_path / "job"
    truth = simulate(out, style="nemo", nodes=2, ranks_per_node=2, iterations=60, fault="slowdown", seed=4)

    steps = found(out, r"global_step: (\d+)")
    times = [float(x) for x in text_of(out).split("train_step_timing in s: ")[1:] for x in [x.split()[0]]]
    by_step = dict(zip(steps, times, strict=True))
    first = truth.first_abnormal_iteration
    assert max(t for s, t in by_step.items() if 1 < s + 1 < first) < 3.5
    assert min(t for s, t in by_step.items() if s + 1 >= first) > 4.5
