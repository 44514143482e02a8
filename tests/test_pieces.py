"""One large file, read by several workers: the answer does not tell how it was cut."""

import gzip
import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast import fold, pieces
from l4fast.discovery import discover
from l4fast.parse import Parser
from l4fast.simulate import simulate
from l4fast.stream import diagnose, read

from jobs import DAY, at, library
from test_fold import state

SAYINGS = (
    "iteration {n}/ 100 | loss: 2.5 | elapsed time per iteration (ms): {n}.5",
    "loading shard {n}",
    "fetched in {n}.5 ms",
    "RuntimeError: lost peer {n}",
    " 5%|# | {n}/100 [00:01]\r 6%|# | 6/100 [00:02]",
    "saving checkpoint at iteration {n} to /ckpt",
    "",
    "host{n}:4711{n}:4712 [3] NCCL INFO comm 0x7f rank {n} nranks 64 cudaDev 3 - Init COMPLETE",
)
told = st.lists(
    st.tuples(
        st.integers(0, 3),  # rank
        st.sampled_from(SAYINGS),
        st.integers(0, 40),
        st.integers(-1, 9),  # the seconds of its time; -1: it has none
    ),
    max_size=80,
)


def written(lines) -> bytes:
    text = "".join(
        f"{rank}: {f'{at(seconds)} INFO ' if seconds >= 0 else ''}{saying.format(n=n)}\n"
        for rank, saying, n, seconds in lines
    )
    return text.encode()


def of(folder: Path, workers: int) -> dict[str, object]:
    """All that a job's analysis sees, and the texts of its rows."""
    job = read([str(folder)], library(), workers=workers).job
    rows = job.rows
    kept = [rows.text_at.tolist(), rows.text_size.tolist(), rows.content_at.tolist(), job.texts]
    return {**state(job), "raws": job.raws, "kept": kept}


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(pieces, "LEAST_BYTES", 200)


@pytest.mark.usefixtures("small_pieces")
@given(told, told)
def test_the_job_is_the_same_whoever_reads_which_bytes(first, second):
    with tempfile.TemporaryDirectory() as folder:
        for name, lines in (("a.log", first), ("b.log", second)):
            Path(folder, name).write_bytes(written(lines) or b"nothing\n")
        whole = of(Path(folder), 1)
        for workers in (2, 3, 7):
            assert of(Path(folder), workers) == whole


@pytest.mark.usefixtures("small_pieces")
@given(told)
def test_rows_and_durations_that_are_kept_are_the_first(lines):
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        for name, most in (
            ("ROWS_OF_SUSPECT", 5),
            ("ROWS_OF_ORDINARY", 3),
            ("TEXTS_OF_SUSPECT", 2),
            ("TEXTS_OF_ORDINARY", 1),
        ):
            patch.setattr(fold, name, most)
        Path(folder, "a.log").write_bytes(written(lines) or b"nothing\n")
        assert of(Path(folder), 3) == of(Path(folder), 1)


@pytest.mark.usefixtures("small_pieces")
@given(told, st.integers(1, 6), st.integers(1, 6))
def test_speakers_of_a_file_are_told_by_the_same_labels_in_all_of_it(lines, most, more):
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(Parser.__init__, "__kwdefaults__", {
            **Parser.__init__.__kwdefaults__, "most_speakers": (most, most + more),
        })  # fmt: skip
        Path(folder, "a.log").write_bytes(written(lines) or b"nothing\n")
        assert of(Path(folder), 3) == of(Path(folder), 1)


@pytest.mark.usefixtures("small_pieces")
@given(told, st.integers(2, 8))
def test_pieces_cover_a_file_and_begin_with_a_timed_line(lines, workers):
    with tempfile.TemporaryDirectory() as folder:
        data = written(lines) or b"nothing\n"
        Path(folder, "a.log").write_bytes(data)
        found = pieces.pieces(discover([folder]).streams, workers, reference_day=DAY)
    assert [piece.number for piece in found] == list(range(len(found)))
    assert found[0].begin == 0 and found[-1].end is None
    assert sum(piece.size for piece in found) == len(data)
    for before, after in itertools.pairwise(found):
        assert before.end == after.begin
        line = data[after.begin :].split(b"\n")[0]
        assert data[after.begin - 1 : after.begin] == b"\n" and b" INFO " in line
    shares = pieces.deal(found, workers)
    assert sorted(p.number for share in shares for p in share) == list(range(len(found)))


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_streams_are_dealt_out_once_each(n):
    sizes = [5, 900, 30, 1, 0, 400]
    found = [pieces.Piece(k, k, size=size) for k, size in enumerate(sizes)]
    shares = pieces.deal(found, n)
    numbers = [[piece.number for piece in share] for share in shares]
    assert sorted(itertools.chain(*numbers)) == list(range(6))
    assert len(shares) == min(n, 6)
    assert all(share == sorted(share) for share in numbers)


def test_a_long_file_is_cut_and_a_short_or_compressed_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "LEAST_BYTES", 10_000)
    data = written((r, "loading shard {n}", 7, 5) for r in range(1000))
    (tmp_path / "long.log").write_bytes(data)
    (tmp_path / "short.log").write_bytes(data[:10_000])
    (tmp_path / "packed.log.gz").write_bytes(gzip.compress(data))
    (tmp_path / "timeless.log").write_bytes(b"no time in it\n" * 2000)
    found = pieces.pieces(discover([str(tmp_path)]).streams, 2, reference_day=DAY)
    names = [Path(discover([str(tmp_path)]).streams[piece.stream].name).name for piece in found]
    assert sorted(names) == ["long.log", "long.log", "packed.log.gz", "short.log", "timeless.log"]


@pytest.mark.parametrize(("style", "fault"), [("nemo", "hang"), ("hf", "nan"), ("titan", "gpu-xid79")])
def test_the_diagnosis_of_one_console_does_not_depend_on_the_workers(tmp_path, monkeypatch, style, fault):
    monkeypatch.setattr(pieces, "LEAST_BYTES", 4096)
    simulate(tmp_path / "job", style=style, nodes=3, iterations=40, fault=fault, seed=3)
    logs = str(tmp_path / "job" / "logs")

    def told(workers: int) -> tuple[dict[str, object], list[dict[str, object]]]:
        found = diagnose([logs], workers=workers, library=library())
        return {k: v for k, v in found.to_dict().items() if k != "timing"}, found.failure_rows

    cut = pieces.pieces(discover([logs]).streams, 4, reference_day=DAY)
    assert len(cut) >= 4
    once = told(1)
    assert once[0]["events"]
    for workers in (2, 4, 9):
        assert told(workers) == once


def test_a_packed_console_has_the_diagnosis_of_the_plain_one(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "LEAST_BYTES", 4096)
    simulate(tmp_path / "job", style="nemo", nodes=2, iterations=20, fault="sigkill", seed=3)
    (console,) = (tmp_path / "job" / "logs").glob("slurm-*.out")
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / console.name).write_bytes(gzip.compress(console.read_bytes()))

    def told(folder: Path, workers: int) -> list[tuple[int, int, str]]:
        found = diagnose([str(folder)], workers=workers, library=library())
        return [(row["line"], row["offset"], row["role"]) for row in found.failure_rows]

    plain = [told(console, workers) for workers in (1, 3)]
    packed = [told(tmp_path / "packed", workers) for workers in (1, 3)]
    assert plain[0] and plain[0] == plain[1] == packed[0] == packed[1]
