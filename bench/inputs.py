"""The inputs of the benchmark: small real logs amplified, and a simulated job.

Amplified means: the lines of the source again and again, the first time as they are, later in an
order drawn anew, with their numbers redrawn. A run of at least two decimal digits is redrawn
uniformly; its width and a leading zero stay. A run glued to a letter before it (`R02`, `ib0`) is a
part of a name and stays, unless it follows `0x` or stands in a hex string of about 16. With
``widths``, a run without a leading zero becomes a digit longer or shorter, one time in five each:
layouts vary. The fields of the header (times, levels, hosts, process ids; between blanks) stay as
the source has them, since a redrawn time is none that a clock tells, and a redrawn process id makes
each line a process of its own; ``heads`` redraws them too. Words never change, so the shapes are
those of the source, and nothing here tells of a vocabulary that grows.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
from l4fast.simulate import simulate
from numba import njit

# Name -> where it lies below a folder of data, and how many fields its header has.
LOGS = {
    "BGL": ("loghub-2k/BGL/BGL_2k.log", 9),
    "HDFS": ("loghub-2k/HDFS/HDFS_2k.log", 5),
    "Spark": ("loghub-2k/Spark/Spark_2k.log", 4),
    "OpenStack": ("loghub-2k/OpenStack/OpenStack_2k.log", 6),
    "Thunderbird": ("loghub-2k/Thunderbird/Thunderbird_2k.log", 8),
    "SMC": ("mlperf/smc-64x8-h100-gpt3", 3),
    "Dell": ("mlperf/dell-2x8-b200-llama31-8b", 3),
}
SIMULATED = "simulated"

_DIGITS = re.compile(rb"[0-9]+")
_HEX = re.compile(rb"[0-9a-f]")
_LETTER = re.compile(rb"[A-Za-z]")


def head_end(row: bytes, fields: int) -> int:
    """Return where the content of a line begins: behind so many fields, or the line's end."""
    match = re.match(rb"\s*(?:\S+\s+){%d}" % fields, row)
    return match.end() if match else len(row)


def _spans(row: bytes, begin: int) -> list[tuple[int, int]]:
    """Return the runs of digits from ``begin`` on that may be redrawn; a leading zero is left out."""
    found = []
    for match in _DIGITS.finditer(row, begin):
        begin, end = match.span()
        if end - begin < 2:
            continue
        glued = begin > 0 and _LETTER.match(row, begin - 1)
        in_hex = row[max(0, begin - 2) : begin] == b"0x" or (
            len(_HEX.findall(row[max(0, begin - 8) : end + 8])) >= 12
        )
        if glued and not in_hex:
            continue
        found.append((begin + (row[begin] == ord("0")), end))
    return found


@njit(cache=True)
def _draw(state):
    """Return the next of a stream of random uint64 (xorshift64*)."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return (x * np.uint64(2685821657736338717)) >> np.uint64(11)


@njit(cache=True)
def _redraw(text, bounds, order, first, spans, widths, state, out):
    """Write the lines of one pass in the given order; return how many bytes.

    ``text`` uint8 holds the lines, ``bounds`` int64[n + 1] where they begin; the spans of line i
    are ``spans[first[i] : first[i + 1]]`` (int64[m, 2], offsets in the text).
    """
    n = 0
    for i in order:
        at = bounds[i]
        for s in range(first[i], first[i + 1]):
            begin, end = spans[s]
            out[n : n + begin - at] = text[at:begin]
            n += begin - at
            width = end - begin
            # A span behind its own leading zero keeps its width.
            leads = width > 1 and not (begin > 0 and text[begin - 1] == 48)
            if widths and leads:
                dice = _draw(state) % np.uint64(5)
                width = max(1, width + (dice == np.uint64(4)) - (dice == np.uint64(0)))
            for k in range(width):
                low = np.uint64(1) if k == 0 and leads and width > 1 else np.uint64(0)
                out[n] = np.uint8(48 + low + _draw(state) % (np.uint64(10) - low))
                n += 1
            at = end
        out[n : n + bounds[i + 1] - at] = text[at : bounds[i + 1]]
        n += bounds[i + 1] - at
    return n


def amplify(source: bytes, out: Path, size: int, *, fields: int, widths: bool, seed: int = 7) -> None:
    """Write at least ``size`` bytes of whole lines: ``source`` amplified, its first fields kept."""
    rows = [row.rstrip(b"\r\n") + b"\n" for row in source.split(b"\n") if row.strip(b"\r\n")]
    bounds = np.cumsum([0, *map(len, rows)])
    per_row = [_spans(row, head_end(row, fields)) for row in rows]
    first = np.cumsum([0, *map(len, per_row)])
    spans = np.array(
        [(b + bounds[i], e + bounds[i]) for i, row in enumerate(per_row) for b, e in row], np.int64
    ).reshape(-1, 2)
    text = np.frombuffer(b"".join(rows), np.uint8)
    rng = np.random.default_rng(seed)
    state = np.array([seed * 2 + 1], np.uint64)
    room = np.empty(len(text) + len(spans), np.uint8)
    with out.open("wb") as file:
        file.write(text)
        while file.tell() < size:
            order = rng.permutation(len(rows))
            n = _redraw(text, bounds, order, first, spans, widths, state, room)
            file.write(room[:n])


def simulated(out: Path, size: int, *, nodes: int = 128) -> None:
    """Write all logs of one simulated job of 8 ranks a node that is long enough, one after the other."""
    iterations = 400
    while not out.exists() or out.stat().st_size < size:
        with tempfile.TemporaryDirectory(dir=out.parent) as place, out.open("wb") as file:
            job = Path(place, "job")
            simulate(job, style="nemo", nodes=nodes, iterations=iterations, fault="hang")
            for log in sorted((job / "logs").rglob("*")):
                if log.is_file():
                    data = log.read_bytes()
                    file.write(data if data.endswith(b"\n") else data + b"\n")
        iterations = int(iterations * max(1.1 * size / out.stat().st_size, 1.1))


def source_of(data: Path, name: str) -> bytes | None:
    """Return the bytes of a small log, those of all runs if it is a folder; None if it is not there."""
    path = data / LOGS[name][0]
    files = sorted(path.glob("result_*")) if path.is_dir() else [path] if path.exists() else []
    return b"\n".join(file.read_bytes() for file in files) or None
