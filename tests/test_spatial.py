"""Which ranks fell silent long before the others, and when to say nothing."""

import pytest
from l4fast.paths import path_facts
from l4fast.spatial import Outlier, silent_first
from l4fast.speakers import resolve

from jobs import at, job, micros, text


def ranks(say, n: int = 8, *, per_node: int = 2):
    """A job where rank r of n writes the lines ``say(r)``, and its topology."""
    files = {f"gpu-{k}.log": "" for k in range(1, 1 + n // per_node)}
    for r in range(n):
        host = f"gpu-{1 + r // per_node}"
        files[f"{host}.log"] += text([f"[rank{r}]: {at(0)} INFO rank {r} of {n} ready on {host}", *say(r)])
    read = job(files)
    return read, resolve(read, path_facts(list(files)))


def talks(r: int, n: int, words: str = "step {} done") -> list[str]:
    return [f"[rank{r}]: {words.format(k)}" for k in range(n)]


def beats(r: int, until: int, every: int = 1) -> list[str]:
    return [f"[rank{r}]: {at(k)} INFO heartbeat {k}" for k in range(0, until, every)]


def test_names_the_rank_that_fell_silent_first():
    found = silent_first(*ranks(lambda r: beats(r, 100 if r == 5 else 600)))
    assert isinstance(found, Outlier)
    assert (found.ranks, found.score) == ((5,), 500.0)
    assert found.reason == "fell silent 500 s before the others"


def test_the_ranks_of_one_node_may_fall_silent_together():
    found = silent_first(*ranks(lambda r: beats(r, 100 if r in (4, 5) else 600)))
    assert found is not None
    assert found.ranks == (4, 5)


@pytest.mark.parametrize("quiet", [(2, 5), (0, 2, 4, 6)])
def test_ranks_of_several_nodes_are_no_single_culprit(quiet):
    assert silent_first(*ranks(lambda r: beats(r, 100 if r in quiet else 600))) is None


@pytest.mark.parametrize("until", [598, 590, 575])
def test_a_short_silence_is_none(until):
    assert silent_first(*ranks(lambda r: beats(r, until if r == 5 else 600))) is None


def test_no_times_no_silence():
    assert silent_first(*ranks(lambda r: talks(r, 5 if r == 5 else 100))) is None


def test_the_last_words_are_those_of_any_of_a_ranks_files():
    files = {
        "out.log": text(line for r in range(8) for line in beats(r, 100 if r == 5 else 600)),
        "err.log": f"[rank5]: {at(599)} INFO still here\n",
    }
    read = job(files)
    assert silent_first(read, resolve(read, path_facts(list(files)))) is None
    assert read.last_time == micros(599)


def test_the_order_of_files_does_not_matter():
    parts = [text(beats(r, 100 if r == 5 else 600)) for r in range(8)]
    for order in (range(8), reversed(range(8))):
        files = {f"f{chr(97 + k)}.log": parts[r] for k, r in enumerate(order)}
        read = job(files)
        found = silent_first(read, resolve(read, path_facts(list(files))))
        assert found is not None
        assert (found.ranks, found.score) == ((5,), 500.0)
