"""How kernels are compiled, cached and threaded. No other file knows.

    @kernel                   a loop over arrays, compiled by Numba at its first call
    @kernel(parallel=True)    the same with `prange` over what each iteration owns; `name.serial` is the same
                              source compiled for one thread, for work too small to wake the others
    @shared                   a kernel f(thread, threads, ...) that does one thread's part of the work, called as
                              f(...) by Python; `f.serial(...)` does all of it in one part. It compiles several
                              times as fast as a parallel loop: see call.py
    @inner                    a helper that other kernels call, inlined by LLVM

With `borrows=True`, the latter two are for loops that make no arrays and return none. Numba counts who holds an array,
at each slice of it, in one place where threads wait for each other: a softmax of short rows took 2 to 3 times as long.

Compiled code is kept in the user's cache, in a folder a family, named after the sources that it is made of: a
changed helper recompiles the kernels of the families that import it (Numba alone would look at one file only).
`TINYGRAD_COURSE_CACHE` names another folder. A folder that cannot be written costs a recompilation at each
run and one warning, never an error.

Fast-math is {contract, reassoc, nsz}: sums may be reordered and fused, but NaN and inf travel as IEEE says.
"""

import functools
import hashlib
import os
import pathlib
import re
import sys
import threading
import warnings

import numba
import numpy as np
from numba._dispatcher import compute_fingerprint
from numba.core import event, types

from .call import call, share
from .threads import get_num_threads as num_threads

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

prange = numba.prange

_IMPORT = r"^from (?:tinygrad_course\.kernels)?\.(\w*) import ([\w, ]*)"  # of a sibling
_BORROWS = {"_nrt": False}  # do not count who holds an array
_OPTIONS = dict(no_cfunc_wrapper=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


def cache_root():
    """The folder for compiled kernels: `TINYGRAD_COURSE_CACHE`, or `tinygrad_course` in the user's cache."""
    root = os.environ.get("TINYGRAD_COURSE_CACHE")
    if root:
        return pathlib.Path(root)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or pathlib.Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = pathlib.Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "tinygrad_course"


def sources(family):
    """The source files that a family's kernels are made of: its own, and those of the siblings that it imports."""
    found, waiting = {}, [family, "jit"]
    while waiting:
        name = waiting.pop()
        path = pathlib.Path(__file__).with_name(f"{name}.py")
        if name in found or not path.is_file():
            continue
        found[name] = path.read_bytes()
        text = found[name].decode()
        for sibling, names in re.findall(_IMPORT, text, re.MULTILINE):
            waiting += [sibling] if sibling else re.findall(r"\w+", names)
    return found


@functools.cache
def _cache_folder(family):
    """The folder for a family's compiled kernels, made; None, with a warning, where that is impossible."""
    digest = hashlib.sha256(b"".join(source for _, source in sorted(sources(family).items()))).hexdigest()
    folder = cache_root() / f"{family}-{digest[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError
    except (OSError, RuntimeError):
        _warn(cache_root())
        return None
    return str(folder)


class _Notice(event.Listener):
    """Say, once in a process, that what takes so long is the compiler. Kernels from the cache are no reason to."""

    def on_start(self, compilation):
        global _quiet
        dispatcher = compilation.data["dispatcher"]
        if not _quiet and dispatcher.py_func.__module__.startswith(__package__):
            _quiet = True
            print("tinygrad_course: compiling kernels for this processor, once", file=sys.stderr, flush=True)

    def on_end(self, compilation):
        pass


def quiet():
    """Do without the notice."""
    global _quiet
    _quiet = True


_quiet = False
event.register("numba:compile", _Notice())


@functools.cache
def _warn(root):
    message = "so each run compiles anew; set TINYGRAD_COURSE_CACHE to a folder that can be written"
    warnings.warn(f"compiled kernels cannot be kept in {root}, {message}", RuntimeWarning, stacklevel=2)


def _compile(function, **options):
    """`numba.njit` of `function`, cached in our folder whatever Numba's own setting says."""
    folder = _cache_folder(function.__module__.rpartition(".")[2])
    if folder is None:
        return numba.njit(**_OPTIONS, **options)(function)
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = folder
    try:
        dispatcher = numba.njit(**_OPTIONS, cache=True, **options)(function)
    finally:
        numba.config.CACHE_DIR = before
    _save_alone(dispatcher._cache, folder)
    return dispatcher


def _save_alone(cache, folder):
    """Let one process at a time add to a folder. Two that save at once, Numba would give the same file name."""
    save = cache.save_overload

    def save_overload(signature, code):
        try:
            with open(os.path.join(folder, "lock"), "w") as file:  # locked until it is closed
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX)
                else:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                save(signature, code)
        except OSError:  # the disk is full, or the folder gone
            _warn(cache_root())

    cache.save_overload = save_overload


class _Here(threading.local):
    """What is true in this Python thread."""

    threads = None  # how many Numba has been told to use: its own count is one of each Python thread


