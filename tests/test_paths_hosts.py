"""Host names of several numbers in the names of streams: real conventions of sites, in several layouts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4fast.hostforms import address_in, host_of_form, host_with_domain, is_dashed_address
from l4fast.paths import path_facts

N = 32
SUFFIX = "0123456789abcdefghijklmnopqrstuvwxyz"
CONVENTIONS = {
    "rack and place": lambda i: f"gb-r{i // 8:02d}-{i % 8:02d}",
    "rack and place from 1": lambda i: f"hpc-f01-{5 + i // 12:02d}-{1 + i % 12:02d}",
    "model, rack and place": lambda i: f"h100-{20 + i // 4}-{i % 4:02d}",
    "scalable unit": lambda i: f"dgx-su{i // 8 + 1:02d}-{i % 8 + 1:02d}",
    "three numbers": lambda i: f"gb300-nvl-{12 + i // 18:03d}-compute{i % 18:02d}",
    "pod and gpu node": lambda i: f"pod{i // 16}-gpu{i % 16:02d}",
    "row, rack, unit": lambda i: f"s{1 + i // 16}-r{i // 8}-u{i % 8}",
    "rack and node": lambda i: f"rack{i // 8}-n{i % 8:02d}",
    "switch and node": lambda i: f"cn-r{i // 8}-{11 + i % 8}",
    "place in a rack": lambda i: f"r12u{i:02d}",
    "sgi ice": lambda i: f"r{i // 16}i{i // 4 % 4}n{i % 4}",
    "sgi ice, large": lambda i: f"r{23 + i // 16}i{i // 4 % 4}n{i % 4 + 10}",
    "cray ex": lambda i: f"x1000c{i // 8}s{i % 8}b0n0",
    "cray xc": lambda i: f"c{i // 16}-0c{i // 8 % 2}s{i % 8}n0",
    "cray nid": lambda i: f"nid{1200 + i:06d}",
    "frontier": lambda i: f"frontier{123 + i:05d}",
    "juwels booster": lambda i: f"jwb{12 + i:04d}",
    "leonardo": lambda i: f"lrdn{123 + i:04d}",
    "sherlock": lambda i: f"sh{3 + i // 16:02d}-{10 + i // 8}n{i % 8 + 1:02d}",
    "letter and number": lambda i: f"hgx-b{i:02d}",
    "dashed address": lambda i: f"10-0-3-{40 + i}",
    "public dashed address": lambda i: f"192-222-{50 + i // 4}-{i % 4 + 45}",
    "openstack": lambda i: f"host-172-16-1-{i + 4}",
    "aws": lambda i: f"ip-10-0-{i // 8}-{i % 8 + 45}",
    "tencent": lambda i: f"VM-{i // 16}-{i % 16}-ubuntu",
    "parallelcluster": lambda i: f"gpu-st-p4d-{i + 1}",
    "parallelcluster, dynamic": lambda i: f"compute-dy-p4d24xlarge-{i + 1}",
    "gke": lambda i: f"gke-train-a3-pool-1f3a{i:02x}71-{SUFFIX[i]}k2m",
    "azure vmss": lambda i: "ndv5vmss00" + "000" + SUFFIX[i].upper(),
    "aks": lambda i: f"aks-gpupool-12345678-vmss00000{SUFFIX[i]}",
    "azure cyclecloud": lambda i: f"ccw-hpc-{i + 1}",
    "dgx by number": lambda i: f"dgx-b200-{i:03d}",
    "rack pairs": lambda i: f"jrc{i // 8:02d}-n{i % 8}",
    "letter of a row": lambda i: f"fr-par-{'ab'[i // 16]}{i % 16}",
    "hyphen and number": lambda i: f"tesla-{100 + i}",
    "long prefix": lambda i: f"innmi1srh2-p{i + 3:03d}",
    "plain": lambda i: f"node{i + 7:02d}",
    "one word": lambda i: f"holygpu8a{22 + i // 16}{i % 16 + 101}",
}
UNTOLD = {"azure cyclecloud", "hyphen and number", "one word"}  # nothing tells these from a run's number

NODE_FILES = ["{}.log", "{}/train.log", "train_{}.out", "logs/{}/stdout.log", "{}.kern.log"]


def names_of(convention: str) -> list[str]:
    return [CONVENTIONS[convention](i) for i in range(N)]


@pytest.mark.parametrize("layout", NODE_FILES)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_each_node_has_its_own_host_and_none_has_a_rank(convention: str, layout: str) -> None:
    hosts = names_of(convention)
    facts = path_facts([layout.format(host) for host in hosts])
    got = [fact.host for fact in facts]
    if convention in UNTOLD:
        assert set(got) <= {None, *hosts}
    else:
        assert got == hosts
    assert {(fact.rank, fact.local_rank) for fact in facts} == {(None, None)}


@pytest.mark.parametrize("layout", ["{}/rank_{}.log", "{}_rank{}.log", "{}/{}.out", "{}.{}.log", "{}_{}.log"])
@pytest.mark.parametrize("convention", sorted(set(CONVENTIONS) - UNTOLD))
def test_a_number_that_is_not_joined_to_the_host_is_the_process_s(convention: str, layout: str) -> None:
    hosts = names_of(convention)
    facts = path_facts([layout.format(host, i) for host in hosts for i in range(8)])
    assert [(fact.host, fact.rank, fact.local_rank) for fact in facts] == [
        (host, None, i) for host in hosts for i in range(8)
    ]


@pytest.mark.parametrize("convention", sorted(set(CONVENTIONS) - UNTOLD))
def test_global_ranks_beside_hosts(convention: str) -> None:
    hosts = names_of(convention)
    facts = path_facts([f"{host}_rank{8 * n + i}.log" for n, host in enumerate(hosts) for i in range(8)])
    assert [(fact.host, fact.rank) for fact in facts] == [
        (host, 8 * n + i) for n, host in enumerate(hosts) for i in range(8)
    ]


@pytest.mark.parametrize(
    ("names", "hosts", "ranks"),
    [
        # A process's number is written without the zero that the machines' numbers have.
        (
            [f"gpu-a{n:02d}-{i}.log" for n in (1, 2) for i in range(8)],
            ["gpu-a01", "gpu-a02"],
            [*range(8)] * 2,
        ),
        (
            [f"gb-r{n:02d}-{n:02d}-{i}.log" for n in (3, 5) for i in range(4)],
            ["gb-r03-03", "gb-r05-05"],
            [*range(4)] * 2,
        ),
        ([f"node{n}-{i}.log" for n in (3, 4) for i in range(8)], ["node3", "node4"], [*range(8)] * 2),
        (
            [f"nid{n:06d}-{i}.out" for n in (12, 14) for i in range(4)],
            ["nid000012", "nid000014"],
            [*range(4)] * 2,
        ),
        (
            [f"gpu-a{n:02d}-gpu{i}.log" for n in (1, 2) for i in range(8)],
            ["gpu-a01", "gpu-a02"],
            [*range(8)] * 2,
        ),
        (
            [f"10.0.3.{n}-{i}.log" for n in (4, 5) for i in range(8)],
            ["10.0.3.4", "10.0.3.5"],
            [*range(8)] * 2,
        ),
    ],
)
def test_the_number_of_a_process_behind_a_host(names: list[str], hosts: list[str], ranks: list[int]) -> None:
    facts = path_facts(names)
    each = len(names) // 2
    assert [fact.host for fact in facts] == [hosts[0]] * each + [hosts[1]] * each
    assert [fact.local_rank for fact in facts] == ranks


def test_tasks_that_are_numbered_over_all_hosts_are_no_part_of_them() -> None:
    facts = path_facts([f"a{1 + i // 4}-{i}.out" for i in range(8)])
    assert [(fact.host, fact.rank) for fact in facts] == [(f"a{1 + i // 4}", i) for i in range(8)]


def test_numbers_of_jobs_are_no_part_of_a_host() -> None:
    facts = path_facts([f"gpu-a{n:02d}-{job}.out" for n in (1, 2) for job in (48211, 48377)])
    assert [fact.host for fact in facts] == ["gpu-a01", "gpu-a01", "gpu-a02", "gpu-a02"]


@pytest.mark.parametrize(
    "names",
    [
        [f"llama-7b-{i}.log" for i in range(4)],
        ["run-26-08-01-12.log", "run-26-08-02-14.log"],
        ["train-2026-08-01.log", "train-2026-08-02.log"],
        ["h100-8.log", "h100-16.log", "h100-32.log"],
        ["torch-2.10.0.1.log", "torch-2.11.0.1.log"],
        ["exp-01-03.log", "exp-01-04.log", "exp-02-01.log"],
    ],
)
def test_numbers_of_runs_are_no_hosts(names: list[str]) -> None:
    assert {fact.host for fact in path_facts(names)} == {None}


@pytest.mark.parametrize("host", ["w{}-{}", "su{}-{}", "c{}-{}"])
def test_a_number_that_may_be_a_place_or_a_process_is_contested(host: str) -> None:
    names = [host.format(n, i) for n in range(1, 5) for i in range(8)]
    facts = path_facts([f"{name}.log" for name in names])
    assert [fact.longer_host for fact in facts] == names
    assert [fact.host for fact in facts] == [name.split("-")[0] for name in names]


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("10.12.0.36.dmesg", "10.12.0.36"),
        ("dmesg.10.12.0.36", "10.12.0.36"),
        ("kern/10.12.0.36.log", "10.12.0.36"),
        ("10.12.0.36/dmesg.txt", "10.12.0.36"),
        ("10-0-3-45.dmesg", "10-0-3-45"),
        ("journal-VM-0-13-ubuntu.log", "VM-0-13-ubuntu"),
        ("gpu13.hpc.uni.edu.kern.log", "gpu13"),
        ("gb-r01-05.kern.log", "gb-r01-05"),
    ],
)
def test_a_machine_s_log_is_called_after_it(name: str, host: str) -> None:
    (fact,) = path_facts([name])
    assert (fact.host, fact.kind) == (host, "node" if "kern/" in name else "kernel")


OCTETS = st.lists(st.integers(0, 255), min_size=4, max_size=4)


@given(OCTETS)
def test_dashed_addresses(octets: list[int]) -> None:
    name = "-".join(map(str, octets))
    may_be_a_date = octets[0] < 32 and octets[0] != 10
    assert is_dashed_address(name) is not may_be_a_date
    assert host_of_form(name) == (None if may_be_a_date else name)
    assert address_in(name.replace("-", ".")) == (None if may_be_a_date else name.replace("-", "."))


@given(st.lists(st.integers(256, 999) | st.integers(0, 9).map(lambda n: f"0{n}"), min_size=4, max_size=4))
def test_no_addresses(numbers: list[int | str]) -> None:
    assert host_of_form("-".join(map(str, numbers))) is None


def test_a_domain_names_no_process() -> None:
    assert host_with_domain("gpu13.hpc.uni.edu") == "gpu13"
    assert [fact.host for fact in path_facts(["rank3.site.org.log", "rank4.site.org.log"])] == [None, None]


@pytest.mark.parametrize("name", ["gb-r01-{:02d}", "dgx-c-{:02d}", "my-llm-{:02d}"])
def test_machines_of_one_rack_are_called_as_processes_may_be(name: str) -> None:
    names = [name.format(i) for i in range(8)]
    facts = path_facts([f"train_{each}.log" for each in names])
    assert [(fact.host, fact.rank, fact.longer_host) for fact in facts] == [
        (None, i, each) for i, each in enumerate(names)
    ]
