"""Products of matrices, in both layouts."""

from __future__ import annotations

from tests.support.builders.common import Builder, Params, dtype, f32_of, number, numbered, scalar, tensor
from tests.support.builders.window import signed_like
from tpukernel.chips.layout import matrix_tensor
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa import Instruction, MatMul, MatMul2, MatMul2Op, MatMulOp, Rounding

# ---- matrices with rows in n


def _left(params: Params, kind: Dtype) -> LocalTensor | Constant:
    if "left_addr" not in params:
        return f32_of(params["C"]) if kind == f32 else scalar(params, "C", kind)
    per_channel = number(params, "left_cols_per_channel")
    return matrix_tensor(
        number(params, "left_addr"), number(params, "left_rows"), number(params, "left_cols"), kind, cols_per_channel=per_channel
    )


def _of_columns(params: Params, name: str, rows: int, kind: Dtype) -> LocalTensor:
    """A matrix with the columns of the right one, at the address ``<name>_addr``."""
    cols, per_channel = number(params, "right_cols"), number(params, "right_cols_per_channel")
    return matrix_tensor(number(params, f"{name}_addr"), rows, cols, kind, cols_per_channel=per_channel)


def _product(params: Params, left: Dtype, right: Dtype, result: Dtype, *, tran: bool, **values: object) -> list[Instruction]:
    rows, depth = number(params, "left_rows"), number(params, "left_cols")
    if tran:
        rows, depth = depth, rows
    given: dict[str, object] = {
        "dst": _of_columns(params, "output", rows, result),
        "left": _left(params, left),
        "right": _of_columns(params, "right", depth, right),
        "left_cols": number(params, "left_cols"),
        "left_tran": tran,
        "result_add": bool(params.get("result_add", False)),
        **values,
    }
    return numbered(MatMul(**given))  # type: ignore[arg-type]


def _bias(params: Params, kind: Dtype) -> LocalTensor | None:
    return _of_columns(params, "bias", 1, kind) if params["has_bias"] else None


def _fp32(*, tran: bool = False) -> Builder:
    return lambda params: _product(params, f32, f32, f32, tran=tran, bias=_bias(params, f32))


def _left_dtype(params: Params) -> Dtype:
    return dtype(params, "left_dtype" if "left_dtype" in params else "C_dtype")


def _int(*, tran: bool = False) -> Builder:
    def build(params: Params) -> list[Instruction]:
        left, right = _left_dtype(params), dtype(params, "right_dtype")
        shift = _of_columns(params, "shift", 1, i8) if "shift_addr" in params else Constant(number(params, "shift") & 0xFF, i8)
        result = i32 if left.is_signed or right.is_signed else u32
        return _product(params, left, right, result, tran=tran, shift=shift, rounding=Rounding(number(params, "rounding_mode")))

    return build


def _int8(*, tran: bool = False) -> Builder:
    def build(params: Params) -> list[Instruction]:
        left, right = _left_dtype(params), dtype(params, "right_dtype")
        relu, bias = bool(params["result_relu"]), _bias(params, signed_like(dtype(params, "bias_dtype"), i16, u16))
        # The chip saturates as a signed type when any operand is signed, whatever type the call names.
        signed = not relu and any(kind.is_signed for kind in (left, right, *([bias.dtype] if bias else [])))
        return _product(
            params,
            left,
            right,
            {8: (u8, i8), 16: (u16, i16)}[dtype(params, "output_dtype").bits][signed],
            tran=tran,
            op=MatMulOp.REQUANT_RELU if relu else MatMulOp.REQUANT,
            bias=bias,
            left_shift=number(params, "lshift"),
            right_shift=number(params, "rshift"),
        )

    return build


# ---- matrices with rows in c


def _matrix(params: Params, name: str, rows: int, cols: int, kind: Dtype) -> LocalTensor:
    return tensor(params, name, (1, rows, 1, cols), kind)


