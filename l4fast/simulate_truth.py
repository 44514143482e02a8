"""The truth about a simulated job: the content of ``truth.json``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LineRef:
    """One line: ``file`` relative to the logs, ``line`` numbered from 1, ended by LF only."""

    file: str
    line: int


@dataclass(frozen=True)
class FailureLine:
    """A failure-indicating line; ``kind`` is root, consequence or teardown."""

    file: str
    line: int
    kind: str


@dataclass(frozen=True)
class ContextLines:
    """Neutral lines (traceback frames, report boxes): closed ranges of one file."""

    file: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Truth:
    """What happened in a simulated job.

    ``accepted`` holds, for a field whose answer can be defended in more than one way, all
    the answers that count as right. Iterations and checkpoints are those of this attempt;
    None where there is none.

    Attributes
    ----------
    outcome : success, failure, or slow (it was slow, and did not die of it)
    to_blame : whether a node or a rank of this job is to blame at all
    node_evidence : explicit (a line that is left names each faulty node), inferable (silence,
        order or topology tell it), none (nobody to blame, or it cannot be told from these logs)
    last_iteration : the highest that a line which is left reports as done
    first_abnormal_iteration : where it really began; progress is printed every ``log_every``
    """

    style: str
    fault: str | None
    outcome: str
    category: str | None
    to_blame: bool
    faulty_nodes: tuple[str, ...]
    faulty_ranks: tuple[int, ...]
    node_evidence: str
    stage: str
    last_iteration: int | None
    first_abnormal_iteration: int | None
    last_durable_checkpoint: int | None
    last_accepted_checkpoint: int | None
    verdict: str
    nodes: int
    ranks: int
    log_every: int
    kernel_logs: bool
    root_lines: tuple[LineRef, ...]
    failure_lines: tuple[FailureLine, ...]
    context_lines: tuple[ContextLines, ...]
    accepted: dict[str, tuple[str, ...]]
