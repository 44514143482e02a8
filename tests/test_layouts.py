"""Line prefixes and JSON envelopes: what is peeled, what is read, what stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from l4fast.canonical import MASK, mask
from l4fast.layouts import Header, peel


def read(line: str) -> tuple[str, str | None, list[tuple[str, str]], str]:
    """Return layouts, level, (kind, text in the line) and content of a line."""
    data = line.encode()
    masked, words = mask(data)
    header = peel(masked)

    def text(start: int, end: int) -> str:
        at, out = 0, b""
        for i, char in enumerate(masked):
            begin, stop = words[masked.count(MASK, 0, i)] if char == MASK else (at, at + 1)
            if start <= i < end:
                out += data[begin:stop]
            at = stop
        return out.decode(errors="replace")

    fields = [(field.kind, text(field.start, field.end)) for field in header.fields]
    return " ".join(header.layouts), header.level, fields, text(header.start, header.end)


# line, layouts, level, fields as (kind, text), content
LINES = [
    # launchers' labels
    ("12: hello", "srun-label", None, [("label", "12")], "hello"),
    ("  3: hello", "srun-label", None, [("label", "3")], "hello"),
    ("node07: hello", "srun-label", None, [("label", "node07")], "hello"),
    ("E12: hello", "srun-label", None, [("label", "E12")], "hello"),
    ("0: ", "srun-label", None, [("label", "0")], ""),
    ("0:   File x", "srun-label", None, [("label", "0")], "  File x"),
    ("worker-4: bye", "pdsh", None, [("host", "worker-4")], "bye"),
    ("gpu-b12.rack.local: bye", "pdsh", None, [("host", "gpu-b12.rack.local")], "bye"),
    ("10.1.2.3: bye", "pdsh", None, [("host", "10.1.2.3")], "bye"),
    (
        "x3.hpc.site: rank 5 died from signal 9",
        "pals",
        None,
        [("host", "x3.hpc.site")],
        "rank 5 died from signal 9",
    ),
    ("[default3]:go", "torchrun-tee", None, [("bracket", "default3")], "go"),
    ('[default3]:  File "a.py"', "torchrun-tee", None, [("bracket", "default3")], '  File "a.py"'),
    ('[rank3]:   File "a.py"', "rank", None, [("bracket", "rank3")], '  File "a.py"'),
    ("[rank3]:     return x", "rank", None, [("bracket", "rank3")], "    return x"),
    ("[rank3]: Traceback", "rank", None, [("bracket", "rank3")], "Traceback"),
    ("[rank3]:", "torchrun-tee", None, [("bracket", "rank3")], ""),
    (
        "[rank3-group_rank1-attempt0]:go",
        "torchrun-tee",
        None,
        [("bracket", "rank3-group_rank1-attempt0")],
        "go",
    ),
    ("[gpu01:5]:go", "torchrun-tee", None, [("bracket", "gpu01:5")], "go"),
    ("[gpu01:5]go", "host-bracket", None, [("bracket", "gpu01:5")], "go"),
    ("[n9:4711] *** Process", "host-bracket", None, [("bracket", "n9:4711")], "*** Process"),
    ("[1,12]<stdout>:go", "mpi-tag", None, [("mpi_rank", "12")], "go"),
    ("[1,12]<stderr>:  File", "mpi-tag", None, [("mpi_rank", "12")], "  File"),
    ("[prterun-head-77@1,12]<stdout>: go", "mpi-tag", None, [("mpi_rank", "12")], "go"),
    (
        "[prterun-head-77@1,12][n-5:99]<stdout>: go",
        "mpi-tag",
        None,
        [("mpi_rank", "12"), ("host", "n-5"), ("pid", "99")],
        "go",
    ),
    (
        "[1,mpirank:3,algo-2]<stderr>:go",
        "sagemaker-mpi",
        None,
        [("mpi_rank", "3"), ("host", "algo-2")],
        "go",
    ),
    ("stderr: Traceback", "stream", None, [], "Traceback"),
    ("[rank: 15] Seed set to 7", "rank", None, [("rank", "15")], "Seed set to 7"),
    ("[Rank 3] go", "rank", None, [("rank", "3")], "go"),
    ("rank 3: go", "rank", None, [("rank", "3")], "go"),
    (
        "(RayTrainWorker pid=1193, ip=10.2.4.9) loss 3 [repeated 6x across cluster]",
        "ray",
        None,
        [("pid", "1193"), ("ip", "10.2.4.9"), ("repeat", "6x")],
        "loss 3",
    ),
    (
        "(Worker rank=2 pid=99) x [repeated 3x across cluster] (Ray deduplicates logs by default.)",
        "ray",
        None,
        [("rank", "2"), ("pid", "99"), ("repeat", "3x")],
        "x",
    ),
    ("(raylet, ip=10.2.4.9) died", "ray", None, [("ip", "10.2.4.9")], "died"),
    # C++ loggers
    (
        "[E429 13:55:49.384372190 ProcessGroupNCCL.cpp:1743] [PG ID 0 PG GUID 0(default_pg) Rank 6] Watchdog",
        "glog c10d-group",
        None,
        [("time.glog", "E429 13:55:49.384372190"), ("rank", "6")],
        "Watchdog",
    ),
    ("[E ProcessGroupNCCL.cpp:457] [Rank 3] Watchdog", "glog rank", "error", [("rank", "3")], "Watchdog"),
    ("[W socket.cpp:663] [c10d] The client", "glog", "warning", [], "[c10d] The client"),
    (
        "W1016 20:57:34.975000 14008 torch/distributed/run.py:779] ",
        "glog",
        None,
        [("time.glog", "W1016 20:57:34.975000"), ("pid", "14008")],
        "",
    ),
    (
        "E0502 10:22:33.123456    1234 file.cc:100]   at",
        "glog",
        None,
        [("time.glog", "E0502 10:22:33.123456"), ("pid", "1234")],
        "  at",
    ),
    (
        "2024-05-05 10:22:33.123456: I tensorflow/core/cpu.cc:38] ok",
        "tensorflow",
        "info",
        [("time.iso", "2024-05-05 10:22:33.123456")],
        "ok",
    ),
    (
        "[2024-05-05 10:00:00,123 W 12 15] (raylet) main.cc:12: slow",
        "ray-glog",
        "warning",
        [("time.iso", "2024-05-05 10:00:00,123"), ("pid", "12"), ("tid", "15")],
        "slow",
    ),
    (
        "node-01:18988:18989 [3] NCCL INFO Channel 04/0",
        "nccl",
        "info",
        [("host", "node-01"), ("pid", "18988"), ("tid", "18989"), ("device", "3")],
        "Channel 04/0",
    ),
    (
        "[2026-05-05 06:16:47] gpu.site.org:7:8 [-1] plugin/net.cc:3 NCCL WARN bad",
        "time nccl",
        "warning",
        [
            ("time.iso", "2026-05-05 06:16:47"),
            ("host", "gpu.site.org"),
            ("pid", "7"),
            ("tid", "8"),
            ("device", "-1"),
        ],
        "bad",
    ),
    (
        "[1715963741.264028] [h-7:3551207:0]     ucc_context.c:906  UCC  WARN  in use",
        "ucx",
        "warning",
        [("time.epoch", "1715963741.264028"), ("host", "h-7"), ("pid", "3551207"), ("tid", "0")],
        "in use",
    ),
    (
        "[1715963741.264028] [h:355 :1]  x.c:9  UCX  ERROR no",
        "ucx",
        "error",
        [("time.epoch", "1715963741.264028"), ("host", "h"), ("pid", "355"), ("tid", "1")],
        "no",
    ),
    (
        "libfabric:99:1715963741:efa:cq:f():12<warn> bad",
        "libfabric",
        "warning",
        [("pid", "99"), ("time.epoch", "1715963741")],
        "bad",
    ),
    (
        "[ERROR] HCCL(12940,python):2021-10-17-05:54:07.599.074 [file.cc:33]12941 [Func]x",
        "plog",
        "error",
        [("pid", "12940"), ("time.iso", "2021-10-17-05:54:07.599.074"), ("tid", "12941")],
        "[Func]x",
    ),
    (
        "[WARNING] ME(23:139847,MainProcess):2024-01-01-10:00:00.123.456 [mindspore/x.py:12] slow",
        "plog",
        "warning",
        [("pid", "23"), ("tid", "139847"), ("time.iso", "2024-01-01-10:00:00.123.456")],
        "slow",
    ),
    (
        "[ERROR] 2024-05-05-10:00:00 (PID:17, Device:0, RankID:-1) ERR01234 no",
        "torch-npu",
        "error",
        [("time.iso", "2024-05-05-10:00:00"), ("pid", "17"), ("device", "0"), ("rank", "-1")],
        "ERR01234 no",
    ),
    # Python loggers
    (
        "2026-11-22 08:45:25,325 [INFO] [rank0] trainer: go",
        "time level log-bracket",
        "info",
        [("time.iso", "2026-11-22 08:45:25,325"), ("bracket", "rank0")],
        "trainer: go",
    ),
    (
        "2026-11-22 08:45:25,325 - root - INFO - go",
        "time level",
        "info",
        [("time.iso", "2026-11-22 08:45:25,325")],
        "go",
    ),
    (
        "[mytool] 2026-11-22 08:45:25,325 - a.b - ERROR - step: 5",
        "tag time level",
        "error",
        [("time.iso", "2026-11-22 08:45:25,325")],
        "step: 5",
    ),
    (
        "11/22/2026 08:52:16 - WARNING - __main__ - Process rank: 3",
        "time level",
        "warning",
        [("time.us", "11/22/2026 08:52:16")],
        "Process rank: 3",
    ),
    ("INFO:root:Building", "basic-config", "info", [], "Building"),
    ("WARNING:torch.distributed.run:***", "basic-config", "warning", [], "***"),
    (
        "[2023-06-21 03:47:13,571] [INFO] [launch.py:460:main] [Rank 0] exits",
        "time level location rank",
        "info",
        [("time.iso", "2023-06-21 03:47:13,571"), ("rank", "0")],
        "exits",
    ),
    (
        "[2024-05-08 08:47:31,261] torch.distributed.elastic.api: [WARNING] Sending",
        "time logger-level",
        "warning",
        [("time.iso", "2024-05-08 08:47:31,261")],
        "Sending",
    ),
    (
        "2024-01-01 10:00:00.5 | ERROR    | pkg.mod:func:12 - no",
        "time level",
        "error",
        [("time.iso", "2024-01-01 10:00:00.5")],
        "no",
    ),
    (
        "[08/01/24 10:00:00] INFO     colossalai - colossalai - INFO: /a/b.py:12 launch",
        "time level level",
        "info",
        [("time.us", "08/01/24 10:00:00")],
        "/a/b.py:12 launch",
    ),
    (
        "[NeMo W 2024-05-07 15:49:31 megatron_base_model:1147] The model",
        "nemo",
        "warning",
        [("time.iso", "2024-05-07 15:49:31")],
        "The model",
    ),
    (
        "[SomeAgent] 2024-05-05 10:00:00,123 [INFO] [rank3-restart0] /opt/x/agent.py:12: go",
        "tag time level log-bracket location",
        "info",
        [("time.iso", "2024-05-05 10:00:00,123"), ("bracket", "rank3-restart0")],
        "go",
    ),
    (
        " [2026-08-01 03:00:12.463594] iteration        1/  500000 | consumed",
        "time",
        None,
        [("time.iso", "2026-08-01 03:00:12.463594")],
        "iteration        1/  500000 | consumed",
    ),
    (
        "2024-05-05 10:00:00,123 - formers[a/b.py:33] - INFO - go",
        "time level",
        "info",
        [("time.iso", "2024-05-05 10:00:00,123")],
        "go",
    ),
    (
        "2024-05-05 10:00:00,123\tINFO worker.py:1234 -- Started",
        "time level location",
        "info",
        [("time.iso", "2024-05-05 10:00:00,123")],
        "Started",
    ),
    ("INFO 08-01 10:00:00 [core.py:12] go", "vllm", "info", [("time.clock", "10:00:00")], "go"),
    (
        "[INFO|trainer.py:12] 2024-05-05 10:00:00,1 >> go",
        "transformers",
        "info",
        [("time.iso", "2024-05-05 10:00:00,1")],
        "go",
    ),
    ("[ERROR] no", "level", "error", [], "no"),
    (
        "[2024-05-05T10:00:00.123] error: Node n1 down",
        "time",
        "error",
        [("time.iso", "2024-05-05T10:00:00.123")],
        "error: Node n1 down",
    ),
    (
        "24/05/05 10:00:00 INFO Scheduler: go",
        "time level",
        "info",
        [("time.us", "24/05/05 10:00:00")],
        "Scheduler: go",
    ),
    (
        'time="2024-05-05T10:00:00Z" level=error msg="no"',
        "logrus",
        "error",
        [("time.iso", "2024-05-05T10:00:00Z")],
        'msg="no"',
    ),
    # system logs
    (
        "Oct 10 03:06:53 node07 kernel: [12345.678901] NVRM: Xid",
        "syslog dmesg",
        None,
        [("time.syslog", "Oct 10 03:06:53"), ("host", "node07"), ("time.boot", "12345.678901")],
        "NVRM: Xid",
    ),
    (
        "Oct  1 03:06:53 gpu slurmd[25]: up",
        "syslog",
        None,
        [("time.syslog", "Oct  1 03:06:53"), ("host", "gpu"), ("pid", "25")],
        "up",
    ),
    (
        "<13>1 2024-05-05T10:00:00.1Z h7 app 123 mid - up",
        "rfc5424",
        None,
        [("time.iso", "2024-05-05T10:00:00.1Z"), ("host", "h7"), ("pid", "123")],
        "up",
    ),
    (
        "2024-10-10T03:06:53+0200 h7 kernel: up",
        "syslog-iso",
        None,
        [("time.iso", "2024-10-10T03:06:53+0200"), ("host", "h7")],
        "up",
    ),
    ("[    1.678901] NVRM: Xid", "dmesg", None, [("time.boot", "1.678901")], "NVRM: Xid"),
    ("[12345.6][ T99] NVRM: Xid", "dmesg", None, [("time.boot", "12345.6")], "NVRM: Xid"),
    (
        "[Thu Oct 10 03:06:53 2024] python[9]: segfault",
        "ctime",
        None,
        [("time.ctime", "Thu Oct 10 03:06:53 2024")],
        "python[9]: segfault",
    ),
    ("6,1234,5678901,-;nvidia: up", "kmsg", None, [("time.boot", "5678901")], "nvidia: up"),
    ("kern  :err   : [9.5] NVRM", "dmesg-x dmesg", "error", [("time.boot", "9.5")], "NVRM"),
    # shippers
    (
        "2019-01-01T01:00:00.000000001Z stderr F  text",
        "cri",
        None,
        [("time.iso", "2019-01-01T01:00:00.000000001Z")],
        " text",
    ),
    (
        "2019-01-01T01:00:00.1+02:00 stdout P text",
        "cri-partial",
        None,
        [("time.iso", "2019-01-01T01:00:00.1+02:00")],
        "text",
    ),
    (
        "[pod/job-worker-3/pytorch] 2019-01-01T01:00:00.1Z text",
        "kubectl-prefix timestamp",
        None,
        [("pod", "job-worker-3"), ("container", "pytorch"), ("time.iso", "2019-01-01T01:00:00.1Z")],
        "text",
    ),
    (
        "my-job-worker-3 pytorch text",
        "stern",
        None,
        [("pod", "my-job-worker-3"), ("container", "pytorch")],
        "text",
    ),
    (
        '2024-05-05T10:00:00Z {pod="a-1",node="n2"} text',
        "timestamp loki-labels",
        None,
        [("time.iso", "2024-05-05T10:00:00Z"), ("pod", "a-1"), ("host", "n2")],
        "text",
    ),
    (
        ':::MLLOG {"namespace": "", "time_ms": 1715963741264, "key": "x"}',
        "mllog",
        None,
        [("time.epoch", "1715963741264")],
        ':::MLLOG {"namespace": "", "time_ms": 1715963741264, "key": "x"}',
    ),
    # nested
    (
        "2019-01-01T01:00:00.1Z stderr F  7: [default3]:[rank7]: [E1016 03:06:53.1 a.cpp:6] [Rank 7] no",
        "cri srun-label torchrun-tee rank glog rank",
        None,
        [
            ("time.iso", "2019-01-01T01:00:00.1Z"),
            ("label", "7"),
            ("bracket", "default3"),
            ("bracket", "rank7"),
            ("time.glog", "E1016 03:06:53.1"),
            ("rank", "7"),
        ],
        "no",
    ),
    (
        "worker-1: [2023-06-21 03:47:13,571] [ERROR] [launch.py:325:main] no",
        "pdsh time level location",
        "error",
        [("host", "worker-1"), ("time.iso", "2023-06-21 03:47:13,571")],
        "no",
    ),
    (
        "[1,3]<stderr>:h-7:5:6 [3] NCCL WARN no",
        "mpi-tag nccl",
        "warning",
        [("mpi_rank", "3"), ("host", "h-7"), ("pid", "5"), ("tid", "6"), ("device", "3")],
        "no",
    ),
    (
        'Thu Oct 10 03:06:53 2024[1,3]<stdout>:{"loss": 3}',
        "ctime mpi-tag",
        None,
        [("time.ctime", "Thu Oct 10 03:06:53 2024"), ("mpi_rank", "3")],
        '{"loss": 3}',
    ),
    (
        ' 0: :::MLLOG {"namespace": "", "time_ms": 5}',
        "srun-label mllog",
        None,
        [("label", "0"), ("time.epoch", "5")],
        ':::MLLOG {"namespace": "", "time_ms": 5}',
    ),
    # colours
    (
        "\x1b[36m(Worker pid=11, ip=10.2.4.9)\x1b[0m 2024-01-01 10:00:00,1 INFO x"
        "\x1b[32m [repeated 3x across cluster]\x1b[0m",
        "ray time level",
        "info",
        [("pid", "11"), ("ip", "10.2.4.9"), ("time.iso", "2024-01-01 10:00:00,1"), ("repeat", "3x")],
        "x",
    ),
    (
        "2024-01-01 10:00:00,1 - root - INFO - \x1b[31mstep: 1",
        "time level",
        "info",
        [("time.iso", "2024-01-01 10:00:00,1")],
        "\x1b[31mstep: 1",
    ),
    (
        "\x1b[32m2024-01-01 10:00:00.1\x1b[0m | no",
        "time",
        None,
        [("time.iso", "32m2024-01-01 10:00:00.1")],
        "no",
    ),
]


@pytest.mark.parametrize(
    ("line", "layouts", "level", "fields", "content"), LINES, ids=[x[0][:60] for x in LINES]
)
def test_peels(
    line: str, layouts: str, level: str | None, fields: list[tuple[str, str]], content: str
) -> None:
    assert read(line) == (layouts, level, fields, content)


JSON_LINES = [
    (
        r'{"log":"[rank3]: text 12\n","stream":"stdout","time":"2019-01-01T01:00:00.1Z"}',
        "docker rank",
        None,
        {"bracket": "rank3", "time.iso": "2019-01-01T01:00:00.1Z"},
        "text 12",
    ),
    (
        r'{"time":"2019-01-01T01:00:00.1Z","stream":"stderr","log":"say \"hi\""}',
        "docker-partial",
        None,
        {"time.iso": "2019-01-01T01:00:00.1Z"},
        r"say \"hi\"",
    ),
    (
        '{"textPayload":"loss 3","resource":{"labels":{"node_name":"gke-1","pod_name":"p-0",'
        '"container_name":"c"},"type":"k8s"},"timestamp":"2024-01-01T00:00:00.1Z","severity":"ERROR"},',
        "gcp",
        "error",
        {"host": "gke-1", "pod": "p-0", "container": "c", "time.iso": "2024-01-01T00:00:00.1Z"},
        "loss 3",
    ),
    (
        '{"severity":"ERROR","timestamp":"2024-01-01T00:00:00Z","textPayload":"[INFO] fine"}',
        "gcp level",
        "info",
        {"time.iso": "2024-01-01T00:00:00Z"},
        "fine",
    ),
    (
        '{"jsonPayload":{"message":"no","level":"warning"},"severity":"INFO","timestamp":"2024-01-01T00:00:00Z",'
        '"labels":{"compute.googleapis.com/resource_name":"vm-3"}}',
        "gcp",
        "warning",
        {"host": "vm-3", "time.iso": "2024-01-01T00:00:00Z"},
        "no",
    ),
    (
        '{"labels":{"pod":"p-3","node_name":"n3"},"line":"12: hello","timestamp":"2024-01-01T00:00:00.1Z"}',
        "loki srun-label",
        None,
        {"pod": "p-3", "host": "n3", "label": "12", "time.iso": "2024-01-01T00:00:00.1Z"},
        "hello",
    ),
    (
        '{"_index":"x","_source":{"@timestamp":"2024-01-01T00:00:00.1Z","message":"boom","host":{"name":"n1"},'
        '"kubernetes":{"pod":{"name":"p-1"},"node":{"name":"n-2"}}}}',
        "json",
        None,
        {"time.iso": "2024-01-01T00:00:00.1Z", "pod": "p-1", "host": "n-2"},
        "boom",
    ),
    (
        '{"__REALTIME_TIMESTAMP":"1715963741264028","_HOSTNAME":"n3","MESSAGE":"NVRM: x","_PID":"12"}',
        "journald",
        None,
        {"time.epoch": "1715963741264028", "host": "n3", "pid": "12"},
        "NVRM: x",
    ),
    (
        '{"ts": 1715963741.26, "level": "info", "rank": 3, "msg": "step 5", "k8s.pod.name": "p-1"}',
        "json",
        "info",
        {"time.epoch": "1715963741.26", "rank": "3", "pod": "p-1"},
        "step 5",
    ),
    (
        r'{"log":"\u001b[36m(W pid=3, ip=10.2.4.9)\u001b[0m x\n",'
        r'"stream":"stdout","time":"2019-01-01T01:00:00Z"}',
        "docker ray",
        None,
        {"pid": "3", "ip": "10.2.4.9", "time.iso": "2019-01-01T01:00:00Z"},
        "x",
    ),
]


@pytest.mark.parametrize(("line", "layouts", "level", "fields", "content"), JSON_LINES)
def test_opens_json(line: str, layouts: str, level: str | None, fields: dict[str, str], content: str) -> None:
    found = read(line)
    assert (found[0], found[1], dict(found[2]), found[3]) == (layouts, level, fields, content)
    assert len(found[2]) == len(fields)


KEPT_WHOLE = [
    "step: 5",
    "Epoch 3:  12%|##        | 12/100",
    "loss: 3",
    'File "x.py", line 3',
    '  File "x.py", line 3, in f',
    "    return forward(x1)",
    "  time      : 2026-11-22_08:52:50",
    "  rank      : 7 (local_rank: 1)",
    "KeyError: 'offset'",
    "RuntimeError: NCCL error 3",
    "torch.distributed.DistBackendError: NCCL error in: a.cpp:12",
    "torch.OutOfMemoryError: CUDA out of memory. Tried 3 GiB",
    "frame #3: c10d::f(int) + 0x12",
    "http://10.0.0.1:80/x",
    "tcp://h1:29500 refused",
    "fe80::1:2 unreachable",
    "{'loss': 2.1, 'learning_rate': 1e-05}",
    '{"loss": 2.1, "epoch": 3}',
    '{"message": "x", "code": 3}',
    '{"log":"cut off 12',
    '{"log":"a","stream":"stdout","time":"2019-01-01T01:00:00Z"} and more 1',
    " 63%|###..| 63/100 [00:06<00:04, 9.1it/s]",
    "iteration 5: x",
    "libcudart.so.12: cannot open shared object file",
    "layers.0.weight: torch.Size([8])",
    "step-3: saved",
    "[../third_party/gloo/pair.cc:598] Connection closed by peer [10.0.0.1]:99",
    "[train.py:33] hello",
    "2024-05-05 10:00:00 PM hello",
    "2026-08-01 03:00:12",
    "[2026-08-01 03:00:12]",
    "Hello from: worker-110",
    "LOCAL_RANK: 4 - CUDA_VISIBLE_DEVICES: [0,1]",
    "/a/b.py:223: UserWarning: slow",
    "gpt-worker-3 failed to start",
    "[ 0] /lib/libc.so.6(+0x3)",
    "time: 3",
    "",
    " ",
    ":",
    "[]",
    "12",
]


@pytest.mark.parametrize("line", KEPT_WHOLE)
def test_keeps_what_only_looks_like_a_prefix(line: str) -> None:
    assert read(line)[2:] == ([], line)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("srun: error: node07: task 7: Exited with exit code 1", "error"),
        ("slurmstepd-gpu01: error: *** JOB 5 ON gpu01 CANCELLED", "error"),
        ("WARNING: on rank 3 found iteration 5", "warning"),
        ("Warning: slow 3", "warning"),
        ("INFO about 3", None),
    ],
)
def test_a_bare_level_word_tells_the_level_and_stays(line: str, level: str | None) -> None:
    assert read(line) == ("", level, [], line)


@pytest.mark.parametrize("line", [row[0] for row in LINES])
def test_content_has_no_prefix_left(line: str) -> None:
    masked = mask(line.encode())[0]
    header = peel(masked)
    content = masked[header.start : header.end]
    if content.startswith((f"[{MASK}] ", ":::MLLOG", f"{MASK}: ")):
        return  # `[c10d]` is a component after a C++ header only; MLLOG stays on purpose
    assert peel(content).fields == ()


def test_label_only_at_the_very_beginning() -> None:
    assert read("0: shard_1: 2000 documents")[3] == "shard_1: 2000 documents"
    assert read("[rank0]: shard_1: 2000 documents")[3] == "shard_1: 2000 documents"
    assert read("shard_00001: 2000 documents")[2] == [("label", "shard_00001")]


def test_a_python_warning_keeps_its_location() -> None:
    line = "2024-05-05 10:00:00,1 [WARNING] /a/b.py:223: UserWarning: slow"
    assert read(line)[3] == "/a/b.py:223: UserWarning: slow"


_SNIPPETS = st.sampled_from(
    (
        'W: |[|]|W|:| |[W]:|{|"|\\|\x1b[|}|log|,|stderr F |W-W-W W:W:W| - |INFO|{"log":"|","time":"|"}'
        "|E|\n|(pid=|)|[repeated | across cluster]|.|\xe9|rank |Oct |kernel: |-|<|@"
    )
    .replace("W", MASK)
    .split("|")
)
_TEXTS = st.one_of(
    st.lists(_SNIPPETS, max_size=25).map("".join),
    st.text(st.sampled_from(f'ab{MASK}:[]{{}}"\\ -./,|<>()@\x1bm\n\t'), max_size=60),
    st.binary(max_size=60).map(lambda data: mask(data)[0]),
)


def check(header: Header, masked: str) -> None:
    assert 0 <= header.start <= header.end <= len(masked)
    last = 0
    for field in header.fields:
        assert last <= field.start < field.end <= len(masked), header
        assert field.kind and field.kind == field.kind.strip()
        last = field.end
    assert header.level in (None, "debug", "info", "warning", "error", "critical")


@settings(max_examples=1500)
@given(_TEXTS)
def test_any_text_gives_ordered_spans(masked: str) -> None:
    check(peel(masked), masked)


@given(st.sampled_from([row[0] for row in LINES + JSON_LINES]), st.data())
def test_cut_and_damaged_lines_give_ordered_spans(line: str, data: st.DataObject) -> None:
    masked = mask(line.encode())[0]
    at = data.draw(st.integers(0, len(masked)))
    check(peel(masked[:at]), masked[:at])
    damaged = masked[:at] + data.draw(_TEXTS) + masked[at:]
    check(peel(damaged), damaged)


@given(st.sampled_from([row[0] for row in LINES]), st.integers(0, 9))
def test_digits_do_not_matter(line: str, digit: int) -> None:
    other = "".join(str(digit) if char.isdigit() else char for char in line)
    assert peel(mask(line.encode())[0]) == peel(mask(other.encode())[0])


@pytest.mark.parametrize(
    "text",
    [
        "a-" * 50_000,
        f"{MASK}-" * 50_000,
        '{"a":"' + '\\"' * 50_000,
        '{"a":' + "[" * 50_000,
        "(" * 50_000,
        f"[{MASK}]:" + " " * 100_000,
        f"{MASK}-{MASK}-{MASK} {MASK}:{MASK}:{MASK} " + "x - " * 50_000,
        "\x1b[" * 50_000,
        f"[{MASK}]:" * 50_000,
        "a." * 50_000,
        "w" * 100_000,
    ],
)
def test_long_lines_take_linear_time(text: str) -> None:
    begin = time.perf_counter()
    peel(text)
    assert time.perf_counter() - begin < 2.0  # a quadratic step takes minutes


def test_ordinary_lines_are_quick() -> None:
    texts = [mask(row[0].encode())[0] for row in LINES]
    best = float("inf")
    for _ in range(5):
        begin = time.perf_counter()
        for text in texts:
            peel(text)
        best = min(best, time.perf_counter() - begin)
    assert best / len(texts) < 250e-6  # 20 microseconds on a quiet machine
