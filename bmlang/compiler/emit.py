"""Steps become a kernel, and the kernel a program: every load, computation and store as an operation with an address."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from bmlang.bmodel.section import align
from bmlang.compiler.arena import Buffer
from bmlang.compiler.groups import Alias, Emitted, Hosted, Planned
from bmlang.compiler.places import Coefficients, DeviceMemory, device_memory
from bmlang.compiler.schedule import Batch, scheduled
from bmlang.compiler.steps import Compute, Held, Load, Store
from bmlang.compiler.subnets import HostPart, Segment, TpuPart, parts_of
from bmlang.compiler.transfer import Rows, as_rows
from bmlang.graph.graph import Graph, Node
from bmlang.layers.base import Piece
from bmlang.layers.region import Region
from bmlang.layers.registry import layer_of
from bmlang.layers.system import System
from tpukernel.chips.chip import Chip, Engine
from tpukernel.dtypes import Dtype, dtype_of
from tpukernel.isa.program import Program
from tpukernel.lang.builder import Builder
from tpukernel.lang.elaborate import Part, elaborate_all
from tpukernel.lang.ir import KernelIr, Param
from tpukernel.lang.tensors import Global, Tile, parameter
from tpukernel.lang.trace import Tracer
from tpukernel.source import Position, pinned

__all__ = ["Emission", "emit"]


@dataclass(frozen=True)
class Emission:
    """A graph as a program.

    Attributes:
        program: the commands, with end commands.
        memory: where inputs, outputs and intermediate tensors lie.
        coefficients: the contents of the memory of coefficients, in order; each begins at a multiple of 4 KiB.
        nodes: the node of each command, by group, engine and number.
        parts: what runs one after the other: groups of the program, and operators of the host.
    """

    program: Program
    memory: DeviceMemory
    coefficients: Mapping[str, object]
    nodes: Mapping[tuple[int, Engine, int], str]
    parts: tuple[TpuPart | HostPart, ...]


def emit(graph: Graph, groups: Sequence[Planned | Emitted | Alias | Hosted], chip: Chip) -> Emission:
    """The program of a graph whose nodes are grouped.

    Raises:
        KernelError, TpuError: the chip cannot do it; the message names the user's line.
    """
    return _Emitter(graph, chip).run(groups)


class _Kernel:
    """A part of the program in the making.

    Attributes:
        k: what it is written with.
        params: its tensors in system memory by name, first element and shape.
        first_byte: where buffers may begin to which the compiler gives no address.
        node: the node that all of it belongs to; empty where there are several.
        apart: the host did something between what was written before and this.
    """

    def __init__(self, chip: Chip) -> None:
        self._tracer = Tracer(chip)
        self.k = Builder(self._tracer)
        self.params: dict[tuple[str, int, tuple[int, ...], Dtype], Param] = {}
        self.first_byte = 0
        self.node = ""
        self.apart = False

    def parameter(self, name: str, offset: int, shape: tuple[int, ...], dtype: Dtype) -> Global:
        """A tensor from an element on, seen with a shape of its own."""
        key = (name, offset, shape, dtype)
        if key not in self.params:
            unique = self._tracer.unique(name)
            self.params[key] = Param(unique, "inout", shape, dtype)
            self._tracer.shapes[unique] = shape
        return parameter(self.params[key])

    def part(self, name: str, bases: Mapping[str, int]) -> Part:
        """The finished kernel, with the addresses of its tensors."""
        shapes = {param.name: shape for (_, _, shape, _), param in self.params.items()}
        addresses = {param.name: bases[base] + offset * param.dtype.itemsize for (base, offset, _, _), param in self.params.items()}
        kernel = KernelIr(name, tuple(self.params.values()), (), self._tracer.finish())
        return Part(kernel, shapes, addresses, self.first_byte, apart=self.apart)


class _Emitter:
    def __init__(self, graph: Graph, chip: Chip) -> None:
        self._graph, self._chip = graph, chip
        self._open = _Kernel(chip)
        self._done: list[_Kernel] = []
        self._coefficients = Coefficients(graph.specs)
        self._constants: dict[str, str] = {}
        self._tiles: dict[Buffer, Tile] = {}
        self._positions: dict[int, str] = {}
        self._pins: dict[str, Position] = {}
        self._parents: dict[str, tuple[str, int]] = {}
        self._segments: list[Segment] = []
        self._batches: deque[Batch] = deque()

    def run(self, groups: Sequence[Planned | Emitted | Alias | Hosted]) -> Emission:
        for group in groups:
            self._settle(group)
        for number, group in enumerate(groups):
            self._schedule(groups, number)
            self._add(group)
        places: dict[str, int] = {}
        end = self._chip.regions["ddr"].base
        for name, array in self._coefficients.arrays.items():
            places[name] = end
            end += align(array.nbytes)
        used = {name for kernel in self._done for name, *_ in kernel.params}
        used |= {self._owner(name)[0] for segment in self._segments if segment.call for node in segment.nodes for name in _tensors(node)}
        used -= self._graph.constants.keys()
        owners = {name: self._owner(name) for name in self._parents}
        memory = device_memory(self._graph, [self._touched(group, used) for group in groups], owners, end)
        bases = {**memory.addresses, **places}
        program, positions, begins = elaborate_all((kernel.part(self._graph.name, bases) for kernel in self._done), self._chip)
        nodes = {
            key: kernel.node or self._positions[id(position)]
            for kernel, written in zip(self._done, positions, strict=True)
            for key, position in written.items()
            if kernel.node or id(position) in self._positions
        }
        memory = replace(memory, addresses={**memory.addresses, **{name: places[kept] for name, kept in self._constants.items()}})
        parts = parts_of(self._graph, self._segments, {name: owner for name, (owner, _) in owners.items()}, begins, len(program.groups))
        return Emission(program, memory, self._coefficients.arrays, nodes, parts)

    def _settle(self, group: Planned | Emitted | Alias | Hosted) -> None:
        """Which tensors lie inside of others."""
        if isinstance(group, Alias):
            self._parents[group.node.outputs[0]] = group.node.inputs[0], group.start
        elif isinstance(group, Emitted):
            for index, first in group.joined.items():
                owner, _ = self._owner(group.node.inputs[index])
                self._parents[owner] = group.node.outputs[0], first

    def _add(self, group: Planned | Emitted | Alias | Hosted) -> None:
        if isinstance(group, Alias):
            return
        if isinstance(group, Hosted):
            self._segments.append(Segment([group.node], call=group.call))
            for name in group.node.inputs:
                if name in self._graph.constants:
                    self._constant(name)
        else:
            if not self._segments or self._segments[-1].call is not None:
                self._segments.append(Segment())
                self._open.apart = bool(self._done)
            self._segments[-1].nodes += _nodes(group)
            if isinstance(group, Emitted):
                self._emit_node(group)
            else:
                self._emit_group(group)

    def _close(self, first_byte: int = 0) -> None:
        """The kernel that is being written is finished; what comes then is written to another one."""
        self._open.first_byte = first_byte
        self._segments[-1].kernels.append(len(self._done))
        self._done.append(self._open)
        self._open = _Kernel(self._chip)
        self._tiles.clear()

    def _touched(self, group: Planned | Emitted | Alias | Hosted, used: set[str]) -> set[str]:
        """The tensors in system memory that a group reads or writes."""
        return {self._owner(name)[0] for node in _nodes(group) for name in (*node.inputs, *node.outputs) if name} & used

    def _owner(self, name: str) -> tuple[str, int]:
        """The tensor inside of which another one lies, and its first element there."""
        first = 0
        while name in self._parents:
            name, start = self._parents[name]
            first += start
        return name, first

    # ------------------------------------------------------------------ tensors in system memory

    def _system(self, name: str, offset: int, shape: tuple[int, ...], seen_as: Dtype | None = None) -> Global:
        """A tensor as a parameter of the kernel, seen with a shape (and a data type of the same size) of its own from an element on."""
        if name in self._graph.constants:
            dtype = self._graph.specs[name].dtype
            name = self._constant(name)
        elif name in self._coefficients.arrays:
            dtype = dtype_of(self._coefficients.arrays[name].dtype)
        else:
            dtype = self._graph.specs[name].dtype
            name, first = self._owner(name)
            offset += first
        return self._open.parameter(name, offset, shape, seen_as or dtype)

    def _constant(self, name: str) -> str:
        """The name under which a constant is among the coefficients."""
        if name not in self._constants:
            self._constants[name] = self._coefficients.add(self._graph.constants[name])
        return self._constants[name]

    def _whole(self, name: str) -> System:
        """A tensor for a global form."""

        def view(offset: int, shape: tuple[int, ...], dtype: Dtype | None = None, /) -> Global:
            return self._system(name, offset, shape, dtype)

        return System(self._graph.specs[name], view)

    # ------------------------------------------------------------------ nodes

    def _pin(self, node: Node) -> Position:
        """A place of its own for each node, by which its commands are known."""
        if node.name not in self._pins:
            place = replace(node.position) if node.position is not None else Position(f"<{self._graph.name}>")
            self._pins[node.name] = place
            self._positions[id(place)] = node.name
        return self._pins[node.name]

    def _emit_node(self, group: Emitted) -> None:
        node = group.node
        outs = [self._whole(name) for name in node.outputs]
        ins = [self._whole(name) if name and index not in group.joined else None for index, name in enumerate(node.inputs)]
        layer = layer_of(node.op)
        with pinned(None if layer.own_lines else self._pin(node)):
            layer.emit(self._open.k, outs, ins, group.call)
        self._open.node = node.name
        self._close()

    def _schedule(self, groups: Sequence[Planned | Emitted | Alias | Hosted], number: int) -> None:
        """The order of commands for the groups from a first one on between which nothing else is computed."""
        if self._batches or not isinstance(groups[number], Planned):
            return
        run = takewhile(lambda group: isinstance(group, Planned | Alias), groups[number:])
        cuts = [cut for group in run if isinstance(group, Planned) for cut in group.cuts]
        self._batches = deque(scheduled(cuts, self._graph.constants, self._chip))

    def _emit_group(self, group: Planned) -> None:
        for _ in group.cuts:
            batch = self._batches.popleft()
            for each in batch.commands:
                with pinned(self._pin(each.node)):
                    self._event(each.event)
            self._close(self._chip.lane_bytes - batch.scratch)

    def _event(self, event: Load | Compute | Store) -> None:
        match event:
            case Load():
                self._load(event)
            case Store():
                self._store(event)
            case Compute():
                self._compute(event)

    def _load(self, load: Load) -> None:
        name = load.source if isinstance(load.source, str) else self._coefficients.add(load.source)
        rows = None if load.spread else as_rows(load.buffer, load.shape, load.region, self._chip)
        if rows is not None:
            self._tile(load.buffer)
            self._open.k.dma.load(self._matrix(load.buffer, rows), self._system(name, load.offset + rows.start, (rows.rows, rows.columns)))
            return
        source = self._system(name, load.offset, load.shape)[load.region.slices()]
        if load.spread:
            self._open.k.dma.broadcast(self._tile(load.buffer), source)
        else:
            self._open.k.dma.load(self._tile(load.buffer), source)

    def _store(self, store: Store) -> None:
        held = store.held
        rows = as_rows(held.buffer, store.shape, store.region, self._chip) if store.region == held.region else None
        if rows is not None:
            target = self._system(store.value, store.offset + rows.start, (rows.rows, rows.columns))
            self._open.k.dma.store(target, self._matrix(held.buffer, rows))
            return
        target = self._system(store.value, store.offset, store.shape)[store.region.slices()]
        self._open.k.dma.store(target, self._tile(held.buffer)[held.box(store.region).slices()])

    def _matrix(self, buffer: Buffer, rows: Rows) -> Tile:
        """A buffer seen as a matrix."""
        return self._open.k.matrix(
            rows.rows, rows.columns, buffer.dtype, columns_per_channel=rows.columns_per_channel, at=buffer.address, name=buffer.name
        )

    def _tile(self, buffer: Buffer) -> Tile:
        if buffer not in self._tiles:
            self._tiles[buffer] = self._open.k.local(buffer.shape, buffer.dtype, layout=buffer.layout, at=buffer.address, name=buffer.name)
        return self._tiles[buffer]

    def _compute(self, event: Compute) -> None:
        feeds = event.work.form.feeds
        outs = tuple(self._box(held, region) for held, (_, region) in zip(event.outs, event.work.boxes(event.region), strict=True))
        ins: dict[int, Tile] = {}
        for index, held in event.ins.items():
            if feeds[index].spread:
                ins[index] = self._tile(held.buffer)[:, : event.region.size[1]]
            else:
                ins[index] = self._box(held, event.regions[index])
        packed = tuple(self._tile(buffer) for buffer in event.packed)
        event.work.form.tile(Piece(self._open.k, outs, ins, packed, event.region, event.regions))

    def _box(self, held: Held, region: Region) -> Tile:
        tile = self._tile(held.buffer)
        return tile if region == held.region else tile[held.box(region).slices()]


def _tensors(node: Node) -> Iterator[str]:
    """What a node takes and makes."""
    yield from (name for name in (*node.inputs, *node.outputs) if name)


def _nodes(group: Planned | Emitted | Alias | Hosted) -> Iterator[Node]:
    yield from group.nodes if isinstance(group, Planned) else (group.node,)
