"""Jobs under DeepSpeed, Ray and MPI: what each says when a worker is gone."""

# ruff: noqa: E501  (a line of a log stays one line)
from __future__ import annotations

from pathlib import Path

from scenarios import Expected
from scenarios.clusters_book import (
    EXCLUDE,
    FAILED,
    FINISHED,
    Book,
    c10d,
    comma,
    healthy,
    megatron,
    when,
)


def deepspeed_pdsh(base: Path) -> Expected:
    """The pdsh console of DeepSpeed: a worker on worker-2 was killed (-9), and said nothing."""
    book, out = Book(base), "nohup.out"
    book.at(
        0,
        out,
        f"[{comma(0)}] [INFO] [multinode_runner.py:70:get_cmd] Running on the following workers: worker-0,worker-1,worker-2,worker-3\n[{comma(0)}] [INFO] [runner.py:568:main] cmd = pdsh -S -f 1024 -w worker-0,worker-1,worker-2,worker-3 export PYTHONPATH=/app; cd /app; /usr/bin/python3 -u -m deepspeed.launcher.launch --world_info=eyJ3b3JrZXItMCI= --node_rank=%n --master_addr=10.0.0.10 --master_port=29500 train.py --deepspeed ds.json",
    )
    for n in range(4):
        w = f"worker-{n}: "
        book.at(
            4 + n,
            out,
            f"{w}[{comma(4 + n)}] [INFO] [launch.py:145:main] WORLD INFO DICT: {{'worker-0': [0, 1, 2, 3], 'worker-1': [0, 1, 2, 3], 'worker-2': [0, 1, 2, 3], 'worker-3': [0, 1, 2, 3]}}\n{w}[{comma(4 + n)}] [INFO] [launch.py:151:main] nnodes=4, num_local_procs=4, node_rank={n}\n{w}[{comma(4 + n)}] [INFO] [launch.py:163:main] dist_world_size=16\n{w}[{comma(4 + n)}] [INFO] [launch.py:165:main] Setting CUDA_VISIBLE_DEVICES=0,1,2,3",
        )
        for local in range(4):
            book.at(
                5 + n,
                out,
                f"{w}[{comma(5 + n)}] [INFO] [launch.py:253:main] process {1000 * (n + 1) + local} spawned with command: ['/usr/bin/python3', '-u', 'train.py', '--local_rank={local}', '--deepspeed', 'ds.json']",
            )
    t = 60.0
    for step in range(10, 441, 10):
        t += 21
        book.at(
            t,
            out,
            f"worker-0: [{comma(t)}] [INFO] [logging.py:96:log_dist] [Rank 0] step={step}, skipped=0, lr=[9.65e-06], mom=[(0.9, 0.95)]\nworker-0: [{comma(t)}] [INFO] [timer.py:260:stop] epoch=0/micro_step={step}/global_step={step}, RunningAvgSamplesPerSec=38.2, CurrSamplesPerSec=38.{step % 7}, MemAllocated=18.9GB, MaxMemAllocated=33.2GB",
        )
        if step % 200 == 0:
            book.at(
                t + 1,
                out,
                f"worker-0: [{comma(t + 1)}] [INFO] [logging.py:96:log_dist] [Rank 0] [Torch] Checkpoint global_step{step} is about to be saved!\nworker-0: [{comma(t + 5)}] [INFO] [torch_checkpoint_engine.py:21:save] [Torch] Saving /ckpt/global_step{step}/mp_rank_00_model_states.pt...\nworker-0: [{comma(t + 9)}] [INFO] [torch_checkpoint_engine.py:23:save] [Torch] Saved /ckpt/global_step{step}/mp_rank_00_model_states.pt.\nworker-0: [{comma(t + 9)}] [INFO] [torch_checkpoint_engine.py:33:commit] [Torch] Checkpoint global_step{step} is ready now!",
            )
            t += 9
    d = t + 12
    for local in range(4):
        book.cry(
            d + 0.1 * local,
            out,
            f"worker-2: [{comma(d + 0.1 * local)}] [INFO] [launch.py:316:sigkill_handler] Killing subprocess {3000 + local}",
        )
    book.cry(
        d + 1,
        out,
        f"worker-2: [{comma(d + 1)}] [ERROR] [launch.py:322:sigkill_handler] ['/usr/bin/python3', '-u', 'train.py', '--local_rank=3', '--deepspeed', 'ds.json'] exits with return code = -9",
    )
    book.cry(d + 1.6, out, "pdsh@login1: worker-2: ssh exited with exit code 247")
    for n in (0, 1, 3):
        for local in (0, 2):
            rank = 4 * n + local
            book.cry(
                d + 2 + n,
                out,
                f"worker-{n}: [rank{rank}]:[{c10d(d + 2 + n)} ProcessGroupNCCL.cpp:1785] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Exception (either an error or timeout) detected by watchdog at work: 9121, last enqueued NCCL work: 9121, last completed NCCL work: 9120.",
            )
            book.cry(
                d + 2 + n,
                out,
                f"worker-{n}: [rank{rank}]:[{c10d(d + 2 + n)} ProcessGroupNCCL.cpp:1595] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Process group watchdog thread terminated with exception: NCCL error: remote process exited or there was a network error, NCCL version 2.20.5",
            )
        for local in range(4):
            book.cry(
                d + 8 + n,
                out,
                f"worker-{n}: [{comma(d + 8 + n)}] [INFO] [launch.py:316:sigkill_handler] Killing subprocess {1000 * (n + 1) + local}",
            )
        book.cry(
            d + 9 + n,
            out,
            f"worker-{n}: [{comma(d + 9 + n)}] [ERROR] [launch.py:322:sigkill_handler] ['/usr/bin/python3', '-u', 'train.py', '--local_rank=3', '--deepspeed', 'ds.json'] exits with return code = -6",
        )
        book.cry(d + 9.5 + n, out, f"pdsh@login1: worker-{n}: ssh exited with exit code 250")
    return book.end(
        outcome=FAILED, root="exits with return code = -9", nodes=frozenset({"worker-2"}), stage=frozenset({"iterate"}),
        last_iteration=440, last_durable=400, category=frozenset({"platform", "resource"}), min_f1=0.9,
    )  # fmt: skip


