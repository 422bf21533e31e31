"""The tape: accumulation, hooks, observers, in-place guard, scopes, memory, threads."""

import gc
import threading
import weakref

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn, optim
from tinygrad_course.function import Function
from tinygrad_course.modes import thread


def leaf(*values):
    return tg.tensor(np.array(values or [1.0, -2.0, 3.0]), requires_grad=True)


def same(tensor, expected):
    np.testing.assert_allclose(tensor.data, expected, rtol=1e-12)


class Broken(Function):
    """y = x, with a backward that fails."""

    __slots__ = ()

    def forward(self, x):
        return x.copy()

    def backward(self, dy):
        raise ValueError("broken")


class Watch(tg.Observer):
    """Writes down everything it is told, and keeps the arrays themselves."""

    def __init__(self):
        self.log, self.gradients, self.sent, self.order = [], {}, [], []

    def forward(self, node, inputs, output):
        self.log.append(("forward", node.name))

    def begin_backward(self, outputs, gradients):
        self.log.append(("begin",))

    def backward(self, node, gradient, contributions):
        self.order.append(node)
        self.gradients[node] = gradient
        self.sent += [(edge, c) for edge, c in zip(node.edges, contributions, strict=True) if c is not None]

    def end_backward(self):
        self.log.append(("end",))


# ------------------------------------------------------------------------------------- accumulation

