"""BModel files: tables, reader, writer. The container only; it knows nothing of graphs and executes nothing."""

from bmlang.bmodel.container import FORMAT_VERSION, BModel, load, timestamp
from bmlang.bmodel.errors import BModelError
from bmlang.bmodel.fields import Binary, Table, UnknownField, walk
from bmlang.bmodel.section import sha256

__all__ = ["FORMAT_VERSION", "BModel", "BModelError", "Binary", "Table", "UnknownField", "load", "sha256", "timestamp", "walk"]
