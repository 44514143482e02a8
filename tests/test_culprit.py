"""Who began it: each rule with a job of a few lines, in eight ranks on four nodes."""

import pytest

from jobs import at, cry, diagnosis, steps, text

WATCHDOG = (
    "Watchdog caught collective operation timeout: WorkNCCL(SeqNum=71, OpType=ALLREDUCE, NumelIn=1, "
    "NumelOut=1, Timeout(ms)=600000) ran for 600001 milliseconds before timing out."
)
GONE = (
    "RuntimeError: NCCL error in: ProcessGroupNCCL.cpp:47, "
    "remote process exited or there was a network error, NCCL version 2.14.3"
)
STUCK = (
    "ProcessGroupNCCL's watchdog got stuck for 480 seconds "
    "without making progress in monitoring enqueued collectives."
)
ILLEGAL = "RuntimeError: CUDA error: an illegal memory access was encountered"
XID = (
    "Mar  2 10:00:15 gpu-2 kernel: NVRM: Xid (PCI:0000:9b:00): 79, "
    "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n"
)
SRUN_FIRST = "srun: error: gpu-1: task 2: Exited with exit code 1\n"
ALL = range(8)


def enqueued(number: int) -> str:
    return (
        f"Exception (either an error or timeout) detected by watchdog at work: {number}, "
        f"last enqueued NCCL work: {number}, last completed NCCL work: {number}."
    )


def nodes(*, trained: int = 10) -> dict[str, str]:
    """Eight ranks that say where they are; rank 0 has done ``trained`` iterations."""
    files = {
        f"gpu-{n}.log": "".join(
            f"[rank{r}]: {at(0)} INFO rank {r} of 8 ready on gpu-{n}\n" for r in (2 * n, 2 * n + 1)
        )
        for n in range(4)
    }
    files["gpu-0.log"] += steps(range(1, trained + 1), begin=1)
    return files


def judge(*cries: tuple[float, int, str], trained: int = 10, **more: str):
    """Diagnose the job where ranks cried at some time; ``more`` holds other files."""
    files = nodes(trained=trained)
    for seconds, rank, words in cries:
        files[f"gpu-{rank // 2}.log"] += cry(seconds, rank, words)
    return diagnosis(files | {name.replace("_", "."): content for name, content in more.items()})


def blamed(found) -> tuple[list[str], list[int]]:
    return [n["node"] for n in found.nodes], [r["rank"] for r in found.ranks]


def roles(found) -> list[tuple[str, int]]:
    return [(e["role"], e["count"]) for e in found.events]


def slurm(seconds: float, why: str = "") -> str:
    return (
        f"slurmstepd: error: *** JOB 77 ON gpu-0 CANCELLED AT {at(seconds)[:19].replace(' ', 'T')}{why} ***\n"
    )


# ------------------------------------------------------------------ 1. a line that names the culprit


@pytest.mark.parametrize(
    ("words", "ranks"),
    [
        ("RuntimeError: Rank 5 failed to pass monitoredBarrier in 300000 ms", [5]),
        ("RuntimeError: Ranks 4, 5 failed to pass monitoredBarrier in 300000 ms", [4, 5]),
    ],
)
def test_a_barrier_names_who_did_not_come(words, ranks):
    found = judge((620, 0, words))
    assert blamed(found) == (["gpu-2"], ranks)
    assert found.nodes[0]["evidence"][0]["text"].endswith(words)


def test_the_kernel_of_a_host_names_it():
    found = judge(gpu_2_kern=XID)
    assert blamed(found)[0] == ["gpu-2"]
    assert (found.cause["category"], found.action["exclude_nodes"]) == ("hardware.gpu", ["gpu-2"])


def test_the_host_is_to_blame_and_not_those_who_waited_for_it():
    found = judge(*[(620 + r / 10, r, WATCHDOG) for r in ALL if r != 5], gpu_2_kern=XID)
    assert blamed(found)[0] == ["gpu-2"]
    assert roles(found) == [("root", 1), ("consequence", 7)]


