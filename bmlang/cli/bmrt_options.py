"""The command line of `bmrt_test`. Names and letters are those of the official tool; what it does not have is said in the help text."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from bmlang.bmodel.folders import INPUTS, MODEL, OUTPUTS
from bmlang.runtime.recording import KEEP, Keep
from tpukernel.sim.choice import NUMERICS, Numerics

__all__ = ["Dump", "ModelFiles", "Options", "Shape", "options_of"]

EXPORTED = "output.dat"
"""Name of the file that `--export_output` writes, beside the model."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ModelFiles:
    """A model with its reference data, as far as there are any, and where its outputs are exported to, if anywhere."""

    model: Path
    inputs: Path | None
    outputs: Path | None
    exported: Path | None


@dataclass(frozen=True)
class Dump:
    """What to record, and what to compare the recording with."""

    path: Path | None
    keep: Keep
    units: Sequence[str] | None
    commands: range | None
    reference: Path | None
    tolerance: Mapping[str, float | None] = field(default_factory=dict[str, float | None])

    @property
    def is_wanted(self) -> bool:
        """Whether anything is to be recorded."""
        return bool(self.path or self.reference)


@dataclass(frozen=True)
class Options:
    """The command line."""

    models: Sequence[ModelFiles]
    loops: int
    times: int
    threads: int
    net: int | None
    stage: int | None
    shapes: Sequence[Shape] | None
    accuracy_f: float
    accuracy_i: int
    numerics: Numerics
    dump: Dump


def _parser() -> argparse.ArgumentParser:
    from tpukernel import __version__

    parser = argparse.ArgumentParser("bmrt_test", description="Run the nets of a BModel and compare their outputs with reference data.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-d", "--context_dir", type=Path, action="append", help=f"folder with {MODEL}, {INPUTS} and {OUTPUTS}")
    source.add_argument("-b", "--bmodel_list", type=Path, help="file with a folder in each line; lines that begin with # do not count")
    source.add_argument("--bmodel", type=Path, help="a file; without --input_ref its inputs are random, and nothing is compared")
    parser.add_argument("-a", "--append_dir", type=Path, action="append", help="a further folder")
    parser.add_argument("-i", "--devid", type=int, choices=(0,), default=0, help="the device; there is one")
    parser.add_argument("-c", "--compare", type=int, choices=(0, 1), default=1, help="compare with the reference data (default 1)")
    parser.add_argument("-l", "--loopnum", type=_positive, default=1, help="how often the nets run, one after the other")
    parser.add_argument(
        "--calculate_times", type=_positive, default=1, help="how often each stage runs in a loop; all results have to agree"
    )
    parser.add_argument("--thread_num", type=_positive, default=1, help="threads that run each stage at once; all results have to agree")
    parser.add_argument("--net_idx", type=int, help="only this net, counted from 0")
    parser.add_argument("--stage_idx", type=int, help="only this stage, counted from 0")
    parser.add_argument(
        "--shapes", type=_shapes, help="only the stage with these input shapes: [1,3,8,8],[1,10]; or a dynamic one for them"
    )
    parser.add_argument("--input_ref", type=Path, help="file with the inputs (not in the official tool)")
    parser.add_argument("--output_ref", type=Path, help="file with the outputs to compare with; a name is looked for in the folder first")
    parser.add_argument("--accuracy_f", type=float, default=0.01, help="allowed difference of floats, relative above 1 (default 0.01)")
    parser.add_argument("--accuracy_i", type=int, default=0, help="allowed difference of integers (default 0)")
    parser.add_argument("--export_output", action="store_true", help=f"write the outputs of the first loop to {EXPORTED} beside the model")
    parser.add_argument(
        "--numerics",
        choices=NUMERICS,
        default="exact",
        help="fast: add up products of floats in any order, quicker and with other last bits (default exact; not in the official tool)",
    )
    dump = parser.add_argument_group("what each command computes (not in the official tool)")
    dump.add_argument("--dump", type=Path, metavar="FILE", help="record every command, with the elements of its results, in this file")
    dump.add_argument("--dump_keep", choices=KEEP, default="results", help="of what the elements are kept (default results)")
    dump.add_argument("--dump_units", type=_names, metavar="NAMES", help="record only these units: conv,arith.add")
    dump.add_argument(
        "--dump_commands", type=_positions, metavar="A:B", help="record only the commands from position A up to B of a launch"
    )
    dump.add_argument(
        "--compare_run", type=Path, metavar="FILE", help="tell the first difference from this recording, or these arrays (.npz, .npy)"
    )
    for name, text in (("atol", "absolute difference"), ("rtol", "relative difference"), ("cosine", "least cosine similarity")):
        dump.add_argument(
            f"--{name}", type=float, metavar="NUMBER", help=f"of --compare_run: {text}; without any, bits have to be the same"
        )
    return parser


