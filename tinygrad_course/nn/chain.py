"""Modules one after the other, with ReLUs that cost nothing."""

from ..modes import thread
from .activation import ReLU
from .conv import Conv1d, Conv2d
from .norm import BatchNorm1d, BatchNorm2d

_WITH_RELU = {Conv1d, Conv2d, BatchNorm1d, BatchNorm2d}  # their forward(x, relu=True) gives max(y, 0)


def chain(x, *modules):
    """Run modules one after the other: chain(x, conv, norm, relu) is relu(norm(conv(x))).

    A convolution or a batch norm that a ReLU follows does its work on the way, while the numbers are at hand. What
    lies between the two is then nowhere to be seen; so where somebody might look, at a hook of either module or as an
    `Observer` of the tape, each runs by itself. The results are the same to the last bit.
    """
    done = False
    for module, follower in zip(modules, (*modules[1:], None)):
        if done:
            x, done = module(x, done=True), False
        elif type(follower) is ReLU and type(module) in _WITH_RELU and _unseen(module) and _unseen(follower):
            x, done = module(x, relu=True), True
        else:
            x = module(x)
    return x


def _unseen(module):
    """Whether what the module makes is seen by nobody but the next one, and is made as its class says."""
    return module._module_hooks is None and "forward" not in vars(module) and not thread.state.observers