def test_of_the_blamed_node_the_silent_rank_is_named():
    found = judge(*[(620 + r / 10, r, WATCHDOG) for r in ALL if r != 5], gpu_2_kern=XID)
    assert blamed(found)[1] == [5]


def test_the_first_abnormal_task_names_host_and_rank():
    lost = SRUN_FIRST + "srun: error: gpu-3: tasks 6-7: Terminated\n"
    assert blamed(judge(slurm_1_out=lost)) == (["gpu-1"], [2])


def test_a_task_that_was_killed_afterwards_is_not_the_first():
    lost = SRUN_FIRST + "srun: error: gpu-2: task 5: Exited with exit code 137\n"
    assert blamed(judge(slurm_1_out=lost)) == (["gpu-1"], [2])


def test_a_task_that_was_asked_to_end_is_not_to_blame():
    lost = SRUN_FIRST + "srun: error: gpu-3: tasks 6-7: Exited with exit code 143\n"
    assert blamed(judge(slurm_1_out=lost)) == (["gpu-1"], [2])


def test_who_reports_a_lost_heartbeat_is_not_the_lost_one():
    words = (
        "[HeartbeatAbnormal]local rank [10.0.0.1/0]: crimer rank [10.0.0.3/5] "
        "status[LOST] by informer rank [10.0.0.1/0]"
    )
    files = addresses()
    files["gpu-0.log"] += cry(30, 0, words)
    assert blamed(diagnosis(files))[0] == ["gpu-2"]


# ------------------------------------------------------------------ 2. timeouts: the silent, the laggard


def test_all_timed_out_but_one():
    found = judge(*[(620 + r / 10, r, WATCHDOG) for r in ALL if r != 5])
    assert blamed(found) == (["gpu-2"], [5])
    assert (found.cause["category"], found.action["verdict"]) == ("hardware.host", "restart_excluding")


def test_half_timed_out_and_nobody_can_tell():
    found = judge(*[(620 + r / 10, r, WATCHDOG) for r in range(4)])
    assert blamed(found) == ([], [])
    assert any(note.startswith("cannot tell which node") for note in found.coverage["notes"])


def test_a_rank_that_never_said_a_word_leaves_a_gap():
    files = nodes()
    files["gpu-2.log"] = files["gpu-2.log"].splitlines(keepends=True)[0]  # rank 5 is missing
    for r in ALL:
        if r != 5:
            files[f"gpu-{r // 2}.log"] += cry(620 + r / 10, r, WATCHDOG)
    assert blamed(diagnosis(files)) == (["gpu-2"], [5])


@pytest.mark.parametrize(("joined", "ranks"), [(7, [5]), (6, [0, 5])])
def test_rank_0_came_to_the_barrier_that_it_counts(joined, ranks):
    """It keeps the store, and may say nothing of who is missing: the others' count tells."""
    barrier = (
        "RuntimeError: Timed out initializing process group in store based barrier on rank: {}, for key: "
        f"store_based_barrier_key:1 (world_size=8, worker_count={joined}, timeout=0:30:00)"
    )
    cries = [(1800 + r / 10, r, barrier.format(r)) for r in ALL if r not in (0, 5)]
    found = judge(*cries, trained=0)
    assert sorted(blamed(found)[1]) == ranks
    assert found.cause["title"] == "Not all processes came to the first barrier"


def test_the_rank_whose_last_collective_is_behind():
    found = judge(*[(620 + r / 10, r, enqueued(70 if r == 5 else 71)) for r in ALL])
    assert blamed(found) == (["gpu-2"], [5])
    assert roles(found) == [("root", 1), ("consequence", 7)]
    assert found.events[0]["ranks"] == [5]


def test_who_called_the_collective_that_did_not_finish_is_not_behind():
    """Ranks run ahead of what the device has done, some further than others."""

    def words(rank: int) -> str:
        return enqueued(71).replace("enqueued NCCL work: 71", f"enqueued NCCL work: {71 + rank % 4}")

    found = judge(*[(620 + r / 10, r, words(r)) for r in ALL if r != 5])
    assert blamed(found) == (["gpu-2"], [5])  # it called none


