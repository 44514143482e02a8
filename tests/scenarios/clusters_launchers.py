"""Jobs under torchrun, DeepSpeed, accelerate, Ray, MPI: what each says when a worker is gone."""

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
    elastic,
    healthy,
    megatron,
    titan,
    torchrun_down,
    when,
)


def _rendezvous(book: Book, t: float, file: str, attempt: int, lead: str = "") -> None:
    book.at(t, file, f"{lead}{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525] [default] Rendezvous complete for workers. Result:\n{lead}{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525]   restart_count={attempt}\n{lead}{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525]   master_addr=h1\n{lead}{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525]   master_port=41171\n{lead}{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525]   global_ranks=[0, 1, 2, 3]\n{lead}{elastic(t, 'I')} torch/distributed/elastic/agent/server/api.py:525]   global_world_sizes=[4, 4, 4, 4]")


def _saves(book: Book, t: float, file: str, lead: str, step: int) -> None:
    book.at(t + 0.1, file, f"{lead}{comma(t)} INFO trainer: saving checkpoint step {step} -> /ckpt/run7/step_{step}")
    book.at(t + 2.9, file, f"{lead}{comma(t + 2.9)} INFO trainer: checkpoint saved at step {step} in 2.8 s")


def restarts_console(base: Path) -> Expected:
    """One console, --max-restarts=3: killed, restarted from step 40, then a data error on rank 2 in the new attempt and no attempts left."""
    book, out = Book(base), "train.log"
    book.at(0, out, f"{elastic(0, 'W')} torch/distributed/run.py:779] \n{elastic(0, 'W')} torch/distributed/run.py:779] *****************************************\n{elastic(0, 'W')} torch/distributed/run.py:779] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default, to avoid your system being overloaded, please further tune the variable for optimal performance in your application as needed.")
    t, reached = 5.0, 0
    for attempt, (begin, last, dead) in enumerate(((0, 57, (1, 1, -9, 3302)), (40, 71, (3, 3, -9, 4404)), (60, 88, (2, 2, 1, 5503)))):
        _rendezvous(book, t, out, attempt)
        if begin:
            book.at(t + 9, out, f"[default0]:{comma(t + 9)} INFO trainer: resuming from /ckpt/run7/step_{begin}")
        t += 20
        for reached in range(begin + 1, last + 1):
            t += 1.5
            book.at(t, out, f"[default0]:{comma(t)} INFO trainer: step {reached}/2000 loss 2.{900 - reached} lr 3.0e-04 tok/s 41{reached % 9}00")
            if reached % 20 == 0:
                _saves(book, t, out, "[default0]:", reached)
                t += 3
        rank, local, code, pid = dead
        others = [3000 + 1100 * attempt + i for i in range(1, 5) if i != local + 1]
        if attempt < 2:
            for other in others:
                book.at(t + 0.9, out, f"{elastic(t + 0.9, 'W')} torch/distributed/elastic/multiprocessing/api.py:900] Sending process {other} closing signal SIGTERM")
            book.at(t + 1.5, out, f"{elastic(t + 1.5)} torch/distributed/elastic/multiprocessing/api.py:874] failed (exitcode: {code}) local_rank: {local} (pid: {pid}) of binary: /opt/conda/bin/python")
            book.at(t + 2, out, f"{elastic(t + 2, 'I')} torch/distributed/elastic/agent/server/api.py:879] [default] Worker group FAILED. {2 - attempt}/2 attempts left; will restart worker group\n{elastic(t + 2, 'I')} torch/distributed/elastic/agent/server/api.py:704] [default] Stopping worker group\n{elastic(t + 2, 'I')} torch/distributed/elastic/agent/server/api.py:692] [default] Rendezvous'ing worker group")
            t += 5
            continue
        for line in ("Traceback (most recent call last):", '  File "/app/train.py", line 288, in <module>', "    main()", '  File "/app/train.py", line 201, in main', "    batch = next(loader)", '  File "/app/data.py", line 77, in __next__', "    tokens = np.frombuffer(self.mm[a:b], dtype=np.uint16)"):
            book.mutter(t + 0.3, out, f"[default2]:[rank2]: {line}")
        book.cry(t + 0.3, out, "[default2]:[rank2]: ValueError: buffer size must be a multiple of element size")
        torchrun_down(book, t + 1, out, "h1", dead, others, script="train.py")
    return book.end(
        outcome=FAILED, root="ValueError: buffer size", ranks=frozenset({2}), stage=frozenset({"iterate"}),
        last_iteration=88, last_durable=80, category=frozenset({"data", "user.code"}),
    )  # fmt: skip


