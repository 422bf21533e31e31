"""What stands beside a graph: the chain rule in numbers if it is small, its path spectrum as bars if it is residual."""

from html import escape

import numpy as np

from .. import explain_text
from ..graph import labels
from ..theory import path_length_law

_WIDTH, _HEIGHT, _BOTTOM = 292, 128, 26  # pixels of the chart, and of the numbers under it
_MOST_BARS = 40
_LEAST_SHARE = 1e-3  # of the energy, below which the long end is cut off


def beside(flows, names):
    """The sections for one graph or two, as HTML; "" where there is nothing to tell."""
    parts = []
    for number, (flow, name) in enumerate(zip(flows, names, strict=True)):
        which = f": {escape(name)}" if len(flows) > 1 else ""
        if flow.explanation is not None:
            parts.append(_section(f"Chain rule in numbers{which}", chain(flow, number), len(flows) == 1))
        if flow.spectrum is not None:
            parts.append(_section(f"Path spectrum{which}", spectrum(flow.spectrum), len(flows) == 1))
    return "".join(parts)


def _section(title, body, is_open):
    return f"<details{' open' * is_open}><summary>{title}</summary>{body}</details>"


# ------------------------------------------------------------------------------------ the chain rule


def chain(flow, number=0):
    """Each variable's derivative: the product along each path and their sum; then every local derivative.

    A path names its edges as they are on the page (vertex that reads: slot), for the page to light them.
    """
    data = flow.explanation.data()
    quantities, derivatives = data["quantities"], data["derivatives"]
    vertex_of = {vertex.order: i for i, vertex in enumerate(flow.origin.vertices) if vertex.is_operation}
    orders, loss = flow.explanation.orders, quantities[data["loss"]]["name"]
    ends = [f"{vertex_of.get(orders[one['target']], -1)}:{one['slot']}" for one in derivatives]
    parts = []
    for variable in dict.fromkeys(path["variable"] for path in data["paths"]):
        name = quantities[variable]["name"]
        ways = [path for path in data["paths"] if path["variable"] == variable]
        parts.append(f"<h4>{_text(f'∂{loss}/∂{name}')} = {_number(data['gradients'][name])}</h4>")
        for way in ways:
            steps = [derivatives[step] for step in way["steps"]]
            product = " · ".join(step["name"] for step in steps) or "1"
            factors = " · ".join(_bracketed(step["text"]) for step in steps) or "1"
            edges = " ".join(ends[step] for step in way["steps"])
            parts.append(
                f'<p class="way" tabindex="0" data-p="{number}" data-e="{edges}">{_text(product)}<br>= {_text(factors)}'
                f" = <b>{_number(way['product'])}</b></p>"
            )
        if len(ways) > 1:
            total = " + ".join(_bracketed(explain_text.number(way["product"])) for way in ways)
            parts.append(f"<p>sum over the paths: {_text(total)} = <b>{_number(data['gradients'][name])}</b></p>")
    parts.append("<h4>Local derivatives</h4>")
    for index in range(data["loss"], -1, -1):
        mine = [one for one in derivatives if one["target"] == index]
        if not mine:
            continue
        quantity = quantities[index]
        value = "" if quantity["value"] is None else f" = {explain_text.number(quantity['value'])}"
        lines = [f"<b>{_text(quantity['name'])}</b> = {_text(quantity['forward'] + value)}"]
        for one in mine:
            chained = [one["name"], one["formula"], one["numbers"], one["text"]]
            lines.append(_text(" = ".join(dict.fromkeys(filter(None, chained)))))
        edges = " ".join(end for end, one in zip(ends, derivatives, strict=True) if one["target"] == index)
        body = "<br>".join(lines)
        parts.append(f'<p class="way" tabindex="0" data-p="{number}" data-e="{edges}">{body}</p>')
    return "".join(parts)


def _text(text):
    return escape(labels.plain(text))


def _number(value):
    return _text(explain_text.number(value))


def _bracketed(text):
    return f"({text})" if text.startswith("−") else text


# ------------------------------------------------------------------------------------ the path spectrum


def spectrum(found):
    """Bars of the energy's shares by number of branches, the binomial law as a dashed line, and both in words."""
    shares, ratio = found.energy, found.branch_ratio
    law = None if ratio is None else path_length_law(len(found.blocks), ratio)
    seen = [k for k in range(len(shares)) if shares[k] > _LEAST_SHARE or (law is not None and law[k] > _LEAST_SHARE)]
    count = min(len(shares), (max(seen) if seen else 0) + 1, _MOST_BARS)
    top = max(float(np.max(shares[:count])), 0.0 if law is None else float(np.max(law[:count])), 1e-9)
    step, ground, room = _WIDTH / count, _HEIGHT - _BOTTOM, _HEIGHT - _BOTTOM - 12
    bars, numbers, line = [], [], []
    for k in range(count):
        height, left = room * float(shares[k]) / top, (k + 0.1) * step
        bars.append(
            f'<rect{" class=highway" * (k == 0)} x="{left:.1f}" y="{ground - height:.1f}" width="{0.8 * step:.1f}"'
            f' height="{height:.1f}"><title>{k} branches: {shares[k]:.2%}</title></rect>'
        )
        if count <= 12 or k % 5 == 0:
            numbers.append(f'<text x="{(k + 0.5) * step:.1f}" y="{ground + 12}">{k}</text>')
        if law is not None:
            line.append(f"{(k + 0.5) * step:.1f},{ground - room * float(law[k]) / top:.1f}")
    drawn = f'<polyline points="{" ".join(line)}"/>' if line else ""
    words = f"mean {found.mean_length:.2f} of {len(found.blocks)} branches; the highway alone brings {shares[0]:.2%}"
    dashed = "" if ratio is None else f"; dashed: the binomial law for a branch ratio of {ratio:.3g}"
    title = "branches that the gradient went through"
    return (
        f'<svg class="spectrum" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Share of the gradient’s energy'
        f' by the {title}: {words}"><text text-anchor="start" x="0" y="9">{top:.0%}</text>{"".join(bars)}{drawn}'
        f'{"".join(numbers)}<text x="{_WIDTH / 2:g}" y="{_HEIGHT - 2}">{title}</text></svg>'
        f"<p>Share of the gradient’s energy at {_text(labels.shorten(found.at, 30))}: {words}{dashed}.</p>"
    )
