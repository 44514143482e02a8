"""JSON log lines: which string is the message, and what its neighbours tell.

Docker, Google Cloud Logging, Loki, Elasticsearch, journald and structured Python logging
write one JSON object a line. What is read here is the *masked* text, in which a number is
a MASK character, so `json.loads` is of no use: a small scanner walks the tokens, keeps the
path of keys and looks each path up in one table. The order of the keys does not matter.

A progress record such as ``{"loss": 2.1}`` is content, not an envelope: an envelope holds
a message string *and* something that a log shipper adds (time, level, stream, host, pod).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from l4fast.canonical import MASK
from l4fast.regexes import regex


@dataclass(frozen=True, slots=True)
class Field:
    """A span of the masked text to be read in each line; ``kind`` says as what."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a JSON line holds: ``masked[start:end]`` is the inside of its message string."""

    fields: tuple[Field, ...]
    level: str | None
    name: str
    start: int
    end: int


LEVELS = {
    **dict.fromkeys(("D", "DEBUG", "TRACE", "VERBOSE", "DIAG", "CALL", "FINE"), "debug"),
    **dict.fromkeys(("I", "INFO", "NOTICE", "EVENT", "SUCCESS", "DEFAULT", "INFORMATION"), "info"),
    **dict.fromkeys(("W", "WARN", "WARNING"), "warning"),
    **dict.fromkeys(("E", "ERR", "ERROR", "SEVERE", "EXCEPTION"), "error"),
    **dict.fromkeys(
        ("F", "C", "CRIT", "CRITICAL", "FATAL", "ABORT", "ALERT", "EMERG", "EMERGENCY", "PANIC"), "critical"
    ),
}

_M = MASK
ISO = (
    rf"{_M}(?:-{_M}-{_M}(?:[ -]{_M})?|/{_M}/{_M}(?:-{_M})?):{_M}:{_M}(?:[.,]{_M}){{0,2}}"
    rf"(?: ?[+-]{_M}(?::{_M})?(?=[\s\]),|]|$))?"
)
US = rf"{_M}/{_M}/{_M},? {_M}:{_M}:{_M}(?:[.,]{_M})?"

_OPENING = regex(r'\{\s*"[^"\\\s]{1,80}"\s*:')
_TOKEN = regex(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)
_NEWLINE = regex(r"(?<!\\)((?:\\\\)*)(?:\\[rn])+$")
_TIME = regex(rf"(?P<iso>{ISO})$|(?P<epoch>{_M}(?:\.{_M})?)$|(?P<us>{US})$")
_MAX_TOKENS = 4000  # a line that holds more is data, not a log record


def _by_priority(**kinds: str) -> dict[str, tuple[str, int]]:
    """Return path -> (kind, priority); a kind's paths are given best first."""
    return {path: (kind, -rank) for kind, paths in kinds.items() for rank, path in enumerate(paths.split())}


# The keys of Docker, Loki, Google Cloud, ECS (Filebeat), Fluent Bit, OpenTelemetry and
# journald; a key with a digit such as `k8s.pod.name` reads MASK + ".pod.name" here.
_PATHS = _by_priority(
    message="log message msg line textPayload MESSAGE jsonPayload.message jsonPayload.log jsonPayload.msg "
    "jsonPayload.MESSAGE message.message body body.stringValue text event",
    time="time timestamp @timestamp ts asctime __REALTIME_TIMESTAMP _SOURCE_REALTIME_TIMESTAMP datetime "
    "jsonPayload.timestamp jsonPayload.time message.extraInfo.timestamp",
    level="jsonPayload.level jsonPayload.severity level levelname severity lvl log.level loglevel "
    "severityText",
    stream="stream jsonPayload.stream",
    host="kubernetes.node.name kubernetes.node_name kubernetes.host resource.labels.node_name "
    "labels.compute.googleapis.com/resource_name jsonPayload._HOSTNAME _HOSTNAME node_name nodename node "
    f"{_M}.node.name resource.{_M}.node.name attributes.{_M}.node.name "
    "labels.node_name labels.node labels.nodename labels.hostname labels.host "
    "host.name host.hostname hostname host resource.labels.instance_id",
    pod=f"kubernetes.pod.name kubernetes.pod_name resource.labels.pod_name {_M}.pod.name "
    f"resource.{_M}.pod.name attributes.{_M}.pod.name labels.pod labels.pod_name pod_name pod",
    container="kubernetes.container.name kubernetes.container_name resource.labels.container_name "
    f"{_M}.container.name labels.container labels.container_name container_name container",
    pid="_PID pid process.pid jsonPayload.pid jsonPayload._PID process_id",
    rank="rank global_rank jsonPayload.rank RANK",
    local_rank="local_rank jsonPayload.local_rank LOCAL_RANK",
)
_SHIPPED = ("time", "level", "stream", "host", "pod", "container")


