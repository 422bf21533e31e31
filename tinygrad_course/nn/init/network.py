"""Initializers of a whole network: by what its layers put out (LSUV), by its residual branches (Fixup)."""

import math

from ...modes import no_grad
from ..container import Residual
from .fill import zeros_
from .structure import orthogonal_
from .variance import kaiming_normal_


def lsuv_(model, x, tolerance=0.01, max_iterations=10):
    """Layer-sequential unit variance (Mishkin & Matas 2015), measured on a batch `x`; returns rescalings per layer.

    Each linear or convolutional layer, in the order in which they run, becomes orthonormal, its bias 0; then its
    weight is divided by the standard deviation of the layer's output until |Var - 1| < `tolerance`. The output is
    linear in the weight, so one division does, unless the layer is used twice. RuntimeError if an output is constant.
    """
    layers, rescalings = _layers_that_run(model, x), {}
    for name, layer in layers.items():
        orthogonal_(layer.weight)
        if getattr(layer, "bias", None) is not None:
            zeros_(layer.bias)
        rescalings[name] = 0
        variance = _variance_of(layer, model, x)
        while abs(variance - 1) >= tolerance and rescalings[name] < max_iterations:
            if not 0 < variance < math.inf:
                raise RuntimeError(f"lsuv_: the output of {name} has variance {variance}, so it cannot be scaled to 1")
            layer.weight._data /= math.sqrt(variance)
            layer.weight._changed_in_place()
            rescalings[name] += 1
            variance = _variance_of(layer, model, x)
    return rescalings


def fixup_(model, head=None):
    """Fixup (Zhang, Dauphin & Ma 2019): residual nets without normalization that train at any depth.

    In each of the L branches of `model` (the `branch` of its `Residual`s, or a list of modules) the last weight layer
    becomes 0 and the other m - 1 He's times L^(-1/(2m - 2)), biases 0: every block starts as the identity, and a
    step of size η changes the output by Θ(η), not by Θ(L η). `head`, the classifier, becomes 0 too. (The paper also
    puts a scalar bias before each layer and a scalar factor into each branch.)
    """
    if isinstance(model, list | tuple):
        branches = model
    else:
        branches = [module.branch for module in model.modules() if isinstance(module, Residual)]
    if not branches:
        raise ValueError("fixup_ found no Residual in the model; give it the list of its residual branches")
    for branch in branches:
        *others, last = [module for module in branch.modules() if _is_weight_layer(module)]
        for layer in others:
            kaiming_normal_(layer.weight, nonlinearity="relu")
            layer.weight._data *= len(branches) ** (-1 / (2 * len(others)))
        zeros_(last.weight)
        for layer in (*others, last):
            if getattr(layer, "bias", None) is not None:
                zeros_(layer.bias)
    if head is not None:
        for parameter in head.parameters():
            zeros_(parameter)
    return model


def _is_weight_layer(module):
    """Whether a module is a linear or convolutional layer."""
    return hasattr(module, "weight") and (hasattr(module, "in_features") or hasattr(module, "in_channels"))


def _layers_that_run(model, x):
    """Dotted path -> weight layer, in the order in which they run on x."""
    names = {module: name for name, module in model.named_modules() if _is_weight_layer(module)}
    order = {}

    def note(layer, inputs, output):
        order.setdefault(names[layer], layer)

    handles = [layer.register_forward_hook(note) for layer in names]
    try:
        with no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return order


class _Measured(Exception):
    """The layer in question has run: the rest of the network need not."""


def _variance_of(layer, model, x):
    """The variance of all that a layer puts out."""

    def measure(layer, inputs, output):
        raise _Measured(float(output._data.var(dtype="float64")))

    handle = layer.register_forward_hook(measure)
    try:
        with no_grad():
            model(x)
    except _Measured as measured:
        return measured.args[0]
    finally:
        handle.remove()
