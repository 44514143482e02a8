"""Files of record batches: what is packed together, and a writer in a thread of its own."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from l4fast import sheets
from l4fast.sheets import beside, fitting, write_sheets
from l4fast.table import CODE

FORM = pa.schema([("n", pa.int32()), ("code", CODE)])


def rows(n: int) -> pa.RecordBatch:
    """As many rows, each with another number and the same word of a long dictionary."""
    codes = pa.DictionaryArray.from_arrays(pa.array([7] * n, pa.int32()), list("abcdefgh"))
    return pa.record_batch([pa.array(range(n), pa.int32()), codes], FORM)


def test_row_groups_are_cut_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sheets, "ROW_GROUP_BYTES", 400)
    target = tmp_path / "x.parquet"

    write_sheets([(target, rows(20))] * 7, form=FORM, first=None)

    file = pq.ParquetFile(target)
    assert [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)] == [60, 60, 20]
    assert file.read()["n"].to_pylist() == [*range(20)] * 7


def test_a_long_dictionary_is_cut_to_what_is_used():
    column = pa.chunked_array(
        [pa.DictionaryArray.from_arrays(pa.array([7, None, 7], pa.int32()), list("abcdefgh"))]
    )
    assert fitting(column).chunk(0).dictionary.to_pylist() == ["h"]
    assert fitting(column).to_pylist() == ["h", None, "h"]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_the_first_file_is_made_in_any_case_and_others_as_they_come(tmp_path: Path, suffix: str):
    first, second = tmp_path / f"a{suffix}", tmp_path / "below" / f"b{suffix}"

    write_sheets([(second, rows(2))], form=FORM, first=first)

    read = pq.read_table if suffix == ".parquet" else lambda path: pa.ipc.open_file(path).read_all()
    assert (read(first).num_rows, read(second).num_rows) == (0, 2)


def test_items_are_taken_in_order_and_an_error_reaches_whoever_hands_them_over():
    seen: list[int] = []

    def work(items):
        for item in items:
            seen.append(item)
            if item == 3:
                raise OSError(28, "No space left on device")

    with beside(seen.extend) as put:
        for k in range(3):
            put(k)
    assert seen == [0, 1, 2]
    with pytest.raises(OSError, match="No space"), beside(work) as put:
        for k in range(100):
            put(k)
    assert seen == [0, 1, 2, 0, 1, 2, 3]
