"""Calls by address, from inside compiled code.

Numba copies a function into each of its callers, and a parallel loop is a caller of a caller of a caller: LLVM would
optimize the inner functions of a kernel at five levels, for seconds each time. Called by its address, a kernel is
compiled once. An address is a number, so the caller may be kept on disk although the kernel lies elsewhere in the
next process.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

_WORD = ir.IntType(64)
_BYTE = ir.IntType(8)
_ENTRY = ir.FunctionType(ir.VoidType(), [_WORD] * 3)


@intrinsic
def call(typing_context, address, a, b, c):
    """Call the function at `address`, which takes three 64-bit integers in C's way and returns nothing."""

    def generate(context, builder, signature, values):
        address, *three = values
        builder.call(builder.inttoptr(address, _ENTRY.as_pointer()), three)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def share(typing_context, launch, body, threads, arguments):
    """Call body(thread, threads, *arguments) for each thread below `threads`, and return when all are done.

    `body` and `launch` are addresses of functions that Numba compiled: `body` for two integers and the types of
    `arguments`; `launch`, for three, does `call(entry, thread, threads, place)` for each thread.
    """
    word, body_types = types.int64, (types.int64, types.int64, *arguments)

    def generate(context, builder, signature, values):
        launch, body, threads, arguments = values
        record = ir.LiteralStructType([_WORD, arguments.type])
        place = builder.alloca(record)  # where the threads find the arguments
        contents = builder.insert_value(ir.Constant(record, ir.Undefined), body, 0)
        builder.store(builder.insert_value(contents, arguments, 1), place)

        entry = ir.Function(builder.module, _ENTRY, name=f"{builder.function.name}.entry")
        entry.linkage = "internal"
        inside = ir.IRBuilder(entry.append_basic_block())
        contents = inside.load(inside.inttoptr(entry.args[2], place.type))
        body, arguments = (inside.extract_value(contents, k) for k in range(2))
        arguments = [inside.extract_value(arguments, k) for k in range(len(body_types) - 2)]
        _call_compiled(context, inside, body, body_types, [*entry.args[:2], *arguments])
        inside.ret_void()

        numbers = [builder.ptrtoint(entry, _WORD), threads, builder.ptrtoint(place, _WORD)]
        _call_compiled(context, builder, launch, (word, word, word), numbers)
        return context.get_dummy_value()

    return types.void(word, word, word, arguments), generate


@intrinsic
def word_at(typing_context, address):
    """The 64-bit integer that lies at `address`."""

    def generate(context, builder, signature, values):
        return builder.load(builder.inttoptr(values[0], _WORD.as_pointer()))

    return types.int64(types.int64), generate


@intrinsic
def pointer_to(typing_context, address):
    """`address` as a pointer, for `numba.carray`."""

    def generate(context, builder, signature, values):
        return builder.inttoptr(values[0], _BYTE.as_pointer())

    return types.voidptr(types.int64), generate


def _call_compiled(context, builder, address, argument_types, values):
    """Call, in Numba's way, the function at `address`, which returns None and raises nothing."""
    function = context.call_conv.get_function_type(types.none, argument_types)
    results = [builder.alloca(pointer.pointee) for pointer in function.args[:2]]  # its result, and its exception
    values = context.get_arg_packer(argument_types).as_arguments(builder, values)
    builder.call(builder.inttoptr(address, function.as_pointer()), [*results, *values])
