"""The graph that a TpuLang program writes to, and the session it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Graph as Computation
from bmlang.graph.graph import Node, unused_name
from bmlang.layers.tensor import PACKAGES, Tracer, here
from bmlang.layers.tensor import Tensor as Value
from bmlang.program.outputs import with_output_names
from bmlang.tpulang.dtypes import name_of_dtype
from bmlang.tpulang.errors import CompileTensorsError, SessionError, TensorNameError
from bmlang.tpulang.tensor import Numbers, Preprocessing, Tensor, Whole
from tpukernel.chips.chip import Chip, chip_of
from tpukernel.dtypes import f32, u8
from tpukernel.source import Position, assigned_name, user_frame

__all__ = ["Graph", "Operator", "current", "deinit", "get_default_graph", "init", "reset_default_graph", "reset_graph", "session"]


@dataclass(frozen=True)
class Operator:
    """One call of an operator.

    Attributes:
        op_name: the function of TpuLang.
        inputs, outputs: its tensors.
        position: where it was called.
    """

    op_name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    position: Position

    def __str__(self) -> str:
        made, taken = (", ".join(each.name for each in some) for some in (self.outputs, self.inputs))
        return f"{made} = {self.op_name}({taken})"


@dataclass(eq=False)
class Graph:
    """What a program has computed so far. Operators are checked when they are called: shapes and types are known at once.

    Attributes:
        name: of the graph.
        operators: the calls, in order.
        inputs, outputs: those that the program was compiled with last.
    """

    name: str = "main"
    operators: list[Operator] = field(default_factory=list[Operator])
    inputs: Sequence[Tensor] = ()
    outputs: Sequence[Tensor] = ()
    _tracer: Tracer = field(default_factory=lambda: Tracer("main"))
    _values: dict[Tensor, Value] = field(default_factory=dict[Tensor, Value])
    _inputs: dict[Tensor, str] = field(default_factory=dict[Tensor, str])
    _names: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    def __str__(self) -> str:
        return "\n".join([f"graph {self.name}", *(f"  {operator}" for operator in self.operators)])

    def reset(self) -> None:
        """Forget all operators, and the data of all tensors."""
        for tensor in self._values:
            tensor.reset()
        self.operators.clear()
        self._values.clear()
        self._inputs.clear()
        self._names.clear()
        self._tracer = Tracer(self.name)

    # ------------------------------------------------------------------ writing

    def value(self, tensor: Tensor) -> Value:
        """What a tensor is among the operators of `bmlang`.

        Raises:
            SessionError: an operator of another graph made it.
            TensorNameError: another tensor of the graph has its name.
        """
        found = self._values.get(tensor)
        if found is None:
            if tensor.is_made:
                raise SessionError(f"{tensor.name} was made in another graph", position=here(), help="use it there, or compute it again")
            self._enter(tensor)
            found = self._values[tensor] = self._leaf(tensor)
        return found

    def add(self, value: Value, name: str | None, op: str, scale: Numbers | None = None, zero_point: Whole | None = None) -> Tensor:
        """The tensor of TpuLang that an operator makes.

        Args:
            value: what was computed.
            name: what the user calls it; None for the variable that gets it, or the operator.
            op: name of the operator.
            scale, zero_point: what its integers mean.
        """
        stem = name or assigned_name(user_frame(PACKAGES)) or op
        tensor = Tensor(list(value.shape), stem, "neuron", None, name_of_dtype(value.dtype), scale, zero_point)
        tensor.is_made, tensor.is_named = True, name is not None
        self._enter(tensor)
        self._values[tensor] = value
        return tensor

    def _enter(self, tensor: Tensor) -> None:
        """Give the tensor a name of its own: one that the user chose has to be free."""
        if tensor.name in self._names:
            if tensor.is_named:
                raise TensorNameError(f"two tensors are called {tensor.name}", position=here(), help="names are unique in a graph")
            tensor.name = unused_name(tensor.name, self._names)
        self._names[tensor.name] = tensor

    def _leaf(self, tensor: Tensor) -> Value:
        name = unused_name(tensor.name, self._tracer.specs)
        if tensor.buffer is not None and tensor.ttype == "coeff":
            return Value(self._tracer, self._tracer.constant(tensor.buffer, name))
        if tensor.ttype == "coeff":
            raise SessionError(f"the data of {tensor.name} were forgotten", position=here(), help="declare it after init or reset_graph")
        self._inputs[tensor] = name
        if tensor.preprocessing is None:
            return self._tracer.input(name, bm.spec(tensor.shape, tensor.kind))
        return self._image(tensor, tensor.preprocessing, name)

    def _image(self, tensor: Tensor, given: Preprocessing, name: str) -> Value:
        batch, channels, *size = tensor.shape
        packed = given.channel_format == "nhwc"
        rows, columns = given.resize_dims
        image = self._tracer.input(name, bm.spec((batch, rows, columns, channels) if packed else (batch, channels, rows, columns), u8))
        planes = bm.permute(image, (0, 3, 1, 2)) if packed else image
        first = [0, 0, *((whole - part) // 2 for whole, part in zip((rows, columns), size, strict=True))]
        shown = planes if size == [rows, columns] else bm.slice(planes, first, tensor.shape)
        mean, scale = (np.asarray(each, np.float32).reshape(1, -1, 1, 1) for each in (given.mean, given.scale))
        pixels = (bm.cast(shown, f32) - mean) * scale
        if tensor.kind.is_float:
            return bm.cast(pixels, tensor.kind)
        step = 1.0 if tensor.scale is None else tensor.scale
        return bm.quantise(pixels, step, tensor.zero_point or 0, tensor.kind, rounding="half_away_from_zero")

    # ------------------------------------------------------------------ reading

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """All tensors by name."""
        return self._names

    @property
    def leaves(self) -> Sequence[Tensor]:
        """The tensors that operators take and none makes, without coefficients."""
        return tuple(self._inputs)

    def computation(self, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], *, every: bool = False) -> Computation:
        """The program as a graph of `bmlang`, with the names of TpuLang, and without what the outputs do not need.

        Args:
            name: of the net.
            inputs, outputs: of the net, in order.
            every: every tensor that the outputs are made of is an output, too.

        Raises:
            CompileTensorsError: an input is missing, is none, or an output is not computed here.
        """
        self._check("input", inputs, self._inputs, "operators of the graph take, and none makes")
        self._check("output", outputs, self._values, "are in the graph")
        given = tuple(self._inputs[tensor] for tensor in inputs)
        graph = self._needed(name, outputs, given)
        for node in graph.nodes:
            for tensor, taken in self._inputs.items():
                if taken in node.inputs and taken not in given:
                    raise CompileTensorsError(f"{tensor.name} is no input of the net", position=node.position, help="add it to inputs")
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        if every:
            computed = {each for node in graph.nodes for each in node.outputs}
            inner = [each for each, found in self._values.items() if each.is_made and found.name in computed and each not in outputs]
            outputs = [*outputs, *inner]
            graph = self._needed(name, outputs, given)
        taken_names = {tensor.name for tensor in inputs}
        names = [unused_name(f"{each.name}_out", self._names) if each.name in taken_names else each.name for each in outputs]
        return with_output_names(self._named(graph), names)

    def _needed(self, name: str, outputs: Sequence[Tensor], inputs: tuple[str, ...]) -> Computation:
        graph = self._tracer.graph({tensor.name: self._values[tensor] for tensor in outputs})
        return replace(needed(graph, inputs), name=name)

    def _check(self, what: str, given: Sequence[Tensor], known: Mapping[Tensor, object], which: str) -> None:
        strange = [each.name for each in given if each not in known]
        if strange or not given or len(set(given)) < len(given):
            said = f"{strange[0]} is no {what} of the graph" if strange else f"an {what} is there twice" if given else f"there is no {what}"
            raise CompileTensorsError(said, position=here(), help=f"give {what}s that {which}, each once")

    def _named(self, graph: Computation) -> Computation:
        """With the names that the tensors have in TpuLang; others give way."""
        renames: dict[str, str] = {}
        for tensor, value in self._values.items():
            renames.setdefault(self._inputs.get(tensor, value.name), tensor.name)
        taken = {*graph.specs, *self._names}
        for name in graph.specs:
            if name not in renames and name in self._names:
                renames[name] = unused_name(f"{name}_inner", taken)
                taken.add(renames[name])
        new = {name: renames.get(name, name) for name in graph.specs}
        return Computation(
            graph.name,
            tuple(new[name] for name in graph.inputs),
            tuple(new[name] for name in graph.outputs),
            {new[name]: spec for name, spec in graph.specs.items()},
            {new[name]: value for name, value in graph.constants.items()},
            tuple(
                replace(node, inputs=tuple(name and new[name] for name in node.inputs), outputs=tuple(new[name] for name in node.outputs))
                for node in graph.nodes
            ),
        )


def needed(graph: Computation, inputs: tuple[str, ...]) -> Computation:
    """The part of a graph from which its outputs are computed, with these inputs."""
    wanted, nodes = set(graph.outputs), list[Node]()
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            nodes.append(node)
            wanted.update(filter(None, node.inputs))
    kept = {*wanted, *inputs, *(name for node in nodes for name in node.outputs)}
    return replace(
        graph,
        inputs=inputs,
        specs={name: spec for name, spec in graph.specs.items() if name in kept},
        constants={name: value for name, value in graph.constants.items() if name in kept},
        nodes=tuple(reversed(nodes)),
    )


# ---------------------------------------------------------------------- the session


@dataclass
class Session:
    """What operators write to.

    Attributes:
        chip: the chip that is compiled for.
        graph: the graph; None before `init` and after `deinit`.
    """

    chip: Chip
    graph: Graph | None = None


_session: Final = Session(chip_of("BM1684X"))


def session() -> Session:
    """The session of the process: TpuLang has one."""
    return _session


def current() -> Graph:
    """The graph that is being written.

    Raises:
        SessionError: there is none.
    """
    if _session.graph is None:
        raise SessionError("there is no graph", position=here(), help='call init("BM1684X") first')
    return _session.graph


def init(device: str) -> None:
    """Begin a program.

    Args:
        device: the chip, for example "BM1684X"; capitals do not count.

    Raises:
        ChipNameError: there is no such chip.
    """
    _session.chip = chip_of(device.upper())
    reset_default_graph()


def deinit() -> None:
    """End a program: its graph and the data of its tensors are forgotten."""
    if _session.graph is not None:
        _session.graph.reset()
    _session.graph = None


def reset_default_graph(graph: Graph | None = None) -> None:
    """Write to another graph: this one, or a new one."""
    _session.graph = Graph() if graph is None else graph


def get_default_graph() -> Graph | None:
    """The graph that is being written; None before `init` and after `deinit`."""
    return _session.graph


def reset_graph(graph: Graph | None = None) -> None:
    """Empty a graph, by default the one that is being written; the data of its tensors are forgotten, too.

    Raises:
        SessionError: there is none.
    """
    (current() if graph is None else graph).reset()
