"""One stage made ready to run: its areas in device memory, and its subnets as steps in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from bmlang.bmodel.memory import command_groups
from bmlang.bmodel.nodes import groups_before, nodes_of
from bmlang.bmodel.schema import DATA_TYPES, CmdGroup, Net, NetParameter, SubNet, Tensor, data_type_name
from bmlang.bmodel.section import sha256
from bmlang.host import CPU_OPERATORS
from bmlang.host.layers import HOST_LAYERS, LAYER, HostLayer, check_host_layer
from bmlang.runtime.addresses import DeviceMemory, Lease, Move, Relocation, base_address, filled_in
from bmlang.runtime.errors import CpuOperatorError, DeviceMemoryError, DynamicSubnetError, StageDataError, SubnetKindError
from bmlang.runtime.events import INPUTS, Place, StageEvents, Trace
from tpukernel.chips.chip import Chip
from tpukernel.dtypes import dtype_of
from tpukernel.errors import TpuError
from tpukernel.sim.machine import Machine
from tpukernel.sim.memory import Array

if TYPE_CHECKING:
    from tpukernel.isa.instruction import Instruction
    from tpukernel.isa.program import Program

__all__ = ["Engine", "Places", "Stage", "dtype_of_tensor", "shape_of_tensor"]

Engine = Literal["interpreter", "jit"]
TPU, CPU = 0, 1
SUBNET_KINDS: Final = {2: "merge", 3: "switch"}
BASIC, IO_ALONE, IO_RELOC = 0, 1, 4
NO_CODE = "the firmware of the chip executes it, and it has no commands; compile the net as a static one"


def dtype_of_tensor(tensor: Tensor) -> np.dtype:
    """The numpy dtype of a tensor (`ml_dtypes.bfloat16` for bfloat16).

    Raises:
        StageDataError: numpy arrays cannot hold the type.
    """
    if tensor.data_type >= len(DATA_TYPES) or DATA_TYPES[tensor.data_type][1] < 8:
        name = data_type_name(tensor.data_type)
        raise StageDataError(f"tensor {tensor.name!r} has data type {tensor.data_type} ({name}), which no array can hold")
    return dtype_of(data_type_name(tensor.data_type)).numpy


def shape_of_tensor(tensor: Tensor) -> tuple[int, ...]:
    """The first shape of a tensor: of a dynamic stage the largest.

    Raises:
        StageDataError: it has none.
    """
    if not tensor.shape:
        raise StageDataError(f"tensor {tensor.name!r} has no shape")
    return tensor.shape[0].dim or ()


@dataclass(frozen=True)
class _Slot:
    """A tensor in device memory."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    def read(self, machine: Machine, sizes: Sizes) -> Array:
        shape = sizes.get(self.name, self.shape)
        if not prod(shape):
            return np.empty(shape, self.dtype)
        size = prod(shape) * self.dtype.itemsize
        return machine.memory.read_bytes("ddr", self.offset, size).view(self.dtype).reshape(shape)

    def write(self, machine: Machine, array: Array) -> None:
        if array.size:
            machine.write("ddr", self.offset, array.reshape(-1).view(np.uint8))

    @property
    def place(self) -> Place:
        return Place(self.offset, tuple(prod(self.shape[k + 1 :]) * self.dtype.itemsize for k in range(len(self.shape))))


Sizes = dict[str, tuple[int, ...]]
"""Shapes of this launch, of tensors whose shapes depend on data."""


def _fits(slot: _Slot, result: Array) -> bool:
    """Whether a result can be an output: there may be less of it than the file says."""
    return (
        result.dtype == slot.dtype
        and result.ndim == len(slot.shape)
        and all(size <= most for size, most in zip(result.shape, slot.shape, strict=True))
    )


@dataclass(frozen=True)
class _CpuStep:
    operator: int
    parameters: bytes
    inputs: tuple[_Slot, ...]
    outputs: tuple[_Slot, ...]

    def run(self, machine: Machine, subnet: int, events: StageEvents | None, sizes: Sizes) -> None:
        inputs = [slot.read(machine, sizes) for slot in self.inputs]
        given = {f"input{k}": array.copy() for k, array in enumerate(inputs)} if events else {}  # an operator may work in place
        with np.errstate(all="ignore"):
            results = CPU_OPERATORS[self.operator](self.parameters, inputs)
        results = results[: len(self.outputs)]
        if len(results) < len(self.outputs) or not all(map(_fits, self.outputs, results)):
            made = [(result.dtype, result.shape) for result in results]
            wanted = [(slot.dtype, slot.shape) for slot in self.outputs]
            raise CpuOperatorError(f"host operator {self.operator} gives {made}, but the subnet has outputs {wanted}")
        for slot, result in zip(self.outputs, results, strict=True):
            sizes[slot.name] = result.shape
            slot.write(machine, np.ascontiguousarray(result))
        if events:
            events.host(subnet, self.operator, given, {f"output{k}": result for k, result in enumerate(results)})


