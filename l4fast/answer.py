"""The readable answer: what, where, when, evidence, what to do."""

from __future__ import annotations

import sys
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from l4fast.diagnosis import Diagnosis

_VERDICT = {
    "none": "nothing to do",
    "restart": "restart the job",
    "restart_excluding": "restart without the named nodes",
    "resume_older_checkpoint": "resume from an older checkpoint",
    "stop": "stop: a restart would fail again",
    "unknown": "unknown: look at the evidence",
}
_COLOUR = {"finished": "green", "running": "green", "failed": "red", "hung": "red", "slow": "yellow"}


class _Truth(Protocol):
    outcome: str
    fault: str | None
    faulty_nodes: Any
    faulty_ranks: Any
    stage: str | None
    last_iteration: int | None
    last_durable_checkpoint: int | None
    category: str | None


def escaped(text: str) -> str:
    """Show control characters as escapes: a log must not drive the terminal."""
    return "".join(c if c == "\t" or (c.isprintable()) else f"\\x{ord(c):02x}" for c in text)


def show(found: Diagnosis, *, strip: str = "") -> None:
    """Print a diagnosis for a person."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    colour = _COLOUR.get(found.outcome, "yellow")
    console.print(Text.assemble((found.outcome.upper(), f"bold {colour}"), "  ", found.cause["title"]))
    for name, value in _facts(found):
        console.print(Text.assemble((f"  {name:<12}", "dim"), value))
    console.print(Text.assemble((f"  {'what to do':<12}", "dim"), (_VERDICT[found.action["verdict"]], "bold")))
    if found.action["exclude_nodes"]:
        console.print(Text(f"  {'exclude':<12}" + ", ".join(found.action["exclude_nodes"][:16])))
    if found.cause["advice"]:
        console.print(Text(f"  {'advice':<12}{found.cause['advice']}"))
    if found.events:
        console.print(Text("\nEvidence", style="bold"))
    shown = 0
    for event in found.events:
        if shown >= 8 and event["role"] != "root":
            continue
        shown += 1
        _show_event(console, event, strip)
    if len(found.events) > shown:
        console.print(Text(f"  ... and {len(found.events) - shown} more kinds of lines (--json, --lines)", style="dim"))
    for note in found.coverage["notes"]:
        console.print(Text(f"  note: {note}", style="dim"))
    timing = found.timing
    console.print(
        Text(
            f"\n{found.job['files']} files, {found.job['lines']:,} lines, {found.job['bytes'] / 1e6:.1f} MB"
            f" in {timing['total_s']:.2f} s",
            style="dim",
        )
    )


def _facts(found: Diagnosis) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if found.outcome not in ("finished", "running"):
        facts.append(("category", f"{found.cause['category']} (confidence {found.cause['confidence']:.0%})"))
        where = ", ".join(n["node"] for n in found.nodes[:8]) or "nobody in particular, or cannot tell"
        facts.append(("node", where))
        if found.ranks:
            facts.append(("rank", ", ".join(str(r["rank"]) for r in found.ranks[:8])))
    it, ck = found.iterations, found.checkpoint
    facts.append(("stage", found.stage["name"]))
    done = "none" if it["last_completed"] is None else str(it["last_completed"])
    if it["total"]:
        done += f" of {it['total']}"
    if it["median_seconds"]:
        done += f", {it['median_seconds']:.3g} s each"
    facts.append(("iteration", done))
    durable = "none" if ck["last_durable"] is None else str(ck["last_durable"])
    if ck["last_accepted"] not in (None, ck["last_durable"]):
        durable += f" (begun or accepted: {ck['last_accepted']})"
    facts.append(("checkpoint", durable))
    return facts


def _show_event(console: Console, event: dict[str, Any], strip: str) -> None:
    first = event["first"]
    colour = {"root": "red", "consequence": "yellow"}.get(event["role"], "dim")
    who = ""
    if event["n_ranks"]:
        ranks = ", ".join(map(str, event["ranks"][:4]))
        who = f" rank{'s' if event['n_ranks'] > 1 else ''} {ranks}{' ...' if event['n_ranks'] > 4 else ''}"
    console.print(
        Text.assemble(
            "  ", (f"{event['role']:<11}", colour), f" {event['count']}x{who}  ", (escaped(first["text"].strip())[:160])
        )
    )
    place = first["file"].removeprefix(strip)
    console.print(Text(f"              {escaped(place)}:{first['line']} (byte {first['offset']})", style="dim"))


def show_truth(truth: _Truth, found: Diagnosis) -> None:
    """Print what was planted beside what was found."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print(Text("Truth            planted -> found", style="bold"))
    rows = [
        ("outcome", truth.outcome, "success" if found.outcome == "finished" else "failure"),
        ("category", truth.category, None if found.outcome == "finished" else found.cause["category"]),
        ("nodes", sorted(truth.faulty_nodes), [n["node"] for n in found.nodes]),
        ("ranks", sorted(truth.faulty_ranks), [r["rank"] for r in found.ranks]),
        ("stage", truth.stage, found.stage["name"]),
        ("iteration", truth.last_iteration, found.iterations["last_completed"]),
        ("checkpoint", truth.last_durable_checkpoint, found.checkpoint["last_durable"]),
    ]
    for name, planted, got in rows:
        same = planted == got or (name == "stage" and planted is None)
        mark = ("=", "green") if same else ("!", "red")
        console.print(Text.assemble("  ", mark, f" {name:<12} {planted} -> {got}"))