def _ray_head(book: Book, out: str) -> float:
    book.at(
        0,
        out,
        f"{comma(0)}\tINFO worker.py:1654 -- Connecting to existing Ray cluster at address: 10.244.1.5:6379...\n{comma(1)}\tINFO worker.py:1841 -- Connected to Ray cluster. View the dashboard at 10.244.1.5:8265",
    )
    book.at(5, out, "(TrainTrainable pid=1911, ip=10.244.1.9) Started distributed worker processes: ")
    for rank in range(16):
        book.at(
            6,
            out,
            f"(TorchTrainer pid=1911, ip=10.244.1.9) - (node_id=4f{rank // 4:02}, ip=10.244.{1 + rank // 4}.9, pid={2000 + rank}) world_rank={rank}, local_rank={rank % 4}, node_rank={rank // 4}",
        )
    book.at(
        8,
        out,
        "(RayTrainWorker pid=2000, ip=10.244.1.9) Setting up process group for: env:// [rank=0, world_size=16]\n(RayTrainWorker pid=2003, ip=10.244.1.9) Moving model to device: cuda:3 [repeated 15x across cluster] (Ray deduplicates logs by default. Set RAY_DEDUP_LOGS=0 to disable log deduplication, or see https://docs.ray.io/en/master/ray-observability/user-guides/configure-logging.html#log-deduplication for more options.)",
    )
    t = 20.0
    for step in range(1, 131):
        t += 2.5
        book.at(
            t,
            out,
            f"(RayTrainWorker pid=2000, ip=10.244.1.9) [{comma(t)}] step {step} | loss {4 / step:.4f} | lr 1.0e-05",
        )
        if step % 50 == 0:
            book.at(
                t + 3,
                out,
                f"(RayTrainWorker pid=2000, ip=10.244.1.9) Checkpoint successfully created at: Checkpoint(filesystem=s3, path=runs/llm/TorchTrainer_1a2b/checkpoint_{step // 50 - 1:06})\n(RayTrainWorker pid=2014, ip=10.244.4.9) Checkpoint successfully created at: Checkpoint(filesystem=s3, path=runs/llm/TorchTrainer_1a2b/checkpoint_{step // 50 - 1:06}) [repeated 15x across cluster]",
            )
    return t