def restarts_tree_recovers(base: Path) -> Expected:
    """A torchrun tree: attempt 0 fails on one rank, attempt 1 finishes."""
    book = Book(base)
    for node in range(2):
        host = f"h{node + 1}"
        for local in range(4):
            rank = node * 4 + local
            err = f"{host}/r7_x81k/attempt_0/{local}/stderr.log"
            out0 = f"{host}/r7_x81k/attempt_0/{local}/stdout.log"
            out1 = f"{host}/r7_x81k/attempt_1/{local}/stdout.log"
            for step in range(1, 41):
                book.at(20 + step * 2, out0, f"{comma(20 + step * 2)} step={step} loss={4 / step:.4f} rank={rank}")
            if rank == 6:
                book.at(101, err, "[rank6]: Traceback (most recent call last):\n[rank6]:   File \"/app/t.py\", line 9, in step\n[rank6]: RuntimeError: CUDA error: an illegal memory access was encountered")
            else:
                book.at(102, err, f"[rank{rank}]: torch.distributed.DistBackendError: NCCL error in: /pytorch/torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:2251, remote process exited or there was a network error, NCCL version 2.21.5")
            for step in range(31, 121):
                book.at(150 + step * 2, out1, f"{comma(150 + step * 2)} step={step} loss={4 / step:.4f} rank={rank}")
            if rank == 0:
                book.at(140, out1, f"{comma(140)} loaded checkpoint /ckpt/step_30.pt")
            book.at(395, out1, f"{comma(395)} training completed, exiting")
    return book.end(outcome=FINISHED, last_iteration=120, **healthy())


