"""Windows that cover a whole plane: one result for each line, from floats that lie together.

A sum has to be added up in its order, so that each of its steps waits for the one before. Several lines at a time keep the processor busy;
and where two sums take turns, they are the two elements of one vector.
"""

from __future__ import annotations

from collections.abc import Sequence

from tpukernel.sim.jit.ir import Function, Type, Value
from tpukernel.sim.jit.windows.arithmetic import Arithmetic, Sums
from tpukernel.sim.jit.windows.lines import Lines, Operands

__all__ = ["GROUP", "STRETCH_WORDS", "emit_stretch"]

GROUP = 8
"""Lines that are done together."""

STRETCH_WORDS = ("taps",)


def emit_stretch(arithmetic: Arithmetic, lines: Lines) -> None:
    """The code of a group of lines of `words["taps"]` elements with as many factors, or with one scale."""
    function, taps = lines.function, lines.words["taps"]
    sums = (_in_pairs if arithmetic.alternates else _one_by_one)(arithmetic, function, lines.members, taps)
    doubts = [_store(arithmetic, member, found) for member, found in zip(lines.members, sums, strict=True)]
    known = [doubt for doubt in doubts if doubt is not None]
    careful = arithmetic.careful()
    if careful is None or not known:
        return
    some = known[0]
    for doubt in known[1:]:
        some = some | doubt
    with function.when(some.any(), rare=True), function.loop(0, len(lines.members)) as loop:
        member = {name: _chosen(loop.index, [each[name] for each in lines.members]) for name in lines.members[0]}
        (found,) = _one_by_one(careful, function, [member], taps)
        odd = (taps & 1).compare("ne", 0)
        _store(careful, member, [odd.choose(found[1], found[0]), odd.choose(found[0], found[1])])


def _store(arithmetic: Arithmetic, member: Operands, sums: Sums) -> Value | None:
    bits, doubt = arithmetic.finish(sums, None, None)
    member["dst"].store(bits)
    return doubt


def _chosen(index: Value, values: Sequence[Value]) -> Value:
    found = values[0]
    for k, value in enumerate(values[1:], start=1):
        found = index.compare("eq", k).choose(value, found)
    return found


def _one_by_one(arithmetic: Arithmetic, function: Function, members: Sequence[Operands], taps: Value) -> list[Sums]:
    """The sums after all elements, one at a time."""
    size = arithmetic.dtype.itemsize
    scales = [arithmetic.factor(member["weight"], 1) if arithmetic.scaled else None for member in members]
    starts = [arithmetic.starts(function, member["bias"], 1) for member in members]
    with function.loop(0, taps, carried=[function.i64(0), *_flat(starts)]) as loop:
        offset, *values = loop.values
        sums = _apart(values, len(members))
        for k, (member, scale) in enumerate(zip(members, scales, strict=True)):
            factor = arithmetic.element(member["weight"].offset(offset), 1) if arithmetic.weighted else None
            sums[k] = arithmetic.step(sums[k], arithmetic.tap(member["input"].offset(offset), 1, scale), factor)
        loop.next = [offset + size, *_flat(sums)]
    return _apart(loop.values[1:], len(members))


def _in_pairs(arithmetic: Arithmetic, function: Function, members: Sequence[Operands], taps: Value) -> list[Sums]:
    """The sums after all elements, two at a time and one at the end if their number is odd."""
    size = arithmetic.dtype.itemsize

    def step(sums: Sums, member: Operands, offset: Value, lanes: int) -> Sums:
        scale = scales[lanes][id(member)] if arithmetic.scaled else None
        factor = arithmetic.element(member["weight"].offset(offset), lanes) if arithmetic.weighted else None
        tap = arithmetic.tap(member["input"].offset(offset), lanes, scale)
        return arithmetic.step([sums[0], *sums], tap, factor)[1:]

    scales = {lanes: {id(member): arithmetic.factor(member["weight"], lanes) for member in members} for lanes in (1, 2)}
    sums = [_paired(arithmetic.starts(function, member["bias"], 2)) for member in members]
    with function.loop(0, taps - 1, 2, carried=[function.i64(0), *_flat(sums)], maybe_none=True) as loop:
        offset, *values = loop.values
        following = [step(each, member, offset, 2) for each, member in zip(_apart(values, len(members)), members, strict=True)]
        loop.next = [offset + 2 * size, *_flat(following)]
    found: list[Sums] = []
    for pair, *doubts in _apart(loop.values[1:], len(members)):
        found.append([_element(pair, 0), *(_element(doubt, 0) | _element(doubt, 1) for doubt in doubts), _element(pair, 1)])
    with function.loop(loop.values[0], taps * size, size, carried=_flat(found), maybe_none=True) as last:
        ends = _apart(last.values, len(members))
        last.next = _flat([[*step(each[:-1], member, last.index, 1), each[-1]] for each, member in zip(ends, members, strict=True)])
    return [[even, odd, *doubts] for even, *doubts, odd in _apart(last.values, len(members))]


def _flat(sums: Sequence[Sums]) -> list[Value]:
    return [value for each in sums for value in each]


def _apart(values: Sequence[Value], count: int) -> list[Sums]:
    parts = len(values) // count
    return [list(values[parts * k : parts * (k + 1)]) for k in range(count)]


def _paired(starts: Sums) -> Sums:
    """Sums that take turns as the two elements of one vector."""
    even, odd, *doubts = starts
    return [even.function.emit(even.type, f"shufflevector {even}, {odd}, <2 x i32> <i32 0, i32 2>"), *doubts]


def _element(vector: Value, place: int) -> Value:
    one = Type(vector.type.element, 1)
    return vector.function.emit(one, f"shufflevector {vector}, {vector.type} poison, <1 x i32> <i32 {place}>")
