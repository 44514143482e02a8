"""A confirmed event becomes a signature: its pattern, its samples, and that it names the next failure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.errors import DataError, UsageError
from l4fast.library import load
from l4fast.signature_learn import check, event_of, learned, pattern_of, titled, toml
from l4fast.stream import diagnose

STORY = """\
2026-05-07 12:00:00,100 INFO step 1 done
2026-05-07 12:00:01,100 INFO step 2 done
2026-05-07 12:00:02,100 INFO step 3 done
2026-05-07 12:00:03,100 INFO step 4 done
2026-05-07 12:00:04,100 ERROR frobnicator on shelf {shelf} lost its marbles (code={code})
2026-05-07 12:00:05,100 ERROR giving up
srun: error: n1: task 0: Exited with exit code 1
"""


def _event(text: str, template: str, **more: Any) -> dict[str, Any]:
    place = {"file": "f", "line": 1, "offset": 0, "text": text}
    return {
        "event_id": "e1",
        "template": template,
        "values": {},
        "role": "root",
        "category": None,
        "first": place,
        "last": place,
        **more,
    }


def _found(*events: dict[str, Any]) -> dict[str, Any]:
    return {"schema": "l4fast.diagnosis/1", "events": list(events)}


def _learn(found: dict[str, Any], **more: Any) -> str:
    asked = {
        "event_id": None,
        "title": None,
        "category": None,
        "role": None,
        "advice": "",
        "origin": "a test",
    }
    return learned(found, "mine", **{**asked, **more})


def test_what_was_learned_names_the_next_failure(tmp_path: Path) -> None:
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    first.write_text(STORY.format(shelf="r7", code=12))
    second.write_text(STORY.format(shelf="r9", code=31))
    before = diagnose([str(first)])
    assert before.cause["signature"] is None

    event = next(e for e in before.events if "frobnicator" in e["template"])
    text = _learn(before.to_dict(), event_id=event["event_id"], category="hardware.host", role="root")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "a.toml").write_text(text)
    after = diagnose([str(second)], library=load([tmp_path / "ours"]))

    assert after.cause["signature"] == "mine" and after.cause["category"] == "hardware.host"
    assert [e["signature"] for e in after.events if e["role"] == "root"] == ["mine"]


def test_a_value_that_decides_is_part_of_the_pattern() -> None:
    found = _found(
        _event(
            "worker 3 ended: exit code 7 again",
            "worker <*> ended: exit code <*> again",
            values={"exit_code": "7"},
        )
    )

    (signature,) = check(_learn(found), "mine").signatures

    assert signature.regex.search("worker 8 ended: exit code 7 again")
    assert not signature.regex.search("worker 8 ended: exit code 9 again")


def test_samples_and_spares_come_from_the_diagnosis() -> None:
    other = _event("all is well on host 5", "all is well on host <*>", event_id="e2")
    found = _found(_event("the shelf r7 is\tlost 'for' good", "the shelf <*> is lost 'for' good"), other)

    (signature,) = check(_learn(found), "mine").signatures

    assert signature.matches == ("the shelf r7 is\tlost 'for' good",)
    assert signature.spares == ("all is well on host 5",)


@pytest.mark.parametrize("template", ["<*> <*>", "a <*>", "12 : <*> --", ""])
def test_a_template_of_few_words_is_refused(template: str) -> None:
    with pytest.raises(DataError, match="too few words"):
        _learn(_found(_event("whatever 5", template)))


def test_a_template_that_does_not_fit_its_lines_is_refused() -> None:
    with pytest.raises(DataError, match="no pattern fits"):
        _learn(_found(_event("something else", "an entirely different <*> story <*> here")))


def test_what_is_no_diagnosis_and_what_it_does_not_hold_is_told() -> None:
    with pytest.raises(DataError, match="l4fast diagnose PATH --json"):
        _learn({"schema": "other"})
    with pytest.raises(DataError, match="no event"):
        _learn(_found())
    with pytest.raises(UsageError, match=r"no event 'e9'.*e1"):
        _learn(_found(_event("a long enough text 5", "a long enough text <*>")), event_id="e9")


@pytest.mark.parametrize(
    "events",
    [
        {},
        {"events": None},
        {"events": [5]},
        {"events": [{"event_id": "e1"}]},
        {"events": [{**_event("a text of 5 words", "a text of <*> words"), "first": "x"}]},
        {"events": [{**_event("a text of 5 words", "a text of <*> words"), "values": None}]},
        {"events": [{**_event("a text of 5 words", "a text of <*> words"), "template": 5}]},
    ],
)
def test_a_diagnosis_whose_events_are_damaged_is_told(events: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="damaged: write it again"):
        _learn({"schema": "l4fast.diagnosis/1", **events})


def test_an_event_is_chosen_by_its_id_or_by_its_words_and_else_is_the_first_root() -> None:
    first = _event("the shelf 5 fell down", "the shelf <*> fell down", role="consequence")
    second = _event("the shelf 6 fell apart", "the shelf <*> fell apart", event_id="e2")
    found = _found(first, second)

    assert event_of(found, None) is second
    assert event_of(found, "e1") is first and event_of(found, "fell down") is first
    assert event_of(found, "shelf 6") is second
    with pytest.raises(UsageError, match=r"2 events hold 'shelf'.*e1.*e2"):
        event_of(found, "shelf")
    with pytest.raises(UsageError, match=r"no root.*--event.*e1"):
        event_of(_found(first), None)


def test_a_title_is_the_words_of_the_line() -> None:
    assert titled("link <*> of <*> is down") == "link … of … is down"
    assert len(titled("very " * 40 + "long")) <= 80


words = st.text(
    st.characters(codec="utf-8", exclude_characters="<>*\n", exclude_categories=["Cs", "Z", "C"]), min_size=1
)


@given(st.lists(words, min_size=1), st.lists(st.booleans(), min_size=1))
def test_a_pattern_fits_its_line_and_toml_keeps_it(parts: list[str], hidden: list[bool]) -> None:
    line = " ".join(["certainly", *parts, "remembered"])
    masked = ["<*>" if hide else part for part, hide in zip(parts, hidden, strict=False)]
    template = " ".join(["certainly", *masked, *parts[len(masked) :], "remembered"])

    pattern = pattern_of(template, [line])

    assert re.search(pattern, line, re.ASCII)
    keys = {
        "title": line,
        "role": "benign",
        "pattern": pattern,
        "source": "x",
        "matches": [line],
        "spares": ["0"],
    }
    for name in ("mine", "mine.0-a"):
        (signature,) = check(toml(name, keys), name).signatures
        assert (signature.id, signature.pattern, signature.matches) == (name, pattern, (line,))
        assert signature.title == line
