"""What a dynamic stage of this package executes, kept in `NetParameter.binary_ir`: the function as text.

The official compiler has something else in this field, which the firmware of the chip interprets. What is written here is JSON; it begins
with `{"format": "tpukernel-dynamic"` and has the text of the graph with sizes that vary (`bmlang.graph`), the texts of the kernels of its
custom layers (`.tpuk`), what f32 is computed in, and where its constants lie in the memory of coefficients. A runtime makes commands of it
when the shapes are known; nothing of it is code of a machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from bmlang.bmodel.errors import DynamicCodeError
from bmlang.bmodel.fields import Binary
from bmlang.bmodel.schema import NetParameter
from tpukernel.dtypes import DTYPES, Dtype

__all__ = ["ConstantPlace", "DynamicCode", "dynamic_code_of", "is_dynamic_code"]

BEGIN: Final = b'{"format": "tpukernel-dynamic"'
VERSION: Final = 1
MAX_BYTES: Final = 1 << 26
MAX_RANK: Final = 8
WORD: Final = 4
"""`SubNet.ir_len` counts words of so many bytes."""
_HELP: Final = "compile the model again"


@dataclass(frozen=True)
class ConstantPlace:
    """Where a constant lies among the coefficients.

    Attributes:
        dtype, shape: what it is.
        offset: of its first byte.
    """

    dtype: Dtype
    shape: tuple[int, ...]
    offset: int

    def read(self, data: bytes | memoryview, name: str) -> NDArray[np.generic]:
        """The constant.

        Raises:
            DynamicCodeError: the coefficients end before it does.
        """
        if self.offset + prod(self.shape) * self.dtype.itemsize > len(data):
            raise DynamicCodeError(f"constant {name} lies outside of the {len(data)} bytes of coefficients", help=_HELP)
        return np.frombuffer(data, self.dtype.numpy, prod(self.shape), self.offset).reshape(self.shape)


@dataclass(frozen=True)
class DynamicCode:
    """A function whose sizes vary.

    Attributes:
        mode: what f32 is computed in: "f32", "f16" or "bf16".
        opt: level of optimisation.
        graph: its text.
        kernels: by name of a layer: the text of its kernel.
        constants: those that the text does not say, by name.
    """

    mode: str
    opt: int
    graph: str
    kernels: Mapping[str, str] = field(default_factory=dict[str, str])
    constants: Mapping[str, ConstantPlace] = field(default_factory=dict[str, ConstantPlace])

    def data(self) -> bytes:
        """As bytes, a multiple of four."""
        places = [[name, place.dtype.name, list(place.shape), place.offset] for name, place in self.constants.items()]
        told = {"format": "tpukernel-dynamic", "version": VERSION, "mode": self.mode, "opt": self.opt, "constants": places}
        text = json.dumps({**told, "kernels": dict(self.kernels), "graph": self.graph}, separators=(",", ": ")).encode()
        return text + b" " * (-len(text) % WORD)

    @classmethod
    def read(cls, data: bytes) -> DynamicCode:
        """What bytes describe. Texts are not looked into.

        Raises:
            DynamicCodeError: they describe nothing that is known here.
        """
        if len(data) > MAX_BYTES:
            raise DynamicCodeError(f"the code of a dynamic stage has {len(data):,} bytes", help=f"{MAX_BYTES:,} are allowed")
        try:
            told = cast("object", json.loads(data))
        except (ValueError, RecursionError):
            raise DynamicCodeError("the code of a dynamic stage is no JSON", help=_HELP) from None
        fields = cast("dict[str, object]", told) if isinstance(told, dict) else {}
        if fields.get("version") != VERSION:
            raise DynamicCodeError(f"the code of a dynamic stage has version {fields.get('version')!r}, not {VERSION}", help=_HELP)
        kernels = fields.get("kernels")
        if not isinstance(kernels, dict):
            raise DynamicCodeError("the code of a dynamic stage has no list of kernels", help=_HELP)
        texts = {name: _text(text) for name, text in cast("dict[str, object]", kernels).items()}
        mode, opt = _text(fields.get("mode")), _number(fields.get("opt"))
        return cls(mode, opt, _text(fields.get("graph")), texts, dict(_places(fields.get("constants"))))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise DynamicCodeError(f"the code of a dynamic stage has {value!r} where a text should be", help=_HELP)
    return value


def _places(value: object) -> Iterator[tuple[str, ConstantPlace]]:
    for each in _list(value):
        name, dtype, shape, offset = _list(each, 4)
        if _text(dtype) not in DTYPES:
            raise DynamicCodeError(f"a constant of a dynamic stage has the data type {dtype!r}", help=_HELP)
        sizes = tuple(_number(size) for size in _list(shape))
        if len(sizes) > MAX_RANK:
            raise DynamicCodeError(f"a constant of a dynamic stage has {len(sizes)} dimensions", help=_HELP)
        yield _text(name), ConstantPlace(DTYPES[_text(dtype)], sizes, _number(offset))


def _list(value: object, size: int | None = None) -> Sequence[object]:
    if not isinstance(value, list) or (size is not None and len(cast("list[object]", value)) != size):
        raise DynamicCodeError("the code of a dynamic stage lacks a list", help=_HELP)
    return cast("list[object]", value)


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 48:
        raise DynamicCodeError(f"the code of a dynamic stage has {value!r} where a number should be", help=_HELP)
    return value


def is_dynamic_code(stage: NetParameter) -> bool:
    """Whether a stage is a dynamic one of this package."""
    code: Binary | None = stage.binary_ir
    return bool(stage.is_dynamic and code is not None and code.size >= len(BEGIN) and bytes(code.data[: len(BEGIN)]) == BEGIN)


def dynamic_code_of(stage: NetParameter) -> tuple[DynamicCode, dict[str, NDArray[np.generic]]]:
    """What a dynamic stage executes, and its constants.

    Raises:
        DynamicCodeError: it is damaged, or none of this package.
    """
    if not is_dynamic_code(stage) or stage.binary_ir is None:
        raise DynamicCodeError("the code of the stage is none of this package", help="the official runtime executes what it made itself")
    if stage.binary_ir.size > MAX_BYTES:
        raise DynamicCodeError(f"the code of a dynamic stage has {stage.binary_ir.size:,} bytes", help=f"{MAX_BYTES:,} are allowed")
    code = DynamicCode.read(bytes(stage.binary_ir.data))
    coeff = stage.coeff_mem.binary_coeff if stage.coeff_mem else None
    data = coeff.data if coeff else b""
    return code, {name: place.read(data, name) for name, place in code.constants.items()}