@dataclass(frozen=True)
class _TpuStep:
    """Command groups as they are executed, their GDMA commands with the addresses of the file, and what they take.

    `before` are the command groups of subnets before this one.
    """

    programs: tuple[Program, ...]
    listed: tuple[Sequence[Instruction], ...]
    inputs: Mapping[str, tuple[int, ...]]
    before: int

    def run(self, machine: Machine, subnet: int, events: StageEvents | None, sizes: Sizes, *, engine: Engine, check: bool) -> None:
        for name, shape in self.inputs.items():
            if sizes.get(name, shape) != shape:
                raise StageDataError(
                    f"subnet {subnet} computes with tensor {name!r} of shape {shape}, but this time it is {sizes[name]}",
                    help="the commands of a static subnet are made for one shape: nothing but the host can go on here",
                )
        for group, (program, listed) in enumerate(zip(self.programs, self.listed, strict=True)):
            if events:
                machine.trace = partial(events.command, subnet, group, self.before, listed, machine.memory)
            try:
                machine.run(program, engine=engine, check=check)
            finally:
                machine.trace = None


def _tell_tensors(events: StageEvents, title: str, subnet: int | None, slots: Sequence[_Slot], machine: Machine, sizes: Sizes) -> None:
    arrays = {slot.name: slot.read(machine, sizes) for slot in slots}
    if arrays or subnet is None:
        events.tensors(title, subnet, arrays, {slot.name: slot.place for slot in slots})


@dataclass
class Places:
    """Where things are in device memory: coefficients of all nets by their hash, and the areas of one net by name."""

    memory: DeviceMemory | Lease
    machine: Machine
    coefficients: dict[bytes, int]
    areas: dict[str, int] = field(default_factory=dict[str, int])

    def area(self, name: str, size: int) -> int:
        """The address of an area of the net; taken when it is first asked for."""
        if name not in self.areas:
            self.areas[name] = self.memory.take(size, name)
        return self.areas[name]

    def coefficients_at(self, data: bytes) -> int:
        """The address of coefficients, which are written when they are first asked for."""
        # The check code of a true file is this hash. One that is wrong must not make two nets share what differs.
        code = sha256(data)
        if code not in self.coefficients:
            address = self.memory.take(len(data), "the memory of coefficients")
            self.machine.write("ddr", address - self.machine.chip.regions["ddr"].base, data)
            self.coefficients[code] = address
        return self.coefficients[code]


