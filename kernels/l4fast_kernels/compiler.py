"""Numba, which compiles the kernels; imported only where one was found nowhere.

A kernel becomes an object file that needs nothing of numba (`compiled`). Where that cannot be done,
numba itself loads and calls it (`numbas_own`), and its cache is ours: numba's ends the program where
no folder can be written, the disk is full or a file of it is damaged, and does not notice that a
function which a kernel calls has changed.
"""

import ctypes
import pickle

from llvmlite import binding
from numba import njit, types
from numba.core.compiler import CompileResult
from numba.core.runtime import nrtdynmod
from numba.core.serialize import dumps
from numba.extending import typeof_impl

import l4fast_kernels.vectors  # noqa: F401  it tells numba what the functions of `blocks` become
from l4fast_kernels import cache, native, wrapper


def teach(kernel_class):
    """Tell numba what an object is whose ``dispatcher`` compiles it where a kernel calls it."""
    typeof_impl.register(kernel_class)(lambda kernel, _: types.Dispatcher(kernel.dispatcher))


def dispatcher(function, options):
    """Return numba's compiler of one function, which cannot be called from Python."""
    return njit(**options, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


def numbas_own(function, options):
    """Return numba's function, with our cache."""
    own = njit(**options)(function)
    own._cache = _Cache(function)
    return own


def compiled(dispatcher, args, described, entry):
    """Compile a kernel for the types of ``args``, called ``entry``.

    Returns
    -------
    bytes, or None
        An object file for `native.link`; None where numba itself must load and call the kernel.
    list of str
        What the file does not hold itself.
    """
    signature = tuple(map(dispatcher.typeof_pyval, args))
    dispatcher.compile(signature)
    result = dispatcher.overloads[signature]
    try:
        code = _object(dispatcher.targetctx, result, described, entry)
        needs = native.undefined(code)
    except Exception:
        return None, []  # another version of numba or LLVM, or what only numba can pass
    process = ctypes.PyDLL(None)
    return (code, needs) if all(hasattr(process, name) for name in needs) else (None, [])


def _object(context, result, described, entry):
    if result.lifted or result.library.has_dynamic_globals:
        raise wrapper.Unsupported("it holds addresses of this process")
    module = binding.parse_assembly(result.library.get_llvm_str())
    module.link_in(binding.parse_assembly(wrapper.write(context, result.fndesc, described, entry)))
    if any(function.name.startswith("NRT_") and function.is_declaration for function in module.functions):
        _check_memory()
        module.link_in(binding.parse_assembly(wrapper.write_runtime(context, f"{entry}.runtime")))
    # Files of several runs, with equal names in them, are linked into one process.
    for named in (*module.functions, *module.global_variables):
        if not named.is_declaration and named.name != entry:
            named.linkage = "internal"
    module.verify()
    triple, processor, features = result.library.codegen.magic_tuple()
    # As numba itself has it: code that stays where it is put.
    relocation = "static" if triple.startswith("x86") else "default"
    target = binding.Target.from_triple(triple).create_target_machine(
        cpu=processor, features=features, opt=3, reloc=relocation, jit=True
    )
    return target.emit_object(module)


def _check_memory():
    """Check that numba's arrays own their memory as is assumed in `wrapper.write_runtime`."""
    fields = nrtdynmod._meminfo_struct_type.elements
    if len(fields) != 5 or not isinstance(fields[3], type(nrtdynmod._pointer_type)):
        raise wrapper.Unsupported("numba's arrays own their memory in another way")


class _Cache:
    """What numba's dispatcher asks for the compiled forms of one function; it stands in for numba's own."""

    def __init__(self, function):
        self._function = function
        self.cache_path = "l4fast"

    def load_overload(self, sig, target_context):
        """Return what was compiled for the argument types ``sig``; None where that has to be done."""
        # A damaged object would be linked to what numba has not loaded yet.
        target_context.refresh()
        kept = cache.find(self._function, self._name_for(sig, target_context.codegen()))
        try:
            return kept and CompileResult._rebuild(target_context, *pickle.loads(kept))
        except Exception:
            return None  # of a numba that cannot be told from this one

    def save_overload(self, sig, compiled):
        """Keep what was compiled."""
        if compiled.lifted or compiled.library.has_dynamic_globals:
            return  # it holds addresses of this process
        try:
            content = dumps(compiled._reduce())
        except Exception:
            return
        cache.keep(self._function, self._name_for(sig, compiled.codegen), content)

    def _name_for(self, sig, codegen):
        return cache.file_name(self._function, str(sig), codegen.magic_tuple()) + ".nbc"
