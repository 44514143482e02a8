"""Lines, and what is peeled off them, as texts."""

from __future__ import annotations

from l4fast.canonical import MASK, mask
from l4fast.layouts import peel


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
        [("time.iso", "2024-01-01 10:00:00.1")],
        "no",
    ),
]
