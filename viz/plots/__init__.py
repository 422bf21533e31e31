"""Plots of plain numbers: profiles, training curves, heat maps, the summary sheet. They know no Tensor."""

from .curves import training_curves
from .heat import gradient_heat
from .profile import layer_profile
from .sheet import summary_sheet
from .spectrum import lesion_curves, spectrum_bars

__all__ = ["gradient_heat", "layer_profile", "lesion_curves", "spectrum_bars", "summary_sheet", "training_curves"]
