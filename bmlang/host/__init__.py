"""Operators that run on the host, between commands of the TPU: what they are called in a BModel, their parameters, what they compute."""

from bmlang.host import boxes, regions, sampling, selection, sorting
from bmlang.host.errors import CpuOperatorError, HostLayerError
from bmlang.host.layers import HOST_LAYERS, HostLayer, host_layer
from bmlang.host.registry import CPU_OPERATORS, OWN, Array, CpuOperator, cpu_operator

__all__ = [
    "CPU_OPERATORS",
    "HOST_LAYERS",
    "OWN",
    "Array",
    "CpuOperator",
    "CpuOperatorError",
    "HostLayer",
    "HostLayerError",
    "boxes",
    "cpu_operator",
    "host_layer",
    "regions",
    "sampling",
    "selection",
    "sorting",
]