GRAPHS = {  # function of x, its derivative
    "x + x": (lambda x: x + x, lambda x: 2 + 0 * x),
    "x - x": (lambda x: x - x, lambda x: 0 * x),
    "x * x": (lambda x: x * x, lambda x: 2 * x),
    "x / x": (lambda x: x / x, lambda x: 0 * x),
    "x * x * x": (lambda x: x * x * x, lambda x: 3 * x**2),
    "diamond": (lambda x: (lambda h: h.exp() * h)(2 * x), lambda x: 2 * np.exp(2 * x) * (1 + 2 * x)),
    "fan-out of 5": (lambda x: sum((k * x for k in range(2, 6)), x), lambda x: 15 + 0 * x),
    "long and short path": (lambda x: x + (((x * 1) * 1) * 1).exp(), lambda x: 1 + np.exp(x)),
    "same view twice": (lambda x: x.reshape(3, 1) * x.reshape(1, 3), lambda x: 2 * x.sum() + 0 * x),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(name):
    function, derivative = GRAPHS[name]
    x = leaf()
    function(x).sum().backward()
    np.testing.assert_allclose(x.grad.data, derivative(x.data), rtol=1e-12, atol=1e-12)


def test_gradients_accumulate_over_calls():
    x = leaf()
    for times in (1, 2, 3):
        (x * x).sum().backward()
        same(x.grad, times * 2 * x.data)


def test_a_leaf_may_be_the_output():
    x = leaf(3.0)
    x.backward()
    same(x.grad, [1.0])


def test_retain_graph_and_the_freed_graph():
    x = leaf()
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    same(x.grad, 4 * x.data)
    with pytest.raises(RuntimeError, match=r"second time.*retain_graph=True"):
        y.backward()
    same(x.grad, 4 * x.data)


def test_non_scalar_backward_needs_a_gradient_of_its_shape():
    x = leaf()
    y = x * 2
    with pytest.raises(RuntimeError, match=r"\(3,\).*sum\(\)"):
        y.backward()
    with pytest.raises(RuntimeError, match=r"\(2,\).*\(3,\)"):
        y.backward(tg.tensor([1.0, 1.0]))
    y.backward(tg.tensor([1.0, 10.0, 100.0]))
    same(x.grad, [2.0, 20.0, 200.0])
    with pytest.raises(RuntimeError, match="does not require grad"):
        tg.ones(1).backward()


# ------------------------------------------------------------------------------------- grad mode


def test_grad_modes_nest_and_survive_exceptions():
    x = leaf()
    with tg.no_grad():
        assert not (x * 2).requires_grad
        with tg.enable_grad():
            assert (x * 2).requires_grad
            with tg.set_grad_enabled(False):
                assert not tg.is_grad_enabled()
            assert tg.is_grad_enabled()
        assert not tg.is_grad_enabled()
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        1 / 0  # noqa: B018
    assert tg.is_grad_enabled()
    context = tg.no_grad()
    with context, context:
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()


@pytest.mark.parametrize("decorator", [tg.no_grad(), tg.no_grad], ids=["called", "bare"])
def test_grad_mode_as_a_decorator(decorator):
    @decorator
    def mode(depth=0):
        return mode(depth - 1) if depth else tg.is_grad_enabled()

    assert tg.is_grad_enabled()  # decorating changes nothing
    assert mode() is False
    assert mode(3) is False
    assert tg.is_grad_enabled()


def test_set_grad_enabled_decorator_leaves_the_mode_alone():
    @tg.set_grad_enabled(False)
    def mode():
        return tg.is_grad_enabled()

    assert tg.is_grad_enabled()
    assert mode() is False
    assert tg.is_grad_enabled()
    tg.set_grad_enabled(False)
    assert not tg.is_grad_enabled()
    tg.set_grad_enabled(True)


def test_detach_shares_memory_and_cuts_the_graph():
    x = leaf()
    d = x.detach()
    assert not d.requires_grad and d.data is x.data
    (x * d).sum().backward()
    same(x.grad, d.data)


# ------------------------------------------------------------------------------------- hooks, retain_grad


def test_retain_grad_of_intermediates():
    x = leaf()
    h = x * 2
    h.retain_grad()
    (h * h).sum().backward(retain_graph=False)
    same(h.grad, 2 * h.data)
    h2 = x * 3
    (h2 * h2).sum().backward()
    assert h2.grad is None
    h = x * 2
    h.retain_grad()
    h += 1  # the gradient is then that of the changed tensor, as in PyTorch
    (h * h).sum().backward()
    same(h.grad, 2 * h.data)


@pytest.mark.parametrize("kind", ["leaf", "non-leaf"])
def test_hooks_see_the_whole_gradient_once_per_pass(kind):
    x = leaf()
    h = x if kind == "leaf" else x * 1
    seen = []
    handle = h.register_hook(lambda g: seen.append(g))
    y = (h * h + 3 * h + h.exp()).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    assert len(seen) == 2
    expected = 2 * h.data + 3 + np.exp(h.data)
    for gradient in seen:  # also after the second pass was added to `.grad`
        same(gradient, expected)
    handle.remove()
    handle.remove()
    y.backward()
    assert len(seen) == 2


@pytest.mark.parametrize("kind", ["leaf", "non-leaf"])
def test_hooks_replace_the_gradient(kind):
    x = leaf()
    h = x if kind == "leaf" else x * 1
    h.register_hook(lambda g: g * 2)
    h.register_hook(lambda g: g + 1)
    (h * 5).sum().backward()
    same(x.grad, [11.0, 11.0, 11.0])
    h.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match="hook returned shape"):
        (h * 5).sum().backward()
    same(x.grad, [11.0, 11.0, 11.0])


def test_a_hook_returning_its_gradient_does_not_alias_grad():
    x, kept = leaf(), []
    x.register_hook(lambda g: kept.append(g) or g)
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    same(kept[0], [2.0, 2.0, 2.0])
    same(x.grad, [4.0, 4.0, 4.0])


def test_backward_inside_a_hook_on_the_same_graph():
    """The inner pass keeps its gradients to itself: the outer one goes on with its own."""
    x = leaf()
    h = x * 2
    a, b = (h * h).sum(), h.exp()
    b.register_hook(lambda g: a.backward(retain_graph=True))
    (b.sum() + (h * 3).sum()).backward(retain_graph=True)
    same(x.grad, 2 * (2 * h.data) + 2 * np.exp(h.data) + 6)


# ------------------------------------------------------------------------------------- in-place guard

