"""`bench loghub`: labelled logs are found, parsed raw, and compared with their labels."""

from __future__ import annotations

import json

import pytest
from l4fast.cli import main
from l4fast.errors import DataError, NothingToRead
from l4fast.loghub import find, read_labels, run

LABELS = "LineId,Content,EventId,EventTemplate\n"


@pytest.fixture
def datasets(tmp_path):
    """Return a folder with two sets that can be read, one of an unknown system, and a log without labels."""
    add(tmp_path / "HPC", "HPC_2k", ["up 1", "up 2", "down ab"], ["up <*>", "up <*>", "down ab"])
    add(tmp_path / "other" / "Spark", "Spark_full", ["at 1.2.3.4:5", "now"], ["at <*>", "then"])
    add(tmp_path / "Nobody", "Nobody_2k", ["x"], ["x"])
    (tmp_path / "HPC" / "raw.log").write_text("no labels\n")
    return tmp_path


HEADS = {"HPC": "1 node a b 2 3 ", "Spark": "d t INFO c: "}


def add(folder, stem, contents, labels, *, ending="_structured_corrected.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    head = HEADS.get(folder.name, "")
    (folder / f"{stem}.log").write_text("".join(f"{head}{content}\n" for content in contents))
    rows = [f'{i + 1},x,E1,"{label}"\n' for i, label in enumerate(labels)]
    (folder / f"{stem}.log{ending}").write_text(LABELS + "".join(rows))


def test_finds_sets_below_a_folder_and_names_what_it_cannot_read(datasets):
    sets, unknown = find(str(datasets))
    assert [(each.name, each.style) for each in sets] == [("HPC", "2k"), ("Spark", "full")]
    (left_out,) = unknown
    assert left_out.file.endswith("Nobody_2k.log")
    assert "no log format is known" in left_out.reason
    assert [each.style for each in find(str(datasets), labels="full")[0]] == ["full", "full"]
    assert [each.name for each in find(str(datasets / "HPC"))[0]] == ["HPC"]


def test_a_set_may_be_named_by_its_folder_and_corrected_labels_come_first(tmp_path):
    add(tmp_path / "HPC", "sample", ["up 1"], ["wrong"], ending="_structured.csv")
    add(tmp_path / "HPC", "sample", ["up 1"], ["up <*>"])
    (each,) = find(str(tmp_path))[0]
    assert (each.name, each.labels) == (
        "HPC",
        str(tmp_path / "HPC" / "sample.log_structured_corrected.csv"),
    )


def test_compares_each_line_with_its_label(datasets):
    first, second = (run(each) for each in find(str(datasets))[0])
    assert (first.lines, first.labelled, first.unmatched) == (3, 3, 0)
    assert (first.accuracy.ga, first.accuracy.fga, first.accuracy.pa, first.accuracy.fta) == (1, 1, 1, 1)
    # `<*>.<*>.<*>.<*>:<*>` is joined; `now` is another text than `then`, but the same group.
    assert (second.accuracy.ga, second.accuracy.pa, second.accuracy.fta) == (1, 0.5, 0.5)


def test_rows_and_labels_that_differ_in_number_are_told(datasets, capsys):
    with open(datasets / "HPC" / "HPC_2k.log", "a") as log:
        log.write("short\n1 node a b 2 3 up 4\n")
    result = run(find(str(datasets / "HPC"))[0][0])
    assert (result.lines, result.labelled, result.unmatched) == (4, 3, 1)
    told = capsys.readouterr().err
    assert "1 of 5 lines do not fit the log format" in told
    assert "4 rows and 3 labels" in told


def test_labels_are_read_as_they_are_written(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(
        LABELS.encode() + b'1,"a\nb",E1,"say ""x, y"""\n2,,E2,NULL\n3,,E1,"say ""x, y"""\n4,,E3,\xff\n'
    )
    codes, texts = read_labels(str(path))
    assert [texts[code] for code in codes] == ['say "x, y"', "NULL", 'say "x, y"', "\ufffd"]
    path.write_text("LineId,Content\n1,x\n")
    with pytest.raises(DataError, match="labels cannot be read"):
        read_labels(str(path))


def test_the_command_prints_a_table(datasets, capsys):
    assert main(["bench", "loghub", str(datasets)]) == 0
    told = capsys.readouterr()
    head, hpc, spark, average = told.out.splitlines()
    assert head.split() == ["labels", "GA", "FGA", "PA", "FTA", "found/true", "lines", "seconds", "lines/s"]
    assert hpc.split()[:8] == ["HPC", "2k", "1.000", "1.000", "1.000", "1.000", "2/2", "3"]
    assert spark.split()[:8] == ["Spark", "full", "1.000", "1.000", "0.500", "0.500", "2/2", "2"]
    assert average.split() == ["average", "1.000", "1.000", "0.750", "0.750"]
    assert "Nobody_2k.log: no log format is known" in told.err


def test_the_command_prints_one_json_object_and_keeps_the_rows(datasets, tmp_path, capsys):
    out = tmp_path / "rows"
    assert main(["bench", "loghub", str(datasets), "--json", "--labels", "2k", "--out", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "l4fast.loghub/1"
    assert [each["name"] for each in found["sets"]] == ["HPC", "Spark"]
    assert found["sets"][1]["style"] == "2k"
    assert set(found["average"]) == {"ga", "fga", "pa", "fta"}
    assert [each["file"].rsplit("/")[-1] for each in found["skipped"]] == ["Nobody_2k.log"]
    assert {"found", "true", "lines", "unmatched", "labelled", "seconds", "lines_per_s"} < set(
        found["sets"][0]
    )
    names = sorted(path.name for path in out.iterdir())
    assert names == [
        f"{name}.log_{kind}.csv" for name in ("HPC_2k", "Spark_full") for kind in ("structured", "templates")
    ]


def test_a_set_that_cannot_be_read_is_left_out(datasets, capsys):
    (datasets / "HPC" / "HPC_2k.log_structured_corrected.csv").write_text("nothing\n")
    assert main(["bench", "loghub", str(datasets)]) == 0
    assert "HPC_2k.log: it is left out" in capsys.readouterr().err
    assert main(["bench", "loghub", str(datasets / "HPC")]) == 65
    assert "no data set could be read" in capsys.readouterr().err


def test_wrong_usage_is_told(datasets, tmp_path, capsys):
    with pytest.raises(NothingToRead, match="it is no folder"):
        find(str(tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    assert main(["bench", "loghub", str(tmp_path / "empty")]) == 65
    assert "no data set: name a folder" in capsys.readouterr().err
    assert main(["bench", "loghub", str(datasets), "--labels", "other"]) == 64
    # The benchmark names labels and rows alike.
    assert main(["bench", "loghub", str(datasets), "--out", str(datasets / "HPC")]) == 64
    assert "holds the labels" in capsys.readouterr().err


def test_the_samples_have_a_row_for_each_label(shared_data):
    sets, unknown = find(str(shared_data / "loghub-2k"))
    assert len(sets) == 14
    assert unknown == []
    for each in sets:
        result = run(each)
        assert (result.lines, result.unmatched, result.labelled) == (2000, 0, 2000)
