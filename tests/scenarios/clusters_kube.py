"""Jobs in containers: one file a pod in CRI format, Docker's JSON lines, kubectl's merged output."""

# ruff: noqa: E501  (a line of a log stays one line)
from __future__ import annotations

from pathlib import Path

from scenarios import Expected
from scenarios.clusters_book import (
    EXCLUDE,
    FAILED,
    FINISHED,
    NOBODY,
    RESTART,
    Book,
    c10d,
    comma,
    cri,
    docker,
    elastic,
    healthy,
    launcher_stack,
    plain,
)


def _pod(i: int, job: str = "llm-7b") -> str:
    name = f"{job}-master-0" if i == 0 else f"{job}-worker-{i - 1}"
    return f"pods/train_{name}_9a{i:02x}1c-77/pytorch/0.log"


def _say(book: Book, t: float, file: str, text: str, kind: str = "say", stream: str = "stderr") -> None:
    for line in text.split("\n"):
        book.at(t, file, f"{cri(t)} {stream} F {line}", kind)


def _train(book: Book, pods: int, last: int, stop: dict[int, int] | None = None) -> float:
    """Every pod has four ranks; rank 0 reports steps. Returns the time of the last step."""
    for i in range(pods):
        _say(
            book,
            0.5,
            _pod(i),
            f"{elastic(0.5, 'W')} torch/distributed/run.py:792] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default, to avoid your system being overloaded, please further tune the variable for optimal performance in your application as needed.",
        )
        for local in range(4):
            _say(
                book,
                6,
                _pod(i),
                f"{comma(6)} INFO [rank {4 * i + local}] world_size={4 * pods} local_rank={local} ready on {_pod(i).split('_')[1]}",
            )
    t = 20.0
    for step in range(1, last + 1):
        t += 3
        _say(
            book,
            t,
            _pod(0),
            f"{comma(t)} INFO [rank 0] step {step}/10000 loss={3 + 4 / step:.4f} lr=2.9e-04 grad_norm=0.{step % 80 + 10} step_time=3.0{step % 9}s",
            stream="stdout",
        )
        if step % 25 == 0:
            _say(
                book,
                t + 0.2,
                _pod(0),
                f"{comma(t + 0.2)} INFO [rank 0] saving checkpoint to s3://ckpt/llm-7b/step-{step}",
                stream="stdout",
            )
            t += 4
            _say(
                book,
                t,
                _pod(0),
                f"{comma(t)} INFO [rank 0] checkpoint step {step} committed to s3://ckpt/llm-7b/step-{step}",
                stream="stdout",
            )
        if step % 10 == 0:
            for i in range(1, pods):
                _say(
                    book,
                    t + 0.5,
                    _pod(i),
                    f"{comma(t + 0.5)} INFO [rank {4 * i}] dataloader: prefetched 8 batches, queue 16/16",
                    stream="stdout",
                )
    return t


def _peer_lost(book: Book, t: float, i: int, peer: str) -> None:
    for local in range(4):
        rank = 4 * i + local
        _say(
            book,
            t,
            _pod(i),
            f"[rank{rank}]:[{c10d(t)} ProcessGroupNCCL.cpp:1899] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Process group watchdog thread terminated with exception: NCCL error: remote process exited or there was a network error, NCCL version 2.21.5",
            "cry",
        )
        _say(
            book,
            t,
            _pod(i),
            "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.\nLast error:",
            "mutter",
        )
        _say(book, t, _pod(i), f"socketProgress: Connection closed by remote peer {peer}<48122>", "cry")
    for other in range(3):
        _say(
            book,
            t + 1,
            _pod(i),
            f"{elastic(t + 1, 'W')} torch/distributed/elastic/multiprocessing/api.py:900] Sending process {61 + other} closing signal SIGTERM",
            "cry",
        )
    _say(
        book,
        t + 2,
        _pod(i),
        f"{elastic(t + 2)} torch/distributed/elastic/multiprocessing/api.py:874] failed (exitcode: -6) local_rank: 0 (pid: 60) of binary: /usr/bin/python3",
        "cry",
    )
    for kind, line in launcher_stack("train.py"):
        _say(book, t + 2.1, _pod(i), line, kind)


