"""Loops that a recorder watches: what programs do to gradients, data and outputs while it may not have looked yet.

A loop is a function of `seen`, to be called when a backward pass is through, and of the recording.
"""

import contextlib
import copy
import threading

import numpy as np
import viz_nets as nets

import tinygrad_course as tg
from tinygrad_course import nn
from tinygrad_course.function import Function


def _nothing(*_):
    pass


def train(before=_nothing, between=_nothing, after=_nothing, data=lambda k: nets.data(), net=nets.net, steps=5):
    """A loop that trains; what it does before the forward pass, before and after backward."""

    def loop(seen, recording):
        model = net(1)
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
        for k in range(steps):
            optimizer.zero_grad()
            before(model)
            x, y = data(k)
            loss = nets.loss_of(model, x, y)
            between(model, x, loss, recording)
            loss.backward()
            seen()
            after(model, x, loss, recording)
            optimizer.step()

    return loop


def _each_gradient(change):
    return train(after=lambda model, *_: [change(p) for p in model.parameters()])


def _hooked(hook):
    def net(blocks):
        model = nets.net(blocks)
        for parameter in model.parameters():
            parameter.register_hook(lambda gradient: hook(gradient))
        return model

    return train(net=net)


def _passes(step, parameters=None, count=6):
    """A loop of `step(k, w, seen)` with a tensor w."""

    def loop(seen, recording):
        w = tg.tensor(np.arange(6.0, dtype=np.float32).reshape(2, 3), requires_grad=True)
        for k in range(count):
            step(k, w, seen)

    return loop


def _keep_and_write(kept):
    """A change that writes into all arrays of gradients that it got hold of before."""

    def change(p):
        for array in kept:
            array[...] = 7.0
        kept.append(p.grad.numpy())

    return change


def _set_to_zero(seen, recording):
    model = nets.net(1)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(5):
        nets.loss_of(model).backward()
        seen()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)


def _accumulate(seen, recording):
    model = nets.net(1)
    for _ in range(5):
        nets.loss_of(model).backward()
        seen()


def _twice(seen, recording):
    model = nets.net(1)
    for _ in range(4):
        loss = nets.loss_of(model)
        loss.backward(retain_graph=True)
        seen()
        loss.backward()


def _alternating(seen, recording):
    first, second = nets.net(1), nets.net(1)
    for _ in range(4):
        for model in (first, second):
            nets.loss_of(model).backward()
            seen()


def _adversarial(seen, recording):
    """The second loss goes on from the first one's graph, which was like one before."""
    g, d = nn.Linear(3, 5), nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 1))
    for _ in range(5):
        made = g(tg.randn(4, 3))
        (d(made.detach()).sum() - d(tg.randn(4, 5)).sum()).backward()
        seen()
        d(made).sum().backward()


def _backward_elsewhere(seen, recording):
    """Another thread, where nobody records, goes through one of the graphs."""
    model = nets.net(1)
    for k in range(5):
        loss = nets.loss_of(model)
        if k == 2:
            thread = threading.Thread(target=loss.backward)
            thread.start()
            thread.join()
        else:
            loss.backward()
            seen()


def _second_order(seen, recording):
    layer = nn.Linear(3, 1)
    for _ in range(4):
        x = tg.randn(4, 3)
        x.requires_grad = True
        out = (layer(x) * layer(x)).sum()
        (slope,) = tg.grad(out, [x], create_graph=True)
        (out + (slope * slope).sum()).backward()
        seen()


def _frozen_and_thawed(seen, recording):
    model = nets.net(1)
    for k in range(9):
        for parameter in model.stem.parameters():
            parameter.requires_grad_(k % 3 != 1)
        nets.loss_of(model).backward()
        seen()


def _double(blocks):
    return nets.net(blocks).double()


def _evaluate(mode):
    def after(model, x, *_):
        with mode():
            model(x).data.argmax(1)
        for parameter in model.parameters():
            parameter.grad.zero_()

    return after


def _fails_in_forward(model, x, *_):
    with contextlib.suppress(Exception):
        model(x)
        model(tg.ones(2, 3))


class Broken(Function):
    def forward(self, x):
        return x * 1.0

    def backward(self, dz):
        raise ZeroDivisionError


def _fails_in_backward(model, x, *_):
    for parameter in model.parameters():
        parameter.grad.fill_(3.0)
    with contextlib.suppress(ZeroDivisionError):
        (Broken()(model(x)) * 2.0).sum().backward()


_memory = np.empty((16, 9), np.float32)


def _from_memory(k):
    _memory[...] = np.random.default_rng(k).standard_normal(_memory.shape)
    return tg.from_numpy(_memory), nets.data()[1]


