"""Products of matrices; see `kernels/matmul.py`."""

import numpy as np


def matmul(a, b, bias=None):
    """c_ij = Σ_k a_ik b_kj + bias_j"""
    return a @ b if bias is None else a @ b + bias


def matmul_batch(a, b):
    """c = a b for each matrix of the batch"""
    return np.matmul(a, b)
