"""What the failure library costs, and what it is worth.

    python bench/library.py cost [INPUT ...] [--mb 500] [--rounds 5] [--data ../shared/data]
    python bench/library.py worth [--sample 120] [--half tune] [--workers N] [--data ../shared/data]

**Cost.** Each INPUT (a name of `speed`, or `failures`: the logs of the real failures in the folder
``faultlab``, amplified) is read with no signature, with the markers alone (without which no iteration is
counted) and with all, after all three gave the same shapes and the same counts. The three and the parser
alone take turns, each warm, best of ``rounds``, in seconds of CPU time of the one thread that reads: others
may use the machine. `longer` is how much longer the read with all is than that with markers of the same
round, the median. A difference of two whole reads holds the noise of both, so what the library is asked is
timed by itself too: `asking` is the time in `reader.look`, for each new raw shape, less the same with no
signature. A library is loaded anew for each round and `re` forgets its patterns: what a command pays, it
pays here.

**Worth.** See `library_worth`.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any
from unittest.mock import patch

from l4fast import reader
from l4fast.chunks import chunks
from l4fast.database import compiled
from l4fast.discovery import discover
from l4fast.library import Library, load
from l4fast.parse import Parser
from l4fast.stream import CHUNK_BYTES, read

import inputs
import library_worth
import speed

FAILURES = "failures"  # the input made of real failures
LLM = ("SMC", "Dell", "simulated", FAILURES)


def parse_alone(path: Path) -> None:
    """Feed a new parser, which is nobody's part and asks nobody."""
    parser, line = Parser(), 1
    for chunk in chunks(discover([str(path)]).streams[0], chunk_bytes=CHUNK_BYTES):
        cols = parser.feed(
            chunk.data, chunk.size, stream=0, offset=chunk.offset, first_line=line, last=chunk.last
        )
        line += cols.n_lines


def fresh() -> Library:
    """Return the packaged library as a new process has it: no signature made, no pattern compiled."""
    re.purge()
    return load()


def took(run: Callable[[], object]) -> float:
    begin = process_time()
    run()
    return process_time() - begin


def asked(path: Path, library: Library) -> tuple[int, int, float]:
    """Read once; return about how many raw shapes the library was asked, knew, and the seconds."""
    spent, hits = [], 0
    look = reader.look

    def timed(*arguments: Any) -> Any:
        nonlocal hits
        begin = process_time()
        answer = look(*arguments)
        spent.append(process_time() - begin)
        hits += bool(answer[0].failures or answer[0].markers)
        return answer

    with patch("l4fast.reader.look", timed):
        read([str(path)], library)
    return len(spent), hits, sum(spent)


def markers() -> Library:
    """Return the packaged markers alone: progress, stages, checkpoints, identities."""
    return Library(s for s in load().signatures.values() if s.role == "marker")


def check(path: Path) -> tuple[int, int]:
    """Hold shapes and counts the same whatever the library knows; return lines and shapes."""
    full, *others = (read([str(path)], library).job for library in (fresh(), markers(), Library([])))
    for other in others:
        assert [s.id for s in full.shapes] == [s.id for s in other.shapes]
        assert full.shape_count.tolist() == other.shape_count.tolist()
    return int(full.shape_count.sum()), len(full.shapes)


