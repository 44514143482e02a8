"""The contract of an answer, `l4fast.diagnosis/1`: each field, and what holds between fields."""

import json
import math
import re
from pathlib import Path
from typing import Any

from l4fast.diagnosis import EXIT_CODES

OUTCOMES = {"failed", "finished", "hung", "slow", "running", "unknown"}
CATEGORIES = {
    *("hardware.gpu", "hardware.memory", "hardware.host", "network", "storage", "data", "resource"),
    *("platform", "framework", "user.config", "user.code", "numeric", "preemption", "unknown"),
}
ROLES = {"root", "consequence", "teardown", "context"}
STAGES = {"launch", "init", "load", "iterate", "checkpoint", "evaluate", "shutdown"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z?")
ID = re.compile(r"[0-9a-f]{16}")

# ---------------------------------------------------------- what a value may look like


def is_text(x: object) -> bool:
    return isinstance(x, str)


def is_quote(x: object) -> bool:
    return isinstance(x, str) and len(x) <= 2000


def is_count(x: object) -> bool:
    return type(x) is int and x >= 0


def is_score(x: object) -> bool:
    return type(x) in (int, float) and 0 <= x <= 1


def is_seconds(x: object) -> bool:
    return type(x) in (int, float) and math.isfinite(x) and x >= 0


def is_time(x: object) -> bool:
    return isinstance(x, str) and TIME.fullmatch(x) is not None


def is_id(x: object) -> bool:
    return isinstance(x, str) and ID.fullmatch(x) is not None


def is_values(x: object) -> bool:
    return isinstance(x, dict) and all(
        isinstance(k, str) and (v is None or type(v) in (str, int, float, bool)) for k, v in x.items()
    )


def is_span(x: object) -> bool:
    return isinstance(x, list) and len(x) == 2 and all(map(is_count, x)) and x[0] <= x[1]


def one_of(*allowed: object):
    return lambda x: x in allowed


def null_or(check):
    return lambda x: x is None or matches(x, check)


def each(check, most: int | None = None):
    return lambda x: (
        isinstance(x, list) and (most is None or len(x) <= most) and all(matches(v, check) for v in x)
    )


EVIDENCE = {"file": is_text, "line": lambda n: is_count(n) and n >= 1, "offset": is_count, "text": is_quote}
REFERENCE = EVIDENCE | {"time": null_or(is_time), "rank": null_or(is_count), "node": null_or(is_text)}
SPEC = {
    "schema": one_of("l4fast.diagnosis/1"),
    "job": {
        "paths": each(is_text),
        "files": is_count,
        "bytes": is_count,
        "lines": is_count,
        "nodes": is_count,
        "ranks": is_count,
        "first_time": null_or(is_time),
        "last_time": null_or(is_time),
    },
    "outcome": one_of(*OUTCOMES),
    "action": {
        "verdict": one_of(*EXIT_CODES),
        "exclude_nodes": each(is_text, 256),
        "resume_from": null_or(is_count),
        "reason": is_text,
    },
    "cause": {
        "category": one_of(*CATEGORIES),
        "signature": null_or(is_text),
        "title": is_text,
        "advice": is_text,
        "confidence": is_score,
    },
    "events": each(
        {
            "event_id": is_id,
            "template_id": is_id,
            "template": is_text,
            "values": is_values,
            "role": one_of(*ROLES),
            "category": null_or(one_of(*CATEGORIES)),
            "signature": null_or(is_text),
            "count": lambda n: is_count(n) and n >= 1,
            "ranks": each(is_count, 256),
            "n_ranks": is_count,
            "nodes": each(is_text, 256),
            "n_nodes": is_count,
            "score": is_score,
            "first": REFERENCE,
            "last": REFERENCE,
            "why": each(is_text),
        }
    ),
    "nodes": each(
        {
            "node": is_text,
            "ranks": each(is_count, 256),
            "score": is_score,
            "reasons": each(is_text),
            "evidence": each(EVIDENCE),
        },
        256,
    ),
    "ranks": each({"rank": is_count, "node": null_or(is_text), "score": is_score}, 256),
    "stage": {
        "name": one_of(*STAGES),
        "segments": each(
            {
                "stage": one_of(*STAGES),
                "start": null_or(is_time),
                "end": null_or(is_time),
                "first_iteration": null_or(is_count),
                "last_iteration": null_or(is_count),
            }
        ),
    },
    "iterations": {
        "last_completed": null_or(is_count),
        "first_abnormal": null_or(is_count),
        "total": null_or(is_count),
        "median_seconds": null_or(is_seconds),
    },
    "checkpoint": {
        "last_durable": null_or(is_count),
        "last_accepted": null_or(is_count),
        "lost_iterations": null_or(is_span),
        "path": null_or(is_text),
    },
    "attempts": each(
        {
            "attempt": is_count,
            "outcome": one_of(*OUTCOMES),
            "first_time": null_or(is_time),
            "last_time": null_or(is_time),
            "cause": null_or(is_text),
            "last_iteration": null_or(is_count),
        }
    ),
    "coverage": {
        "layout": is_text,
        "baseline": one_of("given", "self", "none"),
        "ranks_expected": null_or(is_count),
        "ranks_seen": is_count,
        "unreadable": each({"file": is_text, "reason": is_text}),
        "notes": each(is_text),
    },
    "timing": {
        "read_s": is_seconds,
        "parse_s": is_seconds,
        "analyse_s": is_seconds,
        "total_s": is_seconds,
        "bytes_per_s": is_seconds,
        "lines_per_s": is_seconds,
    },
}


def matches(value: object, check: Any, where: str = "answer") -> bool:
    """Whether a value is as the contract says: names the field that is missing or wrong; more are fine."""
    if not isinstance(check, dict):
        assert check(value), f"{where}: {str(value)[:300]!r}"
        return True
    assert isinstance(value, dict), f"{where} is no object"
    for key, inner in check.items():
        assert key in value, f"{where} lacks {key!r}"
        matches(value[key], inner, f"{where}.{key}")
    return True


def check_contract(found: dict[str, Any]) -> None:
    matches(found, SPEC)
    json.dumps(found, allow_nan=False).encode("utf-8")
    verdict, failed = found["action"]["verdict"], found["outcome"] not in ("finished", "running")
    if found["outcome"] != "slow":  # which may have run to its end, and needs no restart then
        assert (verdict == "none") == (not failed)
    assert bool(found["action"]["exclude_nodes"]) == (verdict == "restart_excluding")
    assert set(found["action"]["exclude_nodes"]) <= {n["node"] for n in found["nodes"]}
    if not failed:
        assert (found["events"], found["nodes"], found["ranks"]) == ([], [], [])
        assert found["iterations"]["first_abnormal"] is None
    events = found["events"]
    for event in events:
        for names, n in ((event["ranks"], event["n_ranks"]), (event["nodes"], event["n_nodes"])):
            assert len(names) == min(n, 256)
            assert names == sorted(set(names))
        assert event["why"]
        if event["first"]["time"] and event["last"]["time"]:
            assert event["first"]["time"] <= event["last"]["time"]
        if event["count"] == 1:
            assert event["first"] == event["last"]
    assert len({e["event_id"] for e in events}) == len(events)
    roles = [e["role"] for e in events]
    assert "root" not in roles[roles.count("root") :], "roots come first"
    for suspects in (found["nodes"], found["ranks"]):
        scores = [s["score"] for s in suspects]
        assert scores == sorted(scores, reverse=True)
    times = [t for t in (found["job"]["first_time"], found["job"]["last_time"]) if t]
    assert times == sorted(times)
    numbers = [a["attempt"] for a in found["attempts"]]
    assert numbers == sorted(set(numbers)) and numbers
    durable, accepted = found["checkpoint"]["last_durable"], found["checkpoint"]["last_accepted"]
    assert durable is None or (accepted is not None and durable <= accepted)


class Lines:
    """Lines of the files that an answer points into."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def at(self, reference: dict[str, Any]) -> str:
        path = reference["file"]
        data = self.files.setdefault(path, Path(path).read_bytes())
        offset, line = reference["offset"], reference["line"]
        assert offset == 0 or data[offset - 1 : offset] == b"\n", f"{path}: byte {offset} begins no line"
        assert data.count(b"\n", 0, offset) + 1 == line, f"{path}: byte {offset} is not in line {line}"
        end = data.find(b"\n", offset)
        line_bytes = data[offset : end if end >= 0 else len(data)]
        # Of a line that redraws itself, the last segment that is not empty is quoted.
        drawn = [piece for piece in line_bytes.split(b"\r") if piece]
        return (drawn[-1] if drawn else line_bytes).decode("utf-8", "replace")


def check_evidence(found: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Every quoted line stands where the answer says, and so does every line that is only pointed at."""
    lines = Lines()
    for event in found["events"]:
        for reference in (event["first"], event["last"]):
            assert lines.at(reference).rstrip("\r")[:2000] == reference["text"].rstrip("\r")
    for node in found["nodes"]:
        assert node["evidence"] or not node["reasons"]
        for reference in node["evidence"]:
            assert lines.at(reference).rstrip("\r")[:2000] == reference["text"].rstrip("\r")
    counted = {e["event_id"]: e for e in found["events"]}
    told: dict[str, int] = {}
    for row in rows:
        lines.at(row)
        event = counted[row["event_id"]]
        assert (row["role"], row["template_id"], row["signature"]) == (
            event["role"],
            event["template_id"],
            event["signature"],
        )
        assert row["role"] in ("root", "consequence", "teardown")
        told[row["event_id"]] = told.get(row["event_id"], 0) + 1
    places = [(row["file"], row["line"]) for row in rows]
    assert len(set(places)) == len(places)
    assert all(n <= counted[event_id]["count"] for event_id, n in told.items())
