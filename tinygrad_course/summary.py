"""summary: what a network consists of, layer by layer, without training or even allocating it.

The network runs once, in eval mode, on zeros. The layers where the work and the parameters are (convolutions, linear
layers, batch norm) do not compute: their output's shape is known, and zeros that take no memory stand for it. So
VGG-19 at 224×224 takes a fraction of a second, and with `nn.meta()` no memory for its weights.
"""

import math
import weakref

import numpy as np

from . import nn
from .base import TensorBase
from .modes import Observer, no_grad, observe, thread
from .nn.parameter import without_memory
from .summary_table import Field, LayerSummary, ModelSummary, as_tuple
from .tensor import Tensor


def _window_of(module):
    """(kernel size, stride, dilation) of a layer whose outputs see a window of its input; None for others."""
    if getattr(module, "transposed", False) or "Un" in type(module).__name__:  # ConvTranspose2d, MaxUnpool2d, Unfold
        return None
    if not hasattr(module, "kernel_size") or not hasattr(module, "stride"):
        return None
    stride = module.kernel_size if module.stride is None else module.stride
    return module.kernel_size, stride, getattr(module, "dilation", 1)


def _window_of_node(node, inputs):
    """The same of an operation."""
    if node.name == "conv2d":
        stride, _, dilation, _ = node.how
        return inputs[1].shape[2:], stride, dilation
    if node.name == "max_pool2d":
        kernel_size, stride, _, dilation, *_ = node.windows
        return kernel_size, stride, dilation
    return node.window[:2] if node.name == "avg_pool2d" else None


# ------------------------------------------------------------------------------------- layers that only pretend


def _linear(module, shape):
    """(output shape, multiply-adds) of a linear layer; None if the input does not fit."""
    if not shape or shape[-1] != module.in_features:
        return None
    output = (*shape[:-1], module.out_features)
    return output, math.prod(output) * module.in_features


