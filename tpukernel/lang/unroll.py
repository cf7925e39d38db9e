"""From a kernel's intermediate representation and concrete shapes to commands: loops unrolled, pipelines skewed, sizes computed.

A command knows its operands as boxes of parameters and of buffers; addresses come later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tpukernel.chips.chip import Chip
from tpukernel.dtypes import Dtype, f32
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.dimensions import bound_dimensions
from tpukernel.lang.errors import AssertionFailedError, BufferOrderError, IndexRangeError, KernelIrError, SymbolicValueError
from tpukernel.lang.expr import Call, Comparison, Logic, Sum, Var, evaluate, holds, show
from tpukernel.lang.ir import (
    Allocate,
    Assert,
    Attribute,
    KernelIr,
    Local,
    Loop,
    Number,
    Op,
    Parallel,
    Param,
    Print,
    Raw,
    Statement,
    View,
    When,
)
from tpukernel.lang.limits import Steps
from tpukernel.lang.operands import operand_name, row_of
from tpukernel.lang.stages import direction_of, stages_of
from tpukernel.source import Position

__all__ = ["Box", "Buffer", "Command", "Value", "unroll"]

Value = int | float | str | bool | Dtype | Rounding | tuple[int, ...] | None
"""An attribute whose sizes are numbers."""

COEFFICIENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "log": ("log", "log1p", "logx", "arcsinh", "arccosh", "arctanh"),
    "sin": ("sin",),
    "cos": ("cos",),
    "tan": ("tan", "cot"),
    "arcsin": ("arcsin", "arccos"),
}
"""By the series whose coefficients a function of f32 takes as `coeff_addr`: the functions. All others take those of exp."""
_SERIES: Final = {f"tpu_bdc_fp32_{name}": series for series, names in COEFFICIENTS.items() for name in names}
_NAMED_SERIES: Final = {"exp_coeff": "exp", "log_coeff": "log", "ln_coeff": "log", "erf_coeff": "erf"}
COEFFICIENT_COUNT: Final = 32
"""The longest of these tables."""


@dataclass(frozen=True)
class Buffer:
    """One life of a buffer: from where it is made until it is made again.

    Attributes:
        local: the buffer.
        copy: which of the copies that a pipeline has.
        life: number of the life; unique.
        shape: its sizes in this life.
        cols_per_channel: of a matrix with rows in n.
        at: address given by the author.
    """

    local: Local
    copy: int
    life: int
    shape: tuple[int, ...]
    cols_per_channel: int | None = None
    at: int | None = None

    @property
    def slot(self) -> tuple[str, int]:
        """What has one address: the buffer and the number of the copy."""
        return self.local.name, self.copy


@dataclass(frozen=True)
class Box:
    """A box of a parameter or of a buffer: first element and size of each dimension; `kept` are those that an index did not drop."""

    base: Buffer | Param
    whole: tuple[int, ...]
    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    kept: tuple[bool, ...]

    @property
    def dtype(self) -> Dtype:
        return self.base.local.dtype if isinstance(self.base, Buffer) else self.base.dtype

    @property
    def place(self) -> object:
        """Equal for boxes that can share bytes (as far as no author gave addresses)."""
        return self.base.slot if isinstance(self.base, Buffer) else self.base.name

    def meets(self, other: Box) -> bool:
        """Whether both have an element in common."""
        if self.place != other.place:
            return False
        spans = zip(self.starts, self.sizes, other.starts, other.sizes, strict=True)
        return all(one < two + many and two < one + some for one, some, two, many in spans)

    def __str__(self) -> str:
        name = self.base.local.name if isinstance(self.base, Buffer) else self.base.name
        shape = ", ".join(str(size) for size, kept in zip(self.sizes, self.kept, strict=True) if kept)
        return f"{name} {self.dtype.name}[{shape}]"


@dataclass(eq=False)
class Command:
    """One operation with numbers for all sizes.

    Attributes:
        op: the operation; Raw for instructions that are ready.
        operands: boxes and numbers by name.
        attributes: the other arguments.
        indices: the loop indices, for messages.
        region: number of the outermost pipeline around it; 0 outside.
        section: number of the parallel section; 0 outside.
        waits: commands named by `after`.
    """

    op: Op | Raw
    operands: Mapping[str, Box | Number] = field(default_factory=dict[str, "Box | Number"])
    attributes: Mapping[str, Value] = field(default_factory=dict[str, "Value"])
    indices: Mapping[str, int] = field(default_factory=dict[str, int])
    region: int = 0
    section: int = 0
    waits: tuple[Command, ...] = ()

    @property
    def position(self) -> Position | None:
        return self.op.position

    @property
    def name(self) -> str:
        return self.op.name if isinstance(self.op, Op) else "raw instructions"

    def boxes(self) -> Iterator[tuple[str, Box]]:
        """The operands that are tensors."""
        for name, operand in self.operands.items():
            if isinstance(operand, Box):
                yield name, operand

    def where(self) -> str | None:
        """The place in the source, and the loop indices."""
        if self.position is None:
            return None
        return self.position.rendered() + told_indices(self.indices)


def told_indices(indices: Mapping[str, int]) -> str:
    """Loop indices for the end of a message."""
    return f"\n     with {', '.join(f'{name} = {value}' for name, value in indices.items())}" if indices else ""


def unroll(kernel: KernelIr, shapes: Mapping[str, tuple[int, ...]], chip: Chip, *, limit: int | None = None) -> list[Command]:
    """The commands of a kernel, in the order in which they are issued; `limit` is that of `elaborate`.

    Raises:
        IndexRangeError: a view is not inside of its tensor.
        AssertionFailedError: a condition that the kernel states does not hold.
        BufferOrderError: the steps of a pipeline cannot overlap.
        KernelIrError: the representation contradicts itself.
        CallError: it is not for these shapes.
        UnrollLimitError: there are more than `limit`.
    """
    return _Unroller(kernel, shapes, chip, Steps(kernel.name, limit)).run()


class _Unroller:
    def __init__(self, kernel: KernelIr, shapes: Mapping[str, tuple[int, ...]], chip: Chip, steps: Steps) -> None:
        self._steps = steps
        self._kernel, self._shapes, self._chip = kernel, shapes, chip
        self._params = {param.name: param for param in kernel.params}
        self._dimensions = bound_dimensions(kernel, shapes)
        self._indices: dict[str, int] = {}
        self._buffers: dict[str, Buffer] = {}
        self._latest: dict[int, Command] = {}
        self._out: list[tuple[int, Command]] = []
        self._stages: dict[int, int] = {}
        self._stage: int = 0
        self._step: int = 0
        self._copies: int = 1
        self._lives: int = 0
        self._regions: int = 0
        self._region: int = 0
        self._sections: int = 0
        self._section: int = 0
        self._tables: dict[str, Buffer] = {}

    def run(self) -> list[Command]:
        self._block(self._kernel.body)
        commands = [command for _, command in self._out]
        return [*self._table_loads(commands), *commands]

    @property
    def _values(self) -> Mapping[str, int]:
        return self._dimensions | self._indices

    def _block(self, body: tuple[Statement, ...]) -> None:
        for statement in body:
            self._stage = self._stages.get(id(statement), self._stage)
            self._steps.take(_place(statement))
            self._statement(statement)

    def _statement(self, statement: Statement) -> None:
        match statement:
            case Op():
                self._add(self._command(statement))
            case Raw():
                self._add(Command(statement, indices=dict(self._indices), region=self._region, section=self._section))
            case Allocate(local):
                self._buffers[local.name] = self._born(local)
            case Loop():
                self._loop(statement)
            case When(condition, body):
                if holds(condition, self._values):
                    self._block(body)
            case Parallel(body):
                self._sections += 1
                self._section = self._sections
                self._block(body)
                self._section = 0
            case Assert(condition, message, position):
                if not holds(condition, self._values):
                    where = None if position is None else position.rendered() + told_indices(self._indices)
                    stated = "what the kernel states" if isinstance(condition, bool) else show(condition)
                    raise AssertionFailedError(f"{stated} does not hold: {message}", position=position, where=where)
            case Print(values):
                print(*(value if isinstance(value, str) else evaluate(value, self._values) for value in values))

    def _add(self, command: Command) -> None:
        self._out.append((self._stage, command))
        if isinstance(command.op, Op) and command.op.token:
            self._latest[command.op.token] = command

    # ------------------------------------------------------------------ loops

    def _loop(self, loop: Loop) -> None:
        if loop.kind == "pipeline" or self._is_nest(loop):
            self._pipeline(loop)
            return
        for _ in self._turns(loop):
            self._block(loop.body)

    def _is_nest(self, loop: Loop) -> bool:
        """A loop that holds nothing but a pipeline is a part of it: its steps overlap as those of the pipeline do."""
        if loop.kind == "pipeline":
            return True
        return len(loop.body) == 1 and isinstance(loop.body[0], Loop) and self._is_nest(loop.body[0])

    def _turns(self, loop: Loop) -> Iterator[int]:
        start, stop, step = (evaluate(each, self._values) for each in (loop.start, loop.stop, loop.step))
        if step < 1:
            raise SymbolicValueError(f"a loop with step {step}", position=loop.position, help="give a step of 1 or more")
        for index in range(start, stop, step):
            self._steps.take(loop.position)
            self._indices[loop.var] = index
            yield index
        self._indices.pop(loop.var, None)

    def _nested_turns(self, loop: Loop) -> Iterator[Loop]:
        """All turns of a pipeline and the loops that hold nothing else; yields the pipeline each time."""
        for _ in self._turns(loop):
            if loop.kind == "pipeline":
                yield loop
            elif isinstance(inner := loop.body[0], Loop):
                yield from self._nested_turns(inner)

    def _pipeline(self, loop: Loop) -> None:
        outer = (self._out, self._stages, self._stage, self._step, self._copies, self._region)
        pipeline = loop
        while pipeline.kind != "pipeline" and isinstance(inner := pipeline.body[0], Loop):
            pipeline = inner
        if not self._region:
            self._regions += 1
            self._region = self._regions
        self._steps.compare(pipeline.position, len(pipeline.body) ** 2)
        self._stages, self._copies = stages_of(pipeline.body, pipeline.buffers), pipeline.buffers
        turns: list[list[tuple[int, Command]]] = []
        for number, _ in enumerate(self._nested_turns(loop)):
            self._out, self._step, self._stage = [], number, 0
            self._block(pipeline.body)
            turns.append(self._out)
        self._out, self._stages, self._stage, self._step, self._copies, self._region = outer
        _check_order(turns, pipeline, self._steps)
        self._out += [(self._stage, command) for command in _skewed(turns)]

    # ------------------------------------------------------------------ operands

    def _born(self, local: Local) -> Buffer:
        shape = tuple(evaluate(size, self._values) for size in local.shape)
        if min(shape) < 1:
            raise IndexRangeError(
                f"buffer {local.name} has shape {shape}",
                position=local.position,
                where=None if local.position is None else local.position.rendered() + told_indices(self._indices),
                help="make sizes of 1 or more; skip empty pieces with k.when",
            )
        self._lives += 1
        copy = self._step % self._copies if local.rotates else 0
        self._steps.make(local.position, (local.name, copy))
        return Buffer(
            local,
            copy,
            self._lives,
            shape,
            None if local.cols_per_channel is None else evaluate(local.cols_per_channel, self._values),
            None if local.at is None else evaluate(local.at, self._values),
        )

    def _command(self, op: Op) -> Command:
        operands: dict[str, Box | Number] = {}
        for name, operand in op.operands:
            operands[name] = self._box(op, name, operand) if isinstance(operand, View) else operand
        for parameter in row_of(op.row).parameters:
            name = operand_name(parameter)
            if parameter.kind.name == "local" and name not in operands and name not in dict(op.attributes):
                if parameter.kind.direction == "work":
                    operands[name] = self._work(op, name, operands)
                elif parameter.kind.direction and "coeff" in name:
                    operands[name] = self._table(_NAMED_SERIES.get(name) or _SERIES.get(op.row, "exp"))
        attributes = {name: self._attribute(value) for name, value in op.attributes}
        waits = tuple(self._latest[token] for token in op.after if token in self._latest)
        return Command(op, operands, attributes, dict(self._indices), self._region, self._section, waits)

    def _attribute(self, value: Attribute) -> Value:
        match value:
            case Comparison() | Logic():
                return holds(value, self._values)
            case Var() | Call() | Sum():
                return evaluate(value, self._values)
            case tuple():
                return tuple(evaluate(each, self._values) for each in value)
            case _:
                return value

    def _box(self, op: Op, name: str, view: View) -> Box:
        base: Buffer | Param | None = self._params.get(view.base) or self._buffers.get(view.base)
        if base is None:
            raise KernelIrError(f"{name} of {op.name} is {view.base}, which was never made", position=op.position)
        whole = base.shape if isinstance(base, Buffer) else self._shapes[base.name]
        starts = tuple(evaluate(span.start, self._values) for span in view.spans)
        sizes = tuple(evaluate(span.size, self._values) for span in view.spans)
        box = Box(base, whole, starts, sizes, tuple(span.kept for span in view.spans))
        for axis, (start, size, limit) in enumerate(zip(starts, sizes, whole, strict=True)):
            if start < 0 or size < 1 or start + size > limit:
                where = "" if op.position is None else op.position.rendered() + told_indices(self._indices)
                raise IndexRangeError(
                    f"{name} of {op.name} takes elements {start} to {start + size} of dimension {axis} of {view.base}, which has {limit}",
                    position=op.position,
                    where=where or None,
                    help="cut the last piece with tpukernel.minimum(tile, size - start)",
                )
        return box

    def _hidden(self, name: str, shape: tuple[int, ...], dtype: Dtype) -> Box:
        self._lives += 1
        buffer = Buffer(Local(name, shape, dtype, rotates=False), 0, self._lives, shape)
        return Box(buffer, shape, (0,) * 4, shape, (True,) * 4)

    def _work(self, op: Op, name: str, operands: Mapping[str, Box | Number]) -> Box:
        """Working memory of the shape of the result."""
        result = operands.get("dst")
        if not isinstance(result, Box) or len(result.sizes) != 4:
            raise KernelIrError(f"{op.name} needs {name}, and has no result that says how large", position=op.position)
        return self._hidden(name, result.sizes, result.dtype)

    def _table(self, series: str) -> Box:
        if series not in self._tables:
            box = self._hidden(f"coefficients of {series}", (1, 1, 1, COEFFICIENT_COUNT), f32)
            assert isinstance(box.base, Buffer)  # noqa: S101
            self._tables[series] = box.base
        base = self._tables[series]
        return Box(base, base.shape, (0,) * 4, base.shape, (True,) * 4)

    def _table_loads(self, commands: list[Command]) -> Iterator[Command]:
        """The coefficients are loaded once, before everything else."""
        for series in self._tables:
            box = self._table(series)
            first = next(command for command in commands if any(each.base is box.base for _, each in command.boxes()))
            op = Op(f"coefficients of {series}", f"tpu_bdc_load_fp32_{series}_coeff", (), position=first.position)
            yield Command(op, {"coeff": box})


def _place(statement: Statement) -> Position | None:
    match statement:
        case Allocate(local):
            return local.position
        case Print():
            return None
        case _:
            return statement.position


# ---------------------------------------------------------------------------- pipelines


def _skewed(turns: list[list[tuple[int, Command]]]) -> Iterator[Command]:
    """Step after step: what earlier turns do in their later stages comes first."""
    steps: dict[int, list[Command]] = {}
    for turn, commands in enumerate(turns):
        for stage, command in commands:
            steps.setdefault(turn + stage, []).append(command)
    for step in sorted(steps):
        yield from steps[step]


def _check_order(turns: list[list[tuple[int, Command]]], loop: Loop, steps: Steps) -> None:
    """No two commands that the skew exchanges touch the same elements, unless both read."""
    for turn, commands in enumerate(turns):
        for place, (stage, command) in enumerate(commands):
            for distance in range(min(stage, len(turns) - 1 - turn) + 1):
                later = turns[turn + distance][place + 1 if distance == 0 else 0 :]
                steps.compare(command.position, len(later))
                for other_stage, other in later:
                    if other_stage + distance < stage:
                        _refuse_conflict(command, other, distance, loop)


def _refuse_conflict(command: Command, later: Command, distance: int, loop: Loop) -> None:
    for name, box in command.boxes():
        for other_name, other in later.boxes():
            if not isinstance(command.op, Op) or not isinstance(later.op, Op) or not box.meets(other):
                continue
            if direction_of(command.op, name) == "in" and direction_of(later.op, other_name) == "in":
                continue
            what = "the next step" if distance == 1 else f"a step {distance} later" if distance else "the same step"
            shared = "" if isinstance(box.base, Param) else f"make {box.base.local.name} inside of the loop, so that each step has its own,"
            first = "" if command.position is None else f"\n  and {command.position.rendered()}"
            raise BufferOrderError(
                f"{later.name} of {what} uses {other}, but has to wait for {command.name}: the steps of this pipeline cannot overlap",
                position=later.position,
                where=(later.where() or "") + first,
                help=f"{shared.strip()} or use k.range (the loop is at {loop.position})".removeprefix("or ").strip(),
            )
