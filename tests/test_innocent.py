"""Who must not be blamed, though a line or its place speaks against them."""

import pytest

from jobs import at, cry, diagnosis, steps
from test_culprit import ALL, WATCHDOG, addresses, blamed, enqueued, judge, nodes

OVERFLOW = "{{'loss': 3.2, 'grad_norm': {}, 'learning_rate': 1e-05, 'step': {}}}"
LOST = "NCCL WARN socketProgress: Connection closed by remote peer {}<41234>"


def kernel(host: str, when: str, xid: int = 79) -> str:
    return (
        f"{when} {host} kernel: NVRM: Xid (PCI:0000:9b:00): {xid}, pid='<unknown>', name=<unknown>, "
        "GPU has fallen off the bus.\n"
    )


# ------------------------------------------------------------------ numbers


def overflowing(*, after: int) -> dict[str, str]:
    """A loss that is no number once, and ``after`` iterations in which it is one again."""
    files = nodes(trained=0)
    files["gpu-0.log"] += steps(range(1, 10), begin=1)
    files["gpu-0.log"] += f"{at(10)} INFO iteration 10/ 100 | loss: 2.5 | grad norm: inf |\n"
    files["gpu-0.log"] += steps(range(11, 11 + after), begin=11)
    return files


def test_an_overflow_that_passed_is_no_failure():
    found = diagnosis(overflowing(after=30))
    assert (found.outcome, found.events) == ("running", [])


def test_an_overflow_that_passed_is_not_the_cause_of_what_came_hours_later():
    files = overflowing(after=60)
    files["gpu-2.log"] += cry(72, 5, "RuntimeError: CUDA error: an illegal memory access was encountered")
    found = diagnosis(files)
    assert blamed(found) == (["gpu-2"], [5])
    assert found.cause["category"] != "numeric"


def test_a_loss_that_is_no_number_until_the_end_is_the_failure():
    files = nodes(trained=0)
    files["gpu-0.log"] += steps(range(1, 10), begin=1)
    files["gpu-0.log"] += "".join(
        f"{at(k)} INFO iteration {k}/ 100 | loss: nan | grad norm: nan |\n" for k in range(10, 40)
    )
    assert diagnosis(files).cause["category"] == "numeric"


# ------------------------------------------------------------------ who waits, and who was lost afterwards


def test_who_tells_of_a_lost_peer_after_the_timeouts_is_a_victim():
    waiting = [(620 + r / 10, r, WATCHDOG) for r in ALL if r != 7]
    found = judge(*waiting, (690, 2, LOST.format("gpu-2")))
    assert blamed(found) == (["gpu-3"], [7])


def test_an_id_of_a_group_is_its_processes_own_and_the_guid_is_the_groups():
    # Ranks 4-7 are another stage: its group has the same id, another GUID and a count of its own.
    words = "[PG ID 1 PG GUID {} Rank {}] {}"
    lines = [(620 + r / 10, r, words.format(4, r, enqueued(900))) for r in range(6)]
    lines += [(621 + r / 10, r, words.format(7, r, enqueued(840))) for r in (6, 7)]
    assert blamed(judge(*lines))[0] == []


# ------------------------------------------------------------------ how many lines, and of whom


def test_many_lines_of_one_node_are_not_everybodys():
    kernels = "".join(kernel("gpu-2", f"Mar  2 10:00:{15 + k}") for k in range(8))
    found = judge(gpu_2_kern=kernels)
    assert blamed(found)[0] == ["gpu-2"]


def test_a_word_about_itself_of_most_nodes_is_nobodys():
    files = {f"gpu-{n}.log": f"{at(0)} INFO starting on gpu-{n}\n" for n in range(16)}
    files["gpu-0.log"] += steps(range(1, 11), begin=1)
    for n in range(10):
        files[f"gpu-{n}.log"] += (
            f"{at(620)} ERROR ProcessGroupNCCL's watchdog got stuck for 480 seconds without making "
            "progress in monitoring enqueued collectives.\n"
        )
    assert diagnosis(files).action["exclude_nodes"] == []


# ------------------------------------------------------------------ what no clock orders


def test_errors_of_two_files_without_times_have_no_order():
    files = {"gpu-1.log": "rank 0 ready\nValueError: a\n", "gpu-2.log": "rank 1 ready\nKeyError: 'b'\n"}
    assert blamed(diagnosis(files))[0] == []


def test_quarrels_of_files_without_times_have_no_order():
    files = addresses()
    for home, target in ((1, 2), (2, 3), (3, 0), (0, 1)):
        files[f"gpu-{home}.log"] += f"gpu-{home}:11:22 [0] {LOST.format(f'gpu-{target}')}\n"
    assert blamed(diagnosis(files))[0] == []


# ------------------------------------------------------------------ what was not part of the job


@pytest.mark.parametrize("when", ["Feb 20 03:00:00", "Mar  1 22:10:00"])
def test_the_kernels_word_of_long_before_the_job_is_not_its_failure(when):
    found = judge((15, 6, "ValueError: a"), gpu_2_kern=kernel("gpu-2", when))
    assert blamed(found) == (["gpu-3"], [6])


def test_the_kernels_word_of_long_before_a_job_that_never_began():
    found = judge((15, 6, "ValueError: a"), trained=0, gpu_2_kern=kernel("gpu-2", "Feb 20 03:00:00"))
    assert blamed(found) == (["gpu-3"], [6])


