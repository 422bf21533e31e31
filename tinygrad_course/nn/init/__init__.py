"""Initialization: the random numbers a network starts from. In place; each function returns its tensor.

`fill` has constants and distributions, `variance` Xavier and He, `structure` orthogonal, identity and sparse weights,
`network` what looks at the whole network: LSUV and Fixup.
"""

from .fill import constant_, normal_, ones_, trunc_normal_, uniform_, zeros_
from .network import fixup_, lsuv_
from .structure import dirac_, eye_, orthogonal_, sparse_
from .variance import (
    calculate_gain,
    fans,
    kaiming_normal_,
    kaiming_uniform_,
    xavier_normal_,
    xavier_uniform_,
)

_calculate_fan_in_and_fan_out = fans  # PyTorch's name, which many models import

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "fans", "fixup_", "kaiming_normal_", "kaiming_uniform_", "lsuv_",
    "normal_", "ones_", "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_",
    "zeros_",
]  # fmt: skip
