"""Patterns wait for their first use, and then are what `re` makes of them."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import l4fast
import pytest
from l4fast.regexes import Waiting, regex
from l4fast.rule import Rule

PACKAGE = Path(l4fast.__file__).parent


def test_a_pattern_is_compiled_when_it_is_first_used():
    waiting = regex(r"(?P<n>\d+) of (?P<all>\d+)", re.ASCII)
    assert "compiled" not in vars(waiting)
    assert waiting.search("step 3 of 16")["all"] == "16"
    assert "compiled" in vars(waiting)
    assert waiting.search.__self__ == re.compile(r"(?P<n>\d+) of (?P<all>\d+)", re.ASCII)


def test_it_is_what_re_would_compile():
    for source, flags in ((r"a(?P<x>b)?|c", re.IGNORECASE), (rb"[0-9]+", 0)):
        waiting, compiled = regex(source, flags), re.compile(source, flags)
        assert (waiting.pattern, waiting.flags) == (compiled.pattern, compiled.flags)
        assert dict(waiting.groupindex) == dict(compiled.groupindex)
    assert regex(rb"[0-9]+").sub(b"#", b"a1b22") == b"a#b#"
    assert regex("b").split("abc") == ["a", "c"]


def test_a_mistake_is_told_at_the_first_use():
    waiting = regex("(")
    with pytest.raises(re.error):
        waiting.match("")


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_no_file_compiles_a_pattern_as_it_is_imported(path):
    inside = {
        inner
        for outer in ast.walk(ast.parse(path.read_text()))
        if isinstance(outer, ast.FunctionDef)
        for inner in range(outer.lineno, (outer.end_lineno or 0) + 1)
    }
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    at_once = [c.lineno for c in calls if ast.unparse(c) == "re.compile" and c.lineno not in inside]
    assert not at_once, f"{path.name}: lines {at_once}: `regexes.regex` waits"


def test_every_pattern_of_the_package_compiles():
    modules = [
        importlib.import_module(f"l4fast.{path.stem}")
        for path in PACKAGE.glob("*.py")
        if path.stem != "__main__"
    ]
    patterns = [one for module in modules for value in vars(module).values() for one in waiting_in(value)]
    assert len(patterns) > 200
    for one in patterns:
        assert one.groups >= 0


def waiting_in(value: object) -> list[Waiting]:
    """The patterns that a value is or holds."""
    if isinstance(value, Rule):
        return waiting_in(value.pattern)
    if isinstance(value, dict):
        return waiting_in(tuple(value.values()))
    if isinstance(value, list | tuple):
        return [one for inner in value for one in waiting_in(inner)]
    return [value] if isinstance(value, Waiting) else []
