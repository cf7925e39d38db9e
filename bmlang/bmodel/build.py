"""Making BModels: the root table around a list of nets."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace

from bmlang.bmodel.container import BModel
from bmlang.bmodel.errors import FieldRangeError
from bmlang.bmodel.fields import Binary
from bmlang.bmodel.schema import CpuopModule, KernelModule, Model, Net

__all__ = ["FORMAT_VERSION", "new_bmodel", "stamped", "timestamp", "version_text"]

FORMAT_VERSION = "2.2"
"""Version of the format, which begins the version text of every file."""


def new_bmodel(chip: str, nets: Iterable[Net]) -> BModel:
    """A BModel with these nets, for one device, with the time of now; the modules are there and empty, as in official files."""
    model = Model(
        type="B",
        version="",
        time="",
        chip=chip,
        net=tuple(nets),
        kernel_module=KernelModule(file_name="", binary=Binary(b"")),
        device_num=1,
        cpuop_module=CpuopModule(file_name="", binary=Binary(b"")),
        lib_backend=Binary(b""),
    )
    return BModel(stamped(model))


def stamped(model: Model) -> Model:
    """The model with the time of now, the version of this package, and the size of its largest area of intermediate tensors."""
    sizes = [stage.ctx_size for net in model.net for stage in net.stages]
    return replace(model, type="B", version=version_text(), time=timestamp(), neuron_size=max(sizes, default=0))


def version_text() -> str:
    """Version text of the files that are written here: the version of the format, then that of this package."""
    from tpukernel import __version__

    return f"{FORMAT_VERSION}+tpukernel-{__version__}"


def timestamp() -> str:
    """The time as a BModel says it: the form of C's `ctime`, newline included.

    The environment variable SOURCE_DATE_EPOCH (seconds since 1970) sets it, in UTC; otherwise it is the local time.

    Raises:
        FieldRangeError: the variable is no number of seconds.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        moment = time.gmtime(int(epoch)) if epoch else time.localtime()
    except (ValueError, OverflowError, OSError):
        raise FieldRangeError(f"SOURCE_DATE_EPOCH is {epoch!r}, which is no number of seconds since 1970", help="unset it") from None
    return time.asctime(moment) + "\n"
