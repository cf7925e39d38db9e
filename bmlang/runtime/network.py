"""A net of a loaded model: what it takes and gives, and calling it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, cast

import numpy as np

from bmlang.bmodel.schema import Net, Tensor
from bmlang.runtime.errors import (
    InputDtypeError,
    InputLayoutError,
    InputNameError,
    InputShapeError,
    OutputArrayError,
    StageChoiceError,
    StageDataError,
)
from bmlang.runtime.stage import dtype_of_tensor, shape_of_tensor
from tpukernel.sim.memory import Array

if TYPE_CHECKING:
    from bmlang.compiler.dynamic import DynamicProgram
    from bmlang.graph.errors import GraphError

__all__ = ["IoTensor", "Launch", "Network"]

Launch = Callable[[int, Sequence[Array]], list[Array]]
"""Runs a stage: takes its number and the inputs in order, returns the outputs in order."""
Program = Callable[[int], "DynamicProgram | None"]
"""What a dynamic stage of this package, by its number, makes its commands of; None for others."""


@dataclass(frozen=True)
class IoTensor:
    """An input or output of a net.

    Attributes:
        name: its name.
        dtype: numpy dtype of the arrays.
        shapes: one for each stage; of a dynamic stage, and of what depends on data, the largest.
        scale, zero_point: of a quantised tensor, value = scale * (element - zero_point); 1 and 0 otherwise.
    """

    name: str
    dtype: np.dtype
    shapes: tuple[tuple[int, ...], ...]
    scale: float
    zero_point: int

    def filled_up(self, array: Array, stage: int) -> bytes:
        """The bytes of an array, and zeros behind it where its size depends on data: files have room for the largest shape."""
        return array.tobytes() + bytes((prod(self.shapes[stage]) - array.size) * self.dtype.itemsize)


class Network:
    """A net. Calling it runs it; calls from several threads wait for each other.

        outputs = network(x=array, y=other)

    Raises:
        StageDataError: the stages of the net do not have the same inputs and outputs.
    """

    def __init__(self, net: Net, launch: Launch, program: Program = lambda _: None) -> None:
        if not net.stages:
            raise StageDataError(f"net {net.name!r} has no stage")
        self._net, self._launch, self._program = net, launch, program
        self.name = net.name
        self.inputs: tuple[IoTensor, ...] = _io(net, [stage.input_tensor for stage in net.stages])
        self.outputs: tuple[IoTensor, ...] = _io(net, [stage.output_tensor for stage in net.stages])

    def __repr__(self) -> str:
        def shown(tensors: Sequence[IoTensor]) -> str:
            return ", ".join(f"{tensor.name}: {tensor.dtype}{' | '.join(map(str, tensor.shapes))}" for tensor in tensors)

        return f"<Network {self.name}: {shown(self.inputs)} -> {shown(self.outputs)}>"

    @property
    def stage_count(self) -> int:
        """Number of stages."""
        return len(self._net.stages)

    @property
    def is_dynamic(self) -> bool:
        """Whether a stage is dynamic."""
        return any(stage.is_dynamic for stage in self._net.stages)

    def __call__(self, /, *, out: Mapping[str, Array] | None = None, **inputs: Array) -> dict[str, Array]:
        """Runs the net (see `run`, which a net with an input named `out` needs)."""
        return self.run(inputs, out=out)

    def run(self, inputs: Mapping[str, Array], *, out: Mapping[str, Array] | None = None, stage: int | None = None) -> dict[str, Array]:
        """Runs the stage that was compiled for the shapes of the inputs.

        Of dynamic stages that take the shapes it is the nearest: one whose first input has the very shape, else the one with the smallest
        product of what the sizes of its first input are larger by; the first of several.

        Args:
            inputs: a C-contiguous array for every input, of its dtype and of a shape of the stage. They are not changed.
            out: arrays for some or all outputs, which the results are written to; C-contiguous, of the dtype and shape of the output.
            stage: the stage that has to be used; by default the first one with the shapes.

        Returns:
            The outputs by name, in the order of the model: new arrays, or those of `out`. An output whose size depends on data has the size
            that it has this time: of an array of `out` that is then the first part, the rest of which is left as it was.

        Raises:
            InputNameError, InputDtypeError, InputShapeError, InputLayoutError, OutputArrayError, StageChoiceError: the arrays do not fit.
            GraphSizeError: the function of a dynamic stage was not made for these sizes.
            RunChipError, DynamicSubnetError, SubnetKindError, CpuOperatorError, StageDataError, DeviceMemoryError: the stage cannot be run.
        """
        arrays = self._ordered(inputs)
        number = self.stage_for([array.shape for array in arrays], stage)
        targets = self._targets(out or {}, number)
        results = self._launch(number, arrays)
        for tensor, result in zip(self.outputs, results, strict=True):
            if tensor.name in targets and not _holds(targets[tensor.name], result):
                _check_target(tensor, result.shape, targets[tensor.name])
        return {tensor.name: _filled(targets.get(tensor.name), result) for tensor, result in zip(self.outputs, results, strict=True)}

    # ------------------------------------------------------------------ checks

    @cached_property
    def _input_names(self) -> str:
        return ", ".join(tensor.name for tensor in self.inputs) or "none"

    def _ordered(self, inputs: Mapping[str, Array]) -> list[Array]:
        unknown = inputs.keys() - {tensor.name for tensor in self.inputs}
        missing = [tensor.name for tensor in self.inputs if tensor.name not in inputs]
        if unknown or missing:
            what = f"has no input {', '.join(sorted(unknown))}" if unknown else f"needs input {', '.join(missing)}"
            raise InputNameError(f"net {self.name!r} {what}", help=f"its inputs are {self._input_names}")
        for tensor in self.inputs:
            _check_input(tensor, inputs[tensor.name])
        return [inputs[tensor.name] for tensor in self.inputs]

    def stage_for(self, shapes: Sequence[tuple[int, ...]], wanted: int | None = None) -> int:
        """The number of the stage that runs for inputs of these shapes, in order; see `run`, also for the errors."""
        count = self.stage_count
        if wanted is not None and not 0 <= wanted < count:
            raise StageChoiceError(f"net {self.name!r} has no stage {wanted}", help=f"it has {count}, counted from 0")
        numbers = range(count) if wanted is None else (wanted,)
        for number in numbers:
            if [tensor.shapes[number] for tensor in self.inputs] == list(shapes):
                return number
        refused: GraphError | None = None
        for number in sorted(numbers, key=lambda number: self._distance(shapes, number)):
            if (program := self._program(number)) is not None:
                refused = program.refusal({tensor.name: shape for tensor, shape in zip(self.inputs, shapes, strict=True)})
                if refused is None:
                    return number
        if refused is not None and len(numbers) == 1:
            raise refused
        given = ", ".join(f"{tensor.name} {shape}" for tensor, shape in zip(self.inputs, shapes, strict=True))
        stages = [", ".join(f"{tensor.name} {tensor.shapes[k]}" for tensor in self.inputs) for k in range(count)]
        asked = (
            f"net {self.name!r} was compiled for no such shapes"
            if wanted is None
            else f"stage {wanted} of net {self.name!r} has other shapes"
        )
        raise InputShapeError(f"{asked}: {given}", help="; ".join(f"stage {k} is for {text}" for k, text in enumerate(stages)))

    def _distance(self, shapes: Sequence[tuple[int, ...]], number: int) -> int:
        """How far the first input of a dynamic stage is from a shape: what the official runtime chooses stages by."""
        if not shapes or len(largest := self.inputs[0].shapes[number]) != len(shapes[0]):
            return 0
        return prod(each for size, most in zip(shapes[0], largest, strict=True) if (each := most - size) > 0)

    def _targets(self, out: Mapping[str, Array], number: int) -> Mapping[str, Array]:
        unknown = out.keys() - {tensor.name for tensor in self.outputs}
        if unknown:
            names = ", ".join(tensor.name for tensor in self.outputs)
            raise OutputArrayError(f"net {self.name!r} has no output {', '.join(sorted(unknown))}", help=f"its outputs are {names}")
        for tensor in self.outputs:
            if tensor.name in out:
                _check_target(tensor, None if self._program(number) else tensor.shapes[number], out[tensor.name])
        return out


def _io(net: Net, stages: Sequence[tuple[Tensor, ...]]) -> tuple[IoTensor, ...]:
    kinds = [[(tensor.name, tensor.data_type) for tensor in tensors] for tensors in stages]
    if any(kind != kinds[0] for kind in kinds) or len({name for name, _ in kinds[0]}) < len(kinds[0]):
        raise StageDataError(
            f"the stages of net {net.name!r} differ in names or types of their inputs or outputs, or a name is there twice"
        )
    return tuple(
        IoTensor(
            tensors[0].name, dtype_of_tensor(tensors[0]), tuple(map(shape_of_tensor, tensors)), tensors[0].scale, tensors[0].zero_point
        )
        for tensors in zip(*stages, strict=True)
    )


def _check_input(tensor: IoTensor, value: object) -> None:
    if not isinstance(value, np.ndarray):
        raise InputLayoutError(f"input {tensor.name} is a {type(value).__name__}, not a numpy array", help="use numpy.asarray")
    array = cast("Array", value)
    if array.dtype != tensor.dtype:
        raise InputDtypeError(
            f"input {tensor.name} has dtype {array.dtype.str if array.dtype.name == tensor.dtype.name else array.dtype}, "
            f"but the net takes {tensor.dtype}",
            help=f"convert it: {tensor.name}.astype({str(tensor.dtype)!r})"
            + ("" if tensor.scale == 1 else f"; the scale is {tensor.scale}"),
        )
    if not array.flags.c_contiguous:
        raise InputLayoutError(
            f"the elements of input {tensor.name} do not follow each other in memory", help="use numpy.ascontiguousarray"
        )


def _check_target(tensor: IoTensor, shape: tuple[int, ...] | None, value: object) -> None:
    """An array can take an output of a shape; of a dynamic stage, whose shape is known only when it has run, that is seen then."""
    wrong = None
    if not isinstance(value, np.ndarray):
        wrong = f"is a {type(value).__name__}, not a numpy array"
    else:
        array = cast("Array", value)
        if array.dtype != tensor.dtype or shape not in (None, array.shape):
            wrong = f"is {array.dtype}{array.shape}"
        elif not array.flags.c_contiguous or not array.flags.writeable:
            wrong = "is not contiguous" if array.flags.writeable else "cannot be written"
    if wrong:
        wanted = tensor.shapes[0] if shape is None else shape
        raise OutputArrayError(f"the array for output {tensor.name} {wrong}", help=f"use numpy.empty({wanted}, {str(tensor.dtype)!r})")


def _holds(target: Array, result: Array) -> bool:
    return target.ndim == result.ndim and all(size <= room for size, room in zip(result.shape, target.shape, strict=True))


def _filled(target: Array | None, result: Array) -> Array:
    if target is None:
        return result
    part = target[tuple(map(slice, result.shape))]
    part[...] = result
    return target if part.shape == target.shape else part
