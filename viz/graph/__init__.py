"""Gradient-flow graphs: record → model → values → layout → renderers."""

from .flow import GradientFlow, compare_scale, gradient_flow
from .model import Edge, Node, Parameter
from .recorder import Layer, Recording, Step, record

__all__ = [
    "Edge",
    "GradientFlow",
    "Layer",
    "Node",
    "Parameter",
    "Recording",
    "Step",
    "compare_scale",
    "gradient_flow",
    "record",
]
