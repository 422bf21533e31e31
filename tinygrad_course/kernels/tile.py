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

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model

from tinygrad_course.kernels.vector import (
    VECTOR_BYTES,
    address_of,
    beyond,
    broadcast,
    load_vector,
    row_of,
    store_vector,
)

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


def _never_unrolled(builder):
    """Empty assembly that may not be duplicated: a tile fills the registers, two steps at once would spill them."""
    nothing = builder.asm(ir.FunctionType(ir.VoidType(), []), "", "", [], side_effect=True)
    for attribute in ("convergent", "nounwind", "readnone"):
        nothing.attributes.add(attribute)


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
                pointer = address_of(context, builder, panel, panel_value, at_value)
                starts = [beyond(builder, pointer, v * tile.lanes) for v in range(tile.vectors)]
                row = [load_vector(builder, start, acc_type.element) for start in starts]
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
def gather(typing_context, tile, places, first, i, count):
    """(places[first + i], ..., places[first + i + R - 1]), to be kept in registers. There are `count` places from
    `first` on: what the last tile has too many are the last place again, for nobody knows what lies at others."""
    several = types.UniTuple(types.intp, tile.rows)

    def generate(context, builder, signature, arguments):
        _, places_value, first_value, i_value, count_value = arguments
        pointer = address_of(context, builder, places, places_value, first_value)
        last = builder.sub(count_value, ir.Constant(count_value.type, 1))
        numbers = []
        for r in range(tile.rows):
            place = builder.add(i_value, ir.Constant(i_value.type, r))
            place = builder.select(builder.icmp_signed("<", place, last), place, last)
            numbers.append(builder.load(builder.gep(pointer, [place])))
        return context.make_tuple(builder, several, numbers)

    return several(tile, places, types.intp, types.intp, types.intp), generate


@intrinsic
def outer(typing_context, tile, x, places, step, panel, at):
    """acc[r, v] += x[places[r] + step] * panel[at + vL : +L], for R places"""

    def generate(context, builder, signature, arguments):
        acc, x_value, places_value, step_value, panel_value, at_value = arguments
        vector = acc.type.element
        _never_unrolled(builder)
        panel_pointer = address_of(context, builder, panel, panel_value, at_value)
        starts = [beyond(builder, panel_pointer, v * tile.lanes) for v in range(tile.vectors)]
        columns = [load_vector(builder, start, vector) for start in starts]
        for r in range(tile.rows):
            # A row's own address is the same at each step: LLVM keeps it in a register.
            row_pointer = address_of(context, builder, x, x_value, builder.extract_value(places_value, r))
            row = broadcast(builder, builder.load(builder.gep(row_pointer, [step_value])), vector)
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
        column = load_vector(builder, address_of(context, builder, a, a_value, i_value), acc.type.element)
        for r in range(tile.rows):
            row_pointer = address_of(context, builder, x, x_value, builder.extract_value(places_value, r))
            row = load_vector(builder, builder.gep(row_pointer, [i_value]), acc.type.element)
            product = builder.fmul(row, column, flags=_FAST)
            acc = builder.insert_value(acc, builder.fadd(product, builder.extract_value(acc, r), flags=_FAST), r)
        return acc

    return tile(tile, a, types.intp, x, places), generate


@intrinsic
def store(typing_context, tile, out, i, step, onto):
    """out[i + r step + vL : +L] = acc[r, v], or, if `onto`, += acc[r, v]."""

    def generate(context, builder, signature, arguments):
        acc, out_value, i_value, step_value, onto_value = arguments
        out_pointer = address_of(context, builder, out, out_value, i_value)
        rows = [row_of(builder, out_pointer, step_value, r) for r in range(tile.rows)]
        pointers = [beyond(builder, row, v * tile.lanes) for row in rows for v in range(tile.vectors)]
        with builder.if_else(builder.trunc(onto_value, ir.IntType(1))) as (then, otherwise):
            with then:
                for k, pointer in enumerate(pointers):
                    before = load_vector(builder, pointer, acc.type.element)
                    store_vector(builder, builder.fadd(before, builder.extract_value(acc, k), flags=_FAST), pointer)
            with otherwise:
                for k, pointer in enumerate(pointers):
                    store_vector(builder, builder.extract_value(acc, k), pointer)
        return context.get_dummy_value()

    return types.void(tile, out, types.intp, types.intp, types.boolean), generate
