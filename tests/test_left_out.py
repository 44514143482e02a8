"""Which nodes a restart does without: never the only one that is known, nor for a signal alone."""

import pytest

from jobs import at, diagnosis, steps, text
from test_culprit import judge

NOTICED = "mpirun noticed that process rank 5 with PID 0 on node {} exited on signal {} (Killed)."
XID = "kernel: NVRM: Xid (PCI:0000:9b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def console(*lines: str) -> dict[str, str]:
    return {"console.log": text(f"{at(k)} INFO loading shard {k}" for k in range(3)) + text(lines)}


@pytest.mark.parametrize("signal", [4, 9])
def test_the_only_node_that_is_known_is_not_left_out(signal):
    found = diagnosis(console(NOTICED.format("calc-7", signal)))
    assert (found.outcome, found.action["verdict"], found.action["exclude_nodes"]) == (
        "failed",
        "restart",
        [],
    )


def test_the_only_node_is_left_out_if_its_hardware_broke():
    files = {"train.log": steps(range(1, 9)), "kern.log": f"Mar  2 10:00:09 calc-7 {XID}\n"}
    assert diagnosis(files).action["exclude_nodes"] == ["calc-7"]


@pytest.mark.parametrize(("signal", "nodes"), [(9, []), (4, ["gpu-2"])])
def test_a_kill_of_which_launchers_alone_tell_leaves_no_node_out(signal, nodes):
    found = judge((19, 4, NOTICED.format("gpu-2", signal)))
    assert found.action["verdict"] == ("restart_excluding" if nodes else "restart")
    assert found.action["exclude_nodes"] == nodes


def test_of_a_job_whose_end_is_unknown_an_odd_line_names_no_node():
    odd = "[1,2]<stdout>: .. bench-worker-0 pid 75: Solver failure grid.cu:844"
    said = "[1,2]<stdout>:bench-worker-0:75:95 [2] NCCL INFO graph/topo.cc:493 -> 3"
    found = diagnosis({"console.log": text([said, odd])})
    assert (found.outcome, found.nodes) == ("unknown", [])
