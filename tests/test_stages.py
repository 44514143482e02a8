"""In which stage a failure began."""

import pytest

from jobs import at, cry, diagnosis, steps, text

INIT = f"{at(0)} INFO > initializing torch distributed ...\n"
LOAD = f"{at(2)} INFO > building train, validation, and test datasets for GPT ...\n"
TRAIN = steps(range(1, 11), begin=5)
BOOM = cry(20, 0, "RuntimeError: boom")


def stage(*lines: str, **more: str) -> str:
    name: str = diagnosis({"a.log": "".join(lines)} | {f"{k}.log": v for k, v in more.items()}).stage["name"]
    return name


def traceback(*frames: str, error: str = "RuntimeError: boom") -> str:
    """A traceback of rank 0 through (file, function) frames, outermost first."""
    lines = ["Traceback (most recent call last):"]
    for frame in frames:
        file, _, function = frame.rpartition(":")
        lines += [f'  File "{file}", line 7, in {function}', f"    {function}()"]
    return text(f"[rank0]: {line}" for line in [*lines, error])


# ------------------------------------------------------------------ before the first iteration


def test_the_last_marker_before_the_error():
    assert stage(INIT, BOOM) == "init"
    assert stage(INIT, LOAD, BOOM) == "load"


def test_without_a_word_of_anything():
    assert stage(BOOM) == "init"


def test_a_marker_after_the_error_does_not_count():
    assert stage(INIT, cry(1, 0, "RuntimeError: boom"), LOAD) == "init"


def test_what_the_launcher_says_belongs_to_the_launch():
    assert (
        stage("srun: error: Task launch for StepId=77.0 failed on node nid0003: Unspecified error\n")
        == "launch"
    )


def test_a_message_glued_to_a_bar_came_while_it_was_drawn():
    bar = "Tokenizing texts (num_proc=4):   0%|          | 0/9000 [00:00<?, ? examples/s]"
    end = f"{bar}slurmstepd: error: *** JOB 77 ON n03 CANCELLED AT 2026-03-02T10:00:09 ***\n"
    assert stage(INIT, f"{at(1)} INFO ready\n", end) == stage(end) == "load"


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("/opt/torch/distributed/run.py:main", "launch"),
        ("/opt/train.py:init_process_group", "init"),
        ("/opt/megatron/training.py:initialize_megatron", "init"),
        ("/opt/torch/utils/data/dataloader.py:_next_data", "load"),
        ("/opt/data/set.py:__getitem__", "load"),
        ("/opt/megatron/checkpointing.py:load_checkpoint", "checkpoint"),
    ],
)
def test_the_stack_tells_what_was_being_done(frame, expected):
    assert stage(INIT, traceback("/opt/train.py:main", frame)) == expected


def test_what_a_module_imports_tells_nothing_of_what_was_being_done():
    lines = ["Traceback (most recent call last):"]
    for name in ("model", "checkpointing"):
        lines += [
            f'  File "/opt/{name}.py", line 3, in <module>',
            f"    from x.{name} import load_checkpoint",
        ]
    lines += [
        '  File "/opt/x/types.py", line 9, in <module>',
        "    ZERO = zeros(1).dtype",
        "RuntimeError: busy",
    ]
    assert stage(INIT, text(lines)) == "init"
    lines[-3] = lines[-3].replace("<module>", "load_checkpoint")
    assert stage(INIT, text(lines)) == "checkpoint"


@pytest.mark.parametrize(
    "line",
    [
        "  Downloading datasets-3.9.1-py3-none-any.whl.metadata (19 kB)",
        "Building wheel for datasets (pyproject.toml): started",
    ],
)
def test_the_package_datasets_is_no_data(line):
    assert stage(INIT, text([line]), BOOM) == "init"


def test_a_loader_that_has_no_more_gave_before():
    frames = ("/opt/training.py:train_step", "/opt/torch/utils/data/dataloader.py:_next_data")
    assert stage(INIT, traceback(*frames, error="StopIteration")) == "iterate"
    assert stage(INIT, traceback(*frames)) == "load"
    assert stage(INIT, traceback("/opt/training.py:main", frames[1], error="StopIteration")) == "load"


@pytest.mark.parametrize(("number", "expected"), [(8085827, "iterate"), (17, "init")])
def test_who_counts_millions_of_collectives_was_training(number, expected):
    waits = f"Watchdog caught collective operation timeout: WorkNCCL(SeqNum={number}, OpType=ALLREDUCE)"
    assert stage(INIT, f"[rank3]:[E302 10:30:00.018 ProcessGroupNCCL.cpp:6] [Rank 3] {waits}\n") == expected