def _first_dtype(params: Params, *names: str) -> Dtype:
    return next(dtype(params, name) for name in names if name in params)


def _zero_point(params: Params, op: MatMul2Op, shape: tuple[int, int], kind: Dtype) -> LocalTensor | Constant | None:
    if "zp_val" in params:
        return scalar(params, "zp_val", kind)
    if "zp_addr" not in params:
        return None
    rows, cols = shape
    if op is MatMul2Op.TT:
        return tensor(params, "zp", (1, rows, 1, 1), kind, Layout.COMPACT)
    return tensor(params, "zp", (1, rows, 1, cols), kind, Layout.FREE, (0, 0, cols, 1))


def _product2(op: MatMul2Op) -> Builder:
    def build(params: Params) -> list[Instruction]:
        left_dtype = _first_dtype(params, "left_right_dtype", "left_dtype", "left_C_dtype", "C_dtype", "right_C_dtype")
        right_dtype = _first_dtype(params, "left_right_dtype", "right_zp_dtype", "C_zp_dtype", "right_C_dtype", "left_C_dtype")
        rows, depth = number(params, "left_rows"), number(params, "left_cols")
        left = _matrix(params, "left", rows, depth, left_dtype) if "left_addr" in params else scalar(params, "C", left_dtype)
        match op:
            case MatMul2Op.NN:
                right_shape, dst_shape = (depth, number(params, "right_cols")), (rows, number(params, "right_cols"))
            case MatMul2Op.NT:
                right_shape, dst_shape = (number(params, "right_rows"), depth), (rows, number(params, "right_rows"))
            case MatMul2Op.TT:
                right_shape, dst_shape = (number(params, "right_rows"), rows), (number(params, "right_rows"), depth)
        right = _matrix(params, "right", *right_shape, right_dtype) if "right_addr" in params else scalar(params, "C", right_dtype)
        return numbered(
            MatMul2(
                op=op,
                dst=_matrix(params, "output", *dst_shape, dtype(params, "output_dtype") if left_dtype.is_float else i32),
                left=left,
                right=right,
                right_zero_point=_zero_point(params, op, (right_shape[0], dst_shape[1]), right_dtype),
                result_add=bool(params.get("result_add", False)),
            )
        )

    return build


_FORMS = {
    "": MatMul2Op.NN,
    "_R_trans": MatMul2Op.NT,
    "_all_trans": MatMul2Op.TT,
    "_L_const": MatMul2Op.NN,
    "_R_const": MatMul2Op.NN,
    "_L_const_R_trans": MatMul2Op.NT,
    "_L_const_all_trans": MatMul2Op.TT,
    "_R_const_all_trans": MatMul2Op.TT,
}

BUILDERS: dict[str, Builder] = {
    "tpu_bdc_fp32_mm": _fp32(),
    "tpu_bdc_fp32_mm_L_trans": _fp32(tran=True),
    "tpu_bdc_fp32_mm_L_const": _fp32(),
    "tpu_bdc_int_mm": _int(),
    "tpu_bdc_int_mm_L_trans": _int(tran=True),
    "tpu_bdc_int_mm_L_const": _int(),
    "tpu_bdc_int_pcs_mm": _int(),
    "tpu_bdc_int_pcs_mm_L_trans": _int(tran=True),
    "tpu_bdc_int_pcs_mm_L_const": _int(),
    "tpu_bdc_int8_mm": _int8(),
    "tpu_bdc_int8_mm_L_trans": _int8(tran=True),
    "tpu_bdc_int8_mm_L_const": _int8(),
    **{f"tpu_bdc_fp_mm{form}": _product2(op) for form, op in _FORMS.items()},
    **{f"tpu_bdc_int8_zp_mm{form}": _product2(op) for form, op in _FORMS.items()},
    **{f"tpu_bdc_int8_pc_zp_mm{form}": _product2(op) for form, op in _FORMS.items()},
}
