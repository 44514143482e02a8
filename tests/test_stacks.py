"""Whose process the kernel speaks of, and what it waits for."""

import pytest

from jobs import at, cry, steps, story, text

HUNG = "INFO: task {}:{} blocked for more than 120 seconds."
GPFS = "gpfs_f_rdwr_iter+0x217/0x300 [mmfslinux]"
UVM = "uvm_ioctl+0x1b0/0x2f0 [nvidia_uvm]"
CRASH = "{}[{}]: segfault at 0 ip 00007f12 sp 00007ffd error 14 in {}[55d80c773000+d0000]"
TEN = steps(range(1, 11))


def kernel(*said: tuple[float, str], host: str = "node1") -> str:
    """Lines of a host's kernel: seconds after the begin, and the words."""
    return text(f"{at(when)} {host} kernel: [{800.0 + when:.4f}] {words}" for when, words in said)


def stack(when: float, *frames: str) -> list[tuple[float, str]]:
    return [(when, words) for words in ("Call Trace:", " schedule+0x35/0xa0", *(f" {f}" for f in frames))]


def roots(said: str, **files: str) -> tuple[str, list[tuple[str | None, str | None]]]:
    found = story({"kernel/node1.log": said, **{f"{name}.log": lines for name, lines in files.items()}})
    named = [(e.signature.id if e.signature else None, e.category) for e in found.verdict.roots]
    return found.outcome, named


@pytest.mark.parametrize(("frame", "category"), [(GPFS, "storage"), (UVM, "hardware.host")])
def test_the_stack_below_tells_what_a_process_waits_for(frame: str, category: str):
    said = kernel((300.0, HUNG.format("python3", 4711)), *stack(300.0, frame))
    assert roots(said) == ("failed", [("kernel-hung-task", category)])


def test_the_stack_of_another_place_tells_nothing():
    between = [(200.0 + i, f"eth0: renamed from veth{i}") for i in range(80)]
    hung = (300.0, HUNG.format("python3", 4711))
    assert roots(kernel(*stack(100.0, GPFS), hung))[1] == [("kernel-hung-task", "hardware.host")]
    far = kernel((100.0, hung[1]), *between, *stack(300.0, GPFS))
    assert roots(far)[1] == [("kernel-hung-task", "hardware.host")]


def test_a_wait_of_a_daemon_is_none_of_the_jobs():
    early = [(10.0, HUNG.format("epilog.sh", 77)), (20.0, HUNG.format("kworker/u256:3", 78))]
    assert roots(kernel(*early), train=TEN) == ("running", [])
    said = kernel(*early, (300.0, HUNG.format("pt_data_worker", 79)), *stack(300.0, GPFS))
    assert roots(said) == ("failed", [("kernel-hung-task", "storage")])


@pytest.mark.parametrize("name", ["sshd", "node_exporter", "systemd-journal"])
def test_a_crash_of_a_daemon_is_none_of_the_jobs(name: str):
    said = kernel((11.0, CRASH.format(name, 77, name)))
    assert roots(said, train=TEN) == ("running", [])
    outcome, found = roots(said, train=TEN + cry(12, 0, "ValueError: boom"))
    assert (outcome, [name for name, _ in found]) == ("failed", ["py-value-error"])


@pytest.mark.parametrize(
    "name", ["python3.11", "pt_main_thread", "ray::Trainer", "pretrain_gpt.py", "NCCL Service 0"]
)
def test_a_crash_of_the_trainer_is_a_root(name: str):
    said = kernel((12.0, CRASH.format(name, 77, "libnccl.so.2")))
    assert roots(said, train=TEN) == ("failed", [("kernel-segfault", "framework")])


def test_the_process_that_memory_cost_decides():
    others = kernel(
        (11.0, "node_exporter invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"),
        (11.0, "Memory cgroup out of memory: Killed process 77 (node_exporter) total-vm:1kB, anon-rss:1kB"),
    )
    assert roots(others, train=TEN) == ("running", [])
    mine = kernel(
        (11.0, "node_exporter invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"),
        (11.0, "Out of memory: Killed process 78 (pt_data_worker) total-vm:1kB, anon-rss:1kB, file-rss:0kB"),
    )
    assert roots(mine, train=TEN) == ("failed", [("oom-killer", "resource")])
