"""Control functions that compile: a program becomes BModels, test data and comparisons with references."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from bmlang.graph.graph import Array
from bmlang.layers.errors import OperatorArgumentError
from bmlang.layers.tensor import here
from bmlang.program.compile import Model
from bmlang.tpulang.errors import NotInTpuLangError
from bmlang.tpulang.graph import session
from bmlang.tpulang.similarity import Comparison
from bmlang.tpulang.tensor import Tensor
from bmlang.tpulang.work import References, Work
from tpukernel.chips.chip import chip_of
from tpukernel.files import save_atomically

__all__ = ["Compilation", "compile", "compile_f32", "debug_dump_compile", "mlir_compile", "mlir_compile_f32"]

MODES: Final[tuple[str, ...]] = ("f32", "f16", "bf16")
LOG_LEVELS: Final = ("normal", "simple", "only-layer-group", "quiet")
logger = logging.getLogger("bmlang.tpulang")


@dataclass(frozen=True)
class Compilation:
    """What `compile` and its sisters have made.

    Attributes:
        name: of the net.
        models: by mode: "int8", or "f32", "f16" and "bf16".
        files: what has been written.
        comparisons: what has been compared.
    """

    name: str
    models: Mapping[str, Model]
    files: tuple[Path, ...]
    comparisons: tuple[Comparison, ...]


# ---------------------------------------------------------------------- the functions


def compile(
    name: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    cmp: bool = True,
    refs: References | None = None,
    mode: str = "f32",
    dynamic: bool = False,
    asymmetric: bool = False,
    no_save: bool = False,
    opt: int = 2,
    mlir_inference: bool = True,
    bmodel_inference: bool = True,
    log_level: str = "normal",
    embed_debug_info: bool = False,
    addr_mode: str = "auto",
    gdma_check: bool = False,
    layer_group_config: str = "",
    num_core: int = 1,
    enable_lghash: bool = False,
    lghash_dir: str = "",
    debug_dump_mode: str = "normal",
    disable_topo_sort: bool = True,
    enable_affine: bool = False,
) -> Compilation | bytes:
    """Compile a quantised program: every tensor is computed in the data type that it is declared with. Writes `<name>_int8.bmodel`.

    Args:
        name: of the files, which may have a folder; its last part is the name of the net.
        inputs, outputs: of the net, in order.
        cmp: compare with the references, where there are some.
        refs: references by name, of inputs (they are the test data then) and of any tensors that are computed. Floats are compared with the
            numbers that integers stand for.
        mode: nothing; TpuLang has it without a use.
        dynamic: shapes that vary.
        asymmetric: nothing; what integers stand for is said with the tensors.
        no_save: return the bytes of the BModel, and write nothing.
        opt: level of optimisation, 0, 1 or 2, as of `bm.compile`.
        mlir_inference: run the program on the test data; otherwise nothing is compared.
        bmodel_inference: run the BModel on the test data, too.
        log_level: "normal", "simple", "only-layer-group" or "quiet"; progress goes to the logger `bmlang.tpulang` but for the last one.
        embed_debug_info, gdma_check, layer_group_config, enable_lghash, lghash_dir: of passes of the official compiler; without a use here.
        disable_topo_sort, enable_affine: likewise.
        addr_mode: "auto".
        num_core: 1.
        debug_dump_mode: "dump" writes the program to `<name>_tpulang.npz`, too; `debug_dump_compile` compiles it again.

    Raises:
        CompileTensorsError: the tensors do not belong to the program.
        ReferenceMismatchError: a tensor is not what its reference says; the message says where that begins.
        GraphError, TpuError: the program cannot be compiled; the message names the user's line.
    """
    options = _Options(("int8",), dynamic, opt, log_level, addr_mode, num_core, debug_dump_mode)
    work = Work.of_session(name, session().chip, inputs, outputs)
    return _compiled(work, refs, options, no_save, cmp and mlir_inference, False, bmodel_inference)


def compile_f32(
    name: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    cmp: bool = True,
    refs: References | None = None,
    mode: str = "f32",
    dynamic: bool = False,
    opt: int = 2,
    no_save: bool = False,
    mlir_inference: bool = True,
    bmodel_inference: bool = True,
    top_mlir_inference: bool = True,
    tpu_mlir_inference: bool = True,
    log_level: str = "normal",
    embed_debug_info: bool = False,
    addr_mode: str = "auto",
    gdma_check: bool = False,
    layer_group_config: str = "",
    spec_op_mode: Mapping[str, str] | None = None,
    num_core: int = 1,
    enable_lghash: bool = False,
    lghash_dir: str = "",
    debug_dump_mode: str = "normal",
    disable_topo_sort: bool = True,
    enable_affine: bool = False,
) -> Compilation | bytes:
    """Compile a program of floats; float32 is computed as `mode` says. Writes `<name>_<mode>.bmodel`.

    Args:
        name, inputs, outputs, dynamic, opt, no_save, log_level: as of `compile`.
        cmp: compare the program in numpy with the references, and what a TPU computes with the program in numpy.
        refs: references by name, of inputs (they are the test data then) and of any tensors that are computed.
        mode: "f32", "f16", "bf16", or "all" of them.
        mlir_inference: run the program on the test data; otherwise nothing is compared.
        bmodel_inference: run the BModel on the test data, too.
        top_mlir_inference: run the program in numpy.
        tpu_mlir_inference: run every tensor of the program on a simulated TPU.
        spec_op_mode: other modes for some operators: not there.
        embed_debug_info, addr_mode, gdma_check, layer_group_config, num_core, enable_lghash, lghash_dir, debug_dump_mode: as of `compile`.
        disable_topo_sort, enable_affine: as of `compile`.

    Raises:
        CompileTensorsError, ReferenceMismatchError, GraphError, TpuError: as of `compile`.
    """
    options = _Options(_modes(mode, spec_op_mode), dynamic, opt, log_level, addr_mode, num_core, debug_dump_mode)
    work = Work.of_session(name, session().chip, inputs, outputs)
    numpy, chip = top_mlir_inference and mlir_inference, tpu_mlir_inference and mlir_inference
    return _compiled(work, refs, options, no_save, cmp and chip, cmp and numpy, bmodel_inference)


@dataclass(frozen=True)
class _Options:
    """Options that both functions have.

    Raises:
        OperatorArgumentError: one is none.
    """

    modes: tuple[str, ...]
    dynamic: bool
    opt: int
    log_level: str
    addr_mode: str
    num_core: int
    debug_dump_mode: str

    def __post_init__(self) -> None:
        choices = (
            ("opt", self.opt, (0, 1, 2)),
            ("log_level", self.log_level, LOG_LEVELS),
            ("addr_mode", self.addr_mode, ("auto",)),
            ("num_core", self.num_core, (1,)),
            ("debug_dump_mode", self.debug_dump_mode, ("normal", "dump")),
            ("dynamic", self.dynamic, (False,)),
        )
        for name, given, known in choices:
            if given not in known:
                raise OperatorArgumentError(f"{name} is {given!r}", position=here(), help=f"choose from {', '.join(map(repr, known))}")


def _compiled(
    work: Work, refs: References | None, options: _Options, no_save: bool, on_chip: bool, in_numpy: bool, run_bmodel: bool
) -> Compilation | bytes:
    """What all of them do.

    Args:
        work: the program.
        refs: references by name.
        options: how.
        no_save: nothing is written.
        on_chip: compare every tensor on a simulated TPU: with the program in numpy where that is run, else with the references.
        in_numpy: run the program in numpy, and compare it with the references.
        run_bmodel: run the BModel, and compare its outputs with those tensors.
    """
    work.opt = options.opt
    if no_save:
        label, *others = options.modes
        if others:
            raise OperatorArgumentError("no_save with several modes", position=here(), help="choose one mode")
        return work.model(work.graph, label).bmodel.to_bytes()
    if options.debug_dump_mode == "dump":
        _dump(work, options)
    data, wanted = work.test_data(refs or {}), work.wanted(refs or {})
    work.save("in_f32", data)
    if refs is not None:
        work.save("ref_output", refs)
    exact = work.numpy(data, wanted) if in_numpy else {}
    models: dict[str, Model] = {}
    for label in options.modes:
        model = models[label] = work.model(work.graph, label)
        work.save_model(model, label)
        shown: Mapping[str, Array] = {}
        if on_chip and (exact or wanted):
            shown = work.simulated(label, data, exact or wanted, "the program in numpy" if exact else "the references")
        if run_bmodel:
            work.run_model(model, label, data, shown)
        if options.log_level != "quiet":
            logger.info("%s_%s.bmodel: %d commands", work.name, label, len(model.stages[0].emission.program))
    return Compilation(work.name, models, tuple(work.files), tuple(work.comparisons))


# ---------------------------------------------------------------------- programs in files


def mlir_compile(
    name: str,
    mlir_path: str,
    cmp: bool = False,
    refs: References | None = None,
    dynamic: bool = False,
    asymmetric: bool = False,
    opt: int = 2,
    mlir_inference: bool = False,
    bmodel_inference: bool = False,
    log_level: str = "normal",
    embed_debug_info: bool = False,
    addr_mode: str = "auto",
    gdma_check: bool = False,
    layer_group_config: str = "",
    enable_lghash: bool = False,
    lghash_dir: str = "",
    disable_topo_sort: bool = True,
    num_core: int = 1,
    enable_affine: bool = False,
) -> Compilation | bytes:
    """`compile` of a program in a file.

    Args:
        name: as of `compile`.
        mlir_path: a program as text, as `model_transform` writes it, with its coefficients beside it. (MLIR of the official compiler is
            another language.)
        cmp, refs, dynamic, asymmetric, opt, mlir_inference, bmodel_inference, log_level, addr_mode, num_core: as of `compile`.
        embed_debug_info, gdma_check, layer_group_config, enable_lghash, lghash_dir, disable_topo_sort, enable_affine: as of `compile`.

    Raises:
        GraphError: the file is no program.
        OSError: it cannot be read.
        CompileTensorsError, ReferenceMismatchError, TpuError: as of `compile`.
    """
    options = _Options(("int8",), dynamic, opt, log_level, addr_mode, num_core, "normal")
    work = Work.of_file(name, session().chip, Path(mlir_path))
    return _compiled(work, refs, options, False, cmp and mlir_inference, False, bmodel_inference)


def mlir_compile_f32(
    name: str,
    mlir_path: str,
    cmp: bool = False,
    refs: References | None = None,
    mode: str = "f32",
    dynamic: bool = False,
    opt: int = 2,
    mlir_inference: bool = False,
    bmodel_inference: bool = False,
    top_mlir_inference: bool = False,
    tpu_mlir_inference: bool = False,
    log_level: str = "normal",
    embed_debug_info: bool = False,
    addr_mode: str = "auto",
    gdma_check: bool = False,
    layer_group_config: str = "",
    spec_op_mode: Mapping[str, str] | None = None,
    enable_lghash: bool = False,
    lghash_dir: str = "",
    disable_topo_sort: bool = True,
    num_core: int = 1,
    enable_affine: bool = False,
) -> Compilation | bytes:
    """`compile_f32` of a program in a file; the file as of `mlir_compile`, the other arguments as of `compile_f32`."""
    options = _Options(_modes(mode, spec_op_mode), dynamic, opt, log_level, addr_mode, num_core, "normal")
    work = Work.of_file(name, session().chip, Path(mlir_path))
    numpy, chip = top_mlir_inference and mlir_inference, tpu_mlir_inference and mlir_inference
    return _compiled(work, refs, options, False, cmp and chip, cmp and numpy, bmodel_inference)


def debug_dump_compile(file_path: str) -> Compilation | bytes:
    """Compile once more what `debug_dump_mode="dump"` has written; nothing is compared.

    Args:
        file_path: `<name>_dump.json`.

    Raises:
        OperatorArgumentError: the file is none of these.
        OSError: it cannot be read.
    """
    path = Path(file_path)
    try:
        told = cast("dict[str, object]", dict(json.loads(path.read_text(encoding="utf-8"))))
    except (ValueError, TypeError):
        told = {}
    name, chip, opt = told.get("name"), told.get("chip"), told.get("opt")
    modes = tuple(str(each) for each in cast("list[object]", told.get("modes") or ()))
    if not (isinstance(name, str) and isinstance(chip, str) and isinstance(opt, int) and modes and set(modes) <= {*MODES, "int8"}):
        raise OperatorArgumentError(
            f"{path} is no dump", position=here(), help='give a file that compile(..., debug_dump_mode="dump") wrote'
        )
    options = _Options(modes, False, opt, "normal", "auto", 1, "normal")
    work = Work.of_file(name, chip_of(chip), path.with_name(f"{path.stem}.graph"))
    return _compiled(work, None, options, False, False, False, False)


def _dump(work: Work, options: _Options) -> None:
    work.save_graph(f"{work.name}_dump")
    told = {"name": work.name, "chip": work.chip.name, "modes": options.modes, "opt": options.opt}
    path = Path(f"{work.name}_dump.json")
    save_atomically(path, [json.dumps(told, indent=1).encode()])
    work.files.append(path)


def _modes(mode: str, spec_op_mode: Mapping[str, str] | None) -> tuple[str, ...]:
    """The modes of `compile_f32`.

    Raises:
        OperatorArgumentError: there is none of that name.
        NotInTpuLangError: operators have modes of their own.
    """
    if mode not in (*MODES, "all"):
        raise OperatorArgumentError(f"mode is {mode!r}", position=here(), help=f"choose from {', '.join((*MODES, 'all'))}")
    if spec_op_mode:
        raise NotInTpuLangError(
            "compile_f32 has one mode for all operators", position=here(), help="cast tensors to float16 in the program"
        )
    return MODES if mode == "all" else (mode,)
