"""From commands with addresses to instructions: operands become arguments of the rows of the function table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tpukernel.api.arguments import Variable
from tpukernel.api.function import Parameter
from tpukernel.chips.chip import Chip
from tpukernel.chips.layout import local_placement, strides_of, system_placement
from tpukernel.chips.placement import Axis, Placement
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.errors import TpuError
from tpukernel.isa.instruction import Instruction
from tpukernel.lang.allocate import buffer_tensor
from tpukernel.lang.errors import KernelError, LayoutMismatchError, OperandTypeError, ShapeMismatchError
from tpukernel.lang.ir import Op
from tpukernel.lang.operands import operand_name, row_of
from tpukernel.lang.unroll import Box, Buffer, Command, Value
from tpukernel.lang.weights import packed_row

__all__ = ["Lowering", "Placed", "lower"]

Placed = LocalTensor | SystemTensor


class Lowering:
    """Makes instructions of commands. Steps of a pipeline repeat what the tensor unit does, so each such command is made once.

    Args:
        addresses: local addresses of the buffers.
        systems: system addresses of the parameters.
        chip: the chip.
    """

    def __init__(self, addresses: Mapping[tuple[str, int], int], systems: Mapping[str, int], chip: Chip) -> None:
        self._addresses, self._systems, self._chip = addresses, systems, chip
        self._made: dict[object, Sequence[Instruction]] = {}

    def instructions(self, command: Command) -> Sequence[Instruction]:
        """The instructions of a command, checked.

        Raises:
            TpuError: as `lower`.
        """
        if not isinstance(command.op, Op):
            return command.op.instructions
        tensors = _tensors(command, self._addresses, self._systems, self._chip)
        numbers = tuple((name, repr(value)) for name, value in command.operands.items() if name not in tensors)
        attributes = tuple((name, repr(value)) for name, value in command.attributes.items())
        key = (command.op.row, tuple(tensors.items()), numbers, attributes)
        if key not in self._made:
            self._made[key] = lower(command, tensors, self._chip)
        return self._made[key]


def _tensors(command: Command, addresses: Mapping[tuple[str, int], int], systems: Mapping[str, int], chip: Chip) -> Mapping[str, Placed]:
    try:
        return {name: _tensor(box, addresses, systems, chip) for name, box in command.boxes()}
    except TpuError as error:
        error.where = command.where()
        raise


def lower(command: Command, tensors: Mapping[str, Placed], chip: Chip) -> Sequence[Instruction]:
    """The instructions of a command, checked.

    Args:
        command: the command, no raw one.
        tensors: its operands in memory.
        chip: the chip.

    Raises:
        ShapeMismatchError, LayoutMismatchError: the operands do not fit together.
        TpuError: the chip forbids it; the message names the user's line.
    """
    assert isinstance(command.op, Op)  # noqa: S101
    try:
        if _is_weight_load(tensors):
            found = list(_weight_load(tensors, chip, command))
        elif _is_channel_load(tensors, chip):
            found = list(_channel_load(tensors, chip))
        else:
            found = list(row_of(command.op.row).instructions(**_arguments(command, tensors, chip)))
            _verify(command, tensors, found, chip)
        for instruction in found:
            instruction.check(chip)
            instruction.encoded(chip)
    except KernelError:
        raise
    except TpuError as error:
        error.where = command.where()
        raise
    return found


# ---------------------------------------------------------------------------- tensors


def _tensor(box: Box, addresses: Mapping[tuple[str, int], int], systems: Mapping[str, int], chip: Chip) -> Placed:
    if isinstance(box.base, Buffer):
        return _local(box, buffer_tensor(box.base, addresses[box.base.slot]), chip)
    return _system(box, systems[box.base.name])


def _local(box: Box, whole: LocalTensor, chip: Chip) -> LocalTensor:
    """A box of a buffer; with strides, unless it lies as a tensor of its own would."""
    if box.starts == (0,) * len(box.starts) and box.sizes == box.whole:
        return whole
    if whole.layout is Layout.WEIGHT or (isinstance(box.base, Buffer) and box.base.cols_per_channel is not None):
        raise LayoutMismatchError(f"{box} is a part of a buffer whose elements are in groups", help="use the whole buffer")
    starts, sizes = _four(box.starts, 0), _four(box.sizes, 1)
    strides, size = strides_of(chip, whole), whole.dtype.itemsize
    lane = whole.address // chip.lane_bytes + starts[1]
    byte = whole.address % chip.lane_bytes
    byte += (starts[0] * strides[0] + lane // chip.lanes * strides[1] + starts[2] * strides[2] + starts[3] * strides[3]) * size
    found = LocalTensor(lane % chip.lanes * chip.lane_bytes + byte, sizes, whole.dtype, Layout.FREE, strides)
    aligned = replace(found, layout=Layout.EU_ALIGNED, strides=None)
    return aligned if byte % chip.eu_bytes == 0 and _same_places(found, aligned, chip) else found


def _four(numbers: tuple[int, ...], fill: int) -> Dim4:
    """Of a matrix with rows over the lanes: (1, rows, 1, columns)."""
    if len(numbers) == 2:
        return fill, numbers[0], fill, numbers[1]
    n, c, h, w = numbers
    return n, c, h, w


def _system(box: Box, base: int) -> SystemTensor:
    strides: list[int] = []
    stride = 1
    for size in reversed(box.whole):
        strides.insert(0, stride)
        stride *= size
    offset = sum(start * step for start, step in zip(box.starts, strides, strict=True))
    kept = [(size, step) for size, step, keep in zip(box.sizes, strides, box.kept, strict=True) if keep]
    places = {0: (), 1: (1,), 2: (1, 3), 3: (1, 2, 3), 4: (0, 1, 2, 3)}.get(len(kept))
    if places is None:
        raise ShapeMismatchError(f"{box} has {len(kept)} dimensions", help="index all but four of them with numbers")
    shape, steps = [1, 1, 1, 1], [0, 0, 0, 1]
    for place, (size, step) in zip(places, kept, strict=True):
        shape[place], steps[place] = size, step
    for place in (2, 1, 0):  # of dimensions of size 1 the strides that a tensor without gaps has
        if place not in places:
            steps[place] = shape[place + 1] * steps[place + 1]
    n, c, h, w = shape
    return SystemTensor(base + offset * box.dtype.itemsize, (n, c, h, w), box.dtype, (steps[0], steps[1], steps[2], steps[3]))


def _same_places(one: Placed, other: Placed, chip: Chip) -> bool:
    """Whether two tensors have the same elements at the same bytes; no, where one of them cannot be."""
    try:
        return _normal(one, chip) == _normal(other, chip)
    except TpuError:
        return False


def _normal(tensor: Placed, chip: Chip) -> tuple[int, int, tuple[object, ...]]:
    placement: Placement = local_placement(chip, tensor) if isinstance(tensor, LocalTensor) else system_placement(chip, tensor)
    return placement.base, placement.itemsize, tuple(map(_normal_axis, placement.axes))


def _normal_axis(axis: Axis) -> object:
    """The axis without what makes no difference: strides of a single element, of turns that are not reached."""
    if axis.count == 1:
        return (1, axis.start % axis.period if axis.period > 1 else 0)
    return replace(axis, outer=0) if axis.period > 1 and axis.turns == 1 else axis


# ---------------------------------------------------------------------------- arguments


def _arguments(command: Command, tensors: Mapping[str, Placed], chip: Chip) -> dict[str, object]:
    assert isinstance(command.op, Op)  # noqa: S101
    result = next((tensors[name] for name in ("dst", "output", "dst0") if name in tensors), None)
    found: dict[str, object] = {}
    for parameter in row_of(command.op.row).parameters:
        name = parameter.name
        if name in command.attributes:
            found[name] = command.attributes[name]
        else:
            found[name] = _derived(command, parameter, tensors, result, chip)
    return found


def _derived(command: Command, parameter: Parameter, tensors: Mapping[str, Placed], result: Placed | None, chip: Chip) -> object:
    """The argument that follows from the operands."""
    operand = operand_name(parameter)
    match parameter.kind.name:
        case "local" | "system" | "address" | "static":
            return tensors[operand].address if operand in tensors else 0
        case "variable":
            return _variable(command, operand, tensors, result)
        case "stride":
            return _strides(command, parameter.name.removesuffix("_stride"), tensors, result, chip)
        case "dim4":
            owner = tensors.get(parameter.name.removesuffix("_shape"), result)
            return None if owner is None else owner.shape
        case "dtype":
            return _dtype(parameter.name.removesuffix("_dtype"), tensors, result)
        case _:
            raise OperandTypeError(f"{command.name} needs {parameter.name}", position=command.position, help="give it by name")


def _dtype(owner: str, tensors: Mapping[str, Placed], result: Placed | None) -> Value:
    """The data type that a parameter `<owner>_dtype` asks for."""
    first = next((tensors[name] for name in (owner, *owner.split("_"), "src", "src0", "input") if name in tensors), result)
    chosen = result if owner == "dtype" else first
    return None if chosen is None else chosen.dtype


def _variable(command: Command, operand: str, tensors: Mapping[str, Placed], result: Placed | None) -> Variable:
    value = command.operands.get(operand)
    tensor = tensors.get(operand)
    if tensor is None:
        return Variable.scalar(value if isinstance(value, int | float) else 0)
    if result is not None and tensor.shape != result.shape:
        raise _shapes_differ(command, operand, tensor, result)
    return Variable.tensor(tensor.address)


def _strides(command: Command, operand: str, tensors: Mapping[str, Placed], result: Placed | None, chip: Chip) -> Dim4 | None:
    """The strides to give; None for a tensor that lies as the function expects without."""
    tensor = tensors.get(operand)
    if tensor is None:
        return None
    if isinstance(tensor, SystemTensor) or _moves(command):
        return strides_of(chip, tensor)
    if result is not None and operand != "input" and tensor.shape != result.shape:
        return _repeated(command, operand, tensor, result, chip)
    return None if tensor.layout is Layout.EU_ALIGNED else strides_of(chip, tensor)


def _moves(command: Command) -> bool:
    return isinstance(command.op, Op) and command.op.row.startswith("tpu_gdma")


def _selects(command: Command) -> bool:
    """Whether the result has room for as many elements as are found, in any shape."""
    return isinstance(command.op, Op) and command.op.row.startswith(("tpu_gdma_mask_select", "tpu_gdma_nonzero"))


def _repeated(command: Command, operand: str, tensor: LocalTensor, result: Placed, chip: Chip) -> Dim4:
    """Strides that repeat an operand along n, h and w where it has one element and the result has more."""
    strides = list(strides_of(chip, tensor))
    for axis, (have, want) in enumerate(zip(tensor.shape, result.shape, strict=True)):
        if have != want:
            if have != 1 or axis == 1:
                raise _shapes_differ(command, operand, tensor, result)
            strides[axis] = 0
    return strides[0], strides[1], strides[2], strides[3]


def _shapes_differ(command: Command, operand: str, tensor: Placed, wanted: Placed | tuple[int, ...]) -> ShapeMismatchError:
    shape = wanted if isinstance(wanted, tuple) else wanted.shape
    one_channel = tensor.shape[1] == 1 and len(shape) == 4 and shape[1] != 1
    return ShapeMismatchError(
        f"{operand} of {command.name} has shape {tensor.shape}, but {shape} is needed",
        position=command.position,
        where=command.where(),
        help="put one channel into all lanes with k.tiu.lane_broadcast or k.dma.broadcast" if one_channel else "make both of one shape",
    )


# ---------------------------------------------------------------------------- checks


def _verify(command: Command, tensors: Mapping[str, Placed], instructions: Sequence[Instruction], chip: Chip) -> None:
    """The instructions work on the tensors that the author named, element for element."""
    uses = [use for instruction in instructions for use in instruction.operands()]
    matrix = isinstance(command.op, Op) and "_matrix_" in command.op.row
    for name, tensor in tensors.items():
        if "coeff" in name or (matrix and isinstance(tensor, SystemTensor)) or (name == "dst" and _selects(command)):
            continue
        found = [use.value for use in uses if isinstance(use.value, type(tensor)) and use.value.address == tensor.address]
        alike = [value for value in found if value.dtype == tensor.dtype]
        if not alike:
            continue
        same = next((value for value in alike if value.shape == tensor.shape), alike[0])
        if _is_in_one_row(same, tensor):
            continue
        if same.shape != tensor.shape:
            if _moves(command) or same.strides is None or 0 not in same.strides:
                raise _shapes_differ(command, name, tensor, same.shape)
        elif not _same_places(same, tensor, chip):
            raise _layouts_differ(command, name, tensor, same)


def _is_in_one_row(one: Placed, other: Placed) -> bool:
    """Whether `one` is `other` with h and w joined, as some functions take tensors whose rows have no gaps."""
    if not isinstance(one, LocalTensor) or not isinstance(other, LocalTensor) or one.layout is not other.layout:
        return False
    if one.layout not in (Layout.EU_ALIGNED, Layout.COMPACT):
        return False
    n, c, h, w = other.shape
    return one.shape == (n, c, 1, h * w)


def _layouts_differ(command: Command, operand: str, tensor: Placed, wanted: Placed) -> LayoutMismatchError:
    def told(placed: Placed) -> str:
        layout = placed.layout.name if isinstance(placed, LocalTensor) else "system memory"
        return layout if placed.strides is None else f"{layout} with strides {placed.strides}"

    layout = wanted.layout if isinstance(wanted, LocalTensor) else None
    return LayoutMismatchError(
        f"{operand} of {command.name}, {tensor.dtype.name}{list(tensor.shape)}, lies as {told(tensor)}, but is read as {told(wanted)}",
        position=command.position,
        where=command.where(),
        help="copy it to a buffer of its own with k.tiu.copy first"
        if layout in (None, Layout.EU_ALIGNED, Layout.FREE)
        else f"make the buffer with layout=Layout.{layout.name if layout else ''}",
    )


# ---------------------------------------------------------------------------- weights


def _is_weight_load(tensors: Mapping[str, Placed]) -> bool:
    dst = tensors.get("dst")
    return isinstance(dst, LocalTensor) and dst.layout is Layout.WEIGHT and isinstance(tensors.get("src"), SystemTensor)


def _weight_load(tensors: Mapping[str, Placed], chip: Chip, command: Command) -> Iterator[Instruction]:
    """Weights (oc, ic, kh, kw) from system memory into groups of input channels: one copy for each group, or one for all without groups.

    Packed weights, (oc, elements of a record), are one copy.
    """
    dst, src = tensors["dst"], tensors["src"]
    oc, ic, kh, kw = dst.shape
    steps, taps, size = strides_of(chip, src), kh * kw, dst.dtype.itemsize
    record = packed_row(chip.weight_pack[dst.dtype], ic, taps)
    if src.shape == (1, oc, 1, record):
        given = (0, steps[1], record, steps[3])
        yield from row_of("tpu_gdma_cpy_S2L").instructions(dst.address, src.address, src.shape, (0, record, record, 1), given, dst.dtype)
        return
    if dst.shape != src.shape:
        raise _shapes_differ(command, "src", src, dst)
    if taps > 1 and (steps[3], steps[2]) != (1, kw):
        raise LayoutMismatchError(
            f"the taps of src of {command.name} do not lie one after the other",
            position=command.position,
            where=command.where(),
            help="take all rows and columns of the kernels",
        )
    group = chip.weight_pack[dst.dtype]
    row = packed_row(group, ic, taps)
    copy = row_of("tpu_gdma_cpy_S2L")
    if group == 1:
        yield from copy.instructions(dst.address, src.address, (1, oc, ic, taps), (0, row, taps, 1), (0, steps[0], steps[1], 1), dst.dtype)
        return
    for first in range(0, ic, group):
        count = min(group, ic - first)
        yield from copy.instructions(
            dst.address + first * taps * size,
            src.address + first * steps[1] * size,
            (1, oc, taps, count),
            (0, row, group, 1),
            (0, steps[0], 1, steps[1]),
            dst.dtype,
        )


# ---------------------------------------------------------------------------- one number per channel


def _is_channel_load(tensors: Mapping[str, Placed], chip: Chip) -> bool:
    """Whether numbers that follow each other in system memory go to one channel each."""
    dst, src = tensors.get("dst"), tensors.get("src")
    if not isinstance(dst, LocalTensor) or dst.layout is not Layout.COMPACT or not isinstance(src, SystemTensor):
        return False
    return dst.shape == src.shape == (1, dst.shape[1], 1, 1) and strides_of(chip, src)[1] == 1 and dst.address < chip.lane_bytes


def _channel_load(tensors: Mapping[str, Placed], chip: Chip) -> Iterator[Instruction]:
    """A matrix of one row and one column per lane for each round of the lanes: a quarter of the cycles of a tensor, whose runs are single
    elements, too, but which does not reach all channels of the DDR either (cycle model).
    """
    dst, src = tensors["dst"], tensors["src"]
    size, channels = dst.dtype.itemsize, dst.shape[1]
    for first in range(0, channels, chip.lanes):
        count = min(chip.lanes, channels - first)
        place, origin = dst.address + first // chip.lanes * size, src.address + first * size
        yield from row_of("tpu_gdma_matrix_S2L").instructions(place, origin, 1, count, 1, count, dst.dtype)
