"""Instructions with their addresses as text, for what TPUKernel functions emitted that the author called with addresses of his own."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from enum import IntEnum
from typing import Final

from tpukernel.chips.chip import Chip, chip_of
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.spec import OperandField
from tpukernel.isa.tables import instruction_set
from tpukernel.lang.symbols import SymInt, at_place
from tpukernel.lang.text import tree
from tpukernel.lang.text.errors import TextArgumentError, TextNameError, TextValueError
from tpukernel.lang.text.values import Scope, dtype_named, sizes_of
from tpukernel.lang.text.words import literal

__all__ = ["instruction_of", "instruction_text"]

_HIDDEN: Final = frozenset({"op", "id", "depends"})


# ---------------------------------------------------------------------------- text


def instruction_text(instruction: Instruction) -> str:
    """An instruction as text: what is not the default, in the order of declaration."""
    given = ", ".join(f"{name}={_value_text(value)}" for name, value in _given(instruction))
    return f"{instruction.title}({given})"


def _given(instruction: Instruction) -> Iterator[tuple[str, object]]:
    for name, spec in instruction.specs.items():
        value = instruction.value_of(name)
        if name not in _HIDDEN and (value != spec.default or type(value) is not type(spec.default)):
            yield name, value


def _value_text(value: object) -> str:
    match value:
        case LocalTensor(address, shape, dtype, layout, strides, pack):
            options = "" if layout is Layout.EU_ALIGNED else f" layout {layout.value}"
            options += "" if strides is None else f" strides {strides}"
            options += "" if pack == 1 else f" pack {pack}"
            return f"local {dtype.name}[{_listed(shape)}] at {address:#x}{options}"
        case SystemTensor(address, shape, dtype, strides):
            return f"system {dtype.name}[{_listed(shape)}] at {address:#x}{'' if strides is None else f' strides {strides}'}"
        case Constant(bits, dtype):
            return f"bits {dtype.name}[{bits:#x}]"
        case IntEnum():
            return value.name.lower()
        case tuple():
            return literal(tuple(value))  # pyright: ignore[reportUnknownArgumentType]
        case int() if value > 9999 and not isinstance(value, bool):
            return hex(value)
        case _:
            return literal(value)


def _listed(shape: Dim4) -> str:
    return ", ".join(map(str, shape))


# ---------------------------------------------------------------------------- reading


def instruction_of(node: tree.InstructionNode, scope: Scope) -> Instruction:
    """The instruction that a text stands for.

    Raises:
        TextNameError: there is no such instruction, or it has no such operand.
        TextArgumentError: an operand is missing, or given twice.
        TpuError: the chip forbids it.
    """
    chip = chip_of("BM1684X") if scope.chip is None else scope.chip
    unit = _unit(node, chip)
    values: dict[str, object] = {} if node.op is None else {"op": _enumerated(unit, "op", node.op)}
    for name, value in node.values:
        if name.text not in unit.specs or name.text in _HIDDEN:
            known = ", ".join(each for each in unit.specs if each not in _HIDDEN)
            raise TextNameError(f"{node.family.text} has no `{name.text}`", position=name.position, help=f"it has {known}")
        if name.text in values:
            raise TextArgumentError(f"{name.text} is given twice", position=name.position, help="give it once")
        values[name.text] = _value(unit, name, value, scope)
    with at_place(node.position):
        try:
            return unit(**values)
        except TypeError as error:  # what is missing, or no operand
            raise TextArgumentError(str(error), position=node.position, help="give each operand that the unit needs") from None


def _unit(node: tree.InstructionNode, chip: Chip) -> type[Instruction]:
    units = {unit.family: unit for unit in instruction_set(chip).units}
    unit = units.get(node.family.text)
    if unit is None:
        near = get_close_matches(node.family.text, units, 3)
        raise TextNameError(
            f"{chip.name} has no instruction `{node.family.text}`",
            position=node.family.position,
            help=f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(units)}",
        )
    if ("op" in unit.specs) != (node.op is not None):
        wanted = "an operation" if node.op is None else "no operation"
        raise TextArgumentError(f"{unit.family} has {wanted}", position=node.family.position, help="write family.operation(...)")
    return unit


def _enumerated(unit: type[Instruction], name: str, node: tree.Name) -> IntEnum:
    """The member of an enumeration that a word names."""
    kind = getattr(unit.specs[name], "kind", None)
    members = {member.name.lower(): member for member in kind} if isinstance(kind, type) and issubclass(kind, IntEnum) else {}
    if node.text in members:
        return members[node.text]
    raise TextNameError(
        f"{name} of {unit.family} is never `{node.text}`", position=node.position, help=f"it is one of {', '.join(members)}"
    )


def _value(unit: type[Instruction], name: tree.Name, node: tree.TensorNode | tree.ValueNode, scope: Scope) -> object:
    spec = unit.specs[name.text]
    if isinstance(node, tree.TensorNode):
        if not isinstance(spec, OperandField):
            raise TextValueError(f"{name.text} of {unit.family} is no tensor", position=node.position, help="give a number")
        return _tensor(node, scope)
    kind = getattr(spec, "kind", None)
    if isinstance(node, tree.Name) and isinstance(kind, type) and issubclass(kind, IntEnum):
        return _enumerated(unit, name.text, node)
    value = scope.value(node)
    numbers = value if isinstance(value, tuple) else (value,)
    if not all(each is None or isinstance(each, int | Dtype) for each in numbers):
        raise TextValueError(f"{name.text} of {unit.family} is no number", position=node.position, help="give numbers that are known")
    return value


def _tensor(node: tree.TensorNode, scope: Scope) -> LocalTensor | SystemTensor | Constant:
    numbers = _known(node.shape, scope)
    dtype = dtype_named(node.dtype, scope)
    if node.memory == "bits":
        if len(numbers) != 1 or node.options or not 0 <= numbers[0] < 1 << 32:
            raise TextValueError("a constant is 32 bits: bits f32[0x3f800000]", position=node.position, help="write one number")
        return Constant(numbers[0], dtype)
    options = {option.word: option for option in node.options}
    known = {"at", "layout", "strides", "pack"} if node.memory == "local" else {"at", "strides"}
    if len(numbers) != 4 or "at" not in options or not options.keys() <= known or len(options) != len(node.options):
        raise TextValueError(
            "a tensor of an instruction has four sizes and an address",
            position=node.position,
            help="write local f32[1, 64, 4, 16] at 0x1000",
        )
    address = _known((options["at"].value,), scope)[0]
    strides = None if "strides" not in options else _strides(options["strides"], scope)
    shape: Dim4 = (numbers[0], numbers[1], numbers[2], numbers[3])
    if node.memory == "system":
        return SystemTensor(address, shape, dtype, strides)
    pack = _known((options["pack"].value,), scope)[0] if "pack" in options else 1
    return LocalTensor(address, shape, dtype, _layout(options.get("layout")), strides, pack)


def _layout(option: tree.Option | None) -> Layout:
    if option is None:
        return Layout.EU_ALIGNED
    layouts = {layout.value: layout for layout in Layout}
    if isinstance(option.value, tree.Name) and option.value.text in layouts:
        return layouts[option.value.text]
    raise TextNameError("there is no such layout", position=option.position, help=f"take one of {', '.join(layouts)}")


def _strides(option: tree.Option, scope: Scope) -> Dim4:
    if isinstance(option.value, tree.TupleNode) and len(option.value.values) == 4:
        n, c, h, w = _known(option.value.values, scope)
        return n, c, h, w
    raise TextValueError("strides are four numbers", position=option.position, help="write strides (4096, 64, 16, 1)")


def _known(nodes: tuple[tree.ValueNode, ...], scope: Scope) -> list[int]:
    sizes = sizes_of(nodes, scope)
    for size, node in zip(sizes, nodes, strict=True):
        if isinstance(size, SymInt):
            raise TextValueError(f"{size!r} is not known while the kernel is traced", position=node.position, help="give a number")
    return [size for size in sizes if isinstance(size, int)]
