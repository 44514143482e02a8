"""The progress lines of common training programs: how far each says that it came, and what is no training."""

import pytest

from jobs import at, diagnosis, story, text

RAISED = (
    'Traceback (most recent call last):\n  File "train.py", line 10, in main\nRuntimeError: it is broken\n'
)


def said(form: str, numbers) -> str:
    return text(form.format(n) for n in numbers)


def last(lines: str) -> int | None:
    found = story({"a.log": lines + RAISED}).progress
    return found.last_completed


TENS = range(0, 31, 10)
EVERY = {
    "optimizer": ('{{"optimizer_step": {}, "micro_step": 8, "loss": 4.888, "lr": 2e-05}}', [40], 40),
    "update": ("epoch 0 | update {} | loss 4.7603 | ppl 8.40 | gnorm 0.318", [40], 40),
    "json update": ('{{"ts": 1.5, "update": {}, "micro_step": 8, "loss": 4.888}}', [40], 40),
    "it": ("22:06:01 | I | loop | it {}/5000 loss 4.941 8.02s/it", [40], 40),
    "timm": ("Train: 0 [{:>4d}/1251 ( 3%)]  Loss: 6.91 (6.92)  Time: 0.412s", range(0, 101, 50), 101),
    "meter": ("Training  [{:>5d}/38147]  eta: 2 days, 1:02:03  loss: 2.1", TENS, 31),
    "swin": ("Train: [0/300][{}/1251]\teta 1:02:03 lr 0.1\ttime 0.41 (0.4)\tloss 6.9 (6.9)", TENS, 31),
    "gnmt": ("0: TRAIN [0][{}/24195]\tTime 0.412 (0.431)\tTok/s 61012 (60011)", TENS, 31),
    "mmcv": ("Epoch [1][{}/9870]\tlr: 9.9e-04, eta: 16:20:45, time: 0.497, loss: 1.1", [50], 50),
    "mmengine": ("Epoch(train)  [3][{:>5d}/15169]  lr: 3.1e-04  eta: 14:34:43  time: 0.17", [900], 900),
    "mmcv iter": ("Iter [{}/160000]\tlr: 9.9e-03, eta: 1:20:45, time: 0.497, loss: 1.1", [50], 50),
    "detectron2": ("eta: 1 day, 2:00:01  iter: {}  total_loss: 1.912  time: 0.4123  lr: 0.01", [39], 40),
    "pyslowfast": ('json_stats: {{"_type": "train_iter", "epoch": "1/200", "iter": "{}/940"}}', [20], 20),
    "i-jepa": ("INFO:root:[1, {:>5d}] loss: 0.191 masks: 20.1 10.1 (410.1 ms)", TENS, 31),
    "dit": ("(step={:07d}) Train Loss: 0.1712, Train Steps/Sec: 3.12", [100], 100),
    "opennmt": ("Step {}/200000; acc: 10.1; ppl: 900.1; xent: 6.1; lr: 0.00001;   100 sec;", [50], 50),
    "marian": ("Ep. 1 : Up. {} : Sen. 64,012 : Cost 8.12 : Time 100.12s : 10012.12 words/s", [1000], 1000),
    "uer": ("|{:>9d}/ 1000000 steps| 12012.12 tokens/s| loss    7.12| acc: 0.101", [100], 100),
    "espnet": ("3epoch:train:1-{}batch: iter_time=0.001, loss=90.12, train_time=0.512", [300], 300),
    "wenet": ("TRAIN Batch 0/{} loss 90.12 lr 0.00001000 rank 0", range(0, 301, 100), 301),
    "dlrm": ("Finished training it {}/306969 of epoch 0, 41.12 ms/it, loss 0.141212", [1024], 1024),
    "fairseq of old": ("| epoch 001:    {0} / 5000 loss=12.1, num_updates={0}, lr=1e-05", [100], 100),
    "keras 3": ("{}/925 ━━━━━━━━━━━━━━━━━━━━ 10s 12ms/step - accuracy: 0.1 - loss: 2.1", range(1, 5), 4),
    "estimator": ("INFO:tensorflow:loss = 8.12, step = {} (12.345 sec)", [900], 900),
    "time history": ("TimeHistory: 30.12 seconds, 850 examples/second between steps 0 and {}", [200], 200),
    "clu": ("Setting work unit notes: 3.2 steps/s, 12.1% ({}/7400), ETA: 1h2m", [900], 900),
    "clu metrics": ("I0302 10:00:00.10 140 a.py:48] [{}] lr=0.001, loss=6.12", range(100, 401, 100), 400),
    "pax": ("[PAX STATUS] step_i: {}, training loss: 6.3512", [100], 100),
    "flax": ("Step... ({} | Loss: 6.12, Learning Rate: 0.0003)", [500], 500),
    "llama2.c": ("{} | loss 2.8663 | lr 3.110000e-04 | 167.23ms", range(4), 4),
    "nanotron": ("iteration: {} / 4000 | consumed_tokens: 1.05M | lm_loss: 10.1", [1], 1),
    "lightning": ("Epoch 18, global step {}: 'val/accuracy' was not in top 1", [20520], 20520),
    "areal": ("Epoch 2/10 Step 5/934 Train step {}/9340 done.", [939], 939),
    "both steps": ("Epoch: 3, Step: 20, Global step {}, Loss: 0.12, Step time: 512.12ms", [4020], 4020),
}  # fmt: skip


