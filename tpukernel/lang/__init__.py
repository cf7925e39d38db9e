"""The kernel language: operators for the TPU as Python functions, traced, scheduled and elaborated to programs."""

from tpukernel.lang.bench import Bench
from tpukernel.lang.builder import Builder
from tpukernel.lang.elaborate import Elaborated, elaborate
from tpukernel.lang.errors import KernelError
from tpukernel.lang.ir import KernelIr
from tpukernel.lang.kernel import Kernel, kernel
from tpukernel.lang.search import Sweep, SweepRow, sweep
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.symbols import Size, SymBool, SymInt, align, cdiv, maximum, minimum
from tpukernel.lang.tensors import Global, In, InOut, Out, Tensor, Tile
from tpukernel.lang.text.reading import load, load_all, parse, parse_all
from tpukernel.lang.trace import Token
from tpukernel.lang.tuning import autotune
from tpukernel.lang.views import MemoryMap
from tpukernel.lang.weights import packed_weights

__all__ = [
    "Bench",
    "Builder",
    "Elaborated",
    "Global",
    "In",
    "InOut",
    "Kernel",
    "KernelError",
    "KernelIr",
    "MemoryMap",
    "Out",
    "Size",
    "Sweep",
    "SweepRow",
    "SymBool",
    "SymInt",
    "Tensor",
    "TensorSpec",
    "Tile",
    "Token",
    "align",
    "autotune",
    "cdiv",
    "elaborate",
    "kernel",
    "load",
    "load_all",
    "maximum",
    "minimum",
    "packed_weights",
    "parse",
    "parse_all",
    "sweep",
]
