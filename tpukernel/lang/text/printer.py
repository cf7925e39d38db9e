"""The intermediate representation as text: what a person would write, and what parses to the same representation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tpukernel.chips.tensors import Layout
from tpukernel.lang.expr import Condition, Expr, show
from tpukernel.lang.ir import Allocate, Assert, KernelIr, Local, Loop, Op, Parallel, Print, Raw, Span, Statement, View, When, walk
from tpukernel.lang.operands import operand_name, row_of
from tpukernel.lang.symbols import SymBool, SymInt
from tpukernel.lang.tensors import Tensor, Tile, parameter
from tpukernel.lang.text.instructions import instruction_text
from tpukernel.lang.text.recovery import Recovery, Spoken, spoken, tensor_of
from tpukernel.lang.text.words import literal, name_text, string_text

__all__ = ["kernel_text"]

_INDENT: Final = "  "


def kernel_text(kernel: KernelIr) -> str:
    """A kernel as text."""
    return "\n".join(_Printer(kernel).lines())


def _expr(value: Expr | Condition) -> str:
    return show(value, name_text)


def _list(sizes: tuple[Expr, ...]) -> str:
    return ", ".join(map(_expr, sizes))


class _Printer:
    def __init__(self, kernel: KernelIr) -> None:
        self._kernel = kernel
        self._awaited = {token for each in walk(kernel.body) if isinstance(each, Op) for token in each.after}
        self._tensors: dict[str, Tensor] = {param.name: parameter(param) for param in kernel.params}
        self._recovery = Recovery({param.name: param.shape for param in kernel.params})

    def lines(self) -> Iterator[str]:
        kernel = self._kernel
        params = ", ".join(f"{p.direction} {name_text(p.name)}: {p.dtype.name}[{_list(p.shape)}]" for p in kernel.params)
        attributes = ", ".join(f"{name_text(name)} = {value}" for name, value in kernel.attributes)
        yield f"kernel {name_text(kernel.name)}({params}{'; ' if attributes else ''}{attributes}) {{"
        yield from self._block(kernel.body)
        yield "}"

    def _block(self, body: tuple[Statement, ...]) -> Iterator[str]:
        for statement in body:
            for line in self._lines(statement):
                yield _INDENT + line

    def _lines(self, statement: Statement) -> Iterator[str]:
        match statement:
            case Op():
                yield self._op(statement)
            case Raw(instructions):
                yield f"raw {', '.join(map(instruction_text, instructions))};"
            case Allocate(local):
                self._tensors[local.name] = Tile(local)
                yield f"let {name_text(local.name)} = {_local(local)};"
            case Assert(condition, message):
                yield f"assert {_expr(condition)}, {string_text(message)};"
            case Print(values):
                yield f"print {', '.join(string_text(value) if isinstance(value, str) else _expr(value) for value in values)};"
            case Loop():
                head = "for" if statement.kind == "range" else "pipeline"
                limits = f"{_expr(statement.start)} .. {_expr(statement.stop)} step {_expr(statement.step)}"
                buffers = f" buffers {statement.buffers}" if statement.kind == "pipeline" else ""
                yield from self._nested(f"{head} {name_text(statement.var)} in {limits}{buffers}", statement.body)
            case When(condition, body):
                yield from self._nested(f"when {_expr(condition)}", body)
            case Parallel(body):
                yield from self._nested("parallel", body)

    def _nested(self, head: str, body: tuple[Statement, ...]) -> Iterator[str]:
        yield f"{head} {{"
        yield from self._block(body)
        yield "}"

    # ------------------------------------------------------------------ operations

    def _op(self, op: Op) -> str:
        label = f"%{op.token} = " if op.token in self._awaited else ""
        after = f" after {', '.join(f'%{token}' for token in op.after)}" if op.after else ""
        return f"{label}{self._call(op)}{after};"

    def _call(self, op: Op) -> str:
        found = self._recovery.arguments(op, self._tensors)
        if found is not None:
            told = [self._value(value) for value in found.values]
            told += [f"{name}={self._value(value)}" for name, value in found.named.items()]
            return f"{op.name}({', '.join(told)})"
        names = {operand_name(parameter): parameter.name for parameter in row_of(op.row).parameters}
        told = [f"{names.get(name, name)}={self._value(tensor_of(value, self._tensors))}" for name, value in op.operands]
        told += [f"{name}={self._value(spoken(value))}" for name, value in op.attributes]
        return f"call {op.row}({', '.join(told)}){'' if op.name == 'call' else f' as {op.name}'}"

    def _value(self, value: Spoken) -> str:
        match value:
            case Tensor():
                return self._view(value.view)
            case SymInt():
                return _expr(value.expr)
            case SymBool():
                return _expr(value.condition)
            case tuple():
                inside = [self._value(each) for each in value]
                return f"({', '.join(inside)}{',' if len(inside) == 1 else ''})"
            case _:
                return literal(value)

    def _view(self, view: View) -> str:
        base = self._tensors[view.base]
        shape = base.view.shape
        spans = [_span(span, size) for span, size in zip(view.spans, shape, strict=True)]
        return name_text(view.base) + ("" if all(span == ":" for span in spans) else f"[{', '.join(spans)}]")


def _span(span: Span, dimension: Expr) -> str:
    if not span.kept:
        return _expr(span.start)
    return ":" if span.start == 0 and span.size == dimension else f"{_expr(span.start)}:+{_expr(span.size)}"


def _local(local: Local) -> str:
    options: list[str] = []
    if len(local.shape) == 2:
        kind = "matrix"
        if local.cols_per_channel is not None:
            options.append(f"columns {_expr(local.cols_per_channel)}")
        elif local.dtype.bits == 32:  # the default of other types
            options.append("over rows")
    else:
        kind = "local" if local.rotates or local.at is not None else "scratch"
    options += [] if local.layout is Layout.EU_ALIGNED else [f"layout {local.layout.value}"]
    options += [] if local.at is None else [f"at {_expr(local.at)}"]
    options += [] if local.bank is None else [f"bank {local.bank}"]
    return " ".join([f"{kind}<{local.dtype.name}>[{_list(local.shape)}]", *options])