SAVERS = {  # function, which tensor it needs for backward
    "mul": (lambda x, y: x * y, "input 1"),
    "exp": (lambda x, y: x.exp(), "output"),
    "log": (lambda x, y: x.log(), "input 0"),
    "matmul": (lambda x, y: x @ y, "input 1"),
    "div": (lambda x, y: x / y, "input 1"),
    "sigmoid": (lambda x, y: x.sigmoid(), "output"),
}


@pytest.mark.parametrize("way", ["directly", "through a view", "through .data =", "through setitem", "under no_grad"])
@pytest.mark.parametrize("name", SAVERS)
def test_changing_what_backward_needs_raises(name, way):
    function, victim = SAVERS[name]
    x = tg.tensor(np.array([[1.0, 2.0], [3.0, 4.0]]), requires_grad=True)
    h, y = x * 1, tg.tensor(np.array([[5.0, 6.0], [7.0, 8.0]]))
    z = function(h, y)
    tensor = {"input 0": h, "input 1": y, "output": z}[victim]
    with tg.no_grad():
        if way == "directly":
            tensor.mul_(2)
        elif way == "through a view":
            tensor.reshape(4).transpose(0, 0)[1:].add_(1)
        elif way == "through .data =":
            tensor.data = tensor.data * 2
        elif way == "through setitem":
            tensor[0, 1] = 9
        else:
            tensor += 1
    with pytest.raises(RuntimeError, match=f"changed in place: the {victim} of {name}, of shape"):
        z.sum().backward()
    assert x.grad is None


def test_the_guard_gives_no_false_alarm():
    x, y = leaf(), leaf(4.0, 5.0, 6.0).detach()
    y.add_(1)  # before it is saved
    h = x * y
    h.add_(1)  # mul does not need its output
    unsaved = x + y
    y2 = y.clone()
    y2.zero_()
    y.reshape(3, 1).T  # a look is no change  # noqa: B018
    (h + unsaved).sum().backward()
    y.zero_()  # after backward
    same(x.grad, [6.0, 7.0, 8.0])
    weight = tg.tensor(np.eye(3), requires_grad=True)  # x needs no gradient, so weight is not saved
    z = y2 @ weight
    with tg.no_grad():
        weight.mul_(3)
    z.sum().backward()
    assert weight.grad is not None


def test_a_copying_reshape_is_no_view():
    x = leaf(1.0, 2.0, 3.0, 4.0).detach().reshape(2, 2)
    w = leaf(1.0, 2.0, 3.0, 4.0)
    copied = x.T.reshape(4)
    z = copied * w
    with tg.no_grad():
        x.zero_()
    z.sum().backward()
    same(w.grad, [1.0, 3.0, 2.0, 4.0])


def test_in_place_changes_stay_on_the_tape():
    x = leaf()
    h = x * 2
    h += x
    h -= 1
    h *= 3
    h /= 2
    h.sum().backward()
    same(x.grad, [4.5, 4.5, 4.5])


CONSTANT = {
    "fill_": lambda z: z.fill_(7.0),
    "zero_": lambda z: z.zero_(),
    "copy_": lambda z: z.copy_(tg.tensor([1.0, 2.0])),
    "copy_ of one": lambda z: z.copy_(tg.tensor([5.0])),
    "uniform_": lambda z: z.uniform_(),
    "all set": lambda z: z.__setitem__(slice(None), 3.0),
}


@pytest.mark.parametrize("change", CONSTANT)
def test_nothing_flows_back_through_a_constant_that_was_written_over_a_result(change):
    w = tg.tensor([3.0, 4.0], requires_grad=True)
    z = w * 2.0
    CONSTANT[change](z)
    assert z.requires_grad
    (z * w).sum().backward()
    assert w.grad.tolist() == z.tolist()


def test_in_place_on_a_leaf():
    x = leaf()
    for change in (lambda: x.add_(1), lambda: x.__iadd__(1), lambda: x.zero_(), lambda: x.__setitem__(0, 1.0)):
        with pytest.raises(RuntimeError, match="no_grad"):
            change()
    same(x, [1.0, -2.0, 3.0])
    with tg.no_grad():
        x += 1
    same(x, [2.0, -1.0, 4.0])
    assert x.is_leaf and x.requires_grad


