"""The TPUKernel functions of the BM1684X under their own names, with the argument order of C.

    from tpukernel.api import recording, tpu_bdc_abs

    with recording("BM1684X") as program:
        tpu_bdc_abs(4096, 0, (1, 64, 8, 8), None, None, f32)

`rows()` is the table of all functions of the public header: parameters with their direction and the instructions, or why the chip has no
such function.
"""

from tpukernel.api import cast
from tpukernel.api.arguments import Bits, Dim2, Padding, Variable
from tpukernel.api.cast import *
from tpukernel.api.errors import ApiError, ArgumentError, ChipFunctionError, NotRecordingError, StaticStreamError
from tpukernel.api.function import Function, HostFunction, MissingFunction, Parameter, Row, rows
from tpukernel.api.recording import recording

__all__ = [
    "ApiError",
    "ArgumentError",
    "Bits",
    "ChipFunctionError",
    "Dim2",
    "Function",
    "HostFunction",
    "MissingFunction",
    "NotRecordingError",
    "Padding",
    "Parameter",
    "Row",
    "StaticStreamError",
    "Variable",
    "recording",
    "rows",
]
__all__ += cast.__all__
