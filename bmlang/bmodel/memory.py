"""How much memory the nets of a BModel take on the device and on the host, counted as the official tools count it.

Found by asking the official `model_tool` 1.30.2 for files that differ in one number. One thing it gets wrong is right here: it looks at the
first stage only and counts that once for every stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Final

from bmlang.bmodel.fields import Binary
from bmlang.bmodel.schema import CmdGroup, Model, NetParameter, SubNet, Tensor

__all__ = ["Memory", "command_groups", "memory_of"]

FIXED_COMMAND_BYTES: Final[dict[str, int]] = {"BM1682": 256, "BM1684": 128}
"""Bytes of a command on the chips where all are of one size; on others the streams say how long they are."""
LOADED_TWICE: Final[frozenset[str]] = frozenset({"BM1684X"})
"""Chips whose commands are in host memory twice while they are loaded, because their addresses are changed."""
IO_BUFFER_CHIPS: Final[frozenset[str]] = frozenset({"BM1684"})
"""Chips for which the runtime keeps a buffer to bring inputs and outputs into another layout."""
LOADER_BYTES = 712 << 10
"""Host memory that loading takes in any case."""

TPU, CPU = 0, 1


@dataclass(frozen=True)
class Memory:
    """Bytes on the device (`weight`, `instruct`, `neuron`) and on the host.

    Attributes:
        weight: coefficients; those with equal check codes count once.
        instruct: command streams, and what dynamic nets execute.
        neuron: intermediate tensors.
        io_buffer: the largest input or output, as the runtime converts it.
        host_weight, host_runtime: constants and tensors of the operators that run on the host.
        soc_peak, pcie_peak: estimated host memory while the file is loaded.
    """

    weight: int
    instruct: int
    neuron: int
    io_buffer: int
    host_weight: int
    host_runtime: int
    soc_peak: int
    pcie_peak: int


def memory_of(model: Model) -> Memory:
    """Memory figures of a model."""
    stages = [stage for net in model.net for stage in net.stages]
    weight, host_weight = _weights(stages), _host_weights(stages)
    commands = (binary.size for stage in stages for group in stage.cmd_group or () for binary in _streams(group))
    copies = 2 if model.chip in LOADED_TWICE else 1
    kernel = model.kernel_module.binary.size if model.kernel_module else 0
    loaded = max(2 * kernel, copies * max(commands, default=0))
    return Memory(
        weight=weight,
        instruct=sum(_instructions(subnet, model.chip) for stage in stages for subnet in stage.subnets),
        neuron=_neuron(model),
        io_buffer=max((_converted(tensor) for stage in stages for tensor in (*stage.input_tensor, *stage.output_tensor)), default=0),
        host_weight=host_weight,
        host_runtime=sum(4 * stage.cpu_mem_size for stage in stages),
        soc_peak=LOADER_BYTES + loaded,
        pcie_peak=LOADER_BYTES + max(loaded, weight),
    )


def _weights(stages: Iterable[NetParameter]) -> int:
    coeffs = [stage.coeff_mem for stage in stages if stage.coeff_mem and stage.coeff_mem.binary_coeff]
    return _distinct((coeff.check_code, coeff.binary_coeff) for coeff in coeffs)


def _host_weights(stages: Iterable[NetParameter]) -> int:
    subnets = [subnet for stage in stages for subnet in stage.subnets if subnet.subnet_mode == CPU]
    consts = [const for subnet in subnets for param in subnet.cpu_param or () for const in param.cpu_const or ()]
    return _distinct((const.check_code, const.const_data) for const in consts)


def _distinct(data: Iterable[tuple[bytes | None, Binary | None]]) -> int:
    """Bytes in all, each check code counted once."""
    sizes: dict[bytes, int] = {}
    for code, binary in data:
        sizes.setdefault(code or b"", binary.size if binary else 0)
    return sum(sizes.values())


def _neuron(model: Model) -> int:
    """Nets of one subnet share the largest area; a net of several subnets has its own."""
    own, shared = 0, 0
    for net in model.net:
        stages = net.stages
        largest = max((stage.ctx_size for stage in stages), default=0)
        if any(len(stage.subnets) > 1 for stage in stages):
            own += largest
        else:
            shared = max(shared, largest)
    return own + shared


def _instructions(subnet: SubNet, chip: str) -> int:
    if subnet.subnet_mode != TPU:
        return 0
    if subnet.is_dynamic:
        return 4 * subnet.ir_len
    others = [
        binary.size
        for core in subnet.core_commands or ()
        for binaries in (core.sdma_commands, core.hau_commands, core.cdma_commands)
        for binary in binaries or ()
    ]
    return sum(_commands(group, chip) for group in command_groups(subnet)) + sum(others)


def command_groups(subnet: SubNet) -> Iterator[CmdGroup]:
    """The command groups of a subnet, which a file lists for all cores or core by core."""
    if subnet.cmd_group:
        yield from subnet.cmd_group
    else:
        for core in subnet.core_commands or ():
            yield from core.gdma_tiu_commands or ()


def _commands(group: CmdGroup, chip: str) -> int:
    if chip in FIXED_COMMAND_BYTES:
        return FIXED_COMMAND_BYTES[chip] * (group.bdc_num + group.gdma_num)
    return sum(binary.size for binary in _streams(group))


def _streams(group: CmdGroup) -> list[Binary]:
    return [binary for binary in (group.binary_bdc, group.binary_gdma) if binary]


def _converted(tensor: Tensor) -> int:
    """Bytes of a tensor in the conversion buffer: 4 an element, 1 for int8 and uint8."""
    dims = (tensor.shape[0].dim or ()) if tensor.shape else ()
    return (1 if tensor.data_type in (2, 3) else 4) * prod(dims)