def oom_killed_pod(base: Path) -> Expected:
    """The kernel's OOM killer took a worker of one pod; kubelet's events say OOMKilled."""
    book = Book(base)
    t = _train(book, 4, 83)
    file = _pod(3)
    for other in (61, 62, 64):
        _say(
            book,
            t + 1,
            file,
            f"{elastic(t + 1, 'W')} torch/distributed/elastic/multiprocessing/api.py:900] Sending process {other} closing signal SIGTERM",
            "cry",
        )
    _say(
        book,
        t + 2,
        file,
        f"{elastic(t + 2)} torch/distributed/elastic/multiprocessing/api.py:874] failed (exitcode: -9) local_rank: 2 (pid: 63) of binary: /usr/bin/python3",
        "cry",
    )
    for kind, line in launcher_stack("train.py"):
        _say(book, t + 2.1, file, line, kind)
    for i in (0, 1, 2):
        _peer_lost(book, t + 3 + i, i, "llm-7b-worker-2.train.svc.cluster.local")
    ev = "kubectl-get-events.txt"
    book.at(0, ev, "LAST SEEN   TYPE      REASON             OBJECT                     MESSAGE")
    for i in range(4):
        book.at(
            1,
            ev,
            f'19m         Normal    Pulled             pod/{_pod(i).split("_")[1]}         Container image "reg/llm:1.4" already present on machine\n19m         Normal    Started            pod/{_pod(i).split("_")[1]}         Started container pytorch',
        )
    book.cry(
        2,
        ev,
        "3m12s       Warning   OOMKilling         node/gke-a3-77            Memory cgroup out of memory: Killed process 40113 (python3) total-vm:98011232kB, anon-rss:64110212kB, file-rss:120kB, shmem-rss:0kB, UID:0 pgtables:133000kB oom_score_adj:984",
    )
    return book.end(
        outcome=FAILED, root="", nodes=frozenset({"llm-7b-worker-2"}), ranks=frozenset({14}), stage=frozenset({"iterate"}), last_iteration=83,
        last_durable=75, category=frozenset({"resource"}), min_f1=0.9,
    )  # fmt: skip


def evicted_pod(base: Path) -> Expected:
    """kubelet evicts one pod for its local disk; the pod gets SIGTERM, the others lose it."""
    book = Book(base)
    t = _train(book, 4, 61)
    file = _pod(2)
    _say(
        book,
        t + 1,
        file,
        f"{elastic(t + 1, 'W')} torch/distributed/elastic/agent/server/api.py:704] Received 15 death signal, shutting down workers",
        "cry",
    )
    for other in range(4):
        _say(
            book,
            t + 1.1,
            file,
            f"{elastic(t + 1.1, 'W')} torch/distributed/elastic/multiprocessing/api.py:900] Sending process {60 + other} closing signal SIGTERM",
            "cry",
        )
    _say(
        book,
        t + 2,
        file,
        "torch.distributed.elastic.multiprocessing.api.SignalException: Process 17 got signal: 15",
        "cry",
    )
    for i in (0, 1, 3):
        _peer_lost(book, t + 5 + i, i, "llm-7b-worker-1.train.svc.cluster.local")
    ev = "events.log"
    book.cry(
        t - 2,
        ev,
        f"{plain(t - 2)}Z Warning Evicted pod/llm-7b-worker-1 The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 8123412Ki. Container pytorch was using 412Gi, request is 0, has larger consumption of ephemeral-storage.",
    )
    book.mutter(
        t + 0.5, ev, f"{plain(t + 0.5)}Z Normal Killing pod/llm-7b-worker-1 Stopping container pytorch"
    )
    return book.end(
        outcome=FAILED, root="low on resource", nodes=frozenset({"llm-7b-worker-1"}), stage=frozenset({"iterate"}), last_iteration=61, last_durable=50,
        category=frozenset({"resource", "platform", "storage"}), min_f1=0.9,
    )  # fmt: skip


def node_not_ready(base: Path) -> Expected:
    """The host of a pod is gone: its log just ends, the control plane says NodeNotReady minutes later."""
    book = Book(base)
    t = _train(book, 4, 92)
    for i in (0, 1, 3):
        _peer_lost(book, t + 70 + i, i, "llm-7b-worker-1.train.svc.cluster.local")
    ev = "events.log"
    for i in range(4):
        book.at(
            i,
            ev,
            f"{plain(0)}Z Normal Scheduled pod/{_pod(i).split('_')[1]} Successfully assigned train/{_pod(i).split('_')[1]} to gpu-node-{40 + i}",
        )
    book.cry(
        t + 45,
        ev,
        f"{plain(t + 45)}Z Normal NodeNotReady node/gpu-node-42 Node gpu-node-42 status is now: NodeNotReady",
    )
    book.cry(t + 46, ev, f"{plain(t + 46)}Z Warning NodeNotReady pod/llm-7b-worker-1 Node is not ready")
    book.cry(
        t + 346,
        ev,
        f"{plain(t + 346)}Z Normal TaintManagerEviction pod/llm-7b-worker-1 Marking for deletion Pod train/llm-7b-worker-1",
    )
    return book.end(
        outcome=FAILED, root="NodeNotReady", stage=frozenset({"iterate"}), last_iteration=92, last_durable=75, nodes=frozenset({"gpu-node-42"}),
        category=frozenset({"hardware.host"}), verdict=EXCLUDE, min_f1=0.9,
    )  # fmt: skip


