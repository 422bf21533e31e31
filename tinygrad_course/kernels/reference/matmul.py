"""Products of matrices; see `kernels/matmul.py`."""


def matmul(a, b, bias=None):
    """c_ij = Σ_k a_ik b_kj + bias_j"""
    return a @ b if bias is None else a @ b + bias