class Stage:
    """A stage with its place in device memory.

    Args:
        chip: the chip of the model.
        net, number: which stage.
        places: device memory; what the stage needs is taken from it, and its coefficients are written there.
        shown: the number of the stage that users know, where it is another one.

    Raises:
        DynamicSubnetError, SubnetKindError, CpuOperatorError: it has a subnet that cannot be executed.
        StageDataError: its tables are contradictory.
        DeviceMemoryError: it does not fit into the device memory, or uses memory that it does not have.
        StreamError, LegalityError, DependencyError, DeadlockError: its commands cannot be decoded, or break a rule of the chip.
    """

    def __init__(self, chip: Chip, net: Net, number: int, places: Places, *, shown: int | None = None) -> None:
        self._chip, self._net, self._stage = chip, net, net.stages[number]
        self._number = number if shown is None else shown
        self._where = f"net {net.name!r}, stage {self._number}"
        self._base = chip.regions["ddr"].base
        try:
            self._refuse_what_cannot_run()
            self._relocated = self._relocated_tensors()
            self._relocation = Relocation(chip, [*self._moves(number, places)])
            self.inputs = [self._slot(tensor) for tensor in self._stage.input_tensor]
            self.outputs = [self._slot(tensor) for tensor in self._stage.output_tensor]
        except TpuError as error:
            error.where = error.where or self._where
            raise
        self._steps = [self._step(k, subnet) for k, subnet in enumerate(self._stage.subnets)]

    def run(self, machine: Machine, inputs: Sequence[Array], *, engine: Engine, check: bool, trace: Trace | None = None) -> list[Array]:
        """Run the stage: arrays of its inputs, in order, give those of its outputs. `trace` sees every step."""
        events = StageEvents(self._chip, self._net.name, self._number, trace, nodes_of(self._stage)) if trace else None
        sizes: Sizes = {}
        for slot, array in zip(self.inputs, inputs, strict=True):
            slot.write(machine, array)
        if events:
            _tell_tensors(events, INPUTS, None, self.inputs, machine, sizes)
        for k, step in enumerate(self._steps):
            if isinstance(step, _CpuStep):
                step.run(machine, k, events, sizes)
            else:
                step.run(machine, k, events, sizes, engine=engine, check=check)
            if events:
                _tell_tensors(events, "subnet", k, self._inner_outputs(k), machine, sizes)
        if events:
            _tell_tensors(events, "outputs", None, self.outputs, machine, sizes)
        return [slot.read(machine, sizes) for slot in self.outputs]

    def _inner_outputs(self, subnet: int) -> list[_Slot]:
        """The outputs of a subnet that are no outputs of the net, as far as an array can hold them and they lie in memory of the stage."""
        outputs = {slot.name for slot in self.outputs}
        found: list[_Slot] = []
        for tensor in self._stage.subnets[subnet].output_tensor or ():
            if tensor.name not in outputs:
                with suppress(StageDataError, DeviceMemoryError):  # nothing needs this tensor in order to run
                    found.append(self._slot(tensor))
        return found

    # ------------------------------------------------------------------ what can be run

    def _refuse_what_cannot_run(self) -> None:
        for k, subnet in enumerate(self._stage.subnets):
            if subnet.subnet_mode == TPU and (subnet.is_dynamic or self._stage.is_dynamic):
                raise DynamicSubnetError(f"net {self._net.name!r}: subnet {k} is dynamic", where=f"{self._where}, subnet {k}", help=NO_CODE)
        kinds = [
            (self._net.addr_mode not in (BASIC, IO_ALONE, IO_RELOC), f"address mode {self._net.addr_mode}"),
            (bool(self._stage.coeff_mem and self._stage.coeff_mem.encrypt_mode), "encrypted coefficients"),
            (self._net.cascade is not None and bool(self._net.cascade.main_name), "a cascade of devices"),
            (self._stage.core_num > 1, f"{self._stage.core_num} cores"),
            (any(tensor.gmem_stmode for tensor in self._tensors()), "a tensor whose batches are interleaved (2N, 4N)"),
            *((subnet.subnet_mode in SUBNET_KINDS, f"a {SUBNET_KINDS.get(subnet.subnet_mode)} subnet") for subnet in self._stage.subnets),
            *((subnet.subnet_mode not in (TPU, CPU, *SUBNET_KINDS), "a subnet of unknown mode") for subnet in self._stage.subnets),
            *((self._other_engines(subnet), "commands of SDMA, HAU or CDMA") for subnet in self._stage.subnets),
        ]
        for found, what in kinds:
            if found:
                raise SubnetKindError(f"net {self._net.name!r} has {what}, which is not supported")
        if not self._stage.subnets:
            raise StageDataError(f"net {self._net.name!r} has no subnet", help="a runtime executes the commands of the subnets only")

    @staticmethod
    def _other_engines(subnet: SubNet) -> bool:
        cores = subnet.core_commands or ()
        return len(cores) > 1 or any(core.sdma_commands or core.hau_commands or core.cdma_commands for core in cores)

    # ------------------------------------------------------------------ places

    def _tensors(self) -> Iterator[Tensor]:
        yield from (*self._stage.input_tensor, *self._stage.output_tensor)
        for subnet in self._stage.subnets:
            yield from (*(subnet.input_tensor or ()), *(subnet.output_tensor or ()))

    def _relocated_tensors(self) -> Mapping[int, int]:
        """Bytes from each base address of the relocated tensors on, by number; several tensors may count from the same one."""
        if self._net.addr_mode != IO_RELOC:
            return {}
        sizes: dict[int, int] = {}
        for tensor in self._tensors():
            if entry := tensor.relentry:
                sizes[entry.base_addr_id] = max(sizes.get(entry.base_addr_id, 0), entry.addr_offset + _bytes(tensor))
        return sizes

    def _moves(self, number: int, places: Places) -> Iterator[Move]:
        """The areas; those of intermediate tensors and of `addr_mode` 1 are shared by all stages of the net."""
        stage, stages = self._stage, self._net.stages
        coeff = stage.coeff_mem
        if coeff and coeff.binary_coeff:
            target = places.coefficients_at(bytes(coeff.binary_coeff.data))
            yield Move("coeff", coeff.address, coeff.binary_coeff.size, target, constant=True)
        if _context_bytes(stage):
            yield Move("ctx", stage.ctx_addr, _context_bytes(stage), places.area("ctx", max(map(_context_bytes, stages))))
        if stage.io_size:
            yield Move("io", stage.io_addr, stage.io_size, places.area("io", max(other.io_size for other in stages)))
        for base, size in self._relocated.items():
            name = f"relocated tensor {base} of stage {number}"
            yield Move(name, base_address(base), size, places.area(name, size))

    def _slot(self, tensor: Tensor, *, written: bool = True) -> _Slot:
        start = tensor.device_addr
        if self._net.addr_mode == IO_RELOC and tensor.relentry:
            start = base_address(tensor.relentry.base_addr_id) + tensor.relentry.addr_offset
        address = self._relocation.address(start, _bytes(tensor), f"tensor {tensor.name!r}", written=written)
        return _Slot(tensor.name, dtype_of_tensor(tensor), shape_of_tensor(tensor), address - self._base)

    # ------------------------------------------------------------------ steps

    def _step(self, number: int, subnet: SubNet) -> _TpuStep | _CpuStep:
        try:
            if subnet.subnet_mode == CPU:
                return self._cpu_step(subnet)
            groups = [*command_groups(subnet)]
            if not groups:
                raise StageDataError("a TPU subnet has no commands")
            programs = tuple(map(self._program, groups))
            listed = tuple(program.groups[0].gdma for program in programs)
            inputs = {tensor.name: shape_of_tensor(tensor) for tensor in subnet.input_tensor or ()}
            moved = tuple(map(self._relocation.program, programs))
            return _TpuStep(moved, listed, inputs, groups_before(self._stage, number))
        except TpuError as error:
            error.where = f"{self._where}, subnet {number}" + (f", {error.where}" if error.where else "")
            raise

    def _program(self, group: CmdGroup) -> Program:
        from tpukernel.isa.program import Program

        tiu = bytes(group.binary_bdc.data) if group.binary_bdc else b""
        program = Program.from_streams(self._chip, tiu=tiu, gdma=filled_in(group, self._relocated))
        counts = len(program.groups[0].tiu), len(program.groups[0].gdma)
        if counts != (group.bdc_num, group.gdma_num):
            raise StageDataError(f"(TIU, GDMA) commands: {(group.bdc_num, group.gdma_num)} are stated, but there are {counts}")
        program.check()  # a file can say anything, and what executes the commands relies on the rules of the chip
        return program

    def _cpu_step(self, subnet: SubNet) -> _CpuStep:
        if not subnet.cpu_param or len(subnet.cpu_param) != 1:
            raise StageDataError(f"a CPU subnet has {len(subnet.cpu_param or ())} operators instead of one")
        (param,) = subnet.cpu_param
        if param.is_custom or param.op_type not in CPU_OPERATORS:
            kind = "custom host operator" if param.is_custom else "host operator"
            raise CpuOperatorError(
                f"there is no {kind} {param.op_type}", help="register one with bmlang.runtime.cpu_operator" if not param.is_custom else None
            )
        parameters = bytes(param.binary_param.data) if param.binary_param else b""
        if param.op_type == LAYER:
            _check_layer(parameters)
        inputs = tuple(self._slot(tensor, written=False) for tensor in subnet.input_tensor or ())
        return _CpuStep(param.op_type, parameters, inputs, tuple(map(self._slot, subnet.output_tensor or ())))


def _bytes(tensor: Tensor) -> int:
    return prod(shape_of_tensor(tensor)) * dtype_of_tensor(tensor).itemsize


def _context_bytes(stage: NetParameter) -> int:
    return sum(stage.ctx_sizes) if stage.ctx_sizes else stage.ctx_size


def _check_layer(parameters: bytes) -> None:
    """The layer of a user that the host computes is there; packages that bring layers are imported where it is not yet."""
    if HostLayer.read(parameters).name not in HOST_LAYERS:
        from bmlang.layers.registry import all_layers

        all_layers()
    check_host_layer(parameters)
