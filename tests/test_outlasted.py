"""Errors that began nothing: habits of a program, the last words of who had waited, orders heard of."""

from jobs import diagnosis

FAILED = (
    "2026-03-02 {}: E tensorflow/core/grappler/optimizers/meta_optimizer.cc:1] "
    "layout failed: INVALID_ARGUMENT: Size of values 0 does not match size of permutation 4\n"
)
OOM = (
    "slurmstepd: error: Detected 1 oom_kill event in StepId=77.batch. "
    "Some of the step tasks have been OOM Killed.\n"
)
LATE = (
    "[rank{0}]:[E302 10:40:01.5 ProcessGroupNCCL.cpp:607] [Rank {0}] Watchdog caught collective operation "
    "timeout: WorkNCCL(SeqNum=9, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) "
    "ran for 600017 milliseconds before timing out.\n"
)
SYMBOL = "Can't find nvmlDeviceGetName: /lib64/libnvidia-ml.so.1: undefined symbol: nvmlDeviceGetName\n"


def test_an_error_that_a_program_told_for_an_hour_did_not_end_it():
    told = "".join(map(FAILED.format, ("10:00:00.1", "10:20:00.2", "11:00:00.3")))
    assert diagnosis({"a.out": told + OOM}).cause["signature"] == "slurm-oom"


def test_an_error_that_a_program_told_at_once_before_it_was_killed_began_it():
    told = "".join(map(FAILED.format, ("10:00:00.1", "10:00:01.2", "10:00:02.3")))
    assert diagnosis({"a.out": told + OOM}).cause["signature"] == "xla-status"


def test_a_habit_is_the_cause_where_nothing_else_tells_of_the_end():
    told = "".join(map(FAILED.format, ("10:00:00.1", "10:20:00.2", "11:00:00.3")))
    assert diagnosis({"a.out": told}).cause["signature"] == "xla-status"


def test_what_stands_below_the_words_of_who_waited_is_no_cause():
    waited = LATE.format(1)
    above, below = (
        diagnosis({"a.out": lines}).cause["signature"] for lines in (SYMBOL + waited, waited + SYMBOL)
    )
    assert above == "py-shared-object"
    assert below == "c10d-watchdog-timeout"


ABORTED = "srun: Job step aborted: Waiting up to 62 seconds for job step to finish.\n"
CANCELLED = "slurmstepd: error: *** {} ON node-1 CANCELLED AT 2026-03-02T10:20:00{} ***\n"
HEARD = "Main process received SIGTERM, exiting\n"


def events(found) -> dict[str, tuple[str, str | None]]:
    names = {e["event_id"]: e["signature"] for e in found.events}
    return {e["signature"]: (e["role"], names.get(e["explained_by"])) for e in found.events}


def test_a_job_that_was_cancelled_without_a_reason():
    found = diagnosis(
        {"a.out": ABORTED + CANCELLED.format("STEP 77.0", "") + CANCELLED.format("JOB 77", "") + HEARD}
    )
    assert (found.cause["signature"], found.action["verdict"]) == ("slurm-job-cancelled", "restart")
    assert events(found)["ds-main-signal"] == ("consequence", "slurm-job-cancelled")


def test_a_step_that_was_cancelled_alone_may_be_sruns_doing():
    found = diagnosis({"a.out": ABORTED + CANCELLED.format("STEP 77.0", "") + HEARD})
    assert found.cause["signature"] != "slurm-job-cancelled"


def test_who_heard_that_the_time_was_over_gave_no_order():
    lines = ABORTED + CANCELLED.format("STEP 77.0", " DUE TO TIME LIMIT") + HEARD
    found = diagnosis({"a.out": lines})
    assert events(found)["ds-main-signal"] == ("consequence", "slurm-time-limit")
