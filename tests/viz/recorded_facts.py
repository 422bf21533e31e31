"""What a recording says of a loop, to be compared with what another one says."""

import contextlib

import tinygrad_course as tg
import viz
from tinygrad_course.modes import observe
from viz.graph.repeat import Repeat


def facts(recording):
    """All that a recording says but bytes and lines of the program, as a text, for nan is not nan."""
    trace = recording.trace
    rank = {order: k for k, order in enumerate(sorted(trace.operations))}
    leaves = [tuple(getattr(leaf, name) for name in leaf.__slots__) for leaf in trace.leaves]
    return repr([
        [(rank[o.order], o.name, o.scope, o.shape, o.dtype, o.activation, o.gradient, o.sent, o.details[:4],
          [s and (rank.get(s.operation), s.leaf is not None and leaves[s.leaf]) for s in o.sources])
         for _, o in sorted(trace.operations.items())],
        sorted([repr(leaf) for leaf in leaves if leaf[-1]]), [rank[order] for order in trace.roots],
        [trace.table[row] for row in trace.seeds.values()],
        [(step.loss, step.structure, list(step.gradient_rms), list(step.activation_rms)) for step in recording.steps],
    ])  # fmt: skip


def run(loop, watch, at_once=False, **options):
    """The recording of a loop, and how often a step was like one before."""
    tg.manual_seed(3)
    repeats = []
    with viz.record(**options) as recording, contextlib.nullcontext() if watch is None else observe(watch):
        if at_once:
            recording._wait = 1 << 40
            recording._tell_tracer()
        loop(lambda: repeats.append(type(recording._last) is Repeat), recording)
    assert recording._held is None and recording._gathered is None and not recording._patterns
    return recording, sum(repeats)