def spot_preempted(base: Path) -> Expected:
    """A higher priority job preempts all pods; training saves on SIGTERM and ends."""
    book = Book(base)
    t = _train(book, 3, 44)
    for i in range(3):
        _say(
            book,
            t + 1,
            _pod(i),
            f"{elastic(t + 1, 'W')} torch/distributed/elastic/agent/server/api.py:704] Received 15 death signal, shutting down workers",
            "cry",
        )
        _say(
            book,
            t + 1.2,
            _pod(i),
            f"{comma(t + 1.2)} WARNING [rank {4 * i}] received SIGTERM, will save and exit",
            "mutter",
        )
    _say(
        book,
        t + 1.5,
        _pod(0),
        f"{comma(t + 1.5)} INFO [rank 0] saving checkpoint to s3://ckpt/llm-7b/step-44",
    )
    _say(
        book,
        t + 7,
        _pod(0),
        f"{comma(t + 7)} INFO [rank 0] checkpoint step 44 committed to s3://ckpt/llm-7b/step-44",
    )
    for i in range(3):
        _say(
            book,
            t + 9,
            _pod(i),
            "torch.distributed.elastic.multiprocessing.api.SignalException: Process 1 got signal: 15",
            "cry",
        )
        book.cry(
            t,
            "events.log",
            f"{plain(t)}Z Normal Preempted pod/{_pod(i).split('_')[1]} Preempted by train/urgent-eval-0 on node gpu-node-{50 + i}",
        )
    return book.end(
        outcome=FAILED, root="Preempted", nodes=NOBODY, ranks=NOBODY, stage=frozenset({"iterate", "checkpoint"}), last_iteration=44, last_durable=44,
        category=frozenset({"preemption"}), verdict=RESTART, min_f1=0.9,
    )  # fmt: skip


def docker_disk_full(base: Path) -> Expected:
    """Two containers with Docker's json-file: node b's disk is full while it writes its part of a checkpoint."""
    book = Book(base)
    a, b = "host-a/3f2c-json.log", "host-b/77ad-json.log"
    t = 10.0
    for rank in range(4):
        file = a if rank < 2 else b
        book.at(
            5,
            file,
            docker(
                5,
                f"{comma(5)} [INFO] Initialized process group rank={rank} local_rank={rank % 2} world_size=4 host={'host-a' if rank < 2 else 'host-b'}",
            ),
        )
    for step in range(1, 101):
        t += 2
        book.at(
            t,
            a,
            docker(
                t,
                f"{comma(t)} [INFO] step: {step} loss: {5 - step / 50:.3f} time/step: 2.0{step % 9}",
                "stdout",
            ),
        )
        if step % 50 == 0:
            for file in (a, b):
                book.at(
                    t + 0.5,
                    file,
                    docker(
                        t + 0.5,
                        f"{comma(t + 0.5)} [INFO] Saving checkpoint at step {step} to /data/ckpt/step_{step}",
                    ),
                )
            if step == 50:
                for file in (a, b):
                    book.at(
                        t + 9,
                        file,
                        docker(t + 9, f"{comma(t + 9)} [INFO] Checkpoint saved at step {step}, took 8.5 s"),
                    )
                t += 9
    for line in (
        "Traceback (most recent call last):",
        '  File "/app/train.py", line 141, in save',
        "    torch.save(state, path)",
        '  File "/usr/lib/python3/dist-packages/torch/serialization.py", line 850, in save',
        "    _save(obj, opened_zipfile, pickle_module, pickle_protocol)",
    ):
        book.mutter(t + 4, b, docker(t + 4, f"[rank3]: {line}"))
    book.cry(t + 4, b, docker(t + 4, "[rank3]: OSError: [Errno 28] No space left on device"))
    book.mutter(
        t + 4,
        b,
        docker(t + 4, "[rank3]: During handling of the above exception, another exception occurred:"),
    )
    book.cry(
        t + 4,
        b,
        docker(
            t + 4,
            "[rank3]: RuntimeError: [enforce fail at inline_container.cc:664] . unexpected pos 1088424448 vs 1088424336",
        ),
    )
    for rank in (0, 1):
        book.cry(
            t + 9,
            a,
            docker(
                t + 9,
                f"[rank{rank}]: torch.distributed.DistBackendError: NCCL error in: /pytorch/torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:3384, remote process exited or there was a network error, NCCL version 2.21.5",
            ),
        )
    return book.end(
        outcome=FAILED, root="No space left on device", nodes=frozenset({"host-b"}), ranks=frozenset({3}), stage=frozenset({"checkpoint"}), last_iteration=100,
        last_durable=50, category=frozenset({"storage"}), min_f1=0.9,
    )  # fmt: skip


