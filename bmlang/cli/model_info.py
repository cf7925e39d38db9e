"""`tpu_model --info`: the text of the official tool, line for line; its older wording; JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import ClassVar

from bmlang.bmodel import BModel
from bmlang.bmodel.combine import KERNEL_MODES, kernel_mode
from bmlang.bmodel.memory import IO_BUFFER_CHIPS, Memory, memory_of
from bmlang.bmodel.schema import CpuopModule, KernelModule, Model, Net, NetParameter, Tensor, data_type_name
from bmlang.cli.output import printable

__all__ = ["info_data", "info_text"]

NET_LINE, STAGE_LINE = "=" * 42, "-" * 12

# What `Tensor.hidden` says in nets that are spread over several devices.
CASCADE_INPUTS, CASCADE_OUTPUTS = (1, 3), (2, 4)


def info_text(bmodel: BModel, *, legacy: bool = False, every: bool = False) -> str:
    """The text of `--info`.

    Args:
        bmodel: the file.
        legacy: the wording of the older `tpu_model`: "coeff" for weights, the number of subnets always, no number of cores, no zero point.
        every: also nets that belong to a cascade (`--all`).
    """
    return "\n".join(_Legacy(bmodel, every).lines() if legacy else _Newest(bmodel, every).lines())


@dataclass(frozen=True)
class _Newest:
    """Wording of model_tool 1.30.2."""

    bmodel: BModel
    every: bool
    shows_devices: ClassVar[bool] = True
    shows_zero_points: ClassVar[bool] = True

    def lines(self) -> Iterator[str]:
        model = self.bmodel.model
        yield f"bmodel version: {printable(model.type)}.{printable(model.version)}"
        yield f"chip: {printable(model.chip)}" + (f",  device num: {model.device_num}" if model.device_num > 1 else "")
        yield "create time: " + printable(model.time, keep="\n")  # the text brings its own newline, so an empty line follows
        yield from self.modules(model)
        for number, net in enumerate(model.net):
            if net.parameter and (self.every or not _main_name(net)):
                yield from self.net(number, net, net.parameter)
        yield from self.cascades(model)
        yield ""
        yield from self.memory(memory_of(model))

    def modules(self, model: Model) -> Iterator[str]:
        module = model.kernel_module
        if module is None:
            yield "no kernel_module"
        else:
            yield f"kernel_module name: {printable(module.file_name)}"
            yield f"kernel_module size: {module.binary.size}"
            yield f"kernel mode: {KERNEL_MODES[kernel_mode(module)]}"

    def net(self, number: int, net: Net, stages: tuple[NetParameter, ...]) -> Iterator[str]:
        yield NET_LINE
        yield f"net {number}: [{printable(net.name)}]  {'dynamic' if stages[0].is_dynamic else 'static'}"
        if net.addr_mode:
            yield f"addr mode: {net.addr_mode}"
        if net.cascade:
            yield f"device id: {net.cascade.device_id}"
        for k, stage in enumerate(stages):
            yield STAGE_LINE
            yield from self.stage(k, stage)
            yield from (self.tensor("input", tensor, dynamic=bool(stage.n_dynamic or stage.h_w_dynamic)) for tensor in stage.input_tensor)
            yield from (self.tensor("output", tensor) for tensor in stage.output_tensor)

    def stage(self, number: int, stage: NetParameter) -> Iterator[str]:
        yield f"stage {number}, core num: {stage.core_num or 1}"
        if len(stage.subnets) > 1:
            yield f"subnet number: {len(stage.subnets)}"

    def cascades(self, model: Model) -> Iterator[str]:
        for name, tensors in _cascades(model).items():
            yield NET_LINE
            yield f"net: [{printable(name)}]  cascade"
            for direction, hidden in (("input", CASCADE_INPUTS), ("output", CASCADE_OUTPUTS)):
                for device, tensor in tensors:
                    if tensor.hidden in hidden:
                        yield self.tensor(direction, tensor, device=device)

    def tensor(self, direction: str, tensor: Tensor, *, dynamic: bool = False, device: int | None = None) -> str:
        place = f"devid({device}) " if self.shows_devices and device is not None else ""
        shape, kind = _shape(tensor, dynamic), data_type_name(tensor.data_type)
        zero_point = f", zero_point: {tensor.zero_point}" if self.shows_zero_points else ""
        return f"{direction}: {place}{printable(tensor.name)}, {shape}, {kind}, scale: {tensor.scale:g}{zero_point}"

    def memory(self, memory: Memory) -> Iterator[str]:
        yield from self.sizes(memory, "weight", buffer=self.bmodel.model.chip in IO_BUFFER_CHIPS)
        yield f"estimated SoC CPU peak: {memory.soc_peak}"
        yield f"estimated PCIE CPU peak: {memory.pcie_peak}"
        yield f"bmodel is {'' if self.bmodel.aligned else 'not '}4k aligned"

    def sizes(self, memory: Memory, weight: str, *, buffer: bool) -> Iterator[str]:
        runtime = memory.neuron + (memory.io_buffer if buffer else 0)
        device = memory.weight + memory.instruct + runtime
        yield f"device mem size: {device} ({weight}: {memory.weight}, instruct: {memory.instruct}, runtime: {runtime})"
        host = memory.host_weight + memory.host_runtime
        yield f"host mem size: {host} ({weight}: {memory.host_weight}, runtime: {memory.host_runtime})"


class _Legacy(_Newest):
    """Wording of the older tpu_model, as its documentation shows it."""

    shows_devices = shows_zero_points = False

    def modules(self, model: Model) -> Iterator[str]:
        for title, module in (("kernel_module", model.kernel_module), ("cpuop_module", model.cpuop_module)):
            yield from _module(title, module)

    def stage(self, number: int, stage: NetParameter) -> Iterator[str]:
        yield f"stage {number}:"
        yield f"subnet number: {len(stage.subnets)}"

    def memory(self, memory: Memory) -> Iterator[str]:
        yield from self.sizes(memory, "coeff", buffer=True)


def _module(title: str, module: KernelModule | CpuopModule | None) -> Iterator[str]:
    """A module as the older tool shows it; one that is not there is not mentioned, as in files of its time."""
    if module is not None and module.binary.size:
        yield f"{title} name: {printable(module.file_name)}"
        yield f"{title} size: {module.binary.size}"
        yield f"{title} md5: {hashlib.md5(module.binary.data, usedforsecurity=False).hexdigest()}"


def _shape(tensor: Tensor, dynamic: bool) -> str:
    dims = (tensor.shape[0].dim or ()) if tensor.shape else ()
    return "[" + ", ".join(f"{'max:' if dynamic else ''}{size}" for size in dims) + "]" if dims else "[ ]"


def _main_name(net: Net) -> str:
    return (net.cascade.main_name or "") if net.cascade else ""


def _cascades(model: Model) -> dict[str, list[tuple[int, Tensor]]]:
    """Inputs and outputs of the nets that are spread over devices, by the name of the whole, in the order of devices and indices."""
    found: dict[str, list[tuple[int, Tensor]]] = {}
    for net in model.net:
        if net.cascade and net.parameter and (name := _main_name(net)):
            stage, device = net.parameter[0], net.cascade.device_id
            found.setdefault(name, []).extend((device, tensor) for tensor in (*stage.input_tensor, *stage.output_tensor))
    for tensors in found.values():
        tensors.sort(key=lambda pair: (pair[0], pair[1].index))
    return dict(sorted(found.items()))


# ------------------------------------------------------------------ JSON


def info_data(bmodel: BModel) -> dict[str, object]:
    """What `--info --json` prints."""
    model = bmodel.model
    return {
        "type": model.type,
        "version": model.version,
        "chip": model.chip,
        "device_num": model.device_num,
        "time": model.time.strip(),
        "kernel_module": _module_data(model.kernel_module),
        "cpuop_module": _module_data(model.cpuop_module),
        "aligned": bmodel.aligned,
        "nets": [_net_data(net) for net in model.net],
        "memory": asdict(memory_of(model)),
    }


def _module_data(module: KernelModule | CpuopModule | None) -> dict[str, object] | None:
    return None if module is None else {"name": module.file_name, "size": module.binary.size}


def _net_data(net: Net) -> dict[str, object]:
    stages = net.stages
    cascade = net.cascade
    return {
        "name": net.name,
        "dynamic": bool(stages and stages[0].is_dynamic),
        "addr_mode": net.addr_mode,
        "cascade": None if cascade is None else {"main_name": cascade.main_name, "device_id": cascade.device_id, "step": cascade.step},
        "stages": [_stage_data(stage) for stage in stages],
    }


def _stage_data(stage: NetParameter) -> dict[str, object]:
    return {
        "cores": stage.core_num or 1,
        "subnets": len(stage.subnets),
        "inputs": [_tensor_data(tensor) for tensor in stage.input_tensor],
        "outputs": [_tensor_data(tensor) for tensor in stage.output_tensor],
    }


def _tensor_data(tensor: Tensor) -> dict[str, object]:
    return {
        "name": tensor.name,
        "shapes": [shape.dim or () for shape in tensor.shape or ()],
        "dtype": data_type_name(tensor.data_type),
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
    }
