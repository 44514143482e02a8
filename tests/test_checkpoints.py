"""Which checkpoint can be resumed from: begun, accepted, durable, loaded."""

import pytest
from l4fast.checkpoints import Checkpoints

from jobs import at, diagnosis, steps, story


def say(seconds: float, words: str) -> str:
    return f"{at(seconds)} INFO {words}\n"


def trace(*lines: str) -> Checkpoints:
    return story({"a.log": "".join(lines)}).checkpoint


def megatron_begin(seconds: float, n: int) -> str:
    return say(seconds, f"saving checkpoint at iteration {n} to /ckpt in torch_dist format")


def megatron_done(seconds: float, n: int) -> str:
    return say(seconds, f"  successfully saved checkpoint from iteration {n} to /ckpt [ t 1/2, p 1/1 ]")


def hf(seconds: float, n: int) -> str:
    return say(seconds, f"Saving model checkpoint to /out/checkpoint-{n}")


TRAIN = [steps(range(1, 11)), steps(range(11, 21), begin=20), steps(range(21, 31), begin=40)]


def test_no_checkpoint():
    found = trace(TRAIN[0])
    assert (found.last_durable, found.last_accepted, found.open_save, found.path) == (None, None, None, None)


# ------------------------------------------------------------------ a commit line


def test_a_commit_line_makes_it_durable():
    found = trace(TRAIN[0], megatron_begin(10, 10), megatron_done(12, 10), TRAIN[1])
    assert (found.last_durable, found.last_accepted, found.open_save) == (10, 10, None)
    assert found.path == "/ckpt"


def test_a_save_that_has_begun_is_not_durable_before_its_commit():
    found = trace(TRAIN[0], megatron_begin(10, 10), megatron_done(12, 10), TRAIN[1], megatron_begin(31, 20))
    assert (found.last_durable, found.open_save) == (10, 20)


def test_the_first_save_that_never_ended():
    found = trace(TRAIN[0], megatron_begin(10, 10))
    assert (found.last_durable, found.open_save) == (None, 10)


@pytest.mark.xfail(
    strict=True, reason="any saver without a commit line so far is taken for a synchronous one"
)
def test_the_first_save_of_a_framework_that_says_its_commits_is_no_synchronous_one():
    # The begin line tells the framework: its saves end with a line of their own.
    assert trace(TRAIN[0], megatron_begin(10, 10), TRAIN[1]).last_durable is None


def test_the_newest_commit_counts_not_the_last_line():
    found = trace(TRAIN[0], TRAIN[1], megatron_done(40, 20), megatron_done(41, 10))
    assert found.last_durable == 20


def test_an_open_save_that_is_older_than_the_counter_did_return():
    found = trace(TRAIN[0], megatron_begin(10, 10), TRAIN[1])
    assert found.open_save is None


# ------------------------------------------------------------------ asynchronous


def test_a_promise_is_not_the_disk():
    found = trace(
        TRAIN[0],
        megatron_begin(10, 10),
        megatron_done(12, 10),
        TRAIN[1],
        say(31, "scheduled an async checkpoint save at iteration 20 to /ckpt"),
        TRAIN[2],
    )
    assert (found.last_durable, found.last_accepted) == (10, 20)


def test_the_commit_of_an_asynchronous_save_comes_between_later_iterations():
    found = trace(
        TRAIN[0],
        say(10, "scheduled an async checkpoint save at iteration 10 to /ckpt"),
        steps(range(11, 16), begin=20),
        megatron_done(25, 10),
        steps(range(16, 21), begin=26),
    )
    assert (found.last_durable, found.last_accepted) == (10, 10)


def test_lost_iterations_are_an_interval_where_only_a_promise_is_known():
    lines = [TRAIN[0], megatron_done(12, 10), TRAIN[1]]
    lines += [say(31, "scheduled an async checkpoint save at iteration 20 to /ckpt"), TRAIN[2]]
    lines += [f"[rank0]: {at(60)} ERROR RuntimeError: boom\n"]
    found = diagnosis({"a.log": "".join(lines)}).checkpoint
    assert found["lost_iterations"] == [10, 20]


@pytest.mark.parametrize(
    "ready",
    [
        "[DataStates.llm] Checkpoint global_step10 is ready now!",
        "successfully saved local checkpoint from iteration 10",
        "Save the checkpoint of step 10 into memory",
        "Started an asynchronous checkpoint save for step 10",
    ],
)
def test_ready_in_memory_is_a_promise(ready):
    found = trace(TRAIN[0], say(10, ready), TRAIN[1])
    assert (found.last_durable, found.last_accepted) == (None, 10)


