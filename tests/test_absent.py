"""Who is missing from what the others tell: neighbours in a ring, the one without a word, the first end."""

import pytest

from jobs import at, cry, diagnosis, steps
from test_culprit import WATCHDOG, blamed, nodes

RETRY = "NCCL WARN NET/IB : Got completion with error 12, opcode 0, len 0, vendor err 129"
CLOSED = "NCCL WARN Net : Connection closed by remote peer 10.9.8.7<41234>"
OOM = "[default0]:torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
STORE = (
    "torch.distributed.DistNetworkError: The client socket has timed out after 60000ms while "
    "trying to connect to (head, 29500)."
)
RENDEZVOUS = "torch.distributed.elastic.rendezvous.api.RendezvousTimeoutError"
NODES = 8


def ring(crying: dict[int, str], *, n_nodes: int = NODES) -> dict[str, str]:
    """A file for each node with two ranks; those of ``crying`` say it at about the same time."""
    files = {
        f"gpu-{n}.log": "".join(
            f"[rank{r}]: {at(0)} INFO rank {r} of {2 * n_nodes} ready on gpu-{n}\n"
            for r in (2 * n, 2 * n + 1)
        )
        for n in range(n_nodes)
    }
    files["gpu-0.log"] += steps(range(1, 11), begin=1)
    for n, words in crying.items():
        files[f"gpu-{n}.log"] += cry(30 + n / 10, 2 * n, words)
    return files


@pytest.mark.parametrize(
    ("crying", "named"),
    [
        ((3, 4, 5), ["gpu-4"]),
        ((7, 0, 1), ["gpu-0"]),  # the ring is closed
        ((2, 3, 4, 5), ["gpu-3", "gpu-4"]),
        ((3, 4), []),  # a link: either end may be at fault
        ((1, 3, 5), []),
        ((1, 2, 3, 4, 5), []),  # most say so: that is no longer who is beside whom
    ],
)
def test_of_neighbours_that_lost_their_peers_the_one_between(crying, named):
    found = diagnosis(ring(dict.fromkeys(crying, RETRY)))
    assert sorted(n["node"] for n in found.nodes) == named


@pytest.mark.parametrize(("quiet", "named"), [((6,), ["gpu-6"]), ((5, 6), []), ((), [])])
def test_the_node_of_which_no_process_complains_where_all_others_do(quiet, named):
    """Its launcher may well say how it ended."""
    files = ring({n: CLOSED for n in range(12) if n not in quiet}, n_nodes=12)
    files["slurm-7.out"] = "".join(
        f"srun: error: gpu-{n}: task {n}: Exited with exit code 1\n" for n in range(12)
    )
    assert [n["node"] for n in diagnosis(files).nodes] == named


@pytest.mark.parametrize(
    ("crying", "named", "why"),
    [
        (range(1, 8), "gpu-0", "it alone of those that ended had lost nobody before"),
        (range(3, 8), "gpu-1", "its processes were the first to be reported dead"),
    ],
)
def test_who_ended_as_the_others_but_had_lost_nobody_told_the_error(crying, named, why):
    """Of many that died of what one began: the one that does not complain, else the first of those."""
    pids = {n: 5000 + n for n in range(NODES)}
    console = "".join(
        f"[default{r % 2}]:gpu-{r // 2}:{pids[r // 2] if r % 2 == 0 else 7000 + r}:9{r:03} [{r % 2}] "
        "NCCL INFO Bootstrap : Using eth0:10.0.0.1<0>\n"
        for r in range(2 * NODES)
    )
    console += steps(range(1, 11), begin=1) + OOM + "\n"
    console += "".join(f"[default0]:gpu-{n}:{pids[n]}:9{2 * n:03} [0] {CLOSED}\n" for n in crying)
    for n in (3, 1, 0, 2, 4, 5, 6, 7):
        console += (
            f"{'-' * 60}\nRoot Cause (first observed failure):\n[0]:\n"
            f"  time      : 2026-03-02_10:00:{40 + n}\n  host      : gpu-{n}\n"
            f"  rank      : {2 * n} (local_rank: 0)\n  exitcode  : 1 (pid: {pids[n]})\n"
            "  error_file: <N/A>\n  traceback : To enable traceback see: https://pytorch.org/docs\n"
        )
    (node,) = diagnosis({"train.log": console}).nodes
    assert (node["node"], node["reasons"]) == (named, [why])


@pytest.mark.parametrize(("others", "named"), [(11, ["node-007"]), (12, []), (8, [])])
def test_the_first_end_is_of_the_one_that_alone_told_an_error_before_the_others(others, named):
    files = {
        "train.log": f"{at(0)} INFO starting 12 nodes\n{STORE}\n" + f"{RENDEZVOUS}\n" * others,
        "slurm-77.out": "".join(
            f"srun: error: node-{n:03}: task {n}: Exited with exit code 1\n"
            for n in (7, 3, 1, 0, 2, 4, 5, 6, 8, 9, 10, 11)
        ),
    }
    assert [n["node"] for n in diagnosis(files).nodes] == named


def test_who_gave_up_first_is_told_by_those_who_heard_of_it():
    """Clocks of nodes differ; whose timeout others were told of is on the node of the missing one."""
    files = nodes()
    heard = "Received a dump signal due to a collective timeout from  rank 4 and we will try our best to dump"
    for rank, seconds in ((0, 617.0), (1, 617.1), (2, 617.2), (4, 620.3), (6, 618.0), (7, 618.1)):
        files[f"gpu-{rank // 2}.log"] += cry(seconds, rank, WATCHDOG)
    files["gpu-1.log"] += cry(617.3, 3, heard)
    assert blamed(diagnosis(files)) == (["gpu-2"], [5])


@pytest.mark.parametrize(("first", "named"), [((3, 4, 5), ["gpu-4"]), (tuple(range(NODES)), [])])
def test_where_all_lost_peers_at_last_those_that_ended_first_tell(first, named):
    """No cry has a time; launchers tell when the processes of each node ended."""
    files = ring({})
    for n in range(NODES):
        files[f"gpu-{n}.log"] += f"[rank{2 * n}]: {RETRY}\n"
        ended = at(30.0 + n / 10 + (0 if n in first else 20))
        files[f"gpu-{n}.log"] += (
            f"[{ended}] torch.distributed.elastic.multiprocessing.api: [ERROR] failed (exitcode: 1) "
            f"local_rank: 0 (pid: {4000 + n}) of binary: /usr/bin/python3\n"
        )
    assert [n["node"] for n in diagnosis(files).nodes] == named