def test_a_recorded_change_of_a_tensor_with_views_raises():
    x, w = leaf(), leaf()
    h = x * 1
    v = h.reshape(3, 1)
    for tensor in (h, v):
        with pytest.raises(RuntimeError, match="view"):
            tensor *= 2
    base = tg.zeros(3)
    with pytest.raises(RuntimeError, match="view"):
        base[:2].add_(w[:2].float())
    v.sum().backward()
    same(x.grad, [1.0, 1.0, 1.0])


def test_indices_and_labels_may_change_after_forward():
    x, index = leaf(), tg.tensor([0, 0, 2])
    y = x[index]
    index.zero_()
    y.sum().backward()
    same(x.grad, [2.0, 0.0, 1.0])
    logits, label = tg.tensor(np.zeros((1, 3)), requires_grad=True), tg.tensor([1])
    loss = nn.functional.cross_entropy(logits, label)
    label.zero_()
    loss.backward()
    same(logits.grad, [[1 / 3, -2 / 3, 1 / 3]])


# ------------------------------------------------------------------------------------- no aliasing


def test_gradients_never_alias():
    a, b = leaf(), leaf()
    seed = tg.tensor(np.ones(3))
    (a + b).backward(seed)
    c = tg.tensor(np.ones((3, 1)), requires_grad=True)
    c.reshape(3).backward(seed)
    d = leaf()
    d.backward(seed)
    e = leaf()
    e.clone().sum().backward()
    f = leaf()
    f.expand(1, 3).backward(seed.reshape(1, 3))
    arrays = [a.grad.data, b.grad.data, c.grad.data, d.grad.data, e.grad.data, f.grad.data, seed.data, a.data, b.data]
    for i, one in enumerate(arrays):
        assert type(one) is np.ndarray and one.flags.writeable
        for other in arrays[:i]:
            assert not np.shares_memory(one, other)
    (a + b).backward(seed)
    same(a.grad, [2.0, 2.0, 2.0])
    same(seed, [1.0, 1.0, 1.0])


def test_zero_dimensional_gradients_are_arrays():
    for function in (lambda x: x * x, lambda x: x.sum(), lambda x: x.relu() + x.tanh(), lambda x: x.sigmoid() / x):
        x = tg.tensor(np.float64(2.0), requires_grad=True)
        seen = []
        h = x * 1
        h.register_hook(seen.append)
        with tg.observe(Watch()) as watch:
            function(h).backward()
        assert function(x).shape == ()
        for array in (x.grad.data, seen[0].data, *watch.gradients.values(), *[c for _, c in watch.sent]):
            assert type(array) is np.ndarray and array.shape == ()


def test_no_grad_changes_when_backward_fails_midway():
    a, b = leaf(), leaf()
    h = b * 3
    h.retain_grad()
    (a * 2 + h).sum().backward()
    before = a.grad.data.copy(), b.grad.data.copy(), h.grad.data.copy()
    h2 = b * 3
    h2.retain_grad()
    z = (Broken()(a * 1) + h2 * h2).sum()
    with pytest.raises(ValueError, match="broken"):
        z.backward()
    for tensor, array in zip((a, b, h), before, strict=True):
        np.testing.assert_array_equal(tensor.grad.data, array)
    assert h2.grad is None


# ------------------------------------------------------------------------------------- observers


def test_observers_are_told_every_node_once_and_contributions_add_up():
    tg.manual_seed(0)
    x = tg.tensor(np.random.default_rng(0).standard_normal((4, 3)), requires_grad=True)
    w = tg.tensor(np.random.default_rng(1).standard_normal((3, 3)), requires_grad=True)
    with tg.observe(Watch()) as watch:
        h = x @ w
        h = h + h.tanh() * x + (h * h).sum(0, keepdim=True)
        h = h + h.sigmoid()
        (h * h).mean().backward()
    forward = [entry for entry in watch.log if entry[0] == "forward"]
    assert len(watch.order) == len(set(watch.order)) == len(forward)
    assert [n.order for n in watch.order] == sorted((n.order for n in watch.order), reverse=True)
    assert watch.log[-2:] == [("begin",), ("end",)]
    for end, arrived in [*watch.gradients.items(), (x, x.grad.data), (w, w.grad.data)]:
        parts = [c for edge, c in watch.sent if edge is end]
        if parts:  # kept since they were told, and not changed afterwards
            np.testing.assert_allclose(sum(parts), arrived, rtol=1e-12)
    for node in watch.order:
        assert not hasattr(node, "grad") and not hasattr(node, "__dict__")


