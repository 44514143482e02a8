"""Words of failure that a job says all along are no failure, wherever they stand."""

from hypothesis import given
from hypothesis import strategies as st
from l4fast import temporal
from l4fast.survived import SURVIVED_ITERATIONS
from l4fast.usual import LEAST_MOMENTS, usual_shapes

from jobs import at, diagnosis, job, library, steps

LOST = "torch.multiprocessing.spawn.ProcessExitedException: process 3 terminated with signal SIGKILL"


def bad(seconds: float) -> str:
    return f"{at(seconds)} - LOGS - picture {int(seconds)} is possibly corrupt\n"


def test_what_workers_kept_until_their_end_was_said_when_it_says():
    kept = "".join(bad(seconds) for seconds in range(5, 58, 3))
    found = diagnosis({"a.log": steps(range(1, 61), begin=1) + LOST + "\n" + kept})
    assert [e["signature"] for e in found.events] == ["process-spawn-exit"]


def test_what_comes_in_one_moment_or_at_the_end_only_still_tells():
    late = "".join(bad(60.5 + k / 10) for k in range(5))
    found = diagnosis({"a.log": steps(range(1, 61), begin=1) + late + LOST + "\n"})
    assert len(found.events) == 2


@given(st.lists(st.floats(0, 40, allow_nan=False).map(lambda s: round(s, 3)), min_size=1, max_size=12))
def test_usual_is_what_the_naive_count_says(moments):
    lines = steps(range(1, 31), begin=5) + "".join(bad(seconds) for seconds in moments)
    whole = job({"a.log": lines})
    progress = temporal.follow(whole, library().signatures)
    before = [sum(5 + k <= seconds for k in range(30)) for seconds in moments]
    well = [n for n in before if 0 < n <= 30 - SURVIVED_ITERATIONS]
    expected = len(set(well)) >= LEAST_MOMENTS and 2 * len(well) >= len(moments)
    shapes = {int(s) for s in whole.rows.shape if "corrupt" in whole.shapes[int(s)].text}
    assert {bool(usual_shapes(whole, progress)[s]) for s in shapes} == {expected}
