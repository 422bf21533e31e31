"""A tile of vector registers: what makes a convolution in Python as fast as one in C.

A processor multiplies and adds whole vectors of L numbers (16 floats with AVX-512, 8 with AVX2, 4 with SSE or
NEON), but it can load no more than one or two of them in the time of that multiplication. A loop that loads
its operands for each product therefore waits for memory. The cure: keep R x V vectors of *results* in
registers while the loop runs, so that R + V loads feed R * V multiplications.

    outer                       x[j:]        x[j+L:]      x[j+2L:]     V vectors of L neighbours
                              +------------+------------+------------+
          w[i]    broadcast   |  acc 0,0   |  acc 0,1   |  acc 0,2   |
          w[i+1]  broadcast   |  acc 1,0   |  acc 1,1   |  acc 1,2   |   acc[r, v] += w[i+r] * x[j+vL : +L]
            ...               |    ...     |    ...     |    ...     |
          w[i+R-1]            |  acc R-1,0 |  acc R-1,1 |  acc R-1,2 |
                              +------------+------------+------------+

    dots                        b[j+s[0]:]   b[j+s[1]:]   b[j+s[2]:]   V vectors, from anywhere
                              +------------+------------+------------+
          a[i:]      a vector |  acc 0,0   |  acc 0,1   |  acc 0,2   |
          a[i+step:] a vector |  acc 1,0   |  acc 1,1   |  acc 1,2   |   acc[r, v] +=
            ...               |    ...     |    ...     |    ...     |     a[i+r*step : +L] * b[j+s[v] : +L]
                              +------------+------------+------------+

`dots` multiplies lane by lane; when its loop is over, `reduce_add` sums each vector's lanes.

Numba has no vector type, so this file adds one, `Tile`, and its few operations as Numba *intrinsics*: each is
a Python function that writes LLVM instructions. A tile is a value like a number, `acc = outer(acc, ...)`, and
LLVM keeps it in registers. Arrays are C-contiguous of any shape, indices count their numbers in memory
order; nothing checks a bound.
"""

import platform

import numba
from llvmlite import ir
from numba.core import types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic, models, register_model


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

# Tile shapes, R x V: results, operands and a broadcast share 32 registers (AVX-512, ARM) or 16 (others).
_MANY_REGISTERS = VECTOR_BYTES == 64 or platform.machine() in ("arm64", "aarch64")
OUTER_ROWS, OUTER_VECTORS = (8, 3) if _MANY_REGISTERS else (4, 3)
DOTS_ROWS, DOTS_VECTORS = (4, 6) if _MANY_REGISTERS else (4, 3)

DOTS_SLOT = -(-DOTS_ROWS * DOTS_VECTORS // 16) * 16  # numbers that `reduce_add` writes, in whole vectors

_FAST = ("contract", "reassoc", "nsz")  # a product and a sum may become one instruction


class Tile(types.Type):
    """R x V vectors of L numbers."""

    def __init__(self, dtype, rows, vectors):
        self.dtype, self.rows, self.vectors = dtype, rows, vectors
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Tile({dtype}, {rows} x {vectors} x {self.lanes})")


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager, tile):
        number = manager.lookup(tile.dtype).get_value_type()
        vector = ir.VectorType(number, tile.lanes)
        super().__init__(manager, tile, ir.ArrayType(vector, tile.rows * tile.vectors))


def _address(context, builder, array_type, array, index):
    """A pointer to number `index` of a C-contiguous array."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _load(builder, pointer, vector):
    """A vector from any address: neighbours in an image start anywhere."""
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=4)


def _broadcast(builder, number, vector):
    """All lanes set to one number."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), lanes)


def _multiply_add(builder, a, b, total):
    return builder.fadd(builder.fmul(a, b, flags=_FAST), total, flags=_FAST)


def _at(builder, pointer, count):
    """pointer + count, for a count known now."""
    return builder.gep(pointer, [ir.IntType(64)(count)])


def _row(builder, pointer, step, r):
    """pointer + r * step, for a step known when the kernel runs."""
    return builder.gep(pointer, [builder.mul(step, ir.Constant(step.type, r))])


@intrinsic
def lanes(typing_context, array):
    """L: how many of `array`'s numbers fit a vector."""
    count = VECTOR_BYTES * 8 // array.dtype.bitwidth

    def generate(context, builder, signature, arguments):
        return context.get_constant(types.intp, count)

    return types.intp(array), generate


