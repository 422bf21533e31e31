"""What several tables of tests check alike."""

import sys

import pytest


def raises_clearly(wrong, kind, fragments):
    """`wrong()` raises exactly `kind`, with one sentence that holds all of `fragments`."""
    with pytest.raises(kind) as error:
        wrong()
    message = str(error.value)
    assert error.type is kind and "\n" not in message
    assert [f for f in fragments if f not in message] == [], message


def counted(function):
    """(what `function()` returns, how many lines of Python it runs in this thread): work that no other process changes.

    A line in a loop counts each time. What runs inside one call of C, as a sort or NumPy's loops, does not; what is
    done once in a process, as an import or filling a cache, does, and so is to be done before.
    """
    lines = 0

    def trace(frame, event, argument):
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return function(), lines
    finally:
        sys.settrace(before)


def growth(work, size):
    """Lines that `work(2 * size)` runs by those of `work(size)`: 2 if they grow with the size, 4 if with its square."""
    work(size)
    return counted(lambda: work(2 * size))[1] / counted(lambda: work(size))[1]
