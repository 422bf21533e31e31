"""A tile of vector registers: what makes a convolution in Python as fast as one in C.

A processor multiplies and adds whole vectors of L numbers (16 floats with AVX-512, 8 with AVX2, 4 with SSE or
NEON), but it can load no more than one or two of them in the time of that multiplication. A loop that loads
its operands for each product therefore waits for memory. The cure: keep R x V vectors of *results* in
registers while the loop runs, so that R + V loads feed R * V multiplications.

                                       panel[at:]   panel[at+L:]    V vectors of L neighbours
                                     +------------+------------+
    x[places[0] + step]   broadcast  |  acc 0,0   |  acc 0,1   |
    x[places[1] + step]   broadcast  |  acc 1,0   |  acc 1,1   |    acc[r, v] +=
             ...                     |    ...     |    ...     |      x[places[r] + step] * panel[at+vL : +L]
    x[places[R-1] + step] broadcast  | acc R-1,0  | acc R-1,1  |
                                     +------------+------------+

That is `outer`, one step of the loop. The R numbers of x come from anywhere, the loop walks through x by any
steps, and `panel` is read straight on: so the pixels of a convolution need not be neighbours.

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

# Tile shape, R x V: results, V vectors and a broadcast share 32 registers (AVX-512, ARM) or 16 (others).
if VECTOR_BYTES == 64:
    ROWS, VECTORS = 8, 2
elif platform.machine() in ("arm64", "aarch64"):
    ROWS, VECTORS = 6, 4
else:
    ROWS, VECTORS = 6, 2

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


def _at(builder, pointer, count):
    """pointer + count, for a count known now."""
    return builder.gep(pointer, [ir.IntType(64)(count)])


def _row(builder, pointer, step, r):
    """pointer + r * step, for a step known when the kernel runs."""
    return builder.gep(pointer, [builder.mul(step, ir.Constant(step.type, r))])


def _vector_of(context, array_type):
    """The LLVM type of L of the array's numbers."""
    number = context.get_value_type(array_type.dtype)
    return ir.VectorType(number, VECTOR_BYTES * 8 // array_type.dtype.bitwidth)


def _load(builder, pointer, vector):
    """A vector from any address."""
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=4)


def _store(builder, value, pointer):
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=4)


def _broadcast(builder, number, vector):
    """All lanes set to one number."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.IntType(32)(0))
    return _shuffle(builder, first, first, [0] * vector.count)


def _shuffle(builder, a, b, lane_numbers):
    """Lanes of a, counted from 0, and of b, counted on."""
    number = ir.IntType(32)
    lane_numbers = ir.Constant(ir.VectorType(number, len(lane_numbers)), [number(k) for k in lane_numbers])
    return builder.shuffle_vector(a, b, lane_numbers)


def _never_unrolled(builder):
    """Empty assembly that may not be duplicated: a tile fills the registers, two steps at once would spill them."""
    nothing = builder.asm(ir.FunctionType(ir.VoidType(), []), "", "", [], side_effect=True)
    for attribute in ("convergent", "nounwind", "readnone"):
        nothing.attributes.add(attribute)


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
def like(typing_context, tile, panel, at):
    """A tile of this shape: acc[r, v] = panel[at + vL : +L], in each row the same; zeros for at < 0."""

    def generate(context, builder, signature, arguments):
        _, panel_value, at_value = arguments
        acc_type = context.get_value_type(tile)
        zero = ir.Constant(acc_type, None)
        with builder.if_else(builder.icmp_signed(">=", at_value, ir.Constant(at_value.type, 0))) as (then, otherwise):
            with then:
                pointer = _address(context, builder, panel, panel_value, at_value)
                starts = [_at(builder, pointer, v * tile.lanes) for v in range(tile.vectors)]
                row = [_load(builder, start, acc_type.element) for start in starts]
                acc = zero
                for k in range(tile.rows * tile.vectors):
                    acc = builder.insert_value(acc, row[k % tile.vectors], k)
                then_block = builder.block
            with otherwise:
                otherwise_block = builder.block
        result = builder.phi(acc_type)
        result.add_incoming(acc, then_block)
        result.add_incoming(zero, otherwise_block)
        return result

    return tile(tile, panel, types.intp), generate


@intrinsic
def gather(typing_context, tile, places, i):
    """(places[i], ..., places[i + R - 1]), to be kept in registers."""
    several = types.UniTuple(types.intp, tile.rows)

    def generate(context, builder, signature, arguments):
        _, places_value, i_value = arguments
        pointer = _address(context, builder, places, places_value, i_value)
        numbers = [builder.load(_at(builder, pointer, r)) for r in range(tile.rows)]
        return context.make_tuple(builder, several, numbers)

    return several(tile, places, types.intp), generate


@intrinsic
def outer(typing_context, tile, x, places, step, panel, at):
    """acc[r, v] += x[places[r] + step] * panel[at + vL : +L], for R places"""

    def generate(context, builder, signature, arguments):
        acc, x_value, places_value, step_value, panel_value, at_value = arguments
        vector = acc.type.element
        _never_unrolled(builder)
        panel_pointer = _address(context, builder, panel, panel_value, at_value)
        columns = [_load(builder, _at(builder, panel_pointer, v * tile.lanes), vector) for v in range(tile.vectors)]
        for r in range(tile.rows):
            # A row's own address is the same at each step: LLVM keeps it in a register.
            row_pointer = _address(context, builder, x, x_value, builder.extract_value(places_value, r))
            row = _broadcast(builder, builder.load(builder.gep(row_pointer, [step_value])), vector)
            for v in range(tile.vectors):
                k = r * tile.vectors + v
                product = builder.fmul(row, columns[v], flags=_FAST)
                total = builder.fadd(product, builder.extract_value(acc, k), flags=_FAST)
                acc = builder.insert_value(acc, total, k)
        return acc

    return tile(tile, x, places, types.intp, panel, types.intp), generate


@intrinsic
def dots(typing_context, tile, a, i, x, places):
    """acc[r] += a[i : +L] * x[places[r] + i : +L], lane by lane, for a tile of one vector a row."""

    def generate(context, builder, signature, arguments):
        acc, a_value, i_value, x_value, places_value = arguments
        _never_unrolled(builder)
        column = _load(builder, _address(context, builder, a, a_value, i_value), acc.type.element)
        for r in range(tile.rows):
            row_pointer = _address(context, builder, x, x_value, builder.extract_value(places_value, r))
            row = _load(builder, builder.gep(row_pointer, [i_value]), acc.type.element)
            product = builder.fmul(row, column, flags=_FAST)
            acc = builder.insert_value(acc, builder.fadd(product, builder.extract_value(acc, r), flags=_FAST), r)
        return acc

    return tile(tile, a, types.intp, x, places), generate


@intrinsic
def store(typing_context, tile, out, i, onto):
    """out[i + (rV + v)L : +L] = acc[r, v], or, if `onto`, += acc[r, v]: a tile's rows follow each other."""

    def generate(context, builder, signature, arguments):
        acc, out_value, i_value, onto_value = arguments
        out_pointer = _address(context, builder, out, out_value, i_value)
        pointers = [_at(builder, out_pointer, k * tile.lanes) for k in range(tile.rows * tile.vectors)]
        with builder.if_else(builder.trunc(onto_value, ir.IntType(1))) as (then, otherwise):
            with then:
                for k, pointer in enumerate(pointers):
                    before = _load(builder, pointer, acc.type.element)
                    _store(builder, builder.fadd(before, builder.extract_value(acc, k), flags=_FAST), pointer)
            with otherwise:
                for k, pointer in enumerate(pointers):
                    _store(builder, builder.extract_value(acc, k), pointer)
        return context.get_dummy_value()

    return types.void(tile, out, types.intp, types.boolean), generate


