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
from tinygrad_course.modes import thread
from viz.graph import repeat
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


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_kernels_python_compares(name, monkeypatch):
    quick, _ = _recorded(PROGRAMS[name], True)
    monkeypatch.setattr(repeat, "kernels", lambda: None)
    monkeypatch.setattr(repeat, "_places", lambda: ())
    plain, kinds = _recorded(PROGRAMS[name], True)
    assert (kinds[2:] == [Repeat] * 3) == (name != "in place")
    assert _facts(quick) == _facts(plain)


def _swap(x, y, k):
    return [x, y] if k == 0 else [y, x]


def _hooked(x, k):
    if k:
        x.register_hook(lambda gradient: gradient * 2.0)
    return x


def _scaled(x, k):
    with _scope(f"part{k}"):
        return x * 2.0


def _two_layers(x, weight, biases):
    return nn.functional.linear(nn.functional.linear(x * 1.0, weight, biases[0]), weight, biases[1])


class _scope:
    """What a module does to the scope."""

    def __init__(self, scope):
        self.scope = scope

    def __enter__(self):
        self.before, thread.state.scope = thread.state.scope, self.scope

    def __exit__(self, *exception):
        thread.state.scope = self.before


class Partly(Function):
    """Gives its second input a gradient only if it is told to."""

    def __init__(self, whole):
        self.whole = whole

    def forward(self, x, y):
        return x + y

    def backward(self, dz):
        return dz, (dz * 1.0 if self.whole else None)


DIFFERENT = {  # steps of two kinds, k = 0 and 1, on matrices a and b: what is not the same in them
    "operation": lambda a, b, k: ((a * b).tanh() if k else (a * b).sigmoid()).sum(),
    "scope": lambda a, b, k: (_scaled(a, k) * b).sum(),
    "shape": lambda a, b, k: (a[: 2 + k] * b[: 2 + k]).sum(),
    "axes": lambda a, b, k: ((a * b).reshape(9) if k else (a * b).reshape(3, 3)).tanh().sum(),
    "leaves": lambda a, b, k: (_swap(a, b, k)[0] - 2.0 * _swap(a, b, k)[1]).sum(),
    "order of operands": lambda a, b, k: (_swap(a.tanh(), b.tanh(), k)[0] - _swap(a.exp(), b.exp(), k)[1]).sum(),
    "operations read": lambda a, b, k: (lambda u, v: (_swap(u, v, k)[0] * 3.0 + u * v).sum())(a.exp(), b.exp()),
    "a hook": lambda a, b, k: _hooked(a * b, k).sum(),
    "a gradient that is missing": lambda a, b, k: Partly(k == 0)(a.exp(), b.exp()).sum(),
    "where backward begins": lambda a, b, k: [(a * b).sum(), (a + b).sum()][k],
    "more of the same": lambda a, b, k: sum([(a * b).sum()] * (1 + k)),
    "a constant": lambda a, b, k: (a * (b if k else b.detach())).sum(),
    "which has a constant": lambda a, b, k: _two_layers(a, b, _swap(tg.ones(3).double(), None, k)).sum(),
}


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("what", DIFFERENT)
def test_steps_that_are_not_alike_are_told_apart(what, kernel, monkeypatch):
    if not kernel:
        monkeypatch.setattr(repeat, "kernels", lambda: None)
        monkeypatch.setattr(repeat, "_places", lambda: ())
    facts = {}
    for kinds in ([0, 0, 0, 1], [1]):
        a, b = (tg.tensor(np.random.default_rng(s).standard_normal((3, 3)), requires_grad=True) for s in (0, 1))
        with viz.record(names={"a": a, "b": b}) as recording:
            for k in kinds:
                DIFFERENT[what](a, b, k).backward()
        operations, leaves, *_ = _facts(recording)
        facts[len(kinds)] = [o[:8] + o[9:] for o in operations], [leaf for leaf in leaves if leaf[-1]]
    assert facts[4] == facts[1]


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("cycle", ["a", "ab", "aab", "abcc"])
def test_steps_of_several_kinds_are_soon_alike(cycle, details):
    """In whatever order they come."""
    w, like, kinds = tg.tensor([1.0, 2.0], requires_grad=True), {"a": tg.tanh, "b": tg.exp, "c": tg.sigmoid}, []
    with viz.record(details=details) as recording:
        for kind in 8 * cycle:
            like[kind](w * 2.0).sum().backward()
            kinds.append(type(recording._last))
    assert kinds[6 * len(cycle) :] == [Repeat] * (2 * len(cycle))


