"""BMRuntime: running BModels."""

from bmlang.runtime.cpu_ops import CPU_OPERATORS, CpuOperator, cpu_operator
from bmlang.runtime.network import IoTensor, Network
from bmlang.runtime.runtime import Runtime

__all__ = ["CPU_OPERATORS", "CpuOperator", "IoTensor", "Network", "Runtime", "cpu_operator"]
