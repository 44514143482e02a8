"""Who is who: rank and node of each speaker, from whatever the logs tell of it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.hostlists import hosts_in
from l4fast.identities import clean_host, numbers
from l4fast.labels import label_of_node
from l4fast.paths import path_facts
from l4fast.regular import width_of
from l4fast.speakers import resolve, told

from jobs import at, job, text, topology


def ranks_said(files) -> dict[str, int | None]:
    """Label -> rank, for jobs whose lines have one label each."""
    read = job(files)
    top = resolve(read, path_facts(list(files)))
    return {s.labels[0][1]: top.rank[i] for i, s in enumerate(read.speakers) if s.labels}


def test_a_rank_in_the_prefix():
    assert ranks_said({"out.log": "[rank0]: a\n[rank12]: a\n"}) == {"rank0": 0, "rank12": 12}


def test_a_host_in_the_prefix_is_the_node_of_its_rank():
    lines = (
        f"gpu-{r // 2}:47{r}:47{r} [{r % 2}] NCCL INFO comm 0x12 rank {r} nranks 6 cudaDev {r % 2} "
        f"busId 1000 - Init COMPLETE"
        for r in range(6)
    )
    top = topology({"out.log": text(lines)})
    assert top.node_of_rank == {r: f"gpu-{r // 2}" for r in range(6)}
    assert set(top.source.values()) == {"host in the prefix"}
    assert (top.expected, top.ranks_per_node) == (6, 2)
    assert [top.rank_of_pid(470 + r, f"gpu-{r // 2}") for r in range(6)] == list(range(6))


def test_processes_that_say_who_they_are():
    lines = (f"[rank{r}]: rank {r} of 8 ready on gpu-{r // 4}" for r in range(8))
    top = topology({"out.log": text(lines)})
    assert top.node_of_rank == {r: f"gpu-{r // 4}" for r in range(8)}
    assert set(top.source.values()) == {"said by the process"}


@pytest.mark.parametrize(
    "prose",
    [
        "rank 3 failed to load shard on s3.amazonaws.com",
        "[rank 3] Timeout on all-reduce",
        "Rank 3: saving checkpoint on lustre-1",
        "[rank3]: running on h100",
        "rank 3 lost node gpu-0",
    ],
)
@pytest.mark.parametrize("others", ["prefix", "path", "said", "nothing"])
def test_what_a_rank_does_on_something_is_no_host(prose, others):
    home = [f"gpu-{r // 2}" for r in range(4)]
    first = {
        "prefix": [
            f"{home[r]}:47{r}:47{r} [{r % 2}] NCCL INFO comm 0x12 rank {r} nranks 4 cudaDev {r % 2} "
            f"busId 1000 - Init COMPLETE"
            for r in range(4)
        ],
        "said": [f"[rank{r}]: rank {r} of 4 ready on {home[r]}" for r in range(4)],
    }.get(others, [])
    files = {"out.log": text([prose, *first])}
    if others == "path":
        files |= {
            f"logs/{host}.log": text(f"[rank{r}]: a" for r in range(4) if home[r] == host) for host in home
        }
    expected = {} if others == "nothing" else dict(enumerate(home))
    assert topology(files).node_of_rank == expected


def test_a_host_in_prose_is_believed_where_several_ranks_name_theirs_alike():
    files = {"out.log": text(f"rank {r} allocates its buffers on gpu-{r // 4}" for r in range(8))}
    assert topology(files).node_of_rank == {r: f"gpu-{r // 4}" for r in range(8)}
    in_turns = [f"rank {r} writes shard to disk on lustre-{k}" for r in range(8) for k in range(2)]
    assert topology({"out.log": text(in_turns)}).nodes == []


def test_most_lines_tell_where_a_rank_is():
    lines = ["rank 1, host: gpu-7", *2 * [f"rank: {r}, host: gpu-{r}" for r in range(3)]]
    assert topology({"out.log": text(lines)}).node_of_rank == {r: f"gpu-{r}" for r in range(3)}


def test_the_regular_order_fills_a_gap_and_says_so():
    lines = (f"[rank{r}]: rank {r} of 8 ready on gpu-{r // 4}" for r in range(8) if r != 5)
    top = topology({"out.log": text(lines)})
    assert top.node_of_rank[5] == "gpu-1"
    assert top.source[5] == "regular order of ranks"


def test_no_order_is_made_up_where_the_ranks_are_dealt_in_turn():
    lines = (f"[rank{r}]: rank {r} of 8 ready on gpu-{r % 2}" for r in range(8) if r != 5)
    known = topology({"out.log": text(lines)}).node_of_rank
    assert known == {r: f"gpu-{r % 2}" for r in range(8) if r != 5}


def test_folders_and_files_name_nodes_and_ranks():
    files = {f"gpu-{n:02d}/rank{2 * n + i}.log": "hello\n" for n in (4, 5, 7) for i in range(2)}
    top = topology(files)
    assert top.ranks == [8, 9, 10, 11, 14, 15]
    assert top.node_of_rank == {r: f"gpu-{n:02d}" for n in (4, 5, 7) for r in (2 * n, 2 * n + 1)}


def test_a_file_of_a_rank_is_no_name_of_a_node():
    top = topology({f"node-{n:02d}/rank{2 * n + i}.log": "hello\n" for n in range(3) for i in range(2)})
    assert top.nodes == ["node-00", "node-01", "node-02"]
    assert top.node_of_rank == {r: f"node-{r // 2:02d}" for r in range(6)}


def test_pods_are_nodes():
    assert topology({f"train-worker-{i}.log": "hello\n" for i in range(3)}).nodes == [
        f"train-worker-{i}" for i in range(3)
    ]


TABLE = """Failures:
[1]:
  time      : 2026-03-02_10:00:02
  host      : gpu-1.cluster
  rank      : 5 (local_rank: 1)
  exitcode  : 1 (pid: 4711)
