"""One part of a job: what the library is shown, what is kept, and where a line counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.fold import TEXTS_OF_ORDINARY
from l4fast.library import Library
from l4fast.reader import FAILURE_WORDS, Part

from jobs import at, feed, job, library, read, text, text_of


def part(content: str | bytes) -> Part:
    (one,) = read({"a.log": content})
    return one


def note(line: str):
    (one,) = part(line + "\n").notes
    return one


class Counting(Library):
    """The packaged library, counting the texts that it is shown."""

    def __init__(self) -> None:
        self.__dict__.update(vars(library()))  # compiled once
        self.shown: list[str] = []

    def match(self, contents):
        self.shown += contents
        return super().match(contents)


# ------------------------------------------------------------------ notes


def test_the_library_sees_each_raw_shape_once():
    counting = Counting()
    reader = Part(counting)
    feed(reader, 0, "a.log", text(f"step {k} done" for k in range(1000)) + "bye\n")
    feed(reader, 1, "b.log", text(f"step {k} done" for k in range(1000)))
    assert counting.shown == ["step 0 done", "bye"]
    assert len(reader.notes) == len(reader.parser.raws) == 2


def test_the_library_sees_the_content_without_its_prefix_and_colours():
    counting = Counting()
    feed(Part(counting), 0, "a.log", f"[rank3]: {at(0)} ERROR the \x1b[1mboom\x1b[0m of 3\n")
    assert counting.shown == ["the boom of 3"]


def test_the_library_sees_a_coloured_first_word():
    counting = Counting()
    feed(Part(counting), 0, "a.log", f"[rank3]: {at(0)} ERROR \x1b[1mboom\x1b[0m of 3\n")
    assert counting.shown == ["boom of 3"]


@pytest.mark.parametrize(
    ("line", "failure"),
    [
        ("RuntimeError: CUDA error: an illegal memory access was encountered", "cuda-illegal-access"),
        ("srun: error: nid0007: task 7: Exited with exit code 1", "srun-task-exit"),
    ],
)
def test_a_failure_is_noted(line, failure):
    assert note(line).failures[0].id == failure
    assert note(line).suspect


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("iteration 1/ 100 | loss: 2.5 |", "progress"),
        ("saving checkpoint at iteration 10 to /ckpt", "checkpoint.begin"),
        ("Training completed", "finish"),
        ("rank 0 of 8 ready on gpu-1", "identity"),
    ],
)
def test_a_marker_is_noted(line, kind):
    assert kind in [s.marker for s in note(line).markers]


@pytest.mark.parametrize(
    ("line", "suspect"),
    [
        ("loading shard 3", False),
        ("the shard could not be read", True),
        (f"{at(0)} ERROR something odd", True),
        (f"{at(0)} INFO something odd", False),
        ("connection lost", True),
        ("information", False),
        ("loss: nan", True),
        ("nano second", False),
    ],
)
def test_which_lines_may_tell_of_a_failure(line, suspect):
    assert note(line).suspect == suspect


@pytest.mark.parametrize(
    "word", ["TimeoutError", "OOM-killed", "segfault", "timed out", "SIGKILL", "exitcode", "Xid", "hung"]
)
def test_words_of_failure(word):
    assert FAILURE_WORDS.search(f"the {word} of it")


# ------------------------------------------------------------------ what is kept


def test_texts_of_suspects_are_kept_and_of_others_the_first():
    reader = part(
        text(f"loading shard {k}" for k in range(50)) + text(f"shard {k} is lost" for k in range(50))
    )
    texts = [text_of(reader.fold.rows, row) for row in range(reader.fold.rows.n)]
    kept = [found.decode() for found in texts if found]
    assert kept[:TEXTS_OF_ORDINARY] == [f"loading shard {k}" for k in range(TEXTS_OF_ORDINARY)]
    assert kept[TEXTS_OF_ORDINARY:] == [f"shard {k} is lost" for k in range(50)]


@given(
    st.lists(st.sampled_from(["[rank3]: ", "12: ", f"{at(0)} ERROR ", "\x1b[1m", "gpu-1: "]), max_size=3),
    st.integers(0, 99),
)
def test_the_content_of_a_kept_line_is_what_the_shape_leaves_over(prefixes, number):
    read_job = job({"a.log": text("".join(prefixes) + f"shard {n} is lost" for n in (7, number))})
    assert [read_job.content(row)[-len(f"shard {n} is lost") :] for row, n in enumerate((7, number))] == [
        f"shard {n} is lost" for n in (7, number)
    ]


def test_the_content_of_each_line_is_its_own():
    lines = [f"[rank{r}]: {at(r)} ERROR shard {'x' * r}{r} is lost" for r in (1, 22, 333)]
    read_job = job({"a.log": text(lines)})
    assert [read_job.content(row) for row in range(3)] == [
        f"shard {'x' * r}{r} is lost" for r in (1, 22, 333)
    ]
    assert [read_job.line_text(0, n) for n in (1, 2, 3)] == lines


def test_broken_bytes_are_shown_as_such():
    read_job = job({"a.log": b"shard \xff7 is lost \xc3\xa9\n"})
    assert read_job.line_text(0, 1) == "shard �7 is lost é"
    assert read_job.content(0) == "shard �7 is lost é"


# ------------------------------------------------------------------ counters


def counted(content: str) -> list[tuple[str, int, list[int]]]:
    """Signature, total and iterations of each series."""
    read_job = job({"a.log": content})
    it = read_job.iterations
    return [
        (s.signature, s.total, it.iteration[it.series == k].tolist()) for k, s in enumerate(read_job.series)
    ]


def test_iteration_and_total_are_read_from_each_line():
    lines = text(f"[rank0]: {at(k)} INFO iteration {k:>8}/  100 | loss: 2.5 |" for k in (9, 10, 11))
    assert counted(lines) == [("progress-megatron", 100, [9, 10, 11])]


def test_bars_of_different_totals_are_two_series():
    bars = text(f" {k}%|# | {k}/{n} [00:01<00:02, 1.00s/it]" for n in (100, 300) for k in (1, 2))
    assert counted(bars) == [("progress-tqdm", 100, [1, 2]), ("progress-tqdm", 300, [1, 2])]


def test_what_stands_before_the_number_names_the_counter():
    bars = text(
        f"{name}: {k}%|# | {k}/100 [00:01<00:02, 1.00s/it]" for name in ("Train", "Policy") for k in (1, 2, 3)
    )
    assert len(counted(bars)) == 2


def test_colours_do_not_move_the_number():
    lines = text(
        f"\x1b[31mstep: {k:2d}  \x1b[32mloss: 8.1  \x1b[33mgrad_norm: 1.0\x1b[39m" for k in (9, 10, 11)
    )
    assert [numbers for _, _, numbers in counted(lines)] == [[9, 10, 11]]


@pytest.mark.parametrize("value", ["2.5", "nan", "inf", "1.2E-05"])
def test_the_loss_does_not_split_a_counter(value):
    lines = text(["iteration 1/ 100 | loss: 2.5 |", f"iteration 2/ 100 | loss: {value} |"])
    assert counted(lines) == [("progress-megatron", 100, [1, 2])]


def test_seconds_of_an_iteration():
    lines = text(
        f"iteration {k}/ 100 | elapsed time per iteration (ms): {k}500.0 | loss: 2.5 |" for k in (1, 2, 3)
    )
    (series,) = job({"a.log": lines}).series
    assert series.spans.tolist() == [1.5, 2.5, 3.5]


def test_a_failure_that_names_a_step_does_not_count():
    lines = text(f"[rank{r}]: RuntimeError: loss became NaN at step {77 + r}, stopping" for r in range(4))
    assert counted(lines) == []


@pytest.mark.parametrize(
    ("line", "numbers"),
    [
        ("Step: {}, Loss: 2.98, Val Loss: 1.90 | Saving checkpoint to /ckpt/model-222M", [125, 250]),
        ("Step: {}, Loss: 2.98, now running evaluation", []),
        ("Step: {}, Loss: 2.98, RuntimeError: CUDA error: an illegal memory access was encountered", []),
        ("Saving checkpoint of step: {} to /ckpt/model-222M", []),
    ],
)
def test_a_guess_counts_where_a_save_tells_its_loss(line, numbers):
    found = counted(text(line.format(n) for n in (125, 250)))
    assert [n for _, _, its in found for n in its] == numbers


def test_a_bar_without_ends_is_one_counter():
    lines = text(
        f"   1/100   4.1G   2.31   1.12   45   640: {k}% {'━' * k}{'─' * (12 - k)} {k}/925 2.5it/s 0:10<0:30"
        for k in (1, 2, 3, 9)
    )
    assert counted(lines) == [("progress-ultralytics", 925, [1, 2, 3, 9])]
