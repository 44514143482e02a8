"""Where each launch of a job begins that is started again in the same files."""

import pytest

from jobs import at, cry, diagnosis, steps, story, text

ENDED = text(
    f"slurmstepd: error: *** {what} ON cn020 CANCELLED AT 2026-03-02T10:00:40 DUE TO {{0}} ***"
    for what in ("STEP 9.0", "JOB 9")
)
BANNER = "using world size: 8, data-parallel size: 8\n> initializing torch distributed ...\n"
LOADED = (
    " loading distributed checkpoint from /ck at iteration 20\n"
    "  successfully loaded checkpoint from /ck [ t 1/1, p 1/1 ] at iteration 20\n"
)
SAVED = (
    "saving checkpoint at iteration {0} to /ck\n  successfully saved checkpoint from iteration {0} to /ck\n"
)
FIRST = BANNER + steps(range(1, 31))
AGAIN = steps(range(21, 26), begin=600)
DIES = cry(606, 3, "TypeError: 'NoneType' object is not callable")


def listed(found) -> list[tuple[int, int | None]]:
    return [(a["attempt"], a["last_iteration"]) for a in found.attempts]


@pytest.mark.parametrize("why", ["NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS", "PREEMPTION", "JOB REQUEUE"])
@pytest.mark.parametrize(
    "says", [BANNER + LOADED, BANNER, LOADED, "SLURM_RESTART_COUNT=1\n", "RESTART_COUNT=1\n"]
)
def test_a_job_that_is_put_back_begins_anew_in_its_file(why, says):
    found = diagnosis({"a.out": FIRST + ENDED.format(why) + says + AGAIN + DIES})
    assert listed(found) == [(0, 30), (1, 25)]
    assert found.iterations["last_completed"] == 25
    assert found.cause["category"] == "user.code"
    assert [a["last_time"] for a in found.attempts] == [
        "2026-03-02T10:00:29.000000",
        "2026-03-02T10:10:06.000000",
    ]
    assert found.attempts[1]["first_time"] == "2026-03-02T10:10:00.000000"


def test_what_the_first_attempt_died_of_is_not_the_cause_though_the_second_dies_at_its_start():
    found = diagnosis({"a.out": FIRST + ENDED.format("PREEMPTION") + BANNER + DIES})
    assert listed(found) == [(0, 30), (1, None)]
    assert (found.cause["category"], found.iterations["last_completed"]) == ("user.code", None)


def test_each_attempt_has_the_cause_of_its_own_end():
    stack = text(["Traceback (most recent call last):", '  File "/opt/train.py", line 7, in step'])
    memory = stack + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 7.83 GiB.\n"
    found = diagnosis({"a.out": FIRST + memory + BANNER + LOADED + AGAIN + DIES})
    assert [(a["outcome"], a["cause"]) for a in found.attempts] == [
        ("failed", "The GPU's memory is used up"),
        ("failed", found.cause["title"]),
    ]
    assert found.cause["category"] == "user.code"


def test_complaints_after_the_schedulers_word_are_the_first_attempts():
    late = text(["srun: error: Node failure on cn024", "srun: error: cn021: tasks 4-7: Killed"])
    found = diagnosis({"a.out": FIRST + ENDED.format("NODE FAILURE") + late + BANNER + AGAIN + DIES})
    assert listed(found) == [(0, 30), (1, 25)]
    assert {e["first"]["line"] for e in found.events} == {
        (FIRST + ENDED + late + BANNER + AGAIN + DIES).count("\n")
    }


@pytest.mark.parametrize("why", ["NODE FAILURE", "PREEMPTION"])
def test_a_job_that_obeys_late_is_no_second_attempt(why):
    late = steps(range(31, 34), begin=41)  # the scheduler gives it a minute
    found = diagnosis(
        {"a.out": FIRST + ENDED.format(why) + late + "srun: error: cn021: tasks 4-7: Killed\n" * 4}
    )
    assert listed(found) == [(0, 33)]
    assert found.outcome == "failed"


