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
            f"Container rank 2 status failed cmd ['python', '-u', 'train.py'] code {code} log log/workerlog.2",
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