@intrinsic
def at(typing_context, numbers, i):
    """numbers[i], for i that is never counted from the end: Numba's own way asks each time."""

    def generate(context, builder, signature, arguments):
        return builder.load(_address(context, builder, numbers, *arguments))

    return numbers.dtype(numbers, types.intp), generate


@intrinsic
def copy_vector(typing_context, source, i, target, j):
    """target[j : j + L] = source[i : i + L]"""

    def generate(context, builder, signature, arguments):
        source_value, i_value, target_value, j_value = arguments
        value = _load(builder, _address(context, builder, source, source_value, i_value), _vector_of(context, source))
        _store(builder, value, _address(context, builder, target, target_value, j_value))
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), generate


@intrinsic
def spread_vector(typing_context, source, i, target, j, step):
    """target[j + k * step] = source[i + k], for k below L"""

    def generate(context, builder, signature, arguments):
        source_value, i_value, target_value, j_value, step_value = arguments
        vector = _vector_of(context, source)
        value = _load(builder, _address(context, builder, source, source_value, i_value), vector)
        pointer = _address(context, builder, target, target_value, j_value)
        for k in range(vector.count):
            number = builder.extract_element(value, ir.IntType(32)(k))
            builder.store(number, _row(builder, pointer, step_value, k))
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp, types.intp), generate


@intrinsic
def transpose(typing_context, source, i, source_step, target, j, target_step):
    """target[j + r * target_step + k] = source[i + k * source_step + r], for r and k below L."""

    def generate(context, builder, signature, arguments):
        source_value, i_value, source_step_value, target_value, j_value, target_step_value = arguments
        vector = _vector_of(context, source)
        source_pointer = _address(context, builder, source, source_value, i_value)
        target_pointer = _address(context, builder, target, target_value, j_value)
        count = vector.count
        rows = [_load(builder, _row(builder, source_pointer, source_step_value, k), vector) for k in range(count)]
        # Halves, quarters, ...: of each 2 x 2 blocks of this size, the two beside the diagonal change places.
        size = count // 2
        while size:
            upper = [lane + (count - size if lane & size else 0) for lane in range(count)]
            lower = [lane + (count if lane & size else size) for lane in range(count)]
            for k in range(count):
                if not k & size:
                    a, b = rows[k], rows[k + size]
                    rows[k], rows[k + size] = _shuffle(builder, a, b, upper), _shuffle(builder, a, b, lower)
            size //= 2
        for r in range(count):
            _store(builder, rows[r], _row(builder, target_pointer, target_step_value, r))
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target, types.intp, types.intp), generate
