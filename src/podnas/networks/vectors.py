"""Float32 vectors for Numba, as wide as the processor's registers, and products held in registers.

`Vector` values add, subtract, multiply and divide lane by lane inside Numba functions. The three `*_tile` functions are
the inner loops of every matrix product of `kernels.py`: a tile of results stays in registers while the sum runs, so
small matrices need neither copies nor calls of a library. Arrays are flat (1-D); positions are offsets into them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from podnas import compiled

compiled.keep("kernels", *(Path(__file__).parent / name for name in ("vectors.py", "kernels.py")))


def _avx512() -> bool:
    if numba.config.CPU_FEATURES is not None:
        return "+avx512f" in numba.config.CPU_FEATURES.split(",")
    return bool(llvm.get_host_cpu_features().get("avx512f", False))


AVX512 = _avx512()
LANES = 16 if AVX512 else 8  # float32 numbers a register
ROWS = 8 if AVX512 else 4  # rows of a tile of a product: with 2 vectors a row, what fits the registers
COLUMNS = 2 * LANES  # columns of a tile of a product
GRADIENT_ROWS = LANES // 4  # rows of a tile of a gradient, which has 4 columns

FLOATS = ir.VectorType(ir.FloatType(), LANES)
INDEX = ir.IntType(64)
Values = list[Any]


class Vector(types.Type):
    """Numba's type of LANES float32 numbers in one register."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


VECTOR = Vector()


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Vector) -> None:
        super().__init__(manager, numba_type, FLOATS)


def _define(operation: Callable[..., Any], instruction: str) -> None:
    @infer_global(operation)
    class _Template(AbstractTemplate):
        def generic(self, arguments: Any, _: Any) -> Any:
            if len(arguments) == 2 and all(isinstance(argument, Vector) for argument in arguments):
                return signature(VECTOR, VECTOR, VECTOR)
            return None

    @lower_builtin(operation, Vector, Vector)
    def _lower(_: Any, builder: Any, __: Any, arguments: Values) -> Any:
        return getattr(builder, instruction)(*arguments, flags=("contract",))


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(_operation, _instruction)


def _intrinsic_call(builder: Any, name: str, arguments: Values) -> Any:
    kind = ir.FunctionType(FLOATS, [FLOATS] * len(arguments))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
    return builder.call(function, arguments)


