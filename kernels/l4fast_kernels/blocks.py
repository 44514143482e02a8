"""64 bytes at a time: what they are, and a hash of what is left when words with digits are masked.

Written to be read, and run only under ``NUMBA_DISABLE_JIT=1``: where a kernel is compiled, each of
the functions becomes one LLVM vector expression (see `vectors`).

The caller guarantees that 64 bytes may be read from every offset that it passes.
"""

import numpy as np

# Odd 64-bit constants; the process key is added to them, so they need only differ.
LANE_KEYS = (
    0xA24BAED4963EE407,
    0x9FB21C651E98DF25,
    0xD1B54A32D192ED03,
    0x8CB92BA72F3D8DD7,
    0xDB4F0B9175AE2165,
    0xBBE0563303A4615F,
    0x60642E2A34326F15,
    0xAF36D01EF7518DBB,
)
FOLD_KEYS = (0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3, 0x1D8E4E27C47D124F)
BLOCK_KEY = 0x9E3779B97F4A7C15  # added to the keys from block to block
# Masked bytes are replaced by this one. Every digit lies in a masked word, so a digit
# cannot stand in what is kept, and the layout of a line keeps its full length.
MARK = 0x30
MASK64 = (1 << 64) - 1


def trailing_zeros(bits):
    """Return the position of the lowest set bit of a uint64, 64 if there is none."""
    bits = int(bits)
    return (bits & -bits).bit_length() - 1 if bits else 64


def leading_zeros(bits):
    """Return how many bits of a uint64 are zero above the highest that is set."""
    return 64 - int(bits).bit_length()


def eight_bytes(buf, offset):
    """Return 8 bytes as a uint64."""
    return np.uint64(int.from_bytes(bytes(int(b) for b in buf[offset : offset + 8]), "little"))


def line_ends(buf, offset):
    """Return the bit sets of ``\\n`` and of ``\\r`` in 64 bytes."""
    newline = carriage = 0
    for i in range(64):
        byte = int(buf[offset + i])
        newline |= (byte == 10) << i
        carriage |= (byte == 13) << i
    return newline, carriage


def escape_bits(buf, offset):
    """Return the bit set of escapes, and of backslashes before a ``u``, in 64 bytes."""
    pairs = ((int(buf[offset + i]), int(buf[offset + i + 1])) for i in range(64))
    return np.uint64(sum((a == 27 or (a, b) == (92, 117)) << i for i, (a, b) in enumerate(pairs)))


def word_bits(buf, offset, n_valid):
    """Return the bit sets of word bytes, and of words that hold a digit, in ``n_valid`` bytes."""
    block = bytes(int(b) for b in buf[offset : offset + n_valid])
    word = sum(_is_word(byte) << i for i, byte in enumerate(block))
    masked = sum((byte == MARK and word >> i & 1) << i for i, byte in enumerate(_marked(block)))
    return np.uint64(word), np.uint64(masked)


def kept_hash(buf, begin, end, key):
    """Return a 64-bit hash of ``buf[begin:end]``."""
    return _hash([bytes(int(b) for b in buf[at : min(at + 64, end)]) for at in range(begin, end, 64)], key)


def layout_hash(buf, begin, end, key):
    """Return a 64-bit hash of ``buf[begin:end]``, words with a digit masked, at their positions."""
    blocks = (bytes(int(b) for b in buf[at : min(at + 64, end)]) for at in range(begin, end, 64))
    return _hash([_marked(block) for block in blocks], key)


def _marked(block):
    out = bytearray(block)
    i = 0
    while i < len(block):
        j = i
        while j < len(block) and _is_word(block[j]):
            j += 1
        if any(48 <= b < 58 for b in block[i:j]):
            out[i:j] = bytes([MARK]) * (j - i)
        i = max(j, i + 1)
    return bytes(out)


def _hash(blocks, key):
    lane_keys = [(lane_key + int(key)) & MASK64 for lane_key in LANE_KEYS]
    sums = [0] * 8
    for block in blocks:
        padded = block.ljust(64, bytes([MARK]))
        for k in range(8):
            lane = int.from_bytes(padded[8 * k : 8 * k + 8], "little")
            keyed = lane ^ lane_keys[k]
            turned = ((lane << 21) & MASK64) | (lane >> 43)
            sums[k] = (sums[k] + (keyed & 0xFFFFFFFF) * (keyed >> 32) + turned) & MASK64
        lane_keys = [(lane_key + BLOCK_KEY) & MASK64 for lane_key in lane_keys]
    total = 0
    for i, fold_key in enumerate(FOLD_KEYS):
        part = (sums[i] + (sums[i + 4] ^ (sums[i + 4] >> 31))) & MASK64
        total = (total + part * fold_key) & MASK64
    return np.uint64(total ^ (total >> 32))


def _is_word(byte):
    return 48 <= byte < 58 or 97 <= (byte | 32) < 123 or byte == 95 or byte >= 128
