"""Errors of BModel files.

Codes: BMODEL101-109 reading, BMODEL110-119 writing, BMODEL120-139 combining and editing, BMODEL140-159 what `verify` finds.
"""

from __future__ import annotations

from tpukernel.errors import TpuError

__all__ = [
    "AddressRangeError",
    "BModelError",
    "BinaryOverlapError",
    "BinaryRangeError",
    "CheckCodeError",
    "ChipMismatchError",
    "CoefficientError",
    "CommandCountError",
    "CommandStreamError",
    "DumpRangeError",
    "DynamicCodeError",
    "FieldRangeError",
    "FileStructureError",
    "HeaderError",
    "MagicError",
    "ModuleMissingError",
    "NetConflictError",
    "NodeMapError",
    "ReferenceDataError",
    "RequiredFieldError",
    "SizeLimitError",
    "StageShapeError",
    "TableRangeError",
    "UnknownFieldError",
    "WeightMismatchError",
    "WeightMissingError",
]


class BModelError(TpuError):
    """Base of the errors of BModel files."""


class FormatError(BModelError):
    """Base of the errors found while reading a file.

    Attributes:
        field: path of the field, for example `Model.net[0].parameter[0].ctx_addr`, or `header.magic`.
        offset: where it is in the file, in bytes.
    """

    def __init__(self, message: str, *, field: str, offset: int, help: str | None = None) -> None:
        super().__init__(message, where=f"{field}, offset {offset} (0x{offset:x})", help=help)
        self.field = field
        self.offset = offset


class MagicError(FormatError, code="BMODEL101"):
    """The file does not begin like a BModel."""


class HeaderError(FormatError, code="BMODEL102"):
    """The sizes in the header do not fit the file: it is cut, or no BModel."""


class TableRangeError(FormatError, code="BMODEL103"):
    """An offset or length in the tables leads out of them."""


class RequiredFieldError(BModelError, code="BMODEL104"):
    """A field that every BModel must have is missing."""


class BinaryRangeError(FormatError, code="BMODEL105"):
    """A binary (weights, commands, ...) reaches out of the binary section."""


class BinaryOverlapError(FormatError, code="BMODEL106"):
    """Two binaries overlap without being the same."""


class SizeLimitError(FormatError, code="BMODEL107"):
    """The tables say more than a BModel can need; reading on would fill the memory."""


class UnknownFieldError(BModelError, code="BMODEL110"):
    """A table has fields that the schema of this version does not know, so that it cannot be written again without losing them."""


class FieldRangeError(BModelError, code="BMODEL111"):
    """A value cannot be written into its field: a number too large or negative, a text with a NUL or one that is none."""


class ChipMismatchError(BModelError, code="BMODEL120"):
    """Files for different chips cannot be combined."""


class NetConflictError(BModelError, code="BMODEL121"):
    """Two nets of the same name cannot be stages of one net."""


class StageShapeError(BModelError, code="BMODEL122"):
    """A net would have two stages with the same input shapes."""


class CoefficientError(BModelError, code="BMODEL123"):
    """The coefficients of these files cannot be joined into one."""


class WeightMissingError(BModelError, code="BMODEL124"):
    """The net has no weight at this place."""


class WeightMismatchError(BModelError, code="BMODEL125"):
    """A weight cannot replace another one, because name or size differ."""


class DumpRangeError(BModelError, code="BMODEL126"):
    """Bytes were asked for that the binary section does not have."""


class ModuleMissingError(BModelError, code="BMODEL127"):
    """The file has no kernel module, or an empty one."""


class ReferenceDataError(BModelError, code="BMODEL128"):
    """The reference data of a folder do not fit its model."""


class NodeMapError(BModelError, code="BMODEL129"):
    """The map from commands to operators in a stage is damaged."""


class DynamicCodeError(BModelError, code="BMODEL130"):
    """The code of a dynamic stage cannot be understood: another version, a damaged file, or that of another compiler."""


class FileStructureError(BModelError, code="BMODEL140"):
    """Something about the file that a runtime stumbles over, or that no compiler writes."""


class CheckCodeError(BModelError, code="BMODEL141"):
    """A check code is not the SHA-256 of the coefficients it stands for."""


class AddressRangeError(BModelError, code="BMODEL142"):
    """A tensor or a command uses device memory that the stage does not have."""


class CommandStreamError(BModelError, code="BMODEL143"):
    """A command stream cannot be decoded, or breaks a rule of the chip."""


class CommandCountError(BModelError, code="BMODEL144"):
    """The number or size of the commands of a group is not what the file says."""