def cost(name: str, path: Path, rounds: int) -> str:
    """Race reads with three libraries and the parser alone; return a row of the table."""
    lines, shapes = check(path)
    marks = markers()
    alone = none = bare = full = knowing = ignorant = 1e9
    longer = []
    for _ in range(rounds):
        alone = min(alone, took(lambda: parse_alone(path)))
        none = min(none, took(lambda: read([str(path)], Library([]))))
        with_markers = took(lambda: read([str(path)], marks))
        library = fresh()
        with_all = took(lambda library=library: read([str(path)], library))  # type: ignore[misc]
        bare, full = min(bare, with_markers), min(full, with_all)
        longer.append(with_all / with_markers - 1)
        looks, hits, spent = asked(path, fresh())
        knowing = min(knowing, spent)
        ignorant = min(ignorant, asked(path, Library([]))[2])
    asking = knowing - ignorant
    return (
        f"{name:12}{path.stat().st_size / 1e6:>5.0f}{lines / 1e6:>8.2f}{shapes:>8}{looks:>8}{hits:>7}"
        f"{alone:>9.3f}{none:>8.3f}{bare:>9.3f}{full:>8.3f}{100 * median(longer):>8.1f} %"
        f"{1e3 * asking:>10.1f}{1e6 * asking / looks:>9.0f}{100 * asking / alone:>9.2f} %"
        f"{100 * asking / none:>7.2f} %"
    )


HEAD = (
    f"{'':12}{'MB':>5}{'M lines':>8}{'shapes':>8}{'looked':>8}{'known':>7}{'parser':>9}{'none':>8}"
    f"{'markers':>9}{'all':>8}{'longer':>10}{'asking ms':>10}{'us each':>9}{'of parser':>11}{'of read':>9}"
)


def about_loading() -> list[str]:
    """Say how large the library is, and how long it takes to load and to make."""
    library = load()
    signatures = list(library.signatures.values())
    loaded = min(took(load) for _ in range(50))
    made = min(took(lambda: compiled(signatures)) for _ in range(2))
    with tempfile.TemporaryDirectory() as place, patch.dict("os.environ", XDG_CACHE_HOME=place):
        first = took(load)
        (kept,) = Path(place, "l4fast").iterdir()
        size = kept.stat().st_size
    return [
        f"{len(signatures):,} signatures; database {len(library._serialised()) / 1e6:.1f} MB, "
        f"cache file {size / 1e6:.1f} MB",
        f"loaded from the cache in {1e3 * loaded:.1f} ms; made anew in {first:.1f} s, of which Hyperscan "
        f"compiles {made:.1f} s",
    ]


@contextmanager
def made(name: str, data: Path, size: int) -> Iterator[Path | None]:
    """Yield the file of an input, then remove it; None if there is none."""
    if name != FAILURES:
        with speed.made(name, data, size, heads=False) as there:
            yield None if there is None else there[0]
        return
    logs = [path for path in sorted((data / "faultlab" / "logs").rglob("*")) if path.is_file()]
    with tempfile.TemporaryDirectory() as place:
        out = Path(place, "input.log")
        if logs:
            inputs.amplify(b"\n".join(log.read_bytes() for log in logs), out, size, fields=0, widths=False)
        yield out if logs else None


def _options() -> argparse.Namespace:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = top.add_subparsers(dest="kind", required=True)
    data = Path(__file__).resolve().parents[2] / "shared" / "data"
    costs = kinds.add_parser("cost")
    costs.add_argument("inputs", nargs="*", default=[*LLM, "BGL", "OpenStack-w"], metavar="INPUT")
    costs.add_argument("--mb", type=int, default=500)
    costs.add_argument("--rounds", type=int, default=5)
    worth = kinds.add_parser("worth")
    worth.add_argument("--half", choices=("tune", "report", "all"), default="tune")
    worth.add_argument("--sample", type=int, default=120, help="so many simulated runs, picked by their hash")
    worth.add_argument("--workers", type=int, default=1)
    for one in (costs, worth):
        one.add_argument("--data", type=Path, default=data)
    return top.parse_args()


def main() -> None:
    options = _options()
    if options.kind == "worth":
        library_worth.report(options.data, options.half, options.sample, options.workers)
        return
    print("\n".join([*about_loading(), "", HEAD]), flush=True)
    for name in options.inputs:
        with made(name, options.data, options.mb * 1_000_000) as path:
            print(
                cost(name, path, options.rounds) if path else f"{name}: left out, it is not there", flush=True
            )


if __name__ == "__main__":
    main()
