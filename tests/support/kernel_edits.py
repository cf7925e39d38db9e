"""Changes of a kernel's intermediate representation that an author could make by mistake, one at a time.

Left out is what cannot change a result, because it says how fast a kernel is or how much memory it takes: more copies of the buffers of a
pipeline or one only, `range` for `pipeline`, `local` for `scratch`, larger buffers, another layout where the operations take several,
smaller steps of a loop whose pieces then overlap, the order between the engines derived instead of stated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import reduce
from itertools import combinations, pairwise
from typing import Any, cast

from tpukernel.chips.tensors import Layout
from tpukernel.dtypes import bf16, f16, f32, i8, i16, i32, u8
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.expr import Call, Comparison, Expr, Logic, Sum, Var, add, call, compare, multiply, negated, show, subtract, variables
from tpukernel.lang.ir import Allocate, KernelIr, Local, Loop, Op, Parallel, Span, Statement, View, When, walk
from tpukernel.lang.stages import direction_of

__all__ = ["Edit", "edits"]

OTHER_DTYPES = {f32: (f16, i32), f16: (bf16, f32), bf16: (f16, f32), i32: (f32, i16), i8: (u8, i16)}
OTHER_LAYOUTS = {Layout.COMPACT: Layout.EU_ALIGNED, Layout.WEIGHT: Layout.COMPACT}
OTHER_ROWS = {
    "tpu_bdc_abs": ("tpu_bdc_neg", "tpu_bdc_relu"),
    "tpu_bdc_relu": ("tpu_bdc_abs",),
    "tpu_bdc_fp_add": ("tpu_bdc_fp_sub",),
    "tpu_bdc_fp_sub": ("tpu_bdc_fp_add",),
    "tpu_bdc_fp_mul": ("tpu_bdc_fp_add",),
    "tpu_bdc_fp_add_C": ("tpu_bdc_fp_sub_C", "tpu_bdc_fp_mul_C"),
    "tpu_bdc_fp_mul_C": ("tpu_bdc_fp_add_C",),
    "tpu_bdc_fp_C_sub": ("tpu_bdc_fp_sub_C",),
    "tpu_bdc_fp_square": ("tpu_bdc_abs",),
    "tpu_bdc_fp32_exp": ("tpu_bdc_fp32_expm1",),
    "tpu_bdc_fp32_gelu": ("tpu_bdc_fp32_silu", "tpu_bdc_fp32_gelu_fast"),
    "tpu_bdc_fp32_rsqrt": ("tpu_bdc_fp32_sqrt",),
    "tpu_bdc_greater_equal": ("tpu_bdc_greater", "tpu_bdc_less_equal"),
    "tpu_bdc_fp_mm": ("tpu_bdc_fp_mm_R_trans",),
    "tpu_bdc_fp_mm_R_trans": ("tpu_bdc_fp_mm",),
    "tpu_gdma_cpy_S2L": ("tpu_gdma_cpy_L2S",),
    "tpu_gdma_channel_bcast_S2L": ("tpu_gdma_cpy_S2L",),
}
"""Functions with the same parameters that compute something else."""
COMMUTES = {"tpu_bdc_fp_add", "tpu_bdc_fp_mul"}
WITHOUT_MEANING = {
    ("tpu_bdc_fp_max_pool2d", "pad_val"): "nothing is padded",
    (
        "tpu_bdc_fp_max_pool2d",
        "dilation",
    ): "a window without steps has none, and the row is one window",
    ("tpu_bdc_fp_avg_pool2d", "dilation"): "the same",
    ("tpu_bdc_fp_max_pool2d", "stride"): "there is one window in a row",
    ("tpu_bdc_fp_avg_pool2d", "stride"): "there is one window in a row",
}
"""Attributes that `reduce_max` and `reduce_sum` give to the function of the table, and that change nothing there."""


@dataclass(frozen=True)
class Edit:
    """A changed kernel: the kind of the change, what was changed, and the result."""

    kind: str
    what: str
    kernel: KernelIr


Body = tuple[Statement, ...]
Put = Callable[[Body], KernelIr]
"""The kernel with another body in the place of one of its blocks."""


def edits(kernel: KernelIr) -> Iterator[Edit]:
    """All changes of a kernel, in an order that is always the same."""
    for body, put in _blocks(kernel.body, lambda new: replace(kernel, body=new)):
        for place, statement in enumerate(body):
            for kind, what, new in _changed(statement, kernel):
                yield Edit(kind, what, put((*body[:place], *new, *body[place + 1 :])))
            following = body[place + 1] if place + 1 < len(body) else None
            if isinstance(statement, Op) and isinstance(following, Op) and _depend(statement, following):
                swapped = (*body[:place], following, statement, *body[place + 2 :])
                yield Edit("order", f"{_told(following)} before {_told(statement)}", put(swapped))
    accumulating = _conditional(kernel)
    for inner in dict.fromkeys(_calls(kernel.body)):
        for other in _other_calls(inner):
            if _is_longer_piece(inner, other) and accumulating.isdisjoint(variables(inner)):
                continue  # what the next piece computes, too, becomes the same twice
            yield Edit("expression", f"{show(other)} for {show(inner)}", _substituted(kernel, inner, other))


def _blocks(body: Body, put: Put) -> Iterator[tuple[Body, Put]]:
    """A body, and those inside it, each with what puts another one into its place."""
    yield body, put
    for place, statement in enumerate(body):
        if isinstance(statement, Loop | When | Parallel):

            def put_inside(new: Body, place: int = place, statement: Loop | When | Parallel = statement) -> KernelIr:
                return put((*body[:place], replace(statement, body=new), *body[place + 1 :]))

            yield from _blocks(statement.body, put_inside)


def _changed(statement: Statement, kernel: KernelIr) -> Iterator[tuple[str, str, Body]]:
    """Kind, text and what stands there instead."""
    match statement:
        case Op():
            yield "drop", _told(statement), ()
            yield from ((kind, f"{_told(statement)}: {what}", (op,)) for kind, what, op in _changed_ops(statement, kernel))
        case Allocate(local):
            yield "drop", f"buffer {local.name}", ()
            yield from ((kind, f"{local.name}: {what}", (Allocate(other),)) for kind, what, other in _changed_locals(local))
        case Loop():
            yield from (("loop", f"{statement.var}: {what}", (loop,)) for what, loop in _changed_loops(statement))
        case When(condition, body):
            yield "condition", f"{show(condition)} always", body
            yield "condition", f"{show(condition)} never", ()
            for what, other in _values(condition):
                yield "condition", f"{show(condition)}: {what}", (replace(statement, condition=other),)
        case _:
            pass


def _told(op: Op) -> str:
    return f"{op.name}({', '.join(value.base if isinstance(value, View) else str(value) for _, value in op.operands)})"


# ---------------------------------------------------------------------------- operations


def _changed_ops(op: Op, kernel: KernelIr) -> Iterator[tuple[str, str, Op]]:
    for row in OTHER_ROWS.get(op.row, ()):
        yield "function", row, replace(op, row=row)
    for place, token in enumerate(op.after):
        yield "order", f"not after {token}", replace(op, after=(*op.after[:place], *op.after[place + 1 :]))
    for place, (name, value) in enumerate(op.attributes):
        if (op.row, name) in WITHOUT_MEANING:
            continue
        for what, other in _values(value):
            yield "constant", f"{name} {what}", replace(op, attributes=_put(op.attributes, place, (name, other)))
    for place, (name, value) in enumerate(op.operands):
        found = _views(value, kernel) if isinstance(value, View) else (("constant", *each) for each in _values(value))
        for kind, what, other in found:
            yield kind, f"{name} {what}", replace(op, operands=_put(op.operands, place, (name, other)))
    for one, two in combinations(range(len(op.operands)), 2):
        (name, left), (other_name, right) = op.operands[one], op.operands[two]
        if left != right and not (op.row in COMMUTES and {"in"} == {direction_of(op, each) for each in (name, other_name)}):
            exchanged = _put(_put(op.operands, one, (name, right)), two, (other_name, left))
            yield "operand", f"{name} and {other_name} exchanged", replace(op, operands=exchanged)


def _views(view: View, kernel: KernelIr) -> Iterator[tuple[str, str, View]]:
    """Other boxes of the same tensor, and the same box of others that are as large. Of a whole buffer, one dimension is enough."""
    whole = any(
        isinstance(each, Allocate) and each.local.name == view.base and each.local.shape == view.shape for each in walk(kernel.body)
    )
    axes = [axis for axis, span in enumerate(view.spans) if span.size != 1 or span.start != 0]
    for axis in axes[-1:] if whole else axes:
        for what, other in _spans(view.spans[axis], kernel):
            yield "slice", f"dimension {axis} {what}", replace(view, spans=_put(view.spans, axis, other))
    for one, two in pairwise([] if whole else axes):
        if view.spans[one] != view.spans[two]:
            exchanged = _put(_put(view.spans, one, view.spans[two]), two, view.spans[one])
            yield "slice", f"dimensions {one} and {two} exchanged", replace(view, spans=exchanged)
    for other in _alike(view.base, kernel):
        yield "operand", f"{other} for {view.base}", replace(view, base=other)


def _spans(span: Span, kernel: KernelIr) -> Iterator[tuple[str, Span]]:
    yield "starts 1 later", replace(span, start=add(span.start, 1))
    yield "starts 1 earlier", replace(span, start=subtract(span.start, 1))
    yield "has 1 more", replace(span, size=add(span.size, 1))
    yield "has 1 less", replace(span, size=subtract(span.size, 1))
    if not isinstance(span.start, int):
        yield "starts at 0", replace(span, start=0)
    if isinstance(span.start, Var):
        indices = [each.var for each in walk(kernel.body) if isinstance(each, Loop) and each.var != span.start.name]
        yield from ((f"starts at {other}", replace(span, start=Var(other))) for other in indices[-1:])


def _alike(name: str, kernel: KernelIr) -> list[str]:
    """Tensors of the same kind, type and sizes."""
    buffers = [each.local for each in walk(kernel.body) if isinstance(each, Allocate)]
    kinds = {local.name: (local.dtype, local.shape, local.layout) for local in buffers}
    kinds |= {param.name: (param.dtype, param.shape, None) for param in kernel.params}
    return [other for other, kind in kinds.items() if other != name and kind == kinds[name]]


def _depend(one: Op, other: Op) -> bool:
    """Whether one writes what the other one touches."""
    touched = [{(view.base, direction_of(op, name) != "in") for name, view in op.operands if isinstance(view, View)} for op in (one, other)]
    return any(left == right and (writes or also) for left, writes in touched[0] for right, also in touched[1])


# ---------------------------------------------------------------------------- buffers, loops


def _changed_locals(local: Local) -> Iterator[tuple[str, str, Local]]:
    for dtype in OTHER_DTYPES.get(local.dtype, ()):
        yield "dtype", dtype.name, replace(local, dtype=dtype)
    if local.layout in OTHER_LAYOUTS:
        yield "layout", OTHER_LAYOUTS[local.layout].value, replace(local, layout=OTHER_LAYOUTS[local.layout])
    for axis, size in enumerate(local.shape):
        if size != 1:
            yield "size", f"dimension {axis} smaller", replace(local, shape=_put(local.shape, axis, subtract(size, 1)))
    for one, two in pairwise([axis for axis, size in enumerate(local.shape) if size != 1]):
        if local.shape[one] != local.shape[two]:
            exchanged = _put(_put(local.shape, one, local.shape[two]), two, local.shape[one])
            yield "size", f"dimensions {one} and {two} exchanged", replace(local, shape=exchanged)


def _changed_loops(loop: Loop) -> Iterator[tuple[str, Loop]]:
    yield "begins 1 later", replace(loop, start=add(loop.start, 1))
    yield "begins 1 earlier", replace(loop, start=subtract(loop.start, 1))
    yield "begins a step later", replace(loop, start=add(loop.start, loop.step))
    yield "ends a step earlier", replace(loop, stop=subtract(loop.stop, loop.step))
    yield "ends a step later", replace(loop, stop=add(loop.stop, loop.step))
    yield "steps 1 larger", replace(loop, step=add(loop.step, 1))
    yield "steps of 0", replace(loop, step=0)
    yield "steps backwards", replace(loop, step=multiply(loop.step, -1))
    if loop.kind == "pipeline":
        yield "no buffers", replace(loop, buffers=0)


# ---------------------------------------------------------------------------- numbers and expressions


def _values(value: Any) -> Iterator[tuple[str, Any]]:
    """Others in the place of a number, condition or rounding."""
    match value:
        case bool() | Comparison() | Logic():
            yield "the opposite", negated(value)
            if isinstance(value, Comparison):
                other = {"<": "<=", "<=": "<", "==": "!=", "!=": "=="}[value.op]
                yield f"{other} for {value.op}", replace(value, op=other)
        case Rounding():
            yield "other rounding", Rounding.UP if value != Rounding.UP else Rounding.DOWN
        case int() | float():
            others = (value + 1, value - 1, -value, 0 * value)
            yield from ((f"{other} for {value}", other) for other in dict.fromkeys(others) if other != value)
        case Var() | Call() | Sum():
            yield "1 more", add(value, 1)
            yield "1 less", subtract(value, 1)
        case tuple():
            items = cast("tuple[Any, ...]", value)
            for place, each in enumerate(items):
                yield from ((f"[{place}] {what}", _put(items, place, other)) for what, other in _values(each))
        case _:
            pass


def _calls(value: Any) -> Iterator[Call]:
    """All minima, maxima, quotients, ... in statements."""
    if isinstance(value, Call):
        yield value
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)
        for each in items:
            yield from _calls(each)
    elif is_dataclass(value):
        for each in fields(value):
            yield from _calls(getattr(value, each.name))


def _other_calls(given: Call) -> Iterator[Expr]:
    """A minimum or maximum without one side, of the other kind, with another limit."""
    if given.op not in ("min", "max"):
        return
    yield from given.args
    yield Call("max" if given.op == "min" else "min", given.args)
    for place, each in enumerate(given.args):
        if isinstance(each, int):
            yield Call(given.op, _put(given.args, place, each + 1))
            yield Call(given.op, _put(given.args, place, each - 1))


def _conditional(kernel: KernelIr) -> set[str]:
    """The indices on which it depends what operations do: of the loops whose pieces are added up."""
    ops = [each for each in walk(kernel.body) if isinstance(each, Op)]
    return {name for op in ops for _, value in op.attributes if isinstance(value, Comparison) for name in variables(value)}


def _is_longer_piece(given: Call, other: Expr) -> bool:
    """Whether `min(tile, size - index)` becomes larger."""
    sums = [each for each in given.args if isinstance(each, Sum) and len(each.terms) == 1 and each.terms[0][1] == -1]
    limits = [each for each in given.args if isinstance(each, int)]
    if given.op != "min" or len(given.args) != 2 or not sums or not limits:
        return False
    return other in (sums[0], Call("min", tuple(limits[0] + 1 if each == limits[0] else each for each in given.args)))


def _substituted(value: Any, old: Expr, new: Expr) -> Any:
    """The same with another expression wherever the old one occurs."""
    match value:
        case Var() | Call() if value == old:
            return new
        case Call(op, args):
            return reduce(lambda one, other: call(op, one, other), (_substituted(each, old, new) for each in args))
        case Sum(terms, constant):
            return reduce(add, (multiply(_substituted(term, old, new), factor) for term, factor in terms), constant)
        case Comparison(op, left, right):
            return compare(op, _substituted(left, old, new), _substituted(right, old, new))
        case tuple():
            items = cast("tuple[Any, ...]", value)
            return tuple(_substituted(each, old, new) for each in items)
        case KernelIr() | Op() | Allocate() | Local() | Loop() | When() | Parallel() | View() | Span() | Logic():
            changed = {each.name: _substituted(getattr(value, each.name), old, new) for each in fields(value)}
            return replace(value, **changed)
        case _:
            return value


def _put(items: tuple[Any, ...], place: int, new: Any) -> tuple[Any, ...]:
    return (*items[:place], new, *items[place + 1 :])
