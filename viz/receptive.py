"""The receptive field: which pixels of the input one unit of a feature map can see, and which ones it does see.

The geometry is walked backwards, as the gradient is: a window of k pixels, dilation d, stride s and padding p turns the
units lo … hi of its output into the pixels lo·s − p … hi·s − p + d·(k − 1) of its input, and at a fork the box around
all ways counts. Beside it stands the gradient of the unit itself: nothing of it can lie outside the box, and what is
inside decays towards the rim (Luo, Li, Urtasun, Zemel 2016, "Understanding the effective receptive field").
"""

import math
from typing import NamedTuple

import numpy as np

import tinygrad_course
from tinygrad_course.function import Function
from tinygrad_course.modes import Observer, enable_grad, observe

from .graph.rules import rule_of
from .graph.spectrum import vertices_behind

_EVERYWHERE = (-(10**9), 10**9)  # of an operation that mixes all pixels, or of one this file does not know
_LOCAL = ("batch_norm", "cat", "clamp", "cast", "clone", "dropout", "where")  # besides the elementwise ones


class ReceptiveField(NamedTuple):
    """What one unit sees, for each axis of the image. Ranges are (first pixel, one after the last).

    size: pixels that a unit sees where no border cuts it; stride: pixels from one unit's field to its neighbour's; box:
    the field of the unit at `position`, cut at the borders; support: the box around all pixels whose gradient is not 0,
    None if all are; gradient: RMS of ∂unit/∂pixel over samples and channels, an array of the image's shape.
    """

    layer: str
    position: tuple
    size: tuple
    stride: tuple
    box: tuple
    support: tuple | None
    gradient: np.ndarray

    @property
    def effective(self):
        """Share of the box that holds 95 % of the squared gradient, largest pixels first; nan without a gradient."""
        energy = np.sort(self.gradient[tuple(slice(*ends) for ends in self.box)] ** 2, axis=None)[::-1]
        total = energy.sum()
        return float(np.searchsorted(np.cumsum(energy), 0.95 * total) + 1) / energy.size if total > 0.0 else math.nan

    def __repr__(self):
        size, stride = ("×".join(map(str, found)) for found in (self.size, self.stride))
        box = ", ".join(f"{first}:{end}" for first, end in self.box)
        return f"<ReceptiveField of {self.layer} at {self.position}: {size} pixels, stride {stride}, box [{box}]>"


