"""The text of a template is what its wordings share, whatever their order."""

import re

from hypothesis import example, given
from hypothesis import strategies as st
from l4fast.align import common
from l4fast.typed import MASK
from l4fast.variables import words_of

messages = st.lists(
    st.lists(st.sampled_from(["a", "bb", "c", MASK, " ", "=", "(", ")", ","]), min_size=1, max_size=9).map(
        "".join
    ),
    min_size=1,
    max_size=6,
)


def share(*lines: str) -> str:
    return common([words_of(line.replace("<*>", MASK)) for line in lines]).replace(MASK, "<*>")


def test_words_that_differ_are_a_variable():
    assert share("sent <*> MB to a", "sent <*> KB to a") == "sent <*> <*> to a"


def test_what_one_wording_has_more_is_a_variable():
    assert share("list of <*> <*> <*> done", "list of <*> <*> done") == "list of <*> done"
    assert share("user= uid=<*>", "user=ann uid=<*>") == "user=<*> uid=<*>"


def test_a_part_that_may_be_missing_keeps_its_blanks():
    assert share("<*> bytes (<*> KB) sent", "<*> bytes sent") == "<*> bytes <*> sent"


def test_two_wordings_of_one_length_are_not_compared_crosswise():
    assert share("name=x id=<*> host=", "name= id=<*> host=y") == "name=<*> id=<*> host=<*>"


def test_one_wording_is_its_own_template():
    assert share("nothing varies here") == "nothing varies here"


@given(messages, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(lines, random):
    again = [*lines, *lines]
    random.shuffle(again)
    assert share(*again) == share(*lines)


@given(messages)
@example(["a b c", "a c"])
def test_each_wording_fits_the_template(lines):
    # A part that some wordings lack takes its blank with it.
    pattern = re.sub(r"(?:\\ )*<\\\*>(?:\\ )*", "(?s:.*)", re.escape(share(*lines)))
    for line in lines:
        assert re.fullmatch(pattern, line.replace(MASK, "<*>"))
