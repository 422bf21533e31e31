"""How a tensor prints: as PyTorch prints it, rule for rule."""

import numpy as np

LINE, EDGE, WHOLE = 80, 3, 1000  # characters a line; with more than 1000 numbers only 3 at each end are shown
PREFIX = "tensor("
# What PyTorch calls an operation where our class has another name.
TORCH_NAMES = {
    "Cast": "ToCopy", "Concatenate": "Cat", "Conv2d": "Convolution", "GetItem": "Index",
    "Linear": "Addmm", "MatMul": "Mm", "ReLU": "Relu", "Reshape": "View",
}  # fmt: skip


def format_tensor(tensor):
    """`tensor([1., 2.], requires_grad=True)`."""
    array = tensor._data
    shown = array if array.size <= WHOLE else _ends(array)
    text = "[]"
    if array.size:
        text = _nested(array, *_formatter(shown.ravel().tolist(), array.dtype.kind), len(PREFIX), array.size > WHOLE)
    suffixes = []
    if not array.size and array.ndim != 1:
        suffixes.append(f"size={array.shape}")
    if array.dtype not in (np.float32, *([np.int64, np.bool_] if array.size else [])):
        suffixes.append(f"dtype={array.dtype}")
    if tensor.node is not None:
        name = type(tensor.node).__name__
        suffixes.append(f"grad_fn=<{TORCH_NAMES.get(name, name)}Backward0>")
    elif tensor._requires_grad:
        suffixes.append("requires_grad=True")
    text = PREFIX + text
    last_line = len(text) - (text.rfind("\n") + 1) + 2
    for suffix in suffixes:
        breaks = last_line + len(suffix) + 2 > LINE
        text += (",\n" + " " * len(PREFIX) if breaks else ", ") + suffix
        last_line = len(PREFIX) + len(suffix) if breaks else last_line + len(suffix) + 2
    return text + ")"


def _ends(array):
    """The numbers that are shown of a large array."""
    for axis, size in enumerate(array.shape):
        if size > 2 * EDGE:
            array = np.take(array, [*range(EDGE), *range(size - EDGE, size)], axis)
    return array


def _formatter(numbers, kind):
    """A function from a number to its text, in one width and style for all, and the width.

    Four digits after the point; none if every number is whole; an exponent where sizes differ widely. Zeros, nan
    and inf have no say in style and width.
    """
    if kind != "f":
        width = max(len(str(v)) for v in numbers)
        return lambda v: str(v).rjust(width), width
    sizes = [abs(v) for v in numbers if v != 0 and np.isfinite(v)]
    whole = all(v == int(v) for v in sizes)
    low, high = (min(sizes), max(sizes)) if sizes else (1, 1)
    if high / low > 1000 or high > 1e8 or (low < 1e-4 and not whole):
        style = "{:.4e}"
    else:
        style = "{:.0f}." if whole else "{:.4f}"
    width = max((len(style.format(v)) for v in numbers if v != 0 and np.isfinite(v)), default=1)
    return lambda v: (style.format(v) if np.isfinite(v) else str(v)).rjust(width), width


def _nested(array, text, width, indent, cut):
    """An array as nested brackets, `indent` characters from the left; `cut`: only its ends."""
    if array.ndim == 0:
        return text(array.item())
    size = len(array)
    cut_here = cut and size > 2 * EDGE
    places = [*range(EDGE), None, *range(size - EDGE, size)] if cut_here else range(size)
    if array.ndim == 1:
        words = [" ..." if i is None else text(array[i].item()) for i in places]
        each = max(1, (LINE - indent) // (width + 2))
        lines = [", ".join(words[i : i + each]) for i in range(0, len(words), each)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = ["..." if i is None else _nested(array[i], text, width, indent + 1, cut) for i in places]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"
