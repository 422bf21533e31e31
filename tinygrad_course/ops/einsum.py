"""Sums of products over named indices: einsum, and what is said with it."""

import math

import numpy as np

from ..base import TensorBase
from ..function import Function
from ..modes import where
from .convert import contiguous
from .diagonal import diagonal
from .linear import product
from .reduce import normalize_dims
from .shape import permute, reshape, tensors_of

__all__ = ["einsum", "tensordot", "bilinear"]
METHODS = []  # of Tensor


class Einsum(Function):
    """z_out = Σ x_a y_b … over the indices that `out` does not name;  ∂L/∂x_a = Σ ∂L/∂z_out y_b …, an einsum again.

    Indices are integers. An operand has each of its own at most once, and every one of them is `out`'s or another
    operand's too.
    """

    __slots__ = ("operands", "out")

    def __init__(self, operands, out):
        self.operands, self.out = operands, out

    def forward(self, *arrays):
        self.saved = arrays
        return _sum_of_products(arrays, self.operands, self.out)

    def multiply_adds(self, inputs):
        """Multiplications that are added up, of inputs of these shapes: for two, the product of the extents of all
        indices; for more, the sum of that over the products of pairs, in the order in which NumPy takes them. 0 where
        no index is summed over: that is `*` or an outer product, which costs what reading and writing its numbers does.

        What `einsum` makes without products costs nothing either: a sum, a transpose, a trace.
        """
        if not set().union(*self.operands).difference(self.out):
            return 0
        extents = {}
        for x, indices in zip(inputs, self.operands, strict=True):
            extents.update(zip(indices, x.shape, strict=True))
        left, count = [set(o) for o in self.operands], 0
        for places in _order_of_products(inputs, self.operands, self.out):
            taken = [left.pop(place) for place in sorted(places, reverse=True)]
            together = set().union(*taken)
            count += (len(taken) - 1) * math.prod(extents[n] for n in together)
            left.append(together & set(self.out).union(*left))
        return count

    def backward(self, dz):
        return tuple(self._gradients(dz, self.saved, _sum_of_products))

    def backward_on_tape(self, dz):
        return tuple(self._gradients(dz, self.saved_tensors(), lambda t, indices, out: Einsum(indices, out)(*t)))

    def _gradients(self, dz, saved, product):
        for i, need in enumerate(self.needs):
            if not need:
                yield None
                continue
            others = [j for j in range(len(saved)) if j != i]
            yield product(
                [dz, *(saved[j] for j in others)], [self.out, *(self.operands[j] for j in others)], self.operands[i]
            )


def _sum_of_products(arrays, operands, out):
    if len(arrays) == 2:
        z = _matrix_product(*arrays, *operands, out)
        if z is not None:
            return z
    arguments = [part for pair in zip(arrays, operands, strict=True) for part in pair]
    return np.array(np.einsum(*arguments, out, optimize=len(arrays) > 1))


def _order_of_products(inputs, operands, out):
    """The places of the operands of each product, which goes to the end, as `np.einsum(…, optimize=True)` has them."""
    if len(operands) == 2:
        return [(0, 1)]
    shaped = [np.broadcast_to(np.float32(0.0), x.shape) for x in inputs]  # of no memory
    arguments = [part for pair in zip(shaped, operands, strict=True) for part in pair]
    return np.einsum_path(*arguments, out, optimize=True)[0][1:]


def _matrix_product(x, y, x_indices, y_indices, out):
    """A sum over what both have and `out` has not: as a product of matrices, or a batch of them. None if it is none."""
    batch = [n for n in x_indices if n in y_indices and n in out]
    summed = [n for n in x_indices if n in y_indices and n not in out]
    left, right = [n for n in x_indices if n not in y_indices], [n for n in y_indices if n not in x_indices]
    if not summed or not left or not right or not x.size or not y.size:
        return None
    sizes = dict(zip((*x_indices, *y_indices), (*x.shape, *y.shape), strict=True))
    count = [math.prod([sizes[n] for n in group]) for group in (batch, left, summed, right)]
    x = x.transpose([x_indices.index(n) for n in (*batch, *left, *summed)]).reshape(count[:3])
    y = y.transpose([y_indices.index(n) for n in (*batch, *summed, *right)]).reshape(count[0], count[2], count[3])
    z = product(x, y) if batch else product(x[0], y[0])
    found = [*batch, *left, *right]
    return contiguous(z.reshape([sizes[n] for n in found]).transpose([found.index(n) for n in out]))