def _conv(module, shape):
    """(output shape, multiply-adds) of a convolution; None if the input does not fit."""
    n = len(module.kernel_size)
    if len(shape) not in (n + 1, n + 2) or shape[-n - 1] != module.in_channels:
        return None
    k, s, d = module.kernel_size, module.stride, module.dilation
    if module.padding == "same":
        size = shape[-n:]
    else:
        padding = (0,) * n if module.padding == "valid" else as_tuple(module.padding, n)
        reach = [e * (m - 1) + 1 for m, e in zip(k, d, strict=True)]
        size = [(a + 2 * p - r) // t + 1 for a, p, r, t in zip(shape[-n:], padding, reach, s, strict=True)]
    if min(size) < 1:
        return None
    output = (*shape[: -n - 1], module.out_channels, *size)
    return output, math.prod(output) * (module.in_channels // module.groups) * math.prod(k)


def _same(module, shape):
    """(output shape, multiply-adds) of a layer that works on each element or channel; None if they do not fit."""
    fits = not hasattr(module, "num_features") or (len(shape) in module.dims and shape[1] == module.num_features)
    return (shape, 0) if fits else None


_PRETENDERS = {nn.Linear.forward: _linear, nn.BatchNorm2d.forward: _same}
_PRETENDERS |= {layer.forward: _same for layer in (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Tanh)}
for _name in ("Conv1d", "Conv2d", "Conv3d"):
    if hasattr(nn, _name):
        _PRETENDERS[getattr(nn, _name).forward] = _conv


def _pretend(module, forward):
    """A forward that returns zeros of the right shape; what does not fit goes to the real one, for its error."""

    def pretend(x):
        shaped = _PRETENDERS[type(module).forward](module, x.shape) if isinstance(x, TensorBase) else None
        own = next(iter(module._parameters.values()), None)
        if shaped is None or x.dtype.kind != "f" or (own is not None and own.dtype != x.dtype):
            return forward(x)
        return Tensor(without_memory(shaped[0], x.dtype))

    return pretend


# ------------------------------------------------------------------------------------- the run


class _Run(Observer):
    """Watches one forward pass: the multiply-adds of operations, receptive fields, and one row a layer."""

    def __init__(self, model, inputs):
        self.rows, self.fields, self.counted, self.open = [], {}, set(), []
        self.paths = {module: path for path, module in model.named_modules()}
        for x in inputs:
            if x.ndim >= 3:
                self.set_field(x, Field((1,) * (x.ndim - 2), (1,) * (x.ndim - 2)))

    def field(self, x):
        """The receptive field of a tensor's elements; None once they have seen everything."""
        known = self.fields.get(id(x))
        return known[1] if known is not None and known[0]() is x else None

    def set_field(self, x, field):
        self.fields[id(x)] = weakref.ref(x), field

    def forward(self, node, inputs, output):
        """An operation has run. Elementwise ones pass the fields on; those that mix all pixels end them."""
        macs = _multiply_adds(node, inputs, output)
        if macs:
            if self.open:
                self.open[-1]["macs"] += macs
            else:
                name = f"{node.scope}.{node.name}" if node.scope else node.name
                self.rows.append(LayerSummary(name, node.name, output.shape, 0, 0, macs, output.data.nbytes, None))
        field = None
        for x in inputs:
            known = None if x is None else self.field(x)
            if known is not None and x.ndim == output.ndim:
                window = _window_of_node(node, inputs)
                if window is not None:
                    known = known.through(*window)
                elif x.shape[2:] != output.shape[2:]:
                    continue
                field = known.merged(field)
        if node.name in ("matmul", "linear"):
            field = None
        self.set_field(output, field)

    def enter(self, module, inputs):
        self.open.append({"macs": 0})

    def leave(self, module, inputs, output):
        macs = self.open.pop()["macs"]
        y = output if isinstance(output, TensorBase) else next((t for t in _flat(output)), None)
        x = next(iter(_flat(inputs)), None)
        pretended = type(module).forward in _PRETENDERS and not module._modules and x is not None
        if pretended and not macs:
            _, macs = _PRETENDERS[type(module).forward](module, x.shape)
        field = self.layer_field(module, x, y)
        own = [p for p in module._parameters.values() if p is not None and p not in self.counted]
        self.counted.update(own)
        self.rows.append(
            LayerSummary(
                self.paths.get(module, thread.state.scope), type(module).__name__, None if y is None else y.shape,
                sum(p.numel() for p in own), sum(p.numel() for p in own if p.requires_grad), macs,
                sum(t.data.nbytes for t in _flat(output)), field,
            )
        )  # fmt: skip

    def layer_field(self, module, x, y):
        """The receptive field behind a layer: that of a window, or what its operations have made of it."""
        field = None if x is None else self.field(x)
        if y is None:
            return None
        window = _window_of(module)
        adaptive = type(module).__name__.startswith("Adaptive")
        if field is not None and x.ndim == y.ndim and not module._modules and (window is not None or adaptive):
            if adaptive:
                sizes = list(zip(x.shape[2:], y.shape[2:], strict=True))
                window = [-(-a // b) for a, b in sizes], [max(a // b, 1) for a, b in sizes]
            self.set_field(y, field.through(*window))
        elif type(module).forward in _PRETENDERS and not isinstance(module, nn.Linear):
            self.set_field(y, field)
        return self.field(y)


def _multiply_adds(node, inputs, output):
    """Multiplications that are added up, of an operation: those of matrix products, convolutions and einsum."""
    name = node.name
    if name == "einsum":
        return node.multiply_adds(inputs)
    if name in ("linear", "matmul", "bmm", "mm"):
        return output.numel() * inputs[0].shape[-1]
    if name.startswith("conv_transpose"):
        return inputs[0].numel() * math.prod(inputs[1].shape[1:])
    if name.startswith("conv"):
        return output.numel() * math.prod(inputs[1].shape[1:])
    return 0


def _flat(values):
    """All tensors in nested tuples, lists and dicts."""
    if isinstance(values, TensorBase):
        yield values
    elif isinstance(values, dict):
        yield from _flat(list(values.values()))
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _flat(value)


def summary(model, input_size=None, batch_size=1, *, input_data=None, dtype=None):
    """Shapes, parameters, multiply-adds, memory and receptive fields of a network, layer by layer: a ModelSummary.

    `input_size` is one input's shape without the batch, (C, H, W), or a list of shapes for several inputs, of
    dtypes `dtype` (float32 by default, the parameters' if those are of one other floating dtype). Instead,
    `input_data` gives the tensors themselves. The model is left as it was: its mode, numbers, statistics, hooks.

    >>> print(summary(models.LeNet5(), (1, 32, 32)))
    """
    inputs = _inputs(model, input_size, batch_size, input_data, dtype)
    run, handles, pretending = _Run(model, inputs), [], []
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module in model.modules():
            if not module._modules or module._parameters:
                handles.append(module.register_forward_pre_hook(run.enter))
                handles.append(module.register_forward_hook(run.leave, prepend=True))
            if type(module).forward in _PRETENDERS and "forward" not in vars(module):
                object.__setattr__(module, "forward", _pretend(module, module.forward))
                pretending.append(module)
        model.eval()
        with no_grad(), observe(run):
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
        for module in pretending:
            del vars(module)["forward"]
        for module, mode in modes:
            vars(module)["training"] = mode
    parameters, buffers = list(model.parameters()), list(model.buffers())
    return ModelSummary(
        type(model).__name__, [tuple(x.shape) for x in inputs], run.rows,
        sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad),
        sum(p.data.nbytes for p in parameters), sum(b.data.nbytes for b in buffers), sum(x.data.nbytes for x in inputs),
    )  # fmt: skip


def _inputs(model, input_size, batch_size, input_data, dtype):
    if input_data is not None:
        return [input_data] if isinstance(input_data, TensorBase) else list(input_data)
    if input_size is None:
        raise ValueError("summary: give input_size, one input's shape without the batch, or input_data")
    if isinstance(input_size, int):
        input_size = (input_size,)
    several = any(isinstance(s, tuple | list) for s in input_size)
    sizes = list(input_size) if several else [input_size]
    floating = {p.dtype for p in model.parameters() if p.dtype.kind == "f"}
    default = floating.pop() if len(floating) == 1 else np.dtype(np.float32)
    dtypes = list(dtype) if isinstance(dtype, tuple | list) else [dtype or default] * len(sizes)
    return [Tensor(without_memory((batch_size, *s), d)) for s, d in zip(sizes, dtypes, strict=True)]
