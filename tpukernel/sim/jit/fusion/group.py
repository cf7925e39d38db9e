"""Groups: calls on the same elements that one kernel can do, handing values on in registers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tpukernel.sim.jit.fusion.loops import Area, Loops, common_sizes
from tpukernel.sim.jit.ir import Value
from tpukernel.sim.jit.kernel import ARGUMENTS, Call
from tpukernel.sim.jit.nest_kernel import Elementwise, Strided, loop_call

__all__ = ["Group", "Member", "Origin"]

MOST_MEMBERS = 24
"""Calls of a group: what a kernel does at most, so that it is compiled in tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: a member of the group and the number of its result."""

    member: int
    result: int


@dataclass(frozen=True, slots=True)
class Member:
    """A call of a group.

    Attributes:
        call: the call as it was.
        loops: the same as loops, those of the group.
        origins: by source, the member of the group that computes it; None: it is read from memory, or a constant.
    """

    call: Call
    loops: Loops
    origins: tuple[Origin | None, ...]

    def reads(self) -> Iterator[tuple[Strided, Area]]:
        """The sources that are read from memory."""
        for source, area, origin in zip(self.loops.sources, self.loops.read, self.origins, strict=True):
            if area is not None and origin is None:
                yield source, area


@dataclass(eq=False)
class Group:
    """Calls in their order. One alone is a group, too."""

    members: list[Member]
    read: list[Area] = field(default_factory=list[Area])
    written: list[Area] = field(default_factory=list[Area])

    @classmethod
    def of(cls, call: Call, loops: Loops) -> Group:
        """A group of one call."""
        group = cls([])
        group.add(Member(call, loops, (None,) * len(loops.sources)))
        return group

    def add(self, member: Member) -> None:
        """Make it the last member."""
        self.members.append(member)
        self.read += [area for _, area in member.reads()]
        self.written += member.loops.written

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.members[0].loops.sizes

    def try_join(self, call: Call, loops: Loops) -> bool:
        """Make the call the last one of the group, if it works on elements of it and a kernel can do it together with the others."""
        first = self.members[0].loops
        if len(self.members) >= MOST_MEMBERS or first.operation.ieee != loops.operation.ieee or first.elements != loops.elements:
            return False
        if not any(one.meets(other) for other in loops.read if other for one in (*self.written, *self.read)):
            return False
        sizes = common_sizes(first.sizes, loops.sizes)
        if sizes is None:
            return False
        members = [replace(member, loops=member.loops.split(sizes)) for member in self.members] if sizes != first.sizes else self.members
        loops = loops.split(sizes)
        origins: list[Origin | None] = []
        for number, (source, area) in enumerate(zip(loops.sources, loops.read, strict=True)):
            origin = None if area is None else _last_writer(members, area)
            if origin is not None:
                result = members[origin.member].loops.results[origin.result]
                if number in loops.operation.tables or not _same(source, result):
                    return False
            origins.append(origin)
        if not any(origins) and not self._shares_source(members, loops):
            return False
        self.members = members
        self.add(Member(call, loops, tuple(origins)))
        return True

    @staticmethod
    def _shares_source(members: Sequence[Member], loops: Loops) -> bool:
        read = [source for member in members for source, _ in member.reads()]
        return any(_same(one, other) for one in read for other in loops.sources if other.space != ARGUMENTS)

    # ------------------------------------------------------------------ what may be done at once

    def first_wrong(self, live: Sequence[Sequence[bool]]) -> int | None:
        """The first member that must not be computed together with those before it, because a store of one would be seen by a load of
        another element, or overwrite one that comes later.

        Args:
            live: by member and result, whether it is stored.
        """
        stored: list[tuple[int, Strided, Area]] = []
        loaded: list[tuple[int, Strided, Area, bool]] = []
        for number, member in enumerate(self.members):
            loops = member.loops
            results = zip(loops.results, loops.written, live[number], strict=True)
            new = [(number, result, area) for result, area, is_live in results if is_live]
            plain = {id(source) for k, source in enumerate(loops.sources) if k not in loops.operation.tables}
            loaded += [(number, source, area, id(source) in plain) for source, area in member.reads()]
            for _, result, area in new:
                if any(before < number and area.meets(other) for before, _, other in stored):
                    return number
                for before, source, other, is_plain in loaded:
                    if before < number and area.meets(other) and not (is_plain and _same(result, source)):
                        return number
            stored += new
        return None

    def cut(self, place: int) -> tuple[Group, Group]:
        """The members before a place, and those from there on, which read from memory what the first ones made."""
        first, second = Group([]), Group([])
        for number, member in enumerate(self.members):
            if number >= place:
                kept = tuple(Origin(o.member - place, o.result) if o and o.member >= place else None for o in member.origins)
                member = replace(member, origins=kept)
            (first if number < place else second).add(member)
        return first, second

    # ------------------------------------------------------------------ the kernel

    def fused_call(self, live: Sequence[Sequence[bool]], needed: Sequence[bool]) -> Call | None:
        """One call for the group; None where there is no kernel for it.

        Args:
            live: by member and result, whether it is stored.
            needed: by member, whether it is computed.
        """
        return _Fused(self, live, needed).call()


def _same(one: Strided, other: Strided) -> bool:
    """Whether two operands with the same loops are the same elements at every turn."""
    return (one.offset, one.itemsize, one.strides, one.space) == (other.offset, other.itemsize, other.strides, other.space)


def _last_writer(members: Sequence[Member], area: Area) -> Origin | None:
    for number in range(len(members) - 1, -1, -1):
        written = members[number].loops.written
        for result in range(len(written) - 1, -1, -1):  # of two on each other the second one stays
            if written[result].meets(area):
                return Origin(number, result)
    return None


_Source = tuple[bool, int, int]
"""(whether it comes from a member, its number or that of an operand of the kernel, the number of the result)."""


class _Fused:
    """The kernel of a group, and its operands."""

    def __init__(self, group: Group, live: Sequence[Sequence[bool]], needed: Sequence[bool]) -> None:
        self._group = group
        self._operands: list[Strided] = []
        self._tables: set[int] = set()
        self._steps: list[tuple[Elementwise, list[_Source]]] = []
        self._stored: list[tuple[int, int]] = []
        numbers: dict[int, int] = {}
        results: list[Strided] = []
        for number, member in enumerate(group.members):
            if not needed[number]:
                continue
            numbers[number] = len(self._steps)
            sources: list[_Source] = []
            for k, (source, origin) in enumerate(zip(member.loops.sources, member.origins, strict=True)):
                if origin is not None:
                    sources.append((True, numbers[origin.member], origin.result))
                else:
                    sources.append((False, self._operand(source, is_table=k in member.loops.operation.tables), 0))
            self._stored += [(len(self._steps), k) for k, is_live in enumerate(live[number]) if is_live]
            results += [result for result, is_live in zip(member.loops.results, live[number], strict=True) if is_live]
            self._steps.append((member.loops.operation, sources))
        self._operands = [*results, *self._operands]
        self._results = results

    def _operand(self, source: Strided, *, is_table: bool) -> int:
        for number, known in enumerate(self._operands):
            if _same(known, source) and known.bits == source.bits and (number in self._tables) == is_table:
                return number
        number = len(self._operands)
        self._operands.append(source)
        if is_table:
            self._tables.add(number)
        return number

    def call(self) -> Call | None:
        operation = self._operation()
        loops = self._group.members[0].loops
        return loop_call(operation, loops.sizes, self._operands, loops.lane_stride)

    def _operation(self) -> Elementwise:
        steps, stored = self._steps, self._stored
        operations = [operation for operation, _ in steps]

        def body(values: Sequence[Value]) -> list[Value]:
            made: list[Sequence[Value]] = []
            for operation, sources in steps:
                made.append(operation.body([made[number][result] if inner else values[number] for inner, number, result in sources]))
            return [made[step][result] for step, result in stored]

        names = [f"{operation.key}({','.join(_name(source) for source in sources)})" for operation, sources in steps]
        sources = self._operands[len(self._results) :]
        return Elementwise(
            key=f"fused {' '.join(names)} -> {','.join(f'{step}.{result}' for step, result in stored)}",
            results=tuple(result.itemsize for result in self._results),
            sources=tuple(source.itemsize for source in sources),
            body=body,
            width=min(32, max(operation.width for operation in operations)),
            ieee=operations[0].ieee,
            tables=frozenset(self._tables),
            table_bytes=max(operation.table_bytes for operation in operations),
            nanoseconds=0.1 + sum(operation.nanoseconds for operation in operations) / 3,
            vectors=max(operation.vectors for operation in operations),
        )


def _name(source: _Source) -> str:
    inner, number, result = source
    return f"{number}.{result}" if inner else f"{number}"
