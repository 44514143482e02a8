"""What a program only remarked, or went on to train after, did not end it."""

import pytest

from jobs import at, diagnosis, steps, text

MISSING = (
    "Provided path (/m/base) does not contain it: /m/base does not appear to have a file named head.bin."
)
STACK = ["Traceback (most recent call last):", '  File "/opt/train.py", line 7, in <module>']
ASKED = "slurmstepd: error: *** STEP 7.0 ON calc-1 CANCELLED AT 2026-03-02T10:00:09 DUE TO PREEMPTION ***"


def begun(level: str, *rest: str) -> str:
    return text([f"{at(0)} INFO starting", f"{at(1)} {level} {MISSING}", f"{at(2)} INFO go on", *rest])


def cause(log: str) -> str | None:
    return diagnosis({"train.log": log}).cause["signature"]


@pytest.mark.parametrize("level", ["INFO", "WARNING", "ERROR"])
def test_what_came_before_one_iteration_did_not_hinder_the_start(level):
    told = begun(level) + steps([1], begin=90) + ASKED + "\n"
    assert cause(told).startswith("slurm")


@pytest.mark.parametrize(("level", "signature"), [("INFO", "py-index-type"), ("ERROR", "hf-model-missing")])
def test_a_remark_stands_back_beside_an_error(level, signature):
    assert cause(begun(level, *STACK, "ZeroDivisionError: division by zero")) == signature


def test_a_remark_is_the_cause_where_nothing_else_is_told():
    assert cause(begun("INFO")) == "hf-model-missing"


def test_what_comes_after_the_first_iteration_is_not_survived_by_one():
    told = steps([1]) + begun("ERROR") + steps([2], begin=90) + ASKED + "\n"
    assert cause(told) == "hf-model-missing"
