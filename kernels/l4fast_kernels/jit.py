"""The compile options, chosen once; and the kernels, compiled once a machine.

Numba compiles them and is not there later: it takes longer to import than most logs to be read.
"""

import functools
import os
import threading
from contextlib import suppress

from l4fast_kernels import cache, native

_OPTIONS = {"nogil": True, "error_model": "numpy"}

_lock = threading.RLock()


def kernel(function):
    """Compile a function when it is first called, or load what was compiled before.

    One thread each: chunks, not loops, are what we run in parallel, so a kernel frees the GIL and
    starts no threads of its own. Kept on disk: a command that reads one file must not wait for the
    compiler.
    """
    return function if _is_plain() else Kernel(function, _OPTIONS)


def inline(function):
    """Compile a small function into the kernels that call it in their inner loops."""
    return function if _is_plain() else Kernel(function, {**_OPTIONS, "inline": "always"})


class Kernel:
    """A function of arrays and numbers that is compiled for their types."""

    def __init__(self, function, options):
        functools.update_wrapper(self, function)
        # Numba asks a function that it compiles into another one for these two.
        self.py_func = function
        self.targetoptions = options
        self._forms = ()  # builtins, one for each row of argument types; each refuses all others
        self._by_types = {}  # the same by what `native.describe` says; None where numba must call it
        self._numbas_own = None

    def __call__(self, *args):
        for form in self._forms:
            result = form(*args)
            if result is not NotImplemented:
                return result
        return self._first_call(args)

    def __reduce__(self):
        return self.__qualname__

    def __repr__(self):
        return f"<kernel {self.__module__}.{self.__qualname__}>"

    @functools.cached_property
    def dispatcher(self):
        """What compiles the function where another kernel calls it."""
        compiler = _compiler()
        return compiler.dispatcher(self.py_func, self.targetoptions)

    def _first_call(self, args):
        """Call what takes these arguments: kept, compiled or, if it must be, numba's own function."""
        described = native.describe(args) if _is_native() else None
        form = self._form_for(args, described) if described is not None else None
        if form is not None:
            result = form(*args)
            if result is not NotImplemented:
                return result
        with _lock:
            if self._numbas_own is None:
                self._numbas_own = _compiler().numbas_own(self.py_func, self.targetoptions)
        return self._numbas_own(*args)

    def _form_for(self, args, described):
        with _lock:
            if described not in self._by_types:
                self._by_types[described] = self._kept_or_compiled(args, described)
                self._forms = tuple(filter(None, self._by_types.values()))
            return self._by_types[described]

    def _kept_or_compiled(self, args, described):
        name = cache.file_name(self.py_func, described, native.machine()) + ".l4k"
        kept = cache.find(self.py_func, name)
        if kept is None:
            entry = f"l4fast_{os.urandom(16).hex()}"
            code, needs = _compiler().compiled(self.dispatcher, args, described, entry)
            kept = b"" if code is None else " ".join((entry, *needs)).encode() + b"\n" + code
            cache.keep(self.py_func, name, kept)
        return _linked(kept)


def _linked(kept):
    """Return a kept form of a kernel, linked; None if numba itself must load and call it."""
    head, _, code = bytes(kept).partition(b"\n")
    if not head:
        return None
    entry, *needs = head.decode().split()
    with suppress(LookupError, RuntimeError):  # this process has less to link it with
        return native.link(code, entry, needs)
    return None


@functools.cache
def _compiler():
    from l4fast_kernels import compiler

    compiler.teach(Kernel)
    return compiler


def _is_plain():
    return _is_set("NUMBA_DISABLE_JIT")


@functools.cache
def _is_native():
    # Only numba can tell which index was out of bounds.
    return not _is_set("NUMBA_BOUNDSCHECK") and native.knows_arrays()


def _is_set(name):
    return os.environ.get(name, "0") not in ("", "0")
