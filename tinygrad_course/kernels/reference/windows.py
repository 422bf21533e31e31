"""Where a window's tap meets the image: what convolution and pooling have in common."""


def taps(kernel, stride, before, dilation, inputs, outputs):
    """Of each tap (u, v): u, v, the outputs that it has a pixel for, and these pixels; both as indices of images.

    Output (i, j) looks at pixel (i·s − before + u·d, j·s − before + v·d); where that lies outside of the image,
    there is nothing to add. All arguments are pairs (height, width).
    """
    rows, columns = zip(kernel, stride, before, dilation, inputs, outputs)
    for u in range(kernel[0]):
        for v in range(kernel[1]):
            out_rows, in_rows = _meeting(u, *rows)
            out_columns, in_columns = _meeting(v, *columns)
            yield u, v, (..., out_rows, out_columns), (..., in_rows, in_columns)


def _meeting(tap, kernel, stride, before, dilation, inputs, outputs):
    """The same along one axis: outputs first … last and inputs origin + stride · (first … last)."""
    origin = tap * dilation - before
    first = max(0, -(origin // stride))
    last = max(first, min(outputs, (inputs - 1 - origin) // stride + 1))
    start = origin + first * stride
    return slice(first, last), slice(start, start + (last - first) * stride, stride)
