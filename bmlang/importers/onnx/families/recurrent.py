"""Recurrent networks, written out step by step. Weights have the gates below each other, as ONNX orders them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from bmlang.importers.onnx.families.pointwise import tanh
from bmlang.importers.onnx.families.shapes import cut
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result
from bmlang.importers.onnx.values import Known
from bmlang.layers import activations as act
from bmlang.layers.arrange import concat, permute
from bmlang.layers.elementwise import add, max, min, mul, neg, sub
from bmlang.layers.matmul import matmul
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor

__all__ = ["TABLE"]

Function: TypeAlias = Callable[[Tensor], Tensor]
Step: TypeAlias = "Callable[[_Direction, Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]"
"""From what the input gives to all gates, and the states, to the new states."""


def _function(name: str, alpha: float | None, beta: float | None) -> Function:
    """An activation by its name in the attribute `activations`."""
    known: Mapping[str, Function] = {
        "affine": lambda x: add(mul(x, 1.0 if alpha is None else alpha), 0.0 if beta is None else beta),
        "elu": lambda x: act.elu(x, 1.0 if alpha is None else alpha),
        "hardsigmoid": lambda x: act.hard_sigmoid(x, 0.2 if alpha is None else alpha, 0.5 if beta is None else beta),
        "leakyrelu": lambda x: act.leaky_relu(x, 0.01 if alpha is None else alpha),
        "relu": act.relu,
        "sigmoid": act.sigmoid,
        "softplus": act.softplus,
        "softsign": act.softsign,
        "tanh": tanh,
    }
    if name.lower() not in known:
        raise NotSupported(f"the activation {name}")
    return known[name.lower()]


@dataclass(frozen=True)
class _Direction:
    """One direction of a network.

    Attributes:
        recurrence: weights (gates * hidden, hidden).
        bias: what is added to each gate: that of the input, and that of the recurrence; None for neither.
        functions: the activations.
        hidden: size of a state.
        peepholes: (3 * hidden) or None.
    """

    recurrence: Tensor
    bias: tuple[Tensor, Tensor] | None
    functions: Sequence[Function]
    hidden: int
    peepholes: Tensor | None = None

    def gates(self, x: Tensor) -> list[Tensor]:
        """A tensor (batch, gates * hidden) cut into the gates."""
        return [cut(x, 1, start, self.hidden) for start in range(0, x.shape[1], self.hidden)]


def _rnn_step(direction: _Direction, given: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    (h,) = states
    total = add(given, matmul(h, direction.recurrence, transpose_b=True))
    if direction.bias is not None:
        total = add(total, add(*direction.bias))
    return (direction.functions[0](total),)


def _gru_step(linear_before_reset: bool) -> Step:
    def step(direction: _Direction, given: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (h,), size = states, direction.hidden
        f, g = direction.functions
        outer, inner = direction.bias or (None, None)
        given = given if outer is None else add(given, outer)
        both = cut(direction.recurrence, 0, 0, 2 * size)
        gates = add(cut(given, 1, 0, 2 * size), matmul(h, both, transpose_b=True))
        gates = gates if inner is None else add(gates, cut(inner, 0, 0, 2 * size))
        before, _ = direction.gates(gates)
        update, reset = direction.gates(f(gates))
        last = cut(direction.recurrence, 0, 2 * size, size)
        shift = None if inner is None else cut(inner, 0, 2 * size, size)
        if linear_before_reset:
            found = matmul(h, last, transpose_b=True)
            found = mul(reset, found if shift is None else add(found, shift))
        else:
            found = matmul(mul(reset, h), last, transpose_b=True)
            found = found if shift is None else add(found, shift)
        new = g(add(cut(given, 1, 2 * size, size), found))
        rest = act.sigmoid(neg(before)) if f is act.sigmoid else sub(1.0, update)  # 1 - sigmoid(x), without a difference
        return (add(mul(rest, new), mul(update, h)),)

    return step


def _lstm_step(input_forget: bool) -> Step:
    def step(direction: _Direction, given: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, c = states
        f, g, last = direction.functions
        total = add(given, matmul(h, direction.recurrence, transpose_b=True))
        if direction.bias is not None:
            total = add(total, add(*direction.bias))
        i, o, forget, cell = direction.gates(total)
        peep = direction.peepholes
        parts = None if peep is None else [cut(peep, 0, start, direction.hidden) for start in range(0, peep.shape[0], direction.hidden)]
        i = f(i if parts is None else add(i, mul(parts[0], c)))
        forget = sub(1.0, i) if input_forget else f(forget if parts is None else add(forget, mul(parts[2], c)))
        c = add(mul(forget, c), mul(i, g(cell)))
        o = f(o if parts is None else add(o, mul(parts[1], c)))
        return mul(o, last(c)), c

    return step


def _network(node: OnnxNode, step: Step, gates: int, names: Sequence[str], states: int) -> Result:
    x, weights, recurrence = node.tensor(0), node.tensor(1), node.tensor(2)
    batch_first = bool(node.integer("layout", 0))
    steps, batch = (x.shape[1], x.shape[0]) if batch_first else x.shape[:2]
    hidden = recurrence.shape[2]
    if weights.shape[1] != gates * hidden:
        node.wrong(f"weights {list(weights.shape)} of {gates} gates of {hidden}")
    _check_lengths(node, steps)
    clip = node.number("clip", 0.0)
    kinds = node.texts("activations", list(names) * weights.shape[0])
    alphas, betas = node.numbers("activation_alpha", []), node.numbers("activation_beta", [])
    functions = [
        _function(kind, alphas[place] if place < len(alphas) else None, betas[place] if place < len(betas) else None)
        for place, kind in enumerate(kinds)
    ]
    way = node.text("direction", "forward")
    made: list[tuple[list[Tensor], tuple[Tensor, ...]]] = []
    for number in range(weights.shape[0]):
        mine = functions[number * len(names) : (number + 1) * len(names)]
        direction = _direction(node, recurrence, number, gates, hidden, [_clipped(each, clip) for each in mine])
        start = tuple(_start(node, 5 + place, number, batch, hidden, batch_first) for place in range(states))
        weight = reshape(cut(weights, 0, number, 1), weights.shape[1:])
        given = matmul(reshape(x, (-1, x.shape[2])), weight, transpose_b=True)
        rows = [
            reshape(cut(reshape(given, (*x.shape[:2], gates * hidden)), 1 if batch_first else 0, place, 1), (batch, gates * hidden))
            for place in range(steps)
        ]
        made.append(_walked(rows, direction, start, step, backwards=way == "reverse" or number == 1))
    return _results(node, made, batch_first)


def _walked(
    rows: Sequence[Tensor], direction: _Direction, states: tuple[Tensor, ...], step: Step, *, backwards: bool
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """The first state after each step, in the order of the input, and all states at the end."""
    found: list[Tensor] = []
    for row in rows[::-1] if backwards else rows:
        states = step(direction, row, states)
        found.append(states[0])
    return found[::-1] if backwards else found, states


def _clipped(function: Function, limit: float) -> Function:
    return function if not limit else lambda x: function(max(min(x, limit), -limit))


def _check_lengths(node: OnnxNode, steps: int) -> None:
    lengths = node.optional_known(4)
    if lengths is not None and not np.all(lengths.astype(np.int64) == steps):
        raise NotSupported("sequences of several lengths")


def _direction(node: OnnxNode, recurrence: Tensor, number: int, gates: int, hidden: int, functions: Sequence[Function]) -> _Direction:
    bias = node.optional(3)
    peepholes = node.optional(7)
    both = None
    if bias is not None:
        flat = reshape(cut(bias, 0, number, 1), (2 * gates * hidden,))
        both = cut(flat, 0, 0, gates * hidden), cut(flat, 0, gates * hidden, gates * hidden)
    return _Direction(
        reshape(cut(recurrence, 0, number, 1), recurrence.shape[1:]),
        both,
        functions,
        hidden,
        None if peepholes is None else reshape(cut(peepholes, 0, number, 1), (3 * hidden,)),
    )


def _start(node: OnnxNode, index: int, number: int, batch: int, hidden: int, batch_first: bool) -> Tensor:
    """The first state of a direction: zeros where it is not given."""
    given = node.inputs[index] if node.has(index) else None
    if given is None or (isinstance(given, Known) and not np.any(given.array)):
        zeros = np.zeros((batch, hidden), node.tensor(0).dtype.numpy)
        return Tensor(node.tracer, node.tracer.constant(zeros, "state"))
    state = node.tensor(index)
    return reshape(cut(state, 1 if batch_first else 0, number, 1), (batch, hidden))


def _results(node: OnnxNode, made: Sequence[tuple[list[Tensor], tuple[Tensor, ...]]], batch_first: bool) -> Result:
    steps = len(made[0][0])
    batch, hidden = made[0][0][0].shape
    cells = [reshape(made[number][0][place], (1, 1, batch, hidden)) for place in range(steps) for number in range(len(made))]
    whole = reshape(_all(cells, 0), (steps, len(made), batch, hidden))
    ends = [_all([reshape(states[place], (1, batch, hidden)) for _, states in made], 0) for place in range(len(made[0][1]))]
    if batch_first:
        whole = permute(whole, (2, 0, 1, 3))
        ends = [permute(each, (1, 0, 2)) for each in ends]
    return [whole, *ends][: len(node.proto.output)]


def _all(tensors: Sequence[Tensor], axis: int) -> Tensor:
    return tensors[0] if len(tensors) == 1 else concat(tensors, axis)


def _gru(node: OnnxNode) -> Result:
    return _network(node, _gru_step(bool(node.integer("linear_before_reset", 0))), 3, ("Sigmoid", "Tanh"), 1)


def _lstm(node: OnnxNode) -> Result:
    return _network(node, _lstm_step(bool(node.integer("input_forget", 0))), 4, ("Sigmoid", "Tanh", "Tanh"), 2)


TABLE: Final[Mapping[str, Handler]] = {
    "GRU": _gru,
    "LSTM": _lstm,
    "RNN": lambda node: _network(node, _rnn_step, 1, ("Tanh",), 1),
}