def receptive_field(model, input_shape, *, at=None, position=None, samples=4, seed=0):
    """The receptive field of one unit, by geometry and by its gradient: a `ReceptiveField`.

        field = viz.receptive_field(models.LeNet5(), (1, 32, 32), at="features.5")
        field.size, field.stride, field.box            # (16, 16), (4, 4), ((8, 24), (8, 24))
        plt.imshow(field.gradient)                     # the effective field within

    model: any callable on images, run in eval mode on random numbers, and left as it was. input_shape: (C, H, W) or
    (C, L), without the batch. at: the dotted path of a layer; by default the last output that still is an image.
    position: the unit, (row, column); by default the one in the middle. samples: how many random inputs the gradient's
    RMS is taken over.

    Raises TypeError for what is no model; ValueError for an input that is no image, for a layer that is not there or
    makes no image, and for a position outside of its output.
    """
    shape = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else (input_shape,)
    if len(shape) < 2 or min(shape) < 1 or samples < 1:
        raise ValueError(f"receptive_field needs the shape of one image, such as (3, 32, 32), got {input_shape!r}")
    if not callable(model):
        raise TypeError(f"receptive_field needs a model that can be called on images, not {type(model).__name__}")
    generator = np.random.default_rng(seed)
    parameters = getattr(model, "parameters", tuple)()
    dtype = next((p._data.dtype for p in parameters if p._data.dtype.kind == "f"), np.float32)
    x = tinygrad_course.tensor(generator.standard_normal((samples, *shape)).astype(dtype), requires_grad=True)
    run = _run(model, x)
    output = _output(run, at, len(shape) + 1)
    extents = output.shape[2:]
    position = tuple(extent // 2 for extent in extents) if position is None else tuple(position)
    if len(position) != len(extents) or not all(0 <= i < extent for i, extent in zip(position, extents, strict=True)):
        raise ValueError(f"position {position} is not in an output of {'×'.join(map(str, extents))} units")
    whole, cut = _walk(run, output, position, x, False), _walk(run, output, position, x, True)
    after = _walk(run, output, tuple(i + 1 for i in position), x, False)
    unbounded = [low <= _EVERYWHERE[0] // 2 for low, _ in whole]
    gradient = _gradient(output, position, x, generator)
    return ReceptiveField(
        output.node.label(), position,
        size=tuple(n if all_ else high - low + 1
                   for (low, high), n, all_ in zip(whole, shape[1:], unbounded, strict=True)),
        stride=tuple(0 if all_ else later - low
                     for (low, _), (later, _), all_ in zip(whole, after, unbounded, strict=True)),
        box=tuple((low, high + 1) for low, high in cut),
        support=_support(gradient),
        gradient=gradient,
    )  # fmt: skip


class _Run(Observer):
    """Keeps what ran: the shapes that each operation read, and the tensors it made."""

    def __init__(self):
        self.shapes, self.outputs = {}, []

    def forward(self, node, inputs, output):
        self.shapes[node.order] = [None if tensor is None else tensor._data.shape for tensor in inputs]
        self.outputs.append(output)


def _run(model, x):
    modes = [(module, module.training) for module in getattr(model, "modules", tuple)()]
    run = _Run()
    try:
        for module, _ in modes:
            vars(module)["training"] = False
        with enable_grad(), observe(run):
            model(x)
    finally:
        for module, mode in modes:
            vars(module)["training"] = mode
    return run


def _output(run, at, ndim):
    """The tensor whose unit is meant."""
    behind = [output for output in run.outputs if output.node is not None]
    named = behind if at is None else [one for one in behind if at in (one.node.scope, one.node.label(), one.node.name)]
    if not named:
        known = list(dict.fromkeys(one.node.scope for one in behind if one.node.scope))
        raise ValueError(f"no layer is named {at!r}; there are: {', '.join(known[:12])}{' …' * (len(known) > 12)}")
    images = [output for output in named if output._data.ndim == ndim]
    if not images:
        shape = "×".join(map(str, named[-1].shape))
        raise ValueError(f"{at or 'this model'} makes no image of {ndim - 2} axes, but an output of shape {shape}")
    return images[-1]


def _gradient(output, position, x, generator):
    """RMS over samples and channels of the gradient of the unit, all its channels weighed at random."""
    seed = np.zeros_like(output._data)
    seed[(slice(None), slice(None), *position)] = generator.standard_normal(seed.shape[:2])
    (found,) = tinygrad_course.grad(output, x, grad_outputs=tinygrad_course.tensor(seed), allow_unused=True)
    if found is None:
        return np.zeros(x.shape[2:])
    return np.sqrt(np.mean(found._data.astype(np.float64) ** 2, axis=(0, 1)))


def _support(gradient):
    """The box around what is not 0."""
    places = np.nonzero(gradient)
    return tuple((int(p.min()), int(p.max()) + 1) for p in places) if len(places[0]) else None


# ------------------------------------------------------------------------------------ the geometry


def _walk(run, output, position, x, cut):
    """(first, last) pixel of x along each axis that the unit at `position` sees; with `cut`, cut at every border."""
    vertices = vertices_behind(output.node)
    boxes = {output.node: [(i, i) for i in position]}
    for vertex in reversed(vertices):
        box = boxes.get(vertex)
        if box is None or not isinstance(vertex, Function):
            continue
        for slot, edge in enumerate(vertex.edges):
            if edge is None or (not isinstance(edge, Function) and edge is not x):
                continue
            shape = run.shapes[vertex.order][slot]
            there = _through(vertex, run.shapes[vertex.order], slot, box)
            if cut:
                there = [(max(low, 0), min(high, n - 1)) for (low, high), n in zip(there, shape[2:], strict=True)]
            if any(low > high for low, high in there):
                continue  # nothing but padding
            known = boxes.get(edge)
            boxes[edge] = there if known is None else [
                (min(a, c), max(b, d)) for (a, b), (c, d) in zip(known, there, strict=True)
            ]  # fmt: skip
    if x in boxes:
        return boxes[x]
    return [(0, -1)] * (x._data.ndim - 2)  # the unit sees nothing


def _through(node, shapes, slot, box):
    """From a box in a node's output to the box in its operand `slot`."""
    before, after = shapes[slot][2:], node.shape[2:]
    if len(before) == len(after):
        ways = _ways(node, shapes, slot, before)
        if ways is not None:
            return [way(*ends) for way, ends in zip(ways, box, strict=True)]
        local = rule_of(node.name).factors or node.name in _LOCAL
        if local and all(n in (m, 1) for n, m in zip(before, after, strict=True)):
            return [(0, 0) if n == 1 < m else ends for ends, n, m in zip(box, before, after, strict=True)]
    elif node.name == "reshape" and _thick(before) == _thick(after):  # an axis of one pixel comes or goes
        kept = iter([ends for ends, n in zip(box, after, strict=True) if n > 1])
        return [(0, 0) if n == 1 else next(kept) for n in before]
    return [_EVERYWHERE] * len(before)


def _thick(extents):
    return [n for n in extents if n > 1]


def _ways(node, shapes, slot, before):
    """For each axis the function (low, high) → (low, high) of an operation that moves a window; None for others."""
    axes = range(len(before))
    if node.name in ("conv2d", "conv_transpose2d") and slot == 0:
        stride, padding, dilation, _ = node.how
        way = _window if node.name == "conv2d" else _spread
        return [way(shapes[1][2 + a], stride[a], padding[a][0], dilation[a]) for a in axes]
    if node.name == "max_pool2d":
        kernel, stride, padding, dilation, *_ = node.windows
        return [_window(kernel[a], stride[a], _low(padding[a]), dilation[a]) for a in axes]
    if node.name == "avg_pool2d":
        kernel, stride, padding, *_ = node.window
        return [_window(kernel[a], stride[a], _low(padding[a]), 1) for a in axes]
    if node.name == "adaptive_avg_pool":
        return [_adaptive(n, m) for n, m in zip(before, node.shape[2:], strict=True)]
    if node.name == "pad":
        return [_window(1, 1, before_it, 1) for before_it, _ in node.widths[-len(before) :]]
    if node.name == "interpolate" and len(node.tables) == len(before):
        return [_table([places for places, _ in table]) for table in node.tables[::-1]]
    return None


def _low(padding):
    return padding[0] if isinstance(padding, (tuple, list)) else padding


def _window(kernel, stride, padding, dilation):
    reach = dilation * (kernel - 1)
    return lambda low, high: (low * stride - padding, high * stride - padding + reach)


def _spread(kernel, stride, padding, dilation):
    """A transposed convolution: pixel i adds to the units i·s − p … i·s − p + d·(k − 1)."""
    reach = dilation * (kernel - 1)
    return lambda low, high: (-((reach - padding - low) // stride), (high + padding) // stride)


def _adaptive(n, m):
    return lambda low, high: (low * n // m, -(-(high + 1) * n // m) - 1)


def _table(places):
    """An interpolation reads, for its unit i, the pixels p(i) of each table."""

    def way(low, high):
        last = len(places[0]) - 1
        low, high = min(max(low, 0), last), min(max(high, 0), last)
        return min(int(p[low]) for p in places), max(int(p[high]) for p in places)

    return way
