"""Which checkpoint is left by the attempts before, where the last one made none of its own."""

import pytest

from jobs import cry, diagnosis, steps, text

RESTART = "SLURM_RESTART_COUNT=1\n"
TORN = cry(
    601, 0, "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory"
)
BUG = cry(601, 0, "TypeError: 'NoneType' object is not callable")


def save(n: int, *, done: bool = True) -> str:
    lines = [
        f"saving checkpoint at iteration {n} to /ck",
        f"  successfully saved checkpoint from iteration {n} to /ck",
    ]
    return text(lines[: 1 + done])


def load(n: int) -> str:
    return f" loading distributed checkpoint from /ck at iteration {n}\n"


FIRST = "".join(steps(range(n - 9, n + 1), begin=n) + save(n) for n in (10, 20, 30)) + steps(
    [31, 32], begin=41
)


def left(after: str, first: str = FIRST) -> tuple[int | None, int | None]:
    one = diagnosis({"a.out": first + RESTART + after})
    folders = {"logs/r/attempt_0/0/stdout.log": first, "logs/r/attempt_1/0/stdout.log": after}
    two = diagnosis(folders)
    assert one.checkpoint == two.checkpoint
    assert len(one.attempts) == len(two.attempts) == 2
    return one.checkpoint["last_durable"], one.action["resume_from"]


@pytest.mark.parametrize("after", [load(30) + TORN, TORN])
def test_a_torn_checkpoint_is_not_resumed_from(after):
    assert left(after) == (20, 20)


@pytest.mark.parametrize("after", [load(30) + BUG, BUG])
def test_an_attempt_that_dies_before_its_first_save_leaves_what_the_one_before_saved(after):
    assert left(after)[0] == 30


def test_an_older_one_was_chosen():
    assert left(load(20) + TORN) == (10, 10)
    assert left(load(20) + BUG)[0] == 20
    assert left(load(20) + steps(range(21, 24), begin=600) + BUG)[0] == 20


def test_what_lies_behind_the_first_iteration_of_the_attempt_was_given_up():
    assert left(steps(range(21, 25), begin=600) + BUG)[0] == 20
    assert left(steps(range(1, 5), begin=600) + BUG)[0] is None


def test_a_save_that_was_cut_is_none():
    assert left(BUG, first=FIRST + save(32, done=False))[0] == 30


def test_what_the_attempt_saved_itself_is_newest():
    assert left(load(30) + steps(range(31, 41), begin=600) + save(40) + BUG)[0] == 40
