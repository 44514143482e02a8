"""The LLVM code that unpacks Python's arguments for a kernel and packs what it returns.

A function as CPython calls a builtin: (`native.GIVEN`, the arguments, how many). It reads arrays
and numbers where they lie in memory, hands them over as numba does, and frees the GIL meanwhile.

Beside it stands the little of numba's runtime that a kernel refers to: memory for an array of its
own, and the end of one.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np import arrayobj

from l4fast_kernels.native import GIVEN, HEAD, ITEMS, Array, DType, fail

_BYTE, _INT, _WORD = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_POINTER = _BYTE.as_pointer()
_CONTIGUOUS = {"C": 1, "F": 3, "A": 3}  # NumPy's flags that tell a layout: the bits that count,
_CONTIGUOUS_SET = {"C": 1, "F": 2, "A": 0}  # and those of them that are set
_ALIGNED, _WRITEABLE = 0x100, 0x400
# What an array's memory begins with, in words: references, two addresses of numba's, where the items
# lie, how many bytes they are; and room for more.
_REFERENCES, _ITEMS_AT, _SIZE, _HEAD_WORDS = 0, 3, 4, 8


class Unsupported(Exception):
    """Only numba itself can pass these arguments, or this result."""


class _Writer:
    """A function being written: its builder, and where it goes when an argument is of another type."""

    def __init__(self, context, name):
        self.context = context
        self.module = context.create_module(name)
        kind = ir.FunctionType(_POINTER, (_POINTER, _POINTER.as_pointer(), _WORD))
        self.function = ir.Function(self.module, kind, name)
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.elsewhere = self.function.append_basic_block("elsewhere")

    def call(self, name, result, *args):
        """Call a function of CPython's."""
        kind = ir.FunctionType(result, [arg.type for arg in args])
        return self.builder.call(cgutils.get_or_insert_function(self.module, kind, name), args)

    def at(self, base, offset, kind):
        """Load what lies ``offset`` bytes behind a pointer."""
        place = self.builder.gep(base, [_WORD(offset)])
        return self.builder.load(self.builder.bitcast(place, kind.as_pointer()))

    def given(self, what):
        """Load one of `native.GIVEN`."""
        index = next(i for i, known in enumerate(GIVEN) if known is what)
        return self.at(self.function.args[0], ITEMS + 8 * index, _POINTER)

    def require(self, condition):
        """Go on only if a condition holds."""
        onwards = self.function.append_basic_block()
        self.builder.cbranch(condition, onwards, self.elsewhere)
        self.builder.position_at_end(onwards)

    def require_equal(self, value, number):
        self.require(self.builder.icmp_signed("==", value, value.type(number)))

    def require_type(self, arg, kind):
        self.require(self.builder.icmp_unsigned("==", self.at(arg, HEAD - 8, _POINTER), self.given(kind)))

    def new_reference(self, what):
        found = self.given(what)
        self.call("Py_IncRef", ir.VoidType(), found)
        return found


def write(context, compiled, described, name):
    """Return the LLVM module of a wrapper called ``name``, as text.

    Parameters
    ----------
    context
        numba's target context.
    compiled
        Numba's function descriptor of the kernel.
    described
        The arguments, from `native.describe`.
    """
    w = _Writer(context, name)
    w.require_equal(w.function.args[2], len(described))
    args = []
    for i, (what, kind) in enumerate(zip(described, compiled.argtypes, strict=True)):
        arg = w.builder.load(w.builder.gep(w.function.args[1], [_WORD(i)]))
        args.append(
            _array(w, arg, what, kind) if isinstance(kind, types.Array) else _number(w, arg, what, kind)
        )
    kernel = context.declare_function(w.module, compiled)
    state = w.call("PyEval_SaveThread", _POINTER)
    status, result = context.call_conv.call_function(
        w.builder, kernel, compiled.restype, compiled.argtypes, args
    )
    w.call("PyEval_RestoreThread", ir.VoidType(), state)
    with w.builder.if_then(status.is_error, likely=False):
        _raise(w, status)
    w.builder.ret(_packed(w, result, compiled.restype))
    w.builder.position_at_end(w.elsewhere)
    w.builder.ret(w.new_reference(NotImplemented))
    return str(w.module)


def _array(w, arg, what, kind):
    """Return numba's array of a NumPy array that is as described."""
    char, ndim, layout, writable = what
    dtype = np.dtype(char)
    w.require_type(arg, np.ndarray)
    w.require_equal(w.at(arg, HEAD + Array.ndim.offset, _INT), ndim)
    flags = w.builder.and_(
        w.at(arg, HEAD + Array.flags.offset, _INT), _INT(_CONTIGUOUS[layout] | _ALIGNED | _WRITEABLE)
    )
    w.require_equal(flags, _CONTIGUOUS_SET[layout] | _ALIGNED | _WRITEABLE * writable)
    described = w.at(arg, HEAD + Array.dtype.offset, _POINTER)
    w.require_equal(w.at(described, HEAD + DType.num.offset, _INT), dtype.num)
    w.require_equal(w.at(described, HEAD + DType.byteorder.offset, _BYTE), ord(dtype.byteorder))
    shape, strides = (
        [w.at(w.at(arg, HEAD + field.offset, _POINTER), 8 * i, _WORD) for i in range(ndim)]
        for field in (Array.shape, Array.strides)
    )
    made = arrayobj.make_array(kind)(w.context, w.builder)
    data = w.builder.bitcast(w.at(arg, HEAD + Array.data.offset, _POINTER), made.data.type)
    arrayobj.populate_array(made, data, shape, strides, dtype.itemsize, None)
    return made._getvalue()


