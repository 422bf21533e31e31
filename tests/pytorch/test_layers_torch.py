"""Activations, norms, dropout and embedding on PyTorch's own sample inputs: values, gradients, and their gradients."""

import sys
import types
import unittest
import warnings

import numpy as np
import pytest

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
if "expecttest" not in sys.modules:  # PyTorch's tables import it, for its TestCase alone
    try:
        import expecttest  # noqa: F401
    except ImportError:
        sys.modules["expecttest"] = types.ModuleType("expecttest")
        sys.modules["expecttest"].TestCase = unittest.TestCase
try:
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import ModuleErrorEnum, module_db
except ImportError as error:  # PyTorch's own test requirements
    pytest.skip(f"PyTorch's sample inputs: {error}", allow_module_level=True)

FUNCTIONS = """
    relu relu6 leaky_relu prelu elu selu celu gelu silu mish softplus softsign softmin hardtanh hardsigmoid
    hardswish hardshrink softshrink tanhshrink threshold logsigmoid glu rrelu batch_norm layer_norm group_norm
    instance_norm rms_norm local_response_norm normalize embedding dropout dropout2d dropout3d alpha_dropout
    feature_alpha_dropout
"""
MODULES = """
    ReLU ReLU6 LeakyReLU PReLU ELU SELU CELU GELU SiLU Mish Softplus Softsign Softmin Softmax Softmax2d LogSoftmax
    Hardtanh Hardsigmoid Hardswish Hardshrink Softshrink Tanhshrink Threshold LogSigmoid GLU Sigmoid Tanh RReLU
    BatchNorm1d BatchNorm2d LayerNorm InstanceNorm1d InstanceNorm2d GroupNorm RMSNorm LocalResponseNorm Embedding
    Dropout Dropout2d AlphaDropout FeatureAlphaDropout
"""
RANDOM = ("dropout", "rrelu", "Dropout", "RReLU")  # names that say so, when they are in training


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dropout2d of 3 dimensions, softmax without dim: on either side
        yield


def ours_of(value):
    if isinstance(value, torch.Tensor):
        return tg.tensor(value.detach().numpy(), requires_grad=value.requires_grad)
    if isinstance(value, torch.dtype):
        return getattr(np, str(value).split(".")[1])
    if isinstance(value, dict):
        return {name: ours_of(v) for name, v in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return type(value)(map(ours_of, value))
    return tuple(value) if isinstance(value, torch.Size) else value


def leaves_of(values, kind):
    if isinstance(values, kind):
        return [values] if values.requires_grad else []
    if isinstance(values, dict):
        values = list(values.values())
    return [leaf for v in values for leaf in leaves_of(v, kind)] if isinstance(values, list | tuple) else []


def close(found, expected, context, tolerance=1e-10):
    assert tuple(found.shape) == tuple(expected.shape), context
    assert str(found.dtype) == str(expected.dtype).removeprefix("torch."), context
    expected = expected.detach().numpy()
    np.testing.assert_allclose(found.data, expected, rtol=tolerance, atol=tolerance, err_msg=context)


def agree(found, expected, mine, yours, context, second=True):
    """The values, the gradients of a random weighing of them, and the gradients of that, agree."""
    close(found, expected, context)
    assert found.requires_grad == expected.requires_grad, context
    if not expected.requires_grad:
        return
    draw = np.random.default_rng(0)
    v = draw.standard_normal(tuple(expected.shape))
    v_mine, v_yours = tg.tensor(v, requires_grad=True), torch.tensor(v, requires_grad=True)
    first = tg.grad(found, mine, v_mine, create_graph=True, allow_unused=True)
    wanted = torch.autograd.grad(expected, yours, v_yours, create_graph=True, allow_unused=True)
    for a, b in zip(first, wanted, strict=True):
        if b is not None:
            close(a, b, "gradient of " + context)
    found.backward(v_mine.detach(), retain_graph=True)  # the other backward: on arrays
    for leaf, b in zip(mine, wanted, strict=True):
        if b is not None:
            close(leaf.grad, b, "backward of " + context)
    if not second:
        return
    w = [draw.standard_normal(tuple(leaf.shape)) for leaf in yours]
    twice = []
    for gradients, leaves, make, grad in (
        (first, [*mine, v_mine], tg.tensor, tg.grad), (wanted, [*yours, v_yours], torch.tensor, torch.autograd.grad),
    ):  # fmt: skip
        pairs = [(g, make(np.asarray(a))) for g, a in zip(gradients, w, strict=True)
                 if g is not None and g.requires_grad]  # fmt: skip
        twice.append(grad([g for g, _ in pairs], leaves, [a for _, a in pairs], allow_unused=True))
    for a, b, leaf in zip(*twice, [*mine, v_mine], strict=True):
        a = np.zeros(leaf.shape) if a is None else a.data
        b = np.zeros(leaf.shape) if b is None else b.detach().numpy()
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg="second gradient of " + context)


