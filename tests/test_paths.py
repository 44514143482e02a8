"""Stream names: what a number or a word in them means, told by their siblings."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.paths import path_facts


def told(*names: str) -> list[dict[str, Any]]:
    """Return what is known of each name, without layout and kind."""
    return [
        {
            key: value
            for key, value in fact._asdict().items()
            if value is not None and key not in ("layout", "kind")
        }
        for fact in path_facts(names)
    ]


ALONE = [
    # name, facts, layout, kind
    (
        "d/none_ab12cd_x/attempt_2/5/stderr.log",
        {"attempt": 2, "local_rank": 5, "stream": "stderr"},
        "torchrun",
        "rank",
    ),
    ("d/none_ab12cd_x/attempt_0/5/error.json", {"attempt": 0, "local_rank": 5}, "torchrun", "rank"),
    ("out/1/rank.13/stdout", {"rank": 13, "stream": "stdout"}, "open-mpi", "rank"),
    (
        "/var/log/pods/ns_job-a-worker-3_0a1b2c3d-1111-2222/pytorch/2.log",
        {"pod": "job-a-worker-3", "replica": 3, "node_index": 3, "container_restart": 2},
        "kubernetes-pods",
        "node",
    ),
    (
        "/var/log/containers/job-a-worker-3_ns_pytorch-0123456789abcdef.log",
        {"pod": "job-a-worker-3", "replica": 3, "node_index": 3},
        "kubernetes-containers",
        "node",
    ),
    (
        "job-a-node-0-3-x7k2p.log",
        {"pod": "job-a-node-0-3-x7k2p", "replica": 3, "node_index": 3},
        "pod",
        "node",
    ),
    (
        "session_2026-08-01_10-00-00_12_9/logs/worker-0123456789abcdef-01000000-4321.err",
        {"pid": 4321, "stream": "stderr"},
        "ray-worker",
        "rank",
    ),
    ("session_2026-08-01_10-00-00_12_9/logs/raylet.out", {}, "ray-agent", "agent"),
    ("output/log/rank_3/info.log", {"rank": 3}, "mindformers", "rank"),
    ("worker-1/rank-9.txt", {"node_index": 1, "rank": 9}, "ascend-fd", "rank"),
    ("debug/plog/plog-123_20240101120000.log", {"pid": 123}, "ascend-plog", "rank"),
    ("debug/device-0/device-77_20240101120000.log", {"pid": 77}, "ascend-device", "rank"),
    ("train_cycle3.log", {"attempt": 3}, "nvrx-cycle", "console"),
    ("nvrx_log_gpu-7.log", {"host": "gpu-7"}, "nvrx-node", "agent"),
    ("nccl.node-07.12345", {"host": "node-07", "pid": 12345}, "nccl-debug-file", "rank"),
    ("nccl_debug.gpu1.site.org.77.log", {"host": "gpu1.site.org", "pid": 77}, "nccl-debug-file", "rank"),
    ("nemo_log_globalrank-9_localrank-1.txt", {"rank": 9, "local_rank": 1}, "nemo", "rank"),
    ("rank_12.log", {"rank": 12}, "named", "rank"),
    ("rank-3.txt.gz", {"rank": 3}, "named", "rank"),
    ("train.rank3.log", {"rank": 3}, "named", "rank"),
    ("node_rank_2/train.log", {"node_index": 2}, "named", "node"),
    ("local_rank3.log", {"local_rank": 3}, "named", "rank"),
    ("restart_2/train.log", {"attempt": 2}, "named", "console"),
    ("dmesg", {}, "kernel", "kernel"),
    ("kern.log.1.gz", {}, "kernel", "kernel"),
    ("var/messages.2", {}, "kernel", "kernel"),
    ("node07/dmesg.txt", {"host": "node07"}, "kernel", "kernel"),
    ("dmesg.r9z5", {"host": "r9z5"}, "kernel", "kernel"),
    ("kern/r9z5.log", {"host": "r9z5"}, "per-host", "node"),
    ("sol/r9z5-console.log", {"host": "r9z5"}, "per-host", "node"),
    ("dmesg_hls2-2.txt", {"host": "hls2-2"}, "kernel", "kernel"),
    ("a/hls2-2/dmesg.txt", {"host": "hls2-2"}, "kernel", "kernel"),
    ("gpu-a07.kern.log", {"host": "gpu-a07"}, "kernel", "kernel"),
    ("journalctl-dgx-12.json", {"host": "dgx-12"}, "kernel", "kernel"),
    ("run7/dmesg.txt", {}, "kernel", "kernel"),
    ("dmesg-boot2.txt", {}, "kernel", "kernel"),
    ("dmesg.gpu0", {}, "kernel", "kernel"),
    ("kern/errors.log", {}, "", None),
    ("console-mixtral8x7b.log", {}, "", "console"),
    ("runs/hls2-2/train.log", {}, "", "console"),
    ("submit.log", {}, "scheduler", "scheduler"),
    ("slurmctld.log", {}, "scheduler", "scheduler"),
    ("node07.log", {"host": "node07"}, "per-host", "node"),
    ("ip-10-0-1-23.log", {"host": "ip-10-0-1-23"}, "per-host", "node"),
    ("slurm-4711.out", {}, "", "console"),
    ("train.log", {}, "", "console"),
    ("log_3.out", {}, "", "console"),
    ("worker_3.log", {}, "", None),
    ("whatever-12-7.dat", {}, "", None),
    ("ckpt/mp_rank_03/notes", {}, "", None),
]


@pytest.mark.parametrize(("name", "facts", "layout", "kind"), ALONE)
def test_what_a_name_tells_alone(name: str, facts: dict[str, Any], layout: str, kind: str | None) -> None:
    (fact,) = path_facts([name])
    assert (told(name), fact.layout, fact.kind) == ([facts], layout, kind)


@pytest.mark.parametrize(
    "pattern",
    [
        "log_{:04d}.out",
        "worker_{}.log",
        "{}.out",
        "job.12345.{}.out",
        "slurm-123_{}.out",
        "x-77-{}",
        "logs/{}/a.txt",
        "gpu{}.log",
        "mytrain_{}.log",
        "out.{}.err",
    ],
)
def test_numbers_that_count_siblings_are_ranks(pattern: str) -> None:
    facts = path_facts([pattern.format(i) for i in range(8)])
    assert [fact.rank for fact in facts] == list(range(8))
    assert {fact.kind for fact in facts} == {"rank"}


def test_a_rank_without_a_file_does_no_harm() -> None:
    assert [fact.rank for fact in path_facts([f"log_{i}.out" for i in (0, 1, 2, 4, 5, 6, 7)])] == [
        0,
        1,
        2,
        4,
        5,
        6,
        7,
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["slurm-100.out", "slurm-101.out"],
        ["epoch_0.log", "epoch_1.log"],
        ["shard_0.txt", "shard_1.txt"],
        ["step-0.log", "step-1.log"],
        ["log_3.out", "log_900.out"],
        ["0/0.log", "0/1.log", "1/0.log", "1/1.log"],
        ["train.log", "train.log.1", "train.log.2.gz"],
        ["alpha_0.log", "alpha_1.log"],
        [f"result_{i}.txt" for i in range(9)],
    ],
)
def test_numbers_that_count_something_else_are_no_ranks(names: list[str]) -> None:
    assert [fact.rank for fact in path_facts(names)] == [None] * len(names)


def test_of_two_counters_the_one_that_differs_everywhere_is_the_rank() -> None:
    names = ["j-5_0_0.out", "j-5_0_1.out", "j-5_1_2.out", "j-5_1_3.out"]
    assert [fact.rank for fact in path_facts(names)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("{}.log", ["node07", "node12"]),
        ("{}.err", ["gpu-a01", "gpu-a02"]),
        ("{}/train.log", ["host1", "host2"]),
        ("console.{}.log", ["gpu-a01", "gpu-b01"]),
        ("train-4711-{}.out", ["cn0007", "cn0025"]),
        ("dmesg_{}.txt", ["dgx-07", "dgx-12"]),
        ("{}/none_ab12cd_x/attempt_0/0/stdout.log", ["gpu-a02", "gpu-a03"]),
        ("logs/{}.cluster.local.log", ["cn1", "cn2"]),
        ("{}.log", ["worker-1", "worker-2"]),
        ("{}.log", ["ip-10-0-1-23", "ip-10-0-1-24"]),
        ("{}.log", ["r9z1", "r9z2"]),
        ("dmesg-{}.log", ["b2c1", "b3c1"]),
    ],
)
def test_words_that_differ_and_look_like_hosts(pattern: str, hosts: list[str]) -> None:
    assert [fact.host for fact in path_facts([pattern.format(host) for host in hosts])] == hosts


@pytest.mark.parametrize(
    ("name", "maybe"),
    [
        ("dgx4-mixtral/logs/console.log", "dgx4"),
        ("runs/node16-bf16/train.log", "node16"),
        ("hpc3/out/train.log", "hpc3"),
        ("a/dgx-2/console.log", "dgx-2"),
        ("pretrain-node8-2026.log", "node8"),
    ],
)
def test_a_word_that_no_sibling_has_another_for_may_be_a_host(name: str, maybe: str) -> None:
    (fact,) = path_facts([name])
    assert (fact.host, fact.maybe_host) == (None, maybe)
    beside = path_facts([name, name.replace(maybe, maybe[:-1] + "9")])
    assert [each.maybe_host for each in beside] == [None, None]
    assert beside[0].host == maybe


def test_random_words_are_no_hosts() -> None:
    names = [
        "none_ab12cd_x/attempt_0/0/stdout.log",
        "none_zz9e7_ab/attempt_0/0/stdout.log",
        "v1.log",
        "v2.log",
    ]
    assert {fact.host for fact in path_facts(names)} == {None}


def test_a_numbered_node_is_an_index() -> None:
    assert told("node_0.log", "node_1.log") == [{"node_index": 0}, {"node_index": 1}]
    assert told("node0.log", "node1.log") == [
        {"node_index": 0, "host": "node0"},
        {"node_index": 1, "host": "node1"},
    ]
    assert told("worker-0/a/train.log", "worker-1/a/train.log") == [{"node_index": 0}, {"node_index": 1}]


def test_a_folder_of_a_node_holds_all_kinds_of_files() -> None:
    assert told("worker-0/rank-0.txt", "worker-1/rank-8.txt", "worker-1/messages") == [
        {"node_index": 0, "rank": 0},
        {"node_index": 1, "rank": 8},
        {"node_index": 1},
    ]


@pytest.mark.parametrize("pattern", ["{}/rank_{}.log", "{}/worker_{}.log", "{}/log_{}.out"])
def test_a_rank_that_begins_anew_on_each_host_is_local(pattern: str) -> None:
    names = [pattern.format(host, i) for host in ("gpu-a01", "gpu-a02") for i in range(4)]
    facts = path_facts(names)
    assert [(fact.host, fact.rank, fact.local_rank) for fact in facts] == [
        (host, None, i) for host in ("gpu-a01", "gpu-a02") for i in range(4)
    ]


def test_a_rank_that_goes_on_over_hosts_is_global() -> None:
    names = [f"gpu-a0{1 + i // 4}/rank_{i}.log" for i in range(8)]
    assert [(fact.rank, fact.local_rank) for fact in path_facts(names)] == [(i, None) for i in range(8)]


def test_a_master_pod_comes_before_the_workers() -> None:
    facts = path_facts(["job-a-master-0.log", "job-a-worker-0.log", "job-a-worker-1.log"])
    assert [(fact.pod, fact.replica, fact.node_index) for fact in facts] == [
        ("job-a-master-0", 0, 0),
        ("job-a-worker-0", 0, 1),
        ("job-a-worker-1", 1, 2),
    ]


def test_out_is_stdout_only_beside_err() -> None:
    assert [fact.stream for fact in path_facts(["a.out", "a.err", "b.out"])] == ["stdout", "stderr", None]


def test_compressed_and_rotated_files_tell_the_same() -> None:
    plain = path_facts(["node07/dmesg", "gpu-a01/train.log"])
    assert path_facts(["node07/dmesg.1.gz", "gpu-a01/train.log-20260801.zst"]) == plain


_NAMES = st.lists(
    st.one_of(
        st.lists(
            st.sampled_from(
                ["rank", "_", "0", "1", "12", "/", ".log", "node", "-", "gpu", "a", ".out", "job-worker-"]
            ),
            max_size=8,
        ).map("".join),
        st.text(max_size=12),
        st.sampled_from([row[0] for row in ALONE]),
    ),
    max_size=12,
)


@given(_NAMES, st.randoms(use_true_random=False))
def test_never_raises_and_the_order_of_names_does_not_matter(names: list[str], order: random.Random) -> None:
    facts = path_facts(names)
    assert len(facts) == len(names)
    places = list(range(len(names)))
    order.shuffle(places)
    assert path_facts([names[i] for i in places]) == [facts[i] for i in places]


def test_many_names_take_linear_time() -> None:
    names = [f"cn{n:04d}/run_ab12cd34/attempt_0/{r}/stdout.log" for n in range(500) for r in range(8)]
    begin = time.perf_counter()
    facts = path_facts(names + [f"train-{i}.log" for i in range(4000)])
    assert time.perf_counter() - begin < 10.0  # a quadratic step takes minutes
    assert (facts[4007].rank, facts[15].host, facts[15].local_rank) == (7, "cn0001", 7)


@pytest.mark.parametrize("random", ["", "-x15qz"])
def test_pods_of_a_job_set_are_counted_within_each_job(random: str) -> None:
    names = [f"logs/maxdiff-2xv5p-slice-job-{j}-{i}{random}.log" for j in range(2) for i in range(4)]
    facts = path_facts(names)
    assert [f.pod for f in facts] == [name[5:-4] for name in names]
    assert [(f.replica, f.rank, f.kind) for f in facts] == [
        (i, None, "node") for _ in range(2) for i in range(4)
    ]


def test_files_in_the_folder_of_a_pod_may_count_ranks() -> None:
    names = [
        f"llama-wl-0-{i}/{name}" for i in range(4) for name in ("rank_0.log", "rank_1.log", "daemon.log")
    ]
    facts = path_facts(names)
    assert [f.pod for f in facts] == [f"llama-wl-0-{k // 3}" for k in range(12)]
    assert [f.local_rank for f in facts] == [0, 1, None] * 4
    assert all(f.rank is None for f in facts)


@pytest.mark.parametrize(
    "pattern", ["train-rank-0-{}.log", "run-host-0-{}.log", "gpu-0-{}.log", "my-run-7-2{}.log"]
)
def test_two_numbers_are_not_always_those_of_a_pod(pattern: str) -> None:
    assert all(f.pod is None for f in path_facts([pattern.format(i) for i in range(4)]))


@pytest.mark.parametrize("front", ["describe-", "kubectl_describe_pod_", "pod-", "logs."])
def test_a_pod_whose_description_was_saved(front: str) -> None:
    (fact,) = path_facts([f"{front}sft-worker-8.txt"])
    assert (fact.pod, fact.replica) == ("sft-worker-8", 8)
