"""Who the parser is raced with, each at what it does, from the same bytes.

wc          `wc -l`: counts lines, nothing else.
memcpy      copies the bytes, in memory.
automaton   the naive way, compiled: one byte at a time, words with a digit masked, a hash per
            segment, a table of shapes. From the file to shape codes: no header, no record batch.
Drain3      the current release, default settings, on content strings that are in memory: no file is
            read, no header split off, nothing written.
go-drain3   the same in Go, on the same contents.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from time import perf_counter

import numpy as np
from l4fast.canonical import mask
from numba import njit

from l4fast_kernels.outlines import CLASS

DRAIN_LINES = 200_000
_SLOTS = 1 << 20


def wc(path: Path) -> int:
    done = subprocess.run(["wc", "-l", path], capture_output=True, check=True)
    return int(done.stdout.split()[0])


@njit(nogil=True, cache=True, error_model="numpy")
def _automaton(buf, key, classes, keys, counts, first, ends):
    """Hash each segment byte by byte; count shapes.

    ``classes`` uint8[256]; ``keys`` uint64[m] and ``counts`` int64[m] are the table, ``first``
    int64[m, 2] the bounds of each shape's first segment, ``ends`` int64[n] the ends of segments,
    written. Returns how many segments there are.
    """
    line_key, word_key = np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x9E3779B97F4A7C15)
    masked, zero, shift = np.uint64(0xD6E8FEB86659FD93), np.uint64(0), np.uint64(29)
    table = keys.size - 1
    h, word = key, zero
    in_word = has_digit = has_segment = False
    n = begin = 0
    for i in range(buf.size):
        byte = buf[i]
        kind = classes[byte]
        if kind != 0:
            word = (word ^ np.uint64(byte)) * word_key
            word ^= word >> shift
            in_word = True
            has_digit |= kind == 2
            continue
        if in_word:
            h = (h ^ (masked if has_digit else word)) * line_key
            h ^= h >> shift
            word = zero
            in_word = has_digit = False
        if byte != 10 and byte != 13:
            h = (h ^ np.uint64(byte)) * word_key
            h ^= h >> shift
            continue
        if i > begin or (byte == 10 and not has_segment):
            slot = np.int64(h >> np.uint64(32)) & table
            while keys[slot] != h and keys[slot] != zero:
                slot = (slot + 1) & table
            if keys[slot] == zero:
                keys[slot] = h
                first[slot, 0], first[slot, 1] = begin, i
            counts[slot] += 1
            ends[n] = i
            n += 1
            has_segment = True
        if byte == 10:
            has_segment = False
        begin = i + 1
        h = key
    return n


class Automaton:
    """Reads a file into memory that it keeps, and counts its shapes."""

    def __init__(self, size: int, lines: int) -> None:
        self.buf = np.zeros(size, np.uint8)
        self.ends = np.zeros(lines * 2 + 1024, np.int64)

    def __call__(self, path: Path) -> None:
        with path.open("rb", buffering=0) as file:
            at = 0
            while at < self.buf.size:
                at += file.readinto(self.buf[at:])  # type: ignore[arg-type, operator]
        self.keys = np.zeros(_SLOTS, np.uint64)
        self.counts = np.zeros(_SLOTS, np.int64)
        self.first = np.zeros((_SLOTS, 2), np.int64)
        key = np.uint64(0x165667B19E3779F9)
        _automaton(self.buf, key, CLASS, self.keys, self.counts, self.first, self.ends)

    def shapes(self) -> Counter[str]:
        """Return the segments of each masked text."""
        used = np.flatnonzero(self.keys)
        texts = [mask(self.buf[a:b].tobytes())[0] for a, b in self.first[used]]
        return Counter(dict(zip(texts, self.counts[used].tolist(), strict=True)))


@njit(nogil=True, cache=True)
def _spin(n, seed):
    """Return something that takes ``n`` multiplications, each waiting for the one before."""
    x = np.uint64(seed)
    for i in range(n):
        x = (x ^ np.uint64(i)) * np.uint64(6364136223846793005)
    return x


def spin() -> None:
    """Use a core for 0.1 s, and no memory."""
    _spin(75_000_000, 3)


def drain3(contents: list[str]) -> float | None:
    """Return the seconds that Drain3 takes; None where it is not installed."""
    try:
        from drain3 import TemplateMiner
        from drain3.template_miner_config import TemplateMinerConfig
    except ImportError:
        return None
    miner = TemplateMiner(config=TemplateMinerConfig())
    begin = perf_counter()
    for content in contents:
        miner.add_log_message(content)
    return perf_counter() - begin


def go_drain3(command: str, contents: Path) -> float:
    """Return the seconds that the program takes by its own clock, reading of the file left out."""
    env = {"GOMAXPROCS": "1"}
    done = subprocess.run([*command.split(), contents], capture_output=True, check=True, text=True, env=env)
    return float(done.stdout.split()[1])
