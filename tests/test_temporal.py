"""When: the iteration counter and what it counts, attempts, stages."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.job import NONE, Iterations, Reached
from l4fast.temporal import Progress, iterations_before

from jobs import at, cry, diagnosis, micros, steps, story, text


def progress(files) -> Progress:
    return story(files if isinstance(files, dict) else {"a.log": files}).progress


def said(form: str, numbers, *, every: float = 1.0) -> str:
    return text(f"{at(k * every)} INFO {form.format(n)}" for k, n in enumerate(numbers))


def mllog(pairs) -> str:
    head = ':::MLLOG {"namespace": "", "time_ms": %d, "event_type": "POINT_IN_TIME", '
    return text(
        head % (1_772_445_600_000 + 1000 * k)
        + f'"key": "{key}", "value": {value}, "metadata": {{"file": "a.py", "lineno": 1{more}}}}}'
        for k, (key, value, more) in enumerate(pairs)
    )


# ------------------------------------------------------------------ the counter


def test_the_counter_of_a_known_line():
    found = progress(steps(range(1, 11)))
    assert (found.first, found.last_completed, found.total, found.median_s) == (1, 10, 100, 1.0)
    assert (found.first_time, found.last_time) == (micros(0), micros(9))


def test_nothing_counts():
    found = progress("hello\nworld\n")
    assert (found.series, found.last_completed, found.total, found.median_s) == (None, None, None, None)


@pytest.mark.parametrize(
    ("numbers", "last"),
    [
        (range(1, 11), 10),
        (range(10), 10),
        (range(10, 101, 10), 100),
        (range(9, 100, 10), 100),
        (range(0, 100, 10), 91),
        (range(51, 61), 60),
        (range(60, 101, 10), 100),
        pytest.param(
            range(59, 100, 10),
            100,
            marks=pytest.mark.xfail(strict=True, reason="a resumed 0-based counter with an interval"),
        ),
    ],
    ids=str,
)
def test_the_last_iteration_that_was_done(numbers, last):
    assert progress(steps(numbers)).last_completed == last


@pytest.mark.xfail(strict=True, reason="the loaded checkpoint is not asked where a resumed counter began")
def test_a_counter_that_goes_on_with_the_number_of_the_checkpoint_begins_at_0():
    loaded = f"{at(0)} INFO  successfully loaded checkpoint from /ckpt at iteration 50\n"
    assert progress(loaded + steps(range(50, 60), begin=1)).last_completed == 60
    assert progress(loaded + steps(range(51, 61), begin=1)).last_completed == 60


@pytest.mark.parametrize(
    "form",
    [
        "finished step {} in 3.1 s",
        "step: {}  loss:  8.1234  grad_norm:  1.0  memory: 30.1GiB(38.2%)",
        "step={}, skipped=0, lr=[0.0003], mom=[(0.9, 0.95)]",
        "Epoch: [0][ {}/5005]\tTime  0.412 ( 0.500)\tLoss 6.9e+00",
        "iter {}: loss 4.1, time 12.30ms",
        "num_updates={}, lr=1e-05",
        pytest.param(
            "Round {} complete",
            marks=pytest.mark.xfail(strict=True, reason="only words that a signature knows can count"),
        ),
    ],
)
def test_a_counter_of_any_program(form):
    assert progress(said(form, range(1, 12))).last_completed == 11


@pytest.mark.parametrize(("numbers", "last"), [([0], None), ([0, 5, 10, 15, 20], 20), ([5, 10], 10)])
def test_the_step_0_of_deepspeed_is_told_before_the_training(numbers, last):
    form = "[Rank 0] step={}, skipped=0, lr=[0.0, 0.0], mom=[(0.9, 0.95), (0.9, 0.95)]"
    assert progress(said(form, numbers)).last_completed == last


def _table(begin: float, every: float) -> str:
    return text(f"{at(begin + every * k)} INFO Step {k}:   7F2  9F1" for k in range(1, 41))


def test_a_table_of_steps_written_at_once_is_no_progress():
    assert progress(_table(5.005, 0)).series is None
    assert progress(_table(5.005, 0.5)).last_completed == 40
    assert progress(_table(5, 0)).last_completed == 40  # within a second, for all that its times tell
    assert progress(steps(range(1, 4)) + _table(5.005, 0)).last_completed == 3
    untimed = text(f"step {k} in 0.1 s" for k in range(1, 41))
    assert progress(f"{at(0.005)} INFO begin\n{untimed}").last_completed == 40


def test_a_number_that_does_not_count_is_no_counter():
    assert progress(said("listening on port {}", [29500] * 8)).series is None
    assert progress(said("shard of {} rows", [7, 3, 9, 1, 12, 2])).series is None


def test_the_trainings_counter_beats_an_evaluations_bar_and_a_loading_bar():
    loading = text(
        f"Loading checkpoint shards: {i * 10}%|# | {i}/10 [00:01<00:02, 1.00s/it]" for i in range(11)
    )
    evaluation = text(
        f"{at(20 + i / 10)} INFO Evaluating:  {i}%|# | {i}/1000 [00:01<00:02, 10it/s]" for i in range(60)
    )
    found = progress(loading + steps(range(1, 11)) + evaluation)
    assert (found.last_completed, found.total) == (10, 100)


def test_a_bar_that_is_drawn_over_counts_every_segment():
    bar = "\r".join(f" {i}%|# | {i}/100 [00:{i:02d}<01:00, 1.00s/it]" for i in range(21)) + "\n"
    found = progress(bar)
    assert (found.last_completed, found.total) == (20, 100)  # a bar shows 0 before anything is done


@pytest.mark.parametrize(("rate", "last"), [("512.07it/s", None), ("4.00it/s", 40), (" 2.00s/it", 40)])
def test_a_bar_without_a_name_that_rushes_is_no_training(rate, last):
    bar = "\r".join(f"{k:3d}%|#   | {k}/40 [00:00<00:00, {rate}]" for k in (10, 25, 40)) + "\n"
    assert progress(bar).last_completed == last
    assert progress(bar).median_s == (None if last is None else pytest.approx(0.25 if "it/" in rate else 2))
    assert progress("Epoch " + bar.replace("\r", "\rEpoch ")).last_completed == 40


def test_a_bar_to_which_a_log_line_is_glued_goes_on_counting():
    bar = text(
        f" {i}%|# | {i}/100 [00:{i:02d}<01:00, 1.00s/it]{{'loss': 2.1, 'epoch': 0.1}}" for i in range(21)
    )
    assert progress(bar).last_completed == 20


def test_the_last_state_of_a_bar_counts_though_a_warning_is_glued_to_it():
    bar = "\r".join(
        f"Epoch 0: :  2%|# | {i}/300 [1:0{i // 10}:{i % 10}0<8:12:01, loss=2.0]" for i in range(21)
    )
    warning = "node3:1189:1199 [0] transport/net_ib.cc:2453 NCCL WARN NET/IB: Got completion from peer"
    warned = f"{bar}[2026-01-19 23:45:04] {warning} 172.20.3.36<35732> with status=12 opcode=32600 len=9\n"
    assert progress(warned).last_completed == 20


def test_the_highest_that_any_rank_reports():
    found = progress({"a.log": steps(range(1, 11)), "b.log": steps(range(1, 13), begin=0.2)})
    assert found.last_completed == 12


def test_a_value_that_is_no_number_does_not_end_the_count():
    found = progress(steps(range(1, 6)) + steps(range(6, 9), begin=5).replace("2.5", "nan"))
    assert found.last_completed == 8


@given(st.integers(0, 3), st.sampled_from([1, 2, 5, 10]), st.integers(4, 12))
def test_the_unit_does_not_matter_for_a_counter_of_iterations(first, step, n):
    numbers = [step * (k + 1 + first) for k in range(n)]
    assert progress(steps(numbers, total=1000)).last_completed == numbers[-1]


def test_a_program_whose_first_step_is_0_began_there_when_it_was_resumed_too():
    form = "completed step: {}, seconds: 5.669, TFLOP/s/device: 134.8, loss: 11.1"
    assert progress(said(form, range(11))).last_completed == 11
    assert progress(said(form, range(201, 211))).last_completed == 211


# ------------------------------------------------------------------ bars


def bars(numbers, total: int, name: str = "", rate: str = "1.00s/it", behind: str = "") -> str:
    return text(
        f"{name}{100 * n // total:3d}%|{'#' * (10 * n // total):<10}| {n}/{total}"
        f" [00:{n % 60:02d}<10:00, {rate}]{behind}"
        for n in numbers
    )


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("Running tokenizer on dataset (num_proc=512): ", "3760.11 examples/s"),
        ("Map (num_proc=8): ", "900.00 examples/s"),
        ("Filter: ", "1.1it/s"),
        ("Resolving data files: ", "5120.22it/s"),
        ("Grouping texts in chunks of 1024: ", "9.10ba/s"),
        ("Packing train dataset: ", "9.10it/s"),
        ("Loading checkpoint shards: ", "2.61s/it"),
        ("Capturing CUDA graphs (decode, FULL): ", "2.61it/s"),
        ("Evaluating: ", "2.61it/s"),
        ("Validation DataLoader 0: ", "2.61it/s"),
        ("Processed prompts: ", "2.61it/s"),
        ("", "15.1s/ examples"),
        ("model-00001-of-00004.safetensors: ", "49.1MB/s"),
    ],
)
@pytest.mark.parametrize("behind", ["", "W0605 10:00:01.000000 70 torch/distributed/run.py:793] hello"])
def test_a_bar_of_something_else_is_never_the_counter(name, rate, behind):
    other = bars(range(0, 9001, 90), 9000, name, rate, behind)
    assert progress(other).series is None
    assert progress(other + bars(range(13), 37500)).last_completed == 12


@pytest.mark.parametrize("name", ["", "Training: ", "Epoch 0: ", "Train step of epoch 0: ", "Pretraining "])
def test_a_bar_of_the_training_counts(name):
    found = progress(bars(range(13), 37500, name))
    assert (found.last_completed, found.total, found.median_s) == (12, 37500, 1.0)


def test_an_evaluation_with_the_same_bar_is_inside_the_trainings():
    before, within = bars(range(101), 1000), bars(range(401), 500, rate="20.1it/s")
    assert progress(before + within).last_completed == 100
    found = progress(before + within + bars(range(100, 131), 1000))
    assert (found.last_completed, found.total) == (130, 1000)


def test_a_bar_that_ended_before_the_trainings_began_is_not_around_it():
    assert progress(bars(range(21), 20) + bars(range(51), 1000)).last_completed == 50
    assert progress(bars([0], 20) + bars(range(51), 1000)).last_completed == 50


@pytest.mark.parametrize(("ends", "last"), [(True, None), (False, 5)])
def test_a_bar_that_another_process_tore_off_its_name_is_no_training(ends, last):
    """Three hosts load a model through one pipe."""
    whole = "".join(f"{r}: " + bars([n], 7, "Loading checkpoint shards: ") for n in range(5) for r in (0, 2))
    torn = "1: Loading checkpoint shards:\n0: " + bars([5], 7) + "2: " + bars([5], 7)
    rest = "0: " + bars([7], 7, "Loading checkpoint shards: ") if ends else "model is ready\n"
    assert progress(whole + torn + rest).last_completed == last


@pytest.mark.parametrize("first", [0, 1])
def test_epochs_are_added_up(first):
    epochs = "".join(bars(range(51 if k < 2 else 31), 50, f"Epoch {first + k}: ") for k in range(3))
    found = progress(epochs)
    assert (found.last_completed, found.total, found.went_back) == (130, None, 0)
    assert progress(bars(range(31), 50, f"Epoch {first}: ")).total == 50


def test_a_resumed_epoch_comes_after_those_before_it():
    assert progress(bars(range(31), 50, "Epoch 4: ")).last_completed == 230


def test_a_line_with_an_epoch_names_the_iteration_of_all_epochs():
    form = "{{ Epoch:[{:3d}/  3], step:[{:5d}/  100], loss: {}, per_step_time: 512ms }}"
    lines = text(form.format(e, n, 8.1) for e in (1, 2) for n in range(10, 101, 10))
    lines += form.format(3, 10, "nan") + "\n" + form.format(3, 20, "nan") + "\n"
    found = diagnosis({"a.log": lines})
    assert found.iterations["last_completed"] == 220
    assert found.iterations["first_abnormal"] == 210


def test_thousands_and_millions_of_a_bar_in_log_lines():
    counts = ["5.00it", "95.0it", "995it", "1.00kit", "2.01kit", "12.3kit"]
    lines = text(
        f"{at(k)} INFO Progress on:train {n}/{total} rate:4.2s/it remaining:2:10:01 elapsed:00:11 postfix:-"
        for k, (n, total) in enumerate((n, "25.0kit") for n in counts)
    )
    found = progress(lines)
    assert (found.last_completed, found.total, found.median_s) == (12300, 25000, 4.2)


@pytest.mark.parametrize(
    ("line", "last", "total"),
    [
        (
            "{{'loss': 1.2, 'epoch': 0.01, 'global_step/max_steps': '{}/3200', 'percentage': '0.16%'}}",
            11,
            3200,
        ),
        ("{{'loss': 1.2, 'grad_norm': 1.1, 'iteration': '{}/3200', 'elapsed_time': '41s'}}", 11, 3200),
        ("1|{}|Loss: 1.0059:  59%|##        | 59/100 [00:59<01:00,  1.10s/it]", 11, None),
        ("Epoch 1 | iter 44 step {} | loss train: 10.123, val: n/a | iter time: 310.12 ms", 11, None),
        ("Epoch 1: :   1%|   | {}/300000 [1:02<9:12:01, v_num=q, global_step=58.0]", 11, 300000),
    ],
)
def test_a_counter_of_a_trainer(line, last, total):
    found = progress(text(line.format(n) for n in range(1, 12)))
    assert (found.last_completed, found.total) == (last, total)


# ------------------------------------------------------------------ lines without a number


def losses(n: int, *, begin: float = 0.0, every: float = 11.0) -> str:
    form = "{} {{'loss': 2.0439, 'grad_norm': 1.05, 'learning_rate': 1e-05, 'epoch': {:.2f}}}"
    return text(form.format(at(begin + every * k), k / 100) for k in range(n))


def test_losses_without_a_step_tell_when_the_training_was_and_nothing_more():
    found = progress(losses(200))
    assert (found.series, found.last_completed, found.total, found.median_s) == (None, None, None, None)
    assert (found.n_untold, found.every_s) == (200, 11.0)
    assert (found.first_time, found.last_time) == (micros(0), micros(199 * 11))


@pytest.mark.parametrize(("silence", "outcome"), [(30.0, "running"), (3000.0, "hung")])
def test_losses_without_a_step_have_a_rhythm(silence, outcome):
    lines = losses(200) + f"{at(199 * 11 + silence)} INFO still here\n"
    found = diagnosis({"a.log": lines})
    assert (found.outcome, found.stage["name"]) == (outcome, "iterate")


def test_an_attempt_has_only_its_own_losses():
    again = losses(10, begin=3000.0)
    restart = f"{at(2500)} INFO [default] Worker group FAILED. 2/3 attempts left; will restart worker group\n"
    found = progress(losses(200) + restart + again)
    assert found.last_time == micros(3000 + 9 * 11)
    assert progress(losses(200) + restart + "loading\nloaded\nbuilt\nready\n").n_untold == 0


# ------------------------------------------------------------------ seconds and units


def test_the_line_itself_tells_how_long_an_iteration_took():
    lines = said("iteration {}/ 100 | elapsed time per iteration (ms): 2500.0 | loss: 2.5 |", range(1, 8))
    assert progress(lines).median_s == 2.5


def test_the_clock_tells_where_the_line_does_not():
    assert progress(steps(range(10, 101, 10), every=20.0)).median_s == 2.0
    assert progress(text(f"iteration {n}/ 100 | loss: 2.5 |" for n in range(1, 9))).median_s is None


OPENCLIP = (
    "Train Epoch: 0 [{:>8}/4096000 (1%)] Data (t): 0.31 Batch (t): 0.650, 3150.7/s, 394/s/gpu LR: 0.000005 "
    "Loss: 7.9 (8.1)"
)


@pytest.mark.parametrize(
    ("samples", "last", "total"),
    [
        ([2048], 1, 2000),
        ([2048, 206848, 411648], 201, 2000),
        ([0, 640, 1280], 1281, 4096000),  # before the first batch: what a batch is cannot be told
    ],
)
def test_openclip_counts_samples(samples, last, total):
    found = progress(said(OPENCLIP, samples, every=65.0))
    assert (found.last_completed, found.total) == (last, total)


def test_samples_are_counted_in_batches():
    losses = [("train_loss", "2.5", f', "samples_count": {16 * n}') for n in range(1, 9)]
    found = progress(mllog([("global_batch_size", "16", ""), *losses]))
    assert (found.last_completed, found.unit) == (8, 16)
    assert progress(mllog(losses)).last_completed == 128  # no batch size: samples are all that is known


def test_tokens_are_counted_in_batches_of_sequences():
    losses = [("train_loss", "2.5", f', "samples_count": {16 * 64 * n}') for n in range(1, 9)]
    head = [("global_batch_size", "16", ""), ("max_sequence_length", "64", "")]
    assert progress(mllog([*head, *losses])).last_completed == 8


# ------------------------------------------------------------------ attempts


RESTART = f"{at(20)} INFO [default] Worker group FAILED. 2/3 attempts left; will restart worker group\n"
RESTARTED = steps(range(1, 11)) + cry(12, 0, "RuntimeError: boom") + RESTART + steps(range(6, 9), begin=30)


def test_a_restart_counts_what_the_last_attempt_has_done():
    found = story({"a.log": RESTARTED})
    assert found.progress.last_completed == 8
    assert [(a["attempt"], a["last_iteration"]) for a in found.attempts] == [(0, 10), (1, 8)]
    assert (found.outcome, found.verdict.events) == ("running", [])


def test_the_last_attempts_counter_begins_with_the_attempt():
    assert progress(RESTARTED).first_time == micros(30)


def test_an_announced_restart_that_nothing_follows_is_no_attempt():
    found = story({"a.log": RESTARTED.partition(RESTART)[0] + RESTART})
    assert len(found.attempts) == 1
    assert found.outcome == "failed"


def looped(ahead: float, n: int, *, announces: bool = True) -> str:
    """A node of a fast restart loop: each attempt fails after 4 s, the next one begins 4 s later."""
    lines = []
    for k in range(3):
        if k and announces:
            lines.append(
                f"{at(8 * k + ahead)} INFO [default] Worker group FAILED. will restart worker group\n"
            )
        lines.append(f"{at(8 * k + 2 + ahead)} INFO loading\n{at(8 * k + 3 + ahead)} INFO loaded\n")
        lines.append(cry(8 * k + 4 + ahead, n, f"RuntimeError: boom of attempt {'abc'[k]}"))
    return "".join(lines)


def booms(found) -> dict[str, int]:
    told = {e.template.text: len(e.rows) for e in found.evidence.events}
    return {text[-1]: n for text, n in told.items() if "boom" in text}


@pytest.mark.parametrize("ahead", [0.0, 10.0])
@pytest.mark.parametrize("first", [True, False])
def test_each_node_tells_itself_where_its_last_attempt_begins(ahead, first):
    files = {"n0.log": looped(ahead, 0), "n1.log": looped(0.0, 1), "n2.log": looped(0.0, 2)}
    files["n3.log"] = looped(0.0, 3, announces=False)  # its clock is the others'
    found = story(files if first else dict(reversed(files.items())))
    assert booms(found) == {"c": 4}


def test_a_node_that_was_not_started_again_has_no_part_in_the_last_attempt():
    gone = "".join(looped(0.0, 1).splitlines(keepends=True)[:7])
    found = story({"n0.log": looped(0.0, 0), "n1.log": gone})
    assert booms(found) == {"c": 1}


TREE = {
    f"logs/r/attempt_{k}/0/stderr.log": steps(range(1 + 5 * k, 11 + 5 * k), begin=100 * k) for k in range(3)
}


def test_folders_tell_attempts():
    found = story(TREE)
    assert [a["attempt"] for a in found.attempts] == [0, 1, 2]
    assert found.progress.last_completed == 20
    assert found.progress.first == 11


def test_each_attempt_knows_its_own_last_iteration():
    assert [a["last_iteration"] for a in story(TREE).attempts] == [10, 15, 20]


def test_the_last_attempt_of_a_tree_has_a_first_time():
    assert story(TREE).attempts[-1]["first_time"] == "2026-03-02T10:03:20.000000"


def test_an_error_of_an_earlier_attempt_is_not_this_ones():
    files = dict(TREE)
    files["logs/r/attempt_0/0/stderr.log"] += cry(12, 0, "ValueError: of long ago")
    files["logs/r/attempt_2/0/stderr.log"] += cry(215, 0, "RuntimeError: of now")
    assert [e.template.text for e in story(files).verdict.events] == ["RuntimeError: of now"]


# ------------------------------------------------------------------ stages


def test_the_stages_of_a_run():
    lines = text(
        [
            f"{at(0)} INFO MASTER_ADDR=node-0",
            f"{at(5)} INFO > initializing torch distributed ...",
            f"{at(10)} INFO > building train, validation, and test datasets for GPT ...",
        ]
    )
    lines += steps(range(1, 6), begin=20)
    lines += f"{at(25)} INFO saving checkpoint at iteration 5 to /ckpt\n"
    lines += f"{at(27)} INFO successfully saved checkpoint from iteration 5 to /ckpt\n"
    lines += steps(range(6, 11), begin=30)
    lines += f"{at(40)} INFO [after training is done] datetime: 2026-03-02 10:00:40\n"
    found = diagnosis({"a.log": lines})
    assert [(s["stage"], s["first_iteration"], s["last_iteration"]) for s in found.stage["segments"]] == [
        ("launch", None, None),
        ("init", None, None),
        ("load", None, None),
        ("iterate", 1, 5),
        ("checkpoint", None, None),
        ("iterate", 6, 10),
        ("shutdown", None, None),
    ]
    times = [(s["start"], s["end"]) for s in found.stage["segments"]]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(times))
    assert (found.outcome, found.stage["name"]) == ("finished", "shutdown")


def test_a_communicator_that_is_made_late_does_not_end_the_training():
    late = f"{at(3)} INFO > initializing torch distributed ...\n"
    found = diagnosis({"a.log": steps(range(1, 4)) + late + steps(range(4, 8), begin=4)})
    assert [s["stage"] for s in found.stage["segments"]] == ["iterate"]


# ------------------------------------------------------------------ hung


@pytest.mark.parametrize(
    ("every", "silence", "outcome"),
    [
        (1.0, 300.0, "hung"),
        (1.0, 2.0, "running"),
        (60.0, 100.0, "running"),
        (60.0, 1500.0, "hung"),
    ],
)
def test_no_progress_for_long(every, silence, outcome):
    lines = steps(range(1, 41), every=every) + f"{at(39 * every + silence)} INFO still here\n"
    assert story({"a.log": lines}).outcome == outcome


@pytest.mark.parametrize(("silence", "outcome"), [(500.0, "running"), (3000.0, "hung")])
def test_who_reports_seldom_may_be_silent_longer(silence, outcome):
    lines = steps(range(200, 4001, 200), every=400.0, total=9000)
    lines += f"{at(19 * 400 + silence)} INFO still here\n"
    found = story({"a.log": lines})
    assert (found.outcome, found.progress.rhythm_s) == (outcome, 400.0)


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        ("  successfully saved checkpoint from iteration 40 to /ck", "running"),
        ("***** Running Evaluation *****", "running"),
        ("still here", "hung"),
    ],
)
def test_a_save_or_an_evaluation_after_the_last_report_is_no_silence(says, outcome):
    lines = steps(range(1, 41)) + f"{at(299)} INFO {says}\n{at(310)} INFO still here\n"
    assert story({"a.log": lines}).outcome == outcome


@pytest.mark.parametrize(("saved", "last"), [(87, 87), (80, 80), (90, 80), (1087, 80)])
def test_what_was_saved_before_the_next_report_was_done(saved, last):
    save = f"{at(85)} INFO   successfully saved checkpoint from iteration {saved} to /ck\n"
    assert progress(steps(range(10, 81, 10), every=10) + save).last_completed == last


# ------------------------------------------------------------------ lines between iterations

reported = st.dictionaries(
    st.integers(1, 40), st.tuples(st.integers(0, 2), st.integers(1, 60), st.integers(-1, 30)), max_size=12
)
asked = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60), st.integers(-1, 30)), max_size=8)


reaching = st.dictionaries(st.integers(0, 3), st.tuples(st.integers(1, 40), st.integers(-1, 30)))


def naive_before(told, reached, stream, line, time):
    same = [n for n, (s, at_line, _) in told.items() if s == stream and at_line < line]
    highest, when = reached.get(stream, (0, -1))
    if highest in told and when >= 0 and told[highest][2] >= 0 and time >= 0:
        time += min(told[highest][2] - when, 0)
    earlier = [n for n, (_, _, when) in told.items() if -1 < when <= time]
    return max(same or earlier, default=-1)


@given(reported, reaching, asked, st.integers(0, 1))
def test_the_iterations_before_lines_are_those_of_the_naive_search(told, reached, lines, offset):
    def clock(seconds):
        return [NONE if t < 0 else t for t in seconds]

    def columns(kind, n):
        return {name: np.zeros(n, np.int64) for name in kind.__dataclass_fields__}

    numbers = sorted(told)
    n = len(numbers)
    its, far = columns(Iterations, n), columns(Reached, len(reached))
    its["iteration"] = np.array(numbers, np.int32)
    for k, name in enumerate(("first_stream", "first_line")):
        its[name] = np.array([told[i][k] for i in numbers], np.int64)
    its["first_time"] = np.array(clock(told[i][2] for i in numbers), np.int64)
    far["speaker"] = np.array(list(reached), np.int64)
    far["highest"] = np.array([highest for highest, _ in reached.values()], np.int64)
    far["time"] = np.array(clock(when for _, when in reached.values()), np.int64)
    read = SimpleNamespace(
        iterations=Iterations(**its),
        reached=Reached(**far),
        streams=range(4),
        speakers=[SimpleNamespace(stream=k) for k in range(4)],
    )
    progress = Progress(0 if n else None, 1, 1, None, None, NONE, NONE, offset, n)
    stream, line = (np.array([each[k] for each in lines], np.int64) for k in range(2))
    time = np.array(clock(each[2] for each in lines), np.int64)
    want = [naive_before(told, reached, *each) for each in lines]
    want = [number + offset if number >= 0 else -1 for number in want]
    assert iterations_before(read, progress, stream, line, time).tolist() == want


@pytest.mark.parametrize(
    ("form", "last", "total"),
    [
        ("Training epoch 0, iteration {0}/99 | global_step: {0} | reduced_train_loss: 9.1", 10, 100),
        ("Training epoch 0, iteration {1}/99 | global_step: {0} | reduced_train_loss: 9.1", 10, 99),
        ("iteration {0}/ 9 | loss: 2.5 |", 10, 10),
        ("iteration {0}/ 10 | loss: 2.5 |", 10, 10),
        ("iteration {0}/ 99 | loss: 2.5 |", 10, 99),
    ],
)
def test_a_total_that_is_the_last_number_of_a_counter_from_0_is_one_more(form, last, total):
    lines = text(f"{at(k)} INFO {form.format(k, k + 1)}" for k in range(10))
    found = progress(lines)
    assert (found.last_completed, found.total) == (last, total)


@pytest.mark.parametrize(("last", "total"), [(39, 200), (70, None)])
def test_a_total_that_another_line_tells_every_tenth_iteration(last, total):
    """A counter that was left behind is another's."""
    rare = {k: f"{at(k + 0.5)} INFO iteration {k:8}/     200 | lm loss: 2.5 |" for k in range(10, 40, 10)}
    lines = [
        line
        for k in range(1, last + 1)
        for line in (
            f"{at(k)} INFO gpt_dataset: rank 3 iteration {k} batch of 4044 tokens in 47.8 ms",
            rare.get(k),
        )
        if line
    ]
    found = progress(text(lines))
    assert (found.last_completed, found.total) == (last, total)
