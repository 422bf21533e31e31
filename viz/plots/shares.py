"""Shares layer by layer: of the gradient that takes the highway, of units that are dead or saturated."""

from . import style


def draw_shares(axes, nets, title, y, x):
    """Draw {"plain": [share of the first, …], …}, 0 to 1, into axes as bars side by side; the colour is the net's place
    among `nets`, and a net without shares takes none of the room."""
    seen = [name for name in nets if len(nets[name])]
    width = 0.84 / max(1, len(seen))
    for i, name in enumerate(nets):
        if name in seen:
            offset = (seen.index(name) - (len(seen) - 1) / 2) * width
            places = [k + 1 + offset for k in range(len(nets[name]))]
            heights = [100 * share for share in nets[name]]
            axes.bar(places, heights, width, color=style.COLOURS[i % len(style.COLOURS)], label=style.words(name))
    style.tidy(axes, title, x, y)
    largest = max((100 * share for shares in nets.values() for share in shares), default=0.0)
    axes.set_ylim(0, max(100, 1.2 * largest) if largest > 40 else max(1.0, 1.35 * largest))
    if seen and not largest:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center", fontsize=10, color=style.INK)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.legend(fontsize=8, framealpha=0.8, edgecolor="none", loc="upper right", ncols=2)
