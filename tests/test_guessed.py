"""Counters of programs that nobody knows: three numbers, or one beside what only a training tells."""

import pytest
from l4fast.temporal import Progress

from jobs import at, cry, diagnosis, steps, story, text

BOOM = cry(60, 0, "RuntimeError: boom")


def progress(*lines: str) -> Progress:
    return story({"a.log": text(lines)}).progress


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("loss = 1.25, step = 700 (31.2 sec)", 700),
        ("step: 700, aux_loss: 3.5e-2, lm_loss: 2.25", 700),
        ("[step 700]  mask_loss=1.25 time=3.1", 700),
        ("step=700 lr=0.1 grad_norm=0.75", 700),
        ("step 700 | loss nan", 700),
        ("step 0 | loss 11.25", 1),
        ("iteration:  700/9000   7% | elapsed time: 01:10:02 | lr: 9.9E-06", 700),
        ("iteration: 700/700 | loss: 2.25", 700),
        ("Fine-tuning, samples: 64, step: 700, loss: 2.25", 700),
        ("Training: step 700", 700),
        ("[train] part: 1/1 step: 700, speed: 2.5 steps/s", 700),
        ("pretrain: iteration 700 timers (ms) | forward-compute: 1.5 | backward-compute: 6.5", 700),
    ],
)
def test_one_number_is_believed_beside_what_only_a_training_tells(line, last):
    found = progress(f"{at(1)} INFO {line}", f"{at(1)} INFO {line}")
    assert (found.last_completed, found.n_seen) == (last, 1)


@pytest.mark.parametrize(
    "line",
    [
        "step: 1000",
        "num_iterations: 5000",
        "lr_scheduler: {'step': 1000, 'loss_weight': 1.0}",
        "Namespace(aux_loss=0.01, step=1000, iteration=500)",
        "run settings: step=1000, loss=0.5",
        "step: 1000, micro_batch_size: 4, loss: 0.5",
        "step=1000 max_loss=0.5 clip_grad_norm=1.0",
        "step: 1000, loss_scale: 65536.0, loss: cross_entropy",
        "Step 3/12 : RUN make",
        "iteration 1000/1000",
        "epoch: 3/10 loss: 2.25",
        "Epoch 3, step: 12, loss: 2.25",
        "evaluation step: 12/400, loss: 2.25",
        "val step: 12, loss 2.25",
        "step: 12, val_loss 2.25",
        "Tokenizing, iteration: 12/4000",
        "Resuming from step: 1000, loss 2.25",
        "Start training from step 1000",
        "train_step = 1",
        "Training step: 1",
        "time (ms) | forward: 2.25 | backward: 6.25 | step: 18020.64",
        "backward: 6.25 step: 18 ms",
        "read at step: 12, speed: 2.5 samples/s",
    ],
)
def test_one_number_beside_other_words_is_none(line):
    assert progress(f"{at(1)} INFO {line}").series is None


def test_a_counter_that_went_on_before_needs_no_more_words_in_the_last_attempt():
    before = [f"{at(n)} INFO step {n} done" for n in range(1, 10)]
    after = [f"{at(90 + n)} INFO step {n} done" for n in (6, 7)]
    found = progress(*before, "SLURM_RESTART_COUNT=1", *after)
    assert (found.last_completed, found.n_seen) == (7, 2)


def test_a_counter_of_more_numbers_is_still_the_one_that_counts():
    line = f"{at(1)} INFO step 700, loss: 2.25\n"
    assert story({"a.log": line + steps(range(1, 6))}).progress.last_completed == 5


def test_what_each_step_takes_is_no_counter():
    lines = (f"{at(n)} INFO time (ms) | backward: 6.25 | step: {n}.64" for n in range(10, 30))
    assert progress(*lines).series is None


def test_a_counter_told_as_a_float_is_one():
    lines = (f"{at(n)} INFO values | step: {n}.0" for n in range(10, 30))
    assert progress(*lines).last_completed == 29


def test_a_failure_after_one_believed_number_began_while_it_iterated():
    found = diagnosis({"a.log": f"{at(1)} INFO loss = 1.25, step = 700 (31.2 sec)\n{BOOM}"})
    assert (found.outcome, found.stage["name"]) == ("failed", "iterate")
