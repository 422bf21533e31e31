"""Lesion studies: delete blocks of a trained net and see how much it suffers.

A residual net without one block is still a net: half of its paths remain. A plain net without one layer is broken.
(Veit, Wilber, Belongie 2016.)
"""

import contextlib
import copy
import random
import statistics
from typing import NamedTuple

import tinygrad_course
from tinygrad_course import nn
from tinygrad_course.base import TensorBase

_HIGHWAYS = ("shortcut", "downsample", "skip")  # what a block that changes shape calls the layer on its highway


class Lesions(NamedTuple):
    """What a lesion study found. baseline: the whole net's loss; single: {block: loss without it}; several: {number of
    blocks deleted: [loss of each draw]}."""

    baseline: float
    single: dict
    several: dict


class _Deleted(nn.Module):
    """Stands where a block was: hands its input on, through the block's own highway where that is a layer."""

    def __init__(self, name, block):
        super().__init__()
        self.name = name
        layers = [getattr(block, word, None) for word in _HIGHWAYS]
        self.highway = next((layer for layer in layers if isinstance(layer, nn.Module)), nn.Identity())
        probe = copy.deepcopy(block).eval()
        object.__setattr__(self, "probe", probe)  # no child: its parameters are not the net's

    def forward(self, x):
        out = self.highway(x)
        if self.probe is not None:
            with tinygrad_course.no_grad():
                wanted = self.probe(x).shape
            if tuple(wanted) != tuple(out.shape):
                raise ValueError(
                    f"cannot delete {self.name}: it changes the shape {tuple(x.shape)} to {tuple(wanted)} and has no "
                    f"layer on its highway ({', '.join(_HIGHWAYS)}) to do so in its place"
                )
            object.__setattr__(self, "probe", None)
        return out


@contextlib.contextmanager
def delete_blocks(model, names):
    """`with delete_blocks(net, ["blocks.3"]):`, and inside the net runs without these blocks.

    A deleted block hands its input on unchanged; a residual block with a layer on its highway (an attribute
    `shortcut`, `downsample` or `skip`) through that. On the way out the net is as it was.

    Raises ValueError for a name that is no module, and, when the net runs, for a block that cannot be left out because
    it changes the shape.
    """
    names = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    modules = dict(model.named_modules())
    for name in names:
        if name not in modules or not name:
            known = blocks_of(model) or [known for known in modules if known]
            known = ", ".join(known[:12]) + " …" * (len(known) > 12)
            raise ValueError(f"no block is named {name!r}; there are: {known}")
        if any(other != name and name.startswith(f"{other}.") for other in names):
            raise ValueError(f"{name!r} stands inside another block that is to be deleted")
    places = [(modules[name.rpartition(".")[0]], name.rpartition(".")[2], modules[name]) for name in names]
    stand_ins = [_Deleted(name, modules[name]) for name in names]
    try:
        for (parent, child, _), stand_in in zip(places, stand_ins, strict=True):
            setattr(parent, child, stand_in)
        yield model
    finally:
        for parent, child, block in places:
            setattr(parent, child, block)


def blocks_of(model):
    """Names of the blocks that repeat: the children of one class, with layers of their own, of one container."""
    found = []
    for name, module in model.named_modules():
        children = list(module.named_children())
        kinds = {}
        for child, part in children:
            if child.isdigit() and list(part.named_children()):
                kinds.setdefault(type(part), []).append(f"{name}.{child}" if name else child)
        found += [one for group in kinds.values() if len(group) > 1 for one in group]
    return [name for name in found if not any(name.startswith(f"{other}.") for other in found)]


def lesion_study(model, loss_fn, blocks=None, *, counts=(), draws=10, seed=0):
    """The loss without each block, and without several at once: `Lesions`.

    loss_fn: a function of the model that returns its loss or error, a number or a tensor of one; it runs without
        gradients and in evaluation mode. blocks: names, by default those that repeat (`blocks_of`).
    counts: numbers of blocks to delete at once, `draws` random choices each, from `seed`.

    Raises ValueError if there are no blocks, or a count is larger than their number.
    """
    blocks = list(blocks if blocks is not None else blocks_of(model))
    if not blocks:
        raise ValueError("this net has no blocks that repeat: name those to delete, blocks=[…]")
    for count in counts:
        if not 0 < count <= len(blocks):
            raise ValueError(f"cannot delete {count} of {len(blocks)} blocks")
    chance = random.Random(seed)
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with tinygrad_course.no_grad():
            baseline = _number(loss_fn(model))
            single = {name: _without(model, [name], loss_fn) for name in blocks}
            several = {
                count: [_without(model, chance.sample(blocks, count), loss_fn) for _ in range(draws)]
                for count in counts
            }  # fmt: skip
    finally:
        for module in training:
            module.training = True
    return Lesions(baseline, single, several)


def medians(lesions):
    """[(blocks deleted, median loss)], from none on."""
    one = [(1, statistics.median(lesions.single.values()))] if 1 not in lesions.several else []
    return [(0, lesions.baseline), *one, *((n, statistics.median(v)) for n, v in sorted(lesions.several.items()))]


def _without(model, names, loss_fn):
    with delete_blocks(model, names):
        return _number(loss_fn(model))


def _number(loss):
    return float(loss._data.reshape(())) if isinstance(loss, TensorBase) else float(loss)
