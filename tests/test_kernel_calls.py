"""Kernels called from Python: each kind of argument and result, as NumPy and numba have them."""

import copy
import inspect
import os
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from l4fast_kernels import jit, lines, native
from l4fast_kernels.jit import kernel

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1" or os.environ.get("NUMBA_BOUNDSCHECK") == "1",
    reason="kernels are not compiled, or called by numba",
)


@kernel
def weigh(array):
    """Return a sum that tells shape, strides and items apart."""
    total = 0.0
    for i in range(array.shape[0]):
        for j in range(array.shape[1]):
            total += (3 * i + 7 * j + 1) * array[i, j]
    return total


@kernel
def total(array):
    return array.sum()


@kernel
def write(array, value):
    array[0] = value


@kernel
def same(value):
    return value


@kernel
def all_kinds(number, fraction, truth):
    return number, np.uint64(number), fraction, truth, np.int8(number), (truth, fraction)


@kernel
def fail(number):
    if number < 0:
        raise ValueError("negative")
    return number


@kernel
def allocate(n):
    room = np.empty(n, np.int64)
    for i in range(n):
        room[i] = i
    return room[: n // 2].sum()


@kernel
def spin(array):
    """Wait until another thread writes to the array."""
    n = 0
    while array[0] == 0 and n < 1 << 40:
        n += 1
    return array[0]


def is_native(function, *args):
    """Whether a kernel called with these arguments has a form of its own for them."""
    return function._by_types.get(native.describe(args)) is not None


@pytest.mark.parametrize("code", native.NUMBERS)
@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: np.asfortranarray(a),
        lambda a: a[::2, ::-1],
        lambda a: a[:0],
        lambda a: a.T,
    ],
    ids=["C", "Fortran", "strided", "empty", "transposed"],
)
def test_arrays_of_each_kind_are_read_where_they_lie(code, view):
    array = view(np.arange(24).reshape(4, 6).astype(code))
    assert weigh(array) == weigh.py_func(array.astype(float))
    assert is_native(weigh, array)


@pytest.mark.parametrize("code", native.NUMBERS)
def test_numbers_of_each_kind_come_back(code):
    value = np.dtype(code).type(1)
    got = same(value)
    assert got == value and type(got) is type(value.item())
    assert is_native(same, value)


@pytest.mark.parametrize("value", [0, -1, 2**63 - 1, -(2**63), 1.5, float("inf"), True, False])
def test_numbers_of_python_come_back(value):
    got = same(value)
    assert got == value and type(got) is type(value)
    assert is_native(same, value)


def test_a_number_too_large_for_64_bits_signed_is_unsigned_as_numba_has_it():
    same(1)
    assert same(2**64 - 1) == 2**64 - 1


def test_tuples_of_each_kind_come_back():
    got = all_kinds(-3, 0.25, True)
    assert got == (-3, 2**64 - 3, 0.25, True, -3, (True, 0.25))
    assert [type(item) for item in got] == [int, int, float, bool, int, tuple]


def test_what_cannot_be_written_to_is_another_form():
    array = np.arange(3)
    write(array, 7)
    assert array.tolist() == [7, 1, 2]
    array.flags.writeable = False
    assert total(array) == 10 and total(np.arange(5)) == 10
    with pytest.raises(Exception, match="readonly"):
        write(array, 8)
    assert array.tolist() == [7, 1, 2]


@pytest.mark.parametrize(
    "array",
    [
        np.frombuffer(bytes(1) + np.arange(4).tobytes(), np.uint8)[1:].view(np.int64),
        np.array(5),
    ],
    ids=["unaligned", "no dimensions"],
)
def test_odd_arrays_are_summed_too(array):
    assert total(array) == array.sum()


@pytest.mark.parametrize("array", [np.arange(3, dtype=">i8"), np.array([{}])])
def test_what_numba_does_not_take_is_told_as_numba_does(array):
    total(np.arange(3))
    with pytest.raises(Exception, match=r"(?i)unsupported|non-precise|typing|cannot"):
        total(array)


def test_too_few_and_too_many_arguments_are_told():
    total(np.arange(3))
    with pytest.raises(TypeError):
        total()
    with pytest.raises(TypeError):
        total(np.arange(3), 1)


