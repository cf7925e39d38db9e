"""Operations of `tpu_model` that write files. Every file is written under a temporary name first, so that none is ever half written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bmlang.bmodel import BModel, edit, load
from bmlang.bmodel import coeff as coefficients
from bmlang.bmodel import combine as combining
from bmlang.bmodel.combine import Combined, Source
from bmlang.bmodel.errors import DumpRangeError
from bmlang.bmodel.folders import INPUTS, MODEL, OUTPUTS, combine_folders
from bmlang.cli.model_views import Options
from bmlang.cli.output import printable
from tpukernel.files import save_atomically

__all__ = [
    "combine",
    "combine_coeff",
    "combine_dir",
    "cpuop_update",
    "dump",
    "extract",
    "kernel_dump",
    "kernel_remove",
    "kernel_update",
    "refresh",
    "update_weight",
]

DEFAULT_OUTPUT = "compilation.bmodel"
DEFAULT_FOLDER = "bm_combined"


# ------------------------------------------------------------------ combine, extract, dump


def combine(arguments: Sequence[str], options: Options) -> int:
    """`--combine`."""
    return _combine(combining.combine, arguments, options)


def combine_coeff(arguments: Sequence[str], options: Options) -> int:
    """`--combine_coeff`."""
    return _combine(coefficients.combine_coeff, arguments, options)


def _combine(combiner: Callable[[Sequence[Source]], Combined], arguments: Sequence[str], options: Options) -> int:
    output = options.get("-o", DEFAULT_OUTPUT)
    combined = combiner([Source(name, load(name)) for name in arguments])
    combined.bmodel.save(output)
    _note(combined.notes)
    print(f"Success: combined to [{printable(output)}].")
    return 0


def combine_dir(arguments: Sequence[str], options: Options) -> int:
    """`--combine_dir`: also the reference data of the folders."""
    folder = Path(options.get("-o", DEFAULT_FOLDER))
    made = combine_folders([Path(name) for name in arguments])
    folder.mkdir(parents=True, exist_ok=True)
    save_atomically(folder / INPUTS, [made.inputs])
    save_atomically(folder / OUTPUTS, [made.outputs])
    made.combined.bmodel.save(folder / MODEL)
    _note(made.combined.notes)
    print(f"Success: combined to [{printable(str(folder / MODEL))}].")
    return 0


def _note(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"tpu_model: note: {printable(note)}", file=sys.stderr)


def extract(arguments: Sequence[str], options: Options) -> int:
    """`--extract`."""
    folder = Path(options.get("-o", "."))
    bmodel = load(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for net, stage, single in combining.extract(bmodel):
        name = f"bm_net{net}_stage{stage}.bmodel"
        print(f"Generate file [{name}] ......")
        single.save(folder / name)
    print("Success: all files have been generated!")
    return 0


def dump(arguments: Sequence[str], _: Options) -> int:
    """`--dump`."""
    name, start, size, output = arguments
    data = edit.dump(load(name), _integer(start), _integer(size))
    save_atomically(Path(output), [data])
    print(f"save file[{printable(output)}] success")
    return 0


def _integer(text: str) -> int:
    """A number in decimal, or with 0x in front in hexadecimal."""
    try:
        return int(text, 16 if text[:2].lower() == "0x" else 10)
    except ValueError:
        raise DumpRangeError(f"{text!r} is no number", help="give a decimal number, or a hexadecimal one that begins with 0x") from None


# ------------------------------------------------------------------ changes of one file


def update_weight(arguments: Sequence[str], options: Options) -> int:
    """`--update_weight`."""
    target, net, offset, source, source_net, source_offset = arguments
    print(f"read dst model:{printable(target)} ...")
    bmodel = load(target)
    print(f"read src model:{printable(source)} ...")
    other = load(source)
    changed = edit.update_weight(bmodel, net, _integer(offset), other, source_net, _integer(source_offset))
    print("update weight ...")
    changed.save(options.get("-o", target))
    print("update success")
    return 0


def kernel_dump(arguments: Sequence[str], options: Options) -> int:
    """`--kernel_dump`. Without `-o` the name in the file is used, but only the last part of it: it comes from the file."""
    module = edit.kernel_binary(load(arguments[0]))
    output = options.get("-o") or Path(module.file_name).name or "kernel_module.so"
    save_atomically(Path(output), [module.binary.data])
    print(f"Success: dump kernel_module to [{printable(output)}].")
    return 0


def kernel_update(arguments: Sequence[str], options: Options) -> int:
    """`--kernel_update`."""
    name = Path(arguments[1])
    _change(arguments[0], options, lambda bmodel: edit.update_kernel(bmodel, name.name, name.read_bytes()))
    print(f"Success: update to [{printable(arguments[1])}].")
    return 0


def cpuop_update(arguments: Sequence[str], options: Options) -> int:
    """`--custom_ap_update`."""
    name = Path(arguments[1])
    _change(arguments[0], options, lambda bmodel: edit.update_cpuop(bmodel, name.name, name.read_bytes()))
    print(f"Success: update to [{printable(arguments[1])}].")
    return 0


def kernel_remove(arguments: Sequence[str], options: Options) -> int:
    """`--kernel_remove`."""
    _change(arguments[0], options, edit.remove_kernel)
    print("Success remove kernel module.")
    return 0


def refresh(arguments: Sequence[str], options: Options) -> int:
    """`--refresh`."""
    _change(arguments[0], options, edit.refresh)
    print(f"Success: refreshed [{printable(arguments[0])}].")
    return 0


def _change(name: str, options: Options, change: Callable[[BModel], BModel]) -> None:
    change(load(name)).save(options.get("-o", name))