@intrinsic(prefer_literal=True)
def zeros(typing_context, array, rows, vectors):
    """A tile of zeros for `array`'s numbers; `rows` and `vectors` are constants of the program."""
    if not isinstance(rows, types.IntegerLiteral) or not isinstance(vectors, types.IntegerLiteral):
        return None
    tile = Tile(array.dtype, rows.literal_value, vectors.literal_value)

    def generate(context, builder, signature, arguments):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(array, rows, vectors), generate


@intrinsic
def outer(typing_context, tile, w, i, x, j):
    """acc[r, v] += w[i + r] * x[j + vL : j + vL + L]"""

    def generate(context, builder, signature, arguments):
        acc, w_value, i_value, x_value, j_value = arguments
        vector = acc.type.element
        w_pointer = _address(context, builder, w, w_value, i_value)
        x_pointer = _address(context, builder, x, x_value, j_value)
        columns = []
        for v in range(tile.vectors):
            columns.append(_load(builder, _at(builder, x_pointer, v * tile.lanes), vector))
        for r in range(tile.rows):
            row = _broadcast(builder, builder.load(_at(builder, w_pointer, r)), vector)
            for v in range(tile.vectors):
                k = r * tile.vectors + v
                total = _multiply_add(builder, row, columns[v], builder.extract_value(acc, k))
                acc = builder.insert_value(acc, total, k)
        return acc

    return tile(tile, w, types.intp, x, types.intp), generate


@intrinsic
def dots(typing_context, tile, a, i, step, b, j, shifts, first):
    """acc[r, v] += a[i + r * step : +L] * b[j + shifts[first + v] : +L], lane by lane"""

    def generate(context, builder, signature, arguments):
        acc, a_value, i_value, step_value, b_value, j_value, shifts_value, first_value = arguments
        vector = acc.type.element
        a_pointer = _address(context, builder, a, a_value, i_value)
        b_pointer = _address(context, builder, b, b_value, j_value)
        shift_pointer = _address(context, builder, shifts, shifts_value, first_value)
        rows = []
        for r in range(tile.rows):
            rows.append(_load(builder, _row(builder, a_pointer, step_value, r), vector))
        for v in range(tile.vectors):
            shift = builder.load(_at(builder, shift_pointer, v))
            column = _load(builder, builder.gep(b_pointer, [shift]), vector)
            for r in range(tile.rows):
                k = r * tile.vectors + v
                total = _multiply_add(builder, rows[r], column, builder.extract_value(acc, k))
                acc = builder.insert_value(acc, total, k)
        return acc

    return tile(tile, a, types.intp, types.intp, b, types.intp, shifts, types.intp), generate


