"""TPUKernel functions: kernels by name, figures of the chip, and the numbers of commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from tpukernel.api.arguments import KernelFunction, KernelName, NodeIn
from tpukernel.api.errors import ArgumentError
from tpukernel.api.function import host_function
from tpukernel.api.recording import recorder
from tpukernel.chips.bm1684x import BM1684X
from tpukernel.dtypes import Dtype
from tpukernel.isa.numbering import IdNode

__all__ = [
    "kernel_functions",
    "tpu_bank_num",
    "tpu_disable_check_id_node",
    "tpu_dump_registered_kernel_funcs",
    "tpu_enable_check_id_node",
    "tpu_eu_num",
    "tpu_get_id_node",
    "tpu_get_parallel_id_node",
    "tpu_l2_sram_get_start_addr",
    "tpu_l2_sram_size",
    "tpu_local_mem_get_start_addr",
    "tpu_local_mem_size_per_npu",
    "tpu_npu_num",
    "tpu_register_kernel_func",
    "tpu_set_id_node",
    "tpu_set_parallel_id_node",
]

GROUP = "Registration and id nodes"

_KERNELS: Final[dict[str, Callable[..., object]]] = {}


def kernel_functions() -> Mapping[str, Callable[..., object]]:
    """The functions that `tpu_register_kernel_func` was given, by name, in the order of their registration."""
    return MappingProxyType(_KERNELS)


@host_function(GROUP)
def tpu_register_kernel_func(name: KernelName, func: KernelFunction) -> None:
    """Make a kernel function known by a name, for `kernel_functions`.

    (The official library takes a second function of the same name without a word.)

    Raises:
        ArgumentError: another function has the name.
    """
    if _KERNELS.setdefault(name, func) is not func:
        raise ArgumentError(f"tpu_register_kernel_func: there is another kernel function {name!r}", help="choose another name")


@host_function(GROUP)
def tpu_dump_registered_kernel_funcs() -> None:
    """Print the names of the registered kernel functions, in order."""
    for number, name in enumerate(_KERNELS):
        print(f"TPUKernel function {number}: {name}")


@host_function(GROUP)
def tpu_npu_num() -> int:
    """The number of lanes ("NPUs")."""
    return BM1684X.lanes


@host_function(GROUP)
def tpu_local_mem_size_per_npu() -> int:
    """Bytes of local memory of one lane."""
    return BM1684X.lane_bytes


@host_function(GROUP)
def tpu_bank_num() -> int:
    """Banks of the local memory of one lane."""
    return BM1684X.banks


@host_function(GROUP)
def tpu_local_mem_get_start_addr() -> int:
    """The system address at which the local memory begins."""
    return BM1684X.regions["lmem"].base


@host_function(GROUP)
def tpu_l2_sram_size() -> int:
    """Bytes of the L2 memory."""
    return BM1684X.regions["l2"].size


@host_function(GROUP)
def tpu_l2_sram_get_start_addr() -> int:
    """The system address at which the L2 memory begins."""
    return BM1684X.regions["l2"].base


@host_function(GROUP)
def tpu_eu_num(dtype: Dtype) -> int:
    """Elements of a type in one alignment unit of local memory."""
    return BM1684X.eu_count(dtype)


@host_function(GROUP)
def tpu_set_id_node(node: NodeIn) -> None:
    """Go on with other command numbers: later commands wait for those of the node.

    A node of a parallel section opens one, and becomes what the TIU's commands see; those of the GDMA keep what they saw.

    The next command of an engine must still get the next number of its stream; if it does not, it raises DependencyError.
    """
    recorder("tpu_set_id_node").program.numbers.set(node)


@host_function(GROUP)
def tpu_get_id_node() -> IdNode:
    """The numbers of the last commands, in a parallel section as the TIU's commands see them (in C written to `node`).

    In an execution they count from the last time that commands ran.
    """
    return recorder("tpu_get_id_node").program.numbers.current()


@host_function(GROUP)
def tpu_set_parallel_id_node(bd_node: NodeIn, gdma_node: NodeIn) -> None:
    """Be in a parallel section in which the TIU's and the GDMA's commands see these numbers.

    Raises:
        ParallelSectionError: a node is not from a parallel section.
    """
    recorder("tpu_set_parallel_id_node").program.numbers.set_views(bd_node, gdma_node)


@host_function(GROUP)
def tpu_get_parallel_id_node() -> tuple[IdNode, IdNode]:
    """What the TIU's and the GDMA's commands see in the parallel section, or saw in the last one (in C written to both parameters)."""
    views = recorder("tpu_get_parallel_id_node").program.numbers.views
    return views["tiu"], views["gdma"]


@host_function(GROUP)
def tpu_enable_check_id_node() -> None:
    """Nothing here: a recording always checks the numbers. (On the chip the firmware compares them with the engines'.)"""


@host_function(GROUP)
def tpu_disable_check_id_node() -> None:
    """Nothing here: a recording always checks the numbers."""
