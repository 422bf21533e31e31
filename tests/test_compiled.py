"""`compile`: what is replayed gives the bits of what ran; what cannot be replayed runs, and says so."""

import gc
import threading
import warnings

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn, optim
from tinygrad_course.compiled.program import Compiled
from tinygrad_course.nn import functional as F


class Block(nn.Module):
    """A residual block whose input is used three times."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.one, self.two = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width, False)

    def forward(self, x):
        return x + self.two(F.gelu(self.one(self.norm(x)))) * x.mean(1, keepdim=True)


NETS = {  # name: (net, shape of its input)
    "multilayer perceptron": (lambda: nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)), (5, 3)),
    "residual": (lambda: nn.Sequential(Block(6), Block(6), nn.Softmax(1)), (4, 6)),
    "convolution": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 1), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(12, 2),
        ),
        (2, 2, 8, 8),
    ),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 4, 2, 1), nn.LeakyReLU(), nn.GroupNorm(1, 3)),
                   (2, 2, 4, 4)),
}  # fmt: skip


def is_replayed(tensor):
    return isinstance(tensor.node, Compiled)


def training(make, shape, compiled, steps=6):
    """All numbers that some steps of training gave."""
    tg.manual_seed(0)
    model = make()
    run = tg.compile(model) if compiled else model
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    numbers = []
    for step in range(steps):
        x = tg.randn(*shape, requires_grad=True)
        output = run(x)
        assert is_replayed(output) == (compiled and step >= 2)
        optimizer.zero_grad()
        (output * output).mean().backward()
        optimizer.step()
        numbers += [output.data.copy(), x.grad.data, *[p.data.copy() for p in model.parameters()]]
    return numbers


@pytest.mark.parametrize("name", NETS)
def test_training_gives_the_same_bits(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours, eager = (training(*NETS[name], compiled) for compiled in (True, False))
    for a, b in zip(ours, eager, strict=True):
        assert a.tobytes() == b.tobytes()


def called(function, *calls):
    """The results of `function`, compiled, and that it is replayed at the last call and warns of nothing."""
    compiled = tg.compile(function)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return compiled, [compiled(*arguments) for arguments in calls]


def numbered(*shape):
    return tg.tensor(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), requires_grad=True)


def test_other_shapes_and_dtypes_are_other_programs():
    compiled, _ = called(lambda x: x * 2 + x.shape[0], *[(numbered(3),)] * 2)
    for x in (numbered(3), numbered(4), numbered(3).double().detach(), numbered(3)):
        np.testing.assert_array_equal(compiled(x).data, x.data * 2 + x.shape[0])
        assert compiled(x).dtype == x.dtype
    assert is_replayed(compiled(numbered(3))) and is_replayed(compiled(numbered(4)))


def test_numbers_and_keywords_are_part_of_the_kind():
    compiled = tg.compile(lambda x, factor, power=1: (x * factor) ** power)
    x = numbered(3)
    for _ in range(3):
        for factor, power in ((2, 1), (3, 1), (2, 2), (2.0, 1), (True, 1)):
            np.testing.assert_array_equal(compiled(x, factor, power=power).data, (x.data * factor) ** power)
    assert is_replayed(compiled(x, 3, power=1))


def test_parameters_may_change_be_frozen_and_be_replaced():
    model = nn.Linear(3, 2)
    compiled, _ = called(model, *[(numbered(4, 3),)] * 3)
    x = numbered(4, 3)
    with tg.no_grad():
        model.weight.mul_(2)
    np.testing.assert_array_equal(compiled(x).data, model(x).data)
    assert is_replayed(compiled(x))
    model.weight.requires_grad = False
    for _ in range(3):
        compiled(x).sum().backward()
    assert model.weight.grad is None and model.bias.grad is not None
    model.weight = nn.Parameter(np.ones((2, 3), np.float32))
    for _ in range(4):
        np.testing.assert_array_equal(compiled(x).data, model(x).data)
    assert compiled.in_features == 3 and "Linear" in repr(compiled)


def test_modes():
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5))
    compiled = tg.compile(model)
    x = numbered(2, 3)
    model.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = [compiled(x).data for _ in range(3)][-1]
        with tg.no_grad():
            assert all(compiled(x).node is None for _ in range(4))
    model.train()
    with pytest.warns(RuntimeWarning, match="dropout"):
        assert (compiled(x).data != before).any()


def test_two_graphs_at_once_and_the_same_program_afterwards():
    compiled, _ = called(lambda x: (x * x).sum(), *[(numbered(3),)] * 2)
    a, b = numbered(3), tg.tensor([5.0, 6.0, 7.0], requires_grad=True)
    first, second = compiled(a), compiled(b)
    programs = {id(first.node.program), id(second.node.program)}
    assert len(programs) == 2
    (first + second).backward()
    np.testing.assert_array_equal(a.grad.data, 2 * a.data)
    np.testing.assert_array_equal(b.grad.data, 2 * b.data)
    del first, second
    assert id(compiled(a).node.program) in programs


def test_nothing_is_kept_when_a_graph_is_gone():
    gc.collect()
    gc.disable()
    try:
        compiled, _ = called(lambda x: (x * x).sum(), *[(numbered(3),)] * 2)
        result = compiled(numbered(3))
        program = result.node.program
        assert program.steps[0][0].saved
        del result
        assert not program.steps[0][0].saved
    finally:
        gc.enable()


def test_gradients_flow_on_and_add_up():
    w = tg.tensor([2.0], requires_grad=True)
    compiled, _ = called(lambda x, y: x * w + y + x, *[(numbered(3), numbered(3))] * 2)
    x = numbered(3)
    y = x * 3
    z = compiled(y, y)  # one tensor in both places
    assert is_replayed(z)
    z.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [12, 12, 12])
    np.testing.assert_array_equal(w.grad.data, [9])


def test_backward_twice():
    compiled, _ = called(lambda x: (x * x).sum(), *[(numbered(3),)] * 2)
    x = numbered(3)
    z = compiled(x)
    z.backward(retain_graph=True)
    z.backward()
    np.testing.assert_array_equal(x.grad.data, 4 * x.data)
    with pytest.raises(RuntimeError, match="second time"):
        z.backward()


def test_a_change_in_place_before_backward_is_refused():
    compiled, _ = called(lambda x, y: x * y + 1, *[(numbered(3), numbered(3))] * 2)
    x, y = numbered(3), tg.ones(3)
    z = compiled(x, y)
    y.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()


def test_no_second_derivative():
    compiled, _ = called(lambda x: (x * x).sum(), *[(numbered(3),)] * 2)
    with pytest.raises(RuntimeError, match="no second derivative"):
        tg.grad(compiled(numbered(3)), numbered(3), create_graph=True, allow_unused=True)


def test_who_observes_sees_the_operations():
    compiled, _ = called(lambda x: (x * x).sum(), *[(numbered(3),)] * 3)
    seen = []

    class Seeing(tg.Observer):
        def forward(self, node, inputs, output):
            seen.append(node.name)

    with tg.observe(Seeing()):
        compiled(numbered(3))
    assert seen == ["mul", "sum"]


def test_python_threads():
    compiled, _ = called(lambda x: (x * x).sum(), *[(numbered(50),)] * 2)
    wrong = []

    def work(number):
        for _ in range(200):
            x = tg.full((50,), float(number)).requires_grad_(True)
            compiled(x).backward()
            if (x.grad.data != 2 * number).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


computed = numbered(3) * 2
hooked = nn.Linear(3, 3)
hooked.register_forward_hook(lambda module, inputs, output: None)
counter = iter(range(100))


def keeps_gradient(x):
    y = x * 2
    y.retain_grad()
    return y * 3


def hooks(x):
    y = x * 2
    y.register_hook(lambda g: g * 2)
    return y * 3


def goes_back(x):
    loss = (x * x).sum()
    loss.backward()
    return loss


def sets_attribute(x):
    hooked.calls = 1
    return x * 2


REFUSED = {  # name: (function, what the warning says)
    "reads a number": (lambda x: x * x.sum().item(), "numbers"),
    "branches on a number": (lambda x: x * 2 if x.sum() > 0 else x, "numbers"),
    "takes the array": (lambda x: x * tg.from_numpy(x.data * 2), "numbers"),
    "detaches": (lambda x: x * x.detach(), "detach"),
    "draws": (lambda x: x * tg.randn(3), "random"),
    "dropout": (lambda x: F.dropout(x, 0.5), "dropout"),
    "statistics": (lambda x: F.batch_norm(x.reshape(3, 1), tg.zeros(1), tg.ones(1), training=True), "batch_norm"),
    "masks": (lambda x: tg.where(x > 1, x, x * 2), "where"),
    "labels": (lambda x: F.cross_entropy(x.reshape(1, 3), tg.tensor([1])), "cross_entropy"),
    "picks by numbers": (lambda x: x[tg.tensor([2, 0])], "getitem|get_item"),
    "makes a tensor": (lambda x: x * tg.tensor([1.0, 2.0, 3.0]), "anew at each call"),
    "changes in place": (lambda x: (x * 2).add_(1), "in place"),
    "does another thing": (lambda x: x[next(counter) % 3] * 2, "same at each call"),
    "another slope": (lambda x: F.leaky_relu(x, next(counter) / 100), "same at each"),
    "another number": (lambda x: x * float(next(counter)), "anew at each call|same at each"),
    "computed outside": (lambda x: x * computed, "computed outside"),
    "backward": (goes_back, "backward"),
    "retain_grad": (keeps_gradient, "retain_grad"),
    "hook": (hooks, "hook"),
    "hooked module": (hooked, "hooks of a module"),
    "sets an attribute": (sets_attribute, "attribute"),
    "nothing done": (lambda x: x, "no operation"),
    "a view": (lambda x: x.reshape(3, 1), "view"),
    "two results": (lambda x: (x * 2, x * 3), "tuple"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_replayed_runs_with_one_warning(name):
    function, why = REFUSED[name]
    compiled = tg.compile(function)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(5):
            tg.manual_seed(0)
            result = compiled(numbered(3))
            assert not is_replayed(result[0] if isinstance(result, tuple) else result)
    assert len(caught) == 1 and "runs eagerly" in str(caught[0].message)
    assert any(part in str(caught[0].message) for part in why.split("|")), caught[0].message
    assert caught[0].filename == __file__


def test_an_argument_without_a_hash():
    compiled = tg.compile(lambda x, sizes: x.reshape(*sizes) * 2)
    with pytest.warns(RuntimeWarning, match="hashable"):
        assert compiled(numbered(4), [2, 2]).shape == (2, 2)


def test_errors_are_the_function_s_own():
    compiled = tg.compile(nn.Linear(3, 2))
    for _ in range(3):
        with pytest.raises(RuntimeError, match="does not fit weight"):
            compiled(numbered(4, 5))
        compiled(numbered(4, 3))
    with pytest.raises(TypeError, match="needs a function or a module, not int"):
        tg.compile(3)


def test_a_constant_of_the_source_is_no_reason():
    compiled, results = called(lambda x: 0.5 * x + 1, *[(numbered(3),)] * 4)
    assert is_replayed(results[-1])
    np.testing.assert_array_equal(results[-1].data, [1, 1.5, 2])


def test_few_programs_are_kept():
    compiled = tg.compile(lambda x, factor: x * factor)
    for factor in range(100):
        compiled(numbered(3), factor)
    assert len(compiled._stories) <= 16
