"""Changing one BModel: weights, kernel module, refreshing; taking bytes out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bmlang.bmodel.build import stamped
from bmlang.bmodel.combine import kernel_mode
from bmlang.bmodel.container import BModel
from bmlang.bmodel.errors import DumpRangeError, ModuleMissingError, WeightMismatchError, WeightMissingError
from bmlang.bmodel.fields import Binary
from bmlang.bmodel.schema import CoeffMem, CpuopModule, KernelModule, Location, Model, Net, NetParameter
from bmlang.bmodel.section import sha256

__all__ = ["dump", "kernel_binary", "refresh", "remove_kernel", "update_cpuop", "update_kernel", "update_weight"]


def dump(bmodel: BModel, start: int, size: int) -> bytes:
    """Bytes of the binary section of a file that was read; `--print` gives the places of the binaries.

    Raises:
        DumpRangeError: the section does not have them, or `size` is 0.
    """
    section = bmodel.section
    if size < 1 or start < 0 or start + size > len(section):
        raise DumpRangeError(
            f"[start {start:#x}, size {size:#x}] is not in the binary section of {len(section):#x} bytes",
            help="--print shows start and size of every binary",
        )
    return bytes(section[start : start + size])


def kernel_binary(bmodel: BModel) -> KernelModule:
    """The kernel module.

    Raises:
        ModuleMissingError: there is none, or it is empty.
    """
    module = bmodel.model.kernel_module
    if module is None or not module.binary.size:
        raise ModuleMissingError("the file has no kernel module", help="add one with --kernel_update")
    return module


def update_kernel(bmodel: BModel, name: str, data: bytes) -> BModel:
    """With another kernel module; the mode stays."""
    module = KernelModule(file_name=name, binary=Binary(data), mode=kernel_mode(bmodel.model.kernel_module))
    return replace(bmodel, model=stamped(replace(bmodel.model, kernel_module=module)))


def remove_kernel(bmodel: BModel) -> BModel:
    """Without the kernel module, but with the (empty) table for it that the official runtime expects.

    Raises:
        ModuleMissingError: there is none, or it is empty.
    """
    kernel_binary(bmodel)
    return replace(bmodel, model=stamped(replace(bmodel.model, kernel_module=_NO_KERNEL)))


def update_cpuop(bmodel: BModel, name: str, data: bytes) -> BModel:
    """With another library of host operators."""
    return replace(bmodel, model=stamped(replace(bmodel.model, cpuop_module=CpuopModule(file_name=name, binary=Binary(data)))))


_NO_KERNEL = KernelModule(file_name="", binary=Binary(b""))


def refresh(bmodel: BModel) -> BModel:
    """Written anew: aligned, with true check codes, with a kernel mode that means something, without bytes behind the binary section."""
    model = bmodel.model
    if model.kernel_module is not None:
        model = replace(model, kernel_module=replace(model.kernel_module, mode=kernel_mode(model.kernel_module)))
    return BModel(stamped(_with_coeffs(model, lambda coeff: _checked(coeff) if coeff.binary_coeff else coeff)))


# ------------------------------------------------------------------ weights


def update_weight(target: BModel, net: str, offset: int, source: BModel, source_net: str, source_offset: int) -> BModel:
    """The target with one weight replaced by one of the source: those that begin at these offsets of the coefficients of the first stages.

    Everything that shares the coefficients (other stages, other nets) gets the new weight too, for they are stored once. The check code
    becomes that of the new coefficients.

    Raises:
        WeightMissingError: there is no such net, or no weight begins there.
        WeightMismatchError: names or sizes of the two weights differ.
    """
    coeff, place = _weight(target.model, net, offset, "target")
    source_coeff, source_place = _weight(source.model, source_net, source_offset, "source")
    if (place.name, place.size) != (source_place.name, source_place.size):
        raise WeightMismatchError(
            f"{source_place.name} of {source_place.size} bytes cannot replace {place.name} of {place.size} bytes",
            help="--weight lists the weights of a file",
        )
    data = bytearray(_data(coeff))
    data[place.offset : place.offset + place.size] = _data(source_coeff)[source_place.offset : source_place.offset + source_place.size]
    new = Binary(bytes(data))

    def changed(other: CoeffMem) -> CoeffMem:
        return _checked(replace(other, binary_coeff=new)) if other.binary_coeff == coeff.binary_coeff else other

    return replace(target, model=_with_coeffs(target.model, changed))


def _data(coeff: CoeffMem) -> bytes | memoryview:
    return coeff.binary_coeff.data if coeff.binary_coeff else b""


def _checked(coeff: CoeffMem) -> CoeffMem:
    return replace(coeff, check_code=sha256(_data(coeff)))


def _weight(model: Model, name: str, offset: int, which: str) -> tuple[CoeffMem, Location]:
    net = next((net for net in model.net if net.name == name and net.parameter), None)
    if net is None:
        names = ", ".join(repr(net.name) for net in model.net) or "none"
        raise WeightMissingError(f"the {which} has no net {name!r}", help=f"its nets are {names}")
    coeff = next(stage.coeff_mem for stage in net.stages)
    places = (coeff.location or ()) if coeff else ()
    for place in places:
        if coeff is not None and place.offset == offset and 0 < place.size <= len(_data(coeff)) - offset:
            return coeff, place
    known = ", ".join(f"{place.offset:#x} ({place.name})" for place in places[:8]) or "none"
    raise WeightMissingError(f"net {name!r} of the {which} has no weight at offset {offset:#x}", help=f"its weights begin at {known}")


def _with_coeffs(model: Model, change: Callable[[CoeffMem], CoeffMem]) -> Model:
    def stage(old: NetParameter) -> NetParameter:
        return old if old.coeff_mem is None else replace(old, coeff_mem=change(old.coeff_mem))

    def net(old: Net) -> Net:
        return old if old.parameter is None else replace(old, parameter=tuple(map(stage, old.parameter)))

    return replace(model, net=tuple(map(net, model.net)))
