"""Compressed files for the tests of reading, and a reader that checks what each chunk promises."""

import bz2
import gzip
import lzma
from pathlib import Path

import numpy as np
import zstandard
from l4fast import codecs
from l4fast.chunks import chunks
from l4fast.source import Stream, Unreadable


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(data)


PACK = {"": bytes, "gz": gzip.compress, "zst": zst, "xz": lzma.compress, "bz2": bz2.compress}
TEXT = b"".join(b"step %d of the run, loss %f\n" % (i, 1 / (i + 1)) for i in range(20_000))


def stream_of(path: Path) -> Stream:
    data = path.read_bytes()
    return Stream(str(path), str(path), codecs.codec_of(data), len(data), None, str(path))


def read(path: Path, **options) -> tuple[bytes, list[str]]:
    """Return the chunks' bytes joined, and the problems; check on the way what every chunk promises."""
    problems: list[Unreadable] = []
    parts: list[bytes] = []
    last = False
    for chunk in chunks(stream_of(path), problems=problems, **options):
        assert not last, "a chunk after the last"
        assert chunk.data.dtype == np.uint8
        assert chunk.data.ctypes.data % 64 == 0
        assert chunk.data.size >= chunk.size + 128
        assert not chunk.data[chunk.size :].any()
        assert chunk.size > 0
        part = chunk.data[: chunk.size].tobytes()
        last = chunk.last
        assert last or part.endswith(b"\n")
        assert chunk.offset == sum(map(len, parts))
        parts.append(part)
    assert last or not parts
    return b"".join(parts), [problem.reason for problem in problems]