def is_random(name, training, p):
    return any(r in name for r in RANDOM) and training and p not in (0, 1)


@pytest.mark.parametrize("op", [
    pytest.param(op, id=f"{op.name} {op.variant_test_name}".strip()) for op in op_db
    if op.name.removeprefix("nn.functional.") in (*FUNCTIONS.split(), "softmax", "log_softmax")
    and op.variant_test_name != "complex"
])  # fmt: skip
def test_functions_on_pytorchs_samples(op):
    name, count = op.name.removeprefix("nn.functional."), 0
    for sample in op.sample_inputs("cpu", torch.float64, requires_grad=True):
        count += 1
        given = (sample.input, *sample.args)
        # PyTorch's samples of embedding begin with the weight
        function = (lambda w, i, **o: F.embedding(i, w, **o)) if name == "embedding" else getattr(F, name)
        mine, options = ours_of(given), ours_of(sample.kwargs)
        context = f"{name} {[tuple(a.shape) if isinstance(a, torch.Tensor) else a for a in given]} {sample.kwargs}"
        found, expected = function(*mine, **options), op(*given, **sample.kwargs)
        default = name in ("dropout", "dropout2d", "dropout3d")
        if is_random(name, sample.kwargs.get("training", default), sample.kwargs.get("p", 0.5)):
            assert tuple(found.shape) == tuple(expected.shape)
            continue
        agree(found, expected, leaves_of([mine, options], tg.Tensor), leaves_of([given, sample.kwargs], torch.Tensor),
              context, second=expected.numel() > 0 and name != "hardsigmoid")  # fmt: skip
        for a, b in zip(mine, given, strict=True):  # running estimates
            if isinstance(b, torch.Tensor) and not b.requires_grad:
                close(a, b, "argument of " + context)
        for keyword, value in sample.kwargs.items():
            if isinstance(value, torch.Tensor) and not value.requires_grad:
                close(options[keyword], value, f"{keyword} of {context}")
    assert count


@pytest.mark.parametrize("op", [
    pytest.param(op, id=op.name) for op in op_db
    if op.name.removeprefix("nn.functional.") in FUNCTIONS.split() and op.error_inputs_func is not None
])  # fmt: skip
def test_errors_of_functions(op):
    name = op.name.removeprefix("nn.functional.")
    for error in op.error_inputs_func(op, "cpu"):
        sample = error.sample_input
        with pytest.raises(error.error_type):
            getattr(F, name)(ours_of(sample.input), *ours_of(sample.args), **ours_of(sample.kwargs))


@pytest.mark.parametrize("op", [
    pytest.param(op, id=op.name) for op in op_db
    if op.name.removeprefix("nn.functional.") in FUNCTIONS.split() and op.supports_dtype(torch.int64, "cpu")
    and op.name.removeprefix("nn.functional.") not in ("dropout", "alpha_dropout", "local_response_norm")
])  # fmt: skip
def test_integers(op):
    name = op.name.removeprefix("nn.functional.")
    for sample in op.sample_inputs("cpu", torch.int64):
        found = getattr(F, name)(ours_of(sample.input), *ours_of(sample.args), **ours_of(sample.kwargs))
        close(found, op(sample.input, *sample.args, **sample.kwargs), name, 1e-6)


SPECIAL = [-np.inf, -1e300, -800, -100, -50, -20.5, -6, -3, -2, -1, -0.5, -1e-9, -0.0, 0.0, 1e-9, 0.5, 1, 2, 3, 6, 20,
           20.5, 50, 100, 800, 1e300, np.inf, np.nan]  # fmt: skip
KINKS = [
    ("relu", ()), ("relu6", ()), ("leaky_relu", (0.1,)), ("leaky_relu", (-0.5,)), ("elu", ()), ("elu", (0.5,)),
    ("selu", ()), ("celu", ()), ("celu", (2.0,)), ("gelu", ()), ("gelu tanh", ()), ("silu", ()), ("mish", ()),
    ("softplus", ()), ("softplus", (2, 1.1)), ("softsign", ()), ("hardtanh", ()), ("hardtanh", (-2.0, 0.5)),
    ("hardsigmoid", ()), ("hardswish", ()), ("hardshrink", ()), ("hardshrink", (0.0,)), ("softshrink", ()),
    ("softshrink", (1.0,)), ("tanhshrink", ()), ("threshold", (0.5, 3.0)), ("logsigmoid", ()), ("rrelu", ()),
    ("tanh", ()), ("sigmoid", ()),
]  # fmt: skip