@pytest.mark.parametrize(("form", "numbers", "done"), EVERY.values(), ids=EVERY)
def test_the_last_iteration_of_a_programs_lines(form, numbers, done):
    assert last(said(form, numbers)) == done


NO_TRAINING = {
    "meter": "Test:   [{:>4d}/3907]  eta: 0:10:01  loss: 0.91 (0.95)  time: 0.4123  max mem: 8000",
    "captions": "Generate VQA test result:  [{:>4d}/3907]  eta: 0:10:01    time: 0.4123",
    "mmengine": "Epoch(val)   [1][{:>4d}/5000]    eta: 0:10:00  time: 0.05  data_time: 0.001",
    "detectron2": "Inference done {}/5000. Dataloading: 0.0010 s/iter. Eval: 0.0002 s/iter. ETA=0:03:00",
    "yolo": "  Class  Images  Instances  Box(P   R  mAP50  mAP50-95):  10%|#  | {}/157 [00:10<0:30, 1.5it/s]",
    "scan": "train: Scanning /data... 900 images, 0 corrupt:  10%|#  | {}/2000 [00:10<00:30, 90.5it/s]",
    "copy": "Copying shard 1:  10%|#    | {}/4000 [00:10<01:30,  990.91it/s]",
    "wenet": "CV Batch 0/{} loss 90.12 history loss 41.1 rank 0",
    "dlrm": "Finished testing it {}/3069 of epoch 0, 41.12 ms/it, loss 0.141212",
    "samples": "Train Epoch: 1 [{}/60000 (11%)] Loss: 0.412012",
    "micro": '{{"micro_step": {}, "accum": 8, "loss": 4.888}}',
    "update of an evaluation": '{{"update": {}, "eval_loss": 2.31}}',
    "sampler": '{{"num_steps": {}, "sampler": "ddim"}}',
    "warm-up": "warmup | update {} | loss 4.76",
    "evaluation": "eval | it {}/5000 loss 4.941 8.02s/it",
    "rich": "Validation ━━━━━━━━━━━━ {}/1400 0:03:32 • 0:00:00 12.43it/s",
}  # fmt: skip


@pytest.mark.parametrize("form", NO_TRAINING.values(), ids=NO_TRAINING)
def test_what_counts_no_iterations(form):
    assert last(said(form, range(100, 901, 100))) is None
    done = said("Epoch: [0][{:>5d}/10010]\tTime  0.412 ( 0.500)\tLoss 6.9 (6.9)", range(0, 31, 10))
    assert last(done + said(form, range(100, 901, 100))) == 31


@pytest.mark.parametrize(
    "line",
    ["INFO:root:Epoch {}", "Epoch {}/100, Loss: 2.31", "Train Epoch: {} [6400/60000 (11%)]\tLoss: 0.4"],
)
def test_lines_that_name_no_iteration_tell_that_it_trains(line):
    found = diagnosis({"a.log": said(line, range(1, 9))})
    assert (found.outcome, found.stage["name"]) == ("running", "iterate")
    assert found.iterations["last_completed"] is None


def test_the_end_of_an_epoch_is_no_end_of_the_training():
    lines = text(
        f"{at(k)} mmengine INFO Epoch(train)  [1][{n:>4d}/500]  lr: 3.1e-04  eta: 14:34:43  loss: 0.5"
        for k, n in enumerate(range(100, 501, 100))
    )
    killed = (
        "slurmstepd: error: *** STEP 7.0 ON node1 CANCELLED AT 2026-03-02T11:00:06 DUE TO NODE FAILURE ***"
    )
    assert diagnosis({"a.log": lines + killed + "\n"}).outcome == "failed"


def test_a_picture_drawn_during_the_training_is_no_training():
    steps = "Steps:  10%|#  | {}/4000 [01:10<10:30,  5.5s/it, lr=1e-5, step_loss=0.1]"
    inner = " 40%|####   | {}/50 [00:02<00:03, 10.1it/s]"
    assert last(said(steps, range(5)) + said(inner, range(51))) == 4


def test_an_epochs_loop_around_a_bar_without_a_name():
    outer = "Epoch:  33%|###   | {}/3 [01:10<10:30,  55.5s/it]"
    inner = " 40%|####   | {}/50 [00:02<00:03, 10.1it/s]"
    assert last(said(outer, range(2)) + said(inner, range(31))) == 30


@pytest.mark.parametrize(
    ("line", "hangs"),
    [
        ("the man has been hanging about the street all day", False),
        ("my blood was frozen by terror, for I felt convinced of it", False),
        ("process 3 hung for 600 s", True),
        ("the save seems to be stuck for 912.1 s", True),
    ],
)
def test_prose_does_not_hang(line, hangs):
    events = diagnosis({"a.log": said("iteration {}/ 100 | loss: 2.5 |", range(1, 5)) + line + "\n"}).events
    assert any(e["signature"] == "generic-hang" for e in events) == hangs