@pytest.mark.parametrize("number", [71, -1, 12345678901234567])
def test_equal_and_uninitialised_numbers_prove_nothing(number):
    found = judge(*[(620 + r / 10, r, enqueued(number if r == 5 else 71)) for r in ALL])
    assert blamed(found) == ([], [])


@pytest.mark.parametrize("number", [-1, 12345678901234567])
def test_the_laggard_stands_out_beside_uninitialised_numbers(number):
    numbers = {5: 70, 1: number}
    found = judge(*[(620 + r / 10, r, enqueued(numbers.get(r, 71))) for r in ALL])
    assert blamed(found) == (["gpu-2"], [5])


def test_many_laggards_are_none():
    found = judge(*[(620 + r / 10, r, enqueued(70 + r % 2)) for r in ALL])
    assert blamed(found) == ([], [])


def test_each_process_group_counts_for_itself():
    # Ranks 4-7 are in a second group that is at 7, whatever the first one counts.
    lines = [(620 + r / 10, r, f"[PG ID 0 PG GUID 0 Rank {r}] {enqueued(71)}") for r in range(4)]
    lines += [(621 + r / 10, r, f"[PG ID 1 PG GUID 4 Rank {r}] {enqueued(7)}") for r in range(4, 8)]
    assert blamed(judge(*lines)) == ([], [])


def test_everybody_timed_out():
    found = judge(*[(620 + r / 10, r, WATCHDOG) for r in ALL])
    assert blamed(found) == ([], [])
    assert found.action["verdict"] == "restart"


# ------------------------------------------------------------------ 3. the earliest error


def test_the_earliest_error_that_is_no_reaction():
    found = judge((15, 5, ILLEGAL), *[(18 + r / 10, r, GONE) for r in ALL if r != 5])
    assert blamed(found) == (["gpu-2"], [5])
    assert roles(found) == [("root", 1), ("consequence", 7)]


def unnamed(words: str) -> str:
    """Four processes in one file that nothing names: each ends with an exception and its stack, no time."""
    stack = f'Traceback (most recent call last):\n  File "pool.py", line 85, in build\n{words}\n\n'
    return "".join(f"{at(5)} W{r} hit an exception: {stack}" for r in range(4))


def test_an_exception_without_a_time_stands_before_unknown_warnings_after_it():
    walk = text(f"{at(7 + r / 10)} - DSL - WARNING - Unexpected error in the walk: a.b" for r in range(4))
    found = diagnosis({"console.log": unnamed("RuntimeError: The pool has no room") + walk})
    assert found.cause["signature"] == "py-exception"


@pytest.mark.parametrize(
    ("made", "cause"),
    [
        (
            "ncclInternalError: Internal check failed.\nSocket recv failed while polling for opId=0x7f",
            "cuda-oom",
        ),
        ("ncclUnhandledCudaError: Call to CUDA function failed.\nCuda failure 'out of memory'", "cuda-oom"),
    ],
)
def test_what_nccl_makes_of_memory_that_is_used_up_is_no_cause(made, cause):
    oom = "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 15.00 GiB"
    nccl = f"torch.distributed.DistBackendError: NCCL error in: a.cpp:1275\n{made}"
    found = diagnosis({"job.err": unnamed(nccl) + unnamed(oom)})
    assert (found.cause["signature"], found.cause["category"]) == (cause, "resource")


def test_the_call_of_cuda_that_failed_is_why_nccl_failed():
    made = "ncclUnhandledCudaError: Call to CUDA function failed.\nFailed to CUDA calloc async 16 bytes"
    found = diagnosis({"job.err": unnamed(made)})
    assert (found.cause["signature"], found.cause["category"]) == ("nccl-cuda-memory", "resource")


@pytest.mark.parametrize(("signal", "category"), [(11, "framework"), (9, "platform")])
def test_who_ended_first_is_the_cause_where_nobody_says_more(signal, category):
    died = (
        f"ERROR:  One or more process (first noticed rank 5) terminated with signal {signal} (core dumped)\n"
    )
    found = judge(job_err=died)
    assert (found.cause["signature"], found.cause["category"]) == ("jsrun-process-died", category)
    assert blamed(found) == (["gpu-2"], [5])


