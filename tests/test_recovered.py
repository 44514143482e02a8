"""Storage troubles that are no end of a job: a stall that passed, and what the job outlived."""

import pytest
from l4fast import recovered

from jobs import at, cry, diagnosis, story, text

ASK = "nfs: server {} not responding, still trying"
OK = "nfs: server {} OK"


def untimed(n: int, last: float | None = None) -> str:
    """Progress without a clock, as a bar prints it; one dated line at the end, if ``last`` tells when."""
    lines = [f"{at(0)} INFO begin"]
    lines += [f"Training epoch 0, iteration {k}/999 | global_step: {k} | loss: 2.5 |" for k in range(n)]
    return text([*lines, *([f"{at(last)} INFO scheduled a save"] if last is not None else [])])


def kernel(*said: tuple[float, str], host: str = "node1") -> str:
    """Lines of a host's kernel: seconds after the begin, and the words."""
    return text(f"{at(when)} {host} kernel: [{800.0 + when:.4f}] {words}" for when, words in said)


def outcome(**files: str) -> str:
    return story({name.replace("_", "/") + ".log": lines for name, lines in files.items()}).outcome


def test_a_server_that_answered_again_is_no_end():
    stall = kernel((300.0, ASK.format("a")), (304.0, OK.format("a")))
    assert outcome(train=untimed(30, 310.0), kernel_node1=stall) == "running"


@pytest.mark.parametrize(
    "more",
    [
        {"kernel_node1": kernel((300.0, ASK.format("a")))},
        {"kernel_node1": kernel((300.0, ASK.format("a")), (304.0, OK.format("b")))},  # another server
        {"kernel_node1": kernel((300.0, OK.format("a")), (304.0, ASK.format("a")))},  # again
        {
            "kernel_node1": kernel((300.0, ASK.format("a"))),
            "kernel_node2": kernel((304.0, OK.format("a")), host="node2"),
        },  # elsewhere
    ],
    ids=["no answer", "another server", "again", "another host"],
)
def test_a_server_that_did_not_answer_is_an_end(more):
    assert outcome(train=untimed(30, 310.0), **more) == "failed"


def test_whom_a_process_that_failed_names_stays_the_root():
    stall = kernel((300.0, ASK.format("a")), (304.0, OK.format("a")))
    told = diagnosis(
        {
            "train.log": untimed(30, 299.0)
            + cry(302.0, 0, "OSError: [Errno 5] Input/output error: '/data/x'"),
            "kernel/node1.log": stall,
        }
    )
    assert told.outcome == "failed"
    assert "nfs-not-responding" in [event["signature"] for event in told.events]


@pytest.mark.parametrize(("until", "want"), [(320.0, "failed"), (400.0, "running")])
def test_a_job_that_spoke_on_for_long_outlived_the_trouble(until, want):
    trouble = kernel((300.0, "Lustre: scratch-OST0003-osc-ff: Connection to scratch-OST0003 was lost"))
    assert outcome(train=untimed(30, until), kernel_node1=trouble) == want


def test_a_trouble_that_the_program_itself_tells_is_not_outlived():
    lines = untimed(30) + cry(300.0, 0, ASK.format("a")) + f"{at(400)} INFO scheduled a save\n"
    found = story({"train.log": lines})
    event = next(e for e in found.evidence.events if e.signature is not None)
    assert not recovered.outlived(found.job, event, found.progress)


def test_slow_beside_stalls_that_passed():
    lines = [
        f"iteration {n}/ 2000 | elapsed time per iteration (ms): {2000.0 if n < 60 else 7000.0} | loss: 2.5 |"
        for n in range(1, 121)
    ]
    stalls = kernel(*((300.0 + 60 * k + s, w.format("a")) for k in range(4) for s, w in ((0, ASK), (3, OK))))
    train = f"{at(0)} INFO begin\n" + text(lines) + f"{at(500)} INFO scheduled a save\n"
    told = diagnosis({"train.log": train, "kernel/node1.log": stalls})
    assert (told.outcome, told.iterations["first_abnormal"]) == ("slow", 60)
    assert told.action["exclude_nodes"] == []


# ------------------------------------------------------------------ passed on one host, stayed on another

PORT = "NET/IB : mlx5_3:1 Got async event : port {}"
DOWN, UP = "mlx5_core 0000:4b:00.0 ens4f0: Link down", "mlx5_core 0000:4b:00.0 ens4f0: Link up"


def lasting(begins: str, over: str, *, other: str | None = None, stays: tuple[int, ...] = (2,)):
    """Four hosts meet a trouble at 300 s; ``over`` but where it stays: maybe ``other``."""
    files = {"train.log": untimed(30, 299.0)}
    for n in range(4):
        said = [(300.0, begins)]
        said += [(304.0, over)] if n not in stays else [(304.0, other)] if other else []
        files[f"kernel/node{n}.log"] = kernel(*said, host=f"node{n}")
    return diagnosis(files)


@pytest.mark.parametrize(
    ("begins", "over", "other"),
    [
        (ASK.format("a"), OK.format("a"), None),
        (ASK.format("a"), OK.format("a"), OK.format("b")),
        (PORT.format("error"), PORT.format("active"), None),
        (DOWN, UP, None),
        (DOWN, UP, UP.replace("ens4f0", "ens5f1")),
    ],
)
def test_where_a_trouble_stayed_is_to_blame_and_not_where_it_passed(begins, over, other):
    found = lasting(begins, over, other=other)
    assert [n["node"] for n in found.nodes] == ["node2"]
    assert (found.events[0]["role"], found.events[0]["count"]) == ("root", 1)


@pytest.mark.parametrize(
    ("begins", "over"),
    [
        ("NET/IB : mlx5_3:1 Got async event : local catastrophic error", PORT.format("active")),
        ("lost carrier", UP),  # of which device it does not say
    ],
)
def test_what_another_word_does_not_end_is_everybody_s(begins, over):
    assert lasting(begins, over).nodes == []


def test_a_link_that_came_back_is_the_cause_where_no_other_is_known():
    found = lasting(DOWN, UP, stays=())
    assert (found.outcome, found.cause["signature"]) == ("failed", "link-down")
