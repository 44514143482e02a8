"""Last words that are cut: a traceback without its exception, and an exception that could not be told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.unended import unended_tracebacks

from jobs import at, diagnosis, job, steps, text

HEAD = "Traceback (most recent call last):"
FRAMES = ['  File "/opt/tracker/run.py", line 95, in finish', "    self.close(error)", "    ^^^^"]
HOOK = "Error in sys.excepthook:"
DONE = steps(range(1, 101))


@pytest.mark.parametrize("frames", [FRAMES[:1], FRAMES, [*FRAMES, '  File "/opt/tra']])
@pytest.mark.parametrize("before", [DONE, steps(range(1, 40))])
def test_a_traceback_that_breaks_off_is_no_good_end(before, frames):
    found = diagnosis({"train.log": before + text([HEAD, *frames])})
    assert (found.outcome, found.cause["category"], found.action["verdict"]) == (
        "unknown",
        "unknown",
        "unknown",
    )
    assert found.events[0]["first"]["text"] == HEAD


@pytest.mark.parametrize("after", ["tracker: sent", f"{at(200)} INFO closing", "  ended\nall is well"])
def test_a_traceback_after_which_more_is_said_does_not_break_off(after):
    assert diagnosis({"train.log": DONE + text([HEAD, *FRAMES, after])}).outcome == "finished"


def test_a_head_alone_tells_nothing():
    assert diagnosis({"train.log": DONE + HEAD + "\n"}).outcome == "finished"


@pytest.mark.parametrize("words", [[HOOK, HEAD, *FRAMES], [HOOK, "", "Original exception was:"]])
def test_what_could_not_be_told_was_not_caught(words):
    found = diagnosis({"train.log": DONE + text(words)})
    assert (found.outcome, found.cause["signature"]) == ("failed", "py-uncaught")


def test_the_original_exception_is_the_cause():
    told = [HOOK, HEAD, *FRAMES[:2], "", "Original exception was:", HEAD, FRAMES[0], "KeyError: 'lr'"]
    assert diagnosis({"train.log": DONE + text(told)}).cause["signature"] == "py-key-error"


def naive(lines: list[str]) -> list[int]:
    """The numbers of the heads that only frames of the same rank follow, at least one of them, to the end."""
    last = max((i for i, line in enumerate(lines) if HEAD in line), default=None)
    if last is None:
        return []
    rank, rest = lines[last][:9], lines[last + 1 :]
    ends = all(line.startswith(rank) and line[9:].startswith(" ") for line in rest)
    return [last + 1] if ends and any("File" in line for line in rest) else []


WORDS = st.sampled_from([HEAD, *FRAMES[:2], "all is well"])


@given(st.lists(st.tuples(st.integers(0, 1), WORDS), max_size=12))
def test_the_tracebacks_that_break_off_are_those_of_the_naive_reader(said):
    lines = [f"[rank{rank}]: {words}" for rank, words in said]
    read = job({"train.log": text(lines)})
    rows = unended_tracebacks(read)
    assert np.asarray(read.rows.line[rows]).tolist() == naive(lines)
