"""How kernels are compiled, cached and threaded. No other file knows.

    @kernel                   a loop over arrays, compiled by Numba at its first call
    @kernel(parallel=True)    the same with `prange` over what each iteration owns
    @inner                    a helper that other kernels call, inlined by LLVM

Compiled code is kept in a folder of the user's cache, named after the kernels' sources: a changed helper in
one file recompiles the kernels of every other (Numba alone would look at the kernel's own file only).
`TINYGRAD_COURSE_CACHE` names another folder. A folder that cannot be written costs a recompilation at each
run and one warning, never an error.

Fast-math is {contract, reassoc, nsz}: sums may be reordered and fused, but NaN and inf travel as IEEE says.
"""

import functools
import hashlib
import os
import pathlib
import sys
import threading
import warnings

import numba

prange = numba.prange

_OPTIONS = dict(nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


def cache_directory():
    """The folder for the compiled kernels of exactly these sources: `<user cache>/tinygrad_course/<digest>`."""
    root = os.environ.get("TINYGRAD_COURSE_CACHE")
    if not root:
        if sys.platform == "win32":
            base = os.environ.get("LOCALAPPDATA") or pathlib.Path.home() / "AppData" / "Local"
        elif sys.platform == "darwin":
            base = pathlib.Path.home() / "Library" / "Caches"
        else:
            base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        root = pathlib.Path(base) / "tinygrad_course"
    digest = hashlib.sha256()
    for source in sorted(pathlib.Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return pathlib.Path(root) / digest.hexdigest()[:16]


@functools.cache
def _writable_cache():
    """The cache folder, made; None, with a warning, where that is impossible."""
    try:
        folder = cache_directory()
        if not folder.is_dir():
            folder.mkdir(parents=True)
            print("tinygrad_course: compiling kernels for this processor, once", file=sys.stderr)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"{folder} is not writable")
    except (OSError, RuntimeError) as error:
        warnings.warn(
            f"compiled kernels cannot be kept ({error}), so each run compiles anew; "
            "set TINYGRAD_COURSE_CACHE to a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return str(folder)


def _compile(function, **options):
    """`numba.njit` of `function`, cached in our folder whatever Numba's own setting says."""
    folder = _writable_cache()
    if folder is None:
        return numba.njit(**_OPTIONS, **options)(function)
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = folder
    try:
        return numba.njit(**_OPTIONS, cache=True, **options)(function)
    finally:
        numba.config.CACHE_DIR = before


class _ParallelKernel:
    """A parallel kernel. Numba's `workqueue` threads abort when two Python threads enter: there, one waits."""

    _lock = threading.Lock()
    _needs_lock = None  # unknown until the first parallel kernel has started Numba's threads

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self._dispatcher = _compile(function, parallel=True)

    def __call__(self, *arguments):
        if _ParallelKernel._needs_lock is False:
            return self._dispatcher(*arguments)
        with _ParallelKernel._lock:
            result = self._dispatcher(*arguments)
            if _ParallelKernel._needs_lock is None:
                _ParallelKernel._needs_lock = numba.threading_layer() == "workqueue"
            return result


def kernel(function=None, *, parallel=False):
    """Compile `function` at its first call: `@kernel` or `@kernel(parallel=True)`."""
    if function is None:
        return functools.partial(kernel, parallel=parallel)
    return _ParallelKernel(function) if parallel else _compile(function)


def inner(function):
    """A helper for kernels, compiled into each of its callers."""
    return numba.njit(**_OPTIONS, inline="never")(function)


def num_threads():
    """How many threads a parallel kernel uses."""
    return numba.get_num_threads()