def test_who_is_stopped_after_the_good_end_was_ending_though_no_iteration_is_told():
    done = f"[after training is done] datetime: {at(5)[:19]}\n"
    stop = "slurmstepd: error: *** STEP 7.2 ON n03 CANCELLED AT 2026-03-02T10:09:00 DUE TO TIME LIMIT ***\n"
    assert stage(done, stop) == "shutdown"
    assert stage(INIT, stop) == "init"


def test_a_load_that_did_not_end_is_a_checkpoint():
    loading = f"{at(3)} INFO  loading distributed checkpoint from /ckpt at iteration 50\n"
    assert stage(INIT, loading, BOOM) == "checkpoint"
    loaded = f"{at(4)} INFO  successfully loaded checkpoint from /ckpt at iteration 50\n"
    assert stage(INIT, loading, loaded, LOAD, BOOM) == "load"


def test_weights_of_a_pretrained_model_are_no_checkpoint():
    shards = "Loading checkpoint shards: 100%|##########| 4/4 [00:05<00:00,  1.31s/it]\n"
    assert stage(INIT, shards, BOOM) == "init"
    assert stage(shards, BOOM) == "init"


def test_a_first_step_that_did_not_end():
    frames = ("/opt/train.py:train", "/opt/transformers/models/llama/modeling_llama.py:forward")
    assert stage(INIT, traceback(*frames)) == "iterate"
    assert stage(INIT, traceback("/opt/train.py:setup_model", *frames[1:])) == "init"
    assert stage(INIT, traceback("/opt/trainer.py:evaluation_loop", *frames[1:])) == "evaluate"


def test_an_evaluation_of_a_job_that_prints_no_counter():
    evaluation = f"{at(15)} INFO ***** Running Evaluation *****\n"
    losses = "{'loss': 1.2, 'grad_norm': 1.0, 'epoch': 0.1}\n"
    assert stage(INIT, losses, evaluation, BOOM) == "evaluate"
    begun = f"{at(16)} INFO ***** Running training *****\n"
    assert stage(INIT, losses, evaluation, begun, BOOM) == "iterate"
    frames = ("/opt/trainer.py:evaluation_loop", "/opt/model.py:forward")
    assert stage(INIT, losses, traceback(*frames)) == "evaluate"


# ------------------------------------------------------------------ in training


def test_an_error_between_iterations():
    assert stage(INIT, LOAD, TRAIN, BOOM) == "iterate"


def test_a_data_error_in_training_belongs_to_training():
    assert (
        stage(TRAIN, traceback("/opt/train.py:main", "/opt/torch/utils/data/dataloader.py:_next_data"))
        == "iterate"
    )


def test_the_stack_of_a_save():
    frames = ("/opt/train.py:main", "/opt/megatron/checkpointing.py:save_checkpoint")
    assert (
        stage(TRAIN, traceback(*frames, error="OSError: [Errno 28] No space left on device")) == "checkpoint"
    )


def test_the_innermost_call_decides():
    frames = ("/opt/train.py:evaluate", "/opt/megatron/checkpointing.py:save_checkpoint")
    assert stage(TRAIN, traceback(*frames)) == "checkpoint"
    assert stage(TRAIN, traceback(*reversed(frames))) == "evaluate"


SAVING = f"{at(15)} INFO saving checkpoint at iteration 10 to /ckpt\n"
SAVED = f"{at(17)} INFO successfully saved checkpoint from iteration 10 to /ckpt\n"


def test_a_save_that_did_not_end():
    assert stage(TRAIN, SAVING, BOOM) == "checkpoint"
    assert stage(TRAIN, SAVING, SAVED, BOOM) == "iterate"
    assert stage(TRAIN, SAVING, SAVED, steps(range(11, 13), begin=18), BOOM) == "iterate"


def test_an_evaluation_that_did_not_end():
    evaluation = f"{at(15)} INFO ***** Running Evaluation *****\n"
    assert stage(TRAIN, evaluation, BOOM) == "evaluate"
    assert stage(TRAIN, evaluation, steps(range(11, 13), begin=16), BOOM) == "iterate"


def test_the_stack_of_another_rank_does_not_tell():
    # Rank 1 was saving long before, without an error; rank 0 fails.
    other = text(
        [
            "[rank1]: Traceback (most recent call last):",
            '[rank1]:   File "/opt/a.py", line 7, in save_checkpoint',
        ]
    )
    assert stage(TRAIN, other, BOOM) == "iterate"