@intrinsic
def store(typing_context, tile, out, i, step):
    """out[i + r * step + vL : +L] = acc[r, v]"""

    def generate(context, builder, signature, arguments):
        acc, out_value, i_value, step_value = arguments
        vector = acc.type.element
        out_pointer = _address(context, builder, out, out_value, i_value)
        for r in range(tile.rows):
            row_pointer = _row(builder, out_pointer, step_value, r)
            for v in range(tile.vectors):
                pointer = _at(builder, row_pointer, v * tile.lanes)
                value = builder.extract_value(acc, r * tile.vectors + v)
                builder.store(value, builder.bitcast(pointer, vector.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(tile, out, types.intp, types.intp), generate


def _sum_neighbours(builder, a, b):
    """The sums of neighbouring lanes: a0 + a1, a2 + a3, ..., then b's."""
    count = a.type.count
    number = ir.IntType(32)
    lane_numbers = ir.VectorType(number, count)
    evens, odds = (ir.Constant(lane_numbers, [number(2 * k + i) for k in range(count)]) for i in (0, 1))
    return builder.fadd(builder.shuffle_vector(a, b, evens), builder.shuffle_vector(a, b, odds), flags=_FAST)


@intrinsic
def reduce_add(typing_context, tile, out, i):
    """out[i + r * V + v] += the sum of acc[r, v]'s lanes; DOTS_SLOT numbers of `out` are touched."""

    def generate(context, builder, signature, arguments):
        acc, out_value, i_value = arguments
        vector = acc.type.element
        out_pointer = _address(context, builder, out, out_value, i_value)
        zero = ir.Constant(vector, None)
        for first in range(0, tile.rows * tile.vectors, tile.lanes):
            # L vectors become one, lane k the sum of vector k: log2(L) rounds, each halves how many there are
            numbers = range(first, min(first + tile.lanes, tile.rows * tile.vectors))
            level = [builder.extract_value(acc, k) for k in numbers]
            level += [zero] * (tile.lanes - len(level))
            while len(level) > 1:
                level = [_sum_neighbours(builder, *level[k : k + 2]) for k in range(0, len(level), 2)]
            pointer = builder.bitcast(_at(builder, out_pointer, first), vector.as_pointer())
            total = builder.fadd(builder.load(pointer, align=4), level[0], flags=_FAST)
            builder.store(total, pointer, align=4)
        return context.get_dummy_value()

    return types.void(tile, out, types.intp), generate


def _between(builder, begin, end, start, count):
    """The mask (begin <= start + k < end for lane k) of `count` lanes."""
    number = ir.IntType(32)
    vector = ir.VectorType(number, count)
    lane = ir.Constant(vector, [number(start + k) for k in range(count)])
    first = _broadcast(builder, builder.trunc(begin, number), vector)
    last = _broadcast(builder, builder.trunc(end, number), vector)
    return builder.and_(builder.icmp_signed(">=", lane, first), builder.icmp_signed("<", lane, last))


@intrinsic(prefer_literal=True)
def load_part(typing_context, x, j, stride, begin, end):
    """A tile of one vector: x[j + k * stride] in lanes begin <= k < end, zero, unread, in the others."""
    if not isinstance(stride, types.IntegerLiteral):
        return None
    tile, every = Tile(x.dtype, 1, 1), stride.literal_value

    def generate(context, builder, signature, arguments):
        x_value, j_value, _, begin_value, end_value = arguments
        acc_type = context.get_value_type(tile)
        vector, count = acc_type.element, tile.lanes
        mask_type = ir.VectorType(ir.IntType(1), count)
        pointer_type = vector.as_pointer()
        function_type = ir.FunctionType(vector, [pointer_type, ir.IntType(32), mask_type, vector])
        name = f"llvm.masked.load.v{count}f{tile.dtype.bitwidth}.p0"
        masked_load = builder.module.declare_intrinsic(name, fnty=function_type)
        x_pointer = _address(context, builder, x, x_value, j_value)
        # `stride` neighbouring vectors hold all that is wanted; lane k comes from number k * stride of them
        begin_value = builder.mul(begin_value, ir.Constant(begin_value.type, every))
        end_value = builder.mul(end_value, ir.Constant(end_value.type, every))
        end_value = builder.sub(end_value, ir.Constant(end_value.type, every - 1))
        zero = ir.Constant(vector, None)
        result = zero
        for part in range(every):
            pointer = builder.bitcast(_at(builder, x_pointer, part * count), pointer_type)
            mask = _between(builder, begin_value, end_value, part * count, count)
            piece = builder.call(masked_load, [pointer, ir.IntType(32)(4), mask, zero])
            if every == 1:
                result = piece
            else:
                number = ir.IntType(32)
                origin = [divmod(k * every, count) for k in range(count)]  # (which neighbour, which lane)
                pick = [number(count + lane if of == part else k) for k, (of, lane) in enumerate(origin)]
                pick = ir.Constant(ir.VectorType(number, count), pick)
                result = builder.shuffle_vector(result, piece, pick)
        return builder.insert_value(ir.Constant(acc_type, ir.Undefined), result, 0)

    return tile(x, types.intp, stride, types.intp, types.intp), generate


@intrinsic
def store_sum(typing_context, tile, number, out, i, count):
    """out[i + k] = acc[k] + number, for the first `count` lanes of a tile of one vector."""

    def generate(context, builder, signature, arguments):
        acc, number_value, out_value, i_value, count_value = arguments
        vector = acc.type.element
        mask_type = ir.VectorType(ir.IntType(1), tile.lanes)
        pointer_type = vector.as_pointer()
        function_type = ir.FunctionType(ir.VoidType(), [vector, pointer_type, ir.IntType(32), mask_type])
        name = f"llvm.masked.store.v{tile.lanes}f{tile.dtype.bitwidth}.p0"
        masked_store = builder.module.declare_intrinsic(name, fnty=function_type)
        total = builder.fadd(builder.extract_value(acc, 0), _broadcast(builder, number_value, vector))
        pointer = builder.bitcast(_address(context, builder, out, out_value, i_value), pointer_type)
        mask = _between(builder, ir.Constant(count_value.type, 0), count_value, 0, tile.lanes)
        builder.call(masked_store, [total, pointer, ir.IntType(32)(4), mask])
        return context.get_dummy_value()

    return types.void(tile, tile.dtype, out, types.intp, types.intp), generate
