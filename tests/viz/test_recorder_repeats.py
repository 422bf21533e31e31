"""What the recorder puts off: steps that are alike, and arrays that change before they are measured."""

import gc
import tracemalloc

import numpy as np
import pytest
import viz_nets as nets

import tinygrad_course as tg
import viz
from tinygrad_course import models, nn
from tinygrad_course.function import Function
from viz.graph.repeat import Repeat


def _shared():
    cell, x = nn.Linear(3, 3), tg.tensor(np.ones((2, 3), np.float32))
    return list(cell.parameters()), lambda: cell(cell(cell(x)).tanh()).sum()


def _variables():
    a = tg.tensor([1.0, 2.0], requires_grad=True)
    return [a], lambda: ((a + a) * (a * 3.0).tanh() * tg.tensor([2.0, 1.0])).sum()


def _residual():
    model = nets.net(2)
    return list(model.parameters()), lambda: nets.loss_of(model)


def _prepared():
    """Operations that are not on the tape, a view, and a look at numbers before backward."""
    layer, image = nn.Linear(4, 2), np.arange(12.0, dtype=np.float32).reshape(3, 2, 2)

    def loss():
        z = layer(tg.tensor(image).reshape(3, 4) / 12.0)
        result = (z * z).mean()
        result.item()
        return result

    return list(layer.parameters()), loss


def _in_place():
    layer, x = nn.Linear(3, 3), tg.ones(2, 3)

    def loss():
        z = layer(x)
        z += x
        return (z * z).sum()

    return list(layer.parameters()), loss


PROGRAMS = {"shared weights": _shared, "variables": _variables, "residual net": _residual, "prepared": _prepared,
            "in place": _in_place}  # fmt: skip


def _facts(recording):
    trace = recording.trace
    first = min(trace.operations)
    operations = [
        (o.order - first, o.name, o.scope, o.shape, o.dtype, o.activation, o.gradient, o.sent, o.saved_bytes,
         [s and (s.operation and s.operation - first, s.leaf) for s in o.sources], o.wants_gradient)
        for o in trace.operations.values()
    ]  # fmt: skip
    leaves = [tuple(getattr(leaf, name) for name in leaf.__slots__) for leaf in trace.leaves]
    seeds = [trace.table[row] for row in trace.seeds.values()]
    return operations, leaves, [order - first for order in trace.roots], seeds


def _recorded(build, put_off, count=5):
    tg.manual_seed(3)
    parameters, loss_of = build()
    optimizer = tg.optim.SGD(parameters, lr=0.1)
    kinds = []
    with viz.record(optimizer=optimizer) as recording:
        for _ in range(count):
            optimizer.zero_grad()
            if not put_off:
                recording._replay()
            loss_of().backward()
            kinds.append(type(recording._last))
            optimizer.step()
    return recording, kinds


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_repeated_step_is_recorded_as_if_it_were_the_first_of_its_kind(name):
    """Every fact of the graph and of the steps is the same as with a look at each operation at once."""
    quick, kinds = _recorded(PROGRAMS[name], True)
    thorough, _ = _recorded(PROGRAMS[name], False)
    assert (kinds[2:] == [Repeat] * 3) == (name != "in place")
    assert _facts(quick) == _facts(thorough)
    for one, other in zip(quick.steps, thorough.steps, strict=True):
        assert one.loss == other.loss and one.structure == other.structure
        np.testing.assert_array_equal(one.gradient_rms, other.gradient_rms)
        np.testing.assert_array_equal(one.activation_rms, other.activation_rms)


CHANGES = {
    "added to": lambda z: z.add_(100.0),
    "set": lambda z: z.__setitem__(0, 100.0),
    "its array": lambda z: z.numpy().__setitem__(..., 100.0),
    "a view": lambda z: z.reshape(-1).zero_(),
    "filled": lambda z: z.fill_(7.0),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", range(3))
def test_numbers_are_those_at_the_moment_shown(change, step):
    """An output that is changed in place before it is measured; in the first step, a gathered, and a repeated one."""
    w = tg.tensor([3.0, 4.0], requires_grad=True)
    with viz.record() as recording:
        for number in range(step + 1):
            w.grad = None
            with tg.no_grad():
                z = w.detach() * 1.0
            loss = (w * 2.0).sum()
            if number == step:
                CHANGES[change](z)
            loss.backward()
    output = min(recording.trace.operations.values(), key=lambda operation: operation.order).activation
    assert output.rms == pytest.approx(np.sqrt(12.5)) and output.largest == 4.0


def test_a_hook_that_changes_a_gradient_in_place():
    for _ in range(3):
        a = tg.tensor([1.0, 2.0], requires_grad=True)
        with viz.record() as recording:
            for _ in range(3):
                h = a * 1.0
                h.register_hook(lambda gradient: gradient.mul_(5.0))
                (h * 3.0).sum().backward()
        first, second = list(recording.trace.operations.values())[:2]
        assert second.sent[0].rms == pytest.approx(3.0) and first.gradient.rms == pytest.approx(15.0)


def test_an_input_that_is_written_over_after_the_step():
    buffer = np.ones((2, 3), np.float32)
    layer = nn.Linear(3, 1)
    with viz.record() as recording:
        for number in range(1, 5):
            buffer[...] = number
            layer(tg.from_numpy(buffer).reshape(2, 3)).sum().backward()
        buffer[...] = 100.0
    (data,) = [leaf for leaf in recording.trace.leaves if not leaf.requires_grad]
    assert data.activation.rms == 4.0


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_an_operation_that_raises_in_backward_leaves_a_recording(steps):
    class Broken(Function):
        def forward(self, x):
            return x * 1.0

        def backward(self, dz):
            raise ZeroDivisionError

    a = tg.tensor([1.0, 2.0], requires_grad=True)
    with viz.record(names={"a": a}) as recording:
        for _ in range(steps):
            (a * 2.0).sum().backward()
        with pytest.raises(ZeroDivisionError):
            (Broken()(a * 2.0) * 3.0).sum().backward()
        broken = viz.gradient_flow(recording, level="op")
        assert broken.node("broken").mark != "data"
        (a * 2.0).sum().backward()
    assert len(recording.steps) == steps + 2
    assert recording.trace.leaves[0].gradient.rms == 2.0


def _peak(work):
    gc.collect()
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("steps", [0, 2])
def test_evaluation_does_not_pile_up_arrays(steps):
    """With gradients wanted or not, after training or before: what waits to be measured is a few MB at most."""
    model = nets.net()
    x, y = nets.data(samples=512)
    for mode in (tg.no_grad, tg.enable_grad):
        with viz.record(model):
            for _ in range(steps):
                nets.loss_of(model).backward()

            def evaluate(count, mode=mode):
                with mode():
                    for _ in range(count):
                        nets.loss_of(model, x, y)

            evaluate(2)
            few, many = _peak(lambda: evaluate(20)), _peak(lambda: evaluate(60))
        assert many < few + (6 << 20)


def test_the_peak_of_a_recorded_step_is_that_of_an_unrecorded_one():
    tg.manual_seed(0)
    model = models.CifarResNet(20)
    x, y = tg.randn(8, 3, 32, 32), tg.tensor(np.arange(8))

    def step():
        nn.functional.cross_entropy(model(x), y).backward()

    step()
    plain = _peak(step)
    with viz.record(model):
        step()
        recorded = _peak(step)
    assert recorded < 1.1 * plain + (4 << 20)
