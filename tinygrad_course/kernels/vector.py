"""Vectors of neighbouring numbers, inside kernels: what LLVM does not find by itself in a loop.

Numba has no vector type. Each function here is a Numba *intrinsic*, a Python function that writes LLVM instructions.
Arrays are C-contiguous of any shape, indices count their numbers in memory order; nothing checks a bound.
"""

import numba
from llvmlite import ir
from numba.core import types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic


def _vector_bytes():
    """The width of the processor's vector registers; LLVM translates any width, this one runs fastest."""
    features = numba.config.CPU_FEATURES
    if features is None:
        features = get_host_cpu_features()
    enabled = features.split(",")
    if "+avx512f" in enabled:
        return 64
    return 32 if "+avx2" in enabled else 16


VECTOR_BYTES = _vector_bytes()


def address_of(context, builder, array_type, array, index):
    """A pointer to number `index` of a C-contiguous array."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def beyond(builder, pointer, count):
    """pointer + count, for a count known now."""
    return builder.gep(pointer, [ir.IntType(64)(count)])


def row_of(builder, pointer, step, r):
    """pointer + r * step, for a step known when the kernel runs."""
    return builder.gep(pointer, [builder.mul(step, ir.Constant(step.type, r))])


def vector_of(context, array_type):
    """The LLVM type of L of the array's numbers."""
    number = context.get_value_type(array_type.dtype)
    return ir.VectorType(number, VECTOR_BYTES * 8 // array_type.dtype.bitwidth)


def load_vector(builder, pointer, vector):
    """A vector from any address."""
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=4)


def store_vector(builder, value, pointer):
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=4)


def broadcast(builder, number, vector):
    """All lanes set to one number."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.IntType(32)(0))
    return shuffle(builder, first, first, [0] * vector.count)


def shuffle(builder, a, b, lane_numbers):
    """Lanes of a, counted from 0, and of b, counted on."""
    number = ir.IntType(32)
    lane_numbers = ir.Constant(ir.VectorType(number, len(lane_numbers)), [number(k) for k in lane_numbers])
    return builder.shuffle_vector(a, b, lane_numbers)


@intrinsic
def lanes(typing_context, array):
    """L: how many of `array`'s numbers fit a vector."""
    count = VECTOR_BYTES * 8 // array.dtype.bitwidth

    def generate(context, builder, signature, arguments):
        return context.get_constant(types.intp, count)

    return types.intp(array), generate


@intrinsic
def at(typing_context, numbers, i):
    """numbers[i], for i that is never counted from the end: Numba's own way asks each time."""

    def generate(context, builder, signature, arguments):
        return builder.load(address_of(context, builder, numbers, *arguments))

    return numbers.dtype(numbers, types.intp), generate


@intrinsic
def copy_vector(typing_context, source, i, target, j):
    """target[j : j + L] = source[i : i + L]"""

    def generate(context, builder, signature, arguments):
        source_value, i_value, target_value, j_value = arguments
        source_pointer = address_of(context, builder, source, source_value, i_value)
        value = load_vector(builder, source_pointer, vector_of(context, source))
        store_vector(builder, value, address_of(context, builder, target, target_value, j_value))
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), generate


@intrinsic
def spread_vector(typing_context, source, i, target, j, step):
    """target[j + k * step] = source[i + k], for k below L"""

    def generate(context, builder, signature, arguments):
        source_value, i_value, target_value, j_value, step_value = arguments
        vector = vector_of(context, source)
        value = load_vector(builder, address_of(context, builder, source, source_value, i_value), vector)
        pointer = address_of(context, builder, target, target_value, j_value)
        for k in range(vector.count):
            number = builder.extract_element(value, ir.IntType(32)(k))
            builder.store(number, row_of(builder, pointer, step_value, k))
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp, types.intp), generate


@intrinsic
def transpose(typing_context, source, i, source_step, target, j, target_step):
    """target[j + r * target_step + k] = source[i + k * source_step + r], for r and k below L."""

    def generate(context, builder, signature, arguments):
        source_value, i_value, source_step_value, target_value, j_value, target_step_value = arguments
        vector = vector_of(context, source)
        source_pointer = address_of(context, builder, source, source_value, i_value)
        target_pointer = address_of(context, builder, target, target_value, j_value)
        count = vector.count
        starts = [row_of(builder, source_pointer, source_step_value, k) for k in range(count)]
        rows = [load_vector(builder, start, vector) for start in starts]
        # Halves, quarters, ...: of each 2 x 2 blocks of this size, the two beside the diagonal change places.
        size = count // 2
        while size:
            upper = [lane + (count - size if lane & size else 0) for lane in range(count)]
            lower = [lane + (count if lane & size else size) for lane in range(count)]
            for k in range(count):
                if not k & size:
                    a, b = rows[k], rows[k + size]
                    rows[k], rows[k + size] = shuffle(builder, a, b, upper), shuffle(builder, a, b, lower)
            size //= 2
        for r in range(count):
            store_vector(builder, rows[r], row_of(builder, target_pointer, target_step_value, r))
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target, types.intp, types.intp), generate
