"""The tables of a BModel, as in the schema `bmodel.fbs` that the tpu-mlir 1.30 package carries. Older files lack some of the fields.

Sizes are bytes, addresses are those of the device (0x100000000 is the start of its DDR), unless a field says otherwise. Facts about what a
runtime does with a field were measured on the official runtime.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from bmlang.bmodel.fields import Binary, Field, Struct, Table

__all__ = [
    "DATA_TYPES",
    "Cascade",
    "CmdGroup",
    "CoeffMem",
    "CoreCommands",
    "CpuConst",
    "CpuParam",
    "CpuopModule",
    "KernelModule",
    "Location",
    "MergeParam",
    "Model",
    "Net",
    "NetDynamic",
    "NetParameter",
    "NetStatic",
    "OutputFrom",
    "RelEntry",
    "Shape",
    "StageIR",
    "SubNet",
    "SwitchParam",
    "Tensor",
    "data_type_bits",
    "data_type_name",
]

DATA_TYPES: Final[tuple[tuple[str, int], ...]] = (
    ("float32", 32),
    ("float16", 16),
    ("int8", 8),
    ("uint8", 8),
    ("int16", 16),
    ("uint16", 16),
    ("int32", 32),
    ("uint32", 32),
    ("bfloat16", 16),
    ("int4", 4),
    ("uint4", 4),
)
"""Name and bits of the data types, by the number that stands for them in `Tensor.data_type`."""


def data_type_name(number: int) -> str:
    """Name of a data type; `unkown` (the official tool's spelling) for a number without one."""
    return DATA_TYPES[number][0] if number < len(DATA_TYPES) else "unkown"


def data_type_bits(number: int) -> int | None:
    """Bits of an element, None for a number without a type."""
    return DATA_TYPES[number][1] if number < len(DATA_TYPES) else None


@dataclass(frozen=True, slots=True)
class RelEntry(Struct):
    """Where an address has to be filled in: which base it counts from, the offset to that, the byte of the GDMA stream with the address."""

    base_addr_id: Annotated[int, Field(0, "uint32")]
    addr_offset: Annotated[int, Field(1, "uint32")]
    cmd_offset: Annotated[int, Field(2, "uint32")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape(Table):
    """A shape: up to eight sizes."""

    dim: Annotated[tuple[int, ...] | None, Field(0, "[uint64]")] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CmdGroup(Table):
    """Commands of both engines that run together; command numbers begin at 1 in each group. The counts include the end commands."""

    bdc_num: Annotated[int, Field(0, "uint32")] = 0
    gdma_num: Annotated[int, Field(1, "uint32")] = 0
    binary_bdc: Annotated[Binary | None, Field(2, "binary")] = None
    binary_gdma: Annotated[Binary | None, Field(3, "binary")] = None
    bdc_cmd_byte: Annotated[int, Field(4, "uint32")] = 0
    gdma_cmd_byte: Annotated[int, Field(5, "uint32")] = 0
    reloc_entries: Annotated[tuple[RelEntry, ...] | None, Field(6, "[struct]")] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreCommands(Table):
    """Commands of one core."""

    gdma_tiu_commands: Annotated[tuple[CmdGroup, ...] | None, Field(0, "[table]")] = None
    sdma_commands: Annotated[tuple[Binary, ...] | None, Field(1, "[binary]")] = None
    hau_commands: Annotated[tuple[Binary, ...] | None, Field(2, "[binary]")] = None
    cdma_commands: Annotated[tuple[Binary, ...] | None, Field(3, "[binary]")] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StageIR(Table):
    """Range of input sizes that a part of `NetParameter.binary_ir` is for."""

    ir_info_len: Annotated[int, Field(0, "uint32")] = 0
    height_high: Annotated[int, Field(1, "int32")] = 0
    height_low: Annotated[int, Field(2, "int32")] = 0
    width_high: Annotated[int, Field(3, "int32")] = 0
    width_low: Annotated[int, Field(4, "int32")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Location(Table):
    """Where the coefficients of an operator lie in `CoeffMem.binary_coeff`."""

    name: Annotated[str, Field(0, "string")]
    offset: Annotated[int, Field(1, "uint64")] = 0
    size: Annotated[int, Field(2, "uint64")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class CoeffMem(Table):
    """Coefficients of a stage. Stages whose check codes (SHA-256 of the coefficients) are equal share the memory at run time."""

    address: Annotated[int, Field(0, "uint64")] = 0
    check_code: Annotated[bytes | None, Field(1, "[uint8]")] = None
    binary_coeff: Annotated[Binary | None, Field(2, "binary")] = None
    location: Annotated[tuple[Location, ...] | None, Field(3, "[table]")] = None
    encrypt_mode: Annotated[int, Field(4, "int32")] = 0
    decrypt_size: Annotated[int, Field(5, "uint64")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensor(Table):
    """An input or output.

    Attributes:
        data_type: number of the type, see `DATA_TYPES`.
        gmem_stmode: 0 1N, 1 2N, 2 4N (BM1684).
        shape: one shape; several for a dynamic net.
        mem_type: bit 0 TPU, bit 1 CPU.
        hidden: 1 input, 2 output of the net, other numbers in nets of several subnets or devices.
        index: position among the inputs or outputs.
    """

    name: Annotated[str, Field(0, "string")]
    data_type: Annotated[int, Field(1, "uint32")] = 0
    gmem_stmode: Annotated[int, Field(2, "int32")] = 0
    device_addr: Annotated[int, Field(3, "uint64")] = 0
    size: Annotated[int, Field(4, "uint64")] = 0
    shape: Annotated[tuple[Shape, ...] | None, Field(5, "[table]")] = None
    mem_type: Annotated[int, Field(6, "uint32")] = 0
    scale: Annotated[float, Field(7, "float32")] = 1.0
    cpu_addr: Annotated[int, Field(8, "uint32")] = 0
    pad_h: Annotated[int, Field(9, "uint32")] = 0
    zero_point: Annotated[int, Field(10, "int32")] = 0
    hidden: Annotated[int, Field(11, "int32")] = 0
    index: Annotated[int, Field(12, "int32")] = 0
    relentry: Annotated[RelEntry | None, Field(13, "struct")] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CpuConst(Table):
    """A constant of an operator that runs on the host."""

    name: Annotated[str | None, Field(0, "string")] = None
    const_data: Annotated[Binary | None, Field(1, "binary")] = None
    check_code: Annotated[bytes | None, Field(2, "[uint8]")] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CpuParam(Table):
    """An operator that runs on the host: its number, its parameters as the host library lays them out, its constants."""

    op_type: Annotated[int, Field(0, "int32")] = 0
    binary_param: Annotated[Binary | None, Field(1, "binary")] = None
    cpu_const: Annotated[tuple[CpuConst, ...] | None, Field(2, "[table]")] = None
    is_custom: Annotated[int, Field(3, "int32")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputFrom(Table):
    """Which inputs an output of a merge can come from."""

    indice: Annotated[tuple[int, ...] | None, Field(0, "[int32]")] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MergeParam(Table):
    """A subnet that joins branches: one entry for each output."""

    output_from: Annotated[tuple[OutputFrom, ...] | None, Field(0, "[table]")] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SwitchParam(Table):
    """A subnet that chooses a branch: for each output the input it is, and the branch (0 false, 1 true) it is for."""

    output_from: Annotated[tuple[int, ...] | None, Field(0, "[int32]")] = None
    output_branch: Annotated[tuple[int, ...] | None, Field(1, "[int32]")] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SubNet(Table):
    """A part of a stage that runs in one place.

    Attributes:
        subnet_mode: 0 TPU, 1 CPU, 2 merge, 3 switch.
        ir_offset, ir_len: part of `NetParameter.binary_ir` of a dynamic subnet; the length counts 32-bit words.
        next_subnet_ids: what runs afterwards; -1 at the end.
    """

    subnet_mode: Annotated[int, Field(0, "int32")] = 0
    cmd_group: Annotated[tuple[CmdGroup, ...] | None, Field(1, "[table]")] = None
    cpu_param: Annotated[tuple[CpuParam, ...] | None, Field(2, "[table]")] = None
    input_tensor: Annotated[tuple[Tensor, ...] | None, Field(3, "[table]")] = None
    output_tensor: Annotated[tuple[Tensor, ...] | None, Field(4, "[table]")] = None
    is_dynamic: Annotated[int, Field(5, "int32")] = 0
    ir_offset: Annotated[int, Field(6, "uint32")] = 0
    ir_len: Annotated[int, Field(7, "uint32")] = 0
    n_dynamic: Annotated[int, Field(8, "int32")] = 0
    h_w_dynamic: Annotated[int, Field(9, "int32")] = 0
    id: Annotated[int, Field(10, "int32")] = -1
    next_subnet_ids: Annotated[tuple[int, ...] | None, Field(11, "[int32]")] = None
    merge_param: Annotated[MergeParam | None, Field(12, "table")] = None
    switch_param: Annotated[SwitchParam | None, Field(13, "table")] = None
    core_commands: Annotated[tuple[CoreCommands, ...] | None, Field(14, "[table]")] = None
    run_core: Annotated[int, Field(15, "uint32")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class NetStatic(Table):
    """Left from old files; without fields."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NetDynamic(Table):
    """Left from old files; without fields."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NetParameter(Table):
    """A stage: a net compiled for one set of input shapes.

    Attributes:
        ctx_addr, ctx_size: device memory of the intermediate tensors; `ctx_sizes` is preferred where it is given.
        cmd_group: the commands of a static stage; those of the TPU subnets are listed there again.
        binary_ir: what a dynamic stage executes.
        cpu_mem_size: host memory, in 4-byte words.
        io_addr, io_size: memory of inputs and outputs, with `Net.addr_mode` 1.
    """

    input_tensor: Annotated[tuple[Tensor, ...], Field(0, "[table]")]
    output_tensor: Annotated[tuple[Tensor, ...], Field(1, "[table]")]
    ctx_addr: Annotated[int, Field(2, "uint64")] = 0
    ctx_size: Annotated[int, Field(3, "uint64")] = 0
    coeff_mem: Annotated[CoeffMem | None, Field(4, "table")] = None
    is_dynamic: Annotated[int, Field(5, "int32")] = 0
    n_dynamic: Annotated[int, Field(6, "int32")] = 0
    h_w_dynamic: Annotated[int, Field(7, "int32")] = 0
    cmd_group: Annotated[tuple[CmdGroup, ...] | None, Field(8, "[table]")] = None
    net_profile: Annotated[Binary | None, Field(9, "binary")] = None
    stage_ir: Annotated[tuple[StageIR, ...] | None, Field(10, "[table]")] = None
    binary_ir: Annotated[Binary | None, Field(11, "binary")] = None
    sub_net: Annotated[tuple[SubNet, ...] | None, Field(12, "[table]")] = None
    cpu_mem_size: Annotated[int, Field(13, "uint32")] = 0
    ctx_sizes: Annotated[tuple[int, ...] | None, Field(14, "[uint64]")] = None
    net_stat: Annotated[Binary | None, Field(15, "binary")] = None
    core_num: Annotated[int, Field(16, "uint32")] = 0
    io_addr: Annotated[int, Field(17, "uint64")] = 0
    io_size: Annotated[int, Field(18, "uint64")] = 0
    tensor_loc: Annotated[Binary | None, Field(19, "binary")] = None
    dynamic_ctx_addr: Annotated[int, Field(20, "uint64")] = 0
    dynamic_coeff_offset: Annotated[int, Field(21, "uint64")] = 0
    dynamic_combined_coeff_offset: Annotated[int, Field(22, "uint64")] = 0

    @property
    def subnets(self) -> tuple[SubNet, ...]:
        """`sub_net`, empty where it is absent."""
        return self.sub_net or ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Cascade(Table):
    """Place of a net in a model that is spread over several devices."""

    device_id: Annotated[int, Field(0, "uint32")] = 0
    step: Annotated[int, Field(1, "uint32")] = 0
    main_name: Annotated[str | None, Field(2, "string")] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Net(Table):
    """A net with its stages (`parameter`).

    Attributes:
        addr_mode: 0 all in one area, 1 inputs and outputs apart, 2 and 3 tagged, 4 relocated by `CmdGroup.reloc_entries`.
    """

    name: Annotated[str, Field(0, "string")]
    net_static: Annotated[tuple[NetStatic, ...] | None, Field(1, "[table]")] = None
    net_dynamic: Annotated[tuple[NetDynamic, ...] | None, Field(2, "[table]")] = None
    parameter: Annotated[tuple[NetParameter, ...] | None, Field(3, "[table]")] = None
    cascade: Annotated[Cascade | None, Field(4, "table")] = None
    addr_mode: Annotated[int, Field(5, "int32")] = 0

    @property
    def stages(self) -> tuple[NetParameter, ...]:
        """`parameter`, empty where it is absent."""
        return self.parameter or ()


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelModule(Table):
    """The program of the processor that feeds the TPU. `mode` is 0 in files of the compiler; other numbers are garbage of a tool."""

    file_name: Annotated[str, Field(0, "string")]
    binary: Annotated[Binary, Field(1, "binary")]
    mode: Annotated[int, Field(2, "int32")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class CpuopModule(Table):
    """A library with operators for the host."""

    file_name: Annotated[str, Field(0, "string")]
    binary: Annotated[Binary, Field(1, "binary")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Model(Table):
    """The root table.

    Attributes:
        type, version: `B` and `2.2` with whatever the writer adds; nobody checks them.
        time: when it was written, in the form of C's `ctime`, newline included.
        chip: `BM1684X`, `BM1684`, ...; the runtime wants exactly the name of its chip.
        neuron_size: largest area of intermediate tensors of all stages.
        bmodel_type: 1 when the coefficients of all nets were joined into one.
    """

    type: Annotated[str, Field(0, "string")]
    version: Annotated[str, Field(1, "string")]
    time: Annotated[str, Field(2, "string")]
    chip: Annotated[str, Field(3, "string")]
    net: Annotated[tuple[Net, ...], Field(4, "[table]")]
    neuron_size: Annotated[int, Field(5, "uint64")] = 0
    kernel_module: Annotated[KernelModule | None, Field(6, "table")] = None
    device_num: Annotated[int, Field(7, "uint32")] = 0
    cpuop_module: Annotated[CpuopModule | None, Field(8, "table")] = None
    bmodel_type: Annotated[int, Field(9, "uint32")] = 0
    lib_backend: Annotated[Binary | None, Field(10, "binary")] = None