def test_a_host_that_writes_local_time_is_heard_where_its_hours_fit():
    gone = [(20 + r / 10, r, LOST.format("gpu-2")) for r in ALL if r // 2 != 2]
    found = judge(*gone, gpu_2_kern=kernel("gpu-2", "Mar  2 12:00:15"))
    assert blamed(found)[0] == ["gpu-2"]
    assert found.cause["category"] == "hardware.gpu"
    assert found.events[0]["first"]["time"].startswith("2026-03-02T12:00:15")  # as it was written


def test_a_kernel_that_goes_on_after_the_job_does_not_make_it_hang():
    files = nodes() | {"gpu-2.kern": "Mar  2 23:10:15 gpu-2 kernel: usb 1-1: new high-speed USB device\n"}
    assert diagnosis(files).outcome == "running"


# ------------------------------------------------------------------ who does its own work, or other work


def waiting(*, but: int, kind: str = "ALLREDUCE", number: int = 71) -> list[tuple[float, int, str]]:
    words = WATCHDOG.replace("ALLREDUCE", kind).replace("71", str(number))
    prefix = (
        "[PG ID 0 PG GUID 0(default_pg) Rank {}] Process group watchdog thread terminated with exception: "
    )
    return [(620 + r / 10, r, prefix.format(r) + words) for r in ALL if r != but]


def test_a_rank_that_still_writes_shards_is_busy_and_not_stuck():
    files = nodes()
    for r in ALL:
        if r != 5:
            files[f"gpu-{r // 2}.log"] += cry(620 + r / 10, r, WATCHDOG)
    for k in range(15):
        files["gpu-2.log"] += f"[rank5]: {at(20 + 40 * k)} INFO exported shard {k} of 40\n"
    found = diagnosis(files)
    assert blamed(found) == ([], [5])
    assert (found.cause["category"], found.action["exclude_nodes"]) == ("user.code", [])


def test_rank_0_that_all_wait_for_before_the_first_iteration_prepares_something():
    found = judge(*waiting(but=0), trained=0)
    assert blamed(found) == ([], [0])
    assert found.action["exclude_nodes"] == []


def test_two_collectives_of_one_number_are_two_code_paths():
    found = judge(*waiting(but=5), *[c for c in waiting(but=-1, kind="BROADCAST") if c[1] == 5])
    assert blamed(found) == ([], [5])
    assert (found.cause["category"], found.action["verdict"]) == ("user.code", "stop")


def test_two_groups_may_call_what_they_like():
    other = [(s, r, w.replace("GUID 0", "GUID 3")) for s, r, w in waiting(but=-1, kind="BROADCAST") if r == 5]
    assert diagnosis_is_no_mismatch(judge(*waiting(but=5), *other))


def diagnosis_is_no_mismatch(found) -> bool:
    return found.cause["title"] != "Ranks called different collectives at the same point"


# ------------------------------------------------------------------ who was told to stop


def test_a_death_after_the_order_to_stop_is_no_cause():
    console = (
        "slurmstepd: error: *** STEP 77.0 ON gpu-0 CANCELLED AT 2026-03-02T10:00:15 DUE TO TIME LIMIT ***\n"
        "srun: error: gpu-2: task 5: Exited with exit code 1\n"
    )
    found = judge(slurm_1_out=console)
    assert (blamed(found), found.cause["category"]) == (([], []), "preemption")


def test_a_node_that_was_told_to_stop_before_the_others_lost_it_is_not_stuck():
    files = nodes()
    files["gpu-2.log"] += (
        f"[{at(15)}] torch.distributed.elastic.agent.server.api: [WARNING] Received 15 death signal, "
        "shutting down workers\n"
    )
    gone = "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting"
    for r in ALL:
        if r // 2 != 2:
            files[f"gpu-{r // 2}.log"] += cry(20 + r / 10, r, gone)
    found = diagnosis(files)
    assert (found.cause["category"], found.action["exclude_nodes"]) == ("preemption", [])


def test_a_file_that_some_ranks_of_some_nodes_miss_is_everybodys():
    words = "FileNotFoundError: [Errno 2] No such file or directory: '/data/vocab.json'"
    files = {
        f"n{n}.log": "".join(f"[rank{r}]: hello from rank {r} on n{n}\n" for r in range(8 * n, 8 * n + 8))
        for n in range(8)
    }
    for r in (1, 17, 22):
        files[f"n{r // 8}.log"] += f"[rank{r}]: {words}\n"
    assert diagnosis(files).action["exclude_nodes"] == []


def test_who_did_not_react_when_the_agents_were_asked_to_end_had_hung():
    agent = "[{}] torch.distributed.elastic.{}\n"
    console = agent.format(
        at(45), "agent.server.api: [WARNING] Received 15 death signal, shutting down workers"
    )
    console += agent.format(
        at(75),
        "multiprocessing.api: [WARNING] Unable to shutdown process 4711 via 15, forcefully exiting via 9",
    )
    files = nodes()
    files["gpu-2.log"] += console
    found = diagnosis(files)
    assert found.events[0]["signature"] == "elastic-force-kill"
    assert blamed(found)[0] == ["gpu-2"]