def deepspeed_pdsh(base: Path) -> Expected:
    """The pdsh console of DeepSpeed: a worker on worker-2 was killed (-9), and said nothing."""
    book, out = Book(base), "nohup.out"
    book.at(0, out, f"[{comma(0)}] [INFO] [multinode_runner.py:70:get_cmd] Running on the following workers: worker-0,worker-1,worker-2,worker-3\n[{comma(0)}] [INFO] [runner.py:568:main] cmd = pdsh -S -f 1024 -w worker-0,worker-1,worker-2,worker-3 export PYTHONPATH=/app; cd /app; /usr/bin/python3 -u -m deepspeed.launcher.launch --world_info=eyJ3b3JrZXItMCI= --node_rank=%n --master_addr=10.0.0.10 --master_port=29500 train.py --deepspeed ds.json")
    for n in range(4):
        w = f"worker-{n}: "
        book.at(4 + n, out, f"{w}[{comma(4 + n)}] [INFO] [launch.py:145:main] WORLD INFO DICT: {{'worker-0': [0, 1, 2, 3], 'worker-1': [0, 1, 2, 3], 'worker-2': [0, 1, 2, 3], 'worker-3': [0, 1, 2, 3]}}\n{w}[{comma(4 + n)}] [INFO] [launch.py:151:main] nnodes=4, num_local_procs=4, node_rank={n}\n{w}[{comma(4 + n)}] [INFO] [launch.py:163:main] dist_world_size=16\n{w}[{comma(4 + n)}] [INFO] [launch.py:165:main] Setting CUDA_VISIBLE_DEVICES=0,1,2,3")
        for local in range(4):
            book.at(5 + n, out, f"{w}[{comma(5 + n)}] [INFO] [launch.py:253:main] process {1000 * (n + 1) + local} spawned with command: ['/usr/bin/python3', '-u', 'train.py', '--local_rank={local}', '--deepspeed', 'ds.json']")
    t = 60.0
    for step in range(10, 441, 10):
        t += 21
        book.at(t, out, f"worker-0: [{comma(t)}] [INFO] [logging.py:96:log_dist] [Rank 0] step={step}, skipped=0, lr=[9.65e-06], mom=[(0.9, 0.95)]\nworker-0: [{comma(t)}] [INFO] [timer.py:260:stop] epoch=0/micro_step={step}/global_step={step}, RunningAvgSamplesPerSec=38.2, CurrSamplesPerSec=38.{step % 7}, MemAllocated=18.9GB, MaxMemAllocated=33.2GB")
        if step % 200 == 0:
            book.at(t + 1, out, f"worker-0: [{comma(t + 1)}] [INFO] [logging.py:96:log_dist] [Rank 0] [Torch] Checkpoint global_step{step} is about to be saved!\nworker-0: [{comma(t + 5)}] [INFO] [torch_checkpoint_engine.py:21:save] [Torch] Saving /ckpt/global_step{step}/mp_rank_00_model_states.pt...\nworker-0: [{comma(t + 9)}] [INFO] [torch_checkpoint_engine.py:23:save] [Torch] Saved /ckpt/global_step{step}/mp_rank_00_model_states.pt.\nworker-0: [{comma(t + 9)}] [INFO] [torch_checkpoint_engine.py:33:commit] [Torch] Checkpoint global_step{step} is ready now!")
            t += 9
    d = t + 12
    for local in range(4):
        book.cry(d + 0.1 * local, out, f"worker-2: [{comma(d + 0.1 * local)}] [INFO] [launch.py:316:sigkill_handler] Killing subprocess {3000 + local}")
    book.cry(d + 1, out, f"worker-2: [{comma(d + 1)}] [ERROR] [launch.py:322:sigkill_handler] ['/usr/bin/python3', '-u', 'train.py', '--local_rank=3', '--deepspeed', 'ds.json'] exits with return code = -9")
    book.cry(d + 1.6, out, "pdsh@login1: worker-2: ssh exited with exit code 247")
    for n in (0, 1, 3):
        for local in (0, 2):
            rank = 4 * n + local
            book.cry(d + 2 + n, out, f"worker-{n}: [rank{rank}]:[{c10d(d + 2 + n)} ProcessGroupNCCL.cpp:1785] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Exception (either an error or timeout) detected by watchdog at work: 9121, last enqueued NCCL work: 9121, last completed NCCL work: 9120.")
            book.cry(d + 2 + n, out, f"worker-{n}: [rank{rank}]:[{c10d(d + 2 + n)} ProcessGroupNCCL.cpp:1595] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Process group watchdog thread terminated with exception: NCCL error: remote process exited or there was a network error, NCCL version 2.20.5")
        for local in range(4):
            book.cry(d + 8 + n, out, f"worker-{n}: [{comma(d + 8 + n)}] [INFO] [launch.py:316:sigkill_handler] Killing subprocess {1000 * (n + 1) + local}")
        book.cry(d + 9 + n, out, f"worker-{n}: [{comma(d + 9 + n)}] [ERROR] [launch.py:322:sigkill_handler] ['/usr/bin/python3', '-u', 'train.py', '--local_rank=3', '--deepspeed', 'ds.json'] exits with return code = -6")
        book.cry(d + 9.5 + n, out, f"pdsh@login1: worker-{n}: ssh exited with exit code 250")
    return book.end(
        outcome=FAILED, root="exits with return code = -9", nodes=frozenset({"worker-2"}), stage=frozenset({"iterate"}),
        last_iteration=440, last_durable=400, category=frozenset({"platform", "resource"}), min_f1=0.9,
    )  # fmt: skip


