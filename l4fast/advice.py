"""What the cause is called, and what to do about it: restart, without whom, from where, or not at all."""

from __future__ import annotations

from typing import Any

from l4fast.diagnose import Story
from l4fast.diagnosis import MOST_NAMES
from l4fast.regexes import regex
from l4fast.slow import Slow

SURE = 0.6  # score of a straggler that stands far enough from its peers to leave it out
_LOCAL = ("storage", "network", "platform")  # may be one node's, where its own lines tell of it
# By the kind of evidence.
_CONFIDENCE = {
    "error": 0.85,
    "numeric": 0.85,
    "hang": 0.7,
    "stop": 0.75,
    "victims": 0.4,
    "peer": 0.7,
    "mismatch": 0.75,
    "busy": 0.6,
}
# Signatures of what may be there on one host and not on another, beside those that last from the start.
_MISSING = ("py-file-not-found", "os-errno")
_LASTING = ("user.code", "user.config", "resource", "platform", "framework", "data")
# Categories whose causes lie in the program, its input or its limits.
_NOT_A_HOSTS = ("user", "data", "resource", "framework", "preemption")
_OWN_MEMORY = regex(
    r"total capacity of (?P<whole>\d+(?:\.\d+)?) GiB\b.{0,300}?"
    r"\bthis process has (?P<own>\d+(?:\.\d+)?) GiB memory in use"
)
_KILLED = {("signal", "9"), ("exit_code", "-9"), ("exit_code", "137")}
_VICTIMS = ("timeout", "lost-peer")
_FIND = "No line tells which host: find it first, by the list of ranks or the kernel logs of all hosts."
FIRST_STEPS = 2  # by then a program has taken all the memory that it takes at each


def cause_of(story: Story) -> dict[str, Any]:
    """Return the cause as the answer has it: category, signature, title, advice, confidence (0 to 1)."""
    if story.outcome in ("finished", "running"):
        return {
            "category": "unknown",
            "signature": None,
            "title": "No failure",
            "advice": "",
            "confidence": 1.0,
        }
    verdict = story.verdict
    if story.slow is not None:
        return _cause_of_slowness(story, story.slow)
    if not verdict.roots:
        title = (
            "The job stopped making progress without a word"
            if story.outcome == "hung"
            else "The logs that could be read tell of no failure and of no end"
        )
        return {"category": "unknown", "signature": None, "title": title, "advice": "", "confidence": 0.2}
    top = verdict.roots[0]
    category = top.category or "unknown"
    title, advice = top.title, top.advice
    if verdict.kind == "stall":
        category, title = "unknown", "The job stood still before it was told to stop"
        advice = "Nothing in the logs tells why: look at the processes' stacks next time before ending it."
    elif verdict.kind == "mismatch":
        category, title = "user.code", "Ranks called different collectives at the same point"
        advice = "Look for code that only some ranks run: a branch on the rank, on data, or on an error."
    elif verdict.kind == "busy":
        category, title = "user.code", "One process did work of its own for longer than the others may wait"
        advice = "Raise the timeout of the group they wait in, or let all ranks share that work."
    elif verdict.kind == "hang" and not (top.signature is not None and top.signature.stage == "init"):
        category, title = "hardware.host", "A process hung and the others waited for it"
        if not advice or top.tells in _VICTIMS:  # whose advice is about the one who says it
            advice = "Look at the silent process and its host: a stuck device, driver or file system."
    elif verdict.kind == "peer" and _all_silent(story):
        category, title = "hardware.host", "A node went silent; the others lost their connection to it"
        advice = "Look at the host itself: power, kernel, network card."
    elif verdict.kind == "stop" and category not in ("preemption", "platform"):
        category = "preemption"
    elif verdict.kind == "victims" and category in ("unknown", "platform"):
        category = "network" if top.tells in ("timeout", "lost-peer") else category
    elif verdict.kind == "error" and category in ("user.config", "user.code") and _is_environment(story):
        category = "platform"
    nobody = not (verdict.nodes or verdict.everybody)
    if verdict.kind == "error" and top.action == "restart_excluding" and nobody:
        advice = f"{_FIND} {advice}".rstrip()
    confidence = _CONFIDENCE.get(verdict.kind, 0.3)
    if top.weight <= -10:
        confidence -= 0.2
    return {
        "category": category,
        "signature": top.signature.id if top.signature else None,
        "title": title,
        "advice": advice,
        "confidence": round(confidence, 2),
    }


