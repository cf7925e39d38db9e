"""Which statements of a pipeline's body run ahead of others: the stages by which neighbouring steps overlap.

A stage is how many steps behind the first statement another one of the same step comes. A statement that needs nothing of its step has
stage 0; one that needs what the other engine did has a stage more. Loads, computation and stores of most bodies have stages 0, 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tpukernel.lang.ir import Allocate, Assert, Op, Print, Raw, Statement, View, When, walk
from tpukernel.lang.operands import operand_name, row_of

__all__ = ["direction_of", "engine_of", "stages_of"]

UnitEngine = Literal["tiu", "gdma", "mixed", "host"]


def engine_of(op: Op) -> Literal["tiu", "gdma"]:
    """The engine that executes an operation."""
    return "gdma" if op.row.startswith("tpu_gdma") else "tiu"


def direction_of(op: Op, operand: str) -> Literal["in", "out", "inout"]:
    """Whether an operation reads or writes an operand; "inout" where it depends on other arguments."""
    for parameter in row_of(op.row).parameters:
        if operand_name(parameter) == operand:
            direction = parameter.kind.direction
            return direction if direction in ("in", "out") else "inout"
    return "inout"


@dataclass
class _Unit:
    """A statement that keeps its order inside: an operation, or a block of them."""

    statement: Statement
    engine: UnitEngine
    reads: set[str]
    writes: set[str]
    anything: bool = False

    def needs(self, before: _Unit) -> bool:
        if "host" in (self.engine, before.engine):
            return False
        touched = self.reads | self.writes
        return self.anything or before.anything or bool(before.writes & touched) or bool(before.reads & self.writes)


def stages_of(body: tuple[Statement, ...], most: int) -> dict[int, int]:
    """The stages of the statements of a body, from 0 to `most`, by the `id` of the statement."""
    found: list[tuple[_Unit, int]] = []
    for statement in _split(body):
        unit = _unit(statement)
        stage = 0
        for before, earlier in found:
            if unit.needs(before):
                crosses = before.engine != unit.engine or unit.engine == "mixed"
                stage = max(stage, earlier + crosses)
        found.append((unit, min(stage, most)))
    return {id(unit.statement): stage for unit, stage in found}


def _split(body: tuple[Statement, ...]) -> Iterator[Statement]:
    for statement in body:
        if isinstance(statement, When) and all(isinstance(each, Op | Allocate) for each in walk(statement.body)):
            yield from (each for each in statement.body if isinstance(each, Op))
        elif not isinstance(statement, Allocate):
            yield statement


def _unit(statement: Statement) -> _Unit:
    if isinstance(statement, Assert | Print):
        return _Unit(statement, "host", set(), set())
    inside = list(walk((statement,)))
    ops = [each for each in inside if isinstance(each, Op)]
    reads: set[str] = set()
    writes: set[str] = set()
    for op in ops:
        for name, operand in op.operands:
            if isinstance(operand, View):
                direction = direction_of(op, name)
                reads |= {operand.base} if direction != "out" else set()
                writes |= {operand.base} if direction != "in" else set()
    engines: set[UnitEngine] = {engine_of(op) for op in ops}
    engine: UnitEngine = engines.pop() if len(engines) == 1 else "mixed"
    return _Unit(statement, engine, reads, writes, anything=any(isinstance(each, Raw) for each in inside))
