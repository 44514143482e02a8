"""Bytes -> lines as Python's text files have them: `\\n`, `\\r\\n` and a lone `\\r` end a line."""

from l4fast_kernels.hashes import shape_hash
from l4fast_kernels.jit import kernel

NEWLINE, RETURN = 10, 13


@kernel
def count_ends(buf, size):
    """Return how many ``\\n`` and ``\\r`` stand in ``buf[:size]`` (uint8)."""
    total = 0
    for i in range(size):
        total += (buf[i] == NEWLINE) + (buf[i] == RETURN)
    return total


@kernel
def hash_lines(buf, size, key, start, stop, hashes):
    """Write the bounds of each line, without its end, and the hash of its masked text.

    Parameters
    ----------
    buf : uint8[>= size + 64]
        Whole lines; the last one need not have an end.
    size : int64
    key : uint64
    start, stop : int32[n_lines], written
        ``n_lines`` is at most `count_ends` and one.
    hashes : uint64[n_lines], written
        Equal for lines of one raw shape; never 0.

    Returns
    -------
    int64
        How many lines there are.
    """
    n = 0
    begin = 0
    while begin < size:
        end = begin
        while end < size and buf[end] != NEWLINE and buf[end] != RETURN:
            end += 1
        start[n] = begin
        stop[n] = end
        hashes[n] = shape_hash(buf, begin, end, key)
        n += 1
        begin = end + 1
        if begin < size and buf[end] == RETURN and buf[begin] == NEWLINE:
            begin += 1
    return n