Root Cause (first observed failure):
[0]:
  time      : 2026-03-02_10:00:01
  host      : gpu-1.cluster
  rank      : 4 (local_rank: 0)
  exitcode  : -9 (pid: 4710)
"""


def test_a_failure_table_tells_host_rank_and_pid():
    top = topology({"console.log": TABLE})
    assert top.node_of_rank == {4: "gpu-1", 5: "gpu-1"}
    assert top.source == {4: "failure table", 5: "failure table"}
    assert top.exit_of_rank == {4: "-9", 5: "1"}
    assert top.rank_of_pid(4711, "gpu-1") == 5
    assert top.rank_of_pid(4711, None) == 5
    assert top.rank_of_pid(4711, "gpu-2") is None


def test_two_hosts_may_give_one_process_id():
    other = TABLE.replace("gpu-1", "gpu-9").replace("rank      : 5", "rank      : 37").replace("4710", "4799")
    top = topology({"a.log": TABLE, "b.log": other.replace("rank      : 4", "rank      : 36")})
    assert top.rank_of_pid(4711, "gpu-1") == 5
    assert top.rank_of_pid(4711, "gpu-9") == 37
    assert top.rank_of_pid(4711, None) is None
    assert top.node_of_pid(4711) is None
    assert top.node_of_pid(4799) == "gpu-9"


def test_a_sub_communicator_does_not_name_ranks_of_the_job():
    lines = [f"[rank{r}]: rank {r} of 4 ready on gpu-{r // 2}" for r in range(4)]
    lines += [f"[rank{r}]: rank {r // 2} of 2 ready on gpu-{r // 2}" for r in range(4)]
    top = topology({"out.log": text(lines)})
    assert top.expected == 4
    assert top.ranks == [0, 1, 2, 3]
    assert top.node_of_rank == {r: f"gpu-{r // 2}" for r in range(4)}


def test_torchrun_folders_give_local_ranks_and_lines_the_global_ones():
    files = {f"logs/none_abc/attempt_0/{i}/stderr.log": f"[rank{4 + i}]: x 1\nno prefix\n" for i in range(4)}
    read = job(files)
    top = resolve(read, path_facts(list(files)))
    assert top.ranks == [4, 5, 6, 7]
    # A line without a prefix is that process's too.
    assert [(s.stream, top.rank[i]) for i, s in enumerate(read.speakers) if not s.labels] == [
        (k, 4 + k) for k in range(4)
    ]


def test_what_the_prefix_alone_tells_waits_for_what_needs_the_whole_job():
    files = {"slurm-1.out": text(f"{t}: hi" for t in range(3))}
    read = job(files)
    early = told(path_facts(list(files)), read.speakers)
    assert early.rank == [None] * 3
    assert resolve(read, path_facts(list(files))).rank == [0, 1, 2]


@given(st.permutations(range(8)))
def test_the_order_of_lines_does_not_matter(order):
    lines = [f"[rank{r}]: rank {r} of 8 ready on gpu-{r // 4}" for r in range(8)]
    top = topology({"out.log": text(lines[r] for r in order)})
    assert top.node_of_rank == {r: f"gpu-{r // 4}" for r in range(8)}


@pytest.mark.parametrize(
    ("told_as", "expected"),
    [
        ("3", [3]),
        ("0-3", [0, 1, 2, 3]),
        ("0,2-4", [0, 2, 3, 4]),
        ("1, 2", [1, 2]),
        ("x", []),
        ("", []),
        (None, []),
        ("7-", [7]),
    ],
)
def test_lists_of_numbers(told_as, expected):
    assert numbers(told_as) == expected


def test_an_absurd_range_costs_no_memory():
    assert len(numbers("0-99999999999")) == 65536


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("gpu-1.cluster.local", "gpu-1"),
        ("'nid0007'", "nid0007"),
        ("[gpu1]", "gpu1"),
        ("localhost", None),
        ("none", None),
        ("4711", None),
        ("", None),
        (None, None),
        ("two words", None),
    ],
)
def test_the_name_of_a_host(name, host):
    assert clean_host(name) == host


@pytest.mark.parametrize("unset", [4294967295, 18446744073709551615])
def test_a_rank_that_was_never_set_is_no_rank(unset):
    lines = [f"[rank{r}]: rank {r} of 8 ready on gpu-{r // 4}" for r in range(8)]
    top = topology({"out.log": text([*lines, f"rank {unset} of 8 ready on gpu-1", f"[rank{unset}]: a"])})
    assert top.ranks == list(range(8))
    assert numbers(str(unset)) == numbers(f"{unset}-{unset}") == []


@given(st.text("ab-_./017", max_size=14), st.sampled_from([0, 1, 7, 10, 17, 100]))
def test_the_part_of_a_path_that_stands_for_a_node(name, index):
    found = [
        re.fullmatch(rf"[a-z][a-z0-9]*(-[a-z0-9]+)+-0*{index}", part)
        or re.search(rf"[A-Za-z]+[-_.]?0*{index}(?!\d)", part)
        for part in reversed(name.split("/"))
    ]
    assert label_of_node(name, index) == next((m[0] for m in found if m), f"node {index}")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("logs/llm-w-3.log", "llm-w-3"),
        ("logs/llm-w-3/out.log", "llm-w-3"),
        ("train-node-3.log", "node-3"),
        ("slurm-4711-node-3.out", "node-3"),
        ("llm_w-3.log", "w-3"),
    ],
)
def test_the_whole_name_of_a_node_stands_for_it(name, label):
    assert label_of_node(name, 3) == label


SAID = {
    "prefix": "cab-x: rank 0 is up\ncab-y: rank 1 is up\n",
    "launcher": "srun: error: cab-x: task 0: Exited with exit code 1\n",
}


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("logs/cab7x.mystery.log", None),
        ("logs/cab7-x/notes.txt", "cab7-x"),
        ("logs/mystery_cab7-x.txt", "cab7-x"),
        ("logs/cab7-x.cluster.org", "cab7-x"),
        ("logs/cab7-xx.txt", None),
        ("logs/cab7-z.txt", None),
    ],
)
def test_a_host_that_lines_name_is_known_in_the_name_of_a_file(said, name, host):
    files = {"logs/train.out": SAID[said].replace("cab", "cab7"), name: "something happened\n"}
    top = topology(files)
    stream = list(files).index(name)
    assert top.facts[stream].host == host
    homes = {top.node[i] for i, s in enumerate(job(files).speakers) if s.stream == stream}
    assert homes == {host}


def test_a_console_is_not_of_the_host_it_is_called_after():
    lines = [f"cab7-{h}: rank {r} is up" for r, h in enumerate("xyz")] + ["nobody says this"]
    top = topology({"train-cab7-x.log": text(lines), "notes.txt": "nothing\n"})
    assert top.facts[0].host is None
    assert top.node_of_rank == {}


def test_a_serial_console_names_its_host():
    files = {
        "train.log": text(f"[rank{r}]: hello" for r in range(4)),
        "capture.txt": "\n\nr9z5 login: \n[822113.584002] mce: [Hardware Error]: Machine check\n",
    }
    top = topology(files)
    assert top.node_of_stream == {1: "r9z5"}
    assert {top.node[i] for i, s in enumerate(job(files).speakers) if s.stream == 1} == {"r9z5"}


@pytest.mark.parametrize(
    ("written", "hosts"),
    [
        ("gpu[08-10,12],login1", ["gpu08", "gpu09", "gpu10", "gpu12", "login1"]),
        ("c1-[1-2]-ib,c2-1-ib", ["c1-1-ib", "c1-2-ib", "c2-1-ib"]),
        ("nid0007", ["nid0007"]),
        ("x[-3,5-]", ["x5"]),
        ("", []),
    ],
)
def test_lists_of_hosts(written, hosts):
    assert hosts_in(written) == hosts


def test_processes_that_a_launcher_of_each_node_started():
    lines = [
        line
        for n in range(3)
        for line in (
            f"w-{n}: [2026-03-02 10:00:00,000] [INFO] [launch.py:145:main] nnodes=3, num_local_procs=4,"
            f" node_rank={n}",
            *(
                f"w-{n}: [2026-03-02 10:00:01,000] [INFO] [launch.py:256:main] process {4700 + 10 * n + i}"
                f" spawned with command: ['/usr/bin/python3', '-u', 'train.py', '--local_rank={i}']"
                for i in range(4)
            ),
        )
    ]
    top = topology({"train.log": text(lines)})
    assert top.node_of_rank == {r: f"w-{r // 4}" for r in range(12)}
    assert [top.rank_of_pid(4700 + 10 * n + i, f"w-{n}") for n in range(3) for i in range(4)] == list(
        range(12)
    )
    without = topology({"train.log": text(line for line in lines if "nnodes" not in line)})
    assert without.node_of_rank == {}


@pytest.mark.parametrize("front", ["EJ0001", "EZ9999", "GPU5"])
def test_an_error_code_in_front_of_a_message_is_no_host(front):
    files = {
        f"gpu-a0{n}.log": text([*(f"{at(k)} INFO line {k} of it" for k in range(9)), "all is well"])
        + (f"{front}: [PID: 927003] it failed\n{front}: [PID: 927004] it failed\n" if n == 2 else "")
        for n in range(3)
    }
    read = job(files)
    top = resolve(read, path_facts(list(files)))
    assert top.nodes == ["gpu-a00", "gpu-a01", "gpu-a02"]
    assert {top.node[i] for i, s in enumerate(read.speakers) if s.labels} == {"gpu-a02"}


WORDS = [
    "loading the model",
    "done with setup",
    "training begins",
    "Traceback (most recent call last):",
    "bye",
]


def test_a_host_in_front_of_a_message_behaves_as_a_label():
    everywhere = text(f"nid{n:04}: {words}" for n in range(3) for words in WORDS)
    assert topology({"train.log": everywhere}).nodes == ["nid0000", "nid0001", "nid0002"]
    among_others = everywhere + text(f"{at(k)} INFO nothing in front {k}" for k in range(40))
    assert topology({"train.log": among_others}).nodes == ["nid0000", "nid0001", "nid0002"]
    # Two codes that differ in their digits, each of one message.
    codes = text(["EI0002: the wait execution ended", "EI9999: the copy failed"] * 4)
    others = text(f"{at(k)} INFO nothing in front {k}" for k in range(40))
    assert topology({"train.log": codes + others}).nodes == []
    # A word that lines name as a host elsewhere.
    named = "srun: error: EI0002: task 0: Exited with exit code 1\n"
    assert topology({"train.log": codes + others + named}).nodes == ["EI0002"]


def test_a_label_that_is_none_makes_no_process_of_a_console():
    files = {"gpu-1.log": "GPU5: rank 3 gives up\nnothing in front\n" + text(WORDS), "gpu-2.log": text(WORDS)}
    read = job(files)
    top = resolve(read, path_facts(list(files)))
    assert top.rank == [None] * len(read.speakers)


def test_the_ranks_in_a_launchers_table_are_not_its_own():
    table = TABLE.splitlines()
    top = topology({"slurm-1.out": text([*(f"1: {line}" for line in table), "0: hello", "0: [default1]: x"])})
    assert top.node_of_rank == {4: "gpu-1", 5: "gpu-1"}
    assert top.nodes == ["gpu-1", "task 0"]
    read = job({"slurm-1.out": text(f"1: {line}" for line in table)})
    assert resolve(read, path_facts(["slurm-1.out"])).rank == [None] * len(read.speakers)


def test_tables_of_several_nodes_may_be_mixed_line_by_line():
    tables = [
        [
            f"{n}: {line}"
            for line in TABLE.replace("gpu-1", f"gpu-{n}")
            .replace("rank      : 5", f"rank      : {4 * n + 1}")
            .replace("rank      : 4", f"rank      : {4 * n}")
            .splitlines()
        ]
        for n in range(1, 7)
    ]
    top = topology({"slurm-1.out": text(line for lines in zip(*tables, strict=True) for line in lines)})
    assert {r: top.node_of_rank[r] for n in range(1, 7) for r in (4 * n, 4 * n + 1)} == {
        r: f"gpu-{n}" for n in range(1, 7) for r in (4 * n, 4 * n + 1)
    }


def test_a_rank_that_never_speaks_is_known_by_the_order_of_the_others():
    # Seven ranks of each node speak, and no line tells how many there are.
    lines = (f"[rank{r}]: rank {r} is up on gpu-{r // 8}" for r in range(32) if r % 8 != 3)
    top = topology({"out.log": text(lines)})
    assert top.ranks == list(range(32))
    assert top.node_of_rank == {r: f"gpu-{r // 8}" for r in range(32)}
    assert top.ranks_per_node == 8


def test_one_rank_of_each_node_tells_the_order_by_its_local_rank():
    tables = (
        line.replace("gpu-1", f"gpu-{n}")
        .replace(": 5 (", f": {8 * n + n % 3} (")
        .replace(": 1)", f": {n % 3})")
        for n in range(4)
        for line in TABLE.splitlines()[1:6]
    )
    top = topology({"out.log": text([*tables, "[rank29]: hello"])})
    assert top.ranks_per_node == 8
    assert top.node_of_rank == {r: f"gpu-{r // 8}" for r in range(32)}


@given(
    st.sampled_from([2, 4, 6, 8, 16]),
    st.integers(2, 6),
    st.data(),
)
def test_the_width_of_a_node_fits_what_is_known(width, n_nodes, data):
    order = data.draw(st.permutations(range(n_nodes)))
    known = {
        f"n{node}": {node * width + i for i in data.draw(st.sets(st.integers(0, width - 1), min_size=1))}
        for node in order
    }
    found, n = width_of(known, {}, 1, n_nodes * width, (n_nodes,))
    # Whatever it is, each node's ranks are in one block and no other node's are.
    blocks = [{rank // found for rank in ranks} for ranks in known.values()]
    assert all(len(block) == 1 for block in blocks)
    assert len(set.union(*blocks)) == n_nodes
    locals_of = {node: {min(ranks) // width * width} for node, ranks in known.items()}
    sure, n = width_of(known, locals_of, width, n_nodes * width, (n_nodes,))
    assert (sure, n) in ((width, n_nodes), (width, 0))


def test_the_index_of_a_pod_is_no_rank():
    files = {
        f"logs/llama-wl-0-{n}/{name}.log": "".join(f"[rank{8 * n + i}]: hello\n" for i in range(k))
        + "a line\n"
        for n in range(4)
        for name, k in (("trainer", 8), ("tcpxo-daemon", 0))
    }
    read = job(files)
    top = resolve(read, path_facts(list(files)))
    names = [f"llama-wl-0-{n}" for n in range(4)]
    assert top.nodes == names
    assert top.node_of_rank == {r: names[r // 8] for r in range(32)}
    alone = [i for i, s in enumerate(read.speakers) if "daemon" in list(files)[s.stream]]
    assert [(top.rank[i], top.node[i]) for i in alone] == [(None, name) for name in names]


def test_a_pod_and_its_machine_are_one_node():
    assigned = text(
        f"{k}m  Normal  Scheduled  pod/llm-worker-{k}"
        f"  Successfully assigned train/llm-worker-{k} to gke-pool-7c{k}f"
        for k in range(3)
    )
    files = {f"llm-worker-{k}.log": f"[rank{k}]: hello\n" for k in range(3)}
    files |= {
        "events.txt": assigned,
        "kern/gke-pool-7c1f.log": "Mar  2 10:00:01 gke-pool-7c1f kernel: a line\n",
    }
    assert topology(files).nodes == [f"llm-worker-{k}" for k in range(3)]
    # Two pods of the job on one machine are two nodes.
    assert topology({**files, "events.txt": assigned.replace("7c0f", "7c1f")}).pod_on == {
        "gke-pool-7c2f": "llm-worker-2"
    }


def test_a_description_is_of_the_pod_that_it_names():
    described = text(
        ["Name:             llm-worker-2", "Namespace:        train", "Node:             gke-1/10.0.0.1"]
    )
    files = {f"llm-worker-{k}.log": f"[rank{k}]: hello\n" for k in range(3)} | {"saved.txt": described}
    read = job(files)
    top = resolve(read, path_facts(list(files)))
    assert {top.node[i] for i, s in enumerate(read.speakers) if s.stream == 3} == {"llm-worker-2"}
    assert top.pod_on == {"gke-1": "llm-worker-2"}


def test_the_world_of_a_group_is_not_that_of_the_job():
    lines = [f"[rank{r}]: hello" for r in range(64)]
    assert topology({"out.log": text(lines), "report.txt": "world size: 32\n"}).expected is None
    assert topology({"out.log": text(lines), "report.txt": "world size: 64\nworld size: 32\n"}).expected == 64


def test_what_a_batch_system_runs_on_a_node_says_so():
    lines = [f"epilog[c{n}]: health check passed" for n in range(3)]
    assert topology({"out.log": text([*lines, "slurmd[4711]: a", "epilog[4711]: b"])}).nodes == [
        "c0",
        "c1",
        "c2",
    ]


@pytest.mark.parametrize(("said", "nodes"), [("", []), ("hgx3", ["hgx3"]), ("hgx3-1", ["hgx3-1"])])
def test_a_folder_called_like_a_host_is_one_where_its_lines_name_it(said, nodes):
    host = f"{said}:41:77 [0] NCCL INFO Bootstrap : Using eth0\n" if said else ""
    top = topology({"hgx3-mamba/logs/console.log": f"[rank0]: a\n{host}[rank1]: loading\n"})
    assert top.nodes == nodes


_SAID = ("loading", "  File x", "done", "compiled", "[rank{r}]: ready", "saved")


def _labelled(*hosts: str, lines=_SAID) -> str:
    return text(f"{host}: {line.format(r=r)}" for line in lines for r, host in enumerate(hosts))


@pytest.mark.parametrize(
    "hosts",
    [
        ("localhost", "10.7.0.2"),
        ("master", "worker-a", "worker-b"),
        ("localhost", "node-a"),
        ("gx-01", "localhost"),
    ],
)
def test_labels_without_a_name_that_holds_digits(hosts):
    top = topology({"console.log": _labelled(*hosts)})
    assert top.nodes == sorted(hosts)
    assert top.node_of_rank == dict(enumerate(hosts))


@pytest.mark.parametrize("lines", [_SAID[:2], ("refused",)])
def test_a_word_in_front_of_its_own_message_is_no_label(lines):
    assert topology({"console.log": _labelled("localhost", "10.7.0.2", lines=lines)}).nodes == []


def test_a_word_in_front_of_few_of_the_lines_is_no_label():
    rest = text(f"epoch{'s' * n} done" for n in range(40))
    assert topology({"console.log": _labelled("localhost", "10.7.0.2") + rest}).nodes == []


def test_the_only_node_is_not_called_localhost():
    top = topology({"console.log": _labelled("localhost")})
    assert (top.ranks, top.nodes) == ([0], [])


def test_an_address_goes_by_the_host_that_its_lines_name():
    nccl = text(
        f"{label}: {host}:{70 + r}:{90 + r} [0] NCCL INFO x"
        for r, (label, host) in enumerate([("localhost", "titan-1"), ("10.7.0.2", "titan-2")])
    )
    top = topology({"console.log": _labelled("localhost", "10.7.0.2") + nccl})
    assert top.node_of_rank == {0: "titan-1", 1: "titan-2"}
    assert top.nodes == ["titan-1", "titan-2"]


def test_a_numbered_list_among_other_lines_is_no_task():
    layers = text(f"    {k:2d}: {'BlockPipe' if k % 30 else 'EmbedPipe'}" for k in range(31))
    ranks = text(f"[rank{r}]: ready" for r in range(4))
    said = "using world size: 4, x\n" + text(f"{word} is set" for word in "abcdefghijklmnopqrstuvwxyz")
    assert topology({"console.log": said + layers + ranks + said}).ranks == [0, 1, 2, 3]
    # A list of which each number says much has more numbers than there are ranks.
    much = text(f"  {k}: {word}" for word in ("weight", "bias", "scale", "shift") for k in range(6))
    assert topology({"console.log": said * 2 + much + ranks}).ranks == [0, 1, 2, 3]


def test_tasks_that_said_much_before_a_long_tail_without_labels_are_ranks():
    much = text(f"  {k}: {word}" for word in ("loading", "ready", "saved", "done") for k in range(6))
    said = "using world size: 6, x\n" + text(f"{word} is set" for word in "abcdefghijklmnopqrstuvwxyz")
    assert topology({"console.log": said + much}).ranks == list(range(6))


@pytest.mark.parametrize("words", [("late",), ("late", "gone", "on", "end", "up")])
def test_numbers_of_lines_and_of_processes_are_no_tasks(words):
    lines = (f"[{7001 + 10 * r + k}] [rank{r}]: {w}" for k, w in enumerate(words) for r in range(4))
    top = topology({"console.log": text(lines)})
    assert (top.ranks, top.nodes) == (list(range(4)), [])
    pids = text(f"[{7001 + r}] [rank{r}]: {w}" for w in words for r in range(4))
    top = topology({"console.log": pids})
    assert (top.ranks, top.nodes) == (list(range(4)), [])


def test_a_few_tasks_of_many_that_say_one_line_each_are_ranks():
    said = "0: using world size: 4096, x\n0: a\n"
    assert topology({"console.log": said + "3001: late\n3005: late\n3007: late\n"}).ranks == [
        0,
        3001,
        3005,
        3007,
    ]


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_a_rank_that_first_speaks_behind_a_progress_bar_keeps_its_name(end):
    bar = f" 40%|####      | 40/100 [00:40<01:00]{end}"
    files = {"a.log": f"{bar}[rank7]: {at(9)} ERROR a\n[rank3]: b\n[rank7]: c\n"}
    found = job(files)
    assert {s.labels for s in found.speakers} == {(), (("bracket", "rank3"),), (("bracket", "rank7"),)}
    assert sorted(rank for rank in topology(files).rank if rank is not None) == [3, 7]
