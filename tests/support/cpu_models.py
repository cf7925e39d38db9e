"""A BModel with a subnet for the host: a recorded model of static and dynamic subnets, with an operator of the host for the dynamic one."""

from __future__ import annotations

import struct
from dataclasses import replace

from bmlang.bmodel import Binary, BModel
from bmlang.bmodel.schema import CpuParam, Shape, StageIR, SubNet
from tests.support.bmodels import TOPK, fixture

TPU_AND_HOST, HOST = 3, 1
"""`Tensor.mem_type` of a tensor that both sides use, and `SubNet.subnet_mode` of the host."""


def topk_parameters(k: int, axis: int, *, by_value: bool = True, descending: bool = True) -> bytes:
    """Parameters of operator 17."""
    return struct.pack("<ii???x", k, axis, by_value, descending, False)


def host_model(parameters: bytes, *, op_type: int = 17, is_custom: int = 0, k: int = 5) -> BModel:
    """The recorded net of convolution and topk, the latter on the host; its outputs have `k` elements."""
    model = fixture(TOPK).model
    (stage,) = model.net[0].stages
    static, dynamic = stage.subnets
    param = CpuParam(op_type=op_type, binary_param=Binary(parameters), is_custom=is_custom)

    def shared(subnet: SubNet) -> SubNet:
        sides = (subnet.input_tensor or (), subnet.output_tensor or ())
        inputs, outputs = (tuple(replace(tensor, mem_type=TPU_AND_HOST) for tensor in tensors) for tensors in sides)
        return replace(subnet, input_tensor=inputs, output_tensor=outputs)

    host = replace(shared(dynamic), subnet_mode=HOST, is_dynamic=0, ir_len=0, run_core=0, cpu_param=(param,))
    outputs = tuple(replace(tensor, mem_type=TPU_AND_HOST) for tensor in static.output_tensor or ())
    shape = (Shape(dim=(1, k)),)
    host = replace(host, output_tensor=tuple(replace(tensor, shape=shape, size=4 * k) for tensor in host.output_tensor or ()))
    stage = replace(stage, output_tensor=tuple(replace(tensor, shape=shape, size=4 * k) for tensor in stage.output_tensor))
    stage = replace(stage, sub_net=(replace(static, output_tensor=outputs), host), stage_ir=(StageIR(),), binary_ir=Binary(b""))
    return BModel(replace(model, net=(replace(model.net[0], parameter=(stage,)),)))