def accelerate_gpu_oom(base: Path) -> Expected:
    """accelerate launch on two hosts, a console each: rank 11 is out of GPU memory at a long batch."""
    book = Book(base)
    for node, host in enumerate(("trn-a", "trn-b")):
        out = f"{host}.log"
        book.at(0, out, "The following values were not passed to `accelerate launch` and had defaults used instead:\n\t`--dynamo_backend` was set to a value of `'no'`\nTo avoid this warning pass in values for each of the problematic parameters or run `accelerate config`.")
        for local in range(8):
            book.at(8, out, f"{when(8):%m/%d/%Y %H:%M:%S} - INFO - __main__ - Distributed environment: DistributedType.MULTI_GPU  Backend: nccl\nNum processes: 16\nProcess index: {node * 8 + local}\nLocal process index: {local}\nDevice: cuda:{local}\n")
    t = 30.0
    for step in range(1, 214):
        t += 1.1
        book.at(t, "trn-a.log", f"\r  {step * 100 // 3000}%|▍         | {step}/3000 [{int(t) // 60:02}:{int(t) % 60:02}<51:06,  1.10s/it, loss={3 - step / 200:.3f}]")
    out = "trn-b.log"
    for line in ("Traceback (most recent call last):", '  File "/work/run_clm.py", line 712, in <module>', "    main()", '  File "/work/run_clm.py", line 640, in main', "    accelerator.backward(loss)", '  File "/opt/conda/lib/python3.10/site-packages/accelerate/accelerator.py", line 2196, in backward', "    loss.backward(**kwargs)"):
        book.mutter(t + 1, out, f"[rank11]: {line}")
    book.cry(t + 1, out, "[rank11]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 7.83 GiB. GPU 3 has a total capacity of 79.15 GiB of which 5.11 GiB is free. Process 88121 has 74.03 GiB memory in use.")
    torchrun_down(book, t + 3, out, "trn-b", (11, 3, 1, 20103), [20100 + i for i in range(8) if i != 3], script="run_clm.py")
    book.cry(t + 12, "trn-a.log", f"[rank2]:[{c10d(t + 12)} ProcessGroupNCCL.cpp:1899] [PG ID 0 PG GUID 0(default_pg) Rank 2] Process group watchdog thread terminated with exception: NCCL error: remote process exited or there was a network error, NCCL version 2.21.5")
    book.mutter(t + 12, "trn-a.log", "[rank2]: Last error:")
    book.cry(t + 12, "trn-a.log", "[rank2]: socketProgress: Connection closed by remote peer trn-b.cluster.local<40122>")
    torchrun_down(book, t + 14, "trn-a.log", "trn-a", (2, 2, -6, 10102), [10100 + i for i in range(8) if i != 2], script="run_clm.py")
    return book.end(
        outcome=FAILED, root="CUDA out of memory", nodes=frozenset({"trn-b"}), ranks=frozenset({11}), stage=frozenset({"iterate"}),
        last_iteration=213, last_durable=None, category=frozenset({"resource", "user.config"}), min_f1=0.9,
    )  # fmt: skip


def _ray_head(book: Book, out: str) -> float:
    book.at(0, out, f"{comma(0)}\tINFO worker.py:1654 -- Connecting to existing Ray cluster at address: 10.244.1.5:6379...\n{comma(1)}\tINFO worker.py:1841 -- Connected to Ray cluster. View the dashboard at 10.244.1.5:8265")
    book.at(5, out, "(TrainTrainable pid=1911, ip=10.244.1.9) Started distributed worker processes: ")
    for rank in range(16):
        book.at(6, out, f"(TorchTrainer pid=1911, ip=10.244.1.9) - (node_id=4f{rank // 4:02}, ip=10.244.{1 + rank // 4}.9, pid={2000 + rank}) world_rank={rank}, local_rank={rank % 4}, node_rank={rank // 4}")
    book.at(8, out, "(RayTrainWorker pid=2000, ip=10.244.1.9) Setting up process group for: env:// [rank=0, world_size=16]\n(RayTrainWorker pid=2003, ip=10.244.1.9) Moving model to device: cuda:3 [repeated 15x across cluster] (Ray deduplicates logs by default. Set RAY_DEDUP_LOGS=0 to disable log deduplication, or see https://docs.ray.io/en/master/ray-observability/user-guides/configure-logging.html#log-deduplication for more options.)")
    t = 20.0
    for step in range(1, 131):
        t += 2.5
        book.at(t, out, f"(RayTrainWorker pid=2000, ip=10.244.1.9) [{comma(t)}] step {step} | loss {4 / step:.4f} | lr 1.0e-05")
        if step % 50 == 0:
            book.at(t + 3, out, f"(RayTrainWorker pid=2000, ip=10.244.1.9) Checkpoint successfully created at: Checkpoint(filesystem=s3, path=runs/llm/TorchTrainer_1a2b/checkpoint_{step:06})\n(RayTrainWorker pid=2014, ip=10.244.4.9) Checkpoint successfully created at: Checkpoint(filesystem=s3, path=runs/llm/TorchTrainer_1a2b/checkpoint_{step:06}) [repeated 15x across cluster]")
    return t


