"""What InfiniBand, Slurm, containers and launchers say, and what it means."""

import pytest
from l4fast.library import Library, load, told

from jobs import at, cry, steps, story, text

TEN = steps(range(1, 11))
CONFIG = ("root", "user.config", "stop")


@pytest.fixture(scope="module")
def packaged() -> Library:
    return load()


def meant(packaged: Library, line: str) -> tuple[str | None, str | None, str | None, str | None]:
    signature, _ = told(packaged.match([line])[0])
    if signature is None:
        return None, None, None, None
    what = packaged.resolve(signature, signature.read(line))
    return signature.id, what.role, what.category, what.action


@pytest.mark.parametrize(
    "before", ["NET/IB : Got async event : ", "NET/IB : mlx5_1:1 Got async event : ", "IB Got async event : "]
)
@pytest.mark.parametrize(
    ("event", "is_fatal"),
    [
        ("port error", True),
        ("local catastrophic error", True),
        ("local work queue catastrophic error", True),
        ("invalid request local work queue error", True),
        ("CQ error", True),
        ("port active", False),
        ("client reregistration", False),
        ("LID change", False),
        ("last WQE reached", False),
    ],
)
def test_the_name_of_an_infiniband_event_decides(packaged: Library, before: str, event: str, is_fatal: bool):
    found = meant(packaged, before + event)
    harmless = "nccl-ib-port-active" if event == "port active" else "nccl-ib-event"
    assert found[:2] == (("nccl-ib-fatal-event", "root") if is_fatal else (harmless, "benign"))
    ucx = meant(packaged, f"UCX  ERROR IB Async event on mlx5_0: {event} on port 1")
    if event != "last WQE reached":  # UCX has words of its own for that
        assert ucx[1] == ("root" if is_fatal else "benign")


def test_a_port_that_fails_names_its_host_and_explains_its_peers():
    end = text(
        [
            f"{at(12)} gpu07:411:420 [3] NCCL WARN NET/IB : mlx5_2:1 Got async event : port error",
            f"{at(40)} gpu09:511:520 [1] NCCL WARN NET/IB : Got completion from peer gpu07<33057>"
            " with status=12 opcode=0 len=0 vendor err 129",
        ]
    )
    found = story({"a.log": TEN + end})
    assert found.outcome == "failed"
    assert [e.signature.id for e in found.verdict.roots] == ["nccl-ib-fatal-event"]
    assert [node for node, *_ in found.verdict.nodes] == ["gpu07"]


def test_a_port_that_failed_for_the_moment_is_why_a_transfer_failed():
    event = (
        f"{at(12)} gpu07:411:420 [3] NCCL WARN NET/IB : mlx5_2:1 Got non-fatal async event: port error(10)\n"
    )
    lost = (
        f"{at(40)} gpu09:511:520 [1] NCCL WARN NET/IB : Got completion from peer gpu07<33057>"
        " with status=12 opcode=0 len=0 vendor err 129\n"
    )
    assert story({"a.log": TEN + event}).outcome == "running"
    found = story({"a.log": TEN + event + lost})
    assert [e.signature.id for e in found.verdict.roots if e.signature] == ["nccl-ib-port-event"]
    assert [node for node, *_ in found.verdict.nodes] == ["gpu07"]


def test_a_client_that_registers_again_fails_no_job():
    said = f"{at(12)} gpu07:411:420 [3] NCCL WARN NET/IB : mlx5_2:1 Got async event : client reregistration\n"
    assert story({"a.log": TEN + said}).outcome == "running"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('FATAL:   "trainx": executable file not found in $PATH', CONFIG),
        ('OCI runtime create failed: exec: "trainx": executable file not found in $PATH: unknown', CONFIG),
        ("crun: executable file `trainx` not found in $PATH: No such file or directory", CONFIG),
        ("enroot-switchroot: failed to execute: trainx: No such file or directory", CONFIG),
        ("OCI runtime create failed: container_linux.go:380: cgroups: cannot", ("root", "platform", None)),
        ("FATAL:   could not open image /w/x.sif: image format not recognized", CONFIG),
        (
            "srun: error: Unable to create step for job 7: Requested node configuration is not available",
            CONFIG,
        ),
        (
            "srun: error: Unable to create step for job 7: Requested nodes are busy",
            ("root", "platform", None),
        ),
        ("sbatch: error: Batch job submission failed: Invalid qos specification", CONFIG),
        (
            "srun: error: Unable to confirm allocation for job 7: Invalid job id specified",
            ("root", "platform", None),
        ),
        ("Unable to load saver plugin mine. Exiting.", CONFIG),
        ("mlx5: gpu07: got completion with error:", ("consequence", "network", None)),
        (
            "Received Error Interrupt! fatal: true, running_timer: 0xea",
            ("root", "hardware.gpu", "restart_excluding"),
        ),
        ("ShutdownHook: lame workers found: HeartbeatManager()", ("root", "preemption", "restart")),
        (
            "NVRM: Xid (PCI:0000:dc:00): 45, pid=7, name=python3, Ch 01 caused by previous Xid 149",
            ("root", "hardware.gpu", "restart_excluding"),
        ),
        (
            "NVRM: Xid (PCI:0000:dc:00): 45, pid=7, name=python3, Ch 01",
            ("consequence", "framework", "restart"),
        ),
        (
            "FatalError: `Termination signal` is detected by the operating system.",
            ("consequence", "platform", None),
        ),
        (
            "FatalError: `Segmentation fault` is detected by the operating system.",
            ("root", "framework", None),
        ),
    ],
)
def test_what_a_line_means(packaged: Library, line: str, wanted: tuple[str, str, str | None]):
    assert meant(packaged, line)[1:] == wanted


@pytest.mark.parametrize(
    "line",
    [
        "--- Logging error ---",
        'Error.  nthreads cannot be larger than environment variable "NUMEXPR_MAX_THREADS" (64)',
        "pci 0000:64:00.0: BAR 6: failed to assign [mem size 0x00200000 pref]",
        "i8042: probe of i8042 failed with error -5",
        "Error Message Summary:",
        "srun: error: Required nodelist includes more nodes than permitted by max-node count (8 > 2).",
    ],
)
def test_what_sounds_bad_and_is_not(packaged: Library, line: str):
    assert meant(packaged, line)[1] in ("benign", "context")
    assert story({"a.log": TEN + f"{at(12)} {line}\n"}).outcome == "running"


def test_a_command_that_does_not_exist_beats_the_exit_of_its_tasks():
    said = ['FATAL:   "trainx": executable file not found in $PATH'] * 8
    end = [*said, "srun: error: gpu07: tasks 0-7: Exited with exit code 255"]
    found = story({"a.log": text(end)})
    assert [e.signature.id for e in found.verdict.roots] == ["command-not-executable"]


def test_what_stands_below_a_failed_logging_is_no_cause():
    lost = """--- Logging error ---
Traceback (most recent call last):
  File "/usr/lib/python3.12/logging/__init__.py", line 1160, in emit
    stream.write(msg + self.terminator)
UnicodeEncodeError: 'ascii' codec can't encode character
Call stack:
  File "/w/train.py", line 3, in main
Message: 'loss'
Arguments: ()
"""
    assert story({"a.log": TEN + lost}).outcome == "running"
    found = story({"a.log": TEN + lost + cry(13, 0, "ValueError: no such optimizer")})
    assert [e.signature.id for e in found.verdict.roots if e.signature] == ["py-value-error"]
