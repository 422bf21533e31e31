"""A recording against an observer that copies all it is told of, and against one that puts nothing off."""

import re
import threading
import weakref

import numpy as np
import pytest
import viz_nets as nets
from recorded_facts import facts, run
from recorded_loops import LOOPS, train

import tinygrad_course as tg
import viz
from tinygrad_course import nn
from tinygrad_course.base import array_of
from tinygrad_course.modes import Observer
from viz.graph.stats import measure


class Copier(Observer):
    """Copies every array at the moment it is shown."""

    keeps_arrays = False

    def __init__(self):
        self.outputs, self.operands, self.passes, self.sent = {}, {}, [], {}

    def forward(self, node, inputs, output):
        self.outputs[node.order] = measure(np.array(output._data, order="C" if output._viewed else "K"))
        self.operands[node.order] = [None if one is None else measure(np.array(one._data)) for one in inputs]

    def begin_backward(self, outputs, gradients):
        self.passes.append({})

    def backward(self, node, gradient, contributions):
        self.passes[-1][node.order] = measure(np.array(gradient))
        self.sent[node.order] = tuple([None if c is None else measure(np.array(array_of(c))) for c in contributions])


def _check(recording, copier):
    """Every number of the recording is that of the array when it was shown."""
    trace = recording.trace
    arrived = {order: numbers for one in copier.passes for order, numbers in one.items()}
    reads, contributions = {}, {}
    for order, operation in sorted(trace.operations.items()):
        if order in copier.outputs:
            assert operation.activation == copier.outputs[order], operation.name
        if operation.gradient is not None:
            assert operation.gradient == arrived[order] and operation.sent == copier.sent[order], operation.name
        for place, source in enumerate(operation.sources):
            if source is not None and source.leaf is not None and order in copier.operands:
                reads.setdefault(source.leaf, copier.operands[order][place])
                contributions.setdefault(source.leaf, []).append(operation.sent[place])
    for index, leaf in enumerate(trace.leaves):
        assert leaf.is_parameter or index not in reads or leaf.activation == reads[index]
        alone = [one for one in contributions.get(index, ()) if one is not None]
        assert len(alone) > 1 or leaf.gradient == (alone[0] if alone else None)
    passes = [one for one in copier.passes if one]
    for step, one in zip(recording.steps, passes, strict=True):
        orders = list(one)[::-1]
        np.testing.assert_array_equal(step.gradient_rms, [one[order].rms for order in orders])
        np.testing.assert_array_equal(step.activation_rms, [_rms(copier.outputs.get(order)) for order in orders])


def _rms(numbers):
    return np.nan if numbers is None else numbers.rms


@pytest.mark.parametrize("name", LOOPS)
def test_numbers_are_those_of_the_arrays_when_they_were_shown(name):
    """As an observer sees them that copies all; and the loop is one of those whose steps are alike, or not."""
    loop, alike = LOOPS[name]
    copier = Copier()
    recording, repeats = run(loop, copier)
    _check(recording, copier)
    assert alike is None or repeats == alike


@pytest.mark.parametrize("options", [{}, {"details": True}, {"every": 2}], ids=str)
@pytest.mark.parametrize("name", LOOPS)
def test_nothing_differs_from_what_is_recorded_at_once(name, options):
    loop, _ = LOOPS[name]
    assert facts(run(loop, None, **options)[0]) == facts(run(loop, None, at_once=True, **options)[0])


def _in_another_thread(work):
    def after(model, *_):
        thread = threading.Thread(target=work, args=[model])
        thread.start()
        thread.join()

    return train(after=after)


@pytest.mark.parametrize(
    "work",
    [
        lambda model: nets.loss_of(model).backward(),
        lambda model: nn.utils.clip_grad_norm_(model.parameters(), 1e-3),
        lambda model: [p.grad.zero_() for p in model.parameters()],
        lambda model: [p.grad.numpy().fill(0.0) for p in model.parameters()],
    ],
    ids=["trains", "clips", "sets to zero", "writes"],
)
def test_another_thread_changes_the_gradients(work):
    loop, copier = _in_another_thread(work), Copier()
    recording, repeats = run(loop, copier)
    _check(recording, copier)
    assert repeats == 3


def test_parameters_frozen_and_thawed_do_not_pile_up():
    model = nets.net(1)
    with viz.record(model) as recording:
        for k in range(12):
            recording._replay()
            model.stem.requires_grad_(k % 2 == 0)
            nets.loss_of(model).backward()
    assert len(recording.trace.leaves) <= 13 + 2  # x, twelve parameters, and two as they were in the step before


def test_recordings_side_by_side_and_in_one_another():
    plain = facts(run(LOOPS["multiplied"][0], None)[0])
    tg.manual_seed(3)
    with viz.record() as outer, viz.record(every=2), viz.record(details=True) as inner:
        LOOPS["multiplied"][0](lambda: None, outer)
    assert facts(outer) == plain and len(inner.steps) == 5
    tg.manual_seed(3)
    with viz.record() as outer:

        def within(seen, recording):
            with viz.record():
                LOOPS["multiplied"][0](seen, recording)

        within(lambda: None, outer)
    assert facts(outer) == plain


def test_a_recording_may_be_saved_in_the_middle(tmp_path):
    saved = []

    def save(model, x, loss, recording):
        saved.append(facts(type(recording).load(recording.save(tmp_path / "run"))))
        for parameter in model.parameters():
            parameter.grad.fill_(3.0)

    recording, _ = run(train(after=save), None)
    with_parameters = facts(type(recording).load(recording.save(tmp_path / "run")))
    assert len(saved) == 5 and _without_parameters(saved[-1]) == _without_parameters(with_parameters)


def _without_parameters(facts):
    return re.sub(r"\(Statistics\([^()]*\)(, 'float32', (None|Statistics\([^()]*\)), True,)", r"(\1", facts)


@pytest.mark.parametrize("options", [{}, {"details": True}, {"every": 2}], ids=str)
def test_arrays_of_one_step_are_kept_and_none_after_the_recording(options):
    """A gradient that its parameter no longer has lives until the next step is through, and no longer than `with`."""
    model = nets.net(1)
    x, y = nets.data()
    gradients, outputs = [], []
    with viz.record(model, **options):
        for _ in range(7):
            gradients.append([])
            z = model.stem(x)
            outputs.append(weakref.ref(z._data))
            nn.CrossEntropyLoss()(model.head(model.blocks(z)), y).backward()
            for parameter in model.parameters():
                gradients[-1].append(weakref.ref(parameter.grad._data))
                parameter.grad = None
            del z
            for earlier in gradients[:-1]:
                assert not any(one() is not None for one in earlier)
            assert not any(one() is not None for one in outputs[:-1])
    assert not any(one() is not None for some in gradients for one in some)
    assert not any(one() is not None for one in outputs)


def test_parameters_are_those_at_the_end_of_the_recording():
    """Nothing holds their memory then: who changes it later need not tell anybody."""
    model = nets.net(1)
    with viz.record(model) as recording:
        nets.loss_of(model).backward()
    before = [measure(parameter._data.copy()) for parameter in model.parameters()]
    memory = [weakref.ref(parameter._data) for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.detach().fill_(9.0)
    leaves = {leaf.name: leaf.activation for leaf in recording.trace.leaves if leaf.is_parameter}
    assert [leaves[name] for name, _ in model.named_parameters()] == before
    for parameter in model.parameters():
        parameter.data = np.ones(parameter.shape, np.float32)
    assert not any(one() is not None for one in memory)