def test_a_reaction_is_none_even_if_its_clock_is_ahead():
    found = judge(*[(14 + r / 100, r, GONE) for r in ALL if r != 5], (15, 5, ILLEGAL))
    assert blamed(found) == (["gpu-2"], [5])


def test_an_error_long_after_the_first_is_a_consequence():
    found = judge((15, 5, "ValueError: a"), (30, 2, "KeyError: 'b'"))
    assert blamed(found) == (["gpu-2"], [5])
    assert roles(found) == [("root", 1), ("consequence", 1)]


def test_two_errors_closer_than_the_skew_of_clocks_tell_no_order():
    found = judge((15.0, 5, "ValueError: a"), (15.5, 2, "KeyError: 'b'"))
    assert blamed(found)[0] == []
    assert sum(count for _, count in roles(found)) == 2
    assert any("no order can be told" in note for note in found.coverage["notes"])


def test_both_errors_of_one_rank_are_one_story():
    found = judge((15, 5, "ValueError: a"), (15.2, 5, ILLEGAL), (40, 1, GONE))
    assert blamed(found) == (["gpu-2"], [5])
    assert [e["role"] for e in found.events] == ["root", "root", "consequence"]


def test_a_death_that_was_asked_for_is_no_root():
    agent = "Sending process 4711 closing signal SIGTERM\n"
    agent += "failed (exitcode: -9) local_rank: 0 (pid: 4711) of binary: /usr/bin/python3\n"
    found = judge((15, 5, "ValueError: a"), agent_log=agent)
    assert blamed(found) == (["gpu-2"], [5])
    assert {e["role"] for e in found.events if "exitcode" in e["template"]} == {"consequence"}


# ------------------------------------------------------------------ 4. the end of the wait-for chain


def addresses() -> dict[str, str]:
    files = nodes()
    for n in range(4):
        files[f"gpu-{n}.log"] += f"[rank{2 * n}]: {at(0)} INFO Bootstrap : Using eth0:10.0.0.{n + 1}<0>\n"
    return files


@pytest.mark.parametrize("target", ["gpu-2", "10.0.0.3"])
def test_many_lost_one_peer(target):
    files = addresses()
    for r in (0, 1, 2, 3, 6, 7):
        files[f"gpu-{r // 2}.log"] += cry(
            30 + r / 10, r, f"NCCL WARN socketProgress: Connection closed by remote peer {target}<41234>"
        )
    found = diagnosis(files)
    assert blamed(found)[0] == ["gpu-2"]
    assert found.cause["category"] == "hardware.host"


def test_two_that_lost_each_other_tell_nobody():
    files = addresses()
    for r, target in ((2, "gpu-2"), (5, "gpu-1")):
        files[f"gpu-{r // 2}.log"] += cry(
            30, r, f"NCCL WARN socketProgress: Connection closed by remote peer {target}<41234>"
        )
    found = diagnosis(files)
    assert blamed(found)[0] == []
    assert sum(count for _, count in roles(found)) == 2


def test_only_victims_speak():
    found = judge(*[(18 + r / 10, r, GONE) for r in ALL])
    assert blamed(found) == ([], [])
    assert found.action["verdict"] in ("restart", "unknown")
    assert any(note.startswith("cannot tell which node") for note in found.coverage["notes"])


# ------------------------------------------------------------------ everybody


@pytest.mark.parametrize("trained", [0, 10])
def test_what_everybody_says_is_nobodys_fault(trained):
    found = judge(*[(15 + r / 10, r, "ValueError: heads not divisible") for r in ALL], trained=trained)
    assert blamed(found) == ([], [])
    assert found.action["verdict"] == "stop"


def test_the_same_on_one_node_is_its_environment():
    found = judge(*[(15, r, "ModuleNotFoundError: No module named 'x'") for r in (4, 5)], trained=0)
    assert blamed(found) == (["gpu-2"], [4, 5])
    assert (found.cause["category"], found.action["exclude_nodes"]) == ("platform", ["gpu-2"])