def ray_node_died(base: Path) -> Expected:
    """Ray Train's driver log: the node at 10.244.3.9 is lost; repeats are folded away."""
    book, out = Book(base), "driver.log"
    t = _ray_head(book, out)
    book.cry(t + 30, out, "(raylet) The node with node id: 4f02aa and address: 10.244.3.9 and node name: 10.244.3.9 has been marked dead because the detector has missed too many heartbeats from it. This can happen when a \t(1) raylet crashes unexpectedly (OOM, etc.) ")
    book.mutter(t + 30, out, "\t(2) raylet has lagging heartbeats due to slow network or busy workload.")
    book.cry(t + 31, out, f"(RayTrainWorker pid=2001, ip=10.244.1.9) [rank1]:[{c10d(t + 31)} ProcessGroupNCCL.cpp:1899] [PG ID 0 PG GUID 0(default_pg) Rank 1] Process group watchdog thread terminated with exception: NCCL error: remote process exited or there was a network error, NCCL version 2.21.5")
    book.cry(t + 33, out, f"(RayTrainWorker pid=2012, ip=10.244.4.9) [rank12]:[{c10d(t + 31)} ProcessGroupNCCL.cpp:1899] [PG ID 0 PG GUID 0(default_pg) Rank 12] Process group watchdog thread terminated with exception: NCCL error: remote process exited or there was a network error, NCCL version 2.21.5 [repeated 10x across cluster]")
    book.cry(t + 35, out, f"{comma(t + 35)}\tERROR tune_controller.py:1331 -- Trial task failed for trial TorchTrainer_1a2b")
    book.mutter(t + 35, out, 'Traceback (most recent call last):\n  File "/home/ray/anaconda3/lib/python3.11/site-packages/ray/air/execution/_internal/event_manager.py", line 110, in resolve_future\n    result = ray.get(future)')
    book.cry(t + 35, out, "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.")
    book.mutter(t + 35, out, "\tclass_name: RayTrainWorker\n\tactor_id: 4473bb2424de8ebfec88acc402000000\n\tpid: 2008\n\tnamespace: c53c8492-c985-4b6e-9247-fdf5ea623abd\n\tip: 10.244.3.9")
    book.cry(t + 35, out, "The actor is dead because its node has died. Node Id: 4f02aa\n\tthe actor's node was terminated unexpectedly: health check failed due to missing too many heartbeats")
    book.mutter(t + 37, out, f"{comma(t + 37)}\tERROR tune.py:1037 -- Trials did not complete: [TorchTrainer_1a2b]")
    return book.end(
        outcome=FAILED, root="marked dead", nodes=frozenset({"10.244.3.9"}), stage=frozenset({"iterate"}), last_iteration=130,
        last_durable=100, category=frozenset({"hardware.host"}), verdict=EXCLUDE, min_f1=0.85,
    )  # fmt: skip


def ray_host_memory(base: Path) -> Expected:
    """Ray's memory monitor kills a worker of one node."""
    book, out = Book(base), "driver.log"
    t = _ray_head(book, out)
    book.cry(t + 3, out, "(raylet, ip=10.244.2.9) node_manager.cc:3069: 1 Workers (tasks / actors) killed due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: 4f01bb, IP: 10.244.2.9) over the last time period. To see more information about the Workers killed on this node, use `ray logs raylet.out -ip 10.244.2.9`")
    book.cry(t + 5, out, "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.")
    book.mutter(t + 5, out, "Memory on the node (IP: 10.244.2.9, ID: 4f01bb) where the task (actor ID: 88ad, name=RayTrainWorker.__init__, pid=2005, memory used=201.11GB) was running was 498.44GB / 503.51GB (0.98993), which exceeds the memory usage threshold of 0.95. Ray killed this worker (ID: 77a1) because it was the most recently scheduled task; to see more information about memory usage on this node, use `ray logs raylet.out -ip 10.244.2.9`.")
    return book.end(
        outcome=FAILED, root="killed due to memory pressure", nodes=frozenset({"10.244.2.9"}), stage=frozenset({"iterate"}), last_iteration=130,
        last_durable=100, category=frozenset({"resource"}), min_f1=0.85,
    )  # fmt: skip