def image_pull(base: Path) -> Expected:
    """`kubectl get events` and the logs of the pods that started: one node cannot pull the image, the others wait and time out."""
    book = Book(base)
    for i in range(3):
        _say(
            book,
            1,
            _pod(i),
            f"{elastic(1, 'W')} torch/distributed/run.py:792] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default",
        )
        _say(
            book,
            905,
            _pod(i),
            'Traceback (most recent call last):\n  File "/opt/conda/lib/python3.11/site-packages/torch/distributed/elastic/rendezvous/dynamic_rendezvous.py", line 684, in run\n    raise RendezvousTimeoutError',
            "mutter",
        )
        _say(book, 905, _pod(i), "torch.distributed.elastic.rendezvous.api.RendezvousTimeoutError", "cry")
    ev = "events.log"
    for k in range(4):
        at = 20 + k * 100
        book.cry(
            at,
            ev,
            f'{plain(at)}Z Warning Failed pod/llm-7b-worker-2 Failed to pull image "reg.local/llm:1.4": rpc error: code = Unknown desc = failed to pull and unpack image "reg.local/llm:1.4": failed to copy: httpReadSeeker: failed open: dial tcp: lookup reg.local on 10.0.0.2:53: server misbehaving',
        )
        book.cry(at + 1, ev, f"{plain(at + 1)}Z Warning Failed pod/llm-7b-worker-2 Error: ImagePullBackOff")
    return book.end(
        outcome=FAILED, root="Failed to pull image", nodes=frozenset({"llm-7b-worker-2"}), stage=frozenset({"launch"}), last_iteration=None, last_durable=None,
        category=frozenset({"platform", "network"}), min_f1=0.9,
    )  # fmt: skip


def kubectl_prefix_finished(base: Path) -> Expected:
    """`kubectl logs --prefix`: a probe fails at start, a pod was restarted by hand; the job finished."""
    book, out = Book(base), "all-pods.log"
    for i in range(4):
        p = f"[pod/sft-node-0-{i}-x{i}9z/trainer] "
        book.at(
            2,
            out,
            f"{p}{comma(2)} WARNING config: flash_attn not found, falling back to sdpa\n{p}{comma(3)} ERROR telemetry: could not send event (Connection refused), telemetry disabled",
        )
        book.at(9, out, f"{p}{comma(9)} INFO rank {i} of 4 on sft-node-0-{i} joined")
    t = 10.0
    for step in range(1, 201):
        t += 1
        book.at(
            t,
            out,
            f"[pod/sft-node-0-0-x09z/trainer] {comma(t)} INFO train: step {step}/200 loss {2 + 1 / step:.3f} ({step / 2:.1f}%)",
        )
    book.at(
        t + 3,
        out,
        f"[pod/sft-node-0-0-x09z/trainer] {comma(t + 3)} INFO train: training finished in 203 s; model saved to /out/final",
    )
    for i in range(4):
        book.at(
            t + 4,
            out,
            f"[pod/sft-node-0-{i}-x{i}9z/trainer] {comma(t + 4)} WARNING nccl: destroy_process_group() was not called before exit, which can leak resources\n[pod/sft-node-0-{i}-x{i}9z/trainer] {comma(t + 5)} ERROR telemetry: flush failed: Connection refused",
        )
    return book.end(outcome=FINISHED, last_iteration=200, **healthy())


ALL = (
    oom_killed_pod,
    evicted_pod,
    node_not_ready,
    spot_preempted,
    docker_disk_full,
    image_pull,
    kubectl_prefix_finished,
)
