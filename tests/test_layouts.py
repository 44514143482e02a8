"""Line prefixes and JSON envelopes: what is peeled, what is read, what stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from l4fast.canonical import MASK, mask
from l4fast.layouts import Header, peel

from peeled import LINES, read


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
