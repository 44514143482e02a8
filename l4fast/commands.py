"""What each command does once its arguments are read."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path

import orjson

from l4fast.cli import ticking
from l4fast.errors import UsageError


def _print_json(value: object) -> None:
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


def _total_bytes(paths: list[str]) -> int | None:
    total = 0
    for path in paths:
        if path == "-":
            return None
        for folder, _, names in os.walk(path) if os.path.isdir(path) else [("", [], [path])]:
            total += sum(os.path.getsize(p) for n in names if os.path.isfile(p := os.path.join(folder, n)))
    return total


def diagnose(options: Namespace) -> int:
    from l4fast.stream import diagnose as run

    with ticking(_total_bytes(options.paths), "reading") as tick:
        found = run(options.paths, options.baseline or None, workers=options.workers, tick=tick)
    for problem in found.coverage["unreadable"]:
        print(f"l4fast: warning: {problem['file']}: {problem['reason']}", file=sys.stderr)
    if options.lines:
        write_lines(options.lines, found.failure_rows)
    if options.json:
        _print_json(found.to_dict())
    else:
        from l4fast.answer import show

        show(found)
    return found.exit_code


def write_lines(path: str, lines: list[dict[str, object]]) -> None:
    """Write one JSON object a line, aside first: an interrupted run leaves no half file."""
    target = Path(path)
    if not target.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no directory {target.parent}")
    descriptor, aside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as out:
            for line in lines:
                out.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        os.chmod(aside, 0o644)
        os.replace(aside, target)
    except BaseException:
        os.unlink(aside)
        raise


def baseline_learn(options: Namespace) -> int:
    from l4fast.library import load
    from l4fast.stream import learn

    library = load()
    merged = None
    with ticking(_total_bytes(options.paths), "learning") as tick:
        for path in options.paths:
            one = learn([path], library, tick=tick)
            merged = one if merged is None else merged.merge(one)
    assert merged is not None
    _save(merged, options.out)
    print(f"{options.out}: {merged.jobs} healthy jobs, {len(merged.shapes)} shapes", file=sys.stderr)
    return 0


def _save(baseline: object, path: str) -> None:
    parent = Path(path).parent
    if not parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no directory {parent}")
    baseline.save(path)  # type: ignore[attr-defined]


def baseline_merge(options: Namespace) -> int:
    from l4fast.crossjob import Baseline

    merged = Baseline.load(options.paths[0])
    for path in options.paths[1:]:
        merged = merged.merge(Baseline.load(path))
    _save(merged, options.out)
    print(f"{options.out}: {merged.jobs} healthy jobs, {len(merged.shapes)} shapes", file=sys.stderr)
    return 0


def baseline_show(options: Namespace) -> int:
    from l4fast.crossjob import Baseline

    found = Baseline.load(options.path)
    rows = sorted(found.shapes.items(), key=lambda item: (-item[1].lines, item[0]))
    if options.json:
        _print_json(
            {
                "schema": "l4fast.baseline/1",
                "jobs": found.jobs,
                "shapes": [
                    {"shape": text, "jobs": k.jobs, "lines": k.lines, "most_in_a_job": k.most}
                    for text, k in rows
                ],
            }
        )
        return 0
    print(f"{found.jobs} healthy jobs, {len(rows)} shapes, {sum(k.lines for _, k in rows)} lines")
    for text, known in rows[:40]:
        print(f"{known.lines:>10}  {known.jobs:>3}  {text[:120]}")
    if len(rows) > 40:
        print(f"... and {len(rows) - 40} more (--json lists all)")
    return 0


def templates(options: Namespace) -> int:
    from l4fast.library import load
    from l4fast.stream import read
    from l4fast.templates import count

    with ticking(_total_bytes(options.paths), "reading") as tick:
        got = read(options.paths, load(), workers=options.workers, tick=tick)
    for problem in (*got.found.unreadable, *got.problems):
        print(f"l4fast: warning: {problem.file}: {problem.reason}", file=sys.stderr)
    counts = {s.text: int(n) for s, n in zip(got.job.shapes, got.job.shape_count, strict=True)}
    found = count(counts)
    if options.json:
        _print_json(
            {
                "schema": "l4fast.templates/1",
                "templates": [
                    {"template_id": t.id, "template": t.text, "count": n, "shapes": k} for t, n, k in found
                ],
            }
        )
        return 0
    for template, n, _ in found:
        print(f"{n:>10}  {template.id}  {template.text}")
    return 0


def parse(options: Namespace) -> int:
    from l4fast.write import write

    with ticking(_total_bytes(options.paths), "parsing") as tick:
        report = write(options.paths, options.out, text=options.text, params=options.params, tick=tick)
    for problem in report.unreadable:
        print(f"l4fast: warning: {problem.file}: {problem.reason}", file=sys.stderr)
    print(f"{report.out}: {report.lines} lines, {report.templates} templates", file=sys.stderr)
    return 0


def simulate(options: Namespace) -> int:
    from l4fast.simulate import FAULTS, STYLES
    from l4fast.simulate import simulate as run

    if options.fault == "list" or options.style == "list":
        print("styles: " + " ".join(STYLES))
        print("faults: " + " ".join(FAULTS))
        return 0
    truth = run(
        options.out,
        style=options.style,
        nodes=options.nodes,
        ranks_per_node=options.ranks_per_node,
        iterations=options.iterations,
        fault=options.fault,
        seed=options.seed,
    )
    print(f"{options.out}/logs: {truth.outcome}, truth in {options.out}/truth.json", file=sys.stderr)
    return 0


def demo(options: Namespace) -> int:
    from l4fast.answer import show, show_truth
    from l4fast.simulate import simulate as run
    from l4fast.stream import diagnose as ask

    if options.ranks < 8 or options.ranks % 8:
        raise UsageError(f"--ranks must be a multiple of 8, not {options.ranks}")
    folder = tempfile.mkdtemp(prefix="l4fast-demo-")
    try:
        begun = time.perf_counter()
        fault = None if options.fault == "none" else options.fault
        out = os.path.join(folder, "job")
        truth = run(
            out, style=options.style, nodes=options.ranks // 8, ranks_per_node=8, fault=fault, seed=options.seed
        )
        wrote = time.perf_counter()
        print(f"Simulated {options.ranks} ranks ({options.style}, fault: {fault}) in {wrote - begun:.1f} s.\n")
        found = ask([os.path.join(out, "logs")], workers=min(2, os.cpu_count() or 1))
        show(found, strip=os.path.join(out, "logs") + os.sep)
        print()
        show_truth(truth, found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def bench_loghub(options: Namespace) -> int:
    raise UsageError("`bench loghub` is not part of this version yet")


def warmup(options: Namespace) -> int:
    from l4fast.simulate import simulate as run
    from l4fast.stream import diagnose as ask

    begun = time.perf_counter()
    folder = tempfile.mkdtemp(prefix="l4fast-warmup-")
    try:
        out = os.path.join(folder, "job")
        run(out, style="megatron", nodes=2, ranks_per_node=4, iterations=20, fault="nan", seed=1)
        ask([os.path.join(out, "logs")])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"kernels and failure library are compiled and cached ({time.perf_counter() - begun:.1f} s)")
    return 0
