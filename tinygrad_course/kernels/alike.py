"""Whether a step of training did what an earlier one did, and where its arrays are: for `statistics`.

Who watches a step has two lists: of what ran, (node, inputs, output, array of the output), and of where backward went,
(node, gradient, contributions in a list or tuple). To go through them, and to compare them with those of an earlier
step, takes Python as long as a small net's operations. Here it takes some microseconds: the lists are read as they lie
in memory, and objects are compared by their addresses.

A plan is what a step has to be like, as integers:

    `places`; how many operations ran, how many backward went through, and of how many the gradient is measured, too
    of each operation: class, scope, dtype, number of axes, extents, number of edges, and each edge: the index of an
        operation that ran in this step, or the address of anything else
    of each operation that backward went through: its index, the number of contributions, and for each if it is None
        (ABSENT), there (PRESENT), or there and to be passed over (LATER); of one that may leave it to the node before
        to mask the gradient, if it did (MASKED: it is what arrived, and counts where the output is above 0), or not
        (APART)
    the numbers, in the order of backward, of the operations whose gradient is measured, too

What a plan knows by its address must live as long as the plan does.
"""

import numpy as np

from .call import word_at
from .jit import inner
from .objects import CLASS, COUNT, DTYPE, EXTENTS, LIST, NDIM, NONE, list_item, slots, tuple_item

PRESENT, ABSENT, LATER, MASKED, APART = range(5)
_NONE, _LIST, _EDGES, _SCOPE, _HOOKS, _RAN, _WENT, _MET, _BEGIN = range(9)  # at its beginning


def places(node_class):
    """What a plan begins with, so that the kernel finds what it compares in nodes of this class, and in arrays."""
    return NONE, LIST, *slots(node_class, "edges", "scope", "hooks")


@inner
def _operations_are_alike(ran, plan, arrays):
    """Where the plan goes on behind the operations, 0 if they are not alike; their arrays go to `arrays`."""
    count, k = plan[_RAN], np.int64(_BEGIN)
    if word_at(ran + COUNT) != count:
        return 0
    for i in range(count):
        record = list_item(ran, i)
        node, array = tuple_item(record, 0), tuple_item(record, 3)
        if word_at(node + CLASS) != plan[k] or word_at(node + plan[_SCOPE]) != plan[k + 1]:
            return 0
        axes, extents = plan[k + 3], word_at(array + EXTENTS)
        if word_at(array + DTYPE) != plan[k + 2] or word_at(array + NDIM) & 0xFFFFFFFF != axes:
            return 0
        k += 4
        for axis in range(axes):
            if word_at(extents + 8 * axis) != plan[k + axis]:
                return 0
        k += axes
        edges, ends = word_at(node + plan[_EDGES]), plan[k]
        if word_at(edges + COUNT) != ends:
            return 0
        for end in range(k + 1, k + 1 + ends):
            edge = plan[end]  # no object lies at so low an address
            expected = tuple_item(list_item(ran, edge), 0) if edge < count else edge
            if tuple_item(edges, end - k - 1) != expected:
                return 0
        k += 1 + ends
        arrays[i, 0] = array
    return k


@inner
def _backward_is_alike(ran, went, plan, k, arrays):
    """Whether backward is as the plan says from k on; contributions and gradients go to `arrays`."""
    none, number = plan[_NONE], plan[_RAN]
    if word_at(went + COUNT) != plan[_WENT]:
        return False
    for i in range(plan[_WENT]):
        record = list_item(went, i)
        node, contributions, count = tuple_item(record, 0), tuple_item(record, 2), plan[k + 1]
        forward = list_item(ran, plan[k])
        if node != tuple_item(forward, 0) or word_at(node + plan[_HOOKS]) != none:
            return False
        if word_at(contributions + COUNT) != count:
            return False
        for one in range(count):
            listed = word_at(contributions + CLASS) == plan[_LIST]
            array = list_item(contributions, one) if listed else tuple_item(contributions, one)
            expected = plan[k + 2 + one]
            if (array == none) != (expected == ABSENT):
                return False
            if expected >= MASKED and (array == tuple_item(record, 1)) != (expected == MASKED):
                return False
            arrays[number, 0] = none if expected == LATER else array
            arrays[number, 1] = tuple_item(forward, 3) if expected == MASKED else 0
            number += 1
        k += 2 + count
    for i in range(k, k + plan[_MET]):
        arrays[number, 0] = tuple_item(list_item(went, plan[i]), 1)
        number += 1
    return True


@inner
def find_if_alike(ran, went, others, plan, arrays):
    """Whether a step is what the plan says. Then `arrays` gets the addresses of the step's arrays.

    They are of the operations' outputs, of the contributions, of the gradients that the plan names, and of what is in
    the list `others`; each with that of the array without whose mask it was handed down (see MASKED), or 0. The lists
    are given by their addresses.
    """
    k = _operations_are_alike(ran, plan, arrays)
    if k == 0 or not _backward_is_alike(ran, went, plan, k, arrays):
        return False
    count = word_at(others + COUNT)
    for i in range(count):
        arrays[len(arrays) - count + i, 0] = list_item(others, i)
    return True