def test_what_the_system_says_stands_before_what_a_library_makes_of_it():
    made = "RuntimeError: [enforce fail at inline_container.cc:664] . unexpected pos 704 vs 598"
    found = judge(*[(15, 5, w) for w in (made, "OSError: [Errno 28] No space left on device")])
    assert [e["signature"] for e in found.events[:2]] == ["os-errno", "torch-save-failed"]


def test_who_says_only_that_it_aborted_began_nothing():
    lost = (
        "Rank 0 lost the coordinator: UNAVAILABLE: Task /job:jax_worker/replica:0/task:5 heartbeat timeout."
    )
    for words in ("Fatal Python error: Aborted", "Fatal Python error: Segmentation fault"):
        found = judge((15, 5, words), (40, 0, lost))
        assert (found.events[0]["first"]["text"].endswith(words)) == ("Aborted" not in words)


# ------------------------------------------------------------------ stop and hang


@pytest.mark.parametrize(("stopped", "kind"), [(15, "stop"), (35, "error")])
def test_a_stop_before_the_error_explains_it(stopped, kind):
    found = judge((16, 5, "ValueError: a"), slurm_1_out=slurm(stopped, " DUE TO TIME LIMIT"))
    assert blamed(found) == (([], []) if kind == "stop" else (["gpu-2"], [5]))
    assert (found.cause["category"] == "preemption") == (kind == "stop")
    assert found.action["verdict"] == ("restart" if kind == "stop" else "stop")


TOLD = (
    f"[{at(15)}] torch.distributed.elastic.agent.server.api: [WARNING] Received 15 death signal, "
    "shutting down workers\n"
)


@pytest.mark.parametrize(
    ("reason", "message", "category"),
    [
        ("Evicted", "The node was low on resource: ephemeral-storage.", "resource"),
        ("NodeNotReady", "Node is not ready", "hardware.host"),
    ],
)
def test_what_kubernetes_tells_of_a_pod_without_a_time_is_why_it_was_told_to_stop(reason, message, category):
    files = nodes(trained=0)
    files["gpu-2.log"] += TOLD
    files["events.txt"] = f"4m31s   Warning   {reason}   pod/gpu-2   {message}\n"
    found = diagnosis(files)
    assert (blamed(found)[0], found.cause["category"]) == (["gpu-2"], category)


def test_what_a_scheduler_notes_without_a_time_of_a_stopped_node_is_the_stops_doing():
    files = nodes(trained=0)
    files["gpu-2.log"] += TOLD
    files["slurm-1.out"] = "srun: error: gpu-2: task 5: Segmentation fault\n"
    found = diagnosis(files)
    assert (blamed(found)[0], found.cause["category"]) == ([], "preemption")


SIGTERM = "".join(cry(16, r, "Received SIGTERM: 15") for r in (0, 1))


def test_a_cancelled_job_in_which_nothing_had_failed_was_cancelled():
    files = nodes()
    files["gpu-0.log"] += SIGTERM
    files["slurm-1.out"] = slurm(15) + "srun: error: gpu-0: tasks 0-1: Terminated\n"
    found = diagnosis(files)
    assert (found.events[0]["signature"], found.cause["signature"]) == ("slurm-job-cancelled",) * 2
    assert (blamed(found), found.action["verdict"]) == (([], []), "restart")


def test_a_job_that_was_cancelled_since_a_rank_failed_was_not_cancelled_by_itself():
    files = nodes()
    files["gpu-2.log"] += cry(13, 5, ILLEGAL)
    files["gpu-0.log"] += SIGTERM
    files["slurm-1.out"] = slurm(18) + "srun: error: gpu-0: tasks 0-1: Terminated\n"
    found = diagnosis(files)
    assert (blamed(found), found.cause["signature"]) == ((["gpu-2"], [5]), "cuda-illegal-access")
    told = {e["role"] for e in found.events if e["signature"] in ("slurm-cancelled", "lightning-sigterm")}
    assert told == {"consequence"}


