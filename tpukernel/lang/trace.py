"""Tracing: a kernel runs once, as ordinary Python, and what it does is written down as intermediate representation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType

from tpukernel.api.recording import Recorder
from tpukernel.chips.chip import Chip
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.program import Program
from tpukernel.lang.errors import KernelError, LoopExitError
from tpukernel.lang.expr import Expr, Var
from tpukernel.lang.ir import Attribute, Loop, Op, Operand, Parallel, Raw, Statement, When, walk
from tpukernel.lang.symbols import PACKAGES, Size, SymBool, SymInt, assigned, condition_of, expr_of, here
from tpukernel.source import Position, position_of, user_frame

__all__ = ["After", "Block", "Token", "TraceRecorder", "Tracer"]


class Token:
    """An operation of a kernel, for `after=` of others."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


After = Token | Sequence[Token] | None
"""Operations for which another one waits."""


class Tracer:
    """Takes down statements.

    Attributes:
        chip: the chip that the kernel is traced for.
        shapes: whole shapes of the parameters by name.
        blocks: the statements of the blocks that are open, the outermost first.
        problems: mistakes that could not be raised where they happened.
    """

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.shapes: dict[str, tuple[Expr, ...]] = {}
        self.blocks: list[list[Statement]] = [[]]
        self.problems: list[KernelError] = []
        self._names: set[str] = set()
        self._tokens = 0
        self._open: list[tuple[Position, str]] = []

    def emit(self, statement: Statement) -> None:
        """Add a statement to the innermost block."""
        self.blocks[-1].append(statement)

    def unique(self, wanted: str) -> str:
        """A name that nothing else has: the one that is wanted, or that with a number."""
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    def op(
        self,
        name: str,
        row: str,
        operands: dict[str, Operand],
        attributes: dict[str, Attribute] | None = None,
        *,
        after: After = None,
        position: Position | None = None,
    ) -> Token:
        """Add an operation."""
        self._tokens += 1
        waits = () if after is None else (after,) if isinstance(after, Token) else tuple(after)
        place = position or here()
        self.emit(
            Op(
                name,
                row,
                tuple(operands.items()),
                tuple((attributes or {}).items()),
                token=self._tokens,
                after=tuple(each.number for each in waits),
                position=place,
            )
        )
        return Token(self._tokens)

    # ------------------------------------------------------------------ blocks

    def loop(
        self, kind: str, start: Size, stop: Size, step: Size, buffers: int, position: Position, name: str | None = None
    ) -> Iterator[SymInt]:
        """The one turn that a loop makes while it is traced. The index has the name given, by default that of the variable."""
        name = self.unique(name or assigned() or "i")
        limits: tuple[Expr, Expr, Expr] = (expr_of(start), expr_of(stop), expr_of(step))
        self.blocks.append([])
        self._open.append((position, kind))
        depth, finished = len(self.blocks), False
        try:
            yield SymInt(Var(name))
            finished = True
        finally:
            del self._open[-1:]
            body = tuple(self.blocks[depth - 1])
            del self.blocks[depth - 1 :]
            if not finished:
                self._left(kind, position)
        self.emit(Loop("pipeline" if kind == "pipeline" else "range", name, *limits, body, buffers, position))

    def _left(self, kind: str, position: Position) -> None:
        """A loop ended before its body did. (What is raised while a generator is closed would be swallowed.)"""
        leaving = here()
        inside = leaving.file == position.file and leaving.line > position.line  # a loop that `next` or another function took has no exit
        self.problems.append(
            LoopExitError(
                f"k.{kind} was left by break or return",
                position=leaving if inside else position,
                where=f"{leaving.rendered()}\n  the loop is at {position.rendered()}" if inside else None,
                help="the body is traced once and stands for all steps: use `with k.when(condition):`, or change the limits of the loop",
            )
        )

    def finish(self) -> tuple[Statement, ...]:
        """The statements of the whole kernel.

        Raises:
            LoopExitError: a loop was left by `break` or `return`.
        """
        if self._open and not self.problems:
            position, kind = self._open[-1]
            self._left(kind, position)
        for problem in self.problems:
            raise problem
        body = tuple(self.blocks[0])
        tokens = [each.token for each in walk(body) if isinstance(each, Op)]
        if len(tokens) == self._tokens:
            return body
        return tuple(_renumbered(body, {token: number for number, token in enumerate(tokens, 1)}))


def _renumbered(body: tuple[Statement, ...], numbers: Mapping[int, int]) -> Iterator[Statement]:
    """The statements with other numbers of operations. Nobody waits for those that are not there, as in a `when` that never holds."""
    for statement in body:
        match statement:
            case Op(token=token, after=after):
                yield replace(statement, token=numbers[token], after=tuple(numbers[each] for each in after if each in numbers))
            case Loop() | When() | Parallel():
                yield replace(statement, body=tuple(_renumbered(statement.body, numbers)))
            case _:
                yield statement


class Block:
    """`with` blocks of a kernel: `k.when` and `k.parallel`."""

    def __init__(self, tracer: Tracer, condition: SymBool | bool | None, position: Position) -> None:
        self._tracer, self._position = tracer, position
        self._condition = None if condition is None else condition_of(condition)

    def __enter__(self) -> None:
        self._tracer.blocks.append([])

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        body = tuple(self._tracer.blocks.pop())
        if error is not None:
            return
        if self._condition is None:
            self._tracer.emit(Parallel(body, self._position))
        elif self._condition is True:
            for statement in body:
                self._tracer.emit(statement)
        elif self._condition is not False:
            self._tracer.emit(When(self._condition, body, self._position))


class TraceRecorder(Recorder):
    """Takes what TPUKernel functions emit that are called inside a kernel, with addresses of the author's own."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(Program(tracer.chip))
        self._tracer = tracer

    def emit(self, instructions: Sequence[Instruction]) -> None:
        """Write the instructions down as a statement."""
        for instruction in instructions:
            instruction.check(self._tracer.chip)
        self._tracer.emit(Raw(tuple(instructions), position_of(user_frame((*PACKAGES, "tpukernel.api")))))