def test_an_asynchronous_saver_is_not_proven_by_the_training_going_on():
    begin = say(10, "[Torch] Checkpoint global_step10 is about to be saved!")
    ready = say(11, "[DataStates.llm] Checkpoint global_step10 is ready now!")
    assert trace(TRAIN[0], begin, ready, TRAIN[1]).last_durable is None


# ------------------------------------------------------------------ synchronous, without a commit line


def test_a_later_iteration_proves_a_synchronous_save():
    assert trace(TRAIN[0], hf(10, 10), TRAIN[1]).last_durable == 10


def test_a_later_save_proves_an_earlier_one():
    found = trace(TRAIN[0], hf(10, 10), hf(30, 20))
    assert (found.last_durable, found.open_save) == (10, 20)


def test_a_synchronous_save_that_was_begun_last_is_open():
    found = trace(TRAIN[0], hf(10, 10))
    assert (found.last_durable, found.last_accepted, found.open_save) == (None, 10, 10)


def test_the_end_of_the_training_proves_the_last_save():
    end = say(12, "{'train_runtime': 12.3, 'train_samples_per_second': 3.1, 'train_loss': 2.1, 'epoch': 1.0}")
    assert trace(TRAIN[0], hf(10, 10), end).last_durable == 10


def test_a_save_on_the_same_iteration_again_proves_nothing():
    assert trace(TRAIN[0], hf(10, 10), hf(11, 10)).last_durable is None


# ------------------------------------------------------------------ torn


def ranks_begin(n: int) -> dict[str, str]:
    return {
        f"rank{r}.log": steps(range(1, 11))
        + f"[rank{r}]: {at(10 + r / 10)} INFO Saving checkpoint at step 10 to /ckpt\n"
        for r in range(n)
    }


def done(r: int) -> str:
    return f"[rank{r}]: {at(12 + r / 10)} INFO Saved checkpoint at step 10 to /ckpt\n"


def test_every_rank_that_began_must_have_ended():
    files = ranks_begin(4)
    whole = {name: content + done(r) for r, (name, content) in enumerate(files.items())}
    assert story(whole).checkpoint.last_durable == 10


@pytest.mark.parametrize("n_done", [1, 2, 3])
def test_a_rank_that_is_missing_makes_the_save_torn(n_done):
    files = ranks_begin(4)
    torn = {
        name: content + (done(r) if r < n_done else "") for r, (name, content) in enumerate(files.items())
    }
    assert story(torn).checkpoint.last_durable is None


def test_one_rank_may_speak_for_all_where_one_began_for_all():
    files = {
        "rank0.log": steps(range(1, 11)) + megatron_begin(10, 10) + megatron_done(12, 10),
        "rank1.log": "hi\n",
    }
    assert story(files).checkpoint.last_durable == 10


def test_a_save_that_failed_is_not_durable():
    found = diagnosis(
        {
            "a.log": TRAIN[0] + hf(10, 10) + TRAIN[1] + hf(31, 20)
            + f"{at(32)} ERROR OSError: [Errno 28] No space left on device: '/out/checkpoint-20/model.pt'\n"
        }
    )  # fmt: skip
    assert found.checkpoint["last_durable"] == 10
    assert found.stage["name"] == "checkpoint"


# ------------------------------------------------------------------ loads


def test_what_was_loaded_is_durable():
    loaded = say(0, " successfully loaded checkpoint from /ckpt [ t 1/2, p 1/1 ] at iteration 50")
    found = trace(loaded, steps(range(51, 56), begin=1))
    assert (found.last_durable, found.path) == (50, "/ckpt")


def test_a_load_that_did_not_end_proves_nothing():
    found = trace(say(0, " loading distributed checkpoint from /ckpt at iteration 50"))
    assert (found.last_durable, found.open_load) == (None, True)


def test_the_line_that_began_a_load_names_it_where_the_last_one_does_not():
    found = trace(
        say(0, "[titan] Loading the checkpoint from /ckpt/step-40."),
        say(3, "[titan] Finished loading the checkpoint in 3.0 seconds."),
        steps(range(41, 46), begin=5),
    )
    assert (found.last_durable, found.open_load) == (40, False)


