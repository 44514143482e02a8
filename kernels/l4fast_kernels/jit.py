"""The compile options, chosen once."""

from numba import njit

from l4fast_kernels.cache import Cache


def _kept(function):
    """Give a function of numba's our cache; with NUMBA_DISABLE_JIT=1 it is none of numba's."""
    if hasattr(function, "enable_caching"):
        function._cache = Cache(function.py_func)
    return function


def kernel(function):
    """Compile a function when it is first called, or load what was compiled before.

    One thread each: chunks, not loops, are what we run in parallel, so a kernel frees the GIL and
    starts no threads of its own. Kept on disk: a command that reads one file must not wait for the
    compiler.
    """
    return _kept(njit(nogil=True, error_model="numpy")(function))


def inline(function):
    """Compile a small function into the kernels that call it in their inner loops."""
    return _kept(njit(nogil=True, error_model="numpy", inline="always")(function))
