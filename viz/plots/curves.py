"""Training curves of several nets, each over several seeds."""

from . import style


def training_curves(runs, *, x=None, ylabel="training error", xlabel="epoch", title=None, percent=True):
    """The mean over seeds as a line, the range as a band.

    runs: {"plain, 54 layers": [[error after epoch 1, 2, …] of seed 0, [… of seed 1], …], …}; errors are shares,
    0 to 1, with percent=True. x: positions of the points, if not 1, 2, …. Seeds may end early (a run cut short).

    Returns a matplotlib Figure. Raises ValueError if there is nothing to draw.
    """
    style.check_some(runs, "no runs were given")
    figure = style.new_figure(7.2, 4.4)
    axes = figure.subplots()
    draw_curves(axes, runs, x=x, ylabel=ylabel, xlabel=xlabel, percent=percent)
    if title:
        figure.suptitle(style.words(title), fontsize=13, fontweight="bold", x=0.01, ha="left")
    return figure


def draw_curves(axes, runs, *, x=None, ylabel="training error", xlabel="epoch", percent=True, title=None):
    """Draw training curves into axes."""
    for i, (name, seeds) in enumerate(runs.items()):
        seeds = [list(map(float, seed)) for seed in seeds]
        length = max(map(len, seeds), default=0)
        style.check_some(length, f"{name!r} has no points")
        columns = [[seed[step] for seed in seeds if step < len(seed)] for step in range(length)]
        positions = list(x)[:length] if x is not None else list(range(1, length + 1))
        means = [sum(column) / len(column) for column in columns]
        colour, marker = style.COLOURS[i % len(style.COLOURS)], style.MARKERS[i % len(style.MARKERS)]
        every = max(1, length // 12)
        count = f" ({len(seeds)} seeds)" if len(seeds) > 1 else ""
        axes.plot(positions, means, color=colour, marker=marker, markersize=4.5, markevery=every, linewidth=1.8,
                  label=style.words(name) + count)  # fmt: skip
        if len(seeds) > 1:
            low, high = [min(column) for column in columns], [max(column) for column in columns]
            axes.fill_between(positions, low, high, color=colour, alpha=0.18, linewidth=0)
    style.tidy(axes, title, xlabel, ylabel)
    axes.set_ylim(bottom=0.0)
    if percent:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=9, frameon=False)
