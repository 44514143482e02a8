"""Trees and names of logs that launchers and shippers are known to write, each a pattern."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from l4fast.regexes import regex

Stream = Literal["stdout", "stderr"]
Kind = Literal["rank", "node", "console", "kernel", "scheduler", "agent"]


class PathFacts(NamedTuple):
    """What one stream's name tells; None is "not known".

    Attributes
    ----------
    rank, local_rank, node_index, replica : int or None
        Counted from 0. ``replica`` is the number in a pod's name, within its role.
    attempt, container_restart : int or None
        The launch of the job; the restart of the container.
    layout : str
        The tree or naming that was recognised, "" for none.
    kind : str or None
        Who writes it: one process ("rank"), everybody on a host ("node"), the whole job
        ("console"), the host's kernel, the batch system, or a launcher's agent.
    maybe_host : str or None
        Looks like a host, but no sibling has another in its place: a folder may be called after the
        kind or number of machines. It is one where lines name it.
    longer_host : str or None
        A name that goes on behind ``host``, with the number that is taken for that of a process: lines
        tell which is the host.
    """

    host: str | None = None
    rank: int | None = None
    local_rank: int | None = None
    attempt: int | None = None
    node_index: int | None = None
    pod: str | None = None
    replica: int | None = None
    pid: int | None = None
    container_restart: int | None = None
    layout: str = ""
    stream: Stream | None = None
    kind: Kind | None = None
    maybe_host: str | None = None
    longer_host: str | None = None


# -- names without what compression and rotation add ---------------------------------

MAX_CHARS = 1000  # of a name, from its end: int() refuses numbers of thousands of digits
_PACKED = regex(r"\.(?:gz|zst|zstd|xz|bz2|lz4)$", re.IGNORECASE)
_ROTATED = regex(r"(?<=[a-z])(?:\.\d{1,3}|[.-]\d{8}(?:[-T]?\d{4,6})?)$")
ENDING = regex(r"(?:\.(?:log|txt|out|err|json|jsonl|stdout|stderr))+$", re.IGNORECASE)
_ENDED = regex(r"\.(?:log|txt|out|err|json|jsonl|stdout|stderr)$", re.IGNORECASE)


def stem_of(name: str) -> str:
    """Return the path with `/` alone, and without compression and rotation suffixes."""
    path = name.replace("\\", "/").rstrip("/")
    path = _PACKED.sub("", path)
    cut = _ROTATED.sub("", path)
    return cut if _ENDED.search(cut) or cut.rsplit("/", 1)[-1] in KERNEL_FILES else path


# -- 1: known trees and names --------------------------------------------------------

KERNEL_FILES = frozenset(("dmesg", "messages", "syslog", "kern", "kmsg", "kernel", "journal"))
_ID = r"[0-9a-f]{8,64}"

# (layout, end of the path, kind). A named group is a field of `PathFacts`; the first
# pattern that matches wins.
_TREES: tuple[tuple[str, str, Kind], ...] = (
    (
        "torchrun",
        r"[^/]+/attempt_(?P<attempt>\d+)/(?P<local_rank>\d+)/(?:stdout\.log|stderr\.log|error\.json)",
        "rank",
    ),
    ("open-mpi", r"\d+/rank\.(?P<rank>\d+)/(?:stdout|stderr)", "rank"),
    (
        "kubernetes-pods",
        r"[^/_]+_(?P<pod>[^/_]+)_[0-9a-f-]{8,}/[^/]+/(?P<container_restart>\d+)\.log(?:\.[\d-]+)?",
        "node",
    ),
    ("kubernetes-containers", rf"(?P<pod>[a-z0-9.-]+)_[a-z0-9.-]+_[a-z0-9.-]+-{_ID}\.log", "node"),
    ("ray-worker", rf"(?:[^/]+/)*worker-{_ID}-\w+-(?P<pid>\d+)\.(?:out|err)", "rank"),
    ("ray-worker", rf"(?:[^/]+/)*python-core-(?:worker|driver)-{_ID}_(?P<pid>\d+)\.log", "rank"),
    ("ray-driver", r"job-driver-[^/]+\.log", "console"),
    (
        "ray-agent",
        r"(?:raylet|gcs_server|monitor|dashboard(?:_agent)?|runtime_env_agent|log_monitor)\.(?:out|err|log)",
        "agent",
    ),
    ("nemo", r"[^/]*globalrank-(?P<rank>\d+)_localrank-(?P<local_rank>\d+)[^/]*", "rank"),
    ("ascend-fd", r"worker-(?P<node_index>\d+)/rank-(?P<rank>\d+)\.txt", "rank"),
    ("ascend-plog", r"plog-(?P<pid>\d+)_\d+\.log", "rank"),
    ("ascend-device", r"device-\d+/device-(?P<pid>\d+)_\d+\.log", "rank"),
    ("mindformers", r"rank_(?P<rank>\d+)/[a-z_]+\.log", "rank"),
    ("nvrx-node", r"nvrx_log_(?P<host>[A-Za-z0-9][\w.-]*?)\.log", "agent"),
    ("nvrx-cycle", r"[^/]*_cycle(?P<attempt>\d+)\.log", "console"),
    (
        "nccl-debug-file",
        r"[nr]ccl(?:[_-](?:debug|log|info))?[._-](?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z][A-Za-z0-9-]*)*)"
        r"[._](?P<pid>\d{2,8})(?:\.(?:log|txt))?",
        "rank",
    ),
    (
        "scheduler",
        r"(?:[\w.-]*[._-])?(?:submit|launch|launcher|sbatch|slurmctld|scheduler|msrun)"
        r"(?:[._-]\d+)?(?:\.(?:log|out|err|txt))?",
        "scheduler",
    ),
)
_COMPILED_TREES = [(layout, regex(rf"(?:^|/){end}$"), kind) for layout, end, kind in _TREES]
_KERNEL = regex(r"(?:^|[._-])(?:dmesg|kern|kmsg|kernel|messages|syslog|journal(?:ctl)?)(?:[._-]|$)")
_AGENT = regex(r"(?:^|[._-])(?:slurmd|kubelet|agent|dcgm|fabricmanager)(?:[._-]|$)")

# Words that name their number wherever they stand. `mp_rank_00` is a piece of a model.
_END = r"[._=-]?(\d{1,6})(?!\d)"
_NAMED = {
    "local_rank": regex(rf"(?:^|[/._-])local[_-]?rank{_END}", re.IGNORECASE),
    "node_index": regex(
        rf"(?:^|[/._-])(?:node|group|machine)[_-]?(?:rank|id|index|idx){_END}", re.IGNORECASE
    ),
    "rank": regex(
        r"(?:^|[/._-]|global|world)(?<!local[_-])(?<!node[_-])(?<!group[_-])(?<!machine[_-])(?<![mtpdce]p_)"
        rf"rank{_END}",
        re.IGNORECASE,
    ),
    "attempt": regex(rf"(?:^|[/._-])(?:attempt|restart|retry|requeue|cycle){_END}", re.IGNORECASE),
}
# Kubeflow, Volcano, KubeRay: `{job}-worker-3`; Kubeflow Trainer: `{job}-node-0-3-x7k2p`.
# A padded number or a lone `-node-3` belongs to a machine rather than to a pod.
_POD = regex(
    r"[a-z][a-z0-9-]*-(?:(?:master|worker|launcher|chief|ps|head|trainer)-(?P<one>0|[1-9]\d*)"
    r"|node-\d+-(?P<two>\d+))(?:-[a-z0-9]{5})?"
)
# JobSet: `{jobset}-{job}-{index of the job}-{index of the pod}[-{random}]`. Two words stand before them.
JOBSET_POD = regex(
    r"(?P<words>[a-z][a-z0-9]*(?:-[a-z0-9]*[a-z][a-z0-9]*)+)-(?P<job>0|[1-9]\d{0,3})-(?P<index>0|[1-9]\d{0,4})"
    r"(?:-(?=[a-z0-9]*[a-z])[a-z0-9]{4,6})?"
)
# What people put in front of a pod's name when they save what a command tells of it.
_SAVED = regex(r"^(?:(?:kubectl|describe|desc|get|logs?|events?|pod|previous)[-_.]){1,4}(?=[a-z])")
MASTER = regex(r"-(?:master|chief|head)-\d+(?:-[a-z0-9]{5})?$")


def known(stem: str) -> PathFacts:
    """Return what a path tells by itself."""
    values: dict[str, str | int] = {}
    layout, kind = "", None
    for name, pattern, known_kind in _COMPILED_TREES:
        if match := pattern.search(stem):
            layout, kind = name, known_kind
            for field, text in match.groupdict().items():
                values[field] = text if field in ("host", "pod") else int(text)
            break
    folder, _, base = stem.rpartition("/")
    base = ENDING.sub("", base)
    if not layout and _KERNEL.search(base.lower()):
        layout, kind = "kernel", "kernel"
    elif not layout and _AGENT.search(base.lower()):
        layout, kind = "agent", "agent"
    if layout in ("", "kernel", "agent"):
        for field, pattern in _NAMED.items():
            if found := list(pattern.finditer(stem)):
                values[field] = int(found[-1][1])
                layout = layout or "named"
        if kind == "kernel":
            values.pop("rank", None)
    for part in (base, *reversed(folder.split("/"))):
        pod = _SAVED.sub("", str(values.get("pod", part)))
        if "host" not in values and (match := _POD.fullmatch(pod)):
            values |= {"pod": pod, "replica": int(match["one"] or match["two"])}
            layout = layout or "pod"
            break
    return PathFacts(layout=layout, kind=kind, **values)  # type: ignore[arg-type]
