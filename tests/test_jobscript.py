"""What a job's script says before the training: a step that ended, a command that a shell did not find."""

import pytest

from jobs import at, cry, steps, story, text

STEP = "srun: error: n1: task 0: Exited with exit code 1\n"
LAUNCH = "+ srun train.sh\n"
INIT = "> initializing torch distributed ...\n"


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        (STEP + LAUNCH + INIT, "running"),
        (LAUNCH + STEP + LAUNCH + INIT, "running"),
        (STEP + LAUNCH + "iteration 1/ 100 | loss: 2.5 |\n", "running"),
        (STEP + LAUNCH, "failed"),
        (STEP + INIT, "failed"),
        (LAUNCH + STEP + INIT, "failed"),
        (LAUNCH + INIT + STEP, "failed"),
        (LAUNCH + INIT + STEP + LAUNCH + INIT, "running"),
        (STEP + LAUNCH + INIT + STEP, "failed"),
        (cry(0, 0, "RuntimeError: boom") + LAUNCH + INIT, "failed"),
    ],
)
def test_a_step_that_ended_before_the_launch_did_not_end_what_was_launched(lines, outcome):
    assert story({"a.out": lines}).outcome == outcome


BATCH = "/var/spool/slurmd/job71/slurm_script: line 12: python: command not found\n"
OTHER = "run.sh: line 12: python: command not found\n"
SHELL = "bash: torchrun: command not found\n"
TASKS = "0: using 4 data workers\n1: using 4 data workers\n"
TWO = steps([1, 2])
WAITED = (
    "torch.distributed.DistStoreError: Timed out after 601 seconds waiting for clients. 3/4 clients joined.\n"
)
ENDED = "srun: error: n3: task 3: Exited with exit code 127\n"


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        (BATCH + TWO, "running"),
        (BATCH + INIT, "running"),
        (BATCH + TASKS, "unknown"),
        (BATCH + LAUNCH, "failed"),
        (BATCH, "failed"),
        (TWO + BATCH, "failed"),
        (INIT + BATCH, "failed"),
        (TASKS + BATCH, "failed"),
        (BATCH + TWO + cry(5, 0, "RuntimeError: boom"), "failed"),
        (OTHER + TWO, "running"),
        (OTHER + LAUNCH + INIT, "running"),
        (OTHER + TASKS, "unknown"),
        (OTHER + INIT, "running"),
        (OTHER + INIT + WAITED, "failed"),
        (OTHER + TWO + WAITED, "failed"),
        (OTHER + "0: Traceback (most recent call last):\n0:   import x\n", "failed"),
        (OTHER + "n3: using 4 data workers\n", "failed"),
        ("n3: " + OTHER + TASKS, "failed"),
        ("3: " + OTHER + TASKS, "failed"),
        (SHELL + LAUNCH + INIT, "running"),
        (SHELL + INIT, "running"),
        (OTHER, "failed"),
        ("RuntimeError: boom\n" + TASKS, "failed"),
    ],
)
def test_what_a_shell_did_not_find_ends_no_job_that_then_ran(lines, outcome):
    assert story({"a.out": lines}).outcome == outcome


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        (BATCH + f"{at(0.5)} INFO hello\n", "running"),
        (OTHER + f"{at(0.5)} INFO hello\n", "running"),
        (BATCH, "running"),
        (OTHER, "failed"),
        (f"{at(30)} INFO bye\n" + BATCH + f"{at(31)} INFO bye\n", "failed"),
    ],
)
def test_what_a_shell_did_not_find_is_told_in_a_file_of_its_own(errors, outcome):
    assert story({"a.err": errors, "a.out": TWO}).outcome == outcome


@pytest.mark.parametrize(
    ("lines", "is_root"),
    [
        (OTHER + INIT + cry(9, 0, "RuntimeError: boom"), False),
        (OTHER + INIT + ENDED.replace("127", "1"), False),
        (OTHER + INIT + ENDED, True),
        (OTHER + INIT + WAITED, True),
        (OTHER + TWO + WAITED, False),
        (BATCH + INIT + WAITED, False),
    ],
)
def test_a_command_that_was_not_found_is_the_cause_where_somebody_is_missed(lines, is_root):
    roots = story({"a.out": lines}).verdict.roots
    assert any(e.signature and e.signature.id == "shell-command-missing" for e in roots) is is_root


def test_a_command_that_only_one_host_lacks_ended_the_job():
    others = text(f"{at(n)} INFO > initializing torch distributed ..." for n in range(3))
    assert story({"n1.log": others, "n2.log": OTHER, "n3.log": others}).outcome == "failed"
