"""The layer profile: how large gradients and activations are, layer by layer."""

import math

from . import style


def layer_profile(gradients, activations=None, *, theory=None, relative=True, title=None):
    """Gradient RMS, and activation RMS if given, against depth, for several nets in one figure.

    gradients: {"plain": [RMS(∂L/∂z) of layer 1, 2, …], …}, from the input to the loss; activations: the same of
        RMS(z). relative: gradients over that of the last layer, so that all lines end at 10⁰.
    theory: {"plain": ratio of the squared gradient per layer towards the input, …}, drawn as dashed lines of this
        slope, RMS_l ∝ ratio^(-l/2), through the middle of the measured ones.

    Returns a matplotlib Figure. Raises ValueError if there are no layers.
    """
    style.check_some(gradients, "no net was given")
    for name, values in gradients.items():
        style.check_some(list(values), f"{name!r} has no layers")
    figure = style.new_figure(7.2 if activations is None else 11.5, 4.4)
    axes = figure.subplots(1, 1 if activations is None else 2, squeeze=False)[0]
    draw_gradients(axes[0], gradients, theory, relative)
    if activations is not None:
        draw_activations(axes[1], activations)
    axes[0].legend(fontsize=9, frameon=False)
    if title:
        figure.suptitle(style.words(title), fontsize=13, fontweight="bold", x=0.01, ha="left")
    return figure


def draw_gradients(axes, gradients, theory=None, relative=True, upright=False):
    """Draw gradient profiles into axes; `upright`: depth downwards, gradient to the right, as beside a graph."""
    logs = {}
    for name, values in gradients.items():
        logs[name] = style.log10(values)
        last = next((v for v in reversed(logs[name]) if not math.isnan(v)), 0.0)
        if relative:
            logs[name] = [v - last for v in logs[name]]
    _lines(axes, logs, upright)
    for number, (name, ratio) in enumerate((theory or {}).items()):
        if name not in logs:
            raise ValueError(f"theory is given for {name!r}, but there is no such net; there are: {', '.join(logs)}")
        depth = len(logs[name])
        slope = [-0.5 * layer * math.log10(ratio) for layer in range(1, depth + 1)]
        off = [v - t for v, t in zip(logs[name], slope, strict=True) if not math.isnan(v)]
        line = [t + (sum(off) / len(off) if off else 0.0) for t in slope]
        layers = range(1, depth + 1)
        pair = (line, layers) if upright else (layers, line)
        between = "\n" if upright else " "  # an upright plot is narrow
        text = f"theory {style.words(name)}:{between}×{ratio:.3g} a layer (squared)"
        axes.plot(*pair, linestyle=("--", ":", "-.")[number % 3], color=style.INK, linewidth=1.2, label=text, zorder=5)
    label = "RMS of ∂L/∂z, relative to the last layer" if relative else "RMS of ∂L/∂z"
    if upright:
        style.tidy(axes, "Backward: gradients", label, "layer, from the input")
        axes.invert_yaxis()
    else:
        style.tidy(axes, "Backward: gradients", "layer, from the input", label)
    _fit(axes, upright)
    _mark_absent(axes, gradients, upright)


def draw_activations(axes, activations, upright=False):
    """Draw activation profiles into axes; `upright`: depth downwards, as beside a graph."""
    _lines(axes, {name: style.log10(values) for name, values in activations.items()}, upright)
    words = "layer, from the input", "RMS of z, before the activation"
    style.tidy(axes, "Forward: activations", *(words[::-1] if upright else words))
    _fit(axes, upright)
    _mark_absent(axes, activations, upright)
    if upright:
        axes.invert_yaxis()


def _lines(axes, logs, upright=False):
    for i, (name, values) in enumerate(logs.items()):
        colour, marker = style.COLOURS[i % len(style.COLOURS)], style.MARKERS[i % len(style.MARKERS)]
        layers = range(1, len(values) + 1)
        pair = (values, layers) if upright else (layers, values)
        every = max(1, len(values) // 18)
        thick = max(1.3, 3.2 - 0.9 * i)  # lines that coincide show below each other
        axes.plot(
            *pair,
            color=colour,
            marker=marker,
            markersize=3.0 + thick,
            markevery=every,
            linewidth=thick,
            label=style.words(name),
            zorder=3,
        )


def _fit(axes, upright=False):
    """At least one decade in view, ticks at powers of ten, whole numbers for layers."""
    values = [v for line in axes.get_lines() for v in (line.get_xdata() if upright else line.get_ydata())]
    values = [float(v) for v in values if math.isfinite(v)]
    low, high = (min(values), max(values)) if values else (-1.0, 1.0)
    if high - low < 1.0:
        low, high = (low + high) / 2 - 0.5, (low + high) / 2 + 0.5
    edge = 0.05 * (high - low)
    (axes.set_xlim if upright else axes.set_ylim)(low - edge, high + edge)
    style.decades(axes.xaxis if upright else axes.yaxis, low - edge, high + edge)
    (axes.set_xlim if upright else axes.set_ylim)(low - edge, high + edge)
    (axes.yaxis if upright else axes.xaxis).get_major_locator().set_params(integer=True)


def _mark_absent(axes, nets, upright):
    """What has no logarithm stands at the axis: hollow marks where a value is exactly 0, crosses where it is none."""
    for i, (name, values) in enumerate(nets.items()):
        values = [math.nan if value is None else float(value) for value in values]
        colour = style.COLOURS[i % len(style.COLOURS)]
        kinds = (
            ("exactly 0", style.MARKERS[i % len(style.MARKERS)], [value == 0.0 for value in values]),
            ("NaN or Inf", "x", [not math.isfinite(value) for value in values]),
        )
        for word, marker, here in kinds:
            layers = [layer for layer, is_here in enumerate(here, 1) if is_here]
            if not layers:
                continue
            edge = [0.0] * len(layers)
            pair, frame = (edge, layers) if upright else (layers, edge), axes.get_yaxis_transform()
            axes.plot(
                *pair, transform=frame if upright else axes.get_xaxis_transform(), linestyle="none", marker=marker,
                color=colour, markerfacecolor="white", clip_on=False, zorder=6, label=f"{style.words(name)}: {word}",
            )  # fmt: skip
