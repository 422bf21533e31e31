"""Hooks of modules: order, what they see and may change, several inputs and outputs, copies, the way out."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn


def leaf(*values):
    return tg.tensor(np.array(values or [1.0, -2.0, 3.0]), requires_grad=True)


class Scale(nn.Module):
    """(a, b, note) -> (2 a, 3 b, c), with a keyword that does nothing."""

    def forward(self, a, b=None, note=None, *, flag=False):
        return a * 2 if b is None else (a * 2, b * 3, 5)


def test_forward_hooks_see_and_change():
    net, seen = Scale(), []
    pre = net.register_forward_pre_hook(lambda m, args: seen.append(("pre", m is net, len(args))))
    net.register_forward_pre_hook(lambda m, args: args[0] + 1)
    net.register_forward_hook(lambda m, args, y: seen.append(("post", args[0].tolist(), y.tolist())))
    last = net.register_forward_hook(lambda m, args, y: y * 10)
    assert net(tg.ones(1)).tolist() == [40] and seen == [("pre", True, 1), ("post", [2.0], [4.0])]
    pre.remove()
    last.remove()
    last.remove()
    assert net(tg.ones(1)).tolist() == [4] and len(seen) == 3


def test_order_prepend_and_with():
    net, order = Scale(), []

    def note(name):
        return lambda *arguments: order.append(name)

    net.register_forward_hook(note("b"))
    with net.register_forward_hook(note("a"), prepend=True), net.register_forward_pre_hook(note("y")):
        net.register_forward_pre_hook(note("x"), prepend=True)
        net(tg.ones(1))
    net(tg.ones(1))
    assert order == ["x", "y", "a", "b", "x", "b"]


def test_keywords():
    net, seen = Scale(), []
    net.register_forward_pre_hook(lambda m, args, kwargs: (args, {**kwargs, "flag": True}), with_kwargs=True)
    net.register_forward_hook(lambda m, args, kwargs, y: seen.append(kwargs), with_kwargs=True)
    net(tg.ones(1), note=3)
    assert seen == [{"note": 3, "flag": True}]
    net.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match="args, kwargs"):
        net(tg.ones(1))


def test_always_called_hooks():
    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    net, seen = Broken(), []
    net.register_forward_hook(lambda m, args, y: seen.append("normal"))
    net.register_forward_hook(lambda m, args, y: seen.append(y), always_call=True)
    with pytest.raises(ValueError, match="broken"):
        net(tg.ones(1))
    assert seen == [None]
    net.register_forward_hook(lambda m, args, y: 1 / 0, always_call=True)
    with pytest.raises(ValueError, match="broken"), pytest.warns(UserWarning, match="division"):
        net(tg.ones(1))


def test_backward_hooks_see_the_gradients_of_this_module_alone():
    x = leaf()
    net, seen = Scale(), []
    net.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    (net(x) * 5 + x * 100).sum().backward()  # x is used beside the module too
    ((grad_input,), (grad_output,)) = seen[0]
    assert grad_input.tolist() == [10] * 3 and grad_output.tolist() == [5] * 3 and x.grad.tolist() == [110] * 3


def test_backward_hooks_change_gradients():
    x, net = leaf(), Scale()
    net.register_full_backward_pre_hook(lambda m, go: (go[0] * 10,))
    net.register_full_backward_pre_hook(lambda m, go: (go[0] + 1,), prepend=True)
    net.register_full_backward_hook(lambda m, gi, go: (gi[0] + go[0],))
    net(x).sum().backward()
    assert x.grad.tolist() == [(1 + 1) * 10 * 2 + 20] * 3


def test_several_inputs_and_outputs():
    a, b, seen = leaf(1.0, 2.0), leaf(3.0), []
    net = Scale()
    net.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    first, second, five = net(a, b, "note")
    assert five == 5
    (first.sum() * 7 + second.sum()).backward()
    (gi, go) = seen[0]
    assert [None if g is None else g.tolist() for g in gi] == [[14, 14], [3], None]
    assert [None if g is None else g.tolist() for g in go] == [[7, 7], [1], None]
    a.grad = b.grad = None
    net.register_full_backward_hook(lambda m, gi, go: (gi[0] + 1, gi[1] + 2))
    net(a, b)[0].sum().backward()  # nothing arrives at the second output
    gi, go = seen[1]
    assert go[1] is None and gi[1].tolist() == [0] and a.grad.tolist() == [3, 3] and b.grad.tolist() == [2]
    net(a, tg.ones(1))[0].sum().backward()
    assert seen[2][0][1].tolist() == [0]


def test_a_module_whose_inputs_want_no_gradient():
    net, seen = nn.Linear(2, 1), []
    net.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].tolist())))
    with pytest.warns(UserWarning, match="no input"):
        net(tg.ones(1, 2)).sum().backward()
    assert seen == [((None,), [[1.0]])] and net.weight.grad is not None
    with tg.no_grad():
        net(tg.ones(1, 2))


def test_wrong_returns_and_outputs():
    x, net = leaf(), Scale()
    handle = net.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    with pytest.raises(RuntimeError, match="2 gradients for grad_input"):
        net(x).sum().backward()
    handle.remove()

    class Named(nn.Module):
        def forward(self, x):
            return {"y": x * 2}

    named = Named()
    named.register_full_backward_hook(lambda *arguments: None)
    with pytest.warns(UserWarning, match="tuple"):
        assert named(x)["y"].tolist() == [2, -4, 6]


def test_second_derivatives_pass_the_hooks():
    class Cube(nn.Module):
        def forward(self, x, y):
            return x * x * x, y * y

    net, calls = Cube(), []
    net.register_full_backward_hook(lambda m, gi, go: calls.append(1))
    x, y = leaf(2.0), leaf(3.0)
    cube, square = net(x, y)
    (dx,) = tg.grad((cube * square).sum(), x, create_graph=True)
    (ddx,) = tg.grad(dx.sum(), x)
    assert dx.item() == 3 * 4 * 9 and ddx.item() == 6 * 2 * 9 and calls
    handle = nn.Tanh()
    handle.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
    (d,) = tg.grad(handle(x).sum(), x, create_graph=True)
    (dd,) = tg.grad(d.sum(), x)
    t = np.tanh(2.0)
    np.testing.assert_allclose([d.item(), dd.item()], [2 * (1 - t * t), 2 * -2 * t * (1 - t * t)], rtol=1e-12)


def test_gradients_are_the_same_with_and_without_hooks():
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    x = tg.randn(3, 4, requires_grad=True)
    net(x).sum().backward()
    before = [p.grad.data.copy() for p in (x, *net.parameters())]
    seen = []
    for module in net.modules():
        module.register_full_backward_hook(lambda m, gi, go: seen.append(type(m).__name__))
    x.grad = None
    net.zero_grad()
    net(x).sum().backward()
    assert seen == ["Linear", "Tanh", "Linear", "Sequential"]
    for p, g in zip((x, *net.parameters()), before, strict=True):
        assert p.grad.data.tobytes() == g.tobytes()


def _double(module, args, y):
    return y * 2


def test_copies_carry_their_hooks():
    net = nn.Sequential(nn.ReLU())
    handle = net[0].register_forward_hook(_double)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        handle.remove()
        assert twin(tg.ones(1)).item() == 2 and net(tg.ones(1)).item() == 1
        handle = net[0].register_forward_hook(_double)


def test_hooks_leave_no_garbage():
    gc.collect()
    gc.disable()
    try:
        net, x, y = Scale(), leaf(), leaf()
        net.register_full_backward_hook(lambda m, gi, go: None)
        out = net(x, y)
        (out[0].sum() + out[1].sum()).backward()
        node = weakref.ref(out[0].node)
        del out
        assert node() is None
    finally:
        gc.enable()


def test_a_tensors_hook_in_a_with_block():
    x, seen = tg.ones(2, requires_grad=True), []
    with x.register_hook(lambda g: seen.append(g)) as handle:
        (3 * x).sum().backward()
    (3 * x).sum().backward()
    handle.remove()  # once more is once too often, and nothing
    assert len(seen) == 1 and x.grad.tolist() == [6.0, 6.0]