@pytest.mark.parametrize("name, arguments", KINKS)
def test_kinks_and_limits(name, arguments):
    """Values and first gradients at kinks, zeros of both signs, infinities and NaN."""
    name, *approximate = name.split()
    options = {"approximate": "tanh"} if approximate else {}
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        if name == "gelu" and dtype == torch.float32:
            continue  # PyTorch's is right to 4 digits there, and at ∞ it depends on how many numbers there are
        x = torch.tensor(SPECIAL, dtype=torch.float64).to(dtype).requires_grad_()
        mine = ours_of(x)
        expected, found = getattr(torch.nn.functional, name)(x, *arguments, **options), getattr(F, name)(
            mine, *arguments, **options)  # fmt: skip
        close(found, expected, name, tolerance)
        expected.backward(torch.full_like(expected, 2))
        found.backward(tg.full(found.shape, 2.0))
        close(mine.grad, x.grad, "gradient of " + name, tolerance)


@pytest.mark.parametrize("name, arguments", [k for k in KINKS if k[0] not in ("hardsigmoid",)])
def test_second_gradients_at_kinks(name, arguments):
    name, *approximate = name.split()
    options = {"approximate": "tanh"} if approximate else {}
    x = torch.tensor([v for v in SPECIAL if abs(v) <= 100], dtype=torch.float64, requires_grad=True)
    mine = ours_of(x)
    agree(getattr(F, name)(mine, *arguments, **options), getattr(torch.nn.functional, name)(x, *arguments, **options),
          [mine], [x], name)  # fmt: skip


# ------------------------------------------------------------------------------------- layers


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("info", [
    pytest.param(i, id=i.name) for i in module_db if i.module_cls.__name__ in MODULES.split()
])  # fmt: skip
def test_layers_on_pytorchs_samples(info, training):
    name = info.module_cls.__name__
    inputs = info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=training)
    for sample in inputs:
        built, given = sample.constructor_input, sample.forward_input
        theirs = info.module_cls(*built.args, **built.kwargs).double().train(training)
        mine = getattr(nn, name)(*ours_of(built.args), **ours_of(built.kwargs)).double().train(training)
        assert repr(mine) == without_bias(repr(theirs))
        draw = np.random.default_rng(0)
        with torch.no_grad():
            for parameter in theirs.parameters():
                parameter += torch.tensor(draw.normal(size=parameter.shape) / 4)
        mine.load_state_dict({k: tg.tensor(v.detach().numpy()) for k, v in theirs.state_dict().items()})
        arguments = ours_of(given.args)
        found, expected = mine(*arguments, **ours_of(given.kwargs)), theirs(*given.args, **given.kwargs)
        if is_random(name, training, built.kwargs.get("p", 0.5)):
            assert tuple(found.shape) == tuple(expected.shape)
            continue
        agree(found, expected, [*leaves_of(arguments, tg.Tensor), *mine.parameters()],
              [*leaves_of(given.args, torch.Tensor), *theirs.parameters()], f"{theirs} {sample.desc}",
              second=name != "Hardsigmoid")  # fmt: skip
        for key, value in theirs.state_dict().items():
            close(mine.state_dict()[key], value, f"{key} of {theirs}")


def without_bias(text):
    """A printed norm as the lectures' PyTorch prints it: 2.13 adds `bias=True`."""
    for had in ("affine=True, bias=True", "affine=False, bias=False"):
        text = text.replace(had, had.partition(",")[0])
    return text


@pytest.mark.parametrize("info", [
    pytest.param(i, id=i.name) for i in module_db
    if i.module_cls.__name__ in MODULES.split() and i.module_error_inputs_func is not None
])  # fmt: skip
def test_errors_of_layers(info):
    for training in (True, False):
        for error in info.module_error_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=False, training=training
        ):
            built, given = error.module_error_input.constructor_input, error.module_error_input.forward_input
            if built.kwargs.get("eps") == 0:
                continue  # the identities of batch norm are exact there, so it stays allowed
            make = lambda b=built: getattr(nn, info.module_cls.__name__)(*ours_of(b.args), **ours_of(b.kwargs))  # noqa: E731
            with pytest.raises(error.error_type):
                if error.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR:
                    make()
                else:
                    layer = make().double().train(training)
                    layer(*ours_of(given.args), **ours_of(given.kwargs))


