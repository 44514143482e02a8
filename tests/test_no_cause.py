"""What is near a failure and did not cause it: the only node, a warning, a NaN outlived, an order heard."""

import pytest

from jobs import at, cry, diagnosis, steps, text
from test_culprit import blamed, losses, nodes

MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 7.83 GiB. GPU 0 has a total capacity of "
    "79.11 GiB of which 3.04 GiB is free."
)
ECC = "RuntimeError: CUDA error: uncorrectable ECC error encountered"


@pytest.mark.parametrize(
    ("words", "named"), [("ValueError: heads not divisible", []), (MEMORY, []), (ECC, ["gpu-7"])]
)
def test_the_only_node_is_named_for_what_only_a_host_can_be_guilty_of(words, named):
    ready = "".join(f"[rank{r}]: {at(0)} INFO rank {r} of 4 ready on gpu-7\n" for r in range(4))
    found = diagnosis({"train.log": ready + steps(range(1, 20)) + cry(30, 3, words)})
    assert (found.outcome, blamed(found)[0]) == ("failed", named)


WARNED = [
    "OSError: [Errno 5] Input/output error: '/mnt/scratch/x'",
    "ConnectionError: could not reach the metrics server",
]


@pytest.mark.parametrize("words", WARNED)
@pytest.mark.parametrize("known", [True, False])
def test_an_exception_that_is_only_warned_of_was_caught(words, known):
    files = nodes()
    files["gpu-1.log"] += f"[rank2]: {at(14)} WARNING {words}\n"
    if known:
        files["gpu-2.log"] += cry(16, 5, "ValueError: the sampler has no place 7")
    found = diagnosis(files)
    assert (found.outcome, blamed(found)) == (
        ("failed", (["gpu-2"], [5])) if known else ("running", ([], []))
    )
    assert all(words not in e["first"]["text"] for e in found.events if e["role"] == "root")


@pytest.mark.parametrize(("n", "category"), [(8, "numeric"), (160, "user.code")])
def test_what_ends_a_job_long_after_its_loss_was_no_number_is_an_error_of_its_own(n, category):
    files = losses(dict.fromkeys(range(8), 5), n=n)
    files["gpu-0.log"] += cry(30 + n, 0, "TypeError: unsupported operand type(s) for +: 'int' and 'str'")
    assert diagnosis(files).cause["category"] == category


def test_gradients_that_overflowed_beside_a_good_loss_ended_nothing():
    files, norm = nodes(trained=0), (1.25, "nan")
    files["gpu-0.log"] += text(
        f"[rank0]: {at(20 + i)} INFO iteration {i}/ 99 | loss: 2.5 | grad norm: {norm[i > 6]} |"
        for i in range(1, 10)
    ) + cry(40, 0, "TypeError: unsupported operand type(s) for +: 'int' and 'str'")
    assert diagnosis(files).cause["category"] == "user.code"


def test_who_tells_why_a_job_had_to_end_comes_before_who_heard_it():
    lines = (
        steps(range(1, 20))
        + "KeyboardInterrupt\nTERM_OWNER: job killed by owner.\nExited with exit code 1.\n"
    )
    found = diagnosis({"job.o77": lines})
    assert (found.events[0]["signature"], found.cause["signature"]) == ("pbs-lsf-killed",) * 2
    assert found.action["verdict"] == "restart"


def test_what_one_rank_of_each_node_says_is_no_nodes_fault():
    files = {name: words for name, words in nodes().items() if name in ("gpu-0.log", "gpu-1.log")}
    for rank in (0, 2):
        files[f"gpu-{rank // 2}.log"] += cry(16, rank, ECC)
    assert blamed(diagnosis(files))[0] == []


@pytest.mark.parametrize("shown", [12, 99])
def test_who_notices_what_all_had_shown_before_began_nothing(shown):
    """What was saved since then holds the bad value too."""
    lines = [
        f"{at(30 + k)} INFO iteration {k}/ 100 | lm loss: {'nan' if k >= shown else 2.5} |"
        for k in range(1, 21)
    ]
    for k in (15, 10, 5):
        saved = f"successfully saved checkpoint from iteration {k} to /ckpt [ t 1/1, p 1/1 ]"
        lines.insert(k, f"{at(30 + k)} INFO   {saved}")
    files = nodes(trained=0)
    files["gpu-0.log"] += text(lines) + cry(52, 0, "RuntimeError: loss is nan")
    found = diagnosis(files)
    assert found.cause["category"] == "numeric"
    assert blamed(found)[1] == ([] if shown == 12 else [0])
    assert (found.iterations["first_abnormal"], found.action["resume_from"]) == (
        (12, 10) if shown == 12 else (21, 15)
    )


def test_a_bad_value_without_a_time_came_before_the_exception_that_it_caused():
    lines = "".join(f"iteration {k}/ 100 | lm loss: {'nan' if k > 11 else 2.5} |\n" for k in range(1, 21))
    head, tail = f"{at(0)} INFO starting\n", f"{at(60)} INFO ending\n"
    stack = 'Traceback (most recent call last):\n  File "/opt/x.py", line 7, in <module>\n'
    stack += "ValueError: the sampler has no place 7\n"
    found = diagnosis({"train.log": head + lines + tail + stack})
    assert (found.cause["category"], found.iterations["first_abnormal"]) == ("numeric", 12)
