"""What a restart on the same machines will meet again, and what only a node has; words of victims alone."""

import pytest

from jobs import at, diagnosis, steps, text
from test_culprit import judge

MODULE = "ModuleNotFoundError: No module named 'megatron_extras'"
LINKED = "ImportError: /opt/x/flash_attn_cuda.so: undefined symbol: _ZN3c104cuda9SetDeviceEi"
MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 7.83 GiB. GPU 0 has a total capacity of "
    "79.11 GiB of which 3.04 GiB is free."
)
FULL = "OSError: [Errno 28] No space left on device: '/ckpt/iter_0000020'"
RETRY = (
    "gpu-1:984:1357 [4] ib_plugin.c:1615 NCCL WARN NET/IB : Got completion from peer 10.1.1.9<44206> with "
    "status=12 opcode=129 len=65536 vendor err 129 (Recv)"
)


def alone(words: str, *, trained: int) -> str:
    """The console of one process that says nothing of ranks or nodes."""
    stack = ["Traceback (most recent call last):", '  File "/opt/train.py", line 7, in <module>', words]
    return text([f"{at(0)} INFO starting"]) + steps(range(1, trained + 1), begin=1) + text(stack)


@pytest.mark.parametrize(
    ("words", "trained", "verdict"),
    [
        (MODULE, 0, "stop"),
        (LINKED, 0, "stop"),
        (MEMORY, 0, "stop"),
        (MEMORY, 1, "stop"),
        (MEMORY, 60, "restart"),
        (FULL, 60, "stop"),
    ],
)
def test_an_error_that_sets_no_node_apart(words, trained, verdict):
    found = diagnosis({"train.log": alone(words, trained=trained)})
    assert (found.outcome, found.action["verdict"]) == ("failed", verdict)


@pytest.mark.parametrize("words", [MODULE, FULL])
def test_of_several_nodes_the_one_that_alone_tells_it_is_left_out(words):
    found = judge((9, 4, words), (9.1, 5, words), trained=0)
    assert (found.action["verdict"], found.action["exclude_nodes"]) == ("restart_excluding", ["gpu-2"])


@pytest.mark.parametrize(("own", "verdict"), [("78.20", "stop"), ("9.14", "restart_excluding")])
def test_who_fills_the_memory_alone_will_do_so_on_any_node(own, verdict):
    words = f"{MEMORY} Including non-PyTorch memory, this process has {own} GiB memory in use."
    assert judge((9, 4, words), (9.1, 5, words), trained=0).action["verdict"] == verdict


@pytest.mark.parametrize("trained", [0, 9])
def test_who_lost_a_peer_at_last_did_not_end_well(trained):
    found = diagnosis({"a.log": steps(range(1, trained + 1)) + RETRY + "\n"})
    assert (found.outcome, found.cause["signature"]) == ("failed", "nccl-ib-completion")


def test_who_went_on_after_a_lost_peer_runs():
    lines = steps(range(1, 10)) + RETRY + "\n" + steps(range(10, 40), begin=10)
    assert (diagnosis({"a.log": lines}).outcome, diagnosis({"a.log": lines}).events) == ("running", [])


def test_a_queue_that_is_flushed_is_no_end_by_itself():
    flushed = RETRY.replace("status=12", "status=5")
    assert diagnosis({"a.log": steps(range(1, 10)) + flushed + "\n"}).outcome == "running"


def test_a_failed_connection_that_is_tried_again_is_no_end():
    retry = (
        "[W302 10:00:03.343570992 socket.cpp:697] [c10d] The client socket has failed to connect to "
        "[gpu-0]:29500 (errno: 111 - Connection refused)."
    )
    assert diagnosis({"a.log": text([f"{at(0)} INFO starting", retry])}).outcome != "failed"


OFFLINE = (
    "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find the requested files in the disk cache and "
    "outgoing traffic has been disabled. To enable hf.co look-ups and downloads online, set "
    "'local_files_only' to False."
)
UNREACHED = (
    "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in "
    "the cached files."
)
FEWER = "lightning_fabric.utilities.exceptions.MisconfigurationException: You requested gpu: [0, 1, 2, 3]"


@pytest.mark.parametrize("words", [OFFLINE, UNREACHED, FEWER])
def test_what_a_host_lacks_from_the_start_is_met_again(words):
    assert diagnosis({"train.log": alone(words, trained=0)}).action["verdict"] == "stop"


def test_what_ranks_are_told_not_to_fetch_is_a_setting_whatever_they_make_of_it():
    files = {f"rank{rank}.log": text([f"{at(0)} INFO starting", OFFLINE, "", UNREACHED]) for rank in range(8)}
    found = diagnosis(files)
    assert (found.cause["signature"], found.cause["category"]) == ("hf-hub-offline", "user.config")
    assert found.action["verdict"] == "stop"


def test_a_hub_that_limits_requests_is_asked_again():
    limited = "requests.exceptions.HTTPError: 429 Client Error: Too Many Requests for url: https://hub/api/x"
    files = {f"rank{rank}.log": text([f"{at(0)} INFO starting", limited, "", UNREACHED]) for rank in range(8)}
    assert diagnosis(files).action["verdict"] == "restart"


def test_one_rank_of_many_that_cannot_reach_the_hub_is_no_reason_to_stop():
    found = judge((9, 4, UNREACHED), trained=0)
    assert found.action["verdict"] in ("restart", "restart_excluding")