def _cause_of_slowness(story: Story, slow: Slow) -> dict[str, Any]:
    """Return the cause of a slow job: what its host or link told, or that its saves stand still."""
    verdict = story.verdict
    known = next((e for e in verdict.roots if e.signature is not None), None)
    category, advice = (
        "unknown",
        "Compare the ranks' step times; look for a throttled device, a slow link or disk.",
    )
    if slow.stage == "checkpoint":
        category, advice = (
            "storage",
            "Look at the file system that checkpoints go to, and who else writes there.",
        )
    elif known is not None and known.category is not None:
        category, advice = known.category, known.advice or advice
    elif verdict.ranks:
        category, advice = (
            "hardware.host",
            "Compare that host with its peers: heat, clocks, PCIe width, its disk.",
        )
    return {
        "category": category,
        "signature": known.signature.id if known is not None and known.signature else None,
        "title": slow.title,
        "advice": advice,
        "confidence": 0.8 if verdict.ranks or verdict.nodes else 0.6,
    }


def _is_environment(story: Story) -> bool:
    """Whether what the program could not do before training fails on few nodes alone.

    The same code runs everywhere, so what fails on one node only is that node's environment;
    one rank alone may do what the others do not, unless a file or module is missing there.
    """
    verdict = story.verdict
    if story.progress.last_completed is not None or verdict.everybody or not verdict.nodes:
        return False
    if len(story.top.nodes) < 2 or len(verdict.nodes) * 3 > len(story.top.nodes) + 1:
        return False
    if any(e.category == "resource" for e in verdict.roots):
        # Other processes hold that node's devices, where these have not taken the memory themselves.
        return len(verdict.ranks) > 1 and not _fill_memory(story)
    told, top = {rank for rank, _, _, _ in verdict.ranks}, story.top
    mine = [rank for node, _, _, _ in verdict.nodes for rank in top.ranks_of(node)]
    if len(verdict.nodes) > 1 and told and 2 * len(told) < len(mine):
        return False  # some ranks of some nodes: all the others were ended before they could say it
    known = [e.signature for e in verdict.roots if e.signature is not None]
    missing = any(signature.lasting == "start" or signature.id in _MISSING for signature in known)
    return missing or len(verdict.ranks) > 1


def _fill_memory(story: Story) -> bool:
    """Whether the processes that were short of a device's memory say that they hold most of it themselves."""
    rows = [int(event.rows[0]) for event in story.verdict.roots]
    said = [_OWN_MEMORY.search(story.job.content(row)) for row in rows]
    return any(m is not None and 2 * float(m["own"]) > float(m["whole"]) for m in said)


def _all_silent(story: Story) -> bool:
    """Whether no rank of the blamed node said anything of the failure."""
    if not story.verdict.nodes:
        return False
    mine = set(story.top.ranks_of(story.verdict.nodes[0][0]))
    rows = story.job.rows
    for event in story.verdict.events:
        for row in event.rows.tolist():
            if story.top.rank[int(rows.speaker[row])] in mine:
                return False
    return bool(mine)


