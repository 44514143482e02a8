"""logparser's interface: a harness that knows nothing of l4fast runs it and reads its two files."""

from __future__ import annotations

import csv
import gzip
import os

import l4fast
import pytest
from l4fast.errors import NothingToRead, UsageError

FORMAT = r"<Date> <Level> <Component>(\[<PID>\])?: <Content>"
LOG = (
    b'd1 INFO a[7]: said "x, y" 5 times\n'
    b"d1 WARN b: caf\xc3\xa9 \xff 17\r\n"
    b"not a line of this format\n"
    b"d2 INFO a[8]: \x1b[31mred\x1b[0m \x00 NULL 3\n"
    b"d3 INFO c:  null\n"
    b"d4 INFO a[9]: one\rd4 INFO a[9]: two"
)


def read(path) -> list[dict[str, str]]:
    """Read a CSV file as the benchmark does, where pandas is there."""
    try:
        import pandas as pd
    except ImportError:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    return pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "app.log").write_bytes(LOG)
    return tmp_path


def test_a_harness_may_pass_what_other_parsers_are_tuned_with(folder, capsys):
    settings = {"rex": [r"\d+"], "depth": 4, "st": 0.5, "maxChild": 100, "tau": 0.1}
    parser = l4fast.LogParser(
        log_format=FORMAT, indir=str(folder / "in"), outdir=str(folder / "new" / "out"), **settings
    )
    parser.parse("app.log")
    rows = read(folder / "new" / "out" / "app.log_structured.csv")
    assert list(rows[0]) == [
        *("LineId", "Date", "Level", "Component", "PID", "Content"),
        *("EventId", "EventTemplate", "ParameterList"),
    ]
    assert [row["LineId"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert [row["PID"] for row in rows] == ["7", "", "8", "", "9", "9"]
    assert [row["Content"] for row in rows] == [
        'said "x, y" 5 times',
        "caf\xe9 \ufffd 17",
        "\x1b[31mred\x1b[0m \x00 NULL 3",
        "null",
        "one",
        "two",
    ]
    assert (rows[0]["EventTemplate"], rows[0]["ParameterList"]) == ('said "x, y" <*> times', "['5']")
    templates = read(folder / "new" / "out" / "app.log_templates.csv")
    assert {t["EventId"]: t["EventTemplate"] for t in templates} == {
        row["EventId"]: row["EventTemplate"] for row in rows
    }
    assert sum(int(t["Occurrences"]) for t in templates) == len(rows)
    told = capsys.readouterr()
    assert told.out == ""
    assert "1 of 7 lines do not fit the log format and have no row" in told.err


def test_parameters_are_left_out_on_request(folder):
    l4fast.LogParser(FORMAT, folder / "in", folder / "out", keep_para=False).parse("app.log")
    assert list(read(folder / "out" / "app.log_structured.csv")[0])[-1] == "EventTemplate"


def test_templates_come_in_the_notation_that_is_asked_for(folder):
    (folder / "in" / "app.log").write_bytes(b"d INFO a: from 10.0.0.1:80 in 3.5 s\n")
    found = {}
    for labels in ("2k", "full"):
        l4fast.LogParser(FORMAT, folder / "in", folder / labels, labels=labels).parse("app.log")
        (row,) = read(folder / labels / "app.log_structured.csv")
        found[labels] = row["EventTemplate"]
    assert found["full"] == "from <*> in <*> s"
    with pytest.raises(UsageError, match="labels is one of 2k, full, not 'other'"):
        l4fast.LogParser(FORMAT, labels="other")


def test_a_compressed_log_is_read_too(folder):
    (folder / "in" / "app.log.gz").write_bytes(gzip.compress(LOG))
    l4fast.LogParser(FORMAT, folder / "in", folder / "out").parse("app.log.gz")
    l4fast.LogParser(FORMAT, folder / "in", folder / "out").parse("app.log")
    rows = [(folder / "out" / f"{name}_structured.csv").read_bytes() for name in ("app.log", "app.log.gz")]
    assert rows[0] == rows[1]


def test_what_cannot_be_done_is_told_in_a_sentence_and_leaves_nothing(folder):
    with pytest.raises(NothingToRead, match=r"absent\.log: it does not exist"):
        l4fast.LogParser(FORMAT, folder / "in", folder / "out").parse("absent.log")
    assert not (folder / "out").exists()
    (folder / "file").write_text("")
    with pytest.raises(UsageError, match="file cannot be written"):
        l4fast.LogParser(FORMAT, folder / "in", folder / "file").parse("app.log")
    with pytest.raises(UsageError, match="has no <Content>"):
        l4fast.LogParser("<Date>")


def test_an_interrupted_run_leaves_what_was_there(folder, monkeypatch):
    out = folder / "out"
    parser = l4fast.LogParser(FORMAT, folder / "in", out)
    parser.parse("app.log")
    before = {name: (out / name).read_bytes() for name in os.listdir(out)}
    (folder / "in" / "app.log").write_bytes(b"d INFO a: something else\n")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("l4fast.logparser.write_templates", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parser.parse("app.log")
    assert {name: (out / name).read_bytes() for name in os.listdir(out)} == before


def test_what_others_are_tuned_with_may_stand_behind_the_folders(tmp_path):
    (tmp_path / "a.log").write_text("step 1 done\nstep 2 done\n")
    parser = l4fast.LogParser("<Content>", tmp_path, tmp_path / "out", 4, 0.5, 100, [], True)
    assert [t.text for t in parser.parse("a.log").templates] == ["step <*> done"]


def test_a_folder_is_no_log(tmp_path):
    (tmp_path / "logs").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        l4fast.LogParser("<Content>", tmp_path, tmp_path / "out").parse("logs")