def test_a_time_limit_ends_the_job():
    found = diagnosis({"a.out": FIRST + ENDED.format("TIME LIMIT") + steps([31], begin=41) + BANNER})
    assert len(found.attempts) == 1


@pytest.mark.parametrize("says", [LOADED, "MASTER_ADDR=cn020\n"])
def test_a_counter_that_goes_back_behind_the_words_of_a_start_tells_of_a_second_attempt(says):
    files = {"a.out": FIRST + cry(31, 3, "RuntimeError: boom") + says + AGAIN + DIES}
    found = diagnosis(files)
    assert listed(found) == [(0, 30), (1, 25)]
    assert found.cause["category"] == "user.code"


def test_what_is_launched_after_a_program_has_finished_is_another_attempt():
    """Though the counter begins anew, or nothing is counted at all any more."""
    whole = BANNER + steps(range(1, 31), total=30) + "[after training is done] datetime: 2026-03-02\n"
    header = "------------------------ arguments ------------------------\n"
    found = diagnosis({"a.out": whole + header + BANNER + DIES})
    assert [(a["attempt"], a["outcome"], a["last_iteration"]) for a in found.attempts] == [
        (0, "finished", 30),
        (1, "failed", None),
    ]
    assert found.cause["category"] == "user.code"
    assert [a["outcome"] for a in diagnosis({"a.out": whole + BANNER}).attempts] == ["finished"]


@pytest.mark.parametrize(
    "between",
    [
        "",
        "> initializing torch distributed ...\n",
        f"{at(31)} INFO > building train, validation, and test datasets\n",
    ],
)
def test_a_counter_that_begins_again_in_each_epoch_is_one_attempt(between):
    epochs = "".join(between + steps(range(1, 11), begin=10 * k) for k in range(4))
    assert len(story({"a.out": epochs}).attempts) == 1


def test_a_checkpoint_that_is_loaded_in_the_middle_does_not_begin_an_attempt():
    lines = steps(range(1, 11)) + LOADED + steps(range(11, 21), begin=10)
    assert len(story({"a.out": lines}).attempts) == 1


# ------------------------------------------------------------------ many agents


def announced(k: int, launch: int, begin: float) -> str:
    left = f"{4 - launch}/3 attempts left"
    return f"{at(begin + 0.3 * k)} INFO [default] Worker group FAILED. {left}; will restart worker group\n"


def met(k: int, launch: int, begin: float) -> str:
    head = f"{at(begin + 9 + 3 * k)} INFO [default] Rendezvous complete for workers. Result:"
    return text([head, f"  restart_count={launch}", "  master_addr=n0", "  group_world_size=4"])


def agent(k: int, launch: int, begin: float) -> str:
    return announced(k, launch, begin) + met(k, launch, begin)


@pytest.mark.parametrize("label", ["n{}: ", "", None], ids=["labelled", "merged", "files"])
@pytest.mark.parametrize("launches", [1, 2])
def test_all_agents_tell_of_one_launch(label, launches):
    said = [(3, steps(range(1, 11)))]
    for n in range(launches):
        said += [(k, tell(k, n + 1, 100 * n + 20)) for tell in (announced, met) for k in range(4)]
        said.append((3, steps(range(8, 13 + n), begin=100 * n + 60)))
    files = (
        {"all.log": "".join(label.format(k) + line for k, lines in said for line in lines.splitlines(True))}
        if label is not None
        else {f"n{k}.log": "".join(x for who, x in said if who == k) for k in range(4)}
    )
    found = story(files)
    assert listed(found) == [(0, 10), (1, 12), (2, 13)][: launches + 1]


def test_an_attempt_that_came_far_is_told_of_though_the_last_one_did_nothing():
    files = {f"n{k}.log": agent(k, 1, 20) + cry(40, k, "RuntimeError: boom") for k in range(3)}
    files["n3.log"] = steps(range(1, 11)) + agent(3, 1, 20)
    assert listed(diagnosis(files)) == [(0, 10), (1, None)]