# Keys, outside of strings, that only a program's own record of its progress has.
_METRIC = regex(
    r'(?<!\\)"(?:global_?step|step|iter(?:ation)?|current_steps|train[_/](?:loss|step)|loss|grad_norm)"\s*:\s*["\d\ue000-]'
)


def open_json(text: str, start: int, end: int) -> Envelope | None:
    """Return the envelope that fills ``text[start:end]``, or None.

    Linear in the length of the line; a truncated object is no envelope.
    """
    if _OPENING.match(text, start, end) is None:
        return None
    best = _leaves(text, start, end)
    message = best.get("message")
    if message is None or not message[3] or not any(kind in best for kind in _SHIPPED):
        return None
    fields: list[Field] = []
    level: str | None = None
    for kind, (_, begin, stop, _) in best.items():
        if kind == "level":
            level = LEVELS.get(text[begin:stop].strip().upper())
        elif kind == "time":
            if found := _TIME.match(text, begin, stop):
                fields.append(Field(f"time.{found.lastgroup}", begin, stop))
        elif kind not in ("message", "stream") and stop > begin:
            fields.append(Field(kind, begin, stop))
    if _METRIC.search(text, start, end):
        # The fields beside the message are the message: a step, a loss.
        return Envelope(tuple(fields), level, "json-metrics", start, end)
    begin, stop = message[1], message[2]
    newline = _NEWLINE.search(text, max(begin, stop - 64), stop)
    name = _name(best)
    if newline is not None and newline.end(1) >= begin:
        stop = newline.end(1)
    elif name == "docker":
        name = "docker-partial"  # Docker splits at 16 KiB; only the last part ends with \n
    return Envelope(tuple(fields), level, name, begin, stop)


def _leaves(text: str, start: int, end: int) -> dict[str, tuple[int, int, int, bool]]:
    """Return kind -> (priority, start, end, is a string) of the best value of each kind.

    Empty where the object is not well nested, or is followed by more text.
    """
    best: dict[str, tuple[int, int, int, bool]] = {}
    path: list[str] = []
    nesting: list[str] = []
    key: str | None = None
    done = start
    for count, token in enumerate(_TOKEN.finditer(text, start, end)):
        char = text[token.start()]
        # A gap is a string that never ends; to go on would scan it again and again.
        if count > _MAX_TOKENS or text[done : token.start()].strip():
            return {}
        done = token.end()
        if char in "{[":
            if nesting:
                path.append(key if key is not None else "")
            nesting.append(char)
            key = None
        elif char in "}]":
            if nesting.pop() != ("{" if char == "}" else "["):
                return {}
            if not nesting:
                closed = text[token.end() : end].strip(" \t\r,") == ""
                return best if closed else {}
            path.pop()
        elif char == ",":
            key = None
        elif char != ":":
            quoted = char == '"'
            begin, stop = token.start() + quoted, token.end() - quoted
            if key is None and nesting[-1] == "{":
                key = text[begin:stop]
            elif key is not None:
                _keep_best(best, ".".join([*path, key]).removeprefix("_source."), begin, stop, quoted)
    return {}


def _keep_best(
    best: dict[str, tuple[int, int, int, bool]], path: str, begin: int, stop: int, quoted: bool
) -> None:
    kind, priority = _PATHS.get(path, ("", 0))
    if kind and (kind not in best or best[kind][0] < priority):
        best[kind] = (priority, begin, stop, quoted)


def _name(best: dict[str, tuple[int, int, int, bool]]) -> str:
    """Return the layout's name, told by the keys that were used."""
    rank = -best["message"][0]
    if rank == 0 and "stream" in best and "time" in best:
        return "docker"
    return {3: "loki", 4: "gcp", 5: "journald", 6: "gcp", 7: "gcp", 8: "gcp"}.get(rank, "json")