def test_observers_nest_and_end_even_on_errors():
    outer, inner = Watch(), Watch()
    x = leaf()
    with tg.observe(outer):
        y = x * 2
        with tg.observe(inner):
            y = y.exp()
        with pytest.raises(ValueError, match="broken"):
            Broken()(y).sum().backward()
    assert [e for e in outer.log if e[0] == "forward"] == [("forward", n) for n in ("mul", "exp", "broken", "sum")]
    assert [e for e in inner.log if e[0] == "forward"] == [("forward", "exp")]
    assert outer.log[-2:] == [("begin",), ("end",)]
    assert thread.state.observers == ()
    with pytest.raises(ZeroDivisionError), tg.observe(outer):
        1 / 0  # noqa: B018
    assert thread.state.observers == ()


def test_observers_watch_constants_and_no_grad_too():
    with tg.observe(Watch()) as watch, tg.no_grad():
        tg.ones(2) * leaf(1.0, 2.0)
    assert watch.log[-1] == ("forward", "mul")


# ------------------------------------------------------------------------------------- module scopes


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return nn.ReLU()(self.conv1(x))


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)
        self.b = self.a
        self.layers = nn.Sequential(nn.Identity(), Block())

    def forward(self, x):
        x = self.b(self.a(x)) * 2
        return self.layers(x.reshape(1, 1, 1, 2))


def scopes(model, x):
    found = []

    class Scopes(tg.Observer):
        def forward(self, node, inputs, output):
            found.append(f"{node.scope}:{node.name}")

    with tg.observe(Scopes()):
        model(x)
    return found


SCOPES = ["a:linear", "a:linear", ":mul", ":reshape", "layers.1.conv1:conv2d", "layers.1.ReLU:relu"]


def test_scopes_are_dotted_paths():
    model = Shared()
    for _ in range(2):
        assert scopes(model, tg.ones(1, 2)) == SCOPES
    assert scopes(nn.Sequential(model), tg.ones(1, 2))[:3] == ["0.a:linear", "0.a:linear", "0:mul"]
    model.layers = nn.Sequential(nn.Identity(), nn.Identity(), Block())  # paths follow a changed structure
    assert scopes(model, tg.ones(1, 2))[4] == "layers.2.conv1:conv2d"
    assert thread.state.scope == "" and thread.state.paths is None


def test_an_exception_restores_the_scope():
    model = Shared()
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"^a: linear"):
            model(tg.ones(1, 5))
        assert thread.state.scope == "" and thread.state.paths is None
    assert scopes(model, tg.ones(1, 2)) == SCOPES


# ------------------------------------------------------------------------------------- depth, paths, memory


def test_a_chain_of_100_000_operations():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1
    y.backward()
    same(x.grad, [1.0])
    del y  # and the graph goes without a stack overflow


def test_a_ladder_of_2_to_the_100_paths():
    x = leaf(1.0)
    y = x
    for _ in range(100):
        y = (y + y) * 0.5
    y.backward()
    same(x.grad, [1.0])


def test_100_residual_blocks():
    tg.manual_seed(0)
    blocks = [nn.Residual(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))) for _ in range(100)]
    net = nn.Sequential(*blocks)
    for p in net.parameters():
        nn.init.zeros_(p)
    x = tg.tensor(np.ones((2, 4), np.float32), requires_grad=True)
    net(x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.ones((2, 4)))
    assert all(p.grad is not None for p in net.parameters())


