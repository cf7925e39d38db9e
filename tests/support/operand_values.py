"""Contents for operands of drawn instructions where numbers that provoke mistakes would only provoke a refusal: indices, regions, shifts,
and the terms of long sums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.support.differential import hard_values
from tpukernel.api.operands import SIGNED
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype, u16
from tpukernel.isa import Conv, DmaGather, DmaScatter, Gather, GatherLine, Instruction, MatMul, MatMul2, Pool
from tpukernel.sim.memory import Array

__all__ = ["indices", "operand_values", "regions", "terms"]

PRODUCTS = (Conv, MatMul, MatMul2, Pool)
GATHERED = {DmaGather: "src", DmaScatter: "dst"}
"""The operand in whose lines the index of a unit counts."""


def operand_values(instruction: Instruction, kind: int, rng: np.random.Generator) -> dict[str, Array]:
    """Contents by the name of the operand; of operands that are not named any numbers will do. `kind` chooses the size of terms."""
    tensors = {use.name: use.value for use in instruction.operands() if isinstance(use.value, LocalTensor | SystemTensor)}
    if isinstance(instruction, PRODUCTS):
        return {name: _of_product(instruction, name, tensor, kind % 4, rng) for name, tensor in tensors.items()}
    if "index" in tensors and (sizes := _index_sizes(instruction)):
        return {"index": indices(rng, tensors["index"].shape, sizes, tensors["index"].dtype), **_copies(tensors, rng)}
    return {}


def _copies(tensors: Mapping[str, LocalTensor | SystemTensor], rng: np.random.Generator) -> dict[str, Array]:
    """The same numbers for a `src` and the copies that have to agree with it."""
    copies = [name for name in tensors if name.startswith("src_copy")]
    if not copies:
        return {}
    src = tensors["src"]
    dtype = SIGNED[src.dtype.bits] if src.dtype.is_int else src.dtype  # the command does not say whether integers are signed
    shape = (1,) * 4 if src.strides is not None and src.strides[1] == 0 else src.shape  # a table in every lane: any order of writing
    values = np.broadcast_to(hard_values(rng, (*shape[:3], src.shape[3]), dtype), src.shape)
    return dict.fromkeys(("src", *copies), values)


def _of_product(instruction: Instruction, name: str, tensor: LocalTensor | SystemTensor, kind: int, rng: np.random.Generator) -> Array:
    if name == "roi":
        return regions(instruction, rng, tensor.shape)
    if name == "shift":  # what the functions take as a constant; farther shifts of the model are not described
        return rng.integers(-32, 32, tensor.shape).astype(tensor.dtype.numpy)
    return terms(kind, rng, tensor.shape, tensor.dtype)


def terms(kind: int, rng: np.random.Generator, shape: tuple[int, ...], dtype: Dtype) -> Array:
    """Numbers of like size; of any size; and what provokes mistakes, infinities among it, so rarely that sums survive.

    No NaN: where several meet in a sum, the model's sign and payload depend on how it was compiled; the interpreter does not repeat that.
    """
    if dtype.is_int:
        return rng.integers(*dtype.limits, shape, endpoint=True, dtype=dtype.numpy) if kind != 1 else hard_values(rng, shape, dtype)
    values = rng.standard_normal(shape)
    if kind == 1:
        values *= 2.0 ** rng.integers(-20, 12, shape)
    if kind == 2:
        values *= 2.0 ** (rng.integers(-8, -2) * 8)
    found = values.astype(np.float32).astype(dtype.numpy)
    if kind == 3:
        hard = hard_values(rng, shape, dtype)
        return np.where((rng.random(shape) < 0.01) & ~np.isnan(hard.astype(np.float32)), hard, found)
    return found


def regions(instruction: Instruction, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Regions of interest: most of them inside the input."""
    image = instruction.value_of("input")
    assert isinstance(image, LocalTensor)
    size = np.array(image.shape[:1:-1])
    first = rng.integers(0, size, (shape[1], 2))
    last = rng.integers(first, size)
    return np.concatenate([first, last], axis=1).astype(u16.numpy).reshape(shape)


def indices(rng: np.random.Generator, shape: tuple[int, ...], sizes: tuple[int, ...], dtype: Dtype) -> Array:
    """Numbers below the sizes (one for each element of the last dimension)."""
    return rng.integers(0, np.minimum(sizes, 1 << dtype.bits), shape).astype(dtype.numpy)


def _index_sizes(instruction: Instruction) -> tuple[int, ...]:
    """What the indices of an instruction have to stay below, for each element of their last dimension; empty where anything will do."""
    if isinstance(instruction, Gather):
        h, w = _shape(instruction, "dst" if "SCATTER" in instruction.op.name else "src")[2:]
        return (w, h) if "HW" in instruction.op.name else (w,)
    if isinstance(instruction, GatherLine):
        return (_shape(instruction, "src" if instruction.op_name == "gather" else "dst")[2],)
    table = GATHERED.get(type(instruction))  # pyright: ignore[reportArgumentType]
    return (_shape(instruction, table)[2],) if table else ()


def _shape(instruction: Instruction, name: str) -> tuple[int, ...]:
    operand = instruction.value_of(name)
    assert isinstance(operand, LocalTensor | SystemTensor)
    return operand.shape
