"""What launchers that are not torchrun's, Ray and clouds say of an end, and what is made of it."""

import pytest

from jobs import at, diagnosis, steps, text

TEN = steps(range(1, 11))


def events(found) -> list[tuple[str, str | None]]:
    return [(e["role"], e["signature"]) for e in found.events]


# ------------------------------------------------------------------ Paddle


def paddle(code: int) -> str:
    return text(
        [
            f"LAUNCH INFO {at(20)} Pod failed",
            f"LAUNCH ERROR {at(20)} Container failed !!!",
            f"Container rank 2 status failed cmd ['python', '-u', 'train.py'] code {code} log workerlog.2",
            "env {'HOME': '/root', 'ON_ERROR': 'failed', 'PWD': '/job'}",
            f"LAUNCH INFO {at(20)} ------------------------- ERROR LOG DETAIL -------------------------",
        ]
    )


@pytest.mark.parametrize(
    ("code", "category", "verdict"),
    [(1, "user.code", "stop"), (-9, "platform", "restart"), (-11, "framework", "restart")],
)
def test_the_code_of_a_container_of_paddle_tells_how_it_ended(code, category, verdict):
    found = diagnosis({"console.log": paddle(code)})
    assert (found.outcome, found.cause["category"], found.action["verdict"]) == ("failed", category, verdict)
    assert events(found)[0] == ("root", "paddle-container-failed")
    assert {signature for _, signature in events(found)} == {"paddle-container-failed", "paddle-pod-failed"}


def test_the_error_of_a_container_of_paddle_comes_before_its_code():
    cry = f"{at(15)} ERROR torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n"
    found = diagnosis({"console.log": TEN + cry + paddle(1)})
    assert (found.cause["signature"], found.stage["name"]) == ("cuda-oom", "iterate")


def test_a_pod_of_paddle_that_ended_well_is_the_end_of_the_job():
    end = f"LAUNCH INFO {at(20)} Pod completed\nLAUNCH INFO {at(20)} Exit code 0\n"
    assert diagnosis({"console.log": TEN + end}).outcome == "finished"


# ------------------------------------------------------------------ Ray

ACTOR = text(
    [
        "Traceback (most recent call last):",
        '  File "/opt/env/ray/train/_internal/utils.py", line 43, in check_for_failure',
        "    ray.get(object_ref)",
        "ray.exceptions.RayActorError: The actor died unexpectedly before finishing this task.",
        "\tclass_name: TrainWorker",
        "\tactor_id: 11aa22bb",
        "\tpid: 6420",
        "\tnamespace: 33cc44dd",
        "\tip: 10.3.0.9",
    ]
)
DIED = "The actor died because its node has died. Node Id: 55ee66ff\n\tthe actor's node was "


def test_the_record_of_an_actor_names_the_node_that_died():
    found = diagnosis(
        {"driver.log": ACTOR + "The actor is dead because its node has died. Node Id: 55ee66ff\n"}
    )
    assert (found.cause["category"], found.action["verdict"]) == ("hardware.host", "restart_excluding")
    assert [node["node"] for node in found.nodes] == found.action["exclude_nodes"] == ["10.3.0.9"]


@pytest.mark.parametrize(
    ("reason", "signature", "nodes"),
    [
        ("terminated unexpectedly: health check failed", "ray-actor-node-died", ["10.3.0.9"]),
        ("terminated expectedly: received SIGTERM", "ray-node-stopped", []),
        ("preempted: the machine is taken back", "ray-node-preempted", []),
    ],
)
def test_why_the_node_of_an_actor_died_stands_below_it(reason, signature, nodes):
    found = diagnosis({"driver.log": ACTOR + DIED + reason + "\n"})
    assert (found.outcome, found.cause["signature"]) == ("failed", signature)
    assert found.action["exclude_nodes"] == nodes


