"""The legend: the colour bar, what it is relative to, and what the marks mean. Plain HTML, there without the script."""

import re
from html import escape

from ..graph import labels
from . import svg

_SAMPLES = {
    "width": '<path d="M0,6.5L22,3L22,10Z" fill="var(--edge)"/>',
    "skip": '<path d="M0,6.5H22" stroke="var(--skip)" stroke-width="3.5"/>',
    "strip": "".join(
        f'<rect class="c{c}" x="{5.5 * i}" y="2" width="5.5" height="9" fill="var(--f)"/>'
        for i, c in enumerate((6, 13, 20, 27))
    ),
    "dashed": '<path d="M0,6.5H22" stroke="var(--edge)" stroke-dasharray="4 4"/>',
    "dotted": '<path d="M0,6.5H22" stroke="var(--edge)" stroke-dasharray="1.5 4"/>',
    "zero": '<rect x="1" y="1" width="20" height="11" rx="3" fill="var(--zero)" stroke="var(--border)"/>',
    "none": '<rect x="1" y="1" width="20" height="11" rx="3" fill="var(--wait)" stroke="var(--border)" '
    'stroke-dasharray="3 2"/>',
    "bad": '<rect x="1" y="1" width="20" height="11" rx="3" fill="var(--bad)" stroke="var(--border)"/>',
}


def legend(flows, names):
    """The legend of one graph, or of two that share a scale."""
    found = [labels.legend(flow) for flow in flows]
    parts = []
    if any(flow.has_gradients for flow in flows):
        scale = flows[0].scale
        cells = "".join(f'<i class="c{i}"></i>' for i in range(2 * svg.BINS + 1))
        ticks = "".join(
            f'<span style="left:{50 + 50 * value / scale:g}%">{svg.raised(text)}</span>'
            for value, text in labels.ticks(scale)
        )
        words = f"Colour scale: blue vanishing, pale {labels.MIDDLE}, red exploding, {scale:g} decades each way"
        parts.append(
            f'<div class="bar" role="img" aria-label="{words}">{cells}</div><div class="ticks">{ticks}</div>'
            f'<div class="ends"><span>▼ vanishing</span><span>{labels.MIDDLE}</span><span>exploding ▲</span></div>'
        )
    captions = [caption for _, caption, _ in found]
    if len(set(captions)) > 1:
        captions = [f"{name}: {caption}" for name, caption in zip(names, captions, strict=True)]
    parts += [f'<div class="more">{escape(caption)}</div>' for caption in dict.fromkeys(captions)]
    rows = dict(row for _, _, rows in found for row in rows)
    items = "".join(
        f'<li><svg width="22" height="13" aria-hidden="true">{_SAMPLES.get(key, "")}</svg>'
        f"<span>{escape(text)}</span></li>"
        for key, text in rows.items()
    )
    return re.sub(r"\s+", " ", "".join(parts) + f'<ul class="more">{items}</ul>')