def contract(tensors, operands, out, name):
    """The einsum of tensors whose dimensions `operands` and `out` name by integers: reduced to the class above."""
    tensors, operands = list(tensors), [list(o) for o in operands]
    sizes = {}
    for tensor, indices in zip(tensors, operands, strict=True):
        for index, size in zip(indices, tensor._data.shape, strict=True):
            known = sizes.setdefault(index, size)
            if known != size and 1 not in (known, size):
                raise RuntimeError(
                    f"{where()}{name}: one index stands for sizes {known} and {size}; the shapes are "
                    f"{', '.join(str(t._data.shape) for t in tensors)}"
                )
            sizes[index] = size if known == 1 else known
    for i, indices in enumerate(operands):
        for index in dict.fromkeys(indices):  # a diagonal where an operand names an index twice
            while indices.count(index) > 1:
                a, b = [axis for axis, other in enumerate(indices) if other == index][:2]
                tensors[i] = _same_size(tensors[i], a, b)
                tensors[i] = diagonal(tensors[i], 0, a, b)
                del indices[b], indices[a]
                indices.append(index)
        repeated = [a for a, n in enumerate(indices) if tensors[i]._data.shape[a] == 1 and sizes[n] != 1]
        tensors[i] = tensors[i].squeeze(repeated) if repeated else tensors[i]
        operands[i] = [n for a, n in enumerate(indices) if a not in repeated]
    for i, indices in enumerate(operands):
        others = {*out}.union(*(o for j, o in enumerate(operands) if j != i))
        alone = [a for a, n in enumerate(indices) if n not in others]
        if alone:
            tensors[i] = tensors[i].sum(alone)
            operands[i] = [n for a, n in enumerate(indices) if a not in alone]
    if len(tensors) == 1:
        return permute(tensors[0], [operands[0].index(n) for n in out])
    return Einsum([tuple(o) for o in operands], tuple(out))(*tensors)


def _same_size(x, a, b):
    """x with two dimensions of one size: if one of them is 1, so is the other one's place on the diagonal."""
    sizes = [x._data.shape[a], x._data.shape[b]]
    if sizes[0] == sizes[1]:
        return x
    shape = list(x._data.shape)
    shape[a] = shape[b] = max(sizes)
    return x.expand(shape)


def einsum(equation, *operands):
    """Σ of products over named indices: `einsum("bij,bjk->bik", x, y)` is a batch of matrix products.

    Each operand's dimensions get a letter; letters that the part after `->` does not name are summed over, one that
    an operand has twice takes the diagonal, and `...` stands for any dimensions, which are broadcast. Without `->`,
    the result has the letters that occur once, in alphabetical order. Also `einsum(x, [0, 1], y, [1, 2], [0, 2])`.
    """
    if isinstance(equation, TensorBase):
        parts = [equation, *operands]
        out = list(parts.pop()) if len(parts) % 2 else None
        operands, terms = parts[::2], [list(p) for p in parts[1::2]]
    else:
        operands = tensors_of(operands)
        terms, out = _parse(equation)
    if len(terms) != len(operands):
        raise RuntimeError(f"{where()}einsum: {equation!r} names {len(terms)} operands, {len(operands)} are given")
    dots = []
    for term, x in zip(terms, operands, strict=True):
        extra = x._data.ndim - len(term) + term.count(...)
        if extra < 0 or term.count(...) > 1 or (extra and ... not in term):
            raise RuntimeError(f"{where()}einsum: {_written(term)!r} does not fit an operand of shape {x._data.shape}")
        dots.append(extra)
    # The dimensions of `...` are counted from the right: -1, -2, … name them.
    longest = max(dots, default=0)
    full = [
        [n for name in term for n in (range(-extra, 0) if name is ... else [name])]
        for term, extra in zip(terms, dots, strict=True)
    ]
    names = [n for term in full for n in term]
    if out is None:
        once = sorted(n for n in set(names) if not _is_dot(n) and names.count(n) == 1)
        out = [*range(-longest, 0), *once]
    else:
        out = [n for name in out for n in (range(-longest, 0) if name is ... else [name])]
    if len(set(out)) < len(out):
        raise RuntimeError(f"{where()}einsum: the result names an index twice: {_written(out)!r}")
    unknown = set(out) - set(names)
    if unknown:
        raise RuntimeError(f"{where()}einsum: the result names {_written(unknown)!r}, which no operand has")
    number = {n: i for i, n in enumerate(dict.fromkeys(names))}  # NumPy takes integers from 0 to 51
    dtype = operands[0]._data.dtype
    for x in operands[1:]:
        if x._data.dtype != dtype:
            raise RuntimeError(f"{where()}einsum: the operands must have one dtype, got {dtype} and {x._data.dtype}")
    return contract(operands, [[number[n] for n in term] for term in full], [number[n] for n in out], "einsum")