def test_the_head_of_ray_names_the_node_of_which_it_hears_nothing():
    said = [f"(Worker pid={511 + k}, ip=10.3.0.{8 + k}) loss: 2.09  [ 3200/30000]" for k in (0, 1)]
    gone = (
        f"{at(20)}\tWARNING worker.py:1462 -- The node with node id: 55ee66ff and ip: 10.3.0.9 has been "
        "marked dead because the detector has missed too many heartbeats from it."
    )
    found = diagnosis({"driver.log": text([*said, gone]) + ACTOR})
    assert (found.cause["signature"], found.stage["name"]) == ("ray-node-died", "iterate")
    assert [node["node"] for node in found.nodes] == ["10.3.0.9"]


# ------------------------------------------------------------------ clouds


def test_a_notice_of_the_cloud_comes_before_the_power_key():
    end = (
        "Mar  2 10:00:12 gpu-1 start-worker 2026/03/02 10:00:12 GCP Metadata Service says termination is "
        "imminent\nMar  2 10:00:23 gpu-1 systemd-logind[911]: Power key pressed.\n"
        "Mar  2 10:00:23 gpu-1 systemd-logind[911]: System is powering down.\n"
    )
    found = diagnosis({"console.log": TEN, "syslog": end})
    assert (found.outcome, found.cause["signature"]) == ("failed", "cloud-spot")
    assert (found.action["verdict"], found.action["exclude_nodes"]) == ("restart", [])


def test_a_power_key_alone_excludes_no_machine():
    end = (
        "Mar  2 10:00:23 gpu-1 systemd-logind[911]: Power key pressed short.\n"
        "Mar  2 10:00:23 gpu-1 systemd-logind[911]: System is powering down.\n"
    )
    found = diagnosis({"console.log": TEN, "syslog": end})
    assert (found.cause["signature"], found.cause["category"]) == ("power-key-pressed", "preemption")
    assert (found.action["verdict"], found.action["exclude_nodes"]) == ("restart", [])


RETRIES = (
    "Error: From /job:worker/replica:0/task:1:\nAll 10 retry attempts failed. The last failure: Unavailable: "
    "Error executing an HTTP request: HTTP response code 503\n"
)


def test_an_upload_that_the_store_refused_each_time_fails():
    end = (
        "INFO:tensorflow:An error was raised. This may be due to a preemption in a connected worker or "
        f"parameter server. The current session will be closed and a new session will be created. {RETRIES}"
        "\t when resuming upload gs://runs/base/model.ckpt-60_temp_83/part-0\n"
        "\t [[node save/SaveV2_1 (defined at /site-packages/transformer/utils.py:720) ]]\n"
    )
    found = diagnosis({"console.log": end})
    assert (found.outcome, found.cause["category"]) == ("failed", "storage")
    assert events(found)[0] == ("root", "gcs-request-failed")


def test_a_request_that_is_made_again_is_no_failure():
    again = (
        "The operation failed and will be automatically retried in 1.3 seconds (attempt 1 out of 10), "
        "caused by: Unavailable: Error executing an HTTP request: HTTP response code 503\n"
    )
    assert diagnosis({"console.log": again + TEN}).outcome == "running"


# ------------------------------------------------------------------ TPU


def test_a_crash_of_the_tpu_library_is_known_by_its_signal():
    end = text(
        [
            "https://symbolize.stripped_domain/r/?trace=7f1,7f2&map=06bf:7f1-7f2",
            "*** SIGSEGV (@(nil)), see gl____41#s15 received by PID 411 (TID 420) on cpu 7; stack trace: ***",
            "PC: @     0x7fac1a4a8de2  (unknown)  (unknown)",
            "E0302 10:00:12.243922     42 hook.cc:292] RAW: Remote crash data gathering hook invoked.",
            "E0302 10:00:13.243922     42 state.cc:784] RAW: Raising signal 11 with default behavior",
        ]
    )
    found = diagnosis({"console.log": end})
    assert (found.cause["signature"], found.cause["category"]) == ("signal-received", "framework")
    assert [signature for _, signature in events(found)] == ["signal-received", "tpu-raises-signal"]


