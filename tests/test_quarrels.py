"""Who lost whom: the smallest sets that explain all quarrels, against trying every set; and the waves."""

import itertools
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from l4fast.quarrels import MOST_GUILTY, WAVE_US, Quarrel, _cover, _covers, _guilty, first_wave
from l4fast.subjects import LATE

NAMES = "abcdefg"
PAIRS = st.sets(st.sampled_from(list(itertools.combinations(NAMES, 2))), min_size=1, max_size=9)


def near_of(pairs) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for a, b in sorted(pairs):
        found.setdefault(a, set()).add(b)
        found.setdefault(b, set()).add(a)
    return found


def smallest(pairs) -> set[frozenset[str]]:
    """Try every set of nodes, small ones first."""
    for size in range(len(NAMES) + 1):
        found = {
            frozenset(names)
            for names in itertools.combinations(NAMES, size)
            if all(set(pair) & set(names) for pair in pairs)
        }
        if found:
            return found
    raise AssertionError


@given(PAIRS)
def test_all_smallest_sets_are_found_and_no_other(pairs):
    wanted = smallest(pairs)
    size = len(next(iter(wanted)))
    assert set(_covers(near_of(pairs), frozenset(), size)) == wanted
    assert not set(_covers(near_of(pairs), frozenset(), size - 1)) if size else True


@given(PAIRS, st.sets(st.sampled_from(NAMES)))
def test_who_is_named_has_a_part_in_what_must_be_explained(pairs, heard):
    wanted = smallest(pairs)
    named = set(_cover(near_of(pairs), heard, MOST_GUILTY))
    if len(wanted) == 1:
        assert named == next(iter(wanted))
    elif named and named not in wanted:
        near = near_of(pairs)
        assert all(len(near[name]) > 1 for name in named)
        assert all(any(near[other] == {name} for other in near[name]) for name in named)


def quarrels(*told: tuple[str, str, float]) -> list[Quarrel]:
    return [
        Quarrel(home, target, LATE if at < 0 else round(at * 1e6), at >= 0, row, SimpleNamespace())  # type: ignore[arg-type]
        for row, (home, target, at) in enumerate(told)
    ]


def guilty(*told, n_nodes: int = 20, ordered: bool = True) -> list[str]:
    found = quarrels(*told)
    names = {q.home for q in found}
    return _guilty(first_wave(found), names, n_nodes, begun=True, ordered=ordered)


def test_the_middle_of_a_star_is_guilty():
    assert guilty(("a", "x", 1), ("b", "x", 1.2), ("x", "a", 0.9), ("c", "x", 1.1)) == ["x"]


def test_both_ends_of_one_bad_link_are_suspect_so_neither_is_named():
    assert guilty(("a", "b", 1), ("b", "a", 1)) == []


def test_of_two_ends_the_one_that_says_nothing_is_gone():
    assert guilty(("a", "b", 1), ("c", "b", 1)) == ["b"]


def test_two_that_are_guilty_leave_the_one_between_them_alone():
    ring = [("a", "b", 1), ("b", "c", 1), ("c", "d", 1), ("d", "e", 1), ("d", "c", 1)]
    assert sorted(guilty(*ring)) == ["b", "d"]


def test_a_later_wave_tells_of_those_that_gave_up():
    pause = 2 * WAVE_US / 1e6
    first = [("a", "x", 1), ("b", "x", 1)]
    later = [("c", "a", 1 + pause), ("d", "b", 1 + pause), ("e", "c", 1 + 2 * pause)]
    assert guilty(*first, *later) == ["x"]
    assert [q.home for q in first_wave(quarrels(*first, *later))] == ["a", "b"]


def test_without_times_no_wave_is_told_from_another():
    told = quarrels(("a", "x", -1), ("b", "x", -1))
    assert first_wave(told) == told


def test_where_all_quarrel_in_a_ring_only_their_order_tells():
    ring = [(NAMES[k], NAMES[(k + 1) % 7], -1.0) for k in range(7)]
    assert guilty(*ring, n_nodes=7, ordered=False) == []
    assert len(guilty(*ring, n_nodes=7, ordered=True)) == 1
