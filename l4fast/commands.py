"""What each command does once its arguments are read."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import orjson

from l4fast.errors import DataError, L4Error, UsageError
from l4fast.source import Unreadable
from l4fast.targets import check_target, replaced, scratch
from l4fast.terminal import answering, escaped, print_json, say, ticking, warn

if TYPE_CHECKING:
    from l4fast.crossjob import Baseline


def diagnose(options: Namespace) -> int:
    from l4fast.library import load
    from l4fast.stream import diagnose as run

    if options.lines is not None:
        check_target(options.lines)
        _check_apart(options.lines, [*options.paths, *options.baseline, *options.signatures])
    library = load(options.signatures, mute=options.mute)
    with ticking(options.paths, "reading") as tick:
        found = run(
            options.paths, options.baseline or None, workers=options.workers, library=library, tick=tick
        )
    for problem in found.coverage["unreadable"]:
        warn(problem["file"], problem["reason"])
    written = options.lines is None or _wrote_lines(options.lines, found.failure_rows)
    if options.json:
        print_json(found.to_dict())
    else:
        from l4fast.answer import show

        with answering():
            show(found)
    options.answered()
    # A verdict would say that all that was asked for is there.
    return found.exit_code if written else L4Error.exit_code


def _check_apart(target: str, paths: list[str]) -> None:
    """Refuse to write over what is to be read, before it is read."""
    from l4fast.overwriting import led_to

    if path := led_to(target, paths):
        raise UsageError(f"{target} is to be read ({path}): name another file to write to", target)


def _wrote_lines(path: str, lines: list[dict[str, object]]) -> bool:
    """Write the lines; say where they cannot be written, for the answer is there all the same."""
    try:
        write_lines(path, lines)
    except BrokenPipeError:
        pass  # whoever reads them wants no more
    except OSError as error:
        say(f"l4fast: {escaped(path)} cannot be written: {error.strerror or error}")
        return False
    return True


def write_lines(path: str, lines: list[dict[str, object]]) -> None:
    """Write one JSON object a line."""
    with replaced(path) as out:
        for line in lines:
            out.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def baseline_learn(options: Namespace) -> int:
    from l4fast.diagnose import tell
    from l4fast.library import load
    from l4fast.stream import baseline_of, read

    check_target(options.out)
    _check_apart(options.out, [*options.paths, *options.signatures])
    library = load(options.signatures, mute=options.mute)
    for problem in library.problems:
        warn(problem.file, problem.reason)
    merged = None
    with ticking(options.paths, "learning") as tick:
        for path in options.paths:
            got = read([path], library, tick=tick)
            for problem in (*got.found.unreadable, *got.problems):
                warn(problem.file, problem.reason)
            story = tell(got.job, library, None)
            if story.outcome in ("failed", "hung"):
                warn(path, _not_healthy([root.title for root in story.verdict.roots]))
            one = baseline_of(got.job)
            merged = one if merged is None else merged.merge(one)
    assert merged is not None
    return _save(merged, options.out)


def _not_healthy(titles: list[str]) -> str:
    seen = f" ({titles[0]})" if titles else ""
    return f"a failure is seen in it{seen}: what it says will be none in other jobs; learn from healthy ones"


def baseline_merge(options: Namespace) -> int:
    from l4fast.crossjob import Baseline

    check_target(options.out)
    merged = Baseline.load(options.paths[0])
    for path in options.paths[1:]:
        merged = merged.merge(Baseline.load(path))
    return _save(merged, options.out)


def _save(baseline: Baseline, path: str) -> int:
    baseline.save(path)
    say(f"{escaped(path)}: {_jobs(baseline)}, {len(baseline.shapes)} shapes")
    return 0


def _jobs(baseline: Baseline) -> str:
    return f"{baseline.jobs} healthy job{'' if baseline.jobs == 1 else 's'}"


def baseline_show(options: Namespace) -> int:
    from l4fast.crossjob import Baseline

    found = Baseline.load(options.path)
    rows = sorted(found.shapes.items(), key=lambda item: (-item[1].lines, item[0]))
    if options.json:
        print_json(
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
    print(f"{_jobs(found)}, {len(rows)} shapes, {sum(k.lines for _, k in rows)} lines")
    for text, known in rows[:40]:
        print(f"{known.lines:>10}  {known.jobs:>3}  {escaped(text[:120])}")
    if len(rows) > 40:
        print(f"... and {len(rows) - 40} more (--json lists all)")
    return 0


def templates(options: Namespace) -> int:
    from l4fast.library import load
    from l4fast.stream import read
    from l4fast.templates import count

    with ticking(options.paths, "reading") as tick:
        got = read(options.paths, load(), workers=options.workers, tick=tick)
    for problem in (*got.found.unreadable, *got.problems):
        warn(problem.file, problem.reason)
    if collapse := got.job.told_of_collapse():
        warn("vocabulary", collapse)
    counts = {s.text: int(n) for s, n in zip(got.job.shapes, got.job.shape_count, strict=True)}
    found = count(counts)
    if options.json:
        print_json(
            {
                "schema": "l4fast.templates/1",
                "templates": [
                    {"template_id": t.id, "template": t.text, "count": n, "shapes": k} for t, n, k in found
                ],
            }
        )
        return 0
    for template, n, _ in found:
        print(f"{n:>10}  {template.id}  {escaped(template.text)}")
    return 0


def parse(options: Namespace) -> int:
    from l4fast.write import write

    with ticking(options.paths, "parsing") as tick:
        report = write(options.paths, options.out, text=options.text, params=options.params, tick=tick)
    for problem in report.unreadable:
        warn(problem.file, problem.reason)
    if report.collapsed:
        warn("vocabulary", report.collapsed)
    say(f"{escaped(report.out)}: {report.lines} lines, {report.templates} templates")
    return 0


def simulate(options: Namespace) -> int:
    from l4fast.simulate import FAULTS, STYLES
    from l4fast.simulate import simulate as run

    if options.fault == "list" or options.style == "list":
        print("styles: " + " ".join(STYLES))
        print("faults: " + " ".join(FAULTS))
        return 0
    if options.out is None:
        raise UsageError("where to? name a new folder with -o (see `l4fast simulate --help`)")
    truth = run(
        options.out,
        style=options.style,
        nodes=options.nodes,
        ranks_per_node=options.ranks_per_node,
        iterations=options.iterations,
        fault=options.fault,
        seed=options.seed,
        clock_skew_s=options.clock_skew,
        culprits=options.culprits,
        kernel_logs=not options.no_kernel_logs,
    )
    out = escaped(options.out)
    say(f"{out}/logs: {truth.outcome}, truth in {out}/truth.json")
    return 0


def demo(options: Namespace) -> int:
    from l4fast.answer import show, show_truth
    from l4fast.simulate import simulate as run
    from l4fast.stream import diagnose as ask

    if options.ranks < 8 or options.ranks % 8:
        raise UsageError(f"--ranks must be a multiple of 8, not {options.ranks}")
    with scratch("l4fast-demo-") as folder:
        begun = time.perf_counter()
        fault = None if options.fault == "none" else options.fault
        out = os.path.join(folder, "job")
        truth = run(
            out,
            style=options.style,
            nodes=options.ranks // 8,
            ranks_per_node=8,
            fault=fault,
            seed=options.seed,
        )
        wrote = time.perf_counter()
        print(
            f"Simulated {options.ranks} ranks ({options.style}, fault: {fault}) in {wrote - begun:.1f} s.\n"
        )
        found = ask([os.path.join(out, "logs")], workers=min(2, os.cpu_count() or 1))
        show(found, strip=os.path.join(out, "logs") + os.sep)
        print()
        show_truth(truth, found)
    return 0


def bench_loghub(options: Namespace) -> int:
    from l4fast.loghub import average, find, run, table
    from l4fast.logparser import warm

    sets, skipped = find(options.datasets, labels=options.labels)
    results = []
    warm()
    with ticking([each.log for each in sets], "parsing") as tick:
        for each in sets:
            got = run(each, out=options.out, tick=tick)
            if isinstance(got, Unreadable):
                skipped.append(got)
            else:
                results.append(got)
    for problem in skipped:
        warn(problem.file, problem.reason)
    if not results:
        raise DataError(f"{options.datasets}: no data set could be read", options.datasets)
    if options.json:
        print_json(
            {
                "schema": "l4fast.loghub/1",
                "sets": [result.to_dict() for result in results],
                "average": average(results),
                "skipped": [{"file": problem.file, "reason": problem.reason} for problem in skipped],
            }
        )
    else:
        print("\n".join(table(results)))
    return 0


def warmup(options: Namespace) -> int:
    from l4fast.logparser import warm
    from l4fast.signature_cache import cache_folder
    from l4fast.simulate import simulate as run
    from l4fast.stream import diagnose as ask
    from l4fast.write import write
    from l4fast_kernels.cache import folders

    begun = time.perf_counter()
    with scratch("l4fast-warmup-") as folder:
        for number, fault in enumerate((None, "checkpoint-stall", "nan")):
            job = folder / str(number)
            run(job, style="megatron", nodes=2, ranks_per_node=4, iterations=60, fault=fault, seed=1)
            ask([str(job / "logs")])
        write(job / "logs", folder / "lines.parquet", params=True)
        odd = folder / "odd.log"
        odd.write_text("".join(_odd_lines()))
        ask([str(odd)])
        write(odd, folder / "odd.parquet", text=True)
        warm()
    print(f"kernels and failure library are compiled and cached ({time.perf_counter() - begun:.1f} s)")
    shelf = cache_folder()
    places = [*folders(), *([str(shelf)] if shelf is not None and shelf.is_dir() else [])]
    print("in " + " and ".join(map(escaped, dict.fromkeys(places))) if places else "for this run only")
    return 0


def _odd_lines() -> Iterator[str]:
    """Yield what small logs lack: colours, many ranks, and a kind of lines with ever new words."""
    yield "\x1b[31m2026-03-02 10:00:00 ERROR\x1b[0m out of words\n"
    for rank, (a, b, c) in enumerate(product("abcdefghijklmnop", repeat=3)):
        yield f"2026-03-02 10:00:00 INFO [Rank {rank}] user{a}{b}{c} logged in on {c}{b}{a}host\n"