TITAN_LOAD = "[titan] Loading the checkpoint from {}/step-{}."
TITAN_LOADED = "[titan] Finished loading the checkpoint in 3.0 seconds."


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize(("first", "durable"), [(1, None), (101, 100), (110, 100)])
def test_only_a_checkpoint_that_the_training_goes_on_from_is_this_jobs(first, durable, elsewhere):
    load = say(0, TITAN_LOAD.format("/base", 100)) + say(3, TITAN_LOADED)
    counter = steps(range(first, first + 50, 10), begin=5)
    files = {"a.log": "hi\n" + counter, "b.log": load} if elsewhere else {"a.log": load + counter}
    found = story(files).checkpoint
    assert (found.last_durable, found.last_accepted) == (durable, durable)
    assert found.path == (None if durable is None else "/base/step-100")


def test_a_job_that_saves_beside_what_it_loaded_goes_on_from_it_whatever_it_counts():
    found = trace(
        say(0, TITAN_LOAD.format("/out", 100)),
        say(3, TITAN_LOADED),
        steps(range(1, 11), begin=5),
        say(20, "Saving model checkpoint to /out/checkpoint-10"),
    )
    assert found.last_durable == 100


def test_an_epoch_in_a_path_is_no_iteration():
    found = trace(TRAIN[0], say(10, "Saving model checkpoint to /out/epoch_3"), TRAIN[1])
    assert (found.last_durable, found.path) == (10, "/out/epoch_3")


def test_a_commit_without_a_number_belongs_to_the_iteration_before_it():
    found = trace(
        TRAIN[0],
        say(10, "Saving the checkpoint (or staging if async is enabled)."),
        say(12, "Finished saving the checkpoint in 2.0 seconds."),
        TRAIN[1],
    )
    assert found.last_durable == 10


def test_nothing_lost_where_nothing_failed():
    assert diagnosis({"a.log": TRAIN[0] + hf(10, 10) + TRAIN[1]}).checkpoint["lost_iterations"] is None


def test_an_old_checkpoint_that_is_deleted_is_no_new_one():
    gone = say(35, "Deleting older checkpoint [/out/checkpoint-25] due to args.save_total_limit")
    assert trace(TRAIN[0], hf(10, 10), TRAIN[1], gone).last_accepted == 10


def test_no_checkpoint_to_load_is_none():
    fresh = say(0, "could not find the metadata file /ckpt/latest_checkpointed_iteration.txt")
    found = trace(fresh, say(0, "will not load any checkpoints and will start from random"), TRAIN[0])
    assert (found.open_load, found.last_durable) == (False, None)


# ------------------------------------------------------------------ what cannot be resumed from

TORN = (
    "[rank0]: RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory"
)


def test_a_checkpoint_whose_load_failed_is_not_durable():
    lines = [TRAIN[0], megatron_begin(10, 10), megatron_done(12, 10), TRAIN[1]]
    lines += [megatron_begin(31, 20), megatron_done(33, 20), steps(range(21, 24), begin=34)]
    load = say(90, " loading checkpoint from /ckpt at iteration 20")
    assert trace(*lines, load).last_durable == 20
    found = trace(*lines, load, f"{TORN}\n")
    assert (found.last_durable, found.last_accepted) == (10, 10)
    assert trace(
        *lines, load, say(91, " successfully loaded checkpoint from /ckpt at iteration 20"), f"{TORN}\n"
    ) == (trace(*lines, load))


def test_a_file_of_a_step_that_could_not_be_written_makes_its_checkpoint_none():
    titan_begin = "Saving the checkpoint (or staging if async is enabled)."
    titan_end = "Finished saving the checkpoint (or staging if async is enabled)in 2.00 seconds."
    lines = [TRAIN[0], say(10, titan_begin), say(12, titan_end), TRAIN[1]]
    lines += [say(31, titan_begin), say(33, titan_end), TRAIN[2]]
    assert (trace(*lines).last_durable, trace(*lines).last_accepted) == (10, 20)
    error = "[rank0]: OSError: [Errno 5] Input/output error: '/ckpt/step-20/__3_0.distcp'\n"
    found = diagnosis({"a.log": "".join([*lines, error])}).checkpoint
    assert (found["last_durable"], found["last_accepted"], found["lost_iterations"]) == (10, 10, [20, 20])


def test_a_save_that_failed_once_and_was_made_again_is_durable():
    error = (
        f"{at(12)} ERROR OSError: [Errno 5] Input/output error: '/ckpt/iter_0000010/mp_rank_00/model.pt'\n"
    )
    assert trace(TRAIN[0], megatron_begin(10, 10), error).last_accepted is None
    again = [megatron_begin(60, 10), megatron_done(62, 10)]
    assert trace(TRAIN[0], megatron_begin(10, 10), error, *again).last_durable == 10


