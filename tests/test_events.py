"""Which lines indicate the failure, as which events, and which the job survived."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.canonical import shape_id
from l4fast.events import deciding_values

from jobs import at, cry, diagnosis, job, library, steps, story, text

TEN = steps(range(1, 11))
BOOM = "RuntimeError: boom"
TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\nAttributeError: no x\n'


def told(files, **kwargs) -> list[tuple[str, dict[str, str], int]]:
    """Template, values and lines of each event, most telling first."""
    found = story(files if isinstance(files, dict) else {"a.log": files}, **kwargs)
    return [(e.template.text, dict(e.values), len(e.rows)) for e in found.verdict.events]


def outcome(files) -> str:
    return story(files if isinstance(files, dict) else {"a.log": files}).outcome


# ------------------------------------------------------------------ what is an event


def test_one_template_and_its_values_are_one_event():
    lines = text(f"process {p} exits with return code = {c}" for p, c in [(7, 1), (8, -9), (9, 1)])
    found = {(t, v["exit_code"], n) for t, v, n in told(TEN + lines)}
    assert found == {
        ("process <*> exits with return code = <*>", "1", 2),
        ("process <*> exits with return code = <*>", "-9", 1),
    }


def test_exit_0_tells_of_no_failure():
    lines = text(f"process {p} exits with return code = {c}" for p, c in [(7, 1), (8, 0)])
    assert [v for _, v, _ in told(TEN + lines)] == [{"exit_code": "1"}]


def test_an_error_of_the_system_in_a_warning_fails_no_job_by_itself():
    said = "could not read /sys/a/b: [Errno 5] Input/output error: '/sys/a/b'\n"
    begun = f"{at(0)} INFO building the model\n"
    assert outcome(f"{begun}{at(1)} WARNING {said}") == "running"
    assert outcome(f"{begun}{at(1)} ERROR {said}") == "failed"
    fallen = "[Errno 2] No such file or directory: 'lspci', fall back to the name of the device\n"
    assert told(f"{begun}{at(1)} ERROR could not ask: {fallen}") == []


def test_the_id_of_an_event_is_that_of_its_template_and_values():
    found = story({"a.log": TEN + "process 7 exits with return code = 1\n"})
    (event,) = found.verdict.events
    assert event.id == shape_id(event.template.text + "\x00exit_code=1")
    (plain,) = story({"a.log": TEN + cry(12, 0, BOOM)}).verdict.events
    assert plain.id == plain.template.id


def test_an_event_refers_to_all_of_its_lines():
    files = {"a.log": TEN + cry(12, 0, BOOM), "b.log": cry(12.5, 1, BOOM) + "x\n" + cry(13, 1, BOOM)}
    found = diagnosis(files)
    (event,) = found.events
    assert (event["count"], event["ranks"], event["n_ranks"]) == (3, [0, 1], 2)
    assert (event["first"]["file"], event["first"]["line"]) == ("a.log", 11)
    assert (event["last"]["file"], event["last"]["line"]) == ("b.log", 3)
    assert event["first"]["offset"] == len(TEN)
    assert [(r["file"], r["line"]) for r in found.failure_rows] == [("a.log", 11), ("b.log", 1), ("b.log", 3)]


def test_deciding_values_of_each_shape():
    lines = text(f"process {p} exits with return code = {c}" for p, c in [(7, 1), (8, 0), (9, 0)])
    assert deciding_values(job({"a.log": lines + "bye\n"})) == {
        "process <*> exits with return code = <*>": {"exit_code=0", "exit_code=1"}
    }


# ------------------------------------------------------------------ survived


@pytest.mark.parametrize(("n_more", "event"), [(0, True), (1, True), (2, True), (3, False), (10, False)])
def test_three_more_iterations_show_that_the_job_survived(n_more, event):
    later = steps(range(11, 11 + n_more), begin=30)
    assert bool(told(TEN + cry(12, 0, BOOM) + later)) == event


@pytest.mark.parametrize(("when", "event"), [(12, False), (35, False), (45, True)])
def test_in_another_file_the_clock_tells(when, event):
    files = {"a.log": TEN + steps(range(11, 31), begin=20), "b.log": cry(when - 5, 0, BOOM)}
    assert bool(told(files)) == event


def test_a_line_without_a_time_may_be_the_last():
    files = {"a.log": TEN + steps(range(11, 31), begin=20), "b.log": f"[rank1]: {BOOM}\n"}
    assert [t for t, _, _ in told(files)] == [BOOM]


def test_a_loss_that_is_no_number_is_never_survived():
    lines = TEN + steps(range(11, 21), begin=10).replace("2.5", "nan")
    assert [(t, n) for t, _, n in told(lines)] == [
        ("iteration <*>/ <*> | loss: nan |", 1),
        ("iteration <*>/ <*> | loss: nan |", 9),
    ]


# ------------------------------------------------------------------ harmless


@pytest.mark.parametrize(
    "words",
    [
        "WARNING connection to node1 timed out, retrying 1/3",
        "WARNING The client socket has timed out after 600000ms while trying to connect. Retrying 1/5",
        "INFO 0 errors found",
        "INFO no failures",
        "INFO error_rate: 0.1",
        "INFO failed over to the second link",
        "INFO errors: 0",
        "DEBUG abort handler installed",
    ],
)
def test_words_that_only_sound_bad(words):
    assert (outcome(TEN + f"{at(12)} {words}\n"), told(TEN + f"{at(12)} {words}\n")) == ("running", [])
    # They are no event either where the job did fail.
    assert [t for t, _, _ in told(TEN + f"{at(12)} {words}\n" + cry(13, 0, BOOM))] == [BOOM]


def test_frames_under_an_error_are_context():
    lines = cry(12, 0, "ValueError: x") + '    raise ValueError("failed")\n'
    assert [t for t, _, _ in told(TEN + lines)] == ["ValueError: x"]


# ------------------------------------------------------------------ ignored exceptions


IGNORED = "Exception ignored in: <function Loader.__del__ at 0x7f>\n" + TRACEBACK


def test_an_exception_that_python_ignores_is_no_failure():
    assert (outcome(TEN + IGNORED), told(TEN + IGNORED)) == ("running", [])


def test_the_same_exception_is_one_where_it_is_raised():
    assert told(TEN + TRACEBACK) == [("AttributeError: no x", {}, 1)]
    assert told(TEN + IGNORED + TRACEBACK) == [("AttributeError: no x", {}, 1)]
    found = diagnosis({"a.log": TEN + IGNORED + TRACEBACK})
    assert found.events[0]["first"]["line"] == 17  # the second one


# ------------------------------------------------------------------ grave or not


@pytest.mark.parametrize(
    ("words", "grave"),
    [
        (f"ERROR {BOOM}", True),
        ("CRITICAL worker 3 is gone, giving up", True),
        ("ERROR [rank1]: Watchdog caught collective operation timeout: WorkNCCL(SeqNum=71)", True),
        ("WARNING [c10d] sendBytes failed on SocketImpl(fd=1, addr=[a]:4, remote=[b]:2): Broken pipe", False),
        ("WARNING NET/IB : mlx5_0:1 Got non-fatal async event: port error(10)", False),
    ],
)
def test_an_event_that_shows_by_itself_that_the_job_failed(words, grave):
    assert outcome(TEN + f"{at(12)} {words}\n") == ("failed" if grave else "running")


@pytest.mark.parametrize(
    ("last", "result"),
    [
        ("", "failed"),
        (f"{at(20)} INFO Training completed\n", "finished"),
    ],
)
def test_an_error_before_the_end_of_the_training_did_not_end_it(last, result):
    assert outcome(TEN + cry(12, 0, BOOM) + last) == result


def test_an_error_after_the_end_of_the_training_is_one():
    done = TEN + f"{at(20)} INFO Training completed\n"
    assert outcome(done + cry(21, 0, BOOM)) == "failed"
    broken = "[c10d] sendBytes failed on SocketImpl(fd=1, addr=[a]:4, remote=[b]:2): Broken pipe"
    assert outcome(done + cry(21, 0, broken)) == "finished"


def test_a_counter_that_reached_its_total_is_the_end_too():
    assert outcome(steps(range(91, 101))) == "finished"
    assert outcome(steps(range(91, 100))) == "running"


def test_a_job_that_finished_has_no_failure_lines():
    found = diagnosis({"a.log": TEN + cry(12, 0, BOOM) + f"{at(20)} INFO Training completed\n"})
    assert (found.events, found.nodes, found.ranks, found.failure_rows) == ([], [], [], [])
    assert found.action["verdict"] == "none"


# ------------------------------------------------------------------ properties


LINES = [BOOM, "ValueError: x", "process 7 exits with return code = 1", "loading shard 3", "0 errors found"]


@given(st.lists(st.tuples(st.sampled_from(LINES), st.integers(0, 3)), max_size=12))
def test_each_failure_line_is_told_once(lines):
    files = {f"n{r}.log": "hello\n" for r in range(4)}
    for k, (words, rank) in enumerate(lines):
        line = cry(12 + k, rank, words)
        files[f"n{rank}.log"] += line if words in LINES[:3] else line.replace("ERROR", "INFO")
    found = diagnosis(files)
    places = [(row["file"], row["line"]) for row in found.failure_rows]
    assert len(set(places)) == len(places)
    assert sum(e["count"] for e in found.events) == len(places)
    bad = sum(words in LINES[:3] for words, _ in lines)
    assert len(places) == bad
    ids = {e["event_id"] for e in found.events}
    assert {row["event_id"] for row in found.failure_rows} == ids
    assert {row["role"] for row in found.failure_rows} <= {"root", "consequence", "teardown"}


def test_every_signature_that_decides_by_a_value_knows_its_value():
    for signature in library().signatures.values():
        for case in signature.when:
            names = {name.rstrip("0123456789") for name in signature.regex.groupindex}
            assert {group for group, _ in case.values} <= names