def ray_node_died(base: Path) -> Expected:
    """Ray Train's driver log: the node at 10.244.3.9 is lost; repeats are folded away."""
    book, out = Book(base), "driver.log"
    t = _ray_head(book, out)
    book.cry(
        t + 30,
        out,
        "(raylet) The node with node id: 4f02aa and address: 10.244.3.9 and node name: 10.244.3.9 has been marked dead because the detector has missed too many heartbeats from it. This can happen when a \t(1) raylet crashes unexpectedly (OOM, etc.) ",
    )
    book.mutter(t + 30, out, "\t(2) raylet has lagging heartbeats due to slow network or busy workload.")
    book.cry(
        t + 31,
        out,
        f"(RayTrainWorker pid=2001, ip=10.244.1.9) [rank1]:[{c10d(t + 31)} ProcessGroupNCCL.cpp:1899] [PG ID 0 PG GUID 0(default_pg) Rank 1] Process group watchdog thread terminated with exception: NCCL error: remote process exited or there was a network error, NCCL version 2.21.5",
    )
    book.cry(
        t + 33,
        out,
        f"(RayTrainWorker pid=2012, ip=10.244.4.9) [rank12]:[{c10d(t + 31)} ProcessGroupNCCL.cpp:1899] [PG ID 0 PG GUID 0(default_pg) Rank 12] Process group watchdog thread terminated with exception: NCCL error: remote process exited or there was a network error, NCCL version 2.21.5 [repeated 10x across cluster]",
    )
    book.cry(
        t + 35,
        out,
        f"{comma(t + 35)}\tERROR tune_controller.py:1331 -- Trial task failed for trial TorchTrainer_1a2b",
    )
    book.mutter(
        t + 35,
        out,
        'Traceback (most recent call last):\n  File "/home/ray/anaconda3/lib/python3.11/site-packages/ray/air/execution/_internal/event_manager.py", line 110, in resolve_future\n    result = ray.get(future)',
    )
    book.cry(
        t + 35, out, "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task."
    )
    book.mutter(
        t + 35,
        out,
        "\tclass_name: RayTrainWorker\n\tactor_id: 4473bb2424de8ebfec88acc402000000\n\tpid: 2008\n\tnamespace: c53c8492-c985-4b6e-9247-fdf5ea623abd\n\tip: 10.244.3.9",
    )
    book.cry(
        t + 35,
        out,
        "The actor is dead because its node has died. Node Id: 4f02aa\n\tthe actor's node was terminated unexpectedly: health check failed due to missing too many heartbeats",
    )
    book.mutter(
        t + 37, out, f"{comma(t + 37)}\tERROR tune.py:1037 -- Trials did not complete: [TorchTrainer_1a2b]"
    )
    return book.end(
        outcome=FAILED, root="marked dead", nodes=frozenset({"10.244.3.9"}), stage=frozenset({"iterate"}), last_iteration=130,
        last_durable=100, category=frozenset({"hardware.host"}), verdict=EXCLUDE, min_f1=0.85,
    )  # fmt: skip


def ray_host_memory(base: Path) -> Expected:
    """Ray's memory monitor kills a worker of one node."""
    book, out = Book(base), "driver.log"
    t = _ray_head(book, out)
    book.cry(
        t + 3,
        out,
        "(raylet, ip=10.244.2.9) node_manager.cc:3069: 1 Workers (tasks / actors) killed due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: 4f01bb, IP: 10.244.2.9) over the last time period. To see more information about the Workers killed on this node, use `ray logs raylet.out -ip 10.244.2.9`",
    )
    book.cry(
        t + 5, out, "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory."
    )
    book.mutter(
        t + 5,
        out,
        "Memory on the node (IP: 10.244.2.9, ID: 4f01bb) where the task (actor ID: 88ad, name=RayTrainWorker.__init__, pid=2005, memory used=201.11GB) was running was 498.44GB / 503.51GB (0.98993), which exceeds the memory usage threshold of 0.95. Ray killed this worker (ID: 77a1) because it was the most recently scheduled task; to see more information about memory usage on this node, use `ray logs raylet.out -ip 10.244.2.9`.",
    )
    return book.end(
        outcome=FAILED, root="killed due to memory pressure", nodes=frozenset({"10.244.2.9"}), stage=frozenset({"iterate"}), last_iteration=130,
        last_durable=100, category=frozenset({"resource"}), min_f1=0.85,
    )  # fmt: skip


