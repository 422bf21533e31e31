"""Numbers to draw: relative gradients, their scale, and shares at fan-outs."""

import math
from typing import NamedTuple

SCALES = (1, 2, 3, 4, 6, 8, 12)  # decades from white to full colour
_SMALL_PAIRS = 1e-4  # float32 tells a cosine to about 1e-7 / this


def shares(vertices):
    """{(vertex, slot): share} for every edge whose source sends its output to several operands.

    The contributions to one tensor have one shape, so that RMS stands for the norm: share = RMS_i / Σ RMS_j.
    """
    outgoing = {}
    for index, vertex in enumerate(vertices):
        for slot, source, rms in vertex.operands:
            if rms is not None:
                outgoing.setdefault(_tensor(vertices, source), []).append((index, slot, rms))
    result = {}
    for edges in outgoing.values():
        total = sum(rms for _, _, rms in edges)
        if len(edges) > 1 and 0.0 < total < math.inf:
            result.update({(index, slot): rms / total for index, slot, rms in edges})
    return result


def _tensor(vertices, index):
    """What tells tensors apart: the copies of a leaf that is drawn once per use are one."""
    leaf = vertices[index].leaf
    return index if leaf is None else ("leaf", leaf)


class Agreement(NamedTuple):
    """How the contributions that meet at a fan-out go together.

    count: how many; cancellation: ‖Σc‖ / Σ‖c‖, 1 where all point the same way, 0 where they cancel; cosine: the cosine
    of the angle between two of them, of several the mean over pairs, each weighed by ‖c_i‖ ‖c_j‖; None where one is so
    small beside the others that nothing can be said.
    """

    count: int
    cancellation: float
    cosine: float | None


def agreements(vertices):
    """{vertex: `Agreement`} of the fan-outs.

    From the norms alone: ‖Σc‖² = Σ‖c‖² + 2 Σ_{i<j} ⟨c_i, c_j⟩, and the gradient that arrived is Σc. It costs nothing
    while recording, and is as exact as the gradients are, times how much larger the largest is than the smallest.
    """
    outgoing = {}
    for vertex in vertices:
        for _, source, rms in vertex.operands:
            if rms is not None:
                outgoing.setdefault(_tensor(vertices, source), []).append(rms)
    result = {}
    for index, vertex in enumerate(vertices):
        sizes = outgoing.get(_tensor(vertices, index), ())
        total = sum(sizes)
        arrived = vertex.node.grad_rms
        if len(sizes) < 2 or not vertex.is_sum or arrived is None or not 0.0 < total < math.inf:
            continue
        squares = sum((size / total) ** 2 for size in sizes)
        pairs, cancellation = 1.0 - squares, arrived / total  # 2 Σ_{i<j} ‖c_i‖ ‖c_j‖ / (Σ‖c‖)²
        cosine = (cancellation**2 - squares) / pairs if pairs > _SMALL_PAIRS else None
        if cosine is not None:
            cosine = min(1.0, max(-1.0, cosine))
        result[index] = Agreement(len(sizes), min(1.0, cancellation), cosine)
    return result


def find_reference(vertices, asked=None):
    """(index of the reference vertex or None, its gradient's RMS) for `asked`: None, a name, or an RMS.

    By default the last tensor of more than one number before the loss that has a finite gradient other than zero;
    in a graph of scalars the loss itself. Raises ValueError for a name that is not there or has no such gradient.
    """
    if isinstance(asked, (int, float)) and not isinstance(asked, bool):
        if not 0.0 < asked < math.inf:
            raise ValueError(f"a reference RMS must be positive and finite, got {asked!r}")
        return None, float(asked)
    usable = [index for index, vertex in enumerate(vertices) if _usable(vertex.node.grad_rms)]
    if asked is not None:
        named = [i for i, v in enumerate(vertices) if asked in (v.node.name, f"{v.node.name} ({v.node.op})")]
        if not named:
            names = sorted({v.node.name for v in vertices if v.is_operation})
            raise ValueError(
                f"no node is named {asked!r}; there are: {', '.join(names[:12])}{' …' * (len(names) > 12)}"
            )
        named = [index for index in named if index in usable]
        if not named:
            raise ValueError(f"{asked!r} cannot be the reference: its gradient is absent, zero, or not finite")
        return named[-1], vertices[named[-1]].node.grad_rms
    if not usable:
        return None, 1.0
    tensors = [i for i in usable if vertices[i].is_operation and math.prod(vertices[i].node.shape) > 1]
    index = (tensors or usable)[-1]
    return index, vertices[index].node.grad_rms


def _usable(rms):
    return rms is not None and 0.0 < rms < math.inf


def set_values(vertices, reference_rms):
    """Give every vertex its value log10(RMS / reference) or the mark that says why it has none, and its agreement."""
    bad = None
    for index, agreement in agreements(vertices).items():
        vertices[index].node.agreement = agreement
    tensors = any(v.is_operation and math.prod(v.node.shape) > 1 for v in vertices)
    for vertex in vertices:
        node = vertex.node
        rms = node.grad_rms
        node.value = None
        node.is_neutral = tensors and math.prod(node.shape) <= 1
        if rms is None:
            node.mark = "none" if node.wants_gradient else "data"
        elif math.isnan(rms):
            node.mark = "nan"
        elif math.isinf(rms):
            node.mark = "inf"
        elif rms == 0.0:
            node.mark = "zero"
        else:
            node.mark, node.value = "", math.log10(rms) - math.log10(reference_rms)
        if node.mark in ("nan", "inf") and vertex.is_operation:
            bad = node  # backward goes from the last to the first: what is met first stands last
    if bad is not None:
        bad.is_first_bad = True
    broken = next((v.node for v in vertices if v.node.activation is not None and v.node.activation.not_finite), None)
    if broken is not None:
        broken.is_first_bad_output = True


def choose_scale(values, asked=None):
    """The half-range D in decades: the smallest of `SCALES` that covers 95 % of |values|, or the one asked for."""
    if asked is not None:
        if isinstance(asked, bool) or not isinstance(asked, (int, float)) or not 0 < asked < math.inf:
            raise ValueError(f"scale must be a positive number of decades, got {asked!r}")
        return asked
    sizes = sorted(abs(value) for value in values if value is not None)
    if not sizes:
        return SCALES[0]
    quantile = sizes[max(0, math.ceil(0.95 * len(sizes)) - 1)]
    return next((scale for scale in SCALES if quantile <= scale), SCALES[-1])