def mpirun_segfault(base: Path) -> Expected:
    """Open MPI with --tag-output: rank 12 crashes in compiled code."""
    book, out = Book(base), "mpi_train.log"
    for rank in range(16):
        book.at(5 + rank * 0.01, out, f"[1,{rank}]<stdout>:rank {rank} of 16 on node{rank // 4 + 1:02} gpu {rank % 4} ready")
    t = 10.0
    for step in range(1, 232):
        t += 1
        book.at(t, out, f"[1,0]<stdout>:{comma(t)} iter {step:5d} loss {5 / step:.5f} time 0.98s")
        if step % 100 == 0:
            book.at(t + 0.3, out, f"[1,0]<stdout>:{comma(t + 0.3)} Saving checkpoint to /scratch/ck/iter_{step}.pt")
    book.cry(t + 1, out, "[1,12]<stderr>:[node04:22311:0:22311] Caught signal 11 (Segmentation fault: address not mapped to object at address 0x7f3c00000018)")
    book.mutter(t + 1, out, "[1,12]<stderr>:==== backtrace (tid:  22311) ====")
    for i in range(6):
        book.mutter(t + 1, out, f"[1,12]<stderr>: {i} 0x00000000000{43090 + i * 77} __restore_rt()  sigaction.c:0")
    book.mutter(t + 1, out, "[1,12]<stderr>:=================================")
    book.cry(t + 2, out, "[node04:22311] *** Process received signal ***\n[node04:22311] Signal: Segmentation fault (11)")
    book.mutter(t + 2, out, "[node04:22311] Signal code: Address not mapped (1)\n[node04:22311] Failing at address: 0x7f3c00000018\n[node04:22311] *** End of error message ***")
    book.mutter(t + 3, out, "--------------------------------------------------------------------------\nPrimary job  terminated normally, but 1 process returned\na non-zero exit code. Per user-direction, the job has been aborted.\n--------------------------------------------------------------------------\n--------------------------------------------------------------------------")
    book.cry(t + 3, out, "mpirun noticed that process rank 12 with PID 22311 on node node04 exited on signal 11 (Segmentation fault).")
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
        book.at(t, out, f"[{when(t):%Y-%m-%d %H:%M:%S}][I][train:511] iter={step} loss={10 / step:.4f} dt=6.0{step % 9} tps=1182{step % 10}")
    book.cry(t + 4, out, "x3004c0s7b1n0.hsn.cm.polaris.alcf.anl.gov: rank 22 died from signal 9\nx3004c0s1b0n0.hsn.cm.polaris.alcf.anl.gov: rank 0 died from signal 15")
    return book.end(
        outcome=FAILED, root="rank 22 died from signal 9", nodes=frozenset({"x3004c0s7b1n0"}), ranks=frozenset({22}),
        stage=frozenset({"iterate"}), last_iteration=90, last_durable=None, category=frozenset({"platform"}),
    )  # fmt: skip


def port_in_use(base: Path) -> Expected:
    """The master's port is taken: the job never starts."""
    book = Book(base)
    out = "node-0.log"
    book.at(0, out, f"{elastic(0, 'W')} torch/distributed/run.py:779] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default, to avoid your system being overloaded")
    book.cry(2, out, f"[{c10d(2, 'E')} socket.cpp:1011] [c10d] The server socket has failed to listen on any local network address. port: 29500, useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use")
    book.mutter(2.1, out, "Traceback (most recent call last):\n  File \"/opt/conda/bin/torchrun\", line 8, in <module>\n    sys.exit(main())\n  File \"/opt/conda/lib/python3.11/site-packages/torch/distributed/elastic/rendezvous/static_tcp_rendezvous.py\", line 66, in next_rendezvous\n    self._store = TCPStore(  # type: ignore[call-arg]")
    book.cry(2.1, out, "torch.distributed.DistNetworkError: The server socket has failed to listen on any local network address. port: 29500, useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use")
    for n in (1, 2, 3):
        other = f"node-{n}.log"
        book.at(0, other, f"{elastic(0, 'W')} torch/distributed/run.py:779] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default, to avoid your system being overloaded")
        book.cry(60, other, f"[{c10d(60, 'E')} socket.cpp:1019] [c10d] The client socket has timed out after 60000ms while trying to connect to (node-0, 29500).")
        book.mutter(60, other, "Traceback (most recent call last):\n  File \"/opt/conda/bin/torchrun\", line 8, in <module>")
        book.cry(60, other, "torch.distributed.DistNetworkError: The client socket has timed out after 60000ms while trying to connect to (node-0, 29500).")
    return book.end(
        outcome=FAILED, root="address already in use", nodes=frozenset({"node-0"}), stage=frozenset({"launch", "init"}), last_iteration=None,
        last_durable=None, category=frozenset({"network"}),
    )  # fmt: skip


