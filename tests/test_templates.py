"""Set of shapes -> templates: what becomes a variable, and that the set alone decides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.canonical import shape_id
from l4fast.templates import MIN_VALUES, Template, count, derive

NAMES = ("ann", "bob", "eve", "joe", "kim", "lee")

words = st.sampled_from(
    ["rank", "node", "lost", "found", "ann", "bob", "eve", "joe", "kim", "<*>", "(a)", "-"]
)
shapes = st.lists(st.lists(words, min_size=1, max_size=5).map(" ".join), max_size=40)


def texts(found) -> set[str]:
    return {template.text for template in found.values()}


def test_a_column_with_many_values_is_a_variable():
    assert texts(derive(f"user {name} logged in" for name in NAMES)) == {"user <*> logged in"}


def test_few_different_words_may_be_few_different_events():
    few = [f"user {name} logged in" for name in NAMES[: MIN_VALUES - 1]]
    assert texts(derive(few)) == set(few)


def test_lines_of_different_length_are_different_events():
    lines = [f"user {name} in" for name in NAMES] + ["user in"]
    assert texts(derive(lines)) == {"user <*> in", "user in"}


def test_a_template_keeps_something_to_say():
    # Freeing the only constant words would leave nothing.
    lines = ["connect timeout", "read timeout", "write timeout", "store timeout", "barrier timeout"]
    assert texts(derive(lines)) == set(lines)


def test_neighbouring_variables_stay_two():
    found = derive(f"host {name} <*> is ready now" for name in NAMES)
    assert texts(found) == {"host <*> <*> is ready now"}


def test_how_many_values_a_list_has_does_not_matter():
    lines = ["groups [<*>, <*>] are ready", "groups [<*>, <*>, <*>] are ready", "groups [<*>] are ready"]
    assert texts(derive(lines)) == {"groups [<*>] are ready"}


def test_a_bracketed_tag_of_punctuation_is_part_of_the_event():
    lines = [f"state {tag} of the pool" for tag in ("--", "++", "==", "**", "##")]
    assert texts(derive(lines)) == set(lines)


def test_two_events_do_not_flow_together():
    lines = [f"rank {name} joined the group" for name in NAMES]
    lines += [f"rank {name} left the group" for name in NAMES]
    assert texts(derive(lines)) == {"rank <*> joined the group", "rank <*> left the group"}


def test_the_id_is_that_of_the_text():
    (template,) = derive(["step <*> done"]).values()
    assert template == Template(shape_id("step <*> done"), "step <*> done")


@given(shapes, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(lines, random):
    again = [*lines, *lines]
    random.shuffle(again)
    assert derive(again) == derive(lines)


@given(shapes)
def test_every_shape_has_a_template_of_its_own_words(lines):
    found = derive(lines)
    assert set(found) == set(lines)
    for line, template in found.items():
        assert set(template.text.split()) <= {*line.split(), "<*>"}
        assert template.id == shape_id(template.text)


@given(shapes)
def test_min_values_above_the_number_of_shapes_frees_nothing(lines):
    found = derive(lines, min_values=len(lines) + 2)
    for line, template in found.items():
        assert template.text.replace("<*>", "").split() == line.replace("<*>", "").split()


def test_counts_add_up_over_the_shapes_of_a_template():
    lines = {f"user {name} logged in": i + 1 for i, name in enumerate(NAMES)} | {"bye": 50}
    assert [(t.text, n, k) for t, n, k in count(lines)] == [("bye", 50, 1), ("user <*> logged in", 21, 6)]


@given(st.dictionaries(shapes.map(lambda s: s[0] if s else "x"), st.integers(1, 9), max_size=20))
def test_no_line_is_lost_in_the_counts(lines):
    table = count(lines)
    assert sum(n for _, n, _ in table) == sum(lines.values())
    assert sum(k for _, _, k in table) == len(lines)
    assert len({t.id for t, _, _ in table}) == len(table)


@pytest.mark.parametrize("lines", [[], [""], ["<*>"], ["<*> <*>"]])
def test_nothing_much(lines):
    assert set(derive(lines)) == set(lines)
