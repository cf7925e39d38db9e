"""The TPUKernel functions of the BM1684X under their own names, with the argument order of C.

    from tpukernel.api import recording, tpu_bdc_abs

    with recording("BM1684X") as program:
        tpu_bdc_abs(4096, 0, (1, 64, 8, 8), None, None, f32)

Kernels that read results on the host or use the HAU run inside `executing`, on a simulated chip.

`rows()` is the table of all functions of the public header: parameters with their direction and the instructions, or why the chip has no
such function.
"""

from tpukernel.api import (
    activation,
    binary,
    cast,
    common,
    comparison,
    control,
    fp_binary,
    fp_matrix,
    fp_nn,
    gdma_copy,
    gdma_gather,
    gdma_matrix,
    hau,
    int_binary,
    int_conv,
    int_matrix,
    int_matrix_zero_point,
    int_pool,
    quantization,
    registration,
    scalar_cast,
    scatter_gather,
    sdma,
    select,
    sequences,
    special,
    synchronization,
    transcendental,
    unary,
    utils,
    vector,
)
from tpukernel.api.activation import *
from tpukernel.api.arguments import Bits, Dim2, Padding, Range, Variable
from tpukernel.api.binary import *
from tpukernel.api.cast import *
from tpukernel.api.common import *
from tpukernel.api.comparison import *
from tpukernel.api.control import *
from tpukernel.api.errors import ApiError, ArgumentError, ChipFunctionError, NotRecordingError, StaticStreamError
from tpukernel.api.executing import Execution, executing
from tpukernel.api.fp_binary import *
from tpukernel.api.fp_matrix import *
from tpukernel.api.fp_nn import *
from tpukernel.api.function import Function, HostFunction, MissingFunction, Parameter, Row, rows
from tpukernel.api.gdma_copy import *
from tpukernel.api.gdma_gather import *
from tpukernel.api.gdma_matrix import *
from tpukernel.api.hau import *
from tpukernel.api.int_binary import *
from tpukernel.api.int_conv import *
from tpukernel.api.int_matrix import *
from tpukernel.api.int_matrix_zero_point import *
from tpukernel.api.int_pool import *
from tpukernel.api.quantization import *
from tpukernel.api.recording import recording
from tpukernel.api.registration import *
from tpukernel.api.scalar_cast import *
from tpukernel.api.scatter_gather import *
from tpukernel.api.sdma import *
from tpukernel.api.select import *
from tpukernel.api.sequences import *
from tpukernel.api.special import *
from tpukernel.api.synchronization import *
from tpukernel.api.transcendental import *
from tpukernel.api.unary import *
from tpukernel.api.utils import *
from tpukernel.api.vector import *
from tpukernel.isa import IdNode

__all__ = [
    "ApiError",
    "ArgumentError",
    "Bits",
    "ChipFunctionError",
    "Dim2",
    "Execution",
    "Function",
    "HostFunction",
    "IdNode",
    "MissingFunction",
    "NotRecordingError",
    "Padding",
    "Parameter",
    "Range",
    "Row",
    "StaticStreamError",
    "Variable",
    "executing",
    "recording",
    "rows",
]
__all__ += cast.__all__
__all__ += gdma_copy.__all__
__all__ += gdma_gather.__all__
__all__ += gdma_matrix.__all__
__all__ += quantization.__all__
__all__ += scatter_gather.__all__
__all__ += sdma.__all__
__all__ += activation.__all__
__all__ += special.__all__
__all__ += sequences.__all__
__all__ += fp_matrix.__all__
__all__ += int_matrix.__all__
__all__ += int_matrix_zero_point.__all__
__all__ += fp_nn.__all__
__all__ += int_conv.__all__
__all__ += int_pool.__all__
__all__ += binary.__all__
__all__ += common.__all__
__all__ += comparison.__all__
__all__ += fp_binary.__all__
__all__ += int_binary.__all__
__all__ += select.__all__
__all__ += transcendental.__all__
__all__ += unary.__all__
__all__ += vector.__all__
__all__ += control.__all__
__all__ += hau.__all__
__all__ += registration.__all__
__all__ += scalar_cast.__all__
__all__ += synchronization.__all__
__all__ += utils.__all__