def test_a_hang_beats_the_stop_that_ended_it():
    found = judge((616, 5, STUCK), slurm_1_out=slurm(660))
    assert blamed(found) == (["gpu-2"], [5])
    assert found.cause["category"] == "hardware.host"


# ------------------------------------------------------------------ numbers that are none


def losses(bad: dict[int, int], *, n: int = 8) -> dict[str, str]:
    """All ranks print their own loss; rank r is NaN from iteration ``bad[r]`` on."""
    files = nodes(trained=0)
    for i in range(1, n + 1):
        for r in ALL:
            value = "nan" if i >= bad.get(r, 99) else 2.5
            files[f"gpu-{r // 2}.log"] += (
                f"[rank{r}]: {at(20 + i + r / 100)} INFO iteration {i}/ 100 | loss: {value} |\n"
            )
    return files


def test_a_loss_that_all_report_alike_names_nobody():
    found = diagnosis(losses(dict.fromkeys(ALL, 5)))
    assert blamed(found) == ([], [])
    assert found.cause["category"] == "numeric"
    assert (found.iterations["first_abnormal"], found.action["verdict"]) == (5, "resume_older_checkpoint")


def test_the_rank_that_was_bad_an_iteration_before_the_others():
    found = diagnosis(losses({5: 5} | {r: 6 for r in ALL if r != 5}))
    assert blamed(found) == (["gpu-2"], [5])


def test_a_rank_that_raises_its_own_is_named():
    words = (
        "AssertionError: Rank 5: found NaN in local grad norm in backward pass "
        "before data-parallel communication collective"
    )
    found = judge((15, 5, words), *[(18 + r / 10, r, GONE) for r in ALL if r != 5])
    assert blamed(found) == (["gpu-2"], [5])


# ------------------------------------------------------------------ in every answer


def test_who_is_blamed_is_told_why_and_by_which_line():
    found = judge((15, 5, ILLEGAL))
    (node,) = found.nodes
    assert node["ranks"] == [4, 5]
    assert node["reasons"]
    offset = len(nodes()["gpu-2.log"])
    assert node["evidence"] == [
        {"file": "gpu-2.log", "line": 3, "offset": offset, "text": f"[rank5]: {at(15)} ERROR {ILLEGAL}"}
    ]


def test_nothing_happened():
    found = judge()
    assert (found.outcome, blamed(found), found.events) == ("running", ([], []), [])


def test_the_processes_that_ncclras_misses_are_to_blame():
    ras = [
        "  Missing communicator data from 2 job processes",
        "  The missing processes:",
        "  Process 156898 on node gb058 managing GPU 0",
        "  Process 140947 on node gb058 managing GPU 1",
        "#0-0 (fa93daea854b060b) INCOMPLETE",
        "  Missing communicator data from 2 ranks",
    ]
    found = diagnosis({"train.log": steps(range(1, 41)) + text(ras)})
    assert [node["node"] for node in found.nodes] == ["gb058"]


# ------------------------------------------------------------------ words of drivers


def test_a_driver_that_cannot_preempt_a_queue_is_no_order_to_stop():
    said = "Mar  2 10:00:11 gpu-2 kernel: xpu 0000:4b:00.0: context preemption failed, resetting\n"
    found = judge(*[(620 + r / 10, r, WATCHDOG) for r in ALL if r != 5], gpu_2_kern=said)
    assert found.cause["category"] != "preemption"
    assert blamed(found)[0] == ["gpu-2"]


def test_who_alone_cannot_bind_multicast_memory_has_broken_switches():
    bind = (
        "gpu-1:711:820 [{}] transport/nvls.cc:301 NCCL WARN Failed to bind NVLink SHARP (NVLS) Multicast "
        "memory of size 4194304 : CUDA error 401 'the operation cannot be performed in the present state'."
    )
    found = judge(*[(2, r, bind.format(r % 2)) for r in (2, 3)], trained=0)
    assert (blamed(found)[0], found.cause["category"]) == (["gpu-1"], "hardware.gpu")
    assert found.action["verdict"] == "restart_excluding"