def options_of(arguments: Sequence[str] | None) -> Options:
    """The options of a command line; one that cannot be understood ends the process with exit code 2.

    Raises:
        OSError: the file of `--bmodel_list` cannot be read.
    """
    parser = _parser()
    given: Mapping[str, object] = vars(parser.parse_args(arguments))
    models = _models(given, parser)
    dump = Dump(
        path=cast("Path | None", given["dump"]),
        keep=cast("Keep", given["dump_keep"]),
        units=cast("Sequence[str] | None", given["dump_units"]),
        commands=cast("range | None", given["dump_commands"]),
        reference=cast("Path | None", given["compare_run"]),
        tolerance={name: cast("float | None", given[name]) for name in ("atol", "rtol", "cosine")},
    )
    if dump.is_wanted and len(models) > 1:
        parser.error("--dump and --compare_run are for one model")
    return Options(
        models=models,
        loops=cast("int", given["loopnum"]),
        times=cast("int", given["calculate_times"]),
        threads=cast("int", given["thread_num"]),
        net=cast("int | None", given["net_idx"]),
        stage=cast("int | None", given["stage_idx"]),
        shapes=cast("list[Shape] | None", given["shapes"]),
        accuracy_f=cast("float", given["accuracy_f"]),
        accuracy_i=cast("int", given["accuracy_i"]),
        numerics=cast("Numerics", given["numerics"]),
        dump=dump,
    )


def _models(given: Mapping[str, object], parser: argparse.ArgumentParser) -> list[ModelFiles]:
    inputs, outputs = (cast("Path | None", given[name]) for name in ("input_ref", "output_ref"))
    listed = cast("Path | None", given["bmodel_list"])
    folders = [*(cast("list[Path] | None", given["context_dir"]) or []), *(_listed(listed) if listed else [])]
    folders += cast("list[Path] | None", given["append_dir"]) or []
    model = cast("Path | None", given["bmodel"])
    compare, export = bool(given["compare"]), bool(given["export_output"])
    if model:
        if given["append_dir"]:
            parser.error("--append_dir goes with --context_dir")
        if outputs and not inputs:
            parser.error("--output_ref needs the inputs: give --input_ref or --context_dir")
        return [ModelFiles(model, inputs, outputs if compare else None, model.parent / EXPORTED if export else None)]
    if not folders:
        parser.error(f"{listed} lists no folder")
    if len(folders) > 1 and inputs:
        parser.error("--input_ref is for one model")
    return [
        ModelFiles(
            folder / MODEL,
            inputs or folder / INPUTS,
            _output_reference(folder, outputs) if compare else None,
            folder / EXPORTED if export else None,
        )
        for folder in folders
    ]


def _output_reference(folder: Path, name: Path | None) -> Path:
    """The official tool takes `--output_ref` as a name in the folder."""
    inside = folder / (name or OUTPUTS)
    return inside if name is None or inside.exists() else name


def _listed(path: Path) -> list[Path]:
    return [Path(word) for line in path.read_text().splitlines() if not line.startswith("#") for word in line.split()]


# ------------------------------------------------------------------ kinds of values


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _shapes(text: str) -> list[Shape]:
    compact = text.replace(" ", "")
    if not re.fullmatch(r"\[(\d+(,\d+)*)?\](,\[(\d+(,\d+)*)?\])*", compact):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form [1,3,8,8],[1,10]")
    return [tuple(int(dim) for dim in re.findall(r"\d+", dims)) for dims in compact.split("],[")]


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _positions(text: str) -> range:
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 120:126")
    return range(int(found[1]), int(found[2]))
