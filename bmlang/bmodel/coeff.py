"""Joining the coefficients of several BModels into one memory, so that weights which are equal are on the device once.

The GDMA commands of a static stage have absolute addresses. So the weights that move, and the intermediate tensors behind them, take the
addresses in the commands with them: the streams are decoded, changed and encoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bmlang.bmodel.combine import Combined, Source, combine
from bmlang.bmodel.container import BModel
from bmlang.bmodel.errors import CoefficientError
from bmlang.bmodel.fields import Binary
from bmlang.bmodel.schema import CmdGroup, CoeffMem, Location, Net, NetParameter, SubNet, Tensor
from bmlang.bmodel.section import sha256
from tpukernel.chips import chip_of
from tpukernel.chips.tensors import SystemTensor
from tpukernel.errors import TpuError

if TYPE_CHECKING:
    from tpukernel.isa import Instruction

__all__ = ["combine_coeff"]


@dataclass(frozen=True)
class _Move:
    """Bytes of the old coefficients and the offset where they are in the joined ones."""

    start: int
    size: int
    target: int


@dataclass
class _Joined:
    """The coefficients while they are put together."""

    data: bytearray = field(default_factory=bytearray)
    places: list[Location] = field(default_factory=list[Location])

    def add(self, place: Location, data: bytes) -> _Move:
        """Adds a weight, or finds it among those that are there."""
        for known in self.places:
            if (known.name, known.size) == (place.name, place.size) and bytes(self.data[known.offset : known.offset + known.size]) == data:
                return _Move(place.offset, place.size, known.offset)
        target = len(self.data)
        self.data += data
        self.places.append(replace(place, offset=target))
        return _Move(place.offset, place.size, target)


@dataclass
class _Part:
    """A source with its coefficients. `split` is where those of its dynamic subnets begin, which stay together behind all others."""

    source: Source
    coeff: CoeffMem
    data: bytes
    split: int
    moves: list[_Move] = field(default_factory=list[_Move])


def combine_coeff(sources: Sequence[Source]) -> Combined:
    """Like `combine`, but with one memory of coefficients for all nets.

    Raises:
        CoefficientError: the commands of the chip are not known, a net is dynamic or relocated, has no named weights, or the memories begin
            at different addresses.
        ChipMismatchError, NetConflictError, StageShapeError, UnknownFieldError: see `combine`.
    """
    combine(sources)  # refuses what could not stand side by side, before anything is moved
    parts = [_part(source) for source in sources]
    for part in parts[1:]:
        if part.coeff.address != parts[0].coeff.address:
            raise _error(
                part.source, f"its coefficients begin at {part.coeff.address:#x}, those of the first file at {parts[0].coeff.address:#x}"
            )
    joined = _Joined()
    for part in parts:
        static = [place for place in part.coeff.location or () if place.offset < part.split]
        part.moves = [joined.add(place, part.data[place.offset : place.offset + place.size]) for place in static]
    starts = [_add_dynamic(joined, part) for part in parts]
    coeff = CoeffMem(
        address=parts[0].coeff.address,
        check_code=sha256(bytes(joined.data)),
        binary_coeff=Binary(bytes(joined.data)),
        location=tuple(joined.places),
    )
    moved = [_moved(part, coeff, start) for part, start in zip(parts, starts, strict=True)]
    result = combine(moved)
    return replace(result, bmodel=BModel(replace(result.bmodel.model, bmodel_type=1)))


def _error(source: Source, message: str) -> CoefficientError:
    return CoefficientError(f"{source.name}: {message}", help="use --combine, which keeps the coefficients of the nets apart")


def _part(source: Source) -> _Part:
    stages = [(net, stage) for net in source.model.net for stage in net.stages]
    coeffs = [stage.coeff_mem for _, stage in stages if stage.coeff_mem and stage.coeff_mem.binary_coeff and stage.coeff_mem.location]
    if not stages or len(coeffs) < len(stages):
        raise _error(source, "a stage has no coefficients with names")
    coeff, splits = coeffs[0], {stage.dynamic_combined_coeff_offset for _, stage in stages}
    if any(other.binary_coeff != coeff.binary_coeff or other.address != coeff.address for other in coeffs) or len(splits) > 1:
        raise _error(source, "its stages have different coefficients: extract them first")
    for net, stage in stages:
        if stage.is_dynamic or net.addr_mode not in (0, 1) or coeff.encrypt_mode:
            raise _error(source, f"net {net.name!r} is dynamic, encrypted, or in an address mode other than 0 and 1")
    data = bytes(coeff.binary_coeff.data) if coeff.binary_coeff else b""
    for place in coeff.location or ():
        if place.offset + place.size > len(data):
            raise _error(
                source, f"weight {place.name} ends at {place.offset + place.size:#x}, behind the coefficients of {len(data):#x} bytes"
            )
    return _Part(source, coeff, data, splits.pop() or len(data))


def _add_dynamic(joined: _Joined, part: _Part) -> int:
    """Adds what belongs to dynamic subnets, as a whole; returns where it begins."""
    start = len(joined.data)
    joined.data += part.data[part.split :]
    part.moves.append(_Move(part.split, len(part.data) - part.split, start))
    places = [place for place in part.coeff.location or () if place.offset >= part.split]
    joined.places += [replace(place, offset=place.offset - part.split + start) for place in places]
    return start


# ------------------------------------------------------------------ moving addresses


def _moved(part: _Part, coeff: CoeffMem, dynamic_start: int) -> Source:
    def net(old: Net) -> Net:
        stages = tuple(_stage(part, stage, coeff, dynamic_start) for stage in old.stages)
        return replace(old, parameter=stages)

    model = replace(part.source.model, net=tuple(map(net, part.source.model.net)))
    return replace(part.source, bmodel=BModel(model))


def _stage(part: _Part, stage: NetParameter, coeff: CoeffMem, dynamic_start: int) -> NetParameter:
    ddr = chip_of(part.source.model.chip).regions["ddr"]
    limit = stage.io_addr if stage.io_size else stage.ctx_addr
    size = coeff.binary_coeff.size if coeff.binary_coeff else 0
    shift = max(0, coeff.address + size - limit)

    def address(old: int) -> int:
        if old not in ddr:
            return old
        if old >= limit:
            return old + shift
        offset = old - coeff.address
        for move in part.moves:
            if move.start <= offset < move.start + move.size:
                return coeff.address + move.target + offset - move.start
        raise _error(part.source, f"a command uses {old:#x}, which is in none of the named weights")

    def tensors(old: tuple[Tensor, ...] | None) -> tuple[Tensor, ...] | None:
        return None if old is None else tuple(replace(tensor, device_addr=address(tensor.device_addr)) for tensor in old)

    def groups(old: tuple[CmdGroup, ...] | None) -> tuple[CmdGroup, ...] | None:
        return None if old is None else tuple(_group(part.source, group, address) for group in old)

    def subnet(old: SubNet) -> SubNet:
        cores = old.core_commands
        if cores is not None:
            cores = tuple(replace(core, gdma_tiu_commands=groups(core.gdma_tiu_commands)) for core in cores)
        return replace(
            old,
            cmd_group=groups(old.cmd_group),
            core_commands=cores,
            input_tensor=tensors(old.input_tensor),
            output_tensor=tensors(old.output_tensor),
        )

    return replace(
        stage,
        input_tensor=tensors(stage.input_tensor) or (),
        output_tensor=tensors(stage.output_tensor) or (),
        ctx_addr=stage.ctx_addr + shift,
        io_addr=stage.io_addr + shift if stage.io_size else stage.io_addr,
        coeff_mem=coeff,
        cmd_group=groups(stage.cmd_group),
        sub_net=None if stage.sub_net is None else tuple(map(subnet, stage.sub_net)),
        dynamic_combined_coeff_offset=dynamic_start,
    )


def _group(source: Source, group: CmdGroup, address: Callable[[int], int]) -> CmdGroup:
    from tpukernel.isa import decode, encode

    if group.binary_gdma is None:
        return group
    chip = chip_of(source.model.chip)
    try:
        commands = decode(chip, "gdma", group.binary_gdma.data)
        data = encode(chip, [_readdressed(command, address) for command in commands])
    except CoefficientError:
        raise
    except TpuError as error:
        raise _error(source, f"its commands cannot be moved: {error.code}: {error.message}") from error
    return replace(group, binary_gdma=Binary(data))


def _readdressed(command: Instruction, address: Callable[[int], int]) -> Instruction:
    changes = {
        use.name: replace(use.value, address=address(use.value.address))
        for use in command.operands()
        if isinstance(use.value, SystemTensor) and address(use.value.address) != use.value.address
    }
    return command.replace(**changes) if changes else command