def test_an_agent_that_is_numbered_twice_was_started_twice_though_nothing_was_done():
    lines = steps(range(1, 11)) + "".join(agent(0, n, 20 * n) for n in (1, 2, 3)) + DIES
    assert listed(diagnosis({"n0.log": lines})) == [(0, 10), (1, None), (2, None), (3, None)]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("clock", [True, False])
def test_attempts_that_have_numbers_from_the_first_on(first, clock):
    def node(n: int, counts: bool) -> str:
        lines = []
        for k in range(4):
            when = f"{at(100 * k)} " if clock else ""
            lines.append(f"{when}INFO worker task-{n} attempt {first + k}: starting container team/train:1\n")
            lines.append(f"{at(100 * k + 10 + 7 * n)} INFO loading\n")
            if counts and k < 3:
                lines.append(steps(range(1 + 10 * k, 11 + 10 * k), begin=100 * k + 20))
        return (
            "".join(lines)
            + f"{at(350)} INFO loading\nloaded\nbuilt\nready\n"
            + cry(360, n, "RuntimeError: boom")
        )

    found = story({"a.log": node(0, True), "b.log": node(1, False)})
    assert [a["last_iteration"] for a in found.attempts] == [10, 20, 30, None]


STARS = "Setting OMP_NUM_THREADS environment variable for each process to be 1 in default\n"
STACK = text(["Traceback (most recent call last):", '  File "/opt/train.py", line 7, in step'])
MEMORY = STACK + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 7.83 GiB.\n"
ABSENT = STACK + "FileNotFoundError: [Errno 2] No such file or directory: '/data/gpt_doc_idx.npy'\n"
GONE = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:\n" + "=" * 60 + "\n"


def test_a_launcher_that_speaks_behind_the_end_of_another_begins_an_attempt():
    """Though nothing is counted any more; each of three has its own end."""
    ran = STARS + BANNER + steps(range(1, 31))
    found = diagnosis({"a.out": ran + MEMORY + GONE + STARS + MEMORY + GONE + STARS + ABSENT + GONE})
    assert [(a["attempt"], a["last_iteration"], a["cause"]) for a in found.attempts] == [
        (0, 30, "The GPU's memory is used up"),
        (1, None, "The GPU's memory is used up"),
        (2, None, found.cause["title"]),
    ]
    assert [e["first"]["text"] for e in found.events if e["role"] == "root"] == [ABSENT.splitlines()[-1]]
    assert found.iterations["last_completed"] is None


def test_a_launcher_that_speaks_after_iterations_begins_an_attempt_though_no_end_was_told():
    found = diagnosis({"a.out": STARS + FIRST + STARS + ABSENT + GONE})
    assert listed(found) == [(0, 30), (1, None)]


def test_nothing_was_counted_before_a_second_launch():
    found = diagnosis({"a.out": STARS + MEMORY + GONE + STARS + ABSENT + GONE})
    assert len(found.attempts) == 2
    assert [e["first"]["line"] for e in found.events if e["role"] == "root"] == [10]


@pytest.mark.parametrize("late", [1, 3])
def test_agents_that_come_late_are_of_the_same_launch(late):
    """One of eight failed before the others have begun."""
    said = STARS * (8 - late) + MEMORY + GONE + STARS * late + MEMORY + GONE
    assert len(diagnosis({"a.out": said}).attempts) == 1


def test_as_many_agents_as_before_are_another_launch():
    said = STARS * 8 + MEMORY + GONE * 2 + STARS * 8 + ABSENT + GONE
    assert len(diagnosis({"a.out": said}).attempts) == 2
    in_use = STACK + "RuntimeError: Address already in use\n"  # the launcher's own
    assert len(diagnosis({"a.out": STARS * 8 + in_use + STARS * 8 + ABSENT + GONE}).attempts) == 2


