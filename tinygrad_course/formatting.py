"""How a tensor prints: as PyTorch prints it."""

import numpy as np


def format_tensor(tensor):
    """`tensor([1., 2.], requires_grad=True)`."""
    array = tensor._data
    prefix = "tensor("
    if array.size == 0:
        text = "[]"
    else:
        with np.printoptions(precision=4, threshold=1000, edgeitems=3, linewidth=80 - len(prefix), floatmode="maxprec_equal"):
            text = np.array2string(array, separator=", ", prefix=prefix, formatter=_formatter(array))
    parts = [text]
    if array.size == 0 and array.shape != (0,):
        parts.append(f"size={array.shape}")
    if array.dtype not in (np.float32, np.int64, np.bool_):
        parts.append(f"dtype={array.dtype}")
    if tensor.node is not None:
        parts.append(f"grad_fn=<{type(tensor.node).__name__}>")
    elif tensor._requires_grad:
        parts.append("requires_grad=True")
    return prefix + ", ".join(parts) + ")"


def _formatter(array):
    """Four digits after the point for all; none if every number is whole; an exponent where sizes differ widely."""
    if array.dtype.kind != "f":
        return None
    sizes = np.abs(array[np.isfinite(array) & (array != 0)])
    low, high = (sizes.min(), sizes.max()) if sizes.size else (1.0, 1.0)
    whole = bool((sizes == np.round(sizes)).all())
    if whole and high < 1e8:
        style = "{:.0f}."
    elif high / low > 1000 or high > 1e8 or low < 1e-4:
        style = "{:.4e}"
    else:
        style = "{:.4f}"

    def text(value):
        return style.format(value) if np.isfinite(value) else str(float(value))

    width = max(len(text(v)) for v in array.flat) if array.size <= 1000 else 0
    return {"float_kind": lambda value: text(value).rjust(width)}
