"""Batch norm at test time is a fixed linear map, so the layer before it can do its work.

    γ (W x + b - μ)/√(σ² + ε) + β  =  (s W) x + (b - μ) s + β   with s = γ/√(σ² + ε), one number a channel.
"""

import copy
import itertools

import numpy as np

from ...base import TensorBase
from ...modes import Observer, no_grad, observe
from ..container import Sequential
from ..conv import Conv2d
from ..linear import Linear
from ..module import Module, Parameter
from ..norm import _BatchNorm
from ..shape import Identity


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """A convolution that computes bn(conv(x)), for two modules in eval mode; both stay as they are.

    `transpose`: the weight is a transposed convolution's, its output channels along axis 1.
    """
    _check_eval(conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_linear_bn_eval(linear, bn):
    """A linear layer that computes bn(linear(x)), for two modules in eval mode; both stay as they are."""
    _check_eval(linear, bn)
    if bn.num_features not in (linear.out_features, 1):
        raise AssertionError(
            f"to fuse, the batch norm must have {linear.out_features} features (the linear layer's outputs) or 1, got "
            f"{bn.num_features}"
        )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """(weight, bias) of the convolution that does the batch norm's work too. The batch norm's tensors may be None,
    except its running mean and variance."""
    w = conv_w._data
    mean, variance = bn_rm._data, bn_rv._data
    gamma = np.ones_like(mean) if bn_w is None else bn_w._data
    beta = np.zeros_like(mean) if bn_b is None else bn_b._data
    b = np.zeros_like(mean) if conv_b is None else conv_b._data
    scale = gamma / np.sqrt(variance + bn_eps)
    out_axis = (1, -1) if transpose else (-1, 1)
    fused_w = (w * scale.reshape(out_axis + (1,) * (w.ndim - 2))).astype(w.dtype)
    fused_b = ((b - mean) * scale + beta).astype(w.dtype if conv_b is None else b.dtype)
    return (
        Parameter(fused_w, conv_w.requires_grad),
        Parameter(fused_b, conv_w.requires_grad if conv_b is None else conv_b.requires_grad),
    )


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """(weight, bias) of the linear layer that does the batch norm's work too."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def _check_eval(layer, bn):
    if layer.training or bn.training:
        raise AssertionError("fusion is only for eval mode: in training batch norm uses the batch; call .eval() first")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("the batch norm has no running statistics (track_running_stats=False) to be fused")


# ------------------------------------------------------------------------------------- whole models


def fuse_conv_bn(model, example_input=None):
    """A copy of `model`, in eval mode, whose convolutions have swallowed the batch norms that follow them.

    Each such batch norm is an Identity in the copy. Without an `example_input` only neighbours in a Sequential are
    known to follow one another; with one, the copy runs once on it, and every batch norm is fused whose input is
    the output of one convolution that nothing else uses. `fuse_conv_bn(conv, bn)` is `fuse_conv_bn_eval`.
    """
    if isinstance(example_input, _BatchNorm):
        return fuse_conv_bn_eval(model, example_input)
    return _fuse(model, example_input, Conv2d, fuse_conv_bn_eval)


def fuse_linear_bn(model, example_input=None):
    """`fuse_conv_bn` for linear layers. `fuse_linear_bn(linear, bn)` is `fuse_linear_bn_eval`."""
    if isinstance(example_input, _BatchNorm):
        return fuse_linear_bn_eval(model, example_input)
    return _fuse(model, example_input, Linear, fuse_linear_bn_eval)


def _fuse(model, example_input, kind, fuse):
    if not isinstance(model, Module):
        raise TypeError(f"expected a Module to fuse, not {type(model).__name__}")
    model = copy.deepcopy(model).eval()
    paths = {module: path for path, module in model.named_modules()}
    for layer, bn in _neighbours(model) if example_input is None else _followers(model, example_input):
        fits = isinstance(layer, kind) and bn.running_mean is not None
        if fits and not (kind is Linear and bn.num_features != layer.out_features):
            model.set_submodule(paths[layer], fuse(layer, bn))
            model.set_submodule(paths[bn], Identity().eval())
    return model


def _neighbours(model):
    """(layer, batch norm) that stand side by side in a Sequential, each in one place of the model only."""
    places = list(model.modules(remove_duplicate=False))
    pairs = []
    for module in model.modules():
        if type(module).forward is Sequential.forward:
            parts = list(module)
            pairs += [(a, b) for a, b in itertools.pairwise(parts) if isinstance(b, _BatchNorm)]
    return [(a, b) for a, b in pairs if places.count(a) == places.count(b) == 1]


class _Uses(Observer):
    """Which tensors the operations outside of a layer took: a list, so that nothing is forgotten or counted twice."""

    def __init__(self):
        self.inputs = []

    def forward(self, node, inputs, output):
        self.inputs += [t for t in inputs if t is not None]


def _followers(model, example_input):
    """(layer, batch norm) pairs where the batch norm's input is the layer's output and nothing else takes that."""
    inputs = (example_input,) if isinstance(example_input, TensorBase) else tuple(example_input)
    made, taken, uses = [], [], _Uses()
    handles = []
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            handles.append(module.register_forward_hook(lambda m, args, y: taken.append((m, args[0]))))
        elif isinstance(module, Conv2d | Linear):
            handles.append(module.register_forward_hook(lambda m, args, y: made.append((m, y))))
    with no_grad(), observe(uses):
        result = model(*inputs)
    for handle in handles:
        handle.remove()
    pairs = []
    results = result if isinstance(result, tuple | list) else [result]
    for bn, x in taken:
        makers = [layer for layer, y in made if y is x]
        used = sum(t is x for t in uses.inputs) + sum(r is x for r in results)
        once = sum(m is bn for m, _ in taken) == 1
        if len(makers) == 1 and used == 1 and once and sum(m is makers[0] for m, _ in made) == 1:
            pairs.append((makers[0], bn))
    return pairs
