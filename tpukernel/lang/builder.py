"""`k`, the first parameter of a kernel: loops, conditions, buffers, and the groups of operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NoReturn

from tpukernel.api.function import Function
from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Layout
from tpukernel.dtypes import Dtype, dtype_of
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.dma import DmaOps
from tpukernel.lang.errors import OperandTypeError, ShapeMismatchError, SymbolicValueError
from tpukernel.lang.expr import show
from tpukernel.lang.ir import Allocate, Assert, Attribute, Local, Operand, Print, Raw
from tpukernel.lang.operands import operand_name, row_of
from tpukernel.lang.operations import unknown_member
from tpukernel.lang.symbols import Size, SymBool, SymInt, assigned, condition_of, expr_of, here
from tpukernel.lang.tensors import Tensor, Tile
from tpukernel.lang.tiu import TiuOps
from tpukernel.lang.trace import After, Block, Token, Tracer

__all__ = ["Builder"]

Argument = Tensor | Size | SymBool | float | str | Dtype | Rounding | Sequence[Size] | None


class Builder:
    """What a kernel is written with.

    Attributes:
        dma: copies between memories.
        tiu: operations of the tensor unit.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self.dma = DmaOps(tracer, "dma")
        self.tiu = TiuOps(tracer, "tiu")

    if not TYPE_CHECKING:  # so that type checkers know exactly what there is

        def __getattr__(self, name: str) -> NoReturn:
            raise unknown_member(name, type(self), {"tiu": TiuOps, "dma": DmaOps})

    @property
    def chip(self) -> Chip:
        """The chip: lanes, bytes of a lane, banks, ..."""
        return self._tracer.chip

    # ------------------------------------------------------------------ blocks

    def range(self, start: Size, stop: Size | None = None, step: Size = 1, *, name: str | None = None) -> Iterator[SymInt]:
        """`for i in k.range(start, stop, step):` as `range`; the body is traced once and stands for all steps.

        A loop over Python's own `range` works too, if its limits are known: it is unrolled while the kernel is traced. `name` is that of
        the index in messages, by default that of the variable.
        """
        first, last = (0, start) if stop is None else (start, stop)
        return self._tracer.loop("range", first, last, _checked_step(step), 1, here(), name)

    def pipeline(
        self, start: Size, stop: Size | None = None, step: Size = 1, *, buffers: int = 2, name: str | None = None
    ) -> Iterator[SymInt]:
        """As `range`, but neighbouring steps overlap: while one is computed, the next one is loaded and the one before is stored.

        Args:
            start: first index; the number of steps when it is alone.
            stop: first index that is too large.
            step: distance of the indices, above 0.
            buffers: copies of each buffer that is made in the body, so that this many steps are under way; 1 for no overlap.
            name: name of the index in messages; by default that of the variable.

        Raises:
            SymbolicValueError: a step or number of buffers below 1.
        """
        if buffers < 1:
            raise SymbolicValueError(f"a pipeline with {buffers} buffers", position=here(), help="give 1 or more")
        first, last = (0, start) if stop is None else (start, stop)
        return self._tracer.loop("pipeline", first, last, _checked_step(step), buffers, here(), name)

    def when(self, condition: SymBool | bool) -> Block:
        """`with k.when(condition):` what happens only where a condition on sizes holds."""
        return Block(self._tracer, condition, here())

    def parallel(self) -> Block:
        """`with k.parallel():` operations between which the author keeps order, by `after=`; they wait for all that was before.

        A mistake is found by the race check when the kernel runs.
        """
        return Block(self._tracer, None, here())

    # ------------------------------------------------------------------ memory

    def local(
        self,
        shape: Sequence[Size],
        dtype: Dtype | str,
        *,
        layout: Layout = Layout.EU_ALIGNED,
        at: Size | None = None,
        bank: int | None = None,
        name: str | None = None,
    ) -> Tile:
        """A buffer in local memory.

        Args:
            shape: (n, c, h, w). Sizes may change from step to step; the memory is for the largest.
            dtype: element type.
            layout: how the elements lie; COMPACT for numbers per channel, WEIGHT for those of a convolution.
            at: local address, instead of one that is chosen; such a buffer has no copies in a pipeline.
            bank: bank in which the buffer starts.
            name: name in messages; by default that of the variable.

        Raises:
            ShapeMismatchError: not four sizes.
        """
        if len(shape) != 4:
            raise ShapeMismatchError(
                f"a buffer of shape {tuple(shape)!r}", position=here(), help="give (n, c, h, w), or use k.matrix(rows, columns, dtype)"
            )
        return self._made(shape, dtype, layout, None, at, bank, name, at is None)

    def scratch(self, shape: Sequence[Size], dtype: Dtype | str, *, layout: Layout = Layout.EU_ALIGNED, name: str | None = None) -> Tile:
        """A buffer of which a pipeline has one copy only: for what the tensor unit alone works on, such as results in between."""
        if len(shape) != 4:
            raise ShapeMismatchError(f"a buffer of shape {tuple(shape)!r}", position=here(), help="give (n, c, h, w)")
        return self._made(shape, dtype, layout, None, None, None, name, rotates=False)

    def matrix(
        self,
        rows: Size,
        columns: Size,
        dtype: Dtype | str,
        *,
        over_lanes: Literal["rows", "columns"] | None = None,
        columns_per_channel: Size | None = None,
        at: Size | None = None,
        bank: int | None = None,
        name: str | None = None,
    ) -> Tile:
        """A matrix in local memory for `k.tiu.matmul`.

        Args:
            rows: number of rows.
            columns: number of columns.
            dtype: element type.
            over_lanes: what lies over the lanes. Products of f32 need the columns there (the default for types of 32 bits), those of f16
                and bf16 the rows (the default for other types), also for their results of f32.
            columns_per_channel: how many columns each lane has in turn; by default as many as it computes at once.
            at: local address, instead of one that is chosen.
            bank: bank in which it starts.
            name: name in messages.

        Raises:
            OperandTypeError: columns per channel of a matrix with its rows over the lanes.
        """
        found = dtype_of(dtype)
        over = over_lanes or ("columns" if found.bits == 32 or columns_per_channel is not None else "rows")
        if over == "rows" and columns_per_channel is not None:
            raise OperandTypeError("a matrix with rows over the lanes has no columns_per_channel", position=here(), help="leave it out")
        if over == "columns" and columns_per_channel is None:
            columns_per_channel = self.chip.eu_count(found)
        return self._made((rows, columns), found, Layout.EU_ALIGNED, columns_per_channel, at, bank, name, at is None)

    def _made(
        self,
        shape: Sequence[Size],
        dtype: Dtype | str,
        layout: Layout,
        columns: Size | None,
        at: Size | None,
        bank: int | None,
        name: str | None,
        rotates: bool,
    ) -> Tile:
        position = here()
        local = Local(
            self._tracer.unique(name or assigned() or "buffer"),
            tuple(expr_of(size) for size in shape),
            dtype_of(dtype),
            layout,
            None if columns is None else expr_of(columns),
            None if at is None else expr_of(at),
            bank,
            rotates,
            position,
        )
        if bank is not None and not 0 <= bank < self.chip.banks:
            raise OperandTypeError(f"{local.name} in bank {bank}", position=position, help=f"banks are 0 to {self.chip.banks - 1}")
        self._tracer.emit(Allocate(local))
        return Tile(local)

    # ------------------------------------------------------------------ the rest

    def call(self, function: Function[...] | str, *args: Argument, after: After = None, **kwargs: Argument) -> Token:
        """A TPUKernel function of the table with its own arguments; tensors stand for addresses, sizes may be symbolic.

            k.call(tpu_bdc_abs, b, a, b.shape, None, None, tpu.f32)

        Raises:
            UnknownOperationError: no such function.
            OperandTypeError: the arguments are not those of the function.
        """
        return self.call_named("call", function if isinstance(function, str) else function.name, args, kwargs, after)

    def call_named(self, name: str, function: str, args: Sequence[Argument], kwargs: Mapping[str, Argument], after: After = None) -> Token:
        """As `call`, with the name that messages give the operation."""
        row = row_of(function)
        parameters = {parameter.name: parameter for parameter in row.parameters}
        given = dict(zip(parameters, args, strict=False)) | dict(kwargs)
        if len(given) != len(args) + len(kwargs) or not given.keys() <= parameters.keys():
            raise OperandTypeError(
                f"arguments of {row.name} do not fit", position=here(), help=f"its parameters are {', '.join(parameters)}"
            )
        operands: dict[str, Operand] = {}
        attributes: dict[str, Attribute] = {}
        for key, value in given.items():
            if isinstance(value, Tensor):
                operands[operand_name(parameters[key])] = value.view
            elif isinstance(value, int | float) and not isinstance(value, bool) and parameters[key].kind.name == "variable":
                operands[key] = value
            else:
                attributes[key] = _attribute(value)
        return self._tracer.op(name, row.name, operands, attributes, after=after)

    def raw(self, *instructions: Instruction) -> None:
        """Instructions as they are, with addresses of the author's own.

        Raises:
            LegalityError: the chip forbids one.
        """
        for instruction in instructions:
            instruction.check(self.chip)
        self._tracer.emit(Raw(instructions, here()))

    def assert_(self, condition: SymBool | bool, message: str = "") -> None:
        """State what must hold; checked when the kernel is elaborated for its shapes.

        Raises:
            AssertionFailedError: then, with the values of all indices.
        """
        found = condition_of(condition)
        self._tracer.emit(Assert(found, message or show(found), here()))

    def print(self, *values: Size | str) -> None:
        """Print text and sizes when the kernel is elaborated, once for each step of the loops around."""
        self._tracer.emit(Print(tuple(value if isinstance(value, str) else expr_of(value) for value in values)))


def _checked_step(step: Size) -> Size:
    if isinstance(step, int) and step < 1:
        raise SymbolicValueError(f"a loop with step {step}", position=here(), help="give a step of 1 or more")
    return step


def _attribute(value: SymBool | Size | float | str | Dtype | Rounding | Sequence[Size] | None) -> Attribute:
    if isinstance(value, SymInt):
        return value.expr
    if isinstance(value, SymBool):
        return value.condition
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(expr_of(each) for each in value)
    return value
