"""An exception that came at each try: the job does not get further, whatever level tells it."""

import pytest

from jobs import at, diagnosis, steps, story, text

FORMS = (
    "Retry: caught exception: IndexError: no such layer block_{0}; waiting {0}.5 s",
    "attempt {0} ended in LookupError: no plan for {0} devices",
    "the loop met an exception in compile, try again in {0} s",
)


def tries(form: str, n: int, *, begin: float = 100.0, also: str = "worker started") -> str:
    return text(f"{at(begin + 9 * k)} INFO {line}" for k in range(n) for line in (also, form.format(k)))


@pytest.mark.parametrize("form", FORMS)
def test_three_tries_in_vain_tell_of_a_failure(form):
    found = diagnosis({"a.log": tries(form, 3)})
    assert found.outcome in ("failed", "unknown")
    root = found.events[0]
    assert (root["role"], root["count"]) == ("root", 3)
    assert found.action["verdict"] in ("stop", "unknown")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("before", "n", "after"),
    [
        ("", 2, ""),
        ("", 3, f"{at(200)} INFO dataset has 4 parts\n"),
        ("", 3, steps([1], begin=200)),
        (steps(range(1, 9)), 3, steps([9, 10], begin=200)),
        ("", 3, f"{at(200)} INFO Training completed\n"),
    ],
)
def test_tries_that_came_to_something_tell_of_none(form, before, n, after):
    lines = before + f"{at(99)} INFO worker started\n" + tries(form, n) + after
    found = story({"a.log": lines})
    assert found.outcome in ("running", "finished", "unknown") and not found.verdict.roots


def test_tries_between_iterations_tell_of_none():
    lines = "".join(steps([k], begin=9.0 * k) + tries(FORMS[0], 1, begin=9.0 * k + 1) for k in range(1, 9))
    assert story({"a.log": lines}).outcome == "running"


def test_words_of_one_speaker_do_not_count_for_another():
    lines = text(f"[rank{k}]: {at(9.0)} INFO {FORMS[1].format(k)}" for k in range(8))
    found = story({"a.log": lines})
    assert found.outcome in ("running", "unknown") and not found.verdict.roots


def test_another_failure_goes_before_tries_in_vain():
    boom = f"[rank3]: {at(300)} ERROR RuntimeError: boom\n"
    found = story({"a.log": tries(FORMS[2], 4) + boom})
    assert found.outcome == "failed"
    assert "boom" in found.job.content(int(found.verdict.roots[0].rows[0]))
