"""The statements of a text are written down for a builder, as a Python function would do it: same operations, same checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeVar

from tpukernel.chips.tensors import Layout
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.builder import Argument, Builder
from tpukernel.lang.symbols import Size, SymInt, at_place
from tpukernel.lang.tensors import Tensor, Tile
from tpukernel.lang.text import tree
from tpukernel.lang.text.errors import TextArgumentError, TextNameError, TextValueError
from tpukernel.lang.text.instructions import instruction_of
from tpukernel.lang.text.operations import arguments_of
from tpukernel.lang.text.values import Scope, Value, dtype_named, kind_of, sizes_of
from tpukernel.lang.trace import Token
from tpukernel.source import Position

__all__ = ["Writer"]

T = TypeVar("T")

_OPTIONS: Final = {
    "local": ("layout", "at", "bank"),
    "scratch": ("layout",),
    "matrix": ("over", "columns", "at", "bank"),
}
"""The options of each kind of buffer."""
_LAYOUTS: Final = {layout.value: layout for layout in Layout if layout is not Layout.FREE}


@dataclass
class Writer:
    """Writes statements down.

    Attributes:
        k: the builder.
        labels: operations by their labels.
    """

    k: Builder
    labels: dict[str, Token] = field(default_factory=dict[str, Token])

    def block(self, body: tuple[tree.StatementNode, ...], scope: Scope) -> None:
        """The statements of a block.

        Raises:
            KernelError: one has a mistake; the message names its line.
        """
        for statement in body:
            with at_place(statement.position):
                self._statement(statement, scope)

    def _statement(self, node: tree.StatementNode, scope: Scope) -> None:
        match node:
            case tree.LetNode():
                self._let(node, scope)
            case tree.OpNode():
                self._op(node, scope)
            case tree.CallNode():
                self._call(node, scope)
            case tree.LoopNode():
                self._loop(node, scope)
            case tree.WhenNode(_, condition, body):
                with self.k.when(scope.condition(condition)):
                    self.block(body, scope.inner())
            case tree.ParallelNode(_, body):
                with self.k.parallel():
                    self.block(body, scope.inner())
            case tree.AssertNode(_, condition, message):
                told = "" if message is None else _string(scope.value(message), message.position)
                self.k.assert_(scope.condition(condition), told)  # noqa: PT009
            case tree.PrintNode(_, values):
                self.k.print(*(_printable(scope.value(each), each.position) for each in values))
            case tree.RawNode():
                self.k.raw(*(instruction_of(each, scope) for each in node.instructions))

    def _let(self, node: tree.LetNode, scope: Scope) -> None:
        if isinstance(node.value, tree.BufferNode):
            for name in node.names:
                scope.define(name, self._buffer(name.text, node.value, scope))
        elif len(node.names) > 1:
            raise TextArgumentError("several names for one value", position=node.position, help="write one let for each")
        else:
            for name in node.names:
                scope.define(name, scope.value(node.value))

    def _buffer(self, name: str, node: tree.BufferNode, scope: Scope) -> Tile:
        given: dict[str, tree.ValueNode] = {}
        for option in node.options:
            if option.word not in _OPTIONS[node.kind] or option.word in given:
                why = "twice" if option.word in given else f"for {node.kind}"
                raise TextArgumentError(
                    f"the option {option.word} {why}",
                    position=option.position,
                    help=f"{node.kind} may have {', '.join(_OPTIONS[node.kind])}, once each",
                )
            given[option.word] = option.value
        shape, dtype = sizes_of(node.shape, scope), dtype_named(node.dtype, scope)
        layout = _word(given["layout"], _LAYOUTS) if "layout" in given else Layout.EU_ALIGNED
        at = scope.size(given["at"]) if "at" in given else None
        bank = _known(scope.size(given["bank"]), given["bank"]) if "bank" in given else None
        if node.kind == "scratch":
            return self.k.scratch(shape, dtype, layout=layout, name=name)
        if node.kind == "local":
            return self.k.local(shape, dtype, layout=layout, at=at, bank=bank, name=name)
        if len(shape) != 2:
            raise TextArgumentError(f"a matrix of {len(shape)} sizes", position=node.position, help="give [rows, columns]")
        over = _word(given["over"], {"rows": "rows", "columns": "columns"}) if "over" in given else None
        columns = scope.size(given["columns"]) if "columns" in given else None
        return self.k.matrix(
            shape[0],
            shape[1],
            dtype,
            over_lanes="rows" if over == "rows" else "columns" if over else None,
            columns_per_channel=columns,
            at=at,
            bank=bank,
            name=name,
        )

    def _loop(self, node: tree.LoopNode, scope: Scope) -> None:
        start, stop = scope.size(node.start), scope.size(node.stop)
        step = 1 if node.step is None else scope.size(node.step)
        if node.kind == "for":
            if node.buffers is not None:
                raise TextArgumentError("a `for` with buffers", position=node.buffers.position, help="make it a `pipeline`")
            turns = self.k.range(start, stop, step, name=node.var.text)
        else:
            buffers = 2 if node.buffers is None else _known(scope.size(node.buffers), node.buffers)
            turns = self.k.pipeline(start, stop, step, buffers=buffers, name=node.var.text)
        for index in turns:
            inner = scope.inner()
            inner.define(node.var, index)
            self.block(node.body, inner)

    # ------------------------------------------------------------------ operations

    def _op(self, node: tree.OpNode, scope: Scope) -> None:
        arguments = arguments_of(node, scope)
        method = getattr(self.k.tiu if node.group.text == "tiu" else self.k.dma, node.name.text)
        with at_place(node.position):
            self._labelled(node.label, method(**arguments, after=self._awaited(node.after)))

    def _call(self, node: tree.CallNode, scope: Scope) -> None:
        values = [_argument(scope.value(each), each.position) for each in node.arguments.values]
        named: dict[str, Argument] = {}
        for name, value in node.arguments.named:
            if name.text in named:
                raise TextArgumentError(f"{name.text} is given twice", position=name.position, help="give it once")
            named[name.text] = _argument(scope.value(value), value.position)
        after = self._awaited(node.after)
        self._labelled(node.label, self.k.call_named(node.alias or "call", node.function.text, values, named, after))

    def _awaited(self, labels: tuple[tree.LabelNode, ...]) -> list[Token]:
        for label in labels:
            if label.text not in self.labels:
                raise TextNameError(
                    f"there is no operation %{label.text} before this one",
                    position=label.position,
                    help=f"give it the label: `%{label.text} = dma.load(...);`",
                )
        return [self.labels[label.text] for label in labels]

    def _labelled(self, label: tree.LabelNode | None, token: Token) -> None:
        if label is None:
            return
        if label.text in self.labels:
            raise TextNameError(f"the label %{label.text} is taken already", position=label.position, help="take another one")
        self.labels[label.text] = token


# ---------------------------------------------------------------------------- kinds


def _word(node: tree.ValueNode, words: dict[str, T]) -> T:
    """What a word of the language stands for."""
    if isinstance(node, tree.Name) and node.text in words:
        return words[node.text]
    raise TextNameError("there is no such option", position=node.position, help=f"take one of {', '.join(words)}")


def _known(size: Size, node: tree.ValueNode) -> int:
    if isinstance(size, SymInt):
        raise TextValueError(f"{size!r} is not known while the kernel is traced", position=node.position, help="give a number")
    return size


def _string(value: Value, position: Position) -> str:
    if isinstance(value, str):
        return value
    raise TextValueError(f"{kind_of(value)} stands where a string is needed", position=position, help='write "text"')


def _printable(value: Value, position: Position) -> Size | str:
    if isinstance(value, str | SymInt) or (isinstance(value, int) and not isinstance(value, bool | Rounding)):
        return value
    raise TextValueError(f"{kind_of(value)} cannot be printed", position=position, help="print strings and sizes")


def _argument(value: Value, position: Position) -> Argument:
    """An argument of a TPUKernel function."""
    if isinstance(value, tuple):
        return tuple(_size_of(each, position) for each in value)
    return value


def _size_of(value: Value, position: Position) -> Size:
    if isinstance(value, SymInt) or (isinstance(value, int) and not isinstance(value, bool | Rounding)):
        return value
    told = f"{value!r}" if isinstance(value, Tensor) else kind_of(value)
    raise TextValueError(f"{told} in a list of sizes", position=position, help="lists hold sizes")