_images = np.empty((16, 3, 3), np.float32)


def _flat_images(kinds, evaluated=False):
    """A loop on images that are flattened, in memory that the program writes anew for each step.

    kinds: letters of its steps: "s" of a net that saves its input, "r" of one that does not, with a relu before it;
    "t" of one that reads it transposed, which is another order in memory. evaluated: without gradients, in between.
    """
    ways = {"s": lambda x: x.reshape(16, 9), "r": lambda x: x.reshape(16, 9).relu(), "t": lambda x: x.reshape(9, 16).T}

    def loop(seen, recording):
        model = nn.Sequential(nn.Linear(9, 8, bias=False), nn.Tanh(), nn.Linear(8, 4, bias=False))
        for k, kind in enumerate(kinds):
            generator = np.random.default_rng(k)
            for _ in range(2 * evaluated):
                generator.standard_normal(out=_images, dtype=np.float32)
                with tg.no_grad():
                    model(tg.from_numpy(_images).reshape(16, 9))
            generator.standard_normal(out=_images, dtype=np.float32)
            loss = nn.CrossEntropyLoss()(model(ways[kind](tg.from_numpy(_images))), nets.data()[1])
            if kind == "r":
                _images.fill(50.0)
            loss.backward()
            seen()
            _images.fill(100.0)

    return loop


def _parts_of_one_memory(seen, recording):
    """The program writes over the targets before backward, which does not read them."""
    layer, memory = nn.Linear(9, 3), np.empty((16, 12), np.float32)
    for k in range(5):
        memory[...] = np.random.default_rng(k).standard_normal(memory.shape)
        both = tg.from_numpy(memory)
        error = layer(both[:, :9]) - both[:, 9:]
        loss = (error * error).sum()
        memory[:, 9:] = 100.0
        loss.backward()
        seen()


def _a_head_without_a_loss(seen, recording):
    """The program writes over what only an operation has saved to which backward does not come."""
    used, other, memory = nn.Linear(9, 3), nn.Linear(9, 3), np.empty((16, 9), np.float32)
    for k in range(5):
        memory[...] = np.random.default_rng(k).standard_normal(memory.shape)
        other(tg.from_numpy(memory).reshape(16, 9))
        loss = used(nets.data()[0]).sum()
        memory.fill(100.0)
        loss.backward()
        seen()


def _saves_no_data(blocks):
    """A net whose gradients are right whatever becomes of its input after forward."""
    return nn.Sequential(nn.ReLU(), nets.net(blocks))


_x = tg.zeros(16, 9)


def _given(tensor_of, change):
    """Backward is given a gradient, in whose memory the caller then writes."""

    def step(k, w, seen):
        w.grad, given = None, tensor_of(w)
        given.fill_(k + 1.0)
        array = given.numpy()
        change(w).backward(given)
        seen()
        array[...] = 100.0

    return _passes(step)


def _lone(make, change):
    """One leaf, whose gradient is changed in place when backward is through."""

    def step(k, w, seen):
        w.grad = None
        make(w).backward()
        seen()
        change(w.grad)

    return _passes(step)


def _hook_in_place(k, w, seen):
    h = w * 1.0
    h.register_hook(lambda gradient: (gradient.fill_(5.0), None)[1])
    loss = (h * 3.0).sum()
    loss.backward(retain_graph=True)
    loss.backward()


def _hook_that_computes(k, w, seen):
    """In the second pass, too, its operations belong to the graph that backward goes through."""
    h = w * 1.0
    h.register_hook(lambda gradient: gradient * 5.0)
    loss = (h * 3.0).sum()
    loss.backward(retain_graph=True)
    loss.backward()


def _numbers_of(layer, write):
    """Gets hold of an output's array, and writes there at once or later."""
    kept = []

    def between(model, x, *_):
        kept.append(layer(model, x).detach().numpy())
        if write == "at once":
            kept[-1].fill(0.0)

    def after(*_):
        kept[-1].fill(0.0)

    return train(between=between, after=after)


def _look(model, x, loss, recording):
    assert recording.trace.leaves and recording.trace.operations and repr(recording)


def _look_and_change(model, x, loss, recording):
    assert recording.steps and recording.layers() and recording.trace.leaves
    for parameter in model.parameters():
        parameter.grad.fill_(3.0)


