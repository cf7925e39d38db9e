"""Errors of the runtime. Codes: RT101-109 what was asked of it, RT110-119 what a file holds that it cannot run
(RT113 and RT116 are in `bmlang.host.errors`), RT120-129 recordings and their comparison."""

from __future__ import annotations

from bmlang.host.errors import CpuOperatorError, HostLayerError
from tpukernel.errors import TpuError

__all__ = [
    "CpuOperatorError",
    "DeviceMemoryError",
    "DynamicSubnetError",
    "EmptyTensorError",
    "HostLayerError",
    "InputDtypeError",
    "InputLayoutError",
    "InputNameError",
    "InputShapeError",
    "NetworkNameError",
    "OutputArrayError",
    "RecordingElementsError",
    "RecordingFormatError",
    "RecordingOptionError",
    "RecordingStateError",
    "ReferenceArrayError",
    "RunChipError",
    "StageChoiceError",
    "StageDataError",
    "SubnetKindError",
]


class NetworkNameError(TpuError, code="RT101"):
    """A BModel has no net of that name, or two of them."""


class InputNameError(TpuError, code="RT102"):
    """An input is missing, or the net has none of that name."""


class InputDtypeError(TpuError, code="RT103"):
    """An input has another data type than the net wants; nothing is converted silently."""


class InputShapeError(TpuError, code="RT104"):
    """No stage was compiled for the shapes of the inputs."""


class InputLayoutError(TpuError, code="RT105"):
    """An input is no array, or its elements do not follow each other in memory."""


class OutputArrayError(TpuError, code="RT106"):
    """An array given for an output cannot take it: unknown name, other type or shape, not contiguous, read-only."""


class StageChoiceError(TpuError, code="RT107"):
    """A stage was asked for by a number that the net does not have."""


class RunChipError(TpuError, code="RT110"):
    """The model is for a chip whose commands cannot be executed here."""


class DynamicSubnetError(TpuError, code="RT111"):
    """A dynamic subnet of the official compiler: code for the firmware of the chip in place of commands."""


class SubnetKindError(TpuError, code="RT112"):
    """A stage uses something that this runtime does not execute: branches, several cores, tagged addresses, encrypted coefficients."""


class StageDataError(TpuError, code="RT114"):
    """The tables of a stage contradict each other, or lack something that is needed to run it."""


class DeviceMemoryError(TpuError, code="RT115"):
    """A stage needs more device memory than the chip has, or uses memory that does not belong to it."""


class EmptyTensorError(TpuError, code="RT117"):
    """Nothing was found in the data, but what comes behind needs elements."""


class RecordingStateError(TpuError, code="RT120"):
    """Two recordings of one runtime at a time, or elements of one that is still being written."""


class RecordingOptionError(TpuError, code="RT121"):
    """What a recording should keep was said in a way that means nothing: unknown engines, negative sizes."""


class RecordingFormatError(TpuError, code="RT122"):
    """A file is no recording, or a damaged one."""


class RecordingElementsError(TpuError, code="RT123"):
    """Elements that a recording does not have: only their digest was kept, or what is in the file is something else."""


class ReferenceArrayError(TpuError, code="RT124"):
    """A reference has an array that belongs to nothing in the recording, or one that cannot be read."""