def test_graphs_die_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        for backward in (False, True):
            x = leaf()
            h = x.exp()
            h.retain_grad()
            y = (h * h).sum()
            saved, node = weakref.ref(h.data), weakref.ref(y.node)
            if backward:
                y.backward()
            del h, y
            assert saved() is None and node() is None
    finally:
        gc.enable()


def test_saved_arrays_are_released_as_backward_passes():
    x = leaf()
    h = x * 1
    y = (h * h).sum()
    saved = weakref.ref(h.data)
    del h
    assert saved() is not None
    y.backward()
    assert saved() is None
    with tg.no_grad():
        z = x.exp().log()
    assert z.node is None


# ------------------------------------------------------------------------------------- threads, seeds


def train(seed, steps=5):
    draw = np.random.default_rng(seed)
    net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
    for p in net.parameters():
        with tg.no_grad():
            p.copy_(tg.tensor(draw.standard_normal(p.shape)))
    x, y = tg.tensor(draw.standard_normal((8, 6)).astype(np.float32)), tg.tensor(draw.integers(0, 3, 8))
    optimizer = optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(net(x), y).backward()
        optimizer.step()
    return np.concatenate([p.data.ravel() for p in net.parameters()])


def test_threads_train_separate_nets():
    expected = [train(seed, 30) for seed in range(2)]
    found, barrier = [None, None], threading.Barrier(2)

    def run(seed):
        barrier.wait()
        found[seed] = train(seed, 30)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_grad_mode_scope_and_observers_are_per_thread():
    seen = []

    def look():
        seen.append((tg.is_grad_enabled(), thread.state.scope, thread.state.observers, thread.state.paths))

    with tg.no_grad(), tg.observe(Watch()):
        other = threading.Thread(target=look)
        other.start()
        other.join()
    assert seen == [(True, "", (), None)]


def test_manual_seed_makes_runs_the_same_to_the_bit():
    def run():
        tg.manual_seed(7)
        net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
        optimizer = optim.SGD(net.parameters(), 0.1, momentum=0.9)
        for _ in range(4):
            optimizer.zero_grad()
            nn.CrossEntropyLoss()(net(tg.randn(8, 1, 6, 6)), tg.randint(0, 3, (8,))).backward()
            optimizer.step()
        return b"".join(t.data.tobytes() for t in net.state_dict().values())

    assert run() == run()


# ------------------------------------------------------------------------------------- tg.grad


def test_grad_of_leaves_and_intermediates():
    x, w, unused = leaf(), leaf(), leaf()
    h = x * w
    y = (h * h).sum()
    gx, gh, gy = tg.grad(y, [x, h, y], retain_graph=True)
    same(gx, 2 * h.data * w.data)
    same(gh, 2 * h.data)
    same(gy, 1.0)
    assert x.grad is None and w.grad is None and h.grad is None
    (gx,) = tg.grad(h, x, grad_outputs=tg.tensor(np.array([1.0, 2.0, 3.0])), retain_graph=True)
    same(gx, w.data * [1.0, 2.0, 3.0])
    assert tg.grad(y, [x, unused], retain_graph=True, allow_unused=True)[1] is None
    with pytest.raises(RuntimeError, match="input 1 was not used"):
        tg.grad(y, [x, unused], retain_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        tg.grad(y, tg.ones(3))
    tg.grad(y, x)
    with pytest.raises(RuntimeError, match="second time"):
        tg.grad(y, x)


def test_changes_of_what_nobody_saved_cost_later_passes_nothing():
    """Parameters and running estimates change between two graphs, where no node holds them: no node need look."""
    from tinygrad_course.base import changes

    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 1))
    optimizer = tg.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    before, made = changes.latest, changes.made
    for _ in range(3):
        optimizer.zero_grad()
        net(tg.randn(8, 4)).sum().backward()
        optimizer.step()
    assert changes.latest == before and changes.made > made
    held = net(tg.randn(8, 4)).sum()
    optimizer.step()
    assert changes.latest > before
    with pytest.raises(RuntimeError, match="changed in place"):
        held.backward()
