"""The readable answer: what, where, when, evidence, what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.text import Text

from l4fast.diagnosis import Diagnosis
from l4fast.terminal import escaped

if TYPE_CHECKING:
    from l4fast.simulate_truth import Truth

_VERDICT = {
    "none": "nothing to do",
    "restart": "restart the job",
    "restart_excluding": "restart without the named nodes",
    "resume_older_checkpoint": "resume from an older checkpoint",
    "stop": "stop: a restart would fail again",
    "unknown": "unknown: look at the evidence",
}
MOST_CHARS = 240  # of a line of evidence: some programs put long names before what they have to say
_COLOUR = {"finished": "green", "running": "green", "failed": "red", "hung": "red", "slow": "yellow"}


@contextmanager
def _page() -> Iterator[Console]:
    """Collect what is printed and write it at once: rich itself ends the process if a pipe breaks."""
    # rich leaves bold and dim words where NO_COLOR is set.
    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True, color_system=colours)
    with console.capture() as printed:
        yield console
    sys.stdout.write(printed.get())
    sys.stdout.flush()


def show(found: Diagnosis, *, strip: str = "") -> None:
    """Print a diagnosis for a person."""
    with _page() as console:
        _show(console, found, strip)


def _show(console: Console, found: Diagnosis, strip: str) -> None:
    colour = _COLOUR.get(found.outcome, "yellow")
    console.print(
        Text.assemble((found.outcome.upper(), f"bold {colour}"), "  ", escaped(found.cause["title"]))
    )
    for name, value in _facts(found):
        console.print(Text.assemble((f"  {name:<12}", "dim"), escaped(value)))
    console.print(
        Text.assemble((f"  {'what to do':<12}", "dim"), (_VERDICT[found.action["verdict"]], "bold"))
    )
    if found.action["exclude_nodes"]:
        console.print(
            Text.assemble((f"  {'exclude':<12}", "dim"), _listed(found.action["exclude_nodes"], 16))
        )
    if found.cause["advice"]:
        console.print(Text.assemble((f"  {'advice':<12}", "dim"), escaped(found.cause["advice"])))
    if found.events:
        console.print(Text("\nEvidence", style="bold"))
    shown = 0
    for event in found.events:
        if shown >= 8 and event["role"] != "root":
            continue
        shown += 1
        _show_event(console, event, strip)
    if len(found.events) > shown:
        console.print(
            Text(f"  ... and {len(found.events) - shown} more kinds of lines (--json, --lines)", style="dim")
        )
    for note in found.coverage["notes"]:
        console.print(Text(f"  note: {escaped(note)}", style="dim"))
    timing = found.timing
    console.print(
        Text(
            f"\n{_counted(found.job['files'], 'file')}, {_counted(found.job['lines'], 'line')},"
            f" {_size(found.job['bytes'])} in {timing['total_s']:.2f} s",
            style="dim",
        )
    )


def _facts(found: Diagnosis) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if found.outcome not in ("finished", "running"):
        facts.append(("category", f"{found.cause['category']} (confidence {found.cause['confidence']:.0%})"))
        facts.append(("node", _listed([n["node"] for n in found.nodes], 8) or _whose(found)))
        if found.ranks:
            facts.append(("rank", _listed([str(r["rank"]) for r in found.ranks], 8)))
        if found.nodes and found.nodes[0]["reasons"]:
            facts.append(("because", f"{found.nodes[0]['node']} {found.nodes[0]['reasons'][0]}"))
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
    if found.outcome in ("running", "unknown") and found.job["last_time"] is not None:
        facts.append(("log ends", f"{found.job['last_time']}, or goes on where it was not copied"))
    return facts


def _whose(found: Diagnosis) -> str:
    """Say why no node is named: it is no node's fault, or the logs do not tell whose."""
    theirs = found.cause["category"].startswith(("user", "data", "preemption"))
    if theirs or any("no node to blame" in note for note in found.coverage["notes"]):
        return "nobody in particular"
    return "cannot tell"


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 100_000 else f"{n_bytes / 1e3:.1f} kB"


def _listed(names: list[str], most: int) -> str:
    return escaped(", ".join(names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def _show_event(console: Console, event: dict[str, Any], strip: str) -> None:
    first = event["first"]
    colour = {"root": "red", "consequence": "yellow"}.get(event["role"], "dim")
    who = ""
    if event["n_ranks"]:
        ranks = ", ".join(map(str, event["ranks"][:4]))
        who = f" rank{'s' if event['n_ranks'] > 1 else ''} {ranks}{' ...' if event['n_ranks'] > 4 else ''}"
    console.print(
        Text.assemble(
            "  ",
            (f"{event['role']:<11}", colour),
            f" {event['count']}x{who}  ",
            (escaped(first["text"].strip())[:MOST_CHARS]),
        )
    )
    place = first["file"].removeprefix(strip)
    console.print(
        Text(f"              {escaped(place)}:{first['line']} (byte {first['offset']})", style="dim")
    )


def _outcome(found: Diagnosis) -> str:
    """The outcome in the words of a truth file, which knows success, slow and failure."""
    return {"finished": "success", "running": "success", "slow": "slow"}.get(found.outcome, "failure")


def show_truth(truth: Truth, found: Diagnosis) -> None:
    """Print what was planted beside what was found: ``=`` the same, ``~`` as good, ``!`` wrong."""
    healthy = found.outcome in ("finished", "running")
    rows: list[tuple[str, object, object]] = [
        ("outcome", truth.outcome, _outcome(found)),
        ("category", truth.category, None if healthy else found.cause["category"]),
        ("nodes", list(truth.faulty_nodes), [n["node"] for n in found.nodes]),
        ("ranks", list(truth.faulty_ranks), [r["rank"] for r in found.ranks]),
        ("stage", truth.stage, found.stage["name"]),
        ("iteration", truth.last_iteration, found.iterations["last_completed"]),
        ("checkpoint", truth.last_durable_checkpoint, found.checkpoint["last_durable"]),
        ("verdict", truth.verdict, found.action["verdict"]),
    ]
    with _page() as console:
        console.print(Text("Truth            planted -> found", style="bold"))
        for name, planted, got in rows:
            right = planted == got or got in truth.accepted.get(name, ())
            if name in ("nodes", "ranks") and isinstance(planted, list) and isinstance(got, list):
                # Who is named first counts; nobody is right where the logs do not tell.
                right = got[0] in planted if got else not planted or truth.node_evidence == "none"
            mark = ("=", "green") if right else ("!", "red")
            if right and planted != got and (got or planted):
                mark = ("~", "green")
            console.print(Text.assemble("  ", mark, f" {name:<12} {planted} -> {escaped(str(got))}"))
