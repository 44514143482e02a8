"""The compile options, chosen once."""

from numba import njit

# One thread each: chunks, not loops, are what we run in parallel, so a kernel
# frees the GIL and starts no threads of its own. Cached: a command that reads
# one file must not wait for the compiler.
kernel = njit(nogil=True, cache=True, error_model="numpy")

# A small function that kernels call in their inner loops.
inline = njit(nogil=True, cache=True, error_model="numpy", inline="always")
