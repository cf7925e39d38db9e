"""Layers of users that run on the host: numpy functions of the process, which a file names by `domain::name`.

The function itself is never in a file: a process that runs the model has to register it, by importing what has `@bm.layer(..., cpu=...)`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from bmlang.host.errors import HostLayerError
from bmlang.host.registry import OWN, Array, cpu_operator
from tpukernel.dtypes import DTYPES, Dtype

__all__ = ["HOST_LAYERS", "LAYER", "HostFunction", "HostLayer", "Value", "check_host_layer", "host_layer"]

LAYER: Final = OWN + 2000
MAX_BYTES: Final = 1 << 16
MAX_NESTING: Final = 8
Value = bool | int | float | str | Dtype | tuple["Value", ...] | None
"""An argument of a layer."""


@dataclass(frozen=True)
class HostLayer:
    """One use of a layer on the host, as a file has it: JSON.

    Attributes:
        name: `domain::name`.
        outputs: data types of the outputs.
        attrs: the arguments.
    """

    name: str
    outputs: tuple[Dtype, ...]
    attrs: Mapping[str, Value]

    def data(self) -> bytes:
        """As a file has it.

        Raises:
            HostLayerError: the arguments are longer than a file may have them.
        """
        attrs = {name: _json(value) for name, value in self.attrs.items()}
        told = {"layer": self.name, "outputs": [dtype.name for dtype in self.outputs], "attrs": attrs}
        data = json.dumps(told, separators=(",", ":"), allow_nan=False).encode()
        if len(data) > MAX_BYTES:
            raise HostLayerError(f"the arguments of host layer {self.name} have {len(data)} bytes", help=f"{MAX_BYTES} are allowed")
        return data

    @classmethod
    def read(cls, data: bytes) -> HostLayer:
        """What a file says.

        Raises:
            HostLayerError: that means nothing.
        """
        try:
            told = cast("object", json.loads(data)) if len(data) <= MAX_BYTES else None
        except (ValueError, RecursionError):
            told = None
        fields = cast("dict[str, object]", told) if isinstance(told, dict) else {}
        name, outputs, attrs = (fields.get(key) for key in ("layer", "outputs", "attrs"))
        if not isinstance(name, str) or not isinstance(outputs, list) or not isinstance(attrs, dict):
            raise HostLayerError("a host layer without a name, outputs or arguments", help="compile the model again")
        dtypes = tuple(_dtype(each) for each in cast("list[object]", outputs))
        return cls(name, dtypes, {key: _value(value, 0) for key, value in cast("dict[str, object]", attrs).items()})


def _json(value: Value) -> object:
    if isinstance(value, Dtype):
        return {"dtype": value.name}
    if isinstance(value, tuple):
        return [_json(each) for each in value]
    return {"float": str(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _value(told: object, depth: int) -> Value:
    if depth > MAX_NESTING:
        raise HostLayerError(f"arguments of a host layer are nested more than {MAX_NESTING} deep")
    if isinstance(told, list):
        return tuple(_value(each, depth + 1) for each in cast("list[object]", told))
    if isinstance(told, dict):
        fields = cast("dict[str, object]", told)
        if fields.keys() == {"dtype"}:
            return _dtype(fields["dtype"])
        if fields.keys() == {"float"} and fields["float"] in ("inf", "-inf", "nan"):
            return float(str(fields["float"]))
        raise HostLayerError("a host layer has an argument that is no value", help="compile the model again")
    return cast("bool | int | float | str | None", told)


def _dtype(name: object) -> Dtype:
    if not isinstance(name, str) or name not in DTYPES:
        raise HostLayerError(f"a host layer has data type {name!r}, which does not exist", help="compile the model again")
    return DTYPES[name]


HostFunction = Callable[[HostLayer, Sequence[Array]], Sequence[Array]]
"""From a use of the layer and its inputs to the outputs, which have the data types that the use says."""
HOST_LAYERS: Final[dict[str, HostFunction]] = {}
"""Functions by the name of the layer."""


def host_layer(name: str, function: HostFunction) -> None:
    """Make the function of a layer known; registering a name again replaces it, as notebooks do."""
    HOST_LAYERS[name] = function


def check_host_layer(parameters: bytes) -> HostLayer:
    """The layer that a file asks for.

    Raises:
        HostLayerError: the process does not have it, or the file says nothing that can be understood.
    """
    wanted = HostLayer.read(parameters)
    if wanted.name not in HOST_LAYERS:
        raise HostLayerError(
            f"the model needs the host layer {wanted.name}, which is not registered",
            help=f'import the module that has @bm.layer("{wanted.name}", cpu=...): a file has only the name',
        )
    return wanted


@cpu_operator(LAYER)
def named(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """A layer of a user; raises as `check_host_layer`, and whatever its function raises."""
    wanted = check_host_layer(parameters)
    return HOST_LAYERS[wanted.name](wanted, inputs)
