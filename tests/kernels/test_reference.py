"""Every public kernel, compiled, against the plain NumPy of `kernels/reference`: one row a function."""

import inspect

import numpy as np
import pytest

from tinygrad_course import kernels

pytest.importorskip("numba")

TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
SPECIALS = [np.nan, np.inf, -np.inf]
IGNORED = -100


class Arrays:
    """Random arrays for a row's arguments."""

    def __init__(self, dtype, specials=False, batch=3):
        self.random = np.random.default_rng(0)
        self.dtype, self.specials, self.batch = dtype, specials, batch

    def plain(self, *shape):
        return self.random.standard_normal(shape).astype(self.dtype)

    def positive(self, *shape):
        return np.abs(self.plain(*shape)) + self.dtype(0.1)

    def __call__(self, *shape):
        """Numbers, with NaN and inf among them if this run asks for it."""
        array = self.plain(*shape)
        if self.specials and array.size:
            spots = self.random.choice(array.size, min(3, array.size), replace=False)
            array.reshape(-1)[spots] = SPECIALS[: len(spots)]
        return array

    def targets(self, classes, *shape):
        target = self.random.integers(0, classes, shape)
        target[self.random.random(shape) < 0.2] = IGNORED
        return target


def _cross_entropy_backward(a, weight, smoothing):
    logits, target = a(a.batch, 5, 7), a.targets(5, a.batch, 7)
    losses, log_normalizer = kernels.module("loss", "numpy").cross_entropy_forward(logits, target, weight, -100, 0)
    return a.plain(a.batch, 7), logits, target, log_normalizer, weight, IGNORED, smoothing


def _max_pool_backward(a):
    x = a(a.batch, 4, 9, 11)
    _, index = kernels.module("pool", "numpy").max_pool2d_forward(x, *WINDOWS[0], (1, 1), WINDOWS[1])
    return a(*index.shape), index, x.shape


def _band(a, before, after):
    first = np.sort(a.random.integers(0, before, after))
    return first, np.minimum(a.random.integers(0, 4, after), before - first), a.plain(after, 3)


def _adam(a, **changed):
    shape = (a.batch, 70)
    options = dict(step=3, lr=0.01, beta1=0.9, beta2=0.99, eps=1e-8, weight_decay=0.1, decoupled=False, maximize=False)
    peak = [a.positive(*shape)] if changed.pop("amsgrad", False) else None
    lists = [a.plain(*shape)], [a(*shape)], [a.plain(*shape)], [a.positive(*shape)]
    return *lists, peak, *(options | changed).values()


GEOMETRIES = [  # stride, padding, dilation, groups; the output's size of a 9 x 11 image under a 3 x 2 kernel
    (((1, 1), ((1, 1), (0, 1)), (1, 1), 1), (9, 11)),
    (((2, 1), ((1, 2), (2, 0)), (2, 3), 2), (4, 10)),
    (((1, 2), ((1, 1), (1, 1)), (1, 1), 4), (9, 6)),
]
WINDOWS = ((3, 2), (2, 1), (1, 1)), (5, 12)  # (kernel, stride, padding), and the output's size of a 9 x 11 image

ACTIVATIONS = {  # name: the numbers that it takes beside x
    "relu": (), "hardtanh": (-1.0, 0.5), "leaky_relu": (0.1,), "tanh": (), "sigmoid": (), "silu": (1.5,),
    "elu": (1.2, 1.1, 0.9), "softplus": (2.0, 3.0), "gelu": (), "tanh_gelu": (), "erf": (), "exp": (),
}  # fmt: skip