def test_what_glog_tells_as_information_is_no_failure_whatever_its_words():
    said = text(
        f"(pid=) {letter}0302 10:00:{k:02}.577401 10651 part.cc:78] the request was aborted, no crash here"
        for k, letter in enumerate("IIE")
    )
    found = diagnosis({"console.log": said + cry_oom()})
    assert [e["count"] for e in found.events if e["signature"] is None] == [1]


def cry_oom() -> str:
    return f"{at(15)} ERROR torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n"


# ------------------------------------------------------------------ DLRover, NCCL, BigDL


def test_dlrover_tells_why_a_worker_ended():
    said = (
        f"[{at(12)}] [INFO] [reporter.py:68:report] [2026-03-02, 10:00:12][warn][run7-worker-3]"
        '[status_update][Running to Failed][{"from_state": "Running", "to_state": "Failed", '
        '"node": "run7-worker-3", "exit reason": "%s"}]\n'
        f"[{at(12)}] [INFO] [training_node.py:275:relaunch_node] Relaunch node run7-worker-3 to 59\n"
    )
    deleted = diagnosis({"master.log": said % "Deleted"})
    assert (deleted.outcome, deleted.cause["signature"]) == ("failed", "dlrover-exit-reason")
    assert diagnosis({"master.log": said % "OOMKilled"}).cause["category"] == "resource"


def test_a_topology_file_that_nccl_cannot_read_is_why_its_test_failed():
    end = text(
        [
            "gpu-1:75:95 [2] graph/xml.h:101 NCCL WARN Attribute arch of node cpu not found",
            "gpu-1:75:95 [2] NCCL INFO graph/topo.cc:493 -> 3",
            "gpu-1: Test NCCL failure common.cu:961 'internal error / '",
            " .. gpu-1 pid 75: Test failure common.cu:844",
        ]
    )
    found = diagnosis({"console.log": end})
    assert (found.outcome, found.stage["name"]) == ("failed", "init")
    assert (found.cause["signature"], found.cause["category"]) == ("nccl-topology-file", "platform")


def test_the_iterations_of_bigdl_count():
    said = text(
        f"{at(k)} INFO  DistriOptimizer$:392 - [Epoch 3 {3072 * k}/1281167][Iteration {70 + k}]"
        f"[Wall Clock {90 + k}.1s] Trained 3072 records in 1.4 seconds. Throughput is 2190.8 records/second. "
        f"Loss is {loss}. Current learning rate is 0.1."
        for k, loss in enumerate(["2.1", "2.2", "NaN", "NaN"])
    )
    found = diagnosis({"driver.log": said})
    assert (found.iterations["last_completed"], found.cause["category"]) == (73, "numeric")


# ------------------------------------------------------------------ torchrun

BEAT = (
    "WARNING:torch.distributed.elastic.rendezvous.dynamic_rendezvous:The node 'gpu-7_211_0' has failed to "
    "send a keep-alive heartbeat to the rendezvous 'none' due to RendezvousConnectionError.\n"
)


def test_an_agent_that_cannot_reach_the_rendezvous_time_and_again_has_lost_the_job():
    found = diagnosis({"console.log": 3 * BEAT})
    assert (found.outcome, found.cause["category"]) == ("failed", "network")
    assert found.action["exclude_nodes"] == []
    assert diagnosis({"console.log": TEN + 3 * BEAT}).outcome == "failed"


@pytest.mark.parametrize(
    "files",
    [
        {"console.log": TEN + 2 * BEAT},
        {"console.log": 3 * BEAT + TEN},
        {"console.log": TEN + 3 * BEAT + steps(range(11, 21), begin=11)},
        {"agent.log": 3 * BEAT, "rank0.log": TEN},
    ],
)
def test_an_agent_that_the_others_go_on_without_has_lost_nothing(files):
    assert diagnosis(files).outcome == "running"


def test_an_iterator_at_its_end_speaks_of_the_data():
    end = 'Traceback (most recent call last):\n  File "a.py", line 3, in run\n    next(it)\nStopIteration\n'
    found = diagnosis({"console.log": TEN + end})
    assert (found.cause["signature"], found.cause["category"]) == ("py-stop-iteration", "user.code")
