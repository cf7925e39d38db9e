"""Making stages: a program, or what makes programs, with its inputs, outputs and coefficients, as the official compiler writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from bmlang.bmodel.errors import FieldRangeError
from bmlang.bmodel.fields import Binary
from bmlang.bmodel.schema import DATA_TYPES, CmdGroup, CoeffMem, Location, Net, NetParameter, Shape, StageIR, SubNet, Tensor
from bmlang.bmodel.section import align, sha256
from tpukernel.chips.chip import Chip, chip_of
from tpukernel.chips.tensors import Dim4, SystemTensor
from tpukernel.dtypes import Dtype, dtype_of
from tpukernel.isa.program import Group, Program

__all__ = ["StageBuilder", "coefficients", "dynamic_stage", "io_tensor", "static_stage"]

_NUMBERS = {name: number for number, (name, _) in enumerate(DATA_TYPES)}
_TPU = 1
_INPUT, _OUTPUT = 1, 2


class StageBuilder:
    """Plans the device memory of a stage whose program is made by hand: coefficients, behind them inputs, outputs and intermediate tensors.

        stage = StageBuilder("BM1684X", {"weight": array})
        x, weight = stage.input("x", (1, 16, 14, 14), f32), stage.coefficients["weight"]
        ...                                         # a program that loads them, and stores to stage.output(...)
        model = new_bmodel("BM1684X", [stage.net("net", program.end())])

    Args:
        chip: the chip or its name.
        weights: the coefficients by name; of at most four dimensions, before which ones are put.

    Attributes:
        coefficients: where the coefficients are, in the shapes and types of the arrays.

    Raises:
        DtypeNameError: the TPU has no such data type.
        FieldRangeError: a weight has more than four dimensions.
    """

    def __init__(self, chip: Chip | str, weights: Mapping[str, NDArray[np.generic]] | None = None) -> None:
        coeff, weights = coefficients(chip, weights or {}), weights or {}
        self.coefficients: Mapping[str, SystemTensor] = {
            place.name: SystemTensor(coeff.address + place.offset, _four(place.name, array), dtype_of(array.dtype))
            for place, array in zip(coeff.location or (), weights.values(), strict=True)
        }
        self._coeff = coeff if weights else None
        self._start = self._next = coeff.address + (coeff.binary_coeff.size if coeff.binary_coeff else 0)
        self._inputs: list[Tensor] = []
        self._outputs: list[Tensor] = []

    def input(self, name: str, shape: Dim4, dtype: Dtype, *, scale: float = 1.0, zero_point: int = 0) -> SystemTensor:
        """The place of a further input."""
        return self._io(self._inputs, name, shape, dtype, scale, zero_point)

    def output(self, name: str, shape: Dim4, dtype: Dtype, *, scale: float = 1.0, zero_point: int = 0) -> SystemTensor:
        """The place of a further output."""
        return self._io(self._outputs, name, shape, dtype, scale, zero_point)

    def intermediate(self, shape: Dim4, dtype: Dtype) -> SystemTensor:
        """The place of a tensor that lives between two commands."""
        tensor = SystemTensor(self._next, shape, dtype)
        self._next += align(prod(shape) * dtype.itemsize)
        return tensor

    def net(self, name: str, program: Program) -> Net:
        """A net of one stage that executes the program, which has end commands.

        Raises:
            LegalityError, DependencyError, DeadlockError: the chip cannot execute the program (see `Program.check`).
            FieldRangeError: it has no end commands.
        """
        program.check()
        stage = static_stage(
            program, inputs=self._inputs, outputs=self._outputs, ctx_addr=self._start, ctx_size=self._next - self._start, coeff=self._coeff
        )
        return Net(name=name, parameter=(stage,))

    def _io(self, side: list[Tensor], name: str, shape: Dim4, dtype: Dtype, scale: float, zero_point: int) -> SystemTensor:
        place = self.intermediate(shape, dtype)
        side.append(io_tensor(name, dtype, shape, place.address, scale=scale, zero_point=zero_point))
        return place


def _four(name: str, array: NDArray[np.generic]) -> Dim4:
    if array.ndim > 4:
        raise FieldRangeError(f"weight {name!r} has shape {array.shape}", help="a tensor in memory has four dimensions: reshape it")
    n, c, h, w = (1,) * (4 - array.ndim) + array.shape
    return n, c, h, w


def io_tensor(name: str, dtype: Dtype, shape: Sequence[int], address: int, *, scale: float = 1.0, zero_point: int = 0) -> Tensor:
    """An input or output of a stage at a device address."""
    return Tensor(
        name=name,
        data_type=_NUMBERS[dtype.numpy.name],
        device_addr=address,
        size=prod(shape) * dtype.itemsize,
        shape=(Shape(dim=tuple(shape)),),
        mem_type=_TPU,
        scale=scale,
        zero_point=zero_point,
    )


def coefficients(chip: Chip | str, weights: Mapping[str, NDArray[np.generic]]) -> CoeffMem:
    """Coefficients at the start of the DDR, each weight at a multiple of 4 KiB: `location` says where (offsets to `address`).

    Raises:
        DtypeNameError: the TPU has no such data type.
    """
    data, places = bytearray(), list[Location]()
    for name, array in weights.items():
        dtype_of(array.dtype)
        raw = np.ascontiguousarray(array).tobytes()
        places.append(Location(name=name, offset=len(data), size=align(len(raw))))
        data += raw + bytes(align(len(raw)) - len(raw))
    content = bytes(data)
    return CoeffMem(
        address=chip_of(chip).regions["ddr"].base, check_code=sha256(content), binary_coeff=Binary(content), location=tuple(places)
    )


def static_stage(
    program: Program,
    *,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    ctx_addr: int,
    ctx_size: int,
    coeff: CoeffMem | None = None,
) -> NetParameter:
    """A stage of one TPU subnet.

    Args:
        program: the commands, with end commands. Its addresses are in the coefficients and in the `ctx_size` bytes from `ctx_addr` on.
        inputs, outputs: in their order (see `io_tensor`); they lie in these bytes, too.
        ctx_addr, ctx_size: device memory of inputs, outputs and intermediate tensors.
        coeff: the coefficients (see `coefficients`).

    Raises:
        FieldRangeError: the program has no end commands; the official runtime would go on behind it.
        LegalityError: the program cannot be encoded (see `Program.streams`).
    """
    if not all(group.ended for group in program.groups):
        raise FieldRangeError("the program of a stage has no end commands", help="call Program.end() behind the last command")
    groups = tuple(_command_group(program, k, group) for k, group in enumerate(program.groups))
    ins = tuple(replace(tensor, hidden=_INPUT, index=k) for k, tensor in enumerate(inputs))
    outs = tuple(replace(tensor, hidden=_OUTPUT, index=k) for k, tensor in enumerate(outputs))
    subnet = SubNet(cmd_group=groups, input_tensor=ins, output_tensor=outs, id=0, next_subnet_ids=(-1,), run_core=1)
    return NetParameter(
        input_tensor=ins,
        output_tensor=outs,
        ctx_addr=ctx_addr,
        ctx_size=ctx_size,
        ctx_sizes=(ctx_size,),
        coeff_mem=coeff,
        cmd_group=groups,
        stage_ir=(StageIR(),),
        binary_ir=Binary(b""),
        sub_net=(subnet,),
        core_num=1,
    )


def dynamic_stage(
    code: bytes, *, inputs: Sequence[Tensor], outputs: Sequence[Tensor], ctx_addr: int, ctx_size: int, coeff: CoeffMem | None = None
) -> NetParameter:
    """A stage whose commands are made when the shapes are known.

    Args:
        code: what makes them (see `bmlang.bmodel.dynamic_code`); a multiple of four bytes.
        inputs, outputs: with their largest shapes.
        ctx_addr, ctx_size, coeff: as of `static_stage`, for the largest shapes.
    """
    ins = tuple(replace(tensor, hidden=_INPUT, index=k) for k, tensor in enumerate(inputs))
    outs = tuple(replace(tensor, hidden=_OUTPUT, index=k) for k, tensor in enumerate(outputs))
    subnet = SubNet(
        input_tensor=ins,
        output_tensor=outs,
        is_dynamic=1,
        ir_offset=0,
        ir_len=len(code) // 4,
        n_dynamic=1,
        h_w_dynamic=1,
        id=0,
        next_subnet_ids=(-1,),
        run_core=1,
    )
    return NetParameter(
        input_tensor=ins,
        output_tensor=outs,
        ctx_addr=ctx_addr,
        ctx_size=ctx_size,
        ctx_sizes=(ctx_size,),
        coeff_mem=coeff,
        is_dynamic=1,
        n_dynamic=1,
        h_w_dynamic=1,
        stage_ir=(StageIR(),),
        binary_ir=Binary(code),
        sub_net=(subnet,),
        core_num=1,
    )


def _command_group(program: Program, number: int, group: Group) -> CmdGroup:
    streams = program.streams(number)
    return CmdGroup(
        bdc_num=len(group.tiu),
        gdma_num=len(group.gdma),
        binary_bdc=Binary(streams["tiu"]),
        binary_gdma=Binary(streams["gdma"]),
        bdc_cmd_byte=len(streams["tiu"]),
        gdma_cmd_byte=len(streams["gdma"]),
    )
