"""BLAS inside our own threads.

NumPy's OpenBLAS has a pool of threads, and Numba another. After a product the threads of one go on spinning for
some milliseconds, in case more work comes, and take the processor from the other's: on two cores a small net then
runs at half its speed. So large products are divided here, among Numba's threads, and each calls BLAS for its part,
while BLAS itself is held to one thread.

`gemm` is the library's `cblas_sgemm` (or `cblas_dgemm`), called by its address from inside a kernel: an address is a
number, so a compiled kernel may be kept on disk although the library lies elsewhere in the next process.
"""

import contextlib
import ctypes
import functools
import pathlib
import threading

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112  # CBLAS's names for them are numbers


@functools.cache
def library():
    """The OpenBLAS that NumPy's wheel brings, of 64-bit indices; None with another BLAS."""
    package = pathlib.Path(np.__file__).parent
    for folder in (package.with_name("numpy.libs"), package / ".dylibs"):
        for path in folder.glob("*scipy_openblas64_*"):
            with contextlib.suppress(OSError, AttributeError):
                found = ctypes.CDLL(str(path))
                found.scipy_cblas_sgemm64_, found.scipy_cblas_dgemm64_, found.scipy_openblas_set_num_threads64_  # noqa: B018
                return found
    return None


@functools.cache
def address(dtype):
    """Where `cblas_?gemm` for this dtype is; 0 if it is nowhere."""
    if library() is None or dtype.char not in "fd":
        return 0
    name = "scipy_cblas_sgemm64_" if dtype.char == "f" else "scipy_cblas_dgemm64_"
    return ctypes.cast(getattr(library(), name), ctypes.c_void_p).value


class _OneThread:
    """`with one_thread:` BLAS works on the calling thread alone; entered by several Python threads, until all left."""

    def __init__(self):
        self._lock, self._inside, self._before = threading.Lock(), 0, 1

    def __enter__(self):
        with self._lock:
            if self._inside == 0:
                self._before = library().scipy_openblas_get_num_threads64_()
                library().scipy_openblas_set_num_threads64_(1)
            self._inside += 1

    def __exit__(self, *exception):
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                library().scipy_openblas_set_num_threads64_(self._before)


one_thread = _OneThread()


@intrinsic
def gemm(typing_context, address, a_is, b_is, m, n, k, a, a_row, b, b_row, beta, c, c_row):
    """C = A B + beta C, A (m, k), B (k, n), C (m, n); a, b, c are the places of their first numbers in memory, a_row,
    b_row, c_row the distances between rows; a_is, b_is are PLAIN, or TRANSPOSED if memory holds Aᵀ, Bᵀ."""
    integer, small, real = ir.IntType(64), ir.IntType(32), ir.FloatType() if beta == types.float32 else ir.DoubleType()

    def generate(context, builder, signature, arguments):
        place, a_is, b_is, m, n, k, a, a_row, b, b_row, beta, c, c_row = arguments
        pointer = real.as_pointer()
        function = ir.FunctionType(
            ir.VoidType(),
            [small] * 3 + [integer] * 3 + [real, pointer, integer, pointer, integer, real, pointer, integer],
        )
        a, b, c = (builder.inttoptr(number, pointer) for number in (a, b, c))
        a_is, b_is = (builder.trunc(number, small) for number in (a_is, b_is))
        builder.call(
            builder.inttoptr(place, function.as_pointer()),
            [small(ROW_MAJOR), a_is, b_is, m, n, k, real(1), a, a_row, b, b_row, beta, c, c_row],
        )
        return context.get_dummy_value()

    whole = types.int64
    return types.void(
        whole, whole, whole, whole, whole, whole, whole, whole, whole, whole, beta, whole, whole
    ), generate
