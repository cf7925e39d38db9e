"""Changes of one file: weights, modules, refreshing, dumping."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bmlang.bmodel import Binary, BModel, load, sha256
from bmlang.bmodel.combine import Source, combine
from bmlang.bmodel.edit import dump, kernel_binary, refresh, remove_kernel, update_cpuop, update_kernel, update_weight
from bmlang.bmodel.errors import DumpRangeError, ModuleMissingError, WeightMismatchError, WeightMissingError
from bmlang.bmodel.schema import CoeffMem, KernelModule, Net
from tests.support.bmodels import ADD, ADD_STAGES, CONV, MATMUL, fixture


def coeffs(bmodel: BModel) -> list[CoeffMem]:
    return [stage.coeff_mem for net in bmodel.model.net for stage in net.stages if stage.coeff_mem is not None]


def data(coeff: CoeffMem) -> bytes:
    assert coeff.binary_coeff is not None
    return bytes(coeff.binary_coeff.data)


def with_weights(byte: int) -> BModel:
    """The convolution with every byte of its coefficients changed."""
    model = fixture(CONV).model
    (coeff,) = coeffs(fixture(CONV))
    changed = bytes(value ^ byte for value in data(coeff))
    stage = replace(model.net[0].stages[0], coeff_mem=replace(coeff, binary_coeff=Binary(changed), check_code=sha256(changed)))
    return BModel(replace(model, net=(replace(model.net[0], parameter=(stage,)),)))


# ------------------------------------------------------------------ dump


def test_dump_is_the_binary_section() -> None:
    (coeff,) = coeffs(fixture(CONV))
    assert coeff.binary_coeff is not None and coeff.binary_coeff.start is not None
    assert dump(fixture(CONV), coeff.binary_coeff.start, coeff.binary_coeff.size) == data(coeff)
    assert dump(fixture(CONV), 1, 10) == data(coeff)[1:11]


@pytest.mark.parametrize(("start", "size"), [(0, 0), (0, 99999999), (24576, 1), (24575, 2), (-1, 1), ((1 << 64) - 1, 2), (0, -1)])
def test_dump_outside_of_the_section(start: int, size: int) -> None:
    with pytest.raises(DumpRangeError, match="0x6000 bytes"):
        dump(fixture(CONV), start, size)


# ------------------------------------------------------------------ weights


def test_one_weight_is_replaced() -> None:
    changed = update_weight(fixture(CONV), "conv_relu_f32", 0x3000, with_weights(0x5A), "conv_relu_f32", 0x3000)
    (old,), (new,) = coeffs(fixture(CONV)), coeffs(changed)
    assert data(new)[:0x3000] == data(old)[:0x3000]
    assert data(new)[0x3000:] == bytes(value ^ 0x5A for value in data(old)[0x3000:])
    assert new.check_code == sha256(data(new)) and new.location == old.location
    assert load(changed.to_bytes()) == changed


def test_all_that_share_the_coefficients_get_the_weight() -> None:
    twin = fixture(CONV).model.net[0]
    both = BModel(replace(fixture(CONV).model, net=(twin, replace(twin, name="twin"), *fixture(MATMUL).model.net)))
    changed = update_weight(both, "twin", 0, with_weights(1), "conv_relu_f32", 0)
    first, second, other = coeffs(changed)
    assert first == second != coeffs(fixture(CONV))[0]
    assert other == coeffs(fixture(MATMUL))[0]


@pytest.mark.parametrize(
    ("net", "offset", "source_net", "source_offset", "reason"),
    [
        ("nonet", 0, "conv_relu_f32", 0, "the target has no net 'nonet'"),
        ("conv_relu_f32", 0, "nonet", 0, "the source has no net 'nonet'"),
        ("conv_relu_f32", 1, "conv_relu_f32", 0, "no weight at offset 0x1"),
        ("conv_relu_f32", 0, "conv_relu_f32", 0x4000, "no weight at offset 0x4000"),
    ],
)
def test_weights_that_are_not_there(net: str, offset: int, source_net: str, source_offset: int, reason: str) -> None:
    with pytest.raises(WeightMissingError, match=reason):
        update_weight(fixture(CONV), net, offset, with_weights(1), source_net, source_offset)


def test_a_net_without_weights() -> None:
    with pytest.raises(WeightMissingError, match="no weight"):
        update_weight(fixture(ADD), "add_f32", 0, fixture(CONV), "conv_relu_f32", 0)
    empty = BModel(replace(fixture(ADD).model, net=(Net(name="empty"),)))
    with pytest.raises(WeightMissingError, match="no net 'empty'"):
        update_weight(empty, "empty", 0, empty, "empty", 0)


def test_weights_of_another_kind() -> None:
    with pytest.raises(WeightMismatchError, match=r"tpu.MatMul.weight of 8192 bytes cannot replace tpu.Conv2D.weight of 12288 bytes"):
        update_weight(fixture(CONV), "conv_relu_f32", 0, fixture(MATMUL), "matmul_f32", 0)


# ------------------------------------------------------------------ modules


def test_kernel_module_in_and_out() -> None:
    with_kernel = load(update_kernel(fixture(CONV), "kernel.so", b"\x7fELF" * 2000).to_bytes())
    module = kernel_binary(with_kernel)
    assert (module.file_name, bytes(module.binary.data), module.mode) == ("kernel.so", b"\x7fELF" * 2000, 0)
    without = load(remove_kernel(with_kernel).to_bytes())
    assert without.model.kernel_module == KernelModule(file_name="", binary=Binary(b""), mode=0)
    assert without.model.net == fixture(CONV).model.net
    for operation in (kernel_binary, remove_kernel):
        with pytest.raises(ModuleMissingError):
            operation(without)


def test_a_removed_module_leaves_a_file_that_can_be_combined() -> None:
    """The official tool leaves a mode of garbage there, and will not combine the file afterwards."""
    files = [remove_kernel(update_kernel(fixture(name), "kernel.so", b"module")) for name in (CONV, ADD)]
    assert len(combine([Source(str(k), file) for k, file in enumerate(files)]).bmodel.model.net) == 2


def test_library_of_host_operators() -> None:
    module = load(update_cpuop(fixture(CONV), "libcpuop.so", b"ops").to_bytes()).model.cpuop_module
    assert module is not None and (module.file_name, bytes(module.binary.data)) == ("libcpuop.so", b"ops")


# ------------------------------------------------------------------ refresh


def test_refresh_mends_what_can_be_mended() -> None:
    stale = fixture(ADD_STAGES)
    module = stale.model.kernel_module
    assert module is not None and module.mode not in (0, 1)
    (coeff,) = coeffs(fixture(CONV))
    stage = replace(fixture(CONV).model.net[0].stages[0], coeff_mem=replace(coeff, check_code=b"wrong"))
    net = replace(fixture(CONV).model.net[0], parameter=(stage,))
    worn = replace(stale, model=replace(stale.model, net=(*stale.model.net, net)), reserved=b"x" * 44, trailing=b"junk")
    fresh = load(refresh(worn).to_bytes())
    assert fresh.model.kernel_module == replace(module, mode=0)
    assert fresh.model.net == (*stale.model.net, fixture(CONV).model.net[0])
    assert not any(fresh.reserved) and not len(fresh.trailing) and fresh.aligned
