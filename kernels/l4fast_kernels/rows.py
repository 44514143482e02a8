"""Segments -> rows of a record batch.

Small loops, each over few arrays: the compiler makes vector code of them, and one loop that does
it all runs four times slower.
"""

import numpy as np

from l4fast_kernels.jit import kernel


@kernel
def place_lines(
    n, start, stop, origin, line, code, shape_of, first_line, first_byte, number, offset, length, shape, skip
):
    """Write where the line of each segment stands in its stream, and its shape.

    Parameters
    ----------
    n : int64
    start, stop, origin, line, code : int32[n]
    shape_of : int32[n_codes]
    first_line, first_byte : int64
        Number of the first line and offset of the first byte in the stream.
    number, offset : int64[n], written
        Line number and offset of the line.
    length : int32[n], written
        Bytes from the begin of the line to the end of the segment; an empty segment has none.
    shape : int32[n], written
    skip : uint8[n], written
        Whether a later segment stands for the line.
    """
    for i in range(n):
        number[i] = np.int64(line[i]) + first_line
    for i in range(n):
        offset[i] = np.int64(origin[i]) + first_byte
    for i in range(n):
        length[i] = stop[i] - origin[i] if stop[i] > start[i] else np.int32(0)
    for i in range(n):
        shape[i] = shape_of[code[i]]
    for i in range(n - 1):
        skip[i] = line[i] == line[i + 1]
    if n > 0:
        skip[n - 1] = 0


@kernel
def fill_codes(
    n, level, shape, speaker, shape_of, node_of, rank_of, row_level, row_shape, row_node, row_rank
):
    """Write what stands for level, shape, node and rank of each row; negative is null.

    Parameters
    ----------
    n : int64
    level : int8[n]
        0 is unknown.
    shape, speaker : int32[n]
    shape_of, node_of, rank_of : int32[n_shapes], int32[n_speakers], int32[n_speakers]
    row_level, row_shape, row_node, row_rank : int32[n], written
    """
    for i in range(n):
        row_level[i] = level[i] - 1
    for i in range(n):
        row_shape[i] = shape_of[shape[i]]
    for i in range(n):
        row_node[i] = node_of[speaker[i]]
        row_rank[i] = rank_of[speaker[i]]


@kernel
def known_bits(n, values, least, bits):
    """Set the bits of the values that are at least ``least``; return how many are not.

    Parameters
    ----------
    n : int64
    values : int32[n] or int64[n]
    least : int64
    bits : uint8[(n + 7) / 8], written
        Arrow's validity bits.
    """
    unknown = 0
    for i in range(n):
        unknown += values[i] < least
    if unknown == 0:
        bits[:] = 255
        return unknown
    for byte in range(n // 8):
        together = 0
        for bit in range(8):
            together |= np.int64(values[8 * byte + bit] >= least) << bit
        bits[byte] = together
    if n % 8 > 0:
        together = 0
        for bit in range(n % 8):
            together |= np.int64(values[n - n % 8 + bit] >= least) << bit
        bits[n // 8] = together
    return unknown
