"""Random kernels: what a builder writes down when operations, loops and conditions are drawn."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from typing import Literal, Union, get_args, get_origin

import tpukernel as tpu
from tpukernel.api.recording import recorded_by
from tpukernel.chips.tensors import Layout
from tpukernel.dtypes import DTYPES, Dtype
from tpukernel.errors import TpuError
from tpukernel.isa.rounding import Rounding
from tpukernel.lang import Builder, KernelIr, Size, SymBool
from tpukernel.lang.expr import Expr, Var
from tpukernel.lang.ir import Param
from tpukernel.lang.symbols import at_place, size_of
from tpukernel.lang.tensors import Global, Tensor, Tile, parameter
from tpukernel.lang.text.operations import GROUPS, parameters_of
from tpukernel.lang.text.words import literal
from tpukernel.lang.trace import Token, Tracer, TraceRecorder
from tpukernel.source import Position

PLACE = Position("drawn")
FAILURES = (TpuError, AttributeError, IndexError, TypeError, ValueError)
"""What operations raise whose drawn operands do not fit."""

OPERATIONS = [
    (group, name)
    for group, methods in GROUPS.items()
    for name, _ in inspect.getmembers(methods, inspect.isfunction)
    if not name.startswith("_")
]


def traced(write: Callable[[Builder, list[Global]], None], shapes: Mapping[str, tuple[Expr, ...]], **attributes: object) -> KernelIr:
    """The kernel that a function writes down, on parameters of all data types."""
    tracer = Tracer(tpu.BM1684X)
    params: list[Param] = []
    for (name, shape), dtype in zip(shapes.items(), cycle(DTYPES.values())):
        for size in shape:
            if isinstance(size, Var):
                tracer.unique(size.name)
        tracer.unique(name)
        tracer.shapes[name] = shape
        params.append(Param(name, "inout", shape, dtype))
    with recorded_by(TraceRecorder(tracer)):
        write(Builder(tracer), [parameter(param) for param in params])
    told = tuple((name, literal(value)) for name, value in attributes.items())
    return KernelIr("drawn", tuple(params), told, tracer.finish())


@dataclass
class Draw:
    """Draws what a kernel does.

    Attributes:
        k: the builder.
        random: source of the choices.
        systems: tensors in system memory.
        tiles: buffers that exist, by block.
        sizes: sizes that exist.
        plain: whether all sizes are 4, so that most operands fit together.
        tokens: operations that exist.
    """

    k: Builder
    random: random.Random
    systems: list[Global]
    tiles: list[Tile] = field(default_factory=list[Tile])
    sizes: list[Size] = field(default_factory=list["Size"])
    plain: bool = False
    tokens: list[Token] = field(default_factory=list[Token])

    def size(self, depth: int = 2) -> Size:
        """An expression of sizes."""
        if self.plain:
            return 4
        choose = self.random
        if depth == 0 or choose.random() < 0.3:
            return choose.choice([*self.sizes, choose.randint(1, 70)])
        one, other = self.size(depth - 1), self.size(depth - 1)
        number = choose.randint(1, 9)
        made: list[Callable[[], Size]] = [
            lambda: one + other,
            lambda: one - other,
            lambda: one * other,
            lambda: number * one - other,
            lambda: -one if not isinstance(one, int) else one,
            lambda: one // number,
            lambda: other % number,
            lambda: tpu.minimum(one, other, number),
            lambda: tpu.maximum(one, other),
            lambda: tpu.cdiv(one, number),
            lambda: tpu.align(one, number),
        ]
        return choose.choice(made)()

    def condition(self, depth: int = 2) -> SymBool | bool:
        choose = self.random
        if depth == 0 or choose.random() < 0.5:
            one, other = self.size(1), self.size(1)
            found = choose.choice(
                [lambda: one < other, lambda: one >= other, lambda: one == other, lambda: one != other, lambda: one > 3]
            )()
            return found  # noqa: RET504
        one, other = self.condition(depth - 1), self.condition(depth - 1)
        return choose.choice([lambda: one & other, lambda: one | other, lambda: ~one if isinstance(one, SymBool) else not one])()

    def tile(self) -> Tile:
        choose = self.random
        if self.tiles and (self.plain or choose.random() < 0.7):
            tile = choose.choice(self.tiles)
            box = self.cut(tile) if choose.random() < 0.3 else tile
            return box if isinstance(box, Tile) else tile
        dtype = choose.choice(list(DTYPES.values()))
        if choose.random() < 0.3:
            over: Literal["rows", "columns"] = choose.choice(["rows", "columns"])
            made = self.k.matrix(
                self.size(),
                self.size(),
                dtype,
                over_lanes=over,
                columns_per_channel=self.size(1) if over == "columns" and choose.random() < 0.5 else None,
                at=self.size(1) if choose.random() < 0.2 else None,
                bank=choose.choice([None, None, 3]),
            )
        elif choose.random() < 0.3:
            made = self.k.scratch([self.size() for _ in range(4)], dtype, layout=choose.choice(LAYOUTS), name=self.name())
        else:
            made = self.k.local(
                [self.size() for _ in range(4)],
                dtype,
                layout=choose.choice(LAYOUTS),
                at=self.size(1) if choose.random() < 0.2 else None,
                bank=choose.choice([None, None, 0, 15]),
                name=self.name(),
            )
        self.tiles.append(made)
        return made

    def name(self) -> str | None:
        return self.random.choice([None, None, "local", "f32", "for", "größe", "min", "half_up", "out", "chip"])

    def cut(self, tensor: Tile | Global) -> Tile | Global:
        """A box of a tensor."""
        choose = self.random
        index: list[object] = []
        for _ in tensor.shape:
            start = self.size(1)
            index.append(
                choose.choice(
                    [slice(None), slice(None), slice(start, start + self.size(1)), start if isinstance(tensor, Global) else slice(None)]
                )
            )
        try:
            return tensor[tuple(index)]  # pyright: ignore[reportArgumentType]
        except TpuError:
            return tensor

    def value(self, hint: object) -> object:
        """An argument for a parameter with this annotation."""
        choose = self.random
        if get_origin(hint) is Union or (get_args(hint) and get_origin(hint) not in (tuple, Literal)):
            return self.value(choose.choice(get_args(hint)))
        if get_origin(hint) is Literal:
            return choose.choice(get_args(hint))
        if get_origin(hint) is tuple:
            return tuple(self.size(1) if choose.random() < 0.3 else choose.randint(0, 4) for _ in get_args(hint))
        if hint is Tile:
            return self.tile()
        if hint is Global:
            found = choose.choice(self.systems)
            return self.cut(found) if choose.random() < 0.5 else found
        if hint is Tensor:
            return self.value(choose.choice([Tile, Global]))
        if hint is SymBool:
            return self.condition()
        if hint is float:
            return choose.choice([0, 1, -3, 0.0, -0.0, 0.5, 1e-30, -1e30, float("inf"), float("-inf"), 3.0])
        plain: list[tuple[object, object]] = [
            (int, choose.randint(-4, 20)),
            (bool, choose.random() < 0.5),
            (Rounding, choose.choice(list(Rounding))),
            (Dtype, choose.choice(list(DTYPES.values()))),
            (type(None), None),
        ]
        return next((value for kind, value in plain if kind is hint), self.size(0))

    def operation(self, group: str, name: str, trials: int = 300) -> bool:
        """One operation with operands that it takes; False where none were found."""
        method = getattr(self.k.tiu if group == "tiu" else self.k.dma, name)
        every = list(self.tiles)
        for _ in range(trials):
            if self.plain:  # some of one kind and few types, so that they fit together
                rank, columns = self.random.choice([4, 4, 2]), self.random.random() < 0.5
                dtypes = self.random.choices(list(DTYPES.values()), k=2)
                self.tiles = [
                    each
                    for each in every
                    if each.dtype in dtypes and len(each.shape) == rank and (rank == 4 or (each.local.cols_per_channel is None) == columns)
                ]
            given = {each.name: self.value(each.hint) for each in parameters_of(group, name) if each.required or self.random.random() < 0.4}
            after = self.random.sample(self.tokens, min(len(self.tokens), self.random.choice([0, 0, 0, 1, 2])))
            try:
                with at_place(PLACE):
                    self.tokens.append(method(**given, after=after))
            except FAILURES:
                continue
            return True
        return False

    def block(self, depth: int) -> None:
        """Some statements."""
        for _ in range(self.random.randint(1, 4)):
            self.statement(depth)

    def statement(self, depth: int) -> None:
        choose = self.random
        kind = choose.choice(["op", "op", "op", "range", "pipeline", "when", "parallel", "assert", "print"])
        tiles, sizes = list(self.tiles), list(self.sizes)
        if kind == "range" and depth:
            for index in self.k.range(self.size(1), self.size(1), choose.choice([1, 4, tpu.maximum(self.size(1), 1)])):
                self.sizes.append(index)
                self.block(depth - 1)
        elif kind == "pipeline" and depth:
            for index in self.k.pipeline(self.size(1), self.size(1), choose.randint(1, 5), buffers=choose.randint(1, 4)):
                self.sizes.append(index)
                self.block(depth - 1)
        elif kind == "when" and depth:
            with self.k.when(self.condition()):
                self.block(depth - 1)
        elif kind == "parallel" and depth:
            with self.k.parallel():
                self.block(depth - 1)
        elif kind == "assert":
            self.k.assert_(self.condition(), choose.choice(["", 'a "message"\n\\', "größer 🙂\x7f"]))  # noqa: PT009
            return
        elif kind == "print":
            self.k.print("sizes", self.size(), "\t", self.size())
            return
        else:
            self.operation(*choose.choice(OPERATIONS), trials=20)
            return
        self.tiles, self.sizes = tiles, sizes


LAYOUTS = [Layout.EU_ALIGNED, Layout.EU_ALIGNED, Layout.COMPACT, Layout.LINE_ALIGNED, Layout.WEIGHT]
NUMBERS: dict[str, tuple[Expr, ...]] = {"x": (2, 70, 3, 50), "y": (30, 40), "w": (8, 3, 3, 3), "bias": (70,), "step": (4, 5, 6)}
NAMES: dict[str, tuple[Expr, ...]] = {
    "x": tuple(Var(name) for name in ("n", "c", "h", "w")),
    "y": (Var("c"), Var("y_1")),
    "kernel": (Var("oc"), Var("c"), 3, 3),
}


SAME: dict[str, tuple[Expr, ...]] = {f"x_{number}": (4,) * (2 + number % 3) for number in range(3 * len(DTYPES))}


def drawn(seed: int, shapes: Mapping[str, tuple[Expr, ...]]) -> KernelIr:
    """A random kernel."""

    def write(k: Builder, systems: list[Global]) -> None:
        sizes = [size_of(size) for shape in shapes.values() for size in shape]
        Draw(k, random.Random(seed), systems, sizes=sizes).block(3)

    return traced(write, shapes, alpha=1.5, words="a, b", pair=(1, 2.5, tpu.f16), mode=Rounding.UP, nothing=None, switch=True)


def every_operation(seed: int) -> tuple[KernelIr, list[str]]:
    """A kernel with each operation once, with random operands, and the operations for which none were found."""
    never: list[str] = []

    def write(k: Builder, systems: list[Global]) -> None:
        draw = Draw(k, random.Random(seed), systems, plain=True)
        for dtype in DTYPES.values():
            draw.tiles += [k.local(shape, dtype) for shape in ((4, 4, 4, 4), (4, 4, 1, 1), (4, 4, 4, 1), (4, 4, 1, 4), (1, 4, 1, 1))]
            draw.tiles += [k.matrix(4, 4, dtype, over_lanes=over) for over in ("rows", "columns")]
        every = list(draw.tiles)
        for group, name in OPERATIONS:
            draw.tiles = list(every)
            if not draw.operation(group, name, trials=3000):
                never.append(f"{group}.{name}")

    return traced(write, SAME), never
