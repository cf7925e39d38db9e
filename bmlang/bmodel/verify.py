"""Verifying a BModel: what reading cannot see, but what a runtime stumbles over or runs wrongly.

Which omissions crash the official runtime, or make it compute something else, was measured with files that differ in one thing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bmlang.bmodel.combine import KERNEL_MODES
from bmlang.bmodel.container import BModel
from bmlang.bmodel.errors import AddressRangeError, BModelError, CheckCodeError, FileStructureError
from bmlang.bmodel.fields import Table, walk
from bmlang.bmodel.memory import CPU, TPU, command_groups
from bmlang.bmodel.schema import CpuConst, Model, Net, NetParameter, SubNet, Tensor, data_type_bits
from bmlang.bmodel.section import sha256
from bmlang.bmodel.verify_streams import Areas, check_streams

__all__ = ["Report", "verify"]

CHECKED_ADDRESS_MODES = (0, 1)
"""Address modes with addresses that are final in the file."""


@dataclass(frozen=True)
class Report:
    """What `verify` found.

    Attributes:
        findings: what is wrong; none of the errors was raised.
        notes: what could not be checked, and why.
    """

    findings: tuple[BModelError, ...]
    notes: tuple[str, ...]


def verify(bmodel: BModel) -> Report:
    """Checks structure, check codes, addresses, and that the command streams are what the tables say."""
    notes: list[str] = []
    findings = [*_structure(bmodel), *_codes(bmodel.model), *_addresses(bmodel.model, notes), *check_streams(bmodel.model, notes)]
    return Report(tuple(findings), tuple(dict.fromkeys(notes)))


def _wrong(where: str, message: str, help: str | None = None) -> FileStructureError:
    return FileStructureError(message, where=where, help=help)


# ------------------------------------------------------------------ structure


def _structure(bmodel: BModel) -> Iterator[BModelError]:
    model = bmodel.model
    if any(bmodel.reserved):
        yield _wrong("the header", "reserved bytes are not zero", "--refresh writes the file anew")
    if len(bmodel.trailing):
        yield _wrong("the end", f"{len(bmodel.trailing)} bytes follow the binary section", "--refresh writes the file without them")
    for path, table in (("Model", model), *walk(model, Table)):
        for one in table.unknown:
            yield _wrong(path, f"field {one.id} (offset {one.offset}) is not known", "the file is of a newer format")
    module = model.kernel_module
    if module is not None and module.mode not in KERNEL_MODES:
        yield _wrong("kernel_module.mode", f"{module.mode} means nothing, and the official tool will not combine it", "--refresh mends it")
    for name, count in Counter(net.name for net in model.net).items():
        if count > 1:
            yield _wrong(f"net {name!r}", f"{count} nets have this name, and a runtime loads one", "combine the files anew")
    for net in model.net:
        if not net.parameter:
            yield _wrong(f"net {net.name!r}", "it has no stages")
        for k, stage in enumerate(net.stages):
            yield from _stage(stage, f"net {net.name!r}, stage {k}")


def _stage(stage: NetParameter, where: str) -> Iterator[BModelError]:
    subnets = stage.subnets
    if not subnets:
        yield _wrong(where, "it has no subnet, without which the official runtime crashes")
    for k, subnet in enumerate(subnets):
        yield from _subnet(subnet, f"{where}, subnet {k}")
    static = [group for subnet in subnets if subnet.subnet_mode == TPU for group in subnet.cmd_group or ()]
    if list(stage.cmd_group or ()) != static:
        yield _wrong(where, "the commands of its subnets are not listed for the stage as well, so that the official runtime runs others")
    if not stage.ctx_size and not stage.ctx_sizes:
        yield _wrong(where, "no size of its intermediate tensors is given, which the official runtime refuses")
    if stage.ctx_sizes and sum(stage.ctx_sizes) != stage.ctx_size:
        yield _wrong(where, f"ctx_size is {stage.ctx_size}, but ctx_sizes are {list(stage.ctx_sizes)}")
    if stage.coeff_mem is not None and not stage.coeff_mem.address:
        yield _wrong(where, "its coefficients have no address")
    for path, tensor in walk(stage, Tensor):
        yield from _tensor(tensor, f"{where}, {path}")


def _subnet(subnet: SubNet, where: str) -> Iterator[BModelError]:
    if subnet.input_tensor is None or subnet.output_tensor is None:
        yield _wrong(where, "inputs or outputs are missing, without which the official runtime crashes")
    if subnet.subnet_mode == TPU and not subnet.is_dynamic and not any(command_groups(subnet)):
        yield _wrong(where, "a static subnet for the TPU has no commands")


def _tensor(tensor: Tensor, where: str) -> Iterator[BModelError]:
    if not tensor.shape or any(shape.dim is None for shape in tensor.shape):
        yield _wrong(where, f"tensor {tensor.name!r} has no shape, without which the official runtime crashes")
    if data_type_bits(tensor.data_type) is None:
        yield _wrong(where, f"tensor {tensor.name!r} has data type {tensor.data_type}, which does not exist")


# ------------------------------------------------------------------ check codes


def _codes(model: Model) -> Iterator[BModelError]:
    for net, number, stage in _stages(model):
        where = f"net {net.name!r}, stage {number}"
        coeff = stage.coeff_mem
        if coeff is not None and coeff.binary_coeff is not None and not coeff.encrypt_mode:
            yield from _code(coeff.check_code, coeff.binary_coeff.data, f"{where}, coeff_mem")
        for path, const in walk(stage, CpuConst):
            if const.const_data is not None:
                yield from _code(const.check_code, const.const_data.data, f"{where}, {path}")


def _code(code: bytes | None, data: bytes | memoryview, where: str) -> Iterator[BModelError]:
    true = sha256(data)
    if code != true:
        given = "missing" if code is None else f"{code.hex() or 'empty'}"
        yield CheckCodeError(
            f"the check code is {given}, but the SHA-256 of the {len(data)} bytes is {true.hex()}",
            where=where,
            help="nets with equal codes share memory: --refresh computes the codes anew",
        )


def _stages(model: Model) -> Iterator[tuple[Net, int, NetParameter]]:
    for net in model.net:
        for number, stage in enumerate(net.stages):
            yield net, number, stage


# ------------------------------------------------------------------ addresses


def _addresses(model: Model, notes: list[str]) -> Iterator[BModelError]:
    for net, number, stage in _stages(model):
        where = f"net {net.name!r}, stage {number}"
        if net.addr_mode not in CHECKED_ADDRESS_MODES:
            notes.append(f"net {net.name!r}: addresses are not checked, for in address mode {net.addr_mode} the runtime fills them in")
            continue
        areas = Areas.of(stage)
        yield from (AddressRangeError(f"{first} and {second} overlap", where=where) for first, second in areas.overlaps())
        read = {id(tensor) for subnet in stage.subnets if subnet.subnet_mode == CPU for tensor in subnet.input_tensor or ()}
        for path, tensor in walk(stage, Tensor):
            size = tensor.size or 0
            where_from = ("ctx", "io", "coeff") if id(tensor) in read else ("ctx", "io")  # the host may take coefficients, too
            if tensor.mem_type & 1 and not areas.holds(tensor.device_addr, size, where_from):
                yield AddressRangeError(
                    f"tensor {tensor.name!r} at {tensor.device_addr:#x} with {size} bytes is not in {areas}", where=f"{where}, {path}"
                )
