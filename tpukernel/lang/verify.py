"""What every intermediate representation must be, whoever made it: names that exist where they are used, rows of the table, sizes."""

from __future__ import annotations

from collections.abc import Mapping

from tpukernel.dtypes import Dtype
from tpukernel.lang.dimensions import dimension_names
from tpukernel.lang.errors import KernelIrError, LoopExitError
from tpukernel.lang.expr import Condition, Expr, variables
from tpukernel.lang.ir import Allocate, Assert, Attribute, KernelIr, Local, Loop, Op, Operand, Parallel, Param, Print, Statement, View, When
from tpukernel.lang.operands import Described, check_operands, operand_name, row_of
from tpukernel.source import Position

__all__ = ["verify"]


def verify(kernel: KernelIr) -> None:
    """Check a kernel.

    Raises:
        LoopExitError: a loop index is used outside of its loop.
        KernelIrError: a buffer is used that does not exist there, a name is used twice, an operation has operands that its row has not, a
            pipeline has no buffers.
        UnknownOperationError: an operation has no row.
        OperandTypeError, UnsupportedDtypeError: a tensor is in the wrong memory, or of a type that the row does not take.
    """
    names = {param.name for param in kernel.params}
    if len(names) != len(kernel.params):
        raise KernelIrError(f"two parameters of {kernel.name} have one name")
    dimensions = set(dimension_names(kernel))
    _Verifier({param.name: param for param in kernel.params}, dimensions).block(kernel.body)


class _Verifier:
    def __init__(self, bases: Mapping[str, Param | Local], indices: set[str]) -> None:
        self._bases = dict(bases)
        """What exists, by name."""
        self._indices = indices
        self._tokens: set[int] = set()

    def block(self, body: tuple[Statement, ...]) -> None:
        """Check the statements of a block; what they make ends with it."""
        bases, indices = dict(self._bases), set(self._indices)
        for statement in body:
            self._statement(statement)
        self._bases, self._indices = bases, indices

    def _statement(self, statement: Statement) -> None:
        match statement:
            case Op():
                self._op(statement)
            case Allocate(local):
                self._known(*local.shape, local.cols_per_channel or 0, local.at or 0, position=local.position)
                if local.name in self._bases:
                    raise KernelIrError(f"{local.name} is made twice", position=local.position)
                self._bases[local.name] = local
            case Loop():
                self._known(statement.start, statement.stop, statement.step, position=statement.position)
                if statement.buffers < 1:
                    raise KernelIrError(f"the loop over {statement.var} has {statement.buffers} buffers", position=statement.position)
                outer = set(self._indices)
                self._indices.add(statement.var)
                self.block(statement.body)
                self._indices = outer
            case When(condition, body, position):
                self._known(condition, position=position)
                self.block(body)
            case Parallel(body):
                self.block(body)
            case Assert(condition, _, position):
                self._known(condition, position=position)
            case Print(values):
                self._known(*(value for value in values if not isinstance(value, str)), position=None)
            case _:
                pass

    def _op(self, op: Op) -> None:
        parameters = row_of(op.row).parameters
        known = {operand_name(parameter) for parameter in parameters} | {parameter.name for parameter in parameters}
        unknown = [name for name, _ in (*op.operands, *op.attributes) if name not in known]
        if unknown:
            raise KernelIrError(f"{op.row} has no {', '.join(unknown)}", position=op.position)
        for name, operand in op.operands:
            if not isinstance(operand, View):
                continue
            if operand.base not in self._bases:
                raise KernelIrError(
                    f"{name} of {op.name} is {operand.base}, which does not exist here",
                    position=op.position,
                    help="a buffer ends with the block in which it is made: make it outside of the loop",
                )
            if len(operand.spans) != len(self._bases[operand.base].shape):
                raise KernelIrError(f"{operand.base} has {len(self._bases[operand.base].shape)} dimensions", position=op.position)
            for span in operand.spans:
                self._known(span.start, span.size, position=op.position)
        described = {name: self._described(operand) for name, operand in op.operands}
        check_operands(op.name, op.row, described, op.position, given=[name for name, _ in op.attributes])
        for _, value in op.attributes:
            self._attribute(value, op.position)
        lost = [token for token in op.after if token not in self._tokens]
        if lost:
            raise KernelIrError(f"{op.name} waits for an operation that comes later or is nowhere", position=op.position)
        self._tokens.add(op.token)

    def _described(self, operand: Operand) -> Described:
        if not isinstance(operand, View):
            return Described(None, None, repr(operand))
        base = self._bases[operand.base]
        return Described("local" if isinstance(base, Local) else "system", base.dtype, f"{base.name}, which is {base.dtype.name}")

    def _attribute(self, value: Attribute, position: Position | None) -> None:
        match value:
            case tuple():
                self._known(*value, position=position)
            case str() | float() | Dtype() | None:
                pass
            case _:
                self._known(value, position=position)

    def _known(self, *values: Expr | Condition, position: Position | None) -> None:
        for value in values:
            lost = sorted(set(variables(value)) - self._indices)
            if lost:
                raise LoopExitError(
                    f"{', '.join(lost)} is used outside of the loop whose index it is",
                    position=position,
                    help="the index has a value only in the body of its loop",
                )
