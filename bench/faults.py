"""Score l4fast on simulated failures: every fault in every style, several seeds.

usage: python bench/faults.py [--styles a,b] [--faults x,y] [--seeds N] [--first-seed N] [--nodes N]
                              [--baseline] [--half even|odd|all] [--per-run]

The grid is cut in two halves by a hash of (fault, style, seed): tune on one, report the other.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import defaultdict
from hashlib import blake2b
from pathlib import Path
from types import SimpleNamespace

import orjson
from l4fast.library import load
from l4fast.simulate import FAULTS, STYLES, simulate
from l4fast.stream import diagnose, learn


def half(fault: str | None, style: str, seed: int) -> str:
    """Return which half of the grid a run belongs to, told by a hash of its name."""
    return ("even", "odd")[blake2b(f"{fault}/{style}/{seed}".encode(), digest_size=1).digest()[0] % 2]


def score(truth, found, root: Path) -> dict[str, bool | tuple[int, int, int] | None]:
    wanted = {(x["file"], x["line"]) for x in truth.failure_lines}
    neutral = {(c["file"], n) for c in truth.context_lines for a, b in c["ranges"] for n in range(a, b + 1)}
    prefix = str(root) + "/"
    told = {(x["file"].removeprefix(prefix), x["line"]) for x in found.failure_rows} - neutral
    nodes = [n["node"] for n in found.nodes]
    ranks = [r["rank"] for r in found.ranks]
    roots = {(x["file"], x["line"]) for x in truth.root_lines}
    order = [
        (e["first"]["file"].removeprefix(prefix), e["first"]["line"])
        for e in found.events
        if e["role"] == "root"
    ]
    accepted = truth.accepted or {}

    def ok(key: str, value: object, want: object) -> bool:
        return value == want or value in accepted.get(key, ())

    result = {
        "outcome": (found.outcome == "finished") == (truth.outcome == "success"),
        "lines": (len(told & wanted), len(told - wanted), len(wanted - told)),
        "stage": ok("stage", found.stage["name"], truth.stage) if truth.stage else None,
        "last": found.iterations["last_completed"] == truth.last_iteration,
        "durable": found.checkpoint["last_durable"] == truth.last_durable_checkpoint,
        "category": ok("category", found.cause["category"], truth.category) if truth.category else None,
        "verdict": ok("verdict", found.action["verdict"], truth.verdict),
        "root first": bool(roots & set(order[:1])) if roots else None,
        "innocent": not set(found.action["exclude_nodes"]) - set(truth.faulty_nodes),
    }
    if truth.faulty_nodes and truth.node_evidence != "none":
        result["node"] = bool(nodes[:1]) and nodes[0] in truth.faulty_nodes
        result["rank"] = bool(ranks[:1]) and ranks[0] in truth.faulty_ranks if truth.faulty_ranks else None
    elif not truth.faulty_nodes:
        result["nobody"] = not nodes
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--styles", default=",".join(STYLES))
    parser.add_argument("--faults", default=",".join(("healthy", *FAULTS)))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--baseline", action="store_true", help="learn a healthy job of the style first")
    parser.add_argument("--half", choices=("even", "odd", "all"), default="all")
    parser.add_argument("--per-run", action="store_true")
    parser.add_argument("--keep", help="keep the simulated jobs under this folder")
    options = parser.parse_args()
    library = load()
    folder = Path(options.keep or tempfile.mkdtemp(prefix="l4fast-faults-"))
    totals: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    lines: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    try:
        for style in options.styles.split(","):
            known = None
            if options.baseline:
                simulate(folder / f"{style}-base", style=style, nodes=options.nodes, iterations=120, seed=999)
                known = learn([str(folder / f"{style}-base" / "logs")], library)
            for name in options.faults.split(","):
                for seed in range(options.first_seed, options.first_seed + options.seeds):
                    fault = None if name == "healthy" else name
                    if options.half != "all" and half(fault, style, seed) != options.half:
                        continue
                    out = folder / f"{style}-{name}-{seed}"
                    if out.exists():
                        shutil.rmtree(out)
                    simulate(out, style=style, nodes=options.nodes, iterations=120, fault=fault, seed=seed)
                    truth = SimpleNamespace(**orjson.loads((out / "truth.json").read_bytes()))
                    found = diagnose([str(out / "logs")], known, library=library)
                    marks = score(truth, found, out / "logs")
                    tp, fp, fn = marks.pop("lines")
                    lines[style].append((tp, fp, fn))
                    wrong = [k for k, v in marks.items() if v is False]
                    if options.per_run and (wrong or fp or fn):
                        print(f"{style:9} {name:18} {seed} lines {tp}/{fp}/{fn} wrong: {', '.join(wrong)}")
                    for key, value in marks.items():
                        if value is not None:
                            totals[style][key].append(bool(value))
                    if not options.keep:
                        shutil.rmtree(out)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    keys = sorted({key for found in totals.values() for key in found})
    print(f"\n{'':12}" + "".join(f"{s:>16}" for s in totals))
    for key in keys:
        cells = [f"{sum(v)}/{len(v)}" if (v := totals[s][key]) else "-" for s in totals]
        print(f"{key:12}" + "".join(f"{c:>16}" for c in cells))
    cells = []
    for style in totals:
        tp, fp, fn = (sum(x[i] for x in lines[style]) for i in range(3))
        cells.append(f"{2 * tp / max(2 * tp + fp + fn, 1):.3f}")
    print(f"{'line F1':12}" + "".join(f"{c:>16}" for c in cells))


if __name__ == "__main__":
    main()