_here = _Here()
_launched = _forked = False  # whether Numba's threads run; whether they did in the process that this one is a fork of
_free = False  # whether parallel kernels may be entered at any time: known once the threads run
_lock = threading.Lock()


def _after_fork():
    """A child has none of its parent's threads (GNU's OpenMP would end it): kernels that need them run serially."""
    global _free, _forked, _lock
    _forked = _forked or _launched
    _free, _lock = False, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _ParallelKernel:
    """A parallel kernel. Numba's `workqueue` threads abort when two Python threads enter: there, one waits."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self._dispatcher = _compile(function, parallel=True)
        twin = type(function)(function.__code__, function.__globals__, f"{function.__name__}_serial")
        twin.__module__, twin.__qualname__ = function.__module__, f"{function.__qualname__}_serial"  # its cache file
        self.serial = self._in_turn = _compile(twin)

    def __call__(self, *arguments):
        if _free and _here.threads == num_threads():
            return self._dispatcher(*arguments)
        if _forked:
            return self._in_turn(*arguments)
        return self._enter(arguments)

    def _enter(self, arguments):
        """The way in while something is unknown, has changed, or forbids a second Python thread."""
        global _free, _launched
        with _lock:
            _launched = True
            if _here.threads != num_threads():
                numba.set_num_threads(num_threads())
                _here.threads = num_threads()
            result = self._dispatcher(*arguments)
            _free = numba.threading_layer() != "workqueue"
        return result


class _SharedKernel(_ParallelKernel):
    """A kernel whose parts threads do. It is compiled once, for parts of any number."""

    def __init__(self, function, options):
        functools.update_wrapper(self, function)
        self._body, self._addresses, self._entry = _compile(function, **options), {}, None
        self.serial = functools.partial(self._body, 0, 1)

    def __call__(self, *arguments):
        address, threads = self._addresses.get(compute_fingerprint(arguments)), num_threads()
        if address is not None and _free and _here.threads == threads:  # nearly always
            _start(_launch_address(), address, threads, *arguments)
        else:
            super().__call__(*arguments)

    def _dispatcher(self, *arguments):
        fingerprint = compute_fingerprint(arguments)  # equal for equal types
        if fingerprint not in self._addresses:
            signature = types.int64, types.int64, *map(numba.typeof, arguments)
            self._addresses[fingerprint] = _address(self._body, signature)
        _start(_launch_address(), self._addresses[fingerprint], num_threads(), *arguments)

    def entry(self, *argument_types):
        """(launch, body, threads), with which another kernel starts these threads by `call.share`.

        The types are the same at each call. `threads` is 1 until Python has called some parallel kernel, and wherever
        that has to be done in turn.
        """
        if not _free or _here.threads != num_threads():
            return 0, 0, 1
        if self._entry is None:
            self._entry = _launch_address(), _address(self._body, (types.int64, types.int64, *argument_types))
        return *self._entry, _here.threads

    def _in_turn(self, *arguments):
        """The same parts, without other threads."""
        for thread in range(num_threads()):
            self._body(thread, num_threads(), *arguments)


def _address(dispatcher, signature):
    """Where the function is that `dispatcher` has compiled for types."""
    dispatcher.compile(signature)
    compiled = dispatcher.overloads[signature]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


@functools.cache
def _launch_address():
    return _address(_launch, (types.int64,) * 3)


def shared(function=None, *, borrows=False):
    """A kernel f(thread, threads, ...), called as f(...): its threads run it side by side, each with its number."""
    if function is None:
        return functools.partial(shared, borrows=borrows)
    return _SharedKernel(function, _BORROWS if borrows else {})


def kernel(function=None, *, parallel=False):
    """Compile `function` at its first call: `@kernel` or `@kernel(parallel=True)`."""
    if function is None:
        return functools.partial(kernel, parallel=parallel)
    return _ParallelKernel(function) if parallel else _compile(function)


def inner(function=None, *, borrows=False, **options):
    """A helper for kernels, compiled into each of its callers, and not to be called from Python.

    `forceinline=True`: however large it is.
    """
    if function is None:
        return functools.partial(inner, borrows=borrows, **options)
    options |= _BORROWS if borrows else {}
    return numba.njit(**_OPTIONS, inline="never", no_cpython_wrapper=True, **options)(function)


@inner
def part(thread, threads, count):
    """The numbers below `count` that are one thread's."""
    return range(thread * count // threads, (thread + 1) * count // threads)


@inner
def places(thread, threads, count):
    """The same for an innermost loop, as unsigned numbers: a signed one could be an index from the end, and to look
    whether it is keeps LLVM from vectorizing the loop. They are for indices alone: no arithmetic with signed ones."""
    return range(np.uint64(thread * count // threads), np.uint64((thread + 1) * count // threads))


def _launch(entry, threads, place):
    for thread in prange(threads):
        call(entry, thread, threads, place)


def _start(launch, body, threads, *arguments):
    share(launch, body, threads, arguments)


_launch, _start = _compile(_launch, parallel=True), _compile(_start)