def test_a_launcher_within_a_run_begins_no_attempt():
    """A program of its own evaluates, and training goes on."""
    assert len(story({"a.out": STARS + FIRST + STARS + steps(range(31, 41), begin=40)}).attempts) == 1


SETUP = "Loading dataset shards: 100%|####| 13/13 [00:00<00:00, 45.1it/s]\ntrainable params: 3,735\n"


@pytest.mark.parametrize("pid", [4102, 9911])
def test_the_same_launcher_may_have_another_process_id(pid):
    files = {"a.out": f"[{at(0)} {4102}] {STARS}" + FIRST + f"[{at(90)} {pid}] {STARS}" + ABSENT + GONE}
    assert listed(diagnosis(files)) == [(0, 30), (1, None)]


def test_what_a_program_says_at_its_start_is_said_again_after_it_failed():
    """No launcher speaks, nothing is counted: each run ends in an error of its own."""
    found = diagnosis({"a.out": SETUP + ABSENT + SETUP + MEMORY + SETUP + DIES})
    assert [(a["outcome"], a["cause"]) for a in found.attempts] == [
        ("failed", "A file or folder is missing or in the way"),
        ("failed", "The GPU's memory is used up"),
        ("failed", found.cause["title"]),
    ]
    assert found.cause["category"] == "user.code"


def test_processes_that_start_side_by_side_are_of_one_launch():
    """Some say how they start behind the error of the first that failed."""
    said = SETUP * 3 + ABSENT + SETUP + ABSENT
    assert len(diagnosis({"a.out": said}).attempts) == 1


def test_a_sweep_of_runs_that_count_from_the_first_again():
    run = "Tokenizing texts: 100%|####| 100/100 [00:15<00:00, 6.1it/s]\n"
    found = diagnosis({"a.out": "".join(run + steps(range(1, 9), begin=60 * k) + MEMORY for k in range(3))})
    assert [n for n, _ in listed(found)] == [0, 1, 2]
    assert found.iterations["last_completed"] == 8


def test_a_step_that_was_cancelled_is_another_attempt_than_the_next():
    cancelled = "slurmstepd: error: *** STEP {}.0 ON cn020 CANCELLED AT 2026-03-02T10:00:40 ***\n"
    queued = "srun: job {} queued and waiting for resources\n"
    said = queued.format(7) + BANNER + ABSENT + cancelled.format(7)
    found = diagnosis({"a.out": said + queued.format(8) + BANNER + steps(range(1, 9)) + cancelled.format(8)})
    assert len(found.attempts) == 2
    assert found.cause["category"] in ("preemption", "platform")


# ------------------------------------------------------------------ other totals


def epoch(k: int, numbers, *, total: int, begin: float) -> str:
    """Lines of MMCV, which count within an epoch, one a minute."""
    form = (
        "{} - mmx - INFO - Epoch [{}][{}/{}]\tlr: 1.0e-02, eta: 3:00:00, time: 1.212, memory: 900, loss: 0.61"
    )
    return text(form.format(at(begin + 60 * i), k, n, total) for i, n in enumerate(numbers))


def starts(begin: float) -> str:
    """What MMCV says at the start of a training."""
    return f"{at(begin)} - mmx - INFO - Start running, host: anna@node07, work_dir: /scratch/runs/a\n"


LONG = epoch(1, range(50, 1201, 50), total=1210, begin=60) + epoch(
    2, range(50, 801, 50), total=1210, begin=1600
)
SHORT = epoch(5, range(50, 251, 50), total=730, begin=9000)


def test_a_run_that_counts_to_another_total_is_the_last_ones():
    found = diagnosis({"nohup.out": LONG + SHORT})
    assert (found.outcome, found.iterations["last_completed"], found.iterations["total"]) == (
        "running",
        250,
        730,
    )


