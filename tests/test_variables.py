"""Which words vary: how many different ones it takes, and that the set alone decides."""

import itertools
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.neighbours import groups, masked
from l4fast.typed import MASK
from l4fast.variables import FIRST_VALUES, free, words_of

NAMES = ("ann", "bob", "eve", "joe", "kim", "lee", "max", "pia", "ron", "tom", "uma", "val")


def freed(*messages: str, min_values: int = 4) -> set[str]:
    found = free([m.replace("<*>", MASK) for m in messages], min_values)
    return {text.replace(MASK, "<*>") for text in found.values()}


def test_a_typed_value_vouches_for_the_words_beside_it():
    assert freed("session of user ann closed", "session of user <*> closed") == {"session of user <*> closed"}


def test_one_name_with_different_numbers_is_a_variable():
    assert freed(*(f"link of eth{i} is down" for i in range(2))) == {"link of <*> is down"}
    other = ["link of ee0 is down", "link of alt0 is down"]
    assert freed(*other) == set(other)


def test_identifiers_after_an_equals_sign_or_in_quotes_vary():
    assert freed("load with dtype=torch.half now", "load with dtype=torch.long now") == {
        "load with dtype=<*> now"
    }
    assert freed("class 'FullLoad' is old now", "class 'TorchLoad' is old now") == {"class '<*>' is old now"}


def test_the_name_of_a_value_or_of_an_event_is_no_value():
    lines = [f"{name} of run: <*> and {name}_x=<*>" for name in NAMES]
    assert freed(*lines) == set(lines)
    events = [f'say {{"event": "{name}", "value": <*>}}' for name in NAMES]
    assert freed(*events) == set(events)


def test_states_and_classes_begin_with_a_capital_and_need_more():
    states = ("Started", "Paused", "Resumed", "Stopped")
    assert freed(*(f"the machine is {s} now" for s in states)) == {f"the machine is {s} now" for s in states}


def test_the_first_word_names_the_event_unless_many_differ():
    few, many = NAMES[:6], NAMES[:FIRST_VALUES]
    assert freed(*(f"{name} startup succeeded" for name in few)) == {
        f"{name} startup succeeded" for name in few
    }
    assert freed(*(f"{name} startup succeeded" for name in many)) == {"<*> startup succeeded"}


def test_two_columns_may_vary_together():
    pairs = zip(NAMES[:4], ("red", "green", "blue", "grey"), strict=True)
    assert freed(*(f"task for {a} uses the {b} pool" for a, b in pairs)) == {"task for <*> uses the <*> pool"}


def test_two_columns_vary_together_in_very_many_messages_too():
    letters = "abcdefghijklmnopqrst"
    words = ["".join(pair) for pair in itertools.product(letters, repeat=2)]
    lines = [f"user {a}x logged in from {b}y" for a, b in itertools.product(words[:100], words[100:200])]
    assert freed(*lines[::3]) == {"user <*> logged in from <*>"}


def test_a_word_that_stands_in_many_places_is_one_variable():
    lines = [f"store {n} failed: no index {n}, cannot write {n}" for n in NAMES[:4]]
    assert freed(*lines) == {"store <*> failed: no index <*>, cannot write <*>"}


def test_the_values_of_many_records_vary_though_each_has_few():
    lines = [
        f"audit: op={op} dev={dev} kind={kind} done"
        for op in ("read", "write")
        for dev in ("hda", "hdb")
        for kind in ("file", "dir")
    ]
    assert freed(*lines) == {"audit: op=<*> dev=<*> kind=<*> done"}


@pytest.mark.parametrize("word", ["nan", "inf", "-inf", "NaN"])
def test_what_is_no_number_is_never_a_mere_value(word):
    lines = [f"loss of step is {word} now", "loss of step is <*> now"]
    assert freed(*lines) == set(lines)


def test_something_must_be_left_to_say():
    lines = [f"{name} {other}" for name in NAMES[:6] for other in NAMES[6:]]
    assert freed(*lines) == set(lines)


words = st.sampled_from(
    ["rank", "node", "lost", "ann", "bob", "eve", "joe", "eth0", "eth1", "(", "=", '"', MASK]
)
rows = st.lists(st.lists(words, min_size=1, max_size=6).map(" ".join), max_size=30)


@given(rows, st.randoms(use_true_random=False))
def test_order_does_not_matter(messages, random):
    again = list(messages)
    random.shuffle(again)
    assert free(again, 3) == free(messages, 3)


def naive_candidates(row: tuple[str, ...]):
    """Every set of columns of a row that may be masked together."""
    held = [c for c, word in enumerate(row) if word != MASK and word.isalnum()]
    yield from ((c,) for c in held)
    yield from itertools.combinations(held, 2)
    yield from (c for c in [values_of(row)] if len(c) > 1)
    for word in set(row):
        same = tuple(c for c in held if row[c] == word)
        if len(same) > 1 and len(word) > 2:
            yield same


def values_of(row: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(c for c in range(1, len(row)) if row[c - 1] == "=")


@given(rows)
def test_groups_are_those_that_a_naive_reader_finds(messages):
    table = sorted({words_of(m) for m in messages})
    naive = defaultdict(set)
    for row in table:
        for columns in naive_candidates(row):
            naive[(columns, masked(row, columns))].add(row)
    naive = {k: v for k, v in naive.items() if len(v) > 1 or k[1] in table}
    found = defaultdict(set)
    for columns, merged, members in groups(table, str.isalnum, values_of):
        found[(columns, merged)] |= set(members)
    assert found == naive
