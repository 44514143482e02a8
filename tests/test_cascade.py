"""What brings what about: the graph of the failure library."""

from __future__ import annotations

from dataclasses import replace

import pytest
from l4fast.cascade import between, cycle, kinds, named_by, unknown_targets
from l4fast.library import Library, load
from l4fast.signature import KINDS, Effect


@pytest.fixture(scope="module")
def packaged() -> Library:
    return load()


def test_the_graph_has_no_cycle(packaged: Library) -> None:
    assert cycle(packaged.signatures) == []


def test_a_cycle_is_found_and_named(packaged: Library) -> None:
    first, second = "oom-killer", "cuda-oom"
    looped = dict(packaged.signatures)
    for cause, effect in ((first, second), (second, first)):
        looped[cause] = replace(looped[cause], explains=(Effect((effect,), "node", (0.0, 1.0)),))

    found = cycle(looped)

    assert found[0] == found[-1] and set(found) == {first, second}


def test_every_kind_that_brings_something_about_is_described() -> None:
    assert set(kinds()) == set(KINDS) - {"asked-to-end"}


def test_everything_explained_is_a_signature(packaged: Library) -> None:
    wrong = {s.id: unknown_targets(s, packaged.signatures) for s in packaged.signatures.values()}

    assert {name: targets for name, targets in wrong.items() if targets} == {}


def test_who_takes_no_part_in_a_cascade_explains_nothing(packaged: Library) -> None:
    idle = [s.id for s in packaged.signatures.values() if s.kind is None and s.explains]

    assert idle == []


def test_an_error_explains_the_words_of_its_victims_but_never_the_reverse(packaged: Library) -> None:
    error, timeout = packaged.signatures["xid"], packaged.signatures["c10d-watchdog-timeout"]

    edge = between(error, timeout)

    assert edge is not None and edge.where == "job" and edge.after_s[0] == 0 < edge.after_s[1]
    assert between(timeout, error) is None
    assert between(error, error) is None


def test_what_a_signature_states_itself_comes_before_its_kind(packaged: Library) -> None:
    own = Effect(("c10d-watchdog-*",), "node", (5.0, 7.0))
    error = replace(packaged.signatures["xid"], explains=(own,))
    timeout = packaged.signatures["c10d-watchdog-timeout"]

    edge = between(error, timeout)

    assert edge is not None and (edge.where, edge.after_s) == ("node", (5.0, 7.0))
    assert "c10d-watchdog-timeout" in [e.effect for e in named_by(error, packaged.signatures.values())]
