"""TPUKernel functions: the order of both engines, and the host's view of the memories."""

from __future__ import annotations

from tpukernel.api.arguments import Address, LocalAddress, SystemInOut, Uint
from tpukernel.api.errors import ArgumentError, StaticStreamError
from tpukernel.api.executing import Execution, execution
from tpukernel.api.function import host_function
from tpukernel.api.recording import recorder
from tpukernel.chips.bm1684x import BM1684X
from tpukernel.isa.errors import ParallelSectionError
from tpukernel.isa.numbering import IdNode
from tpukernel.sim.memory import Bytes

__all__ = [
    "tpu_gdma_move_max_wstride_byte_len",
    "tpu_gdma_shape_limit",
    "tpu_global_mem_addr",
    "tpu_global_mem_get_start_addr",
    "tpu_hau_poll",
    "tpu_initialize",
    "tpu_is_parallel_state",
    "tpu_l2_sram_addr",
    "tpu_local_mem_addr",
    "tpu_local_mem_addr_unified",
    "tpu_parallel_end",
    "tpu_parallel_start",
    "tpu_poll",
]

GROUP = "Common functions"
NO_MEMORY = "the commands run later, there is no memory to look into yet"


@host_function(GROUP)
def tpu_initialize() -> None:
    """Begin anew: the numbers of commands start at 1, outside of a parallel section.

    In a recording this is possible only before the first command (the official recorder stops at the next one, too). An execution runs what
    was emitted before.

    Raises:
        StaticStreamError: the recording holds commands.
    """
    taker = recorder("tpu_initialize")
    if isinstance(taker, Execution):
        taker.initialize()
    elif len(taker.program):
        raise StaticStreamError(
            f"tpu_initialize after {len(taker.program)} commands: the numbers of a stream cannot begin again at 1",
            help="call it before the first command, or record another program",
        )
    else:
        taker.program.numbers.node = IdNode()


@host_function(GROUP)
def tpu_poll() -> None:
    """Wait until both engines have finished. A recording gets no command and no dependency from it; an execution runs what was emitted.

    Raises:
        ParallelSectionError: a parallel section is open.
    """
    taker = recorder("tpu_poll")
    if taker.program.in_parallel:
        raise ParallelSectionError("tpu_poll cannot wait inside a parallel section", help="call tpu_parallel_end first")
    if isinstance(taker, Execution):
        taker.synchronize()


@host_function(GROUP)
def tpu_hau_poll() -> None:
    """Wait until the HAU has finished. It has always finished here, and a recording gets no command from it."""
    recorder("tpu_hau_poll")


@host_function(GROUP)
def tpu_parallel_start() -> None:
    """Open a parallel section: until `tpu_parallel_end` the commands of both engines wait only for what was there before.

    Raises:
        ParallelSectionError: one is open.
    """
    recorder("tpu_parallel_start").program.parallel_start()


@host_function(GROUP)
def tpu_parallel_end() -> None:
    """Close the parallel section: what follows waits for all of it.

    Raises:
        ParallelSectionError: none is open.
    """
    recorder("tpu_parallel_end").program.parallel_end()


@host_function(GROUP)
def tpu_is_parallel_state() -> bool:
    """Whether a parallel section is open."""
    return recorder("tpu_is_parallel_state").program.in_parallel


@host_function(GROUP)
def tpu_global_mem_get_start_addr() -> int:
    """The system address at which the DDR begins."""
    return BM1684X.regions["ddr"].base


@host_function(GROUP)
def tpu_global_mem_addr(addr: SystemInOut) -> Bytes:
    """The bytes of the DDR from a system address on, as an array of u8 that can be written; `.view(dtype)` gives other types.

    (The C function calculates a pointer for any address.)

    Raises:
        ArgumentError: the address is not in the machine's DDR.
        StaticStreamError: in a recording.
    """
    return _system_bytes("tpu_global_mem_addr", "ddr", addr)


@host_function(GROUP)
def tpu_local_mem_addr(start_idx: Uint, addr: Uint) -> Bytes:
    """The bytes of one lane from byte `addr` on, as an array of u8 that can be written; it ends with the lane.

    Raises:
        ArgumentError: there is no such lane, or no such byte in it.
        StaticStreamError: in a recording.
    """
    return _local_bytes("tpu_local_mem_addr", start_idx, addr)


@host_function(GROUP)
def tpu_local_mem_addr_unified(addr: LocalAddress) -> Bytes:
    """The bytes of local memory from a local address (lane * lane bytes + byte) on, as an array of u8 that can be written.

    It ends with the lane. (The pointer in C goes on in the next one.)

    Raises:
        ArgumentError: the address is behind the last lane.
        StaticStreamError: in a recording.
    """
    return _local_bytes("tpu_local_mem_addr_unified", *divmod(addr.__index__(), BM1684X.lane_bytes))


@host_function(GROUP)
def tpu_l2_sram_addr(addr: SystemInOut) -> Bytes:
    """The bytes of the L2 memory from a system address on, as an array of u8 that can be written.

    Raises:
        ArgumentError: the address is not in the L2 memory.
        StaticStreamError: in a recording.
    """
    return _system_bytes("tpu_l2_sram_addr", "l2", addr)


@host_function(GROUP)
def tpu_gdma_shape_limit(dim: Uint) -> int:
    """The largest size of a dimension (0 to 3) in a GDMA command; 0 for what is no dimension."""
    return BM1684X.max_shape if dim < 4 else 0


@host_function(GROUP)
def tpu_gdma_move_max_wstride_byte_len() -> int:
    """The largest distance, in bytes, of two neighbouring w elements in a GDMA copy."""
    return BM1684X.gdma_max_w_stride_bytes or 0


def _system_bytes(function: str, space: str, addr: Address) -> Bytes:
    run = execution(function, NO_MEMORY)
    base, size = run.machine.chip.regions[space].base, run.machine.memory.sizes[space]
    offset = addr.__index__() - base
    if not 0 <= offset < size:
        raise ArgumentError(f"{function}: {addr.__index__():#x} is not in {space}", help=f"it is from {base:#x} to {base + size - 1:#x}")
    return run.expose().range(space, offset, size - offset)


def _local_bytes(function: str, lane: int, byte: int) -> Bytes:
    run = execution(function, NO_MEMORY)
    chip = run.machine.chip
    if lane >= chip.lanes or byte >= chip.lane_bytes:
        raise ArgumentError(
            f"{function}: there is no byte {byte:#x} in lane {lane}", help=f"there are {chip.lanes} lanes of {chip.lane_bytes:#x} bytes"
        )
    return run.expose().range("lmem", lane * chip.lane_bytes + byte, chip.lane_bytes - byte)