BATCH_NORMS = [
    dict(), dict(momentum=None), dict(momentum=0.3), dict(affine=False), dict(track_running_stats=False),
    dict(bias=False), dict(eps=0.1, affine=False, track_running_stats=False), dict(affine=False, momentum=None),
]  # fmt: skip


@pytest.mark.parametrize("options", BATCH_NORMS, ids=str)
@pytest.mark.parametrize("name, shape", [("BatchNorm1d", (6, 3)), ("BatchNorm1d", (4, 3, 5)),
                                         ("BatchNorm2d", (2, 3, 4, 5)), ("InstanceNorm1d", (4, 3, 5)),
                                         ("InstanceNorm1d", (3, 5)),
                                         ("InstanceNorm2d", (2, 3, 4, 5)), ("InstanceNorm2d", (3, 4, 5))])  # fmt: skip
def test_norms_over_several_steps(name, shape, options):
    """Three steps of training and one of evaluation: outputs, running estimates, gradients of both orders."""
    options = {"affine": True, "track_running_stats": True, **options}
    theirs, mine = (getattr(modules, name)(3, **options).double() for modules in (torch.nn, nn))
    draw = np.random.default_rng(1)
    state = {k: draw.uniform(0.5, 2, v.shape) for k, v in theirs.state_dict().items() if v.dtype == torch.float64}
    theirs.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)
    mine.load_state_dict({k: tg.tensor(v) for k, v in state.items()}, strict=False)
    for step in range(4):
        theirs.train(step < 3)
        mine.train(step < 3)
        x = torch.tensor(draw.normal(3, 2, shape), requires_grad=True)
        x_mine = ours_of(x)
        agree(mine(x_mine), theirs(x), [x_mine, *mine.parameters()], [x, *theirs.parameters()], f"{theirs} step {step}")
        mine.zero_grad()
        assert list(mine.state_dict()) == list(theirs.state_dict())
        for key, value in theirs.state_dict().items():
            close(mine.state_dict()[key], value, key)


EMBEDDINGS = [dict(), dict(padding_idx=1), dict(padding_idx=-1), dict(max_norm=1.0), dict(max_norm=0.7, norm_type=1.0),
              dict(scale_grad_by_freq=True), dict(padding_idx=2, scale_grad_by_freq=True, max_norm=2.0)]  # fmt: skip


@pytest.mark.parametrize("options", EMBEDDINGS, ids=str)
@pytest.mark.parametrize("indices", [[1, 2, 2, 4], [[0, 4], [2, 2]], 3, np.zeros((0, 2), int)], ids=str)
def test_embedding(indices, options):
    draw = np.random.default_rng(3)
    table = draw.normal(size=(5, 3))
    theirs = torch.nn.Embedding.from_pretrained(torch.tensor(table), freeze=False, **options)
    mine = nn.Embedding.from_pretrained(tg.tensor(table), freeze=False, **options)
    indices = np.asarray(indices)
    # PyTorch's second gradient knows no frequencies and no empty indices
    agree(mine(tg.tensor(indices)), theirs(torch.tensor(indices)), [mine.weight], [theirs.weight], str(options),
          second=indices.size > 0 and "scale_grad_by_freq" not in options)  # fmt: skip
    close(mine.weight, theirs.weight, "table")
    assert repr(mine) == repr(theirs)


def test_one_hot_agrees():
    for labels, classes in (([0, 2, 1], -1), ([[0, 2], [1, 1]], 5), (3, 4)):
        expected = torch.nn.functional.one_hot(torch.tensor(labels), classes)
        close(F.one_hot(tg.tensor(labels), classes), expected, "one_hot")


PRINTED = """
    ReLU(True) LeakyReLU(0.1,True) PReLU(3) ELU(2.0,True) SELU() CELU(1.0,True) GELU("tanh") SiLU(True) Mish()
    Softplus() Softsign() Softmin(1) Softmin() Hardtanh(-2,2,True) Hardsigmoid() Hardswish(True) Hardshrink()
    Softshrink() Tanhshrink() Threshold(0.1,20,True) LogSigmoid() GLU() Softmax() LogSoftmax(1) Softmax2d()
    RReLU(0.1,0.2,True) ReLU6(True) LayerNorm([2,3],bias=False) LayerNorm(3,elementwise_affine=False)
    InstanceNorm2d(3) GroupNorm(2,4) GroupNorm(2,4,affine=False) RMSNorm(3) LocalResponseNorm(2) Dropout(0.1)
    Dropout2d(0.2,True) AlphaDropout() Dropout1d() FeatureAlphaDropout()
    Embedding(3,4,padding_idx=1,max_norm=1.0,norm_type=1.0,scale_grad_by_freq=True)
"""


