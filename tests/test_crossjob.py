"""What healthy jobs say too is not the failure: learning, merging, files, and what is news."""

import os

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast import canonical, crossjob
from l4fast.crossjob import Baseline, Known, is_baseline_file
from l4fast.errors import BaselineError
from l4fast.stream import baseline_of

from jobs import cry, diagnosis, job, steps, story, text

shapes = st.sampled_from(["step <*>", "loss <*>", "exits with return code = <*>", "bye", "é"])
healthy = st.builds(
    Baseline.learn,
    st.dictionaries(shapes, st.integers(1, 1000), max_size=5),
    st.dictionaries(
        shapes, st.frozensets(st.sampled_from(["exit_code=0", "exit_code=1", "signal=9"])), max_size=3
    ),
)


def learn(files) -> Baseline:
    return baseline_of(job(files))


# ------------------------------------------------------------------ sums


def test_a_job_is_learned_as_its_shapes_and_values():
    found = learn({"a.log": steps(range(1, 4)) + "process 7 exits with return code = 0\nbye\nbye\n"})
    assert found.jobs == 1
    assert found.shapes["bye"] == Known(1, 2, 2)
    assert found.shapes["iteration <*>/ <*> | loss: <*> |"] == Known(1, 3, 3)
    assert found.values["process <*> exits with return code = <*>"] == {"exit_code=0"}


@given(healthy, healthy)
def test_merging_is_commutative(a, b):
    assert a.merge(b) == b.merge(a)


@given(healthy, healthy, healthy)
def test_merging_is_associative(a, b, c):
    assert a.merge(b).merge(c) == a.merge(b.merge(c))


@given(healthy)
def test_the_empty_baseline_changes_nothing(a):
    assert Baseline().merge(a) == a == a.merge(Baseline())


@given(healthy, healthy)
def test_merged_sums(a, b):
    both = a.merge(b)
    assert both.jobs == 2
    for shape in {*a.shapes, *b.shapes}:
        held = [x.shapes[shape] for x in (a, b) if shape in x.shapes]
        assert both.shapes[shape] == Known(len(held), sum(k.lines for k in held), max(k.most for k in held))


# ------------------------------------------------------------------ files


@given(a=healthy, b=healthy)
def test_a_file_gives_back_what_was_saved(tmp_path_factory, a, b):
    path = tmp_path_factory.mktemp("l4b") / "x.l4b"
    saved = a.merge(b)
    saved.save(path)
    assert Baseline.load(path) == saved
    assert is_baseline_file(path)
    assert os.listdir(path.parent) == ["x.l4b"]


def test_a_file_that_is_saved_has_the_mode_of_any_new_file(tmp_path):
    (tmp_path / "any").touch()
    Baseline().save(tmp_path / "x.l4b")
    assert (tmp_path / "x.l4b").stat().st_mode == (tmp_path / "any").stat().st_mode


@given(a=healthy, b=healthy)
def test_the_same_jobs_make_the_same_bytes(tmp_path_factory, a, b):
    folder = tmp_path_factory.mktemp("l4b")
    a.merge(b).save(folder / "ab")
    b.merge(a).save(folder / "ba")
    assert (folder / "ab").read_bytes() == (folder / "ba").read_bytes()


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "good.l4b"
    learn({"a.log": steps(range(1, 4))}).save(path)
    return path


