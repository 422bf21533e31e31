"""Gradient-flow graphs: record → model → values → layout → renderers."""

from .flow import GradientFlow, compare_scale, gradient_flow
from .model import Edge, Node, Parameter
from .recorder import Layer, Recording, Step, record
from .spectrum import PathSpectrum, path_spectrum

__all__ = [
    "Edge",
    "GradientFlow",
    "Layer",
    "Node",
    "Parameter",
    "PathSpectrum",
    "Recording",
    "Step",
    "compare_scale",
    "gradient_flow",
    "path_spectrum",
    "record",
]
