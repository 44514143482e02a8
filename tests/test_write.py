"""Logs to record batches, Parquet and Arrow: the same answer however the logs are cut and ordered."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import l4fast
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast import sheets
from l4fast import write as writing
from l4fast.errors import DataError, NothingToRead, UsageError
from l4fast.write import write

LOG = [
    b"2024-05-08 08:47:31 INFO step 1 loss 3.5\n",
    b"2024-05-08 08:47:32 INFO step 2 loss 3.25\n",
    b"user ann logged in\n",
    b"user bob logged in\n",
    b"user eve logged in\n",
    b"user joe logged in\n",
    b"2024-05-08 08:47:33 ERROR lost peer 7\n",
    b"10%\r20%\rdone 3\n",
]
MORE = [f"{name} failed at 7\n".encode() for name in "pqrst"]


def read_back(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    with pa.ipc.open_file(path) as file:
        return file.read_all()


def as_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    for name, lines in {"a.log": LOG, "n1/b.log": LOG[2:], "n2/b.log": LOG[5:]}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"".join(lines))
    return folder


@given(st.data())
def test_templates_depend_on_the_lines_alone(data):
    lines = data.draw(st.lists(st.sampled_from(LOG + MORE), min_size=1))
    file_of = data.draw(st.lists(st.integers(0, 3), min_size=len(lines), max_size=len(lines)))
    names = data.draw(st.permutations([f"{k}.log" for k in sorted(set(file_of))]))
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole.log")
        whole.write_bytes(b"".join(lines))
        for line, k in zip(lines, file_of, strict=True):
            with open(Path(folder, f"{k}.log"), "ab") as file:
                file.write(line)
        want = l4fast.parse(whole)
        got = l4fast.parse([Path(folder, name) for name in names], chunk_bytes=data.draw(st.integers(1, 200)))
        n_rows = [sum(batch.num_rows for batch in batches) for batches in (want, got)]

    assert n_rows == [len(lines), len(lines)]
    assert as_bytes(got.templates()) == as_bytes(want.templates())


def test_written_templates_are_the_same_bytes_in_any_order_and_cut(tmp_path, logs):
    files = sorted(map(str, logs.rglob("*.log")))
    write(files, tmp_path / "one.parquet")
    write(files[::-1], tmp_path / "two.parquet", chunk_bytes=40)

    one, two = (tmp_path / f"{n}.templates.parquet" for n in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    (user,) = {r["template_id"] for r in read_back(one).to_pylist() if r["template"] == "user <*> logged in"}
    assert sum(t == user for t in read_back(tmp_path / "two.parquet")["template"].to_pylist()) == 4 + 4 + 1


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("chunk_bytes", [1, 60, 1 << 20])
def test_what_is_written_is_what_is_iterated(tmp_path, logs, suffix, chunk_bytes):
    out = tmp_path / f"lines{suffix}"
    report = write([str(logs)], str(out), text=True, params=True, chunk_bytes=chunk_bytes)

    iterated = l4fast.parse(logs, text=True, params=True)
    want = pa.Table.from_batches(list(iterated), iterated.schema)
    got = read_back(out)
    assert got.drop_columns(["template", "values", "types"]).to_pylist() == want.to_pylist()
    assert got.schema.types == writing.schema(template=True, text=True, params=True).types
    assert (report.out, report.lines, report.unreadable) == (str(out), want.num_rows, ())
    templates = read_back(out.with_suffix(f".templates{suffix}"))
    assert templates.equals(iterated.templates())
    assert report.templates == len(set(templates["template_id"].to_pylist()))
    template_of = dict(zip(templates["shape"].to_pylist(), templates["template_id"].to_pylist(), strict=True))
    assert got["template"].to_pylist() == [template_of[shape] for shape in got["shape"].to_pylist()]


def test_written_ranks_are_those_of_the_whole_job(tmp_path):
    log = tmp_path / "job.log"
    log.write_bytes(b"0: step 1\n1: step 1\n" * 3)

    write(log, tmp_path / "x.parquet")

    assert {rank for batch in l4fast.parse(log) for rank in batch["rank"].to_pylist()} == {None}
    assert read_back(tmp_path / "x.parquet")["rank"].to_pylist() == [0, 1] * 3


def test_a_folder_gets_a_file_per_log_that_reads_as_one_table(tmp_path, logs):
    out = tmp_path / "tables"
    report = write([str(logs)], f"{out}/", params=True)

    names = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert names == ["_templates.parquet", "a.log.parquet", "n1/b.log.parquet", "n2/b.log.parquet"]
    assert read_back(out / "n2/b.log.parquet")["line"].to_pylist() == [1, 2, 3]
    assert ds.dataset(out).to_table().num_rows == report.lines == 8 + 6 + 3
    assert set(read_back(out / "n1/b.log.parquet")["file"].to_pylist()) == {str(logs / "n1/b.log")}


def test_logs_of_one_name_do_not_overwrite_each_other(tmp_path, logs):
    out = tmp_path / "tables"
    out.mkdir()
    (out / "mine.txt").write_text("kept")

    write([str(logs / "n1/b.log"), str(logs / "n2/b.log")], out)

    names = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert names == ["_templates.parquet", "mine.txt", "n1/b.log.parquet", "n2/b.log.parquet"]


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("x.csv", "end the name in .parquet or .arrow"),
        ("no/such/x.parquet", "there is no folder"),
        ("no/such/", "there is no folder"),
        ("", "empty"),
        ("plain", "is no folder"),
    ],
)
def test_a_bad_target_is_one_sentence_and_nothing_is_read(tmp_path, monkeypatch, out, words):
    monkeypatch.chdir(tmp_path)
    Path("plain").write_text("a file")

    with pytest.raises(UsageError, match=words) as error:
        write(["no.log"], out)

    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["plain"]


@pytest.mark.parametrize("out", ["x.parquet", "x.arrow", "tables/", "old.parquet"])
@pytest.mark.parametrize("trouble", ["writer", "interrupt", "changed", "nothing"])
def test_trouble_leaves_nothing(tmp_path, logs, monkeypatch, out, trouble):
    (tmp_path / "old.parquet").write_text("old")
    before = sorted(tmp_path.rglob("*"))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def stop(_: int) -> None:
        if passes:
            raise KeyboardInterrupt

    passes: list[int] = []

    def read_then(*args: object, **kwargs: object) -> object:
        got = read(*args, **kwargs)
        passes.append(1)
        if trouble == "changed":
            (logs / "a.log").write_bytes(b"something else\n" + b"".join(LOG)[15:])
        return got

    read = writing.read
    monkeypatch.setattr(writing, "read", read_then)
    if trouble == "writer":
        monkeypatch.setattr(sheets.Sheet, "add", fail)
    paths = [str(logs / "none.log")] if trouble == "nothing" else [str(logs)]
    expected = {
        "writer": OSError, "interrupt": KeyboardInterrupt, "changed": DataError, "nothing": NothingToRead,
    }[trouble]  # fmt: skip

    with pytest.raises(expected):
        write(paths, str(tmp_path / out), tick=stop if trouble == "interrupt" else None, chunk_bytes=30)

    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "old.parquet").read_text() == "old"


def test_each_pass_is_half_of_the_progress(tmp_path, logs):
    ticks: list[int] = []

    write([str(logs)], tmp_path / "x.parquet", tick=ticks.append)

    total = sum(p.stat().st_size for p in logs.rglob("*.log"))
    assert total - len(ticks) <= sum(ticks) <= total


def test_templates_wait_for_the_last_batch(logs):
    batches = l4fast.parse(str(logs))
    next(batches)

    with pytest.raises(UsageError, match="read all batches first"):
        batches.templates()


def test_nothing_to_read_is_told_at_once(tmp_path):
    with pytest.raises(NothingToRead):
        l4fast.parse(tmp_path / "none.log")


def test_a_pipe_is_read_twice(tmp_path):
    out = tmp_path / "x.arrow"
    command = [sys.executable, "-m", "l4fast", "parse", "-", "-o", str(out), "--text"]
    done = subprocess.run(command, input=b"".join(LOG), capture_output=True, check=True)

    assert read_back(out)["text"].to_pylist() == [line.rstrip(b"\n") for line in LOG]
    assert b"8 lines, 4 templates" in done.stderr


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout.strip()


def test_importing_the_package_imports_nothing_slow():
    slow = "numpy pyarrow numba hyperscan orjson rich"
    assert run(f"import sys, l4fast; print([m for m in '{slow}'.split() if m in sys.modules])") == "[]"


def test_public_names_are_functions_whatever_was_imported_before():
    code = (
        "import l4fast.parse, l4fast.diagnose, l4fast.simulate, l4fast, sys; from l4fast import parse;"
        "from l4fast.parse import Parser; l4fast.Session;"
        "print(*(getattr(l4fast, n).__module__ for n in ('parse', 'diagnose', 'simulate')),"
        "parse is l4fast.parse, sys.modules['l4fast.parse'].Parser is Parser)"
    )
    assert run(code) == "l4fast.batches l4fast.stream l4fast.simulate True True"


def test_every_public_name_is_there():
    assert [getattr(l4fast, name).__name__ for name in l4fast.__all__] == l4fast.__all__
    assert l4fast.__version__ == version("l4fast")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = l4fast.nonsense


# ------------------------------------------------------------------- a vocabulary that explodes


def letters(number: int) -> str:
    """A word without a digit for each number, none of them known."""
    return "zq" + "".join(chr(ord("a") + int(digit)) for digit in f"{number:05}")


@pytest.fixture
def growing(tmp_path: Path) -> Path:
    """Logs with ever new users: 3,000 in one, 100 of them new in the other."""
    folder = tmp_path / "growing"
    folder.mkdir()
    for name, users in {"a.log": range(3000), "b.log": range(2900, 3100)}.items():
        lines = [f"user {letters(k)} cannot log in\n" for k in users]
        (folder / name).write_text("".join([*lines, "training done\n"]))
    return folder


def test_each_line_that_is_written_has_the_shape_of_its_bucket(tmp_path, growing):
    report = write(growing, tmp_path / "out.parquet", text=True)

    rows = read_back(tmp_path / "out.parquet")
    assert [row["file"].rsplit("/", 1)[1] for row in rows.select(["file"]).to_pylist()] == (
        ["a.log"] * 3001 + ["b.log"] * 201
    )
    table = read_back(tmp_path / "out.templates.parquet").to_pylist()
    assert {(row["template"], row["count"]) for row in table} == {
        ("user <*> cannot log in", 3200),
        ("training done", 2),
    }
    template_of = {row["shape"]: row["template"] for row in table}
    for shape, text in zip(rows["shape"].to_pylist(), rows["text"].to_pylist(), strict=True):
        assert template_of[shape].startswith(text.decode().split()[0])
    assert report.collapsed == "1 kind of lines has more than 128 forms, counted as one (3,200 lines)"


def test_the_lines_of_a_collapsed_kind_have_no_values(tmp_path, growing):
    write(growing, tmp_path / "out.parquet", params=True)
    assert {len(values) for values in read_back(tmp_path / "out.parquet")["values"].to_pylist()} == {0}


def test_shapes_that_were_given_before_the_collapse_have_its_template(growing):
    batches = l4fast.parse(growing, chunk_bytes=4000)
    given = [shape for batch in batches for shape in batch["shape"].to_pylist()]

    table = batches.templates().to_pylist()
    template_of = {row["shape"]: row["template"] for row in table}
    assert len(template_of) == len(table) == len(set(given))
    assert {template_of[shape] for shape in given} == {"user <*> cannot log in", "training done"}
    assert sum(row["count"] for row in table) == len(given) == 3202
    assert batches.collapsed == 1