def _is_dot(name):
    return isinstance(name, int) and name < 0


def _written(names):
    return "".join("..." if n is ... else str(n) for n in names if not _is_dot(n))


def _parse(equation):
    """Letters and `...` of each operand and of the result, None where the equation does not say."""
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = [_letters(term, equation) for term in inputs.split(",")]
    return terms, _letters(output, equation) if arrow else None


def _letters(term, equation):
    before, dots, after = term.partition("...")
    for letter in before + after:
        if not (letter.isascii() and letter.isalpha()):
            raise RuntimeError(f"{where()}einsum: {letter!r} in {equation!r} is no letter from a to z or A to Z")
    return [*before, *([...] if dots else []), *after]


def tensordot(a, b, dims=2):
    """Σ of products over dimensions of both: the last `dims` of a with the first of b, or the two lists in `dims`."""
    if isinstance(dims, TensorBase):
        dims = dims.tolist()
    if isinstance(dims, int | np.integer):
        if not 0 <= dims <= min(a._data.ndim, b._data.ndim):
            raise RuntimeError(f"{where()}tensordot: dims={dims} for shapes {a._data.shape} and {b._data.shape}")
        axes_a, axes_b = list(range(a._data.ndim - dims, a._data.ndim)), list(range(dims))
    else:
        axes_a, axes_b = ([d] if isinstance(d, int) else list(d) for d in dims)
        axes_a, axes_b = list(normalize_dims(axes_a, a._data.ndim)), list(normalize_dims(axes_b, b._data.ndim))
    if len(axes_a) != len(axes_b):
        raise RuntimeError(f"{where()}tensordot: dims {axes_a} and {axes_b} must be equally many")
    for i, j in zip(axes_a, axes_b, strict=True):
        if a._data.shape[i] != b._data.shape[j] and 1 in (a._data.shape[i], b._data.shape[j]):  # is broadcast
            a = a.sum(i, keepdim=True) if b._data.shape[j] == 1 else a
            b = b.sum(j, keepdim=True) if a._data.shape[i] == 1 else b
        if a._data.shape[i] != b._data.shape[j]:
            raise RuntimeError(
                f"{where()}tensordot: size {a._data.shape[i]} at dim {i} of shape {a._data.shape} and size "
                f"{b._data.shape[j]} at dim {j} of shape {b._data.shape} must be equal"
            )
    if a._data.dtype != b._data.dtype:
        raise RuntimeError(f"{where()}tensordot: one dtype is needed, not {a._data.dtype} and {b._data.dtype}")
    free_a = [i for i in range(a._data.ndim) if i not in axes_a]
    free_b = [j for j in range(b._data.ndim) if j not in axes_b]
    summed = math.prod(a._data.shape[i] for i in axes_a)
    shape_a, shape_b = [a._data.shape[i] for i in free_a], [b._data.shape[j] for j in free_b]
    rows = reshape(permute(a, free_a + axes_a), math.prod(shape_a), summed)
    columns = reshape(permute(b, axes_b + free_b), summed, math.prod(shape_b))
    return reshape(rows @ columns, shape_a + shape_b)


def bilinear(input1, input2, weight, bias=None):
    """y_o = Σ_ij x1_i W_oij x2_j + b_o with x1 (…, in1), x2 (…, in2), W (out, in1, in2), b (out): y (…, out)."""
    (out, in1, in2), a, b = weight._data.shape, input1._data.shape, input2._data.shape
    if a[:-1] != b[:-1] or (a[-1], b[-1]) != (in1, in2):
        raise RuntimeError(f"{where()}bilinear: inputs of shapes {a} and {b} do not fit weight {(out, in1, in2)}")
    y = einsum("...i,oij,...j->...o", input1, weight, input2)
    return y if bias is None else y + bias