LOOPS = {  # name: (loop, how many of its steps are like one before)
    "plain": (train(), 3),
    "float64": (train(net=_double, data=lambda k: (nets.data()[0].double(), nets.data()[1])), 3),
    "clipped norm": (train(after=lambda model, *_: nn.utils.clip_grad_norm_(model.parameters(), 1e-3)), 3),
    "clipped values": (train(after=lambda model, *_: nn.utils.clip_grad_value_(model.parameters(), 1e-3)), 3),
    "multiplied": (_each_gradient(lambda p: p.grad.mul_(2.0)), None),
    "added to": (_each_gradient(lambda p: p.grad.__iadd__(1.0)), None),
    "part set": (_each_gradient(lambda p: p.grad.__setitem__(0, 5.0)), 3),
    "written as an array": (_each_gradient(lambda p: p.grad.numpy().fill(5.0)), 3),
    "by NumPy": (_each_gradient(lambda p: np.multiply(p.grad, 2.0, out=p.grad.data)), 3),
    "array kept": (_each_gradient(_keep_and_write([])), 3),
    "a view filled": (_each_gradient(lambda p: p.grad.reshape(-1).fill_(3.0)), None),
    "detached and filled": (_each_gradient(lambda p: p.grad.detach().zero_()), 3),
    "initialized": (_each_gradient(lambda p: nn.init.ones_(p.grad)), 3),
    "replaced": (_each_gradient(lambda p: setattr(p, "grad", tg.ones(*p.shape))), 3),
    "parameters replaced": (_each_gradient(lambda p: setattr(p, "data", p.data * 0.5)), 3),
    "deep copies": (train(before=copy.deepcopy, after=lambda model, *_: copy.deepcopy(model)), None),
    "set to zero": (_set_to_zero, 3),
    "accumulated": (_accumulate, 3),
    "twice through one graph": (_twice, None),
    "two nets": (_alternating, None),
    "adversarial": (_adversarial, 3),
    "backward elsewhere": (_backward_elsewhere, None),
    "second order": (_second_order, 0),
    "a hook returns": (_hooked(lambda gradient: gradient * 2.0), None),
    "a hook changes": (_hooked(lambda gradient: (gradient.mul_(2.0), None)[1]), None),
    "a hook fills": (_hooked(lambda gradient: (gradient.fill_(2.0), None)[1]), 3),
    "a hook writes": (_hooked(lambda gradient: gradient.numpy().fill(2.0)), 3),
    "hooks on the way": (_passes(_hook_in_place), 0),
    "hooks that compute": (_passes(_hook_that_computes), 0),
    "frozen and thawed": (_frozen_and_thawed, None),
    "batches of all sizes": (train(data=lambda k: nets.data(samples=[16, 16, 16, 5, 16, 5, 5, 7][k]), steps=8), None),
    "memory written between": (train(data=_from_memory, between=lambda *_: _memory.fill(100.0), net=_saves_no_data), 3),
    "memory written after": (train(data=_from_memory, after=lambda *_: _memory.fill(100.0)), 3),
    "images": (_flat_images("sssss"), 3),
    "images in two ways": (_flat_images("rsrsrsr"), None),
    "images in columns": (_flat_images("ttttt"), 3),
    "images, and evaluated": (_flat_images("sssss", evaluated=True), 3),
    "parts of one memory": (_parts_of_one_memory, 3),
    "a head without a loss": (_a_head_without_a_loss, 3),
    "x copied into": (train(data=lambda k: (_x.copy_(nets.data()[0] * float(k)), nets.data()[1])), None),
    "x set": (train(after=lambda model, x, *_: x.__setitem__(0, 5.0)), 3),
    "evaluated": (train(after=_evaluate(tg.no_grad)), None),
    "evaluated on the tape": (train(after=_evaluate(tg.enable_grad)), None),
    "fails in forward": (train(before=lambda model: _fails_in_forward(model, tg.ones(2, 9))), None),
    "fails in backward": (train(after=_fails_in_backward), None),
    "looked at between": (train(between=_look), 0),
    "looked at after": (train(after=_look_and_change), 0),
    "output written at once": (_numbers_of(lambda model, x: model.stem(x), "at once"), 3),
    "output written after": (_numbers_of(lambda model, x: model.stem(x), "after"), 3),
    "a gradient given": (_given(tg.ones_like, lambda w: w + 1.0), 4),
    "a gradient given to a product": (_given(tg.ones_like, lambda w: w * 2.0), 4),
    "a number given": (_given(lambda w: tg.ones(()), lambda w: w.sum()), 4),
    "a view of what was given": (_given(lambda w: tg.ones(6), lambda w: w.reshape(6)), 4),
    "an expanded gradient": (_lone(lambda w: w.sum(), lambda gradient: gradient.fill_(9.0)), 4),
    "a transposed gradient": (_lone(lambda w: (w.T * _x[:3, :2]).sum(), lambda gradient: gradient.fill_(9.0)), None),
    "no numbers": (_lone(lambda w: w[:0].exp().sum(), lambda gradient: gradient.fill_(9.0)), 4),
}
