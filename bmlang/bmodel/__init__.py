"""BModel files: tables, reader, writer. The container only; it knows nothing of graphs and executes nothing."""

from bmlang.bmodel.build import FORMAT_VERSION, new_bmodel, timestamp
from bmlang.bmodel.container import BModel, load
from bmlang.bmodel.errors import BModelError
from bmlang.bmodel.fields import Binary, Table, UnknownField, walk
from bmlang.bmodel.section import sha256

__all__ = [
    "FORMAT_VERSION",
    "BModel",
    "BModelError",
    "Binary",
    "Table",
    "UnknownField",
    "load",
    "new_bmodel",
    "sha256",
    "timestamp",
    "walk",
]