def _data(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    return context.make_array(array_type)(context, builder, array).data


def _load(builder: Any, data: Any, index: Any) -> Any:
    return builder.load(builder.bitcast(builder.gep(data, [index]), FLOATS.as_pointer()), align=4)


def _store(builder: Any, data: Any, index: Any, value: Any) -> None:
    builder.store(value, builder.bitcast(builder.gep(data, [index]), FLOATS.as_pointer()), align=4)


def _splat(builder: Any, scalar: Any) -> Any:
    undefined = ir.Constant(FLOATS, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, zeros)


def _shifted(builder: Any, index: Any, by: int) -> Any:
    return builder.add(index, INDEX(by))


@intrinsic
def load(_: Any, array: Any, index: Any) -> Any:
    """array[index : index + LANES]."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Values) -> Any:
        return _load(builder, _data(context, builder, sig.args[0], arguments[0]), arguments[1])

    return VECTOR(array, types.int64), generate


@intrinsic
def store(_: Any, array: Any, index: Any, value: Any) -> Any:
    """array[index : index + LANES] = value."""

    def generate(context: Any, builder: Any, sig: Any, arguments: Values) -> Any:
        _store(builder, _data(context, builder, sig.args[0], arguments[0]), arguments[1], arguments[2])
        return context.get_dummy_value()

    return types.void(array, types.int64, VECTOR), generate


@intrinsic
def splat(_: Any, scalar: Any) -> Any:
    """The same float32 in every lane."""

    def generate(_: Any, builder: Any, __: Any, arguments: Values) -> Any:
        return _splat(builder, arguments[0])

    return VECTOR(types.float32), generate


@intrinsic
def lane_sum(_: Any, value: Any) -> Any:
    """Sum of the lanes: a float32."""

    def generate(_: Any, builder: Any, __: Any, arguments: Values) -> Any:
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), FLOATS])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
        return builder.call(function, [ir.Constant(ir.FloatType(), 0.0), arguments[0]], fastmath=("reassoc",))

    return types.float32(VECTOR), generate


@intrinsic
def square_root(_: Any, value: Any) -> Any:
    """Square root of each lane."""

    def generate(_: Any, builder: Any, __: Any, arguments: Values) -> Any:
        return _intrinsic_call(builder, "sqrt", arguments)

    return VECTOR(VECTOR), generate


def _bounded(sign: str) -> Any:
    """bounded(bound, value): the value where it is within the bound, else the bound; NaN stays NaN."""

    @intrinsic
    def bounded(_: Any, bound: Any, value: Any) -> Any:
        def generate(_: Any, builder: Any, __: Any, arguments: Values) -> Any:
            return builder.select(builder.fcmp_ordered(sign, *arguments), *arguments)

        return VECTOR(VECTOR, VECTOR), generate

    return bounded


at_most = _bounded("<")
at_least = _bounded(">")


@intrinsic
def where_positive(_: Any, condition: Any, value: Any) -> Any:
    """value where condition > 0, else 0."""

    def generate(_: Any, builder: Any, __: Any, arguments: Values) -> Any:
        zero = ir.Constant(FLOATS, [0.0] * LANES)
        return builder.select(builder.fcmp_ordered(">", arguments[0], zero), arguments[1], zero)

    return VECTOR(VECTOR, VECTOR), generate


def _accumulators(builder: Any, starts: Values) -> Values:
    """Registers that a loop adds to; LLVM keeps them out of memory."""
    slots = [cgutils.alloca_once(builder, FLOATS) for _ in starts]
    for slot, start in zip(slots, starts, strict=True):
        builder.store(start, slot)
    return slots


def _add_product(builder: Any, slot: Any, a: Any, b: Any) -> None:
    builder.store(_intrinsic_call(builder, "fma", [a, b, builder.load(slot)]), slot)


def _product_tile(rows: int, inner: int, step: Any, place: Any) -> Any:
    """A tile of `rows` times COLUMNS of a product; `step` and `place` say where its weights lie."""

    @intrinsic
    def tile(_: Any, w: Any, at: Any, block: Any, terms: Any, x: Any, x_at: Any, width: Any, z: Any, z_at: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, arguments: Values) -> Any:
            weights, panel, result = (_data(context, builder, sig.args[i], arguments[i]) for i in (0, 4, 7))
            _, at, block, terms, _, x_at, width, _, z_at = arguments
            starts = [builder.add(z_at, builder.mul(width, INDEX(row))) for row in range(rows)]
            places = [_shifted(builder, start, v * LANES) for start in starts for v in range(2)]
            slots = _accumulators(builder, [_load(builder, result, at) for at in places])
            with cgutils.for_range(builder, terms) as loop:
                first = builder.add(at, builder.mul(loop.index, step(block)))
                panel_row = builder.add(x_at, builder.mul(loop.index, builder.mul(width, INDEX(inner))))
                for term in range(inner):
                    vectors = [_load(builder, panel, _shifted(builder, panel_row, v * LANES)) for v in range(2)]
                    for row in range(rows):
                        where = place(builder, first, block, row, term)
                        weight = _splat(builder, builder.load(builder.gep(weights, [where])))
                        for v in range(2):
                            _add_product(builder, slots[2 * row + v], weight, vectors[v])
                    panel_row = builder.add(panel_row, width)
            for at, slot in zip(places, slots, strict=True):
                _store(builder, result, at, builder.load(slot))
            return context.get_dummy_value()

        index = types.int64
        return types.void(w, index, index, index, x, index, index, z, index), generate

    return tile


def _forward_place(builder: Any, first: Any, block: Any, row: int, _: int) -> Any:
    return _shifted(builder, first if row < 4 else builder.add(first, block), row % 4)


def _backward_place(builder: Any, first: Any, _: Any, row: int, term: int) -> Any:
    return _shifted(builder, first, 4 * row + term)


def forward_tile(rows: int) -> Any:
    """tile(w, at, block, terms, x, x_at, width, z, z_at): z[r, c] += sum over k of w[r // 4, k, r % 4] x[k, c].

    Weights lie in blocks of four outputs, (outputs / 4, inputs, 4); `block` is 4 inputs. Rows of x and z are `width`
    apart. `terms` is the number of inputs.
    """
    return _product_tile(rows, 1, lambda _: INDEX(4), _forward_place)


def backward_tile(rows: int) -> Any:
    """tile(w, at, block, terms, d, d_at, width, x, x_at): x[r, c] += sum over j, g of w[j, r, g] d[4 j + g, c].

    `terms` is the number of blocks j.
    """
    return _product_tile(rows, 4, lambda block: block, _backward_place)


@intrinsic
def gradient_tile(
    _: Any, x: Any, x_at: Any, x_step: Any, d: Any, d_at: Any, d_step: Any, steps: Any, width: Any, w: Any, at: Any
) -> Any:
    """w[k, g] = sum over t, c of x[t, k, c] d[t, g, c] for GRADIENT_ROWS k and four g; steps of t lie x_step, d_step
    apart.
    """

    def generate(context: Any, builder: Any, sig: Any, arguments: Values) -> Any:
        panel, signal, result = (_data(context, builder, sig.args[i], arguments[i]) for i in (0, 3, 8))
        _, x_at, x_step, _, d_at, d_step, steps, width, _, at = arguments
        zero = ir.Constant(FLOATS, [0.0] * LANES)
        slots = _accumulators(builder, [zero] * LANES)
        vectors = builder.sdiv(width, INDEX(LANES))
        with cgutils.for_range(builder, steps) as time:
            top_x = builder.add(x_at, builder.mul(time.index, x_step))
            top_d = builder.add(d_at, builder.mul(time.index, d_step))
            with cgutils.for_range(builder, vectors) as loop:
                column = builder.mul(loop.index, INDEX(LANES))
                left, right = (
                    [
                        _load(builder, data, builder.add(builder.add(top, column), builder.mul(width, INDEX(row))))
                        for row in range(count)
                    ]
                    for data, top, count in ((panel, top_x, GRADIENT_ROWS), (signal, top_d, 4))
                )
                for index, slot in enumerate(slots):
                    _add_product(builder, slot, left[index // 4], right[index % 4])
        _store(builder, result, at, _sums(builder, [builder.load(slot) for slot in slots]))
        return context.get_dummy_value()

    index = types.int64
    return types.void(x, index, index, d, index, index, index, index, w, index), generate


def _sums(builder: Any, vectors: Values) -> Any:
    """Lane i of the result is the sum of vector i: neighbours are added until one vector is left."""
    even, odd = (
        ir.Constant(ir.VectorType(ir.IntType(32), LANES), [2 * lane + parity for lane in range(LANES)])
        for parity in (0, 1)
    )
    while len(vectors) > 1:
        vectors = [
            builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    return vectors[0]