def dns_one_node(base: Path) -> Expected:
    """One node cannot resolve the master's name; the others wait for it in vain."""
    book = Book(base)
    for n in range(4):
        out = f"logs/gpu-w{n}.console"
        book.at(0, out, f"+ torchrun --nnodes=4 --nproc-per-node=8 --rdzv-backend=c10d --rdzv-endpoint=gpu-w0.train.svc:29400 pretrain.py")
        if n == 2:
            for i in range(3):
                book.mutter(3 + i * 20, out, f"[{c10d(3 + i * 20, 'W')} socket.cpp:767] [c10d] The IPv6 network addresses of (gpu-w0.train.svc, 29400) cannot be retrieved (gai error: -3 - Temporary failure in name resolution).")
            book.mutter(63, out, 'Traceback (most recent call last):\n  File "/opt/conda/lib/python3.11/site-packages/torch/distributed/elastic/rendezvous/c10d_rendezvous_backend.py", line 160, in _create_tcp_store\n    store = TCPStore(  # type: ignore[call-arg]')
            book.cry(63, out, "torch.distributed.DistNetworkError: The client socket has failed to connect to any network address of (gpu-w0.train.svc, 29400). The IPv4 network addresses of (gpu-w0.train.svc, 29400) cannot be retrieved (gai error: -3 - Temporary failure in name resolution).")
            book.mutter(63, out, "The above exception was the direct cause of the following exception:\nTraceback (most recent call last):")
            book.cry(63, out, "torch.distributed.elastic.rendezvous.api.RendezvousConnectionError: The connection to the C10d store has failed. See inner exception for details.")
        else:
            book.mutter(605, out, 'Traceback (most recent call last):\n  File "/opt/conda/lib/python3.11/site-packages/torch/distributed/elastic/rendezvous/dynamic_rendezvous.py", line 684, in run\n    raise RendezvousTimeoutError')
            book.cry(605, out, "torch.distributed.elastic.rendezvous.api.RendezvousTimeoutError")
    return book.end(
        outcome=FAILED, root="cannot be retrieved", nodes=frozenset({"gpu-w2"}), stage=frozenset({"launch"}), last_iteration=None,
        last_durable=None, category=frozenset({"network", "platform"}), verdict=EXCLUDE | RESTART,
    )  # fmt: skip


def host_goes_silent(base: Path) -> Expected:
    """A host loses power: its console just ends; all others lose their connection to it, ten minutes later the rest times out."""
    book = Book(base)
    for n in range(6):
        out = f"console-h10{n}.log"
        book.at(0, out, f"{elastic(0, 'W')} torch/distributed/run.py:779] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default")
        for local in range(4):
            rank = 4 * n + local
            book.at(10, out, f"[default{local}]:h10{n}:{500 + local}:{500 + local} [{local}] NCCL INFO comm 0x7f{rank:04x} rank {rank} nranks 24 cudaDev {local} nvmlDev {local} busId {local + 1}b000 commId 0xab - Init COMPLETE")
        t = 30.0
        for step in range(1, 64 if n == 3 else 65):
            t += 5
            for local in range(4):
                book.at(t + 0.01 * local, out, f"[default{local}]:{titan(t, step)}")
        if n == 3:
            continue
        for local in range(4):
            rank = 4 * n + local
            d = t + 602 + 0.1 * rank
            work = "WorkNCCL(SeqNum=1201, OpType=_REDUCE_SCATTER_BASE, NumelIn=55574528, NumelOut=2315605, Timeout(ms)=600000)"
            book.cry(d, out, f"[default{local}]:[rank{rank}]:[{c10d(d)} ProcessGroupNCCL.cpp:629] [Rank {rank}] Watchdog caught collective operation timeout: {work} ran for 600031 milliseconds before timing out.")
            book.cry(d + 60, out, f"[default{local}]:[rank{rank}]:[{c10d(d + 60)} ProcessGroupNCCL.cpp:1788] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Process group watchdog thread terminated with exception: [Rank {rank}] Watchdog caught collective operation timeout: {work} ran for 600031 milliseconds before timing out.")
        torchrun_down(book, t + 665 + n, out, f"h10{n}", (4 * n, 0, -6, 500), [501, 502, 503], script="train.py")
    return book.end(
        outcome=frozenset({"failed", "hung"}), root="Watchdog caught collective operation timeout", nodes=frozenset({"h103"}), ranks=frozenset({12, 13, 14, 15}),
        stage=frozenset({"iterate"}), last_iteration=64, last_durable=None, category=frozenset({"hardware.host"}), verdict=EXCLUDE, min_f1=0.9,
    )  # fmt: skip