def test_only_a_saver_that_waits_proves_the_save_before():
    begin, end = "Staging the checkpoint.", "Finished staging the checkpoint in 1.2 seconds."
    staged = [TRAIN[0], say(10, begin), say(12, end), TRAIN[1], say(31, begin), say(33, end), TRAIN[2]]
    assert trace(*staged).last_durable == 10
    promise = "scheduled an async checkpoint save at iteration {} to /ckpt"
    promised = [TRAIN[0], say(10, promise.format(10)), TRAIN[1], say(31, promise.format(20)), TRAIN[2]]
    assert trace(*promised).last_durable is None


def bar(numbers: range) -> str:
    return "".join(f" {n}%|###   | {n}/100 [0:{n:02}<1:40,  1.00s/it]\n" for n in numbers)


def test_what_was_saved_since_the_first_value_that_is_no_number_is_not_resumed_from():
    good, bad = (
        "{'loss': 1.2, 'grad_norm': 1.0, 'epoch': 0.1}\n",
        "{'loss': 0.0, 'grad_norm': nan, 'epoch': 0.2}\n",
    )
    saves = [f"Saving model checkpoint to o/checkpoint-{n}\n" for n in (20, 40, 50)]
    head = [bar(range(1, 21)), good, saves[0], bar(range(21, 41))]
    found = diagnosis(
        {"a.log": "".join([*head, bad, saves[1], bar(range(41, 51)), bad, saves[2], bar(range(51, 53)), bad])}
    )
    assert found.action["resume_from"] == found.checkpoint["last_durable"] == 20
    assert found.iterations["first_abnormal"] == 40
    healthy = diagnosis({"a.log": "".join([*head, good, saves[1], bar(range(41, 56))])})
    assert healthy.checkpoint["last_durable"] == 40


@pytest.mark.parametrize(("goes_on", "durable"), [(False, 10), (True, None)])
def test_a_step_that_megatron_takes_back_does_not_spoil_what_it_saves_then(goes_on, durable):
    words = [
        "Unexpected result nan on rank 0 at iteration #10 invocation #1 (message='loss is NaN')",
        "First rerun: unexpected result is reproducible within the tolerance (nan = nan). "
        "Need to rerun on a different GPU to verify correctness",
        "Saving a checkpoint and exiting now. Please resume the job from the checkpoint "
        "to rerun the last iteration and establish a diagnostic",
    ]
    said = [TRAIN[0], *(say(11 + k, text) for k, text in enumerate(words))]
    found = diagnosis(
        {
            "a.log": "".join(
                [
                    *said,
                    megatron_begin(15, 10),
                    megatron_done(16, 10),
                    steps(range(11, 12), begin=20) * goes_on,
                ]
            )
        }
    )
    assert (found.cause["category"], found.checkpoint["last_durable"]) == ("numeric", durable)


# ------------------------------------------------------------------ under Ray


def test_verl_names_the_folder_first_and_its_next_step_proves_it():
    def step(n: int) -> str:
        return f"(TaskRunner pid=7) step:{n} - actor/pg_loss:0.1 - perf/throughput:900.0\n"

    train = [step(n) for n in range(1, 41)]
    saved = "(WorkerDict pid=9) [Rank 3] Saved model to /ck/global_step_40/actor/model_rank_3.pt\n"
    begin = "(TaskRunner pid=7) local_global_step_folder: /ck/global_step_40\n"
    assert trace(*train, begin, saved).last_durable is None
    found = trace(*train, begin, saved, *[step(n) for n in range(41, 44)])
    assert (found.last_durable, found.path) == (40, "/ck/global_step_40")


def test_the_number_in_ray_trains_folder_is_no_step():
    made = "Checkpoint successfully created at: Checkpoint(filesystem=s3, path=b/run/checkpoint_000003)"
    assert trace(TRAIN[0], say(10, made), TRAIN[1]).last_durable == 10


def test_a_label_that_only_the_first_line_bears_makes_no_other_rank():
    # Each of four processes of two nodes ends its save; the word that it begins is rank 0's, under its label.
    def save(seconds: float, n: int, ending: tuple[int, ...]) -> list[str]:
        begin = say(seconds, f"[Rank 0] [Torch] Checkpoint global_step{n} is about to be saved!")
        parts = [say(seconds + 1, f"[Torch] Saving /out/global_step{n}/rank_{k}.pt...") for k in (0, 1)]
        done = say(seconds + 2, f"[Torch] Checkpoint global_step{n} is ready now!")
        lines = [(0, begin), *enumerate(parts), *((k, done) for k in ending)]
        return [f"worker-{k}: {line.replace('INFO ', '[INFO] ')}" for k, line in lines]

    first, second, third = ("".join(f"worker-0: {x}\n" for x in part.splitlines()) for part in TRAIN)
    full = [first, *save(10, 10, (0, 1, 0, 1)), second]
    assert trace(*full).last_durable == 10
    # A node that began its part and never ended it is one more.
    assert trace(*full, *save(31, 20, (0, 0)), third).last_durable == 10
    assert trace(*full, *save(31, 20, (1, 0, 1, 0)), third).last_durable == 20


