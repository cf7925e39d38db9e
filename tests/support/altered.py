"""Seeded faults: models of which one command was changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from bmlang.bmodel import Binary, BModel
from bmlang.bmodel.memory import command_groups
from bmlang.bmodel.schema import CmdGroup
from tpukernel import BM1684X
from tpukernel.chips.chip import Engine
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa import Arith, ArithOp, Instruction, Program

_OTHER_OP = {ArithOp.ADD: ArithOp.SUB, ArithOp.SUB: ArithOp.ADD, ArithOp.MUL: ArithOp.ADD, ArithOp.MAX: ArithOp.MIN}
SHIFT = 64
"""Bytes by which an operand is moved: elements stay aligned, and the tensors of the models are larger."""


@dataclass(frozen=True)
class Fault:
    """A changed command: which one, what was done to it, and the model that has it."""

    engine: Engine
    number: int
    what: str
    model: BModel

    def __str__(self) -> str:
        return f"{self.engine}{self.number}-{self.what}"


@cache
def group_of(model: BModel) -> CmdGroup:
    """The only command group of a model."""
    (net,) = model.model.net
    (stage,) = net.stages
    (group,) = command_groups(stage.subnets[0])
    return group


def program_of(model: BModel) -> Program:
    """The program of a model with one command group."""
    group = group_of(model)
    tiu, gdma = (bytes(binary.data) if binary else b"" for binary in (group.binary_bdc, group.binary_gdma))
    return Program.from_streams(BM1684X, tiu=tiu, gdma=gdma)


def with_program(model: BModel, program: Program) -> BModel:
    """The model with another program of one group."""
    streams, commands = program.streams(), program.groups[0]
    group = replace(
        group_of(model),
        binary_bdc=Binary(streams["tiu"]),
        binary_gdma=Binary(streams["gdma"]),
        bdc_num=len(commands.tiu),
        gdma_num=len(commands.gdma),
        bdc_cmd_byte=len(streams["tiu"]),
        gdma_cmd_byte=len(streams["gdma"]),
    )
    (net,) = model.model.net
    (stage,) = net.stages
    stage = replace(stage, sub_net=(replace(stage.subnets[0], cmd_group=(group,)), *stage.subnets[1:]), cmd_group=(group,))
    return BModel(replace(model.model, net=(replace(net, parameter=(stage,)),)))


def faults(model: BModel) -> Iterator[Fault]:
    """The model with each command changed in each way that suits it."""
    engines: tuple[Engine, Engine] = ("tiu", "gdma")
    for engine in engines:
        for k, instruction in enumerate(program_of(model).groups[0].commands(engine)):
            for what, changed in _changes(instruction):
                program = program_of(model)
                program.groups[0].commands(engine)[k] = changed
                yield Fault(engine, k + 1, what, with_program(model, program))


def _changes(instruction: Instruction) -> Iterator[tuple[str, Instruction]]:
    if isinstance(instruction, Arith):
        yield "op", instruction.replace(op=_OTHER_OP[ArithOp(instruction.op)])
    sources = [use for use in instruction.operands() if use.direction == "in"]
    for use in sources[:1]:  # of several tensors one is enough
        if isinstance(use.value, LocalTensor | SystemTensor):
            yield use.name, instruction.replace(**{use.name: replace(use.value, address=use.value.address + SHIFT)})
    for use in sources:
        if isinstance(use.value, Constant):
            yield use.name, instruction.replace(**{use.name: Constant.of(use.value.value + 0.5, use.value.dtype)})