def mpirun_segfault(base: Path) -> Expected:
    """Open MPI with --tag-output: rank 12 crashes in compiled code."""
    book, out = Book(base), "mpi_train.log"
    for rank in range(16):
        book.at(
            5 + rank * 0.01,
            out,
            f"[1,{rank}]<stdout>:rank {rank} of 16 on node{rank // 4 + 1:02} gpu {rank % 4} ready",
        )
    t = 10.0
    for step in range(1, 232):
        t += 1
        book.at(t, out, f"[1,0]<stdout>:{comma(t)} iter {step:5d} loss {5 / step:.5f} time 0.98s")
        if step % 100 == 0:
            book.at(
                t + 0.3,
                out,
                f"[1,0]<stdout>:{comma(t + 0.3)} Saving checkpoint to /scratch/ck/iter_{step}.pt",
            )
    book.cry(
        t + 1,
        out,
        "[1,12]<stderr>:[node04:22311:0:22311] Caught signal 11 (Segmentation fault: address not mapped to object at address 0x7f3c00000018)",
    )
    book.mutter(t + 1, out, "[1,12]<stderr>:==== backtrace (tid:  22311) ====")
    for i in range(6):
        book.mutter(
            t + 1, out, f"[1,12]<stderr>: {i} 0x00000000000{43090 + i * 77} __restore_rt()  sigaction.c:0"
        )
    book.mutter(t + 1, out, "[1,12]<stderr>:=================================")
    book.cry(
        t + 2,
        out,
        "[node04:22311] *** Process received signal ***\n[node04:22311] Signal: Segmentation fault (11)",
    )
    book.mutter(
        t + 2,
        out,
        "[node04:22311] Signal code: Address not mapped (1)\n[node04:22311] Failing at address: 0x7f3c00000018\n[node04:22311] *** End of error message ***",
    )
    book.mutter(
        t + 3,
        out,
        "--------------------------------------------------------------------------\nPrimary job  terminated normally, but 1 process returned\na non-zero exit code. Per user-direction, the job has been aborted.\n--------------------------------------------------------------------------\n--------------------------------------------------------------------------",
    )
    book.cry(
        t + 3,
        out,
        "mpirun noticed that process rank 12 with PID 22311 on node node04 exited on signal 11 (Segmentation fault).",
    )
    book.mutter(t + 3, out, "--------------------------------------------------------------------------")
    return book.end(
        outcome=FAILED, root="signal 11", nodes=frozenset({"node04"}), ranks=frozenset({12}), stage=frozenset({"iterate"}), last_iteration=231, last_durable=200,
        category=frozenset({"framework", "user.code"}), min_f1=0.75,
    )  # fmt: skip


def pals_killed(base: Path) -> Expected:
    """Cray PALS: a rank was killed from outside."""
    book, out = Book(base), "train.o4411"
    t = 0.0
    for step in range(1, 91):
        t += 6
        book.at(
            t,
            out,
            f"[{when(t):%Y-%m-%d %H:%M:%S}][I][train:511] iter={step} loss={10 / step:.4f} dt=6.0{step % 9} tps=1182{step % 10}",
        )
    book.cry(
        t + 4,
        out,
        "x3004c0s7b1n0.hsn.cm.polaris.alcf.anl.gov: rank 22 died from signal 9\nx3004c0s1b0n0.hsn.cm.polaris.alcf.anl.gov: rank 0 died from signal 15",
    )
    return book.end(
        outcome=FAILED, root="rank 22 died from signal 9", nodes=frozenset({"x3004c0s7b1n0"}), ranks=frozenset({22}),
        stage=frozenset({"iterate"}), last_iteration=90, last_durable=None, category=frozenset({"platform"}),
    )  # fmt: skip


def retries_and_finishes(base: Path) -> Expected:
    """S3 throttles, a loader worker is restarted, NCCL warns; the job finishes."""
    book, out = Book(base), "job.log"
    t = 0.0
    for step in range(1, 151):
        t += 3
        book.at(t, out, f"[{comma(t)}][trainer][INFO] - {megatron(t, step, 150)}")
        if step in (40, 41, 90):
            book.at(
                t + 1,
                out,
                f"[{comma(t + 1)}][botocore.retryhandler][WARNING] - Retry needed, retryable exception caught: An error occurred (SlowDown) when calling the GetObject operation (reached max retries: 2): Please reduce your request rate.\n[{comma(t + 1)}][dataset][ERROR] - failed to fetch shard-000{step}.tar (attempt 1/5), retrying in 2 s",
            )
        if step == 148:
            book.at(
                t + 1,
                out,
                f"[{comma(t + 1)}][dataset][ERROR] - failed to fetch shard-000{step}.tar (attempt 1/5), retrying in 2 s",
            )
    book.at(
        t + 4,
        out,
        f"[{comma(t + 4)}][trainer][INFO] - [after training is done] datetime: {when(t + 4):%Y-%m-%d %H:%M:%S}\n[{comma(t + 5)}][trainer][INFO] - Training finished, total time 451 s",
    )
    return book.end(outcome=FINISHED, last_iteration=150, **healthy())


ALL = (
    deepspeed_pdsh,
    ray_node_died,
    ray_host_memory,
    mpirun_segfault,
    pals_killed,
    retries_and_finishes,
)