@pytest.mark.parametrize(
    "saved",
    [
        "Checkpoint for step 10 saved successfully",
        "Checkpoint for step 10 has been saved",
        "checkpoint at iteration 10 saved in 3.1 s, the next at step 20",
        "checkpoint /out/step_10 saved",
    ],
)
def test_a_save_that_names_its_step_is_of_that_step(saved):
    later = steps(range(11, 16), begin=20)  # the counter has gone on when the save ends
    assert trace(TRAIN[0], later, say(26, saved), steps(range(16, 21), begin=30)).last_durable == 10


def test_orbax_ends_a_save_on_all_hosts():
    done = "[process=0][thread=save_finalize][step=10] CheckpointManager Save Finalize is done on all hosts."
    found = trace(TRAIN[0], steps(range(11, 16), begin=20), say(26, done), steps(range(16, 21), begin=30))
    assert found.last_durable == 10


# ------------------------------------------------------------------ names of what was saved


@pytest.mark.parametrize(
    ("path", "iteration"),
    [
        ("s3://b/ck/ep0-ba250/__0_0.distcp", 250),
        ("/x/ep1-ba500-rank0.pt", 500),
        ("/o/step_1000", 1000),
        ("/o/global_step1000/mp_rank_00_model_states.pt", 1000),
        ("/o/global_step_40/actor/model_world_size_8_rank_3.pt", 40),
        ("/o/iter_0001000/__0_0.distcp", 1000),
        ("/o/checkpoint-1000/rng_state_7.pth", 1000),
        ("/o/step1000-unsharded", 1000),
        ("/l/epoch=1-step=1000.ckpt", 1000),
        ("/l/epoch=1-step=1000-v1.ckpt", 1000),
        ("/n/megatron_gpt--val_loss=2.10-step=1000-consumed_samples=256000.0-last.ckpt", 1000),
        ("gs://m/run/checkpoints/1000/", 1000),
        ("gs://m/run/checkpoints/1000/items", 1000),
        ("/o/ckpt_1000", 1000),
        ("/o/step1000_tp2_pp4", 1000),
        ("/o/checkpoint_last.pt", None),
        ("/o/epoch_3", None),
        ("/data/llama3-8b/checkpoints", None),
        ("/o/latest-rank0.pt", None),
    ],
)
def test_frameworks_name_what_they_save(path, iteration):
    saved = f"{at(9.5)} INFO Saving model checkpoint to {path}\n"
    found = story({"a.log": steps(range(1, 11)) + saved + steps([11, 12], begin=10)})
    assert found.checkpoint.last_accepted == (10 if iteration is None else iteration)


def test_a_loss_without_a_step_shows_that_the_save_before_it_returned():
    loss = "{} {{'loss': 2.04, 'grad_norm': 1.1, 'epoch': 0.01}}\n"
    lines = loss.format(at(0)) + f"{at(1)} INFO Saving model checkpoint to /o/checkpoint-500\n"
    assert story({"a.log": lines}).checkpoint.last_durable is None
    assert story({"a.log": lines + loss.format(at(2))}).checkpoint.last_durable == 500


def test_fairseq_names_the_update_and_not_the_epoch():
    said = "Saved checkpoint /o/checkpoint_1_8.pt (epoch 1 @ 8 updates, score 2.1) (writing took 3 s)"
    line = f"{at(20)} INFO {said}\n"
    assert story({"a.log": steps(range(1, 11)) + line}).checkpoint.last_durable == 8


@pytest.mark.parametrize("behind", [0, 187])
def test_a_save_without_a_number_is_placed_by_the_clock_of_its_own_file(behind):
    """The other node reports first, by its clock that is slow."""
    saved = f"{at(20.5)} INFO Saved checkpoint to /ckpt/last\n"
    files = {
        "n1.log": steps(range(1, 101), begin=-behind),
        "n2.log": steps(range(1, 21), begin=1) + saved + steps(range(21, 101), begin=21),
    }
    assert diagnosis(files).checkpoint["last_durable"] == 20
