"""The checks: correct programs pass, and every seeded fault is found."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.support.effort import by_profile
from tests.support.golden import GoldenCase, golden_cases
from tests.support.kernels import Kernel, random_kernel
from tests.support.streams import official_streams
from tpukernel import BM1684X
from tpukernel.chips.tensors import LocalTensor
from tpukernel.isa import Arith, DmaTensor, Instruction, Program
from tpukernel.sim import Machine
from tpukernel.sim.checks.errors import CheckError, IllegalInstructionError, OverlapError, RaceError, UninitialisedReadError

DDR_BYTES = 64 << 20
SEEDS = range(by_profile(smoke=10, normal=40, nightly=400))
FAULTS = 20


def machine_for(kernel: Kernel) -> Machine:
    machine = Machine(BM1684X, ddr_bytes=DDR_BYTES)
    for offset, size in kernel.inputs:
        machine.write("ddr", offset, bytes(size))
    return machine


@pytest.mark.parametrize("seed", SEEDS)
def test_correct_kernels_pass(seed: int) -> None:
    kernel = random_kernel(seed)
    assert machine_for(kernel).check(kernel.program) == []


KNOWN_FINDINGS: dict[str, type[CheckError]] = {
    # Lines are aligned, which the recording did not leave room for.
    "tpu_bdc_batch_bcast_h_gather": OverlapError,
    "tpu_bdc_batch_bcast_h_gather_exception": OverlapError,
    "tpu_bdc_batch_bcast_h_scatter": OverlapError,
    # Each channel has a row of its own in the table; the recording filled it without gaps.
    "tpu_bdc_fp32_pc_dequant": UninitialisedReadError,
    "tpu_bdc_int_pc_dequant": UninitialisedReadError,
}
"""Mistakes of the recorded calls themselves."""


@pytest.mark.parametrize("case", golden_cases(), ids=lambda case: case.id)
def test_golden_cases_pass(case: GoldenCase) -> None:
    machine = Machine(BM1684X, ddr_bytes=DDR_BYTES)
    for space, runs in case.initial.items():
        for run in runs:
            machine.write(space, run.offset, run.data)
            machine.memory.written.mark(space, max(0, run.offset - 4), run.data.size + 8)  # nor does it have bytes that equal the filling
    machine.memory.written.mark("ddr", 0, DDR_BYTES)  # the recording leaves out zeros
    findings = machine.check(Program.from_streams(BM1684X, tiu=case.tiu, gdma=case.gdma))
    known = KNOWN_FINDINGS.get(case.calls[0].function) if case.calls else None
    assert (findings == []) if known is None else any(isinstance(finding, known) for finding in findings)


def test_official_programs_pass() -> None:
    streams = official_streams()
    stems = sorted({key.rpartition("/")[0] for key in streams})
    for stem in stems:
        machine = Machine(BM1684X, ddr_bytes=DDR_BYTES)
        machine.memory.written.mark("ddr", 0, DDR_BYTES)
        assert machine.check(Program.from_streams(BM1684X, tiu=streams[f"{stem}/tiu"].data, gdma=streams[f"{stem}/gdma"].data)) == [], stem
    assert len(stems) > 30


Spoil = Callable[[Program, random.Random], bool]


def edit(program: Program, kind: type[Instruction], source: random.Random, change: Callable[[Instruction], Instruction]) -> bool:
    group = program.groups[0]
    commands = group.tiu if kind is Arith else group.gdma
    places = [place for place, instruction in enumerate(commands) if isinstance(instruction, kind)]
    place = source.choice(places)
    commands[place] = change(commands[place])
    return True


def lower_a_dependency(program: Program, source: random.Random) -> bool:
    waiting = [
        (commands, place) for commands in (program.groups[0].tiu, program.groups[0].gdma) for place, i in enumerate(commands) if i.depends
    ]
    commands, place = source.choice(waiting)
    instruction = commands[place]
    before = max((other.depends for other in commands[:place]), default=0)
    if before >= instruction.depends:
        return False  # an earlier command of the engine waits for the same
    commands[place] = instruction.numbered(instruction.id, before)
    return True


def misalign(program: Program, source: random.Random) -> bool:
    def change(instruction: Instruction) -> Instruction:
        dst = instruction.value_of("dst")
        assert isinstance(dst, LocalTensor)
        return instruction.replace(dst=LocalTensor(dst.address + source.choice([1, 2, 4, 32]), dst.shape, dst.dtype, dst.layout))

    return edit(program, Arith, source, change)


def move_to_another_lane(program: Program, source: random.Random) -> bool:
    def change(instruction: Instruction) -> Instruction:
        src = instruction.value_of("src0")
        assert isinstance(src, LocalTensor)
        lanes = (src.address // BM1684X.lane_bytes + source.randint(1, 3)) % 64
        address = lanes * BM1684X.lane_bytes + src.address % BM1684X.lane_bytes
        return instruction.replace(src0=LocalTensor(address, src.shape, src.dtype, src.layout))

    return edit(program, Arith, source, change)


def move_out_of_the_lane(program: Program, source: random.Random) -> bool:
    def change(instruction: Instruction) -> Instruction:
        dst = instruction.value_of("dst")
        assert isinstance(dst, LocalTensor)
        address = dst.address // BM1684X.lane_bytes * BM1684X.lane_bytes + BM1684X.lane_bytes - 64
        shape = (dst.shape[0], dst.shape[1], 64, dst.shape[3])
        grown = {name: value for name in ("src0", "src1") if isinstance(value := instruction.value_of(name), LocalTensor)}
        wide = {name: LocalTensor(value.address, shape, value.dtype, value.layout) for name, value in grown.items()}
        return instruction.replace(dst=LocalTensor(address, shape, dst.dtype, dst.layout), **wide)

    return edit(program, Arith, source, change)


def remove_a_load(program: Program, source: random.Random) -> bool:
    gdma = program.groups[0].gdma
    loads = [place for place, i in enumerate(gdma) if isinstance(i, DmaTensor) and isinstance(i.dst, LocalTensor)]
    place = source.choice(loads[:4])  # later ones fill buffers that hold an older tile
    program.groups[0].gdma = [i if n != place else harmless(i) for n, i in enumerate(gdma)]
    return True


def harmless(load: Instruction) -> Instruction:
    """The same load to local memory that nothing uses, so that the numbers stay."""
    dst = load.value_of("dst")
    assert isinstance(dst, LocalTensor)
    lane = dst.address // BM1684X.lane_bytes
    return load.replace(
        dst=LocalTensor(lane * BM1684X.lane_bytes + (BM1684X.lane_bytes // 2), dst.shape, dst.dtype, dst.layout, dst.strides)
    )


def grow_a_shape(program: Program, source: random.Random) -> bool:
    def change(instruction: Instruction) -> Instruction:
        changed: dict[str, object] = {}
        for use in instruction.operands():
            if isinstance(use.value, LocalTensor):
                n, c, h, w = use.value.shape
                changed[use.name] = LocalTensor(use.value.address, (n, c, h + 16, w), use.value.dtype, use.value.layout)
        return instruction.replace(**changed)

    return edit(program, Arith, source, change)


def shift_a_result_over_its_source(program: Program, source: random.Random) -> bool:
    def change(instruction: Instruction) -> Instruction:
        src, dst = instruction.value_of("src0"), instruction.value_of("dst")
        assert isinstance(src, LocalTensor) and isinstance(dst, LocalTensor)
        return instruction.replace(dst=LocalTensor(src.address + 64, dst.shape, dst.dtype, dst.layout))

    wide = [i for i in program.groups[0].tiu if isinstance(i, Arith) and i.dst.shape[2] * i.dst.shape[3] * i.dst.dtype.itemsize > 64]
    return bool(wide) and edit(program, Arith, source, change)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lower_a_dependency, RaceError),
        (misalign, IllegalInstructionError),
        (move_to_another_lane, IllegalInstructionError),
        (move_out_of_the_lane, IllegalInstructionError),
        (remove_a_load, UninitialisedReadError),
        (grow_a_shape, UninitialisedReadError),
        (shift_a_result_over_its_source, OverlapError),
    ],
    ids=lambda value: value.__name__,
)
def test_seeded_faults_are_found(spoil: Spoil, expected: type[CheckError]) -> None:
    found = 0
    for seed in range(1000, 1400):
        kernel = random_kernel(seed)
        machine = machine_for(kernel)
        if not spoil(kernel.program, random.Random(seed)):
            continue
        findings = machine.check(kernel.program)
        assert any(isinstance(finding, expected) for finding in findings), (seed, findings)
        found += 1
        if found == FAULTS:
            return
    raise AssertionError(f"only {found} programs could be spoiled")