def test_an_evaluation_in_the_same_lines_is_not_the_training():
    def runs(numbers, total: int, begin: float) -> str:
        return text(
            f"{at(begin + k)} INFO iteration {n}/ {total} | loss: 2.5 |" for k, n in enumerate(numbers)
        )

    between = runs(range(1, 31), 90, 0) + runs(range(1, 6), 5, 40) + runs(range(31, 61), 90, 50)
    assert story({"a.out": between + runs(range(1, 4), 5, 90)}).progress.last_completed == 60
    behind = runs(range(1, 91), 90, 0) + runs(range(1, 4), 5, 95)
    assert story({"a.out": behind}).progress.last_completed == 90


def test_the_host_of_a_training_that_starts_is_told_at_each_launch():
    short = epoch(5, range(50, 451, 50), total=730, begin=-1000)
    long = starts(0) + LONG + starts(8990) + SHORT
    assert listed(diagnosis({"nohup.out": long})) == [(0, 1200), (1, 250)]
    found = diagnosis({"nohup.out": starts(-1010) + short + long})
    assert listed(found) == [(0, 450), (1, 1200), (2, 250)]


def test_a_job_in_which_another_counter_goes_on_does_not_stand_still():
    """Two runs write into one file; that which reported most has ended."""
    other = (
        "{} - mmx - INFO - Iter [{}/9000]\tlr: 1.0e-02, eta: 3:00:00, time: 1.212, memory: 900, loss: 0.61"
    )
    ends = text(other.format(at(2000 + 200 * k), 50 * k) for k in range(1, 21))
    assert diagnosis({"nohup.out": LONG + ends}).outcome == "running"


# ------------------------------------------------------------------ beginnings that no signature knows


def begins(k: int) -> str:
    """What a program of its own says at first; each of its files has it again for each launch."""
    return text(
        [
            "kind of plan:  <class 'str'>",
            f"folder out/plan_{k} is new" if k else "folder is there",
            "sources: changed since the last commit",
            "lanes= 4",
            "scaled rate: 0.05 -> 0.2",
        ]
    )


SHOWN = STACK + "AssertionError: no driver was found for lane 3\n"
STOPPED = STACK + "KeyboardInterrupt\n"


def test_a_file_that_begins_again_behind_an_exception_is_of_another_launch():
    files = {
        f"worker_{r}.txt": f"{begins(0)}{at(5)} lane {r}\n{SHOWN}{begins(1)}{at(900)} lane {r}\n"
        for r in range(3)
    }
    found = diagnosis({name: lines + STOPPED for name, lines in files.items()})
    assert [a["cause"] for a in found.attempts] == ["A check of the program failed", found.cause["title"]]
    assert found.attempts[1]["first_time"] == "2026-03-02T10:15:00.000000"
    assert {e["first"]["line"] for e in found.events if e["role"] == "root"} == {18}


def test_more_processes_than_ended_are_of_one_launch():
    said = begins(1) * 3 + SHOWN + begins(1) + SHOWN
    assert len(diagnosis({"a.out": said}).attempts) == 1


def test_a_beginning_that_comes_soon_is_of_one_launch():
    said = "".join(f"{at(k)} kind of plan: 1\n{at(k)} lanes= 4\n{SHOWN}" for k in (0, 20))
    assert len(diagnosis({"a.out": said}).attempts) == 1
    said = "".join(f"{at(k)} kind of plan: 1\n{at(k)} lanes= 4\n{SHOWN}" for k in (0, 200))
    assert len(diagnosis({"a.out": said}).attempts) == 2


def test_source_code_in_a_stack_is_no_word_of_a_launcher():
    """Ranks write their stacks at once: not each line of code stands below its own frame."""
    frame, code = '  File "/opt/start.py", line 7, in meet\n', "    master_addr = str(look_up(name))\n"
    head, end = "Traceback (most recent call last):\n", "OSError: [Errno 113] No route to host\n"
    stack = head + frame + code + head + end + code + frame + end
    assert len(diagnosis({"a.err": BANNER + stack * 6}).attempts) == 1