def refused(path) -> str:
    with pytest.raises(BaselineError) as error:
        Baseline.load(path)
    assert error.value.path == str(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: b"", "is not a baseline file"),
        (lambda data: b"PK\x03\x04 some zip", "is not a baseline file"),
        (lambda data: data[:-5], "checksum does not fit"),
        (lambda data: data.replace(b"loss", b"lost"), "checksum does not fit"),
        (lambda data: data.partition(b"\n")[0], "checksum does not fit"),
        (lambda data: crossjob.MAGIC + b"{}\n", "damaged in its first line"),
        (lambda data: crossjob.MAGIC + b"no json\n{}", "damaged in its first line"),
        (lambda data: crossjob.MAGIC + b"[1]\n{}", "damaged in its first line"),
        (lambda data: data.replace(b'"format":1', b'"format":0'), "has format 0"),
        (lambda data: data.replace(b'"format":1', b'"format":99'), "has format 99"),
        (lambda data: data.replace(b'"canonical":3', b'"canonical":7'), "canonical form 7"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_sentence(saved, damage, says):
    saved.write_bytes(damage(saved.read_bytes()))
    assert says in refused(saved)


def resealed(head: bytes, body: bytes) -> bytes:
    """A file with a right checksum over a body of another shape."""
    fields = orjson.loads(head[len(crossjob.MAGIC) :])
    fields["checksum"] = crossjob.blake2b(body, digest_size=16).hexdigest()
    return crossjob.MAGIC + orjson.dumps(fields) + b"\n" + body


@pytest.mark.parametrize("body", [b"{}", b"[]", b"not json", b'{"shapes": {"x": [1]}, "values": {}}'])
def test_a_sealed_file_with_another_content_is_refused(saved, body):
    head, _, _ = saved.read_bytes().partition(b"\n")
    saved.write_bytes(resealed(head, body))
    refused(saved)


def test_a_file_without_a_number_of_jobs_is_refused(saved):
    saved.write_bytes(saved.read_bytes().replace(b'"jobs":1', b'"jobs":"x"'))
    refused(saved)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    assert "cannot be read" in refused(tmp_path / "none.l4b")
    assert not is_baseline_file(tmp_path / "none.l4b")
    assert not is_baseline_file(tmp_path)


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()
    monkeypatch.setattr(crossjob.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        Baseline().save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_the_versions_are_those_of_the_code(saved):
    head = orjson.loads(saved.read_bytes().partition(b"\n")[0][len(crossjob.MAGIC) :])
    assert (head["format"], head["canonical"], head["jobs"]) == (
        crossjob.FORMAT,
        canonical.CANONICAL_VERSION,
        1,
    )


# ------------------------------------------------------------------ what is news


USUAL = steps(range(1, 11)) + text(
    [
        "[rank0]: WARNING: could not open /tmp/x: No such file or directory",
        "process 7 exits with return code = 0",
    ]
)


def templates_told(log: str, baseline: Baseline | None) -> list[str]:
    return [e["template"] for e in diagnosis({"a.log": log}, baseline).events]


def test_what_healthy_jobs_say_too_is_no_event():
    # The same complaint as in the healthy job, and the crash.
    crash = cry(20, 0, "RuntimeError: boom")
    assert any("could not open" in t for t in templates_told(USUAL + crash, None))
    assert templates_told(USUAL + crash, learn({"h.log": USUAL})) == ["RuntimeError: boom"]


def test_an_unseen_value_is_news():
    known = learn({"h.log": USUAL})
    dead = USUAL.replace("return code = 0", "return code = 1")
    found = diagnosis({"a.log": dead}, known)
    (event,) = [e for e in found.events if e["values"]]
    assert event["values"] == {"exit_code": "1"}
    assert found.outcome == "failed"
    assert diagnosis({"a.log": USUAL}, known).outcome == "finished"


def test_a_value_that_is_known_is_no_news_even_if_it_is_bad():
    bad = {"a.log": USUAL.replace("return code = 0", "return code = 1")}
    assert diagnosis(bad, learn({"h.log": bad["a.log"]})).events == []
    assert diagnosis(bad, learn({"h.log": USUAL})).events != []


def test_new_is_not_failing():
    log = steps(range(1, 6)) + "a line that no healthy job ever said\n" + steps(range(6, 11), begin=5)
    found = story({"a.log": log}, learn({"h.log": USUAL}))
    assert (found.outcome, found.verdict.events) == ("running", [])


def test_coverage_tells_which_baseline():
    assert diagnosis({"a.log": USUAL}, learn({"h.log": USUAL})).coverage["baseline"] == "given"
    assert diagnosis({"a.log": USUAL}).coverage["baseline"] == "self"
    assert diagnosis({"a.log": "bye\n"}).coverage["baseline"] == "none"


def test_a_baseline_that_holds_names_knows_other_names_of_the_same_template():
    lines = text(f"ERROR: could not reach shard {name} yet" for name in ("ann", "bob", "eve", "joe", "kim"))
    crash = cry(20, 0, "RuntimeError: boom")
    log = steps(range(1, 6)) + "ERROR: could not reach shard lee yet\n" + crash
    assert len(templates_told(log, None)) == 2
    assert templates_told(log, learn({"h.log": lines + steps(range(1, 6))})) == ["RuntimeError: boom"]


def test_what_a_baseline_knows_does_not_depend_on_the_order_of_its_jobs():
    first, second = learn({"h.log": USUAL}), learn({"h.log": text(["hello", "bye"])})
    log = USUAL + cry(20, 0, "RuntimeError: boom")
    assert templates_told(log, first.merge(second)) == templates_told(log, second.merge(first))
