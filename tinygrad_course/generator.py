"""The library's one source of randomness: `manual_seed` makes every run the same to the bit.

Initializers, random tensors, dropout and shuffling all draw from it, in the order of the program. It is
NumPy's PCG64; the same seed gives other numbers than PyTorch's generator does.
"""

import numpy as np

_generator = np.random.default_rng()


def manual_seed(seed):
    """Start the library's random numbers anew from `seed` (an int ≥ 0) and return the generator."""
    _generator.bit_generator.state = type(_generator.bit_generator)(seed).state
    return _generator


def default_generator():
    """The `numpy.random.Generator` that the library draws from."""
    return _generator
