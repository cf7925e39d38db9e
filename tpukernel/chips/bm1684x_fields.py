"""Bit fields of the BM1684X commands, least significant bit first: `name:width`, `_` for unused bits.

Source: the bit-field lists of tpu-mlir's debugger (`target_1684x/regdef.py`, 2-clause BSD), in the forms that the official library emits:
the short TIU forms and the long GDMA forms. Names are kept, with these exceptions: the two halves of the addresses of `DMA_matrix` have
their names exchanged there and are called here what they are; additions in brackets are dropped.
"""

from __future__ import annotations

__all__ = ["FORMATS"]

_TIU_HEAD = "cmd_short:1 cmd_id:20 cmd_id_dep:20 tsk_typ:4 tsk_eu_typ:5"
_GDMA_HEAD = """
    intr_en:1 stride_enable:1 nchw_copy:1 cmd_short:1 decompress_enable:1 cmd_id_en:4 cmd_id:20 _:3
    cmd_type:4 cmd_special_function:3 fill_constant_en:1 src_data_format:3"""
_GDMA_ID = "cmd_id_dep:20 _:12 constant_value:32"
_GDMA_STRIDES = "src_nstride:32 src_cstride:32 src_hstride:32 src_wstride:32 dst_nstride:32 dst_cstride:32 dst_hstride:32 dst_wstride:32"
_GDMA_SIZES = "src_nsize:16 src_csize:16 src_hsize:16 src_wsize:16 dst_nsize:16 dst_csize:16 dst_hsize:16 dst_wsize:16"
_GDMA_ADDRESSES = "src_start_addr_l32:32 src_start_addr_h8:8 _:24 dst_start_addr_l32:32 dst_start_addr_h8:8 _:24"
_GDMA_LANES = "localmem_mask_l32:32 localmem_mask_h32:32"
_GDMA_COPY = f"{_GDMA_HEAD} _:21 {_GDMA_ID} {_GDMA_STRIDES} {_GDMA_SIZES} {_GDMA_ADDRESSES} _:32 _:32 {_GDMA_LANES}"
_GDMA_LINES = f"""{_GDMA_HEAD} _:21 {_GDMA_ID}
    src_cstride:32 src_hstride:32 dst_cstride:32 dst_hstride:32 index_cstride:32 index_hstride:32 _:16
    src_csize:16 src_hsize:32 src_wsize:16 dst_csize:16 dst_hsize:32 dst_wsize:16 index_csize:16 index_hsize:32
    {_GDMA_ADDRESSES} index_start_addr_l32:32 index_start_addr_h8:8 _:24 {_GDMA_LANES}"""