def test_what_a_kernel_raises_is_raised():
    assert fail(1) == 1
    for _ in range(3):
        with pytest.raises(ValueError, match=r"^negative$"):
            fail(-1)
    assert fail(2) == 2
    assert is_native(fail, 1)


def test_a_kernel_has_memory_of_its_own_and_gives_it_back():
    assert allocate(1000) == sum(range(500))
    assert is_native(allocate, 1)
    with open("/proc/self/statm") as file:
        before = int(file.read().split()[1])
    for _ in range(300):
        allocate(1_000_000)
    with open("/proc/self/statm") as file:
        assert (int(file.read().split()[1]) - before) * os.sysconf("SC_PAGESIZE") < 100 << 20
    with pytest.raises(MemoryError):
        allocate(1 << 58)


def test_references_are_counted():
    array = np.arange(3)
    objects = (array, array.dtype, NotImplemented, None, True)
    write(array, 1)
    same(1.5)
    before = [sys.getrefcount(item) for item in objects]
    for _ in range(1000):
        write(array, 1)
        same(True)
        same(1.5)
    after = [sys.getrefcount(item) for item in objects]
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 50


def test_the_gil_is_free_meanwhile():
    array = np.zeros(1, np.int64)
    spin(np.ones(1, np.int64))
    got = []
    thread = threading.Thread(target=lambda: got.append(spin(array)))
    thread.start()
    time.sleep(0.05)
    array[0] = 5
    thread.join(20)
    assert got in ([5], [0]) and not thread.is_alive()


def test_several_threads_may_load_one_kernel_at_once():
    lines.count_ends(np.zeros(200, np.uint8), 0)
    script = (
        "import sys, threading, numpy as np; from l4fast_kernels import lines\n"
        "got, gate = [], threading.Barrier(8)\n"
        "def count():\n"
        "    gate.wait()\n"
        "    got.append(lines.count_ends(np.full(200, 10, np.uint8), 100))\n"
        "threads = [threading.Thread(target=count) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "assert got == [100] * 8 and len(lines.count_ends._forms) == 1, got\n"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_kernel_is_still_a_function_to_who_looks_at_it():
    assert weigh.__doc__ == weigh.py_func.__doc__ and weigh.__name__ == "weigh"
    assert list(inspect.signature(weigh).parameters) == ["array"]
    assert repr(weigh) == f"<kernel {__name__}.weigh>"
    assert pickle.loads(pickle.dumps(lines.count_ends)) is lines.count_ends
    assert copy.deepcopy(weigh) is weigh


def test_where_arrays_lie_otherwise_numba_calls(monkeypatch):
    def double(value):
        return 2 * value

    monkeypatch.setattr(jit, "_is_native", lambda: False)
    function = kernel(double)
    assert function(4) == 8
    assert function._forms == () and function._numbas_own is not None


def test_what_lacks_something_is_not_linked():
    with pytest.raises(LookupError, match="no_such_function"):
        native.link(b"\x7fELF", "x", ["no_such_function"])
    with pytest.raises(LookupError, match="an object file"):
        native.link(b"no machine code", "x", [])


def test_arrays_lie_as_known():
    assert native.knows_arrays()


def test_a_kernel_that_another_program_compiles_may_be_called_by_it():
    """What numba compiles elsewhere can call ours, once they are known to it."""
    from numba import njit

    array = np.arange(6.0).reshape(2, 3)
    weigh(array.astype(np.float32))
    jit._compiler()
    assert njit(lambda a: weigh(a) + 1)(array) == weigh.py_func(array) + 1


def test_the_end_of_python_may_look_at_a_kernel_after_all_modules_are_gone():
    script = (
        "import sys, numpy\n"
        "from l4fast_kernels.sums import fill_time\n"
        "fill_time(numpy.zeros(1, numpy.int64), 1, numpy.zeros(2, numpy.int64))\n"
        "sys.kept_longest = fill_time\n"
    )
    # Memory that was freed is written over, and so is what was freed too early.
    env = {**os.environ, "PYTHONMALLOC": "malloc", "MALLOC_PERTURB_": "255"}
    for _ in range(2):  # compiled, and loaded
        subprocess.run([sys.executable, "-c", script], check=True, env=env)
