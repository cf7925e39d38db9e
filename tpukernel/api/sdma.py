"""TPUKernel functions of the header for engines that the BM1684X does not have.

Its library exports them all, and each stops with the assertion that it is not supported on the BM1684X (measured).
"""

from __future__ import annotations

from typing import Final

from tpukernel.api.function import missing

SDMA = "SDMA functions"
GDMA = "GDMA functions"

_NO_SDMA: Final = "it has no SDMA engine; copy with the function of the same name of the GDMA"
_NO_REVERSE: Final = "its GDMA cannot reverse a dimension"
_NO_COMPRESSION: Final = "its GDMA does not compress"

tpu_gdma_reverse_S2S = missing("tpu_gdma_reverse_S2S", GDMA, _NO_REVERSE)
tpu_gdma_reverse_S2L = missing("tpu_gdma_reverse_S2L", GDMA, _NO_REVERSE)
tpu_gdma_reverse_L2S = missing("tpu_gdma_reverse_L2S", GDMA, _NO_REVERSE)
tpu_gdma_reverse_L2L = missing("tpu_gdma_reverse_L2L", GDMA, _NO_REVERSE)
tpu_gdma_compress_normal_L2S = missing("tpu_gdma_compress_normal_L2S", GDMA, _NO_COMPRESSION)
tpu_gdma_compress_normal_max_bytes = missing("tpu_gdma_compress_normal_max_bytes", GDMA, _NO_COMPRESSION)
tpu_gdma_decompress_normal_S2L = missing("tpu_gdma_decompress_normal_S2L", GDMA, _NO_COMPRESSION)
tpu_gdma_compress_RACU_L2S = missing("tpu_gdma_compress_RACU_L2S", GDMA, _NO_COMPRESSION)
tpu_gdma_decompress_RACU_S2L = missing("tpu_gdma_decompress_RACU_S2L", GDMA, _NO_COMPRESSION)
tpu_gdma_compress_RACU_max_meta_bytes = missing("tpu_gdma_compress_RACU_max_meta_bytes", GDMA, _NO_COMPRESSION)
tpu_gdma_compress_RACU_max_racu_bytes = missing("tpu_gdma_compress_RACU_max_racu_bytes", GDMA, _NO_COMPRESSION)

tpu_sdma_cpy_S2S = missing("tpu_sdma_cpy_S2S", SDMA, _NO_SDMA)
tpu_sdma_cpy_nc_trans_S2S = missing("tpu_sdma_cpy_nc_trans_S2S", SDMA, _NO_SDMA)
tpu_sdma_cpy_cw_trans_S2S = missing("tpu_sdma_cpy_cw_trans_S2S", SDMA, _NO_SDMA)
tpu_sdma_set_C_system = missing("tpu_sdma_set_C_system", SDMA, _NO_SDMA)
tpu_sdma_h_gather_S2S = missing("tpu_sdma_h_gather_S2S", SDMA, _NO_SDMA)
tpu_sdma_h_scatter_S2S = missing("tpu_sdma_h_scatter_S2S", SDMA, _NO_SDMA)
tpu_sdma_system_cpy = missing("tpu_sdma_system_cpy", SDMA, _NO_SDMA)
tpu_sdma_reverse_S2S = missing("tpu_sdma_reverse_S2S", SDMA, "it has no SDMA engine, and its GDMA cannot reverse a dimension")

__all__ = [
    "tpu_gdma_compress_RACU_L2S",
    "tpu_gdma_compress_RACU_max_meta_bytes",
    "tpu_gdma_compress_RACU_max_racu_bytes",
    "tpu_gdma_compress_normal_L2S",
    "tpu_gdma_compress_normal_max_bytes",
    "tpu_gdma_decompress_RACU_S2L",
    "tpu_gdma_decompress_normal_S2L",
    "tpu_gdma_reverse_L2L",
    "tpu_gdma_reverse_L2S",
    "tpu_gdma_reverse_S2L",
    "tpu_gdma_reverse_S2S",
    "tpu_sdma_cpy_S2S",
    "tpu_sdma_cpy_cw_trans_S2S",
    "tpu_sdma_cpy_nc_trans_S2S",
    "tpu_sdma_h_gather_S2S",
    "tpu_sdma_h_scatter_S2S",
    "tpu_sdma_reverse_S2S",
    "tpu_sdma_set_C_system",
    "tpu_sdma_system_cpy",
]
