"""A coloured log tells what it tells without colours: times, levels, ranks, verdict and evidence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from l4fast import Session, diagnose
from l4fast import parse as parse_files

LINES = [
    *(f"2026-05-07 10:00:{i:02d},000 [rank{i % 4}] INFO trainer: iteration {i}/ 100" for i in range(20)),
    "2026-05-07 10:00:30,000 [rank3] ERROR trainer: RuntimeError: CUDA error: unknown error",
]  # fmt: skip
LEVEL = re.compile(r"INFO|ERROR")
_RED, _GREEN, _OFF = "\x1b[31m", "\x1b[32m", "\x1b[0m"


def _of(line: str) -> str:
    return _RED if "ERROR" in line else _GREEN


PAINTS = {
    "time": lambda line: f"{_GREEN}{line[:23]}{_OFF}{line[23:]}",
    "line": lambda line: f"{_of(line)}{line}{_OFF}",
    "bold line": lambda line: f"\x1b[1;38;5;196m{line}\x1b[m",
    "level": lambda line: LEVEL.sub(lambda m: f"{_of(line)}{m[0]}{_OFF}", line),
    "rank": lambda line: re.sub(r"rank\d", lambda m: f"\x1b[1m{m[0]}{_OFF}", line),
    "rank and bracket": lambda line: re.sub(r"\[rank\d\]", lambda m: f"\x1b[36m{m[0]}{_OFF}", line),
    "in the time": lambda line: f"{_GREEN}{line[:10]}{_OFF} {_RED}{line[11:23]}{_OFF}{line[23:]}",
    "all": lambda line: (
        f"{_GREEN}{line[:23]}{_OFF} \x1b[36m{line[24:31]}{_OFF} "
        + LEVEL.sub(lambda m: f"{_of(line)}\x1b[1m{m[0]}{_OFF}", line[32:])
    ),
    "message": lambda line: line.replace("trainer: ", "trainer: " + _of(line)) + _OFF,
    "cleared": lambda line: f"\x1b[2K\x1b[1A{line}",
}


def written(tmp_path: Path, lines: list[str], head: bytes = b"") -> str:
    path = tmp_path / "job.log"
    path.write_bytes(head + "".join(f"{line}\n" for line in lines).encode())
    return str(path)


def known(path: str) -> list[dict]:
    rows = [row for found in parse_files(path) for row in found.to_pylist()]
    return [{name: row[name] for name in ("time", "level", "rank", "line")} for row in rows]


def told(path: str) -> dict:
    """What a diagnosis says, but for where and in which colours its evidence stands."""
    found = json.loads(diagnose(path).to_json())
    for event in found["events"]:
        for end in ("first", "last"):
            del event[end]["text"], event[end]["offset"]
    for node in found["nodes"]:
        for each in node["evidence"]:
            del each["text"], each["offset"]
    del found["timing"], found["job"]["bytes"]
    return found


@pytest.mark.parametrize("how", PAINTS)
def test_times_levels_and_ranks_are_read(tmp_path, how):
    painted = [PAINTS[how](line) for line in LINES]
    assert painted != LINES
    want = known(written(tmp_path, LINES))
    assert want[0]["time"] is not None and {row["rank"] for row in want} == {0, 1, 2, 3}
    assert known(written(tmp_path, painted)) == want


@pytest.mark.parametrize("how", PAINTS)
def test_the_diagnosis_is_that_of_the_log_without_colours(tmp_path, how):
    want = told(written(tmp_path, LINES))
    assert want["events"] and want["iterations"]["last_completed"] == 20
    found = told(written(tmp_path, [PAINTS[how](line) for line in LINES]))
    assert found == want


def test_what_is_shown_is_what_was_written(tmp_path):
    painted = [PAINTS["all"](line) for line in LINES]
    path = written(tmp_path, painted)
    rows = [row for found in parse_files(path, text=True, params=True) for row in found.to_pylist()]
    assert [row["text"].decode() for row in rows] == painted
    assert rows[3]["params"] == re.findall(r"\w*\d\w*", LINES[3])
    session = Session()
    session.feed("job.log", Path(path).read_bytes())
    for found in (diagnose(path), session.diagnose()):
        assert found.events[0]["first"]["text"] == painted[-1]
        assert (
            found.events[0]["template"].startswith("RuntimeError: ")
            or "RuntimeError" in found.events[0]["template"]
        )


def test_a_shape_is_the_same_in_every_colour(tmp_path):
    plain = {row["shape"] for found in parse_files(written(tmp_path, LINES)) for row in found.to_pylist()}
    for paint in PAINTS.values():
        path = written(tmp_path, [paint(line) for line in LINES])
        assert {row["shape"] for found in parse_files(path) for row in found.to_pylist()} == plain


def test_words_that_were_glued_to_a_code_are_told_apart(tmp_path):
    path = written(tmp_path, ["\x1b[31mKilled\x1b[0m", "\x1b[32mDone\x1b[0m", "\x1b[33mKilled\x1b[0m"])
    shapes = [row["shape"] for found in parse_files(path) for row in found.to_pylist()]
    assert shapes[0] == shapes[2] != shapes[1]


def test_codes_in_json_are_codes(tmp_path):
    def wrapped(line: str) -> str:
        inside = json.dumps(line + "\n")
        return f'{{"log":{inside},"stream":"stderr","time":"2026-05-07T10:00:00.1Z"}}'

    want = [wrapped(line) for line in LINES]
    painted = [wrapped(PAINTS["all"](line)) for line in LINES]
    assert "\\u001b[" in painted[0]
    names = ("level", "rank", "shape")
    rows = [
        [tuple(row[name] for name in names) for found in parse_files(path) for row in found.to_pylist()]
        for path in (written(tmp_path, want), written(tmp_path, painted))
        if path
    ]
    assert rows[0] == rows[1]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    want = known(written(tmp_path, LINES))
    assert known(written(tmp_path, LINES, b"\xef\xbb\xbf")) == want
    rows = [r for found in parse_files(written(tmp_path, LINES, b"\xef\xbb\xbf")) for r in found.to_pylist()]
    assert rows[0]["offset"] == 0 and len({row["shape"] for row in rows}) == 2


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", b"\xef\xbb\xbf\nx 1\n"])
def test_a_byte_order_mark_and_little_else(tmp_path, data):
    session = Session()
    session.feed("a", data)
    session.end()
    found = session.diagnose().job
    assert (found["bytes"], found["lines"]) == (len(data), data.count(b"\n"))


def test_a_missing_year_is_told_by_coloured_dates(tmp_path):
    (tmp_path / "train.log").write_text(
        "".join(f"\x1b[32m2024-05-07 10:00:0{i}\x1b[0m step {i}\n" for i in range(9))
    )
    (tmp_path / "messages").write_text(
        "May  7 10:00:05 gpu-1 kernel: NVRM: Xid (PCI:0000:1b:00): 79, pid=1\n"
    )
    assert diagnose(str(tmp_path)).job["first_time"].startswith("2024-05-07T10:00:00")
