"""Machine code from a file, called like a builtin: the compiler is not there.

An object file holds one function that unpacks Python's arguments itself (see `wrapper`) and calls
a kernel without the GIL. It is linked into the process once and stays there.

It answers `NotImplemented` to arguments of other types, so that one of several forms can be chosen
by trying. It reads arrays where they lie in memory: `knows_arrays` says whether they do lie so.
"""

import ctypes
import functools
import pickle
import struct
import sys
import threading
from contextlib import suppress

import numpy as np
from llvmlite import binding

# Before an object's own fields; the address of its type stands last in it.
HEAD = object.__basicsize__
# Before a tuple's items.
ITEMS = tuple.__basicsize__
NUMBERS = "?bBhHiIlLqQfd"  # NumPy's codes of the types that a kernel may be given

_METH_FASTCALL = 0x80


class Array(ctypes.Structure):
    """The fields of a NumPy array, behind its `HEAD`."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("ndim", ctypes.c_int),
        ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("base", ctypes.c_void_p),
        ("dtype", ctypes.c_void_p),
        ("flags", ctypes.c_int),
    )


class DType(ctypes.Structure):
    """The first fields of a NumPy dtype, behind its `HEAD`."""

    _fields_ = (
        ("type", ctypes.c_void_p),
        ("kind", ctypes.c_char),
        ("char", ctypes.c_char),
        ("byteorder", ctypes.c_char),
        ("flags", ctypes.c_char),
        ("num", ctypes.c_int),
    )


class _Method(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("code", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def fail(pickled):
    """Raise what a kernel raised."""
    kind, args, _ = pickle.loads(pickled)
    raise kind(*(args or ()))


_PYTHONS = (int, bool, float)
_NUMPYS = {np.dtype(code).type: code for code in NUMBERS}
# What compiled code needs of this process. It is called with it, and knows each by its place.
GIVEN = (NotImplemented, None, True, fail, np.ndarray, *_PYTHONS, *_NUMPYS)

_lock = threading.Lock()


@functools.cache
def knows_arrays():
    """Return whether NumPy's arrays and numbers lie in memory as is assumed here and in `wrapper`."""
    if sys.implementation.name != "cpython" or struct.calcsize("P") != 8:
        return False
    if np.ndarray.__basicsize__ < HEAD + ctypes.sizeof(Array):
        return False
    readonly = np.frombuffer(b"some bytes", np.uint8)
    return all(map(_lies_as_known, (np.zeros((2, 3, 4), np.int16)[:, ::2], np.ones(3), readonly))) and (
        ctypes.c_int64.from_address(id(minus := np.int64(-5)) + HEAD).value == minus
        and ctypes.c_void_p.from_address(id(minus) + HEAD - 8).value == id(np.int64)
        and ctypes.c_void_p.from_address(id(GIVEN) + ITEMS).value == id(GIVEN[0])
    )


def _lies_as_known(array):
    found, dtype = Array.from_address(id(array) + HEAD), DType.from_address(id(array.dtype) + HEAD)
    n = array.ndim
    return (
        (found.data, found.ndim, found.dtype, found.flags)
        == (array.__array_interface__["data"][0], n, id(array.dtype), array.flags.num)
        and (tuple(found.shape[:n]), tuple(found.strides[:n])) == (array.shape, array.strides)
        and (dtype.char, dtype.byteorder, dtype.num)
        == (array.dtype.char.encode(), array.dtype.byteorder.encode(), array.dtype.num)
    )


def describe(args):
    """Return what compiled code depends on in its arguments: a tuple each.

    That is (code, ndim, layout, writable) of an array, (name,) of a number of Python's, and
    (code, "number") of one of NumPy's; None if there is anything else among them.
    """
    return tuple(described) if None not in (described := [_describe(arg) for arg in args]) else None


def _describe(arg):
    kind = type(arg)
    if kind is np.ndarray:
        dtype, flags = arg.dtype, arg.flags
        if dtype.char not in NUMBERS or not dtype.isnative or not flags.aligned:
            return None
        layout = "C" if flags.c_contiguous else "F" if flags.f_contiguous else "A"
        return dtype.char, arg.ndim, layout, flags.writeable
    if kind in _PYTHONS:
        fits = kind is not int or -(1 << 63) <= arg < 1 << 63
        return (kind.__name__,) if fits else None
    return (_NUMPYS[kind], "number") if kind in _NUMPYS else None


@functools.cache
def machine():
    """Return (name, features) of the processor as LLVM has them."""
    return binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()


def _for_ever(thing):
    """Return an object that nothing frees: builtins are looked at when all modules are gone."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
    return thing


@functools.cache
def _engine():
    with suppress(RuntimeError, AttributeError):
        binding.initialize()  # of itself in later versions, which raise here
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    name, features = machine()
    target = binding.Target.from_default_triple()
    compiler = binding.create_mcjit_compiler(
        binding.parse_assembly(""), target.create_target_machine(cpu=name, features=features, jit=True)
    )
    return _for_ever(compiler)


def link(code, entry, needs):
    """Return the function ``entry`` of an object file as a builtin.

    ``needs`` names all that the file does not hold itself. LookupError if something of it is
    missing: LLVM would end the process.
    """
    code = bytes(code)
    if not code.startswith(b"\x7fELF"):
        raise LookupError("an object file")  # LLVM would not look
    with _lock:
        engine = _engine()
        for name in needs:
            if not binding.address_of_symbol(name):
                raise LookupError(name)
        engine.add_object_file(binding.object_file.ObjectFileRef.from_data(code))
        engine.finalize_object()
        address = engine.get_function_address(entry)
        if not address:
            raise LookupError(entry)
        method = _for_ever(_Method(entry.encode(), address, _METH_FASTCALL, None))
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.argtypes, make.restype = (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p), ctypes.py_object
    return make(ctypes.addressof(method), GIVEN, None)


def undefined(code):
    """Return the names that an object file (64-bit ELF) refers to and does not hold."""
    file = binding.object_file.ObjectFileRef.from_data(code)
    sections = {section.name(): section.data() for section in file.sections()}
    names = sections[b".strtab"]
    return [
        names[name : names.index(b"\0", name)].decode()
        for name, _info, _other, section, _value, _size in struct.iter_unpack("<IBBHQQ", sections[b".symtab"])
        if name and not section
    ]