@pytest.mark.parametrize("layer", PRINTED.split())
def test_layers_print_alike(layer):
    name, _, arguments = layer.partition("(")
    for training in (True, False):
        theirs, mine = (eval(f"modules.{name}({arguments}", {"modules": m}).train(training) for m in (torch.nn, nn))
        assert repr(mine) == without_bias(repr(theirs))


FUNCTION_ERRORS = {
    "layer_norm of another shape": lambda t, f: f.layer_norm(t.zeros(2, 3), (4,)),
    "layer_norm of no dimension": lambda t, f: f.layer_norm(t.zeros(2, 3), ()),
    "layer_norm weight": lambda t, f: f.layer_norm(t.zeros(2, 3), (3,), t.zeros(4)),
    "layer_norm of integers": lambda t, f: f.layer_norm(t.zeros(2, 3, dtype=t.int64), (3,)),
    "group_norm 3 channels in 2": lambda t, f: f.group_norm(t.zeros(2, 3), 2),
    "group_norm of a vector": lambda t, f: f.group_norm(t.zeros(2), 1),
    "group_norm weight": lambda t, f: f.group_norm(t.zeros(2, 4, 2), 2, t.zeros(3)),
    "group_norm of single numbers": lambda t, f: f.group_norm(t.zeros(1, 4), 4),
    "instance_norm without space": lambda t, f: f.instance_norm(t.zeros(2, 3)),
    "instance_norm of single numbers": lambda t, f: f.instance_norm(t.zeros(2, 3, 1)),
    "instance_norm without estimates": lambda t, f: f.instance_norm(t.zeros(2, 3, 4), use_input_stats=False),
    "batch_norm of one sample": lambda t, f: f.batch_norm(t.zeros(1, 3), None, None, training=True),
    "batch_norm without estimates": lambda t, f: f.batch_norm(t.zeros(2, 3), None, None),
    "batch_norm estimates": lambda t, f: f.batch_norm(t.zeros(2, 3), t.zeros(2), t.ones(2)),
    "rms_norm of another shape": lambda t, f: f.rms_norm(t.zeros(2, 3), (2,)),
    "local_response_norm of a matrix": lambda t, f: f.local_response_norm(t.zeros(2, 3), 2),
    "embedding of floats": lambda t, f: f.embedding(t.zeros(2), t.zeros(2, 3)),
    "embedding of -1": lambda t, f: f.embedding(t.tensor([-1]), t.zeros(2, 3)),
    "embedding of 2": lambda t, f: f.embedding(t.tensor([2]), t.zeros(2, 3)),
    "embedding in a vector": lambda t, f: f.embedding(t.tensor([0]), t.zeros(2)),
    "embedding padding": lambda t, f: f.embedding(t.tensor([0]), t.zeros(2, 3), padding_idx=2),
    "glu of odd size": lambda t, f: f.glu(t.zeros(3)),
    "glu of a number": lambda t, f: f.glu(t.tensor(3.0)),
    "softshrink": lambda t, f: f.softshrink(t.zeros(3), -1),
    "celu": lambda t, f: f.celu(t.zeros(3), 0),
    "rrelu": lambda t, f: f.rrelu(t.zeros(3), 2, 1),
    "hardtanh": lambda t, f: f.hardtanh(t.zeros(3), 2, 1),
    "gelu": lambda t, f: f.gelu(t.zeros(3), approximate="x"),
    "gelu of integers": lambda t, f: f.gelu(t.tensor([1])),
    "hardtanh of bools": lambda t, f: f.hardtanh(t.tensor([True])),
    "prelu": lambda t, f: f.prelu(t.zeros(3, 4), t.zeros(3)),
    "prelu of a number": lambda t, f: f.prelu(t.tensor(1.0), t.zeros(2)),
    "dropout": lambda t, f: f.dropout(t.zeros(3), 1.5),
    "dropout1d": lambda t, f: f.dropout1d(t.zeros(3), 0.5),
    "dropout2d": lambda t, f: f.dropout2d(t.zeros(3), 0.5),
    "alpha_dropout": lambda t, f: f.alpha_dropout(t.zeros(3), -0.5),
    "softmax of another dim": lambda t, f: f.softmax(t.zeros(3), 2),
}


@pytest.mark.parametrize("name", FUNCTION_ERRORS)
def test_errors_have_pytorchs_types(name):
    with pytest.raises(Exception) as theirs:
        FUNCTION_ERRORS[name](torch, torch.nn.functional)
    with pytest.raises(Exception) as ours:
        FUNCTION_ERRORS[name](tg, F)
    assert issubclass(theirs.type, ours.type) and ours.type is not Exception, (theirs.value, ours.value)