def _number(w, arg, what, kind):
    """Return the value of a number that is as described."""
    if len(what) > 1:
        w.require_type(arg, np.dtype(what[0]).type)
        stored = w.at(arg, HEAD, w.context.get_data_type(kind))
        return w.context.data_model_manager[kind].from_data(w.builder, stored)
    wanted = next(known for known in (int, bool, float) if known.__name__ == what[0])
    w.require_type(arg, wanted)
    if wanted is bool:
        return w.builder.icmp_unsigned("==", arg, w.given(True))
    if wanted is float:
        return w.call("PyFloat_AsDouble", ir.DoubleType(), arg)
    too_large = cgutils.alloca_once(w.builder, _INT)
    value = w.call("PyLong_AsLongLongAndOverflow", _WORD, arg, too_large)
    w.require_equal(w.builder.load(too_large), 0)
    return value


def _packed(w, value, kind):
    """Return a Python object of what a kernel returned."""
    if isinstance(kind, types.NoneType):
        return w.new_reference(None)
    if isinstance(kind, types.Boolean):
        return w.call("PyBool_FromLong", _POINTER, w.builder.zext(value, _WORD))
    if isinstance(kind, types.Integer):
        if kind.signed:
            return w.call("PyLong_FromLongLong", _POINTER, _widened(w.builder.sext, value))
        return w.call("PyLong_FromUnsignedLongLong", _POINTER, _widened(w.builder.zext, value))
    if kind in (types.float32, types.float64):
        double = value if kind == types.float64 else w.builder.fpext(value, ir.DoubleType())
        return w.call("PyFloat_FromDouble", _POINTER, double)
    if isinstance(kind, types.BaseTuple) and not isinstance(kind, types.BaseNamedTuple):
        # As numba has it: memory for two numbers is there.
        made = w.call("PyTuple_New", _POINTER, _WORD(len(kind)))
        for i, item in enumerate(kind):
            packed = _packed(w, w.builder.extract_value(value, i), item)
            w.call("PyTuple_SetItem", _INT, made, _WORD(i), packed)
        return made
    raise Unsupported(f"a kernel that returns {kind}")


def _widened(extend, value):
    return value if value.type == _WORD else extend(value, _WORD)


def _raise(w, status):
    """Raise what the kernel raised: numba keeps it pickled."""
    about = w.builder.load(status.excinfoptr)
    pickled = w.call(
        "PyBytes_FromStringAndSize",
        _POINTER,
        w.builder.extract_value(about, 0),
        w.builder.sext(w.builder.extract_value(about, 1), _WORD),
    )
    args = w.call("PyTuple_New", _POINTER, _WORD(1))
    w.call("PyTuple_SetItem", _INT, args, _WORD(0), pickled)
    w.builder.ret(w.call("PyObject_CallObject", _POINTER, w.given(fail), args))


def write_runtime(context, name):
    """Return the LLVM module of what kernels want of numba's runtime, as text."""
    module = context.create_module(name)
    malloc = ir.Function(module, ir.FunctionType(_POINTER, (_WORD,)), "malloc")
    free = ir.Function(module, ir.FunctionType(ir.VoidType(), (_POINTER,)), "free")
    end = ir.Function(module, ir.FunctionType(ir.VoidType(), (_POINTER,)), "NRT_MemInfo_call_dtor")
    builder = ir.IRBuilder(end.append_basic_block())
    builder.call(free, end.args)
    builder.ret_void()
    kind = ir.FunctionType(_POINTER, (_WORD, _INT))
    new = ir.Function(module, kind, "NRT_MemInfo_alloc_aligned")
    builder = ir.IRBuilder(new.append_basic_block())
    size, alignment = new.args[0], builder.zext(new.args[1], _WORD)
    head = _WORD(8 * _HEAD_WORDS)
    # Behind the head, room to move the items up to where they are aligned.
    made = builder.call(malloc, (builder.add(builder.add(size, alignment), head),))
    with builder.if_then(builder.icmp_unsigned("==", made, _POINTER(None)), likely=False):
        builder.ret(made)
    behind = builder.add(builder.ptrtoint(made, _WORD), builder.add(head, alignment))
    items = builder.and_(builder.sub(behind, _WORD(1)), builder.neg(alignment))
    words = builder.bitcast(made, _WORD.as_pointer())
    nothing = ((1, _WORD(0)), (2, _WORD(0)))
    for i, value in ((_REFERENCES, _WORD(1)), *nothing, (_ITEMS_AT, items), (_SIZE, size)):
        builder.store(value, builder.gep(words, [_WORD(i)]))
    builder.ret(made)
    return str(module)
