"""What lines of the training program and its helpers mean together: loaders, trackers, Ray, the journal."""

import pytest

from jobs import at, diagnosis, steps, story, text

TRAIN = steps(range(1, 11))


def loader_error(kind: str, original: str) -> str:
    lines = [
        "Traceback (most recent call last):",
        '  File "/opt/train.py", line 7, in main',
        f"{kind}: Caught {kind} in DataLoader worker process 2.",
        "Original Traceback (most recent call last):",
        '  File "/opt/data.py", line 3, in read',
        original,
    ]
    return text(f"[rank0]: {line}" for line in lines)


@pytest.mark.parametrize(
    ("original", "category", "signature"),
    [
        ("KeyError: 'text'", "user.code", "py-key-error"),
        ("OSError: [Errno 5] Input/output error: '/data/x.bin'", "storage", "os-errno"),
        ("zstd.Error: Decompression error: Corrupted block detected", "data", "data-decode"),
    ],
)
def test_the_original_exception_of_a_loaders_worker_is_the_cause(original, category, signature):
    found = diagnosis({"a.log": TRAIN + loader_error(original.split(":")[0].split(".")[-1], original)})
    assert (found.cause["category"], found.cause["signature"]) == (category, signature)
    assert ("consequence", "loader-caught") in [(e["role"], e["signature"]) for e in found.events]


@pytest.mark.parametrize(
    ("told", "category"),
    [
        ("Run initialization has timed out after 90.0 sec.", "network"),
        ("Error uploading run: returned error 403: permission denied", "user.config"),
    ],
)
def test_a_tracker_that_does_not_answer_is_no_wrong_key(told, category):
    found = diagnosis({"a.log": f"{at(0)} INFO hi\n[rank0]: wandb.errors.errors.CommError: {told}\n"})
    assert found.cause["category"] == category


def test_kernel_lines_that_the_journal_lost_are_no_event():
    overrun = "Mar  2 10:00:12 gpu-1 systemd-journald[1102]: /dev/kmsg buffer overrun, some messages lost.\n"
    died = f"[rank0]: {at(20)} ERROR RuntimeError: boom\n"
    found = diagnosis({"a.log": TRAIN + died, "dmesg-gpu-1.log": overrun * 3})
    assert [e["first"]["file"] for e in found.events] == ["a.log"]


def test_the_duration_that_megatron_deepspeed_prints_in_seconds():
    line = " iteration {:8d}/  250000 | elapsed time per iteration (s): {:.2f} | lm loss: 2.6E+00 |"
    found = story({"a.log": text(line.format(n, 7.5) for n in range(1, 9))})
    assert (found.progress.last_completed, found.progress.median_s) == (8, 7.5)


def ray_workers(n_nodes: int, per_node: int) -> list[str]:
    ranks = [(node, local) for node in range(n_nodes) for local in range(per_node)]
    return [
        f"(TorchTrainer pid=7, ip=10.1.0.0) - (node_id=0{node}ab, ip=10.{node + 1}.0.{node}, "
        f"pid={500 + rank}) world_rank={rank}, local_rank={local}, node_rank={node}"
        for rank, (node, local) in enumerate(ranks)
    ]


def test_ray_trains_list_of_workers_names_the_node_that_says_nothing():
    train = [f"(RayTrainWorker pid=500, ip=10.1.0.0) {line}" for line in TRAIN.splitlines()]
    dead = (
        "(raylet, ip=10.1.0.0) The node with node id: 03ab and address: 10.4.0.3 and node name: 10.4.0.3"
        " has been marked dead because the detector has missed too many heartbeats from it."
    )
    found = diagnosis({"driver.log": text([*ray_workers(4, 2), *train, dead])})
    assert [node["node"] for node in found.nodes] == ["10.4.0.3"]
    assert [rank["rank"] for rank in found.ranks] == [6, 7]
    assert found.job["ranks"] == 8