# family: {function: [arguments, made by a function of Arrays]}
TABLE = {
    "activation": {
        name: [
            lambda a, numbers=numbers: (a(a.batch, 70), *numbers),
            lambda a, numbers=numbers: (a(1), *numbers),
            lambda a, numbers=numbers: (a(a.batch, 0, 2), *numbers),
        ]
        for name, numbers in ACTIVATIONS.items()
    }
    | {
        f"{name}_backward": [
            lambda a, numbers=numbers: (a(a.batch, 70), a(a.batch, 70), *numbers),
            lambda a, numbers=numbers: (a(0), a(0), *numbers),
        ]
        for name, numbers in ACTIVATIONS.items()
        if name not in ("erf", "exp")
    }
    | {
        "keep": [lambda a: (a(a.batch, 70), a.plain(a.batch, 70) > 0, -1.0)],
        "choose": [lambda a: (a(a.batch, 70), a.plain(a.batch, 70) > 0, a(a.batch, 70))],
    },
    "arithmetic": {
        name: [
            lambda a: (a(a.batch, 300), a(a.batch, 300)),
            lambda a: (a(a.batch, 300), a.positive(300)),
            lambda a: (a.positive(2, 1, 1), a.positive(a.batch, 2, 100, 1)),
            lambda a: (a.positive(), a.positive(a.batch, 0)),
        ]
        for name in ("add", "subtract", "multiply", "divide")
    }
    | {
        "fill": [
            lambda a: (a(a.batch, 300), a.plain(300) > 0, 1.5),
            lambda a: (a(a.batch, 0), a.plain(a.batch, 1) > 0, 1.5),
        ],
    },
    "arrange": {
        "copy_into": [
            lambda a: (a(a.batch, 70), a(a.batch, 70)),
            lambda a: (a(a.batch, 0), a(a.batch, 0)),
        ],
    },
    "conv": {
        "conv2d_forward": [
            lambda a, how=how, bias=bias: (
                a(a.batch, 4, 9, 11), a.plain(8, 4 // how[3], 3, 2), a.plain(8) if bias else None, *how,
            )
            for bias, (how, _) in enumerate(GEOMETRIES)
        ]
        + [lambda a: (a(a.batch, 4, 9, 11), a.plain(8, 4, 3, 2), a.plain(8), *GEOMETRIES[0][0], True)],
        "conv2d_input_grad": [
            lambda a, how=how, size=size: (
                a(a.batch, 8, *size), a.plain(8, 4 // how[3], 3, 2), (a.batch, 4, 9, 11), *how,
            )
            for how, size in GEOMETRIES
        ],
        "conv2d_weight_grad": [
            lambda a, how=how, size=size: (
                a.plain(a.batch, 8, *size), a(a.batch, 4, 9, 11), (8, 4 // how[3], 3, 2), *how,
            )
            for how, size in GEOMETRIES
        ],
        "bias_grad": [lambda a: (a(a.batch, 5, 9, 11),), lambda a: (a(a.batch, 5),), lambda a: (a(0, 5, 2, 2),)],
    },
    "group_norm": {
        "group_norm_forward": [
            lambda a: (a(a.batch, 3, 2, 7), a.plain(3, 2), a.plain(3, 2), 1e-5),
            lambda a: (a(a.batch, 1, 30, 1), None, None, 1e-3),
            lambda a: (a(0, 1, 30, 1), None, None, 1e-3),
        ],
        "group_norm_backward": [
            lambda a: (
                a(a.batch, 3, 2, 7), a(a.batch, 3, 2, 7), a.plain(3, 2), a.plain(a.batch, 3), a.positive(a.batch, 3),
            ),
            lambda a: (
                a(a.batch, 1, 30, 1), a(a.batch, 1, 30, 1), None, a.plain(a.batch, 1), a.positive(a.batch, 1),
            ),
            lambda a: (a(0, 1, 30, 1), a(0, 1, 30, 1), None, a.plain(0, 1), a.positive(0, 1)),
        ],
    },
    "matmul": {
        "matmul_batch": [
            lambda a: (a.plain(a.batch, 30, 40), a.plain(a.batch, 40, 20)),
            lambda a: (a.plain(30, 40), a.plain(2, a.batch, 40, 20)),
            lambda a: (a.plain(a.batch, 0, 4), a.plain(a.batch, 4, 2)),
        ],
        "matmul": [
            lambda a: (a(a.batch, 30), a.plain(30, 20), a.plain(20)),
            lambda a: (a(a.batch, 30), a.plain(30, 20)),
            lambda a: (a(0, 30), a.plain(30, 20), a.plain(20)),
        ],
    },
    "scan": {
        "running_sums": [
            lambda a: (a(2, a.batch, 70), False),
            lambda a: (a(a.batch, 70, 1), True),
            lambda a: (a(a.batch, 0, 1), True),
        ],
    },
    "softmax": {
        name: [lambda a: (a(a.batch, 30),), lambda a: (a(0, 4),), lambda a: (a(4, 0),)]
        for name in ("softmax", "log_softmax")
    }
    | {
        f"{name}_backward": [lambda a, f=name: (a(a.batch, 30), _run("softmax", f, "numpy", [a(a.batch, 30)])[0])]
        for name in ("softmax", "log_softmax")
    },
    "index": {
        "add_rows": [
            lambda a: (a(a.batch, 70), a.random.integers(0, 9, a.batch), 9),
            lambda a: (a(a.batch, 1), a.random.integers(0, 900, a.batch), 900),
            lambda a: (a(0, 4), a.random.integers(0, 5, 0), 5),
        ],
    },
    "reduce": {
        "sum_middle": [
            lambda a: (a(4, a.batch, 70),),
            lambda a: (a(2, a.batch, 1),),
            lambda a: (a(2, 0, a.batch),),
        ],
        "share": [
            lambda a: (a(3), np.ones(3, a.dtype), np.round(a(3, a.batch)).clip(None, 1)),
            lambda a: (a(0), a(0), a(0, 7)),
        ],
    },
    "resample": {
        "mix": [
            lambda a: (a(a.batch, 4, 9), 2, *_band(a, 9, 14)),
            lambda a: (a(a.batch, 9, 2, 5), 1, *_band(a, 9, 4)),
            lambda a: (a(0, 9, 2), 1, *_band(a, 9, 4)),
        ],
    },
    "loss": {
        "square_of_difference": [lambda a: (a(a.batch, 70), a(a.batch, 70))],
        "times_difference": [lambda a: (a(a.batch, 70), a(a.batch, 70), 1.5)],
        "huber": [lambda a: (a(a.batch, 70), a(a.batch, 70), 0.7, 1.5), lambda a: (a(0), a(0), 0.7, 1.5)],
        "huber_slope": [lambda a: (a(a.batch, 70), a(a.batch, 70), 0.7, 1.5), lambda a: (a(0), a(0), 0.7, 1.5)],
        "cross_entropy_forward": [
            lambda a: (a(a.batch, 5, 7), a.targets(5, a.batch, 7), None, IGNORED, 0.0),
            lambda a: (a(a.batch, 50, 1), a.targets(50, a.batch, 1), a.positive(50), IGNORED, 0.1),
            lambda a: (a(0, 5, 1), a.targets(5, 0, 1), None, IGNORED, 0.1),
        ],
        "cross_entropy_backward": [
            lambda a: _cross_entropy_backward(a, None, 0.0),
            lambda a: _cross_entropy_backward(a, a.positive(5), 0.1),
        ],
    },
    "norm": {
        "batch_norm_forward": [
            lambda a: (a(a.batch, 6, 70), a.plain(6), a.plain(6), 1e-5),
            lambda a: (a(a.batch, 6, 1), None, None, 1e-3),
            lambda a: (a(0, 6, 4), None, None, 1e-3),
            lambda a: (a(a.batch, 6, 70), a.plain(6), a.plain(6), 1e-5, True),
            lambda a: (a.plain(a.batch, 6, 70), None, None, 1e-5, False, (a.plain(6), a.positive(6), 0.3)),
        ],
        "normalize_with": [
            lambda a: (a(a.batch, 6, 3), None, a.plain(6), a.plain(6), a.positive(6), True),
            lambda a: (a(a.batch, 6, 70), a.plain(6), a.plain(6), a.plain(6), a.positive(6)),
            lambda a: (a(a.batch, 6, 1), None, None, a.plain(6), a.positive(6)),
        ],
        "batch_norm_backward": [
            lambda a: (a(a.batch, 6, 70), a(a.batch, 6, 70), a.plain(6), a.plain(6), a.positive(6)),
            lambda a: (a(a.batch, 6, 1), a(a.batch, 6, 1), None, a.plain(6), a.positive(6)),
            lambda a: (a(a.batch, 6, 70), a(a.batch, 6, 70), None, a.plain(6), a.positive(6), a(a.batch, 6, 70)),
            lambda a: (a(a.batch, 6, 1), a(a.batch, 6, 1), None, a.plain(6), a.positive(6), a(a.batch, 6, 1)),
        ],
        "normalize_with_backward": [
            lambda a: (a(a.batch, 6, 70), a(a.batch, 6, 70), a.plain(6), a.plain(6), a.positive(6)),
            lambda a: (a(0, 6, 3), a(0, 6, 3), None, a.plain(6), a.positive(6)),
        ],
    },
    "optim": {
        "sgd_step": [
            lambda a, options=options: ([a(a.batch, 70)], [a(a.batch, 70)], [a.plain(a.batch, 70)], 0.1, *options)
            for options in [
                (0.0, 0.0, 0.1, False, False, False),
                (0.9, 0.1, 0.0, True, False, False),
                (0.9, 0.1, 0.1, False, True, True),
            ]
        ],
        "adam_step": [
            lambda a: _adam(a),
            lambda a: _adam(a, amsgrad=True, maximize=True),
            lambda a: _adam(a, decoupled=True),
        ],
    },
    "pool": {
        "max_pool2d_forward": [
            lambda a: (a(a.batch, 4, 9, 11), *WINDOWS[0], (1, 1), WINDOWS[1]),
            lambda a: (np.round(a(a.batch, 4, 9, 11)), (2, 2), (2, 2), (0, 1), (2, 3), (4, 5)),
        ],
        "max_windows": [
            lambda a: (a(a.batch, 4, 9, 11), (np.array([0, 2, 8]), np.array([2, 9, 9])),
                       (np.array([0, 10]), np.array([11, 11]))),
            lambda a: (a(a.batch, 4, 9, 11), (np.array([], int),) * 2, (np.array([1]), np.array([3]))),
        ],
        "max_pool2d_backward": [_max_pool_backward],
        "avg_pool2d_forward": [
            lambda a: (a(a.batch, 4, 9, 11), *WINDOWS[0], WINDOWS[1], True, None),
            lambda a: (a(a.batch, 4, 9, 11), (2, 3), (2, 3), (1, 1), (5, 5), False, None),
            lambda a: (a(a.batch, 4, 9, 11), (9, 11), (1, 1), (0, 0), (1, 1), True, 7),
        ],
        "avg_pool2d_backward": [
            lambda a: (a(a.batch, 4, *WINDOWS[1]), (a.batch, 4, 9, 11), *WINDOWS[0], True, None),
            lambda a: (a(a.batch, 4, 1, 1), (a.batch, 4, 9, 11), (9, 11), (1, 1), (0, 0), True, None),
        ],
    },
}  # fmt: skip

ROWS = [
    pytest.param(family, name, make, id=f"{name}-{i}")
    for family, functions in TABLE.items()
    for name, makers in functions.items()
    for i, make in enumerate(makers)
]


DECORATORS = {"elementwise", "by_rows"}  # that make a function of a loop: (x, *others) is all that can be seen of it


def _public(module):
    return {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__
        and not name.startswith("_") and name not in DECORATORS
    }  # fmt: skip


@pytest.mark.parametrize("family", kernels.FAMILIES)
def test_both_backends_have_the_same_functions(family):
    compiled, plain = _public(kernels.module(family, "numba")), _public(kernels.module(family, "numpy"))
    assert set(compiled) == set(plain) == set(TABLE[family])
    for name in compiled:
        signature = inspect.signature(compiled[name])
        assert signature == inspect.signature(plain[name]) or "others" in signature.parameters


def _run(family, name, backend, arguments, dtype=None):
    """The arrays that come out, returned or changed in place, of a run on copies of the arguments."""
    def copied(argument):
        if isinstance(argument, list):
            return [copied(part) for part in argument]
        if not isinstance(argument, np.ndarray):
            return argument
        return argument.astype(dtype) if argument.dtype.kind == "f" and dtype else argument.copy()

    arguments = [copied(argument) for argument in arguments]
    with np.errstate(all="ignore"):
        result = getattr(kernels.module(family, backend), name)(*arguments)
    parts = [part for argument in arguments for part in (argument if isinstance(argument, list) else [argument])]
    changed = [part for part in parts if isinstance(part, np.ndarray)]
    return (*(result if isinstance(result, tuple) else (() if result is None else (result,))), *changed)


def _same(actual, exact, dtype):
    assert actual.shape == exact.shape and actual.flags.c_contiguous
    if exact.dtype.kind != "f":
        np.testing.assert_array_equal(actual, exact)
        return
    finite = np.isfinite(exact)
    scale = max(1.0, np.abs(exact[finite]).max(initial=0))
    np.testing.assert_allclose(actual, exact, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("values", ["numbers", "specials", "many"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("family, name, make", ROWS)
def test_compiled_equals_reference(family, name, make, dtype, values):
    """Both against the reference in double precision: the same numbers, the same NaN and inf in the same places."""
    arrays = Arrays(np.dtype(dtype).type, values == "specials", batch=1000 if values == "many" else 3)
    arguments = make(arrays)
    exact = _run(family, name, "numpy", arguments, "float64")
    types = [a.dtype for a in _run(family, name, "numpy", arguments, dtype)]
    for backend in kernels.BACKENDS:
        outputs = _run(family, name, backend, arguments, dtype)
        assert [a.dtype for a in outputs] == types
        for actual, expected in zip(outputs, exact, strict=True):
            if name == "batch_norm_forward":  # the mean of numbers with inf among them may be inf or NaN
                actual = np.where(np.isinf(actual), np.nan, actual)
                expected = np.where(np.isinf(expected), np.nan, expected)
            _same(actual, expected, dtype)
