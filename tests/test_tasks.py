"""Tasks of a batch system: whether their numbers are ranks, nodes, or agents of nodes."""

import pytest

from jobs import text, topology


def test_task_numbers_are_ranks_where_ranks_say_so_too():
    top = topology({"slurm-1.out": text(f"{r}: [rank{r}]: hello" for r in range(4))})
    assert (top.ranks, top.nodes) == ([0, 1, 2, 3], [])


def test_task_numbers_are_nodes_where_ranks_say_otherwise():
    lines = (f"{n}: [default{i}]: [rank{2 * n + i}]: hello" for n in range(3) for i in range(2))
    top = topology({"slurm-1.out": text(lines)})
    assert top.ranks == list(range(6))
    assert top.node_of_rank == {r: f"task {r // 2}" for r in range(6)}


def test_one_task_that_shows_several_local_ranks_is_a_node():
    top = topology({"slurm-1.out": text(f"{n}: [default{i}]: hi" for n in range(3) for i in range(2))})
    assert (top.ranks, top.nodes) == ([], ["task 0", "task 1", "task 2"])


@pytest.mark.parametrize(("world", "is_rank"), [(3, True), (24, False)])
def test_the_world_size_decides_what_task_numbers_are(world, is_rank):
    top = topology(
        {"slurm-1.out": text([f"0: using world size: {world}, x", *(f"{t}: hi" for t in range(3))])}
    )
    assert top.expected == world
    assert (top.ranks == [0, 1, 2]) == is_rank
    assert (top.nodes == []) == is_rank


def test_task_0_that_is_rank_0_tells_nothing_of_the_others():
    lines = ["0: [rank0]: using world size: 32", *(f"{n}: RuntimeError: CUDA error" for n in range(4))]
    top = topology({"slurm-1.out": text(lines)})
    assert (top.ranks, top.nodes) == ([0], ["task 0", "task 1", "task 2", "task 3"])


@pytest.mark.parametrize("n_seen", [9, 15])
def test_tasks_are_ranks_though_the_last_ones_say_nothing(n_seen):
    lines = ["0: using world size: 16", *(f"{t}: hi" for t in range(n_seen))]
    top = topology({"slurm-1.out": text(lines)})
    assert (top.ranks, top.nodes) == (list(range(n_seen)), [])


LISTS = [
    "srun: error: cn0038: task 7: Exited with exit code 1",
    "srun: error: cn[0031-0037,0039-0046]: tasks 0-6,8-15: Terminated",
]


@pytest.mark.parametrize(("world", "are_agents"), [(64, True), (16, False)])
def test_as_many_tasks_as_hosts_are_agents_where_there_are_more_ranks(world, are_agents):
    top = topology({"out.log": text([f"using world size: {world}, x", *LISTS])})
    assert top.tasks_are_agents == are_agents
    per_node = world // 16
    assert top.node_of_rank == {r: f"cn00{31 + r // per_node}" for r in range(world)}


@pytest.mark.parametrize(
    ("lines", "home"),
    [
        (["srun: error: c12: task 9: Aborted", "srun: error: c[11-14]: tasks 0-8,10-31: Aborted"], True),
        # Another order than by blocks, a task that nobody names, and nothing that tells of the order.
        (["srun: error: c12: task 5: Aborted", "srun: error: c[11-14]: tasks 0-4,6-31: Aborted"], False),
        (["srun: error: c12: task 9: Aborted", "srun: error: c[11-14]: tasks 0-8,10-30: Aborted"], False),
        (["srun: error: c[11-14]: tasks 0-31: Aborted"], False),
    ],
)
def test_lists_of_all_tasks_tell_where_each_runs(lines, home):
    top = topology({"out.log": text(["using world size: 32, x", *lines])})
    expected = {r: f"c{11 + r // 8}" for r in range(32)} if home else {}
    assert {r: node for r, node in top.node_of_rank.items() if r not in (5, 9)} == {
        r: node for r, node in expected.items() if r not in (5, 9)
    }


@pytest.mark.parametrize(
    ("lines", "nodes"),
    [
        # The host in front of what a task says, a scheduler's words, a failure table, a start script.
        (["3: c7:4711:4711 [0] NCCL INFO Bootstrap : Using eth0:10.0.0.1<0>"], ["c7", "task 1"]),
        (["srun: error: c7: task 3: Exited with exit code 1"], ["c7", "task 1"]),
        (["srun: error: c[6-7]: tasks 1,3: Terminated"], ["c6", "c7"]),
        (["3:   host      : c7.cluster", "3:   rank      : 7 (local_rank: 1)"], ["c7", "task 1"]),
        (["3: hostname: c7", "1: hostname: c6"], ["c6", "c7"]),
        ([], ["task 1", "task 3"]),
    ],
)
def test_the_node_of_a_task_is_its_host_where_any_line_tells_it(lines, nodes):
    said = [f"{n}: [default{i}]: [rank{2 * n + i}]: hello" for n in (1, 3) for i in range(2)]
    top = topology({"slurm-1.out": text([*said, *lines])})
    assert top.nodes == nodes


def node_files(said):
    """Eight files of nodes with eight ranks each, of which those of ``said`` speak; none is on cx05."""
    return {
        f"cx{n:02d}.log": text([f"[rank{8 * n + i}]: hello" for i in said if n != 5] + ["the job begins"])
        for n in range(8)
    }


@pytest.mark.parametrize(
    ("said", "lines", "are_agents"),
    [
        # Rank 5 speaks on another host; the next rank to it does.
        (range(8), ["srun: error: cx05: task 5: Out Of Memory"], True),
        ((0, 3), ["srun: error: cx06: task 6: Out Of Memory"], True),
        ((0, 3), ["srun: error: cx06: task 49: Out Of Memory"], False),
        ((0, 3), ["srun: error: cx06: task 51: Out Of Memory"], False),
    ],
)
def test_where_ranks_are_tells_whether_tasks_are_agents(said, lines, are_agents):
    top = topology({"slurm-1.out": text(lines), **node_files(said)})
    assert top.tasks_are_agents == are_agents


def test_two_tasks_in_the_order_of_their_hosts_are_agents():
    lines = ["srun: error: cx05: task 5: Out Of Memory", "srun: error: cx02: task 2: Aborted"]
    console = text([*lines, "[default1]: a", "[default7]: b"])
    hosts = {f"cx{n:02d}.log": "the job begins\n" for n in range(8)}
    ranks = {"cx07.log": text(f"[rank{r}]: hello" for r in range(40, 64))}
    assert topology({"slurm-1.out": console, **hosts, **ranks}).tasks_are_agents
    lines[0] = lines[0].replace("task 5", "task 17")
    assert not topology({"slurm-1.out": text([*lines, "[default1]: a"]), **hosts}).tasks_are_agents