@pytest.mark.parametrize("name", PROGRAMS)
def test_details_of_a_repeated_step(name):
    """Histograms, shares of units and lines of the program, which are looked at in the last step alone."""
    found = []
    for put_off in (True, False):
        tg.manual_seed(3)
        parameters, loss_of = PROGRAMS[name]()
        with viz.record(details=True) as recording:
            for _ in range(4):
                if not put_off:
                    recording._replay()
                loss_of().backward()
        found.append([operation.details for operation in recording.trace.operations.values()])
    assert found[0] == found[1] and all(details.source for details in found[0])


def test_details_are_those_before_a_change():
    w = tg.tensor([3.0, 4.0], requires_grad=True)
    for change in (lambda z: z.data.fill(0.0), lambda z: z.zero_()):
        with viz.record(details=True) as recording:
            for _ in range(4):
                z = w.detach() * 1.0
                (w * z).sum().backward()
            change(z)
        first = min(recording.trace.operations)
        assert recording.trace.operations[first].details.output.zeros == 0


def test_the_lines_of_a_step_that_is_unlike_those_before():
    layer = nn.Linear(3, 2)
    with viz.record(layer, details=True) as recording:
        for samples in (4, 4, 4, 4, 2):
            layer(tg.ones(samples, 3)).tanh().sum().backward()
    assert {o.details.source[2] for o in recording.trace.operations.values()} == {
        "layer(tg.ones(samples, 3)).tanh().sum().backward()"
    }


def test_between_recorded_steps_nobody_watches():
    w, watched = tg.tensor([1.0, 2.0], requires_grad=True), []
    with viz.record(names={"w": w}, every=3, details=True) as recording:
        for k in range(8):
            watched.append(recording in thread.state.observers)
            y = (w * float(k)).tanh()
            y.sum().backward()
            if k == 6:
                y.zero_()
    assert watched == [True, False, False, True, False, False, True, False]
    assert not thread.state.observers and not thread.state.resting
    product, tanh, _ = recording.trace.operations.values()
    assert len(recording.steps) == 3 and product.activation.largest == 12.0 and tanh.details.output.zeros == 0


def test_bytes_kept_for_backward_are_those_of_the_last_step():
    layer = nn.Linear(5, 5)

    def kept(*steps):
        with viz.record(layer) as recording:
            for samples, function in steps:
                function(layer(tg.ones(samples, 5)).tanh()).sum().backward()
        return [operation.saved_bytes for operation in recording.trace.operations.values()]

    def square(x):
        return x * x

    for steps in ([(8, square)], [(8, square)] * 4, [(8, square)] * 4 + [(2, square)], [(8, square), (8, tg.exp)]):
        assert None not in kept(*steps) and kept(*steps) == kept(steps[-1])
    assert kept((8, square))[:2] == [8 * 5 * 4, 8 * 5 * 4]


def test_a_second_pass_through_a_graph_is_shown_alone():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    with viz.record(names={"w": w}) as recording:
        h = w * 3.0
        first, second = (h * 2.0).sum(), (h * h).sum()
        first.backward(retain_graph=True)
        second.backward()
    trunk, other, *_ = recording.trace.operations.values()
    assert trunk.gradient.largest == 12.0 and trunk.sent[0].largest == 36.0
    assert recording.trace.leaves[0].gradient.largest == 36.0
    assert other.gradient is None and other.sent == (None, None)


def test_losses_that_share_only_parameters_are_shown_together():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    with viz.record(names={"w": w}) as recording:
        first, second = (w * 2.0).sum(), (w * w).sum()
        first.backward()
        second.backward()
    assert all(operation.gradient is not None for operation in recording.trace.operations.values())
    assert recording.trace.leaves[0].gradient.rms == pytest.approx(np.sqrt(np.mean(w.grad.numpy() ** 2)))


def test_a_look_at_the_loss_and_clipped_gradients_do_not_disturb():
    model, kinds = nets.net(1), []
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    with viz.record(model) as recording:
        for _ in range(5):
            optimizer.zero_grad(set_to_none=False)
            loss = nets.loss_of(model)
            loss.item()
            loss.backward()
            kinds.append(type(recording._last))
            nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
            optimizer.step()
    assert kinds[2:] == [Repeat] * 3


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


def test_saved_bytes_do_not_depend_on_arrays_that_are_gone():
    """New arrays come to lie where those of an evaluation were, which nobody keeps any more."""

    def saved(evaluations):
        model = nets.net(2)
        with viz.record(model) as recording:
            for _ in range(evaluations):
                recording._replay()  # operations are recorded at once
                nets.loss_of(model)
            nets.loss_of(model).backward()
        return [o.saved_bytes for o in recording.trace.operations.values() if o.gradient is not None]

    assert saved(20) == saved(0) and sum(saved(0)) > 0
