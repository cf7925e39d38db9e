"""Combining folders: the reference data follow their stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmlang.bmodel import BModel
from bmlang.bmodel.coeff import combine_coeff
from bmlang.bmodel.combine import extract
from bmlang.bmodel.errors import MagicError, ReferenceDataError
from bmlang.bmodel.folders import INPUTS, MODEL, OUTPUTS, combine_folders
from bmlang.bmodel.schema import NetParameter, data_type_bits
from tests.support.bmodels import ADD_STAGES, CONV, MATMUL, TOPK, fixture


def bytes_of(stage: NetParameter) -> tuple[int, int]:
    """Bytes of all inputs and of all outputs."""
    sizes: list[int] = []
    for tensors in (stage.input_tensor, stage.output_tensor):
        sizes.append(0)
        for tensor in tensors:
            assert tensor.shape is not None
            elements = 1
            for size in tensor.shape[0].dim or ():
                elements *= size
            sizes[-1] += elements * (data_type_bits(tensor.data_type) or 0) // 8
    return sizes[0], sizes[1]


def write(folder: Path, bmodel: BModel, first: int) -> list[tuple[bytes, bytes]]:
    """A folder; returns the data of its stages: bytes `first`, `first` + 1, ... for the inputs, the same plus 100 for the outputs."""
    folder.mkdir()
    bmodel.save(folder / MODEL)
    stages = [stage for net in bmodel.model.net for stage in net.stages]
    data = [(bytes([first + k]) * inputs, bytes([first + k + 100]) * outputs) for k, (inputs, outputs) in enumerate(map(bytes_of, stages))]
    (folder / INPUTS).write_bytes(b"".join(inputs for inputs, _ in data))
    (folder / OUTPUTS).write_bytes(b"".join(outputs for _, outputs in data))
    return data


def test_data_are_ordered_by_net_and_stage(tmp_path: Path) -> None:
    stages = [single for _, _, single in extract(fixture(ADD_STAGES))]
    (small,) = write(tmp_path / "a", stages[0], 10)
    (conv,) = write(tmp_path / "b", fixture(CONV), 20)
    (large,) = write(tmp_path / "c", stages[2], 30)
    made = combine_folders([tmp_path / "a", tmp_path / "b", tmp_path / "c"])
    assert [len(net.stages) for net in made.combined.bmodel.model.net] == [2, 1]
    assert made.inputs == small[0] + large[0] + conv[0]
    assert made.outputs == small[1] + large[1] + conv[1]
    assert len(small[0]) == 2 * 256 * 4 and len(large[1]) == 4 * 256 * 4


def test_a_folder_with_several_stages(tmp_path: Path) -> None:
    many = write(tmp_path / "a", fixture(ADD_STAGES), 10)
    (topk,) = write(tmp_path / "b", fixture(TOPK), 20)
    made = combine_folders([tmp_path / "b", tmp_path / "a"])
    assert made.inputs == topk[0] + b"".join(inputs for inputs, _ in many)
    assert made.outputs == topk[1] + b"".join(outputs for _, outputs in many)


def test_with_joined_coefficients(tmp_path: Path) -> None:
    write(tmp_path / "a", fixture(CONV), 1)
    write(tmp_path / "b", fixture(MATMUL), 2)
    assert combine_folders([tmp_path / "a", tmp_path / "b"], combine_coeff).combined.bmodel.model.bmodel_type == 1


@pytest.mark.parametrize("file", [INPUTS, OUTPUTS])
@pytest.mark.parametrize("change", [1, -1])
def test_data_of_another_size(tmp_path: Path, file: str, change: int) -> None:
    write(tmp_path / "a", fixture(CONV), 1)
    path = tmp_path / "a" / file
    data = path.read_bytes()
    path.write_bytes(data + b"x" if change > 0 else data[:change])
    with pytest.raises(ReferenceDataError, match=f"{file} has {len(data) + change} bytes, but .* take {len(data)}"):
        combine_folders([tmp_path / "a"])


def test_files_that_are_missing_or_broken(tmp_path: Path) -> None:
    write(tmp_path / "a", fixture(CONV), 1)
    (tmp_path / "a" / INPUTS).unlink()
    with pytest.raises(FileNotFoundError, match=INPUTS):
        combine_folders([tmp_path / "a"])
    (tmp_path / "a" / MODEL).write_bytes(b"no model")
    with pytest.raises(MagicError) as caught:
        combine_folders([tmp_path / "a"])
    assert str(tmp_path / "a" / MODEL) in str(caught.value)
