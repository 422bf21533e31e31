"""Running sums along an axis; see `kernels/scan.py`."""

import numpy as np


def running_sums(x, from_end):
    """y_i = Σ_{j≤i} x_j along the middle axis; Σ_{j≥i} with `from_end`"""
    order = slice(None, None, -1 if from_end else 1)
    sums = np.cumsum(x[:, order], 1, dtype=np.float64)[:, order]
    return np.ascontiguousarray(sums, x.dtype)
