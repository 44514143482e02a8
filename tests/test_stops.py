"""Whose end others brought about: orders to stop, a scheduler's list of ends, machines without a log."""

import pytest

from jobs import at, cry, diagnosis, steps
from test_culprit import blamed, nodes, slurm

LOST = "NCCL WARN socketProgress: Connection closed by remote peer {}<41234>"
ORDER = "WARNING torch.distributed.elastic.agent.server.api: Received 15 death signal, shutting down workers"
AGENTS = 12


def told_to_end(*, cry_after_s: float, trained: int = 59) -> dict[str, str]:
    """A time limit at 60 s; each agent hears of it, and ranks lose a peer so long after."""
    files = nodes(trained=trained)
    told = [(60.2, n, f"{at(60.2)} {ORDER}\n") for n in range(4)]
    told += [
        (60.2 + cry_after_s, r // 2, cry(60.2 + cry_after_s, r, LOST.format("gpu-2"))) for r in (0, 3, 6)
    ]
    for _, n, line in sorted(told):
        files[f"gpu-{n}.log"] += line
    return files | {"slurm-1.out": slurm(60, " DUE TO TIME LIMIT")}


@pytest.mark.parametrize("after_s", [0.1, 0.6, 4.0])
def test_who_is_lost_after_all_were_told_to_end_did_not_fail(after_s):
    found = diagnosis(told_to_end(cry_after_s=after_s))
    assert blamed(found) == ([], [])
    assert (found.cause["category"], found.action["verdict"]) == ("preemption", "restart")


def test_who_is_lost_before_anybody_was_told_to_end_failed():
    found = diagnosis(told_to_end(cry_after_s=-20.0, trained=38))
    assert blamed(found)[0] == ["gpu-2"]
    assert found.action["verdict"] == "restart_excluding"


@pytest.mark.parametrize(("silence", "category"), [(700, "preemption"), (2000, "unknown")])
def test_who_reports_seldom_did_not_stand_still_before_the_stop(silence, category):
    end = 400 * 9 + silence
    lines = steps(range(200, 2001, 200), every=400, total=9000)
    found = diagnosis({"a.out": lines + slurm(end, " DUE TO TIME LIMIT")})
    assert found.cause["category"] == category


# ------------------------------------------------------------------ what a scheduler tells of ends


def ends(itself: list[int], ended: list[int]) -> str:
    """What srun prints: tasks that ended, the end of the step, and those that it had to end."""
    told = "srun: error: node-{0:03}: task {0}: Exited with exit code 1\n"
    return (
        "".join(map(told.format, itself))
        + "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.\n"
        + "slurmstepd: error: *** STEP 77.0 ON node-000 CANCELLED AT 2026-03-02T10:20:00 ***\n"
        + "".join(map(told.format, ended))
    )


def launched(*words: str) -> str:
    """The beginning of a console in which no line tells who says it, and what agents say at last."""
    return f"{at(0)} INFO starting {AGENTS} nodes\n" + "".join(f"{x}\n" for x in words)


RENDEZVOUS = "torch.distributed.elastic.rendezvous.api.RendezvousTimeoutError"
TAKEN = (
    "[c10d] The server socket has failed to listen on any local network address. port: 29501, "
    "useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use"
)


@pytest.mark.parametrize(("cries", "named"), [(11, ["node-007"]), (12, []), (9, [])])
def test_who_did_not_come_to_the_rendezvous_had_to_be_ended(cries, named):
    """Only if as many agents gave up as ended by themselves: else a victim may just have been slow."""
    files = {
        "train.log": launched(*[RENDEZVOUS] * cries),
        "slurm-77.out": ends([n for n in range(AGENTS) if n != 7], [7]),
    }
    found = diagnosis(files)
    assert [n["node"] for n in found.nodes] == named
    assert [r["rank"] for r in found.ranks] == []  # a task of srun is no rank here


@pytest.mark.parametrize(("more", "named"), [((), ["node-003"]), ((LOST.format("10.0.0.9"),), [])])
def test_who_alone_ended_by_itself_told_the_error(more, named):
    """Unless others cried too: then who was quick to end tells nothing."""
    files = {
        "train.log": launched(f"{at(5)} ERROR {TAKEN}", *more, *[f"{at(6)} {ORDER}"] * 11),
        "slurm-77.out": ends([3], [n for n in range(AGENTS) if n != 3]),
    }
    assert [n["node"] for n in diagnosis(files).nodes] == named


@pytest.mark.parametrize(("silent", "named"), [((3, 4), ["node-003", "node-004"]), ((0, 1, 3, 4, 6, 7), [])])
def test_of_whose_tasks_a_scheduler_tells_no_end_it_heard_nothing_more(silent, named):
    """Two broken links tell of four nodes: two of them were there until the end."""
    files = {
        f"node-{n:03}.log": f"{at(0)} INFO starting on node-{n:03} with eth0:10.0.0.{n + 1}<0>\n"
        for n in range(AGENTS)
    }
    for n, lost in ((2, 3), (5, 4)):
        files[f"node-{n:03}.log"] += f"{at(9)} node-{n:03}:71:92 [0] {LOST.format(f'node-{lost:03}')}\n"
    files["slurm-77.out"] = ends([2, 5], [n for n in range(AGENTS) if n not in (2, 5, *silent)])
    assert [n["node"] for n in diagnosis(files).nodes] == named


def test_whom_all_others_cannot_reach_has_the_taken_port():
    far = "[c10d] The client socket has timed out after 60000ms while trying to connect to ({}, 29501)."
    files = {
        "train.log": launched(f"{at(5)} ERROR {TAKEN}", *[far.format("node-000")] * 11),
        "slurm-77.out": ends(list(range(AGENTS)), []),
    }
    assert [n["node"] for n in diagnosis(files).nodes] == ["node-000"]


# ------------------------------------------------------------------ machines without a log


@pytest.mark.parametrize(
    ("target", "named"), [("gpu-4", "gpu-4"), ("10.0.0.5", "gpu-4"), ("10.0.7.5", "10.0.7.5")]
)
def test_a_machine_of_which_there_is_no_log_can_be_the_one_that_is_gone(target, named):
    """By its name, by its address where those of hosts count up with them, or as an address of theirs."""
    files = nodes()
    known = (
        ("10.0.7.1", "10.0.7.9", "10.0.7.3", "10.0.7.7")
        if target == named
        else tuple(f"10.0.0.{n + 1}" for n in range(4))
    )
    for n in range(4):
        files[f"gpu-{n}.log"] += f"[rank{2 * n}]: {at(0)} INFO Bootstrap : Using eth0:{known[n]}<0>\n"
    for rank in (0, 3, 6):
        files[f"gpu-{rank // 2}.log"] += cry(30 + rank / 10, rank, LOST.format(target))
    assert blamed(diagnosis(files))[0] == [named]


@pytest.mark.parametrize("target", ["storage-gw", "192.168.7.1"])
def test_a_machine_that_is_none_of_the_job_is_not_blamed(target):
    files = nodes()
    for n in range(4):
        files[f"gpu-{n}.log"] += f"[rank{2 * n}]: {at(0)} INFO Bootstrap : Using eth0:10.0.0.{n + 1}<0>\n"
    for rank in (0, 3, 6):
        files[f"gpu-{rank // 2}.log"] += cry(30 + rank / 10, rank, LOST.format(target))
    assert target not in blamed(diagnosis(files))[0]


# ------------------------------------------------------------------ orders that reach nodes one by one

TABLE = "LAST SEEN  TYPE     REASON     OBJECT       MESSAGE\n"
TAKEN_BY = "4m         Warning  Preempted  pod/gpu-{}   Preempted by pod 0b6c on node cpu-3\n"
EVICTED = "4m         Warning  Evict      pod/gpu-{}   Pod is evicted, because of reclaim\n"
NOT_READY = "4m  Warning  Unschedulable  lm  {}/4 tasks in gang unschedulable: pod group is not ready, 4 {}\n"


def asked(told: dict[int, float], *lost: tuple[float, int], trained: int = 59) -> dict[str, str]:
    """Agents told to end (node -> seconds), and ranks that lose gpu-2 (seconds, rank), each file in order."""
    files = nodes(trained=trained)
    lines = [(s, n, f"{at(s)} {ORDER}\n") for n, s in told.items()]
    lines += [(s, r // 2, cry(s, r, LOST.format("gpu-2"))) for s, r in lost]
    for _, n, line in sorted(lines):
        files[f"gpu-{n}.log"] += line
    return files


@pytest.mark.parametrize("lost", [[(59.7, 1)], [(59.7, 1), (59.8, 3)], [(62.4, 1)]])
def test_who_is_lost_when_it_is_told_to_end_as_the_first_did_not_fail(lost):
    """Also where who lost it hears of the order much later, or the order is written a little later."""
    found = diagnosis(asked({2: 60.0, 0: 69.0, 1: 66.0, 3: 72.0}, *lost))
    assert blamed(found) == ([], [])
    assert (found.cause["category"], found.action["verdict"]) == ("preemption", "restart")


def test_an_order_that_all_hear_at_once_may_answer_what_most_of_them_lost():
    found = diagnosis(asked(dict.fromkeys(range(4), 60.5), (60.0, 0), (60.1, 3), (60.2, 6)))
    assert blamed(found)[0] == ["gpu-2"]


@pytest.mark.parametrize(("event", "signature"), [(TAKEN_BY, "k8s-preempted"), (EVICTED, "volcano-evicted")])
def test_whom_a_table_without_times_tells_to_be_stopped_did_not_fail(event, signature):
    lost = asked({}, (60.0, 0), (60.1, 3), (60.2, 6))
    assert blamed(diagnosis(lost))[0] == ["gpu-2"]
    found = diagnosis(
        lost | {"events.txt": TABLE + "".join(map(event.format, range(4))) + NOT_READY.format(0, "Releasing")}
    )
    assert blamed(found) == ([], [])
    assert (found.cause["signature"], found.action["verdict"]) == (signature, "restart")


def test_an_error_of_its_own_stays_the_cause_beside_a_table_without_times():
    files = nodes(trained=59)
    files["gpu-1.log"] += cry(
        60, 3, "torch.AcceleratorError: CUDA error: uncorrectable ECC error encountered"
    )
    found = diagnosis(files | {"events.txt": TABLE + "".join(map(TAKEN_BY.format, range(4)))})
    assert (found.cause["signature"], blamed(found)[0]) == ("cuda-ecc", ["gpu-1"])


def test_what_is_no_node_s_own_blames_nobody_who_was_lost():
    found = diagnosis(
        asked({}, (60.0, 0), (60.1, 3), (60.2, 6)) | {"events.txt": TABLE + NOT_READY.format(3, "Pending")}
    )
    assert (found.cause["signature"], blamed(found)) == ("volcano-unschedulable", ([], []))


# ------------------------------------------------------------------ what nobody dates


@pytest.mark.parametrize(("later", "told"), [(5.0, True), (1500.0, False)])
def test_a_line_without_a_time_is_not_as_old_as_the_last_line_that_has_one(later, told):
    """Its file told the time at its beginning; others, or itself, tell by when it was written."""
    files = nodes(trained=1)
    files["gpu-1.log"] += f"[rank2]: {at(2)} INFO reading shards\n[rank2]: KeyError: 'body_text'\n"
    files["gpu-3.log"] += f"[rank6]: {at(2 + later)} INFO still there\n"
    (first,) = [e["first"] for e in diagnosis(files).events if "KeyError" in e["first"]["text"]]
    assert (first["time"] is not None) == told


def test_what_kept_a_pod_from_its_start_did_not_end_it_later():
    mount = '41m  Warning  FailedMount  pod/gpu-1  MountVolume.SetUp failed for volume "conf" : timed out\n'
    evicted = "7m  Warning  Evicted  pod/gpu-2  The node was low on resource: memory.\n"
    found = diagnosis(nodes(trained=59) | {"events.txt": TABLE + mount + evicted})
    assert [e["signature"] for e in found.events if e["role"] == "root"] == ["k8s-evicted"]
    assert (
        diagnosis(nodes(trained=0) | {"events.txt": TABLE + mount}).cause["signature"] == "k8s-mount-failed"
    )
