"""Names of streams that do not tell where a host's name ends: lines of the job do, or nobody is to blame."""

import pytest

from jobs import at, cry, diagnosis, steps, text, topology

ECC = "RuntimeError: CUDA error: uncorrectable ECC error encountered"
REMOTE = "[rank{r}]: torch.distributed.DistBackendError: NCCL error: remote process exited"


def init(host: str, rank: int, n: int) -> str:
    return (
        f"{host}:{4000 + rank}:{4000 + rank} [0] NCCL INFO comm 0x12 rank {rank} nranks {n} "
        f"cudaDev {rank % 4} busId 1000 - Init COMPLETE"
    )


def nodes_of(files: dict[str, str]) -> dict[int, str]:
    return topology(files).node_of_rank


@pytest.mark.parametrize("layout", ["{}.log", "{}/train.log", "train_{}.out"])
@pytest.mark.parametrize("name", ["w{}-{}", "gb-r{:02d}-{:02d}", "su{}-{}"])
def test_a_file_of_several_ranks_is_a_machine_s(name: str, layout: str) -> None:
    hosts = [name.format(n, i) for n in range(1, 3) for i in range(4)]
    files = {
        layout.format(host): text(f"[rank{4 * k + i}]: ready on cuda:{i}" for i in range(4))
        for k, host in enumerate(hosts)
    }
    assert nodes_of(files) == {r: hosts[r // 4] for r in range(32)}


def test_a_file_of_several_ranks_is_a_machine_s_in_one_rack_too() -> None:
    hosts = [f"gb-r01-{k:02d}" for k in range(8)]
    files = {
        f"train_{host}.log": text(f"[rank{4 * k + i}]: ready on cuda:{i}" for i in range(4))
        for k, host in enumerate(hosts)
    }
    assert nodes_of(files) == {r: hosts[r // 4] for r in range(32)}


def test_a_file_of_one_rank_is_a_process_s() -> None:
    files = {f"w{n}-{i}.log": f"[rank{4 * n + i - 4}]: ready on cuda:{i}\n" for n in (1, 2) for i in range(4)}
    assert nodes_of(files) == {r: f"w{1 + r // 4}" for r in range(8)}


@pytest.mark.parametrize("longer", [True, False])
def test_one_file_whose_lines_name_the_host_decides_for_all(longer: bool) -> None:
    names = [f"w{n}-{i}" for n in (1, 2) for i in range(4)]
    files = {f"{name}.log": "loading the model\n" for name in names}
    files["w2-3.log"] = init("w2-3" if longer else "w2", 7, 8) + "\n"
    top = topology(files)
    assert [fact.host for fact in top.facts] == [name if longer else name[:2] for name in names]


def test_where_no_line_tells_no_host_is_known() -> None:
    top = topology({f"w{n}-{i}.log": "loading the model\n" for n in (1, 2) for i in range(4)})
    assert [fact.host for fact in top.facts] == [None] * 8


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("spartan-gpgpu{}.log", "spartan-gpgpu{}"),
        ("lrdn20{}-net/train.log", "lrdn20{}-net"),
        ("my-run-of-gpu-b{}.log", "gpu-b{}"),
    ],
)
def test_the_host_that_lines_name_outranks_the_path(path: str, host: str) -> None:
    hosts = [host.format(n) for n in (11, 12, 13)]
    files = {
        path.format(n): init(h, k, 3) + "\n" for k, (n, h) in enumerate(zip((11, 12, 13), hosts, strict=True))
    }
    files["console.log"] = "loading\n"
    top = topology(files)
    assert [fact.host for fact in top.facts] == [*hosts, None]


def test_another_log_may_name_the_host_that_a_path_cuts_off() -> None:
    kernel = text(f"Mar  1 10:00:0{k} spartan-gpgpu1{k} kernel: usb 1-1: new device" for k in range(3))
    files = {f"spartan-gpgpu1{k}.log": f"[rank{k}]: ready\n" for k in range(3)}
    top = topology(files | {"messages": kernel})
    assert nodes_of(files | {"messages": kernel}) == {k: f"spartan-gpgpu1{k}" for k in range(3)}
    assert set(top.nodes) == {f"spartan-gpgpu1{k}" for k in range(3)}


def failed(hosts: list[str], culprit: int) -> dict[str, str]:
    """Node logs of four ranks each: one tells of its GPU, all others of its loss."""
    files = {}
    for k, host in enumerate(hosts):
        lines = "" if k else steps(range(1, 60))
        for rank in range(4 * k, 4 * k + 4):
            if rank == 4 * culprit + 1:
                lines += cry(63.0, rank, ECC)
            else:
                lines += f"{at(63.5 + rank / 100)} {REMOTE.format(r=rank)}\n"
        files[f"{host}.log"] = lines
    return files


@pytest.mark.parametrize(
    "name",
    [
        "gb-r{:02d}-{:02d}",
        "dgx-su{:02d}-{:02d}",
        "h100-{:02d}-{:02d}",
        "VM-{}-{}-ubuntu",
        "10-0-{}-{}",
        "r{}i0n{}",
    ],
)
def test_the_node_with_the_fault_is_excluded_and_no_other(name: str) -> None:
    hosts = [name.format(n, i) for n in range(1, 3) for i in range(4)]
    found = diagnosis(failed(hosts, 5))
    assert [node["node"] for node in found.nodes] == [hosts[5]]
    assert found.action["exclude_nodes"] == [hosts[5]]


def test_a_kernel_s_log_that_is_called_after_an_address_is_its_host_s() -> None:
    files = {}
    for k in range(4):
        host, fell = f"alpha{k:02d}", "NVRM: Xid (PCI:0000:1b:00): 79, pid=1, GPU has fallen off the bus."
        address = f"{host}:{100 + k}:{100 + k} [0] NCCL INFO Bootstrap : Using eth0:10.12.0.{30 + k}<0>"
        files[f"{host}.log"] = text([address, init(host, k, 4)])
        files[f"10.12.0.{30 + k}.dmesg"] = f"[  12.000000] {fell if k == 2 else 'usb 1-1: new device'}\n"
    assert topology(files).nodes == [f"alpha{k:02d}" for k in range(4)]
    assert diagnosis(files).action["exclude_nodes"] == ["alpha02"]
