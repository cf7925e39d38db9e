"""Operators of the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bmlang.layers.errors import OperatorArgumentError
from bmlang.layers.tensor import apply_many, here
from bmlang.tpulang.dtypes import name_of_dtype
from bmlang.tpulang.operator import check, made, operator, value
from bmlang.tpulang.tensor import Tensor

__all__ = ["custom"]


@operator
def custom(
    tensors_in: Sequence[Tensor],
    op_name: str,
    out_dtypes: Sequence[str],
    out_names: Sequence[str] | None = None,
    params: Mapping[str, object] | None = None,
) -> list[Tensor]:
    """A layer of the user's own, which `bm.layer` has registered.

    Args:
        tensors_in: its tensors.
        op_name: its name, `domain::name`; without a domain it is looked for as `custom::name`.
        out_dtypes: names of the data types of its results.
        out_names: names of the results.
        params: its other arguments.

    Raises:
        UnknownLayerError: there is no such layer.
    """
    name = op_name if "::" in op_name else f"custom::{op_name}"
    found = apply_many(name, *(value(each) for each in tensors_in), **dict(params or {}))
    types = [name_of_dtype(each.dtype) for each in found]
    if types != [each.lower() for each in out_dtypes]:
        raise OperatorArgumentError(
            f"{name} makes {', '.join(types)}, not {', '.join(out_dtypes)}", position=here(), help="name these types"
        )
    check(out_names is None or len(out_names) <= len(found), f"{len(out_names or ())} names for {len(found)} results", "leave some out")
    names = [*(out_names or ()), *[None] * (len(found) - len(out_names or ()))]
    return [made(each, wanted) for each, wanted in zip(found, names, strict=True)]
