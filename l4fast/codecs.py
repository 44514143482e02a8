"""What the bytes of a file are, told from the bytes alone, and how to unpack them.

A name says little: `x.gz` may hold plain text and `x.log` a gzip member. So the codec,
and whether there is text at all, are read from the first bytes.

What a crash leaves behind is often the interesting part, so a damaged or truncated file
gives every byte that can be decoded, and then `Damaged` names the place.
"""

from __future__ import annotations

import bz2
import lzma
import os
from collections.abc import Callable, Generator, Iterator
from typing import Protocol, cast

import zstandard
from isal import igzip_lib

from l4fast.regexes import regex

GZ, ZST, XZ, BZ2 = "gz", "zst", "xz", "bz2"
_ZST_MAGIC = b"\x28\xb5\x2f\xfd"

# Small enough to stay in the second-level cache on its way to the chunk.
_INPUT_BYTES = 128 << 10
_PIECE_BYTES = 256 << 10


class Damaged(Exception):
    """No byte beyond those already given can be decoded; the text is one sentence."""


class _Decoder(Protocol):
    """What igzip, lzma and bz2 have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    GZ: lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
    XZ: lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ),
    BZ2: lambda: bz2.BZ2Decompressor(),
}
# bz2 reports bad data as OSError; ValueError and EOFError come from odd headers.
_DECODE_ERRORS: tuple[type[Exception], ...] = (
    cast("type[Exception]", igzip_lib.IsalError),
    lzma.LZMAError,
    OSError,
    ValueError,
    EOFError,
)


def codec_of(head: bytes) -> str:
    """Return how data that begins with ``head`` (10 bytes are enough) is packed; "" is not at all.

    >>> codec_of(bytes.fromhex("1f8b08")), codec_of(b"BZh is a word here")
    ('gz', '')
    """
    if head.startswith(b"\x1f\x8b\x08"):
        return GZ
    if head.startswith(_ZST_MAGIC) or _is_skippable(head):
        return ZST
    if head.startswith(b"\xfd7zXZ\x00"):
        return XZ
    # A block, or the end of an empty file: three letters alone could be text.
    if head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"):
        return BZ2
    return ""


def decode(fd: int, codec: str) -> Iterator[bytes]:
    """Yield what the file unpacks to, in pieces of at most 256 KiB, every member or frame of it.

    Reads with ``pread``: the position of ``fd`` is neither used nor changed.

    Raises
    ------
    Damaged
        After the last piece that can be decoded: data truncated, corrupt, or followed by garbage.
    OSError
        The file itself cannot be read.
    """
    pos = _skip_padding(fd, 0)
    while head := os.pread(fd, 10, pos):
        if codec_of(head) != codec:
            raise Damaged(f"what follows its {codec} data at byte {pos} is something else and was not read")
        member = _zstd_frame(fd, pos) if codec == ZST else _member(fd, pos, codec)
        end = yield from member
        pos = _skip_padding(fd, end)


def _skip_padding(fd: int, pos: int) -> int:
    """Return the offset of the first byte from ``pos`` on that is not NUL: writers pad to whole blocks."""
    while data := os.pread(fd, _INPUT_BYTES, pos):
        rest = data.lstrip(b"\x00")
        pos += len(data) - len(rest)
        if rest:
            break
    return pos


def _truncated(codec: str, pos: int) -> Damaged:
    return Damaged(
        f"its {codec} data is cut off at byte {pos}: what came before was read, the rest is missing"
    )


def _corrupt(codec: str, pos: int, error: Exception) -> Damaged:
    detail = " ".join(str(error).split())
    return Damaged(f"its {codec} data is damaged at byte {pos} ({detail}): only what came before was read")


def _member(fd: int, start: int, codec: str) -> Generator[bytes, None, int]:
    """Yield one gzip member, xz stream or bz2 stream that begins at ``start``; return where it ends."""
    decoder = _DECODERS[codec]()
    pos = last = start  # `last`: where the input of the newest call that brought any began
    given = 0
    while not decoder.eof:
        data = b""
        if decoder.needs_input:
            data = os.pread(fd, _INPUT_BYTES, pos)
            if not data:
                raise _truncated(codec, pos)
            last = pos
            pos += len(data)
        try:
            piece = decoder.decompress(data, _PIECE_BYTES)
        except _DECODE_ERRORS as error:
            where = yield from _salvage(fd, codec, start, last, pos, given)
            raise _corrupt(codec, where, error) from None
        given += len(piece)
        if piece:
            yield piece
    return pos - len(decoder.unused_data)


def _salvage(
    fd: int, codec: str, start: int, last: int, stop: int, given: int
) -> Generator[bytes, None, int]:
    """Yield what a failed call had decoded before it met the damage; return the damaged byte's offset.

    A call that fails returns nothing, not even its good part, which may be the last words
    before a crash. So the member is decoded again, its last input byte by byte. Slow, but
    only for damaged files, and only over one input block.
    """
    decoder = _DECODERS[codec]()
    pos = start
    done = 0
    while pos < stop and not decoder.eof:
        data = os.pread(fd, min(_INPUT_BYTES, last - pos) if pos < last else 1, pos)
        size = len(data)
        while size and not decoder.eof:
            try:
                piece = decoder.decompress(data, _PIECE_BYTES)
            except _DECODE_ERRORS:
                return pos
            fresh = piece[max(given - done, 0) :]
            done += len(piece)
            if fresh:
                yield fresh
            if decoder.needs_input:
                break
            data = b""
        pos += size or stop - pos
    return pos


def _is_skippable(head: bytes) -> bool:
    """Whether a zstd skippable frame begins here (pzstd and seekable files put one first)."""
    return head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5


def _zstd_frame(fd: int, start: int) -> Generator[bytes, None, int]:
    """Yield one zstd frame that begins at ``start``, block by block; return where it ends.

    The frame's own block headers (RFC 8878, 3.1.1.2) say how much to feed: a block unpacks
    to at most 128 KiB, so neither a bomb nor a long run of zeros can fill the memory, all
    blocks before a bad one are given, and a cut is seen, which the library's own reader
    passes over in silence.
    """
    head = os.pread(fd, 18, start)
    if _is_skippable(head):
        end = start + 8 + int.from_bytes(head[4:8], "little")
        if len(head) < 8 or not os.pread(fd, 1, end - 1):
            raise _truncated(ZST, start + len(head))
        return end
    try:
        header_bytes = zstandard.frame_header_size(head)
        has_checksum = zstandard.get_frame_parameters(head).has_checksum
    except zstandard.ZstdError as error:
        raise (
            _truncated(ZST, start + len(head)) if len(head) < 18 else _corrupt(ZST, start, error)
        ) from None

    # `zstd --long=31` needs a window of 2 GiB; the default limit would refuse it.
    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()

    def unpack(size: int) -> bytes:
        data = os.pread(fd, size, pos)
        if len(data) < size:
            raise _truncated(ZST, pos + len(data))
        try:
            return decoder.decompress(data)
        except zstandard.ZstdError as error:
            raise _corrupt(ZST, pos, error) from None

    pos = start
    unpack(header_bytes)
    pos += header_bytes
    is_last = False
    while not is_last:
        bits = int.from_bytes(os.pread(fd, 3, pos).ljust(3, b"\x00"), "little")
        is_last = bool(bits & 1)
        is_run = bits >> 1 & 3 == 1  # one byte, repeated
        size = 3 + (1 if is_run else bits >> 3)
        if piece := unpack(size):
            yield piece
        pos += size
    if has_checksum:
        unpack(4)
        pos += 4
    return pos


# What cannot be read as a log -> what to do about it.
ADVICE = {
    "binary": "it is not text: give the logs themselves",
    "archive": "it is an archive: unpack it and give the folder",
    "other compression": "it is compressed in a way that is not supported: unpack it first",
    "simulator's truth": "it tells the truth about a simulated job: give the folder `logs` beside it",
    "UTF-16": "it is UTF-16 text: convert it with `iconv -f UTF-16 -t UTF-8`",
}

_MAGIC = (
    (b"PK\x03\x04", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"!<arch>\n", "archive"),
    (b"\x04\x22\x4d\x18", "other compression"),  # lz4
    (b"\x1f\x9d", "other compression"),  # compress
    (b'{\n  "style": "', "simulator's truth"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    # These may begin with a page of text.
    (b"%PDF-", "binary"),
    (b"SQLite format 3\x00", "binary"),
    (b"\x7fELF", "binary"),
    (b"\x93NUMPY", "binary"),
    (b"PAR1\x15", "binary"),  # Parquet: a page's header, or the footer, begins with a 32-bit field
    (b"ARROW1\x00\x00", "binary"),
)
# Terminals and progress bars use bell, backspace, tab, feeds, return, shift and escape.
_CONTROL = bytes([*range(0x01, 0x07), *range(0x10, 0x1B), *range(0x1C, 0x20), 0x7F])
_NULS = regex(rb"\x00+")


def objection(head: bytes) -> str:
    """Return why data that begins with ``head`` (8 KiB) is no log, a key of `ADVICE`; "" if it is text.

    A real log may hold runs of NUL from sparse writes, colours, broken UTF-8 or another
    8-bit encoding. Binary formats give themselves away by control characters and by many
    short runs of NUL: numbers.

    >>> objection(b"step 1" + bytes(500) + b"step 2"), objection(bytes([1, 0, 0, 0]) * 9)
    ('', 'binary')
    """
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar":
        return "archive"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "binary"  # a pickle; no UTF-8 text begins with 0x80
    if head[8:9] == b"{" and b"\x00\x00\x00" in head[2:8] and head[7:8] == b"\x00":
        return "binary"  # safetensors: the length of a JSON header, then the header
    n_nuls = head.count(0)
    n_bytes = len(head) - n_nuls
    n_odd = len(head) - len(head.translate(None, _CONTROL))
    n_odd += len(_NULS.findall(head)) if n_nuls else 0
    if n_bytes == 0 or n_odd > 2 + n_bytes // 20:
        return "binary"
    n_broken = head.decode("utf-8", "replace").count("\ufffd")
    return "binary" if b"\n" not in head and n_broken > 2 + n_bytes * 3 // 10 else ""