FORMATS: dict[str, str] = {
    "CONV": f"""{_TIU_HEAD}
        opd0_sign:1 opd1_sign:1 opd2_sign:1 pad_mode:2 cmd_id_en:4 pwr_step:4 res_add:1 kernel_rotate:1 res0_prec:3 opd0_prec:3
        opd1_const:1 opd2_const:1 opd0_up_pad:4 opd0_dn_pad:4 opd0_lf_pad:4 opd0_rt_pad:4 res_op_x_str:4 res_op_y_str:4 opd3_const:1
        opd0_str:3 res0_addr:26 intr_en:1 opd0_x_ins0:4 opd0_y_ins0:4 opd1_x_ins0:4 opd1_y_ins0:4 opd0_n_str:16 res0_n:16 res0_c:16
        res0_h:16 res0_w:16 opd0_c:16 opd0_h:16 opd0_w:16 opd1_h:16 opd1_w:16 opd0_c_str:16 opd0_addr:32 opd1_addr:32 opd2_addr:32
        res1_addr:32 opd3_addr:32 opd0_h_str:16 opd0_w_str:16""",
    "PorD": f"""{_TIU_HEAD}
        kernel_rotate:1 opd0_sign:1 opd1_sign:1 pad_mode:2 cmd_id_en:4 pwr_step:4 opd1_const:1 opd2_const:1 opd3_const:1 res0_prec:3
        opd0_prec:3 opd0_x_ins0:4 opd0_y_ins0:4 opd1_x_ins0:4 opd1_y_ins0:4 opd0_up_pad:4 opd0_dn_pad:4 opd0_lf_pad:4 opd0_rt_pad:4
        res_op_x_str:4 res_op_y_str:4 opd2_n_str:3 _:11 opd2_sign:1 intr_en:1 res0_n:16 res0_c:16 res0_h:16 res0_w:16 opd0_h:16
        opd0_w:16 opd1_h:16 opd1_w:16 res0_addr:32 opd0_addr:32 opd1_addr:32 opd2_addr:32 res1_addr:32 opd3_addr:32 _:64""",
    "MM": f"""{_TIU_HEAD}
        res_add:1 left_tran:1 opd0_const:1 opd2_const:1 _:1 cmd_id_en:4 pwr_step:4 intr_en:1 opd0_sign:1 opd1_sign:1 opd2_sign:1
        res0_prec:3 opd0_prec:3 opd2_n_str:3 _:20 _:16 res0_c:16 res0_w:16 opd0_n:16 opd0_c:16 opd0_w:16 _:16 opd1_w:16 res0_addr:32
        opd0_addr:32 opd1_addr:32 opd2_addr:32 opd3_addr:32""",
    "MM2": f"""{_TIU_HEAD}
        opd0_sign:1 opd1_sign:1 res0_prec:3 cmd_id_en:4 pwr_step:4 opd2_const:1 res0_c:16 res0_w:16 opd1_c:16 opd1_w:16 opd0_prec:3
        opd0_const:1 opd1_const:1 res_add:1 res0_addr:25 intr_en:1 opd0_addr:32 opd1_addr:32 opd2_addr:32""",
    "AR": f"""{_TIU_HEAD}
        opd0_const:1 opd1_const:1 opd2_const:1 tsk_opd_num:2 cmd_id_en:4 pwr_step:4 intr_en:1 res0_prec:3 opd0_prec:3 opd1_prec:3
        opd2_prec:3 opd0_sign:1 opd1_sign:1 res0_str:3 opd0_str:3 opd1_str:3 opd2_n_str:3 _:6 res0_n:16 res0_c:16 res0_h:16 res0_w:16
        res0_addr:32 opd0_addr:32 opd1_addr:32 opd2_addr:32 res0_n_str:16 res0_c_str:16 opd0_n_str:16 opd0_c_str:16 opd1_n_str:16
        opd1_c_str:16 res0_h_str:20 res0_w_str:20 opd0_h_str:20 opd2_sign:1 _:3 opd0_w_str:20 opd1_h_str:20 opd1_w_str:20 _:4""",
    "SEG": f"""{_TIU_HEAD}
        _:2 res0_prec:3 cmd_id_en:4 pwr_step:4 intr_en:1 res0_c:16 res0_w:16 res0_addr:32""",
    "RQ&DQ": f"""{_TIU_HEAD}
        opd0_sign:1 opd2_sign:1 res0_prec:3 cmd_id_en:4 pwr_step:4 opd1_const:1 opd0_prec:3 opd2_n_str:6 res0_addr:27 opd0_addr:27
        intr_en:1 res0_n:16 res0_c:16 res0_h:16 res0_w:16 opd1_addr:32 opd2_addr:32""",
    "TRANS&BC": f"""{_TIU_HEAD}
        res0_prec:3 _:2 cmd_id_en:4 pwr_step:4 intr_en:1 res0_n:16 res0_c:16 res0_h:16 res0_w:16 opd0_c:16 opd0_w:16 _:32
        res0_addr:32 opd0_addr:32""",
    "SG": f"""{_TIU_HEAD}
        opd3_const:1 intr_en:1 opd0_str:3 cmd_id_en:4 pwr_step:4 opd2_const:1 res0_n:16 res0_c:16 res0_h:16 res0_w:16 opd0_h:16
        opd0_w:16 opd1_c:16 opd1_w:16 res0_prec:3 res0_addr:29 opd0_prec:3 opd0_addr:29 opd1_prec:3 opd1_addr:29 opd2_addr:32
        res1_addr:32 opd3_addr:32""",
    "SGL": f"""{_TIU_HEAD}
        _:3 opd3_const:1 intr_en:1 cmd_id_en:4 pwr_step:4 opd2_const:1 res0_prec:3 opd1_prec:3 opd0_str:3 _:7 res0_n:16 res0_c:16
        res0_h:16 res0_w:16 opd0_h:16 res0_addr:32 opd0_addr:32 opd1_addr:32 opd2_addr:32 res1_addr:32 _:64""",
    "SFU": f"""{_TIU_HEAD}
        _:5 cmd_id_en:4 pwr_step:4 intr_en:1 res0_prec:3 opd0_prec:3 opd2_n_str:2 _:8 res0_n:16 res0_c:16 res0_h:16 res0_w:16
        opd1_n:16 res0_addr:32 opd0_addr:32 opd1_addr:32""",
    "LIN": f"""{_TIU_HEAD}
        opd1_const:1 opd2_const:1 res0_prec:3 cmd_id_en:4 pwr_step:4 intr_en:1 res0_n:16 res0_c:16 res0_h:16 res0_w:16 res0_addr:32
        opd0_addr:32 opd1_addr:32 opd2_addr:32""",
    "CMP": f"""{_TIU_HEAD}
        opd0_const:1 opd1_const:1 opd2_const:1 opd3_const:1 _:1 cmd_id_en:4 pwr_step:4 intr_en:1 opd0_prec:3 opd2_prec:3 opd0_str:3
        opd1_str:3 _:51 opd0_sign:1 res0_n:16 res0_c:16 res0_h:16 res0_w:16 res0_addr:32 res1_addr:32 opd0_addr:32 opd1_addr:32
        opd2_addr:32 opd3_addr:32""",
    "VC": f"""{_TIU_HEAD}
        opd0_sign:1 opd1_sign:1 opd2_n_str:3 cmd_id_en:4 pwr_step:4 intr_en:1 res0_prec:3 opd0_prec:3 opd1_prec:3 res0_addr:32 _:23
        opd0_addr:32 _:16 res0_c:16 res0_w:16 opd0_c:16 opd0_w:16 opd1_w:16 opd1_addr:32 opd2_addr:32 _:64""",
    "SYS": f"""{_TIU_HEAD}
        _:5 cmd_id_en:4 pwr_step:4 intr_en:1 cmd_id_eng1:20 cmd_id_eng2:20 cmd_id_eng3:20 _:4""",
    "DMA_tensor": _GDMA_COPY,
    "DMA_matrix": _GDMA_COPY,
    "DMA_masked_select": f"""{_GDMA_HEAD} mask_data_format:3 _:18 {_GDMA_ID} {_GDMA_STRIDES} {_GDMA_SIZES} {_GDMA_ADDRESSES}
        mask_start_addr_l32:32 mask_start_addr_h8:32 {_GDMA_LANES}""",
    "DMA_general": _GDMA_COPY,
    "DMA_cw_transpose": _GDMA_COPY,
    "DMA_nonzero": f"""{_GDMA_HEAD} index_data_format:3 _:18 {_GDMA_ID} {_GDMA_STRIDES} {_GDMA_SIZES} {_GDMA_ADDRESSES}
        _:32 _:32 {_GDMA_LANES}""",
    "DMA_sys": f"{_GDMA_HEAD} _:21 {_GDMA_ID}",
    "DMA_gather": _GDMA_LINES,
    "DMA_scatter": _GDMA_LINES,
}
"""Fields by command format."""

_SG = [
    "pl_gather_rec",
    "pe_m_gather_d1coor",
    "pe_s_nonzero",
    "pe_s_scatter_pp_d1coor",
    "pl_gather_perw",
    "pl_scatter_perw",
    "pe_s_nonzero_hzd",
]

NEVER_EMITTED: dict[tuple[str, int, int], str] = {
    ("tiu", 4, 2): "RQ rq2",
    ("tiu", 4, 5): "DQ dq2",
    **{("tiu", 6, number): f"SG {name}" for number, name in zip((2, 7, 9, 10, 11, 12, 16), _SG, strict=True)},
    **{("tiu", 7, number): "LAR" for number in range(32)},
    ("tiu", 9, 13): "SFU taylor",
    ("tiu", 14, 23): "VC mulDHR",
    ("gdma", 0, 2): "DMA_tensor collect",
    ("gdma", 0, 4): "DMA_tensor distribute",
    ("gdma", 0, 5): "DMA_tensor 4bank_copy",
    ("gdma", 0, 6): "DMA_tensor 4bank_broadcast",
}
"""(engine, operation code, sub-operation) that the tables name, but that the official library never emits on this chip."""
