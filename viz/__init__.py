"""viz: see what backward does.

    with viz.record(model) as recording:
        loss = criterion(model(x), y)
        loss.backward()
    viz.gradient_flow(recording).save("flow.svg")     # the graph, coloured by gradient
    viz.layer_profile({"my net": recording}).savefig("profile.png")

`viz` watches `tinygrad_course` from outside, through the observers of its tape. matplotlib is imported when the
first plot is drawn. The parts: `viz.graph` (record → model → layout → renderers), `viz.plots` (plots of plain
numbers), `viz.theory` (predictions).
"""

from collections.abc import Mapping

from . import page, plots, theory
from .compare import Comparison, compare
from .explain import Explanation, explain
from .files import save_figure
from .graph import GradientFlow, Layer, PathSpectrum, Recording, compare_scale, gradient_flow, path_spectrum, record
from .lesion import Lesions, delete_blocks, lesion_study
from .plots import gradient_heat, summary_sheet, training_curves
from .plots import layer_profile as _layer_profile
from .receptive import ReceptiveField, receptive_field

__all__ = ["Comparison", "Explanation", "GradientFlow", "Layer", "Lesions", "PathSpectrum", "ReceptiveField",
           "Recording", "compare", "compare_scale", "delete_blocks", "explain", "gradient_flow", "gradient_heat",
           "layer_profile", "lesion_study", "page", "path_spectrum", "plots", "receptive_field", "record",
           "save_figure", "summary_sheet", "theory", "training_curves"]  # fmt: skip


def layer_profile(nets, *, theory=None, relative=True, step=-1, title=None):
    """Gradient and activation RMS against depth, as a matplotlib Figure: one line a net, a point a weight layer.

    nets: {"plain": recording, "residual": recording}, or one recording. theory: {"plain": ratio of the squared
    gradient per layer towards the input}, drawn dashed (see `viz.theory`). step: which backward pass.
    relative: gradients relative to the last layer. `viz.plots.layer_profile` does the same for plain numbers.
    """
    if isinstance(nets, Recording):
        nets = {"this net": nets}
    if not isinstance(nets, Mapping):
        raise TypeError(f'layer_profile takes a recording or a dict {{"name": recording}}, not {type(nets).__name__}')
    for name, recording in nets.items():
        if not isinstance(recording, Recording):
            raise TypeError(f"layer_profile takes what `viz.record` recorded; {name!r} is {type(recording).__name__}")
    layers = {name: recording.layers(step) for name, recording in nets.items()}
    return _layer_profile(
        {name: [layer.gradient_rms for layer in of] for name, of in layers.items()},
        {name: [layer.activation_rms for layer in of] for name, of in layers.items()},
        theory=theory, relative=relative, title=title,
    )  # fmt: skip
