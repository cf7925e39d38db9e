"""Verification: official files are sound, and each fault that is put into one is found and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bmlang.bmodel import Binary, BModel, load
from bmlang.bmodel.combine import Source, combine
from bmlang.bmodel.errors import AddressRangeError, BModelError, CheckCodeError, CommandCountError, CommandStreamError, FileStructureError
from bmlang.bmodel.schema import CmdGroup, CpuConst, CpuParam, KernelModule, Net, NetParameter, Shape, SubNet, Tensor
from bmlang.bmodel.verify import verify
from tests.support.bmodels import ADD, ADD_DYNAMIC, ADD_STAGES, CONV, HANDMADE, MATMUL, RELOC, TOPK, TOPK_BM1684, fixture

STALE_MODES = (ADD_STAGES, RELOC)
"""Files with a kernel mode that the official tool filled with garbage."""


@pytest.mark.parametrize("name", [ADD, ADD_DYNAMIC, CONV, HANDMADE, MATMUL, TOPK, TOPK_BM1684])
def test_official_files_are_sound(name: str) -> None:
    report = verify(fixture(name))
    assert report.findings == ()
    assert len(report.notes) == int(name == TOPK_BM1684)


@pytest.mark.parametrize("name", STALE_MODES)
def test_garbage_in_official_files_is_found(name: str) -> None:
    (finding,) = verify(fixture(name)).findings
    assert isinstance(finding, FileStructureError) and finding.where == "kernel_module.mode"


def test_what_is_not_checked_is_said() -> None:
    assert verify(fixture(TOPK_BM1684)).notes == ("command streams are not decoded: the instructions of BM1684 are not described",)
    assert "address mode 4" in verify(fixture(RELOC)).notes[0]
    foreign = BModel(replace(fixture(ADD).model, chip="BM9999"))
    assert verify(foreign).notes == ("command streams are not checked, for chip 'BM9999' is not known",)


# ------------------------------------------------------------------ faults

CONV_STAGE = fixture(CONV).model.net[0].stages[0]


def with_stage(stage: NetParameter) -> BModel:
    model = fixture(CONV).model
    return BModel(replace(model, net=(replace(model.net[0], parameter=(stage,)),)))


def stage_fault(**changes: Any) -> BModel:
    return with_stage(replace(CONV_STAGE, **changes))


def coeff_fault(**changes: Any) -> BModel:
    assert CONV_STAGE.coeff_mem is not None
    return stage_fault(coeff_mem=replace(CONV_STAGE.coeff_mem, **changes))


def subnet_fault(**changes: Any) -> BModel:
    return stage_fault(sub_net=(replace(CONV_STAGE.subnets[0], **changes),))


def group_fault(change: Callable[[CmdGroup], CmdGroup]) -> BModel:
    """The same fault in both places that list the commands."""
    assert CONV_STAGE.cmd_group is not None
    groups = tuple(map(change, CONV_STAGE.cmd_group))
    return stage_fault(cmd_group=groups, sub_net=(replace(CONV_STAGE.subnets[0], cmd_group=groups),))


def tensor_fault(**changes: Any) -> BModel:
    return stage_fault(input_tensor=(replace(CONV_STAGE.input_tensor[0], **changes),))


def model_fault(**changes: Any) -> BModel:
    return BModel(replace(fixture(CONV).model, **changes))


def bdc(change: Callable[[bytes], bytes]) -> BModel:
    def changed(group: CmdGroup) -> CmdGroup:
        assert group.binary_bdc is not None
        data = change(bytes(group.binary_bdc.data))
        return replace(group, binary_bdc=Binary(data), bdc_cmd_byte=len(data))

    return group_fault(changed)


def gdma_address(value: int) -> Callable[[CmdGroup], CmdGroup]:
    """The source of the first load is at another address."""

    def changed(group: CmdGroup) -> CmdGroup:
        assert group.binary_gdma is not None
        data = bytearray(group.binary_gdma.data)
        data[64:69] = value.to_bytes(5, "little")
        return replace(group, binary_gdma=Binary(bytes(data)))

    return changed


def swapped(group: CmdGroup) -> CmdGroup:
    """The last store, which is what writes to system memory, goes into the coefficients."""
    assert group.binary_gdma is not None
    data = bytearray(group.binary_gdma.data)
    last = 96 * (group.gdma_num - 2)
    data[last + 72 : last + 77] = (0x1_0000_0000).to_bytes(5, "little")
    return replace(group, binary_gdma=Binary(bytes(data)))


@pytest.mark.parametrize(
    ("faulty", "cls", "text"),
    [
        (replace(fixture(CONV), reserved=b"x" * 44), FileStructureError, "reserved bytes"),
        (replace(fixture(CONV), trailing=b"junk"), FileStructureError, "4 bytes follow"),
        (model_fault(kernel_module=KernelModule(file_name="", binary=Binary(b""), mode=-4096)), FileStructureError, "-4096 means nothing"),
        (model_fault(net=(*fixture(CONV).model.net, Net(name="empty"))), FileStructureError, "no stages"),
        (stage_fault(ctx_size=0, ctx_sizes=None), FileStructureError, "no size of its intermediate"),
        (stage_fault(ctx_sizes=(4096,)), FileStructureError, r"ctx_sizes are \[4096\]"),
        (stage_fault(cmd_group=None), FileStructureError, "not listed for the stage"),
        (coeff_fault(address=0), FileStructureError, "no address"),
        (subnet_fault(input_tensor=None), FileStructureError, "inputs or outputs are missing"),
        (tensor_fault(shape=()), FileStructureError, "no shape"),
        (tensor_fault(shape=(Shape(),)), FileStructureError, "no shape"),
        (tensor_fault(data_type=11), FileStructureError, "data type 11"),
        (coeff_fault(check_code=None), CheckCodeError, "is missing"),
        (coeff_fault(check_code=b""), CheckCodeError, "is empty"),
        (coeff_fault(check_code=bytes(32)), CheckCodeError, "is 0000"),
        (tensor_fault(device_addr=0x100000000), AddressRangeError, "tensor 'x' at 0x100000000"),
        (tensor_fault(size=1 << 20), AddressRangeError, "with 1048576 bytes"),
        (group_fault(gdma_address(0x1F0000000)), AddressRangeError, r"reads \[0x1f0000000"),
        (group_fault(swapped), AddressRangeError, r"writes \[0x100000000"),
        (bdc(lambda data: b"\xff" * len(data)), CommandStreamError, "ISA10"),
        (bdc(lambda data: data[:-4] + b"\1\2\3\4"), CommandStreamError, "ISA105"),
        (group_fault(lambda group: replace(group, bdc_num=99)), CommandCountError, "99 TIU commands are stated"),
        (group_fault(lambda group: replace(group, gdma_num=group.gdma_num - 1)), CommandCountError, "GDMA commands are stated"),
        (group_fault(lambda group: replace(group, bdc_cmd_byte=0)), CommandCountError, "0 bytes of TIU commands are stated"),
        (bdc(lambda data: data + bytes(64)), CommandCountError, "no multiple of 128"),
    ],
)
def test_a_fault_is_found(faulty: BModel, cls: type[BModelError], text: str) -> None:
    finding, *others = verify(load(faulty.to_bytes())).findings
    assert type(finding) is cls and finding.where
    with pytest.raises(cls, match=text):
        raise finding
    # Where the memory of a stage is wrong, so are the addresses in it.
    assert {type(other) for other in others} <= {AddressRangeError}
    assert not others or cls is FileStructureError


def test_faults_that_come_in_company() -> None:
    assert {type(found) for found in verify(stage_fault(sub_net=None)).findings} == {FileStructureError}
    twice = verify(model_fault(net=fixture(CONV).model.net * 2)).findings
    assert [found.message for found in twice] == ["2 nets have this name, and a runtime loads one"]
    texts = [found.message for found in verify(stage_fault(ctx_addr=0x100000000)).findings]
    assert any("coeff [0x100000000, 0x100004000) and ctx [0x100000000, 0x100008000) overlap" in text for text in texts)
    no_end = [found.message for found in verify(bdc(lambda data: data[:-128])).findings]
    assert "the TIU stream has no end command" in no_end


def test_a_dependency_that_never_comes() -> None:
    def waiting(data: bytes) -> bytes:
        """The first command waits for GDMA command 65535."""
        number = int.from_bytes(data[:16], "little")
        field = ((1 << 16) - 1) << 17  # id_dep of a TIU command; see the field tables of the chip
        return (number | field).to_bytes(16, "little") + data[16:]

    texts = [str(found) for found in verify(bdc(waiting)).findings]
    assert any("BMODEL143: ISA14" in text for text in texts), texts


def test_check_codes_of_host_constants() -> None:
    const = CpuConst(name="anchors", const_data=Binary(b"1234"), check_code=bytes(32))
    cpu = SubNet(subnet_mode=1, input_tensor=(), output_tensor=(), cpu_param=(CpuParam(cpu_const=(const,)),))
    (finding,) = verify(stage_fault(sub_net=(*CONV_STAGE.subnets, cpu))).findings
    assert isinstance(finding, CheckCodeError) and "cpu_const[0]" in (finding.where or "")


def test_encrypted_coefficients_have_no_check_code_to_compare() -> None:
    assert not any(isinstance(found, CheckCodeError) for found in verify(coeff_fault(encrypt_mode=1, decrypt_size=0x4000)).findings)


def test_tensors_of_the_host_have_no_device_address() -> None:
    assert verify(tensor_fault(device_addr=0, mem_type=2)).findings == ()


def test_what_is_combined_is_sound() -> None:
    made = combine([Source(name, fixture(name)) for name in (CONV, MATMUL, TOPK)]).bmodel
    assert verify(load(made.to_bytes())).findings == ()


def test_shapes_of_all_subnets_are_looked_at() -> None:
    (finding,) = verify(subnet_fault(output_tensor=(Tensor(name="y"),))).findings
    assert "subnet" in str(finding) or "sub_net" in str(finding)
