"""The path spectrum as bars, beside the binomial law; and the curve of a lesion study."""

import numpy as np

from ..theory import path_length_law
from . import style


def spectrum_bars(spectra, *, branch_ratio=None, title=None):
    """Share of the gradient's energy by the number of branches it went through, for several nets side by side.

    spectra: {"residual": `PathSpectrum`, …}. branch_ratio: {"residual": a² σ_w²/2, …}, what theory expects for the
        binomial law that is drawn beside them; by default each spectrum's own, as measured.

    Returns a matplotlib Figure. Raises ValueError if there is nothing to draw.
    """
    style.check_some(spectra, "no spectrum was given")
    figure = style.new_figure(1.0 + 5.4 * len(spectra), 4.2)
    for axes, (name, spectrum) in zip(figure.subplots(1, len(spectra), squeeze=False)[0], spectra.items(), strict=True):
        draw_spectrum(axes, spectrum, (branch_ratio or {}).get(name, spectrum.branch_ratio), name)
    if title:
        figure.suptitle(style.words(title), fontsize=13, fontweight="bold", x=0.01, ha="left")
    return figure


def draw_spectrum(axes, spectrum, branch_ratio=None, title=None, colour=style.COLOURS[1]):
    """Draw one spectrum into axes; lengths that carry less than a thousandth at the long end are left out."""
    shares = spectrum.energy
    law = None if branch_ratio is None else path_length_law(len(spectrum.blocks), branch_ratio)
    seen = np.flatnonzero((shares > 1e-3) | (law[: len(shares)] > 1e-3 if law is not None else False))
    end = int(seen[-1]) + 2 if seen.size else len(shares)
    lengths = np.arange(min(end, len(shares)))
    axes.bar(lengths, 100 * shares[: len(lengths)], color=colour, width=0.8, label="measured, exact split")
    if law is not None:
        axes.plot(lengths, 100 * law[: len(lengths)], color=style.INK, linestyle="--", marker="o", markersize=3.5,
                  linewidth=1.2, label=f"binomial law, branch ratio {branch_ratio:.3g}")  # fmt: skip
    style.tidy(axes, title, "branches that the gradient went through", "share of its energy, %")
    axes.xaxis.get_major_locator().set_params(integer=True)
    note = f"mean {spectrum.mean_length:.1f} of {len(spectrum.blocks)} branches\nhighway alone {shares[0]:.2%}"
    axes.text(0.98, 0.72, note, transform=axes.transAxes, ha="right", va="top", fontsize=9, color=style.INK)
    axes.legend(fontsize=9, frameon=False, loc="upper right")


def lesion_curves(studies, *, title=None, ylabel="loss"):
    """What deleting blocks costs: each alone as bars, several at once as a line with the range of its draws.

    studies: {"residual": `Lesions`, …}. Returns a matplotlib Figure.
    """
    style.check_some(studies, "no study was given")
    figure = style.new_figure(11.5, 4.2)
    one, many = figure.subplots(1, 2)
    width = 0.8 / len(studies)
    for i, (name, study) in enumerate(studies.items()):
        colour = style.COLOURS[i % len(style.COLOURS)]
        places = [k + 1 + (i - (len(studies) - 1) / 2) * width for k in range(len(study.single))]
        one.bar(places, list(study.single.values()), width, color=colour, label=style.words(name))
        one.axhline(study.baseline, color=colour, linestyle="--", linewidth=1.2)
        rows = {0: [study.baseline], 1: list(study.single.values()), **study.several}
        counts = sorted(rows)
        middle = [float(np.median(rows[n])) for n in counts]
        marker = style.MARKERS[i % len(style.MARKERS)]
        many.plot(counts, middle, color=colour, marker=marker, markersize=4.5, label=style.words(name))
        low, high = [min(rows[n]) for n in counts], [max(rows[n]) for n in counts]
        many.fill_between(counts, low, high, color=colour, alpha=0.18, linewidth=0)
    style.tidy(one, "One block deleted (dashed: none)", "block, from the input", ylabel)
    style.tidy(many, "Several deleted at random", "blocks deleted", f"{ylabel}, median and range")
    for axes in (one, many):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize=9, frameon=False)
    if title:
        figure.suptitle(style.words(title), fontsize=13, fontweight="bold", x=0.01, ha="left")
    return figure