def action_for(story: Story, cause: dict[str, Any]) -> dict[str, Any]:
    """Decide what to do about a cause: the verdict, whom to exclude, where to resume, and why."""
    resume = story.checkpoint.last_durable
    if story.outcome in ("finished", "running"):
        reason = "the job finished" if story.outcome == "finished" else "no failure in the logs"
        return {"verdict": "none", "exclude_nodes": [], "resume_from": None, "reason": reason}
    category = cause["category"]
    verdict = story.verdict
    nodes = [n for n, _, _, _ in verdict.nodes]
    explicit = verdict.roots[0].action if verdict.roots else None
    few = 0 < len(nodes) <= max(1, len(story.top.nodes) // 3) and _has_others(story, category)
    if story.outcome == "unknown":
        decided = "unknown"
    elif story.outcome == "slow":
        # It is worth a restart only without the node that slows it; a job that ended needs none.
        alone = few and any(score >= SURE for _, score, _, _ in verdict.nodes)
        decided = "none" if story.ended else "restart_excluding" if alone else "unknown"
    elif category == "preemption":
        decided = "restart"
    elif explicit == "stop" or (category in ("user.code", "user.config") and explicit is None):
        decided = "stop"
    elif explicit == "resume_older_checkpoint" or category == "numeric":
        decided = "resume_older_checkpoint"
    elif category == "data" or (explicit is None and _comes_back(story, category, apart=few)):
        decided = "stop"
    elif (
        (
            few
            and (explicit == "restart_excluding" or category.startswith("hardware") or verdict.kind == "hang")
        )
        or (
            explicit != "restart"
            and few
            and category in _LOCAL
            and _is_local(story)
            and not _is_killed(story)
        )
        or (few and category == "resource" and _is_environment(story))
    ):
        decided = "restart_excluding"
    elif not verdict.roots and (story.outcome != "hung" or not nodes):
        decided = "restart" if story.outcome == "hung" else "unknown"
    else:
        decided = "restart"
    exclude = nodes[:MOST_NAMES] if decided == "restart_excluding" else []
    return {
        "verdict": decided,
        "exclude_nodes": exclude,
        "resume_from": resume
        if decided in ("restart", "restart_excluding", "resume_older_checkpoint")
        else None,
        "reason": cause["title"] + _of_whom(story, exclude),
    }


def blamed_nodes(story: Story, cause: dict[str, Any]) -> list[tuple[str, float, list[str], list[int]]]:
    """Return the nodes of the verdict, most suspect first, as `Verdict` holds them.

    A job's only node has no peers that do better: it is named for what only a host can be guilty of. Of a
    job of which nobody knows what became, lines that no signature knows name nobody.
    """
    if len(story.top.nodes) < 2 and cause["category"].startswith(_NOT_A_HOSTS):
        return []
    roots = story.verdict.roots
    if story.outcome == "unknown" and roots and all(e.signature is None for e in roots):
        return []
    return story.verdict.nodes


def _has_others(story: Story, category: str) -> bool:
    """Whether a job can do without a node: the only one that is known is left out if its hardware broke."""
    return len(story.top.nodes) > 1 or category.startswith("hardware")


def _is_killed(story: Story) -> bool:
    """Whether launchers alone tell of a SIGKILL: nobody knows who sent it; mostly memory was short."""
    roots = story.verdict.roots
    return bool(roots) and all(
        e.tells == "death" and e.by in ("launcher", "scheduler") and _KILLED & {*e.values} for e in roots
    )


def _of_whom(story: Story, exclude: list[str]) -> str:
    if exclude:
        return f" on {', '.join(exclude[:4])}"
    if story.slow is not None and story.ended:
        nodes = [n for n, _, _, _ in story.verdict.nodes[:4]]
        return f"; it ended all the same: next time do without {', '.join(nodes)}" if nodes else ""
    return ""


def _comes_back(story: Story, category: str, *, apart: bool) -> bool:
    """Whether a restart on the same machines will meet the same error.

    What is everybody's before the first iteration will. So will, though not all ranks are seen to tell it,
    what sets no node ``apart``: what its signature says is missing from the start, memory that was short
    from the first iterations on, a disk that is full.
    """
    verdict, progress = story.verdict, story.progress
    lasting = {e.signature.lasting for e in verdict.roots if e.signature is not None}
    # What began it decides here: a hub that limits requests is one that could not be reached, too.
    lead = verdict.roots[0].signature if verdict.roots else None
    lacking = lead is not None and lead.lasting == "start"
    if verdict.everybody and progress.last_completed is None and (category in _LASTING or lacking):
        return True
    if verdict.kind != "error" or (apart and len(story.top.nodes) > 1 and not _fill_memory(story)):
        return False
    if "always" in lasting or any(dict(e.values).get("errno") == "28" for e in verdict.roots):
        return True
    done = (progress.last_completed or 0) - (progress.first or 1) + 1 if progress.last_completed else 0
    if category == "resource":
        return done <= FIRST_STEPS
    return done == 0 and lacking


def _is_local(story: Story) -> bool:
    """Whether the root is told of few nodes, by lines that a bad node would write."""
    if story.cause_is_storage and [rank for rank, _, _, _ in story.verdict.ranks] == [0]:
        return False  # rank 0 saves for all: what it cannot write may be everybody's file system
    return story.verdict.kind in ("error", "peer")