def test_a_loss_that_is_no_number():
    assert stage(INIT, TRAIN, steps(range(11, 14), begin=15).replace("2.5", "nan")) == "iterate"


def test_a_job_that_stands_still():
    assert stage(INIT, TRAIN, f"{at(500)} INFO still here\n") == "iterate"


# ------------------------------------------------------------------ healthy


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([INIT], "init"),
        ([INIT, LOAD], "load"),
        ([INIT, LOAD, TRAIN], "iterate"),
        ([INIT, TRAIN, f"{at(20)} INFO ***** Running Evaluation *****\n"], "evaluate"),
        ([INIT, TRAIN, f"{at(20)} INFO Training completed\n"], "shutdown"),
    ],
    ids=["init", "load", "iterate", "evaluate", "shutdown"],
)
def test_the_last_stage_of_a_healthy_job(lines, expected):
    assert stage(*lines) == expected


def test_iterations_after_an_evaluation_are_iterations():
    evaluation = f"{at(15)} INFO ***** Running Evaluation *****\n"
    assert stage(INIT, TRAIN, evaluation, steps(range(11, 15), begin=16)) == "iterate"


def test_a_job_that_is_saving():
    assert stage(INIT, TRAIN, SAVING) == "checkpoint"


# ------------------------------------------------------------------ what bars, losses and good ends tell


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        ("Map (num_proc=8):  50%|#####     | 450/900 [00:01<00:01, 900.00 examples/s]", "load"),
        ("Loading weights:  50%|#####     | 150/300 [00:01<00:01, 210.12it/s]", "init"),
    ],
)
def test_a_job_that_failed_before_its_training_began(bar, expected):
    assert stage(text([bar]), BOOM) == expected


def test_losses_without_a_step_are_training():
    losses = text(f"{at(k)} {{'loss': 2.04, 'grad_norm': 1.1, 'epoch': 0.{k:02d}}}" for k in range(20))
    assert stage(INIT, losses, cry(30, 0, "RuntimeError: boom")) == "iterate"


def test_a_launcher_that_speaks_later_by_its_clock_does_not_hide_the_load():
    late = f"{at(3)} W run.py:793] Setting OMP_NUM_THREADS environment variable for each process to be 1\n"
    assert stage(INIT, LOAD, BOOM, b=late) == "load"


def test_a_file_of_a_checkpoint_that_is_missing():
    missing = "FileNotFoundError: [Errno 2] No such file or directory: '/o/checkpoint-400/trainer_state.json'"
    assert stage(INIT, f"{at(3)} INFO ***** Running training *****\n", cry(20, 0, missing)) == "checkpoint"


FINAL = f"{at(16)} INFO saving checkpoint at iteration 10 to /ckpt in torch_dist format\n"
SAVED = f"{at(17)} INFO successfully saved checkpoint from iteration 10 to /ckpt\n"
DONE = f"{at(18)} INFO [after training is done] datetime: 2026-03-02 10:00:18\n"


def test_what_fails_after_the_good_end_fails_in_the_shutdown():
    assert stage(INIT, LOAD, TRAIN, FINAL, SAVED, DONE, BOOM) == "shutdown"
    assert stage(INIT, LOAD, TRAIN, FINAL, SAVED, BOOM) == "iterate"


def test_a_slow_job_is_slow_in_its_iterations_though_its_last_line_is_a_save():
    slow = steps(range(1, 41), every=2.0) + steps(range(41, 81), begin=85, every=8.0)
    last = f"{at(400)} INFO saving checkpoint at iteration 80 to /ckpt in torch_dist format\n"
    found = diagnosis({"a.log": slow + last})
    assert (found.outcome, found.stage["name"]) == ("slow", "iterate")


def test_a_job_cancelled_at_the_first_bar_of_its_data_was_loading():
    bar = "Running tokenizer on dataset (num_proc=8):   0%|          | 0/2048 [00:00<?, ? examples/s]"
    stop = "slurmstepd: error: *** JOB 4711 ON gpu-1 CANCELLED AT 2026-03-02T10:05:00 ***\n"
    found = diagnosis({"console.log": f"{at(0)} INFO hello\n\r{bar}{stop}"})
    assert (found.cause["signature"], found.stage["name"]) == ("slurm-job-cancelled", "load")
    assert diagnosis({"console.log": f"{at(0)} INFO hello\n{stop}"}).stage["name"] == "launch"
