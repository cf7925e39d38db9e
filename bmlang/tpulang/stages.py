"""Control functions for single steps of a compilation, by way of files, as the official tools have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bmlang.bmodel import load
from bmlang.graph.graph import Array
from bmlang.layers.errors import OperatorArgumentError
from bmlang.layers.tensor import here
from bmlang.runtime import Runtime
from bmlang.tpulang.compiling import MODES
from bmlang.tpulang.errors import NotInTpuLangError
from bmlang.tpulang.graph import Graph, current, session
from bmlang.tpulang.work import GRAPH, References, Work, arrays_of, saved_arrays
from tpukernel.chips.chip import chip_of

__all__ = [
    "TpuLangConverter", "bmodel_generate_and_inference", "bmodel_inference_combine", "model_lowering_and_inference", "model_top_inference",
    "model_transform", "save_input_reference",
]  # fmt: skip


class TpuLangConverter:
    """A program that is to be written to files.

    Args:
        name: of the net.
        graph: the program; its inputs and outputs are those that it was compiled with, or that were set.
        mode: "f32" or "quantized".
        no_save: nothing.
    """

    def __init__(self, name: str, graph: Graph, mode: str, no_save: bool = False) -> None:
        self.name, self.graph, self.mode, self.no_save = name, graph, mode, no_save

    def work(self) -> Work:
        """The compilation."""
        return Work.of_session(self.name, session().chip, self.graph.inputs, self.graph.outputs)


def model_transform(model_name: str, converter: TpuLangConverter, log_level: str = "normal") -> Path:
    """Write the program as text to `<model_name>.graph`, its coefficients to `<model_name>_weights.npz`; returns the first one."""
    converter.work().save_graph(model_name)
    return Path(f"{model_name}{GRAPH}")


def save_input_reference(model_name: str, refs: References | None) -> None:
    """Write the test data of the inputs to `<model_name>_in_f32.npz`, and references to `<model_name>_ref_output.npz`."""
    graph = current()
    work = Work.of_session(model_name, session().chip, graph.inputs, graph.outputs)
    work.save("in_f32", work.test_data(refs or {}))
    if refs is not None:
        work.save("ref_output", refs)


def model_top_inference(model_name: str, cmp: bool = False, log_level: str = "normal") -> Mapping[str, Array]:
    """Run the program of `model_transform` in numpy: every tensor, which `<model_name>_top_outputs.npz` has, too.

    Args:
        model_name: of the files, those of `save_input_reference` among them.
        cmp: compare with the references.
        log_level: nothing.

    Raises:
        ReferenceMismatchError: they differ.
    """
    work = _work(model_name)
    data = work.test_data(arrays_of(Path(f"{model_name}_in_f32.npz")))
    return work.numpy(data, work.wanted(arrays_of(Path(f"{model_name}_ref_output.npz"))) if cmp else None)


def model_lowering_and_inference(
    model_name: str,
    quant_mode: str,
    chip: str,
    asymmetric: bool = False,
    inference: bool = True,
    cmp: bool = False,
    ctm_format: str = "BGR_PLANAR",
    fuse: bool = False,
    log_level: str = "normal",
    addr_mode: str = "auto",
    quantize_table: str = "",
    num_core: int = 1,
) -> Mapping[str, Array]:
    """Run every tensor of the program of `model_transform` on a simulated TPU, and write them to `<model_name>_<quant_mode>_tpu_out.npz`.

    Args:
        model_name: of the files.
        quant_mode: "int8", "f32", "f16" or "bf16".
        chip: the chip.
        inference: whether anything is run.
        cmp: compare with the program in numpy; with quant_mode "int8" with the references.
        asymmetric, ctm_format, fuse, log_level, addr_mode, quantize_table, num_core: nothing: they are said with the program.

    Raises:
        ReferenceMismatchError: they differ.
    """
    _check_mode(quant_mode)
    work = _work(model_name, chip)
    if not inference:
        return {}
    data = work.test_data(arrays_of(Path(f"{model_name}_in_f32.npz")))
    what = "ref_output" if quant_mode == "int8" else "top_outputs"
    wanted = work.wanted(arrays_of(Path(f"{model_name}_{what}.npz"))) if cmp else {}
    return work.simulated(quant_mode, data, wanted, "the references" if quant_mode == "int8" else "the program in numpy")


def bmodel_generate_and_inference(
    model_name: str,
    quant_mode: str,
    inference: bool = True,
    dynamic: bool = False,
    opt: int = 2,
    log_level: str = "normal",
    embed_debug_info: bool = False,
    gdma_check: bool = False,
    layer_group_config: str = "",
    enable_lghash: bool = False,
    lghash_dir: str = "",
    disable_topo_sort: bool = True,
    enable_affine: bool = False,
) -> Path:
    """Compile the program of `model_transform` to `<model_name>_<quant_mode>.bmodel`, and run it.

    Args:
        model_name, quant_mode: as of `model_lowering_and_inference`.
        inference: run the model, write its outputs to `<model_name>_<quant_mode>_model_out.npz`, and compare them with those of the program
            on the TPU.
        dynamic: False.
        opt, log_level, embed_debug_info, gdma_check, layer_group_config, enable_lghash, lghash_dir: as of `compile`.
        disable_topo_sort, enable_affine: as of `compile`.

    Returns:
        The file.

    Raises:
        ReferenceMismatchError: they differ.
    """
    _check_mode(quant_mode)
    if dynamic:
        raise NotInTpuLangError(
            "a program in a file has the shapes that it was written with", position=here(), help="give dynamic to compile"
        )
    work = _work(model_name)
    work.opt = opt
    model = work.model(work.graph, quant_mode)
    work.save_model(model, quant_mode)
    if inference:
        data = work.test_data(arrays_of(Path(f"{model_name}_in_f32.npz")))
        simulated = Path(f"{model_name}_{quant_mode}_tpu_out.npz")
        wanted = arrays_of(simulated) if simulated.exists() else {}
        work.run_model(model, quant_mode, data, {name: array for name, array in wanted.items() if name in work.graph.outputs})
    return Path(f"{model_name}_{quant_mode}.bmodel")


def bmodel_inference_combine(
    bmodel_file: str,
    final_mlir_fn: str,
    input_data_fn: str | Mapping[str, Array],
    tensor_loc_file: str,
    reference_data_fn: str,
    dump_file: bool = True,
    save_path: str = "",
    out_fixed: bool = False,
    dump_cmd_info: bool = True,
    skip_check: bool = True,
    run_by_op: bool = False,
    desire_op: Sequence[str] = (),
    is_soc: bool = False,
    using_memory_opt: bool = False,
    enable_soc_log: bool = False,
    soc_tmp_path: str = "/tmp",  # noqa: S108 - the default of TpuLang, which is not used
    hostname: str | None = None,
    port: int | None = None,
    username: str | None = None,
    password: str | None = None,
) -> Mapping[str, Array] | Path:
    """Run a BModel and give its tensors.

    Args:
        bmodel_file: the model.
        input_data_fn: the inputs: a mapping, or an `.npz` file.
        reference_data_fn: an `.npz` file; its name becomes a part of that of the result.
        dump_file: write the tensors to `<save_path>/bmodel_infer_<reference>_0.npz`; otherwise they are returned.
        save_path: a folder; it is made where it is missing.
        desire_op: only these tensors; all by default.
        final_mlir_fn, tensor_loc_file, out_fixed, dump_cmd_info, skip_check, run_by_op: nothing: a file of `bmlang` says by itself what it
            computes.
        is_soc: False: there is no board.
        using_memory_opt, enable_soc_log, soc_tmp_path, hostname, port, username, password: of boards.

    Raises:
        NotInTpuLangError: `is_soc`.
        ReferenceArrayError, OSError: a file cannot be read or written.
        RuntimeModelError: the inputs do not fit.
    """
    if is_soc:
        raise NotInTpuLangError("models run on the simulator, not on a board", position=here(), help="leave is_soc out")
    inputs = arrays_of(Path(input_data_fn)) if isinstance(input_data_fn, str) else dict(input_data_fn)
    (net,) = Runtime(load(bmodel_file)).nets.values()
    found = {**inputs, **net.run({tensor.name: inputs[tensor.name] for tensor in net.inputs})}
    chosen = {name: array for name, array in found.items() if not desire_op or name in desire_op}
    if not dump_file:
        return chosen
    folder = Path(save_path)
    folder.mkdir(parents=True, exist_ok=True)
    return saved_arrays(folder / f"bmodel_infer_{Path(reference_data_fn).stem}_0.npz", chosen)


def _work(model_name: str, chip: str | None = None) -> Work:
    return Work.of_file(model_name, session().chip if chip is None else chip_of(chip.upper()), Path(f"{model_name}{GRAPH}"))


def _check_mode(mode: str) -> None:
    if mode not in (*MODES, "int8"):
        raise OperatorArgumentError(f"quant_mode is {mode!r}", position=here(), help=f"choose from {', '.join((*MODES, 'int8'))}")