def driver_on_one_node(base: Path) -> Expected:
    """One node came back from maintenance with an old driver: its ranks fail at once, the others wait."""
    book = Book(base)
    for n in range(4):
        out = f"torchrun_n{n}_gpu{n + 40}.log"
        book.at(0, out, f"{elastic(0, 'W')} torch/distributed/run.py:779] Setting OMP_NUM_THREADS environment variable for each process to be 1 in default")
        for local in range(4):
            rank = 4 * n + local
            book.at(4, out, f"[default{local}]:{comma(4)} INFO main: rank {rank} of 16, host gpu{n + 40}, torch 2.6.0+cu126")
            if n == 1:
                for kind, line in (("mutter", "Traceback (most recent call last):"), ("mutter", '  File "/app/train.py", line 31, in setup'), ("mutter", "    torch.cuda.set_device(local_rank)"), ("cry", "RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx")):
                    book.at(5, out, f"[default{local}]:[rank{rank}]: {line}", kind)
        if n == 1:
            torchrun_down(book, 7, out, "gpu41", (4, 0, 1, 900), [901, 902, 903], script="train.py")
        else:
            for local in range(4):
                rank = 4 * n + local
                book.mutter(9, out, f"[default{local}]:[rank{rank}]: Traceback (most recent call last):")
                book.cry(9, out, f"[default{local}]:[rank{rank}]: torch.distributed.DistBackendError: [{rank}] is setting up NCCL communicator and retrieving ncclUniqueId from [0] via c10d key-value store by key '0', but store->get('0') got error: Connection reset by peer")
            torchrun_down(book, 11, out, f"gpu{n + 40}", (4 * n, 0, 1, 700), [701, 702, 703], script="train.py")
    return book.end(
        outcome=FAILED, root="driver on your system is too old", nodes=frozenset({"gpu41"}), ranks=frozenset({4, 5, 6, 7}), stage=frozenset({"launch", "init"}),
        last_iteration=None, last_durable=None, category=frozenset({"platform"}), verdict=EXCLUDE, min_f1=0.9,
    )  # fmt: skip


def retries_and_finishes(base: Path) -> Expected:
    """S3 throttles, a loader worker is restarted, NCCL warns; the job finishes."""
    book, out = Book(base), "job.log"
    t = 0.0
    for step in range(1, 151):
        t += 3
        book.at(t, out, f"[{comma(t)}][trainer][INFO] - {megatron(t, step, 150)}")
        if step in (40, 41, 90):
            book.at(t + 1, out, f"[{comma(t + 1)}][botocore.retryhandler][WARNING] - Retry needed, retryable exception caught: An error occurred (SlowDown) when calling the GetObject operation (reached max retries: 2): Please reduce your request rate.\n[{comma(t + 1)}][dataset][ERROR] - failed to fetch shard-000{step}.tar (attempt 1/5), retrying in 2 s")
        if step == 148:
            book.at(t + 1, out, f"[{comma(t + 1)}][dataset][ERROR] - failed to fetch shard-000{step}.tar (attempt 1/5), retrying in 2 s")
    book.at(t + 4, out, f"[{comma(t + 4)}][trainer][INFO] - [after training is done] datetime: {when(t + 4):%Y-%m-%d %H:%M:%S}\n[{comma(t + 5)}][trainer][INFO] - Training finished, total time 451 s")
    return book.end(outcome=FINISHED, last_iteration=150, **healthy())


ALL = (
    restarts_console, restarts_tree_recovers, deepspeed_pdsh, accelerate_gpu_oom, ray_node_died, ray_host_memory,
    mpirun_segfault, pals_killed, port_in_use, dns_one_node, host_goes_silent, driver_on_one_node, retries_and_finishes,
)  # fmt: skip
